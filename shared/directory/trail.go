package directory

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

const (
	// maxTrailPage is the longest page of a trail.
	maxTrailPage = 1000
	// maxTrailReads and maxTrailDays bound one call of [Service.Activity]; a
	// day without entries costs a read, too. readFiltered is how many entries
	// are read at once where some will be left out.
	maxTrailReads = 1000
	maxTrailDays  = 100
	readFiltered  = 200
	// usualTrail is how far back the trail goes when nothing is asked for.
	usualTrail = 30 * 24 * time.Hour
	// maxMailingsLooked bounds the mailings in which a profile's mails are
	// looked for.
	maxMailingsLooked = mailing.MaxRecent
)

// ProfileTrail is a page of a profile's trail, newest first. Mails are its
// mails of the organization's recent mailings; the first page alone has them.
type ProfileTrail struct {
	Entries []activity.Entry
	Mails   []Mail
	Cursor  string // the ID of the last entry; "" at the end
}

// Mail is a profile's part of a mailing.
type Mail struct {
	Mailing string          `json:"mailing"`
	Subject string          `json:"subject"`
	Outcome mailing.Outcome `json:"outcome"`
	Reason  string          `json:"reason,omitempty"`
	Address string          `json:"address,omitempty"`
	At      time.Time       `json:"at"` // when it was sent, or the mailing was
}

// ProfileActivity lists what was done to a profile, and by it.
func (s *Service) ProfileActivity(ctx context.Context, org string, id profile.ID, cursor string, limit int) (ProfileTrail, error) {
	trail := ProfileTrail{Entries: []activity.Entry{}, Mails: []Mail{}}
	limit, err := pageLength(limit, maxTrailPage)
	if err != nil {
		return trail, err
	}
	if cursor != "" && !entryID(cursor) {
		return trail, errCursor
	}
	p, err := s.find(ctx, org, id)
	if err != nil {
		return trail, err
	}
	if trail.Entries, trail.Cursor, err = s.Store.ProfileActivity(ctx, org, id, cursor, limit); err != nil {
		return trail, err
	}
	if cursor == "" {
		trail.Mails, err = s.mails(ctx, p)
	}
	return trail, err
}

// mails finds the profile in the mailings that were sent lately. Nothing is
// stored for it: a mailing's batches stand in order of mailbox.
func (s *Service) mails(ctx context.Context, p *profile.Profile) ([]Mail, error) {
	mails, finder, looked := []Mail{}, mailing.NewFinder(s.Mailings, p.Organization), 0
	for cursor := ""; ; {
		page, next, err := s.Mailings.Mailings(ctx, p.Organization, cursor, 100)
		if err != nil {
			return nil, err
		}
		for _, m := range page {
			if m.SentAt.IsZero() {
				continue
			}
			if looked++; looked > maxMailingsLooked {
				return mails, nil
			}
			found, err := finder.In(ctx, m, p)
			if err != nil {
				return nil, err
			}
			if found == nil {
				continue
			}
			told := Mail{Mailing: m.ID, Subject: m.Subject, Outcome: found.Recipient.Known(), Reason: found.Recipient.Reason, At: m.SentAt}
			if found.Batch != nil && !found.Batch.At.IsZero() {
				told.Address, told.At = found.Entry.Address, found.Batch.At
			}
			mails = append(mails, told)
		}
		if cursor = next; next == "" {
			return mails, nil
		}
	}
}

// TrailQuery narrows the organization's trail. From and To are days
// ("2026-11-23", in the organization's time zone, both included) or instants
// (RFC 3339; To is then excluded); empty is the last 30 days.
type TrailQuery struct {
	Profile profile.ID    // whom it concerns
	Actor   string        // an actor's ID, or staff, member or system
	Kind    activity.Kind // what was done
	From    string
	To      string
}

// Trail is a page of it, newest first. A call reads a bounded number of
// entries and of days, so a page may be short, or empty, and not be the last.
type Trail struct {
	Entries []activity.Entry
	// Cursor is the day and, where the day is not done, the ID of the last
	// entry read; of a profile's trail that ID alone; "" at the end.
	Cursor string
}

