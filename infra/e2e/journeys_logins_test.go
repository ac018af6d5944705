package e2e_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// This file follows single logins through the rows of infra/requirements.md that
// go beyond the seed article: P (others have it), N (nobody has it), V (the
// vendor's).

// P1: "Login status per profile: none / invited / link expired / active /
// disabled, with last invite, password set at, last login." P2: "Filter list by
// that status and resend to the unactivated."
func TestP1LoginStatusAndP2RemindThoseWithoutPassword(t *testing.T) {
	t.Parallel()
	w := begin(t)
	target := w.person(nil)
	kind := "Spouse" // one that lets in
	mark := func(p person) {
		p.edit(doc{"relations": []doc{{"to": target.ID, "kind": "Filter " + target.ID}, {"to": target.ID, "kind": kind}}}).want(http.StatusOK)
	}
	none, invited, active, disabled := w.person(nil), w.person(nil), w.person(nil), w.person(nil)
	everybody := []person{none, invited, active, disabled}
	for _, p := range everybody {
		mark(p)
	}
	status := func(login string) []string {
		return sorted(w.listed("relationship=" + escape("Filter "+target.ID) + "&login=" + login))
	}
	w.credentialsFor(invited, active, disabled).send()
	for _, p := range []person{active, disabled} {
		w.browser().open(w.next(p.Email).link()).sets(phrase).shows("Your password is set")
		w.next(p.Email)
	}
	w.next(invited.Email)
	w.browser().signIn(active.Email, phrase).shows("Welcome")
	w.api("POST", disabled.path("/disable"), nil).want(http.StatusOK).is("loginStatus", "disabled")
	for login, want := range map[string][]person{
		"none": {none}, "invited": {invited}, "active": {active}, "disabled": {disabled}, "expired": nil, "no_password": {none, invited},
	} {
		ids := []string{}
		for _, p := range want {
			ids = append(ids, p.ID)
		}
		if got := status(login); !slices.Equal(got, sorted(ids)) {
			t.Errorf("login=%s lists %v, want %v", login, got, ids)
		}
	}
	c := active.credentials().is("loginStatus", "active")
	if c.text("lastSignInAt") == "" || c.text("passwordChangedAt") == "" || c.at("lastLink.sentAt") == nil {
		t.Errorf("staff do not see when: %s", c.Body)
	}

	// Whose link has ended stands under expired, and the reminder goes to those
	// of the first mailing who have set no password, with a further link.
	first := w.credentialsFor(none, invited, active)
	first.send()
	for _, p := range []person{none, invited, active} {
		w.nextOf(p.Email, first.ID)
	}
	first.done()
	old := w.mails(none.Email)[0].link()
	draft := w.api("POST", first.path("/reminders"), nil).want(http.StatusCreated)
	reminder := campaign{w, draft.is("remindsOf", first.ID).text("id")}
	reminder.count().is("mails", 2).is("profiles", 2)
	reminder.send()
	for _, p := range []person{none, invited} {
		fresh := w.nextOf(p.Email, reminder.ID).link()
		w.browser().open(fresh).shows("Set your password", "profile "+p.ID)
	}
	w.browser().open(old).shows("Set your password") // P6: the earlier one lives
	w.noMail(active.Email)
	reminder.done().is("report.outcomes.delivered", 2)
	reminder.do("revoke-links")
	invited.credentials().is("loginStatus", "expired")
	if got := status("expired"); !slices.Contains(got, invited.ID) {
		t.Errorf("login=expired lists %v", got)
	}
}

