package bench_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

const org = "bench"

var (
	firstNames = []string{"Ana", "Ben", "Chloé", "Dev", "Edith", "Farid", "Grace", "Hans", "Ingrid", "Jamal", "Karin", "Liam", "María", "Nadia", "Oluwaseun", "Priya", "Quentin", "Rosa", "Søren", "Tara", "Umar", "Vera", "Wei", "Xenia", "Yusuf", "Zoë", "Marcel", "Martha", "Margarita", "Anne-Marie"}
	lastNames  = []string{"García", "Brown", "Œuvrard", "Patel", "O'Brien", "Çelik", "Nakamura", "Müller", "Öst", "Haddad", "Evans", "Zhang", "Nwosu", "Rossi", "St.-James", "de la Cruz", "Ångström", "Schmidt", "Đorđević", "Castillo", "Van-der-Berg", "Kowalski", "Dubois", "Fischer", "Young", "Bjørnstad", "Garner", "Garland", "Marchetti", "López"}
	trades     = []string{"Bakery", "Books", "Surveyors", "Motors", "Dental", "Optics", "Logistics", "Photography", "Catering", "Printing"}
)

// member makes the nth profile. Every fifth is a company; people are spread so
// that no pair of names is rarer or commoner than in a real association.
func member(n int, now time.Time) *profile.Profile {
	p := &profile.Profile{
		Organization: org, ID: profile.ID(fmt.Sprint(1_000_000 + n)), Type: profile.Individual, Status: profile.Active,
		FirstName: firstNames[n*7%len(firstNames)], LastName: lastNames[(n/len(firstNames)+n*11)%len(lastNames)] + suffix(n),
		MemberSince: "2015-04-01", Version: 1, CredentialVersion: 1, CreatedAt: now, UpdatedAt: now,
	}
	if n%5 == 0 {
		p.Type, p.FirstName, p.LastName = profile.Organization, "", ""
		p.OrganizationName = lastNames[n*13%len(lastNames)] + " " + trades[n/5%len(trades)] + suffix(n)
	}
	p.Mailbox = fmt.Sprintf("m%07d@example.org", n)
	p.Email = p.Mailbox
	if err := p.EndLogins(rand.Reader, now); err != nil {
		panic(err)
	}
	return p
}

// suffix widens the choice of last names to what a million people have.
func suffix(n int) string {
	const letters = "bcdfghjklmnprstvwxz"
	k := n / 900
	return string([]byte{letters[k%19], 'a', letters[k/19%19], 'o', letters[k/361%19]})
}

var (
	built   = map[string]*store.Store{}
	builtMu sync.Mutex
	folder  string // of the stores; set by TestMain
)

// association gives a store with n profiles; it is made once for all benchmarks
// that ask for the same.
func association(b testing.TB, n int, fsync bool) *store.Store {
	builtMu.Lock()
	defer builtMu.Unlock()
	key := fmt.Sprint(n, fsync)
	if s := built[key]; s != nil {
		return s
	}
	s := fresh(b, key, fsync)
	if err := fill(s, n); err != nil {
		b.Fatal(err)
	}
	built[key] = s
	return s
}

func fresh(b testing.TB, name string, fsync bool) *store.Store {
	db, err := embedded.Open(filepath.Join(folder, name+".db"), embedded.Options{NoSync: !fsync})
	if err != nil {
		b.Fatal(err)
	}
	s := &store.Store{DB: db}
	settings := organization.Defaults(org, "The Bench Association")
	settings.PortalAddress, settings.SenderAddress = "https://members.example.org", "office@example.org"
	if err := s.Update(context.Background(), func(tx *store.Tx) error { tx.PutOrganization(&settings); return nil }); err != nil {
		b.Fatal(err)
	}
	return s
}

func fill(s *store.Store, n int) error {
	const together = 8 // profiles of a transaction: 100 keys at most
	now := time.Now().Truncate(time.Millisecond)
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	for range 64 {
		wg.Go(func() {
			for {
				from := int(next.Add(together)) - together
				if from >= n {
					return
				}
				err := s.Update(context.Background(), func(tx *store.Tx) error {
					for i := from; i < min(from+together, n); i++ {
						if err := tx.PutProfile(member(i, now)); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}
