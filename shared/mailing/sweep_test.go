package mailing_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

func (w *world) run() {
	w.t.Helper()
	if err := w.sweep.Run(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

func TestScheduled(t *testing.T) {
	ctx := context.Background()
	schedule := func(t *testing.T) (*world, string) {
		w := newWorld(t, 1)
		w.put(person("1", "a@example.org"))
		id := w.compose(profile.Filter{}).ID
		a := w.freeze(id)
		v, err := w.desk.Send(ctx, org, staff, id, a.Version, w.clock.Add(time.Hour))
		if err != nil || v.State != mailing.Scheduled || !v.SentAt.IsZero() {
			t.Fatalf("%+v %v", v, err)
		}
		return w, id
	}
	t.Run("freezes anew and goes", func(t *testing.T) {
		w, id := schedule(t)
		w.put(person("2", "b@example.org")) // joined since
		w.clock = w.clock.Add(59 * time.Minute)
		w.run()
		if w.drain(); w.office.calls != 0 {
			t.Fatal("sent too early")
		}
		w.clock = w.clock.Add(2 * time.Minute)
		m := w.settle(id)
		if len(w.office.sent) != 2 || m.State != mailing.Done || m.SentBy != staff {
			t.Fatalf("%d mails, %+v", len(w.office.sent), m)
		}
	})
	t.Run("edited, it goes as edited", func(t *testing.T) {
		w, id := schedule(t)
		if _, err := w.desk.Edit(ctx, org, staff, id, 1, mailing.Edit{Subject: text("")}); problem.CodeOf(err) != "message_incomplete" {
			t.Fatal(err)
		}
		if _, err := w.desk.Edit(ctx, org, staff, id, 1, mailing.Edit{Subject: text("Edited")}); err != nil {
			t.Fatal(err)
		}
		w.clock = w.clock.Add(61 * time.Minute)
		w.settle(id)
		if len(w.office.sent) != 1 || w.office.sent[0].Subject != "Edited" {
			t.Fatal(w.office.sent)
		}
	})
	t.Run("missed by far, it asks again", func(t *testing.T) {
		w, id := schedule(t)
		w.clock = w.clock.Add(time.Hour + mailing.Missed + time.Second)
		w.run()
		w.drain()
		if m := w.mailing(id); m.State != mailing.Draft || m.PauseReason != "schedule_missed" || w.office.calls != 0 {
			t.Fatalf("%+v", m)
		}
	})
	t.Run("cancelled, it is a draft again", func(t *testing.T) {
		w, id := schedule(t)
		if _, err := w.desk.Cancel(ctx, org, staff, id); err != nil {
			t.Fatal(err)
		}
		w.clock = w.clock.Add(2 * time.Hour)
		w.run()
		w.drain()
		if m := w.mailing(id); m.State != mailing.Draft || w.office.calls != 0 {
			t.Fatalf("%+v", m)
		}
	})
	t.Run("killed at every step", func(t *testing.T) {
		for step := 1; step < 12; step++ {
			w, id := schedule(t)
			w.clock = w.clock.Add(61 * time.Minute)
			w.process(func() error {
				w.db.dieAt, w.db.after = step, step%2 == 0
				w.run()
				w.drain()
				w.run()
				w.drain()
				return nil
			})
			m := w.settle(id)
			w.reckon(m)
			if m.State != mailing.Done {
				t.Fatal(m.State)
			}
		}
	})
}

// TestQuotaParks: at 80 % of the day a mailing waits, single mails go on, and
// it wakes by itself when the day has room.
func TestQuotaParks(t *testing.T) {
	w := newWorld(t, 1)
	w.office.silent = true
	var all []*profile.Profile
	for i := range 100 {
		all = append(all, person(fmt.Sprint(100+i), fmt.Sprintf("q%d@example.org", i)))
	}
	w.put(all...)
	w.office.account = mailing.Account{Enabled: true, Rate: 12, DailyQuota: 100}
	w.run()
	id := w.send(profile.Filter{})
	w.drain()
	for range 20 {
		w.clock = w.clock.Add(time.Minute)
		w.run()
		w.drain()
		w.check(id)
	}
	if m := w.mailing(id); m.State != mailing.WaitingQuota || m.PauseReason != "daily_quota" {
		t.Fatalf("%s (%s)", m.State, m.PauseReason)
	}
	if n := len(w.office.sent); n > 80 || n < 70 {
		t.Fatalf("%d of a quota of 100 went", n)
	}
	single := w.reset("100")
	w.drain()
	if o := w.single(single); o != mailing.Sent {
		t.Fatalf("a single mail is %s while a mailing waits", o)
	}
	w.clock = w.clock.Add(24 * time.Hour)
	w.office.account.SentLastDay = 0
	if m := w.settle(id); m.State != mailing.Done {
		t.Fatal(m.State)
	}
}

// TestServiceSaysQuota: the service itself says that the day is used up, though
// its account reads otherwise. The mailing must not ask every second.
func TestServiceSaysQuota(t *testing.T) {
	w := newWorld(t, 1)
	w.put(person("1", "a@example.org"))
	w.office.account.DailyQuota = 1000
	w.run()
	id := w.send(profile.Filter{})
	w.office.fails, w.office.faults = 1, []mailing.Fault{mailing.QuotaUsed}
	for range 60 {
		w.run()
		w.drain()
		w.check(id)
		w.clock = w.clock.Add(time.Second)
	}
	if w.office.calls < 1 || w.office.calls > 5 {
		t.Errorf("%d calls in a minute", w.office.calls)
	}
	w.office.fails = 0
	w.settle(id)
}

// TestSetUpFault: a mailing whose sender is not verified pauses with the
// reason, loses nobody, and goes on when staff resume it.
func TestSetUpFault(t *testing.T) {
	w := newWorld(t, 1)
	w.crowd(40)
	id := w.send(profile.Filter{})
	w.office.fails, w.office.faults = 0.9, []mailing.Fault{mailing.Misconfigured}
	var said strings.Builder
	quiet := w.delivery.Log
	w.delivery.Log = slog.New(slog.NewTextHandler(&said, nil))
	w.drain()
	w.delivery.Log = quiet
	m := w.mailing(id)
	if !strings.Contains(said.String(), `level=ERROR msg="nobody can be mailed" reason=`) || strings.Contains(said.String(), "@") {
		t.Errorf("the log says %q", said.String())
	}
	if m.State != mailing.Paused || m.PauseReason == "" {
		t.Fatalf("%s (%s)", m.State, m.PauseReason)
	}
	w.check(id)
	w.office.fails = 0
	calls := w.office.calls
	for range 10 {
		w.clock = w.clock.Add(5 * time.Minute)
		w.run()
		w.drain()
	}
	if w.office.calls != calls {
		t.Error("a paused mailing sends")
	}
	if _, err := w.desk.Resume(context.Background(), org, staff, id); err != nil {
		t.Fatal(err)
	}
	m = w.settle(id)
	w.reckon(m)
	report, err := w.desk.Report(context.Background(), m)
	if err != nil || report.Outcomes[mailing.Failed] != 0 {
		t.Errorf("%v %v", report.Outcomes, err)
	}
}

// TestAccountStopped: an account that may not send pauses mailings before the first call.
func TestAccountStopped(t *testing.T) {
	w := newWorld(t, 1)
	w.put(person("1", "a@example.org"))
	w.office.account = mailing.Account{Enabled: false, Reason: "under_review"}
	w.run()
	id := w.send(profile.Filter{})
	w.drain()
	if m := w.mailing(id); m.State != mailing.Paused || m.PauseReason != "under_review" || w.office.calls != 0 {
		t.Fatalf("%s (%s), %d calls", m.State, m.PauseReason, w.office.calls)
	}
}

// TestSweepIsIdempotent: sweeping again and again at one moment rings nothing
// twice and changes nothing.
func TestSweepIsIdempotent(t *testing.T) {
	w := newWorld(t, 1)
	w.put(person("1", "a@example.org"))
	id := w.send(profile.Filter{})
	w.queue = nil // the bells are lost
	w.clock = w.clock.Add(2 * time.Minute)
	w.run()
	rung := len(w.queue)
	if rung == 0 {
		t.Fatal("lost bells are not rung again")
	}
	commits := w.db.commits
	for range 5 {
		w.run()
	}
	if len(w.queue) != rung || w.db.commits != commits {
		t.Errorf("%d bells became %d, with %d commits", rung, len(w.queue), w.db.commits-commits)
	}
	w.settle(id)
	if len(w.office.sent) != 1 {
		t.Errorf("%d mails", len(w.office.sent))
	}
}

// TestPauseMeansTheNextBatch: throttled for minutes, a mailing still obeys at once.
func TestPauseMeansTheNextBatch(t *testing.T) {
	w := newWorld(t, 1)
	w.crowd(30)
	id := w.send(profile.Filter{})
	w.office.fails, w.office.faults = 0.8, []mailing.Fault{mailing.Throttled}
	slept := 0
	w.delivery.Sleep = func(_ context.Context, d time.Duration) {
		w.clock = w.clock.Add(d)
		if slept++; slept == 3 {
			if _, err := w.desk.Pause(context.Background(), org, staff, id); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.drain()
	if slept > 4 {
		t.Errorf("slept %d times more after the pause", slept-3)
	}
	w.check(id)
	w.office.fails = 0
	if _, err := w.desk.Resume(context.Background(), org, staff, id); err != nil {
		t.Fatal(err)
	}
	m := w.settle(id)
	w.reckon(m)
	if pace, err := w.store.Pace(context.Background()); err != nil || pace.Factor == 0 {
		t.Errorf("throttling did not lower the pace: %+v %v", pace, err)
	}
}

// TestCancelPassesWhatIsGone: a batch that is not there any more keeps no
// other from being counted.
func TestCancelPassesWhatIsGone(t *testing.T) {
	w := newWorld(t, 1)
	ctx := context.Background()
	var all []*profile.Profile
	for i := range 60 {
		all = append(all, person(fmt.Sprint(100+i), fmt.Sprintf("q%d@example.org", i)))
	}
	w.put(all...)
	w.office.account = mailing.Account{Enabled: true, Rate: 14}
	w.run()
	id := w.send(profile.Filter{})
	w.queue = nil // before the lanes begin
	m := w.mailing(id)
	items, _, err := w.db.Query(ctx, store.Range{Table: store.Mailings, Partition: fmt.Sprintf("%s#mailing#%s#%d#00", org, id, m.Generation), Prefix: "batch#"})
	if err != nil || len(items) != 6 {
		t.Fatalf("%d batches, %v", len(items), err)
	}
	if err := w.db.Commit(ctx, nil, []store.Write{{Item: store.Item{Key: items[2].Key}, Delete: true}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk.Cancel(ctx, org, staff, id); err != nil {
		t.Fatal(err)
	}
	w.drain()
	lanes, err := w.store.Lanes(ctx, org, id, m.Generation)
	if err != nil || len(lanes) != 1 || !lanes[0].Finished || lanes[0].Tally[mailing.Skipped] != 50 || lanes[0].Tally[mailing.Pending] != 10 {
		t.Errorf("%+v, %v", lanes[0], err)
	}
}

func TestSweepCountsTheUncertain(t *testing.T) {
	w := newWorld(t, 1)
	w.put(person("1", "a@example.org"), person("2", "b@example.org"))
	counted := -1
	w.sweep.Count = func(name string, n int) {
		if name != mailing.UncertainEntries {
			t.Errorf("counted %s", name)
		}
		counted = n
	}
	w.office.fails, w.office.faults = 1, []mailing.Fault{mailing.Unknown}
	id := w.send(profile.Filter{})
	w.drain()
	w.clock = w.clock.Add(2 * time.Second)
	if w.run(); counted != 2 {
		t.Fatalf("%d are uncertain, want 2", counted)
	}
	w.office.fails, w.office.faults = 0, nil
	w.settle(id)
	if w.run(); counted != 0 {
		t.Errorf("%d are uncertain once all is done", counted)
	}
}

// meanwhile lets something happen while the first call is under way.
type meanwhile struct {
	mailing.Mailer
	do func()
}

func (m *meanwhile) Send(ctx context.Context, call mailing.Call) []mailing.Receipt {
	receipts := m.Mailer.Send(ctx, call)
	if do := m.do; do != nil {
		m.do = nil
		do()
	}
	return receipts
}

// TestTwoAtOneBatch: whoever works another entry of a batch at the same time
// takes nobody's outcome away, or that entry would be mailed once more (H15).
func TestTwoAtOneBatch(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, 1)
	w.office.silent = true // no event tells what became of a mail
	w.put(person("1", "a@example.org"), person("2", "b@example.org"))
	w.office.fails, w.office.faults = 1, []mailing.Fault{mailing.Unknown}
	id := w.send(profile.Filter{})
	w.drain()
	w.office.fails, w.office.faults = 0, nil
	before := len(w.office.sent)
	w.clock = w.clock.Add(timing.Grace + time.Second)
	bell := mailing.Bell{V: 1, Kind: mailing.RingBatch, Organization: org, Mailing: id, Generation: 1}
	w.delivery.Mailer = &meanwhile{Mailer: w.office, do: func() {
		if err := w.delivery.Ring(ctx, bell); err != nil {
			t.Error(err)
		}
	}}
	if err := w.delivery.Ring(ctx, bell); err != nil {
		t.Fatal(err)
	}
	for _, p := range []profile.ID{"1", "2"} {
		if got, reason := w.outcome(id, p); got != mailing.Sent {
			t.Errorf("profile %s is %s (%s)", p, got, reason)
		}
	}
	w.settle(id)
	if again := len(w.office.sent) - before; again != 2 {
		t.Errorf("%d mails went once more, not one to each", again)
	}
}
