package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/memberkey/memberkey/shared/problem"
)

// Store reads and writes the domain's records.
type Store struct {
	DB DB
}

// attempts is how often a transaction runs before it gives up as busy.
const attempts = 6

// ErrBusy is what a transaction that keeps losing ends with.
var ErrBusy = problem.New(problem.Busy, "busy", "", "Many people are changing the same thing at this moment. Nothing was changed; please try again.")

// Tx is a transaction in the making: it remembers what it read and what it
// will write. It must not be kept or used by two goroutines.
type Tx struct {
	ctx    context.Context
	db     DB
	reads  map[Key]*Item // nil where there was no item
	writes map[Key]Write
}

// Update runs fn and commits what it wrote, all or nothing, provided that
// nothing it read has changed meanwhile; otherwise it runs fn again. An error
// of fn ends it without a write. fn must have no effect of its own but on
// variables that it sets anew at every run.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	for try := 0; ; try++ {
		tx := &Tx{ctx: ctx, db: s.DB, reads: map[Key]*Item{}, writes: map[Key]Write{}}
		if err := fn(tx); err != nil {
			return err
		}
		err := tx.commit()
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if try+1 == attempts {
			return ErrBusy.Because(err)
		}
		wait := time.Duration(rand.IntN(4<<try)+1) * time.Millisecond
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (tx *Tx) commit() error {
	if len(tx.writes) == 0 {
		return nil
	}
	checks := make([]Check, 0, len(tx.reads))
	for key, item := range tx.reads {
		c := Check{Key: key}
		if item != nil {
			c.Rev = item.Rev
		}
		checks = append(checks, c)
	}
	writes := make([]Write, 0, len(tx.writes))
	for _, w := range tx.writes {
		writes = append(writes, w)
	}
	return tx.db.Commit(tx.ctx, checks, writes)
}

// prefetch reads several items at once, for those that will be asked for.
func (tx *Tx) prefetch(keys []Key) error {
	missing := make([]Key, 0, len(keys))
	for _, k := range keys {
		if _, ok := tx.reads[k]; !ok {
			tx.reads[k] = nil
			missing = append(missing, k)
		}
	}
	items, err := tx.db.GetMany(tx.ctx, missing)
	if err != nil {
		return err
	}
	for i, item := range items {
		tx.reads[missing[i]] = item
	}
	return nil
}

// get returns the item as this transaction sees it, nil where there is none.
func (tx *Tx) get(key Key) (*Item, error) {
	if w, ok := tx.writes[key]; ok {
		if w.Delete {
			return nil, nil
		}
		return &w.Item, nil
	}
	if item, ok := tx.reads[key]; ok {
		return item, nil
	}
	item, err := tx.db.Get(tx.ctx, key)
	if err != nil {
		return nil, err
	}
	tx.reads[key] = item
	return item, nil
}

func (tx *Tx) put(item Item) { tx.writes[item.Key] = Write{Item: item} }

func (tx *Tx) delete(key Key) { tx.writes[key] = Write{Item: Item{Key: key}, Delete: true} }

// View gives a domain package its transactions: T is the interface in which
// that package declares what it needs, and *Tx has it all. Reading methods are
// the Store's own.
type View[T any] struct{ *Store }

// For makes the view of one domain package.
func For[T any](s *Store) View[T] {
	if _, ok := any((*Tx)(nil)).(T); !ok {
		panic(fmt.Sprintf("store: a transaction is no %T", (*T)(nil)))
	}
	return View[T]{s}
}

// Update is Store.Update in the domain's own terms.
func (v View[T]) Update(ctx context.Context, fn func(T) error) error {
	return v.Store.Update(ctx, func(tx *Tx) error { return fn(any(tx).(T)) })
}

// read decodes an item; nil where there is none.
func read[T any](item *Item) (*T, error) {
	if item == nil {
		return nil, nil
	}
	v := new(T)
	if err := json.Unmarshal(item.Value, v); err != nil {
		return nil, fmt.Errorf("store: %s %s: %w", item.Table, item.Sort, err)
	}
	return v, nil
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("store: %T does not encode: %v", v, err)) // our own plain records: a fault of the program
	}
	return b
}

func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
