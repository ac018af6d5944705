// Package ses speaks Amazon SES v2's own protocol (REST-JSON, SigV4) before
// the mail service of one laptop, so that what sends mail on AWS sends it here
// by the same client:
//
//	http.Handle("/local/ses/", http.StripPrefix("/local/ses", ses.New(service)))
//	cfg.BaseEndpoint = "http://localhost:8080/local/ses"
//
// Its operations are SendEmail (simple and templated content), SendBulkEmail,
// GetAccount and those of the suppression list. It refuses what SES refuses;
// where it is not known in which of two ways SES does, in the way that is worse
// for the sender. What it does not do, it refuses too: stored templates, raw
// messages, attachments, a mail to several people.
//
// The mails and their events are [mailbox.Service]'s. It keeps of a mail's tags
// the two that Memberkey sets, and only of mails that name the configuration
// set, without which SES publishes nothing.
package ses

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/mail"
	"regexp"
	"strings"

	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/shared/mailing"
)

const (
	maxEntries = mailing.MaxBatch
	// maxRequest is of a request with its template in it; maxData of one mail's
	// template data.
	maxRequest = 1 << 20
	maxData    = 262_144
)

// Server is an http.Handler for the paths of SES v2, "/v2/email/…".
type Server struct {
	mailbox *mailbox.Service
	mux     *http.ServeMux
}

// New puts SES before the service.
func New(service *mailbox.Service) *Server {
	s := &Server{mailbox: service, mux: http.NewServeMux()}
	for pattern, operation := range map[string]func(*http.Request) (any, error){
		"POST /v2/email/outbound-emails":                        s.sendEmail,
		"POST /v2/email/outbound-bulk-emails":                   s.sendBulkEmail,
		"GET /v2/email/account":                                 s.getAccount,
		"GET /v2/email/suppression/addresses":                   s.listSuppressed,
		"PUT /v2/email/suppression/addresses":                   s.putSuppressed,
		"GET /v2/email/suppression/addresses/{EmailAddress}":    s.getSuppressed,
		"DELETE /v2/email/suppression/addresses/{EmailAddress}": s.deleteSuppressed,
	} {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { serve(w, r, operation) })
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		write(w, http.StatusNotFound, "UnknownOperationException", struct{}{})
	})
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// refusal is an error of SES.
type refusal struct {
	status  int
	code    string
	message string
}

func (r *refusal) Error() string { return r.code }

func badRequest(format string, args ...any) error {
	return &refusal{http.StatusBadRequest, "BadRequestException", fmt.Sprintf(format, args...)}
}

// errLost means that no answer comes: the connection ends instead.
var errLost = errors.New("ses: the answer is lost")

func serve(w http.ResponseWriter, r *http.Request, operation func(*http.Request) (any, error)) {
	// Who signs does not matter on one's own machine; that somebody did, does.
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=") {
		write(w, http.StatusForbidden, "MissingAuthenticationTokenException", map[string]string{"message": "Missing Authentication Token"})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
	answer, err := operation(r)
	var refused *refusal
	switch {
	case err == nil:
		write(w, http.StatusOK, "", answer)
	case errors.As(err, &refused):
		write(w, refused.status, refused.code, map[string]string{"message": refused.message})
	case errors.Is(err, errLost):
		panic(http.ErrAbortHandler)
	default:
		write(w, http.StatusInternalServerError, "InternalServiceErrorException", map[string]string{"message": "The service could not do it."})
	}
}

func write(w http.ResponseWriter, status int, code string, body any) {
	w.Header().Set("Content-Type", "application/json")
	if code != "" {
		w.Header().Set("X-Amzn-ErrorType", code)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that went away is no fault of ours
}

// read decodes a request's body.
func read(r *http.Request, into any) error {
	body, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &refusal{http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "The request is larger than 1 MB."}
	}
	if err != nil {
		return err
	}
	if json.Unmarshal(body, into) != nil {
		return &refusal{http.StatusBadRequest, "SerializationException", "The request is not the JSON of this operation."}
	}
	return nil
}

// What is read of requests ("SendEmail", "SendBulkEmail" in the API reference).
type (
	destination struct{ ToAddresses, CcAddresses, BccAddresses []string }

	tag struct{ Name, Value string }

	// sending is what both operations have.
	sending struct {
		FromEmailAddress     string
		ReplyToAddresses     []string
		ConfigurationSetName string
	}

	emailRequest struct {
		sending
		Destination *destination
		EmailTags   []tag
		Content     *struct {
			Simple *struct {
				Subject     *part
				Body        *struct{ Html, Text *part }
				Attachments []json.RawMessage
			}
			Template *template
			Raw      json.RawMessage
		}
	}

	part struct{ Data string }

	bulkRequest struct {
		sending
		DefaultEmailTags []tag
		DefaultContent   *struct{ Template *template }
		BulkEmailEntries []struct {
			Destination             *destination
			ReplacementTags         []tag
			ReplacementEmailContent *struct {
				ReplacementTemplate *struct{ ReplacementTemplateData string }
			}
		}
	}
)

