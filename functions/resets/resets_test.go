package resets_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/functions/resets"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

const send = "POST /api/profiles/{id}/reset-emails"

type api struct {
	*testing.T
	store   *store.Store
	handler httpapi.Handler
	log     *bytes.Buffer
	rung    int
}

// Ring counts.
func (a *api) Ring(_ context.Context, bells ...mailing.Bell) error {
	a.rung += len(bells)
	return nil
}

// open makes an association with member 1; 2, without an email; 3, disabled;
// 4, lapsed; and firm 9, without an email, whose main contact is 5.
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
	a.handler = (&resets.Function{Resets: &credential.Resets{
		Store: store.For[mailing.Tx](a.store), Bells: a, Now: now, NewID: store.NewID, Again: time.Minute, Log: log,
	}}).Routes().Handler(httpapi.Config{Log: log})
	s := organization.Defaults("acme", "Harbour Association")
	if err := a.store.Update(t.Context(), func(tx *store.Tx) error { tx.PutOrganization(&s); return nil }); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*profile.Profile{
		{ID: "1", Type: profile.Individual, FirstName: "Ana", Status: profile.Active, Email: "Ana@example.com", Mailbox: "ana@example.com", DoNotEmail: true},
		{ID: "2", Type: profile.Individual, FirstName: "Ben", Status: profile.Active},
		{ID: "3", Type: profile.Individual, FirstName: "Cem", Status: profile.Active, Email: "cem@example.com", Mailbox: "cem@example.com", Disabled: true},
		{ID: "4", Type: profile.Individual, FirstName: "Dan", Status: profile.Lapsed, Email: "ana@example.com", Mailbox: "ana@example.com"},
		{ID: "5", Type: profile.Individual, FirstName: "Eva", Status: profile.NonMember, Email: "eva@example.com", Mailbox: "eva@example.com",
			Relations: []profile.Relation{{To: "9", Kind: "Employee", MainContact: true}}},
		{ID: "9", Type: profile.Organization, OrganizationName: "Harbour Ltd", Status: profile.Active},
	} {
		p.Organization = "acme"
		if err := a.store.Update(t.Context(), func(tx *store.Tx) error { return tx.PutProfile(p) }); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// call sends a request of the front desk of acme; headers come in pairs, "group"
// stands for the claim.
func (a *api) call(id, body string, headers ...string) events.APIGatewayV2HTTPResponse {
	a.Helper()
	e := events.APIGatewayV2HTTPRequest{RouteKey: send, Headers: map[string]string{}, Body: body, PathParameters: map[string]string{"id": id}}
	if body != "" {
		e.Headers["content-type"] = "application/json"
	}
	e.RequestContext.HTTP.Method, e.RequestContext.HTTP.SourceIP = "POST", "192.0.2.7"
	claims := map[string]string{"sub": "s-1", "name": "Eve Desk", "cognito:groups": "[acme:frontdesk]"}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "group" {
			claims["cognito:groups"] = headers[i+1]
		} else {
			e.Headers[headers[i]] = headers[i+1]
		}
	}
	e.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
		JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{Claims: claims}}
	out, err := a.handler(a.Context(), e)
	if err != nil {
		a.Fatal(err)
	}
	return out
}

// mails counts the mails that are waiting.
func (a *api) mails() int {
	a.Helper()
	due, err := a.store.Due(a.Context(), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), 100)
	if err != nil {
		a.Fatal(err)
	}
	return len(due)
}

func TestSend(t *testing.T) {
	a := open(t)
	out := a.call("1", "")
	const want = `{"address":"Ana@example.com","endsAt":"2026-11-24T15:00:00Z","sharedWith":["Dan"],"doNotEmail":true}`
	if diff := cmp.Diff(want, out.Body); diff != "" || out.StatusCode != 202 {
		t.Errorf("%d %s", out.StatusCode, diff)
	}
	if a.mails() != 1 || a.rung != 1 {
		t.Errorf("%d mails, %d bells", a.mails(), a.rung)
	}
	out = a.call("1", `{}`)
	const again = `{"address":"Ana@example.com","endsAt":"2026-11-24T15:00:00Z","sharedWith":["Dan"],` +
		`"earlierLink":{"sentAt":"2026-11-23T15:00:00Z","endsAt":"2026-11-24T15:00:00Z"},"doNotEmail":true}`
	if diff := cmp.Diff(again, out.Body); diff != "" || out.StatusCode != 202 {
		t.Errorf("%d %s", out.StatusCode, diff)
	}
	if strings.Contains(a.log.String(), "example.com") {
		t.Errorf("the log holds an address: %s", a.log)
	}
}

