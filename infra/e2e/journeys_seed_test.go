package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// Passwords that people of the journeys choose.
const (
	phrase  = "violet kettle marches north"
	another = "seven quiet lanterns drift"
	longer  = "a far longer one: seventeen green bicycles lean on the wall of the harbour"
)

// S1: "Quick Search at the top of the screen finds a profile; Edit Profile
// opens it. Searches by name or profile ID."
func TestS1QuickSearchFindsByNameOrID(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(doc{"firstName": "Zoë", "lastName": "Quarterdeck" + unique(), "organizationName": "Fernwood Saddlery"})
	last := strings.TrimPrefix(p.Name, "Zoë ")
	for what, typed := range map[string]string{
		"last name": last, "beginning": strings.ToLower(last[:len(last)-1]), "no accents, both words": "zoe " + last,
		"the other way round": last + " zoe", "profile ID": p.ID, "email": p.Email,
	} {
		hits := w.get("/api/profiles?search=" + escape(typed)).list("profiles")
		if len(hits) != 1 || hits[0].text("id") != p.ID || hits[0].text("name") != p.Name {
			t.Errorf("%s: %q finds %d profiles, want %s", what, typed, len(hits), p.ID)
		}
	}
	p.profile().is("name", p.Name).is("firstName", "Zoë").is("email", p.Email)
	w.api("GET", "/api/profiles/nobody-"+unique(), nil).refused(http.StatusNotFound, "profile_not_found")
}

// S2: "Profile Selector: filter tabs, result list with Edit per row, 'Email
// List' back to the mail screen, second search over related profiles."
func TestS2ProfileSelectorFiltersAndPicksForAMailing(t *testing.T) {
	t.Parallel()
	w := begin(t)
	company := w.person(doc{"type": "organization", "organizationName": "Selector Rope Works " + unique(), "status": "active"})
	kind := "Rigger " + unique()
	var staff []string
	for range 3 {
		p := w.person(doc{"status": "non-member", "relations": []doc{{"to": company.ID, "kind": kind}}})
		staff = append(staff, p.ID)
	}
	lapsed := w.person(doc{"status": "lapsed", "relations": []doc{{"to": company.ID, "kind": kind}}})

	// The filters narrow together; the walk over everybody has pages.
	found := w.listed("relationship=" + escape(kind) + "&status=non-member&type=individual")
	if !slices.Equal(sorted(found), sorted(staff)) {
		t.Errorf("the filter lists %v, want %v", found, staff)
	}
	// The second search: who is related.
	var related []string
	for _, r := range w.get(company.path("/related")).list("profiles") {
		related = append(related, r.text("id"))
	}
	if want := append(slices.Clone(staff), lapsed.ID); !slices.Equal(sorted(related), sorted(want)) {
		t.Errorf("related are %v, want %v", related, want)
	}
	// What was ticked goes back to the mail.
	c := w.compose(doc{"subject": "To those I picked", "html": "<p>Hello [[FIRSTNAME]]</p>", "audience": doc{"profiles": staff[:2]}})
	c.count().is("mails", 2).is("profiles", 2)
	// A row is edited from the list.
	(person{w: w, ID: staff[0]}).edit(doc{"status": "dropped"}).want(http.StatusOK).is("status", "dropped")
	if left := w.listed("relationship=" + escape(kind) + "&status=non-member"); len(left) != 2 {
		t.Errorf("%d left after one was dropped, want 2", len(left))
	}
}

