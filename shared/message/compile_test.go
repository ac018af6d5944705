package message_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/message/sanitizer"
	"github.com/memberkey/memberkey/shared/problem"
)

func TestH16RefusedDrafts(t *testing.T) {
	const ok = "<div>Hello</div>"
	for name, tc := range map[string]struct {
		subject, html string
		want          []string
		says          string // in the first detail
	}{
		"no subject":                      {" ", ok, []string{"subject subject_missing"}, "Write one"},
		"subject of two lines":            {"a\nBcc: x@example.com", ok, []string{"subject subject_line_break"}, "one line"},
		"subject of two lines, separator": {"a\u2028b", ok, []string{"subject subject_line_break"}, "one line"},
		"subject of controls":             {"\x00\u202e\ufeff\ue000 \u00a0", ok, []string{"subject subject_missing"}, "Write one"},
		"long subject":                    {strings.Repeat("é", 151), ok, []string{"subject subject_too_long"}, "150"},
		"no body":                         {"a", "<div><br>&nbsp;</div>", []string{"html message_missing"}, "empty"},
		"only a script":                   {"a", "<script>alert(1)</script>", []string{"html message_missing"}, "empty"},
		"nothing at all":                  {"", "", []string{"subject subject_missing", "html message_missing"}, "subject"},
		"too large":                       {"a", "<div>" + strings.Repeat("a", message.MaxHTML) + "</div>", []string{"html message_too_large"}, "128 kB"},
		"too large when styled":           {"a", strings.Repeat("<blockquote>x</blockquote>", 4000), []string{"html message_too_large"}, "Shorten"},
		"nested too deeply":               {"a", strings.Repeat("<div>", 2000) + "x", []string{"html html_unreadable"}, "nested"},
		"unknown field, typed":            {"a", "<div>one<br>Dear [[FOO]], welcome</div>", []string{"html special_field_unknown"}, "[[FOO]] in line 2 of the message, character 6, at “one Dear [[FOO]], welcome”"},
		"unknown field, chip":             {"a", "<div>Dear " + chip("NOSUCH") + ", welcome</div>", []string{"html special_field_unknown"}, "[[NOSUCH]] in line 1 of the message, character 6"},
		"unknown field, subject":          {"For [[Foo]]!", ok, []string{"subject special_field_unknown"}, "[[FOO]] in the subject, character 5, at “For [[FOO]]!”"},
		"internal field":                  {"a", "<div>[[LOGIN.URL]] [[SIGNIN]]</div>", []string{"html special_field_unknown"}, "[[SIGNIN]]"},
		"internal field, chip":            {"a", "<div>" + chip("LOGIN.URL") + "</div>", []string{"html special_field_unknown"}, "[[LOGIN.URL]]"},
		"chip without a field":            {"a", `<figure data-trix-attachment="{&quot;contentType&quot;:&quot;application/x-merge-field&quot;}"></figure>`, []string{"html special_field_unknown"}, "no special field"},
		"link in the subject":             {"[[portalloginlink]]", ok, []string{"subject special_field_not_in_subject"}, "character 1"},
		"field in an href":                {"a", `<div>See <a href="[[WEBSITE]]">our site</a></div>`, []string{"html special_field_in_attribute"}, "href of an element <a> in line 1 of the message, character 5, at “See our site”"},
		"field in an href, encoded":       {"a", `<a href="https://example.org/%5B%5BNAME%5D%5D">x</a>`, []string{"html special_field_in_attribute"}, "[[NAME]]"},
		"field in another attribute":      {"a", `<p title="[[NAME]]">x</p>`, []string{"html special_field_in_attribute"}, "title"},
		"too many links":                  {"a", strings.Repeat("<p>[[PORTALLOGINLINK]]</p>", message.MaxLinks+1), []string{"html special_field_too_often"}, "in line 6 of the message"},
		"several":                         {"[[A]]", "[[B]] [[C]]", []string{"subject special_field_unknown", "html special_field_unknown", "html special_field_unknown"}, "[[A]]"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := message.Compile(message.Draft{Subject: tc.subject, HTML: tc.html}, sanitizer.HTML)
			if diff := cmp.Diff(tc.want, items(err)); diff != "" {
				t.Fatalf("faults (-want +got):\n%s\n%v", diff, err)
			}
			if c != nil {
				t.Error("a refused draft was compiled")
			}
			p := problem.As(err)
			if p.Kind != problem.Invalid || !strings.Contains(p.Detail, tc.says) {
				t.Errorf("detail %q does not say %q", p.Detail, tc.says)
			}
		})
	}
}

