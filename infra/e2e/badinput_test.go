package e2e_test

// What people, programs and networks get wrong, on the whole system over HTTP:
// bad input is refused with a stable code and changes nothing (H25), odd input
// is made harmless, and whatever comes twice, at once or in the wrong order
// makes nothing twice.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/store"
)

// TestBadInput is H25, word by word: everything that staff or members may send
// and must not is answered with a stable code, or a page that says what to do,
// and changes nothing. What is no fault at all, because it is made harmless,
// is TestHarmlessInput.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	p, q, noMail, taken := s.person(nil), s.person(nil), s.person(doc{"email": nil}), s.person(nil)
	taken.change(doc{"username": "taken.name"}).want(200)
	p.signsUp(phrase)
	p.edit(doc{"firstName": "Adah"}).want(200)
	thief := s.found("other")
	foreign := thief.person(nil)
	c := s.compose(doc{"subject": "S", "html": "<p>x</p>"})
	stale := p.profile().etag()
	p.edit(doc{"firstName": "Adele"}).want(200)

	used, revokedMail := q.link(), s.credentialsFor(q)
	revokedMail.send()
	revokedMail.done()
	revoked := s.nextOf(q.Email, revokedMail.ID).link()
	s.api("POST", revokedMail.path("/revoke-links"), nil).want(200)
	expired := s.person(nil)
	late := expired.link()
	s.expire(late)
	q.w.browser().open(used).sets(phrase)
	s.quiet()

	profile, tab, settings := p.path(""), q.path("/credentials"), "/api/organization"
	atProfile, atTab, atSettings := p.profile().etag(), q.credentials().etag(), s.get(settings).etag()
	html := func(text string) string { b, _ := json.Marshal(doc{"subject": "S", "html": text}); return string(b) }
	subject := func(text string) string {
		b, _ := json.Marshal(doc{"subject": text, "html": "<p>x</p>"})
		return string(b)
	}
	secret := func(text string) string { b, _ := json.Marshal(doc{"password": text}); return string(b) }
	header := "Profile ID,Profile Type,First Name,Last Name,Organization Name,Email,Membership Status\n"
	cases := []struct {
		word, what              string
		method, path, tag, body string
		kind                    string
		status                  int
		code                    string
	}{
		{"wrong JSON", "half", "PATCH", profile, atProfile, `{"lastName":`, asJSON, 400, "body_invalid"},
		{"wrong JSON", "two values", "PATCH", profile, atProfile, `{}{}`, asJSON, 400, "body_invalid"},
		{"wrong JSON", "none", "PATCH", profile, atProfile, ``, asJSON, 400, "body_invalid"},
		{"wrong JSON", "not UTF-8", "PATCH", profile, atProfile, "{\"lastName\":\"\xff\"}", asJSON, 400, "body_invalid"},
		{"wrong JSON", "not said to be JSON", "PATCH", profile, atProfile, `{}`, "text/plain", 400, "content_type"},
		{"unknown keys", "of a profile", "PATCH", profile, atProfile, `{"nickname":"x"}`, asJSON, 400, "field_unknown"},
		{"unknown keys", "of credentials", "PUT", tab, atTab, `{"hash":"x"}`, asJSON, 400, "field_unknown"},
		{"unknown keys", "of a mailing", "POST", "/api/mailings", "", `{"sendNow":true}`, asJSON, 400, "field_unknown"},
		{"unknown keys", "of the settings", "PUT", settings, atSettings, `{"id":"x"}`, asJSON, 400, "field_unknown"},
		{"unknown keys", "of an address", "GET", "/api/profiles?serach=x", "", "", "", 400, "query_unknown"},
		{"duplicate keys", "a password", "PUT", tab, atTab, `{"password":"a","password":"b"}`, asJSON, 400, "field_duplicate"},
		{"duplicate keys", "within a list", "POST", "/api/profiles", "", `{"relations":[{"to":"201","to":"202"}]}`, asJSON, 400, "field_duplicate"},
		{"wrong types", "a list", "PATCH", profile, atProfile, `{"email":["a@example.com"]}`, asJSON, 400, "field_type"},
		{"wrong types", "null", "PATCH", profile, atProfile, `{"doNotEmail":7}`, asJSON, 400, "field_type"},
		{"wrong types", "a number with a point", "PUT", settings, atSettings, `{"linkHours":1.5}`, asJSON, 400, "field_type"},
		{"wrong types", "a date", "POST", c.path("/send"), "", `{"version":1,"at":"tomorrow"}`, asJSON, 400, "field_type"},
		{"wrong types", "a limit", "GET", "/api/mailings?limit=many", "", "", "", 400, "query_invalid"},
		{"wrong types", "a negative limit", "GET", "/api/mailings?limit=-1", "", "", "", 400, "limit_invalid"},
		{"wrong types", "a negative limit of people", "GET", "/api/profiles?limit=-1", "", "", "", 400, "limit_invalid"},
		{"wrong types", "a limit beyond all", "GET", "/api/profiles?limit=99999999999999999999", "", "", "", 400, "query_invalid"},
		{"bodies over the limit", "JSON", "PATCH", profile, atProfile, `{"lastName":"` + strings.Repeat("x", 300_000) + `"}`, asJSON, 413, "body_too_large"},
		{"bodies over the limit", "credentials", "PUT", tab, atTab, secret(strings.Repeat("x", 9_000)), asJSON, 413, "body_too_large"},
		{"bodies over the limit", "CSV", "POST", "/api/profile-imports", "", strings.Repeat("x", 4<<20+1), "text/csv", 413, "body_too_large"},
		{"bodies over the limit", "a form", "POST", "/portal/demo/sign-in", "", "password=" + strings.Repeat("x", 9_000), asForm, 413, ""},
		{"CSV with a wrong header", "unknown", "POST", "/api/profile-imports", "", "Name,Email\nx,y\n", "text/csv", 400, "csv_column_unknown"},
		{"CSV with a wrong header", "missing", "POST", "/api/profile-imports", "", "Profile ID\n1\n", "text/csv", 400, "csv_column_missing"},
		{"CSV with a wrong header", "twice", "POST", "/api/profile-imports", "", "Profile ID,Profile ID\n1,1\n", "text/csv", 400, "csv_column_twice"},
		{"CSV with a wrong header", "none", "POST", "/api/profile-imports", "", "", "text/csv", 400, "csv_empty"},
		{"CSV with a wrong header", "an open quote", "POST", "/api/profile-imports", "", header + "1,\"Individual,A,B,,a@example.com,Active\n2,Individual,A,B,,b@example.com,Active\n", "text/csv", 400, "csv_quotes"},
		{"CSV with a wrong encoding", "Latin-1", "POST", "/api/profile-imports", "", header + "1,Individual,Jos\xe9,B,,a@example.com,Active\n", "text/csv", 400, "body_invalid"},
		{"CSV with a wrong encoding", "UTF-16", "POST", "/api/profile-imports", "", "\xff\xfeP\x00r\x00", "text/csv", 400, ""},
		{"CSV with a wrong encoding", "a workbook", "POST", "/api/profile-imports", "", "PK\x03\x04\x14\x00\x06\x00", "text/csv", 400, "csv_encoding"},
		{"an unknown special field", "in the text", "POST", "/api/mailings", "", html("<p>[[PASSWORD]]</p>"), asJSON, 400, "special_field_unknown"},
		{"an unknown special field", "in the subject", "POST", "/api/mailings", "", subject("Hello [[PASSWORD]]"), asJSON, 400, "special_field_unknown"},
		{"an unknown special field", "the link in the subject", "POST", "/api/mailings", "", subject("[[PORTALLOGINLINK]]"), asJSON, 400, ""},
		{"an unknown special field", "in an address", "POST", "/api/mailings", "", html(`<a href="https://x.example/[[PASSWORD]]">x</a>`), asJSON, 400, ""},
		{"an unknown special field", "in a template", "POST", "/api/templates", "", `{"name":"x","subject":"S","html":"[[NOSUCH]]"}`, asJSON, 400, "special_field_unknown"},
		{"[[ typed by hand", "misspelt", "PUT", c.path(""), `"1"`, html("<p>[[FIRST-NAME]]</p>"), asJSON, 400, "special_field_unknown"},
		{"names with line breaks", "last name", "PATCH", profile, atProfile, `{"lastName":"a\nb"}`, asJSON, 400, "text_invalid"},
		{"names with line breaks", "of the organization", "PUT", settings, atSettings, `{"name":"a\r\nb"}`, asJSON, 400, "text_invalid"},
		{"header injection in the subject", "CRLF", "POST", "/api/mailings", "", subject("S\r\nBcc: evil@example.net"), asJSON, 400, "subject_line_break"},
		{"header injection in reply-to", "CRLF", "PUT", settings, atSettings, `{"replyTo":"a@example.org\r\nBcc: evil@example.net"}`, asJSON, 400, ""},
		{"header injection in reply-to", "two addresses", "PUT", settings, atSettings, `{"replyTo":"a@example.org, evil@example.net"}`, asJSON, 400, ""},
		{"header injection in reply-to", "of the sender", "PUT", settings, atSettings, `{"senderName":"a\r\nBcc: evil@example.net"}`, asJSON, 400, "text_invalid"},
		{"an impossible cursor", "not base64", "GET", "/api/profiles?cursor=%25", "", "", "", 400, "cursor_invalid"},
		{"an impossible cursor", "of nothing", "GET", "/api/profiles?cursor=YQ", "", "", "", 400, "cursor_invalid"},
		{"an impossible cursor", "of mailings", "GET", "/api/mailings?cursor=%00", "", "", "", 400, ""},
		{"an impossible cursor", "of activity", "GET", "/api/activity?cursor=YQ", "", "", "", 400, "cursor_invalid"},
		{"an impossible cursor", "of recipients", "GET", revokedMail.path("/recipients?cursor=YQ"), "", "", "", 400, "cursor_invalid"},
		{"a missing version", "of a profile", "PATCH", profile, "", `{"lastName":"x"}`, asJSON, 428, "version_missing"},
		{"a missing version", "of credentials", "PUT", tab, "", `{"username":"x"}`, asJSON, 428, "version_missing"},
		{"a missing version", "of a mailing", "PUT", c.path(""), "", `{}`, asJSON, 428, "version_missing"},
		{"a missing version", "any", "PUT", c.path(""), "*", `{}`, asJSON, 400, "version_invalid"},
		{"a stale version", "of a profile", "PATCH", profile, stale, `{"lastName":"x"}`, asJSON, 412, "version_stale"},
		{"a stale version", "of credentials", "PUT", tab, `"0"`, `{"username":"x.y"}`, asJSON, 412, "version_stale"},
		{"a stale version", "of a mailing", "PUT", c.path(""), `"9"`, `{"subject":"x"}`, asJSON, 412, "version_stale"},
		{"a stale version", "of the settings", "PUT", settings, `"0"`, `{"name":"x"}`, asJSON, 412, "version_stale"},
		{"a stale version", "of an audience", "POST", c.path("/send"), "", `{"version":7}`, asJSON, 409, ""},
		{"a missing profile", "read", "GET", "/api/profiles/none", "", "", "", 404, "profile_not_found"},
		{"a missing profile", "reset", "POST", "/api/profiles/none/reset-emails", "", "", "", 404, "profile_not_found"},
		{"a missing profile", "preview", "POST", c.path("/preview"), "", `{"profile":"none"}`, asJSON, 404, "profile_not_found"},
		{"a missing profile", "an odd name", "GET", "/api/profiles/%00", "", "", "", 404, ""},
		{"another organization's profile", "read", "GET", foreign.path(""), "", "", "", 404, "profile_not_found"},
		{"another organization's profile", "credentials", "PUT", foreign.path("/credentials"), `"0"`, `{"username":"x.y"}`, asJSON, 404, "profile_not_found"},
		{"no email", "reset", "POST", noMail.path("/reset-emails"), "", "", "", 422, "no_email"},
		{"no email", "a password without a name", "PUT", noMail.path("/credentials"), `"0"`, secret(another), asJSON, 400, "username_required"},
		{"a taken username", "by staff", "PUT", tab, atTab, `{"username":" Taken.Name "}`, asJSON, 409, "username_taken"},
		{"an unusable username", "a space", "PUT", tab, atTab, `{"username":"a b"}`, asJSON, 400, "username_invalid"},
		{"an unusable username", "another's address", "PUT", tab, atTab, `{"username":"stranger@example.org"}`, asJSON, 400, ""},
		{"an unusable username", "two alphabets", "PUT", tab, atTab, `{"username":"p\u0430ypal"}`, asJSON, 400, ""},
		{"an unusable username", "too long", "PUT", tab, atTab, `{"username":"` + strings.Repeat("x", 400) + `"}`, asJSON, 400, ""},
		{"an unusable username", "NUL", "PUT", tab, atTab, `{"username":"a\u0000b"}`, asJSON, 400, ""},
		{"a weak password", "short", "PUT", tab, atTab, secret("short"), asJSON, 400, "password_too_short"},
		{"a weak password", "repeated", "PUT", tab, atTab, secret("aaaaaaaaaaaaaaaaaaaaaa"), asJSON, 400, "password_repetitive"},
		{"a weak password", "one's own name", "PUT", tab, atTab, secret(q.Email), asJSON, 400, ""},
		{"a listed password", "common", "PUT", tab, atTab, secret("thisismypassword"), asJSON, 400, "password_listed"},
		{"an oversized password", "257 characters", "PUT", tab, atTab, secret(strings.Repeat("abc ", 65)), asJSON, 400, "password_too_long"},
		{"a token that is garbage", "page", "GET", "/portal/demo/set-password/%00%ff", "", "", "", 404, ""},
		{"a token that is garbage", "of the right length", "POST", "/portal/demo/set-password/" + strings.Repeat("z", 65), "", "password=" + url.QueryEscape(another) + "&again=" + url.QueryEscape(another), asForm, 404, ""},
		{"a token that is cut off", "page", "GET", pathOf(t, late)[:60], "", "", "", 404, ""},
		{"a token that is cut off", "post", "POST", pathOf(t, late) + ".", "", "password=" + url.QueryEscape(another) + "&again=" + url.QueryEscape(another), asForm, 404, ""},
		{"a token that is used", "page", "GET", pathOf(t, used), "", "", "", 410, ""},
		{"a token that is used", "post", "POST", pathOf(t, used), "", "password=" + url.QueryEscape(another) + "&again=" + url.QueryEscape(another), asForm, 410, ""},
		{"a token that is expired", "page", "GET", pathOf(t, late), "", "", "", 410, ""},
		{"a token that is expired", "post", "POST", pathOf(t, late), "", "password=" + url.QueryEscape(another) + "&again=" + url.QueryEscape(another), asForm, 410, ""},
		{"a token that is revoked", "page", "GET", pathOf(t, revoked), "", "", "", 410, ""},
		{"a token that is revoked", "post", "POST", pathOf(t, revoked), "", "password=" + url.QueryEscape(another) + "&again=" + url.QueryEscape(another), asForm, 410, ""},
	}
	s.unchanged("bad input", func() {
		for _, x := range cases {
			t.Run(x.word+", "+x.what, func(t *testing.T) {
				w := s.within(t)
				forge := []func(*http.Request){}
				if strings.HasPrefix(x.path, "/api/") {
					forge = append(forge, w.staff())
				}
				if x.tag != "" {
					forge = append(forge, head("If-Match", x.tag))
				}
				r := w.send(x.method, x.path, x.kind, x.body, forge...).want(x.status)
				if !strings.HasPrefix(x.path, "/api/") {
					if text := visible(t, r.Body); len(text) < 40 || strings.Contains(text, another) {
						t.Errorf("the page says %q", text)
					}
					return
				}
				code := r.text("code")
				if x.code != "" && code != x.code {
					t.Errorf("code %q, want %q: %s", code, x.code, r.Body)
				}
				r.refused(x.status, code)
				if r.Header.Get("Content-Type") != "application/problem+json" || code == "" {
					t.Errorf("no problem: %s %s", r.Header.Get("Content-Type"), r.Body)
				}
				if strings.Contains(string(r.Body), "evil@") || strings.Contains(string(r.Body), "goroutine") {
					t.Errorf("the problem repeats what was sent: %s", r.Body)
				}
			})
		}
	})
	// A link that is late, used or revoked offers what helps; it is not lost.
	for link, words := range map[string]string{late: "Send me a new link", revoked: "Send me a new link", used: "Sign in"} {
		s.browser().open(link).shows(words)
	}
}

