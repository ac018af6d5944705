//go:build unix

// Package lambdahost runs one Lambda function from its built bootstrap, as
// Lambda does: a process for every event that is in work at a time, each with
// a Runtime API of its own, with exactly the environment that the function is
// configured with and what Lambda itself adds.
//
//	f, err := lambdahost.Start(lambdahost.Options{Name: "signin", Bootstrap: "build/SigninFunction/bootstrap",
//		Env: variables, Memory: 1769, Timeout: 15 * time.Second, Processes: 4, Output: log})
//	reply, err := f.Invoke(ctx, event)
//
// What Lambda does and a server would not is done here, too: a process that
// waits for an event is frozen (so nothing may be left to a goroutine that
// outlives its event), one that takes too long is killed, and whoever invoked
// is told of it by an [Error]. [Function.Kill] is the crash that can happen at
// any moment.
//
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
package lambdahost

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Options are those of a function. Name, Bootstrap, Timeout and Processes must
// be there.
type Options struct {
	Name      string            // of the function
	Bootstrap string            // the built program
	Env       map[string]string // the function's own variables
	Region    string            // "" is us-east-1
	Account   string            // "" is 000000000000
	Memory    int               // MB; 0 is 128. It is only told: nothing enforces it
	Timeout   time.Duration     // of one event; what takes longer is killed
	LogFormat string            // of the LoggingConfig: "JSON"; "" is "Text"
	LogLevel  string            // of the LoggingConfig's application log: "INFO"; only with JSON
	Processes int               // at most so many at once; more events wait
	Output    io.Writer         // takes what the processes print, in whole lines; nil discards it
}

const (
	// initTime is how long Lambda waits for a process to ask for its first event.
	// https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib
	initTime = 10 * time.Second
	// maxPayload is what Lambda takes and gives in one synchronous invocation.
	maxPayload = 6291556
)

// Error is a failed invocation, as Lambda tells it to whoever invoked: the
// function returned an error, panicked, took too long or died.
type Error struct {
	Type    string // "errorString", "Runtime.ExitError", …
	Message string
	Init    bool // its process never asked for an event
}

func (e *Error) Error() string { return e.Type + ": " + e.Message }

// ErrClosed is what an event gets that the function will not see any more.
var ErrClosed = errors.New("lambdahost: the function is closed")

// Function is one function and its processes. It is safe for concurrent use.
type Function struct {
	o    Options
	work sync.WaitGroup // one for each process

	output sync.Mutex // of o.Output

	mu       sync.Mutex // guards what follows, and what sandboxes say it guards
	closed   bool
	all      map[*sandbox]bool
	idle     []*sandbox // the last one slept least
	starting int        // of all, those that have not asked for an event yet
	waiting  []*invocation
	stats    Stats
}

// Stats tell what a function did so far.
type Stats struct {
	Events  int             // that were handed to a process
	Failed  int             // invocations that ended with an error
	Started int             // processes
	Ready   []time.Duration // from the start of each process to its first question for an event
}

// invocation is an event on its way.
type invocation struct {
	id      string
	payload []byte
	done    chan result // of capacity 1: nobody has to be there to take it
}

type result struct {
	payload []byte
	err     error
}

// Start makes a function. Its first process starts with the first event.
func Start(o Options) (*Function, error) {
	if o.Name == "" || o.Timeout <= 0 || o.Processes <= 0 {
		return nil, errors.New("lambdahost: a function needs a name, a timeout and processes")
	}
	path, err := filepath.Abs(o.Bootstrap)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("lambdahost: %s: %w", o.Name, err)
	}
	o.Bootstrap = path
	o.Region, o.Account, o.Memory = cmp.Or(o.Region, "us-east-1"), cmp.Or(o.Account, "000000000000"), cmp.Or(o.Memory, 128)
	if o.Output == nil {
		o.Output = io.Discard
	}
	return &Function{o: o, all: map[*sandbox]bool{}}, nil
}

// ARN is the function's own.
func (f *Function) ARN() string {
	return fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", f.o.Region, f.o.Account, f.o.Name)
}

