// Package browser_test works in the console and on the member pages as people
// do: in a browser, by what can be read there, by mouse and by keyboard, against
// the local system. Its tests are named after the rows of the seed article and
// the attacks that they prove.
//
// [begin] gives a test the shared system, [start] one of its own; [world.signIn]
// is a person with a browser of their own, in which [page.click], [page.fill],
// [page.press] do things and [page.see] waits for what they bring. A page that
// writes an error to the browser's console, or asks anybody but its own origin
// for anything, fails its test.
//
// Chromium comes from the system's packages; without it the tests are skipped,
// and with CI=true they fail.
package browser_test

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/memberkey/memberkey/infra/local/system"
	"github.com/memberkey/memberkey/infra/tools"
	"github.com/memberkey/memberkey/shared/password"
)

// patience is how long a person waits for what they expect to see.
const patience = 30 * time.Second

// Widths of the two screens on which every view is looked at.
const (
	desk  = 1280
	phone = 360
)

//go:embed people.js
var people string

// ends are what is done after the last test, the last one first.
var ends []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for i := range ends {
		ends[len(ends)-1-i]()
	}
	os.Exit(code)
}

// world is a system as one test sees it.
type world struct {
	testing.TB
	base string // "http://localhost:8080"
	own  *system.System
}

var common struct {
	once sync.Once
	own  *system.System
	err  error
}

// begin gives t the shared system: the demo association, and whatever other
// tests have added to it. A test makes people of its own ([world.person]).
func begin(t testing.TB) *world {
	t.Helper()
	beside(t)
	common.once.Do(func() {
		var folder string
		if folder, common.err = os.MkdirTemp("", "memberkey-browser"); common.err != nil {
			return
		}
		common.own, common.err = launch(folder, nil)
		ends = append(ends, func() {
			stop(common.own)
			os.RemoveAll(folder)
		})
	})
	if common.err != nil {
		t.Fatal(common.err)
	}
	return &world{t, common.own.Address, common.own}
}

// start gives t a system of its own; edit changes how it is made.
func start(t testing.TB, edit func(*system.Config)) *world {
	t.Helper()
	beside(t)
	s, err := launch(t.TempDir(), edit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(s) })
	return &world{t, s.Address, s}
}

// beside lets a test run beside others: most of its time it waits for what a
// person would wait for.
func beside(t testing.TB) {
	if t, ok := t.(*testing.T); ok {
		if _, begun := besides.LoadOrStore(t, true); !begun {
			t.Parallel()
		}
	}
}

var besides sync.Map // tests that beside was called for

func launch(folder string, edit func(*system.Config)) (*system.System, error) {
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	c := system.Config{Address: "localhost:0", Data: folder, Template: template, Passwords: password.Fast, Log: log}
	c.Mail.Log = log
	if edit != nil {
		edit(&c)
	}
	return system.Start(c)
}

func stop(s *system.System) {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "browser: the system did not stop cleanly:", err)
	}
}

// doc is a JSON object.
type doc map[string]any

