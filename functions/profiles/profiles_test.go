package profiles_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/functions/profiles"
	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/directory"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/session"
	"github.com/memberkey/memberkey/shared/store"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type noBells struct{}

func (noBells) Ring(context.Context, ...mailing.Bell) error { return nil }

// desk is the function on a store of its own.
type desk struct {
	handler httpapi.Handler
	routes  httpapi.Routes
	store   *store.Store
	log     *bytes.Buffer
}

func newDesk(t *testing.T) *desk {
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
	d := &desk{store: &store.Store{DB: db}, log: &bytes.Buffer{}}
	now := func() time.Time { return noon }
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	f := &profiles.Function{
		Directory: &directory.Service{
			Store: store.For[directory.Tx](d.store), Mailings: store.For[mailing.Tx](d.store), Bells: noBells{},
			Now: now, Rand: rand.Reader, NewID: store.NewID, Again: time.Minute, Log: quiet,
		},
		Logins: &credential.Logins{
			Store: store.For[credential.LoginTx](d.store), Bells: noBells{}, Now: now, Rand: rand.Reader,
			NewID: store.NewID, Again: time.Minute, Log: quiet,
		},
		SignIn: profiles.SignIn{Issuer: "https://issuer.example.org", ClientID: "console"},
	}
	d.routes = f.Routes()
	d.handler = d.routes.Handler(httpapi.Config{Log: slog.New(slog.NewJSONHandler(d.log, nil))})
	for _, org := range []string{"acme", "other"} {
		settings := organization.Defaults(org, strings.ToUpper(org))
		settings.Version, settings.SenderAddress, settings.PortalAddress = 1, "office@example.org", "https://members.example.org"
		d.update(t, func(tx *store.Tx) error { tx.PutOrganization(&settings); return nil })
	}
	return d
}

