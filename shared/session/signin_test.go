package session_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/session"
	"github.com/memberkey/memberkey/shared/store"
)

func TestH22NamesThatSignIn(t *testing.T) {
	w := newWorld(t)
	for name, want := range map[string]profile.ID{
		"ana@example.org": "1", " Ana@Example.ORG ": "1", "bob": "2", "BOB": "2", "eva": "3", "nomail": "7", "half@example.org": "8",
		"family@example.org": "", // two logins: only a username tells which
		"kim@example.org":    "", "kim": "", "nobody": "", "": "", "é": "", "a b": "", "@": "",
	} {
		in, err := w.signIn(name, right)
		if want == "" {
			if !errors.Is(err, session.Refused) {
				t.Errorf("%q: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if got := w.who(in.Token).Profile.ID; got != want {
			t.Errorf("%q is %s", name, got)
		}
	}
}

// TestUsernameGoesBeforeEmail: somebody's username that is another's address
// belongs to whoever has claimed it.
func TestUsernameGoesBeforeEmail(t *testing.T) {
	w := newWorld(t)
	w.person("20", "ana", "ana@example.org", true) // shares the mailbox of 1, whose username it is
	if got := w.who(w.in("ana@example.org").Token).Profile.ID; got != "1" {
		t.Errorf("signed in as %s", got)
	}
}

func TestSignedIn(t *testing.T) {
	w := newWorld(t)
	first := w.in("bob")
	if len(first.Token.Reveal()) != 43 || first.Token.Reveal() == first.Device.Reveal() || first.Ends != w.Now().Add(12*time.Hour) || first.Kept || first.MustChange {
		t.Errorf("%+v", first)
	}
	who := w.who(first.Token)
	if !who.Session.Before.IsZero() || who.Session.Hash == first.Token.Reveal() {
		t.Errorf("%+v", who.Session)
	}
	before := w.Now()
	w.pass(time.Hour)
	second, err := w.sessions.SignIn(t.Context(), org, session.Attempt{Name: "bob", Password: right, Keep: true, Device: first.Device, Previous: first.Token, From: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	if !second.Kept || second.Ends != w.Now().Add(30*24*time.Hour) || second.Device.Reveal() != first.Device.Reveal() || second.Token.Reveal() == first.Token.Reveal() {
		t.Errorf("kept %v until %v", second.Kept, second.Ends)
	}
	if got := w.who(second.Token).Session.Before; !got.Equal(before) {
		t.Errorf("the sign-in before: %v", got)
	}
	if _, err := w.sessions.Resolve(t.Context(), org, first.Token); !errors.Is(err, session.SignedOut) {
		t.Errorf("the browser's former session: %v", err)
	}
	if c := w.credential("2"); !c.LastSignInAt.Equal(w.Now()) || w.profile("2").CredentialVersion != 1 {
		t.Errorf("last sign-in %v, version %d", c.LastSignInAt, w.profile("2").CredentialVersion)
	}
	e := w.trail("2")[0]
	want := activity.Actor{Kind: activity.Member, ID: "2", Name: "Ana García 2", From: "192.0.2.1"}
	if e.Kind != activity.SignedIn || e.Actor != want {
		t.Errorf("trail %+v", e)
	}
	// An organization that does not offer it does not keep anybody signed in.
	w.update(func(tx *store.Tx) error {
		s, err := tx.Organization(org)
		if err == nil {
			s.KeepSignedInDays = 0
			tx.PutOrganization(s)
		}
		return err
	})
	third, err := w.sessions.SignIn(t.Context(), org, session.Attempt{Name: "bob", Password: right, Keep: true})
	if err != nil || third.Kept || third.Ends != w.Now().Add(12*time.Hour) {
		t.Errorf("%+v %v", third, err)
	}
}

func TestReasonsAreForStaffAlone(t *testing.T) {
	w := newWorld(t)
	w.person("10", "typed", "typed@example.org", true)
	w.update(func(tx *store.Tx) error {
		c, err := tx.Credential(org, "10")
		if err == nil {
			c.SetBy, c.MustChange, c.StopsAt = credential.ByStaff, true, w.Now()
			tx.PutCredential(c)
		}
		return err
	})
	for _, c := range []struct {
		name   string
		p      password.Plain
		id     profile.ID
		reason string
	}{
		{"bob", wrong, "2", "wrong_password"}, {"dis", right, "5", "disabled"}, {"lapsed", right, "6", "not_a_member"}, {"typed", right, "10", "password_stopped"},
	} {
		if _, err := w.signIn(c.name, c.p); !errors.Is(err, session.Refused) {
			t.Errorf("%s: %v", c.name, err)
		}
		e := w.trail(c.id)[0]
		if e.Kind != activity.SignInRefused || e.Detail["reason"] != c.reason || e.Actor.From != "192.0.2.1" {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
	// A name that nobody has is in the day's trail, without the name: people
	// type passwords there.
	w.pass(time.Second)
	if _, err := w.signIn("hunter2", wrong); !errors.Is(err, session.Refused) {
		t.Error(err)
	}
	day, _, err := w.store.DayActivity(t.Context(), org, w.Now(), "", 1)
	if err != nil || len(day) != 1 || day[0].Profile != "" || day[0].Detail["reason"] != "unknown_name" || strings.Contains(fmt.Sprint(day), "hunter2") {
		t.Errorf("%+v %v", day, err)
	}
}

// TestWaits: 30 s from the fifth failure, doubled up to an hour; an attempt
// during a wait is refused, unhashed and not counted, right or wrong, known
// name or not (A11, A14).
func TestWaits(t *testing.T) {
	for _, name := range []string{"bob", "stranger", "stranger@example.org", "é"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for range 4 {
				if _, err := w.signIn(name, wrong); !errors.Is(err, session.Refused) {
					t.Fatal(err)
				}
			}
			for _, wait := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
				if _, err := w.signIn(name, wrong); !errors.Is(err, session.Refused) {
					t.Fatalf("before %v: %v", wait, err)
				}
				until := w.Now().Add(wait)
				spent := w.cost(func() {
					for _, p := range []password.Plain{right, wrong, right} {
						_, err := w.signIn(name, p)
						if !errors.Is(err, session.Waiting) {
							t.Fatalf("in %v: %v", wait, err)
						}
						extra := problem.As(err).Extra
						if !extra["until"].(time.Time).Equal(until) || extra["retryAfter"] != int(wait/time.Second)+1 {
							t.Fatalf("in %v: %v", wait, extra)
						}
					}
				})
				if spent.Hashes != 0 || spent.Commits != 0 {
					t.Fatalf("a refused attempt cost %+v", spent)
				}
				w.pass(wait - time.Millisecond)
				if _, err := w.signIn(name, right); !errors.Is(err, session.Waiting) {
					t.Fatalf("%v is over too early: %v", wait, err)
				}
				w.pass(time.Millisecond)
			}
		})
	}
}

// TestSuccessResetsTheCounter, and a failure that nobody repeats is forgotten.
func TestSuccessResetsTheCounter(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		for range 4 {
			if _, err := w.signIn("bob", wrong); !errors.Is(err, session.Refused) {
				t.Fatal(err)
			}
		}
		w.in("bob")
	}
	for range 4 {
		if _, err := w.signIn("bob", wrong); !errors.Is(err, session.Refused) {
			t.Fatal(err)
		}
	}
	w.pass(31 * 24 * time.Hour)
	for range 4 {
		if _, err := w.signIn("bob", wrong); !errors.Is(err, session.Refused) {
			t.Fatal(err)
		}
	}
	w.in("bob")
}

// TestA15TheOwnerGetsIn: strangers who guess without end delay the owner by an
// hour at most until the hundredth failure, and never keep out a link.
func TestA15TheOwnerGetsIn(t *testing.T) {
	w := newWorld(t)
	begun, counted := w.Now(), 0
	attack := func() error {
		for {
			_, err := w.signIn("bob", wrong)
			if !errors.Is(err, session.Refused) {
				return err
			}
			counted++
			if counted == 60 || counted > 60+2*session.MaxFailures {
				return nil
			}
		}
	}
	for counted < 60 {
		if err := attack(); err != nil {
			w.pass(10 * time.Minute)
		}
	}
	w.pass(time.Hour)
	w.in("bob") // after the longest wait

	counted = 60 // the guesser goes on, now without a pause in sight
	for {
		err := attack()
		if errors.Is(err, session.Locked) || err == nil {
			break
		}
		w.pass(time.Minute)
	}
	if counted != 60+session.MaxFailures {
		t.Errorf("%d guesses in a row", counted-60)
	}
	if took := w.Now().Sub(begun); took < 4*24*time.Hour {
		t.Errorf("they took %v", took)
	}
	hashes := w.hasher.Calls()
	w.pass(31 * 24 * time.Hour) // a lock cannot be sat out
	for _, p := range []password.Plain{right, wrong} {
		if _, err := w.signIn("bob", p); !errors.Is(err, session.Locked) {
			t.Errorf("locked: %v", err)
		}
	}
	if w.hasher.Calls() != hashes {
		t.Error("a locked name was hashed")
	}
	// Staff are told of the lock, not of the last wait, which is long over.
	if held, err := w.store.Wait(t.Context(), org, credential.AttemptsKey(org, "bob")); err != nil || !held.Locked || !w.Now().Before(held.Until) {
		t.Errorf("%+v, %v", held, err)
	}
	// A link lets the owner in at once.
	fresh := password.NewPlain("violet-harbor-lantern-ninety")
	if _, err := w.credentials.SetByLink(t.Context(), org, w.link("2"), "", fresh, activity.Actor{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.signIn("bob", fresh); err != nil {
		t.Errorf("after a link: %v", err)
	}
}

// TestLockedNamesAreAlike: a name that nobody has locks as any other (A11).
func TestLockedNamesAreAlike(t *testing.T) {
	w := newWorld(t)
	story := func(name string) (list []string) {
		for range session.MaxFailures + 20 {
			_, err := w.signIn(name, wrong)
			list = append(list, problem.CodeOf(err))
			w.pass(20 * time.Minute)
		}
		return list
	}
	if diff := cmp.Diff(story("eva"), story("nobody")); diff != "" {
		t.Error(diff)
	}
}

func TestStaffUnlock(t *testing.T) {
	w := newWorld(t)
	logins := &credential.Logins{Store: store.For[credential.LoginTx](w.store), Bells: w.bells, Now: w.Now, NewID: store.NewID, Again: time.Minute, Log: w.sessions.Log}
	w.exhaust("bob")
	if _, err := logins.Unlock(t.Context(), activity.Actor{Kind: activity.Staff, ID: "s"}, org, "2"); err != nil {
		t.Fatal(err)
	}
	w.in("bob")
}

// TestA15KnownDevice: a browser that signed in before counts for itself; one
// that signed in as somebody else does not.
func TestA15KnownDevice(t *testing.T) {
	w := newWorld(t)
	bob, eva := w.in("bob"), w.in("eva")
	try := func(name string, p password.Plain, device session.Token) error {
		_, err := w.sessions.SignIn(t.Context(), org, session.Attempt{Name: name, Password: p, Device: device})
		return err
	}
	w.exhaust("bob")
	if err := try("bob", right, eva.Device); !errors.Is(err, session.Waiting) {
		t.Errorf("another person's device: %v", err)
	}
	if err := try("bob", right, session.NewToken(strings.Repeat("x", 43))); !errors.Is(err, session.Waiting) {
		t.Errorf("a made-up device: %v", err)
	}
	if err := try("bob", right, bob.Token); !errors.Is(err, session.Waiting) {
		t.Errorf("a session for a device: %v", err)
	}
	if err := try("bob", right, bob.Device); err != nil {
		t.Errorf("the owner's device: %v", err)
	}
	// The device has a limit of its own.
	for range 5 {
		if err := try("bob", wrong, bob.Device); !errors.Is(err, session.Refused) {
			t.Fatal(err)
		}
	}
	if err := try("bob", right, bob.Device); !errors.Is(err, session.Waiting) {
		t.Errorf("a device that guesses: %v", err)
	}
	// A used link ends its wait as well.
	fresh := password.NewPlain("violet-harbor-lantern-ninety")
	if _, err := w.credentials.SetByLink(t.Context(), org, w.link("2"), "", fresh, activity.Actor{}); err != nil {
		t.Fatal(err)
	}
	w.exhaust("bob") // strangers go on
	if err := try("bob", fresh, bob.Device); err != nil {
		t.Errorf("after a link: %v", err)
	}
	w.pass(session.DeviceLife)
	w.exhaust("bob")
	if err := try("bob", fresh, bob.Device); !errors.Is(err, session.Waiting) {
		t.Errorf("a device of long ago: %v", err)
	}
}

// TestA14Parallel: however many guess at once, no more are hashed than were
// counted, and no more are counted than may be before a wait.
func TestA14Parallel(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	var codes sync.Map
	before := w.hasher.Calls()
	for i := range 1000 {
		wg.Go(func() {
			p := wrong
			if i%10 == 0 {
				p = password.NewPlain(fmt.Sprintf("guess number %d", i))
			}
			_, err := w.signIn("bob", p)
			n, _ := codes.LoadOrStore(problem.CodeOf(err), new(atomic.Int64))
			n.(*atomic.Int64).Add(1)
		})
	}
	wg.Wait()
	count := func(code string) int64 {
		if n, ok := codes.Load(code); ok {
			return n.(*atomic.Int64).Load()
		}
		return 0
	}
	hashed := int64(w.hasher.Calls() - before)
	if hashed != 5 || count("sign_in_refused") != hashed {
		t.Errorf("%d hashed, %d refused, want 5", hashed, count("sign_in_refused"))
	}
	if rest := count("sign_in_waiting") + count("busy"); rest != 1000-hashed {
		t.Errorf("%d waiting, %d busy", count("sign_in_waiting"), count("busy"))
	}
	a, err := w.store.Attempts(t.Context(), org, credential.AttemptsKey(org, "bob"))
	if err != nil || a == nil || int64(a.Failures) != hashed {
		t.Errorf("counted %+v, %v", a, err)
	}
	// The right password during the wait is refused as the wrong ones are.
	if _, err := w.signIn("bob", right); !errors.Is(err, session.Waiting) {
		t.Error(err)
	}
}

// TestA9SameWork: a request about one name costs what it costs about any
// other, hash by hash and call by call.
func TestA9SameWork(t *testing.T) {
	w := newWorld(t)
	costs := map[string]work{}
	for _, group := range []struct {
		about string
		names []string
		p     password.Plain
	}{
		{"usernames", []string{"bob", "dis", "lapsed", "nomail", "nobody", "kim"}, wrong},
		{"addresses", []string{"ana@example.org", "family@example.org", "kim@example.org", "half@example.org", "nobody@example.org"}, wrong},
		{"refused with the right password", []string{"family@example.org", "kim@example.org", "nobody@example.org"}, right},
	} {
		for range 3 { // and no matter the how many-th failure it is
			for _, name := range group.names {
				got := w.cost(func() {
					if _, err := w.signIn(name, group.p); !errors.Is(err, session.Refused) {
						t.Fatalf("%s: %v", name, err)
					}
				})
				if got.Hashes != 1 {
					t.Errorf("%s: %d hashes", name, got.Hashes)
				}
				if want, ok := costs[group.about]; ok && got != want {
					t.Errorf("%s: %q cost %+v, others %+v", group.about, name, got, want)
				}
				costs[group.about] = got
			}
			w.pass(2 * time.Hour)
		}
	}
	// During a wait.
	for _, name := range []string{"eva", "stranger"} {
		w.exhaust(name)
		got := w.cost(func() { w.signIn(name, right) })
		if want, ok := costs["waiting"]; ok && got != want || got.Hashes != 0 {
			t.Errorf("waiting: %q cost %+v, others %+v", name, got, want)
		}
		costs["waiting"] = got
	}
}

// TestA10AnyPassword: what can never be a password costs known and unknown
// names the same.
func TestA10AnyPassword(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		p      string
		hashes int64
	}{
		"control": {"tab\tis no password at all", 1}, "not UTF-8": {"\xff\xfe", 1}, "placeholder": {password.Placeholder, 1},
		"empty": {"", 0}, "long": {strings.Repeat("x", 257), 0}, "longest": {strings.Repeat("é", 256), 1},
	} {
		for _, who := range []string{"bob", "nobody"} {
			got := w.cost(func() {
				if _, err := w.signIn(who, password.NewPlain(c.p)); !errors.Is(err, session.Refused) {
					t.Errorf("%s: %v", name, err)
				}
			})
			if got.Hashes != c.hashes {
				t.Errorf("%s, %s: %d hashes", name, who, got.Hashes)
			}
		}
		w.pass(2 * time.Hour)
	}
}

// TestH1Rehash: signing in moves an old hash to today's parameters, and that
// is no change.
func TestH1Rehash(t *testing.T) {
	w := newWorld(t)
	before := w.profile("2")
	old := w.credential("2").Hash.PHC()
	today := password.Fast
	today.Time++
	w.credentials.Hasher = password.NewHasher(today, 2, w.sessions.Rand)
	w.in("bob")
	if now := w.credential("2").Hash.PHC(); now == old || !strings.Contains(now, fmt.Sprintf("t=%d", today.Time)) {
		t.Error("not hashed again")
	}
	after := w.profile("2")
	if after.Epoch != before.Epoch || after.CredentialVersion != before.CredentialVersion || len(w.bells.rung) != 0 {
		t.Error("a re-hash counts as a change")
	}
	w.in("bob")
}
