package e2e_test

// The attacks of the threat model by their numbers, on the whole system over
// HTTP. Most have proofs beside the code as well; a number is done when all of
// its row passes. What a later issue adds stands in the last column.
//
//	attack                       proofs beside the code                                    here                        remains
//	A1  a scanner uses the link  completion.TestA1ScannersChangeNothing                    TestA1Scanner               browser: GET with the page's scripts run
//	A2  poisoned host            httpapi.TestA2NoHostReachesAPage,                         TestA2PoisonedHost          AWS: behind API Gateway's own domain name
//	                             completion, signin.TestA2HostHeaders,
//	                             message.TestA2AddressesThatAreNoneAreLeftOut
//	A3  confused addresses       httpapi.TestA3RefusedBodies, profiles.TestBadInputA3      TestA3ConfusedAddresses
//	A4  letters that collide     username.TestA4NoRuneCollidesWithAnASCIIUsername          TestA4CollidingLetters
//	A5  the token leaks          completion.TestA5NoLeak, session.TestNothingIsStoredInPlain TestA5Canary              browser: no request of the page carries it; AWS: access log, traces, metrics, dead letters
//	A6  two posts of one link    credential.TestLinkRace (200 posts, 100 rounds),          TestA6Race                  AWS: against DynamoDB's conditions
//	                             completion.TestA6OneOfManyPosts
//	A7  a link outlives a change credential.TestLinkModel                                  TestA7LinksEnd
//	A8  answers that tell        signin.TestA8SameAnswer, completion.TestRenewal           TestA8SameAnswer
//	A9  time that tells          session.TestA9SameWork, session.TestH12Forgot             TestA9SameWork              statistics: 10,000 interleaved samples
//	A10 a decoy that drifts      password.TestA10DecoyHasTodaysParams,                     TestA10Decoy                statistics: as A9
//	                             password.TestA10EveryVerificationCostsExactlyOneHash,
//	                             session.TestA10AnyPassword
//	A16 huge input               httpapi.TestA16HugeBody, password.TestA16…,               TestA16HugeInput,           AWS: reserved concurrency
//	                             completion, signin.TestA16Limits                          TestA16Memory
//	A18 injected markup          message.TestA18HostileValues, TestA18HeaderSafe, fuzz     TestA18Injection            browser: how mail programs show it
//	A19 open redirect            httpapi.TestA19OpenRedirect, FuzzA19Location,             TestA19Redirects
//	                             signin.TestA19OpenRedirect
//	A20 forged forms             httpapi, completion, signin.TestA20CrossOrigin            TestA20ForgedForms          browser: a real cross-site form and frame
//	A21 another organization's   profiles.TestOtherOrganizationA21                         TestA21OtherOrganization    AWS: the authorizer's claims
//	A22 the mask written back    credential.TestPlaceholder, profiles.TestMassAssignmentA22 TestA22Placeholder
//	A23 wrong, lost or two mails mailing.TestA23NobodyIsLost, TestA23ManyAtOnce            TestKilledDuringAMailing    AWS: SES, SQS redelivery, dead letters accounted
//	A25 another purpose          credential.TestCrossUse                                   TestA25OtherPurpose
//	A27 secrets in logs          password.TestA27…, session.TestA27…, httpapi.TestA27…,    TestA5Canary                AWS: CloudWatch
//	                             signin.TestA27Log, credential.TestSecretsStayInside

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	netmail "net/mail"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/memberkey/memberkey/infra/local/demo"
	"github.com/memberkey/memberkey/infra/local/gateway"
	"github.com/memberkey/memberkey/infra/local/system"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/store"
)

// siege is a system of its own whose data and log the test can look into.
type siege struct {
	*world
	folder string
	log    *journal
}

// journal keeps a log.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func besiege(t *testing.T, edit func(*system.Config)) *siege {
	t.Helper()
	s := &siege{folder: t.TempDir(), log: &journal{}}
	s.world = startIn(t, s.folder, func(c *system.Config) {
		c.Log = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelInfo})) // as with -v
		c.Mail.Log = c.Log
		if edit != nil {
			edit(c)
		}
	})
	return s
}

// quiet waits until nothing is under way behind the queues.
func (s *siege) quiet() {
	s.Helper()
	calm := 0
	s.until("the queues to be empty", func() bool {
		if calm++; !s.own.Quiet() {
			calm = 0
		}
		return calm > 5
	})
}

// state is all that is stored, but for the pace, which follows the clock.
func (s *siege) state() map[store.Key]string {
	s.Helper()
	s.quiet()
	all := map[store.Key]string{}
	for key, value := range items(s.TB, s.folder) {
		if key.Partition != "pace" {
			all[key] = string(value)
		}
	}
	return all
}

// unchanged wants that do writes nothing at all, and that no mail goes out.
func (s *siege) unchanged(what string, do func()) {
	s.Helper()
	before, mails := s.state(), len(s.mails(""))
	do()
	after := s.state()
	for key, value := range after {
		if was, there := before[key]; !there || was != value {
			s.Errorf("%s: %s %q %q was written", what, key.Table, key.Partition, key.Sort)
		}
	}
	for key := range before {
		if _, there := after[key]; !there {
			s.Errorf("%s: %s %q %q was deleted", what, key.Table, key.Partition, key.Sort)
		}
	}
	if n := len(s.mails("")); n != mails {
		s.Errorf("%s: %d mails went out", what, n-mails)
	}
}

// found makes a second organization on the same system, and is its staff.
func (s *siege) found(id string) *world {
	s.Helper()
	settings, err := demo.Settings(s.base)
	if err != nil {
		s.Fatal(err)
	}
	settings.ID, settings.Name, settings.Version = id, "Another Association", 1
	if err := s.own.Store.Update(s.Context(), func(tx *store.Tx) error { tx.PutOrganization(&settings); return nil }); err != nil {
		s.Fatal(err)
	}
	other := *s.world
	other.org = id
	return &other
}