// S3: "Edit Profile is one form with tabs. Changing tab needs no saving; one
// Save Profile writes all tabs."
func TestS3OneSaveWritesAllTabs(t *testing.T) {
	t.Parallel()
	w := begin(t)
	company := w.person(doc{"type": "organization", "organizationName": "Tabs Ltd " + unique()})
	p := w.person(nil)
	before := p.profile()
	saved := p.edit(doc{
		"firstName": "Beatrix", "memberSince": "2019-04-01", "doNotEmail": true,
		"relations": []doc{{"to": company.ID, "kind": "Employee", "mainContact": true}},
	}).want(http.StatusOK)
	saved.is("version", before.number("version")+1).is("firstName", "Beatrix").is("memberSince", "2019-04-01").is("doNotEmail", true)
	if len(saved.list("relations")) != 1 || len(saved.list("changed")) != 4 {
		t.Errorf("one save changed %v", saved.at("changed"))
	}
	// One wrong tab, and nothing of the form is written; all faults are told at once.
	r := p.edit(doc{"firstName": "Never", "memberSince": "2019-02-30", "email": "no address"}).want(http.StatusBadRequest)
	if len(r.list("problems")) != 2 {
		t.Errorf("two faults are told as %s", clip(r.Body))
	}
	p.profile().is("firstName", "Beatrix").is("version", before.number("version")+1)
	// The credentials are a pending change of their own, with a version of their own.
	p.credentials().is("version", 0)
}

// S4: "Web Portal Credentials tab shows the username read-only."
func TestS4CredentialsTabShowsTheUsername(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(nil)
	p.credentials().is("username", "").is("passwordSet", false).is("loginStatus", "none")
	name := "harbour." + unique()
	p.change(doc{"username": name}).want(http.StatusOK)
	// Whoever may only look sees it, too, and cannot change it.
	w.as("viewer").get(p.path("/credentials")).is("username", name).is("passwordSet", false)
	w.as("viewer").api("PUT", p.path("/credentials"), doc{"username": "x" + name}, "If-Match", p.credentials().etag()).refused(http.StatusForbidden, "forbidden")
	p.profile().is("username", name)
}

// S5: "Masked placeholder shows if a password is stored, and only then. Fixed
// length, independent of the password."
func TestS5PlaceholderExactlyWhenThereIsAPassword(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p, q := w.person(nil), w.person(nil)
	if has := p.credentials().at("passwordPlaceholder"); has != nil {
		t.Errorf("a placeholder without a password: %v", has)
	}
	p.change(doc{"username": "only-a-name." + unique()}).want(http.StatusOK)
	if has := p.credentials().at("passwordPlaceholder"); has != nil {
		t.Errorf("a placeholder with only a username: %v", has)
	}
	p.change(doc{"password": phrase}).want(http.StatusOK)
	q.change(doc{"password": longer}).want(http.StatusOK)
	one, two := p.credentials().text("passwordPlaceholder"), q.credentials().text("passwordPlaceholder")
	if one == "" || one != two || len(one) == len(phrase) || strings.Trim(one, one[:1]) != "" {
		t.Errorf("placeholders are %q and %q", one, two)
	}
}

// S6: "Change Credentials makes the fields editable and blanks the password
// box." What is left blank, and the placeholder itself, change nothing.
func TestS6ABlankPasswordBoxKeepsThePassword(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(nil)
	p.change(doc{"password": phrase}).want(http.StatusOK)
	seen := p.credentials()
	for what, fields := range map[string]doc{
		"blank box": {"password": ""}, "placeholder": {"password": seen.text("passwordPlaceholder")}, "nothing": {},
		"all as it was": {"username": seen.text("username"), "password": ""},
	} {
		if r := p.change(fields).want(http.StatusOK); r.number("version") != seen.number("version") {
			t.Errorf("%s: the version moved from %d to %d", what, seen.number("version"), r.number("version"))
		}
	}
	// A new username alone keeps the password.
	name := "renamed." + unique()
	p.change(doc{"username": name, "password": ""}).want(http.StatusOK).is("username", name).is("passwordSet", true)
	w.browser().signIn(name, phrase).shows("Please choose a password of your own")
}

