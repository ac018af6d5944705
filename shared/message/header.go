package message

import (
	"strings"
	"unicode/utf8"

	"github.com/memberkey/memberkey/shared/problem"
)

// HeaderSafe trims a value for a mail header (sender name, reply-to,
// subject) and refuses what could end the header and begin another one:
// line breaks, NUL and every other control character (attack A18).
func HeaderSafe(s string) (string, error) {
	s = strings.Trim(s, " ")
	if i := strings.IndexFunc(s, headerUnsafe); i >= 0 || !validText(s) {
		return "", problem.New(problem.Invalid, "header_unsafe", "", "This must be one line of plain text. Take out the line break or control character.")
	}
	return s, nil
}

func headerUnsafe(r rune) bool {
	return r < 0x20 || (r >= 0x7f && r < 0xa0) || r == 0x2028 || r == 0x2029
}

func validText(s string) bool { return utf8.ValidString(s) }
