package bench_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/session"
	"github.com/memberkey/memberkey/shared/store"
)

const secret = "seven green herons left early"

// silent hears no bell; the sweep would.
type silent struct{}

func (silent) Ring(context.Context, ...mailing.Bell) error { return nil }

// portal is what stands behind the member pages, with a hasher of its own.
type portal struct {
	store       *store.Store
	credentials *credential.Service
	sessions    *session.Service
}

func newPortal(s *store.Store, h *password.Hasher) *portal {
	log := slog.New(slog.DiscardHandler)
	p := &portal{store: s, credentials: &credential.Service{
		Store: store.For[credential.Tx](s), Mail: store.For[mailing.Tx](s), Hasher: h, Bells: silent{},
		Now: time.Now, Rand: rand.Reader, NewID: store.NewID, Again: time.Minute, Log: log,
	}}
	p.sessions = &session.Service{
		Store: store.For[session.Tx](s), Passwords: p.credentials, Bells: silent{},
		Now: time.Now, Rand: rand.Reader, NewID: store.NewID, Again: time.Minute, Log: log,
	}
	return p
}

// mint gives the nth member a link, as a reset email would.
func (p *portal) mint(n int) (token string, err error) {
	who := member(n, time.Time{})
	now := time.Now()
	page, err := link.NewPage(rand.Reader, org, link.Reset, "", now, now.Add(24*time.Hour))
	if err != nil {
		return "", err
	}
	stored, err := p.store.Profile(context.Background(), org, who.ID)
	if err != nil {
		return "", err
	}
	minted, err := page.Mint(rand.Reader, who.ID, stored.Epoch)
	if err != nil {
		return "", err
	}
	return minted.Reveal(), p.store.Update(context.Background(), func(tx *store.Tx) error { tx.PutPage(page); return nil })
}

func (p *portal) setByLink(token string) error {
	_, err := p.credentials.SetByLink(context.Background(), org, token, "", password.NewPlain(secret), activity.Actor{From: "192.0.2.7"})
	return err
}

func (p *portal) signIn(n int) error {
	_, err := p.sessions.SignIn(context.Background(), org, session.Attempt{
		Name: member(n, time.Time{}).Mailbox, Password: password.NewPlain(secret), From: "192.0.2.7",
	})
	return err
}

// clocked times a service from the side of its store: the longest time between
// two calls is that in which it hashes. It is for one goroutine at a time.
type clocked struct {
	store.DB
	ended   time.Time     // the call before
	longest time.Duration // from the end of a call to the beginning of the next
	commits time.Duration // spent in them: nearly all of it is the disk's
}

func (c *clocked) call(do func()) {
	if !c.ended.IsZero() {
		c.longest = max(c.longest, time.Since(c.ended))
	}
	do()
	c.ended = time.Now()
}

func (c *clocked) Get(ctx context.Context, key store.Key) (item *store.Item, err error) {
	c.call(func() { item, err = c.DB.Get(ctx, key) })
	return item, err
}

func (c *clocked) GetMany(ctx context.Context, keys []store.Key) (items []*store.Item, err error) {
	c.call(func() { items, err = c.DB.GetMany(ctx, keys) })
	return items, err
}

func (c *clocked) Query(ctx context.Context, r store.Range) (items []store.Item, more bool, err error) {
	c.call(func() { items, more, err = c.DB.Query(ctx, r) })
	return items, more, err
}

func (c *clocked) Commit(ctx context.Context, checks []store.Check, writes []store.Write) (err error) {
	start := time.Now()
	c.call(func() { err = c.DB.Commit(ctx, checks, writes) })
	c.commits += time.Since(start)
	return err
}

// time runs do, and adds to p what it took.
func (c *clocked) time(b *testing.B, p *parts, do func() error) {
	c.ended, c.longest, c.commits = time.Time{}, 0, 0
	start := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	p.without = append(p.without, c.longest)
	p.beside = append(p.beside, time.Since(start)-c.longest)
	p.commits = append(p.commits, c.commits)
}

// parts are those of some sign-ins, or of setting some passwords.
type parts struct {
	without []time.Duration // the longest time between two calls of the store
	beside  []time.Duration // all else
	commits []time.Duration // of that
}

// setAndSignIn has so many members set a password by a link and sign in with
// it, one after the other.
func setAndSignIn(b *testing.B, members int, params password.Params) (set, sign parts) {
	s, remove := fresh(b, 10_000)
	defer remove()
	c := &clocked{DB: s.DB}
	p := newPortal(&store.Store{DB: c}, password.NewHasher(params, 1, rand.Reader))
	for n := range members {
		token, err := p.mint(n)
		if err != nil {
			b.Fatal(err)
		}
		c.time(b, &set, func() error { return p.setByLink(token) })
		c.time(b, &sign, func() error { return p.signIn(n) })
	}
	return set, sign
}

