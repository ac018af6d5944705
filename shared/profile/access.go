package profile

import (
	"slices"
	"strings"
)

// AccessLevel is the association's rule of who may enter its portal
// (V5).
type AccessLevel string

const (
	MembersOnly                AccessLevel = "members_only"
	MembersAndMainContact      AccessLevel = "members_and_main_contact"
	MembersAndPrimaryRelations AccessLevel = "members_and_primary_relations"
	MembersAndAnyRelated       AccessLevel = "members_and_any_related"
	AnyActiveProfile           AccessLevel = "any_active_profile"
)

// AccessLevels are all there are, narrowest first.
var AccessLevels = []AccessLevel{MembersOnly, MembersAndMainContact, MembersAndPrimaryRelations, MembersAndAnyRelated, AnyActiveProfile}

// MaxMainContacts is how many main contacts one member may have.
const MaxMainContacts = 2

// Access is what an organization settles about who may sign in.
type Access struct {
	Level          AccessLevel `json:"accessLevel"` // one that is not known lets in members only
	MemberStatuses []Status    `json:"memberStatuses"`
	PrimaryKinds   []string    `json:"primaryKinds"`
}

// Right is the answer to "may this profile sign in?" (H20). Reason is a stable
// code: "member", "main_contact", "primary_relation", "related", "any_active"
// when allowed; "disabled", "not_a_member", "relation_ended", "relation_not_enough",
// "member_lapsed" (related to one that is no member now), "dropped" when not.
type Right struct {
	Allowed bool   `json:"allowed"`
	Reason  string `json:"reason"`
	Via     ID     `json:"via,omitempty"` // the member whose relation gives, or would give, the right
}

// Targets are the profiles that relations point to; one that is missing gives
// no right.
type Targets map[ID]*Profile

// IsMember says whether the status is one of the organization's member statuses.
func (a Access) IsMember(p *Profile) bool { return slices.Contains(a.MemberStatuses, p.Status) }

// IsRelated says whether p has a relation that is not over to one who is a
// member, whatever the access level asks of it.
func (a Access) IsRelated(p *Profile, targets Targets) bool {
	return slices.ContainsFunc(p.Relations, func(r Relation) bool {
		target := targets[r.To]
		return target != nil && !r.Former() && a.IsMember(target)
	})
}

// MayEnter is the one function that decides who may sign in. It is asked when
// a link is made, when it is used, at sign-in and at every request of a
// session; the answer is never stored (H6).
func (a Access) MayEnter(p *Profile, targets Targets) Right {
	if p.Disabled {
		return Right{Reason: "disabled"}
	}
	if a.IsMember(p) {
		return Right{Allowed: true, Reason: "member"}
	}
	if a.Level == AnyActiveProfile {
		if p.Status == Dropped {
			return Right{Reason: "dropped"}
		}
		return Right{Allowed: true, Reason: "any_active"}
	}
	refusal := Right{Reason: "not_a_member"}
	for _, r := range p.Relations {
		target := targets[r.To]
		if target == nil {
			continue
		}
		if r.Former() {
			refusal = nearer(refusal, Right{Reason: "relation_ended", Via: r.To})
			continue
		}
		if !a.IsMember(target) {
			refusal = nearer(refusal, Right{Reason: "member_lapsed", Via: r.To})
			continue
		}
		if reason, ok := a.qualifies(r); ok {
			return Right{Allowed: true, Reason: reason, Via: r.To}
		}
		refusal = nearer(refusal, Right{Reason: "relation_not_enough", Via: r.To})
	}
	return refusal
}

// qualifies asks whether a live relation to a member is enough at this level.
func (a Access) qualifies(r Relation) (reason string, ok bool) {
	switch a.Level {
	case MembersAndMainContact:
		return "main_contact", r.MainContact
	case MembersAndPrimaryRelations:
		if r.MainContact {
			return "main_contact", true
		}
		return "primary_relation", slices.ContainsFunc(a.PrimaryKinds, func(kind string) bool { return SameKind(kind, r.Kind) })
	case MembersAndAnyRelated:
		return "related", true
	}
	return "", false
}

// refusals are the reasons for saying no to one who is not a member, the
// farthest from yes first.
var refusals = []string{"not_a_member", "relation_ended", "member_lapsed", "relation_not_enough"}

// nearer keeps the refusal that is nearest to being allowed, because that is
// the one staff can mend.
func nearer(a, b Right) Right {
	if slices.Index(refusals, b.Reason) > slices.Index(refusals, a.Reason) {
		return b
	}
	return a
}

// SameKind compares kinds of relation as people write them: case and blanks
// around them do not matter.
func SameKind(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}
