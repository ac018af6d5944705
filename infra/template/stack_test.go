// The tests of template.yaml. What it promises is a check: a function over the
// resolved template that tells what is wrong. Each check is a test by itself
// (checks_test.go says which), and [TestEveryCheckCanFail] breaks the template
// in the ways that matter and sees the check complain.
package template_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/memberkey/memberkey/infra/template"
)

const root = "../.."

// stack is template.yaml, or a broken one, in one environment.
type stack struct {
	*template.Template
	source string
}

// check tells everything that is wrong with a stack.
type check func(s *stack, wrong func(format string, args ...any))

func readText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func readStack(t *testing.T, text string, parameters template.Parameters) *stack {
	t.Helper()
	read, err := template.Read([]byte(text), parameters)
	if err != nil {
		t.Fatal(err)
	}
	return &stack{read, text}
}

// prod are the parameters of a complete production environment.
func prod() template.Parameters {
	return template.Parameters{
		"Environment": "prod", "Senders": "example.org,example.com", "DomainName": "login.example.org",
		"CertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/00000000-0000-0000-0000-000000000000",
		"Issuer":         "https://issuer.example.org/staff", "Audience": "console", "IssuerOrigins": "https://login.example.org,https://keys.example.org",
		"AlarmEmail":        "alarms@example.org",
		"MemberConcurrency": "40", "PermissionsBoundary": "arn:aws:iam::123456789012:policy/boundary",
	}
}

// holds runs a check in the smallest and in the fullest environment.
func holds(t *testing.T, c check) {
	t.Helper()
	text := readText(t)
	for name, parameters := range map[string]template.Parameters{"dev": template.Example(), "prod": prod()} {
		t.Run(name, func(t *testing.T) { c(readStack(t, text, parameters), t.Errorf) })
	}
}

// of lists the resources of a type, in order.
func (s *stack) of(kind string) (ids []string) {
	for id, r := range s.Resources {
		if r.Type == kind {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// at follows names down from a resource's properties; nil where there is nothing.
func (s *stack) at(id string, names ...string) any {
	var v any = s.Resources[id].Properties
	for _, name := range names {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func (s *stack) text(id string, names ...string) string {
	v := s.at(id, names...)
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func (s *stack) list(id string, names ...string) (all []string) {
	list, _ := s.at(id, names...).([]any)
	for _, v := range list {
		all = append(all, fmt.Sprint(v))
	}
	return all
}

// stemOf is the logical id that everything of a function is named after:
// functions/profile-imports is ProfileImports.
func stemOf(folder string) string {
	id := ""
	for part := range strings.SplitSeq(folder, "-") {
		id += strings.ToUpper(part[:1]) + part[1:]
	}
	return id
}

// folders are those of functions/ that hold a program.
func folders(t *testing.T) (all []string) {
	t.Helper()
	mains, err := filepath.Glob(filepath.Join(root, "functions", "*", "lambda", "main.go"))
	if err != nil || len(mains) == 0 {
		t.Fatalf("no functions/*/lambda/main.go: %v", err)
	}
	for _, main := range mains {
		all = append(all, filepath.Base(filepath.Dir(filepath.Dir(main))))
	}
	return all
}
