package pages_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/pages"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func association() *organization.Settings {
	s := organization.Defaults("acme", "Acme & Friends <Association>")
	s.LogoURL = "https://cdn.example.org/logo.svg?a=1&b=2"
	s.HelpPhone, s.HelpEmail, s.HelpHours = "+1 (555) 010-9", "help@example.org", "on weekdays from 9 to 5"
	s.PortalAddress, s.TimeZone = "https://members.example.org", "America/New_York"
	return &s
}

func token(t testing.TB) link.Token {
	t.Helper()
	text := strings.Repeat("a", link.TokenLength)
	k, _, ok := link.Parse(text)
	if !ok {
		t.Fatal("no token")
	}
	return k
}

// all are the pages in every state.
func all(t testing.TB) map[string]pages.Page {
	policy := password.Policy{Minimum: 15}
	offer := pages.NewPassword{Policy: policy, Suggestion: password.NewPlain("balcony-trophy-june-velvet-acorn")}
	refused := offer
	refused.Reasons = policy.Check(password.NewPlain("aaaaaaa"))
	filled := offer
	filled.Filled = true
	form := pages.SetPassword{
		NewPassword: offer, Token: token(t), Name: "Ana García", Company: "Quinn Catering GmbH & Co.", ProfileID: "1042",
		Ends: noon.Add(24 * time.Hour), Username: "ana.garcia@example.org", FromEmail: true,
	}
	with := func(change func(*pages.SetPassword)) *pages.SetPassword {
		p := form
		change(&p)
		return &p
	}
	empty := []problem.Item{{Field: "login", Code: "login_missing", Detail: "The field is empty."}}
	wrong := offer
	wrong.Reasons = []problem.Item{{Field: "current", Code: "password_wrong", Detail: "The current password is not right."}, pages.Different}
	return map[string]pages.Page{
		"set":           &form,
		"set-kept":      with(func(p *pages.SetPassword) { p.Username, p.FromEmail = "ana.1042", false }),
		"set-refused":   with(func(p *pages.SetPassword) { p.NewPassword = refused }),
		"set-different": with(func(p *pages.SetPassword) { p.Reasons = []problem.Item{pages.Different} }),
		"set-filled":    with(func(p *pages.SetPassword) { p.NewPassword = filled }),
		"set-choose": with(func(p *pages.SetPassword) {
			p.Choose, p.Username, p.Names = true, "ana.garcia", []string{"ana.garcia", "ana.garcia.1042", "member.1042"}
		}),
		"set-taken": with(func(p *pages.SetPassword) {
			p.Choose, p.Username, p.Names = true, `ana"><b>`, []string{"ana.garcia.1042", "member.1042"}
			p.Reasons = []problem.Item{{Field: "username", Code: "username_taken", Detail: "This username is in use already. Please choose another one."}}
		}),
		"set-sample": with(func(p *pages.SetPassword) {
			p.Sample, p.Name, p.Company, p.Username = true, "Sample Person", "", "sample.person@example.com"
		}),
		"set-done":    &pages.PasswordSet{Username: "ana.garcia@example.org"},
		"used":        &pages.LinkUsed{At: noon},
		"ended":       &pages.LinkEnded{Token: token(t)},
		"renewed":     &pages.LinkRenewed{},
		"unknown":     &pages.LinkUnknown{},
		"not-allowed": &pages.LinkNotAllowed{},

		"forgot":        &pages.ForgotLogin{},
		"forgot-empty":  &pages.ForgotLogin{Reasons: empty},
		"forgot-answer": &pages.ForgotAnswer{},

		"sign-in":         &pages.SignIn{},
		"sign-in-keep":    &pages.SignIn{KeepDays: 30},
		"sign-in-out":     &pages.SignIn{SignedOut: true},
		"sign-in-refused": &pages.SignIn{Refused: true, Username: `"><script>alert(1)</script>`},
		"sign-in-waiting": &pages.SignIn{Until: noon.Add(30 * time.Second), Username: "ana"},
		"sign-in-locked":  &pages.SignIn{Locked: true, Username: "ana"},

		"change":         &pages.ChangePassword{NewPassword: offer, Username: "ana"},
		"change-must":    &pages.ChangePassword{NewPassword: offer, Username: "ana", Must: true},
		"change-refused": &pages.ChangePassword{NewPassword: wrong, Username: "ana"},
		"change-filled":  &pages.ChangePassword{NewPassword: filled, Username: "ana"},
		"changed":        &pages.PasswordChanged{},

		"front": &pages.Front{Name: "Ana García", Username: "ana", ProfileID: "1042", Others: []pages.Other{}},
		"front-switch": &pages.Front{
			Name: "Ana García", Company: "Quinn Catering", Username: "ana", ProfileID: "1042", LastSignIn: noon,
			Others: []pages.Other{{ID: "2001", Name: "Quinn Catering"}, {ID: "2002", Name: "Quinn Events"}},
		},
		"front-acting": &pages.Front{Name: "Ana García", Username: "ana", ProfileID: "1042", ActingFor: "Quinn Catering", Others: []pages.Other{{ID: "2002", Name: "Quinn Events"}}},

		"error-404": &pages.Error{Status: 404, Detail: "There is no such organization here."},
		"error-403": &pages.Error{Status: 403, Code: "cross_origin", Detail: "This form was sent from another site, so nothing has been changed."},
		"error-500": &pages.Error{Status: 500, Detail: "Something went wrong on our side.", RequestID: "r-1"},
		"error-503": &pages.Error{Status: 503, Detail: "Many people are changing the same thing at this moment."},
	}
}

