package ses_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/ses"
)

const (
	from = `"The Club" <club@example.org>`
	bulk = "/v2/email/outbound-bulk-emails"
	one  = "/v2/email/outbound-emails"
)

// service is SES as far as HTTP goes.
type service struct {
	*httptest.Server
	mu    sync.Mutex
	posts []post
}

type post struct {
	path string
	to   []string
	body map[string]any
}

// serve answers each POST by answer, which has the request's addresses.
func serve(t *testing.T, answer func(w http.ResponseWriter, p post)) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := post{path: r.URL.Path}
		if err := json.NewDecoder(r.Body).Decode(&p.body); err != nil {
			return // the client went away
		}
		entries, _ := p.body["BulkEmailEntries"].([]any)
		if p.path == one {
			entries = []any{p.body}
		}
		for _, e := range entries {
			for _, to := range e.(map[string]any)["Destination"].(map[string]any)["ToAddresses"].([]any) {
				p.to = append(p.to, to.(string))
			}
		}
		s.mu.Lock()
		s.posts = append(s.posts, p)
		s.mu.Unlock()
		answer(w, p)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *service) seen() []post {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.posts)
}

func (s *service) mailer() *ses.Mailer { return ses.New(config(s.URL), "events") }

// config has retries switched on, as an operator might by AWS_MAX_ATTEMPTS.
func config(endpoint string) aws.Config {
	return aws.Config{
		Region: "eu-central-1", BaseEndpoint: aws.String(endpoint), RetryMaxAttempts: 4,
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Millisecond })
		},
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// refuse is an error as SES writes it.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("X-Amzn-ErrorType", code)
	reply(w, status, map[string]string{"message": message})
}

// take answers as SES does when it takes everything.
func take(w http.ResponseWriter, p post) {
	if p.path == one {
		reply(w, 200, map[string]string{"MessageId": "id-" + p.to[0]})
		return
	}
	results := []map[string]string{}
	for _, to := range p.to {
		results = append(results, map[string]string{"Status": "SUCCESS", "MessageId": "id-" + to})
	}
	reply(w, 200, map[string]any{"BulkEmailEntryResults": results})
}

func callTo(addresses ...string) mailing.Call {
	c := mailing.Call{Organization: "river", From: from, ReplyTo: "office@example.org", Mailing: "m1"}
	for i, a := range addresses {
		c.Mails = append(c.Mails, mailing.Mail{
			To: a, Tag: fmt.Sprintf("m_m1_1_0_0_%d", i),
			Data: []byte(fmt.Sprintf(`{"subject":"Hi {{x}} %d","html":"<p class=\"a\">&amp; {{#if}} \\ </p>","text":"t"}`, i)),
		})
	}
	return c
}

func many(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("p%d@example.com", i)
	}
	return all
}

func all(n int, r mailing.Receipt) []mailing.Receipt { return slices.Repeat([]mailing.Receipt{r}, n) }

func TestABatchIsOneRequest(t *testing.T) {
	s := serve(t, take)
	got := s.mailer().Send(t.Context(), callTo("a@example.com", "b@example.com"))
	if diff := cmp.Diff([]mailing.Receipt{{MessageID: "id-a@example.com"}, {MessageID: "id-b@example.com"}}, got); diff != "" {
		t.Error(diff)
	}
	entry := func(to, data, tag string) any {
		return map[string]any{
			"Destination":             map[string]any{"ToAddresses": []any{to}},
			"ReplacementEmailContent": map[string]any{"ReplacementTemplate": map[string]any{"ReplacementTemplateData": data}},
			"ReplacementTags": []any{
				map[string]any{"Name": "entry", "Value": tag}, map[string]any{"Name": "organization", "Value": "river"},
			},
		}
	}
	call := callTo("a@example.com", "b@example.com")
	want := []post{{path: bulk, to: []string{"a@example.com", "b@example.com"}, body: map[string]any{
		"FromEmailAddress": from, "ReplyToAddresses": []any{"office@example.org"}, "ConfigurationSetName": "events",
		"ConfigurationOverrides": map[string]any{"Tracking": map[string]any{"ClickTrackingEnabled": "DISABLED", "OpenTrackingEnabled": "DISABLED"}},
		"DefaultContent": map[string]any{"Template": map[string]any{
			"TemplateContent": map[string]any{"Subject": "{{subject}}", "Html": "{{html}}", "Text": "{{text}}"}, "TemplateData": "{}",
		}},
		"BulkEmailEntries": []any{
			entry("a@example.com", string(call.Mails[0].Data), "m_m1_1_0_0_0"), entry("b@example.com", string(call.Mails[1].Data), "m_m1_1_0_0_1"),
		},
	}}}
	if diff := cmp.Diff(want, s.seen(), cmp.AllowUnexported(post{})); diff != "" {
		t.Error(diff)
	}
}

