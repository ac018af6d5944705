package username

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// offered is how many names [Suggest] gives: enough to choose, few enough to
// be read out.
const offered = 3

// maxPart bounds one folded part of a suggestion, in characters, so that the
// longest suggestion stays below [MaxLength].
const maxPart = 32

// Suggest offers up to three free usernames to a person whose email cannot be
// theirs (H9): from the name in plain letters, with the profile ID where the
// name alone is taken, and at last from the profile ID alone. first or last
// may be empty; for an organization profile its name is last. The order is
// always the same. taken tells whether a name is in use in the organization;
// an error from it is returned as it is.
func Suggest(first, last string, profileID string, taken func(Name) (bool, error)) ([]Name, error) {
	var free []Name
	seen := map[Name]bool{}
	for _, s := range candidates(fold(first), fold(last), fold(profileID)) {
		name, err := Normalise(s)
		if err != nil || seen[name] {
			continue
		}
		seen[name] = true
		used, err := taken(name)
		if err != nil {
			return nil, err
		}
		if !used {
			free = append(free, name)
		}
		if len(free) == offered {
			break
		}
	}
	return free, nil
}

// candidates lists names in the order of preference. The last ones exist for
// the case that other people have chosen the ones before.
func candidates(first, last, id string) []string {
	full := join(first, last)
	var list []string
	add := func(parts ...string) { list = append(list, join(parts...)) }
	if full != "" {
		add(full)
		if id != "" {
			add(full, id)
		}
	}
	if id != "" {
		add("member", id)
	}
	if first != "" && last != "" {
		add(last, first)
		add(first[:1], last)
		if id != "" {
			add(last, first, id)
		}
	}
	for _, n := range []string{"2", "3", "4", "5", "6", "7", "8", "9"} {
		switch {
		case full != "":
			add(full, id, n)
		case id != "":
			add("member", id, n)
		}
	}
	return list
}

// join puts dots between the parts that are not empty.
func join(parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, ".")
}

// plain spells the Latin letters that Unicode does not decompose.
var plain = map[rune]string{
	'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'đ': "d", 'ð': "d", 'þ': "th",
	'ł': "l", 'ħ': "h", 'ı': "i", 'ŋ': "ng", 'ŧ': "t", 'ĸ': "k", 'ə': "e",
	'ɓ': "b", 'ɗ': "d", 'ɖ': "d", 'ƙ': "k", 'ƴ': "y", 'ɛ': "e", 'ɔ': "o",
	'ɣ': "g", 'ɩ': "i", 'ʋ': "v", 'ƒ': "f",
}

// fold spells a name in the letters a to z and digits: accents are dropped,
// words are joined by hyphens, everything else is left out. It serves
// suggestions only; identity is never decided by it.
func fold(s string) string {
	if len(s) > maxTyped {
		s = s[:maxTyped]
	}
	var b strings.Builder
	gap := false
	put := func(t string) {
		if gap && b.Len() > 0 {
			b.WriteByte('-')
		}
		gap = false
		b.WriteString(t)
	}
	for _, r := range norm.NFKD.String(s) {
		r = unicode.ToLower(r)
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			put(string(r))
		case plain[r] != "":
			put(plain[r])
		case unicode.IsSpace(r), unicode.Is(unicode.Pd, r), r == '.', r == '_', r == '/':
			gap = true
		}
		if b.Len() >= maxPart {
			break
		}
	}
	folded := b.String()
	return strings.TrimRight(folded[:min(len(folded), maxPart)], "-")
}
