package contract_test

import (
	"errors"
	"go/ast"
	"go/constant"
	"go/types"
	"maps"
	"slices"
	"testing"

	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/problem"
)

// code is a stable code as the source makes it.
type code struct {
	at string // one of the places
	// statuses are those with which it is certain to be answered; none where
	// it is one of several faults, whose kind is settled elsewhere.
	statuses map[int]bool
	// inRows says that it is made for a row of an import.
	inRows, elsewhere bool
}

// sourceCodes collects every code that a problem, one of its items or a row of
// an import can carry.
func sourceCodes(t *testing.T, p *program) map[string]*code {
	t.Helper()
	makers := map[types.Object]bool{p.lookup(t, "shared/problem", "New"): true, p.lookup(t, "shared/problem", "Newf"): true}
	carriers := map[types.Type]bool{}
	issue := p.lookup(t, "shared/profile", "Issue").Type()
	for _, carrier := range []types.Type{p.lookup(t, "shared/problem", "Problem").Type(), p.lookup(t, "shared/problem", "Item").Type(), issue} {
		carriers[carrier] = true
	}
	all := map[string]*code{}
	note := func(from ast.Expr, rows bool, kind ast.Expr) {
		codes, err := p.values(from)
		if errors.Is(err, errCopied) {
			return
		}
		if err != nil {
			t.Errorf("%s: a code that cannot be followed: %v", p.at(from), err)
			return
		}
		var kinds []constant.Value
		if kind != nil {
			if kinds, err = p.values(kind); err != nil {
				kinds = nil // copied from another problem
			}
		}
		for _, c := range codes {
			name := constant.StringVal(c)
			if all[name] == nil {
				all[name] = &code{at: p.at(from), statuses: map[int]bool{}}
			}
			all[name].inRows = all[name].inRows || rows
			all[name].elsewhere = all[name].elsewhere || !rows
			for _, k := range kinds {
				n, _ := constant.Int64Val(k)
				all[name].statuses[httpapi.Status(problem.Kind(n))] = true
			}
		}
	}
	own := module + "/shared/problem"
	for path, files := range p.files {
		for _, file := range files {
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					// Newf hands its own parameters to New.
					if callee := p.callee(n); makers[callee] && (path != own || p.info.Types[n.Args[1]].Value != nil) {
						note(n.Args[1], false, n.Args[0])
					}
				case *ast.CompositeLit:
					of := types.Unalias(p.info.TypeOf(n))
					if !carriers[of] || path == own {
						return true
					}
					fields := of.Underlying().(*types.Struct)
					for i, element := range n.Elts {
						pair, keyed := element.(*ast.KeyValueExpr)
						switch {
						case keyed && pair.Key.(*ast.Ident).Name == "Code":
							note(pair.Value, of == issue, nil)
						case !keyed && fields.Field(i).Name() == "Code":
							note(element, of == issue, nil)
						}
					}
				}
				return true
			})
		}
	}
	// The two halves of a parameter's fault meet in one line; a path's fault is
	// not_found instead, and a header cannot be repeated.
	for _, never := range []string{"path_missing", "path_invalid", "path_repeated", "header_repeated"} {
		delete(all, never)
	}
	return all
}

func TestEveryCodeIsListed(t *testing.T) {
	listed := readContract(t).codes(t)
	made := sourceCodes(t, readSource(t))
	if len(made) < 50 {
		t.Fatalf("only %d codes found in the source: the search is broken", len(made))
	}
	for _, name := range slices.Sorted(maps.Keys(made)) {
		c, ok := listed[name]
		if !ok {
			t.Errorf("%s makes the code %s, which openapi.yaml does not list", made[name].at, name)
			continue
		}
		for status := range made[name].statuses {
			if !slices.Contains(c.Status, status) {
				t.Errorf("%s answers %s with %d, openapi.yaml says %v", made[name].at, name, status, c.Status)
			}
		}
		if onlyRows := made[name].inRows && !made[name].elsewhere; onlyRows != (len(c.Status) == 0) {
			t.Errorf("%s: %s stands in rows of an import alone: %t; openapi.yaml gives it status %v", made[name].at, name, onlyRows, c.Status)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		if made[name] == nil {
			t.Errorf("openapi.yaml lists the code %s, which nothing makes", name)
		}
		if c := listed[name]; c.Meaning == "" || c.Do == "" {
			t.Errorf("openapi.yaml does not say what %s means and what to do", name)
		}
	}
}
