// Package session lets members in: counted attempts, sign-in, the session that
// follows, switching to a related profile, and asking for help with signing in.
//
// A sign-in goes through these steps, in this order (H22):
//
//  1. Who is meant: the owner of the username, or the one profile with a login
//     at the mailbox. The reads are the same whether there is one or not.
//  2. The attempt is counted, before anything is hashed, under the name as it
//     was typed, so a name that nobody has waits like any other (attempts.go).
//  3. Exactly one hash, against a decoy where there is no password.
//  4. The right to enter, which is asked again at every request (H6).
//  5. One transaction: the counter is forgotten, the session and the device are
//     kept, the sign-in is noted; on the condition that the login is still the
//     one whose password was verified.
//
// Whatever fails, the answer is [Refused]; only a wait says more, and says it
// of every name alike.
package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
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
	// MustChange lets the member reach the page to change the password and no
	// other. It cannot grow stale: a changed password ends the session.
	MustChange bool `json:"mustChange,omitempty"`
	// Before is the sign-in before this one, for its owner to recognise.
	Before time.Time `json:"before,omitzero"`
}

// Attempts counts failures of one name (or one name on one known device).
type Attempts struct {
	Organization string    `json:"-"`
	Key          string    `json:"-"` // hex SHA-256 of what is counted; names are never stored
	Failures     int       `json:"failures"`
	Until        time.Time `json:"until,omitzero"` // end of the present wait
	Expires      time.Time `json:"expires"`
}

// Wait is how the name is held back: by the present wait, or from [MaxFailures]
// on by a lock that lasts as long as the counter is kept. a may be nil.
func (a *Attempts) Wait() credential.Wait {
	switch {
	case a == nil:
		return credential.Wait{}
	case a.Failures >= MaxFailures:
		return credential.Wait{Until: a.Expires, Locked: true}
	}
	return credential.Wait{Until: a.Until}
}

// Device is a browser that signed in before; it has a counter of its own, so
// that strangers who guess cannot lock the owner out (A15).
type Device struct {
	Organization string     `json:"-"`
	Hash         string     `json:"-"` // the store's key: hex SHA-256 of the cookie
	Profile      profile.ID `json:"profile"`
	Expires      time.Time  `json:"expires"`
}

// DeviceLife is how long a browser is known after its last sign-in.
const DeviceLife = 180 * 24 * time.Hour

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
	// Claim tells who has a username; "" where it is free.
	Claim(ctx context.Context, org, username string) (profile.ID, error)
	AtMailbox(ctx context.Context, org, mailbox string, limit int) ([]profile.ID, error)
	Session(ctx context.Context, org, hash string) (*Session, error)
	Device(ctx context.Context, org, hash string) (*Device, error)

	// Update runs fn and stores what it put, all or nothing; it runs fn again
	// when something that fn read has changed meanwhile.
	Update(ctx context.Context, fn func(Tx) error) error
}

// Tx is a transaction of a [Service].
type Tx interface {
	// Profile answers a not-found problem where there is none.
	Profile(org string, id profile.ID) (*profile.Profile, error)
	Credential(org string, id profile.ID) (*credential.Credential, error)
	PutCredential(*credential.Credential)
	Attempts(org, key string) (*Attempts, error)
	PutAttempts(*Attempts)
	DeleteAttempts(org, key string)
	Session(org, hash string) (*Session, error)
	PutSession(*Session)
	DeleteSession(org, hash string)
	PutDevice(*Device)
	PutRequest(r *mailing.Request, due time.Time)
	AddActivity(activity.Entry)
}

// Passwords verifies and changes passwords; *credential.Service does.
type Passwords interface {
	// Check does the same reads and exactly one hash, whether found or not.
	Check(ctx context.Context, org string, id profile.ID, found bool, p password.Plain) (credential.Verified, error)
	Rehash(ctx context.Context, org string, id profile.ID, v credential.Verified, p password.Plain) error
	ChangeOwn(ctx context.Context, org string, id profile.ID, current, fresh password.Plain, from activity.Actor) error
}