func TestAMailByItself(t *testing.T) {
	s := serve(t, take)
	call := callTo("a@example.com")
	call.ReplyTo, call.Mailing = "", ""
	if diff := cmp.Diff([]mailing.Receipt{{MessageID: "id-a@example.com"}}, s.mailer().Send(t.Context(), call)); diff != "" {
		t.Error(diff)
	}
	want := []post{{path: one, to: []string{"a@example.com"}, body: map[string]any{
		"FromEmailAddress": from, "ConfigurationSetName": "events",
		"ConfigurationOverrides": map[string]any{"Tracking": map[string]any{"ClickTrackingEnabled": "DISABLED", "OpenTrackingEnabled": "DISABLED"}},
		"Destination":            map[string]any{"ToAddresses": []any{"a@example.com"}},
		"Content": map[string]any{"Template": map[string]any{
			"TemplateContent": map[string]any{"Subject": "{{subject}}", "Html": "{{html}}", "Text": "{{text}}"}, "TemplateData": string(call.Mails[0].Data),
		}},
		"EmailTags": []any{
			map[string]any{"Name": "entry", "Value": "m_m1_1_0_0_0"}, map[string]any{"Name": "organization", "Value": "river"},
		},
	}}}
	if diff := cmp.Diff(want, s.seen(), cmp.AllowUnexported(post{})); diff != "" {
		t.Error(diff)
	}
	if got := s.mailer().Send(t.Context(), mailing.Call{}); len(got) != 0 || len(s.seen()) != 1 {
		t.Errorf("a call of no mails: %v", got)
	}
}

