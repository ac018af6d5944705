package mailing_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

func TestPace(t *testing.T) {
	for _, test := range []struct {
		pace            mailing.Pace
		rate            float64
		lanes, perBatch int // of mails of 20 kB
	}{
		{mailing.Pace{}, 0, 16, 45},
		{mailing.Pace{Rate: 1}, 0.45, 1, 1},
		{mailing.Pace{Rate: 14}, 10.6, 1, 10},
		{mailing.Pace{Rate: 50}, 43, 1, 43},
		{mailing.Pace{Rate: 200}, 178, 4, 45},
		{mailing.Pace{Rate: 5000}, 4498, 16, 45},
		{mailing.Pace{Rate: 200, Factor: 0.05}, 8.9, 1, 8},
	} {
		if got := test.pace.BulkRate(); got < test.rate-0.001 || got > test.rate+0.001 {
			t.Errorf("%+v: rate %v, want %v", test.pace, got, test.rate)
		}
		if got := test.pace.Lanes(); got != test.lanes {
			t.Errorf("%+v: %d lanes, want %d", test.pace, got, test.lanes)
		}
		if got := test.pace.PerBatch(20_000); got != test.perBatch {
			t.Errorf("%+v: %d in a batch, want %d", test.pace, got, test.perBatch)
		}
	}
	open := mailing.Pace{}
	if got := open.PerBatch(100); got != mailing.MaxBatch {
		t.Errorf("%d small mails in a batch", got)
	}
	if got := open.PerBatch(2_000_000); got != 1 {
		t.Errorf("%d huge mails in a batch", got)
	}
	if got := (&mailing.Pace{DailyQuota: 1000, SentLastDay: 500}).BulkQuotaLeft(); got != 300 {
		t.Errorf("%v left of the quota", got)
	}
	if got := (&mailing.Pace{DailyQuota: -1}).BulkQuotaLeft(); got != -1 {
		t.Errorf("%v left without a quota", got)
	}
}

// TestPaceRecovers: a lowered pace rises by 5 % for every clean minute.
func TestPaceRecovers(t *testing.T) {
	p := mailing.Pace{Factor: 0.9, LoweredAt: begin, ReadAt: begin}
	account := mailing.Account{Rate: 100, Enabled: true}
	for i, want := range []float64{0.9, 0.9, 0.95, 0.95, 1} {
		p.Read(account, begin.Add(time.Duration(i)*31*time.Second))
		if p.Factor < want-0.001 || p.Factor > want+0.001 {
			t.Errorf("after %d half minutes: %v, want %v", i, p.Factor, want)
		}
	}
}

// TestMailingKeepsThePace measures the mails of every second.
func TestMailingKeepsThePace(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{14, 60, 200} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			w := newWorld(t, 1)
			w.delivery.Budget = 2 * time.Second // lanes often end in the middle of a wait: no reserved time may be lost
			w.office.silent = true
			var all []*profile.Profile
			for i := range 600 {
				all = append(all, person(fmt.Sprint(1000+i), fmt.Sprintf("q%d@example.org", i)))
			}
			w.put(all...)
			w.office.account = mailing.Account{Enabled: true, Rate: rate}
			w.run()
			id := w.send(profile.Filter{})
			start := w.clock
			w.settle(id)
			bulk := (&mailing.Pace{Rate: rate}).BulkRate()
			for _, m := range w.office.sent { // in no window more than the rate allows, and one reservation
				n := 0
				for _, o := range w.office.sent {
					if !o.At.Before(m.At) && o.At.Sub(m.At) < 5*time.Second {
						n++
					}
				}
				if float64(n) > 5*bulk+bulk+mailing.MaxBatch {
					t.Fatalf("%d mails within 5 s at %v/s", n, bulk)
				}
			}
			last := w.office.sent[len(w.office.sent)-1].At
			if took, ideal := last.Sub(start).Seconds(), 600/bulk; took > 1.25*ideal+10 {
				t.Errorf("took %.0f s, %.0f s would do", took, ideal)
			}
		})
	}
}

