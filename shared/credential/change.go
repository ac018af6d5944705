package credential

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// Change is what staff send to change a credential (H3). What is not sent, the
// placeholder and an empty password change nothing.
type Change struct {
	Username *string         `json:"username"`
	Password *password.Plain `json:"password"`
}

// Problems of staff who change a credential.
var (
	// errStale leaves a transaction for [Service.stale], which says what differs.
	errStale  = errors.New("credential: another version is stored")
	typingOff = problem.New(problem.Refused, "typing_switched_off", "password", "Your association has settled that staff do not type passwords. Please send a password reset email instead.")
)

// setsPassword says whether a password was typed.
func (in Change) setsPassword() bool {
	return in.Password != nil && !in.Password.IsZero() && !in.Password.Equal(password.NewPlain(password.Placeholder))
}

// takesEmail says whether the email is to become the username: there is none,
// and none was typed.
func (in Change) takesEmail(p *profile.Profile) bool {
	return p.Username == "" && (in.Username == nil || strings.TrimSpace(*in.Username) == "")
}

// name is the username that p has after the change; a password needs one, and
// takes the email where there is none.
func (in Change) name(p *profile.Profile) (string, error) {
	if !in.takesEmail(p) {
		if in.Username != nil {
			return ownName(p, strings.TrimSpace(*in.Username))
		}
		return p.Username, nil
	}
	if !in.setsPassword() {
		return "", nil
	}
	name, ok := p.EmailName()
	if !ok {
		return "", usernameRequired
	}
	return name, nil
}

// Change changes username, password or both, for the version that staff have
// seen. Nothing to change is no change: same version, no notice.
func (s *Service) Change(ctx context.Context, by activity.Actor, org string, id profile.ID, version int, in Change) (*View, error) {
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	p, err := s.profile(ctx, org, id)
	if err != nil {
		return nil, err
	}
	if p.CredentialVersion != version {
		return nil, s.stale(ctx, p, version)
	}
	name, err := s.checkChange(ctx, settings, p, in)
	if err != nil {
		return nil, err
	}
	if name == p.Username && !in.setsPassword() {
		return s.view(ctx, p)
	}
	var hash password.Hash
	if in.setsPassword() {
		if hash, err = s.Hasher.Hash(ctx, *in.Password); err != nil {
			return nil, err
		}
	}
	var notice *mailing.Batch
	err = s.Store.Update(ctx, func(tx Tx) error {
		notice = nil
		if p, err = tx.Profile(org, id); err != nil {
			return err
		}
		if p.CredentialVersion != version {
			return errStale
		}
		// The email may have changed since, which moves no version of the credential.
		name, err := in.name(p)
		if err != nil {
			return err
		}
		e := &edit{now: s.now(), by: by, how: message.ByStaff}
		if in.setsPassword() {
			if err := s.setPassword(tx, p, e, func(c *Credential) {
				c.Hash, c.SetBy, c.SetByName = hash, ByStaff, by.Name
				c.MustChange, c.StopsAt = settings.MustChangeTyped, e.now.Add(TypedLife)
			}); err != nil {
				return err
			}
		} else {
			p.CredentialVersion++
		}
		if name != p.Username {
			old := p.Username
			if err := Rename(tx, p, name); err != nil {
				return err
			}
			e.names = append(e.names, old)
			e.did(activity.UsernameChanged, map[string]string{"old": old, "new": name})
			if old != "" || len(e.changes) == 0 { // a first password tells the first username anyway
				e.changes = append(e.changes, message.UsernameChanged)
			}
		}
		notice, err = s.means().store(tx, p, e)
		return err
	})
	switch {
	case errors.Is(err, errStale):
		return nil, s.stale(ctx, p, version)
	case errors.Is(err, UsernameTaken) && in.takesEmail(p):
		return nil, s.suggesting(ctx, p, usernameRequired)
	case errors.Is(err, UsernameTaken), errors.Is(err, usernameRequired):
		return nil, s.suggesting(ctx, p, problem.As(err))
	case err != nil:
		return nil, err
	}
	s.means().ring(ctx, notice)
	return s.view(ctx, p)
}

