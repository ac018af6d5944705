package tools

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const nodeAdvice = "install Node.js, 20 or newer, with npm (Debian: nodejs npm)"

// npm runs npm for a program. Its own settings decide from which registry and
// by which way it fetches.
func npm(ctx context.Context, program, folder string, args ...string) error {
	_, err := npmOutput(ctx, program, folder, args...)
	return err
}

func npmOutput(ctx context.Context, program, folder string, args ...string) (string, error) {
	out, err := output(ctx, folder, "npm", append(args, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")...)
	if errors.Is(err, exec.ErrNotFound) {
		return "", &Missing{program, "npm", nodeAdvice}
	}
	if f := (*failure)(nil); errors.As(err, &f) && !strings.Contains(f.output, "EINTEGRITY") {
		return "", &Missing{program, "the npm registry", "npm says: " + f.complaint()}
	}
	return out, err
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

// Package puts the files of a package of the npm registry into folder, once its
// archive is what integrity ("sha512-…") says. Needs npm.
func Package(ctx context.Context, folder, name, version, integrity string) error {
	archive, err := pack(ctx, name, folder, name, version, integrity)
	if err != nil {
		return err
	}
	return unpack(archive, "package/", folder)
}

// NewestPackage is the newest release of a package of the npm registry that has
// the same major version, and its archive's integrity. Needs npm.
func NewestPackage(ctx context.Context, name, version string) (newest, integrity string, err error) {
	major, _, _ := strings.Cut(version, ".")
	text, err := npmOutput(ctx, name, "", "view", name+"@^"+major+".0.0", "name", "version", "dist.integrity", "--json")
	if err != nil {
		return "", "", err
	}
	if text = strings.TrimSpace(text); strings.HasPrefix(text, "{") { // a single release is no list
		text = "[" + text + "]"
	}
	var releases []struct {
		Version   string
		Integrity string `json:"dist.integrity"`
	}
	if err := json.Unmarshal([]byte(text), &releases); err != nil {
		return "", "", fmt.Errorf("npm view %s: %w", name, err)
	}
	for _, r := range releases {
		if newest == "" || slices.Compare(numbers(newest), numbers(r.Version)) < 0 {
			newest, integrity = r.Version, r.Integrity
		}
	}
	if newest == "" || integrity == "" {
		return "", "", fmt.Errorf("npm view %s: no release of version %s with an integrity", name, major)
	}
	return newest, integrity, nil
}

// numbers are those of a version such as 2.1.19.
func numbers(version string) (n []int) {
	for part := range strings.SplitSeq(version, ".") {
		i, _ := strconv.Atoi(part) // a range gives no pre-releases
		n = append(n, i)
	}
	return n
}
