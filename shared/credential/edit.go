package credential

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/username"
)

// means is what every change needs beside its store.
type means struct {
	bells mailing.Bells
	rand  io.Reader
	newID func(time.Time) string
	again time.Duration
	log   *slog.Logger
}

// edit is one change of a login, made anew at every run of its transaction.
type edit struct {
	now     time.Time
	by      activity.Actor
	how     message.Actor
	changes []message.Change // what the notice tells
	entries []activity.Entry // what the trail tells
	names   []string         // further names whose waits end, beside those that the profile has now
}

// did adds a line to the trail.
func (e *edit) did(kind activity.Kind, detail map[string]string) {
	e.entries = append(e.entries, activity.Entry{Kind: kind, Detail: detail})
}

// store writes a change of the login of p: the new epoch that ends every link
// and session, the trail, the end of waits, and the notice where the profile
// has or had a password (H5, H5b). It returns the notice, nil for none.
func (m means) store(tx LoginTx, p *profile.Profile, e *edit) (*mailing.Batch, error) {
	if err := p.EndLogins(m.rand, e.now); err != nil {
		return nil, err
	}
	if err := tx.PutProfile(p); err != nil {
		return nil, err
	}
	for _, entry := range e.entries {
		entry.Organization, entry.Profile = p.Organization, string(p.ID)
		entry.ID, entry.At, entry.Actor = m.newID(e.now), e.now, e.by
		tx.AddActivity(entry)
	}
	endWaits(tx, p.Organization, append(e.names, p.Username, p.Mailbox))
	if len(e.changes) == 0 || p.Email == "" || !p.HasPassword && !p.HadPassword {
		return nil, nil
	}
	notice := mailing.NewNotice(m.newID(e.now), p, e.changes, e.how, e.by, e.now, "")
	tx.PutBatch(notice, e.now.Add(m.again))
	return notice, nil
}

func endWaits(tx LoginTx, org string, names []string) {
	for _, name := range names {
		if name != "" {
			tx.DeleteAttempts(org, AttemptsKey(org, name))
		}
	}
}

// ring announces a mail. A bell that fails is no failure of the change: the
// batch stands among what is due, and the sweep rings again.
func (m means) ring(ctx context.Context, b *mailing.Batch) {
	if b == nil {
		return
	}
	m.ringBell(ctx, b.Bell())
}

func (m means) ringBell(ctx context.Context, bell mailing.Bell) {
	if err := m.bells.Ring(ctx, bell); err != nil {
		m.log.WarnContext(ctx, "bell not rung, the sweep will", "kind", bell.Kind, "organization", bell.Organization, "id", bell.ID, "error", err)
	}
}

// Problems of usernames, beside those of package username.
var (
	// UsernameTaken never says who has it.
	UsernameTaken = problem.New(problem.Conflict, "username_taken", "username", "This username is in use already. Please choose another one.")
	// usernameRequired is a login without a username where the email cannot become one.
	usernameRequired = problem.New(problem.Invalid, "username_required", "username", "This login needs a username: its email address cannot become one, is in use as one, or is missing. Please choose a username.")
	// usernameNotOwn is a username with an @ that is somebody else's address,
	// or nobody's: mail for it would not reach this person.
	usernameNotOwn = problem.New(problem.Invalid, "username_not_own_address", "username", "A username with an @ must be the email address of this profile. Please use that address, or a name without an @.")
)

// ownName normalises a username that was typed for p and checks that an
// address is the profile's own (H4). The username that p has may stay, even if
// it is an address of before.
func ownName(p *profile.Profile, typed string) (string, error) {
	name, err := username.Normalise(typed)
	if err != nil {
		return "", err
	}
	if strings.Contains(string(name), "@") && string(name) != p.Mailbox && string(name) != p.Username {
		return "", usernameNotOwn
	}
	return string(name), nil
}

// Claims are the usernames of an organization, within a transaction.
type Claims interface {
	// Claim tells who has a username; "" where it is free.
	Claim(org, username string) (profile.ID, error)
	PutClaim(org, username string, id profile.ID)
	DeleteClaim(org, username string)
}

// Rename gives p another username: the claim moves with the profile's copy of
// it, so of several who want a name one gets it (H4). The error is
// UsernameTaken, or the store's. Storing p, its new epoch and version, the
// trail and the notice are the caller's.
func Rename(tx Claims, p *profile.Profile, name string) error {
	holder, err := tx.Claim(p.Organization, name)
	if err != nil {
		return err
	}
	if holder != "" && holder != p.ID {
		return UsernameTaken
	}
	if p.Username != "" { // claim and copy are always written together, so it is p's
		tx.DeleteClaim(p.Organization, p.Username)
	}
	tx.PutClaim(p.Organization, name, p.ID)
	p.Username = name
	return nil
}

// suggest offers free usernames to p.
func (s *Service) suggest(ctx context.Context, p *profile.Profile) ([]string, error) {
	first, last := p.FirstName, p.LastName
	if p.Type == profile.Organization || first == "" && last == "" {
		first, last = "", p.OrganizationName
	}
	names, err := username.Suggest(first, last, string(p.ID), func(n username.Name) (bool, error) {
		holder, err := s.Store.Claim(ctx, p.Organization, string(n))
		return holder != "", err
	})
	free := make([]string, len(names))
	for i, n := range names {
		free[i] = string(n)
	}
	return free, err
}

// suggesting adds usernames that are free to a refusal. Should those not be
// found, it stands without them.
func (s *Service) suggesting(ctx context.Context, p *profile.Profile, refusal *problem.Problem) error {
	free, err := s.suggest(ctx, p)
	if err != nil || len(free) == 0 {
		return refusal
	}
	return refusal.With("suggestions", free)
}

// PolicyOf is what a new password of p must meet; name is the username that it
// will have. p may be nil.
func PolicyOf(settings *organization.Settings, p *profile.Profile, name string) password.Policy {
	policy := password.Policy{Minimum: settings.MinimumPassword, Words: []string{"memberkey", settings.Name, settings.ID, name}}
	if p != nil {
		local, _, _ := strings.Cut(p.Mailbox, "@")
		policy.Words = append(policy.Words, local, p.FirstName, p.LastName, p.OrganizationName, p.Username)
	}
	return policy
}
