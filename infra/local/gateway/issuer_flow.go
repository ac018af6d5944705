package gateway

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/base64"
	"encoding/json"
	html "html/template"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/memberkey/memberkey/shared/organization"
)

// What a browser does to sign staff in: the authorization code flow with PKCE
// (OpenID Connect Core 1.0 §3.1, RFC 7636), refresh tokens (§12) and
// RP-Initiated Logout 1.0. A cookie is one session of one person in one role,
// so two browsers can be two people; a session has one refresh token, which
// ends with it. All of it is in memory: after a restart the page asks again.

const (
	issuerPath = "/local/issuer"
	// codeLife is short because a code is redeemed by the page that it lands on.
	codeLife = time.Minute
	// sessionLife is that of the pool's refresh tokens in template.yaml.
	sessionLife = 12 * time.Hour
	// scope is what every token has, whatever more was asked for.
	scope = "openid profile"
	// maxForm is ample for the forms of this file, in bytes.
	maxForm = 16 << 10
	// maxEcho is how long a state or nonce may be.
	maxEcho = 2 << 10
)

// session is one sign-in of one browser. It never changes.
type session struct {
	cookie, refresh string // the secrets that name it
	org, role       string
	began           time.Time // the tokens' auth_time, the same after each renewal (§12.2)
}

// grant is what a code stands for.
type grant struct {
	session                    *session
	redirect, challenge, nonce string
}

// choice is a role on the page; Name is a key of organization.Roles.
type choice struct{ Name, Title, May string }

var choices = []choice{
	{"administrator", "Administrator", "Everything, the organization’s settings included."},
	{"manager", "Manager", "Everything but the settings."},
	{"frontdesk", "Front desk", "Profiles, reset emails, logins on or off. No passwords, no mailings."},
	{"viewer", "Viewer", "Looks at profiles and usernames, changes nothing."},
}

// offered says whether tokens are made for a role in an organization.
func offered(org, role string) bool {
	return organization.Roles[role] != nil && org != "" && !strings.ContainsAny(org, ": \t\r\n")
}

//go:embed pages
var signInFiles embed.FS

var signInPage = html.Must(html.ParseFS(signInFiles, "pages/issuer.html"))

// No script, nothing from elsewhere, in nobody's frame.
const signInPolicy = "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// flow adds the flow's routes.
func (i *Issuer) flow(mux *http.ServeMux) {
	mux.HandleFunc("GET "+issuerPath+"/authorize", i.authorize)
	mux.HandleFunc("POST "+issuerPath+"/authorize", i.authorize)
	mux.HandleFunc("POST "+issuerPath+"/token", i.exchange)
	mux.HandleFunc("GET "+issuerPath+"/sign-out", i.signOut)
	mux.HandleFunc("GET "+issuerPath+"/issuer.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, signInFiles, "pages/issuer.css")
	})
}

// discovery is OpenID Provider Metadata (OpenID Connect Discovery 1.0 §3).
func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	send(w, map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/.well-known/jwks.json",
		"authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "end_session_endpoint": i.URL + "/sign-out",
		"response_types_supported": []string{"code"}, "response_modes_supported": []string{"query"},
		"grant_types_supported":                 []string{"authorization_code", "refresh_token"},
		"code_challenge_methods_supported":      []string{"S256"},
		"token_endpoint_auth_methods_supported": []string{"none"},
		"scopes_supported":                      strings.Fields(scope),
		"prompt_values_supported":               []string{"none", "login", "select_account"},
		"subject_types_supported":               []string{"public"},
		"claims_supported":                      []string{"iss", "aud", "sub", "exp", "iat", "auth_time", "nonce", "at_hash", "name", "cognito:groups"},
		"id_token_signing_alg_values_supported": []string{string(jose.RS256)},
		"request_uri_parameter_supported":       false, // true unless said
	})
}

