package username_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/username"
)

func TestNormalise(t *testing.T) {
	for _, tt := range []struct {
		typed string
		want  username.Name // "" means refused
		says  string        // a part of the refusal
	}{
		{"ana", "ana", ""},
		{"  Ana.GARCIA\t\n", "ana.garcia", ""},
		{"\u00a0ana\u2003", "ana", ""},
		{"o'brien_1042-x", "o'brien_1042-x", ""},
		{"A", "a", ""},
		{strings.Repeat("x", 128), username.Name(strings.Repeat("x", 128)), ""},
		{"Ana+Club@Example.ORG", "ana+club@example.org", ""},
		{"ana@Exämple.org", "ana@xn--exmple-cua.org", ""},
		{"ana@xn--exmple-cua.org", "ana@xn--exmple-cua.org", ""},

		{"", "", "empty"},
		{" \t\u00a0", "", "empty"},
		{"ana garcia", "", "space"},
		{"ana\u00a0garcia", "", "space"},
		{"ana\tgarcia", "", "space"},
		{"ana\x00", "", "invisible character (U+0000)"},
		{"ana\x7f", "", "invisible character (U+007F)"},
		{"ana\u200b", "", "invisible character (U+200B)"},
		{"a\u0301na", "", "invisible character (U+0301)"},
		{"ána", "", "“á” (U+00E1)"},
		{"аna", "", "“а” (U+0430)"},
		{"mi\u212ae", "", "“\u212a” (U+212A)"},
		{"mıke", "", "“ı” (U+0131)"},
		{"İda", "", "“İ” (U+0130)"},
		{"ſam", "", "“ſ” (U+017F)"},
		{"ﬁona", "", "“ﬁ” (U+FB01)"},
		{"ａna", "", "“ａ” (U+FF41)"},
		{"ana\xff", "", "could not be read"},
		{"ana\u202egarcia", "", "invisible character (U+202E)"},
		{strings.Repeat("x", 129), "", "at most 128"},
		{strings.Repeat("x", 1<<20), "", "at most 128"},
		{"a@" + strings.Repeat("b.", 70) + "org", "", "at most 128"},
		{"ana@", "", "whole email address"},
		{"@example.org", "", "whole email address"},
		{"ana@example", "", "needs a dot"},
		{"ana@b@example.org", "", "more than one @"},
		{"ána@example.org", "", "“á” (U+00E1)"},
	} {
		got, err := username.Normalise(tt.typed)
		if tt.want != "" {
			if err != nil || got != tt.want {
				t.Errorf("Normalise(%.60q) = %q, %v; want %q", tt.typed, got, err, tt.want)
			}
			continue
		}
		p, ok := errors.AsType[*problem.Problem](err)
		if !ok || got != "" || p.Kind != problem.Invalid || p.Code != "username_invalid" || p.Field != "username" || !strings.Contains(p.Detail, tt.says) {
			t.Errorf("Normalise(%.60q) = %q, %v; want username_invalid with %q", tt.typed, got, err, tt.says)
		}
	}
}

// On ASCII the rule is RFC 8265, whose implementation has the last word.
func TestNormaliseIsUsernameCaseMappedOnASCII(t *testing.T) {
	for r := rune(0); r < utf8.RuneSelf; r++ {
		if r == '@' {
			continue
		}
		typed := "a" + string(r) + "Z"
		want, wantErr := precis.UsernameCaseMapped.String(typed)
		got, err := username.Normalise(typed)
		if (err == nil) != (wantErr == nil) || err == nil && string(got) != want {
			t.Errorf("Normalise(%q) = %q, %v; RFC 8265 gives %q, %v", typed, got, err, want, wantErr)
		}
	}
}

// fold is full Unicode case folding.
var fold = cases.Fold()

// lookalikes are the runes outside ASCII that some mapping takes into it, in
// part or whole.
func lookalikes() []rune {
	var list []rune
	for r := rune(utf8.RuneSelf); r <= unicode.MaxRune; r++ {
		if !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cf) {
			continue // private or not assigned: nothing maps it
		}
		for _, m := range mappings(r) {
			if strings.IndexFunc(m, func(m rune) bool { return m < utf8.RuneSelf }) >= 0 {
				list = append(list, r)
				break
			}
		}
	}
	return list
}

// mappings are what r may turn into on its way to ASCII.
func mappings(r rune) []string {
	s := string(r)
	all := []string{
		string(unicode.ToLower(r)), string(unicode.ToUpper(r)), string(unicode.ToTitle(r)), string(unicode.SimpleFold(r)),
		norm.NFKC.String(s), norm.NFKD.String(s), fold.String(s), fold.String(norm.NFKD.String(s)),
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(m string) bool { return m == s })
}

