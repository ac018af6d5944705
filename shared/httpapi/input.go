package httpapi

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/memberkey/memberkey/shared/problem"
)

// input knows how the fields of an In are filled. It is made once per route.
type input[In any] struct {
	params  []param
	queries map[string]bool
	body    []int  // index of the body field, nil where there is none
	kind    string // "json" or "csv"
}

// param is a field from the path, the query or a header.
type param struct {
	from, name string
	required   bool
	index      []int
	field      reflect.Type
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

func newInput[In any]() *input[In] {
	t := reflect.TypeFor[In]()
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("httpapi: input %v is no struct", t))
	}
	in := &input[In]{queries: map[string]bool{}}
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			continue // its fields follow
		}
		if kind, ok := f.Tag.Lookup("body"); ok {
			in.setBody(t, f, kind)
			continue
		}
		p := param{index: f.Index, field: f.Type}
		for _, from := range []string{"path", "query", "header"} {
			if tag, ok := f.Tag.Lookup(from); ok {
				name, option, _ := strings.Cut(tag, ",")
				p.from, p.name, p.required = from, name, option == "required"
			}
		}
		if p.from == "" || p.name == "" || !f.IsExported() || !bindable(f.Type) {
			panic(fmt.Sprintf("httpapi: field %s of %v cannot be bound", f.Name, t))
		}
		p.required = p.required || p.from == "path" || p.field == reflect.TypeFor[Version]()
		if p.from == "header" {
			p.name = strings.ToLower(p.name)
		}
		if p.from == "query" {
			in.queries[p.name] = true
		}
		in.params = append(in.params, p)
	}
	return in
}

func (in *input[In]) setBody(t reflect.Type, f reflect.StructField, kind string) {
	raw := f.Type.Kind() == reflect.String || f.Type == reflect.TypeFor[[]byte]()
	switch {
	case in.body != nil:
		panic(fmt.Sprintf("httpapi: %v has two bodies", t))
	case kind == "csv" && raw:
	case kind == "json" && !raw:
		mustDecode(f.Type, map[reflect.Type]bool{})
	default:
		panic(fmt.Sprintf("httpapi: field %s of %v cannot hold a %s body", f.Name, t, kind))
	}
	in.body, in.kind = f.Index, kind
}

func bindable(t reflect.Type) bool {
	if t == reflect.TypeFor[[]string]() {
		return true
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return reflect.PointerTo(t).Implements(textUnmarshaler) || t.Kind() == reflect.String || t.Kind() == reflect.Int || t.Kind() == reflect.Bool
}

// bind fills an In from the event. Cheap refusals come first; the body is
// touched last.
func (in *input[In]) bind(k *call) (value In, err error) {
	if err := k.tooLarge(); err != nil {
		return value, err
	}
	query, err := k.query()
	if err != nil {
		return value, err
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !in.queries[name] {
			return value, problem.Newf(problem.Invalid, "query_unknown", clip(name), "There is no query parameter with this name here.%s", known(in.queries))
		}
	}
	v := reflect.ValueOf(&value).Elem()
	for _, p := range in.params {
		var values []string
		switch p.from {
		case "path":
			if s, ok := k.event.PathParameters[p.name]; ok {
				values = []string{s}
			}
		case "query":
			values = query[p.name]
		case "header":
			if s, ok := k.header(p.name); ok {
				values = []string{s}
			}
		}
		if err := p.set(v.FieldByIndex(p.index), values); err != nil {
			return value, err
		}
	}
	if in.body == nil {
		return value, k.noBody()
	}
	body, err := k.body()
	if err != nil {
		return value, err
	}
	field := v.FieldByIndex(in.body)
	if in.kind == "csv" {
		if err := k.contentType("text/csv"); err != nil {
			return value, err
		}
		if !utf8.Valid(body) || bytes.Contains(body, lost) {
			return value, problem.New(problem.Invalid, "body_invalid", "", "The file is not UTF-8 text. Save it as CSV UTF-8 and send it again.")
		}
		if field.Kind() == reflect.String {
			field.SetString(string(body))
		} else {
			field.SetBytes(body)
		}
		return value, nil
	}
	if len(body) == 0 && field.Kind() == reflect.Pointer {
		return value, nil
	}
	if err := k.contentType("application/json"); err != nil {
		return value, err
	}
	if bytes.Contains(body, lost) {
		return value, problem.New(problem.Invalid, "body_invalid", "", "The body is not UTF-8 text, or holds the sign “\ufffd”, which stands for a character that was lost. Correct it and send it again.")
	}
	return value, DecodeJSON(body, field.Addr().Interface())
}

// lost is what a gateway makes of bytes that are no UTF-8, because an event is
// JSON. A name in Latin-1 would be stored as “Garc�a” without a word.
var lost = []byte("\ufffd")

func known(names map[string]bool) string {
	if len(names) == 0 {
		return " None is taken."
	}
	return " Known are: " + strings.Join(slices.Sorted(maps.Keys(names)), ", ") + "."
}

func (p *param) fault(code, detail string) error {
	if p.from == "path" { // what no path of ours can hold does not exist
		return problem.New(problem.NotFound, "not_found", "", "There is nothing at this address.")
	}
	name := p.name
	if p.from == "header" {
		name = http.CanonicalHeaderKey(name)
	}
	return problem.New(problem.Invalid, p.from+"_"+code, name, detail)
}

func (p *param) set(v reflect.Value, values []string) error {
	if len(values) == 0 {
		switch {
		case p.field == reflect.TypeFor[Version]():
			_, err := ParseIfMatch("")
			return err
		case p.required:
			return p.fault("missing", "This "+kindOf(p.from)+" is required here.")
		}
		return nil
	}
	for _, s := range values {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			return p.fault("invalid", "This "+kindOf(p.from)+" is not UTF-8 text.")
		}
	}
	if p.field == reflect.TypeFor[[]string]() {
		var list []string
		for _, s := range values {
			for item := range strings.SplitSeq(s, ",") {
				if item = strings.TrimSpace(item); item != "" {
					list = append(list, item)
				}
			}
		}
		v.Set(reflect.ValueOf(list))
		return nil
	}
	if len(values) > 1 {
		return p.fault("repeated", "This "+kindOf(p.from)+" may be sent once.")
	}
	s := values[0]
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		err := u.UnmarshalText([]byte(s))
		if err == nil {
			return nil
		}
		if q, ok := errors.AsType[*problem.Problem](err); ok {
			return q
		}
		return p.fault("invalid", "This "+kindOf(p.from)+" must be "+describe(p.field)+".")
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Int:
		n, err := strconv.Atoi(s)
		if err != nil {
			return p.fault("invalid", "This "+kindOf(p.from)+" must be a whole number.")
		}
		v.SetInt(int64(n))
	case reflect.Bool:
		if s != "true" && s != "false" {
			return p.fault("invalid", "This "+kindOf(p.from)+" must be true or false.")
		}
		v.SetBool(s == "true")
	}
	return nil
}

