// Package ses hands mails to Amazon SES v2, and asks it what it grants:
//
//	mail := ses.New(cfg, configurationSet)
//	delivery := &mailing.Delivery{Mailer: mail, …}
//	sweep := &mailing.Sweep{Accounts: mail, …}
//	directory := &directory.Service{Unsuppress: mail.Release, …}
//
// SES knows no idempotency token, and whatever it took is mailed. So a send is
// one request, never repeated here: the SDK's retries are off for it, and its
// answer becomes a [mailing.Fault] that says whether the mail may have been
// taken. What becomes of the mail then is told by events, which carry the tags
// of the request.
package ses

import (
	"cmp"
	"context"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"

	"github.com/memberkey/memberkey/shared/mailing"
)

// Client is what is used of [sesv2.Client].
type Client interface {
	SendEmail(context.Context, *sesv2.SendEmailInput, ...func(*sesv2.Options)) (*sesv2.SendEmailOutput, error)
	SendBulkEmail(context.Context, *sesv2.SendBulkEmailInput, ...func(*sesv2.Options)) (*sesv2.SendBulkEmailOutput, error)
	GetAccount(context.Context, *sesv2.GetAccountInput, ...func(*sesv2.Options)) (*sesv2.GetAccountOutput, error)
	DeleteSuppressedDestination(context.Context, *sesv2.DeleteSuppressedDestinationInput, ...func(*sesv2.Options)) (*sesv2.DeleteSuppressedDestinationOutput, error)
}

// Mailer is SES. It is safe for concurrent use.
type Mailer struct {
	Client Client
	// ConfigurationSet publishes the events; without it nobody would hear of a
	// bounce. Programs that send nothing leave it empty.
	ConfigurationSet string
	Timeout          time.Duration // of one request that sends; 0 is 30 s

	mu      sync.Mutex
	refused map[string]int // mails of a mailing that were refused in calls in a row
}

var (
	_ mailing.Mailer   = (*Mailer)(nil)
	_ mailing.Accounts = (*Mailer)(nil)
)

// New is SES in the account and region of cfg.
func New(cfg aws.Config, configurationSet string) *Mailer {
	return &Mailer{Client: NewClient(cfg), ConfigurationSet: configurationSet}
}

// NewClient is the SDK's client, on connections that are used again only for a
// short while. One that SES has closed meanwhile, while Lambda kept the process
// frozen say, would fail with the request on its way, and cost a quarter of an
// hour of doubt about the mail.
func NewClient(cfg aws.Config) *sesv2.Client {
	return sesv2.NewFromConfig(cfg, func(o *sesv2.Options) {
		if cfg.HTTPClient == nil {
			o.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
				t.IdleConnTimeout, t.MaxIdleConnsPerHost = 5*time.Second, 32
			})
		}
	})
}

const (
	timeout = 30 * time.Second
	// few is how many mails of one call SES may refuse, each for itself, and
	// still be refusing these mails and not whatever we send.
	few = 3
)

// Send is [mailing.Mailer]. A batch is one SendBulkEmail, a mail by itself one
// SendEmail. Where SES refuses a batch as such for something in it, it took
// none of it and does not say for which: its halves then go by themselves, and
// so on, until the mail at fault stands alone.
func (m *Mailer) Send(ctx context.Context, call mailing.Call) []mailing.Receipt {
	receipts := make([]mailing.Receipt, len(call.Mails))
	type part struct{ from, to int }
	for parts := []part{{0, len(receipts)}}; len(parts) > 0; {
		p := parts[0]
		parts = parts[1:]
		if p.from == p.to {
			continue
		}
		some := call
		some.Mails = call.Mails[p.from:p.to]
		v := m.hand(ctx, some, receipts[p.from:p.to])
		if v.inside && p.to-p.from > 1 {
			middle := (p.from + p.to + 1) / 2
			parts = slices.Insert(parts, 0, part{p.from, middle}, part{middle, p.to})
			continue
		}
		if v.receipt.Fault != mailing.Taken && !v.inside {
			// This is not about some mail, so the other parts would fare no
			// better, and waiting for them might outlast the lease.
			if v.receipt.Fault == mailing.Unknown {
				v.receipt = notSent
			}
			for _, rest := range parts {
				fill(receipts[rest.from:rest.to], v.receipt)
			}
			break
		}
	}
	return m.unlikely(call, receipts)
}

// unlikely takes it for the set-up's fault when SES refuses every mail of many,
// in one call or, where a slow account has batches of one, in calls in a row:
// that is an account that may not send to anybody yet, a sender that it does
// not know, or a request that it does not understand, and must not count as
// the failure of all recipients (mail.md 2.3). After that it counts anew, so a
// mailing that staff let go on gets past few that nobody can ever be sent.
func (m *Mailer) unlikely(call mailing.Call, receipts []mailing.Receipt) []mailing.Receipt {
	all := !slices.ContainsFunc(receipts, func(r mailing.Receipt) bool {
		switch r.Reason {
		case messageRejected, notVerified, badRequest, refused:
			return false
		}
		return true
	})
	many := len(receipts)
	if call.Mailing != "" && many > 0 {
		name := call.Organization + " " + call.Mailing
		m.mu.Lock()
		if many += m.refused[name]; !all || many > few {
			delete(m.refused, name)
		} else {
			if m.refused == nil {
				m.refused = map[string]int{}
			}
			m.refused[name] = many
		}
		m.mu.Unlock()
	}
	if !all || many <= few {
		return receipts
	}
	for i := range receipts {
		receipts[i].Fault = mailing.Misconfigured
	}
	return receipts
}

