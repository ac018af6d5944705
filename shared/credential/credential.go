// Package credential is a profile's username and password hash: reading them
// without giving anything away, and every way in which they change.
package credential

import (
	"time"

	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/profile"
)

// TypedLife is how long a password that staff typed works unless the member
// changes it (design "Settled").
const TypedLife = 14 * 24 * time.Hour

// Setter is who set a password.
type Setter string

const (
	ByMember Setter = "member" // signed in, with the current password
	ByLink   Setter = "link"   // the member, with a link
	ByStaff  Setter = "staff"
)

// Credential is what opens a profile's login. The username is no part of it: it
// is claimed beside the profile (profile.Username), so that people can be found,
// mailed and renamed without any access to hashes (H24).
type Credential struct {
	Organization string        `json:"organization"`
	Profile      profile.ID    `json:"profile"`
	Hash         password.Hash `json:"-"` // the store writes it

	SetAt      time.Time `json:"setAt,omitzero"` // when the password was set
	SetBy      Setter    `json:"setBy,omitempty"`
	SetByName  string    `json:"setByName,omitempty"` // the staff member's name
	MustChange bool      `json:"mustChange,omitempty"`
	// StopsAt ends a password that staff typed; zero means never.
	StopsAt time.Time `json:"stopsAt,omitzero"`
	// UsedLink is the hash of the link that set the password, so that a used
	// link's page can say so (H8).
	UsedLink []byte `json:"usedLink,omitempty"`

	LastSignInAt time.Time `json:"lastSignInAt,omitzero"`
}

// HasPassword says whether a password is set.
func (c *Credential) HasPassword() bool { return c != nil && !c.Hash.IsZero() }
