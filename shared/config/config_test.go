package config_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/config"
)

type environment struct {
	Table string        `env:"PROFILES_TABLE"`
	Queue string        `env:"SINGLE_QUEUE,url"`
	Again time.Duration `env:"AGAIN"`
}

func read(variables map[string]string) (environment, error) {
	return config.Read[environment](func(name string) string { return variables[name] })
}

func TestRead(t *testing.T) {
	got, err := read(map[string]string{"PROFILES_TABLE": " dev-profiles ", "SINGLE_QUEUE": "https://sqs.eu-central-1.amazonaws.com/123456789012/single", "AGAIN": "1m30s"})
	want := environment{Table: "dev-profiles", Queue: "https://sqs.eu-central-1.amazonaws.com/123456789012/single", Again: 90 * time.Second}
	if err != nil || got != want {
		t.Errorf("Read = %+v, %v; want %+v", got, err, want)
	}
}

func TestReadOrigins(t *testing.T) {
	type environment struct {
		Connect []string `env:"CONNECT,origins"`
	}
	for text, want := range map[string][]string{
		"https://issuer.example.org":                                 {"https://issuer.example.org"},
		"https://issuer.example.org/staff?a=b ":                      {"https://issuer.example.org"},
		"https://a.example.org/pool  https://b.example.org:8443/":    {"https://a.example.org", "https://b.example.org:8443"},
		"https://a.example.org,https://b.example.org,":               {"https://a.example.org", "https://b.example.org"},
		"https://name:secret@issuer.example.org http://localhost:80": {"https://issuer.example.org", "http://localhost:80"},

		",": {"invalid"}, "issuer.example.org": {"invalid"}, "ftp://issuer.example.org": {"invalid"}, "https://": {"invalid"}, "https://*.example.org": {"invalid"}, "https://a.example.org;script-src": {"invalid"},
		"https://a.example.org 'unsafe-inline'": {"invalid"}, "https://a.example.org https:": {"invalid"}, "https://[::1]": {"invalid"}, "https://é.example.org": {"invalid"},
	} {
		got, err := config.Read[environment](func(string) string { return text })
		if want := slices.Equal(want, []string{"invalid"}); want != (err != nil) {
			t.Errorf("%q: %v", text, err)
		} else if want {
			if err.Error() != "config: environment variables invalid: CONNECT (http or https addresses)" {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if d := cmp.Diff(want, got.Connect); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	}
}

func TestReadNamesAllThatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		variables map[string]string
		want      config.Error
	}{
		"none": {nil, config.Error{Missing: []string{"PROFILES_TABLE", "SINGLE_QUEUE", "AGAIN"}}},
		"spaces are nothing": {map[string]string{"PROFILES_TABLE": " ", "SINGLE_QUEUE": "http://localhost:1/q", "AGAIN": "1s"},
			config.Error{Missing: []string{"PROFILES_TABLE"}}},
		"all sorts": {map[string]string{"SINGLE_QUEUE": "planted-queue", "AGAIN": "planted"},
			config.Error{Missing: []string{"PROFILES_TABLE"}, Invalid: []string{"SINGLE_QUEUE (an http or https address)", "AGAIN (a duration such as 1m30s)"}}},
		"no time passes": {map[string]string{"PROFILES_TABLE": "t", "SINGLE_QUEUE": "https:///nohost", "AGAIN": "0s"},
			config.Error{Invalid: []string{"SINGLE_QUEUE (an http or https address)", "AGAIN (a duration such as 1m30s)"}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(test.variables)
			var got *config.Error
			if !errors.As(err, &got) {
				t.Fatalf("Read: %v", err)
			}
			if d := cmp.Diff(test.want, *got); d != "" {
				t.Error(d)
			}
			for _, wrong := range append(got.Missing, got.Invalid...) {
				if !strings.Contains(err.Error(), wrong) {
					t.Errorf("%q does not name %s", err, wrong)
				}
			}
			if strings.Contains(err.Error(), "planted") {
				t.Errorf("%q repeats a value", err)
			}
		})
	}
}

func TestReadRefusesWhatItCannotFill(t *testing.T) {
	for name, fill := range map[string]func(){
		"no tag": func() { _, _ = config.Read[struct{ A string }](func(string) string { return "x" }) },
		"a list of anything": func() {
			_, _ = config.Read[struct {
				A []string `env:"A"`
			}](func(string) string { return "1" })
		},
		"another type": func() {
			_, _ = config.Read[struct {
				A float64 `env:"A"`
			}](func(string) string { return "1" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			fill()
		})
	}
}
