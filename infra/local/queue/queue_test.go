package queue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/memberkey/memberkey/infra/local/queue"
)

func options(concurrency int) queue.Options {
	return queue.Options{
		Name: "q", Visibility: 30 * time.Second, MaxReceives: 3, BatchSize: 10, Concurrency: concurrency,
		Timeout: 20 * time.Second, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

func TestEveryMessageIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New(options(4))
		ctx, stop := context.WithCancel(t.Context())
		var mu sync.Mutex
		got := map[string]int{}
		go q.Run(ctx, func(_ context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
			mu.Lock()
			defer mu.Unlock()
			for _, m := range e.Records {
				got[m.Body]++
			}
			return events.SQSEventResponse{}, nil
		})
		for i := range 500 {
			q.Send(fmt.Sprint(i))
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(got) != 500 || q.Waiting() != 0 {
			t.Errorf("%d messages delivered, %d left; want 500 and 0", len(got), q.Waiting())
		}
		stop()
		synctest.Wait()
	})
}

func TestAFailedMessageComesBackAndEndsAsADeadLetter(t *testing.T) {
	for name, fail := range map[string]func(e events.SQSEvent) (events.SQSEventResponse, error){
		"by id": func(e events.SQSEvent) (events.SQSEventResponse, error) {
			var r events.SQSEventResponse
			for _, m := range e.Records {
				if m.Body == "bad" {
					r.BatchItemFailures = append(r.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
				}
			}
			return r, nil
		},
		"by error": func(e events.SQSEvent) (events.SQSEventResponse, error) {
			if e.Records[0].Body == "bad" {
				return events.SQSEventResponse{}, errors.New("no")
			}
			return events.SQSEventResponse{}, nil
		},
		"by panic": func(e events.SQSEvent) (events.SQSEventResponse, error) {
			if e.Records[0].Body == "bad" {
				panic("no")
			}
			return events.SQSEventResponse{}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options(1)
				o.BatchSize = 1
				q := queue.New(o)
				ctx, stop := context.WithCancel(t.Context())
				var seen []time.Duration
				start := time.Now()
				go q.Run(ctx, func(_ context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
					if e.Records[0].Body == "bad" {
						seen = append(seen, time.Since(start))
					}
					return fail(e)
				})
				q.Send("bad", "good")
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				if want := []time.Duration{0, 30 * time.Second, time.Minute}; fmt.Sprint(seen) != fmt.Sprint(want) {
					t.Errorf("delivered at %v, want %v", seen, want)
				}
				if dead := q.DeadLetters(); len(dead) != 1 || dead[0] != "bad" {
					t.Errorf("dead letters %v, want the bad one", dead)
				}
				if q.Redrive() != 1 || q.Waiting() != 1 {
					t.Error("a redriven message is not back in the queue")
				}
				stop()
				synctest.Wait()
			})
		})
	}
}

// A consumer that takes longer than the visibility sees its message again, as
// on SQS: whoever works on it must stand that.
func TestASlowConsumerIsGivenTheMessageAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(4)
		o.Timeout = time.Hour
		q := queue.New(o)
		ctx, stop := context.WithCancel(t.Context())
		var mu sync.Mutex
		deliveries := 0
		go q.Run(ctx, func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
			mu.Lock()
			deliveries++
			mu.Unlock()
			time.Sleep(45 * time.Second) // the visibility is 30 s
			return events.SQSEventResponse{}, nil
		})
		q.Send("slow")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if deliveries != 2 || q.Waiting() != 0 || len(q.DeadLetters()) != 0 {
			t.Errorf("%d deliveries, %d left, %d dead; want 2, 0, 0", deliveries, q.Waiting(), len(q.DeadLetters()))
		}
		stop()
		synctest.Wait()
	})
}

func TestNoMoreEventsAtOnceThanConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options(3)
		o.BatchSize = 1
		q := queue.New(o)
		ctx, stop := context.WithCancel(t.Context())
		var mu sync.Mutex
		now, most := 0, 0
		go q.Run(ctx, func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return events.SQSEventResponse{}, nil
		})
		for range 20 {
			q.Send("x")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if most != 3 || q.Waiting() != 0 {
			t.Errorf("%d at once, %d left; want 3 and 0", most, q.Waiting())
		}
		stop()
		synctest.Wait()
	})
}
