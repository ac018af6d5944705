package httpapi

import (
	"context"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/memberkey/memberkey/shared/problem"
)

// Values are the parts of a page request by name. They hold tokens and
// passwords, so they never print.
type Values map[string]string

const redacted = "[redacted]"

func (Values) String() string               { return redacted }
func (Values) GoString() string             { return redacted }
func (Values) Format(f fmt.State, _ rune)   { fmt.Fprint(f, redacted) }
func (Values) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Values) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// PageRequest is what a page may know of a request. It has no host and no
// forwarded header on purpose: what is not here cannot end up in a link (H10, A2).
type PageRequest struct {
	Method       string // GET or POST; HEAD arrives as GET
	Organization string // the path's {org}: well-formed, not known to exist
	Path         Values // path parameters, decoded
	Query        Values
	Form         Values // of a POST
	Cookies      Values // the first of each name
	IP           string
	UserAgent    string // at most 512 bytes
	RequestID    string
}

// PageReply is a page, or the way to another one.
type PageReply struct {
	Status   int    // 0 means 200, or 303 where Location is set
	HTML     []byte // nil where Location is set
	Cookies  []*http.Cookie
	Location string // a path of ours; anything else is answered 500 (A19)
	// Logo is the https address of an image on the page; the policy lets its
	// origin in.
	Logo string
}

// ErrorPage is what a page route has to say when it has no page.
type ErrorPage struct {
	Organization string // as in the path; empty where it is not even well-formed
	Status       int
	Code         string
	Detail       string // for people
	RequestID    string // to be told to the help line; empty below 500
}

const (
	hsts        = "max-age=63072000; includeSubDomains"
	permissions = "camera=(), geolocation=(), microphone=(), payment=()"
	maxFields   = 20
	maxAgent    = 512
)

