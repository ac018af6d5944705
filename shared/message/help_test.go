package message_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/message/sanitizer"
	"github.com/memberkey/memberkey/shared/problem"
)

// The fixtures of all tests. Every href of a mail must be one of these.
const (
	site   = "https://www.example.org/"
	logo   = "https://www.example.org/logo.png"
	signIn = "https://members.example.org/portal/riverside/sign-in"
	linkA  = "https://members.example.org/portal/riverside/set-password/7h3kfj38dkw93jf8s8dkfj39fkdls93jfk3l2kdj39fk"
	linkB  = "https://members.example.org/portal/riverside/set-password/8h3kfj38dkw93jf8s8dkfj39fkdls93jfk3l2kdj39fk"
	ends   = "Tuesday, 24 November 2026, 3:28 pm EST"
)

func riverside() message.Association {
	return message.Association{
		Name: "Riverside Association", LogoURL: logo, Website: site, Phone: "555 0100", Email: "help@example.org",
		Hours: "Monday to Friday, 9 to 5", SignInURL: signIn,
	}
}

func ana() message.Login {
	return message.Login{Name: "Ana García", OrganizationName: "García & Sons", ProfileID: "1042", Username: "ana@example.com", URL: linkA, Ends: ends}
}

func ben() message.Login {
	return message.Login{Name: "Ben García", ProfileID: "1043", UsernameNote: message.ChooseUsername, URL: linkB, Ends: ends}
}

func valuesOf(l message.Login) message.Values {
	first, last, _ := strings.Cut(l.Name, " ")
	return message.Values{
		FirstName: first, LastName: last, Name: l.Name, OrganizationName: l.OrganizationName, ProfileID: l.ProfileID,
		Association: riverside(), Today: "23 November 2026", Logins: []message.Login{l},
	}
}

// chip is how the editor saves a special field.
func chip(code string) string {
	a, _ := json.Marshal(map[string]any{"contentType": "application/x-merge-field", "field": code, "content": "<span>" + code + "</span>"})
	return `<figure data-trix-attachment="` + html.EscapeString(string(a)) + `" data-trix-content-type="application/x-merge-field" class="attachment attachment--content"><span>` + code + `</span><figcaption class="attachment__caption"></figcaption></figure>`
}

func compile(t testing.TB, subject, html string) *message.Compiled {
	t.Helper()
	c, err := message.Compile(message.Draft{Subject: subject, HTML: html}, sanitizer.HTML)
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	return c
}

func parse(t testing.TB, s string) *html.Node {
	t.Helper()
	n, err := html.Parse(strings.NewReader(s))
	if err != nil {
		t.Fatalf("the HTML part cannot be parsed: %v", err)
	}
	return n
}

// addresses lists every href and src of a mail in order.
func addresses(t testing.TB, s string) []string {
	var out []string
	for n := range parse(t, s).Descendants() {
		for _, a := range n.Attr {
			if a.Key == "href" || a.Key == "src" {
				out = append(out, a.Val)
			}
		}
	}
	return out
}

// shown is what a reader of the HTML part sees, blocks apart from each other.
func shown(t testing.TB, s string) string {
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
		if n.Data == "head" {
			return
		}
		inline := n.Type != html.ElementNode || n.Data == "a" || n.Data == "strong" || n.Data == "em" || n.Data == "u" || n.Data == "del"
		if !inline {
			b.WriteByte(' ')
		}
		for c := range n.ChildNodes() {
			walk(c)
		}
		if !inline {
			b.WriteByte(' ')
		}
	}
	walk(parse(t, s))
	return b.String()
}

// checkElements holds a mail against the elements and attributes that one is
// made of.
func checkElements(t testing.TB, s string) {
	t.Helper()
	elements := strings.Fields("html head meta title body table tbody tr td div p h1 h2 strong em u del a ul ol li blockquote pre hr br img")
	attributes := strings.Fields("lang dir charset name content style role width cellpadding cellspacing border align bgcolor href src alt height")
	for n := range parse(t, s).Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if !slices.Contains(elements, n.Data) {
			t.Errorf("a mail holds <%s>", n.Data)
		}
		for _, a := range n.Attr {
			if !slices.Contains(attributes, a.Key) {
				t.Errorf("a mail holds <%s %s>", n.Data, a.Key)
			}
		}
	}
}

// words splits a text; the colon that only the text part has after a
// button's words does not count.
func words(s string) []string {
	fields := strings.Fields(s)
	for i := range fields {
		fields[i] = strings.TrimSuffix(fields[i], ":")
	}
	return fields
}

// items lists the faults of an error as "field code".
func items(err error) []string {
	if err == nil {
		return nil
	}
	p := problem.As(err)
	if len(p.Problems) == 0 {
		return []string{p.Field + " " + p.Code}
	}
	var out []string
	for _, i := range p.Problems {
		out = append(out, i.Field+" "+i.Code)
	}
	return out
}
