// Package queue is an SQS standard queue in the process: messages are
// delivered at least once and in no promised order, stay invisible while
// somebody works on them, come back when that failed or took too long, and
// move to the dead letters after too many receives. Like SQS it tells the
// consumer of partial failures by message id.
//
// Its messages live in memory alone: what Memberkey announces is a record in
// the store, and the sweep rings again for whatever a crash forgot.
package queue

import (
	"container/heap"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// Handler is a function behind the queue, as on Lambda.
type Handler func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

// Options are those of the queue and of its event source mapping.
type Options struct {
	Name        string
	Visibility  time.Duration // how long a received message stays hidden
	MaxReceives int           // after so many it is a dead letter
	BatchSize   int           // messages of one event
	Window      time.Duration // how long to wait for a batch to fill
	Concurrency int           // events worked at once
	Timeout     time.Duration // of one event
	Log         *slog.Logger
}

// Queue is one queue and its consumer.
type Queue struct {
	o    Options
	mu   sync.Mutex
	wake chan struct{}
	heap messages // those in work, too: hidden until their visibility runs out
	dead []string
}

type message struct {
	id       string
	body     string
	visible  time.Time
	receives int
	deleted  bool
}

// delivery is a message as one consumer got it; another may get it, too.
type delivery struct {
	*message
	times int // it was received, this one included
}

// New makes a queue. Run starts its consumer.
func New(o Options) *Queue { return &Queue{o: o, wake: make(chan struct{}, 1)} }

// Send puts messages in; each is delivered at least once.
func (q *Queue) Send(bodies ...string) {
	q.mu.Lock()
	for _, body := range bodies {
		heap.Push(&q.heap, &message{id: rand.Text(), body: body, visible: time.Now()})
	}
	q.mu.Unlock()
	q.poke()
}

// Waiting is how many messages are in the queue, received ones included.
func (q *Queue) Waiting() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.heap {
		if !m.deleted {
			n++
		}
	}
	return n
}

// DeadLetters are the messages that failed too often.
func (q *Queue) DeadLetters() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]string(nil), q.dead...)
}

// Redrive puts the dead letters back.
func (q *Queue) Redrive() int {
	q.mu.Lock()
	bodies := q.dead
	q.dead = nil
	q.mu.Unlock()
	q.Send(bodies...)
	return len(bodies)
}

func (q *Queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Run consumes until the context ends, and then waits for the events that are
// being worked.
func (q *Queue) Run(ctx context.Context, handle Handler) {
	permits := make(chan struct{}, q.o.Concurrency)
	var working sync.WaitGroup
	defer working.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case permits <- struct{}{}:
		}
		batch := q.receive(ctx)
		if len(batch) == 0 {
			return
		}
		working.Go(func() {
			q.work(ctx, handle, batch)
			<-permits
		})
	}
}

// receive waits for messages; none only when the context ends.
func (q *Queue) receive(ctx context.Context) []delivery {
	for {
		q.mu.Lock()
		now := time.Now()
		var batch []delivery
		for len(batch) < q.o.BatchSize && q.heap.Len() > 0 && !q.heap[0].visible.After(now) {
			m := heap.Pop(&q.heap).(*message)
			if m.deleted {
				continue
			}
			if m.receives++; m.receives > q.o.MaxReceives {
				q.dead = append(q.dead, m.body)
				q.o.Log.Error("dead letter", "queue", q.o.Name, "message", m.body)
				continue
			}
			m.visible = now.Add(q.o.Visibility)
			heap.Push(&q.heap, m)
			batch = append(batch, delivery{m, m.receives})
		}
		next := time.Hour
		if q.heap.Len() > 0 {
			next = max(time.Until(q.heap[0].visible), time.Millisecond)
		}
		again := q.heap.Len() > 0 && next == time.Millisecond
		q.mu.Unlock()
		if len(batch) > 0 {
			if again {
				q.poke()
			}
			return batch
		}
		select {
		case <-ctx.Done():
			return nil
		case <-q.wake:
			if q.o.Window > 0 {
				time.Sleep(q.o.Window)
			}
		case <-time.After(next):
		}
	}
}

func (q *Queue) work(ctx context.Context, handle Handler, batch []delivery) {
	event := events.SQSEvent{}
	for _, m := range batch {
		event.Records = append(event.Records, events.SQSMessage{
			MessageId: m.id, Body: m.body, EventSource: "aws:sqs",
			Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.times)},
		})
	}
	// A stop of the process is a stop of what it works on, as on Lambda; what
	// was begun may still end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.o.Timeout)
	defer cancel()
	response, err := guard(ctx, handle, event)
	failed := map[string]bool{}
	for _, f := range response.BatchItemFailures {
		failed[f.ItemIdentifier] = true
	}
	if err != nil {
		q.o.Log.Error("event failed", "queue", q.o.Name, "error", err)
	}
	// An error, or an empty identifier, fails the whole batch: nothing of it is
	// deleted, and its visibility runs out.
	if err != nil || failed[""] {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range batch {
		m.deleted = !failed[m.id]
	}
}

func guard(ctx context.Context, handle Handler, event events.SQSEvent) (response events.SQSEventResponse, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return handle(ctx, event)
}

// messages is a heap by the time at which they are visible.
type messages []*message

func (h messages) Len() int           { return len(h) }
func (h messages) Less(i, j int) bool { return h[i].visible.Before(h[j].visible) }
func (h messages) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *messages) Push(x any)        { *h = append(*h, x.(*message)) }
func (h *messages) Pop() any {
	old := *h
	m := old[len(old)-1]
	*h = old[:len(old)-1]
	return m
}
