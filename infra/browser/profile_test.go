package browser_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// One profile: at a glance, its tabs, and the one Save Profile for all of them.

var runs atomic.Int64

// own makes a name that no other run of a test has.
func own(format string) string { return fmt.Sprintf(format, runs.Add(1)) }

func (w *world) profile(id string) doc { w.Helper(); return w.api("GET", "/api/profiles/"+id, nil) }

// edit is what somebody else does to a profile meanwhile.
func (w *world) edit(id string, fields doc) {
	w.Helper()
	w.api("PATCH", "/api/profiles/"+id, fields, "If-Match", fmt.Sprintf(`"%v"`, w.profile(id)["version"]))
}

// login gives a profile a password, and its email as username.
func (w *world) login(id string) {
	w.Helper()
	version := w.api("GET", "/api/profiles/"+id+"/credentials", nil)["version"]
	w.api("PUT", "/api/profiles/"+id+"/credentials", doc{"password": "balcony-trophy-june-velvet-acorn"}, "If-Match", fmt.Sprintf(`"%v"`, version))
}

// wants holds the stored profile against what it should be.
func (w *world) wants(id string, fields doc) {
	w.Helper()
	stored := w.profile(id)
	for name, want := range fields {
		if fmt.Sprint(stored[name]) != fmt.Sprint(want) {
			w.Errorf("stored %s of profile %s is %v, not %v", name, id, stored[name], want)
		}
	}
}

// refused waits until a field is marked, with a reason tied to it.
func (p *page) refused(label, reason string) {
	p.Helper()
	it := find("field", label, 0)
	p.waitFor(label+" to be refused", fmt.Sprintf(`(() => {
		const el = %s;
		const told = (el?.getAttribute("aria-describedby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent).join(" ");
		return el?.getAttribute("aria-invalid") === "true" && told.includes(%s);
	})()`, it, quoted(reason)))
}

// mark is what stands beside a tab of the profile, such as "not saved".
func (p *page) mark(tab, mark string) {
	p.Helper()
	p.waitFor("the tab "+tab+" to be marked "+quoted(mark), fmt.Sprintf(
		`[...document.querySelectorAll("main .tabs a")].some((a) => a.firstChild.data === %s && (a.querySelector(".mark")?.textContent ?? "") === %s)`, quoted(tab), quoted(mark)))
}

// openTab clicks a tab of the profile; the header has an Activity, too.
func (p *page) openTab(tab string) {
	p.Helper()
	p.waitFor("the tab "+tab, fmt.Sprintf(`(() => {
		const a = [...document.querySelectorAll("main .tabs a")].find((a) => a.firstChild.data === %s);
		a?.setAttribute("data-wanted", "");
		return Boolean(a);
	})()`, quoted(tab)))
	p.clickCSS("main .tabs a[data-wanted]")
	value[bool](p, `(document.querySelector("[data-wanted]")?.removeAttribute("data-wanted"), true)`)
	p.waitFor("the tab "+tab+" to be open", fmt.Sprintf(`document.querySelector("main .tabs a[aria-current]")?.firstChild.data === %s`, quoted(tab)))
}

