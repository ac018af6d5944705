package browser_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// The tab Web Portal Credentials: what is stored, Change Credentials, Send
// Password Reset Email, "Can they sign in?", and who may use the login.

const mask = "************"

func credentialsPath(id string) string { return "/api/profiles/" + id + "/credentials" }

// credentials is what is stored of a login.
func (w *world) credentials(id string) doc {
	w.Helper()
	return w.api("GET", credentialsPath(id), nil)
}

// put is what somebody else does to a login meanwhile.
func (w *world) put(id string, change doc) doc {
	w.Helper()
	return w.api("PUT", credentialsPath(id), change, "If-Match", fmt.Sprintf(`"%v"`, w.credentials(id)["version"]))
}

// loggedIn is an active member with a username, and "fine" as password.
func (w *world) loggedIn(username string) string {
	w.Helper()
	id := w.person(nil)
	w.put(id, doc{"username": username, "password": fine})
	return id
}

// unchanged runs what must leave a login as it is.
func (w *world) unchanged(id string, do func()) {
	w.Helper()
	before := fmt.Sprint(w.credentials(id))
	do()
	if after := fmt.Sprint(w.credentials(id)); after != before {
		w.Errorf("the login of %s has changed:\n%s\n%s", id, before, after)
	}
}

// openCredentials signs in on the way to the tab of a profile.
func (w *world) openCredentials(role, id string) *page {
	w.Helper()
	p := w.signInAt(role, "#/profiles/"+id+"/credentials")
	p.see("Login status")
	p.waitFor("the checks", `Boolean(document.querySelector(".checks")) || document.body.innerText.includes("does not include")`)
	return p
}

// holds waits until a field holds a text.
func (p *page) holds(label, want string) {
	p.Helper()
	p.waitFor(fmt.Sprintf("%s to hold %q", label, want), fmt.Sprintf(`%s?.value === %s`, find("field", label, 0), quoted(want)))
}

// confirm presses the button of the open window that does it.
func (p *page) confirm(title string) {
	p.Helper()
	p.dialog(title)
	p.clickCSS("dialog[open] .buttons .button:first-child:not(:disabled)")
}

// signsIn tries a member's username and password on the portal's own page.
func (w *world) signsIn(username, password string) *page {
	w.Helper()
	organization := w.api("GET", "/api/me", nil)["organization"].(map[string]any)
	p := w.visit("/portal/" + organization["id"].(string) + "/sign-in")
	p.fill("Username or email address", username)
	p.fill("Password", password)
	p.click("Sign in")
	return p
}

// S4: the username is shown, to be read.
func TestS4UsernameIsReadOnly(t *testing.T) {
	w := begin(t)
	id := w.loggedIn("read.only")
	for _, role := range []string{"Administrator", "Viewer"} {
		p := w.openCredentials(role, id)
		p.holds("Username", "read.only")
		p.holds("Password", mask)
		for _, label := range []string{"Username", "Password"} {
			if !value[bool](p, find("field", label, 0)+".readOnly") {
				t.Errorf("%s: %s can be typed into", role, label)
			}
		}
		p.see("by local administrator (staff)")
		p.see("It must be changed at the next sign-in.")
		p.see("stops working on")
		p.see("None yet.")
		p.both()
	}
	none := w.person(nil)
	p := w.openCredentials("Administrator", none)
	p.holds("Username", "")
	p.see("becomes the username when a password is set")
	p.see("No login yet") // P1
	p.both()
	without := w.person(doc{"email": ""})
	p.open("#/profiles/" + without + "/credentials")
	p.see("no email that could become it")
}

// S5: the placeholder is there exactly when a password is, and the same for all.
func TestS5PlaceholderOnlyWithAPassword(t *testing.T) {
	w := begin(t)
	none, short, long := w.person(nil), w.person(nil), w.person(nil)
	w.put(short, doc{"password": "fifteen letters"})
	w.put(long, doc{"password": strings.Repeat("sixty letters, or as many as one likes to type. ", 5)})
	p := w.openCredentials("Viewer", none)
	p.holds("Password", "")
	p.see("No password yet.")
	looks := func(id string) string {
		p.open("#/profiles/" + id + "/credentials")
		p.see("A password is stored; this is not its length.")
		p.holds("Password", mask)
		return value[string](p, `document.querySelector("[aria-labelledby=credentials] .fields").innerHTML.replace(/pat\d+@example.com|P\d+-\d+|id="[^"]*"|for="[^"]*"|describedby="[^"]*"/g, "")`)
	}
	if a, b := looks(short), looks(long); a != b {
		t.Errorf("the placeholder tells of the password:\n%s\n%s", a, b)
	}
}