// result is of one entry of a bulk request.
type result struct {
	Status    string
	Error     string `json:",omitempty"`
	MessageId string `json:",omitempty"`
}

func (s *Server) sendEmail(r *http.Request) (any, error) {
	var in emailRequest
	if err := read(r, &in); err != nil {
		return nil, err
	}
	call, err := s.call(&in.sending)
	if err != nil {
		return nil, err
	}
	if in.Content == nil {
		return nil, badRequest("Content is missing.")
	}
	var data []byte
	switch c := in.Content; {
	case c.Simple != nil && c.Template == nil && c.Raw == nil:
		if c.Simple.Subject == nil || c.Simple.Body == nil || c.Simple.Body.Html == nil && c.Simple.Body.Text == nil {
			return nil, badRequest("A simple message has a subject and a body.")
		}
		if c.Simple.Attachments != nil {
			return nil, badRequest("This stand-in takes no attachments.")
		}
		data = encode(map[string]string{"subject": c.Simple.Subject.Data, "html": c.Simple.Body.Html.text(), "text": c.Simple.Body.Text.text()})
	case c.Template != nil && c.Simple == nil && c.Raw == nil:
		p, err := compile(c.Template)
		if err != nil {
			return nil, err
		}
		data = p.render("", c.Template.TemplateData)
	default:
		return nil, badRequest("Content is one of simple and template; this stand-in takes no raw messages.")
	}
	if err := s.add(&call, in.Destination, in.EmailTags, in.ConfigurationSetName, data); err != nil {
		return nil, err
	}
	if !s.mailbox.MayFrom(addressOf(call.From)) {
		return nil, refused(mailbox.NotVerified, call.From)
	}
	receipt := s.mailbox.Send(r.Context(), call)[0]
	if receipt.Fault != mailing.Taken {
		return nil, refused(receipt.Reason, call.Mails[0].To)
	}
	return map[string]string{"MessageId": receipt.MessageID}, nil
}

func (p *part) text() string {
	if p == nil {
		return ""
	}
	return p.Data
}

func (s *Server) sendBulkEmail(r *http.Request) (any, error) {
	var in bulkRequest
	if err := read(r, &in); err != nil {
		return nil, err
	}
	call, err := s.call(&in.sending)
	if err != nil {
		return nil, err
	}
	if n := len(in.BulkEmailEntries); n == 0 || n > maxEntries {
		return nil, badRequest("The request has %d destinations; it may have 1 to %d.", n, maxEntries)
	}
	if in.DefaultContent == nil || in.DefaultContent.Template == nil {
		return nil, badRequest("DefaultContent has no template.")
	}
	p, err := compile(in.DefaultContent.Template)
	if err != nil {
		return nil, err
	}
	for i := range in.BulkEmailEntries {
		e := &in.BulkEmailEntries[i]
		data := ""
		if e.ReplacementEmailContent != nil && e.ReplacementEmailContent.ReplacementTemplate != nil {
			data = e.ReplacementEmailContent.ReplacementTemplate.ReplacementTemplateData
		}
		if len(data) > maxData {
			return nil, badRequest("The template data of destination %d is longer than %d characters.", i, maxData)
		}
		tags := append(in.DefaultEmailTags[:len(in.DefaultEmailTags):len(in.DefaultEmailTags)], e.ReplacementTags...)
		if err := s.add(&call, e.Destination, tags, in.ConfigurationSetName, p.render(in.DefaultContent.Template.TemplateData, data)); err != nil {
			return nil, err
		}
	}
	results := make([]result, len(call.Mails))
	if !s.mailbox.MayFrom(addressOf(call.From)) {
		for i := range results {
			results[i] = status(mailbox.NotVerified, call.From)
		}
		return map[string]any{"BulkEmailEntryResults": results}, nil
	}
	receipts := s.mailbox.Send(r.Context(), call)
	alike := true // every mail has the same fate
	for i, receipt := range receipts {
		alike = alike && receipt.Reason == receipts[0].Reason
		if results[i] = (result{Status: "SUCCESS", MessageId: receipt.MessageID}); receipt.Fault != mailing.Taken {
			results[i] = status(receipt.Reason, call.Mails[i].To)
		}
	}
	// What is true of all of it, SES says of the request.
	switch reason := receipts[0].Reason; {
	case !alike:
	case reason == mailbox.Throttled, reason == mailbox.SendingPaused, reason == mailbox.RequestTooLarge, reason == mailbox.AnswerLost:
		return nil, refused(reason, "")
	}
	return map[string]any{"BulkEmailEntryResults": results}, nil
}