// Edit Profile opens the profile's tabs, which stand on the left and have
// addresses of their own.
func TestS1EditProfile(t *testing.T) {
	w := begin(t)
	other := w.person(doc{"firstName": "Otto", "email": "together@example.com"})
	id := w.person(doc{"firstName": "Glenda", "lastName": "Glance", "email": "together@example.com", "memberSince": "2019-04-01", "doNotEmail": true,
		"relations": []doc{{"to": "201", "kind": "Employee", "mainContact": false}, {"to": "210", "kind": "Former Owner"}}})
	p := w.signInAt("Administrator", "#/profiles/"+id)
	for _, text := range []string{"Glenda Glance", id, "Active", "1 Apr 2019", "Shared", "Otto", "Do not email", "May they sign in? Yes: is a member", "No login yet", "none yet",
		"Employee: Harbour Bakery (201) Active", "Former Owner: Lighthouse Books & Sons (210) Active Former"} {
		p.see(text)
	}
	if p.has("Save Profile") {
		t.Error("the glance offers to save")
	}
	p.both()
	p.shot("profile")

	p.click("Edit Profile")
	p.see("Save Profile")
	if got, want := p.hash(), "#/profiles/"+id+"/general"; got != want {
		t.Errorf("Edit Profile leads to %s", got)
	}
	if got := p.focused(); !strings.HasPrefix(got, "Glenda Glance") {
		t.Errorf("the keyboard is on %q", got)
	}
	if left := value[bool](p, `document.querySelector("main .tabs").getBoundingClientRect().right <= document.querySelector("#profile-fields").getBoundingClientRect().left`); !left {
		t.Error("the tabs are not on the left")
	}
	if right := value[bool](p, `(() => { const box = [...document.querySelectorAll("main button")].find((b) => b.textContent === "Save Profile").getBoundingClientRect(); return box.top < 250 && box.right > innerWidth - 60; })()`); !right {
		t.Error("Save Profile is not at the upper right")
	}
	p.both()
	p.shot("profile-general")
	for tab, text := range map[string]string{"Related profiles": "This profile is related to", "Web Portal Credentials": "Change Credentials", "Activity": "Profile created"} {
		p.openTab(tab)
		p.see(text)
	}
	p.open("#/profiles/" + id + "/related")
	p.see("Lighthouse Books & Sons")
	p.both()
	p.shot("profile-related")
	p.click("Close")
	p.see("May they sign in?")
	p.click(fmt.Sprintf("Otto %s (%s)", w.profile(other)["lastName"], other))
	p.waitFor("Otto's own page", fmt.Sprintf(`location.hash === "#/profiles/%s"`, other))

	p.open("#/profiles/99887766")
	p.see("There is no profile with this ID")
	p.both()

	v := w.signInAt("Viewer", "#/profiles/"+id)
	v.see("Glenda Glance")
	if v.has("Edit Profile") {
		t.Error("a viewer is offered Edit Profile")
	}
	v.click("Show all details")
	v.see("Your role may look, not edit.")
	v.both()
	v.openTab("Related profiles")
	v.see("Former Owner: Lighthouse Books & Sons (210)")
	v.openTab("Activity")
	v.see("Profile created")
	if v.has("Save Profile") || v.has("Remove") {
		t.Error("a viewer is offered to save")
	}
}

// One Save Profile writes what was typed on all tabs, and stays on the page;
// changing tabs loses nothing; by the keyboard alone.
func TestS3OneSaveForAllTabs(t *testing.T) {
	w := begin(t)
	name := own("Zebra%d Stripes Works")
	company := w.person(doc{"type": "organization", "organizationName": name, "email": ""})
	id := w.person(doc{"firstName": "Tabea", "status": "non-member", "memberSince": "2020-01-02"})
	p := w.signInAt("Administrator", "#/profiles/"+id+"/general")
	p.see("First name")
	p.tab("First name")
	p.keys("Tabita")
	p.mark("General", "not saved")
	for p.focused() != "Related profiles" {
		p.press(kb.Shift, kb.Tab)
	}
	p.keys(kb.Enter)
	p.tab("Add a relation to")
	p.keys(strings.ToLower(name[:len(name)-9]))
	p.see("1 profile found")
	p.axe()
	p.shot("profile-picker")
	p.keys(kb.Enter)
	p.waitFor("the keyboard in the new row", `document.activeElement.labels?.[0]?.textContent.startsWith("Relationship") ?? false`)
	p.keys("Owner")
	p.tab("Main contact")
	p.keys(" ")
	p.mark("Related profiles", "not saved")
	p.see("1 of at most 20 relations.")

	p.openTab("Activity")
	p.see("Profile created")
	p.openTab("General")
	if got := p.field("First name"); got != "Tabita" {
		t.Errorf("First name holds %q after a look at other tabs", got)
	}
	p.click("Close") // to the glance, which belongs to the same profile
	p.see("General and Related profiles: what you typed is not saved yet.")
	p.axe()
	p.click("Go on editing")
	p.see("Membership status")
	p.openTab("Activity")
	p.click("Save Profile") // from any tab
	p.dialog("Save these changes?")
	p.see("First name: from Tabea to Tabita")
	p.see("From now on they may. Yes: is a main contact of a member")
	p.axe()
	p.keys(kb.Tab + kb.Enter) // from the title to the first button
	p.said("Saved.")
	p.mark("General", "")
	p.mark("Related profiles", "")
	w.wants(id, doc{"firstName": "Tabita", "memberSince": "2020-01-02"})
	if got := fmt.Sprint(w.profile(id)["relations"]); !strings.Contains(got, "Owner") || !strings.Contains(got, company) || !strings.Contains(got, "mainContact:true") {
		t.Errorf("stored relations: %s", got)
	}
	if !strings.HasSuffix(p.hash(), "/activity") {
		t.Errorf("saving led to %s", p.hash())
	}
	p.see("Relations: from none to Owner of " + company + ", main contact") // the trail is read anew
	p.see("Changed: First name")

	p.click("Save Profile")
	p.said("There is nothing to save.")
	p.openTab("General")
	p.fill("Last name", "Enterprise")
	p.keys(kb.Enter) // in a field
	p.said("Saved.")
	w.wants(id, doc{"lastName": "Enterprise"})
}

