// Command vendored fetches the libraries of others that the staff console uses,
// as they were released, into functions/console/files/vendor. Run it by
//
//	make vendor          # the releases that functions/console/vendored.json names
//	make vendor NEWEST=1 # the newest ones of the same major versions; says what changed
//
// vendored.json is the record: which release of which package, its archive's
// hash, its licence, and which of its files the console needs. A new library, a
// new major version or one file more is written there by hand, without hashes
// (the integrity is what `npm view NAME@VERSION dist.integrity` says). A test of
// functions/console holds the files against it.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/memberkey/memberkey/infra/tools"
)

func main() {
	newest := flag.Bool("newest", false, "take the newest release of the same major version")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := (vendor{console: "functions/console", pack: tools.Package, newest: tools.NewestPackage, out: os.Stdout}).run(ctx, *newest); err != nil {
		fmt.Fprintln(os.Stderr, "vendored:", err)
		os.Exit(1)
	}
}

// library is one entry of the record.
type library struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Licence   string `json:"licence"` // as package.json has it
	Integrity string `json:"integrity"`
	Files     []file `json:"files"`
}

// file is one file of a library.
type file struct {
	Name   string `json:"name"` // in files/vendor/{library}
	From   string `json:"from"` // path in the package
	SHA256 string `json:"sha256"`
}

// vendor fills the folder of one console.
type vendor struct {
	console string // its folder
	pack    func(ctx context.Context, folder, name, version, integrity string) error
	newest  func(ctx context.Context, name, version string) (newest, integrity string, err error)
	out     io.Writer
}

// run changes nothing unless all of it succeeds.
func (v vendor) run(ctx context.Context, newest bool) error {
	recordFile := filepath.Join(v.console, "vendored.json")
	text, err := os.ReadFile(recordFile)
	if err != nil {
		return err
	}
	var record []library
	if err := json.Unmarshal(text, &record); err != nil {
		return fmt.Errorf("%s: %w", recordFile, err)
	}
	// Beside the folder that it becomes, so that it can be renamed.
	fresh, err := os.MkdirTemp(v.console, "vendor-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	if err := os.Chmod(fresh, 0o755); err != nil {
		return err
	}
	for i := range record {
		l := &record[i]
		if newest {
			was := l.Version
			if l.Version, l.Integrity, err = v.newest(ctx, l.Name, was); err != nil {
				return err
			}
			if l.Version != was {
				fmt.Fprintf(v.out, "%s %s is now %s\n", l.Name, was, l.Version)
			}
		}
		if err := v.fetch(ctx, l, filepath.Join(fresh, l.Name)); err != nil {
			return err
		}
	}
	if text, err = json.MarshalIndent(record, "", "  "); err != nil {
		return err
	}
	folder := filepath.Join(v.console, "files", "vendor")
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.Rename(fresh, folder); err != nil {
		return err
	}
	return os.WriteFile(recordFile, append(text, '\n'), 0o644)
}

// fetch puts one library's files into folder, and their hashes into its entry.
func (v vendor) fetch(ctx context.Context, l *library, folder string) error {
	unpacked, err := os.MkdirTemp("", "vendored-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(unpacked)
	if err := v.pack(ctx, unpacked, l.Name, l.Version, l.Integrity); err != nil {
		return err
	}
	about, err := os.ReadFile(filepath.Join(unpacked, "package.json"))
	if err != nil {
		return err
	}
	var released struct{ License string }
	if err := json.Unmarshal(about, &released); err != nil {
		return fmt.Errorf("%s: package.json: %w", l.Name, err)
	}
	if released.License != l.Licence {
		return fmt.Errorf("%s %s has the licence %q and not %q: if it may be used under it, write it into vendored.json", l.Name, l.Version, released.License, l.Licence)
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	for i := range l.Files {
		f := &l.Files[i]
		content, err := os.ReadFile(filepath.Join(unpacked, filepath.FromSlash(f.From)))
		if err != nil {
			return fmt.Errorf("%s %s: %w", l.Name, l.Version, err)
		}
		sum := sha256.Sum256(content)
		f.SHA256 = hex.EncodeToString(sum[:])
		if err := os.WriteFile(filepath.Join(folder, f.Name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
