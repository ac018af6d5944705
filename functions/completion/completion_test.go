package completion_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/memberkey/memberkey/functions/completion"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

const (
	org   = "acme"
	fresh = "violet-harbor-lantern-ninety"
	set   = "POST /portal/{org}/set-password/{token}"
	renew = "POST /portal/{org}/set-password/{token}/renew"
	show  = "GET /portal/{org}/set-password/{token}"
)

// recording remembers what was written, but for the trail.
type recording struct {
	store.DB
	mu     sync.Mutex
	writes []store.Write
}

func (r *recording) Commit(ctx context.Context, checks []store.Check, writes []store.Write) error {
	r.mu.Lock()
	for _, w := range writes {
		if w.Table != store.Activity {
			r.writes = append(r.writes, w)
		}
	}
	r.mu.Unlock()
	return r.DB.Commit(ctx, checks, writes)
}

type bells struct {
	sync.Mutex
	rung []mailing.Bell
}

func (b *bells) Ring(_ context.Context, all ...mailing.Bell) error {
	b.Lock()
	defer b.Unlock()
	b.rung = append(b.rung, all...)
	return nil
}

type world struct {
	*testing.T
	db          *recording
	store       *store.Store
	hasher      *password.Hasher
	credentials *credential.Service
	bells       *bells
	routes      httpapi.Routes
	handler     httpapi.Handler
	log         *bytes.Buffer
	now         time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	file, err := embedded.Open(filepath.Join(t.TempDir(), "x.db"), embedded.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{T: t, db: &recording{DB: file}, bells: &bells{}, log: &bytes.Buffer{}, now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	w.store = &store.Store{DB: w.db}
	w.hasher = password.NewHasher(password.Fast, 2, rand.Reader)
	log := slog.New(slog.NewJSONHandler(w.log, nil))
	now := func() time.Time { return w.now }
	w.credentials = &credential.Service{
		Store: store.For[credential.Tx](w.store), Mail: store.For[mailing.Tx](w.store), Hasher: w.hasher, Bells: w.bells,
		Now: now, Rand: rand.Reader, NewID: store.NewID, Again: time.Minute, Log: log,
	}
	f := &completion.Function{Links: w.credentials, Organizations: w.store, Rand: rand.Reader}
	w.routes, w.handler = f.Routes(), f.Handler(httpapi.Config{Log: log, Now: now})
	s := organization.Defaults(org, "Acme & Friends")
	s.PortalAddress, s.HelpEmail, s.LogoURL, s.TimeZone = "https://members.example.org", "help@example.org", "https://cdn.example.org/logo.png", "Europe/Berlin"
	w.update(func(tx *store.Tx) error { tx.PutOrganization(&s); return nil })
	w.person("1", "", "ana@example.org")
	w.person("2", "bob", "family@example.org")
	w.person("3", "", "kim@example.org", func(p *profile.Profile) { p.FirstName, p.LastName = "Kim", "<Lee>" })
	w.update(func(tx *store.Tx) error { tx.PutClaim(org, "kim@example.org", "2"); return nil }) // taken
	return w
}

func (w *world) update(fn func(*store.Tx) error) {
	w.Helper()
	if err := w.store.Update(w.Context(), fn); err != nil {
		w.Fatal(err)
	}
}

func (w *world) person(id profile.ID, username, email string, change ...func(*profile.Profile)) {
	w.Helper()
	p := &profile.Profile{
		Organization: org, ID: id, Type: profile.Individual, FirstName: "Ana", LastName: "García", OrganizationName: "Quinn & Co", Email: email, Mailbox: email,
		Status: profile.Active, Username: username, Version: 1, CredentialVersion: 1,
	}
	if err := p.EndLogins(rand.Reader, w.now); err != nil {
		w.Fatal(err)
	}
	for _, c := range change {
		c(p)
	}
	w.update(func(tx *store.Tx) error {
		if username != "" {
			tx.PutClaim(org, username, id)
		}
		return tx.PutProfile(p)
	})
}

func (w *world) edit(id profile.ID, change func(*profile.Profile)) {
	w.Helper()
	w.update(func(tx *store.Tx) error {
		p, err := tx.Profile(org, id)
		if err != nil {
			return err
		}
		change(p)
		return tx.PutProfile(p)
	})
}

// link makes a live link of 24 hours.
func (w *world) link(id profile.ID) string {
	w.Helper()
	p, err := w.store.Profile(w.Context(), org, id)
	if err != nil {
		w.Fatal(err)
	}
	page, err := link.NewPage(rand.Reader, org, link.Reset, "", w.now, w.now.Add(24*time.Hour))
	if err != nil {
		w.Fatal(err)
	}
	token, err := page.Mint(rand.Reader, id, p.Epoch)
	if err != nil {
		w.Fatal(err)
	}
	w.update(func(tx *store.Tx) error { tx.PutPage(page); return nil })
	return token.Reveal()
}

type (
	event = events.APIGatewayV2HTTPRequest
	reply = events.APIGatewayV2HTTPResponse
)

// send sends a request of a route key; form is name, value, name, value.
func (w *world) send(key, token string, form []string, change ...func(*event)) reply {
	w.Helper()
	method, path, _ := strings.Cut(key, " ")
	e := event{
		Version: "2.0", RouteKey: key, RawPath: strings.NewReplacer("{org}", org, "{token}", token).Replace(path),
		PathParameters: map[string]string{"org": org, "token": token},
		Headers:        map[string]string{"host": "abc.execute-api.example.com"},
	}
	e.RequestContext.RequestID = "request-1"
	e.RequestContext.HTTP = events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: method, Path: e.RawPath, SourceIP: "192.0.2.7"}
	if method == http.MethodPost {
		values := url.Values{}
		for i := 0; i < len(form); i += 2 {
			values.Set(form[i], form[i+1])
		}
		e.Headers["content-type"], e.Body = "application/x-www-form-urlencoded", values.Encode()
	}
	for _, c := range change {
		c(&e)
	}
	out, err := w.handler(w.Context(), e)
	if err != nil {
		w.Fatal(err)
	}
	return out
}

// wrote runs fn and gives what it wrote beside the trail.
func (w *world) wrote(fn func()) []store.Write {
	n := len(w.db.writes)
	fn()
	return slices.Clone(w.db.writes[n:])
}

func header(name, value string) func(*event) { return func(e *event) { e.Headers[name] = value } }

func expect(t *testing.T, out reply, status int, parts ...string) {
	t.Helper()
	if out.StatusCode != status {
		t.Errorf("status %d, want %d", out.StatusCode, status)
	}
	for _, part := range parts {
		if !strings.Contains(out.Body, part) {
			_, page, _ := strings.Cut(out.Body, "</style>")
			page, _, _ = strings.Cut(page, "<script>")
			t.Errorf("no %q in %s", part, page)
		}
	}
}

func both(p string) []string { return []string{"password", p, "again", p} }

// TestA1ScannersChangeNothing: whatever opens the page, with scripts or
// without, and whatever posts its form without a good password, leaves the
// link as it was (H7).
func TestA1ScannersChangeNothing(t *testing.T) {
	w := newWorld(t)
	token := w.link("1")
	hashes := w.hasher.Calls()
	wrote := w.wrote(func() {
		expect(t, w.send("HEAD /portal/{org}/set-password/{token}", token, nil), 200)
		for range 20 {
			expect(t, w.send(show, token, nil), 200, "Set your password")
		}
		expect(t, w.send(set, token, nil), 422, "too short")
		expect(t, w.send(set, token, []string{"username", "ana@example.org", "password", "", "again", ""}), 422)
		expect(t, w.send(set, token, both("short")), 422, "too short")
		expect(t, w.send(set, token, both("ana garcia 2026")), 422)
		expect(t, w.send(set, token, both("aaaaaaaaaaaaaaaaaaaa")), 422)
		expect(t, w.send(set, token, both(strings.Repeat("long enough ", 30))), 422, "too long")
		expect(t, w.send(set, token, []string{"password", fresh, "again", fresh + "x"}), 422, "not the same")
		expect(t, w.send(set, token, []string{"password", fresh}), 422, "not the same")
		expect(t, w.send(set, token, []string{"suggested", fresh}), 200)
		expect(t, w.send(renew, token, nil), 200)
		expect(t, w.send(set, token, append(both(fresh), strings.Fields(strings.Repeat("x y ", 30))...), func(e *event) { e.Body += "&password=" + fresh }), 400)
	})
	if len(wrote) != 0 || w.hasher.Calls() != hashes || len(w.bells.rung) != 0 {
		t.Errorf("wrote %d items, made %d hashes, rang %d bells", len(wrote), w.hasher.Calls()-hashes, len(w.bells.rung))
	}
	// And then the person comes.
	expect(t, w.send(set, token, both(fresh)), 200, "Your password is set", "ana@example.org", `href="/portal/acme/sign-in"`)
	v, err := w.credentials.Check(t.Context(), org, "1", true, password.NewPlain(fresh))
	if err != nil || !v.Match {
		t.Errorf("%+v %v", v, err)
	}
	p, err := w.store.Profile(t.Context(), org, "1")
	if err != nil || p.Username != "ana@example.org" || !p.HasPassword {
		t.Errorf("%+v %v", p, err)
	}
	if len(w.bells.rung) != 1 {
		t.Errorf("%d notices", len(w.bells.rung))
	}
}

// TestLivePage says whose login it is, until when, and offers a passphrase.
func TestLivePage(t *testing.T) {
	w := newWorld(t)
	token := w.link("1")
	out := w.send(show, token, nil)
	expect(t, out, 200, "Acme &amp; Friends", "Ana García", "Quinn &amp; Co", "profile 1", `value="ana@example.org"`, "readonly", "Your email address is your username",
		"Wednesday, 25 November 2026, 1:00 pm CET", "At least 15 characters", `passwordrules="minlength: 15; maxlength: 256; allowed: unicode;"`,
		`action="/portal/acme/set-password/`+token+`"`, "mailto:help@example.org", `src="https://cdn.example.org/logo.png"`)
	if again := w.send(show, token, nil); again.Body == out.Body {
		t.Error("everybody is offered one passphrase")
	}
	expect(t, w.send(show, w.link("2"), nil), 200, `value="bob"`, "It stays as it is")
	// "Use this one" without JavaScript fills it in, and no more.
	expect(t, w.send(set, token, []string{"suggested", fresh}), 200, `value="`+fresh+`"`, "filled in for you")
	// A refusal keeps the username and shows no password.
	refused := w.send(set, token, []string{"username", "ana@example.org", "password", "short one", "again", "short one"})
	expect(t, refused, 422, `value="ana@example.org"`, "Error: ", `href="#password"`)
	if strings.Contains(refused.Body, "short one") {
		t.Error("a password came back")
	}
}

// TestH9ChooseAUsername where the email is somebody else's username.
func TestH9ChooseAUsername(t *testing.T) {
	w := newWorld(t)
	token := w.link("3")
	page := w.send(show, token, nil)
	expect(t, page, 200, "Choose a username", "Kim &lt;Lee&gt;", "<strong data-name>kim.lee</strong>", `value="kim.lee"`)
	if strings.Contains(page.Body, " readonly ") || strings.Contains(page.Body, "family@") {
		t.Error("cannot be typed, or tells who has the name")
	}
	expect(t, w.send(set, token, append(both(fresh), "username", "bob")), 422, "in use already", `value="bob"`, `href="#username"`)
	expect(t, w.send(set, token, append(both("short"), "username", "a b")), 422, `href="#username"`, `href="#password"`, "too short")
	expect(t, w.send(set, token, append(both(fresh), "username", "stranger@example.org")), 422, "must be the email address of this profile")
	expect(t, w.send(set, token, both(fresh)), 422, `href="#username"`)
	expect(t, w.send(set, token, append(both(fresh), "username", " Kim.Lee ")), 200, "Your password is set", "<strong>kim.lee</strong>")
}

// TestH8DeadLinksHelp: each state has its own page and its own way out.
func TestH8DeadLinksHelp(t *testing.T) {
	w := newWorld(t)
	used, superseded, late, refused := w.link("1"), w.link("1"), w.link("2"), w.link("3")
	expect(t, w.send(set, used, both(fresh)), 200)
	w.now = w.now.Add(time.Hour)
	w.edit("3", func(p *profile.Profile) { p.Status = profile.Lapsed })
	for _, key := range []string{show, set} { // posting to a dead link shows the same
		expect(t, w.send(key, used, both(fresh)), 410, "This link has been used", "Tuesday, 24 November 2026, 1:00 pm CET", `href="/portal/acme/sign-in"`)
		expect(t, w.send(key, superseded, both(fresh)), 410, "This link has ended", `action="/portal/acme/set-password/`+superseded+`/renew"`)
		expect(t, w.send(key, refused, append(both(fresh), "username", "kim.lee")), 403, "cannot be used at the moment", "it is not used up")
		for _, unknown := range []string{used[:30], used + ".", strings.Repeat("a", link.TokenLength), "x", "%00", "Ana"} {
			expect(t, w.send(key, unknown, both(fresh)), 404, "This address is incomplete", `href="/portal/acme/forgot-login"`)
		}
	}
	w.now = w.now.Add(24 * time.Hour)
	expect(t, w.send(show, late, nil), 410, "This link has ended")
	// Who may enter again finds the link as it was (had it not run out).
	w.now = w.now.Add(-24 * time.Hour)
	w.edit("3", func(p *profile.Profile) { p.Status = profile.Active })
	expect(t, w.send(show, refused, nil), 200, "Set your password")
}

// TestRenewal: the same answer byte by byte, whatever the link is; a request
// where there is something to renew.
func TestRenewal(t *testing.T) {
	w := newWorld(t)
	live, used, ended := w.link("2"), w.link("1"), w.link("1")
	expect(t, w.send(set, used, both(fresh)), 200)
	w.bells.rung = nil
	var answers []reply
	for _, c := range []struct {
		token    string
		requests int
	}{{ended, 1}, {live, 0}, {used, 0}, {strings.Repeat("a", link.TokenLength), 0}, {"cut", 0}, {"sample", 0}} {
		wrote := w.wrote(func() { answers = append(answers, w.send(renew, c.token, nil)) })
		if len(wrote) != c.requests || len(w.bells.rung) != c.requests {
			t.Errorf("%.6s: wrote %d, rang %d", c.token, len(wrote), len(w.bells.rung))
		}
		w.bells.rung = nil
	}
	expect(t, answers[0], 200, "Please look into your mailbox")
	for _, out := range answers[1:] {
		if diff := cmp.Diff(answers[0], out); diff != "" {
			t.Error(diff)
		}
	}
}

// TestSampleIsInert: the real page, and nothing happens.
func TestSampleIsInert(t *testing.T) {
	w := newWorld(t)
	wrote := w.wrote(func() {
		expect(t, w.send(show, "sample", nil), 200, "This is a sample", "<fieldset disabled>", "Set password")
		expect(t, w.send(set, "sample", both(fresh)), 200, "This is a sample", "<fieldset disabled>")
		expect(t, w.send(set, "sample", both("short")), 200, "This is a sample")
		for _, form := range [][]string{{"password", "one", "again", "other"}, {"suggested", fresh}} {
			out := w.send(set, "sample", form)
			expect(t, out, 200, "<title>Sample: ")
			if strings.Contains(out.Body, fresh) {
				t.Error("the sample takes what is sent to it")
			}
		}
	})
	if len(wrote) != 0 {
		t.Errorf("%v", wrote)
	}
}

// TestA6OneOfManyPosts wins, and tells the others that the link was used.
func TestA6OneOfManyPosts(t *testing.T) {
	w := newWorld(t)
	token := w.link("1")
	var won, lost atomic.Int64
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			switch out := w.send(set, token, both(fmt.Sprintf("%s-%d", fresh, i))); out.StatusCode {
			case http.StatusOK:
				won.Add(1)
			case http.StatusGone, http.StatusServiceUnavailable:
				lost.Add(1)
			default:
				t.Errorf("%d", out.StatusCode)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 49 {
		t.Errorf("%d won, %d lost", won.Load(), lost.Load())
	}
	if len(w.bells.rung) != 1 {
		t.Errorf("%d notices", len(w.bells.rung))
	}
}

// TestA5NoLeak: the token is in the action of a form and nowhere else: no log,
// header, cookie or further address has it, on any page of a link.
func TestA5NoLeak(t *testing.T) {
	w := newWorld(t)
	token, used := w.link("2"), w.link("1")
	spent := w.link("1")
	var outs []reply
	for _, key := range []string{show, set, renew, "HEAD /portal/{org}/set-password/{token}"} {
		for _, k := range []string{token, used, spent} {
			outs = append(outs, w.send(key, k, both("short")))
		}
		outs = append(outs, w.send(set, used, both(fresh)))
	}
	outs = append(outs, w.send(set, token, both(fresh), header("sec-fetch-site", "cross-site")), w.send(set, token, both(fresh)))
	forms := map[string]bool{used[:link.TokenLength]: true, spent: true, token: true}
	for _, out := range outs {
		if out.Headers["Referrer-Policy"] != "no-referrer" || out.Headers["Cache-Control"] != "no-store" || len(out.Cookies) != 0 || out.Headers["Location"] != "" {
			t.Errorf("%d %v %v", out.StatusCode, out.Headers, out.Cookies)
		}
		for name, value := range out.Headers {
			for secret := range forms {
				if strings.Contains(value, secret) {
					t.Errorf("header %s has the token", name)
				}
			}
		}
		root, err := html.Parse(strings.NewReader(out.Body))
		if err != nil {
			t.Fatal(err)
		}
		for n := range root.Descendants() {
			for _, a := range n.Attr {
				for secret := range forms {
					if strings.Contains(a.Val, secret) && !(n.Data == "form" && a.Key == "action") {
						t.Errorf("<%s %s> has the token", n.Data, a.Key)
					}
				}
				if (a.Key == "href" || a.Key == "src") && strings.Contains(a.Val, "//") && a.Val != "https://cdn.example.org/logo.png" {
					t.Errorf("<%s %s=%q> is another host", n.Data, a.Key, a.Val)
				}
			}
			if n.Type == html.TextNode {
				for secret := range forms {
					if strings.Contains(n.Data, secret) {
						t.Error("the token is shown")
					}
				}
			}
		}
	}
	for secret := range forms {
		for _, form := range []string{secret, secret[22:], base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret))} {
			if strings.Contains(w.log.String(), form) {
				t.Error("the token is in the log")
			}
		}
		for _, write := range w.db.writes {
			if bytes.Contains(write.Value, []byte(secret[22:])) {
				t.Errorf("the token is stored in %s", write.Table)
			}
		}
	}
	if strings.Contains(w.log.String(), fresh) || w.log.Len() == 0 {
		t.Error("a password is in the log, or there is none")
	}
}

