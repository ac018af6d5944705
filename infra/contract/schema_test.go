package contract_test

import (
	"fmt"
	"math"
	"net/mail"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// The part of JSON Schema (2020-12) that openapi.yaml uses. A keyword that is
// not listed here is an error, so nothing in the document goes unchecked.
var annotations = []string{"description", "title", "default", "examples", "readOnly", "writeOnly", "deprecated"}

// validate says why a value does not fit a schema; nothing when it does.
func (c *contract) validate(schema any, value any, at string) (faults []string) {
	fault := func(format string, args ...any) {
		faults = append(faults, at+": "+fmt.Sprintf(format, args...))
	}
	s, err := c.resolve(schema)
	if err != nil {
		fault("%v", err)
		return faults
	}
	for keyword, rule := range s {
		switch keyword {
		case "type":
			names := words(rule)
			if name, ok := rule.(string); ok {
				names = []string{name}
			}
			if !slices.ContainsFunc(names, func(name string) bool { return isType(name, value) }) {
				fault("is no %s", strings.Join(names, " or "))
			}
		case "enum":
			if !slices.ContainsFunc(array(rule), func(one any) bool { return reflect.DeepEqual(one, value) }) {
				fault("%v is none of %v", value, rule)
			}
		case "const":
			if !reflect.DeepEqual(rule, value) {
				fault("%v is not %v", value, rule)
			}
		case "properties", "required", "additionalProperties", "propertyNames":
			if o, ok := value.(map[string]any); ok {
				faults = append(faults, c.validateMembers(keyword, rule, s, o, at)...)
			}
		case "items":
			for i, item := range array(value) {
				faults = append(faults, c.validate(rule, item, fmt.Sprintf("%s[%d]", at, i))...)
			}
		case "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum":
			if n, ok := measure(keyword, value); ok {
				limit, isNumber := number(rule)
				if !isNumber || strings.HasPrefix(keyword, "min") && n < limit || strings.HasPrefix(keyword, "max") && n > limit {
					fault("%v breaks %s %v", n, keyword, rule)
				}
			}
		case "uniqueItems":
			list := array(value)
			for i := range list {
				if slices.ContainsFunc(list[:i], func(one any) bool { return reflect.DeepEqual(one, list[i]) }) {
					fault("%v is there twice", list[i])
				}
			}
		case "pattern":
			expression, _ := rule.(string)
			pattern, err := regexp.Compile(expression)
			if text, ok := value.(string); err != nil || ok && !pattern.MatchString(text) {
				fault("%v does not match %s (%v)", value, expression, err)
			}
		case "format":
			if text, ok := value.(string); ok && !inFormat(rule, text) {
				fault("%q is no %v", text, rule)
			}
		case "allOf":
			for _, one := range array(rule) {
				faults = append(faults, c.validate(one, value, at)...)
			}
		case "oneOf":
			fits := 0
			for _, one := range array(rule) {
				if len(c.validate(one, value, at)) == 0 {
					fits++
				}
			}
			if fits != 1 {
				fault("fits %d of oneOf", fits)
			}
		default:
			if !slices.Contains(annotations, keyword) && !strings.HasPrefix(keyword, "x-") {
				fault("the keyword %s is not known to this test", keyword)
			}
		}
	}
	return faults
}

func (c *contract) validateMembers(keyword string, rule any, s, value map[string]any, at string) (faults []string) {
	for name, member := range value {
		inner := at + "." + name
		_, known := object(s["properties"])[name]
		switch {
		case keyword == "properties" && known:
			faults = append(faults, c.validate(object(rule)[name], member, inner)...)
		case keyword == "propertyNames":
			faults = append(faults, c.validate(rule, name, inner)...)
		case keyword == "additionalProperties" && !known:
			if allowed, ok := rule.(bool); ok && !allowed {
				faults = append(faults, inner+": there is no such property")
			} else if !ok {
				faults = append(faults, c.validate(rule, member, inner)...)
			}
		}
	}
	if keyword == "required" {
		for _, name := range words(rule) {
			if _, ok := value[name]; !ok {
				faults = append(faults, at+": "+name+" is missing")
			}
		}
	}
	return faults
}

// merged is a schema with the members of its allOf put together.
func (c *contract) merged(schema any) (map[string]any, error) {
	s, err := c.resolve(schema)
	if err != nil || s["allOf"] == nil {
		return s, err
	}
	properties, required := map[string]any{}, []any{}
	for _, one := range array(s["allOf"]) {
		part, err := c.merged(one)
		if err != nil {
			return nil, err
		}
		for name, property := range object(part["properties"]) {
			properties[name] = property
		}
		required = append(required, array(part["required"])...)
	}
	return map[string]any{"type": "object", "properties": properties, "required": required}, nil
}

func isType(name string, value any) bool {
	switch v := value.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case int:
		return name == "integer" || name == "number"
	case float64:
		return name == "number" || name == "integer" && v == math.Trunc(v)
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	}
	return false
}

