package message_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/message"
)

// checkMail holds what is true of every mail.
func checkMail(t testing.TB, r message.Rendered) {
	t.Helper()
	if strings.ContainsAny(r.Subject, "\r\n\u0085\u2028\u2029") {
		t.Errorf("subject of several lines: %q", r.Subject)
	}
	for _, part := range []string{r.Subject, r.HTML, r.Text} {
		if !utf8.ValidString(part) {
			t.Errorf("invalid UTF-8: %q", part)
		}
		for _, c := range part {
			if c < ' ' && c != '\n' || c >= 0x7f && c < 0xa0 || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 ||
				c == 0x200e || c == 0x200f || c == 0x61c || c == 0x2028 || c == 0x2029 || c == 0xfeff {
				t.Errorf("%U in %q", c, part)
				break
			}
		}
	}
	if !strings.HasSuffix(r.Text, "\n") || strings.HasSuffix(r.Text, "\n\n") {
		t.Errorf("the text part ends in %q", r.Text[max(0, len(r.Text)-3):])
	}
}

// checkTemplateData holds the spliced template data against Render and
// against its bound.
func checkTemplateData(t testing.TB, c *message.Compiled, v *message.Values, a message.Association, profiles int) {
	t.Helper()
	data := c.AppendTemplateData([]byte("before"), v)
	data, ok := bytes.CutPrefix(data, []byte("before"))
	if !ok {
		t.Fatal("AppendTemplateData does not append")
	}
	want := c.Render(v)
	for _, data := range [][]byte{data, want.AppendTemplateData(nil)} {
		var got map[string]string
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatalf("no JSON: %v\n%s", err, data)
		}
		if diff := cmp.Diff(map[string]string{"subject": want.Subject, "html": want.HTML, "text": want.Text}, got); diff != "" {
			t.Fatalf("template data and Render differ (-Render +data):\n%s", diff)
		}
	}
	if bytes.ContainsAny(data, "\n\r") {
		t.Error("template data of several lines")
	}
	var again bytes.Buffer
	e := json.NewEncoder(&again)
	e.SetEscapeHTML(false)
	if err := e.Encode(string(data)); err != nil {
		t.Fatal(err)
	}
	size := again.Len() - len("\n")
	if known, any := c.MaxEncoded(&a, profiles), c.MaxEncoded(nil, profiles); size > known || known > any {
		t.Errorf("comes to %d bytes; bounds are %d with the association known and %d for any", size, known, any)
	}
}

