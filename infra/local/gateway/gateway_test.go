package gateway_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/local/gateway"
	"github.com/memberkey/memberkey/shared/httpapi"
)

var update = flag.Bool("update", false, "write the golden events")

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func now() time.Time { return time.Date(2026, 11, 23, 15, 4, 5, 678e6, time.FixedZone("", 3600)) }

// anyone is an authorizer for tests: the token "good" is an administrator's.
type anyone struct{ scopes []string }

func (a anyone) Authorize(token string) (gateway.Identity, error) {
	if token != "good" {
		return gateway.Identity{}, errors.New("no")
	}
	return gateway.Identity{Claims: map[string]string{"sub": "s-1", "cognito:groups": "[acme:administrator]"}, Scopes: a.scopes}, nil
}

// everywhere has one handler answer for all functions of the fixture.
func everywhere(h httpapi.Handler) map[string]httpapi.Handler {
	return map[string]httpapi.Handler{"profiles": h, "profile-imports": h, "signin": h, "console": h}
}

func build(t *testing.T, h httpapi.Handler, change ...func(*gateway.Config)) http.Handler {
	t.Helper()
	c := gateway.Config{Table: table(t), Functions: everywhere(h), Authorizer: anyone{}, Now: now, Rand: zeros{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, f := range change {
		f(&c)
	}
	g, err := gateway.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func ok(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	return events.APIGatewayV2HTTPResponse{StatusCode: 200, Body: "ok"}, nil
}

// ask sends a request as text, exactly as written, to g.
func ask(t *testing.T, g http.Handler, method, target, body string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "localhost:8080"
	r.RemoteAddr = "127.0.0.1:4711"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestGoldenEvents(t *testing.T) {
	for name, c := range map[string]struct {
		method, target, body string
		headers              []string
	}{
		"staff-read": {"GET", "/api/profiles/1042?status=active&status=lapsed&search=mar%C3%ADa+g&empty=", "", []string{
			"Authorization", "Bearer good", "User-Agent", "test/1.0", "Accept", "application/json", "X-Probe", "first", "X-Probe", "second"}},
		"escaped-path": {"GET", "/api/profiles/a%20b%C3%BC%3Fx=1?y=%2F", "", []string{"Authorization", "good"}},
		"staff-write":  {"POST", "/api/profiles", `{"name":"λ"}`, []string{"Authorization", "bearer good", "Content-Type", "application/json; charset=utf-8"}},
		"scopes":       {"GET", "/api/narrow", "", []string{"Authorization", "Bearer good"}},
		"form":         {"POST", "/portal/acme/sign-in", "username=ana%40example.com&password=x", []string{"Content-Type", "application/x-www-form-urlencoded", "Cookie", "session=abc; theme=dark", "Cookie", "more=1", "Origin", "http://localhost:8080"}},
		"forwarded":    {"GET", "/portal/acme/sign-in", "", []string{"X-Forwarded-For", "203.0.113.9", "X-Forwarded-Proto", "https", "X-Forwarded-Port", "9", "X-Forwarded-Host", "evil.example"}},
		"head":         {"HEAD", "/portal/acme/sign-in", "", nil},
		"any":          {"DELETE", "/any/a/b", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got events.APIGatewayV2HTTPRequest
			g := build(t, func(_ context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
				got = e
				return ok(nil, e)
			}, func(c *gateway.Config) { c.Authorizer = anyone{scopes: []string{"openid", "profiles"}} })
			if out := ask(t, g, c.method, c.target, c.body, c.headers...); out.StatusCode != 200 {
				t.Fatalf("%d %s", out.StatusCode, text(t, out))
			}
			text, err := json.MarshalIndent(got, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, '\n')
			file := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(file, text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestOwnAnswers holds what API Gateway says itself, byte for byte.
func TestOwnAnswers(t *testing.T) {
	slow := func(ctx context.Context, _ events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		<-ctx.Done()
		return events.APIGatewayV2HTTPResponse{}, ctx.Err()
	}
	reply := func(r events.APIGatewayV2HTTPResponse) httpapi.Handler {
		return func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
			return r, nil
		}
	}
	short := func(c *gateway.Config) { c.TimeLimit = 20 * time.Millisecond }
	good := []string{"Authorization", "Bearer good"}
	csv := append([]string{"Content-Type", "text/csv"}, good...)
	for name, c := range map[string]struct {
		handler              httpapi.Handler
		change               []func(*gateway.Config)
		method, target, body string
		headers              []string
		status               int
		message              string
	}{
		"unknown route":       {ok, nil, "POST", "/nothing", "", nil, 404, "Not Found"},
		"unknown method":      {ok, nil, "DELETE", "/api/profiles", "", good, 404, "Not Found"},
		"no token":            {ok, nil, "GET", "/api/profiles", "", nil, 401, "Unauthorized"},
		"bad token":           {ok, nil, "GET", "/api/profiles", "", []string{"Authorization", "Bearer bad"}, 401, "Unauthorized"},
		"other scheme":        {ok, nil, "GET", "/api/profiles", "", []string{"Authorization", "Basic good"}, 401, "Unauthorized"},
		"no scope":            {ok, nil, "GET", "/api/narrow", "", good, 403, "Forbidden"},
		"10 MB":               {ok, nil, "POST", "/api/profile-imports", strings.Repeat("a", 10<<20+1), csv, 413, "Request Entity Too Large"},
		"too much for Lambda": {ok, nil, "POST", "/api/profile-imports", strings.Repeat("a", 6291556), csv, 413, "Request Entity Too Large"},
		"too much escaped":    {ok, nil, "POST", "/api/profile-imports", strings.Repeat(`"`, 4<<20), csv, 413, "Request Entity Too Large"},
		"too much as base64":  {ok, nil, "POST", "/api/profile-imports", strings.Repeat("a", 5<<20), good, 413, "Request Entity Too Large"},
		"panic": {func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
			panic("x")
		},
			nil, "GET", "/api/profiles", "", good, 500, "Internal Server Error"},
		"error": {func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
			return events.APIGatewayV2HTTPResponse{StatusCode: 200}, errors.New("x")
		}, nil, "GET", "/api/profiles", "", good, 500, "Internal Server Error"},
		"no status":     {reply(events.APIGatewayV2HTTPResponse{}), nil, "GET", "/", "", nil, 500, "Internal Server Error"},
		"bad base64":    {reply(events.APIGatewayV2HTTPResponse{StatusCode: 200, Body: "%", IsBase64Encoded: true}), nil, "GET", "/", "", nil, 500, "Internal Server Error"},
		"reply too big": {reply(events.APIGatewayV2HTTPResponse{StatusCode: 200, Body: strings.Repeat("a", 6291557)}), nil, "GET", "/", "", nil, 500, "Internal Server Error"},
		"too slow":      {slow, []func(*gateway.Config){short}, "GET", "/api/profiles", "", good, 503, "Service Unavailable"},
		"function's own limit": {slow, []func(*gateway.Config){func(c *gateway.Config) {
			for i := range c.Table.Functions {
				c.Table.Functions[i].Timeout = 20 * time.Millisecond
			}
		}}, "GET", "/", "", nil, 500, "Internal Server Error"},
		"throttled": {ok, []func(*gateway.Config){func(c *gateway.Config) { c.Throttle = &gateway.Throttle{Rate: 1} }}, "GET", "/", "", nil, 429, "Too Many Requests"},
	} {
		t.Run(name, func(t *testing.T) {
			out := ask(t, build(t, c.handler, c.change...), c.method, c.target, c.body, c.headers...)
			if got, want := text(t, out), `{"message":"`+c.message+`"}`; out.StatusCode != c.status || got != want {
				t.Errorf("%d %s, want %d %s", out.StatusCode, got, c.status, want)
			}
			if got := out.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q", got)
			}
			if got := out.Header.Get("Www-Authenticate"); (got == "Bearer") != (c.status == 401) {
				t.Errorf("Www-Authenticate %q", got)
			}
			if got := out.Header.Get("Apigw-Requestid"); got != "AAAAAAAAAAAAAAA=" {
				t.Errorf("request id %q", got)
			}
		})
	}
}

func TestBodiesThatFit(t *testing.T) {
	var size int
	g := build(t, func(_ context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		size = len(e.Body)
		return ok(nil, e)
	})
	for _, n := range []int{0, 1, 4 << 20, 6<<20 - 8<<10} {
		out := ask(t, g, "POST", "/api/profile-imports", strings.Repeat("a", n), "Authorization", "good", "Content-Type", "text/csv")
		if out.StatusCode != 200 || size != n {
			t.Errorf("%d: %d, %d arrived", n, out.StatusCode, size)
		}
	}
}

// TestWhatIsText is the table measured on AWS (see isText).
func TestWhatIsText(t *testing.T) {
	for kind, isText := range map[string]bool{
		"application/json": true, "application/json; charset=utf-8": true, "APPLICATION/JSON": true, "text/csv": true, "text/plain": true,
		"application/xml": true, "application/javascript": true,
		"": false, "application/x-www-form-urlencoded": false, "application/octet-stream": false, "application/problem+json": false,
		"multipart/form-data; boundary=x": false, "image/png": false, "nonsense": false,
	} {
		var got events.APIGatewayV2HTTPRequest
		g := build(t, func(_ context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
			got = e
			return ok(nil, e)
		})
		ask(t, g, "POST", "/portal/acme/sign-in", "a=ü", "Content-Type", kind)
		want := "a=ü"
		if !isText {
			want = base64.StdEncoding.EncodeToString([]byte(want))
		}
		if got.Body != want || got.IsBase64Encoded == isText {
			t.Errorf("%q: %q, base64 %v", kind, got.Body, got.IsBase64Encoded)
		}
	}
}

func TestReplies(t *testing.T) {
	send := func(r events.APIGatewayV2HTTPResponse) *http.Response {
		return ask(t, build(t, func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
			return r, nil
		}), "GET", "/", "")
	}
	out := send(events.APIGatewayV2HTTPResponse{StatusCode: 303, Headers: map[string]string{"location": "/portal/acme", "ETag": `"3"`, "Content-Length": "999", "connection": "close", "apigw-requestid": "mine"},
		Cookies: []string{"a=1; Path=/; Expires=Mon, 23 Nov 2026 15:04:05 GMT", "b=2"}})
	want := http.Header{"Location": {"/portal/acme"}, "Etag": {`"3"`}, "Apigw-Requestid": {"AAAAAAAAAAAAAAA="},
		"Set-Cookie": {"a=1; Path=/; Expires=Mon, 23 Nov 2026 15:04:05 GMT", "b=2"}}
	got := out.Header.Clone()
	if got["Content-Type"] == nil {
		delete(got, "Content-Type")
	}
	if diff := cmp.Diff(want, got); diff != "" || out.StatusCode != 303 {
		t.Errorf("%d %s", out.StatusCode, diff)
	}
	out = send(events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{"Content-Type": "image/png"}, Body: base64.StdEncoding.EncodeToString([]byte{0x89, 0xff}), IsBase64Encoded: true})
	if b := text(t, out); b != "\x89\xff" || out.Header.Get("Content-Type") != "image/png" {
		t.Errorf("%q %v", b, out.Header)
	}
	if out = send(events.APIGatewayV2HTTPResponse{StatusCode: 200, Body: "<html>"}); out.Header.Get("Content-Type") != "text/plain;charset=UTF-8" {
		t.Errorf("guessed %q", out.Header.Get("Content-Type"))
	}
	if out = send(events.APIGatewayV2HTTPResponse{StatusCode: 204}); out.StatusCode != 204 || out.Header.Get("Content-Type") != "" {
		t.Errorf("%d %v", out.StatusCode, out.Header)
	}
}

func TestThrottleRefills(t *testing.T) {
	clock := now()
	g := build(t, ok, func(c *gateway.Config) {
		c.Throttle, c.Now = &gateway.Throttle{Rate: 2, Burst: 3}, func() time.Time { return clock }
	})
	allowed := func() (n int) {
		for range 10 {
			if ask(t, g, "GET", "/", "").StatusCode == 200 {
				n++
			}
		}
		return n
	}
	for i, want := range []int{3, 2, 3} {
		if got := allowed(); got != want {
			t.Errorf("round %d: %d, want %d", i, got, want)
		}
		clock = clock.Add([]time.Duration{time.Second, time.Hour, 0}[i])
	}
}

// TestClientGoneDoesNotStopAFunction: Lambda finishes what it began, and so
// must the local system, or crash tests there would test something else.
func TestClientGoneDoesNotStopAFunction(t *testing.T) {
	result := make(chan error, 1)
	begun := make(chan struct{})
	goOn := make(chan struct{})
	g := build(t, func(ctx context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		close(begun)
		<-goOn
		if lc, there := lambdacontext.FromContext(ctx); !there || lc.AwsRequestID != e.RequestContext.RequestID {
			result <- errors.New("no Lambda context")
		} else {
			result <- ctx.Err()
		}
		return ok(ctx, e)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
	}()
	<-begun
	cancel()
	close(goOn)
	if err := <-result; err != nil {
		t.Error(err)
	}
	<-done
}

func TestNewRefuses(t *testing.T) {
	functions := everywhere(ok)
	delete(functions, "signin")
	if _, err := gateway.New(gateway.Config{Table: table(t), Functions: functions, Authorizer: anyone{}}); err == nil || !strings.Contains(err.Error(), "signin") {
		t.Errorf("a missing function: %v", err)
	}
	if _, err := gateway.New(gateway.Config{Table: table(t), Functions: everywhere(ok)}); err == nil || !strings.Contains(err.Error(), "authorizer") {
		t.Errorf("a missing authorizer: %v", err)
	}
	if _, err := gateway.New(gateway.Config{Table: table(t), Functions: everywhere(ok), Authorizer: anyone{}}); err != nil {
		t.Error(err)
	}
}

func TestOnlyLocal(t *testing.T) {
	h := gateway.OnlyLocal(build(t, ok))
	for host, status := range map[string]int{"localhost": 200, "localhost:8080": 200, "127.0.0.1:8080": 200, "127.9.9.9": 200, "[::1]:8080": 200, "[::1]": 200,
		"evil.example": 403, "evil.example:8080": 403, "localhost.evil.example": 403, "192.0.2.1": 403, "0.0.0.0": 403, "": 403} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%q: %d", host, w.Code)
		}
	}
}

// TestOverTheWire has a real server and client between a typed handler and
// its caller: problem JSON, cookies and HEAD come through as they were made.
func TestOverTheWire(t *testing.T) {
	type in struct {
		ID string `path:"id"`
	}
	var log bytes.Buffer
	profiles := httpapi.Routes{
		"GET /api/profiles/{id}": httpapi.Staff("view_profiles", func(_ context.Context, c httpapi.Caller, v in) (httpapi.Reply[map[string]string], error) {
			return httpapi.Reply[map[string]string]{Body: map[string]string{"id": v.ID, "by": c.Organization + "/" + c.Role}, ETag: httpapi.ETag(7)}, nil
		}),
	}.Handler(httpapi.Config{Log: slog.New(slog.NewJSONHandler(&log, nil))})
	signin := httpapi.Routes{
		"GET /portal/{org}/sign-in": httpapi.Page(func(_ context.Context, r httpapi.PageRequest) (httpapi.PageReply, error) {
			return httpapi.PageReply{HTML: []byte("<p>" + r.Organization), Cookies: []*http.Cookie{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}}}, nil
		}),
	}.Handler(httpapi.Config{Log: slog.New(slog.NewJSONHandler(&log, nil))})
	server := httptest.NewUnstartedServer(nil)
	issuer, err := gateway.NewIssuer(t.TempDir(), "http://"+server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	functions := everywhere(ok)
	functions["profiles"], functions["signin"] = profiles, signin
	g, err := gateway.New(gateway.Config{Table: table(t), Functions: functions, Authorizer: issuer.Verifier()})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/local/", issuer.Handler())
	mux.Handle("/", g)
	server.Config.Handler = mux
	server.Start()
	defer server.Close()

	do := func(method, path, token string) (*http.Response, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		out, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Body.Close()
		return out, text(t, out)
	}
	_, answer := do("GET", "/local/token?role=viewer&organization=acme", "")
	var got struct{ Token string }
	if err := json.Unmarshal([]byte(answer), &got); err != nil || got.Token == "" {
		t.Fatalf("%s: %v", answer, err)
	}
	out, answer := do("GET", "/api/profiles/10%2042", got.Token)
	if out.StatusCode != 200 || answer != `{"by":"acme/viewer","id":"10 42"}` || out.Header.Get("ETag") != `"7"` {
		t.Errorf("%d %s %v", out.StatusCode, answer, out.Header)
	}
	out, answer = do("GET", "/api/profiles/1?x=1", got.Token)
	if out.StatusCode != 400 || !strings.Contains(answer, `"query_unknown"`) || out.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %s", out.StatusCode, answer)
	}
	if out, _ = do("GET", "/api/profiles/1", got.Token+"x"); out.StatusCode != 401 {
		t.Errorf("broken token: %d", out.StatusCode)
	}
	get, page := do("GET", "/portal/acme/sign-in", "")
	head, nothing := do("HEAD", "/portal/acme/sign-in", "")
	if page != "<p>acme" || nothing != "" || get.StatusCode != 200 || head.StatusCode != 200 || len(get.Cookies()) != 2 ||
		get.Header.Get("Content-Security-Policy") == "" || head.Header.Get("Content-Security-Policy") != get.Header.Get("Content-Security-Policy") {
		t.Errorf("GET %d %q, HEAD %d %q", get.StatusCode, page, head.StatusCode, nothing)
	}
}

func BenchmarkGET(b *testing.B) {
	issuer, err := gateway.NewIssuer(b.TempDir(), "http://localhost:8080")
	if err != nil {
		b.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{Table: table(b), Functions: everywhere(ok), Authorizer: issuer.Verifier()})
	if err != nil {
		b.Fatal(err)
	}
	token, err := issuer.Token("acme", "viewer")
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/api/profiles/1042", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if g.ServeHTTP(w, r); w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}
