package embedded_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/store"
)

// A store that is written, walked and looked up, all of a file that is
// much larger than what may stay resident, stays within bounds.
func TestResidentSizeIsBounded(t *testing.T) {
	const (
		items   = 1200
		size    = 100_000 // 120 MB in all
		atMost  = 90 << 20
		perPage = 20
	)
	db := open(t, file(t), embedded.Options{NoSync: true})
	base := resident(t, "RssFile")
	key := func(i int) store.Key {
		return store.Key{Table: store.Mailings, Partition: "p", Sort: fmt.Sprintf("%04d", i)}
	}
	value := bytes.Repeat([]byte("x"), size)
	work := func(name string, step func(i int), steps int) {
		most := int64(0)
		for i := range steps {
			step(i)
			most = max(most, resident(t, "RssFile")-base)
		}
		t.Logf("%s: at most %d MiB of the file were resident", name, most>>20)
		if most > atMost {
			t.Errorf("%s: %d MiB of the file were resident, want at most %d", name, most>>20, atMost>>20)
		}
	}
	work("writing", func(i int) {
		var writes []store.Write
		for j := range perPage {
			writes = append(writes, store.Write{Item: store.Item{Key: key(i*perPage + j), Value: value}})
		}
		commit(t, db, nil, writes...)
	}, items/perPage)

	r := store.Range{Table: store.Mailings, Partition: "p", Limit: perPage}
	work("walking", func(i int) {
		page, more, err := db.Query(t.Context(), r)
		if err != nil || len(page) != perPage || more != (i < items/perPage-1) {
			t.Fatalf("page %d: %d items, more %t, %v", i, len(page), more, err)
		}
		r.After = page[perPage-1].Sort
		commit(t, db, nil, put(store.Mailings, "cursor", "c", r.After))
	}, items/perPage)

	work("looking up", func(i int) {
		if item := get(t, db, key(i*7%items)); !bytes.Equal(item.Value, value) {
			t.Fatalf("item %d is not as written", i)
		}
		if i%perPage == 0 {
			commit(t, db, nil, put(store.Mailings, "cursor", "c", ""))
		}
	}, items)
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
