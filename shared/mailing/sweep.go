package mailing

import (
	"context"
	"log/slog"
	"time"
)

// Missed is how late a schedule may be before staff are asked again: a system
// that was down for long must not surprise anybody with an old mailing.
const Missed = 12 * time.Hour

// Sweep rings again for whatever was announced and not worked, lets parked
// mailings go on, starts scheduled ones, and marks them done.
type Sweep struct {
	Store    Store
	Accounts Accounts
	Bells    Bells
	Now      func() time.Time
	Timing
	// Count is told each sweep's figures, which an alarm may watch; it may be nil.
	Count func(name string, n int)
	Log   *slog.Logger
}

// UncertainEntries is how many people's mail may or may not have gone: in the
// mailings being sent, and in single mails whose grace is over. Some are, for a
// while, after a crash; many, or for long, need somebody to look.
const UncertainEntries = "UncertainEntries"

// swept is what one sweep came across.
type swept struct {
	behind    int // bells rung for mails that nobody waits for
	uncertain int
}

// Run is one sweep.
func (s *Sweep) Run(ctx context.Context) error {
	if account, err := s.Accounts.Account(ctx); err != nil {
		s.Log.WarnContext(ctx, "account not read", "error", err)
	} else if err := s.pace(ctx, account); err != nil {
		return err
	}
	const page = 200
	var seen swept
	for range 20 {
		due, err := s.Store.Due(ctx, s.Now(), page)
		if err != nil {
			return err
		}
		for _, bell := range due {
			if err := s.attend(ctx, bell, &seen); err != nil {
				s.Log.WarnContext(ctx, "due thing not attended to", "kind", bell.Kind, "mailing", bell.Mailing, "error", err)
			}
		}
		if len(due) < page {
			break
		}
	}
	if s.Count != nil {
		s.Count(UncertainEntries, seen.uncertain)
	}
	return nil
}

func (s *Sweep) pace(ctx context.Context, account Account) error {
	kept, err := s.Store.Pace(ctx)
	if err != nil {
		return err
	}
	if now := s.Now(); *kept == *kept.with(account, now) && now.Sub(kept.ReadAt) < time.Minute {
		return nil // nothing to tell the senders
	}
	return s.Store.Update(ctx, func(tx Tx) error {
		p, err := tx.Pace()
		if err != nil {
			return err
		}
		p.Read(account, s.Now())
		tx.PutPace(p)
		return nil
	})
}

// with is the pace after reading an account, but for when it was read.
func (p Pace) with(a Account, now time.Time) *Pace {
	at := p.ReadAt
	p.Read(a, now)
	p.ReadAt = at
	return &p
}

// maxBehind is how many of the mails that nobody waits for one sweep rings;
// thousands at once would only stand before the mailings in their queue.
const maxBehind = 500

func (s *Sweep) attend(ctx context.Context, bell Bell, seen *swept) error {
	switch bell.Kind {
	case RingFreeze:
		return s.attendMailing(ctx, bell, seen)
	case RingSingle:
		b, err := s.Store.Batch(ctx, Batch{Organization: bell.Organization, ID: bell.ID})
		if b == nil || err != nil {
			return err
		}
		bell, seen.uncertain = b.Bell(), seen.uncertain+b.Tally()[Uncertain]
	}
	// First postpone, then ring: a bell too many does no harm, a forgotten one does.
	if err := s.Store.Update(ctx, func(tx Tx) error { return tx.Postpone(bell, s.Now().Add(s.Again)) }); err != nil {
		return err
	}
	if bell.Behind {
		if seen.behind++; seen.behind > maxBehind {
			return nil // its turn comes
		}
	}
	return s.Bells.Ring(ctx, bell)
}

