// Command local runs the whole of Memberkey on one laptop; `make run` starts
// it. It needs nothing but its folder, and stops cleanly on Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/infra/local/system"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "memberkey:", err)
		os.Exit(1)
	}
}

func run() error {
	address := flag.String("addr", "localhost:8080", "`address` to listen on; this machine only, port 0 takes a free one")
	data := flag.String("data", ".local", "`folder` that keeps everything; delete it to begin anew")
	fail := flag.String("fail", "", "`faults` of the mail service, such as throttle=0.2,drop=0.05,slow=50ms")
	template := flag.String("template", "template.yaml", "`file` with the routes")
	verbose := flag.Bool("v", false, "log every request")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected %q; see -help", flag.Arg(0))
	}
	faults, err := mailbox.ParseFaults(*fail)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(*template)
	if err != nil {
		return fmt.Errorf("%w: start it in the project's folder, or say -template", err)
	}
	level := slog.LevelWarn
	if *verbose {
		level = slog.LevelInfo
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	say := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := system.Start(system.Config{
		Address: *address, Data: *data, Template: text, Mail: mailbox.Options{Faults: faults, Log: log}, Log: log, Say: say,
	})
	if err != nil {
		return err
	}
	say("Memberkey is at %s", s.Address)
	say("  the mailbox:      %s/local/mailbox", s.Address)
	say("  the mailings:     %s/local/mailings", s.Address)
	say("  a member's page:  %s/portal/demo/sign-in", s.Address)
	say("  a staff token:    curl '%s/local/token?role=administrator'", s.Address)
	say("Everything is kept in %s. Ctrl-C stops.", *data)
	<-ctx.Done()
	stop() // a second Ctrl-C ends it at once
	say("\nStopping: what was begun may end.")
	bounded, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	return errors.Join(s.Stop(bounded))
}