// authorize answers an authentication request (§3.1.2): with a code for who is
// signed in, with the page for who is not, and with a code for the page's form.
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	// Where it is not certain who asks and where to, nobody is sent anywhere (RFC 6749 §4.1.2.1).
	if all := q["client_id"]; len(all) != 1 || all[0] != audience {
		i.show(w, http.StatusBadRequest, view{Problem: "The request names no client that this issuer knows: client_id must be " + audience + "."})
		return
	}
	if all := q["redirect_uri"]; len(all) != 1 || !i.own(all[0]) {
		i.show(w, http.StatusBadRequest, view{Problem: "The request would lead elsewhere: redirect_uri must be an address under " + i.home() + ", without a query. Open Memberkey by that address."})
		return
	}
	back := func(answer url.Values) {
		if state := q.Get("state"); state != "" {
			answer.Set("state", state)
		}
		redirect(w, q.Get("redirect_uri"), answer)
	}
	if code, why := unacceptable(q); code != "" {
		back(url.Values{"error": {code}, "error_description": {why}})
		return
	}
	prompt := strings.Fields(q.Get("prompt"))
	s := i.session(r)
	switch {
	case r.Method == http.MethodPost:
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		role, org := r.PostFormValue("role"), strings.TrimSpace(r.PostFormValue("organization"))
		if !offered(org, role) {
			i.show(w, http.StatusUnprocessableEntity, view{Roles: choices, Organization: org,
				Problem: "Choose one of the roles, and an organization by its short name, without spaces or colons."})
			return
		}
		var err error
		if s, err = i.signIn(s, org, role); err != nil {
			back(url.Values{"error": {"server_error"}})
			return
		}
		http.SetCookie(w, &http.Cookie{Name: i.cookie(), Value: s.cookie, Path: issuerPath, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	case s == nil && slices.Contains(prompt, "none"):
		back(url.Values{"error": {"login_required"}, "error_description": {"Nobody is signed in."}})
		return
	case s == nil, slices.Contains(prompt, "login"), slices.Contains(prompt, "select_account"):
		i.show(w, http.StatusOK, view{Roles: choices, Organization: i.Organization})
		return
	}
	code, err := i.random(32)
	if err != nil {
		back(url.Values{"error": {"server_error"}})
		return
	}
	now := i.Now()
	i.mu.Lock()
	i.codes.put(code, grant{s, q.Get("redirect_uri"), q.Get("code_challenge"), q.Get("nonce")}, now, now.Add(codeLife))
	i.mu.Unlock()
	back(url.Values{"code": {code}})
}

// challenge is a SHA-256 in base64url (RFC 7636 §4.2).
var challenge = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// unacceptable says what is wrong with an authentication request: a code of RFC 6749
// §4.1.2.1 and a sentence for the developer who wrote it.
func unacceptable(q url.Values) (code, why string) {
	for _, values := range q {
		if len(values) > 1 {
			return "invalid_request", "A parameter is there twice."
		}
	}
	prompt := strings.Fields(q.Get("prompt"))
	switch {
	case q.Get("response_type") != "code":
		return "unsupported_response_type", "response_type must be code."
	case !slices.Contains(strings.Fields(q.Get("scope")), "openid"):
		return "invalid_scope", "scope must have openid."
	case cmp.Or(q.Get("response_mode"), "query") != "query":
		return "invalid_request", "response_mode must be query."
	case q.Get("code_challenge_method") != "S256" || !challenge.MatchString(q.Get("code_challenge")):
		return "invalid_request", "PKCE is required: code_challenge, and S256 as code_challenge_method."
	case slices.Contains(prompt, "none") && len(prompt) > 1:
		return "invalid_request", "prompt=none stands alone."
	case len(q.Get("state")) > maxEcho || len(q.Get("nonce")) > maxEcho:
		return "invalid_request", "state and nonce may have 2048 bytes."
	}
	return "", ""
}

// exchange is the token endpoint (RFC 6749 §3.2) for a client without a secret.
func (i *Issuer) exchange(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, code, why string) {
		w.Header().Set("Content-Type", "application/json") // sent with the status
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": why})
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" || r.ParseForm() != nil {
		refuse(http.StatusBadRequest, "invalid_request", "Send a form.")
		return
	}
	f := r.PostForm // never what stands in the address, which gets into logs
	for _, values := range f {
		if len(values) > 1 {
			refuse(http.StatusBadRequest, "invalid_request", "A parameter is there twice.")
			return
		}
	}
	if f.Get("client_id") != audience {
		refuse(http.StatusUnauthorized, "invalid_client", "client_id must be "+audience+".")
		return
	}
	needed := map[string][]string{"authorization_code": {"code", "redirect_uri", "code_verifier"}, "refresh_token": {"refresh_token"}}
	kind := f.Get("grant_type")
	if kind != "" && needed[kind] == nil {
		refuse(http.StatusBadRequest, "unsupported_grant_type", "grant_type must be authorization_code or refresh_token.")
		return
	}
	for _, name := range append(needed[kind], "grant_type") {
		if f.Get(name) == "" {
			refuse(http.StatusBadRequest, "invalid_request", name+" is missing.")
			return
		}
	}
	var out map[string]any
	var err error
	if kind == "refresh_token" {
		s := i.refreshed(f.Get("refresh_token"))
		if s == nil {
			refuse(http.StatusBadRequest, "invalid_grant", "The refresh token has ended; sign in again.")
			return
		}
		out, err = i.tokens(s, "") // no nonce (§12.2); the refresh token stays, and is not told again, as with Cognito
	} else {
		g, ok := i.redeem(f.Get("code"))
		if !ok || g.redirect != f.Get("redirect_uri") || !proves(f.Get("code_verifier"), g.challenge) {
			refuse(http.StatusBadRequest, "invalid_grant", "The code was used or has ended, or redirect_uri or code_verifier is not the one of the request.")
			return
		}
		if out, err = i.tokens(g.session, g.nonce); err == nil {
			out["refresh_token"] = g.session.refresh
		}
	}
	if err != nil {
		refuse(http.StatusInternalServerError, "server_error", "No token could be made.")
		return
	}
	send(w, out)
}

