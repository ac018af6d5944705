package gateway

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// audience is the client of the development issuer.
const audience = "console"

// tokenLife is how long a development token works.
const tokenLife = time.Hour

// Verifier checks access tokens as API Gateway's JWT authorizer does: RS256 by
// a key of the issuer that the token's kid names, iss, aud (client_id where
// there is no aud), exp, nbf, iat, with no leeway. A token that has passed is
// remembered until it ends.
//
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
type Verifier struct {
	Issuer   string
	Audience string
	Keys     jose.JSONWebKeySet
	Now      func() time.Time

	mu   sync.Mutex
	seen map[[sha256.Size]byte]verified
}

type verified struct {
	identity Identity
	ends     time.Time
}

// maxSeen bounds the tokens that are remembered.
const maxSeen = 256

var errToken = errors.New("token refused")

// Authorize implements [Authorizer].
func (v *Verifier) Authorize(token string) (Identity, error) {
	if len(token) > 8<<10 {
		return Identity{}, errToken
	}
	now := v.Now()
	sum := sha256.Sum256([]byte(token))
	v.mu.Lock()
	known, ok := v.seen[sum]
	v.mu.Unlock()
	if ok && now.Before(known.ends) {
		return known.identity, nil
	}
	identity, ends, err := v.verify(token, now)
	if err != nil {
		return Identity{}, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen == nil || len(v.seen) >= maxSeen {
		v.seen = map[[sha256.Size]byte]verified{} // verifying a few hundred tokens again is cheap
	}
	v.seen[sum] = verified{identity, ends}
	return identity, nil
}

// open checks a token's signature and gives its claims.
func (v *Verifier) open(token string) ([]byte, error) {
	// The allow-list is the whole defence against "none" and against an HMAC
	// made with the public key (A26).
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, errToken
	}
	keys := v.Keys.Key(jws.Signatures[0].Protected.KeyID) // never a key, or a place of keys, that the token brings along
	if len(keys) != 1 {
		return nil, errToken
	}
	public, ok := keys[0].Key.(*rsa.PublicKey)
	if !ok {
		return nil, errToken
	}
	payload, err := jws.Verify(public)
	if err != nil {
		return nil, errToken
	}
	return payload, nil
}

func (v *Verifier) verify(token string, now time.Time) (Identity, time.Time, error) {
	payload, err := v.open(token)
	if err != nil {
		return Identity{}, time.Time{}, err
	}
	var registered struct {
		Iss           string          `json:"iss"`
		Aud           json.RawMessage `json:"aud"`
		ClientID      string          `json:"client_id"`
		Exp, Nbf, Iat *float64
		Scope         string `json:"scope"`
	}
	all := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber() // as written: no 1.7e+09
	if json.Unmarshal(payload, &registered) != nil || d.Decode(&all) != nil {
		return Identity{}, time.Time{}, errToken
	}
	seconds := float64(now.UnixNano()) / 1e9
	switch {
	case registered.Iss != v.Issuer,
		!v.meant(registered.Aud, registered.ClientID),
		registered.Exp == nil || *registered.Exp <= seconds,
		registered.Nbf != nil && *registered.Nbf > seconds,
		registered.Iat != nil && *registered.Iat > seconds:
		return Identity{}, time.Time{}, errToken
	}
	ends := time.Unix(int64(min(*registered.Exp, 1<<40)), 0)
	return Identity{Claims: Flatten(all), Scopes: strings.Fields(registered.Scope)}, ends, nil
}

// meant says whether the token is for us.
func (v *Verifier) meant(aud json.RawMessage, client string) bool {
	var one string
	var many []string
	switch {
	case len(aud) == 0:
		return client == v.Audience
	case json.Unmarshal(aud, &one) == nil:
		return one == v.Audience
	case json.Unmarshal(aud, &many) == nil:
		for _, a := range many {
			if a == v.Audience {
				return true
			}
		}
	}
	return false
}

// Flatten makes strings of claims as API Gateway does: a list becomes
// "[a b]", numbers and booleans their text, an object its JSON; null is left
// out. Measured: github.com/floci-io/floci/pull/2011.
func Flatten(claims map[string]any) map[string]string {
	out := make(map[string]string, len(claims))
	for name, value := range claims {
		if value != nil {
			out[name] = flat(value)
		}
	}
	return out
}

func flat(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = flat(v[i])
		}
		return "[" + strings.Join(parts, " ") + "]"
	case json.Number:
		return v.String()
	}
	b, _ := json.Marshal(value)
	return string(b)
}

