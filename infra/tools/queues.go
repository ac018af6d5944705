package tools

import (
	"context"
	"embed"
	"os"
	"os/exec"
	"path"
	"path/filepath"
)

const fauxqs = "fauxqs (SQS)"

// queueFiles are fauxqs' exact packages and the start of the server.
//
// moto's SQS is right too, but too slow to run a system on: on two cores, 1,000
// messages by tens were sent in 14.5 s and received and deleted by 16 receivers
// in 61 s; fauxqs took 0.14 s and 0.75 s. And moto takes every entry of a batch,
// where SQS and fauxqs refuse one with characters that are not allowed.
//
//go:embed queues/package.json queues/package-lock.json queues/server.mjs
var queueFiles embed.FS

var queues = server{
	name:   fauxqs,
	file:   "queues",
	health: "/health",
	prepare: func(ctx context.Context, home, port string) (*exec.Cmd, error) {
		if err := run(ctx, "", "node", "-e", "process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)"); err != nil {
			return nil, &Missing{fauxqs, "node", nodeAdvice}
		}
		folder, err := queuesInstallation().install(ctx, home)
		if err != nil {
			return nil, err
		}
		cmd, err := command(ctx, "node", "server.mjs", port)
		if err != nil {
			return nil, err
		}
		cmd.Dir = folder
		return cmd, nil
	},
}

func queuesInstallation() installation {
	files := map[string][]byte{}
	pins := ""
	for _, name := range []string{"package.json", "package-lock.json", "server.mjs"} {
		content, err := queueFiles.ReadFile(path.Join("queues", name))
		if err != nil {
			panic(err) // it is in the program
		}
		files[name] = content
		pins += string(content)
	}
	return installation{name: "queues", pins: pins, fill: func(ctx context.Context, folder string) error {
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
				return err
			}
		}
		return npm(ctx, fauxqs, folder, "ci")
	}}
}
