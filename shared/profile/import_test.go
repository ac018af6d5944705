package profile_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// memory is a store of one organization.
type memory map[profile.ID]*profile.Profile

func (m memory) stored() profile.Stored {
	return profile.Stored{Profiles: m.profiles, MainContacts: m.mainContacts}
}

func (m memory) profiles(ids []profile.ID) (map[profile.ID]*profile.Profile, error) {
	found := map[profile.ID]*profile.Profile{}
	for _, id := range ids {
		if !id.Valid() {
			return nil, fmt.Errorf("asked for %q", id)
		}
		if m[id] != nil {
			found[id] = m[id]
		}
	}
	return found, nil
}

func (m memory) mainContacts(members []profile.ID) (map[profile.ID][]profile.ID, error) {
	held := map[profile.ID][]profile.ID{}
	for id, p := range m {
		for _, r := range p.Relations {
			if r.IsMainContact() && slices.Contains(members, r.To) {
				held[r.To] = append(held[r.To], id)
			}
		}
	}
	return held, nil
}

func (m memory) related(id profile.ID) ([]*profile.Profile, error) {
	var related []*profile.Profile
	for _, p := range m {
		if slices.ContainsFunc(p.Relations, func(r profile.Relation) bool { return r.To == id }) {
			related = append(related, p)
		}
	}
	return related, nil
}

// write does the steps one by one and checks that what is stored is whole
// after each: no relation to nobody, unless they go round in a circle; no
// third main contact.
func (m memory) write(t testing.TB, plan *profile.Plan) {
	t.Helper()
	later := memory{}
	for _, step := range plan.Steps {
		later[step.ID] = step.After
	}
	for _, step := range plan.Steps {
		m[step.ID] = step.After
		for _, r := range step.After.Relations {
			if m[r.To] == nil && !later.leads(r.To, step.ID) {
				t.Fatalf("row %d is written before profile %s, to which it is related", step.Row, r.To)
			}
			if len(m) > 100 {
				continue // the look below walks over everything
			}
			if held, _ := m.mainContacts([]profile.ID{r.To}); len(held[r.To]) > profile.MaxMainContacts {
				t.Fatalf("row %d gives profile %s the main contacts %v", step.Row, r.To, held[r.To])
			}
		}
	}
	for _, step := range plan.Steps {
		for _, r := range step.After.Relations {
			if m[r.To] == nil {
				t.Fatalf("row %d is related to nobody, %s", step.Row, r.To)
			}
		}
	}
}

// leads says whether relations lead from one profile to another.
func (m memory) leads(from, to profile.ID) bool {
	for range len(m) {
		if from == to {
			return true
		}
		if m[from] == nil || len(m[from].Relations) == 0 {
			return false
		}
		from = m[from].Relations[0].To
	}
	return false
}

