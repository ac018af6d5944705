// Package feedback is the function behind the queue of the mail service's
// events (SES event publishing through SNS with raw message delivery): it turns
// deliveries, bounces and complaints into outcomes.
package feedback

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"github.com/memberkey/memberkey/functions"
	"github.com/memberkey/memberkey/shared/mailing"
)

// Function records events.
type Function struct {
	Feedback *mailing.Feedback
	Log      *slog.Logger
}

// New makes the function; it rings no bells.
func New(b functions.Base) *Function {
	return &Function{Feedback: &mailing.Feedback{Store: b.Mail(), Now: b.Now, Log: b.Log}, Log: b.Log}
}

// Handle records the events of one poll; those of one batch together. A
// message that is no event is named as failed and ends on the dead letter queue.
func (f *Function) Handle(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	var failed events.SQSEventResponse
	fail := func(id string, err error) {
		f.Log.ErrorContext(ctx, "event failed", "messageId", id, "error", err)
		failed.BatchItemFailures = append(failed.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id})
	}
	var all []mailing.Event
	var ids []string
	for _, record := range event.Records {
		e, known, err := parse(record.Body)
		if err != nil {
			fail(record.MessageId, err)
		} else if known {
			all, ids = append(all, e), append(ids, record.MessageId)
		}
	}
	for i, err := range f.Feedback.RecordAll(ctx, all) {
		if err != nil {
			fail(ids[i], err)
		}
	}
	return failed, nil
}

// sesEvent is what we read of an event ("Contents of event data that Amazon SES
// publishes to Amazon SNS"). Addresses and subjects in it are not read.
type sesEvent struct {
	EventType string `json:"eventType"`
	Mail      struct {
		Tags map[string][]string `json:"tags"`
	} `json:"mail"`
	Bounce struct {
		Type    string `json:"bounceType"`    // Undetermined, Permanent, Transient
		SubType string `json:"bounceSubType"` // among others Suppressed, OnAccountSuppressionList
	} `json:"bounce"`
	Complaint struct {
		SubType string `json:"complaintSubType"`
	} `json:"complaint"`
}

var errEvent = errors.New("feedback: a message that is no event of the mail service")

// types are the events that tell something; opens and clicks are not asked for,
// because scanners fake them.
var types = map[string]mailing.EventType{
	"Send":              mailing.EventAccepted,
	"Delivery":          mailing.EventDelivered,
	"DeliveryDelay":     mailing.EventDelayed,
	"Bounce":            mailing.EventBounced,
	"Complaint":         mailing.EventComplaint,
	"Reject":            mailing.EventRejected,
	"Rendering Failure": mailing.EventUnmade,
}

// parse reads an event; known is false for one that tells us nothing.
func parse(body string) (e mailing.Event, known bool, err error) {
	var s sesEvent
	if json.Unmarshal([]byte(body), &s) != nil || s.EventType == "" {
		return e, false, errEvent // the decoder's words might repeat an address
	}
	e.Type, known = types[s.EventType]
	entry, org := s.Mail.Tags[mailing.TagEntry], s.Mail.Tags[mailing.TagOrganization]
	if !known || len(entry) != 1 || len(org) != 1 {
		return e, false, nil // another kind of event, or another program's mail
	}
	e.Organization, e.Tag = org[0], entry[0]
	suppressed := func(sub string) bool { return sub == "Suppressed" || sub == "OnAccountSuppressionList" }
	e.Permanent = s.Bounce.Type == "Permanent"
	e.OnList = suppressed(s.Bounce.SubType) || suppressed(s.Complaint.SubType)
	if e.OnList {
		e.Type = mailing.EventBounced // it was not sent, so nobody complained of it
	}
	return e, true, nil
}
