package mailing

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
)

const (
	walkPage    = 1000   // profiles read at once
	walkBatches = 64     // batches written in one transaction
	walkFar     = 20_000 // profiles walked before a step is written, full batches or not
	// walkSkips bounds a stretch, which lists whom it skipped, well below the
	// 400 kB of an item.
	walkSkips = 3000
)

// Freezing writes the audience of a mailing down: profiles are walked in order
// of mailbox, so that people who share one stand together, and become entries
// of batches, or are skipped with the reason. Each step is one transaction
// with the cursor in it, so it may stop anywhere and go on.
type Freezing struct {
	Store Store
	Bells Bells
	Now   func() time.Time
	Rand  io.Reader
	Timing
	Log *slog.Logger
}

// begin starts a freeze: what was frozen before is never looked at again.
func (t Timing) begin(tx Tx, m *Mailing, c *Content, s *organization.Settings, p *Pace, now time.Time) {
	m.Generation++
	about := Association(s)
	m.Freeze = &Freeze{
		Generation: m.Generation, Skipped: map[string]int{}, At: now,
		Lanes: p.Lanes(), PerBatch: p.PerBatch(c.Compiled.MaxEncoded(&about, 1)),
		HasLogin: c.Compiled.CarriesLink(), WithoutPassword: withoutPassword(m.Audience),
	}
	m.Freeze.PerLane = make([]int, m.Freeze.Lanes)
	tx.PutFrozen(m.Organization, m.ID, m.Generation, &Content{Compiled: c.Compiled})
	tx.PutMailing(m, t.nextLook(m, now))
}

// withoutPassword says whether an audience is made of those without a password.
func withoutPassword(f profile.Filter) bool {
	switch f.Login {
	case profile.LoginNoPassword, string(profile.LoginNone), string(profile.LoginInvited), string(profile.LoginExpired):
		return true
	}
	return false
}

// unit is one mailbox of the walk: the entry it makes, if any, and whom of it is skipped.
type unit struct {
	place   string // of its last profile
	start   string // of its first
	entries []Entry
	skipped []Skip
}

var errSuperseded = errors.New("mailing: the freeze was discarded")

// Ring walks on until the audience ends or the time is up; then it rings again.
func (f *Freezing) Ring(ctx context.Context, bell Bell) error {
	stopAt := f.Now().Add(f.Budget)
	settings, err := f.Store.Organization(ctx, bell.Organization)
	if err != nil {
		return ignoreMissing(err)
	}
	m, err := f.Store.Mailing(ctx, bell.Organization, bell.Mailing)
	if err != nil {
		return ignoreMissing(err)
	}
	if m.Freeze == nil || m.Freeze.Ready || m.Generation != bell.Generation {
		return nil
	}
	w := &walk{Freezing: f, settings: settings, m: m, cursor: m.Freeze.Cursor, facts: NewFacts(f.Store, settings, m.Audience, f.Now())}
	w.facts.needs.SharedMailbox = false // the walk itself sees who stands together
	if err := w.remind(ctx); err != nil {
		return err
	}
	for {
		if f.Now().After(stopAt) || ctx.Err() != nil {
			return f.Bells.Ring(ctx, bell)
		}
		end, err := w.read(ctx)
		if err != nil {
			return err
		}
		err = w.write(ctx, end)
		if errors.Is(err, errSuperseded) || err == nil && end {
			return nil
		}
		if err != nil {
			return ignoreMissing(err) // a draft may be deleted while it is counted
		}
	}
}

type walk struct {
	*Freezing
	settings *organization.Settings
	m        *Mailing
	facts    *Facts
	finder   *Finder
	reminded *Mailing

	cursor string // behind the last profile read
	units  []unit // read, not written
	far    int    // profiles read since the last write
	mails  int    // entries among units
	skips  int    // skipped profiles among units
}

// remind reads the mailing that this one reminds of, if any.
func (w *walk) remind(ctx context.Context) (err error) {
	if w.m.RemindsOf != "" {
		w.finder = NewFinder(w.Store, w.m.Organization)
		w.reminded, err = w.Store.Mailing(ctx, w.m.Organization, w.m.RemindsOf)
	}
	return err
}

