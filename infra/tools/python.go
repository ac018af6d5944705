package tools

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// requirements are the Python packages with the hashes of their files.
//
//go:embed requirements.txt
var requirements string

// launcher starts one of the programs. Those that pip writes name the folder
// where pip ran, which gets another name afterwards, so Python is told to run
// them. They neither see nor touch what the person at this machine has in
// their home: keys for AWS above all.
const launcher = `#!/bin/sh
bin=$(CDPATH= cd "$(dirname "$0")" && pwd)
export SAM_CLI_TELEMETRY=0 __SAM_CLI_APP_DIR="$bin/../../home/aws-sam"
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true
exec "$bin/python" "$bin/../programs/%s" "$@"
`

// Python is the installed Python programs.
type Python struct {
	bin string
}

// SAM is the path of Amazon's `sam`.
func (p *Python) SAM() string { return filepath.Join(p.bin, "sam") }

// CFNLint is the path of `cfn-lint`.
func (p *Python) CFNLint() string { return filepath.Join(p.bin, "cfn-lint") }

const pythonPrograms = "SAM CLI, cfn-lint and moto"

func installPython(ctx context.Context, home string) (*Python, error) {
	interpreter, err := output(ctx, "", "python3", "-c", `
import ensurepip, sys, venv
print(sys.base_prefix, sys.version)
sys.exit(sys.version_info < (3, 11))`)
	if err != nil {
		return nil, &Missing{pythonPrograms, "python3 with venv", "install Python 3.11 or newer (Debian: python3 python3-venv)"}
	}
	folder, err := pythonInstallation(interpreter, requirements).install(ctx, home)
	if err != nil {
		return nil, err
	}
	return &Python{bin: filepath.Join(folder, "bin")}, nil
}

// pythonInstallation is the programs for one interpreter, which they do not
// survive.
func pythonInstallation(interpreter, requirements string) installation {
	return installation{name: "python", pins: interpreter + launcher + requirements, fill: func(ctx context.Context, folder string) error {
		if err := run(ctx, folder, "python3", "-m", "venv", "."); err != nil {
			return err
		}
		if err := pip(ctx, folder, requirements); err != nil {
			return err
		}
		if err := os.Mkdir(filepath.Join(folder, "programs"), 0o755); err != nil {
			return err
		}
		for _, name := range []string{"sam", "cfn-lint", "moto_server"} {
			file := filepath.Join(folder, "bin", name)
			if err := os.Rename(file, filepath.Join(folder, "programs", name)); err != nil {
				return err
			}
			if err := os.WriteFile(file, fmt.Appendf(nil, launcher, name), 0o755); err != nil {
				return err
			}
		}
		return nil
	}}
}

// pip installs the requirements, which are complete, so that nothing needs to
// be resolved. It takes wheels only: none of the packages' code runs meanwhile.
// Its own settings decide from which index and by which way it fetches.
func pip(ctx context.Context, folder, requirements string) error {
	list := filepath.Join(folder, "requirements.txt")
	if err := os.WriteFile(list, []byte(requirements), 0o644); err != nil {
		return err
	}
	err := run(ctx, folder, filepath.Join(folder, "bin", "python"), "-m", "pip", "install", "--require-hashes", "--no-deps",
		"--only-binary=:all:", "--no-compile", "--no-input", "--disable-pip-version-check", "--quiet", "-r", list)
	if f := (*failure)(nil); errors.As(err, &f) && !strings.Contains(f.output, "DO NOT MATCH THE HASHES") {
		return &Missing{pythonPrograms, "PyPI", "pip says: " + f.complaint()}
	}
	return err
}

var moto = server{
	name:   "moto",
	file:   "moto",
	health: "/moto-api/data.json",
	prepare: func(ctx context.Context, home, port string) (*exec.Cmd, error) {
		python, err := installPython(ctx, home)
		if err != nil {
			return nil, err
		}
		return command(ctx, filepath.Join(python.bin, "moto_server"), "-H", "127.0.0.1", "-p", port)
	},
}
