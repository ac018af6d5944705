package session_test

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/session"
)

// noHash answers at once, so that what is left is the time outside the hash.
type noHash struct{ session.Passwords }

func (noHash) Check(context.Context, string, profile.ID, bool, password.Plain) (credential.Verified, error) {
	return credential.Verified{Match: true}, nil
}

func (noHash) Rehash(context.Context, string, profile.ID, credential.Verified, password.Plain) error {
	return nil
}

// BenchmarkSignIn is a sign-in without its hash, and the hash beside it.
func BenchmarkSignIn(b *testing.B) {
	b.Run("outside", func(b *testing.B) {
		w := newWorld(b)
		w.sessions.Passwords = noHash{w.credentials}
		for b.Loop() {
			if _, err := w.signIn("bob", right); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("hash", func(b *testing.B) {
		h := password.NewHasher(password.Production, 1, rand.Reader)
		for b.Loop() {
			if _, err := h.Hash(b.Context(), right); err != nil {
				b.Fatal(err)
			}
		}
	})
}