// H25: a draft that would make the parser or the compiler multiply it is
// refused, and so is one with more faults than anybody reads.
func TestH25DraftsThatMultiplyAreRefused(t *testing.T) {
	var unclosed strings.Builder
	for i := range 400 {
		fmt.Fprintf(&unclosed, "<font size=%d>", i)
	}
	for name, tc := range map[string]struct {
		html string
		want string
		n    int
	}{
		"unclosed formatting": {unclosed.String() + strings.Repeat("<p>x", 20_000), "html html_unreadable", 1},
		"unclosed links":      {strings.Repeat("<b><i><u><a href=x>", 100) + strings.Repeat("<div>x</a>", 10_000), "html html_unreadable", 1},
		"nested blocks":       {strings.Repeat("<b>", 300) + strings.Repeat("[[PORTALLOGINLINK]]", 1200), "html special_field_too_often", 20},
		"faults":              {strings.Repeat("[[x]]", 20_000), "html special_field_unknown", 20},
		"attributes":          {strings.Repeat("<p title='[[x]]'>", 5_000), "html special_field_in_attribute", 20},
		"long attributes":     {strings.Repeat("<font face="+strings.Repeat("x", 1000)+"><i id=x>", 60) + strings.Repeat("<p>x", 10_000), "html html_unreadable", 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := message.Compile(message.Draft{Subject: "s", HTML: tc.html}, sanitizer.HTML)
			if got := items(err); len(got) != tc.n || got[0] != tc.want {
				t.Errorf("got %q, want %d times %q", got, tc.n, tc.want)
			}
		})
	}
}

func TestH16TextThatIsNoFieldStays(t *testing.T) {
	const s = "{{subject}} ${x} <%= y %> [[ [[]] [[a b]] [[1]] ]] [FIRSTNAME] [[FIRST"
	c := compile(t, s, "<div>"+strings.ReplaceAll(s, "<", "&lt;")+" [[<b>NAME</b>]]</div>")
	v := valuesOf(ana())
	r := c.Render(&v)
	if r.Subject != s {
		t.Errorf("subject %q", r.Subject)
	}
	if !strings.Contains(strings.Join(words(r.Text), " "), s+" [[NAME]]") {
		t.Errorf("text part lost what was typed:\n%s", r.Text)
	}
	if got := strings.Join(words(shown(t, r.HTML)), " "); !strings.Contains(got, s+" [[NAME]]") {
		t.Errorf("HTML part lost what was typed: %s", got)
	}
}

// Every field of the dropdown works as a chip and typed, in any case.
func TestH16EveryFieldOfTheDropdown(t *testing.T) {
	v := valuesOf(ana())
	want := map[string]string{
		"FIRSTNAME": "Ana", "LASTNAME": "García", "NAME": "Ana García", "ORGANIZATIONNAME": "García & Sons", "PROFILEID": "1042",
		"ASSOCIATION": "Riverside Association", "WEBSITE": site, "TODAY": "23 November 2026",
		"HELPLINE":        "555 0100, help@example.org (Monday to Friday, 9 to 5)",
		"PORTALLOGINLINK": "Username: ana@example.com",
	}
	for _, f := range message.Fields() {
		for _, form := range []string{chip(f.Code), "[[" + f.Code + "]]", "[[" + strings.ToLower(f.Code) + "]]", "[[ " + f.Code + "&nbsp;]]"} {
			r := compile(t, "s", "<div>&gt;"+form+"&lt;</div>").Render(&v)
			for _, part := range []string{r.Text, shown(t, r.HTML)} {
				if !strings.Contains(strings.Join(strings.Fields(part), " "), want[f.Code]) || want[f.Code] == "" {
					t.Errorf("%s: %q is missing in\n%s", form, want[f.Code], part)
				}
			}
		}
		c, err := message.Compile(message.Draft{Subject: "[[" + f.Code + "]]", HTML: "x"}, sanitizer.HTML)
		if (err == nil) != f.InSubject {
			t.Errorf("%s in the subject: %v, the dropdown says %v", f.Code, err, f.InSubject)
		}
		if err == nil && c.Render(&v).Subject != want[f.Code] {
			t.Errorf("%s in the subject: %q", f.Code, c.Render(&v).Subject)
		}
		if f.Label == "" || f.Group == "" || f.Sample == "" {
			t.Errorf("%s is incomplete: %+v", f.Code, f)
		}
		delete(want, f.Code)
	}
	if len(want) > 0 {
		t.Errorf("not in the dropdown: %v", want)
	}
}