// node is a parsed element with what the rules below ask of it.
type node struct {
	*html.Node
	attr map[string]string
}

func elements(t *testing.T, page []byte) (list []node) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		e := node{n, map[string]string{}}
		for _, a := range n.Attr {
			e.attr[a.Key] = a.Val
		}
		list = append(list, e)
	}
	return list
}

func (e node) text() string {
	var b strings.Builder
	for n := range e.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// TestEveryPage holds the rules that no page may break, whatever it shows
// (WCAG 2.2 AA, as far as markup can tell; H10).
func TestEveryPage(t *testing.T) {
	ownPath := regexp.MustCompile(`^/portal/acme(/[a-z-]+(/[A-Za-z0-9]+(/renew)?)?)?$`)
	for name, page := range all(t) {
		t.Run(name, func(t *testing.T) {
			text := pages.Render(association(), page)
			ids, labels, count, described := map[string]bool{}, map[string]string{}, map[string]int{}, []string{}
			list := elements(t, text)
			for _, e := range list {
				count[e.Data]++
				if id := e.attr["id"]; id != "" {
					if ids[id] {
						t.Errorf("id %q twice", id)
					}
					ids[id] = true
				}
				if e.Data == "label" {
					labels[e.attr["for"]] = e.text()
				}
				described = append(described, strings.Fields(e.attr["aria-describedby"])...)
				for key, value := range e.attr {
					if strings.HasPrefix(key, "on") || key == "style" {
						t.Errorf("<%s %s>: the policy lets no inline handler or style in", e.Data, key)
					}
					switch key {
					case "src", "href", "action", "formaction", "srcset", "data", "poster", "background":
						switch {
						case e.Data == "img" && value == association().LogoURL:
						case e.Data == "link" && value == "data:,":
						case e.Data == "a" && (value == "tel:+15550109" || value == "mailto:help@example.org"):
						case e.Data == "a" && strings.HasPrefix(value, "#"):
							described = append(described, value[1:])
						case ownPath.MatchString(value):
						default:
							t.Errorf("<%s %s=%q> leads elsewhere", e.Data, key, value)
						}
					}
				}
			}
			for _, id := range described {
				if !ids[id] {
					t.Errorf("nothing has the id %q", id)
				}
			}
			for _, once := range []string{"h1", "title", "main", "style", "script"} {
				if count[once] != 1 {
					t.Errorf("%d <%s>", count[once], once)
				}
			}
			for _, never := range []string{"iframe", "object", "base", "meta[http-equiv]"} {
				if count[never] != 0 {
					t.Errorf("<%s>", never)
				}
			}
			for _, e := range list {
				switch {
				case e.Data == "html" && e.attr["lang"] != "en":
					t.Error("no lang")
				case e.Data == "title" && !strings.Contains(e.text(), "Acme & Friends <Association>"):
					t.Errorf("title %q", e.text())
				case e.Data == "img":
					if _, ok := e.attr["alt"]; !ok {
						t.Error("an image without alt")
					}
				case e.Data == "input" && e.attr["type"] != "hidden":
					if labels[e.attr["id"]] == "" {
						t.Errorf("input %q without a label", e.attr["name"])
					}
				case e.Data == "button" && e.text() == "":
					t.Error("a button without words")
				case e.Data == "form" && (e.attr["method"] != "post" || e.attr["action"] == ""):
					t.Errorf("form %v", e.attr)
				}
			}
			if bytes.Contains(text, []byte("ZgotmplZ")) || bytes.Contains(text, []byte("<no value>")) || bytes.Contains(text, []byte("redacted")) {
				t.Error("a value did not fit its place")
			}
			if _, fault := page.(*pages.Error); fault == (count["img"] == 1) {
				t.Errorf("%d images", count["img"])
			}
		})
	}
}

// inputs are the visible fields of a page by id.
func inputs(t *testing.T, p pages.Page) map[string]map[string]string {
	found := map[string]map[string]string{}
	for _, e := range elements(t, pages.Render(association(), p)) {
		if e.Data == "input" && e.attr["id"] != "" {
			found[e.attr["id"]] = e.attr
		}
	}
	return found
}

func titleOf(t *testing.T, p pages.Page) string {
	for _, e := range elements(t, pages.Render(association(), p)) {
		if e.Data == "title" {
			return e.text()
		}
	}
	return ""
}

func TestPasswordManagersAndFields(t *testing.T) {
	states := all(t)
	for name, want := range map[string]map[string]string{ // id -> autocomplete
		"set":         {"username": "username", "password": "new-password", "again": "new-password"},
		"set-choose":  {"username": "username", "password": "new-password", "again": "new-password"},
		"set-refused": {"username": "username", "password": "new-password", "again": "new-password"},
		"sign-in":     {"username": "username", "password": "current-password"},
		"change":      {"username": "username", "current": "current-password", "password": "new-password", "again": "new-password"},
		"forgot":      {"login": "username"},
	} {
		fields := inputs(t, states[name])
		got := map[string]string{}
		for id, attr := range fields {
			if attr["type"] != "checkbox" {
				got[id] = attr["autocomplete"]
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for id, attr := range fields {
			if _, ok := attr["minlength"]; ok {
				t.Errorf("%s: the browser, not we, would refuse a short %s", name, id)
			}
			if attr["autocomplete"] == "new-password" && (attr["maxlength"] != "512" || attr["passwordrules"] != "minlength: 15; maxlength: 256; allowed: unicode;") {
				t.Errorf("%s: %s %v", name, id, attr)
			}
		}
	}
	readonly := func(name string) bool { _, ok := inputs(t, states[name])["username"]["readonly"]; return ok }
	if !readonly("set") || !readonly("set-kept") || readonly("set-choose") || !readonly("change") {
		t.Error("the username can be typed exactly where it is chosen")
	}
	for name, want := range map[string]string{"set": "", "set-filled": "balcony-trophy-june-velvet-acorn", "set-refused": ""} {
		if got := inputs(t, states[name])["password"]["value"]; got != want {
			t.Errorf("%s: password %q", name, got)
		}
	}
	if got := inputs(t, states["set-taken"])["username"]["value"]; got != `ana"><b>` {
		t.Errorf("the username that was typed is lost: %q", got)
	}
}

// TestStatesAreTold: the title says the state, a refusal is summed up where
// screen readers hear it, and stands beside its field.
func TestStatesAreTold(t *testing.T) {
	states := all(t)
	for name, begins := range map[string]string{
		"set": "Set your password – ", "set-refused": "Error: ", "set-sample": "Sample: ", "sign-in": "Sign in", "sign-in-refused": "Error: ",
		"sign-in-waiting": "Error: ", "sign-in-locked": "Error: ", "sign-in-out": "You are signed out: ", "change-refused": "Error: ", "forgot-empty": "Error: ",
	} {
		if got := titleOf(t, states[name]); !strings.HasPrefix(got, begins) {
			t.Errorf("%s: title %q", name, got)
		}
	}
	for name, fields := range map[string][]string{"set-refused": {"password"}, "set-different": {"again"}, "set-taken": {"username"}, "change-refused": {"current", "again"}, "forgot-empty": {"login"}} {
		list := elements(t, pages.Render(association(), states[name]))
		var leads []string
		for _, e := range list {
			if e.attr["id"] == "problem" && (e.attr["role"] != "alert" || e.attr["tabindex"] != "-1") {
				t.Errorf("%s: %v", name, e.attr)
			}
			if e.Data == "a" && strings.HasPrefix(e.attr["href"], "#") {
				leads = append(leads, e.attr["href"][1:])
			}
		}
		if diff := cmp.Diff(fields, slices.Compact(leads)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		got := inputs(t, states[name])
		for _, id := range fields {
			if got[id]["aria-invalid"] != "true" || !strings.Contains(got[id]["aria-describedby"], id+"-reason") {
				t.Errorf("%s: %s is not marked: %v", name, id, got[id])
			}
		}
	}
	waiting := string(pages.Render(association(), states["sign-in-waiting"]))
	if !strings.Contains(waiting, "Tuesday, 24 November 2026, 7:01 am EST") {
		t.Error("the end of a wait is not rounded up, or has no zone")
	}
}

// TestTokenStandsInActionsAlone (H10).
func TestTokenStandsInActionsAlone(t *testing.T) {
	secret := token(t).Reveal()
	for name, p := range all(t) {
		for _, e := range elements(t, pages.Render(association(), p)) {
			for key, value := range e.attr {
				if strings.Contains(value, secret) && !(e.Data == "form" && key == "action") {
					t.Errorf("%s: <%s %s=%q>", name, e.Data, key, value)
				}
			}
			if e.FirstChild != nil && e.FirstChild.Type == html.TextNode && strings.Contains(e.FirstChild.Data, secret) {
				t.Errorf("%s: the token is shown in <%s>", name, e.Data)
			}
		}
	}
	p := all(t)["set"]
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(verb, *p.(*pages.SetPassword)); strings.Contains(s, secret) || strings.Contains(s, "balcony") {
			t.Errorf("%s prints a secret: %s", verb, s)
		}
	}
}

func TestSampleIsInert(t *testing.T) {
	var inForm, disabled bool
	for _, e := range elements(t, pages.Render(association(), all(t)["set-sample"])) {
		if e.Data == "fieldset" {
			_, disabled = e.attr["disabled"]
		}
		if e.Data == "form" {
			inForm = true
			if e.attr["action"] != "/portal/acme/set-password/sample" {
				t.Errorf("action %q", e.attr["action"])
			}
		}
	}
	if !inForm || !disabled {
		t.Error("the sample is not the real page, or not disabled")
	}
}

// TestHashes: the policy lets in exactly what stands on the pages.
func TestHashes(t *testing.T) {
	for _, e := range elements(t, pages.Render(association(), &pages.SignIn{})) {
		if e.Data != "style" && e.Data != "script" {
			continue
		}
		sum := sha256.Sum256([]byte(e.FirstChild.Data))
		want := []string{"sha256-" + base64.StdEncoding.EncodeToString(sum[:])}
		got := pages.Styles()
		if e.Data == "script" {
			got = pages.Scripts()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("<%s>: %s", e.Data, diff)
		}
	}
}

// TestOldBrowsers: nothing that iOS 12 or Android 7 (Chrome 61) does not know.
func TestOldBrowsers(t *testing.T) {
	var style, script string
	for _, e := range elements(t, pages.Render(association(), &pages.SignIn{})) {
		switch e.Data {
		case "style":
			style = e.FirstChild.Data
		case "script":
			script = e.FirstChild.Data
		}
	}
	for _, new := range []string{":has(", ":is(", ":where(", ":focus-visible", "inset:", "gap:", "min(", "max(", "clamp(", "aspect-ratio", "&", "@layer", "dvh", "color-mix"} {
		if strings.Contains(style, new) {
			t.Errorf("style: %s", new)
		}
	}
	for _, new := range []string{"?.", "??", "=>", "let ", "const ", "`", "async ", "replaceAll", ".at(", "requestSubmit", ".append("} {
		if strings.Contains(script, new) {
			t.Errorf("script: %s", new)
		}
	}
}

// TestContrast: every pair of colours that meets, in light and in dark, has
// the contrast of WCAG 2.2 1.4.3, and outlines that of 1.4.11.
func TestContrast(t *testing.T) {
	var style string
	for _, e := range elements(t, pages.Render(association(), &pages.SignIn{})) {
		if e.Data == "style" {
			style = e.FirstChild.Data
		}
	}
	blocks := regexp.MustCompile(`:root\{([^}]*)\}`).FindAllStringSubmatch(style, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d sets of colours", len(blocks))
	}
	for i, block := range blocks {
		colour := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z]+):#([0-9a-f]{3,6})`).FindAllStringSubmatch(block[1], -1) {
			colour[m[1]] = luminance(t, m[2])
		}
		for _, pair := range []struct {
			front, back string
			least       float64
		}{
			{"ink", "paper", 7}, {"ink", "panel", 7}, {"ink", "badpaper", 7}, {"ink", "goodpaper", 7},
			{"soft", "paper", 4.5}, {"soft", "panel", 4.5}, {"act", "paper", 4.5}, {"act", "panel", 4.5}, {"act", "goodpaper", 4.5}, {"onact", "act", 4.5},
			{"bad", "paper", 4.5}, {"bad", "badpaper", 4.5}, {"good", "paper", 3}, {"line", "paper", 3}, {"line", "panel", 3}, {"act", "badpaper", 3},
		} {
			a, okA := colour[pair.front]
			b, okB := colour[pair.back]
			if !okA || !okB {
				t.Fatalf("no colour %s or %s", pair.front, pair.back)
			}
			if got := (max(a, b) + .05) / (min(a, b) + .05); got < pair.least {
				t.Errorf("set %d: %s on %s is %.2f", i, pair.front, pair.back, got)
			}
		}
	}
}

