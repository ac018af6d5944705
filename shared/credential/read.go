package credential

import (
	"context"
	"time"

	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/profile"
)

// View is what staff see of a credential (H2): never a hash, never a length.
type View struct {
	Username            string `json:"username"`
	PasswordSet         bool   `json:"passwordSet"`
	PasswordPlaceholder string `json:"passwordPlaceholder,omitempty"` // exactly when there is a password
	MustChange          bool   `json:"mustChange"`
	Version             int    `json:"version"` // the ETag

	PasswordChangedAt     time.Time `json:"passwordChangedAt,omitzero"`
	PasswordChangedBy     string    `json:"passwordChangedBy,omitempty"`     // "member", with or without a link, or "staff"
	PasswordChangedByName string    `json:"passwordChangedByName,omitempty"` // of staff
	// StopsAt is when a typed password stops working unless it is changed;
	// Stopped says that it has.
	StopsAt time.Time `json:"stopsAt,omitzero"`
	Stopped bool      `json:"stopped"`

	Disabled     bool                `json:"disabled"`
	LoginStatus  profile.LoginStatus `json:"loginStatus"`
	LastSignInAt time.Time           `json:"lastSignInAt,omitzero"`
	LastLink     *LastLink           `json:"lastLink"`
}

// LastLink is the latest mail with a link for the profile.
type LastLink struct {
	State   mailing.Outcome `json:"state"`
	Reason  string          `json:"reason,omitempty"`
	Address string          `json:"address"` // "" until it is sent
	SentAt  time.Time       `json:"sentAt"`
	EndsAt  time.Time       `json:"endsAt"`
	Mailing *string         `json:"mailing"` // null for a mail of its own
}

// Read tells what is to be seen of a profile's credential.
func (s *Service) Read(ctx context.Context, org string, id profile.ID) (*View, error) {
	p, err := s.profile(ctx, org, id)
	if err != nil {
		return nil, err
	}
	return s.view(ctx, p)
}

func (s *Service) view(ctx context.Context, p *profile.Profile) (*View, error) {
	c, err := s.Store.Credential(ctx, p.Organization, p.ID)
	if err != nil {
		return nil, err
	}
	last, err := mailing.NewFinder(s.Mail, p.Organization).LastLink(ctx, p)
	if err != nil {
		return nil, err
	}
	now := s.now()
	v := &View{Username: p.Username, PasswordSet: c.HasPassword(), Version: p.CredentialVersion, Disabled: p.Disabled, LastLink: lastLink(last)}
	var ends time.Time
	if last != nil {
		ends = last.EndsAt
	}
	v.LoginStatus = p.LoginStatus(ends, now)
	if v.PasswordSet {
		v.PasswordPlaceholder = password.Placeholder
		v.MustChange, v.PasswordChangedAt, v.PasswordChangedBy, v.PasswordChangedByName = c.MustChange, c.SetAt, "member", c.SetByName
		if c.SetBy == ByStaff {
			v.PasswordChangedBy = "staff"
		}
		v.StopsAt, v.Stopped, v.LastSignInAt = c.StopsAt, c.Stopped(now), c.LastSignInAt
	}
	return v, nil
}

func lastLink(l *mailing.LastLink) *LastLink {
	if l == nil {
		return nil
	}
	v := &LastLink{State: l.State, Reason: l.Reason, Address: l.Address, SentAt: l.SentAt.UTC(), EndsAt: l.EndsAt.UTC()}
	if l.Mailing != "" {
		v.Mailing = &l.Mailing
	}
	return v
}