// Service signs members in and out. All fields are needed.
type Service struct {
	Store     Store
	Passwords Passwords
	Bells     mailing.Bells
	Now       func() time.Time
	Rand      io.Reader
	NewID     func(time.Time) string
	Again     time.Duration // how long a bell may take before the sweep rings once more
	Log       *slog.Logger
}

// now is the time as it is stored.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// The ways in which a sign-in fails. Refused is all of them but a wait: same
// words, same shape, whatever the reason (ASVS 6.3.8).
var (
	Refused = problem.New(problem.Refused, "sign_in_refused", "", "The username and the password do not fit together, or this login cannot be used at the moment. Please try again, or have a link sent to you.")
	// Waiting carries "until" (time.Time) and "retryAfter" (seconds).
	Waiting = problem.New(problem.Throttled, "sign_in_waiting", "", "There were several tries that did not succeed. Please wait, or have a link sent to you.")
	// Locked is a name after [MaxFailures]; a link, or staff, ends it.
	Locked = problem.New(problem.Throttled, "sign_in_locked", "", "There were very many tries that did not succeed. Please have a link sent to you.")
	// SignedOut is no session, or one that is over.
	SignedOut = problem.New(problem.Unauthenticated, "signed_out", "", "You are not signed in. Please sign in.")
	// NotSwitchable is a profile for which the member may not act.
	NotSwitchable = problem.New(problem.Forbidden, "switch_refused", "to", "You may not act for this profile. Please choose one of those that your front page offers.")
)

// Token is a secret that a browser keeps in a cookie. It prints as
// "[redacted]" everywhere; Reveal alone gives it away.
type Token struct{ text *string }

// NewToken wraps what a cookie held; nothing is checked.
func NewToken(s string) Token { return Token{&s} }

// Reveal gives the token itself.
func (t Token) Reveal() string {
	if t.text == nil {
		return ""
	}
	return *t.text
}

func (Token) String() string               { return redacted }
func (Token) GoString() string             { return redacted }
func (Token) Format(f fmt.State, _ rune)   { io.WriteString(f, redacted) }
func (Token) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Token) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

const redacted = "[redacted]"

// newToken draws 256 bits (ASVS 7.2.3 asks for 128).
func (s *Service) newToken() (Token, error) {
	var b [32]byte
	if _, err := io.ReadFull(s.Rand, b[:]); err != nil {
		return Token{}, fmt.Errorf("session token: %w", err)
	}
	return NewToken(base64.RawURLEncoding.EncodeToString(b[:])), nil
}

// hash is under which a token is stored. Purpose and organization are part of
// it, so that a device never passes for a session (A25).
func (t Token) hash(purpose, org string) string {
	return digest(purpose, org, t.Reveal())
}

func digest(purpose, org, what string) string {
	sum := sha256.Sum256([]byte("memberkey " + purpose + "\x00" + org + "\x00" + what))
	return hex.EncodeToString(sum[:])
}

// known says whether a token can be one of ours; what else a cookie holds is
// not looked up.
func (t Token) known() bool { return len(t.Reveal()) == 43 }

// Who is a member who is signed in, as of one request.
type Who struct {
	Session      *Session
	Organization *organization.Settings
	Profile      *profile.Profile
	// ActingFor is whom the member switched to; nil for oneself.
	ActingFor *profile.Profile
}

