package browser_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// answered has the page get this answer wherever an address contains part,
// until the function that it returns is called. A status of 0 is no answer.
func (p *page) answered(part string, status int, body string) (restore func()) {
	p.Helper()
	value[bool](p, fmt.Sprintf(`(() => {
		const real = window.fetch;
		window.fetch = (url, ...rest) => {
			if (!decodeURIComponent(url).includes(%s)) return real(url, ...rest);
			if (%d === 0) return Promise.reject(new TypeError("cut"));
			return Promise.resolve(new Response(%s, {status: %[2]d, headers: {"Content-Type": "application/json"}}));
		};
		window.restoreFetch = () => { window.fetch = real; };
		return true;
	})()`, quoted(part), status, quoted(body)))
	return func() { p.Helper(); value[bool](p, `(restoreFetch(), true)`) }
}

// results are the texts of what Quick Search shows for a search.
func (p *page) results() []string {
	p.Helper()
	return value[[]string](p, `[...document.querySelectorAll("[role=option]")].map((el) => el.innerText.replace(/\s+/g, " ").trim())`)
}

// look types into Quick Search and waits for the answer.
func (p *page) look(text string) {
	p.Helper()
	p.fill("Quick Search", text)
	p.answerFor(text)
}

func (p *page) answerFor(text string) {
	p.Helper()
	p.waitFor("the answer to "+text, fmt.Sprintf(`document.querySelector(".quick input").value === %s && !document.querySelector(".quick ul.old")
		&& Boolean(document.querySelector(".quick ul, .quick-told [role=status] p"))`, quoted(text)))
}

// at waits for an address; the # is left out.
func (p *page) at(address string) {
	p.Helper()
	p.waitFor("the address "+address, fmt.Sprintf(`decodeURIComponent(location.hash) === %s`, quoted("#"+address)))
}

// S1: "Quick Search at the top of the screen finds a profile; Edit Profile opens
// it", by the keyboard alone.
func TestS1QuickSearchByKeyboard(t *testing.T) {
	w := begin(t)
	p := w.signInAt("Front desk", "#/activity")
	for _, shortcut := range [][]string{{kb.Control, "k"}, {"/"}} {
		p.press(shortcut...)
		if got := p.focused(); got != "Quick Search" {
			t.Fatalf("%q went to %q", shortcut, got)
		}
		p.press(kb.Tab)
	}
	// Both are letters in a field.
	p.fill("Quick Search", "and/or")
	p.press(kb.Control, "k")
	if got := p.field("Quick Search"); got != "and/or" {
		t.Errorf("the field has %q", got)
	}

	p.look("harbour bak")
	p.shot("quick-search")
	p.both()
	active := func() string {
		return value[string](p, `document.getElementById(document.querySelector(".quick input").getAttribute("aria-activedescendant"))?.innerText.split("\n")[0] ?? ""`)
	}
	first := active()
	moves := []struct {
		key  string
		want int
	}{{kb.ArrowDown, 1}, {kb.ArrowUp, 0}, {kb.ArrowUp, -1}, {kb.Home, 0}, {kb.End, -1}, {kb.ArrowDown, 0}}
	names := value[[]string](p, `[...document.querySelectorAll("[role=option]")].map((el) => el.innerText.split("\n")[0])`)
	if len(names) < 5 || first != names[0] {
		t.Fatalf("%q is marked of %q", first, names)
	}
	for _, move := range moves {
		p.press(move.key)
		if want := names[(move.want+len(names))%len(names)]; active() != want {
			t.Errorf("marked is %q, want %q", active(), want)
		}
	}
	p.press(kb.Escape)
	p.waitFor("the list to close", `document.querySelector(".quick input").getAttribute("aria-expanded") === "false" && !document.querySelector(".quick-list")`)
	p.press(kb.ArrowDown)
	p.waitFor("the list to open", `Boolean(document.querySelector(".quick-list"))`)
	p.look("ana garc")
	p.press(kb.Enter)
	p.at("/profiles/202")
	p.see("Ana García")
	if got := p.field("Quick Search"); got != "" {
		t.Errorf("the field has %q", got)
	}
	p.tab("Edit Profile")
	p.press(kb.Enter)
	p.at("/profiles/202/general")

	// Enter before the answer is there opens it as soon as it is.
	p.press(kb.Escape)
	p.press(kb.Control, "k")
	if p.focused() != "Quick Search" {
		value[bool](p, `(document.querySelector(".quick input").focus(), true)`)
	}
	p.keys("230\r")
	p.at("/profiles/230")
}

