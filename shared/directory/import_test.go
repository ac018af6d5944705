package directory_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/directory"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

func (h *house) load(t testing.TB, file string, check bool) *directory.Imported {
	t.Helper()
	answer, err := h.Import(t.Context(), eve, "acme", []byte(file), check)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

const header = "Profile ID,Profile Type,First Name,Last Name,Organization Name,Email,Membership Status,Member Since,Related To,Relationship,Main Contact,Can Edit,Do Not Email\n"

func TestImportOfMembers(t *testing.T) {
	h := quick(t)
	file := string(members(t))
	first := h.load(t, file, false)
	if !first.Complete || first.Accepted != 5000 || first.Created != 5000 || first.Updated != 0 || first.Unchanged != 0 || first.Refused != 6 || first.MissingTotal != 0 {
		t.Errorf("first: complete %t, created %d, updated %d, unchanged %d, refused %d, missing %d",
			first.Complete, first.Created, first.Updated, first.Unchanged, first.Refused, first.MissingTotal)
	}
	var faults []string
	for _, e := range first.Errors {
		if e.Detail == "" {
			t.Errorf("row %d has no reason", e.Row)
		}
		faults = append(faults, fmt.Sprint(e.Row, " ", e.Column, " ", e.Code))
	}
	want := []string{
		"716 Profile ID id_missing", "1430 Profile ID id_duplicate", "2145 Profile Type type_unknown",
		"2860 Related To relation_unknown", "3576 First Name name_too_long", "4292 Member Since date_invalid",
	}
	if diff := cmp.Diff(want, faults); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	malformed := 0
	for _, w := range first.Warnings {
		if w.Code == "email_malformed" && w.Column == "Email" && w.Row > 1 {
			malformed++
		}
	}
	if malformed == 0 {
		t.Error("no warning of a malformed address")
	}

	rows, err := csv.NewReader(bytes.NewReader(members(t))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	stored, related := h.all(t), 0
	for _, row := range rows[1:] {
		p := stored[profile.ID(row[0])]
		if row[8] == "" || p == nil || stored[profile.ID(row[8])] == nil {
			continue
		}
		related++
		if len(p.Relations) != 1 || string(p.Relations[0].To) != row[8] || !p.Relations[0].Imported {
			t.Fatalf("profile %s has relations %v, the file says %s", p.ID, p.Relations, row[8])
		}
	}
	if len(stored) != 5000 || related < 2000 {
		t.Errorf("%d profiles stored, %d related", len(stored), related)
	}

	h.pass(time.Second)
	again := h.load(t, file, false)
	if !again.Complete || again.Unchanged != 5000 || again.Accepted != 0 || again.Refused != 6 {
		t.Errorf("second: unchanged %d, accepted %d, refused %d", again.Unchanged, again.Accepted, again.Refused)
	}
	if !reflect.DeepEqual(stored, h.all(t)) {
		t.Error("the second run changed something")
	}
	if mails := h.singles(t, noon.AddDate(1, 0, 0)); len(mails) != 0 || len(h.bells.rung) != 0 {
		t.Errorf("a first load made %d notices and rang %d bells", len(mails), len(h.bells.rung))
	}
	runs, _, err := h.store.DayActivity(t.Context(), "acme", noon, "", 100)
	if err != nil || len(runs) != 2 {
		t.Fatalf("%d loud entries for two imports, %v", len(runs), err)
	}
	if diff := cmp.Diff(map[string]string{"created": "5000", "updated": "0", "unchanged": "0", "refused": "6", "complete": "true"}, runs[1].Detail); runs[1].Kind != activity.ImportRun || diff != "" {
		t.Errorf("%s %s", runs[1].Kind, diff)
	}
	if diff := cmp.Diff([]activity.Kind{activity.ProfileCreated}, kinds(h.trail(t, "1001"))); diff != "" {
		t.Errorf("the trail of a profile:\n%s", diff)
	}
}

// all reads every stored profile of acme.
func (h *house) all(t testing.TB) map[profile.ID]*profile.Profile {
	t.Helper()
	all := map[profile.ID]*profile.Profile{}
	for cursor := ""; ; {
		ids, next, err := h.store.ProfilesByName(t.Context(), "acme", cursor, 1000)
		if err != nil {
			t.Fatal(err)
		}
		page, err := h.store.Profiles(t.Context(), "acme", ids)
		if err != nil {
			t.Fatal(err)
		}
		for id, p := range page {
			all[id] = p
		}
		if cursor = next; next == "" {
			return all
		}
	}
}

// files are an association in two versions: companies after their people,
// some of whom change email, status, relation or main contact, join, or are
// no longer listed.
func files() (before, after string) {
	var one, two strings.Builder
	one.WriteString(header)
	two.WriteString(header)
	for i := range 160 {
		company := 9000 + i%30
		mark := ""
		if i < 60 {
			mark = "Y"
		}
		line := func(b *strings.Builder, last, email, status, kind, mark string) {
			fmt.Fprintf(b, "%d,Individual,Ana,%s,,%s,%s,2012-07-20,%d,%s,%s,,\n", 1000+i, last, email, status, company, kind, mark)
		}
		if i%7 != 3 {
			line(&one, fmt.Sprint("Garcia", i), fmt.Sprintf("ana%d@example.com", i), "Prospect", "Employee", mark)
		}
		switch i % 6 {
		case 0:
			line(&two, fmt.Sprint("Garcia", i), fmt.Sprintf("new%d@example.org", i), "Prospect", "Employee", mark)
		case 1:
			line(&two, fmt.Sprint("Lopez", i), fmt.Sprintf("ana%d@example.com", i), "Lapsed", "Employee", mark)
		case 2:
			line(&two, fmt.Sprint("Garcia", i), fmt.Sprintf("ana%d@example.com", i), "Prospect", "Former Employee", "")
		case 3:
			line(&two, fmt.Sprint("Garcia", i), "", "Prospect", "Owner", "Y")
		case 4:
			line(&two, fmt.Sprint("Garcia", i), fmt.Sprintf("ana%d@example.com", i), "Prospect", "Employee", mark)
		}
	}
	for i := range 30 {
		status := "Active"
		fmt.Fprintf(&one, "%d,Organization,,,Company %d,office%d@example.com,%s,,,,,,\n", 9000+i, i, i, status)
		if i%5 == 0 {
			status = "Dropped"
		}
		fmt.Fprintf(&two, "%d,Organization,,,Company %d,office%d@example.com,%s,,,,,,\n", 9000+i, i, i, status)
	}
	return one.String(), two.String()
}

// stopping is a store that cancels the import at its nth commit, before or
// after it is made.
type stopping struct {
	directory.Store
	left  atomic.Int64
	after bool
	stop  context.CancelFunc
}

func (s *stopping) Update(ctx context.Context, fn func(directory.Tx) error) error {
	last := s.left.Add(-1) == 0
	if last && !s.after {
		s.stop()
	}
	err := s.Store.Update(ctx, fn)
	if last {
		s.stop()
	}
	return err
}

// cut imports a file and stops at the nth commit, before or after it is made;
// it says whether there was one.
func (h *house) cut(t *testing.T, file string, n int64, after bool) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &stopping{Store: h.Service.Store, after: after, stop: cancel}
	s.left.Store(n)
	stopped := *h.Service
	stopped.Store = s
	if _, err := stopped.Import(ctx, eve, "acme", []byte(file), false); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return s.left.Load() <= 0
}

// smallFiles are files of thirty rows, small enough to be cut at every
// commit: people with relations, families who share a mailbox, and companies
// after them; then other emails, names, relations and main contacts.
func smallFiles() (before, after string) {
	var one, two strings.Builder
	one.WriteString(header)
	two.WriteString(header)
	for i := range 24 {
		email := fmt.Sprintf("ana%d@example.com", i)
		if i%3 == 0 {
			email = fmt.Sprintf("family%d@example.com", i/6)
		}
		mark, last, kind, later := "", "Garcia", "Employee", email
		if i < 12 {
			mark = "Y"
		}
		line := func(b *strings.Builder, last, email, kind, mark string) {
			fmt.Fprintf(b, "%d,Individual,Ana,%s%d,,%s,Prospect,2012-07-20,%d,%s,%s,,\n", 1000+i, last, i, email, 9000+i%6, kind, mark)
		}
		if i != 13 { // one who joins later
			line(&one, last, email, kind, mark)
		}
		switch i % 4 {
		case 0:
			later = fmt.Sprintf("new%d@example.org", i/8) // shared, too
		case 1:
			last = "Lopez"
		case 2:
			kind, mark = "Former Employee", ""
		}
		line(&two, last, later, kind, mark)
	}
	for i := range 6 {
		for _, b := range []*strings.Builder{&one, &two} {
			fmt.Fprintf(b, "%d,Organization,,,Company %d,office@example.com,Active,,,,,,\n", 9000+i, i)
		}
	}
	return one.String(), two.String()
}

// Cut at every single commit, before it is made and after, an import that is
// posted again ends as one that ran through: the same profiles, rows, trails,
// notices, and the same logins ended.
func TestImportInterruptedEverywhere(t *testing.T) {
	one, two := smallFiles()
	// run loads both files, the first one or the second one cut before; n is 0
	// for neither.
	run := func(cutFirst bool, n int64, after bool) (dump map[string]string, did bool) {
		h := quick(t)
		if n > 0 && cutFirst {
			did = h.cut(t, one, n, after)
		}
		if answer := h.load(t, one, false); !answer.Complete || answer.Refused != 0 {
			t.Fatalf("the first file: %+v", answer.Errors)
		}
		for i := range 24 {
			if id := profile.ID(fmt.Sprint(1000 + i)); i%2 == 0 {
				h.login(t, id, fmt.Sprint("name", i))
			}
		}
		epochs := h.all(t)
		h.pass(time.Second)
		if n > 0 && !cutFirst {
			did = h.cut(t, two, n, after)
		}
		h.load(t, two, false)
		dump = h.dump(t)
		for id, p := range h.all(t) {
			dump["login ended "+string(id)] = fmt.Sprint(epochs[id] == nil || epochs[id].Epoch != p.Epoch)
		}
		for _, b := range h.singles(t, noon.AddDate(1, 0, 0)) {
			to := fmt.Sprintf("notices to %s at %q", b.Entries[0].Recipients[0].Profile, b.Entries[0].Address) // "" is the present one
			dump[to] += "one "
		}
		return dump, did
	}
	want, _ := run(true, 0, false)
	notices := 0
	for key := range want {
		if strings.HasPrefix(key, "notices to ") {
			notices++
		}
	}
	if notices != 2*6 {
		t.Fatalf("%d notices for six people with a login and another email", notices)
	}
	for _, cutFirst := range []bool{true, false} {
		cuts := 0
		for _, after := range []bool{false, true} {
			for n := int64(1); ; n++ {
				got, did := run(cutFirst, n, after)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("cut at commit %d, after it %t, of the first file %t (-whole +cut):\n%s", n, after, cutFirst, diff)
				}
				if !did {
					break
				}
				cuts++
			}
		}
		if cuts < 8 {
			t.Errorf("only %d cuts", cuts)
		}
	}
}

