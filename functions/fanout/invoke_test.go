package fanout_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/memberkey/memberkey/functions"
	"github.com/memberkey/memberkey/functions/fanout"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/mailing"
)

// sweeps counts how often the account was asked for, which each sweep does once.
type sweeps int

func (s *sweeps) Account(context.Context) (mailing.Account, error) {
	*s++
	return mailing.Account{}, errors.New("not read")
}

func (*sweeps) Ring(context.Context, ...mailing.Bell) error { return nil }

func TestInvoke(t *testing.T) {
	db, err := embedded.Open(filepath.Join(t.TempDir(), "x.db"), embedded.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	var swept sweeps
	f := fanout.New(functions.NewBase(db, &swept, mailing.Timing{Again: time.Minute}, slog.New(slog.NewTextHandler(io.Discard, nil))), &swept, nil)
	for name, test := range map[string]struct {
		event  string
		failed int // messages given back
		swept  sweeps
		fails  bool
	}{
		// As EventBridge Scheduler sends it where the schedule names no input.
		"the clock":                        {event: `{"version":"0","id":"6f1c1ca9-0000-4000-8000-000000000000","detail-type":"Scheduled Event","source":"aws.scheduler","account":"123456789012","time":"2026-03-01T12:00:00Z","region":"eu-central-1","resources":["arn:aws:scheduler:eu-central-1:123456789012:schedule/default/sweep"],"detail":"{}"}`, swept: 1},
		"a bell of a mailing that is gone": {event: `{"Records":[{"messageId":"1","eventSource":"aws:sqs","body":"{\"v\":1,\"kind\":\"request\",\"organization\":\"river\",\"id\":\"0K7\"}"}]}`},
		"a bell of another function":       {event: `{"Records":[{"messageId":"1","eventSource":"aws:sqs","body":"{\"v\":1,\"kind\":\"single\",\"organization\":\"river\",\"id\":\"0K7\"}"}]}`, failed: 1},
		"no bell":                          {event: `{"Records":[{"messageId":"1","eventSource":"aws:sqs","body":"hello"}]}`, failed: 1},
		"nothing":                          {event: `{}`, fails: true},
		"another clock":                    {event: `{"source":"aws.events","Records":[]}`, fails: true},
		"no event":                         {event: `"x"`, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			swept = 0
			answer, err := f.Invoke(context.Background(), json.RawMessage(test.event))
			if test.fails {
				if err == nil || !strings.HasPrefix(err.Error(), "fanout: ") {
					t.Errorf("answered %v, %v", answer, err)
				}
				return
			}
			if err != nil || swept != test.swept {
				t.Fatalf("%v, %d sweeps", err, swept)
			}
			if response, ok := answer.(events.SQSEventResponse); ok != (test.swept == 0) || len(response.BatchItemFailures) != test.failed {
				t.Errorf("answered %+v", answer)
			}
		})
	}
}
