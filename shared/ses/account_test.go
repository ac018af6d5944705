package ses_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/ses"
)

func listen(t *testing.T, handle http.HandlerFunc) *ses.Mailer {
	t.Helper()
	s := httptest.NewUnstartedServer(handle)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return ses.New(config(s.URL), "")
}

func TestAccount(t *testing.T) {
	for _, test := range []struct {
		answer string
		want   mailing.Account
	}{
		{`{"SendQuota":{"Max24HourSend":50000,"MaxSendRate":14,"SentLast24Hours":1200.0},"SendingEnabled":true,"ProductionAccessEnabled":true,"EnforcementStatus":"HEALTHY"}`,
			mailing.Account{Rate: 14, DailyQuota: 50000, SentLastDay: 1200, Enabled: true}},
		{`{"SendQuota":{"Max24HourSend":-1,"MaxSendRate":500,"SentLast24Hours":3},"SendingEnabled":true,"ProductionAccessEnabled":true,"EnforcementStatus":"PROBATION"}`,
			mailing.Account{Rate: 500, SentLastDay: 3, Enabled: true}},
		{`{"SendQuota":{"Max24HourSend":-1,"MaxSendRate":-1},"SendingEnabled":true,"ProductionAccessEnabled":true}`,
			mailing.Account{Enabled: true}},
		{`{"SendQuota":{"Max24HourSend":200,"MaxSendRate":1},"SendingEnabled":true,"ProductionAccessEnabled":false,"EnforcementStatus":"HEALTHY"}`,
			mailing.Account{Rate: 1, DailyQuota: 200, Enabled: true, Reason: "sandbox"}},
		{`{"SendQuota":{"Max24HourSend":200,"MaxSendRate":1},"SendingEnabled":false,"ProductionAccessEnabled":true,"EnforcementStatus":"HEALTHY"}`,
			mailing.Account{Rate: 1, DailyQuota: 200, Reason: "account_sending_paused"}},
		{`{"SendQuota":{"Max24HourSend":200,"MaxSendRate":1},"SendingEnabled":true,"ProductionAccessEnabled":true,"EnforcementStatus":"SHUTDOWN"}`,
			mailing.Account{Rate: 1, DailyQuota: 200, Reason: "account_suspended"}},
		{`{"SendQuota":{"Max24HourSend":0,"MaxSendRate":1},"SendingEnabled":true,"ProductionAccessEnabled":true}`,
			mailing.Account{Rate: 1, Reason: "no_quota"}},
		{`{"SendQuota":{"Max24HourSend":200,"MaxSendRate":0},"SendingEnabled":true,"ProductionAccessEnabled":true}`,
			mailing.Account{DailyQuota: 200, Reason: "no_quota"}},
	} {
		calls := 0
		m := listen(t, func(w http.ResponseWriter, r *http.Request) {
			if calls++; calls == 1 { // asking again does no harm here
				w.WriteHeader(500)
				return
			}
			if r.Method+r.URL.Path != "GET/v2/email/account" {
				t.Errorf("%s %s", r.Method, r.URL.Path)
			}
			_, _ = io.WriteString(w, test.answer)
		})
		got, err := m.Account(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Error(diff)
		}
	}
	for name, handle := range map[string]http.HandlerFunc{
		"no quota": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"SendingEnabled":true}`) },
		"denied":   func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, "AccessDeniedException", "no") },
	} {
		if a, err := listen(t, handle).Account(t.Context()); err == nil {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestRelease(t *testing.T) {
	const address = "Ana+club@example.com"
	for _, test := range []struct {
		name   string
		handle http.HandlerFunc
		want   string // "" is no error
		calls  int32
	}{
		{"listed", func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, map[string]string{}) }, "", 1},
		{"not listed", func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, 404, "NotFoundException", address+" is not on it")
		}, "", 1},
		{"refused", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 400, "BadRequestException", address) }, "BadRequestException", 1},
		{"throttled", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 429, "TooManyRequestsException", address) }, "TooManyRequestsException", 4},
		{"dropped", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF", 4},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400); _, _ = io.WriteString(w, address) }, "no answer that can be understood", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			var calls atomic.Int32
			m := listen(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				if r.Method+r.URL.Path != "DELETE/v2/email/suppression/addresses/"+address {
					t.Errorf("%s %s", r.Method, r.URL.Path)
				}
				test.handle(w, r)
			})
			err := m.Release(t.Context(), address)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v", err)
			}
			if err != nil && strings.Contains(strings.ToLower(err.Error()), "ana") {
				t.Errorf("the address is in %q", err)
			}
			if n := calls.Load(); n != test.calls {
				t.Errorf("%d requests", n)
			}
		})
	}
}
