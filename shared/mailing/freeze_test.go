package mailing_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/profile"
)

// frozen lists who waits in which entry, in mailbox order, and who was skipped.
func (w *world) frozen(id string) (mailed map[profile.ID]string, skipped map[profile.ID]string) {
	w.t.Helper()
	m := w.mailing(id)
	mailed, skipped = map[profile.ID]string{}, map[profile.ID]string{}
	for _, r := range w.recipients(id) {
		if r.Outcome == mailing.Skipped {
			skipped[r.Profile] = r.Reason
		}
	}
	for lane := range m.Freeze.Lanes {
		batches, _, err := w.store.Batches(context.Background(), org, id, m.Generation, lane, 0, 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, b := range batches {
			if len(b.Entries) > m.Freeze.PerBatch {
				w.t.Errorf("a batch of %d entries, %d are the most", len(b.Entries), m.Freeze.PerBatch)
			}
			for i, e := range b.Entries {
				for _, r := range e.Recipients {
					if _, twice := mailed[r.Profile]; twice {
						w.t.Errorf("profile %s stands in two entries", r.Profile)
					}
					mailed[r.Profile] = fmt.Sprintf("%d/%d/%d", lane, b.Index, i)
				}
			}
		}
	}
	return mailed, skipped
}

// TestFreezeSurvivesDeath kills the walk at every commit, before and after it,
// lets two walk at once, and compares with a walk that nobody disturbed.
func TestFreezeSurvivesDeath(t *testing.T) {
	build := func() (*world, string) {
		w := newWorld(t, 11)
		w.crowd(150)
		w.office.account.Rate = 12 // 8 in a batch
		if err := w.sweep.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		return w, w.compose(profile.Filter{}).ID
	}
	calm, id := build()
	before := calm.db.commits
	want := calm.freeze(id)
	steps := calm.db.commits - before
	wantMailed, wantSkipped := calm.frozen(id)
	if steps < 2 || len(wantMailed) < 50 || len(wantSkipped) < 20 {
		t.Fatalf("%d steps, %d mailed, %d skipped: the test tests nothing", steps, len(wantMailed), len(wantSkipped))
	}
	for step := 1; step <= steps; step++ {
		for _, after := range []bool{false, true} {
			w, id := build()
			w.process(func() error {
				w.db.dieAt, w.db.after = step, after
				_, err := w.desk.Freeze(context.Background(), org, staff, id)
				if err == nil {
					w.drain()
				}
				return err
			})
			w.check(id)
			if w.mailing(id).Freeze == nil { // not even begun: staff press again
				if _, err := w.desk.Freeze(context.Background(), org, staff, id); err != nil {
					t.Fatal(err)
				}
			}
			w.queue = nil // nobody remembers the bell
			w.clock = w.clock.Add(2 * timing.Again)
			for range 5 {
				if err := w.sweep.Run(context.Background()); err != nil {
					t.Fatal(err)
				}
				w.queue = append(w.queue, w.queue...) // every bell twice
				w.drain()
				w.clock = w.clock.Add(2 * timing.Again)
			}
			got, err := w.desk.Audience(context.Background(), org, id)
			if err != nil || got.State != "ready" || got.Mails != want.Mails || got.Profiles != want.Profiles || !cmp.Equal(got.Skipped, want.Skipped) {
				t.Fatalf("killed at %d (after: %v): %+v, want %+v", step, after, got, want)
			}
			mailed, skipped := w.frozen(id)
			if len(mailed) != len(wantMailed) {
				t.Fatalf("killed at %d: %d mailed", step, len(mailed))
			}
			for p := range wantMailed {
				if mailed[p] == "" {
					t.Fatalf("killed at %d: profile %s is lost", step, p)
				}
			}
			if diff := cmp.Diff(wantSkipped, skipped); diff != "" {
				t.Fatal(diff)
			}
		}
	}
}

// TestFreezeBounds walks an association in which thousands share a mailbox and
// thousands are skipped: no step may outgrow a transaction or an item.
func TestFreezeBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	var all []*profile.Profile
	for i := range 1050 {
		all = append(all, person(fmt.Sprint("s", 10000+i), "office@example.org"))
	}
	for i := range 3100 {
		p := person(fmt.Sprint("a-long-profile-number-of-forty-letters-", i)[:38]+fmt.Sprint(i%10), "")
		p.ID = profile.ID(fmt.Sprintf("%035d", i))
		all = append(all, p)
	}
	w.put(all...)
	w.office.account.Rate = 1 // one mail in a batch
	if err := w.sweep.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	id := w.compose(profile.Filter{}).ID
	a := w.freeze(id)
	want := &mailing.Audience{State: "ready", Version: 1, Mails: 53, Profiles: 4150, Skipped: map[string]int{"no_email": 3100}, At: a.At}
	if a.Mails > 54 || a.Mails < 53 { // 20 to a mail; a page of the walk may end one early
		t.Fatal(a.Mails)
	}
	want.Mails = a.Mails
	if diff := cmp.Diff(want, a); diff != "" {
		t.Error(diff)
	}
	w.check(id)
	finder := mailing.NewFinder(w.store, org)
	m := w.mailing(id)
	for _, p := range []profile.ID{"s10000", "s10019", "s10700", "s11049", "00000000000000000000000000000000000"} {
		found, err := finder.In(context.Background(), m, w.profile(p))
		if err != nil || found == nil || found.Recipient.Profile != p {
			t.Errorf("profile %s: %+v %v", p, found, err)
		}
	}
	w.put(person("z", "zoe@example.org"), person("0", ""))
	for _, p := range []profile.ID{"z", "0"} {
		if found, err := finder.In(context.Background(), m, w.profile(p)); err != nil || found != nil {
			t.Errorf("profile %s was not there: %+v %v", p, found, err)
		}
	}
}

