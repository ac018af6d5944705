package contract_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// served is one entry of a function's httpapi.Routes.
type served struct {
	function   string // its folder
	key        string
	kind       string // Staff, Public, Page or Files
	permission string
	in, out    types.Type
	limit      int
	at         string
}

// servedRoutes finds what the functions register.
func servedRoutes(t *testing.T, p *program) []served {
	t.Helper()
	routes := p.lookup(t, "shared/httpapi", "Routes").Type()
	var all []served
	for path, files := range p.files {
		function, ok := strings.CutPrefix(path, module+"/functions/")
		if !ok {
			continue
		}
		note := func(key, value ast.Expr) {
			k := p.info.Types[key].Value
			if k == nil {
				// Such as a HEAD that is given the route of the GET beside it;
				// that none is forgotten TestFunctionsServeTheTemplatesRoutes says.
				return
			}
			s := served{function: function, key: constant.StringVal(k), at: p.at(key)}
			if err := p.route(&s, value); err != nil {
				t.Errorf("%s: %s: %v", s.at, s.key, err)
				return
			}
			all = append(all, s)
		}
		for _, file := range files {
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CompositeLit:
					if types.Identical(p.info.TypeOf(n), routes) {
						for _, element := range n.Elts {
							pair := element.(*ast.KeyValueExpr)
							note(pair.Key, pair.Value)
						}
					}
				case *ast.AssignStmt:
					for i, to := range n.Lhs {
						if index, ok := to.(*ast.IndexExpr); ok && types.Identical(p.info.TypeOf(index.X), routes) {
							note(index.Index, n.Rhs[i])
						}
					}
				}
				return true
			})
		}
	}
	return all
}

// defaults are the limits of bodies by the kind of a route; Below is that of files.
var defaults = map[string]string{"Staff": "DefaultLimit", "Public": "FormLimit", "Page": "FormLimit", "Below": "FormLimit"}

// route reads an expression such as httpapi.Staff(permission, fn).Limit(n).
func (p *program) route(s *served, e ast.Expr) error {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		if sources := p.assigned[p.object(e)]; len(sources) == 1 {
			return p.route(s, sources[0])
		}
		return fmt.Errorf("cannot follow %s", types.ExprString(e))
	}
	callee := p.callee(call)
	if callee == nil {
		return fmt.Errorf("cannot follow %s", types.ExprString(e))
	}
	if callee.Pkg() == nil || callee.Pkg().Path() != module+"/shared/httpapi" {
		results := p.returned(callee, 0)
		if len(results) != 1 {
			return fmt.Errorf("cannot follow %s", types.ExprString(e))
		}
		return p.route(s, results[0])
	}
	if callee.Name() == "Limit" {
		if err := p.route(s, call.Fun.(*ast.SelectorExpr).X); err != nil {
			return err
		}
		limit, err := p.values(call.Args[0])
		if err != nil || len(limit) != 1 {
			return fmt.Errorf("cannot follow the limit: %v", err)
		}
		n, _ := constant.Int64Val(limit[0])
		s.limit = int(n)
		return nil
	}
	s.kind = callee.Name()
	limit := callee.Pkg().Scope().Lookup(defaults[s.kind]).(*types.Const)
	n, _ := constant.Int64Val(limit.Val())
	s.limit = int(n)
	if s.kind == "Staff" {
		permission, err := p.values(call.Args[0])
		if err != nil && !errors.Is(err, errCopied) || len(permission) > 1 {
			return fmt.Errorf("cannot follow the permission: %v", err)
		}
		if len(permission) == 1 {
			s.permission = constant.StringVal(permission[0])
		}
	}
	if s.kind == "Staff" || s.kind == "Public" {
		fn := call.Fun
		switch generic := fn.(type) {
		case *ast.IndexListExpr:
			fn = generic.X
		case *ast.IndexExpr:
			fn = generic.X
		}
		instance := p.info.Instances[fn.(*ast.SelectorExpr).Sel]
		s.in, s.out = instance.TypeArgs.At(0), instance.TypeArgs.At(1)
	}
	return nil
}

