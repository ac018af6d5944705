package mailing

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// Report is how far a mailing is. Its outcomes are sums over the lanes, which
// are sums over their batches; with the skipped they always come to Profiles (H15).
type Report struct {
	Mails    int             `json:"mails"`
	Profiles int             `json:"profiles"`
	Outcomes map[Outcome]int `json:"outcomes"` // all of them, 0 as well
	// Skipped are those left out when the audience was frozen, by reason; who
	// was skipped later, when a batch was claimed, is in SkippedLater.
	Skipped      map[string]int `json:"skipped"`
	SkippedLater int            `json:"skippedLater"`
	// Rate is how many mails a second may go, 0 for no limit; SecondsLeft is
	// how long the rest takes at that rate, absent where nothing is being sent
	// or the rate is not known.
	Rate        float64 `json:"rate"`
	SecondsLeft *int    `json:"secondsLeft,omitempty"`
	// QuotaLeft is how many mails mailings may still send today, absent for no limit.
	QuotaLeft *int `json:"quotaLeft,omitempty"`
}

// Report tells how far a mailing is; nil while its audience is not counted.
func (d *Desk) Report(ctx context.Context, m *Mailing) (*Report, error) {
	f := m.Freeze
	if f == nil || !f.Ready {
		return nil, nil
	}
	lanes, err := d.Store.Lanes(ctx, m.Organization, m.ID, m.Generation)
	if err != nil {
		return nil, err
	}
	pace, err := d.Store.Pace(ctx)
	if err != nil {
		return nil, err
	}
	sum := Sum(lanes)
	r := &Report{Mails: f.Mails, Profiles: f.Profiles, Outcomes: map[Outcome]int{}, Skipped: f.Skipped, SkippedLater: sum[Skipped], Rate: pace.BulkRate()}
	for _, o := range Outcomes {
		r.Outcomes[o] = sum[o]
	}
	for _, n := range f.Skipped {
		r.Outcomes[Skipped] += n
	}
	r.left(m, sum, pace, d.Now())
	return r, nil
}

// left reckons how long the rest takes: at the pace that is granted, or, where
// there is no limit, at that of the mailing so far.
func (r *Report) left(m *Mailing, sum Tally, pace *Pace, now time.Time) {
	if quota := pace.BulkQuotaLeft(); quota >= 0 {
		n := int(quota)
		r.QuotaLeft = &n
	}
	total := sum.Total()
	if m.State != Sending || total == 0 {
		return
	}
	open := float64(sum[Pending]) / float64(total) * float64(m.Freeze.Mails)
	rate := r.Rate
	if took := now.Sub(m.SentAt).Seconds(); rate == 0 && took > 0 {
		rate = (float64(m.Freeze.Mails) - open) / took
	}
	if rate > 0 {
		seconds := int(math.Ceil(open / rate))
		r.SecondsLeft = &seconds
	}
}

// Row is what became of one profile.
type Row struct {
	Profile profile.ID `json:"profile"`
	Name    string     `json:"name"` // as it is now; empty where the profile is gone
	// Address is where the mail went; before it went, the one on file.
	Address string    `json:"address"`
	Outcome Outcome   `json:"outcome"`
	Reason  string    `json:"reason"`
	SentAt  time.Time `json:"sentAt,omitzero"`
	// PasswordSet says that the profile has a password now.
	PasswordSet bool `json:"passwordSet"`
	// MainContact is whose address could be used for an organization that was
	// skipped for want of one: a reset can go there (U9).
	MainContact Contact `json:"mainContact,omitzero"`
}

// Contact is a main contact of an organization, with an email.
type Contact struct {
	ID   profile.ID `json:"id"`
	Name string     `json:"name"`
}

// Rows is a page of recipients. The funnel counts what only a person does (N6),
// so it is not kept by the mailing: it is read off the profiles of each page,
// and whoever walks all pages adds it up; until then a total reads "so far".
type Rows struct {
	Recipients []Row `json:"recipients"`
	// Mailed and PasswordSet count this page: who was sent a mail, and who of
	// them has a password now.
	Mailed      int    `json:"mailed"`
	PasswordSet int    `json:"passwordSet"`
	Cursor      string `json:"-"` // where the next page begins, "" at the end
}

// MaxRows is the most that one page of recipients holds.
const MaxRows = 10_000

// rowBatches bounds how many batches one page reads when few match.
const rowBatches = 400

