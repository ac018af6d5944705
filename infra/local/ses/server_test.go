package ses_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/infra/local/ses"
	"github.com/memberkey/memberkey/shared/mailing"
	sharedses "github.com/memberkey/memberkey/shared/ses"
)

const from = `"The Club" <club@example.org>`

// place is a mail service behind its HTTP.
type place struct {
	testing.TB
	*sesv2.Client
	mailbox *mailbox.Service
	cfg     aws.Config
	base    string
}

func open(t testing.TB, opts mailbox.Options) *place {
	t.Helper()
	opts.Log = slog.New(slog.DiscardHandler)
	service, err := mailbox.Open(t.TempDir(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := service.Close(); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewUnstartedServer(http.StripPrefix("/local/ses", ses.New(service)))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	cfg := aws.Config{
		Region: "local", BaseEndpoint: aws.String(server.URL + "/local/ses"),
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""), Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
	return &place{TB: t, Client: sesv2.NewFromConfig(cfg), mailbox: service, cfg: cfg, base: server.URL + "/local/ses"}
}

// mailer is what Memberkey sends by.
func (p *place) mailer() *sharedses.Mailer { return sharedses.New(p.cfg, "local") }

func (p *place) mails() []mailbox.Mail {
	p.Helper()
	all, err := p.mailbox.Mails(mailbox.Filter{})
	if err != nil {
		p.Fatal(err)
	}
	slices.Reverse(all)
	return all
}

type event struct {
	EventType string
	Mail      struct {
		MessageID   string
		Destination []string
		Tags        map[string][]string
	}
	Bounce, Failure json.RawMessage
}

// events are all that are published.
func (p *place) events() (all []event) {
	p.Helper()
	ctx, cancel := context.WithCancel(p.Context())
	var mu sync.Mutex
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.mailbox.Publish(ctx, func(_ context.Context, batch [][]byte) error {
			mu.Lock()
			defer mu.Unlock()
			for _, raw := range batch {
				var e event
				if err := json.Unmarshal(raw, &e); err != nil {
					return err
				}
				all = append(all, e)
			}
			return nil
		})
	}()
	for end := time.Now().Add(10 * time.Second); p.mailbox.Unpublished() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	return all
}

func kinds(all []event) []string {
	names := []string{}
	for _, e := range all {
		names = append(names, e.EventType)
	}
	return names
}

// inline is a template in a request.
func inline(subject, html, text string) *types.EmailTemplateContent {
	return &types.EmailTemplateContent{Subject: &subject, Html: &html, Text: &text}
}

func content() *types.EmailTemplateContent { return inline("{{subject}}", "{{html}}", "{{text}}") }

const data = `{"subject":"Hi {{x}}","html":"<p class=\"a\">Grüße & {{#if y}}</p>","text":"t\n"}`

func entryTags(n int) []types.MessageTag {
	return []types.MessageTag{
		{Name: aws.String("entry"), Value: aws.String(fmt.Sprintf("m_summer_1_0_0_%d", n))}, {Name: aws.String("organization"), Value: aws.String("river")},
	}
}

func single(to string) *sesv2.SendEmailInput {
	return &sesv2.SendEmailInput{
		FromEmailAddress: aws.String(from), ReplyToAddresses: []string{"office@example.org"}, ConfigurationSetName: aws.String("local"),
		Destination: &types.Destination{ToAddresses: []string{to}}, EmailTags: entryTags(0),
		Content: &types.EmailContent{Template: &types.Template{TemplateContent: content(), TemplateData: aws.String(data)}},
	}
}

func bulk(to ...string) *sesv2.SendBulkEmailInput {
	in := &sesv2.SendBulkEmailInput{
		FromEmailAddress: aws.String(from), ReplyToAddresses: []string{"office@example.org"}, ConfigurationSetName: aws.String("local"),
		DefaultContent: &types.BulkEmailContent{Template: &types.Template{TemplateContent: content(), TemplateData: aws.String("{}")}},
	}
	for i, to := range to {
		in.BulkEmailEntries = append(in.BulkEmailEntries, types.BulkEmailEntry{
			Destination: &types.Destination{ToAddresses: []string{to}}, ReplacementTags: entryTags(i),
			ReplacementEmailContent: &types.ReplacementEmailContent{ReplacementTemplate: &types.ReplacementTemplate{ReplacementTemplateData: aws.String(data)}},
		})
	}
	return in
}

func many(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("p%d@example.com", i)
	}
	return all
}

