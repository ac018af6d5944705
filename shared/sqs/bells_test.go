package sqs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/sqs"
)

var queues = sqs.Queues{mailing.FanoutQueue: "https://sqs.example.com/fanout", mailing.SingleQueue: "https://sqs.example.com/single", mailing.BulkQueue: "https://sqs.example.com/bulk"}

// sender takes messages, but those that refuse tells (by round and position).
type sender struct {
	calls  int
	sizes  []int
	taken  map[string][]string // by queue
	refuse func(call, i int) *types.BatchResultErrorEntry
	fail   error
}

func (s *sender) SendMessageBatch(_ context.Context, in *awssqs.SendMessageBatchInput, _ ...func(*awssqs.Options)) (*awssqs.SendMessageBatchOutput, error) {
	s.calls++
	s.sizes = append(s.sizes, len(in.Entries))
	if s.fail != nil && strings.HasSuffix(*in.QueueUrl, "/bulk") {
		return nil, s.fail
	}
	out := &awssqs.SendMessageBatchOutput{}
	for i, e := range in.Entries {
		if s.refuse != nil {
			if failed := s.refuse(s.calls, i); failed != nil {
				if failed.Id == nil {
					failed.Id = e.Id
				}
				out.Failed = append(out.Failed, *failed)
				continue
			}
		}
		if s.taken == nil {
			s.taken = map[string][]string{}
		}
		s.taken[*in.QueueUrl] = append(s.taken[*in.QueueUrl], *e.MessageBody)
	}
	return out, nil
}

func lanes(n int) (bells []mailing.Bell) {
	for i := range n {
		bells = append(bells, mailing.Bell{V: 1, Kind: mailing.RingLane, Organization: "river", Mailing: "m", Generation: 1, Lane: i})
	}
	return bells
}

// lanesOf are the numbers of the lanes that messages name.
func lanesOf(t *testing.T, messages []string) (numbers []int) {
	t.Helper()
	for _, m := range messages {
		b, err := mailing.ParseBell(m)
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, b.Lane)
	}
	slices.Sort(numbers)
	return numbers
}

func upTo(n int) (numbers []int) {
	for i := range n {
		numbers = append(numbers, i)
	}
	return numbers
}

func TestRingSendsEachBellToItsQueue(t *testing.T) {
	s := &sender{}
	bells := append(lanes(1),
		mailing.Bell{Kind: mailing.RingFreeze, Organization: "river", Mailing: "m"},
		mailing.Bell{Kind: mailing.RingRequest, Organization: "river", ID: "r"},
		mailing.Bell{Kind: mailing.RingSingle, Organization: "river", ID: "s"},
		mailing.Bell{Kind: mailing.RingSingle, Organization: "river", ID: "notice", Behind: true},
		mailing.Bell{Kind: mailing.RingBatch, Organization: "river", Mailing: "m", Generation: 1},
	)
	if err := (&sqs.Bells{Sender: s, Queues: queues}).Ring(context.Background(), bells...); err != nil {
		t.Fatal(err)
	}
	got := map[mailing.Queue][]mailing.BellKind{}
	for queue, url := range queues {
		for _, m := range s.taken[url] {
			b, err := mailing.ParseBell(m)
			if err != nil {
				t.Fatal(err)
			}
			got[queue] = append(got[queue], b.Kind)
		}
	}
	want := map[mailing.Queue][]mailing.BellKind{
		mailing.FanoutQueue: {mailing.RingFreeze, mailing.RingRequest},
		mailing.SingleQueue: {mailing.RingSingle},
		mailing.BulkQueue:   {mailing.RingLane, mailing.RingSingle, mailing.RingBatch},
	}
	if d := cmp.Diff(want, got); d != "" || s.calls != 3 {
		t.Errorf("%d calls\n%s", s.calls, d)
	}
}

func TestRingSendsAgainWhatWasNotTaken(t *testing.T) {
	busy := func() *types.BatchResultErrorEntry {
		return &types.BatchResultErrorEntry{Code: aws.String("ServiceUnavailable")}
	}
	s := &sender{refuse: func(call, i int) *types.BatchResultErrorEntry {
		if call == 1 && i%2 == 1 || call == 2 && i == 0 {
			return busy()
		}
		return nil
	}}
	if err := (&sqs.Bells{Sender: s, Queues: queues}).Ring(context.Background(), lanes(12)...); err != nil {
		t.Fatal(err)
	}
	// 10, the 5 refused of them, the 1 refused of those, and the last 2.
	if d := cmp.Diff([]int{10, 5, 1, 2}, s.sizes); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(upTo(12), lanesOf(t, s.taken[queues[mailing.BulkQueue]])); d != "" {
		t.Error(d)
	}
}

