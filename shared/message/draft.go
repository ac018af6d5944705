package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A chip leaves the HTML before it is sanitised (the sanitiser would encode
// or drop it) and travels as its code between two marks, private-use
// characters that are taken out of everything staff type.
const chipStart, chipEnd = "\ue000", "\ue001"

var marks = strings.NewReplacer(chipStart, "", chipEnd, "")

func withoutMarks(s string) string { return marks.Replace(s) }

var (
	typedField = regexp.MustCompile(`\[\[[ \x{a0}]*([A-Za-z][A-Za-z0-9_-]*)[ \x{a0}]*\]\]`)
	anyField   = regexp.MustCompile(chipStart + `([^` + chipEnd + `]*)` + chipEnd + `|` + typedField.String())
)

// mergeField is the content type of a chip's Trix attachment.
const mergeField = "application/x-merge-field"

// aliases are elements that stand for one that the sanitizer lets through. Those that
// separate what they hold become blocks, so that words never run together.
var aliases = map[string]string{
	"b": "strong", "i": "em", "cite": "em", "s": "del", "strike": "del", "ins": "u",
	"h3": "h2", "h4": "h2", "h5": "h2", "h6": "h2",
}

var separating = map[string]bool{
	"table": true, "tr": true, "section": true, "article": true, "header": true, "footer": true, "main": true,
	"aside": true, "center": true, "dl": true, "dt": true, "dd": true, "form": true, "fieldset": true,
	"address": true, "figure": true, "figcaption": true, "nav": true, "details": true, "summary": true,
}

// unremarkable are elements whose loss staff need not hear of: they say
// nothing, or what they belong to is named already.
var unremarkable = map[string]bool{
	"a": true, "span": true, "font": true, "tbody": true, "thead": true, "tfoot": true, "tr": true, "td": true, "th": true,
	"figure": true, "figcaption": true, "class attribute": true, "dir attribute": true, "lang attribute": true,
}

// body compiles the editor's HTML into a tree.
func (c *compiler) body(source string) []node {
	if len(source) > MaxHTML {
		c.fault("html", "message_too_large", fmt.Sprintf("This message is too long: %d kB, and %d kB is the most. Shorten it.", len(source)/1000, MaxHTML/1000))
		return nil
	}
	source = withoutMarks(strings.ToValidUTF8(source, "\ufffd"))
	if multiplies(source) {
		c.fault("html", "html_unreadable", "This message cannot be read: too much of its formatting is never closed. Paste it as plain text and format it anew.")
		return nil
	}
	tree, err := parse(source)
	if err != nil {
		c.fault("html", "html_unreadable", "This message cannot be read: its elements are nested too deeply. Paste it as plain text and format it anew.")
		return nil
	}
	before := map[string]int{}
	at := &cursor{part: "message"}
	at.begin()
	c.prepareTree(tree, at, before)
	var b strings.Builder
	for n := range tree.ChildNodes() {
		err = errors.Join(err, html.Render(&b, n))
	}
	if err == nil {
		tree, err = parse(c.sanitize(b.String()))
	}
	if err != nil {
		c.fault("html", "html_unreadable", "This message cannot be read as HTML. Paste it as plain text and format it anew.")
		return nil
	}
	after := map[string]int{}
	count(tree, after)
	for name, n := range before {
		if n > after[name] && !unremarkable[name] {
			c.removed = append(c.removed, name)
		}
	}
	sort.Strings(c.removed)

	at = &cursor{part: "message"}
	at.begin()
	c.visible = false
	faults := len(c.faults)
	body := hoist(c.convert(tree, at, false, false))
	if !c.visible && len(c.faults) == faults {
		c.fault("html", "message_missing", "The message is empty. Write something.")
	}
	return body
}

// multiplies reports whether parsing s would make far more of it: a parser
// opens every unclosed formatting element anew, attributes and all, in each
// element that follows, so that 100 kB can become gigabytes. Each token is
// counted with the formatting elements that are open at most.
func multiplies(s string) bool {
	const most = 8_000_000 // bytes
	z := html.NewTokenizer(strings.NewReader(s))
	var open []int // the lengths of the tags
	total, reopened := 0, 0
	for total <= most {
		token := z.Next()
		if token == html.ErrorToken {
			return false
		}
		length := len(z.Raw())
		name, _ := z.TagName()
		if formatting[string(name)] {
			switch n := len(open) - 1; {
			case token == html.EndTagToken && n >= 0:
				reopened -= open[n]
				open = open[:n]
			case token != html.EndTagToken:
				reopened += length
				open = append(open, length)
			}
		}
		total += length + reopened
	}
	return true
}

var formatting = map[string]bool{
	"a": true, "b": true, "big": true, "code": true, "em": true, "font": true, "i": true, "nobr": true,
	"s": true, "small": true, "strike": true, "strong": true, "tt": true, "u": true,
}

// parse reads an HTML fragment into a div.
func parse(s string) (*html.Node, error) {
	root := &html.Node{Type: html.ElementNode, Data: "div", DataAtom: atom.Div}
	nodes, err := html.ParseFragment(strings.NewReader(s), &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body})
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		root.AppendChild(n)
	}
	return root, nil
}