// proves says whether verifier is what challenge was made from (RFC 7636 §4.6).
func proves(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// tokens makes the answer for a session but for the refresh token. The ID token
// is for the client alone; the API refuses it.
func (i *Issuer) tokens(s *session, nonce string) (map[string]any, error) {
	now, life := i.Now(), cmp.Or(i.Life, tokenLife)
	access, err := i.access(s.org, s.role, s.began, now.Add(life))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(access))
	claims := map[string]any{
		"iss": i.URL, "sub": "local-" + s.role, "aud": audience, "token_use": "id",
		"name": "local " + s.role, "cognito:username": "local " + s.role, "cognito:groups": []string{s.org + ":" + s.role},
		"iat": now.Unix(), "auth_time": s.began.Unix(), "exp": now.Add(life).Unix(),
		"at_hash": base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2]), // §3.1.3.6
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	id, err := i.sign(claims)
	if err != nil {
		return nil, err
	}
	return map[string]any{"access_token": access, "id_token": id, "token_type": "Bearer", "expires_in": int(life.Seconds()), "scope": scope}, nil
}

// signOut ends the browser's session: by RP-Initiated Logout 1.0
// (post_logout_redirect_uri, id_token_hint, client_id, state), or as Cognito
// has it (logout_uri, client_id). A client may send both.
//
// https://docs.aws.amazon.com/cognito/latest/developerguide/logout-endpoint.html
func (i *Issuer) signOut(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if s := i.session(r); s != nil {
		i.mu.Lock()
		delete(i.sessions, s.cookie) // and with it its refresh token and codes
		i.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{Name: i.cookie(), Path: issuerPath, MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	asked := slices.Concat(q["post_logout_redirect_uri"], q["logout_uri"])
	known := len(q["client_id"])+len(q["id_token_hint"]) > 0
	for _, client := range q["client_id"] { // oidc-client-ts sends it twice when it is also told to
		known = known && client == audience
	}
	for _, hint := range q["id_token_hint"] {
		known = known && i.made(hint)
	}
	switch {
	case len(asked) == 0:
		i.show(w, http.StatusOK, view{Title: "You are signed out"})
	case !known:
		i.show(w, http.StatusBadRequest, view{Title: "You are signed out", Problem: "The request does not say for which client, so it leads nowhere: send client_id=" + audience + " or an ID token of this issuer."})
	case slices.ContainsFunc(asked, func(to string) bool { return !i.own(to) }):
		i.show(w, http.StatusBadRequest, view{Title: "You are signed out", Problem: "The request would lead elsewhere: only addresses under " + i.home() + " are allowed, without a query."})
	default:
		answer := url.Values{}
		if state := q.Get("state"); state != "" && len(state) <= maxEcho {
			answer.Set("state", state)
		}
		redirect(w, asked[0], answer)
	}
}

// made says whether an ID token is this issuer's and the client's; it may have
// ended long ago (RP-Initiated Logout 1.0 §4).
func (i *Issuer) made(token string) bool {
	payload, err := i.Verifier().open(token)
	var claims struct{ Iss, Aud string }
	return err == nil && json.Unmarshal(payload, &claims) == nil && claims.Iss == i.URL && claims.Aud == audience
}

// session is the one that the request's cookie names, or nil.
func (i *Issuer) session(r *http.Request) *session {
	c, err := r.Cookie(i.cookie())
	if err != nil {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	s, _ := i.sessions.get(c.Value, i.Now())
	return s
}

// signIn begins a session in the place of the browser's old one, if any.
func (i *Issuer) signIn(old *session, org, role string) (*session, error) {
	s := &session{org: org, role: role, began: i.Now()}
	for _, secret := range []*string{&s.cookie, &s.refresh} {
		var err error
		if *secret, err = i.random(32); err != nil {
			return nil, err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if old != nil {
		delete(i.sessions, old.cookie)
	}
	i.sessions.put(s.cookie, s, s.began, s.began.Add(sessionLife))
	return s, nil
}

// redeem gives what a code stands for, once, whatever then comes of it: who
// guesses at a verifier has one guess.
func (i *Issuer) redeem(code string) (grant, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.Now()
	g, ok := i.codes.get(code, now)
	delete(i.codes, code)
	if ok {
		_, ok = i.sessions.get(g.session.cookie, now)
	}
	return g, ok
}

// refreshed is the session of a refresh token, or nil.
func (i *Issuer) refreshed(token string) *session {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.Now()
	for _, one := range i.sessions {
		if now.Before(one.ends) && subtle.ConstantTimeCompare([]byte(one.value.refresh), []byte(token)) == 1 {
			return one.value
		}
	}
	return nil
}

// random is a secret name of n random bytes.
func (i *Issuer) random(n int) (string, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(i.Rand, b)
	return base64.RawURLEncoding.EncodeToString(b), err
}

// home is the local system's front page.
func (i *Issuer) home() string { return strings.TrimSuffix(i.URL, issuerPath) + "/" }

var plainPath = regexp.MustCompile(`^[\w.~%/-]*$`)

// own says whether an address is of this local system. The origin has to stand
// there to its slash, and after it no character with a meaning but "/" and "%":
// so no reading of the address leads elsewhere.
func (i *Issuer) own(address string) bool {
	path, ok := strings.CutPrefix(address, i.home())
	return ok && plainPath.MatchString(path)
}

// cookie names the cookie. A browser knows no port in a cookie, and two local
// systems on one laptop must not sign each other's people out.
func (i *Issuer) cookie() string {
	u, err := url.Parse(i.URL)
	if err != nil {
		return "issuer"
	}
	return "issuer-" + u.Port()
}

// redirect sends the browser on, to an address without a query.
func redirect(w http.ResponseWriter, to string, answer url.Values) {
	if len(answer) > 0 {
		to += "?" + answer.Encode()
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// view is what the page shows: the roles to choose from, or where to go on.
type view struct {
	Title, Problem string
	Roles          []choice
	Organization   string
	Home           string
}

func (i *Issuer) show(w http.ResponseWriter, status int, v view) {
	v.Title, v.Home = cmp.Or(v.Title, "Development sign-in"), i.home()
	var b bytes.Buffer
	if err := signInPage.Execute(&b, v); err != nil {
		answer(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", signInPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // "no-referrer" would take the form's Origin away
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}
