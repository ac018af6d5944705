// Package functions holds what the functions are made of; each folder in it is
// one of them. A function's New takes a [Base], on AWS from its main, on a
// laptop from infra/local/system, so that there is one composition of each.
package functions

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"time"

	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/store"
)

// Base is what most functions need.
type Base struct {
	Store  *store.Store
	Bells  mailing.Bells
	Timing mailing.Timing // of it, each function uses what its variables name
	Log    *slog.Logger
	// Now, Rand and NewID are set by NewBase.
	Now   func() time.Time
	Rand  io.Reader
	NewID func(time.Time) string
}

// NewBase is a Base on the real clock and real randomness.
func NewBase(db store.DB, bells mailing.Bells, timing mailing.Timing, log *slog.Logger) Base {
	return Base{Store: &store.Store{DB: db}, Bells: bells, Timing: timing, Log: log, Now: time.Now, Rand: rand.Reader, NewID: store.NewID}
}

// Mail is the view of the store that mailings need.
func (b Base) Mail() mailing.Store { return store.For[mailing.Tx](b.Store) }

// Credentials are for the three functions that may touch hashes (H24).
func (b Base) Credentials(h *password.Hasher) *credential.Service {
	return &credential.Service{
		Store: store.For[credential.Tx](b.Store), Mail: b.Mail(), Hasher: h,
		Bells: b.Bells, Now: b.Now, Rand: b.Rand, NewID: b.NewID, Again: b.Timing.Again, Log: b.Log,
	}
}

// Sleep ends after d, or with the context.
func Sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
