package directory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/directory"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

func (h *house) edit(t testing.TB, id string, version int, f profile.Fields) *directory.Edited {
	t.Helper()
	e, err := h.Edit(t.Context(), eve, "acme", profile.ID(id), version, f)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestCreate(t *testing.T) {
	h := quick(t)
	v := h.create(t, person("", "Garcia <b>{{x}}</b>", " Ana@Example.com "))
	if !v.ID.Valid() || v.Version != 1 || v.Name != "Ana Garcia <b>{{x}}</b>" || v.Email != "Ana@Example.com" || !v.Access.Allowed || v.LoginStatus != profile.LoginNone {
		t.Errorf("created %+v", v)
	}
	if diff := cmp.Diff([]activity.Kind{activity.ProfileCreated}, kinds(h.trail(t, v.ID))); diff != "" {
		t.Error(diff)
	}
	if p := h.profile(t, v.ID); p.Epoch == "" || !p.EpochAt.Equal(noon) {
		t.Errorf("no epoch: %+v", p)
	}
	for _, x := range []struct {
		what, code string
		f          profile.Fields
	}{
		{"an ID in use", "id_taken", person(string(v.ID), "Lopez", "")},
		{"an ID that is none", "id_invalid", person("a b", "Lopez", "")},
		{"a relation to nobody", "relation_unknown", profile.Fields{Type: ptr(profile.Individual), LastName: ptr("L"), Status: ptr(profile.Active), Relations: &[]profile.Relation{{To: "77", Kind: "Owner"}}}},
		{"no name", "name_missing", profile.Fields{Type: ptr(profile.Individual), Status: ptr(profile.Active)}},
		{"a line break in a name", "text_invalid", person("5", "Gar\ncia", "")},
	} {
		_, err := h.Create(t.Context(), eve, "acme", "", x.f)
		if problem.CodeOf(err) != x.code {
			t.Errorf("%s: %v, want %s", x.what, err, x.code)
		}
	}
	if n := len(h.all(t)); n != 1 {
		t.Errorf("%d profiles after refusals", n)
	}
}

func TestCreateRepeated(t *testing.T) {
	h := quick(t)
	make := func(key string, f profile.Fields) (*directory.View, error) {
		return h.Create(t.Context(), eve, "acme", key, f)
	}
	first, err := make("k-1", person("", "Garcia", "ana@example.com"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			again, err := make("k-1", person("", "Garcia", "ana@example.com"))
			if err != nil || cmp.Diff(first, again) != "" {
				t.Errorf("a repeat answers otherwise: %v, %v", again, err)
			}
		})
	}
	wg.Wait()
	_, err = make("k-1", person("", "Lopez", "ana@example.com"))
	if p := wantCode(t, err, "idempotency_key_reused"); p.Extra["id"] != first.ID {
		t.Errorf("extra %v", p.Extra)
	}
	if other, err := make("k-2", person("", "Garcia", "ana@example.com")); err != nil || other.ID == first.ID {
		t.Errorf("another key: %v, %v", other, err)
	}
	named, err := make("k-3", person("1042", "Ruiz", ""))
	if err != nil || named.ID != "1042" {
		t.Fatal(named, err)
	}
	if _, err := make("k-3", person("1042", "Ruiz", "")); err != nil {
		t.Errorf("a repeat with an ID of its own: %v", err)
	}
	if n := len(h.all(t)); n != 3 {
		t.Errorf("%d profiles, want 3", n)
	}
	for id := range h.all(t) {
		if n := len(h.trail(t, id)); n != 1 {
			t.Errorf("%d entries for profile %s", n, id)
		}
	}
}

// H3: nothing sent, nothing changed.
func TestEditWithoutChange(t *testing.T) {
	h := quick(t)
	h.create(t, person("1", "Garcia", "ana@example.com"))
	before := h.profile(t, "1")
	h.pass(time.Hour)
	for _, f := range []profile.Fields{{}, person("1", " Garcia ", " ANA@example.com"), {UsernameToo: ptr(true)}} {
		e := h.edit(t, "1", 1, f)
		if len(e.Changed) != 0 || e.Version != 1 || e.LoginsEnded || e.UsernameStays || e.AccessChange != nil {
			t.Errorf("%+v", e)
		}
	}
	if diff := cmp.Diff(before, h.profile(t, "1")); diff != "" || len(h.trail(t, "1")) != 1 {
		t.Errorf("something changed:\n%s", diff)
	}
}