func TestSendToMainContact(t *testing.T) {
	a := open(t)
	out := a.call("9", `{"toMainContact":"5"}`)
	const want = `{"address":"eva@example.com","endsAt":"2026-11-24T15:00:00Z","mainContact":{"id":"5","name":"Eva"},"sharedWith":[]}`
	if diff := cmp.Diff(want, out.Body); diff != "" || out.StatusCode != 202 {
		t.Errorf("%d %s", out.StatusCode, diff)
	}
}

func TestSendOnce(t *testing.T) {
	a := open(t)
	one := a.call("1", "", "idempotency-key", "k-1")
	two := a.call("1", "", "idempotency-key", "k-1")
	if one.StatusCode != 202 || one.Body != two.Body || two.StatusCode != 202 {
		t.Errorf("%d %s, then %d %s", one.StatusCode, one.Body, two.StatusCode, two.Body)
	}
	if a.mails() != 1 || a.rung != 1 {
		t.Errorf("%d mails, %d bells", a.mails(), a.rung)
	}
	if a.call("1", "", "idempotency-key", "k-2"); a.mails() != 2 {
		t.Errorf("%d mails under two keys", a.mails())
	}
}

func TestRefusals(t *testing.T) {
	tests := map[string]struct {
		id, body    string
		headers     []string
		status      int
		code, field string
		extra       map[string]any
	}{
		"viewer":                    {id: "1", headers: []string{"group", "[acme:viewer]"}, status: 403, code: "forbidden"},
		"another organization":      {id: "1", headers: []string{"group", "[birds:administrator]"}, status: 404, code: "organization_not_found", field: "organization"},
		"no such profile":           {id: "99", status: 404, code: "profile_not_found", field: "id"},
		"no profile ID":             {id: "1#profile", status: 404, code: "profile_not_found", field: "id"},
		"no email":                  {id: "2", status: 422, code: "no_email"},
		"firm without an email":     {id: "9", status: 422, code: "no_email", extra: map[string]any{"mainContacts": []any{map[string]any{"id": "5", "name": "Eva"}}}},
		"disabled":                  {id: "3", status: 422, code: "login_disabled"},
		"lapsed":                    {id: "4", status: 422, code: "not_allowed", extra: map[string]any{"reason": "not_a_member"}},
		"to one who is no contact":  {id: "9", body: `{"toMainContact":"1"}`, status: 400, code: "main_contact_invalid", field: "toMainContact"},
		"to a contact, needlessly":  {id: "1", body: `{"toMainContact":"5"}`, status: 422, code: "main_contact_not_needed", field: "toMainContact"},
		"contact is a number":       {id: "9", body: `{"toMainContact":5}`, status: 400, code: "field_type", field: "toMainContact"},
		"unknown key":               {id: "1", body: `{"text":"Hello"}`, status: 400, code: "field_unknown", field: "text"},
		"no JSON":                   {id: "1", body: `{`, status: 400, code: "body_invalid"},
		"a form":                    {id: "1", body: `a=b`, headers: []string{"content-type", "text/plain"}, status: 400, code: "content_type", field: "Content-Type"},
		"a key that cannot be one":  {id: "1", headers: []string{"idempotency-key", "a b"}, status: 400, code: "idempotency_key_invalid", field: "Idempotency-Key"},
		"too large":                 {id: "1", body: `{"toMainContact":"` + strings.Repeat("5", 9000) + `"}`, status: 413, code: "body_too_large", extra: map[string]any{"limit": 8192.0}},
		"forbidden tells which one": {id: "1", headers: []string{"group", "[acme:viewer]"}, status: 403, code: "forbidden", extra: map[string]any{"permission": "send_resets"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := open(t)
			out := a.call(test.id, test.body, test.headers...)
			var got map[string]any
			if err := json.Unmarshal([]byte(out.Body), &got); err != nil {
				t.Fatalf("%q: %v", out.Body, err)
			}
			field, _ := got["field"].(string)
			if out.StatusCode != test.status || got["code"] != test.code || field != test.field {
				t.Errorf("%d %s, want %d %s (%s)", out.StatusCode, out.Body, test.status, test.code, test.field)
			}
			for name, want := range test.extra {
				if diff := cmp.Diff(want, got[name]); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
			if a.mails() != 0 || a.rung != 0 {
				t.Error("a refusal left a mail")
			}
		})
	}
}
