package browser_test

import "testing"

// Staff change a setting after seeing what it would do (N18), and two of them
// at once lose nothing.
func TestSettings(t *testing.T) {
	w := start(t, nil)
	p := w.signInAt("Administrator", "#/settings")
	p.see("Harbour Chamber of Commerce")
	p.see("Access level")
	p.both()
	p.shot("settings")

	// Saves what was changed.
	p.fill("Hours", "Daily, 9 to 9")
	p.click("Save Settings")
	p.said("The settings are saved.")
	if got := w.api("GET", "/api/organization", nil)["helpHours"]; got != "Daily, 9 to 9" {
		t.Errorf("stored is %q", got)
	}

	// Says whom it lets in or keeps out before saving.
	p.choose("Access level", "Members Only")
	p.click("Save Settings")
	p.see("can sign in now and will not be able to")
	p.both()
	p.click("Cancel")
	if got := w.api("GET", "/api/organization", nil)["accessLevel"]; got != "members_and_primary_relations" {
		t.Errorf("the check stored %q", got)
	}
	p.click("Save Settings")
	p.see("can sign in now and will not be able to")
	p.click("Save Settings")
	p.said("The settings are saved.")
	if got := w.api("GET", "/api/organization", nil)["accessLevel"]; got != "members_only" {
		t.Errorf("stored is %q", got)
	}

	// Says at the field why it was refused.
	p.fill("A mailing’s links work for (hours)", "5000")
	p.fill("Website", "not an address")
	p.click("Save Settings")
	p.see("The settings were not saved.")
	p.waitFor("both fields to be marked", `document.querySelectorAll(".field.refused").length === 2`)
	p.both()
	p.click("Discard changes")
	p.gone("The settings were not saved.")

	// Says what is weaker than the standard.
	p.fill("A mailing’s links work for (hours)", "72")
	p.click("Save Settings")
	p.said("The settings are saved.")
	p.see("Weaker than the standard")

	// Two at once.
	p.fill("Phone", "+44 20 0000 0001")
	p.fill("Sender’s name", "From me")
	version := w.version("/api/organization")
	w.api("PUT", "/api/organization", doc{"helpPhone": "+44 20 9999 9999", "replyTo": "office@example.org"}, "If-Match", version)
	p.click("Save Settings")
	p.see("Somebody else has changed the settings, too")
	p.see("Theirs: +44 20 9999 9999")
	p.both()
	p.click("Mine: +44 20 0000 0001")
	p.click("Save Settings")
	p.said("The settings are saved.")
	now := w.api("GET", "/api/organization", nil)
	if now["helpPhone"] != "+44 20 0000 0001" || now["senderName"] != "From me" || now["replyTo"] != "office@example.org" {
		t.Errorf("stored is %v, %v, %v", now["helpPhone"], now["senderName"], now["replyTo"])
	}

	// An answer that is lost.
	p.fill("Hours", "Never")
	lost := p.lose("PUT", "/api/organization")
	p.click("Save Settings")
	lost()
	p.said("The settings were saved, though the answer was lost.")

	// Unsaved changes are guarded.
	p.fill("Hours", "Now and then")
	p.click("Activity")
	p.see("Leave without saving?")
	p.click("Stay here")
	if got := p.field("Hours"); got != "Now and then" {
		t.Errorf("the field holds %q", got)
	}
	p.click("Activity")
	p.click("Leave")
	p.see("Who did what")
}

// A role that may not change the settings can read them, and its own permissions.
func TestSettingsOfARoleThatMayNot(t *testing.T) {
	w := begin(t)
	p := w.signInAt("Viewer", "#/settings")
	p.see("Changing them needs the permission")
	if p.has("Save Settings") {
		t.Error("a viewer is offered to save")
	}
	p.both()
	p.click("local viewer")
	p.see("You may not")
	p.see("Send mailings")
	p.both()
	p.shot("permissions")
}
