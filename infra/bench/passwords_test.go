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

// BenchmarkOutsideTheHash times everything of a sign-in and of setting a
// password but the hash. A hash of production's parameters varies by more than
// all the rest takes, so it cannot be subtracted: the service runs with
// parameters whose hash takes some microseconds, which count as if they were
// outside, and right before each call one hash of production's is made and
// timed, which also leaves the caches as cold as it would.
func BenchmarkOutsideTheHash(b *testing.B) {
	const members = 200
	for b.Loop() {
		s, remove := fresh(b, 10_000)
		p := newPortal(s, password.NewHasher(password.Fast, 1, rand.Reader))
		production := password.NewHasher(password.Production, 1, rand.Reader)
		var hashes, sets, signs []time.Duration
		timed := func(do func() error) time.Duration {
			start := time.Now()
			_, err := production.Verify(context.Background(), password.NewPlain(secret), production.Decoy())
			hashes = append(hashes, time.Since(start))
			start = time.Now()
			if err = errors.Join(err, do()); err != nil {
				b.Fatal(err)
			}
			return time.Since(start)
		}
		for n := range members {
			token, err := p.mint(n)
			if err != nil {
				b.Fatal(err)
			}
			sets = append(sets, timed(func() error { return p.setByLink(token) }))
			signs = append(signs, timed(func() error { return p.signIn(n) }))
		}
		remove()
		slices.Sort(sets)
		slices.Sort(signs)
		hash := median(hashes)
		share := func(d time.Duration) float64 { return 100 * float64(d) / float64(hash) }
		limit(b, "sign-in: time outside the hash, p50", share(at(signs, 50)), 1, "% of a hash", atMost)
		limit(b, "sign-in: time outside the hash, p99", share(at(signs, 99)), 5, "% of a hash", atMost)
		limit(b, "set-password: time outside the hash, p50", share(at(sets, 50)), 1, "% of a hash", atMost)
		limit(b, "set-password: time outside the hash, p99", share(at(sets, 99)), 5, "% of a hash", atMost)
		tell(b, "sign-in p50, p99; set-password p50, p99; a hash",
			fmt.Sprintf("%v, %v; %v, %v; %v", at(signs, 50), at(signs, 99), at(sets, 50), at(sets, 99), hash))
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