// N1 and P5: "One-click renewal from a dead link: mail me a fresh one, to the
// stored address. Nothing typed, address not shown."
func TestN1RenewalFromADeadLink(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p, lapsed := w.person(nil), w.person(nil)
	dead, refused := p.link(), lapsed.link()
	p.change(doc{"username": "renewed." + unique()}).want(http.StatusOK) // ends the link
	lapsed.change(doc{"username": "renewed." + unique()}).want(http.StatusOK)
	lapsed.edit(doc{"status": "lapsed"}).want(http.StatusOK)

	b := w.browser().open(dead).shows("This link has ended").hides(p.Email)
	answer := b.press("Send me a new link", nil).shows("Please look into your mailbox").hides(p.Email)
	m := w.next(p.Email).says("You asked for a new link, because the one in an earlier mail no longer works.")
	w.browser().open(m.link()).sets(phrase).shows("Your password is set")
	w.next(p.Email)

	// One who may not sign in reads the same words, and gets no mail.
	again := w.browser().open(refused).shows("This link has ended").press("Send me a new link", nil)
	if !bytes.Equal(again.Body, answer.Body) || again.Status != answer.Status {
		t.Errorf("the answers differ: %d %s and %d %s", answer.Status, answer.Text(), again.Status, again.Text())
	}
	w.noMail(lapsed.Email)
	// Neither does anyone get two mails a minute.
	w.browser().open(dead).press("Send me a new link", nil).shows("Please look into your mailbox")
	w.noMail(p.Email)

	// H8: an address that was cut off is no dead link, and says what to do.
	cut := w.browser().open(m.link()[:len(m.link())-4]).shows("This address is incomplete")
	if cut.Status != http.StatusNotFound {
		t.Errorf("a link that was cut off answers %d", cut.Status)
	}
	cut.follow("Have a new link sent to me").shows("Have a link sent to you")
}

// P8: "Same answer for an unknown address" (its mail to the unknown address is
// settled otherwise: none, X3). P9: "Shared address: mail lists each account
// with its own link."
func TestP8P9ForgotLogin(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(doc{"firstName": "Gus", "organizationName": "Net Makers"})
	q := w.person(doc{"firstName": "Hal", "email": p.Email})
	gone := w.person(doc{"firstName": "Ira", "email": p.Email, "status": "dropped"})
	unknown := "nobody." + unique() + "@example.com"
	ask := func(login string) *browser {
		return w.browser().open("/forgot-login").press("Send me a link", fill{"login": login})
	}
	answers := map[string]string{}
	for what, login := range map[string]string{"shared": strings.ToUpper(p.Email), "unknown": unknown, "no address": "¯\\_(ツ)_/¯", "name of nobody": "nobody." + unique()} {
		b := ask(login).shows("Please look into your mailbox")
		answers[string(b.Body)] = what
	}
	if len(answers) != 1 {
		t.Errorf("the page answers in %d ways: %v", len(answers), keys(answers))
	}
	m := w.next(p.Email).says("Each has a login and a link of its own", p.Name, q.Name, "profile "+p.ID, "profile "+q.ID, "Net Makers")
	if strings.Contains(m.HTML+m.Text, gone.Name) {
		t.Error("the mail names somebody who may not sign in")
	}
	links := m.links()
	if len(links) != 2 {
		t.Fatalf("%d links in the mail, want 2", len(links))
	}
	owners := map[string]string{}
	for _, l := range links {
		if match := whose.FindStringSubmatch(w.browser().open(l).Text()); match != nil {
			owners[match[1]] = l
		}
	}
	if owners[p.ID] == "" || owners[q.ID] == "" {
		t.Fatalf("the links open for %v", keys(owners))
	}
	// The first to come takes the email as username; the other chooses.
	w.browser().open(owners[p.ID]).sets(phrase).shows("Your password is set", p.Email)
	b := w.browser().open(owners[q.ID]).shows("Choose a username")
	name, _ := b.Value("username")
	b.press("Set password", fill{"password": another, "again": another}).shows("Your password is set", name)
	w.browser().signIn(p.Email, phrase).shows("Welcome, " + p.Name)
	w.browser().signIn(name, another).shows("Welcome, " + q.Name)
	// By username it serves, too: asked by Hal's, the mail is Hal's alone.
	w.next(p.Email)
	w.next(p.Email)
	w.noMail(unknown)
	solo := w.person(nil)
	solo.change(doc{"username": "solo." + unique()}).want(http.StatusOK)
	ask(solo.credentials().text("username"))
	w.browser().open(w.next(solo.Email).link()).shows("profile " + solo.ID)
	w.noMail(p.Email) // and a second time within the minute nobody is mailed
}

