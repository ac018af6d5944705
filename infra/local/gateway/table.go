package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Table is what a template says about its functions and their routes.
type Table struct {
	Functions []Function // in the template's order
	Routes    []Route    // the most specific first
}

// Function is one AWS::Serverless::Function.
type Function struct {
	LogicalID string        // "ProfilesFunction"
	Name      string        // its folder under functions/: "profiles"
	Timeout   time.Duration // 0 where the template does not say it in plain seconds
}

// Route is one HttpApi event of a function.
type Route struct {
	Function string   // the function's Name
	Event    string   // the event's name in the template
	Method   string   // "GET", …, or "ANY"
	Path     string   // "/api/profiles/{id}"
	Public   bool     // no authorizer: anybody may call it
	Scopes   []string // the token must have one of them, if there are any

	segments []segment
}

// Key is API Gateway's route key, "GET /api/profiles/{id}".
func (r Route) Key() string { return r.Method + " " + r.Path }

// segment is one part of a path pattern. Its kinds are in order of preference.
type segment struct {
	kind segmentKind
	text string // the literal, or the parameter's name
}

type segmentKind int

const (
	literal segmentKind = iota
	parameter
	greedy
)

var (
	stem     = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	variable = regexp.MustCompile(`^\{([A-Za-z0-9_.-]+)(\+?)\}$`)
	methods  = []string{"ANY", http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
)

// folder gives the folder of a function: ProfilesFunction is in profiles,
// ProfileImportsFunction in profile-imports.
func folder(logicalID string) string {
	return strings.ToLower(stem.ReplaceAllString(strings.TrimSuffix(logicalID, "Function"), "$1-$2"))
}

// Of the template only this is read; intrinsic functions such as !Ref stay
// nodes, for their tags mean nothing to yaml.
type (
	template struct {
		Globals struct {
			Function functionProperties `yaml:"Function"`
			HTTPAPI  apiProperties      `yaml:"HttpApi"`
		} `yaml:"Globals"`
		Resources yaml.Node `yaml:"Resources"`
	}
	resource struct {
		Type       string    `yaml:"Type"`
		Properties yaml.Node `yaml:"Properties"`
	}
	functionProperties struct {
		Timeout yaml.Node `yaml:"Timeout"`
		Events  yaml.Node `yaml:"Events"`
	}
	apiProperties struct {
		Auth authProperties `yaml:"Auth"`
	}
	authProperties struct {
		DefaultAuthorizer yaml.Node `yaml:"DefaultAuthorizer"`
	}
	event struct {
		Type       string `yaml:"Type"`
		Properties struct {
			Path   yaml.Node `yaml:"Path"`
			Method yaml.Node `yaml:"Method"`
			APIID  yaml.Node `yaml:"ApiId"`
			Auth   struct {
				Authorizer yaml.Node `yaml:"Authorizer"`
				Scopes     []string  `yaml:"AuthorizationScopes"`
			} `yaml:"Auth"`
		} `yaml:"Properties"`
	}
)

// Read takes the routes out of a SAM template. A route that API Gateway would
// refuse, or would answer otherwise than we could, is an error here.
func Read(text []byte) (*Table, error) {
	var t template
	if err := yaml.Unmarshal(text, &t); err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	table := &Table{}
	apis := map[string]bool{"": !t.Globals.HTTPAPI.Auth.DefaultAuthorizer.IsZero()} // logical id -> has a default authorizer
	timeouts := map[string]yaml.Node{}
	var functions []*yaml.Node
	for name, node := range pairs(&t.Resources) {
		var r resource
		if err := node.Decode(&r); err != nil {
			return nil, fmt.Errorf("template: %s: %w", name.Value, err)
		}
		switch r.Type {
		case "AWS::Serverless::HttpApi":
			var p apiProperties
			if err := r.Properties.Decode(&p); err != nil {
				return nil, fmt.Errorf("template: %s: %w", name.Value, err)
			}
			apis[name.Value] = apis[""] || !p.Auth.DefaultAuthorizer.IsZero()
		case "AWS::Serverless::Function":
			var p functionProperties
			if err := r.Properties.Decode(&p); err != nil {
				return nil, fmt.Errorf("template: %s: %w", name.Value, err)
			}
			if p.Timeout.IsZero() {
				p.Timeout = t.Globals.Function.Timeout
			}
			timeouts[name.Value] = p.Timeout
			functions = append(functions, name, &p.Events)
		}
	}
	for i := 0; i < len(functions); i += 2 {
		id := functions[i].Value
		f := Function{LogicalID: id, Name: folder(id)}
		timeout := timeouts[id]
		if n, err := strconv.Atoi(timeout.Value); err == nil && plain(&timeout) {
			f.Timeout = time.Duration(n) * time.Second
		}
		table.Functions = append(table.Functions, f)
		for name, node := range pairs(functions[i+1]) {
			var e event
			if err := node.Decode(&e); err != nil {
				return nil, fmt.Errorf("template: %s.%s: %w", id, name.Value, err)
			}
			if e.Type != "HttpApi" {
				continue
			}
			route, err := newRoute(f, name.Value, &e, apis)
			if err != nil {
				return nil, fmt.Errorf("template: %s.%s: %w", id, name.Value, err)
			}
			table.Routes = append(table.Routes, route)
		}
	}
	slices.SortStableFunc(table.Routes, bySpecificity)
	for i := 1; i < len(table.Routes); i++ {
		if bySpecificity(table.Routes[i-1], table.Routes[i]) == 0 {
			return nil, fmt.Errorf("template: %s (%s) and %s (%s) are the same route",
				table.Routes[i-1].Key(), table.Routes[i-1].Function, table.Routes[i].Key(), table.Routes[i].Function)
		}
	}
	return table, nil
}

func newRoute(f Function, name string, e *event, apis map[string]bool) (Route, error) {
	p := &e.Properties
	if !plain(&p.Path) || !plain(&p.Method) {
		return Route{}, errors.New("the path and the method must be written out")
	}
	r := Route{Function: f.Name, Event: name, Method: strings.ToUpper(p.Method.Value), Path: p.Path.Value, Scopes: p.Auth.Scopes}
	if !slices.Contains(methods, r.Method) {
		return Route{}, fmt.Errorf("unknown method %q", p.Method.Value)
	}
	api := ""
	if !p.APIID.IsZero() {
		api = reference(&p.APIID)
	}
	authorized, ok := apis[api]
	if !ok {
		return Route{}, errors.New("its ApiId names no AWS::Serverless::HttpApi of this template")
	}
	// Without an ApiId SAM takes the implicit API, which only Globals describe.
	if !p.Auth.Authorizer.IsZero() {
		authorized = p.Auth.Authorizer.Value != "NONE"
	}
	r.Public = !authorized
	var err error
	r.segments, err = parse(r.Path)
	return r, err
}

// parse reads a path pattern.
func parse(path string) ([]segment, error) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return nil, fmt.Errorf("path %q does not begin with a slash", path)
	}
	if rest == "" {
		return nil, nil
	}
	var list []segment
	names := map[string]bool{}
	parts := strings.Split(rest, "/")
	for i, part := range parts {
		s := segment{text: part}
		if m := variable.FindStringSubmatch(part); m != nil {
			s.kind, s.text = parameter, m[1]
			if m[2] != "" {
				s.kind = greedy
			}
			if names[s.text] || s.kind == greedy && i < len(parts)-1 {
				return nil, fmt.Errorf("path %q has %s in a wrong place", path, part)
			}
			names[s.text] = true
		} else if part == "" || strings.ContainsAny(part, "{}") {
			return nil, fmt.Errorf("path %q has a wrong part %q", path, part)
		}
		list = append(list, s)
	}
	return list, nil
}