// Recipients lists a mailing's recipients: first those skipped by the freeze in
// order of mailbox, then lane by lane; only those of an outcome, if one is given.
// A page may hold less than limit, even none, and still have a next one.
func (d *Desk) Recipients(ctx context.Context, org, id string, outcome Outcome, cursor string, limit int) (*Rows, error) {
	if outcome != "" {
		if _, known := find(Outcomes, func(o Outcome) bool { return o == outcome }); !known {
			return nil, problem.New(problem.Invalid, "outcome_unknown", "outcome", "The outcome must be pending, sent, delivered, bounced, complained, failed, skipped or uncertain.")
		}
	}
	m, err := d.Store.Mailing(ctx, org, id)
	if err != nil {
		return nil, err
	}
	if m.Freeze == nil || !m.Freeze.Ready {
		return nil, errNotFrozen
	}
	at, err := parsePlace(cursor, m.Generation)
	if err != nil {
		return nil, err
	}
	l := &lister{Desk: d, m: m, outcome: outcome, limit: max(1, min(limit, MaxRows)), at: at}
	if !l.at.inLanes && (outcome == "" || outcome == Skipped) {
		err = l.skipped(ctx)
	} else {
		l.at.inLanes = true
	}
	if err == nil && l.at.inLanes && len(l.rows) < l.limit {
		err = l.lanes(ctx)
	}
	if err != nil {
		return nil, err
	}
	return l.page(ctx)
}

// listPlace is where a page of recipients begins.
type listPlace struct {
	generation  int
	inLanes     bool
	lane, index int
	offset      int    // within the stretch or the batch
	stretch     string // First of the stretch
	end         bool
}

func (p listPlace) cursor() string {
	switch {
	case p.end:
		return ""
	case p.inLanes:
		return fmt.Sprintf("b/%d/%d/%d/%d", p.generation, p.lane, p.index, p.offset)
	}
	return fmt.Sprintf("s/%d/%d/%s", p.generation, p.offset, p.stretch)
}

// maxCursor is longer than every cursor of ours, the longest of which names a
// mailbox and a profile; no driver could look up what is much longer.
const maxCursor = 512

var errCursor = problem.New(problem.Invalid, "cursor_invalid", "cursor", "This cursor belongs to another list. Please begin again.")

// parsePlace reads a cursor back. It is input from anybody; all it can do is
// choose where in this very mailing to begin.
func parsePlace(cursor string, generation int) (p listPlace, err error) {
	bad := errCursor
	p.generation = generation
	if cursor == "" {
		return p, nil
	}
	if len(cursor) > maxCursor {
		return p, bad
	}
	kind, rest, _ := strings.Cut(cursor, "/")
	numbers := 2
	if kind == "b" {
		numbers, p.inLanes = 4, true
	} else if kind != "s" {
		return p, bad
	}
	var n [4]int
	for i := range numbers {
		word := rest
		if i < numbers-1 || kind == "s" {
			var found bool
			if word, rest, found = strings.Cut(rest, "/"); !found {
				return p, bad
			}
		}
		if n[i], err = strconv.Atoi(word); err != nil || n[i] < 0 || n[i] > 1<<30 {
			return p, bad
		}
	}
	if n[0] != generation {
		return p, bad
	}
	if kind == "s" {
		p.offset, p.stretch = n[1], rest
		return p, nil
	}
	p.lane, p.index, p.offset = n[1], n[2], n[3]
	return p, nil
}

type lister struct {
	*Desk
	m       *Mailing
	outcome Outcome
	limit   int
	at      listPlace
	rows    []Row
	read    int // batches
}

// skipped lists whom the freeze left out.
func (l *lister) skipped(ctx context.Context) error {
	first := l.at.stretch
	for {
		var steps []*Stretch
		if l.at.offset > 0 {
			st, err := l.Store.StretchAt(ctx, l.m.Organization, l.m.ID, l.m.Generation, first)
			if err != nil {
				return err
			}
			if st != nil && st.First == first {
				steps = append(steps, st)
			}
		}
		next := first
		if len(steps) == 0 {
			var err error
			if steps, next, err = l.Store.Stretches(ctx, l.m.Organization, l.m.ID, l.m.Generation, first, 8); err != nil {
				return err
			}
			if len(steps) == 0 {
				next = ""
			}
		}
		for _, st := range steps {
			for i := l.at.offset; i < len(st.SkippedNow); i++ {
				if len(l.rows) == l.limit {
					l.at.stretch, l.at.offset = st.First, i
					return nil
				}
				s := st.SkippedNow[i]
				l.rows = append(l.rows, Row{Profile: s.Profile, Outcome: Skipped, Reason: s.Reason})
			}
			l.at.stretch, l.at.offset, first = st.First, 0, st.First
		}
		if next == "" {
			l.at = listPlace{generation: l.at.generation, inLanes: true}
			return nil
		}
		if len(l.rows) == l.limit {
			return nil
		}
	}
}

// lanes lists the recipients of the batches.
func (l *lister) lanes(ctx context.Context) error {
	lanes, err := l.Store.Lanes(ctx, l.m.Organization, l.m.ID, l.m.Generation)
	if err != nil {
		return err
	}
	for ; l.at.lane < len(lanes); l.at.lane, l.at.index, l.at.offset = l.at.lane+1, 0, 0 {
		if l.outcome != "" && lanes[l.at.lane].Tally[l.outcome] == 0 {
			continue
		}
		for more := true; more; {
			var batches []*Batch
			if batches, more, err = l.Store.Batches(ctx, l.m.Organization, l.m.ID, l.m.Generation, l.at.lane, l.at.index, 50); err != nil {
				return err
			}
			for _, b := range batches {
				if b.Index > l.at.index {
					l.at.index, l.at.offset = b.Index, 0
				}
				if full := l.batch(b); full {
					return nil
				}
				l.at.index, l.at.offset = b.Index+1, 0
			}
			if l.read += len(batches); l.read >= rowBatches && more {
				return nil
			}
		}
	}
	l.at = listPlace{end: true}
	return nil
}

