package tools_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/memberkey/memberkey/infra/tools"
)

// queue is a fresh queue on the stand-in, with its client.
type queue struct {
	*sqs.Client
	url, arn *string
}

func newQueue(t *testing.T, name string, attributes map[string]string) queue {
	t.Helper()
	client := sqs.New(sqs.Options{
		Region:       "eu-central-1",
		BaseEndpoint: aws.String(tools.Queues(t)),
		Credentials:  credentials.NewStaticCredentialsProvider("stand", "in", ""),
	})
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := client.DeleteQueue(context.Background(), &sqs.DeleteQueueInput{QueueUrl: made.QueueUrl}); err != nil {
			t.Error(err)
		}
	})
	got, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		t.Fatal(err)
	}
	return queue{client, made.QueueUrl, aws.String(got.Attributes["QueueArn"])}
}

func (q queue) send(t *testing.T, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if _, err := q.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: q.url, MessageBody: &body}); err != nil {
			t.Fatal(err)
		}
	}
}

func (q queue) receive(t *testing.T, wait, visibility int) []types.Message {
	t.Helper()
	got, err := q.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: q.url, MaxNumberOfMessages: 10, WaitTimeSeconds: int32(wait), VisibilityTimeout: int32(visibility),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameApproximateReceiveCount},
	})
	if err != nil {
		t.Fatal(err)
	}
	return got.Messages
}

func (q queue) delete(t *testing.T, m types.Message) {
	t.Helper()
	if _, err := q.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: q.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
}

func bodies(messages []types.Message) []string {
	all := []string{}
	for _, m := range messages {
		all = append(all, *m.Body)
	}
	slices.Sort(all)
	return all
}

func TestQueuesLongPolling(t *testing.T) {
	t.Parallel()
	q := newQueue(t, "longpolling", nil)
	start := time.Now()
	if got := q.receive(t, 1, 30); len(got) != 0 {
		t.Fatalf("an empty queue gave %q", bodies(got))
	}
	if took := time.Since(start); took < 900*time.Millisecond || took > 8*time.Second {
		t.Errorf("asked to wait for a second, it took %v", took)
	}

	start = time.Now()
	var sender sync.WaitGroup
	sender.Go(func() {
		time.Sleep(300 * time.Millisecond)
		_, err := q.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String("late")})
		if err != nil {
			t.Error(err)
		}
	})
	got := q.receive(t, 10, 30)
	sender.Wait()
	if took := time.Since(start); len(got) != 1 || took > 8*time.Second {
		t.Errorf("after %v there were %q: a message should end the wait", took, bodies(got))
	}
}

func TestQueuesVisibility(t *testing.T) {
	t.Parallel()
	q := newQueue(t, "visibility", map[string]string{"VisibilityTimeout": "30"})
	q.send(t, "one")
	first := q.receive(t, 0, 3)
	if len(first) != 1 {
		t.Fatalf("got %q", bodies(first))
	}
	if hidden := q.receive(t, 0, 3); len(hidden) != 0 {
		t.Fatalf("a message that somebody works on was given again: %q", bodies(hidden))
	}
	again := q.receive(t, 10, 30)
	if len(again) != 1 || again[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Fatalf("after its three seconds it should come for the second time, got %v", again)
	}
	_, err := q.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: q.url, ReceiptHandle: again[0].ReceiptHandle, VisibilityTimeout: 0})
	if err != nil {
		t.Fatal(err)
	}
	third := q.receive(t, 5, 30)
	if len(third) != 1 {
		t.Fatalf("it was made visible, got %q", bodies(third))
	}
	q.delete(t, third[0])
	if _, err := q.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: q.url, ReceiptHandle: third[0].ReceiptHandle, VisibilityTimeout: 0}); err == nil {
		t.Error("a deleted message was made visible")
	}
	if gone := q.receive(t, 1, 30); len(gone) != 0 {
		t.Errorf("a deleted message came again")
	}
}

func TestQueuesRedrive(t *testing.T) {
	t.Parallel()
	letters := newQueue(t, "redrive-dead-letters", nil)
	q := newQueue(t, "redrive", map[string]string{
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":3}`, *letters.arn),
	})
	q.send(t, "poison")
	for i := 1; i <= 3; i++ {
		got := q.receive(t, 5, 1)
		if len(got) != 1 || got[0].Attributes["ApproximateReceiveCount"] != strconv.Itoa(i) {
			t.Fatalf("receive %d gave %v", i, got)
		}
	}
	if got := q.receive(t, 2, 1); len(got) != 0 {
		t.Errorf("received a fourth time: %q", bodies(got))
	}
	if got := letters.receive(t, 5, 30); !slices.Equal(bodies(got), []string{"poison"}) {
		t.Errorf("dead letters are %q", bodies(got))
	}
}