// contracted pairs what is served with its operation.
func contracted(t *testing.T) (*program, *contract, map[*operation]served) {
	t.Helper()
	p, c := readSource(t), readContract(t)
	pairs := map[*operation]served{}
	for _, s := range servedRoutes(t, p) {
		if o := c.operations[s.key]; o != nil {
			pairs[o] = s
		}
	}
	for key, o := range c.operations {
		if _, ok := pairs[o]; !ok && !strings.HasPrefix(key, http.MethodHead) {
			t.Errorf("%s: its httpapi.Staff, Public or Page was not found in the source", key)
		}
	}
	return p, c, pairs
}

func TestPermissions(t *testing.T) {
	_, _, pairs := contracted(t)
	for o, s := range pairs {
		if s.kind == "Below" {
			continue
		}
		if page := strings.Contains(s.key, " /portal/"); page != (s.kind == "Page") {
			t.Errorf("%s is made with httpapi.%s", s.key, s.kind)
		}
		got, _ := o.fields["x-permission"].(string)
		if got != s.permission {
			t.Errorf("%s asks for the permission %q; openapi.yaml says %q", s.key, s.permission, got)
		}
	}
}

func TestParametersAreTheInputs(t *testing.T) {
	p, c, pairs := contracted(t)
	for o, s := range pairs {
		want := map[string]string{}
		if s.in != nil {
			for _, f := range bound(s.in.Underlying().(*types.Struct)) {
				for _, from := range []string{"path", "query", "header"} {
					if tag, ok := f.tag.Lookup(from); ok {
						name, option, _ := strings.Cut(tag, ",")
						required := from == "path" || option == "required" || isNamed(f.variable.Type(), "shared/httpapi", "Version")
						want[from+" "+strings.ToLower(name)] = fmt.Sprintf("required: %t", required)
					}
				}
			}
		} else {
			for _, part := range strings.Split(s.key, "/") {
				if name := strings.Trim(part, "{+}"); name != part {
					want["path "+name] = "required: true"
				}
			}
		}
		got := map[string]string{}
		for _, parameter := range o.parameters {
			name, _ := parameter["name"].(string)
			from, _ := parameter["in"].(string)
			got[from+" "+strings.ToLower(name)] = fmt.Sprintf("required: %t", parameter["required"] == true)
			schema, err := c.resolve(parameter["schema"])
			if err != nil {
				t.Errorf("%s: %s: %v", s.key, name, err)
			} else if s.in != nil {
				p.fitsParameter(t, s, from, name, schema)
			}
		}
		// Of a page's query the source says nothing here.
		if s.kind == "Page" {
			maps.DeleteFunc(got, func(name, _ string) bool { return strings.HasPrefix(name, "query ") })
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: parameters of the source (-) and of openapi.yaml (+):\n%s", s.key, diff)
		}
	}
}

// fitsParameter compares the schema of a parameter with its field.
func (p *program) fitsParameter(t *testing.T, s served, from, name string, schema map[string]any) {
	for _, f := range bound(s.in.Underlying().(*types.Struct)) {
		tag, _, _ := strings.Cut(f.tag.Get(from), ",")
		if !strings.EqualFold(tag, name) {
			continue
		}
		kind := f.variable.Type()
		if pointer, ok := kind.(*types.Pointer); ok {
			kind = pointer.Elem()
		}
		want := "string"
		switch basic, _ := kind.Underlying().(*types.Basic); {
		case hasMethod(kind, "UnmarshalText"):
		case basic == nil:
			want = "array"
		case basic.Info()&types.IsBoolean != 0:
			want = "boolean"
		case basic.Info()&types.IsInteger != 0:
			want = "integer"
		}
		if schema["type"] != want {
			t.Errorf("%s: %s is %s in the source, %v in openapi.yaml", s.key, name, want, schema["type"])
		}
		p.fitsEnum(t, s.key+" "+name, kind, schema)
	}
}

