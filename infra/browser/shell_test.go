package browser_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/memberkey/memberkey/infra/local/system"
)

// Staff sign in with the organization's issuer and come to the view that they
// asked for; the token is in memory alone, so a reload asks the issuer again.
func TestSignIn(t *testing.T) {
	w := begin(t)
	p := w.visit("/#/activity")
	p.see("Choose a role")
	p.both()
	p.click("Manager")
	p.see("Who did what")
	if kept := value[string](p, `JSON.stringify({...localStorage, ...sessionStorage}) + document.cookie`); strings.Contains(kept, "access_token") || strings.Contains(kept, "eyJ") {
		t.Errorf("a token is kept: %s", kept)
	}
	if address := value[string](p, "location.href"); strings.Contains(address, "code=") {
		t.Errorf("the code stays in the address: %s", address)
	}
	p.reload()
	p.see("Who did what")

	// The way back over the address with the used code does no harm.
	p.do(chromedp.Navigate(w.base + "/?code=used&state=unknown"))
	p.waitFor("the console", `Boolean(document.querySelector("header.top"))`)
}

func TestSignOut(t *testing.T) {
	w := begin(t)
	p := w.signIn("Front desk")
	p.click("Sign out")
	p.see("You are signed out")
	p.both()
	p.click("Sign in")
	p.see("Choose a role") // the issuer has forgotten, too
	p.click("Viewer")
	p.see("local viewer")
}

// What a role may not do is not offered, and refused if tried.
func TestRoles(t *testing.T) {
	w := begin(t)
	for role, want := range map[string]struct{ has, hasNot []string }{
		"Administrator": {has: []string{"Profiles", "Communication", "Import", "Activity", "Settings", "+ New Profile"}},
		"Manager":       {has: []string{"Communication", "Import", "+ New Profile"}},
		"Front desk":    {has: []string{"Profiles", "Import", "+ New Profile"}, hasNot: []string{"Communication"}},
		"Viewer":        {has: []string{"Profiles", "Activity"}, hasNot: []string{"Communication", "Import", "+ New Profile"}},
	} {
		p := w.signIn(role)
		p.see("Settings")
		for _, name := range want.has {
			if !p.has(name) {
				t.Errorf("%s is not offered %s", role, name)
			}
		}
		for _, name := range want.hasNot {
			if p.has(name) {
				t.Errorf("%s is offered %s", role, name)
			}
		}
		if role == "Viewer" {
			for hash, permission := range map[string]string{"#/imports": "Edit and import profiles", "#/mailings": "Compose mailings", "#/profiles/new": "Edit and import profiles"} {
				p.open(hash)
				p.see("Your role does not include this")
				p.see(permission)
			}
			p.both()
			p.open("#/no/such/view")
			p.see("There is nothing at this address")
			p.both()
		}
	}
}

// A token that runs out is renewed without a word; where the issuer has
// forgotten the person, they sign in again in a window, and what they typed
// stays.
func TestRenewal(t *testing.T) {
	w := start(t, func(c *system.Config) { c.TokenLife = 2 * time.Second })
	p := w.signInAt("Administrator", "#/settings")
	p.see("Access level")
	time.Sleep(2500 * time.Millisecond) // the life of a token is what is tested
	p.fill("Hours", "After a renewal")
	p.click("Save Settings")
	p.said("The settings are saved.")

	p.fill("Hours", "Typed before the end")
	value[bool](p, `fetch("/local/issuer/sign-out?client_id=console").then(() => true, () => true)`)
	time.Sleep(2500 * time.Millisecond)
	p.click("Save Settings")
	p.see("Please sign in again")
	p.axe()
	window := chromedp.WaitNewTarget(p.ctx, func(info *target.Info) bool { return info.Type == "page" })
	p.click("Sign in")
	ctx, cancel := chromedp.NewContext(p.ctx, chromedp.WithTargetID(<-window))
	defer cancel()
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	again := &page{TB: t, w: w, ctx: ctx, origins: map[string]bool{}}
	again.click("Administrator")
	p.said("The settings are saved.")
	if got := w.api("GET", "/api/organization", nil)["helpHours"]; got != "Typed before the end" {
		t.Errorf("stored is %q", got)
	}
}

// A line that is down is said, and what is read after it is back is right.
func TestOffline(t *testing.T) {
	w := begin(t)
	p := w.signInAt("Administrator", "#/me")
	p.see("You may")
	p.offline(true)
	p.see("The connection is down.")
	p.both()
	p.offline(false)
	p.said("The connection is back.")
	p.gone("The connection is down.")

	// A view whose code is not there yet comes when the line is back.
	p.offline(true)
	p.open("#/settings")
	p.see("This view could not be loaded")
	p.both()
	p.offline(false)
	p.see("Access level")
}

// The keyboard alone: past the header to the content, along the menu.
func TestKeyboardAlong(t *testing.T) {
	w := begin(t)
	p := w.signInAt("Administrator", "#/me")
	p.see("You may")
	p.tab("Skip to the content")
	p.keys(kb.Enter)
	if id := value[string](p, "document.activeElement.id"); id != "main" {
		t.Errorf("skipping leads to %q", id)
	}
	value[bool](p, "(document.activeElement.blur(), true)")
	p.tab("Activity")
	p.keys(kb.Enter)
	p.see("Who did what")
	p.width(phone)
	p.tab("Menu")
	p.keys(kb.Enter)
	p.tab("Settings")
	p.keys(kb.Enter)
	p.see("Access level")
}

// The console can be put into no frame (A5), its policy lets in no script of
// others, and what leaves the page says nothing of where it was.
func TestPolicy(t *testing.T) {
	w := begin(t)
	p := w.signIn("Administrator")
	header := value[map[string]string](p, `fetch("/").then((r) => Object.fromEntries(["content-security-policy", "referrer-policy", "x-content-type-options", "strict-transport-security"].map((n) => [n, r.headers.get(n) ?? ""])))`)
	csp := header["content-security-policy"]
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(csp, part) {
			t.Errorf("the policy lacks %s: %s", part, csp)
		}
	}
	if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
		t.Errorf("the policy allows too much: %s", csp)
	}
	if header["referrer-policy"] != "no-referrer" || header["x-content-type-options"] != "nosniff" {
		t.Errorf("headers: %v", header)
	}
	p.expect("Content Security Policy")
	p.expect("violates the following")
	if ran := value[bool](p, `new Promise((done) => {
		const script = document.createElement("script");
		script.textContent = "window.ran = true";
		document.body.append(script);
		const img = document.createElement("img");
		img.setAttribute("onerror", "window.ran = true");
		img.src = "data:,";
		document.body.append(img);
		setTimeout(() => done(Boolean(window.ran)), 200);
	})`); ran {
		t.Error("a script that was put into the page ran")
	}
}
