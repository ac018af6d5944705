package bench_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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

// settings of the association, with all that its mails show.
func settings() organization.Settings {
	s := organization.Defaults(org, "The Bench Association")
	s.PortalAddress, s.SenderAddress = "https://members.example.org", "office@example.org"
	s.Website, s.HelpPhone, s.HelpEmail, s.HelpHours = "https://example.org", "+44 20 7946 0000", "help@example.org", "weekdays 9 to 5"
	return s
}

var (
	files  = map[int]string{}       // by number of profiles, never written once they are filled
	opened = map[int]*store.Store{} // the same, for reading
	folder string                   // of the stores; set by TestMain
)

// association gives a store with n profiles, to be read and not to be changed:
// it is made once for all benchmarks.
func association(b testing.TB, n int) *store.Store {
	if opened[n] == nil {
		opened[n] = open(b, filled(b, n), true)
	}
	return opened[n]
}

// filled gives a file with n profiles that nobody has open for writing.
func filled(b testing.TB, n int) string {
	if files[n] != "" {
		return files[n]
	}
	path := filepath.Join(folder, fmt.Sprint(n, ".db"))
	db, err := embedded.Open(path, embedded.Options{NoSync: true})
	if err == nil {
		err = errors.Join(fill(&store.Store{DB: db}, n, 64), db.Close())
	}
	if err != nil {
		b.Fatal(err)
	}
	files[n] = path
	return path
}

// open opens a store for as long as the process runs.
func open(b testing.TB, path string, fsync bool) *store.Store {
	db, err := embedded.Open(path, embedded.Options{NoSync: !fsync})
	if err != nil {
		b.Fatal(err)
	}
	return &store.Store{DB: db}
}

// fresh gives a store of its own with n profiles, fsync on, and how to be rid of it.
func fresh(b testing.TB, n int) (*store.Store, func()) {
	path := duplicate(b, n)
	db, err := embedded.Open(path, embedded.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return &store.Store{DB: db}, func() {
		if err := errors.Join(db.Close(), os.Remove(path)); err != nil {
			b.Error(err)
		}
	}
}

// duplicate copies the file with n profiles. The copy is on the disk when it
// returns, or the first commit would have to wait for all of it.
func duplicate(b testing.TB, n int) string {
	from, err := os.Open(filled(b, n))
	if err != nil {
		b.Fatal(err)
	}
	defer from.Close()
	to, err := os.CreateTemp(folder, "copy-*.db")
	if err != nil {
		b.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Sync(), to.Close()); err != nil {
		b.Fatal(err)
	}
	return to.Name()
}

// fill writes n profiles, with so many transactions at once.
func fill(s *store.Store, n, atOnce int) error {
	const together = 8 // profiles of a transaction: 100 keys at most
	ctx, now := context.Background(), time.Now().Truncate(time.Millisecond)
	err := s.Update(ctx, func(tx *store.Tx) error {
		all := settings()
		tx.PutOrganization(&all)
		return nil
	})
	if err != nil {
		return err
	}
	var next atomic.Int64
	return parallel(atOnce, func() error {
		for {
			from := int(next.Add(together)) - together
			if from >= n {
				return nil
			}
			err := s.Update(ctx, func(tx *store.Tx) error {
				for i := from; i < min(from+together, n); i++ {
					if err := tx.PutProfile(member(i, now)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	})
}

// parallel runs fn n times at once and gives the first error.
func parallel(n int, fn func() error) error {
	errs := make(chan error, n)
	for range n {
		go func() { errs <- fn() }()
	}
	var first error
	for range n {
		if err := <-errs; first == nil {
			first = err
		}
	}
	return first
}