// send is do with a body as it is and a request that can be forged.
func (w *world) send(method, path, kind, body string, forge ...func(*http.Request)) response {
	w.Helper()
	r, err := w.attempt(method, path, kind, body, forge...)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func (w *world) attempt(method, path, kind, body string, forge ...func(*http.Request)) (response, error) {
	request, err := http.NewRequest(method, w.base+path, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	for _, f := range forge {
		f(request)
	}
	answer, err := plain.Do(request)
	if err != nil {
		return response{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return response{w, method + " " + request.URL.Path, answer.StatusCode, answer.Header, text}, err
}

const (
	asJSON = "application/json"
	asForm = "application/x-www-form-urlencoded"
)

// head sets headers, given as names and values in turn.
func head(pairs ...string) func(*http.Request) {
	return func(r *http.Request) {
		for i := 0; i+1 < len(pairs); i += 2 {
			r.Header.Set(pairs[i], pairs[i+1])
		}
	}
}

// staff authorizes a request.
func (w *world) staff() func(*http.Request) { return head("Authorization", "Bearer "+w.token()) }

// form posts to a member page without any cookie.
func (w *world) form(path string, fields fill, forge ...func(*http.Request)) response {
	w.Helper()
	values := url.Values{}
	for name, value := range fields {
		values.Set(name, value)
	}
	return w.send("POST", path, asForm, values.Encode(), forge...)
}

// wire sends bytes as they are, and reads one answer.
func (w *world) wire(text string) *http.Response {
	w.Helper()
	c, err := net.Dial("tcp", "127.0.0.1:"+w.port())
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, text); err != nil {
		w.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		w.Fatalf("%.60q: %v", text, err)
	}
	body, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer
}

func (w *world) port() string { return w.base[strings.LastIndexByte(w.base, ':')+1:] }

// path is a link without scheme and host.
func pathOf(t testing.TB, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.EscapedPath()
}

func tokenOf(link string) string { return link[strings.LastIndexByte(link, '/')+1:] }

// routes are those of template.yaml.
func routes(t testing.TB) []gateway.Route {
	t.Helper()
	text, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	table, err := gateway.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Routes) < 60 {
		t.Fatalf("%d routes", len(table.Routes))
	}
	return table.Routes
}

// A1, H7: whatever opens a link, and whatever posts its form without a good
// password, leaves it as it was; then the person comes.
func TestA1Scanner(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	p := s.person(nil)
	link := p.link()
	at := pathOf(t, link)
	s.unchanged("scanning", func() {
		if r := s.send("HEAD", at, "", ""); r.Status != 200 || len(r.Body) != 0 {
			t.Errorf("HEAD: %d with %d bytes", r.Status, len(r.Body))
		}
		agents := []string{"Mozilla/5.0", "Safe Links", "curl/8", "BarracudaCentral", ""}
		for n := range 20 {
			s.send("GET", at, "", "", head("User-Agent", agents[n%len(agents)], "Accept", "*/*", "Sec-Fetch-Site", "cross-site")).want(200)
		}
		s.form(at, nil).want(422)
		s.send("POST", at, "", "").want(422)
		s.form(at, fill{"username": p.Email, "password": "", "again": ""}).want(422)
		s.form(at, fill{"password": "short", "again": "short"}).want(422)
		s.form(at, fill{"password": "aaaaaaaaaaaaaaaaaaaa", "again": "aaaaaaaaaaaaaaaaaaaa"}).want(422)
		s.form(at, fill{"password": phrase, "again": another}).want(422)
		s.form(at, fill{"password": phrase}).want(422)
		s.form(at, fill{"password": phrase, "again": phrase}, head("Sec-Fetch-Site", "cross-site")).want(403)
		s.form(at+"/renew", nil).want(200)
		for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS"} {
			s.send(method, at, "", "").want(404)
		}
	})
	s.browser().open(link).sets(phrase).shows("Your password is set")
	if !s.browser().signIn(p.Email, phrase).signedIn() {
		t.Error("the password that was set does not sign in")
	}
}

// forgeries are requests that claim to have come for another host. The browser's
// own headers say that the form is ours, as an attacker's proxy would.
var forgeries = map[string]func(*http.Request){
	"host": func(r *http.Request) { r.Host = "127.0.0.1:1" },
	"forwarded": head("X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "X-Forwarded-Port", "443", "X-Forwarded-Server", "evil.example",
		"Forwarded", `for=1.2.3.4;host=evil.example;proto=https`, "X-Forwarded-For", "evil.example"),
	"forwarded with a port": head("X-Forwarded-Host", "localhost:80@evil.example", "Forwarded", `host="localhost:80@evil.example"`),
	"other names for it": head("X-Host", "evil.example", "X-Original-Host", "evil.example", "X-HTTP-Host-Override", "evil.example", "X-Original-URL", "https://evil.example/",
		"X-Rewrite-URL", "https://evil.example/", "Referer", "https://evil.example/", "X-Forwarded-Prefix", "//evil.example", "True-Client-Ip", "evil.example"),
}

// A2: whatever host a request claims, the links of the mail that comes of it
// lead to the configured address (H10). Notices of an import go a minute later
// and by the same code as those of an edit.
func TestA2PoisonedHost(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	own, err := url.Parse(s.base)
	if err != nil {
		t.Fatal(err)
	}
	hosts := []string{own.Host, "www.harbour-chamber.example.org"}
	ifMatch := func(r response) func(*http.Request) { return head("If-Match", r.etag()) }
	routes := map[string]func(t *testing.T, forge func(*http.Request)) (p person, mails int){
		"POST reset-emails": func(t *testing.T, forge func(*http.Request)) (person, int) {
			p := s.person(nil)
			s.send("POST", p.path("/reset-emails"), "", "", s.staff(), forge).want(202)
			return p, 1
		},
		"PUT credentials": func(t *testing.T, forge func(*http.Request)) (person, int) {
			p := s.person(nil)
			s.send("PUT", p.path("/credentials"), asJSON, `{"password":"`+phrase+`"}`, s.staff(), ifMatch(p.credentials()), forge).want(200)
			s.send("DELETE", p.path("/credentials"), "", "", s.staff(), ifMatch(p.credentials()), forge).want(200)
			return p, 2
		},
		"PATCH, disable, enable": func(t *testing.T, forge func(*http.Request)) (person, int) {
			p := s.person(nil)
			p.change(doc{"password": phrase}).want(200)
			s.send("POST", p.path("/disable"), "", "", s.staff(), forge).want(200)
			s.send("POST", p.path("/enable"), "", "", s.staff(), forge).want(200)
			p.Email = "new." + p.Email
			s.send("PATCH", p.path(""), asJSON, `{"email":"`+p.Email+`","usernameToo":true}`, s.staff(), ifMatch(p.profile()), forge).want(200)
			return p, 1
		},
		"mailing": func(t *testing.T, forge func(*http.Request)) (person, int) {
			p := s.person(nil)
			c := s.credentialsFor(p)
			s.send("POST", c.path("/test"), asJSON, `{"profile":"`+p.ID+`","addresses":["office@harbour-chamber.example.org"]}`, s.staff(), forge).want(202)
			s.send("POST", c.path("/audience"), "", "", s.staff(), forge).want(202)
			var counted response
			s.until("the audience to be counted", func() bool { counted = s.get(c.path("/audience")); return counted.text("state") == "ready" })
			s.send("POST", c.path("/send"), asJSON, `{"version":`+counted.digits("version")+`}`, s.staff(), forge).want(200)
			s.send("POST", c.path("/resend-failed"), "", "", s.staff(), forge)
			return p, 1
		},
		"member pages": func(t *testing.T, forge func(*http.Request)) (person, int) {
			ours := head("Sec-Fetch-Site", "same-origin")
			p := s.person(nil)
			used, ended := p.link(), p.link()
			s.form(pathOf(t, used), fill{"password": phrase, "again": phrase}, ours, forge).want(200)
			s.form(pathOf(t, ended)+"/renew", nil, ours, forge).want(200)
			s.until("the renewal", func() bool { return len(s.mails(p.Email)) >= 4 })
			in := s.form("/portal/demo/sign-in", fill{"username": p.Email, "password": phrase}, ours, forge).want(303)
			var session []string
			for _, c := range in.Header.Values("Set-Cookie") {
				session = append(session, strings.SplitN(c, ";", 2)[0])
			}
			s.form("/portal/demo/password", fill{"current": phrase, "password": another, "again": another}, ours, head("Cookie", strings.Join(session, "; ")), forge).want(200)
			return p, 5
		},
		"forgot login": func(t *testing.T, forge func(*http.Request)) (person, int) {
			p := s.person(nil)
			s.form("/portal/demo/forgot-login", fill{"login": p.Email}, head("Sec-Fetch-Site", "same-origin"), forge).want(200)
			return p, 1
		},
	}
	for route, mail := range routes {
		for forgery, forge := range forgeries {
			t.Run(route+", "+forgery, func(t *testing.T) {
				p, mails := mail(t, forge)
				s.until("its mails", func() bool { return len(s.mails(p.Email)) >= mails })
			})
		}
	}
	// What makes links and mails cannot see a request at all.
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{.Imports}}", "../../shared/link", "../../shared/mailing", "../../shared/message", "../../shared/credential", "../../shared/session").Output()
	if err != nil {
		t.Fatal(err)
	}
	if text := string(out); strings.Count(text, "\n") != 5 || strings.Contains(text, "net/http") || strings.Contains(text, "lambda") || strings.Contains(text, "httpapi") {
		t.Errorf("a package that makes links imports HTTP:\n%s", text)
	}
	s.quiet()
	all := s.mails("")
	for _, m := range all {
		for _, part := range []string{m.From, m.ReplyTo, m.To, m.Subject, m.HTML, m.Text} {
			if strings.Contains(part, "evil") || strings.Contains(part, "127.0.0.1") {
				t.Errorf("%q to %s names the claimed host", m.Subject, m.To)
			}
		}
		for _, to := range addressesIn(t, m.HTML) {
			if u, err := url.Parse(to); err != nil || u.Host != "" && !slices.Contains(hosts, u.Host) {
				t.Errorf("%q to %s leads to %s", m.Subject, m.To, to)
			}
		}
		for _, l := range m.links() {
			if !strings.HasPrefix(l, s.base+"/portal/demo/set-password/") {
				t.Errorf("%q to %s has the link %s", m.Subject, m.To, l)
			}
		}
	}
	if len(all) < 60 {
		t.Errorf("only %d mails", len(all))
	}
	// A host of somebody else, or an address that names one, is no way in here.
	before := len(all)
	body := "login=" + url.QueryEscape(s.person(nil).Email)
	for _, target := range []string{"http://evil.example/portal/demo/forgot-login", "http://localhost:80@evil.example/portal/demo/forgot-login"} {
		answer := s.wire("POST " + target + " HTTP/1.1\r\nHost: localhost:" + s.port() + "\r\nContent-Type: " + asForm + "\r\nConnection: close\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
		if answer.StatusCode != 403 && answer.StatusCode != 400 {
			t.Errorf("%s: %d", target, answer.StatusCode)
		}
	}
	for _, host := range []string{"evil.example", "localhost:80@evil.example", "localhost.evil.example", "evil.example:" + s.port()} {
		if r := s.send("POST", "/portal/demo/forgot-login", asForm, body, func(r *http.Request) { r.Host = host }); r.Status != 403 {
			t.Errorf("host %s is answered %d", host, r.Status)
		}
	}
	s.quiet()
	if n := len(s.mails("")); n != before {
		t.Errorf("%d mails to who came by another host", n-before)
	}
}

// addressesIn are where a mail's elements lead or load from.
func addressesIn(t testing.TB, text string) (all []string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		for _, a := range n.Attr {
			if a.Key == "href" || a.Key == "src" || a.Key == "action" || a.Key == "background" || a.Key == "srcset" {
				all = append(all, a.Val)
			}
		}
	}
	return all
}

