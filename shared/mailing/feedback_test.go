package mailing_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/profile"
)

// TestEventsInAnyOrder: an outcome only ever rises, whatever comes when (mail.md 2.4).
func TestEventsInAnyOrder(t *testing.T) {
	event := func(kind mailing.EventType) mailing.Event { return mailing.Event{Type: kind} }
	hard, soft := mailing.Event{Type: mailing.EventBounced, Permanent: true}, event(mailing.EventBounced)
	listed := mailing.Event{Type: mailing.EventBounced, OnList: true}
	for name, test := range map[string]struct {
		events []mailing.Event
		want   string
		mark   string
	}{
		"accepted, delivered":       {[]mailing.Event{event(mailing.EventAccepted), event(mailing.EventDelivered)}, "delivered ", ""},
		"delivered, then accepted":  {[]mailing.Event{event(mailing.EventDelivered), event(mailing.EventAccepted), event(mailing.EventDelayed)}, "delivered ", ""},
		"bounced for good":          {[]mailing.Event{hard, event(mailing.EventDelivered), hard}, "bounced bounced", "bounced"},
		"bounced softly":            {[]mailing.Event{soft}, "bounced bounced_for_now", ""},
		"on the list":               {[]mailing.Event{listed}, "bounced suppressed", "suppressed"},
		"complained after delivery": {[]mailing.Event{event(mailing.EventComplaint), event(mailing.EventDelivered)}, "complained complained", "complained"},
		"rejected":                  {[]mailing.Event{event(mailing.EventRejected)}, "failed rejected", ""},
		"not rendered":              {[]mailing.Event{event(mailing.EventUnmade)}, "failed not_rendered", ""},
		"opened by a scanner":       {[]mailing.Event{event("open")}, "sent ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, together := range []bool{false, true} {
				w := newWorld(t, 1)
				w.office.silent = true
				w.put(person("1", "a@example.org"))
				id := w.send(profile.Filter{})
				w.drain()
				for i := range test.events {
					test.events[i].Organization, test.events[i].Tag = org, w.office.sent[0].Tag
				}
				if together {
					if err := errors.Join(w.feedback.RecordAll(context.Background(), test.events)...); err != nil {
						t.Fatal(err)
					}
				} else {
					for _, e := range test.events {
						if err := w.record(e); err != nil {
							t.Fatal(err)
						}
					}
				}
				o, reason := w.outcome(id, "1")
				if got := string(o) + " " + reason; got != test.want {
					t.Errorf("together %v: %s, want %s", together, got, test.want)
				}
				p := w.profile("1")
				if got := p.Undeliverable; (got == nil) != (test.mark == "") || got != nil && got.Reason != test.mark {
					t.Errorf("marked %+v, want %q", got, test.mark)
				}
				if p.Version != 0 || p.CredentialVersion != 0 {
					t.Error("an event moved a version (H3)")
				}
				w.check(id)
			}
		})
	}
}

// TestEveryOrderOfEvents: the same events end in the same outcome, reason and
// mark in each of their orders, each told twice.
func TestEveryOrderOfEvents(t *testing.T) {
	event := func(kind mailing.EventType) mailing.Event { return mailing.Event{Type: kind} }
	hard, soft := mailing.Event{Type: mailing.EventBounced, Permanent: true}, event(mailing.EventBounced)
	listed := mailing.Event{Type: mailing.EventBounced, OnList: true}
	for name, test := range map[string]struct {
		events [3]mailing.Event
		want   string
		mark   string
	}{
		"delayed, accepted, delivered":    {[3]mailing.Event{event(mailing.EventDelayed), event(mailing.EventAccepted), event(mailing.EventDelivered)}, "delivered ", ""},
		"accepted and bounced twice":      {[3]mailing.Event{event(mailing.EventAccepted), soft, hard}, "bounced bounced", "bounced"},
		"bounced in three ways":           {[3]mailing.Event{soft, hard, listed}, "bounced suppressed", "suppressed"},
		"delivered, complained, bounced":  {[3]mailing.Event{event(mailing.EventDelivered), event(mailing.EventComplaint), hard}, "complained complained", "complained"},
		"accepted, not rendered, delayed": {[3]mailing.Event{event(mailing.EventAccepted), event(mailing.EventUnmade), event(mailing.EventDelayed)}, "failed not_rendered", ""},
	} {
		for _, order := range [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
			w := newWorld(t, 1)
			w.office.silent = true
			w.put(person("1", "a@example.org"))
			id := w.send(profile.Filter{})
			w.drain()
			for range 2 {
				for _, i := range order {
					e := test.events[i]
					e.Organization, e.Tag = org, w.office.sent[0].Tag
					if err := w.record(e); err != nil {
						t.Fatal(err)
					}
				}
			}
			o, reason := w.outcome(id, "1")
			if got := string(o) + " " + reason; got != test.want {
				t.Errorf("%s, in the order %v: %s, want %s", name, order, got, test.want)
			}
			if got := w.profile("1").Undeliverable; (got == nil) != (test.mark == "") || got != nil && got.Reason != test.mark {
				t.Errorf("%s, in the order %v: marked %+v, want %q", name, order, got, test.mark)
			}
			w.check(id)
		}
	}
}

