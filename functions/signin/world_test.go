package signin_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/memberkey/memberkey/functions/signin"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/session"
	"github.com/memberkey/memberkey/shared/store"
)

const (
	org   = "acme"
	right = "correct horse battery staple"
	wrong = "wrong horse battery staple"
	fresh = "violet-harbor-lantern-ninety"
)

// recording remembers what was written.
type recording struct {
	store.DB
	mu     sync.Mutex
	writes []store.Write
}

func (r *recording) Commit(ctx context.Context, checks []store.Check, writes []store.Write) error {
	r.mu.Lock()
	r.writes = append(r.writes, writes...)
	r.mu.Unlock()
	return r.DB.Commit(ctx, checks, writes)
}

// wrote runs fn and gives what it wrote.
func (r *recording) wrote(fn func()) []store.Write {
	n := len(r.writes)
	fn()
	return slices.Clone(r.writes[n:])
}

type bells struct{ rung []mailing.Bell }

func (b *bells) Ring(_ context.Context, all ...mailing.Bell) error {
	b.rung = append(b.rung, all...)
	return nil
}

type world struct {
	*testing.T
	db      *recording
	store   *store.Store
	hasher  *password.Hasher
	bells   *bells
	routes  httpapi.Routes
	handler httpapi.Handler
	log     *bytes.Buffer
	now     time.Time
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
	credentials := &credential.Service{
		Store: store.For[credential.Tx](w.store), Mail: store.For[mailing.Tx](w.store), Hasher: w.hasher, Bells: w.bells,
		Now: now, Rand: rand.Reader, NewID: store.NewID, Again: time.Minute, Log: log,
	}
	f := &signin.Function{
		Sessions: &session.Service{
			Store: store.For[session.Tx](w.store), Passwords: credentials, Bells: w.bells,
			Now: now, Rand: rand.Reader, NewID: store.NewID, Again: time.Minute, Log: log,
		},
		Organizations: w.store, Rand: rand.Reader,
	}
	w.routes, w.handler = f.Routes(), f.Handler(httpapi.Config{Log: log, Now: now})
	w.settings(func(*organization.Settings) {})
	w.person("1", "ana@example.org", "ana@example.org", true)
	w.person("2", "bob", "family@example.org", true)
	w.person("3", "eva", "family@example.org", true)
	w.person("4", "kim@example.org", "kim@example.org", false)
	w.person("5", "dis@example.org", "dis@example.org", true, func(p *profile.Profile) { p.Disabled = true })
	w.person("6", "lapsed@example.org", "lapsed@example.org", true, func(p *profile.Profile) { p.Status = profile.Lapsed })
	w.person("7", "nomail", "", true)
	return w
}

func (w *world) update(fn func(*store.Tx) error) {
	w.Helper()
	if err := w.store.Update(w.Context(), fn); err != nil {
		w.Fatal(err)
	}
}

// settings stores the association with a change.
func (w *world) settings(change func(*organization.Settings)) {
	w.Helper()
	s := organization.Defaults(org, "Acme & Friends")
	s.PortalAddress, s.HelpPhone, s.LogoURL = "https://members.example.org", "+1 555 0109", "https://cdn.example.org/logo.png"
	change(&s)
	w.update(func(tx *store.Tx) error { tx.PutOrganization(&s); return nil })
}

func (w *world) person(id profile.ID, username, email string, login bool, change ...func(*profile.Profile)) {
	w.Helper()
	p := &profile.Profile{
		Organization: org, ID: id, Type: profile.Individual, FirstName: "Ana", LastName: "García", Email: email, Mailbox: email,
		Status: profile.Active, Username: username, HasPassword: login, HadPassword: login, Version: 1, CredentialVersion: 1,
	}
	if err := p.EndLogins(rand.Reader, w.now); err != nil {
		w.Fatal(err)
	}
	for _, c := range change {
		c(p)
	}
	hash, err := w.hasher.Hash(w.Context(), password.NewPlain(right))
	if err != nil {
		w.Fatal(err)
	}
	w.update(func(tx *store.Tx) error {
		tx.PutClaim(org, username, id)
		if login {
			tx.PutCredential(&credential.Credential{Organization: org, Profile: id, Hash: hash})
		}
		return tx.PutProfile(p)
	})
}

