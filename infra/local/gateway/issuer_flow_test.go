package gateway_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/local/gateway"
	"github.com/memberkey/memberkey/shared/organization"
)

// provider is an issuer that listens.
type provider struct {
	*gateway.Issuer
	home  string // "http://localhost:…/"
	clock *atomic.Int64
}

func newProvider(t testing.TB) provider { return providerIn(t, t.TempDir()) }

// providerIn keeps its key in folder.
func providerIn(t testing.TB, folder string) provider {
	t.Helper()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	p := provider{home: strings.Replace(server.URL, "127.0.0.1", "localhost", 1) + "/", clock: new(atomic.Int64)}
	var err error
	if p.Issuer, err = gateway.NewIssuer(folder, p.home); err != nil {
		t.Fatal(err)
	}
	p.clock.Store(1_800_000_000)
	p.Organization, p.Now = "demo", func() time.Time { return time.Unix(p.clock.Load(), 0) }
	handler = p.Handler()
	return p
}

// browser keeps cookies and follows no redirect.
func browser(t testing.TB) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

type reply struct {
	*http.Response
	text string
	to   *url.URL // of a redirect
}

func do(t testing.TB, c *http.Client, r *http.Request) reply {
	t.Helper()
	response, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := reply{Response: response, text: string(text)}
	if response.Header.Get("Location") != "" {
		if out.to, err = response.Location(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func get(t testing.TB, c *http.Client, address string) reply {
	t.Helper()
	r, err := http.NewRequest("GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, c, r)
}

func post(t testing.TB, c *http.Client, address string, form url.Values, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequest("POST", address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return do(t, c, r)
}

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B

// request is a good authentication request; more changes it ("name", "value"; "" takes it out).
func (p provider) request(more ...string) url.Values {
	q := url.Values{
		"client_id": {"console"}, "redirect_uri": {p.home}, "response_type": {"code"}, "scope": {"openid"}, "state": {"s 1&2"}, "nonce": {"n1"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	return with(q, more...)
}

func with(q url.Values, more ...string) url.Values {
	q = maps.Clone(q)
	for i := 0; i < len(more); i += 2 {
		if q.Set(more[i], more[i+1]); more[i+1] == "" {
			q.Del(more[i])
		}
	}
	return q
}

func (p provider) ask(more ...string) string {
	return p.URL + "/authorize?" + p.request(more...).Encode()
}

// choose posts the page's form and gives the code.
func (p provider) choose(t testing.TB, c *http.Client, org, role string) string {
	t.Helper()
	got := post(t, c, p.ask(), url.Values{"role": {role}, "organization": {org}})
	if got.StatusCode != http.StatusSeeOther || got.to.Query().Get("code") == "" {
		t.Fatalf("choosing %s: %s %s", role, got.Status, got.Header.Get("Location"))
	}
	return got.to.Query().Get("code")
}

func (p provider) redemption(code string, more ...string) url.Values {
	return with(url.Values{"grant_type": {"authorization_code"}, "client_id": {"console"}, "code": {code}, "redirect_uri": {p.home}, "code_verifier": {verifier}}, more...)
}

type granted struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"`
	Scope   string `json:"scope"`
	Error   string `json:"error"`
	Why     string `json:"error_description"`
	status  int
}

func (p provider) token(t testing.TB, form url.Values) granted {
	t.Helper()
	got := post(t, http.DefaultClient, p.URL+"/token", form)
	out := granted{status: got.StatusCode}
	if err := json.Unmarshal([]byte(got.text), &out); err != nil {
		t.Fatalf("%s: %v", got.text, err)
	}
	if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", got.Header)
	}
	return out
}

func (p provider) renew(t testing.TB, refresh string) granted {
	t.Helper()
	return p.token(t, url.Values{"grant_type": {"refresh_token"}, "client_id": {"console"}, "refresh_token": {refresh}})
}

// claims verifies a token by the published keys.
func (p provider) claims(t testing.TB, token string) map[string]any {
	t.Helper()
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(get(t, http.DefaultClient, p.URL+"/.well-known/jwks.json").text), &keys); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := jws.Verify(keys.Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// TestFlow signs in, renews and signs out as oidc-client-ts does, by what the
// discovery document says.
func TestFlow(t *testing.T) {
	p := newProvider(t)
	var found struct {
		Issuer    string   `json:"issuer"`
		Authorize string   `json:"authorization_endpoint"`
		Token     string   `json:"token_endpoint"`
		End       string   `json:"end_session_endpoint"`
		Keys      string   `json:"jwks_uri"`
		Types     []string `json:"response_types_supported"`
		Methods   []string `json:"code_challenge_methods_supported"`
		Subjects  []string `json:"subject_types_supported"`
		Algs      []string `json:"id_token_signing_alg_values_supported"`
		Clients   []string `json:"token_endpoint_auth_methods_supported"`
		ByURI     *bool    `json:"request_uri_parameter_supported"`
	}
	if err := json.Unmarshal([]byte(get(t, http.DefaultClient, p.URL+"/.well-known/openid-configuration").text), &found); err != nil {
		t.Fatal(err)
	}
	if found.Issuer != p.URL || found.Authorize != p.URL+"/authorize" || found.Token != p.URL+"/token" || found.End != p.URL+"/sign-out" || found.ByURI == nil || *found.ByURI ||
		!slices.Equal(slices.Concat(found.Types, found.Methods, found.Subjects, found.Algs, found.Clients), []string{"code", "S256", "public", "RS256", "none"}) {
		t.Errorf("discovery: %+v", found)
	}

	// The page, and what it offers.
	c := browser(t)
	ask := found.Authorize + "?" + p.request().Encode()
	shown := get(t, c, ask)
	if shown.StatusCode != 200 || shown.Header.Get("Content-Type") != "text/html; charset=utf-8" || shown.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("the page: %s %v", shown.Status, shown.Header)
	}
	for _, part := range []string{"default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(shown.Header.Get("Content-Security-Policy"), part) {
			t.Errorf("the page's policy lacks %s", part)
		}
	}
	if strings.Contains(shown.Header.Get("Content-Security-Policy"), "unsafe") || strings.Contains(shown.text, "<script") || strings.Contains(shown.text, "style=") {
		t.Error("the page needs more than its policy should allow")
	}
	var offers []string
	for _, m := range regexp.MustCompile(`name="role" value="(\w+)"`).FindAllStringSubmatch(shown.text, -1) {
		offers = append(offers, m[1])
	}
	if slices.Sort(offers); !slices.Equal(offers, slices.Sorted(maps.Keys(organization.Roles))) {
		t.Errorf("offered: %v", offers)
	}
	if !strings.Contains(shown.text, `name="organization" value="demo"`) || len(shown.Cookies()) != 0 {
		t.Error("the page should know the organization and set no cookie")
	}
	sheet := regexp.MustCompile(`rel="stylesheet" href="([^"]+)"`).FindStringSubmatch(shown.text)
	if style := get(t, c, strings.TrimSuffix(p.home, "/")+sheet[1]); style.StatusCode != 200 || !strings.HasPrefix(style.Header.Get("Content-Type"), "text/css") {
		t.Errorf("the style: %s", style.Status)
	}

	// A role, a code, tokens.
	chosen := post(t, c, ask, url.Values{"role": {"manager"}, "organization": {" demo "}}, "Sec-Fetch-Site", "same-origin", "Origin", strings.TrimSuffix(p.home, "/"))
	if chosen.StatusCode != http.StatusSeeOther || chosen.Header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(chosen.Header.Get("Location"), p.home+"?") || chosen.to.Query().Get("state") != "s 1&2" {
		t.Fatalf("chosen: %s %s", chosen.Status, chosen.Header.Get("Location"))
	}
	cookie := chosen.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/local/issuer" || cookie.Domain != "" || !strings.HasSuffix(cookie.Name, "-"+chosen.to.Port()) || len(cookie.Value) != 43 {
		t.Errorf("cookie %s", cookie.Name)
	}
	p.clock.Add(30)
	first := p.token(t, p.redemption(chosen.to.Query().Get("code")))
	if first.status != 200 || first.Type != "Bearer" || first.Expires != 3600 || first.Scope != "openid profile" || first.Refresh == "" {
		t.Fatalf("tokens: %d %s %s", first.status, first.Error, first.Why)
	}
	sum := sha256.Sum256([]byte(first.Access))
	want := map[string]any{
		"iss": p.URL, "aud": "console", "sub": "local-manager", "nonce": "n1", "token_use": "id", "name": "local manager", "cognito:username": "local manager",
		"cognito:groups": []any{"demo:manager"}, "auth_time": 1.8e9, "iat": 1.8e9 + 30, "exp": 1.8e9 + 3630, "at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
	}
	if diff := cmp.Diff(want, p.claims(t, first.ID)); diff != "" {
		t.Error(diff)
	}
	access := p.claims(t, first.Access)
	delete(access, "jti")
	want = map[string]any{
		"iss": p.URL, "client_id": "console", "sub": "local-manager", "username": "local manager", "token_use": "access", "scope": "openid profile",
		"cognito:groups": []any{"demo:manager"}, "auth_time": 1.8e9, "iat": 1.8e9 + 30, "exp": 1.8e9 + 3630,
	}
	if diff := cmp.Diff(want, access); diff != "" {
		t.Error(diff)
	}
	if _, err := p.Verifier().Authorize(first.Access); err != nil {
		t.Error("the API refuses the access token")
	}

	// Who is signed in is not asked again, unless the client wants so.
	for _, prompt := range []string{"", "none", "consent"} {
		again := get(t, c, p.ask("prompt", prompt))
		if again.StatusCode != http.StatusSeeOther || again.to.Query().Get("code") == "" || again.to.Query().Get("state") != "s 1&2" {
			t.Fatalf("prompt=%s: %s", prompt, again.Status)
		}
		if got := p.token(t, p.redemption(again.to.Query().Get("code"))); got.status != 200 || p.claims(t, got.ID)["auth_time"] != 1.8e9 || p.claims(t, got.ID)["sub"] != "local-manager" {
			t.Errorf("prompt=%s: %d %s", prompt, got.status, got.Error)
		}
	}
	for _, prompt := range []string{"login", "select_account", "login consent"} {
		if again := get(t, c, p.ask("prompt", prompt)); again.StatusCode != 200 || !strings.Contains(again.text, `value="viewer"`) {
			t.Errorf("prompt=%s: %s", prompt, again.Status)
		}
	}

	// Renewal keeps what oidc-client-ts compares: sub, auth_time, azp.
	p.clock.Add(3600)
	renewed := p.renew(t, first.Refresh)
	if renewed.status != 200 || renewed.Refresh != "" || renewed.Access == first.Access {
		t.Fatalf("renewed: %d %s", renewed.status, renewed.Error)
	}
	claims := p.claims(t, renewed.ID)
	if _, there := claims["nonce"]; there || claims["sub"] != "local-manager" || claims["auth_time"] != 1.8e9 || claims["iat"] != 1.8e9+3630 {
		t.Errorf("renewed ID token: %v", claims)
	}
	if _, err := p.Verifier().Authorize(renewed.Access); err != nil {
		t.Error("the API refuses the renewed token")
	}

	// Signing out ends the session, its refresh token and its codes; the ID token of the hint has long ended.
	code := get(t, c, ask).to.Query().Get("code")
	out := get(t, c, found.End+"?"+url.Values{"id_token_hint": {first.ID}, "post_logout_redirect_uri": {p.home}, "state": {"bye"}}.Encode())
	if out.StatusCode != http.StatusSeeOther || out.Header.Get("Location") != p.home+"?state=bye" || out.Cookies()[0].MaxAge >= 0 || out.Cookies()[0].Path != "/local/issuer" {
		t.Fatalf("signed out: %s %s", out.Status, out.Header.Get("Location"))
	}
	if got := p.renew(t, first.Refresh); got.status != 400 || got.Error != "invalid_grant" {
		t.Errorf("renewed after signing out: %d %s", got.status, got.Error)
	}
	if got := p.token(t, p.redemption(code)); got.Error != "invalid_grant" {
		t.Errorf("a code of the ended session: %d %s", got.status, got.Error)
	}
	if again := get(t, c, ask); again.StatusCode != 200 {
		t.Errorf("after signing out: %s", again.Status)
	}
	stale, err := http.NewRequest("GET", ask, nil)
	if err != nil {
		t.Fatal(err)
	}
	stale.AddCookie(cookie)
	if got := do(t, browser(t), stale); got.StatusCode != 200 {
		t.Errorf("the old cookie: %s", got.Status)
	}
}

// TestAuthorizeRefuses: what is wrong with the request goes back to the client,
// unless it is the client that is wrong.
func TestAuthorizeRefuses(t *testing.T) {
	p := newProvider(t)
	signedIn := browser(t)
	p.choose(t, signedIn, "demo", "viewer")
	origin := strings.TrimSuffix(p.home, "/")
	for _, path := range []string{"", "console/", "a/b.html", "%2e%2e/x"} {
		if got := get(t, signedIn, p.ask("redirect_uri", p.home+path)); got.StatusCode != http.StatusSeeOther || !strings.HasPrefix(got.Header.Get("Location"), p.home+path+"?code=") {
			t.Fatalf("the base case must pass: %s %s", path, got.Status)
		}
	}
	for _, uri := range []string{
		"", "/", "x", origin, origin + "@evil.example/", origin + ".evil.example/", origin + "0/", "https" + p.home[4:], "HTTP" + p.home[4:],
		strings.Replace(p.home, "localhost", "127.0.0.1", 1), strings.Replace(p.home, "//", "//user@", 1), "http://evil.example/", "//evil.example/", "http://localhost/", "javascript:alert(1)//" + p.home,
		p.home + "?a=b", p.home + "?", p.home + "#f", p.home + `\evil.example`, p.home + "a b", p.home + "\r\nX: y", p.home + "\n", p.home + "ä", " " + p.home,
	} {
		for name, c := range map[string]*http.Client{"nobody": browser(t), "somebody": signedIn} {
			got := get(t, c, p.ask("redirect_uri", uri))
			if got.StatusCode != http.StatusBadRequest || got.to != nil || !strings.Contains(got.text, "redirect_uri") || strings.Contains(got.text, "evil") {
				t.Errorf("%s, redirect_uri %q: %s %v", name, uri, got.Status, got.to)
			}
		}
	}
	for _, client := range []string{"", "other", "Console", "console "} {
		if got := get(t, signedIn, p.ask("client_id", client)); got.StatusCode != http.StatusBadRequest || got.to != nil || !strings.Contains(got.text, "client_id") {
			t.Errorf("client_id %q: %s", client, got.Status)
		}
	}
	for _, twice := range []string{"client_id=console", "redirect_uri=" + url.QueryEscape(p.home)} {
		if got := get(t, signedIn, p.ask()+"&"+twice); got.StatusCode != http.StatusBadRequest || got.to != nil {
			t.Errorf("twice %s: %s", twice, got.Status)
		}
	}
	long := strings.Repeat("x", 2049)
	for _, c := range []struct {
		change []string
		code   string
	}{
		{[]string{"response_type", ""}, "unsupported_response_type"},
		{[]string{"response_type", "token"}, "unsupported_response_type"},
		{[]string{"response_type", "code id_token"}, "unsupported_response_type"},
		{[]string{"response_mode", "fragment"}, "invalid_request"},
		{[]string{"scope", ""}, "invalid_scope"},
		{[]string{"scope", "profile openidx"}, "invalid_scope"},
		{[]string{"code_challenge", ""}, "invalid_request"},
		{[]string{"code_challenge", "short"}, "invalid_request"},
		{[]string{"code_challenge", verifier[:42] + "="}, "invalid_request"},
		{[]string{"code_challenge", verifier + "x"}, "invalid_request"},
		{[]string{"code_challenge_method", ""}, "invalid_request"}, // "plain" by default
		{[]string{"code_challenge_method", "plain"}, "invalid_request"},
		{[]string{"prompt", "none login"}, "invalid_request"},
		{[]string{"nonce", long}, "invalid_request"},
		{[]string{"state", long}, "invalid_request"},
	} {
		for name, browser := range map[string]*http.Client{"nobody": browser(t), "somebody": signedIn} {
			got := get(t, browser, p.ask(c.change...))
			if got.to == nil || !strings.HasPrefix(got.Header.Get("Location"), p.home+"?") {
				t.Errorf("%s, %v: %s", name, c.change, got.Status)
				continue
			}
			q, state := got.to.Query(), p.request(c.change...).Get("state")
			if q.Get("error") != c.code || q.Get("error_description") == "" || q.Get("state") != state || q.Has("code") {
				t.Errorf("%s, %v: %v", name, c.change, q)
			}
		}
	}
	if got := get(t, signedIn, p.ask()+"&nonce=n2"); got.to == nil || got.to.Query().Get("error") != "invalid_request" {
		t.Errorf("twice the nonce: %s", got.Status)
	}
	nobody := get(t, browser(t), p.ask("prompt", "none"))
	if nobody.to == nil || nobody.to.Query().Get("error") != "login_required" || nobody.to.Query().Get("state") != "s 1&2" || nobody.to.Query().Has("code") {
		t.Errorf("prompt=none: %s", nobody.Status)
	}
	for name, more := range map[string][]string{"no state": {"state", ""}, "no nonce": {"nonce", ""}, "more scopes": {"scope", "profile openid email"}, "query": {"response_mode", "query"}} {
		if got := get(t, signedIn, p.ask(more...)); got.to == nil || got.to.Query().Get("code") == "" || got.to.Query().Has("state") != (name != "no state") {
			t.Errorf("%s: %s", name, got.Status)
		}
	}

	// The form: a wrong choice shows the page again, typed text as text; another site's is refused.
	for _, form := range []url.Values{{}, {"role": {"viewer"}}, {"role": {"owner"}, "organization": {"demo"}}, {"role": {"viewer"}, "organization": {`"><b>x:y`}}, {"role": {"viewer"}, "organization": {strings.Repeat("x", 20<<10)}}} {
		got := post(t, browser(t), p.ask(), form)
		if got.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(got.text, `role="alert"`) || !strings.Contains(got.text, `value="viewer"`) || strings.Contains(got.text, "<b>") || len(got.Cookies()) > 0 {
			t.Errorf("form %.40q: %s", form.Encode(), got.Status)
		}
	}
	good := url.Values{"role": {"administrator"}, "organization": {"demo"}}
	if got := post(t, browser(t), p.ask("redirect_uri", "http://evil.example/"), good); got.StatusCode != http.StatusBadRequest || len(got.Cookies()) > 0 {
		t.Errorf("posting to elsewhere: %s", got.Status)
	}
	for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "http://evil.example"}, {"Origin", "null"}} {
		if got := post(t, browser(t), p.ask(), good, headers...); got.StatusCode != http.StatusForbidden || len(got.Cookies()) > 0 {
			t.Errorf("%v: %s", headers, got.Status)
		}
	}
	if got := post(t, browser(t), p.ask(), good, "Origin", origin); got.StatusCode != http.StatusSeeOther {
		t.Errorf("own origin: %s", got.Status)
	}
}

func TestTokenRefuses(t *testing.T) {
	p := newProvider(t)
	c := browser(t)
	p.choose(t, c, "demo", "viewer")
	code := func() string { return get(t, c, p.ask()).to.Query().Get("code") }
	other := strings.Repeat("x", 43)
	for _, row := range []struct {
		name   string
		change []string
		status int
		code   string
		burnt  bool // the code is gone
	}{
		{"good", nil, 200, "", true},
		{"no grant type", []string{"grant_type", ""}, 400, "invalid_request", false},
		{"another grant type", []string{"grant_type", "password"}, 400, "unsupported_grant_type", false},
		{"no client", []string{"client_id", ""}, 401, "invalid_client", false},
		{"another client", []string{"client_id", "other"}, 401, "invalid_client", false},
		{"no code", []string{"code", ""}, 400, "invalid_request", false},
		{"no address", []string{"redirect_uri", ""}, 400, "invalid_request", false},
		{"no verifier", []string{"code_verifier", ""}, 400, "invalid_request", false},
		{"unknown code", []string{"code", other}, 400, "invalid_grant", false},
		{"another address", []string{"redirect_uri", p.home + "x"}, 400, "invalid_grant", true},
		{"another verifier", []string{"code_verifier", other}, 400, "invalid_grant", true},
		{"the challenge as verifier", []string{"code_verifier", p.request().Get("code_challenge")}, 400, "invalid_grant", true},
		{"a code for a refresh token", []string{"grant_type", "refresh_token", "refresh_token", "CODE"}, 400, "invalid_grant", false},
		{"no refresh token", []string{"grant_type", "refresh_token"}, 400, "invalid_request", false},
		{"unknown refresh token", []string{"grant_type", "refresh_token", "refresh_token", other}, 400, "invalid_grant", false},
	} {
		secret := code()
		form := p.redemption(secret, row.change...)
		if form.Get("refresh_token") == "CODE" {
			form.Set("refresh_token", secret)
		}
		got := p.token(t, form)
		if got.status != row.status || got.Error != row.code || (got.Error == "") != (got.Why == "") || (got.Access != "") != (row.code == "") {
			t.Errorf("%s: %d %s %s", row.name, got.status, got.Error, got.Why)
		}
		if then := p.token(t, p.redemption(secret)); (then.status != 200) != row.burnt || row.burnt && then.Error != "invalid_grant" {
			t.Errorf("%s: then %d %s", row.name, then.status, then.Error)
		}
	}
	twice := p.redemption(code())
	twice["code_verifier"] = []string{verifier, verifier}
	if got := p.token(t, twice); got.Error != "invalid_request" {
		t.Errorf("twice the verifier: %s", got.Error)
	}
	// Secrets belong into the body, and the body is a small form.
	if got := post(t, c, p.URL+"/token?"+p.redemption(code()).Encode(), nil); got.StatusCode == 200 || strings.Contains(got.text, "access_token") {
		t.Errorf("in the address: %s", got.Status)
	}
	if got := post(t, c, p.URL+"/token", p.redemption(code()), "Content-Type", "text/plain"); got.StatusCode != 400 || !strings.Contains(got.text, "invalid_request") {
		t.Errorf("no form: %s", got.Status)
	}
	if got := p.token(t, p.redemption(code(), "x", strings.Repeat("x", 20<<10))); got.Error != "invalid_request" {
		t.Errorf("a huge form: %s", got.Error)
	}
	if got := get(t, c, p.URL+"/token?"+p.redemption(code()).Encode()); got.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %s", got.Status)
	}

	// Things end on time: a code after a minute, a session after twelve hours.
	secret := code()
	p.clock.Add(59)
	refresh := p.token(t, p.redemption(secret)).Refresh
	if refresh == "" {
		t.Error("a code of 59 s does not work")
	}
	secret = code()
	p.clock.Add(60)
	if got := p.token(t, p.redemption(secret)); got.Error != "invalid_grant" {
		t.Errorf("a code of 60 s: %d", got.status)
	}
	p.clock.Add(12*3600 - 120)
	if got := p.renew(t, refresh); got.status != 200 {
		t.Errorf("just before the session's end: %s", got.Error)
	}
	p.clock.Add(1)
	if got := p.renew(t, refresh); got.Error != "invalid_grant" {
		t.Errorf("at the session's end: %d", got.status)
	}
	if got := get(t, c, p.ask()); got.StatusCode != 200 {
		t.Errorf("the cookie at the session's end: %s", got.Status)
	}
}

