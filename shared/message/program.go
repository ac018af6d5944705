package message

import (
	"strings"
	"unicode/utf8"
)

// A program is the segments of one part of a message, in order. Running it
// appends the literals as they are and the values between them, cleaned and
// escaped; nothing is parsed.
type program []segment

type segment struct {
	op      op
	field   fieldID
	to      encoding // of a field
	n       int      // opWhen, opUnless, opLogins: how many of the following segments they govern
	literal string   // escaped for where it stands
}

type op uint8

const (
	opLiteral op = iota
	opField
	opWhen
	opUnless
	opLogins
)

// encoding is where a value is spliced into.
type encoding uint8

const (
	toText     encoding = iota // subject and text part
	toHTML                     // text and attributes alike
	toJSONText                 // toText, within a JSON string
	toJSONHTML                 // toHTML, within a JSON string
	toDigits                   // a tel: address: digits, + and nothing else
)

// encodingFor is how a field is spliced into a part that is otherwise in the
// encoding to.
func encodingFor(id fieldID, to encoding) encoding {
	if id == fTel {
		return toDigits
	}
	return to
}

// run appends what p makes of v; l is the login that a kLogins is at.
func (p program) run(dst []byte, v *Values, l *Login) []byte {
	for i := 0; i < len(p); i++ {
		s := &p[i]
		switch s.op {
		case opLiteral:
			dst = append(dst, s.literal...)
		case opField:
			limit := fieldTable[s.field].limit
			if v.joined > 1 && fieldTable[s.field].perMail {
				limit = joinedLimit(limit, v.joined)
			}
			if s.field == fLoginURL {
				limit = 1 << 30
			}
			dst = appendValue(dst, value(s.field, v, l), s.to, limit)
		case opWhen:
			if !present(s.field, v, l) {
				i += s.n
			}
		case opUnless:
			if present(s.field, v, l) {
				i += s.n
			}
		case opLogins:
			body := p[i+1 : i+1+s.n]
			for k := range v.Logins {
				dst = body.run(dst, v, &v.Logins[k])
			}
			i += s.n
		}
	}
	return dst
}

// joinedLimit is the length of n values with " and " or ", " between them.
func joinedLimit(limit, n int) int { return n * (limit + len(" and ")) }

