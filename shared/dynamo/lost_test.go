package dynamo_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/memberkey/memberkey/infra/tools"
	"github.com/memberkey/memberkey/shared/dynamo"
	"github.com/memberkey/memberkey/shared/store"
	"github.com/memberkey/memberkey/shared/store/storetest"
)

// losing hands every write over and loses its first answer, so that the client
// sends all of them twice.
type losing struct {
	lost atomic.Int64
	mu   sync.Mutex
	seen map[string]bool // invocations of the client
}

func (l *losing) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := connections.RoundTrip(r)
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if err != nil || op != "PutItem" && op != "TransactWriteItems" {
		return answer, err
	}
	invocation := r.Header.Get("Amz-Sdk-Invocation-Id")
	l.mu.Lock()
	again := l.seen[invocation]
	l.seen[invocation] = true
	l.mu.Unlock()
	if again {
		return answer, nil
	}
	l.lost.Add(1)
	_, err = io.Copy(io.Discard, answer.Body)
	return nil, errors.Join(&net.OpError{Op: "read", Err: syscall.ECONNRESET}, err, answer.Body.Close())
}

// TestEveryAnswerLost: the contract and the races hold where the first answer
// to every single write is lost after it was taken.
func TestEveryAnswerLost(t *testing.T) {
	endpoint := tools.DynamoDBLocal(t)
	l := &losing{seen: map[string]bool{}}
	db := dynamo.Open(clientBy(l, endpoint), tablesOf(t, clientOf(endpoint)))
	storetest.RunSmall(t, func(*testing.T) store.DB { return db })
	storetest.Races(t, func(*testing.T) store.DB { return db })
	if n := l.lost.Load(); n < 200 {
		t.Errorf("only %d answers were lost", n)
	}
}

// What was taken and is changed by somebody else before the repetition is a
// conflict: nobody's write is undone by it.
func TestRepetitionUndoesNothing(t *testing.T) {
	endpoint := tools.DynamoDBLocal(t)
	plain := clientOf(endpoint)
	names := tablesOf(t, plain)
	theirs := dynamo.Open(plain, names)
	for what, mine := range map[string]struct {
		check bool
		write store.Write
		want  error // of the repeated commit
		left  string
	}{
		"a put on a revision":    {true, value("mine"), store.ErrConflict, "theirs"},
		"an unchecked put":       {false, value("mine"), nil, "theirs"},
		"a delete on a revision": {true, deletion(value("").Key), nil, "theirs"},
		"an unchecked delete":    {false, deletion(value("").Key), nil, "theirs"},
	} {
		t.Run(what, func(t *testing.T) {
			key := mine.write.Key
			if err := theirs.Commit(t.Context(), nil, []store.Write{value("first")}); err != nil {
				t.Fatal(err)
			}
			first, err := theirs.Get(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			// Between the two attempts somebody else writes.
			between := &interrupting{between: func() {
				if err := theirs.Commit(t.Context(), nil, []store.Write{value("theirs")}); err != nil {
					t.Error(err)
				}
			}}
			db := dynamo.Open(clientBy(between, endpoint), names)
			var checks []store.Check
			if mine.check {
				checks = []store.Check{{Key: key, Rev: first.Rev}}
			}
			if err := db.Commit(t.Context(), checks, []store.Write{mine.write}); err != mine.want {
				t.Errorf("%v, want %v", err, mine.want)
			}
			there, err := theirs.Get(t.Context(), key)
			if err != nil || there == nil || string(there.Value) != mine.left {
				t.Errorf("%v is there, %v, want %s", there, err, mine.left)
			}
		})
	}
}

func value(v string) store.Write {
	return store.Write{Item: store.Item{Key: store.Key{Table: store.Sessions, Partition: "acme#session#1", Sort: "session"}, Value: []byte(v)}}
}

// interrupting loses the first answer, and lets something happen before the
// second attempt.
type interrupting struct {
	once    sync.Once
	between func()
}

func (i *interrupting) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := connections.RoundTrip(r)
	lost := false
	i.once.Do(func() { lost = true; i.between() })
	if lost && err == nil {
		return nil, errors.Join(&net.OpError{Op: "read", Err: syscall.ECONNRESET}, answer.Body.Close())
	}
	return answer, err
}
