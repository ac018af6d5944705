// Command smoke tells in a minute or two whether a deployed Memberkey works,
// mail and its events included; `make smoke ENV=dev` runs it after every
// deployment. It is safe in production: it works in an organization of its own,
// named smoke, mails nobody but SES's mailbox simulator, and opens nobody's
// link. Its token must be of that organization's administrator; with any other
// it ends before the first call.
//
//	go run ./infra/smoke -stack memberkey-dev
//	MEMBERKEY_TOKEN=… go run ./infra/smoke -url https://members.example.org -sender smoke@example.org
//
// With -stack it asks CloudFormation where the system is, makes an
// administrator of the organization smoke in the stack's user pool for as long
// as it runs, and looks at the SES account; it does so by the AWS CLI, with the
// rights of whoever calls it.
//
// It prints a line a check, and ends with 1 where one failed. What it leaves is
// the organization with seven people at the simulator's addresses, whose logins
// are removed and whose links are dead, and one report of a mailing.
//
// What it cannot see is a mail: nobody has a mailbox at the simulator. So the
// set-password page is opened by the sample link of a preview, and that mails
// arrive is told by SES's events.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Getenv, commandLine, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "smoke:", err)
		os.Exit(1)
	}
}

// command reads the flags, learns of the stack where one is named, and runs
// the checks.
func command(ctx context.Context, args []string, getenv func(string) string, cli cli, out io.Writer) (err error) {
	flags := flag.NewFlagSet("smoke", flag.ContinueOnError)
	flags.SetOutput(out)
	c := config{poll: time.Second}
	flags.StringVar(&c.api, "url", "", "`address` of the API, such as https://members.example.org")
	flags.StringVar(&c.portal, "portal", "", "`address` of the member pages (default: that of the API)")
	flags.StringVar(&c.sender, "sender", "", "`address` from which the smoke test mails; SES must know its domain")
	flags.StringVar(&c.token, "token", getenv("MEMBERKEY_TOKEN"), "access `token` of an administrator of the organization smoke (default: MEMBERKEY_TOKEN)")
	name := flags.String("stack", "", "`name` of the CloudFormation stack to ask for all of these")
	flags.DurationVar(&c.wait, "wait", 3*time.Minute, "how long to wait for a mail's events, and for whatever else happens behind the queues")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected %q; see -help", flags.Arg(0))
	}
	if *name != "" {
		s := &stack{name: *name, cli: cli}
		if err := s.complete(ctx, &c); err != nil {
			return err
		}
		if c.token == "" {
			leave, err := s.administrator(ctx, &c)
			defer func() { err = errors.Join(err, leave()) }()
			if err != nil {
				return err
			}
		}
		c.account = s.account
	}
	switch {
	case c.api == "":
		return errors.New("say where the system is: -stack or -url")
	case c.token == "":
		return errors.New("an access token is needed: MEMBERKEY_TOKEN, or -stack with its own user pool")
	case c.sender == "":
		return errors.New("say from which address to mail: -sender")
	}
	c.api = strings.TrimSuffix(c.api, "/")
	c.portal = strings.TrimSuffix(cmp.Or(c.portal, c.api), "/")
	return run(ctx, c, out)
}