// S1 names name and profile ID; ours finds by company, email and username too,
// and shows what tells people apart.
func TestS1QuickSearchFindsByAll(t *testing.T) {
	w := start(t, nil)
	for i := range 12 {
		w.person(doc{"id": fmt.Sprintf("77%d", 10+i), "lastName": fmt.Sprintf("Sevenson%02d", i)})
	}
	w.person(doc{"id": "77", "firstName": "Zoe", "lastName": "Shortest", "status": "lapsed"})
	w.person(doc{"id": "kx9", "firstName": "Yan", "lastName": "Lettered"})
	w.person(doc{"id": "802", "firstName": `<img src=x onerror="alert(1)">`, "lastName": "{{7*7}} [[PORTALLOGINLINK]]", "email": nil})
	w.api("PUT", "/api/profiles/241/credentials", doc{"username": "angstrom41", "password": "correct horse battery staple twice"}, "If-Match", `"0"`)
	p := w.signIn("Administrator")
	for _, test := range []struct{ typed, first string }{
		{"soren", "Søren Ångström 241 Active Login active soren@example.com"},
		{"angstrom41", "Søren Ångström 241 Active Login active soren@example.com"},
		{"müller in", "Ingrid Müller 231 Non-member No password Spouse of 230 hans.mueller@example.com"},
		{"hans.mueller@", "Hans Müller 230 Active No password hans.mueller@example.com Shared"},
		{"lighthouse", "Edith O'Brien 211 Non-member No password Lighthouse Books & Sons edith@lighthouse.example.org"},
		{"liam", "Liam Evans 234 Active No password liam.evans@example.com Do not email"},
		{"233", "Karin Öst 233 Active No password No email"},
		{"张", "Mei 张 235 Active No password mei.zhang@example.com"},
		{"77", "Zoe Shortest 77 Lapsed No password"},
		{"KX9", "Yan Lettered kx9 Active No password"},
		{"{{7*7}}", `<img src=x onerror="alert(1)"> {{7*7}} [[PORTALLOGINLINK]] 802 Active No password No email`},
	} {
		p.look(test.typed)
		got := p.results()
		found := ""
		for _, one := range got {
			if strings.HasPrefix(one, test.first) {
				found = one
			}
		}
		if found == "" {
			t.Errorf("%q shows %q, want %q", test.typed, got, test.first)
		} else if test.typed == "77" && got[0] != found {
			t.Errorf("whoever has exactly the ID stands after %q", got[0])
		}
	}
	// More than the list shows lead to the Profile Selector.
	p.look("sevenson")
	all := p.results()
	if len(all) != 9 {
		t.Fatalf("shows %q", all)
	}
	p.press(kb.End)
	p.press(kb.Enter)
	p.at("/profiles?search=sevenson")
	p.see("12 profiles")
	// The answer is not of an older text.
	p.fill("Quick Search", "zo")
	p.fill("Quick Search", "yan")
	p.answerFor("yan")
	if got := p.results(); len(got) != 1 || !strings.HasPrefix(got[0], "Yan") {
		t.Errorf("shows %q", got)
	}
	p.clickCSS("[role=option]")
	p.at("/profiles/kx9")
}

