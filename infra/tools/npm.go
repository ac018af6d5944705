package tools

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const nodeAdvice = "install Node.js, 20 or newer, with npm (Debian: nodejs npm)"

// npm runs npm for a program. Its own settings decide from which registry and
// by which way it fetches.
func npm(ctx context.Context, program, folder string, args ...string) error {
	err := run(ctx, folder, "npm", append(args, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")...)
	if errors.Is(err, exec.ErrNotFound) {
		return &Missing{program, "npm", nodeAdvice}
	}
	if f := (*failure)(nil); errors.As(err, &f) && !strings.Contains(f.output, "EINTEGRITY") {
		return &Missing{program, "the npm registry", "npm says: " + f.complaint()}
	}
	return err
}

// pack fetches a package's archive and checks it against its hash.
func pack(ctx context.Context, program, folder, name, version, integrity string) ([]byte, error) {
	download, err := os.MkdirTemp(folder, "npm-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(download)
	if err := npm(ctx, program, download, "pack", name+"@"+version, "--pack-destination", "."); err != nil {
		return nil, err
	}
	archive, err := os.ReadFile(filepath.Join(download, name+"-"+version+".tgz"))
	if err != nil {
		return nil, err
	}
	sum := sha512.Sum512(archive)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != integrity {
		return nil, fmt.Errorf("%s@%s is not the pinned archive: its integrity is %s", name, version, got)
	}
	return archive, nil
}
