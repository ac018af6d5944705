package session

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/username"
)

// Attempt is one try to sign in.
type Attempt struct {
	Name     string // username or email, as typed
	Password password.Plain
	Keep     bool   // "keep me signed in"; counts where the organization offers it
	Device   Token  // the browser's, from an earlier sign-in
	Previous Token  // the browser's session, which a new one ends (ASVS 7.2.4)
	From     string // source address
}

// SignedIn is a new session, for the browser's cookies.
type SignedIn struct {
	Token      Token
	Ends       time.Time
	Kept       bool // outlives the browser
	Device     Token
	DeviceEnds time.Time
	MustChange bool
}

// SignIn lets a member in. The error is Refused, Waiting, Locked, or what the
// store says.
func (s *Service) SignIn(ctx context.Context, org string, a Attempt) (*SignedIn, error) {
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	// No password is longer (A16). This says nothing about the name: it is the
	// same for all.
	if typed := a.Password.Reveal(); typed == "" || utf8.RuneCountInString(typed) > password.MaxLength || strings.TrimSpace(a.Name) == "" {
		return nil, Refused
	}
	name, p, err := s.meant(ctx, org, a.Name)
	if err != nil {
		return nil, err
	}
	known, err := s.device(ctx, org, a.Device, p)
	if err != nil {
		return nil, err
	}
	keys := []string{credential.AttemptsKey(org, name)}
	if known {
		// The epoch in the key ends the device's waits with everything else
		// that a used link ends. While the device itself waits, the name's
		// counter decides, which is the one that staff can clear.
		keys = append([]string{digest("device attempts", org, a.Device.Reveal()+p.Epoch)}, keys...)
	}
	key, err := s.count(ctx, org, keys...)
	if err != nil {
		return nil, err
	}
	found := p != nil
	var id profile.ID
	if found {
		id = p.ID
	}
	v, err := s.Passwords.Check(ctx, org, id, found, a.Password)
	if err != nil {
		return nil, err
	}
	if reason, err := s.refusal(ctx, settings, p, v); reason != "" || err != nil {
		if err == nil {
			err = s.refuse(ctx, org, p, reason, a.From)
		}
		if err == nil {
			err = Refused
		}
		return nil, err
	}
	out, err := s.admit(ctx, settings, p, admission{keys: []string{key}, device: a.Device, known: known, previous: a.Previous, kept: a.Keep, mustChange: v.MustChange, from: a.From, kind: activity.SignedIn,
		same: func(now *profile.Profile) bool { return now.Epoch == p.Epoch }})
	if err != nil {
		return nil, err
	}
	if err := s.Passwords.Rehash(ctx, org, p.ID, v, a.Password); err != nil {
		s.Log.WarnContext(ctx, "password not hashed again", "organization", org, "profile", p.ID, "error", err)
	}
	return out, nil
}

const (
	// nobodyName is a username that nobody has, read as credential.Nobody is.
	nobodyName = " nobody"
	// atMailbox is how many profiles of one mailbox are looked at.
	atMailbox = 50
)

// meant finds whose login a typed name is: the owner of the username, else the
// one profile with a login at the mailbox. name is what is counted; p is nil
// where nobody is meant.
func (s *Service) meant(ctx context.Context, org, typed string) (name string, p *profile.Profile, err error) {
	box := ""
	if _, b, err := username.ParseEmail(typed); err == nil {
		box = string(b)
	}
	claim := nobodyName
	if n, err := username.Normalise(typed); err == nil {
		claim = string(n)
	}
	switch {
	case box != "":
		name = box
	case claim != nobodyName:
		name = claim
	default:
		name = "\x00" + typed // nobody can have it; it waits like any other
	}
	owner, err := s.Store.Claim(ctx, org, claim)
	if err != nil {
		return "", nil, err
	}
	var ids []profile.ID
	if box != "" {
		if ids, err = s.Store.AtMailbox(ctx, org, box, atMailbox); err != nil {
			return "", nil, err
		}
		if len(ids) == atMailbox {
			ids = nil // too many to be sure that one is the only one
		}
	}
	if owner != "" {
		ids = []profile.ID{owner}
	}
	if len(ids) == 0 {
		ids = []profile.ID{credential.Nobody}
	}
	found, err := s.Store.Profiles(ctx, org, ids)
	if err != nil {
		return "", nil, err
	}
	if owner != "" {
		return name, found[owner], nil
	}
	for _, q := range found {
		if !q.HasPassword {
			continue
		}
		if p != nil {
			return name, nil, nil // shared: only a username tells who
		}
		p = q
	}
	return name, p, nil
}

// device says whether the browser signed in before as this very profile.
func (s *Service) device(ctx context.Context, org string, token Token, p *profile.Profile) (bool, error) {
	if !token.known() {
		return false, nil
	}
	d, err := s.Store.Device(ctx, org, token.hash("device", org))
	if d == nil || err != nil {
		return false, err
	}
	return p != nil && d.Profile == p.ID && s.Now().Before(d.Expires), nil
}

// refusal is why a verified attempt does not get in, "" if it does. Beyond the
// password it reads only for who has typed the right one.
func (s *Service) refusal(ctx context.Context, settings *organization.Settings, p *profile.Profile, v credential.Verified) (string, error) {
	switch {
	case v.Stopped:
		return "password_stopped", nil
	case p == nil:
		return "unknown_name", nil
	case !v.Match:
		return "wrong_password", nil
	}
	targets, err := s.Store.Targets(ctx, settings.ID, p)
	if err != nil {
		return "", err
	}
	if right := settings.Access.MayEnter(p, targets); !right.Allowed {
		return right.Reason, nil
	}
	return "", nil
}

