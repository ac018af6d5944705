package profile_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/memberkey/memberkey/shared/profile"
)

func TestNothingPrintsPeople(t *testing.T) {
	p := person("5", "Secretfirst", "Secretlast", "Secretcompany", "secretmail@example.org")
	p.Organization, p.Epoch, p.Username = "demo", "secretepoch", "secretname"
	later := *p
	email := "secretother@example.org"
	change, err := (profile.Fields{Email: &email}).Apply(&later, noon)
	if err != nil {
		t.Fatal(err)
	}
	q, err := profile.ParseQuery("secretmail@example.org")
	if err != nil {
		t.Fatal(err)
	}
	m := memory{"5": p}
	plan := plan(t, m, fileOf("5,individual,Secretlast,,secretother@example.org,active,,,,,", "6,individual,Secretlast,,secret@@example.org,active,,,,,"))
	effects, err := plan.Effects(access(profile.MembersOnly), m.profiles, m.related)
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	for _, v := range []any{p, *p, profile.HitOf(p), change, change.Fields, change.Fields[0], q, plan.Steps, plan.Errors, plan.Warnings, *effects} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(strings.ToLower(s), "secret") {
				t.Errorf("%T prints with %s as %s", v, verb, s)
			}
		}
	}
	log.Info("x", "profile", p, "value", *p, "hit", profile.HitOf(p), "change", change)
	if strings.Contains(strings.ToLower(logged.String()), "secret") {
		t.Error(logged.String())
	}
}
