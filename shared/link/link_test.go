package link_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/profile"
)

var minted = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func page(t *testing.T, org string, purpose link.Purpose) *link.Page {
	t.Helper()
	p, err := link.NewPage(rand.Reader, org, purpose, "", minted, minted.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mint(t *testing.T, p *link.Page, id profile.ID) link.Token {
	t.Helper()
	token, err := p.Mint(rand.Reader, id, "epoch-"+string(id))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestATokenOpensItsOwnEntryAndNoOther(t *testing.T) {
	p := page(t, "demo", link.Reset)
	tokens := map[profile.ID]link.Token{}
	for i := range 50 {
		id := profile.ID(fmt.Sprint(1000 + i))
		tokens[id] = mint(t, p, id)
	}
	for id, token := range tokens {
		parsed, name, ok := link.Parse(token.Reveal())
		if !ok || name != p.ID {
			t.Fatalf("the token of %s is not read: page %q, %v", id, name, ok)
		}
		if e, ok := p.Find(parsed); !ok || e.Profile != id || e.Epoch != "epoch-"+string(id) {
			t.Errorf("the token of %s opens %+v, %v", id, e.Profile, ok)
		}
	}
}

// A25: a token of one purpose or organization opens nothing of another, even
// on a page that holds the same hashes.
func TestA25PurposeAndOrganizationAreInTheHash(t *testing.T) {
	p := page(t, "demo", link.Reset)
	token := mint(t, p, "1")
	for _, other := range []link.Page{
		{ID: p.ID, Organization: "other", Purpose: link.Reset, Entries: p.Entries},
		{ID: p.ID, Organization: "demo", Purpose: link.Mailing, Entries: p.Entries},
		{ID: p.ID, Organization: "demo", Purpose: link.Forgot, Entries: p.Entries},
	} {
		if _, ok := other.Find(token); ok {
			t.Errorf("a reset link of demo opens as %s of %s", other.Purpose, other.Organization)
		}
	}
}

func TestParseTakesTheExactShapeAlone(t *testing.T) {
	good := mint(t, page(t, "demo", link.Reset), "1").Reveal()
	if len(good) != link.TokenLength {
		t.Fatalf("a token of %d characters", len(good))
	}
	for _, s := range []string{
		"", "sample", good[1:], good[:len(good)-1], good + "A", good + ".", good[:20] + "-" + good[21:], good[:20] + "é" + good[22:],
		strings.Repeat("A", link.TokenLength-1) + " ", "/" + good[1:],
	} {
		if _, _, ok := link.Parse(s); ok {
			t.Errorf("%q is taken for a token", s)
		}
	}
}

// A13, as far as it needs no statistics: tokens differ, and a failing source of
// randomness gives an error and no token.
func TestA13Tokens(t *testing.T) {
	p := page(t, "demo", link.Mailing)
	seen := map[string]bool{}
	for range 20_000 {
		p.Entries = p.Entries[:0]
		s := mint(t, p, "1").Reveal()
		if seen[s] {
			t.Fatal("a token came twice")
		}
		seen[s] = true
	}
	broken := iotest.ErrReader(errors.New("no randomness"))
	if _, err := link.NewPage(broken, "demo", link.Reset, "", minted, minted); err == nil {
		t.Error("a page without randomness")
	}
	before := len(p.Entries)
	if token, err := p.Mint(broken, "1", "e"); err == nil || token.Reveal() != "" || len(p.Entries) != before {
		t.Error("a token without randomness")
	}
}

func TestState(t *testing.T) {
	p := page(t, "demo", link.Reset)
	token := mint(t, p, "1")
	e, _ := p.Find(token)
	live := link.Condition{Now: minted.Add(time.Hour), Epoch: "epoch-1", Right: profile.Right{Allowed: true}}
	for name, test := range map[string]struct {
		change func(*link.Condition)
		want   link.State
	}{
		"live":                           {func(*link.Condition) {}, link.Live},
		"at its last instant":            {func(c *link.Condition) { c.Now = p.Ends.Add(-time.Millisecond) }, link.Live},
		"at its end":                     {func(c *link.Condition) { c.Now = p.Ends }, link.Ended},
		"another epoch":                  {func(c *link.Condition) { c.Epoch = "epoch-2" }, link.Ended},
		"revoked":                        {func(c *link.Condition) { c.Revoked = true }, link.Ended},
		"may not sign in":                {func(c *link.Condition) { c.Right = profile.Right{Reason: "not_a_member"} }, link.NotAllowed},
		"may not, and too late":          {func(c *link.Condition) { c.Right = profile.Right{}; c.Now = p.Ends }, link.Ended},
		"profile gone":                   {func(c *link.Condition) { c.Epoch = "" }, link.Unknown},
		"used by this link":              {func(c *link.Condition) { c.Epoch = "epoch-2"; c.UsedBy = e.Hash[:] }, link.Used},
		"used by this link, and revoked": {func(c *link.Condition) { c.Revoked = true; c.UsedBy = e.Hash[:] }, link.Used},
		"used by another link":           {func(c *link.Condition) { c.Epoch = "epoch-2"; c.UsedBy = make([]byte, 32) }, link.Ended},
	} {
		c := live
		test.change(&c)
		if got := p.State(e, c); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// A27: a token shows itself to nobody who does not ask for it by name.
func TestA27ATokenPrintsNothing(t *testing.T) {
	token := mint(t, page(t, "demo", link.Reset), "1")
	type letter struct {
		Shown  link.Token
		hidden link.Token
	}
	l := letter{token, token}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "token", token, "letter", l)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "token", token, "letter", l)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb, token, &token, l)
	}
	b, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	if secret := token.Reveal(); strings.Contains(out.String(), secret) || strings.Contains(out.String(), fmt.Sprintf("%x", secret)) {
		t.Errorf("a token was printed:\n%s", out.String())
	}
}
