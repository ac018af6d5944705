package mailing_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

func (w *world) settings() *organization.Settings {
	s, err := w.store.Organization(context.Background(), org)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// reset asks for one reset email, as resets does.
func (w *world) reset(id profile.ID) string {
	w.t.Helper()
	b := mailing.NewSingle(mailing.KindReset, w.desk.NewID(w.clock), w.settings(), staff, w.clock, false, id)
	w.update(func(tx *store.Tx) error {
		tx.PutBatch(b, w.clock.Add(timing.Again))
		tx.PutLast(org, id, b.ID, w.clock)
		return nil
	})
	w.queue = append(w.queue, b.Bell())
	return b.ID
}

func (w *world) single(id string) mailing.Outcome {
	w.t.Helper()
	b, err := w.store.Batch(context.Background(), mailing.Batch{Organization: org, ID: id})
	if err != nil || b == nil {
		w.t.Fatal("no such batch", err)
	}
	return b.Entries[0].Recipients[0].Known()
}

// TestSingleMailSurvives everything: it goes once, or is in doubt.
func TestSingleMailSurvives(t *testing.T) {
	t.Parallel()
	for seed := range uint64(80) {
		w := newWorld(t, seed)
		w.put(person("1", "a@example.org"))
		id := w.reset("1")
		w.office.fails, w.lose = 0.5, 0.3
		for range 40 {
			if w.rng.IntN(2) == 0 {
				w.db.dieAt, w.db.after = 1+w.rng.IntN(3), w.rng.IntN(2) == 0
			} else if w.rng.IntN(4) == 0 {
				w.office.dieAt, w.office.after = 1, w.rng.IntN(2) == 0
			}
			w.process(func() error {
				w.run()
				if n := len(w.queue); n > 0 {
					bell := w.queue[n-1]
					w.queue = w.queue[:n-1]
					return w.work(bell)
				}
				return nil
			})
			w.clock = w.clock.Add(time.Duration(w.rng.Int64N(int64(2 * time.Minute))))
			w.office.post(false)
		}
		w.office.fails, w.lose = 0, 0
		for range 30 {
			w.office.post(true)
			w.run()
			w.drain()
			w.clock = w.clock.Add(time.Minute)
		}
		switch o := w.single(id); o {
		case mailing.Sent, mailing.Delivered, mailing.Bounced, mailing.Complained:
			if len(w.office.sent) == 0 {
				t.Errorf("seed %d: %s and never sent", seed, o)
			}
		case mailing.Failed:
		default:
			t.Errorf("seed %d: %s", seed, o)
		}
		if n := len(w.office.sent); n > 1 {
			t.Errorf("seed %d: sent %d times although events told of every mail", seed, n)
		}
	}
}

// TestSingleLinkEndsAsPromised: a repeat keeps the end (H11), and a mail whose
// link would be dead does not go.
func TestSingleLinkEndsAsPromised(t *testing.T) {
	w := newWorld(t, 1)
	w.put(person("1", "a@example.org"))
	id := w.reset("1")
	ends := w.clock.Add(24 * time.Hour)
	w.office.fails, w.office.faults = 0.999, []mailing.Fault{mailing.Throttled}
	w.drain()
	w.office.fails = 0
	w.clock = w.clock.Add(3 * time.Hour)
	w.run()
	w.drain()
	if len(w.office.sent) != 1 || !strings.Contains(w.office.sent[0].Text, message.Moment(ends, time.UTC)) {
		t.Fatalf("%d mails, which do not end at %v", len(w.office.sent), ends)
	}
	if o := w.single(id); o != mailing.Sent {
		t.Error(o)
	}
	late := w.reset("1")
	w.queue = nil
	w.clock = w.clock.Add(25 * time.Hour)
	w.run()
	w.drain()
	b, err := w.store.Batch(context.Background(), mailing.Batch{Organization: org, ID: late})
	if err != nil || b.Entries[0].Recipients[0].Reason != mailing.TooLate || len(w.office.sent) != 1 {
		t.Errorf("%+v %v", b, err)
	}
}

func TestNotice(t *testing.T) {
	w := newWorld(t, 1)
	p := person("1", "new@example.org")
	p.Username, p.HasPassword = "ana", true
	w.put(p)
	notices := []*mailing.Batch{
		mailing.NewNotice("n1", p, []message.Change{message.EmailChanged}, message.ByStaff, staff, w.clock, "old@example.org"),
		mailing.NewNotice("n2", p, []message.Change{message.EmailChanged}, message.ByStaff, staff, w.clock, ""),
	}
	w.update(func(tx *store.Tx) error {
		for _, b := range notices {
			tx.PutBatch(b, w.clock.Add(timing.Again))
		}
		return nil
	})
	w.queue = append(w.queue, notices[0].Bell(), notices[1].Bell())
	w.drain()
	var to []string
	for _, m := range w.office.sent {
		to = append(to, m.To)
		if len(m.Tokens) > 0 || strings.Contains(m.Text, "set-password") {
			t.Error("a notice carries a link that sets a password")
		}
	}
	if diff := cmp.Diff([]string{"old@example.org", "new@example.org"}, to); diff != "" {
		t.Error(diff)
	}
}

// ask is what the forgot-login page does.
func (w *world) ask(entered string) {
	w.t.Helper()
	r := &mailing.Request{Organization: org, ID: w.desk.NewID(w.clock), Entered: entered, At: w.clock, Actor: activity.Actor{Kind: activity.Member, From: "192.0.2.1"}}
	w.update(func(tx *store.Tx) error { tx.PutRequest(r, w.clock.Add(timing.Again)); return nil })
	w.queue = append(w.queue, mailing.Bell{V: 1, Kind: mailing.RingRequest, Organization: org, ID: r.ID})
}

func TestForgotLogin(t *testing.T) {
	shared := func() []*profile.Profile {
		lapsed, disabled, named := person("3", "home@example.org"), person("4", "home@example.org"), person("5", "five@example.org")
		lapsed.Status, disabled.Disabled, named.Username = profile.Lapsed, true, "FIVE"
		named.Username = "five"
		return []*profile.Profile{person("1", "home@example.org"), person("2", "Home@example.org"), lapsed, disabled, named, person("6", "")}
	}
	for name, test := range map[string]struct {
		entered string
		to      string
		links   []profile.ID
	}{
		"shared mailbox: one mail for all who may": {" HOME@example.org ", "home@example.org", []profile.ID{"1", "2"}},
		"username":               {"Five", "five@example.org", []profile.ID{"5"}},
		"email of one":           {"five@example.org", "five@example.org", []profile.ID{"5"}},
		"nobody":                 {"nobody@example.org", "", nil},
		"no name and no address": {"\u0000", "", nil},
		"empty":                  {"", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.put(shared()...)
			w.ask(test.entered)
			w.queue = append(w.queue, w.queue...) // the bell comes twice
			w.drain()
			if test.to == "" {
				if len(w.office.sent) != 0 {
					t.Fatalf("%d mails", len(w.office.sent))
				}
				return
			}
			if len(w.office.sent) != 1 || w.office.sent[0].To != test.to && w.office.sent[0].To != "Home@example.org" {
				t.Fatalf("%d mails", len(w.office.sent))
			}
			if diff := cmp.Diff(test.links, w.office.sent[0].Profiles); diff != "" {
				t.Error(diff)
			}
			for _, id := range test.links {
				if !strings.Contains(w.office.sent[0].Text, string(id)) {
					t.Errorf("profile %s is not named", id)
				}
			}
		})
	}
}

