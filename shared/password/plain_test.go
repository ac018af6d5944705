package password_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/password"
)

func TestA27NothingPrintsAPasswordOrAHash(t *testing.T) {
	const canary = "canary-Kq7"
	plain := password.NewPlain(canary)
	hash, _, err := password.ParsePHC(known)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), "argon2id", "c29tZXNhbHQ", "CTFhFdXP"}

	type exported struct {
		Password *password.Plain
		P        password.Plain
		H        password.Hash
		Nested   map[string][]password.Hash
		Any      any
	}
	type hidden struct { // fmt calls no method of an unexported field
		p password.Plain
		h password.Hash
	}
	values := map[string]any{
		"Plain": plain, "*Plain": &plain, "Hash": hash, "*Hash": &hash,
		"exported": exported{&plain, plain, hash, map[string][]password.Hash{"a": {hash}}, plain},
		"hidden":   hidden{plain, hash}, "*hidden": &hidden{plain, hash},
		"slices": []any{[]password.Plain{plain}, [1]password.Hash{hash}, map[string]password.Plain{"p": plain}},
		"error":  errors.Join(fmt.Errorf("for %v and %s", plain, hash), fmt.Errorf("%w with %+v", errors.New("x"), hidden{plain, hash})),
	}
	for name, v := range values {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%T", "%20.5s", "%p", "%z"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		b, err := json.Marshal(v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		out.Write(b)
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).With("with", v).Info("message", "value", v, slog.Group("group", "value", v), "text", fmt.Sprint(v))
		}
		for _, secret := range secrets {
			if strings.Contains(out.String(), secret) {
				t.Errorf("%s shows %q in\n%s", name, secret, out.String())
			}
		}
		if !strings.Contains(name, "idden") && name != "error" && !strings.Contains(out.String(), "[redacted]") {
			t.Errorf("%s is not said to be redacted:\n%s", name, out.String())
		}
	}
	for name, got := range map[string]string{
		"Plain.String": plain.String(), "Plain.GoString": plain.GoString(),
		"Hash.String": hash.String(), "Hash.GoString": hash.GoString(),
	} {
		if got != "[redacted]" {
			t.Errorf("%s = %q", name, got)
		}
	}
}

func TestPlain(t *testing.T) {
	p := password.NewPlain("one two")
	if p.Reveal() != "one two" || p.IsZero() || !p.Equal(password.NewPlain("one two")) || p.Equal(password.NewPlain("one twx")) || p.Equal(password.Plain{}) {
		t.Error("a Plain is not its text")
	}
	var zero password.Plain
	if !zero.IsZero() || !zero.Equal(password.NewPlain("")) || !password.NewPlain("").IsZero() || zero.Reveal() != "" {
		t.Error("the zero Plain is not empty")
	}
	if !cmp.Equal(p, password.NewPlain("one two")) || cmp.Equal(p, zero) || !reflect.DeepEqual(p, password.NewPlain("one two")) {
		t.Error("tests cannot compare a Plain")
	}
}

func TestPlainFromJSON(t *testing.T) {
	var body struct {
		Password *password.Plain `json:"password"`
	}
	if err := json.Unmarshal([]byte(`{"password":"caf\u00e9 \"x\""}`), &body); err != nil || body.Password.Reveal() != `café "x"` {
		t.Errorf("Unmarshal: %v", err)
	}
	body.Password = nil
	if err := json.Unmarshal([]byte(`{}`), &body); err != nil || body.Password != nil {
		t.Errorf("nothing sent: %v", err)
	}
	for _, s := range []string{`null`, `123456`, `true`, `["canary"]`, `{"canary":1}`} {
		p := password.NewPlain("before")
		err := json.Unmarshal([]byte(s), &p)
		if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "123456") || p.Reveal() != "before" {
			t.Errorf("Unmarshal(%s): %v", s, err)
		}
	}
}

func TestHashIsNotReadFromJSON(t *testing.T) {
	hash, _, err := password.ParsePHC(known)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(hash)
	if err != nil || string(b) != `"[redacted]"` {
		t.Errorf("Marshal = %s, %v", b, err)
	}
	for _, s := range []string{string(b), `"` + known + `"`, `null`} {
		var h password.Hash
		if err := json.Unmarshal([]byte(s), &h); err == nil || !h.IsZero() || strings.Contains(err.Error(), "argon2id") {
			t.Errorf("Unmarshal(%.12s) = %v", s, err)
		}
	}
	if (password.Hash{}).PHC() != "" || !(password.Hash{}).IsZero() || hash.IsZero() || hash.Equal(password.Hash{}) {
		t.Error("the zero Hash is not no hash")
	}
}