// api sends one request of an administrator, to set a stage or to look behind
// it, and wants a success; headers are names and values in turn. A string goes
// as CSV, anything else as JSON.
func (w *world) api(method, path string, body any, headers ...string) doc {
	w.Helper()
	text, status := w.send(method, path, body, headers...)
	if status >= 300 {
		w.Fatalf("%s %s answered %d: %.400s", method, path, status, text)
	}
	var d doc
	if len(text) > 0 {
		if err := json.Unmarshal(text, &d); err != nil {
			w.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return d
}

func (w *world) send(method, path string, body any, headers ...string) ([]byte, int) {
	w.Helper()
	var reader io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case string:
		reader, kind = strings.NewReader(b), "text/csv"
	default:
		text, err := json.Marshal(b)
		if err != nil {
			w.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, w.base+path, reader)
	if err != nil {
		w.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	if strings.HasPrefix(path, "/api/") {
		req.Header.Set("Authorization", "Bearer "+w.token("administrator"))
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.Fatal(err)
	}
	return text, answer.StatusCode
}

var tokens sync.Map // by base and role; they work for an hour

func (w *world) token(role string) string {
	w.Helper()
	if t, ok := tokens.Load(w.base + role); ok {
		return t.(string)
	}
	token, _ := w.api("GET", "/local/token?role="+role, nil)["token"].(string)
	tokens.Store(w.base+role, token)
	return token
}

var numbers struct {
	sync.Mutex
	n int
}

// person stores somebody whom no other test knows, an active member with an
// email unless fields say otherwise, and returns the profile ID.
func (w *world) person(fields doc) string {
	w.Helper()
	numbers.Lock()
	numbers.n++
	n := numbers.n
	numbers.Unlock()
	whole := doc{"type": "individual", "status": "active", "firstName": "Pat", "lastName": fmt.Sprintf("Number%d", n), "email": fmt.Sprintf("pat%d@example.com", n)}
	for k, v := range fields {
		whole[k] = v
	}
	return w.api("POST", "/api/profiles", whole)["id"].(string)
}

// version is the ETag of a thing as it is now.
func (w *world) version(path string) string {
	w.Helper()
	req, err := http.NewRequest("GET", w.base+path, nil)
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token("administrator"))
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	answer.Body.Close()
	return answer.Header.Get("ETag")
}

// mail is one of the local mailbox.
type mail struct{ To, Subject, HTML, Text string }

// mailTo waits for the newest mail to an address.
func (w *world) mailTo(address string) mail {
	w.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		text, _ := w.send("GET", "/local/mailbox.json?to="+url.QueryEscape(address), nil)
		var all []mail
		if err := json.Unmarshal(text, &all); err != nil {
			w.Fatalf("mailbox: %v: %.200s", err, text)
		}
		for _, m := range all {
			if strings.EqualFold(m.To, address) {
				return m
			}
		}
		if time.Now().After(end) {
			w.Fatalf("no mail came to %s", address)
		}
	}
}

// chromium is the one browser of all tests; each person has their own cookies
// and storage in it.
var chromium struct {
	once sync.Once
	ctx  context.Context
	err  error
}

func browser(t testing.TB) context.Context {
	t.Helper()
	path := tools.Chromium(t)
	chromium.once.Do(func() {
		folder, err := os.MkdirTemp("", "memberkey-chromium")
		if err != nil {
			chromium.err = err
			return
		}
		alloc, _ := chromedp.NewExecAllocator(context.Background(),
			chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
			chromedp.UserDataDir(folder), chromedp.ExecPath(path), chromedp.WindowSize(desk, 900),
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
			chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
			chromedp.Flag("lang", "en-GB"), chromedp.Flag("force-color-profile", "srgb"))
		ctx, cancel := chromedp.NewContext(alloc)
		chromium.ctx, chromium.err = ctx, chromedp.Do(ctx)
		ends = append(ends, func() {
			_ = chromedp.Cancel(ctx)
			cancel()
			os.RemoveAll(folder)
		})
	})
	if chromium.err != nil {
		t.Fatal(chromium.err)
	}
	return chromium.ctx
}

// page is one tab of one person.
type page struct {
	testing.TB
	w   *world
	ctx context.Context

	mu       sync.Mutex
	errors   []string        // what the page wrote to the console as an error
	origins  map[string]bool // whom it asked
	expected []string        // parts of errors that the test brings about
}

// visit opens a browser of its own, at an address of the system.
func (w *world) visit(path string) *page {
	w.Helper()
	ctx, cancel := chromedp.NewContext(browser(w), chromedp.WithNewBrowserContext())
	p := &page{TB: w.TB, w: w, ctx: ctx, origins: map[string]bool{}}
	if err := chromedp.Do(ctx); err != nil { // the tab lives as long as this context
		w.Fatal(err)
	}
	p.watch()
	p.do(screen(desk, 900))
	w.Cleanup(func() {
		p.judge()
		cancel()
	})
	p.do(chromedp.Navigate(w.base + path))
	return p
}

// signIn is a person who signs in to the console as staff do: by the issuer's
// page, with a role.
func (w *world) signIn(role string) *page {
	w.Helper()
	return w.signInAt(role, "")
}

// signInAt signs in on the way to a view, such as "#/profiles/1042".
func (w *world) signInAt(role, hash string) *page {
	w.Helper()
	p := w.visit("/" + hash)
	p.click(role)
	p.waitFor("the console", `Boolean(document.querySelector("header.top"))`)
	return p
}

// watch notes what a page must not do.
func (p *page) watch() {
	p.Helper()
	err := chromedp.Listen(p.ctx, func(event any) {
		if e, ok := event.(*network.EventRequestWillBeSent); ok {
			if u, err := url.Parse(e.Request.URL); err == nil && u.Scheme != "data" && u.Scheme != "blob" && u.Scheme != "about" {
				p.mu.Lock()
				p.origins[u.Scheme+"://"+u.Host] = true
				p.mu.Unlock()
			}
		}
	})
	if err != nil {
		p.Fatal(err)
	}
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
		return err
	}))
	messages := chromedp.Console(p.ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			// An answer of 4xx is logged by the browser itself, whatever the page
			// makes of it.
			if m.Source == "network" || (m.Type != chromedp.ConsoleError && m.Type != chromedp.ConsoleWarning && !m.IsException()) {
				continue
			}
			p.mu.Lock()
			p.errors = append(p.errors, m.String())
			p.mu.Unlock()
		}
	}()
}

