package credentials_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/functions/credentials"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

const (
	canary = "c4n4ry-walnut-lantern-orbit"
	fresh  = "copper-violin-harvest-plume"

	read   = "GET /api/profiles/{id}/credentials"
	put    = "PUT /api/profiles/{id}/credentials"
	remove = "DELETE /api/profiles/{id}/credentials"
	access = "GET /api/profiles/{id}/access"
	draw   = "POST /api/passwords/generate"
	check  = "POST /api/passwords/check"
)

type api struct {
	*testing.T
	store   *store.Store
	handler httpapi.Handler
	log     *bytes.Buffer
}

type silent struct{}

func (silent) Ring(context.Context, ...mailing.Bell) error { return nil }

// open makes an association with member 1, who has username and password
// (version 1), and member 2, who has neither.
func open(t *testing.T) *api {
	t.Helper()
	db, err := embedded.Open(filepath.Join(t.TempDir(), "x.db"), embedded.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	a := &api{T: t, store: &store.Store{DB: db}, log: &bytes.Buffer{}}
	log := slog.New(slog.NewJSONHandler(a.log, nil))
	now := func() time.Time { return time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC) }
	service := &credential.Service{
		Store: store.For[credential.Tx](a.store), Mail: store.For[mailing.Tx](a.store), Hasher: password.NewHasher(password.Fast, 1, rand.Reader),
		Bells: silent{}, Now: now, Rand: rand.Reader, NewID: store.NewID, Again: time.Minute, Log: log,
	}
	a.handler = (&credentials.Function{Credentials: service}).Routes().Handler(httpapi.Config{Log: log})
	a.settle(func(*organization.Settings) {})
	for _, id := range []profile.ID{"1", "2"} {
		kind, status, given, family, email := profile.Individual, profile.Active, "Ana", "Garcia", fmt.Sprintf("p%s@example.com", id)
		p, err := profile.Create("acme", profile.Fields{ID: &id, Type: &kind, Status: &status, FirstName: &given, LastName: &family, Email: &email}, now(), rand.Reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.store.Update(t.Context(), func(tx *store.Tx) error { return tx.PutProfile(p) }); err != nil {
			t.Fatal(err)
		}
	}
	if out := a.call(put, "1", `{"password":"`+canary+`"}`, "if-match", `"0"`); out.StatusCode != 200 {
		t.Fatal(out.Body)
	}
	return a
}

func (a *api) settle(change func(*organization.Settings)) {
	a.Helper()
	s := organization.Defaults("acme", "Harbour Association")
	change(&s)
	if err := a.store.Update(a.Context(), func(tx *store.Tx) error { tx.PutOrganization(&s); return nil }); err != nil {
		a.Fatal(err)
	}
}

// call sends a request of a manager of acme; headers come in pairs, "group"
// stands for the claim.
func (a *api) call(key, id, body string, headers ...string) events.APIGatewayV2HTTPResponse {
	a.Helper()
	method, path, _ := strings.Cut(key, " ")
	e := events.APIGatewayV2HTTPRequest{RouteKey: key, RawPath: path, Headers: map[string]string{}, Body: body}
	if body != "" {
		e.Headers["content-type"] = "application/json"
	}
	if id != "" {
		e.PathParameters = map[string]string{"id": id}
	}
	e.RequestContext.HTTP.Method, e.RequestContext.HTTP.SourceIP, e.RequestContext.RequestID = method, "192.0.2.7", "request-1"
	claims := map[string]string{"sub": "s-1", "name": "Eve Desk", "cognito:groups": "[acme:manager]"}
	for i := 0; i < len(headers); i += 2 {
		switch {
		case headers[i] == "group" && headers[i+1] == "":
			claims = nil
		case headers[i] == "group":
			claims["cognito:groups"] = headers[i+1]
		default:
			e.Headers[headers[i]] = headers[i+1]
		}
	}
	if claims != nil {
		e.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
			JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{Claims: claims}}
	}
	out, err := a.handler(a.Context(), e)
	if err != nil {
		a.Fatal(err)
	}
	return out
}

