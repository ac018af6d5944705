package gateway_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/local/gateway"
)

func encode(v any) string {
	if s, ok := v.(string); ok {
		return base64.RawURLEncoding.EncodeToString([]byte(s))
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// sign makes a token by hand, so that it can be as wrong as needed.
func sign(t *testing.T, key *rsa.PrivateKey, header, claims any) string {
	t.Helper()
	input := encode(header) + "." + encode(claims)
	sum := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// TestA26Tokens is the table of wrong tokens; the first rows show that the
// rest fail for their own reason.
func TestA26Tokens(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_800_000_000, 0)
	const issuer, audience = "https://issuer.example.com", "console"
	verifier := &gateway.Verifier{Issuer: issuer, Audience: audience, Now: func() time.Time { return at }, Keys: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: &key.PublicKey, KeyID: "k1", Algorithm: "RS256", Use: "sig"},
		{Key: []byte("symmetric"), KeyID: "k2"},
		{Key: &key.PublicKey, KeyID: "twin"}, {Key: &other.PublicKey, KeyID: "twin"},
	}}}
	header := map[string]any{"alg": "RS256", "kid": "k1", "typ": "JWT"}
	claims := map[string]any{"iss": issuer, "sub": "s", "aud": audience, "exp": at.Unix() + 60, "iat": at.Unix() - 1, "nbf": at.Unix() - 1}
	with := func(m map[string]any, more ...any) map[string]any {
		m = maps.Clone(m)
		for i := 0; i < len(more); i += 2 {
			if m[more[i].(string)] = more[i+1]; more[i+1] == nil {
				delete(m, more[i].(string))
			}
		}
		return m
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	hs := func(secret []byte) string {
		input := encode(with(header, "alg", "HS256")) + "." + encode(claims)
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	good := sign(t, key, header, claims)
	own := jose.JSONWebKey{Key: &other.PublicKey, KeyID: "k1"}
	for _, c := range []struct {
		name, token string
		accepted    bool
	}{
		{"good", good, true},
		{"audience in a list", sign(t, key, header, with(claims, "aud", []string{"x", audience})), true},
		{"client_id, as Cognito has it", sign(t, key, header, with(claims, "aud", nil, "client_id", audience)), true},
		{"no iat, no nbf", sign(t, key, header, with(claims, "iat", nil, "nbf", nil)), true},
		{"made this second", sign(t, key, header, with(claims, "iat", at.Unix(), "nbf", at.Unix())), true},

		{"nothing", "", false},
		{"no token", "x", false},
		{"two parts", encode(header) + "." + encode(claims), false},
		{"none", encode(with(header, "alg", "none")) + "." + encode(claims) + ".", false},
		{"none with the signature", encode(with(header, "alg", "none")) + good[strings.Index(good, "."):], false},
		{"None", encode(with(header, "alg", "None")) + "." + encode(claims) + ".", false},
		{"no alg", sign(t, key, with(header, "alg", nil), claims), false},
		{"no signature", good[:strings.LastIndex(good, ".")+1], false},
		{"HS256 with the DER key", hs(der), false},
		{"HS256 with the PEM key", hs(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), false},
		{"HS256 with the modulus", hs(key.N.Bytes()), false},
		{"RS384 in the header", sign(t, key, with(header, "alg", "RS384"), claims), false},
		{"PS256 in the header", sign(t, key, with(header, "alg", "PS256"), claims), false},
		{"another key", sign(t, other, header, claims), false},
		{"no kid", sign(t, key, with(header, "kid", nil), claims), false},
		{"unknown kid", sign(t, key, with(header, "kid", "k9"), claims), false},
		{"kid as a path", sign(t, other, with(header, "kid", "../../dev/null"), claims), false},
		{"kid as SQL", sign(t, other, with(header, "kid", "x' UNION SELECT 'k1"), claims), false},
		{"kid of a symmetric key", sign(t, key, with(header, "kid", "k2"), claims), false},
		{"kid of two keys", sign(t, key, with(header, "kid", "twin"), claims), false},
		{"own key brought along", sign(t, other, with(header, "jwk", own), claims), false},
		{"own key, no kid", sign(t, other, with(header, "jwk", own, "kid", nil), claims), false},
		{"own key place", sign(t, other, with(header, "jku", "https://evil.example/jwks.json"), claims), false},
		{"own certificate place", sign(t, other, with(header, "x5u", "https://evil.example/x.pem"), claims), false},
		{"unknown critical header", sign(t, key, with(header, "crit", []string{"x"}, "x", 1), claims), false},
		{"claims changed", strings.Split(good, ".")[0] + "." + encode(with(claims, "sub", "t")) + "." + strings.Split(good, ".")[2], false},
		{"expired", sign(t, key, header, with(claims, "exp", at.Unix()-1)), false},
		{"expires now", sign(t, key, header, with(claims, "exp", at.Unix())), false},
		{"never expires", sign(t, key, header, with(claims, "exp", nil)), false},
		{"expires as text", sign(t, key, header, with(claims, "exp", "4000000000")), false},
		{"not yet", sign(t, key, header, with(claims, "nbf", at.Unix()+1)), false},
		{"from the future", sign(t, key, header, with(claims, "iat", at.Unix()+1)), false},
		{"wrong audience", sign(t, key, header, with(claims, "aud", "other")), false},
		{"wrong audience, right client", sign(t, key, header, with(claims, "aud", "other", "client_id", audience)), false},
		{"wrong client", sign(t, key, header, with(claims, "aud", nil, "client_id", "other")), false},
		{"no audience", sign(t, key, header, with(claims, "aud", nil)), false},
		{"odd audience", sign(t, key, header, with(claims, "aud", 5)), false},
		{"wrong issuer", sign(t, key, header, with(claims, "iss", "https://evil.example")), false},
		{"issuer with a slash", sign(t, key, header, with(claims, "iss", issuer+"/")), false},
		{"no issuer", sign(t, key, header, with(claims, "iss", nil)), false},
		{"no object", sign(t, key, header, "[]"), false},
		{"not JSON", sign(t, key, header, "x"), false},
		{"huge", good + strings.Repeat("x", 9<<10), false},
	} {
		identity, err := verifier.Authorize(c.token)
		if (err == nil) != c.accepted {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && (identity.Claims != nil || strings.Contains(err.Error(), "console")) {
			t.Errorf("%s: a refusal says too much: %v %v", c.name, identity, err)
		}
	}

	// A remembered token dies on time, and the memory stays bounded.
	at = at.Add(60*time.Second - 1)
	if _, err := verifier.Authorize(good); err != nil {
		t.Errorf("a moment before the end: %v", err)
	}
	at = at.Add(1)
	if _, err := verifier.Authorize(good); err == nil {
		t.Error("a remembered token outlived its end")
	}
}

func TestFlatten(t *testing.T) {
	var claims map[string]any
	d := json.NewDecoder(strings.NewReader(`{"s":"a b","groups":["acme:administrator","x"],"one":["a"],"none":[],"exp":1783711145,"f":1.50,"yes":true,"gone":null,"o":{"a":[1]},"mixed":["a",1,true]}`))
	d.UseNumber()
	if err := d.Decode(&claims); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"s": "a b", "groups": "[acme:administrator x]", "one": "[a]", "none": "[]", "exp": "1783711145", "f": "1.50", "yes": "true", "o": `{"a":[1]}`, "mixed": "[a 1 true]"}
	if diff := cmp.Diff(want, gateway.Flatten(claims)); diff != "" {
		t.Error(diff)
	}
}

func TestIssuer(t *testing.T) {
	folder := t.TempDir()
	issuer, err := gateway.NewIssuer(folder, "http://localhost:8080/")
	if err != nil {
		t.Fatal(err)
	}
	issuer.Organization = "demo"
	clock := time.Unix(1_800_000_000, 0)
	issuer.Now = func() time.Time { return clock }
	verifier := issuer.Verifier()
	token, err := issuer.Token("acme", "manager")
	if err != nil {
		t.Fatal(err)
	}
	got, err := verifier.Authorize(token)
	if err != nil {
		t.Fatal(err)
	}
	if jti := got.Claims["jti"]; len(jti) != 16 {
		t.Errorf("jti %q", jti)
	}
	delete(got.Claims, "jti")
	want := gateway.Identity{Scopes: []string{"openid", "profile"}, Claims: map[string]string{
		"iss": "http://localhost:8080/local/issuer", "sub": "local-manager", "username": "local manager", "client_id": "console", "token_use": "access",
		"scope": "openid profile", "cognito:groups": "[acme:manager]", "iat": "1800000000", "auth_time": "1800000000", "exp": "1800003600"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	clock = clock.Add(time.Hour)
	if _, err := verifier.Authorize(token); err == nil {
		t.Error("works after an hour")
	}
	clock = clock.Add(-time.Minute)

	// The key stays, for its owner alone.
	info, err := os.Stat(filepath.Join(folder, "issuer-key.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	again, err := gateway.NewIssuer(folder, "http://localhost:8080")
	if err != nil {
		t.Fatal(err)
	}
	again.Now = issuer.Now
	if _, err := again.Verifier().Authorize(token); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if files, _ := os.ReadDir(folder); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
	stranger, err := gateway.NewIssuer(t.TempDir(), "http://localhost:8080")
	if err != nil {
		t.Fatal(err)
	}
	stranger.Now = issuer.Now
	if _, err := stranger.Verifier().Authorize(token); err == nil {
		t.Error("another installation takes the token")
	}
	for name, text := range map[string]string{"garbage": "x", "no key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "issuer-key.pem"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := gateway.NewIssuer(folder, "x"); err == nil || !strings.Contains(err.Error(), "delete it") {
			t.Errorf("%s: %v", name, err)
		}
	}

	get := func(target, host string) (int, string) {
		r := httptest.NewRequest("GET", target, nil)
		r.Host = host
		w := httptest.NewRecorder()
		issuer.Handler().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	for target, group := range map[string]string{"/local/token?role=viewer": "[demo:viewer]", "/local/token?role=administrator&organization=acme": "[acme:administrator]"} {
		status, text := get(target, "localhost:8080")
		var out struct{ Token string }
		if err := json.Unmarshal([]byte(text), &out); err != nil || status != 200 {
			t.Fatalf("%s: %d %s", target, status, text)
		}
		if got, err := verifier.Authorize(out.Token); err != nil || got.Claims["cognito:groups"] != group {
			t.Errorf("%s: %v %v", target, got.Claims, err)
		}
	}
	for target, status := range map[string]int{"/local/token": 400, "/local/token?role=owner": 400, "/local/token?role=viewer&organization=a%20b:administrator": 400, "/local/other": 404} {
		if got, _ := get(target, "localhost"); got != status {
			t.Errorf("%s: %d", target, got)
		}
	}
	if status, text := get("/local/token?role=administrator", "evil.example"); status != 403 || strings.Contains(text, "token") {
		t.Errorf("another name for loopback: %d %s", status, text)
	}
	status, text := get("/local/issuer/.well-known/openid-configuration", "localhost")
	if want := `"jwks_uri":"http://localhost:8080/local/issuer/.well-known/jwks.json"`; status != 200 || !strings.Contains(text, want) {
		t.Errorf("%d %s", status, text)
	}
	status, text = get("/local/issuer/.well-known/jwks.json", "localhost")
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(text), &keys); err != nil || status != 200 || len(keys.Keys) != 1 || !keys.Keys[0].IsPublic() || strings.Contains(text, `"d"`) {
		t.Errorf("%d %s %v", status, text, err)
	}
	outside := &gateway.Verifier{Issuer: issuer.URL, Audience: "console", Keys: keys, Now: issuer.Now}
	if _, err := outside.Authorize(token); err != nil {
		t.Errorf("by the published keys: %v", err)
	}
}

// TestMemoryIsBounded: no number of tokens makes the verifier grow on.
func TestMemoryIsBounded(t *testing.T) {
	issuer, err := gateway.NewIssuer(t.TempDir(), "http://localhost:8080")
	if err != nil {
		t.Fatal(err)
	}
	verifier := issuer.Verifier()
	for i := range 300 {
		token, err := issuer.Token(fmt.Sprintf("org-%d", i), "viewer")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verifier.Authorize(token); err != nil {
			t.Fatal(err)
		}
	}
	if n := gateway.Remembered(verifier); n == 0 || n > 256 {
		t.Errorf("%d tokens remembered", n)
	}
}

func BenchmarkAuthorizeRemembered(b *testing.B) {
	issuer, err := gateway.NewIssuer(b.TempDir(), "http://localhost:8080")
	if err != nil {
		b.Fatal(err)
	}
	token, err := issuer.Token("acme", "viewer")
	if err != nil {
		b.Fatal(err)
	}
	verifier := issuer.Verifier()
	for b.Loop() {
		if _, err := verifier.Authorize(token); err != nil {
			b.Fatal(err)
		}
	}
}
