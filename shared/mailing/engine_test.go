package mailing_test

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

var seeds = flag.Uint64("seeds", 16, "how many times TestA23NobodyIsLost plays a mailing")

// crowd fills the association with every sort of profile there is.
func (w *world) crowd(n int) {
	var all []*profile.Profile
	for i := range n {
		id := fmt.Sprint(1000 + i)
		p := person(id, fmt.Sprintf("p%s@example.org", id))
		switch w.rng.IntN(14) {
		case 0:
			p.Email = ""
		case 1, 2:
			p.Email = fmt.Sprintf("family%d@example.org", w.rng.IntN(4)) // shared
		case 3:
			p.DoNotEmail = true
		case 4:
			p.Undeliverable = &profile.Undeliverable{Reason: "bounced", At: w.clock}
		case 5:
			p.Status = profile.Lapsed
		case 6:
			p.Status = profile.NonMember
			p.Relations = []profile.Relation{{To: "1000", Kind: "Employee"}}
		case 7:
			p.Disabled = true
		case 8:
			p.Username, p.HasPassword, p.HadPassword = "user"+id, true, true
		case 9:
			p.Username = "user" + id
		}
		all = append(all, p)
	}
	w.put(all...)
}

// disturb changes a profile between freeze and claim.
func (w *world) disturb(id profile.ID) {
	p, err := w.store.Profile(context.Background(), org, id)
	if err != nil {
		return // gone already
	}
	if p.EpochAt.After(begin) {
		return // once is enough for one person
	}
	switch w.rng.IntN(7) {
	case 0:
		w.remove(id)
	case 1:
		w.edit(id, func(p *profile.Profile) { p.Email = "" })
	case 2:
		w.edit(id, func(p *profile.Profile) { p.Email = "moved" + string(id) + "@example.org" })
	case 3:
		w.edit(id, func(p *profile.Profile) { p.HasPassword, p.HadPassword = true, true })
	case 4:
		w.edit(id, func(p *profile.Profile) { p.Status = profile.Dropped })
	case 5:
		w.edit(id, func(p *profile.Profile) { p.Disabled = true })
	case 6:
		w.edit(id, func(p *profile.Profile) { p.DoNotEmail = true })
	}
}

// TestA23NobodyIsLost plays a mailing through everything that can go wrong, many
// times over, and holds it against H15 and A23 after every step. With events on
// nobody is mailed twice; without them only those whose mail was in doubt are.
func TestA23NobodyIsLost(t *testing.T) {
	ends := map[mailing.State]int{}
	var mu sync.Mutex
	t.Run("seeds", func(t *testing.T) {
		for seed := range *seeds {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				end := playMailing(t, seed)
				mu.Lock()
				ends[end]++
				mu.Unlock()
			})
		}
	})
	if *seeds >= 60 && (ends[mailing.Done] < 20 || ends[mailing.Cancelled] < 3) {
		t.Errorf("the dice favour one end: %v", ends)
	}
}

