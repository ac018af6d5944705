// Package activity is the audit trail: who did what to which profile, when and
// from where; staff, member and system alike. It never holds a password, a
// token or a hash.
package activity

import "time"

// ActorKind is staff, member or system.
type ActorKind string

const (
	Staff  ActorKind = "staff"
	Member ActorKind = "member"
	System ActorKind = "system"
)

// Actor did it. ID is the issuer's subject for staff, the profile ID for a
// member (who may act for another: ActingFor of the Entry), and the function's
// name for the system.
type Actor struct {
	Kind ActorKind `json:"kind"`
	ID   string    `json:"id"`
	Name string    `json:"name,omitempty"` // as shown to staff
	From string    `json:"from,omitempty"` // source address of the request
}

// Kind is what was done; stable, lower_snake.
type Kind string

const (
	ProfileCreated   Kind = "profile_created"
	ProfileEdited    Kind = "profile_edited"
	EmailChanged     Kind = "email_changed"
	UsernameChanged  Kind = "username_changed"
	PasswordSet      Kind = "password_set"     // first one
	PasswordChanged  Kind = "password_changed" // a further one
	LoginDisabled    Kind = "login_disabled"
	LoginEnabled     Kind = "login_enabled"
	LoginRemoved     Kind = "login_removed"
	SignedOut        Kind = "signed_out_everywhere"
	WaitEnded        Kind = "wait_ended"
	AddressReleased  Kind = "address_released"
	ResetRequested   Kind = "reset_email_requested" // by staff
	ForgotRequested  Kind = "forgot_login_requested"
	LinkRenewed      Kind = "link_renewed"
	LinkRefused      Kind = "link_refused"
	SignedIn         Kind = "signed_in"
	SignInRefused    Kind = "sign_in_refused"
	SignedOutHere    Kind = "signed_out"
	Switched         Kind = "switched_profile"
	MailUndelivered  Kind = "mail_undelivered"
	SettingsChanged  Kind = "settings_changed"
	ImportRun        Kind = "import_run"
	MailingCreated   Kind = "mailing_created"
	MailingEdited    Kind = "mailing_edited"
	MailingSent      Kind = "mailing_sent"
	MailingPaused    Kind = "mailing_paused"
	MailingResumed   Kind = "mailing_resumed"
	MailingCancelled Kind = "mailing_cancelled"
	MailingDeleted   Kind = "mailing_deleted"
	LinksRevoked     Kind = "links_revoked"
	MailingTested    Kind = "mailing_tested"
)

// Kinds are all there are.
var Kinds = []Kind{
	ProfileCreated, ProfileEdited, EmailChanged, UsernameChanged, PasswordSet, PasswordChanged,
	LoginDisabled, LoginEnabled, LoginRemoved, SignedOut, WaitEnded, AddressReleased, ResetRequested,
	ForgotRequested, LinkRenewed, LinkRefused, SignedIn, SignInRefused, SignedOutHere, Switched,
	MailUndelivered, SettingsChanged, ImportRun, MailingCreated, MailingEdited, MailingSent,
	MailingPaused, MailingResumed, MailingCancelled, MailingDeleted, LinksRevoked, MailingTested,
}

// Entry is one line of the trail.
type Entry struct {
	Organization string            `json:"organization"`
	ID           string            `json:"id"` // ordered by time, unique within the organization; given by the store
	At           time.Time         `json:"at"`
	Actor        Actor             `json:"actor"`
	Kind         Kind              `json:"kind"`
	Profile      string            `json:"profile,omitempty"`   // whom it concerns
	ActingFor    string            `json:"actingFor,omitempty"` // the profile a member had switched to
	Mailing      string            `json:"mailing,omitempty"`
	Detail       map[string]string `json:"detail,omitempty"` // old and new username, reason, count
	// Quiet entries stand in the profile's own trail only; those of a whole
	// import or mailing are summed up by one loud entry.
	Quiet bool `json:"quiet,omitempty"`
}
