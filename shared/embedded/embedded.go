// Package embedded is [store.DB] on one file of go.etcd.io/bbolt: the store of
// the local system, and what tests use where they want the real thing.
//
// Open it with [Open]; a folder belongs to one process at a time. Everything
// that passes here passes on DynamoDB too, because both keep the limits of
// shared/store.
//
// How it lies in the file: a bucket per table, whose keys are partition, NUL,
// sort and whose values are a header of 24 bytes (revision, expires, due) and
// the body; and a bucket "<table>.due" per table, whose keys are the due time
// and the key of the item. Partitions hold no NUL, so a partition is one range of
// keys and no other partition can reach into it.
//
// How it writes: commit.go. How it stays small in memory: resident.go.
package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memberkey/memberkey/shared/store"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// ErrInUse is an Open of a file that a process has open already.
var ErrInUse = errors.New("is another Memberkey running on this folder?")

// ErrClosed is a call after Close.
var ErrClosed = errors.New("embedded: the store is closed")

// Options of Open; the zero value is safe and durable.
type Options struct {
	// NoSync leaves it to the operating system when a commit reaches the disk:
	// a crash of the process loses nothing, one of the machine may lose or
	// damage the file. For tests and benchmarks.
	NoSync bool
	// Timeout is how long Open waits for another process to let go of the
	// file; 0 is one second.
	Timeout time.Duration
	// MaxSize is how large the file may grow, in bytes; 0 is without end. A
	// commit that needs more fails and changes nothing.
	MaxSize int64
}

const (
	defaultTimeout = time.Second

	pageItems = 1000    // a driver's page of Query, see store.Range
	pageBytes = 1 << 20 // and its size, as DynamoDB's
)

// DB is a store.DB; it may be used by any number of goroutines.
type DB struct {
	bolt *bolt.DB

	requests  chan *request
	committed chan struct{} // closed when the committer has ended
	closing   sync.RWMutex  // held for reading while a request is handed over
	closed    bool

	touched atomic.Int64 // see resident.go
}

var _ store.DB = (*DB)(nil)

// Open opens the file, which is made (0600, its folder 0700) where there is
// none. Where another process has it open, the error is ErrInUse.
func Open(path string, opts Options) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("embedded: making the folder of the store: %w", err)
	}
	timeout := opts.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	file, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:         timeout,
		NoSync:          opts.NoSync,
		MaxSize:         int(opts.MaxSize),
		FreelistType:    bolt.FreelistMapType,
		InitialMmapSize: initialMmapSize,
		NoStatistics:    true, // they cost every read a lock
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("embedded: %s is in use: %w", path, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("embedded: opening %s: %w", path, err)
	}
	if err := makeBuckets(file); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded: preparing %s: %w", path, err), file.Close())
	}
	db := &DB{
		bolt:      file,
		requests:  make(chan *request, maxGroupRequests),
		committed: make(chan struct{}),
	}
	go db.commitGroups()
	return db, nil
}

