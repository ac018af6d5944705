package httpapi

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/memberkey/memberkey/shared/problem"
)

// Version is the version of a thing that an edit has seen (H3). As a field
// tagged `header:"if-match"` it is always required: an edit without it is
// answered 428.
type Version int

// ETag renders a version as an entity tag, `"3"`.
func ETag(version int) string { return `"` + strconv.Itoa(version) + `"` }

// ParseIfMatch reads an If-Match header. Only one strong tag that ETag could
// have made is taken: a list, "*" and a weak tag would each let an edit pass
// that has not seen the current version (RFC 9110 §13.1.1).
func ParseIfMatch(header string) (int, error) {
	if header == "" {
		return 0, problem.New(problem.VersionMissing, "version_missing", "If-Match",
			"Say which version you are changing: send the ETag that you read as If-Match.")
	}
	inner, ok := strings.CutPrefix(header, `"`)
	inner, ok2 := strings.CutSuffix(inner, `"`)
	n, err := strconv.Atoi(inner)
	if !ok || !ok2 || err != nil || n < 0 || strconv.Itoa(n) != inner {
		return 0, problem.New(problem.Invalid, "version_invalid", "If-Match",
			`If-Match must be one ETag exactly as you read it, such as "3".`)
	}
	return n, nil
}

// UnmarshalText makes Version a header field.
func (v *Version) UnmarshalText(text []byte) error {
	n, err := ParseIfMatch(string(text))
	*v = Version(n)
	return err
}

// IdempotencyKey is the Idempotency-Key of a request: 1 to 64 of A-Z a-z 0-9
// - and _. Empty when none was sent; tag the field
// `header:"idempotency-key,required"` where a repeat would hurt.
type IdempotencyKey string

// UnmarshalText refuses what is no key.
func (key *IdempotencyKey) UnmarshalText(text []byte) error {
	ok := len(text) >= 1 && len(text) <= 64
	for _, c := range text {
		ok = ok && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_')
	}
	if !ok {
		return problem.New(problem.Invalid, "idempotency_key_invalid", "Idempotency-Key",
			"Idempotency-Key must be 1 to 64 letters, digits, hyphens or underscores.")
	}
	*key = IdempotencyKey(text)
	return nil
}

// Cursor is the sort key of a page's last row. It travels encoded, as a query
// field and in a JSON reply alike, so that handlers see the key alone.
type Cursor string

// UnmarshalText refuses what is no cursor.
func (c *Cursor) UnmarshalText(text []byte) error {
	key, err := DecodeCursor(string(text))
	*c = Cursor(key)
	return err
}

// MarshalText encodes the key.
func (c Cursor) MarshalText() ([]byte, error) { return []byte(EncodeCursor(string(c))), nil }

// EncodeCursor makes the cursor of a page from the sort key of its last row.
// It must hold nothing else: whoever decodes it adds the organization.
func EncodeCursor(sortKey string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(sortKey))
}

var strictURL = base64.RawURLEncoding.Strict()

// DecodeCursor gives the sort key of a cursor, "" for "". Anything that
// EncodeCursor cannot have made is refused; the caller must treat the rest as
// input from anybody.
func DecodeCursor(cursor string) (string, error) {
	if len(cursor) <= 2048 && !strings.ContainsAny(cursor, "\r\n") { // base64 skips line ends
		if b, err := strictURL.DecodeString(cursor); err == nil && utf8.Valid(b) {
			return string(b), nil
		}
	}
	return "", problem.New(problem.Invalid, "cursor_invalid", "cursor",
		"This cursor is not one of ours. Send it exactly as the last page gave it, or leave it out to begin again.")
}