func playMailing(t *testing.T, seed uint64) mailing.State {
	w := newWorld(t, seed)
	ctx := context.Background()
	people := 40 + w.rng.IntN(160)
	w.crowd(people)
	w.office.silent = seed%4 == 3
	w.office.account.Rate = []float64{0, 12, 40, 150}[w.rng.IntN(4)]
	if w.rng.IntN(4) == 0 {
		w.office.account.DailyQuota = float64(people) // 80 % of it is less than the mails
	}
	filter := []profile.Filter{{}, {Login: profile.LoginNoPassword}, {Scope: profile.ScopeMembers}}[w.rng.IntN(3)]
	if err := w.sweep.Run(ctx); err != nil {
		t.Fatal(err)
	}
	id := w.compose(filter).ID

	w.office.fails, w.lose = 0.3*w.rng.Float64(), 0.2*w.rng.Float64()
	deadly := w.rng.IntN(12) + 3
	w.db.meddle = w.meddle
	arm := func() {
		switch w.rng.IntN(deadly) {
		case 0:
			w.db.dieAt, w.db.after = 1+w.rng.IntN(8), w.rng.IntN(2) == 0
		case 1:
			w.office.dieAt, w.office.after = 1+w.rng.IntN(3), w.rng.IntN(2) == 0
		}
	}
	for range 400 {
		m := w.mailing(id)
		if !m.DoneAt.IsZero() {
			break
		}
		w.office.post(false) // what is late is not so late that Grace ends
		switch dice := w.rng.IntN(20); {
		case dice < 8 && len(w.queue) > 0:
			i := w.rng.IntN(len(w.queue))
			bell := w.queue[i]
			if w.rng.IntN(4) > 0 { // else it comes once more
				w.queue = append(w.queue[:i:i], w.queue[i+1:]...)
			}
			arm()
			err, died := w.process(func() error { return w.work(bell) })
			if died || err != nil {
				w.queue = append(w.queue, bell) // the queue gives it again
			}
		case dice < 11:
			arm()
			w.process(func() error { return w.sweep.Run(ctx) })
		case dice < 14:
			w.clock = w.clock.Add(time.Duration(w.rng.Int64N(int64(3 * time.Minute))))
		case dice < 17:
			w.disturb(profile.ID(fmt.Sprint(1000 + w.rng.IntN(people))))
		default:
			w.staff(id, arm)
		}
		w.check(id)
	}

	w.db.meddle = nil
	// Calm: nothing fails any more, and what is not done must become so.
	w.office.fails, w.lose, w.office.account.DailyQuota = 0, 0, 0
	for w.mailing(id).SentAt.IsZero() {
		a := w.freeze(id)
		if a.Mails == 0 {
			t.Fatal("nobody to mail: the test tests nothing")
		}
		if _, err := w.desk.Send(ctx, org, staff, id, a.Version, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if w.mailing(id).State == mailing.Paused {
		if _, err := w.desk.Resume(ctx, org, staff, id); err != nil {
			t.Fatal(err)
		}
	}
	m := w.settle(id)
	w.reckon(m)
	return m.State
}

// staff does what staff would at some moment.
func (w *world) staff(id string, arm func()) {
	ctx := context.Background()
	arm()
	w.process(func() (err error) {
		m := w.mailing(id)
		switch {
		case m.SentAt.IsZero() && m.Freeze == nil:
			_, err = w.desk.Freeze(ctx, org, staff, id)
		case m.SentAt.IsZero() && w.rng.IntN(5) == 0: // an edit during the freeze
			subject := fmt.Sprintf("Your login, take %d", m.Version)
			_, err = w.desk.Edit(ctx, org, staff, id, m.Version, mailing.Edit{Subject: &subject})
		case m.SentAt.IsZero() && m.Freeze.Ready:
			_, err = w.desk.Send(ctx, org, staff, id, m.Freeze.Generation, time.Time{})
		case m.State == mailing.Paused:
			_, err = w.desk.Resume(ctx, org, staff, id)
		case m.State == mailing.Sending && w.rng.IntN(3) == 0:
			_, err = w.desk.Pause(ctx, org, staff, id)
		case m.State == mailing.Sending && w.rng.IntN(4) == 0:
			_, err = w.desk.ResendFailed(ctx, org, staff, id)
		case m.State == mailing.Sending && w.rng.IntN(20) == 0:
			_, err = w.desk.Cancel(ctx, org, staff, id)
		}
		if err != nil && problem.As(err).Kind == problem.Internal {
			w.t.Fatal(err)
		}
		return err
	})
}

// reckon holds the report of an ended mailing against what the mail service
// really did.
func (w *world) reckon(m *mailing.Mailing) {
	w.t.Helper()
	seen := map[profile.ID]bool{}
	for _, r := range w.recipients(m.ID) {
		if seen[r.Profile] && r.Reason != mailing.TwiceListed {
			w.t.Errorf("profile %s stands twice in the list", r.Profile)
		}
		if r.Reason != mailing.TwiceListed {
			seen[r.Profile] = true
		}
		taken, unclear := w.office.taken[r.Profile], w.office.unclear[r.Profile]
		switch r.Outcome {
		case mailing.Sent, mailing.Delivered, mailing.Bounced, mailing.Complained:
			if taken == 0 {
				w.t.Errorf("profile %s is %s and was never mailed", r.Profile, r.Outcome)
			}
		case mailing.Skipped:
			if taken != 0 && r.Reason != mailing.TwiceListed {
				w.t.Errorf("profile %s was skipped (%s) and mailed %d times", r.Profile, r.Reason, taken)
			}
		case mailing.Failed:
			if taken != 0 && unclear == 0 {
				w.t.Errorf("profile %s failed (%s) and was mailed", r.Profile, r.Reason)
			}
		default:
			w.t.Errorf("profile %s is %s at the end", r.Profile, r.Outcome)
		}
		if taken > 1 && !w.office.silent {
			w.t.Errorf("profile %s was mailed %d times although events told of every mail", r.Profile, taken)
		}
	}
	if len(seen) == 0 {
		w.t.Error("an empty audience")
	}
	if got := m.Freeze.Profiles; got < len(seen) {
		w.t.Errorf("%d of %d listed", len(seen), got)
	}
}