// Activity lists what was done in the organization. Problems: limit_invalid,
// cursor_invalid, time_invalid, range_invalid, kind_invalid, profile_not_found.
func (s *Service) Activity(ctx context.Context, org string, q TrailQuery, cursor string, limit int) (Trail, error) {
	trail := Trail{Entries: []activity.Entry{}}
	limit, err := pageLength(limit, maxTrailPage)
	if err != nil {
		return trail, err
	}
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return trail, err
	}
	from, to, err := q.span(s.now(), settings.Zone())
	if err != nil {
		return trail, err
	}
	if q.Kind != "" && !slices.Contains(activity.Kinds, q.Kind) {
		return trail, problem.New(problem.Invalid, "kind_invalid", "kind", "There is no such kind of activity. Please take one that the trail shows, such as password_changed, or leave it out.")
	}
	if q.Profile != "" {
		return s.activityOf(ctx, org, q, from, to, cursor, limit)
	}
	last := midnight(from)
	day, after, err := resume(cursor, midnight(to.Add(-time.Nanosecond)))
	if err != nil {
		return trail, err
	}
	reads, days := 0, 0
	for ; !day.Before(last); day, after = day.AddDate(0, 0, -1), "" {
		for {
			if len(trail.Entries) == limit || reads >= maxTrailReads || days >= maxTrailDays {
				trail.Cursor = day.Format(time.DateOnly) + "." + after
				return trail, nil
			}
			want := limit - len(trail.Entries)
			if q.Actor != "" || q.Kind != "" {
				want = readFiltered
			}
			page, next, err := s.Store.DayActivity(ctx, org, day, after, min(want, maxTrailReads-reads))
			if err != nil {
				return trail, err
			}
			reads, days = reads+len(page), days+1
			for _, e := range page {
				if len(trail.Entries) == limit {
					trail.Cursor = day.Format(time.DateOnly) + "." + after
					return trail, nil
				}
				if after = e.ID; q.match(e, from, to) {
					trail.Entries = append(trail.Entries, e)
				}
			}
			if next == "" {
				break
			}
		}
	}
	return trail, nil
}

// activityOf reads the trail of the one profile that is asked about, which is
// shorter than all days together, and tells of it what an import did, too.
func (s *Service) activityOf(ctx context.Context, org string, q TrailQuery, from, to time.Time, cursor string, limit int) (Trail, error) {
	trail := Trail{Entries: []activity.Entry{}}
	if cursor != "" && !entryID(cursor) {
		return trail, errCursor
	}
	if _, err := s.find(ctx, org, q.Profile); err != nil {
		return trail, err
	}
	for reads, after := 0, cursor; ; {
		page, next, err := s.Store.ProfileActivity(ctx, org, q.Profile, after, readFiltered)
		if err != nil {
			return trail, err
		}
		for _, e := range page {
			if len(trail.Entries) == limit {
				trail.Cursor = after
				return trail, nil
			}
			if after = e.ID; q.match(e, from, to) {
				trail.Entries = append(trail.Entries, e)
			}
		}
		if next == "" {
			return trail, nil
		}
		if reads += len(page); reads >= maxTrailReads {
			trail.Cursor = next
			return trail, nil
		}
	}
}

func (q TrailQuery) match(e activity.Entry, from, to time.Time) bool {
	return !e.At.Before(from) && e.At.Before(to) && (q.Kind == "" || q.Kind == e.Kind) &&
		(q.Actor == "" || q.Actor == e.Actor.ID || q.Actor == string(e.Actor.Kind))
}

// span is the time asked about, from included, to excluded.
func (q TrailQuery) span(now time.Time, zone *time.Location) (from, to time.Time, err error) {
	to = now.Add(time.Minute) // another machine's clock may be ahead
	if q.To != "" {
		if to, err = instant("to", q.To, zone, 1); err != nil {
			return from, to, err
		}
	}
	from = to.Add(-usualTrail)
	if q.From != "" {
		if from, err = instant("from", q.From, zone, 0); err != nil {
			return from, to, err
		}
	}
	if !from.Before(to) {
		return from, to, problem.New(problem.Invalid, "range_invalid", "from", "The beginning must lie before the end.")
	}
	return from, to, nil
}

// instant reads a day, shifted by some days, or an instant. Years are bounded
// so that no walk is asked to begin at the end of time.
func instant(field, s string, zone *time.Location, shift int) (time.Time, error) {
	t, err := time.ParseInLocation(time.DateOnly, s, zone)
	if err == nil {
		t = t.AddDate(0, 0, shift)
	} else {
		t, err = time.Parse(time.RFC3339, s)
	}
	if err != nil || t.Year() < 2000 || t.Year() > 2199 {
		return t, problem.Newf(problem.Invalid, "time_invalid", field, "Please write “%s” as a day, such as 2026-11-23, or as a time such as 2026-11-23T15:04:05Z.", field)
	}
	return t, nil
}

func midnight(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// resume reads a cursor: a day, at most the newest one, and an entry's ID. A
// day before the span is the end of the walk, and no fault: the usual span
// moves on between two pages.
func resume(cursor string, newest time.Time) (day time.Time, after string, err error) {
	if cursor == "" {
		return newest, "", nil
	}
	text, after, ok := strings.Cut(cursor, ".")
	day, err = time.Parse(time.DateOnly, text)
	if !ok || err != nil || day.Year() < 2000 || day.After(newest) || after != "" && !entryID(after) {
		return day, "", errCursor
	}
	return day, after, nil
}

// entryID says whether s can be the ID of an entry.
func entryID(s string) bool {
	return len(s) <= 64 && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") == ""
}
