// Package contract_test holds infra/openapi.yaml, the public contract, against
// what it promises about: the routes of template.yaml, the Go types that the
// routes take and give, and every stable code in the source. So the contract
// cannot fall behind, and no client breaks unseen.
//
//   - contract_test.go: paths, security, names
//   - openapi_test.go: the document in itself: references, examples, and what
//     API Gateway answers
//   - schema_test.go: the part of JSON Schema that the document uses
//   - routes_test.go, functions_test.go: what routes take, give and ask for
//   - codes_test.go, limits_test.go: stable codes and words, limits, roles
//   - source_test.go: the project's source with its types, for these
//   - live_test.go: a running system, whose every answer must fit
//
// Nothing here leaves the machine.
package contract_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/memberkey/memberkey/infra/local/gateway"
)

const root = "../.."

// contract is openapi.yaml as it stands, and what tests ask of it most.
type contract struct {
	document   map[string]any
	operations map[string]*operation // by route key, "GET /api/me"
}

// operation is one method of one path.
type operation struct {
	key        string // "GET /api/me"
	id         string
	fields     map[string]any
	parameters []map[string]any // of the path and the operation, without references
}

var loadContract = sync.OnceValues(func() (*contract, error) {
	text, err := os.ReadFile(filepath.Join(root, "infra", "openapi.yaml"))
	if err != nil {
		return nil, err
	}
	c := &contract{operations: map[string]*operation{}}
	if err := yaml.Unmarshal(text, &c.document); err != nil {
		return nil, err
	}
	for path, item := range object(c.document["paths"]) {
		for method, fields := range object(item) {
			if method == "parameters" {
				continue
			}
			o := &operation{key: strings.ToUpper(method) + " " + path, fields: object(fields)}
			o.id, _ = o.fields["operationId"].(string)
			for _, list := range []any{object(item)["parameters"], o.fields["parameters"]} {
				for _, p := range array(list) {
					resolved, err := c.resolve(p)
					if err != nil {
						return nil, fmt.Errorf("%s: %w", o.key, err)
					}
					o.parameters = append(o.parameters, resolved)
				}
			}
			c.operations[o.key] = o
		}
	}
	return c, nil
})