// P6: "A repeat request within the window does not kill the earlier link." P7:
// "Link consumed only by the successful POST; GET harmless; double click fine."
func TestP6P7LinksLiveUntilOneIsUsed(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(nil)
	first, second := p.link(), p.link()
	for range 3 { // scanners open pages
		w.do("HEAD", first, nil).want(http.StatusOK)
		w.do("GET", first, nil, "User-Agent", "SafeLinks").want(http.StatusOK)
	}
	p.credentials().is("passwordSet", false).is("version", 0)
	w.browser().open(second).shows("Set your password")
	// Eight clicks at once on the older one: one sets the password.
	var wg sync.WaitGroup
	var mu sync.Mutex
	headings := map[string]int{}
	var clicks []*browser
	for range 8 {
		clicks = append(clicks, w.browser().open(first))
	}
	for _, b := range clicks {
		wg.Go(func() {
			b.sets(phrase)
			mu.Lock()
			defer mu.Unlock()
			headings[b.Heading()]++
		})
	}
	wg.Wait()
	if headings["Your password is set"] != 1 || headings["This link has been used"] != 7 {
		t.Errorf("eight clicks show %v", headings)
	}
	p.credentials().is("version", 1)
	w.browser().open(second).shows("This link has ended")
	w.next(p.Email)
	w.noMail(p.Email) // one confirmation
	w.browser().signIn(p.Email, phrase).shows("Welcome")
}

// P11: "Staff-set password flagged 'must change at next login'." P26: "Sessions
// end on password change."
func TestP11MustChangeAndP26SessionsEnd(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(nil)
	given := w.api("POST", "/api/passwords/generate", nil).want(http.StatusOK).text("password")
	if words := strings.FieldsFunc(given, func(r rune) bool { return !('a' <= r && r <= 'z') }); len(words) < 4 || len(words) > 6 {
		t.Errorf("generated %q, which is hard to say on the phone", given)
	}
	p.change(doc{"password": given}).want(http.StatusOK).is("mustChange", true)
	w.next(p.Email).says("A password was set for this login.", "It was done by our staff")

	b, elsewhere := w.browser(), w.browser()
	elsewhere.signIn(p.Email, given).shows("Please choose a password of your own")
	b.signIn(p.Email, given).shows("Please choose a password of your own", "Our staff gave you the password")
	if b.signedIn() {
		t.Error("the portal opens before the password is changed")
	}
	b.open("/password").press("Change password", fill{"current": "not the one at all", "password": phrase, "again": phrase}).shows("The current password is not right")
	b.press("Change password", fill{"current": given, "password": given, "again": given}).shows("The new password is the current one")
	b.press("Change password", fill{"current": given, "password": phrase, "again": another}).shows("Nothing has been saved yet")
	b.press("Change password", fill{"current": given, "password": phrase, "again": phrase}).shows("Your password is changed")
	b.follow("Go on").shows("Welcome, " + p.Name)
	if elsewhere.open("/password"); !strings.HasSuffix(elsewhere.At.Path, "/sign-in") {
		t.Error("another session outlives the change of the password")
	}
	w.next(p.Email).says("The password of this login was changed.", "somebody who was signed in with this login")
	p.credentials().is("mustChange", false).is("passwordChangedBy", "member")
	w.browser().signIn(p.Email, given).shows("That did not work")
	w.browser().signIn(p.Email, phrase).shows("Welcome")
	// Staff end all sessions.
	w.api("POST", p.path("/sign-out"), nil).want(http.StatusOK)
	if b.signedIn() {
		t.Error("a session outlives sign-out by staff")
	}
	// The member signs out.
	b.signIn(p.Email, phrase).press("Sign out", nil).shows("You are signed out")
	if b.signedIn() {
		t.Error("a session outlives signing out")
	}
}

// "Use this one" without JavaScript: the passphrase that the page offers is
// filled in, and sets the password.
func TestSuggestedPassphraseWithoutJavaScript(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(nil)
	b := w.browser().open(p.link()).press("Use this one", nil).shows("The password below is filled in for you")
	offered, _ := b.Value("password")
	p.credentials().is("passwordSet", false)
	b.press("Set password", nil).shows("Your password is set")
	w.browser().signIn(p.Email, offered).shows("Welcome")
}