// S6: Change Credentials opens the fields, the username filled and the password
// blank; Generate stands first.
func TestS6ChangeCredentials(t *testing.T) {
	w := begin(t)
	id := w.loggedIn("change.me")
	p := w.openCredentials("Manager", id)
	p.click("Change Credentials")
	p.hasFocus("Username")
	p.holds("Username", "change.me")
	p.holds("New password", "")
	p.see("Leave it blank to keep the password as it is.")
	p.see("At least 15 characters.") // the rule, before
	if value[bool](p, fmt.Sprintf(`Boolean(%s.compareDocumentPosition(%s) & Node.DOCUMENT_POSITION_FOLLOWING)`, find("field", "New password", 0), find("control", "Generate a password", 0))) {
		t.Error("Generate stands behind the field")
	}
	p.both()
	p.mark("Web Portal Credentials", "")

	// Reasons while typing, which stays as fast as it is while they are on their way.
	restore := p.answered("/api/passwords/check", 0, "")
	p.fill("New password", "change.me")
	p.see("It is checked when you save.")
	restore()
	p.keys(" change.me!")
	p.see("names that others know")
	p.mark("Web Portal Credentials", "not saved")
	p.both()
	p.fill("New password", mask)
	p.see("asterisks")
	p.fill("New password", fine)
	p.see("This password can be used.")

	// Generate, show, hide, copy.
	value[bool](p, `(navigator.clipboard.writeText = async (text) => { window.copied = text; }, true)`)
	p.click("Generate a password")
	p.waitFor("a password of words", fmt.Sprintf(`/^[a-z]+(-[a-z]+){3,}$/.test(%s.value)`, find("field", "New password", 0)))
	generated := p.field("New password")
	kind := func(want string) {
		t.Helper()
		p.waitFor("the field to be of type "+want, fmt.Sprintf(`%s.type === %s`, find("field", "New password", 0), quoted(want)))
	}
	kind("text")
	p.see("until you save, and never again")
	p.see("The member has to change it at the first sign-in.")
	p.see("This password can be used.")
	p.both()
	p.shot("credentials-change")
	p.click("Hide: New password")
	kind("password")
	p.click("Show: New password")
	kind("text")
	p.click("Copy the new password")
	p.said("The password was copied.")
	if got := value[string](p, "copied"); got != generated {
		t.Errorf("%q was copied", got)
	}
	p.click("Generate another")
	p.waitFor("another one", fmt.Sprintf(`%s.value !== %s`, find("field", "New password", 0), quoted(generated)))
	generated = p.field("New password")

	// What was typed lives across the tabs.
	p.openTab("Activity")
	p.openTab("Web Portal Credentials")
	p.holds("New password", generated)
	p.click("Save Profile")
	p.said("Saved.")
	p.holds("Password", mask)
	if left := value[bool](p, fmt.Sprintf(`document.documentElement.outerHTML.includes(%s)`, quoted(generated))); left {
		t.Error("the generated password is still on the page")
	}
	p.both()
	p.shot("credentials")
	member := w.signsIn("change.me", generated)
	member.see("new password") // must-change lands there
}

// S7, U5: Cancel drops what was typed into the fields of the credentials, and
// nothing else.
func TestS7CancelDropsOnlyTheCredentials(t *testing.T) {
	w := begin(t)
	id := w.loggedIn("stay.as.it.is")
	p := w.openCredentials("Administrator", id)
	w.unchanged(id, func() {
		p.openTab("General")
		p.fill("First name", "Kept")
		p.openTab("Web Portal Credentials")
		p.click("Change Credentials")
		p.fill("Username", "something.else")
		p.click("Generate a password")
		p.see("This password can be used.")
		p.click("Cancel")
		p.hasFocus("Change Credentials")
		p.holds("Username", "stay.as.it.is")
		p.holds("Password", mask)
		p.mark("Web Portal Credentials", "")
		p.mark("General", "not saved")
		p.click("Change Credentials")
		p.holds("Username", "stay.as.it.is")
		p.holds("New password", "")
		p.click("Cancel")
		p.click("Save Profile")
		p.said("Saved.")
	})
	w.wants(id, doc{"firstName": "Kept", "username": "stay.as.it.is"})

	// What was refused goes with Cancel, too.
	w.loggedIn("refused.name")
	p.click("Change Credentials")
	p.fill("Username", "refused.name")
	p.click("Save Profile")
	p.refused("Username", "in use already")
	p.see("The credentials were not saved")
	p.click("Cancel")
	p.gone("The credentials were not saved")
	p.mark("Web Portal Credentials", "")
}

