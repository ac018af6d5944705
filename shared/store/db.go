// Package store keeps everything: it owns the key schema (keys.go), the
// encoding of records, and the one way in which several records change
// together. It is written once, over the five operations of [DB]; the drivers
// (shared/embedded on bbolt, shared/dynamo on DynamoDB) implement those and
// know nothing of the domain.
//
// The idea that makes this small: a transaction is a function from what it
// reads to what it writes. [Store] runs it against recorded reads and commits
// the writes on the condition that nothing it read has changed; where something
// has, it runs again. Every race in Memberkey (two claims of a username, two
// posts of one link, a pause during a batch) is decided by that one rule, and
// the two drivers cannot disagree about it.
package store

import (
	"context"
	"errors"
)

// Table is one of the six tables; AWS permissions are given per table.
type Table string

const (
	Profiles    Table = "profiles"    // profiles, reverse relations, search rows, settings
	Credentials Table = "credentials" // hashes: only credentials, completion and signin may touch them
	Sessions    Table = "sessions"    // sessions, attempts, devices, forgot limits
	Links       Table = "links"       // link pages
	Mailings    Table = "mailings"    // mailings, lanes, batches, requests, pace, templates
	Activity    Table = "activity"
)

// Tables are all of them.
var Tables = []Table{Profiles, Credentials, Sessions, Links, Mailings, Activity}

// Key names one item. Partition and Sort are valid UTF-8, not empty, at most
// MaxKeyBytes each; Partition has no NUL.
type Key struct {
	Table     Table
	Partition string
	Sort      string
}

// Item is one record, at most MaxItemBytes with its key.
type Item struct {
	Key
	Value []byte
	// Rev is given by the driver: another one after every write of the item,
	// never 0 for an item that exists.
	Rev uint64
	// Expires is when the item may be removed, in Unix seconds; 0 is never. A
	// driver may return an item after that: whoever reads checks.
	Expires int64
	// Due puts the item into the table's index of due items, in Unix
	// milliseconds; 0 leaves it out. Only DueTable has that index.
	Due int64
}

// Check is a condition of a commit: the item still has this revision; 0 means
// that it does not exist.
type Check struct {
	Key
	Rev uint64
}

// Write puts an item, or deletes it.
type Write struct {
	Item   // Rev is ignored
	Delete bool
}

// Range is a part of one partition in order of Sort (bytes).
type Range struct {
	Table     Table
	Partition string
	Prefix    string // only sort keys that begin with it
	After     string // exclusive start (in the direction of the walk); "" is the beginning
	Limit     int    // at most so many items; 0 is a driver's page (at most 1,000)
	Backwards bool
}

// ErrConflict is a commit one of whose checks failed; nothing was written.
var ErrConflict = errors.New("store: an item changed since it was read")

// DB is what a driver does, within the limits of limits.go. All reads are
// strongly consistent but Due, which may lag. An error of a call says nothing
// of what was asked for but the table. An error of Commit that is no
// ErrConflict may come after the writes were taken: a lost answer.
type DB interface {
	// Get returns nil and no error where there is no item.
	Get(ctx context.Context, key Key) (*Item, error)
	// GetMany returns the items in the order of the keys, nil for absent ones.
	GetMany(ctx context.Context, keys []Key) ([]*Item, error)
	// Query returns a range; more says that items follow the last one.
	Query(ctx context.Context, r Range) (items []Item, more bool, err error)
	// Due returns items of the table (DueTable) that are due at or before until
	// (Unix milliseconds), earliest first, at most limit.
	Due(ctx context.Context, table Table, until int64, limit int) ([]Item, error)
	// Commit applies all writes or none. A failed check is ErrConflict. A key
	// stands at most once among the writes and once among the checks; it may
	// stand in both. Checks on items that are not written are conditions all
	// the same. Limits: MaxKeys distinct keys, MaxCommitBytes.
	Commit(ctx context.Context, checks []Check, writes []Write) error
}