// H3: an edit of another version is refused, and told what it would overwrite.
func TestEditStale(t *testing.T) {
	h := quick(t)
	h.create(t, person("1", "Garcia", "ana@example.com"))
	h.edit(t, "1", 1, profile.Fields{LastName: ptr("Lopez"), Status: ptr(profile.Lapsed)})
	before := h.profile(t, "1")
	_, err := h.Edit(t.Context(), eve, "acme", "1", 1, profile.Fields{LastName: ptr("Ruiz"), FirstName: ptr("Ana"), Status: ptr(profile.Active)})
	p := wantCode(t, err, "version_stale")
	if p.Kind != problem.Stale || p.Extra["version"] != 2 || fmt.Sprint(p.Extra["differs"]) != "[status lastName]" {
		t.Errorf("%v %v", p, p.Extra)
	}
	if diff := cmp.Diff(before, h.profile(t, "1")); diff != "" {
		t.Errorf("a stale edit changed something:\n%s", diff)
	}
}

func TestTwoEditorsOneWins(t *testing.T) {
	h := quick(t)
	h.create(t, person("1", "Garcia", "ana@example.com"))
	const editors = 8
	errs := make([]error, editors)
	var wg sync.WaitGroup
	for i := range editors {
		wg.Go(func() {
			_, errs[i] = h.Edit(t.Context(), eve, "acme", "1", 1, profile.Fields{LastName: ptr(fmt.Sprint("Name", i))})
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		if err == nil {
			if winner >= 0 {
				t.Fatal("two editors won")
			}
			winner = i
		} else if problem.CodeOf(err) != "version_stale" {
			t.Errorf("a loser was told %v", err)
		}
	}
	if p := h.profile(t, "1"); winner < 0 || p.LastName != fmt.Sprint("Name", winner) || p.Version != 2 || len(h.trail(t, "1")) != 2 {
		t.Errorf("winner %d, profile %+v", winner, p)
	}
}

// N11, H5, H5b: what a changed email does.
func TestEditEmail(t *testing.T) {
	for _, x := range []struct {
		what         string
		username     string // "" is a profile without a login
		email        string
		too          *bool
		wantUsername string
		wantStays    bool
		wantNotices  []string // addresses; "" is the one on file
		wantChanges  []message.Change
		wantKinds    []activity.Kind
	}{
		{"no login", "", "new@example.org", nil, "", false, nil, nil, []activity.Kind{activity.EmailChanged}},
		{"no login, username too", "", "new@example.org", ptr(true), "", false, nil, nil, []activity.Kind{activity.EmailChanged}},
		{"another username", "ana", "new@example.org", ptr(true), "ana", false, []string{"", "old@example.com"}, []message.Change{message.EmailChanged}, []activity.Kind{activity.EmailChanged}},
		{"not ticked", "old@example.com", "new@example.org", nil, "old@example.com", true, []string{"", "old@example.com"}, []message.Change{message.EmailChanged}, []activity.Kind{activity.EmailChanged}},
		{"unticked", "old@example.com", "new@example.org", ptr(false), "old@example.com", true, []string{"", "old@example.com"}, []message.Change{message.EmailChanged}, []activity.Kind{activity.EmailChanged}},
		{"ticked", "old@example.com", "New@Example.org", ptr(true), "new@example.org", false, []string{"", "old@example.com"}, []message.Change{message.EmailChanged, message.UsernameChanged}, []activity.Kind{activity.EmailChanged, activity.UsernameChanged}},
		{"removed", "old@example.com", "", nil, "old@example.com", true, []string{"old@example.com"}, []message.Change{message.EmailChanged}, []activity.Kind{activity.EmailChanged}},
	} {
		t.Run(x.what, func(t *testing.T) {
			h := quick(t)
			h.create(t, person("1", "Garcia", "old@example.com"))
			if x.username != "" {
				h.login(t, "1", x.username)
			}
			h.update(t, func(tx *store.Tx) error {
				p, err := tx.Profile("acme", "1")
				p.Undeliverable = &profile.Undeliverable{Reason: "bounced", At: noon}
				return errors.Join(err, tx.PutProfile(p))
			})
			before := h.profile(t, "1")
			h.pass(time.Hour)
			e := h.edit(t, "1", 1, profile.Fields{Email: &x.email, UsernameToo: x.too})
			p := h.profile(t, "1")
			if p.Username != x.wantUsername || e.UsernameStays != x.wantStays || !e.LoginsEnded || e.Version != 2 || p.Undeliverable != nil {
				t.Errorf("username %q, stays %t, ended %t, version %d, undeliverable %v", p.Username, e.UsernameStays, e.LoginsEnded, e.Version, p.Undeliverable)
			}
			if p.Epoch == before.Epoch || !p.EpochAt.Equal(h.Now()) {
				t.Error("the epoch stays")
			}
			moved := 0
			if x.username != x.wantUsername {
				moved = 1
				if holder, _ := h.store.Claim(t.Context(), "acme", x.username); holder != "" {
					t.Error("the old username is not free")
				}
			}
			if p.CredentialVersion != before.CredentialVersion+moved {
				t.Errorf("credential version %d, was %d", p.CredentialVersion, before.CredentialVersion)
			}
			if x.wantUsername != "" {
				if holder, _ := h.store.Claim(t.Context(), "acme", x.wantUsername); holder != "1" {
					t.Errorf("username %q belongs to %q", x.wantUsername, holder)
				}
			}

			var addresses []string
			for _, b := range h.singles(t, h.Now().Add(h.Again)) {
				if b.Kind != mailing.KindNotice || len(b.Entries) != 1 || !slices.Equal(b.Single.Notice.Changes, x.wantChanges) || b.Single.Notice.Username != x.wantUsername {
					t.Errorf("notice %+v of %+v", b.Single.Notice, b)
				}
				addresses = append(addresses, b.Entries[0].Address)
			}
			slices.Sort(addresses)
			if diff := cmp.Diff(x.wantNotices, addresses); diff != "" {
				t.Errorf("notices:\n%s", diff)
			}
			if len(h.bells.rung) != len(x.wantNotices) {
				t.Errorf("%d bells", len(h.bells.rung))
			}
			trail := h.trail(t, "1")
			if diff := cmp.Diff(x.wantKinds, kinds(trail[:len(trail)-1])); diff != "" {
				t.Errorf("activity:\n%s", diff)
			}
			for _, entry := range trail {
				if entry.Kind == activity.EmailChanged && (entry.Detail["old"] != "o***@example.com" || x.email != "" && !slices.Contains([]string{"n***@example.org", "N***@Example.org"}, entry.Detail["new"])) {
					t.Errorf("activity holds %v", entry.Detail)
				}
				if entry.Kind == activity.UsernameChanged && (entry.Detail["old"] != x.username || entry.Detail["new"] != x.wantUsername) {
					t.Errorf("activity holds %v", entry.Detail)
				}
			}
		})
	}
}

func TestEditUsernameTaken(t *testing.T) {
	h := quick(t)
	h.create(t, person("1", "Garcia", "old@example.com"))
	h.create(t, person("2", "Lopez", "new@example.org"))
	h.login(t, "1", "old@example.com")
	h.login(t, "2", "new@example.org")
	before := h.dump(t)
	long := "a@" + string(slices.Repeat([]byte("b"), 60)) + "." + string(slices.Repeat([]byte("c"), 60)) + ".example.org"
	for email, code := range map[string]string{"new@example.org": "username_taken", "": "username_invalid", long: "username_invalid"} {
		_, err := h.Edit(t.Context(), eve, "acme", "1", 1, profile.Fields{Email: &email, UsernameToo: ptr(true)})
		wantCode(t, err, code)
	}
	if diff := cmp.Diff(before, h.dump(t)); diff != "" || len(h.bells.rung) != 0 {
		t.Errorf("a refused edit changed something:\n%s", diff)
	}
	// Without it the address is shared, which is allowed, and told.
	e := h.edit(t, "1", 1, profile.Fields{Email: ptr("new@example.org")})
	if !e.UsernameStays || len(e.SharedWith) != 1 || e.SharedWith[0].ID != "2" {
		t.Errorf("%+v", e)
	}
}

// H4: two who want one username by usernameToo: one gets it.
func TestEditRaceForUsername(t *testing.T) {
	h := quick(t)
	ids := []string{"1", "2", "3", "4"}
	for _, id := range ids {
		h.create(t, person(id, "Garcia", "old"+id+"@example.com"))
		h.login(t, profile.ID(id), "old"+id+"@example.com")
	}
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() {
			_, errs[i] = h.Edit(t.Context(), eve, "acme", profile.ID(id), 1, profile.Fields{Email: ptr("one@example.com"), UsernameToo: ptr(true)})
		})
	}
	wg.Wait()
	holder, err := h.store.Claim(t.Context(), "acme", "one@example.com")
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		p, won := h.profile(t, profile.ID(id)), profile.ID(id) == holder
		switch {
		case won && (errs[i] != nil || p.Username != "one@example.com"):
			t.Errorf("the winner %s: %v, %+v", id, errs[i], p)
		case !won && (problem.CodeOf(errs[i]) != "username_taken" || p.Username != "old"+id+"@example.com" || p.Version != 1):
			t.Errorf("a loser %s: %v, %+v", id, errs[i], p)
		}
	}
	if holder == "" {
		t.Error("nobody won")
	}
}

