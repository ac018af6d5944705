package mailing

import (
	"context"
	"time"

	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
)

// Facts gathers what a filter asks beside the profile itself, and no more; the
// list of profiles and the freeze of an audience share it.
type Facts struct {
	store    Store
	settings *organization.Settings
	needs    profile.Needs
	now      time.Time
	finder   *Finder
	targets  profile.Targets
}

// NewFacts prepares for one filter.
func NewFacts(store Store, settings *organization.Settings, filter profile.Filter, now time.Time) *Facts {
	return &Facts{
		store: store, settings: settings, needs: filter.Needs(), now: now,
		finder: NewFinder(store, settings.ID), targets: profile.Targets{},
	}
}

// Of answers for a page of profiles. Shared mailboxes are told only where the
// filter asks.
func (f *Facts) Of(ctx context.Context, page []*profile.Profile) (map[profile.ID]profile.Facts, error) {
	var related []*profile.Profile
	for _, p := range page {
		if len(p.Relations) > 0 && !f.settings.Access.IsMember(p) {
			related = append(related, p)
		}
	}
	targets, err := f.store.Targets(ctx, f.settings.ID, related...)
	if err != nil {
		return nil, err
	}
	f.targets = targets
	all := make(map[profile.ID]profile.Facts, len(page))
	for _, p := range page {
		x := profile.Facts{
			Right: f.settings.Access.MayEnter(p, targets), Member: f.settings.Access.IsMember(p),
			Related: f.settings.Access.IsRelated(p, targets),
		}
		if f.needs.SharedMailbox && p.Mailbox != "" {
			ids, err := f.store.AtMailbox(ctx, f.settings.ID, p.Mailbox, 2)
			if err != nil {
				return nil, err
			}
			x.SharedMailbox = len(ids) > 1
		}
		if f.needs.LoginStatus {
			if x.LoginStatus, err = f.finder.LoginStatus(ctx, p, f.now); err != nil {
				return nil, err
			}
		}
		all[p.ID] = x
	}
	return all, nil
}
