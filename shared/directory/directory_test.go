package directory_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/directory"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

var (
	noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	eve  = activity.Actor{Kind: activity.Staff, ID: "s-1", Name: "Eve", From: "192.0.2.7"}
)

// house is a directory on a store of its own, with a clock that stands still.
type house struct {
	*directory.Service
	store *store.Store
	file  string // holds every item of the store
	bells *bells
	now   atomic.Int64
}

// bells remembers what was rung.
type bells struct {
	mu   sync.Mutex
	rung []mailing.Bell
	err  error
}

func (b *bells) Ring(_ context.Context, rung ...mailing.Bell) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rung = append(b.rung, rung...)
	return b.err
}

func newHouse(t testing.TB, opts embedded.Options) *house {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.db")
	db, err := embedded.Open(file, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &house{store: &store.Store{DB: db}, file: file, bells: &bells{}}
	h.now.Store(noon.UnixMilli())
	h.Service = &directory.Service{
		Store: store.For[directory.Tx](h.store), Mailings: store.For[mailing.Tx](h.store), Bells: h.bells,
		Now:  func() time.Time { return time.UnixMilli(h.now.Load()).UTC() },
		Rand: rand.Reader, NewID: store.NewID, Again: 30 * time.Second, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	settings := organization.Defaults("acme", "Acme Association")
	settings.Version, settings.SenderAddress, settings.PortalAddress = 1, "office@example.org", "https://members.example.org"
	other := settings
	other.ID, other.Name = "other", "Other Association"
	h.update(t, func(tx *store.Tx) error {
		tx.PutOrganization(&settings)
		tx.PutOrganization(&other)
		return nil
	})
	return h
}

func quick(t testing.TB) *house { return newHouse(t, embedded.Options{NoSync: true}) }

func (h *house) update(t testing.TB, fn func(*store.Tx) error) {
	t.Helper()
	if err := h.store.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func (h *house) pass(d time.Duration) { h.now.Add(int64(d / time.Millisecond)) }

func ptr[T any](v T) *T { return &v }

// person makes fields of a member.
func person(id, last, email string) profile.Fields {
	f := profile.Fields{
		Type: ptr(profile.Individual), FirstName: ptr("Ana"), LastName: ptr(last), Email: ptr(email), Status: ptr(profile.Active),
	}
	if id != "" {
		f.ID = ptr(profile.ID(id))
	}
	return f
}

func company(id, name string) profile.Fields {
	return profile.Fields{ID: ptr(profile.ID(id)), Type: ptr(profile.Organization), OrganizationName: ptr(name), Status: ptr(profile.Active)}
}

func (h *house) create(t testing.TB, f profile.Fields) *directory.View {
	t.Helper()
	v, err := h.Create(t.Context(), eve, "acme", "", f)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (h *house) profile(t testing.TB, id profile.ID) *profile.Profile {
	t.Helper()
	p, err := h.store.Profile(t.Context(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// login gives a stored profile a username and, as its copies tell, a password.
func (h *house) login(t testing.TB, id profile.ID, username string) {
	t.Helper()
	h.update(t, func(tx *store.Tx) error {
		p, err := tx.Profile("acme", id)
		if err != nil {
			return err
		}
		p.Username, p.HasPassword, p.HadPassword, p.CredentialVersion = username, true, true, 1
		if _, err := tx.Claim("acme", username); err != nil {
			return err
		}
		tx.PutClaim("acme", username, id)
		return tx.PutProfile(p)
	})
}

// trail is a profile's trail, newest first.
func (h *house) trail(t testing.TB, id profile.ID) []activity.Entry {
	t.Helper()
	entries, _, err := h.store.ProfileActivity(t.Context(), "acme", id, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func kinds(entries []activity.Entry) (kinds []activity.Kind) {
	for _, e := range entries {
		kinds = append(kinds, e.Kind)
	}
	slices.Sort(kinds)
	return kinds
}

// singles are the batches of one that are due by a time.
func (h *house) singles(t testing.TB, by time.Time) (batches []*mailing.Batch) {
	t.Helper()
	due, err := h.store.Due(t.Context(), by, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, bell := range due {
		b, err := h.store.Batch(t.Context(), mailing.Batch{Organization: bell.Organization, ID: bell.ID})
		if err != nil || b == nil {
			t.Fatalf("batch %s: %v", bell.ID, err)
		}
		batches = append(batches, b)
	}
	return batches
}

func wantCode(t *testing.T, err error, code string) *problem.Problem {
	t.Helper()
	if problem.CodeOf(err) != code {
		t.Fatalf("problem %q (%v), want %q", problem.CodeOf(err), err, code)
	}
	return problem.As(err)
}

func members(t testing.TB) []byte {
	t.Helper()
	csv, err := os.ReadFile(filepath.Join("..", "profile", "testdata", "members.csv"))
	if err != nil {
		t.Fatal(err)
	}
	return csv
}

// dump is every item of the organization's tables, without what differs from
// run to run: epochs, times and drawn IDs.
func (h *house) dump(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	for cursor := ""; ; {
		ids, next, err := h.store.ProfilesByName(t.Context(), "acme", cursor, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			p := h.profile(t, id)
			p.Epoch, p.EpochAt, p.CreatedAt, p.UpdatedAt = "", time.Time{}, time.Time{}, time.Time{}
			h.dumpOne(t, all, p)
		}
		if cursor = next; next == "" {
			break
		}
	}
	return all
}

func (h *house) dumpOne(t testing.TB, all map[string]string, p *profile.Profile) {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	all["profile "+string(p.ID)] = string(text)
	for _, e := range h.trail(t, p.ID) {
		all[fmt.Sprintf("trail %s %s", p.ID, e.Kind)] += fmt.Sprint(e.Quiet, e.Detail)
	}
	for _, key := range profile.SearchKeys(p) {
		all["row "+key.Range+key.Partition+key.Key] = "there"
	}
	related, _, err := h.store.Related(t.Context(), "acme", p.ID, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	all["related "+string(p.ID)] = fmt.Sprint(related)
	shared, err := h.store.AtMailbox(t.Context(), "acme", p.Mailbox, 100)
	if err != nil {
		t.Fatal(err)
	}
	all["mailbox "+p.Mailbox] = fmt.Sprint(shared)
}

func settingsOf(t testing.TB, h *house) *organization.Settings {
	t.Helper()
	settings, err := h.store.Organization(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

func join(ids []profile.ID) string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = string(id)
	}
	return strings.Join(all, " ")
}
