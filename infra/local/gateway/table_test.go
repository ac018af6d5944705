package gateway_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/local/gateway"
)

func table(t testing.TB) *gateway.Table {
	t.Helper()
	text, err := os.ReadFile("testdata/template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	table, err := gateway.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestRead(t *testing.T) {
	got := table(t)
	want := []gateway.Function{
		{LogicalID: "ProfilesFunction", Name: "profiles", Timeout: 10 * time.Second},
		{LogicalID: "ProfileImportsFunction", Name: "profile-imports"},
		{LogicalID: "SigninFunction", Name: "signin", Timeout: 29 * time.Second},
		{LogicalID: "ConsoleFunction", Name: "console", Timeout: time.Second},
		{LogicalID: "FanoutFunction", Name: "fanout", Timeout: 10 * time.Second},
	}
	if diff := cmp.Diff(want, got.Functions); diff != "" {
		t.Error(diff)
	}
	var routes []string
	for _, r := range got.Routes {
		line := r.Key() + " > " + r.Function + "." + r.Event
		if r.Public {
			line += " public"
		}
		if r.Scopes != nil {
			line += " " + strings.Join(r.Scopes, "|")
		}
		routes = append(routes, line)
	}
	wantRoutes := []string{
		"ANY /any/{proxy+} > console.Any public",
		"GET /api/narrow > profiles.Narrow profiles|everything",
		"POST /api/profile-imports > profile-imports.Load",
		"GET /api/profiles/mine > profiles.Mine",
		"GET /api/profiles/{id}/access > profiles.Access",
		"GET /api/profiles/{id} > profiles.Read",
		"GET /api/profiles > profiles.Find",
		"POST /api/profiles > profiles.Create",
		"GET /api/{kind}/mine/deep > profiles.Deep",
		"GET /portal/{org}/sign-in > signin.Page public",
		"HEAD /portal/{org}/sign-in > signin.Head public",
		"POST /portal/{org}/sign-in > signin.Post public",
		"GET /{proxy+} > console.Files public",
		"GET / > console.Front public",
	}
	if diff := cmp.Diff(wantRoutes, routes); diff != "" {
		t.Error(diff)
	}
}

func TestMatch(t *testing.T) {
	table := table(t)
	for _, c := range []struct {
		method, path, key string
		parameters        map[string]string
	}{
		{"GET", "/", "GET /", nil},
		{"GET", "/api/profiles", "GET /api/profiles", nil},
		{"POST", "/api/profiles", "POST /api/profiles", nil},
		{"GET", "/api/profiles/mine", "GET /api/profiles/mine", nil},
		{"GET", "/api/profiles/1042", "GET /api/profiles/{id}", map[string]string{"id": "1042"}},
		{"GET", "/api/profiles/a b", "GET /api/profiles/{id}", map[string]string{"id": "a b"}},
		{"GET", "/api/profiles/mine/access", "GET /api/profiles/{id}/access", map[string]string{"id": "mine"}},
		{"GET", "/api/other/mine/deep", "GET /api/{kind}/mine/deep", map[string]string{"kind": "other"}},
		{"GET", "/api/profiles/", "GET /{proxy+}", map[string]string{"proxy": "api/profiles/"}},
		{"GET", "/api/profiles/1/2/3", "GET /{proxy+}", map[string]string{"proxy": "api/profiles/1/2/3"}},
		{"GET", "/a", "GET /{proxy+}", map[string]string{"proxy": "a"}},
		{"GET", "//", "GET /{proxy+}", map[string]string{"proxy": "/"}},
		{"GET", "/any/thing", "ANY /any/{proxy+}", map[string]string{"proxy": "thing"}},
		{"DELETE", "/any/a/b", "ANY /any/{proxy+}", map[string]string{"proxy": "a/b"}},
		{"HEAD", "/portal/acme/sign-in", "HEAD /portal/{org}/sign-in", map[string]string{"org": "acme"}},
		{"POST", "/portal//sign-in", "", nil},
		{"POST", "/api/profiles/", "", nil},
		{"HEAD", "/", "", nil}, // API Gateway makes no HEAD of a GET
		{"DELETE", "/api/profiles", "", nil},
		{"POST", "/any", "", nil},
		{"POST", "/any/", "", nil},
		{"get", "/", "", nil},
		{"GET", "", "", nil},
		{"GET", "api/profiles", "", nil},
		{"OPTIONS", "*", "", nil},
	} {
		r, parameters, ok := table.Match(c.method, c.path)
		key := ""
		if ok {
			key = r.Key()
		}
		if key != c.key {
			t.Errorf("%s %s: %q, want %q", c.method, c.path, key, c.key)
		}
		if diff := cmp.Diff(c.parameters, parameters); diff != "" {
			t.Errorf("%s %s: %s", c.method, c.path, diff)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	route := func(properties string) string {
		return "Resources:\n  AFunction:\n    Type: AWS::Serverless::Function\n    Properties:\n      Events:\n        E: {Type: HttpApi, Properties: " + properties + "}\n"
	}
	if _, err := gateway.Read([]byte(route("{Path: /a, Method: GET}"))); err != nil {
		t.Fatalf("the base case must pass: %v", err)
	}
	for name, text := range map[string]string{
		"no yaml":           "\t{",
		"intrinsic path":    route("{Path: !Ref P, Method: GET}"),
		"no path":           route("{Method: GET}"),
		"no method":         route("{Path: /a}"),
		"odd method":        route("{Path: /a, Method: FETCH}"),
		"relative":          route("{Path: a, Method: GET}"),
		"open brace":        route(`{Path: "/{a", Method: GET}`),
		"empty part":        route(`{Path: "/a//b", Method: GET}`),
		"trailing slash":    route(`{Path: "/a/", Method: GET}`),
		"greedy in between": route(`{Path: "/{a+}/b", Method: GET}`),
		"twice the name":    route(`{Path: "/{a}/{a}", Method: GET}`),
		"foreign api":       route("{Path: /a, Method: GET, ApiId: !Ref Other}"),
		"same twice": "Resources:\n  AFunction: {Type: 'AWS::Serverless::Function', Properties: {Events: {X: {Type: HttpApi, Properties: {Path: '/{a}', Method: GET}}}}}\n" +
			"  BFunction: {Type: 'AWS::Serverless::Function', Properties: {Events: {X: {Type: HttpApi, Properties: {Path: '/{b}', Method: get}}}}}\n",
	} {
		if _, err := gateway.Read([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestWhoNeedsAToken: a route is public only where the template leaves it so.
func TestWhoNeedsAToken(t *testing.T) {
	const function = "  AFunction: {Type: 'AWS::Serverless::Function', Properties: {Events: {E: {Type: HttpApi, Properties: {Path: /a, Method: GET%s}}}}}\n"
	const globals = "Globals: {HttpApi: {Auth: {DefaultAuthorizer: Staff}}}\n"
	const api = "  Api: {Type: 'AWS::Serverless::HttpApi', Properties: {Auth: {DefaultAuthorizer: Staff}}}\n"
	const open = "  Api: {Type: 'AWS::Serverless::HttpApi', Properties: {StageName: x}}\n"
	for name, c := range map[string]struct {
		text   string
		public bool
	}{
		"nothing said":         {"Resources:\n" + strings.Replace(function, "%s", "", 1), true},
		"default":              {globals + "Resources:\n" + strings.Replace(function, "%s", "", 1), false},
		"default of its api":   {"Resources:\n" + api + strings.Replace(function, "%s", ", ApiId: !Ref Api", 1), false},
		"its api has none":     {"Resources:\n" + open + strings.Replace(function, "%s", ", ApiId: !Ref Api", 1), true},
		"none":                 {globals + "Resources:\n" + strings.Replace(function, "%s", ", Auth: {Authorizer: NONE}", 1), true},
		"own":                  {"Resources:\n" + strings.Replace(function, "%s", ", Auth: {Authorizer: Staff}", 1), false},
		"another api's is not": {"Resources:\n" + api + strings.Replace(function, "%s", "", 1), true},
	} {
		table, err := gateway.Read([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if table.Routes[0].Public != c.public {
			t.Errorf("%s: public %v", name, table.Routes[0].Public)
		}
	}
}

// FuzzMatch: any path is matched without a panic, and what is matched is put
// together from the route and the parameters again.
func FuzzMatch(f *testing.F) {
	for _, p := range []string{"/", "/api/profiles/1", "//", "/any/a/b", "/portal//sign-in", "/{proxy+}", "/api/{id}", "x"} {
		f.Add("GET", p)
	}
	table := table(f)
	f.Fuzz(func(t *testing.T, method, path string) {
		r, parameters, ok := table.Match(method, path)
		if !ok {
			return
		}
		again := "/"
		for i, part := range strings.Split(r.Path[1:], "/") {
			if i > 0 {
				again += "/"
			}
			if strings.HasPrefix(part, "{") {
				value, there := parameters[strings.Trim(part, "{}+")]
				if !there || value == "" {
					t.Fatalf("%s %q: %s is empty", method, path, part)
				}
				part = value
			}
			again += part
		}
		if again != path || r.Method != method && r.Method != "ANY" {
			t.Fatalf("%s %q went to %s as %q", method, path, r.Key(), again)
		}
	})
}
