package credential_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

func TestChange(t *testing.T) {
	// 1 is Ana, with username and password; 2 has an email and nothing else;
	// 3 not even an email; 4 shares Ana's mailbox.
	tests := map[string]struct {
		id         profile.ID
		name, text string
		code       string
		username   string // afterwards
		changed    string // the password afterwards, "" for the one of before
		kinds      []activity.Kind
		told       []message.Change
	}{
		"nothing sent":                     {id: "1", username: "ana@example.com"},
		"placeholder":                      {id: "1", text: password.Placeholder, username: "ana@example.com"},
		"placeholder where there is none":  {id: "2", text: password.Placeholder},
		"same username in other spelling":  {id: "1", name: " Ana@Example.COM ", username: "ana@example.com"},
		"both as they are":                 {id: "1", name: "ana@example.com", text: password.Placeholder, username: "ana@example.com"},
		"username alone":                   {id: "1", name: "Ana.Garcia", username: "ana.garcia", kinds: []activity.Kind{activity.UsernameChanged}, told: []message.Change{message.UsernameChanged}},
		"username and placeholder":         {id: "1", name: "ana.garcia", text: password.Placeholder, username: "ana.garcia", kinds: []activity.Kind{activity.UsernameChanged}, told: []message.Change{message.UsernameChanged}},
		"password alone":                   {id: "1", text: second, username: "ana@example.com", changed: second, kinds: []activity.Kind{activity.PasswordChanged}, told: []message.Change{message.PasswordChanged}},
		"both":                             {id: "1", name: "ag", text: second, username: "ag", changed: second, kinds: []activity.Kind{activity.PasswordChanged, activity.UsernameChanged}, told: []message.Change{message.PasswordChanged, message.UsernameChanged}},
		"password takes the email":         {id: "2", text: second, username: "ben@example.com", changed: second, kinds: []activity.Kind{activity.PasswordSet, activity.UsernameChanged}, told: []message.Change{message.PasswordSet}},
		"first password, username typed":   {id: "2", name: "ben", text: second, username: "ben", changed: second, kinds: []activity.Kind{activity.PasswordSet, activity.UsernameChanged}, told: []message.Change{message.PasswordSet}},
		"username alone, never a password": {id: "2", name: "ben", username: "ben", kinds: []activity.Kind{activity.UsernameChanged}},
		"no email, no username":            {id: "3", text: second, code: "username_required"},
		"no email, username typed":         {id: "3", name: "chloe", text: second, username: "chloe", changed: second, kinds: []activity.Kind{activity.PasswordSet, activity.UsernameChanged}},
		"another's address":                {id: "2", name: "ANA@example.com", text: second, code: "username_not_own_address"},
		"shared mailbox, email is taken":   {id: "4", text: second, code: "username_required"},
		"another's username":               {id: "4", name: "ana@example.com", code: "username_taken"},
		"not an own address":               {id: "2", name: "ben@example.org", code: "username_not_own_address"},
		"not a username":                   {id: "2", name: "ben b", code: "username_invalid"},
		"username emptied":                 {id: "1", name: "  ", code: "username_invalid"},
		"password too short":               {id: "1", text: "short", code: "password_too_short"},
		"password of the names":            {id: "1", text: "ana garcia harbour", code: "password_context"},
		"unknown profile":                  {id: "99", text: second, code: "profile_not_found"},
		"no profile ID":                    {id: "1#x", text: second, code: "profile_not_found"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add("1", "ana@example.com")
			w.add("2", "ben@example.com")
			w.add("3", "")
			w.add("4", "ana@example.com")
			w.mustSet("1", "", first)
			before, was := len(w.notices()), len(w.trail("1"))
			w.pass(time.Second)
			var old profile.Profile
			if test.code != "profile_not_found" {
				old = *w.profile(test.id)
			}
			hash := w.credential("1").Hash
			if test.id != "1" {
				was = 0
			}
			calls := w.service.Hasher.Calls()

			v, err := w.service.Change(w.ctx, desk, org, test.id, old.CredentialVersion, change(test.name, test.text))
			w.wantCode(err, test.code)
			if test.code != "" {
				if n := w.service.Hasher.Calls() - calls; n != 0 {
					t.Errorf("%d hashes before a refusal", n)
				}
				if test.code != "profile_not_found" {
					if diff := cmp.Diff(&old, w.profile(test.id)); diff != "" {
						t.Errorf("a refusal changed the profile: %s", diff)
					}
				}
				return
			}
			p := w.profile(test.id)
			if v.Username != test.username || p.Username != test.username {
				t.Errorf("username %q, in the profile %q, want %q", v.Username, p.Username, test.username)
			}
			if diff := cmp.Diff(test.kinds, sorted(w.kinds(test.id)[was:])); diff != "" {
				t.Errorf("trail: %s", diff)
			}
			notices := w.told()[before:]
			var want [][]message.Change
			if test.told != nil {
				want = [][]message.Change{test.told}
			}
			if diff := cmp.Diff(want, append([][]message.Change(nil), notices...)); diff != "" {
				t.Errorf("notices: %s", diff)
			}
			if changed := test.kinds != nil; changed != (p.Epoch != old.Epoch) || changed != (p.CredentialVersion == old.CredentialVersion+1) || !changed && p.CredentialVersion != old.CredentialVersion {
				t.Errorf("changed %t: epoch %t, version %d to %d", changed, p.Epoch != old.Epoch, old.CredentialVersion, p.CredentialVersion)
			}
			if p.Version != old.Version {
				t.Errorf("the profile's own version moved from %d to %d", old.Version, p.Version)
			}
			if test.changed != "" {
				if !w.matches(test.id, test.changed) {
					t.Error("the password is not the new one")
				}
				if c := w.credential(test.id); !c.MustChange || !c.StopsAt.Equal(w.now().Add(credential.TypedLife)) || c.SetBy != credential.ByStaff || c.SetByName != desk.Name {
					t.Errorf("typed password: %+v", c)
				}
			} else if test.id == "1" && !w.credential("1").Hash.Equal(hash) {
				t.Error("the hash is another one")
			}
			if holder, err := w.store.Claim(w.ctx, org, test.username); err != nil || test.username != "" && holder != test.id {
				t.Errorf("the username is claimed by %q, %v", holder, err)
			}
			if old.Username != test.username && old.Username != "" {
				if holder, err := w.store.Claim(w.ctx, org, old.Username); err != nil || holder != "" {
					t.Errorf("the old username is claimed by %q, %v", holder, err)
				}
			}
		})
	}
}

