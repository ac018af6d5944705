// Package telemetry is what a function on AWS tells about itself: log lines as
// JSON, and figures in CloudWatch's embedded metric format, which are log lines
// too and need no call of their own.
package telemetry

import (
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// NewLogger writes lines to standard output in the form of the function's
// LoggingConfig, each with the id of the request whose context it is given.
func NewLogger() *slog.Logger { return slog.New(lambdacontext.NewLogHandler()) }

// Namespace of all figures.
const Namespace = "Memberkey"

// Figures writes figures of one function in the embedded metric format
// ("Specification: Embedded metric format" of the CloudWatch user guide).
type Figures struct {
	Function string // the dimension "function"
	Out      io.Writer
	Now      func() time.Time

	mu sync.Mutex
}

// NewFigures are those of the function that runs here.
func NewFigures() *Figures {
	return &Figures{Function: os.Getenv("AWS_LAMBDA_FUNCTION_NAME"), Out: os.Stdout, Now: time.Now}
}

// Count writes a number of things.
func (f *Figures) Count(name string, n int) {
	type metric struct {
		Name string
		Unit string
	}
	type directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []metric
	}
	line, err := json.Marshal(map[string]any{
		"_aws": map[string]any{
			"Timestamp":         f.Now().UnixMilli(),
			"CloudWatchMetrics": []directive{{Namespace, [][]string{{"function"}}, []metric{{name, "Count"}}}},
		},
		"function": f.Function, name: n,
	})
	if err != nil {
		panic(err) // strings and numbers encode
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _ = f.Out.Write(append(line, '\n')) // standard output; nobody could be told
}
