package message

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

// styles is the look of every element of a mail, inline because mail clients
// drop style sheets. Neither text nor background has a colour of its own, so
// that a client's dark mode stays readable; only the button has both.
var styles = map[string]string{
	"p":          "margin:0 0 16px",
	"div":        "margin:0 0 16px",
	"h1":         "margin:24px 0 16px;font-size:24px;line-height:1.25",
	"h2":         "margin:24px 0 16px;font-size:20px;line-height:1.25",
	"ul":         "margin:0 0 16px;padding-left:24px",
	"ol":         "margin:0 0 16px;padding-left:24px",
	"li":         "margin:0 0 8px",
	"blockquote": "margin:0 0 16px;padding-left:16px;border-left:4px solid #767676",
	"pre":        "margin:0 0 16px;white-space:pre-wrap;font-family:monospace",
	"hr":         "margin:24px 0;border:0;border-top:1px solid #767676",
	"a":          "text-decoration:underline;word-break:break-word",
	"header":     "margin:0 0 24px;font-size:20px;font-weight:bold",
	"footer":     "margin:0 0 8px",
	"button":     "display:inline-block;padding:14px 28px;font-size:18px;font-weight:bold;color:#ffffff;text-decoration:none",
	"strong":     "", "em": "", "u": "", "del": "", "br": "",
}

// The frame of every mail. Its only remote content is the logo.
const (
	frameTop = `<!DOCTYPE html><html lang="en" dir="ltr"><head><meta charset="utf-8">` +
		`<meta name="viewport" content="width=device-width,initial-scale=1">` +
		`<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">` +
		`<title>`
	frameBody = `</title></head><body style="margin:0;padding:0">` +
		`<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr><td align="center" style="padding:24px 16px">` +
		`<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width:600px">` +
		`<tr><td align="left" style="font-family:Arial,Helvetica,sans-serif;font-size:16px;line-height:1.5">`
	frameFooter = `</td></tr><tr><td align="left" style="padding-top:16px;border-top:1px solid #767676;font-family:Arial,Helvetica,sans-serif;font-size:16px;line-height:1.5">`
	frameEnd    = `</td></tr></table></td></tr></table></body></html>`
)

// writeHTML makes the HTML part of a message with this body.
func writeHTML(body []node) program {
	w := &htmlWriter{}
	w.literal(frameTop)
	w.field(fAssociation, toHTML)
	w.literal(frameBody)
	w.open(opWhen, fLogo)
	w.literal(`<p style="margin:0 0 8px"><img src="`)
	w.field(fLogo, toHTML)
	// The name stands below in words: an alternative text would say it twice.
	w.literal(`" alt="" height="64" style="height:64px;max-width:100%;border:0"></p>`)
	w.close()
	w.nodes(header())
	w.nodes(body)
	w.literal(frameFooter)
	w.nodes(footer())
	w.literal(frameEnd)
	return w.done()
}

type htmlWriter struct{ builder }

func (w *htmlWriter) nodes(nodes []node) {
	for i := range nodes {
		w.node(&nodes[i])
	}
}

func (w *htmlWriter) node(n *node) {
	switch n.kind {
	case kText:
		w.literal(html.EscapeString(n.text))
	case kField:
		w.field(n.field, toHTML)
	case kWhen:
		w.open(opWhen, n.field)
		w.nodes(n.kids)
		w.close()
	case kUnless:
		w.open(opUnless, n.field)
		w.nodes(n.kids)
		w.close()
	case kLogins:
		w.open(opLogins, fNone)
		w.nodes(n.kids)
		w.close()
	case kButton:
		w.literal(`<table role="presentation" cellpadding="0" cellspacing="0" border="0" style="margin:0 0 16px"><tr>` +
			`<td bgcolor="#1d4ed8" style="border-radius:6px;background:#1d4ed8"><a href="`)
		w.field(n.field, toHTML)
		w.literal(`" style="` + styles["button"] + `">` + html.EscapeString(n.text) + `</a></td></tr></table>`)
		l := link("", n.field, n.field)
		w.node(&node{kind: kElement, text: "p", kids: []node{l}})
	case kElement:
		w.element(n)
	}
}

