package browser_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const importHeader = "Profile ID,Profile Type,First Name,Last Name,Organization Name,Email,Membership Status,Member Since,Related To,Relationship,Main Contact,Can Edit,Do Not Email\n"

// upload chooses a file of this content.
func (p *page) upload(name, content string) {
	p.Helper()
	file := filepath.Join(p.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		p.Fatal(err)
	}
	p.waitFor("the file field", `Boolean(document.querySelector("input[type=file]"))`)
	p.do(chromedp.SetUploadFiles("input[type=file]", []string{file}))
}

// slow lets the answer to the next request of a method, whose address ends with
// part, wait until release is called; edit, if given, changes the answer. It
// returns what waits until the API has answered.
func (p *page) slow(method, part string, edit func(string) string) (answered, release func()) {
	p.Helper()
	there, go_ := make(chan struct{}), make(chan struct{})
	taken := false
	err := chromedp.Listen(p.ctx, func(event any) {
		e, ok := event.(*fetch.EventRequestPaused)
		if !ok {
			return
		}
		mine := !taken && e.Request.Method == method && strings.HasSuffix(e.Request.URL, part)
		taken = taken || mine
		go func() {
			if !mine {
				_, _ = chromedp.Call(p.ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: e.RequestID})
				return
			}
			close(there)
			<-go_
			if edit == nil {
				_, _ = chromedp.Call(p.ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: e.RequestID})
			} else if got, err := chromedp.Call(p.ctx, fetch.GetResponseBody, fetch.GetResponseBodyParams{RequestID: e.RequestID}); err == nil {
				_, _ = chromedp.Call(p.ctx, fetch.FulfillRequest, fetch.FulfillRequestParams{
					RequestID: e.RequestID, ResponseCode: e.ResponseStatusCode, ResponseHeaders: e.ResponseHeaders, Body: []byte(edit(string(got.Body))),
				})
			}
			_, _ = chromedp.Call(p.ctx, fetch.Disable, cdp.Empty{})
		}()
	})
	if err != nil {
		p.Fatal(err)
	}
	if _, err := chromedp.Call(p.ctx, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "*/api/*", RequestStage: fetch.RequestStageResponse}}}); err != nil {
		p.Fatal(err)
	}
	return func() {
		p.Helper()
		select {
		case <-there:
		case <-time.After(patience):
			p.Fatalf("no %s of %s was asked for", method, part)
		}
	}, func() { close(go_) }
}

// stored is a profile as the API has it, nil where there is none.
func (w *world) stored(id string) doc {
	w.Helper()
	text, status := w.send("GET", "/api/profiles/"+id, nil)
	if status == 404 {
		return nil
	}
	var d doc
	if err := json.Unmarshal(text, &d); err != nil {
		w.Fatalf("profile %s: %d, %v", id, status, err)
	}
	return d
}

// association is a file of n rows: companies with four people each.
func association(n int) string {
	var b strings.Builder
	b.WriteString(importHeader)
	for i := range n {
		id := 100_000 + i
		if company := id - i%5; id == company {
			fmt.Fprintf(&b, "%d,Organization,,,\"Company %d, Ltd\",office%d@example.org,Active,2011-03-01,,,,,\n", id, id, id)
		} else {
			fmt.Fprintf(&b, "%d,Individual,Person,Number%d,\"Company %d, Ltd\",person%d@example.org,Non-member,,%d,Employee,,,\n", id, id, company, id, company)
		}
	}
	return b.String()
}

