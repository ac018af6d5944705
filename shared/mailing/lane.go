package mailing

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/memberkey/memberkey/shared/problem"
)

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
			if errors.Is(err, errLost) {
				return nil
			}
			return err
		}
		err = w.commit(ctx, upcoming)
		for try := 0; busy(err) && try < maxTries; try++ {
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
	w.giveBack(ctx)
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
	if busy(err) {
		return nil, nil // another bell of the same lane was quicker
	}
	return claimed, err
}

// busy says that others wrote the same things until the store gave up.
func busy(err error) bool { return err != nil && problem.As(err).Kind == problem.Busy }

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
	turn      time.Time // when the next of them may go
	pace      Pace      // as it was when it was reserved
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
		wait, err := w.reserve(ctx, len(b.Entries), stopAt.Sub(w.Now()))
		if err != nil {
			return nil, err
		}
		if w.halted {
			w.unread(b)
			return nil, nil
		}
		if wait > 0 {
			if w.Now().Add(wait).After(stopAt) {
				// The next holder has the time to wait; a longer wait is the sweep's.
				w.again = wait < w.Budget
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

// ahead is how much of its share of the pace a lane reserves at once: each lane
// writes the shared record once in so long, not once a batch.
const ahead = 8 * time.Second

// reserve takes the pace for n mails; wait is what must pass before they may
// go. A lane reserves some batches ahead, and spreads them over the time that
// it reserved.
func (w *worker) reserve(ctx context.Context, n int, patience time.Duration) (wait time.Duration, err error) {
	now := w.Now()
	if w.unpaced && now.Sub(w.paceRead) < time.Second {
		return 0, nil
	}
	if w.allowance >= n {
		if wait = max(0, w.turn.Sub(now)); wait <= patience {
			w.allowance -= n
			w.turn = now.Add(wait + w.pace.span(n))
		}
		return wait, nil
	}
	var p *Pace
	var take int
	err = w.Store.Update(ctx, func(tx Tx) (err error) {
		take, wait = 0, 0
		if p, err = tx.Pace(); err != nil || p.halted() || p.unlimited() || !p.room(n) {
			return err
		}
		if wait = p.wait(w.Now()); wait > patience {
			return nil // whoever comes back later reserves then: time kept for nobody is lost
		}
		take = n
		if more := w.ahead(p, n); p.room(more) {
			take = more
		}
		p.reserve(w.Now(), take)
		tx.PutPace(p)
		return nil
	})
	if err != nil {
		return 0, err
	}
	w.pace, w.paceRead, w.unpaced = *p, now, p.unlimited()
	switch {
	case p.halted():
		w.halted = true
		w.Log.ErrorContext(ctx, NobodyCanBeMailed, "reason", p.Reason)
		return 0, w.stopMailing(ctx, Paused, p.Reason)
	case take == 0 && !w.unpaced && wait == 0:
		w.halted = true
		return 0, w.stopMailing(ctx, WaitingQuota, "daily_quota")
	case take > 0:
		w.allowance += take - n
		w.turn = now.Add(wait + p.span(n))
	}
	return wait, nil
}

// ahead is how many mails to reserve where n are to go: whole batches.
func (w *worker) ahead(p *Pace, n int) int {
	switch rate := p.BulkRate(); {
	case w.lane == nil || n == 0:
		return n // one mail, or what is left of a batch
	case rate == 0:
		return 4 * n // only the day's quota is counted
	default:
		share := int(rate*ahead.Seconds()) / max(1, w.mailing.Freeze.Lanes)
		return max(n, share/n*n)
	}
}

// giveBack returns the pace that was reserved ahead and not used.
func (w *worker) giveBack(ctx context.Context) {
	if w.allowance == 0 {
		return
	}
	err := w.Store.Update(ctx, func(tx Tx) error {
		p, err := tx.Pace()
		if err != nil {
			return err
		}
		p.giveBack(w.allowance)
		tx.PutPace(p)
		return nil
	})
	if err != nil {
		w.Log.WarnContext(ctx, "pace not given back", "error", err)
	}
	w.allowance = 0
}

// commit stores, in one transaction, the outcomes of the call before and the
// intent of the next; with no next one it lets the lane go.
func (w *worker) commit(ctx context.Context, next *outgoing) error {
	now := w.Now()
	var lost bool
	var seen *Mailing
	err := w.Store.Update(ctx, func(tx Tx) error {
		lost = false
		if w.sent != nil {
			var err error
			if seen, err = tx.PrefetchBatchOf(*w.sent.batch); err != nil {
				return err
			}
		}
		l, err := tx.Lane(w.lane.Organization, w.lane.Mailing, w.lane.Generation, w.lane.Number)
		if err != nil {
			return err
		}
		if l == nil {
			lost = true
			return nil
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
	if seen != nil {
		w.mailing, w.looked = seen, now
	}
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

// stopMailing pauses or parks a mailing that is being sent.
func (w *worker) stopMailing(ctx context.Context, to State, reason string) error {
	if w.mailing == nil {
		return nil // a single mail that waits behind the others: it comes again
	}
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

// abandon marks what a dead holder may or may not have sent as uncertain.
func (w *worker) abandon(ctx context.Context, b *Batch) error {
	return w.Store.Update(ctx, func(tx Tx) error {
		l, err := w.held(tx)
		if err != nil {
			return err
		}
		stored, err := tx.Batch(*b)
		if err != nil || stored == nil || stored.State != BatchIntent || stored.Fence == l.Fence {
			return err
		}
		l.Tally.Add(stored.revise(func() {
			for i := range stored.Entries {
				stored.Entries[i].doubt()
			}
		}))
		tx.PutBatch(stored, w.due(stored))
		return tx.PutTally(l)
	})
}

// held reads the lane, if it is still this worker's.
func (w *worker) held(tx Tx) (*Lane, error) {
	l, err := tx.Lane(w.lane.Organization, w.lane.Mailing, w.lane.Generation, w.lane.Number)
	if err == nil && (l == nil || l.Fence != w.lane.Fence) {
		err = errLost
	}
	return l, err
}

// cancelLane skips what was not tried yet, some batches in a transaction.
func (d *Delivery) cancelLane(ctx context.Context, bell Bell) error {
	lane, err := d.claim(ctx, bell)
	if lane == nil || err != nil {
		return err
	}
	w := &worker{run: &run{Delivery: d}, lane: lane}
	stopAt := d.Now().Add(d.Budget)
	for from, more := lane.Next, true; more && err == nil; {
		if d.Now().After(stopAt) || ctx.Err() != nil {
			err = w.release(ctx)
			break
		}
		from, more, err = w.cancelSome(ctx, from)
	}
	if errors.Is(err, errLost) {
		return nil // whoever took it over goes on
	}
	return err
}

// cancelSome skips what was not tried in some batches, and tells where the
// lane goes on.
func (w *worker) cancelSome(ctx context.Context, from int) (next int, more bool, err error) {
	batches, more, err := w.Store.Batches(ctx, w.lane.Organization, w.lane.Mailing, w.lane.Generation, w.lane.Number, from, 16)
	if err != nil {
		return from, false, err
	}
	next = from
	for _, b := range batches {
		next = b.Index + 1
		if b.State == BatchIntent {
			if err := w.abandon(ctx, b); err != nil {
				return next, false, err
			}
		}
	}
	return next, more, w.Store.Update(ctx, func(tx Tx) error {
		l, err := w.held(tx)
		if err != nil {
			return err
		}
		for _, b := range batches {
			b, err := tx.Batch(*b)
			if err != nil {
				return err
			}
			if b == nil {
				continue
			}
			skipped := false
			change := b.revise(func() { skipped = cancelOpen(b) })
			if !skipped {
				continue
			}
			l.Tally.Add(change)
			if b.At.IsZero() {
				b.At = w.Now() // from now on it expires
			}
			tx.PutBatch(b, w.due(b))
		}
		l.Next, l.LeaseUntil = next, w.Now().Add(w.Lease)
		due := l.LeaseUntil
		if !more {
			l.Finished, l.LeaseUntil, due = true, time.Time{}, time.Time{}
		}
		tx.PutLane(l, due)
		return nil
	})
}

// release gives the lane back before its lease ends; the sweep rings for it.
func (w *worker) release(ctx context.Context) error {
	return w.Store.Update(ctx, func(tx Tx) error {
		l, err := w.held(tx)
		if err != nil {
			return err
		}
		l.LeaseUntil = time.Time{}
		tx.PutLane(l, w.Now())
		return nil
	})
}

// cancelOpen skips the pending recipients of a batch of a cancelled mailing.
func cancelOpen(b *Batch) (any bool) {
	for i := range b.Entries {
		e := &b.Entries[i]
		for k := range e.Recipients {
			if r := &e.Recipients[k]; r.open() {
				r.Outcome, r.Reason, any = Skipped, WasCancelled, true
				if e.inDoubt() {
					r.Outcome, r.Reason = Failed, NotConfirmed
				}
			}
		}
	}
	return any
}
