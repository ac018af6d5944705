package contract_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/memberkey/memberkey"

// program is the project's own source with its types. Routes cannot be asked
// for their inputs at run time, because a Route keeps them to itself, so the
// contract is held against what the compiler knows.
type program struct {
	fset     *token.FileSet
	info     *types.Info
	packages map[string]*types.Package // of this module, by import path
	files    map[string][]*ast.File    // by import path

	functions map[types.Object]*ast.FuncType  // declared, or a literal that one variable holds
	bodies    map[types.Object]*ast.BlockStmt // of the same
	parameter map[types.Object]parameter
	calls     map[types.Object][]*ast.CallExpr
	assigned  map[types.Object][]ast.Expr // what is assigned to a variable, one by one
	fields    map[types.Object][]ast.Expr // what composite literals put into a field
	results   map[types.Object][]result   // what a variable gets of a call with several results
}

// result is one of several results of a call.
type result struct {
	of    types.Object
	place int
}

// parameter is the place of a function's parameter.
type parameter struct {
	of    types.Object
	index int
}

var loadSource = sync.OnceValues(func() (*program, error) {
	// Export data of the standard library and of modules is in the build cache;
	// the project's own packages are checked here, to have their syntax.
	list := exec.Command("go", "list", "-e", "-export", "-deps", "-json=ImportPath,Dir,GoFiles,Export", "./functions/...", "./shared/...")
	list.Dir = root
	list.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly")
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.String())
	}
	type listed struct {
		ImportPath, Dir, Export string
		GoFiles                 []string
	}
	var own []listed
	exports := map[string]string{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := decoder.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if strings.HasPrefix(l.ImportPath, module+"/") {
			own = append(own, l) // dependencies come first
		} else {
			exports[l.ImportPath] = l.Export
		}
	}
	p := &program{
		fset: token.NewFileSet(), packages: map[string]*types.Package{}, files: map[string][]*ast.File{},
		info: &types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
			Instances: map[*ast.Ident]types.Instance{}, Selections: map[*ast.SelectorExpr]*types.Selection{},
		},
	}
	others := importer.ForCompiler(p.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	config := types.Config{Importer: importing(func(path string) (*types.Package, error) {
		if own := p.packages[path]; own != nil {
			return own, nil
		}
		return others.Import(path)
	})}
	for _, l := range own {
		for _, name := range l.GoFiles {
			file, err := parser.ParseFile(p.fset, filepath.Join(l.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			p.files[l.ImportPath] = append(p.files[l.ImportPath], file)
		}
		if p.packages[l.ImportPath], err = config.Check(l.ImportPath, p.fset, p.files[l.ImportPath], p.info); err != nil {
			return nil, err
		}
	}
	p.index()
	return p, nil
})

type importing func(path string) (*types.Package, error)

func (f importing) Import(path string) (*types.Package, error) { return f(path) }

func readSource(t *testing.T) *program {
	t.Helper()
	p, err := loadSource()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// index notes what is needed to follow a string from where it is written to
// where it becomes a code.
func (p *program) index() {
	p.functions, p.bodies = map[types.Object]*ast.FuncType{}, map[types.Object]*ast.BlockStmt{}
	p.parameter, p.calls = map[types.Object]parameter{}, map[types.Object][]*ast.CallExpr{}
	p.assigned, p.fields = map[types.Object][]ast.Expr{}, map[types.Object][]ast.Expr{}
	p.results = map[types.Object][]result{}
	function := func(of types.Object, kind *ast.FuncType, body *ast.BlockStmt) {
		p.functions[of], p.bodies[of] = kind, body
		n := 0
		for _, f := range kind.Params.List {
			for _, name := range f.Names {
				p.parameter[p.info.Defs[name]] = parameter{of, n}
				n++
			}
		}
	}
	assign := func(to, value ast.Expr) {
		object := p.object(to)
		if object == nil {
			return
		}
		p.assigned[object] = append(p.assigned[object], value)
		if literal, ok := value.(*ast.FuncLit); ok {
			function(object, literal.Type, literal.Body)
		}
	}
	p.each(func(n ast.Node) {
		switch n := n.(type) {
		case *ast.FuncDecl:
			function(p.info.Defs[n.Name], n.Type, n.Body)
		case *ast.AssignStmt:
			if len(n.Lhs) == len(n.Rhs) {
				for i := range n.Lhs {
					assign(n.Lhs[i], n.Rhs[i])
				}
			} else if call, ok := n.Rhs[0].(*ast.CallExpr); ok {
				for i, to := range n.Lhs {
					if object := p.object(to); object != nil {
						p.results[object] = append(p.results[object], result{p.callee(call), i})
					}
				}
			}
		case *ast.ValueSpec:
			if len(n.Names) == len(n.Values) {
				for i := range n.Names {
					assign(n.Names[i], n.Values[i])
				}
			}
		case *ast.RangeStmt:
			if list, ok := n.X.(*ast.CompositeLit); ok && n.Value != nil {
				for _, element := range list.Elts {
					assign(n.Value, element)
				}
			}
		case *ast.CallExpr:
			if callee := p.callee(n); callee != nil {
				p.calls[callee] = append(p.calls[callee], n)
			}
		case *ast.CompositeLit:
			fields, ok := types.Unalias(p.info.TypeOf(n)).Underlying().(*types.Struct)
			if !ok {
				return
			}
			for i, element := range n.Elts {
				if pair, ok := element.(*ast.KeyValueExpr); ok {
					object := p.info.Uses[pair.Key.(*ast.Ident)]
					p.fields[object] = append(p.fields[object], pair.Value)
				} else {
					p.fields[fields.Field(i)] = append(p.fields[fields.Field(i)], element)
				}
			}
		}
	})
}

// each visits every node of the project.
func (p *program) each(visit func(ast.Node)) {
	for _, files := range p.files {
		for _, file := range files {
			ast.Inspect(file, func(n ast.Node) bool {
				if n != nil {
					visit(n)
				}
				return true
			})
		}
	}
}

// object is what a name stands for; nil for anything but a name.
func (p *program) object(e ast.Expr) types.Object {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		if o := p.info.Defs[e]; o != nil {
			return o
		}
		return p.info.Uses[e]
	case *ast.SelectorExpr:
		return p.info.Uses[e.Sel]
	case *ast.IndexExpr:
		return p.object(e.X)
	case *ast.IndexListExpr:
		return p.object(e.X)
	}
	return nil
}

// callee is the function that is called, in its generic form.
func (p *program) callee(call *ast.CallExpr) types.Object {
	object := p.object(call.Fun)
	if f, ok := object.(*types.Func); ok {
		return f.Origin()
	}
	return object
}

// lookup finds a package's name, such as ("shared/problem", "New").
func (p *program) lookup(t *testing.T, path, name string) types.Object {
	t.Helper()
	if of := p.packages[module+"/"+path]; of != nil {
		if object := of.Scope().Lookup(name); object != nil {
			return object
		}
	}
	t.Fatalf("there is no %s.%s", path, name)
	return nil
}

func (p *program) at(n ast.Node) string {
	position := p.fset.Position(n.Pos())
	name, err := filepath.Rel(root, position.Filename)
	if err != nil {
		name = position.Filename
	}
	return fmt.Sprintf("%s:%d", strings.TrimPrefix(filepath.ToSlash(name), "../"), position.Line)
}

// errCopied says that an expression passes on a code that was made elsewhere.
var errCopied = errors.New("copied")

// values gives every constant that an expression can be: it follows
// parameters to the calls, variables to what is assigned, fields to what is
// put into them and calls to what is returned. What it cannot follow is an
// error, so that nothing is missed silently.
func (p *program) values(e ast.Expr) ([]constant.Value, error) {
	return p.follow(e, map[any]bool{})
}

func (p *program) follow(e ast.Expr, seen map[any]bool) ([]constant.Value, error) {
	e = ast.Unparen(e)
	if known := p.info.Types[e]; known.Value != nil {
		return []constant.Value{known.Value}, nil
	}
	union := func(list []ast.Expr) (all []constant.Value, err error) {
		copied := len(list) > 0
		for _, one := range list {
			some, err := p.follow(one, seen)
			if errors.Is(err, errCopied) {
				continue
			}
			if err != nil {
				return nil, err
			}
			copied, all = false, append(all, some...)
		}
		if copied {
			return nil, errCopied
		}
		return all, nil
	}
	switch e := e.(type) {
	case *ast.BinaryExpr:
		left, err := p.follow(e.X, seen)
		if err != nil {
			return nil, err
		}
		right, err := p.follow(e.Y, seen)
		if err != nil || e.Op != token.ADD {
			return nil, errors.Join(err, fmt.Errorf("%s: cannot follow this", p.at(e)))
		}
		var all []constant.Value
		for _, x := range left {
			for _, y := range right {
				all = append(all, constant.BinaryOp(x, token.ADD, y))
			}
		}
		return all, nil
	case *ast.CallExpr:
		if kind := p.info.Types[e.Fun]; kind.IsType() && len(e.Args) == 1 {
			return p.follow(e.Args[0], seen) // a conversion
		}
		callee := p.callee(e)
		if callee != nil && callee.Name() == "CodeOf" {
			return nil, errCopied
		}
		if results := p.returned(callee, 0); results != nil {
			return union(results)
		}
	case *ast.Ident, *ast.SelectorExpr:
		object := p.object(e)
		if variable, ok := object.(*types.Var); ok && variable.IsField() && variable.Name() == "Code" {
			return nil, errCopied
		}
		if seen[object] {
			return nil, nil
		}
		seen[object] = true
		defer delete(seen, object)
		if place, ok := p.parameter[object]; ok {
			var arguments []ast.Expr
			for _, call := range p.calls[place.of] {
				arguments = append(arguments, call.Args[place.index])
			}
			return union(arguments)
		}
		sources := append(append([]ast.Expr(nil), p.assigned[object]...), p.fields[object]...)
		for _, r := range p.results[object] {
			sources = append(sources, p.returned(r.of, r.place)...)
		}
		if len(sources) > 0 {
			return union(sources)
		}
	}
	return nil, fmt.Errorf("%s: cannot follow %s", p.at(e), types.ExprString(e))
}

// returned gives what a function returns in one place.
func (p *program) returned(of types.Object, place int) (all []ast.Expr) {
	body := p.bodies[of]
	if body == nil {
		return nil
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ReturnStmt:
			if place < len(n.Results) {
				all = append(all, n.Results[place])
			}
		}
		return true
	})
	return all
}
