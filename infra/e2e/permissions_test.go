//go:build unix

package e2e_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/memberkey/memberkey/infra/e2e/deployed"
	"github.com/memberkey/memberkey/infra/e2e/permissions"
	"github.com/memberkey/memberkey/infra/template"
)

// contend has the first PutItem of each function on each table meet a
// transaction on the same item. DynamoDB does that at any time and DynamoDB
// Local never, and a function needs a permission for it: to read what is there.
func contend(s *deployed.System) {
	var mu sync.Mutex
	met := map[string]bool{}
	s.Recorder.Intercept(func(kind permissions.Request, body []byte) *permissions.Fault {
		if kind.Operation != "PutItem" {
			return nil
		}
		var put struct{ TableName string }
		if err := json.Unmarshal(body, &put); err != nil {
			return nil // DynamoDB will say so
		}
		mu.Lock()
		defer mu.Unlock()
		key := kind.Function + " " + put.TableName
		if met[key] {
			return nil
		}
		met[key] = true
		return &permissions.Fault{Status: 400, Type: "TransactionConflictException", Message: "Transaction is ongoing for the item"}
	})
}

// asked are the needs of all that the functions of a system asked of AWS.
func asked(t testing.TB, s *deployed.System) []permissions.Need {
	t.Helper()
	needs, err := permissions.Needs(s.Recorder.Calls(), permissions.StackNamed(s.Stack()))
	if err != nil {
		t.Error(err)
	}
	// These never came so far as to be asked of AWS.
	for line := range strings.Lines(s.Log("")) {
		if strings.Contains(line, "this function does not ring it") || strings.Contains(line, "not among those that this function was given") {
			t.Errorf("template.yaml lacks what was needed: %s", line)
		}
	}
	return needs
}

// allowed holds what the functions of a system asked of AWS against their
// policies: all of it must be allowed.
func allowed(t testing.TB, s *deployed.System) {
	t.Helper()
	refused, _ := permissions.Compare(asked(t, s), s.Template)
	for _, n := range refused {
		t.Errorf("template.yaml refuses what was needed: %s", n)
	}
}

// permitted holds the policies against the same both ways: all that they allow
// must have been asked for by one of these systems, too. Where it was, it spoils
// each permission by itself and wants that to be found.
func permitted(t *testing.T, systems ...*deployed.System) {
	t.Helper()
	stack := systems[0].Template
	needs := permissions.Lambda(stack)
	for _, s := range systems {
		needs = append(needs, asked(t, s)...)
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
	grants, spoilt := 0, 0
	for id, f := range stack.Functions {
		for i, s := range f.Statements {
			for k, action := range s.Actions {
				grants += len(s.Resources)
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
	t.Logf("%d functions needed the %d permissions of template.yaml and no other; each of %d spoilt ones was found", len(stack.Functions), grants, spoilt)
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