// Each row of the table in mail.md 2.3 that is an error of a request. Every
// one is one POST, but those that may be about one mail of many.
func TestErrors(t *testing.T) {
	const ana = "ana@example.com"
	for _, test := range []struct {
		name    string
		status  int
		code    string
		message string
		want    mailing.Receipt
		of50    *mailing.Receipt // where it differs
		posts50 int              // 1 unless it says otherwise
	}{
		{name: "throttled", status: 429, code: "TooManyRequestsException", message: "Maximum sending rate exceeded.", want: mailing.Receipt{Fault: mailing.Throttled, Reason: "account_throttled"}},
		{name: "throttled, without the status", status: 400, code: "TooManyRequestsException", want: mailing.Receipt{Fault: mailing.Throttled, Reason: "account_throttled"}},
		{name: "throttled by the front", status: 400, code: "ThrottlingException", message: "Rate exceeded", want: mailing.Receipt{Fault: mailing.Throttled, Reason: "account_throttled"}},
		{name: "throttled without a code", status: 429, want: mailing.Receipt{Fault: mailing.Throttled, Reason: "account_throttled"}},
		{name: "limit", status: 400, code: "LimitExceededException", message: "Too many instances", want: mailing.Receipt{Fault: mailing.Throttled, Reason: "account_throttled"}},
		{name: "daily quota", status: 429, code: "TooManyRequestsException", message: "Daily message quota exceeded.", want: mailing.Receipt{Fault: mailing.QuotaUsed, Reason: "account_daily_quota_exceeded"}},
		{name: "daily quota as a limit", status: 400, code: "LimitExceededException", message: "Daily message quota exceeded", want: mailing.Receipt{Fault: mailing.QuotaUsed, Reason: "account_daily_quota_exceeded"}},
		{name: "paused", status: 400, code: "SendingPausedException", message: "Sending is paused", want: mailing.Receipt{Fault: mailing.Misconfigured, Reason: "account_sending_paused"}},
		{name: "suspended", status: 400, code: "AccountSuspendedException", want: mailing.Receipt{Fault: mailing.Misconfigured, Reason: "account_suspended"}},
		{name: "MAIL FROM", status: 400, code: "MailFromDomainNotVerifiedException", want: mailing.Receipt{Fault: mailing.Misconfigured, Reason: "mail_from_domain_not_verified"}},
		{name: "no such set", status: 404, code: "NotFoundException", message: "Configuration set <events> does not exist.", want: mailing.Receipt{Fault: mailing.Misconfigured, Reason: "configuration_set_not_found"}},
		{name: "access", status: 403, code: "AccessDeniedException", message: "not authorized to perform ses:SendEmail", want: mailing.Receipt{Fault: mailing.Misconfigured, Reason: "access_denied"}},
		{name: "token", status: 403, code: "ExpiredTokenException", want: mailing.Receipt{Fault: mailing.Misconfigured, Reason: "access_denied"}},
		{name: "template", status: 400, code: "BadRequestException", message: "Template contains unsupported operations", want: mailing.Receipt{Fault: mailing.Misconfigured, Reason: "template_not_understood"}},
		{name: "sender in the sandbox", status: 400, code: "MessageRejected", want: mailing.Receipt{Fault: mailing.Misconfigured, Reason: "sender_not_verified"},
			message: "Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: The Club <Club@example.org>, " + ana},
		{name: "sender's domain", status: 400, code: "MessageRejected", want: mailing.Receipt{Fault: mailing.Misconfigured, Reason: "sender_not_verified"},
			message: "Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: example.org."},
		// Refused for all 50 is a refusal of what we do, not of them.
		{name: "address in the sandbox", status: 400, code: "MessageRejected", want: mailing.Receipt{Fault: mailing.Rejected, Reason: "address_not_verified"},
			message: "Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: otherclub@example.org, " + ana,
			of50:    &mailing.Receipt{Fault: mailing.Misconfigured, Reason: "address_not_verified"}, posts50: 99},
		{name: "content", status: 400, code: "MessageRejected", message: "Message contains a virus", want: mailing.Receipt{Fault: mailing.Rejected, Reason: "message_rejected"},
			of50: &mailing.Receipt{Fault: mailing.Misconfigured, Reason: "message_rejected"}, posts50: 99},
		{name: "bad request", status: 400, code: "BadRequestException", message: "Missing final '@domain' in " + ana, want: mailing.Receipt{Fault: mailing.Rejected, Reason: "bad_request"},
			of50: &mailing.Receipt{Fault: mailing.Misconfigured, Reason: "bad_request"}, posts50: 99},
		{name: "too large", status: 413, want: mailing.Receipt{Fault: mailing.Rejected, Reason: "bad_request"},
			of50: &mailing.Receipt{Fault: mailing.Misconfigured, Reason: "bad_request"}, posts50: 99},
		{name: "a code of tomorrow", status: 400, code: "TomorrowsException", message: ana, want: mailing.Receipt{Fault: mailing.Unclear, Reason: "refused"},
			of50: &mailing.Receipt{Fault: mailing.Misconfigured, Reason: "refused"}, posts50: 99},
		{name: "500", status: 500, code: "InternalServiceErrorException", want: mailing.Receipt{Fault: mailing.Unknown, Reason: "answer_lost"}},
		{name: "503", status: 503, code: "ServiceUnavailable", want: mailing.Receipt{Fault: mailing.Unknown, Reason: "answer_lost"}},
		{name: "408", status: 408, code: "RequestTimeoutException", want: mailing.Receipt{Fault: mailing.Unknown, Reason: "answer_lost"}},
		{name: "another place", status: 302, want: mailing.Receipt{Fault: mailing.Unknown, Reason: "answer_not_understood"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ post) {
				if test.code == "" {
					w.WriteHeader(test.status)
					return
				}
				refuse(w, test.status, test.code, test.message)
			})
			if diff := cmp.Diff(all(1, test.want), s.mailer().Send(t.Context(), callTo(ana))); diff != "" {
				t.Error(diff)
			}
			if n := len(s.seen()); n != 1 {
				t.Errorf("%d POSTs of one mail", n)
			}
			want, posts := test.want, max(1, test.posts50)
			if test.of50 != nil {
				want = *test.of50
			}
			if diff := cmp.Diff(all(50, want), s.mailer().Send(t.Context(), callTo(many(50)...))); diff != "" {
				t.Error(diff)
			}
			if n := len(s.seen()) - 1; n != posts {
				t.Errorf("%d POSTs of 50 mails, want %d", n, posts)
			}
		})
	}
}

