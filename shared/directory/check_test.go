package directory_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/directory"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// stored is a sum over the file of the store: every item of every table.
func (h *house) stored(t testing.TB) [sha256.Size]byte {
	t.Helper()
	file, err := os.ReadFile(h.file)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(file)
}

// told is what a caller learns from a problem.
func told(err error) string {
	if err == nil {
		return ""
	}
	p := problem.As(err)
	return fmt.Sprint(p.Kind, p.Code, p.Field, p.Detail, p.Problems, p.Extra)
}

// A check tells what the edit then does, or is refused for, whatever is
// combined; it stores nothing and rings nothing.
func TestCheckAgreesWithEdit(t *testing.T) {
	subjects := []struct {
		what     string
		username string // "" is a profile without a login; "email" is its email
	}{{"without a login", ""}, {"email as username", "email"}, {"another username", "ana"}}
	emails := []*string{
		nil, ptr(" SUBJECT@example.com"), ptr("new@example.org"), ptr("taken@example.org"), ptr("shared@example.org"), ptr(""), ptr("no address"),
		ptr("a@" + strings.Repeat("b", 60) + "." + strings.Repeat("c", 60) + ".example.org"),
	}
	relations := []*[]profile.Relation{
		nil, {}, {{To: "9", Kind: "Owner", MainContact: true}}, {{To: "9", Kind: "Former Owner", MainContact: true}},
		{{To: "8", Kind: "Owner", MainContact: true}}, {{To: "77", Kind: "Owner"}},
	}
	statuses := []*profile.Status{nil, ptr(profile.Lapsed)}
	seen := map[string]int{}
	for _, subject := range subjects {
		t.Run(subject.what, func(t *testing.T) {
			h := quick(t)
			h.create(t, company("8", "Full"))
			h.create(t, company("9", "Company"))
			for i := range 2 {
				f := person(fmt.Sprint("contact", i), "Contact", "")
				f.Relations = &[]profile.Relation{{To: "8", Kind: "Employee", MainContact: true}}
				h.create(t, f)
			}
			h.create(t, person("taken", "Lopez", "taken@example.org"))
			h.login(t, "taken", "taken@example.org")
			h.create(t, person("shared", "Lopez", "shared@example.org"))
			// Everything is checked, then nothing has changed, then everything is done.
			type trial struct {
				id      profile.ID
				version int
				edit    profile.Fields
				was     *profile.Profile
				checked *directory.Edited
				refused error
			}
			var trials []*trial
			add := func(email *string, relations *[]profile.Relation, status *profile.Status, too *bool, version int) {
				n := len(trials)
				own := strings.NewReplacer("subject@", fmt.Sprintf("subject%d@", n), "SUBJECT@", fmt.Sprintf("SUBJECT%d@", n), "new@", fmt.Sprintf("new%d@", n))
				x := &trial{id: profile.ID(fmt.Sprint("s", n)), version: version, edit: profile.Fields{Relations: relations, Status: status, UsernameToo: too}}
				if email != nil {
					x.edit.Email = ptr(own.Replace(*email))
				}
				trials = append(trials, x)
				made := person(string(x.id), "Garcia", own.Replace("subject@example.com"))
				made.Status, made.Relations = ptr(profile.NonMember), &[]profile.Relation{{To: "9", Kind: "Cousin"}}
				if status != nil {
					made.Status = ptr(profile.Active)
				}
				h.create(t, made)
				switch subject.username {
				case "":
				case "email":
					h.login(t, x.id, own.Replace("subject@example.com"))
				default:
					h.login(t, x.id, fmt.Sprint(subject.username, n))
				}
				x.was = h.profile(t, x.id)
			}
			for _, email := range emails {
				for _, status := range statuses {
					for _, relation := range relations {
						add(email, relation, status, nil, 1)
					}
				}
				add(email, nil, nil, ptr(true), 1)
				add(email, relations[2], nil, ptr(true), 1)
				add(email, nil, nil, nil, 7)
			}
			h.pass(time.Hour)
			before := h.stored(t)
			for _, x := range trials {
				x.checked, x.refused = h.CheckEdit(t.Context(), eve, "acme", x.id, x.version, x.edit)
			}
			if h.stored(t) != before || len(h.bells.rung) != 0 {
				t.Fatal("a check stored or rang something")
			}

			for _, x := range trials {
				edited, err := h.Edit(t.Context(), eve, "acme", x.id, x.version, x.edit)
				if diff := cmp.Diff(told(err), told(x.refused)); diff != "" {
					t.Fatalf("%+v is refused otherwise than its check:\n%s", x.edit, diff)
				}
				seen[problem.CodeOf(err)]++
				if err != nil {
					continue
				}
				checked := x.checked
				if checked.Version != x.was.Version || !checked.UpdatedAt.Equal(x.was.UpdatedAt) {
					t.Errorf("a check tells version %d of %v, stored is %d", checked.Version, checked.UpdatedAt, x.was.Version)
				}
				if choice := checked.UsernameChoice; (choice != nil) != (edited.LoginsEnded && subject.username == "email") {
					t.Errorf("%+v offers the username %+v", x.edit, choice)
				} else if choice != nil && !choice.Possible {
					seen["not "+choice.Code]++
				} else if choice != nil && edited.UsernameStays != (x.edit.UsernameToo == nil) {
					t.Errorf("%+v: username stays %t", x.edit, edited.UsernameStays)
				}
				// What only a check tells, and what only storing moves.
				checked.UsernameChoice, checked.Version, checked.UpdatedAt = nil, edited.Version, edited.UpdatedAt
				if diff := cmp.Diff(edited, checked); diff != "" {
					t.Errorf("%+v does otherwise than its check:\n%s", x.edit, diff)
				}
				for what, happens := range map[string]bool{
					"changed": len(edited.Changed) > 0, "stays": edited.UsernameStays, "notices": len(edited.Notices) == 2, "shared": len(checked.SharedWith) > 0,
					"gains": edited.AccessChange != nil && edited.AccessChange.After.Allowed, "loses": edited.AccessChange != nil && !edited.AccessChange.After.Allowed,
				} {
					if happens {
						seen[what]++
					}
				}
				// The next one finds everything as it was.
				if len(edited.Changed) > 0 {
					h.edit(t, string(x.id), edited.Version, profile.Fields{Relations: &[]profile.Relation{}, Email: &x.was.Email, UsernameToo: ptr(true)})
				}
			}
		})
	}
	for _, what := range []string{
		"", "changed", "stays", "notices", "shared", "gains", "loses", "not username_taken", "not username_invalid",
		"username_taken", "username_invalid", "email_invalid", "relation_unknown", "main_contacts_full", "version_stale",
	} {
		if seen[what] == 0 {
			t.Errorf("no edit of the table comes to %q: %v", what, seen)
		}
	}
}

