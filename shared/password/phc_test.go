package password_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/memberkey/memberkey/shared/password"
)

func phc(m, t, p string, salt, tag int) string {
	b64 := func(n int) string { return base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("s", n))) }
	return fmt.Sprintf("$argon2id$v=19$m=%s,t=%s,p=%s$%s$%s", m, t, p, b64(salt), b64(tag))
}

func TestParsePHC(t *testing.T) {
	for s, want := range map[string]password.Params{
		known:                              {MemoryKiB: 65536, Time: 2, Threads: 1, Salt: 8, Tag: 32},
		phc("65536", "3", "1", 16, 32):     password.Production,
		phc("8", "1", "1", 16, 32):         password.Fast,
		phc("1048576", "10", "16", 64, 64): {MemoryKiB: 1 << 20, Time: 10, Threads: 16, Salt: 64, Tag: 64},
		phc("128", "1", "16", 8, 16):       {MemoryKiB: 128, Time: 1, Threads: 16, Salt: 8, Tag: 16},
	} {
		hash, params, err := password.ParsePHC(s)
		if err != nil || params != want || hash.PHC() != s {
			t.Errorf("ParsePHC(%q) = %+v, %v, kept %v; want %+v", s, params, err, hash.PHC() == s, want)
		}
	}
}

func TestA17ParsePHCRefuses(t *testing.T) {
	ok := phc("64", "3", "1", 16, 32)
	if _, _, err := password.ParsePHC(ok); err != nil {
		t.Fatal(err)
	}
	change := func(old, new string) string {
		if !strings.Contains(ok, old) {
			t.Fatalf("%q is not in %q", old, ok)
		}
		return strings.Replace(ok, old, new, 1)
	}
	for name, s := range map[string]string{
		"empty":              "",
		"redacted":           "[redacted]",
		"argon2i":            change("argon2id", "argon2i"),
		"bcrypt":             "$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
		"old version":        change("v=19", "v=16"),
		"no version":         change("v=19$", ""),
		"memory below":       phc("7", "3", "1", 16, 32),
		"memory below lanes": phc("64", "3", "9", 16, 32),
		"memory above":       phc("1048577", "3", "1", 16, 32),
		"memory overflow":    phc("4294967360", "3", "1", 16, 32),
		"time zero":          phc("64", "0", "1", 16, 32),
		"time above":         phc("64", "11", "1", 16, 32),
		"no lanes":           phc("64", "3", "0", 16, 32),
		"lanes above":        phc("256", "3", "17", 16, 32),
		"lanes overflow":     phc("64", "3", "257", 16, 32),
		"salt below":         phc("64", "3", "1", 7, 32),
		"salt above":         phc("64", "3", "1", 65, 32),
		"tag below":          phc("64", "3", "1", 16, 15),
		"tag above":          phc("64", "3", "1", 16, 65),
		"leading zero":       change("t=3", "t=03"),
		"plus":               change("t=3", "t=+3"),
		"minus":              change("t=3", "t=-3"),
		"underscore":         change("m=64", "m=6_4"),
		"hexadecimal":        change("m=64", "m=0x40"),
		"space":              change("t=3", "t= 3"),
		"order":              change("m=64,t=3", "t=3,m=64"),
		"parameter twice":    change("t=3", "t=3,t=3"),
		"parameter missing":  change(",p=1", ""),
		"parameter more":     change("p=1", "p=1,keyid=a"),
		"parameter empty":    change("t=3", "t="),
		"field more":         ok + "$",
		"field before":       "x" + ok,
		"space after":        ok + " ",
		"line after":         ok + "\n",
		"line in base64":     change("c3Nz", "c3\nNz"),
		"padding":            ok + "=",
		"URL base64":         change("c3Nz", "c3-_"),
		"spare bits":         ok[:len(ok)-1] + string(ok[len(ok)-1]+1),
		"huge":               ok + strings.Repeat("A", 1<<20),
		"many fields":        "$argon2id$v=19$" + strings.Repeat("$", 1<<20),
	} {
		hash, params, err := password.ParsePHC(s)
		if err == nil || !hash.IsZero() || params != (password.Params{}) {
			t.Errorf("%s: accepted as %+v", name, params)
		} else if len(s) > 20 && strings.Contains(err.Error(), s[15:20]) {
			t.Errorf("%s: the error quotes the hash: %v", name, err)
		}
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add(known)
	f.Add(phc("8", "1", "1", 8, 16))
	f.Add(phc("1048577", "3", "1", 16, 32))
	f.Add(phc("4294967295", "4294967295", "255", 0, 0))
	f.Add("$argon2id$v=19$m=64,t=3,p=1$$")
	f.Fuzz(func(t *testing.T, s string) {
		hash, p, err := password.ParsePHC(s)
		if err != nil {
			if !hash.IsZero() || p != (password.Params{}) {
				t.Fatalf("ParsePHC(%q) gives %+v beside %v", s, p, err)
			}
			return
		}
		if !p.Valid() || p.MemoryKiB < 8 || p.MemoryKiB > 1<<20 || p.Time > 10 || p.Threads > 16 || p.Salt > 64 || p.Tag > 64 || p.Tag < 16 {
			t.Fatalf("ParsePHC(%q) accepts %+v", s, p)
		}
		fields := strings.Split(s, "$")
		salt, err1 := base64.RawStdEncoding.Strict().DecodeString(fields[4])
		tag, err2 := base64.RawStdEncoding.Strict().DecodeString(fields[5])
		again := fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", p.MemoryKiB, p.Time, p.Threads,
			base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(tag))
		if err1 != nil || err2 != nil || again != s || hash.PHC() != s {
			t.Fatalf("ParsePHC(%q) is not canonical: %q", s, again)
		}
	})
}

func BenchmarkParsePHC(b *testing.B) {
	s := phc("65536", "3", "1", 16, 32)
	for b.Loop() {
		if _, _, err := password.ParsePHC(s); err != nil {
			b.Fatal(err)
		}
	}
}