// A date of which the browser knows only a half is not taken for an emptied one.
func TestS3DateHalfTyped(t *testing.T) {
	w := begin(t)
	id := w.person(doc{"memberSince": "2020-01-02"})
	p := w.signInAt("Administrator", "#/profiles/"+id+"/general")
	p.see("Member since")
	p.tab("Member since")
	p.keys(kb.Delete)
	p.fill("First name", "Dora")
	p.openTab("Activity")
	p.click("Save Profile")
	p.refused("Member since", "The date is not complete.")
	p.mark("General", "refused")
	p.axe()
	w.wants(id, doc{"memberSince": "2020-01-02", "firstName": "Pat"})
	p.keys("05")
	p.click("Save Profile")
	p.said("Saved.")
	w.wants(id, doc{"firstName": "Dora"})
	if since := fmt.Sprint(w.profile(id)["memberSince"]); since != "2020-05-02" && since != "2020-01-05" { // the browser's order
		t.Errorf("stored is %s", since)
	}
}

// Whoever goes away with something unsaved is asked, and comes back to what was
// typed; within the profile nobody is asked.
func TestS3UnsavedChangesAreGuarded(t *testing.T) {
	w := begin(t)
	id := w.person(doc{"firstName": "Guard"})
	p := w.signInAt("Front desk", "#/profiles/"+id+"/general")
	p.fill("First name", "Guarded")
	p.open("#/settings")
	p.dialog("Leave without saving?")
	p.see("You have changes that are not saved (General).")
	p.axe()
	p.click("Stay")
	p.waitFor("the address to be the profile's", fmt.Sprintf(`location.hash === "#/profiles/%s/general"`, id))
	if got := p.field("First name"); got != "Guarded" {
		t.Errorf("First name holds %q after staying", got)
	}
	p.open("#/settings")
	p.dialog("Leave without saving?")
	p.click("Leave without saving")
	p.see("Access level")
	p.open("#/profiles/" + id + "/general")
	if got := p.field("First name"); got != "Guard" {
		t.Errorf("First name holds %q after leaving", got)
	}
	w.wants(id, doc{"firstName": "Guard"})
}