// Nothing found, one letter, no answer: the list says so.
func TestS1QuickSearchStates(t *testing.T) {
	w := begin(t)
	p := w.signIn("Front desk")
	p.see("Profile Selector")
	p.fill("Quick Search", "q")
	p.see("Type the beginning of a name, company, email, username or profile ID.")
	p.look("zzqx <b>nobody</b>")
	p.see("Nobody was found for “zzqx <b>nobody</b>”.")
	p.both()
	p.fill("Quick Search", "\u0301\u0301")
	p.see("Please type at least two characters")
	p.gone("Try again")
	restore := p.answered("search=lars", 500, `{"title":"Internal Server Error","status":500,"code":"internal","detail":"Something went wrong here. Please try again.","requestId":"r-1"}`)
	p.fill("Quick Search", "lars")
	p.see("Something went wrong here. Please try again.")
	p.axe()
	restore()
	p.click("Try again")
	p.answerFor("lars")
	p.offline(true)
	p.fill("Quick Search", "patel")
	p.see("There was no answer. Please check the connection, then try again.")
	p.shot("quick-search-offline")
	p.offline(false)
	p.click("Try again")
	p.answerFor("patel")
	if got := p.results(); len(got) != 1 || p.focused() != "Quick Search" {
		t.Errorf("shows %q, the keyboard is on %q", got, p.focused())
	}
	// + New Profile knows what was looked for.
	p.look("Zara Unheardof")
	p.clickCSS(".quick-list a")
	p.at("/profiles/new?name=Zara+Unheardof")
	p.see("New Profile")
	if got := p.field("First name") + "," + p.field("Last name"); got != "Zara,Unheardof" {
		t.Errorf("the new profile is of %q", got)
	}

	viewer := w.signIn("Viewer")
	viewer.look("zzqx")
	viewer.see("Nobody was found for “zzqx”.")
	if viewer.has("+ New Profile") {
		t.Error("a viewer is offered to make a profile")
	}
}

// Issue 5: "quick search shows its answer within 100 ms of the last key over and
// above the API's time; typing never blocks".
func TestS1QuickSearchIsQuick(t *testing.T) {
	w := begin(t)
	p := w.signIn("Viewer")
	p.see("Profile Selector")
	value[bool](p, `(window.blocked = 0, new PerformanceObserver((list) => { for (const {duration} of list.getEntries()) window.blocked = Math.max(window.blocked, duration); }).observe({type: "event", durationThreshold: 16}), true)`)
	for _, name := range []string{"ana", "bo lar", "chlo", "dev p", "edith", "farid", "grace", "hans m", "ingrid", "jamal", "karin", "liam"} {
		p.fill("Quick Search", "")
		p.keys(name)
		p.answerFor(name)
	}
	p.waitFor("the measures", `performance.getEntriesByName("quick-search").length >= 12`)
	got := value[[]float64](p, `(() => {
		const of = (name) => performance.getEntriesByName(name).map(({duration}) => duration).sort((a, b) => a - b);
		const all = of("quick-search");
		return [all[Math.floor(all.length / 2)], all.at(-1), of("quick-search-api").at(-1), window.blocked, all[0]];
	})()`)
	t.Logf("last key to painted answer, less the API's time: p50 %.0f ms, at most %.0f ms; the API took at most %.0f ms; the longest key took %.0f ms to be shown", got[0], got[1], got[2], got[3])
	if got[0] > 100 || got[4] <= 0 {
		t.Errorf("p50 is %.0f ms (at least %.0f), want at most 100", got[0], got[4])
	}
}

