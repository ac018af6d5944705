// Package e2e_test walks through Memberkey as staff and members do: staff with
// a bearer token at the API, members with a mailbox and a browser without
// JavaScript. A journey uses HTTP and nothing else, so the same journeys run on
// the local system, which they start by themselves, and on any other one:
//
//	MEMBERKEY_E2E_URL=http://localhost:8080 go test ./infra/e2e
//
// There the system should be begun anew, because some journeys import or mail
// a whole association. Each journey makes people of its own ([world.person]),
// so that journeys do not meet, whether they share a system or not. TestDeployed
// runs all of them once more, as its subtests, on what is deployed to AWS.
//
// [begin] gives a journey the shared system, [start] one of its own. On it,
// [world.api] is staff's client, [world.next] the mailbox, [world.browser] a
// member's browser.
package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/memberkey/memberkey/infra/local/system"
	"github.com/memberkey/memberkey/shared/password"
)

// patience is how long a journey waits for what happens behind the queues.
const patience = 20 * time.Second

// world is a system as one test sees it from outside.
type world struct {
	testing.TB
	base string // "http://localhost:8080"
	org  string
	role string // of the token that api sends

	own   *system.System // nil where the system is not this process's
	taken map[string]int // mails that next has given, by address
}

// common is the one system that cheap journeys share.
var common struct {
	once sync.Once
	base string
	own  *system.System
	err  error

	folder string // of its data, "" where the system is another process's
}

// ends are what is done after the last test, in reverse order.
var ends []func() error

func TestMain(m *testing.M) {
	code := m.Run()
	for _, end := range slices.Backward(ends) {
		if err := end(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			code = max(code, 1)
		}
	}
	if common.own != nil {
		if err := stop(common.own); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: the shared system did not stop cleanly:", err)
			code = max(code, 1)
		}
	}
	if err := os.RemoveAll(common.folder); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// homes are where the journeys run that are subtests of another test, by that
// test's name.
var homes sync.Map // of string to home

// home gives the address of a system: of the one that journeys share, or of one
// that is made as edit says.
type home func(t testing.TB, edit func(*system.Config)) (base string)

// away sees the system that t runs on as a journey of another test, if it is one.
func away(t testing.TB, edit func(*system.Config)) (w *world, ok bool) {
	t.Helper()
	parent, _, _ := strings.Cut(t.Name(), "/")
	h, ok := homes.Load(parent)
	if !ok {
		return nil, false
	}
	return see(t, h.(home)(t, edit), nil), true
}

// begin gives t the shared system.
func begin(t testing.TB) *world {
	t.Helper()
	if w, ok := away(t, nil); ok {
		return w
	}
	common.once.Do(func() {
		if common.base = os.Getenv("MEMBERKEY_E2E_URL"); common.base != "" {
			return
		}
		if common.folder, common.err = os.MkdirTemp("", "memberkey-e2e"); common.err != nil {
			return
		}
		if common.own, common.err = launch(common.folder, nil); common.err == nil {
			common.base = common.own.Address
		}
	})
	if common.err != nil {
		t.Fatal(common.err)
	}
	return see(t, common.base, common.own)
}

// start gives t a system of its own in this process; edit changes how it is
// made, such as its faults. Only what no system from outside can show needs it.
func start(t testing.TB, edit func(*system.Config)) *world {
	t.Helper()
	if w, ok := away(t, edit); ok {
		return w
	}
	return startIn(t, t.TempDir(), edit)
}

// startIn starts a system on a folder that may hold data already. It stops at
// the end of the test, or by [world.stop].
func startIn(t testing.TB, folder string, edit func(*system.Config)) *world {
	t.Helper()
	s, err := launch(folder, edit)
	if err != nil {
		t.Fatal(err)
	}
	w := see(t, s.Address, s)
	t.Cleanup(w.stop)
	return w
}

// stop ends a system that [start] began; once is enough.
func (w *world) stop() {
	w.Helper()
	if w.own == nil {
		return
	}
	if err := stop(w.own); err != nil {
		w.Errorf("the system did not stop cleanly: %v", err)
	}
	w.own = nil
}

