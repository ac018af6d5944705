package tools

import (
	"context"
	"os/exec"
)

// What tests need to see of the package's inside.

// Installation is an installation whose content a test decides.
func Installation(name, pins string, fill func(ctx context.Context, folder string) error) interface {
	Install(ctx context.Context, home string) (string, error)
} {
	return exported{installation{name: name, pins: pins, fill: fill}}
}

type exported struct{ installation }

func (e exported) Install(ctx context.Context, home string) (string, error) {
	return e.install(ctx, home)
}

// What installs from registries.
var (
	NPM    = npm
	Pip    = pip
	Pack   = pack
	Unpack = unpack
)

// Start starts a server whose program a test decides.
func Start(ctx context.Context, prepare func(port string) (program string, args []string)) (endpoint string, stop func(), err error) {
	return started(server{name: "a server", file: "test", prepare: func(ctx context.Context, _, port string) (*exec.Cmd, error) {
		program, args := prepare(port)
		return command(ctx, program, args...)
	}}.start(ctx))
}
