package session_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/session"
	"github.com/memberkey/memberkey/shared/store"
)

const org = "acme"

var right = password.NewPlain("correct horse battery staple")
var wrong = password.NewPlain("wrong horse battery staple")

// counting counts what reaches the driver.
type counting struct {
	store.DB
	gets, queries, commits, writes atomic.Int64
}

func (c *counting) Get(ctx context.Context, key store.Key) (*store.Item, error) {
	c.gets.Add(1)
	return c.DB.Get(ctx, key)
}

func (c *counting) GetMany(ctx context.Context, keys []store.Key) ([]*store.Item, error) {
	c.gets.Add(1)
	return c.DB.GetMany(ctx, keys)
}

func (c *counting) Query(ctx context.Context, r store.Range) ([]store.Item, bool, error) {
	c.queries.Add(1)
	return c.DB.Query(ctx, r)
}

func (c *counting) Commit(ctx context.Context, checks []store.Check, writes []store.Write) error {
	c.commits.Add(1)
	c.writes.Add(int64(len(writes)))
	return c.DB.Commit(ctx, checks, writes)
}

// work is what one request cost.
type work struct{ Hashes, Gets, Queries, Commits, Writes int64 }

// bells remembers what was rung.
type bells struct {
	sync.Mutex
	rung   []mailing.Bell
	broken bool
}

func (b *bells) Ring(_ context.Context, all ...mailing.Bell) error {
	b.Lock()
	defer b.Unlock()
	if b.broken {
		return errors.New("no queue")
	}
	b.rung = append(b.rung, all...)
	return nil
}

type world struct {
	testing.TB
	db          *counting
	store       *store.Store
	hasher      *password.Hasher
	bells       *bells
	credentials *credential.Service
	sessions    *session.Service

	mu  sync.Mutex
	now time.Time
}

