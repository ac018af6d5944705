package signin_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

func TestSignInAndOut(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	goesTo(t, b.get(""), "/portal/acme/sign-in")
	goesTo(t, b.get("/password"), "/portal/acme/sign-in")
	goesTo(t, b.post("/switch", "to", "1"), "/portal/acme/sign-in")
	expect(t, b.get("/sign-in"), 200, "<h1>Sign in</h1>", "Acme &amp; Friends", `src="https://cdn.example.org/logo.png"`, "tel:&#43;15550109")
	out := b.post("/sign-in", "username", "ana@example.org", "password", right, "keep", "yes")
	goesTo(t, out, "/portal/acme")
	for i, want := range []string{"__Secure-session=", "__Secure-device="} {
		c, err := http.ParseSetCookie(out.Cookies[i])
		if err != nil || !strings.HasPrefix(out.Cookies[i], want) || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/portal/acme" || c.Domain != "" {
			t.Errorf("%s %v", out.Cookies[i], err)
		}
		if c.Expires.IsZero() != (i == 0) { // "keep" is not offered
			t.Errorf("%s", out.Cookies[i])
		}
	}
	front := b.get("")
	expect(t, front, 200, "Welcome, Ana García", "ana@example.org", `action="/portal/acme/sign-out"`)
	if strings.Contains(front.Body, "signed in before this") {
		t.Error("a first sign-in has none before it")
	}
	goesTo(t, b.get("/sign-in"), "/portal/acme")
	w.now = w.now.Add(time.Hour)
	expect(t, w.in("ana@example.org").get(""), 200, "Tuesday, 24 November 2026, 12:00 pm UTC")
	former := b.jar["__Secure-session"]
	goesTo(t, b.post("/sign-out"), "/portal/acme/sign-in?signed-out=1")
	if b.jar["__Secure-session"] != "" || b.jar["__Secure-device"] == "" {
		t.Errorf("left: %v", b.jar)
	}
	expect(t, b.send("GET /portal/{org}/sign-in", nil, func(e *events.APIGatewayV2HTTPRequest) { e.RawQueryString = "signed-out=1" }), 200, "You are signed out")
	b.jar["__Secure-session"] = former
	goesTo(t, b.get(""), "/portal/acme/sign-in")
	goesTo(t, b.post("/sign-out"), "/portal/acme/sign-in?signed-out=1")
}

func TestCookiesFollowTheSettings(t *testing.T) {
	w := newWorld(t)
	w.settings(func(s *organization.Settings) { s.PortalAddress, s.KeepSignedInDays = "http://localhost:8080", 30 })
	b := w.browser()
	expect(t, b.get("/sign-in"), 200, "Keep me signed in for 30 days")
	// No header makes them secure, or takes that away (A2).
	out := b.send("POST /portal/{org}/sign-in", url.Values{"username": {"bob"}, "password": {right}, "keep": {"yes"}}, header("x-forwarded-proto", "https"), header("cloudfront-forwarded-proto", "https"))
	goesTo(t, out, "/portal/acme")
	c, err := http.ParseSetCookie(out.Cookies[0])
	if err != nil || c.Name != "session" || c.Secure || !c.HttpOnly || !c.Expires.Equal(w.now.Add(30*24*time.Hour)) {
		t.Errorf("%s %v", out.Cookies[0], err)
	}
	expect(t, b.get(""), 200)
}

func TestRefused(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	out := b.post("/sign-in", "username", `bob"><b>`, "password", wrong)
	expect(t, out, 422, "That did not work", `value="bob&#34;&gt;&lt;b&gt;"`, "/portal/acme/forgot-login")
	if strings.Contains(out.Body, wrong) || len(out.Cookies) != 0 {
		t.Error("a password came back, or a cookie")
	}
	for range 5 {
		out = b.post("/sign-in", "username", "bob", "password", wrong)
	}
	out = b.post("/sign-in", "username", "bob", "password", right)
	expect(t, out, 429, "Please wait a little", "Tuesday, 24 November 2026, 12:01 pm UTC", "have a link sent to you")
	for range 200 {
		w.now = w.now.Add(time.Hour)
		out = b.post("/sign-in", "username", "bob", "password", wrong)
	}
	expect(t, out, 429, "Only a link helps now")
}