func TestRingGivesUp(t *testing.T) {
	for name, test := range map[string]struct {
		sender sender
		queues sqs.Queues
		calls  int
		words  string
	}{
		"never taken": {sender{refuse: func(int, int) *types.BatchResultErrorEntry {
			return &types.BatchResultErrorEntry{Code: aws.String("ServiceUnavailable")}
		}}, queues, 4, "2 of 2 bells were not taken"},
		"our fault": {sender{refuse: func(int, int) *types.BatchResultErrorEntry {
			return &types.BatchResultErrorEntry{Code: aws.String("InvalidMessageContents"), SenderFault: true}
		}}, queues, 1, "InvalidMessageContents"},
		"nonsense": {sender{refuse: func(int, int) *types.BatchResultErrorEntry {
			return &types.BatchResultErrorEntry{Id: aws.String("7")}
		}}, queues, 1, "was not sent"},
		"no answer": {sender{fail: errors.New("reset")}, queues, 1, "reset"},
		"not ours":  {sender{}, sqs.Queues{}, 0, "does not ring"},
	} {
		t.Run(name, func(t *testing.T) {
			err := (&sqs.Bells{Sender: &test.sender, Queues: test.queues}).Ring(context.Background(), lanes(2)...)
			if err == nil || !strings.Contains(err.Error(), test.words) || test.sender.calls != test.calls {
				t.Errorf("Ring: %v after %d calls; want %q after %d", err, test.sender.calls, test.words, test.calls)
			}
		})
	}
}

// TestRingOnTheWire injects faults below the SDK: it repeats a request that was
// throttled, answered 500 or not answered, and what an answer refuses by half
// is sent again here. A bell that was taken and not answered rings twice, which
// is nothing to whoever hears it.
func TestRingOnTheWire(t *testing.T) {
	type answer = func(w http.ResponseWriter, ids []string)
	refuse := func(status int, code string) answer {
		return func(w http.ResponseWriter, _ []string) {
			w.Header().Set("X-Amzn-ErrorType", code)
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"__type":"com.amazonaws.sqs#%s","message":"not now"}`, code)
		}
	}
	half := func(w http.ResponseWriter, ids []string) {
		var taken, failed []string
		for i, id := range ids {
			if i%2 == 0 {
				taken = append(taken, fmt.Sprintf(`{"Id":%q,"MessageId":"m"}`, id))
			} else {
				failed = append(failed, fmt.Sprintf(`{"Id":%q,"Code":"InternalError","SenderFault":false}`, id))
			}
		}
		fmt.Fprintf(w, `{"Successful":[%s],"Failed":[%s]}`, strings.Join(taken, ","), strings.Join(failed, ","))
	}
	hangUp := func(http.ResponseWriter, []string) { panic(http.ErrAbortHandler) }
	for name, test := range map[string]struct {
		answers []answer // the last one is for all further requests
		asked   []int    // bells in each request
		words   string   // of the error; "" is none
	}{
		"throttled":      {[]answer{refuse(400, "ThrottlingException"), half}, []int{3, 3, 1}, ""},
		"500":            {[]answer{refuse(500, "InternalError"), half}, []int{3, 3, 1}, ""},
		"no answer":      {[]answer{hangUp, half}, []int{3, 3, 1}, ""},
		"half, then 503": {[]answer{half, refuse(503, "ServiceUnavailable"), half}, []int{3, 1, 1}, ""},
		"no queue":       {[]answer{refuse(400, "QueueDoesNotExist")}, []int{3}, "QueueDoesNotExist"},
		"no right":       {[]answer{refuse(403, "AccessDenied")}, []int{3}, "AccessDenied"},
		"500 for good":   {[]answer{refuse(500, "InternalError")}, []int{3, 3, 3}, "InternalError"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var asked []int
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var body struct{ Entries []struct{ Id string } }
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
					t.Errorf("a request that is none: %v", err)
				}
				mu.Lock()
				asked = append(asked, len(body.Entries))
				answer := test.answers[min(len(asked), len(test.answers))-1]
				mu.Unlock()
				var ids []string
				for _, e := range body.Entries {
					ids = append(ids, e.Id)
				}
				w.Header().Set("Content-Type", "application/x-amz-json-1.0")
				answer(w, ids)
			}))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.Start()
			defer server.Close()
			bells := sqs.NewBells(aws.Config{
				Region: "eu-central-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
			}, sqs.Queues{mailing.BulkQueue: server.URL + "/123456789012/bulk"})
			err := bells.Ring(t.Context(), lanes(3)...)
			if (err == nil) != (test.words == "") || err != nil && !strings.Contains(err.Error(), test.words) {
				t.Errorf("Ring: %v, want %q", err, test.words)
			}
			if d := cmp.Diff(test.asked, asked); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestRingOneQueueDespiteAnother(t *testing.T) {
	for range 20 { // the order of queues is by chance
		s := &sender{fail: errors.New("down")}
		bells := append(lanes(1), mailing.Bell{Kind: mailing.RingSingle, Organization: "river", ID: "s"})
		err := (&sqs.Bells{Sender: s, Queues: queues}).Ring(context.Background(), bells...)
		if err == nil || len(s.taken[queues[mailing.SingleQueue]]) != 1 {
			t.Fatalf("%v, %v", err, s.taken)
		}
	}
}

func TestRingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &sender{refuse: func(int, int) *types.BatchResultErrorEntry {
		cancel()
		return &types.BatchResultErrorEntry{Code: aws.String("ServiceUnavailable")}
	}}
	if err := (&sqs.Bells{Sender: s, Queues: queues}).Ring(ctx, lanes(1)...); !errors.Is(err, context.Canceled) || s.calls != 1 {
		t.Errorf("Ring: %v after %d calls", err, s.calls)
	}
}

func ExampleBells() {
	fmt.Println(mailing.Bell{Kind: mailing.RingSingle, ID: "0K7"}.Queue())
	// Output: single
}
