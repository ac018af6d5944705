package e2e_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// This file has what concerns the whole organization: its settings, roles and
// versions. Journeys that change settings do not run beside others.

// H3: "Edits carry the version they saw (If-Match; missing 428, stale 412
// naming the fields that differ). Versions move only by what staff or the
// member edit."
func TestH3TwoEditors(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(nil)
	seen := p.profile().etag()
	w.api("PATCH", p.path(""), doc{"firstName": "One"}).refused(http.StatusPreconditionRequired, "version_missing")
	w.api("PATCH", p.path(""), doc{"firstName": "One"}, "If-Match", seen).want(http.StatusOK)
	stale := w.api("PATCH", p.path(""), doc{"firstName": "Two", "doNotEmail": true}, "If-Match", seen).refused(http.StatusPreconditionFailed, "version_stale")
	if !strings.Contains(string(stale.Body), "firstName") {
		t.Errorf("the editor is not told what differs: %s", stale.Body)
	}
	p.profile().is("firstName", "One").is("doNotEmail", false)

	// Credentials have a version of their own.
	seen = p.credentials().etag()
	w.api("PUT", p.path("/credentials"), doc{"password": phrase}).refused(http.StatusPreconditionRequired, "version_missing")
	w.api("PUT", p.path("/credentials"), doc{"password": phrase}, "If-Match", seen).want(http.StatusOK)
	stale = w.api("PUT", p.path("/credentials"), doc{"password": another}, "If-Match", seen).refused(http.StatusPreconditionFailed, "version_stale")
	if !strings.Contains(string(stale.Body), "password") {
		t.Errorf("the editor is not told what differs: %s", stale.Body)
	}
	w.api("DELETE", p.path("/credentials"), nil, "If-Match", seen).refused(http.StatusPreconditionFailed, "version_stale")
	w.browser().signIn(p.Email, phrase).shows("Please choose a password of your own")

	// Sign-ins, links and mails move none.
	versions := func() [2]string { return [2]string{p.profile().etag(), p.credentials().etag()} }
	before := versions()
	w.next(p.Email) // "your password is set"
	p.link()
	c := w.credentialsFor(p)
	c.send()
	c.done()
	w.browser().signIn(p.Email, phrase).shows("Please choose")
	w.browser().signIn(p.Email, another).shows("That did not work")
	if versions() != before {
		t.Errorf("versions moved from %v to %v", before, versions())
	}

	// A mailing that two write.
	draft := campaign{w, w.api("POST", c.path("/copy"), nil).want(http.StatusCreated).text("id")}
	seen = draft.whole().etag()
	w.api("PUT", draft.path(""), doc{"subject": "One"}).refused(http.StatusPreconditionRequired, "version_missing")
	w.api("PUT", draft.path(""), doc{"subject": "One"}, "If-Match", seen).want(http.StatusOK)
	stale = w.api("PUT", draft.path(""), doc{"subject": "Two"}, "If-Match", seen).refused(http.StatusPreconditionFailed, "version_stale")
	if !strings.Contains(string(stale.Body), "subject") {
		t.Errorf("the editor is not told what differs: %s", stale.Body)
	}
	draft.whole().is("subject", "One")
}

// H4: "Two racing claims: one wins, one gets a clear conflict."
func TestH4TwoWantOneUsername(t *testing.T) {
	t.Parallel()
	w := begin(t)
	name := "wanted." + unique()
	var people []person
	var tags []string
	for range 6 {
		p := w.person(nil)
		people, tags = append(people, p), append(tags, p.credentials().etag())
	}
	var wg sync.WaitGroup
	answers := make([]response, len(people))
	for i, p := range people {
		wg.Go(func() { answers[i] = w.api("PUT", p.path("/credentials"), doc{"username": name}, "If-Match", tags[i]) })
	}
	wg.Wait()
	won := 0
	for i, r := range answers {
		if r.Status == http.StatusOK {
			won++
			people[i].credentials().is("username", name)
			continue
		}
		if len(r.refused(http.StatusConflict, "username_taken").words("suggestions")) == 0 {
			t.Errorf("the loser is offered no free name: %s", r.Body)
		}
		people[i].credentials().is("username", "").is("version", 0)
	}
	if won != 1 {
		t.Errorf("%d of %d got the username", won, len(people))
	}
	// A username with an @ is an address of the profile, in any spelling; nobody else's.
	p := people[0]
	p.change(doc{"username": "somebody.else@example.com"}).refused(http.StatusBadRequest, "username_not_own_address")
	p.change(doc{"username": " " + strings.ToUpper(p.Email) + " "}).want(http.StatusOK).is("username", p.Email)
}