// plain says which bytes an encoding copies as they are.
var plain = func() (t [5][256]bool) {
	for e := range t {
		for b := 0x20; b < 0x7f; b++ {
			c := byte(b)
			ok := true
			switch encoding(e) {
			case toHTML:
				ok = strings.IndexByte(`&<>"'`, c) < 0
			case toJSONText:
				ok = c != '"' && c != '\\'
			case toJSONHTML:
				ok = strings.IndexByte(`&<>"'\`, c) < 0
			case toDigits:
				ok = c == '+' || '0' <= c && c <= '9'
			}
			t[e][b] = ok
		}
	}
	return t
}()

// appendValue appends s in at most limit characters, cleaned and encoded.
func appendValue(dst []byte, s string, to encoding, limit int) []byte {
	if len(s) > limit { // bytes are never fewer than characters
		s = clip(s, limit)
	}
	table := &plain[to]
	start := 0
	for i := 0; ; {
		for i < len(s) && table[s[i]] {
			i++
		}
		if i == len(s) {
			return append(dst, s[start:]...)
		}
		b := s[i]
		if b < utf8.RuneSelf {
			dst = append(dst, s[start:i]...)
			dst = appendSpecial(dst, b, to)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		with, keep := clean(r, size)
		if keep && to != toDigits {
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		if to != toDigits {
			dst = append(dst, with...)
		}
		i += size
		start = i
	}
}

// appendSpecial appends an ASCII byte that is not plain in its encoding.
func appendSpecial(dst []byte, b byte, to encoding) []byte {
	if to == toDigits {
		return dst
	}
	if b == '\n' || b == '\r' || b == '\t' {
		return append(dst, ' ')
	}
	if b < 0x20 || b == 0x7f {
		return dst
	}
	if to == toHTML || to == toJSONHTML {
		switch b {
		case '&':
			return append(dst, "&amp;"...)
		case '<':
			return append(dst, "&lt;"...)
		case '>':
			return append(dst, "&gt;"...)
		case '"':
			return append(dst, "&#34;"...)
		case '\'':
			return append(dst, "&#39;"...)
		}
	}
	return append(dst, '\\', b)
}

// clean says what becomes of a character beyond ASCII: it is kept, or another
// stands in for it. Direction controls go, for with them a name can make the
// words after it read as something else; so do controls and the byte order
// mark. Line and paragraph separators become spaces.
func clean(r rune, size int) (with string, keep bool) {
	switch {
	case r == utf8.RuneError && size == 1:
		return "\uFFFD", false
	case r == 0x85 || r == 0x2028 || r == 0x2029:
		return " ", false
	case r < 0xa0,
		r == 0x61c, r == 0x200e, r == 0x200f,
		r >= 0x202a && r <= 0x202e,
		r >= 0x2066 && r <= 0x2069,
		r == 0xfeff,
		r >= 0xfff9 && r <= 0xfffb:
		return "", false
	}
	return "", true
}

// cleaned is s as toText would splice it, for literals.
func cleaned(s string) string { return string(appendValue(nil, s, toText, len(s))) }

// clip cuts s to at most limit characters, the last an ellipsis where
// something was cut. It allocates only where it cuts.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	n, cut := 0, 0
	for i := range s {
		if n == limit-1 {
			cut = i
		}
		if n == limit {
			return s[:cut] + "…"
		}
		n++
	}
	return s
}

// jsonLiteral encodes a literal for use within a JSON string, leaving <, >
// and & as they are: SES is no browser, and six bytes for one would halve
// what fits in a call.
func jsonLiteral(s string) string { return string(appendJSON(nil, s)) }

// appendJSON appends s, which must be valid UTF-8, as the inside of a JSON
// string.
func appendJSON(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	start := 0
	for i := 0; i < len(s); i++ {
		b := s[i]
		if b >= 0x20 && b != '"' && b != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		}
	}
	return append(dst, s[start:]...)
}

// inJSON is p for use within a JSON string.
func (p program) inJSON() program {
	q := make(program, len(p))
	for i, s := range p {
		switch {
		case s.op == opLiteral:
			s.literal = jsonLiteral(s.literal)
		case s.op == opField && s.to == toText:
			s.to = toJSONText
		case s.op == opField && s.to == toHTML:
			s.to = toJSONHTML
		}
		q[i] = s
	}
	return q
}

// bound is the most bytes that p, which is inJSON, can come to for so many
// profiles once its output is JSON-encoded a second time. Association is
// known or, if nil, any.
func (p program) bound(a *Association, profiles int) int {
	sum := 0
	for i := 0; i < len(p); i++ {
		s := &p[i]
		switch s.op {
		case opLiteral:
			sum += encodedAgain(s.literal)
		case opField:
			sum += s.bound(a, profiles)
		case opWhen, opUnless:
			if a != nil && s.field.ofAssociation() && present(s.field, &Values{Association: *a}, nil) != (s.op == opWhen) {
				i += s.n
			}
		case opLogins:
			sum += profiles * p[i+1:i+1+s.n].bound(a, profiles)
			i += s.n
		}
	}
	return sum
}

// bound of a field: per character of a value five bytes in HTML (&#34;), four
// elsewhere (\\\" or four bytes of UTF-8), and one of a link.
func (s *segment) bound(a *Association, profiles int) int {
	info := &fieldTable[s.field]
	if a != nil && s.field.ofAssociation() {
		known := appendValue(nil, value(s.field, &Values{Association: *a}, nil), s.to, info.limit)
		return encodedAgain(string(known))
	}
	limit := info.limit
	if profiles > 1 && info.perMail {
		limit = joinedLimit(limit, profiles)
	}
	switch {
	case s.field == fLoginURL || s.to == toDigits:
		return limit
	case s.to == toJSONHTML:
		return 5 * limit
	}
	return 4 * limit
}

// encodedAgain is the length of s, the inside of a JSON string, within
// another one.
func encodedAgain(s string) int {
	return len(s) + strings.Count(s, `"`) + strings.Count(s, `\`)
}

// builder makes a program; literals that follow one another become one.
type builder struct {
	p     program
	buf   []byte
	opens []int
}

func (b *builder) literal(s string) { b.buf = append(b.buf, s...) }

func (b *builder) field(id fieldID, to encoding) {
	b.add(segment{op: opField, field: id, to: encodingFor(id, to)})
}

// open begins a condition or a repetition, close ends it.
func (b *builder) open(o op, id fieldID) {
	b.add(segment{op: o, field: id})
	b.opens = append(b.opens, len(b.p)-1)
}

func (b *builder) close() {
	b.flush()
	n := len(b.opens) - 1
	at := b.opens[n]
	b.opens = b.opens[:n]
	b.p[at].n = len(b.p) - at - 1
}

func (b *builder) add(s segment) {
	b.flush()
	b.p = append(b.p, s)
}

func (b *builder) flush() {
	if len(b.buf) > 0 {
		b.p = append(b.p, segment{op: opLiteral, literal: string(b.buf)})
		b.buf = b.buf[:0]
	}
}

// splice appends a finished program.
func (b *builder) splice(p program) {
	for i := 0; i < len(p); i++ {
		switch s := p[i]; s.op {
		case opLiteral:
			b.literal(s.literal)
		case opField:
			b.add(s)
		default:
			b.open(s.op, s.field)
			b.splice(p[i+1 : i+1+s.n])
			b.close()
			i += s.n
		}
	}
}

// done is the finished program.
func (b *builder) done() program {
	b.flush()
	return b.p
}
