// Package config reads a function's settings from its environment:
//
//	type environment struct {
//		Profiles string        `env:"PROFILES_TABLE"`
//		Single   string        `env:"SINGLE_QUEUE,url"`
//		Again    time.Duration `env:"AGAIN"`
//		Connect  []string      `env:"CONNECT,origins"`
//	}
//
// Origins are addresses with spaces or commas between, of which the path is cut
// off: "https://issuer.example.org/staff" is "https://issuer.example.org".
//
// Every variable is required: template.yaml sets exactly those that the
// functions read, and a test compares the two. A default would only hide that
// one is missing.
package config

import (
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// Error names every variable that is missing or cannot be used, so that one
// look at the log mends them all. It repeats no value.
type Error struct {
	Missing []string
	// Invalid are names with what they should be: "AGAIN (a duration such as 1m30s)".
	Invalid []string
}

func (e *Error) Error() string {
	var parts []string
	if len(e.Missing) > 0 {
		parts = append(parts, "missing: "+strings.Join(e.Missing, ", "))
	}
	if len(e.Invalid) > 0 {
		parts = append(parts, "invalid: "+strings.Join(e.Invalid, ", "))
	}
	return "config: environment variables " + strings.Join(parts, "; ")
}

// Read fills a struct from the environment; get is os.Getenv but in tests. Its
// error is an *Error. A struct that cannot be filled is a fault of the program
// and panics.
func Read[T any](get func(name string) string) (T, error) {
	var settings T
	var wrong Error
	v := reflect.ValueOf(&settings).Elem()
	for i := range v.NumField() {
		name, kind, _ := strings.Cut(v.Type().Field(i).Tag.Get("env"), ",")
		if name == "" {
			panic(fmt.Sprintf("config: %s.%s has no env tag", v.Type(), v.Type().Field(i).Name))
		}
		text := strings.TrimSpace(get(name))
		if text == "" {
			wrong.Missing = append(wrong.Missing, name)
		} else if want := set(v.Field(i), kind, text); want != "" {
			wrong.Invalid = append(wrong.Invalid, name+" ("+want+")")
		}
	}
	if wrong.Missing != nil || wrong.Invalid != nil {
		return settings, &wrong
	}
	return settings, nil
}

// host is a host as a Content-Security-Policy takes it: a quote, a semicolon or
// a star would be another policy.
var host = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?$`)

// set puts text into the field; want says what it should have been.
func set(field reflect.Value, kind, text string) (want string) {
	switch p := field.Addr().Interface().(type) {
	case *string:
		if u, err := url.Parse(text); kind == "url" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			return "an http or https address"
		}
		*p = text
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return "a duration such as 1m30s"
		}
		*p = d
	case *[]string:
		if kind != "origins" {
			panic("config: a list of " + kind)
		}
		for _, address := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' }) {
			u, err := url.Parse(address)
			if err != nil || u.Scheme != "https" && u.Scheme != "http" || !host.MatchString(u.Host) {
				return "http or https addresses"
			}
			*p = append(*p, u.Scheme+"://"+u.Host)
		}
		if *p == nil {
			return "http or https addresses"
		}
	default:
		panic(fmt.Sprintf("config: a field of type %s", field.Type()))
	}
	return ""
}