// S2: "filter tabs, result list with Edit per row"; the address has all of it.
func TestS2ProfileSelectorFilters(t *testing.T) {
	w := start(t, nil)
	w.api("PUT", "/api/profiles/241/credentials", doc{"username": "soren41", "password": "correct horse battery staple twice"}, "If-Match", `"0"`)
	w.api("PUT", "/api/profiles/240/credentials", doc{"username": "rosa40", "password": "correct horse battery staple twice"}, "If-Match", `"0"`)
	w.api("POST", "/api/profiles/240/disable", nil)
	w.api("POST", "/api/profiles/232/reset-emails", nil)
	w.mailTo("jamal.haddad@example.com")
	p := w.signInAt("Administrator", "#/profiles")
	p.see("22 profiles")
	p.see("That is everybody.")
	p.shot("selector")
	p.both()

	shows := func(n int, address string, names ...string) {
		t.Helper()
		p.at(address)
		p.waitFor(fmt.Sprintf("%d profiles at %s", n, address), fmt.Sprintf(`document.querySelector(".find-count p")?.innerText === %s && document.querySelector(".find-end")?.innerText === "That is everybody."`, quoted(strings.TrimSuffix(fmt.Sprintf("%d profiles", n), map[bool]string{true: "s"}[n == 1]))))
		p.waitFor("no other rows", fmt.Sprintf(`document.querySelectorAll("tr[data-row]").length <= %d`, n))
		for _, name := range names {
			p.see(name)
		}
	}
	p.tick("Lapsed")
	shows(1, "/profiles?status=lapsed", "Old Quay Surveyors")
	p.tick("Prospect")
	shows(2, "/profiles?status=lapsed,prospect", "Nadia Петрова")
	p.choose("Profile type", "Company")
	shows(1, "/profiles?status=lapsed,prospect&type=organization")
	p.click("Clear filters")
	shows(22, "/profiles")
	p.fill("Relationship", "employee")
	p.press(kb.Enter)
	shows(3, "/profiles?relationship=employee", "Bo Larsen", "Grace Nakamura")
	p.choose("May sign in", "May sign in")
	shows(2, "/profiles?relationship=employee&mayEnter=true", "Chloé Dubois")
	p.choose("May sign in", "Any")
	p.choose("Members", "Members and their related profiles")
	shows(2, "/profiles?relationship=employee&scope=members_and_related", "Chloé Dubois")
	p.click("Clear filters")
	for _, test := range []struct {
		field, choice string
		n             int
		address, name string
	}{
		{"Email", "Has no email", 1, "email=none", "Karin Öst"},
		{"Email", "Has an email", 21, "email=any", ""},
		{"Email", "Shares it with others", 4, "email=shared", "Hans Müller"},
		{"Email", "Undeliverable", 0, "email=undeliverable", ""},
		{"Login", "Disabled", 1, "login=disabled", "Rosa de la Cruz"},
		{"Login", "Active", 1, "login=active", "Søren Ångström"},
		{"Login", "Invited, the link still works", 1, "login=invited", "Jamal Haddad"},
		{"Login", "Invited, the link has expired", 0, "login=expired", ""},
		{"Login", "No login yet", 19, "login=none", ""},
		{"Login", "No password", 20, "login=no_password", ""},
		{"May sign in", "May not sign in", 0, "mayEnter=false", ""},
	} {
		p.choose(test.field, test.choice)
		p.at("/profiles?" + test.address)
		switch {
		case test.field == "May sign in":
			p.see("Dev Patel") // a former employee
		case test.n == 0:
			p.see("Nothing matches")
		default:
			shows(test.n, "/profiles?"+test.address, test.name)
		}
		p.choose(test.field, "Any")
		shows(22, "/profiles")
	}

	// The text is looked for while it is typed, together with the filters.
	p.fill("Search for", "harb")
	shows(5, "/profiles?search=harb", "Harbour Bakery")
	p.tick("Non-member")
	shows(4, "/profiles?search=harb&status=non-member", "Ana García")
	p.fill("Search for", "zzqx")
	p.see("Nothing matches")
	p.both()

	// Back and forward walk through what was looked for.
	back := func() { value[bool](p, `(history.back(), true)`) }
	back()
	shows(4, "/profiles?search=harb&status=non-member")
	if got := p.field("Search for"); got != "harb" {
		t.Errorf("the field has %q", got)
	}
	back()
	shows(5, "/profiles?search=harb")
	value[bool](p, `(history.forward(), true)`)
	shows(4, "/profiles?search=harb&status=non-member")
	p.fill("Search for", "")
	p.at("/profiles?status=non-member")

	// A colleague who gets the address sees the same; what no filter knows is
	// as if it were not there.
	other := w.signInAt("Viewer", "#/profiles?search=harb&status=non-member&login=nonsense&x=%E0%A4%A")
	other.see("4 profiles")
	other.see("Chloé Dubois")
	if !value[bool](other, find("box", "Non-member", 0)+".checked") || other.field("Search for") != "harb" {
		t.Error("the filters do not show what is looked for")
	}

	// Edit opens the profile's first tab; its name, the profile at a glance.
	other.click("Edit Ana García")
	other.at("/profiles/202/general")
	other.see("Web Portal Credentials")
	value[bool](other, `(history.back(), true)`)
	other.waitFor("the keyboard to be where it was", `document.activeElement.textContent === "Ana García"`)
	other.see("4 profiles")
	other.click("Bo Larsen")
	other.at("/profiles/203")
}

