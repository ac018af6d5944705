package e2e_test

import (
	"bytes"
	"encoding/csv"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/idna"
)

// This file works with members.csv, an association of 5,000. What ought to come
// of it is computed here from the file alone, by the words of the rules.

// listedPerson is a row of the file.
type listedPerson struct {
	row                           int // as a spreadsheet shows it
	id, kind, status, email       string
	relatedTo, relation           string
	mainContact, canEdit, noEmail bool
	name                          string
}

// refusedRows are the rows of members.csv that cannot be taken, and why.
var refusedRows = []string{
	"716 Profile ID id_missing", "1430 Profile ID id_duplicate", "2145 Profile Type type_unknown",
	"2860 Related To relation_unknown", "3576 First Name name_too_long", "4292 Member Since date_invalid",
}

func membersFile(t testing.TB) table {
	t.Helper()
	text, err := os.ReadFile("../../shared/profile/testdata/members.csv")
	if err != nil {
		t.Fatal(err)
	}
	return table(text)
}

// association reads the file: the rows that can be taken by profile ID.
func association(t testing.TB, file table) map[string]listedPerson {
	t.Helper()
	r := csv.NewReader(bytes.NewReader([]byte(file)))
	header, err := r.Read()
	if err != nil {
		t.Fatal(err)
	}
	refused := map[int]bool{}
	for _, line := range refusedRows {
		n, err := strconv.Atoi(strings.Fields(line)[0])
		if err != nil {
			t.Fatal(err)
		}
		refused[n] = true
	}
	all := map[string]listedPerson{}
	lines, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range lines {
		cell := func(column string) string { return strings.TrimSpace(line[slices.Index(header, column)]) }
		p := listedPerson{
			row: i + 2, id: cell("Profile ID"), kind: cell("Profile Type"), status: cell("Membership Status"), email: cell("Email"),
			relatedTo: cell("Related To"), relation: cell("Relationship"),
			mainContact: cell("Main Contact") == "Y", canEdit: cell("Can Edit") == "Y", noEmail: cell("Do Not Email") == "Y",
		}
		if p.name = squeeze(cell("First Name") + " " + cell("Last Name")); p.kind == "Organization" {
			p.name = squeeze(cell("Organization Name"))
		}
		if !refused[p.row] {
			all[p.id] = p
		}
	}
	return all
}

