package tools_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/memberkey/memberkey/infra/tools"
)

func installTiny(t *testing.T, home, pins string) string {
	t.Helper()
	folder, err := tiny(pins, fillTiny).Install(t.Context(), home)
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// wantWhole checks that the folder has all files, and that there is no other.
func wantWhole(t *testing.T, home, folder string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "sub", "*"))
	if err != nil || len(files) != tinyFiles {
		t.Errorf("%d files, %v: want %d", len(files), err, tinyFiles)
	}
	for _, f := range files {
		if content, err := os.ReadFile(f); err != nil || string(content) != "content" {
			t.Errorf("%s holds %q, %v", f, content, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(home, "tiny.new-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestInstallTwoProcessesAtOnce(t *testing.T) {
	t.Parallel()
	for range 20 {
		home := t.TempDir()
		var start []func()
		var result []func() string
		for range 2 {
			cmd := child(t, "install", home)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stderr = os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			lines.Scan() // ready
			start = append(start, func() { in.Close() })
			result = append(result, func() string {
				lines.Scan()
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
				return lines.Text()
			})
		}
		for _, s := range start {
			s()
		}
		folder := filepath.Join(home, "tiny")
		for _, r := range result {
			if got := r(); got != folder+" <nil>" {
				t.Fatalf("got %s", got)
			}
		}
		if n := fills(t, home); n != 1 {
			t.Fatalf("filled %d times", n)
		}
		wantWhole(t, home, folder)
	}
}

// Whatever is not exactly what was installed is installed again; what is, is
// not.
func TestInstallAgain(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		damage func(folder string) error
		pins   string
		fills  int
	}{
		"nothing changed": {func(string) error { return nil }, "1", 1},
		"compiled Python": {func(f string) error {
			if err := os.Mkdir(filepath.Join(f, "__pycache__"), 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(f, "__pycache__", "a.pyc"), nil, 0o644)
		}, "1", 1},
		"other pins":     {func(string) error { return nil }, "2", 2},
		"file missing":   {func(f string) error { return os.Remove(filepath.Join(f, "sub", "3")) }, "1", 2},
		"file cut short": {func(f string) error { return os.Truncate(filepath.Join(f, "sub", "3"), 4) }, "1", 2},
		"file added":     {func(f string) error { return os.WriteFile(filepath.Join(f, "sub", "x"), nil, 0o644) }, "1", 2},
		"no marker":      {func(f string) error { return os.Remove(filepath.Join(f, ".installed")) }, "1", 2},
		"empty marker":   {func(f string) error { return os.Truncate(filepath.Join(f, ".installed"), 0) }, "1", 2},
		"gone":           {os.RemoveAll, "1", 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			folder := installTiny(t, home, "1")
			if err := test.damage(folder); err != nil {
				t.Fatal(err)
			}
			folder = installTiny(t, home, test.pins)
			if n := fills(t, home); n != test.fills {
				t.Errorf("filled %d times, want %d", n, test.fills)
			}
			wantWhole(t, home, folder)
		})
	}
}

func TestInstallFails(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	broken := errors.New("broken")
	_, err := tiny("1", func(_ context.Context, folder string) error {
		return errors.Join(os.WriteFile(filepath.Join(folder, "half"), nil, 0o644), broken)
	}).Install(t.Context(), home)
	if !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(home, "tiny")); err == nil {
		t.Error("a failed installation is there")
	}
	wantWhole(t, home, installTiny(t, home, "1"))
}