// H5b: "The notice goes to a profile that has or had a password; it says what
// changed, by whom, when, the username, the sign-in address and the help line;
// it carries no link." P12: "Tell the member when staff change credentials."
func TestH5bNotices(t *testing.T) {
	t.Parallel()
	w := begin(t)
	never := w.person(nil)
	never.change(doc{"username": "never." + unique()}).want(http.StatusOK)
	never.edit(doc{"email": "other." + unique() + "@example.com"}).want(http.StatusOK)
	w.api("POST", never.path("/disable"), nil).want(http.StatusOK)

	p := w.person(nil)
	help := w.get("/api/organization")
	told := func(what, by string) {
		t.Helper()
		m := w.next(p.Email).says(what, by, p.Name, help.text("helpPhone"), help.text("helpEmail"), "If it was not you, please tell us at once")
		if len(m.links()) != 0 || strings.Contains(m.HTML+m.Text, phrase) || strings.Contains(m.HTML+m.Text, another) {
			t.Errorf("the notice %q carries a link or a password", m.Subject)
		}
		if what != "This login was switched off" && what != "This login was removed" {
			m.says(w.portal("/sign-in"))
		}
		m.says("GMT") // absolute, with its zone
	}
	p.change(doc{"password": phrase}).want(http.StatusOK)
	told("A password was set for this login.", "It was done by our staff")
	p.change(doc{"password": another}).want(http.StatusOK)
	told("The password of this login was changed.", "It was done by our staff")
	p.change(doc{"username": "notice." + unique()}).want(http.StatusOK)
	told("The username of this login was changed.", "It was done by our staff")
	b := w.browser().open(p.link())
	b.sets(longer).shows("Your password is set")
	told("The password of this login was changed.", "It was done with the link in one of our mails to you")
	w.api("POST", p.path("/disable"), nil).want(http.StatusOK)
	told("This login was switched off", "It was done by our staff")
	w.api("POST", p.path("/disable"), nil).want(http.StatusOK) // once more is no change
	w.api("POST", p.path("/enable"), nil).want(http.StatusOK)
	told("This login was switched on again", "It was done by our staff")
	w.api("DELETE", p.path("/credentials"), nil, "If-Match", p.credentials().etag()).want(http.StatusOK)
	told("This login was removed", "It was done by our staff")
	w.noMail(p.Email)
	w.noMail(never.Email)
}

// N17: "Credential role element: view state / send links / set password / mass
// send / revoke as separate permissions. FrontDesk should send a link, not
// choose a password."
func TestN17Roles(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(nil)
	c := w.credentialsFor(p)
	may := map[string][]string{
		"viewer":        {"see"},
		"frontdesk":     {"see", "edit", "reset", "unlock"},
		"manager":       {"see", "edit", "reset", "unlock", "set", "compose", "send", "revoke"},
		"administrator": {"see", "edit", "reset", "unlock", "set", "compose", "send", "revoke", "settings"},
	}
	for role, allowed := range may {
		as := w.as(role)
		as.get("/api/me").is("role", role)
		for what, r := range map[string]func() response{
			"see":    func() response { return as.api("GET", p.path("/credentials"), nil) },
			"edit":   func() response { return as.api("PATCH", p.path(""), doc{}, "If-Match", p.profile().etag()) },
			"reset":  func() response { return as.api("POST", p.path("/reset-emails"), nil) },
			"unlock": func() response { return as.api("POST", p.path("/unlock"), nil) },
			"set": func() response {
				return as.api("PUT", p.path("/credentials"), doc{}, "If-Match", p.credentials().etag())
			},
			"compose": func() response { return as.api("POST", c.path("/preview"), doc{"profile": p.ID}) },
			"send":    func() response { return as.api("POST", c.path("/pause"), nil) },
			"revoke":  func() response { return as.api("POST", c.path("/revoke-links"), nil) },
			"settings": func() response {
				return as.api("PUT", "/api/organization", doc{}, "If-Match", w.get("/api/organization").etag())
			},
		} {
			answer := r()
			if forbidden := answer.Status == http.StatusForbidden; forbidden == slices.Contains(allowed, what) {
				t.Errorf("%s, %s: %d %s", role, what, answer.Status, clip(answer.Body))
			}
		}
	}
	w.do("GET", w.base+p.path(""), nil).want(http.StatusUnauthorized)
}

// N16: "Never-known passwords: association setting that removes staff password
// entry (links only)."
func TestN16LinksOnly(t *testing.T) {
	w := begin(t)
	w.settings(doc{"staffMayTypePasswords": false})
	p := w.person(nil)
	p.change(doc{"password": phrase}).refused(http.StatusUnprocessableEntity, "typing_switched_off")
	w.api("POST", "/api/passwords/generate", nil).refused(http.StatusUnprocessableEntity, "typing_switched_off")
	p.change(doc{"username": "links.only." + unique()}).want(http.StatusOK)
	p.signsUp(phrase)
}