// TestA20CrossOrigin walks the routes: no POST from another site gets through.
// A page without referrer says "Origin: null", which is ours here.
func TestA20CrossOrigin(t *testing.T) {
	w := newWorld(t)
	token := w.link("1")
	posts := 0
	for key := range w.routes {
		if !strings.HasPrefix(key, "POST ") {
			continue
		}
		posts++
		wrote := w.wrote(func() {
			for _, change := range [][]func(*event){
				{header("sec-fetch-site", "cross-site")}, {header("sec-fetch-site", "same-site")}, {header("origin", "https://evil.example")},
				{header("origin", "https://evil.example"), header("host", "evil.example"), header("x-forwarded-host", "evil.example")},
			} {
				expect(t, w.send(key, token, both(fresh), change...), 403, "not sent from our page")
			}
		})
		if len(wrote) != 0 {
			t.Errorf("%s wrote %v", key, wrote)
		}
	}
	if posts != 2 {
		t.Errorf("%d routes take a POST", posts)
	}
	expect(t, w.send(set, token, both(fresh), header("origin", "null")), 200, "Your password is set")
}

// TestA2HostHeaders: no header changes where a page leads.
func TestA2HostHeaders(t *testing.T) {
	w := newWorld(t)
	used := w.link("1")
	ended := w.link("1")
	expect(t, w.send(set, used, both(fresh)), 200)
	for _, token := range []string{used, ended, "cut", "sample"} {
		want := w.send(show, token, nil)
		for _, name := range []string{"host", "x-forwarded-host", "forwarded", "x-forwarded-proto", "x-original-url", "x-rewrite-url", "referer", "origin"} {
			got := w.send(show, token, nil, header(name, "evil.example:443@evil"))
			if token == "sample" { // offers another passphrase each time
				if strings.Contains(got.Body, "evil") {
					t.Errorf("%s is on the page", name)
				}
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
}

// TestA16Limits: what is too large, or no link at all, is never hashed.
func TestA16Limits(t *testing.T) {
	w := newWorld(t)
	token := w.link("1")
	hashes := w.hasher.Calls()
	expect(t, w.send(set, token, both(strings.Repeat("x", 5<<10))), 413)
	expect(t, w.send(set, token, both(strings.Repeat("ab c", 65))), 422, "too long")
	expect(t, w.send(set, strings.Repeat("b", link.TokenLength), both(fresh)), 404)
	if w.hasher.Calls() != hashes {
		t.Error("hashed all the same")
	}
	// 256 characters of four bytes are within every limit.
	longest := strings.Repeat("🐎🔋📎🌲", 64)
	if got := len(url.Values{"password": {longest}, "again": {longest}}.Encode()); got > httpapi.FormLimit {
		t.Fatalf("the longest password makes %d bytes", got)
	}
	longest = strings.Repeat("🐎🔋📎🌲🎻🧭🪁", 36) + "🧦🧦🧦🧦"
	if out := w.send(set, token, both(longest)); out.StatusCode == 413 || strings.Contains(out.Body, "too long") {
		t.Errorf("%d", out.StatusCode)
	}
}

func TestUnknownOrganization(t *testing.T) {
	w := newWorld(t)
	for key := range w.routes {
		out := w.send(key, w.link("1"), both(fresh), func(e *event) { e.PathParameters["org"] = "none" })
		if out.StatusCode != 404 || strings.Contains(out.Body, "Acme") {
			t.Errorf("%s: %d", key, out.StatusCode)
		}
	}
}