// An import that is cut off at any transaction and posted again ends in the
// same store as one that ran through.
func TestImportInterrupted(t *testing.T) {
	one, two := files()
	want := quick(t)
	want.load(t, one, false)
	want.load(t, two, false)
	dump := want.dump(t)

	random := rand.New(rand.NewPCG(1, 2))
	for range 6 {
		h := quick(t)
		for _, file := range []string{one, two} {
			h.cut(t, file, 1+random.Int64N(20), random.IntN(2) == 0)
			if answer := h.load(t, file, false); !answer.Complete {
				t.Fatal("posting again did not complete it")
			}
		}
		if diff := cmp.Diff(dump, h.dump(t)); diff != "" {
			t.Fatalf("interrupted import differs (-whole +cut):\n%s", diff)
		}
	}
}

// An import that runs out of time says so, and posting it until it is complete
// ends in the same store.
func TestImportInParts(t *testing.T) {
	one, two := files()
	want := quick(t)
	want.load(t, one, false)
	want.load(t, two, false)

	h := quick(t)
	h.Budget = 200 * time.Millisecond
	clock := h.Now
	h.Now = func() time.Time { h.pass(20 * time.Millisecond); return clock() }
	parts := 0
	for _, file := range []string{one, two} {
		accepted := 0
		for done := false; !done; parts++ {
			answer := h.load(t, file, false)
			if done = answer.Complete; !done && (answer.Accepted == 0 || !answer.MissingSoFar) {
				t.Fatalf("a part wrote %d rows; missing so far %t", answer.Accepted, answer.MissingSoFar)
			}
			accepted += answer.Accepted
		}
		if accepted == 0 {
			t.Fatal("nothing was accepted")
		}
	}
	if parts < 4 {
		t.Fatalf("%d parts: the budget stopped nothing", parts)
	}
	if diff := cmp.Diff(want.dump(t), h.dump(t)); diff != "" {
		t.Errorf("imported in parts differs (-whole +parts):\n%s", diff)
	}
}