func TestInstallAfterAKilledInstaller(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	cmd := child(t, "stuck", home)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "stuck\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	wait, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tiny("1", fillTiny).Install(wait, home); !errors.Is(err, context.Canceled) {
		t.Errorf("beside an installer at work: %v, want to wait for it", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	wantWhole(t, home, installTiny(t, home, "1"))
	if n := fills(t, home); n != 1 {
		t.Errorf("filled %d times", n)
	}
}

// npm and pip refuse what is not what was pinned, and then no test may be
// skipped as if a registry could not be reached.
func TestRegistriesRefuseOtherBytes(t *testing.T) {
	t.Parallel()
	missing := (*tools.Missing)(nil)

	t.Run("npm pack", func(t *testing.T) {
		t.Parallel()
		_, err := tools.Pack(t.Context(), "a test", t.TempDir(), "toad-cache", "3.7.0", "sha512-"+strings.Repeat("A", 86)+"==")
		if err == nil || errors.As(err, &missing) || !strings.Contains(err.Error(), "not the pinned archive") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("npm ci", func(t *testing.T) {
		t.Parallel()
		folder := t.TempDir()
		write(t, folder, "package.json", `{"name":"a","private":true,"dependencies":{"toad-cache":"3.7.0"}}`)
		write(t, folder, "package-lock.json", `{"name":"a","lockfileVersion":3,"requires":true,"packages":{
			"":{"name":"a","dependencies":{"toad-cache":"3.7.0"}},
			"node_modules/toad-cache":{"version":"3.7.0","integrity":"sha512-`+strings.Repeat("A", 86)+`=="}}}`)
		err := tools.NPM(t.Context(), "a test", folder, "ci")
		if err == nil || errors.As(err, &missing) || !strings.Contains(err.Error(), "EINTEGRITY") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("pip", func(t *testing.T) {
		t.Parallel()
		folder := t.TempDir()
		if out, err := exec.CommandContext(t.Context(), "python3", "-m", "venv", folder).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		err := tools.Pip(t.Context(), folder, "six==1.17.0 --hash=sha256:"+strings.Repeat("0", 64)+"\n")
		if err == nil || errors.As(err, &missing) || !strings.Contains(err.Error(), "DO NOT MATCH THE HASHES") {
			t.Errorf("got %v", err)
		}
		if err := tools.Pip(t.Context(), folder, "six==1.17.0\n"); err == nil {
			t.Error("a package without a hash was installed")
		}
	})
}

// A version is never behind itself, and its major never changes.
func TestNewestPackage(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write(t, folder, "npm", `#!/bin/sh
[ "$2" = many@^2.0.0 ] && echo '[{"name":"many","version":"2.1.9","dist.integrity":"sha512-a"},{"name":"many","version":"2.1.19","dist.integrity":"sha512-b"},{"name":"many","version":"2.1.2","dist.integrity":"sha512-c"}]'
[ "$2" = one@^1.0.0 ] && echo '{"name":"one","version":"1.0.0","dist.integrity":"sha512-d"}'
exit 0
`)
	for name, want := range map[string]string{"many 2.0.5": "2.1.19 sha512-b <nil>", "one 1.0.0": "1.0.0 sha512-d <nil>", "none 3.0.0": "  npm view none: unexpected end of JSON input"} {
		cmd := child(t, "newest", strings.Fields(name)...)
		cmd.Env = append(cmd.Env, "PATH="+folder+":/bin:/usr/bin")
		out, err := cmd.Output()
		if got := strings.TrimSuffix(string(out), "\n"); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	archive := func(names ...string) []byte {
		var all bytes.Buffer
		zipped := gzip.NewWriter(&all)
		files := tar.NewWriter(zipped)
		for _, name := range names {
			if err := files.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 1, Mode: 0o644}); err != nil {
				t.Fatal(err)
			}
			if _, err := files.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(files.Close(), zipped.Close()); err != nil {
			t.Fatal(err)
		}
		return all.Bytes()
	}

	folder := t.TempDir()
	if err := tools.Unpack(archive("package/readme", "package/jars/a", "package/jars/lib/b"), "package/jars/", folder); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"a": true, "lib/b": true, "readme": false} {
		if _, err := os.Stat(filepath.Join(folder, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := tools.Unpack(archive("package/jars/../../outside"), "package/jars/", folder); err == nil {
		t.Error("a file outside the folder was written")
	}
	whole := archive("package/jars/a")
	if err := tools.Unpack(whole[:len(whole)-20], "package/jars/", folder); err == nil {
		t.Error("half an archive was taken")
	}
}

func write(t *testing.T, folder, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}
