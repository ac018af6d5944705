package mailing

import (
	"context"
	"log/slog"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/username"
)

// EventType is what the mail service tells of a mail that it took.
type EventType string

const (
	EventDelivered EventType = "delivered"
	EventBounced   EventType = "bounced"
	EventComplaint EventType = "complained"
	EventRejected  EventType = "rejected"    // a virus, or content it will not send
	EventUnmade    EventType = "render_fail" // it could not make the mail
	EventDelayed   EventType = "delayed"
	EventAccepted  EventType = "accepted"
)

// Event is one, found by the tag that went with the mail. Events come late,
// more than once and in any order, before the outcome of the call, too.
type Event struct {
	Organization string
	Tag          string
	Type         EventType
	// Permanent bounces mark the profile; OnList says that the service did not
	// even try, because of its suppression list.
	Permanent bool
	OnList    bool
}

// Feedback turns events into outcomes.
type Feedback struct {
	Store Store
	Now   func() time.Time
	Log   *slog.Logger
}

// mark is an address that proved bad.
type mark struct {
	profile profile.ID
	address string
	reason  string
}

// Record takes events in; it may be given the same again.
func (f *Feedback) Record(ctx context.Context, event Event) error {
	name, entry, ok := ParseTag(event.Organization, event.Tag)
	if !ok {
		f.Log.WarnContext(ctx, "event of a mail that is not ours", "type", event.Type)
		return nil
	}
	outcome, reason := event.outcome()
	if outcome == "" {
		return nil
	}
	var marks []mark
	err := f.Store.Update(ctx, func(tx Tx) error {
		marks = nil
		b, err := tx.Batch(name)
		if err != nil || b == nil || entry >= len(b.Entries) {
			return err // expired, or a tag that somebody made up
		}
		before := b.Tally()
		e := &b.Entries[entry]
		for i := range e.Recipients {
			r := &e.Recipients[i]
			if r.Outcome == Skipped {
				continue
			}
			if event.marks() {
				marks = append(marks, mark{r.Profile, e.Address, reason})
			}
			if rank[outcome] > rank[r.Outcome] {
				r.Outcome, r.Reason = outcome, ""
				if outcome != Sent && outcome != Delivered {
					r.Reason = reason
				}
			}
		}
		change := b.Tally()
		change.Sub(before)
		if b.State == BatchUncertain {
			b.State = settledState(b)
		}
		if err := count(tx, b, change); err != nil {
			return err
		}
		return tx.PutOutcome(b)
	})
	if err != nil {
		return err
	}
	for _, m := range marks {
		if err := f.mark(ctx, event.Organization, m); err != nil {
			return err
		}
	}
	return nil
}

func (e Event) marks() bool {
	return e.Type == EventComplaint || e.Type == EventBounced && (e.Permanent || e.OnList)
}

func (e Event) outcome() (Outcome, string) {
	switch e.Type {
	case EventAccepted, EventDelayed:
		return Sent, ""
	case EventDelivered:
		return Delivered, ""
	case EventBounced:
		switch {
		case e.OnList:
			return Bounced, "suppressed"
		case e.Permanent:
			return Bounced, "bounced"
		}
		return Bounced, "bounced_for_now"
	case EventComplaint:
		return Complained, "complained"
	case EventRejected:
		return Failed, "rejected"
	case EventUnmade:
		return Failed, "not_rendered"
	}
	return "", ""
}

// mark notes on the profile that its address is bad, while it is still that
// address (H19).
func (f *Feedback) mark(ctx context.Context, org string, m mark) error {
	return ignoreMissing(f.Store.Update(ctx, func(tx Tx) error {
		p, err := tx.Profile(org, m.profile)
		if err != nil {
			return err
		}
		address, err := username.Deliverable(p.Email)
		if err != nil || address != m.address || p.Undeliverable != nil && p.Undeliverable.Reason == m.reason {
			return nil
		}
		p.Undeliverable = &profile.Undeliverable{Reason: m.reason, At: f.Now().Truncate(time.Millisecond)}
		tx.AddActivity(activity.Entry{
			Organization: org, At: f.Now(), Actor: activity.Actor{Kind: activity.System, ID: "feedback"},
			Kind: activity.MailUndelivered, Profile: string(p.ID), Detail: map[string]string{"reason": m.reason},
		})
		return tx.PutProfile(p)
	}))
}