func (w *world) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// newWorld has one association and the people of the tests below.
func newWorld(t testing.TB) *world {
	t.Helper()
	file, err := embedded.Open(filepath.Join(t.TempDir(), "x.db"), embedded.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{TB: t, db: &counting{DB: file}, bells: &bells{}, now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	w.store = &store.Store{DB: w.db}
	w.hasher = password.NewHasher(password.Fast, 2, rand.Reader)
	log := slog.New(slog.DiscardHandler)
	w.credentials = &credential.Service{
		Store: store.For[credential.Tx](w.store), Mail: store.For[mailing.Tx](w.store), Hasher: w.hasher, Bells: w.bells,
		Now: w.Now, Rand: rand.Reader, NewID: store.NewID, Again: time.Minute, Log: log,
	}
	w.sessions = &session.Service{
		Store: store.For[session.Tx](w.store), Passwords: w.credentials, Bells: w.bells,
		Now: w.Now, Rand: rand.Reader, NewID: store.NewID, Again: time.Minute, Log: log,
	}
	settings := organization.Defaults(org, "Acme")
	settings.PortalAddress, settings.KeepSignedInDays = "https://members.example.org", 30
	w.update(func(tx *store.Tx) error { tx.PutOrganization(&settings); return nil })

	w.person("1", "ana@example.org", "ana@example.org", true)
	w.person("2", "bob", "family@example.org", true)
	w.person("3", "eva", "family@example.org", true)
	w.person("4", "", "kim@example.org", false)
	w.person("5", "dis", "dis@example.org", true, func(p *profile.Profile) { p.Disabled = true })
	w.person("6", "lapsed", "lapsed@example.org", true, func(p *profile.Profile) { p.Status = profile.Lapsed })
	w.person("7", "nomail", "", true)
	w.person("8", "half", "half@example.org", true)
	w.person("9", "", "half@example.org", false) // shares a mailbox, but has no login
	return w
}

func (w *world) update(fn func(*store.Tx) error) {
	w.Helper()
	if err := w.store.Update(w.Context(), fn); err != nil {
		w.Fatal(err)
	}
}

func (w *world) person(id profile.ID, username, email string, login bool, change ...func(*profile.Profile)) {
	w.Helper()
	p := &profile.Profile{
		Organization: org, ID: id, Type: profile.Individual, FirstName: "Ana", LastName: "García " + string(id), Email: email, Mailbox: email,
		Status: profile.Active, Username: username, HasPassword: login, HadPassword: login, Version: 1, CredentialVersion: 1,
	}
	if err := p.EndLogins(rand.Reader, w.Now()); err != nil {
		w.Fatal(err)
	}
	for _, c := range change {
		c(p)
	}
	hash, err := w.hasher.Hash(w.Context(), right)
	if err != nil {
		w.Fatal(err)
	}
	w.update(func(tx *store.Tx) error {
		if username != "" {
			tx.PutClaim(org, username, id)
		}
		if login {
			tx.PutCredential(&credential.Credential{Organization: org, Profile: id, Hash: hash, SetAt: w.Now(), SetBy: credential.ByMember})
		}
		return tx.PutProfile(p)
	})
}

// edit changes a stored profile.
func (w *world) edit(id profile.ID, change func(*profile.Profile)) {
	w.Helper()
	w.update(func(tx *store.Tx) error {
		p, err := tx.Profile(org, id)
		if err != nil {
			return err
		}
		change(p)
		return tx.PutProfile(p)
	})
}

func (w *world) profile(id profile.ID) *profile.Profile {
	w.Helper()
	p, err := w.store.Profile(w.Context(), org, id)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func (w *world) credential(id profile.ID) *credential.Credential {
	w.Helper()
	c, err := w.store.Credential(w.Context(), org, id)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

func (w *world) signIn(name string, p password.Plain) (*session.SignedIn, error) {
	return w.sessions.SignIn(w.Context(), org, session.Attempt{Name: name, Password: p, From: "192.0.2.1"})
}

// exhaust guesses until the name has to wait.
func (w *world) exhaust(name string) {
	w.Helper()
	for range 10 {
		if _, err := w.signIn(name, wrong); errors.Is(err, session.Waiting) {
			return
		}
	}
	w.Fatalf("%s never has to wait", name)
}

// in signs in, or fails the test.
func (w *world) in(name string) *session.SignedIn {
	w.Helper()
	in, err := w.signIn(name, right)
	if err != nil {
		w.Fatalf("%s: %v", name, err)
	}
	return in
}

func (w *world) who(token session.Token) *session.Who {
	w.Helper()
	who, err := w.sessions.Resolve(w.Context(), org, token)
	if err != nil {
		w.Fatal(err)
	}
	return who
}

// cost measures what fn does.
func (w *world) cost(fn func()) work {
	read := func() work {
		return work{int64(w.hasher.Calls()), w.db.gets.Load(), w.db.queries.Load(), w.db.commits.Load(), w.db.writes.Load()}
	}
	a := read()
	fn()
	b := read()
	return work{b.Hashes - a.Hashes, b.Gets - a.Gets, b.Queries - a.Queries, b.Commits - a.Commits, b.Writes - a.Writes}
}

// trail lists the reasons and kinds in a profile's trail, newest first.
func (w *world) trail(id profile.ID) []activity.Entry {
	w.Helper()
	entries, _, err := w.store.ProfileActivity(w.Context(), org, id, "", 1000)
	if err != nil {
		w.Fatal(err)
	}
	return entries
}

// link makes a live link for a profile.
func (w *world) link(id profile.ID) string {
	w.Helper()
	page, err := link.NewPage(rand.Reader, org, link.Forgot, "", w.Now(), w.Now().Add(24*time.Hour))
	if err != nil {
		w.Fatal(err)
	}
	token, err := page.Mint(rand.Reader, id, w.profile(id).Epoch)
	if err != nil {
		w.Fatal(err)
	}
	w.update(func(tx *store.Tx) error { tx.PutPage(page); return nil })
	return token.Reveal()
}
