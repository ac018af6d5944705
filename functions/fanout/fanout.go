// Package fanout is the function behind the fan-out queue and the clock: it
// turns audiences and forgot-login requests into batches, and sweeps.
package fanout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"github.com/memberkey/memberkey/functions"
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

// New makes the function; count, which may be nil, gets the sweep's figures.
func New(b functions.Base, accounts mailing.Accounts, count func(name string, n int)) *Function {
	return &Function{
		Freezing: &mailing.Freezing{Store: b.Mail(), Bells: b.Bells, Now: b.Now, Rand: b.Rand, Timing: b.Timing, Log: b.Log},
		Forgot:   &mailing.Forgot{Store: b.Mail(), Bells: b.Bells, Now: b.Now, NewID: b.NewID, Timing: b.Timing, Log: b.Log},
		Sweeping: &mailing.Sweep{Store: b.Mail(), Accounts: accounts, Bells: b.Bells, Now: b.Now, Timing: b.Timing, Count: count, Log: b.Log},
		Log:      b.Log,
	}
}

// Invoke takes what reaches the function on AWS: bells of the queue, and the
// clock (EventBridge Scheduler), which carries no records.
func (f *Function) Invoke(ctx context.Context, event json.RawMessage) (any, error) {
	var from struct {
		Source string `json:"source"`
		events.SQSEvent
	}
	if err := json.Unmarshal(event, &from); err != nil {
		return nil, fmt.Errorf("fanout: an event that is none: %w", err)
	}
	if from.Source == clock {
		return nil, f.Sweep(ctx)
	}
	if len(from.Records) == 0 {
		return nil, errors.New("fanout: an event of neither the queue nor the clock")
	}
	return f.Handle(ctx, from.SQSEvent)
}

// clock is the source of EventBridge Scheduler's events.
const clock = "aws.scheduler"

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