// N12: an edit tells what it does to the right to sign in.
func TestEditAccess(t *testing.T) {
	h := quick(t)
	h.create(t, company("9", "Company"))
	for i, kind := range []string{"Employee", "Owner", "Former Employee", "Cousin"} {
		f := person(fmt.Sprint(i), "Garcia", "")
		f.Status, f.Relations = ptr(profile.NonMember), &[]profile.Relation{{To: "9", Kind: kind}}
		h.create(t, f)
	}
	e := h.edit(t, "9", 1, profile.Fields{Status: ptr(profile.Dropped)})
	want := &directory.AccessChange{Before: profile.Right{Allowed: true, Reason: "member"}, After: profile.Right{Reason: "not_a_member"}, RelatedLose: 2}
	if diff := cmp.Diff(want, e.AccessChange); diff != "" {
		t.Errorf("a company that drops out:\n%s", diff)
	}
	e = h.edit(t, "9", 2, profile.Fields{Status: ptr(profile.Active)})
	if e.AccessChange == nil || e.AccessChange.RelatedGain != 2 || e.AccessChange.RelatedLose != 0 {
		t.Errorf("a company that rejoins: %+v", e.AccessChange)
	}
	e = h.edit(t, "0", 1, profile.Fields{Relations: &[]profile.Relation{{To: "9", Kind: "Former Employee"}}})
	want = &directory.AccessChange{Before: profile.Right{Allowed: true, Reason: "primary_relation", Via: "9"}, After: profile.Right{Reason: "relation_ended", Via: "9"}}
	if diff := cmp.Diff(want, e.AccessChange); diff != "" {
		t.Errorf("a relation that ends:\n%s", diff)
	}
	if e = h.edit(t, "1", 1, profile.Fields{FirstName: ptr("Eva")}); e.AccessChange != nil {
		t.Errorf("a new name: %+v", e.AccessChange)
	}
	entry := h.trail(t, "0")
	if i := slices.IndexFunc(entry, func(e activity.Entry) bool { return e.Kind == activity.ProfileEdited }); i < 0 ||
		entry[i].Detail["old.relations"] != "Employee of 9" || entry[i].Detail["fields"] != "relations" {
		t.Errorf("trail %+v", entry)
	}
}