// batch lists the recipients of one batch; full says that the page is.
func (l *lister) batch(b *Batch) (full bool) {
	n := 0
	for i := range b.Entries {
		e := &b.Entries[i]
		for _, r := range e.Recipients {
			if n++; n <= l.at.offset || l.outcome != "" && r.Known() != l.outcome {
				continue
			}
			if len(l.rows) == l.limit {
				l.at.offset = n - 1
				return true
			}
			row := Row{Profile: r.Profile, Outcome: r.Known(), Reason: r.Reason}
			if row.Outcome != Pending && row.Outcome != Skipped {
				row.Address, row.SentAt = e.Address, b.At
				if !e.At.IsZero() {
					row.SentAt = e.At
				}
			}
			l.rows = append(l.rows, row)
		}
	}
	return false
}

// page adds what the profiles tell.
func (l *lister) page(ctx context.Context) (*Rows, error) {
	ids := make([]profile.ID, len(l.rows))
	for i := range l.rows {
		ids[i] = l.rows[i].Profile
	}
	page := &Rows{Recipients: l.rows, Cursor: l.at.cursor()}
	if page.Recipients == nil {
		page.Recipients = []Row{}
	}
	var skipped []int // rows of organizations without an email
	for start := 0; start < len(ids); start += walkPage {
		stop := min(start+walkPage, len(ids))
		found, err := l.Store.Profiles(ctx, l.m.Organization, ids[start:stop])
		if err != nil {
			return nil, err
		}
		for i := start; i < stop; i++ {
			row := &l.rows[i]
			p := found[row.Profile]
			mailed := row.Outcome != Pending && row.Outcome != Skipped && row.Outcome != Failed
			if mailed {
				page.Mailed++
			}
			if p == nil {
				continue
			}
			row.Name, row.PasswordSet = p.Name(), p.HasPassword
			if row.Address == "" {
				row.Address = p.Email
			}
			if mailed && p.HasPassword {
				page.PasswordSet++
			}
			if row.Reason == NoEmail && p.Type == profile.Organization && p.Email == "" {
				skipped = append(skipped, i)
			}
		}
	}
	for some := range slices.Chunk(skipped, 100) {
		if err := l.contacts(ctx, some); err != nil {
			return nil, err
		}
	}
	return page, nil
}

// maxRelated bounds the search for the main contact of an organization.
const maxRelated = 1000

// contacts finds the main contacts of the organizations in some rows: a query
// for each, and the profiles of all of them together.
func (l *lister) contacts(ctx context.Context, rows []int) error {
	related := make([][]profile.ID, len(rows))
	var ids []profile.ID
	for n, i := range rows {
		var err error
		if related[n], _, err = l.Store.Related(ctx, l.m.Organization, l.rows[i].Profile, "", maxRelated); err != nil {
			return err
		}
		ids = append(ids, related[n]...)
	}
	slices.Sort(ids)
	contacts := map[profile.ID]*profile.Profile{}
	for part := range slices.Chunk(slices.Compact(ids), walkPage) {
		found, err := l.Store.Profiles(ctx, l.m.Organization, part)
		if err != nil {
			return err
		}
		maps.Copy(contacts, found)
	}
	for n, i := range rows {
		row := &l.rows[i]
		for _, id := range related[n] {
			p := contacts[id]
			if p != nil && p.Email != "" && slices.ContainsFunc(p.Relations, func(r profile.Relation) bool { return r.To == row.Profile && r.IsMainContact() }) {
				row.MainContact = Contact{p.ID, p.Name()}
				break
			}
		}
	}
	return nil
}

// CSV renders the rows as a table that is safe to open in a spreadsheet;
// times are UTC (RFC 3339).
func (r *Rows) CSV() ([]byte, error) {
	var buf bytes.Buffer
	w := csv.NewWriter(&buf)
	w.UseCRLF = true // RFC 4180
	if err := w.Write([]string{"profile", "name", "address", "outcome", "reason", "sent_at", "password_set"}); err != nil {
		return nil, err
	}
	for _, row := range r.Recipients {
		sent, set := "", "N"
		if !row.SentAt.IsZero() {
			sent = row.SentAt.UTC().Format(time.RFC3339)
		}
		if row.PasswordSet {
			set = "Y"
		}
		cells := []string{string(row.Profile), row.Name, row.Address, string(row.Outcome), row.Reason, sent, set}
		for i := range cells {
			cells[i] = profile.SafeCell(cells[i])
		}
		if err := w.Write(cells); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return buf.Bytes(), w.Error()
}