func stop(s *system.System) error {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	return s.Stop(ctx)
}

func launch(folder string, edit func(*system.Config)) (*system.System, error) {
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		return nil, err
	}
	// Warnings and errors of the system belong into the output of a failed run.
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	c := system.Config{Address: "localhost:0", Data: folder, Template: template, Passwords: password.Fast, Log: log}
	c.Mail.Log = log
	if edit != nil {
		edit(&c)
	}
	return system.Start(c)
}

func see(t testing.TB, base string, own *system.System) *world {
	return &world{TB: t, base: strings.TrimSuffix(base, "/"), org: "demo", role: "administrator", own: own, taken: map[string]int{}}
}

// as is the same system with a token of another role: manager, frontdesk, viewer.
func (w *world) as(role string) *world {
	other := *w
	other.role = role
	return &other
}

// within is the same system for a subtest.
func (w *world) within(t testing.TB) *world {
	other := *w
	other.TB = t
	return &other
}

// portal is the address of a member page, such as portal("/sign-in").
func (w *world) portal(path string) string { return w.base + "/portal/" + w.org + path }

// plain follows no redirect: staff's client shows what the API says.
var plain = &http.Client{
	Timeout:       time.Minute,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
}

// tokens by base, organization and role; they work for an hour.
var tokens sync.Map

// token is a bearer token of the local issuer.
func (w *world) token() string {
	w.Helper()
	key := w.base + " " + w.org + " " + w.role
	if t, ok := tokens.Load(key); ok {
		return t.(string)
	}
	q := url.Values{"role": {w.role}, "organization": {w.org}}
	var body struct {
		Token string `json:"token"`
	}
	w.do("GET", w.base+"/local/token?"+q.Encode(), nil).want(http.StatusOK).into(&body)
	tokens.Store(key, body.Token)
	return body.Token
}

// doc is a JSON object to send.
type doc map[string]any

// table is CSV to send.
type table string

// do sends one request. A body of type [table] goes as CSV, [url.Values] as a
// form, []byte as it is, anything else as JSON. headers are names and values in
// turn.
func (w *world) do(method, address string, body any, headers ...string) response {
	w.Helper()
	var reader io.Reader
	contentType := ""
	switch b := body.(type) {
	case nil:
	case table:
		reader, contentType = strings.NewReader(string(b)), "text/csv"
	case url.Values:
		reader, contentType = strings.NewReader(b.Encode()), "application/x-www-form-urlencoded"
	case []byte:
		reader = bytes.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			w.Fatal(err)
		}
		reader, contentType = bytes.NewReader(text), "application/json"
	}
	req, err := http.NewRequest(method, address, reader)
	if err != nil {
		w.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	answer, err := plain.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.Fatal(err)
	}
	return response{w, method + " " + req.URL.Path, answer.StatusCode, answer.Header, text}
}

// api sends one request of staff.
func (w *world) api(method, path string, body any, headers ...string) response {
	w.Helper()
	return w.do(method, w.base+path, body, append([]string{"Authorization", "Bearer " + w.token()}, headers...)...)
}

// get reads what must be there.
func (w *world) get(path string) response {
	w.Helper()
	return w.api("GET", path, nil).want(http.StatusOK)
}

// response is an answer.
type response struct {
	w      *world
	what   string
	Status int
	Header http.Header
	Body   []byte
}

// want ends the test where the status is another one.
func (r response) want(status int) response {
	r.w.Helper()
	if r.Status != status {
		r.w.Fatalf("%s answered %d, want %d: %s", r.what, r.Status, status, clip(r.Body))
	}
	return r
}

// refused wants a problem (RFC 9457) with this status and code.
func (r response) refused(status int, code string) response {
	r.w.Helper()
	r.want(status)
	if got := r.text("code"); got != code {
		r.w.Fatalf("%s was refused with %q, want %q: %s", r.what, got, code, clip(r.Body))
	}
	if r.text("detail") == "" {
		r.w.Errorf("%s was refused without a word for people: %s", r.what, clip(r.Body))
	}
	return r
}