// checkChange refuses what can be refused before the hash, and gives the
// username to be.
func (s *Service) checkChange(ctx context.Context, settings *organization.Settings, p *profile.Profile, in Change) (string, error) {
	if in.setsPassword() && !settings.StaffMayTypePasswords {
		return "", typingOff
	}
	name, err := in.name(p)
	if err == nil && name != p.Username {
		switch holder, claim := s.Store.Claim(ctx, p.Organization, name); {
		case claim != nil:
			return "", claim
		case holder == "" || holder == p.ID:
		case in.takesEmail(p):
			err = usernameRequired // nobody typed the name that is taken
		default:
			err = UsernameTaken
		}
	}
	var faults []problem.Item
	if wrong := problem.As(err); err != nil && wrong.Kind == problem.Internal {
		return "", err
	} else if err != nil && wrong.Kind == problem.Invalid {
		faults = append(faults, problem.Item{Field: wrong.Field, Code: wrong.Code, Detail: wrong.Detail})
	}
	if in.setsPassword() {
		faults = append(faults, PolicyOf(settings, p, name).Check(*in.Password)...)
	}
	if refused := problem.Several(problem.Invalid, faults); errors.Is(refused, usernameRequired) {
		return "", s.suggesting(ctx, p, problem.As(refused))
	} else if refused != nil {
		return "", refused
	}
	if errors.Is(err, UsernameTaken) {
		return "", s.suggesting(ctx, p, UsernameTaken)
	}
	return name, err
}

// Remove erases the hash, frees the username and leaves the login disabled
// (H5c). Where all that is so already nothing changes.
func (s *Service) Remove(ctx context.Context, by activity.Actor, org string, id profile.ID, version int) (*View, error) {
	if !id.Valid() {
		return nil, noProfile
	}
	var p *profile.Profile
	var notice *mailing.Batch
	err := s.Store.Update(ctx, func(tx Tx) (err error) {
		notice = nil
		if p, err = tx.Profile(org, id); err != nil {
			return err
		}
		if p.CredentialVersion != version {
			return errStale
		}
		if p.Disabled && p.Username == "" && !p.HasPassword {
			return nil
		}
		e := &edit{now: s.now(), by: by, how: message.ByStaff, names: []string{p.Username}, changes: []message.Change{message.LoginRemoved}}
		e.did(activity.LoginRemoved, map[string]string{"old": p.Username})
		if p.Username != "" {
			tx.DeleteClaim(org, p.Username)
		}
		tx.DeleteCredential(org, id)
		p.Username, p.HasPassword, p.Disabled = "", false, true
		p.CredentialVersion++
		notice, err = s.means().store(tx, p, e)
		return err
	})
	if errors.Is(err, errStale) {
		return nil, s.stale(ctx, p, version)
	}
	if err != nil {
		return nil, err
	}
	s.means().ring(ctx, notice)
	return s.view(ctx, p)
}

// loginFields are the parts of a credential, by what the trail says of them.
var loginFields = map[activity.Kind][]string{
	activity.UsernameChanged: {"username"},
	activity.PasswordSet:     {"password"},
	activity.PasswordChanged: {"password"},
	activity.LoginDisabled:   {"disabled"},
	activity.LoginEnabled:    {"disabled"},
	activity.LoginRemoved:    {"username", "password", "disabled"},
}

// maxLooked is how many lines of a trail are read to tell what differs. Most
// lines are sign-ins, so many may lie between two changes.
const maxLooked = 1000

// stale tells what changed since the version that staff have seen. Every step
// of the version left one instant in the trail.
func (s *Service) stale(ctx context.Context, p *profile.Profile, seen int) error {
	var differs []string
	steps := p.CredentialVersion - seen
	var at time.Time
	for read, cursor := 0, ""; read < maxLooked; {
		trail, next, err := s.Store.ProfileActivity(ctx, p.Organization, p.ID, cursor, min(100, maxLooked-read))
		if err != nil {
			return err
		}
		for _, entry := range trail {
			fields := loginFields[entry.Kind]
			if fields == nil {
				continue
			}
			if !entry.At.Equal(at) {
				if steps <= 0 {
					next = ""
					break
				}
				steps, at = steps-1, entry.At
			}
			differs = append(differs, fields...)
		}
		if read, cursor = read+len(trail), next; next == "" {
			break
		}
	}
	slices.Sort(differs)
	return problem.VersionStale(p.CredentialVersion, slices.Compact(differs))
}

// Generate makes a password of plain words for staff to hand over (N16 puts it
// behind the same switch as typing).
func (s *Service) Generate(ctx context.Context, org string) (password.Plain, error) {
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return password.Plain{}, err
	}
	if !settings.StaffMayTypePasswords {
		return password.Plain{}, typingOff
	}
	return password.Generate(s.Rand, settings.MinimumPassword)
}

// CheckPassword gives the reasons why a profile cannot have a password, none
// if it can, and the rule in words. id may be empty.
func (s *Service) CheckPassword(ctx context.Context, org string, id profile.ID, plain password.Plain) (reasons []problem.Item, rule string, err error) {
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return nil, "", err
	}
	var p *profile.Profile
	name := ""
	if id != "" {
		if p, err = s.profile(ctx, org, id); err != nil {
			return nil, "", err
		}
		if name, err = s.nameToBe(ctx, p); err != nil {
			return nil, "", err
		}
	}
	policy := PolicyOf(settings, p, name)
	return policy.Check(plain), policy.Rule(), nil
}