// refuse writes the refusal down. The name that was typed is not: people type
// passwords there.
func (s *Service) refuse(ctx context.Context, org string, p *profile.Profile, reason, from string) error {
	now := s.now()
	e := activity.Entry{
		Organization: org, ID: s.NewID(now), At: now, Kind: activity.SignInRefused,
		Actor: activity.Actor{Kind: activity.Member, From: from}, Detail: map[string]string{"reason": reason},
	}
	if p != nil {
		e.Profile, e.Actor.ID, e.Actor.Name = string(p.ID), string(p.ID), p.Name()
	}
	return s.Store.Update(ctx, func(tx Tx) error {
		tx.AddActivity(e)
		if p == nil {
			// No profile has a line of this, so one write would be missing
			// (A9).
			tx.DeleteSession(org, string(credential.Nobody))
		}
		return nil
	})
}

// admission is what a new session is made of.
type admission struct {
	keys       []string // counters to forget
	device     Token
	known      bool // the device was the profile's before
	previous   Token
	kept       bool
	mustChange bool
	from       string
	kind       activity.Kind // "" writes nothing down
	// same says whether the login is still the one whose password was verified.
	same func(*profile.Profile) bool
}

// admit makes the session, in one transaction that fails when the login has
// changed since its password was verified.
func (s *Service) admit(ctx context.Context, settings *organization.Settings, p *profile.Profile, a admission) (*SignedIn, error) {
	org, now := settings.ID, s.now()
	token, err := s.newToken()
	if err != nil {
		return nil, err
	}
	if !a.known {
		if a.device, err = s.newToken(); err != nil {
			return nil, err
		}
	}
	life := time.Duration(settings.SessionHours) * time.Hour
	kept := a.kept && settings.KeepSignedInDays > 0
	if kept {
		life = time.Duration(settings.KeepSignedInDays) * 24 * time.Hour
	}
	out := &SignedIn{Token: token, Ends: now.Add(life), Kept: kept, Device: a.device, DeviceEnds: now.Add(DeviceLife), MustChange: a.mustChange}
	err = s.Store.Update(ctx, func(tx Tx) error {
		fresh, err := tx.Profile(org, p.ID)
		if err != nil {
			return err
		}
		c, err := tx.Credential(org, p.ID)
		if err != nil {
			return err
		}
		if c == nil || !a.same(fresh) {
			return Refused
		}
		before := c.LastSignInAt
		if a.kind != "" {
			c.SignedIn(now)
			tx.PutCredential(c)
			tx.AddActivity(activity.Entry{
				Organization: org, ID: s.NewID(now), At: now, Kind: a.kind, Profile: string(p.ID),
				Actor: activity.Actor{Kind: activity.Member, ID: string(p.ID), Name: p.Name(), From: a.from},
			})
		}
		for _, key := range a.keys {
			tx.DeleteAttempts(org, key)
		}
		if a.previous.known() {
			tx.DeleteSession(org, a.previous.hash("session", org))
		}
		tx.PutDevice(&Device{Organization: org, Hash: a.device.hash("device", org), Profile: p.ID, Expires: out.DeviceEnds})
		tx.PutSession(&Session{
			Organization: org, Hash: token.hash("session", org), Profile: p.ID, Epoch: fresh.Epoch,
			Created: now, Ends: out.Ends, Kept: kept, MustChange: a.mustChange, Before: before,
		})
		return nil
	})
	if problem.As(err).Kind == problem.NotFound {
		err = Refused
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ChangePassword changes the password of a member who is signed in. Every
// session ends with the epoch; the browser at hand gets a new one. Wrong
// current passwords are counted, by a counter of this login alone, for a
// browser that was left open must not be a place to guess.
func (s *Service) ChangePassword(ctx context.Context, who *Who, token, device Token, current, fresh password.Plain, from string) (*SignedIn, error) {
	org, p := who.Organization.ID, who.Profile
	if utf8.RuneCountInString(current.Reveal()) > password.MaxLength {
		return nil, credential.PasswordWrong
	}
	// What is refused without a look at the current password is no attempt.
	if err := credential.CheckOwn(who.Organization, p, current, fresh); err != nil {
		return nil, err
	}
	key, err := s.count(ctx, org, digest("change attempts", org, string(p.ID)+"\x00"+p.Epoch))
	if err != nil {
		return nil, err
	}
	known, err := s.device(ctx, org, device, p)
	if err != nil {
		return nil, err
	}
	by := activity.Actor{Kind: activity.Member, ID: string(p.ID), Name: p.Name(), From: from}
	if err := s.Passwords.ChangeOwn(ctx, org, p.ID, current, fresh, by); err != nil {
		return nil, err
	}
	// Ours is the one edit since the profile was read: whoever changed the
	// password after us must not find us signed in.
	next := p.CredentialVersion + 1
	return s.admit(ctx, who.Organization, p, admission{keys: []string{key}, device: device, known: known, previous: token, kept: who.Session.Kept, from: from,
		same: func(now *profile.Profile) bool { return now.CredentialVersion == next }})
}