func TestSignOut(t *testing.T) {
	folder := t.TempDir()
	idToken := func(p provider) string { return p.token(t, p.redemption(p.choose(t, browser(t), "demo", "viewer"))).ID }
	p := providerIn(t, folder)
	id, foreign, elsewhere := idToken(p), idToken(newProvider(t)), idToken(providerIn(t, folder))
	token, err := p.Token("demo", "viewer")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		query  url.Values
		status int
		to     string
	}{
		{"OpenID Connect by hint", url.Values{"post_logout_redirect_uri": {p.home}, "id_token_hint": {id}}, 303, p.home},
		{"OpenID Connect by client", url.Values{"post_logout_redirect_uri": {p.home + "x"}, "client_id": {"console"}, "state": {"a b"}}, 303, p.home + "x?state=a+b"},
		{"Cognito", url.Values{"logout_uri": {p.home}, "client_id": {"console"}}, 303, p.home},
		{"both, as the console", url.Values{"post_logout_redirect_uri": {p.home}, "id_token_hint": {id}, "logout_uri": {p.home}, "client_id": {"console", "console"}}, 303, p.home},
		{"nothing said", nil, 200, ""},
		{"no client", url.Values{"post_logout_redirect_uri": {p.home}}, 400, ""},
		{"another client", url.Values{"logout_uri": {p.home}, "client_id": {"other"}}, 400, ""},
		{"two clients", url.Values{"logout_uri": {p.home}, "client_id": {"console", "other"}}, 400, ""},
		{"another issuer's token", url.Values{"post_logout_redirect_uri": {p.home}, "id_token_hint": {foreign}, "client_id": {"console"}}, 400, ""},
		{"a token from another port, by the same key", url.Values{"post_logout_redirect_uri": {p.home}, "id_token_hint": {elsewhere}}, 400, ""},
		{"an access token", url.Values{"post_logout_redirect_uri": {p.home}, "id_token_hint": {token}}, 400, ""},
		{"no token", url.Values{"post_logout_redirect_uri": {p.home}, "id_token_hint": {"x"}}, 400, ""},
		{"elsewhere", url.Values{"post_logout_redirect_uri": {"http://evil.example/"}, "id_token_hint": {id}}, 400, ""},
		{"elsewhere, as Cognito", url.Values{"logout_uri": {strings.TrimSuffix(p.home, "/") + "@evil.example/"}, "client_id": {"console"}}, 400, ""},
		{"elsewhere in second place", url.Values{"post_logout_redirect_uri": {p.home}, "logout_uri": {"//evil.example/"}, "client_id": {"console"}}, 400, ""},
	} {
		browser := browser(t)
		p.choose(t, browser, "demo", "manager")
		got := get(t, browser, p.URL+"/sign-out?"+c.query.Encode())
		if got.StatusCode != c.status || got.Header.Get("Location") != c.to || strings.Contains(got.text, "evil") {
			t.Errorf("%s: %s %s", c.name, got.Status, got.Header.Get("Location"))
		}
		if c.to == "" && !strings.Contains(got.text, "You are signed out") {
			t.Errorf("%s: %s", c.name, got.text)
		}
		if again := get(t, browser, p.ask()); again.StatusCode != 200 {
			t.Errorf("%s: signed in still", c.name)
		}
	}
	if got := get(t, browser(t), p.URL+"/sign-out?client_id=console&logout_uri="+url.QueryEscape(p.home)); got.StatusCode != 303 {
		t.Errorf("who was not signed in: %s", got.Status)
	}
}

