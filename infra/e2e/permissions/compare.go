package permissions

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/memberkey/memberkey/infra/template"
)

// Grant is one action on one resource that a statement allows.
type Grant struct {
	Function string
	Sid      string
	Action   string
	Resource string
}

func (g Grant) String() string {
	return g.Function + " " + g.Sid + ": " + g.Action + " on " + g.Resource
}

// Needs are what IAM asks for calls, each once and in order. Its error names
// all calls that [Expand] refuses.
func Needs(calls []Call, at Stack) ([]Need, error) {
	seen := map[Need]bool{}
	wrong := map[string]error{} // many calls may have the same fault
	for _, c := range calls {
		needs, err := Expand(c, at)
		if err != nil {
			wrong[err.Error()] = err
		}
		for _, n := range needs {
			seen[n] = true
		}
	}
	if len(wrong) > 0 {
		var all []error
		for _, text := range slices.Sorted(maps.Keys(wrong)) {
			all = append(all, wrong[text])
		}
		return nil, errors.Join(all...)
	}
	return slices.SortedFunc(maps.Keys(seen), byText), nil
}

// Lambda is what Lambda itself does with the roles of the functions, which no
// recorder sees: it writes their logs and, where it is on, their traces. What it
// does with a queue goes through the function's proxy.
//
// https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html
func Lambda(t *template.Template) (needs []Need) {
	at := StackNamed(template.StackName)
	for id, f := range t.Functions {
		logging, _ := t.Resources[id].Properties["LoggingConfig"].(map[string]any)
		if group, ok := logging["LogGroup"].(string); ok {
			for _, action := range []string{"logs:CreateLogStream", "logs:PutLogEvents"} {
				needs = append(needs, Need{f.Folder, action, at.arn("logs", "log-group:"+group+":*")})
			}
		}
		if t.Resources[id].Properties["Tracing"] == "Active" {
			for _, action := range []string{"xray:PutTraceSegments", "xray:PutTelemetryRecords"} {
				needs = append(needs, Need{f.Folder, action, "*"})
			}
		}
	}
	return needs
}

// Compare holds needs against what the template allows each function, which is
// named by its folder. refused are the needs that no statement allows, or one
// denies. unused are the grants that are not exactly a need: one that nothing
// asked for, and one that is wider than what was asked for, because it says *
// where a name would do.
//
// Of conditions, only one on the region of the request is known here; under any
// other a statement allows nothing. It closes an ARN whose region and account
// are *, as CloudFormation leaves them open in ARNs made of a list: what is in
// another account needs that account's leave, too. A managed policy, whose
// statements are not in the template, counts as unused.
func Compare(needs []Need, t *template.Template) (refused []Need, unused []Grant) {
	asked := map[Need]bool{}
	policies := map[string][]template.Statement{}
	for _, n := range needs {
		asked[n] = true
	}
	for _, id := range slices.Sorted(maps.Keys(t.Functions)) {
		f := t.Functions[id]
		policies[f.Folder] = f.Statements
		for _, arn := range f.Managed {
			unused = append(unused, Grant{f.Folder, arn, "*", "*"})
		}
		for _, s := range f.Statements {
			for _, action := range s.Actions {
				for _, resource := range s.Resources {
					if s.Effect == "Allow" && !asked[Need{f.Folder, action, closed(resource, s)}] {
						unused = append(unused, Grant{f.Folder, s.Sid, action, resource})
					}
				}
			}
		}
	}
	for _, n := range slices.SortedFunc(maps.Keys(asked), byText) {
		if !allowed(n, policies[n.Function]) {
			refused = append(refused, n)
		}
	}
	return refused, unused
}

func allowed(n Need, policy []template.Statement) bool {
	yes := false
	for _, s := range policy {
		// Actions ignore case, ARNs do not.
		names := func(pattern string) bool { return match(strings.ToLower(pattern), strings.ToLower(n.Action)) }
		covers := func(pattern string) bool { return match(pattern, n.Resource) }
		if !slices.ContainsFunc(s.Actions, names) || !slices.ContainsFunc(s.Resources, covers) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		yes = yes || s.Effect == "Allow" && (len(s.Conditions) == 0 || ownRegion(s))
	}
	return yes
}

// ownRegion says whether a statement allows what it does in this region alone,
// by its one condition.
func ownRegion(s template.Statement) bool {
	return reflect.DeepEqual(s.Conditions, map[string]any{"StringEquals": map[string]any{"aws:RequestedRegion": template.Region}})
}

// closed fills in region and account where the statement leaves both to its
// condition.
func closed(resource string, s template.Statement) string {
	parts := strings.SplitN(resource, ":", 6)
	if len(parts) < 6 || parts[3] != "*" || parts[4] != "*" || !ownRegion(s) {
		return resource
	}
	parts[3], parts[4] = template.Region, template.AccountID
	return strings.Join(parts, ":")
}

// match is IAM's: * stands for any characters, ? for one.
func match(pattern, text string) bool {
	// back is where to go on after a * that took too little.
	star, back := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, back = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			back++
			p, t = star+1, back
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

func byText(a, b Need) int { return strings.Compare(a.String(), b.String()) }