// TestA8SameAnswer: every answer of sign-in and forgot login is the same, byte
// by byte, whoever is meant.
func TestA8SameAnswer(t *testing.T) {
	names := []string{"ana@example.org", "nobody@example.org", "nobody", "nomail", "dis@example.org", "lapsed@example.org", "family@example.org", "kim@example.org", "bob", "not a name"}
	for _, page := range []string{"sign-in", "forgot-login"} {
		t.Run(page, func(t *testing.T) {
			w := newWorld(t)
			var first []reply
			for i, name := range names {
				var story []reply
				for range 8 { // refused, and then waiting
					out := w.browser().post("/"+page, "username", name, "login", name, "password", wrong)
					// What was typed stands in the field again; that it does is no answer.
					out.Body = strings.ReplaceAll(out.Body, `value="`+name+`"`, `value="NAME"`)
					story = append(story, out)
				}
				if i == 0 {
					first = story
				} else if diff := cmp.Diff(first, story); diff != "" {
					t.Errorf("%s is answered in another way: %s", name, diff)
				}
			}
			if page == "sign-in" && (first[0].StatusCode != 422 || first[7].StatusCode != 429) || page == "forgot-login" && first[7].StatusCode != 200 {
				t.Errorf("%d, %d", first[0].StatusCode, first[7].StatusCode)
			}
			// No name, and none of the waiting ones, was told by the log either.
			for _, name := range names {
				if strings.Contains(w.log.String(), name) {
					t.Errorf("%s is in the log", name)
				}
			}
		})
	}
	// The right password of one who may not enter says no more than a wrong one.
	w := newWorld(t)
	var all []reply
	for _, name := range []string{"dis@example.org", "lapsed@example.org", "family@example.org", "nobody@example.org"} {
		out := w.browser().post("/sign-in", "username", name, "password", right)
		out.Body = strings.ReplaceAll(out.Body, `value="`+name+`"`, `value="NAME"`)
		all = append(all, out)
	}
	for _, out := range all[1:] {
		if diff := cmp.Diff(all[0], out); diff != "" {
			t.Error(diff)
		}
	}
}

func TestForgotLogin(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	expect(t, b.get("/forgot-login"), 200, "Have a link sent to you", `name="login"`)
	want := b.post("/forgot-login", "login", "ana@example.org")
	expect(t, want, 200, "Please look into your mailbox")
	for _, entered := range []string{strings.Repeat("x", 300), strings.Repeat("é", 1000), "\x00", "<script>", "bob"} {
		var out reply
		wrote := w.db.wrote(func() { out = b.post("/forgot-login", "login", entered) })
		if diff := cmp.Diff(want, out); diff != "" {
			t.Errorf("%.20q: %s", entered, diff)
		}
		if len(wrote) != 1 || wrote[0].Table != store.Mailings || wrote[0].Due == 0 {
			t.Errorf("%.20q wrote %v", entered, wrote)
		}
	}
	if len(w.bells.rung) != 6 {
		t.Errorf("%d bells", len(w.bells.rung))
	}
	for _, empty := range []string{"", "  \n"} {
		wrote := w.db.wrote(func() { expect(t, b.post("/forgot-login", "login", empty), 422, "The field is empty", `href="#login"`) })
		if len(wrote) != 0 {
			t.Errorf("%v", wrote)
		}
	}
}

