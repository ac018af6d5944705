package bench_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

const page = 25

// asked is what people type: the beginning of one word, whole words, whole
// words and the beginning of a last one; and the rare two mere beginnings.
func asked(r *rand.Rand, n int) (normal []string, prefixes []string) {
	words := func() (string, string) {
		p := member(r.IntN(n)/5*5+1+r.IntN(4), time.Time{})
		return p.FirstName, p.LastName
	}
	for range 400 {
		first, last := words()
		normal = append(normal, cut(first, 2+r.IntN(3)), cut(last, 3+r.IntN(3)), last, first+" "+last, last+" "+first,
			first+" "+cut(last, 1+r.IntN(4)), last+" "+cut(first, 1+r.IntN(2)), fmt.Sprintf("m%07d", r.IntN(n)), fmt.Sprint(1_000_000+r.IntN(n)))
		prefixes = append(prefixes, cut(first, 3)+" "+cut(last, 3))
	}
	return normal, prefixes
}

func cut(s string, n int) string {
	r := []rune(s)
	return string(r[:min(n, len(r))])
}

// searched runs queries and returns the times, the rows read per hit shown
// (pages that were full or complete alike), and the most rows read at once.
func searched(b *testing.B, s *store.Store, queries []string) (took []time.Duration, ratio []float64, most int) {
	for _, text := range queries {
		q, err := profile.ParseQuery(text)
		if err != nil {
			b.Fatalf("%q: %v", text, err)
		}
		start := time.Now()
		found, err := s.Search(context.Background(), org, q, "", page)
		took = append(took, time.Since(start))
		if err != nil {
			b.Fatal(err)
		}
		// A page reads one row more than it shows, to know whether there are more.
		ratio = append(ratio, float64(found.Read)/float64(len(found.Hits)+1))
		most = max(most, found.Read)
	}
	slices.Sort(took)
	slices.Sort(ratio)
	return took, ratio, most
}

func BenchmarkSearch(b *testing.B) {
	small, large := association(b, 1_000), association(b, million())
	for b.Loop() {
		r := rand.New(rand.NewPCG(1, 1))
		few, _ := asked(r, 1_000)
		many, prefixes := asked(r, million())
		searched(b, small, few)  // warm
		searched(b, large, many) // warm
		tookSmall, _, _ := searched(b, small, few)
		took, ratio, _ := searched(b, large, many)
		tookPrefixes, _, most := searched(b, large, prefixes)
		limit(b, "search: rows read per shown, 99 % of queries", at(ratio, 99), 2, "x", atMost)
		limit(b, "search: most rows read, two mere prefixes", float64(most), 200, "rows", atMost)
		limit(b, fmt.Sprintf("search: p99 at %s against 1,000 profiles", thousands(million())), float64(at(took, 99))/float64(at(tookSmall, 99)), 3, "x", atMost)
		tell(b, "search: p50, p99, p99 of two mere prefixes", strings.Join([]string{at(took, 50).String(), at(took, 99).String(), at(tookPrefixes, 99).String()}, ", "))
	}
}

func at[T any](sorted []T, percent int) T { return sorted[min(len(sorted)-1, len(sorted)*percent/100)] }
