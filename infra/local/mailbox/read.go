package mailbox

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Mail is one mail as it was taken.
type Mail struct {
	ID           string // the message id of its receipt
	At           time.Time
	Organization string
	Mailing      string // "" for single mails
	Tag          string
	From         string
	ReplyTo      string
	To           string
	Subject      string
	HTML         string
	Text         string
	// Outcome is delivered, bounced, bounced_for_now, complained, suppressed,
	// delayed (and then delivered), rejected or not_rendered.
	Outcome string
	Lost    bool // its content did not outlast a stop of the machine
}

// Filter chooses mails. Its zero value is the newest hundred.
type Filter struct {
	To      string // the whole address, in any case of letters
	Search  string // a part of the address, in any case of letters
	Mailing string
	Single  bool   // only mails of no mailing
	Before  string // id of a mail: only older ones
	Limit   int    // 0 is 100; at most 1,000
}

const (
	usualLimit = 100
	maxLimit   = 1000
)

// Mails are the mails that match, newest first, of those that are kept. A
// Before that is no id of this folder matches nothing.
func (s *Service) Mails(f Filter) ([]Mail, error) {
	if f.Limit <= 0 {
		f.Limit = usualLimit
	}
	f.Limit = min(f.Limit, maxLimit)
	search := strings.ToLower(f.Search)
	s.mu.Lock()
	before := s.next
	v, shelf, release := s.shelfLocked()
	s.mu.Unlock()
	defer release()
	if f.Before != "" {
		n, ok := s.parseID(f.Before)
		if !ok {
			return nil, nil
		}
		before = min(before, n)
	}
	oldest := shelf.first(before)
	var mails []Mail
	err := v.backward(before, func(r *record) bool {
		if r.first < oldest {
			return false // calls are never divided between chunks
		}
		if f.Mailing != "" && r.mailing != f.Mailing || f.Single && r.mailing != "" {
			return true
		}
		offset := r.offset
		for i := range r.entries {
			offset += int64(r.entries[i].size)
		}
		for i, e := range slices.Backward(r.entries) {
			offset -= int64(e.size)
			if r.first+uint64(i) >= before || f.To != "" && !strings.EqualFold(e.to, f.To) ||
				search != "" && !strings.Contains(strings.ToLower(e.to), search) {
				continue
			}
			mails = append(mails, s.mail(r, i, offset, shelf))
			if len(mails) == f.Limit {
				return false
			}
		}
		return true
	})
	return mails, err
}

// Mail is the one with this id; false means that it is not or no longer kept.
func (s *Service) Mail(id string) (mail Mail, found bool, err error) {
	number, ok := s.parseID(id)
	if !ok {
		return Mail{}, false, nil
	}
	s.mu.Lock()
	v, shelf, release := s.shelfLocked()
	s.mu.Unlock()
	defer release()
	if number < shelf.first(number+1) {
		return Mail{}, false, nil
	}
	err = v.forward(number, func(r *record) bool {
		offset := r.offset
		for i := range r.entries {
			if r.first+uint64(i) == number {
				mail, found = s.mail(r, i, offset, shelf), true
			}
			offset += int64(r.entries[i].size)
		}
		return false
	})
	return mail, found, err
}

func (s *Service) mail(r *record, i int, offset int64, shelf shelf) Mail {
	e := &r.entries[i]
	m := Mail{
		ID: string(s.appendID(nil, r.first+uint64(i))), At: r.at, Organization: r.organization, Mailing: r.mailing,
		From: r.from, ReplyTo: r.replyTo, To: e.to, Tag: e.tag, Outcome: e.fate.String(),
	}
	data, ok := shelf.read(r.chunk, offset, e)
	m.Lost = !ok
	if ok && e.fate != notRendered {
		var c content
		m.Lost = json.Unmarshal(data, &c) != nil
		m.Subject, m.HTML, m.Text = string(c.Subject), string(c.HTML), string(c.Text)
	}
	return m
}

// Copy names what one recipient of a mailing gets.
type Copy struct {
	Organization string
	Tag          string // of the entry; every attempt at it has the same
	To           string
}

// Copies counts how many times each entry of a mailing ("" for single mails)
// was taken, over all that the ledger has; more than once is a second copy.
// Mails that SES made none of are not counted.
func (s *Service) Copies(mailing string) (map[Copy]int, error) {
	s.mu.Lock()
	v, release := s.viewLocked()
	s.mu.Unlock()
	defer release()
	copies := map[Copy]int{}
	err := v.forward(0, func(r *record) bool {
		if r.mailing != mailing {
			return true
		}
		organization := strings.Clone(r.organization) // not the whole record
		for i := range r.entries {
			if e := &r.entries[i]; e.fate != notRendered {
				copies[Copy{organization, strings.Clone(e.tag), strings.Clone(e.to)}]++
			}
		}
		return true
	})
	return copies, err
}

// viewLocked is the ledger now; its files stay until release.
func (s *Service) viewLocked() (v view, release func()) {
	s.reading.RLock()
	if s.failed == nil {
		v = s.ledger.view()
	}
	return v, s.reading.RUnlock
}

// shelfLocked is the ledger and the bodies now.
func (s *Service) shelfLocked() (view, shelf, func()) {
	v, release := s.viewLocked()
	if v == nil {
		return nil, nil, release
	}
	return v, slices.Clone(shelf(s.bodies.chunks)), release
}

// Kept is how many mails there are to look at.
func (s *Service) Kept() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies.mails
}

// Mailing is one of the mailings that mails came of.
type Mailing struct {
	Organization string
	ID           string
	Mails        int // taken since the ledger's start, second copies included
	At           time.Time
}

// recent are the mailings that mails came of last, the last first.
type recent []Mailing

const maxRecent = 50

func (r *recent) add(organization, mailing string, mails int, at time.Time) {
	if mailing == "" {
		return
	}
	i := slices.IndexFunc(*r, func(m Mailing) bool { return m.ID == mailing && m.Organization == organization })
	if i < 0 {
		i = len(*r)
		*r = append(*r, Mailing{Organization: strings.Clone(organization), ID: strings.Clone(mailing)})
	}
	m := (*r)[i]
	m.Mails, m.At = m.Mails+mails, at
	copy((*r)[1:i+1], (*r)[:i])
	(*r)[0] = m
	*r = (*r)[:min(len(*r), maxRecent)]
}

// Mailings are the last mailings that mails came of, the last first.
func (s *Service) Mailings() []Mailing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mailings)
}
