// Package link makes and opens the one-time addresses with which a member sets
// or resets a password.
//
// The rules are:
//
//   - A token is 256 random bits; only its SHA-256 is stored (H6). There is no
//     key in the system that could make one (H23).
//   - The links of one batch stand together in a link page. The page is
//     written once and never changed: a link is used by replacing the
//     profile's epoch, on the condition that it is still the link's.
//   - Whether the profile may sign in is no property of a link; it is asked
//     when the link is made and again when it is used.
//   - A dead link is remembered for 180 days, so that it can help (H8).
package link

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/bits"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/profile"
)

// Remembered is how long a dead link's page is kept.
const Remembered = 180 * 24 * time.Hour

// Purpose is why a link was made. It is part of what is hashed, so a link of
// one purpose or organization never opens as another (A25).
type Purpose string

const (
	Reset   Purpose = "reset"   // staff sent one reset email
	Forgot  Purpose = "forgot"  // the member asked for it
	Renewal Purpose = "renewal" // asked for from a dead link
	Mailing Purpose = "mailing" // part of a mailing
)

// Page holds the links of one batch.
type Page struct {
	ID           string    `json:"-"` // the store's key, 22 letters and digits, random
	Organization string    `json:"-"`
	Purpose      Purpose   `json:"purpose"`
	Mailing      string    `json:"mailing,omitempty"`
	Minted       time.Time `json:"minted"`
	Ends         time.Time `json:"ends"`
	Entries      []Entry   `json:"entries"`
}

// Entry is one link.
type Entry struct {
	Profile profile.ID        `json:"p"`
	Epoch   string            `json:"e"`
	Hash    [sha256.Size]byte `json:"-"`
}

const (
	pageLength   = 22 // 128 bits in base 62
	secretLength = 43 // 256 bits in base 62
	// TokenLength is the length of every token.
	TokenLength = pageLength + secretLength
)

// Token is what stands in the address. It prints as "[redacted]" everywhere;
// Reveal alone gives it away, for the mail that carries it.
type Token struct{ text *string } // behind a pointer: fmt does not follow it in unexported fields

// Reveal gives the token itself.
func (t Token) Reveal() string {
	if t.text == nil {
		return ""
	}
	return *t.text
}

func (t Token) String() string               { return "[redacted]" }
func (t Token) GoString() string             { return "[redacted]" }
func (t Token) Format(s fmt.State, _ rune)   { io.WriteString(s, "[redacted]") }
func (t Token) LogValue() slog.Value         { return slog.StringValue("[redacted]") }
func (t Token) MarshalJSON() ([]byte, error) { return []byte(`"[redacted]"`), nil }

// NewPage draws a page's id.
func NewPage(random io.Reader, organization string, purpose Purpose, mailing string, minted, ends time.Time) (*Page, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return nil, fmt.Errorf("link page: %w", err)
	}
	return &Page{
		ID: base62(b[:], pageLength), Organization: organization, Purpose: purpose, Mailing: mailing,
		Minted: minted.Truncate(time.Millisecond), Ends: ends.Truncate(time.Millisecond),
	}, nil
}

// Mint adds a link for a profile, under the epoch that it has now.
func (p *Page) Mint(random io.Reader, id profile.ID, epoch string) (Token, error) {
	var b [32]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return Token{}, fmt.Errorf("link: %w", err)
	}
	text := p.ID + base62(b[:], secretLength)
	t := Token{&text}
	p.Entries = append(p.Entries, Entry{Profile: id, Epoch: epoch, Hash: p.hash(t)})
	return t, nil
}

func (p *Page) hash(t Token) [sha256.Size]byte {
	return sha256.Sum256([]byte("memberkey link\x00" + string(p.Purpose) + "\x00" + p.Organization + "\x00" + t.Reveal()))
}

// Parse reads a token as it came in an address. Anything but the exact shape
// (cut off, with a stray dot of a sentence) is no token.
func Parse(s string) (t Token, page string, ok bool) {
	if len(s) != TokenLength || strings.Trim(s, digits) != "" {
		return Token{}, "", false
	}
	return Token{&s}, s[:pageLength], true
}

// Find looks a token up on its page; the time it takes says nothing.
func (p *Page) Find(t Token) (Entry, bool) {
	hash := p.hash(t)
	found := -1
	for i := range p.Entries {
		if subtle.ConstantTimeCompare(hash[:], p.Entries[i].Hash[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return Entry{}, false
	}
	return p.Entries[found], true
}

// State is what a link can do.
type State string

const (
	Live       State = "live"
	Used       State = "used"        // a password was set with this very link
	Ended      State = "ended"       // too late, superseded or revoked: offers a new one
	NotAllowed State = "not_allowed" // the person may not sign in now; the link is not used up
	Unknown    State = "unknown"     // no such link, or cut off
)

// Condition is what decides the state beside the link itself.
type Condition struct {
	Now     time.Time
	Epoch   string        // the profile's, "" when the profile is gone
	Right   profile.Right // asked now, never stored
	UsedBy  []byte        // hash of the link that set the present password, if a link did
	Revoked bool          // its mailing's links were revoked
}

// State answers for an entry of the page. Used is told before anything else,
// because it is the one answer that sends the person to sign in.
func (p *Page) State(e Entry, c Condition) State {
	switch {
	case len(c.UsedBy) > 0 && subtle.ConstantTimeCompare(c.UsedBy, e.Hash[:]) == 1:
		return Used
	case c.Epoch == "":
		return Unknown
	case c.Revoked, !c.Now.Before(p.Ends), c.Epoch != e.Epoch:
		return Ended
	case !c.Right.Allowed:
		return NotAllowed
	}
	return Live
}

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// base62 writes b, of whole 64-bit words, as a number of exactly length digits:
// every bit counts and none is favoured, which drawing letter by letter from
// bytes would not give.
func base62(b []byte, length int) string {
	var words [4]uint64 // most significant first
	n := words[:len(b)/8]
	for i := range n {
		n[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	text := make([]byte, length)
	for i := length; i > 0; {
		// Divided by 62^10, the largest power in a word, it leaves ten digits.
		var rest uint64
		for k := range n {
			n[k], rest = bits.Div64(rest, n[k], 839299365868340224)
		}
		for k := 0; k < 10 && i > 0; k++ {
			i--
			text[i] = digits[rest%62]
			rest /= 62
		}
	}
	return string(text)
}
