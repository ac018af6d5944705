// Command restore makes an organization safe after its profiles came back from
// a backup: it gives every profile a new epoch. Without that, links and
// sessions that had ended since the backup would be alive again, for a link is
// dead by the epoch alone (H5, H6).
//
//	go run ./infra/restore -profiles TABLE -activity TABLE acme birds
//
// It reads by Query and Get, never by Scan. It may be stopped at any time and
// started again with the -since that it prints: who has a newer epoch is left
// alone. The last thing it does is to walk once more and find nobody.
// infra/runbooks/restore.md says when to run it.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/memberkey/memberkey/shared/dynamo"
	"github.com/memberkey/memberkey/shared/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "restore:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("restore", flag.ContinueOnError)
	flags.SetOutput(out)
	profiles := flags.String("profiles", "", "name of the profiles `table`")
	activity := flags.String("activity", "", "name of the activity `table`")
	since := flags.String("since", "", "`instant` (RFC 3339) that the first run printed, to go on with it; default: now")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r := replacement{Since: time.Now().UTC(), Now: time.Now, Rand: rand.Reader, Say: func(format string, a ...any) { fmt.Fprintf(out, format+"\n", a...) }}
	switch {
	case *profiles == "" || *activity == "":
		return errors.New("say which tables: -profiles and -activity")
	case flags.NArg() == 0:
		return errors.New("say which organizations, one after the other")
	}
	if *since != "" {
		at, err := time.Parse(time.RFC3339Nano, *since)
		if err != nil || at.After(r.Since) {
			return errors.New("-since must be an instant of the past such as 2026-11-23T18:00:00Z")
		}
		r.Since = at
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	r.Store = &store.Store{DB: dynamo.Open(dynamo.NewClient(cfg), map[store.Table]string{store.Profiles: *profiles, store.Activity: *activity})}
	r.Say("If this is stopped, go on with: -since %s", r.Since.Format(time.RFC3339Nano))
	for _, org := range flags.Args() {
		if err := r.organization(ctx, org); err != nil {
			return fmt.Errorf("%s: %w", org, err)
		}
	}
	return nil
}
