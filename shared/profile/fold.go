package profile

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// plain spells letters that Unicode does not decompose, and the few whose
// forms people mix while typing (final sigma, alef maksura, teh marbuta).
var plain = map[rune]string{
	'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'đ': "d", 'ð': "d", 'þ': "th",
	'ł': "l", 'ħ': "h", 'ı': "i", 'ŋ': "ng", 'ŧ': "t", 'ĸ': "k", 'ə': "e",
	'ɓ': "b", 'ɗ': "d", 'ɖ': "d", 'ƙ': "k", 'ƴ': "y", 'ɛ': "e", 'ɔ': "o",
	'ς': "σ", 'ى': "ي", 'ة': "ه", 'ـ': "",
}

// fold makes two spellings of one name equal for searching: compatibility
// forms (full width, ligatures), accents, case and invisible characters are
// gone. It serves searching and ordering only; identity is never decided by
// it. fold(fold(s)) is fold(s).
func fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range norm.NFKD.String(strings.ToValidUTF8(s, "")) {
		if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
			continue
		}
		r = unicode.ToLower(r)
		if spelled, ok := plain[r]; ok {
			b.WriteString(spelled)
			continue
		}
		b.WriteRune(r)
	}
	folded := b.String()
	if isASCII(folded) {
		return folded
	}
	// Hangul syllables came apart above; put them together again, so that a
	// character is what people call one.
	return norm.NFKC.String(folded)
}

// words are the folded words of a name. A hyphen, a dot or a blank ends one;
// an apostrophe does not: O'Brien is found by "obrien" and by "o'brien".
func words(s string) []string {
	return strings.FieldsFunc(apostrophes.Replace(fold(s)), func(r rune) bool {
		if r < utf8.RuneSelf {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9')
		}
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.Is(unicode.Mc, r)
	})
}

var apostrophes = strings.NewReplacer("'", "", "’", "", "‘", "", "ʼ", "", "ʻ", "", "`", "", "´", "")

// ideographic is a character that is a word or a syllable of its own, so that
// one of them says as much as several letters.
func ideographic(r rune) bool {
	return r >= 0x1100 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
}

// partition is where rows whose key begins with text live: its first two
// characters, or the first alone when it is ideographic. A prefix that may be
// searched for therefore always lies within one partition.
func partition(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	if n == len(text) || ideographic(r) {
		return text[:n]
	}
	_, m := utf8.DecodeRuneInString(text[n:])
	return text[:n+m]
}

// searchable says whether a prefix is long enough to be read.
func searchable(prefix string) bool {
	r, n := utf8.DecodeRuneInString(prefix)
	return n > 0 && (n < len(prefix) || ideographic(r))
}

// cut shortens s to at most n bytes, at the border of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