// into decodes the JSON.
func (r response) into(v any) response {
	r.w.Helper()
	if err := json.Unmarshal(r.Body, v); err != nil {
		r.w.Fatalf("%s: %v in %s", r.what, err, clip(r.Body))
	}
	return r
}

// at is a value of the JSON by its path, such as "lastLink.state" or
// "errors.0.row"; nil where there is none.
func (r response) at(path string) any {
	r.w.Helper()
	var v any
	r.into(&v)
	for _, name := range strings.Split(path, ".") {
		switch node := v.(type) {
		case map[string]any:
			v = node[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(node) {
				return nil
			}
			v = node[i]
		default:
			return nil
		}
	}
	return v
}

// text is a string of the JSON, "" where there is none.
func (r response) text(path string) string { s, _ := r.at(path).(string); return s }

// number is a number of the JSON, 0 where there is none.
func (r response) number(path string) int { n, _ := r.at(path).(float64); return int(n) }

// yes is a boolean of the JSON, false where there is none.
func (r response) yes(path string) bool { b, _ := r.at(path).(bool); return b }

// list is a list of the JSON as responses, one for each element.
func (r response) list(path string) (all []response) {
	r.w.Helper()
	elements, _ := r.at(path).([]any)
	for i, e := range elements {
		text, _ := json.Marshal(e)
		all = append(all, response{r.w, fmt.Sprintf("%s: %s.%d", r.what, path, i), r.Status, r.Header, text})
	}
	return all
}

// etag is the version that an edit must name.
func (r response) etag() string {
	r.w.Helper()
	tag := r.Header.Get("ETag")
	if tag == "" {
		r.w.Fatalf("%s has no ETag", r.what)
	}
	return tag
}

// is compares one value of the JSON.
func (r response) is(path string, want any) response {
	r.w.Helper()
	got := r.at(path)
	if n, ok := want.(int); ok {
		want = float64(n)
	}
	if got != want {
		r.w.Errorf("%s: %s is %v, want %v", r.what, path, got, want)
	}
	return r
}

func clip(b []byte) string {
	if len(b) > 600 {
		return string(b[:600]) + " …"
	}
	return string(b)
}

// --- people ---

var serial atomic.Int64

func init() { serial.Store(time.Now().UnixNano() / 1e6 % 1e8 * 1000) }

// person makes a profile with the fields of the API, and gives what the answer
// says. An ID, a type, a name, a status and an address that no other person has
// stand in where fields has none; "email": nil makes one without an address.
func (w *world) person(fields doc) person {
	w.Helper()
	n := serial.Add(1)
	f := doc{"id": fmt.Sprintf("e%d", n), "type": "individual", "firstName": "Ada", "lastName": fmt.Sprintf("Journey%d", n),
		"status": "active", "email": fmt.Sprintf("ada.%d@example.com", n)}
	for name, v := range fields {
		if v == nil {
			delete(f, name)
		} else {
			f[name] = v
		}
	}
	r := w.api("POST", "/api/profiles", f).want(http.StatusCreated)
	return person{w: w, ID: r.text("id"), Email: r.text("email"), Name: r.text("name")}
}

// person is a profile under test.
type person struct {
	w     *world
	ID    string
	Email string
	Name  string
}

func (p person) path(rest string) string { return "/api/profiles/" + url.PathEscape(p.ID) + rest }

// profile and credentials are what staff see.
func (p person) profile() response     { p.w.Helper(); return p.w.get(p.path("")) }
func (p person) credentials() response { p.w.Helper(); return p.w.get(p.path("/credentials")) }

// edit changes fields of the profile as it is now.
func (p person) edit(fields doc) response {
	p.w.Helper()
	return p.w.api("PATCH", p.path(""), fields, "If-Match", p.profile().etag())
}

// change changes username or password as they are now.
func (p person) change(fields doc) response {
	p.w.Helper()
	return p.w.api("PUT", p.path("/credentials"), fields, "If-Match", p.credentials().etag())
}

// reset has staff send one reset email.
func (p person) reset() response {
	p.w.Helper()
	return p.w.api("POST", p.path("/reset-emails"), nil)
}

// link is a fresh link of the person's, as the mail of a reset brings it.
func (p person) link() string {
	p.w.Helper()
	p.reset().want(http.StatusAccepted)
	return p.w.next(p.Email).link()
}

// signsUp lets the person set a password with a fresh link, and takes the
// confirmation out of the mailbox.
func (p person) signsUp(secret string) {
	p.w.Helper()
	b := p.w.browser().open(p.link())
	b.press("Set password", fill{"password": secret, "again": secret}).shows("Your password is set")
	p.w.next(p.Email)
}

// --- mail ---

// mail is one mail as it came out at the mail service.
type mail struct {
	w       *world
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Mailing *string   `json:"mailing"`
	Tag     string    `json:"tag"`
	From    string    `json:"from"`
	ReplyTo string    `json:"replyTo"`
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	HTML    string    `json:"html"`
	Text    string    `json:"text"`
	Outcome string    `json:"outcome"`
}

// mails are those to one address, oldest first; "" is everybody's.
func (w *world) mails(to string) []mail { w.Helper(); return w.mailsOf(url.Values{"to": {to}}) }

// mailsOf reads the whole mailbox page by page, oldest first. q is the query of
// /local/mailbox.json: to, mailing.
func (w *world) mailsOf(q url.Values) (all []mail) {
	w.Helper()
	const page = 1000
	q.Set("limit", strconv.Itoa(page))
	for {
		var mails []mail
		w.do("GET", w.base+"/local/mailbox.json?"+q.Encode(), nil).want(http.StatusOK).into(&mails)
		all = append(all, mails...)
		if len(mails) < page {
			break
		}
		q.Set("before", mails[page-1].ID)
	}
	for i := range all {
		all[i].w = w
	}
	slices.Reverse(all)
	return all
}

// next waits for the next mail to this address that the test has not seen.
func (w *world) next(to string) (m mail) {
	w.Helper()
	w.until("a mail to "+to, func() bool {
		all := w.mails(to)
		if len(all) <= w.taken[to] {
			return false
		}
		m = all[w.taken[to]]
		w.taken[to]++
		return true
	})
	return m
}

// noMail waits long enough for a mail that must not come.
func (w *world) noMail(to string) {
	w.Helper()
	time.Sleep(700 * time.Millisecond)
	if all := w.mails(to); len(all) > w.taken[to] {
		w.Fatalf("%s got a mail that should not be: %q", to, all[w.taken[to]].Subject)
	}
}

// until waits for something that happens behind the queues.
func (w *world) until(what string, done func() bool) {
	w.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(15 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("waited in vain for %s", what)
		}
	}
}