// TestNoticeOfChange: who, and how (H5b).
func TestNoticeOfChange(t *testing.T) {
	w := newWorld(t)
	w.add("1", "ana@example.com")
	w.mustSet("1", "", first)
	b := w.notices()[0]
	want := &message.Notice{Name: "Ana Garcia", ProfileID: "1", Username: "ana@example.com", Changes: []message.Change{message.PasswordSet}, By: message.ByStaff}
	if diff := cmp.Diff(want, b.Single.Notice, cmp.Transformer("fields", func(n message.Notice) [3]any { return [3]any{n.Username, n.Changes, n.By} })); diff != "" {
		t.Error(diff)
	}
	if len(w.rung) != 1 || w.rung[0] != b.Bell() {
		t.Errorf("rung %v, want the notice's bell", w.rung)
	}
	if e := w.trail("1")[0]; e.Actor != desk || !e.At.Equal(epoch) || e.Organization != org {
		t.Errorf("%+v", e)
	}
	if strings.Contains(fmt.Sprintf("%+v", w.trail("1")), first) {
		t.Error("the trail holds the password")
	}
}

func TestTypingSwitchedOff(t *testing.T) {
	w := newWorld(t)
	w.settle(org, func(s *organization.Settings) { s.StaffMayTypePasswords = false })
	w.add("1", "ana@example.com")
	_, err := w.set("1", "", first)
	w.wantCode(err, "typing_switched_off")
	_, err = w.service.Generate(w.ctx, org)
	w.wantCode(err, "typing_switched_off")
	if v := w.mustSet("1", "ana", ""); v.Username != "ana" {
		t.Errorf("username %q: typing is off for passwords alone", v.Username)
	}
}

func TestMustChangeFollowsSettings(t *testing.T) {
	w := newWorld(t)
	w.settle(org, func(s *organization.Settings) { s.MustChangeTyped = false })
	w.add("1", "ana@example.com")
	v := w.mustSet("1", "", first)
	if v.MustChange || v.StopsAt.IsZero() {
		t.Errorf("%+v", v)
	}
	// In use, it no longer stops.
	if err := w.service.NoteSignIn(w.ctx, org, "1"); err != nil {
		t.Fatal(err)
	}
	w.pass(credential.TypedLife)
	if c := w.credential("1"); c.Stopped(w.now()) {
		t.Error("stopped although it is in use")
	}
	if got := w.profile("1").CredentialVersion; got != v.Version {
		t.Errorf("a sign-in moved the version from %d to %d", v.Version, got)
	}
}

