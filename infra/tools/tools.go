// Package tools installs third-party programs for tests, each one pinned and
// only inside the checkout (folder .tools, which git ignores), and starts the
// servers among them.
//
//	db := tools.DynamoDBLocal(t) // http://127.0.0.1:40123
//	sam := tools.SAM(t).SAM()    // path of the program
//
// A test that asks for a program which cannot be had here is skipped with one
// line that says what to install; with CI=true it fails. A server is started by
// the first test of a process that asks for it, listens on the loopback
// interface only, serves all tests of the process and ends with the process,
// however that ends. Tests share it, so each one makes tables and queues of its
// own.
package tools

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
)

// DynamoDBLocal is the endpoint of Amazon's own stand-in for DynamoDB, in
// memory, the same tables for every region and key. Needs java and npm.
//
// It removes expired items within a second, does not know throttling, and a
// table with streams that is made again stays slow.
func DynamoDBLocal(t testing.TB) string { t.Helper(); return sharedDynamoDB.endpoint(t) }

// Moto is the endpoint of moto_server, which speaks most of AWS. Needs python3.
//
// Its transactions copy whole tables: small tables only.
func Moto(t testing.TB) string { t.Helper(); return sharedMoto.endpoint(t) }

// Queues is the endpoint of a stand-in for SQS (fauxqs), with queues in memory.
// Needs node and npm.
//
// Its queues' URLs name a host that need not resolve: the SDK calls the endpoint
// that it was given. It takes the deletion of a receipt that never was.
func Queues(t testing.TB) string { t.Helper(); return sharedQueues.endpoint(t) }

// SAM gives the paths of the SAM CLI and cfn-lint. Needs python3.
func SAM(t testing.TB) *Python {
	t.Helper()
	python, err := sharedPython()
	require(t, err)
	return python
}

// Axe is the script of axe-core, to be run in a page. Needs npm.
func Axe(t testing.TB) string {
	t.Helper()
	script, err := sharedAxe()
	require(t, err)
	return script
}

// Chromium is the path of the system's browser.
func Chromium(t testing.TB) string {
	t.Helper()
	path, err := chromium()
	require(t, err)
	return path
}

// StartDynamoDBLocal is [DynamoDBLocal] outside tests: stop ends the server.
func StartDynamoDBLocal(ctx context.Context) (endpoint string, stop func(), err error) {
	return started(dynamoDB.start(ctx))
}

// StartMoto is [Moto] outside tests: stop ends the server.
func StartMoto(ctx context.Context) (endpoint string, stop func(), err error) {
	return started(moto.start(ctx))
}

// StartQueues is [Queues] outside tests: stop ends the server.
func StartQueues(ctx context.Context) (endpoint string, stop func(), err error) {
	return started(queues.start(ctx))
}

func started(r *running, err error) (string, func(), error) {
	if err != nil {
		return "", nil, err
	}
	return r.endpoint, r.stop, nil
}

// Missing is a program or registry that is not there: an error in one line.
type Missing struct {
	For     string // what it is needed for
	Program string // or registry
	Advice  string // what to do
}

func (m *Missing) Error() string { return m.Program + " is needed for " + m.For + ": " + m.Advice }

// require skips the test when something is missing on this machine. Where
// nothing may be skipped (CI=true), and for every other error, it fails it.
func require(t testing.TB, err error) {
	t.Helper()
	if missing := (*Missing)(nil); errors.As(err, &missing) {
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// shared is one server for all tests of the process.
type shared struct {
	server server
	once   sync.Once
	r      *running
	err    error
}

var (
	sharedDynamoDB = &shared{server: dynamoDB}
	sharedMoto     = &shared{server: moto}
	sharedQueues   = &shared{server: queues}
	sharedPython   = sync.OnceValues(func() (*Python, error) {
		home, err := home()
		if err != nil {
			return nil, err
		}
		return installPython(context.Background(), home)
	})
)

func (s *shared) endpoint(t testing.TB) string {
	t.Helper()
	s.once.Do(func() { s.r, s.err = s.server.start(context.Background()) })
	require(t, s.err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said last, in %s", s.server.name, s.r.lastWords())
		}
	})
	return s.r.endpoint
}