// S8: Save Profile stores what was typed and no more, and the tab is read-only
// again with the placeholder.
func TestS8SaveProfileStores(t *testing.T) {
	w := begin(t)
	id := w.person(doc{"email": "s8@example.com"})
	p := w.openCredentials("Administrator", id)
	p.click("Change Credentials")
	p.see("the email becomes the username: s8@example.com")
	p.fill("New password", fine)
	p.click("Save Profile")
	p.said("Saved.")
	p.holds("Username", "s8@example.com")
	p.holds("Password", mask)
	p.see("A password is stored; this is not its length.")
	p.see("Active")
	p.see("Yes, they can sign in.")
	w.signsIn("s8@example.com", fine).see("new password")

	// U1: a username alone keeps the password.
	before := w.credentials(id)
	p.click("Change Credentials")
	p.fill("Username", " S8.Renamed ")
	p.keys(kb.Enter) // saves, as the button does
	p.said("Saved.")
	p.holds("Username", "s8.renamed")
	after := w.credentials(id)
	if after["passwordChangedAt"] != before["passwordChangedAt"] || after["passwordSet"] != true {
		t.Errorf("the password has changed with the username: %v", after)
	}
	w.signsIn("s8.renamed", fine).see("new password")

	// Taken: free ones are offered.
	w.loggedIn("s8.taken")
	p.click("Change Credentials")
	p.fill("Username", "s8.taken")
	p.click("Save Profile")
	p.refused("Username", "This username is in use already.")
	p.see("These are free:")
	p.both()
	p.shot("credentials-taken")
	p.click("Use ")
	p.hasFocus("Username")
	offered := p.field("Username")
	p.click("Save Profile")
	p.said("Saved.")
	p.holds("Username", offered)

	// U2: a username is not taken away, and a password cannot be.
	p.click("Change Credentials")
	p.fill("Username", "")
	p.click("Save Profile")
	p.refused("Username", "The username is empty.")
	p.fill("Username", "someone.else@example.org")
	p.click("Save Profile")
	p.refused("Username", "must be the email address of this profile")
	p.fill("Username", "with space")
	p.fill("New password", "short")
	p.see("At least 15")
	p.click("Save Profile")
	p.refused("Username", "has a space in it")
	p.refused("New password", "too short")
	p.axe()
	p.click("Cancel")
	w.wants(id, doc{"username": offered})

	// No username, and no email to become one.
	without := w.person(doc{"email": "", "firstName": "Una", "lastName": "Named"})
	p = w.openCredentials("Administrator", without)
	p.click("Change Credentials")
	p.see("please type one")
	p.fill("New password", fine)
	p.click("Save Profile")
	p.refused("Username", "needs a username")
	p.click("Use una")
	p.click("Save Profile")
	p.said("Saved.")
	p.holds("Password", mask)
}

// U4: of those who share a mailbox one has the email as username; staff give the
// other a name of their own.
func TestU4SharedMailboxNeedsAUsername(t *testing.T) {
	w := begin(t)
	first := w.person(doc{"email": "u4@example.com"})
	w.login(first)
	id := w.person(doc{"firstName": "Second", "email": "u4@example.com"})
	p := w.openCredentials("Administrator", id)
	p.click("Change Credentials")
	p.fill("New password", fine)
	p.click("Save Profile")
	p.refused("Username", "needs a username")
	p.see("These are free:")
	if value[bool](p, `document.querySelector(".field.refused").innerText.includes("Number")`) {
		t.Error("the refusal tells who has it")
	}
	p.both()
}

// S9: sent only where there is an email; no username is needed. The reason stands
// beside a button that cannot be used.
func TestS9ResetNeedsAnEmail(t *testing.T) {
	w := begin(t)
	blocked := func(p *page, reason string) {
		t.Helper()
		p.see(reason)
		if !value[bool](p, `document.querySelector("[aria-labelledby=reset] .button").disabled`) {
			t.Errorf("the button can be used though %s", reason)
		}
		p.both()
	}
	p := w.openCredentials("Front desk", w.person(doc{"email": ""}))
	blocked(p, "There is no email, so there is nowhere to send a link.")
	p.shot("credentials-no-email")
	p.openTab("General")
	p.fill("Email", "not.stored@example.com")
	p.openTab("Web Portal Credentials")
	blocked(p, "Save the profile first")
	disabled := w.person(nil)
	w.api("POST", "/api/profiles/"+disabled+"/disable", nil)
	p = w.openCredentials("Front desk", disabled)
	blocked(p, "The login is disabled. Enable it first.")
	p.open("#/profiles/" + w.person(doc{"status": "dropped"}) + "/credentials")
	blocked(p, "They may not sign in at present (is no member, and related to none), so a link would not work.")

	// A company without one: its main contact can have it (U9, V3).
	company := w.person(doc{"type": "organization", "organizationName": "S9 Ltd", "firstName": "", "lastName": "", "email": ""})
	contact := w.person(doc{"firstName": "Cora", "lastName": "Contact", "email": "cora.s9@example.com", "status": "non-member", "relations": []doc{{"to": company, "kind": "Owner", "mainContact": true}}})
	w.person(doc{"firstName": "Not", "lastName": "Contact", "relations": []doc{{"to": company, "kind": "Employee"}}})
	p.open("#/profiles/" + company + "/credentials")
	blocked(p, "There is no email")
	p.click("Send to its main contact Cora Contact")
	p.dialog("Send Password Reset Email?")
	p.see("Cora Contact, main contact (profile " + contact + ")")
	p.see("cora.s9@example.com")
	p.see("S9 Ltd (profile " + company + ")")
	p.both()
	p.shot("credentials-main-contact")
	p.click("Send Email")
	p.see("It goes to cora.s9@example.com.")
	p.see("That is the main contact, Cora Contact.")
	if m := w.mailTo("cora.s9@example.com"); !strings.Contains(m.Text, "S9 Ltd") {
		t.Errorf("the mail does not say whose login it is: %s", m.Text)
	}

	// No username needed.
	p.open("#/profiles/" + w.person(doc{"email": "s9.no.username@example.com"}) + "/credentials")
	p.click("Send Password Reset Email")
	p.see("becomes the username when a password is set")
	p.click("Send Email")
	p.see("The email is on its way")
	w.mailTo("s9.no.username@example.com")
}

