package mailing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/username"
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
	size     int    // of the largest mail so far
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

// Association is what mails show of an organization.
func Association(s *organization.Settings) message.Association {
	return message.Association{
		Name: s.Name, LogoURL: s.LogoURL, Website: s.Website, Phone: s.HelpPhone, Email: s.HelpEmail, Hours: s.HelpHours,
		SignInURL: s.Portal("/sign-in"),
	}
}

// outgoing is a batch on its way: what will be stored before the call, and the
// call.
type outgoing struct {
	batch *Batch
	which []int // the entry of each mail of the call
	call  Call
	page  *link.Page // nil where no link was minted
}

var errLost = errors.New("mailing: the lane was taken over")

// lane works the batches of a lane in order until they end, the mailing stops
// or the time is up; then it rings again for the rest.
func (d *Delivery) lane(ctx context.Context, bell Bell) error {
	stopAt := d.Now().Add(d.Budget)
	r, err := d.open(ctx, bell.Organization, bell.Mailing, bell.Generation)
	if r == nil || err != nil {
		return ignoreMissing(err)
	}
	switch r.mailing.State {
	case Sending:
	case Cancelled:
		return d.cancelLane(ctx, bell)
	default:
		return nil // whoever lets the mailing go on rings
	}
	lane, err := d.claim(ctx, bell)
	if lane == nil || err != nil {
		return err
	}
	w := &worker{run: r, lane: lane, rung: bell, next: lane.Next, looked: d.Now()}
	for {
		upcoming, err := w.upcoming(ctx, stopAt)
		if err != nil {
			w.letGo(ctx)
			return err
		}
		err = w.commit(ctx, upcoming)
		for try := 0; problem.CodeOf(err) == "busy" && try < maxTries; try++ {
			err = w.commit(ctx, upcoming) // events of many batches write the same lane
		}
		if errors.Is(err, errLost) {
			return nil
		}
		if err != nil {
			return err
		}
		if upcoming == nil {
			break
		}
		w.send(ctx, upcoming, stopAt)
	}
	if w.again {
		return d.Bells.Ring(ctx, bell)
	}
	return nil
}

// claim raises the lane's fence; nil where the lane is somebody's or finished.
func (d *Delivery) claim(ctx context.Context, bell Bell) (*Lane, error) {
	var claimed *Lane
	err := d.Store.Update(ctx, func(tx Tx) error {
		claimed = nil
		l, err := tx.Lane(bell.Organization, bell.Mailing, bell.Generation, bell.Lane)
		if err != nil || l == nil || l.Finished || l.LeaseUntil.After(d.Now()) {
			return err
		}
		l.Fence++
		l.LeaseUntil = d.Now().Add(d.Lease)
		tx.PutLane(l, l.LeaseUntil)
		claimed = l
		return nil
	})
	if problem.CodeOf(err) == "busy" {
		return nil, nil // another bell of the same lane was quicker
	}
	return claimed, err
}

// worker holds a lane.
type worker struct {
	*run
	lane   *Lane
	rung   Bell
	queue  []*Batch
	more   bool
	read   bool
	next   int       // index behind the last batch that was begun
	sent   *outgoing // called, its outcomes not stored yet
	result []Receipt

	looked    time.Time // when the mailing was read
	allowance int       // mails whose pace is reserved
	paceRead  time.Time
	unpaced   bool

	halted   bool // nobody can be mailed now: the quota is used up, or the account stopped
	finished bool // no batch follows
	again    bool // stopped for time alone
	pause    time.Duration
}