func TestH16Sanitised(t *testing.T) {
	for name, tc := range map[string]struct {
		html    string
		hrefs   []string // beyond those of header and footer
		removed []string
		says    string
	}{
		"script":         {`a<script>alert("x")</script>b`, nil, []string{"script"}, "ab"},
		"style":          {`a<style>p{}</style><p style="color:red" class="x" onclick="y()">b</p>`, nil, []string{"onclick attribute", "style", "style attribute"}, "a b"},
		"javascript":     {`<a href="javascript:alert(1)">a</a> <a href=" jAvAsCrIpT&#58;x">b</a>`, nil, []string{"link that is not https, mailto or tel"}, "a b"},
		"data":           {`<a href="data:text/html,x">a</a>`, nil, []string{"link that is not https, mailto or tel"}, "a"},
		"http, relative": {`<a href="http://example.com/">a</a><a href="/x">b</a><a href="//example.com">c</a>`, nil, []string{"link that is not https, mailto or tel"}, "abc"},
		"kept links": {`<a href="https://example.com/?a=1&amp;b=2">a</a> <a href="mailto:x@example.com" target="_blank">b</a> <a href="tel:+15550100">c</a>`,
			[]string{"https://example.com/?a=1&b=2", "mailto:x@example.com", "tel:+15550100"}, []string{"target attribute"}, "a b c"},
		"image":             {`a <img src="https://example.com/x.png" alt="our boat" width=1> b`, nil, []string{"alt attribute", "img", "src attribute", "width attribute"}, "a our boat b"},
		"attachment":        {`a<figure data-trix-attachment="{&quot;contentType&quot;:&quot;image/png&quot;,&quot;url&quot;:&quot;https://example.com/x.png&quot;}"><img src="https://example.com/x.png"></figure>b`, nil, []string{"attachment"}, "ab"},
		"broken attachment": {`a<figure data-trix-attachment="{">x</figure>b`, nil, []string{"attachment"}, "ab"},
		"table":             {`<table><tr><td>one</td><td>two</td></tr><tr><td>three</td></tr></table>`, nil, []string{"table"}, "one two three"},
		"headings":          {`<h1>a</h1><h4>b</h4><section>c</section><section>d</section>`, nil, []string{"section"}, "a b c d"},
		"form":              {`<form action="https://example.com"><input name="p" type="password">x<button>go</button></form>`, nil, []string{"action attribute", "button", "form", "input", "name attribute", "type attribute"}, "xgo"},
		"frames":            {`x<iframe src="https://example.com"></iframe><object data="x"></object><svg onload="x"><a href="javascript:x">y</a></svg>`, nil, nil, "x"},
		"meta":              {`x<meta http-equiv="refresh" content="0;url=https://example.com"><base href="https://example.com"><link rel="stylesheet" href="https://example.com">`, nil, nil, "x"},
		"comments":          {`<!--block-->x<!--[if mso]><b>y</b><![endif]-->`, nil, nil, "x"},
		"plain":             {`<p>a <b>b</b> <em>c</em> <s>d</s></p>`, nil, nil, "a b c d"},
	} {
		t.Run(name, func(t *testing.T) {
			c := compile(t, "s", tc.html)
			r := c.Render(&message.Values{})
			if diff := cmp.Diff(tc.hrefs, addresses(t, r.HTML)); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
			if tc.removed != nil || name == "comments" || name == "plain" {
				if diff := cmp.Diff(tc.removed, c.Removed); diff != "" {
					t.Errorf("removed (-want +got):\n%s", diff)
				}
			}
			if got := strings.Join(words(shown(t, r.HTML)), " "); !strings.HasPrefix(got, tc.says) {
				t.Errorf("shows %q, want %q first", got, tc.says)
			}
			checkElements(t, r.HTML)
		})
	}
}