// What is refused stays open, each reason at its field, its tab marked, and the
// keyboard on the first of them.
func TestS3RefusedStaysOpen(t *testing.T) {
	w := begin(t)
	full := w.person(doc{"type": "organization", "organizationName": "Full House", "email": ""})
	for range 2 {
		w.person(doc{"status": "non-member", "relations": []doc{{"to": full, "kind": "Owner", "mainContact": true}}})
	}
	id := w.person(doc{"relations": []doc{{"to": full, "kind": "Employee"}, {"to": "201", "kind": "Employee"}}})
	p := w.signInAt("Manager", "#/profiles/"+id+"/related")
	p.see("Full House")
	p.fill("Relationship", "")
	p.openTab("General")
	p.fill("First name", "")
	p.fill("Last name", "")
	p.fill("Email", "no address")
	p.click("Save Profile")
	p.refused("Last name", "A person needs a first or a last name.")
	p.refused("Email", "has no @ in it")
	p.mark("General", "refused")
	p.mark("Related profiles", "refused")
	p.see("The profile was not saved")
	if got := p.focused(); got != "Last name" {
		t.Errorf("the keyboard is on %q", got)
	}
	p.both()
	p.shot("profile-refused")
	p.fill("Last name", "Later")
	p.fill("Email", "later@example.com")
	p.mark("General", "not saved")
	p.openTab("Related profiles")
	p.refused("Relationship", "Please say what the relationship is")
	p.both()
	p.fill("Relationship", "Owner")
	p.mark("Related profiles", "not saved")
	p.tick("Main contact")
	p.openTab("General")
	p.click("Save Profile")
	p.see("has 2 main contacts already") // and the tab with the reason has come
	p.mark("Related profiles", "refused")
	p.mark("General", "not saved")
	p.axe()
	p.tick("Main contact")
	p.click("Save Profile")
	p.dialog("Save these changes?")
	p.clickCSS("dialog .button.primary")
	p.said("Saved.")
	w.wants(id, doc{"firstName": "", "lastName": "Later", "email": "later@example.com"})
}

// Before a changed email is saved, a window tells what becomes of the username,
// of links and of access, and who is told; nothing happens unless it is
// confirmed.
func TestN11EmailChangeIsTold(t *testing.T) {
	w := begin(t)
	old, now, third := own("nele.old%d@example.com"), own("nele.new%d@example.com"), own("nele.third%d@example.com")
	id := w.person(doc{"firstName": "Nele", "email": old})
	w.login(id)
	p := w.signInAt("Administrator", "#/profiles/"+id+"/general")
	p.fill("Email", now)
	p.click("Save Profile")
	p.dialog("Save these changes?")
	for _, text := range []string{
		"Email: from " + old + " to " + now, "Change the username to the new email too", "It is " + old + " now.",
		"Links that were sent before stop working, and whoever is signed in is signed out. The password stays.",
		"As before. Yes: is a member", "Told by email " + old + " and " + now,
	} {
		p.see(text)
	}
	p.both()
	p.shot("profile-email-change")
	p.keys(kb.Escape)
	p.gone("Save these changes?")
	if got := p.focused(); got != "Save Profile" {
		t.Errorf("backing out leaves the keyboard on %q", got)
	}
	w.wants(id, doc{"email": old, "username": old})
	p.mark("General", "not saved")

	p.click("Save Profile")
	p.dialog("Save these changes?")
	p.clickCSS("dialog .button.primary")
	p.said("Saved.")
	w.wants(id, doc{"email": now, "username": now})
	w.mailTo(old)
	w.mailTo(now)

	// Unticked, the username stays.
	p.fill("Email", third)
	p.click("Save Profile")
	p.dialog("Save these changes?")
	p.tick("Change the username to the new email too")
	p.clickCSS("dialog .button.primary")
	p.said("Saved.")
	w.wants(id, doc{"email": third, "username": now})
}

// A username that another profile has is not offered; who shares the new
// address is named.
func TestU5UsernameOfAnotherIsNotOffered(t *testing.T) {
	w := begin(t)
	udo, ulla := own("udo%d@example.com"), own("ulla%d@example.com")
	other := w.person(doc{"firstName": "Udo", "email": udo})
	w.login(other)
	id := w.person(doc{"firstName": "Ulla", "email": ulla})
	w.login(id)
	p := w.signInAt("Front desk", "#/profiles/"+id+"/general")
	p.fill("Email", udo)
	p.click("Save Profile")
	p.dialog("Save these changes?")
	p.see(ulla + " stays the username. Another profile has this email as its username.")
	p.see("The new address is also used by Udo")
	p.axe()
	p.clickCSS("dialog .button.primary")
	p.said("Saved.")
	w.wants(id, doc{"email": udo, "username": ulla})
	p.see("The same address is used by Udo")
}

