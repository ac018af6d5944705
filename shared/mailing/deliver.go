package mailing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
)

const (
	// MaxBatch is SES's limit of destinations in one call.
	MaxBatch = 50
	// MaxPerMail is how many profiles that share a mailbox stand in one mail.
	MaxPerMail = 20
	// MaxCall bounds the encoded request, below SES's 1 MB.
	MaxCall = 900_000

	maxTries = 5 // of one mail, before it counts as failed
)

// Delivery hands batches to the mail service and records what became of them.
//
// The order of its steps is what keeps H15: links and intent are stored before
// the call, outcomes after it, and only the holder of the lane's fence writes
// an intent. Whoever finds an intent of somebody else's marks it uncertain and
// sends nothing; it waits for Grace and the service's events.
type Delivery struct {
	Store  Store
	Mailer Mailer
	Bells  Bells
	Now    func() time.Time
	Rand   io.Reader
	Sleep  func(context.Context, time.Duration) // for throttling; ends with the context
	Timing
	Log *slog.Logger

	spent spent
}

// Ring does what a bell asks for. Work that is somebody else's, or done, is
// nothing to do, not an error.
func (d *Delivery) Ring(ctx context.Context, bell Bell) error {
	switch bell.Kind {
	case RingLane:
		return d.lane(ctx, bell)
	case RingBatch, RingSingle:
		return d.batch(ctx, bell)
	}
	return fmt.Errorf("mailing: delivery has no use for a bell of kind %q", bell.Kind)
}

// run is what the batches of one mailing, or one single batch, have in common.
type run struct {
	*Delivery
	settings *organization.Settings
	mailing  *Mailing          // nil for single mails
	compiled *message.Compiled // nil for standard mails
	about    message.Association
	zone     *time.Location
	today    string // when the batch was prepared
	ends     string // of the links of its page
	data     []byte // of the mails of the batch at hand, one behind the other
}

func (d *Delivery) open(ctx context.Context, org, id string, generation int) (*run, error) {
	settings, err := d.Store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	r := &run{Delivery: d, settings: settings, about: Association(settings), zone: settings.Zone()}
	if id == "" {
		return r, nil
	}
	if r.mailing, err = d.Store.Mailing(ctx, org, id); err != nil {
		return nil, err
	}
	if r.mailing.Freeze == nil || r.mailing.Generation != generation {
		return nil, nil // an old bell: the freeze it speaks of was discarded
	}
	content, err := d.Store.Frozen(ctx, org, id, generation)
	if err != nil {
		return nil, err
	}
	if r.compiled = content.Compiled; r.compiled == nil {
		return nil, fmt.Errorf("mailing: generation %d of %s has no message", generation, id)
	}
	return r, nil
}

// look reads the mailing again, if nothing else has for a second: a pause acts
// within that time (H18). A lane sees it with every commit.
func (w *worker) look(ctx context.Context) error {
	if w.Now().Sub(w.looked) < time.Second {
		return nil
	}
	m, err := w.Store.Mailing(ctx, w.mailing.Organization, w.mailing.ID)
	if err == nil {
		w.mailing, w.looked = m, w.Now()
	}
	return err
}

// NobodyCanBeMailed is the log line for a service that takes no mail at all. An
// alarm of template.yaml waits for it, because nothing fails: mailings pause,
// and single mails wait.
const NobodyCanBeMailed = "nobody can be mailed"