// hostile is what names, companies and usernames may try.
var hostile = map[string]string{
	"markup":       `</td><a href="https://evil.example.net">Ana</a><img src=x onerror=alert(1)><script>x</script>`,
	"attribute":    `" onmouseover="x" href='https://evil.example.net' a="`,
	"braces":       `{{subject}} {{#if x}}{{/if}} ${x} <%= y %>`,
	"field":        `[[PORTALLOGINLINK]] [[NAME]]`,
	"header":       "Ana\r\nBcc: victim@example.com\r\n\r\n<b>body</b>",
	"bidi":         "Ana \u202egro.elpmaxe\u202c \u2066x\u2069\u200f\u200e\u061c",
	"controls":     "A\x00n\x01a\x7f\u0085\u009b\x1b[31m\t!",
	"separators":   "Ana\u2028Ben\u2029Cho\u0085",
	"invalid":      "Ana \xff\xfe \xc3( \xed\xa0\x80 \xf0\x9f",
	"marks":        "\ue000NAME\ue001\ufeff",
	"JSON":         `\u003c \" \\ \n "}],"html":"x","`,
	"entities":     `&lt;b&gt; &#60; &amp;amp; &copy`,
	"address":      `https://evil.example.net/ ana@evil.example.net`,
	"long":         strings.Repeat(`<'"&\`, 200),
	"long, wide":   strings.Repeat("😀", 300),
	"long, broken": strings.Repeat("\xff", 300),
	"empty":        "",
	"plain":        "Ana García",
}

func TestA18HostileValues(t *testing.T) {
	c := compile(t, "Hello [[FIRSTNAME]] [[LASTNAME]] [[ORGANIZATIONNAME]]", "<div>Dear [[NAME]] of [[ORGANIZATIONNAME]], [[PROFILEID]]: <b>[[FIRSTNAME]]</b>"+chip("PORTALLOGINLINK")+"</div>")
	want := []string{logo, linkA, linkA, "tel:5550100", "mailto:help@example.org", site}
	for name, s := range hostile {
		t.Run(name, func(t *testing.T) {
			l := message.Login{Name: s, OrganizationName: s, ProfileID: s, Username: s, UsernameNote: s, URL: linkA, Ends: s}
			v := message.Values{FirstName: s, LastName: s, Name: s, OrganizationName: s, ProfileID: s, Today: s, Association: riverside(), Logins: []message.Login{l}}
			v.Association.Name, v.Association.Hours = s, s
			a := v.Association
			checkTemplateData(t, c, &v, a, 1)
			r := c.Render(&v)
			mails := map[string]message.Rendered{
				"mailing": r,
				"reset":   message.Reset(a, l, message.StaffSent),
				"forgot":  message.ForgotLogin(a, []message.Login{l, l}),
				"notice":  message.NoticeOf(a, message.Notice{Name: s, OrganizationName: s, ProfileID: s, Username: s, At: s, By: message.ByLink, Changes: []message.Change{message.PasswordSet}}),
			}
			for mail, r := range mails {
				checkMail(t, r)
				checkElements(t, r.HTML)
				got := addresses(t, r.HTML)
				want := want
				switch mail {
				case "reset":
					want = []string{logo, linkA, linkA, signIn, "tel:5550100", "mailto:help@example.org", site}
				case "forgot":
					want = []string{logo, linkA, linkA, linkA, linkA, signIn, "tel:5550100", "mailto:help@example.org", site}
				case "notice":
					want = []string{logo, signIn, "tel:5550100", "mailto:help@example.org", site}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: addresses (-want +got):\n%s", mail, diff)
				}
				if diff := cmp.Diff(words(r.Text), words(shown(t, r.HTML))); diff != "" {
					t.Errorf("%s: text and HTML part differ (-text +HTML):\n%s", mail, diff)
				}
			}
		})
	}
}

func TestA18NamesAreShownAsTheyAre(t *testing.T) {
	c := compile(t, "[[NAME]]", "[[NAME]]")
	for in, want := range map[string]string{
		`<b>{{x}}</b> [[NAME]] & "O'Neil" \`: `<b>{{x}}</b> [[NAME]] & "O'Neil" \`,
		"Ana\r\nBen":                         "Ana  Ben",
		"a\u202eb\x00c":                      "abc",
		"a\u2028b":                           "a b",
		"a\xffb":                             "a\ufffdb",
		"א ב \u200d 👩\u200d🚀":                "א ב \u200d 👩\u200d🚀",
		strings.Repeat("é", 101):             strings.Repeat("é", 99) + "…",
		strings.Repeat("é", 100):             strings.Repeat("é", 100),
	} {
		v := message.Values{Name: in}
		r := c.Render(&v)
		if r.Subject != want {
			t.Errorf("%q in the subject: %q, want %q", in, r.Subject, want)
		}
		if !strings.HasPrefix(r.Text, want+"\n") {
			t.Errorf("%q in the text part: %q, want %q", in, r.Text, want)
		}
		if got := shown(t, r.HTML); !strings.Contains(got, want) {
			t.Errorf("%q in the HTML part: %q, want %q", in, got, want)
		}
	}
}

// A2: nothing but the given addresses becomes one, whatever the settings hold.
func TestA2AddressesThatAreNoneAreLeftOut(t *testing.T) {
	for _, bad := range []string{"javascript:alert(1)", "data:text/html,x", "www.example.org", "//evil.example.net", " https://x", "", "https://" + strings.Repeat("a", message.MaxURL)} {
		a := riverside()
		a.Website, a.LogoURL, a.SignInURL, a.Email, a.Phone = bad, bad, bad, "x@example.org?bcc=y@example.org", ""
		l := ana()
		if len(bad) < message.MaxURL {
			l.URL = bad
		} else {
			l.URL = ""
		}
		for _, r := range []message.Rendered{
			message.Reset(a, l, message.Renewed),
			message.NoticeOf(a, message.Notice{Name: "Ana", By: message.ByStaff, Changes: []message.Change{message.PasswordChanged}}),
		} {
			if got := addresses(t, r.HTML); len(got) > 0 {
				t.Errorf("%q: leads to %q", bad, got)
			}
		}
	}
}

func TestJoin(t *testing.T) {
	a, b, c := valuesOf(ana()), valuesOf(ben()), valuesOf(message.Login{Name: "Chloé Dubois", ProfileID: "1044", OrganizationName: "Dubois", URL: linkB})
	for _, tc := range []struct {
		in   []message.Values
		want [5]string
	}{
		{nil, [5]string{}},
		{[]message.Values{a}, [5]string{"Ana", "García", "Ana García", "García & Sons", "1042"}},
		{[]message.Values{a, b}, [5]string{"Ana and Ben", "García", "Ana García and Ben García", "García & Sons", "1042, 1043"}},
		{[]message.Values{a, b, c}, [5]string{"Ana, Ben and Chloé", "García and Dubois", "Ana García, Ben García and Chloé Dubois", "García & Sons and Dubois", "1042, 1043, 1044"}},
	} {
		v := message.Join(tc.in...)
		if got := [5]string{v.FirstName, v.LastName, v.Name, v.OrganizationName, v.ProfileID}; got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
		if len(v.Logins) != len(tc.in) {
			t.Errorf("%d logins of %d", len(v.Logins), len(tc.in))
		}
	}
	if v := message.Join(a, b); v.Association != a.Association || v.Today != a.Today {
		t.Error("association or date lost")
	}
}

// H13: one mail for a shared mailbox labels each login and gives each its own
// link; a mail for one has no label.
func TestH13SharedMailbox(t *testing.T) {
	c := compile(t, "Hello [[FIRSTNAME]]", "<div>Dear [[FIRSTNAME]] ([[PROFILEID]])"+chip("PORTALLOGINLINK")+"</div>")
	v := message.Join(valuesOf(ana()), valuesOf(ben()))
	r := c.Render(&v)
	if r.Subject != "Hello Ana and Ben" {
		t.Errorf("subject %q", r.Subject)
	}
	for _, part := range []string{r.Text, shown(t, r.HTML)} {
		rest := strings.Join(words(part), " ")
		for _, s := range []string{
			"Dear Ana and Ben (1042, 1043)",
			"Ana García, García & Sons (profile 1042)", "Username ana@example.com", "Set Password " + linkA, ends,
			"Ben García (profile 1043)", "Username " + message.ChooseUsername, "Set Password " + linkB, ends,
		} {
			_, after, ok := strings.Cut(rest, s)
			if !ok {
				t.Fatalf("%q is missing or out of order in\n%s", s, part)
			}
			rest = after
		}
	}
	one := valuesOf(ana())
	if s := c.Render(&one).Text; strings.Contains(s, "(profile") {
		t.Errorf("a mail for one is labelled:\n%s", s)
	}
}

func TestMaxEncoded(t *testing.T) {
	c := compile(t, "[[NAME]]", "[[FIRSTNAME]] [[LASTNAME]] [[NAME]] [[ORGANIZATIONNAME]] [[PROFILEID]] [[TODAY]] [[PORTALLOGINLINK]]")
	a := riverside()
	for profiles := 1; profiles <= 5; profiles++ {
		for _, char := range []string{`'`, `"`, `\`, "&", "😀", "\xff", "a"} {
			s := strings.Repeat(char, 1000)
			link := "https://example.org/" + strings.Repeat("a", message.MaxURL-20)
			var all []message.Values
			for i := range profiles {
				u := fmt.Sprint(i) + s
				all = append(all, message.Values{FirstName: u, LastName: u, Name: u, OrganizationName: u, ProfileID: u, Today: u, Association: a,
					Logins: []message.Login{{Name: u, OrganizationName: u, ProfileID: u, Username: u, UsernameNote: u, URL: link, Ends: u}}})
			}
			v := message.Join(all...)
			checkTemplateData(t, c, &v, a, profiles)
		}
	}
	// What the bound is for: a plain mailing goes in calls of 50.
	if got := 900_000 / sample(t).MaxEncoded(&a, 1); got < 50 {
		t.Errorf("only %d mails of 4 kB fit in a call", got)
	}
}