// upcoming prepares the next batch of the lane; nil where the work stops: the
// lane ends, the mailing was stopped, the time is up or the pace says wait.
func (w *worker) upcoming(ctx context.Context, stopAt time.Time) (*outgoing, error) {
	for {
		if w.refused() {
			return nil, nil
		}
		if w.Now().After(stopAt) || ctx.Err() != nil {
			w.again = true
			return nil, nil
		}
		if err := w.look(ctx); err != nil {
			return nil, err
		}
		if w.mailing.State != Sending || w.mailing.Generation != w.lane.Generation {
			w.again = w.mailing.State == Cancelled // whoever answers the next bell skips the rest
			return nil, nil
		}
		b, err := w.nextBatch(ctx)
		if b == nil || err != nil {
			w.finished = err == nil
			return nil, err
		}
		switch b.State {
		case BatchPending:
		case BatchIntent:
			if b.Fence != w.lane.Fence {
				if err := w.abandon(ctx, b); err != nil {
					return nil, err
				}
			}
			w.next = b.Index + 1
			continue
		default: // finished, or on the sweep's list
			w.next = b.Index + 1
			continue
		}
		wait, err := w.reserve(ctx, len(b.Entries))
		if err != nil {
			return nil, err
		}
		if w.halted {
			w.unread(b)
			return nil, nil
		}
		if wait > 0 {
			if w.Now().Add(wait).After(stopAt) {
				w.pause = wait
				w.unread(b)
				return nil, nil
			}
			w.Sleep(ctx, wait)
		}
		out, err := w.prepare(ctx, b, open(b, Pending))
		if err != nil {
			return nil, err
		}
		w.next = b.Index + 1
		out.batch.State, out.batch.Fence = BatchIntent, w.lane.Fence
		if len(out.call.Mails) == 0 {
			out.batch.State = settledState(out.batch)
		}
		return out, nil
	}
}

// look reads the mailing again, at most once a second: a pause acts within
// that time (H18), and a fast lane reads no more than it must.
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

// refused says whether the last call told that nobody can be mailed now.
func (w *worker) refused() bool {
	return slices.ContainsFunc(w.result, func(r Receipt) bool { return r.Fault == Misconfigured || r.Fault == QuotaUsed })
}

func (w *worker) nextBatch(ctx context.Context) (*Batch, error) {
	if len(w.queue) == 0 && (!w.read || w.more) {
		m := w.mailing
		queue, more, err := w.Store.Batches(ctx, m.Organization, m.ID, m.Generation, w.lane.Number, w.next, 16)
		if err != nil {
			return nil, err
		}
		w.queue, w.more, w.read = queue, more, true
	}
	if len(w.queue) == 0 {
		return nil, nil
	}
	b := w.queue[0]
	w.queue = w.queue[1:]
	return b, nil
}

func (w *worker) unread(b *Batch) { w.queue = append([]*Batch{b}, w.queue...) }

// reserve takes the pace for n mails, some batches ahead; wait is what must
// pass before they may go.
func (w *worker) reserve(ctx context.Context, n int) (wait time.Duration, err error) {
	now := w.Now()
	if w.unpaced && now.Sub(w.paceRead) < time.Second {
		return 0, nil
	}
	if w.allowance >= n {
		w.allowance -= n
		return 0, nil
	}
	p, err := w.Store.Pace(ctx)
	if err != nil {
		return 0, err
	}
	w.paceRead = now
	if !p.ReadAt.IsZero() && !p.Enabled {
		w.halted = true
		return 0, w.stopMailing(ctx, Paused, p.Reason)
	}
	rate := p.BulkRate()
	if w.unpaced = rate == 0 && p.DailyQuota <= 0; w.unpaced {
		return 0, nil
	}
	if left := p.BulkQuotaLeft(); left >= 0 && left < float64(n) {
		w.halted = true
		return 0, w.stopMailing(ctx, WaitingQuota, "daily_quota")
	}
	// About a second of this lane's share, so that the shared record is
	// written once a second and lane, not once a batch.
	take := n
	if w.lane != nil {
		take = max(n, int(rate)/max(1, w.mailing.Freeze.Lanes))
	}
	err = w.Store.Update(ctx, func(tx Tx) error {
		p, err := tx.Pace()
		if err != nil {
			return err
		}
		wait = p.reserve(w.Now(), take)
		tx.PutPace(p)
		return nil
	})
	w.allowance += take - n
	return wait, err
}