// Each row of the table that is a status of an entry, all in one answer.
func TestStatuses(t *testing.T) {
	type result map[string]string
	rows := []struct {
		result result
		want   mailing.Receipt
	}{
		{result{"Status": "SUCCESS", "MessageId": "id"}, mailing.Receipt{MessageID: "id"}},
		{result{"Status": "MESSAGE_REJECTED", "Error": "virus"}, mailing.Receipt{Fault: mailing.Rejected, Reason: "message_rejected"}},
		{result{"Status": "MESSAGE_REJECTED", "Error": "Email address is not verified. The following identities failed the check: p2@example.com"}, mailing.Receipt{Fault: mailing.Rejected, Reason: "address_not_verified"}},
		{result{"Status": "MESSAGE_REJECTED", "Error": "Email address is not verified. The following identities failed the check: club@example.org, p2@example.com"}, mailing.Receipt{Fault: mailing.Misconfigured, Reason: "sender_not_verified"}},
		{result{"Status": "MAIL_FROM_DOMAIN_NOT_VERIFIED"}, mailing.Receipt{Fault: mailing.Misconfigured, Reason: "mail_from_domain_not_verified"}},
		{result{"Status": "CONFIGURATION_SET_NOT_FOUND"}, mailing.Receipt{Fault: mailing.Misconfigured, Reason: "configuration_set_not_found"}},
		{result{"Status": "CONFIGURATION_SET_DOES_NOT_EXIST"}, mailing.Receipt{Fault: mailing.Misconfigured, Reason: "configuration_set_does_not_exist"}},
		{result{"Status": "TEMPLATE_NOT_FOUND"}, mailing.Receipt{Fault: mailing.Misconfigured, Reason: "template_not_found"}},
		{result{"Status": "TEMPLATE_DOES_NOT_EXIST"}, mailing.Receipt{Fault: mailing.Misconfigured, Reason: "template_does_not_exist"}},
		{result{"Status": "ACCOUNT_SUSPENDED"}, mailing.Receipt{Fault: mailing.Misconfigured, Reason: "account_suspended"}},
		{result{"Status": "ACCOUNT_SENDING_PAUSED"}, mailing.Receipt{Fault: mailing.Misconfigured, Reason: "account_sending_paused"}},
		{result{"Status": "CONFIGURATION_SET_SENDING_PAUSED"}, mailing.Receipt{Fault: mailing.Misconfigured, Reason: "configuration_set_sending_paused"}},
		{result{"Status": "INVALID_SENDING_POOL_NAME"}, mailing.Receipt{Fault: mailing.Misconfigured, Reason: "invalid_sending_pool_name"}},
		{result{"Status": "ACCOUNT_THROTTLED"}, mailing.Receipt{Fault: mailing.Throttled, Reason: "account_throttled"}},
		{result{"Status": "ACCOUNT_THROTTLED", "Error": "Daily message quota exceeded."}, mailing.Receipt{Fault: mailing.QuotaUsed, Reason: "account_daily_quota_exceeded"}},
		{result{"Status": "ACCOUNT_DAILY_QUOTA_EXCEEDED"}, mailing.Receipt{Fault: mailing.QuotaUsed, Reason: "account_daily_quota_exceeded"}},
		{result{"Status": "INVALID_PARAMETER", "Error": "Local address contains control or whitespace: p@example.com"}, mailing.Receipt{Fault: mailing.Rejected, Reason: "invalid_parameter"}},
		{result{"Status": "INVALID_PARAMETER_VALUE"}, mailing.Receipt{Fault: mailing.Rejected, Reason: "invalid_parameter"}},
		{result{"Status": "INVALID_PARAMETER", "Error": "Template contains unsupported operations"}, mailing.Receipt{Fault: mailing.Misconfigured, Reason: "template_not_understood"}},
		{result{"Status": "TRANSIENT_FAILURE"}, mailing.Receipt{Fault: mailing.Transient, Reason: "transient_failure"}},
		{result{"Status": "FAILED", "Error": "p3@example.com"}, mailing.Receipt{Fault: mailing.Unclear, Reason: "failed"}},
		{result{"Status": "OF_TOMORROW"}, mailing.Receipt{Fault: mailing.Unclear, Reason: "unknown_status"}},
		{result{"Status": "OF_TOMORROW", "MessageId": "id"}, mailing.Receipt{Fault: mailing.Unknown, Reason: "answer_not_understood"}},
		{result{}, mailing.Receipt{Fault: mailing.Unknown, Reason: "answer_not_understood"}},
	}
	var results []result
	var want []mailing.Receipt
	for _, r := range rows {
		results, want = append(results, r.result), append(want, r.want)
	}
	s := serve(t, func(w http.ResponseWriter, _ post) { reply(w, 200, map[string]any{"BulkEmailEntryResults": results}) })
	if diff := cmp.Diff(want, s.mailer().Send(t.Context(), callTo(many(len(rows))...))); diff != "" {
		t.Error(diff)
	}
	if n := len(s.seen()); n != 1 {
		t.Errorf("%d POSTs", n)
	}
}