func (w *htmlWriter) element(n *node) {
	tag := n.text
	if tag == "header" || tag == "footer" {
		tag = "p" // a look, not an element that mail clients know
	}
	w.literal("<" + tag)
	if tag == "a" {
		w.literal(` href="` + html.EscapeString(n.link.scheme+n.link.literal))
		if n.link.field != fNone {
			w.field(n.link.field, toHTML)
		}
		w.literal(`"`)
	}
	if s := styles[n.text]; s != "" {
		w.literal(` style="` + s + `"`)
	}
	w.literal(">")
	if tag == "br" || tag == "hr" {
		return
	}
	w.nodes(n.kids)
	w.literal("</" + tag + ">")
}

// textWidth is where the text part wraps; fields count with a usual length.
const textWidth = 76

// writeText makes the text part of a message with this body.
func writeText(body []node) program {
	w := &textWriter{newlines: 2}
	w.blocks(header(), "")
	w.blocks(body, "")
	w.blocks(footer(), "")
	w.end()
	return w.done()
}

// writeSubject makes a subject line.
func writeSubject(line []node) program {
	w := &textWriter{newlines: 2, noWrap: true}
	w.inline(line, "")
	w.word("")
	return w.done()
}

// textWriter lays out text: words are gathered until a space shows that one
// is whole, then set on this line or the next.
type textWriter struct {
	builder
	newlines int  // at the end of what is written
	column   int  // characters on the line
	space    bool // a space stands before the pending word
	noWrap   bool
	pending  []func() // the pieces of the word
	width    int      // of the pending word
	marker   string   // of a list item whose first line is not yet written
	items    int      // list items that this is in; blocks within stand close together
}

// blocks writes nodes, each block on lines of its own; prefix begins each
// line.
func (w *textWriter) blocks(nodes []node, prefix string) {
	for i := 0; i < len(nodes); {
		if nodes[i].block() {
			w.block(&nodes[i], prefix)
			i++
			continue
		}
		j := i
		for j < len(nodes) && !nodes[j].block() {
			j++
		}
		w.inline(nodes[i:j], prefix)
		w.word(prefix)
		w.space = false
		i = j
	}
}

func (w *textWriter) block(n *node, prefix string) {
	gap := 2
	if w.items > 0 {
		gap = 1
	}
	w.lines(prefix, gap)
	switch n.kind {
	case kWhen, kUnless, kLogins:
		// What precedes and what ends the condition are the same line ends,
		// so what follows is set the same with and without it.
		o := map[kind]op{kWhen: opWhen, kUnless: opUnless, kLogins: opLogins}[n.kind]
		w.open(o, n.field)
		w.blocks(n.kids, prefix)
		w.lines(prefix, gap)
		w.close()
	case kButton:
		w.inline([]node{text(n.text + ": "), field(n.field)}, prefix)
		w.lines(prefix, gap)
	case kElement:
		switch n.text {
		case "hr":
			w.inline([]node{text(strings.Repeat("-", 20))}, prefix)
		case "ul", "ol":
			w.list(n, prefix)
		case "blockquote":
			w.blocks(n.kids, prefix+"> ")
		case "pre":
			w.pre(n.kids, prefix)
		default:
			w.blocks(n.kids, prefix)
		}
		w.lines(prefix, gap)
	}
}

func (w *textWriter) list(n *node, prefix string) {
	number := 0
	for i := range n.kids {
		item := &n.kids[i]
		if item.kind != kElement || item.text != "li" {
			w.blocks(n.kids[i:i+1], prefix)
			continue
		}
		number++
		mark := "- "
		if n.text == "ol" {
			mark = strconv.Itoa(number) + ". "
		}
		w.lines(prefix, 1)
		w.marker = mark
		w.items++
		w.blocks(item.kids, prefix+strings.Repeat(" ", len(mark)))
		w.items--
		w.marker = ""
		w.lines(prefix, 1)
	}
}

// pre keeps lines as they are.
func (w *textWriter) pre(nodes []node, prefix string) {
	for i := range nodes {
		n := &nodes[i]
		if n.kind != kText {
			if n.kind == kElement && n.text != "br" && n.text != "a" {
				w.pre(n.kids, prefix)
			} else {
				w.inline(nodes[i:i+1], prefix)
			}
			continue
		}
		for k, line := range strings.Split(n.text, "\n") {
			if k > 0 {
				w.breakLine(prefix, 9)
			}
			w.piece(line)
		}
	}
}