// A lapse tells how many others lose their right with it.
func TestN12StatusChangeIsTold(t *testing.T) {
	w := begin(t)
	company := w.person(doc{"type": "organization", "organizationName": "Lapsing Ltd", "email": ""})
	for range 3 {
		w.person(doc{"status": "non-member", "relations": []doc{{"to": company, "kind": "Employee"}}})
	}
	p := w.signInAt("Manager", "#/profiles/"+company+"/general")
	p.see("Membership status")
	p.choose("Membership status", "Lapsed")
	p.click("Save Profile")
	p.dialog("Save these changes?")
	p.see("Membership status: from Active to Lapsed")
	p.see("From now on they may not. No:")
	p.see("3 related profiles may sign in no more.")
	p.axe()
	p.shot("profile-status-change")
	p.clickCSS("dialog .button.primary")
	p.said("Saved.")
	w.wants(company, doc{"status": "lapsed"})
}

// Two people edit one profile: what only one of them touched is kept, where both
// did, the second one sees whose value is what, and chooses.
func TestTwoBrowsersEditOneProfile(t *testing.T) {
	w := begin(t)
	id := w.person(doc{"firstName": "Two", "lastName": "Browsers", "organizationName": "Before"})
	ana, bo := w.signInAt("Manager", "#/profiles/"+id+"/general"), w.signInAt("Administrator", "#/profiles/"+id+"/general")
	bo.fill("First name", "Bo's")
	bo.fill("Organization name", "After")
	ana.fill("First name", "Ana's")
	ana.fill("Last name", "Tabs")
	ana.click("Save Profile")
	ana.said("Saved.")

	bo.click("Save Profile")
	bo.see("Somebody else has changed what you are changing")
	bo.see("Theirs: Ana's")
	bo.see("Yours: Bo's")
	bo.see("It was: Two")
	bo.see("Last name: from Browsers to Tabs") // news, not a question
	if got := bo.field("Organization name"); got != "After" {
		t.Errorf("Organization name holds %q", got)
	}
	if got := bo.focused(); got != "Somebody else has changed what you are changing" {
		t.Errorf("the keyboard is on %q", got)
	}
	bo.mark("General", "choose")
	bo.both()
	bo.shot("profile-conflict")
	w.wants(id, doc{"organizationName": "Before"})
	bo.click("Save Profile")
	bo.see("Please choose for each field")
	bo.tick("Yours: Bo's")
	bo.tick("Theirs: Ana's")
	if got := bo.field("First name"); got != "Ana's" {
		t.Errorf("First name holds %q after choosing theirs", got)
	}
	bo.tick("Yours: Bo's")
	bo.click("Save Profile")
	bo.said("Saved.")
	bo.gone("Somebody else has changed what you are changing")
	w.wants(id, doc{"firstName": "Bo's", "lastName": "Tabs", "organizationName": "After"})
	bo.click("Got it")
	bo.gone("Somebody else has changed")

	// What the other one touched is not what we touch: both are kept at once.
	w.edit(id, doc{"doNotEmail": true})
	bo.fill("First name", "Both")
	bo.click("Save Profile")
	bo.said("Saved.")
	bo.see("Do not email: from no to yes")
	w.wants(id, doc{"firstName": "Both", "doNotEmail": true})

	// Both have done the same: nothing to choose, and nothing lost.
	w.edit(id, doc{"firstName": "Same"})
	bo.fill("First name", "Same")
	bo.click("Save Profile")
	bo.said("Saved.")
	w.wants(id, doc{"firstName": "Same"})

	// Relations are one field: whose list is what is shown in words.
	bo.openTab("Related profiles")
	w.edit(id, doc{"relations": []doc{{"to": "201", "kind": "Employee"}}})
	bo.fill("Add a relation to", "210")
	bo.see("1 profile found")
	bo.keys(kb.Enter)
	bo.fill("Relationship", "Owner")
	bo.click("Save Profile")
	bo.see("Theirs: Employee of Harbour Bakery (201)")
	bo.see("Yours: Owner of Lighthouse Books & Sons (210)")
	bo.mark("Related profiles", "choose")
	bo.tick("Theirs:")
	bo.waitFor("their relation alone", `[...document.querySelectorAll(".relation legend")].map((el) => el.innerText).join().includes("Harbour Bakery") && document.querySelectorAll(".relation").length === 1`)
	bo.click("Save Profile")
	bo.said("It stays as they have it.")
	bo.gone("Somebody else has changed what you are changing")
	if got := fmt.Sprint(w.profile(id)["relations"]); !strings.Contains(got, "to:201") || strings.Contains(got, "to:210") {
		t.Errorf("stored relations: %s", got)
	}
}

