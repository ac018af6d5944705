package directory

import (
	"cmp"
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
)

const (
	// MaxListReads is how many profiles one call of [Service.List] looks at.
	MaxListReads = 1000
	// MaxListPage is the longest page of it.
	MaxListPage = 1000
	// maxShared is how many of those who share a mailbox are named.
	maxShared = 20
	// listBudget ends a page early: the last links of a thousand people can
	// take longer to find than a request may last.
	listBudget = 8 * time.Second
	// askTogether is of how many people one goroutine looks for the last link.
	askTogether = 10
)

// Search answers a quick search; see [profile.Query.Run]. limit is 1 to
// [profile.MaxSearchPage], 0 for the usual one. Problems: search_too_short,
// search_too_long, cursor_invalid, limit_invalid.
func (s *Service) Search(ctx context.Context, org, typed, cursor string, limit int) (profile.Found, error) {
	q, err := profile.ParseQuery(typed)
	if err != nil {
		return profile.Found{}, err
	}
	if limit, err = pageLength(limit, profile.MaxSearchPage); err != nil {
		return profile.Found{}, err
	}
	if _, key, ok := strings.Cut(cursor, "."); ok && key != "" {
		// The query knows where it may go on; that the key is one is checked here.
		raw, err := base64.RawURLEncoding.DecodeString(key)
		if err != nil || place(string(raw)) != nil {
			return profile.Found{}, errCursor
		}
	}
	return s.Store.Search(ctx, org, q, cursor, limit)
}

// Listed is one page of the list. Read and Found count this page alone: a
// total is the sum over the pages, "so far" until Cursor is "".
type Listed struct {
	Profiles []profile.Hit
	Cursor   string // the sort key of the last profile read; "" at the end
	Read     int    // profiles looked at
	Found    int    // of them on this page
}

// List lists profiles in order of name, narrowed by the filter, which is that
// of a mailing's audience. A call looks at no more than [MaxListReads] profiles
// and takes a bounded time, so a page may be short, or empty, and not be the last.
func (s *Service) List(ctx context.Context, org string, f profile.Filter, cursor string, limit int) (Listed, error) {
	listed := Listed{Profiles: []profile.Hit{}}
	if err := f.Validate(); err != nil {
		return listed, err
	}
	if err := place(cursor); err != nil {
		return listed, err
	}
	limit, err := pageLength(limit, MaxListPage)
	if err != nil {
		return listed, err
	}
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return listed, err
	}
	narrow, until := narrow{filter: f, mailings: s.Mailings, settings: settings, now: s.now()}, s.Now().Add(listBudget)
	if len(f.Profiles) > 0 {
		return s.picked(ctx, narrow, cursor, limit)
	}
	for {
		room := limit - len(listed.Profiles)
		want := room
		if !f.Empty() {
			want = readTogether
		}
		want = min(want, readTogether, MaxListReads-listed.Read)
		ids, next, err := s.Store.ProfilesByName(ctx, org, cursor, want)
		if err != nil {
			return listed, err
		}
		page, err := s.inOrder(ctx, org, ids)
		if err != nil {
			return listed, err
		}
		fits, err := narrow.page(ctx, page)
		if err != nil {
			return listed, err
		}
		if len(fits) > room {
			// The page ends at the last one that has room; what it stands
			// under is asked of the store, for the profile may have been
			// renamed since.
			last := slices.Index(ids, fits[room-1].ID) + 1
			if _, next, err = s.Store.ProfilesByName(ctx, org, cursor, last); err != nil {
				return listed, err
			}
			fits, ids = fits[:room], ids[:last]
		}
		for _, p := range fits {
			listed.Profiles = append(listed.Profiles, profile.HitOf(p))
		}
		listed.Read += len(ids)
		listed.Found, listed.Cursor, cursor = len(listed.Profiles), next, next
		if next == "" || len(listed.Profiles) == limit || listed.Read >= MaxListReads || s.Now().After(until) {
			return listed, nil
		}
	}
}

// picked lists those whom a filter names, without a walk over everybody.
func (s *Service) picked(ctx context.Context, n narrow, cursor string, limit int) (Listed, error) {
	listed := Listed{Profiles: []profile.Hit{}}
	found, err := s.profiles(ctx, n.settings.ID, slices.Compact(slices.Sorted(slices.Values(n.filter.Profiles))))
	if err != nil {
		return listed, err
	}
	page := slices.SortedFunc(maps.Values(found), func(a, b *profile.Profile) int { return cmp.Compare(profile.OrderKey(a), profile.OrderKey(b)) })
	page = slices.DeleteFunc(page, func(p *profile.Profile) bool { return profile.OrderKey(p) <= cursor })
	if len(page) > limit {
		page = page[:limit]
		listed.Cursor = profile.OrderKey(page[limit-1])
	}
	listed.Read = len(page)
	if page, err = n.page(ctx, page); err != nil {
		return listed, err
	}
	for _, p := range page {
		listed.Profiles = append(listed.Profiles, profile.HitOf(p))
	}
	listed.Found = len(page)
	return listed, nil
}

