package template_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/memberkey/memberkey/infra/template"
	"github.com/memberkey/memberkey/infra/tools"
)

// maxBinary is the design's limit of a function's program, in bytes.
const maxBinary = 12_000_000

// Two checkouts in different folders give the same bytes: only what has changed
// is published again.
func TestReproducibleBuild(t *testing.T) {
	var sums [2][sha256.Size]byte
	for i, name := range []string{"here", "a rather different folder"} {
		checkout := filepath.Join(t.TempDir(), name)
		for _, part := range []string{"go.mod", "go.sum", "Makefile", "template.yaml", "functions", "shared"} {
			copyTree(t, filepath.Join(root, part), filepath.Join(checkout, part))
		}
		sums[i] = sha256.Sum256(makeFunction(t, checkout, "DeliveryFunction"))
	}
	if sums[0] != sums[1] {
		t.Errorf("%x and %x", sums[0], sums[1])
	}
}

// makeFunction builds one function as `sam build` would, and gives its program.
func makeFunction(t *testing.T, checkout, id string) []byte {
	t.Helper()
	artifacts := t.TempDir()
	command := exec.Command("make", "-s", "build-"+id, "ARTIFACTS_DIR="+artifacts)
	command.Dir = checkout
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("make build-%s: %v\n%s", id, err, out)
	}
	program, err := os.ReadFile(filepath.Join(artifacts, "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(to, rel)), 0o755), os.WriteFile(filepath.Join(to, rel), text, 0o644))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// run starts one of Amazon's programs in the project's folder.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	command := exec.Command(program, args...)
	command.Dir = root
	command.Env = append(os.Environ(), "AWS_DEFAULT_REGION="+template.Region)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestSAMValidates(t *testing.T) {
	sam := tools.SAM(t).SAM()
	if out := run(t, sam, "validate", "--lint", "--template-file", "template.yaml"); !strings.Contains(out, "is a valid SAM Template") {
		t.Error(out)
	}
}

// Elsewhere, too: types and properties differ by region.
func TestCFNLint(t *testing.T) {
	lint := tools.SAM(t).CFNLint()
	if out := run(t, lint, "--regions", "us-east-1", "--template", "template.yaml"); strings.TrimSpace(out) != "" {
		t.Error(out)
	}
}

// The real `sam build` makes of each function what `make` makes of it, small
// enough, and leaves in the template what `make deploy` will stamp.
func TestSAMBuild(t *testing.T) {
	sam := tools.SAM(t).SAM()
	folder := t.TempDir()
	run(t, sam, "build", "--build-dir", folder)
	built, err := os.ReadFile(filepath.Join(folder, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(built, []byte("configuration: unstamped\n")); n != 1 {
		t.Errorf("the built template has %d places to stamp; want 1", n)
	}
	s := readStack(t, readText(t), template.Example())
	for id := range s.Functions {
		program, err := os.ReadFile(filepath.Join(folder, id, "bootstrap"))
		if err != nil {
			t.Error(err)
			continue
		}
		if len(program) > maxBinary {
			t.Errorf("%s has %d bytes; want at most %d", id, len(program), maxBinary)
		}
		if entries, err := os.ReadDir(filepath.Join(folder, id)); err != nil || len(entries) != 1 {
			t.Errorf("%s would carry more than its program: %v %v", id, entries, err)
		}
	}
	for _, id := range []string{"ConsoleFunction", "DeliveryFunction"} { // the least, and the most; all have one recipe
		program, err := os.ReadFile(filepath.Join(folder, id, "bootstrap"))
		if err != nil || !bytes.Equal(program, makeFunction(t, root, id)) {
			t.Errorf("%s: sam and make give different bytes (%v)", id, err)
		}
	}
}

// `make deploy` tells SAM of a changed parameter: without that, an alias would
// keep the old environment (see Globals in template.yaml).
func TestDeployStampsTheConfiguration(t *testing.T) {
	checkout := t.TempDir()
	for _, part := range []string{"Makefile", "template.yaml", "samconfig.toml"} {
		copyTree(t, filepath.Join(root, part), filepath.Join(checkout, part))
	}
	sam := filepath.Join(checkout, "sam")
	const stand = "#!/bin/sh\n" +
		"if [ $1 = build ]; then mkdir -p .aws-sam/build && cp template.yaml .aws-sam/build; else echo $*; grep -o 'configuration: [0-9a-z-]*' .aws-sam/build/template.yaml; fi\n"
	if err := os.WriteFile(sam, []byte(stand), 0o755); err != nil {
		t.Fatal(err)
	}
	deploy := func(args ...string) (string, error) {
		command := exec.Command("make", append([]string{"-s", "deploy", "SAM=" + sam}, args...)...)
		command.Dir = checkout
		out, err := command.CombinedOutput()
		return string(out), err
	}
	first, err := deploy("ENV=staging")
	if err != nil || !strings.HasPrefix(first, "deploy --config-env staging\nconfiguration: ") || strings.Contains(first, "unstamped") {
		t.Fatalf("%v\n%s", err, first)
	}
	if again, err := deploy("ENV=staging"); err != nil || again != first {
		t.Errorf("the same settings are stamped otherwise: %v\n%s%s", err, first, again)
	}
	settings, err := os.OpenFile(filepath.Join(checkout, "samconfig.toml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := settings.WriteString("# changed\n"); err != nil {
		t.Fatal(err)
	}
	if err := settings.Close(); err != nil {
		t.Fatal(err)
	}
	if other, err := deploy("ENV=staging"); err != nil || other == first {
		t.Errorf("other settings are stamped alike: %v\n%s", err, other)
	}
	if out, err := deploy(); err == nil {
		t.Errorf("deployed without saying where:\n%s", out)
	}
}