// confused are bodies of which two parsers could think differently.
func confused(email string) []string {
	q, evil := strconv.Quote(email), `"evil@example.net"`
	return []string{
		`[]`, `null`, `7`, `"x"`, `[` + q + `,` + evil + `]`, `{"email":[` + q + `,` + evil + `]}`, `{"email":{"address":` + evil + `}}`,
		`{"email":` + q + `,"email":` + evil + `}`, `{"email":` + q + `,"\u0065mail":` + evil + `}`, `{"to":` + evil + `}`, `{"recipient":` + evil + `}`,
		`{"toMainContact":["201","202"]}`, `{"toMainContact":"201","toMainContact":"202"}`, `{"Email":` + evil + `}`, `{"cc":[` + evil + `]}`,
		`{"login":` + evil + `}`, `{"__proto__":{"email":` + evil + `}}`, `{"constructor":{}}`, `{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`,
		`{"a":1}{"b":2}`, `{"a":1,}`, `{'a':1}`, `{"a":"` + "\xff" + `"}`, `{"a":"\ud800"}`, "\ufeff{}", "{\"a\":\"\x00\"}", `{"a":NaN}`, `{"a":1e400}`, strings.Repeat(`{"a":`, 1_000),
	}
}

// A3: no body makes a mail go anywhere but to the address on file, on any route.
func TestA3ConfusedAddresses(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	p := s.person(nil)
	c := s.credentialsFor(p)
	counted := c.count()
	template := s.api("POST", "/api/templates", doc{"name": "One", "subject": "S", "html": "<p>x</p>"}).want(201).text("id")
	saved := s.api("POST", "/api/audiences", doc{"name": "One", "filter": doc{}}).want(201).text("id")
	fill := func(path string) string {
		id := p.ID
		switch {
		case strings.HasPrefix(path, "/api/mailings"):
			id = c.ID
		case strings.HasPrefix(path, "/api/templates"):
			id = template
		case strings.HasPrefix(path, "/api/audiences"):
			id = saved
		}
		return strings.ReplaceAll(path, "{id}", id)
	}
	tried := 0
	s.unchanged("confused bodies", func() {
		for _, route := range routes(t) {
			if !strings.HasPrefix(route.Path, "/api/") || route.Method == "GET" {
				continue
			}
			tried++
			tag := `"1"`
			if strings.Contains(route.Path, "credentials") {
				tag = `"0"`
			}
			for _, body := range confused(p.Email) {
				if body == `null` && strings.HasSuffix(route.Path, "/reset-emails") {
					continue // its body may be left out, and null says so
				}
				r := s.send(route.Method, fill(route.Path), asJSON, body, s.staff(), head("If-Match", tag))
				if r.Status != 400 {
					t.Errorf("%s with %.40q: %d %s", route.Key(), body, r.Status, clip(r.Body))
					continue
				}
				r.refused(400, r.text("code"))
				if strings.Contains(string(r.Body), "evil@") {
					t.Errorf("%s with %.40q quotes the address", route.Key(), body)
				}
			}
		}
		// The same in a form, where a comma, a line end or a second field could
		// name somebody else.
		for body, status := range map[string]int{
			"login=" + url.QueryEscape(p.Email) + "&login=evil%40example.net":          400,
			"login[]=" + url.QueryEscape(p.Email) + "&login[]=evil%40example.net":      400,
			url.Values{"login": {p.Email + ",evil@example.net"}}.Encode():              200,
			url.Values{"login": {p.Email + " evil@example.net"}}.Encode():              200,
			url.Values{"login": {p.Email + "\r\nBcc: evil@example.net"}}.Encode():      200,
			url.Values{"login": {`"` + p.Email + `" <evil@example.net>`}}.Encode():     200,
			url.Values{"login": {"evil@example.net\x00" + p.Email}}.Encode():           200,
			url.Values{"login": {p.Email + "%00@evil.example.net"}}.Encode():           200,
			url.Values{"login": {strings.Repeat("a", 3000) + "@example.net"}}.Encode(): 200,
		} {
			if r := s.send("POST", "/portal/demo/forgot-login", asForm, body); r.Status != status {
				t.Errorf("%.60q: %d %s", body, r.Status, visible(t, r.Body))
			}
		}
	})
	if tried < 30 {
		t.Errorf("%d routes tried", tried)
	}
	// And asked for properly, each goes to the one address on file.
	p.reset().want(202)
	s.api("POST", c.path("/send"), doc{"version": counted.number("version")}).want(200)
	c.done()
	s.quiet()
	for _, m := range s.mails("") {
		if m.To != p.Email {
			t.Errorf("a mail to %s", m.To)
		}
	}
	if n := len(s.mails(p.Email)); n != 2 {
		t.Errorf("%d mails", n)
	}
}

// collide are the runes other than ASCII that some way of folding takes for one.
func collide() map[rune][]rune {
	all := map[rune][]rune{}
	fold := cases.Fold()
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if 0xd800 <= r && r <= 0xdfff {
			continue
		}
		s := string(r)
		for _, to := range []string{string(unicode.ToLower(r)), string(unicode.ToUpper(r)), norm.NFKC.String(s), fold.String(norm.NFKC.String(s))} {
			if to != "" && to[0] < 0x80 && to[0] > ' ' {
				c := unicode.ToLower(rune(to[0]))
				if !slices.Contains(all[c], r) {
					all[c] = append(all[c], r)
				}
			}
		}
	}
	return all
}

// A4: an address that only looks like the one on file, or folds into it, gets
// no mail; where anything is sent, it goes to the spelling on file.
func TestA4CollidingLetters(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	const address = "mike.ski@example.org"
	p := s.person(doc{"email": address, "firstName": "Mike"})
	s.quiet()
	folding, tried := collide(), 0
	for i, c := range address {
		if i != strings.IndexRune(address, c) {
			continue // tried where it stands first
		}
		for _, r := range folding[c] {
			tried++
			spelt := address[:i] + string(r) + address[i+1:]
			s.form("/portal/demo/forgot-login", fill{"login": spelt}).want(200)
		}
	}
	s.quiet()
	for _, m := range s.mails("") {
		if m.To != address {
			t.Errorf("a mail to %q", m.To)
		}
	}
	t.Logf("%d spellings", tried)
	if tried < 300 {
		t.Errorf("%d spellings tried", tried)
	}
	// An address on file is that one or another one, never a spelling of it.
	for i, c := range address {
		for _, r := range folding[c][:min(len(folding[c]), 4)] {
			spelt := address[:i] + string(r) + address[i+1:]
			made := s.api("POST", "/api/profiles", doc{"type": "individual", "firstName": "Not", "lastName": "Mike", "status": "active", "email": spelt})
			if made.Status == 400 {
				continue
			}
			if got := made.want(201).text("email"); got != address && cases.Fold().String(norm.NFKC.String(got)) == address {
				t.Errorf("%q is on file as %q", spelt, got)
			}
		}
	}
	// A username that folds into another's is that other's, or no username.
	p.change(doc{"username": "mike.ski"}).want(200)
	for _, c := range "mikes" {
		for _, r := range folding[c][:min(len(folding[c]), 12)] {
			spelt := strings.Replace("mike.ski", string(c), string(r), 1)
			q := s.person(nil)
			if got := q.change(doc{"username": spelt}); got.Status == 200 && got.text("username") == "mike.ski" || got.Status == 200 && norm.NFKC.String(got.text("username")) == "mike.ski" {
				t.Errorf("%q became %q beside mike.ski", spelt, got.text("username"))
			}
		}
	}
	p.credentials().is("username", "mike.ski")
}