func TestChangePassword(t *testing.T) {
	w := newWorld(t)
	b, other := w.in("bob"), w.in("bob")
	page := b.get("/password")
	expect(t, page, 200, "Change your password", `value="bob"`, `autocomplete="current-password"`, "At least 15 characters", "Use this one", `action="/portal/acme/password"`)
	for name, c := range map[string]struct {
		form  []string
		parts []string
	}{
		"different": {[]string{"current", right, "password", fresh, "again", fresh + "x"}, []string{"not the same", `href="#again"`}},
		"short":     {[]string{"current", right, "password", "short", "again", "short"}, []string{"too short", `href="#password"`}},
		"wrong":     {[]string{"current", wrong, "password", fresh, "again", fresh}, []string{"current password is not right", `href="#current"`}},
		"nothing":   {nil, []string{"too short"}},
		"unchanged": {[]string{"current", right, "password", right, "again", right}, []string{"is the current one"}},
	} {
		out := b.post("/password", c.form...)
		expect(t, out, 422, append(c.parts, "Error: ")...)
		for _, secret := range []string{fresh, wrong, right} {
			if strings.Contains(out.Body, secret) {
				t.Errorf("%s: a password came back", name)
			}
		}
	}
	expect(t, b.post("/password", "suggested", fresh), 200, `value="`+fresh+`"`, "filled in for you")
	former := b.jar["__Secure-session"]
	expect(t, b.post("/password", "current", right, "password", fresh, "again", fresh), 200, "Your password is changed")
	if b.jar["__Secure-session"] == former {
		t.Error("the session stays")
	}
	expect(t, b.get(""), 200, "Welcome")
	goesTo(t, other.get(""), "/portal/acme/sign-in")
	goesTo(t, other.post("/password", "current", fresh, "password", right, "again", right), "/portal/acme/sign-in")
	for range 5 {
		expect(t, b.post("/password", "current", wrong, "password", "copper-meadow-walrus-thirty", "again", "copper-meadow-walrus-thirty"), 422)
	}
	expect(t, b.post("/password", "current", fresh, "password", "copper-meadow-walrus-thirty", "again", "copper-meadow-walrus-thirty"), 422, "have a link sent to you")
}

// TestMustChange: a password typed by staff opens the page to change it, and
// no other.
func TestMustChange(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx *store.Tx) error {
		c, err := tx.Credential(org, "2")
		if err == nil {
			c.SetBy, c.MustChange, c.StopsAt = credential.ByStaff, true, w.now.Add(credential.TypedLife)
			tx.PutCredential(c)
		}
		return err
	})
	b := w.browser()
	goesTo(t, b.post("/sign-in", "username", "bob", "password", right), "/portal/acme/password")
	goesTo(t, b.get(""), "/portal/acme/password")
	goesTo(t, b.get("/sign-in"), "/portal/acme/password")
	goesTo(t, b.post("/switch", "to", "1"), "/portal/acme/password")
	expect(t, b.get("/password"), 200, "Please choose a password of your own", `action="/portal/acme/sign-out"`)
	expect(t, b.post("/password", "current", right, "password", fresh, "again", fresh), 200, "Your password is changed")
	expect(t, b.get(""), 200, "Welcome")
}

func TestSwitch(t *testing.T) {
	w := newWorld(t)
	w.person("100", "company", "", false, func(p *profile.Profile) { p.Type, p.OrganizationName = profile.Organization, "Quinn & Co" })
	w.update(func(tx *store.Tx) error {
		p, err := tx.Profile(org, "1")
		if err != nil {
			return err
		}
		p.Relations = []profile.Relation{{To: "100", Kind: "Owner", CanEdit: true}}
		return tx.PutProfile(p)
	})
	b := w.in("ana@example.org")
	expect(t, b.get(""), 200, "You may also act for", `name="to" value="100"`, "Quinn &amp; Co")
	goesTo(t, b.post("/switch", "to", "100"), "/portal/acme")
	acting := b.get("")
	expect(t, acting, 200, "You are acting for", `name="to" value="1"`)
	if strings.Contains(acting.Body, "You may also act for") {
		t.Error("offers what is so already")
	}
	for _, to := range []string{"2", "", "nobody", strings.Repeat("x", 2000), "a#b\x00"} {
		wrote := w.db.wrote(func() {
			expect(t, b.post("/switch", "to", to), 403, "That did not work", "You may not act for this profile")
		})
		if len(wrote) != 0 {
			t.Errorf("%.20q wrote %v", to, wrote)
		}
	}
	goesTo(t, b.post("/switch", "to", "1"), "/portal/acme")
	expect(t, b.get(""), 200, "You may also act for")
}