func luminance(t *testing.T, hex string) float64 {
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	var sum float64
	for i, weight := range []float64{.2126, .7152, .0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= .04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// TestWithoutSettings: fewer facts make a shorter page, not a broken one.
func TestWithoutSettings(t *testing.T) {
	bare := organization.Defaults("acme", "Acme")
	bare.LogoURL = "http://cdn.example.org/logo.png" // not https: no image
	for name, p := range all(t) {
		for _, settings := range []*organization.Settings{&bare, nil} {
			if _, fault := p.(*pages.Error); settings == nil && !fault {
				continue
			}
			for _, e := range elements(t, pages.Render(settings, p)) {
				if e.Data == "img" || e.Data == "footer" {
					t.Errorf("%s: <%s>", name, e.Data)
				}
				if e.Data == "a" && e.attr["href"] == "" {
					t.Errorf("%s: a link to nowhere", name)
				}
			}
		}
	}
}

func TestReasons(t *testing.T) {
	one := problem.New(problem.Invalid, "password_too_short", "password", "d")
	several := problem.Several(problem.Invalid, []problem.Item{{Field: "password", Code: "a"}, {Field: "username", Code: "b"}})
	for _, c := range []struct {
		err  error
		want int
	}{
		{one, 1}, {several, 2}, {fmt.Errorf("x: %w", one), 1},
		{errors.New("x"), 0}, {problem.New(problem.Busy, "busy", "", "d"), 0}, {problem.New(problem.Invalid, "x", "other", "d"), 0}, {nil, 0},
	} {
		if got := pages.Reasons(c.err, "password", "username"); len(got) != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}

type organizations map[string]*organization.Settings

func (o organizations) Organization(_ context.Context, id string) (*organization.Settings, error) {
	if s := o[id]; s != nil {
		return s, nil
	}
	return nil, problem.New(problem.NotFound, "organization_not_found", "organization", "There is no such organization here.")
}

func TestConfigure(t *testing.T) {
	c := pages.Configure(httpapi.Config{}, organizations{"acme": association()})
	if origin, err := c.Origin(t.Context(), "acme"); origin != "https://members.example.org" || err != nil {
		t.Errorf("origin %q, %v", origin, err)
	}
	if _, err := c.Origin(t.Context(), "none"); problem.CodeOf(err) != "organization_not_found" {
		t.Error(err)
	}
	for org, name := range map[string]bool{"acme": true, "none": false, "": false} {
		page := c.ErrorPage(t.Context(), httpapi.ErrorPage{Organization: org, Status: 500, Detail: "Oh <dear>", RequestID: "r-1"})
		if bytes.Contains(page, []byte("Acme &amp; Friends")) != name || !bytes.Contains(page, []byte("Oh &lt;dear&gt;")) || !bytes.Contains(page, []byte("r-1")) {
			t.Errorf("%q: %s", org, page)
		}
	}
	if len(c.InlineScripts) != 1 || len(c.InlineStyles) != 1 {
		t.Error("no hashes")
	}
}

// TestStandard: a page is what html/template makes of it, to the byte, and the
// pages here show every word of the templates, so none of them is left out.
func TestStandard(t *testing.T) {
	bare := organization.Defaults("acme", "Acme")
	hostile := *association()
	fill(reflect.ValueOf(&hostile).Elem(), `"><script>alert('1 + 1')</script>`)
	hostile.LogoURL = `https://cdn.example.org/"><script>?a=1 2&b='3'%4#5%67`
	shown, unseen := []byte(nil), map[string]bool{}
	for name, p := range all(t) {
		for _, settings := range []*organization.Settings{association(), &bare, &hostile, nil} {
			got := pages.Render(settings, p)
			if diff := cmp.Diff(string(pages.Standard(settings, p)), string(got)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			shown = append(shown, got...)
		}
		maps.Copy(unseen, pages.Texts(p))
	}
	for text := range unseen {
		if !bytes.Contains(shown, []byte(text)) {
			t.Errorf("no page here shows %q", text)
		}
	}
}

// TestPlaces: in no branch of a template does a value stand in a place that
// asks for another escaper than those of text, quoted attributes and addresses.
func TestPlaces(t *testing.T) {
	for name, p := range all(t) {
		pages.Standard(association(), p)
		for escaper := range pages.Escapers(p) {
			switch escaper {
			case "_html_template_htmlescaper", "_html_template_rcdataescaper", "_html_template_attrescaper",
				"_html_template_urlfilter", "_html_template_urlnormalizer", "_html_template_urlescaper":
			default:
				t.Errorf("%s: %s", name, escaper)
			}
		}
	}
}

// TestPut: most of what could go wrong with an address cannot on our pages,
// whose addresses all begin with words of ours.
func TestPut(t *testing.T) {
	for _, c := range []struct{ before, value, want string }{
		{`<p>1 `, `<b> & "c" + 'd'`, `&lt;b&gt; &amp; &#34;c&#34; &#43; &#39;d&#39;`},
		{`<p title="`, `a" onclick="b`, `a&#34; onclick=&#34;b`},
		{`<p class="x" title="y `, `javascript:z`, `javascript:z`},
		{`<a class="x" href="`, `javascript:alert(1)`, `#`},
		{`<a href="`, ` JavaScript:alert(1)`, `#`},
		{`<form action="`, `data:text/html,x`, `#`},
		{"<button\nFORMACTION=\"", `vbscript:x`, `#`},
		{`<img src="`, `HTTPS://example.org/a b?c=d&e=f%20%g`, `HTTPS://example.org/a%20b?c=d&amp;e=f%20%25g`},
		{`<a href="`, `mailto:a@example.org`, `mailto:a@example.org`},
		{`<a href="`, `/portal/a:b`, `/portal/a:b`},
		{`<a href="/x/`, `javascript:1"`, `javascript:1%22`},
		{`<a href="/x?to=`, `/y&z=1#2`, `%2fy%26z%3d1%232`},
		{`<a href="#`, `a b/é`, `a%20b%2f%c3%a9`},
	} {
		if got := pages.Put(c.before, c.value); got != c.want {
			t.Errorf("%s%s became %s, not %s", c.before, c.value, got, c.want)
		}
	}
	for _, before := range []string{`<p `, `<p title=`, `<p title="a" `, `<`} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s takes a value", before)
				}
			}()
			pages.Put(before, "x")
		}()
	}
}

