package dynamo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/dynamo"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/store"
)

// wire is the HTTP layer of the SDK: it keeps what is asked, and answers by a
// script. The script of a test that sees more requests than it knows fails it.
type wire struct {
	*testing.T
	answer func(n int, r request) reply // n counts from 0

	mu     sync.Mutex
	asked  []request
	waited []time.Duration
}

type request struct {
	op   string
	body map[string]any
	raw  string
}

type reply struct {
	status int    // 0 is 200
	body   string // JSON
	err    error  // instead of an answer
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	req := request{raw: string(raw)}
	_, req.op, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if err := json.Unmarshal(raw, &req.body); err != nil {
		w.Errorf("%s: %v", req.op, err)
	}
	w.mu.Lock()
	n := len(w.asked)
	w.asked = append(w.asked, req)
	w.mu.Unlock()
	reply := w.answer(n, req)
	if reply.err != nil {
		return nil, reply.err
	}
	if reply.status == 0 {
		reply.status = 200
	}
	return &http.Response{
		StatusCode: reply.status, Request: r, Body: io.NopCloser(strings.NewReader(reply.body)),
		Header: http.Header{
			"Content-Type": {"application/x-amz-json-1.0"}, "X-Amzn-Requestid": {"REQUEST1"},
			"X-Amz-Crc32": {fmt.Sprint(crc32.ChecksumIEEE([]byte(reply.body)))},
		},
	}, nil
}

// ops are the operations asked for, in order.
func (w *wire) ops() (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.asked {
		all = append(all, r.op)
	}
	return all
}

// scripted opens a store on two tables whose answers a test writes. What the
// store itself waits is noted and not waited.
func scripted(t *testing.T, answer func(n int, r request) reply) (*dynamo.DB, *wire) {
	t.Helper()
	w := &wire{T: t, answer: answer}
	client := dynamo.NewClient(aws.Config{
		Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
		HTTPClient: &http.Client{Transport: w},
	})
	db := dynamo.Open(client, map[store.Table]string{store.Profiles: "P", store.Mailings: "M"})
	db.Sleep = func(_ context.Context, d time.Duration) { w.waited = append(w.waited, d) }
	return db, w
}

// inOrder answers one by one; the last answer is for all further requests.
func inOrder(replies ...reply) func(int, request) reply {
	return func(n int, _ request) reply { return replies[min(n, len(replies)-1)] }
}

// awsError is an error as DynamoDB words it. Its message holds what may never
// reach a log.
func awsError(code string) reply {
	status := 400
	if code == "InternalServerError" || code == "ServiceUnavailable" {
		status = 500
	}
	return reply{status: status, body: fmt.Sprintf(`{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"about %s and %s"}`, code, secretKey, secretValue)}
}

const (
	secretKey   = "ana@example.com"
	secretValue = "c2VjcmV0IHZhbHVl"
)

var (
	ana  = store.Key{Table: store.Profiles, Partition: "acme#username#" + secretKey, Sort: "claim"}
	bert = store.Key{Table: store.Profiles, Partition: "acme#2", Sort: "profile"}
)

func stored(key store.Key, rev uint64, more string) string {
	return fmt.Sprintf(`{"p":{"S":%q},"s":{"S":%q},"v":{"B":"dg=="},"r":{"N":"%d"}%s}`, key.Partition, key.Sort, rev, more)
}

func write(key store.Key) store.Write {
	return store.Write{Item: store.Item{Key: key, Value: []byte("v")}}
}

func deletion(key store.Key) store.Write {
	return store.Write{Item: store.Item{Key: key}, Delete: true}
}

// silent wants an error that tells no key, no value and none of AWS's words.
func silent(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		text := fmt.Sprintf("%v %+v", e, e)
		for _, secret := range []string{secretKey, secretValue, "acme", "claim", "dg=="} {
			if strings.Contains(text, secret) {
				t.Errorf("the error tells %q: %s", secret, text)
			}
		}
	}
}

// busy wants what ends as 503.
func busy(t *testing.T, err error) {
	t.Helper()
	silent(t, err)
	if p := problem.As(err); p.Kind != problem.Busy || p.Code != "busy" || errors.Is(err, store.ErrConflict) {
		t.Errorf("%v, want a busy problem", err)
	}
}

