package storetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

// Races lets people race for credentials on a driver: what the domain promises
// (H3, H4, H6, H7) rests on the driver's conditions. The domain's own tests say
// more of each on the embedded store. open is as in [Run].
func Races(t *testing.T, open func(t *testing.T) store.DB) {
	for _, test := range []struct {
		name string
		run  func(*desk)
	}{
		{"H3 many edits of one version", editsOfOneVersion},
		{"H4 many claims of one username", claimsOfOneName},
		{"H6 many links of one profile", linksOfOneProfile},
		{"H7 many posts of one link", postsOfOneLink},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(newDesk(t, open(t))) })
	}
}

// crowd is how many race at once.
const crowd = 24

// desk is an organization of its own with the service that changes credentials.
type desk struct {
	*testing.T
	org     string
	at      time.Time
	store   *store.Store
	service *credential.Service
}

var clerk = activity.Actor{Kind: activity.Staff, ID: "s-1", Name: "Eve Desk", From: "192.0.2.7"}

type deafBells struct{}

func (deafBells) Ring(context.Context, ...mailing.Bell) error { return nil }

func newDesk(t *testing.T, db store.DB) *desk {
	t.Helper()
	d := &desk{T: t, org: "r" + rand.Text(), at: time.Now().UTC().Truncate(time.Millisecond), store: &store.Store{DB: db}}
	d.service = &credential.Service{
		Store: store.For[credential.Tx](d.store), Mail: store.For[mailing.Tx](d.store),
		Hasher: password.NewHasher(password.Fast, 4, rand.Reader), Bells: deafBells{},
		Now: func() time.Time { return d.at }, Rand: rand.Reader, NewID: store.NewID, Again: time.Minute, Log: slog.New(slog.DiscardHandler),
	}
	settings := organization.Defaults(d.org, "Harbour Association")
	settings.PortalAddress, settings.SenderAddress = "https://members.example.org", "office@example.org"
	d.update(func(tx *store.Tx) error { tx.PutOrganization(&settings); return nil })
	return d
}

func (d *desk) update(fn func(*store.Tx) error) {
	d.Helper()
	if err := d.store.Update(d.Context(), fn); err != nil {
		d.Fatal(err)
	}
}

func (d *desk) add(id profile.ID) {
	d.Helper()
	kind, status, given, family, email := profile.Individual, profile.Active, "Ana", "Garcia", fmt.Sprintf("p%s@example.com", id)
	p, err := profile.Create(d.org, profile.Fields{ID: &id, Type: &kind, Status: &status, FirstName: &given, LastName: &family, Email: &email}, d.at, rand.Reader, nil)
	if err != nil {
		d.Fatal(err)
	}
	d.update(func(tx *store.Tx) error { return tx.PutProfile(p) })
}

func (d *desk) profile(id profile.ID) *profile.Profile {
	d.Helper()
	p, err := d.store.Profile(d.Context(), d.org, id)
	if err != nil {
		d.Fatal(err)
	}
	return p
}

// lines counts the trail of a profile: one for each change that was made.
func (d *desk) lines(id profile.ID) int {
	d.Helper()
	entries, _, err := d.store.ProfileActivity(d.Context(), d.org, id, "", 0)
	if err != nil {
		d.Fatal(err)
	}
	return len(entries)
}

func (d *desk) mint(id profile.ID) string {
	d.Helper()
	page, err := link.NewPage(rand.Reader, d.org, link.Reset, "", d.at, d.at.Add(24*time.Hour))
	if err != nil {
		d.Fatal(err)
	}
	token, err := page.Mint(rand.Reader, id, d.profile(id).Epoch)
	if err != nil {
		d.Fatal(err)
	}
	d.update(func(tx *store.Tx) error { tx.PutPage(page); return nil })
	return token.Reveal()
}

func (d *desk) state(token string) link.State {
	d.Helper()
	o, err := d.service.OpenLink(d.Context(), d.org, token)
	if err != nil {
		d.Fatal(err)
	}
	return o.State
}

func (d *desk) use(token string, racer int) error {
	_, err := d.service.SetByLink(d.Context(), d.org, token, "", password.NewPlain(phrase(racer)), activity.Actor{Kind: activity.Member, From: "198.51.100.4"})
	return err
}

func phrase(racer int) string { return fmt.Sprintf("walnut-lantern-orbit-meadow %d", racer) }

// keeps wants the stored password to be a racer's.
func (d *desk) keeps(id profile.ID, racer int) {
	d.Helper()
	c, err := d.store.Credential(d.Context(), d.org, id)
	if err != nil {
		d.Fatal(err)
	}
	r, err := d.service.Hasher.Verify(d.Context(), password.NewPlain(phrase(racer)), c.Hash)
	if err != nil || !r.Match {
		d.Errorf("the stored password is not the winner's, %v", err)
	}
}