var linkPattern = regexp.MustCompile(`https?://[^\s<>"']+/set-password/[^\s<>"')]+`)

// links are the links to set a password in the order of the mail; its two parts
// must have the same.
func (m mail) links() []string {
	m.w.Helper()
	root, err := html.Parse(strings.NewReader(m.HTML))
	if err != nil {
		m.w.Fatal(err)
	}
	var shown []string
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "a" {
			if href := attribute(n, "href"); strings.Contains(href, "/set-password/") && !slices.Contains(shown, href) {
				shown = append(shown, href)
			}
		}
	}
	var written []string
	for _, l := range linkPattern.FindAllString(m.Text, -1) {
		if l = strings.TrimRight(l, ".,;"); !slices.Contains(written, l) {
			written = append(written, l)
		}
	}
	if !slices.Equal(shown, written) {
		m.w.Fatalf("mail %q to %s: the parts have other links: %q and %q", m.Subject, m.To, shown, written)
	}
	return shown
}

// link is the mail's one link.
func (m mail) link() string {
	m.w.Helper()
	all := m.links()
	if len(all) != 1 {
		m.w.Fatalf("mail %q to %s has %d links, want one", m.Subject, m.To, len(all))
	}
	return all[0]
}

// says wants these words in both parts of the mail.
func (m mail) says(words ...string) mail {
	m.w.Helper()
	shown, written := visible(m.w, []byte(m.HTML)), squeeze(m.Text)
	for _, s := range words {
		if !strings.Contains(shown, s) {
			m.w.Errorf("mail %q to %s does not say %q in its HTML: %s", m.Subject, m.To, s, shown)
		}
		if !strings.Contains(written, s) {
			m.w.Errorf("mail %q to %s does not say %q in its text: %s", m.Subject, m.To, s, written)
		}
	}
	return m
}