// internal wants what ends as 500, with a code in its text.
func internal(t *testing.T, err error, code string) {
	t.Helper()
	silent(t, err)
	if problem.As(err).Kind != problem.Internal || errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), code) {
		t.Errorf("%v, want an internal error with %q", err, code)
	}
}

// calls is one of each, and the answer that makes it pass.
var calls = map[string]struct {
	op   string
	run  func(context.Context, *dynamo.DB) error
	pass string
}{
	"Get": {"GetItem", func(ctx context.Context, db *dynamo.DB) error { _, err := db.Get(ctx, ana); return err }, `{}`},
	"GetMany": {"BatchGetItem", func(ctx context.Context, db *dynamo.DB) error {
		_, err := db.GetMany(ctx, []store.Key{ana})
		return err
	}, `{}`},
	"Query": {"Query", func(ctx context.Context, db *dynamo.DB) error {
		_, _, err := db.Query(ctx, store.Range{Table: ana.Table, Partition: ana.Partition})
		return err
	}, `{}`},
	"Due": {"Query", func(ctx context.Context, db *dynamo.DB) error {
		_, err := db.Due(ctx, store.DueTable, 5, 5)
		return err
	}, `{}`},
	"put": {"PutItem", func(ctx context.Context, db *dynamo.DB) error {
		return db.Commit(ctx, []store.Check{{Key: ana, Rev: 7}}, []store.Write{write(ana)})
	}, `{}`},
	"transact": {"TransactWriteItems", func(ctx context.Context, db *dynamo.DB) error {
		return db.Commit(ctx, []store.Check{{Key: ana, Rev: 7}}, []store.Write{write(bert)})
	}, `{}`},
}

func TestPassingFaults(t *testing.T) {
	for name, call := range calls {
		for what, fault := range map[string]reply{
			"throttled":        awsError("ProvisionedThroughputExceededException"),
			"throttled, newer": awsError("ThrottlingException"),
			"500":              awsError("InternalServerError"),
			"503 of a proxy":   {status: 503, body: "<html>" + secretKey},
			"reset":            {err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}},
			"timeout":          {err: &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}},
			"cut off":          {err: io.ErrUnexpectedEOF},
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				db, w := scripted(t, inOrder(fault, fault, reply{body: call.pass}))
				if err := call.run(t.Context(), db); err != nil {
					t.Errorf("%v", err)
				}
				if ops := w.ops(); len(ops) < 3 || slices.ContainsFunc(ops, func(op string) bool { return op != call.op }) {
					t.Errorf("asked %q", ops)
				}
				for _, r := range w.asked[1:3] {
					if r.raw != w.asked[0].raw {
						t.Errorf("the repetition is another request:\n%s\n%s", w.asked[0].raw, r.raw)
					}
				}
			})
		}
	}
}

// What does not pass comes to an end, says nothing it should not, and is no
// conflict, which would be taken for a lost race.
func TestLastingFaults(t *testing.T) {
	var all sync.WaitGroup // they wait for the client's own repetitions, so all do at once
	defer all.Wait()
	for name, call := range calls {
		for what, test := range map[string]struct {
			fault reply
			asked int
			want  func(*testing.T, error)
		}{
			"throttled": {awsError("ThrottlingException"), 8, busy},
			"500":       {awsError("InternalServerError"), 8, func(t *testing.T, err error) { internal(t, err, "InternalServerError") }},
			"reset": {reply{err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}, 8, func(t *testing.T, err error) {
				internal(t, err, "connection reset")
			}},
			"invalid": {awsError("ValidationException"), 1, func(t *testing.T, err error) {
				internal(t, err, "(request REQUEST1): ValidationException")
			}},
			"no right": {awsError("AccessDeniedException"), 1, func(t *testing.T, err error) { internal(t, err, "AccessDeniedException") }},
			"no table": {awsError("ResourceNotFoundException"), 1, func(t *testing.T, err error) { internal(t, err, "ResourceNotFoundException") }},
			"a code that is none": {reply{status: 400, body: `{"__type":"` + secretKey + `"}`}, 1, func(t *testing.T, err error) {
				internal(t, err, "without a name")
			}},
		} {
			all.Go(func() {
				t.Run(name+" "+what, func(t *testing.T) {
					db, w := scripted(t, inOrder(test.fault))
					test.want(t, call.run(t.Context(), db))
					if n := len(w.asked); n != test.asked {
						t.Errorf("asked %d times, want %d", n, test.asked)
					}
				})
			})
		}
	}
}

