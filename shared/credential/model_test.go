package credential_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/profile"
)

// TestLinkModel is attack A7: whatever is done to a login in whatever order, a
// link works exactly while nothing that ends links has happened since it was
// made, it has not run out, and the person may enter.
func TestLinkModel(t *testing.T) {
	type made struct {
		token string
		ends  time.Time
		dead  bool // something ended links since
		used  bool // it is the last link that was used
	}
	type model struct {
		links              []*made
		disabled, lapsed   bool
		username, password bool
	}
	const runs, steps = 25, 60
	for run := range runs {
		r := rand.New(rand.NewPCG(20261123, uint64(run)))
		w := newWorld(t)
		w.add("1", "ana0@example.com")
		m := &model{}
		var done []string
		end := func() {
			for _, l := range m.links {
				l.dead = true
			}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("run %d: %v after %q", run, err, done)
			}
		}
		for step := range steps {
			word := fmt.Sprintf("%s %d", first, step)
			switch n := r.IntN(14); n {
			case 0, 1, 2:
				done = append(done, "mint")
				m.links = append(m.links, &made{token: w.mint("1"), ends: w.now().Add(24 * time.Hour)})
			case 3:
				done = append(done, "email")
				w.move("1", fmt.Sprintf("ana%d@example.com", step+1))
				end()
			case 4:
				done = append(done, "username")
				_, err := w.set("1", fmt.Sprintf("ana.%d", step), "")
				must(err)
				m.username = true
				end()
			case 5:
				done = append(done, "password")
				_, err := w.set("1", "", word)
				must(err)
				m.username, m.password = true, true
				end()
			case 6:
				done = append(done, "disable")
				_, err := w.logins.Disable(w.ctx, desk, org, "1")
				must(err)
				if !m.disabled {
					m.disabled = true
					end()
				}
			case 7, 8:
				done = append(done, "enable")
				_, err := w.logins.Enable(w.ctx, desk, org, "1")
				must(err)
				if m.disabled {
					m.disabled = false
					end() // what was made before stays dead
				}
			case 9:
				done = append(done, "remove")
				_, err := w.service.Remove(w.ctx, desk, org, "1", w.profile("1").CredentialVersion)
				must(err)
				if m.disabled && !m.username && !m.password {
					continue
				}
				for _, l := range m.links {
					l.used = false // forgotten with the credential
				}
				m.disabled, m.username, m.password = true, false, false
				end()
			case 10:
				done = append(done, "sign out")
				_, err := w.logins.SignOutEverywhere(w.ctx, desk, org, "1")
				must(err)
				end()
			case 11:
				done = append(done, "status")
				m.lapsed = !m.lapsed
				w.edit("1", with(map[bool]profile.Status{true: profile.Lapsed, false: profile.Active}[m.lapsed]))
			case 12:
				done = append(done, "time")
				w.pass(time.Duration(r.IntN(12)) * time.Hour)
			case 13:
				if len(m.links) == 0 {
					continue
				}
				l := m.links[r.IntN(len(m.links))]
				done = append(done, "use")
				works := !l.dead && w.now().Before(l.ends) && !m.disabled && !m.lapsed
				_, err := w.use(l.token, "", word)
				if works != (err == nil) {
					t.Fatalf("run %d: used: %v, want it to work: %t, after %q", run, err, works, done)
				}
				if works {
					if !w.matches("1", word) {
						t.Fatalf("run %d: another password is stored after %q", run, done)
					}
					for _, other := range m.links {
						other.used = false
					}
					l.used, m.username, m.password = true, true, true
					end()
				}
			}
			// A step that changes nothing of the kind does not end links either.
			if step%7 == 0 {
				v, err := w.service.Read(w.ctx, org, "1")
				must(err)
				_, err = w.service.Change(w.ctx, desk, org, "1", v.Version, change(v.Username, password.Placeholder))
				must(err)
			}
			for i, l := range m.links {
				want := link.Live
				switch {
				case l.used:
					want = link.Used
				case l.dead || !w.now().Before(l.ends):
					want = link.Ended
				case m.disabled || m.lapsed:
					want = link.NotAllowed
				}
				if o := w.opened(l.token); o.State != want {
					t.Fatalf("run %d: link %d is %s, want %s, after %q", run, i, o.State, want, done)
				}
			}
			p, c := w.profile("1"), w.credential("1")
			if p.Disabled != m.disabled || (p.Username != "") != m.username || p.HasPassword != m.password || c.HasPassword() != m.password {
				t.Fatalf("run %d: %+v, %v; want %+v, after %q", run, p, c, m, done)
			}
		}
	}
}

// TestCopiesAgree: what the credential says and what the profile copies.
func TestCopiesAgree(t *testing.T) {
	w := newWorld(t)
	w.add("1", "ana@example.com")
	for i, do := range []func() error{
		func() error { _, err := w.set("1", "ana", ""); return err },
		func() error { _, err := w.set("1", "", first); return err },
		func() error {
			return w.service.ChangeOwn(w.ctx, org, "1", password.NewPlain(first), password.NewPlain(second), home)
		},
		func() error { _, err := w.use(w.mint("1"), "", third); return err },
		func() error { _, err := w.service.Remove(w.ctx, desk, org, "1", 4); return err },
	} {
		if err := do(); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		p, c := w.profile("1"), w.credential("1")
		if p.HasPassword != c.HasPassword() || p.CredentialVersion != i+1 {
			t.Errorf("%d: version %d, %t beside %t", i, p.CredentialVersion, p.HasPassword, c.HasPassword())
		}
	}
}