// The whole way of the weekly file: 5,000 rows chosen, matched, checked,
// imported, and what is left to do (issue 5, point 4).
func TestImport(t *testing.T) {
	w := start(t, nil)
	p := w.signInAt("Manager", "#/imports")
	p.see("1. Choose a file")
	p.both()
	p.shot("import-choose")
	p.download(func() {
		p.click("What the file may hold")
		p.both()
		p.click("Download an example")
	}, "Profile ID,Profile Type", "Harbour Bakery")

	begun := time.Now()
	p.upload("members.csv", association(5000)+
		"900001,Robot,Rita,Wrong,,rita@example.org,Active,,,,,,\n"+
		"900002,Individual,Bo,Lost,,bo.lost@example.org,Non-member,,777777,Employee,,,\n"+
		"900003,Individual,Mia,Malformed,,not-an-address,Active,,,,,,\n")
	p.see("The first rows as they will be read")
	p.see("members.csv: 5,003 rows, 13 columns, separated by commas.")
	p.see("Company 100000, Ltd")
	p.waitFor("the keyboard at the step", `document.activeElement.textContent === "2. Match the columns"`)
	t.Logf("5,003 rows are read and shown after %v", time.Since(begun).Round(time.Millisecond))
	p.both()
	p.shot("import-match")

	begun = time.Now()
	p.tab("Check the file")
	p.keys(kb.Enter)
	p.see("Nothing is saved yet.")
	t.Logf("checked after %v", time.Since(begun).Round(time.Millisecond))
	p.see("2 rows refused")
	p.see("Profile Type: Robot")
	p.see("There is no profile 777777")
	p.see("900002 · Individual · Bo · Lost")
	p.see("5,001 profiles gain access")
	p.see("1 warning")
	p.see("22 profiles not in the file")
	p.see("Harbour Bakery (201)")
	p.both()
	p.shot("import-check")
	if w.stored("100000") != nil || w.stored("900003") != nil {
		t.Fatal("the check has stored something")
	}

	begun = time.Now()
	p.tab("Import 5,001 rows")
	p.keys(kb.Enter)
	p.see("The import is finished, and some rows were refused")
	t.Logf("imported after %v", time.Since(begun).Round(time.Millisecond))
	p.see("5,001 new, 0 changed, 0 as they were, 2 refused.")
	p.both()
	p.shot("import-result")
	if got := w.stored("104999"); got["lastName"] != "Number104999" || got["relations"].([]any)[0].(map[string]any)["to"] != "104995" {
		t.Errorf("stored is %v", got)
	}

	p.download(func() { p.click("Download the missing profiles") }, "Profile ID,Profile Type,Name", "201,Company,Harbour Bakery", "Active")
	p.click("Show them in the Profile Selector")
	p.see("A list of 22 profiles")
	p.open("#/imports") // what was done is still there
	p.see("5,001 new, 0 changed, 0 as they were, 2 refused.")
	p.click("Send Email")
	p.waitFor("the way to the mailing", `location.hash === "#/mailings/new?login=no_password&mayEnter=true"`)

	// The same file next week: nothing to do.
	p.open("#/imports")
	p.click("Import another file")
	p.upload("members.csv", association(5000))
	p.see("The first rows as they will be read")
	p.click("Check the file")
	p.see("There is nothing to save")
	p.see("23 profiles not in the file")
	if p.has("/^Import [0-9]") {
		t.Error("an import is offered that would do nothing")
	}
}

// Odd names of columns are recognised, or chosen and remembered; text of
// Windows is read and said to be; and markup in a file is text.
func TestImportMatchesColumns(t *testing.T) {
	w := begin(t)
	p := w.signInAt("Manager", "#/imports")
	file := "Member No.; Category ;Given name;SURNAME;Company;E-Mail;Status;Notes;\r\n" +
		"im-1;Individual;Jos\xe9;Mu\xf1oz;;jose.im1@example.org;Active;met <b>once</b>;\r\n" +
		"im-2;Individual;<img src=x onerror=alert(1)>;\"{{.Name}} \"\"; drop\";;im2@example.org;Active;;\r\n"
	p.upload("export.csv", file)
	p.see("It was read as Windows text (windows-1252).")
	p.see("separated by semicolons")
	p.see("“Profile Type” has no column yet.")
	for label, want := range map[string]string{
		"Member No. becomes": "Profile ID", "Given name becomes": "First Name", "SURNAME becomes": "Last Name", "Company becomes": "Organization Name",
		"E-Mail becomes": "Email", "Status becomes": "Membership Status", "Notes becomes": "", "Category becomes": "",
	} {
		if got := p.field(label); got != want {
			t.Errorf("%s %q, want %q", label, got, want)
		}
	}
	p.see("Muñoz")
	p.see("<img src=x onerror=alert(1)>")
	p.see("Left out: Category and Notes.")
	p.both()
	p.waitFor("the check to be off", `[...document.querySelectorAll("button")].find((b) => b.textContent === "Check the file").disabled`)

	p.choose("Category becomes", "Email")
	p.see("Two columns become “Email”.")
	p.axe()
	p.choose("Category becomes", "Main Contact")
	p.see("“Profile Type”, “Related To”, and “Relationship” have no column yet.")
	p.choose("Category becomes", "Profile Type (required)")
	p.gone("has no column yet")
	p.click("Check the file")
	p.see("José Muñoz (im-1)")
	p.see("<img src=x onerror=alert(1)> {{.Name}} \"; drop")
	p.both()

	// A step that was done can be opened again, and what follows is undone.
	p.click("Open: Match the columns")
	p.choose("Company becomes", "Leave out")
	if p.has("Open: Check") {
		t.Error("the check of another matching is still offered")
	}
	p.click("Check the file")
	p.click("Import 2 rows")
	p.see("The import is finished")
	if got := w.stored("im-1"); got["firstName"] != "José" || got["lastName"] != "Muñoz" {
		t.Errorf("stored is %v", got)
	}
	if got := w.stored("im-2"); got["firstName"] != "<img src=x onerror=alert(1)>" || got["lastName"] != `{{.Name}} "; drop` {
		t.Errorf("stored is %v", got)
	}

	// The next file with these columns.
	p.click("Import another file")
	p.upload("next.csv", "\uFEFF"+strings.NewReplacer("\xe9", "é", "\xf1", "ñ").Replace(file))
	p.see("Matched as you did last time")
	if got := p.field("Category becomes"); got != "Profile Type" {
		t.Errorf("Category becomes %q", got)
	}
	p.both()
	if got := value[string](p, `localStorage.getItem("import.columns")`); strings.Contains(got, "Jos") || !strings.Contains(got, "SURNAME") {
		t.Errorf("remembered is %s", got)
	}
}

