// Package gateway answers HTTP on loopback as an API Gateway HTTP API would
// (payload format 2.0): the routes come from the same template.yaml, the
// functions see the same events, and what API Gateway itself answers has the
// same bytes. A route that the template lacks therefore fails here too.
//
//	table, err := gateway.Read(template)
//	issuer, err := gateway.NewIssuer(folder, "http://localhost:8080")
//	handler, err := gateway.New(gateway.Config{Table: table, Functions: functions, Authorizer: issuer.Verifier()})
//
// Where AWS documents nothing, captures from real APIs decided; the comments
// name them. This package listens nowhere: who starts a server with it must
// bind it to loopback, and [OnlyLocal] keeps other sites' pages out.
package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/memberkey/memberkey/shared/httpapi"
)

const (
	// maxBody is API Gateway's payload quota, 10 MB, not to be raised.
	// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
	maxBody = 10 << 20
	// maxEvent is what Lambda takes and gives in one synchronous invocation,
	// as its own error says: "exceeded maximum allowed payload size (6291556 bytes)".
	maxEvent = 6291556
	// maxTime is API Gateway's longest integration timeout.
	maxTime = 30 * time.Second
)

// Config is what a gateway is made of.
type Config struct {
	Table      *Table
	Functions  map[string]httpapi.Handler // by Function.Name
	Authorizer Authorizer                 // for the routes that are not public
	Throttle   *Throttle                  // nil means no limit
	Log        *slog.Logger               // nil means slog.Default()
	Now        func() time.Time           // nil means time.Now
	Rand       io.Reader                  // request ids; nil means crypto/rand
	// TimeLimit shortens API Gateway's 30 s; 0 leaves them.
	TimeLimit time.Duration
}

// Authorizer is API Gateway's JWT authorizer.
type Authorizer interface {
	// Authorize verifies a bearer token. Any error means 401, whatever it says.
	Authorize(token string) (Identity, error)
}

// Identity is what a verified token says.
type Identity struct {
	Claims map[string]string // flattened, see [Flatten]
	Scopes []string
}

// Throttle is API Gateway's token bucket: Rate requests a second on average,
// Burst at once.
type Throttle struct {
	Rate  float64
	Burst int

	mu     sync.Mutex
	left   float64
	filled time.Time
}