// TestSeveralPeople: each browser is one person, and stays that person
// whatever the others do.
func TestSeveralPeople(t *testing.T) {
	p := newProvider(t)
	type person struct {
		browser      *http.Client
		role, org    string
		refreshToken string
	}
	var people []*person
	for _, role := range slices.Sorted(maps.Keys(organization.Roles)) {
		for _, org := range []string{"demo", "acme"} {
			people = append(people, &person{browser: browser(t), role: role, org: org})
		}
	}
	group := func(who *person, got granted) {
		if got.status != 200 {
			t.Errorf("%s of %s: %s", who.role, who.org, got.Error)
			return
		}
		identity, err := p.Verifier().Authorize(got.Access)
		if err != nil || identity.Claims["cognito:groups"] != "["+who.org+":"+who.role+"]" || identity.Claims["sub"] != "local-"+who.role {
			t.Errorf("%s of %s has %v", who.role, who.org, identity.Claims)
		}
	}
	var wait sync.WaitGroup
	for _, who := range people {
		wait.Go(func() {
			out := p.token(t, p.redemption(p.choose(t, who.browser, who.org, who.role)))
			group(who, out)
			who.refreshToken = out.Refresh
			for range 5 {
				group(who, p.token(t, p.redemption(get(t, who.browser, p.ask()).to.Query().Get("code"))))
				group(who, p.renew(t, who.refreshToken))
			}
		})
	}
	wait.Wait()

	// One changes the role: the old session is over. One signs out. The others go on.
	changed, left := people[0], people[1]
	p.choose(t, changed.browser, "demo", "viewer")
	get(t, left.browser, p.URL+"/sign-out")
	for _, who := range people[:2] {
		if got := p.renew(t, who.refreshToken); got.Error != "invalid_grant" {
			t.Errorf("%s of %s: %d", who.role, who.org, got.status)
		}
	}
	group(&person{role: "viewer", org: "demo"}, p.token(t, p.redemption(get(t, changed.browser, p.ask()).to.Query().Get("code"))))
	for _, who := range people[2:] {
		group(who, p.renew(t, who.refreshToken))
	}
}