func TestEditRelations(t *testing.T) {
	h := quick(t)
	h.create(t, company("9", "Company"))
	for i := range 4 {
		f := person(fmt.Sprint(i), "Garcia", "")
		if i < 2 {
			f.Relations = &[]profile.Relation{{To: "9", Kind: "Employee", MainContact: true}}
		}
		h.create(t, f)
	}
	for _, x := range []struct {
		what, code string
		relations  []profile.Relation
	}{
		{"a third main contact", "main_contacts_full", []profile.Relation{{To: "9", Kind: "Owner", MainContact: true}}},
		{"nobody", "relation_unknown", []profile.Relation{{To: "77", Kind: "Owner"}}},
		{"itself", "relation_self", []profile.Relation{{To: "3", Kind: "Owner"}}},
	} {
		_, err := h.Edit(t.Context(), eve, "acme", "3", 1, profile.Fields{Relations: &x.relations})
		if problem.CodeOf(err) != x.code {
			t.Errorf("%s: %v", x.what, err)
		}
	}
	h.edit(t, "3", 1, profile.Fields{Relations: &[]profile.Relation{{To: "9", Kind: "Former Owner", MainContact: true}}}) // counts no more
	h.edit(t, "0", 1, profile.Fields{Relations: &[]profile.Relation{{To: "9", Kind: "Owner", MainContact: true}}})        // has its place
	h.edit(t, "0", 2, profile.Fields{Relations: &[]profile.Relation{}})
	h.edit(t, "2", 1, profile.Fields{Relations: &[]profile.Relation{{To: "9", Kind: "Owner", MainContact: true}}}) // a place is free
}