func TestMalformedAnswers(t *testing.T) {
	bodies := map[string][]string{
		"Get": {
			`{"Item":{"p":{"S":"acme#username#ana@example.com"},"s":{"S":"claim"}}}`, // no value, no revision
			`{"Item":` + stored(ana, 0, "") + `}`,
			`{"Item":` + strings.Replace(stored(ana, 1, ""), `"r":{"N":"1"}`, `"r":{"N":"-1"}`, 1) + `}`,
			`{"Item":` + strings.Replace(stored(ana, 1, ""), `"r":{"N":"1"}`, `"r":{"S":"1"}`, 1) + `}`,
			`{"Item":` + strings.Replace(stored(ana, 1, ""), `"v":{"B"`, `"v":{"S"`, 1) + `}`,
			`{"Item":` + stored(ana, 1, `,"expires":{"N":"soon"}`) + `}`,
			`{"Item":` + stored(ana, 1, `,"due":{"BOOL":true}`) + `}`,
			`{"Item":` + stored(bert, 1, "") + `}`, // another item
		},
		"GetMany": {
			`{"Responses":{"P":[` + stored(bert, 1, "") + `]}}`,
			`{"Responses":{"M":[` + stored(ana, 1, "") + `]}}`,
			`{"Responses":{"elsewhere":[` + stored(ana, 1, "") + `]}}`,
			`{"Responses":{"P":[{"p":{"S":"acme"}}]}}`,
			`{"UnprocessedKeys":{"P":{"Keys":[{"p":{"S":"acme#2"},"s":{"S":"profile"}}]}}}`,
			`{"UnprocessedKeys":{"P":{"Keys":[{"p":{"S":"acme#2"}}]}}}`,
		},
		"Query": {
			`{"Items":[` + stored(bert, 1, "") + `]}`,
			`{"Items":[{"p":{"S":"acme#username#ana@example.com"},"s":{"S":"claim"}}]}`,
		},
		"Due": {
			`{"Items":[{"p":{"S":"acme"},"s":{"S":"claim"},"due":{"S":"now"}}]}`,
			`{"Items":[{"p":{"S":"acme"},"due":{"N":"1"}}]}`,
			`{"Items":[{"p":{"S":"acme"},"s":{"S":""},"due":{"N":"1"}}]}`,
		},
		"put":      {},
		"transact": {},
	}
	for name, of := range bodies {
		for _, body := range append(of, `{"Item":`, `<html>acme</html>`, `[]`) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				db, _ := scripted(t, inOrder(reply{body: body}))
				err := calls[name].run(t.Context(), db)
				if err == nil && (body == `[]` || name == "put" || name == "transact") {
					return // the SDK reads nothing of a write's answer, and takes a list for nothing
				}
				internal(t, err, "dynamo: ")
			})
		}
	}
}