// Count counts as [Service.List] lists, a thousand at a time, and shows nobody:
// the number of those found costs no more than it must.
func (s *Service) Count(ctx context.Context, org string, f profile.Filter, cursor string) (Listed, error) {
	if !f.Empty() {
		listed, err := s.List(ctx, org, f, cursor, MaxListPage)
		listed.Profiles = []profile.Hit{}
		return listed, err
	}
	counted := Listed{Profiles: []profile.Hit{}}
	if err := place(cursor); err != nil {
		return counted, err
	}
	if _, err := s.Store.Organization(ctx, org); err != nil {
		return counted, err
	}
	ids, next, err := s.Store.ProfilesByName(ctx, org, cursor, MaxListReads)
	counted.Read, counted.Found, counted.Cursor = len(ids), len(ids), next
	return counted, err
}

// narrow applies a filter to pages of profiles.
type narrow struct {
	filter   profile.Filter
	mailings mailing.Store
	settings *organization.Settings
	now      time.Time
}

// page keeps those of a page who fit, in their order.
func (n narrow) page(ctx context.Context, page []*profile.Profile) ([]*profile.Profile, error) {
	if n.filter.Empty() {
		return page, nil
	}
	if !n.filter.Needs().LoginStatus {
		return n.match(ctx, n.filter, page)
	}
	// Where somebody's last link stands is looked for in every recent mailing,
	// so it is asked only of those who fit otherwise, and of several at once.
	rest := n.filter
	rest.Login = profile.LoginNoPassword
	page, err := n.match(ctx, rest, page)
	if err != nil {
		return nil, err
	}
	parts := slices.Collect(slices.Chunk(page, askTogether))
	err = each(ctx, len(parts), func(ctx context.Context, i int) (err error) {
		parts[i], err = n.match(ctx, n.filter, parts[i])
		return err
	})
	return slices.Concat(parts...), err
}

func (n narrow) match(ctx context.Context, f profile.Filter, page []*profile.Profile) (fits []*profile.Profile, err error) {
	all := map[profile.ID]profile.Facts{}
	if f.Needs() != (profile.Needs{}) || f.Scope != "" {
		if all, err = mailing.NewFacts(n.mailings, n.settings, f, n.now).Of(ctx, page); err != nil {
			return nil, err
		}
	}
	for _, p := range page {
		if f.Match(p, all[p.ID]) {
			fits = append(fits, p)
		}
	}
	return fits, nil
}

// Named is a profile mentioned on another one's page.
type Named struct {
	ID   profile.ID `json:"id"`
	Name string     `json:"name"`
}

// Relation is a relation as staff read it. Name and Status are those of the
// profile that it points to, empty where that one is not stored (yet).
type Relation struct {
	profile.Relation
	Name   string         `json:"name,omitempty"`
	Status profile.Status `json:"status,omitempty"`
	// Former: the relation is over and gives no right.
	Former bool `json:"former,omitempty"`
}