// A relation may point to a row that comes later in the file.
func TestImportForwardRelations(t *testing.T) {
	h := quick(t)
	one, _ := files()
	answer := h.load(t, one, false)
	if answer.Refused != 0 {
		t.Fatalf("refused: %v", answer.Errors)
	}
	for id, p := range h.all(t) {
		if p.Type == profile.Individual && (len(p.Relations) != 1 || p.Relations[0].To < "9000") {
			t.Errorf("profile %s has relations %v", id, p.Relations)
		}
	}
}

func TestImportProgress(t *testing.T) {
	h := quick(t)
	one, _ := files()
	var done []int
	h.Progress = func(n, total int) {
		if total < n || n < 1 {
			t.Errorf("%d of %d", n, total)
		}
		done = append(done, n)
	}
	answer := h.load(t, one, false)
	if !slices.IsSorted(done) || len(done) < 10 || done[len(done)-1] != answer.Accepted {
		t.Errorf("progress %v, accepted %d", done, answer.Accepted)
	}
}

// A changed email in an import ends links, keeps the username, lists the
// profile, and tells both addresses, behind single mails (H5, H5b).
func TestImportChangesEmail(t *testing.T) {
	h := quick(t)
	h.create(t, person("1", "Garcia", "old@example.com"))
	h.create(t, person("2", "Lopez", "lopez@example.com"))
	h.create(t, person("3", "Ruiz", "ruiz@example.com"))
	h.login(t, "1", "old@example.com")
	h.login(t, "3", "rr")
	epoch := h.profile(t, "1").Epoch
	h.pass(time.Second)
	file := header + "1,Individual,Ana,Garcia,,new@example.org,Active,,,,,,\n2,Individual,Ana,Lopez,,lopez@example.org,Active,,,,,,\n3,Individual,Ana,Ruiz,, RUIZ@example.com ,Active,,,,,,\n"

	checked := h.load(t, file, true)
	answer := h.load(t, file, false)
	for _, a := range []*directory.Imported{checked, answer} {
		if a.Updated != 2 || a.Unchanged != 1 || join(a.UsernameStays) != "1" || a.UsernameStaysTotal != 1 {
			t.Errorf("updated %d, unchanged %d, username stays %v", a.Updated, a.Unchanged, a.UsernameStays)
		}
	}
	p := h.profile(t, "1")
	if p.Username != "old@example.com" || p.Epoch == epoch || p.Email != "new@example.org" || p.CredentialVersion != 1 {
		t.Errorf("after the import: %+v", p)
	}
	if early := h.singles(t, h.Now().Add(59*time.Second)); len(early) != 0 || len(h.bells.rung) != 0 {
		t.Errorf("%d notices are due at once, %d bells", len(early), len(h.bells.rung))
	}
	var told []string
	for _, b := range h.singles(t, h.Now().Add(time.Minute)) {
		if b.Kind != mailing.KindNotice || len(b.Entries) != 1 || !slices.Equal(b.Single.Notice.Changes, []message.Change{message.EmailChanged}) {
			t.Errorf("notice %+v", b)
		}
		told = append(told, string(b.Entries[0].Recipients[0].Profile)+" "+b.Entries[0].Address)
	}
	slices.Sort(told)
	if diff := cmp.Diff([]string{"1 ", "1 old@example.com"}, told); diff != "" {
		t.Errorf("notices:\n%s", diff)
	}
	entry := h.trail(t, "1")[0]
	if entry.Kind != activity.EmailChanged || !entry.Quiet || entry.Detail["old"] != "o***@example.com" || entry.Detail["by"] != "import" {
		t.Errorf("activity %+v", entry)
	}
}

