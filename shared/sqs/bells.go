package sqs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/memberkey/memberkey/shared/mailing"
)

// Sender is what we use of the SQS client.
type Sender interface {
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
}

// Queues are the addresses (URLs) of the queues that a function rings.
type Queues map[mailing.Queue]string

// Bells rings on SQS ([mailing.Bells]).
type Bells struct {
	Sender Sender
	Queues Queues
}

// NewBells rings the queues with a client of its own.
func NewBells(cfg aws.Config, queues Queues) *Bells {
	return &Bells{Sender: sqs.NewFromConfig(cfg), Queues: queues}
}

const (
	// perCall is SQS's limit of a batch.
	perCall = 10
	// rounds is how often what SQS did not take from a batch is sent.
	rounds = 4
)

// Ring sends the bells, those of one queue together. What SQS takes of a batch
// and what it refuses stand in one answer; the refused are sent again. An error
// is no loss: the sweep rings for whatever was not rung.
func (b *Bells) Ring(ctx context.Context, bells ...mailing.Bell) error {
	waiting := map[mailing.Queue][]string{}
	for _, bell := range bells {
		text, err := bell.Message()
		if err != nil {
			return err
		}
		waiting[bell.Queue()] = append(waiting[bell.Queue()], text)
	}
	var errs []error
	for queue, messages := range waiting {
		for batch := range slices.Chunk(messages, perCall) {
			if err := b.send(ctx, b.Queues[queue], batch); err != nil {
				errs = append(errs, fmt.Errorf("sqs: %s queue: %w", queue, err))
				break
			}
		}
	}
	return errors.Join(errs...)
}

func (b *Bells) send(ctx context.Context, url string, messages []string) error {
	if url == "" {
		return errors.New("this function does not ring it")
	}
	entries := make([]types.SendMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(m)}
	}
	for round := range rounds {
		if round > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(50 * time.Millisecond << round):
			}
		}
		out, err := b.Sender.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries})
		if err != nil {
			return err
		}
		again := entries[:0]
		for _, failed := range out.Failed {
			if failed.SenderFault {
				return fmt.Errorf("a bell was refused: %s", aws.ToString(failed.Code))
			}
			i, err := strconv.Atoi(aws.ToString(failed.Id))
			if err != nil || i < 0 || i >= len(messages) {
				return fmt.Errorf("an answer about a message that was not sent")
			}
			again = append(again, types.SendMessageBatchRequestEntry{Id: failed.Id, MessageBody: aws.String(messages[i])})
		}
		if entries = again; len(entries) == 0 {
			return nil
		}
	}
	return fmt.Errorf("%d of %d bells were not taken after %d tries", len(entries), len(messages), rounds)
}