// hand calls the service once, and again for what was surely not taken for a
// passing reason, until stopAt. Receipts are in the order of the mails.
func (d *Delivery) hand(ctx context.Context, out *outgoing, stopAt time.Time) []Receipt {
	all := make([]Receipt, len(out.call.Mails))
	left := make([]int, len(all))
	for i := range left {
		left[i] = i
	}
	tries := make([]int, len(all))
	for try := 0; ; try++ {
		call := out.call
		if len(left) < len(all) {
			call.Mails = nil
			for _, i := range left {
				call.Mails = append(call.Mails, out.call.Mails[i])
			}
		}
		receipts := d.Mailer.Send(ctx, call)
		var again []int
		throttled, stopped := false, ""
		for n, i := range left {
			receipt := Receipt{Fault: Unknown, Reason: "no_receipt"}
			if len(receipts) == len(left) {
				receipt = receipts[n]
			}
			all[i] = receipt
			switch receipt.Fault {
			case Throttled:
				throttled = true
				again = append(again, i)
			case Transient:
				if tries[i]++; tries[i] < maxTries {
					again = append(again, i)
				}
			case Unclear:
				if tries[i]++; tries[i] < 2 {
					again = append(again, i)
				} else {
					all[i].Fault = Rejected
				}
			case Misconfigured:
				stopped = receipt.Reason
			}
		}
		if stopped != "" {
			d.Log.ErrorContext(ctx, NobodyCanBeMailed, "reason", stopped, "organization", call.Organization, "mailing", call.Mailing)
		}
		if throttled {
			d.lowerPace(ctx)
		}
		if len(again) == 0 {
			return all
		}
		wait := d.backOff(try)
		if d.Now().Add(wait).After(stopAt) || ctx.Err() != nil || d.stopped(ctx, out.batch) {
			return all
		}
		d.Sleep(ctx, wait)
		left = again
	}
}

// backOff is how long to wait before the next try: 50 ms doubled each time up
// to 3.2 s, and some more by chance, so that lanes do not march in step.
func (d *Delivery) backOff(try int) time.Duration {
	wait := 50 * time.Millisecond << min(try, 6)
	var b [1]byte
	if _, err := io.ReadFull(d.Rand, b[:]); err != nil {
		return wait
	}
	return wait + wait*time.Duration(b[0])/512
}

// stopped says whether staff stopped the mailing of a batch meanwhile (H18).
func (d *Delivery) stopped(ctx context.Context, b *Batch) bool {
	if b.Mailing == "" {
		return false
	}
	m, err := d.Store.Mailing(ctx, b.Organization, b.Mailing)
	return err == nil && m.State != Sending
}

// spent counts the mails of one person each that the pace does not know of yet.
type spent struct {
	sync.Mutex
	mails int
	told  time.Time
}

// add counts n more, and returns how many to tell the pace now: it is told at
// most once a second, for these mails must not wait for one another.
func (s *spent) add(n int, now time.Time) int {
	s.Lock()
	defer s.Unlock()
	s.mails += n
	if now.Sub(s.told) < time.Second {
		return 0
	}
	n, s.mails, s.told = s.mails, 0, now
	return n
}

// spend takes single mails off what mailings may still send today (H17). They
// do not wait for it; what is not told here, the account tells a minute later.
func (d *Delivery) spend(ctx context.Context, n int) {
	if n = d.spent.add(n, d.Now()); n == 0 {
		return
	}
	err := d.Store.Update(ctx, func(tx Tx) error {
		p, err := tx.Pace()
		if err != nil || p.DailyQuota <= 0 {
			return err
		}
		p.SentLastDay += float64(n)
		tx.PutPace(p)
		return nil
	})
	if err != nil {
		d.Log.WarnContext(ctx, "single mails not counted", "mails", n, "error", err)
	}
}

func (d *Delivery) lowerPace(ctx context.Context) {
	err := d.Store.Update(ctx, func(tx Tx) error {
		p, err := tx.Pace()
		if err != nil {
			return err
		}
		p.lower(d.Now())
		tx.PutPace(p)
		return nil
	})
	if err != nil {
		d.Log.WarnContext(ctx, "pace not lowered", "error", err)
	}
}

// storeOutcomes merges receipts into the batch as it is stored now, for events
// may have been quicker, and others at work on other entries of it; it returns
// how the tally changes.
func (d *Delivery) storeOutcomes(tx Tx, out *outgoing, receipts []Receipt) (Tally, error) {
	b, err := tx.Batch(*out.batch)
	if err != nil || b == nil {
		return nil, err
	}
	change := b.revise(func() { d.enter(b, out, receipts) })
	tx.PutBatch(b, d.due(b))
	return change, nil
}

// sameAttempt says that two readings of an entry speak of the same call.
func (e *Entry) sameAttempt(o *Entry) bool { return e.Attempts == o.Attempts && e.At.Equal(o.At) }