// SES may refuse a mail or three for what they are; when it refuses every one
// of more, a sandbox for example, nobody's failure may come of it.
func TestEveryMailRefused(t *testing.T) {
	for _, test := range []struct {
		status string
		mails  int
		others int
		want   mailing.Fault
	}{
		{"MESSAGE_REJECTED", 3, 0, mailing.Rejected},
		{"MESSAGE_REJECTED", 4, 0, mailing.Misconfigured},
		{"MESSAGE_REJECTED", 49, 1, mailing.Rejected},
		{"INVALID_PARAMETER", 50, 0, mailing.Rejected}, // SES names each of them
	} {
		s := serve(t, func(w http.ResponseWriter, p post) {
			results := []map[string]string{}
			for i := range p.to {
				results = append(results, map[string]string{"Status": test.status})
				if i >= test.mails {
					results[i]["Status"] = "SUCCESS"
				}
			}
			reply(w, 200, map[string]any{"BulkEmailEntryResults": results})
		})
		for i, r := range s.mailer().Send(t.Context(), callTo(many(test.mails+test.others)...)) {
			if i < test.mails && r.Fault != test.want {
				t.Errorf("%d %s and %d others: mail %d is %+v", test.mails, test.status, test.others, i, r)
			}
		}
	}
}

// A sandbox sends one mail a second, so each mail of a mailing is a call of its
// own there; a few that are refused in a row fail, the next stops the mailing.
func TestMailsRefusedInARow(t *testing.T) {
	var refusing atomic.Bool
	s := serve(t, func(w http.ResponseWriter, p post) {
		if refusing.Load() {
			refuse(w, 400, "MessageRejected", "Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: "+p.to[0])
			return
		}
		take(w, p)
	})
	m := s.mailer()
	send := func(in string) mailing.Fault {
		call := callTo("ana@example.com")
		call.Mailing = in
		return m.Send(t.Context(), call)[0].Fault
	}
	for i, step := range []struct {
		refuses bool
		mailing string
		want    mailing.Fault
	}{
		{true, "m1", mailing.Rejected}, {true, "m1", mailing.Rejected}, {false, "m1", mailing.Taken}, // not in a row
		{true, "m1", mailing.Rejected}, {true, "m1", mailing.Rejected}, {true, "m2", mailing.Rejected}, {true, "m1", mailing.Rejected},
		{true, "m1", mailing.Misconfigured},
		{true, "m1", mailing.Rejected},                                                                                         // it was let go on: this may be the only one
		{true, "", mailing.Rejected}, {true, "", mailing.Rejected}, {true, "", mailing.Rejected}, {true, "", mailing.Rejected}, // single mails have nothing in common
	} {
		refusing.Store(step.refuses)
		if got := send(step.mailing); got != step.want {
			t.Errorf("step %d: %v, want %v", i+1, got, step.want)
		}
	}
}