// N8: "everyone who may log in under the present access level and has no
// password, related profiles included, one click"; the other quick sets.
func TestN8QuickSets(t *testing.T) {
	w := start(t, nil)
	p := w.signInAt("Manager", "#/profiles")
	p.see("22 profiles")
	for _, set := range []struct{ name, address string }{
		{"No email", "email=none"}, {"Shared address", "email=shared"}, {"Undeliverable", "email=undeliverable"}, {"Invited", "login=invited"},
		{"Link expired", "login=expired"}, {"Disabled", "login=disabled"}, {"May sign in, no password", "login=no_password&mayEnter=true"},
	} {
		p.click(set.name)
		p.at("/profiles?" + set.address)
		p.waitFor("the set to be marked", fmt.Sprintf(`document.querySelector(".chips [aria-current=page]")?.textContent === %s`, quoted(set.name)))
	}
	p.see("Chloé Dubois") // an employee of a member
	p.gone("Dev Patel")   // a former one
	p.click("Select all that match")
	p.see("All that match are selected.")
	p.shot("selector-all")
	p.both()
	p.click("Send Email")
	p.at("/mailings/new?login=no_password&mayEnter=true&from=selector")
}

// P3: "Bulk 'send reset / invite' from a ticked list." V11: employees of members
// take "a two-step list: search Members, then search Related Profiles".
func TestV11TickAndSend(t *testing.T) {
	w := start(t, nil)
	p := w.signInAt("Manager", "#/profiles?search=harb")
	p.see("5 profiles")
	p.tick("Tick Harbour Bakery (201)")
	p.see("1 ticked")
	// Ticks stay while one looks for others.
	p.fill("Search for", "lighthouse")
	p.see("3 profiles")
	p.see("1 of them not shown here")
	p.tick("Tick all shown")
	p.see("4 ticked")
	p.tick("Tick Farid Çelik (212)")
	p.tick("Tick Edith O'Brien (211)")
	p.see("2 ticked")
	p.shot("selector-ticked")
	p.both()

	p.click("Related profiles")
	p.see("5 profiles related to those you ticked.")
	p.see("A list of 5 profiles")
	for _, name := range []string{"Ana García", "Bo Larsen", "Chloé Dubois", "Edith O'Brien", "Farid Çelik"} {
		p.see(name)
	}
	// Shift ticks all between two.
	value[bool](p, `(() => {
		const boxes = [...document.querySelectorAll("tbody .find-tick input")];
		boxes[0].click();
		boxes[2].dispatchEvent(new MouseEvent("click", {bubbles: true, shiftKey: true}));
		return true;
	})()`)
	p.see("3 ticked")
	p.tick("Tick all shown")
	p.see("5 ticked")
	p.click("Send Email")
	p.waitFor("the new mailing", `location.hash.startsWith("#/mailings/new?profiles=")`)
	if got := strings.Split(value[string](p, `decodeURIComponent(location.hash).split("=")[1]`), ","); len(got) != 5 {
		t.Errorf("the mailing goes to %q", got)
	}

	// All that a search finds go as a list; a list with a filter goes as both.
	p.open("#/profiles?search=lighthouse")
	p.see("3 profiles")
	p.click("Untick all")
	p.click("Select all that match")
	p.click("Send Email")
	p.waitFor("the new mailing", `/^#.mailings.new.profiles=/.test(location.hash) && decodeURIComponent(location.hash).split(",").length === 3`)
	p.open("#/profiles?profiles=203,204,211&relationship=Employee")
	p.see("2 profiles")
	p.click("Select all that match")
	p.click("Send Email")
	p.at("/mailings/new?relationship=Employee&profiles=203,204,211&from=selector")

	// The front desk mails nobody.
	desk := w.signInAt("Front desk", "#/profiles?search=lighthouse")
	desk.see("3 profiles")
	desk.tick("Tick all shown")
	desk.see("3 ticked")
	if desk.has("Send Email") || !desk.has("Export") {
		t.Error("the front desk is offered the wrong things")
	}
	desk.click("Untick all")
	desk.tick("Tick Lighthouse Books & Sons (210)")
	restore := desk.answered("/related", 0, "")
	desk.click("Related profiles")
	desk.see("There was no answer. Please check the connection, then try again.")
	desk.axe()
	restore()
	desk.click("Go on")
	desk.see("A list of 2 profiles")
	desk.tick("Tick Edith O'Brien (211)")
	desk.click("Related profiles")
	desk.see("Nobody is related to them. Former relations do not count.")
}