// A batch is taken in part, and refused whole when it is none.
func TestQueuesBatch(t *testing.T) {
	t.Parallel()
	q := newQueue(t, "batch", nil)
	type entries = []types.SendMessageBatchRequestEntry
	entry := func(id, body string, delay int32) types.SendMessageBatchRequestEntry {
		return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body, DelaySeconds: delay}
	}
	send := func(entries entries) (*sqs.SendMessageBatchOutput, error) {
		return q.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: q.url, Entries: entries})
	}

	sent, err := send(entries{entry("a", "first", 0), entry("b", "not allowed: \x00", 0), entry("c", "third", 2)})
	if err != nil {
		t.Fatal(err)
	}
	if len(sent.Successful) != 2 || len(sent.Failed) != 1 || *sent.Failed[0].Id != "b" || !sent.Failed[0].SenderFault {
		t.Errorf("taken %d, refused %v: want a and c taken, b refused by the sender's fault", len(sent.Successful), sent.Failed)
	}
	first := q.receive(t, 1, 30)
	if !slices.Equal(bodies(first), []string{"first"}) {
		t.Fatalf("before the delay there are %q", bodies(first))
	}
	if later := q.receive(t, 5, 30); !slices.Equal(bodies(later), []string{"third"}) {
		t.Errorf("after the delay there are %q", bodies(later))
	}
	deleted, err := q.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: q.url, Entries: []types.DeleteMessageBatchRequestEntry{
		{Id: aws.String("a"), ReceiptHandle: first[0].ReceiptHandle},
	}})
	if err != nil || len(deleted.Successful) != 1 {
		t.Errorf("delete as a batch: %v, %v", deleted, err)
	}

	large := strings.Repeat("x", 700<<10)
	for name, refused := range map[string]struct {
		entries entries
		want    any
	}{
		"one name twice": {entries{entry("a", "x", 0), entry("a", "y", 0)}, new(*types.BatchEntryIdsNotDistinct)},
		"too large":      {entries{entry("a", large, 0), entry("b", large, 0)}, new(*types.BatchRequestTooLong)},
		"empty":          {entries{}, new(*types.EmptyBatchRequest)},
	} {
		if _, err := send(refused.entries); !errors.As(err, refused.want) {
			t.Errorf("%s: got %v, want %T", name, err, refused.want)
		}
	}
	_, err = q.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(*q.url + "-none"), MessageBody: aws.String("x")})
	if none := (*types.QueueDoesNotExist)(nil); !errors.As(err, &none) {
		t.Errorf("a queue that does not exist: %v", err)
	}
}

func TestQueuesConcurrentReceivers(t *testing.T) {
	t.Parallel()
	q := newQueue(t, "receivers", map[string]string{"VisibilityTimeout": "120"})
	const messages, receivers = 1000, 16
	start := time.Now()
	for i := 0; i < messages; i += 10 {
		var entries []types.SendMessageBatchRequestEntry
		for j := i; j < i+10; j++ {
			entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(j)), MessageBody: aws.String(strconv.Itoa(j))})
		}
		sent, err := q.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: q.url, Entries: entries})
		if err != nil || len(sent.Successful) != 10 {
			t.Fatal(sent, err)
		}
	}
	sending := time.Since(start)

	start = time.Now()
	var mu sync.Mutex
	seen := map[string]int{}
	var all sync.WaitGroup
	for range receivers {
		all.Go(func() {
			for {
				got, err := q.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: q.url, MaxNumberOfMessages: 10})
				if err != nil {
					t.Error(err)
					return
				}
				if len(got.Messages) == 0 {
					return
				}
				for _, m := range got.Messages {
					mu.Lock()
					seen[*m.Body]++
					mu.Unlock()
					if _, err := q.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: q.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d messages: sent in %v, received and deleted by %d in %v", messages, sending, receivers, time.Since(start))
	if len(seen) != messages {
		t.Errorf("%d of %d messages came", len(seen), messages)
	}
	for body, times := range seen {
		if times != 1 {
			t.Errorf("message %s came %d times within its visibility timeout", body, times)
		}
	}
}

// Receivers that wait must not keep others from sending.
func TestQueuesWaitersDoNotBlock(t *testing.T) {
	t.Parallel()
	var waiting sync.WaitGroup
	for i := range 8 {
		q := newQueue(t, "waiters-"+strconv.Itoa(i), nil)
		waiting.Go(func() {
			if _, err := q.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: q.url, WaitTimeSeconds: 2}); err != nil {
				t.Error(err)
			}
		})
	}
	q := newQueue(t, "beside-waiters", nil)
	time.Sleep(100 * time.Millisecond)
	start := time.Now()
	for range 50 {
		q.send(t, "x")
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("50 sends beside eight waiting receivers took %v", took)
	}
	waiting.Wait()
}
