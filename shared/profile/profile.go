// Package profile holds what an association knows of a person or a company:
// the record itself, its relations, who of them may sign in, how profiles are
// found, and how a whole file of them is imported.
//
// It knows no store and no HTTP. A Profile is a plain value; whoever changes
// one replaces its Epoch through [Profile.EndLogins] where design H5 asks for it.
package profile

import (
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/username"
)

// ID is the profile ID that staff know ("1042"): 1 to 40 letters, digits,
// dots, hyphens or underscores, unique within an organization.
type ID string

// Type is person or company.
type Type string

const (
	Individual   Type = "individual"
	Organization Type = "organization"
)

// Status is the membership status.
type Status string

const (
	Active    Status = "active"
	Lapsed    Status = "lapsed"
	Prospect  Status = "prospect"
	NonMember Status = "non-member"
	Dropped   Status = "dropped"
)

// Statuses are all there are, in the order in which they are offered.
var Statuses = []Status{Active, Lapsed, Prospect, NonMember, Dropped}

// Relation ties the profile that states it to another one ("Related To"). It
// gives a right only to the profile that states it.
type Relation struct {
	To          ID     `json:"to"`
	Kind        string `json:"kind"` // "Employee", "Former Employee", ...; free words of the association
	MainContact bool   `json:"mainContact,omitempty"`
	CanEdit     bool   `json:"canEdit,omitempty"`
	// Imported marks the one relation that the import owns: the next file
	// replaces or ends it, and leaves those that staff added alone.
	Imported bool `json:"imported,omitempty"`
}

// Former says whether the relation is over; such a one gives no right, ever.
// It reads the kind as people see it: an invisible or full-width character
// does not open a door.
func (r Relation) Former() bool {
	return strings.HasPrefix(strings.TrimSpace(fold(r.Kind)), "former")
}

// IsMainContact says whether the main contact mark counts: only while the
// relation does.
func (r Relation) IsMainContact() bool { return r.MainContact && !r.Former() }

// MayEdit says whether Can Edit counts: only while the relation does. Whether
// its target is a member is for the access level.
func (r Relation) MayEdit() bool { return r.CanEdit && !r.Former() }

// Undeliverable says why mail to the profile's address is not sent (H19).
type Undeliverable struct {
	Reason string    `json:"reason"` // "bounced", "complained", "suppressed"
	At     time.Time `json:"at"`
}

// Profile is one record. Organization is the association (the tenant), never
// the company a person works for, which is OrganizationName.
type Profile struct {
	Organization     string     `json:"organization"`
	ID               ID         `json:"id"`
	Type             Type       `json:"type"`
	FirstName        string     `json:"firstName,omitempty"`
	LastName         string     `json:"lastName,omitempty"`
	OrganizationName string     `json:"organizationName,omitempty"`
	Email            string     `json:"email,omitempty"`   // as typed, trimmed; valid or empty
	Mailbox          string     `json:"mailbox,omitempty"` // normalised address: people with one Mailbox share it
	Status           Status     `json:"status"`
	MemberSince      string     `json:"memberSince,omitempty"` // 2006-01-02
	Relations        []Relation `json:"relations,omitempty"`
	DoNotEmail       bool       `json:"doNotEmail,omitempty"`

	// Undeliverable is set by mail events and cleared by a new address or by
	// staff; it moves no version.
	Undeliverable *Undeliverable `json:"undeliverable,omitempty"`

	// Disabled is H5c: no sign-in, no link made or usable.
	Disabled bool `json:"disabled,omitempty"`

	// Epoch is 128 random bits; links and sessions made under another epoch
	// are dead (H5).
	Epoch   string    `json:"epoch"`
	EpochAt time.Time `json:"epochAt"` // links made before this instant are dead

	// Username and HasPassword are copies, written in the credential's own
	// transaction, so that searching and sending never touch the hashes.
	Username    string `json:"username,omitempty"`
	HasPassword bool   `json:"hasPassword,omitempty"`
	// HadPassword stays once a password was set; it decides whether a notice
	// is sent (H5b).
	HadPassword bool `json:"hadPassword,omitempty"`

	// Version moves by what staff edit of the profile, CredentialVersion by
	// what staff or the member edit of the credential; nothing else moves them.
	Version           int `json:"version"`
	CredentialVersion int `json:"credentialVersion"`

	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// Name is how people are addressed and listed: the person's names, or the
// company's for a company.
func (p *Profile) Name() string {
	person := strings.TrimSpace(p.FirstName + " " + p.LastName)
	if p.Type == Organization || person == "" {
		if p.OrganizationName != "" {
			return p.OrganizationName
		}
	}
	if person != "" {
		return person
	}
	return string(p.ID)
}

// Company is the company's name where it is shown beside [Profile.Name]; ""
// where it is that name.
func (p *Profile) Company() string {
	if p.OrganizationName == p.Name() {
		return ""
	}
	return p.OrganizationName
}

// EmailName is the username that the email becomes (design H9); false where
// there is no email or it cannot be one.
func (p *Profile) EmailName() (string, bool) {
	if p.Mailbox == "" {
		return "", false
	}
	name, ok := username.FromEmail(username.Mailbox(p.Mailbox))
	return string(name), ok
}

// EndLogins replaces the epoch: every link and session of the profile is dead
// from the moment the profile is stored. Nothing needs listing or deleting.
func (p *Profile) EndLogins(random io.Reader, now time.Time) error {
	epoch, err := NewEpoch(random)
	if err != nil {
		return err
	}
	p.Epoch, p.EpochAt = epoch, now
	return nil
}

// NewEpoch draws 128 random bits.
func NewEpoch(random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("epoch: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// IsMainContactOf says whether p is a main contact of a member.
func (p *Profile) IsMainContactOf(member ID) bool {
	return slices.ContainsFunc(p.Relations, func(r Relation) bool { return r.To == member && r.IsMainContact() })
}

// RelationTargets are the distinct profiles that p is related to.
func (p *Profile) RelationTargets() []ID {
	var ids []ID
next:
	for _, r := range p.Relations {
		for _, id := range ids {
			if id == r.To {
				continue next
			}
		}
		ids = append(ids, r.To)
	}
	return ids
}