func fill(receipts []mailing.Receipt, with mailing.Receipt) {
	for i := range receipts {
		receipts[i] = with
	}
}

// The one template: each message is rendered whole before, so nothing that
// staff or members type is ever parsed by SES.
var template = types.EmailTemplateContent{
	Subject: aws.String("{{subject}}"), Html: aws.String("{{html}}"), Text: aws.String("{{text}}"),
}

// noData are the defaults of a batch: none. A mail that lacked a variable would
// not go out, which an event tells; with a default it would go out empty.
const noData = "{}"

// hand makes one request and writes the receipts of its mails.
func (m *Mailer) hand(ctx context.Context, call mailing.Call, receipts []mailing.Receipt) verdict {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(m.Timeout, timeout))
	defer cancel()
	var w wire
	var err error
	if len(call.Mails) == 1 {
		var out *sesv2.SendEmailOutput
		if out, err = m.Client.SendEmail(ctx, m.email(call), w.once); err == nil {
			receipts[0] = mailing.Receipt{MessageID: aws.ToString(out.MessageId)}
		}
	} else {
		var out *sesv2.SendBulkEmailOutput
		if out, err = m.Client.SendBulkEmail(ctx, m.bulk(call), w.once); err == nil {
			if results := out.BulkEmailEntryResults; len(results) == len(receipts) {
				for i := range results {
					receipts[i] = result(&results[i], call.From)
				}
				return verdict{}
			}
			// Whose results these are, nobody can tell.
			fill(receipts, mailing.Receipt{Fault: mailing.Unknown, Reason: "results_do_not_match"})
			return verdict{receipt: receipts[0]}
		}
	}
	if err == nil {
		return verdict{}
	}
	v := judge(err, &w, call.From)
	fill(receipts, v.receipt)
	return v
}

// email is a mail by itself. It goes by the same template as those of a batch,
// so that there is one way in which data becomes a mail, and one thing to prove
// on a live account: that a value may hold {{braces}}.
func (m *Mailer) email(call mailing.Call) *sesv2.SendEmailInput {
	mail := &call.Mails[0]
	return &sesv2.SendEmailInput{
		FromEmailAddress: &call.From, ReplyToAddresses: replyTo(call), ConfigurationSetName: m.set(), ConfigurationOverrides: untracked,
		Destination: &types.Destination{ToAddresses: []string{mail.To}},
		Content:     &types.EmailContent{Template: &types.Template{TemplateContent: &template, TemplateData: aws.String(string(mail.Data))}},
		EmailTags:   tags(call.Organization, mail.Tag),
	}
}

func (m *Mailer) bulk(call mailing.Call) *sesv2.SendBulkEmailInput {
	in := &sesv2.SendBulkEmailInput{
		FromEmailAddress: &call.From, ReplyToAddresses: replyTo(call), ConfigurationSetName: m.set(), ConfigurationOverrides: untracked,
		DefaultContent:   &types.BulkEmailContent{Template: &types.Template{TemplateContent: &template, TemplateData: aws.String(noData)}},
		BulkEmailEntries: make([]types.BulkEmailEntry, len(call.Mails)),
	}
	for i := range call.Mails {
		mail := &call.Mails[i]
		in.BulkEmailEntries[i] = types.BulkEmailEntry{
			Destination: &types.Destination{ToAddresses: []string{mail.To}},
			ReplacementEmailContent: &types.ReplacementEmailContent{ReplacementTemplate: &types.ReplacementTemplate{
				ReplacementTemplateData: aws.String(string(mail.Data)),
			}},
			ReplacementTags: tags(call.Organization, mail.Tag),
		}
	}
	return in
}

// untracked keeps SES from rewriting links, whatever the account says: a link
// that sets a password must lead nowhere else (H10).
var untracked = &types.ConfigurationOverrides{Tracking: &types.TrackingConfigurationOverrides{
	ClickTrackingEnabled: types.FeatureStatusDisabled, OpenTrackingEnabled: types.FeatureStatusDisabled,
}}

func tags(organization, entry string) []types.MessageTag {
	return []types.MessageTag{
		{Name: aws.String(mailing.TagEntry), Value: &entry}, {Name: aws.String(mailing.TagOrganization), Value: &organization},
	}
}

func replyTo(call mailing.Call) []string {
	if call.ReplyTo == "" {
		return nil
	}
	return []string{call.ReplyTo}
}

func (m *Mailer) set() *string {
	if m.ConfigurationSet == "" {
		return nil
	}
	return &m.ConfigurationSet
}

// wire watches how far a request gets.
type wire struct {
	client    sesv2.HTTPClient
	tried     bool        // it was made and signed
	connected atomic.Bool // some of it may have left this machine
	cut       atomic.Bool // it broke off before its end, which SES thus never saw
}

// once makes the SDK send once, and the wire see it. (SigV4 credentials are
// fetched by other clients, which do not count.)
func (w *wire) once(o *sesv2.Options) {
	o.Retryer = aws.NopRetryer{}
	w.client, o.HTTPClient = o.HTTPClient, w
}

// Do is [sesv2.HTTPClient].
func (w *wire) Do(r *http.Request) (*http.Response, error) {
	w.tried = true
	return w.client.Do(r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { w.connected.Store(true) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err != nil {
				w.cut.Store(true)
			}
		},
	})))
}

// sent says whether SES may have the whole request.
func (w *wire) sent() bool { return w.connected.Load() && !w.cut.Load() }