// S10, P16: a window first, that says what is to be known; Send Email sends, once.
func TestS10P16ConfirmFirst(t *testing.T) {
	w := begin(t)
	id := w.person(doc{"firstName": "Sam", "lastName": "Shared", "email": "s10@example.com", "doNotEmail": true})
	other := w.person(doc{"firstName": "Olga", "lastName": "Other", "email": "S10@example.com"})
	p := w.openCredentials("Front desk", id)
	w.unchanged(id, func() {
		for _, leave := range []func(){func() { p.click("Cancel") }, func() { p.press(kb.Escape) }} {
			p.click("Send Password Reset Email")
			p.dialog("Send Password Reset Email?")
			p.see("Sam Shared (profile " + id + ")")
			p.see("s10@example.com")
			leave()
			p.noDialog()
			p.hasFocus("Send Password Reset Email")
		}
	})
	p.click("Send Password Reset Email")
	p.see("The same address is used by Olga Other (" + other + ")")
	p.see("is allowed, and is sent")
	p.both()
	p.shot("credentials-confirm")

	// However often it is pressed it is sent once.
	value[bool](p, `(document.querySelector("dialog .button.primary").click(), document.querySelector("dialog .button.primary").click(), true)`)
	p.see("The email is on its way")
	p.see("It goes to s10@example.com. Its link works until")
	p.see("It goes despite “Do not email”.")
	p.see("The mailbox is also used by Olga Other.")
	p.see("Delivered to s10@example.com") // what became of it, seconds later
	p.see("Invited")                      // P1
	p.both()
	p.shot("credentials-sent")
	if n := len(w.links("s10@example.com")); n != 1 {
		t.Errorf("%d mails were sent", n)
	}

	// A link that still works is told before another is sent.
	p.click("Send Password Reset Email")
	p.see("and still works, until")
	p.shot("credentials-earlier")
	p.both()

	// The answer is lost: the same window sends it once.
	lost := p.lose("POST", "/reset-emails")
	p.click("Send Email")
	lost()
	p.see("it is sent once, however often you press")
	p.axe()
	p.click("Send Email again")
	p.see("works, too")
	w.until("the second mail", func() bool { return len(w.links("s10@example.com")) == 2 })

	// What was typed elsewhere and is not saved does not count.
	p.openTab("General")
	p.fill("Email", "s10.typed@example.com")
	p.openTab("Web Portal Credentials")
	p.click("Send Password Reset Email")
	p.see("The mail goes to the stored address, s10@example.com.")
	p.axe()
	p.click("Cancel")

	// Somebody drops the profile meanwhile: the refusal is told.
	p.click("Send Password Reset Email")
	p.dialog("Send Password Reset Email?")
	w.edit(id, doc{"status": "dropped"})
	p.click("Send Email")
	p.see("This person may not sign in at present")
	p.both()
	if n := len(w.links("s10@example.com")); n != 2 {
		t.Errorf("%d mails were sent", n)
	}
}

// links are the paths of the links in the mails to an address, the newest first.
func (w *world) links(address string) (paths []string) {
	w.Helper()
	text, _ := w.send("GET", "/local/mailbox.json?to="+url.QueryEscape(address), nil)
	var all []mail
	if err := json.Unmarshal(text, &all); err != nil {
		w.Fatal(err)
	}
	for _, m := range all {
		if linked.MatchString(m.HTML) {
			paths = append(paths, linkIn(w, m))
		}
	}
	return paths
}

// P15: what became of the last link is told, and earlier mail that came back is
// told before another is sent.
func TestP15LastLinkTellsWhatBecameOfIt(t *testing.T) {
	w := begin(t)
	id := w.person(doc{"email": "bounce+p15@simulator.example"})
	p := w.openCredentials("Front desk", id)
	p.see("No link was sent lately.")
	p.click("Send Password Reset Email")
	p.click("Send Email")
	p.see("Bounced")
	p.see("There is no such mailbox")
	p.click("Check again")
	p.see("Mail to the address came back")
	p.both()
	p.click("Send Password Reset Email")
	p.see("Earlier mail to this address did not arrive (mail came back")
	p.both()
	p.shot("credentials-undeliverable")
	p.click("Cancel")
	p.clickNth("Mail to this address again", 0)
	p.confirm("Mail to this address again?")
	p.said("The address is mailed again.")
	p.gone("Mail to the address came back")
	w.wants(id, doc{"undeliverable": nil})

	// Of a mailing, with the way to it for those who may see it.
	member := w.person(nil)
	m := w.to("P15", member).send().done()
	q := w.openCredentials("Manager", member)
	q.see("sent by a mailing")
	q.click("sent by a mailing")
	q.waitFor("the mailing", fmt.Sprintf(`location.hash.includes(%s)`, quoted(m.id)))
	v := w.openCredentials("Viewer", member)
	v.see("sent by a mailing")
	if v.has("sent by a mailing") {
		t.Error("a link that the role may not follow")
	}
}

