package mailings_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/memberkey/memberkey/functions/delivery"
	"github.com/memberkey/memberkey/functions/fanout"
	"github.com/memberkey/memberkey/functions/feedback"
	"github.com/memberkey/memberkey/functions/mailings"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message/sanitizer"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

// system is the four functions of mail in one process.
type system struct {
	*testing.T
	clock    time.Time
	store    *store.Store
	api      httpapi.Handler
	fanout   *fanout.Function
	delivery *delivery.Function
	feedback *feedback.Function
	queue    []mailing.Bell
	mails    []mailing.Mail
	log      *bytes.Buffer
}

func open(t *testing.T) *system {
	t.Helper()
	db, err := embedded.Open(filepath.Join(t.TempDir(), "x.db"), embedded.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s := &system{T: t, clock: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), store: &store.Store{DB: db}, log: &bytes.Buffer{}}
	mail := store.For[mailing.Tx](s.store)
	log := slog.New(slog.NewJSONHandler(s.log, nil))
	now := func() time.Time { return s.clock }
	timing := mailing.Timing{Lease: 150 * time.Second, Grace: 10 * time.Minute, Budget: 110 * time.Second, Again: time.Minute}
	desk := &mailing.Desk{Store: mail, Bells: s, Now: now, NewID: store.NewID, Sanitize: sanitizer.HTML, Timing: timing, Log: log}
	s.api = (&mailings.Function{Desk: desk}).Routes().Handler(httpapi.Config{Log: log})
	s.fanout = &fanout.Function{
		Freezing: &mailing.Freezing{Store: mail, Bells: s, Now: now, Rand: rand.Reader, Timing: timing, Log: log},
		Forgot:   &mailing.Forgot{Store: mail, Bells: s, Now: now, NewID: store.NewID, Timing: timing, Log: log},
		Sweeping: &mailing.Sweep{Store: mail, Accounts: s, Bells: s, Now: now, Timing: timing, Log: log},
		Log:      log,
	}
	s.delivery = &delivery.Function{Log: log, Delivery: &mailing.Delivery{
		Store: mail, Mailer: s, Bells: s, Now: now, Rand: rand.Reader, Timing: timing, Log: log,
		Sleep: func(_ context.Context, d time.Duration) { s.clock = s.clock.Add(d) },
	}}
	s.feedback = &feedback.Function{Log: log, Feedback: &mailing.Feedback{Store: mail, Now: now, Log: log}}
	settings := organization.Defaults("acme", "Harbour Association")
	settings.SenderAddress, settings.PortalAddress, settings.TestAddresses = "members@example.org", "https://members.example.org", []string{"staff@example.org"}
	err = s.store.Update(t.Context(), func(tx *store.Tx) error {
		tx.PutOrganization(&settings)
		for i := range 3 {
			id, kind, status, email, name := profile.ID(fmt.Sprint(i+1)), profile.Individual, profile.Active, fmt.Sprintf("p%d@example.com", i+1), "Ana"
			p, err := profile.Create("acme", profile.Fields{ID: &id, Type: &kind, Status: &status, FirstName: &name, Email: &email}, s.clock, rand.Reader, nil)
			if err != nil {
				return err
			}
			if err := tx.PutProfile(p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *system) Ring(_ context.Context, bells ...mailing.Bell) error {
	s.queue = append(s.queue, bells...)
	return nil
}

func (s *system) Send(_ context.Context, call mailing.Call) []mailing.Receipt {
	s.mails = append(s.mails, call.Mails...)
	receipts := make([]mailing.Receipt, len(call.Mails))
	for i := range receipts {
		receipts[i].MessageID = "ses-1"
	}
	return receipts
}

func (s *system) Account(context.Context) (mailing.Account, error) {
	return mailing.Account{Enabled: true}, nil
}

// drain carries bells from the queues to the functions until none is left.
func (s *system) drain() {
	s.Helper()
	if err := s.fanout.Sweep(s.Context()); err != nil {
		s.Fatal(err)
	}
	for len(s.queue) > 0 {
		body, err := json.Marshal(s.queue[0])
		if err != nil {
			s.Fatal(err)
		}
		handle := s.delivery.Handle
		if k := s.queue[0].Kind; k == mailing.RingFreeze || k == mailing.RingRequest {
			handle = s.fanout.Handle
		}
		s.queue = s.queue[1:]
		if reply, err := handle(s.Context(), message(string(body))); err != nil || len(reply.BatchItemFailures) > 0 {
			s.Fatalf("%s: %v %v", body, reply, err)
		}
	}
}

func message(bodies ...string) events.SQSEvent {
	var e events.SQSEvent
	for i, b := range bodies {
		e.Records = append(e.Records, events.SQSMessage{MessageId: fmt.Sprint("m", i), Body: b})
	}
	return e
}

// call sends a request of the given role of acme; headers come in pairs.
func (s *system) call(role, route, id, body string, headers ...string) events.APIGatewayV2HTTPResponse {
	s.Helper()
	key, query, _ := strings.Cut(route, "?")
	_, path, _ := strings.Cut(key, " ")
	e := events.APIGatewayV2HTTPRequest{RouteKey: key, RawPath: path, RawQueryString: query, Headers: map[string]string{}, Body: body}
	if body != "" {
		e.Headers["content-type"] = "application/json"
	}
	if id != "" {
		e.PathParameters = map[string]string{"id": id}
	}
	for i := 0; i+1 < len(headers); i += 2 {
		e.Headers[headers[i]] = headers[i+1]
	}
	e.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
		JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{Claims: map[string]string{
			"sub": "s-1", "name": "Kim", "cognito:groups": role,
		}},
	}
	out, err := s.api(s.Context(), e)
	if err != nil {
		s.Fatal(err)
	}
	return out
}

// want is call with the answer checked; it returns the body.
func (s *system) want(status int, route, id, body string, headers ...string) map[string]any {
	s.Helper()
	out := s.call("acme:manager", route, id, body, headers...)
	if out.StatusCode != status {
		s.Fatalf("%s: %d %s, want %d", route, out.StatusCode, out.Body, status)
	}
	v := map[string]any{}
	if out.Body != "" {
		if err := json.Unmarshal([]byte(out.Body), &v); err != nil {
			s.Fatal(err)
		}
	}
	return v
}

// TestJourney takes a mailing from the first word to the last outcome, through
// all four functions.
func TestJourney(t *testing.T) {
	s := open(t)
	v := s.want(201, "POST /api/mailings", "", `{"subject":"Hello [[FIRSTNAME]]"}`, "idempotency-key", "k1")
	id := v["id"].(string)
	if again := s.want(201, "POST /api/mailings", "", `{}`, "idempotency-key", "k1"); again["id"] != id {
		t.Fatal("the same key made another one")
	}
	s.want(422, "POST /api/mailings/{id}/audience", id, "")
	s.want(428, "PUT /api/mailings/{id}", id, `{"html":"<p>[[PORTALLOGINLINK]]</p>"}`)
	if p := s.want(400, "PUT /api/mailings/{id}", id, `{"html":"<p>[[NICKNAME]]</p>"}`, "if-match", `"1"`); p["code"] != "special_field_unknown" || p["field"] != "html" {
		t.Error(p)
	}
	v = s.want(200, "PUT /api/mailings/{id}", id, `{"html":"<p>[[PORTALLOGINLINK]]</p><script>x</script>","audience":{"login":"no_password"}}`, "if-match", `"1"`)
	if v["complete"] != true || v["version"] != 2.0 || fmt.Sprint(v["removed"]) != "[script]" {
		t.Error(v)
	}
	if p := s.want(412, "PUT /api/mailings/{id}", id, `{"subject":"Other"}`, "if-match", `"1"`); fmt.Sprint(p["differs"]) != "[subject]" {
		t.Error(p)
	}
	preview := s.want(200, "POST /api/mailings/{id}/preview", id, `{"profile":"2"}`)
	if preview["subject"] != "Hello Ana" || !strings.Contains(preview["text"].(string), "/set-password/sample") {
		t.Error(preview)
	}
	s.want(202, "POST /api/mailings/{id}/test", id, `{"profile":"2","addresses":["staff@example.org"]}`)
	s.drain()
	if len(s.mails) != 1 || s.mails[0].To != "staff@example.org" {
		t.Fatal("the test did not go")
	}
	if a := s.want(202, "POST /api/mailings/{id}/audience", id, ""); a["state"] != "counting" {
		t.Error(a)
	}
	s.drain()
	a := s.want(200, "GET /api/mailings/{id}/audience", id, "")
	if a["state"] != "ready" || a["mails"] != 3.0 || a["version"] != 1.0 {
		t.Fatal(a)
	}
	s.want(409, "POST /api/mailings/{id}/send", id, `{"version":7}`)
	s.want(200, "POST /api/mailings/{id}/send", id, `{"version":1}`)
	if p := s.want(409, "POST /api/mailings/{id}/send", id, `{"version":1}`); p["code"] != "already_sent" {
		t.Error(p)
	}
	s.want(200, "POST /api/mailings/{id}/pause", id, "")
	s.drain()
	if len(s.mails) != 1 {
		t.Fatal("a paused mailing sends")
	}
	s.want(200, "POST /api/mailings/{id}/resume", id, "")
	s.drain()
	if len(s.mails) != 4 {
		t.Fatalf("%d mails", len(s.mails))
	}
	reply, err := s.feedback.Handle(t.Context(), message(
		sesEvent("Delivery", s.mails[1].Tag, ""), sesEvent("Delivery", s.mails[1].Tag, ""), sesEvent("Open", s.mails[1].Tag, ""),
		sesEvent("Bounce", s.mails[2].Tag, `,"bounce":{"bounceType":"Permanent","bounceSubType":"General"}`),
		sesEvent("Complaint", s.mails[3].Tag, `,"complaint":{"complaintSubType":"OnAccountSuppressionList"}`),
		"{}", "no JSON",
	))
	if err != nil || len(reply.BatchItemFailures) != 2 || reply.BatchItemFailures[0].ItemIdentifier != "m5" {
		t.Fatalf("%+v %v", reply, err)
	}
	s.clock = s.clock.Add(time.Minute)
	s.drain()
	v = s.want(200, "GET /api/mailings/{id}", id, "")
	report := v["report"].(map[string]any)
	if got := fmt.Sprint(report["outcomes"]); v["state"] != "done" || got != "map[bounced:2 complained:0 delivered:1 failed:0 pending:0 sent:0 skipped:0 uncertain:0]" {
		t.Errorf("%s %s", v["state"], got)
	}
	rows := s.want(200, "GET /api/mailings/{id}/recipients?outcome=bounced&limit=1", id, "")
	if len(rows["recipients"].([]any)) != 1 || rows["cursor"] == nil {
		t.Fatal(rows)
	}
	rows = s.want(200, "GET /api/mailings/{id}/recipients?outcome=bounced&limit=1&cursor="+rows["cursor"].(string), id, "")
	if r := rows["recipients"].([]any)[0].(map[string]any); r["reason"] != "suppressed" && r["reason"] != "bounced" {
		t.Error(r)
	}
	table := s.call("acme:manager", "GET /api/mailings/{id}/recipients?format=csv", id, "")
	if table.StatusCode != 200 || strings.Count(table.Body, "\r\n") != 4 || table.Headers["Next-Cursor"] != "" {
		t.Errorf("%d %v %s", table.StatusCode, table.Headers, table.Body)
	}
	s.want(200, "POST /api/mailings/{id}/revoke-links", id, "")
	if r := s.want(200, "POST /api/mailings/{id}/resend-failed", id, ""); r["profiles"] != 0.0 || r["complete"] != true {
		t.Error(r)
	}
	copied := s.want(201, "POST /api/mailings/{id}/copy", id, "")
	reminder := s.want(201, "POST /api/mailings/{id}/reminders", id, "")
	if reminder["remindsOf"] != id || reminder["state"] != "draft" {
		t.Error(reminder)
	}
	// A cursor can be made up; one that is longer than any key is no fault of ours.
	long := httpapi.EncodeCursor("s/1/1/" + strings.Repeat("x", 1400))
	s.want(400, "GET /api/mailings?cursor="+long, "", "")
	s.want(400, "GET /api/mailings/{id}/recipients?cursor="+long, id, "")
	list := s.want(200, "GET /api/mailings?limit=2", "", "")
	if len(list["mailings"].([]any)) != 2 || list["cursor"] == nil {
		t.Error(list)
	}
	s.want(204, "DELETE /api/mailings/{id}", copied["id"].(string), "", "if-match", `"1"`)
	s.want(404, "GET /api/mailings/{id}", copied["id"].(string), "")
	if token := regexp.MustCompile(`[0-9A-Za-z]{65}`); token.MatchString(s.log.String()) || strings.Contains(s.log.String(), "@") {
		t.Error("the log holds a token or an address")
	}
}

func sesEvent(kind, tag, more string) string {
	return fmt.Sprintf(`{"eventType":%q,"mail":{"destination":["p@example.com"],"tags":{"entry":[%q],"organization":["acme"],"ses:from-domain":["example.org"]}}%s}`, kind, tag, more)
}

func TestSaved(t *testing.T) {
	s := open(t)
	made := s.want(201, "POST /api/templates", "", `{"name":"Welcome","subject":"Hi","html":"<p>Hello</p>"}`)
	id := made["id"].(string)
	s.want(400, "POST /api/templates", "", `{"name":"","subject":"Hi","html":"<p>[[NO]]</p>"}`)
	s.want(412, "PUT /api/templates/{id}", id, `{"name":"W","subject":"Hi","html":""}`, "if-match", `"9"`)
	s.want(200, "PUT /api/templates/{id}", id, `{"name":"W","subject":"Hi","html":""}`, "if-match", `"1"`)
	if v := s.want(200, "GET /api/templates/{id}", id, ""); v["name"] != "W" || v["updatedBy"] != "Kim" {
		t.Error(v)
	}
	if all := s.want(200, "GET /api/templates", "", ""); len(all["templates"].([]any)) != 2 {
		t.Error(all)
	}
	s.want(422, "DELETE /api/templates/{id}", "create-your-login", "", "if-match", `"1"`)
	s.want(204, "DELETE /api/templates/{id}", id, "", "if-match", `"2"`)

	made = s.want(201, "POST /api/audiences", "", `{"name":"Lapsed","filter":{"status":["lapsed"]}}`)
	id = made["id"].(string)
	s.want(400, "POST /api/audiences", "", `{"name":"Bad","filter":{"status":["gone"]}}`)
	s.want(200, "PUT /api/audiences/{id}", id, `{"name":"Lapsed ones","filter":{}}`, "if-match", `"1"`)
	s.want(200, "GET /api/audiences/{id}", id, "")
	if all := s.want(200, "GET /api/audiences", "", ""); len(all["audiences"].([]any)) != 2 {
		t.Error(all)
	}
	s.want(204, "DELETE /api/audiences/{id}", id, "", "if-match", `"2"`)
	if all := s.want(200, "GET /api/special-fields", "", ""); len(all["fields"].([]any)) < 10 {
		t.Error(all)
	}
}

// TestWhoMay asks every route as every role, and as staff of another organization.
func TestWhoMay(t *testing.T) {
	s := open(t)
	id := s.want(201, "POST /api/mailings", "", `{"subject":"Hi","html":"<p>Hello</p>"}`)["id"].(string)
	routes := (&mailings.Function{}).Routes()
	if len(routes) != 29 {
		t.Errorf("%d routes", len(routes))
	}
	for key := range routes {
		body := ""
		if strings.HasPrefix(key, "PUT") || key == "POST /api/mailings" || key == "POST /api/templates" || key == "POST /api/audiences" ||
			slices.ContainsFunc([]string{"/preview", "/test", "/send"}, func(end string) bool { return strings.HasSuffix(key, end) }) {
			body = "{}"
		}
		for _, role := range []string{"acme:frontdesk", "acme:viewer"} {
			if out := s.call(role, key, id, body, "if-match", `"1"`); out.StatusCode != 403 {
				t.Errorf("%s as %s: %d", key, role, out.StatusCode)
			}
		}
		if !strings.Contains(key, "{id}") {
			continue
		}
		if out := s.call("lake:manager", key, id, body, "if-match", `"1"`); out.StatusCode != 404 && out.StatusCode != 400 {
			t.Errorf("%s of another organization: %d %s", key, out.StatusCode, out.Body)
		}
	}
	if v := s.want(200, "GET /api/mailings/{id}", id, ""); v["version"] != 1.0 || v["state"] != "draft" {
		t.Errorf("somebody who may not changed it: %v", v)
	}
}

// TestBellsThatFail are named, and only they; the log tells nothing of them.
func TestBellsThatFail(t *testing.T) {
	s := open(t)
	for name, handle := range map[string]func(context.Context, events.SQSEvent) (events.SQSEventResponse, error){
		"fanout": s.fanout.Handle, "delivery": s.delivery.Handle,
	} {
		good := map[string]string{
			"fanout":   `{"v":1,"kind":"request","organization":"acme","id":"gone"}`,
			"delivery": `{"v":1,"kind":"single","organization":"acme","id":"gone"}`,
		}
		other := good["delivery"]
		if name == "delivery" {
			other = good["fanout"]
		}
		reply, err := handle(t.Context(), message(good[name], `{"v":1,"secret":"a@example.org"}`, other, good[name]))
		if err != nil || len(reply.BatchItemFailures) != 2 || reply.BatchItemFailures[0].ItemIdentifier != "m1" || reply.BatchItemFailures[1].ItemIdentifier != "m2" {
			t.Errorf("%s: %+v %v", name, reply, err)
		}
	}
	if strings.Contains(s.log.String(), "@") {
		t.Error("the log repeats a message")
	}
}
