package directory_test

import (
	"slices"
	"testing"

	"github.com/memberkey/memberkey/shared/profile"
)

// TestIDsNamedLikeLists holds that a profile's ID can be any word that the keys
// of the store use for something else: it never gets among the rows of it.
func TestIDsNamedLikeLists(t *testing.T) {
	h := quick(t)
	ids := []profile.ID{"find", "mailboxes", "names", "profile", "related", "settings", "username"}
	for _, id := range ids {
		h.create(t, person(string(id), "Garcia "+string(id), string(id)+"@example.com"))
	}
	// Each list gets a row that names somebody who is related to its namesake.
	about := person("7", "Olsen", "")
	about.Relations = &[]profile.Relation{{To: "names", Kind: "Spouse"}, {To: "mailboxes", Kind: "Spouse"}, {To: "find", Kind: "Spouse"}}
	h.create(t, about)
	want := append(slices.Clone(ids), "7")
	slices.Sort(want)

	for _, limit := range []int{1, 100} {
		got, _, _ := h.walk(t, profile.Filter{}, limit)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("by name, %d at a time: %v, want %v", limit, got, want)
		}
	}
	var got []profile.ID
	for cursor := ""; ; {
		page, next, err := h.store.ProfilesByMailbox(t.Context(), "acme", cursor, 3)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page...)
		if cursor = next; cursor == "" {
			break
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("by mailbox: %v, want %v", got, want)
	}
}
