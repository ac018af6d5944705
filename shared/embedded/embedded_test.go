package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/store"
	"github.com/memberkey/memberkey/shared/store/storetest"
)

func open(t testing.TB, path string, opts embedded.Options) *embedded.DB {
	t.Helper()
	db, err := embedded.Open(path, opts)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { shut(t, db) })
	return db
}

func shut(t testing.TB, db *embedded.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "memberkey.db") }

func put(table store.Table, partition, sort, value string) store.Write {
	return store.Write{Item: store.Item{Key: store.Key{Table: table, Partition: partition, Sort: sort}, Value: []byte(value)}}
}

func commit(t testing.TB, db *embedded.DB, checks []store.Check, writes ...store.Write) {
	t.Helper()
	if err := db.Commit(t.Context(), checks, writes); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

func get(t testing.TB, db *embedded.DB, key store.Key) *store.Item {
	t.Helper()
	item, err := db.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return item
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.DB { return open(t, file(t), embedded.Options{}) })
}

func TestRaces(t *testing.T) {
	storetest.Races(t, func(t *testing.T) store.DB { return open(t, file(t), embedded.Options{NoSync: true}) })
}

func TestContractOnOneSharedFile(t *testing.T) {
	db := open(t, file(t), embedded.Options{NoSync: true})
	storetest.Run(t, func(t *testing.T) store.DB { return db })
}

func TestOpenMakesPrivateFiles(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new", "data")
	path := filepath.Join(folder, "memberkey.db")
	open(t, path, embedded.Options{})
	for name, want := range map[string]os.FileMode{folder: 0o700, path: 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), want)
		}
	}
}

func TestOpenOfAFileInUse(t *testing.T) {
	path := file(t)
	first := open(t, path, embedded.Options{})
	_, err := embedded.Open(path, embedded.Options{Timeout: 60 * time.Millisecond})
	if !errors.Is(err, embedded.ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("Open: %v, want ErrInUse and the path", err)
	}
	shut(t, first)
	open(t, path, embedded.Options{})
}

func TestOpenOfWhatIsNoStore(t *testing.T) {
	path := file(t)
	if err := os.WriteFile(path, []byte(strings.Repeat("not a store ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Open(path, embedded.Options{}); err == nil {
		t.Error("Open passed")
	}
	if _, err := embedded.Open(filepath.Join(path, "below a file"), embedded.Options{}); err == nil {
		t.Error("Open below a file passed")
	}
}

func TestReopen(t *testing.T) {
	path := file(t)
	item := put(store.Mailings, "org#request", "s", "kept")
	item.Expires, item.Due = 1_000_000_000, 5 // over long ago, and kept until Purge
	revs := map[uint64]bool{}
	for range 5 {
		db := open(t, path, embedded.Options{})
		if len(revs) > 0 {
			got := get(t, db, item.Key)
			if got == nil || string(got.Value) != "kept" || got.Expires != item.Expires || got.Due != item.Due || !revs[got.Rev] {
				t.Fatalf("after reopening: %+v", got)
			}
			commit(t, db, []store.Check{{Key: item.Key, Rev: got.Rev}}, store.Write{Item: item.Item, Delete: true})
		}
		commit(t, db, []store.Check{{Key: item.Key}}, item)
		rev := get(t, db, item.Key).Rev
		if revs[rev] {
			t.Fatalf("revision %d comes twice", rev)
		}
		revs[rev] = true
		shut(t, db)
	}
}

func TestClosed(t *testing.T) {
	db := open(t, file(t), embedded.Options{})
	key := store.Key{Table: store.Profiles, Partition: "p", Sort: "s"}
	shut(t, db)
	shut(t, db) // twice is no error
	ctx := t.Context()
	for what, call := range map[string]func() error{
		"Get":    func() error { _, err := db.Get(ctx, key); return err },
		"Query":  func() error { _, _, err := db.Query(ctx, store.Range{Table: key.Table, Partition: "p"}); return err },
		"Due":    func() error { _, err := db.Due(ctx, store.DueTable, 1, 1); return err },
		"Commit": func() error { return db.Commit(ctx, nil, []store.Write{put(store.Profiles, "p", "s", "")}) },
		"Purge":  func() error { _, err := db.Purge(ctx, time.Unix(1, 0)); return err },
	} {
		if err := call(); !errors.Is(err, embedded.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", what, err)
		}
	}
}

// A commit that was answered before or while the store closed is in the file,
// one that was refused is not.
func TestCloseUnderLoad(t *testing.T) {
	path := file(t)
	db := open(t, path, embedded.Options{})
	const writers = 16
	last := make([]int, writers)
	running := make(chan struct{}, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := 1; ; n++ {
				err := db.Commit(context.Background(), nil, []store.Write{put(store.Profiles, "p", strconv.Itoa(w), strconv.Itoa(n))})
				if err != nil {
					if !errors.Is(err, embedded.ErrClosed) {
						t.Errorf("Commit: %v, want ErrClosed", err)
					}
					return
				}
				if last[w] = n; n == 3 {
					running <- struct{}{}
				}
			}
		})
	}
	for range writers {
		<-running
	}
	shut(t, db)
	wg.Wait()
	db = open(t, path, embedded.Options{})
	for w, n := range last {
		item := get(t, db, store.Key{Table: store.Profiles, Partition: "p", Sort: strconv.Itoa(w)})
		if got := string(item.Value); got != strconv.Itoa(n) {
			t.Errorf("writer %d: the file says %s, the last answer was %d", w, got, n)
		}
	}
}