func TestRequestBodiesAreTheInputs(t *testing.T) {
	p, c, pairs := contracted(t)
	for o, s := range pairs {
		var body *field
		if s.in != nil {
			for _, f := range bound(s.in.Underlying().(*types.Struct)) {
				if _, ok := f.tag.Lookup("body"); ok {
					body = &f
				}
			}
		}
		if s.kind == "Page" {
			continue // TestFormFields
		}
		if (body != nil) != (o.fields["requestBody"] != nil) {
			t.Errorf("%s: a body in the source: %t, in openapi.yaml: %t", s.key, body != nil, o.fields["requestBody"] != nil)
			continue
		}
		if body == nil {
			continue
		}
		request, err := c.resolve(o.fields["requestBody"])
		if err != nil {
			t.Errorf("%s: %v", s.key, err)
			continue
		}
		if request["x-limit"] != s.limit {
			t.Errorf("%s: takes %d bytes; openapi.yaml says x-limit: %v", s.key, s.limit, request["x-limit"])
		}
		_, optional := body.variable.Type().(*types.Pointer)
		if required := request["required"] == true; required == optional {
			t.Errorf("%s: the body may be left out: %t; openapi.yaml says required: %t", s.key, optional, required)
		}
		kind := map[string]string{"json": "application/json", "csv": "text/csv"}[body.tag.Get("body")]
		media := object(object(request["content"])[kind])
		if media == nil || len(object(request["content"])) != 1 {
			t.Errorf("%s: takes %s; openapi.yaml says %v", s.key, kind, slices.Sorted(maps.Keys(object(request["content"]))))
			continue
		}
		if kind == "application/json" {
			fit := fitting{t: t, p: p, c: c}
			fit.check(body.variable.Type(), media["schema"], s.key+" body")
		}
	}
}

func TestRepliesAreTheOutputs(t *testing.T) {
	p, c, pairs := contracted(t)
	checked := 0
	for o, s := range pairs {
		if s.kind != "Staff" && s.kind != "Public" {
			continue
		}
		out := s.out
		if named, ok := types.Unalias(out).(*types.Named); ok && named.Obj().Name() == "Reply" && named.TypeArgs().Len() == 1 {
			out = named.TypeArgs().At(0)
		}
		if pointer, ok := out.(*types.Pointer); ok {
			out = pointer.Elem()
		}
		fields, isStruct := out.Underlying().(*types.Struct)
		_, dynamic := out.Underlying().(*types.Interface)
		for status, response := range object(o.fields["responses"]) {
			if !strings.HasPrefix(status, "2") {
				continue
			}
			resolved, err := c.resolve(response)
			if err != nil {
				t.Errorf("%s: %v", s.key, err)
				continue
			}
			content := object(resolved["content"])
			switch {
			case isNamed(out, "shared/httpapi", "CSV"):
				if content["text/csv"] == nil {
					t.Errorf("%s: gives CSV, openapi.yaml does not", s.key)
				}
			case isStruct && fields.NumFields() == 0:
				if len(content) > 0 {
					t.Errorf("%s: gives nothing, openapi.yaml a body", s.key)
				}
			case dynamic:
				if len(content) == 0 {
					t.Errorf("%s: openapi.yaml gives no body", s.key)
				}
			default:
				media := object(content["application/json"])
				if media == nil {
					t.Errorf("%s: openapi.yaml gives no JSON with %s", s.key, status)
					continue
				}
				checked++
				fit := fitting{t: t, p: p, c: c, reply: true}
				fit.check(out, media["schema"], s.key+" "+status)
			}
		}
	}
	if checked == 0 {
		t.Error("no reply was compared")
	}
}

// field is a struct's field with its tag.
type field struct {
	variable *types.Var
	tag      reflect.StructTag
}

// bound lists the fields of an input; those of embedded structs follow.
func bound(s *types.Struct) (all []field) {
	for i := range s.NumFields() {
		f := s.Field(i)
		if inner, ok := f.Type().Underlying().(*types.Struct); ok && f.Embedded() {
			all = append(all, bound(inner)...)
			continue
		}
		all = append(all, field{f, reflect.StructTag(s.Tag(i))})
	}
	return all
}

// fitting compares Go types with schemas.
type fitting struct {
	t     *testing.T
	p     *program
	c     *contract
	reply bool
}