// H21, A21: another organization's profile is as absent as one that is not there.
func TestOtherOrganization(t *testing.T) {
	h := quick(t)
	h.create(t, person("1", "Garcia", "ana@example.com"))
	before := h.dump(t)
	for _, id := range []profile.ID{"1", "2", "", "no such id", "1#x", "..", "1\x00"} {
		for what, err := range map[string]error{
			"Get":             second(h.Get(t.Context(), "other", id)),
			"Edit":            second(h.Edit(t.Context(), eve, "other", id, 1, profile.Fields{LastName: ptr("X")})),
			"ReleaseAddress":  second(h.ReleaseAddress(t.Context(), eve, "other", id)),
			"Related":         second(h.Related(t.Context(), "other", id, "", 0)),
			"ProfileActivity": second(h.ProfileActivity(t.Context(), "other", id, "", 0)),
		} {
			p := problem.As(err)
			if p.Kind != problem.NotFound || p.Code != store.NoProfile.Code || p.Detail != store.NoProfile.Detail || p.Field != store.NoProfile.Field {
				t.Errorf("%s of %q: %v", what, id, err)
			}
		}
	}
	if diff := cmp.Diff(before, h.dump(t)); diff != "" {
		t.Error(diff)
	}
	// A relation never leads into another organization.
	_, err := h.Create(t.Context(), eve, "other", "", profile.Fields{Type: ptr(profile.Individual), LastName: ptr("X"), Status: ptr(profile.Active), Relations: &[]profile.Relation{{To: "1", Kind: "Owner"}}})
	wantCode(t, err, "relation_unknown")
}

func second[T any](_ T, err error) error { return err }

func TestReleaseAddress(t *testing.T) {
	h := quick(t)
	h.create(t, person("1", "Garcia", "Ana@BÜCHER.example.com"))
	var released []string
	h.Unsuppress = func(_ context.Context, address string) error {
		released = append(released, address)
		return nil
	}
	release := func() *directory.View {
		v, err := h.ReleaseAddress(t.Context(), eve, "acme", "1")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	release()
	if len(released) != 0 || len(h.trail(t, "1")) != 1 {
		t.Errorf("released without a mark: %v", released)
	}
	h.update(t, func(tx *store.Tx) error {
		p, err := tx.Profile("acme", "1")
		p.Undeliverable = &profile.Undeliverable{Reason: "suppressed", At: noon}
		return errors.Join(err, tx.PutProfile(p))
	})
	v := release()
	if v.Undeliverable != nil || v.Version != 1 || h.profile(t, "1").Undeliverable != nil {
		t.Errorf("%+v", v)
	}
	if diff := cmp.Diff([]string{"Ana@xn--bcher-kva.example.com"}, released); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]activity.Kind{activity.AddressReleased, activity.ProfileCreated}, kinds(h.trail(t, "1"))); diff != "" {
		t.Error(diff)
	}
}

// A bell that cannot be rung fails nothing: the sweep rings it.
func TestEditWithoutBells(t *testing.T) {
	h := quick(t)
	h.bells.err = errors.New("no queue")
	h.create(t, person("1", "Garcia", "old@example.com"))
	h.login(t, "1", "ana")
	h.edit(t, "1", 1, profile.Fields{Email: ptr("new@example.org")})
	if n := len(h.singles(t, noon.Add(h.Again))); n != 2 {
		t.Errorf("%d notices for the sweep, want 2", n)
	}
}