// S7: "Cancel: nothing is changed."
func TestS7CancelChangesNothing(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(nil)
	p.change(doc{"password": phrase}).want(http.StatusOK)
	before, trail := p.credentials(), len(p.trail())
	// The window opens, staff generate and check a password, and cancel.
	fresh := w.api("POST", "/api/passwords/generate", nil).want(http.StatusOK).text("password")
	w.api("POST", "/api/passwords/check", doc{"password": fresh, "profileId": p.ID}).want(http.StatusOK).is("ok", true)
	after := p.credentials()
	if string(after.Body) != string(before.Body) || after.etag() != before.etag() || len(p.trail()) != trail {
		t.Errorf("looking changed something: %s and then %s", before.Body, after.Body)
	}
	w.browser().signIn(p.Email, fresh).shows("That did not work")
	w.browser().signIn(p.Email, phrase).hides("That did not work")
}

// S8: "Enter a username if blank, type the new password, Save Profile: salted
// hash goes to the authentication database; screen returns to read-only with
// the placeholder."
func TestS8StaffSetUsernameAndPassword(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(nil)
	name := "Capital.Name" + unique()
	saved := p.change(doc{"username": "  " + name + " ", "password": phrase}).want(http.StatusOK)
	saved.is("username", strings.ToLower(name)).is("passwordSet", true).is("passwordChangedBy", "staff").is("loginStatus", "active").is("version", 1)
	if saved.text("passwordPlaceholder") == "" {
		t.Error("no placeholder after saving")
	}
	for _, r := range []response{saved, p.credentials(), p.profile(), w.get(p.path("/activity"))} {
		if body := string(r.Body); strings.Contains(body, "argon2") || strings.Contains(body, phrase) {
			t.Errorf("%s gives away the password or its hash: %s", r.what, clip(r.Body))
		}
	}
	// Without a username the email becomes it; without either it is refused.
	q := w.person(nil)
	q.change(doc{"password": phrase}).want(http.StatusOK).is("username", q.Email)
	w.person(doc{"email": nil}).change(doc{"password": phrase}).refused(http.StatusBadRequest, "username_required")
	// It works, and the member then chooses one that staff do not know (P11).
	w.browser().signIn(name, phrase).shows("Please choose a password of your own")
}

// S9: "Send Password Reset Email sends only if the profile has an email. No
// username needed."
func TestS9ResetEmailNeedsAnAddressAndNoUsername(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.person(doc{"email": nil}).reset().refused(http.StatusUnprocessableEntity, "no_email")
	p := w.person(nil)
	p.credentials().is("username", "")
	p.reset().want(http.StatusAccepted).is("address", p.Email)
	m := w.next(p.Email)
	w.browser().open(m.link()).shows("Set your password", p.Name)
	p.credentials().is("loginStatus", "invited").is("lastLink.address", p.Email)
	// A person who may not sign in gets none, and staff are told why.
	w.person(doc{"status": "lapsed"}).reset().refused(http.StatusUnprocessableEntity, "not_allowed").is("reason", "not_a_member")
}

// S10: "Confirmation window first; Send Email sends."
func TestS10NothingIsSentBeforeTheConfirmation(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(doc{"doNotEmail": true})
	// What the window shows: where it would go, and what to know about it.
	p.profile().is("email", p.Email).is("doNotEmail", true).is("access.allowed", true)
	w.noMail(p.Email)
	asked := time.Now()
	sent := w.as("frontdesk").api("POST", p.path("/reset-emails"), nil).want(http.StatusAccepted)
	sent.is("address", p.Email).is("doNotEmail", true) // it goes nevertheless (U6), and the screen says so
	ends, err := time.Parse(time.RFC3339, sent.text("endsAt"))
	if err != nil || ends.Sub(asked) < 23*time.Hour || ends.Sub(asked) > 24*time.Hour+time.Minute {
		t.Errorf("the link ends %s, %v after the request", sent.text("endsAt"), ends.Sub(asked))
	}
	w.next(p.Email)
	// Pressing twice: the same key sends once; without one staff are told of the earlier link.
	key := "confirm-" + unique()
	first := w.api("POST", p.path("/reset-emails"), nil, "Idempotency-Key", key).want(http.StatusAccepted)
	if first.at("earlierLink") == nil {
		t.Error("staff are not told that an earlier link still works")
	}
	w.api("POST", p.path("/reset-emails"), nil, "Idempotency-Key", key).want(http.StatusAccepted).is("endsAt", first.text("endsAt"))
	w.next(p.Email)
	w.noMail(p.Email)
}

