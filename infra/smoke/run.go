package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strconv"
	"strings"
	"time"
)

// organization is the smoke test's own.
const organization = "smoke"

// config is what a run needs to know.
type config struct {
	api, portal string // origins
	sender      string
	token       string
	wait, poll  time.Duration // for what happens behind the queues; from look to look
	// account shows the SES account; nil where nobody can ask for it.
	account func(ctx context.Context) (said string, err error)
}

// smoke is one run.
type smoke struct {
	config
	label string // makes this run's addresses its own

	mailing  string // its ID
	bulkRate float64
}

// check is one line of the output. Where a vital one fails nothing after it
// can be told.
type check struct {
	name  string
	run   func(*smoke, context.Context) (said string, err error)
	vital bool
}

var checks = []check{
	{"api answers", (*smoke).answers, true},
	{"authorizer", (*smoke).authorizer, true},
	{"unknown route", (*smoke).unknownRoute, false},
	{"organization", (*smoke).organization, true},
	{"member pages", (*smoke).pages, false},
	{"people", (*smoke).people, true},
	{"search", (*smoke).search, false},
	{"sign-in", (*smoke).signIn, false},
	{"reset emails", (*smoke).resets, false},
	{"mailing", (*smoke).send, true},
	{"set-password page", (*smoke).samplePage, false},
	{"outcomes", (*smoke).outcomes, true},
	{"undeliverable", (*smoke).undeliverable, false},
	{"ses calls", (*smoke).calls, false},
	{"ses account", (*smoke).shown, false},
}

// errSkipped is a check that had nothing to look at; it is told, and is no failure.
var errSkipped = errors.New("not shown")

func skipped(why string) error { return fmt.Errorf("%w: %s", errSkipped, why) }

// run makes all checks, cleans up, and returns an error where one failed.
func run(ctx context.Context, c config, out io.Writer) error {
	if err := ours(c.token); err != nil {
		return err
	}
	s := &smoke{config: c, label: strconv.FormatInt(time.Now().UnixMilli(), 36)}
	fmt.Fprintf(out, "Smoke test of %s, as administrator of the organization %q\n", c.api, organization)
	failed, stopped := 0, false
	tell := func(mark, name, said string, begun time.Time) {
		fmt.Fprintf(out, "%-5s %-18s %s (%.1f s)\n", mark, name, said, time.Since(begun).Seconds())
	}
	for _, k := range checks {
		if stopped || ctx.Err() != nil {
			fmt.Fprintf(out, "%-5s %-18s not run\n", "-", k.name)
			continue
		}
		begun := time.Now()
		said, err := k.run(s, ctx)
		switch {
		case err == nil:
			tell("ok", k.name, said, begun)
		case errors.Is(err, errSkipped):
			tell("note", k.name, err.Error(), begun)
		default:
			failed++
			stopped = k.vital
			tell("FAIL", k.name, err.Error(), begun)
		}
	}
	// What was begun is ended, also after Ctrl-C.
	begun := time.Now()
	tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := s.cleanUp(tidy); err != nil {
		failed++
		tell("FAIL", "clean up", err.Error(), begun)
	} else {
		tell("ok", "clean up", "logins removed, links ended", begun)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed", failed, len(checks)+1)
	}
	fmt.Fprintln(out, "All is well.")
	return nil
}

// ours refuses a token of any other organization before it can do anything
// there. The token is not verified here; the API does that.
func ours(token string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("the token is no JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	claims := map[string]any{}
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return errors.New("the token is no JWT")
	}
	const group = organization + ":administrator"
	for _, claim := range claims {
		switch v := claim.(type) {
		case string:
			if v == group {
				return nil
			}
		case []any:
			if len(v) == 1 && v[0] == any(group) {
				return nil
			}
		}
	}
	return fmt.Errorf("the token must be in the one group %s, so that nothing of a real organization is touched", group)
}

// answer is what came back of a request.
type answer struct {
	what   string
	status int
	header http.Header
	body   []byte
}

var client = &http.Client{
	Timeout:       35 * time.Second, // an HTTP API's own limit is 30 s
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// do sends a request; headers are names and values in turn. Anything but a
// string, which is a form, is sent as JSON.
func do(ctx context.Context, c *http.Client, method, address string, body any, headers ...string) (*answer, error) {
	var reader io.Reader
	kind := ""
	switch b := body.(type) {
	case nil:
	case string:
		reader, kind = strings.NewReader(b), "application/x-www-form-urlencoded"
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		reader, kind = bytes.NewReader(text), "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, method, address, reader)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	if err != nil {
		return nil, err
	}
	return &answer{method + " " + req.URL.Path, res.StatusCode, res.Header, text}, nil
}

// wanted is an error unless the status is one of these.
func (a *answer) wanted(statuses ...int) error {
	if slices.Contains(statuses, a.status) {
		return nil
	}
	text := strings.TrimSpace(string(a.body[:min(len(a.body), 300)]))
	return fmt.Errorf("%s answered %d: %s", a.what, a.status, text)
}

// staff asks the API as the administrator, wants one of the statuses and
// decodes the JSON into v, which may be nil.
func (s *smoke) staff(ctx context.Context, method, path string, body, v any, statuses []int, headers ...string) (*answer, error) {
	a, err := do(ctx, client, method, s.api+path, body, append([]string{"Authorization", "Bearer " + s.token}, headers...)...)
	if err != nil {
		return nil, err
	}
	if err := a.wanted(statuses...); err != nil {
		return nil, err
	}
	if v != nil && len(a.body) > 0 {
		if err := json.Unmarshal(a.body, v); err != nil {
			return nil, fmt.Errorf("%s: %w", a.what, err)
		}
	}
	return a, nil
}

// until asks again and again until done, an error, or the time is up.
func (s *smoke) until(ctx context.Context, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s", what)
		case <-time.After(s.poll):
		}
	}
}

// browser is a member's, with cookies.
func browser() *http.Client {
	jar, _ := cookiejar.New(nil)
	c := *client
	c.Jar = jar
	return &c
}