func (t *Throttle) take(now time.Time) bool {
	if t == nil {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.filled.IsZero() {
		t.left = float64(t.Burst)
	} else {
		t.left = min(float64(t.Burst), t.left+now.Sub(t.filled).Seconds()*t.Rate)
	}
	t.filled = now
	if t.left < 1 {
		return false
	}
	t.left--
	return true
}

type gateway struct {
	Config
	timeouts map[string]time.Duration
}

// New makes the gateway. It is an error if a route's function is missing or a
// route needs an authorizer and there is none.
//
// The event's paths are decoded, path parameters included, and end at a
// decoded "?": that is what a real HTTP API delivers in rawPath
// (github.com/hotsock/voker, vokerhttp/testdata/apigwv2-request.json, captured
// 2026-07-10; github.com/middleapi/standard-server/pull/93). So an encoded
// slash separates segments here. The query string stays as sent.
func New(c Config) (http.Handler, error) {
	g := &gateway{Config: c, timeouts: map[string]time.Duration{}}
	for _, f := range c.Table.Functions {
		g.timeouts[f.Name] = f.Timeout
	}
	for _, r := range c.Table.Routes {
		if c.Functions[r.Function] == nil {
			return nil, fmt.Errorf("gateway: %s: there is no function %q", r.Key(), r.Function)
		}
		if !r.Public && c.Authorizer == nil {
			return nil, fmt.Errorf("gateway: %s needs an authorizer", r.Key())
		}
	}
	if g.Log == nil {
		g.Log = slog.Default()
	}
	if g.Now == nil {
		g.Now = time.Now
	}
	if g.Rand == nil {
		g.Rand = rand.Reader
	}
	g.TimeLimit = min(cmp.Or(g.TimeLimit, maxTime), maxTime)
	return g, nil
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := g.Now()
	id := g.requestID()
	w.Header().Set("Apigw-Requestid", id)
	path, _, _ := strings.Cut(r.URL.Path, "?")
	route, parameters, ok := g.Table.Match(r.Method, path)
	if !ok {
		answer(w, http.StatusNotFound, "Not Found")
		return
	}
	if !g.Throttle.take(now) {
		answer(w, http.StatusTooManyRequests, "Too Many Requests")
		return
	}
	var identity *Identity
	if !route.Public {
		who, err := g.Authorizer.Authorize(bearer(r.Header.Get("Authorization")))
		if err != nil {
			w.Header().Set("Www-Authenticate", "Bearer")
			answer(w, http.StatusUnauthorized, "Unauthorized")
			return
		}
		if len(route.Scopes) > 0 && !slices.ContainsFunc(route.Scopes, func(s string) bool { return slices.Contains(who.Scopes, s) }) {
			answer(w, http.StatusForbidden, "Forbidden")
			return
		}
		identity = &who
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			answer(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		} else {
			answer(w, http.StatusBadRequest, "Bad Request")
		}
		return
	}
	e := newEvent(r, route, path, parameters, identity, body, id, now)
	if tooLarge(e) {
		// Lambda refuses such an event. What API Gateway makes of that for an
		// HTTP API is not documented; 413 is what it makes of it for a REST API.
		answer(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}
	g.invoke(w, r, route, e)
}

// invoke runs the function and writes what it returns. The function runs on
// when the client has gone or the time is over: Lambda would not stop either.
func (g *gateway) invoke(w http.ResponseWriter, r *http.Request, route Route, e *events.APIGatewayV2HTTPRequest) {
	limit := g.TimeLimit
	own := g.timeouts[route.Function]
	if own > 0 {
		limit = min(limit, own)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), limit)
	defer cancel()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: e.RequestContext.RequestID})
	type result struct {
		reply events.APIGatewayV2HTTPResponse
		err   error
	}
	done := make(chan result, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- result{err: fmt.Errorf("panic: %T", v)}
			}
		}()
		reply, err := g.Functions[route.Function](ctx, *e)
		done <- result{reply, err}
	}()
	var out result
	select {
	case out = <-done:
	case <-ctx.Done():
	}
	switch {
	case ctx.Err() != nil: // what comes at the last moment comes too late
		g.Log.Error("function timed out", "function", route.Function, "route", route.Key(), "seconds", limit.Seconds())
		if own > 0 && own <= g.TimeLimit { // Lambda gave up: a failed invocation
			answer(w, http.StatusInternalServerError, "Internal Server Error")
		} else {
			answer(w, http.StatusServiceUnavailable, "Service Unavailable")
		}
		return
	case out.err == nil:
		out.err = write(w, &out.reply)
	}
	if out.err != nil {
		g.Log.Error("function failed", "function", route.Function, "route", route.Key(), "error", out.err.Error())
		answer(w, http.StatusInternalServerError, "Internal Server Error")
	}
}

// answer is what API Gateway says itself.
func answer(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, `{"message":"`+message+`"}`)
}

// requestID looks like API Gateway's: 15 characters of base64 and a "=".
func (g *gateway) requestID() string {
	var b [11]byte
	io.ReadFull(g.Rand, b[:]) // an id, not a secret; crypto/rand never fails
	return base64.URLEncoding.EncodeToString(b[:])
}