// enough says that a step is worth writing.
func (w *walk) enough() bool {
	return w.mails >= walkBatches*w.m.Freeze.PerBatch || w.overdue()
}

// overdue says that a step must be written, full batches or not.
func (w *walk) overdue() bool { return w.far >= walkFar || w.skips >= walkSkips }

// read takes in pages until a step is worth writing; end says that the
// audience is all read.
func (w *walk) read(ctx context.Context) (end bool, err error) {
	for !w.enough() {
		ids, next, err := w.Store.ProfilesByMailbox(ctx, w.m.Organization, w.cursor, walkPage)
		if err != nil {
			return false, err
		}
		found, err := w.Store.Profiles(ctx, w.m.Organization, ids)
		if err != nil {
			return false, err
		}
		page := make([]*profile.Profile, 0, len(ids))
		for _, id := range ids {
			if p := found[id]; p != nil {
				page = append(page, p)
			}
		}
		groups := byMailbox(page)
		if next != "" && len(groups) > 1 {
			// The last mailbox may go on in the next page.
			last := groups[len(groups)-1]
			groups = groups[:len(groups)-1]
			page = page[:len(page)-len(last)]
			next = Place(page[len(page)-1])
		}
		all, err := w.facts.Of(ctx, page)
		if err != nil {
			return false, err
		}
		for _, group := range groups {
			u, err := w.unit(ctx, group, all)
			if err != nil {
				return false, err
			}
			w.units = append(w.units, u)
			w.mails += len(u.entries)
			w.skips += len(u.skipped)
			w.far += len(group)
		}
		if next == "" {
			return true, nil
		}
		w.cursor = next
	}
	return false, nil
}

// byMailbox groups neighbours that share a mailbox; those without one stand alone.
func byMailbox(page []*profile.Profile) [][]*profile.Profile {
	var groups [][]*profile.Profile
	for i, p := range page {
		if i > 0 && p.Mailbox != "" && p.Mailbox == page[i-1].Mailbox {
			groups[len(groups)-1] = append(groups[len(groups)-1], p)
		} else {
			groups = append(groups, page[i:i+1:i+1])
		}
	}
	return groups
}

// unit decides over the people of one mailbox.
func (w *walk) unit(ctx context.Context, group []*profile.Profile, all map[profile.ID]profile.Facts) (unit, error) {
	u := unit{start: Place(group[0]), place: Place(group[len(group)-1])}
	taken := false
	for _, p := range group {
		taken = taken || p.Username != "" && p.Username == p.Mailbox
	}
	rules := Rules{Login: w.m.Freeze.HasLogin, WithoutPassword: w.m.Freeze.WithoutPassword}
	for _, p := range group {
		x := all[p.ID]
		x.SharedMailbox = len(group) > 1
		if !w.m.Audience.Match(p, x) {
			continue
		}
		if w.reminded != nil {
			was, err := w.finder.In(ctx, w.reminded, p)
			if err != nil {
				return u, err
			}
			if was != nil && was.Recipient.Known() == Skipped || was == nil && !w.moved(p) {
				continue
			}
		}
		if reason := Unmailable(p, w.settings.Access, w.facts.targets, rules); reason != "" {
			u.skipped = append(u.skipped, Skip{Profile: p.ID, Reason: reason})
			continue
		}
		n := len(u.entries)
		if n == 0 || len(u.entries[n-1].Recipients) == MaxPerMail {
			u.entries = append(u.entries, Entry{Taken: taken})
			n++
		}
		e := &u.entries[n-1]
		e.Recipients = append(e.Recipients, Recipient{Profile: p.ID})
	}
	return u, nil
}

// moved says that a profile may have been in the reminded mailing at another
// place: it was there then, and its login changed since. A corrected address is
// the very reason to remind somebody.
func (w *walk) moved(p *profile.Profile) bool {
	at := w.reminded.Freeze.At
	return p.CreatedAt.Before(at) && p.EpochAt.After(at)
}