func (f *fitting) check(of types.Type, schema any, at string) {
	f.t.Helper()
	s, err := f.c.merged(schema)
	if err != nil {
		f.t.Errorf("%s: %v", at, err)
		return
	}
	nullable := false
	if either := array(s["oneOf"]); len(either) == 2 && object(either[1])["type"] == "null" {
		nullable = true
		if s, err = f.c.merged(either[0]); err != nil {
			f.t.Errorf("%s: %v", at, err)
			return
		}
	}
	kind, _ := s["type"].(string)
	for _, name := range words(s["type"]) {
		if name == "null" {
			nullable = true
		} else {
			kind = name
		}
	}
	if pointer, ok := of.(*types.Pointer); ok {
		of = pointer.Elem()
	} else if nullable {
		if _, open := of.Underlying().(*types.Interface); !open && !hasMethod(of, "MarshalJSON") && !hasMethod(of, "UnmarshalJSON") {
			f.t.Errorf("%s: %v is never null", at, of)
		}
	}
	want := ""
	switch under := of.Underlying().(type) {
	case *types.Interface:
		return
	case *types.Basic:
		switch info := under.Info(); {
		case info&types.IsString != 0:
			want = "string"
		case info&types.IsBoolean != 0:
			want = "boolean"
		case info&types.IsInteger != 0:
			want = "integer"
		case info&types.IsFloat != 0:
			want = "number"
		}
	case *types.Slice:
		want = "array"
	case *types.Map, *types.Struct:
		want = "object"
	}
	ownForm := true
	switch {
	case isNamed(of, "time", "Time"):
		want = "string"
		if s["format"] != "date-time" {
			f.t.Errorf("%s: a time has the format date-time", at)
		}
	case f.reply && hasMethod(of, "MarshalJSON"), !f.reply && hasMethod(of, "UnmarshalJSON"):
		return // it alone knows its form
	case f.reply && hasMethod(of, "MarshalText"), !f.reply && hasMethod(of, "UnmarshalText"):
		want = "string"
	default:
		ownForm = false
	}
	if kind != want {
		f.t.Errorf("%s: %v is %s, openapi.yaml says %v", at, of, want, s["type"])
		return
	}
	if ownForm {
		return
	}
	f.p.fitsEnum(f.t, at, of, s)
	switch under := of.Underlying().(type) {
	case *types.Slice:
		f.check(under.Elem(), s["items"], at+"[]")
	case *types.Map:
		if inner, ok := s["additionalProperties"]; ok && object(inner) != nil {
			f.check(under.Elem(), inner, at+"{}")
		} else {
			f.t.Errorf("%s: openapi.yaml does not say what the values are", at)
		}
	case *types.Struct:
		f.members(under, s, at)
	}
}

func (f *fitting) members(of *types.Struct, s map[string]any, at string) {
	f.t.Helper()
	properties := object(s["properties"])
	always := map[string]bool{}
	seen := map[string]bool{}
	for _, member := range jsonFields(of) {
		name, options, _ := strings.Cut(member.tag.Get("json"), ",")
		if name == "" {
			name = member.variable.Name()
		}
		seen[name] = true
		if properties[name] == nil {
			f.t.Errorf("%s: openapi.yaml lacks the property %s", at, name)
			continue
		}
		omitted := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		_, pointer := member.variable.Type().(*types.Pointer)
		if f.reply {
			always[name] = !omitted
			if pointer && !omitted && !nullable(f.c, properties[name]) {
				f.t.Errorf("%s.%s can be null", at, name)
			}
			if pointer && omitted && nullable(f.c, properties[name]) {
				f.t.Errorf("%s.%s is left out and never null", at, name)
			}
		}
		f.check(member.variable.Type(), properties[name], at+"."+name)
	}
	for name := range properties {
		if !seen[name] {
			f.t.Errorf("%s: openapi.yaml has the property %s, the source has not", at, name)
		}
	}
	if f.reply {
		required := words(s["required"])
		for name, is := range always {
			if is != slices.Contains(required, name) {
				f.t.Errorf("%s.%s is always there: %t; openapi.yaml requires it: %t", at, name, is, !is)
			}
		}
	}
}

func nullable(c *contract, schema any) bool {
	s, err := c.resolve(schema)
	if err != nil {
		return false
	}
	return slices.Contains(words(s["type"]), "null") || slices.ContainsFunc(array(s["oneOf"]), func(one any) bool { return object(one)["type"] == "null" })
}

