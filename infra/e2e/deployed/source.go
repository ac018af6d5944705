//go:build unix

package deployed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/memberkey/memberkey/infra/e2e/lambdahost"
	"github.com/memberkey/memberkey/infra/template"
)

const (
	// unbounded is how many events of a queue Lambda works at once to begin
	// with, where no MaximumConcurrency is set.
	// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
	unbounded = 5
	// longPoll is how long a receive waits for a message. SQS allows 20 s; this
	// only bounds how long a stop takes.
	longPoll = time.Second
	// window caps the batching windows of the template: a journey waits for
	// every one of them.
	window = 50 * time.Millisecond
	// perReceive is SQS's limit of one receive and of one delete.
	perReceive = 10
)

// source is an event source mapping: it polls a queue for a function, with the
// function's own permissions, and deletes what was worked.
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-batching.html
type source struct {
	function *lambdahost.Function
	event    template.Event
	queue    template.Queue // as it is on the stand-in
	client   *sqs.Client
	disorder Disorder
	log      func(what string, err error)
}

func (s *source) concurrency() int {
	if s.event.MaximumConcurrency > 0 {
		return s.event.MaximumConcurrency
	}
	return unbounded
}

// validate refuses what Lambda refuses when it makes the mapping.
func (s *source) validate(ctx context.Context, timeout time.Duration) error {
	out, err := s.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &s.queue.URL, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		return fmt.Errorf("%s: %w", s.queue.LogicalID, err)
	}
	hidden, err := strconv.Atoi(out.Attributes["VisibilityTimeout"])
	if err != nil {
		return fmt.Errorf("%s: %w", s.queue.LogicalID, err)
	}
	if visibility := time.Duration(hidden) * time.Second; visibility < timeout {
		return fmt.Errorf("%s: Queue visibility timeout: %v is less than Function timeout: %v", s.queue.LogicalID, visibility, timeout)
	}
	if s.event.BatchSize > perReceive && s.event.BatchingWindow < time.Second {
		return fmt.Errorf("%s: MaximumBatchingWindowInSeconds must be at least 1 when BatchSize is over 10", s.queue.LogicalID)
	}
	return nil
}

// run polls until the context ends, and then waits for what is in work.
func (s *source) run(ctx context.Context) {
	permits := make(chan struct{}, s.concurrency())
	var working sync.WaitGroup
	defer working.Wait()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case permits <- struct{}{}:
		}
		batch := s.receive(ctx)
		if len(batch) == 0 {
			<-permits
			continue
		}
		working.Go(func() {
			defer func() { <-permits }()
			s.work(context.WithoutCancel(ctx), batch)
		})
		if rand.Float64() < s.disorder.Twice {
			working.Go(func() { s.work(context.WithoutCancel(ctx), batch) })
		}
	}
}

// receive collects the messages of one event.
func (s *source) receive(ctx context.Context) []types.Message {
	var batch []types.Message
	var end time.Time
	for wait := longPoll; ; wait = 0 {
		out, err := s.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &s.queue.URL, MaxNumberOfMessages: int32(min(perReceive, s.event.BatchSize-len(batch))), WaitTimeSeconds: int32(wait / time.Second),
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		})
		if err != nil {
			if ctx.Err() == nil {
				s.log("not received", err)
				time.Sleep(100 * time.Millisecond)
			}
			return batch
		}
		batch = append(batch, out.Messages...)
		if end.IsZero() {
			end = time.Now().Add(min(s.event.BatchingWindow, window))
		}
		if len(batch) == 0 || len(batch) >= s.event.BatchSize || !time.Now().Before(end) {
			return batch
		}
		if len(out.Messages) == 0 {
			time.Sleep(window / 5)
		}
	}
}

// work gives a batch to the function and deletes what is done; what failed
// stays hidden until its visibility runs out.
func (s *source) work(ctx context.Context, batch []types.Message) {
	if s.disorder.Late > 0 {
		time.Sleep(rand.N(s.disorder.Late))
	}
	event := events.SQSEvent{}
	for _, m := range batch {
		event.Records = append(event.Records, events.SQSMessage{
			MessageId: aws.ToString(m.MessageId), ReceiptHandle: aws.ToString(m.ReceiptHandle), Body: aws.ToString(m.Body), Md5OfBody: aws.ToString(m.MD5OfBody),
			Attributes: m.Attributes, MessageAttributes: map[string]events.SQSMessageAttribute{},
			EventSource: "aws:sqs", EventSourceARN: s.queue.ARN, AWSRegion: template.Region,
		})
	}
	payload, err := json.Marshal(event)
	if err != nil {
		s.log("no event", err)
		return
	}
	reply, err := s.function.Invoke(ctx, payload)
	if errors.Is(err, lambdahost.ErrClosed) {
		return
	}
	if err != nil {
		s.log("event failed", err)
		return
	}
	failed, err := s.failures(reply, event)
	if err != nil {
		s.log("answer of no known form", err)
		return
	}
	var done []types.DeleteMessageBatchRequestEntry
	for i, m := range batch {
		if !failed[*m.MessageId] {
			done = append(done, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
		}
	}
	for len(done) > 0 {
		n := min(perReceive, len(done))
		// A second delivery may have deleted it before, which is no error.
		if _, err := s.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &s.queue.URL, Entries: done[:n]}); err != nil {
			s.log("not deleted", err)
		}
		done = done[n:]
	}
}

// failures reads which messages come again. Lambda takes an identifier that it
// does not know, or none, for a failure of the whole batch.
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
func (s *source) failures(reply []byte, event events.SQSEvent) (map[string]bool, error) {
	failed := map[string]bool{}
	if !s.event.PartialFailures || string(reply) == "null" {
		return failed, nil
	}
	var answer events.SQSEventResponse
	if err := json.Unmarshal(reply, &answer); err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, r := range event.Records {
		known[r.MessageId] = true
	}
	for _, f := range answer.BatchItemFailures {
		if !known[f.ItemIdentifier] {
			return nil, fmt.Errorf("it names the message %q", f.ItemIdentifier)
		}
		failed[f.ItemIdentifier] = true
	}
	if len(failed) > 0 {
		s.log("messages failed", fmt.Errorf("%d of %d", len(failed), len(event.Records)))
	}
	return failed, nil
}
