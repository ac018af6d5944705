package password_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/password"
)

func codes(p password.Policy, text string) []string {
	var list []string
	for _, i := range p.Check(password.NewPlain(text)) {
		list = append(list, i.Code)
	}
	return list
}

var riverside = []string{"Riverside Tennis Club", "Memberkey", "ana.garcia1042", "ana.garcia@example.org", "Ana", "García", "Li", ""}

func TestPolicyCheck(t *testing.T) {
	for _, tt := range []struct {
		minimum int
		text    string
		want    string // codes, "" for accepted
	}{
		{0, "balcony trophy june", ""},
		{0, "balcony-trophy-june", ""},
		{0, "all small letters", ""}, // no composition rules
		{0, "739174027465018", ""},   // nor for digits
		{0, "пароль из трёх слов", ""},
		{0, "窓の外に咲く小さな白い花の色", "password_too_short"}, // 14 code points in 42 bytes
		{0, "窓の外に咲く小さな白い花の色は", ""},
		{0, "\U0001f511\U0001f41d\U0001f3be\U0001f30a\U0001f3b7\U0001f511\U0001f41d\U0001f33b\U0001f30a\U0001f3b7\U0001f511\U0001f9ed\U0001f3be\U0001f30a\U0001f6b2", ""},
		{0, "fourteen chars", "password_too_short"},
		{0, "fifteen chars..", ""},
		{0, "cafe\u0301 fourteen.", "password_too_short"}, // 15 typed, 14 once composed
		{8, "sevench", "password_too_short"},
		{8, "eightchr", ""},
		{1, "sevench", "password_too_short"}, // 8 is the lowest
		{64, strings.Repeat("ab cde ", 9), "password_too_short"},
		{64, strings.Repeat("ab cde ", 9) + "x", ""},
		{99, strings.Repeat("ab cde ", 9) + "x", ""}, // 64 is the highest
		{0, "", "password_too_short"},
		{0, strings.Repeat("long one ", 28) + "1234", ""}, // 256
		{0, strings.Repeat("long one ", 28) + "12345", "password_too_long"},
		{0, strings.Repeat("x", 10<<20), "password_too_long"},
		{0, "tab\tin the password", "password_characters"},
		{0, "nul\x00in the password", "password_characters"},
		{0, "zero\u200bwidth in the password", "password_characters"},
		{0, "not UTF-8 \xff password", "password_characters"},
		{0, "not read \ufffd password", "password_characters"},
		{8, password.Placeholder, "password_is_placeholder"},
		{0, password.Placeholder, "password_is_placeholder"},
		{8, "*************", "password_repetitive"}, // one asterisk more

		{0, "passwordpassword", "password_listed"},
		{0, "PasswordPASSWORD", "password_listed"},
		{0, "qwertyuiopasdfghjkl", "password_repetitive"},
		{0, "123456789012345", "password_repetitive"},
		{0, "q1w2e3r4t5y6u7i8o9p0", "password_listed"},
		{8, "password", "password_listed"},
		{8, "iloveyou", "password_listed"},
		{8, "Sunshine1", "password_listed"},
		{0, "password", "password_too_short password_listed"},

		{0, "aaaaaaaaaaaaaaaa", "password_repetitive"},
		{0, "xyxyxyxyxyxyxyxyx", "password_repetitive"},
		{0, "ab1!ab1!ab1!ab1!", "password_repetitive"},
		{0, "ÄbcÄbcäbcäbcÄbc", "password_repetitive"},
		{0, "ab1!xab1!xab1!xa", ""}, // five, and x
		{0, "abcdefghijklmnop", "password_repetitive"},
		{0, "ponmlkjihgfedcba", "password_repetitive"},
		{0, "uvwxyzabcdefghij", "password_repetitive"},
		{0, "AbcdefghIjklmnop", "password_repetitive"},
		{0, "098765432109876", "password_repetitive"},
		{0, "abcd1234abcd1234", "password_repetitive"},
		{0, "aaaabbbbccccdddd", "password_repetitive"},
		{0, "123432123432123", "password_repetitive"},
		{0, "qwertzuiopyxcvbnm", "password_repetitive"},
		{0, "1234567890qwerty!!", "password_repetitive"},
		{8, "12345678", "password_repetitive"},
		{0, "abcdefgh and more", ""},

		{0, "riversidetennisclub", "password_context"},
		{0, "Riverside Tennis Club", "password_context"},
		{0, "Riverside-Tennis 2026", "password_context"},
		{0, "Club Tennis Riverside!!", "password_context"},
		{0, "memberkeymemberkey", "password_context"},
		{0, "memberkey 12/03/1985", "password_context"},
		{0, "AnaGarcía19850312", "password_context"},
		{0, "ana.garcia1042!!!", "password_context"},
		{0, "ana.garcia@example.org", "password_context"},
		{0, "AnaGarcia tennis xyz", "password_context"},
		{0, "AnaGarcia 739174027", ""}, // nine digits of one's own
		{0, "tennis with four friends", ""},
		{0, "banana bread for lunch", ""},
		{0, "olive oil and salt", ""}, // two letters (Li) are in every text
	} {
		got := strings.Join(codes(password.Policy{Minimum: tt.minimum, Words: riverside}, tt.text), " ")
		if got != tt.want {
			t.Errorf("minimum %d, %.70q: %q, want %q", tt.minimum, tt.text, got, tt.want)
		}
	}
}