// bySpecificity orders routes as API Gateway prefers them: literal text before
// a parameter before a greedy parameter, from left to right; of the same
// path, a method before ANY. It is 0 for two that could not be told apart.
//
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html#http-api-develop-routes.evaluation
func bySpecificity(a, b Route) int {
	for i := range min(len(a.segments), len(b.segments)) {
		x, y := a.segments[i], b.segments[i]
		if c := cmp.Compare(x.kind, y.kind); c != 0 {
			return c
		}
		if x.kind == literal {
			if c := cmp.Compare(x.text, y.text); c != 0 {
				return c
			}
		}
	}
	if c := cmp.Compare(len(b.segments), len(a.segments)); c != 0 {
		return c
	}
	if c := cmp.Compare(boolean(a.Method == "ANY"), boolean(b.Method == "ANY")); c != 0 {
		return c
	}
	return cmp.Compare(a.Method, b.Method)
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Match finds the route of a request and the values of its path parameters.
// The path is decoded, as API Gateway decodes it before it looks (see [New]).
func (t *Table) Match(method, path string) (Route, map[string]string, bool) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return Route{}, nil, false
	}
	for i := range t.Routes {
		r := &t.Routes[i]
		if r.Method != method && r.Method != "ANY" {
			continue
		}
		if parameters, ok := match(r.segments, rest); ok {
			return *r, parameters, true
		}
	}
	return Route{}, nil, false
}

func match(segments []segment, rest string) (map[string]string, bool) {
	if len(segments) == 0 {
		return nil, rest == ""
	}
	whole := rest
	for i, s := range segments { // compare first, so that a miss costs nothing
		part, after, more := strings.Cut(rest, "/")
		switch {
		case s.kind == greedy:
			if rest == "" {
				return nil, false
			}
			return collect(segments, whole), true
		case part == "" || s.kind == literal && part != s.text || more != (i < len(segments)-1):
			return nil, false
		}
		rest = after
	}
	return collect(segments, whole), true
}

func collect(segments []segment, rest string) map[string]string {
	var values map[string]string
	for _, s := range segments {
		part, after, _ := strings.Cut(rest, "/")
		if s.kind == greedy {
			part = rest
		}
		if s.kind != literal {
			if values == nil {
				values = map[string]string{}
			}
			values[s.text] = part
		}
		rest = after
	}
	return values
}

// pairs yields the entries of a mapping in their order.
func pairs(n *yaml.Node) func(yield func(name, value *yaml.Node) bool) {
	return func(yield func(name, value *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// plain says whether a node is a scalar and no intrinsic function.
func plain(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && strings.HasPrefix(n.ShortTag(), "!!") && n.Value != ""
}

// reference gives X of !Ref X and of {Ref: X}.
func reference(n *yaml.Node) string {
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Value == "Ref" {
		return n.Content[1].Value
	}
	return n.Value
}
