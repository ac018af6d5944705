package message

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/memberkey/memberkey/shared/problem"
)

// Limits of a draft.
const (
	MaxSubject = 150     // characters, fields as they are typed
	MaxHTML    = 128_000 // bytes of the editor's HTML
	MaxLinks   = 5       // how often the credentials link may stand in a message
	// MaxEntry is the most that one entry may come to, as MaxEncoded counts
	// it for one profile and any association: SES takes 262,144 characters of template data.
	MaxEntry = 256_000

	maxFaults = 20 // that one answer lists
)

// Compiled is a message ready to be sent: what a mailing freezes. Make it
// with Compile or from its JSON. It never changes and is safe for concurrent
// use.
type Compiled struct {
	// Removed names what the sanitiser took out of the draft, for the
	// console: "script", "style attribute". It is not stored.
	Removed []string

	subject, html, text program
	data                program // all three as one JSON object
	hash                string
	links               bool
}

// Compile checks, sanitises and compiles what staff composed. sanitize is
// sanitizer.HTML, handed in so that only who composes links it. All faults
// come back in one problem, each with its field ("subject" or "html") and
// place. Codes: subject_missing, subject_line_break, subject_too_long,
// body_missing, body_too_large, html_unreadable, field_unknown,
// field_in_attribute, field_not_in_subject, field_too_often.
func Compile(d Draft, sanitize func(html string) string) (*Compiled, error) {
	c := &compiler{sanitize: sanitize}
	subject := c.subject(d.Subject)
	body := c.body(d.HTML)
	if len(c.faults) > 0 {
		return nil, problem.Several(problem.Invalid, c.faults)
	}
	m := &Compiled{Removed: c.removed, subject: writeSubject(subject), html: writeHTML(body), text: writeText(body)}
	m.prepare()
	if size := m.MaxEncoded(nil, 1); size > MaxEntry {
		return nil, problem.Newf(problem.Invalid, "message_too_large", "html",
			"This message is too long to be mailed: one mail may come to %d kB, and %d kB is the most. Shorten it.", size/1000, MaxEntry/1000)
	}
	return m, nil
}

// prepare derives what is not stored.
func (c *Compiled) prepare() {
	b := builder{}
	part := func(key string, p program) {
		b.literal(key)
		b.splice(p.inJSON())
	}
	part(`{"subject":"`, c.subject)
	part(`","html":"`, c.html)
	part(`","text":"`, c.text)
	b.literal(`"}`)
	c.data = b.done()
	sum := sha256.Sum256(c.stored())
	c.hash = hex.EncodeToString(sum[:])
	c.links = false
	for _, s := range c.html {
		c.links = c.links || s.op == opLogins
	}
}

// Hash identifies the compiled message: the SHA-256, in hex, of what is
// stored.
func (c *Compiled) Hash() string { return c.hash }

// CarriesLink reports whether the message holds the credentials link, so
// that links are made only for mailings that show them.
func (c *Compiled) CarriesLink() bool { return c.links }

// Render makes the finished mail.
func (c *Compiled) Render(v *Values) Rendered {
	return Rendered{
		Subject: string(c.subject.run(nil, v, nil)),
		HTML:    string(c.html.run(nil, v, nil)),
		Text:    string(c.text.run(nil, v, nil)),
	}
}

// AppendTemplateData appends {"subject":"…","html":"…","text":"…"}: what
// Render makes, as the template data of one SES entry. It allocates nothing
// but dst's growth.
func (c *Compiled) AppendTemplateData(dst []byte, v *Values) []byte {
	return c.data.run(dst, v, nil)
}

// AppendTemplateData appends the mail as the template data of one SES entry.
func (r Rendered) AppendTemplateData(dst []byte) []byte {
	dst = append(dst, `{"subject":"`...)
	dst = appendJSON(dst, r.Subject)
	dst = append(dst, `","html":"`...)
	dst = appendJSON(dst, r.HTML)
	dst = append(dst, `","text":"`...)
	dst = appendJSON(dst, r.Text)
	return append(dst, `"}`...)
}

// MaxEncoded is an upper bound, in bytes, of one mail for so many profiles as
// it stands within an SES request, where template data is a JSON string
// within JSON (its quotes included; the entry's address and tags are not). a
// is the association of the Values; nil stands for any. It holds whatever
// else is in the Values, so long as links have at most MaxURL bytes and none
// of & < > " ' \.
func (c *Compiled) MaxEncoded(a *Association, profiles int) int {
	return len(`""`) + c.data.bound(a, max(1, profiles))
}

// compiler gathers the faults of a draft.
type compiler struct {
	sanitize func(html string) string
	faults   []problem.Item
	removed  []string
	visible  bool // something can be read
	links    int  // how often the credentials link stands in the message
}

func (c *compiler) fault(field, code, detail string) {
	if len(c.faults) == maxFaults {
		return
	}
	c.faults = append(c.faults, problem.Item{Field: field, Code: code, Detail: detail})
}

func (c *compiler) subject(s string) []node {
	if strings.ContainsAny(s, "\r\n\u0085\u2028\u2029") {
		c.fault("subject", "subject_line_break", "The subject must be one line. Take out the line break.")
		return nil
	}
	s = strings.TrimSpace(cleaned(withoutMarks(s)))
	if strings.Trim(s, " \u00a0") == "" {
		c.fault("subject", "subject_missing", "The subject is empty. Write one.")
		return nil
	}
	if utf8.RuneCountInString(s) > MaxSubject {
		c.fault("subject", "subject_too_long", fmt.Sprintf("The subject is too long: %d characters are the most. Shorten it.", MaxSubject))
		return nil
	}
	at := &cursor{part: "subject"}
	at.begin()
	return c.fields(s, at, false)
}