// P14: "Disable/enable login; failed-attempt lockout and staff unlock; reset
// ends lockout."
func TestP14DisableEnableUnlock(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(nil)
	p.signsUp(phrase)
	b := w.browser()
	b.signIn(p.Email, phrase).shows("Welcome")
	link := p.link()

	// Disabled: no session, no sign-in, no link made or usable; forgot login answers as ever.
	w.as("viewer").api("POST", p.path("/disable"), nil).refused(http.StatusForbidden, "forbidden")
	w.as("frontdesk").api("POST", p.path("/disable"), nil).want(http.StatusOK).is("disabled", true)
	w.next(p.Email).says("This login was switched off")
	if b.signedIn() {
		t.Error("a session outlives disabling")
	}
	w.browser().signIn(p.Email, phrase).shows("That did not work")
	p.reset().refused(http.StatusUnprocessableEntity, "login_disabled")
	if dead := w.browser().open(link); dead.button("Set password") != nil {
		t.Errorf("a link works for a disabled login: %s", dead.Text())
	}
	w.browser().open("/forgot-login").press("Send me a link", fill{"login": p.Email}).shows("Please look into your mailbox")
	w.noMail(p.Email)
	p.credentials().is("username", p.Email).is("passwordSet", true).is("loginStatus", "disabled")
	// Enabled: as before.
	w.api("POST", p.path("/enable"), nil).want(http.StatusOK).is("disabled", false)
	w.next(p.Email).says("This login was switched on again")
	b.signIn(p.Email, phrase).shows("Welcome").press("Sign out", nil)

	// Five failures, and the name waits; the right password waits, too, but for
	// the device that signed in before. An unknown name waits alike.
	stranger := "stranger." + unique()
	known, unknown := w.browser(), w.browser()
	for range 5 {
		known.signIn(p.Email, "wrong wrong wrong wrong").shows("That did not work")
		unknown.signIn(stranger, "wrong wrong wrong wrong").shows("That did not work")
	}
	known.signIn(p.Email, phrase).shows("Please wait a little", "have a link sent to you")
	unknown.signIn(stranger, phrase).shows("Please wait a little", "have a link sent to you")
	if known.Status != unknown.Status || known.Status != http.StatusTooManyRequests {
		t.Errorf("waits answer %d and %d", known.Status, unknown.Status)
	}
	b.signIn(p.Email, phrase).shows("Welcome")
	if c := p.check("not_waiting"); !c.yes("blocks") || c.text("fix.action") != "unlock" {
		t.Errorf("staff are not told of the wait: %s", c.Body)
	}
	w.as("frontdesk").api("POST", p.path("/unlock"), nil).want(http.StatusOK)
	known.signIn(p.Email, phrase).shows("Welcome")

	// A link ends a wait as well.
	q := w.person(nil)
	q.signsUp(phrase)
	guesser := w.browser()
	for range 5 {
		guesser.signIn(q.Email, "wrong wrong wrong wrong")
	}
	guesser.signIn(q.Email, phrase).shows("Please wait a little").follow("have a link sent to you").press("Send me a link", fill{"login": q.Email})
	w.browser().open(w.next(q.Email).link()).sets(another).shows("Your password is set")
	w.browser().signIn(q.Email, another).shows("Welcome")

	// Removing the credential erases it, frees the username, leaves the login disabled (H5c).
	w.next(q.Email)
	w.api("DELETE", q.path("/credentials"), nil, "If-Match", q.credentials().etag()).want(http.StatusOK).
		is("username", "").is("passwordSet", false).is("loginStatus", "disabled")
	w.next(q.Email).says("This login was removed")
	w.browser().signIn(q.Email, another).shows("That did not work")
}

