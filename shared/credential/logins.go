package credential

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/profile"
)

// LoginStore is what [Logins] change: no hash can be read through it (H24).
type LoginStore interface {
	// Update runs fn and stores what it put, all or nothing; it runs fn again
	// when something that fn read has changed meanwhile.
	Update(ctx context.Context, fn func(LoginTx) error) error
}

// LoginTx is a transaction of [Logins].
type LoginTx interface {
	// Profile answers a not-found problem where there is none.
	Profile(org string, id profile.ID) (*profile.Profile, error)
	PutProfile(*profile.Profile) error
	// Wait tells how a counter holds its name back; zero where nothing was counted.
	Wait(org, key string) (Wait, error)
	DeleteAttempts(org, key string)
	AddActivity(activity.Entry)
	PutBatch(b *mailing.Batch, due time.Time)
}

// Logins control who may use a login, without knowing its password: disable,
// enable, end sessions, end a wait.
type Logins struct {
	Store LoginStore
	Bells mailing.Bells
	Now   func() time.Time
	Rand  io.Reader
	NewID func(time.Time) string
	Again time.Duration
	Log   *slog.Logger
}

func (l *Logins) means() means {
	return means{bells: l.Bells, rand: l.Rand, newID: l.NewID, again: l.Again, log: l.Log}
}

// Disable ends the login: no sign-in, no link made or usable (H5c). Username
// and password stay. A login that is disabled stays as it is.
func (l *Logins) Disable(ctx context.Context, by activity.Actor, org string, id profile.ID) (*profile.Profile, error) {
	return l.change(ctx, by, org, id, func(p *profile.Profile, e *edit) bool {
		if p.Disabled {
			return false
		}
		p.Disabled = true
		p.CredentialVersion++
		e.changes = []message.Change{message.LoginDisabled}
		e.did(activity.LoginDisabled, nil)
		return true
	})
}

// Enable undoes [Logins.Disable]: username and password work as before. Links
// and sessions of before stay dead.
func (l *Logins) Enable(ctx context.Context, by activity.Actor, org string, id profile.ID) (*profile.Profile, error) {
	return l.change(ctx, by, org, id, func(p *profile.Profile, e *edit) bool {
		if !p.Disabled {
			return false
		}
		p.Disabled = false
		p.CredentialVersion++
		e.changes = []message.Change{message.LoginEnabled}
		e.did(activity.LoginEnabled, nil)
		return true
	})
}

// SignOutEverywhere ends every session and every unused link. It moves no
// version and sends no notice: nothing of the login itself has changed.
func (l *Logins) SignOutEverywhere(ctx context.Context, by activity.Actor, org string, id profile.ID) (*profile.Profile, error) {
	now := instant(l.Now)
	var stored *profile.Profile
	err := l.Store.Update(ctx, func(tx LoginTx) error {
		p, err := loginOf(tx, org, id)
		if err != nil {
			return err
		}
		stored = p
		if err := p.EndLogins(l.Rand, now); err != nil {
			return err
		}
		l.note(tx, p, activity.SignedOut, by, now)
		return tx.PutProfile(p)
	})
	return stored, err
}

// Unlock ends the wait or the lock after repeated failures, under the username and the
// email. Where nobody waits nothing is told.
func (l *Logins) Unlock(ctx context.Context, by activity.Actor, org string, id profile.ID) (*profile.Profile, error) {
	now := instant(l.Now)
	var stored *profile.Profile
	err := l.Store.Update(ctx, func(tx LoginTx) error {
		p, err := loginOf(tx, org, id)
		if err != nil {
			return err
		}
		stored = p
		waits := false
		for _, name := range []string{p.Username, p.Mailbox} {
			if name == "" {
				continue
			}
			wait, err := tx.Wait(org, AttemptsKey(org, name))
			if err != nil {
				return err
			}
			waits = waits || now.Before(wait.Until)
		}
		endWaits(tx, org, []string{p.Username, p.Mailbox})
		if waits {
			l.note(tx, p, activity.WaitEnded, by, now)
		}
		return nil
	})
	return stored, err
}

// loginOf reads a profile whose ID came from outside, to change its login.
func loginOf(tx LoginTx, org string, id profile.ID) (*profile.Profile, error) {
	if !id.Valid() {
		return nil, noProfile
	}
	return tx.Profile(org, id)
}

func (l *Logins) note(tx LoginTx, p *profile.Profile, kind activity.Kind, by activity.Actor, now time.Time) {
	tx.AddActivity(activity.Entry{Organization: p.Organization, ID: l.NewID(now), At: now, Actor: by, Kind: kind, Profile: string(p.ID)})
}

// change runs one edit by staff; do says whether there is anything to change.
func (l *Logins) change(ctx context.Context, by activity.Actor, org string, id profile.ID, do func(*profile.Profile, *edit) bool) (*profile.Profile, error) {
	var stored *profile.Profile
	var notice *mailing.Batch
	err := l.Store.Update(ctx, func(tx LoginTx) error {
		notice = nil
		p, err := loginOf(tx, org, id)
		if err != nil {
			return err
		}
		stored = p
		e := &edit{now: instant(l.Now), by: by, how: message.ByStaff}
		if !do(p, e) {
			return nil
		}
		notice, err = l.means().store(tx, p, e)
		return err
	})
	if err != nil {
		return nil, err
	}
	l.means().ring(ctx, notice)
	return stored, nil
}
