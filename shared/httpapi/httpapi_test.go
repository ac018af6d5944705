package httpapi_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
)

// canary stands for every secret; it must never get out.
const canary = "c4n4ry-Sekret-42"

type (
	request = events.APIGatewayV2HTTPRequest
	reply   = events.APIGatewayV2HTTPResponse
)

// staffRequest is a request of an administrator of acme.
func staffRequest(key string, change ...func(*request)) request {
	method, path, _ := strings.Cut(key, " ")
	e := request{RouteKey: key, RawPath: path, Headers: map[string]string{}}
	e.RequestContext.HTTP.Method = method
	e.RequestContext.HTTP.SourceIP = "192.0.2.7"
	e.RequestContext.RequestID = "request-1"
	claims(map[string]string{"sub": "s-1", "username": "eve", "cognito:groups": "[acme:administrator]"})(&e)
	for _, f := range change {
		f(&e)
	}
	return e
}

func claims(c map[string]string) func(*request) {
	return func(e *request) {
		e.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
			JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{Claims: c}}
	}
}

func body(contentType, text string) func(*request) {
	return func(e *request) { e.Body, e.Headers["content-type"] = text, contentType }
}

func header(name, value string) func(*request) {
	return func(e *request) { e.Headers[name] = value }
}

func query(raw string) func(*request) { return func(e *request) { e.RawQueryString = raw } }

func path(name, value string) func(*request) {
	return func(e *request) {
		if e.PathParameters == nil {
			e.PathParameters = map[string]string{}
		}
		e.PathParameters[name] = value
	}
}

// serve sends one request to one route and gives the reply and the log.
func serve(t *testing.T, route httpapi.Route, c httpapi.Config, e request) (reply, string) {
	t.Helper()
	var log bytes.Buffer
	c.Log = slog.New(slog.NewJSONHandler(&log, nil))
	out, err := httpapi.Routes{e.RouteKey: route}.Handler(c)(t.Context(), e)
	if err != nil {
		t.Fatalf("the handler's error must be nil: %v", err)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("%d log lines, want 1: %s", n, log.String())
	}
	return out, log.String()
}

func fault(t *testing.T, out reply) (code, field string) {
	t.Helper()
	if got := out.Headers["Content-Type"]; got != "application/problem+json" {
		t.Errorf("Content-Type %q", got)
	}
	var doc struct {
		Code, Field, Title, Detail string
		Status                     int
	}
	if err := json.Unmarshal([]byte(out.Body), &doc); err != nil {
		t.Fatalf("%v in %s", err, out.Body)
	}
	if doc.Status != out.StatusCode || doc.Title == "" || doc.Detail == "" {
		t.Errorf("incomplete problem %s", out.Body)
	}
	return doc.Code, doc.Field
}

type none struct{}

func TestStatusOfEveryKind(t *testing.T) {
	want := map[problem.Kind]int{
		problem.Internal: 500, problem.Invalid: 400, problem.Unauthenticated: 401, problem.Forbidden: 403, problem.NotFound: 404,
		problem.Conflict: 409, problem.Stale: 412, problem.VersionMissing: 428, problem.Refused: 422, problem.TooLarge: 413,
		problem.Throttled: 429, problem.Busy: 503,
	}
	for kind, status := range want {
		route := httpapi.Staff("", func(context.Context, httpapi.Caller, none) (none, error) {
			return none{}, problem.New(kind, "some_code", "some.field", "Do this.").With("retryAfter", 30).With("status", "hidden")
		})
		out, _ := serve(t, route, httpapi.Config{}, staffRequest("GET /x"))
		if out.StatusCode != status || httpapi.Status(kind) != status {
			t.Errorf("kind %d: %d, want %d", kind, out.StatusCode, status)
		}
		if code, field := fault(t, out); code != "some_code" || field != "some.field" {
			t.Errorf("kind %d: %s %s", kind, code, field)
		}
		if got := strings.Contains(out.Body, `"requestId":"request-1"`); got != (status >= 500) {
			t.Errorf("kind %d: request id there %v", kind, got)
		}
		wantRetry := map[int]string{429: "30", 503: "1"}[status]
		if got := out.Headers["Retry-After"]; got != wantRetry {
			t.Errorf("kind %d: Retry-After %q, want %q", kind, got, wantRetry)
		}
	}
	if got := httpapi.Status(problem.Kind(99)); got != 500 {
		t.Errorf("unknown kind: %d", got)
	}
}