// --- a member's browser ---

// browser is a browser without JavaScript: it knows what the page really has.
type browser struct {
	w      *world
	client *http.Client
	// At is the address of the page, Status, Header and Body are its answer.
	At     *url.URL
	Status int
	Header http.Header
	Body   []byte
	root   *html.Node
}

// fill is what a person types or ticks, by name of the field.
type fill map[string]string

// browser is a fresh one, without cookies.
func (w *world) browser() *browser {
	jar, _ := cookiejar.New(nil)
	return &browser{w: w, client: &http.Client{Jar: jar, Timeout: time.Minute, Transport: plain.Transport}}
}

// open goes to an address, or to a path of the portal such as "/sign-in".
func (b *browser) open(address string) *browser {
	b.w.Helper()
	if !strings.Contains(address, "://") {
		address = b.w.portal(address)
	}
	req, err := http.NewRequest("GET", address, nil)
	if err != nil {
		b.w.Fatal(err)
	}
	return b.load(req)
}

func (b *browser) load(req *http.Request) *browser {
	b.w.Helper()
	answer, err := b.client.Do(req)
	if err != nil {
		b.w.Fatal(err)
	}
	defer answer.Body.Close()
	if b.Body, err = io.ReadAll(answer.Body); err != nil {
		b.w.Fatal(err)
	}
	b.At, b.Status, b.Header = answer.Request.URL, answer.StatusCode, answer.Header
	if b.root, err = html.Parse(bytes.NewReader(b.Body)); err != nil {
		b.w.Fatal(err)
	}
	return b
}

// press presses a button by its words after filling fields of its form, and
// sends what the form has: hidden fields, ticked boxes, the button itself.
func (b *browser) press(words string, typed fill) *browser {
	b.w.Helper()
	button := b.button(words)
	if button == nil {
		b.w.Fatalf("%s has no button %q: %s", b.At.Path, words, b.Text())
	}
	form := b.formOf(button)
	if form == nil || disabled(button) {
		b.w.Fatalf("%s: the button %q does nothing", b.At.Path, words)
	}
	values := url.Values{}
	if name := attribute(button, "name"); name != "" {
		values.Set(name, attribute(button, "value"))
	}
	left := map[string]bool{}
	for name := range typed {
		left[name] = true
	}
	for n := range b.root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "input" || b.formOf(n) != form || disabled(n) {
			continue
		}
		name, value := attribute(n, "name"), attribute(n, "value")
		if name == "" {
			continue
		}
		in, filled := typed[name]
		delete(left, name)
		switch kind := attribute(n, "type"); {
		case kind == "checkbox":
			if filled || has(n, "checked") {
				values.Set(name, value)
			}
			continue
		case filled && (has(n, "readonly") || kind == "hidden"):
			b.w.Fatalf("%s: nobody can type into %q", b.At.Path, name)
		case filled:
			value = in
		}
		if has(n, "required") && value == "" {
			b.w.Fatalf("%s: a browser does not send the form without %q", b.At.Path, name)
		}
		values.Set(name, value)
	}
	for name := range left {
		b.w.Fatalf("%s: the form of %q has no field %q: %s", b.At.Path, words, name, b.Body)
	}
	if method := attribute(form, "method"); method != "post" {
		b.w.Fatalf("%s: the form of %q is sent by %q", b.At.Path, words, method)
	}
	action, err := b.At.Parse(attribute(form, "action"))
	if err != nil {
		b.w.Fatal(err)
	}
	req, err := http.NewRequest("POST", action.String(), strings.NewReader(values.Encode()))
	if err != nil {
		b.w.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.At.Scheme+"://"+b.At.Host)
	if b.Header.Get("Referrer-Policy") == "no-referrer" {
		req.Header.Set("Origin", "null") // as browsers do under that policy
	}
	return b.load(req)
}

