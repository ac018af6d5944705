package httpapi_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/problem"
)

const form = "application/x-www-form-urlencoded"

// show is a page that says what it got.
func show(got *httpapi.PageRequest) httpapi.Route {
	return httpapi.Page(func(_ context.Context, r httpapi.PageRequest) (httpapi.PageReply, error) {
		*got = r
		return httpapi.PageReply{HTML: []byte("<p>here")}, nil
	})
}

func TestPageRequest(t *testing.T) {
	var got httpapi.PageRequest
	for _, encoded := range []bool{false, true} { // API Gateway sends forms as base64
		e := staffRequest("POST /portal/{org}/set-password/{token}", path("org", "acme"), path("token", "abc"), query("a=1&b=x%2Cy"),
			body(form, "username=ana%40example.com&password=a+b%26"), header("host", "evil.example"), header("x-forwarded-host", "evil.example"))
		if encoded {
			e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(e.Body)), true
		}
		e.Cookies = []string{"session=s1", "theme=dark", "session=s2", "broken", `q="v"`}
		e.RequestContext.HTTP.UserAgent = strings.Repeat("U", 600)
		out, _ := serve(t, show(&got), httpapi.Config{}, e)
		if out.StatusCode != 200 {
			t.Fatalf("%d %s", out.StatusCode, out.Body)
		}
		want := httpapi.PageRequest{
			Method: "POST", Organization: "acme", Path: httpapi.Values{"org": "acme", "token": "abc"}, Query: httpapi.Values{"a": "1", "b": "x,y"},
			Form: httpapi.Values{"username": "ana@example.com", "password": "a b&"}, Cookies: httpapi.Values{"session": "s1", "theme": "dark", "q": "v"},
			IP: "192.0.2.7", UserAgent: strings.Repeat("U", 512), RequestID: "request-1",
		}
		if !reflect.DeepEqual(got, want) { // cmp would print the secrets' mask
			t.Errorf("got %s", diffPage(want, got))
		}
	}
}

func diffPage(a, b httpapi.PageRequest) string {
	plain := func(r httpapi.PageRequest) any {
		return []any{r.Method, r.Organization, map[string]string(r.Path), map[string]string(r.Query), map[string]string(r.Form), map[string]string(r.Cookies), r.IP, r.UserAgent, r.RequestID}
	}
	return cmp.Diff(plain(a), plain(b))
}

// TestA2NoHostReachesAPage: a page's input has no place where a host or a
// forwarded header could stand.
func TestA2NoHostReachesAPage(t *testing.T) {
	var got httpapi.PageRequest
	e := staffRequest("GET /p", path("org", "acme"))
	e.RequestContext.DomainName, e.RequestContext.DomainPrefix = canary, canary
	for _, name := range []string{"host", "x-forwarded-host", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-original-url", "x-rewrite-url", "referer", "origin"} {
		e.Headers[name] = canary
	}
	serve(t, show(&got), httpapi.Config{}, e)
	plain := fmt.Sprint(got.Method, got.Organization, map[string]string(got.Path), map[string]string(got.Query), map[string]string(got.Form),
		map[string]string(got.Cookies), got.IP, got.UserAgent, got.RequestID)
	if strings.Contains(plain, canary) || got.Organization != "acme" {
		t.Errorf("a header got through: %s", plain)
	}
	var names []string
	for f := range reflect.TypeFor[httpapi.PageRequest]().Fields() {
		names = append(names, f.Name)
	}
	want := []string{"Method", "Organization", "Path", "Query", "Form", "Cookies", "IP", "UserAgent", "RequestID"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("a new field needs a look at H10 and a place above: %s", diff)
	}
}