// race lets all begin at the same moment and wants exactly one to win; all
// others must lose with the code.
func (d *desk) race(code string, run func(racer int) error) (winner int) {
	d.Helper()
	results := make([]error, crowd)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for racer := range results {
		wg.Go(func() {
			<-start
			results[racer] = run(racer)
		})
	}
	close(start)
	wg.Wait()
	winner = -1
	for racer, err := range results {
		switch {
		case err == nil && winner >= 0:
			d.Fatalf("%d and %d both won", winner, racer)
		case err == nil:
			winner = racer
		case problem.CodeOf(err) != code:
			d.Errorf("racer %d: %v, want %s", racer, err, code)
		}
	}
	if winner < 0 {
		d.Fatal("nobody won")
	}
	return winner
}

func editsOfOneVersion(d *desk) {
	d.add("1")
	for version := range 3 {
		winner := d.race("version_stale", func(racer int) error {
			name, text := fmt.Sprintf("garcia%d.%d", version, racer), password.NewPlain(phrase(racer))
			_, err := d.service.Change(d.Context(), clerk, d.org, "1", version, credential.Change{Username: &name, Password: &text})
			return err
		})
		d.keeps("1", winner)
		p := d.profile("1")
		if want := fmt.Sprintf("garcia%d.%d", version, winner); p.Username != want || p.CredentialVersion != version+1 {
			d.Errorf("username %q, version %d, want %q, %d", p.Username, p.CredentialVersion, want, version+1)
		}
		// The losers' names are free, the one before too.
		for racer := range crowd {
			for v := range version + 1 {
				name := fmt.Sprintf("garcia%d.%d", v, racer)
				holder, err := d.store.Claim(d.Context(), d.org, name)
				if err != nil || (holder != "") != (name == p.Username) {
					d.Errorf("%s is claimed by %q, %v", name, holder, err)
				}
			}
		}
	}
}

func claimsOfOneName(d *desk) {
	for racer := range crowd {
		d.add(profile.ID(fmt.Sprint(racer)))
	}
	winner := d.race("username_taken", func(racer int) error {
		name := "Garcia"
		_, err := d.service.Change(d.Context(), clerk, d.org, profile.ID(fmt.Sprint(racer)), 0, credential.Change{Username: &name})
		return err
	})
	holder, err := d.store.Claim(d.Context(), d.org, "garcia")
	if err != nil || holder != profile.ID(fmt.Sprint(winner)) {
		d.Errorf("claimed by %q, %v, want %d", holder, err, winner)
	}
	for racer := range crowd {
		p := d.profile(profile.ID(fmt.Sprint(racer)))
		if won := racer == winner; (p.Username != "") != won || (p.CredentialVersion != 0) != won || (d.lines(p.ID) != 0) != won {
			d.Errorf("%d: username %q, version %d, %d lines", racer, p.Username, p.CredentialVersion, d.lines(p.ID))
		}
	}
}

func linksOfOneProfile(d *desk) {
	d.add("1")
	var tokens []string
	for range crowd {
		tokens = append(tokens, d.mint("1"))
	}
	winner := d.race("link_ended", func(racer int) error { return d.use(tokens[racer], racer) })
	d.keeps("1", winner)
	for racer, token := range tokens {
		want := link.Ended
		if racer == winner {
			want = link.Used
		}
		if got := d.state(token); got != want {
			d.Errorf("link %d is %s, want %s", racer, got, want)
		}
	}
}

func postsOfOneLink(d *desk) {
	d.add("1")
	for round := range 3 {
		token, lines := d.mint("1"), d.lines("1")
		for range 3 {
			if got := d.state(token); got != link.Live {
				d.Fatalf("round %d: opened, it is %s", round, got)
			}
		}
		winner := d.race("link_used", func(racer int) error {
			// Opening it beside the others changes nothing.
			if _, err := d.service.OpenLink(d.Context(), d.org, token); err != nil {
				return err
			}
			return d.use(token, racer)
		})
		d.keeps("1", winner)
		want := 1
		if round == 0 {
			want = 2 // the email becomes the username
		}
		if got := d.lines("1") - lines; got != want {
			d.Errorf("round %d: %d lines in the trail, want %d", round, got, want)
		}
		if got := d.profile("1").CredentialVersion; got != round+1 {
			d.Errorf("round %d: version %d", round, got)
		}
		if got := d.state(token); got != link.Used {
			d.Errorf("round %d: the link is %s", round, got)
		}
	}
}
