package credential_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/profile"
)

// TestCheck: right and wrong, known and unknown: the same reads, one hash (H22).
func TestCheck(t *testing.T) {
	w := newWorld(t)
	w.add("1", "ana@example.com")
	w.mustSet("1", "", first)
	w.add("2", "ben@example.com")
	w.add("3", "eva@example.com")
	if _, err := w.use(w.mint("3"), "", third); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		id    profile.ID
		found bool
		text  string
		later time.Duration
		want  credential.Verified
	}{
		"right, typed by staff":       {"1", true, first, 0, credential.Verified{Match: true, MustChange: true}},
		"right, with the last second": {"1", true, first, credential.TypedLife - time.Second, credential.Verified{Match: true, MustChange: true}},
		"right, but stopped":          {"1", true, first, credential.TypedLife, credential.Verified{Stopped: true}},
		"wrong, and stopped":          {"1", true, second, credential.TypedLife, credential.Verified{}},
		"wrong":                       {"1", true, second, 0, credential.Verified{}},
		"empty":                       {"1", true, "", 0, credential.Verified{}},
		"by link, a year later":       {"3", true, third, 365 * 24 * time.Hour, credential.Verified{Match: true}},
		"no password":                 {"2", true, first, 0, credential.Verified{}},
		"unknown name":                {"", false, first, 0, credential.Verified{}},
		"not meant":                   {"1", false, first, 0, credential.Verified{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w.pass(test.later)
			defer w.pass(-test.later)
			calls, gets := w.service.Hasher.Calls(), w.db.gets.Load()
			got, err := w.service.Check(w.ctx, org, test.id, test.found, password.NewPlain(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if n := w.service.Hasher.Calls() - calls; n != 1 {
				t.Errorf("%d hashes", n)
			}
			if n := w.db.gets.Load() - gets; n != 1 {
				t.Errorf("%d reads", n)
			}
			if got.Match != test.want.Match || got.MustChange != test.want.MustChange || got.Stopped != test.want.Stopped || got.Outdated {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

// TestRehash is H1: no change but the hash, and none of what has replaced it.
func TestRehash(t *testing.T) {
	w := newWorld(t)
	w.add("1", "ana@example.com")
	w.mustSet("1", "", first)
	today := password.Fast
	today.Time = 2
	w.service.Hasher = password.NewHasher(today, 1, rand.Reader)
	v, err := w.service.Check(w.ctx, org, "1", true, password.NewPlain(first))
	if err != nil || !v.Match || !v.Outdated {
		t.Fatalf("%+v, %v", v, err)
	}
	before, notices, old := w.profile("1"), len(w.notices()), *w.credential("1")
	if err := w.service.Rehash(w.ctx, org, "1", v, password.NewPlain(first)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, w.profile("1")); diff != "" || len(w.notices()) != notices {
		t.Errorf("the profile changed, or a notice went: %s", diff)
	}
	c := *w.credential("1")
	if c.Hash.Equal(old.Hash) || !w.matches("1", first) {
		t.Error("the hash is the old one, or no longer that of the password")
	}
	fresh := c.Hash
	c.Hash, old.Hash = password.Hash{}, password.Hash{}
	if diff := cmp.Diff(old, c); diff != "" {
		t.Error(diff)
	}
	if v, err = w.service.Check(w.ctx, org, "1", true, password.NewPlain(first)); err != nil || v.Outdated {
		t.Errorf("outdated again: %+v, %v", v, err)
	}
	if err := w.service.Rehash(w.ctx, org, "1", v, password.NewPlain(first)); err != nil || !w.credential("1").Hash.Equal(fresh) {
		t.Errorf("what is not outdated was hashed anew, %v", err)
	}

	// The password changes between verifying and storing.
	w.service.Hasher = password.NewHasher(password.Fast, 1, rand.Reader)
	if v, err = w.service.Check(w.ctx, org, "1", true, password.NewPlain(first)); err != nil || !v.Outdated {
		t.Fatalf("%+v, %v", v, err)
	}
	w.mustSet("1", "", second)
	if err := w.service.Rehash(w.ctx, org, "1", v, password.NewPlain(first)); err != nil {
		t.Fatal(err)
	}
	if !w.matches("1", second) {
		t.Error("a re-hash brought the old password back")
	}
	// And the credential is removed.
	if _, err := w.service.Remove(w.ctx, desk, org, "1", w.profile("1").CredentialVersion); err != nil {
		t.Fatal(err)
	}
	if err := w.service.Rehash(w.ctx, org, "1", v, password.NewPlain(first)); err != nil || w.credential("1") != nil {
		t.Errorf("a re-hash brought the credential back, %v", err)
	}
}

func TestChangeOwn(t *testing.T) {
	tests := map[string]struct {
		current, fresh string
		then           func(*world)
		code           string
		hashes         uint64
	}{
		"changed":            {current: first, fresh: second, hashes: 2},
		"wrong":              {current: second, fresh: third, code: "password_wrong", hashes: 1},
		"the same":           {current: first, fresh: first, code: "password_unchanged"},
		"too short":          {current: first, fresh: "short", code: "password_too_short"},
		"placeholder":        {current: first, fresh: password.Placeholder, code: "password_is_placeholder"},
		"stopped":            {current: first, fresh: second, then: func(w *world) { w.pass(credential.TypedLife) }, code: "password_stopped", hashes: 1},
		"disabled meanwhile": {current: first, fresh: second, then: func(w *world) { w.edit("1", func(p *profile.Profile) { p.Disabled = true }) }, code: "login_disabled", hashes: 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add("1", "ana@example.com")
			w.mustSet("1", "", first)
			w.pass(time.Minute)
			w.fail("ana@example.com")
			if test.then != nil {
				test.then(w)
			}
			old, notices, calls := w.profile("1"), len(w.notices()), w.service.Hasher.Calls()
			err := w.service.ChangeOwn(w.ctx, org, "1", password.NewPlain(test.current), password.NewPlain(test.fresh), home)
			w.wantCode(err, test.code)
			if n := w.service.Hasher.Calls() - calls; n != test.hashes {
				t.Errorf("%d hashes, want %d", n, test.hashes)
			}
			if test.code != "" {
				if diff := cmp.Diff(old, w.profile("1")); diff != "" || !w.matches("1", first) || len(w.notices()) != notices {
					t.Errorf("a refusal changed something: %s", diff)
				}
				return
			}
			p, c := w.profile("1"), w.credential("1")
			if !w.matches("1", test.fresh) || c.MustChange || !c.StopsAt.IsZero() || c.SetBy != credential.ByMember || c.SetByName != "" {
				t.Errorf("%+v", c)
			}
			if p.Epoch == old.Epoch || p.CredentialVersion != old.CredentialVersion+1 || w.waits("ana@example.com") {
				t.Errorf("%+v", p)
			}
			b := w.notices()[notices]
			if n := b.Single.Notice; n.By != message.BySignIn || len(n.Changes) != 1 || n.Changes[0] != message.PasswordChanged {
				t.Errorf("%+v", *n)
			}
			trail := w.trail("1")
			if e := trail[len(trail)-1]; e.Kind != activity.PasswordChanged || e.Actor.Kind != activity.Member || e.Actor.From != home.From {
				t.Errorf("%+v", e)
			}
		})
	}
}
