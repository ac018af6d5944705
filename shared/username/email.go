package username

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/memberkey/memberkey/shared/problem"
)

// Limits of RFC 5321 §4.5.3.1 and of a DNS label (RFC 1035 §2.3.4), in bytes.
const (
	maxAddress = 254
	maxLocal   = 64
	maxLabel   = 63
)

// Mailbox is the key of an email address: whatever spellings reach the same
// mailbox by capitals or by the script of the domain have the same one. Make
// one with [ParseEmail] only. It is plain ASCII.
type Mailbox string

// ParseEmail checks one email address. display is the address as typed, with
// the spaces around it trimmed; box is its key. The error is a
// *problem.Problem of kind Invalid, code email_invalid, field email.
//
// The local part must be an RFC 5321 Dot-string in ASCII, because SES takes no
// other; quoted local parts and address literals are refused.
func ParseEmail(s string) (display string, box Mailbox, err error) {
	display = strings.TrimSpace(s)
	_, box, reason := parse(display)
	if reason != "" {
		return "", "", problem.New(problem.Invalid, "email_invalid", "email", reason)
	}
	return display, box, nil
}

// Deliverable is the form of an address that goes to SES: the local part as
// typed, the domain as A-labels. It takes what [ParseEmail] gave as display
// and returns the same error as it.
func Deliverable(display string) (string, error) {
	address, _, reason := parse(strings.TrimSpace(display))
	if reason != "" {
		return "", problem.New(problem.Invalid, "email_invalid", "email", reason)
	}
	return address, nil
}

// FromEmail gives the username that an email becomes (H9). false means that it
// cannot be one: it is longer than [MaxLength]. Whether the name is free is
// for the caller to find out.
func FromEmail(box Mailbox) (Name, bool) {
	name, err := Normalise(string(box))
	return name, err == nil && string(name) == string(box)
}

// parse is the one reading of an address. address keeps the local part as
// typed; reason is empty or says to people what to change.
func parse(s string) (address string, box Mailbox, reason string) {
	switch {
	case s == "":
		return "", "", "The email address is empty. Please type one."
	case len(s) > maxTyped:
		return "", "", "The email address is too long. Please use at most 254 characters."
	}
	local, domain, found := strings.Cut(s, "@")
	switch {
	case !found:
		return "", "", "The email address has no @ in it. Please type it whole, as in name@example.org."
	case strings.Contains(domain, "@"):
		return "", "", "The email address has more than one @ in it. Please type a single address."
	}
	if reason = checkLocal(local); reason != "" {
		return "", "", reason
	}
	domain, reason = asciiDomain(domain)
	if reason != "" {
		return "", "", reason
	}
	address = local + "@" + domain
	if len(address) > maxAddress {
		return "", "", "The email address is too long. Please use at most 254 characters."
	}
	return address, Mailbox(lower(local) + "@" + domain), ""
}

func checkLocal(local string) string {
	r, bad := firstFunc(local, func(r rune) bool { return !atomText(r) && r != '.' })
	switch {
	case local == "":
		return "There is nothing before the @. Please type the whole email address."
	case bad:
		return "The part before the @ has " + describe(r) + " in it, which our mail service cannot send to. Please check the spelling."
	case len(local) > maxLocal:
		return "The part before the @ is too long. Please use at most 64 characters."
	case strings.HasPrefix(local, "."), strings.HasSuffix(local, "."), strings.Contains(local, ".."):
		return "The part before the @ has a dot at its beginning or end, or two dots together. Please check the spelling."
	}
	return ""
}

// atomText is atext of RFC 5322 §3.2.3.
func atomText(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' ||
		r < utf8.RuneSelf && strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

// asciiDomain gives the domain as A-labels in small letters.
func asciiDomain(domain string) (ascii, reason string) {
	const check = " Please check the spelling after the @."
	if plainDomain(domain) {
		return domain, ""
	}
	labels := strings.Split(domain, ".")
	if len(labels) < 2 {
		return "", "The part after the @ needs a dot in it, as in example.org." + check
	}
	for i, label := range labels {
		if label == "" {
			return "", "The part after the @ has a dot too many." + check
		}
		a, err := idna.Lookup.ToASCII(label)
		if err != nil || a == "" || len(a) > maxLabel || strings.Contains(a, ".") {
			return "", "The part after the @ is not the name of a mail domain." + check
		}
		// IDNA maps lookalikes onto ASCII (fullwidth letters, U+212A, U+3002).
		// Nobody's keyboard types a plain domain that way: it is a trick or a
		// slip, and two spellings must not meet in one username (A4).
		if !isASCII(label) && !strings.HasPrefix(a, "xn--") {
			r, _ := firstFunc(label, func(r rune) bool { return r >= utf8.RuneSelf })
			return "", "The part after the @ has " + describe(r) + " in it, which only looks like a plain letter or sign." + check
		}
		labels[i] = a
	}
	ascii = strings.Join(labels, ".")
	// The whole once more: the rule for right-to-left text spans all labels.
	// And a domain that ends in a number is the address of a machine.
	_, err := idna.Lookup.ToASCII(ascii)
	if err != nil || strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return "", "The part after the @ is not the name of a mail domain." + check
	}
	return ascii, ""
}

// plainDomain says that a domain is, beyond doubt, one that [idna.Lookup] leaves
// as it is: two labels or more of small letters, digits and single hyphens
// between them, the last of letters alone. Nearly all are, and the tables of
// IDNA take longer than all else that is done to an address.
func plainDomain(domain string) bool {
	dots, label, letters := 0, 0, true // of the label at hand: its length, nothing but letters
	for i := range len(domain) {
		switch c := domain[i]; {
		case 'a' <= c && c <= 'z':
			label++
		case '0' <= c && c <= '9':
			label++
			letters = false
		case c == '-' && label > 0 && domain[i-1] != '-' && i+1 < len(domain) && domain[i+1] != '.':
			label++
			letters = false
		case c == '.' && label > 0:
			dots++
			label, letters = 0, true
		default:
			return false
		}
		if label > maxLabel {
			return false
		}
	}
	return dots > 0 && label > 0 && letters && len(domain) <= maxAddress-2
}

func isASCII(s string) bool {
	_, other := firstFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
	return !other
}
