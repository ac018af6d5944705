package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

var restored = time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)

// limited fails once so many commits were made, as a process that is killed.
type limited struct {
	store.DB
	left atomic.Int64
}

var errKilled = errors.New("killed")

func (l *limited) Commit(ctx context.Context, checks []store.Check, writes []store.Write) error {
	if l.left.Add(-1) < 0 {
		return errKilled
	}
	keys := map[store.Key]bool{}
	for _, c := range checks {
		keys[c.Key] = true
	}
	for _, w := range writes {
		keys[w.Key] = true
	}
	if len(keys) > 100 {
		return fmt.Errorf("%d keys in a transaction", len(keys))
	}
	return l.DB.Commit(ctx, checks, writes)
}

// few is how many profiles the other organization has.
const few = 5

// world has an organization of n profiles and another of a few, as a backup
// brought them back.
func world(t *testing.T, n int) (*limited, *replacement, *bytes.Buffer) {
	t.Helper()
	db, err := embedded.Open(filepath.Join(t.TempDir(), "x.db"), embedded.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l := &limited{DB: db}
	l.left.Store(1 << 30)
	var out bytes.Buffer
	r := &replacement{
		Store: &store.Store{DB: l}, Since: restored, Rand: rand.Reader, Now: func() time.Time { return restored.Add(time.Minute) },
		Say: func(format string, a ...any) { fmt.Fprintf(&out, format+"\n", a...) },
	}
	for org, n := range map[string]int{"acme": n, "birds": few} {
		err := r.Store.Update(t.Context(), func(tx *store.Tx) error {
			s := organization.Defaults(org, org)
			tx.PutOrganization(&s)
			return nil
		})
		for i := 0; i < n && err == nil; i++ {
			err = r.Store.Update(t.Context(), func(tx *store.Tx) error {
				id := profile.ID(fmt.Sprint(i))
				if _, err := tx.Profile(org, id); !errors.Is(err, store.NoProfile) {
					return err
				}
				return tx.PutProfile(&profile.Profile{
					Organization: org, ID: id, Type: profile.Individual, FirstName: "Ana", LastName: fmt.Sprint("Dorsey", i%7), Status: profile.Active,
					Epoch: "of the backup", EpochAt: restored.Add(-time.Duration(i) * time.Hour), Username: fmt.Sprint("ana", i), HasPassword: true, Version: 3, CredentialVersion: 2,
				})
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return l, r, &out
}

// epochs are those of an organization by profile.
func epochs(t *testing.T, r *replacement, org string, n int) map[profile.ID]string {
	t.Helper()
	all := map[profile.ID]string{}
	for i := range n {
		p, err := r.Store.Profile(t.Context(), org, profile.ID(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		all[p.ID] = p.Epoch
		want := profile.Profile{Organization: org, ID: p.ID, Type: profile.Individual, FirstName: "Ana", LastName: p.LastName, Status: profile.Active,
			Username: p.Username, HasPassword: true, Version: 3, CredentialVersion: 2, Epoch: p.Epoch, EpochAt: p.EpochAt}
		if diff := cmp.Diff(&want, p); diff != "" {
			t.Fatalf("more than the epoch has changed: %s", diff)
		}
	}
	return all
}

func TestEveryEpochIsReplacedOnce(t *testing.T) {
	const n = 1130
	_, r, out := world(t, n)
	before := epochs(t, r, "birds", few)
	if err := r.organization(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "acme: 1130 profiles, 1130 epochs replaced") {
		t.Errorf("it says %s", out)
	}
	first := epochs(t, r, "acme", n)
	seen := map[string]bool{"of the backup": true}
	for id, epoch := range first {
		if seen[epoch] {
			t.Fatalf("%s has the epoch of the backup, or somebody else's", id)
		}
		seen[epoch] = true
	}
	if diff := cmp.Diff(before, epochs(t, r, "birds", few)); diff != "" {
		t.Error("another organization was touched")
	}
	// The trail of each tells it, that of the day once.
	trail, _, err := r.Store.ProfileActivity(t.Context(), "acme", "17", "", 10)
	if err != nil || len(trail) != 1 || trail[0].Kind != activity.SignedOut || trail[0].Actor != by {
		t.Errorf("%+v, %v", trail, err)
	}
	day, _, err := r.Store.DayActivity(t.Context(), "acme", restored, "", 10)
	if err != nil || len(day) != 1 || day[0].Detail["count"] != "1130" {
		t.Errorf("%+v, %v", day, err)
	}
	// The same again changes nothing.
	if err := r.organization(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, epochs(t, r, "acme", n)); diff != "" {
		t.Error("a second run changed what was new already")
	}
}

// Killed at any commit and started again, it ends with everybody's replaced and
// nobody's replaced twice.
func TestResumed(t *testing.T) {
	const n = 170
	for _, commits := range []int64{0, 1, 3, 5} {
		t.Run(fmt.Sprint(commits), func(t *testing.T) {
			l, r, _ := world(t, n)
			l.left.Store(commits)
			if err := r.organization(t.Context(), "acme"); !errors.Is(err, errKilled) && commits < 5 {
				t.Fatalf("not killed: %v", err)
			}
			half := epochs(t, r, "acme", n)
			l.left.Store(1 << 30)
			if err := r.organization(t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
			for id, epoch := range epochs(t, r, "acme", n) {
				if was := half[id]; epoch == "of the backup" || was != "of the backup" && was != epoch {
					t.Errorf("%s: %q, then %q", id, was, epoch)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	_, r, _ := world(t, 1)
	if err := r.organization(t.Context(), "nobody"); err == nil {
		t.Error("an organization that is not there")
	}
	r.Since = restored.Add(time.Hour) // the clock went back
	if err := r.organization(t.Context(), "acme"); err == nil {
		t.Error("an epoch that would count as old at once")
	}
	for _, args := range []string{"acme", "-profiles p acme", "-profiles p -activity a", "-profiles p -activity a -since yesterday acme", "-profiles p -activity a -since 2999-01-01T00:00:00Z acme"} {
		if err := command(t.Context(), strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
