package pages

import (
	"bytes"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"text/template/parse"
	"time"

	"github.com/memberkey/memberkey/shared/problem"
)

// The files of the pages are Go templates, but html/template does not run
// them: it looks methods up by name, for which the linker keeps every exported
// method of the program, a third of a function's binary. This file knows as
// much of the language as the pages use, and escapes each value for where it
// stands. Tests hold what comes out to the bytes that html/template makes of
// the same files, hostile values included.

// templates are by name.
type templates map[string]*parse.Tree

// read takes in a file and what it shares with the others. A template that
// both define is the file's.
func read(file string) templates {
	all := templates{}
	for _, name := range []string{"en/layout.html", "en/" + file + ".html"} {
		text, err := words.ReadFile(name)
		if err != nil {
			panic(err) // our own files: a fault of the program, as all panics here
		}
		trees, err := parse.Parse(name, string(text), "", "", functions)
		if err != nil {
			panic(err)
		}
		maps.Copy(all, trees)
	}
	return all
}

// markup is HTML of ours: it is not escaped.
type markup string

// functions are what templates may call.
var functions = map[string]any{
	"style":     func(...any) any { return markup("<style>" + style + "</style>") },
	"script":    func(...any) any { return markup("<script>" + script + "</script>") },
	"maxLength": func(...any) any { return maxLength },
	"dial":      func(a ...any) any { return dial(a[0].(string)) },
	"faults":    func(a ...any) any { return faults(a[0].([]problem.Item), a[1].(string)) },
	"not":       func(a ...any) any { return !holds(a[0]) },
	"or":        func(a ...any) any { return slices.ContainsFunc(a, holds) },
	"eq":        func(a ...any) any { return a[0] == a[1] },
	"ge":        func(a ...any) any { return a[0].(int) >= a[1].(int) },
	"index":     func(a ...any) any { return reflect.ValueOf(a[0]).Index(a[1].(int)).Interface() },
}

// methods are what templates may call on a value; any other name is a field's.
var methods = map[string]func(on any, a []any) any{
	"Moment":        func(on any, a []any) any { return on.(view).Moment(a[0].(time.Time)) },
	"After":         func(on any, a []any) any { return on.(view).After(a[0].(time.Time)) },
	"Rule":          func(on any, _ []any) any { return on.(interface{ Rule() string }).Rule() },
	"PasswordRules": func(on any, _ []any) any { return on.(interface{ PasswordRules() string }).PasswordRules() },
	"Offers":        func(on any, _ []any) any { return on.(interface{ Offers() bool }).Offers() },
	"Reveal":        func(on any, _ []any) any { return on.(interface{ Reveal() string }).Reveal() },
	"IsZero":        func(on any, _ []any) any { return on.(interface{ IsZero() bool }).IsZero() },
}

// scope is a name and its value, and the names around it; "." is the dot.
type scope struct {
	name   string
	value  any
	around *scope
}

func (s *scope) of(name string) any {
	for s.name != name {
		s = s.around // the parser has seen to it that there is one
	}
	return s.value
}

// call writes a template; its dot is both "." and "$".
func (t templates) call(page *bytes.Buffer, name string, dot any) {
	t.run(page, &scope{".", dot, &scope{"$", dot, nil}}, t[name].Root)
}

// run writes what a node makes, and gives the names for what follows it.
func (t templates) run(page *bytes.Buffer, s *scope, node parse.Node) *scope {
	switch n := node.(type) {
	case *parse.ListNode:
		if n != nil {
			inside := s
			for _, node := range n.Nodes {
				inside = t.run(page, inside, node)
			}
		}
	case *parse.TextNode:
		page.Write(n.Text)
	case *parse.ActionNode:
		v := value(s, n.Pipe)
		if len(n.Pipe.Decl) > 0 {
			return &scope{n.Pipe.Decl[0].Ident[0], v, s}
		}
		put(page, v)
	case *parse.TemplateNode:
		t.call(page, n.Name, value(s, n.Pipe))
	case *parse.IfNode:
		t.branch(page, s, &n.BranchNode)
	case *parse.WithNode:
		t.branch(page, s, &n.BranchNode)
	case *parse.RangeNode:
		t.branch(page, s, &n.BranchNode)
	default:
		panic(fmt.Sprintf("pages: templates cannot have %s", node))
	}
	return s
}