func TestForms(t *testing.T) {
	many := make([]string, 21)
	for i := range many {
		many[i] = fmt.Sprintf("f%d=1", i)
	}
	for _, c := range []struct {
		name, kind, text string
		status           int
		code             string
	}{
		{"plain", form, "a=1", 200, ""},
		{"charset", form + "; charset=UTF-8", "a=1", 200, ""},
		{"empty", form, "", 200, ""},
		{"twenty", form, strings.Join(many[:20], "&"), 200, ""},
		{"twenty-one", form, strings.Join(many, "&"), 400, "form_invalid"},
		{"twice", form, "password=a&password=b", 400, "form_repeated"},
		{"twice, escaped", form, "password=a&pass%77ord=b", 400, "form_repeated"},
		{"not UTF-8", form, "a=%ff", 400, "form_invalid"},
		{"name not UTF-8", form, "%ff=a", 400, "form_invalid"},
		{"semicolon", form, "a=1;b=2", 400, "form_invalid"},
		{"bad escape", form, "a=%zz", 400, "form_invalid"},
		{"json", "application/json", `{"a":1}`, 400, "content_type"},
		{"multipart", "multipart/form-data; boundary=x", "--x--", 400, "content_type"},
		{"text", "text/plain", "a=1", 400, "content_type"},
		{"no type", "", "a=1", 400, "content_type"},
		{"at the limit", form, "a=" + strings.Repeat("x", 8<<10-2), 200, ""},
		{"over it", form, "a=" + strings.Repeat("x", 8<<10-1), 413, "body_too_large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var seen httpapi.ErrorPage
			config := httpapi.Config{ErrorPage: func(_ context.Context, e httpapi.ErrorPage) []byte { seen = e; return []byte("branded") }}
			var got httpapi.PageRequest
			out, _ := serve(t, show(&got), config, staffRequest("POST /p", path("org", "acme"), body(c.kind, c.text)))
			if out.StatusCode != c.status || seen.Code != c.code {
				t.Fatalf("%d %q", out.StatusCode, seen.Code)
			}
			if c.status != 200 && (out.Body != "branded" || got.Method != "" || seen.Organization != "acme" || seen.Detail == "" || seen.RequestID != "") {
				t.Errorf("%q %+v", out.Body, seen)
			}
		})
	}
}

func TestOrganizationInThePath(t *testing.T) {
	var got httpapi.PageRequest
	for org, status := range map[string]int{"acme": 200, "a1": 200, "a-b": 200, strings.Repeat("a", 40): 200,
		"": 404, "a": 404, "Acme": 404, "a.b": 404, "a#b": 404, "a b": 404, "é1": 404, strings.Repeat("a", 41): 404, canary: 404} {
		out, log := serve(t, show(&got), httpapi.Config{}, staffRequest("GET /p", path("org", org)))
		if out.StatusCode != status {
			t.Errorf("%q: %d", org, out.StatusCode)
		}
		if strings.Contains(log, canary) {
			t.Errorf("a made-up organization is in the log: %s", log)
		}
	}
}

func TestPageHeaders(t *testing.T) {
	config := httpapi.Config{InlineScripts: []string{"sha256-AAA="}, InlineStyles: []string{"sha256-BBB="}}
	want := map[string]string{
		"Content-Type": "text/html; charset=utf-8",
		"Content-Security-Policy": "default-src 'none'; script-src 'self' 'sha256-AAA='; style-src 'self' 'sha256-BBB='; " +
			"img-src 'self' data: https://logo.example.org; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"Referrer-Policy":            "same-origin",
		"Cache-Control":              "no-store",
		"X-Content-Type-Options":     "nosniff",
		"X-Robots-Tag":               "noindex",
		"Strict-Transport-Security":  "max-age=63072000; includeSubDomains",
		"Cross-Origin-Opener-Policy": "same-origin",
		"Permissions-Policy":         "camera=(), geolocation=(), microphone=(), payment=()",
	}
	give := func(r httpapi.PageReply, err error) httpapi.Route {
		return httpapi.Page(func(context.Context, httpapi.PageRequest) (httpapi.PageReply, error) { return r, err })
	}
	out, _ := serve(t, give(httpapi.PageReply{Logo: "https://logo.example.org/a/b.png?x=1"}, nil), config, staffRequest("GET /p", path("org", "acme")))
	if diff := cmp.Diff(want, out.Headers); diff != "" {
		t.Error(diff)
	}
	// A path with a secret is told to nobody, on errors neither.
	for name, route := range map[string]httpapi.Route{"page": give(httpapi.PageReply{}, nil), "error": give(httpapi.PageReply{}, errors.New("x")),
		"redirect": give(httpapi.PageReply{Location: "/portal/acme"}, nil)} {
		out, _ := serve(t, route, config, staffRequest("GET /p", path("org", "acme"), path("token", "t")))
		if got := out.Headers["Referrer-Policy"]; got != "no-referrer" {
			t.Errorf("%s: %q", name, got)
		}
		for header := range want {
			if out.Headers[header] == "" {
				t.Errorf("%s lacks %s", name, header)
			}
		}
	}
	for _, logo := range []string{"", "http://logo.example.org/", "//logo.example.org/", "javascript:x", "https://", "https://a.example;script-src *", "https://a.example 'unsafe-inline'/", "https://*/", "data:image/png,x", "%"} {
		out, _ := serve(t, give(httpapi.PageReply{Logo: logo}, nil), config, staffRequest("GET /p", path("org", "acme")))
		if !strings.Contains(out.Headers["Content-Security-Policy"], "img-src 'self' data:; ") {
			t.Errorf("%q: %s", logo, out.Headers["Content-Security-Policy"])
		}
	}
}