// TestOneUse: of any number of racing redemptions one wins.
func TestOneUse(t *testing.T) {
	p := newProvider(t)
	code := p.choose(t, browser(t), "demo", "viewer")
	var won atomic.Int32
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			if post(t, http.DefaultClient, p.URL+"/token", p.redemption(code)).StatusCode == 200 {
				won.Add(1)
			}
		})
	}
	wait.Wait()
	if won.Load() != 1 {
		t.Errorf("%d won", won.Load())
	}
}

// TestLife: tokens end when the issuer is told, the scripts' do not.
func TestLife(t *testing.T) {
	p := newProvider(t)
	p.Life = 2 * time.Second
	got := p.token(t, p.redemption(p.choose(t, browser(t), "demo", "viewer")))
	script, err := p.Token("demo", "viewer")
	if err != nil {
		t.Fatal(err)
	}
	if got.Expires != 2 || p.claims(t, got.ID)["exp"] != 1.8e9+2 {
		t.Errorf("expires_in %d", got.Expires)
	}
	for _, c := range []struct {
		at      int64
		short   bool
		scripts bool
	}{{0, true, true}, {1, true, true}, {2, false, true}, {3599, false, true}, {3600, false, false}} {
		p.clock.Store(1_800_000_000 + c.at)
		if _, err := p.Verifier().Authorize(got.Access); (err == nil) != c.short {
			t.Errorf("after %d s: %v", c.at, err)
		}
		if _, err := p.Verifier().Authorize(script); (err == nil) != c.scripts {
			t.Errorf("a script's after %d s: %v", c.at, err)
		}
	}
	p.clock.Store(1_800_000_010)
	if renewed := p.renew(t, got.Refresh); renewed.Expires != 2 || p.claims(t, renewed.Access)["exp"] != 1.8e9+12 {
		t.Errorf("renewed: %d %s", renewed.Expires, renewed.Error)
	}
}