// TestStale: a stale edit is told what differs, and changes nothing (H3).
func TestStale(t *testing.T) {
	w := newWorld(t)
	w.add("1", "ana@example.com")
	w.mustSet("1", "", first) // version 1: password and username
	step := func(do func()) {
		w.pass(time.Second)
		do()
	}
	step(func() { w.mustSet("1", "ana", "") })               // 2: username
	step(func() { w.mustSet("1", "", second) })              // 3: password
	step(func() { w.logins.Disable(w.ctx, desk, org, "1") }) // 4: disabled
	tests := []struct {
		seen int
		want []string
	}{
		{0, []string{"disabled", "password", "username"}},
		{1, []string{"disabled", "password", "username"}},
		{2, []string{"disabled", "password"}},
		{3, []string{"disabled"}},
		{9, []string{}},
	}
	for _, test := range tests {
		_, err := w.service.Change(w.ctx, desk, org, "1", test.seen, change("", third))
		p := problem.As(err)
		if p.Code != "version_stale" || p.Kind != problem.Stale || p.Extra["version"] != 4 {
			t.Errorf("seen %d: %v %v", test.seen, err, p.Extra)
		}
		if diff := cmp.Diff(any(test.want), p.Extra["differs"]); diff != "" {
			t.Errorf("seen %d: %s", test.seen, diff)
		}
		_, err = w.service.Remove(w.ctx, desk, org, "1", test.seen)
		w.wantCode(err, "version_stale")
	}
	if !w.matches("1", second) {
		t.Error("a stale edit changed the password")
	}
}

// TestStaleBehindSignIns: what differs is found behind more sign-ins than a
// page of the trail holds, and the search for it ends.
func TestStaleBehindSignIns(t *testing.T) {
	w := newWorld(t)
	w.add("1", "ana@example.com")
	w.mustSet("1", "", first)
	signIns := func(n int) {
		for range n {
			w.pass(time.Second)
			w.update(func(tx *store.Tx) error {
				tx.AddActivity(activity.Entry{Organization: org, At: w.now(), Kind: activity.SignedIn, Profile: "1"})
				return nil
			})
		}
	}
	for _, step := range []struct {
		signIns int
		want    []string
	}{{250, []string{"password", "username"}}, {900, []string{}}} {
		signIns(step.signIns)
		_, err := w.service.Change(w.ctx, desk, org, "1", 0, change("", third))
		if diff := cmp.Diff(any(step.want), problem.As(err).Extra["differs"]); diff != "" {
			t.Errorf("after %d more sign-ins: %s", step.signIns, diff)
		}
	}
}

// TestEmailIsTaken: a password alone for a profile whose email is somebody's
// username asks for one, with free ones; nobody typed the name that is taken.
func TestEmailIsTaken(t *testing.T) {
	blank := " "
	for name, in := range map[string]credential.Change{"no username": change("", second), "a blank": {Username: &blank, Password: change("", second).Password}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add("1", "ana@example.com")
			w.add("2", "ana@example.com")
			w.mustSet("1", "", first)
			check := func(service *credential.Service, text string, want ...string) {
				t.Helper()
				plain := password.NewPlain(text)
				in.Password = &plain
				_, err := service.Change(w.ctx, desk, org, "2", 0, in)
				p := problem.As(err)
				w.wantCode(err, want[0])
				if p.Field != "username" || p.Kind != problem.Invalid {
					t.Errorf("%+v", p)
				}
				if free, _ := p.Extra["suggestions"].([]string); len(free) == 0 {
					t.Errorf("no suggestions: %v", p.Extra)
				}
				var further []string
				for _, item := range p.Problems {
					further = append(further, item.Code)
				}
				if !slices.Equal(want[1:], further) {
					t.Errorf("further faults %v, want %v", further, want[1:])
				}
				if w.credential("2") != nil || w.profile("2").Username != "" {
					t.Error("it changed the login")
				}
			}
			check(w.service, second, "username_required")
			check(w.service, "short", "username_required", "username_required", "password_too_short")

			// Claimed while the password was hashed.
			w.update(func(tx *store.Tx) error { tx.DeleteClaim(org, "ana@example.com"); return nil })
			late := *w.service
			late.Store = &interrupted{Store: w.service.Store, meanwhile: func() {
				w.update(func(tx *store.Tx) error { tx.PutClaim(org, "ana@example.com", "1"); return nil })
			}}
			check(&late, second, "username_required")
		})
	}
}

