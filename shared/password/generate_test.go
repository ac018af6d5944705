package password_test

import (
	"crypto/rand"
	"errors"
	"io"
	"math"
	mathrand "math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/memberkey/memberkey/shared/password"
)

func seeded() io.Reader { return mathrand.NewChaCha8([32]byte{1}) }

func TestGenerate(t *testing.T) {
	random := seeded()
	shape := regexp.MustCompile(`^[a-z]{4,7}(-[a-z]{4,7})*$`)
	for _, minimum := range []int{0, 8, 15, 24, 40, 64} {
		seen := map[string]bool{}
		for range 300 {
			p, err := password.Generate(random, minimum)
			if err != nil {
				t.Fatal(err)
			}
			text := p.Reveal()
			words := strings.Split(text, "-")
			most := 6
			if minimum > 30 {
				most = 13 // of four letters each
			}
			if !shape.MatchString(text) || len(text) < minimum || len(words) < 5 || len(words) > most {
				t.Errorf("minimum %d: %q", minimum, text)
			}
			if reasons := (password.Policy{Minimum: minimum}).Check(p); len(reasons) != 0 {
				t.Errorf("minimum %d: %q is refused: %+v", minimum, text, reasons)
			}
			if seen[text] {
				t.Errorf("%q twice", text)
			}
			seen[text] = true
		}
	}
}

func TestGenerateHasFiftyBits(t *testing.T) {
	if bits := 5 * math.Log2(float64(len(password.Words()))); bits < 50 {
		t.Errorf("five of %d words are %.1f bits", len(password.Words()), bits)
	}
}

// Each word comes first equally often: chi-square over 110 draws a word.
func TestGenerateIsUnbiased(t *testing.T) {
	random := seeded()
	list := password.Words()
	count := map[string]float64{}
	draws := 0
	for draws < 110*len(list) {
		p, err := password.Generate(random, 8)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range strings.Split(p.Reveal(), "-") {
			count[w]++
			draws++
		}
	}
	expected := float64(draws) / float64(len(list))
	chi := 0.0
	for _, w := range list {
		chi += (count[w] - expected) * (count[w] - expected) / expected
	}
	// Six standard deviations of the chi-square distribution around its mean.
	mean := float64(len(list) - 1)
	if math.Abs(chi-mean) > 6*math.Sqrt(2*mean) || len(count) != len(list) {
		t.Errorf("chi-square %.0f over %d words, want about %.0f", chi, len(count), mean)
	}
}

func TestWordsAreEasyToSay(t *testing.T) {
	list := password.Words()
	if !slices.IsSorted(list) {
		t.Error("the words are not in order")
	}
	shape := regexp.MustCompile(`^[a-z]{4,7}$`)
	for i, a := range list {
		if !shape.MatchString(a) {
			t.Errorf("%q", a)
		}
		for _, b := range list[i+1:] {
			if oneLetterApart(a, b) {
				t.Errorf("%q and %q are easily taken for one another", a, b)
			}
		}
	}
}

// oneLetterApart tells whether one change, addition or omission of a letter
// makes a out of b.
func oneLetterApart(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		return i == len(a) || a[i+1:] == b[i+1:]
	}
	return len(b)-len(a) == 1 && a[i:] == b[i+1:]
}

func TestGenerateReportsAFailingRand(t *testing.T) {
	broken := errors.New("no entropy")
	if p, err := password.Generate(iotest.ErrReader(broken), 15); !errors.Is(err, broken) || !p.IsZero() {
		t.Errorf("Generate = %v, %v", p, err)
	}
	if p, err := password.Generate(io.LimitReader(rand.Reader, 4*4+3), 15); err == nil || !p.IsZero() {
		t.Errorf("Generate with four words and a half = %v, %v", p, err)
	}
	// Numbers that are always drawn again must not be drawn for ever.
	if p, err := password.Generate(repeating(0xff), 15); err == nil || !p.IsZero() {
		t.Errorf("Generate from a stuck source = %v, %v", p, err)
	}
}

type repeating byte

func (r repeating) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}

func BenchmarkGenerate(b *testing.B) {
	for b.Loop() {
		if _, err := password.Generate(rand.Reader, 15); err != nil {
			b.Fatal(err)
		}
	}
}
