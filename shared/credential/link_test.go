package credential_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

type deaf struct{}

func (deaf) Ring(context.Context, ...mailing.Bell) error { return errors.New("no queue") }

func TestSetByLink(t *testing.T) {
	w := newWorld(t)
	w.add("1", "Ana@Example.com", func(p *profile.Profile) { p.OrganizationName = "Harbour Ltd" })
	w.fail("ana@example.com")
	early, token := w.mint("1"), w.mint("1")

	// Opening changes nothing, however often (H7).
	before := w.profile("1")
	for range 3 {
		o := w.opened(token)
		if o.State != link.Live || o.Username != "ana@example.com" || o.ChooseUsername || o.Name != "Ana Garcia" || o.OrganizationName != "Harbour Ltd" || o.ProfileID != "1" || !o.Ends.Equal(epoch.Add(24*time.Hour)) {
			t.Fatalf("%+v", o)
		}
	}
	if diff := cmp.Diff(before, w.profile("1")); diff != "" {
		t.Fatalf("opening changed the profile: %s", diff)
	}

	// What is refused does not use it up.
	_, err := w.use(token, "", "short")
	w.wantCode(err, "password_too_short")
	w.pass(time.Minute)
	done, err := w.use(token, "", first)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&credential.Done{Profile: "1", Name: "Ana Garcia", Username: "ana@example.com", First: true}, done); diff != "" {
		t.Error(diff)
	}
	c := w.credential("1")
	if !w.matches("1", first) || c.SetBy != credential.ByLink || c.MustChange || !c.StopsAt.IsZero() {
		t.Errorf("%+v", c)
	}
	if diff := cmp.Diff([]activity.Kind{activity.PasswordSet, activity.UsernameChanged}, sorted(w.kinds("1"))); diff != "" {
		t.Error(diff)
	}
	if a := w.trail("1")[0].Actor; a != (activity.Actor{Kind: activity.Member, ID: "1", Name: "Ana Garcia", From: home.From}) {
		t.Errorf("%+v", a)
	}
	if diff := cmp.Diff([][]message.Change{{message.PasswordSet}}, w.told()); diff != "" {
		t.Error(diff)
	}
	if by := w.notices()[0].Single.Notice.By; by != message.ByLink {
		t.Errorf("by %q", by)
	}
	if p := w.profile("1"); !p.HasPassword || !p.HadPassword || p.CredentialVersion != 1 || p.Epoch == before.Epoch {
		t.Errorf("%+v", p)
	}
	if w.waits("ana@example.com") {
		t.Error("the wait goes on after a used link")
	}
	if o := w.opened(token); o.State != link.Used || !o.UsedAt.Equal(epoch.Add(time.Minute)) || o.Username != "" || o.CanRenew() {
		t.Errorf("%+v", o)
	}
	if o := w.opened(early); o.State != link.Ended || !o.CanRenew() || o.Username != "" {
		t.Errorf("%+v", o)
	}
	_, err = w.use(token, "", second)
	w.wantCode(err, "link_used")
	if credential.LinkState(err) != link.Used {
		t.Errorf("state %q of %v", credential.LinkState(err), err)
	}
	_, err = w.use(early, "", second)
	w.wantCode(err, "link_ended")

	// A further link changes the password and keeps the username.
	w.pass(time.Minute)
	if done, err = w.use(w.mint("1"), "something.else", second); err != nil || done.First || done.Username != "ana@example.com" {
		t.Errorf("%+v, %v", done, err)
	}
	if o := w.opened(token); o.State != link.Ended {
		t.Errorf("the one before: %+v", o)
	}
	told := w.told()
	if diff := cmp.Diff([]message.Change{message.PasswordChanged}, told[len(told)-1]); diff != "" {
		t.Error(diff)
	}
}