// commit stores, in one transaction, the outcomes of the call before and the
// intent of the next; with no next one it lets the lane go.
func (w *worker) commit(ctx context.Context, next *outgoing) error {
	now := w.Now()
	var lost bool
	err := w.Store.Update(ctx, func(tx Tx) error {
		lost = false
		if w.sent != nil {
			if err := tx.PrefetchBatch(*w.sent.batch); err != nil {
				return err
			}
		}
		l, err := tx.Lane(w.lane.Organization, w.lane.Mailing, w.lane.Generation, w.lane.Number)
		if err != nil {
			return err
		}
		if w.sent != nil {
			change, err := w.storeOutcomes(tx, w.sent, w.result)
			if err != nil {
				return err
			}
			l.Tally.Add(change)
		}
		if l.Fence != w.lane.Fence {
			lost = true
			return tx.PutTally(l)
		}
		due := now.Add(w.Lease)
		l.LeaseUntil = due
		l.Next = w.next
		if next != nil {
			l.Next = next.batch.Index // until its outcomes are stored, a new holder must look at it
			l.Tally.Add(next.change())
			tx.PutBatch(next.batch, time.Time{})
			if next.page != nil {
				tx.PutPage(next.page)
			}
		} else {
			l.LeaseUntil = time.Time{}
			l.Finished = w.finished
			due = time.Time{}
			if !l.Finished {
				due = now.Add(w.pause + w.Lease)
				if w.pause > 0 {
					due = now.Add(w.pause)
				}
			}
		}
		tx.PutLane(l, due)
		return nil
	})
	if err == nil {
		w.sent, w.result = nil, nil
		if lost {
			return errLost
		}
	}
	return err
}

// letGo frees the lane after an error, so that the next bell need not wait for
// the lease; outcomes that are known are stored all the same.
func (w *worker) letGo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := w.commit(ctx, nil); err != nil && !errors.Is(err, errLost) {
		w.Log.WarnContext(ctx, "lane not let go", "mailing", w.lane.Mailing, "lane", w.lane.Number, "error", err)
	}
}

// send makes the call and repeats what the service refused for passing reasons.
func (w *worker) send(ctx context.Context, out *outgoing, stopAt time.Time) {
	w.sent, w.result = out, nil
	if len(out.call.Mails) == 0 {
		w.sent = nil
		return
	}
	w.result = w.hand(ctx, out, stopAt)
	for _, r := range w.result {
		switch r.Fault {
		case Misconfigured:
			if err := w.stopMailing(ctx, Paused, r.Reason); err != nil {
				w.Log.WarnContext(ctx, "mailing not paused", "mailing", w.mailing.ID, "error", err)
			}
			return
		case QuotaUsed:
			if err := w.stopMailing(ctx, WaitingQuota, "daily_quota"); err != nil {
				w.Log.WarnContext(ctx, "mailing not parked", "mailing", w.mailing.ID, "error", err)
			}
			return
		}
	}
}

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
		throttled := false
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
			}
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

// stopMailing pauses or parks a mailing that is being sent.
func (w *worker) stopMailing(ctx context.Context, to State, reason string) error {
	return w.Store.Update(ctx, func(tx Tx) error {
		m, err := tx.Mailing(w.mailing.Organization, w.mailing.ID)
		if err != nil || m.State != Sending {
			return err
		}
		// Only what the account says after this moment lets a parked one go on.
		m.State, m.PauseReason, m.UpdatedAt = to, reason, w.Now().Truncate(time.Millisecond)
		tx.PutMailing(m, w.nextLook(m, w.Now()))
		return nil
	})
}

