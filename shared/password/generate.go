package password

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// wordsList holds over 1,024 plain words, one a line (words/NOTICE.md), so that
// fewestWords of them are more than 50 bits.
//
//go:embed words/words.txt
var wordsList string

var words = sync.OnceValue(func() []string { return strings.Fields(wordsList) })

const (
	fewestWords = 5
	separator   = "-"
	// patience is how many draws may be refused before the source of
	// randomness is taken for broken; a sound one gets there never.
	patience = 1000
)

var errRandom = errors.New("password: the source of randomness repeats itself")

// Generate makes a password of plain words that are easy to say on the phone,
// such as "balcony-trophy-june-velvet-acorn": five of them (50.5 bits), and
// further ones until it has minimum characters; six suffice for most minimums,
// the highest of 64 takes about nine. minimum is read as in [Policy]. Hyphens stand between them because
// a space is easily lost on paper, at the end of a line and when copied.
//
// It is never one that [Policy.Check] would refuse for being common. When
// random fails there is an error and no password.
func Generate(random io.Reader, minimum int) (Plain, error) {
	policy := Policy{Minimum: minimum}
	for range patience {
		var chosen []string
		for length := 0; len(chosen) < fewestWords || length < policy.minimum(); {
			word, err := draw(random, words())
			if err != nil {
				return Plain{}, err
			}
			if len(chosen) > 0 {
				length += len(separator)
			}
			chosen = append(chosen, word)
			length += utf8.RuneCountInString(word)
		}
		p := NewPlain(strings.Join(chosen, separator))
		if len(policy.Check(p)) == 0 {
			return p, nil
		}
	}
	return Plain{}, errRandom
}

// draw picks one of list, each with the same probability: numbers beyond the
// last whole multiple of its length are drawn again.
func draw(random io.Reader, list []string) (string, error) {
	const numbers = 1 << 32
	n := uint64(len(list))
	for range patience {
		var b [4]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return "", fmt.Errorf("password: drawing a word: %w", err)
		}
		if v := uint64(binary.BigEndian.Uint32(b[:])); v < numbers-numbers%n {
			return list[v%n], nil
		}
	}
	return "", errRandom
}
