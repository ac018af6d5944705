package profile_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

func TestLoginStatus(t *testing.T) {
	tests := map[string]struct {
		p    profile.Profile
		ends time.Time
		want profile.LoginStatus
	}{
		"never invited":              {profile.Profile{}, time.Time{}, profile.LoginNone},
		"link works":                 {profile.Profile{}, noon.Add(1), profile.LoginInvited},
		"link ends now":              {profile.Profile{}, noon, profile.LoginExpired},
		"link ended":                 {profile.Profile{}, noon.Add(-1), profile.LoginExpired},
		"had a password, was erased": {profile.Profile{HadPassword: true}, time.Time{}, profile.LoginNone},
		"has a password":             {profile.Profile{HasPassword: true}, noon.Add(1), profile.LoginActive},
		"disabled":                   {profile.Profile{HasPassword: true, Disabled: true}, noon.Add(1), profile.LoginDisabled},
		"disabled without":           {profile.Profile{Disabled: true}, noon.Add(1), profile.LoginDisabled},
	}
	for name, tt := range tests {
		if got := tt.p.LoginStatus(tt.ends, noon); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// Every field of a filter narrows, one that is added later too.
func TestFilterEmpty(t *testing.T) {
	if !(profile.Filter{}).Empty() || !(profile.Filter{Status: []profile.Status{}, Profiles: []profile.ID{}}).Empty() {
		t.Error("the empty filter narrows")
	}
	set := map[reflect.Kind]func(reflect.Value){
		reflect.String:  func(v reflect.Value) { v.SetString("x") },
		reflect.Slice:   func(v reflect.Value) { v.Set(reflect.MakeSlice(v.Type(), 1, 1)) },
		reflect.Pointer: func(v reflect.Value) { v.Set(reflect.New(v.Type().Elem())) },
	}
	for i := range reflect.TypeFor[profile.Filter]().NumField() {
		var f profile.Filter
		field := reflect.ValueOf(&f).Elem().Field(i)
		set[field.Kind()](field)
		if f.Empty() {
			t.Errorf("%s narrows nothing", reflect.TypeFor[profile.Filter]().Field(i).Name)
		}
	}
}

// What stands beside a name, and what becomes a username.
func TestCompanyAndEmailName(t *testing.T) {
	long := strings.Repeat("a", 60) + "@" + strings.Repeat("b", 60) + "." + strings.Repeat("c", 60) + ".example.com"
	for _, x := range []struct {
		p             profile.Profile
		company, name string
	}{
		{profile.Profile{FirstName: "Ana", OrganizationName: "Harbour Ltd", Mailbox: "ana@example.com"}, "Harbour Ltd", "ana@example.com"},
		{profile.Profile{Type: profile.Organization, OrganizationName: "Harbour Ltd"}, "", ""},
		{profile.Profile{OrganizationName: "Harbour Ltd", Mailbox: long}, "", ""},
		{profile.Profile{ID: "7"}, "", ""},
	} {
		name, ok := x.p.EmailName()
		if x.p.Company() != x.company || name != x.name && ok || ok != (x.name != "") {
			t.Errorf("%s: company %q, name %q %t", x.p.ID, x.p.Company(), name, ok)
		}
	}
}

func TestFilterMatch(t *testing.T) {
	yes, no := true, false
	p := func(id profile.ID, change func(*profile.Profile)) *profile.Profile {
		p := &profile.Profile{ID: id, Type: profile.Individual, LastName: "Ana", Status: profile.Active, Email: "a@example.org", Mailbox: "a@example.org"}
		change(p)
		return p
	}
	profiles := []*profile.Profile{
		p("member", func(p *profile.Profile) { p.HasPassword = true }),
		p("company", func(p *profile.Profile) { p.Type, p.Status, p.Email = profile.Organization, profile.Lapsed, "" }),
		p("employee", func(p *profile.Profile) {
			p.Status, p.Relations = profile.NonMember, []profile.Relation{{To: "member", Kind: "Employee"}}
		}),
		p("former", func(p *profile.Profile) {
			p.Status, p.Relations = profile.NonMember, []profile.Relation{{To: "member", Kind: "Former Employee"}}
		}),
		p("bounced", func(p *profile.Profile) {
			p.Status, p.Undeliverable = profile.Prospect, &profile.Undeliverable{Reason: "bounced"}
		}),
		p("disabled", func(p *profile.Profile) { p.Disabled = true }),
		p("locked", func(p *profile.Profile) { p.Disabled, p.HasPassword = true, true }),
	}
	targets := profile.Targets{"member": profiles[0]}
	facts := func(p *profile.Profile) profile.Facts {
		a := access(profile.MembersAndPrimaryRelations)
		ends := map[profile.ID]time.Time{"employee": noon.Add(time.Hour), "former": noon.Add(-time.Hour)}[p.ID]
		return profile.Facts{Right: a.MayEnter(p, targets), Member: a.IsMember(p), Related: a.IsRelated(p, targets), SharedMailbox: p.ID == "employee" || p.ID == "company", LoginStatus: p.LoginStatus(ends, noon)}
	}
	tests := map[string]struct {
		filter profile.Filter
		want   []profile.ID
		needs  profile.Needs
	}{
		"nothing":          {profile.Filter{}, []profile.ID{"member", "company", "employee", "former", "bounced", "disabled", "locked"}, profile.Needs{}},
		"status":           {profile.Filter{Status: []profile.Status{profile.Lapsed, profile.Prospect}}, []profile.ID{"company", "bounced"}, profile.Needs{}},
		"type":             {profile.Filter{Type: profile.Organization}, []profile.ID{"company"}, profile.Needs{}},
		"relationship":     {profile.Filter{Relationship: "employee "}, []profile.ID{"employee"}, profile.Needs{}},
		"no email":         {profile.Filter{Email: "none"}, []profile.ID{"company"}, profile.Needs{}},
		"any email":        {profile.Filter{Email: "any"}, []profile.ID{"member", "employee", "former", "bounced", "disabled", "locked"}, profile.Needs{}},
		"shared email":     {profile.Filter{Email: "shared"}, []profile.ID{"employee"}, profile.Needs{SharedMailbox: true}},
		"undeliverable":    {profile.Filter{Email: "undeliverable"}, []profile.ID{"bounced"}, profile.Needs{}},
		"never invited":    {profile.Filter{Login: "none"}, []profile.ID{"company", "bounced"}, profile.Needs{LoginStatus: true}},
		"invited":          {profile.Filter{Login: "invited"}, []profile.ID{"employee"}, profile.Needs{LoginStatus: true}},
		"expired":          {profile.Filter{Login: "expired"}, []profile.ID{"former"}, profile.Needs{LoginStatus: true}},
		"active":           {profile.Filter{Login: "active"}, []profile.ID{"member"}, profile.Needs{}},
		"disabled":         {profile.Filter{Login: "disabled"}, []profile.ID{"disabled", "locked"}, profile.Needs{}},
		"no password":      {profile.Filter{Login: "no_password"}, []profile.ID{"company", "employee", "former", "bounced", "disabled"}, profile.Needs{}},
		"may enter":        {profile.Filter{MayEnter: &yes}, []profile.ID{"member", "employee"}, profile.Needs{Targets: true}},
		"may not enter":    {profile.Filter{MayEnter: &no}, []profile.ID{"company", "former", "bounced", "disabled", "locked"}, profile.Needs{Targets: true}},
		"members":          {profile.Filter{Scope: "members"}, []profile.ID{"member", "disabled", "locked"}, profile.Needs{}},
		"and related":      {profile.Filter{Scope: "members_and_related"}, []profile.ID{"member", "employee", "disabled", "locked"}, profile.Needs{Targets: true}},
		"picked":           {profile.Filter{Profiles: []profile.ID{"company", "member", "gone"}}, []profile.ID{"member", "company"}, profile.Needs{}},
		"everyone without": {profile.Filter{MayEnter: &yes, Login: "no_password"}, []profile.ID{"employee"}, profile.Needs{Targets: true}}, // N8
	}
	for name, tt := range tests {
		if err := tt.filter.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := tt.filter.Needs(); got != tt.needs {
			t.Errorf("%s: needs %+v", name, got)
		}
		var got []profile.ID
		for _, p := range profiles {
			x := facts(p)
			// What is not needed decides nothing.
			if !tt.needs.Targets {
				x.Right, x.Related = profile.Right{}, false
			}
			if !tt.needs.SharedMailbox {
				x.SharedMailbox = false
			}
			if !tt.needs.LoginStatus {
				x.LoginStatus = ""
			}
			if tt.filter.Match(p, x) {
				got = append(got, p.ID)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestFilterValidate(t *testing.T) {
	tests := map[string]struct {
		filter profile.Filter
		fields []string
	}{
		"all at once": {profile.Filter{Status: []profile.Status{"x", "y"}, Type: "robot", Email: "some", Login: "maybe", Scope: "all", Relationship: "a\nb", Profiles: []profile.ID{"a b"}},
			[]string{"status", "type", "relationship", "email", "login", "scope", "profiles"}},
		"too many picked": {profile.Filter{Profiles: slices.Repeat([]profile.ID{"1"}, profile.MaxPicked+1)}, []string{"profiles"}},
		"as many as may":  {profile.Filter{Profiles: slices.Repeat([]profile.ID{"1"}, profile.MaxPicked)}, nil},
	}
	for name, tt := range tests {
		if got := faultFields(tt.filter.Validate(), "filter_invalid", t); !slices.Equal(got, tt.fields) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// faultFields are the fields of all faults, which must all have the code,
// unless that is "".
func faultFields(err error, code string, t *testing.T) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	p := problem.As(err)
	items := p.Problems
	if len(items) == 0 {
		items = []problem.Item{{Field: p.Field, Code: p.Code, Detail: p.Detail}}
	}
	var fields []string
	for _, item := range items {
		if code != "" && item.Code != code || item.Detail == "" {
			t.Errorf("%+v", item)
		}
		fields = append(fields, item.Field)
	}
	return fields
}

func TestFilterJSON(t *testing.T) {
	var f profile.Filter
	in := `{"status":["active"],"type":"individual","relationship":"Employee","email":"none","login":"invited","mayEnter":false,"scope":"members","profiles":["1"]}`
	if err := json.Unmarshal([]byte(in), &f); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(f)
	if err != nil || string(out) != in {
		t.Errorf("%s %v", out, err)
	}
}
