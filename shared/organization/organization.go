// Package organization holds what an association settles for itself, and what
// its staff may do.
package organization

import (
	"time"

	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/profile"
)

// Settings are one association's. The zero value is not usable: start from Defaults.
type Settings struct {
	ID      string `json:"id"`      // lower-case letters, digits and hyphens, 2 to 40: part of every link
	Version int    `json:"version"` // moves at every save

	Name    string `json:"name"`
	LogoURL string `json:"logoUrl,omitempty"` // https
	Website string `json:"website,omitempty"` // https

	// The help line, on every page and in every mail.
	HelpPhone string `json:"helpPhone,omitempty"`
	HelpEmail string `json:"helpEmail,omitempty"`
	HelpHours string `json:"helpHours,omitempty"`

	SenderName    string   `json:"senderName"`
	SenderAddress string   `json:"senderAddress"`
	ReplyTo       string   `json:"replyTo,omitempty"`
	TestAddresses []string `json:"testAddresses,omitempty"` // where tests of a mailing may go

	// PortalAddress is the origin of every link (H10): scheme and host, no path.
	PortalAddress string `json:"portalAddress"`
	TimeZone      string `json:"timeZone"` // IANA name

	profile.Access

	// LinkHours is the life of a mailing's link: 1 to 336. Single links live
	// at most 24 hours whatever it says (NIST SP 800-63B-4 §4.2.1.2).
	LinkHours int `json:"linkHours"`
	// MinimumPassword is 8 to 64; below 15 is a deviation from NIST SP 800-63B-4 §3.1.1.2.
	MinimumPassword int `json:"minimumPassword"`
	// StaffMayTypePasswords: no means links only.
	StaffMayTypePasswords bool `json:"staffMayTypePasswords"`
	// MustChangeTyped: a password typed by staff must be changed at the first sign-in.
	MustChangeTyped bool `json:"mustChangeTyped"`
	SessionHours    int  `json:"sessionHours"`
	// KeepSignedInDays is the life of a session with "keep me signed in";
	// 0 means that it is not offered.
	KeepSignedInDays int `json:"keepSignedInDays"`
}

// Defaults are the settings of a new association.
func Defaults(id, name string) Settings {
	return Settings{
		ID: id, Name: name, SenderName: name, TimeZone: "UTC",
		Access: profile.Access{
			Level:          profile.MembersAndPrimaryRelations,
			MemberStatuses: []profile.Status{profile.Active},
			PrimaryKinds:   []string{"Employee", "Owner", "Spouse"},
		},
		LinkHours: 24, MinimumPassword: password.MinimumDefault, StaffMayTypePasswords: true, MustChangeTyped: true, SessionHours: 12,
	}
}

// SingleLinkLife is the life of a link that one person asked for.
func (s *Settings) SingleLinkLife() time.Duration {
	return min(time.Duration(s.LinkHours)*time.Hour, 24*time.Hour)
}

// MailingLinkLife is the life of a mailing's link, counted from minting.
func (s *Settings) MailingLinkLife() time.Duration { return time.Duration(s.LinkHours) * time.Hour }

// Zone is the organization's time zone; UTC where the name is unknown here.
func (s *Settings) Zone() *time.Location {
	if zone, err := time.LoadLocation(s.TimeZone); err == nil {
		return zone
	}
	return time.UTC
}

// Portal is the address of a page of the member portal; path begins with a
// slash or is empty for the front page (H10).
func (s *Settings) Portal(path string) string { return s.PortalAddress + "/portal/" + s.ID + path }
