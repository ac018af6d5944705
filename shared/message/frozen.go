package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// version is of the stored form of a Compiled. A program that reads another
// one refuses it: a frozen mailing is sent as it was previewed or not at all.
const version = 1

// The stored form is {"v":1,"subject":[…],"html":[…],"text":[…]}. In a part a
// literal is a string and a field an array of its code; a condition is an
// array of its kind, the field it asks for and the number of the following
// segments that it governs: "Dear ", ["FIRSTNAME"], ["when","WEBSITE",3].
// Segments govern whole runs, so a part is read back in one pass.
type storedMessage struct {
	V       int               `json:"v"`
	Subject []json.RawMessage `json:"subject"`
	HTML    []json.RawMessage `json:"html"`
	Text    []json.RawMessage `json:"text"`
}

var opNames = map[op]string{opWhen: "when", opUnless: "unless", opLogins: "logins"}

// stored is the one spelling of c, which the hash is taken of.
func (c *Compiled) stored() []byte {
	dst := append([]byte(`{"v":`), strconv.Itoa(version)...)
	part := func(key string, p program) {
		dst = append(dst, `,"`+key+`":[`...)
		for i, s := range p {
			if i > 0 {
				dst = append(dst, ',')
			}
			switch s.op {
			case opLiteral:
				dst = append(dst, '"')
				dst = appendJSON(dst, s.literal)
				dst = append(dst, '"')
			case opField:
				dst = append(dst, `["`+fieldTable[s.field].code+`"]`...)
			default:
				dst = append(dst, `["`+opNames[s.op]+`","`+fieldTable[s.field].code+`",`+strconv.Itoa(s.n)+`]`...)
			}
		}
		dst = append(dst, ']')
	}
	part("subject", c.subject)
	part("html", c.html)
	part("text", c.text)
	return append(dst, '}')
}

// MarshalJSON gives the form that is frozen with a mailing.
func (c Compiled) MarshalJSON() ([]byte, error) { return c.stored(), nil }

// UnmarshalJSON reads what MarshalJSON made and refuses everything else.
func (c *Compiled) UnmarshalJSON(data []byte) error {
	var s storedMessage
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("message: stored form: %w", err)
	}
	if s.V != version {
		return fmt.Errorf("message: stored version %d; this program reads %d", s.V, version)
	}
	var m Compiled
	for _, part := range []struct {
		name string
		from []json.RawMessage
		to   encoding
		into *program
	}{
		{"subject", s.Subject, toText, &m.subject},
		{"html", s.HTML, toHTML, &m.html},
		{"text", s.Text, toText, &m.text},
	} {
		p, err := thaw(part.from, part.to)
		if err != nil {
			return fmt.Errorf("message: stored %s: %w", part.name, err)
		}
		*part.into = p
	}
	m.prepare()
	*c = m
	return nil
}

// thaw reads one part.
func thaw(raw []json.RawMessage, to encoding) (program, error) {
	if len(raw) == 0 {
		return nil, errors.New("no segments")
	}
	p := make(program, 0, len(raw))
	for i, r := range raw {
		if len(r) > 0 && r[0] == '"' {
			s := segment{op: opLiteral}
			if err := json.Unmarshal(r, &s.literal); err != nil {
				return nil, err
			}
			if s.literal == "" || !utf8.ValidString(s.literal) {
				return nil, fmt.Errorf("segment %d is no literal", i)
			}
			p = append(p, s)
			continue
		}
		var words []any
		if err := json.Unmarshal(r, &words); err != nil {
			return nil, err
		}
		s, err := thawSegment(words, to)
		if err != nil {
			return nil, fmt.Errorf("segment %d: %w", i, err)
		}
		p = append(p, s)
	}
	return p, p.check(false)
}

func thawSegment(words []any, to encoding) (segment, error) {
	name := func(i int) string { s, _ := words[i].(string); return s }
	switch len(words) {
	case 1:
		id := fieldByCode[name(0)]
		if id == fNone || fieldTable[id].limit == 0 {
			return segment{}, errors.New("unknown field")
		}
		return segment{op: opField, field: id, to: encodingFor(id, to)}, nil
	case 3:
		n, _ := words[2].(float64)
		for o, s := range opNames {
			if id := fieldByCode[name(1)]; s == name(0) && (id != fNone) == (o != opLogins) && n >= 0 && n < 1<<20 && n == float64(int(n)) {
				return segment{op: o, field: id, n: int(n)}, nil
			}
		}
	}
	return segment{}, errors.New("unknown segment")
}

// check makes sure that running p stays within p, and that a login's fields
// stand only where there is one.
func (p program) check(inLogin bool) error {
	for i := 0; i < len(p); i++ {
		s := &p[i]
		if s.n > len(p)-i-1 {
			return errors.New("a condition governs more than there is")
		}
		if s.field.ofLogin() && !inLogin {
			return errors.New("a login's field stands outside of a login")
		}
		if s.op == opLogins && inLogin {
			return errors.New("logins within a login")
		}
		if s.op >= opWhen {
			if err := p[i+1 : i+1+s.n].check(inLogin || s.op == opLogins); err != nil {
				return err
			}
			i += s.n
		}
	}
	return nil
}