// N7: "'Why can't this person log in?' panel: runs the vendor's checklist and
// offers the fix."
func TestN7WhyCanThisPersonNotSignIn(t *testing.T) {
	t.Parallel()
	w := begin(t)
	company := w.person(doc{"type": "organization", "organizationName": "Checklist Ltd " + unique(), "email": nil})
	p := w.person(doc{"status": "non-member", "relations": []doc{{"to": company.ID, "kind": "Billing Contact"}}})
	wants := func(code string, ok, blocks bool, fix string) {
		t.Helper()
		c := p.check(code)
		if c.yes("ok") != ok || c.yes("blocks") != blocks || c.text("fix.action") != fix || c.text("detail") == "" {
			t.Errorf("%s: %s; want ok %v, blocks %v, fix %q", code, c.Body, ok, blocks, fix)
		}
	}
	all := func() response { return w.get(p.path("/access")) }
	all().is("canSignIn", false)
	wants("may_enter", false, true, "edit_profile")
	p.edit(doc{"relations": []doc{{"to": company.ID, "kind": "Employee", "mainContact": true}}}).want(http.StatusOK)
	wants("may_enter", true, false, "")
	wants("username_set", false, true, "send_reset")
	wants("password_set", false, true, "send_reset")
	wants("link_works", false, false, "send_reset")
	link := p.link()
	wants("link_works", true, false, "")
	w.browser().open(link).sets(phrase)
	w.next(p.Email)
	all().is("canSignIn", true)
	for _, code := range []string{"may_enter", "login_enabled", "username_set", "username_is_email", "password_set", "password_works", "password_own", "not_waiting", "email_set", "email_own", "email_deliverable", "email_wanted", "link_works"} {
		wants(code, true, false, "")
	}
	p.edit(doc{"doNotEmail": true}).want(http.StatusOK)
	wants("email_wanted", false, false, "")
	p.change(doc{"password": another}).want(http.StatusOK)
	wants("password_own", false, false, "")
	w.api("POST", p.path("/disable"), nil).want(http.StatusOK)
	wants("login_enabled", false, true, "enable")
	all().is("canSignIn", false)

	// U9: an organization without an email is shown its main contact; staff choose
	// to send there, and the mail names whose login it is.
	w.api("POST", p.path("/enable"), nil).want(http.StatusOK)
	if c := company.check("email_set"); c.text("fix.action") != "send_to_main_contact" || c.text("fix.profile") != p.ID {
		t.Errorf("the main contact is not offered: %s", c.Body)
	}
	company.reset().refused(http.StatusUnprocessableEntity, "no_email").is("mainContacts.0.id", p.ID)
	w.taken[p.Email] = w.settled(p.Email, 5) // the link, and what was told of: set, changed, off, on
	w.api("POST", company.path("/reset-emails"), doc{"toMainContact": p.ID}).want(http.StatusAccepted).is("address", p.Email).is("mainContact.id", p.ID)
	m := w.next(p.Email).says("This is the login of " + company.Name)
	b := w.browser().open(m.link()).shows(company.Name, "profile "+company.ID, "Choose a username")
	name, _ := b.Value("username")
	b.sets(phrase).shows("Your password is set")
	w.browser().signIn(name, phrase).shows("Welcome, " + company.Name)
}

// N11: "Email-change guard: editing an email shows the effect on username,
// outstanding links (die) and shared-address state; notice to old and new."
func TestN11EmailChangeGuard(t *testing.T) {
	t.Parallel()
	w := begin(t)
	holder := w.person(nil)
	holder.signsUp(phrase)
	p := w.person(nil)
	p.signsUp(phrase)
	link := p.link()
	old := p.Email

	// Another spelling of the same mailbox is no change of the login.
	p.edit(doc{"email": strings.ToUpper(old)}).want(http.StatusOK).is("loginsEnded", nil).is("username", old)
	w.browser().open(link).shows("Set your password")
	// Somebody has that username: refused as a whole.
	p.edit(doc{"email": holder.Email, "usernameToo": true}).refused(http.StatusConflict, "username_taken")
	w.browser().open(link).shows("Set your password")
	// Unticked the username stays, and staff are told; the links die; both are told.
	fresh := "fresh." + unique() + "@example.net"
	p.edit(doc{"email": fresh, "usernameToo": false}).want(http.StatusOK).is("usernameStays", true).is("loginsEnded", true).is("username", old)
	w.browser().open(link).shows("This link has ended")
	w.next(old).says("It is no longer the one that this mail came to")
	w.next(fresh).says("Your username is now: " + old)
	w.browser().signIn(old, phrase).shows("Welcome")
	if c := p.check("username_is_email"); c.yes("ok") {
		t.Errorf("staff are not told that username and email differ: %s", c.Body)
	}
	// A shared address is shown.
	p.edit(doc{"email": holder.Email}).want(http.StatusOK).is("sharedWith.0.id", holder.ID)
}

// N12: "Change of eligibility kills links: outstanding links and sessions end."
// Here they do nothing while the right is gone, and are not used up by trying.
func TestN12LapseBlocksTheLinkWithoutUsingItUp(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(nil)
	link := p.link()
	form := w.browser().open(link) // open since before the lapse
	p.edit(doc{"status": "lapsed"}).want(http.StatusOK).is("accessChange.after.allowed", false)
	b := w.browser().open(link).shows("This login cannot be used at the moment", "not used up")
	if b.Status != http.StatusForbidden || b.button("Set password") != nil {
		t.Errorf("%d: %s", b.Status, b.Text())
	}
	form.sets(phrase).shows("This login cannot be used at the moment")
	p.credentials().is("passwordSet", false)
	if trail := p.trail(); !slices.Contains(trail, "link_refused") {
		t.Errorf("the refusal is not in the trail: %v", trail)
	}
	p.edit(doc{"status": "active"}).want(http.StatusOK)
	w.browser().open(link).sets(phrase).shows("Your password is set")
}

