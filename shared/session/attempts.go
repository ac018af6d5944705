package session

import (
	"context"
	"time"

	"github.com/memberkey/memberkey/shared/problem"
)

const (
	// free is how many failures cost no wait.
	free = 4
	// MaxFailures is how many failures in a row a name takes; from then on only
	// a link or staff let its owner in (NIST SP 800-63B-4 §3.2.2). Waits make
	// that at least 92 hours of guessing.
	MaxFailures = 100

	firstWait = 30 * time.Second
	longest   = time.Hour

	// forgotten is when a counter that was left alone is dropped; a locked one
	// stays for lockKept, so that the lock cannot be sat out.
	forgotten = 30 * 24 * time.Hour
	lockKept  = 10 * 365 * 24 * time.Hour
)

// wait is how long no password is taken after so many failures: 30 s from the
// fifth, doubled with each further one, up to an hour.
func wait(failures int) time.Duration {
	if failures <= free {
		return 0
	}
	w := firstWait
	for range failures - free - 1 {
		if w *= 2; w >= longest {
			return longest
		}
	}
	return w
}

// count takes one attempt under the first of keys that is not waiting, and
// tells which. It is the whole defence against guessing in parallel: the
// failure is stored, with the wait that it begins, before anything is hashed,
// and a sign-in that succeeds takes it back. An attempt during a wait is not
// counted, so that strangers cannot make the wait longer (A14, A15).
//
// The error is Waiting or Locked, of the last key, or the store's: an attempt
// that could not be counted is never hashed.
func (s *Service) count(ctx context.Context, org string, keys ...string) (key string, err error) {
	now := s.now()
	for _, key = range keys {
		err = s.Store.Update(ctx, func(tx Tx) error {
			a, err := tx.Attempts(org, key)
			if err != nil {
				return err
			}
			if a == nil || !now.Before(a.Expires) {
				a = &Attempts{Organization: org, Key: key}
			}
			switch w := a.Wait(); {
			case w.Locked:
				return Locked
			case now.Before(w.Until):
				seconds := int(w.Until.Sub(now)/time.Second) + 1
				return Waiting.With("until", w.Until).With("retryAfter", seconds)
			}
			a.Failures++
			a.Until, a.Expires = now.Add(wait(a.Failures)), now.Add(forgotten)
			if a.Failures >= MaxFailures {
				a.Expires = now.Add(lockKept)
			}
			tx.PutAttempts(a)
			return nil
		})
		if err == nil || problem.As(err).Kind != problem.Throttled {
			return key, err
		}
	}
	return "", err
}