func TestImportCheckWritesNothing(t *testing.T) {
	h := quick(t)
	one, two := files()
	h.load(t, one, false)
	before, runs := h.dump(t), len(h.day(t))
	answer := h.load(t, two, true)
	if diff := cmp.Diff(before, h.dump(t)); diff != "" || len(h.day(t)) != runs {
		t.Errorf("a check wrote something:\n%s", diff)
	}

	// The effects are what the import then does.
	a := settingsOf(t, h).Access
	rights := func() map[profile.ID]bool {
		all, rights := h.all(t), map[profile.ID]bool{}
		for id, p := range all {
			rights[id] = a.MayEnter(p, profile.Targets(all)).Allowed
		}
		return rights
	}
	had, epochs := rights(), h.all(t)
	written := h.load(t, two, false)
	if written.Effects != nil {
		t.Error("an import that writes tells effects")
	}
	var gain, lose, ended []profile.ID
	has := rights()
	for id, p := range h.all(t) {
		switch {
		case has[id] && !had[id]:
			gain = append(gain, id)
		case had[id] && !has[id]:
			lose = append(lose, id)
		}
		if epochs[id] != nil && epochs[id].Epoch != p.Epoch {
			ended = append(ended, id)
		}
	}
	told := func(effects []profile.AccessEffect) (ids []profile.ID) {
		for _, e := range effects {
			ids = append(ids, e.Profile)
		}
		return ids
	}
	for _, x := range []struct {
		what      string
		got, want []profile.ID
	}{
		{"gain", told(answer.Effects.Gain), gain}, {"lose", told(answer.Effects.Lose), lose}, {"links end", answer.Effects.LinksEnd, ended},
	} {
		slices.Sort(x.got)
		slices.Sort(x.want)
		if len(x.want) == 0 || !slices.Equal(x.got, x.want) {
			t.Errorf("%s: told %v, happened %v", x.what, x.got, x.want)
		}
	}
	if checked, done := answer.Summary, written.Summary; checked.Created != done.Created || checked.Updated != done.Updated || checked.Unchanged != done.Unchanged || checked.MissingTotal != done.MissingTotal {
		t.Errorf("checked %+v, written %+v", checked, done)
	}
}

