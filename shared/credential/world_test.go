package credential_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/session"
	"github.com/memberkey/memberkey/shared/store"
)

const (
	org   = "acme"
	other = "birds"

	first  = "walnut-lantern-orbit-meadow"
	second = "copper-violin-harvest-plume"
	third  = "granite-teapot-saddle-comet"
)

var (
	epoch = time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	desk  = activity.Actor{Kind: activity.Staff, ID: "s-1", Name: "Eve Desk", From: "192.0.2.7"}
	home  = activity.Actor{Kind: activity.Member, From: "198.51.100.4"}
)

// world is everything on a real store, with a clock that tests set.
type world struct {
	testing.TB
	ctx     context.Context
	db      *counted
	store   *store.Store
	service *credential.Service
	logins  *credential.Logins
	resets  *credential.Resets
	log     *bytes.Buffer

	mu   sync.Mutex
	time time.Time
	rung []mailing.Bell
}

// counted counts what is read one by one.
type counted struct {
	store.DB
	gets atomic.Int64
}

func (c *counted) Get(ctx context.Context, key store.Key) (*store.Item, error) {
	c.gets.Add(1)
	return c.DB.Get(ctx, key)
}

func newWorld(t testing.TB) *world {
	t.Helper()
	db, err := embedded.Open(filepath.Join(t.TempDir(), "x.db"), embedded.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{TB: t, ctx: t.Context(), db: &counted{DB: db}, time: epoch, log: &bytes.Buffer{}}
	w.store = &store.Store{DB: w.db}
	log := slog.New(slog.NewJSONHandler(w.log, nil))
	w.service = &credential.Service{
		Store: store.For[credential.Tx](w.store), Mail: store.For[mailing.Tx](w.store),
		Hasher: password.NewHasher(password.Fast, 2, rand.Reader),
		Bells:  w, Now: w.now, Rand: rand.Reader, NewID: store.NewID, Again: time.Minute, Log: log,
	}
	w.logins = &credential.Logins{
		Store: store.For[credential.LoginTx](w.store), Bells: w, Now: w.now, Rand: rand.Reader, NewID: store.NewID, Again: time.Minute, Log: log,
	}
	w.resets = &credential.Resets{
		Store: store.For[mailing.Tx](w.store), Bells: w, Now: w.now, NewID: store.NewID, Again: time.Minute, Log: log,
	}
	w.settle(org, func(*organization.Settings) {})
	w.settle(other, func(*organization.Settings) {})
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
}

// Ring makes the world the bells of its services.
func (w *world) Ring(_ context.Context, bells ...mailing.Bell) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rung = append(w.rung, bells...)
	return nil
}

func (w *world) update(fn func(*store.Tx) error) {
	w.Helper()
	if err := w.store.Update(w.ctx, fn); err != nil {
		w.Fatal(err)
	}
}

// settle stores an organization's settings anew, with a change of the defaults.
func (w *world) settle(id string, change func(*organization.Settings)) {
	w.Helper()
	s := organization.Defaults(id, "Harbour Association")
	s.PortalAddress, s.SenderAddress = "https://members.example.org", "office@example.org"
	change(&s)
	w.update(func(tx *store.Tx) error { tx.PutOrganization(&s); return nil })
}

// add stores a new profile of org: a member called Ana Garcia, but for change.
func (w *world) add(id profile.ID, email string, change ...func(*profile.Profile)) *profile.Profile {
	w.Helper()
	return w.addTo(org, id, email, change...)
}

func (w *world) addTo(org string, id profile.ID, email string, change ...func(*profile.Profile)) *profile.Profile {
	w.Helper()
	kind, status, given, family := profile.Individual, profile.Active, "Ana", "Garcia"
	p, err := profile.Create(org, profile.Fields{ID: &id, Type: &kind, Status: &status, FirstName: &given, LastName: &family, Email: &email}, w.now(), rand.Reader, nil)
	if err != nil {
		w.Fatal(err)
	}
	for _, f := range change {
		f(p)
	}
	w.update(func(tx *store.Tx) error { return tx.PutProfile(p) })
	return p
}

func company(name string) func(*profile.Profile) {
	return func(p *profile.Profile) {
		p.Type, p.FirstName, p.LastName, p.OrganizationName = profile.Organization, "", "", name
	}
}