// Invoke hands an event to a process that waits, or starts one. It returns what
// the function answered, an [*Error] where it failed, or the context's error
// where that ended first; the function goes on in that case.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if len(payload) > maxPayload {
		return nil, &Error{Type: "RequestTooLarge", Message: fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", maxPayload)}
	}
	inv := &invocation{id: newID(), payload: payload, done: make(chan result, 1)}
	if err := f.take(inv); err != nil {
		return nil, err
	}
	select {
	case r := <-inv.done:
		return r.payload, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *Function) take(inv *invocation) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return ErrClosed
	}
	if n := len(f.idle); n > 0 {
		s := f.idle[n-1]
		f.idle = f.idle[:n-1]
		s.begin(inv)
		return nil
	}
	f.waiting = append(f.waiting, inv)
	f.staff()
	return nil
}

// staff starts processes while there are events that nobody is coming for.
func (f *Function) staff() {
	for !f.closed && len(f.waiting) > f.starting && len(f.all) < f.o.Processes {
		if err := f.spawn(); err != nil {
			f.fail(&Error{Type: "Runtime.InvalidEntrypoint", Message: err.Error(), Init: true})
		}
	}
}

// fail ends the event that has waited longest.
func (f *Function) fail(err *Error) {
	if len(f.waiting) == 0 {
		return
	}
	inv := f.waiting[0]
	f.waiting = f.waiting[1:]
	f.end(inv, result{err: err})
}

func (f *Function) end(inv *invocation, r result) {
	if r.err != nil {
		f.stats.Failed++
	}
	inv.done <- r
}

// Kill ends processes at once, as a failing machine does: all of them, and says
// how many of those were working on an event.
func (f *Function) Kill() (working int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.all {
		if s.current != nil {
			working++
		}
		s.kill()
	}
	return working
}

// Working is how many events are with a process.
func (f *Function) Working() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.all {
		if s.current != nil {
			n++
		}
	}
	return n
}

// Stats are those so far.
func (f *Function) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.stats
	s.Ready = slices.Clone(s.Ready)
	return s
}

// Close kills all processes and waits for their ends. Events that wait get
// [ErrClosed].
func (f *Function) Close() {
	f.mu.Lock()
	f.closed = true
	for _, inv := range f.waiting {
		f.end(inv, result{err: ErrClosed})
	}
	f.waiting = nil
	for s := range f.all {
		s.kill()
	}
	f.mu.Unlock()
	f.work.Wait()
}

// environment is what a process has: what the function is configured with, and
// what Lambda reserves for itself, which wins.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
func (f *Function) environment(api string) []string {
	all := map[string]string{}
	for name, value := range f.o.Env {
		all[name] = value
	}
	root := filepath.Dir(f.o.Bootstrap)
	for name, value := range map[string]string{
		"_HANDLER": "bootstrap", "LAMBDA_TASK_ROOT": root, "LAMBDA_RUNTIME_DIR": "/var/runtime",
		"AWS_REGION": f.o.Region, "AWS_DEFAULT_REGION": f.o.Region,
		"AWS_LAMBDA_RUNTIME_API": api, "AWS_LAMBDA_FUNCTION_NAME": f.o.Name, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(f.o.Memory), "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/" + f.o.Name, "AWS_LAMBDA_LOG_STREAM_NAME": "local",
		"AWS_ACCESS_KEY_ID": "AKIDLOCAL" + hex.EncodeToString([]byte(f.o.Name)), "AWS_SECRET_ACCESS_KEY": "local", "AWS_SESSION_TOKEN": "local",
		"AWS_LAMBDA_LOG_FORMAT": cmp.Or(f.o.LogFormat, "Text"),
		"LANG":                  "en_US.UTF-8", "TZ": ":UTC", "PATH": "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
	} {
		all[name] = value
	}
	if f.o.LogLevel != "" {
		all["AWS_LAMBDA_LOG_LEVEL"] = f.o.LogLevel
	}
	env := make([]string, 0, len(all))
	for name, value := range all {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}

// newID is a request id as Lambda gives it, a version 4 UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