// TestLinkRefusals are told before any hash is made, and change nothing.
func TestLinkRefusals(t *testing.T) {
	revoked := func(w *world) string {
		w.update(func(tx *store.Tx) error {
			tx.PutMailing(&mailing.Mailing{Organization: org, ID: "m1", LinksRevokedAt: w.now()}, time.Time{})
			return nil
		})
		return w.mintOn(org, "1", link.Mailing, "m1")
	}
	live := func(w *world) string { return w.mint("1") }
	tests := map[string]struct {
		token     func(*world) string
		then      func(*world)
		name      string
		text      string
		code      string
		state     link.State // as the page opens
		renewable bool
	}{
		"nothing":          {token: func(*world) string { return "" }, code: "link_unknown", state: link.Unknown},
		"cut off":          {token: func(w *world) string { return w.mint("1")[:60] }, code: "link_unknown", state: link.Unknown},
		"with a full stop": {token: func(w *world) string { return w.mint("1") + "." }, code: "link_unknown", state: link.Unknown},
		"page never was": {token: func(w *world) string {
			token := w.mint("1")
			if token[0] == '0' {
				return "1" + token[1:]
			}
			return "0" + token[1:]
		}, code: "link_unknown", state: link.Unknown},
		"secret is another": {token: func(w *world) string { return w.mint("1")[:22] + w.mint("1")[22:] }, code: "link_unknown", state: link.Unknown},
		"sample":            {token: func(*world) string { return mailing.SampleToken }, code: "link_sample", state: credential.Sample},
		"too late":          {token: live, then: func(w *world) { w.pass(24 * time.Hour) }, code: "link_ended", state: link.Ended, renewable: true},
		"revoked":           {token: revoked, code: "link_ended", state: link.Ended, renewable: true},
		"email changed":     {token: live, then: func(w *world) { w.move("1", "new@example.com") }, code: "link_ended", state: link.Ended, renewable: true},
		"lapsed":            {token: live, then: func(w *world) { w.edit("1", with(profile.Lapsed)) }, code: "link_not_allowed", state: link.NotAllowed, renewable: true},
		"weak password":     {token: live, text: "short", code: "password_too_short", state: link.Live},
		"placeholder":       {token: live, text: password.Placeholder, code: "password_is_placeholder", state: link.Live},
		"no password":       {token: live, text: "none", code: "password_too_short", state: link.Live},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add("1", "ana@example.com")
			token := test.token(w)
			if test.then != nil {
				test.then(w)
			}
			old, calls := w.profile("1"), w.service.Hasher.Calls()
			text := test.text
			if text == "" {
				text = first
			}
			_, err := w.use(token, test.name, text)
			w.wantCode(err, test.code)
			if n := w.service.Hasher.Calls() - calls; n != 0 {
				t.Errorf("%d hashes", n)
			}
			o := w.opened(token)
			if o.State != test.state || o.CanRenew() != test.renewable || o.Policy.Rule() == "" || o.Settings == nil {
				t.Errorf("%+v, want %s", o, test.state)
			}
			if o.State != link.Live && o.State != credential.Sample && o.Username != "" {
				t.Errorf("a dead link tells the username %q", o.Username)
			}
			if got := credential.LinkState(err); test.state != link.Live && got != test.state {
				t.Errorf("the error speaks of %q, want %q", got, test.state)
			}
			if diff := cmp.Diff(old, w.profile("1")); diff != "" {
				t.Errorf("it changed the profile: %s", diff)
			}
			if w.credential("1") != nil || len(w.notices()) > 0 {
				t.Error("it left a credential or a notice")
			}

			// Renewing says the same whatever happens, and asks for what can be renewed.
			if err := w.service.Renew(w.ctx, org, token, home); err != nil {
				t.Errorf("renew: %v", err)
			}
			if asked := len(w.rung) == 1 && w.rung[0].Kind == mailing.RingRequest; asked != test.renewable {
				t.Errorf("rung %v", w.rung)
			}
		})
	}
}