func TestProblemDocument(t *testing.T) {
	route := httpapi.Staff("", func(context.Context, httpapi.Caller, none) (none, error) {
		p := problem.New(problem.Stale, "version_stale", "", "Somebody <else> was faster.")
		p.Problems = []problem.Item{{Field: "a", Code: "b", Detail: "c"}}
		return none{}, p.With("differs", []string{"username"})
	})
	out, _ := serve(t, route, httpapi.Config{}, staffRequest("GET /x"))
	want := `{"code":"version_stale","detail":"Somebody <else> was faster.","differs":["username"],` +
		`"problems":[{"field":"a","code":"b","detail":"c"}],"status":412,"title":"Precondition Failed"}`
	if out.Body != want {
		t.Errorf("got  %s\nwant %s", out.Body, want)
	}
}

func TestInternalErrorsTellNothing(t *testing.T) {
	for name, fn := range map[string]func(){
		"error":       nil,
		"panic":       func() { panic("value " + canary) },
		"panic error": func() { panic(fmt.Errorf("value %s", canary)) },
		"nil map":     func() { var m map[string]int; m["x"] = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			route := httpapi.Staff("", func(context.Context, httpapi.Caller, none) (none, error) {
				if fn != nil {
					fn()
				}
				return none{}, errors.New("the table is on fire")
			})
			out, log := serve(t, route, httpapi.Config{}, staffRequest("GET /x"))
			if code, _ := fault(t, out); code != "internal" || out.StatusCode != 500 {
				t.Errorf("%d %s", out.StatusCode, code)
			}
			if strings.Contains(out.Body, "fire") || strings.Contains(out.Body, "panic") || strings.Contains(out.Body+log, canary) {
				t.Errorf("leaks: %s %s", out.Body, log)
			}
			var line struct{ Error, Stack string }
			if err := json.Unmarshal([]byte(log), &line); err != nil {
				t.Fatal(err)
			}
			if line.Error == "" || (fn != nil) != strings.Contains(line.Stack, "httpapi_test.go") {
				t.Errorf("log lacks the cause: %s", log)
			}
		})
	}
}

