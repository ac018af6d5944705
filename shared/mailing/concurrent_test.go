package mailing_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message/sanitizer"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

// crowdedOffice takes mails from many deliverers at once and tells at once what
// became of each, twice, before it answers the call.
type crowdedOffice struct {
	mu       sync.Mutex
	feedback *mailing.Feedback
	sent     map[string]int // by tag
	fail     error
}

func (o *crowdedOffice) Send(ctx context.Context, call mailing.Call) []mailing.Receipt {
	receipts := make([]mailing.Receipt, len(call.Mails))
	var events []mailing.Event
	o.mu.Lock()
	for i, m := range call.Mails {
		o.sent[m.Tag]++
		receipts[i].MessageID = "ses-" + m.Tag
		for range 2 {
			events = append(events, mailing.Event{Organization: org, Tag: m.Tag, Type: mailing.EventDelivered})
		}
	}
	o.mu.Unlock()
	for _, err := range o.feedback.RecordAll(ctx, events) {
		if err != nil {
			o.mu.Lock()
			o.fail = err
			o.mu.Unlock()
		}
	}
	return receipts
}

func (o *crowdedOffice) Account(context.Context) (mailing.Account, error) {
	return mailing.Account{Enabled: true}, nil
}

// TestA23ManyAtOnce lets eight deliverers work every bell at the same time, with
// sweeps and events in between: each mail goes once, and nobody is lost.
func TestA23ManyAtOnce(t *testing.T) {
	w := newWorld(t, 1)
	w.crowd(400)
	plain := store.For[mailing.Tx](&store.Store{DB: w.db.DB}) // the one that dies is for one goroutine
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	quick := mailing.Timing{Lease: time.Minute, Grace: time.Minute, Budget: 30 * time.Second, Again: 20 * time.Millisecond}
	office := &crowdedOffice{feedback: &mailing.Feedback{Store: plain, Now: time.Now, Log: log}, sent: map[string]int{}}
	bells := make(chan mailing.Bell, 10_000)
	ring := ringer(func(b mailing.Bell) {
		bells <- b
		bells <- b
	})
	freezing := &mailing.Freezing{Store: plain, Bells: ring, Now: time.Now, Rand: rand.Reader, Timing: quick, Log: log}
	delivery := &mailing.Delivery{
		Store: plain, Mailer: office, Bells: ring, Now: time.Now, Rand: rand.Reader, Timing: quick, Log: log,
		Sleep: func(_ context.Context, d time.Duration) { time.Sleep(d) },
	}
	sweep := &mailing.Sweep{Store: plain, Accounts: office, Bells: ring, Now: time.Now, Timing: quick, Log: log}
	w.desk = &mailing.Desk{Store: plain, Bells: ring, Now: time.Now, NewID: w.desk.NewID, Sanitize: sanitizer.HTML, Timing: quick, Log: log}
	ctx, stop := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case b := <-bells:
					var err error
					if b.Kind == mailing.RingFreeze {
						err = freezing.Ring(ctx, b)
					} else {
						err = delivery.Ring(ctx, b)
					}
					if err != nil && !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
				}
			}
		})
	}
	defer workers.Wait()
	defer stop()
	id := w.compose(profile.Filter{}).ID
	if _, err := w.desk.Freeze(ctx, org, staff, id); err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(20 * time.Second)
	for sent := false; ; time.Sleep(5 * time.Millisecond) {
		if err := sweep.Run(ctx); err != nil {
			t.Fatal(err)
		}
		m := w.mailing(id)
		if !sent && m.Freeze.Ready {
			if _, err := w.desk.Send(ctx, org, staff, id, m.Generation, time.Time{}); err != nil {
				t.Fatal(err)
			}
			sent = true
		}
		if m.State == mailing.Done {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("not done: %+v", m)
		}
	}
	stop()
	workers.Wait()
	w.check(id)
	report, err := w.desk.Report(context.Background(), w.mailing(id))
	if err != nil || report.Outcomes[mailing.Delivered] == 0 || report.Outcomes[mailing.Delivered]+report.Outcomes[mailing.Skipped] != report.Profiles {
		t.Errorf("%+v %v", report, err)
	}
	if len(office.sent) != report.Mails || office.fail != nil {
		t.Errorf("%d mails of %d, %v", len(office.sent), report.Mails, office.fail)
	}
	for tag, n := range office.sent {
		if n != 1 {
			t.Errorf("%s went %d times", tag, n)
		}
	}
}

type ringer func(mailing.Bell)

func (r ringer) Ring(_ context.Context, bells ...mailing.Bell) error {
	for _, b := range bells {
		r(b)
	}
	return nil
}