// TestUsernameRace: of many who claim one name one gets it (H4).
func TestUsernameRace(t *testing.T) {
	w := newWorld(t)
	const racers = 32
	for i := range racers {
		w.add(profile.ID(fmt.Sprint(i)), fmt.Sprintf("p%d@example.com", i))
	}
	var wg sync.WaitGroup
	results := make([]error, racers)
	start := make(chan struct{})
	for i := range racers {
		wg.Go(func() {
			<-start
			_, results[i] = w.service.Change(w.ctx, desk, org, profile.ID(fmt.Sprint(i)), 0, change("Garcia", ""))
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
			t.Errorf("%d and %d both have the name", winner, i)
		default:
			w.wantCode(err, "username_taken")
		}
	}
	if winner < 0 {
		t.Fatal("nobody has the name")
	}
	holder, err := w.store.Claim(w.ctx, org, "garcia")
	if err != nil || holder != profile.ID(fmt.Sprint(winner)) {
		t.Errorf("claimed by %q, %v, want %d", holder, err, winner)
	}
	for i := range racers {
		p := w.profile(profile.ID(fmt.Sprint(i)))
		if (p.Username != "") != (i == winner) || p.CredentialVersion != len(w.trail(p.ID)) {
			t.Errorf("%d: username %q, version %d, %d lines in the trail", i, p.Username, p.CredentialVersion, len(w.trail(p.ID)))
		}
	}
}

// TestPlaceholder is attack A22: what GET shows and PUT sends back.
func TestPlaceholder(t *testing.T) {
	w := newWorld(t)
	for i, text := range []string{first, strings.Repeat("walnut lantern ", 16), "ünïcode-wörter-im-kopf"} {
		id := profile.ID(fmt.Sprint(i))
		w.add(id, fmt.Sprintf("p%d@example.com", i))
		v := w.mustSet(id, "", text)
		hash := w.credential(id).Hash
		body, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if v.PasswordPlaceholder != password.Placeholder || !v.PasswordSet {
			t.Errorf("%+v", v)
		}
		for _, secret := range []string{"$argon2", text, fmt.Sprint(len(text)), hash.PHC()[30:]} {
			if strings.Contains(string(body), secret) {
				t.Errorf("the view holds %q: %s", secret, body)
			}
		}
		back := change(v.Username, v.PasswordPlaceholder)
		again, err := w.service.Change(w.ctx, desk, org, id, v.Version, back)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, again); diff != "" {
			t.Error(diff)
		}
		if !w.credential(id).Hash.Equal(hash) {
			t.Error("the hash is another one")
		}
	}
	w.add("none", "none@example.com")
	v, err := w.service.Read(w.ctx, org, "none")
	if err != nil || v.PasswordSet || v.PasswordPlaceholder != "" {
		t.Errorf("without a password: %+v, %v", v, err)
	}
}