// TestNotUsedUp: whose right comes back can use the link (H6).
func TestNotUsedUp(t *testing.T) {
	w := newWorld(t)
	w.add("9", "firm@example.com", company("Harbour Ltd"))
	w.add("1", "ana@example.com", with(profile.NonMember, profile.Relation{To: "9", Kind: "Employee"}))
	token := w.mint("1")
	w.edit("9", with(profile.Lapsed))
	_, err := w.use(token, "", first)
	w.wantCode(err, "link_not_allowed")
	if o := w.opened(token); o.Right.Reason != "member_lapsed" || o.Right.Via != "9" {
		t.Errorf("%+v", o.Right)
	}
	if e := w.trail("1"); len(e) != 1 || e[0].Kind != activity.LinkRefused || e[0].Detail["reason"] != "member_lapsed" {
		t.Errorf("trail: %+v", e)
	}
	w.edit("9", with(profile.Active))
	if _, err := w.use(token, "", first); err != nil {
		t.Error(err)
	}
}

// TestUsernameByLink is H9.
func TestUsernameByLink(t *testing.T) {
	long := "a234567890a234567890a234567890a234567890a234567890a234567890@a234567890a234567890a234567890a234567890a234567890a234567890.example.com"
	tests := map[string]struct {
		id       profile.ID
		typed    string
		code     string
		username string
		choose   bool
	}{
		"email":                    {id: "2", username: "ben@example.com"},
		"email before what typed":  {id: "2", typed: "benny", username: "ben@example.com"},
		"shared, none typed":       {id: "4", code: "username_required", choose: true},
		"shared, the taken one":    {id: "4", typed: "ana@example.com", code: "username_taken", choose: true},
		"shared, another's":        {id: "4", typed: "AG", code: "username_taken", choose: true},
		"shared, free":             {id: "4", typed: " Ana.Two ", username: "ana.two", choose: true},
		"shared, no own address":   {id: "4", typed: "ana.two@example.com", code: "username_not_own_address", choose: true},
		"shared, not a username":   {id: "4", typed: "ana two", code: "username_invalid", choose: true},
		"email too long":           {id: "5", code: "username_required", choose: true},
		"email too long, own name": {id: "5", typed: "eva", username: "eva", choose: true},
		"no email, own name":       {id: "6", typed: "firm", username: "firm", choose: true},
		"has one":                  {id: "7", typed: "whatever", username: "ag"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add("1", "ana@example.com")
			w.mustSet("1", "", third)
			w.add("2", "ben@example.com")
			w.add("4", "ANA@example.com")
			w.add("5", long)
			w.add("6", "", company("Harbour Ltd"))
			w.add("7", "ag@example.com")
			w.mustSet("7", "ag", "")
			token := w.mint(test.id)
			o := w.opened(token)
			if o.ChooseUsername != test.choose || test.choose == (len(o.Suggestions) == 0) || test.choose == (o.Username != "") {
				t.Errorf("%+v", o)
			}
			calls := w.service.Hasher.Calls()
			done, err := w.use(token, test.typed, first)
			w.wantCode(err, test.code)
			if test.code != "" {
				if n := w.service.Hasher.Calls() - calls; n != 0 {
					t.Errorf("%d hashes", n)
				}
				if free, ok := problem.As(err).Extra["suggestions"].([]string); test.code == "username_taken" && (!ok || len(free) == 0) {
					t.Errorf("no suggestions: %v", problem.As(err).Extra)
				}
				if w.opened(token).State != link.Live {
					t.Error("a refusal used the link up")
				}
				return
			}
			if done.Username != test.username || w.profile(test.id).Username != test.username {
				t.Errorf("username %q, want %q", done.Username, test.username)
			}
			if holder, err := w.store.Claim(w.ctx, org, test.username); holder != test.id || err != nil {
				t.Errorf("claimed by %q, %v", holder, err)
			}
		})
	}
}

// TestBothFaults: both faults come at once, so that both can be mended.
func TestBothFaults(t *testing.T) {
	w := newWorld(t)
	w.add("6", "")
	_, err := w.use(w.mint("6"), "", "short")
	var codes []string
	for _, item := range problem.As(err).Problems {
		codes = append(codes, item.Code)
	}
	if diff := cmp.Diff([]string{"password_too_short", "username_required"}, codes); diff != "" {
		t.Error(diff)
	}
}

