package credential_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/profile"
)

func TestLogins(t *testing.T) {
	type do func(*world) (*profile.Profile, error)
	call := func(f func(w *world) func(context.Context, activity.Actor, string, profile.ID) (*profile.Profile, error)) do {
		return func(w *world) (*profile.Profile, error) { return f(w)(w.ctx, desk, org, "1") }
	}
	type action = func(context.Context, activity.Actor, string, profile.ID) (*profile.Profile, error)
	disable := call(func(w *world) action { return w.logins.Disable })
	enable := call(func(w *world) action { return w.logins.Enable })
	signOut := call(func(w *world) action { return w.logins.SignOutEverywhere })
	unlock := call(func(w *world) action { return w.logins.Unlock })

	tests := map[string]struct {
		before      []do
		do          do
		hasPassword bool
		kinds       []activity.Kind
		told        []message.Change
		newEpoch    bool
		moves       int // of the credential's version
		stillWaits  bool
		disabled    bool
		locked      bool // by what was done before; nobody else waits
	}{
		"disable":                   {do: disable, hasPassword: true, kinds: []activity.Kind{activity.LoginDisabled}, told: []message.Change{message.LoginDisabled}, newEpoch: true, moves: 1, disabled: true},
		"disable, never a password": {do: disable, kinds: []activity.Kind{activity.LoginDisabled}, newEpoch: true, moves: 1, disabled: true},
		"disable what is disabled":  {before: []do{disable}, do: disable, hasPassword: true, stillWaits: true, disabled: true},
		"enable":                    {before: []do{disable}, do: enable, hasPassword: true, kinds: []activity.Kind{activity.LoginEnabled}, told: []message.Change{message.LoginEnabled}, newEpoch: true, moves: 1},
		"enable what is enabled":    {do: enable, hasPassword: true, stillWaits: true},
		"sign out everywhere":       {do: signOut, hasPassword: true, kinds: []activity.Kind{activity.SignedOut}, newEpoch: true, stillWaits: true},
		"unlock":                    {do: unlock, hasPassword: true, kinds: []activity.Kind{activity.WaitEnded}},
		"unlock what is locked":     {before: []do{func(w *world) (*profile.Profile, error) { w.lock("ana@example.com"); return nil, nil }}, locked: true, do: unlock, hasPassword: true, kinds: []activity.Kind{activity.WaitEnded}},
		"unlock where nobody waits": {before: []do{unlock}, do: unlock, hasPassword: true, stillWaits: true},
		"unlock does not enable":    {before: []do{disable}, do: unlock, hasPassword: true, kinds: []activity.Kind{activity.WaitEnded}, disabled: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add("1", "ana@example.com")
			if test.hasPassword {
				w.mustSet("1", "ana", first)
			}
			for _, f := range test.before {
				w.fail("ana@example.com")
				if _, err := f(w); err != nil {
					t.Fatal(err)
				}
			}
			waits := name != "unlock where nobody waits"
			if waits && !test.locked {
				w.fail("ana@example.com")
			}
			w.pass(time.Second)
			old, lines, notices := w.profile("1"), len(w.trail("1")), len(w.told())
			p, err := test.do(w)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(w.profile("1"), p); diff != "" {
				t.Errorf("returned and stored differ: %s", diff)
			}
			if (p.Epoch != old.Epoch) != test.newEpoch || p.CredentialVersion-old.CredentialVersion != test.moves || p.Version != old.Version || p.Disabled != test.disabled {
				t.Errorf("%+v after %+v", p, old)
			}
			if p.Username != old.Username || p.HasPassword != old.HasPassword {
				t.Error("username or password did not stay")
			}
			if diff := cmp.Diff(test.kinds, sorted(w.kinds("1")[lines:])); diff != "" {
				t.Error(diff)
			}
			var want [][]message.Change
			if test.told != nil {
				want = [][]message.Change{test.told}
			}
			if diff := cmp.Diff(want, append([][]message.Change(nil), w.told()[notices:]...)); diff != "" {
				t.Error(diff)
			}
			if waits && w.waits("ana@example.com") != test.stillWaits {
				t.Errorf("waits: %t, want %t", !test.stillWaits, test.stillWaits)
			}
		})
	}
}

func TestLoginsOfAnother(t *testing.T) {
	w := newWorld(t)
	w.add("1", "ana@example.com")
	for _, id := range []profile.ID{"1", "99", "1#profile", ""} {
		if id == "1" {
			_, err := w.logins.Disable(w.ctx, desk, other, id)
			w.wantCode(err, "profile_not_found")
			continue
		}
		for _, f := range []func(context.Context, activity.Actor, string, profile.ID) (*profile.Profile, error){
			w.logins.Disable, w.logins.Enable, w.logins.SignOutEverywhere, w.logins.Unlock,
		} {
			_, err := f(w.ctx, desk, org, id)
			w.wantCode(err, "profile_not_found")
		}
	}
}

// TestDisabledLogin is H5c: enabling restores username and password, not links.
func TestDisabledLogin(t *testing.T) {
	w := newWorld(t)
	w.add("1", "ana@example.com")
	w.mustSet("1", "", first)
	early := w.mint("1")
	if _, err := w.logins.Disable(w.ctx, desk, org, "1"); err != nil {
		t.Fatal(err)
	}
	late := w.mint("1") // as delivery would not
	for token, want := range map[string]link.State{early: link.Ended, late: link.NotAllowed} {
		if o := w.opened(token); o.State != want {
			t.Errorf("%s, want %s", o.State, want)
		}
	}
	if _, err := w.logins.Enable(w.ctx, desk, org, "1"); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{early, late} {
		if o := w.opened(token); o.State != link.Ended {
			t.Errorf("%s after enabling", o.State)
		}
	}
	if p := w.profile("1"); p.Username != "ana@example.com" || !p.HasPassword || !w.matches("1", first) {
		t.Errorf("%+v", p)
	}
}