// A5, A27: a journey with canaries in it, by the built program with -v. No
// token, password or address of it is in what was logged; no token or password
// is in the database, in no form; no problem repeats one.
func TestA5Canary(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := build(t).run(t, data, "-v")
	const secret, second, typed = "canary kettle marches north", "canary lanterns drift quietly", "canary typed by the staff"
	email := "canary.bird@example.org"
	ana := p.person(doc{"email": email, "firstName": "Canaria", "lastName": "Songbird"})
	var problems []response
	keep := func(r response) response {
		if r.Status >= 400 {
			problems = append(problems, r)
		}
		return r
	}
	used, ended := ana.link(), ana.link()
	p.browser().open(used).sets(secret).shows("Your password is set")
	p.next(email)
	p.browser().open(used)
	p.browser().open(ended).press("Send me a new link", nil)
	renewed := p.next(email).link()
	b := p.browser().signIn(email, secret)
	if !b.signedIn() {
		t.Fatalf("%d %s", b.Status, b.Text())
	}
	home, err := url.Parse(p.portal(""))
	if err != nil {
		t.Fatal(err)
	}
	var cookies []string
	for _, c := range b.client.Jar.Cookies(home) {
		cookies = append(cookies, c.Value)
	}
	b.open("/password").press("Change password", fill{"current": secret, "password": second, "again": second})
	p.next(email)
	for range 7 {
		p.browser().signIn(email, "canary but wrong")
	}
	p.browser().open("/forgot-login").press("Send me a link", fill{"login": email})
	c := p.credentialsFor(ana)
	c.send()
	c.done()
	mailed := p.nextOf(email, c.ID).link()
	keep(ana.change(doc{"password": typed}))
	keep(ana.change(doc{"password": "canary"}))
	keep(ana.change(doc{"username": "canary username\n"}))
	keep(p.api("POST", "/api/passwords/check", doc{"password": secret}))
	keep(p.send("PUT", ana.path("/credentials"), asJSON, `{"password":"`+secret+`","password":"`+second+`"}`, p.staff(), head("If-Match", `"1"`)))
	keep(p.send("PUT", ana.path("/credentials"), asJSON, `{"password":["`+secret+`"]}`, p.staff(), head("If-Match", `"1"`)))
	keep(p.send("PUT", ana.path("/credentials"), asJSON, `{"password":"`+secret, p.staff(), head("If-Match", `"1"`)))
	keep(p.send("PUT", ana.path("/credentials"), "text/plain", secret, p.staff(), head("If-Match", `"1"`)))
	keep(p.send("POST", "/portal/demo/sign-in", asForm, "username="+url.QueryEscape(email)+"&password="+url.QueryEscape(secret)+"&password=x"))
	keep(p.send("POST", pathOf(t, mailed), asForm, "password=%zz"+url.QueryEscape(secret)))
	keep(p.send("POST", pathOf(t, mailed), asForm, "password="+url.QueryEscape(secret), head("Sec-Fetch-Site", "cross-site")))
	keep(p.send("GET", pathOf(t, mailed)+"/nothing", "", ""))
	keep(p.send("GET", pathOf(t, mailed)+"?x=%zz", "", ""))
	keep(p.send("GET", "/api/profiles?search="+url.QueryEscape(email), "", "", head("Authorization", "Bearer "+p.token()+"x")))
	jwt := p.token()
	p.interrupt()

	log := p.printed()
	if strings.Count(log, "msg=request") < 30 {
		t.Fatalf("nothing was logged:\n%s", log)
	}
	base, err := os.ReadFile(filepath.Join(data, "memberkey.db"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{"password": secret, "second password": second, "typed password": typed, "wrong password": "canary but wrong", "staff's token": jwt}
	for i, link := range []string{used, ended, renewed, mailed} {
		secrets[fmt.Sprint("link ", i)] = tokenOf(link)
		secrets[fmt.Sprint("secret of link ", i)] = tokenOf(link)[22:]
	}
	for i, c := range cookies {
		secrets[fmt.Sprint("cookie ", i)] = c
	}
	if len(secrets) != 5+8+2 {
		t.Errorf("%d secrets", len(secrets))
	}
	for name, text := range secrets {
		for form, text := range spellings(text) {
			if strings.Contains(log, text) {
				t.Errorf("the %s is in the log (%s)", name, form)
			}
			if bytes.Contains(base, []byte(text)) {
				t.Errorf("the %s is in the database (%s)", name, form)
			}
			for _, r := range problems {
				if bytes.Contains(r.Body, []byte(text)) && name != "staff's token" {
					t.Errorf("%s: the answer %d repeats the %s (%s)", r.what, r.Status, name, form)
				}
			}
		}
	}
	for form, text := range spellings(email) {
		if strings.Contains(log, text) {
			t.Errorf("the address is in the log (%s)", form)
		}
	}
	for _, name := range []string{"Canaria", "Songbird", "$argon2"} {
		if strings.Contains(log, name) {
			t.Errorf("%q is in the log", name)
		}
	}
	if len(problems) < 10 {
		t.Errorf("%d problems", len(problems))
	}
	// The hash is in the one table that is for hashes.
	for key, value := range items(t, data) {
		if key.Table != store.Credentials && (bytes.Contains(value, []byte("$argon2")) || bytes.Contains(value, []byte("argon2id"))) {
			t.Errorf("%s %q holds a hash", key.Table, key.Partition)
		}
		if key.Table == store.Activity && bytes.Contains(value, []byte("canary ")) {
			t.Errorf("activity holds %s", value)
		}
	}
	// A queue message has names, and no place for anything else (A5).
	text, err := mailing.Bell{Kind: mailing.RingLane, Organization: "o", Mailing: "m", Generation: 1, Lane: 1, Index: 1, ID: "i"}.Message()
	if err != nil {
		t.Fatal(err)
	}
	var bell map[string]any
	if err := json.Unmarshal([]byte(text), &bell); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"generation", "id", "index", "kind", "lane", "mailing", "organization", "v"}, slices.Sorted(maps.Keys(bell))); diff != "" {
		t.Errorf("a new field of a bell needs a look at A5: %s", diff)
	}
}

// spellings are the forms in which a text may turn up.
func spellings(s string) map[string]string {
	return map[string]string{
		"plain": s, "query": url.QueryEscape(s), "path": url.PathEscape(s), "hex": hex.EncodeToString([]byte(s)),
		"base64": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(s)), "="), "base64url": base64.RawURLEncoding.EncodeToString([]byte(s)),
	}
}

// A6: of 200 posts of one link at once, one sets the password; there is one
// confirmation and one line of the trail. (credential.TestLinkRace does it a
// hundred times, below HTTP.)
func TestA6Race(t *testing.T) {
	t.Parallel()
	const posts, rounds = 200, 2
	s := besiege(t, nil)
	p := s.person(nil)
	for round := range rounds {
		at := pathOf(t, p.link())
		lines, mails := len(p.trail()), len(s.mails(p.Email))
		answers := make([]int, posts)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range posts {
			wg.Go(func() {
				<-start
				chosen := fmt.Sprintf("%s %d %d", phrase, round, i)
				values := url.Values{"password": {chosen}, "again": {chosen}}
				r, err := s.attempt("POST", at, asForm, values.Encode())
				if err != nil {
					t.Error(err)
				}
				answers[i] = r.Status
			})
		}
		close(start)
		wg.Wait()
		winner := slices.Index(answers, 200)
		for i, status := range answers {
			if i != winner && status != 410 && status != 503 {
				t.Errorf("round %d: post %d is answered %d", round, i, status)
			}
		}
		if winner < 0 {
			t.Fatalf("round %d: nobody won: %v", round, answers)
		}
		if !s.browser().signIn(p.Email, fmt.Sprintf("%s %d %d", phrase, round, winner)).signedIn() {
			t.Errorf("round %d: the winner cannot sign in", round)
		}
		s.quiet()
		set := 0
		for _, kind := range p.trail()[:len(p.trail())-lines] {
			if strings.HasPrefix(kind, "password_") {
				set++
			}
		}
		if n := len(s.mails(p.Email)) - mails; n != 1 || set != 1 {
			t.Errorf("round %d: %d confirmations, %d lines", round, n, set)
		}
		s.taken[p.Email] = len(s.mails(p.Email))
	}
}

