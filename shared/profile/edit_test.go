package profile_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// fields reads what a PATCH would send.
func fields(t testing.TB, body string) profile.Fields {
	t.Helper()
	var f profile.Fields
	if err := json.Unmarshal([]byte(body), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func ana() *profile.Profile {
	return &profile.Profile{
		Organization: "demo", ID: "5", Type: profile.Individual, FirstName: "Ana", LastName: "García", Email: "Ana@example.org", Mailbox: "ana@example.org",
		Status: profile.Active, Undeliverable: &profile.Undeliverable{Reason: "bounced"}, Epoch: "e", Version: 3, CredentialVersion: 2, CreatedAt: noon, UpdatedAt: noon,
		Relations: []profile.Relation{{To: "1", Kind: "Employee", Imported: true}, {To: "2", Kind: "Spouse"}},
	}
}

func TestApply(t *testing.T) {
	later := noon.Add(time.Hour)
	tests := map[string]struct {
		body   string
		change func(*profile.Profile) // what the result differs in; nil for nothing at all
		want   profile.Change
	}{
		"nothing":                      {`{}`, nil, profile.Change{}},
		"the same":                     {`{"id":"5","firstName":" Ana ","status":"active","doNotEmail":false,"memberSince":""}`, nil, profile.Change{}},
		"the same in another encoding": {`{"lastName":"Garci\u0301a"}`, nil, profile.Change{}},
		"email in other letters":       {`{"email":"  ANA@EXAMPLE.ORG "}`, nil, profile.Change{}},
		"null changes nothing":         {`{"email":null,"relations":null}`, nil, profile.Change{}},
		"username is for the caller":   {`{"usernameToo":true}`, nil, profile.Change{}},
		"name": {`{"firstName":"Anna","lastName":"<b>{{x}}</b>"}`,
			func(p *profile.Profile) { p.FirstName, p.LastName = "Anna", "<b>{{x}}</b>" },
			profile.Change{Fields: []profile.FieldChange{{Field: "firstName", Old: "Ana", New: "Anna"}, {Field: "lastName", Old: "García", New: "<b>{{x}}</b>"}}}},
		"email": {`{"email":" ana@example.com"}`,
			func(p *profile.Profile) {
				p.Email, p.Mailbox, p.Undeliverable = "ana@example.com", "ana@example.com", nil
			},
			profile.Change{Fields: []profile.FieldChange{{Field: "email", Old: "Ana@example.org", New: "ana@example.com"}}, EmailChanged: true, OldEmail: "Ana@example.org", OldMailbox: "ana@example.org"}},
		"email removed": {`{"email":" "}`,
			func(p *profile.Profile) { p.Email, p.Mailbox, p.Undeliverable = "", "", nil },
			profile.Change{Fields: []profile.FieldChange{{Field: "email", Old: "Ana@example.org"}}, EmailChanged: true, OldEmail: "Ana@example.org", OldMailbox: "ana@example.org"}},
		"everything else": {`{"type":"organization","organizationName":"Adams","status":"lapsed","memberSince":"2024-02-29","doNotEmail":true}`,
			func(p *profile.Profile) {
				p.Type, p.OrganizationName, p.Status, p.MemberSince, p.DoNotEmail = profile.Organization, "Adams", profile.Lapsed, "2024-02-29", true
			},
			profile.Change{Fields: []profile.FieldChange{{Field: "type", Old: "individual", New: "organization"}, {Field: "status", Old: "active", New: "lapsed"}, {Field: "organizationName", New: "Adams"}, {Field: "memberSince", New: "2024-02-29"}, {Field: "doNotEmail", Old: "false", New: "true"}}}},
		"the import keeps its relation": {`{"relations":[{"to":"2","kind":"Spouse","imported":true},{"to":"1","kind":" Former Employee ","mainContact":true,"canEdit":true}]}`,
			func(p *profile.Profile) {
				p.Relations = []profile.Relation{{To: "2", Kind: "Spouse"}, {To: "1", Kind: "Former Employee", MainContact: true, CanEdit: true, Imported: true}}
			},
			profile.Change{Fields: []profile.FieldChange{{Field: "relations", Old: "Employee of 1, from the import; Spouse of 2", New: "Spouse of 2; Former Employee of 1, main contact, can edit, from the import"}}}},
		"no relations": {`{"relations":[]}`,
			func(p *profile.Profile) { p.Relations = []profile.Relation{} },
			profile.Change{Fields: []profile.FieldChange{{Field: "relations", Old: "Employee of 1, from the import; Spouse of 2"}}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			want, got := ana(), ana()
			if tt.change != nil {
				tt.change(want)
				want.Version, want.UpdatedAt = 4, later
			}
			change, err := fields(t, tt.body).Apply(got, later)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.want, change); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	long, kind := strings.Repeat("ß", 101), strings.Repeat("x", 61)
	tests := map[string]struct{ body, field, code string }{
		"another ID":            {`{"id":"6"}`, "id", "id_fixed"},
		"type":                  {`{"type":"Individual"}`, "type", "type_unknown"},
		"status":                {`{"status":""}`, "status", "status_unknown"},
		"101 characters":        {`{"firstName":"` + long + `"}`, "firstName", "name_too_long"},
		"a megabyte":            {`{"firstName":"` + strings.Repeat("x", 1<<20) + `"}`, "firstName", "name_too_long"},
		"line break":            {`{"lastName":"a\nb"}`, "lastName", "text_invalid"},
		"line separator":        {`{"lastName":"a\u2028b"}`, "lastName", "text_invalid"},
		"NUL":                   {`{"organizationName":"a\u0000b"}`, "organizationName", "text_invalid"},
		"escape":                {`{"organizationName":"a\u001bb"}`, "organizationName", "text_invalid"},
		"right-to-left":         {`{"lastName":"a\u202eb"}`, "lastName", "text_invalid"},
		"isolate":               {`{"lastName":"a\u2066b"}`, "lastName", "text_invalid"},
		"no name left":          {`{"firstName":"","lastName":" \u200b"}`, "lastName", "name_missing"},
		"a person as company":   {`{"type":"organization"}`, "organizationName", "name_missing"},
		"email":                 {`{"email":"ana@@example.org"}`, "email", "email_invalid"},
		"date that is none":     {`{"memberSince":"2025-02-29"}`, "memberSince", "date_invalid"},
		"date in another form":  {`{"memberSince":"1/2/2025"}`, "memberSince", "date_invalid"},
		"date with time":        {`{"memberSince":"2025-02-28T00:00:00Z"}`, "memberSince", "date_invalid"},
		"year nought":           {`{"memberSince":"0000-01-01"}`, "memberSince", "date_invalid"},
		"relation to itself":    {`{"relations":[{"to":"5","kind":"Spouse"}]}`, "relations[0].to", "relation_self"},
		"relation to nothing":   {`{"relations":[{"to":"1","kind":"Spouse"},{"kind":"Spouse"}]}`, "relations[1].to", "related_to_missing"},
		"relation to no ID":     {`{"relations":[{"to":"a/b","kind":"Spouse"}]}`, "relations[0].to", "relation_unknown"},
		"relation without kind": {`{"relations":[{"to":"1","kind":" "}]}`, "relations[0].kind", "relationship_missing"},
		"long kind":             {`{"relations":[{"to":"1","kind":"` + kind + `"}]}`, "relations[0].kind", "name_too_long"},
		"kind of two lines":     {`{"relations":[{"to":"1","kind":"a\rb"}]}`, "relations[0].kind", "text_invalid"},
		"relation twice":        {`{"relations":[{"to":"1","kind":"Owner"},{"to":"1","kind":"owner "}]}`, "relations[1].to", "relation_twice"},
		"21 relations":          {`{"relations":[` + strings.Repeat(`{"to":"1","kind":"Owner"},`, 20) + `{"to":"1","kind":"Owner"}]}`, "relations", "relations_too_many"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := ana()
			change, err := fields(t, tt.body).Apply(p, noon)
			e := problem.As(err)
			if e.Kind != problem.Invalid || e.Code != tt.code || e.Field != tt.field || e.Detail == "" || len(e.Problems) > 0 {
				t.Errorf("%+v", e)
			}
			if change.Any() || !cmp.Equal(ana(), p) {
				t.Errorf("a refused edit changed the profile: %s", cmp.Diff(ana(), p))
			}
			if len(e.Detail) > 400 {
				t.Errorf("the detail has %d bytes", len(e.Detail))
			}
		})
	}
	p := ana()
	_, err := fields(t, `{"type":"robot","firstName":"a\nb","email":"x","memberSince":"x","relations":[{"to":"5"}],"doNotEmail":true}`).Apply(p, noon)
	want := []string{"type", "firstName", "email", "memberSince", "relations[0].kind", "relations[0].to"}
	if diff := cmp.Diff(want, faultFields(err, "", t)); diff != "" {
		t.Error(diff)
	}
	if !cmp.Equal(ana(), p) {
		t.Error("changed")
	}
}

func TestTextOfManyScriptsIsTaken(t *testing.T) {
	for _, name := range []string{"Ñíguez", "美咲", "وليد", "می\u200cخواهم", "क्\u200dष", "O’Brien", "Jr., 3rd (ret.)", "{{name}} ${x} %s", "👩\u200d🌾", strings.Repeat("ß", 100)} {
		p := ana()
		if _, err := (profile.Fields{LastName: &name}).Apply(p, noon); err != nil || p.LastName != name {
			t.Errorf("%q: %v %q", name, err, p.LastName)
		}
	}
	bad := "a\xffb"
	if _, err := (profile.Fields{LastName: &bad}).Apply(ana(), noon); problem.CodeOf(err) != "text_invalid" {
		t.Error(err)
	}
}

func TestCreate(t *testing.T) {
	none := func(profile.ID) (bool, error) { return false, nil }
	random := func() *bytes.Reader { return bytes.NewReader(bytes.Repeat([]byte{1, 2, 3, 4, 5}, 400)) }
	p, err := profile.Create("demo", fields(t, `{"id":" 1042 ","type":"individual","status":"prospect","lastName":"Ana","email":"ana@example.org"}`), noon, random(), none)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Epoch) != 22 {
		t.Errorf("epoch %q", p.Epoch)
	}
	p.Epoch = ""
	want := &profile.Profile{Organization: "demo", ID: "1042", Type: profile.Individual, Status: profile.Prospect, LastName: "Ana", Email: "ana@example.org", Mailbox: "ana@example.org", Version: 1, CreatedAt: noon, UpdatedAt: noon, EpochAt: noon}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}

	for body, field := range map[string]string{
		`{}`:                                     "type",
		`{"type":"individual","lastName":"Ana"}`: "status",
		`{"type":"individual","status":"active"}`:                                                                 "lastName",
		`{"type":"organization","status":"active","lastName":"Ana"}`:                                              "organizationName",
		`{"id":"a b","type":"individual","status":"active","lastName":"A"}`:                                       "id",
		`{"id":"..","type":"individual","status":"active","lastName":"A"}`:                                        "id",
		`{"id":"é","type":"individual","status":"active","lastName":"A"}`:                                         "id",
		`{"id":"` + strings.Repeat("1", 41) + `","type":"individual","status":"active","lastName":"A"}`:           "id",
		`{"id":"7","type":"individual","status":"active","lastName":"A","relations":[{"to":"7","kind":"Owner"}]}`: "relations[0].to",
	} {
		if _, err := profile.Create("demo", fields(t, body), noon, random(), none); problem.As(err).Field != field {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestCreateDrawsAnID(t *testing.T) {
	f := `{"type":"individual","status":"active","lastName":"Ana"}`
	draw := func(taken func(profile.ID) (bool, error)) (profile.ID, error) {
		p, err := profile.Create("demo", fields(t, f), noon, counting{new(byte)}, taken)
		if err != nil {
			return "", err
		}
		return p.ID, nil
	}
	id, err := draw(func(profile.ID) (bool, error) { return false, nil })
	if err != nil || len(id) != 6 || !id.Valid() {
		t.Errorf("%q %v", id, err)
	}
	asked := 0
	id, err = draw(func(id profile.ID) (bool, error) { asked++; return len(id) < 8, nil })
	if err != nil || len(id) != 8 || asked != 21 {
		t.Errorf("%q after %d, %v", id, asked, err)
	}
	if _, err = draw(func(profile.ID) (bool, error) { return true, nil }); problem.CodeOf(err) != "busy" {
		t.Error(err)
	}
	broken := errors.New("no store")
	if _, err = draw(func(profile.ID) (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := profile.Create("demo", fields(t, f), noon, bytes.NewReader(nil), func(profile.ID) (bool, error) { return false, nil }); err == nil {
		t.Error("made without randomness")
	}
}

// counting is a reader whose every byte differs from the one before.
type counting struct{ n *byte }

func (c counting) Read(b []byte) (int, error) {
	for i := range b {
		*c.n += 7
		b[i] = *c.n
	}
	return len(b), nil
}

func TestCheckRelations(t *testing.T) {
	stored := map[profile.ID]*profile.Profile{"1": {ID: "1"}, "2": {ID: "2"}}
	target := func(id profile.ID) (*profile.Profile, bool) { p, ok := stored[id]; return p, ok }
	contacts := func(id profile.ID) int { return map[profile.ID]int{"1": 2, "2": 1}[id] }
	p := &profile.Profile{ID: "5", Relations: []profile.Relation{
		{To: "2", Kind: "Owner", MainContact: true}, {To: "1", Kind: "Former Owner", MainContact: true}, {To: "1", Kind: "Owner"},
	}}
	if err := profile.CheckRelations(p, target, contacts); err != nil {
		t.Error(err)
	}
	p.Relations = append(p.Relations, profile.Relation{To: "9", Kind: "Owner", MainContact: true}, profile.Relation{To: "1", Kind: "Spouse", MainContact: true})
	err := profile.CheckRelations(p, target, contacts)
	if diff := cmp.Diff([]string{"relations[3].to", "relations[4].mainContact"}, faultFields(err, "", t)); diff != "" {
		t.Error(diff)
	}
	if items := problem.As(err).Problems; items[0].Code != "relation_unknown" || items[1].Code != "main_contacts_full" {
		t.Errorf("%+v", items)
	}
}