// makeBuckets writes only where something is missing, so that opening a store
// costs no commit.
func makeBuckets(file *bolt.DB) error {
	var missing [][]byte
	err := file.View(func(tx *bolt.Tx) error {
		for i := range store.Tables {
			for _, name := range [][]byte{itemBuckets[i], dueBuckets[i]} {
				if tx.Bucket(name) == nil {
					missing = append(missing, name)
				}
			}
		}
		return nil
	})
	if err != nil || len(missing) == 0 {
		return err
	}
	return file.Update(func(tx *bolt.Tx) error {
		for _, name := range missing {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close ends the store: commits that wait are made, reads that run are
// waited for, everything later is ErrClosed.
func (db *DB) Close() error {
	db.closing.Lock()
	if db.closed {
		db.closing.Unlock()
		return nil
	}
	db.closed = true
	close(db.requests)
	db.closing.Unlock()
	<-db.committed
	if err := db.bolt.Close(); err != nil {
		return fmt.Errorf("embedded: closing: %w", err)
	}
	return nil
}

// Get is store.DB's.
func (db *DB) Get(ctx context.Context, key store.Key) (*store.Item, error) {
	items, err := db.GetMany(ctx, []store.Key{key})
	if err != nil {
		return nil, err
	}
	return items[0], nil
}

// GetMany is store.DB's: one snapshot, and the keys are looked up in their
// order in the file, which keeps the walk on few pages. A key may be asked
// for twice.
func (db *DB) GetMany(ctx context.Context, keys []store.Key) ([]*store.Item, error) {
	slots := make([][]byte, len(keys))
	order := make([]int, len(keys))
	for i, key := range keys {
		if err := store.ValidateKey(key); err != nil {
			return nil, err
		}
		slots[i], order[i] = slotOf(key), i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(slots[a], slots[b]) })

	items := make([]*store.Item, len(keys))
	err := db.view(ctx, func(tx *bolt.Tx) error {
		lookup := lookup{db: db, tx: tx}
		for _, i := range order {
			v := lookup.get(slots[i])
			if v == nil {
				continue
			}
			item, err := decode(keys[i], v)
			if err != nil {
				return err
			}
			items[i] = &item
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return items, nil
}

// Query is store.DB's. A page of Limit 0 also ends at 1 MB, as DynamoDB's do.
func (db *DB) Query(ctx context.Context, r store.Range) (items []store.Item, more bool, err error) {
	if err := store.ValidateRange(r); err != nil {
		return nil, false, err
	}
	table := tableNumber(r.Table)
	partition := r.Partition + "\x00"
	prefix := []byte(partition + r.Prefix)
	limit, room := r.Limit, -1
	if limit == 0 {
		limit, room = pageItems, pageBytes
	}
	err = db.view(ctx, func(tx *bolt.Tx) error {
		c := tx.Bucket(itemBuckets[table]).Cursor()
		k, v, step := start(c, r, partition, prefix)
		cost := lookupCost
		for ; bytes.HasPrefix(k, prefix); k, v = step() {
			if len(items) == limit || (room >= 0 && cost > room) {
				more = true
				break
			}
			key := store.Key{Table: r.Table, Partition: r.Partition, Sort: string(k[len(partition):])}
			item, err := decode(key, v)
			if err != nil {
				return err
			}
			items = append(items, item)
			cost += len(k) + len(v)
		}
		db.touch(cost)
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	return items, more, nil
}

// start puts the cursor on the first item of the range, if there is one, and
// says how to go on.
func start(c *bolt.Cursor, r store.Range, partition string, prefix []byte) (k, v []byte, step func() (k, v []byte)) {
	after := []byte(partition + r.After)
	if !r.Backwards {
		from := prefix
		if r.After != "" && bytes.Compare(after, prefix) >= 0 {
			from = append(after, 0) // the least key above after
		}
		k, v = c.Seek(from)
		return k, v, c.Next
	}
	// The least key above all that begin with prefix: UTF-8 has no byte 0xFF,
	// so the last byte can always be raised.
	end := bytes.Clone(prefix)
	end[len(end)-1]++
	if r.After != "" && bytes.Compare(after, end) < 0 {
		end = after
	}
	if k, _ = c.Seek(end); k == nil {
		k, v = c.Last()
	} else {
		k, v = c.Prev()
	}
	return k, v, c.Prev
}

// Due is store.DB's; here it never lags.
func (db *DB) Due(ctx context.Context, table store.Table, until int64, limit int) ([]store.Item, error) {
	if err := store.ValidateDue(table, until, limit); err != nil {
		return nil, err
	}
	number := tableNumber(table)
	var items []store.Item
	err := db.view(ctx, func(tx *bolt.Tx) error {
		bodies := tx.Bucket(itemBuckets[number])
		c := tx.Bucket(dueBuckets[number]).Cursor()
		for k, _ := c.First(); k != nil && len(items) < limit && dueOf(k) <= until; k, _ = c.Next() {
			v := bodies.Get(k[dueLen:])
			db.touch(lookupCost + len(v))
			item, err := decode(keyOf(table, k[dueLen:]), v)
			if err != nil {
				return err
			}
			items = append(items, item)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return items, nil
}

func (db *DB) view(ctx context.Context, read func(*bolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := db.bolt.View(read)
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

// lookup finds single items in one transaction, with one cursor a table.
type lookup struct {
	db      *DB
	tx      *bolt.Tx
	cursors [tables]*bolt.Cursor
}

// get returns nil where there is no item.
func (l *lookup) get(slot []byte) []byte {
	c := l.cursors[slot[0]]
	if c == nil {
		c = l.tx.Bucket(itemBuckets[slot[0]]).Cursor()
		l.cursors[slot[0]] = c
	}
	k, v := c.Seek(slot[1:])
	if !bytes.Equal(k, slot[1:]) {
		v = nil
	}
	l.db.touch(lookupCost + len(v))
	return v
}

// tables is how many there are; a slot names one by its place in store.Tables.
const tables = 6

var itemBuckets, dueBuckets = bucketNames()

func bucketNames() (items, due [tables][]byte) {
	for i, table := range store.Tables {
		items[i], due[i] = []byte(table), []byte(string(table)+".due")
	}
	return items, due
}

func tableNumber(table store.Table) int { return slices.Index(store.Tables, table) }

// slotOf is where an item lies: the number of its table, then its key in the
// bucket. Slots in order of bytes are items in the order of the file.
func slotOf(key store.Key) []byte {
	slot := make([]byte, 0, 1+len(key.Partition)+1+len(key.Sort))
	slot = append(slot, byte(tableNumber(key.Table)))
	slot = append(slot, key.Partition...)
	slot = append(slot, 0)
	return append(slot, key.Sort...)
}

// keyOf reads a key of an item bucket.
func keyOf(table store.Table, k []byte) store.Key {
	partition, sort, _ := strings.Cut(string(k), "\x00")
	return store.Key{Table: table, Partition: partition, Sort: sort}
}

// The header of a value: revision, expires, due, big-endian.
const headerLen = 24

func encode(item store.Item) []byte {
	v := make([]byte, headerLen, headerLen+len(item.Value))
	binary.BigEndian.PutUint64(v[8:], uint64(item.Expires))
	binary.BigEndian.PutUint64(v[16:], uint64(item.Due))
	return append(v, item.Value...)
}

func setRev(v []byte, rev uint64) { binary.BigEndian.PutUint64(v, rev) }

func header(v []byte) (rev uint64, expires, due int64) {
	return binary.BigEndian.Uint64(v), int64(binary.BigEndian.Uint64(v[8:])), int64(binary.BigEndian.Uint64(v[16:]))
}

func errDamaged(table store.Table, v []byte) error {
	return fmt.Errorf("embedded: the file is damaged: an item of table %s has %d bytes", table, len(v))
}

// decode copies: v is a part of the mapped file and ends with the transaction.
func decode(key store.Key, v []byte) (store.Item, error) {
	if len(v) < headerLen {
		return store.Item{}, errDamaged(key.Table, v)
	}
	item := store.Item{Key: key, Value: bytes.Clone(v[headerLen:])}
	item.Rev, item.Expires, item.Due = header(v)
	return item, nil
}

// A key of a due bucket: the time, so that the earliest is first, and the key
// of the item.
const dueLen = 8

func dueKey(due int64, slot []byte) []byte {
	k := make([]byte, dueLen, dueLen+len(slot)-1)
	binary.BigEndian.PutUint64(k, uint64(due))
	return append(k, slot[1:]...)
}

func dueOf(k []byte) int64 { return int64(binary.BigEndian.Uint64(k)) }