func plan(t testing.TB, m memory, csv string) *profile.Plan {
	t.Helper()
	f, err := profile.ReadCSV([]byte(csv))
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Plan("demo", noon, m.stored())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func load(t testing.TB, m memory, csv string) *profile.Plan {
	t.Helper()
	p := plan(t, m, csv)
	m.write(t, p)
	return p
}

func membersCSV(t testing.TB) string {
	t.Helper()
	body, err := os.ReadFile("testdata/members.csv")
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func importMembers(t testing.TB) memory {
	t.Helper()
	m := memory{}
	load(t, m, membersCSV(t))
	return m
}

func actions(p *profile.Plan) map[profile.Action]int {
	n := map[profile.Action]int{}
	for _, s := range p.Steps {
		n[s.Action]++
	}
	return n
}

// codes are the issues as row:column:code.
func codes(issues []profile.Issue) []string {
	told := []string{}
	for _, i := range issues {
		if i.Detail == "" {
			told = append(told, "no detail!")
		}
		told = append(told, fmt.Sprintf("%d:%s:%s", i.Row, i.Column, i.Code))
	}
	return told
}

func TestImportMembers(t *testing.T) {
	m := memory{}
	p := load(t, m, membersCSV(t))
	if diff := cmp.Diff([]string{
		"716:Profile ID:id_missing", "1430:Profile ID:id_duplicate", "2145:Profile Type:type_unknown",
		"2860:Related To:relation_unknown", "3576:First Name:name_too_long", "4292:Member Since:date_invalid",
	}, codes(p.Errors)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(p.Errors[1].Detail, "row 5 ") {
		t.Errorf("the first row is not named: %s", p.Errors[1].Detail)
	}
	if diff := cmp.Diff(map[profile.Action]int{profile.ActionCreate: 5000}, actions(p)); diff != "" {
		t.Error(diff)
	}
	if p.Refused != 6 || len(m) != 5000 {
		t.Errorf("%d refused, %d stored", p.Refused, len(m))
	}
	for _, w := range p.Warnings {
		if w.Code != "email_malformed" {
			t.Errorf("%+v", w)
		}
	}
	if want := 34; len(p.Warnings) != want {
		t.Errorf("%d warnings, want %d", len(p.Warnings), want)
	}

	again := plan(t, m, membersCSV(t))
	if diff := cmp.Diff(map[profile.Action]int{profile.ActionUnchanged: 5000}, actions(again)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(codes(p.Errors), codes(again.Errors)); diff != "" {
		t.Error(diff)
	}

	want := &profile.Profile{
		Organization: "demo", ID: "1291", Type: profile.Individual, FirstName: "İpek", LastName: "Brown", OrganizationName: "Mac-Donald Printing <Ltd>",
		Email: "ipek.brown@macdonaldprintingltd1290.example.org", Mailbox: "ipek.brown@macdonaldprintingltd1290.example.org", Status: profile.NonMember,
		Relations: []profile.Relation{{To: "1290", Kind: "Employee", MainContact: true, Imported: true}},
		Version:   1, CreatedAt: noon, UpdatedAt: noon,
	}
	if diff := cmp.Diff(want, m["1291"]); diff != "" {
		t.Error(diff)
	}
	if p := m["1011"]; p.FirstName != "Chloé" || p.Email != "CHLO1011@EXAMPLE.COM" || p.Mailbox != "chlo1011@example.com" {
		t.Errorf("%+v", p)
	}
}

// The same content in another form gives the same profiles.
func TestImportForms(t *testing.T) {
	records, err := csv.NewReader(strings.NewReader(membersCSV(t))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	records = records[:1501]
	form := func(comma rune, crlf bool, change func([][]string)) string {
		rows := make([][]string, len(records))
		for i := range records {
			rows[i] = slices.Clone(records[i])
		}
		change(rows)
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		w.Comma, w.UseCRLF = comma, crlf
		if err := w.WriteAll(rows); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	same := func([][]string) {}
	want := memory{}
	load(t, want, form(',', true, same))
	tests := map[string]string{
		"byte order mark": "\uFEFF" + form(',', true, same),
		"semicolon":       form(';', false, same),
		"tab":             form('\t', true, same),
		"no last newline": strings.TrimRight(form(',', false, same), "\n"),
		"columns in another order and spelling": form(',', false, func(rows [][]string) {
			for i, row := range rows {
				slices.Reverse(row)
				if i == 0 {
					for j := range row {
						row[j] = " " + strings.ToUpper(row[j]) + "  "
					}
				}
			}
		}),
		"cells with blanks around and other spellings of the same": form(',', false, func(rows [][]string) {
			for _, row := range rows[1:] {
				for j := range row {
					row[j] = "  " + row[j] + " "
				}
				row[1] = strings.ToUpper(row[1])
				row[6] = strings.ToUpper(row[6])
				row[12] = strings.ReplaceAll(row[12], "Y", "yes")
			}
		}),
		"empty columns and rows at the end": form(',', false, func(rows [][]string) {
			for i := range rows {
				rows[i] = append(rows[i], "", " ")
			}
		}) + strings.Repeat(",", 14) + "\n\n\n",
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			m := memory{}
			load(t, m, body)
			if !reflect.DeepEqual(want, m) { // far quicker than looking for the difference
				diff := cmp.Diff(want, m)
				t.Error(diff[:min(len(diff), 2000)])
			}
		})
	}
}

func TestReadCSVRefusesFiles(t *testing.T) {
	const header = "Profile ID,Profile Type,Membership Status,Last Name\n"
	tests := map[string]struct{ body, code, field string }{
		"nothing":               {"", "csv_empty", ""},
		"a mark and nothing":    {"\uFEFF", "csv_empty", ""},
		"header only":           {header, "csv_empty", ""},
		"empty rows only":       {header + "\n,,,\n", "csv_empty", ""},
		"unknown column":        {"Profile ID,Profile Type,Membership Status,E-Mail\n1,individual,active,a@example.org\n", "csv_column_unknown", "E-Mail"},
		"column twice":          {"Profile ID,Profile Type,Membership Status,profile id\n1,individual,active,1\n", "csv_column_twice", "Profile ID"},
		"required missing":      {"Profile ID,Membership Status\n1,active\n", "csv_column_missing", "Profile Type"},
		"relation without kind": {"Profile ID,Profile Type,Membership Status,Related To\n1,individual,active,2\n", "csv_column_missing", "Relationship"},
		"flag without relation": {"Profile ID,Profile Type,Membership Status,Can Edit\n1,individual,active,Y\n", "csv_column_missing", "Related To"},
		"no header":             {"1,individual,active,Ana\n", "csv_column_unknown", "1"},
		"Latin-1":               {header + "1,individual,active,Garc\xeda\n", "csv_encoding", ""},
		"UTF-16 with mark":      {"\xff\xfeP\x00r\x00", "csv_encoding", ""},
		"UTF-16 without mark":   {"P\x00r\x00o\x00", "csv_encoding", ""},
		"too large":             {header + strings.Repeat("x", profile.MaxFile), "csv_too_large", ""},
		"too many rows":         {header + strings.Repeat("1\n", profile.MaxRows+1), "csv_rows", ""},
		"too many cells":        {header + strings.Repeat(",", 2000), "csv_cells", ""},
		"quote never closed":    {header + "1,individual,active,\"Ana\n2,individual,active,Ben\n", "csv_quotes", ""},
		"quote closed later":    {header + "1,individual,active,\"Ana\n2,individual,active,\"Ben\"\n", "csv_quotes", ""},
		"quote swallows a row":  {header + "1,individual,active,\"Ana\n2,individual,active,Ben\",,,,\n", "csv_quotes", ""},
		"header not closed":     {"\"Profile ID,Profile Type\n1,individual\n", "csv_quotes", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := profile.ReadCSV([]byte(tt.body))
			p := problem.As(err)
			if problem.CodeOf(err) != tt.code || p.Field != tt.field {
				t.Errorf("got %v, want %s %q", err, tt.code, tt.field)
			}
		})
	}
	_, err := profile.ReadCSV([]byte(header + "1,individual,active,Ana\n2,individual,active,Garc\xeda\n"))
	if !strings.Contains(problem.As(err).Detail, "line 3 ") {
		t.Errorf("the line is not told: %v", err)
	}
}

// fileOf writes rows of the columns that most tests need.
func fileOf(rows ...string) string {
	return "Profile ID,Profile Type,Last Name,Organization Name,Email,Membership Status,Member Since,Related To,Relationship,Main Contact,Can Edit\n" + strings.Join(rows, "\n") + "\n"
}

func TestRowFaults(t *testing.T) {
	company := "1,organization,,Adams,,active,,,,,"
	tests := map[string]struct {
		rows []string
		want []string
	}{
		"several faults of one row": {
			[]string{"5,robot,,,,asleep,2026-02-30,,,maybe,"},
			[]string{"2:Main Contact:flag_invalid", "2:Profile Type:type_unknown", "2:Membership Status:status_unknown", "2:Member Since:date_invalid"}},
		"no name":                  {[]string{"5,individual,,,,active,,,,,", "6,organization,Ana,,,active,,,,,"}, []string{"2:Last Name:name_missing", "3:Organization Name:name_missing"}},
		"name of blanks":           {[]string{"5,individual,\u200b ,,,active,,,,,"}, []string{"2:Last Name:name_missing"}},
		"ID with a slash":          {[]string{"5/6,individual,Ana,,,active,,,,,"}, []string{"2:Profile ID:id_invalid"}},
		"too few cells":            {[]string{"5,individual,Ana"}, []string{"2::columns_wrong"}},
		"too many cells":           {[]string{"5,individual,Ana,,,active,,,,,,x"}, []string{"2::columns_wrong"}},
		"stray quote":              {[]string{`5,individual,A"na,,,active,,,,,`, `6,individual,Ana,,,active,,,,,`}, []string{"2::quote_invalid"}},
		"text after a quote":       {[]string{`5,individual,"A"na,,,active,,,,,`, `6,individual,Ana,,,active,,,,,`}, []string{"2::quote_invalid"}},
		"line break in a cell":     {[]string{"5,individual,\"A\nna\",,,active,,,,,", "5,individual,Ana,,,active,,,,,"}, []string{"2:Last Name:text_invalid", "3:Profile ID:id_duplicate"}},
		"empty lines are rows too": {[]string{"", "\r", "5,individual,,,,active,,,,,"}, []string{"4:Last Name:name_missing"}},
		"text turned round":        {[]string{"5,individual,A\u202ena,,,active,,,,,"}, []string{"2:Last Name:text_invalid"}},
		"relation to nobody":       {[]string{"5,individual,Ana,,,active,,77,Employee,,"}, []string{"2:Related To:relation_unknown"}},
		"relation without kind":    {[]string{company, "5,individual,Ana,,,active,,1,,,"}, []string{"3:Relationship:relationship_missing"}},
		"kind without relation":    {[]string{"5,individual,Ana,,,active,,,Employee,,"}, []string{"2:Related To:related_to_missing"}},
		"flag without relation":    {[]string{"5,individual,Ana,,,active,,,,Y,"}, []string{"2:Related To:related_to_missing"}},
		"relation to itself":       {[]string{"5,individual,Ana,,,active,,5,Spouse,,"}, []string{"2:Related To:relation_self"}},
		"relation to a bad ID":     {[]string{"5,individual,Ana,,,active,,a b,Spouse,,"}, []string{"2:Related To:relation_unknown"}},
		"kind too long":            {[]string{company, "5,individual,Ana,,,active,,1," + strings.Repeat("x", 61) + ",,"}, []string{"3:Relationship:name_too_long"}},
		"relation to a later row":  {[]string{"5,individual,Ana,,,active,,1,Employee,,", company}, nil},
		"two who point to each other": {
			[]string{"5,individual,Ana,,,active,,6,Spouse,,", "6,individual,Ben,,,active,,5,Spouse,,"}, nil},
		"refusals spread along relations": {
			[]string{"5,individual,Ana,,,active,,6,Spouse,,", "6,individual,Ben,,,active,,7,Spouse,,", "7,robot,Eve,,,active,,,,,", "8,individual,Dan,,,active,,,,,"},
			[]string{"2:Related To:relation_refused", "3:Related To:relation_refused", "4:Profile Type:type_unknown"}},
		"and round a circle": {
			[]string{"5,individual,Ana,,,active,,6,Spouse,,", "6,individual,Ben,,,active,,5,Spouse,Z,"},
			[]string{"2:Related To:relation_refused", "3:Main Contact:flag_invalid"}},
		"a kind in another encoding": {[]string{company, "5,individual,Ana,,,active,,1,Associe\u0301,,"}, nil},
		"and round a wider one": {
			[]string{"5,individual,Ana,,,active,,6,Spouse,,", "6,individual,Ben,,,active,,7,Spouse,Z,", "7,individual,Eve,,,active,,5,Spouse,,"},
			[]string{"2:Related To:relation_refused", "3:Main Contact:flag_invalid", "4:Related To:relation_refused"}},
		"a third main contact": {
			[]string{company, "5,individual,Ana,,,active,,1,Owner,Y,", "6,individual,Ben,,,active,,1,Former Owner,Y,", "7,individual,Eve,,,active,,1,Owner,y,", "8,individual,Dan,,,active,,1,Owner,Yes,"},
			[]string{"6:Main Contact:main_contacts_full"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := memory{}
			p := load(t, m, fileOf(tt.rows...))
			if diff := cmp.Diff(append([]string{}, tt.want...), codes(p.Errors)); diff != "" {
				t.Error(diff)
			}
			if p.Refused+len(p.Steps) > len(tt.rows) || len(p.Steps) != len(m) {
				t.Errorf("%d refused, %d steps, %d stored", p.Refused, len(p.Steps), len(m))
			}
		})
	}
}

func TestMainContactsAgainstTheStore(t *testing.T) {
	m := memory{}
	load(t, m, fileOf("1,organization,,Adams,,active,,,,,", "5,individual,Ana,,,active,,1,Owner,Y,", "6,individual,Ben,,,active,,1,Owner,Y,"))
	third := "7,individual,Eve,,,active,,1,Owner,Y,"
	if diff := cmp.Diff([]string{"2:Main Contact:main_contacts_full"}, codes(plan(t, m, fileOf(third)).Errors)); diff != "" {
		t.Error(diff)
	}
	// Those who have the places keep them, whatever else of them changes.
	if p := plan(t, m, fileOf("6,individual,Ben,,,active,,1,Owner,Y,Y")); len(p.Errors) > 0 || p.Steps[0].Action != profile.ActionUpdate {
		t.Errorf("%v", codes(p.Errors))
	}
	// One who gives the place up in the same file makes room, wherever the row stands.
	p := load(t, m, fileOf(third, "6,individual,Ben,,,active,,1,Former Owner,Y,"))
	if len(p.Errors) > 0 || p.Steps[0].ID != "6" {
		t.Errorf("%v, first written %s", codes(p.Errors), p.Steps[0].ID)
	}
	// A refused row gives nothing up.
	refused := plan(t, m, fileOf("8,individual,Dan,,,active,,1,Owner,Y,", "7,robot,Eve,,,active,,,,,"))
	if diff := cmp.Diff([]string{"2:Main Contact:main_contacts_full", "3:Profile Type:type_unknown"}, codes(refused.Errors)); diff != "" {
		t.Error(diff)
	}
}

func TestEmailsInAnImport(t *testing.T) {
	tests := map[string]struct {
		cell, wantEmail string
		wantWarnings    []string
		wantAction      profile.Action
	}{
		"the same":                  {"Ana@example.org", "Ana@example.org", nil, profile.ActionUnchanged},
		"case and blanks":           {" ANA@Example.ORG ", "Ana@example.org", nil, profile.ActionUnchanged},
		"empty":                     {"", "Ana@example.org", []string{"2:Email:email_kept"}, profile.ActionUnchanged},
		"malformed":                 {"ana@@example.org", "Ana@example.org", []string{"2:Email:email_malformed"}, profile.ActionUnchanged},
		"another":                   {"ana@example.com", "ana@example.com", []string{"2:Email:username_kept"}, profile.ActionUpdate},
		"malformed beyond all size": {strings.Repeat("a", 5000) + "@example.org", "Ana@example.org", []string{"2:Email:email_malformed"}, profile.ActionUnchanged},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := memory{}
			load(t, m, fileOf("5,individual,Ana,,Ana@example.org,active,,,,,"))
			m["5"].Username = "ana@example.org"
			m["5"].Undeliverable = &profile.Undeliverable{Reason: "bounced"}
			p := load(t, m, fileOf("5,individual,Ana,,"+tt.cell+",active,,,,,"))
			if diff := cmp.Diff(append([]string{}, tt.wantWarnings...), codes(p.Warnings)); diff != "" {
				t.Error(diff)
			}
			step := p.Steps[0]
			changed := tt.wantAction == profile.ActionUpdate
			if step.Action != tt.wantAction || step.Change.EmailChanged != changed || m["5"].Email != tt.wantEmail || (m["5"].Undeliverable == nil) != changed {
				t.Errorf("%s %+v %+v", step.Action, step.Change, m["5"])
			}
		})
	}
}

func TestUsernameApartFromTheEmailNeedsNoWarning(t *testing.T) {
	m := memory{}
	load(t, m, fileOf("5,individual,Ana,,ana@example.org,active,,,,,"))
	m["5"].Username = "ana.garcia"
	if p := plan(t, m, fileOf("5,individual,Ana,,ana@example.com,active,,,,,")); len(p.Warnings) > 0 || !p.Steps[0].Change.EmailChanged {
		t.Errorf("%v", codes(p.Warnings))
	}
}

func TestWhatAFileDoesNotTellStays(t *testing.T) {
	m := memory{}
	load(t, m, fileOf("1,organization,,Adams,,active,,,,,", "5,individual,Ana,Adams,ana@example.org,active,2001-02-03,1,Owner,Y,Y"))
	before := *m["5"]
	p := load(t, m, "Profile ID,Profile Type,Membership Status\n5,individual,active\n")
	if p.Steps[0].Action != profile.ActionUnchanged || !cmp.Equal(&before, m["5"]) {
		t.Errorf("changed: %+v", p.Steps[0].Change)
	}
	p = load(t, m, "Profile ID,Profile Type,Membership Status,Related To,Relationship\n5,individual,lapsed,1,Employee\n")
	want := []profile.Relation{{To: "1", Kind: "Employee", MainContact: true, CanEdit: true, Imported: true}}
	if diff := cmp.Diff(want, m["5"].Relations); diff != "" || m["5"].Status != profile.Lapsed || m["5"].Version != 2 {
		t.Error(diff, m["5"])
	}
	p = load(t, m, fileOf("5,individual,Ana,,,active,,1,Employee,,"))
	if m["5"].OrganizationName != "" || m["5"].MemberSince != "" || m["5"].Email == "" || m["5"].Relations[0].MainContact {
		t.Errorf("told cells that are empty did not empty, or emptied the email: %+v %v", m["5"], p.Warnings)
	}
}

func TestRelationsInAnImport(t *testing.T) {
	file := func(to, kind string) profile.Relation {
		return profile.Relation{To: profile.ID(to), Kind: kind, Imported: true}
	}
	staff := func(to, kind string) profile.Relation { return profile.Relation{To: profile.ID(to), Kind: kind} }
	tests := map[string]struct {
		stored   []profile.Relation
		row      string // Related To, Relationship
		want     []profile.Relation
		warnings []string
	}{
		"first":                         {nil, "1,Owner", []profile.Relation{file("1", "Owner")}, nil},
		"same":                          {[]profile.Relation{file("1", "Owner")}, "1,Owner", []profile.Relation{file("1", "Owner")}, nil},
		"moved to another company":      {[]profile.Relation{file("1", "Owner")}, "2,Owner", []profile.Relation{file("2", "Owner")}, nil},
		"ended":                         {[]profile.Relation{staff("2", "Spouse"), file("1", "Owner")}, ",", []profile.Relation{staff("2", "Spouse")}, nil},
		"became former":                 {[]profile.Relation{file("1", "Owner")}, "1,Former Owner", []profile.Relation{file("1", "Former Owner")}, nil},
		"beside one of staff":           {[]profile.Relation{staff("2", "Spouse")}, "1,Owner", []profile.Relation{staff("2", "Spouse"), file("1", "Owner")}, nil},
		"one of staff is not ended":     {[]profile.Relation{staff("2", "Spouse")}, ",", []profile.Relation{staff("2", "Spouse")}, nil},
		"one of staff is adopted":       {[]profile.Relation{staff("2", "Spouse"), file("1", "Owner")}, "2,spouse", []profile.Relation{file("2", "spouse")}, nil},
		"one of staff to the same":      {[]profile.Relation{staff("1", "Employee")}, "1,Owner", []profile.Relation{file("1", "Owner")}, nil},
		"two to the same, by kind":      {[]profile.Relation{file("1", "Employee"), staff("1", "Owner")}, "1,Employee", []profile.Relation{file("1", "Employee"), staff("1", "Owner")}, nil},
		"two to the same, kind changes": {[]profile.Relation{staff("1", "Owner"), file("1", "Employee")}, "1,Billing Contact", []profile.Relation{staff("1", "Owner"), file("1", "Billing Contact")}, nil},
		"kind in another encoding":      {[]profile.Relation{file("1", "Employee"), staff("1", "Associé")}, "1,Associe\u0301", []profile.Relation{file("1", "Associé")}, nil},
		"opened again":                  {[]profile.Relation{staff("1", "Former Owner")}, "1,Owner", []profile.Relation{file("1", "Owner")}, []string{"2:Relationship:relation_reopened"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := memory{
				"1": {ID: "1", Type: profile.Organization, OrganizationName: "Adams", Status: profile.Active, Version: 1},
				"2": {ID: "2", Type: profile.Organization, OrganizationName: "Brown", Status: profile.Active, Version: 1},
				"5": {ID: "5", Type: profile.Individual, LastName: "Ana", Status: profile.Active, Version: 1, Relations: slices.Clone(tt.stored)},
			}
			stored := m["5"]
			row := fileOf("5,individual,Ana,,,active,," + tt.row + ",,")
			p := load(t, m, row)
			if diff := cmp.Diff(tt.want, m["5"].Relations); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(append([]string{}, tt.warnings...), codes(p.Warnings)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.stored, stored.Relations); diff != "" {
				t.Errorf("planning changed what is stored: %s", diff)
			}
			if again := plan(t, m, row); again.Steps[0].Action != profile.ActionUnchanged {
				t.Errorf("again: %+v", again.Steps[0].Change)
			}
		})
	}
}

// A long chain of relations, or a crowd around one member, is no reason to
// take long.
func TestPlanOfUnusualShapes(t *testing.T) {
	const n = 5_000
	var chain, crowd []string
	for i := range n {
		chain = append(chain, fmt.Sprintf("%d,individual,Ana,,,active,,%d,Spouse,,", i, i+1))
		crowd = append(crowd, fmt.Sprintf("%d,individual,Ana,,,active,,%d,Owner,Y,", i, n))
	}
	broken := plan(t, memory{}, fileOf(append(chain, fmt.Sprintf("%d,robot,Ana,,,active,,,,,", n))...))
	if broken.Refused != n+1 || len(broken.Errors) != n+1 {
		t.Errorf("%d refused, %d errors", broken.Refused, len(broken.Errors))
	}
	whole := plan(t, memory{}, fileOf(append(chain, fmt.Sprintf("%d,individual,Ana,,,active,,0,Spouse,,", n))...))
	if len(whole.Steps) != n+1 || whole.Refused != 0 {
		t.Errorf("%d steps", len(whole.Steps))
	}
	crowded := plan(t, memory{}, fileOf(append(crowd, fmt.Sprintf("%d,organization,,Adams,,active,,,,,", n))...))
	if len(crowded.Steps) != 3 || crowded.Refused != n-2 {
		t.Errorf("%d steps, %d refused", len(crowded.Steps), crowded.Refused)
	}
}

func TestStepAgain(t *testing.T) {
	m := memory{}
	load(t, m, fileOf("5,individual,Ana,,,active,,,,,"))
	step := plan(t, m, fileOf("5,individual,Anna,,,active,,,,,")).Steps[0]
	now := *m["5"]
	now.Status, now.Version = profile.Lapsed, 9
	again, err := step.Again("demo", &now, noon)
	if err != nil || again.Action != profile.ActionUpdate || again.After.Version != 10 || len(again.Change.Fields) != 2 {
		t.Errorf("%v %+v", err, again)
	}
}

// Whatever a file holds: planning over what it wrote changes nothing, and
// nothing that is stored is ever broken.
func TestPlanConverges(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(s ...string) string { return s[rnd.IntN(len(s))] }
	for range 300 {
		m := memory{}
		for range 3 {
			var rows []string
			for range 1 + rnd.IntN(12) {
				rows = append(rows, strings.Join([]string{
					pick("1", "2", "3", "4", "5", "6", "7", "8", ""), pick("individual", "individual", "Organization", "robot"), pick("Ana", "Ben", ""), pick("Adams", "Brown"),
					pick("", "x", "ana@example.org", "ANA@example.org", "ben@example.com"), pick("active", "Lapsed"), pick("", "2020-01-01"),
					pick("", "1", "2", "3", "99"), pick("Owner", "Owner", "Former Owner", ""), pick("", "Y", "Y"), pick("", "Y")}, ","))
			}
			body := fileOf(rows...)
			load(t, m, body)
			again := plan(t, m, body)
			for _, step := range again.Steps {
				if step.Action != profile.ActionUnchanged {
					t.Fatalf("row %d: %s %+v\n%s", step.Row, step.Action, step.Change, body)
				}
			}
			held, _ := m.mainContacts([]profile.ID{"1", "2", "3"})
			for id, holders := range held {
				if len(holders) > profile.MaxMainContacts {
					t.Fatalf("%s has main contacts %v\n%s", id, holders, body)
				}
			}
		}
	}
}

func TestSummary(t *testing.T) {
	m := memory{}
	load(t, m, fileOf("5,individual,Ana,,,active,,,,,", "6,individual,Ben,,,active,,,,,", "7,individual,Eve,,,active,,,,,"))
	f, err := profile.ReadCSV([]byte(fileOf("5,individual,Ana,,,active,,,,,", "6,individual,Benny,,x,active,,,,,", "8,individual,Dan,,,active,,,,,", "9,robot,Dan,,,active,,,,,")))
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Plan("demo", noon, m.stored())
	if err != nil {
		t.Fatal(err)
	}
	s := p.Summary()
	for _, step := range p.Steps {
		s.Wrote(step)
	}
	for id := range m {
		if !f.Has(id) {
			s.Miss(id)
		}
	}
	s.Complete = true
	s.Errors, s.Warnings = nil, nil
	want := profile.Summary{Complete: true, Created: 1, Updated: 1, Accepted: 2, Unchanged: 1, Refused: 1, Missing: []profile.ID{"7"}, MissingTotal: 1, ErrorsTotal: 1, WarningsTotal: 1}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
	if !f.Has("9") {
		t.Error("a refused row does not count as in the file")
	}
}

func TestEffects(t *testing.T) {
	m := memory{}
	load(t, m, fileOf(
		"1,organization,,Adams,,active,,,,,", "2,organization,,Brown,,lapsed,,,,,",
		"5,individual,Ana,,ana@example.org,non-member,,1,Employee,,", "6,individual,Ben,,ben@example.org,non-member,,2,Employee,,",
		"7,individual,Eve,,eve@example.org,active,,,,,", "8,individual,Dan,,dan@example.org,non-member,,1,Employee,,"))
	p := plan(t, m, fileOf(
		"1,organization,,Adams,,dropped,,,,,", "2,organization,,Brown,,active,,,,,", // their people follow, in the file or not
		"6,individual,Ben,,ben@example.org,non-member,,2,Employee,,", "7,individual,Eve,,eve@example.com,active,,,,,",
		"8,individual,Dan,,dan@example.org,active,,1,Employee,,", "9,individual,New,,new@example.org,active,,,,,"))
	got, err := p.Effects(access(profile.MembersAndPrimaryRelations), m.profiles, m.related)
	if err != nil {
		t.Fatal(err)
	}
	want := &profile.Effects{
		Addresses: []profile.AddressEffect{{Profile: "7", Old: "eve@example.org", New: "eve@example.com"}, {Profile: "9", New: "new@example.org"}},
		LinksEnd:  []profile.ID{"7"},
		Gain:      []profile.AccessEffect{{Profile: "2", Name: "Brown", Reason: "member"}, {Profile: "6", Name: "Ben", Reason: "primary_relation", Via: "2"}, {Profile: "9", Name: "New", Reason: "member"}},
		Lose:      []profile.AccessEffect{{Profile: "1", Name: "Adams", Reason: "not_a_member"}, {Profile: "5", Name: "Ana", Reason: "member_lapsed", Via: "1"}},

		AddressesTotal: 2, LinksEndTotal: 1, GainTotal: 3, LoseTotal: 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSafeCell(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "Ana": "Ana", "a=1": "a=1", "=1+1": "'=1+1", "+44 20": "'+44 20", "-2": "'-2", "@SUM(A1)": "'@SUM(A1)",
		"\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1", "＝1": "'＝1", "＠x": "'＠x", "'=1": "'=1",
	} {
		if got := profile.SafeCell(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzReadCSV(f *testing.F) {
	body, err := os.ReadFile("testdata/members.csv")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body[:2000])
	f.Add([]byte("\uFEFFProfile ID;Profile Type;Membership Status\r\n1;individual;active\r\n"))
	f.Add([]byte(fileOf("1,individual,\"Ana\n\",,,active,,1,Owner,Y,", "", `2,individual,a"b,,,active,,1,Owner,Y,`)))
	f.Add([]byte(fileOf("1,individual,Ana,,,active,,2,Owner,Y,", "2,individual,Ana,,,active,,3,Owner,Y,", "3,individual,Ana,,,active,,1,Owner,Y,Y")))
	f.Add([]byte("Profile ID\tProfile Type\tMembership Status\n\n\n\"1\"\"\t\n\""))
	f.Fuzz(func(t *testing.T, body []byte) {
		file, err := profile.ReadCSV(body)
		if err != nil {
			if problem.As(err).Kind == problem.Internal {
				t.Fatal(err)
			}
			return
		}
		m := memory{}
		first, err := file.Plan("demo", noon, m.stored())
		if err != nil {
			t.Fatal(err)
		}
		if first.Refused+len(first.Steps) != len(file.Rows) {
			t.Fatalf("%d refused and %d good of %d rows", first.Refused, len(first.Steps), len(file.Rows))
		}
		m.write(t, first)
		again, err := file.Plan("demo", noon, m.stored())
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range again.Steps {
			if step.Action != profile.ActionUnchanged {
				t.Fatalf("row %d: %+v", step.Row, step.Change)
			}
		}
	})
}

func BenchmarkImportMembers(b *testing.B) {
	body := []byte(membersCSV(b))
	m := importMembers(b)
	for name, stored := range map[string]memory{"empty": {}, "stored": m} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			rows := 0
			for b.Loop() {
				f, err := profile.ReadCSV(body)
				if err != nil {
					b.Fatal(err)
				}
				s := stored.stored()
				if len(stored) > 0 { // the double's walk over everything is not what is measured
					s.MainContacts = func([]profile.ID) (map[profile.ID][]profile.ID, error) { return nil, nil }
				}
				if _, err := f.Plan("demo", noon, s); err != nil {
					b.Fatal(err)
				}
				rows += len(f.Rows)
			}
			b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