// expire ends a link an hour ago.
func (s *siege) expire(address string) {
	s.Helper()
	_, id, ok := link.Parse(tokenOf(address))
	if !ok {
		s.Fatalf("%s is no link", address)
	}
	page, err := s.own.Store.Page(s.Context(), s.org, id)
	if err != nil {
		s.Fatal(err)
	}
	page.Ends = time.Now().Add(-time.Hour)
	if err := s.own.Store.Update(s.Context(), func(tx *store.Tx) error { tx.PutPage(page); return nil }); err != nil {
		s.Fatal(err)
	}
}

// What is no fault: scripts in HTML are taken out and named, braces and markup
// in a text or a name stay text.
func TestHarmlessInput(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	const markup = `<b onclick="x()">{{.Secret}} [[NAME]]</b>`
	p := s.person(doc{"firstName": markup})
	if got := p.profile().text("firstName"); got != markup {
		t.Errorf("the name is kept as %q", got)
	}
	made := s.api("POST", "/api/mailings", doc{"subject": "{{.Subject}} for [[FIRSTNAME]]", "html": `<p onclick="x()">Hello {{.Name}} ${x} [[FIRSTNAME]]</p>` +
		`<script>alert(1)</script><iframe src="https://evil.example"></iframe><a href="javascript:alert(1)">x</a><img src=x onerror=alert(1)><style>@import url(//evil.example)</style>` +
		`<form action="https://evil.example"><input></form><meta http-equiv="refresh" content="0;url=//evil.example"><svg onload=alert(1)></svg><p>[[PORTALLOGINLINK]]</p>`}).want(201)
	if len(made.words("removed")) == 0 {
		t.Error("nobody is told what was taken out")
	}
	m := campaign{s.world, made.text("id")}.preview(p.ID)
	root, err := html.Parse(strings.NewReader(m.HTML))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && slices.Contains([]string{"script", "iframe", "form", "input", "svg", "object", "embed", "base"}, n.Data) {
			t.Errorf("a mail with <%s>", n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || strings.Contains(a.Val, "evil.example") || strings.Contains(a.Val, "javascript:") {
				t.Errorf("a mail with <%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
	}
	for _, want := range []string{"{{.Name}}", "${x}", markup} {
		if !strings.Contains(m.Text, want) || !strings.Contains(visible(t, []byte(m.HTML)), want) {
			t.Errorf("%q is not in the mail as it was written: %s", want, m.Text)
		}
	}
	if m.Subject != "{{.Subject}} for "+markup {
		t.Errorf("subject %q", m.Subject)
	}
}

// TestBadLuck repeats, mixes up and does at once what people and networks do:
// nothing is made twice, and nothing ends in an error of ours.
func TestBadLuck(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	p := s.person(nil)
	at := func(n int, what string, do func(i int) int) map[int]int {
		counts, statuses := map[int]int{}, make([]int, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { statuses[i] = do(i) })
		}
		wg.Wait()
		for _, status := range statuses {
			counts[status]++
			if status >= 500 && status != 503 {
				t.Errorf("%s: %d", what, status)
			}
		}
		return counts
	}
	ask := func(method, path, kind, body string, forge ...func(*http.Request)) int {
		r, err := s.attempt(method, path, kind, body, append(forge, s.staff())...)
		if err != nil {
			t.Error(err)
		}
		return r.Status
	}
	// Send is pressed by many hands at once.
	c := s.credentialsFor(p)
	version := c.count().digits("version")
	pressed := at(8, "send", func(int) int { return ask("POST", c.path("/send"), asJSON, `{"version":`+version+`}`) })
	c.done()
	s.quiet()
	if n := len(s.mails(p.Email)); n != 1 || pressed[200] < 1 {
		t.Errorf("send pressed by eight: %v, %d mails", pressed, n)
	}
	// The same request with the same key makes one thing.
	key := head("Idempotency-Key", "once-"+p.ID)
	at(8, "create", func(int) int { return ask("POST", "/api/mailings", asJSON, `{"subject":"Only once `+p.ID+`"}`, key) })
	n := 0
	for _, m := range s.get("/api/mailings").list("mailings") {
		if m.text("subject") == "Only once "+p.ID {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d mailings of one key", n)
	}
	before := len(s.mails(p.Email))
	at(8, "reset", func(int) int {
		return ask("POST", p.path("/reset-emails"), "", "", head("Idempotency-Key", "reset-"+p.ID))
	})
	s.quiet()
	if n := len(s.mails(p.Email)) - before; n != 1 {
		t.Errorf("%d reset mails of one key", n)
	}
	// Two people edit the same: one wins, the others are told.
	tag := head("If-Match", p.profile().etag())
	edits := at(8, "edit", func(i int) int {
		return ask("PATCH", p.path(""), asJSON, fmt.Sprintf(`{"lastName":"Name %d"}`, i), tag)
	})
	if edits[200] != 1 || edits[412]+edits[503] != 7 {
		t.Errorf("edits: %v", edits)
	}
	tag = head("If-Match", p.credentials().etag())
	changes := at(8, "change", func(i int) int {
		return ask("PUT", p.path("/credentials"), asJSON, fmt.Sprintf(`{"password":"%s %d"}`, phrase, i), tag)
	})
	if changes[200] != 1 || changes[412]+changes[503] != 7 {
		t.Errorf("changes: %v", changes)
	}
	// One name, many who want it.
	people := make([]person, 6)
	for i := range people {
		people[i] = s.person(nil)
	}
	wanted := at(len(people), "claim", func(i int) int {
		return ask("PUT", people[i].path("/credentials"), asJSON, `{"username":"wanted`+p.ID+`"}`, head("If-Match", `"0"`))
	})
	if wanted[200] != 1 || wanted[409]+wanted[503] != len(people)-1 {
		t.Errorf("claims: %v", wanted)
	}
	// The same file twice at once is the same people once.
	file := "Profile ID,Profile Type,First Name,Last Name,Email,Membership Status\n"
	for i := range 60 {
		file += fmt.Sprintf("b%s-%d,Individual,Ada,Twice%s,twice%d.%s@example.com,Active\n", p.ID, i, p.ID, i, p.ID)
	}
	at(3, "import", func(int) int { return ask("POST", "/api/profile-imports", "text/csv", file) })
	if found := s.get("/api/profiles?search=twice" + p.ID + "&limit=100").list("profiles"); len(found) != 60 {
		t.Errorf("%d profiles of 60 rows", len(found))
	}
	// Everything in the wrong order.
	draft := s.credentialsFor(p)
	for _, action := range []string{"pause", "resume", "cancel", "revoke-links", "resend-failed", "reminders"} {
		if r := s.api("POST", draft.path("/"+action), nil); r.Status != 409 {
			t.Errorf("%s of a draft: %d %s", action, r.Status, clip(r.Body))
		}
	}
	s.api("POST", draft.path("/send"), doc{"version": 1}).refused(409, "audience_not_frozen")
	s.api("POST", c.path("/send"), doc{"version": 1}).refused(409, "already_sent")
	s.api("DELETE", c.path(""), nil, "If-Match", c.whole().etag()).refused(409, "mailing_state")
	s.api("POST", draft.path("/audience"), nil).want(202)
	s.api("DELETE", draft.path(""), nil, "If-Match", draft.whole().etag()).want(204)
	s.api("GET", draft.path(""), nil).refused(404, "mailing_not_found")
	s.quiet()
	// A cursor of one list is none of another.
	cursor := s.get("/api/profiles?limit=1").text("cursor")
	for _, path := range []string{"/api/activity", "/api/mailings", c.path("/recipients"), p.path("/related"), p.path("/activity"), "/api/profiles?search=ada"} {
		join := "?"
		if strings.Contains(path, "?") {
			join = "&"
		}
		if r := s.api("GET", path+join+"cursor="+url.QueryEscape(cursor), nil); r.Status != 200 && r.Status != 400 {
			t.Errorf("%s with a cursor of another list: %d", path, r.Status)
		}
	}
	// Whatever is typed, nothing falls over.
	odd := []string{"\x00", "%", "%00", "\u202e", "\ufeff", "﷽﷽", strings.Repeat("a", 5000), strings.Repeat("é ", 500), "' OR 1=1 --", "../../etc/passwd", "{{7*7}}", "<script>", "𝕬𝖓𝖆", "\xff\xfe", "-1", "1e9", "null", "[]", "#", "\n", "a\x00b", "👩‍👩‍👧‍👦"}
	for _, text := range odd {
		for _, path := range []string{"/api/profiles?search=", "/api/profiles?status=", "/api/profiles?relationship=", "/api/profiles?cursor=", "/api/profiles?limit=", "/api/activity?actor=", "/api/activity?from=", "/api/activity?kind=", "/api/mailings?cursor=", c.path("/recipients?outcome="), "/portal/demo/sign-in?x=", "/portal/demo/set-password/", "/portal/", "/api/profiles/", "/api/mailings/", "/api/templates/", "/api/audiences/"} {
			if status := ask("GET", path+url.QueryEscape(text), "", ""); status >= 500 {
				t.Errorf("GET %s%q: %d", path, text, status)
			}
		}
		for _, page := range []string{"sign-in", "forgot-login", "password", "switch", "sign-out", "set-password/" + strings.Repeat("a", 65)} {
			values := url.Values{"username": {text}, "login": {text}, "password": {text}, "again": {text}, "to": {text}, "current": {text}, "suggested": {text}}
			if status := ask("POST", "/portal/demo/"+page, asForm, values.Encode()); status >= 500 {
				t.Errorf("POST %s with %q: %d", page, text, status)
			}
		}
		b, _ := json.Marshal(doc{"type": "individual", "firstName": text, "lastName": text, "organizationName": text, "email": text, "id": text, "memberSince": text, "status": "active"})
		if status := ask("POST", "/api/profiles", asJSON, string(b)); status >= 500 {
			t.Errorf("a profile of %q: %d", text, status)
		}
		b, _ = json.Marshal(doc{"subject": text, "html": text})
		if status := ask("POST", "/api/mailings", asJSON, string(b)); status >= 500 {
			t.Errorf("a mailing of %q: %d", text, status)
		}
	}
	if errors := strings.Count(s.log.String(), "level=ERROR"); errors > 0 {
		t.Errorf("%d errors of ours in the log: %s", errors, clip([]byte(s.log.String()[strings.Index(s.log.String(), "level=ERROR"):])))
	}
}
