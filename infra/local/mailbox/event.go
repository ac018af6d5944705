package mailbox

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/mail"
	"slices"
	"strings"
	"time"
)

// eventType is a type of SES's event publishing, by its name in "eventType".
type eventType uint8

const (
	send eventType = iota
	delivery
	bounce
	complaint
	reject
	renderingFailure
	deliveryDelay
)

var eventNames = []string{"Send", "Delivery", "Bounce", "Complaint", "Reject", "Rendering Failure", "DeliveryDelay"}

// eventsOf are the events of each fate, in the order in which they happen.
var eventsOf = [fates][]eventType{
	delivered:     {send, delivery},
	bounced:       {send, bounce},
	bouncedForNow: {send, bounce},
	complained:    {send, delivery, complaint},
	onGlobalList:  {send, bounce},
	onAccountList: {send, bounce},
	delayed:       {send, deliveryDelay, delivery},
	rejected:      {send, reject},
	notRendered:   {renderingFailure},
}

// eventSet is the types that are published.
type eventSet uint

func parseEvents(names []string) (eventSet, error) {
	if names == nil {
		return 1<<len(eventNames) - 1, nil
	}
	var set eventSet
	for _, name := range names {
		i := slices.Index(eventNames, name)
		if i < 0 {
			return 0, fmt.Errorf("mailbox: there is no event type %q; there are %s", name, strings.Join(eventNames, ", "))
		}
		set |= 1 << i
	}
	return set, nil
}

// EventBatch is about how many events are published together.
const EventBatch = 1000