func TestLogLine(t *testing.T) {
	clock := time.Unix(0, 0)
	c := httpapi.Config{Now: func() time.Time { clock = clock.Add(3 * time.Millisecond); return clock }}
	route := httpapi.Staff("", func(context.Context, httpapi.Caller, none) (none, error) {
		return none{}, problem.New(problem.NotFound, "profile_unknown", "", "There is none.")
	})
	_, log := serve(t, route, c, staffRequest("GET /api/profiles/{id}"))
	var got map[string]any
	if err := json.Unmarshal([]byte(log), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	want := map[string]any{"level": "INFO", "msg": "request", "route": "GET /api/profiles/{id}", "status": 404.0, "code": "profile_unknown",
		"milliseconds": 3.0, "organization": "acme", "request": "request-1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestA27NothingTypedIsLogged sends the canary in every place that a client
// can fill, and has every way out fail.
func TestA27NothingTypedIsLogged(t *testing.T) {
	type in struct {
		ID    string   `path:"id"`
		Q     string   `query:"q"`
		List  []string `query:"list"`
		Limit int      `query:"limit"`
		H     string   `header:"x-thing"`
		Body  struct {
			Name string `json:"name"`
			Age  int    `json:"age"`
		} `body:"json"`
	}
	staff := httpapi.Staff("", func(_ context.Context, _ httpapi.Caller, v in) (none, error) {
		if v.ID != canary || v.Q != canary {
			return none{}, errors.New("not bound")
		}
		return none{}, problem.New(problem.Conflict, "taken", "", "Taken.")
	})
	page := httpapi.Page(func(_ context.Context, r httpapi.PageRequest) (httpapi.PageReply, error) {
		return httpapi.PageReply{}, fmt.Errorf("request was %v %+v %#v %s", r, r, r, r.Form)
	})
	full := func(e *request) {
		e.RawPath = "/api/" + canary
		e.PathParameters = map[string]string{"id": canary, "org": "acme", "token": canary}
		e.RawQueryString = "q=" + canary
		e.Cookies = []string{"session=" + canary}
		e.Headers["x-thing"], e.Headers["authorization"], e.Headers["cookie"] = canary, "Bearer "+canary, canary
	}
	cases := map[string]struct {
		route httpapi.Route
		e     request
	}{
		"staff":            {staff, staffRequest("PUT /x", full, body("application/json", `{"name":"`+canary+`"}`))},
		"staff wrong type": {staff, staffRequest("PUT /x", full, body("application/json", `{"age":"`+canary+`"}`))},
		"staff unknown":    {staff, staffRequest("PUT /x", full, body("application/json", `{"`+canary+`":1}`))},
		"staff not JSON":   {staff, staffRequest("PUT /x", full, body("application/json", canary))},
		"staff bad query":  {staff, staffRequest("PUT /x", full, query("limit="+canary))},
		"staff odd query":  {staff, staffRequest("PUT /x", full, query(canary+"=1"))},
		"page":             {page, staffRequest("POST /p", full, body("application/x-www-form-urlencoded", "password="+canary))},
		"page twice":       {page, staffRequest("POST /p", full, body("application/x-www-form-urlencoded", "p=1&p="+canary))},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			out, log := serve(t, c.route, httpapi.Config{}, c.e)
			if out.StatusCode < 400 {
				t.Fatalf("status %d: this case must fail", out.StatusCode)
			}
			if strings.Contains(log, canary) {
				t.Errorf("the log holds it: %s", log)
			}
			if strings.Contains(out.Body, canary) && !strings.Contains(name, "unknown") && !strings.Contains(name, "odd") { // those name the field
				t.Errorf("the reply holds it: %s", out.Body)
			}
		})
	}
}

func TestPageRequestRedactsItself(t *testing.T) {
	r := httpapi.PageRequest{Path: httpapi.Values{"token": canary}, Query: httpapi.Values{"q": canary},
		Form: httpapi.Values{"password": canary}, Cookies: httpapi.Values{"session": canary}}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "request", r, "form", r.Form)
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %+v %#v %s %q %x", r, r, r, r, r.Form, r.Form) + log.String() + string(text)
	if strings.Contains(all, canary) || strings.Contains(all, fmt.Sprintf("%x", canary)) || !strings.Contains(all, "redacted") {
		t.Errorf("leaks: %s", all)
	}
}

