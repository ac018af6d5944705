// Package username turns what people type as a username or an email address
// into the one form that is stored and compared.
//
// # Usernames
//
// The rule is RFC 8265 UsernameCaseMapped, narrowed to ASCII. Profiles of that
// RFC map lookalikes such as the KELVIN SIGN onto ASCII letters, so that two
// spellings meet in one account; a character outside ASCII is refused here
// before any mapping, never mapped or dropped. What is left of the RFC is:
// printable ASCII without spaces, capitals made small. Spaces around the name
// are trimmed, an empty name is refused, the limit is [MaxLength].
//
// A username with an @ is an email address and follows the rules below; only
// the domain of it may be typed with letters outside ASCII. That it is an
// address of the profile (H4) is checked by whoever knows the profile.
//
// # Email addresses
//
// An address is kept as typed (trimmed) for people to read, and has a
// [Mailbox] for matching: local part in small letters, with its dots and plus
// tags, and domain as A-labels. Who shares a Mailbox shares a mailbox. Mail
// goes to [Deliverable], because some servers do tell capitals apart.
//
// Compare with ==. Nothing here, and nothing elsewhere, may compare names with
// strings.EqualFold, ToUpper or a bare ToLower: they fold U+212A to k and
// U+017F to s.
package username

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/memberkey/memberkey/shared/problem"
)

// MaxLength is the longest username in characters (which are bytes here). It
// is above every address seen in practice; an email beyond it cannot serve as
// username (see [FromEmail]).
const MaxLength = 128

// maxTyped bounds what is looked at, in bytes: a domain typed in another
// script is longer than its A-label can be, but not by much.
const maxTyped = 1024

// Name is a username in its one stored form. Make one with [Normalise] only;
// two names are the same username exactly when they are ==.
type Name string

// Normalise gives the stored form of a typed username. The error is a
// *problem.Problem of kind Invalid, code username_invalid, field username.
func Normalise(s string) (Name, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return "", invalid("The username is empty. Please type one.")
	case len(s) > maxTyped:
		return "", tooLong()
	case strings.Contains(s, "@"):
		_, box, reason := parse(s)
		if reason != "" {
			return "", invalid("A username with an @ must be a whole email address. " + reason)
		}
		if len(box) > MaxLength {
			return "", tooLong()
		}
		return Name(box), nil
	}
	if r, ok := firstFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }); ok {
		if unicode.IsSpace(r) {
			return "", invalid("The username has a space in it. Please leave it out, or put a dot in its place.")
		}
		return "", invalid("The username has " + describe(r) + " in it. Please use only the letters a to z without accents, digits, and signs such as . - _")
	}
	if len(s) > MaxLength {
		return "", tooLong()
	}
	return Name(lower(s)), nil
}

func invalid(detail string) error {
	return problem.New(problem.Invalid, "username_invalid", "username", detail)
}

func tooLong() error {
	return invalid(fmt.Sprintf("The username is too long. Please use at most %d characters.", MaxLength))
}

// lower makes ASCII capitals small and leaves every other byte alone.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}

// firstFunc finds the first rune for which bad is true; a byte that is not
// UTF-8 counts as utf8.RuneError.
func firstFunc(s string, bad func(rune) bool) (rune, bool) {
	for _, r := range s {
		if bad(r) {
			return r, true
		}
	}
	return 0, false
}

// describe names a character so that it can be found and removed. The full
// Unicode names would add a megabyte to every function that links them.
func describe(r rune) string {
	switch {
	case r == utf8.RuneError:
		return "a character that could not be read"
	case r == ' ':
		return "a space"
	case unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.IsMark(r):
		return fmt.Sprintf("“%c” (U+%04X)", r, r)
	default:
		return fmt.Sprintf("an invisible character (U+%04X)", r)
	}
}