func (h *house) day(t testing.TB) []activity.Entry {
	t.Helper()
	entries, _, err := h.store.DayActivity(t.Context(), "acme", noon, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestImportMissing(t *testing.T) {
	h := quick(t)
	for _, id := range []string{"7", "8", "9"} {
		h.create(t, person(id, "Garcia"+id, id+"@example.com"))
	}
	answer := h.load(t, header+"8,Individual,Ana,Garcia8,,8@example.com,Active,,,,,,\n10,Individual,,,,,Active,,,,,,\n", false)
	if join(answer.Missing) != "7 9" || answer.MissingTotal != 2 || answer.Unchanged != 1 || answer.Refused != 1 {
		t.Errorf("missing %v of %d, unchanged %d, refused %d", answer.Missing, answer.MissingTotal, answer.Unchanged, answer.Refused)
	}
	if len(h.all(t)) != 3 {
		t.Error("an import removed or added somebody")
	}
}

// Rows that touch as many keys as a row can still fit into the transactions of
// the store, which takes 100 keys.
func TestImportWidestRows(t *testing.T) {
	h := quick(t)
	file := func(word string) string {
		var b strings.Builder
		b.WriteString(header)
		for i := range 30 {
			name := func(n int) string {
				var words []string
				for k := range n {
					words = append(words, fmt.Sprintf("%s%d%c", word, i, 'a'+k))
				}
				return strings.Join(words, " ")
			}
			fmt.Fprintf(&b, "%d,Individual,%s,%s,%s,%s%d@BÜCHER.example.com,Active,,%d,Kind %s,,,\n", i, name(5), name(4), name(6), word, i, 500+i, word)
			fmt.Fprintf(&b, "%d,Organization,,,%s,,Active,,,,,,\n", 500+i, name(9))
		}
		return b.String()
	}
	for _, word := range []string{"x", "y"} {
		h.load(t, file(word), true)
		if answer := h.load(t, file(word), false); !answer.Complete || answer.Accepted != 60 {
			t.Errorf("accepted %d: %v", answer.Accepted, answer.Errors)
		}
		for id := range h.all(t) {
			if id < "500" {
				h.login(t, id, word+string(id)+"@xn--bcher-kva.example.com") // notices, too
			}
		}
	}
}

func TestImportRefusesFile(t *testing.T) {
	h := quick(t)
	for _, x := range []struct{ file, code string }{
		{"", "csv_empty"},
		{"Name,Email\nAna,ana@example.com\n", "csv_column_unknown"},
		{"Profile ID,Profile Type\n1,Individual\n", "csv_column_missing"},
		{"Profile ID\xff", "csv_encoding"},
		{header + "\"1,Individual\n2,Individual\n", "csv_quotes"},
		{strings.Repeat("x", profile.MaxFile+1), "csv_too_large"},
	} {
		_, err := h.Import(t.Context(), eve, "acme", []byte(x.file), false)
		wantCode(t, err, x.code)
	}
	if len(h.day(t)) != 0 {
		t.Error("a refused file left a trace")
	}
	_, err := h.Import(t.Context(), eve, "nobody", members(t), false)
	wantCode(t, err, store.NoOrganization.Code)
}

// What staff change by hand while an import is written is not overwritten:
// the row is applied to what is stored by then.
func TestImportBesideEdit(t *testing.T) {
	h := quick(t)
	h.create(t, company("9", "Company"))
	h.create(t, person("1", "Garcia", "old@example.com"))
	s := &meddling{Store: h.Service.Store}
	s.meddle = func() {
		_, err := h.Edit(t.Context(), eve, "acme", "1", 1, profile.Fields{DoNotEmail: ptr(true), Relations: &[]profile.Relation{{To: "9", Kind: "Owner"}}})
		if err != nil {
			t.Error(err)
		}
	}
	beside := *h.Service
	beside.Store = s
	answer, err := beside.Import(t.Context(), eve, "acme", []byte("Profile ID,Profile Type,Last Name,Membership Status\n1,Individual,Lopez,Lapsed\n"), false)
	if err != nil || answer.Updated != 1 {
		t.Fatalf("updated %d, %v", answer.Updated, err)
	}
	p := h.profile(t, "1")
	if p.LastName != "Lopez" || p.Status != profile.Lapsed || !p.DoNotEmail || len(p.Relations) != 1 || p.Version != 3 {
		t.Errorf("after both: %+v", p)
	}
}

// meddling does something else before the first transaction.
type meddling struct {
	directory.Store
	meddle func()
	did    atomic.Bool
}

func (m *meddling) Update(ctx context.Context, fn func(directory.Tx) error) error {
	if !m.did.Swap(true) {
		m.meddle()
	}
	return m.Store.Update(ctx, fn)
}

func BenchmarkImportOfMembers(b *testing.B) {
	file, rows := members(b), 0
	for b.Loop() {
		b.StopTimer()
		h := newHouse(b, embedded.Options{})
		b.StartTimer()
		answer, err := h.Import(b.Context(), eve, "acme", file, false)
		if err != nil || !answer.Complete {
			b.Fatal(err)
		}
		rows += answer.Accepted + answer.Refused
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}
