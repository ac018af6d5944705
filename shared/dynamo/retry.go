package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/store"
)

// What is tried again, by whom: the client repeats a request that was
// throttled, answered 500 or not answered at all; this package repeats what
// DynamoDB answers with 200 or 400 and means the same by it (keys left out of a
// batch, a transaction cancelled for throttling); Store.Update repeats what
// lost a race. All wait longer each time, and all come to an end.
const (
	// tries is how often a request is made at most. With backoff that is at
	// most 2.6 s of waiting, enough for a table to follow a sudden load.
	tries     = 8
	firstWait = 25 * time.Millisecond
	longWait  = time.Second

	// answerWithin is for one attempt. DynamoDB answers within milliseconds; an
	// answer that takes seconds is lost, and another attempt is a better use of
	// them.
	answerWithin = 5 * time.Second
)

// errThrottled is a load that DynamoDB does not take, after all tries: 503.
// Unlike store.ErrBusy it does not say that nothing was changed: the first of
// the tries may have been taken and its answer lost.
var errThrottled = problem.New(problem.Busy, "busy", "", "Memberkey has more to do at this moment than it can. Please try again in a minute.")

// backoff is how long to wait after a try that failed, 1 for the first: twice
// as long each time, at random between half of that and all, so that those who
// were refused together do not come back together.
func backoff(try int) time.Duration {
	wait := min(firstWait<<min(max(try, 1)-1, 10), longWait)
	return wait/2 + rand.N(wait/2)
}

// NewClient makes a client that repeats requests as this package expects.
func NewClient(cfg aws.Config) *dynamodb.Client {
	return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
		o.Retryer = retry.NewStandard(func(s *retry.StandardOptions) {
			s.MaxAttempts = tries
			s.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) { return backoff(attempt), nil })
		})
		if client, ours := o.HTTPClient.(*awshttp.BuildableClient); ours {
			o.HTTPClient = client.WithTimeout(answerWithin)
		}
	})
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// fault turns an error of the client into one of ours. AWS's own words may
// repeat a key or a value, so none of them are kept but the code.
func fault(ctx context.Context, op string, table store.Table, err error) error {
	at := fmt.Sprintf("dynamo: %s on table %s", op, table)
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%s: %w", at, ended)
	}
	var request *awshttp.ResponseError
	if errors.As(err, &request) && request.RequestID != "" {
		at += " (request " + code(request.RequestID) + ")"
	}
	var cancelled *types.TransactionCanceledException
	var api smithy.APIError
	var send *smithyhttp.RequestSendError
	switch {
	case errors.As(err, &cancelled):
		text := at + ": cancelled:"
		for _, r := range cancelled.CancellationReasons {
			if c := aws.ToString(r.Code); c != "None" {
				text += " " + code(c)
			}
		}
		return errors.New(text)
	case errors.As(err, &api):
		if _, throttled := retry.DefaultThrottleErrorCodes[api.ErrorCode()]; throttled {
			return errThrottled.Because(fmt.Errorf("%s: %s", at, code(api.ErrorCode())))
		}
		return fmt.Errorf("%s: %s", at, code(api.ErrorCode()))
	case errors.As(err, &send):
		return fmt.Errorf("%s: no answer: %v", at, send.Err)
	}
	return fmt.Errorf("%s: an answer that cannot be read", at)
}

var coded = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// code lets through what can be no key or value.
func code(s string) string {
	if !coded.MatchString(s) {
		return "an error without a name"
	}
	return s
}

// errAnswer is an answer that does not belong to its question.
func errAnswer(op string, table store.Table) error {
	return fmt.Errorf("dynamo: %s on table %s: an answer to another question", op, table)
}
