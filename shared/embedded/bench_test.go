package embedded_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/store"
)

// A commit is four items of 3 KB, as a batch of a mailing is: a batch record,
// a link page, outcomes and the lane that is moved on.
func BenchmarkCommit(b *testing.B) {
	value := bytes.Repeat([]byte("0123456789abcdef"), 3<<10/16)
	for _, sync := range []bool{true, false} {
		for _, keys := range []string{"ordered", "random"} {
			for _, callers := range []int{1, 8, 16} {
				b.Run(fmt.Sprintf("fsync=%t/keys=%s/callers=%d", sync, keys, callers), func(b *testing.B) {
					db := open(b, filepath.Join(b.TempDir(), "bench.db"), embedded.Options{NoSync: !sync})
					each(b, callers, func(n int) error {
						number := uint64(n)
						if keys == "random" {
							number = rand.Uint64()
						}
						writes := make([]store.Write, 4)
						checks := make([]store.Check, 4)
						for i := range writes {
							key := store.Key{Table: store.Tables[i%2*4], Partition: "org#mailing", Sort: fmt.Sprintf("%020d#%d", number, i)}
							writes[i] = store.Write{Item: store.Item{Key: key, Value: value}}
							checks[i] = store.Check{Key: key}
						}
						return db.Commit(context.Background(), checks, writes)
					})
				})
			}
		}
	}
}

// One item of 200 bytes, as most of the API's writes are.
func BenchmarkCommitOfOne(b *testing.B) {
	value := make([]byte, 200)
	for _, callers := range []int{1, 16} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			db := open(b, filepath.Join(b.TempDir(), "bench.db"), embedded.Options{})
			each(b, callers, func(n int) error {
				key := store.Key{Table: store.Profiles, Partition: "org", Sort: fmt.Sprint(n % 10_000)}
				return db.Commit(context.Background(), nil, []store.Write{{Item: store.Item{Key: key, Value: value}}})
			})
		})
	}
}

const benchProfiles = 200_000

// benchStore has profiles of 200 bytes.
func benchStore(b *testing.B) *embedded.DB {
	db := open(b, filepath.Join(b.TempDir(), "bench.db"), embedded.Options{NoSync: true})
	value := make([]byte, 200)
	for i := 0; i < benchProfiles; i += 100 {
		writes := make([]store.Write, 100)
		for j := range writes {
			writes[j] = store.Write{Item: store.Item{Key: benchProfile(i + j), Value: value}}
		}
		commit(b, db, nil, writes...)
	}
	return db
}

func benchProfile(i int) store.Key {
	return store.Key{Table: store.Profiles, Partition: "org#profiles", Sort: fmt.Sprintf("%07d", i)}
}

func BenchmarkGetMany50(b *testing.B) {
	db := benchStore(b)
	for _, spread := range []string{"neighbours", "random"} {
		for _, callers := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/callers=%d", spread, callers), func(b *testing.B) {
				each(b, callers, func(n int) error {
					keys := make([]store.Key, 50)
					first := rand.IntN(benchProfiles - len(keys))
					for i := range keys {
						keys[i] = benchProfile(first + i)
						if spread == "random" {
							keys[i] = benchProfile(rand.IntN(benchProfiles))
						}
					}
					_, err := db.GetMany(context.Background(), keys)
					return err
				})
			})
		}
	}
}

func BenchmarkGet(b *testing.B) {
	db := benchStore(b)
	each(b, 1, func(int) error {
		_, err := db.Get(context.Background(), benchProfile(rand.IntN(benchProfiles)))
		return err
	})
}

func BenchmarkQuery25(b *testing.B) {
	db := benchStore(b)
	each(b, 1, func(int) error {
		prefix := fmt.Sprintf("%05d", rand.IntN(benchProfiles/100))
		_, _, err := db.Query(context.Background(), store.Range{Table: store.Profiles, Partition: "org#profiles", Prefix: prefix, Limit: 25})
		return err
	})
}

// each shares b.N calls among callers and reports calls per second.
func each(b *testing.B, callers int, call func(n int) error) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for {
				n := next.Add(1) - 1
				if n >= int64(b.N) {
					return
				}
				if err := call(int(n)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