// prepareTree replaces chips by marked text and elements by their aliases,
// counts the rest, and refuses fields in attributes.
func (c *compiler) prepareTree(parent *html.Node, at *cursor, seen map[string]int) {
	var next *html.Node
	for n := parent.FirstChild; n != nil; n = next {
		next = n.NextSibling
		switch n.Type {
		case html.TextNode:
			at.text(n.Data)
			continue
		case html.ElementNode:
		default:
			parent.RemoveChild(n) // the editor's comments
			continue
		}
		if attachment, ok := trixAttachment(n); ok {
			replacement := ""
			if attachment.ContentType == mergeField {
				replacement = chipStart + withoutMarks(attachment.Field) + chipEnd
			} else {
				seen["attachment"]++
			}
			parent.InsertBefore(&html.Node{Type: html.TextNode, Data: replacement}, n)
			parent.RemoveChild(n)
			at.text("[[" + attachment.Field + "]]")
			continue
		}
		c.attributes(n, at)
		if alias, ok := aliases[n.Data]; ok {
			n.Data, n.DataAtom = alias, atom.Lookup([]byte(alias))
		}
		seen[n.Data]++
		for _, a := range n.Attr {
			seen[attributeName(n, a)]++
		}
		if n.Data == "img" {
			for _, a := range n.Attr {
				if a.Key == "alt" && strings.TrimSpace(a.Val) != "" {
					parent.InsertBefore(&html.Node{Type: html.TextNode, Data: a.Val}, n)
				}
			}
		}
		if n.Data == "td" || n.Data == "th" || n.Data == "option" {
			n.AppendChild(&html.Node{Type: html.TextNode, Data: " "})
		}
		at.enter(n.Data)
		c.prepareTree(n, at, seen)
		at.leave(n.Data)
		if separating[n.Data] {
			n.Data, n.DataAtom, n.Attr = "div", atom.Div, nil
			seen["div"]++
		}
	}
}

type attachment struct {
	ContentType string `json:"contentType"`
	Field       string `json:"field"`
}

// trixAttachment reads the attachment of a figure that the editor made.
func trixAttachment(n *html.Node) (a attachment, ok bool) {
	for _, attr := range n.Attr {
		if attr.Key == "data-trix-attachment" {
			if json.Unmarshal([]byte(attr.Val), &a) != nil {
				return attachment{}, true
			}
			return a, true
		}
	}
	return a, false
}

func count(parent *html.Node, seen map[string]int) {
	for n := range parent.Descendants() {
		if n.Type == html.ElementNode {
			seen[n.Data]++
			for _, a := range n.Attr {
				seen[attributeName(n, a)]++
			}
		}
	}
}