func (d *desk) update(t *testing.T, fn func(*store.Tx) error) {
	t.Helper()
	if err := d.store.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// call is one request; zero values are an administrator of acme's.
type call struct {
	route       string // "GET /api/profiles/{id}"
	id          string
	query       string
	body        string
	contentType string // "" is application/json where there is a body
	ifMatch     string
	key         string
	group       string // "" is acme:administrator, "-" is nobody
}

type answer struct {
	events.APIGatewayV2HTTPResponse
	Doc map[string]any
}

func (d *desk) send(t *testing.T, c call) answer {
	t.Helper()
	method, path, _ := strings.Cut(c.route, " ")
	e := events.APIGatewayV2HTTPRequest{RouteKey: c.route, RawPath: path, RawQueryString: c.query, Body: c.body, Headers: map[string]string{}}
	e.RequestContext.HTTP.Method, e.RequestContext.HTTP.SourceIP, e.RequestContext.RequestID = method, "192.0.2.7", "request-1"
	if strings.Contains(c.route, "{id}") {
		e.PathParameters = map[string]string{"id": c.id}
	}
	if c.body != "" {
		e.Headers["content-type"] = "application/json"
	}
	for name, value := range map[string]string{"content-type": c.contentType, "if-match": c.ifMatch, "idempotency-key": c.key} {
		if value != "" {
			e.Headers[name] = value
		}
	}
	if c.group == "" {
		c.group = "acme:administrator"
	}
	if c.group != "-" {
		e.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
			JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{Claims: map[string]string{"sub": "s-1", "name": "Eve", "cognito:groups": "[" + c.group + "]"}}}
	}
	out, err := d.handler(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{APIGatewayV2HTTPResponse: out}
	if strings.Contains(out.Headers["Content-Type"], "json") {
		if err := json.Unmarshal([]byte(out.Body), &a.Doc); err != nil {
			t.Fatalf("%v in %s", err, out.Body)
		}
	}
	return a
}

// want sends a call that must be answered with a status and, for a problem, a code.
func (d *desk) want(t *testing.T, c call, status int, code string) answer {
	t.Helper()
	a := d.send(t, c)
	got, _ := a.Doc["code"].(string)
	if a.StatusCode != status || got != code {
		t.Fatalf("%s %s: %d %q, want %d %q: %s", c.route, c.id, a.StatusCode, got, status, code, a.Body)
	}
	return a
}

const ana = `{"id":"1","type":"individual","firstName":"Ana","lastName":"Garcia","email":"ana@example.com","status":"active"}`

func (d *desk) create(t *testing.T, body string) answer {
	t.Helper()
	return d.want(t, call{route: "POST /api/profiles", body: body}, 201, "")
}

func (d *desk) profile(t *testing.T, id profile.ID) *profile.Profile {
	t.Helper()
	p, err := d.store.Profile(t.Context(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// state is what must not change where a request is refused.
func (d *desk) state(t *testing.T) string {
	t.Helper()
	var all []any
	ids, _, err := d.store.ProfilesByName(t.Context(), "acme", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		trail, _, err := d.store.ProfileActivity(t.Context(), "acme", id, "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d.profile(t, id), trail)
	}
	settings, err := d.store.Organization(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	day, _, err := d.store.DayActivity(t.Context(), "acme", noon, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(append(all, settings, day))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestMeAndSignIn(t *testing.T) {
	d := newDesk(t)
	me := d.want(t, call{route: "GET /api/me", group: "acme:viewer"}, 200, "")
	want := map[string]any{
		"subject": "s-1", "name": "Eve", "role": "viewer", "permissions": []any{"view_profiles", "view_credentials"},
		"organization": map[string]any{"id": "acme", "name": "ACME", "logoUrl": "", "timeZone": "UTC", "portal": "https://members.example.org/portal/acme"},
	}
	if diff := cmp.Diff(want, me.Doc); diff != "" {
		t.Errorf("me:\n%s", diff)
	}
	a := d.want(t, call{route: "GET /api/sign-in", group: "-"}, 200, "")
	if diff := cmp.Diff(map[string]any{"issuer": "https://issuer.example.org", "clientId": "console"}, a.Doc); diff != "" {
		t.Errorf("sign-in:\n%s", diff)
	}
	d.want(t, call{route: "GET /api/me", group: "-"}, 401, "unauthenticated")
	d.want(t, call{route: "GET /api/me", group: "gone:viewer"}, 404, "organization_not_found")
}

func TestReadAndEdit(t *testing.T) {
	d := newDesk(t)
	created := d.create(t, ana)
	if created.Headers["Location"] != "/api/profiles/1" || created.Headers["ETag"] != `"1"` {
		t.Errorf("headers %v", created.Headers)
	}
	read := d.want(t, call{route: "GET /api/profiles/{id}", id: "1"}, 200, "")
	if diff := cmp.Diff(created.Doc, read.Doc); diff != "" {
		t.Errorf("read differs from created:\n%s", diff)
	}
	want := map[string]any{
		"id": "1", "version": 1.0, "type": "individual", "name": "Ana Garcia", "firstName": "Ana", "lastName": "Garcia", "organizationName": "",
		"email": "ana@example.com", "status": "active", "memberSince": "", "doNotEmail": false, "relations": []any{}, "undeliverable": nil,
		"sharedWith": []any{}, "access": map[string]any{"allowed": true, "reason": "member"}, "disabled": false, "username": "",
		"hasPassword": false, "loginStatus": "none", "createdAt": "2026-11-23T12:00:00Z", "updatedAt": "2026-11-23T12:00:00Z",
	}
	if diff := cmp.Diff(want, read.Doc); diff != "" {
		t.Errorf("profile:\n%s", diff)
	}
	edited := d.want(t, call{route: "PATCH /api/profiles/{id}", id: "1", ifMatch: `"1"`, body: `{"status":"lapsed"}`}, 200, "")
	if edited.Headers["ETag"] != `"2"` || edited.Doc["version"] != 2.0 || fmt.Sprint(edited.Doc["changed"]) != "[status]" || edited.Doc["accessChange"] == nil {
		t.Errorf("edited %v", edited.Doc)
	}
	stale := d.want(t, call{route: "PATCH /api/profiles/{id}", id: "1", ifMatch: `"1"`, body: `{"status":"active"}`}, 412, "version_stale")
	if diff := cmp.Diff([]any{"status"}, stale.Doc["differs"]); diff != "" || stale.Doc["version"] != 2.0 {
		t.Errorf("stale %v", stale.Doc)
	}
}

// A changed email where it was the username: ticked, unticked, taken.
func TestUsernameToo(t *testing.T) {
	d := newDesk(t)
	d.create(t, ana)
	d.create(t, strings.NewReplacer(`"1"`, `"2"`, "ana@", "eva@").Replace(ana))
	d.update(t, func(tx *store.Tx) error {
		for id, name := range map[profile.ID]string{"1": "ana@example.com", "2": "eva@example.com"} {
			p, err := tx.Profile("acme", id)
			if err != nil {
				return err
			}
			p.Username, p.HasPassword, p.HadPassword = name, true, true
			if _, err := tx.Claim("acme", name); err != nil {
				return err
			}
			tx.PutClaim("acme", name, id)
			if err := tx.PutProfile(p); err != nil {
				return err
			}
		}
		return nil
	})
	edit := call{route: "PATCH /api/profiles/{id}", id: "1", ifMatch: `"1"`, body: `{"email":"eva@example.com","usernameToo":true}`}
	before := d.state(t)
	d.want(t, edit, 409, "username_taken")
	if d.state(t) != before {
		t.Error("a refused edit changed something")
	}
	edit.body = `{"email":"eva@example.com"}`
	if a := d.want(t, edit, 200, ""); a.Doc["usernameStays"] != true || a.Doc["username"] != "ana@example.com" || a.Doc["loginsEnded"] != true {
		t.Errorf("unticked: %v", a.Doc)
	}
	edit = call{route: "PATCH /api/profiles/{id}", id: "2", ifMatch: `"1"`, body: `{"email":"new@example.com","usernameToo":true}`}
	if a := d.want(t, edit, 200, ""); a.Doc["usernameStays"] != nil || a.Doc["username"] != "new@example.com" {
		t.Errorf("ticked: %v", a.Doc)
	}
}

// A check answers as the edit would, without a version to edit next, and
// changes nothing.
func TestCheckEdit(t *testing.T) {
	d := newDesk(t)
	d.create(t, ana)
	d.create(t, strings.NewReplacer(`"1"`, `"2"`, "ana@", "eva@", "Ana", "Eva").Replace(ana))
	d.update(t, func(tx *store.Tx) error {
		p, err := tx.Profile("acme", "1")
		if err != nil {
			return err
		}
		p.Username, p.HasPassword, p.HadPassword = "ana@example.com", true, true
		if _, err := tx.Claim("acme", p.Username); err != nil {
			return err
		}
		tx.PutClaim("acme", p.Username, p.ID)
		return tx.PutProfile(p)
	})
	before := d.state(t)
	check := call{route: "PATCH /api/profiles/{id}", id: "1", query: "check=true", ifMatch: `"1"`, body: `{"email":"eva@example.com","status":"lapsed"}`}
	a := d.want(t, check, 200, "")
	if a.Headers["ETag"] != "" {
		t.Errorf("a check has the ETag %s", a.Headers["ETag"])
	}
	got := map[string]any{}
	for _, name := range []string{"version", "username", "email", "changed", "usernameStays", "usernameChoice", "loginsEnded", "notices", "sharedWith", "accessChange"} {
		got[name] = a.Doc[name]
	}
	want := map[string]any{
		"version": 1.0, "username": "ana@example.com", "email": "eva@example.com", "changed": []any{"status", "email"}, "usernameStays": true,
		"usernameChoice": map[string]any{"possible": true, "username": "eva@example.com"}, "loginsEnded": true,
		"notices": []any{"ana@example.com", "eva@example.com"}, "sharedWith": []any{map[string]any{"id": "2", "name": "Eva Garcia"}},
		"accessChange": map[string]any{
			"before": map[string]any{"allowed": true, "reason": "member"}, "after": map[string]any{"allowed": false, "reason": "not_a_member"}, "relatedGain": 0.0, "relatedLose": 0.0,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a check:\n%s", diff)
	}
	check.ifMatch = ""
	d.want(t, check, 428, "version_missing")
	check.ifMatch = `"7"`
	d.want(t, check, 412, "version_stale")
	check.ifMatch, check.body = `"1"`, `{"email":"eva@"}`
	d.want(t, check, 400, "email_invalid")
	check.group = "acme:viewer"
	d.want(t, check, 403, "forbidden")
	if d.state(t) != before {
		t.Error("a check changed something")
	}
}

// Staff find a person by the company they state, and a company by its contact.
func TestSearchByCompany(t *testing.T) {
	d := newDesk(t)
	d.create(t, `{"id":"1","type":"individual","firstName":"Ben","lastName":"Sample","organizationName":"Anapolis Catering","status":"active"}`)
	d.create(t, `{"id":"2","type":"organization","organizationName":"Anapolis Catering","firstName":"Eva","lastName":"Example","status":"active"}`)
	d.create(t, `{"id":"3","type":"individual","firstName":"Ana","lastName":"Polis","status":"active"}`)
	for typed, want := range map[string]string{"anapolis": "1 2", "catering+a": "1 2", "ben+cater": "1", "example": "2", "eva+anapolis": "2", "anap": "1 2"} {
		var ids []string
		for _, hit := range d.want(t, call{route: "GET /api/profiles", query: "search=" + typed}, 200, "").Doc["profiles"].([]any) {
			ids = append(ids, hit.(map[string]any)["id"].(string))
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%q finds %q, want %q", typed, got, want)
		}
	}
}

// All found can become an audience: the list takes every filter of one.
func TestListTakesTheFilterOfAnAudience(t *testing.T) {
	d := newDesk(t)
	d.create(t, ana)
	values := map[string]string{
		"status": "active", "type": "individual", "relationship": "Owner", "email": "any", "login": "none", "mayEnter": "true", "scope": "members", "profiles": "1,2",
	}
	for field := range reflect.TypeFor[profile.Filter]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		found := 1.0
		if name == "relationship" {
			found = 0
		}
		for _, query := range []string{"", "&count=true"} {
			a := d.want(t, call{route: "GET /api/profiles", query: name + "=" + values[name] + query}, 200, "")
			shown := found
			if query != "" {
				shown = 0
			}
			if a.Doc["found"] != found || float64(len(a.Doc["profiles"].([]any))) != shown {
				t.Errorf("%s%s: %s", name, query, a.Body)
			}
		}
	}
}

func TestLogins(t *testing.T) {
	d := newDesk(t)
	d.create(t, ana)
	d.update(t, func(tx *store.Tx) error {
		p, err := tx.Profile("acme", "1")
		if err != nil {
			return err
		}
		p.Username, p.Undeliverable = "ana", &profile.Undeliverable{Reason: "bounced", At: noon}
		tx.PutAttempts(&session.Attempts{Organization: "acme", Key: credential.AttemptsKey("acme", "ana"), Failures: 9, Until: noon.Add(time.Hour), Expires: noon.Add(time.Hour)})
		return tx.PutProfile(p)
	})
	for _, x := range []struct {
		action string
		check  func(before, after *profile.Profile, doc map[string]any) bool
	}{
		{"unlock", func(b, a *profile.Profile, _ map[string]any) bool {
			counter, err := d.store.Attempts(t.Context(), "acme", credential.AttemptsKey("acme", "ana"))
			return a.Epoch == b.Epoch && counter == nil && err == nil
		}},
		{"disable", func(b, a *profile.Profile, doc map[string]any) bool {
			return a.Disabled && a.Epoch != b.Epoch && doc["loginStatus"] == "disabled"
		}},
		{"enable", func(b, a *profile.Profile, doc map[string]any) bool {
			return !a.Disabled && doc["loginStatus"] == "none"
		}},
		{"sign-out", func(b, a *profile.Profile, doc map[string]any) bool {
			return a.Epoch != b.Epoch && a.CredentialVersion == b.CredentialVersion
		}},
		{"release-address", func(b, a *profile.Profile, doc map[string]any) bool {
			return a.Undeliverable == nil && doc["undeliverable"] == nil
		}},
	} {
		before := d.profile(t, "1")
		a := d.want(t, call{route: "POST /api/profiles/{id}/" + x.action, id: "1"}, 200, "")
		if after := d.profile(t, "1"); after.Version != 1 || !x.check(before, after, a.Doc) {
			t.Errorf("%s: %+v, answer %v", x.action, after, a.Doc)
		}
	}
	trail := d.want(t, call{route: "GET /api/profiles/{id}/activity", id: "1"}, 200, "")
	var kinds []string
	for _, e := range trail.Doc["entries"].([]any) {
		kinds = append(kinds, e.(map[string]any)["kind"].(string))
	}
	slices.Sort(kinds)
	want := []string{"address_released", "login_disabled", "login_enabled", "profile_created", "signed_out_everywhere", "wait_ended"}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("activity:\n%s", diff)
	}
}

func TestLists(t *testing.T) {
	d := newDesk(t)
	d.create(t, `{"id":"9","type":"organization","organizationName":"Zebra","status":"active"}`)
	for i := range 5 {
		d.create(t, fmt.Sprintf(`{"id":"%d","type":"individual","firstName":"Ana","lastName":"Garcia%d","status":"lapsed","relations":[{"to":"9","kind":"Owner"}]}`, i, i))
	}
	pages := func(route, id, query, list string) (ids []string) {
		for cursor, calls := "", 0; calls == 0 || cursor != ""; calls++ {
			a := d.want(t, call{route: route, id: id, query: query + "&limit=2&cursor=" + cursor}, 200, "")
			for _, item := range a.Doc[list].([]any) {
				ids = append(ids, item.(map[string]any)["id"].(string))
			}
			cursor, _ = a.Doc["cursor"].(string)
			if calls > 20 {
				t.Fatal("the walk does not end")
			}
		}
		return ids
	}
	for _, x := range []struct {
		route, id, query string
		want             string
	}{
		{"GET /api/profiles", "", "", "0 1 2 3 4 9"},
		{"GET /api/profiles", "", "status=lapsed,dropped&mayEnter=true", "0 1 2 3 4"},
		{"GET /api/profiles", "", "type=organization", "9"},
		{"GET /api/profiles", "", "relationship=OWNER&email=none&login=none", "0 1 2 3 4"},
		{"GET /api/profiles", "", "mayEnter=false", ""},
		{"GET /api/profiles", "", "search=garc%C3%ADa", "0 1 2 3 4"},
		{"GET /api/profiles/{id}/related", "9", "", "0 1 2 3 4"},
	} {
		if got := strings.Join(pages(x.route, x.id, x.query, "profiles"), " "); got != x.want {
			t.Errorf("%s?%s: %s, want %s", x.route, x.query, got, x.want)
		}
	}
	if got := pages("GET /api/activity", "", "kind=profile_created&actor=s-1", "entries"); len(got) != 6 {
		t.Errorf("%d entries of activity, want 6", len(got))
	}
	if got := pages("GET /api/activity", "", "profile=3", "entries"); len(got) != 1 {
		t.Errorf("%d entries of a profile's activity, want 1", len(got))
	}
	d.want(t, call{route: "GET /api/activity", query: "profile=77"}, 404, "profile_not_found")
	d.want(t, call{route: "GET /api/activity", query: "profile=3", group: "other:viewer"}, 404, "profile_not_found")
}

func TestActivityAsCSV(t *testing.T) {
	d := newDesk(t)
	d.update(t, func(tx *store.Tx) error {
		for i := range 3 {
			tx.AddActivity(activity.Entry{
				Organization: "acme", At: noon, Kind: activity.SignedIn, Profile: fmt.Sprint(i), Detail: map[string]string{"old": "a", "new": "b\r\nc"},
				Actor: activity.Actor{Kind: activity.Member, ID: "=cmd|' /C calc'!A0", Name: "+1 \"Ana\", \nGarcia", From: "192.0.2.7"},
			})
		}
		return nil
	})
	var rows [][]string
	query := ""
	for calls := 0; calls < 2; calls++ {
		a := d.want(t, call{route: "GET /api/activity", query: "format=csv&limit=2" + query}, 200, "")
		if !strings.HasPrefix(a.Headers["Content-Type"], "text/csv") || !strings.Contains(a.Headers["Content-Disposition"], "activity.csv") {
			t.Errorf("headers %v", a.Headers)
		}
		page, err := csv.NewReader(strings.NewReader(a.Body)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, page[1:]...)
		query = "&cursor=" + a.Headers["Next-Cursor"]
	}
	if query != "&cursor=" || len(rows) != 3 {
		t.Fatalf("%d rows, then %s", len(rows), query)
	}
	for _, row := range rows {
		if row[2] != "'=cmd|' /C calc'!A0" || !strings.HasPrefix(row[3], "'+1") || row[5] != "signed_in" || row[9] != "new: b\nc; old: a" {
			t.Errorf("row %q", row)
		}
	}
}

func TestImport(t *testing.T) {
	d := newDesk(t)
	file := "\uFEFFProfile ID;Profile Type;First Name;Last Name;Email;Membership Status\r\n1;Individual;Ana;\"García\r\nLópez\";ana@example.com;Active\r\n2;Individual;<b>{{Eva}}</b>;Ruiz;nope;Active\r\n"
	load := call{route: "POST /api/profile-imports", contentType: "text/csv; charset=utf-8", body: file, query: "check=true"}
	before := d.state(t)
	checked := d.want(t, load, 200, "")
	if d.state(t) != before || checked.Doc["effects"] == nil || checked.Doc["created"] != 1.0 || checked.Doc["refused"] != 1.0 {
		t.Errorf("checked %v", checked.Doc)
	}
	load.query = ""
	done := d.want(t, load, 200, "")
	for name, want := range map[string]any{
		"complete": true, "created": 1.0, "updated": 0.0, "accepted": 1.0, "unchanged": 0.0, "refused": 1.0, "missing": []any{}, "missingTotal": 0.0,
		"errorsTotal": 1.0, "warningsTotal": 1.0, "usernameStays": []any{}, "usernameStaysTotal": 0.0,
	} {
		if diff := cmp.Diff(want, done.Doc[name]); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	fault := done.Doc["errors"].([]any)[0].(map[string]any)
	warning := done.Doc["warnings"].([]any)[0].(map[string]any)
	if fault["row"] != 2.0 || fault["column"] != "Last Name" || fault["code"] != "text_invalid" || warning["row"] != 3.0 || warning["code"] != "email_malformed" {
		t.Errorf("fault %v, warning %v", fault, warning)
	}
	if p := d.profile(t, "2"); p.FirstName != "<b>{{Eva}}</b>" || p.Email != "" {
		t.Errorf("%+v", p)
	}
}

func TestOrganization(t *testing.T) {
	d := newDesk(t)
	read := d.want(t, call{route: "GET /api/organization", group: "acme:viewer"}, 200, "")
	if read.Headers["ETag"] != `"1"` || read.Doc["accessLevel"] != "members_and_primary_relations" || cmp.Diff([]any{}, read.Doc["deviations"]) != "" {
		t.Errorf("settings %v", read.Doc)
	}
	d.create(t, `{"id":"9","type":"organization","organizationName":"Zebra","status":"active"}`)
	d.create(t, `{"id":"1","type":"individual","lastName":"Garcia","status":"prospect","relations":[{"to":"9","kind":"Owner"}]}`)
	put := call{route: "PUT /api/organization", ifMatch: `"1"`, query: "check=true", body: `{"accessLevel":"members_only","memberStatuses":["active","prospect"]}`}
	if a := d.want(t, put, 200, ""); a.Doc["gain"] != 0.0 || a.Doc["lose"] != 0.0 || a.Doc["read"] != 2.0 {
		t.Errorf("dry run %v", a.Doc)
	}
	put.body = `{"accessLevel":"members_only"}`
	if a := d.want(t, put, 200, ""); a.Doc["lose"] != 1.0 {
		t.Errorf("dry run %v", a.Doc)
	}
	put.query, put.body = "", `{"accessLevel":"members_only","minimumPassword":8,"primaryKinds":[]}`
	a := d.want(t, put, 200, "")
	if a.Headers["ETag"] != `"2"` || len(a.Doc["deviations"].([]any)) != 1 || a.Doc["minimumPassword"] != 8.0 {
		t.Errorf("settings %v", a.Doc)
	}
	stale := d.want(t, put, 412, "version_stale")
	if stale.Doc["version"] != 2.0 {
		t.Errorf("stale %v", stale.Doc)
	}
}

// H25, A3: every bad input is refused with its code, and changes nothing.
func TestBadInputA3(t *testing.T) {
	d := newDesk(t)
	d.create(t, ana)
	before := d.state(t)
	list, patch, post := "GET /api/profiles", "PATCH /api/profiles/{id}", "POST /api/profiles"
	load, put := "POST /api/profile-imports", "PUT /api/organization"
	edit := func(body string) call { return call{route: patch, id: "1", ifMatch: `"1"`, body: body} }
	file := func(body string) call { return call{route: load, contentType: "text/csv", body: body} }
	settle := func(body string) call { return call{route: put, ifMatch: `"1"`, body: body} }
	for _, x := range []struct {
		what   string
		call   call
		status int
		code   string
	}{
		{"no version", call{route: patch, id: "1", body: `{}`}, 428, "version_missing"},
		{"any version", call{route: patch, id: "1", ifMatch: "*", body: `{}`}, 400, "version_invalid"},
		{"a weak version", call{route: patch, id: "1", ifMatch: `W/"1"`, body: `{}`}, 400, "version_invalid"},
		{"a stale version", call{route: patch, id: "1", ifMatch: `"7"`, body: `{"lastName":"X"}`}, 412, "version_stale"},
		{"an unknown field", edit(`{"nickname":"Ana"}`), 400, "field_unknown"},
		{"another spelling", edit(`{"LastName":"X"}`), 400, "field_unknown"},
		{"a field twice", edit(`{"email":"a@example.com","email":"b@example.com"}`), 400, "field_duplicate"},
		{"an email that is a list", edit(`{"email":["a@example.com","b@example.com"]}`), 400, "field_type"},
		{"an email that is an object", edit(`{"email":{"a":"b"}}`), 400, "field_type"},
		{"two emails", edit(`{"email":"a@example.com,b@example.com"}`), 400, "email_invalid"},
		{"an email with a header", edit(`{"email":"a@example.com\r\nBcc: b@example.com"}`), 400, "email_invalid"},
		{"a name with a line break", edit(`{"lastName":"Gar\ncia"}`), 400, "text_invalid"},
		{"a name that runs backwards", edit(`{"lastName":"Gar\u202ecia"}`), 400, "text_invalid"},
		{"a long name", edit(`{"lastName":"` + strings.Repeat("x", 101) + `"}`), 400, "name_too_long"},
		{"no name", edit(`{"lastName":"","firstName":" "}`), 400, "name_missing"},
		{"half a surrogate pair", edit(`{"lastName":"\ud800"}`), 400, "body_invalid"},
		{"a number for a name", edit(`{"lastName":7}`), 400, "field_type"},
		{"an unknown status", edit(`{"status":"gone"}`), 400, "status_unknown"},
		{"another ID", edit(`{"id":"2"}`), 400, "id_fixed"},
		{"a relation to nobody", edit(`{"relations":[{"to":"77","kind":"Owner"}]}`), 400, "relation_unknown"},
		{"21 relations", edit(`{"relations":[` + strings.Repeat(`{"to":"77","kind":"Owner"},`, 20) + `{"to":"77","kind":"Owner"}]}`), 400, "relations_too_many"},
		{"no body", call{route: patch, id: "1", ifMatch: `"1"`}, 400, "content_type"},
		{"a form", call{route: patch, id: "1", ifMatch: `"1"`, contentType: "application/x-www-form-urlencoded", body: "lastName=X"}, 400, "content_type"},
		{"half a body", edit(`{"lastName":`), 400, "body_invalid"},
		{"two bodies", edit(`{}{}`), 400, "body_invalid"},
		{"a deep body", edit(`{"relations":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`), 400, "field_type"},
		{"a large body", edit(`{"lastName":"` + strings.Repeat("x", 300_000) + `"}`), 413, "body_too_large"},
		{"an unknown parameter", call{route: list, query: "searhc=x"}, 400, "query_unknown"},

		{"an ID in use", call{route: post, body: ana}, 409, "id_taken"},
		{"a bad key", call{route: post, body: ana, key: "a b"}, 400, "idempotency_key_invalid"},
		{"nothing to create", call{route: post, body: `{}`}, 400, "type_unknown"},

		{"a cursor that is none", call{route: list, query: "cursor=%25"}, 400, "cursor_invalid"},
		{"a cursor of nothing", call{route: list, query: "cursor=" + httpapi.EncodeCursor("garcia")}, 400, "cursor_invalid"},
		{"a cursor of another list", call{route: list, query: "search=garcia&cursor=" + httpapi.EncodeCursor("garcia")}, 400, "cursor_invalid"},
		{"a cursor of activity", call{route: "GET /api/activity", query: "cursor=" + httpapi.EncodeCursor("x")}, 400, "cursor_invalid"},
		{"a cursor of a trail", call{route: "GET /api/profiles/{id}/activity", id: "1", query: "cursor=" + httpapi.EncodeCursor("a/b")}, 400, "cursor_invalid"},
		{"a cursor of related", call{route: "GET /api/profiles/{id}/related", id: "1", query: "cursor=" + httpapi.EncodeCursor("a b")}, 400, "cursor_invalid"},
		{"a limit of 0", call{route: list, query: "limit=0"}, 400, "limit_invalid"},
		{"a limit of 101", call{route: list, query: "search=garcia&limit=101"}, 400, "limit_invalid"},
		{"a limit that is none", call{route: list, query: "limit=x"}, 400, "query_invalid"},
		{"one letter", call{route: list, query: "search=g"}, 400, "search_too_short"},
		{"search and count", call{route: list, query: "search=garcia&count=true"}, 400, "search_with_filter"},
		{"a scope that is none", call{route: list, query: "scope=all"}, 400, "filter_invalid"},
		{"a pick that is none", call{route: list, query: "profiles=a%20b"}, 400, "filter_invalid"},
		{"search and filter", call{route: list, query: "search=garcia&status=active"}, 400, "search_with_filter"},
		{"an unknown filter", call{route: list, query: "status=gone"}, 400, "filter_invalid"},
		{"mayEnter that is none", call{route: list, query: "mayEnter=perhaps"}, 400, "query_invalid"},
		{"a day that is none", call{route: "GET /api/activity", query: "from=2026-02-31"}, 400, "time_invalid"},
		{"a span that ends before it begins", call{route: "GET /api/activity", query: "from=2026-11-23&to=2026-11-22"}, 400, "range_invalid"},
		{"a kind that is none", call{route: "GET /api/activity", query: "kind=A"}, 400, "kind_invalid"},
		{"a kind that there is not", call{route: "GET /api/activity", query: "kind=zzz"}, 400, "kind_invalid"},
		{"a format that is none", call{route: "GET /api/activity", query: "format=xls"}, 400, "format_invalid"},
		{"a body where none is", call{route: "POST /api/profiles/{id}/disable", id: "1", body: `{"disabled":false}`}, 400, "body_unexpected"},

		{"no file", file(""), 400, "csv_empty"},
		{"another header", file("Name,Email\nAna,ana@example.com\n"), 400, "csv_column_unknown"},
		{"a missing column", file("Profile ID\n1\n"), 400, "csv_column_missing"},
		{"UTF-16", file("\xff\xfeP\x00"), 400, "body_invalid"},
		{"Latin-1", file("Profile ID,Profile Type,Last Name,Membership Status\n5,Individual,Garc\xeda,Active\n"), 400, "body_invalid"},
		{"a workbook", file("PK\x00\x03"), 400, "csv_encoding"},
		{"JSON for a file", call{route: load, body: `{}`}, 400, "content_type"},
		{"a file over 4 MB", file(strings.Repeat("x", 4<<20+1)), 413, "body_too_large"},
		{"check that is none", call{route: load, query: "check=1", contentType: "text/csv", body: "x"}, 400, "query_invalid"},

		{"settings without version", call{route: put, body: `{}`}, 428, "version_missing"},
		{"settings of a stale version", call{route: put, ifMatch: `"0"`, body: `{"name":"X"}`}, 412, "version_stale"},
		{"settings with an ID", settle(`{"id":"other"}`), 400, "field_unknown"},
		{"settings with a version", settle(`{"version":9}`), 400, "field_unknown"},
		{"a portal on http", settle(`{"portalAddress":"http://members.example.org"}`), 400, "origin_invalid"},
		{"a number with a point", settle(`{"linkHours":1.5}`), 400, "field_type"},
		{"a cursor without check", call{route: put, ifMatch: `"1"`, body: `{}`, query: "cursor=" + httpapi.EncodeCursor("a\x001")}, 400, "cursor_invalid"},
	} {
		t.Run(x.what, func(t *testing.T) {
			a := d.want(t, x.call, x.status, x.code)
			if a.Headers["Content-Type"] != "application/problem+json" || a.Doc["detail"] == "" {
				t.Errorf("no problem JSON: %v %s", a.Headers, a.Body)
			}
		})
	}
	if after := d.state(t); after != before {
		t.Errorf("something changed:\n%s", cmp.Diff(before, after))
	}
}

// H21, A21: on every route another organization's profile looks exactly like
// one that does not exist, and nothing is written.
func TestOtherOrganizationA21(t *testing.T) {
	d := newDesk(t)
	d.create(t, ana)
	before := d.state(t)
	tried := 0
	for _, route := range slices.Sorted(maps.Keys(d.routes)) {
		if !strings.Contains(route, "{id}") {
			continue
		}
		tried++
		c := call{route: route, group: "other:administrator"}
		if strings.HasPrefix(route, "PATCH ") {
			c.ifMatch, c.body = `"1"`, `{"lastName":"Stolen"}`
		}
		bodies := map[string]bool{}
		for _, id := range []string{"1", "2", "a b", "..", "1#username", strings.Repeat("9", 2000)} {
			c.id = id
			bodies[d.want(t, c, 404, "profile_not_found").Body] = true
		}
		if len(bodies) != 1 {
			t.Errorf("%s tells them apart: %v", route, bodies)
		}
	}
	if tried != 9 {
		t.Errorf("%d routes tried", tried)
	}
	for _, query := range []string{"", "search=garcia", "search=ana@example.com", "email=none"} {
		if a := d.want(t, call{route: "GET /api/profiles", query: query, group: "other:administrator"}, 200, ""); len(a.Doc["profiles"].([]any)) != 0 {
			t.Errorf("?%s shows another organization's profile", query)
		}
	}
	if a := d.want(t, call{route: "GET /api/activity", group: "other:administrator"}, 200, ""); len(a.Doc["entries"].([]any)) != 0 {
		t.Error("another organization's activity is shown")
	}
	if d.state(t) != before {
		t.Error("something was written")
	}
}

// A22: what staff may not set cannot be set, and nothing secret is shown.
func TestMassAssignmentA22(t *testing.T) {
	d := newDesk(t)
	d.create(t, ana)
	before := d.state(t)
	for _, field := range []string{
		"organization", "epoch", "epochAt", "version", "credentialVersion", "username", "hasPassword", "hadPassword",
		"disabled", "undeliverable", "mailbox", "createdAt", "updatedAt", "access", "password", "passwordPlaceholder",
	} {
		body := fmt.Sprintf(`{%q:"x"}`, field)
		d.want(t, call{route: "PATCH /api/profiles/{id}", id: "1", ifMatch: `"1"`, body: body}, 400, "field_unknown")
		d.want(t, call{route: "POST /api/profiles", body: body}, 400, "field_unknown")
	}
	if d.state(t) != before {
		t.Error("something was written")
	}
	// The mark of the import is kept, never set.
	d.create(t, `{"id":"9","type":"organization","organizationName":"Zebra","status":"active"}`)
	d.want(t, call{route: "PATCH /api/profiles/{id}", id: "1", ifMatch: `"1"`, body: `{"relations":[{"to":"9","kind":"Owner","imported":true}]}`}, 200, "")
	if d.profile(t, "1").Relations[0].Imported {
		t.Error("a caller set the mark of the import")
	}
	epoch := d.profile(t, "1").Epoch
	for _, c := range []call{
		{route: "GET /api/profiles/{id}", id: "1"}, {route: "GET /api/profiles"}, {route: "GET /api/profiles", query: "search=garcia"},
		{route: "GET /api/profiles/{id}/related", id: "9"}, {route: "GET /api/profiles/{id}/activity", id: "1"}, {route: "GET /api/activity"},
	} {
		if a := d.want(t, c, 200, ""); strings.Contains(a.Body, epoch) || strings.Contains(a.Body, "poch") {
			t.Errorf("%s shows the epoch: %s", c.route, a.Body)
		}
	}
}

// H21: the permission of every route, and who has it.
func TestPermissions(t *testing.T) {
	d := newDesk(t)
	d.create(t, ana)
	for role, may := range map[string]func(route string) bool{
		"administrator": func(string) bool { return true },
		"manager":       func(route string) bool { return route != "PUT /api/organization" },
		"frontdesk":     func(route string) bool { return route != "PUT /api/organization" },
		"viewer":        func(route string) bool { return strings.HasPrefix(route, "GET ") },
	} {
		for route := range d.routes {
			a := d.send(t, call{route: route, id: "1", group: "acme:" + role})
			if refused := a.StatusCode == 403; refused == may(route) {
				t.Errorf("%s for %s: %d %s", route, role, a.StatusCode, a.Body)
			}
		}
	}
}

func TestTwoEditorsOneWins(t *testing.T) {
	d := newDesk(t)
	d.create(t, ana)
	results := make([]int, 6)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			a := d.send(t, call{route: "PATCH /api/profiles/{id}", id: "1", ifMatch: `"1"`, body: fmt.Sprintf(`{"lastName":"Name%d"}`, i)})
			results[i] = a.StatusCode
		})
	}
	wg.Wait()
	slices.Sort(results)
	if diff := cmp.Diff([]int{200, 412, 412, 412, 412, 412}, results); diff != "" || d.profile(t, "1").Version != 2 {
		t.Errorf("statuses:\n%s", diff)
	}
}

func TestCreateRepeated(t *testing.T) {
	d := newDesk(t)
	body := strings.Replace(ana, `"id":"1",`, "", 1)
	first := d.want(t, call{route: "POST /api/profiles", body: body, key: "k-1"}, 201, "")
	again := d.want(t, call{route: "POST /api/profiles", body: body, key: "k-1"}, 201, "")
	if first.Body != again.Body || first.Headers["Location"] != again.Headers["Location"] {
		t.Errorf("a repeat answers %s, then %s", first.Body, again.Body)
	}
	d.want(t, call{route: "POST /api/profiles", body: ana[:len(ana)-1] + `,"doNotEmail":true}`, key: "k-1"}, 201, "") // names its own ID
	d.want(t, call{route: "POST /api/profiles", body: body[:len(body)-1] + `,"doNotEmail":true}`, key: "k-1"}, 409, "idempotency_key_reused")
}

// No line of the log holds what was typed or who it is about.
func TestLogIsQuiet(t *testing.T) {
	d := newDesk(t)
	d.create(t, ana)
	d.send(t, call{route: "PATCH /api/profiles/{id}", id: "1", ifMatch: `"1"`, body: `{"email":"secret@example.com"}`})
	d.send(t, call{route: "GET /api/profiles", query: "search=secret@example.com"})
	d.send(t, call{route: "PATCH /api/profiles/{id}", id: "1", ifMatch: `"1"`, body: `{"email":"secret2@example.com"}`})
	for _, word := range []string{"secret", "ana@", "Garcia"} {
		if strings.Contains(d.log.String(), word) {
			t.Errorf("the log holds %q: %s", word, d.log)
		}
	}
}
