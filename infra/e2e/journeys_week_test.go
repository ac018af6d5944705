package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// "One week at the desk: someone joins, lapses, rejoins; an employee leaves;
// two people share a mailbox; an email is corrected; a member signs in by
// email; a username is changed."
func TestAWeekAtTheDesk(t *testing.T) {
	t.Parallel()
	w := begin(t)
	desk := w.as("frontdesk")

	// Monday. A company joins; its employee Bea gets a link from the front desk,
	// chooses a password and signs in.
	company := w.person(doc{"type": "organization", "organizationName": "Chandler & Co " + unique(), "status": "prospect"})
	bea := w.person(doc{"firstName": "Bea", "status": "non-member", "relations": []doc{{"to": company.ID, "kind": "Employee"}}})
	bea.reset().refused(http.StatusUnprocessableEntity, "not_allowed").is("reason", "member_lapsed").is("via", company.ID)
	joined := company.edit(doc{"status": "active", "memberSince": "2026-11-23"}).want(http.StatusOK)
	joined.is("accessChange.after.allowed", true).is("accessChange.relatedGain", 1)
	desk.api("POST", bea.path("/reset-emails"), nil).want(http.StatusAccepted)
	w.browser().open(w.next(bea.Email).link()).sets(phrase).shows("Your password is set", bea.Email)
	w.next(bea.Email).says("A password was set for this login.")
	beas := w.browser()
	beas.signIn(bea.Email, phrase).shows("Welcome, " + bea.Name)

	// Tuesday. The company's membership lapses: Bea is out at her next request,
	// cannot sign in, and keeps username and password.
	lapsed := company.edit(doc{"status": "lapsed"}).want(http.StatusOK)
	lapsed.is("accessChange.after.allowed", false).is("accessChange.relatedLose", 1)
	if beas.signedIn() {
		t.Error("Tuesday: a session outlives the membership")
	}
	w.browser().signIn(bea.Email, phrase).shows("That did not work")
	bea.credentials().is("username", bea.Email).is("passwordSet", true)
	if c := bea.check("may_enter"); !c.yes("blocks") || c.text("fix.profile") != company.ID {
		t.Errorf("Tuesday: staff are not told whose membership it hangs on: %s", c.Body)
	}

	// Wednesday. It rejoins: she signs in as before.
	company.edit(doc{"status": "active"}).want(http.StatusOK).is("accessChange.relatedGain", 1)
	beas = w.browser()
	if beas.signIn(bea.Email, phrase).shows("Welcome, " + bea.Name); bea.credentials().number("version") != 1 {
		t.Error("Wednesday: coming and going moved the version of the credentials")
	}

	// Thursday. Bea leaves the company. Her session ends, and so does the right to a link.
	left := bea.edit(doc{"relations": []doc{{"to": company.ID, "kind": "Former Employee"}}}).want(http.StatusOK)
	left.is("accessChange.before.allowed", true).is("accessChange.after.allowed", false).is("accessChange.after.reason", "relation_ended")
	if beas.signedIn() {
		t.Error("Thursday: a session outlives the employment")
	}
	bea.reset().refused(http.StatusUnprocessableEntity, "not_allowed").is("reason", "relation_ended")

	// Thursday, too. Dora and her husband Cal share a mailbox. Dora has it as
	// username; Cal chooses another one. Each signs in for themselves.
	dora := w.person(doc{"firstName": "Dora"})
	dora.signsUp(phrase)
	cal := w.person(doc{"firstName": "Cal", "email": dora.Email, "status": "non-member", "relations": []doc{{"to": dora.ID, "kind": "Spouse"}}})
	cal.profile().is("sharedWith.0.id", dora.ID)
	if c := cal.check("email_own"); c.yes("ok") || !strings.Contains(c.text("detail"), dora.Name) {
		t.Errorf("Thursday: %s", c.Body)
	}
	sent := cal.reset().want(http.StatusAccepted)
	if others := sent.words("sharedWith"); len(others) != 1 || others[0] != dora.Name {
		t.Errorf("Thursday: staff are told that the mailbox is shared with %v", others)
	}
	b := w.browser().open(w.next(cal.Email).says(cal.Name).link()).shows(cal.Name, "Choose a username").hides(dora.Name)
	offered, _ := b.Value("username")
	b.press("Set password", fill{"username": dora.Email, "password": another, "again": another}).shows("Nothing has been saved yet", "in use already")
	name := "cal.of." + unique()
	b.press("Set password", fill{"username": name, "password": another, "again": another}).shows("Your password is set", name)
	if offered == "" {
		t.Error("Thursday: no free username is offered")
	}
	w.next(cal.Email)
	w.browser().signIn(name, another).shows("Welcome, " + cal.Name)
	w.browser().signIn(dora.Email, phrase).shows("Welcome, " + dora.Name)
	w.browser().signIn(dora.Email, another).shows("That did not work")

	// Friday. An email was misspelt; it is corrected with the username. The link
	// that went to the wrong one dies, both addresses are told, the new one signs in.
	ed := w.person(doc{"firstName": "Ed"})
	ed.signsUp(phrase)
	dead := ed.link()
	wrong, right := ed.Email, "ed.right."+unique()+"@example.org"
	fixed := ed.edit(doc{"email": right, "usernameToo": true}).want(http.StatusOK)
	fixed.is("email", right).is("username", right).is("loginsEnded", true)
	w.browser().open(dead).shows("This link has ended")
	w.next(wrong).says("The email address that we have on file for this login was changed.", "The username of this login was changed.")
	m := w.next(right).says("Your username is now: " + right)
	if len(m.links()) != 0 || strings.Contains(m.HTML+m.Text, wrong) {
		t.Error("Friday: the notice to the new address carries a link, or the old address")
	}
	w.browser().signIn(wrong, phrase).shows("That did not work")
	w.browser().signIn(right, phrase).shows("Welcome, " + ed.Name)

	// Friday, too. Fay has a username of her own and signs in by email.
	fay := w.person(doc{"firstName": "Fay"})
	first := "fay.first." + unique()
	fay.change(doc{"username": first}).want(http.StatusOK)
	fay.signsUp(phrase)
	fays := w.browser()
	fays.signIn(strings.ToUpper(fay.Email), phrase).shows("Welcome, "+fay.Name, "You are signed in as "+first)

	// And her username is changed at her wish: sessions end, she is told, the
	// old name is free for somebody else, the password stays.
	second := "fay.second." + unique()
	fay.change(doc{"username": second}).want(http.StatusOK).is("username", second).is("passwordSet", true)
	if fays.signedIn() {
		t.Error("Friday: a session outlives its username")
	}
	w.next(fay.Email).says("The username of this login was changed.", "Your username is now: "+second, "It was done by our staff")
	w.browser().signIn(first, phrase).shows("That did not work")
	w.browser().signIn(second, phrase).shows("Welcome, " + fay.Name)
	cal.change(doc{"username": first}).want(http.StatusOK)

	// The trail of the week tells all of it.
	for who, kinds := range map[*person][]string{
		&bea:     {"profile_created", "reset_email_requested", "password_set", "signed_in", "sign_in_refused", "profile_edited"},
		&company: {"profile_created", "profile_edited"},
		&cal:     {"profile_created", "reset_email_requested", "username_changed", "password_set", "signed_in"},
		&ed:      {"email_changed", "username_changed", "signed_in"},
		&fay:     {"username_changed", "password_set", "signed_in"},
	} {
		trail := who.trail()
		for _, kind := range kinds {
			if !slices.Contains(trail, kind) {
				t.Errorf("the trail of %s does not tell %s: %v", who.Name, kind, trail)
			}
		}
	}
}