// Resolve tells who a token is: SignedOut unless the session stands, is not
// over, was made under the profile's present epoch, and the profile may enter
// now. Someone for whom the member may not act any more is left at once.
func (s *Service) Resolve(ctx context.Context, org string, token Token) (*Who, error) {
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	if !token.known() {
		return nil, SignedOut
	}
	session, err := s.Store.Session(ctx, org, token.hash("session", org))
	if err != nil {
		return nil, err
	}
	if session == nil || !s.Now().Before(session.Ends) {
		return nil, SignedOut
	}
	p, err := s.Store.Profile(ctx, org, session.Profile)
	if problem.As(err).Kind == problem.NotFound {
		return nil, SignedOut
	}
	if err != nil {
		return nil, err
	}
	targets, err := s.Store.Targets(ctx, org, p)
	if err != nil {
		return nil, err
	}
	if p.Epoch != session.Epoch || !settings.Access.MayEnter(p, targets).Allowed {
		return nil, SignedOut
	}
	who := &Who{Session: session, Organization: settings, Profile: p}
	if session.ActingFor != "" && mayActFor(settings, p, targets, session.ActingFor) {
		who.ActingFor = targets[session.ActingFor]
	}
	return who, nil
}

// SignOut ends the session. One that is not there is no fault.
func (s *Service) SignOut(ctx context.Context, org string, token Token, from string) error {
	if !token.known() {
		return nil
	}
	now := s.now()
	return s.Store.Update(ctx, func(tx Tx) error {
		session, err := tx.Session(org, token.hash("session", org))
		if session == nil || err != nil {
			return err
		}
		tx.DeleteSession(org, session.Hash)
		tx.AddActivity(activity.Entry{
			Organization: org, ID: s.NewID(now), At: now, Kind: activity.SignedOutHere, Profile: string(session.Profile),
			Actor: activity.Actor{Kind: activity.Member, ID: string(session.Profile), From: from},
		})
		return nil
	})
}

// mayActFor: the relation says Can Edit and is not over, and its target is a
// member whose login staff have not disabled (V6).
func mayActFor(settings *organization.Settings, p *profile.Profile, targets profile.Targets, to profile.ID) bool {
	target := targets[to]
	if target == nil || to == p.ID || target.Disabled || !settings.Access.IsMember(target) {
		return false
	}
	for _, r := range p.Relations {
		if r.To == to && r.MayEdit() {
			return true
		}
	}
	return false
}

// Switchable lists the profiles for which the member may act, in the order of
// their relations.
func (s *Service) Switchable(ctx context.Context, who *Who) ([]*profile.Profile, error) {
	targets, err := s.Store.Targets(ctx, who.Organization.ID, who.Profile)
	if err != nil {
		return nil, err
	}
	var list []*profile.Profile
	for _, id := range who.Profile.RelationTargets() {
		if mayActFor(who.Organization, who.Profile, targets, id) {
			list = append(list, targets[id])
		}
	}
	return list, nil
}

// Switch acts for another profile from now on; the member's own ID switches
// back. The trail of whom it concerns names both.
func (s *Service) Switch(ctx context.Context, who *Who, to profile.ID, from string) error {
	org := who.Organization.ID
	if to != who.Profile.ID {
		targets, err := s.Store.Targets(ctx, org, who.Profile)
		if err != nil {
			return err
		}
		if !mayActFor(who.Organization, who.Profile, targets, to) {
			return NotSwitchable
		}
	}
	now := s.now()
	return s.Store.Update(ctx, func(tx Tx) error {
		session, err := tx.Session(org, who.Session.Hash)
		if err != nil {
			return err
		}
		if session == nil {
			return SignedOut
		}
		left := session.ActingFor
		session.ActingFor = to
		about := to
		if to == who.Profile.ID {
			session.ActingFor, about = "", left
		}
		if session.ActingFor == left {
			return nil
		}
		tx.PutSession(session)
		tx.AddActivity(activity.Entry{
			Organization: org, ID: s.NewID(now), At: now, Kind: activity.Switched, Profile: string(about), ActingFor: string(session.ActingFor),
			Actor:  activity.Actor{Kind: activity.Member, ID: string(who.Profile.ID), Name: who.Profile.Name(), From: from},
			Detail: map[string]string{"from": string(orOwn(left, who)), "to": string(to)},
		})
		return nil
	})
}

func orOwn(id profile.ID, who *Who) profile.ID {
	if id == "" {
		return who.Profile.ID
	}
	return id
}