// follow clicks an anchor by its words.
func (b *browser) follow(words string) *browser {
	b.w.Helper()
	for n := range b.root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "a" && inner(n) == words {
			to, err := b.At.Parse(attribute(n, "href"))
			if err != nil {
				b.w.Fatal(err)
			}
			return b.open(to.String())
		}
	}
	b.w.Fatalf("%s has no link %q: %s", b.At.Path, words, b.Text())
	return b
}

// signIn goes to the sign-in page and tries a name and a password.
func (b *browser) signIn(name, secret string) *browser {
	b.w.Helper()
	return b.open("/sign-in").press("Sign in", fill{"username": name, "password": secret})
}

// signedIn says whether the portal's front page opens.
func (b *browser) signedIn() bool {
	b.w.Helper()
	b.open("")
	return b.At.Path == "/portal/"+b.w.org
}

// Heading is the page's first heading, Text all that can be read on it.
func (b *browser) Heading() string {
	for n := range b.root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "h1" {
			return inner(n)
		}
	}
	return ""
}

func (b *browser) Text() string { return inner(b.root) }

// Value is what stands in a field, and whether there is one.
func (b *browser) Value(name string) (value string, ok bool) {
	for n := range b.root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "input" && attribute(n, "name") == name {
			return attribute(n, "value"), true
		}
	}
	return "", false
}

// shows wants these words on the page.
func (b *browser) shows(words ...string) *browser {
	b.w.Helper()
	text := b.Text()
	for _, s := range words {
		if !strings.Contains(text, s) {
			b.w.Fatalf("%s (%d) does not show %q: %s", b.At.Path, b.Status, s, text)
		}
	}
	return b
}

// hides wants none of these words on the page.
func (b *browser) hides(words ...string) *browser {
	b.w.Helper()
	text := b.Text()
	for _, s := range words {
		if strings.Contains(text, s) {
			b.w.Fatalf("%s shows %q: %s", b.At.Path, s, text)
		}
	}
	return b
}

func (b *browser) button(words string) *html.Node {
	for n := range b.root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "button" && inner(n) == words {
			return n
		}
	}
	return nil
}

// formOf is the form that an element belongs to: the one it names, or the one
// it stands in.
func (b *browser) formOf(n *html.Node) *html.Node {
	if id := attribute(n, "form"); id != "" {
		for f := range b.root.Descendants() {
			if f.Type == html.ElementNode && f.Data == "form" && attribute(f, "id") == id {
				return f
			}
		}
		return nil
	}
	for f := range n.Ancestors() {
		if f.Type == html.ElementNode && f.Data == "form" {
			return f
		}
	}
	return nil
}

func disabled(n *html.Node) bool {
	if has(n, "disabled") {
		return true
	}
	for f := range n.Ancestors() {
		if f.Type == html.ElementNode && f.Data == "fieldset" && has(f, "disabled") {
			return true
		}
	}
	return false
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// inner is what can be read in an element, with single spaces.
func inner(n *html.Node) string {
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode && slices.Contains([]string{"script", "style", "head", "title"}, n.Data) {
			return
		}
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
		if n.Type == html.ElementNode && !slices.Contains(inline, n.Data) {
			b.WriteByte(' ')
		}
		for c := range n.ChildNodes() {
			walk(c)
		}
		if n.Type == html.ElementNode && !slices.Contains(inline, n.Data) {
			b.WriteByte(' ')
		}
	}
	walk(n)
	return squeeze(b.String())
}

var inline = []string{"a", "b", "strong", "em", "i", "span", "small", "code", "u", "wbr"}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// visible is what can be read of a page or mail.
func visible(t testing.TB, page []byte) string {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return inner(root)
}