func TestPageReplies(t *testing.T) {
	give := func(r httpapi.PageReply) httpapi.Route {
		return httpapi.Page(func(context.Context, httpapi.PageRequest) (httpapi.PageReply, error) { return r, nil })
	}
	cookies := []*http.Cookie{{Name: "__Host-session", Value: "v", Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}, {Name: "gone", MaxAge: -1}}
	out, _ := serve(t, give(httpapi.PageReply{Location: "/portal/acme?x=1", Cookies: cookies}), httpapi.Config{}, staffRequest("POST /p", path("org", "acme")))
	if out.StatusCode != 303 || out.Headers["Location"] != "/portal/acme?x=1" {
		t.Errorf("%d %v", out.StatusCode, out.Headers)
	}
	if diff := cmp.Diff([]string{"__Host-session=v; Path=/; HttpOnly; Secure; SameSite=Lax", "gone=; Max-Age=0"}, out.Cookies); diff != "" {
		t.Error(diff)
	}
	out, _ = serve(t, give(httpapi.PageReply{Status: 422, HTML: []byte("no")}), httpapi.Config{}, staffRequest("POST /p", path("org", "acme")))
	if out.StatusCode != 422 || out.Body != "no" {
		t.Errorf("%d %s", out.StatusCode, out.Body)
	}
	out, _ = serve(t, give(httpapi.PageReply{Cookies: []*http.Cookie{{Name: "a\nb"}}}), httpapi.Config{}, staffRequest("POST /p", path("org", "acme")))
	if out.StatusCode != 500 || len(out.Cookies) != 0 {
		t.Errorf("bad cookie: %d", out.StatusCode)
	}
}

// TestA19OpenRedirect: whatever a page gives as Location, the browser stays here.
func TestA19OpenRedirect(t *testing.T) {
	status := func(location string) int {
		route := httpapi.Page(func(context.Context, httpapi.PageRequest) (httpapi.PageReply, error) {
			return httpapi.PageReply{Location: location}, nil
		})
		out, _ := serve(t, route, httpapi.Config{}, staffRequest("GET /p", path("org", "acme")))
		if out.StatusCode != 303 && out.Headers["Location"] != "" {
			t.Errorf("%q: Location on a %d", location, out.StatusCode)
		}
		return out.StatusCode
	}
	for _, good := range []string{"/", "/portal/acme", "/portal/acme/sign-in?next=%2F%2Fevil.example", "/%2f%2fevil.example", "/a//b", "/a:b"} {
		if status(good) != 303 {
			t.Errorf("%q refused", good)
		}
	}
	for _, bad := range []string{"//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, `/a\b`, "https://evil.example/", "javascript:alert(1)",
		"evil.example", "./a", "?a", "#a", " /a", "/\t/evil.example", "/\n/evil.example", "/\r\nSet-Cookie: a=b", "/a b", "/\x00", "/\x7f", "/\u2028", "\t//evil.example"} {
		if status(bad) != 500 {
			t.Errorf("%q let through", bad)
		}
	}
}

func FuzzA19Location(f *testing.F) {
	for _, s := range []string{"//evil.example", `/\evil.example`, "javascript:x", "/%2f%2fevil.example", "/a", "/\t/evil.example"} {
		f.Add(s)
	}
	own, _ := url.Parse("https://members.example.org/portal/acme/sign-in")
	f.Fuzz(func(t *testing.T, location string) {
		route := httpapi.Page(func(context.Context, httpapi.PageRequest) (httpapi.PageReply, error) {
			return httpapi.PageReply{Location: location}, nil
		})
		out, _ := serve(t, route, httpapi.Config{}, staffRequest("GET /p", path("org", "acme")))
		sent := out.Headers["Location"]
		if sent == "" {
			return
		}
		// A browser drops tabs and line ends and takes \ for /; url.Parse does not.
		seen := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(strings.TrimSpace(sent))
		if to, err := own.Parse(seen); err == nil && (to.Host != own.Host || to.Scheme != "https") {
			t.Fatalf("%q leads to %s", sent, to)
		}
	})
}