// Before anything is saved, staff see what it does to addresses, links,
// usernames and access, and which rows are refused; those they download, mend
// and import again.
func TestImportTellsEffects(t *testing.T) {
	w := start(t, nil)
	w.api("POST", "/api/profile-imports", importHeader+
		"c1,Organization,,,Corner Shop,shop@example.org,Active,,,,,,\n"+
		"p1,Individual,Lea,Loses,Corner Shop,lea@example.org,Non-member,,c1,Employee,,,\n"+
		"p2,Individual,Uma,Username,,uma@example.org,Active,,,,,,\n")
	w.api("PUT", "/api/profiles/p2/credentials", doc{"username": "uma@example.org", "password": "four plain unrelated words"}, "If-Match", w.version("/api/profiles/p2/credentials"))

	p := w.signInAt("Front desk", "#/imports")
	p.upload("week.csv", strings.ReplaceAll(importHeader, ",", ";")+
		"c1;Organization;;;Corner Shop;shop@example.org;Dropped;;;;;;\n"+
		"p1;Individual;Lea;Loses;Corner Shop;lea@example.org;Non-member;;c1;Employee;;;\n"+
		"\n"+
		"p2;Individual;Uma;Username;;uma.new@example.org;Active;;;;;;\n"+
		"p3;Individual;Gus;Gains;;gus@example.org;Active;;;;;;\n"+
		"p4;Individual;Ann;Short;;ann@example.org\n"+
		"p5;Individual;-Ida;=1+1;\"One; two\";ida@example.org;Gold;;;;;;\n"+
		"p3;Individual;Gus;Twice;;gus@example.org;Active;;;;;;\n")
	p.see("The first rows as they will be read")
	p.click("Check the file")
	p.see("3 rows refused")
	p.see("The row has 6 cells, the first row has 13.")
	p.see("Membership Status: Gold")
	p.see("Profile ID p3 stands in row 6 already.")
	p.see("2 profiles lose access")
	p.see("Lea Loses (p1) the member it hangs on")
	p.see("Corner Shop (c1) is no member, and related to none")
	p.see("1 profile gains access")
	p.see("Gus Gains (p3) New is a member")
	p.see("1 address changes")
	p.see("uma@example.org uma.new@example.org Links end Username stays")
	p.see("1 profile keeps the old address as username.")
	p.both()
	p.shot("import-effects")
	for id, want := range map[string]string{"c1": "active", "p2": "active"} {
		if got := w.stored(id); got["status"] != want || got["email"] == "uma.new@example.org" {
			t.Errorf("the check stored %v", got)
		}
	}
	if w.stored("p3") != nil {
		t.Error("the check stored p3")
	}

	// A look at a profile, and back.
	p.click("Lea Loses (p1)")
	p.waitFor("the profile", `location.hash.startsWith("#/profiles/p1")`)
	value[bool](p, `(history.back(), true)`)
	p.see("2 profiles lose access")

	refused := p.download(func() { p.click("Download the refused rows") })
	want := "\uFEFFWhy;" + strings.ReplaceAll(importHeader, ",", ";")
	if !strings.HasPrefix("\uFEFF"+strings.ReplaceAll(refused, "\r", ""), want) {
		t.Errorf("the refused rows begin %.300q", refused)
	}
	for _, line := range []string{
		"\"The row has 6 cells, the first row has 13. Please look for a separator too many or too few.\";p4;Individual;Ann;Short;;ann@example.org\r\n",
		"p5;Individual;'-Ida;'=1+1;\"One; two\";ida@example.org;Gold;;;;;;\r\n",
		"p3;Individual;Gus;Twice;;gus@example.org;Active;;;;;;\r\n",
	} {
		if !strings.Contains(refused, line) {
			t.Errorf("the refused rows lack %q: %s", line, refused)
		}
	}

	p.click("Import 3 rows")
	p.see("1 new, 2 changed, 1 as they were, 3 refused.")
	if p.has("Send Email") {
		t.Error("the front desk is offered to send a mailing")
	}
	p.both()
	if got := w.stored("p2"); got["email"] != "uma.new@example.org" || got["username"] != "uma@example.org" {
		t.Errorf("stored is %v", got)
	}

	// Mended, it goes in as it was typed, and nobody counts as missing.
	mended := strings.NewReplacer("ann@example.org", "ann@example.org;Active;;;;;;", ";Gold;", ";Active;", ";p3;", ";p6;").Replace(refused)
	p.click("Import another file")
	p.upload("week-refused.csv", "\uFEFF"+mended)
	p.see("This is a file of refused rows that you downloaded here.")
	p.both()
	p.click("Check the file")
	p.see("New 3 Changed 0 As stored 0")
	p.click("Import 3 rows")
	p.see("3 new, 0 changed, 0 as they were, 0 refused.")
	if strings.Contains(value[string](p, reading), "not in the file") {
		t.Error("a file of mended rows says who is missing from it")
	}
	if got := w.stored("p5"); got["firstName"] != "-Ida" || got["lastName"] != "=1+1" || got["organizationName"] != "One; two" {
		t.Errorf("stored is %v", got)
	}
}