// TestEventsOfNobody change nothing and are no error: tags that somebody made
// up, entries that are not there, other organizations.
func TestEventsOfNobody(t *testing.T) {
	w := newWorld(t, 1)
	w.office.silent = true
	w.put(person("1", "a@example.org"))
	id := w.send(profile.Filter{})
	w.drain()
	tag := w.office.sent[0].Tag
	commits := w.db.commits
	for _, e := range []mailing.Event{
		{Organization: org, Tag: "", Type: mailing.EventDelivered},
		{Organization: org, Tag: "m_" + id + "_1_0_0_99", Type: mailing.EventDelivered},
		{Organization: org, Tag: "m_" + id + "_7_0_0_0", Type: mailing.EventDelivered},
		{Organization: org, Tag: "s_nothing_0", Type: mailing.EventDelivered},
		{Organization: org, Tag: "m_" + id + "_1_-1_0_0", Type: mailing.EventDelivered},
		{Organization: "lake", Tag: tag, Type: mailing.EventBounced, Permanent: true},
	} {
		if err := w.record(e); err != nil {
			t.Errorf("%s: %v", e.Tag, err)
		}
	}
	if w.db.commits != commits {
		t.Error("something was written")
	}
}

// TestMarkIsOfTheAddress: who has another address by the time of the bounce is
// not marked (H19).
func TestMarkIsOfTheAddress(t *testing.T) {
	w := newWorld(t, 1)
	w.office.silent = true
	w.put(person("1", "a@example.org"))
	w.send(profile.Filter{})
	w.drain()
	w.edit("1", func(p *profile.Profile) { p.Email = "better@example.org" })
	e := mailing.Event{Organization: org, Tag: w.office.sent[0].Tag, Type: mailing.EventBounced, Permanent: true}
	if err := w.record(e); err != nil {
		t.Fatal(err)
	}
	if p := w.profile("1"); p.Undeliverable != nil {
		t.Error("the new address was marked for the old one's bounce")
	}
}

func TestBells(t *testing.T) {
	for _, b := range []mailing.Bell{
		{V: 1, Kind: mailing.RingLane, Organization: org, Mailing: "m", Generation: 1, Lane: 3},
		{V: 1, Kind: mailing.RingBatch, Organization: org, Mailing: "m", Generation: 1, Lane: 3, Index: 7},
		{V: 1, Kind: mailing.RingFreeze, Organization: org, Mailing: "m", Generation: 2},
		{V: 1, Kind: mailing.RingSingle, Organization: org, ID: "x"},
		{V: 1, Kind: mailing.RingSingle, Organization: org, ID: "x", Behind: true},
		{V: 1, Kind: mailing.RingRequest, Organization: org, ID: "x"},
	} {
		message, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := mailing.ParseBell(string(message))
		if err != nil || got != b {
			t.Errorf("%s became %+v, %v", message, got, err)
		}
	}
	for _, bad := range []string{
		"", "null", "[]", "{}", `{"v":2,"kind":"single","organization":"o","id":"x"}`, `{"v":1,"kind":"single","organization":"o"}`,
		`{"v":1,"kind":"single","organization":"","id":"x"}`, `{"v":1,"kind":"party","organization":"o","id":"x"}`,
		`{"v":1,"kind":"single","organization":"o","id":"x","address":"a@example.org"}`,
		`{"v":1,"kind":"lane","organization":"o","mailing":"m"}`, `{"v":1,"kind":"lane","organization":"o","mailing":"m","generation":1,"lane":-1}`,
		`{"v":1,"kind":"single","organization":"o","id":"x"} {}`,
	} {
		if b, err := mailing.ParseBell(bad); !errors.Is(err, mailing.ErrBell) {
			t.Errorf("%s: %+v, %v", bad, b, err)
		}
	}
}

func FuzzParseTag(f *testing.F) {
	f.Add("m_0123_1_2_3_4")
	f.Add("s_0123_0")
	f.Fuzz(func(t *testing.T, tag string) {
		name, entry, ok := mailing.ParseTag(org, tag)
		if !ok {
			return
		}
		again, n, ok := mailing.ParseTag(org, mailing.Tag(&name, entry))
		if !ok || n != entry || !cmp.Equal(again, name) {
			t.Errorf("%q: %+v became %+v", tag, name, again)
		}
	})
}

// TestStaleBells: bells of a discarded freeze, of another's batch or of what is
// finished do nothing.
func TestStaleBells(t *testing.T) {
	w := newWorld(t, 1)
	w.put(person("1", "a@example.org"))
	id := w.send(profile.Filter{})
	bell := w.queue[0]
	for _, b := range []mailing.Bell{
		{V: 1, Kind: mailing.RingLane, Organization: org, Mailing: id, Generation: 9},
		{V: 1, Kind: mailing.RingLane, Organization: org, Mailing: "gone", Generation: 1},
		{V: 1, Kind: mailing.RingLane, Organization: "lake", Mailing: id, Generation: 1},
		{V: 1, Kind: mailing.RingLane, Organization: org, Mailing: id, Generation: 1, Lane: 77},
		{V: 1, Kind: mailing.RingBatch, Organization: org, Mailing: id, Generation: 1}, // its lane's, and not begun
		{V: 1, Kind: mailing.RingBatch, Organization: org, Mailing: id, Generation: 1, Lane: 3, Index: 8},
		{V: 1, Kind: mailing.RingSingle, Organization: org, ID: "gone"},
		{V: 1, Kind: mailing.RingRequest, Organization: org, ID: "gone"},
		{V: 1, Kind: mailing.RingFreeze, Organization: org, Mailing: id, Generation: 1},
		{V: 1, Kind: mailing.RingFreeze, Organization: org, Mailing: "gone", Generation: 1},
	} {
		if err := w.work(b); err != nil {
			t.Errorf("%+v: %v", b, err)
		}
	}
	if w.office.calls != 0 {
		t.Fatal("a stale bell sent something")
	}
	w.drain()
	for range 3 {
		if err := w.work(bell); err != nil {
			t.Error(err)
		}
	}
	w.clock = w.clock.Add(time.Hour)
	w.settle(id)
	if len(w.office.sent) != 1 {
		t.Errorf("%d mails", len(w.office.sent))
	}
}