// S11, S12, S13: the standard mail comes, its link lets the member choose a
// password, typed twice, and the email is the username from then on.
func TestS11S12S13ResetEmail(t *testing.T) {
	w := begin(t)
	id := w.person(doc{"firstName": "Nia", "lastName": "New", "email": "s11@example.com"})
	p := w.openCredentials("Front desk", id)
	p.click("Send Password Reset Email")
	p.click("Send Email")
	p.see("The email is on its way")
	m := w.mailTo("s11@example.com")
	for _, text := range []string{"Nia New", "s11@example.com", "Harbour Chamber of Commerce"} {
		if !strings.Contains(m.Text, text) || !strings.Contains(m.HTML, text) {
			t.Errorf("the mail lacks %q:\n%s", text, m.Text)
		}
	}
	member := w.visit(linkIn(t, m))
	member.see("Set your password")
	member.holds("Your username", "s11@example.com")
	member.fill("New password", fine)
	member.fill("The same password once more", fine)
	member.click("Set password")
	member.see("Your password is set")

	q := w.openCredentials("Front desk", id)
	q.holds("Username", "s11@example.com")
	q.holds("Password", mask)
	q.see("by the member")
	q.see("Yes, they can sign in.")
	q.see("Active")
	q.axe()
	member.click("Sign in")
	member.fill("Username or email address", "s11@example.com")
	member.fill("Password", fine)
	member.click("Sign in")
	member.see("Nia New")
	w.until("the sign-in to be known", func() bool { return w.credentials(id)["lastSignInAt"] != nil })

	// U3: a username that is there is kept by a further reset.
	w.put(id, doc{"username": "nia.kept"})
	q.open("#/profiles/201/credentials")
	q.see("Harbour Bakery")
	q.open("#/profiles/" + id + "/credentials")
	q.holds("Username", "nia.kept")
	q.click("Send Password Reset Email")
	q.see("nia.kept. The username stays as it is.")
	q.click("Send Email")
	q.see("The email is on its way")
	w.until("the second link", func() bool { return len(w.links("s11@example.com")) == 2 })
	member = w.visit(w.links("s11@example.com")[0])
	member.holds("Your username", "nia.kept")
	member.fill("New password", fine+" again")
	member.fill("The same password once more", fine+" again")
	member.click("Set password")
	member.see("your username nia.kept")
	q.click("Check again")
	w.wants(id, doc{"username": "nia.kept"})
}

// N7: every check with its words, and the fix beside it.
func TestN7CanTheySignIn(t *testing.T) {
	w := begin(t)
	id := w.person(doc{"email": "n7@example.com"})
	w.api("POST", "/api/profiles/"+id+"/disable", nil)
	w.edit(id, doc{"status": "prospect"})
	p := w.openCredentials("Administrator", id)
	p.see("No. 4 things keep them out.")
	p.see("The status prospect is none of a member")
	p.see("No password has been set.")
	p.both()
	p.shot("credentials-access")

	// edit_profile: a link to where it is mended.
	p.click("Edit Profile")
	p.choose("Membership status", "Active")
	p.click("Save Profile")
	p.confirm("Save these changes?")
	p.said("Saved.")
	p.openTab("Web Portal Credentials")
	p.see("No. 3 things keep them out.")
	p.see("It can be sent once the login is enabled.") // no button that would be refused

	p.click("Enable this login")
	p.confirm("Enable this login?")
	p.said("The login is enabled.")
	p.see("No. 2 things keep them out.")
	w.wants(id, doc{"disabled": false})

	// send_reset, from a check.
	p.waitFor("the fix", `Boolean(document.querySelector(".checks .fix button"))`)
	p.clickCSS(".checks .fix button")
	p.confirm("Send Password Reset Email?")
	p.see("The email is on its way")
	w.until("the link", func() bool { return len(w.links("n7@example.com")) == 1 })

	// set_username and set_password, where there is no email.
	without := w.person(doc{"email": ""})
	p.open("#/profiles/" + without + "/credentials")
	p.see("no email that could become it")
	p.clickCSS(".checks li:nth-child(2) .fix button")
	p.hasFocus("New password")
	p.fill("Username", "n7.without")
	p.fill("New password", fine)
	p.click("Save Profile")
	p.said("Saved.")
	p.see("Yes, they can sign in.")
	p.clickCSS("summary")
	p.see("The username is n7.without.")
	p.axe()

	// unlock: after failures signing in has to wait.
	for range 5 {
		w.signsIn("n7.without", "a wrong password it is").see("That did not work")
	}
	p.click("Check again")
	p.see("signing in has to wait until")
	p.axe()
	p.click("End the wait")
	p.confirm("End the wait?")
	p.said("There is no wait any more.")
	p.see("Yes, they can sign in.")
	w.signsIn("n7.without", fine).see("new password")

	// Of somebody else's status it hangs on: the way there.
	company := w.person(doc{"type": "organization", "organizationName": "Lapsed Ltd", "status": "lapsed"})
	p.open("#/profiles/" + w.person(doc{"status": "non-member", "relations": []doc{{"to": company, "kind": "Employee"}}}) + "/credentials")
	p.click("Open profile " + company)
	p.see("Lapsed Ltd")

	// send_to_main_contact, from a check.
	silent := w.person(doc{"type": "organization", "organizationName": "Silent Ltd", "email": ""})
	w.person(doc{"email": "n7.contact@example.com", "relations": []doc{{"to": silent, "kind": "Owner", "mainContact": true}}})
	p.open("#/profiles/" + silent + "/credentials")
	p.see("its main contact is")
	p.waitFor("the fix", `[...document.querySelectorAll(".checks .fix button")].some((b) => b.textContent === "Send to its main contact")`)
	value[bool](p, `([...document.querySelectorAll(".checks .fix button")].find((b) => b.textContent === "Send to its main contact").click(), true)`)
	p.confirm("Send Password Reset Email?")
	p.see("It goes to n7.contact@example.com.")

	// The checks cannot be read.
	restore := p.answered("/access", 500, `{"code":"internal","detail":"Something went wrong.","status":500,"requestId":"abc"}`)
	p.click("Check again")
	p.see("Something went wrong.")
	p.axe()
	restore()
	p.click("Try again")
	p.gone("Something went wrong.")
}

