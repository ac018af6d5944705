package password

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"github.com/memberkey/memberkey/shared/password/blocklist"
	"github.com/memberkey/memberkey/shared/problem"
)

// Placeholder is the fixed mask that stands for a password wherever one exists
// (H2). It is no password itself, and sent back it changes nothing.
const Placeholder = "************"

// MaxLength is the longest password in code points; NIST SP 800-63B-4
// §3.1.1.2 asks for 64 or more. maxBytes is the same in bytes of UTF-8.
const (
	MaxLength = 256
	maxBytes  = 4 * MaxLength
)

// Lengths that an organization may set as its minimum, and the one it gets by
// itself: NIST SP 800-63B-4 §3.1.1.2 asks for 15 where the password is the
// only factor.
const (
	MinimumLowest  = 8
	MinimumDefault = 15
	MinimumHighest = 64
)

// Policy is what a new password of one profile must meet. There are no
// composition rules (NIST SP 800-63B-4 §3.1.1.2).
type Policy struct {
	// Minimum length in code points, 8 to 64; 0 means 15, anything else is
	// brought into the range.
	Minimum int
	// Words are what an attacker tries first: the names of organization and
	// service, username, local part of the email, names of the person. Empty
	// ones are ignored.
	Words []string
}

func (p Policy) minimum() int {
	if p.Minimum == 0 {
		return MinimumDefault
	}
	return min(max(p.Minimum, MinimumLowest), MinimumHighest)
}

// Rule says the policy in plain words, to be shown before anybody types.
func (p Policy) Rule() string {
	return fmt.Sprintf("At least %d characters. Spaces are fine; a few unrelated words are easy to remember.", p.minimum())
}

// PasswordRules is the value of the HTML attribute passwordrules, by which
// password managers make one that is accepted.
func (p Policy) PasswordRules() string {
	return fmt.Sprintf("minlength: %d; maxlength: %d; allowed: unicode;", p.minimum(), MaxLength)
}

// Check gives the reasons why a password cannot be chosen, none if it can. The
// field of each is password, the codes are stable:
//
//	password_too_short       fewer characters than the minimum
//	password_too_long        more than 256 characters
//	password_characters      a control character, or nothing that can be read
//	password_is_placeholder  the mask of the screens
//	password_repetitive      one pattern repeated, or keys in their order
//	password_listed          among the commonest passwords
//	password_context         little but the names that everybody knows
func (p Policy) Check(plain Plain) []problem.Item {
	text, fault := prepare(plain)
	if fault != nil {
		if fault.Code == "password_too_short" { // empty: say the real minimum
			return []problem.Item{p.tooShort()}
		}
		return []problem.Item{*fault}
	}
	var items []problem.Item
	if utf8.RuneCountInString(text) < p.minimum() {
		items = append(items, p.tooShort())
	}
	folded := strings.ToLower(text)
	switch {
	case repetitive(folded):
		items = append(items, item("password_repetitive", "This password repeats itself or follows the keys in order, so it is guessed at once. Please choose a few unrelated words instead."))
	case blocklist.Contains(folded):
		items = append(items, item("password_listed", "This password is on the list of passwords that are tried first, because many people use it. Please choose a few unrelated words instead."))
	case p.fromContext(folded):
		items = append(items, item("password_context", "This password is made of names that others know: yours, your username or the organization's. Please add a few unrelated words, or choose others."))
	}
	return items
}

func (p Policy) tooShort() problem.Item {
	return item("password_too_short", fmt.Sprintf("This password is too short. Please use at least %d characters; a few unrelated words are easy to remember.", p.minimum()))
}

func item(code, detail string) problem.Item {
	return problem.Item{Field: "password", Code: code, Detail: detail}
}

// prepare gives the form of a password that is hashed: RFC 8265 OpaqueString,
// in which all spaces are U+0020 and the text is NFC. fault is non-nil if it
// can never be a password; text is then empty.
func prepare(p Plain) (text string, fault *problem.Item) {
	no := func(code, detail string) (string, *problem.Item) {
		i := item(code, detail)
		return "", &i
	}
	typed := p.Reveal()
	tooLong := fmt.Sprintf("This password is too long. Please use at most %d characters.", MaxLength)
	switch {
	case typed == "":
		return no("password_too_short", "The password is empty. Please type one.")
	case len(typed) > maxBytes:
		return no("password_too_long", tooLong)
	}
	text, err := precis.OpaqueString.String(typed)
	switch {
	// U+FFFD is what decoders put where they could not read: passwords that
	// differ there would be one.
	case err != nil, !utf8.ValidString(typed), strings.ContainsRune(typed, utf8.RuneError):
		return no("password_characters", "This password has a character that cannot be typed everywhere, such as a tab or a line break. Please leave it out.")
	case utf8.RuneCountInString(text) > MaxLength:
		return no("password_too_long", tooLong)
	case text == Placeholder:
		return no("password_is_placeholder", "These asterisks only stand for the password. Please type the new password itself, or leave the field as it is to change nothing.")
	}
	return text, nil
}

// What may be left of a password beside the words of its context for it to
// count as made of them: a year, a birthday, a few further characters.
const (
	spareDigits = 8
	spareOthers = 3
	shortWord   = 3 // letters; shorter words are in every text
)

// fromContext tells whether folded is little but the words of the context, or
// parts of them: "ana.garcia@example.org" also stands for ana, garcia, example.
func (p Policy) fromContext(folded string) bool {
	var parts []string
	for _, word := range p.Words {
		word = bare(word)
		parts = append(parts, strings.ReplaceAll(word, " ", ""))
		parts = append(parts, strings.Fields(word)...)
	}
	// The longest first, so that "ana" does not tear "anabelle" apart.
	slices.SortFunc(parts, func(a, b string) int { return len(b) - len(a) })

	rest := strings.ReplaceAll(bare(folded), " ", "")
	before := rest
	for _, part := range parts {
		if utf8.RuneCountInString(part) >= shortWord {
			// The mark keeps what stood on both sides from becoming a word.
			rest = strings.ReplaceAll(rest, part, " ")
		}
	}
	if rest == before {
		return false
	}
	rest = strings.ReplaceAll(rest, " ", "")
	n := utf8.RuneCountInString(rest)
	return n <= spareOthers || n <= spareDigits && strings.IndexFunc(rest, unicode.IsLetter) < 0
}

// bare puts a space in place of everything but letters and digits, which it
// makes small and strips of accents.
func bare(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r):
			return r
		case unicode.IsMark(r):
			return -1
		}
		return ' '
	}, norm.NFKD.String(strings.ToLower(s)))
}