func TestTextPart(t *testing.T) {
	c := compile(t, "Your login", `<div><!--block-->Dear [[FIRSTNAME]],<br><br>we have a <strong>new</strong> portal. See <a href="https://example.com/news">our&nbsp;news</a>, <a href="https://example.com/">example.com</a>, or write to <a href="mailto:x@example.com">x@example.com</a> or <a href="mailto:x@example.com">us</a>.</div>`+
		`<h1>What to do</h1><ol><li>one two three four five six seven eight nine ten eleven twelve thirteen fourteen</li><li>open<ul><li>this</li><li>or that</li></ul></li></ol>`+
		`<blockquote>quoted<br>twice<div>again</div></blockquote><pre>  kept
    as it is <a href="https://example.com/x">x</a></pre><hr><div>Here it is: `+chip("PORTALLOGINLINK")+` and
 thank you.</div>`)
	v := valuesOf(ana())
	want := `Riverside Association

Dear Ana,

we have a new portal. See our news: https://example.com/news, example.com,
or write to x@example.com or us: x@example.com.

What to do

1. one two three four five six seven eight nine ten eleven twelve thirteen
   fourteen
2. open
   - this
   - or that

> quoted
> twice

> again

  kept
    as it is x: https://example.com/x

--------------------

Here it is:

Username: ana@example.com

Set Password:
` + linkA + `

This link works until ` + ends + `. Opened later,
it offers to send a new one.

and thank you.

Do you need help? Our help line: 555 0100, help@example.org
(Monday to Friday, 9 to 5)

Our website: https://www.example.org/

This mail was sent to you by Riverside Association.
`
	if diff := cmp.Diff(want, c.Render(&v).Text); diff != "" {
		t.Errorf("text part (-want +got):\n%s", diff)
	}
}

// The credentials block stands alone wherever the field was put.
func TestCredentialsBlockLeavesInlineElements(t *testing.T) {
	v := valuesOf(ana())
	for _, s := range []string{
		"<p>before <b>bold [[PORTALLOGINLINK]] more</b> after</p>",
		`<h1>before bold <a href="https://example.com">[[PORTALLOGINLINK]]more</a> after</h1>`,
		"<div>before bold <em><u>" + chip("PORTALLOGINLINK") + "more</u></em> after</div>",
		"<ul><li>before bold [[PORTALLOGINLINK]] more after</li></ul>",
		"before bold [[PORTALLOGINLINK]] more after",
	} {
		r := compile(t, "s", s).Render(&v)
		for n := range parse(t, r.HTML).Descendants() {
			if n.Data != "table" {
				continue
			}
			for a := range n.Ancestors() {
				if slices.Contains([]string{"p", "a", "strong", "em", "u", "h1"}, a.Data) {
					t.Errorf("%s: a table within <%s>", s, a.Data)
				}
			}
		}
		got := strings.Join(words(shown(t, r.HTML)), " ")
		if i, j, k := strings.Index(got, "before bold"), strings.Index(got, linkA), strings.Index(got, "more after"); i < 0 || j < i || k < j && !strings.Contains(s, "<a ") {
			t.Errorf("%s: shown as %s", s, got)
		}
	}
}

func TestH14FrozenFormGivesTheSameMail(t *testing.T) {
	c := compile(t, "Your login, [[FIRSTNAME]]", "<div>Dear [[NAME]], “<b>&lt;b&gt;</b>” \\ {{x}} "+chip("PORTALLOGINLINK")+" [[HELPLINE]] [[WEBSITE]]</div>")
	stored, err := json.Marshal(c) // the usual encoder, which escapes < and >
	if err != nil {
		t.Fatal(err)
	}
	var back message.Compiled
	if err := json.Unmarshal(stored, &back); err != nil {
		t.Fatal(err)
	}
	held, err := json.Marshal(struct{ M message.Compiled }{*c})
	if err != nil || string(held) != `{"M":`+string(stored)+`}` {
		t.Errorf("stored otherwise within a record: %v", err)
	}
	if back.Hash() != c.Hash() || len(c.Hash()) != 64 {
		t.Errorf("hashes %q and %q", c.Hash(), back.Hash())
	}
	if !back.CarriesLink() || compile(t, "s", "no link").CarriesLink() {
		t.Error("CarriesLink is wrong")
	}
	v := message.Join(valuesOf(ana()), valuesOf(ben()))
	if diff := cmp.Diff(c.Render(&v), back.Render(&v)); diff != "" {
		t.Errorf("mails differ (-before +after):\n%s", diff)
	}
	if string(c.AppendTemplateData(nil, &v)) != string(back.AppendTemplateData(nil, &v)) {
		t.Error("template data differ")
	}
	if compile(t, "Your login", "<div>x</div>").Hash() == compile(t, "Your login", "<div>y</div>").Hash() {
		t.Error("two messages, one hash")
	}
}