// inline gathers words.
func (w *textWriter) inline(nodes []node, prefix string) {
	for i := range nodes {
		n := &nodes[i]
		switch n.kind {
		case kText:
			w.text(n.text, prefix)
		case kField:
			id := n.field
			w.pending = append(w.pending, func() { w.field(id, toText) })
			w.width += fieldTable[id].width
		case kWhen, kUnless:
			id, o := n.field, opWhen
			if n.kind == kUnless {
				o = opUnless
			}
			w.pending = append(w.pending, func() { w.open(o, id) })
			w.inline(n.kids, prefix)
			w.pending = append(w.pending, func() { w.close() })
		case kElement:
			if n.text == "br" {
				w.breakLine(prefix, 2)
				continue
			}
			w.inline(n.kids, prefix)
			if n.text == "a" {
				w.address(n, prefix)
			}
		}
	}
}

// address adds where a link leads, unless its words say so already.
func (w *textWriter) address(n *node, prefix string) {
	if id := n.link.field; id != fNone {
		return // links to fields show what they lead to (see link)
	}
	words := strings.TrimSuffix(strings.TrimSpace(plainWords(n.kids)), "/")
	bare := strings.TrimSuffix(n.link.literal, "/")
	for _, scheme := range []string{"", "https://", "mailto:", "tel:"} {
		if strings.EqualFold(words, strings.TrimPrefix(bare, scheme)) {
			return
		}
	}
	if words != "" {
		w.text(": ", prefix)
	}
	if s, ok := strings.CutPrefix(n.link.literal, "mailto:"); ok {
		w.piece(s)
		return
	}
	w.piece(strings.TrimPrefix(n.link.literal, "tel:"))
}

// plainWords is the text of nodes, fields left out.
func plainWords(nodes []node) string {
	var b strings.Builder
	for i := range nodes {
		b.WriteString(nodes[i].words())
	}
	return b.String()
}

func (n *node) words() string {
	switch n.kind {
	case kText:
		return n.text
	case kField:
		return "\x00" // equals no address
	case kElement:
		if n.text == "br" {
			return " "
		}
	}
	return plainWords(n.kids)
}

// text gathers the words of s; any run of white space is one space.
func (w *textWriter) text(s, prefix string) {
	start := 0
	for i, r := range s {
		if r != ' ' && r != '\n' && r != '\t' && r != '\u00a0' {
			continue
		}
		w.piece(s[start:i])
		w.word(prefix)
		w.space = true
		start = i + utf8.RuneLen(r)
	}
	w.piece(s[start:])
}

func (w *textWriter) piece(s string) {
	if s == "" {
		return
	}
	w.pending = append(w.pending, func() { w.literal(s) })
	w.width += utf8.RuneCountInString(s)
}

// word sets the pending word, on the next line if it does not fit on this.
func (w *textWriter) word(prefix string) {
	if len(w.pending) == 0 {
		return
	}
	if w.width > 0 {
		switch {
		case w.newlines > 0:
			w.startLine(prefix)
		case w.space && !w.noWrap && w.column+1+w.width > textWidth:
			w.literal("\n")
			w.startLine(prefix)
		case w.space:
			w.literal(" ")
			w.column++
		}
		w.newlines = 0
		w.space = false
		w.column += w.width
	}
	for _, f := range w.pending {
		f()
	}
	w.pending, w.width = w.pending[:0], 0
}

func (w *textWriter) startLine(prefix string) {
	if w.marker != "" {
		prefix = prefix[:len(prefix)-len(w.marker)] + w.marker
		w.marker = ""
	}
	w.literal(prefix)
	w.column = utf8.RuneCountInString(prefix)
}

// breakLine ends a line; more than limit line ends in a row become limit.
func (w *textWriter) breakLine(prefix string, limit int) {
	w.word(prefix)
	w.space = false
	if w.newlines < limit {
		w.literal("\n")
		w.newlines++
	}
	w.column = 0
}

// lines makes sure that n line ends stand before what comes next.
func (w *textWriter) lines(prefix string, n int) {
	w.word(prefix)
	w.space = false
	for w.newlines < n {
		w.literal("\n")
		w.newlines++
	}
	w.column = 0
}

// end leaves one line end at the end.
func (w *textWriter) end() {
	w.word("")
	for len(w.buf) > 0 && w.buf[len(w.buf)-1] == '\n' {
		w.buf = w.buf[:len(w.buf)-1]
	}
	w.literal("\n")
}
