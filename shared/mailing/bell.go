package mailing

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// ErrBell is a queue message that is no bell of ours. It can never be worked,
// so it belongs on the dead letter queue, where somebody sees it.
var ErrBell = errors.New("mailing: a queue message that is no bell")

// ParseBell reads a queue message strictly: what is unknown may ask for
// something that this program would not do.
func ParseBell(message string) (Bell, error) {
	var b Bell
	d := json.NewDecoder(bytes.NewBufferString(message))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		return Bell{}, ErrBell // its text might repeat the message
	}
	if _, err := d.Token(); err != io.EOF || b.V != 1 || b.Organization == "" || !b.named() {
		return Bell{}, ErrBell
	}
	return b, nil
}

// named says whether a bell names what its kind needs.
func (b Bell) named() bool {
	switch b.Kind {
	case RingLane, RingBatch:
		return b.Mailing != "" && b.Generation > 0 && b.Lane >= 0 && b.Index >= 0
	case RingFreeze:
		return b.Mailing != ""
	case RingSingle, RingRequest:
		return b.ID != ""
	}
	return false
}

// Message is the bell as a queue carries it; ParseBell reads it.
func (b Bell) Message() (string, error) {
	b.V = 1
	text, err := json.Marshal(b)
	return string(text), err
}

// Queue is one of the queues that carry bells.
type Queue string

const (
	// FanoutQueue leads to fanout: freezes and forgot-login requests.
	FanoutQueue Queue = "fanout"
	// SingleQueue leads to delivery: mails that somebody waits for.
	SingleQueue Queue = "single"
	// BulkQueue leads to delivery: lanes, and single mails that nobody waits for.
	BulkQueue Queue = "bulk"
)

// Queue is where the bell belongs: single mails never stand behind a mailing
// (H17).
func (b Bell) Queue() Queue {
	switch {
	case b.Kind == RingFreeze || b.Kind == RingRequest:
		return FanoutQueue
	case b.Kind == RingSingle && !b.Behind:
		return SingleQueue
	}
	return BulkQueue
}
