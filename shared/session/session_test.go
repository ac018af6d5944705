package session_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/session"
	"github.com/memberkey/memberkey/shared/store"
)

// TestH6EveryRequestAsks: whatever ends a login or its right ends the session
// at the next request.
func TestH6EveryRequestAsks(t *testing.T) {
	for name, end := range map[string]func(w *world, in *session.SignedIn){
		"time":  func(w *world, in *session.SignedIn) { w.pass(12 * time.Hour) },
		"epoch": func(w *world, _ *session.SignedIn) { w.edit("2", func(p *profile.Profile) { p.Epoch = "other" }) },
		"status": func(w *world, _ *session.SignedIn) {
			w.edit("2", func(p *profile.Profile) { p.Status = profile.Dropped })
		},
		"disabled":  func(w *world, _ *session.SignedIn) { w.edit("2", func(p *profile.Profile) { p.Disabled = true }) },
		"sign out":  func(w *world, in *session.SignedIn) { w.signOut(in) },
		"no status": func(w *world, _ *session.SignedIn) { w.setStatuses() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			in := w.in("bob")
			w.pass(11 * time.Hour)
			w.who(in.Token)
			end(w, in)
			if _, err := w.sessions.Resolve(t.Context(), org, in.Token); !errors.Is(err, session.SignedOut) {
				t.Errorf("%v", err)
			}
		})
	}
}

func (w *world) signOut(in *session.SignedIn) {
	if err := w.sessions.SignOut(w.Context(), org, in.Token, "192.0.2.1"); err != nil {
		w.Error(err)
	}
}

// setStatuses changes who counts as a member.
func (w *world) setStatuses(statuses ...profile.Status) {
	w.update(func(tx *store.Tx) error {
		s, err := tx.Organization(org)
		if err == nil {
			s.MemberStatuses = statuses
			tx.PutOrganization(s)
		}
		return err
	})
}

func TestForeignTokens(t *testing.T) {
	w := newWorld(t)
	in := w.in("bob")
	for _, token := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("A", 4000), "a\x00b", in.Device.Reveal(), in.Token.Reveal() + "x"} {
		if _, err := w.sessions.Resolve(t.Context(), org, session.NewToken(token)); !errors.Is(err, session.SignedOut) {
			t.Errorf("%.20q: %v", token, err)
		}
		if err := w.sessions.SignOut(t.Context(), org, session.NewToken(token), ""); err != nil {
			t.Errorf("%.20q: %v", token, err)
		}
	}
	// The token of one organization is nobody's in another (A25).
	other := *w.who(in.Token).Organization
	other.ID = "other"
	w.update(func(tx *store.Tx) error { tx.PutOrganization(&other); return nil })
	if _, err := w.sessions.Resolve(t.Context(), "other", in.Token); !errors.Is(err, session.SignedOut) {
		t.Error(err)
	}
	if _, err := w.sessions.Resolve(t.Context(), "none", in.Token); !errors.Is(err, store.NoOrganization) {
		t.Error(err)
	}
	if w.who(in.Token).Profile.ID != "2" {
		t.Error("somebody's token ended another's session")
	}
	w.signOut(in)
	if e := w.trail("2")[0]; e.Kind != activity.SignedOutHere && w.trail("2")[1].Kind != activity.SignedOutHere {
		t.Errorf("%+v", e)
	}
}

// TestNothingIsStoredInPlain: neither tokens nor names are in the store.
func TestNothingIsStoredInPlain(t *testing.T) {
	w := newWorld(t)
	in := w.in("bob")
	for range 2 {
		if _, err := w.signIn("canary-name", password.NewPlain("canary password canary")); !errors.Is(err, session.Refused) {
			t.Fatal(err)
		}
	}
	for _, key := range []string{credential.AttemptsKey(org, "canary-name")} {
		a, err := w.store.Attempts(t.Context(), org, key)
		if err != nil || a == nil {
			t.Fatalf("%v %v", a, err)
		}
		if text := fmt.Sprintf("%+v", *a); strings.Contains(text, "canary") {
			t.Errorf("attempts: %s", text)
		}
	}
	s := w.who(in.Token).Session
	if text := fmt.Sprintf("%+v", *s); strings.Contains(text, in.Token.Reveal()) {
		t.Errorf("session: %s", text)
	}
}