// enter turns receipts into outcomes.
func (d *Delivery) enter(b *Batch, out *outgoing, receipts []Receipt) {
	for n, i := range out.which {
		if i >= len(b.Entries) || !b.Entries[i].sameAttempt(&out.batch.Entries[i]) {
			continue // tried again by somebody else since: their record stands
		}
		e, receipt := &b.Entries[i], receipts[n]
		outcome, reason := Pending, receipt.Reason
		switch receipt.Fault {
		case Taken:
			outcome, reason, e.MessageID = Sent, "", receipt.MessageID
		case Rejected:
			outcome = Failed
		case Unknown:
			if outcome = Uncertain; e.Attempts >= maxTries {
				outcome, reason = Failed, NotConfirmed
			}
		case Transient, Unclear:
			if e.Attempts >= maxTries {
				outcome = Failed
			}
		default: // surely not taken, and no fault of the recipient's
			e.Attempts--
		}
		for k := range e.Recipients {
			r := &e.Recipients[k]
			if r.open() || r.Outcome == Uncertain {
				r.Outcome, r.Reason = outcome, reason
				if outcome == Pending {
					r.Outcome, r.Reason = "", ""
				}
			}
		}
		if b.Single != nil {
			b.Single.LastReason = receipt.Reason
		}
	}
}

// settledState is where a batch stands by its entries.
func settledState(b *Batch) BatchState {
	state := BatchFinished
	for i := range b.Entries {
		for _, r := range b.Entries[i].Recipients {
			switch r.Outcome {
			case "", Pending:
				return BatchRetry
			case Uncertain:
				state = BatchUncertain
			}
		}
	}
	return state
}

// batch goes on with a batch that stands by itself: a single mail, or one of a
// mailing's that was refused for a passing reason or is uncertain. What is
// uncertain goes again one by one, each with a further link, which is harmless
// (H6). Its intent is written as uncertainty, so a crash needs no other repair.
func (d *Delivery) batch(ctx context.Context, bell Bell) error {
	stopAt := d.Now().Add(d.Budget)
	name := Batch{Organization: bell.Organization, Mailing: bell.Mailing, Generation: bell.Generation, Lane: bell.Lane, Index: bell.Index, ID: bell.ID}
	r, err := d.open(ctx, bell.Organization, bell.Mailing, bell.Generation)
	if r == nil || err != nil {
		return ignoreMissing(err)
	}
	for {
		b, err := d.Store.Batch(ctx, name)
		if b == nil || err != nil {
			return err
		}
		if b.Mailing != "" && (b.State == BatchPending || b.State == BatchIntent) {
			return nil // its lane's
		}
		which := open(b, Pending)
		if len(which) == 0 {
			// Events may still come for the others; the sweep rings again.
			which = slices.DeleteFunc(open(b, Uncertain), func(i int) bool { return d.Now().Before(d.confirmedBy(b, i)) })
			if len(which) == 0 {
				return nil
			}
			which = which[:1]
		}
		if r.mailing != nil {
			if r.mailing.State == Cancelled {
				return d.settleCancelled(ctx, name)
			}
			if r.mailing.State != Sending {
				return d.postpone(ctx, bell, min(d.Grace, time.Minute))
			}
		}
		if r.mailing != nil || b.Single.Behind {
			w := &worker{run: r}
			wait, err := w.reserve(ctx, len(which), stopAt.Sub(d.Now()))
			if busy(err) {
				return d.postpone(ctx, bell, time.Second)
			}
			if err != nil {
				return err
			}
			if w.halted {
				return d.postpone(ctx, bell, min(d.Grace, time.Minute))
			}
			if wait > 0 {
				if d.Now().Add(wait).After(stopAt) {
					return d.postpone(ctx, bell, wait)
				}
				d.Sleep(ctx, wait)
			}
		}
		out, err := r.prepare(ctx, b, which)
		if err != nil {
			return err
		}
		out.batch.Fence++
		mine, err := d.intend(ctx, b, out)
		if err != nil {
			return err
		}
		if !mine {
			if b, err = d.Store.Batch(ctx, name); b == nil || err != nil || b.Fence >= out.batch.Fence {
				return err // somebody else sends it
			}
			if d.Now().After(stopAt) || ctx.Err() != nil {
				return ctx.Err()
			}
			continue // an event came in between
		}
		if len(out.call.Mails) > 0 {
			receipts := d.hand(ctx, out, stopAt)
			if err := d.settle(ctx, out, receipts); err != nil {
				return err
			}
			if r.mailing == nil && !b.Single.Behind {
				d.spend(ctx, len(receipts))
			}
		}
		if d.Now().After(stopAt) || ctx.Err() != nil || len(open(out.batch, Pending)) > 0 {
			return nil // what is left is on the sweep's list
		}
	}
}