func TestPolicyCheckWithoutWords(t *testing.T) {
	if got := codes(password.Policy{}, "riversidetennisclub"); got != nil {
		t.Errorf("without words: %q", got)
	}
}

// Every reason says what to do, names its field and quotes nothing.
func TestPolicyReasonsAreForPeople(t *testing.T) {
	for _, text := range []string{"Xk7", "", strings.Repeat("Xk7", 400), "Xk7\tXk7Xk7Xk7Xk7", password.Placeholder, "passwordpassword", "Xk7Xk7Xk7Xk7Xk7Xk7", "Riverside Tennis Club"} {
		reasons := password.Policy{Words: riverside}.Check(password.NewPlain(text))
		if len(reasons) == 0 {
			t.Errorf("%.20q is accepted", text)
		}
		for _, r := range reasons {
			if r.Field != "password" || !strings.Contains(r.Detail, "lease ") || strings.Contains(r.Detail, "Xk7") {
				t.Errorf("%.20q: %+v", text, r)
			}
		}
	}
	if got := (password.Policy{Minimum: 12}).Check(password.Plain{}); len(got) != 1 || !strings.Contains(got[0].Detail, "at least 12 characters") {
		t.Errorf("an empty password with a minimum of 12: %+v", got)
	}
}

func TestPolicyInWords(t *testing.T) {
	for minimum, want := range map[int][2]string{
		0:  {"At least 15 characters. Spaces are fine; a few unrelated words are easy to remember.", "minlength: 15; maxlength: 256; allowed: unicode;"},
		8:  {"At least 8 characters. Spaces are fine; a few unrelated words are easy to remember.", "minlength: 8; maxlength: 256; allowed: unicode;"},
		-3: {"At least 8 characters. Spaces are fine; a few unrelated words are easy to remember.", "minlength: 8; maxlength: 256; allowed: unicode;"},
		99: {"At least 64 characters. Spaces are fine; a few unrelated words are easy to remember.", "minlength: 64; maxlength: 256; allowed: unicode;"},
	} {
		p := password.Policy{Minimum: minimum}
		if diff := cmp.Diff(want, [2]string{p.Rule(), p.PasswordRules()}); diff != "" {
			t.Errorf("minimum %d (-want +got):\n%s", minimum, diff)
		}
	}
}

// What Check accepts, Hash accepts, and the other way round but for the rules
// that Hash leaves to Check.
func FuzzPolicyCheck(f *testing.F) {
	for text := range illegal {
		if len(text) < 1<<12 {
			f.Add(text, 0, "")
		}
	}
	f.Add(good, 0, "Ana García")
	f.Add("AnaGarcía1985", 8, "ana garcia")
	f.Add("\u0345\u0300 ΐ", 8, "ﷺ")
	h := newHasher(1)
	f.Fuzz(func(t *testing.T, text string, minimum int, word string) {
		if len(word) > 1<<10 {
			return // names are bounded where they are stored
		}
		plain := password.NewPlain(text)
		reasons := password.Policy{Minimum: minimum, Words: []string{word}}.Check(plain)
		hash, err := h.Hash(t.Context(), plain)
		if len(reasons) == 0 {
			n := utf8.RuneCountInString(text)
			if err != nil || n < 8 || len(text) > 1024 {
				t.Fatalf("Check accepts %q, Hash: %v", text, err)
			}
		}
		if err == nil {
			if got, err := h.Verify(t.Context(), plain, hash); err != nil || got != (password.Result{Match: true}) {
				t.Fatalf("%q does not match its own hash: %+v, %v", text, got, err)
			}
		} else if len(reasons) != 1 {
			t.Fatalf("Hash refuses %q with %v, Check says %+v", text, err, reasons)
		}
	})
}

func BenchmarkPolicyCheck(b *testing.B) {
	p := password.Policy{Words: riverside}
	for name, text := range map[string]string{"usual": good, "longest": strings.Repeat("\U0001f511é", 128)} {
		plain := password.NewPlain(text)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				p.Check(plain)
			}
		})
	}
}