// A7, H5: every change of a login ends every link that was made before it.
func TestA7LinksEnd(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	for what, change := range map[string]func(person){
		"password by staff": func(p person) { p.change(doc{"password": another}).want(200) },
		"username":          func(p person) { p.change(doc{"username": "other" + p.ID}).want(200) },
		"email":             func(p person) { p.edit(doc{"email": "moved." + p.Email}).want(200) },
		"disabled":          func(p person) { s.api("POST", p.path("/disable"), nil).want(200) },
		"disabled, enabled": func(p person) {
			s.api("POST", p.path("/disable"), nil).want(200)
			s.api("POST", p.path("/enable"), nil).want(200)
		},
		"removed": func(p person) {
			s.api("DELETE", p.path("/credentials"), nil, "If-Match", p.credentials().etag()).want(200)
		},
		"signed out": func(p person) { s.api("POST", p.path("/sign-out"), nil).want(200) },
		"other link": func(p person) { s.browser().open(p.link()).sets(another) },
		"own change": func(p person) {
			s.browser().signIn(p.Email, phrase).open("/password").press("Change password", fill{"current": phrase, "password": another, "again": another})
		},
		"import": func(p person) {
			s.api("POST", "/api/profile-imports", table("Profile ID,Profile Type,First Name,Last Name,Email,Membership Status\n"+p.ID+",Individual,Ada,Journey,imported."+p.Email+",Active\n")).want(200).is("updated", 1)
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := s.within(t)
			p := w.person(nil)
			p.signsUp(phrase)
			link := p.link()
			in := w.browser().signIn(p.Email, phrase)
			if !in.signedIn() {
				t.Fatal("not signed in")
			}
			change(p)
			at := pathOf(t, link)
			if r := w.send("GET", at, "", ""); r.Status != 410 && r.Status != 403 {
				t.Errorf("the link opens: %d", r.Status)
			}
			if r := w.form(at, fill{"password": longer, "again": longer}); r.Status != 410 && r.Status != 403 {
				t.Errorf("the link sets a password: %d", r.Status)
			}
			if what != "own change" && in.signedIn() {
				t.Error("the session goes on")
			}
		})
	}
}

// anyMoment is a day and a time as pages write them.
var anyMoment = regexp.MustCompile(`[A-Z][a-z]+day, \d+ [A-Z][a-z]+ \d{4}, \d+:\d\d [ap]m [A-Z]+`)

// everChanging is how long a request took, and its id.
var everChanging = regexp.MustCompile(`(milliseconds|request)=\S+`)

// answerOf is an answer with what makes every answer different left out.
func answerOf(r response, name string) string {
	var b strings.Builder
	fmt.Fprintln(&b, r.Status)
	for _, key := range slices.Sorted(maps.Keys(r.Header)) {
		if key != "Date" && key != "Apigw-Requestid" && key != "Content-Length" {
			fmt.Fprintln(&b, key, r.Header[key])
		}
	}
	// What was typed stands in the field again.
	b.WriteString(strings.ReplaceAll(string(r.Body), `value="`+html.EscapeString(name)+`"`, `value="NAME"`))
	return b.String()
}

// A8: sign-in, forgot login and a renewal answer everybody alike: status,
// headers and bytes.
func TestA8SameAnswer(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	active, capitals, disabled := s.person(nil), s.person(nil), s.person(nil)
	active.signsUp(phrase)
	disabled.signsUp(phrase)
	s.api("POST", disabled.path("/disable"), nil).want(200)
	without := s.person(nil)
	shared := fmt.Sprintf("family%s@example.com", active.ID)
	s.person(doc{"email": shared})
	s.person(doc{"email": shared})
	noMail := s.person(doc{"email": nil})
	noMail.change(doc{"username": "nomail" + noMail.ID}).want(200)
	lapsed := s.person(doc{"status": "lapsed"})
	names := map[string]string{
		"exists": active.Email, "unknown": "nobody@example.com", "no email": "nomail" + noMail.ID, "disabled": disabled.Email, "shared": shared,
		"no password": without.Email, "may not enter": lapsed.Email, "no name at all": "not a name", "unknown username": "nobody", "in capitals": strings.ToUpper(capitals.Email),
	}
	for page, field := range map[string]string{"forgot-login": "login", "sign-in": "username"} {
		var first []string
		for _, who := range slices.Sorted(maps.Keys(names)) {
			name := names[who]
			var story []string
			for range 7 { // within and beyond its limit
				r := s.form("/portal/demo/"+page, fill{field: name, "password": "wrong " + phrase})
				if page == "sign-in" && r.Status == 429 { // until when follows the clock
					r.Body = []byte(anyMoment.ReplaceAllString(string(r.Body), "SOON"))
				}
				story = append(story, answerOf(r, name))
			}
			if first == nil {
				first = story
			} else if diff := cmp.Diff(first, story); diff != "" {
				t.Errorf("%s tells %q apart:\n%.1500s", page, who, diff)
			}
		}
		if page == "sign-in" && (!strings.HasPrefix(first[0], "422") || !strings.HasPrefix(first[6], "429")) || page == "forgot-login" && !strings.HasPrefix(first[6], "200") {
			t.Errorf("%s: %.3s, %.3s", page, first[0], first[6])
		}
	}
	live, ended := without.link(), without.link()
	s.browser().open(live).sets(phrase)
	var first string
	for _, token := range []string{tokenOf(ended), tokenOf(live), strings.Repeat("a", len(tokenOf(live))), "cut", "sample"} {
		got := answerOf(s.form("/portal/demo/set-password/"+token+"/renew", nil), "")
		if first == "" {
			first = got
		}
		if got != first {
			t.Errorf("a renewal tells %.6s apart:\n%s", token, cmp.Diff(first, got))
		}
	}
}

// A9: a request for forgot login is one request and one line of the log, the
// same for everybody; what it stores and rings is counted beside the code, and
// the statistics of its time are another issue's.
func TestA9SameWork(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	p := s.person(doc{"email": "somebody.here@example.org"})
	p.signsUp(phrase)
	s.quiet()
	logged := func(page, name string) (lines []string) {
		before := len(s.log.String())
		s.form("/portal/demo/"+page, fill{"login": name, "username": name, "password": another})
		s.until("the line of the log", func() bool { return strings.Contains(s.log.String()[before:], "msg=request") })
		for line := range strings.Lines(s.log.String()[before:]) {
			if _, line, ok := strings.Cut(line, "level="); ok {
				lines = append(lines, everChanging.ReplaceAllString(line, ""))
			}
		}
		return lines
	}
	for _, page := range []string{"forgot-login", "sign-in"} {
		want := logged(page, p.Email)
		if len(want) != 1 || !strings.Contains(want[0], "POST /portal/{org}/"+page) {
			t.Fatalf("%q", want)
		}
		s.quiet()
		for _, name := range []string{"somebody.else@example.org", "no-such-name", "not even an address"} {
			if diff := cmp.Diff(want, logged(page, name)); diff != "" {
				t.Errorf("%s of %s: %s", page, name, diff)
			}
			s.quiet()
		}
	}
}

// A10: what can never be a password is answered alike, whether there is such a
// name or not. That it costs a hash of today's parameters, or none, alike for
// both, is counted beside the code.
func TestA10Decoy(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	var first []string
	for _, name := range []string{"known", "nobody@example.com"} {
		if name == "known" {
			p := s.person(nil)
			p.signsUp(phrase)
			name = p.Email
		}
		var all []string
		for _, secret := range []string{"", "tab\tin the middle", "\x00", password.Placeholder, strings.Repeat("x", password.MaxLength+1), strings.Repeat("🔑", 400), another} {
			r := s.form("/portal/demo/sign-in", fill{"username": name, "password": secret})
			r.Body = []byte(anyMoment.ReplaceAllString(string(r.Body), "SOON"))
			all = append(all, answerOf(r, name))
		}
		if first == nil {
			first = all
		} else if diff := cmp.Diff(first, all); diff != "" {
			t.Errorf("(-known +unknown):\n%s", diff)
		}
	}
}

