package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/memberkey/memberkey/shared/problem"
)

// maxDepth is how deep a body's objects and arrays may nest.
const maxDepth = 32

// DecodeJSON reads exactly one JSON value into the value that to points at,
// as strictly as a body of ours is read (A3, ASVS 15.3.3 and 15.3.5). Beyond
// what encoding/json does it refuses
//
//   - text that is not UTF-8, and escapes of half a surrogate pair;
//   - a name that the struct does not have, in exactly that spelling:
//     encoding/json takes "USERNAME" for "username", so two parsers of one
//     body could disagree;
//   - a name that occurs twice in one object, at any depth;
//   - null, except for a pointer or an interface (where it means the same as
//     leaving the name out) and for a json.Unmarshaler, which decides itself;
//   - nesting deeper than 32.
//
// Every fault is a *problem.Problem of kind Invalid that names the place as a
// dotted path, such as "audience.kinds.2", and never quotes a value.
func DecodeJSON(body []byte, to any) error {
	if len(body) == 0 {
		return invalid("body_invalid", "", "The body is empty; a JSON value is needed.")
	}
	if !utf8.Valid(body) {
		return invalid("body_invalid", "", "The body is not UTF-8 text.")
	}
	if !json.Valid(body) {
		return invalid("body_invalid", "", "The body is not one well-formed JSON value.")
	}
	d := decoder{body: body}
	return d.value(reflect.ValueOf(to).Elem(), nil)
}

func invalid(code string, field, detail string) *problem.Problem {
	return problem.New(problem.Invalid, code, field, detail)
}

// decoder walks a body that is known to be one valid JSON value, so that it
// need not look for syntax errors.
type decoder struct {
	body []byte
	at   int
}

// place is where the decoder stands, from the outside in; it is put together
// only when something is wrong.
type place struct {
	outer *place
	name  string
}

func (p *place) String() string {
	if p == nil {
		return ""
	}
	if p.outer == nil {
		return clip(p.name)
	}
	return p.outer.String() + "." + clip(p.name)
}

// clip keeps what a caller made up from filling the reply.
func clip(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
}

func (p *place) depth() int {
	n := 0
	for ; p != nil; p = p.outer {
		n++
	}
	return n
}

// value decodes the value at d.at into v; an invalid v means that the value
// is only checked.
func (d *decoder) value(v reflect.Value, where *place) error {
	d.space()
	begun := d.at
	t := reflect.Type(nil)
	if v.IsValid() {
		t = v.Type()
	}
	if t != nil && t.Kind() == reflect.Pointer && !leaf(t) {
		if d.body[d.at] == 'n' {
			d.at += len("null")
			v.SetZero()
			return nil
		}
		v.Set(reflect.New(t.Elem()))
		return d.value(v.Elem(), where)
	}
	switch {
	case t == nil, leaf(t):
		if err := d.skip(where); err != nil || t == nil {
			return err
		}
		return d.leaf(v, d.body[begun:d.at], where)
	case t.Kind() == reflect.Struct:
		if d.body[d.at] != '{' {
			return wrongType(t, where)
		}
		return d.object(where, func(name string) (reflect.Value, bool) {
			index, ok := fieldsOf(t)[name]
			if !ok {
				return reflect.Value{}, false
			}
			return v.FieldByIndex(index), true
		})
	default: // slice
		if d.body[d.at] != '[' {
			return wrongType(t, where)
		}
		v.Set(reflect.MakeSlice(t, 0, 0))
		return d.array(where, func(item *place) error {
			element := reflect.New(t.Elem()).Elem()
			if err := d.value(element, item); err != nil {
				return err
			}
			v.Set(reflect.Append(v, element))
			return nil
		})
	}
}

// skip walks over a value of any shape and checks what holds at every depth.
func (d *decoder) skip(where *place) error {
	d.space()
	switch d.body[d.at] {
	case '{':
		return d.object(where, func(string) (reflect.Value, bool) { return reflect.Value{}, true })
	case '[':
		return d.array(where, func(item *place) error { return d.skip(item) })
	case '"':
		_, err := d.text(where)
		return err
	}
	for d.at < len(d.body) && !strings.ContainsRune(" \t\r\n,]}", rune(d.body[d.at])) {
		d.at++
	}
	return nil
}

func (d *decoder) object(where *place, field func(name string) (reflect.Value, bool)) error {
	if where.depth() >= maxDepth {
		return invalid("body_invalid", where.String(), "The body nests too deep.")
	}
	seen := map[string]bool{}
	d.at++
	for {
		if d.space(); d.body[d.at] == '}' {
			d.at++
			return nil
		}
		if d.body[d.at] == ',' {
			d.at++
			d.space()
		}
		name, err := d.text(where)
		if err != nil {
			return err
		}
		inner := &place{where, name}
		if seen[name] {
			return invalid("field_duplicate", inner.String(), "This field is there twice; send it once.")
		}
		seen[name] = true
		v, ok := field(name)
		if !ok {
			return invalid("field_unknown", inner.String(), "There is no such field here. Names are spelled exactly as documented, capitals included.")
		}
		d.space()
		d.at++ // the colon
		if err := d.value(v, inner); err != nil {
			return err
		}
	}
}

func (d *decoder) array(where *place, element func(*place) error) error {
	if where.depth() >= maxDepth {
		return invalid("body_invalid", where.String(), "The body nests too deep.")
	}
	d.at++
	for i := 0; ; i++ {
		if d.space(); d.body[d.at] == ']' {
			d.at++
			return nil
		}
		if d.body[d.at] == ',' {
			d.at++
		}
		if err := element(&place{where, strconv.Itoa(i)}); err != nil {
			return err
		}
	}
}