// jsonFields lists the fields by which encoding/json knows a struct.
func jsonFields(s *types.Struct) (all []field) {
	for i := range s.NumFields() {
		f, tag := s.Field(i), reflect.StructTag(s.Tag(i))
		name, _, _ := strings.Cut(tag.Get("json"), ",")
		inner, ok := f.Type().Underlying().(*types.Struct)
		if pointer, is := f.Type().Underlying().(*types.Pointer); is && f.Embedded() {
			inner, ok = pointer.Elem().Underlying().(*types.Struct)
		}
		switch {
		case name == "-" || !f.Exported() && !f.Embedded():
		case f.Embedded() && name == "" && ok:
			all = append(all, jsonFields(inner)...)
		default:
			all = append(all, field{f, tag})
		}
	}
	// What the outer struct names hides what an embedded one calls the same.
	return all
}

// fitsEnum compares the constants of a named string type with the enum.
func (p *program) fitsEnum(t *testing.T, at string, of types.Type, schema map[string]any) {
	t.Helper()
	named, ok := types.Unalias(of).(*types.Named)
	if !ok || named.Obj().Pkg() == nil || p.packages[named.Obj().Pkg().Path()] == nil {
		return
	}
	if basic, ok := named.Underlying().(*types.Basic); !ok || basic.Info()&types.IsString == 0 {
		return
	}
	var want []string
	scope := named.Obj().Pkg().Scope()
	for _, name := range scope.Names() {
		if c, ok := scope.Lookup(name).(*types.Const); ok && c.Exported() && types.Identical(c.Type(), named) {
			if v := constant.StringVal(c.Val()); v != "" {
				want = append(want, v)
			}
		}
	}
	if len(want) == 0 {
		return
	}
	got := slices.DeleteFunc(words(schema["enum"]), func(s string) bool { return s == "" })
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: the constants of %v (-) and the enum (+):\n%s", at, of, diff)
	}
}

func isNamed(of types.Type, path, name string) bool {
	named, ok := types.Unalias(of).(*types.Named)
	return ok && named.Obj().Name() == name && named.Obj().Pkg() != nil &&
		(named.Obj().Pkg().Path() == path || named.Obj().Pkg().Path() == module+"/"+path)
}

func hasMethod(of types.Type, name string) bool {
	if _, ok := of.Underlying().(*types.Interface); ok {
		return false
	}
	return types.NewMethodSet(types.NewPointer(of)).Lookup(nil, name) != nil
}

// What a route can answer for reasons that its input alone gives.
func TestOperationsListTheirProblems(t *testing.T) {
	_, c, pairs := contracted(t)
	codes := c.codes(t)
	used := map[string]bool{}
	for key, o := range c.operations {
		if strings.HasPrefix(key, http.MethodHead) {
			continue // answered without a body, and so without a code
		}
		page := pairs[o].kind == "Page"
		list := words(o.fields["x-problem-codes"])
		if len(list) == 0 {
			t.Errorf("%s lists no codes", key)
		}
		if !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
			t.Errorf("%s: the codes are not in order, or one is there twice", key)
		}
		answers := map[int]bool{}
		for _, name := range list {
			used[name] = true
			if _, ok := codes[name]; !ok {
				t.Errorf("%s lists %s, which is no code", key, name)
			}
			// A page shows most refusals in a form or on a page of their own.
			answered := len(codes[name].Status) == 0 || page
			for _, status := range codes[name].Status {
				if object(o.fields["responses"])[strconv.Itoa(status)] != nil {
					answers[status], answered = true, true
				}
			}
			if !answered {
				t.Errorf("%s lists %s, but no answer with %v", key, name, codes[name].Status)
			}
		}
		for _, status := range gatewayStatuses(pairs[o]) {
			if object(o.fields["responses"])[strconv.Itoa(status)] == nil {
				t.Errorf("%s does not say that API Gateway can answer %d", key, status)
			}
			answers[status] = true
		}
		for status := range object(o.fields["responses"]) {
			n, _ := strconv.Atoi(status)
			if n >= 400 && !answers[n] && !page {
				t.Errorf("%s answers %s, but lists no code for it", key, status)
			}
		}
		if s, ok := pairs[o]; ok {
			for _, name := range mechanical(s) {
				if !slices.Contains(list, name) {
					t.Errorf("%s can answer %s and does not list it", key, name)
				}
			}
		}
	}
	for name := range codes {
		if used[name] != (codes[name].Unseen == "") {
			t.Errorf("%s is listed by an operation: %t; the table says unseen: %q", name, used[name], codes[name].Unseen)
		}
	}
}