// A lost answer, an answer that says that time ran out, a stop in between and
// leaving in the middle: what is saved is recognised, and nothing is done twice.
func TestImportSurvivesALostAnswer(t *testing.T) {
	w := start(t, nil)
	p := w.signInAt("Manager", "#/imports")
	p.upload("members.csv", association(500))
	p.see("The first rows as they will be read")
	p.click("Check the file")
	p.see("Nothing is saved yet.")
	lost := p.lose("POST", "/api/profile-imports")
	p.click("Import 500 rows")
	lost()
	p.see("The answer to a step was lost on its way.")
	p.axe()
	p.see("0 new, 0 changed, 0 as they were, 0 refused.")
	p.see("500 rows of it were found saved afterwards")
	p.both()
	if got := len(w.api("GET", "/api/profiles?limit=1000", nil)["profiles"].([]any)); got != 522 {
		t.Errorf("%d profiles are stored", got)
	}

	// Time runs out after each row: the same is posted until it is complete.
	p = w.signInAt("Manager", "#/imports")
	p.upload("members.csv", association(600))
	p.see("The first rows as they will be read")
	p.click("Check the file")
	p.see("As stored 500")
	answered, release := p.slow("POST", "/api/profile-imports", func(body string) string {
		return strings.NewReplacer(`"complete":true`, `"complete":false`, `"created":100`, `"created":40`, `"accepted":100`, `"accepted":40`).Replace(body)
	})
	p.click("Import 100 rows")
	answered()
	p.see("0 of 600 rows done.")
	p.both()
	p.shot("import-running")
	p.click("Activity")
	p.see("Stop the import?")
	p.axe()
	p.click("Stay here")
	p.click("Stop after this step")
	p.see("Stopping after this step…")
	release()
	p.see("Stopped. What is saved stays saved")
	p.see("540 of 600 rows done.")
	p.both()
	p.click("Activity") // nothing keeps whoever has stopped
	p.see("Who did what")
	p.open("#/imports")
	p.see("Stopped. What is saved stays saved")
	p.click("Go on")
	p.see("The import is finished")
	p.see("40 new, 0 changed, 560 as they were, 0 refused.")

	// The line is down for a while.
	p = w.signInAt("Manager", "#/imports")
	p.upload("members.csv", association(610))
	p.see("The first rows as they will be read")
	p.offline(true)
	p.see("The connection is down.")
	p.click("Check the file")
	p.see("There was no answer.")
	p.both()
	p.offline(false)
	p.click("Try again")
	p.see("Import 10 rows")
	p.offline(true)
	p.see("The connection is down.")
	p.click("Import 10 rows")
	p.see("The import goes on by itself when it is back.")
	p.both()
	p.offline(false)
	p.see("The import is finished")
	if w.stored("100609") == nil {
		t.Error("the last row is not stored")
	}
}