// TestA27TokensNeverPrint.
func TestA27TokensNeverPrint(t *testing.T) {
	in := session.SignedIn{Token: session.NewToken("canary"), Device: session.NewToken("canary")}
	a := session.Attempt{Name: "ana", Password: password.NewPlain("canary"), Device: in.Device, Previous: in.Token}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "in", in, "attempt", a, "token", in.Token)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "in", in, "attempt", a, "token", in.Token)
	b, err := json.Marshal([]any{in, a})
	if err != nil {
		t.Fatal(err)
	}
	all := log.String() + string(b) + fmt.Sprintf("%v %+v %#v %v %+v %#v %q %s", in, in, in, a, a, a, in.Token, in.Token)
	if strings.Contains(all, "canary") || !strings.Contains(all, "redacted") {
		t.Error(all)
	}
	if (session.Token{}).Reveal() != "" {
		t.Error("the zero token says something")
	}
}

// related makes 1 an editor of some companies and others.
func related(w *world) {
	company := func(id profile.ID, change ...func(*profile.Profile)) {
		w.person(id, "", "", false, append(change, func(p *profile.Profile) { p.Type, p.OrganizationName = profile.Organization, "Company "+string(id) })...)
	}
	company("100")
	company("101", func(p *profile.Profile) { p.Status = profile.Lapsed })
	company("102", func(p *profile.Profile) { p.Disabled = true })
	company("103")
	company("104")
	company("105")
	w.edit("1", func(p *profile.Profile) {
		p.Relations = []profile.Relation{
			{To: "100", Kind: "Employee", CanEdit: true}, {To: "101", Kind: "Owner", CanEdit: true}, {To: "102", Kind: "Owner", CanEdit: true},
			{To: "103", Kind: "Former Employee", CanEdit: true}, {To: "104", Kind: "Employee", MainContact: true}, {To: "105", Kind: "Friend", CanEdit: true},
			{To: "none", Kind: "Owner", CanEdit: true},
		}
	})
}

