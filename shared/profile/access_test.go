package profile_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/profile"
)

func access(level profile.AccessLevel) profile.Access {
	return profile.Access{Level: level, MemberStatuses: []profile.Status{profile.Active}, PrimaryKinds: []string{"Employee", "Owner", "Spouse"}}
}

// combination is what decides over one profile's right, as it occurs in
// members.csv. rights has a letter per access level that lets it in: o only
// members, c main contact, p primary, r any related, a any active.
type combination struct {
	status      profile.Status
	kind        string
	mainContact bool
	canEdit     bool
	target      profile.Status // "" for none
	count       int
	rights      string
}

// combinations are all that occur in the 5,000 good rows, counted and judged
// by another program in another language.
var combinations = []combination{
	{"active", "", false, false, "", 2138, "ocpra"},
	{"active", "Spouse", false, false, "active", 84, "ocpra"},
	{"active", "Spouse", false, false, "dropped", 8, "ocpra"},
	{"active", "Spouse", false, false, "lapsed", 9, "ocpra"},
	{"active", "Spouse", false, false, "prospect", 6, "ocpra"},
	{"dropped", "", false, false, "", 103, "....."},
	{"lapsed", "", false, false, "", 326, "....a"},
	{"non-member", "Billing Contact", false, false, "active", 44, "...ra"},
	{"non-member", "Billing Contact", false, false, "dropped", 3, "....a"},
	{"non-member", "Billing Contact", false, false, "lapsed", 3, "....a"},
	{"non-member", "Billing Contact", false, false, "prospect", 5, "....a"},
	{"non-member", "Billing Contact", false, true, "active", 9, "...ra"},
	{"non-member", "Billing Contact", false, true, "lapsed", 3, "....a"},
	{"non-member", "Billing Contact", false, true, "prospect", 3, "....a"},
	{"non-member", "Billing Contact", true, false, "active", 31, ".cpra"},
	{"non-member", "Billing Contact", true, false, "dropped", 2, "....a"},
	{"non-member", "Billing Contact", true, false, "lapsed", 3, "....a"},
	{"non-member", "Billing Contact", true, false, "prospect", 1, "....a"},
	{"non-member", "Billing Contact", true, true, "active", 9, ".cpra"},
	{"non-member", "Billing Contact", true, true, "dropped", 2, "....a"},
	{"non-member", "Employee", false, false, "active", 496, "..pra"},
	{"non-member", "Employee", false, false, "dropped", 15, "....a"},
	{"non-member", "Employee", false, false, "lapsed", 52, "....a"},
	{"non-member", "Employee", false, false, "prospect", 45, "....a"},
	{"non-member", "Employee", false, true, "active", 188, "..pra"},
	{"non-member", "Employee", false, true, "dropped", 3, "....a"},
	{"non-member", "Employee", false, true, "lapsed", 33, "....a"},
	{"non-member", "Employee", false, true, "prospect", 11, "....a"},
	{"non-member", "Employee", true, false, "active", 273, ".cpra"},
	{"non-member", "Employee", true, false, "dropped", 12, "....a"},
	{"non-member", "Employee", true, false, "lapsed", 60, "....a"},
	{"non-member", "Employee", true, false, "prospect", 30, "....a"},
	{"non-member", "Employee", true, true, "active", 105, ".cpra"},
	{"non-member", "Employee", true, true, "dropped", 4, "....a"},
	{"non-member", "Employee", true, true, "lapsed", 18, "....a"},
	{"non-member", "Employee", true, true, "prospect", 5, "....a"},
	{"non-member", "Former Employee", false, false, "active", 129, "....a"},
	{"non-member", "Former Employee", false, false, "dropped", 1, "....a"},
	{"non-member", "Former Employee", false, false, "lapsed", 25, "....a"},
	{"non-member", "Former Employee", false, false, "prospect", 8, "....a"},
	{"non-member", "Former Employee", false, true, "active", 49, "....a"},
	{"non-member", "Former Employee", false, true, "dropped", 2, "....a"},
	{"non-member", "Former Employee", false, true, "lapsed", 9, "....a"},
	{"non-member", "Former Employee", false, true, "prospect", 4, "....a"},
	{"non-member", "Owner", false, false, "active", 111, "..pra"},
	{"non-member", "Owner", false, false, "dropped", 3, "....a"},
	{"non-member", "Owner", false, false, "lapsed", 17, "....a"},
	{"non-member", "Owner", false, false, "prospect", 9, "....a"},
	{"non-member", "Owner", false, true, "active", 56, "..pra"},
	{"non-member", "Owner", false, true, "dropped", 2, "....a"},
	{"non-member", "Owner", false, true, "lapsed", 1, "....a"},
	{"non-member", "Owner", false, true, "prospect", 3, "....a"},
	{"non-member", "Owner", true, false, "active", 75, ".cpra"},
	{"non-member", "Owner", true, false, "dropped", 4, "....a"},
	{"non-member", "Owner", true, false, "lapsed", 11, "....a"},
	{"non-member", "Owner", true, false, "prospect", 5, "....a"},
	{"non-member", "Owner", true, true, "active", 33, ".cpra"},
	{"non-member", "Owner", true, true, "dropped", 7, "....a"},
	{"non-member", "Owner", true, true, "lapsed", 3, "....a"},
	{"non-member", "Spouse", false, false, "active", 91, "..pra"},
	{"non-member", "Spouse", false, false, "dropped", 3, "....a"},
	{"non-member", "Spouse", false, false, "lapsed", 20, "....a"},
	{"non-member", "Spouse", false, false, "prospect", 11, "....a"},
	{"prospect", "", false, false, "", 166, "....a"},
}

