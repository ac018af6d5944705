package tools

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// Deque's axe-core, which finds what keeps people out of a page. Its licence
// (MPL 2.0) would allow to commit it, but nothing that we ship needs it.
const (
	axe          = "axe-core"
	axeVersion   = "4.14.1"
	axeIntegrity = "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
)

var axeInstallation = installation{
	name: axe,
	pins: axe + "@" + axeVersion + " " + axeIntegrity,
	fill: func(ctx context.Context, folder string) error {
		return Package(ctx, folder, axe, axeVersion, axeIntegrity)
	},
}

var sharedAxe = sync.OnceValues(func() (string, error) {
	home, err := home()
	if err != nil {
		return "", err
	}
	folder, err := axeInstallation.install(context.Background(), home)
	if err != nil {
		return "", err
	}
	script, err := os.ReadFile(filepath.Join(folder, "axe.min.js"))
	return string(script), err
})

// browsers are the names under which systems have the browser that chromedp
// drives.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}

func chromium() (string, error) {
	for _, name := range browsers {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", &Missing{"the browser tests", "chromium", "install Chromium or Chrome, so that it is on the PATH (Debian: chromium)"}
}