// fill puts s wherever there is a text.
func fill(v reflect.Value, s string) {
	switch {
	case v.Type() == reflect.TypeFor[password.Plain]():
		v.Set(reflect.ValueOf(password.NewPlain(s)))
	case v.Kind() == reflect.String && v.CanSet():
		v.SetString(s)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), s)
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), s)
			}
		}
	}
}

// shape is a page without its texts: its elements with the names of their
// attributes, and how each address begins.
func shape(t testing.TB, page []byte) (list []string) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.TextNode {
			continue
		}
		line := fmt.Sprint(n.Type, n.Data)
		for up := range n.Ancestors() {
			line = up.Data + ">" + line
		}
		for _, a := range n.Attr {
			line += " " + a.Key
			switch a.Key {
			case "href", "src", "action":
				line += "=" + a.Val[:strings.IndexAny(a.Val, ":/#")+1]
			}
		}
		list = append(list, line)
	}
	return list
}

// FuzzRender puts any text into every value of every page: the page must stay
// the one that it was, and what html/template makes of it.
func FuzzRender(f *testing.F) {
	for _, s := range []string{
		"Ana García\t\n\u2028", `"><script>alert(1)</script>`, "' onfocus='alert(`1+1`)' autofocus='", "javascript:alert(1)", "//evil.example",
		"</title></style></script><svg/onload=alert(1)><!--", "{{.Base}}%s%22%zz%&quot;&#34;", "a\x00b\xff\xfe", `="<`, ">",
	} {
		f.Add(s)
	}
	show := func(t testing.TB, s string) map[string][]string {
		settings, shapes := association(), map[string][]string{}
		checked := *settings
		fill(reflect.ValueOf(settings).Elem(), s)
		settings.ID, settings.TimeZone, settings.LogoURL = checked.ID, checked.TimeZone, "https://"+s
		for name, p := range all(t) {
			fill(reflect.ValueOf(p).Elem(), s)
			page := pages.Render(settings, p)
			if diff := cmp.Diff(string(pages.Standard(settings, p)), string(page)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			shapes[name] = shape(t, page)
		}
		return shapes
	}
	harmless := show(f, "x")
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" {
			return // makes a shorter page: see TestWithoutSettings
		}
		if diff := cmp.Diff(harmless, show(t, s)); diff != "" {
			t.Error(diff)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	settings, p := association(), all(b)["set"]
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			pages.Forget()
			pages.Render(settings, p)
		}
	})
	b.Run("next", func(b *testing.B) {
		for b.Loop() {
			pages.Render(settings, p)
		}
	})
}

// TestPreview writes every page where it can be looked at with a browser: to
// the folder that PAGES_PREVIEW names, else to one that is removed.
func TestPreview(t *testing.T) {
	folder := os.Getenv("PAGES_PREVIEW")
	if folder == "" {
		folder = t.TempDir()
	}
	for name, p := range all(t) {
		text := pages.Render(association(), p)
		if err := os.WriteFile(filepath.Join(folder, name+".html"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if len(text) > 20<<10 {
			t.Errorf("%s is %d bytes: too much for an old phone far from town", name, len(text))
		}
	}
}