func TestHalfProcessedBatches(t *testing.T) {
	var keys []store.Key
	for i := range 150 {
		keys = append(keys, store.Key{Table: []store.Table{store.Profiles, store.Mailings}[i%2], Partition: "acme", Sort: fmt.Sprint(i)})
	}
	keys = append(keys, keys[3], keys[0], keys[3]) // asked for twice, answered once
	tables := map[string]store.Table{"P": store.Profiles, "M": store.Mailings}
	names := map[store.Table]string{store.Profiles: "P", store.Mailings: "M"}
	seen, incomplete := map[store.Key]int{}, 0
	// Each request gets a third of what it asks for, the last key of it never
	// exists, and nothing at all is processed at the 2nd and the 3rd.
	db, w := scripted(t, func(n int, r request) reply {
		var asked []store.Key
		for name, part := range r.body["RequestItems"].(map[string]any) {
			if !part.(map[string]any)["ConsistentRead"].(bool) {
				t.Error("the read is not consistent")
			}
			for _, k := range part.(map[string]any)["Keys"].([]any) {
				k := k.(map[string]any)
				asked = append(asked, store.Key{Table: tables[name], Partition: k["p"].(map[string]any)["S"].(string), Sort: k["s"].(map[string]any)["S"].(string)})
			}
		}
		if len(asked) > 100 {
			t.Errorf("%d keys at once", len(asked))
		}
		some := (len(asked) + 2) / 3
		if n == 1 || n == 2 {
			some = 0
		}
		found, left := map[string][]string{}, map[string][]string{}
		for i, key := range asked {
			if i >= some {
				left[names[key.Table]] = append(left[names[key.Table]], fmt.Sprintf(`{"p":{"S":%q},"s":{"S":%q}}`, key.Partition, key.Sort))
				continue
			}
			if seen[key]++; key.Sort != "7" {
				found[names[key.Table]] = append(found[names[key.Table]], stored(key, 9, ""))
			}
		}
		if len(left) > 0 {
			incomplete++
		}
		var responses, unprocessed []string
		for name, items := range found {
			responses = append(responses, fmt.Sprintf("%q:[%s]", name, strings.Join(items, ",")))
		}
		for name, items := range left {
			unprocessed = append(unprocessed, fmt.Sprintf(`%q:{"Keys":[%s]}`, name, strings.Join(items, ",")))
		}
		return reply{body: fmt.Sprintf(`{"Responses":{%s},"UnprocessedKeys":{%s}}`, strings.Join(responses, ","), strings.Join(unprocessed, ","))}
	})
	items, err := db.GetMany(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	for i, item := range items {
		if (item == nil) != (keys[i].Sort == "7") || item != nil && item.Key != keys[i] {
			t.Errorf("%d: %v for %v", i, item, keys[i])
		}
		if seen[keys[i]] != 1 {
			t.Errorf("%v was answered %d times", keys[i], seen[keys[i]])
		}
	}
	if items[3] == items[150] {
		t.Error("two answers are one item, which a caller may change")
	}
	if len(w.waited) != incomplete || incomplete < 5 {
		t.Errorf("%d incomplete answers, waited %v", incomplete, w.waited)
	}
}

func TestUnprocessedForGood(t *testing.T) {
	db, w := scripted(t, func(_ int, r request) reply {
		left, err := json.Marshal(r.body["RequestItems"])
		if err != nil {
			t.Fatal(err)
		}
		return reply{body: `{"UnprocessedKeys":` + string(left) + `}`}
	})
	_, err := db.GetMany(t.Context(), []store.Key{ana, bert})
	busy(t, err)
	if len(w.asked) != 8 {
		t.Errorf("asked %d times", len(w.asked))
	}
	growing(t, w.waited)
}

// growing wants waits that grow to a second and not beyond, and differ.
func growing(t *testing.T, waited []time.Duration) {
	t.Helper()
	if len(waited) != 7 {
		t.Fatalf("waited %v", waited)
	}
	longest := 0
	for i, d := range waited {
		if most := min(25*time.Millisecond<<i, time.Second); d < most/2 || d > most {
			t.Errorf("wait %d is %v, want %v to %v", i, d, most/2, most)
		} else if d == most {
			longest++
		}
	}
	if longest == len(waited) {
		t.Error("all who were refused together come back together")
	}
}

func TestEndedWhileWaiting(t *testing.T) {
	for what, test := range map[string]struct {
		answer string
		status int
		call   string
	}{
		"a batch":       {`{"UnprocessedKeys":{"P":{"Keys":[{"p":{"S":"acme#username#ana@example.com"},"s":{"S":"claim"}}]}}}`, 200, "GetMany"},
		"a transaction": {cancelled("ThrottlingError"), 400, "transact"},
		"a request":     {`{"__type":"ThrottlingException"}`, 400, "Get"},
	} {
		t.Run(what, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			db, w := scripted(t, func(int, request) reply {
				if test.call == "Get" {
					cancel()
				}
				return reply{status: test.status, body: test.answer}
			})
			db.Sleep = func(context.Context, time.Duration) { cancel() }
			err := calls[test.call].run(ctx, db)
			silent(t, err)
			if !errors.Is(err, context.Canceled) || len(w.asked) != 1 {
				t.Errorf("%v after %d requests", err, len(w.asked))
			}
		})
	}
}

// A context that has ended is an error of every call, of those too that would
// ask nothing, and nothing is asked.
func TestEndedBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	db, w := scripted(t, inOrder(reply{body: `{}`}))
	errs := map[string]error{"Commit of nothing": db.Commit(ctx, nil, nil)}
	_, errs["GetMany of nothing"] = db.GetMany(ctx, nil)
	_, _, errs["Query of nothing"] = db.Query(ctx, store.Range{Table: store.Profiles, Partition: "acme", Prefix: "b", After: "c"})
	for name, call := range calls {
		errs[name] = call.run(ctx, db)
	}
	for what, err := range errs {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(w.asked) != 0 {
		t.Errorf("asked %q", w.ops())
	}
}

