package template_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/template"
)

// A function is given exactly what it reads: a missing variable ends it at its
// start, one too many is a wrong belief about it. GOMEMLIMIT is read by Go's
// runtime.
func TestEnvironmentIsWhatFunctionsRead(t *testing.T) {
	reads := map[string][]string{}
	for _, folder := range folders(t) {
		reads[folder] = variables(t, filepath.Join(root, "functions", folder, "lambda", "main.go"))
	}
	if !slices.Contains(reads["delivery"], "CONFIGURATION_SET") {
		t.Fatalf("delivery reads %v: the search is broken", reads["delivery"])
	}
	s := readStack(t, readText(t), template.Example())
	for _, fault := range environmentFaults(s, reads) {
		t.Error(fault)
	}
}

func environmentFaults(s *stack, reads map[string][]string) (faults []string) {
	for id, f := range s.Functions {
		var given []string
		for name, value := range f.Environment {
			if name != "GOMEMLIMIT" {
				given = append(given, name)
			}
			if value == "" {
				faults = append(faults, id+": "+name+" is empty")
			}
		}
		slices.Sort(given)
		want := slices.Clone(reads[f.Folder])
		slices.Sort(want)
		if diff := cmp.Diff(want, given); diff != "" {
			faults = append(faults, id+": functions/"+f.Folder+"/lambda reads (-), template.yaml gives (+):\n"+diff)
		}
	}
	return faults
}

// variables are those that the env tags of a program's structs name.
func variables(t *testing.T, file string) (names []string) {
	t.Helper()
	program, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(program, func(n ast.Node) bool {
		field, ok := n.(*ast.Field)
		if !ok || field.Tag == nil {
			return true
		}
		tag, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			t.Fatal(err)
		}
		if name, _, _ := strings.Cut(reflect.StructTag(tag).Get("env"), ","); name != "" {
			names = append(names, name)
		}
		return true
	})
	return names
}