// confirmedBy is until when an event may still tell what became of an entry.
func (d *Delivery) confirmedBy(b *Batch, i int) time.Time {
	at := b.At
	if again := b.Entries[i].At; again.After(at) {
		at = again
	}
	return at.Add(d.Grace)
}

// due is when the sweep should look at a batch that is not finished.
func (d *Delivery) due(b *Batch) (due time.Time) {
	switch b.State {
	case BatchRetry:
		due = d.Now().Add(d.Grace / 4)
	case BatchUncertain:
		for _, i := range open(b, Uncertain) {
			if by := d.confirmedBy(b, i); due.IsZero() || by.Before(due) {
				due = by
			}
		}
	}
	return due
}

// intend stores a prepared batch with everything that is about to be sent
// marked uncertain; false means that somebody else was quicker.
func (d *Delivery) intend(ctx context.Context, read *Batch, out *outgoing) (mine bool, err error) {
	sending := out.batch.clone()
	for _, i := range out.which {
		sending.Entries[i].doubt()
	}
	sending.State = settledState(sending)
	err = d.Store.Update(ctx, func(tx Tx) error {
		mine = false
		if err := tx.PrefetchBatch(*read); err != nil {
			return err
		}
		b, err := tx.Batch(*read)
		if err != nil || b == nil || !b.same(read) {
			return err
		}
		if err := count(tx, sending, sending.since(b.Tally())); err != nil {
			return err
		}
		tx.PutBatch(sending, d.due(sending))
		if out.page != nil {
			tx.PutPage(out.page)
		}
		mine = true
		return nil
	})
	return mine, err
}

// settle stores the outcomes of a batch that stands by itself.
func (d *Delivery) settle(ctx context.Context, out *outgoing, receipts []Receipt) error {
	return d.Store.Update(ctx, func(tx Tx) error {
		if err := tx.PrefetchBatch(*out.batch); err != nil {
			return err
		}
		change, err := d.storeOutcomes(tx, out, receipts)
		if err != nil || change == nil {
			return err
		}
		return count(tx, out.batch, change)
	})
}

// count brings the lane's tally in line with a change of one of its batches.
func count(tx Tx, b *Batch, change Tally) error {
	if b.Mailing == "" {
		return nil
	}
	l, err := tx.Lane(b.Organization, b.Mailing, b.Generation, b.Lane)
	if err != nil || l == nil {
		return err
	}
	l.Tally.Add(change)
	return tx.PutTally(l)
}

// settleCancelled ends a batch of a cancelled mailing: what was not tried is
// skipped, and what nobody confirmed within the grace counts as failed.
func (d *Delivery) settleCancelled(ctx context.Context, name Batch) error {
	return d.Store.Update(ctx, func(tx Tx) error {
		b, err := tx.Batch(name)
		if b == nil || err != nil {
			return err
		}
		change := b.revise(func() {
			cancelOpen(b)
			for _, i := range open(b, Uncertain) {
				for k := range b.Entries[i].Recipients {
					if r := &b.Entries[i].Recipients[k]; r.Outcome == Uncertain && !d.Now().Before(d.confirmedBy(b, i)) {
						r.Outcome, r.Reason = Failed, NotConfirmed
					}
				}
			}
		})
		tx.PutBatch(b, d.due(b))
		return count(tx, b, change)
	})
}

func (d *Delivery) postpone(ctx context.Context, bell Bell, by time.Duration) error {
	return d.Store.Update(ctx, func(tx Tx) error { return tx.Postpone(bell, d.Now().Add(by)) })
}

var quote, backslash = []byte(`"`), []byte(`\`)

// stale is how old a mail without a link may get, while the account is stopped
// say, before it helps nobody any more.
const stale = 7 * 24 * time.Hour

// errNoMessage is a test of a message that was emptied since.
var errNoMessage = errors.New("mailing: there is no message to render")

func ignoreMissing(err error) error {
	if err != nil && problem.As(err).Kind == problem.NotFound {
		return nil // what the bell names is gone: there is nothing to do
	}
	return err
}