// A16: what is too large is refused as such, by every function, before anything
// is made of it; and on every route that leads to a hash a little is too much.
func TestA16HugeInput(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	p := s.person(nil)
	token := tokenOf(p.link())
	huge := strings.Repeat("a", 10<<20+1)
	kinds := map[string]int{} // routes of each function that were sent it
	large := `{"password":"` + strings.Repeat("a", 9<<10) + `"}`
	s.unchanged("huge bodies", func() {
		for _, route := range routes(t) {
			if route.Method == "GET" || route.Method == "HEAD" {
				continue
			}
			path := strings.NewReplacer("{id}", p.ID, "{org}", "demo", "{token}", token).Replace(route.Path)
			kinds[route.Function]++
			if kinds[route.Function] <= 2 {
				if r, err := s.attempt(route.Method, path, asJSON, huge, s.staff(), head("If-Match", `"1"`)); err == nil && r.Status != 413 {
					t.Errorf("%s with 10 MiB: %d", route.Key(), r.Status)
				}
			}
			if route.Public || route.Method == "PUT" && strings.HasSuffix(path, "/credentials") || strings.Contains(path, "/passwords/check") {
				kind := asJSON
				if route.Public {
					kind = asForm
				}
				if r := s.send(route.Method, path, kind, large, s.staff(), head("If-Match", `"0"`)); r.Status != 413 {
					t.Errorf("%s with 9 KiB: %d", route.Key(), r.Status)
				}
			}
		}
		long := strings.Repeat("x", password.MaxLength+1)
		s.form("/portal/demo/set-password/"+token, fill{"password": long, "again": long}).want(422)
		if r := s.send("GET", "/api/profiles?search="+strings.Repeat("a", 100_000), "", "", s.staff()); r.Status != 400 && r.Status != 414 && r.Status != 431 {
			t.Errorf("a long search: %d", r.Status)
		}
		if r := s.send("GET", "/portal/demo/sign-in", "", "", head("Cookie", "session="+strings.Repeat("a", 900_000))); r.Status >= 500 {
			t.Errorf("a long cookie: %d", r.Status)
		}
		if r, err := s.attempt("GET", "/portal/demo/sign-in", "", "", head("X-Long", strings.Repeat("a", 2<<20))); err == nil && r.Status != 431 {
			t.Errorf("2 MiB of headers: %d", r.Status)
		}
	})
	s.get("/api/me")
}

