package credential

import (
	"context"
	"errors"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// Done is what the success page shows.
type Done struct {
	Profile  profile.ID
	Name     string
	Username string // with which to sign in from now on
	First    bool   // there was no password before
}

// SetByLink sets a password with a link, and the username where there is none:
// the email first, else the one typed (H9). Of any number of posts of one link
// exactly one succeeds (H7): the link is used by replacing the epoch that it
// was made under. What is refused does not use it up.
//
// The errors are those of the link (see [LinkState]), the reasons of the policy
// (field password), and those of the username (field username; username_taken
// with free "suggestions").
func (s *Service) SetByLink(ctx context.Context, org, token, typed string, plain password.Plain, from activity.Actor) (*Done, error) {
	if token == mailing.SampleToken {
		return nil, linkSample
	}
	f, err := s.find(ctx, org, token)
	if err != nil {
		return nil, err
	}
	if f.state == link.NotAllowed {
		if err := s.noteRefusal(ctx, f, from); err != nil {
			return nil, err
		}
	}
	if f.state != link.Live {
		return nil, linkRefusals[f.state]
	}
	if err := s.checkChoice(ctx, f, typed, plain); err != nil {
		return nil, err
	}
	hash, err := s.Hasher.Hash(ctx, plain)
	if err != nil {
		return nil, err
	}
	var done *Done
	var notice *mailing.Batch
	err = s.Store.Update(ctx, func(tx Tx) error {
		done, notice = nil, nil
		p, err := tx.Profile(org, f.entry.Profile)
		if err != nil {
			return err
		}
		c, err := tx.Credential(org, p.ID)
		if err != nil {
			return err
		}
		// A mailing that was revoked since is no condition here: it is shared
		// by everyone in it. Who posts in that very moment was in time.
		now := s.now()
		if state := f.stateOf(p, c, f.settings.Access.MayEnter(p, f.targets), false, now); state != link.Live {
			return linkRefusals[state]
		}
		e := &edit{now: now, by: member(p, from), how: message.ByLink}
		first := !p.HasPassword
		if err := s.claimFirst(tx, p, e, typed); err != nil {
			return err
		}
		if err := s.setPassword(tx, p, e, func(c *Credential) {
			c.Hash, c.SetBy, c.SetByName, c.MustChange, c.StopsAt = hash, ByLink, "", false, time.Time{}
			c.UsedLink, c.UsedAt = f.entry.Hash[:], now
		}); err != nil {
			return err
		}
		done = &Done{Profile: p.ID, Name: p.Name(), Username: p.Username, First: first}
		notice, err = s.means().store(tx, p, e)
		return err
	})
	if errors.Is(err, UsernameTaken) {
		return nil, s.suggesting(ctx, f.profile, UsernameTaken)
	}
	if err != nil {
		if problem.As(err).Kind == problem.NotFound {
			return nil, linkUnknown // the profile is gone
		}
		return nil, err
	}
	s.means().ring(ctx, notice)
	return done, nil
}

// checkChoice refuses what can be refused before the hash: all reasons against
// the password, and a username that cannot be.
func (s *Service) checkChoice(ctx context.Context, f *found, typed string, plain password.Plain) error {
	name, err := s.choice(ctx, f.profile, typed)
	if err != nil && problem.As(err).Kind == problem.Internal {
		return err
	}
	faults := PolicyOf(f.settings, f.profile, name).Check(plain)
	if p := problem.As(err); err != nil && p.Kind == problem.Invalid {
		faults = append(faults, problem.Item{Field: p.Field, Code: p.Code, Detail: p.Detail})
	}
	if refused := problem.Several(problem.Invalid, faults); refused != nil {
		return refused
	}
	if errors.Is(err, UsernameTaken) {
		return s.suggesting(ctx, f.profile, UsernameTaken)
	}
	return err
}

// choice is the username that a post of the link would give.
func (s *Service) choice(ctx context.Context, p *profile.Profile, typed string) (string, error) {
	name, err := s.nameToBe(ctx, p)
	if name != "" || err != nil {
		return name, err
	}
	if typed == "" {
		return "", usernameRequired
	}
	if name, err = ownName(p, typed); err != nil {
		return "", err
	}
	holder, err := s.Store.Claim(ctx, p.Organization, name)
	if err == nil && holder != "" && holder != p.ID {
		err = UsernameTaken
	}
	return name, err
}

// claimFirst gives p a username where it has none: its email if that is free,
// else what was typed.
func (s *Service) claimFirst(tx Tx, p *profile.Profile, e *edit, typed string) error {
	if p.Username != "" {
		return nil
	}
	err := usernameRequired
	if name, ok := p.EmailName(); ok {
		if err := Rename(tx, p, name); err == nil {
			e.did(activity.UsernameChanged, map[string]string{"old": "", "new": name})
			return nil
		} else if !errors.Is(err, UsernameTaken) {
			return err
		}
	}
	if typed == "" {
		return err
	}
	name, wrong := ownName(p, typed)
	if wrong != nil {
		return wrong
	}
	if err := Rename(tx, p, name); err != nil {
		return err
	}
	e.did(activity.UsernameChanged, map[string]string{"old": "", "new": name})
	return nil
}

// noteRefusal tells the trail that a link was refused because the person may
// not sign in.
func (s *Service) noteRefusal(ctx context.Context, f *found, from activity.Actor) error {
	now := s.now()
	return s.Store.Update(ctx, func(tx Tx) error {
		tx.AddActivity(activity.Entry{
			Organization: f.settings.ID, ID: s.NewID(now), At: now, Actor: member(f.profile, from), Kind: activity.LinkRefused,
			Profile: string(f.profile.ID), Detail: map[string]string{"reason": f.right.Reason},
		})
		return nil
	})
}
