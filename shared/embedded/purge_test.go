package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/store"
)

var purgeTime = time.Unix(1_800_000_000, 0)

func TestPurge(t *testing.T) {
	db := open(t, file(t), embedded.Options{NoSync: true})
	const perTable = 2500 // more than one look of Purge
	kept := 0
	for _, table := range store.Tables {
		var writes []store.Write
		for i := range perTable {
			w := put(table, fmt.Sprintf("p%d", i%7), strconv.Itoa(i), "")
			switch i % 4 {
			case 0:
				w.Expires = purgeTime.Unix() // the last moment that goes
			case 1:
				w.Expires = purgeTime.Unix() + 1
				kept++
			case 2:
				w.Expires = 1
				if table == store.DueTable {
					w.Due = int64(i + 1)
				}
			case 3:
				kept++
			}
			if writes = append(writes, w); len(writes) == 100 {
				commit(t, db, nil, writes...)
				writes = nil
			}
		}
	}
	removed, err := db.Purge(t.Context(), purgeTime)
	if want := len(store.Tables)*perTable - kept; err != nil || removed != want {
		t.Fatalf("Purge: %d, %v, want %d", removed, err, want)
	}
	left := 0
	for _, table := range store.Tables {
		for p := range 7 {
			items, more, err := db.Query(t.Context(), store.Range{Table: table, Partition: fmt.Sprintf("p%d", p)})
			if err != nil || more {
				t.Fatalf("Query: more %t, %v", more, err)
			}
			for _, item := range items {
				if item.Expires != 0 && item.Expires <= purgeTime.Unix() {
					t.Fatalf("%v expired and is there", item.Key)
				}
			}
			left += len(items)
		}
	}
	if due, err := db.Due(t.Context(), store.DueTable, 1<<62, 10); err != nil || len(due) != 0 {
		t.Errorf("%d removed items are still due, %v", len(due), err)
	}
	if left != kept {
		t.Errorf("%d items are left, want %d", left, kept)
	}
	if removed, err := db.Purge(t.Context(), purgeTime); err != nil || removed != 0 {
		t.Errorf("Purge again: %d, %v", removed, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.Purge(ctx, purgeTime); !errors.Is(err, context.Canceled) {
		t.Errorf("Purge with an ended context: %v", err)
	}
}

// What is prolonged while Purge runs stays: whoever is told that an item was
// prolonged finds it, and all others are gone.
func TestPurgeSparesWhatIsProlonged(t *testing.T) {
	db := open(t, file(t), embedded.Options{NoSync: true})
	const sessions = 1000
	var writes []store.Write
	for i := range sessions {
		w := put(store.Sessions, "p", strconv.Itoa(i), "")
		w.Expires = 1
		writes = append(writes, w)
		if len(writes) == 100 {
			commit(t, db, nil, writes...)
			writes = nil
		}
	}
	prolonged := make([]bool, sessions)
	var wg sync.WaitGroup
	for part := range 4 {
		wg.Go(func() {
			for i := part; i < sessions; i += 4 * 5 { // every fifth
				key := store.Key{Table: store.Sessions, Partition: "p", Sort: strconv.Itoa(i)}
				item, err := db.Get(context.Background(), key)
				if err != nil {
					t.Errorf("Get: %v", err)
					return
				}
				if item == nil {
					continue
				}
				check := store.Check{Key: key, Rev: item.Rev}
				item.Expires = 0
				err = db.Commit(context.Background(), []store.Check{check}, []store.Write{{Item: *item}})
				if err != nil && !errors.Is(err, store.ErrConflict) {
					t.Errorf("Commit: %v", err)
					return
				}
				prolonged[i] = err == nil
			}
		})
	}
	removed := 0
	wg.Go(func() {
		var err error
		if removed, err = db.Purge(context.Background(), purgeTime); err != nil {
			t.Errorf("Purge: %v", err)
		}
	})
	wg.Wait()
	kept := 0
	for i, want := range prolonged {
		if got := get(t, db, store.Key{Table: store.Sessions, Partition: "p", Sort: strconv.Itoa(i)}) != nil; got != want {
			t.Errorf("session %d: there %t, prolonged %t", i, got, want)
		}
		if want {
			kept++
		}
	}
	if removed != sessions-kept {
		t.Errorf("Purge removed %d, want %d", removed, sessions-kept)
	}
}
