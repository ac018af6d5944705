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

// RecordAll takes events in, those of one batch in one transaction; it answers
// for each. It may be given the same again.
func (f *Feedback) RecordAll(ctx context.Context, all []Event) []error {
	errs := make([]error, len(all))
	var order []string
	groups := map[string][]int{}
	for i, event := range all {
		name, _, ok := ParseTag(event.Organization, event.Tag)
		if !ok {
			f.Log.WarnContext(ctx, "event of a mail that is not ours", "type", event.Type)
			continue
		}
		key := event.Organization + " " + Tag(&name, 0)
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], i)
	}
	for _, key := range order {
		group := make([]Event, len(groups[key]))
		for n, i := range groups[key] {
			group[n] = all[i]
		}
		err := f.record(ctx, group)
		for _, i := range groups[key] {
			errs[i] = err
		}
	}
	return errs
}

// record takes in the events of one batch.
func (f *Feedback) record(ctx context.Context, group []Event) error {
	name, _, _ := ParseTag(group[0].Organization, group[0].Tag)
	var marks []mark
	err := f.Store.Update(ctx, func(tx Tx) error {
		marks = nil
		if err := tx.PrefetchBatch(name); err != nil {
			return err
		}
		b, err := tx.Batch(name)
		if err != nil || b == nil {
			return err // expired, or a tag that somebody made up
		}
		before := b.clone()
		for _, event := range group {
			_, entry, _ := ParseTag(event.Organization, event.Tag)
			if entry < len(b.Entries) {
				marks = append(marks, event.apply(b, &b.Entries[entry])...)
			}
		}
		if b.same(before) {
			return nil // all of it was known
		}
		change := b.since(before.Tally())
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
		if err := f.mark(ctx, name.Organization, m); err != nil {
			return err
		}
	}
	return nil
}

// owner is whose address a mail for a profile went to.
func (b *Batch) owner(id profile.ID) profile.ID {
	if b.Single != nil && b.Single.ToContact != "" {
		return b.Single.ToContact
	}
	return id
}

// apply raises the outcomes of an entry to what the event tells, and names the
// addresses that it proved bad.
func (e Event) apply(b *Batch, entry *Entry) (marks []mark) {
	outcome, reason := e.outcome()
	if outcome == "" {
		return nil
	}
	for i := range entry.Recipients {
		r := &entry.Recipients[i]
		if r.Outcome == Skipped {
			continue
		}
		if e.marks() {
			marks = append(marks, mark{b.owner(r.Profile), entry.Address, reason})
		}
		if rank[outcome] > rank[r.Outcome] || outcome == Bounced && r.Outcome == Bounced && gravity[reason] > gravity[r.Reason] {
			r.Outcome, r.Reason = outcome, ""
			if outcome != Sent && outcome != Delivered {
				r.Reason = reason
			}
		}
	}
	return marks
}

// gravity orders reasons as rank does outcomes: which of two bounces came first
// is chance, and so is it whether a complaint came before either.
var gravity = map[string]int{BouncedForNow: 1, BouncedForGood: 2, OnSuppression: 3, ComplainedOf: 4}

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
			return Bounced, OnSuppression
		case e.Permanent:
			return Bounced, BouncedForGood
		}
		return Bounced, BouncedForNow
	case EventComplaint:
		return Complained, ComplainedOf
	case EventRejected:
		return Failed, RefusedLater
	case EventUnmade:
		return Failed, NotRendered
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
		if err != nil || address != m.address || p.Undeliverable != nil && gravity[p.Undeliverable.Reason] >= gravity[m.reason] {
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