// V6: "Switch Profile after login for those who are Main Contact of, or Editor
// for, another profile", and edits name both; here where the relation says Can
// Edit.
func TestV6SwitchProfile(t *testing.T) {
	t.Parallel()
	w := begin(t)
	company := w.person(doc{"type": "organization", "organizationName": "Switch Gear " + unique()})
	p := w.person(doc{"status": "non-member", "relations": []doc{{"to": company.ID, "kind": "Owner", "canEdit": true}}})
	q := w.person(doc{"status": "non-member", "relations": []doc{{"to": company.ID, "kind": "Employee"}}})
	p.signsUp(phrase)
	q.signsUp(phrase)
	w.browser().signIn(q.Email, phrase).shows("Welcome").hides(company.Name)
	b := w.browser()
	b.signIn(p.Email, phrase).shows("You may also act for", company.Name)
	b.press(company.Name, nil).shows("You are acting for " + company.Name)
	entry := w.get(company.path("/activity")).list("entries")[0]
	entry.is("kind", "switched_profile").is("actor.kind", "member").is("actor.id", p.ID).is("actingFor", company.ID)
	b.press("Act for myself again", nil).hides("You are acting for")
	// Who is no editor any more is left at once.
	b.press(company.Name, nil).shows("You are acting for " + company.Name)
	p.edit(doc{"relations": []doc{{"to": company.ID, "kind": "Owner"}}}).want(http.StatusOK)
	b.open("").shows("Welcome").hides("acting for", "act for")
}

// V8: "Login accepts username or email"; where a mailbox is shared, the email
// means nobody (V9), unless it is a username.
func TestV8SignInByEmailUnlessShared(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(nil)
	p.change(doc{"username": "captain." + unique()}).want(http.StatusOK)
	p.signsUp(phrase)
	w.browser().signIn("  "+strings.ToUpper(p.Email)+" ", phrase).shows("Welcome, " + p.Name)
	q := w.person(doc{"email": p.Email}) // shares it, and has no login: nothing changes
	w.browser().signIn(p.Email, phrase).shows("Welcome, " + p.Name)
	q.change(doc{"username": "mate." + unique()}).want(http.StatusOK)
	w.browser().open(q.link()).sets(another).shows("Your password is set")
	w.browser().signIn(p.Email, phrase).shows("That did not work")
	w.browser().signIn(p.credentials().text("username"), phrase).shows("Welcome, " + p.Name)
}

// V21 and P13: the trail has what staff, members and the system did, and never
// a password or a link. P15: sent credential mail stands there, masked.
func TestP13TrailTellsMembersAndStaff(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(nil)
	c := w.credentialsFor(p)
	c.send()
	link := w.next(p.Email).link()
	w.browser().open(link).sets(phrase)
	w.browser().signIn(p.Email, phrase)
	w.browser().signIn(p.Email, another)
	p.change(doc{"password": another}).want(http.StatusOK)
	c.done()
	trail := w.get(p.path("/activity"))
	actors := map[string]string{}
	for _, e := range trail.list("entries") {
		actors[e.text("kind")] = e.text("actor.kind")
		if e.text("at") == "" || e.text("actor.from") == "" {
			t.Errorf("a line without when or where: %s", e.Body)
		}
	}
	for kind, actor := range map[string]string{
		"profile_created": "staff", "password_set": "member", "signed_in": "member", "sign_in_refused": "member", "password_changed": "staff",
	} {
		if actors[kind] != actor {
			t.Errorf("%s was done by %q, want %q", kind, actors[kind], actor)
		}
	}
	if mails := trail.list("mails"); len(mails) != 1 || mails[0].text("mailing") != c.ID || mails[0].text("outcome") != "delivered" {
		t.Errorf("the mailing is not in the trail: %v", trail.at("mails"))
	}
	token := link[strings.LastIndexByte(link, '/')+1:]
	for _, secret := range []string{token, phrase, another} {
		if strings.Contains(string(trail.Body), secret) {
			t.Error("the trail holds a secret")
		}
	}
	// Across profiles, as a table for the auditor.
	csv := w.get("/api/activity?kind=password_changed&format=csv")
	if !strings.Contains(string(csv.Body), p.ID) || !strings.HasPrefix(csv.Header.Get("Content-Type"), "text/csv") {
		t.Errorf("the table of activity has no line of %s: %s", p.ID, clip(csv.Body))
	}
}
