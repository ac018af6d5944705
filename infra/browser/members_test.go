package browser_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

var linked = regexp.MustCompile(`href="([^"]+/set-password/[^"]+)"`)

// linkIn is the path of the link that sets a password.
func linkIn(t testing.TB, m mail) string {
	t.Helper()
	found := linked.FindStringSubmatch(m.HTML)
	if found == nil {
		t.Fatalf("no link in the mail %q", m.Subject)
	}
	u, err := url.Parse(html.UnescapeString(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return u.Path
}

// reset is a path of a fresh link of a person.
func (w *world) reset(id string) string {
	w.Helper()
	address, _ := w.api("GET", "/api/profiles/"+id, nil)["email"].(string)
	w.api("POST", "/api/profiles/"+id+"/reset-emails", nil)
	return linkIn(w, w.mailTo(address))
}

// submit presses a form's button and waits for the page that comes of it.
func (p *page) submit(button string) {
	p.Helper()
	value[bool](p, "window.before = true")
	p.click(button)
	p.waitFor("the next page", `window.before === undefined && document.readyState === "complete"`)
}

const fine = "balcony trophy june velvet acorn"

// A1: a scanner that opens the link with a browser, runs its scripts, waits and
// presses buttons does not use it up; the person who comes after it sets the
// password.
func TestA1ScannersUseUpNoLink(t *testing.T) {
	w := begin(t)
	id := w.person(nil)
	link := w.reset(id)
	before := fmt.Sprint(w.api("GET", "/api/profiles/"+id+"/credentials", nil))
	for range 3 {
		scanner := w.visit(link)
		scanner.see("Set your password")
		scanner.click("Set password") // an empty form, which the browser itself holds back
		value[bool](scanner, `new Promise((done) => setTimeout(() => done(true), 300))`)
		value[bool](scanner, `(document.querySelectorAll("form").forEach((form) => { if (!form.querySelector("input[type=password]")) return; for (const i of form.querySelectorAll("input[type=password]")) i.value = "short"; form.submit(); }), true)`)
		scanner.waitFor("the refusal", `Boolean(document.querySelector("#problem"))`)
	}
	if after := fmt.Sprint(w.api("GET", "/api/profiles/"+id+"/credentials", nil)); after != before {
		t.Errorf("the login has changed:\n%s\n%s", before, after)
	}
	person := w.visit(link)
	person.fill("New password", fine)
	person.fill("The same password once more", fine)
	person.submit("Set password")
	person.see("Your password is set")
	if set := w.api("GET", "/api/profiles/"+id+"/credentials", nil)["passwordSet"]; set != true {
		t.Error("the person's password is not set")
	}
}

// A5: no request that a link's page makes, and no page after it, tells the
// token to anybody: not in an address, not as the referrer.
func TestA5NoRequestTellsTheToken(t *testing.T) {
	w := begin(t)
	link := w.reset(w.person(nil))
	token := link[strings.LastIndex(link, "/")+1:]
	p := w.visit(link)
	p.see("Set your password")
	for _, a := range value[[]string](p, `performance.getEntriesByType("resource").map((e) => e.name)`) {
		if strings.Contains(a, token) {
			t.Errorf("the page's own %s carries the token", a)
		}
	}
	p.fill("New password", fine)
	p.fill("The same password once more", fine)
	p.submit("Set password")
	p.see("Your password is set")
	p.submit("Sign in")
	p.see("Username or email address")
	if from := value[string](p, "document.referrer"); strings.Contains(from, token) {
		t.Errorf("the next page hears of the token: %s", from)
	}
	if at := value[string](p, "location.href"); strings.Contains(at, token) {
		t.Errorf("the token goes along: %s", at)
	}
	answer, err := http.Get(w.base + link)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if h := answer.Header; h.Get("Referrer-Policy") != "no-referrer" || !strings.Contains(h.Get("Cache-Control"), "no-store") || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Errorf("headers of the link's page: %v", h)
	}
}

// Every member page in every state, on both screens, in both colours.
func TestMemberPagesAccessible(t *testing.T) {
	w := begin(t)
	id := w.person(doc{"firstName": "Mara"})
	link := w.reset(id)
	username, _ := w.api("GET", "/api/profiles/"+id, nil)["email"].(string)
	p := w.visit(link)
	look := func(text string) {
		t.Helper()
		p.see(text)
		p.both()
	}
	at := func(path, text string) {
		t.Helper()
		p.do(chromedp.Navigate(w.base + path))
		look(text)
	}
	look("Set your password")
	p.shot("member-set-password")
	p.fill("New password", "password password")
	p.fill("The same password once more", "another")
	p.submit("Set password")
	p.waitFor("the reasons", `Boolean(document.querySelector("#problem"))`)
	look("Set your password")
	p.fill("New password", fine)
	p.fill("The same password once more", fine)
	p.submit("Set password")
	look("Your password is set")
	at(link, "This link has been used")

	other := w.person(nil)
	dead := w.reset(other)
	w.api("POST", "/api/profiles/"+other+"/sign-out", nil)
	at(dead, "This link has ended")
	p.shot("member-link-ended")
	p.submit("Send me a new link")
	p.gone("This link has ended")
	look("")
	at(link[:len(link)-4], "This address is incomplete")
	barred := w.person(nil)
	refused := w.reset(barred)
	w.api("PATCH", "/api/profiles/"+barred, doc{"status": "dropped"}, "If-Match", w.version("/api/profiles/"+barred))
	at(refused, "")

	at("/portal/demo/forgot-login", "Have a link sent to you")
	p.fill("Your email address or username", username)
	p.submit("Send me a link")
	p.gone("Have a link sent to you")
	look("")

	at("/portal/demo/sign-in", "Username or email address")
	for range 6 {
		p.fill("Username or email address", username)
		p.fill("Password", "not the password at all")
		p.submit("Sign in")
	}
	look("") // by now there is a wait
	w.api("POST", "/api/profiles/"+id+"/unlock", nil)
	at("/portal/demo/sign-in", "Username or email address")
	p.fill("Username or email address", username)
	p.fill("Password", fine)
	p.submit("Sign in")
	look("Welcome, Mara")
	p.shot("member-portal")
	at("/portal/demo/password", "Change your password")
	p.fill("The password that you have now", "wrong")
	p.fill("New password", fine+" x")
	p.fill("The same password once more", fine+" x")
	p.submit("Change password")
	p.waitFor("the refusal", `Boolean(document.querySelector("#problem"))`)
	look("Change your password")
	p.fill("The password that you have now", fine)
	p.fill("New password", fine+" x")
	p.fill("The same password once more", fine+" x")
	p.submit("Change password")
	look("")

	typed := w.person(nil)
	w.api("PUT", "/api/profiles/"+typed+"/credentials", doc{"username": "mara.typed", "password": fine}, "If-Match", w.version("/api/profiles/"+typed+"/credentials"))
	p = w.visit("/portal/demo/sign-in")
	p.fill("Username or email address", "mara.typed")
	p.fill("Password", fine)
	p.submit("Sign in")
	look("Please choose a password of your own")
	at("/portal/nobody/sign-in", "")
}