func statuses(t *testing.T, out *sesv2.SendBulkEmailOutput, err error) (all []string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range out.BulkEmailEntryResults {
		all = append(all, string(r.Status))
		if (r.Status == types.BulkEmailStatusSuccess) != (aws.ToString(r.MessageId) != "") || (r.Status == types.BulkEmailStatusSuccess) != (r.Error == nil) {
			t.Errorf("%s with id %q and error %q", r.Status, aws.ToString(r.MessageId), aws.ToString(r.Error))
		}
	}
	return all
}

func TestMailsAreTakenAndTold(t *testing.T) {
	p := open(t, mailbox.Options{})
	out, err := p.SendBulkEmail(t.Context(), bulk("a@example.com", "bounce@simulator.example"))
	if diff := cmp.Diff([]string{"SUCCESS", "SUCCESS"}, statuses(t, out, err)); diff != "" {
		t.Error(diff)
	}
	in := single("c@example.com")
	in.EmailTags[0].Value = aws.String("s_x_0")
	answer, err := p.SendEmail(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{*out.BulkEmailEntryResults[0].MessageId, *out.BulkEmailEntryResults[1].MessageId, *answer.MessageId}
	want := []mailbox.Mail{
		{ID: ids[0], Tag: "m_summer_1_0_0_0", Mailing: "summer", To: "a@example.com", Outcome: "delivered"},
		{ID: ids[1], Tag: "m_summer_1_0_0_1", Mailing: "summer", To: "bounce@simulator.example", Outcome: "bounced"},
		{ID: ids[2], Tag: "s_x_0", To: "c@example.com", Outcome: "delivered"},
	}
	got := p.mails()
	for i := range want {
		w := &want[i]
		w.Organization, w.From, w.ReplyTo = "river", from, "office@example.org"
		w.Subject, w.HTML, w.Text = "Hi {{x}}", `<p class="a">Grüße & {{#if y}}</p>`, "t\n"
		w.At = got[i].At
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	told := p.events()
	if diff := cmp.Diff([]string{"Send", "Delivery", "Send", "Bounce", "Send", "Delivery"}, kinds(told)); diff != "" {
		t.Error(diff)
	}
	for i, e := range told {
		if e.Mail.MessageID != ids[i/2] {
			t.Errorf("event %d is of %s", i, e.Mail.MessageID)
		}
		if diff := cmp.Diff(map[string][]string{
			"entry": {want[i/2].Tag}, "organization": {"river"}, "ses:configuration-set": {"local"}, "ses:from-domain": {"example.org"},
		}, e.Mail.Tags); diff != "" {
			t.Error(diff)
		}
	}
}

// Everything that SES refuses as a request.
func TestRefusedRequests(t *testing.T) {
	for _, test := range []struct {
		name  string
		email func(*sesv2.SendEmailInput)
		bulk  func(*sesv2.SendBulkEmailInput)
		code  string
		words string
	}{
		{"sender", func(in *sesv2.SendEmailInput) { in.FromEmailAddress = aws.String("The Club") },
			func(in *sesv2.SendBulkEmailInput) { in.FromEmailAddress = aws.String("club@") }, "BadRequestException", "@domain"},
		{"no sender", func(in *sesv2.SendEmailInput) { in.FromEmailAddress = nil },
			func(in *sesv2.SendBulkEmailInput) { in.FromEmailAddress = nil }, "BadRequestException", "@domain"},
		{"reply-to", func(in *sesv2.SendEmailInput) { in.ReplyToAddresses = []string{"office"} },
			func(in *sesv2.SendBulkEmailInput) { in.ReplyToAddresses = []string{"office"} }, "BadRequestException", "@domain"},
		{"configuration set", func(in *sesv2.SendEmailInput) { in.ConfigurationSetName = aws.String("another") },
			func(in *sesv2.SendBulkEmailInput) { in.ConfigurationSetName = aws.String("another") }, "NotFoundException", "Configuration set <another> does not exist"},
		{"no destination", func(in *sesv2.SendEmailInput) { in.Destination = nil },
			func(in *sesv2.SendBulkEmailInput) {
				in.BulkEmailEntries[1].Destination = &types.Destination{}
			}, "BadRequestException", "no address"},
		{"empty destination", func(in *sesv2.SendEmailInput) { in.Destination.ToAddresses = []string{} },
			func(in *sesv2.SendBulkEmailInput) { in.BulkEmailEntries[1].Destination.ToAddresses = nil }, "BadRequestException", "no address"},
		{"two people", func(in *sesv2.SendEmailInput) { in.Destination.CcAddresses = []string{"b@example.com"} },
			func(in *sesv2.SendBulkEmailInput) {
				in.BulkEmailEntries[1].Destination.ToAddresses = []string{"b@example.com", "c@example.com"}
			}, "BadRequestException", "one address"},
		{"local part", func(in *sesv2.SendEmailInput) { in.Destination.ToAddresses[0] = "añá@example.com" },
			func(in *sesv2.SendBulkEmailInput) {
				in.BulkEmailEntries[1].Destination.ToAddresses[0] = "añá@example.com"
			}, "BadRequestException", "Local address"},
		{"tag", func(in *sesv2.SendEmailInput) { in.EmailTags[0].Value = aws.String("a b") },
			func(in *sesv2.SendBulkEmailInput) {
				in.BulkEmailEntries[1].ReplacementTags[1].Name = aws.String("")
			}, "BadRequestException", "tag"},
		{"stored template", func(in *sesv2.SendEmailInput) {
			in.Content.Template = &types.Template{TemplateName: aws.String("welcome")}
		}, func(in *sesv2.SendBulkEmailInput) {
			in.DefaultContent.Template = &types.Template{TemplateName: aws.String("welcome")}
		}, "NotFoundException", "template"},
		{"no content", func(in *sesv2.SendEmailInput) { in.Content = &types.EmailContent{} },
			func(in *sesv2.SendBulkEmailInput) { in.DefaultContent = &types.BulkEmailContent{} }, "BadRequestException", ""},
		{"half a template", func(in *sesv2.SendEmailInput) { in.Content.Template.TemplateContent.Subject = nil },
			func(in *sesv2.SendBulkEmailInput) { in.DefaultContent.Template.TemplateContent = nil }, "BadRequestException", "template"},
		{"conditional", func(in *sesv2.SendEmailInput) {
			in.Content.Template.TemplateContent = inline("s", "{{#if a}}x{{/if}}", "t")
		}, func(in *sesv2.SendBulkEmailInput) {
			in.DefaultContent.Template.TemplateContent = inline("{{a.b}}", "h", "t")
		}, "BadRequestException", "unsupported operations"},
		{"name of a variable", func(in *sesv2.SendEmailInput) {
			in.Content.Template.TemplateContent = inline("{{first_name}}", "h", "t")
		}, func(in *sesv2.SendBulkEmailInput) {
			in.DefaultContent.Template.TemplateContent = inline("s", "h", "{{{text}}}")
		}, "BadRequestException", "unsupported operations"},
		{"half a variable", func(in *sesv2.SendEmailInput) {
			in.Content.Template.TemplateContent = inline("s", "h", "{{ text")
		}, func(in *sesv2.SendBulkEmailInput) {
			in.DefaultContent.Template.TemplateContent = inline("s }}", "h", "t")
		}, "BadRequestException", "unsupported operations"},
		{"data of one mail", func(in *sesv2.SendEmailInput) {
			in.Content.Template.TemplateData = aws.String(`{"subject":"` + strings.Repeat("x", 262_144) + `"}`)
		}, func(in *sesv2.SendBulkEmailInput) {
			in.BulkEmailEntries[1].ReplacementEmailContent.ReplacementTemplate.ReplacementTemplateData = aws.String(`{"subject":"` + strings.Repeat("x", 262_144) + `"}`)
		}, "BadRequestException", "template data"},
		{"whole request", func(in *sesv2.SendEmailInput) {
			in.Content.Template.TemplateData = aws.String(strings.Repeat("x", 1<<20))
		}, func(in *sesv2.SendBulkEmailInput) {
			*in = *bulk(many(50)...)
			for i := range in.BulkEmailEntries {
				in.BulkEmailEntries[i].ReplacementEmailContent.ReplacementTemplate.ReplacementTemplateData = aws.String(strings.Repeat("x", 21_000))
			}
		}, "RequestEntityTooLargeException", "1 MB"},
		{"51 destinations", nil, func(in *sesv2.SendBulkEmailInput) { *in = *bulk(many(51)...) }, "BadRequestException", "51 destinations"},
		{"no destinations", nil, func(in *sesv2.SendBulkEmailInput) { in.BulkEmailEntries = []types.BulkEmailEntry{} }, "BadRequestException", "0 destinations"},
		{"data that is none", func(in *sesv2.SendEmailInput) { in.Content.Template.TemplateData = aws.String(`["x"]`) }, nil, "BadRequestException", "template data"},
		{"domain", func(in *sesv2.SendEmailInput) { in.Destination.ToAddresses[0] = "a@exa mple.com" }, nil, "BadRequestException", "Domain"},
		{"raw", func(in *sesv2.SendEmailInput) {
			in.Content = &types.EmailContent{Raw: &types.RawMessage{Data: []byte("x")}}
		}, nil, "BadRequestException", "raw"},
		{"body", func(in *sesv2.SendEmailInput) {
			in.Content = &types.EmailContent{Simple: &types.Message{Subject: &types.Content{Data: aws.String("s")}, Body: &types.Body{}}}
		}, nil, "BadRequestException", "body"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := open(t, mailbox.Options{})
			check := func(kind string, err error) {
				var api smithy.APIError
				if !errors.As(err, &api) || api.ErrorCode() != test.code || !strings.Contains(api.ErrorMessage(), test.words) {
					t.Errorf("%s: %v", kind, err)
				}
			}
			if test.email != nil {
				in := single("a@example.com")
				test.email(in)
				_, err := p.SendEmail(t.Context(), in)
				check("SendEmail", err)
			}
			if test.bulk != nil {
				in := bulk("a@example.com", "b@example.com")
				test.bulk(in)
				_, err := p.SendBulkEmail(t.Context(), in)
				check("SendBulkEmail", err)
			}
			if n := len(p.mails()); n != 0 {
				t.Errorf("%d mails were taken", n)
			}
		})
	}
}

// What SES says of one destination of several, the others are not hindered by.
func TestRefusedEntries(t *testing.T) {
	p := open(t, mailbox.Options{})
	in := bulk("a@example.com", "nobody", "reject@simulator.example", "d@example.com")
	in.BulkEmailEntries[3].ReplacementEmailContent.ReplacementTemplate.ReplacementTemplateData = aws.String(`{"subject":`)
	out, err := p.SendBulkEmail(t.Context(), in)
	if diff := cmp.Diff([]string{"SUCCESS", "INVALID_PARAMETER", "SUCCESS", "INVALID_PARAMETER"}, statuses(t, out, err)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Send", "Delivery", "Send", "Reject"}, kinds(p.events())); diff != "" {
		t.Error(diff)
	}
}

// A mail that lacks a variable is SUCCESS with an id, and never goes out.
func TestMissingVariable(t *testing.T) {
	for _, lacking := range []string{`{"subject":"s","html":"h"}`, `{}`, ""} {
		p := open(t, mailbox.Options{})
		in := bulk("a@example.com", "b@example.com")
		in.BulkEmailEntries[1].ReplacementEmailContent.ReplacementTemplate.ReplacementTemplateData = aws.String(lacking)
		out, err := p.SendBulkEmail(t.Context(), in)
		if diff := cmp.Diff([]string{"SUCCESS", "SUCCESS"}, statuses(t, out, err)); diff != "" {
			t.Error(diff)
		}
		one := single("c@example.com")
		one.Content.Template.TemplateData = aws.String(lacking)
		if answer, err := p.SendEmail(t.Context(), one); err != nil || aws.ToString(answer.MessageId) == "" {
			t.Errorf("%+v, %v", answer, err)
		}
		letter := single("d@example.com")
		letter.Content.Template = &types.Template{TemplateContent: inline("s", "Dear {{name}}", "t"), TemplateData: aws.String(lacking)}
		if answer, err := p.SendEmail(t.Context(), letter); err != nil || aws.ToString(answer.MessageId) == "" {
			t.Errorf("%+v, %v", answer, err)
		}
		all := p.events()
		if diff := cmp.Diff([]string{"Send", "Delivery", "Rendering Failure", "Rendering Failure", "Rendering Failure"}, kinds(all)); diff != "" {
			t.Error(diff)
		}
		if e := all[2]; e.Failure == nil || e.Mail.Tags["entry"][0] != "m_summer_1_0_0_1" {
			t.Errorf("%+v", e)
		}
		if m := p.mails()[1]; m.Outcome != "not_rendered" || m.HTML != "" {
			t.Errorf("%+v", m)
		}
	}
}

// Any template of simple substitutions is rendered: values over defaults, as
// they are, and nothing in them is looked at again.
func TestTemplates(t *testing.T) {
	p := open(t, mailbox.Options{})
	in := bulk("a@example.com", "b@example.com")
	in.DefaultContent.Template.TemplateContent = inline("To {{ name }}", "<b>{{name}}</b>, {{n}} of {{n}}", "{{name}}: {{club}}")
	in.DefaultContent.Template.TemplateData = aws.String(`{"club":"River {{name}}","name":"you","n":1}`)
	in.BulkEmailEntries[0].ReplacementEmailContent.ReplacementTemplate.ReplacementTemplateData = aws.String(`{"name":"<i>Ana</i> {{club}}","n":2.5}`)
	in.BulkEmailEntries[1].ReplacementEmailContent = nil
	out, err := p.SendBulkEmail(t.Context(), in)
	statuses(t, out, err)
	simple := single("c@example.com")
	simple.Content = &types.EmailContent{Simple: &types.Message{
		Subject: &types.Content{Data: aws.String("{{x}}")}, Body: &types.Body{Text: &types.Content{Data: aws.String("<&>\u2028")}},
	}}
	if _, err := p.SendEmail(t.Context(), simple); err != nil {
		t.Fatal(err)
	}
	numbers := single("d@example.com") // values need not be strings
	numbers.Content.Template.TemplateData = aws.String(`{"subject":1,"html":true,"text":"t"}`)
	if _, err := p.SendEmail(t.Context(), numbers); err != nil {
		t.Fatal(err)
	}
	letter := single("e@example.com")
	letter.Content.Template = &types.Template{TemplateContent: inline("s", "Dear {{name}}", "t"), TemplateData: aws.String(`{"name":"Eve"}`)}
	if _, err := p.SendEmail(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	in = bulk("f@example.com")
	in.DefaultContent.Template.TemplateData = aws.String(`{"subject":"default","text":"default"}`)
	in.BulkEmailEntries[0].ReplacementEmailContent.ReplacementTemplate.ReplacementTemplateData = aws.String(`{"subject":"own","html":"own"}`)
	out, err = p.SendBulkEmail(t.Context(), in)
	statuses(t, out, err)
	type parts struct{ Subject, HTML, Text string }
	var got []parts
	for _, m := range p.mails() {
		got = append(got, parts{m.Subject, m.HTML, m.Text})
	}
	if diff := cmp.Diff([]parts{
		{"To <i>Ana</i> {{club}}", "<b><i>Ana</i> {{club}}</b>, 2.5 of 2.5", "<i>Ana</i> {{club}}: River {{name}}"},
		{"To you", "<b>you</b>, 1 of 1", "you: River {{name}}"},
		{"{{x}}", "", "<&>\u2028"},
		{"1", "true", "t"},
		{"s", "Dear Eve", "t"},
		{"own", "own", "default"},
	}, got); diff != "" {
		t.Error(diff)
	}
}

// Without the configuration set nobody hears what became of a mail.
func TestNoConfigurationSet(t *testing.T) {
	p := open(t, mailbox.Options{ConfigurationSet: "events"})
	in := bulk("bounce@simulator.example")
	in.ConfigurationSetName = nil
	out, err := p.SendBulkEmail(t.Context(), in)
	statuses(t, out, err)
	in.ConfigurationSetName = aws.String("events")
	out, err = p.SendBulkEmail(t.Context(), in)
	statuses(t, out, err)
	all := p.events()
	if diff := cmp.Diff([]string{"Send", "Bounce"}, kinds(all)); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff([]string{"events"}, all[0].Mail.Tags["ses:configuration-set"]); diff != "" {
		t.Error(diff)
	}
}

func TestSandbox(t *testing.T) {
	p := open(t, mailbox.Options{Sandbox: true, Verified: []string{"club@example.org", "ana@example.com"}, Rate: 100})
	out, err := p.SendBulkEmail(t.Context(), bulk("ana@example.com", "bob@example.com", "success@simulator.amazonses.com"))
	if diff := cmp.Diff([]string{"SUCCESS", "MESSAGE_REJECTED", "SUCCESS"}, statuses(t, out, err)); diff != "" {
		t.Error(diff)
	}
	var rejected *types.MessageRejected
	if _, err := p.SendEmail(t.Context(), single("bob@example.com")); !errors.As(err, &rejected) || !strings.HasSuffix(rejected.ErrorMessage(), ": bob@example.com") {
		t.Errorf("%v", err)
	}
	in := single("ana@example.com")
	in.FromEmailAddress = aws.String("other@example.org")
	if _, err := p.SendEmail(t.Context(), in); !errors.As(err, &rejected) || !strings.HasSuffix(rejected.ErrorMessage(), ": other@example.org") {
		t.Errorf("%v", err)
	}
	// As Memberkey reads it: the address's fault, or the set-up's.
	call := mailing.Call{Organization: "river", From: "other@example.org", Mails: []mailing.Mail{{To: "ana@example.com", Tag: "t", Data: []byte(data)}}}
	for _, n := range []int{1, 3} {
		call.Mails = slices.Repeat(call.Mails[:1], n)
		for _, r := range p.mailer().Send(t.Context(), call) {
			if r != (mailing.Receipt{Fault: mailing.Misconfigured, Reason: "sender_not_verified"}) {
				t.Errorf("%+v", r)
			}
		}
	}
	if a, err := p.mailer().Account(t.Context()); err != nil || a.Reason != "sandbox" || !a.Enabled || a.DailyQuota != 200 {
		t.Errorf("%+v, %v", a, err)
	}
	if n := len(p.mails()); n != 2 {
		t.Errorf("%d mails were taken", n)
	}
}

// Every fault of the mail service acts on the wire as SES would, and Memberkey
// reads from it what it was.
func TestFaults(t *testing.T) {
	for _, test := range []struct {
		faults string
		code   string // of SendEmail; "" is no answer at all
		status string // of each entry; "" is that code for the request
		want   mailing.Receipt
		single *mailing.Receipt // where it differs for a mail by itself
		kept   int              // of a mail and a batch of two
	}{
		{"throttle=1", "TooManyRequestsException", "", mailing.Receipt{Fault: mailing.Throttled, Reason: "account_throttled"}, nil, 0},
		{"quota=0.5", "TooManyRequestsException", "ACCOUNT_DAILY_QUOTA_EXCEEDED", mailing.Receipt{Fault: mailing.QuotaUsed, Reason: "account_daily_quota_exceeded"}, nil, 0},
		{"transient=1", "InternalServiceErrorException", "TRANSIENT_FAILURE", mailing.Receipt{Fault: mailing.Transient, Reason: "transient_failure"},
			&mailing.Receipt{Fault: mailing.Unknown, Reason: "answer_lost"}, 0},
		{"fail=1", "InternalServiceErrorException", "FAILED", mailing.Receipt{Fault: mailing.Unclear, Reason: "failed"},
			&mailing.Receipt{Fault: mailing.Unknown, Reason: "answer_lost"}, 0},
		{"reject=1", "MessageRejected", "MESSAGE_REJECTED", mailing.Receipt{Fault: mailing.Rejected, Reason: "message_rejected"}, nil, 0},
		{"pause", "SendingPausedException", "", mailing.Receipt{Fault: mailing.Misconfigured, Reason: "account_sending_paused"}, nil, 0},
		{"drop=1", "", "", mailing.Receipt{Fault: mailing.Unknown, Reason: "answer_lost"}, nil, 3},
		{"lose=1", "", "", mailing.Receipt{Fault: mailing.Unknown, Reason: "answer_lost"}, nil, 0},
	} {
		t.Run(test.faults, func(t *testing.T) {
			faults, err := mailbox.ParseFaults(test.faults)
			if err != nil {
				t.Fatal(err)
			}
			p := open(t, mailbox.Options{Faults: faults})
			call := mailing.Call{Organization: "river", From: from, Mails: []mailing.Mail{
				{To: "a@example.com", Tag: "a", Data: []byte(data)}, {To: "b@example.com", Tag: "b", Data: []byte(data)},
			}}
			if diff := cmp.Diff([]mailing.Receipt{test.want, test.want}, p.mailer().Send(t.Context(), call)); diff != "" {
				t.Error(diff)
			}
			call.Mails = call.Mails[:1]
			want := test.want
			if test.single != nil {
				want = *test.single
			}
			if diff := cmp.Diff([]mailing.Receipt{want}, p.mailer().Send(t.Context(), call)); diff != "" {
				t.Error(diff)
			}
			if n := len(p.mails()); n != test.kept {
				t.Errorf("%d mails were taken, want %d", n, test.kept)
			}
			check := func(err error) {
				t.Helper()
				var api smithy.APIError
				if code := ""; errors.As(err, &api) {
					if code = api.ErrorCode(); code != test.code {
						t.Errorf("%s, want %q", code, test.code)
					}
				} else if err == nil || test.code != "" {
					t.Errorf("%v, want %q", err, test.code)
				}
			}
			_, err = p.SendEmail(t.Context(), single("a@example.com"))
			check(err)
			out, err := p.SendBulkEmail(t.Context(), bulk("a@example.com", "b@example.com"))
			if test.status == "" {
				check(err)
			} else if diff := cmp.Diff([]string{test.status, test.status}, statuses(t, out, err)); diff != "" {
				t.Error(diff)
			}
			a, err := p.mailer().Account(t.Context())
			if err != nil || a.Enabled == faults.Pause || a.DailyQuota != faults.Quota {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
}

// A batch beyond the rate is taken in part.
func TestRate(t *testing.T) {
	p := open(t, mailbox.Options{Rate: 2, DailyQuota: 1000})
	out, err := p.SendBulkEmail(t.Context(), bulk(many(6)...))
	if diff := cmp.Diff(append(slices.Repeat([]string{"SUCCESS"}, 4), "ACCOUNT_THROTTLED", "ACCOUNT_THROTTLED"), statuses(t, out, err)); diff != "" {
		t.Error(diff)
	}
	a, err := p.mailer().Account(t.Context())
	if diff := cmp.Diff(mailing.Account{Rate: 2, DailyQuota: 1000, SentLastDay: 4, Enabled: true}, a); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// Only what is true of every mail is said of the request.
func TestSomeThrottled(t *testing.T) {
	first := false
	for seed := range uint64(8) {
		p := open(t, mailbox.Options{Faults: mailbox.Faults{Throttle: 0.5, Seed: seed}})
		out, err := p.SendBulkEmail(t.Context(), bulk(many(10)...))
		all := statuses(t, out, err)
		first = first || all[0] == "ACCOUNT_THROTTLED"
		if taken := len(p.mails()); taken == 0 || taken != strings.Count(strings.Join(all, " "), "SUCCESS") {
			t.Errorf("%d mails were taken; %v", taken, all)
		}
	}
	if !first {
		t.Error("no first mail was throttled, which would be the odd case")
	}
}

// The service takes its time, and the sender has none: the mail is there once.
func TestSlow(t *testing.T) {
	p := open(t, mailbox.Options{Faults: mailbox.Faults{Slow: time.Hour}})
	ctx, giveUp := context.WithCancel(t.Context())
	go func() {
		for p.mailbox.Accepted() == 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		giveUp()
	}()
	r := p.mailer().Send(ctx, mailing.Call{Organization: "river", From: from, Mails: []mailing.Mail{{To: "a@example.com", Tag: "a", Data: []byte(data)}}})
	if r[0].Fault != mailing.Unknown {
		t.Errorf("%+v", r)
	}
	if n := len(p.mails()); n != 1 {
		t.Errorf("%d mails", n)
	}
}

func TestSuppressionList(t *testing.T) {
	now := time.Date(2026, 5, 4, 9, 30, 0, 0, time.UTC)
	p := open(t, mailbox.Options{Now: func() time.Time { return now }})
	get := func(address string) (*types.SuppressedDestination, error) {
		out, err := p.GetSuppressedDestination(t.Context(), &sesv2.GetSuppressedDestinationInput{EmailAddress: &address})
		if err != nil {
			return nil, err
		}
		return out.SuppressedDestination, nil
	}
	out, err := p.SendBulkEmail(t.Context(), bulk("bounce@simulator.example", "complaint+a/b@simulator.example"))
	statuses(t, out, err)
	if _, err := p.PutSuppressedDestination(t.Context(), &sesv2.PutSuppressedDestinationInput{EmailAddress: aws.String("Ana+x@example.com"), Reason: "BOUNCE"}); err != nil {
		t.Fatal(err)
	}
	for address, reason := range map[string]string{"Bounce@simulator.example": "BOUNCE", "complaint+a/b@simulator.example": "COMPLAINT", "ana+x@example.com": "BOUNCE"} {
		d, err := get(address)
		if err != nil {
			t.Fatal(err)
		}
		if aws.ToString(d.EmailAddress) != strings.ToLower(address) || string(d.Reason) != reason || !aws.ToTime(d.LastUpdateTime).Equal(now) {
			t.Errorf("%s: %s %s %v", address, aws.ToString(d.EmailAddress), d.Reason, d.LastUpdateTime)
		}
	}
	var listed [][]string
	pages := sesv2.NewListSuppressedDestinationsPaginator(p.Client, &sesv2.ListSuppressedDestinationsInput{PageSize: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var addresses []string
		for _, d := range page.SuppressedDestinationSummaries {
			addresses = append(addresses, *d.EmailAddress)
		}
		listed = append(listed, addresses)
	}
	if diff := cmp.Diff([][]string{{"ana+x@example.com", "bounce@simulator.example"}, {"complaint+a/b@simulator.example"}}, listed); diff != "" {
		t.Error(diff)
	}
	complaints, err := p.ListSuppressedDestinations(t.Context(), &sesv2.ListSuppressedDestinationsInput{Reasons: []types.SuppressionListReason{"COMPLAINT"}})
	if err != nil || len(complaints.SuppressedDestinationSummaries) != 1 {
		t.Errorf("%+v, %v", complaints, err)
	}
	out, err = p.SendBulkEmail(t.Context(), bulk("ana+X@example.com"))
	statuses(t, out, err)
	for range 2 { // the second time it is not on the list any more
		if err := p.mailer().Release(t.Context(), "Ana+x@example.com"); err != nil {
			t.Fatal(err)
		}
	}
	var missing *types.NotFoundException
	if _, err := get("ana+x@example.com"); !errors.As(err, &missing) {
		t.Errorf("%v", err)
	}
	if _, err := p.DeleteSuppressedDestination(t.Context(), &sesv2.DeleteSuppressedDestinationInput{EmailAddress: aws.String("ana+x@example.com")}); !errors.As(err, &missing) {
		t.Errorf("%v", err)
	}
	if m := p.mails()[2]; m.Outcome != "suppressed" {
		t.Errorf("%+v", m)
	}
	var bad *types.BadRequestException
	for _, in := range []*sesv2.PutSuppressedDestinationInput{
		{EmailAddress: aws.String("nobody"), Reason: "BOUNCE"}, {EmailAddress: aws.String("ana@example.com"), Reason: "WHIM"},
	} {
		if _, err := p.PutSuppressedDestination(t.Context(), in); !errors.As(err, &bad) {
			t.Errorf("%v", err)
		}
	}
	if _, err := p.ListSuppressedDestinations(t.Context(), &sesv2.ListSuppressedDestinationsInput{PageSize: aws.Int32(0)}); !errors.As(err, &bad) {
		t.Errorf("%v", err)
	}
}

// What is no request of the SDK's.
func TestOtherRequests(t *testing.T) {
	p := open(t, mailbox.Options{})
	const signed = "AWS4-HMAC-SHA256 Credential=local/20260504/local/ses/aws4_request, SignedHeaders=host, Signature=00"
	for _, test := range []struct {
		method, path, authorization, body string
		status                            int
		code                              string
	}{
		{"GET", "/v2/email/account", "", "", 403, "MissingAuthenticationTokenException"},
		{"GET", "/v2/email/account", "Bearer x", "", 403, "MissingAuthenticationTokenException"},
		{"POST", "/v2/email/outbound-emails", "", "{}", 403, "MissingAuthenticationTokenException"},
		{"GET", "/v2/email/account", signed, "", 200, ""},
		{"GET", "/v2/email/templates", signed, "", 404, "UnknownOperationException"},
		{"DELETE", "/v2/email/outbound-emails", signed, "", 404, "UnknownOperationException"},
		{"POST", "/v2/email/outbound-emails", signed, "{", 400, "SerializationException"},
		{"POST", "/v2/email/outbound-bulk-emails", signed, `{"BulkEmailEntries":7}`, 400, "SerializationException"},
		{"POST", "/v2/email/outbound-emails", signed, "{}", 400, "BadRequestException"},
		{"POST", "/v2/email/outbound-emails", signed, `{"FromEmailAddress":"club@example.org"}`, 400, "BadRequestException"},
		{"POST", "/v2/email/outbound-bulk-emails", signed, `{"FromEmailAddress":"club@example.org","BulkEmailEntries":[{}]}`, 400, "BadRequestException"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), test.method, p.base+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		if test.authorization != "" {
			r.Header.Set("Authorization", test.authorization)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != test.status || response.Header.Get("X-Amzn-ErrorType") != test.code || !json.Valid(body) {
			t.Errorf("%s %s %s: %d %s %s", test.method, test.path, test.body, response.StatusCode, response.Header.Get("X-Amzn-ErrorType"), body)
		}
	}
}

// full is a batch of 50 mails of 10 kB, as a mailing makes them.
func full() mailing.Call {
	call := mailing.Call{Organization: "river", From: from, ReplyTo: "office@example.org", Mailing: "summer"}
	d := `{"subject":"Your login","html":"` + strings.Repeat(`<p style=\"margin:0 0 16px\">Dear member, this is a line.</p>`, 100) +
		`","text":"` + strings.Repeat(`Dear member, this is a line.\n`, 120) + `"}`
	for i, to := range many(50) {
		call.Mails = append(call.Mails, mailing.Mail{To: to, Tag: fmt.Sprintf("m_summer_1_0_0_%d", i), Data: []byte(d)})
	}
	return call
}

// The cost of the wire: a batch of 50 by the SDK's client through HTTP to the
// mail service on disk, beside the same batch handed to it in the process.
func BenchmarkBatchOfFifty(b *testing.B) {
	for name, mailer := range map[string]func(*place) mailing.Mailer{
		"wire":    func(p *place) mailing.Mailer { return p.mailer() },
		"process": func(p *place) mailing.Mailer { return p.mailbox },
	} {
		b.Run(name, func(b *testing.B) {
			m, call := mailer(open(b, mailbox.Options{})), full()
			b.ReportAllocs()
			for b.Loop() {
				if r := m.Send(b.Context(), call); r[49].Fault != mailing.Taken {
					b.Fatalf("%+v", r[49])
				}
			}
			b.ReportMetric(50*float64(b.N)/b.Elapsed().Seconds(), "mails/s")
		})
	}
}
