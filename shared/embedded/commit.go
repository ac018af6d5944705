package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/memberkey/memberkey/shared/store"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Commits are made in groups: one goroutine takes all that wait, decides each
// in its turn, and writes what they come to in one bbolt transaction, so that
// sixteen callers pay for one fsync. The writes of a group gather in an
// overlay and reach bbolt in the order of their keys: bbolt splits pages only
// when it commits, and unsorted keys make pages that grow without end.

const (
	// A group ends at either bound, whichever comes first; together they bound
	// the memory of the overlay and of bbolt's dirty pages.
	maxGroupRequests = 256
	maxGroupBytes    = 8 << 20
)

type check struct {
	slot []byte
	rev  uint64
}

type write struct {
	slot  []byte
	value []byte // encoded, without its revision; nil deletes
	due   int64
}

type request struct {
	checks []check
	writes []write
	size   int // bytes, as the limits count them
	err    error
	answer chan error
}

// Commit is store.DB's. A context that ends counts until the commit is handed
// over; from there on its answer is waited for (a few milliseconds), so that
// an error of the context always means that nothing was written. Any other
// error than that, ErrClosed and store.ErrConflict comes from the disk; after
// one, what was stored is what the next read says.
func (db *DB) Commit(ctx context.Context, checks []store.Check, writes []store.Write) error {
	r, err := newRequest(checks, writes)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := db.hand(ctx, r); err != nil {
		return err
	}
	return <-r.answer
}

func (db *DB) hand(ctx context.Context, r *request) error {
	db.closing.RLock()
	defer db.closing.RUnlock()
	if db.closed {
		return ErrClosed
	}
	select {
	case db.requests <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// commitGroups is the committer; it ends when requests is closed and empty.
func (db *DB) commitGroups() {
	defer close(db.committed)
	group := make([]*request, 0, maxGroupRequests)
	for r := range db.requests {
		// The callers whom the last group answered are ready to run, and the
		// first to do so woke this goroutine: without a turn for the others
		// every second group would be of one.
		runtime.Gosched()
		group = db.gather(append(group[:0], r))
		err := db.commitGroup(group)
		for _, r := range group {
			if err != nil {
				r.err = err
			}
			r.answer <- r.err
		}
		clear(group)
	}
}

// gather takes what waits beside the first request.
func (db *DB) gather(group []*request) []*request {
	size := group[0].size
	for len(group) < maxGroupRequests && size < maxGroupBytes {
		select {
		case r, ok := <-db.requests:
			if !ok {
				return group
			}
			group = append(group, r)
			size += r.size
		default:
			return group
		}
	}
	return group
}

// commitGroup decides every request (its err is ErrConflict or nil) and writes
// those that pass. Its own error is for all of them: nothing was written.
func (db *DB) commitGroup(group []*request) error {
	tx, err := db.bolt.Begin(true)
	if err != nil {
		return fmt.Errorf("embedded: beginning a commit: %w", err)
	}
	db.giveBack(tx)
	overlay := newOverlay(db, tx)
	for _, r := range group {
		if !overlay.holds(r.checks) {
			r.err = store.ErrConflict
			continue
		}
		overlay.apply(r.writes)
	}
	written, err := overlay.flush()
	if err == nil && written {
		err = tx.Commit()
	}
	if err == nil && written {
		return nil
	}
	if rollback := tx.Rollback(); !errors.Is(rollback, bolterrors.ErrTxClosed) {
		err = errors.Join(err, rollback)
	}
	if err != nil {
		return fmt.Errorf("embedded: committing: %w", err)
	}
	return nil
}

// overlay is the state of the items that a group reads and writes, as it is
// after the requests decided so far.
type overlay struct {
	tx     *bolt.Tx
	stored lookup
	items  map[string]*state
	rev    uint64
}

type state struct {
	slot      []byte
	storedRev uint64 // in the file, 0 where there is none
	storedDue int64
	rev       uint64 // after the group so far
	due       int64
	value     []byte
	written   bool
}

// revBits is the part of a revision that counts the writes of one group; above
// it stands the id of the bbolt transaction, which grows with every commit and
// is kept in the file. So no revision comes twice, not even for a key that was
// deleted and made again, nor after a restart.
const revBits = 20

// A group must not run out of revisions.
const _ = uint(1<<revBits - 1 - maxGroupRequests*store.MaxKeys)

func newOverlay(db *DB, tx *bolt.Tx) *overlay {
	return &overlay{
		tx:     tx,
		stored: lookup{db: db, tx: tx},
		items:  make(map[string]*state),
		rev:    uint64(tx.ID()) << revBits,
	}
}

func (o *overlay) state(slot []byte) *state {
	if s := o.items[string(slot)]; s != nil {
		return s
	}
	s := &state{slot: slot}
	if v := o.stored.get(slot); len(v) >= headerLen {
		s.storedRev, _, s.storedDue = header(v)
		s.rev, s.due = s.storedRev, s.storedDue
	}
	o.items[string(slot)] = s
	return s
}

func (o *overlay) holds(checks []check) bool {
	for _, c := range checks {
		if o.state(c.slot).rev != c.rev {
			return false
		}
	}
	return true
}

func (o *overlay) apply(writes []write) {
	for _, w := range writes {
		s := o.state(w.slot)
		s.written, s.value, s.due, s.rev = true, w.value, w.due, 0
		if w.value != nil {
			o.rev++
			s.rev = o.rev
			setRev(w.value, s.rev)
		}
	}
}

// flush puts the overlay into the transaction, in order of keys; written says
// whether there was anything.
func (o *overlay) flush() (written bool, err error) {
	var changed []*state
	for _, s := range o.items {
		if s.written && (s.value != nil || s.storedRev != 0) {
			changed = append(changed, s)
		}
	}
	slices.SortFunc(changed, func(a, b *state) int { return bytes.Compare(a.slot, b.slot) })

	var moved [tables][]dueChange
	for _, s := range changed {
		bucket := o.tx.Bucket(itemBuckets[s.slot[0]]) // bbolt keeps it
		if s.value == nil {
			err = bucket.Delete(s.slot[1:])
		} else {
			err = bucket.Put(s.slot[1:], s.value)
		}
		if err != nil {
			return false, err
		}
		if s.due == s.storedDue {
			continue
		}
		table := s.slot[0]
		if s.storedDue != 0 {
			moved[table] = append(moved[table], dueChange{key: dueKey(s.storedDue, s.slot)})
		}
		if s.due != 0 {
			moved[table] = append(moved[table], dueChange{key: dueKey(s.due, s.slot), in: true})
		}
	}
	for table, changes := range moved {
		if err := flushDue(o.tx, table, changes); err != nil {
			return false, err
		}
	}
	return len(changed) > 0, nil
}

type dueChange struct {
	key []byte
	in  bool // into the index, or out of it
}

func flushDue(tx *bolt.Tx, table int, changes []dueChange) error {
	if len(changes) == 0 {
		return nil
	}
	slices.SortFunc(changes, func(a, b dueChange) int { return bytes.Compare(a.key, b.key) })
	bucket := tx.Bucket(dueBuckets[table])
	for _, c := range changes {
		var err error
		if c.in {
			err = bucket.Put(c.key, nil)
		} else {
			err = bucket.Delete(c.key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