func cancelled(codes ...string) string {
	var reasons []string
	for _, code := range codes {
		reasons = append(reasons, fmt.Sprintf(`{"Code":%q,"Message":"about %s","Item":%s}`, code, secretKey, stored(ana, 4, "")))
	}
	return fmt.Sprintf(`{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"Transaction cancelled %s","CancellationReasons":[%s]}`,
		secretKey, strings.Join(reasons, ","))
}

func TestCancelledTransactions(t *testing.T) {
	conflict := func(t *testing.T, err error) {
		t.Helper()
		if err != store.ErrConflict {
			t.Errorf("%v, want ErrConflict", err)
		}
	}
	passes := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%v", err)
		}
	}
	other := func(code string) func(*testing.T, error) {
		return func(t *testing.T, err error) { t.Helper(); internal(t, err, code) }
	}
	for what, test := range map[string]struct {
		answers []string
		asked   int
		want    func(*testing.T, error)
	}{
		"a condition":                        {[]string{cancelled("None", "ConditionalCheckFailed")}, 1, conflict},
		"another transaction":                {[]string{cancelled("TransactionConflict", "None")}, 1, conflict},
		"a condition and throttling":         {[]string{cancelled("ThrottlingError", "ConditionalCheckFailed")}, 1, conflict},
		"another transaction, throttling":    {[]string{cancelled("ThrottlingError", "TransactionConflict")}, 1, conflict},
		"throttling that passes":             {[]string{cancelled("ThrottlingError"), cancelled("None", "ProvisionedThroughputExceeded"), `{}`}, 3, passes},
		"throttling, then a condition":       {[]string{cancelled("ThrottlingError"), cancelled("ConditionalCheckFailed")}, 2, conflict},
		"throttling that lasts":              {[]string{cancelled("None", "ThrottlingError")}, 8, busy},
		"an item that cannot be":             {[]string{cancelled("None", "ValidationError")}, 1, other("cancelled: ValidationError")},
		"an item that cannot be, a conflict": {[]string{cancelled("TransactionConflict", "ValidationError")}, 1, other("ValidationError")},
		"an item that cannot be, throttling": {[]string{cancelled("ThrottlingError", "ValidationError")}, 1, other("ValidationError")},
		"a right that lacks":                 {[]string{cancelled("AccessDenied")}, 1, other("AccessDenied")},
		"no reason":                          {[]string{cancelled()}, 1, other("cancelled")},
		"a reason that is none":              {[]string{cancelled(secretKey)}, 1, other("without a name")},
	} {
		t.Run(what, func(t *testing.T) {
			db, w := scripted(t, func(n int, _ request) reply {
				body := test.answers[min(n, len(test.answers)-1)]
				if body == `{}` {
					return reply{body: body}
				}
				return reply{status: 400, body: body}
			})
			test.want(t, calls["transact"].run(t.Context(), db))
			if len(w.asked) != test.asked || len(w.waited) != test.asked-1 {
				t.Errorf("asked %d times, waited %v", len(w.asked), w.waited)
			}
			if test.asked == 8 {
				growing(t, w.waited)
			}
			for _, r := range w.asked {
				if token := r.body["ClientRequestToken"]; token == "" || token != w.asked[0].body["ClientRequestToken"] {
					t.Errorf("token %q, then %q", w.asked[0].body["ClientRequestToken"], token)
				}
			}
		})
	}
}

// drawn is the revision that a request writes.
func drawn(r request) string {
	return r.body["Item"].(map[string]any)["r"].(map[string]any)["N"].(string)
}