// The export is a table of text, of those ticked or of all that match.
func TestS2Export(t *testing.T) {
	w := start(t, nil)
	w.person(doc{"id": "900", "firstName": "=cmd|'/c calc'!A1", "lastName": `Quote " comma, here`, "email": "formula@example.com"})
	w.api("POST", "/api/profiles/900/disable", nil)
	p := w.signInAt("Viewer", "#/profiles?search=harb")
	p.see("5 profiles")
	p.tick("Tick Ana García (202)")
	text := p.download(func() { p.click("Export") },
		"Profile ID,Profile Type,Name,Organization Name,Contact,Email,Username,Membership Status,Login,Undeliverable,Do Not Email,Related To,Relationship\r\n",
		"\r\n202,Person,Ana García,Harbour Bakery,,ana.garcia@bakery.example.org,,Non-member,No password,,,201,Owner\r\n")
	if lines := strings.Count(text, "\r\n"); lines != 2 {
		t.Errorf("%d lines of one who is ticked: %q", lines, text)
	}
	p.said("1 profile exported.")
	p.open("#/profiles")
	p.see("23 profiles")
	p.click("Select all that match")
	text = p.download(func() { p.click("Export") }, `900,Person,"'=cmd|'/c calc'!A1 Quote "" comma, here",,,formula@example.com,,Active,Disabled,,,,`)
	if lines := strings.Count(text, "\r\n"); lines != 24 {
		t.Errorf("%d lines of 23 profiles", lines)
	}
	p.click("Tick single profiles instead")
	p.see("1 ticked")
}

// Loading, no answer, no profiles at all.
func TestS2ProfileSelectorStates(t *testing.T) {
	w := start(t, nil)
	p := w.signInAt("Administrator", "#/me")
	for _, state := range []struct {
		part   string
		status int
		body   string
		see    string
	}{
		{"/api/profiles?status=active", 500, `{"title":"Internal Server Error","status":500,"code":"internal","detail":"Something went wrong here. Please try again."}`, "Something went wrong here. Please try again."},
		{"/api/profiles?status=active,lapsed", 0, "", "There was no answer. Please check the connection, then try again."},
	} {
		restore := p.answered(state.part, state.status, state.body)
		p.open("#/profiles" + strings.TrimPrefix(state.part, "/api/profiles"))
		p.see(state.see)
		p.both()
		restore()
		p.click("Try again")
		p.see("Lighthouse Books & Sons")
		p.open("#/me")
		p.see("My permissions")
	}
	restore := p.answered("/api/profiles", 200, `{"profiles":[],"read":0,"found":0}`)
	p.open("#/profiles")
	p.see("There are no profiles yet")
	p.shot("selector-empty")
	p.both()
	p.click("Import a CSV file")
	p.at("/imports")
	restore()

	viewer := w.signInAt("Viewer", "#/me")
	viewer.see("My permissions")
	viewer.answered("/api/profiles", 200, `{"profiles":[],"read":0,"found":0}`)
	viewer.open("#/profiles")
	viewer.see("Somebody who may edit profiles can import them.")
	if viewer.has("Import a CSV file") {
		t.Error("a viewer is offered an import")
	}
}

// crowd is a CSV of n people.
func crowd(n int) string {
	var b strings.Builder
	b.WriteString("Profile ID,Profile Type,First Name,Last Name,Organization Name,Email,Membership Status\n")
	for i := range n {
		status := []string{"Active", "Lapsed", "Prospect"}[i%3]
		fmt.Fprintf(&b, "%d,Individual,Crowd,Person%05d,,crowd%d@example.com,%s\n", 100000+i, i, i, status)
	}
	return b.String()
}

