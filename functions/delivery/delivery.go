// Package delivery is the function behind the two mail queues, single and
// bulk: batches go to the mail service, and what became of them is recorded.
package delivery

import (
	"context"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"github.com/memberkey/memberkey/functions"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/sqs"
)

// Function does the work of its bells.
type Function struct {
	Delivery *mailing.Delivery
	Log      *slog.Logger
}

// New makes the function.
func New(b functions.Base, m mailing.Mailer) *Function {
	return &Function{
		Delivery: &mailing.Delivery{Store: b.Mail(), Mailer: m, Bells: b.Bells, Now: b.Now, Rand: b.Rand, Sleep: functions.Sleep, Timing: b.Timing, Log: b.Log},
		Log:      b.Log,
	}
}

// Handle works the bells of one event.
func (f *Function) Handle(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	return sqs.Consume(ctx, f.Log, event, f.Delivery.Ring), nil
}
