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
	"github.com/memberkey/memberkey/shared/sqs"
)

// Function does the work of its bells.
type Function struct {
	Freezing *mailing.Freezing
	Forgot   *mailing.Forgot
	// Sweeping looks at what was announced and not worked.
	Sweeping *mailing.Sweep
	Log      *slog.Logger
}

// Handle works the bells of one event.
func (f *Function) Handle(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	return sqs.Consume(ctx, f.Log, event, f.ring), nil
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