// bearer takes the token out of an Authorization header. API Gateway takes it
// with or without the scheme.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
func bearer(header string) string {
	if scheme, token, ok := strings.Cut(header, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return header
}

// newEvent describes a request as API Gateway does.
func newEvent(r *http.Request, route Route, path string, parameters map[string]string, who *Identity, body []byte, id string, now time.Time) *events.APIGatewayV2HTTPRequest {
	ip, _, _ := net.SplitHostPort(r.RemoteAddr)
	host, port := splitHost(r.Host)
	e := &events.APIGatewayV2HTTPRequest{
		Version:        "2.0",
		RouteKey:       route.Key(),
		RawPath:        path,
		RawQueryString: r.URL.RawQuery,
		Headers:        make(map[string]string, len(r.Header)+4),
		PathParameters: parameters,
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey:     route.Key(),
			AccountID:    "000000000000",
			APIID:        "local",
			Stage:        "$default",
			RequestID:    id,
			DomainName:   host,
			DomainPrefix: strings.SplitN(host, ".", 2)[0],
			Time:         now.UTC().Format("02/Jan/2006:15:04:05 +0000"),
			TimeEpoch:    now.UnixMilli(),
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method: r.Method, Path: path, Protocol: r.Proto, SourceIP: ip, UserAgent: r.UserAgent(),
			},
		},
	}
	for name, values := range r.Header {
		lower := strings.ToLower(name)
		if lower == "cookie" {
			for _, line := range values {
				for c := range strings.SplitSeq(line, ";") {
					if c = strings.TrimSpace(c); c != "" {
						e.Cookies = append(e.Cookies, c)
					}
				}
			}
			continue
		}
		e.Headers[lower] = strings.Join(values, ",")
	}
	// What a client sends under these names never arrives unchanged.
	e.Headers["host"] = r.Host
	e.Headers["x-forwarded-for"] = ip
	if seen := r.Header.Values("X-Forwarded-For"); len(seen) > 0 {
		e.Headers["x-forwarded-for"] = strings.Join(append(slices.Clone(seen), ip), ", ")
	}
	e.Headers["x-forwarded-port"] = cmp.Or(port, "80")
	e.Headers["x-forwarded-proto"] = "http"
	if query, err := url.ParseQuery(r.URL.RawQuery); err == nil && len(query) > 0 {
		e.QueryStringParameters = make(map[string]string, len(query))
		for name, values := range query {
			e.QueryStringParameters[name] = strings.Join(values, ",")
		}
	}
	if len(body) > 0 {
		e.Headers["content-length"] = fmt.Sprint(len(body))
		if isText(r.Header.Get("Content-Type")) {
			e.Body = strings.ToValidUTF8(string(body), "\ufffd")
		} else {
			e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
		}
	}
	if who != nil {
		jwt := &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{Claims: maps.Clone(who.Claims)}
		if len(route.Scopes) > 0 { // measured: null unless the route asks for scopes (github.com/floci-io/floci/pull/2011)
			jwt.Scopes = slices.Clone(who.Scopes)
		}
		e.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{JWT: jwt}
	}
	return e
}

// splitHost takes a Host header apart; the port may be missing.
func splitHost(header string) (host, port string) {
	if host, port, err := net.SplitHostPort(header); err == nil {
		return host, port
	}
	return strings.Trim(header, "[]"), ""
}

// isText says whether a body travels as it is. Everything else is base64, and
// that includes forms and bodies without a type, as measured on AWS
// (github.com/ministackorg/ministack/pull/766).
func isText(contentType string) bool {
	kind, _, _ := mime.ParseMediaType(contentType)
	switch kind {
	case "application/json", "application/xml", "application/javascript":
		return true
	}
	return strings.HasPrefix(kind, "text/")
}

func tooLarge(e *events.APIGatewayV2HTTPRequest) bool {
	if len(e.Body) < maxEvent/6-16<<10 { // no escaping makes a byte longer than 6
		return false
	}
	var count counter
	return json.NewEncoder(&count).Encode(e) != nil || int(count) > maxEvent
}

type counter int

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

// owned are headers of the connection; a function cannot set them.
var owned = []string{"Connection", "Content-Length", "Date", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Apigw-Requestid"}

// write sends a function's reply, or says why it is none.
func write(w http.ResponseWriter, out *events.APIGatewayV2HTTPResponse) error {
	if out.StatusCode < 200 || out.StatusCode > 599 {
		return fmt.Errorf("reply has status %d", out.StatusCode)
	}
	if len(out.Body) > maxEvent {
		return fmt.Errorf("reply has %d bytes; Lambda gives at most %d", len(out.Body), maxEvent)
	}
	body := []byte(out.Body)
	if out.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(out.Body); err != nil {
			return fmt.Errorf("reply: %w", err)
		}
	}
	h := w.Header()
	for name, value := range out.Headers {
		if name = http.CanonicalHeaderKey(name); !slices.Contains(owned, name) {
			h.Set(name, value)
		}
	}
	for _, c := range out.Cookies {
		h.Add("Set-Cookie", c)
	}
	if h.Get("Content-Type") == "" {
		h["Content-Type"] = nil // keeps net/http from guessing one
		if len(body) > 0 {
			h.Set("Content-Type", "text/plain;charset=UTF-8")
		}
	}
	w.WriteHeader(out.StatusCode)
	_, _ = w.Write(body) // a client that went away is no fault of the function
	return nil
}

// OnlyLocal refuses requests that do not name this machine as their host. A
// page of another site cannot then reach the local system by pointing its own
// name at loopback (DNS rebinding).
func OnlyLocal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _ := splitHost(r.Host)
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			answer(w, http.StatusForbidden, "Forbidden")
			return
		}
		next.ServeHTTP(w, r)
	})
}
