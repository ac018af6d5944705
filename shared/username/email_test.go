package username_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/username"
)

func TestParseEmail(t *testing.T) {
	for _, tt := range []struct {
		typed, display string
		box            username.Mailbox
		delivered      string
	}{
		{"ana@example.org", "ana@example.org", "ana@example.org", "ana@example.org"},
		{" Ana.Garcia+Club@Example.ORG\n", "Ana.Garcia+Club@Example.ORG", "ana.garcia+club@example.org", "Ana.Garcia+Club@example.org"},
		{"Ana@Bücher.example", "Ana@Bücher.example", "ana@xn--bcher-kva.example", "Ana@xn--bcher-kva.example"},
		{"ana@straße.example", "ana@straße.example", "ana@xn--strae-oqa.example", "ana@xn--strae-oqa.example"},
		{"ana@ışık.example", "ana@ışık.example", "ana@xn--k-ekaa7p.example", "ana@xn--k-ekaa7p.example"},
		{"o'brien_{x}!#$%&*-/=?^`|~@sub.example.com", "o'brien_{x}!#$%&*-/=?^`|~@sub.example.com", "o'brien_{x}!#$%&*-/=?^`|~@sub.example.com", "o'brien_{x}!#$%&*-/=?^`|~@sub.example.com"},
		{"1@example.org", "1@example.org", "1@example.org", "1@example.org"},
		{strings.Repeat("l", 64) + "@example.org", strings.Repeat("l", 64) + "@example.org", username.Mailbox(strings.Repeat("l", 64) + "@example.org"), strings.Repeat("l", 64) + "@example.org"},
	} {
		display, box, err := username.ParseEmail(tt.typed)
		if err != nil || display != tt.display || box != tt.box {
			t.Errorf("ParseEmail(%q) = %q, %q, %v; want %q, %q", tt.typed, display, box, err, tt.display, tt.box)
		}
		delivered, err := username.Deliverable(display)
		if err != nil || delivered != tt.delivered {
			t.Errorf("Deliverable(%q) = %q, %v; want %q", display, delivered, err, tt.delivered)
		}
	}
}

func TestParseEmailRefuses(t *testing.T) {
	for typed, says := range map[string]string{
		"":                                         "empty",
		"  ":                                       "empty",
		"ana":                                      "no @",
		"ana.example.org":                          "no @",
		"@example.org":                             "nothing before the @",
		"ana@":                                     "needs a dot",
		"ana@example":                              "needs a dot",
		"ana@@example.org":                         "more than one @",
		"ana@example.org,b@example.org":            "more than one @",
		"ana garcia@example.org":                   "a space",
		"ana\r\nBcc: b@example.org":                "U+000D",
		"\"ana\"@example.org":                      "“\"” (U+0022)",
		"<ana@example.org>":                        "“<” (U+003C)",
		"ana,b@example.org":                        "“,” (U+002C)",
		"ana;b@example.org":                        "“;” (U+003B)",
		"ana\\b@example.org":                       "U+005C",
		"(x)ana@example.org":                       "U+0028",
		"ána@example.org":                          "“á” (U+00E1)",
		"mi\u212ae@example.org":                    "U+212A",
		"ana\xff@example.org":                      "could not be read",
		".ana@example.org":                         "a dot at its beginning or end",
		"ana.@example.org":                         "a dot at its beginning or end",
		"an..a@example.org":                        "two dots together",
		"ana@example.org.":                         "a dot too many",
		"ana@.example.org":                         "a dot too many",
		"ana@example..org":                         "a dot too many",
		"ana@exam ple.org":                         "not the name of a mail domain",
		"ana@exam_ple.org":                         "not the name of a mail domain",
		"ana@-example.org":                         "not the name of a mail domain",
		"ana@127.0.0.1":                            "not the name of a mail domain",
		"ana@1a.\u05d0\u05d1.example":              "not the name of a mail domain", // RFC 5893: a digit before right-to-left text
		"ana@[127.0.0.1]":                          "not the name of a mail domain",
		"ana@example.org\x00":                      "not the name of a mail domain",
		"ana@xn--\u00e4.org":                       "not the name of a mail domain",
		"ana@xn--zzzzzzzz9999.org":                 "not the name of a mail domain",
		"ana@ｅxample.org":                          "only looks like",
		"ana@example\u3002org":                     "needs a dot",
		"ana@mail.example\u3002org":                "not the name of a mail domain",
		"ana@exam\u00adple.org":                    "only looks like",
		"ana@exampl\u212a.org":                     "only looks like",
		strings.Repeat("l", 65) + "@example.org":   "at most 64",
		"ana@" + strings.Repeat("d", 64) + ".org":  "not the name of a mail domain",
		"ana@" + strings.Repeat("dd.", 90) + "org": "at most 254",
		strings.Repeat("ana@example.org,", 1<<16):  "at most 254",
	} {
		display, box, err := username.ParseEmail(typed)
		p, ok := errors.AsType[*problem.Problem](err)
		if !ok || display != "" || box != "" || p.Kind != problem.Invalid || p.Code != "email_invalid" || p.Field != "email" || !strings.Contains(p.Detail, says) {
			t.Errorf("ParseEmail(%.60q) = %q, %q, %v; want email_invalid with %q", typed, display, box, err, says)
		}
		if got, err := username.Deliverable(typed); err == nil {
			t.Errorf("Deliverable(%.60q) = %q", typed, got)
		}
	}
}

func TestFromEmail(t *testing.T) {
	_, box, err := username.ParseEmail("Ana@Bücher.example")
	if err != nil {
		t.Fatal(err)
	}
	if name, ok := username.FromEmail(box); !ok || name != "ana@xn--bcher-kva.example" {
		t.Errorf("FromEmail(%q) = %q, %v", box, name, ok)
	}
	_, box, err = username.ParseEmail("ana@" + strings.Repeat("long.", 30) + "example")
	if err != nil {
		t.Fatal(err)
	}
	if name, ok := username.FromEmail(box); ok || name != "" {
		t.Errorf("an address of %d characters became the username %q", len(box), name)
	}
}
