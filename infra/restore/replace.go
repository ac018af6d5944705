package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

const (
	walked = 1000 // profiles found at once
	// together is how many are changed in one transaction: two items each, of
	// the 100 that it may have.
	together = 40
	atOnce   = 8 // transactions
)

// replacement gives new epochs to those whose own is no newer than Since. Rand
// is used by several goroutines at once.
type replacement struct {
	Store *store.Store
	Since time.Time
	Now   func() time.Time
	Rand  io.Reader
	Say   func(format string, a ...any)
}

// by is who stands in the activity.
var by = activity.Actor{Kind: activity.System, ID: "restore", Name: "Restored from a backup"}

// organization replaces the epochs of one organization, and walks again until
// it finds nobody: a profile that was renamed meanwhile may have been passed by.
func (r *replacement) organization(ctx context.Context, org string) error {
	if _, err := r.Store.Organization(ctx, org); err != nil {
		return err
	}
	for all := 0; ; {
		read, replaced, err := r.walk(ctx, org)
		if err != nil {
			return err
		}
		if all += replaced; replaced > 0 {
			continue
		}
		r.Say("%s: %d profiles, %d epochs replaced by this run; every link and session of before is dead", org, read, all)
		if all == 0 {
			return nil
		}
		now := r.Now().UTC().Truncate(time.Millisecond)
		return r.Store.Update(ctx, func(tx *store.Tx) error {
			tx.AddActivity(activity.Entry{
				Organization: org, ID: store.NewID(now), At: now, Actor: by, Kind: activity.SignedOut,
				Detail: map[string]string{"count": strconv.Itoa(all)},
			})
			return nil
		})
	}
}

// walk goes through everybody once.
func (r *replacement) walk(ctx context.Context, org string) (read, replaced int, err error) {
	var done atomic.Int64
	for cursor, more := "", true; more; {
		ids, next, err := r.Store.ProfilesByName(ctx, org, cursor, walked)
		if err != nil {
			return read, int(done.Load()), err
		}
		var wg sync.WaitGroup
		var failed atomic.Pointer[error]
		slots := make(chan struct{}, atOnce)
		for len(ids) > 0 {
			some := ids[:min(together, len(ids))]
			ids = ids[len(some):]
			read += len(some)
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				n, err := r.replace(ctx, org, some)
				if err != nil {
					failed.Store(&err)
				}
				done.Add(int64(n))
			})
		}
		wg.Wait()
		if err := failed.Load(); err != nil {
			return read, int(done.Load()), *err
		}
		if cursor, more = next, next != ""; more {
			r.Say("%s: %d profiles so far", org, read)
		}
	}
	return read, int(done.Load()), nil
}

// replace does one transaction's worth.
func (r *replacement) replace(ctx context.Context, org string, ids []profile.ID) (n int, err error) {
	found, err := r.Store.Profiles(ctx, org, ids)
	if err != nil {
		return 0, err
	}
	var old []profile.ID
	for id, p := range found {
		if !p.EpochAt.After(r.Since) {
			old = append(old, id)
		}
	}
	if len(old) == 0 {
		return 0, nil
	}
	now := r.Now().UTC().Truncate(time.Millisecond)
	if !now.After(r.Since) {
		return 0, fmt.Errorf("the clock stands at %s, which is not after %s", now, r.Since)
	}
	err = r.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PrefetchProfiles(org, old); err != nil {
			return err
		}
		n = 0
		for _, id := range old {
			p, err := tx.Profile(org, id)
			if err != nil {
				return err
			}
			if p.EpochAt.After(r.Since) {
				continue
			}
			if err := p.EndLogins(r.Rand, now); err != nil {
				return err
			}
			if err := tx.PutProfile(p); err != nil {
				return err
			}
			tx.AddActivity(activity.Entry{
				Organization: org, ID: store.NewID(now), At: now, Actor: by, Kind: activity.SignedOut, Profile: string(id), Quiet: true,
			})
			n++
		}
		return nil
	})
	return n, err
}