// TestForgotLoginIsNoBomb is attack A12: 10,000 requests for one mailbox within
// a day come to at most 10 mails, 5 an hour and 1 a minute, whoever of the
// mailbox is named.
func TestForgotLoginIsNoBomb(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	a, b := person("1", "home@example.org"), person("2", "home@example.org")
	a.Username, b.Username = "first", "second"
	w.put(a, b)
	entered := []string{"home@example.org", "HOME@example.org", "first", "second"}
	for i := range 10_000 {
		w.clock = begin.Add(time.Duration(i) * 24 * time.Hour / 10_000)
		w.ask(entered[i%len(entered)])
		w.drain()
	}
	if n := len(w.office.sent); n > 10 || n < 5 {
		t.Fatalf("%d mails", n)
	}
	for i, m := range w.office.sent {
		hour := 0
		for _, o := range w.office.sent[i:] {
			if o.At.Sub(m.At) < time.Hour {
				hour++
			}
		}
		if hour > 5 || i > 0 && m.At.Sub(w.office.sent[i-1].At) < time.Minute {
			t.Errorf("too many around %v", m.At)
		}
	}
	bells, err := w.store.Due(context.Background(), w.clock.Add(48*time.Hour), 100)
	if err != nil || len(bells) != 0 {
		t.Errorf("%d requests are left, %v", len(bells), err)
	}
}

func TestLastLink(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, 1)
	w.office.silent = true
	w.put(person("1", "a@example.org"), person("2", "b@example.org"))
	last := func(id profile.ID) string {
		t.Helper()
		l, err := mailing.NewFinder(w.store, org).LastLink(ctx, w.profile(id))
		if err != nil {
			t.Fatal(err)
		}
		if l == nil {
			return "none"
		}
		kind := "single"
		if l.Mailing != "" {
			kind = "mailing"
		}
		return fmt.Sprintf("%s %s %s ends %v", kind, l.State, l.Address, l.EndsAt.Sub(begin).Round(time.Minute))
	}
	status := func(id profile.ID, want profile.LoginStatus) {
		t.Helper()
		if got, err := mailing.NewFinder(w.store, org).LoginStatus(ctx, w.profile(id), w.clock); err != nil || got != want {
			t.Errorf("profile %s is %s, want %s: %v", id, got, want, err)
		}
	}
	expect := func(id profile.ID, want string) {
		t.Helper()
		if got := last(id); got != want {
			t.Errorf("profile %s: %s, want %s", id, got, want)
		}
	}
	expect("1", "none")
	status("1", profile.LoginNone)
	w.clock = begin.Add(time.Hour)
	w.reset("1")
	w.drain()
	expect("1", "single sent a@example.org ends 25h0m0s")
	status("1", profile.LoginInvited)
	w.clock = begin.Add(2 * time.Hour)
	id := w.send(profile.Filter{})
	expect("1", "single sent a@example.org ends 25h0m0s") // not mailed yet
	w.settle(id)
	expect("1", "mailing sent a@example.org ends 26h0m0s")
	expect("2", "mailing sent b@example.org ends 26h0m0s")
	w.clock = begin.Add(3 * time.Hour)
	w.reset("1")
	w.drain()
	expect("1", "single sent a@example.org ends 27h0m0s")
	w.clock = begin.Add(4 * time.Hour)
	if _, err := w.desk.RevokeLinks(ctx, org, staff, id); err != nil {
		t.Fatal(err)
	}
	expect("2", "mailing sent b@example.org ends 4h0m0s")
	status("2", profile.LoginExpired)
	expect("1", "single sent a@example.org ends 27h0m0s")
	w.clock = begin.Add(5 * time.Hour)
	w.edit("1", func(*profile.Profile) {}) // any change of the login
	expect("1", "single sent a@example.org ends 5h0m0s")
	status("1", profile.LoginExpired)
	w.edit("1", func(p *profile.Profile) { p.HasPassword = true })
	status("1", profile.LoginActive)
}