// N16: where staff do not type passwords none can be typed, and the tab says how
// members get theirs.
func TestN16LinksOnly(t *testing.T) {
	w := start(t, nil)
	id := w.loggedIn("links.only")
	w.typing(false)
	p := w.openCredentials("Administrator", id)
	p.see("staff do not type passwords")
	p.both()
	p.click("Change Credentials")
	p.see("You can change the username here.")
	if p.has("Generate a password") || value[bool](p, `Boolean(document.querySelector("input[autocomplete=new-password]"))`) {
		t.Error("a password can be typed")
	}
	p.both()
	p.shot("credentials-links-only")
	p.fill("Username", "links.only.still")
	p.click("Save Profile")
	p.said("Saved.")
	w.wants(id, doc{"username": "links.only.still", "hasPassword": true})

	// Switched off while somebody types.
	w.typing(true)
	q := w.openCredentials("Administrator", id)
	q.click("Change Credentials")
	q.fill("New password", fine)
	w.typing(false)
	w.unchanged(id, func() {
		q.click("Save Profile")
		q.see("Your association has settled that staff do not type passwords. Please send")
		q.see("You can change the username here.")
	})
	q.both()

	// A check does not offer it either.
	without := w.person(doc{"email": ""})
	q = w.openCredentials("Administrator", without)
	q.see("There is no username yet")
	if value[bool](q, `[...document.querySelectorAll(".checks .fix")].some((el) => el.innerText.includes("Set a password"))`) {
		t.Error("the check offers to set a password")
	}
}

func (w *world) typing(on bool) {
	w.Helper()
	version := w.api("GET", "/api/organization", nil)["version"]
	w.api("PUT", "/api/organization", doc{"staffMayTypePasswords": on}, "If-Match", fmt.Sprintf(`"%v"`, version))
}

// P14: disable, enable, sign out everywhere, unlock, remove; each asks first.
func TestP14DisableEnableSignOutRemove(t *testing.T) {
	w := begin(t)
	id := w.loggedIn("p14.login")
	p := w.openCredentials("Front desk", id)
	ask := func(button, title string) {
		t.Helper()
		w.unchanged(id, func() {
			p.click(button)
			p.dialog(title)
			p.see("Login of Pat")
			p.axe()
			p.click("Cancel")
			p.noDialog()
			p.hasFocus(button)
		})
		p.click(button)
		p.confirm(title)
	}
	ask("Disable login", "Disable this login?")
	p.said("The login is disabled.")
	p.see("This login is disabled")
	p.see("Disabled") // P1
	p.holds("Password", mask)
	p.both()
	p.shot("credentials-disabled")
	w.wants(id, doc{"disabled": true, "username": "p14.login", "hasPassword": true})
	w.signsIn("p14.login", fine).see("That did not work")

	ask("Enable login", "Enable this login?")
	p.said("The login is enabled.")
	p.gone("This login is disabled")
	member := w.signsIn("p14.login", fine)
	member.see("new password")

	ask("Sign out everywhere", "Sign out everywhere?")
	p.said("Signed out everywhere.")
	member.do(chromedp.Reload())
	member.see("Sign in")
	member.see("Username or email address")

	ask("End a wait after failures", "End the wait?")
	p.said("There is no wait any more.")

	// Somebody else changes it while the window is open: nothing is removed unseen.
	p.click("Remove login")
	p.dialog("Remove this login?")
	w.put(id, doc{"username": "p14.moved"})
	p.confirm("Remove this login?")
	p.see("it was not removed")
	p.see("Username: p14.moved.")
	p.both()
	p.shot("credentials-remove")
	w.wants(id, doc{"username": "p14.moved", "hasPassword": true})

	// The answer is lost, and the page looks whether it was done.
	lost := p.lose("DELETE", "/credentials")
	p.confirm("Remove this login?")
	lost()
	p.said("The login is removed and disabled.")
	p.holds("Username", "")
	p.see("No password yet.")
	w.wants(id, doc{"username": "", "hasPassword": false, "disabled": true})
	if p.has("Remove login") {
		t.Error("what is removed can be removed")
	}
	p.both()

	// While fields are open nothing here can pull them away.
	q := w.openCredentials("Administrator", w.loggedIn("p14.open"))
	q.click("Change Credentials")
	q.see("Save or cancel the change of the credentials first.")
	q.axe()
}