// Publish hands the events of all mails to handle, in batches of about
// [EventBatch] and in order, until ctx ends or the service is closed. A batch
// that handle returns nil for is done with, on disk too; after an error, or
// after the death of the process, it comes again. So handle must have done, or
// kept where it lasts, whatever it says nil to. Each event is the JSON of SES's
// event publishing, with the organization and the entry's tag among mail.tags.
//
// What fails for ever would hold up what follows, so handle must put such an
// event aside itself. Only one Publish may run at a time.
func (s *Service) Publish(ctx context.Context, handle func(ctx context.Context, events [][]byte) error) error {
	pause := time.Duration(0)
	for {
		batch, next, wakeAt, err := s.pending()
		if err == nil && len(batch) > 0 {
			err = handle(ctx, batch)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			err = s.acknowledge(next)
		}
		if s.closed() {
			return nil
		}
		if err != nil {
			pause = min(max(2*pause, 20*time.Millisecond), 5*time.Second)
			s.opts.Log.WarnContext(ctx, "events were not handled and come again", "error", err, "events", len(batch))
			if !wait(ctx, pause) {
				return ctx.Err()
			}
			continue
		}
		pause = 0
		if len(batch) > 0 {
			continue
		}
		var timer <-chan time.Time
		if wakeAt > 0 {
			timer = time.After(wakeAt)
		}
		select {
		case <-s.bell:
		case <-timer:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Unpublished is how many mails have events that were not yet handled.
func (s *Service) Unpublished() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.Discard {
		return 0
	}
	return int(s.next - s.cursor.next)
}

func (s *Service) closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed != nil
}

func (s *Service) acknowledge(next uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.Discard || s.failed != nil || next <= s.cursor.next {
		return nil
	}
	return s.cursor.set(next)
}

// pending are the next events, the cursor behind them, and when there are none
// yet, how long until there are.
func (s *Service) pending() (batch [][]byte, next uint64, wakeAt time.Duration, err error) {
	s.mu.Lock()
	from := s.cursor.next
	v, release := s.viewLocked()
	s.mu.Unlock()
	defer release()
	next = from
	if s.opts.Discard {
		return nil, next, 0, nil
	}
	faults := s.faults.Load()
	now := s.opts.Now()
	dice := &dice{rand.New(rand.NewPCG(faults.Seed, from))}
	err = v.forward(from, func(r *record) bool {
		if due := r.at.Add(faults.Late); faults.Late > 0 && due.After(now) {
			wakeAt = due.Sub(now)
			return false
		}
		w := eventWriter{service: s, record: r}
		w.begin()
		for i := range r.entries {
			if r.organization == "" && r.entries[i].tag == "" {
				continue // sent without the configuration set, which publishes
			}
			for _, t := range eventsOf[r.entries[i].fate] {
				if s.events&(1<<t) == 0 {
					continue
				}
				event := w.event(t, i)
				batch = append(batch, event)
				if dice.hit(faults.Twice) {
					batch = append(batch, event)
				}
			}
		}
		next = r.first + uint64(len(r.entries))
		return len(batch) < EventBatch
	})
	if faults.Shuffle {
		dice.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
	}
	return batch, next, wakeAt, err
}

// eventWriter writes the events of one call; what they share is encoded once.
type eventWriter struct {
	service *Service
	record  *record
	time    string
	head    []byte // of "mail", up to the message id
	tags    []byte // of "mail.tags", up to the entry
	from    []byte
}

const eventTime = "2006-01-02T15:04:05.000Z"

func quote(s string) []byte {
	b, _ := json.Marshal(s) // a string always has a JSON form
	return b
}

func (w *eventWriter) begin() {
	r := w.record
	source, domain := r.from, ""
	if a, err := mail.ParseAddress(r.from); err == nil {
		source = a.Address
		_, domain, _ = strings.Cut(a.Address, "@")
	}
	w.time = r.at.UTC().Format(eventTime)
	w.from = quote(r.from)
	w.head = fmt.Appendf(nil, `"mail":{"timestamp":"%s","source":%s,"sourceArn":"arn:aws:ses:local:000000000000:identity/%s","sendingAccountId":"000000000000","messageId":"`,
		w.time, quote(source), domain)
	w.tags = fmt.Appendf(nil, `"tags":{"ses:configuration-set":[%s],"ses:from-domain":[%s],"organization":[%s]`,
		quote(w.service.opts.ConfigurationSet), quote(domain), quote(r.organization))
}

// event writes one. The subject is not in it: what reads events must not need it.
func (w *eventWriter) event(t eventType, i int) []byte {
	e := &w.record.entries[i]
	to := quote(e.to)
	id := w.service.appendID(nil, w.record.first+uint64(i))
	b := make([]byte, 0, 1024)
	b = fmt.Appendf(b, `{"eventType":"%s",`, eventNames[t])
	b = append(b, w.head...)
	b = append(b, id...)
	b = fmt.Appendf(b, `","destination":[%s],"headersTruncated":false,"headers":[{"name":"From","value":%s},{"name":"To","value":%s}],"commonHeaders":{"from":[%s],"to":[%s],"messageId":"%s"},`,
		to, w.from, to, w.from, to, id)
	b = append(b, w.tags...)
	if e.tag != "" {
		b = fmt.Appendf(b, `,"entry":[%s]`, quote(e.tag))
	}
	b = append(b, "}},"...)
	switch t {
	case send:
		b = append(b, `"send":{}`...)
	case delivery:
		b = fmt.Appendf(b, `"delivery":{"timestamp":"%s","processingTimeMillis":1,"recipients":[%s],"smtpResponse":"250 2.6.0 Message received","reportingMTA":"mailbox.example"}`, w.time, to)
	case bounce:
		k := bounces[e.fate]
		b = fmt.Appendf(b, `"bounce":{"feedbackId":"%s","bounceType":"%s","bounceSubType":"%s","bouncedRecipients":[{"emailAddress":%s,"action":"failed","status":"%s","diagnosticCode":"%s"}],"timestamp":"%s","reportingMTA":"dns; mailbox.example"}`,
			id, k.kind, k.sub, to, k.status, k.text, w.time)
	case complaint:
		b = fmt.Appendf(b, `"complaint":{"feedbackId":"%s","complaintSubType":null,"complainedRecipients":[{"emailAddress":%s}],"timestamp":"%s","userAgent":"mailbox.example","complaintFeedbackType":"abuse","arrivalDate":"%s"}`,
			id, to, w.time, w.time)
	case reject:
		b = append(b, `"reject":{"reason":"Bad content"}`...)
	case renderingFailure:
		b = append(b, `"failure":{"templateName":"inline","errorMessage":"An attribute of the template is not present in the rendering data."}`...)
	case deliveryDelay:
		b = fmt.Appendf(b, `"deliveryDelay":{"timestamp":"%s","delayType":"TransientCommunicationFailure","expirationTime":"%s","delayedRecipients":[{"emailAddress":%s,"status":"4.4.1","diagnosticCode":"smtp; 421 4.4.1 Unable to connect to remote host"}]}`,
			w.time, w.record.at.Add(12*time.Hour).UTC().Format(eventTime), to)
	}
	return append(b, '}')
}

// bounces are the kinds of bounces, as SES's documentation and simulator word them.
var bounces = map[fate]struct{ kind, sub, status, text string }{
	bounced:       {"Permanent", "General", "5.1.1", "smtp; 550 5.1.1 user unknown"},
	bouncedForNow: {"Transient", "MailboxFull", "4.2.2", "smtp; 452 4.2.2 mailbox full"},
	onGlobalList:  {"Permanent", "Suppressed", "5.1.1", "Amazon SES has suppressed sending to this address because it has a recent history of bouncing as an invalid address."},
	onAccountList: {"Permanent", "OnAccountSuppressionList", "5.1.1", "Amazon SES did not send the message to this address because it is on the suppression list for your account."},
}