// Issuer is the development issuer: it stands in for Cognito on one laptop,
// and its tokens look like Cognito's. It exists nowhere else.
type Issuer struct {
	URL          string           // the iss of its tokens
	Organization string           // for whom tokens are made unless told
	Life         time.Duration    // of the tokens that who signs in gets, in whole seconds; 0 means an hour
	Now          func() time.Time // set by NewIssuer to time.Now
	Rand         io.Reader        // set by NewIssuer to crypto/rand

	signer jose.Signer
	keys   jose.JSONWebKeySet

	mu       sync.Mutex
	sessions kept[*session] // by cookie
	codes    kept[grant]    // by code
}

// keyFile holds the issuer's key, so that a token survives a restart. Whoever
// can read it can sign in to this one machine's data, which lies beside it.
const keyFile = "issuer-key.pem"

// NewIssuer reads the key from folder, or makes an RSA-2048 key and keeps it
// there, readable by the owner alone. address is the origin of the local
// system, such as "http://localhost:8080".
func NewIssuer(folder, address string) (*Issuer, error) {
	key, err := readKey(filepath.Join(folder, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(folder)
	}
	if err != nil {
		return nil, fmt.Errorf("development issuer: %w", err)
	}
	sum := sha256.Sum256(x509.MarshalPKCS1PublicKey(&key.PublicKey))
	id := base64.RawURLEncoding.EncodeToString(sum[:12])
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: id}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("development issuer: %w", err)
	}
	return &Issuer{
		URL: strings.TrimSuffix(address, "/") + issuerPath, Now: time.Now, Rand: rand.Reader, signer: signer,
		keys:     jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: id, Algorithm: string(jose.RS256), Use: "sig"}}},
		sessions: kept[*session]{}, codes: kept[grant]{},
	}, nil
}

func readKey(name string) (*rsa.PrivateKey, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key; delete it to get a new one", name)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; delete it to get a new one", name, err)
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds no RSA key; delete it to get a new one", name)
	}
	return private, nil
}

func makeKey(folder string) (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	// CreateTemp makes files 0600; the rename lets nobody see half a key.
	f, err := os.CreateTemp(folder, keyFile)
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	if err := errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.Close()); err != nil {
		return nil, err
	}
	return key, os.Rename(f.Name(), filepath.Join(folder, keyFile))
}

// Token makes an access token for one role in one organization; it works for
// an hour.
func (i *Issuer) Token(org, role string) (string, error) {
	now := i.Now()
	return i.access(org, role, now, now.Add(tokenLife))
}

// access makes an access token for who signed in at began.
func (i *Issuer) access(org, role string, began, ends time.Time) (string, error) {
	id, err := i.random(12)
	if err != nil {
		return "", err
	}
	return i.sign(map[string]any{
		"iss": i.URL, "sub": "local-" + role, "username": "local " + role, "client_id": audience, "token_use": "access",
		"scope": scope, "cognito:groups": []string{org + ":" + role},
		"iat": i.Now().Unix(), "auth_time": began.Unix(), "exp": ends.Unix(), "jti": id,
	})
}

func (i *Issuer) sign(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	jws, err := i.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// Verifier checks this issuer's tokens.
func (i *Issuer) Verifier() *Verifier {
	return &Verifier{Issuer: i.URL, Audience: audience, Keys: i.keys, Now: func() time.Time { return i.Now() }}
}

// Handler serves what stands under /local/token and /local/issuer/:
//
//	GET /local/token?role=administrator[&organization=…]   {"token":"…"}
//	GET /local/issuer/.well-known/openid-configuration
//	GET /local/issuer/.well-known/jwks.json
//	GET /local/issuer/authorize       the page that offers the roles; POST is its form
//	POST /local/issuer/token          tokens for a code or a refresh token
//	GET /local/issuer/sign-out
//
// A form that another site's page sends is refused.
func (i *Issuer) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /local/token", i.token)
	mux.HandleFunc("GET "+issuerPath+"/.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET "+issuerPath+"/.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) { send(w, i.keys) })
	i.flow(mux)
	return OnlyLocal(http.NewCrossOriginProtection().Handler(mux))
}

func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	role := r.URL.Query().Get("role")
	org := r.URL.Query().Get("organization")
	if org == "" {
		org = i.Organization
	}
	if !offered(org, role) {
		answer(w, http.StatusBadRequest, "Say role=administrator, manager, frontdesk or viewer, and organization")
		return
	}
	token, err := i.Token(org, role)
	if err != nil {
		answer(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	send(w, map[string]string{"token": token})
}

func send(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(v)
}
