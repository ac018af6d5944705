//go:build unix

package lambdahost_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/e2e/lambdahost"
)

// The function under test is this test binary: where there is a Runtime API, it
// is a Lambda function.
func TestMain(m *testing.M) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") == "" {
		os.Exit(m.Run())
	}
	switch os.Getenv("START") {
	case "exit":
		fmt.Println("this will not do")
		os.Exit(3)
	case "hang":
		select {}
	}
	lambda.Start(handle)
}

type order struct {
	Do  string
	For time.Duration
}

// ticks counts in the background, which a frozen process does not.
var ticks = func() *counter {
	c := new(counter)
	go func() {
		for range time.Tick(2 * time.Millisecond) {
			c.mu.Lock()
			c.n++
			c.mu.Unlock()
		}
	}()
	return c
}()

type counter struct {
	mu sync.Mutex
	n  int
}

type answer struct {
	PID, Ticks int
	ID, ARN    string
	Left       time.Duration
	Env        []string
	Folder     string
	Body       string
}

func handle(ctx context.Context, o order) (answer, error) {
	lc, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	ticks.mu.Lock()
	a := answer{PID: os.Getpid(), Ticks: ticks.n, ID: lc.AwsRequestID, ARN: lc.InvokedFunctionArn, Left: time.Until(deadline), Env: os.Environ()}
	ticks.mu.Unlock()
	a.Folder, _ = os.Getwd()
	switch o.Do {
	case "sleep":
		time.Sleep(o.For)
	case "fail":
		return a, errors.New("it went wrong")
	case "panic":
		panic("no way out")
	case "exit":
		os.Exit(4)
	case "print":
		fmt.Print("one line\nand half of ")
		fmt.Print("another")
		fmt.Fprintln(os.Stderr, ", whole")
	case "big":
		a.Body = strings.Repeat("x", 7<<20)
	}
	return a, nil
}

