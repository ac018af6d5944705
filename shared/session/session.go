// Package session lets members in: counted attempts, sign-in, the session that
// follows, and switching to a related profile.
package session

import (
	"time"

	"github.com/memberkey/memberkey/shared/profile"
)

// Session is a member who signed in. Only a SHA-256 of its token is stored. It
// is valid while the profile has the session's epoch and may sign in, both
// asked at every request (H6).
type Session struct {
	Organization string     `json:"-"`
	Hash         string     `json:"-"` // the store's key: hex SHA-256 of the token
	Profile      profile.ID `json:"profile"`
	Epoch        string     `json:"epoch"`
	ActingFor    profile.ID `json:"actingFor,omitempty"` // switched to; "" is oneself
	Created      time.Time  `json:"created"`
	Ends         time.Time  `json:"ends"`
	Kept         bool       `json:"kept,omitempty"` // "keep me signed in"
}

// Attempts counts failures of one name (or one name on one known device).
type Attempts struct {
	Organization string    `json:"-"`
	Key          string    `json:"-"` // hex SHA-256 of what is counted; names are never stored
	Failures     int       `json:"failures"`
	Until        time.Time `json:"until,omitzero"` // end of the present wait
	Expires      time.Time `json:"expires"`
}

// Device is a browser that signed in before; it has a counter of its own, so
// that strangers who guess cannot lock the owner out (identity.md A15).
type Device struct {
	Organization string     `json:"-"`
	Hash         string     `json:"-"` // the store's key: hex SHA-256 of the cookie
	Profile      profile.ID `json:"profile"`
	Expires      time.Time  `json:"expires"`
}