func TestCompiledServesManyAtOnce(t *testing.T) {
	c := sample(t)
	v := valuesOf(ana())
	want := string(c.AppendTemplateData(nil, &v))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			own := valuesOf(ana())
			for range 50 {
				if got := string(c.AppendTemplateData(nil, &own)); got != want {
					t.Error("differs")
				}
			}
		})
	}
	all.Wait()
}

func TestMoment(t *testing.T) {
	at := time.Date(2026, 11, 23, 20, 28, 0, 0, time.UTC)
	for want, zone := range map[string]*time.Location{
		"Monday, 23 November 2026, 8:28 pm UTC":        time.UTC,
		"Monday, 23 November 2026, 3:28 pm EST":        time.FixedZone("EST", -5*3600),
		"Tuesday, 24 November 2026, 1:58 am UTC+05:30": time.FixedZone("+0530", 5*3600+1800),
		"Monday, 23 November 2026, 5:28 pm UTC-03:00":  time.FixedZone("", -3*3600),
	} {
		if got := message.Moment(at, zone); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestLinksStayOutOfLogs(t *testing.T) {
	l := ana()
	v := valuesOf(l)
	r := message.Reset(riverside(), l, message.Forgot)
	for _, x := range []any{l, &l, v, &v, r, &r, []message.Login{l}, message.Notice{Name: l.Name, Username: l.Username}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if s := fmt.Sprintf(verb, x); strings.Contains(s, linkA) || strings.Contains(s, "ana@example.com") {
				t.Errorf("%T as %s: %s", x, verb, s)
			}
		}
	}
}

func FuzzRender(f *testing.F) {
	c := compile(f, "Hello [[FIRSTNAME]]", "<div>Dear [[NAME]] of [[ORGANIZATIONNAME]], [[HELPLINE]]"+chip("PORTALLOGINLINK")+"</div>")
	for _, s := range hostile {
		f.Add(s, s, s, s)
	}
	f.Fuzz(func(t *testing.T, name, company, username, association string) {
		one := message.Values{FirstName: name, Name: name, OrganizationName: company, Association: riverside(),
			Logins: []message.Login{{Name: name, OrganizationName: company, ProfileID: "1042", Username: username, URL: linkA, Ends: ends}}}
		one.Association.Name, one.Association.Phone, one.Association.Hours, one.Association.Email = association, association, company, username
		two := message.Join(one, valuesOf(ben()))
		for profiles, v := range []*message.Values{&one, &two} {
			checkTemplateData(t, c, v, v.Association, profiles+1)
			r := c.Render(v)
			checkMail(t, r)
			checkElements(t, r.HTML)
			for _, a := range addresses(t, r.HTML) {
				if scheme, _, _ := strings.Cut(a, ":"); scheme == "https" && a != linkA && a != linkB && a != site && a != logo {
					t.Errorf("leads to %q", a)
				}
			}
		}
	})
}