// Each role sees what it may, and is told what it may not.
func TestN17RolesSeeWhatTheyMay(t *testing.T) {
	w := begin(t)
	id := w.person(doc{"email": "n17@example.com"})
	w.put(id, doc{"username": "n17.name"})
	all := []string{"Change Credentials", "Send Password Reset Email", "Disable login", "Remove login", "Save Profile"}
	for role, may := range map[string][]string{
		"Administrator": all,
		"Manager":       all,
		"Front desk":    {"Send Password Reset Email", "Disable login", "Remove login", "Save Profile"},
		"Viewer":        {},
	} {
		p := w.openCredentials(role, id)
		p.see("No. One thing keeps them out.")
		for _, name := range all {
			if got, want := p.has(name), slices.Contains(may, name); got != want {
				t.Errorf("%s: %s offered: %v", role, name, got)
			}
		}
		if role == "Viewer" {
			p.see("It needs the permission “Send password reset emails”.")
		}
		p.axe()
	}

	// A role without the permission to see logins is told so. None of ours is;
	// the answer of /api/me is made to say it.
	p := w.visit("/local/mailbox.json")
	p.before(`(() => {
		const real = fetch;
		window.fetch = async (address, options) => {
			const answer = await real(address, options);
			if (!String(address).endsWith("/api/me")) return answer;
			const me = await answer.json();
			me.permissions = ["view_profiles"];
			return new Response(JSON.stringify(me), {headers: {"Content-Type": "application/json"}});
		};
	})()`)
	p.do(chromedp.Navigate(w.base + "/#/profiles/" + id + "/credentials"))
	p.click("Viewer")
	p.see("Your role does not include seeing usernames and login status.")
	p.both()
}

// Two people change one login: the second one sees what it is now, nothing typed
// is lost, and it is theirs to decide.
func TestTwoBrowsersChangeOneLogin(t *testing.T) {
	w := begin(t)
	id := w.loggedIn("two.before")
	ana, bo := w.openCredentials("Manager", id), w.openCredentials("Administrator", id)
	bo.click("Change Credentials")
	bo.fill("Username", "two.bo")
	bo.fill("New password", "the words that bo has typed")
	ana.click("Change Credentials")
	ana.fill("Username", "two.ana")
	ana.fill("New password", "the words that ana has typed")
	ana.click("Save Profile")
	ana.said("Saved.")

	bo.click("Save Profile")
	bo.see("Somebody else has changed this login meanwhile")
	bo.see("Username: it was two.before, it is now two.ana. You typed two.bo.")
	bo.see("Password: another one was set by local manager (staff)")
	bo.holds("Username", "two.bo")
	bo.holds("New password", "the words that bo has typed")
	bo.mark("Web Portal Credentials", "refused")
	bo.both()
	bo.shot("credentials-conflict")
	w.wants(id, doc{"username": "two.ana"})

	// Theirs for one, ours for the other.
	bo.click("Keep their password")
	bo.holds("New password", "")
	bo.click("Save Profile")
	bo.said("Saved.")
	bo.gone("Somebody else has changed this login")
	w.wants(id, doc{"username": "two.bo"})
	w.signsIn("two.bo", "the words that ana has typed").see("new password")

	// What only they touched stays, though the fields were open.
	bo.click("Change Credentials")
	bo.fill("New password", "other words that bo has typed")
	w.put(id, doc{"username": "two.later"})
	bo.click("Save Profile")
	bo.see("Username: it was two.bo, it is now two.later.")
	bo.holds("Username", "two.later")
	bo.click("Save Profile")
	bo.said("Saved.")
	w.wants(id, doc{"username": "two.later"})
	w.signsIn("two.later", "other words that bo has typed").see("new password")

	// Disabled and removed meanwhile; Cancel leaves it as it is now.
	bo.click("Change Credentials")
	bo.fill("Username", "two.never")
	w.api("DELETE", credentialsPath(id), nil, "If-Match", fmt.Sprintf(`"%v"`, w.credentials(id)["version"]))
	bo.click("Save Profile")
	bo.see("Password: there is none any more.")
	bo.see("The login is disabled now.")
	bo.click("Keep their username")
	bo.holds("Username", "")
	bo.click("Cancel")
	bo.see("This login is disabled")
	bo.see("No password yet.")
	w.wants(id, doc{"username": "", "disabled": true})
}