func with(status profile.Status, relations ...profile.Relation) func(*profile.Profile) {
	return func(p *profile.Profile) { p.Status, p.Relations = status, relations }
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

// move gives a profile another email, as the function profiles does.
func (w *world) move(id profile.ID, email string) {
	w.Helper()
	w.edit(id, func(p *profile.Profile) {
		if _, err := (profile.Fields{Email: &email}).Apply(p, w.now()); err != nil {
			w.Fatal(err)
		}
		if err := p.EndLogins(rand.Reader, w.now()); err != nil {
			w.Fatal(err)
		}
	})
}

func (w *world) profile(id profile.ID) *profile.Profile {
	w.Helper()
	p, err := w.store.Profile(w.ctx, org, id)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func (w *world) credential(id profile.ID) *credential.Credential {
	w.Helper()
	c, err := w.store.Credential(w.ctx, org, id)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// matches says whether a password is the stored one.
func (w *world) matches(id profile.ID, text string) bool {
	w.Helper()
	r, err := w.service.Hasher.Verify(w.ctx, password.NewPlain(text), w.credential(id).Hash)
	if err != nil {
		w.Fatal(err)
	}
	return r.Match
}

// set lets staff set username and password; "" is not sent.
func (w *world) set(id profile.ID, name, text string) (*credential.View, error) {
	return w.service.Change(w.ctx, desk, org, id, w.profile(id).CredentialVersion, change(name, text))
}

func (w *world) mustSet(id profile.ID, name, text string) *credential.View {
	w.Helper()
	v, err := w.set(id, name, text)
	if err != nil {
		w.Fatal(err)
	}
	return v
}

func change(name, text string) (c credential.Change) {
	if name != "" {
		c.Username = &name
	}
	if text != "" {
		plain := password.NewPlain(text)
		c.Password = &plain
	}
	return c
}

// mint makes a link that lives a day, under the present epoch of its profile.
func (w *world) mint(id profile.ID) string {
	w.Helper()
	return w.mintOn(org, id, link.Reset, "")
}

func (w *world) mintOn(org string, id profile.ID, purpose link.Purpose, of string) string {
	w.Helper()
	p, err := w.store.Profile(w.ctx, org, id)
	if err != nil {
		w.Fatal(err)
	}
	page, err := link.NewPage(rand.Reader, org, purpose, of, w.now(), w.now().Add(24*time.Hour))
	if err != nil {
		w.Fatal(err)
	}
	token, err := page.Mint(rand.Reader, id, p.Epoch)
	if err != nil {
		w.Fatal(err)
	}
	w.update(func(tx *store.Tx) error { tx.PutPage(page); return nil })
	return token.Reveal()
}

func (w *world) use(token, name, text string) (*credential.Done, error) {
	return w.service.SetByLink(w.ctx, org, token, name, password.NewPlain(text), home)
}

func (w *world) opened(token string) *credential.Opened {
	w.Helper()
	o, err := w.service.OpenLink(w.ctx, org, token)
	if err != nil {
		w.Fatal(err)
	}
	return o
}

// notices are the notices stored, in order of time.
func (w *world) notices() []*mailing.Batch {
	w.Helper()
	return w.batches(mailing.KindNotice)
}

func (w *world) batches(kind mailing.Kind) (all []*mailing.Batch) {
	w.Helper()
	due, err := w.store.Due(w.ctx, w.now().Add(1000*time.Hour), 10_000)
	if err != nil {
		w.Fatal(err)
	}
	for _, bell := range due {
		if bell.Kind != mailing.RingSingle {
			continue
		}
		b, err := w.store.Batch(w.ctx, mailing.Batch{Organization: bell.Organization, ID: bell.ID})
		if err != nil {
			w.Fatal(err)
		}
		if b.Kind == kind {
			all = append(all, b)
		}
	}
	return all
}

// told are the changes of each notice.
func (w *world) told() (all [][]message.Change) {
	w.Helper()
	for _, b := range w.notices() {
		all = append(all, b.Single.Notice.Changes)
	}
	return all
}

// trail is what was noted of a profile, oldest first.
func (w *world) trail(id profile.ID) []activity.Entry {
	w.Helper()
	entries, _, err := w.store.ProfileActivity(w.ctx, org, id, "", 1000)
	if err != nil {
		w.Fatal(err)
	}
	for i, j := 0, len(entries)-1; i < j; i, j = i+1, j-1 {
		entries[i], entries[j] = entries[j], entries[i]
	}
	return entries
}

func (w *world) kinds(id profile.ID) (all []activity.Kind) {
	w.Helper()
	for _, e := range w.trail(id) {
		all = append(all, e.Kind)
	}
	return all
}

// fail counts failures for a name, with a wait of an hour.
func (w *world) fail(name string) {
	w.Helper()
	w.failures(name, 9)
}

// lock counts as many failures for a name as it takes, and lets the wait after
// the last one pass.
func (w *world) lock(name string) {
	w.Helper()
	w.failures(name, session.MaxFailures)
	w.pass(time.Hour)
}

func (w *world) failures(name string, n int) {
	w.Helper()
	w.update(func(tx *store.Tx) error {
		tx.PutAttempts(&session.Attempts{
			Organization: org, Key: credential.AttemptsKey(org, name), Failures: n, Until: w.now().Add(time.Hour), Expires: w.now().Add(24 * time.Hour),
		})
		return nil
	})
}

func (w *world) waits(name string) bool {
	w.Helper()
	wait, err := w.store.Wait(w.ctx, org, credential.AttemptsKey(org, name))
	if err != nil {
		w.Fatal(err)
	}
	return w.now().Before(wait.Until)
}

func (w *world) wantCode(err error, want string) {
	w.Helper()
	if got := problem.CodeOf(err); got != want {
		w.Errorf("error %q (%v), want %q", got, err, want)
	}
}

// sorted brings what was noted at one instant, which has no order, into one.
func sorted(kinds []activity.Kind) []activity.Kind {
	if len(kinds) == 0 {
		return nil
	}
	return slices.Sorted(slices.Values(kinds))
}