// TestSingleMailsPassBy: a mailing that waits for its pace holds nobody up.
func TestSingleMailsPassBy(t *testing.T) {
	w := newWorld(t, 1)
	w.office.account = mailing.Account{Enabled: true, Rate: 1}
	w.run()
	w.crowd(60)
	w.put(person("solo", "solo@example.org"))
	w.send(profile.Filter{})
	sleeps := 0
	w.delivery.Sleep = func(_ context.Context, d time.Duration) {
		w.clock = w.clock.Add(d)
		if sleeps++; sleeps == 3 { // in the middle of the mailing's run
			w.delivery.Sleep = func(context.Context, time.Duration) { t.Error("a single mail waits") }
			id := w.reset("solo")
			bell := w.queue[len(w.queue)-1]
			if err := w.work(bell); err != nil {
				t.Fatal(err)
			}
			if o := w.single(id); o != mailing.Sent {
				t.Errorf("the single mail is %s", o)
			}
			w.delivery.Sleep = func(_ context.Context, d time.Duration) { w.clock = w.clock.Add(d) }
		}
	}
	w.drain()
	if sleeps < 3 {
		t.Error("the mailing never waited")
	}
}

// TestNoticesOfAnImportStandBehind: thousands of them are due, and one reset
// whose bell was lost; the reset goes first, and they keep the pace (H5b, H17).
func TestNoticesOfAnImportStandBehind(t *testing.T) {
	const notices, rate = 2000, 50
	w := newWorld(t, 1)
	w.office.silent = true
	w.put(person("solo", "solo@example.org"), person("1", "a@example.org"))
	w.office.account = mailing.Account{Enabled: true, Rate: rate}
	w.run()
	for part := range slices.Chunk(make([]struct{}, notices), 50) {
		w.update(func(tx *store.Tx) error {
			for range part {
				b := mailing.NewNotice(w.desk.NewID(w.clock), w.profile("1"), []message.Change{message.EmailChanged}, message.ByStaff, staff, w.clock, "")
				b.Single.Behind = true
				tx.PutBatch(b, w.clock)
			}
			return nil
		})
	}
	reset := w.reset("solo")
	w.queue = nil // lost
	w.clock = w.clock.Add(2 * time.Minute)
	w.run()
	var single, bulk []mailing.Bell
	for _, b := range w.queue {
		if b.Behind {
			bulk = append(bulk, b)
		} else {
			single = append(single, b)
		}
	}
	if len(single) != 1 || single[0].ID != reset || len(bulk) == 0 || len(bulk) > notices/2 {
		t.Fatalf("rung for %d in the single queue and %d in the bulk queue", len(single), len(bulk))
	}
	sleep := w.delivery.Sleep
	w.delivery.Sleep = func(context.Context, time.Duration) { t.Error("the reset waits") }
	if err := w.work(single[0]); err != nil || w.single(reset) != mailing.Sent || len(w.office.sent) != 1 {
		t.Fatalf("the reset is %s, %d mails sent, %v", w.single(reset), len(w.office.sent), err)
	}
	w.delivery.Sleep, w.queue = sleep, bulk
	start := w.clock
	for range 100 {
		if w.drain(); len(w.office.sent) == 1+notices {
			break
		}
		w.clock = w.clock.Add(timing.Again)
		w.run()
	}
	if len(w.office.sent) != 1+notices {
		t.Fatalf("%d mails sent of %d", len(w.office.sent), 1+notices)
	}
	bulkRate := (&mailing.Pace{Rate: rate}).BulkRate()
	if took := w.clock.Sub(start).Seconds(); took < (notices-1)/bulkRate {
		t.Errorf("%d notices in %.0f s at %v a second", notices, took, bulkRate)
	}
}

// TestSingleMailsAreCounted: they never wait, and what they use of the day is
// not there for mailings (H17).
func TestSingleMailsAreCounted(t *testing.T) {
	w := newWorld(t, 1)
	w.put(person("1", "a@example.org"))
	w.office.account = mailing.Account{Enabled: true, Rate: 1, DailyQuota: 100}
	w.run()
	w.delivery.Sleep = func(context.Context, time.Duration) { t.Error("a single mail waits") }
	for _, passed := range []time.Duration{0, 100 * time.Millisecond, time.Second} {
		w.clock = w.clock.Add(passed)
		w.reset("1")
		w.drain()
	}
	if p, err := w.store.Pace(context.Background()); err != nil || p.SentLastDay != 3 || !p.Until.IsZero() {
		t.Errorf("%+v, %v", p, err)
	}
}
