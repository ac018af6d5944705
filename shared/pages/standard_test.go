package pages

import (
	"bytes"
	"html/template"
	"maps"
	"reflect"
	"strings"
	"sync"
	"text/template/parse"

	"github.com/memberkey/memberkey/shared/organization"
)

// Standard makes a page as [Render] does, but by html/template: what it makes
// is what Render has to make.
func Standard(settings *organization.Settings, p Page) []byte {
	var page bytes.Buffer
	if err := standard(p.file()).ExecuteTemplate(&page, "layout", newView(settings, p)); err != nil {
		panic(err)
	}
	return page.Bytes()
}

var standards sync.Map // file -> *template.Template

func standard(file string) *template.Template {
	if t, ok := standards.Load(file); ok {
		return t.(*template.Template)
	}
	t := template.Must(template.New(file).Funcs(template.FuncMap{
		"style":     func() template.HTML { return template.HTML("<style>" + style + "</style>") },
		"script":    func() template.HTML { return template.HTML("<script>" + script + "</script>") },
		"maxLength": func() int { return maxLength },
		"dial":      dial,
		"faults":    faults,
	}).ParseFS(words, "en/layout.html", "en/"+file+".html"))
	standards.Store(file, t)
	return t
}

// Escapers are what html/template puts around the values of a page that it has
// made before, in all of its branches: they say where values stand.
func Escapers(p Page) map[string]bool {
	found := map[string]bool{}
	for _, t := range standard(p.file()).Templates() {
		if t.Tree == nil {
			continue
		}
		visit(reflect.ValueOf(t.Tree.Root), func(n parse.Node) {
			if name, ok := n.(*parse.IdentifierNode); ok && strings.HasPrefix(name.Ident, "_") {
				found[name.Ident] = true
			}
		})
	}
	return found
}

// Texts are all the words in the templates of a page.
func Texts(p Page) map[string]bool {
	found := map[string]bool{}
	for tree := range maps.Values(read(p.file())) {
		visit(reflect.ValueOf(tree.Root), func(n parse.Node) {
			if text, ok := n.(*parse.TextNode); ok {
				found[string(text.Text)] = true
			}
		})
	}
	return found
}

// Put is what a value becomes after what was written before it.
func Put(before, value string) string {
	page := bytes.NewBufferString(before)
	put(page, value)
	return page.String()[len(before):]
}

// Forget makes the next page the first of its kind.
func Forget() { parsed.Clear() }

// visit calls do for v and each node in it.
func visit(v reflect.Value, do func(parse.Node)) {
	switch v.Kind() {
	case reflect.Interface:
		visit(v.Elem(), do)
	case reflect.Slice:
		for i := range v.Len() {
			visit(v.Index(i), do)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				visit(v.Field(i), do)
			}
		}
	case reflect.Pointer:
		if n, ok := v.Interface().(parse.Node); ok && !v.IsNil() {
			do(n)
			visit(v.Elem(), do)
		}
	}
}
