package embedded_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"runtime/debug"
	"strconv"
	"testing"

	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/store"
)

// Walking and looking up all of a file that is much larger than what may stay
// resident leaves it within bounds.
func TestResidentSizeIsBounded(t *testing.T) {
	const (
		items   = 1200
		size    = 100_000 // 120 MB in all
		atMost  = 90 << 20
		perPage = 20
	)
	db := open(t, file(t), embedded.Options{NoSync: true})
	defer debug.FreeOSMemory() // for the tests that come after

	most := int64(0)
	base := resident(t, "RssFile")
	look := func() { most = max(most, resident(t, "RssFile")-base) }

	value := bytes.Repeat([]byte("x"), size)
	key := func(i int) store.Key {
		return store.Key{Table: store.Mailings, Partition: "p", Sort: fmt.Sprintf("%04d", i)}
	}
	for i := 0; i < items; i += perPage {
		var writes []store.Write
		for j := range perPage {
			writes = append(writes, store.Write{Item: store.Item{Key: key(i + j), Value: value}})
		}
		commit(t, db, nil, writes...)
		look()
	}
	seen := 0
	for r, more := (store.Range{Table: store.Mailings, Partition: "p", Limit: perPage}), true; more; {
		var page []store.Item
		var err error
		if page, more, err = db.Query(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		seen += len(page)
		r.After = page[len(page)-1].Sort
		look()
	}
	if seen != items {
		t.Fatalf("%d items, want %d", seen, items)
	}
	for i := range items {
		if item := get(t, db, key(i*7%items)); !bytes.Equal(item.Value, value) {
			t.Fatalf("item %d is not as written", i)
		}
		look()
	}
	t.Logf("resident of the file: at most %d MiB of %d", most>>20, items*size>>20)
	if most > atMost {
		t.Errorf("%d MiB of the file were resident, want at most %d", most>>20, atMost>>20)
	}
}

// resident reads a line of /proc/self/status, in bytes.
func resident(t *testing.T, name string) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(status)
	if match == nil {
		t.Fatalf("/proc/self/status has no %s", name)
	}
	kib, err := strconv.ParseInt(string(match[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
