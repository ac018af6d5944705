// Package bench_test measures what the design promises: each figure is printed
// beside its limit, and one that is missed fails its benchmark. `make bench`
// runs them all in one process, so that ratios compare like with like.
package bench_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
)

func TestMain(m *testing.M) {
	if errand := os.Getenv(errandVariable); errand != "" {
		os.Exit(runErrand(errand)) // a benchmark started us to work in a process of our own
	}
	var err error
	if folder, err = os.MkdirTemp(os.Getenv("MEMBERKEY_BENCH_DIR"), "memberkey-bench"); err != nil {
		panic(err)
	}
	others := otherPrograms()
	code := m.Run()
	if share, ok := others(); ok {
		fmt.Printf("%-6s  other programs worked %.0f %% of the cores meanwhile; with more than a few, figures are theirs, too\n", "", 100*share)
	}
	if err := os.RemoveAll(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// million is the size of the large association: 1,000,000, or what
// MEMBERKEY_BENCH_SIZE says for a quick look.
func million() int {
	if n, err := strconv.Atoi(os.Getenv("MEMBERKEY_BENCH_SIZE")); err == nil && n >= 10_000 {
		return n
	}
	return 1_000_000
}

type direction string

const (
	atMost  direction = "at most"
	atLeast direction = "at least"
)

// limit prints a figure beside its limit and fails the benchmark that misses it.
func limit(b *testing.B, what string, figure, bound float64, unit string, d direction) {
	b.Helper()
	missed := d == atMost && figure > bound || d == atLeast && figure < bound
	verdict := "ok"
	if missed {
		verdict = "MISSED"
		b.Errorf("%s: %s %s, %s %s is asked for", what, number(figure), unit, d, number(bound))
	}
	fmt.Printf("%-6s  %-72s %12s %-14s %s %s\n", verdict, what, number(figure), unit, d, number(bound))
}

// tell prints a figure that has no limit.
func tell(b *testing.B, what, figure string) {
	b.Helper()
	fmt.Printf("%-6s  %-72s %s\n", "", what, figure)
}

func number(f float64) string {
	if f >= 1000 {
		return thousands(int(f))
	}
	return strconv.FormatFloat(f, 'g', 4, 64)
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// median of an odd number of figures, or the lower of the middle two.
func median[T cmp.Ordered](all []T) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[(len(sorted)-1)/2]
}
