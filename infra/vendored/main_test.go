package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const pinned = `[{"name": "lib", "version": "1.2.0", "licence": "MIT", "integrity": "sha512-old", "files": [
	{"name": "lib.js", "from": "dist/lib.js"}, {"name": "LICENSE", "from": "LICENSE"}]}]`

// released is a registry with two releases of one library.
func released(_ context.Context, folder, name, version, integrity string) error {
	if name+"@"+version+" "+integrity != "lib@1.2.0 sha512-old" && name+"@"+version+" "+integrity != "lib@1.3.0 sha512-new" {
		return errors.New("no such release")
	}
	return os.CopyFS(folder, files(map[string]string{"package.json": `{"license": "MIT"}`, "LICENSE": "may", "dist/lib.js": version, "dist/other.js": "x"}))
}

func files(text map[string]string) fs.FS {
	folder := fstest.MapFS{}
	for name, content := range text {
		folder[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	return folder
}

// read gives all files below a folder.
func read(t *testing.T, folder string) map[string]string {
	t.Helper()
	text := map[string]string{}
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(os.DirFS(folder), name)
		text[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRun(t *testing.T) {
	newer := func(_ context.Context, name, version string) (string, string, error) {
		if name != "lib" || version != "1.2.0" {
			return "", "", errors.New("no such release")
		}
		return "1.3.0", "sha512-new", nil
	}
	for name, test := range map[string]struct {
		newest bool
		pack   func(ctx context.Context, folder, name, version, integrity string) error
		record string
		says   string
		want   string // version; empty where nothing may change
	}{
		"as pinned":         {false, released, pinned, "", "1.2.0"},
		"the newest":        {true, released, pinned, "lib 1.2.0 is now 1.3.0\n", "1.3.0"},
		"not to be fetched": {false, func(context.Context, string, string, string, string) error { return errors.New("refused") }, pinned, "", ""},
		"another licence":   {false, released, string(bytes.Replace([]byte(pinned), []byte("MIT"), []byte("ISC"), 1)), "", ""},
		"a file is gone":    {false, released, string(bytes.Replace([]byte(pinned), []byte("dist/lib.js"), []byte("lib.js"), 1)), "", ""},
		"record damaged":    {false, released, pinned[:20], "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			console := t.TempDir()
			before := map[string]string{"vendored.json": test.record, "files/vendor/lib/lib.js": "old", "files/vendor/gone/LICENSE": "old"}
			if err := os.CopyFS(console, files(before)); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err := vendor{console, test.pack, newer, &out}.run(t.Context(), test.newest)
			if (err == nil) != (test.want != "") {
				t.Fatal(err)
			}
			after := read(t, console)
			if test.want == "" {
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("after %v something has changed:\n%s", err, diff)
				}
				return
			}
			if out.String() != test.says {
				t.Errorf("it says %q, want %q", out.String(), test.says)
			}
			var record []library
			if err := json.Unmarshal([]byte(after["vendored.json"]), &record); err != nil {
				t.Fatal(err)
			}
			delete(after, "vendored.json")
			if diff := cmp.Diff(map[string]string{"files/vendor/lib/lib.js": test.want, "files/vendor/lib/LICENSE": "may"}, after); diff != "" {
				t.Error(diff)
			}
			for _, f := range record[0].Files {
				if sum := sha256.Sum256([]byte(after["files/vendor/lib/"+f.Name])); f.SHA256 != hex.EncodeToString(sum[:]) || record[0].Version != test.want {
					t.Errorf("record %+v", record)
				}
			}
			// Once more, there is nothing to change.
			first := read(t, console)
			if err := (vendor{console, test.pack, nil, &out}).run(t.Context(), false); err != nil || !maps.Equal(first, read(t, console)) {
				t.Errorf("the second time: %v", err)
			}
		})
	}
}
