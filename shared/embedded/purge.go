package embedded

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/memberkey/memberkey/shared/store"
	bolt "go.etcd.io/bbolt"
)

// purgeItems is how many items Purge looks at in one transaction: an open one
// keeps bbolt from using freed pages again.
const purgeItems = 2000

// Purge removes the items whose Expires is at or before now, which DynamoDB
// does by itself. It walks all tables in small transactions and removes by
// ordinary commits on the condition that the item is still the one it saw, so
// it may run beside everything else, be interrupted and run again. It returns
// how many items it removed, also with an error.
func (db *DB) Purge(ctx context.Context, now time.Time) (removed int, err error) {
	for number, table := range store.Tables {
		var next []byte
		for more := true; more; {
			var expired []store.Check
			expired, next, err = db.expired(ctx, number, table, next, now.Unix())
			if err != nil {
				return removed, err
			}
			n, err := db.remove(ctx, expired)
			removed += n
			if err != nil {
				return removed, err
			}
			more = next != nil
		}
	}
	return removed, nil
}

// expired walks one transaction's worth of a table and says where to go on;
// next is nil at its end.
func (db *DB) expired(ctx context.Context, number int, table store.Table, from []byte, until int64) (expired []store.Check, next []byte, err error) {
	err = db.view(ctx, func(tx *bolt.Tx) error {
		c := tx.Bucket(itemBuckets[number]).Cursor()
		cost := lookupCost
		k, v := c.Seek(from)
		for seen := 0; k != nil; k, v = c.Next() {
			if seen++; seen > purgeItems || len(expired) == store.MaxKeys {
				next = bytes.Clone(k)
				break
			}
			cost += len(k) + len(v)
			if len(v) < headerLen {
				return errDamaged(table, v)
			}
			if rev, expires, _ := header(v); expires != 0 && expires <= until {
				expired = append(expired, store.Check{Key: keyOf(table, k), Rev: rev})
			}
		}
		db.touch(cost)
		db.giveBack(tx)
		return nil
	})
	return expired, next, err
}

// remove deletes all of them in one commit; where one was written meanwhile,
// the others are deleted one by one.
func (db *DB) remove(ctx context.Context, expired []store.Check) (removed int, err error) {
	if len(expired) == 0 {
		return 0, nil
	}
	writes := make([]store.Write, len(expired))
	for i, c := range expired {
		writes[i] = store.Write{Item: store.Item{Key: c.Key}, Delete: true}
	}
	err = db.Commit(ctx, expired, writes)
	switch {
	case err == nil:
		return len(expired), nil
	case !errors.Is(err, store.ErrConflict):
		return 0, err
	case len(expired) == 1:
		return 0, nil
	}
	for _, c := range expired {
		n, err := db.remove(ctx, []store.Check{c})
		if err != nil {
			return removed, err
		}
		removed += n
	}
	return removed, nil
}
