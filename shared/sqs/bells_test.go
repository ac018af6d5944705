package sqs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
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
