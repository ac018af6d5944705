package mailbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/shared/mailing"
)

// event is what a reader of SES events decodes.
type event struct {
	EventType string `json:"eventType"`
	Mail      struct {
		Timestamp   time.Time           `json:"timestamp"`
		Source      string              `json:"source"`
		MessageID   string              `json:"messageId"`
		Destination []string            `json:"destination"`
		Tags        map[string][]string `json:"tags"`
	} `json:"mail"`
	Bounce struct {
		BounceType        string `json:"bounceType"`
		BounceSubType     string `json:"bounceSubType"`
		BouncedRecipients []struct {
			EmailAddress string `json:"emailAddress"`
		} `json:"bouncedRecipients"`
	} `json:"bounce"`
	Send, Delivery, Complaint, Reject, Failure, DeliveryDelay json.RawMessage
}

func decode(t testing.TB, raw []byte) event {
	t.Helper()
	var e event
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return e
}

// publish runs Publish until everything is handled.
func publish(t testing.TB, s *mailbox.Service, handle func(context.Context, [][]byte) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Publish(ctx, handle) }()
	waitFor(t, func() bool { return s.Unpublished() == 0 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func collect(t testing.TB, s *mailbox.Service) []event {
	t.Helper()
	var all []event
	publish(t, s, func(_ context.Context, batch [][]byte) error {
		for _, raw := range batch {
			all = append(all, decode(t, raw))
		}
		return nil
	})
	return all
}

func types(all []event) []string {
	list := make([]string, len(all))
	for i, e := range all {
		list[i] = e.EventType
		if e.EventType == "Bounce" {
			list[i] += " " + e.Bounce.BounceType + " " + e.Bounce.BounceSubType
		}
	}
	return list
}

func TestEventsOfEachAddress(t *testing.T) {
	for _, test := range []struct {
		to      string
		want    []string
		outcome string
		listed  bool
	}{
		{"ana@example.com", []string{"Send", "Delivery"}, "delivered", false},
		{"bounce@example.com", []string{"Send", "Delivery"}, "delivered", false},
		{"success@simulator.example", []string{"Send", "Delivery"}, "delivered", false},
		{"anybody@simulator.example", []string{"Send", "Delivery"}, "delivered", false},
		{"Bounce+ana@Simulator.example", []string{"Send", "Bounce Permanent General"}, "bounced", true},
		{"mailboxfull@simulator.example", []string{"Send", "Bounce Transient MailboxFull"}, "bounced_for_now", false},
		{"complaint+1@simulator.example", []string{"Send", "Delivery", "Complaint"}, "complained", true},
		{"suppressionlist@simulator.example", []string{"Send", "Bounce Permanent Suppressed"}, "suppressed", false},
		{"delay@simulator.example", []string{"Send", "DeliveryDelay", "Delivery"}, "delayed", false},
		{"reject@simulator.example", []string{"Send", "Reject"}, "rejected", false},
		{"bounce+1@simulator.amazonses.com", []string{"Send", "Bounce Permanent General"}, "bounced", false},
		{"complaint@simulator.amazonses.com", []string{"Send", "Delivery", "Complaint"}, "complained", false},
	} {
		t.Run(test.to, func(t *testing.T) {
			s := open(t, t.TempDir(), mailbox.Options{Now: newClock().Now})
			receipt := take(t, s, callTo("x", test.to))[0]
			all := collect(t, s)
			if diff := cmp.Diff(test.want, types(all)); diff != "" {
				t.Error(diff)
			}
			for _, e := range all {
				m := e.Mail
				if m.MessageID != receipt.MessageID || m.Source != "club@example.org" || !m.Timestamp.Equal(morning) {
					t.Errorf("%+v", m)
				}
				if diff := cmp.Diff([]string{test.to}, m.Destination); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff([]string{"demo"}, m.Tags["organization"]); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff([]string{"m_x_1_0_0_0"}, m.Tags["entry"]); diff != "" {
					t.Error(diff)
				}
				part := map[string]json.RawMessage{"Send": e.Send, "Delivery": e.Delivery, "Complaint": e.Complaint, "Reject": e.Reject, "DeliveryDelay": e.DeliveryDelay}[e.EventType]
				if e.EventType == "Bounce" {
					if r := e.Bounce.BouncedRecipients; len(r) != 1 || r[0].EmailAddress != test.to {
						t.Errorf("%+v", e.Bounce)
					}
				} else if part == nil {
					t.Errorf("%s says nothing more", e.EventType)
				}
			}
			if got := mails(t, s, mailbox.Filter{})[0].Outcome; got != test.outcome {
				t.Errorf("outcome %q, want %q", got, test.outcome)
			}
			if s.Suppressed(test.to) != test.listed {
				t.Errorf("on the suppression list: %v", !test.listed)
			}
		})
	}
}

func TestSuppressedUntilReleased(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, mailbox.Options{})
	const to = "bounce@simulator.example"
	take(t, s, callTo("x", to, "complaint@simulator.example"))
	collect(t, s)
	for _, again := range []string{to, "BOUNCE@simulator.example"} {
		shut(t, s)
		s = open(t, dir, mailbox.Options{})
		take(t, s, callTo("x", again))
		if diff := cmp.Diff([]string{"Send", "Bounce Permanent OnAccountSuppressionList"}, types(collect(t, s))); diff != "" {
			t.Error(diff)
		}
	}
	for range 2 { // the second time it is not on the list any more
		if err := s.Release("Bounce@Simulator.example"); err != nil {
			t.Fatal(err)
		}
	}
	shut(t, s)
	s = open(t, dir, mailbox.Options{})
	if s.Suppressed(to) || !s.Suppressed("complaint@simulator.example") {
		t.Error("the release did not last, or went too far")
	}
	take(t, s, callTo("x", to))
	if diff := cmp.Diff([]string{"Send", "Bounce Permanent General"}, types(collect(t, s))); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyChosenEvents(t *testing.T) {
	s := open(t, t.TempDir(), mailbox.Options{Events: []string{"Bounce", "Rendering Failure"}})
	take(t, s, callTo("x", "ana@example.com", "bounce@simulator.example", "complaint@simulator.example"))
	if diff := cmp.Diff([]string{"Bounce Permanent General"}, types(collect(t, s))); diff != "" {
		t.Error(diff)
	}
	none := open(t, t.TempDir(), mailbox.Options{Events: []string{}})
	take(t, none, callTo("x", "bounce@simulator.example"))
	if got := collect(t, none); len(got) != 0 {
		t.Errorf("%v", types(got))
	}
	if _, err := mailbox.Open(t.TempDir(), mailbox.Options{Events: []string{"RenderingFailure"}}); err == nil {
		t.Error("an unknown type was accepted")
	}
}

// Whatever fails, every event is handled at least once, and what was handled
// before a restart does not come again after it.
func TestEventsAtLeastOnce(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, mailbox.Options{})
	const calls = 60 // of 50 mails: more than one batch of events
	for i := range calls {
		take(t, s, callTo(fmt.Sprintf("c%d", i), many(50)...))
	}
	seen := map[string]int{}
	note := func(batch [][]byte) {
		for _, raw := range batch {
			e := decode(t, raw)
			seen[e.EventType+" "+e.Mail.Tags["entry"][0]]++
		}
	}
	// The first batch is handled, the second only half, the third fails.
	var mu sync.Mutex
	handled, done := 0, make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(done)
		_ = s.Publish(ctx, func(_ context.Context, batch [][]byte) error {
			mu.Lock()
			defer mu.Unlock()
			handled++
			switch handled {
			case 1:
				note(batch)
				return nil
			case 2:
				note(batch[:len(batch)/2])
				return errors.New("half of it")
			case 3:
				return errors.New("no")
			}
			cancel() // the process ends while this is handled
			return nil
		})
	}()
	<-done
	first := len(seen)
	if left := s.Unpublished(); left >= calls*50 || left == 0 {
		t.Fatalf("%d mails are unpublished", left)
	}
	shut(t, s)
	s = open(t, dir, mailbox.Options{})
	publish(t, s, func(_ context.Context, batch [][]byte) error { note(batch); return nil })
	if len(seen) != calls*50*2 {
		t.Errorf("%d different events, want %d", len(seen), calls*50*2)
	}
	twice := 0
	for _, n := range seen {
		if n > 1 {
			twice++
		}
	}
	if twice == 0 || twice > first {
		t.Errorf("%d events came twice; %d were handled before the end", twice, first)
	}
	clear(seen)
	shut(t, s)
	s = open(t, dir, mailbox.Options{})
	publish(t, s, func(_ context.Context, batch [][]byte) error { note(batch); return nil })
	if len(seen) != 0 {
		t.Errorf("%d events came after all were handled", len(seen))
	}
}