func TestCallerFromClaims(t *testing.T) {
	whoami := httpapi.Staff("", func(_ context.Context, c httpapi.Caller, _ none) (httpapi.Caller, error) { return c, nil })
	cases := []struct {
		groups     string
		code       string
		org, role  string
		wantStatus int
	}{
		{"[acme:administrator]", "", "acme", "administrator", 200},
		{"acme:viewer", "", "acme", "viewer", 200},
		{`["acme:manager"]`, "", "acme", "manager", 200},
		{"[newsletter acme:frontdesk eu-1_Abc_Google]", "", "acme", "frontdesk", 200},
		{"", "not_staff", "", "", 403},
		{"[]", "not_staff", "", "", 403},
		{"[newsletter]", "not_staff", "", "", 403},
		{"[acme:owner]", "not_staff", "", "", 403},
		{"[acme:Administrator]", "not_staff", "", "", 403},
		{"[acme:]", "not_staff", "", "", 403},
		{"[:administrator]", "not_staff", "", "", 403},
		{"[ACME:administrator]", "not_staff", "", "", 403},
		{"[acme#1:administrator]", "not_staff", "", "", 403},
		{"acme:viewer,acme:administrator", "not_staff", "", "", 403},
		{"[a:b:administrator]", "not_staff", "", "", 403},
		{"[acme:viewer other:viewer]", "organization_ambiguous", "", "", 403},
		{"[acme:viewer acme:administrator]", "organization_ambiguous", "", "", 403},
		{"[acme:viewer acme:viewer]", "organization_ambiguous", "", "", 403},
		{"[acme:viewer other:nothing]", "organization_ambiguous", "", "", 403},
		{`["acme:viewer","other:viewer"]`, "organization_ambiguous", "", "", 403},
	}
	for _, c := range cases {
		for _, claim := range []string{"cognito:groups", "https://example.com/groups"} {
			config := httpapi.Config{GroupClaim: claim}
			out, _ := serve(t, whoami, config, staffRequest("GET /x", claims(map[string]string{"sub": "s-1", "username": "eve", claim: c.groups})))
			if out.StatusCode != c.wantStatus {
				t.Errorf("%q: %d %s", c.groups, out.StatusCode, out.Body)
				continue
			}
			if c.code != "" {
				if code, _ := fault(t, out); code != c.code {
					t.Errorf("%q: %s, want %s", c.groups, code, c.code)
				}
				continue
			}
			var got httpapi.Caller
			if err := json.Unmarshal([]byte(out.Body), &got); err != nil {
				t.Fatal(err)
			}
			want := httpapi.Caller{Organization: c.org, Role: c.role, Subject: "s-1", Name: "eve", IP: "192.0.2.7", RequestID: "request-1"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q: %s", c.groups, diff)
			}
		}
	}
	for name, change := range map[string]func(*request){
		"Cognito":  claims(map[string]string{"sub": "s-1", "token_use": "access", "client_id": "client", "cognito:groups": "[acme:viewer]"}),
		"Keycloak": claims(map[string]string{"sub": "s-1", "typ": "Bearer", "aud": "client", "cognito:groups": "[acme:viewer]"}),
	} {
		if out, _ := serve(t, whoami, httpapi.Config{}, staffRequest("GET /x", change)); out.StatusCode != 200 {
			t.Errorf("an access token of %s: %d %s", name, out.StatusCode, out.Body)
		}
	}
	for name, change := range map[string]func(*request){
		"no authorizer": func(e *request) { e.RequestContext.Authorizer = nil },
		"no subject":    claims(map[string]string{"cognito:groups": "acme:administrator"}),
		"ID token":      claims(map[string]string{"sub": "s-1", "token_use": "id", "aud": "client", "cognito:groups": "[acme:administrator]"}),
		"typed as ID":   claims(map[string]string{"sub": "s-1", "typ": "ID", "cognito:groups": "[acme:administrator]"}),
		"with at_hash":  claims(map[string]string{"sub": "s-1", "at_hash": "x", "cognito:groups": "[acme:administrator]"}),
		"headers alone": func(e *request) {
			e.RequestContext.Authorizer = nil
			e.Headers["authorization"] = "Bearer x"
			e.Headers["cognito:groups"] = "acme:administrator"
		},
	} {
		out, _ := serve(t, whoami, httpapi.Config{}, staffRequest("GET /x", change))
		if code, _ := fault(t, out); code != "unauthenticated" || out.StatusCode != 401 {
			t.Errorf("%s: %d %s", name, out.StatusCode, code)
		}
	}
}

// TestH21Permission walks roles and permissions: what the table does not give
// is refused by name, before any input is looked at.
func TestH21Permission(t *testing.T) {
	every := organization.Roles["administrator"]
	for role := range organization.Roles {
		for _, p := range every {
			called := false
			route := httpapi.Staff(p, func(context.Context, httpapi.Caller, none) (none, error) { called = true; return none{}, nil })
			e := staffRequest("GET /x", claims(map[string]string{"sub": "s", "scope": string(p), "cognito:groups": "acme:" + role}))
			if !organization.May(role, p) {
				e.RawQueryString = "unknown=1"
			}
			out, _ := serve(t, route, httpapi.Config{}, e)
			if called != organization.May(role, p) {
				t.Errorf("%s, %s: called %v", role, p, called)
			}
			if called {
				continue
			}
			if code, _ := fault(t, out); code != "forbidden" || out.StatusCode != 403 || !strings.Contains(out.Body, `"permission":"`+string(p)+`"`) {
				t.Errorf("%s, %s: %s", role, p, out.Body)
			}
		}
	}
}

