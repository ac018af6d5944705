package credential

import (
	"context"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// Nobody stands for whoever a name would mean that no profile has; no profile
// ID holds a "#". It is read where there is nothing to read, so that such a name
// costs the same (H22).
const Nobody profile.ID = "#nobody"

// Verified is the answer to a password at sign-in.
type Verified struct {
	Match bool
	// Stopped: the password is right, but it was typed by staff and has run
	// out. Match is false then; only a link helps.
	Stopped    bool
	MustChange bool
	// Outdated: hash it again with today's parameters, see [Service.Rehash].
	Outdated bool

	hash password.Hash
}

// Check verifies a password at sign-in. Whether the name was found or not, it
// does the same reads and exactly one hash (H22); the caller counts the attempt
// before. found false makes id count for nothing.
func (s *Service) Check(ctx context.Context, org string, id profile.ID, found bool, p password.Plain) (Verified, error) {
	if !found {
		id = Nobody
	}
	c, err := s.Store.Credential(ctx, org, id)
	if err != nil {
		return Verified{}, err
	}
	return s.verify(ctx, c, p)
}

func (s *Service) verify(ctx context.Context, c *Credential, p password.Plain) (Verified, error) {
	hash := s.Hasher.Decoy()
	if c.HasPassword() {
		hash = c.Hash
	}
	result, err := s.Hasher.Verify(ctx, p, hash)
	if err != nil || !result.Match || !c.HasPassword() {
		return Verified{}, err
	}
	if c.Stopped(s.Now()) {
		return Verified{Stopped: true}, nil
	}
	return Verified{Match: true, MustChange: c.MustChange, Outdated: result.Outdated, hash: hash}, nil
}

// Rehash stores the password that was just verified under today's parameters.
// It is no change: same version, same epoch, no notice; and it yields to
// whatever has replaced the hash meanwhile (H1).
func (s *Service) Rehash(ctx context.Context, org string, id profile.ID, v Verified, p password.Plain) error {
	if !v.Match || !v.Outdated {
		return nil
	}
	hash, err := s.Hasher.Hash(ctx, p)
	if err != nil {
		return err
	}
	return s.Store.Update(ctx, func(tx Tx) error {
		c, err := tx.Credential(org, id)
		if err != nil || !c.HasPassword() || !c.Hash.Equal(v.hash) {
			return err
		}
		c.Hash = hash
		tx.PutCredential(c)
		return nil
	})
}

// NoteSignIn notes that a member signed in; see [Credential.SignedIn] for
// whoever has a transaction of its own.
func (s *Service) NoteSignIn(ctx context.Context, org string, id profile.ID) error {
	now := s.now()
	return s.Store.Update(ctx, func(tx Tx) error {
		c, err := tx.Credential(org, id)
		if c == nil || err != nil {
			return err
		}
		c.SignedIn(now)
		tx.PutCredential(c)
		return nil
	})
}

// Problems of a member who changes the password.
var (
	PasswordWrong     = problem.New(problem.Refused, "password_wrong", "current", "The current password is not right. Please type it again, or have a link sent to you.")
	passwordStopped   = problem.New(problem.Refused, "password_stopped", "current", "This password was given to you by our staff and has run out. Please have a link sent to you.")
	passwordUnchanged = problem.New(problem.Invalid, "password_unchanged", "password", "The new password is the current one. Please choose another one.")
	// LoginChanged is a login that changed while its owner was changing it.
	LoginChanged = problem.New(problem.Conflict, "login_changed", "", "Your login was changed at the same moment by somebody else. Please sign in again.")
	// LoginDisabled is a login that staff have disabled (H5c).
	LoginDisabled = problem.New(problem.Refused, "login_disabled", "", "This login is disabled. It has to be enabled first.")
)

// CheckOwn refuses what [Service.ChangeOwn] refuses without a look at the stored
// password, for whoever counts attempts: this is none.
func CheckOwn(settings *organization.Settings, p *profile.Profile, current, fresh password.Plain) error {
	if err := problem.Several(problem.Invalid, PolicyOf(settings, p, p.Username).Check(fresh)); err != nil {
		return err
	}
	if current.Equal(fresh) {
		return passwordUnchanged
	}
	return nil
}

// ChangeOwn changes the password of a member who is signed in. It ends all
// sessions, that of the caller too, who makes a new one. A wrong current
// password is PasswordWrong; the caller counts it as an attempt.
func (s *Service) ChangeOwn(ctx context.Context, org string, id profile.ID, current, fresh password.Plain, from activity.Actor) error {
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return err
	}
	p, err := s.Store.Profile(ctx, org, id) // before the credential: its epoch vouches for what is verified
	if err != nil {
		return err
	}
	c, err := s.Store.Credential(ctx, org, id)
	if err != nil {
		return err
	}
	if err := CheckOwn(settings, p, current, fresh); err != nil {
		return err
	}
	v, err := s.verify(ctx, c, current)
	switch {
	case err != nil:
		return err
	case v.Stopped:
		return passwordStopped
	case !v.Match:
		return PasswordWrong
	}
	hash, err := s.Hasher.Hash(ctx, fresh)
	if err != nil {
		return err
	}
	epoch := p.Epoch
	var notice *mailing.Batch
	err = s.Store.Update(ctx, func(tx Tx) error {
		notice = nil
		p, err := tx.Profile(org, id)
		if err != nil {
			return err
		}
		if p.Epoch != epoch {
			return LoginChanged
		}
		if p.Disabled {
			return LoginDisabled
		}
		e := &edit{now: s.now(), by: member(p, from), how: message.BySignIn}
		if err := s.setPassword(tx, p, e, func(c *Credential) {
			c.Hash, c.SetBy, c.SetByName, c.MustChange, c.StopsAt = hash, ByMember, "", false, time.Time{}
		}); err != nil {
			return err
		}
		notice, err = s.means().store(tx, p, e)
		return err
	})
	if err != nil {
		return err
	}
	s.means().ring(ctx, notice)
	return nil
}

// member is the actor of what a member does with the own login.
func member(p *profile.Profile, from activity.Actor) activity.Actor {
	return activity.Actor{Kind: activity.Member, ID: string(p.ID), Name: p.Name(), From: from.From}
}

// setPassword writes the credential and what the profile copies of it.
func (s *Service) setPassword(tx Tx, p *profile.Profile, e *edit, set func(*Credential)) error {
	c, err := tx.Credential(p.Organization, p.ID)
	if err != nil {
		return err
	}
	if c == nil {
		c = &Credential{Organization: p.Organization, Profile: p.ID}
	}
	set(c)
	c.SetAt = e.now
	tx.PutCredential(c)
	change, kind := message.PasswordChanged, activity.PasswordChanged
	if !p.HasPassword {
		change, kind = message.PasswordSet, activity.PasswordSet
	}
	e.changes = append(e.changes, change)
	e.did(kind, map[string]string{"by": string(c.SetBy)})
	p.HasPassword, p.HadPassword = true, true
	p.CredentialVersion++
	return nil
}