func TestA4NoRuneCollidesWithAnASCIIUsername(t *testing.T) {
	found := lookalikes()
	if len(found) < 2000 {
		t.Fatalf("only %d runes map into ASCII: the search is broken", len(found))
	}
	for _, r := range found {
		for _, m := range mappings(r) {
			for _, shape := range []string{"ana*garcia", "*", "ana*@example.org", "ana@exam*ple.org", "ana@*.org", "ana@example.*", "ana@example*org"} {
				account, err := username.Normalise(strings.Replace(shape, "*", m, 1))
				if err != nil {
					continue
				}
				typed := strings.Replace(shape, "*", string(r), 1)
				if got, err := username.Normalise(typed); err == nil && got == account && !strings.Contains(string(got), "xn--") {
					t.Errorf("U+%04X: %q is the account %q", r, typed, account)
				}
			}
		}
		if got, err := username.Normalise("ana" + string(r)); err == nil {
			// Spaces at the end are trimmed, which is no substitution.
			if !unicode.IsSpace(r) {
				t.Errorf("U+%04X accepted in a username: %q", r, got)
			}
		}
		if _, box, err := username.ParseEmail("ana" + string(r) + "x@example.org"); err == nil {
			t.Errorf("U+%04X accepted in a local part: %q", r, box)
		}
		if _, box, err := username.ParseEmail("ana@exam" + string(r) + "ple.org"); err == nil && !strings.HasPrefix(string(box), "ana@xn--") {
			t.Errorf("U+%04X in a domain gives the ASCII domain %q", r, box)
		}
	}
}

func TestEqualKeysMeanEqualNames(t *testing.T) {
	spellings := []string{"ana", "ANA", " Ana ", "anA\n", "ana.", "ana-", "an", "anna", "ana@example.org", "ANA@EXAMPLE.ORG", "a.na@example.org", "ana+x@example.org", "ana@bücher.example", "ANA@BÜCHER.example", "ana@xn--bcher-kva.example", "ana@bucher.example"}
	plain := func(s string) string {
		s = strings.ToLower(strings.TrimSpace(s))
		return strings.ReplaceAll(s, "bücher", "xn--bcher-kva")
	}
	for _, a := range spellings {
		for _, b := range spellings {
			x, errX := username.Normalise(a)
			y, errY := username.Normalise(b)
			if errX != nil || errY != nil {
				t.Fatal(errX, errY)
			}
			if (x == y) != (plain(a) == plain(b)) {
				t.Errorf("%q and %q become %q and %q", a, b, x, y)
			}
		}
	}
}

func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"", "ana", " Ana.Garcia ", "ana garcia", "mi\u212ae", "İda", "ana@exämple.org", "ANA@xn--exmple-cua.org", "a@b.c", "ana@example。org", "ana@exam\u00adple.org", "ana@\u05d0.example", "\xff@\xff", "a@b@c", "ana@1.2.3.4", "ana@ß.example", "ana@xn--a.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := username.Normalise(s)
		if err != nil {
			if name != "" || problem.CodeOf(err) != "username_invalid" || !utf8.ValidString(problem.As(err).Detail) {
				t.Fatalf("Normalise(%q) = %q, %v", s, name, err)
			}
			return
		}
		again, err := username.Normalise(string(name))
		if err != nil || again != name {
			t.Fatalf("Normalise(%q) = %q, again %q, %v", s, name, again, err)
		}
		if len(name) == 0 || len(name) > username.MaxLength {
			t.Fatalf("Normalise(%q) = %q", s, name)
		}
		for i := range len(name) {
			if c := name[i]; c <= ' ' || c > '~' || 'A' <= c && c <= 'Z' {
				t.Fatalf("Normalise(%q) = %q has %q", s, name, c)
			}
		}
		if strings.Contains(s, "@") {
			display, box, err := username.ParseEmail(s)
			if err != nil || string(box) != string(name) {
				t.Fatalf("%q is the username %q and the mailbox %q, %v", s, name, box, err)
			}
			address, err := username.Deliverable(display)
			_, same, err2 := username.ParseEmail(address)
			if err != nil || err2 != nil || same != box {
				t.Fatalf("%q is delivered to %q: %q, want %q", s, address, same, box)
			}
		}
	})
}

func BenchmarkNormalise(b *testing.B) {
	for _, s := range []string{"Ana.Garcia", "Ana.Garcia@example.org", "ana@exämple.org"} {
		b.Run(s, func(b *testing.B) {
			for b.Loop() {
				if _, err := username.Normalise(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