// storeOutcomes merges receipts into the batch as it is stored now, for events
// may have been quicker, and returns how the tally changes.
func (d *Delivery) storeOutcomes(tx Tx, out *outgoing, receipts []Receipt) (Tally, error) {
	b, err := tx.Batch(*out.batch)
	if err != nil || b == nil || b.Fence != out.batch.Fence || b.Page != out.batch.Page {
		return nil, err // worked by somebody else since: their record stands
	}
	before := b.Tally()
	for n, i := range out.which {
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
			if r.Outcome == "" || r.Outcome == Pending || r.Outcome == Uncertain {
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
	b.State = settledState(b)
	tx.PutBatch(b, d.due(b))
	change := b.Tally()
	change.Sub(before)
	return change, nil
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

// change is what storing a prepared batch does to the tally.
func (o *outgoing) change() Tally {
	t := o.batch.Tally()
	total := 0
	for _, n := range t {
		total += n
	}
	t[Pending] -= total // all of them were pending before
	return t
}

// abandon marks what a dead holder may or may not have sent as uncertain.
func (w *worker) abandon(ctx context.Context, b *Batch) error {
	return w.Store.Update(ctx, func(tx Tx) error {
		l, err := tx.Lane(w.lane.Organization, w.lane.Mailing, w.lane.Generation, w.lane.Number)
		if err != nil {
			return err
		}
		stored, err := tx.Batch(*b)
		if err != nil || stored == nil || stored.State != BatchIntent || stored.Fence == w.lane.Fence || l.Fence != w.lane.Fence {
			return err
		}
		before := stored.Tally()
		stored.each(func(r *Recipient) {
			if r.Outcome == "" || r.Outcome == Pending {
				r.Outcome = Uncertain
			}
		})
		stored.State = settledState(stored)
		change := stored.Tally()
		change.Sub(before)
		l.Tally.Add(change)
		tx.PutBatch(stored, w.due(stored))
		return tx.PutTally(l)
	})
}

// cancelLane skips what was not tried yet, some batches in a transaction.
func (d *Delivery) cancelLane(ctx context.Context, bell Bell) error {
	lane, err := d.claim(ctx, bell)
	if lane == nil || err != nil {
		return err
	}
	w := &worker{run: &run{Delivery: d}, lane: lane}
	stopAt := d.Now().Add(d.Budget)
	for from := lane.Next; ; {
		if d.Now().After(stopAt) || ctx.Err() != nil {
			return w.Store.Update(ctx, func(tx Tx) error { return w.release(tx, d.Now()) })
		}
		batches, more, err := d.Store.Batches(ctx, lane.Organization, lane.Mailing, lane.Generation, lane.Number, from, 16)
		if err != nil {
			return err
		}
		for _, b := range batches {
			if b.State == BatchIntent {
				if err := w.abandon(ctx, b); err != nil {
					return err
				}
			}
		}
		err = d.Store.Update(ctx, func(tx Tx) error {
			l, err := tx.Lane(lane.Organization, lane.Mailing, lane.Generation, lane.Number)
			if err != nil || l.Fence != lane.Fence {
				return err
			}
			for _, b := range batches {
				b, err := tx.Batch(*b)
				if err != nil || b == nil {
					return err
				}
				if change, ok := cancelOpen(b); ok {
					l.Tally.Add(change)
					if b.At.IsZero() {
						b.At = d.Now() // from now on it expires
					}
					tx.PutBatch(b, d.due(b))
				}
				l.Next = b.Index + 1
			}
			l.LeaseUntil = d.Now().Add(d.Lease)
			due := l.LeaseUntil
			if !more {
				l.Finished, l.LeaseUntil, due = true, time.Time{}, time.Time{}
			}
			tx.PutLane(l, due)
			return nil
		})
		if err != nil || !more {
			return err
		}
		from = batches[len(batches)-1].Index + 1
	}
}

// release gives the lane back before its lease ends, to be rung at due.
func (w *worker) release(tx Tx, due time.Time) error {
	l, err := tx.Lane(w.lane.Organization, w.lane.Mailing, w.lane.Generation, w.lane.Number)
	if err != nil || l.Fence != w.lane.Fence {
		return err
	}
	l.LeaseUntil = time.Time{}
	tx.PutLane(l, due)
	return nil
}

// cancelOpen skips the pending recipients of a batch of a cancelled mailing.
func cancelOpen(b *Batch) (change Tally, any bool) {
	before := b.Tally()
	for i := range b.Entries {
		e := &b.Entries[i]
		for k := range e.Recipients {
			if r := &e.Recipients[k]; r.Outcome == "" || r.Outcome == Pending {
				r.Outcome, r.Reason, any = Skipped, WasCancelled, true
				if e.inDoubt() {
					r.Outcome, r.Reason = Failed, NotConfirmed
				}
			}
		}
	}
	if !any {
		return nil, false
	}
	b.State = settledState(b)
	change = b.Tally()
	change.Sub(before)
	return change, true
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
			w := &worker{run: r}
			wait, err := w.reserve(ctx, len(which))
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
		for k := range sending.Entries[i].Recipients {
			if r := &sending.Entries[i].Recipients[k]; r.Outcome == "" || r.Outcome == Pending {
				r.Outcome = Uncertain
			}
		}
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
		change := sending.Tally()
		change.Sub(b.Tally())
		if err := count(tx, sending, change); err != nil {
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
		before := b.Tally()
		cancelOpen(b)
		for _, i := range open(b, Uncertain) {
			for k := range b.Entries[i].Recipients {
				if r := &b.Entries[i].Recipients[k]; r.Outcome == Uncertain && !d.Now().Before(d.confirmedBy(b, i)) {
					r.Outcome, r.Reason = Failed, NotConfirmed
				}
			}
		}
		b.State = settledState(b)
		change := b.Tally()
		change.Sub(before)
		tx.PutBatch(b, d.due(b))
		return count(tx, b, change)
	})
}

func (d *Delivery) postpone(ctx context.Context, bell Bell, by time.Duration) error {
	return d.Store.Update(ctx, func(tx Tx) error { return tx.Postpone(bell, d.Now().Add(by)) })
}

// prepare reads who the entries are for, now (H14), skips who no longer fits,
// mints links and renders the mails. The batch given is left as it is.
func (r *run) prepare(ctx context.Context, b *Batch, which []int) (*outgoing, error) {
	now := r.Now().Truncate(time.Millisecond)
	out := &outgoing{batch: b.clone()}
	b = out.batch
	again := len(which) > 0 && len(open(b, Pending)) == 0 // an uncertain entry goes once more
	if !again {
		b.At = now
	}
	b.Tries++
	var ids []profile.ID
	for _, i := range which {
		for _, rcpt := range b.Entries[i].Recipients {
			ids = append(ids, rcpt.Profile)
		}
	}
	profiles, err := r.Store.Profiles(ctx, b.Organization, ids)
	if err != nil {
		return nil, err
	}
	targets, err := r.targets(ctx, b, profiles)
	if err != nil {
		return nil, err
	}
	if purpose, ends, links := r.purpose(b, now); links {
		if out.page, err = link.NewPage(r.Rand, b.Organization, purpose, b.Mailing, now, ends); err != nil {
			return nil, err
		}
		r.ends = message.Moment(out.page.Ends, r.zone)
	}
	r.today = r.date(now)
	out.call = Call{Organization: b.Organization, From: sender(r.settings), ReplyTo: r.settings.ReplyTo, Mailing: b.Mailing}
	size := 0
	for n := 0; n < len(which) && len(out.call.Mails) < MaxBatch; n++ {
		i := which[n]
		going, split, err := r.fit(ctx, b, i, profiles, targets)
		if err != nil {
			return nil, err
		}
		if split >= 0 {
			which = append(which, split)
		}
		if len(going) == 0 {
			continue
		}
		mail, err := r.render(ctx, b, i, going, out.page)
		if errors.Is(err, errNoMessage) {
			for k := range b.Entries[i].Recipients {
				b.Entries[i].Recipients[k].Outcome, b.Entries[i].Recipients[k].Reason = Failed, NotRendered
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		// The data stands as a JSON string in the request, where every quote
		// and backslash of it takes one byte more.
		if size += len(mail.Data) + bytes.Count(mail.Data, quote) + bytes.Count(mail.Data, backslash) + 512; size > MaxCall && len(out.call.Mails) > 0 {
			break // the rest of the batch goes with the next call
		}
		b.Entries[i].Attempts++
		if again {
			b.Entries[i].At = now
		}
		out.which = append(out.which, i)
		out.call.Mails = append(out.call.Mails, mail)
	}
	if out.page != nil {
		if len(out.page.Entries) == 0 {
			out.page = nil
		} else {
			b.Page, b.Ends = out.page.ID, out.page.Ends
		}
	}
	if out.page == nil {
		b.Page = ""
	}
	return out, nil
}

var quote, backslash = []byte(`"`), []byte(`\`)

// targets reads the relations of those who may sign in by them alone; nobody
// else's are needed.
func (r *run) targets(ctx context.Context, b *Batch, profiles map[profile.ID]*profile.Profile) (profile.Targets, error) {
	if !r.asksRight(b) {
		return nil, nil
	}
	var related []*profile.Profile
	for _, p := range profiles {
		if len(p.Relations) > 0 && !r.settings.Access.IsMember(p) {
			related = append(related, p)
		}
	}
	return r.Store.Targets(ctx, b.Organization, related...)
}

// asksRight says whether only those who may sign in are mailed.
func (r *run) asksRight(b *Batch) bool {
	switch b.Kind {
	case KindMailing:
		return r.mailing.Freeze.HasLogin
	case KindReset, KindForgot, KindRenewal:
		return true
	}
	return false
}

// purpose says what links a batch carries, and when they end.
func (r *run) purpose(b *Batch, now time.Time) (purpose link.Purpose, ends time.Time, links bool) {
	switch b.Kind {
	case KindMailing:
		return link.Mailing, now.Add(r.settings.MailingLinkLife()), r.mailing.Freeze.HasLogin
	case KindReset:
		return link.Reset, b.Single.Ends, true
	case KindForgot:
		return link.Forgot, b.Single.Ends, true
	case KindRenewal:
		return link.Renewal, b.Single.Ends, true
	}
	return "", time.Time{}, false
}

// fit marks who of an entry is skipped and returns who is mailed. People whose
// address changed since the freeze no longer share this mail: they move to an
// entry of their own, whose index is returned, -1 for none.
func (r *run) fit(ctx context.Context, b *Batch, i int, profiles map[profile.ID]*profile.Profile, targets profile.Targets) (going []*profile.Profile, split int, err error) {
	split = -1
	e := &b.Entries[i]
	address := ""
	var stay, leave, doubted []Recipient
	mailbox := ""
	for _, rcpt := range e.Recipients {
		if !(rcpt.Outcome == "" || rcpt.Outcome == Pending || rcpt.Outcome == Uncertain) {
			stay = append(stay, rcpt)
			continue
		}
		p := profiles[rcpt.Profile]
		reason := r.skip(b, e, p, targets)
		if reason == "" {
			if reason, err = r.listedTwice(ctx, b, p); err != nil {
				return nil, -1, err
			}
		}
		var to string
		if reason == "" && !e.fixedAddress(b) {
			if to, err = username.Deliverable(p.Email); err != nil {
				reason = BadAddress // stored under rules that were laxer
			}
		}
		if reason != "" {
			if rcpt.Outcome == Uncertain || e.inDoubt() {
				// A mail may have arrived: that was not skipped, and an event can
				// still tell.
				rcpt.Outcome, rcpt.Reason = Failed, NotConfirmed
				doubted = append(doubted, rcpt)
				continue
			}
			rcpt.Outcome, rcpt.Reason = Skipped, reason
			stay = append(stay, rcpt)
			continue
		}
		if len(going) > 0 && p.Mailbox != mailbox && b.Kind != KindNotice {
			leave = append(leave, rcpt)
			continue
		}
		if len(going) == 0 {
			mailbox, address = p.Mailbox, to
		}
		going = append(going, p)
		stay = append(stay, rcpt)
	}
	// Events of the mail that goes now must not speak for those it leaves out.
	apart := Entry{Recipients: doubted, Address: e.Address, MessageID: e.MessageID, Attempts: e.Attempts, At: e.At}
	if len(going) == 0 {
		stay, apart.Recipients = append(stay, doubted...), nil
	}
	e.Recipients = stay
	if len(going) > 0 && !e.fixedAddress(b) {
		e.Address = address
	}
	if len(leave) > 0 {
		split = len(b.Entries)
		b.Entries = append(b.Entries, Entry{Recipients: leave, Taken: e.Taken})
	}
	if len(apart.Recipients) > 0 {
		b.Entries = append(b.Entries, apart)
	}
	return going, split, nil
}

// inDoubt says that an earlier call may have taken the mail.
func (e *Entry) inDoubt() bool { return !e.At.IsZero() }

// fixedAddress says that an entry goes to the address it was made with: a
// notice to the old one, a test, a reset that goes to a main contact. Any other
// address is only where the latest try went.
func (e *Entry) fixedAddress(b *Batch) bool {
	return e.Address != "" && (b.Kind == KindNotice || b.Kind == KindTest || b.Single != nil && b.Single.ToContact != "")
}

// listedTwice finds out who moved to another mailbox during the freeze, so
// that the walk met them in both places: the mail at their present one stands.
func (r *run) listedTwice(ctx context.Context, b *Batch, p *profile.Profile) (string, error) {
	if b.Kind != KindMailing || !p.EpochAt.After(r.mailing.Freeze.At) {
		return "", nil // their address is what it was when the walk began
	}
	found, err := NewFinder(r.Store, b.Organization).In(ctx, r.mailing, p)
	if err != nil || found == nil || found.Batch == nil || found.Batch.Lane == b.Lane && found.Batch.Index == b.Index {
		return "", err
	}
	return TwiceListed, nil
}

// skip says why a profile is not mailed, "" where it is.
func (r *run) skip(b *Batch, e *Entry, p *profile.Profile, targets profile.Targets) string {
	if p == nil {
		return Gone
	}
	if b.Kind == KindNotice || b.Kind == KindTest {
		if r.Now().Sub(b.Single.RequestedAt) > stale {
			return TooLate
		}
		if e.Address == "" && p.Email == "" {
			return NoEmail
		}
		return ""
	}
	single := b.Kind != KindMailing
	if single && !r.Now().Before(b.Single.Ends) {
		return TooLate // a link must not end before it is sent (H11)
	}
	return Unmailable(p, r.settings.Access, targets, Rules{
		Single: single, Login: single || r.mailing.Freeze.HasLogin, WithoutPassword: !single && r.mailing.Freeze.WithoutPassword,
		Addressed: e.fixedAddress(b),
	})
}

// stale is how old a mail without a link may get, while the account is stopped
// say, before it helps nobody any more.
const stale = 7 * 24 * time.Hour

// Rules say what is asked of a recipient beside an address.
type Rules struct {
	Single          bool // one person's own mail: it may go despite do-not-email and earlier bounces (H19)
	Login           bool // the mail carries a link: the right to sign in is asked
	WithoutPassword bool // the audience was those without
	Addressed       bool // the entry has an address of its own
}

// Unmailable is the one rule of who is not mailed and why, "" for who is; the
// freeze, the preview of numbers and the delivery ask it.
func Unmailable(p *profile.Profile, access profile.Access, targets profile.Targets, rules Rules) string {
	switch {
	case p.Email == "" && !rules.Addressed:
		return NoEmail
	case rules.WithoutPassword && p.HasPassword:
		return HasPassword
	case rules.Login && p.Disabled:
		return LoginDisabled
	case rules.Login && !access.MayEnter(p, targets).Allowed:
		return NotAllowed
	case rules.Single:
		return ""
	case p.Undeliverable != nil && p.Undeliverable.Reason == "bounced":
		return BouncedBefore
	case p.Undeliverable != nil:
		return OnSuppression
	case p.DoNotEmail:
		return DoNotEmail
	}
	return ""
}

// render makes the mail of one entry.
func (r *run) render(ctx context.Context, b *Batch, i int, going []*profile.Profile, page *link.Page) (Mail, error) {
	e := &b.Entries[i]
	first := going[0]
	taken := e.Taken
	if first.Username == "" && first.Mailbox != "" && (b.Kind != KindMailing || first.EpochAt.After(r.mailing.Freeze.At)) {
		var err error
		if taken, err = r.mailboxTaken(ctx, b.Organization, first.Mailbox); err != nil {
			return Mail{}, err
		}
	}
	without := 0
	for _, p := range going {
		if p.Username == "" {
			without++
		}
	}
	all := make([]message.Values, len(going))
	for n, p := range going {
		all[n] = r.values(p)
		if page == nil {
			continue
		}
		token, err := page.Mint(r.Rand, p.ID, p.Epoch)
		if err != nil {
			return Mail{}, err
		}
		l := &all[n].Logins[0]
		l.URL = r.settings.Portal("/set-password/" + token.Reveal())
		l.Ends = r.ends
		if p.Username == "" && (taken || without > 1) {
			l.Username, l.UsernameNote = "", message.ChooseUsername
		}
	}
	mail := Mail{To: e.Address, Tag: Tag(b, i)}
	if r.compiled != nil && b.Kind == KindMailing {
		v := message.Join(all...)
		mail.Data = r.compiled.AppendTemplateData(make([]byte, 0, r.size+256), &v)
		r.size = max(r.size, len(mail.Data))
		return mail, nil
	}
	rendered, err := r.standard(ctx, b, all)
	if err != nil {
		return Mail{}, err
	}
	mail.Data = rendered.AppendTemplateData(nil)
	return mail, nil
}

// standard renders a single mail.
func (r *run) standard(ctx context.Context, b *Batch, all []message.Values) (message.Rendered, error) {
	var logins []message.Login
	for _, v := range all {
		logins = append(logins, v.Logins...)
	}
	switch b.Kind {
	case KindReset:
		return message.Reset(r.about, logins[0], message.StaffSent), nil
	case KindRenewal:
		return message.Reset(r.about, logins[0], message.Renewed), nil
	case KindForgot:
		return message.ForgotLogin(r.about, logins), nil
	case KindNotice:
		notice := *b.Single.Notice
		notice.At = message.Moment(b.Single.RequestedAt, r.zone)
		return message.NoticeOf(r.about, notice), nil
	case KindTest:
		return r.test(ctx, b)
	}
	return message.Rendered{}, fmt.Errorf("mailing: no mail of kind %q", b.Kind)
}

// errNoMessage is a test of a message that was emptied since.
var errNoMessage = errors.New("mailing: there is no message to render")

// test renders a mailing as a test: as the chosen profile, with the sample link.
func (r *run) test(ctx context.Context, b *Batch) (message.Rendered, error) {
	content, err := r.Store.Content(ctx, b.Organization, b.Single.TestOf)
	if err != nil {
		return message.Rendered{}, err
	}
	if content.Compiled == nil {
		return message.Rendered{}, errNoMessage
	}
	rendered, err := Preview(ctx, r.Store, r.settings, content.Compiled, b.Single.As, r.Now())
	rendered.Subject = "[Test] " + rendered.Subject
	return rendered, err
}

// SampleToken stands in links of previews and tests; it opens the sample page
// and nothing else (N2).
const SampleToken = "sample"

// Preview renders a message as one profile would get it, by the code that
// sends it, with a link that opens only the sample page (H16).
func Preview(ctx context.Context, store Store, settings *organization.Settings, compiled *message.Compiled, as profile.ID, now time.Time) (message.Rendered, error) {
	p, err := store.Profile(ctx, settings.ID, as)
	if err != nil {
		return message.Rendered{}, err
	}
	r := &run{Delivery: &Delivery{Store: store, Now: func() time.Time { return now }}, settings: settings, about: Association(settings), zone: settings.Zone()}
	r.today = r.date(now)
	v := r.values(p)
	l := &v.Logins[0]
	l.URL = settings.Portal("/set-password/" + SampleToken)
	l.Ends = message.Moment(now.Add(settings.MailingLinkLife()), r.zone)
	if p.Username == "" {
		taken, err := r.mailboxTaken(ctx, settings.ID, p.Mailbox)
		if err != nil {
			return message.Rendered{}, err
		}
		if taken {
			l.Username, l.UsernameNote = "", message.ChooseUsername
		}
	}
	return compiled.Render(&v), nil
}

// date writes the day as a mail shows it, where the organization is.
func (r *run) date(t time.Time) string { return t.In(r.zone).Format("2 January 2006") }

// values are what a mail says of one profile.
func (r *run) values(p *profile.Profile) message.Values {
	l := message.Login{Name: p.Name(), OrganizationName: p.OrganizationName, ProfileID: string(p.ID), Username: p.Username}
	if l.Username == "" {
		if name, ok := username.FromEmail(username.Mailbox(p.Mailbox)); ok {
			l.Username = string(name)
		} else {
			l.UsernameNote = message.ChooseUsername
		}
	}
	if l.OrganizationName == l.Name {
		l.OrganizationName = ""
	}
	return message.Values{
		FirstName: p.FirstName, LastName: p.LastName, Name: p.Name(), OrganizationName: p.OrganizationName, ProfileID: string(p.ID),
		Association: r.about, Today: r.today, Logins: []message.Login{l},
	}
}

// mailboxTaken says whether somebody has the mailbox as username.
func (r *run) mailboxTaken(ctx context.Context, org, mailbox string) (bool, error) {
	if mailbox == "" {
		return false, nil
	}
	id, err := r.Store.Claim(ctx, org, mailbox)
	return id != "", err
}

// open lists the entries that have a recipient of that outcome.
func open(b *Batch, outcome Outcome) []int {
	var which []int
	for i := range b.Entries {
		if slices.ContainsFunc(b.Entries[i].Recipients, func(r Recipient) bool {
			return r.Outcome == outcome || outcome == Pending && r.Outcome == ""
		}) {
			which = append(which, i)
		}
	}
	return which
}

func ignoreMissing(err error) error {
	if err != nil && problem.As(err).Kind == problem.NotFound {
		return nil // what the bell names is gone: there is nothing to do
	}
	return err
}
