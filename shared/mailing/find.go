package mailing

import (
	"context"
	"sort"
	"time"

	"github.com/memberkey/memberkey/shared/profile"
)

// Finder finds a profile's mails in the organization's mailings by its place
// in mailbox order. Profiles asked for in that order cost about one read per
// batch, not one each.
type Finder struct {
	store  Store
	org    string
	recent []*Mailing
	read   bool

	near map[string]*neighbourhood // by mailing: what was read last
}

type neighbourhood struct {
	around *Stretch
	batch  *Batch
	number int
}

// MaxRecent is how many mailings are searched for a profile's last link.
const MaxRecent = 20

// NewFinder makes a finder; it must not be kept longer than a request.
func NewFinder(store Store, org string) *Finder {
	return &Finder{store: store, org: org, near: map[string]*neighbourhood{}}
}

// Found is a profile's part of a mailing. Of a skipped one only the recipient is told.
type Found struct {
	Batch     *Batch
	Entry     *Entry
	Recipient Recipient
}

// In finds a profile in a mailing; nil where it was no part of it.
func (f *Finder) In(ctx context.Context, m *Mailing, p *profile.Profile) (*Found, error) {
	if m.Freeze == nil || !m.Freeze.Ready {
		return nil, nil
	}
	place := Place(p)
	n := f.near[m.ID]
	if n == nil {
		n = &neighbourhood{}
		f.near[m.ID] = n
	}
	st := n.around
	if st == nil || place < st.First || place > st.Last {
		var err error
		if st, err = f.store.StretchAt(ctx, m.Organization, m.ID, m.Generation, place); err != nil || st == nil {
			return nil, err
		}
		n.around = st
	}
	if place > st.Last {
		return nil, nil // nobody of the audience stands there
	}
	for _, s := range st.SkippedNow {
		if s.Profile == p.ID {
			return &Found{Recipient: Recipient{Profile: p.ID, Outcome: Skipped, Reason: s.Reason}}, nil
		}
	}
	// The last batch that begins at or before the place. People who share a
	// mailbox may be spread over several that begin alike, and the one before.
	at := sort.Search(len(st.Starts), func(i int) bool { return st.Starts[i] > place }) - 1
	for i := at; i >= 0 && (i == at || st.Starts[i+1] == st.Starts[at]); i-- {
		number := st.FirstBatch + i
		if n.batch == nil || n.number != number {
			b, err := f.store.Batch(ctx, Batch{
				Organization: m.Organization, Mailing: m.ID, Generation: m.Generation,
				Lane: number % m.Freeze.Lanes, Index: number / m.Freeze.Lanes,
			})
			if err != nil {
				return nil, err
			}
			n.batch, n.number = b, number
		}
		if n.batch == nil {
			continue // removed after the 90 days
		}
		for k := range n.batch.Entries {
			e := &n.batch.Entries[k]
			for _, r := range e.Recipients {
				if r.Profile == p.ID {
					return &Found{Batch: n.batch, Entry: e, Recipient: r}, nil
				}
			}
		}
	}
	return nil, nil
}

// LastLink finds the latest mail with a link for a profile: its last single
// one, or its part of a recent mailing; nil where there is none.
func (f *Finder) LastLink(ctx context.Context, p *profile.Profile) (*LastLink, error) {
	var last *LastLink
	var minted time.Time // when its link was made: a change of the login after that ended it
	b, err := f.store.LastSingle(ctx, f.org, p.ID)
	if err != nil {
		return nil, err
	}
	if b != nil {
		if minted = b.At; minted.IsZero() {
			minted = b.Single.RequestedAt
		}
		for i := range b.Entries {
			for _, r := range b.Entries[i].Recipients {
				if r.Profile == p.ID {
					last = &LastLink{
						State: r.Known(), Reason: r.Reason, Address: b.Entries[i].Address,
						SentAt: b.Single.RequestedAt, EndsAt: b.Single.Ends,
					}
				}
			}
		}
	}
	if !f.read {
		if f.recent, err = f.sent(ctx); err != nil {
			return nil, err
		}
		f.read = true
	}
	for _, m := range f.recent {
		if last != nil && m.SentAt.Before(last.SentAt) && !m.DoneAt.IsZero() && m.DoneAt.Before(last.SentAt) {
			break
		}
		found, err := f.In(ctx, m, p)
		if err != nil {
			return nil, err
		}
		if found == nil || found.Batch == nil || found.Recipient.Known() == Pending || found.Recipient.Known() == Skipped {
			continue
		}
		l := &LastLink{
			State: found.Recipient.Known(), Reason: found.Recipient.Reason, Address: found.Entry.Address,
			SentAt: found.Batch.At, EndsAt: found.Batch.Ends, Mailing: m.ID,
		}
		if !m.LinksRevokedAt.IsZero() && m.LinksRevokedAt.Before(l.EndsAt) && l.SentAt.Before(m.LinksRevokedAt) {
			l.EndsAt = m.LinksRevokedAt
		}
		if last == nil || l.SentAt.After(last.SentAt) {
			last, minted = l, l.SentAt
		}
		break
	}
	if last != nil && minted.Before(p.EpochAt) && p.EpochAt.Before(last.EndsAt) {
		last.EndsAt = p.EpochAt
	}
	return last, nil
}

// sent lists the latest mailings with links that were sent, newest first.
func (f *Finder) sent(ctx context.Context) (recent []*Mailing, err error) {
	for cursor := ""; len(recent) < MaxRecent; {
		var all []*Mailing
		if all, cursor, err = f.store.Mailings(ctx, f.org, cursor, 100); err != nil {
			return nil, err
		}
		for _, m := range all {
			if !m.SentAt.IsZero() && m.Freeze != nil && m.Freeze.HasLogin && len(recent) < MaxRecent {
				recent = append(recent, m)
			}
		}
		if cursor == "" {
			break
		}
	}
	sort.SliceStable(recent, func(i, j int) bool { return recent[i].SentAt.After(recent[j].SentAt) })
	return recent, nil
}

// LoginStatus tells how far a profile has come with its login.
func (f *Finder) LoginStatus(ctx context.Context, p *profile.Profile, now time.Time) (profile.LoginStatus, error) {
	var ends time.Time
	if !p.Disabled && !p.HasPassword {
		last, err := f.LastLink(ctx, p)
		if err != nil {
			return "", err
		}
		if last != nil {
			ends = last.EndsAt
		}
	}
	return p.LoginStatus(ends, now), nil
}