// expect lets the page write errors that contain text.
func (p *page) expect(text string) { p.expected = append(p.expected, text) }

func (p *page) judge() {
	p.mu.Lock()
	defer p.mu.Unlock()
next:
	for _, e := range p.errors {
		for _, text := range p.expected {
			if strings.Contains(e, text) {
				continue next
			}
		}
		p.Errorf("the page wrote to the console: %s", e)
	}
	for origin := range p.origins {
		if origin != p.w.base {
			p.Errorf("the page asked %s", origin)
		}
	}
}

// do runs steps of chromedp.
func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.Fatalf("%v\n%s", err, p.looks())
	}
}

// value is what a JavaScript expression gives; a promise is awaited.
func value[T any](p *page, expression string) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 3*patience) // some scroll through thousands of rows
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatalf("%v: %.300s", err, expression)
	}
	return v
}

// waitFor waits until a JavaScript expression is true; what says what is
// expected.
func (p *page) waitFor(what, expression string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	var err error
	for ctx.Err() == nil {
		var ok bool
		// An error may be a page that is just being left.
		if ok, err = chromedp.Run(ctx, chromedp.Evaluate[bool]("("+expression+") === true")); ok {
			return
		}
		time.Sleep(30 * time.Millisecond)
	}
	p.Fatalf("waited in vain for %s (%v)\n%s", what, err, p.looks())
}

