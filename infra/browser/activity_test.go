package browser_test

import "testing"

// The audit trail by person, kind and time (P13, U21).
func TestActivity(t *testing.T) {
	w := begin(t)
	id := w.person(doc{"firstName": "Una", "lastName": "<b>Bold</b>"})
	w.api("POST", "/api/profiles/"+id+"/disable", nil)
	p := w.signInAt("Manager", "#/activity")
	p.see("Login disabled")
	p.both()
	p.shot("activity")

	p.choose("What", "Login disabled")
	p.see("Profile " + id)
	p.gone("Profile created")
	p.waitFor("the address to tell", `location.hash.includes("kind=login_disabled")`)

	p.click("local administrator")
	p.waitFor("the person in the address", `location.hash.includes("actor=local-administrator")`)
	p.see("Profile " + id)

	p.open("#/activity?actor=staff&kind=login_disabled&from=2020-01-01&to=2020-02-01") // an address that a colleague has sent
	p.see("Nothing fits these filters.")
	p.choose("What", "Mailing deleted")
	p.see("Nothing fits these filters.")
	p.both()
	p.click("Clear the filters")
	p.see("Login disabled")

	p.download(func() { p.click("Download") }, "login_disabled")
	p.click("Profile " + id)
	p.see("<b>Bold</b>")

	p.open("#/activity")
	p.see("Login disabled")
	p.offline(true)
	p.choose("What", "Signed in")
	p.see("There was no answer.")
	p.both()
	p.offline(false)
	p.click("Try again")
	p.gone("There was no answer.")
}