func (d *decoder) space() {
	for d.at < len(d.body) && (d.body[d.at] == ' ' || d.body[d.at] == '\t' || d.body[d.at] == '\r' || d.body[d.at] == '\n') {
		d.at++
	}
}

// text reads the string at d.at.
func (d *decoder) text(where *place) (string, error) {
	begun := d.at
	escaped := false
	for d.at++; d.body[d.at] != '"'; d.at++ {
		if d.body[d.at] != '\\' {
			continue
		}
		escaped = true
		d.at++
		if d.body[d.at] != 'u' {
			continue
		}
		switch r := d.unit(d.at); {
		case 0xDC00 <= r && r <= 0xDFFF:
			return "", invalid("body_invalid", where.String(), "The body holds half a character (an unpaired surrogate).")
		case 0xD800 <= r && r <= 0xDBFF:
			low := rune(-1)
			if d.body[d.at+5] == '\\' && d.body[d.at+6] == 'u' {
				low = d.unit(d.at + 6)
			}
			if low < 0xDC00 || low > 0xDFFF {
				return "", invalid("body_invalid", where.String(), "The body holds half a character (an unpaired surrogate).")
			}
			d.at += 10
		default:
			d.at += 4
		}
	}
	d.at++
	if !escaped {
		return string(d.body[begun+1 : d.at-1]), nil
	}
	var s string
	err := json.Unmarshal(d.body[begun:d.at], &s)
	return s, err
}

// unit reads the four hex digits after the u at i.
func (d *decoder) unit(i int) rune {
	n, _ := strconv.ParseUint(string(d.body[i+1:i+5]), 16, 16)
	return rune(n)
}

// leaf hands a value that has no names of ours inside to encoding/json.
func (d *decoder) leaf(v reflect.Value, raw []byte, where *place) error {
	t := v.Type()
	if string(raw) == "null" && !takesNull(t) {
		return wrongType(t, where)
	}
	err := json.Unmarshal(raw, v.Addr().Interface())
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		q := *p
		q.Field = where.String()
		return &q
	}
	return wrongType(t, where) // without the cause, which may quote the value
}

// takesNull says whether null means something to a leaf. encoding/json drops a
// null for any other type without a word, and so does time.Time.
func takesNull(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Interface, reflect.Pointer:
		return true
	}
	return t != reflect.TypeFor[time.Time]() && reflect.PointerTo(t).Implements(jsonUnmarshaler)
}

func wrongType(t reflect.Type, where *place) error {
	return invalid("field_type", where.String(), "This must be "+describe(t)+".")
}

// describe tells people what a type takes.
func describe(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "a time such as 2026-11-23T15:04:05Z"
	case reflect.PointerTo(t).Implements(textUnmarshaler):
		return "a text in the documented form"
	case reflect.PointerTo(t).Implements(jsonUnmarshaler):
		return "of the documented form"
	}
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a whole number within its range"
}

var jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()

// leaf says whether encoding/json may decode a type whole: it has no struct
// fields of ours inside, so its lenience about names cannot matter.
func leaf(t reflect.Type) bool {
	if decidesItself(t) {
		return true
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Pointer:
		return false
	case reflect.Slice:
		return t.Elem().Kind() == reflect.Uint8
	}
	return true
}

// decidesItself says whether a type has its own way of reading JSON.
func decidesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t) // has the methods of t too
	return p.Implements(jsonUnmarshaler) || p.Implements(textUnmarshaler) || t.Implements(jsonUnmarshaler) || t.Implements(textUnmarshaler)
}

var fieldNames sync.Map // reflect.Type -> map[string][]int

// fieldsOf gives the fields of a struct by their JSON names. Fields of an
// embedded struct without a name of its own are the outer struct's, as in
// encoding/json.
func fieldsOf(t reflect.Type) map[string][]int {
	if fields, ok := fieldNames.Load(t); ok {
		return fields.(map[string][]int)
	}
	fields := map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() || flattened(f) || !reachable(t, f.Index) {
			continue
		}
		if name == "" {
			name = f.Name
		}
		if _, twice := fields[name]; twice || strings.Contains(options, "string") {
			panic(fmt.Sprintf("httpapi: field %s of %v cannot be part of a JSON body", f.Name, t))
		}
		fields[name] = f.Index
	}
	fieldNames.Store(t, fields)
	return fields
}

// flattened says whether an embedded struct gives its fields to the outer one.
func flattened(f reflect.StructField) bool {
	return f.Anonymous && f.Tag.Get("json") == "" && f.Type.Kind() == reflect.Struct && !leaf(f.Type)
}

// reachable says whether every struct on the way to a promoted field is flattened.
func reachable(t reflect.Type, index []int) bool {
	for i := 1; i < len(index); i++ {
		if !flattened(t.FieldByIndex(index[:i])) {
			return false
		}
	}
	return true
}

// mustDecode panics on a type that cannot be decoded strictly. A route asks
// when it is made, so that no request can find out.
func mustDecode(t reflect.Type, seen map[reflect.Type]bool) {
	if seen[t] {
		return
	}
	seen[t] = true
	if decidesItself(t) {
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		mustDecode(t.Elem(), seen)
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 {
			mustDecode(t.Elem(), seen)
		}
	case reflect.Struct:
		for _, index := range fieldsOf(t) {
			mustDecode(t.FieldByIndex(index).Type, seen)
		}
	case reflect.Map, reflect.Array, reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		panic(fmt.Sprintf("httpapi: %v cannot be part of a JSON body", t))
	}
}