// The connection drops in the middle of a save. The page finds out what became
// of it, and says so.
func TestSaveWithoutAnAnswer(t *testing.T) {
	w := begin(t)
	id := w.person(doc{"firstName": "Lost"})
	p := w.signInAt("Administrator", "#/profiles/"+id+"/general")
	p.see("First name")

	// The answer alone is lost.
	p.fill("First name", "Stored")
	lost := p.lose("PATCH", "/api/profiles/"+id)
	p.click("Save Profile")
	lost()
	p.said("It was saved, although its answer was lost.")
	p.mark("General", "")
	w.wants(id, doc{"firstName": "Stored"})

	// The request does not get through either, and the line stays down.
	p.offline(true)
	p.see("The connection is down.") // which moves what is below
	p.fill("First name", "Waiting")
	p.click("Save Profile")
	p.see("It may have been saved")
	p.see("As soon as the connection is back")
	p.both()
	p.offline(false)
	p.see("It was not saved")
	if got := p.field("First name"); got != "Waiting" {
		t.Errorf("First name holds %q", got)
	}
	p.axe()
	p.click("Save Profile")
	p.said("Saved.")
	p.gone("It was not saved")
	w.wants(id, doc{"firstName": "Waiting"})

	// The answer is lost and nothing else gets through; it was stored.
	value[bool](p, `(() => {
		const real = fetch;
		let down = false;
		window.fetch = async (address, options) => {
			if (down && !window.mended) throw new TypeError("down");
			const answer = await real(address, options);
			if (options?.method !== "PATCH" || window.mended) return answer;
			down = true;
			throw new TypeError("down");
		};
		return true;
	})()`)
	p.fill("First name", "Late")
	p.click("Save Profile")
	p.see("As soon as the connection is back")
	value[bool](p, `(window.mended = true)`)
	p.click("Look now")
	p.said("It was saved, although its answer was lost.")
	p.mark("General", "")
	w.wants(id, doc{"firstName": "Late"})

	// A check that gets no answer has saved nothing, and says so.
	p.fill("Email", "late@example.com")
	p.offline(true)
	p.see("The connection is down.") // which moves what is below
	p.click("Save Profile")
	p.see("Nothing was sent to be saved")
	p.offline(false)
	p.gone("The connection is down.")
	p.click("Save Profile")
	p.dialog("Save these changes?")
	p.clickCSS("dialog .button.primary")
	p.said("Saved.")
	w.wants(id, doc{"email": "late@example.com"})

	// Nothing can be read at first.
	q := w.signInAt("Administrator", "#/profiles/"+id)
	q.see("Late")
	q.offline(true)
	q.open("#/profiles/201")
	q.see("There was no answer.")
	q.both()
	q.offline(false)
	q.gone("The connection is down.")
	q.click("Try again")
	q.see("Harbour Bakery")
}