// S11: "The mail is the standard system 'Forgot Login' mail, not editable."
func TestS11ResetEmailIsTheStandardMail(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(doc{"firstName": "Þóra", "organizationName": "Net & Twine <Ltd>"})
	for _, text := range []doc{{"subject": "Mine"}, {"html": "<p>Mine</p>"}, {"message": "Mine"}} {
		w.api("POST", p.path("/reset-emails"), text).want(http.StatusBadRequest)
	}
	p.reset().want(http.StatusAccepted)
	m := w.next(p.Email)
	settings := w.get("/api/organization")
	m.says(
		"This is the login of "+p.Name+", Net & Twine <Ltd> (profile "+p.ID+").", // whose
		p.Email,                 // the username to be
		"Our staff have sent",   // why it came
		m.link(),                // the full address
		"This link works until", // when it ends
		"Did you not ask us for this? Then you do not need to do anything: nothing has changed.",
		w.portal("/sign-in"),
		settings.text("helpPhone"), settings.text("helpEmail"),
	)
	if !strings.Contains(m.Subject, settings.text("name")) || m.Mailing != nil {
		t.Errorf("subject %q, mailing %v", m.Subject, m.Mailing)
	}
	if !strings.HasPrefix(m.link(), w.portal("/set-password/")) {
		t.Errorf("the link leads elsewhere: %s", m.link())
	}
}

// S12: "The link lets the member set and confirm (type twice) a new password;
// then they can log in."
func TestS12LinkSetsThePasswordTypedTwice(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(nil)
	link := p.link()
	b := w.browser().open(link)
	// Two different ones, and one that is too easy: refused with the rule, and the link lives on.
	b.press("Set password", fill{"password": phrase, "again": another}).shows("Nothing has been saved yet")
	b.press("Set password", fill{"password": "short", "again": "short"}).shows("Nothing has been saved yet", "15")
	b.press("Set password", fill{"password": p.Email + p.Email, "again": p.Email + p.Email}).shows("Nothing has been saved yet")
	p.credentials().is("passwordSet", false)
	b.press("Set password", fill{"password": phrase, "again": phrase}).shows("Your password is set", p.Email)
	b.follow("Sign in").press("Sign in", fill{"username": p.Email, "password": phrase}).shows("Welcome, " + p.Name)
	p.credentials().is("passwordSet", true).is("loginStatus", "active").is("passwordChangedBy", "member").is("mustChange", false)
	// Used once: the page says so and helps.
	w.browser().open(link).shows("This link has been used", "please sign in")
	w.next(p.Email).says("A password was set for this login.")
}

// S13: "After that reset the email becomes the username if there was none.
// Existing username kept."
func TestS13EmailBecomesTheUsernameUnlessThereIsOne(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(doc{"email": "Mixed.Case" + unique() + "@Example.COM"})
	p.signsUp(phrase)
	p.credentials().is("username", strings.ToLower(p.Email))
	q := w.person(nil)
	name := "kept." + unique()
	q.change(doc{"username": name}).want(http.StatusOK)
	b := w.browser().open(q.link())
	if shown, _ := b.Value("username"); shown != name {
		t.Errorf("the page shows the username %q, want %q", shown, name)
	}
	b.press("Set password", fill{"password": phrase, "again": phrase}).shows(name)
	q.credentials().is("username", name)
	w.browser().signIn(name, phrase).shows("Welcome")
}

