//go:build unix

package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/memberkey/memberkey/infra/e2e/deployed"
	"github.com/memberkey/memberkey/infra/e2e/permissions"
	"github.com/memberkey/memberkey/infra/template"
)

// permitted holds the policies of template.yaml against all that the functions
// of these systems asked of AWS: what was asked for must be allowed, and what
// is allowed must have been asked for. Where both are so, it spoils each
// permission by itself and wants that to be found.
func permitted(t *testing.T, systems ...*deployed.System) {
	t.Helper()
	stack := systems[0].Template
	needs := permissions.Lambda(stack)
	for _, s := range systems {
		asked, err := permissions.Needs(s.Recorder.Calls(), permissions.StackNamed(s.Stack()))
		if err != nil {
			t.Error(err)
		}
		needs = append(needs, asked...)
	}
	refused, unused := permissions.Compare(needs, stack)
	for _, n := range refused {
		t.Errorf("template.yaml refuses what was needed: %s", n)
	}
	for _, g := range unused {
		t.Errorf("template.yaml allows what no journey needed: %s", g)
	}
	if len(refused)+len(unused) > 0 {
		return
	}
	spoilt := 0
	for id, f := range stack.Functions {
		for i, s := range f.Statements {
			for k, action := range s.Actions {
				spoilt += 2
				without := s
				without.Actions = slices.Delete(slices.Clone(s.Actions), k, k+1)
				if refused, _ := permissions.Compare(needs, changed(stack, id, i, without)); len(refused) == 0 {
					t.Errorf("nobody misses %s of %s of %s", action, s.Sid, f.Folder)
				}
				wider := s
				wider.Actions = slices.Clone(s.Actions)
				wider.Actions[k] = action[:strings.IndexByte(action, ':')] + ":*"
				if _, unused := permissions.Compare(needs, changed(stack, id, i, wider)); len(unused) == 0 {
					t.Errorf("nobody sees %s of %s of %s widened to all actions", action, s.Sid, f.Folder)
				}
			}
			for k, resource := range s.Resources {
				if resource == "*" {
					continue // its actions know no resource
				}
				spoilt++
				wider := s
				wider.Resources = slices.Clone(s.Resources)
				wider.Resources[k] = "*"
				if _, unused := permissions.Compare(needs, changed(stack, id, i, wider)); len(unused) == 0 {
					t.Errorf("nobody sees %s of %s of %s widened to all resources", resource, s.Sid, f.Folder)
				}
			}
		}
	}
	t.Logf("%d needs of %d functions are exactly what template.yaml allows; each of %d spoilt permissions was found",
		len(needs), len(stack.Functions), spoilt)
}

// changed is a template in which one statement of one function is another.
func changed(stack *template.Template, id string, i int, s template.Statement) *template.Template {
	f := stack.Functions[id]
	f.Statements = slices.Clone(f.Statements)
	f.Statements[i] = s
	all := map[string]template.Function{}
	for other, g := range stack.Functions {
		all[other] = g
	}
	all[id] = f
	return &template.Template{Functions: all}
}