// write stores full batches, and at the end, or after a long stretch without
// enough of them, what is left as well.
func (w *walk) write(ctx context.Context, end bool) error {
	f := w.m.Freeze
	all := end || w.overdue()
	cut, mails := len(w.units), w.mails
	if !all {
		// The longest run of units that fills batches to the brim.
		for n := w.mails; cut > 0 && (n%f.PerBatch != 0 || n > walkBatches*f.PerBatch); {
			cut--
			n -= len(w.units[cut].entries)
			mails = n
		}
		if cut == 0 {
			cut, mails = len(w.units), w.mails
		}
	}
	for start := 0; start < cut || end && cut == 0; {
		// A transaction holds walkBatches batches; a step at the end may need two.
		stop, n := start, 0
		for stop < cut && n+len(w.units[stop].entries) <= walkBatches*f.PerBatch {
			n += len(w.units[stop].entries)
			stop++
		}
		if err := w.step(ctx, w.units[start:stop], end && stop == cut); err != nil {
			return err
		}
		start = stop
		if cut == 0 {
			break
		}
	}
	w.units, w.mails, w.far, w.skips = w.units[cut:], w.mails-mails, 0, 0
	for _, u := range w.units {
		w.skips += len(u.skipped)
	}
	return nil
}

// step is one transaction of the walk.
func (w *walk) step(ctx context.Context, units []unit, end bool) error {
	var m *Mailing
	err := w.Store.Update(ctx, func(tx Tx) error {
		var err error
		if m, err = tx.Mailing(w.m.Organization, w.m.ID); err != nil {
			return err
		}
		f := m.Freeze
		if f == nil || f.Ready || m.Generation != w.m.Generation || f.Cursor != w.m.Freeze.Cursor {
			return errSuperseded // edited meanwhile, or another bell walks, too
		}
		st := &Stretch{Organization: m.Organization, Mailing: m.ID, Generation: m.Generation, FirstBatch: f.Batches, At: w.Now()}
		var b *Batch
		flush := func() {
			if b == nil {
				return
			}
			f.PerLane[b.Lane] += len(b.recipients())
			f.Batches++
			tx.PutBatch(b, time.Time{})
			b = nil
		}
		for _, u := range units {
			for _, e := range u.entries {
				if b == nil {
					b = &Batch{
						Organization: m.Organization, Mailing: m.ID, Generation: m.Generation,
						Lane: f.Batches % f.Lanes, Index: f.Batches / f.Lanes,
					}
					st.Starts = append(st.Starts, u.start)
				}
				b.Entries = append(b.Entries, e)
				f.Mails++
				f.Profiles += len(e.Recipients)
				if len(b.Entries) == f.PerBatch {
					flush()
				}
			}
			for _, s := range u.skipped {
				f.Skipped[s.Reason]++
				f.Profiles++
				st.SkippedNow = append(st.SkippedNow, s)
			}
		}
		flush()
		if len(units) > 0 {
			st.First, st.Last = units[0].start, units[len(units)-1].place
			f.Cursor = st.Last
			if len(st.Starts) > 0 || len(st.SkippedNow) > 0 {
				tx.PutStretch(st)
			}
		}
		if end {
			f.Ready = true
			for n := range f.Lanes {
				tx.PutLane(&Lane{
					Organization: m.Organization, Mailing: m.ID, Generation: m.Generation, Number: n,
					Tally: Tally{Pending: f.PerLane[n]}, Finished: f.PerLane[n] == 0,
				}, time.Time{})
			}
		}
		due := w.nextLook(m, w.Now())
		if end && m.State == Scheduled {
			due = w.Now() // its time had come: it was frozen to be sent
		}
		tx.PutMailing(m, due)
		return nil
	})
	if err == nil {
		w.m = m
	}
	return err
}

func (b *Batch) recipients() (ids []profile.ID) {
	b.each(func(r *Recipient) { ids = append(ids, r.Profile) })
	return ids
}