func TestMayEnterByCombination(t *testing.T) {
	for _, c := range combinations {
		p := &profile.Profile{ID: "1", Status: c.status}
		targets := profile.Targets{}
		if c.target != "" {
			p.Relations = []profile.Relation{{To: "2", Kind: c.kind, MainContact: c.mainContact, CanEdit: c.canEdit}}
			targets["2"] = &profile.Profile{ID: "2", Status: c.target}
		}
		for i, level := range profile.AccessLevels {
			want := c.rights[i] != '.'
			if got := access(level).MayEnter(p, targets); got.Allowed != want {
				t.Errorf("%+v at %s: %+v, want %t", c, level, got, want)
			}
			disabled := *p
			disabled.Disabled = true
			if got := access(level).MayEnter(&disabled, targets); got != (profile.Right{Reason: "disabled"}) {
				t.Errorf("%+v disabled at %s: %+v", c, level, got)
			}
		}
	}
}

func TestMayEnterOverMembers(t *testing.T) {
	want := map[profile.AccessLevel]int{
		profile.MembersOnly: 2245, profile.MembersAndMainContact: 2771, profile.MembersAndPrimaryRelations: 3713,
		profile.MembersAndAnyRelated: 3766, profile.AnyActiveProfile: 4897,
	}
	stored := profile.Targets(importMembers(t))
	got := map[profile.AccessLevel]int{}
	counts := map[combination]int{}
	for _, p := range stored {
		for _, level := range profile.AccessLevels {
			if access(level).MayEnter(p, stored).Allowed {
				got[level]++
			}
		}
		c := combination{status: p.Status}
		if len(p.Relations) > 0 {
			r := p.Relations[0]
			c.kind, c.mainContact, c.canEdit, c.target = r.Kind, r.MainContact, r.CanEdit, stored[r.To].Status
		}
		counts[c]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, c := range combinations {
		key := c
		key.count, key.rights = 0, ""
		if counts[key] != c.count {
			t.Errorf("%+v occurs %d times", c, counts[key])
		}
		delete(counts, key)
	}
	if len(counts) > 0 {
		t.Errorf("not in the table: %v", counts)
	}
}

func TestMayEnterReasons(t *testing.T) {
	targets := profile.Targets{
		"10": {ID: "10", Status: profile.Active},
		"11": {ID: "11", Status: profile.Lapsed},
		"12": {ID: "12", Status: profile.Active, Disabled: true},
	}
	rel := func(to profile.ID, kind string) profile.Relation { return profile.Relation{To: to, Kind: kind} }
	contact := func(to profile.ID, kind string) profile.Relation {
		return profile.Relation{To: to, Kind: kind, MainContact: true}
	}
	tests := map[string]struct {
		level     profile.AccessLevel
		status    profile.Status
		relations []profile.Relation
		want      profile.Right
	}{
		"member":                               {profile.MembersOnly, profile.Active, nil, profile.Right{Allowed: true, Reason: "member"}},
		"member whatever the relation says":    {profile.MembersOnly, profile.Active, []profile.Relation{rel("11", "Former Owner")}, profile.Right{Allowed: true, Reason: "member"}},
		"nobody":                               {profile.MembersAndAnyRelated, profile.Prospect, nil, profile.Right{Reason: "not_a_member"}},
		"target gone":                          {profile.MembersAndAnyRelated, profile.Prospect, []profile.Relation{rel("99", "Employee")}, profile.Right{Reason: "not_a_member"}},
		"relation to a lapsed one":             {profile.MembersAndAnyRelated, profile.NonMember, []profile.Relation{rel("11", "Employee")}, profile.Right{Reason: "member_lapsed", Via: "11"}},
		"own lapse, related to a member":       {profile.MembersAndPrimaryRelations, profile.Lapsed, []profile.Relation{rel("10", "Spouse")}, profile.Right{Allowed: true, Reason: "primary_relation", Via: "10"}},
		"a member's login disabled":            {profile.MembersAndPrimaryRelations, profile.NonMember, []profile.Relation{rel("12", "Employee")}, profile.Right{Allowed: true, Reason: "primary_relation", Via: "12"}},
		"second relation is enough":            {profile.MembersAndPrimaryRelations, profile.NonMember, []profile.Relation{rel("11", "Owner"), rel("10", "owner ")}, profile.Right{Allowed: true, Reason: "primary_relation", Via: "10"}},
		"billing is not primary":               {profile.MembersAndPrimaryRelations, profile.NonMember, []profile.Relation{rel("10", "Billing Contact")}, profile.Right{Reason: "relation_not_enough", Via: "10"}},
		"but as main contact it is":            {profile.MembersAndPrimaryRelations, profile.NonMember, []profile.Relation{contact("10", "Billing Contact")}, profile.Right{Allowed: true, Reason: "main_contact", Via: "10"}},
		"main contact level":                   {profile.MembersAndMainContact, profile.NonMember, []profile.Relation{rel("10", "Owner")}, profile.Right{Reason: "relation_not_enough", Via: "10"}},
		"former main contact":                  {profile.MembersAndMainContact, profile.NonMember, []profile.Relation{contact("10", "Former Employee")}, profile.Right{Reason: "relation_ended", Via: "10"}},
		"former in any spelling":               {profile.MembersAndAnyRelated, profile.NonMember, []profile.Relation{contact("10", " FORMER owner")}, profile.Right{Reason: "relation_ended", Via: "10"}},
		"former behind an invisible character": {profile.MembersAndAnyRelated, profile.NonMember, []profile.Relation{rel("10", "\u200bＦormer owner")}, profile.Right{Reason: "relation_ended", Via: "10"}},
		"former even if listed as primary":     {profile.MembersAndPrimaryRelations, profile.NonMember, []profile.Relation{rel("10", "Former Employee")}, profile.Right{Reason: "relation_ended", Via: "10"}},
		"nearest refusal is told":              {profile.MembersAndMainContact, profile.NonMember, []profile.Relation{rel("10", "Former Owner"), rel("11", "Owner"), rel("10", "Employee")}, profile.Right{Reason: "relation_not_enough", Via: "10"}},
		"any active":                           {profile.AnyActiveProfile, profile.Prospect, nil, profile.Right{Allowed: true, Reason: "any_active"}},
		"dropped":                              {profile.AnyActiveProfile, profile.Dropped, []profile.Relation{rel("10", "Owner")}, profile.Right{Reason: "dropped"}},
		"unknown level lets in members only":   {"everyone", profile.NonMember, []profile.Relation{contact("10", "Owner")}, profile.Right{Reason: "relation_not_enough", Via: "10"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := access(tt.level)
			a.PrimaryKinds = append(a.PrimaryKinds, "Former Employee")
			got := a.MayEnter(&profile.Profile{ID: "1", Status: tt.status, Relations: tt.relations}, targets)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestGracePeriodAndRejoining(t *testing.T) {
	a := access(profile.MembersAndPrimaryRelations)
	p := &profile.Profile{ID: "1", Status: profile.Lapsed}
	if a.MayEnter(p, nil).Allowed {
		t.Error("lapsed got in without a grace period")
	}
	a.MemberStatuses = append(a.MemberStatuses, profile.Lapsed)
	if !a.MayEnter(p, nil).Allowed {
		t.Error("lapsed kept out in the grace period")
	}
}

func TestMarksCountOnlyWhileTheRelationDoes(t *testing.T) {
	live := profile.Relation{To: "2", Kind: "Employee", MainContact: true, CanEdit: true}
	over := profile.Relation{To: "2", Kind: "Former Employee", MainContact: true, CanEdit: true}
	if !live.IsMainContact() || !live.MayEdit() || over.IsMainContact() || over.MayEdit() {
		t.Error("marks of a relation that is over count, or those of a live one do not")
	}
}

func TestIsRelated(t *testing.T) {
	a := access(profile.MembersOnly)
	targets := profile.Targets{"2": {ID: "2", Status: profile.Active}, "3": {ID: "3", Status: profile.Dropped}}
	for kind, want := range map[profile.Relation]bool{
		{To: "2", Kind: "Billing Contact"}: true,
		{To: "2", Kind: "Former Owner"}:    false,
		{To: "3", Kind: "Owner"}:           false,
		{To: "4", Kind: "Owner"}:           false,
	} {
		p := &profile.Profile{ID: "1", Relations: []profile.Relation{kind}}
		if got := a.IsRelated(p, targets); got != want {
			t.Errorf("%+v: %t", kind, got)
		}
	}
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