// Issue 5: "pages of any length without stutter", "a count (exact once walked)".
func TestS2FiveThousandRows(t *testing.T) {
	const n = 5200
	w := start(t, nil)
	for file := crowd(n); ; {
		if w.api("POST", "/api/profile-imports", file)["complete"] == true {
			break
		}
	}
	p := w.signInAt("Manager", "#/profiles")
	p.see("At least 100 so far")
	p.click("Count all")
	p.see("5,222 profiles")

	// To the end, a screen at a time, as fast as it goes.
	begun := time.Now()
	got := value[[]float64](p, `(async () => {
		const frame = () => new Promise((done) => requestAnimationFrame(() => done()));
		let most = 0, before = performance.now();
		const frames = [];
		while (document.querySelector(".find-end")?.innerText !== "That is everybody." || scrollY + innerHeight < document.documentElement.scrollHeight - 2) {
			scrollBy(0, innerHeight);
			await frame();
			const now = performance.now();
			frames.push(now - before);
			before = now;
			most = Math.max(most, document.querySelectorAll("tr[data-row]").length);
			if (frames.length > 5000) break;
		}
		frames.sort((a, b) => a - b);
		return [most, frames.length, frames[Math.floor(frames.length / 2)], frames[Math.floor(frames.length * 0.9)], frames.at(-1)];
	})()`)
	t.Logf("%d rows to the end in %v: at most %.0f of them in the page; %.0f screens, p50 after %.0f ms, p90 %.0f ms, at most %.0f ms", n+22, time.Since(begun).Round(time.Millisecond), got[0], got[1], got[2], got[3], got[4])
	if got[0] > 90 {
		t.Errorf("%.0f rows are in the page at once", got[0])
	}
	if got[2] > 100 {
		t.Errorf("every other screen took %.0f ms", got[2])
	}
	p.see("Mei 张") // sorts last
	p.see("5,222 profiles")
	if got := value[int](p, `Number([...document.querySelectorAll("tr[data-row]")].at(-1).getAttribute("aria-rowindex"))`); got != n+23 {
		t.Errorf("the last row is %d", got)
	}

	// Whoever opens one and comes back finds the list where it was, as it is now.
	p.open("#/profiles")
	value[bool](p, `(scrollTo(0, document.documentElement.scrollHeight / 2), true)`)
	p.waitFor("rows in the middle", `Math.abs(Number(document.querySelector("tr[data-row]").getAttribute("aria-rowindex")) - 2600) < 100`)
	id := value[string](p, `document.querySelectorAll("tr[data-row]")[20].dataset.row`)
	p.clickCSS(fmt.Sprintf(`tr[data-row="%s"] .find-name a`, id))
	p.at("/profiles/" + id)
	p.see("Edit Profile")
	w.api("PATCH", "/api/profiles/"+id, doc{"doNotEmail": true}, "If-Match", `"1"`)
	value[bool](p, `(history.back(), true)`)
	p.waitFor("the row as it is now", fmt.Sprintf(`document.querySelector('tr[data-row="%s"]')?.innerText.includes("Do not email") ?? false`, id))

	// Ticks: a mailing takes a thousand of them, and all that match without limit.
	p.open("#/profiles?status=active&search=crowd")
	p.see("At least")
	p.click("Count all")
	p.see("1,734 profiles")
	p.tick("Tick all shown")
	p.see("1,734 ticked")
	p.click("Send Email")
	p.see("A mailing takes at most 1,000 ticked profiles, and you ticked 1,734.")
	p.click("Related profiles")
	p.see("looked up for at most 200 profiles at once")
	p.click("Untick all")
	p.click("Select all that match")
	p.click("Send Email")
	p.see("The search finds more than 1,000 profiles")
	p.open("#/profiles?status=active,prospect&email=any")
	p.see("At least")
	p.click("Select all that match")
	text := p.download(func() { p.click("Export") }, "\r\n100000,Person,Crowd Person00000,,,crowd0@example.com,,Active,No password,,,,\r\n")
	want := 0
	for i := range n {
		if i%3 != 1 {
			want++
		}
	}
	want += 10 + 1 // of the demo: active with an email, and the prospect
	if got := strings.Count(text, "\r\n") - 1; got != want {
		t.Errorf("%d profiles are exported, want %d", got, want)
	}
	p.click("Send Email")
	p.at("/mailings/new?status=active,prospect&email=any&from=selector")
}

