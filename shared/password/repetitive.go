package password

import "strings"

// rows are the orders in which people run along keys and alphabets. Each is
// followed forwards and backwards, and from its end to its beginning.
var rows = []string{
	"abcdefghijklmnopqrstuvwxyz",
	"0123456789", "1234567890",
	"qwertyuiop", "asdfghjkl", "zxcvbnm", // English keyboards
	"qwertzuiop", "yxcvbnm", // German
	"azertyuiop", "qsdfghjklm", "wxcvbn", // French
	"!@#$%^&*()", // the digits with shift held
	"1qaz2wsx3edc4rfv5tgb6yhn7ujm",
}

const (
	longestPattern = 4 // characters that may be repeated to make a whole password
	shortestRun    = 3 // characters in a row that count as following the keys
)

// repetitive tells whether the whole of s, in small letters, is one pattern of
// up to four characters repeated, or is made of runs along the rows and of one
// key held down.
func repetitive(s string) bool {
	r := []rune(s)
	for k := 1; k <= longestPattern && 2*k <= len(r); k++ {
		if periodic(r, k) {
			return true
		}
	}
	return allRuns(r)
}

func periodic(r []rune, k int) bool {
	for i := k; i < len(r); i++ {
		if r[i] != r[i-k] {
			return false
		}
	}
	return true
}

// allRuns tells whether r can be cut into runs of at least shortestRun, with at
// most two characters left over at the end ("123456789!!").
func allRuns(r []rune) bool {
	reached := make([]bool, len(r)+1) // reached[i]: r[:i] is cut into runs
	reached[0] = true
	for i := range r {
		if !reached[i] {
			continue
		}
		if i > 0 && len(r)-i < shortestRun {
			return true
		}
		for n := runLength(r[i:]); n >= shortestRun; n-- {
			reached[i+n] = true
		}
	}
	return reached[len(r)] && len(r) > 0
}

// runLength is the length of the longest run with which r begins.
func runLength(r []rune) int {
	longest := 1
	for longest < len(r) && r[longest] == r[0] {
		longest++
	}
	for _, row := range rows {
		start := strings.IndexRune(row, r[0])
		if start < 0 {
			continue
		}
		for _, step := range []int{1, len(row) - 1} {
			n, at := 1, start
			for n < len(r) {
				at = (at + step) % len(row)
				if r[n] != rune(row[at]) {
					break
				}
				n++
			}
			longest = max(longest, n)
		}
	}
	return longest
}