// attributeName is how the report of what was removed names an attribute.
func attributeName(n *html.Node, a html.Attribute) string {
	if n.Data == "a" && a.Key == "href" {
		return "link that is not https, mailto or tel"
	}
	return clip(a.Key, 40) + " attribute"
}

// attributes refuses fields in attributes, percent-encoded ones too, for
// browsers encode what stands in an address.
func (c *compiler) attributes(n *html.Node, at *cursor) {
	for _, a := range n.Attr {
		value := a.Val
		if plain, err := url.PathUnescape(value); err == nil {
			value = plain
		}
		if m := typedField.FindString(value); m != "" {
			c.fault("html", "special_field_in_attribute", fmt.Sprintf(
				"%s stands in the %s of an element <%s> %s. A field can stand only in the text itself; to link to the portal, use the Portal Login Credentials Link.",
				clip(m, 60), clip(a.Key, 40), clip(n.Data, 40), at.place(textOf(n))))
		}
	}
}

// textOf is the text in n.
func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if b.Len() > 200 {
			break
		}
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

// convert makes nodes of sanitised HTML.
func (c *compiler) convert(parent *html.Node, at *cursor, inLink, inPre bool) []node {
	var nodes []node
	for n := parent.FirstChild; n != nil; n = n.NextSibling {
		switch {
		case n.Type == html.TextNode:
			s := n.Data
			if inPre {
				s = strings.ReplaceAll(s, "\t", "    ")
			}
			nodes = append(nodes, c.fields(s, at, inLink)...)
		case n.Type != html.ElementNode:
		case n.Data == "a":
			e := element("a", c.convert(n, at, true, inPre)...)
			for _, a := range n.Attr {
				if a.Key == "href" {
					e.link.literal = cleaned(a.Val)
				}
			}
			if inLink || e.link.literal == "" {
				nodes = append(nodes, e.kids...)
				continue
			}
			nodes = append(nodes, e)
		default:
			if _, ok := styles[n.Data]; !ok {
				nodes = append(nodes, c.convert(n, at, inLink, inPre)...)
				continue
			}
			at.enter(n.Data)
			e := element(n.Data, c.convert(n, at, inLink, inPre || n.Data == "pre")...)
			at.leave(n.Data)
			nodes = append(nodes, e)
		}
	}
	return nodes
}

// fields splits text at its fields and refuses those that are none.
func (c *compiler) fields(s string, at *cursor, inLink bool) []node {
	var nodes []node
	literal := func(s string) {
		at.text(s)
		if s = multiline(s); s != "" {
			nodes = append(nodes, text(s))
			c.visible = c.visible || strings.Trim(s, " \n\u00a0") != ""
		}
	}
	rest := 0
	for _, m := range anyField.FindAllStringSubmatchIndex(s, -1) {
		literal(s[rest:m[0]])
		rest = m[1]
		var code string
		if m[2] >= 0 {
			code = s[m[2]:m[3]]
		} else {
			code = s[m[4]:m[5]]
		}
		code = strings.ToUpper(cleaned(code))
		shown := "[[" + clip(code, 40) + "]]"
		following := shown + clip(s[rest:], 120)
		where := "html"
		if at.part == "subject" {
			where = "subject"
		}
		expanded, ok := expand(code, inLink || where == "subject")
		switch {
		case !ok:
			c.fault(where, "special_field_unknown", fmt.Sprintf("There is no special field %s %s. Choose one from the list, or take it out.", shown, at.place(following)))
		case where == "subject" && code == CredentialsLink:
			c.fault(where, "special_field_not_in_subject", fmt.Sprintf("%s stands %s. The credentials link cannot stand in the subject, which others may see: move it into the message.", shown, at.place(following)))
		case code == CredentialsLink && c.links == MaxLinks:
			c.fault(where, "special_field_too_often", fmt.Sprintf("%s stands %s once too often: %d times are the most. Take it out.", shown, at.place(following), MaxLinks))
		default:
			nodes = append(nodes, expanded...)
			c.visible = true
			if code == CredentialsLink {
				c.links++
			}
		}
		at.text(shown)
	}
	literal(s[rest:])
	return nodes
}