// attendMailing looks at a mailing itself.
func (s *Sweep) attendMailing(ctx context.Context, bell Bell, all *swept) error {
	m, err := s.Store.Mailing(ctx, bell.Organization, bell.Mailing)
	if err != nil {
		return ignoreMissing(err)
	}
	seen, generation := m.Version, m.Generation
	lanes, err := s.Store.Lanes(ctx, m.Organization, m.ID, generation)
	if err != nil {
		return err
	}
	all.uncertain += Sum(lanes)[Uncertain]
	pace, err := s.Store.Pace(ctx)
	if err != nil {
		return err
	}
	settings, err := s.Store.Organization(ctx, m.Organization)
	if err != nil {
		return err
	}
	content, err := s.content(ctx, m)
	if err != nil {
		return err
	}
	var ring []Bell
	err = s.Store.Update(ctx, func(tx Tx) error {
		ring = nil
		m, err := tx.Mailing(bell.Organization, bell.Mailing)
		if err != nil {
			return err
		}
		now := s.Now().UTC().Truncate(time.Millisecond)
		switch {
		case m.Freeze != nil && !m.Freeze.Ready:
			ring = append(ring, freezeBell(m))
		case m.State == Scheduled && now.After(m.SendAt.Add(Missed)):
			m.State, m.PauseReason = Draft, "schedule_missed"
			m.SendAt = time.Time{}
		case m.State == Scheduled && !now.Before(m.SendAt) && (m.Freeze == nil || m.Freeze.At.Before(m.SendAt)):
			if m.Version != seen || content.Compiled == nil {
				break // edited this moment: the next sweep reads it anew
			}
			s.begin(tx, m, content, settings, pace, now)
			ring = append(ring, freezeBell(m))
			return nil
		case m.State == Scheduled && !now.Before(m.SendAt):
			ring, err = s.start(tx, m, now)
			return err
		case m.State == WaitingQuota && m.Generation == generation && pace.ReadAt.After(m.UpdatedAt) && pace.Enabled && pace.room(m.Freeze.PerBatch):
			m.State, m.PauseReason = Sending, ""
			ring, err = s.wake(tx, m, now)
			if err != nil {
				return err
			}
		case m.State == Sending || m.State == Cancelled:
			done := finished(lanes, m.Generation)
			if done {
				// Read again, so that it is true at the moment it is written.
				if done, err = s.finished(tx, m); err != nil {
					return err
				}
			}
			if done {
				if m.State == Sending {
					m.State = Done
				}
				m.DoneAt = now
			}
		}
		tx.PutMailing(m, s.nextLook(m, now))
		return nil
	})
	if err != nil {
		return err
	}
	return s.ring(ctx, ring)
}

func (s *Sweep) content(ctx context.Context, m *Mailing) (*Content, error) {
	if m.State != Scheduled {
		return nil, nil
	}
	return s.Store.Content(ctx, m.Organization, m.ID)
}

func (s *Sweep) ring(ctx context.Context, bells []Bell) error {
	if len(bells) == 0 {
		return nil
	}
	return s.Bells.Ring(ctx, bells...)
}

func (s *Sweep) finished(tx Tx, m *Mailing) (bool, error) {
	lanes := make([]*Lane, m.Freeze.Lanes)
	for n := range lanes {
		l, err := tx.Lane(m.Organization, m.ID, m.Generation, n)
		if l == nil || err != nil {
			return false, err
		}
		lanes[n] = l
	}
	return finished(lanes, m.Generation), nil
}

// finished says that every lane has ended and nothing is pending or uncertain.
func finished(lanes []*Lane, generation int) bool {
	if len(lanes) == 0 {
		return false
	}
	for _, l := range lanes {
		if !l.Finished || l.Generation != generation || l.Tally[Pending] != 0 || l.Tally[Uncertain] != 0 {
			return false
		}
	}
	return true
}

// start flips a frozen mailing to sending. The caller rings the bells once it
// is stored; if that fails, the sweep does.
func (t Timing) start(tx Tx, m *Mailing, now time.Time) ([]Bell, error) {
	m.State, m.SentAt, m.PauseReason, m.UpdatedAt = Sending, now, "", now
	tx.PutMailing(m, t.nextLook(m, now))
	return t.wake(tx, m, now)
}

// wake puts the lanes that are not finished on the sweep's list and names them.
func (t Timing) wake(tx Tx, m *Mailing, now time.Time) (bells []Bell, err error) {
	for n := range m.Freeze.Lanes {
		l, err := tx.Lane(m.Organization, m.ID, m.Generation, n)
		if err != nil {
			return nil, err
		}
		if l == nil || l.Finished {
			continue
		}
		tx.PutLane(l, now.Add(t.Again))
		bells = append(bells, laneBell(l))
	}
	return bells, nil
}

func laneBell(l *Lane) Bell {
	return Bell{V: 1, Kind: RingLane, Organization: l.Organization, Mailing: l.Mailing, Generation: l.Generation, Lane: l.Number}
}

func freezeBell(m *Mailing) Bell {
	return Bell{V: 1, Kind: RingFreeze, Organization: m.Organization, Mailing: m.ID, Generation: m.Generation}
}