func (t templates) branch(page *bytes.Buffer, s *scope, n *parse.BranchNode) {
	switch v := value(s, n.Pipe); {
	case !holds(v):
		t.run(page, s, n.ElseList)
	case n.NodeType == parse.NodeIf:
		t.run(page, s, n.List)
	case n.NodeType == parse.NodeWith:
		t.run(page, &scope{".", v, s}, n.List)
	default:
		for i := range reflect.ValueOf(v).Len() {
			t.run(page, &scope{".", reflect.ValueOf(v).Index(i).Interface(), s}, n.List)
		}
	}
}

// value is what a node stands for; a are arguments.
func value(s *scope, node parse.Node, a ...any) any {
	switch n := node.(type) {
	case *parse.PipeNode:
		if command := n.Cmds[0]; len(n.Cmds) == 1 {
			for _, node := range command.Args[1:] {
				a = append(a, value(s, node))
			}
			return value(s, command.Args[0], a...)
		}
	case *parse.IdentifierNode:
		return functions[n.Ident].(func(...any) any)(a...)
	case *parse.DotNode:
		return s.of(".")
	case *parse.FieldNode:
		return member(s.of("."), n.Ident, a)
	case *parse.VariableNode:
		return member(s.of(n.Ident[0]), n.Ident[1:], a)
	case *parse.ChainNode:
		return member(value(s, n.Node), n.Field, a)
	case *parse.StringNode:
		return n.Text
	case *parse.NumberNode:
		return int(n.Int64)
	}
	panic(fmt.Sprintf("pages: templates cannot have %s", node))
}

func member(of any, path []string, a []any) any {
	for _, name := range path {
		if method := methods[name]; method != nil {
			of = method(of, a)
		} else {
			of = reflect.Indirect(reflect.ValueOf(of)).FieldByName(name).Interface()
		}
	}
	return of
}

// holds is what {{if}} asks of a value.
func holds(v any) bool {
	r := reflect.ValueOf(v)
	return r.IsValid() && !r.IsZero() && (r.Kind() != reflect.Slice || r.Len() > 0)
}

// put writes a value escaped for where it stands: in text, in a quoted
// attribute, or in one that leads somewhere. What has been written so far tells
// which, for what has been escaped has none of the characters <>".
func put(page *bytes.Buffer, v any) {
	if m, ok := v.(markup); ok {
		page.WriteString(string(m))
		return
	}
	s := fmt.Sprint(v)
	tag := string(page.Bytes()[bytes.LastIndexByte(page.Bytes(), '<')+1:])
	if !strings.Contains(tag, ">") {
		at := strings.LastIndex(tag, `="`)
		begun := tag[at+len(`="`):]
		if at < 0 || strings.Contains(begun, `"`) {
			panic("pages: a value outside of quotes in <" + tag)
		}
		switch strings.ToLower(tag[strings.LastIndexAny(tag[:at], " \t\r\n")+1 : at]) {
		case "href", "src", "action", "formaction":
			s = address(begun, s)
		}
	}
	escaper.WriteString(page, s)
}

// escaper is for text and for quoted attributes.
var escaper = strings.NewReplacer("\x00", "\uFFFD", `"`, "&#34;", "&", "&amp;", "'", "&#39;", "+", "&#43;", "<", "&lt;", ">", "&gt;")

// address escapes a part of an address (RFC 3986 §2.1) that has begun. None
// begins with a scheme that does more than to lead somewhere.
func address(begun, s string) string {
	if scheme, _, ok := strings.Cut(s, ":"); begun == "" && ok && !strings.Contains(scheme, "/") && !slices.Contains([]string{"http", "https", "mailto"}, strings.ToLower(scheme)) {
		return "#"
	}
	stays := "-._~"
	if !strings.ContainsAny(begun, "?#") {
		stays += "!#$&*+,/:;=?@[]%"
	}
	var b strings.Builder
	for i, c := range []byte(s) {
		stay := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || strings.IndexByte(stays, c) >= 0
		if c == '%' && stay { // so that nothing is escaped twice
			_, err := url.PathUnescape(s[i:min(i+3, len(s))])
			stay = err == nil
		}
		if stay {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}