// keys are the route keys of one method.
func (w *world) keys(method string) (list []string) {
	for key := range w.routes {
		if strings.HasPrefix(key, method+" ") {
			list = append(list, key)
		}
	}
	slices.Sort(list)
	return list
}

func TestRoutes(t *testing.T) {
	w := newWorld(t)
	want := []string{"GET /portal/{org}", "GET /portal/{org}/forgot-login", "GET /portal/{org}/password", "GET /portal/{org}/sign-in"}
	if diff := cmp.Diff(want, w.keys("GET")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"POST /portal/{org}/forgot-login", "POST /portal/{org}/password", "POST /portal/{org}/sign-in", "POST /portal/{org}/sign-out", "POST /portal/{org}/switch"}, w.keys("POST")); diff != "" {
		t.Error(diff)
	}
	b := w.in("bob")
	for _, key := range want {
		head := strings.Replace(key, "GET", "HEAD", 1)
		if _, ok := w.routes[head]; !ok {
			t.Errorf("no %s", head)
		}
		for _, who := range []*browser{b, w.browser()} {
			wrote := w.db.wrote(func() {
				got, out := who.send(key, nil), who.send(head, nil)
				if out.StatusCode != got.StatusCode || out.Body != "" || out.Headers["Location"] != got.Headers["Location"] {
					t.Errorf("%s: %d, %d", head, got.StatusCode, out.StatusCode)
				}
				if got.Headers["Cache-Control"] != "no-store" || got.StatusCode == 200 && !strings.Contains(got.Headers["Content-Security-Policy"], "'sha256-") {
					t.Errorf("%s: %v", key, got.Headers)
				}
			})
			if len(wrote) != 0 {
				t.Errorf("%s wrote %v", key, wrote)
			}
		}
	}
	for key := range w.routes {
		out := w.serve(request(key, url.Values{"login": {"bob"}}, func(e *events.APIGatewayV2HTTPRequest) { e.PathParameters["org"] = "none" }))
		if out.StatusCode != 404 || strings.HasPrefix(key, "HEAD") != (out.Body == "") || strings.Contains(out.Body, "Acme") {
			t.Errorf("%s of an unknown organization: %d", key, out.StatusCode)
		}
	}
}

// TestA20CrossOrigin walks the routes: no POST from another site gets through,
// signed in or not.
func TestA20CrossOrigin(t *testing.T) {
	w := newWorld(t)
	b := w.in("bob")
	for _, key := range w.keys("POST") {
		for name, change := range map[string][]func(*events.APIGatewayV2HTTPRequest){
			"cross-site":  {header("sec-fetch-site", "cross-site")},
			"same-site":   {header("sec-fetch-site", "same-site"), header("origin", "https://blog.example.org")},
			"old browser": {func(e *events.APIGatewayV2HTTPRequest) { delete(e.Headers, "sec-fetch-site") }, header("origin", "https://evil.example")},
			"sandboxed":   {func(e *events.APIGatewayV2HTTPRequest) { delete(e.Headers, "sec-fetch-site") }, header("origin", "null")},
			"host helps":  {func(e *events.APIGatewayV2HTTPRequest) { delete(e.Headers, "sec-fetch-site") }, header("origin", "https://evil.example"), header("host", "evil.example"), header("x-forwarded-host", "evil.example")},
		} {
			wrote := w.db.wrote(func() {
				form := url.Values{"username": {"bob"}, "login": {"bob"}, "password": {fresh}, "again": {fresh}, "current": {right}, "to": {"1"}}
				out := b.send(key, form, change...)
				if out.StatusCode != 403 || !strings.Contains(out.Body, "not sent from our page") || len(out.Cookies) != 0 {
					t.Errorf("%s, %s: %d", key, name, out.StatusCode)
				}
			})
			if len(wrote) != 0 {
				t.Errorf("%s, %s wrote %v", key, name, wrote)
			}
		}
	}
	if len(w.bells.rung) != 0 {
		t.Error("a bell was rung")
	}
	// An old browser on our own page gets through.
	out := w.browser().send("POST /portal/{org}/sign-in", url.Values{"username": {"bob"}, "password": {right}},
		func(e *events.APIGatewayV2HTTPRequest) { delete(e.Headers, "sec-fetch-site") }, header("origin", "https://members.example.org"))
	goesTo(t, out, "/portal/acme")
}

