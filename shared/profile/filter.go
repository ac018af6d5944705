package profile

import (
	"slices"
	"time"

	"github.com/memberkey/memberkey/shared/problem"
)

// LoginStatus says how far a profile has come with its login.
type LoginStatus string

const (
	LoginNone     LoginStatus = "none"     // no password, never invited
	LoginInvited  LoginStatus = "invited"  // no password, the last link still works
	LoginExpired  LoginStatus = "expired"  // no password, the last link has ended
	LoginActive   LoginStatus = "active"   // has a password
	LoginDisabled LoginStatus = "disabled" // H5c
)

// LoginStatus tells where the profile stands. linkEnds is when its last link
// ends, or ended by being revoked; zero when it was never sent one.
func (p *Profile) LoginStatus(linkEnds, now time.Time) LoginStatus {
	switch {
	case p.Disabled:
		return LoginDisabled
	case p.HasPassword:
		return LoginActive
	case linkEnds.IsZero():
		return LoginNone
	case now.Before(linkEnds):
		return LoginInvited
	default:
		return LoginExpired
	}
}

// What Filter.Email, Filter.Login and Filter.Scope may be, besides "" and the
// login statuses.
const (
	EmailNone          = "none"
	EmailAny           = "any" // has one, whatever became of mail to it
	EmailShared        = "shared"
	EmailUndeliverable = "undeliverable"

	LoginNoPassword = "no_password" // none, invited or expired, and disabled without a password

	ScopeMembers           = "members"
	ScopeMembersAndRelated = "members_and_related"
)

// MaxPicked is how many profiles a hand-picked list may hold.
const MaxPicked = 1000

// Filter narrows the list of profiles and the audience of a mailing. What is
// empty does not narrow; everything that is set must hold.
type Filter struct {
	Status       []Status `json:"status,omitempty"` // any of these
	Type         Type     `json:"type,omitempty"`
	Relationship string   `json:"relationship,omitempty"` // a relation of this kind; case does not matter
	Email        string   `json:"email,omitempty"`        // none, any, shared, undeliverable
	Login        string   `json:"login,omitempty"`        // a LoginStatus, or no_password
	MayEnter     *bool    `json:"mayEnter,omitempty"`
	Scope        string   `json:"scope,omitempty"`    // members, members_and_related
	Profiles     []ID     `json:"profiles,omitempty"` // a hand-picked list, at most MaxPicked
}

// Empty says whether the filter narrows nothing.
func (f Filter) Empty() bool {
	return len(f.Status) == 0 && f.Type == "" && f.Relationship == "" && f.Email == "" && f.Login == "" &&
		f.MayEnter == nil && f.Scope == "" && len(f.Profiles) == 0
}

// Validate refuses what could never match or is not known, all faults at once.
func (f Filter) Validate() error {
	var faults []problem.Item
	fault := func(field, detail string) {
		faults = append(faults, problem.Item{Field: field, Code: "filter_invalid", Detail: detail})
	}
	for _, s := range f.Status {
		if !slices.Contains(Statuses, s) {
			fault("status", "The status must be active, lapsed, prospect, non-member or dropped.")
			break
		}
	}
	if f.Type != "" && f.Type != Individual && f.Type != Organization {
		fault("type", "The type must be individual or organization.")
	}
	if _, item := checkText("relationship", "relationship", f.Relationship, maxKind); item != nil {
		fault("relationship", item.Detail)
	}
	if !slices.Contains([]string{"", EmailNone, EmailAny, EmailShared, EmailUndeliverable}, f.Email) {
		fault("email", "The email filter must be none, any, shared or undeliverable.")
	}
	if !slices.Contains([]string{"", string(LoginNone), string(LoginInvited), string(LoginExpired), string(LoginActive), string(LoginDisabled), LoginNoPassword}, f.Login) {
		fault("login", "The login filter must be none, invited, expired, active, disabled or no_password.")
	}
	if !slices.Contains([]string{"", ScopeMembers, ScopeMembersAndRelated}, f.Scope) {
		fault("scope", "The scope must be members or members_and_related, or left out for everyone.")
	}
	if len(f.Profiles) > MaxPicked {
		fault("profiles", "At most 1,000 profiles can be picked by hand. Please narrow the list with a filter instead.")
	} else if slices.ContainsFunc(f.Profiles, func(id ID) bool { return !id.Valid() }) {
		fault("profiles", "One of the picked profile IDs is not a profile ID.")
	}
	return problem.Several(problem.Invalid, faults)
}

// Needs says what [Filter.Match] must be told, so that a walk over a million
// profiles reads nothing that the filter does not ask about.
type Needs struct {
	Targets       bool // of the relations: for Facts.Right and Facts.Related
	SharedMailbox bool
	LoginStatus   bool // needs the last link
}

// Needs tells which facts decide; the others may be zero. Facts.Member is
// always cheap and always asked for.
func (f Filter) Needs() Needs {
	return Needs{
		Targets:       f.MayEnter != nil || f.Scope == ScopeMembersAndRelated,
		SharedMailbox: f.Email == EmailShared,
		LoginStatus:   f.Login == string(LoginNone) || f.Login == string(LoginInvited) || f.Login == string(LoginExpired),
	}
}

// Facts are what a filter asks that the profile alone does not tell.
type Facts struct {
	Right         Right
	Member        bool // Access.IsMember
	Related       bool // Access.IsRelated
	SharedMailbox bool
	LoginStatus   LoginStatus
}

// Match says whether p belongs to what the filter asks for.
func (f Filter) Match(p *Profile, x Facts) bool {
	switch {
	case len(f.Profiles) > 0 && !slices.Contains(f.Profiles, p.ID):
	case len(f.Status) > 0 && !slices.Contains(f.Status, p.Status):
	case f.Type != "" && f.Type != p.Type:
	case f.Relationship != "" && !slices.ContainsFunc(p.Relations, func(r Relation) bool { return SameKind(r.Kind, f.Relationship) }):
	case !f.matchEmail(p, x):
	case !f.matchLogin(p, x):
	case f.MayEnter != nil && *f.MayEnter != x.Right.Allowed:
	case f.Scope == ScopeMembers && !x.Member:
	case f.Scope == ScopeMembersAndRelated && !x.Member && !x.Related:
	default:
		return true
	}
	return false
}

func (f Filter) matchEmail(p *Profile, x Facts) bool {
	switch f.Email {
	case EmailNone:
		return p.Email == ""
	case EmailAny:
		return p.Email != ""
	case EmailShared:
		return p.Email != "" && x.SharedMailbox
	case EmailUndeliverable:
		return p.Undeliverable != nil
	}
	return true
}

func (f Filter) matchLogin(p *Profile, x Facts) bool {
	switch f.Login {
	case "":
		return true
	case LoginNoPassword:
		return !p.HasPassword
	case string(LoginActive):
		return p.HasPassword && !p.Disabled
	case string(LoginDisabled):
		return p.Disabled
	}
	return string(x.LoginStatus) == f.Login
}