// call begins a call of the mail service with what is the same for all mails.
func (s *Server) call(in *sending) (call mailing.Call, err error) {
	if _, err := mail.ParseAddress(in.FromEmailAddress); err != nil {
		return call, badRequest("Missing final '@domain'")
	}
	if len(in.ReplyToAddresses) > 1 {
		return call, badRequest("This stand-in takes one reply-to address.")
	}
	if in.ConfigurationSetName != "" && in.ConfigurationSetName != s.mailbox.ConfigurationSet() {
		return call, &refusal{http.StatusNotFound, "NotFoundException", "Configuration set <" + in.ConfigurationSetName + "> does not exist."}
	}
	call.From = in.FromEmailAddress
	if len(in.ReplyToAddresses) == 1 {
		if call.ReplyTo = in.ReplyToAddresses[0]; addressOf(call.ReplyTo) == "" {
			return call, badRequest("Missing final '@domain'")
		}
	}
	return call, nil
}

func addressOf(sender string) string {
	a, err := mail.ParseAddress(sender)
	if err != nil {
		return ""
	}
	return a.Address
}

var tagText = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

// add puts one mail into the call. Its error refuses the whole request, as SES
// may do for one bad destination of many, without saying which.
func (s *Server) add(call *mailing.Call, to *destination, tags []tag, set string, data []byte) error {
	if to == nil || len(to.ToAddresses)+len(to.CcAddresses)+len(to.BccAddresses) == 0 {
		return badRequest("A destination has no address.")
	}
	if len(to.ToAddresses) != 1 || to.CcAddresses != nil || to.BccAddresses != nil {
		return badRequest("This stand-in takes one address for each destination.")
	}
	m := mailing.Mail{To: to.ToAddresses[0], Data: data}
	local, _, _ := strings.Cut(m.To, "@")
	for _, c := range []byte(local) {
		if c >= 0x80 {
			return badRequest("Local address contains control or whitespace")
		}
	}
	organization := ""
	for _, t := range tags { // a later one replaces an earlier
		if !tagText.MatchString(t.Name) || !tagText.MatchString(t.Value) {
			return badRequest("A tag's name and value are of letters, digits, hyphens and underscores.")
		}
		if set == "" {
			continue
		}
		switch t.Name {
		case mailing.TagEntry:
			m.Tag = t.Value
		case mailing.TagOrganization:
			organization = t.Value
		}
	}
	if len(call.Mails) == 0 {
		call.Organization = organization
		if name, _, ok := mailing.ParseTag(organization, m.Tag); ok {
			call.Mailing = name.Mailing // the inbox lists mails by it
		}
	} else if call.Organization != organization {
		return badRequest("This stand-in takes one organization for each request.")
	}
	call.Mails = append(call.Mails, m)
	return nil
}

// unverified is how SES names whom it does not know.
func unverified(who string) string {
	return "Email address is not verified. The following identities failed the check in region LOCAL: " + who
}

// status is the result of an entry that was not taken for this reason.
func status(reason, who string) result {
	switch reason {
	case mailbox.Throttled:
		return result{Status: "ACCOUNT_THROTTLED", Error: "Maximum sending rate exceeded."}
	case mailbox.QuotaExceeded:
		return result{Status: "ACCOUNT_DAILY_QUOTA_EXCEEDED", Error: "Daily message quota exceeded."}
	case mailbox.TransientFailure:
		return result{Status: "TRANSIENT_FAILURE", Error: "Please try again."}
	case mailbox.MessageRejected:
		return result{Status: "MESSAGE_REJECTED", Error: "Message rejected."}
	case mailbox.NotVerified:
		return result{Status: "MESSAGE_REJECTED", Error: unverified(who)}
	case mailbox.InvalidAddress:
		return result{Status: "INVALID_PARAMETER", Error: "Domain contains illegal character"}
	case mailbox.InvalidData:
		return result{Status: "INVALID_PARAMETER", Error: "Unable to parse the template data."}
	}
	return result{Status: "FAILED", Error: "Unable to process the request."}
}

// refused is the error of a request that was not taken for this reason. What an
// entry can say and a request cannot becomes an answer that says nothing.
func refused(reason, who string) error {
	switch reason {
	case mailbox.AnswerLost:
		return errLost
	case mailbox.SendingPaused:
		return &refusal{http.StatusBadRequest, "SendingPausedException", "Sending is paused for this account."}
	case mailbox.Throttled, mailbox.QuotaExceeded:
		return &refusal{http.StatusTooManyRequests, "TooManyRequestsException", status(reason, "").Error}
	case mailbox.MessageRejected, mailbox.NotVerified:
		return &refusal{http.StatusBadRequest, "MessageRejected", status(reason, who).Error}
	case mailbox.InvalidAddress, mailbox.InvalidData:
		return badRequest("%s", status(reason, "").Error)
	case mailbox.RequestTooLarge:
		return &refusal{http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "The request is larger than 1 MB."}
	}
	return &refusal{http.StatusInternalServerError, "InternalServiceErrorException", "Unable to process the request."}
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings in a map always have a JSON form
	}
	return b
}
