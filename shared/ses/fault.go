package ses

import (
	"context"
	"errors"
	"net/http"
	"net/mail"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/memberkey/memberkey/shared/mailing"
)

// Reasons in receipts are SES's own codes in lower case, of entries and of
// errors alike, so that one thing has one name wherever SES says it.
const (
	throttled         = "account_throttled"
	quotaUsed         = "account_daily_quota_exceeded"
	sendingPaused     = "account_sending_paused"
	suspended         = "account_suspended"
	senderDomain      = "mail_from_domain_not_verified"
	setNotFound       = "configuration_set_not_found"
	messageRejected   = "message_rejected"
	invalidParameter  = "invalid_parameter"
	badRequest        = "bad_request"
	refused           = "refused" // with a code that we do not know
	accessDenied      = "access_denied"
	senderNotVerified = "sender_not_verified"       // MESSAGE_REJECTED of an unknown sender
	notVerified       = "address_not_verified"      // MESSAGE_REJECTED of a sandbox
	noTemplates       = "template_not_understood"   // "unsupported operations"
	answerLost        = "answer_lost"               // sent, and nobody knows what SES did
	malformed         = "answer_not_understood"     // the same
	notMade           = "request_could_not_be_made" // no credentials or region, say
)

// notSent surely did not reach SES, and that is no fault of the recipient's.
var notSent = mailing.Receipt{Fault: mailing.Throttled, Reason: "not_connected"}

// verdict is what an answer says of all mails of a request; the zero one is
// that each has its own.
type verdict struct {
	receipt mailing.Receipt
	inside  bool // it was refused for something in it: one mail of many, perhaps
}

// judge reads an error of a send.
func judge(err error, w *wire, from string) verdict {
	var response *smithyhttp.ResponseError
	status := 0
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	is := func(fault mailing.Fault, reason string) verdict {
		return verdict{receipt: mailing.Receipt{Fault: fault, Reason: reason}}
	}
	switch {
	case status == 0 && w.sent():
		return is(mailing.Unknown, answerLost)
	case status == 0 && !w.tried && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
		return is(mailing.Misconfigured, notMade)
	case status == 0:
		return verdict{receipt: notSent}
	case status < 400:
		return is(mailing.Unknown, malformed)
	case status >= 500, status == http.StatusRequestTimeout:
		return is(mailing.Unknown, answerLost)
	}
	// From here on SES surely did not take it.
	code, message := "", ""
	var api smithy.APIError
	if errors.As(err, &api) {
		code, message = api.ErrorCode(), api.ErrorMessage()
	}
	switch code {
	case "TooManyRequestsException", "LimitExceededException", "Throttling", "ThrottlingException", "ThrottledException",
		"RequestThrottled", "RequestThrottledException", "RequestLimitExceeded":
		return verdict{receipt: pace(message)}
	case "SendingPausedException":
		return is(mailing.Misconfigured, sendingPaused)
	case "AccountSuspendedException":
		return is(mailing.Misconfigured, suspended)
	case "MailFromDomainNotVerifiedException":
		return is(mailing.Misconfigured, senderDomain)
	case "NotFoundException": // nothing else that a request names is stored at SES
		return is(mailing.Misconfigured, setNotFound)
	case "MessageRejected":
		receipt := rejection(message, from)
		return verdict{receipt: receipt, inside: receipt.Fault == mailing.Rejected}
	}
	switch {
	case status == http.StatusTooManyRequests:
		return verdict{receipt: pace(message)}
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return is(mailing.Misconfigured, accessDenied)
	case unsupported(message):
		return is(mailing.Misconfigured, noTemplates)
	}
	v := is(mailing.Rejected, badRequest)
	if code != "BadRequestException" && status != http.StatusRequestEntityTooLarge {
		v = is(mailing.Unclear, refused)
	}
	v.inside = true
	return v
}

// result reads what became of one entry of a batch.
func result(r *types.BulkEmailEntryResult, from string) mailing.Receipt {
	switch r.Status {
	case types.BulkEmailStatusSuccess:
		return mailing.Receipt{MessageID: aws.ToString(r.MessageId)}
	case types.BulkEmailStatusAccountThrottled:
		return pace(aws.ToString(r.Error))
	case types.BulkEmailStatusAccountDailyQuotaExceeded:
		return mailing.Receipt{Fault: mailing.QuotaUsed, Reason: quotaUsed}
	case types.BulkEmailStatusTransientFailure:
		return mailing.Receipt{Fault: mailing.Transient, Reason: "transient_failure"}
	case types.BulkEmailStatusMessageRejected:
		return rejection(aws.ToString(r.Error), from)
	case types.BulkEmailStatusInvalidParameter, "INVALID_PARAMETER_VALUE": // the second in the SDK's comments alone
		if unsupported(aws.ToString(r.Error)) {
			return mailing.Receipt{Fault: mailing.Misconfigured, Reason: noTemplates}
		}
		return mailing.Receipt{Fault: mailing.Rejected, Reason: invalidParameter}
	case types.BulkEmailStatusMailFromDomainNotVerified, types.BulkEmailStatusConfigurationSetNotFound, "CONFIGURATION_SET_DOES_NOT_EXIST",
		types.BulkEmailStatusTemplateNotFound, "TEMPLATE_DOES_NOT_EXIST", types.BulkEmailStatusInvalidSendingPoolName,
		types.BulkEmailStatusAccountSendingPaused, types.BulkEmailStatusConfigurationSetSendingPaused, types.BulkEmailStatusAccountSuspended:
		return mailing.Receipt{Fault: mailing.Misconfigured, Reason: strings.ToLower(string(r.Status))}
	case types.BulkEmailStatusFailed:
		return mailing.Receipt{Fault: mailing.Unclear, Reason: "failed"}
	}
	if r.Status == "" || aws.ToString(r.MessageId) != "" {
		return mailing.Receipt{Fault: mailing.Unknown, Reason: malformed} // what has an id may well be on its way
	}
	return mailing.Receipt{Fault: mailing.Unclear, Reason: "unknown_status"}
}

// pace tells SES's two limits apart; both come under the same codes.
func pace(message string) mailing.Receipt {
	if strings.Contains(strings.ToLower(message), "daily") { // "Daily message quota exceeded"
		return mailing.Receipt{Fault: mailing.QuotaUsed, Reason: quotaUsed}
	}
	return mailing.Receipt{Fault: mailing.Throttled, Reason: throttled}
}

// rejection tells what a rejection is about. An account in the sandbox may mail
// verified addresses alone, and every account must have verified its senders;
// SES says both in the same words, and names who is not.
func rejection(message, from string) mailing.Receipt {
	if !strings.Contains(strings.ToLower(message), "not verified") {
		return mailing.Receipt{Fault: mailing.Rejected, Reason: messageRejected}
	}
	sender := from
	if a, err := mail.ParseAddress(from); err == nil {
		sender = a.Address
	}
	_, domain, _ := strings.Cut(sender, "@")
	for _, word := range strings.FieldsFunc(message, func(r rune) bool { return strings.ContainsRune(" ,;:<>\"'()\t\n", r) }) {
		if word = strings.TrimSuffix(word, "."); strings.EqualFold(word, sender) || strings.EqualFold(word, domain) {
			return mailing.Receipt{Fault: mailing.Misconfigured, Reason: senderNotVerified}
		}
	}
	return mailing.Receipt{Fault: mailing.Rejected, Reason: notVerified}
}

// unsupported says whether SES does not understand our template, which is the
// same in every request.
func unsupported(message string) bool {
	return strings.Contains(strings.ToLower(message), "unsupported operation")
}