// A poisoned entry costs its batch some refused requests, and nobody a mail.
func TestPoisonedEntries(t *testing.T) {
	for _, poison := range [][]int{{0}, {49}, {24}, {25}, {7, 8}, {0, 17, 49}} {
		t.Run(fmt.Sprint(poison), func(t *testing.T) {
			taken := map[string]int{}
			s := serve(t, func(w http.ResponseWriter, p post) {
				for _, to := range p.to {
					if strings.HasPrefix(to, "poison") {
						refuse(w, 400, "BadRequestException", "Invalid address "+to)
						return
					}
				}
				for _, to := range p.to {
					taken[to]++
				}
				take(w, p)
			})
			to := many(50)
			for _, i := range poison {
				to[i] = fmt.Sprintf("poison%d@example.com", i)
			}
			for i, r := range s.mailer().Send(t.Context(), callTo(to...)) {
				want := mailing.Receipt{MessageID: "id-" + to[i]}
				if slices.Contains(poison, i) {
					want = mailing.Receipt{Fault: mailing.Rejected, Reason: "bad_request"}
				}
				if r != want {
					t.Errorf("mail %d: %+v", i, r)
				}
			}
			for address, n := range taken {
				if n != 1 {
					t.Errorf("%s was taken %d times", address, n)
				}
			}
			if n := len(taken); n != 50-len(poison) {
				t.Errorf("%d mails were taken", n)
			}
			if n := len(s.seen()); n > 13*len(poison) {
				t.Errorf("%d POSTs", n)
			}
		})
	}
}

// While a batch is divided the world goes on: what is then not about a mail
// ends it, and of what was not sent that is known.
func TestDividingEnds(t *testing.T) {
	for _, test := range []struct {
		name        string
		second      func(w http.ResponseWriter, p post) // of the first half
		first, rest mailing.Receipt
	}{
		{"answer lost", func(http.ResponseWriter, post) { panic(http.ErrAbortHandler) },
			mailing.Receipt{Fault: mailing.Unknown, Reason: "answer_lost"}, mailing.Receipt{Fault: mailing.Throttled, Reason: "not_connected"}},
		{"quota", func(w http.ResponseWriter, _ post) {
			refuse(w, 429, "TooManyRequestsException", "Daily message quota exceeded.")
		},
			mailing.Receipt{Fault: mailing.QuotaUsed, Reason: "account_daily_quota_exceeded"}, mailing.Receipt{Fault: mailing.QuotaUsed, Reason: "account_daily_quota_exceeded"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			calls := 0
			s := serve(t, func(w http.ResponseWriter, p post) {
				if calls++; calls == 1 {
					refuse(w, 400, "BadRequestException", "one of them")
					return
				}
				test.second(w, p)
			})
			got := s.mailer().Send(t.Context(), callTo(many(5)...))
			if diff := cmp.Diff(append(all(3, test.first), all(2, test.rest)...), got); diff != "" {
				t.Error(diff)
			}
			if n := len(s.seen()); n != 2 {
				t.Errorf("%d POSTs", n)
			}
		})
	}
}