// looks is what can be read on the page, for the output of a failed test.
func (p *page) looks() string {
	ctx, cancel := context.WithTimeout(p.ctx, 3*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + `+reading))
	if len(text) > 3000 {
		text = text[:3000] + " …"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return "--- the page reads:\n" + text + "\n--- its console: " + strings.Join(p.errors, "\n")
}

func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

// find is an expression for the thing of a kind (control, field, box, css) with
// a name, the nth of them. A name that begins with "/" is a pattern.
func find(kind, name string, nth int) string {
	return fmt.Sprintf("(%s)(%s, %s, %d)", people, quoted(kind), quoted(name), nth)
}

// point waits for a thing that can be used, brings it into sight and returns
// its middle.
func (p *page) point(kind, name string, nth int) (x, y float64) {
	p.Helper()
	it := find(kind, name, nth)
	p.waitFor(kind+" "+name, fmt.Sprintf(`(() => { const el = %s; return Boolean(el) && !el.disabled; })()`, it))
	// A person aims at what stands still and is not covered.
	at := value[[]float64](p, fmt.Sprintf(`(async () => {
		const frame = () => new Promise((done) => requestAnimationFrame(() => done()));
		let last = "";
		for (let i = 0; ; i++) {
			const el = %s;
			if (!el) { await frame(); continue; }
			el.scrollIntoView({block: "center", inline: "nearest", behavior: "instant"});
			await frame();
			const box = el.getClientRects()[0] ?? el.getBoundingClientRect();
			const at = [box.left + box.width / 2, box.top + box.height / 2];
			const over = document.elementFromPoint(...at);
			const free = el.contains(over) || over?.contains(el) || [...(el.labels ?? [])].some((label) => label.contains(over));
			if ((free && String(at) === last) || i > 120) return at;
			last = String(at);
			await frame();
		}
	})()`, it))
	return at[0], at[1]
}

// click presses the mouse on a button, link or tab, by its name.
func (p *page) click(name string) { p.Helper(); p.clickNth(name, 0) }

// clickNth is click for the nth of several with one name.
func (p *page) clickNth(name string, nth int) {
	p.Helper()
	x, y := p.point("control", name, nth)
	p.do(chromedp.MouseClickXY(x, y))
}

// clickCSS presses the mouse on what a selector finds.
func (p *page) clickCSS(selector string) {
	p.Helper()
	x, y := p.point("css", selector, 0)
	p.do(chromedp.MouseClickXY(x, y))
}

// fill empties a field, by its label, and types into it.
func (p *page) fill(label, text string) {
	p.Helper()
	x, y := p.point("field", label, 0)
	p.do(chromedp.MouseClickXY(x, y))
	if value[bool](p, `"select" in document.activeElement`) {
		value[bool](p, `(document.activeElement.select(), true)`)
	} else {
		p.press(kb.Control, "a")
	}
	if text == "" {
		p.do(chromedp.KeyEvent(kb.Delete))
		return
	}
	p.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: text})
		return err
	}))
}

// keys types on the keyboard, wherever the focus is: letters, and keys of kb.
func (p *page) keys(text string) { p.Helper(); p.do(chromedp.KeyEvent(text)) }

// press presses one key, with Control, Shift or Alt before it.
func (p *page) press(keys ...string) {
	p.Helper()
	var with []chromedp.KeyOption
	for _, k := range keys[:len(keys)-1] {
		with = append(with, chromedp.KeyModifiers(map[string]chromedp.Modifier{
			kb.Control: kb.ModifierCtrl, kb.Shift: kb.ModifierShift, kb.Alt: kb.ModifierAlt,
		}[k]))
	}
	p.do(chromedp.KeyEvent(keys[len(keys)-1], with...))
}

// tab moves the keyboard on to the field or control with this name, as often
// as it takes; what cannot be reached so fails the test.
func (p *page) tab(name string) {
	p.Helper()
	for range 120 {
		p.press(kb.Tab)
		if p.focused() == name {
			return
		}
	}
	p.Fatalf("the keyboard does not reach %q\n%s", name, p.looks())
}

// focused is the name of what has the keyboard.
func (p *page) focused() string {
	p.Helper()
	return value[string](p, `(() => {
		const el = document.activeElement;
		const byId = (ids) => (ids ?? "").split(/\s+/).filter(Boolean).map((id) => document.getElementById(id)?.textContent).join(" ");
		const text = el.getAttribute("aria-label") || byId(el.getAttribute("aria-labelledby")) || [...(el.labels ?? [])].map((l) => l.textContent).join(" ") || el.textContent;
		return (text ?? "").replace(/\s+/g, " ").trim();
	})()`)
}

// choose picks an option of a select by its text.
func (p *page) choose(label, option string) {
	p.Helper()
	p.waitFor("field "+label, fmt.Sprintf(`Boolean(%s)`, find("field", label, 0)))
	ok := value[bool](p, fmt.Sprintf(`(() => {
		const el = %s;
		const option = [...el.options].find((o) => o.text.trim() === %s);
		if (!option) return false;
		el.value = option.value;
		el.dispatchEvent(new Event("input", {bubbles: true}));
		el.dispatchEvent(new Event("change", {bubbles: true}));
		return true;
	})()`, find("field", label, 0), quoted(option)))
	if !ok {
		p.Fatalf("%s has no choice %q\n%s", label, option, p.looks())
	}
}

// tick clicks a tick box or radio button by its label.
func (p *page) tick(label string) {
	p.Helper()
	x, y := p.point("box", label, 0)
	p.do(chromedp.MouseClickXY(x, y))
}

// field is what stands in a field.
func (p *page) field(label string) string {
	p.Helper()
	p.waitFor("field "+label, fmt.Sprintf(`Boolean(%s)`, find("field", label, 0)))
	return value[string](p, find("field", label, 0)+".value")
}

// reading is what can be read on the page, of a select its choice alone.
const reading = `[...document.querySelectorAll("select")].reduce((text, el) =>
	text.replace(el.innerText, () => el.selectedOptions[0]?.text ?? ""), document.body.innerText).replace(/\s+/g, " ")`

// see waits until a text can be read on the page.
func (p *page) see(text string) {
	p.Helper()
	p.waitFor("the text "+text, fmt.Sprintf(`%s.includes(%s)`, reading, quoted(text)))
}

// gone waits until a text can be read no more.
func (p *page) gone(text string) {
	p.Helper()
	p.waitFor("the text to go: "+text, fmt.Sprintf(`!%s.includes(%s)`, reading, quoted(text)))
}

// said waits until the corner says what was done, and then takes it away, so that
// the next one is not taken for it.
func (p *page) said(text string) {
	p.Helper()
	p.waitFor("the corner to say "+text, fmt.Sprintf(`document.querySelector(".said")?.innerText.includes(%s) ?? false`, quoted(text)))
	value[bool](p, `(document.querySelector(".said p")?.setAttribute("hidden", ""), true)`)
}

// has says whether a control with this name is to be seen now; it does not wait.
func (p *page) has(name string) bool {
	p.Helper()
	return value[bool](p, fmt.Sprintf(`Boolean(%s)`, find("control", name, 0)))
}

// open goes to a view of the console, such as "#/profiles/1042", as a link does.
func (p *page) open(hash string) {
	p.Helper()
	value[bool](p, fmt.Sprintf(`(location.hash = %s, true)`, quoted(hash)))
}

// reload asks for the page once more.
func (p *page) reload() {
	p.Helper()
	value[bool](p, "window.before = true")
	p.do(chromedp.Reload())
	p.waitFor("the page to be new", `window.before === undefined && document.readyState === "complete"`)
}

// hash is the address of the view.
func (p *page) hash() string { p.Helper(); return value[string](p, "location.hash") }

// download does what saves a file, and returns the file's text; it must hold
// the parts.
func (p *page) download(do func(), parts ...string) string {
	p.Helper()
	value[bool](p, `(() => {
		const make = URL.createObjectURL;
		window.saved = undefined;
		URL.createObjectURL = (blob) => { URL.createObjectURL = make; blob.text().then((text) => { window.saved = text; }); return make.call(URL, blob); };
		return true;
	})()`)
	do()
	p.waitFor("a file to be saved", `window.saved !== undefined`)
	text := value[string](p, "window.saved")
	for _, part := range parts {
		if !strings.Contains(text, part) {
			p.Errorf("the file lacks %q: %.600s", part, text)
		}
	}
	return text
}

// screen sets the size of the screen.
func screen(width, height int64) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 700,
		})
		return err
	})
}

// width makes the screen as wide as desk or phone.
func (p *page) width(width int64) { p.Helper(); p.do(screen(width, 900)) }

// dark puts the browser into dark colours, or back.
func (p *page) dark(on bool) {
	p.Helper()
	scheme := "light"
	if on {
		scheme = "dark"
	}
	p.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// offline cuts the line, or mends it.
func (p *page) offline(on bool) {
	p.Helper()
	rules := []*network.Conditions{}
	if on {
		rules = append(rules, &network.Conditions{Offline: true, DownloadThroughput: -1, UploadThroughput: -1})
	}
	if _, err := chromedp.Call(p.ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: rules}); err != nil {
		p.Fatal(err)
	}
	if _, err := chromedp.Call(p.ctx, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: on, DownloadThroughput: -1, UploadThroughput: -1}); err != nil {
		p.Fatal(err)
	}
}

// lose lets the next request of a method, whose address contains part, reach
// the API, and drops the connection before its answer comes back. It returns
// what waits until that has happened.
func (p *page) lose(method, part string) (lost func()) {
	p.Helper()
	happened := make(chan struct{})
	var once sync.Once
	err := chromedp.Listen(p.ctx, func(event any) {
		e, ok := event.(*fetch.EventRequestPaused)
		if !ok {
			return
		}
		drop := false
		if e.Request.Method == method && strings.Contains(e.Request.URL, part) {
			once.Do(func() { drop = true })
		}
		go func() {
			if !drop {
				_, _ = chromedp.Call(p.ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: e.RequestID})
				return
			}
			_, _ = chromedp.Call(p.ctx, fetch.FailRequest, fetch.FailRequestParams{RequestID: e.RequestID, ErrorReason: network.ErrorReasonConnectionReset})
			_, _ = chromedp.Call(p.ctx, fetch.Disable, cdp.Empty{})
			close(happened)
		}()
	})
	if err != nil {
		p.Fatal(err)
	}
	if _, err := chromedp.Call(p.ctx, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "*/api/*", RequestStage: fetch.RequestStageResponse}}}); err != nil {
		p.Fatal(err)
	}
	return func() {
		p.Helper()
		select {
		case <-happened:
		case <-time.After(patience):
			p.Fatalf("no %s of %s was asked for", method, part)
		}
	}
}

// axe wants no violation of what axe-core knows, in light and dark colours, and
// of what it does not: a visible label or name for every control, an order of
// focus without positive tabindex, one h1, no sideways scrolling.
func (p *page) axe() {
	p.Helper()
	if !value[bool](p, `"axe" in window`) {
		value[bool](p, "(() => {"+tools.Axe(p.TB)+"\n})(), true")
	}
	for _, dark := range []bool{false, true} {
		p.dark(dark)
		found := value[[]string](p, `axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(({violations}) =>
			violations.flatMap((v) => v.nodes.map((n) => v.id + " (" + v.impact + "): " + n.target.join(" ") + " " + n.html.slice(0, 160) + " " + (n.any[0]?.message ?? n.failureSummary ?? ""))))`)
		for _, f := range found {
			p.Errorf("%s, dark %v: %s", p.hash(), dark, f)
		}
	}
	p.dark(false)
	for _, f := range value[[]string](p, `(() => {
		const wrong = [];
		const shown = (el) => el.checkVisibility({visibilityProperty: true}) && el.getBoundingClientRect().width > 0;
		for (const el of document.querySelectorAll("input, select, textarea, button, a[href], trix-editor")) {
			if (!shown(el) || el.type === "hidden") continue;
			const named = el.getAttribute("aria-label") || el.getAttribute("aria-labelledby") || el.labels?.length || (el.matches("button, a") && (el.textContent.trim() || el.title));
			if (!named) wrong.push("no label: " + el.outerHTML.slice(0, 160));
			if (el.tabIndex > 0) wrong.push("positive tabindex: " + el.outerHTML.slice(0, 160));
		}
		if (document.querySelectorAll("h1").length !== 1) wrong.push(document.querySelectorAll("h1").length + " h1");
		const wide = document.documentElement.clientWidth; // a phone's innerWidth grows with what is too wide
		if (document.documentElement.scrollWidth > wide + 1) wrong.push("scrolls sideways: " + document.documentElement.scrollWidth + " > " + wide + ": " +
			[...document.querySelectorAll("body *")].filter((el) => el.getBoundingClientRect().right > wide + 1 && !el.closest(".scroller")).slice(0, 3).map((el) => el.outerHTML.slice(0, 120)).join(" | "));
		return wrong;
	})()`) {
		p.Errorf("%s: %s", p.hash(), f)
	}
}

// both looks at the view on both screens: axe, and no sideways scrolling.
func (p *page) both() {
	p.Helper()
	p.axe()
	p.width(phone)
	p.axe()
	p.width(desk)
}

// shot keeps a picture of the view at both widths, in the folder that the
// variable MEMBERKEY_SCREENSHOTS names; without it nothing happens.
func (p *page) shot(name string) {
	p.Helper()
	folder := os.Getenv("MEMBERKEY_SCREENSHOTS")
	if folder == "" {
		return
	}
	for _, width := range []int64{desk, phone} {
		p.width(width)
		value[bool](p, "(scrollTo(0, 0), true)")
		p.shoot(filepath.Join(folder, fmt.Sprintf("%s-%d.png", name, width)))
	}
	p.width(desk)
}

func (p *page) shoot(file string) {
	p.Helper()
	// Whatever moves has to be where it belongs.
	value[bool](p, `new Promise((done) => setTimeout(() => requestAnimationFrame(() => done(true)), 350))`)
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	got, err := chromedp.Call(ctx, cdppage.CaptureScreenshot, cdppage.CaptureScreenshotParams{Format: "png"})
	if err != nil {
		p.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(file, got.Data, 0o644); err != nil {
		p.Fatal(err)
	}
}
