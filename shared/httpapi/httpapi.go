// Package httpapi stands between API Gateway and the functions: it turns
// events of an HTTP API (payload format 2.0) into typed calls and what they
// return into replies. Nothing else in the system knows about HTTP, and the
// table from problem.Kind to status is here alone.
//
// # Routes
//
// A function lists its routes under API Gateway's route keys and makes one
// [Handler] of them:
//
//	httpapi.Routes{
//		"GET /api/profiles/{id}":    httpapi.Staff(organization.ViewProfiles, s.read),
//		"PATCH /api/profiles/{id}":  httpapi.Staff(organization.EditProfiles, s.edit),
//		"POST /api/profile-imports": httpapi.Staff(organization.EditProfiles, s.load).Limit(httpapi.ImportLimit),
//		"GET /api/sign-in":          httpapi.Public(s.signIn),
//		"GET /portal/{org}/sign-in": httpapi.Page(s.signInPage),
//	}.Handler(httpapi.Config{Log: log})
//
// A key that begins with HEAD needs no entry: the GET beside it answers,
// without its body.
//
// # Input
//
// The input of [Staff] and [Public] is a struct that says where each field
// comes from; what is not named there cannot be sent:
//
//	type edit struct {
//		ID      string                 `path:"id"`
//		Version httpapi.Version        `header:"if-match"` // always required
//		Key     httpapi.IdempotencyKey `header:"idempotency-key,required"`
//		Check   bool                   `query:"check"`
//		Body    profile.Edit           `body:"json"`
//	}
//
// A path, query or header field is a string, int, bool, []string (repeated or
// with commas), a pointer to one of the first three, or an
// encoding.TextUnmarshaler such as time.Time, [Version], [IdempotencyKey] or
// [Cursor]. Structs may be embedded. A body is "json" (see
// [DecodeJSON]) or "csv" (string or []byte, as sent).
//
// # Output
//
// A returned value is sent as JSON with status 200, an empty struct as 204;
// [Reply] and [CSV] say more. A returned error is rendered as problem JSON
// (RFC 9457); one that is no *problem.Problem is logged and answered 500
// without its text.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/memberkey/memberkey/shared/problem"
)

// Handler answers one event. Its error is always nil: API Gateway would turn
// an error into a reply that we did not write.
type Handler func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error)

// Routes maps API Gateway route keys, such as "GET /api/profiles/{id}", to
// what answers them.
type Routes map[string]Route

// Route answers the requests of one route key. Make one with [Staff],
// [Public], [Page] or [Files.Below].
type Route struct {
	serve func(context.Context, *call) (response, error)
	// fail renders the problem that serve returned.
	fail  func(context.Context, *call, *problem.Problem) response
	limit int
}

// Limits of bodies, in bytes.
const (
	// DefaultLimit holds for JSON routes.
	DefaultLimit = 256 << 10
	// FormLimit holds for pages, and for JSON routes that lead to a hash (A16).
	FormLimit = 8 << 10
	// ImportLimit is for routes that take whole files.
	ImportLimit = 4 << 20
)

// Limit returns r with another limit for its body, in bytes.
func (r Route) Limit(bytes int) Route {
	r.limit = bytes
	return r
}

// Config is what all routes of a function share. The zero value works for
// functions without pages that change anything.
type Config struct {
	// Log gets one line per request; nil means slog.Default().
	Log *slog.Logger
	// GroupClaim names the claim that holds "{organization}:{role}"; empty
	// means "cognito:groups".
	GroupClaim string
	// Origin gives an organization's configured portal origin, such as
	// "https://members.example.org". It is asked when a browser's POST to a
	// page does not say that it comes from the same origin; without it such a
	// POST is refused.
	Origin func(ctx context.Context, organization string) (string, error)
	// ErrorPage renders what a page route answers for an error; nil means a
	// plain page.
	ErrorPage func(ctx context.Context, e ErrorPage) []byte
	// InlineScripts and InlineStyles are the CSP hashes, such as
	// "sha256-…", of what pages carry inline.
	InlineScripts, InlineStyles []string
	// Now is the clock of the log's durations; nil means time.Now.
	Now func() time.Time
}

// call is one request on its way through a route.
type call struct {
	event  *events.APIGatewayV2HTTPRequest
	config *Config
	limit  int
	// organization is known once the caller is; it is for the log.
	organization string
}

// response is a reply before it takes API Gateway's form.
type response struct {
	status  int
	header  http.Header
	cookies []*http.Cookie
	body    []byte
	binary  bool // body is no text and travels as base64
}

// Handler makes one handler of the routes. It logs one line per request: the
// route, never the path, for a path can hold a token.
func (r Routes) Handler(c Config) Handler {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.GroupClaim == "" {
		c.GroupClaim = "cognito:groups"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return func(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		begun := c.Now()
		route, found := r.find(event.RouteKey)
		k := &call{event: &event, config: &c, limit: route.limit}
		reply, p := k.answer(ctx, route, found)
		if event.RequestContext.HTTP.Method == http.MethodHead {
			reply.body, reply.binary = nil, false
		}
		k.log(ctx, reply.status, p, c.Now().Sub(begun))
		return reply.event(), nil
	}
}

func (r Routes) find(key string) (Route, bool) {
	if route, ok := r[key]; ok {
		return route, true
	}
	if path, ok := strings.CutPrefix(key, "HEAD "); ok {
		route, ok := r["GET "+path]
		return route, ok
	}
	return Route{}, false
}

// answer serves the request and renders what went wrong; the problem is for
// the log.
func (k *call) answer(ctx context.Context, route Route, found bool) (response, *problem.Problem) {
	if !found {
		// Only a template that knows more routes than the function can get here.
		p := problem.New(problem.NotFound, "route_unknown", "", "There is nothing at this address.")
		return jsonProblem(ctx, k, p), p
	}
	reply, err := k.guard(func() (response, error) { return route.serve(ctx, k) })
	if err == nil {
		return reply, nil
	}
	p := problem.As(err)
	if p.Kind == problem.Internal && errors.Is(err, context.DeadlineExceeded) {
		// Too many at once: nobody is to blame, and the same may succeed later.
		p = problem.New(problem.Busy, "busy", "", "This takes too long at the moment, because many people are here. Please try again.").Because(err)
	}
	reply, err = k.guard(func() (response, error) { return route.fail(ctx, k, p), nil })
	if err != nil { // the error page itself is broken
		p = problem.As(err)
		reply = jsonProblem(ctx, k, p)
	}
	return reply, p
}

// guard turns a panic of f into an internal error that carries the stack.
func (k *call) guard(f func() (response, error)) (reply response, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = problem.As(&panicked{value: v, stack: debug.Stack()})
		}
	}()
	return f()
}

// panicked is a recovered panic. Its text is that of a run-time error or the
// value's type alone, for a value may hold what was typed.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string {
	if e, ok := p.value.(runtime.Error); ok {
		return "panic: " + e.Error()
	}
	return fmt.Sprintf("panic: %T", p.value)
}