// measure gives what a limit is about, if it is about such a value at all.
func measure(keyword string, value any) (float64, bool) {
	switch {
	case strings.HasSuffix(keyword, "Items"):
		list, ok := value.([]any)
		return float64(len(list)), ok
	case strings.HasSuffix(keyword, "Length"):
		text, ok := value.(string)
		return float64(utf8.RuneCountInString(text)), ok
	}
	return number(value)
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func inFormat(format any, text string) bool {
	switch format {
	case "date-time":
		at, err := time.Parse(time.RFC3339Nano, text)
		return err == nil && strings.HasSuffix(text, "Z") && at.Truncate(time.Millisecond).Equal(at)
	case "date":
		_, err := time.Parse(time.DateOnly, text)
		return err == nil
	case "email":
		a, err := mail.ParseAddress(text)
		return err == nil && a.Address == text
	case "uri":
		u, err := url.Parse(text)
		return err == nil && u.IsAbs()
	case "password":
		return true
	}
	return false
}

// A validator that lets everything pass proves nothing.
func TestValidatorRefuses(t *testing.T) {
	c := &contract{document: map[string]any{"name": map[string]any{"type": "string", "maxLength": 3}}}
	type m = map[string]any
	type a = []any
	person := m{"type": "object", "required": a{"name"}, "additionalProperties": false, "properties": m{"name": m{"$ref": "#/name"}}}
	for _, tt := range []struct {
		schema m
		fits   a
		not    a
	}{
		{m{"type": "string"}, a{"", "x"}, a{1, nil, true, a{}, m{}}},
		{m{"type": a{"string", "null"}}, a{"x", nil}, a{1}},
		{m{"type": "integer"}, a{1, 2.0}, a{1.5, "1"}},
		{m{"type": "number"}, a{1, 1.5}, a{"1"}},
		{m{"type": "boolean"}, a{true}, a{"true"}},
		{m{"$ref": "#/name"}, a{"añb"}, a{"abcd", 1}},
		{m{"$ref": "#/nowhere"}, nil, a{"x"}},
		{person, a{m{"name": "Ana"}}, a{m{}, m{"name": "Anna"}, m{"name": "Ana", "x": 1}, "Ana"}},
		{m{"type": "object", "additionalProperties": m{"type": "integer"}}, a{m{"x": 1}}, a{m{"x": "1"}}},
		{m{"type": "object", "propertyNames": m{"enum": a{"x"}}}, a{m{"x": 1}}, a{m{"y": 1}}},
		{m{"items": m{"type": "string"}, "minItems": 1, "maxItems": 2, "uniqueItems": true}, a{a{"x"}}, a{a{}, a{1}, a{"x", "x"}, a{"x", "y", "z"}}},
		{m{"enum": a{"x", 1}}, a{"x", 1}, a{"y"}},
		{m{"const": "x"}, a{"x"}, a{"y"}},
		{m{"minimum": 1, "maximum": 3}, a{1, 3}, a{0, 4}},
		{m{"minLength": 2}, a{"ñx"}, a{"ñ"}},
		{m{"pattern": "^[a-z]+$"}, a{"x"}, a{"X"}},
		{m{"format": "date-time"}, a{"2026-11-23T15:04:05Z", "2026-11-23T15:04:05.123Z"}, a{"2026-11-23", "2026-11-23T15:04:05+01:00", "2026-11-23T15:04:05.1234Z"}},
		{m{"format": "date"}, a{"2026-11-23"}, a{"2026-11-31"}},
		{m{"format": "email"}, a{"ana@example.com"}, a{"ana"}},
		{m{"format": "uri"}, a{"https://www.example.org"}, a{"www.example.org"}},
		{m{"format": "unheard of"}, nil, a{"x"}},
		{m{"oneOf": a{m{"type": "string"}, m{"type": "null"}}}, a{"x", nil}, a{1}},
		{m{"oneOf": a{m{"type": "string"}, m{"const": "x"}}}, a{"y"}, a{"x"}},
		{m{"allOf": a{m{"type": "string"}, m{"maxLength": 1}}}, a{"x"}, a{"xy", 1}},
		{m{"anyOf": a{}}, nil, a{"x"}},
	} {
		for _, v := range tt.fits {
			if faults := c.validate(tt.schema, v, "it"); len(faults) > 0 {
				t.Errorf("%v with %v: %v", tt.schema, v, faults)
			}
		}
		for _, v := range tt.not {
			if faults := c.validate(tt.schema, v, "it"); len(faults) == 0 {
				t.Errorf("%v accepts %v", tt.schema, v)
			}
		}
	}
}