func TestSwitch(t *testing.T) {
	w := newWorld(t)
	related(w)
	in := w.in("ana@example.org")
	who := w.who(in.Token)
	list, err := w.sessions.Switchable(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	var ids []profile.ID
	for _, p := range list {
		ids = append(ids, p.ID)
	}
	if diff := cmp.Diff([]profile.ID{"100", "105"}, ids); diff != "" {
		t.Error(diff)
	}
	for _, to := range []profile.ID{"101", "102", "103", "104", "none", "2", "", "#nobody"} {
		if err := w.sessions.Switch(t.Context(), who, to, ""); !errors.Is(err, session.NotSwitchable) {
			t.Errorf("%q: %v", to, err)
		}
	}
	step := func(to, acting profile.ID, about string, detail map[string]string) {
		t.Helper()
		w.pass(time.Second)
		if err := w.sessions.Switch(t.Context(), w.who(in.Token), to, "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
		got := w.who(in.Token).ActingFor
		if (got == nil) != (acting == "") || got != nil && got.ID != acting {
			t.Errorf("acting for %v", got)
		}
		e := w.trail(profile.ID(about))[0]
		if e.Kind != activity.Switched || e.Actor.ID != "1" || e.ActingFor != string(acting) || cmp.Diff(detail, e.Detail) != "" {
			t.Errorf("trail of %s: %+v", about, e)
		}
	}
	step("100", "100", "100", map[string]string{"from": "1", "to": "100"})
	step("105", "105", "105", map[string]string{"from": "100", "to": "105"})
	step("1", "", "105", map[string]string{"from": "105", "to": "1"})
	step("100", "100", "100", map[string]string{"from": "1", "to": "100"})
	n := len(w.trail("100"))
	if err := w.sessions.Switch(t.Context(), w.who(in.Token), "100", ""); err != nil || len(w.trail("100")) != n {
		t.Errorf("switching to where one is: %v", err)
	}
	// A relation that ends is left at the next request; the session stays.
	w.edit("1", func(p *profile.Profile) { p.Relations[0].Kind = "Former Employee" })
	if got := w.who(in.Token); got.ActingFor != nil || got.Profile.ID != "1" {
		t.Errorf("%+v", got.ActingFor)
	}
	who = w.who(in.Token)
	w.signOut(in)
	if err := w.sessions.Switch(t.Context(), who, "105", ""); !errors.Is(err, session.SignedOut) {
		t.Errorf("after signing out: %v", err)
	}
}

var fresh = password.NewPlain("violet-harbor-lantern-ninety")

func TestChangePassword(t *testing.T) {
	w := newWorld(t)
	here, there := w.in("bob"), w.in("bob")
	w.pass(time.Hour)
	who := w.who(here.Token)
	change := func(current, next password.Plain) (*session.SignedIn, error) {
		return w.sessions.ChangePassword(t.Context(), who, here.Token, here.Device, current, next, "192.0.2.1")
	}
	for name, c := range map[string]struct {
		current, next password.Plain
		code          string
		hashes        int64
	}{
		"wrong":      {wrong, fresh, "password_wrong", 1},
		"too long":   {password.NewPlain(strings.Repeat("x", 257)), fresh, "password_wrong", 0},
		"short":      {right, password.NewPlain("short"), "password_too_short", 0},
		"same":       {right, right, "password_unchanged", 0},
		"long":       {right, password.NewPlain(strings.Repeat("ab c", 70)), "password_too_long", 0},
		"own name":   {right, password.NewPlain("Ana García 2 bob"), "password_context", 0},
		"empty":      {right, password.Plain{}, "password_too_short", 0},
		"no current": {password.Plain{}, fresh, "password_wrong", 1},
	} {
		before := w.profile("2")
		got := w.cost(func() {
			if _, err := change(c.current, c.next); problem.CodeOf(err) != c.code {
				t.Errorf("%s: %v", name, err)
			}
		})
		if got.Hashes != c.hashes || cmp.Diff(before, w.profile("2")) != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	in, err := change(right, fresh)
	if err != nil {
		t.Fatal(err)
	}
	if w.who(in.Token).Profile.ID != "2" || in.MustChange || in.Device.Reveal() != here.Device.Reveal() {
		t.Errorf("%+v", in)
	}
	for name, token := range map[string]session.Token{"this browser's former": here.Token, "another browser's": there.Token} {
		if _, err := w.sessions.Resolve(t.Context(), org, token); !errors.Is(err, session.SignedOut) {
			t.Errorf("%s session: %v", name, err)
		}
	}
	if _, err := w.signIn("bob", right); !errors.Is(err, session.Refused) {
		t.Error("the old password still works")
	}
	if _, err := w.signIn("bob", fresh); err != nil {
		t.Error(err)
	}
	if len(w.bells.rung) != 1 {
		t.Errorf("%d notices", len(w.bells.rung))
	}
}

// TestChangeIsNoPlaceToGuess: wrong current passwords are counted as those of
// a sign-in are, refusals of the new one are not.
func TestChangeIsNoPlaceToGuess(t *testing.T) {
	w := newWorld(t)
	in := w.in("bob")
	who := w.who(in.Token)
	change := func(current, next password.Plain) error {
		_, err := w.sessions.ChangePassword(t.Context(), who, in.Token, in.Device, current, next, "")
		return err
	}
	for range 30 {
		if err := change(right, password.NewPlain("short")); problem.CodeOf(err) != "password_too_short" {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	var tried atomic.Int64
	before := w.hasher.Calls()
	for range 200 {
		wg.Go(func() {
			if errors.Is(change(wrong, fresh), credential.PasswordWrong) {
				tried.Add(1)
			}
		})
	}
	wg.Wait()
	if hashed := w.hasher.Calls() - before; hashed != 5 || tried.Load() != 5 {
		t.Errorf("%d hashed, %d tried", hashed, tried.Load())
	}
	if err := change(right, fresh); !errors.Is(err, session.Waiting) {
		t.Error(err)
	}
	w.in("bob") // signing in elsewhere does not wait for it
	w.pass(time.Minute)
	if err := change(right, fresh); err != nil {
		t.Error(err)
	}
}

// meddling lets something happen right after a password was verified or
// changed.
type meddling struct {
	session.Passwords
	then func()
}

func (m meddling) Check(ctx context.Context, org string, id profile.ID, found bool, p password.Plain) (credential.Verified, error) {
	v, err := m.Passwords.Check(ctx, org, id, found, p)
	m.then()
	return v, err
}

func (m meddling) ChangeOwn(ctx context.Context, org string, id profile.ID, current, fresh password.Plain, from activity.Actor) error {
	err := m.Passwords.ChangeOwn(ctx, org, id, current, fresh, from)
	m.then()
	return err
}

// TestNoSessionOutlivesAChange: a password that was right a moment ago opens
// nothing once the login has changed.
func TestNoSessionOutlivesAChange(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"link": func(w *world) {
			other := password.NewPlain("copper-meadow-walrus-thirty")
			if _, err := w.credentials.SetByLink(w.Context(), org, w.link("2"), "", other, activity.Actor{}); err != nil {
				w.Error(err)
			}
		},
		"staff": func(w *world) {
			w.edit("2", func(p *profile.Profile) { p.Epoch, p.CredentialVersion = "other", p.CredentialVersion+1 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			in := w.in("bob")
			who := w.who(in.Token)
			w.sessions.Passwords = meddling{w.credentials, func() { change(w) }}
			if _, err := w.signIn("bob", right); !errors.Is(err, session.Refused) {
				t.Errorf("sign-in: %v", err)
			}
			w.sessions.Passwords = w.credentials
			w = newWorld(t)
			in = w.in("bob")
			who = w.who(in.Token)
			w.sessions.Passwords = meddling{w.credentials, func() { change(w) }}
			if _, err := w.sessions.ChangePassword(t.Context(), who, in.Token, in.Device, right, fresh, ""); !errors.Is(err, session.Refused) {
				t.Errorf("change: %v", err)
			}
		})
	}
}

func TestMustChange(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *store.Tx) error {
		c, err := tx.Credential(org, "2")
		if err == nil {
			c.SetBy, c.MustChange, c.StopsAt = credential.ByStaff, true, w.Now().Add(credential.TypedLife)
			tx.PutCredential(c)
		}
		return err
	})
	in := w.in("bob")
	who := w.who(in.Token)
	if !in.MustChange || !who.Session.MustChange {
		t.Error("a password typed by staff opens everything")
	}
	next, err := w.sessions.ChangePassword(t.Context(), who, in.Token, in.Device, right, fresh, "")
	if err != nil || next.MustChange || w.who(next.Token).Session.MustChange {
		t.Errorf("%+v %v", next, err)
	}
}

// TestRandomnessFails: no session of a source that fails.
func TestRandomnessFails(t *testing.T) {
	w := newWorld(t)
	w.sessions.Rand = strings.NewReader("too few")
	if in, err := w.signIn("bob", right); err == nil || in != nil {
		t.Errorf("%+v %v", in, err)
	}
}

// TestH12Forgot: whatever is typed, one record and one bell, and no look at
// who is meant.
func TestH12Forgot(t *testing.T) {
	w := newWorld(t)
	for i, entered := range []string{"bob", "ana@example.org", "nobody@example.org", "family@example.org", "dis", "é\x00", strings.Repeat("é", 1000), "x'--"} {
		var rung int
		got := w.cost(func() {
			if err := w.sessions.Forgot(t.Context(), org, entered, "192.0.2.1"); err != nil {
				t.Fatalf("%q: %v", entered, err)
			}
			rung = len(w.bells.rung)
		})
		if want := (work{0, 1, 0, 1, 1}); got != want || rung != i+1 {
			t.Errorf("%.20q cost %+v, %d bells", entered, got, rung)
		}
		bell := w.bells.rung[i]
		r, err := w.store.Request(t.Context(), org, bell.ID)
		if err != nil || r == nil || bell.Kind != mailing.RingRequest {
			t.Fatalf("%+v %v %v", bell, r, err)
		}
		if len(r.Entered) > 254 || !strings.HasPrefix(entered, r.Entered) || r.Actor.From != "192.0.2.1" || r.Actor.Kind != activity.Member {
			t.Errorf("%+v", r)
		}
	}
	if err := w.sessions.Forgot(t.Context(), "none", "bob", ""); !errors.Is(err, store.NoOrganization) {
		t.Error(err)
	}
	// A bell that is not heard is no failure: the sweep finds the request.
	w.bells.broken = true
	if err := w.sessions.Forgot(t.Context(), org, "bob", ""); err != nil {
		t.Error(err)
	}
	due, err := w.store.Due(t.Context(), w.Now().Add(time.Minute), 100)
	if err != nil || len(due) != 9 {
		t.Errorf("%d due, %v", len(due), err)
	}
}