// browser keeps cookies as browsers do.
type browser struct {
	*world
	jar map[string]string
}

func (w *world) browser() *browser { return &browser{w, map[string]string{}} }

// request makes the event of a route key such as "POST /portal/{org}/sign-in".
func request(key string, form url.Values, change ...func(*events.APIGatewayV2HTTPRequest)) events.APIGatewayV2HTTPRequest {
	method, path, _ := strings.Cut(key, " ")
	e := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: key, RawPath: strings.ReplaceAll(path, "{org}", org), PathParameters: map[string]string{"org": org},
		Headers: map[string]string{"host": "abc.execute-api.example.com", "sec-fetch-site": "same-origin", "user-agent": "Test/1.0"},
	}
	e.RequestContext.RequestID = "request-1"
	e.RequestContext.HTTP = events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: method, Path: e.RawPath, SourceIP: "192.0.2.7", UserAgent: "Test/1.0"}
	if method == http.MethodPost {
		e.Headers["content-type"], e.Body = "application/x-www-form-urlencoded", form.Encode()
	}
	for _, c := range change {
		c(&e)
	}
	return e
}

type reply = events.APIGatewayV2HTTPResponse

func (w *world) serve(e events.APIGatewayV2HTTPRequest) reply {
	w.Helper()
	out, err := w.handler(w.Context(), e)
	if err != nil {
		w.Fatal(err)
	}
	return out
}

func header(name, value string) func(*events.APIGatewayV2HTTPRequest) {
	return func(e *events.APIGatewayV2HTTPRequest) { e.Headers[name] = value }
}

// send sends with the browser's cookies and takes those of the reply.
func (b *browser) send(key string, form url.Values, change ...func(*events.APIGatewayV2HTTPRequest)) reply {
	b.Helper()
	out := b.serve(request(key, form, append(change, func(e *events.APIGatewayV2HTTPRequest) {
		for name, value := range b.jar {
			e.Cookies = append(e.Cookies, name+"="+value)
		}
	})...))
	for _, line := range out.Cookies {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			b.Fatal(err)
		}
		if b.jar[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.jar, c.Name)
		}
	}
	return out
}

func (b *browser) get(page string) reply { return b.send("GET /portal/{org}"+page, nil) }

func (b *browser) post(page string, pairs ...string) reply {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return b.send("POST /portal/{org}"+page, form)
}

// in is a browser in which somebody has signed in.
func (w *world) in(name string) *browser {
	w.Helper()
	b := w.browser()
	if out := b.post("/sign-in", "username", name, "password", right); out.StatusCode != http.StatusSeeOther {
		w.Fatalf("%s: %d %s", name, out.StatusCode, out.Body)
	}
	return b
}

func expect(t *testing.T, out reply, status int, parts ...string) {
	t.Helper()
	if out.StatusCode != status {
		t.Errorf("status %d, want %d", out.StatusCode, status)
	}
	for _, part := range parts {
		if !strings.Contains(out.Body, part) {
			t.Errorf("no %q in %s", part, plain(out.Body))
		}
	}
}

func goesTo(t *testing.T, out reply, place string) {
	t.Helper()
	if out.StatusCode != http.StatusSeeOther || out.Headers["Location"] != place {
		t.Errorf("%d to %q, want %q", out.StatusCode, out.Headers["Location"], place)
	}
}

// plain is a page without its style and script.
func plain(page string) string {
	_, page, _ = strings.Cut(page, "</style>")
	page, _, _ = strings.Cut(page, "<script>")
	return page
}
