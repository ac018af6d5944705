package password

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Plain is a password as somebody typed it. It prints, logs and marshals as
// "[redacted]"; [Plain.Reveal] alone gives the text.
//
// The text stands behind a pointer because fmt does not call the methods of a
// value in an unexported field: there it prints an address, not a password.
type Plain struct{ text *string }

// NewPlain wraps a password. Nothing is checked: see [Policy.Check].
func NewPlain(s string) Plain { return Plain{&s} }

// Reveal gives the text, exactly as typed. It is for the one screen that shows
// a generated password.
func (p Plain) Reveal() string {
	if p.text == nil {
		return ""
	}
	return *p.text
}

// IsZero tells whether there is no text at all.
func (p Plain) IsZero() bool { return p.Reveal() == "" }

// Equal compares the texts as typed, in constant time for equal lengths.
func (p Plain) Equal(q Plain) bool {
	return subtle.ConstantTimeCompare([]byte(p.Reveal()), []byte(q.Reveal())) == 1
}

func (Plain) String() string               { return redacted }
func (Plain) GoString() string             { return redacted }
func (Plain) Format(f fmt.State, _ rune)   { io.WriteString(f, redacted) }
func (Plain) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Plain) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// UnmarshalJSON takes a JSON string and nothing else, null included. Its error
// never quotes the input.
func (p *Plain) UnmarshalJSON(b []byte) error {
	var s string
	if !bytes.HasPrefix(b, []byte{'"'}) || json.Unmarshal(b, &s) != nil {
		return errors.New("a password must be a JSON string")
	}
	p.text = &s
	return nil
}
