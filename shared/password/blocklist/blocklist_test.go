package blocklist_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"testing"

	"github.com/memberkey/memberkey/shared/password/blocklist"
)

func TestContains(t *testing.T) {
	for _, listed := range []string{
		"passwordpassword", "123456789012345", "qwertyuiopasdfghjkl", "q1w2e3r4t5y6u7i8o9p0",
		"password", "12345678", "iloveyou", "sunshine1", "basketball",
	} {
		if !blocklist.Contains(listed) {
			t.Errorf("%q is not listed", listed)
		}
	}
	for _, free := range []string{
		"", "a", "dragon" /* shorter than 8 */, "balcony trophy june", "Passwordpassword", /* not folded */
		"correct staple lantern", "passwordpasswordx",
	} {
		if blocklist.Contains(free) {
			t.Errorf("%q is listed", free)
		}
	}
}

// The search relies on the order, the false positives on the number.
func TestListIsInOrder(t *testing.T) {
	b, err := os.ReadFile("list.bin")
	if err != nil {
		t.Fatal(err)
	}
	const width = 5
	if len(b)%width != 0 || len(b)/width < 100_000+9_700 || len(b) > 600_000 {
		t.Fatalf("list.bin has %d bytes", len(b))
	}
	for i := width; i < len(b); i += width {
		if bytes.Compare(b[i-width:i], b[i:i+width]) >= 0 {
			t.Fatalf("entry %d is out of order", i/width)
		}
	}
}

// No password is listed by chance in a
// hundred thousand: 1 % is the chance of one.
func TestFalsePositives(t *testing.T) {
	found := 0
	for i := range 100_000 {
		if blocklist.Contains(fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, i)))) {
			found++
		}
	}
	if found > 0 {
		t.Errorf("%d of 100,000 random texts are listed", found)
	}
}

func BenchmarkContains(b *testing.B) {
	for b.Loop() {
		blocklist.Contains("balcony trophy june")
	}
}