// S17: credentials "come from staff (when the profile becomes a member)": a new
// profile opens at its credentials.
func TestS17NewProfile(t *testing.T) {
	w := start(t, nil)
	p := w.signInAt("Front desk", "#/profiles?status=prospect")
	p.see("Nadia Петрова")
	p.click("+ New Profile")
	p.see("For somebody who belongs to a member")
	p.shot("new-profile")
	p.both()

	// Refused: the reasons stand at the fields, and nothing is lost.
	p.fill("Email", "not an address")
	p.click("Create Profile")
	p.see("The reasons stand beside the fields.")
	p.see("A person needs a first or a last name.")
	if got := p.focused(); !strings.HasPrefix(got, "Last name") {
		t.Errorf("the keyboard is on %q", got)
	}
	p.both()
	// By keyboard alone from here.
	p.keys("García")
	p.press(kb.Shift, kb.Tab)
	p.keys("Ana")
	p.see("There is already a profile of this name")
	p.see("Ana García (202)")
	p.tab("Email")
	p.press(kb.Control, "a")
	p.keys("Office@bakery.example.org")
	p.see("This email is used already")
	p.see("Harbour Bakery (201)")
	p.both()
	p.fill("Last name", "Newcomer")
	p.gone("There is already a profile of this name")
	p.fill("Email", "ana.newcomer@example.com")
	p.gone("This email is used already")
	p.fill("Profile ID", "202")
	p.fill("Related to", "harbour bak")
	p.see("Harbour Bakery")
	p.click("/^Harbour Bakery")
	p.click("Create Profile")
	p.see("Please say what the relationship is, such as Employee.")
	p.fill("Relationship", "Employee")
	p.click("Create Profile")
	p.see("There is a profile 202 already.")
	if !p.has("Look at profile 202") {
		t.Error("the profile with this ID is not offered")
	}
	p.fill("Profile ID", "")

	p.click("Create Profile")
	p.waitFor("the credentials", `/^#.profiles.[0-9]+.credentials$/.test(location.hash)`)
	p.said("Ana Newcomer was created as profile")
	id := strings.Split(p.hash(), "/")[2]
	made := w.api("GET", "/api/profiles/"+id, nil)
	if made["email"] != "ana.newcomer@example.com" || made["status"] != "active" || len(made["relations"].([]any)) != 1 {
		t.Errorf("stored is %v", made)
	}
	// The way back leads to where one came from.
	value[bool](p, `(history.back(), true)`)
	p.at("/profiles?status=prospect")
	p.look("newcomer")
	p.see("ana.newcomer@example.com")

	// Leaving what is typed is asked about.
	p.click("+ New Profile")
	p.see("Who it is")
	p.fill("First name", "Half")
	p.click("Cancel")
	p.see("Leave without creating the profile?")
	p.axe()
	p.click("Stay")
	if got := p.field("First name"); got != "Half" {
		t.Errorf("after staying, the first name is %q", got)
	}
	p.click("Cancel")
	p.click("Leave")
	p.see("Profile Selector")
	p.at("/profiles")
}

// An answer that is lost makes no second profile, whatever is typed in between.
func TestNewProfileAnswerLost(t *testing.T) {
	w := start(t, nil)
	p := w.signInAt("Manager", "#/profiles/new?"+url.Values{"name": {"Lou Lost"}}.Encode())
	p.see("New Profile")
	lost := p.lose("POST", "/api/profiles")
	p.click("Create Profile")
	lost()
	p.see("It may have been created")
	p.both()
	p.click("Create Profile")
	p.waitFor("the credentials", `/^#.profiles.[0-9]+.credentials$/.test(location.hash)`)
	if all := w.api("GET", "/api/profiles?search=lou+lost", nil)["profiles"].([]any); len(all) != 1 {
		t.Errorf("there are %d", len(all))
	}

	p = w.signInAt("Manager", "#/profiles/new?name=Max+Missing")
	p.see("Who it is")
	lost = p.lose("POST", "/api/profiles")
	p.click("Create Profile")
	lost()
	p.see("It may have been created")
	p.fill("First name", "Maxine")
	p.click("Create Profile")
	p.see("Your first try was created after all")
	p.both()
	if all := w.api("GET", "/api/profiles?search=missing", nil)["profiles"].([]any); len(all) != 1 {
		t.Errorf("there are %d", len(all))
	}
	p.click("Open profile")
	p.waitFor("the profile", `/^#.profiles.[0-9]+.general$/.test(location.hash)`)
	p.see("Max Missing")

	// A company with markup in its name is shown as text.
	p.open("#/profiles/new")
	p.see("Who it is")
	p.tick("Company")
	p.fill("Organization name", `<script>alert(1)</script> & {{Sons}}`)
	p.click("Create Profile")
	p.waitFor("the credentials", `/^#.profiles.[0-9]+.credentials$/.test(location.hash)`)
	p.said(`<script>alert(1)</script> & {{Sons}} was created as profile`)
	p.open("#/profiles?type=organization")
	p.see(`<script>alert(1)</script> & {{Sons}}`)

	// A viewer has no such form.
	viewer := w.signInAt("Viewer", "#/profiles/new")
	viewer.see("Your role does not include this")
	if viewer.has("+ New Profile") {
		t.Error("a viewer is offered to make a profile")
	}
}
