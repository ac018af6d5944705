package bench_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
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

// answered is what became of some queries, each in order from least to most.
type answered struct {
	took  []time.Duration // of each query
	full  []time.Duration // of those that fill a page, wherever they are asked
	ratio []float64       // rows read per row shown
	most  int             // rows read at once
}

// searched runs queries. Each is asked three times and the quickest counts: a
// query takes microseconds, so what else the machine does would decide over the
// slowest in a hundred.
func searched(b *testing.B, s *store.Store, queries []string) (a answered) {
	for _, text := range queries {
		q, err := profile.ParseQuery(text)
		if err != nil {
			b.Fatalf("%q: %v", text, err)
		}
		var found profile.Found
		took := time.Hour
		for range 3 {
			start := time.Now()
			found, err = s.Search(context.Background(), org, q, "", page)
			took = min(took, time.Since(start))
			if err != nil {
				b.Fatal(err)
			}
		}
		a.took = append(a.took, took)
		if len(found.Hits) == page {
			a.full = append(a.full, took)
		}
		// A page reads one row more than it shows, to know whether there are more.
		a.ratio = append(a.ratio, float64(found.Read)/float64(len(found.Hits)+1))
		a.most = max(a.most, found.Read)
	}
	slices.Sort(a.took)
	slices.Sort(a.full)
	slices.Sort(a.ratio)
	return a
}

func BenchmarkSearch(b *testing.B) {
	small, large := association(b, 1_000), association(b, million())
	for b.Loop() {
		r := rand.New(rand.NewPCG(1, 1))
		few, _ := asked(r, 1_000)
		many, prefixes := asked(r, million())
		among := searched(b, small, few)
		of := searched(b, large, many)
		two := searched(b, large, prefixes)
		if len(among.full) < 500 || len(of.full) < 500 {
			b.Fatalf("only %d and %d queries fill a page", len(among.full), len(of.full))
		}
		limit(b, "search: rows read per shown, 99 % of queries", at(of.ratio, 99), 2, "x", atMost)
		limit(b, "search: most rows read, two mere prefixes", float64(two.most), 200, "rows", atMost)
		limit(b, fmt.Sprintf("search: p99 of full pages at %s against 1,000 profiles", thousands(million())),
			float64(at(of.full, 99))/float64(at(among.full, 99)), 3, "x", atMost)
		tell(b, "search: p50, p99 of all; p50, p99 of full pages; p99 of two mere prefixes",
			fmt.Sprintf("%v, %v; %v, %v; %v", at(of.took, 50), at(of.took, 99), at(of.full, 50), at(of.full, 99), at(two.took, 99)))
		tell(b, "search: the same at 1,000", fmt.Sprintf("%v, %v; %v, %v", at(among.took, 50), at(among.took, 99), at(among.full, 50), at(among.full, 99)))
	}
}

func at[T any](sorted []T, percent int) T { return sorted[min(len(sorted)-1, len(sorted)*percent/100)] }