// A file that is too large for one request goes in parts in which families stay
// together, and rows keep their numbers.
func TestImportInParts(t *testing.T) {
	w := start(t, nil)
	long := "not-an-address-" + strings.Repeat("x", 150_000)
	var b strings.Builder
	b.WriteString(importHeader)
	for i := range 40 {
		// Who belongs to whom stands far apart; the company's malformed address is only a warning.
		fmt.Fprintf(&b, "big%d,Individual,Pia,Part%d,,%s,Non-member,,firm%d,Employee,Y,,\n", i, i, long, 39-i)
	}
	for i := range 40 {
		fmt.Fprintf(&b, "firm%d,Organization,,,Firm %d,firm%d@example.org,Active,,,,,,\n", i, i, i)
	}
	b.WriteString("firm3,Organization,,,Firm 3 once more,,Active,,,,,,\n")
	p := w.signInAt("Manager", "#/imports")
	p.upload("large.csv", b.String())
	p.see("large.csv: 81 rows")
	p.click("Check the file")
	p.see("it goes in 2 parts")
	p.see("1 row refused")
	p.see("Profile ID firm3 stands in row 45 already.")
	p.see("80 profiles gain access")
	p.see("40 warnings")
	p.see("22 profiles not in the file")
	p.both()
	p.click("Import 80 rows")
	p.see("The import is finished, and some rows were refused")
	p.see("80 new, 0 changed, 0 as they were, 1 refused.")
	p.see("22 profiles not in the file")
	if got := w.stored("big0"); got == nil || got["relations"].([]any)[0].(map[string]any)["to"] != "firm39" {
		t.Errorf("stored is %v", got)
	}

	// What hangs together and is too large is refused before anything is sent.
	p.click("Import another file")
	p.upload("family.csv", oneFirm(b.String()))
	p.see("The first rows as they will be read")
	p.click("Check the file")
	p.see("hang together through profile firm0")
	p.both()
}

// oneFirm lets everybody belong to firm0.
func oneFirm(file string) string {
	for i := range 40 {
		file = strings.ReplaceAll(file, fmt.Sprintf(",firm%d,Employee", i), ",firm0,Employee")
	}
	return file
}

// What is no file of profiles is refused with what to do about it.
func TestImportRefusesFiles(t *testing.T) {
	w := begin(t)
	p := w.signInAt("Manager", "#/imports")
	for name, c := range map[string]struct{ content, want string }{
		"members.xlsx": {"PK\x03\x04\x14\x00\x06\x00workbook", "This is a workbook, not a CSV file."},
		"picture.csv":  {"GIF89a\x00\x01,\x00\n", "This is not a text file."},
		"empty.csv":    {" \n\n", "The file is empty."},
		"header.csv":   {importHeader + "\n,,,,,,,,,,,,\n", "The file has no rows below the names of its columns."},
		"list.csv":     {"Members of 2026\nAna\nBen\n", "its first row has one column only (“Members of 2026”)"},
		"quotes.csv":   {importHeader + "1,Individual,Ana,\"Open,,,Active,,,,,,\n2,Individual,Ben,\"B\",,,Active,,,,,,\n", "In row 2 a quotation mark opens or closes"},
		"title.csv":    {"Members,of,2026\n" + importHeader, "No row has as many cells as the first row."},
		"large.csv":    {importHeader + strings.Repeat("1,", 11<<20), "The file has 22 MB; the console takes at most 20 MB."},
	} {
		p.upload(name, c.content)
		p.see(c.want)
		if p.has("Check the file") {
			t.Errorf("%s can be checked", name)
		}
	}
	p.both()

	// Files that are dropped on the page.
	drop := func(files string) {
		value[bool](p, `(() => {
			const data = new DataTransfer();
			for (const [name, text] of `+files+`) data.items.add(new File([text], name));
			const event = (type) => document.querySelector("h1").dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
			event("dragover");
			return event("drop") === false;
		})()`)
	}
	drop(`[["a.csv", "x"], ["b.csv", "y"]]`)
	p.see("Please choose one file at a time.")
	drop(`[["dropped.tsv", "sep=\t\nID\tType\tStatus\tName\r\nim-9\tIndividual\tActive\tNil\r\n"]]`)
	p.see("dropped.tsv: 1 row, 4 columns, separated by tabs.")
	p.click("Check the file")
	p.see("No row can be imported.")
	p.see("1 row refused")
	p.both()

	// A role without the permission.
	p = w.signInAt("Viewer", "#/imports")
	p.see("It needs the permission “Edit and import profiles”.")
}