func object(t *testing.T, out events.APIGatewayV2HTTPResponse) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(out.Body), &v); err != nil {
		t.Fatalf("%d %q: %v", out.StatusCode, out.Body, err)
	}
	return v
}

func TestRefusals(t *testing.T) {
	off := func(s *organization.Settings) { s.StaffMayTypePasswords = false }
	tests := map[string]struct {
		key, id, body string
		headers       []string
		settle        func(*organization.Settings)
		status        int
		code, field   string
	}{
		"signed out":                  {key: read, id: "1", headers: []string{"group", ""}, status: 401, code: "unauthenticated"},
		"no staff":                    {key: read, id: "1", headers: []string{"group", "[birds]"}, status: 403, code: "not_staff"},
		"another organization":        {key: read, id: "1", headers: []string{"group", "[birds:administrator]"}, status: 404, code: "profile_not_found", field: "id"},
		"another's access":            {key: access, id: "1", headers: []string{"group", "[birds:administrator]"}, status: 404, code: "organization_not_found", field: "organization"},
		"viewer changes":              {key: put, id: "1", body: `{}`, headers: []string{"group", "[acme:viewer]", "if-match", `"1"`}, status: 403, code: "forbidden"},
		"front desk changes":          {key: put, id: "1", body: `{}`, headers: []string{"group", "[acme:frontdesk]", "if-match", `"1"`}, status: 403, code: "forbidden"},
		"front desk generates":        {key: draw, headers: []string{"group", "[acme:frontdesk]"}, status: 403, code: "forbidden"},
		"viewer removes":              {key: remove, id: "1", headers: []string{"group", "[acme:viewer]", "if-match", `"1"`}, status: 403, code: "forbidden"},
		"no such profile":             {key: read, id: "99", status: 404, code: "profile_not_found", field: "id"},
		"no profile ID":               {key: read, id: "1#profile", status: 404, code: "profile_not_found", field: "id"},
		"a very long ID":              {key: read, id: strings.Repeat("1", 3000), status: 404, code: "profile_not_found", field: "id"},
		"query":                       {key: access, id: "99", status: 404, code: "profile_not_found", field: "id"},
		"no version":                  {key: put, id: "1", body: `{"username":"ana"}`, status: 428, code: "version_missing", field: "If-Match"},
		"no version, removing":        {key: remove, id: "1", status: 428, code: "version_missing", field: "If-Match"},
		"any version":                 {key: put, id: "1", body: `{"username":"ana"}`, headers: []string{"if-match", "*"}, status: 400, code: "version_invalid", field: "If-Match"},
		"stale":                       {key: put, id: "1", body: `{"username":"ana"}`, headers: []string{"if-match", `"0"`}, status: 412, code: "version_stale", field: "If-Match"},
		"stale, removing":             {key: remove, id: "1", headers: []string{"if-match", `"7"`}, status: 412, code: "version_stale", field: "If-Match"},
		"no body":                     {key: put, id: "1", headers: []string{"if-match", `"1"`, "content-type", "application/json"}, status: 400, code: "body_invalid"},
		"no JSON":                     {key: put, id: "1", body: `{"username"`, headers: []string{"if-match", `"1"`}, status: 400, code: "body_invalid"},
		"a form":                      {key: put, id: "1", body: `username=ana`, headers: []string{"if-match", `"1"`, "content-type", "application/x-www-form-urlencoded"}, status: 400, code: "content_type", field: "Content-Type"},
		"unknown key":                 {key: put, id: "1", body: `{"username":"ana","hash":"x"}`, headers: []string{"if-match", `"1"`}, status: 400, code: "field_unknown", field: "hash"},
		"key in capitals":             {key: put, id: "1", body: `{"Username":"ana"}`, headers: []string{"if-match", `"1"`}, status: 400, code: "field_unknown", field: "Username"},
		"key twice":                   {key: put, id: "1", body: `{"username":"ana","username":"ben"}`, headers: []string{"if-match", `"1"`}, status: 400, code: "field_duplicate", field: "username"},
		"username is a number":        {key: put, id: "1", body: `{"username":7}`, headers: []string{"if-match", `"1"`}, status: 400, code: "field_type", field: "username"},
		"password is a list":          {key: put, id: "1", body: `{"password":["` + canary + `"]}`, headers: []string{"if-match", `"1"`}, status: 400, code: "field_type", field: "password"},
		"too large":                   {key: put, id: "1", body: `{"password":"` + strings.Repeat("a", 9000) + `"}`, headers: []string{"if-match", `"1"`}, status: 413, code: "body_too_large"},
		"password too short":          {key: put, id: "1", body: `{"password":"short"}`, headers: []string{"if-match", `"1"`}, status: 400, code: "password_too_short", field: "password"},
		"password too long":           {key: put, id: "1", body: `{"password":"` + strings.Repeat("walnut ", 60) + `"}`, headers: []string{"if-match", `"1"`}, status: 400, code: "password_too_long", field: "password"},
		"not a username":              {key: put, id: "1", body: `{"username":"ana garcia"}`, headers: []string{"if-match", `"1"`}, status: 400, code: "username_invalid", field: "username"},
		"username emptied":            {key: put, id: "1", body: `{"username":""}`, headers: []string{"if-match", `"1"`}, status: 400, code: "username_invalid", field: "username"},
		"not an own address":          {key: put, id: "2", body: `{"username":"x@example.org"}`, headers: []string{"if-match", `"0"`}, status: 400, code: "username_not_own_address", field: "username"},
		"username taken":              {key: put, id: "2", body: `{"username":"taken"}`, headers: []string{"if-match", `"0"`}, status: 409, code: "username_taken", field: "username"},
		"typing is off":               {key: put, id: "1", body: `{"password":"` + fresh + `"}`, headers: []string{"if-match", `"1"`}, settle: off, status: 422, code: "typing_switched_off", field: "password"},
		"typing is off, generating":   {key: draw, settle: off, status: 422, code: "typing_switched_off", field: "password"},
		"body where none is":          {key: draw, body: `{"words":3}`, status: 400, code: "body_unexpected"},
		"body on removing":            {key: remove, id: "1", body: `{"x":1}`, headers: []string{"if-match", `"1"`}, status: 400, code: "body_unexpected"},
		"check without a password":    {key: check, body: `{"password":null}`, status: 400, code: "field_type", field: "password"},
		"check, profile is a number":  {key: check, body: `{"password":"x","profileId":1}`, status: 400, code: "field_type", field: "profileId"},
		"check, profile is not there": {key: check, body: `{"password":"x","profileId":"99"}`, status: 404, code: "profile_not_found", field: "id"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := open(t)
			if test.code == "username_taken" {
				if out := a.call(put, "1", `{"username":"Taken"}`, "if-match", `"1"`); out.StatusCode != 200 {
					t.Fatal(out.Body)
				}
			}
			if test.settle != nil {
				a.settle(test.settle)
			}
			before := a.call(read, "1", "").Body
			out := a.call(test.key, test.id, test.body, test.headers...)
			problem := object(t, out)
			field, _ := problem["field"].(string)
			if out.StatusCode != test.status || problem["code"] != test.code || field != test.field || problem["detail"] == "" {
				t.Errorf("%d %s, want %d %s (%s)", out.StatusCode, out.Body, test.status, test.code, test.field)
			}
			if diff := cmp.Diff(before, a.call(read, "1", "").Body); diff != "" {
				t.Errorf("a refusal changed something: %s", diff)
			}
			if all := out.Body + a.log.String(); strings.Contains(all, canary) || strings.Contains(all, fresh) {
				t.Errorf("the password is told: %s", all)
			}
			if test.code == "version_stale" && problem["version"] != 1.0 {
				t.Errorf("%s", out.Body)
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	a := open(t)
	out := a.call(read, "1", "")
	const want = `{"username":"p1@example.com","passwordSet":true,"passwordPlaceholder":"************","mustChange":true,"version":1,` +
		`"passwordChangedAt":"2026-11-23T15:00:00Z","passwordChangedBy":"staff","passwordChangedByName":"Eve Desk","stopsAt":"2026-12-07T15:00:00Z","stopped":false,` +
		`"disabled":false,"loginStatus":"active","lastLink":null}`
	if diff := cmp.Diff(want, out.Body); diff != "" || out.StatusCode != 200 || out.Headers["ETag"] != `"1"` || out.Headers["Cache-Control"] != "no-store" {
		t.Errorf("%d %v %s", out.StatusCode, out.Headers, diff)
	}
	// What was read, sent back, changes nothing (A22).
	if back := a.call(put, "1", `{"username":"p1@example.com","password":"************"}`, "if-match", out.Headers["ETag"]); back.Body != out.Body || back.Headers["ETag"] != `"1"` {
		t.Errorf("%d %v %s", back.StatusCode, back.Headers, back.Body)
	}
	if back := a.call(put, "1", `{}`, "if-match", `"1"`); back.Body != out.Body {
		t.Errorf("%d %s", back.StatusCode, back.Body)
	}
	if out = a.call(put, "1", `{"username":" Ana.G ","password":"`+fresh+`"}`, "if-match", `"1"`); out.StatusCode != 200 || object(t, out)["username"] != "ana.g" || out.Headers["ETag"] != `"2"` {
		t.Errorf("%d %v %s", out.StatusCode, out.Headers, out.Body)
	}
	if out = a.call(remove, "1", "", "if-match", `"2"`, "group", "[acme:frontdesk]"); out.StatusCode != 200 {
		t.Errorf("%d %s", out.StatusCode, out.Body)
	}
	if v := object(t, out); v["username"] != "" || v["passwordSet"] != false || v["disabled"] != true || v["loginStatus"] != "disabled" || out.Headers["ETag"] != `"3"` {
		t.Errorf("%v %s", out.Headers, out.Body)
	}
	if strings.Contains(a.log.String(), canary) || strings.Contains(a.log.String(), fresh) || strings.Contains(a.log.String(), "example.com") {
		t.Errorf("log: %s", a.log)
	}
}

func TestAccess(t *testing.T) {
	a := open(t)
	for id, want := range map[string]bool{"1": true, "2": false} {
		out := a.call(access, id, "", "group", "[acme:viewer]")
		v := object(t, out)
		if out.StatusCode != 200 || v["canSignIn"] != want || len(v["checks"].([]any)) < 8 {
			t.Errorf("%s: %d %s", id, out.StatusCode, out.Body)
		}
	}
}

func TestPasswords(t *testing.T) {
	a := open(t)
	out := a.call(draw, "", "")
	text, _ := object(t, out)["password"].(string)
	if out.StatusCode != 200 || len(strings.Split(text, "-")) < 4 || len(text) < 15 {
		t.Fatalf("%d %s", out.StatusCode, out.Body)
	}
	if strings.Contains(a.log.String(), text) {
		t.Error("the log holds the generated password")
	}
	if out = a.call(put, "2", `{"password":"`+text+`"}`, "if-match", `"0"`); out.StatusCode != 200 {
		t.Errorf("a generated password is refused: %s", out.Body)
	}
	for body, want := range map[string]string{
		`{"password":"` + text + `"}`: "",
		`{"password":"short"}`:        "password_too_short",
		`{"password":""}`:             "password_too_short",
		`{}`:                          "password_too_short",
		`{"password":"ana garcia garcia","profileId":"1"}`:             "password_context",
		`{"password":"` + text + `","profileId":"1"}`:                  "",
		`{"password":"************"}`:                                  "password_is_placeholder",
		`{"password":"` + strings.Repeat("ab", 20) + `"}`:              "password_repetitive",
		`{"password":"` + strings.Repeat("walnut lantern ", 20) + `"}`: "password_too_long",
	} {
		out := a.call(check, "", body)
		v := object(t, out)
		reasons := v["reasons"].([]any)
		got := ""
		if len(reasons) > 0 {
			got = reasons[0].(map[string]any)["code"].(string)
		}
		if out.StatusCode != 200 || got != want || v["ok"] != (want == "") || v["rule"] == "" {
			t.Errorf("%s: %d %s", body, out.StatusCode, out.Body)
		}
	}
}