// S14: "Communication > Send Email": a message is composed, saved, found again,
// sent.
func TestS14ComposeAndSend(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(nil)
	c := w.compose(doc{})
	c.whole().is("state", "draft").is("complete", false)
	subject := "News of the harbour " + unique()
	saved := c.edit(doc{"subject": subject, "html": "<p>Dear [[NAME]], the harbour is open.</p>", "audience": doc{"profiles": []string{p.ID}}})
	saved.is("complete", true).is("subject", subject)
	if all := w.get("/api/mailings").list("mailings"); !slices.ContainsFunc(all, func(r response) bool { return r.text("id") == c.ID }) {
		t.Error("the draft is not in the list")
	}
	w.as("frontdesk").api("GET", "/api/mailings", nil).refused(http.StatusForbidden, "forbidden")
	c.send()
	m := w.next(p.Email)
	m.says("Dear " + p.Name + ", the harbour is open.")
	if m.Subject != subject || m.Mailing == nil || *m.Mailing != c.ID {
		t.Errorf("mail %q of mailing %v", m.Subject, m.Mailing)
	}
	c.done().is("state", "done").is("report.outcomes.delivered", 1)
	w.api("POST", "/api/mailings/"+c.ID+"/send", doc{"version": 1}).refused(http.StatusConflict, "already_sent")
	// A draft can be thrown away.
	other := w.compose(doc{"subject": "Never"})
	w.api("DELETE", other.path(""), nil, "If-Match", other.whole().etag()).want(http.StatusNoContent)
	w.api("GET", other.path(""), nil).refused(http.StatusNotFound, "mailing_not_found")
}

// S15: "Message tab: HTML editor; Special Field dropdown; 'Portal Login
// Credentials Link' can be inserted anywhere."
func TestS15SpecialFieldsStandAnywhere(t *testing.T) {
	t.Parallel()
	w := begin(t)
	var codes []string
	for _, f := range w.get("/api/special-fields").list("fields") {
		codes = append(codes, f.text("code"))
		if f.text("label") == "" || f.text("sample") == "" {
			t.Errorf("field without label or sample: %s", f.Body)
		}
	}
	if !slices.Contains(codes, "PORTALLOGINLINK") {
		t.Fatalf("fields are %v", codes)
	}
	p := w.person(doc{"firstName": "Æsa", "organizationName": "Twine {{.X}} & Sons"})
	for where, html := range map[string]string{
		"paragraph": "<p>Before [[PORTALLOGINLINK]] after</p>", "table": "<table><tr><td>[[PORTALLOGINLINK]]</td></tr></table>",
		"list": "<ul><li>[[PORTALLOGINLINK]]</li></ul>", "quotation": "<blockquote>[[PORTALLOGINLINK]]</blockquote>", "alone": "[[PORTALLOGINLINK]]",
		"heading, with all the others": "<h1>[[FIRSTNAME]] [[LASTNAME]], [[ORGANIZATIONNAME]]</h1><p>[[PROFILEID]] [[ASSOCIATION]] [[WEBSITE]] [[HELPLINE]] [[TODAY]]</p>[[PORTALLOGINLINK]]",
	} {
		c := w.compose(doc{"subject": "For [[FIRSTNAME]]", "html": html, "audience": doc{"profiles": []string{p.ID}}})
		shown := c.preview(p.ID)
		if shown.Subject != "For Æsa" || len(shown.links()) != 1 || !strings.HasSuffix(shown.link(), "/set-password/sample") {
			t.Errorf("%s: subject %q, links %v", where, shown.Subject, shown.links())
		}
		shown.says(p.Email)
		if strings.Contains(shown.HTML+shown.Text, "[[") {
			t.Errorf("%s: a field is left over: %s", where, shown.Text)
		}
	}
	// What could not work is refused when saving, with its place.
	for field, wrong := range map[string]doc{
		"subject": {"subject": "[[PORTALLOGINLINK]]", "html": "<p>x</p>"},
		"html":    {"subject": "x", "html": "<p>Hello [[FRISTNAME]]</p>"},
	} {
		r := w.api("POST", "/api/mailings", wrong).want(http.StatusBadRequest)
		if !strings.HasPrefix(r.text("field"), field) {
			t.Errorf("%s: refused at %q: %s", field, r.text("field"), clip(r.Body))
		}
	}
}

