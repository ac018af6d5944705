// Package fanout is the function behind the fan-out queue and the clock: it
// turns audiences and forgot-login requests into batches, and sweeps.
package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"github.com/memberkey/memberkey/shared/mailing"
)

// Function does the work of its bells.
type Function struct {
	Freezing *mailing.Freezing
	Forgot   *mailing.Forgot
	// Sweeping looks at what was announced and not worked.
	Sweeping *mailing.Sweep
	Log      *slog.Logger
}

// Handle works the bells of one poll. Those that failed are named, so that the
// queue gives them again, and at last to its dead letter queue; a message that
// is no bell of ours goes the same way, for somebody should see it.
func (f *Function) Handle(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	var failed events.SQSEventResponse
	for _, record := range event.Records {
		bell, err := mailing.ParseBell(record.Body)
		if err == nil {
			err = f.ring(ctx, bell)
		}
		if err != nil {
			f.Log.ErrorContext(ctx, "bell failed", "message", record.MessageId, "kind", bell.Kind, "organization", bell.Organization, "mailing", bell.Mailing, "error", err)
			failed.BatchItemFailures = append(failed.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: record.MessageId})
		}
	}
	return failed, nil
}

var errNotOurs = errors.New("fanout: a bell of another function")

func (f *Function) ring(ctx context.Context, bell mailing.Bell) error {
	switch bell.Kind {
	case mailing.RingFreeze:
		return f.Freezing.Ring(ctx, bell)
	case mailing.RingRequest:
		return f.Forgot.Ring(ctx, bell)
	}
	return fmt.Errorf("%w: %s", errNotOurs, bell.Kind)
}

// Sweep is one beat of the clock.
func (f *Function) Sweep(ctx context.Context) error { return f.Sweeping.Run(ctx) }