// Related profiles: whom it is related to, who is related to it and how far
// each has come with the login, page by page.
func TestS17RelatedProfiles(t *testing.T) {
	w := begin(t)
	company := w.person(doc{"type": "organization", "organizationName": "Thirty Heads", "email": ""})
	var first string
	for i := range 30 {
		id := w.person(doc{"firstName": fmt.Sprintf("Head%02d", i), "status": "non-member", "relations": []doc{{"to": company, "kind": "Employee", "mainContact": i == 0}}})
		if i == 0 {
			first = id
			w.login(id)
		}
	}
	p := w.signInAt("Manager", "#/profiles/"+company+"/related")
	p.see("Related to this profile")
	p.waitFor("a page of related profiles", `document.querySelectorAll("table.stack tbody tr").length === 25`)
	p.click("Show more")
	p.waitFor("all of them", `document.querySelectorAll("table.stack tbody tr").length === 30`)
	row := value[string](p, fmt.Sprintf(`[...document.querySelectorAll("table.stack tbody tr")].find((tr) => tr.textContent.includes("Head00")).innerText.replace(/\s+/g, " ")`))
	for _, text := range []string{first, "Employee", "Main contact", "Active", "Yes: is a main contact of a member"} {
		if !strings.Contains(row, text) {
			t.Errorf("the first row lacks %q: %s", text, row)
		}
	}
	p.both()
	p.shot("profile-related-many")
	p.click("Head00 ")
	p.waitFor("the first one's page", fmt.Sprintf(`location.hash === "#/profiles/%s"`, first))
	p.see("Edit Profile")

	// It has ended: the record stays, the right goes, and the window says so.
	p.click("Edit Profile")
	p.openTab("Related profiles")
	p.click("It has ended: Thirty Heads (" + company + ")")
	if got := p.field("Relationship"); got != "Former Employee" {
		t.Errorf("Relationship holds %q", got)
	}
	p.see("It is over and gives no right to sign in.")
	p.click("Save Profile")
	p.dialog("Save these changes?")
	p.see("From now on they may not. No: the relation has ended")
	p.see("Username and password are kept")
	p.clickCSS("dialog .button.primary")
	p.said("Saved.")

	// Neither itself nor nothing; and taken away again.
	p.fill("Add a relation to", "z")
	p.see("Type two characters or more.")
	p.fill("Add a relation to", "qqqqqq")
	p.see("Nobody was found.")
	p.fill("Add a relation to", first)
	p.see("1 profile found")
	p.keys(kb.Enter)
	p.see("Is this profile.")
	p.click("Remove: Thirty Heads (" + company + ")")
	p.see("It is related to nobody yet.")
	if got := p.focused(); got != "This profile is related to" {
		t.Errorf("removing leaves the keyboard on %q", got)
	}
	p.axe()
	p.click("Save Profile")
	p.dialog("Save these changes?")
	p.see("to none")
	p.clickCSS("dialog .button.primary")
	p.said("Saved.")
	w.wants(first, doc{"relations": "[]"})
}

// Mail that came back is told at the address, and staff release it.
func TestU10ReleaseAddress(t *testing.T) {
	w := begin(t)
	id := w.person(doc{"firstName": "Bounce", "email": fmt.Sprintf("bounce+%d@simulator.example", len(t.Name()))})
	w.api("POST", "/api/profiles/"+id+"/reset-emails", doc{})
	w.until("the mail to come back", func() bool { return w.profile(id)["undeliverable"] != nil })
	p := w.signInAt("Front desk", "#/profiles/"+id)
	p.see("Undeliverable")
	p.see("mail came back")
	p.axe()
	p.click("Edit Profile")
	p.fill("First name", "Typed before")
	p.see("Nothing is mailed there since")
	p.both()
	p.click("Mail to this address again")
	p.said("The address is mailed again.")
	p.gone("Nothing is mailed there since")
	if got := p.field("First name"); got != "Typed before" {
		t.Errorf("releasing lost what was typed: %q", got)
	}
	w.wants(id, doc{"undeliverable": nil, "firstName": "Bounce"})
	p.openTab("Activity")
	p.see("Address released")
	p.both()
	p.shot("profile-activity")
}

// Profile and credentials together: the profile first. What was saved is clean,
// what was refused stays open.
func TestS3ProfileThenCredentials(t *testing.T) {
	w := begin(t)
	name, whole, free := own("taken.name%d"), own("whole%d@example.com"), own("whole.name%d")
	taken := w.person(nil)
	w.login(taken)
	w.api("PUT", "/api/profiles/"+taken+"/credentials", doc{"username": name}, "If-Match", fmt.Sprintf(`"%v"`, w.api("GET", "/api/profiles/"+taken+"/credentials", nil)["version"]))
	id := w.person(doc{"firstName": "Half"})
	w.login(id)
	p := w.signInAt("Administrator", "#/profiles/"+id+"/credentials")
	p.click("Change Credentials")
	p.fill("Username", name)
	p.mark("Web Portal Credentials", "not saved")
	p.openTab("General")
	p.fill("First name", "Whole")
	p.fill("Email", whole)
	p.click("Save Profile")
	p.dialog("Save these changes?")
	p.see("Web Portal Credentials: as you typed them")
	if value[bool](p, `document.querySelector("dialog").innerText.includes("The password stays")`) {
		t.Error("the window says that the password stays, though credentials are saved with it")
	}
	p.clickCSS("dialog .button.primary") // the username moves, and with it the version of the credentials
	p.see("The profile was saved, the credentials were not")
	p.mark("General", "")
	p.mark("Web Portal Credentials", "refused")
	p.refused("Username", "This username is in use already.")
	p.axe()
	w.wants(id, doc{"firstName": "Whole", "email": whole, "username": whole})
	p.fill("Username", free)
	p.click("Save Profile")
	p.said("Saved.")
	p.gone("The profile was saved, the credentials were not")
	w.wants(id, doc{"username": free})

	// A refused profile holds the credentials back.
	p.click("Change Credentials")
	p.fill("Username", "never.stored")
	p.openTab("General")
	p.fill("Email", "nowhere")
	p.click("Save Profile")
	p.see("The credentials were not tried either")
	p.mark("Web Portal Credentials", "not saved")
	w.wants(id, doc{"username": free, "email": whole})
}