// TestA19OpenRedirect: nothing that is sent along leads away from here.
func TestA19OpenRedirect(t *testing.T) {
	w := newWorld(t)
	own := []string{"/portal/acme", "/portal/acme/sign-in", "/portal/acme/password", "/portal/acme/sign-in?signed-out=1"}
	for _, evil := range []string{"//evil.example", `/\evil.example`, "https://evil.example", "javascript:alert(1)", "%2f%2fevil.example", "\t//evil.example"} {
		for key := range w.routes {
			for _, b := range []*browser{w.in("bob"), w.browser()} {
				form := url.Values{"username": {"bob"}, "login": {"x"}, "password": {right}, "to": {evil}}
				query := url.Values{}
				for _, name := range []string{"next", "redirect", "return", "returnTo", "redirect_uri", "url", "continue", "signed-out"} {
					form.Set(name, evil)
					query.Set(name, evil)
				}
				out := b.send(key, form, func(e *events.APIGatewayV2HTTPRequest) {
					e.RawQueryString = query.Encode()
					e.Headers["referer"] = "https://evil.example/"
				})
				if place := out.Headers["Location"]; place != "" && !slices.Contains(own, place) {
					t.Errorf("%s leads to %q", key, place)
				}
				if strings.Contains(out.Body, "evil.example") {
					t.Errorf("%s: %s", key, plain(out.Body))
				}
			}
		}
	}
}

// TestA2HostHeaders: no header changes a page.
func TestA2HostHeaders(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for _, key := range w.keys("GET") {
		want := b.send(key, nil)
		for _, name := range []string{"host", "x-forwarded-host", "forwarded", "x-forwarded-proto", "x-original-url", "x-rewrite-url", "x-forwarded-prefix", "origin", "referer"} {
			got := b.send(key, nil, header(name, "host=evil.example:443@evil"))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s with %s: %s", key, name, diff)
			}
		}
	}
}

// TestA16Limits: what is too large is refused before anything is hashed.
func TestA16Limits(t *testing.T) {
	w := newWorld(t)
	b := w.in("bob")
	before := w.hasher.Calls()
	for _, key := range w.keys("POST") {
		out := b.send(key, url.Values{"password": {strings.Repeat("x", 9<<10)}})
		if out.StatusCode != 413 {
			t.Errorf("%s: %d", key, out.StatusCode)
		}
	}
	expect(t, b.post("/sign-in", "username", "bob", "password", strings.Repeat("x", password.MaxLength+1)), 422, "That did not work")
	expect(t, b.post("/password", "current", strings.Repeat("x", password.MaxLength+1), "password", fresh, "again", fresh), 422)
	if w.hasher.Calls() != before {
		t.Error("hashed all the same")
	}
}

// TestA27Log: no password, cookie or name reaches the log.
func TestA27Log(t *testing.T) {
	w := newWorld(t)
	b := w.in("ana@example.org")
	b.post("/sign-in", "username", "ana@example.org", "password", wrong)
	b.post("/password", "current", right, "password", fresh, "again", fresh)
	b.post("/forgot-login", "login", "canary@example.org")
	b.get("")
	for _, secret := range []string{right, wrong, fresh, "ana@example.org", "canary@", b.jar["__Secure-session"], b.jar["__Secure-device"]} {
		if secret == "" || strings.Contains(w.log.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
	if n := strings.Count(w.log.String(), `"msg":"request"`); n != 5 {
		t.Errorf("%d requests logged", n)
	}
}