// gatewayStatuses are those that API Gateway can answer by itself where the
// route exists.
func gatewayStatuses(s served) []int {
	list := []int{http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}
	if s.kind == "Staff" {
		list = append(list, http.StatusUnauthorized)
	}
	return list
}

// mechanical are the codes that the adapter answers by the shape of the input.
func mechanical(s served) []string {
	list := []string{"internal", "busy", "body_too_large"}
	switch s.kind {
	case "Page":
		list = append(list, "not_found", "query_invalid", "query_repeated")
		if strings.HasPrefix(s.key, http.MethodPost) {
			list = append(list, "cross_origin", "form_invalid", "form_repeated", "content_type", "body_invalid")
		}
		return list
	case "Staff":
		list = append(list, "unauthenticated", "organization_ambiguous", "not_staff")
		if s.permission != "" {
			list = append(list, "forbidden")
		}
	}
	list = append(list, "query_invalid", "query_unknown")
	hasBody := false
	for _, f := range bound(s.in.Underlying().(*types.Struct)) {
		kind := f.variable.Type()
		if tag, ok := f.tag.Lookup("query"); ok {
			if strings.HasSuffix(tag, ",required") {
				list = append(list, "query_missing")
			}
			if _, slice := kind.(*types.Slice); !slice {
				list = append(list, "query_repeated")
			}
			if isNamed(kind, "shared/httpapi", "Cursor") {
				list = append(list, "cursor_invalid")
			}
		}
		switch body, _ := f.tag.Lookup("body"); body {
		case "json":
			hasBody = true
			list = append(list, "body_invalid", "content_type", "field_unknown", "field_duplicate", "field_type")
		case "csv":
			hasBody = true
			list = append(list, "body_invalid", "content_type")
		}
		if _, ok := f.tag.Lookup("header"); ok {
			list = append(list, "header_invalid")
		}
		switch {
		case isNamed(kind, "shared/httpapi", "Version"):
			list = append(list, "version_missing", "version_invalid")
		case isNamed(kind, "shared/httpapi", "IdempotencyKey"):
			list = append(list, "idempotency_key_invalid")
			if strings.HasSuffix(f.tag.Get("header"), ",required") {
				list = append(list, "header_missing")
			}
		}
	}
	if !hasBody {
		list = append(list, "body_unexpected", "body_invalid")
	}
	return list
}

// The fields that pages read from their forms are those that the contract names.
func TestFormFields(t *testing.T) {
	p, c := readSource(t), readContract(t)
	values := p.lookup(t, "shared/httpapi", "Values").Type()
	read := map[string]map[string]bool{}
	for path, files := range p.files {
		function, ok := strings.CutPrefix(path, module+"/functions/")
		if !ok {
			continue
		}
		for _, file := range files {
			ast.Inspect(file, func(n ast.Node) bool {
				index, ok := n.(*ast.IndexExpr)
				if !ok || !types.Identical(p.info.TypeOf(index.X), values) {
					return true
				}
				from, ok := index.X.(*ast.SelectorExpr)
				if !ok || from.Sel.Name != "Form" {
					return true
				}
				names, err := p.values(index.Index)
				if err != nil {
					t.Errorf("a form's field: %v", err)
				}
				for _, name := range names {
					if read[function] == nil {
						read[function] = map[string]bool{}
					}
					read[function][constant.StringVal(name)] = true
				}
				return true
			})
		}
	}
	documented := map[string]map[string]bool{}
	for _, r := range readTemplate(t).Routes {
		o := c.operations[r.Key()]
		if o == nil || o.fields["requestBody"] == nil {
			continue
		}
		request, err := c.resolve(o.fields["requestBody"])
		if err != nil {
			t.Fatal(err)
		}
		media := object(object(request["content"])["application/x-www-form-urlencoded"])
		if media == nil {
			continue
		}
		schema, err := c.resolve(media["schema"])
		if err != nil {
			t.Fatal(err)
		}
		for name := range object(schema["properties"]) {
			if documented[r.Function] == nil {
				documented[r.Function] = map[string]bool{}
			}
			documented[r.Function][name] = true
		}
	}
	if diff := cmp.Diff(read, documented); diff != "" {
		t.Errorf("form fields that the source reads (-) and openapi.yaml names (+):\n%s", diff)
	}
}