// TestA20CrossOrigin is the table of net/http.CrossOriginProtection, with the
// configured address in the place of Host.
func TestA20CrossOrigin(t *testing.T) {
	const own = "https://members.example.org"
	for _, c := range []struct {
		name   string
		site   string
		origin string
		host   string
		token  bool
		status int
	}{
		{"same origin", "same-origin", own, "", false, 200},
		{"typed by hand", "none", "", "", false, 200},
		{"no browser", "", "", "", false, 200},
		{"old browser", "", own, "", false, 200},
		{"cross site", "cross-site", "https://evil.example", "", false, 403},
		{"cross site claims us", "cross-site", own, "", false, 403},
		{"same site", "same-site", "https://blog.example.org", "", false, 403},
		{"unheard of", "something", own, "", false, 403},
		{"old browser, foreign", "", "https://evil.example", "", false, 403},
		{"host cannot help", "", "https://evil.example", "evil.example", false, 403},
		{"other port", "", own + ":8443", "", false, 403},
		{"other scheme", "", "http://members.example.org", "", false, 403},
		{"longer name", "", own + ".evil.example", "", false, 403},
		{"null", "", "null", "", false, 403},
		{"null, cross site", "cross-site", "null", "", true, 403},
		{"null on a secret path", "", "null", "", true, 200},
		{"foreign on a secret path", "", "https://evil.example", "", true, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got httpapi.PageRequest
			config := httpapi.Config{Origin: func(_ context.Context, org string) (string, error) {
				if org != "acme" {
					return "", errors.New("asked for another organization")
				}
				return own, nil
			}}
			e := staffRequest("POST /p", path("org", "acme"), body(form, "a=1"))
			for name, value := range map[string]string{"sec-fetch-site": c.site, "origin": c.origin, "host": c.host} {
				if value != "" {
					e.Headers[name] = value
				}
			}
			if c.token {
				path("token", "t")(&e)
			}
			out, _ := serve(t, show(&got), config, e)
			if out.StatusCode != c.status || (got.Method != "") != (c.status == 200) {
				t.Errorf("%d, called %v", out.StatusCode, got.Method != "")
			}
			if c.status == 403 && !strings.HasPrefix(out.Body, "<!doctype html>") {
				t.Errorf("no page: %s", out.Body)
			}
			got = httpapi.PageRequest{}
			e.RouteKey, e.RequestContext.HTTP.Method, e.Body = "GET /p", "GET", ""
			if out, _ := serve(t, show(&got), config, e); out.StatusCode != 200 {
				t.Errorf("GET: %d", out.StatusCode)
			}
		})
	}
	var got httpapi.PageRequest
	e := staffRequest("POST /p", path("org", "acme"), body(form, "a=1"), header("origin", own))
	for name, c := range map[string]struct {
		origin func(context.Context, string) (string, error)
		status int
	}{
		"not configured": {nil, 403},
		"empty":          {func(context.Context, string) (string, error) { return "", nil }, 403},
		"unknown":        {func(context.Context, string) (string, error) { return "", problem.New(problem.NotFound, "x", "", "y") }, 404},
		"broken":         {func(context.Context, string) (string, error) { return "", errors.New("x") }, 500},
	} {
		if out, _ := serve(t, show(&got), httpapi.Config{Origin: c.origin}, e); out.StatusCode != c.status || got.Method != "" {
			t.Errorf("%s: %d", name, out.StatusCode)
		}
	}
}

func TestErrorPages(t *testing.T) {
	route := httpapi.Page(func(context.Context, httpapi.PageRequest) (httpapi.PageReply, error) {
		return httpapi.PageReply{}, fmt.Errorf("secret <cause>")
	})
	e := staffRequest("GET /p", path("org", "acme"))
	e.RequestContext.RequestID = "<id>"
	out, _ := serve(t, route, httpapi.Config{}, e)
	if out.StatusCode != 500 || strings.Contains(out.Body, "cause") || !strings.Contains(out.Body, "&lt;id&gt;") {
		t.Errorf("%d %s", out.StatusCode, out.Body)
	}
	// A broken error page must not take the answer away.
	broken := httpapi.Config{ErrorPage: func(context.Context, httpapi.ErrorPage) []byte { panic("x") }}
	out, _ = serve(t, route, broken, e)
	if code, _ := fault(t, out); out.StatusCode != 500 || code != "internal" {
		t.Errorf("%d %s", out.StatusCode, out.Body)
	}
	busy := httpapi.Page(func(context.Context, httpapi.PageRequest) (httpapi.PageReply, error) {
		return httpapi.PageReply{}, problem.New(problem.Busy, "busy", "", "Please try again.")
	})
	if out, _ = serve(t, busy, httpapi.Config{}, e); out.StatusCode != 503 || out.Headers["Retry-After"] != "1" {
		t.Errorf("%d %v", out.StatusCode, out.Headers)
	}
}
