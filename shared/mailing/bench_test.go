package mailing_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message/sanitizer"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

// sink takes every mail at once.
type sink struct{}

func (sink) Send(_ context.Context, call mailing.Call) []mailing.Receipt {
	receipts := make([]mailing.Receipt, len(call.Mails))
	for i := range receipts {
		receipts[i].MessageID = "0100019abcdef012-0123abcd-4567-89ab-cdef-0123456789ab-000000"
	}
	return receipts
}

// pool works bells, several at once, as the queue does.
type pool struct {
	wait  sync.WaitGroup
	slots chan struct{}
	work  func(mailing.Bell) error
	fail  func(error)
}

func (p *pool) Ring(_ context.Context, bells ...mailing.Bell) error {
	for _, b := range bells {
		p.wait.Go(func() {
			p.slots <- struct{}{}
			defer func() { <-p.slots }()
			if err := p.work(b); err != nil {
				p.fail(err)
			}
		})
	}
	return nil
}

// BenchmarkDelivery freezes and sends to 20,000 recipients on the embedded
// store, fsync on, with a mail service that answers at once.
func BenchmarkDelivery(b *testing.B) {
	const people = 20_000
	db, err := embedded.Open(filepath.Join(b.TempDir(), "x.db"), embedded.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	s := &store.Store{DB: db}
	ms := store.For[mailing.Tx](s)
	ctx := context.Background()
	settings := organization.Defaults(org, "Riverside Association")
	settings.SenderAddress, settings.PortalAddress = "members@example.org", "https://members.example.org"
	for i := 0; i < people; i += 8 {
		err := s.Update(ctx, func(tx *store.Tx) error {
			tx.PutOrganization(&settings)
			for k := range 8 {
				p := person(fmt.Sprint(100000+i+k), fmt.Sprintf("member%d@example.org", 100000+i+k))
				p.Organization, p.Type, p.Mailbox, p.Version = org, profile.Individual, p.Email, 1
				p.CreatedAt, p.UpdatedAt = begin, begin
				if err := p.EndLogins(rand.Reader, begin); err != nil {
					return err
				}
				if err := tx.PutProfile(p); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	p := &pool{slots: make(chan struct{}, 16), fail: func(err error) { b.Error(err) }}
	freezing := &mailing.Freezing{Store: ms, Bells: p, Now: time.Now, Rand: rand.Reader, Timing: timing, Log: log}
	delivery := &mailing.Delivery{
		Store: ms, Mailer: sink{}, Bells: p, Now: time.Now, Rand: rand.Reader, Timing: timing, Log: log,
		Sleep: func(_ context.Context, d time.Duration) { time.Sleep(d) },
	}
	desk := &mailing.Desk{Store: ms, Bells: p, Now: time.Now, NewID: store.NewID, Sanitize: sanitizer.HTML, Timing: timing, Log: log}
	p.work = func(bell mailing.Bell) error {
		if bell.Kind == mailing.RingFreeze {
			return freezing.Ring(ctx, bell)
		}
		return delivery.Ring(ctx, bell)
	}
	subject, html := "Your login, [[FIRSTNAME]]", "<p>Dear [[NAME]],</p><p>[[PORTALLOGINLINK]]</p><p>Kind regards</p>"
	var froze, sent time.Duration
	for b.Loop() {
		v, err := desk.Create(ctx, org, staff, "", mailing.Edit{Subject: &subject, HTML: &html, Audience: &profile.Filter{}})
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if _, err := desk.Freeze(ctx, org, staff, v.ID); err != nil {
			b.Fatal(err)
		}
		p.wait.Wait()
		froze += time.Since(start)
		start = time.Now()
		a, err := desk.Audience(ctx, org, v.ID)
		if err != nil || a.Mails != people {
			b.Fatalf("%+v %v", a, err)
		}
		if _, err := desk.Send(ctx, org, staff, v.ID, a.Version, time.Time{}); err != nil {
			b.Fatal(err)
		}
		p.wait.Wait()
		sent += time.Since(start)
		m, err := ms.Mailing(ctx, org, v.ID)
		if err != nil {
			b.Fatal(err)
		}
		report, err := desk.Report(ctx, m)
		if err != nil || report.Outcomes[mailing.Sent] != people {
			b.Fatalf("%+v %v", report, err)
		}
	}
	n := float64(b.N) * people
	b.ReportMetric(n/(froze+sent).Seconds(), "recipients/s")
	b.ReportMetric(n/froze.Seconds(), "frozen/s")
	b.ReportMetric(n/sent.Seconds(), "sent/s")
}