// Whatever may have been taken is Unknown, and was sent once.
func TestAnswerLost(t *testing.T) {
	var block chan struct{}
	var giveUp context.CancelFunc
	for _, test := range []struct {
		name   string
		answer func(w http.ResponseWriter, p post)
		reason string
	}{
		{"connection dropped after acceptance", func(http.ResponseWriter, post) { panic(http.ErrAbortHandler) }, "answer_lost"},
		{"connection reset", func(w http.ResponseWriter, _ post) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = c.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}
		}, "answer_lost"},
		{"no answer in time", func(http.ResponseWriter, post) { giveUp(); <-block }, "answer_lost"},
		{"answer cut off", func(w http.ResponseWriter, _ post) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"MessageId":"a","BulkEmailEntryResults":[{"Status":"SUCCESS"`)
		}, "answer_not_understood"},
		{"no JSON", func(w http.ResponseWriter, _ post) { _, _ = io.WriteString(w, "<html>welcome</html>") }, "answer_not_understood"},
		{"wrong JSON", func(w http.ResponseWriter, _ post) {
			reply(w, 200, map[string]any{"MessageId": 7, "BulkEmailEntryResults": "SUCCESS"})
		}, "answer_not_understood"},
	} {
		for _, n := range []int{1, 50} {
			t.Run(fmt.Sprint(test.name, " ", n), func(t *testing.T) {
				block = make(chan struct{})
				s := serve(t, test.answer)
				defer close(block) // the server does not close before
				ctx, cancel := context.WithCancel(t.Context())
				giveUp = cancel
				call := callTo(many(n)...)
				got := s.mailer().Send(ctx, call)
				cancel()
				for i := range call.Mails {
					clear(call.Mails[i].Data) // it is the caller's again
				}
				if diff := cmp.Diff(all(n, mailing.Receipt{Fault: mailing.Unknown, Reason: test.reason}), got); diff != "" {
					t.Error(diff)
				}
				if posts := len(s.seen()); posts != 1 {
					t.Errorf("%d POSTs", posts)
				}
			})
		}
	}
	for _, n := range []int{0, 49, 51} {
		s := serve(t, func(w http.ResponseWriter, p post) {
			results := slices.Repeat([]map[string]string{{"Status": "SUCCESS", "MessageId": "id"}}, n)
			reply(w, 200, map[string]any{"BulkEmailEntryResults": results})
		})
		got := s.mailer().Send(t.Context(), callTo(many(50)...))
		if diff := cmp.Diff(all(50, mailing.Receipt{Fault: mailing.Unknown, Reason: "results_do_not_match"}), got); diff != "" {
			t.Errorf("%d results: %s", n, diff)
		}
	}
}

// deadlines is a client that notes how long a request may take.
type deadlines struct {
	ses.Client
	all []time.Duration
}

func (d *deadlines) SendEmail(ctx context.Context, _ *sesv2.SendEmailInput, _ ...func(*sesv2.Options)) (*sesv2.SendEmailOutput, error) {
	at, _ := ctx.Deadline()
	d.all = append(d.all, time.Until(at).Round(time.Second))
	return &sesv2.SendEmailOutput{}, nil
}

func TestEachRequestHasItsTime(t *testing.T) {
	d := &deadlines{}
	for _, m := range []*ses.Mailer{{Client: d}, {Client: d, Timeout: 7 * time.Second}} {
		m.Send(t.Context(), callTo("a@example.com"))
	}
	if diff := cmp.Diff([]time.Duration{30 * time.Second, 7 * time.Second}, d.all); diff != "" {
		t.Error(diff)
	}
}

// What surely never left is known not to have, so it need not wait for events.
func TestNeverSent(t *testing.T) {
	notSent := mailing.Receipt{Fault: mailing.Throttled, Reason: "not_connected"}
	check := func(t *testing.T, m *ses.Mailer, ctx context.Context, want mailing.Receipt) {
		t.Helper()
		for _, n := range []int{1, 50} {
			if diff := cmp.Diff(all(n, want), m.Send(ctx, callTo(many(n)...))); diff != "" {
				t.Error(diff)
			}
		}
	}
	t.Run("refused connection", func(t *testing.T) {
		s := serve(t, take)
		s.Close()
		check(t, s.mailer(), t.Context(), notSent)
	})
	t.Run("no such host", func(t *testing.T) {
		cfg := config("http://ses.invalid")
		cfg.HTTPClient = dialing(func(context.Context) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "ses.invalid", IsNotFound: true}
		})
		check(t, ses.New(cfg, "events"), t.Context(), notSent)
	})
	t.Run("unknown certificate", func(t *testing.T) {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it came through") }))
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		defer s.Close()
		check(t, ses.New(config(s.URL), "events"), t.Context(), notSent)
	})
	t.Run("nobody answers the call", func(t *testing.T) {
		cfg := config("http://ses.invalid")
		cfg.HTTPClient = dialing(func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() })
		m := ses.New(cfg, "events")
		m.Timeout = 50 * time.Millisecond
		check(t, m, t.Context(), notSent)
	})
	t.Run("the caller has gone", func(t *testing.T) {
		s := serve(t, take)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		check(t, s.mailer(), ctx, notSent)
		if n := len(s.seen()); n != 0 {
			t.Errorf("%d POSTs", n)
		}
	})
	t.Run("no credentials", func(t *testing.T) {
		s := serve(t, take)
		cfg := config(s.URL)
		// Their own way to fetch them has connections that say nothing of ours.
		cfg.Credentials = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			r, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/credentials", nil)
			if err != nil {
				return aws.Credentials{}, err
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				return aws.Credentials{}, err
			}
			_ = response.Body.Close()
			return aws.Credentials{}, io.ErrUnexpectedEOF
		})
		check(t, ses.New(cfg, "events"), t.Context(), mailing.Receipt{Fault: mailing.Misconfigured, Reason: "request_could_not_be_made"})
		if n := len(s.seen()); n != 0 {
			t.Errorf("%d POSTs", n)
		}
	})
	// Its connection ends before all of the request was handed over; SES cannot
	// have made anything of the half of it.
	t.Run("cut off while it was written", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.ReadFull(c, make([]byte, 2000))
				_ = c.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}
		}()
		cfg := config("http://" + l.Addr().String())
		cfg.HTTPClient = dialing(func(ctx context.Context) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
			if err == nil {
				err = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
			}
			return c, err
		})
		call := callTo(many(50)...)
		for i := range call.Mails {
			call.Mails[i].Data = []byte(`{"subject":"s","html":"` + strings.Repeat("h", 100_000) + `","text":"t"}`)
		}
		if diff := cmp.Diff(all(50, notSent), ses.New(cfg, "events").Send(t.Context(), call)); diff != "" {
			t.Error(diff)
		}
	})
}

// dialing is an HTTP client whose connections are made by dial.
func dialing(dial func(context.Context) (net.Conn, error)) aws.HTTPClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
		tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }
	})
}

// A connection that was idle for as long as Lambda may freeze a process is not
// used again.
func TestConnectionsAreUsedAgainForAShortWhile(t *testing.T) {
	client, ok := ses.NewClient(config("http://ses.invalid")).Options().HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		t.Fatal("another client")
	}
	if idle := client.GetTransport().IdleConnTimeout; idle > 10*time.Second || idle == 0 {
		t.Errorf("%v", idle)
	}
}
