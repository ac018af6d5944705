package mailbox_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/local/mailbox"
)

func get(t *testing.T, s *mailbox.Service, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func TestMailboxJSON(t *testing.T) {
	c := newClock()
	s := open(t, t.TempDir(), mailbox.Options{Now: c.Now})
	if got := strings.TrimSpace(get(t, s, "/local/mailbox.json").Body.String()); got != "[]" {
		t.Errorf("an empty mailbox is %s", got)
	}
	call := callTo("summer", "ana@example.com", "bounce@simulator.example")
	call.Mails[0].Data = data("Hi", `<a href="https://x.example/?a=1&b=2">in</a>`, "https://x.example/?a=1&b=2")
	receipts := take(t, s, call)
	single := callTo("", "ana@example.com")
	single.Mails[0].Tag = "s_1_0"
	take(t, s, single)

	w := get(t, s, "/local/mailbox.json?to=ana@example.com&mailing=summer")
	want := fmt.Sprintf(`[{"id":"%s","at":"2026-05-04T09:30:00Z","organization":"demo","mailing":"summer","tag":"m_summer_1_0_0_0",`+
		`"from":"\"The Club\" <club@example.org>","replyTo":"office@example.org","to":"ana@example.com","subject":"Hi",`+
		`"html":"<a href=\"https://x.example/?a=1&b=2\">in</a>","text":"https://x.example/?a=1&b=2","outcome":"delivered"}`+"\n]", receipts[0].MessageID)
	if got := strings.TrimSpace(w.Body.String()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for query, want := range map[string][]string{
		"":                                 {"s_1_0", "m_summer_1_0_0_1", "m_summer_1_0_0_0"},
		"?mailing=single":                  {"s_1_0"},
		"?mailing=other":                   {},
		"?to=ana@example.com":              {"s_1_0", "m_summer_1_0_0_0"},
		"?to=ana":                          {},
		"?search=ana":                      {"s_1_0", "m_summer_1_0_0_0"},
		"?limit=1":                         {"s_1_0"},
		"?before=" + receipts[1].MessageID: {"m_summer_1_0_0_0"},
	} {
		var all []struct {
			Tag     string
			Mailing *string
		}
		if err := json.Unmarshal(get(t, s, "/local/mailbox.json"+query).Body.Bytes(), &all); err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, m := range all {
			got = append(got, m.Tag)
			if (m.Mailing == nil) != (m.Tag == "s_1_0") {
				t.Errorf("%q: mailing of %s is %v", query, m.Tag, m.Mailing)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", query, diff)
		}
	}
	for _, query := range []string{"?limit=0", "?limit=1001", "?limit=x"} {
		for _, path := range []string{"/local/mailbox.json", "/local/mailbox"} {
			if w := get(t, s, path+query); w.Code != http.StatusBadRequest {
				t.Errorf("%s: %d", path+query, w.Code)
			}
		}
	}
}

func TestInboxPages(t *testing.T) {
	c := newClock()
	s := open(t, t.TempDir(), mailbox.Options{Now: c.Now})
	if w := get(t, s, "/local/mailbox"); !strings.Contains(w.Body.String(), "No mail yet") {
		t.Error(w.Body)
	}
	for i := range 3 {
		take(t, s, callTo(fmt.Sprintf("mailing%d", i), many(40)...))
		c.pass(10 * time.Minute)
	}
	odd := callTo("", "odd@example.com")
	odd.Mails[0].Data = data("<b>Bold</b> & \"quoted\"", "", "")
	take(t, s, odd)

	links := regexp.MustCompile(`href="(/local/mailbox/[0-9a-f-]+)"`)
	seen := map[string]bool{}
	path := "/local/mailbox"
	pages := 0
	for ; path != ""; pages++ {
		body := get(t, s, path).Body.String()
		for _, m := range links.FindAllStringSubmatch(body, -1) {
			if seen[m[1]] {
				t.Errorf("%s is there twice", m[1])
			}
			seen[m[1]] = true
		}
		path = ""
		if m := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(body); m != nil {
			path = html.UnescapeString(m[1])
		}
	}
	if len(seen) != 121 || pages != 3 {
		t.Errorf("%d mails on %d pages", len(seen), pages)
	}
	body := get(t, s, "/local/mailbox").Body.String()
	for _, part := range []string{`<span class="soft num">121</span>`, "&lt;b&gt;Bold&lt;/b&gt; &amp;", "just now", "10 min ago", `value="mailing1"`, "40 mails", "p39@example.com"} {
		if !strings.Contains(body, part) {
			t.Errorf("the inbox lacks %s", part)
		}
	}
	body = get(t, s, "/local/mailbox?search=P7@&mailing=mailing1").Body.String()
	if n := len(links.FindAllString(body, -1)); n != 1 || !strings.Contains(body, `value="P7@"`) || !strings.Contains(body, `value="mailing1" selected`) {
		t.Errorf("%d mails found in\n%s", n, body)
	}
	if body = get(t, s, `/local/mailbox?search="><script>&mailing=<i>`).Body.String(); strings.Contains(body, "<script") || strings.Contains(body, "<i>") || !strings.Contains(body, "No mail matches") {
		t.Error(body)
	}
	for _, path := range []string{"/local/mailbox/", "/local/mailbox/x", "/local/mailbox.html", "/local"} {
		if w := get(t, s, path); w.Code == http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestPageOfOneMail(t *testing.T) {
	s := open(t, t.TempDir(), mailbox.Options{})
	call := callTo("summer", "ana@example.com")
	const document = `<!DOCTYPE html><html lang="en"><head><title>x</title></head><body><a href="http://localhost:8080/portal/demo/set-password/t0ken?a=1&amp;b=2">Set</a><script>alert("x")</script></body></html>`
	call.Mails[0].Data = data(`Your "login"`, document, "Set: http://localhost:8080/portal/demo/set-password/t0ken?a=1&b=2.\n<b>")
	receipt := take(t, s, call)[0]

	w := get(t, s, "/local/mailbox/"+receipt.MessageID)
	body := w.Body.String()
	m := regexp.MustCompile(`<iframe[^>]* srcdoc="([^"]*)" sandbox="([^"]*)">`).FindStringSubmatch(body)
	if m == nil {
		t.Fatal(body)
	}
	if got := html.UnescapeString(m[1]); got != `<!doctype html><base target="_top">`+document {
		t.Errorf("the frame shows %s", got)
	}
	if m[2] != "allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation" {
		t.Errorf("the sandbox allows %s", m[2])
	}
	if strings.Contains(body, "<script") || !strings.Contains(body, "Your &#34;login&#34;") {
		t.Error(body)
	}
	policy := w.Header().Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "img-src data:;", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) || strings.Contains(policy, "script-src") {
			t.Errorf("the policy is %s", policy)
		}
	}
	if w.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%v", w.Header())
	}

	body = get(t, s, "/local/mailbox/"+receipt.MessageID+"?part=text").Body.String()
	const link = "http://localhost:8080/portal/demo/set-password/t0ken?a=1&amp;b=2"
	if !strings.Contains(body, `<a href="`+link+`" rel="noreferrer">`+link+"</a>.\n&lt;b&gt;") || strings.Contains(body, "<iframe") {
		t.Error(body)
	}

	call.Mails[0].Data = []byte(`{}`)
	receipt = take(t, s, call)[0]
	if body = get(t, s, "/local/mailbox/"+receipt.MessageID).Body.String(); !strings.Contains(body, "No mail was made") {
		t.Error(body)
	}
}