// View is one profile as staff read it. It has no epoch: nothing in it helps
// to make or keep a login.
type View struct {
	ID               profile.ID             `json:"id"`
	Version          int                    `json:"version"`
	Type             profile.Type           `json:"type"`
	Name             string                 `json:"name"`
	FirstName        string                 `json:"firstName"`
	LastName         string                 `json:"lastName"`
	OrganizationName string                 `json:"organizationName"`
	Email            string                 `json:"email"`
	Status           profile.Status         `json:"status"`
	MemberSince      string                 `json:"memberSince"`
	DoNotEmail       bool                   `json:"doNotEmail"`
	Relations        []Relation             `json:"relations"`
	Undeliverable    *profile.Undeliverable `json:"undeliverable"`
	// SharedWith are the others at the same mailbox, at most 20; SharedMore
	// says that there are more.
	SharedWith []Named `json:"sharedWith"`
	SharedMore bool    `json:"sharedMore,omitempty"`

	Access      profile.Right       `json:"access"` // may sign in, or why not
	Disabled    bool                `json:"disabled"`
	Username    string              `json:"username"`
	HasPassword bool                `json:"hasPassword"`
	LoginStatus profile.LoginStatus `json:"loginStatus"`

	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// Get reads one profile.
func (s *Service) Get(ctx context.Context, org string, id profile.ID) (*View, error) {
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	p, err := s.find(ctx, org, id)
	if err != nil {
		return nil, err
	}
	return s.view(ctx, settings, p)
}

func (s *Service) view(ctx context.Context, settings *organization.Settings, p *profile.Profile) (*View, error) {
	targets, err := s.Store.Targets(ctx, p.Organization, p)
	if err != nil {
		return nil, err
	}
	status, err := mailing.NewFinder(s.Mailings, p.Organization).LoginStatus(ctx, p, s.now())
	if err != nil {
		return nil, err
	}
	v := &View{
		ID: p.ID, Version: p.Version, Type: p.Type, Name: p.Name(), FirstName: p.FirstName, LastName: p.LastName,
		OrganizationName: p.OrganizationName, Email: p.Email, Status: p.Status, MemberSince: p.MemberSince,
		DoNotEmail: p.DoNotEmail, Relations: []Relation{}, Undeliverable: p.Undeliverable, SharedWith: []Named{},
		Access: settings.Access.MayEnter(p, targets), Disabled: p.Disabled, Username: p.Username,
		HasPassword: p.HasPassword, LoginStatus: status, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
	}
	for _, r := range p.Relations {
		told := Relation{Relation: r, Former: r.Former()}
		if target := targets[r.To]; target != nil {
			told.Name, told.Status = target.Name(), target.Status
		}
		v.Relations = append(v.Relations, told)
	}
	return v, s.share(ctx, p, v)
}

// share names the others at the profile's mailbox.
func (s *Service) share(ctx context.Context, p *profile.Profile, v *View) error {
	ids, err := s.Store.AtMailbox(ctx, p.Organization, p.Mailbox, maxShared+2)
	if err != nil {
		return err
	}
	ids = slices.DeleteFunc(ids, func(id profile.ID) bool { return id == p.ID })
	if v.SharedMore = len(ids) > maxShared; v.SharedMore {
		ids = ids[:maxShared]
	}
	others, err := s.inOrder(ctx, p.Organization, ids)
	for _, other := range others {
		v.SharedWith = append(v.SharedWith, Named{other.ID, other.Name()})
	}
	return err
}

// RelatedProfile is one who states a relation to the profile asked about, with
// what shows how far its people have come with their logins (N19).
type RelatedProfile struct {
	profile.Hit
	Kind        string        `json:"kind"`
	MainContact bool          `json:"mainContact"`
	CanEdit     bool          `json:"canEdit"`
	Former      bool          `json:"former"`
	Access      profile.Right `json:"access"`

	LoginStatus profile.LoginStatus `json:"loginStatus"`
}

// RelatedPage is a page of them; Cursor is the last profile's ID, "" at the end.
type RelatedPage struct {
	Profiles []RelatedProfile
	Cursor   profile.ID
}

// Related lists who states a relation to a profile, in order of ID. One who
// states two is listed with both.
func (s *Service) Related(ctx context.Context, org string, id, cursor profile.ID, limit int) (RelatedPage, error) {
	page := RelatedPage{Profiles: []RelatedProfile{}}
	limit, err := pageLength(limit, readTogether)
	if err != nil {
		return page, err
	}
	if cursor != "" && !cursor.Valid() {
		return page, errCursor
	}
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return page, err
	}
	if _, err := s.find(ctx, org, id); err != nil {
		return page, err
	}
	ids, more, err := s.Store.Related(ctx, org, id, cursor, limit)
	if err != nil {
		return page, err
	}
	people, err := s.inOrder(ctx, org, ids)
	if err != nil {
		return page, err
	}
	targets, err := s.Store.Targets(ctx, org, people...)
	if err != nil {
		return page, err
	}
	statuses, err := s.loginStatuses(ctx, org, people)
	if err != nil {
		return page, err
	}
	for i, p := range people {
		for _, r := range p.Relations {
			if r.To == id {
				page.Profiles = append(page.Profiles, RelatedProfile{
					Hit: profile.HitOf(p), Kind: r.Kind, MainContact: r.IsMainContact(), CanEdit: r.MayEdit(),
					Former: r.Former(), Access: settings.Access.MayEnter(p, targets), LoginStatus: statuses[i],
				})
			}
		}
	}
	if more {
		page.Cursor = ids[len(ids)-1]
	}
	return page, nil
}

// loginStatuses tells how far each has come with the login; several are asked
// about at once, for a last link may be looked for in every recent mailing.
func (s *Service) loginStatuses(ctx context.Context, org string, people []*profile.Profile) ([]profile.LoginStatus, error) {
	statuses, now := make([]profile.LoginStatus, len(people)), s.now()
	parts := (len(people) + askTogether - 1) / askTogether
	return statuses, each(ctx, parts, func(ctx context.Context, part int) (err error) {
		finder := mailing.NewFinder(s.Mailings, org)
		for i := part * askTogether; i < min((part+1)*askTogether, len(people)) && err == nil; i++ {
			statuses[i], err = finder.LoginStatus(ctx, people[i], now)
		}
		return err
	})
}