func start(t *testing.T, edit func(*lambdahost.Options)) *lambdahost.Function {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := lambdahost.Options{
		Name: "tiny", Bootstrap: self, Env: map[string]string{"PROFILES_TABLE": "p", "TZ": "Europe/London"}, Memory: 256, Timeout: 10 * time.Second, Processes: 2,
		LogFormat: "JSON", LogLevel: "WARN",
	}
	if edit != nil {
		edit(&o)
	}
	f, err := lambdahost.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func invoke(t *testing.T, f *lambdahost.Function, o order) (a answer, failed *lambdahost.Error) {
	t.Helper()
	payload, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := f.Invoke(t.Context(), payload)
	if err != nil {
		if !errors.As(err, &failed) {
			t.Fatal(err)
		}
		return a, failed
	}
	if err := json.Unmarshal(reply, &a); err != nil {
		t.Fatalf("%v: %.200s", err, reply)
	}
	return a, nil
}

func works(t *testing.T, f *lambdahost.Function, o order) answer {
	t.Helper()
	a, failed := invoke(t, f, o)
	if failed != nil {
		t.Fatal(failed)
	}
	return a
}

// A process has exactly the function's variables and Lambda's own, is told who
// it is and until when, and serves one event after another.
func TestOneProcess(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	first, second := works(t, f, order{}), works(t, f, order{})
	if first.PID != second.PID || first.ID == second.ID || len(first.ID) != 36 {
		t.Errorf("events %q by %d and %q by %d", first.ID, first.PID, second.ID, second.PID)
	}
	if first.ARN != f.ARN() || first.ARN != "arn:aws:lambda:us-east-1:000000000000:function:tiny" {
		t.Errorf("its ARN is %q", first.ARN)
	}
	if first.Left < 8*time.Second || first.Left > 10*time.Second {
		t.Errorf("it has %v left of 10 s", first.Left)
	}
	env := map[string]string{}
	for _, line := range first.Env {
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
	}
	if env["AWS_LAMBDA_RUNTIME_API"] == "" || env["LAMBDA_TASK_ROOT"] != first.Folder {
		t.Errorf("API at %q, root %q, folder %q", env["AWS_LAMBDA_RUNTIME_API"], env["LAMBDA_TASK_ROOT"], first.Folder)
	}
	for name, want := range map[string]string{
		"PROFILES_TABLE": "p", "TZ": ":UTC", "AWS_REGION": "us-east-1", "AWS_LAMBDA_FUNCTION_NAME": "tiny", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "_HANDLER": "bootstrap",
		"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "WARN",
	} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	delete(env, "_X_AMZN_TRACE_ID") // set by the library for each event
	names := slices.Sorted(maps.Keys(env))
	want := []string{"AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION",
		"AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_LEVEL", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "LANG", "PATH", "PROFILES_TABLE", "TZ", "_HANDLER"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	if s := f.Stats(); s.Events != 2 || s.Started != 1 || s.Failed != 0 || len(s.Ready) != 1 || s.Ready[0] <= 0 {
		t.Errorf("%+v", s)
	}
}

// What is left to the background does not run between events.
func TestFrozenBetweenEvents(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	works(t, f, order{Do: "sleep", For: 20 * time.Millisecond})
	before := works(t, f, order{}).Ticks
	time.Sleep(400 * time.Millisecond)
	if after := works(t, f, order{}).Ticks; after-before > 50 { // 200, if it ran
		t.Errorf("%d ticks while it waited", after-before)
	}
}

// Events at once have a process each, up to the limit; then they wait.
func TestProcesses(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	works(t, f, order{})
	pids := make(chan int, 8)
	var wg sync.WaitGroup
	for range cap(pids) {
		wg.Go(func() { pids <- works(t, f, order{Do: "sleep", For: 60 * time.Millisecond}).PID })
	}
	wg.Wait()
	close(pids)
	by := map[int]int{}
	for pid := range pids {
		by[pid]++
	}
	if len(by) != 2 || f.Stats().Started != 2 {
		t.Errorf("events by process: %v, started %d", by, f.Stats().Started)
	}
}

// Whoever invokes is told what went wrong, and the next event finds a process.
func TestFailures(t *testing.T) {
	t.Parallel()
	var out output
	f := start(t, func(o *lambdahost.Options) { o.Output, o.Processes = &out, 1 })
	pid := works(t, f, order{}).PID
	for _, x := range []struct {
		order
		kind, says string
		same       bool // the process lives on
	}{
		{order{Do: "fail"}, "errorString", "it went wrong", true},
		{order{Do: "big"}, "Function.ResponseSizeTooLarge", "maximum allowed payload", true},
		{order{Do: "panic"}, "string", "no way out", false},
		{order{Do: "exit"}, "Runtime.ExitError", "exit status 4", false},
	} {
		_, failed := invoke(t, f, x.order)
		if failed == nil || failed.Type != x.kind || !strings.Contains(failed.Message, x.says) || failed.Init {
			t.Errorf("%s: %#v", x.Do, failed)
		}
		now := works(t, f, order{}).PID
		if x.Do == "big" {
			pid = now // the library gives up when its answer is refused
			continue
		}
		if (now == pid) != x.same {
			t.Errorf("%s: process %d, then %d", x.Do, pid, now)
		}
		pid = now
	}
	if s := f.Stats(); s.Failed != 4 {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(out.String(), "no way out") {
		t.Errorf("the log does not tell of the panic: %s", out.String())
	}

	hasty := start(t, func(o *lambdahost.Options) { o.Timeout = 300 * time.Millisecond })
	_, failed := invoke(t, hasty, order{Do: "sleep", For: time.Minute})
	if failed == nil || failed.Type != "Sandbox.Timedout" || !strings.Contains(failed.Message, "Task timed out after 0.30 seconds") || failed.Init {
		t.Errorf("%#v", failed)
	}
	works(t, hasty, order{})
	if s := hasty.Stats(); s.Started != 2 {
		t.Errorf("what timed out was not killed: %+v", s)
	}
}

// A kill ends what is in work, and what waits goes on with a new process.
func TestKill(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	if n := f.Kill(); n != 0 {
		t.Errorf("%d were working", n)
	}
	results := make(chan *lambdahost.Error, 3)
	for range cap(results) {
		go func() {
			_, failed := invoke(t, f, order{Do: "sleep", For: 300 * time.Millisecond})
			results <- failed
		}()
	}
	for f.Working() < 2 {
		time.Sleep(time.Millisecond)
	}
	if n := f.Kill(); n != 2 {
		t.Errorf("%d were working", n)
	}
	killed := 0
	for range cap(results) {
		if failed := <-results; failed != nil {
			if killed++; failed.Type != "Runtime.ExitError" || !strings.Contains(failed.Message, "signal: killed") {
				t.Error(failed)
			}
		}
	}
	if killed != 2 {
		t.Errorf("%d of 3 events were killed", killed)
	}
	f.Kill() // a frozen one
	works(t, f, order{})
}

// A process that never asks for an event is told to whoever invoked.
func TestFailedStart(t *testing.T) {
	t.Parallel()
	var out output
	f := start(t, func(o *lambdahost.Options) { o.Env, o.Output = map[string]string{"START": "exit"}, &out })
	for range 2 {
		_, failed := invoke(t, f, order{})
		if failed == nil || !failed.Init || failed.Type != "Runtime.ExitError" || !strings.Contains(failed.Message, "exit status 3") {
			t.Errorf("%#v", failed)
		}
	}
	if got := out.String(); got != "this will not do\nthis will not do\n" {
		t.Errorf("its words: %q", got)
	}
	nothing := filepath.Join(t.TempDir(), "bootstrap")
	if _, err := lambdahost.Start(lambdahost.Options{Name: "x", Bootstrap: nothing, Timeout: time.Second, Processes: 1}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := os.WriteFile(nothing, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	f = start(t, func(o *lambdahost.Options) { o.Bootstrap = nothing })
	if _, failed := invoke(t, f, order{}); failed == nil || failed.Type != "Runtime.InvalidEntrypoint" || !failed.Init {
		t.Errorf("%#v", failed)
	}
}

// Lines come out whole, whoever wrote their parts.
func TestOutput(t *testing.T) {
	t.Parallel()
	var out output
	f := start(t, func(o *lambdahost.Options) { o.Output = &out })
	works(t, f, order{Do: "print"})
	f.Close()
	if got := out.String(); got != "one line\nand half of another, whole\n" {
		t.Errorf("%q", got)
	}
}

// Who invokes may leave; the event goes on. After the end nobody waits.
func TestContextAndClose(t *testing.T) {
	t.Parallel()
	f := start(t, func(o *lambdahost.Options) { o.Processes = 1 })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for f.Working() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := f.Invoke(ctx, []byte(`{"Do":"sleep","For":100000000}`)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	works(t, f, order{})
	if s := f.Stats(); s.Events != 2 || s.Started != 1 || s.Failed != 0 {
		t.Errorf("%+v", s)
	}
	waits := make(chan error, 1)
	go func() { // one works, this one waits
		_, err := f.Invoke(t.Context(), []byte(`{"Do":"sleep","For":60000000000}`))
		waits <- err
	}()
	for f.Working() == 0 {
		time.Sleep(time.Millisecond)
	}
	go func() {
		_, err := f.Invoke(t.Context(), []byte(`{}`))
		waits <- err
	}()
	f.Close()
	for range 2 {
		if err := <-waits; err == nil {
			t.Error("an event outlived its function")
		}
	}
	if _, err := f.Invoke(t.Context(), []byte(`{}`)); !errors.Is(err, lambdahost.ErrClosed) {
		t.Error(err)
	}
	var tooLarge *lambdahost.Error
	if _, err := f.Invoke(t.Context(), bytes.Repeat([]byte(" "), 7<<20)); !errors.As(err, &tooLarge) || tooLarge.Type != "RequestTooLarge" {
		t.Error(err)
	}
}

// output is a buffer that several may write to.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
