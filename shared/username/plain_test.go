package username

import (
	"strings"
	"testing"

	"golang.org/x/net/idna"
)

// FuzzPlainDomain: what is taken for plain, IDNA leaves as it is.
func FuzzPlainDomain(f *testing.F) {
	for _, s := range []string{"example.org", "a-b.example.org", "a--b.org", "xn--a.org", "-a.org", "a-.org", "a.b-", "1.2", "a.1b", "org", "a..b", ".a.b", "a.b.", strings.Repeat("a", 64) + ".org"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !plainDomain(s) {
			return
		}
		labels := strings.Split(s, ".")
		for _, label := range labels {
			if a, err := idna.Lookup.ToASCII(label); err != nil || a != label || len(label) > maxLabel {
				t.Errorf("%q: label %q is not plain: %q, %v", s, label, a, err)
			}
		}
		if a, err := idna.Lookup.ToASCII(s); err != nil || a != s || len(labels) < 2 || strings.Trim(labels[len(labels)-1], "0123456789") == "" {
			t.Errorf("%q is not plain: %q, %v", s, a, err)
		}
	})
}