// A16: 500 people who sign in at once, and bodies of 10 MiB, need no more memory
// than the permits for hashing allow: of the built program, by what the
// operating system says.
func TestA16Memory(t *testing.T) {
	p := build(t).run(t, t.TempDir())
	p.do("GET", p.portal("/sign-in"), nil).want(200)
	const mib, patient = 1 << 20, 6 * time.Second
	base := resident(t, p.cmd.Process.Pid)
	client := &http.Client{Timeout: patient, Transport: &http.Transport{}}
	// peak is the most that is resident while n requests are made at once, and
	// how they were answered.
	peak := func(n int, body func(i int) string) (most int, answers map[int]int) {
		var wg sync.WaitGroup
		statuses := make(chan int, n)
		for i := range n {
			wg.Go(func() {
				if r, err := client.Post(p.portal("/sign-in"), asForm, strings.NewReader(body(i))); err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					_ = r.Body.Close()
					statuses <- r.StatusCode
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		for waiting := true; waiting; {
			select {
			case <-done:
				waiting = false
			case <-time.After(100 * time.Millisecond):
			}
			most = max(most, resident(t, p.cmd.Process.Pid))
		}
		close(statuses)
		answers = map[int]int{}
		for status := range statuses {
			answers[status]++
		}
		return most, answers
	}
	hashing, answers := peak(500, func(i int) string {
		return url.Values{"username": {fmt.Sprintf("nobody%d@example.com", i)}, "password": {phrase}}.Encode()
	})
	// Three times: memory that a hash has let go is not taken back at once. The
	// rest is for 500 connections and the mapped pages of the store.
	bound := base + 3*runtime.NumCPU()*int(password.Production.MemoryKiB)<<10 + 96*mib
	t.Logf("%d MiB before, at most %d MiB during 500 sign-ins (bound %d MiB); answered in %v: %v", base/mib, hashing/mib, bound/mib, patient, answers)
	if hashing > bound {
		t.Errorf("%d MiB; the bound is %d MiB", hashing/mib, bound/mib)
	}
	if answers[422] == 0 || answers[422] != total(answers) {
		t.Errorf("answers: %v", answers)
	}
	p.kill() // those who wait for a permit would go on

	p = build(t).run(t, t.TempDir())
	bodies, answers := peak(20, func(int) string { return "password=" + strings.Repeat("a", 10<<20) })
	// The gateway reads as much as API Gateway would, and grows what it reads into.
	bound = base + 20*5*10*mib
	t.Logf("at most %d MiB during 20 bodies of 10 MiB (bound %d MiB): %v", bodies/mib, bound/mib, answers)
	if bodies > bound || answers[413] != total(answers) {
		t.Errorf("%d MiB; the bound is %d MiB; answers: %v", bodies/mib, bound/mib, answers)
	}
}

func total(answers map[int]int) (n int) {
	for _, k := range answers {
		n += k
	}
	return n
}

// resident is how much memory a process has, as ps tells on every Unix.
func resident(t *testing.T, pid int) int {
	t.Helper()
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		t.Fatal(err)
	}
	kib, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// A18: whatever people and their association are called, a mail has the
// elements, addresses and headers that it has for everybody.
func TestA18Injection(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	hostile := []string{
		`<script>alert(1)</script>`, `</p><a href="https://evil.example">click</a>`, `"><img src=x onerror=alert(1)>`, `{{.Secret}} {{7*7}} ${7*7}`,
		`[[PORTALLOGINLINK]] [[NAME]]`, `<!--`, `&lt;b&gt; &amp;amp;`, `'"\`, `javascript:alert(1)//`, `=cmd|' /C calc'!A0`, `http://evil.example/x`, `<evil@example.net>, b`,
	}
	shape := func(m mail) []string {
		all := addressesIn(t, m.HTML)
		for i := range all {
			if strings.Contains(all[i], "/set-password/") {
				all[i] = "LINK"
			}
		}
		root, err := html.Parse(strings.NewReader(m.HTML))
		if err != nil {
			t.Fatal(err)
		}
		elements := map[string]int{}
		for n := range root.Descendants() {
			if n.Type == html.ElementNode {
				elements[n.Data]++
			}
		}
		return append(all, fmt.Sprint(elements))
	}
	// mailsOf sends three mails to each: a reset, a mailing, a notice.
	mailsOf := func(people ...person) (shapes [][][]string) {
		for _, p := range people {
			p.reset().want(202)
		}
		ids := make([]string, len(people))
		for i, p := range people {
			ids[i] = p.ID
		}
		c := s.compose(doc{"subject": "For [[NAME]] of [[ORGANIZATIONNAME]]", "html": "<p>Dear [[FIRSTNAME]] [[LASTNAME]] ([[ORGANIZATIONNAME]]),</p><p>[[PORTALLOGINLINK]]</p>", "audience": doc{"profiles": ids}})
		c.send()
		c.done()
		for _, p := range people {
			p.change(doc{"password": phrase + " " + p.ID}).want(200)
		}
		for _, p := range people {
			s.until("three mails", func() bool { return len(s.mails(p.Email)) == 3 })
			all := s.mails(p.Email)
			slices.SortFunc(all, func(a, b mail) int { return strings.Compare(kindOf(a), kindOf(b)) })
			var own [][]string
			for _, m := range all {
				own = append(own, shape(m))
				if from, err := netmail.ParseAddress(m.From); err != nil || from.Address != "office@harbour-chamber.example.org" {
					t.Errorf("from %q: %v", m.From, err)
				}
				for _, header := range []string{m.From, m.ReplyTo, m.To, m.Subject} {
					if strings.ContainsFunc(header, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' }) {
						t.Errorf("a header is %q", header)
					}
				}
			}
			shapes = append(shapes, own)
		}
		return shapes
	}
	people := []person{s.person(doc{"organizationName": "Fernwood"})}
	for _, name := range hostile {
		people = append(people, s.person(doc{"firstName": name, "lastName": name, "organizationName": name}))
	}
	shapes := mailsOf(people...)
	want := shapes[0]
	for i, name := range hostile {
		p := people[i+1]
		if diff := cmp.Diff(want, shapes[i+1]); diff != "" {
			t.Errorf("%s changes its mails:\n%s", name, diff)
		}
		// The same text, for people to read.
		if mails := s.mails(p.Email); !strings.Contains(mails[0].Text, squeeze(name)) {
			t.Errorf("%q is not in the text part: %s", name, mails[0].Text)
		}
		s.taken[p.Email] = 3
		b := s.browser().open(p.link())
		if strings.Contains(string(b.Body), "<script>alert") || strings.Contains(string(b.Body), "<img src=x") || strings.Contains(string(b.Body), `href="https://evil`) {
			t.Errorf("%s is markup on the page of the link", name)
		}
	}
	for _, name := range []string{hostile[0], hostile[1], hostile[3], hostile[11]} {
		s.settings(doc{"name": name, "senderName": name})
		if diff := cmp.Diff(want, mailsOf(s.person(doc{"organizationName": "Fernwood"}))[0]); diff != "" {
			t.Errorf("an association called %s changes its mails:\n%s", name, diff)
		}
	}
	s.unchanged("line ends in headers", func() {
		for _, bad := range []string{"a\r\nBcc: evil@example.net", "a\nb", "a\rb", "a\u2028b", "a\x00b"} {
			for _, field := range []string{"name", "senderName", "senderAddress", "replyTo", "helpEmail"} {
				if r := s.api("PUT", "/api/organization", doc{field: bad}, "If-Match", s.get("/api/organization").etag()); r.Status != 400 {
					t.Errorf("%s %q: %d", field, bad, r.Status)
				}
			}
			if r := s.api("POST", "/api/profiles", doc{"type": "individual", "firstName": bad, "lastName": "x", "status": "active"}); r.Status != 400 {
				t.Errorf("first name %q: %d", bad, r.Status)
			}
			if strings.Contains(bad, "\x00") {
				continue // a subject loses it when it is compiled: see below
			}
			if r := s.api("POST", "/api/mailings", doc{"subject": bad, "html": "<p>x</p>"}); r.Status != 400 {
				t.Errorf("subject %q: %d", bad, r.Status)
			}
		}
	})
	if m := s.compose(doc{"subject": "a\x00\x1b[2Jb", "html": "<p>x\x00</p>"}).preview(people[0].ID); m.Subject != "a[2Jb" || strings.ContainsRune(m.HTML+m.Text, 0) {
		t.Errorf("control characters in a mail: %q", m.Subject)
	}
}

// kindOf tells mails of one person apart.
func kindOf(m mail) string {
	switch {
	case m.Mailing != nil:
		return "mailing"
	case len(m.links()) > 0:
		return "reset"
	}
	return "notice"
}

// A19: nothing that is sent along leads a browser away from here, and neither
// does an odd spelling of an address.
func TestA19Redirects(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	p := s.person(nil)
	p.signsUp(phrase)
	own, err := url.Parse(s.base)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what, location string) {
		if location == "" {
			return
		}
		// A browser drops tabs and line ends and takes \ for /; url.Parse does not.
		seen := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(strings.TrimSpace(location))
		if to, err := own.Parse(seen); err != nil || to.Host != own.Host || to.Scheme != own.Scheme {
			t.Errorf("%s leads to %q", what, location)
		}
	}
	evil := []string{"//evil.example", `/\evil.example`, `\\evil.example`, "https://evil.example", "javascript:alert(1)", "%2f%2fevil.example", "\t//evil.example", "//evil.example/%2e%2e", "/%09/evil.example", "data:text/html,x"}
	for n := range 40 { // and some that nobody thought of
		alphabet := []rune("/\\.:%@?#e\t 2fFcC5")
		var b strings.Builder
		for range 3 + n%7 {
			b.WriteRune(alphabet[rand.IntN(len(alphabet))])
		}
		evil = append(evil, b.String()+"evil.example")
	}
	for _, to := range evil {
		forms := fill{"username": p.Email, "login": "x", "password": phrase, "to": to}
		query := url.Values{}
		for _, name := range []string{"next", "redirect", "return", "returnTo", "redirect_uri", "url", "continue", "RelayState"} {
			forms[name] = to
			query.Set(name, to)
		}
		for _, page := range []string{"", "/sign-in", "/forgot-login", "/password"} {
			check("GET "+page+" with "+to, s.send("GET", "/portal/demo"+page+"?"+query.Encode(), "", "", head("Referer", "https://evil.example/")).Header.Get("Location"))
		}
		for _, page := range []string{"/sign-in", "/sign-out", "/switch", "/forgot-login", "/password"} {
			check("POST "+page+" with "+to, s.form("/portal/demo"+page+"?"+query.Encode(), forms).Header.Get("Location"))
		}
	}
	for _, target := range []string{
		"//evil.example/portal/demo", `/\evil.example/portal/demo`, "/portal/demo//evil.example", "/portal//evil.example/sign-in", "/portal/%2f%2fevil.example", "/%2f%2fevil.example/..",
		"/portal/demo/../..//evil.example", "//evil.example/..", "/portal/demo/sign-in/", "/portal/demo/", "/portal", "/local", "/local/mailbox//evil.example", "/local/issuer//evil.example", "/;//evil.example", "/%5cevil.example",
		"/portal/demo/sign-in%0d%0aLocation:%20https://evil.example", "/portal/demo%0d%0aSet-Cookie:%20a=b/sign-in",
	} {
		answer := s.wire("GET " + target + " HTTP/1.1\r\nHost: localhost:" + s.port() + "\r\nConnection: close\r\n\r\n")
		check(target, answer.Header.Get("Location"))
		if !strings.HasPrefix(target, "/local/") && answer.Header.Get("Location") != "" {
			t.Errorf("%s is tidied up into %q; API Gateway answers 404", target, answer.Header.Get("Location"))
		}
		if answer.StatusCode >= 500 || len(answer.Header.Values("Set-Cookie")) > 0 {
			t.Errorf("%s: %d %v", target, answer.StatusCode, answer.Header)
		}
	}
}

// A20: no form of another site gets through on any page that changes something.
func TestA20ForgedForms(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	p := s.person(nil)
	p.signsUp(phrase)
	token := tokenOf(p.link())
	in := s.form("/portal/demo/sign-in", fill{"username": p.Email, "password": phrase}).want(303)
	var cookie string
	for _, c := range in.Header.Values("Set-Cookie") {
		cookie += strings.SplitN(c, ";", 2)[0] + "; "
	}
	tried := 0
	s.unchanged("forged forms", func() {
		for _, route := range routes(t) {
			if !route.Public || route.Method != "POST" {
				continue
			}
			tried++
			path := strings.NewReplacer("{org}", "demo", "{token}", token).Replace(route.Path)
			for name, forge := range map[string]func(*http.Request){
				"cross-site":   head("Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"),
				"same-site":    head("Sec-Fetch-Site", "same-site", "Origin", s.base),
				"old browser":  head("Origin", "https://evil.example"),
				"host helps":   head("Origin", "https://evil.example", "X-Forwarded-Host", "evil.example"),
				"longer name":  head("Origin", s.base+".evil.example"),
				"other port":   head("Origin", "http://localhost:1"),
				"other scheme": head("Origin", "https"+strings.TrimPrefix(s.base, "http")),
			} {
				r := s.form(path, fill{"username": p.Email, "login": p.Email, "password": another, "again": another, "current": phrase, "to": "201"}, head("Cookie", cookie), forge)
				if r.Status != 403 || len(r.Header.Values("Set-Cookie")) > 0 {
					t.Errorf("%s, %s: %d", route.Key(), name, r.Status)
				}
			}
			// A form cannot say that it is JSON, and JSON is no form.
			if r := s.send("POST", path, asJSON, `{"password":"x"}`, head("Cookie", cookie)); r.Status != 400 {
				t.Errorf("%s with JSON: %d", route.Key(), r.Status)
			}
			for _, h := range []string{"Content-Security-Policy", "Referrer-Policy", "Cache-Control"} {
				if r := s.send("GET", "/portal/demo/sign-in", "", ""); r.Header.Get(h) == "" || !strings.Contains(r.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
					t.Errorf("a page without %s", h)
				}
			}
		}
	})
	if tried < 7 {
		t.Errorf("%d routes tried", tried)
	}
}

// A21, H21: on every route of staff, what belongs to another organization looks
// like what does not exist; nothing of it is written.
func TestA21OtherOrganization(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	p := s.person(nil)
	p.signsUp(phrase)
	c := s.credentialsFor(p)
	c.send()
	c.done()
	draft := s.credentialsFor(p)
	template := s.api("POST", "/api/templates", doc{"name": "One", "subject": "S", "html": "<p>x</p>"}).want(201).text("id")
	saved := s.api("POST", "/api/audiences", doc{"name": "One", "filter": doc{}}).want(201).text("id")
	thief := s.found("other")
	own := thief.compose(doc{"subject": "S", "html": "<p>x [[PORTALLOGINLINK]]</p>"})
	ids := map[string][]string{"profiles": {p.ID}, "mailings": {c.ID, draft.ID}, "templates": {template}, "audiences": {saved}}
	bodies := map[string]string{
		"PATCH /api/profiles/{id}": `{"lastName":"Stolen"}`, "PUT /api/profiles/{id}/credentials": `{"username":"stolen"}`, "PUT /api/mailings/{id}": `{"subject":"Stolen"}`,
		"POST /api/mailings/{id}/preview": `{"profile":"` + p.ID + `"}`, "POST /api/mailings/{id}/test": `{"profile":"` + p.ID + `","addresses":["office@harbour-chamber.example.org"]}`,
		"POST /api/mailings/{id}/send": `{"version":1}`, "PUT /api/templates/{id}": `{"name":"Stolen","subject":"S","html":"<p>x</p>"}`, "PUT /api/audiences/{id}": `{"name":"Stolen","filter":{}}`,
	}
	tried := 0
	s.unchanged("another organization's staff", func() {
		for _, route := range routes(t) {
			if !strings.HasPrefix(route.Path, "/api/") || !strings.Contains(route.Path, "{id}") {
				continue
			}
			tried++
			kind := strings.Split(route.Path, "/")[2]
			answers := map[string]bool{}
			for _, id := range append(slices.Clone(ids[kind]), "0199f000-unknown", "nobody", "demo", p.ID+"%23x", "..%2f..%2fdemo", "demo%23"+p.ID) {
				contentType := ""
				if bodies[route.Key()] != "" {
					contentType = asJSON
				}
				for _, tag := range []string{`"0"`, `"1"`, `"2"`} {
					r := thief.send(route.Method, strings.ReplaceAll(route.Path, "{id}", id), contentType, bodies[route.Key()], thief.staff(), head("If-Match", tag))
					if r.Status != 404 {
						t.Errorf("%s with %s: %d %s", route.Key(), id, r.Status, clip(r.Body))
					}
					if strings.Contains(id, "%2f") {
						continue // names no such route at all
					}
					answers[string(r.Body)] = true
				}
			}
			if len(answers) != 1 {
				t.Errorf("%s answers in %d ways: %v", route.Key(), len(answers), slices.Collect(maps.Keys(answers)))
			}
		}
		// Named inside a body or a query, too.
		thief.api("POST", own.path("/preview"), doc{"profile": p.ID}).refused(404, "profile_not_found")
		thief.api("POST", own.path("/test"), doc{"profile": p.ID, "addresses": []string{"office@harbour-chamber.example.org"}}).refused(404, "profile_not_found")
		thief.api("POST", "/api/profiles", doc{"type": "individual", "firstName": "A", "lastName": "B", "status": "active", "relations": []doc{{"to": p.ID, "kind": "Owner"}}}).refused(400, "relation_unknown")
		for _, q := range []string{"", "?search=" + url.QueryEscape(p.Email), "?search=" + p.ID, "?status=active"} {
			if all := thief.get("/api/profiles" + q).list("profiles"); len(all) != 0 {
				t.Errorf("/api/profiles%s shows %d of another organization", q, len(all))
			}
		}
		for path, list := range map[string]string{"/api/mailings": "mailings", "/api/activity?actor=local-administrator": "entries"} {
			for _, e := range thief.get(path).list(list) {
				if strings.Contains(string(e.Body), c.ID) || strings.Contains(string(e.Body), p.ID) {
					t.Errorf("%s shows %s", path, clip(e.Body))
				}
			}
		}
		page := s.get("/api/profiles?limit=1").text("cursor")
		if r := thief.api("GET", "/api/profiles?cursor="+url.QueryEscape(page), nil); r.Status == 200 && len(r.list("profiles")) != 0 {
			t.Errorf("a cursor of another organization shows %s", clip(r.Body))
		}
	})
	if tried < 35 {
		t.Errorf("%d routes tried", tried)
	}
	// Nor do members cross over.
	other := thief.person(nil)
	if b := thief.browser().signIn(p.Email, phrase); b.Status != 422 {
		t.Errorf("a member of one organization signs in to another: %d", b.Status)
	}
	at := "/portal/other/set-password/" + tokenOf(p.link())
	if r := thief.form(at, fill{"password": another, "again": another}); r.Status != 404 {
		t.Errorf("a link of one organization opens in another: %d", r.Status)
	}
	if r := thief.api("GET", other.path(""), nil); r.Status != 200 {
		t.Errorf("its own: %d", r.Status)
	}
	s.api("GET", other.path(""), nil).refused(404, "profile_not_found")
}

// A22: the mask of a password is the same for every password, and written back
// it changes nothing, by the byte.
func TestA22Placeholder(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	none, short, long := s.person(nil), s.person(nil), s.person(nil)
	short.change(doc{"password": phrase}).want(200)
	long.change(doc{"password": longer + " " + longer + " and then some more of it"}).want(200)
	seen := map[string]bool{}
	for _, p := range []person{short, long} {
		r := p.credentials()
		seen[r.text("passwordPlaceholder")] = true
		for _, word := range []string{"argon", "hash", "length", "epoch", "salt"} {
			if strings.Contains(strings.ToLower(string(r.Body)), word) {
				t.Errorf("credentials show %q: %s", word, r.Body)
			}
		}
		s.unchanged("the mask", func() {
			for _, body := range []doc{
				{"password": r.text("passwordPlaceholder")}, {"password": ""}, {"password": r.text("passwordPlaceholder"), "username": r.text("username")},
				{"username": " " + strings.ToUpper(r.text("username")) + " "}, {},
			} {
				p.change(body).want(200).is("version", r.number("version"))
			}
			for _, field := range []string{"passwordSet", "passwordPlaceholder", "mustChange", "version", "passwordChangedAt", "passwordChangedBy", "loginStatus", "lastLink", "hash", "profile", "organization", "epoch"} {
				p.change(doc{field: nil}).refused(400, "field_unknown")
			}
		})
	}
	if len(seen) != 1 || !seen[password.Placeholder] {
		t.Errorf("masks: %v", seen)
	}
	if r := none.credentials(); r.at("passwordPlaceholder") != nil && r.text("passwordPlaceholder") != "" || r.yes("passwordSet") {
		t.Errorf("a mask without a password: %s", r.Body)
	}
	s.unchanged("the mask where there is no password", func() {
		none.change(doc{"password": password.Placeholder}).want(200).is("passwordSet", false)
	})
	// By a link it is refused, for it can be no password.
	r := s.form(pathOf(t, none.link()), fill{"password": password.Placeholder, "again": password.Placeholder}).want(422)
	if none.credentials().yes("passwordSet") {
		t.Errorf("the mask became a password: %s", visible(t, r.Body))
	}
}

// A25: a token opens what it was made for, in its organization, and nothing
// else; each kind is tried at each door.
func TestA25OtherPurpose(t *testing.T) {
	t.Parallel()
	s := besiege(t, nil)
	other := s.found("other")
	p := s.person(nil)
	twin := other.person(doc{"id": p.ID, "email": p.Email})
	p.signsUp(phrase)
	in := s.form("/portal/demo/sign-in", fill{"username": p.Email, "password": phrase}).want(303)
	tokens := map[string]string{"sample": "sample", "staff": s.token()}
	for _, c := range in.Header.Values("Set-Cookie") {
		name, value, _ := strings.Cut(strings.SplitN(c, ";", 2)[0], "=")
		tokens[name] = value
	}
	tokens["link"] = tokenOf(p.link())
	foreign := tokenOf(twin.link())
	if len(tokens) != 5 {
		t.Fatalf("%d tokens", len(tokens))
	}
	s.unchanged("tokens at other doors", func() {
		for kind, token := range tokens {
			if kind != "link" && kind != "sample" {
				for _, method := range []string{"GET", "POST"} {
					if r := s.send(method, "/portal/demo/set-password/"+url.PathEscape(token), asForm, "password="+url.QueryEscape(another)+"&again="+url.QueryEscape(another)); r.Status != 404 {
						t.Errorf("%s as a link: %d", kind, r.Status)
					}
				}
			}
			for _, org := range []string{"demo", "other"} {
				if kind == "session" && org == "demo" {
					continue
				}
				for _, page := range []string{"", "/password"} {
					if r := s.send("GET", "/portal/"+org+page, "", "", head("Cookie", "session="+token)); r.Status != 303 || r.Header.Get("Location") != "/portal/"+org+"/sign-in" {
						t.Errorf("%s as a session of %s: %d %s", kind, org, r.Status, r.Header.Get("Location"))
					}
				}
			}
			if kind != "staff" {
				if r := s.send("GET", "/api/me", "", "", head("Authorization", "Bearer "+token)); r.Status != 401 {
					t.Errorf("%s as a token of staff: %d", kind, r.Status)
				}
			}
		}
		if r := s.form("/portal/other/set-password/"+tokens["link"], fill{"password": another, "again": another}); r.Status != 404 {
			t.Errorf("a link of demo in other: %d", r.Status)
		}
		if r := s.form("/portal/demo/set-password/"+foreign, fill{"password": another, "again": another}); r.Status != 404 {
			t.Errorf("a link of other in demo: %d", r.Status)
		}
	})
	if r := s.form("/portal/demo/set-password/"+tokens["link"], fill{"password": another, "again": another}); r.Status != 200 {
		t.Errorf("the link at its own door: %d", r.Status)
	}
}