// BenchmarkOutsideTheHash times everything of a sign-in and of setting a
// password but the hash, fsync on. The hash cannot be timed from outside the
// service, and varies by more than all else takes; but it is made between two
// calls of the store. So what counts is the whole time less the longest between
// two calls, and on top what stands between the same two calls when the hash is
// one of the tests', which takes some microseconds.
func BenchmarkOutsideTheHash(b *testing.B) {
	for b.Loop() {
		cheapSet, cheapSign := setAndSignIn(b, 100, password.Fast)
		set, sign := setAndSignIn(b, 200, password.Production)
		hash := median(append(set.without, sign.without...))
		for _, of := range []struct {
			what        string
			cheap, real parts
		}{{"sign-in", cheapSign, sign}, {"set-password", cheapSet, set}} {
			around := median(of.cheap.without)
			slices.Sort(of.real.beside)
			p50, p99 := at(of.real.beside, 50)+around, at(of.real.beside, 99)+around
			limit(b, of.what+": time outside the hash, p50", 100*float64(p50)/float64(hash), 1, "% of a hash", atMost)
			limit(b, of.what+": time outside the hash, p99", 100*float64(p99)/float64(hash), 5, "% of a hash", atMost)
			tell(b, of.what+": p10, p50, p99; commits to the disk (p50 of it); a hash",
				fmt.Sprintf("%v, %v, %v; %v; %v", at(of.real.beside, 10)+around, p50, p99, median(of.real.commits), hash))
		}
	}
}

// BenchmarkManySignIns lets 64 people sign in at once, and compares with as many
// hashes made by one loop a core and nothing else; turn by turn.
func BenchmarkManySignIns(b *testing.B) {
	const clients, turns = 64, 5
	permits := runtime.NumCPU() // as in the local system
	for b.Loop() {
		s, remove := fresh(b, 10_000)
		hasher := password.NewHasher(password.Production, permits, rand.Reader)
		hash, err := hasher.Hash(context.Background(), password.NewPlain(secret))
		if err != nil {
			b.Fatal(err)
		}
		for n := range clients {
			if err := withPassword(s, n, hash); err != nil {
				b.Fatal(err)
			}
		}
		p := newPortal(s, hasher)
		var ratios, rates, works []float64
		var grown int64
		for range turns {
			debug.FreeOSMemory() // before either, so that both begin alike
			worked := work()
			bare := bareHashes(b, clients, permits)
			bareWork := work() - worked

			debug.FreeOSMemory()
			before, _ := memory()
			seen := watch()
			var next atomic.Int64
			start := time.Now()
			worked = work()
			if err := parallel(clients, func() error { return p.signIn(int(next.Add(1)) - 1) }); err != nil {
				b.Fatal(err)
			}
			took := time.Since(start)
			works = append(works, float64(bareWork)/float64(work()-worked))
			most, _ := seen()
			grown = max(grown, most-before)

			ratios = append(ratios, float64(bare)/float64(took))
			rates = append(rates, clients/took.Seconds())
		}
		remove()
		limit(b, "64 sign-ins at once: hashes a second against a bare loop on each core", median(ratios), 0.95, "x", atLeast)
		if grown > 0 {
			// Each permit may have a hash of 64 MiB at work, and the collector lets
			// as much garbage stand before it runs and as much again while it does;
			// the rest of the bound is for the 64 sign-ins themselves. Unbounded,
			// they would need 4 GiB.
			limit(b, fmt.Sprintf("64 sign-ins at once: anonymous memory on top, with %d permits", permits),
				float64(grown)/(1<<20), float64(permits*3*64+64), "MiB", atMost)
		}
		tell(b, "64 sign-ins at once: ratios; the same of processor time; sign-ins a second", list(ratios)+"; "+list(works)+"; "+list(rates))
	}
}

// withPassword gives the nth member a username and a password.
func withPassword(s *store.Store, n int, hash password.Hash) error {
	return s.Update(context.Background(), func(tx *store.Tx) error {
		who, err := tx.Profile(org, member(n, time.Time{}).ID)
		if err != nil {
			return err
		}
		if taken, err := tx.Claim(org, who.Mailbox); taken != "" || err != nil {
			return errors.Join(err, fmt.Errorf("the username is %q's", taken))
		}
		tx.PutClaim(org, who.Mailbox, who.ID)
		if _, err := tx.Credential(org, who.ID); err != nil {
			return err
		}
		tx.PutCredential(&credential.Credential{Organization: org, Profile: who.ID, Hash: hash, SetAt: time.Now(), SetBy: credential.ByMember})
		who.Username, who.HasPassword, who.HadPassword = who.Mailbox, true, true
		return tx.PutProfile(who)
	})
}

// bareHashes times n hashes in as many loops as there are permits.
func bareHashes(b *testing.B, n, permits int) time.Duration {
	p := password.Production
	var left atomic.Int64
	left.Store(int64(n))
	start := time.Now()
	err := parallel(permits, func() error {
		for left.Add(-1) >= 0 {
			argon2.IDKey([]byte(secret), make([]byte, p.Salt), p.Time, p.MemoryKiB, p.Threads, uint32(p.Tag))
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}