// expand is what a special field becomes; bare leaves out links.
func expand(code string, bare bool) ([]node, bool) {
	switch code {
	case CredentialsLink:
		return []node{credentialsBlock()}, true
	case "HELPLINE":
		if bare {
			return unlinked([]node{helpLine()}), true
		}
		return []node{helpLine()}, true
	case "WEBSITE":
		if bare {
			return []node{field(fWebsite)}, true
		}
		return []node{website()}, true
	}
	id, ok := fieldByCode[code]
	if !ok || id > fAssociation {
		return nil, false
	}
	return []node{field(id)}, true
}

// unlinked is nodes without their links.
func unlinked(nodes []node) []node {
	var out []node
	for _, n := range nodes {
		n.kids = unlinked(n.kids)
		if n.kind == kElement && n.text == "a" {
			out = append(out, n.kids...)
		} else {
			out = append(out, n)
		}
	}
	return out
}

// multiline is s cleaned, its line breaks kept.
func multiline(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = cleaned(lines[i])
	}
	return strings.Join(lines, "\n")
}

// holdsBlocks are the elements that blocks may stand in.
var holdsBlocks = map[string]bool{"div": true, "li": true, "ul": true, "ol": true, "blockquote": true}

// hoist lifts the credentials block out of elements that hold only words: a
// paragraph with it in its midst becomes the paragraph before, the block,
// and the paragraph after.
func hoist(nodes []node) []node {
	var out []node
	for _, n := range nodes {
		if n.kind != kElement {
			out = append(out, n)
			continue
		}
		kids := hoist(n.kids)
		if holdsBlocks[n.text] {
			n.kids = kids
			out = append(out, n)
			continue
		}
		part := func(from, to int) {
			if from < to || n.text == "br" || n.text == "hr" {
				m := n
				m.kids = kids[from:to:to]
				out = append(out, m)
			}
		}
		from := 0
		for i := range kids {
			if kids[i].kind == kLogins {
				part(from, i)
				out = append(out, kids[i])
				from = i + 1
			}
		}
		part(from, len(kids))
	}
	return out
}

// cursor knows the place in what staff see, to say where a fault is.
type cursor struct {
	part         string
	line, column int
	recent       string // the last words
}

func (at *cursor) begin() { at.line, at.column = 1, 0 }

func (at *cursor) text(s string) {
	for _, r := range s {
		if (r == ' ' || r == '\n' || r == '\t') && at.column == 0 {
			continue
		}
		at.column++
	}
	at.recent += s
	if n := len(at.recent) - 60; n > 0 {
		for !utf8.RuneStart(at.recent[n]) {
			n++
		}
		at.recent = at.recent[n:]
	}
}

func (at *cursor) enter(tag string) {
	if tag == "br" || (blockTags[tag] || separating[tag]) && at.column > 0 {
		at.line++
		at.column = 0
		at.recent += " "
	}
}

func (at *cursor) leave(tag string) {
	if tag != "br" {
		at.enter(tag)
	}
}

// place says where the next character stands: "in line 2 of the message,
// character 14, at “Dear [[FOO]], welcome”".
func (at *cursor) place(following string) string {
	before := strings.Fields(at.recent)
	if len(before) > 4 {
		before = before[len(before)-4:]
	}
	words := strings.Join(before, " ")
	if strings.HasSuffix(at.recent, " ") && words != "" {
		words += " "
	}
	after := strings.Fields(clip(following, 120))
	if len(after) > 4 {
		after = after[:4]
	}
	words += strings.Join(after, " ")
	words = cleaned(marks.Replace(words))
	if at.part == "subject" {
		return fmt.Sprintf("in the subject, character %d, at “%s”", at.column+1, words)
	}
	return fmt.Sprintf("in line %d of the message, character %d, at “%s”", at.line, at.column+1, words)
}