// A put whose answer was lost is sent again and meets what is there by then.
func TestLostPut(t *testing.T) {
	lost := map[string]reply{
		"timeout": {err: &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}},
		"reset":   {err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}},
		"500":     awsError("InternalServerError"),
	}
	refusal := func(item string) reply {
		return reply{status: 400, body: `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"m"` + item + `}`}
	}
	mine := func(r request) string {
		return strings.Replace(stored(ana, 5, ""), `"N":"5"`, `"N":"`+drawn(r)+`"`, 1)
	}
	for what, test := range map[string]struct {
		second func(r request) reply
		third  func(put request) reply // of a GetItem
		want   error
	}{
		"not taken":                     {second: func(request) reply { return reply{body: `{}`} }},
		"taken":                         {second: func(r request) reply { return refusal(`,"Item":` + mine(r)) }},
		"somebody else was quicker":     {second: func(request) reply { return refusal(`,"Item":` + stored(ana, 5, "")) }, want: store.ErrConflict},
		"somebody has deleted it":       {second: func(request) reply { return refusal(``) }, want: store.ErrConflict},
		"what is there is none of ours": {second: func(request) reply { return refusal(`,"Item":{"r":{"S":"x"}}`) }, want: store.ErrConflict},
		"taken, somebody's transaction": {
			second: func(request) reply { return awsError("TransactionConflictException") },
			third:  func(put request) reply { return reply{body: `{"Item":` + mine(put) + `}`} },
		},
		"not taken, somebody's transaction": {
			second: func(request) reply { return awsError("TransactionConflictException") },
			third:  func(request) reply { return reply{body: `{"Item":` + stored(ana, 5, "") + `}`} }, want: store.ErrConflict,
		},
		"gone, somebody's transaction": {
			second: func(request) reply { return awsError("TransactionConflictException") },
			third:  func(request) reply { return reply{body: `{}`} }, want: store.ErrConflict,
		},
	} {
		for how, first := range lost {
			for _, rev := range []uint64{0, 7} {
				t.Run(fmt.Sprintf("%s %s %d", what, how, rev), func(t *testing.T) {
					t.Parallel()
					var put request
					db, w := scripted(t, func(n int, r request) reply {
						switch n {
						case 0:
							put = r
							return first
						case 1:
							if r.raw != put.raw {
								t.Errorf("the repetition is another request:\n%s\n%s", put.raw, r.raw)
							}
							return test.second(r)
						}
						if r.op != "GetItem" || test.third == nil {
							t.Errorf("asked %s", r.op)
							return reply{body: `{}`}
						}
						return test.third(put)
					})
					err := db.Commit(t.Context(), []store.Check{{Key: ana, Rev: rev}}, []store.Write{write(ana)})
					if err != test.want {
						t.Errorf("%v, want %v, after %q", err, test.want, w.ops())
					}
				})
			}
		}
	}
}

// When nothing can be learned of a put that met a transaction, nothing is claimed.
func TestPutThatCannotBeLookedUp(t *testing.T) {
	db, _ := scripted(t, inOrder(awsError("TransactionConflictException"), awsError("AccessDeniedException")))
	internal(t, calls["put"].run(t.Context(), db), "GetItem on table profiles (request REQUEST1): AccessDeniedException")
}

// Every commit that cannot know its own repetition by what is there carries a
// token, another one each time.
func TestTokens(t *testing.T) {
	tokens := map[string]bool{}
	for what, commit := range map[string]struct {
		checks []store.Check
		writes []store.Write
	}{
		"a delete":           {[]store.Check{{Key: ana, Rev: 7}}, []store.Write{deletion(ana)}},
		"a delete, a put":    {nil, []store.Write{deletion(ana), write(bert)}},
		"an unchecked put":   {nil, []store.Write{write(ana)}},
		"another's check":    {[]store.Check{{Key: bert}}, []store.Write{write(ana)}},
		"a check alone":      {[]store.Check{{Key: bert}}, nil},
		"a check, and a put": {[]store.Check{{Key: bert}, {Key: ana}}, []store.Write{write(ana)}},
	} {
		for range 2 {
			db, w := scripted(t, inOrder(reply{err: io.ErrUnexpectedEOF}, reply{body: `{}`}))
			if err := db.Commit(t.Context(), commit.checks, commit.writes); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if diff := cmp.Diff([]string{"TransactWriteItems", "TransactWriteItems"}, w.ops()); diff != "" {
				t.Fatalf("%s: %s", what, diff)
			}
			if w.asked[0].raw != w.asked[1].raw {
				t.Errorf("%s: the repetition is another request", what)
			}
			token, _ := w.asked[0].body["ClientRequestToken"].(string)
			if len(token) < 20 || len(token) > 36 || tokens[token] {
				t.Errorf("%s: token %q", what, token)
			}
			tokens[token] = true
		}
	}
}
