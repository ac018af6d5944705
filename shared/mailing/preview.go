package mailing

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
)

// SampleToken stands in links of previews and tests; it opens the sample page
// and nothing else (N2).
const SampleToken = "sample"

// preview renders the mail that one profile would get, or share, by the code
// that sends it, with links that open only the sample page (H16).
func preview(ctx context.Context, store Store, settings *organization.Settings, m *Mailing, compiled *message.Compiled, as profile.ID, now time.Time) (message.Rendered, error) {
	p, err := store.Profile(ctx, settings.ID, as)
	if err != nil {
		return message.Rendered{}, err
	}
	shown := *m
	m = &shown
	frozen := m.Freeze != nil && m.Freeze.Ready && m.State != Scheduled // which freezes anew
	if !frozen {
		m.Freeze = &Freeze{At: now, HasLogin: compiled.CarriesLink(), WithoutPassword: withoutPassword(m.Audience)}
	}
	r := &run{
		Delivery: &Delivery{Store: store, Now: func() time.Time { return now }},
		settings: settings, mailing: m, compiled: compiled, about: Association(settings), zone: settings.Zone(),
	}
	r.today, r.ends = r.date(now), message.Moment(now.Add(settings.MailingLinkLife()), r.zone)
	entry := r.futureEntry
	if frozen {
		entry = r.frozenEntry
	}
	b, i, err := entry(ctx, p)
	if err != nil {
		return message.Rendered{}, err
	}
	going, e, err := r.sharing(ctx, b, i, p)
	if err != nil {
		return message.Rendered{}, err
	}
	if going == nil { // no part of the audience: shown alone
		taken, err := store.Claim(ctx, settings.ID, p.Mailbox)
		if err != nil {
			return message.Rendered{}, err
		}
		b, going, e = &Batch{Organization: settings.ID}, []*profile.Profile{p}, &Entry{Taken: taken != ""}
	}
	var url func(*profile.Profile) (string, error)
	if m.Freeze.HasLogin {
		url = func(*profile.Profile) (string, error) { return settings.Portal("/set-password/" + SampleToken), nil }
	}
	all, err := r.together(ctx, b, e, going, url)
	if err != nil {
		return message.Rendered{}, err
	}
	v := message.Join(all...)
	return compiled.Render(&v), nil
}

// frozenEntry finds the mail that was written down for a profile, as if it had
// not gone yet; nil where there is none.
func (r *run) frozenEntry(ctx context.Context, p *profile.Profile) (*Batch, int, error) {
	found, err := NewFinder(r.Store, p.Organization).In(ctx, r.mailing, p)
	if err != nil || found == nil || found.Batch == nil {
		return nil, 0, err
	}
	b := found.Batch.clone()
	i := slices.IndexFunc(b.Entries, func(e Entry) bool { return e.of(p.ID) })
	for k := range b.Entries[i].Recipients {
		if r := &b.Entries[i].Recipients[k]; r.Outcome != Skipped {
			r.Outcome, r.Reason = "", ""
		}
	}
	return b, i, nil
}

// futureEntry makes the mail that freezing now would write down.
func (r *run) futureEntry(ctx context.Context, p *profile.Profile) (*Batch, int, error) {
	group := []*profile.Profile{p}
	if p.Mailbox != "" {
		ids, err := r.Store.AtMailbox(ctx, p.Organization, p.Mailbox, walkPage)
		if err != nil {
			return nil, 0, err
		}
		found, err := r.Store.Profiles(ctx, p.Organization, ids)
		if err != nil {
			return nil, 0, err
		}
		group = slices.SortedFunc(maps.Values(found), func(a, b *profile.Profile) int { return strings.Compare(Place(a), Place(b)) })
	}
	w := &walk{
		Freezing: &Freezing{Store: r.Store, Now: r.Now}, settings: r.settings, m: r.mailing,
		facts: NewFacts(r.Store, r.settings, r.mailing.Audience, r.Now()),
	}
	if err := w.remind(ctx); err != nil {
		return nil, 0, err
	}
	all, err := w.facts.Of(ctx, group)
	if err != nil {
		return nil, 0, err
	}
	u, err := w.unit(ctx, group, all)
	if err != nil {
		return nil, 0, err
	}
	return &Batch{Organization: p.Organization, Entries: u.entries}, slices.IndexFunc(u.entries, func(e Entry) bool { return e.of(p.ID) }), nil
}

// sharing tells with whom a profile shares its mail, itself among them, by the
// rules of the delivery; nobody where it would get none.
func (r *run) sharing(ctx context.Context, b *Batch, i int, p *profile.Profile) ([]*profile.Profile, *Entry, error) {
	if b == nil || i < 0 {
		return nil, nil, nil
	}
	var ids []profile.ID
	for _, rcpt := range b.Entries[i].Recipients {
		ids = append(ids, rcpt.Profile)
	}
	profiles, err := r.Store.Profiles(ctx, b.Organization, ids)
	if err != nil {
		return nil, nil, err
	}
	targets, err := r.targets(ctx, b, profiles)
	if err != nil {
		return nil, nil, err
	}
	for i >= 0 {
		going, split, err := r.fit(ctx, b, i, profiles, targets)
		if err != nil {
			return nil, nil, err
		}
		if slices.ContainsFunc(going, func(g *profile.Profile) bool { return g.ID == p.ID }) {
			return going, &b.Entries[i], nil
		}
		i = split
	}
	return nil, nil, nil
}

// of says whether an entry is a profile's.
func (e *Entry) of(id profile.ID) bool {
	return slices.ContainsFunc(e.Recipients, func(r Recipient) bool { return r.Profile == id })
}

// test renders a mailing as a test: as the chosen profile, with sample links.
func (r *run) test(ctx context.Context, b *Batch) (message.Rendered, error) {
	m, err := r.Store.Mailing(ctx, b.Organization, b.Single.TestOf)
	if err != nil {
		if ignoreMissing(err) == nil {
			err = errNoMessage // the draft was deleted
		}
		return message.Rendered{}, err
	}
	content, err := r.Store.Content(ctx, b.Organization, b.Single.TestOf)
	if err != nil {
		return message.Rendered{}, err
	}
	if content.Compiled == nil {
		return message.Rendered{}, errNoMessage
	}
	rendered, err := preview(ctx, r.Store, r.settings, m, content.Compiled, b.Single.As, r.Now())
	rendered.Subject = "[Test] " + rendered.Subject
	return rendered, err
}