// TestLinkRace is attack A6: many posts of one link with different passwords.
func TestLinkRace(t *testing.T) {
	const posts, rounds = 200, 100
	w := newWorld(t)
	w.add("1", "ana@example.com")
	w.mustSet("1", "ana", third)
	for round := range rounds {
		w.pass(time.Second)
		token := w.mint("1")
		notices, lines := len(w.notices()), len(w.trail("1"))
		version := w.profile("1").CredentialVersion
		results := make([]error, posts)
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range posts {
			wg.Go(func() {
				<-start
				_, results[i] = w.use(token, "", fmt.Sprintf("%s %d", first, i))
			})
		}
		close(start)
		wg.Wait()
		winner := -1
		for i, err := range results {
			switch {
			case err == nil && winner < 0:
				winner = i
			case err == nil:
				t.Fatalf("round %d: %d and %d both won", round, winner, i)
			default:
				w.wantCode(err, "link_used")
			}
		}
		if winner < 0 {
			t.Fatalf("round %d: nobody won", round)
		}
		if !w.matches("1", fmt.Sprintf("%s %d", first, winner)) {
			t.Fatalf("round %d: the stored password is not the winner's", round)
		}
		if n := len(w.notices()) - notices; n != 1 {
			t.Fatalf("round %d: %d notices", round, n)
		}
		if n := len(w.trail("1")) - lines; n != 1 {
			t.Fatalf("round %d: %d lines in the trail", round, n)
		}
		if got := w.profile("1").CredentialVersion; got != version+1 {
			t.Fatalf("round %d: version %d after %d", round, got, version)
		}
		if o := w.opened(token); o.State != link.Used {
			t.Fatalf("round %d: %s", round, o.State)
		}
	}
}

// TestCrossUse is attack A25: a link opens for one purpose and organization.
func TestCrossUse(t *testing.T) {
	w := newWorld(t)
	w.add("1", "ana@example.com")
	w.addTo(other, "1", "ana@example.com")
	purposes := []link.Purpose{link.Reset, link.Forgot, link.Renewal, link.Mailing}
	for _, purpose := range purposes {
		token := w.mintOn(org, "1", purpose, "")
		parsed, id, _ := link.Parse(token)
		page, err := w.store.Page(w.ctx, org, id)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := page.Find(parsed); !ok {
			t.Fatalf("%s: its own page does not know it", purpose)
		}
		for _, as := range purposes {
			for _, in := range []string{org, other} {
				if as == purpose && in == org {
					continue
				}
				// The same entries, put where they were not minted.
				forged := *page
				forged.Purpose, forged.Organization = as, in
				w.update(func(tx *store.Tx) error { tx.PutPage(&forged); return nil })
				o, err := w.service.OpenLink(w.ctx, in, token)
				if err != nil || o.State != link.Unknown {
					t.Errorf("%s opens as %s in %s: %v, %v", purpose, as, in, o, err)
				}
				_, err = w.service.SetByLink(w.ctx, in, token, "", password.NewPlain(first), home)
				w.wantCode(err, "link_unknown")
				w.update(func(tx *store.Tx) error { tx.PutPage(page); return nil })
			}
		}
		if o := w.opened(token); o.State != link.Live {
			t.Errorf("%s: %s", purpose, o.State)
		}
	}
	if w.profile("1").HasPassword {
		t.Error("a password was set")
	}
}

// TestRenewRequest: what stands behind "send me a new one".
func TestRenewRequest(t *testing.T) {
	w := newWorld(t)
	w.add("1", "ana@example.com")
	token := w.mint("1")
	w.pass(48 * time.Hour)
	if err := w.service.Renew(w.ctx, org, token, home); err != nil {
		t.Fatal(err)
	}
	req, err := w.store.Request(w.ctx, org, w.rung[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	want := &mailing.Request{
		Organization: org, ID: w.rung[0].ID, At: w.now(), RenewFor: "1",
		Actor: activity.Actor{Kind: activity.Member, ID: "1", Name: "Ana Garcia", From: home.From},
	}
	if diff := cmp.Diff(want, req); diff != "" {
		t.Error(diff)
	}
	// Unheard, it is due all the same.
	due, err := w.store.Due(w.ctx, w.now().Add(time.Minute), 10)
	if err != nil || len(due) != 1 || due[0] != w.rung[0] {
		t.Errorf("due %v, %v", due, err)
	}
}
