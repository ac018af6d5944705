// Package sqs stands between the queues and the functions behind them.
package sqs

import (
	"context"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"github.com/memberkey/memberkey/shared/mailing"
)

// Consume does the work of the bells of one event and names those that failed,
// so that the queue gives them again, and at last to its dead letters. Nothing
// is lost there: the sweep rings for whatever is not done. A message that is no
// bell can never be worked; it fails, too, and so ends where somebody sees it.
func Consume(ctx context.Context, log *slog.Logger, event events.SQSEvent, ring func(context.Context, mailing.Bell) error) events.SQSEventResponse {
	var failed events.SQSEventResponse
	for _, record := range event.Records {
		bell, err := mailing.ParseBell(record.Body)
		if err == nil {
			err = ring(ctx, bell)
		}
		if err != nil {
			log.ErrorContext(ctx, "bell failed", "messageId", record.MessageId, "kind", bell.Kind,
				"organization", bell.Organization, "mailing", bell.Mailing, "error", err)
			failed.BatchItemFailures = append(failed.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: record.MessageId})
		}
	}
	return failed
}
