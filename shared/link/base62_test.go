package link

import (
	"bytes"
	"math/big"
	"strings"
	"testing"
)

// FuzzBase62 holds the digits against math/big's.
func FuzzBase62(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0}, 32))
	f.Add(bytes.Repeat([]byte{255}, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, size := range []struct{ bytes, length int }{{16, pageLength}, {32, secretLength}} {
			if len(b) < size.bytes {
				continue
			}
			b := b[:size.bytes]
			digit := func(r rune) rune { // big counts with small letters first
				switch {
				case 'a' <= r && r <= 'z':
					return r - 'a' + 'A'
				case 'A' <= r && r <= 'Z':
					return r - 'A' + 'a'
				}
				return r
			}
			want := strings.Map(digit, new(big.Int).SetBytes(b).Text(62))
			want = strings.Repeat("0", size.length-len(want)) + want
			if got := base62(b, size.length); got != want {
				t.Errorf("base62(%x) = %s, want %s", b, got, want)
			}
		}
	})
}
