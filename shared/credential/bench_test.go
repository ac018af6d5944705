package credential_test

import (
	"testing"

	"github.com/memberkey/memberkey/shared/password"
)

// The hash is made with parameters that cost nothing, so these are the times
// outside the hash.

func BenchmarkSetByLink(b *testing.B) {
	w := newWorld(b)
	w.add("1", "ana@example.com")
	w.mustSet("1", "", first)
	for b.Loop() {
		b.StopTimer()
		token := w.mint("1")
		b.StartTimer()
		if _, err := w.use(token, "", second); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	w := newWorld(b)
	w.add("1", "ana@example.com")
	w.mustSet("1", "", first)
	for b.Loop() {
		if _, err := w.service.Check(w.ctx, org, "1", true, password.NewPlain(first)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	w := newWorld(b)
	w.add("1", "ana@example.com")
	w.reset("1")
	w.mustSet("1", "", first)
	for b.Loop() {
		if _, err := w.service.Read(w.ctx, org, "1"); err != nil {
			b.Fatal(err)
		}
	}
}