// TestIssuerIsBounded: whatever is asked for, so much is kept; the newest
// sign-ins and codes work, and what has ended is forgotten first.
func TestIssuerIsBounded(t *testing.T) {
	p := newProvider(t)
	handler := p.Handler()
	serve := func(r *http.Request) *http.Response {
		r.Host = "localhost"
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Result()
	}
	choose := func() (*http.Cookie, string) {
		r := httptest.NewRequest("POST", p.ask(), strings.NewReader("role=viewer&organization=demo"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response := serve(r)
		to, err := response.Location()
		if err != nil {
			t.Fatal(err)
		}
		return response.Cookies()[0], to.Query().Get("code")
	}
	first, firstCode := choose()
	p.clock.Add(1)
	var last *http.Cookie
	var lastCode string
	for range 1000 {
		last, lastCode = choose()
	}
	if got := gateway.Kept(p.Issuer); got != [2]int{1000, 1000} {
		t.Errorf("kept %v", got)
	}
	for cookie, status := range map[*http.Cookie]int{first: 200, last: 303} {
		r := httptest.NewRequest("GET", p.ask(), nil)
		r.AddCookie(cookie)
		if got := serve(r); got.StatusCode != status {
			t.Errorf("%d, want %d", got.StatusCode, status)
		}
	}
	if got := p.token(t, p.redemption(firstCode)); got.Error != "invalid_grant" {
		t.Errorf("the oldest code: %d", got.status)
	}
	if got := p.token(t, p.redemption(lastCode)); got.status != 200 {
		t.Errorf("the newest code: %s", got.Error)
	}
	p.clock.Add(60)
	choose()
	if got := gateway.Kept(p.Issuer)[1]; got != 1 {
		t.Errorf("%d codes kept after all but one have ended", got)
	}
	p.clock.Add(12 * 3600)
	choose()
	if got := gateway.Kept(p.Issuer); got != [2]int{1, 1} {
		t.Errorf("kept after a day: %v", got)
	}
}

type noRandom struct{}

func (noRandom) Read([]byte) (int, error) { return 0, errors.New("no randomness") }

// TestNoRandomness: without it nobody gets in.
func TestNoRandomness(t *testing.T) {
	p := newProvider(t)
	c := browser(t)
	code := p.choose(t, c, "demo", "viewer")
	p.Rand = noRandom{}
	if got := get(t, c, p.ask()); got.to == nil || got.to.Query().Get("error") != "server_error" || got.to.Query().Has("code") {
		t.Errorf("code: %s", got.Status)
	}
	if got := post(t, browser(t), p.ask(), url.Values{"role": {"viewer"}, "organization": {"demo"}}); got.to == nil || got.to.Query().Get("error") != "server_error" || len(got.Cookies()) > 0 {
		t.Errorf("session: %s", got.Status)
	}
	if got := p.token(t, p.redemption(code)); got.status != 500 || got.Error != "server_error" || got.Access != "" {
		t.Errorf("token: %d %s", got.status, got.Error)
	}
}