// What staff are shown of one edit before they save it.
func TestCheckEdit(t *testing.T) {
	h := quick(t)
	h.create(t, company("9", "Company"))
	for i := range 3 {
		f := person(fmt.Sprint(i), "Garcia", "")
		f.Status, f.Relations = ptr(profile.NonMember), &[]profile.Relation{{To: "9", Kind: "Employee"}}
		h.create(t, f)
	}
	h.create(t, person("7", "Lopez", "taken@example.org"))
	h.login(t, "7", "taken@example.org")
	h.edit(t, "0", 1, profile.Fields{Email: ptr("old@example.com")})
	h.login(t, "0", "old@example.com")
	h.pass(time.Hour)
	before := h.stored(t)

	check := func(id profile.ID, version int, f profile.Fields) *directory.Edited {
		t.Helper()
		e, err := h.CheckEdit(t.Context(), eve, "acme", id, version, f)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := check("0", 2, profile.Fields{Email: ptr("new@example.org")})
	if diff := cmp.Diff(&directory.UsernameChoice{Possible: true, Username: "new@example.org"}, e.UsernameChoice); diff != "" ||
		!e.UsernameStays || !e.LoginsEnded || e.Username != "old@example.com" || e.Email != "new@example.org" {
		t.Errorf("a free email: %+v", e)
	}
	if diff := cmp.Diff([]string{"old@example.com", "new@example.org"}, e.Notices); diff != "" {
		t.Errorf("notices:\n%s", diff)
	}
	e = check("0", 2, profile.Fields{Email: ptr("new@example.org"), UsernameToo: ptr(true)})
	if e.UsernameStays || e.Username != "new@example.org" || e.UsernameChoice == nil || !e.UsernameChoice.Possible {
		t.Errorf("ticked: %+v", e)
	}
	e = check("0", 2, profile.Fields{Email: ptr("taken@example.org")})
	if c := e.UsernameChoice; c == nil || c.Possible || c.Username != "" || c.Code != "username_taken" || c.Detail == "" {
		t.Errorf("a taken username: %+v", c)
	}
	if diff := cmp.Diff([]directory.Named{{ID: "7", Name: "Ana Lopez"}}, e.SharedWith); diff != "" {
		t.Errorf("who shares it:\n%s", diff)
	}
	e = check("9", 1, profile.Fields{Status: ptr(profile.Dropped)})
	if e.AccessChange == nil || e.AccessChange.RelatedLose != 3 || e.UsernameChoice != nil || e.Notices != nil {
		t.Errorf("a company that drops out: %+v", e)
	}
	e = check("0", 2, profile.Fields{Email: ptr("OLD@example.com")})
	if len(e.Changed) != 0 || e.UsernameChoice != nil || e.LoginsEnded || e.Version != 2 {
		t.Errorf("no change: %+v", e)
	}
	_, err := h.CheckEdit(t.Context(), eve, "acme", "0", 1, profile.Fields{Email: ptr("new@example.org")})
	if p := wantCode(t, err, "version_stale"); p.Extra["version"] != 2 {
		t.Errorf("extra %v", p.Extra)
	}
	_, err = h.CheckEdit(t.Context(), eve, "other", "0", 2, profile.Fields{})
	wantCode(t, err, "profile_not_found")
	if h.stored(t) != before || len(h.bells.rung) != 0 {
		t.Error("a check stored or rang something")
	}
}