func kindOf(from string) string {
	if from == "query" {
		return "query parameter"
	}
	return from
}

// query reads the raw query string, because API Gateway's own map joins
// repeated parameters with commas, which a value may hold too.
func (k *call) query() (url.Values, error) {
	if k.event.RawQueryString == "" {
		values := url.Values{}
		for name, v := range k.event.QueryStringParameters {
			values.Set(name, v)
		}
		return values, nil
	}
	values, err := url.ParseQuery(k.event.RawQueryString)
	if err != nil {
		return nil, problem.New(problem.Invalid, "query_invalid", "", "The query string of the address is not well-formed.")
	}
	return values, nil
}

// header looks a header up by its lower-case name, the form in which API
// Gateway sends all of them; other forms are taken for the sake of hand-made
// events.
func (k *call) header(name string) (string, bool) {
	if v, ok := k.event.Headers[name]; ok {
		return v, true
	}
	for other, v := range k.event.Headers {
		if strings.EqualFold(other, name) {
			return v, true
		}
	}
	return "", false
}

// tooLarge refuses a body over the limit by its length alone (A16).
func (k *call) tooLarge() error {
	size := len(k.event.Body)
	if k.event.IsBase64Encoded {
		size = size/4*3 - strings.Count(k.event.Body[max(0, size-2):], "=")
	}
	if size > k.limit {
		return problem.Newf(problem.TooLarge, "body_too_large", "", "The body is too large: at most %d bytes are taken here.", k.limit).With("limit", k.limit)
	}
	return nil
}

func (k *call) body() ([]byte, error) {
	if !k.event.IsBase64Encoded {
		return []byte(k.event.Body), nil
	}
	b, err := base64.StdEncoding.DecodeString(k.event.Body)
	if err != nil {
		return nil, problem.New(problem.Invalid, "body_invalid", "", "The body did not arrive whole. Please send it again.")
	}
	return b, nil
}

// noBody refuses a body where none is read: what it asks for would be lost
// without a word.
func (k *call) noBody() error {
	body, err := k.body()
	if err != nil {
		return err
	}
	if s := strings.TrimSpace(string(body)); s != "" && s != "{}" {
		return problem.New(problem.Invalid, "body_unexpected", "", "This request takes no body.")
	}
	return nil
}

// contentType refuses a body that does not say what it is. It is also what
// keeps another site's form from posting JSON: a form cannot say
// application/json without a preflight.
func (k *call) contentType(want string) error {
	value, _ := k.header("content-type")
	got, params, err := mime.ParseMediaType(value)
	if charset := params["charset"]; err != nil || got != want || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return problem.Newf(problem.Invalid, "content_type", "Content-Type", "Send the body as %s in UTF-8, and say so in Content-Type.", want)
	}
	return nil
}