// TestWhoMovedDuringTheFreeze: the walk meets them at both mailboxes, and they
// get one mail, at the new one.
func TestWhoMovedDuringTheFreeze(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	var all []*profile.Profile
	for i := range 1010 { // more than a page of the walk
		all = append(all, person(fmt.Sprint(1000+i), fmt.Sprintf("m%d@example.org", 1000+i)))
	}
	w.put(all...)
	w.office.account.Rate = 12
	if err := w.sweep.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	id := w.compose(profile.Filter{}).ID
	if _, err := w.desk.Freeze(context.Background(), org, staff, id); err != nil {
		t.Fatal(err)
	}
	w.clock = w.clock.Add(time.Second)
	for w.mailing(id).Freeze.Cursor == "" { // dies after its first step
		w.process(func() error {
			w.db.dieAt, w.db.after = 2, false
			w.drain()
			return nil
		})
		w.queue = append(w.queue, mailing.Bell{V: 1, Kind: mailing.RingFreeze, Organization: org, Mailing: id, Generation: 1})
	}
	if w.mailing(id).Freeze.Ready {
		t.Fatal("the walk was not interrupted")
	}
	w.edit("1000", func(p *profile.Profile) { p.Email = "zz@example.org" })
	w.drain()
	a, err := w.desk.Audience(context.Background(), org, id)
	if err != nil || a.State != "ready" || a.Profiles != 1011 {
		t.Fatalf("%+v %v", a, err)
	}
	if _, err := w.desk.Send(context.Background(), org, staff, id, a.Version, time.Time{}); err != nil {
		t.Fatal(err)
	}
	m := w.settle(id)
	w.reckon(m)
	if w.office.taken["1000"] != 1 {
		t.Errorf("mailed %d times", w.office.taken["1000"])
	}
	reasons := 0
	for _, r := range w.recipients(id) {
		if r.Profile == "1000" && r.Reason == mailing.TwiceListed {
			reasons++
		}
	}
	if reasons != 1 {
		t.Errorf("listed twice %d times", reasons)
	}
}

// TestClaim is what becomes of people who change between freeze and claim (H14).
func TestClaim(t *testing.T) {
	w := newWorld(t, 1)
	w.put(person("1", "a@example.org"), person("2", "b@example.org"), person("3", "c@example.org"), person("4", "d@example.org"),
		person("5", "e@example.org"), person("6", "f@example.org"), person("7", "g@example.org"),
		person("11", "both@example.org"), person("12", "both@example.org"), person("13", "both@example.org"))
	w.clock = w.clock.Add(time.Minute)
	id := w.send(profile.Filter{Login: profile.LoginNoPassword})
	w.clock = w.clock.Add(time.Minute)
	w.remove("1")
	w.edit("2", func(p *profile.Profile) { p.Email = "" })
	w.edit("3", func(p *profile.Profile) { p.HasPassword = true })
	w.edit("4", func(p *profile.Profile) { p.Status = profile.Lapsed })
	w.edit("5", func(p *profile.Profile) { p.Disabled = true })
	w.edit("6", func(p *profile.Profile) { p.DoNotEmail = true })
	w.edit("11", func(p *profile.Profile) { p.Email = "alone@example.org" })
	w.office.silent = true
	w.settle(id)
	for p, want := range map[profile.ID]string{
		"1": "skipped gone", "2": "skipped no_email", "3": "skipped has_password", "4": "skipped not_allowed",
		"5": "skipped disabled", "6": "skipped do_not_email", "7": "sent ", "11": "sent ", "12": "sent ", "13": "sent ",
	} {
		o, reason := w.outcome(id, p)
		if got := string(o) + " " + reason; got != want {
			t.Errorf("profile %s: %s, want %s", p, got, want)
		}
	}
	if len(w.office.sent) != 3 {
		t.Fatalf("%d mails", len(w.office.sent))
	}
	for _, m := range w.office.sent {
		if m.To == "both@example.org" && !cmp.Equal(m.Profiles, []profile.ID{"12", "13"}) || m.To == "alone@example.org" && !cmp.Equal(m.Profiles, []profile.ID{"11"}) {
			t.Errorf("to %s went the links of %v", m.To, m.Profiles)
		}
	}
}
