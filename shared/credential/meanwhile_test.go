package credential_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/profile"
)

// interrupted is a store in which something happens after everything was
// checked and hashed, right before the transaction.
type interrupted struct {
	credential.Store
	meanwhile func()
}

func (s *interrupted) Update(ctx context.Context, fn func(credential.Tx) error) error {
	if do := s.meanwhile; do != nil {
		s.meanwhile = nil
		do()
	}
	return s.Store.Update(ctx, fn)
}

// TestMeanwhile: the transaction asks again what was asked before the hash.
func TestMeanwhile(t *testing.T) {
	typed := func(name, text string) func(*world, string) error {
		return func(w *world, _ string) error {
			_, err := w.set("1", name, text)
			return err
		}
	}
	byLink := func(w *world, token string) error {
		_, err := w.use(token, "", second)
		return err
	}
	own := func(w *world, _ string) error {
		return w.service.ChangeOwn(w.ctx, org, "1", password.NewPlain(first), password.NewPlain(second), home)
	}
	removed := func(w *world, _ string) error {
		_, err := w.service.Remove(w.ctx, desk, org, "1", w.profile("1").CredentialVersion)
		return err
	}
	disable := func(w *world) {
		if _, err := w.logins.Disable(w.ctx, desk, org, "1"); err != nil {
			w.Fatal(err)
		}
	}
	stop := func(w *world) { w.mustSet("1", "", third) }
	tests := map[string]struct {
		set       bool // profile 1 has a username and the first password
		meanwhile func(*world)
		do        func(*world, string) error
		code      string
	}{
		"staff, another change":          {set: true, meanwhile: stop, do: typed("", second), code: "version_stale"},
		"staff, another, username alone": {set: true, meanwhile: stop, do: typed("ana", ""), code: "version_stale"},
		"staff, removing":                {set: true, meanwhile: stop, do: removed, code: "version_stale"},
		"staff, email moved away":        {meanwhile: func(w *world) { w.move("1", "new@example.com") }, do: typed("ana@example.com", second), code: "username_not_own_address"},
		"staff, email gone":              {meanwhile: func(w *world) { w.move("1", "") }, do: typed("", second), code: "username_required"},
		"staff, username claimed":        {meanwhile: func(w *world) { w.mustSet("4", "ana", "") }, do: typed("ana", second), code: "username_taken"},
		"staff, signed out everywhere":   {meanwhile: func(w *world) { w.logins.SignOutEverywhere(w.ctx, desk, org, "1") }, do: typed("", second)},
		"link, password set by staff":    {meanwhile: stop, do: byLink, code: "link_ended"},
		"link, disabled":                 {meanwhile: disable, do: byLink, code: "link_ended"},
		"link, email moved":              {meanwhile: func(w *world) { w.move("1", "new@example.com") }, do: byLink, code: "link_ended"},
		"link, lapsed":                   {meanwhile: func(w *world) { w.edit("1", with(profile.Lapsed)) }, do: byLink, code: "link_not_allowed"},
		"link, too late":                 {meanwhile: func(w *world) { w.pass(24 * time.Hour) }, do: byLink, code: "link_ended"},
		"link, email claimed":            {meanwhile: func(w *world) { w.mustSet("4", "", third) }, do: byLink, code: "username_required"},
		"link, a sign-in":                {set: true, meanwhile: func(w *world) { w.service.NoteSignIn(w.ctx, org, "1") }, do: byLink},
		"own, password set by staff":     {set: true, meanwhile: stop, do: own, code: "login_changed"},
		"own, removed":                   {set: true, meanwhile: func(w *world) { removed(w, "") }, do: own, code: "login_changed"},
		"own, signed in elsewhere":       {set: true, meanwhile: func(w *world) { w.service.NoteSignIn(w.ctx, org, "1") }, do: own},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add("1", "ana@example.com")
			w.add("4", "ana@example.com")
			if test.set {
				w.mustSet("1", "", first)
			}
			w.pass(time.Second)
			token := w.mint("1")
			var after *profile.Profile
			var had *credential.Credential
			real := w.service.Store
			w.service.Store = &interrupted{real, func() {
				test.meanwhile(w)
				after, had = w.profile("1"), w.credential("1")
			}}
			err := test.do(w, token)
			w.service.Store = real
			w.wantCode(err, test.code)
			if test.code == "" {
				if !w.matches("1", second) {
					t.Error("the new password is not stored")
				}
				return
			}
			if diff := cmp.Diff(after, w.profile("1")); diff != "" {
				t.Errorf("it changed the profile: %s", diff)
			}
			if c := w.credential("1"); (c == nil) != (had == nil) || c != nil && !c.Hash.Equal(had.Hash) {
				t.Error("it changed the password")
			}
		})
	}
}

// TestNoHashes is H24: through what logins and resets are given nobody comes
// near a hash or a password.
func TestNoHashes(t *testing.T) {
	secret := map[reflect.Type]bool{
		reflect.TypeFor[*credential.Credential](): true, reflect.TypeFor[credential.Credential](): true,
		reflect.TypeFor[password.Hash](): true, reflect.TypeFor[password.Plain](): true,
	}
	for _, given := range []reflect.Type{
		reflect.TypeFor[credential.LoginStore](), reflect.TypeFor[credential.LoginTx](), reflect.TypeFor[credential.ResetStore](), reflect.TypeFor[mailing.Tx](),
	} {
		for i := range given.NumMethod() {
			m := given.Method(i)
			for k := range m.Type.NumIn() {
				if secret[m.Type.In(k)] {
					t.Errorf("%v.%s takes %v", given, m.Name, m.Type.In(k))
				}
			}
			for k := range m.Type.NumOut() {
				if secret[m.Type.Out(k)] {
					t.Errorf("%v.%s gives %v", given, m.Name, m.Type.Out(k))
				}
			}
		}
	}
}