func TestEventsFollowWhilePublishing(t *testing.T) {
	s := open(t, t.TempDir(), mailbox.Options{})
	events := make(chan string)
	done := make(chan error)
	go func() {
		done <- s.Publish(t.Context(), func(_ context.Context, batch [][]byte) error {
			for _, raw := range batch {
				events <- decode(t, raw).EventType
			}
			return nil
		})
	}()
	for range 3 {
		take(t, s, callTo("x", "ana@example.com"))
		if a, b := <-events, <-events; a != "Send" || b != "Delivery" {
			t.Errorf("%s, %s", a, b)
		}
	}
	waitFor(t, func() bool { return s.Unpublished() == 0 })
	shut(t, s)
	if err := <-done; err != nil {
		t.Errorf("Publish after Close: %v", err)
	}
	if r := s.Send(t.Context(), callTo("x", "ana@example.com"))[0]; r.Fault != mailing.Transient {
		t.Errorf("after Close: %+v", r)
	}
}

func TestLateTwiceAndShuffledEvents(t *testing.T) {
	c := newClock()
	s := open(t, t.TempDir(), mailbox.Options{Now: c.Now, Faults: mailbox.Faults{Late: 30 * time.Millisecond, Twice: 1, Shuffle: true, Seed: 3}})
	take(t, s, callTo("x", many(50)...))
	var mu sync.Mutex
	var all []string
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_ = s.Publish(ctx, func(_ context.Context, batch [][]byte) error {
			mu.Lock()
			defer mu.Unlock()
			for _, raw := range batch {
				e := decode(t, raw)
				all = append(all, e.EventType+" "+e.Mail.Tags["entry"][0])
			}
			return nil
		})
	}()
	time.Sleep(60 * time.Millisecond)
	mu.Lock()
	if len(all) != 0 {
		t.Errorf("%d events came before their time", len(all))
	}
	mu.Unlock()
	c.pass(time.Second)
	waitFor(t, func() bool { return s.Unpublished() == 0 })
	mu.Lock()
	defer mu.Unlock()
	count := map[string]int{}
	for _, e := range all {
		count[e]++
	}
	if len(count) != 100 || len(all) != 200 {
		t.Errorf("%d events, %d different", len(all), len(count))
	}
	if all[0] == "Send m_x_1_0_0_0" && all[1] == all[0] && all[2] == "Delivery m_x_1_0_0_0" {
		t.Error("the events are in order")
	}
}