// hostName is what may stand in a policy: no quote, space, semicolon or star.
var hostName = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?$`)

// Page makes a route for people with a browser. Its path has {org}, and {token}
// where the path itself is a secret. A POST that comes from another site never
// reaches fn.
func Page(fn func(context.Context, PageRequest) (PageReply, error)) Route {
	return Route{limit: FormLimit, fail: htmlProblem, serve: func(ctx context.Context, k *call) (response, error) {
		req, err := k.page(ctx)
		if err != nil {
			return response{}, err
		}
		reply, err := fn(ctx, req)
		if err != nil {
			return response{}, err
		}
		return k.pageResponse(reply)
	}}
}

func (k *call) page(ctx context.Context) (PageRequest, error) {
	request := k.event.RequestContext.HTTP
	req := PageRequest{
		Method: request.Method, Organization: k.event.PathParameters["org"], Path: Values(k.event.PathParameters),
		IP: request.SourceIP, UserAgent: strings.ToValidUTF8(request.UserAgent[:min(len(request.UserAgent), maxAgent)], ""),
		RequestID: k.event.RequestContext.RequestID,
	}
	if req.Method == http.MethodHead {
		req.Method = http.MethodGet
	}
	if !slug(req.Organization) {
		return req, problem.New(problem.NotFound, "not_found", "", "There is nothing at this address.")
	}
	k.organization = req.Organization
	if err := k.tooLarge(); err != nil {
		return req, err
	}
	if req.Method != http.MethodGet {
		if err := k.sameOrigin(ctx, req.Organization); err != nil {
			return req, err
		}
	}
	query, err := k.query()
	if err != nil {
		return req, err
	}
	if req.Query, err = single(query, "query"); err != nil {
		return req, err
	}
	if req.Form, err = k.form(); err != nil {
		return req, err
	}
	req.Cookies = k.cookies()
	return req, nil
}

// form reads the fields of a POST.
func (k *call) form() (Values, error) {
	if k.event.Body == "" {
		return Values{}, nil
	}
	if err := k.contentType("application/x-www-form-urlencoded"); err != nil {
		return nil, err
	}
	body, err := k.body()
	if err != nil {
		return nil, err
	}
	fields, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, problem.New(problem.Invalid, "form_invalid", "", "The form did not arrive whole. Please go back and send it again.")
	}
	return single(fields, "form")
}

// single refuses repeated names: two parsers of one form could each take
// another of them (A3).
func single(all url.Values, from string) (Values, error) {
	if len(all) > maxFields {
		return nil, problem.New(problem.Invalid, from+"_invalid", "", "There are too many fields. Please go back and try again.")
	}
	values := make(Values, len(all))
	for name, v := range all {
		if len(v) > 1 {
			return nil, problem.New(problem.Invalid, from+"_repeated", "", "A field is there twice. Please go back and try again.")
		}
		if !utf8.ValidString(name) || !utf8.ValidString(v[0]) {
			return nil, problem.New(problem.Invalid, from+"_invalid", "", "A field is not UTF-8 text. Please go back and try again.")
		}
		values[name] = v[0]
	}
	return values, nil
}

func (k *call) cookies() Values {
	values := Values{}
	for _, line := range k.event.Cookies {
		cookies, err := http.ParseCookie(line)
		if err != nil {
			continue // somebody else's cookie is not our fault
		}
		for _, c := range cookies {
			if _, ok := values[c.Name]; !ok {
				values[c.Name] = c.Value
			}
		}
	}
	return values
}

// sameOrigin is the check of net/http.CrossOriginProtection, except that
// Origin is compared with the organization's configured address and never with
// Host, which the sender chooses (A20).
func (k *call) sameOrigin(ctx context.Context, organization string) error {
	crossOrigin := problem.New(problem.Forbidden, "cross_origin", "", "This form was sent from another site, so nothing has been changed. Please open the page here and try again.")
	switch site, _ := k.header("sec-fetch-site"); site {
	case "same-origin", "none":
		return nil
	case "":
	default:
		return crossOrigin
	}
	origin, _ := k.header("origin")
	switch {
	case origin == "":
		return nil // no browser, so nobody's cookies
	case origin == "null" && k.secretPath():
		return nil // see pageHeader
	case k.config.Origin == nil:
		return crossOrigin
	}
	want, err := k.config.Origin(ctx, organization)
	if err != nil {
		return err
	}
	if want == "" || origin != want {
		return crossOrigin
	}
	return nil
}

// secretPath says whether the page's own address is a secret: whoever can name
// it needs nobody's browser to post to it.
func (k *call) secretPath() bool {
	_, ok := k.event.PathParameters["token"]
	return ok
}

func (k *call) pageResponse(reply PageReply) (response, error) {
	out := response{status: reply.Status, header: k.pageHeader(reply.Logo), cookies: reply.Cookies, body: reply.HTML}
	for _, c := range reply.Cookies {
		if err := c.Valid(); err != nil {
			return response{}, fmt.Errorf("httpapi: cookie: %w", err)
		}
	}
	if reply.Location != "" {
		if !ownPath(reply.Location) {
			return response{}, fmt.Errorf("httpapi: Location is no path of ours")
		}
		out.header.Set("Location", reply.Location)
		if out.status == 0 {
			out.status = http.StatusSeeOther
		}
	}
	if out.status == 0 {
		out.status = http.StatusOK
	}
	return out, nil
}

// pageHeader is the one place where the headers of pages are set.
//
// A page with {token} in its path sends no referrer at all. Under that policy
// browsers say "Origin: null" when the page posts (Fetch standard, "append a
// request Origin header"), so sameOrigin takes null there. Other pages have no
// secret in their address; they name it to themselves alone, so that browsers
// without Sec-Fetch-Site (Safari before 16.4) send a true Origin and null can
// be refused.
func (k *call) pageHeader(logo string) http.Header {
	images := "'self' data:"
	if u, err := url.Parse(logo); err == nil && u.Scheme == "https" && hostName.MatchString(u.Host) {
		images += " https://" + u.Host
	}
	referrer := "same-origin"
	if k.secretPath() {
		referrer = "no-referrer"
	}
	policy := []string{
		"default-src 'none'",
		"script-src " + sources(k.config.InlineScripts),
		"style-src " + sources(k.config.InlineStyles),
		"img-src " + images,
		"form-action 'self'",
		"base-uri 'none'",
		"frame-ancestors 'none'",
	}
	return http.Header{
		"Content-Type":               {"text/html; charset=utf-8"},
		"Content-Security-Policy":    {strings.Join(policy, "; ")},
		"Referrer-Policy":            {referrer},
		"Cache-Control":              {"no-store"},
		"X-Content-Type-Options":     {"nosniff"},
		"X-Robots-Tag":               {"noindex"},
		"Strict-Transport-Security":  {hsts},
		"Cross-Origin-Opener-Policy": {"same-origin"},
		"Permissions-Policy":         {permissions},
	}
}

func sources(hashes []string) string {
	list := []string{"'self'"}
	for _, h := range hashes {
		list = append(list, "'"+h+"'")
	}
	return strings.Join(list, " ")
}

// htmlProblem renders p as a page.
func htmlProblem(ctx context.Context, k *call, p *problem.Problem) response {
	e := ErrorPage{Organization: k.organization, Status: Status(p.Kind), Code: p.Code, Detail: p.Detail}
	if e.Status >= 500 {
		e.RequestID = k.event.RequestContext.RequestID
	}
	header := k.pageHeader("")
	retryAfter(header, p)
	render := k.config.ErrorPage
	if render == nil {
		render = plainErrorPage
	}
	return response{status: e.Status, header: header, body: render(ctx, e)}
}

func plainErrorPage(_ context.Context, e ErrorPage) []byte {
	request := ""
	if e.RequestID != "" {
		request = "<p>If you ask for help, say this: " + html.EscapeString(e.RequestID) + "</p>\n"
	}
	return []byte("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n" +
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Sorry</title>\n<h1>Sorry</h1>\n<p>" +
		html.EscapeString(e.Detail) + "</p>\n" + request + "</html>\n")
}

// slug says whether s has the form of an organization's id: 2 to 40 lower-case
// letters, digits and hyphens. Keys are built from it, so nothing else gets in.
func slug(s string) bool {
	return len(s) >= 2 && len(s) <= 40 && !slices.ContainsFunc([]byte(s), func(c byte) bool {
		return !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-')
	})
}
