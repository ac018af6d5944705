package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// installation is third-party programs that are installed once for a checkout.
type installation struct {
	name string // of its folder
	pins string // all that decides what is installed: when it changes, all is installed again

	// fill installs into an empty folder, which gets its final name only
	// afterwards: nothing in it may name the folder by its absolute path.
	fill func(ctx context.Context, folder string) error
}

// patience is how long an installation may take.
const patience = 8 * time.Minute

// marker is the file that ends an installation. It holds the pins and what the
// folder looked like, so that neither a half-made, an outdated nor a damaged
// installation is taken for a good one.
const marker = ".installed"

// install gives the folder below home and fills it if need be. Of all the
// processes that want it at once, one installs and the others wait.
func (i installation) install(ctx context.Context, home string) (string, error) {
	folder := filepath.Join(home, i.name)
	if i.isGood(folder) {
		return folder, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, folder+".lock")
	if err != nil {
		return "", fmt.Errorf("wait for another installation of %s: %w", i.name, err)
	}
	defer unlock()
	if i.isGood(folder) { // the other process did it
		return folder, nil
	}

	// What killed installers left behind. A child of theirs may even be alive,
	// so the new folder has a name of its own.
	old, err := filepath.Glob(folder + ".new-*")
	if err != nil {
		return "", err
	}
	for _, o := range append(old, folder) {
		if err := os.RemoveAll(o); err != nil {
			return "", err
		}
	}
	fresh, err := os.MkdirTemp(home, i.name+".new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	if err := os.Chmod(fresh, 0o755); err != nil {
		return "", err
	}
	if err := i.fill(ctx, fresh); err != nil {
		return "", fmt.Errorf("install %s: %w", i.name, err)
	}
	seal, err := i.seal(fresh)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(fresh, marker), []byte(seal), 0o644); err != nil {
		return "", err
	}
	return folder, os.Rename(fresh, folder)
}

func (i installation) isGood(folder string) bool {
	want, err := os.ReadFile(filepath.Join(folder, marker))
	if err != nil {
		return false
	}
	got, err := i.seal(folder)
	return err == nil && got == string(want)
}

// seal is a hash over the pins and over the names and sizes of all files.
// Contents are not read again: that would cost every test process seconds, and
// what the registries sent has been checked when it came. Python's compiled
// files come and go with use, so they do not count.
func (i installation) seal(folder string) (string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%q\n", i.pins)
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "__pycache__":
			return fs.SkipDir
		case d.IsDir() || d.Name() == marker:
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		fmt.Fprintf(hash, "%q %d\n", name, info.Size())
		return err
	})
	return hex.EncodeToString(hash.Sum(nil)) + "\n", err
}

// lock takes a lock between processes. The system releases it when the process
// ends, however it ends.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// home is the folder `.tools` of the checkout that the process runs in.
func home() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		content, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		if err == nil && strings.HasPrefix(string(content), "module github.com/memberkey/memberkey\n") {
			return filepath.Join(folder, ".tools"), nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("run inside a checkout of memberkey: the tools are installed there")
		}
		folder = parent
	}
}
