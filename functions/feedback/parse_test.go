package feedback

import (
	"errors"
	"strings"
	"testing"

	"github.com/memberkey/memberkey/shared/mailing"
)

// TestParse reads events as the mail service documents them ("Examples of event
// data that Amazon SES publishes to Amazon SNS").
func TestParse(t *testing.T) {
	const mail = `"mail":{"timestamp":"2026-11-23T09:00:00.000Z","messageId":"m","destination":["a@example.org"],"tags":{"entry":["s_1_0"],"organization":["acme"]}}`
	event := mailing.Event{Organization: "acme", Tag: "s_1_0"}
	with := func(kind mailing.EventType, permanent, onList bool) mailing.Event {
		e := event
		e.Type, e.Permanent, e.OnList = kind, permanent, onList
		return e
	}
	for body, want := range map[string]mailing.Event{
		`{"eventType":"Send",` + mail + `,"send":{}}`:                                                                                 with(mailing.EventAccepted, false, false),
		`{"eventType":"Delivery",` + mail + `,"delivery":{"recipients":["a@example.org"]}}`:                                           with(mailing.EventDelivered, false, false),
		`{"eventType":"DeliveryDelay",` + mail + `,"deliveryDelay":{"delayType":"MailboxFull"}}`:                                      with(mailing.EventDelayed, false, false),
		`{"eventType":"Bounce",` + mail + `,"bounce":{"bounceType":"Permanent","bounceSubType":"General"}}`:                           with(mailing.EventBounced, true, false),
		`{"eventType":"Bounce",` + mail + `,"bounce":{"bounceType":"Transient","bounceSubType":"MailboxFull"}}`:                       with(mailing.EventBounced, false, false),
		`{"eventType":"Bounce",` + mail + `,"bounce":{"bounceType":"Permanent","bounceSubType":"Suppressed"}}`:                        with(mailing.EventBounced, true, true),
		`{"eventType":"Bounce",` + mail + `,"bounce":{"bounceType":"Permanent","bounceSubType":"OnAccountSuppressionList"}}`:          with(mailing.EventBounced, true, true),
		`{"eventType":"Complaint",` + mail + `,"complaint":{"complaintFeedbackType":"abuse"}}`:                                        with(mailing.EventComplaint, false, false),
		`{"eventType":"Complaint",` + mail + `,"complaint":{"complaintSubType":"OnAccountSuppressionList"}}`:                          with(mailing.EventBounced, false, true),
		`{"eventType":"Reject",` + mail + `,"reject":{"reason":"Bad content"}}`:                                                       with(mailing.EventRejected, false, false),
		`{"eventType":"Rendering Failure",` + mail + `,"failure":{"errorMessage":"Attribute 'x' is not present","templateName":"t"}}`: with(mailing.EventUnmade, false, false),
	} {
		got, known, err := parse(body)
		if err != nil || !known || got != want {
			t.Errorf("%s: %+v %v %v", body, got, known, err)
		}
	}
	for _, body := range []string{
		`{"eventType":"Open",` + mail + `}`,
		`{"eventType":"Delivery","mail":{"tags":{"campaign":["x"]}}}`,
		`{"eventType":"Delivery","mail":{"tags":{"entry":["a","b"],"organization":["acme"]}}}`,
	} {
		if got, known, err := parse(body); known || err != nil {
			t.Errorf("%s: %+v %v", body, got, err)
		}
	}
	for _, body := range []string{"", "{}", "[]", `"x"`, `{"notificationType":"Bounce"}`, `{"eventType":7,"mail":"a@example.org"}`} {
		_, known, err := parse(body)
		if !errors.Is(err, errEvent) || known || strings.Contains(err.Error(), "@") {
			t.Errorf("%s: %v", body, err)
		}
	}
}
