package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

// counting remembers how many distinct keys the last commit had.
type counting struct {
	store.DB
	keys int
}

func (c *counting) Commit(ctx context.Context, checks []store.Check, writes []store.Write) error {
	keys := map[store.Key]bool{}
	for _, check := range checks {
		keys[check.Key] = true
	}
	for _, write := range writes {
		keys[write.Key] = true
	}
	c.keys = len(keys)
	return c.DB.Commit(ctx, checks, writes)
}

// What Touches counts is what a commit has, never less; and exactly that where
// nothing of the profile stays.
func TestTouches(t *testing.T) {
	db, err := embedded.Open(filepath.Join(t.TempDir(), "x.db"), embedded.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	counted := &counting{DB: db}
	s := &store.Store{DB: counted}
	named := func(word string, relations int) *profile.Profile {
		p := &profile.Profile{Organization: "acme", ID: "1", FirstName: word + " " + word + "a", LastName: word + "b", Email: word + "@example.com", Mailbox: word + "@example.com"}
		for i := range relations {
			p.Relations = append(p.Relations, profile.Relation{To: profile.ID(fmt.Sprint(word, i)), Kind: "Owner"})
		}
		return p
	}
	var before *profile.Profile
	for _, step := range []struct {
		after *profile.Profile
		exact bool
	}{{named("xenia", 3), true}, {named("yusuf", 5), true}, {named("yusuf", 2), false}, {named("zoe", 0), true}} {
		estimate, most := s.Touches(before, step.after)
		if err := s.Update(t.Context(), func(tx *store.Tx) error {
			if before != nil {
				if _, err := tx.Profile("acme", "1"); err != nil {
					return err
				}
			}
			return tx.PutProfile(step.after)
		}); err != nil {
			t.Fatal(err)
		}
		if counted.keys > estimate || step.exact && counted.keys != estimate || counted.keys < 4 || estimate > most {
			t.Errorf("%s: a commit of %d keys, counted were %d of %d", step.after.FirstName, counted.keys, estimate, most)
		}
		before = step.after
	}
}