// The connection drops in the middle of saving credentials. The page looks what
// became of them, and says so.
func TestCredentialsSavedWithoutAnAnswer(t *testing.T) {
	w := begin(t)
	id := w.loggedIn("lost.before")
	p := w.openCredentials("Administrator", id)

	// The answer alone is lost.
	p.click("Change Credentials")
	p.fill("Username", "lost.stored")
	p.fill("New password", "words of which the answer is lost")
	lost := p.lose("PUT", "/credentials")
	p.click("Save Profile")
	lost()
	p.see("This page has looked: your change is stored.")
	p.holds("Username", "lost.stored")
	p.holds("Password", mask)
	p.mark("Web Portal Credentials", "")
	p.axe()
	w.signsIn("lost.stored", "words of which the answer is lost").see("new password")

	// Nothing gets through, and the line stays down.
	p.click("Change Credentials")
	p.fill("Username", "lost.waiting")
	p.offline(true)
	p.click("Save Profile")
	p.see("They may have been saved")
	p.see("The credentials may have been saved")
	p.axe()
	p.shot("credentials-offline")
	p.click("Look now")
	p.see("As soon as the connection is back")
	p.offline(false)
	p.see("Nothing was saved")
	p.holds("Username", "lost.waiting")
	p.axe()
	p.click("Save Profile")
	p.said("Saved.")
	p.gone("Nothing was saved")
	w.wants(id, doc{"username": "lost.waiting"})

	// The answer is lost and nothing else gets through for a while; it was stored.
	value[bool](p, `(() => {
		const real = fetch;
		let down = false;
		window.fetch = async (address, options) => {
			if (down && !window.mended) throw new TypeError("down");
			const answer = await real(address, options);
			if (options?.method !== "PUT" || window.mended) return answer;
			down = true;
			throw new TypeError("down");
		};
		return true;
	})()`)
	p.click("Change Credentials")
	p.fill("Username", "lost.late")
	p.click("Save Profile")
	p.see("As soon as the connection is back")
	value[bool](p, `(window.mended = true)`)
	p.click("Look now")
	p.see("This page has looked: your change is stored.")
	p.holds("Username", "lost.late")

	// It was stored, and somebody else was quicker to change it again.
	value[bool](p, `(window.mended = false, true)`)
	p.click("Change Credentials")
	p.fill("Username", "lost.again")
	p.click("Save Profile")
	p.see("As soon as the connection is back")
	w.put(id, doc{"username": "lost.theirs"})
	value[bool](p, `(window.mended = true)`)
	p.click("Look now")
	p.see("it is now lost.theirs. You typed lost.again.")
	p.click("Cancel")

	// What is typed while it is being saved is not lost.
	p.click("Change Credentials")
	p.fill("Username", "lost.sent")
	value[bool](p, `(() => {
		const real = fetch;
		window.fetch = async (address, options) => {
			const answer = await real(address, options);
			if (options?.method === "PUT") await new Promise((done) => { window.arrive = done; });
			return answer;
		};
		return true;
	})()`)
	p.click("Save Profile")
	p.waitFor("the request to be on its way", `Boolean(window.arrive)`)
	p.fill("Username", "lost.since")
	p.click("Cancel") // waits
	value[bool](p, `(arrive(), true)`)
	p.said("Saved.")
	p.holds("Username", "lost.since")
	p.mark("Web Portal Credentials", "not saved")
	w.wants(id, doc{"username": "lost.sent"})
	p.click("Cancel")
	p.holds("Username", "lost.sent")

	// Nothing can be read at first.
	q := w.signInAt("Administrator", "#/profiles")
	q.see("Harbour Chamber")
	restore := q.answered("/credentials", 0, "")
	q.open("#/profiles/" + id + "/credentials")
	q.see("There was no answer.")
	q.axe()
	restore()
	q.click("Try again")
	q.holds("Username", "lost.sent")
}

// Whatever is typed into the fields, or stored in them, is shown as text.
func TestCredentialsTextIsText(t *testing.T) {
	w := begin(t)
	markup := `<img/src=x/onerror="document.title='broken'">`
	id := w.person(doc{"firstName": `<b>{{7*7}}</b>`, "lastName": `<script>document.title='broken'</script>`, "email": "text@example.com"})
	p := w.openCredentials("Administrator", id)
	p.click("Change Credentials")
	p.fill("Username", markup)
	p.fill("New password", `${7*7} <img src=x> gravel pudding`)
	p.click("Save Profile")
	p.said("Saved.")
	p.holds("Username", markup)
	p.clickCSS("summary")
	p.see("The username is " + markup) // a check
	p.axe()
	p.click("Send Password Reset Email")
	p.see(markup + ". The username stays as it is.")
	p.see(`<b>{{7*7}}</b> <script>document.title='broken'</script>`)
	p.axe()
	p.click("Cancel")
	p.click("Change Credentials")
	p.fill("Username", `"'>{{constructor}}`)
	w.put(id, doc{"username": `<u>theirs</u>`})
	p.click("Save Profile")
	p.see(`it is now <u>theirs</u>. You typed "'>{{constructor}}.`)
	p.axe()
	if value[bool](p, `document.title === "broken" || Boolean(document.querySelector("main img, main script, main b, main u"))`) {
		t.Error("something typed has become markup")
	}
}

// The keyboard alone: find the tab, change, save, send.
func TestCredentialsByKeyboard(t *testing.T) {
	w := begin(t)
	id := w.loggedIn("keys.before")
	p := w.signInAt("Administrator", "#/profiles/"+id+"/general")
	p.see("Membership status")
	p.tab("Web Portal Credentials")
	p.keys(kb.Enter)
	p.see("A password is stored")
	p.tab("Change Credentials")
	p.keys(" ")
	p.hasFocus("Username")
	p.press(kb.Control, "a")
	p.keys("keys.after")
	p.tab("Generate a password")
	p.keys(kb.Enter)
	p.see("This password can be used.")
	p.tab("New password")
	p.keys("x")
	p.press(kb.Backspace)
	p.keys(kb.Enter)
	p.said("Saved.")
	w.wants(id, doc{"username": "keys.after"})

	// The window keeps the keyboard, and gives it back.
	p.tab("Send Password Reset Email")
	p.keys(kb.Enter)
	p.dialog("Send Password Reset Email?")
	p.see("Address")
	p.tab("Send Email")
	p.press(kb.Escape)
	p.noDialog()
	p.hasFocus("Send Password Reset Email")
	p.keys(kb.Enter)
	p.dialog("Send Password Reset Email?")
	p.see("Address")
	p.tab("Send Email")
	p.keys(kb.Enter)
	p.see("The email is on its way")

	p.tab("Disable login")
	p.keys(" ")
	p.dialog("Disable this login?")
	p.tab("Disable login")
	p.keys(kb.Enter)
	p.said("The login is disabled.")
}