// P24 and U17: the organization's own minimum, said before and held after; the
// settings say where they deviate from the standard.
func TestP24PasswordRules(t *testing.T) {
	w := begin(t)
	w.get("/api/organization").is("minimumPassword", 15)
	w.settings(doc{"minimumPassword": 8, "linkHours": 72})
	if said := w.get("/api/organization").words("deviations"); len(said) < 2 {
		t.Errorf("the settings page is not told of the deviations: %v", said)
	}
	p := w.person(nil)
	b := w.browser().open(p.link()).shows("8")
	b.sets("sunshine").shows("Nothing has been saved yet") // among the commonest
	b.sets("qvxt mpl").shows("Your password is set")
	for secret, ok := range map[string]bool{"password1": false, "12345678": false, "gl!mmr0p": true, "şəhər dəniz": true, p.Email: false} {
		r := w.api("POST", "/api/passwords/check", doc{"password": secret, "profileId": p.ID}).want(http.StatusOK)
		if r.yes("ok") != ok || !ok && len(r.list("reasons")) == 0 {
			t.Errorf("%q: %s", secret, r.Body)
		}
	}
}

// N18: "Dry run of a setting: 'changing the access level will lock out 212
// people, let in 30' before saving." V5: the five access levels.
func TestN18DryRunAndV5AccessLevels(t *testing.T) {
	w := begin(t)
	company := w.person(doc{"type": "organization", "organizationName": "Levels " + unique()})
	at := func(status, kind string, main bool) person {
		return w.person(doc{"status": status, "relations": []doc{{"to": company.ID, "kind": kind, "mainContact": main}}})
	}
	contact, employee, billing := at("non-member", "Billing Contact", true), at("non-member", "Employee", false), at("non-member", "Billing Contact", false)
	former, alone, dropped := at("non-member", "Former Employee", true), w.person(doc{"status": "prospect"}), w.person(doc{"status": "dropped"})
	everybody := map[string]person{"member": company, "main contact": contact, "employee": employee, "billing": billing, "former": former, "prospect": alone, "dropped": dropped}
	allowed := func() (n int) {
		for cursor := ""; ; {
			page := w.get("/api/profiles?limit=100&mayEnter=true&cursor=" + escape(cursor))
			n += page.number("found")
			if cursor = page.text("cursor"); cursor == "" {
				return n
			}
		}
	}
	w.settings(doc{"accessLevel": "members_only"})
	before := allowed()
	for _, level := range []struct {
		name string
		in   []string
	}{
		{"members_only", []string{"member"}},
		{"members_and_main_contact", []string{"member", "main contact"}},
		{"members_and_primary_relations", []string{"member", "main contact", "employee"}},
		{"members_and_any_related", []string{"member", "main contact", "employee", "billing"}},
		{"any_active_profile", []string{"member", "main contact", "employee", "billing", "former", "prospect"}},
	} {
		tag := w.get("/api/organization").etag()
		gain, lose := 0, 0
		for cursor := ""; ; {
			r := w.api("PUT", "/api/organization?"+url.Values{"check": {"true"}, "cursor": {cursor}}.Encode(), doc{"accessLevel": level.name}, "If-Match", tag).want(http.StatusOK)
			gain, lose = gain+r.number("gain"), lose+r.number("lose")
			if cursor = r.text("cursor"); cursor == "" {
				break
			}
		}
		if got := w.get("/api/organization").etag(); got != tag {
			t.Error("the dry run changed the settings")
		}
		w.api("PUT", "/api/organization", doc{"accessLevel": level.name}, "If-Match", tag).want(http.StatusOK)
		after := allowed()
		if after-before != gain-lose {
			t.Errorf("%s: told %d gain and %d lose; there were %d and are %d", level.name, gain, lose, before, after)
		}
		before = after
		for what, p := range everybody {
			if got := p.profile().yes("access.allowed"); got != slices.Contains(level.in, what) {
				t.Errorf("%s: %s may enter: %v", level.name, what, got)
			}
		}
	}
}

// A grace period: an association that counts lapsed members as members lets
// them in, and those related to them.
func TestGracePeriod(t *testing.T) {
	w := begin(t)
	p := w.person(doc{"status": "lapsed"})
	spouse := w.person(doc{"status": "non-member", "relations": []doc{{"to": p.ID, "kind": "Spouse"}}})
	p.reset().refused(http.StatusUnprocessableEntity, "not_allowed")
	w.settings(doc{"memberStatuses": []string{"active", "lapsed"}})
	p.signsUp(phrase)
	w.browser().signIn(p.Email, phrase).shows("Welcome")
	spouse.reset().want(http.StatusAccepted)
}

// "Keep me signed in" is offered where the settings have it.
func TestKeepMeSignedIn(t *testing.T) {
	w := begin(t)
	w.settings(doc{"keepSignedInDays": 30})
	p := w.person(nil)
	p.signsUp(phrase)
	b := w.browser().open("/sign-in").press("Sign in", fill{"username": p.Email, "password": phrase, "keep": "yes"}).shows("Welcome")
	if !b.signedIn() {
		t.Error("not signed in")
	}
	w.settings(doc{"keepSignedInDays": 0})
	w.browser().open("/sign-in").hides("Keep me signed in")
}