func TestReplies(t *testing.T) {
	type thing struct {
		Name string `json:"name"`
	}
	base := map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Strict-Transport-Security": "max-age=63072000; includeSubDomains"}
	with := func(more ...string) map[string]string {
		m := maps.Clone(base)
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	give := func(v any) httpapi.Route {
		return httpapi.Staff("", func(context.Context, httpapi.Caller, none) (any, error) { return v, nil })
	}
	cases := map[string]struct {
		route httpapi.Route
		want  reply
	}{
		"value":  {give(thing{"<a&b>"}), reply{StatusCode: 200, Headers: with("Content-Type", "application/json"), Body: `{"name":"<a&b>"}`}},
		"empty":  {give(struct{}{}), reply{StatusCode: 204, Headers: with()}},
		"list":   {give([]int{1, 2}), reply{StatusCode: 200, Headers: with("Content-Type", "application/json"), Body: `[1,2]`}},
		"etag":   {give(httpapi.Reply[thing]{Body: thing{"a"}, ETag: httpapi.ETag(3)}), reply{StatusCode: 200, Headers: with("Content-Type", "application/json", "ETag", `"3"`), Body: `{"name":"a"}`}},
		"create": {give(httpapi.Reply[thing]{Status: 201, Body: thing{"a"}, Location: "/api/things/1"}), reply{StatusCode: 201, Headers: with("Content-Type", "application/json", "Location", "/api/things/1"), Body: `{"name":"a"}`}},
		"accept": {give(httpapi.Reply[struct{}]{Status: 202, Header: http.Header{"x-more": {"1"}}}), reply{StatusCode: 202, Headers: with("X-More", "1")}},
		"csv": {give(httpapi.CSV{Name: "a b.csv", Body: []byte("x,y\n"), Next: "abc"}), reply{StatusCode: 200, Headers: with("Content-Type", "text/csv; charset=utf-8",
			"Content-Disposition", `attachment; filename="a b.csv"`, "Next-Cursor", "abc"), Body: "x,y\n"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			out, _ := serve(t, c.route, httpapi.Config{}, staffRequest("GET /x"))
			if diff := cmp.Diff(c.want, out); diff != "" {
				t.Error(diff)
			}
		})
	}
	for name, v := range map[string]any{"foreign location": httpapi.Reply[none]{Location: "https://example.com/"}, "no JSON": func() {}} {
		if out, _ := serve(t, give(v), httpapi.Config{}, staffRequest("GET /x")); out.StatusCode != 500 {
			t.Errorf("%s: %d", name, out.StatusCode)
		}
	}
}

func TestHEADIsGETWithoutItsBody(t *testing.T) {
	routes := httpapi.Routes{
		"GET /a": httpapi.Public(func(context.Context, none) (map[string]int, error) { return map[string]int{"a": 1}, nil }),
		"GET /portal/{org}": httpapi.Page(func(_ context.Context, r httpapi.PageRequest) (httpapi.PageReply, error) {
			return httpapi.PageReply{HTML: []byte(r.Method)}, nil
		}),
	}
	h := routes.Handler(httpapi.Config{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	for _, key := range []string{"/a", "/portal/{org}"} {
		get, _ := h(t.Context(), staffRequest("GET "+key, path("org", "acme")))
		head, _ := h(t.Context(), staffRequest("HEAD "+key, path("org", "acme")))
		if get.StatusCode != 200 || get.Body == "" || head.Body != "" {
			t.Errorf("%s: GET %q, HEAD %q", key, get.Body, head.Body)
		}
		get.Body = ""
		if diff := cmp.Diff(get, head); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
	out, _ := h(t.Context(), staffRequest("HEAD /b"))
	post, _ := h(t.Context(), staffRequest("POST /a"))
	if out.StatusCode != 404 || post.StatusCode != 404 {
		t.Errorf("unknown routes: %d %d", out.StatusCode, post.StatusCode)
	}
}

// TestA16HugeBody sends 10 MiB to every kind of route.
func TestA16HugeBody(t *testing.T) {
	type jsonIn struct {
		Body struct{ A string } `body:"json"`
	}
	type csvIn struct {
		Body []byte `body:"csv"`
	}
	called := false
	routes := map[string]httpapi.Route{
		"json":    httpapi.Staff("", func(context.Context, httpapi.Caller, jsonIn) (none, error) { called = true; return none{}, nil }),
		"no body": httpapi.Staff("", func(context.Context, httpapi.Caller, none) (none, error) { called = true; return none{}, nil }),
		"public":  httpapi.Public(func(context.Context, jsonIn) (none, error) { called = true; return none{}, nil }),
		"csv":     httpapi.Staff("", func(context.Context, httpapi.Caller, csvIn) (none, error) { called = true; return none{}, nil }).Limit(httpapi.ImportLimit),
		"page": httpapi.Page(func(context.Context, httpapi.PageRequest) (httpapi.PageReply, error) {
			called = true
			return httpapi.PageReply{}, nil
		}),
	}
	huge := `{"A":"` + strings.Repeat("a", 10<<20) + `"}`
	for name, route := range routes {
		for _, encoded := range []bool{false, true} {
			e := staffRequest("POST /x", path("org", "acme"), body("application/json", huge))
			if encoded {
				e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(huge)), true
			}
			h := httpapi.Routes{"POST /x": route}.Handler(httpapi.Config{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			out, _ := h(t.Context(), e)
			runtime.ReadMemStats(&after)
			if spent := after.TotalAlloc - before.TotalAlloc; spent > 64<<10 {
				t.Errorf("%s: %d bytes allocated to refuse", name, spent)
			}
			if out.StatusCode != 413 || called {
				t.Errorf("%s: %d, called %v", name, out.StatusCode, called)
			}
		}
	}
}

func TestBodyLimitIsExact(t *testing.T) {
	type in struct {
		Body string `body:"csv"`
	}
	route := httpapi.Staff("", func(_ context.Context, _ httpapi.Caller, v in) (int, error) { return len(v.Body), nil }).Limit(1000)
	for _, size := range []int{998, 999, 1000, 1001, 1002} {
		text := strings.Repeat("a", size)
		for _, encoded := range []bool{false, true} {
			e := staffRequest("POST /x", body("text/csv", text))
			if encoded {
				e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(text)), true
			}
			out, _ := serve(t, route, httpapi.Config{}, e)
			if want := size <= 1000; (out.StatusCode == 200) != want {
				t.Errorf("%d bytes, base64 %v: %d", size, encoded, out.StatusCode)
			}
		}
	}
}

func TestVersions(t *testing.T) {
	for header, want := range map[string]struct {
		n    int
		code string
	}{
		`"0"`: {0, ""}, `"3"`: {3, ""}, `"120"`: {120, ""},
		``:  {0, "version_missing"},
		`3`: {0, "version_invalid"}, `"3`: {0, "version_invalid"}, `3"`: {0, "version_invalid"}, `"`: {0, "version_invalid"}, `""`: {0, "version_invalid"},
		`W/"3"`: {0, "version_invalid"}, `*`: {0, "version_invalid"}, `"3","4"`: {0, "version_invalid"}, `"03"`: {0, "version_invalid"},
		`"+3"`: {0, "version_invalid"}, `"-3"`: {0, "version_invalid"}, ` "3"`: {0, "version_invalid"}, `"3.0"`: {0, "version_invalid"},
		`"99999999999999999999"`: {0, "version_invalid"},
	} {
		n, err := httpapi.ParseIfMatch(header)
		if n != want.n || problem.CodeOf(err) != want.code {
			t.Errorf("%q: %d, %v", header, n, err)
		}
	}
	for _, n := range []int{0, 1, 77} {
		if got, err := httpapi.ParseIfMatch(httpapi.ETag(n)); err != nil || got != n {
			t.Errorf("ETag(%d) came back as %d, %v", n, got, err)
		}
	}
	type in struct {
		Version httpapi.Version `header:"if-match"`
	}
	route := httpapi.Staff("", func(_ context.Context, _ httpapi.Caller, v in) (httpapi.Version, error) { return v.Version, nil })
	if out, _ := serve(t, route, httpapi.Config{}, staffRequest("PUT /x")); out.StatusCode != 428 {
		t.Errorf("missing: %d", out.StatusCode)
	}
	if out, _ := serve(t, route, httpapi.Config{}, staffRequest("PUT /x", header("If-Match", `"5"`))); out.Body != "5" {
		t.Errorf("sent: %s", out.Body)
	}
}

func TestIdempotencyKey(t *testing.T) {
	type in struct {
		Key httpapi.IdempotencyKey `header:"idempotency-key,required"`
	}
	route := httpapi.Staff("", func(_ context.Context, _ httpapi.Caller, v in) (string, error) { return string(v.Key), nil })
	for key, code := range map[string]string{
		"a": "", "A-z_09": "", strings.Repeat("k", 64): "",
		"": "idempotency_key_invalid", strings.Repeat("k", 65): "idempotency_key_invalid", "a b": "idempotency_key_invalid",
		"é": "idempotency_key_invalid", "a,b": "idempotency_key_invalid", "a/b": "idempotency_key_invalid",
	} {
		out, _ := serve(t, route, httpapi.Config{}, staffRequest("POST /x", header("idempotency-key", key)))
		if code == "" {
			if out.StatusCode != 200 {
				t.Errorf("%q: %s", key, out.Body)
			}
		} else if got, field := fault(t, out); got != code || field != "Idempotency-Key" || out.StatusCode != 400 {
			t.Errorf("%q: %s", key, out.Body)
		}
	}
	out, _ := serve(t, route, httpapi.Config{}, staffRequest("POST /x"))
	if code, field := fault(t, out); code != "header_missing" || field != "Idempotency-Key" {
		t.Errorf("missing: %s", out.Body)
	}
}

func TestCursor(t *testing.T) {
	for _, key := range []string{"", "a", "garcía ana\x1f1042", strings.Repeat("x", 1000)} {
		got, err := httpapi.DecodeCursor(httpapi.EncodeCursor(key))
		if err != nil || got != key {
			t.Errorf("%q came back as %q, %v", key, got, err)
		}
	}
	for _, bad := range []string{"!", "a", "YQ==", "YR", "Y\nQ", "_w", strings.Repeat("A", 2052), "é"} {
		if _, err := httpapi.DecodeCursor(bad); problem.CodeOf(err) != "cursor_invalid" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	type in struct {
		Cursor httpapi.Cursor `query:"cursor"`
	}
	type page struct {
		Seen string         `json:"seen"`
		Next httpapi.Cursor `json:"next,omitempty"`
	}
	route := httpapi.Staff("", func(_ context.Context, _ httpapi.Caller, v in) (page, error) {
		return page{string(v.Cursor), v.Cursor}, nil
	})
	out, _ := serve(t, route, httpapi.Config{}, staffRequest("GET /x", query("cursor="+httpapi.EncodeCursor("ana#1"))))
	if want := `{"seen":"ana#1","next":"YW5hIzE"}`; out.Body != want {
		t.Errorf("got %s", out.Body)
	}
	out, _ = serve(t, route, httpapi.Config{}, staffRequest("GET /x"))
	if want := `{"seen":""}`; out.Body != want {
		t.Errorf("got %s", out.Body)
	}
}

func TestRoutesMadeWrongPanicWhenMade(t *testing.T) {
	type m struct {
		Body map[string]int `body:"json"`
	}
	type inner struct {
		Body struct{ A []map[string]int } `body:"json"`
	}
	type two struct {
		A none `body:"json"`
		B none `body:"json"`
	}
	type odd struct {
		A float64 `query:"a"`
	}
	type untagged struct{ A string }
	type rawJSON struct {
		A []byte `body:"json"`
	}
	type quoted struct {
		Body struct {
			A int `json:",string"`
		} `body:"json"`
	}
	for name, make := range map[string]func(){
		"map":      func() { httpapi.Public(func(context.Context, m) (none, error) { return none{}, nil }) },
		"inner":    func() { httpapi.Public(func(context.Context, inner) (none, error) { return none{}, nil }) },
		"two":      func() { httpapi.Public(func(context.Context, two) (none, error) { return none{}, nil }) },
		"odd":      func() { httpapi.Public(func(context.Context, odd) (none, error) { return none{}, nil }) },
		"untagged": func() { httpapi.Public(func(context.Context, untagged) (none, error) { return none{}, nil }) },
		"raw":      func() { httpapi.Public(func(context.Context, rawJSON) (none, error) { return none{}, nil }) },
		"quoted":   func() { httpapi.Public(func(context.Context, quoted) (none, error) { return none{}, nil }) },
		"string":   func() { httpapi.Public(func(context.Context, string) (none, error) { return none{}, nil }) },
	} {
		for range 2 { // a type once refused must not be remembered as good
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: no panic", name)
					}
				}()
				make()
			}()
		}
	}
}