func readContract(t *testing.T) *contract {
	t.Helper()
	c, err := loadContract()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// object and array take a value for what it should be; another is nil, which
// holds nothing.
func object(v any) map[string]any { m, _ := v.(map[string]any); return m }
func array(v any) []any           { a, _ := v.([]any); return a }

// words takes a list of texts.
func words(v any) (list []string) {
	for _, item := range array(v) {
		s, _ := item.(string)
		list = append(list, s)
	}
	return list
}

// resolve follows references within the document.
func (c *contract) resolve(v any) (map[string]any, error) {
	for range 10 {
		ref, ok := object(v)["$ref"].(string)
		if !ok {
			if object(v) == nil {
				return nil, fmt.Errorf("%v is no object", v)
			}
			return object(v), nil
		}
		path, ok := strings.CutPrefix(ref, "#/")
		if !ok {
			return nil, fmt.Errorf("%s leads out of the document", ref)
		}
		v = any(c.document)
		for _, name := range strings.Split(path, "/") {
			name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
			next, ok := object(v)[name]
			if !ok {
				return nil, fmt.Errorf("%s leads nowhere", ref)
			}
			v = next
		}
	}
	return nil, fmt.Errorf("references go round in a circle")
}

// listedCode is one line of the table of codes.
type listedCode struct {
	Status  []int  `yaml:"status"`
	Meaning string `yaml:"meaning"`
	Do      string `yaml:"do"`
	Unseen  string `yaml:"unseen"` // why no operation lists it
}

func (c *contract) codes(t *testing.T) map[string]listedCode {
	t.Helper()
	text, err := yaml.Marshal(object(c.document["components"])["x-problem-codes"])
	if err != nil {
		t.Fatal(err)
	}
	var codes map[string]listedCode
	if err := yaml.Unmarshal(text, &codes); err != nil {
		t.Fatal(err)
	}
	if len(codes) == 0 {
		t.Fatal("openapi.yaml lists no codes")
	}
	return codes
}

func readTemplate(t *testing.T) *gateway.Table {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	table, err := gateway.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// consoleFile says whether a route serves the staff client's files, which are
// no part of the contract.
func consoleFile(r gateway.Route) bool { return r.Function == "console" }

func TestPathsAreTheTemplatesRoutes(t *testing.T) {
	c := readContract(t)
	want := map[string]bool{}
	for _, r := range readTemplate(t).Routes {
		if !consoleFile(r) {
			want[r.Key()] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(c.operations))); diff != "" {
		t.Errorf("template.yaml (-) and openapi.yaml (+) disagree:\n%s", diff)
	}
}

func TestSecurityIsTheTemplatesAuthorizer(t *testing.T) {
	c := readContract(t)
	for _, r := range readTemplate(t).Routes {
		o := c.operations[r.Key()]
		if o == nil {
			continue // another test's matter
		}
		security, own := o.fields["security"]
		if !own {
			security = c.document["security"]
		}
		public := len(array(security)) == 0
		if public != r.Public {
			t.Errorf("%s: openapi.yaml says public: %t, template.yaml says %t", r.Key(), public, r.Public)
		}
		for _, one := range array(security) {
			for name := range object(one) {
				if object(object(object(c.document["components"])["securitySchemes"])[name]) == nil {
					t.Errorf("%s: there is no security scheme %s", r.Key(), name)
				}
			}
		}
		if staff := strings.HasPrefix(r.Path, "/api/"); !staff && !r.Public {
			t.Errorf("%s: a member's page asks for a staff token", r.Key())
		}
	}
}

func TestEveryMemberPageAnswersHEAD(t *testing.T) {
	keys := map[string]bool{}
	for _, r := range readTemplate(t).Routes {
		keys[r.Key()] = true
	}
	for key := range keys {
		if path, ok := strings.CutPrefix(key, "GET /portal"); ok && !keys["HEAD /portal"+path] {
			t.Errorf("%s has no HEAD beside it", key)
		}
	}
}

func TestOperationIDs(t *testing.T) {
	c := readContract(t)
	tags := map[string]bool{}
	for _, tag := range array(c.document["tags"]) {
		name, _ := object(tag)["name"].(string)
		tags[name] = true
	}
	seen := map[string]string{}
	for _, r := range readTemplate(t).Routes {
		o := c.operations[r.Key()]
		if o == nil {
			continue
		}
		rest, ok := strings.CutPrefix(o.id, r.Function)
		if !ok || !regexp.MustCompile(`^[A-Z][A-Za-z]+$`).MatchString(rest) {
			t.Errorf("%s: operationId %q is not %s and a verb", r.Key(), o.id, r.Function)
		}
		if r.Method == "HEAD" != strings.HasSuffix(o.id, "Head") {
			t.Errorf("%s: operationId %q", r.Key(), o.id)
		}
		if seen[o.id] != "" {
			t.Errorf("%s and %s are both %s", seen[o.id], r.Key(), o.id)
		}
		seen[o.id] = r.Key()
		if diff := cmp.Diff([]string{r.Function}, words(o.fields["tags"])); diff != "" || !tags[r.Function] {
			t.Errorf("%s: tags (-want +got):\n%s", r.Key(), diff)
		}
		for _, name := range []string{"summary", "description"} {
			if text, _ := o.fields[name].(string); text == "" {
				t.Errorf("%s has no %s", r.Key(), name)
			}
		}
	}
}

// One stem everywhere: functions/profiles is ProfilesFunction.
func TestFunctionNames(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join(root, "functions"))
	if err != nil {
		t.Fatal(err)
	}
	folders := map[string]bool{}
	for _, e := range entries {
		if e.IsDir() {
			folders[e.Name()] = true
		}
	}
	for _, f := range readTemplate(t).Functions {
		if !folders[f.Name] {
			t.Errorf("template.yaml has %s, but there is no functions/%s", f.LogicalID, f.Name)
		}
		if want := logicalID(f.Name); f.LogicalID != want {
			t.Errorf("functions/%s is %s in template.yaml; want %s", f.Name, f.LogicalID, want)
		}
		delete(folders, f.Name)
	}
	for name := range folders {
		t.Errorf("functions/%s is no function of template.yaml; want %s", name, logicalID(name))
	}
}

// logicalID names a folder's function: complete-reset is CompleteResetFunction.
func logicalID(folder string) string {
	id := ""
	for part := range strings.SplitSeq(folder, "-") {
		id += strings.ToUpper(part[:min(1, len(part))]) + part[min(1, len(part)):]
	}
	return id + "Function"
}

func TestNoPackageIsADrawer(t *testing.T) {
	drawers := []string{"util", "utils", "common", "helpers", "helper", "models", "types", "misc", "pkg", "core"}
	for _, top := range []string{"functions", "shared", "infra"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, e os.DirEntry, err error) error {
			if err == nil && e.IsDir() && slices.Contains(drawers, e.Name()) {
				t.Errorf("%s: a package is named after what it holds", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