// Whatever is typed is shown as text.
func TestProfileTextIsText(t *testing.T) {
	w := begin(t)
	markup := `<img src=x onerror="document.title='broken'"><b>{{7*7}}</b>`
	company := w.person(doc{"type": "organization", "organizationName": markup, "email": ""})
	id := w.person(doc{"firstName": "X"})
	p := w.signInAt("Administrator", "#/profiles/"+id+"/general")
	p.fill("First name", markup)
	p.fill("Last name", `"'>${7*7}`)
	p.fill("Organization name", `<script>document.title='broken'</script>`)
	p.openTab("Related profiles")
	p.fill("Add a relation to", company)
	p.see("1 profile found")
	p.keys(kb.Enter)
	p.fill("Relationship", `</fieldset><h1>kind</h1>`)
	p.click("Save Profile")
	p.dialog("Save these changes?")
	p.see(markup)
	p.clickCSS("dialog .button.primary")
	p.said("Saved.")
	for _, tab := range []string{"General", "Related profiles", "Web Portal Credentials", "Activity"} {
		p.openTab(tab)
		p.axe()
	}
	p.see(`</fieldset><h1>kind</h1> of ` + company)
	p.click("Close")
	p.see(`<script>document.title='broken'</script>`)
	p.see(`</fieldset><h1>kind</h1>: ` + markup)
	p.both()
	if broken := value[bool](p, `document.title === "broken" || Boolean(document.querySelector("main img, main script, main b"))`); broken {
		t.Error("something typed has become markup")
	}
}

// Activity tells in words who did what, page by page, and what became of the
// mails of recent mailings.
func TestProfileActivity(t *testing.T) {
	w := begin(t)
	id := w.person(doc{"firstName": "Trail", "email": "trail.old@example.com"})
	w.edit(id, doc{"email": "trail.new@example.com", "status": "lapsed", "memberSince": "2020-02-03"})
	w.edit(id, doc{"status": "active"})
	subject := "Your login, " + id
	w.to(subject, id).send().done()
	for i := range 25 {
		w.edit(id, doc{"organizationName": fmt.Sprint("Place ", i)})
	}
	p := w.signInAt("Administrator", "#/profiles/"+id+"/activity")
	p.see("Changed: Organization name")
	p.see(subject + " Delivered trail.new@example.com")
	p.gone("Profile created")
	p.both()
	p.click("Show more")
	for _, text := range []string{
		"Profile created", "Membership status: from Lapsed to Active", "Member since: from none to 3 Feb 2020",
		"Email changed", "Address: from t***@example.com to t***@example.com", "Staff: local administrator, from 127.0.0.1", "That is all: 29.",
	} {
		p.see(text)
	}
	if got := p.focused(); got != "That is all: 29." {
		t.Errorf("the keyboard is on %q", got)
	}
	p.both()
	p.click(subject)
	p.waitFor("the mailing", `location.hash.startsWith("#/mailings/")`)
	p.gone("What was done")

	p.open("#/profiles/" + id + "/activity")
	p.see("Changed: Organization name")
	p.offline(true)
	p.see("The connection is down.") // which moves what is below
	p.click("Show more")
	p.see("There was no answer.")
	p.axe()
	p.offline(false)
	p.gone("The connection is down.")
	p.click("Try again")
	p.see("Profile created")
}
