package mailing

import (
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/organization"
)

// Add and Sub change a tally in place.
func (t Tally) Add(other Tally) {
	for k, n := range other {
		t[k] += n
	}
}

// Sub is the reverse of Add.
func (t Tally) Sub(other Tally) {
	for k, n := range other {
		t[k] -= n
	}
}

// Total is how many profiles are counted.
func (t Tally) Total() (n int) {
	for _, k := range t {
		n += k
	}
	return n
}

// Sum adds several tallies up.
func Sum(lanes []*Lane) Tally {
	t := Tally{}
	for _, l := range lanes {
		t.Add(l.Tally)
	}
	return t
}

// Tally counts the outcomes of a batch.
func (b *Batch) Tally() Tally {
	t := Tally{}
	b.each(func(r *Recipient) { t[r.Known()]++ })
	return t
}

// Known is the outcome by its name.
func (r *Recipient) Known() Outcome {
	if r.Outcome == "" {
		return Pending
	}
	return r.Outcome
}

// open says that nothing has become of it yet.
func (r *Recipient) open() bool { return r.Known() == Pending }

// doubt marks what is open as uncertain: a call may take it, or took it.
func (e *Entry) doubt() {
	for k := range e.Recipients {
		if r := &e.Recipients[k]; r.open() {
			r.Outcome = Uncertain
		}
	}
}

// revise lets fn change outcomes, brings the state in line, and returns how
// the tally changes.
func (b *Batch) revise(fn func()) Tally {
	before := b.Tally()
	fn()
	b.State = settledState(b)
	return b.since(before)
}

// since is how the tally has changed.
func (b *Batch) since(before Tally) Tally {
	change := b.Tally()
	change.Sub(before)
	return change
}

// same says whether nothing that sending depends on has changed between two
// readings of a batch.
func (b *Batch) same(o *Batch) bool {
	return b.State == o.State && b.Fence == o.Fence && b.At.Equal(o.At) && slices.EqualFunc(b.Entries, o.Entries, func(x, y Entry) bool {
		return x.sameAttempt(&y) && slices.Equal(x.Recipients, y.Recipients)
	})
}

func (b *Batch) each(fn func(*Recipient)) {
	for i := range b.Entries {
		for k := range b.Entries[i].Recipients {
			fn(&b.Entries[i].Recipients[k])
		}
	}
}

// clone copies what preparing and settling change.
func (b *Batch) clone() *Batch {
	c := *b
	c.Entries = slices.Clone(b.Entries)
	for i := range c.Entries {
		c.Entries[i].Recipients = slices.Clone(c.Entries[i].Recipients)
	}
	if b.Single != nil {
		single := *b.Single
		c.Single = &single
	}
	return &c
}

// rank orders outcomes: an event never takes back what a later one told.
// Events come in any order and more than once.
var rank = map[Outcome]int{"": 0, Pending: 0, Uncertain: 0, Sent: 1, Failed: 2, Delivered: 3, Bounced: 4, Complained: 5}

// Names of the tags that go with every mail and come back with its events.
const (
	TagEntry        = "entry" // see [Tag]
	TagOrganization = "organization"
)

// Tag names an entry for the mail service; its events come back with it. It is
// made of letters, digits, hyphens and underscores alone.
func Tag(b *Batch, entry int) string {
	if b.Mailing == "" {
		return "s_" + b.ID + "_" + strconv.Itoa(entry)
	}
	tag := append(make([]byte, 0, 64), "m_"+b.Mailing...)
	for _, n := range [...]int{b.Generation, b.Lane, b.Index, entry} {
		tag = strconv.AppendInt(append(tag, '_'), int64(n), 10)
	}
	return string(tag)
}

// ParseTag reads a Tag; the organization travels beside it.
func ParseTag(organization, tag string) (name Batch, entry int, ok bool) {
	p := strings.Split(tag, "_")
	name.Organization = organization
	var numbers []int
	switch {
	case p[0] == "s" && len(p) == 3:
		name.ID, p = p[1], p[2:]
	case p[0] == "m" && len(p) == 6:
		name.Mailing, p = p[1], p[2:]
	default:
		return name, 0, false
	}
	for _, s := range p {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return name, 0, false
		}
		numbers = append(numbers, n)
	}
	if name.Mailing != "" {
		name.Generation, name.Lane, name.Index = numbers[0], numbers[1], numbers[2]
	}
	return name, numbers[len(numbers)-1], true
}

// sender formats the From header; names in any script are encoded (RFC 2047).
func sender(s *organization.Settings) string {
	return (&mail.Address{Name: s.SenderName, Address: s.SenderAddress}).String()
}

// nextLook is when the sweep should look at a mailing itself.
func (t Timing) nextLook(m *Mailing, now time.Time) time.Time {
	switch {
	case m.Freeze != nil && !m.Freeze.Ready:
		return now.Add(t.Again)
	case m.State == Scheduled:
		return m.SendAt
	case m.State == Sending, m.State == WaitingQuota, m.State == Cancelled && m.DoneAt.IsZero() && m.Freeze != nil:
		return now.Add(look)
	}
	return time.Time{}
}

// look is how often the sweep looks whether a mailing is done.
const look = time.Second