// GetMany sees one state of the store: here, one that never holds half a pair.
func TestGetManyIsOneSnapshot(t *testing.T) {
	db := open(t, file(t), embedded.Options{NoSync: true})
	pair := func(n int) []store.Write {
		return []store.Write{
			put(store.Profiles, "p", "s", strconv.Itoa(n)),
			put(store.Activity, "p", "s", strconv.Itoa(n)),
		}
	}
	commit(t, db, nil, pair(0)...)
	keys := []store.Key{pair(0)[1].Key, pair(0)[0].Key}
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				items, err := db.GetMany(context.Background(), keys)
				if err != nil {
					t.Errorf("GetMany: %v", err)
					return
				}
				if a, b := string(items[0].Value), string(items[1].Value); a != b {
					t.Errorf("half a pair: %s and %s", a, b)
					return
				}
			}
		})
	}
	for n := range 500 {
		commit(t, db, nil, pair(n)...)
	}
	close(done)
	wg.Wait()
}

// The disk is full, as far as bbolt can tell: the commits fail for all who
// wait, nothing changes, and the store goes on when there is room again.
func TestFailingCommit(t *testing.T) {
	db := open(t, file(t), embedded.Options{NoSync: true, MaxSize: 1 << 20})
	kept := put(store.Mailings, "p", "kept", strings.Repeat("k", 1000))
	kept.Due = 10
	commit(t, db, nil, kept)
	before := get(t, db, kept.Key)

	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			changed := kept
			changed.Value, changed.Due = []byte("changed"), 20
			writes := []store.Write{changed}
			for i := range 4 {
				writes = append(writes, put(store.Mailings, "p", fmt.Sprintf("big %d %d", w, i), strings.Repeat("x", 390_000)))
			}
			err := db.Commit(context.Background(), nil, writes)
			if err == nil || errors.Is(err, store.ErrConflict) {
				t.Errorf("Commit of more than fits: %v", err)
			}
		})
	}
	wg.Wait()

	items, _, err := db.Query(t.Context(), store.Range{Table: store.Mailings, Partition: "p"})
	if err != nil || len(items) != 1 || items[0].Rev != before.Rev || string(items[0].Value) != string(kept.Value) {
		t.Fatalf("after the failure: %d items, %v", len(items), err)
	}
	due, err := db.Due(t.Context(), store.Mailings, 100, 10)
	if err != nil || len(due) != 1 || due[0].Due != 10 {
		t.Fatalf("after the failure, due: %d items, %v", len(due), err)
	}
	commit(t, db, []store.Check{{Key: kept.Key, Rev: before.Rev}}, put(store.Mailings, "p", "kept", "small"))
	if after := get(t, db, kept.Key); after.Rev == before.Rev {
		t.Error("the revision came twice")
	}
}