// S16: "On sending, each recipient's copy carries that person's username or
// email and a unique link to set or reset the password."
func TestS16EachCopyHasItsOwnUsernameAndLink(t *testing.T) {
	t.Parallel()
	w := begin(t)
	var people []person
	for range 5 {
		people = append(people, w.person(nil))
	}
	named := people[1]
	name := "first.mate." + unique()
	named.change(doc{"username": name}).want(http.StatusOK)
	c := w.credentialsFor(people...)
	c.send()
	c.done().is("report.outcomes.delivered", len(people))
	seen := map[string]bool{}
	for _, p := range people {
		m := w.next(p.Email)
		l := m.link()
		if seen[l] {
			t.Errorf("%s got a link that somebody else has", p.ID)
		}
		seen[l] = true
		username := p.Email
		if p.ID == named.ID {
			username = name
		}
		m.says("Username: " + username)
		b := w.browser().open(l).shows(p.Name, "profile "+p.ID)
		if shown, _ := b.Value("username"); shown != username {
			t.Errorf("the link of %s opens the username %q", p.ID, shown)
		}
		p.credentials().is("lastLink.mailing", c.ID).is("loginStatus", "invited")
	}
	// One uses theirs; the others' live on.
	w.browser().open(keys(seen)[0])
	b := w.browser().open(w.mails(people[0].Email)[0].link())
	b.press("Set password", fill{"password": phrase, "again": phrase}).shows("Your password is set")
	people[0].credentials().is("passwordSet", true)
	people[2].credentials().is("passwordSet", false)
	w.browser().open(w.mails(people[2].Email)[0].link()).shows("Set your password")
}

// S17: "Members and their related profiles hold separate credentials. They come
// from staff or from the member by email. Both kinds can be recipients."
func TestS17MembersAndRelatedHoldSeparateCredentials(t *testing.T) {
	t.Parallel()
	w := begin(t)
	member := w.person(doc{"type": "organization", "organizationName": "Separate Sails " + unique()})
	employee := w.person(doc{"status": "non-member", "relations": []doc{{"to": member.ID, "kind": "Employee"}}})
	stranger := w.person(doc{"status": "non-member"})

	// The member's come from staff, the employee's from the employee, by email.
	member.change(doc{"password": phrase}).want(http.StatusOK)
	w.browser().open("/forgot-login").press("Send me a link", fill{"login": employee.Email}).shows("Please look into your mailbox")
	b := w.browser().open(w.next(employee.Email).link()).shows(employee.Name)
	b.press("Set password", fill{"password": another, "again": another}).shows("Your password is set")
	w.next(employee.Email)

	// Neither opens the other's login.
	w.browser().signIn(member.Email, another).shows("That did not work")
	w.browser().signIn(employee.Email, phrase).shows("That did not work")
	w.browser().signIn(employee.Email, another).shows("Welcome, " + employee.Name)
	member.credentials().is("username", member.Email)
	employee.credentials().is("username", employee.Email)

	// A mailing goes to both kinds, and to nobody else.
	c := w.credentialsFor(member, employee, stranger)
	c.count().is("mails", 2).is("profiles", 3).is("skipped.not_allowed", 1)
	c.send()
	w.browser().open(w.nextOf(member.Email, c.ID).link()).shows("profile " + member.ID)
	w.browser().open(w.nextOf(employee.Email, c.ID).link()).shows("profile " + employee.ID)
	c.done().is("report.outcomes.skipped", 1).is("report.outcomes.delivered", 2)
}