// plausible is an address that has one @ with something around it.
var plausible = regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[^@\s]+$`)

// boxOf is where mail for an address arrives, "" where there is none.
func boxOf(email string) string {
	if !plausible.MatchString(email) {
		return ""
	}
	local, domain, _ := strings.Cut(strings.ToLower(email), "@")
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		domain = ascii
	}
	return local + "@" + domain
}

// allowedIn is the access rule at its default level: members, and whoever is
// related to a member as main contact, employee, owner or spouse.
func allowedIn(p listedPerson, all map[string]listedPerson) bool {
	if p.status == "Active" {
		return true
	}
	target, there := all[p.relatedTo]
	if !there || target.status != "Active" || strings.HasPrefix(p.relation, "Former") {
		return false
	}
	return p.mainContact || slices.Contains([]string{"Employee", "Owner", "Spouse"}, p.relation)
}

// "Import of members.csv": 5,000 are taken, six refused with row, column and
// reason; the weekly second run changes nothing.
func TestImportOfMembers(t *testing.T) {
	w := begin(t)
	file := membersFile(t)
	all := association(t, file)
	fresh := w.api("GET", "/api/profiles/1001", nil).Status == http.StatusNotFound // the first run on this system

	// First the check: it tells everything and writes nothing.
	checked := w.api("POST", "/api/profile-imports?check=true", file).want(http.StatusOK)
	if fresh {
		checked.is("accepted", 5000).is("created", 5000).is("refused", 6)
		w.api("GET", "/api/profiles/1001", nil).refused(http.StatusNotFound, "profile_not_found")
		if n, want := checked.number("effects.gainTotal"), count(all, func(p listedPerson) bool { return allowedIn(p, all) }); n != want {
			t.Errorf("the check says that %d may sign in afterwards, want %d", n, want)
		}
	}

	imported := w.imports(file)
	imported.is("complete", true).is("refused", 6)
	if n := imported.number("accepted") + imported.number("unchanged"); n != len(all) || n != 5000 {
		t.Errorf("%d taken, want %d", n, len(all))
	}
	if fresh {
		imported.is("created", 5000).is("updated", 0).is("accepted", 5000)
	}
	var told []string
	for _, e := range imported.list("errors") {
		told = append(told, e.digits("row")+" "+e.text("column")+" "+e.text("code"))
		if e.text("detail") == "" {
			t.Errorf("refused without a word for people: %s", e.Body)
		}
	}
	if diff := cmp.Diff(refusedRows, told); diff != "" {
		t.Error(diff)
	}
	// Malformed addresses are warnings that cost nobody the profile.
	malformed := map[int]bool{}
	for _, p := range all {
		if p.email != "" && boxOf(p.email) == "" {
			malformed[p.row] = true
		}
	}
	for _, warning := range imported.list("warnings") {
		if warning.text("code") != "email_malformed" || warning.text("column") != "Email" || !malformed[warning.number("row")] {
			t.Errorf("unexpected warning: %s", warning.Body)
		}
	}
	if n := imported.number("warningsTotal"); n != len(malformed) {
		t.Errorf("%d warnings, want %d", n, len(malformed))
	}

	// Relations may point forward, to a row further down: here all of them do.
	company, employee := "f"+unique(), "f"+unique()
	small := table("Profile ID;Profile Type;Last Name;Organization Name;Membership Status;Related To;Relationship;Main Contact\n" +
		employee + ";Individual;Forward;;Non-member;" + company + ";Employee;Y\n" + company + ";Organization;;Forward & Sons;Active;;;\n")
	w.api("POST", "/api/profile-imports", small).want(http.StatusOK).is("created", 2).is("refused", 0)
	w.get("/api/profiles/"+employee).is("relations.0.to", company).is("access.reason", "main_contact").is("access.via", company)
	for id, p := range where(all, func(p listedPerson) bool { return p.row%500 < 2 && p.relatedTo != "" }) {
		r := w.get("/api/profiles/" + id)
		r.is("relations.0.to", p.relatedTo).is("relations.0.kind", p.relation).is("access.allowed", allowedIn(p, all))
	}
	// Names, spaces and capitals are as the file has them.
	w.get("/api/profiles/1011").is("name", "Chloé Đorđević").is("email", "CHLO1011@EXAMPLE.COM").is("status", "active")

	// The weekly run: the same file once more, as a spreadsheet saves it.
	again := w.api("POST", "/api/profile-imports", "\uFEFF"+file).want(http.StatusOK)
	again.is("complete", true).is("accepted", 0).is("created", 0).is("updated", 0).is("unchanged", 5000).is("refused", 6)
	version := w.get("/api/profiles/1001").number("version")
	if fresh && version != 1 {
		t.Errorf("an import that changed nothing moved the version to %d", version)
	}
	// Who is stored and not in the file is listed, and untouched.
	if !slices.Contains(again.words("missing"), "202") {
		t.Errorf("missing are %v, and the demo's 202 is not among them", again.words("missing"))
	}
	w.get("/api/profiles/202").is("name", "Ana García")

	// The list of those who may enter is the list of the rule.
	var enter []string
	for _, id := range w.listed("mayEnter=true") {
		if _, ok := all[id]; ok {
			enter = append(enter, id)
		}
	}
	want := slices.Sorted(maps.Keys(maps.Collect(where(all, func(p listedPerson) bool { return allowedIn(p, all) }))))
	if diff := cmp.Diff(want, sorted(enter)); diff != "" {
		t.Errorf("who may enter (-want +got):\n%s", clip([]byte(diff)))
	}
}

// "A mailing with the Portal Login Credentials Link to 'everyone allowed in,
// without a password' gives every eligible profile exactly one link that opens
// for that profile and no other, and the outcomes, skipped ones included, add
// up to the audience."
func TestMailingToEveryoneWithoutAPassword(t *testing.T) {
	w := begin(t)
	file := membersFile(t)
	all := association(t, file)
	if w.api("GET", "/api/profiles/1001", nil).Status == http.StatusNotFound {
		w.imports(file).is("complete", true).is("accepted", len(all))
	}

	// What must come of it, from the file.
	eligible, wantSkipped := map[string]listedPerson{}, map[string]string{}
	at := map[string][]string{} // profiles by mailbox
	for id, p := range where(all, func(p listedPerson) bool { return allowedIn(p, all) }) {
		switch {
		case boxOf(p.email) == "":
			wantSkipped[id] = "no_email"
		case p.noEmail:
			wantSkipped[id] = "do_not_email"
		default:
			eligible[id] = p
			at[boxOf(p.email)] = append(at[boxOf(p.email)], id)
		}
	}

	// The audience that comes with Memberkey, and its message.
	saved := w.get("/api/audiences/may-sign-in-without-password")
	message := w.get("/api/templates/create-your-login")
	c := w.compose(doc{"subject": message.text("subject"), "html": message.text("html"), "audience": saved.at("filter")})
	counted := c.count()
	// Look at it, test it, send it.
	someone := slices.Sorted(maps.Keys(eligible))[0]
	preview := c.preview(someone)
	preview.says(eligible[someone].name)
	if !strings.HasSuffix(preview.link(), "/set-password/sample") {
		t.Errorf("the preview has a live link: %s", preview.link())
	}
	office := w.get("/api/organization").words("testAddresses")[0]
	w.taken[office] = len(w.mails(office))
	w.api("POST", c.path("/test"), doc{"profile": someone, "addresses": []string{office}}).want(http.StatusAccepted)
	test := w.next(office)
	if test.HTML != preview.HTML || test.Text != preview.Text {
		t.Error("the test is not what the preview shows")
	}
	sent := w.api("POST", c.path("/send"), doc{"version": counted.number("version")}).want(http.StatusOK)
	c.addsUp(sent)
	done := c.done()
	done.is("state", "done").is("report.profiles", counted.number("profiles")).is("report.mails", counted.number("mails"))

	// Every outcome is the one that was to be expected.
	outcomes := c.recipients()
	if len(outcomes) != done.number("report.profiles") {
		t.Errorf("the report lists %d profiles, the audience is %d", len(outcomes), done.number("report.profiles"))
	}
	for id, p := range all {
		got, listed := outcomes[id]
		switch reason := wantSkipped[id]; {
		case eligible[id].id != "" && (got.Outcome != "delivered" || boxOf(got.Address) != boxOf(p.email)):
			t.Errorf("%s: %+v, want delivered to %s", id, got, p.email)
		case reason != "" && (got.Outcome != "skipped" || got.Reason != reason):
			t.Errorf("%s: %+v, want skipped, %s", id, got, reason)
		case eligible[id].id == "" && reason == "" && listed:
			t.Errorf("%s may not enter, and is listed: %+v", id, got)
		}
	}

	skipped := map[string]int{}
	for _, r := range outcomes {
		if r.Outcome == "skipped" {
			skipped[r.Reason]++
		}
	}
	for reason, n := range skipped { // the numbers before Send were these
		if got := counted.number("skipped." + reason); got != n || n < tally(wantSkipped)[reason] {
			t.Errorf("%d were counted as skipped for %s, %d are, %d of the file", got, reason, n, tally(wantSkipped)[reason])
		}
	}

	// One mail a mailbox, in it one link for each of its profiles, none twice.
	mails := w.mailsOf(url.Values{"mailing": {c.ID}})
	if len(mails) != done.number("report.mails") {
		t.Errorf("%d mails came out, the report says %d", len(mails), done.number("report.mails"))
	}
	owner := map[string]string{} // mailbox by link
	got := map[string]int{}
	for _, m := range mails {
		box := boxOf(m.To)
		for _, l := range m.links() {
			if owner[l] != "" {
				t.Errorf("a link to %s went to %s, too", m.To, owner[l])
			}
			owner[l] = box
			got[box]++
		}
	}
	for box, ids := range at {
		if got[box] != len(ids) {
			t.Errorf("%s, of profiles %v, got %d links", box, ids, got[box])
		}
	}

	// Each link opens for its profile and no other: those of shared mailboxes,
	// and of the others one in nine; which profile a lone link in a lone mail
	// is for the mailbox tells.
	type opened struct{ id, box, username string }
	results := make(chan opened)
	links := make(chan string)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for l := range links {
				b := w.browser().open(l)
				id := ""
				if match := whose.FindStringSubmatch(b.Text()); b.Status == http.StatusOK && match != nil {
					id = match[1]
				}
				name, _ := b.Value("username")
				results <- opened{id, owner[l], name}
			}
		})
	}
	go func() {
		for i, l := range keys(owner) {
			if box := owner[l]; len(at[box]) > 1 || i%9 == 0 {
				links <- l
			}
		}
		close(links)
		wg.Wait()
		close(results)
	}()
	times := map[string]int{}
	for o := range results {
		p, ok := eligible[o.id]
		if _, ofFile := at[o.box]; !ofFile {
			continue // of the demo
		}
		if !ok || boxOf(p.email) != o.box {
			t.Errorf("a link that went to %s opens for profile %q", o.box, o.id)
		}
		if o.username != o.box { // nobody has a username yet: each is offered the email
			t.Errorf("profile %s: the page shows the username %q, want %q", o.id, o.username, o.box)
		}
		times[o.id]++
	}
	for id, p := range eligible {
		if shared := len(at[boxOf(p.email)]) > 1; times[id] > 1 || shared && times[id] != 1 {
			t.Errorf("%d links open for profile %s", times[id], id)
		}
	}

	if len(times) < 300 {
		t.Errorf("only %d links were opened", len(times))
	}
	t.Logf("%d mails to %d profiles, %d links opened, skipped %v", len(mails), len(eligible), len(times), tally(wantSkipped))
}

// whose is how a link's page names its profile.
var whose = regexp.MustCompile(`\(profile ([0-9A-Za-z._-]+)\)`)

func where(all map[string]listedPerson, is func(listedPerson) bool) func(func(string, listedPerson) bool) {
	return func(yield func(string, listedPerson) bool) {
		for id, p := range all {
			if is(p) && !yield(id, p) {
				return
			}
		}
	}
}

func count(all map[string]listedPerson, is func(listedPerson) bool) (n int) {
	for range where(all, is) {
		n++
	}
	return n
}

func tally(reasons map[string]string) map[string]int {
	n := map[string]int{}
	for _, reason := range reasons {
		n[reason]++
	}
	return n
}