func TestFrozenFormRefused(t *testing.T) {
	for name, s := range map[string]string{
		"not JSON":          `{`,
		"no version":        `{"subject":["a"],"html":["a"],"text":["a"]}`,
		"later version":     `{"v":2,"subject":["a"],"html":["a"],"text":["a"]}`,
		"no parts":          `{"v":1}`,
		"unknown field":     `{"v":1,"subject":["a"],"html":[["PASSWORD"]],"text":["a"]}`,
		"no value":          `{"v":1,"subject":["a"],"html":[["SEVERAL"]],"text":["a"]}`,
		"nothing":           `{"v":1,"subject":["a"],"html":[[]],"text":["a"]}`,
		"number":            `{"v":1,"subject":["a"],"html":[1],"text":["a"]}`,
		"empty literal":     `{"v":1,"subject":["a"],"html":[""],"text":["a"]}`,
		"unknown condition": `{"v":1,"subject":["a"],"html":[["if","NAME",0]],"text":["a"]}`,
		"beyond the end":    `{"v":1,"subject":["a"],"html":[["when","NAME",2],"a"],"text":["a"]}`,
		"beyond its outer":  `{"v":1,"subject":["a"],"html":[["when","NAME",1],["when","NAME",1],"a"],"text":["a"]}`,
		"below zero":        `{"v":1,"subject":["a"],"html":[["when","NAME",-1],"a"],"text":["a"]}`,
		"a fraction":        `{"v":1,"subject":["a"],"html":[["when","NAME",0.5],"a"],"text":["a"]}`,
		"login outside":     `{"v":1,"subject":["a"],"html":[["LOGIN.URL"]],"text":["a"]}`,
		"asked outside":     `{"v":1,"subject":["a"],"html":[["when","LOGIN.URL",0]],"text":["a"]}`,
		"logins in logins":  `{"v":1,"subject":["a"],"html":[["logins","",1],["logins","",0]],"text":["a"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			var c message.Compiled
			if err := json.Unmarshal([]byte(s), &c); err == nil {
				t.Errorf("%s was read", s)
			}
		})
	}
}

// A message as large as may be is still compiled.
func TestLongMessages(t *testing.T) {
	row := `<div>Some words with a <strong>strong</strong> one and <a href="https://example.com/news">a link</a>.<br></div>`
	c := compile(t, "s", strings.Repeat(row, 400)+"Thank you, [[FIRSTNAME]].")
	v := valuesOf(ana())
	if n := strings.Count(c.Render(&v).Text, "Some words"); n != 400 {
		t.Errorf("%d rows of 400", n)
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		"<div>Dear [[FIRSTNAME]],<br>" + chip("PORTALLOGINLINK") + "</div>",
		`<p>a<b>b[[PORTALLOGINLINK]]c</b><a href="https://example.com/?a=b&c=d">x</a></p><ul><li>1<ol><li>[[HELPLINE]]</ol></ul>`,
		"<table><tr><td><svg><style><img src=x onerror=y></style></svg>", "<pre>\n a\t b\n</pre><hr><blockquote>x<br><br><br>y",
		"<a href='javascript:x'>[[WEBSITE]]</a>\u202e\x00\xff\u2028{{x}}<noscript><p title=\"</noscript><img src=x>\">",
		"<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
		"\ue000PORTALLOGINLINK\ue001 \ue000FOO", "<textarea><plaintext>x</textarea><select><option>a<option>b</select>",
	} {
		f.Add("Hello [[NAME]]", s)
	}
	f.Fuzz(func(t *testing.T, subject, source string) {
		c, err := message.Compile(message.Draft{Subject: subject, HTML: source}, sanitizer.HTML)
		if err != nil {
			if problem.As(err).Kind != problem.Invalid {
				t.Fatalf("not for people: %v", err)
			}
			return
		}
		v := message.Join(valuesOf(ana()), valuesOf(ben()))
		r := c.Render(&v)
		checkMail(t, r)
		checkElements(t, r.HTML)
		for _, a := range addresses(t, r.HTML) {
			if scheme, _, _ := strings.Cut(strings.ToLower(a), ":"); scheme != "https" && scheme != "mailto" && scheme != "tel" {
				t.Errorf("leads to %q", a)
			}
		}
		if strings.Contains(r.HTML+r.Text+r.Subject, "\ue000") {
			t.Error("a mark was left")
		}
		stored, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var back message.Compiled
		if err := json.Unmarshal(stored, &back); err != nil {
			t.Fatalf("cannot be read back: %v", err)
		}
		if back.Hash() != c.Hash() || back.Render(&v) != r {
			t.Error("changes when stored")
		}
		checkTemplateData(t, c, &v, riverside(), 2)
	})
}