func TestRead(t *testing.T) {
	w := newWorld(t)
	w.add("1", "ana@example.com")
	sent := w.now()
	if _, err := w.resets.Send(w.ctx, desk, org, "1", "", ""); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Hour)
	v := w.mustSet("1", "", first)
	w.pass(time.Hour)
	if err := w.service.NoteSignIn(w.ctx, org, "1"); err != nil {
		t.Fatal(err)
	}
	got, err := w.service.Read(w.ctx, org, "1")
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"username":"ana@example.com","passwordSet":true,"passwordPlaceholder":"************","mustChange":true,"version":1,` +
		`"passwordChangedAt":"2026-11-23T16:00:00Z","passwordChangedBy":"staff","passwordChangedByName":"Eve Desk",` +
		`"stopsAt":"2026-12-07T16:00:00Z","stopped":false,"disabled":false,"loginStatus":"active","lastSignInAt":"2026-11-23T17:00:00Z",` +
		`"lastLink":{"state":"pending","address":"","sentAt":"2026-11-23T15:00:00Z","endsAt":"2026-11-23T16:00:00Z","mailing":null}}`
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Error(diff)
	}
	if !got.LastLink.EndsAt.Equal(sent.Add(time.Hour)) || got.Version != v.Version {
		t.Errorf("the change ended the link, and a sign-in moves no version: %+v", got)
	}
	w.pass(credential.TypedLife)
	if got, err = w.service.Read(w.ctx, org, "1"); err != nil || !got.Stopped || !got.PasswordSet {
		t.Errorf("%+v, %v: the tab must say that the password has stopped", got, err)
	}
	if _, err := w.service.Read(w.ctx, other, "1"); !errors.Is(err, store.NoProfile) {
		t.Errorf("another organization reads %v", err)
	}
}

func TestRemove(t *testing.T) {
	w := newWorld(t)
	w.add("1", "ana@example.com")
	v := w.mustSet("1", "", first)
	token := w.mint("1")
	w.fail("ana@example.com")
	w.pass(time.Second)
	got, err := w.service.Remove(w.ctx, desk, org, "1", v.Version)
	if err != nil {
		t.Fatal(err)
	}
	want := &credential.View{Version: 2, Disabled: true, LoginStatus: profile.LoginDisabled}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if c := w.credential("1"); c != nil {
		t.Errorf("the credential is still there: %+v", c)
	}
	if holder, err := w.store.Claim(w.ctx, org, "ana@example.com"); holder != "" || err != nil {
		t.Errorf("claimed by %q, %v", holder, err)
	}
	if w.waits("ana@example.com") {
		t.Error("whoever takes the username next would wait")
	}
	_, err = w.use(token, "", second)
	w.wantCode(err, "link_ended")
	told := w.told()
	if diff := cmp.Diff([]message.Change{message.LoginRemoved}, told[len(told)-1]); diff != "" {
		t.Error(diff)
	}
	// Once more: nothing is left to change.
	again, err := w.service.Remove(w.ctx, desk, org, "1", got.Version)
	if err != nil || again.Version != got.Version || len(w.told()) != len(told) {
		t.Errorf("%+v, %v, %d notices", again, err, len(w.told()))
	}
	if p := w.profile("1"); !p.HadPassword || p.HasPassword {
		t.Errorf("%+v", p)
	}
}

// TestChangeEndsWaits: under the old, the new username and the email.
func TestChangeEndsWaits(t *testing.T) {
	w := newWorld(t)
	w.add("1", "ana@example.com")
	w.mustSet("1", "ana", first)
	for _, name := range []string{"ana", "ana@example.com", "garcia"} {
		w.fail(name)
	}
	w.mustSet("1", "garcia", second)
	for _, name := range []string{"ana", "ana@example.com", "garcia"} {
		if w.waits(name) {
			t.Errorf("%s still waits", name)
		}
	}
}

// TestBellUnheard: a bell that cannot be rung is no failure of the change.
func TestBellUnheard(t *testing.T) {
	w := newWorld(t)
	w.service.Bells = deaf{}
	w.add("1", "ana@example.com")
	w.mustSet("1", "", first)
	if len(w.notices()) != 1 {
		t.Error("the notice is not among what is due")
	}
	if !strings.Contains(w.log.String(), "bell not rung") {
		t.Errorf("log: %s", w.log)
	}
}

func TestCheckPassword(t *testing.T) {
	w := newWorld(t)
	w.add("1", "ana@example.com")
	tests := []struct {
		id   profile.ID
		text string
		want []string
	}{
		{"", first, nil},
		{"1", first, nil},
		{"", "ana garcia 2026!", nil},
		{"1", "ana garcia garcia", []string{"password_context"}},
		{"1", "short", []string{"password_too_short"}},
		{"1", password.Placeholder, []string{"password_is_placeholder"}},
	}
	for _, test := range tests {
		reasons, rule, err := w.service.CheckPassword(w.ctx, org, test.id, password.NewPlain(test.text))
		if err != nil || rule == "" {
			t.Fatal(err, rule)
		}
		var got []string
		for _, r := range reasons {
			got = append(got, r.Code)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%q for %q: %s", test.text, test.id, diff)
		}
	}
	_, _, err := w.service.CheckPassword(w.ctx, org, "99", password.NewPlain(first))
	w.wantCode(err, "profile_not_found")
	plain, err := w.service.Generate(w.ctx, org)
	if err != nil {
		t.Fatal(err)
	}
	if reasons, _, err := w.service.CheckPassword(w.ctx, org, "1", plain); err != nil || len(reasons) > 0 {
		t.Errorf("a generated one is refused: %v %v", reasons, err)
	}
}

var _ mailing.Bells = deaf{}
