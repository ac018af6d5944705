// Package credential is a profile's username and password: reading them without
// giving anything away, and every way in which they change.
//
//   - [Service] has the hashes. Staff read and change credentials with it
//     (read.go, change.go, access.go), members use links (open.go, set.go) and
//     sign in (signin.go).
//   - [Logins] disables, enables, signs out and unlocks; [Resets] sends one
//     reset email. Neither can read a hash, because what they are given to
//     store with has no method for it (H24).
//
// Every change goes the same way: refuse what is cheap to refuse, hash, and
// then one transaction that holds the profile with its new epoch, the
// credential, the claim of the username, the trail and the notice, all of it or
// none (H5). The bell for the notice is rung after it; a bell that is not heard
// is rung again by the sweep.
package credential

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// TypedLife is how long a password that staff typed works unless the member
// changes it, or uses it where the association asks for no change (design
// "Settled").
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
	// UsedLink is the hash of the link that was used last, and UsedAt when, so
	// that a used link's page can say so (H8). They outlive later changes of
	// the password.
	UsedLink []byte    `json:"usedLink,omitempty"`
	UsedAt   time.Time `json:"usedAt,omitzero"`

	LastSignInAt time.Time `json:"lastSignInAt,omitzero"`
}

// HasPassword says whether a password is set.
func (c *Credential) HasPassword() bool { return c != nil && !c.Hash.IsZero() }

// Stopped says whether the password was typed by staff and has run out.
func (c *Credential) Stopped(now time.Time) bool {
	return c.HasPassword() && !c.StopsAt.IsZero() && !now.Before(c.StopsAt)
}

// SignedIn notes a sign-in. It is no change: versions and epoch stay. A typed
// password that need not be changed is in use from now on, and no longer stops.
func (c *Credential) SignedIn(now time.Time) {
	c.LastSignInAt = now
	if !c.MustChange {
		c.StopsAt = time.Time{}
	}
}

// AttemptsKey is the key under which failures to sign in with a name are
// counted: a username in its stored form, or a mailbox. Names themselves are
// not stored there.
func AttemptsKey(org, name string) string {
	sum := sha256.Sum256([]byte("memberkey attempts\x00" + org + "\x00" + name))
	return hex.EncodeToString(sum[:])
}

// Wait is how a name is held back after failures to sign in.
type Wait struct {
	Until time.Time // no password is taken before
	// Locked: there were so many failures that waiting does not help; a link or
	// staff end it (NIST SP 800-63B-4 §3.2.2).
	Locked bool
}

// Store is what a [Service] reads, strongly consistent, and its transactions.
// Absent things are nil, except where a method says otherwise.
type Store interface {
	// Organization answers a not-found problem where there is none.
	Organization(ctx context.Context, id string) (*organization.Settings, error)
	// Profile answers a not-found problem where there is none.
	Profile(ctx context.Context, org string, id profile.ID) (*profile.Profile, error)
	// Profiles leaves out those that do not exist.
	Profiles(ctx context.Context, org string, ids []profile.ID) (map[profile.ID]*profile.Profile, error)
	Targets(ctx context.Context, org string, of ...*profile.Profile) (profile.Targets, error)
	Related(ctx context.Context, org string, id, after profile.ID, limit int) (ids []profile.ID, more bool, err error)
	AtMailbox(ctx context.Context, org, mailbox string, limit int) ([]profile.ID, error)
	// Claim tells who has a username; "" where it is free.
	Claim(ctx context.Context, org, username string) (profile.ID, error)
	Credential(ctx context.Context, org string, id profile.ID) (*Credential, error)
	Page(ctx context.Context, org, id string) (*link.Page, error)
	// Mailing answers a not-found problem where there is none.
	Mailing(ctx context.Context, org, id string) (*mailing.Mailing, error)
	// Wait tells how a counter holds its name back; zero where nothing was counted.
	Wait(ctx context.Context, org, key string) (Wait, error)
	ProfileActivity(ctx context.Context, org string, id profile.ID, cursor string, limit int) ([]activity.Entry, string, error)

	// Update runs fn and stores what it put, all or nothing; it runs fn again
	// when something that fn read has changed meanwhile.
	Update(ctx context.Context, fn func(Tx) error) error
}

// Tx is a transaction of a [Service].
type Tx interface {
	LoginTx
	Claims
	Credential(org string, id profile.ID) (*Credential, error)
	PutCredential(*Credential)
	DeleteCredential(org string, id profile.ID)
	PutRequest(r *mailing.Request, due time.Time)
}

// Service reads and changes credentials. All fields are needed, but Mail for
// staff alone. It is safe for concurrent use if Rand is.
type Service struct {
	Store  Store
	Mail   mailing.Store // where the last link is looked up
	Hasher *password.Hasher
	Bells  mailing.Bells
	Now    func() time.Time
	Rand   io.Reader
	NewID  func(time.Time) string
	Again  time.Duration // how long a bell may take before the sweep rings once more
	Log    *slog.Logger
}

func (s *Service) now() time.Time { return instant(s.Now) }

// instant is the time as it is stored.
func instant(now func() time.Time) time.Time { return now().UTC().Truncate(time.Millisecond) }

// noProfile is what the store answers for a profile that is not there (H21);
// an ID that no profile can have is not even asked for.
var noProfile = problem.New(problem.NotFound, "profile_not_found", "id", "There is no profile with this ID in your organization. Search for the name, or check the number.")

// profile reads a profile whose ID came from outside.
func (s *Service) profile(ctx context.Context, org string, id profile.ID) (*profile.Profile, error) {
	if !id.Valid() {
		return nil, noProfile
	}
	return s.Store.Profile(ctx, org, id)
}

func (s *Service) means() means {
	return means{bells: s.Bells, rand: s.Rand, newID: s.NewID, again: s.Again, log: s.Log}
}
