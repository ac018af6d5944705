// Package directory keeps an organization's profiles: finding them, reading
// and editing one, importing a whole file of them, the organization's settings
// and the audit trail. It is what the function profiles does, without HTTP.
//
//	list.go    quick search, the filtered list, one profile, who is related
//	edit.go    create, edit, what an edit would do, release an address
//	import.go  a file of profiles, as a weekly job
//	settings.go the organization's settings, and what a change of them would do
//	trail.go   the audit trail, of a profile and of the organization
//
// The rules of a profile are shared/profile's; here they meet the store. Every
// change is one transaction with the new epoch, the moved username, the
// activity and the notices (H5), and none of it reads or writes a hash (H24):
// links and sessions end by the epoch, and a username is a claim beside the
// profile. Settings and the people whom a relation points to are read before
// the transaction, because others share them.
package directory

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// Store is what this package reads, strongly consistent, and its transactions.
// Another organization's things are as absent as those that do not exist (H21).
type Store interface {
	// Organization answers a not-found problem where there is none.
	Organization(ctx context.Context, id string) (*organization.Settings, error)
	// Profile answers a not-found problem where there is none.
	Profile(ctx context.Context, org string, id profile.ID) (*profile.Profile, error)
	// Profiles leaves out those that do not exist.
	Profiles(ctx context.Context, org string, ids []profile.ID) (map[profile.ID]*profile.Profile, error)
	Targets(ctx context.Context, org string, of ...*profile.Profile) (profile.Targets, error)
	// Related lists who states a relation to id; after is the last ID seen.
	Related(ctx context.Context, org string, id, after profile.ID, limit int) (ids []profile.ID, more bool, err error)
	// ProfilesByName walks all profiles in order of name; next is "" at the end.
	ProfilesByName(ctx context.Context, org, cursor string, limit int) (ids []profile.ID, next string, err error)
	AtMailbox(ctx context.Context, org, mailbox string, limit int) ([]profile.ID, error)
	Search(ctx context.Context, org string, q profile.Query, cursor string, limit int) (profile.Found, error)

	ProfileActivity(ctx context.Context, org string, id profile.ID, cursor string, limit int) ([]activity.Entry, string, error)
	DayActivity(ctx context.Context, org string, day time.Time, cursor string, limit int) ([]activity.Entry, string, error)

	// Touches counts the keys with which a transaction turns one profile into
	// another, at most, and tells how many it may have in all.
	Touches(before, after *profile.Profile) (keys, most int)
	// Update runs fn and stores what it put, all or nothing; it runs fn again
	// when something that fn read has changed meanwhile.
	Update(ctx context.Context, fn func(Tx) error) error
}

// Tx is a transaction.
type Tx interface {
	// Profile answers a not-found problem where there is none.
	Profile(org string, id profile.ID) (*profile.Profile, error)
	// PrefetchProfiles reads several at once that will be asked for.
	PrefetchProfiles(org string, ids []profile.ID) error
	// PutProfile stores a profile that was read before, or found absent.
	PutProfile(*profile.Profile) error
	credential.Claims
	// Organization is nil where there is none.
	Organization(id string) (*organization.Settings, error)
	PutOrganization(*organization.Settings)
	PutBatch(b *mailing.Batch, due time.Time)
	AddActivity(activity.Entry)
}

// Service keeps profiles. Now, Rand and NewID are used by several goroutines
// at once during an import; an import guards Rand itself.
type Service struct {
	Store Store
	// Mailings is where filters find the last link of a profile, and the trail
	// its mails. It is only read.
	Mailings mailing.Store
	Bells    mailing.Bells
	Now      func() time.Time
	Rand     io.Reader
	NewID    func(time.Time) string
	// Again is how long a bell may take before the sweep rings once more.
	Again time.Duration
	// Budget is how long an import or a walk over everybody may take before it
	// leaves the rest to the next call; 0 is 20 seconds.
	Budget time.Duration
	// Unsuppress takes an address off the mail service's own list of those
	// that it no longer mails; nil where there is no such list.
	Unsuppress func(ctx context.Context, address string) error
	// Progress is told how far an import has come; it may be nil.
	Progress func(done, total int)
	Log      *slog.Logger
}

const (
	// readTogether is how many profiles are read in one request (DynamoDB
	// BatchGetItem takes 100).
	readTogether = 100
	// walkPage is how many IDs are read at once when everybody is walked.
	walkPage = 1000
	// readers is how many requests wait for the store at a time; on AWS each
	// takes milliseconds of doing nothing.
	readers = 8
	// maxPlace bounds a cursor: a sort key is a cut name and an ID.
	maxPlace = 400

	defaultBudget = 20 * time.Second
)

// noProfile is what the store answers for a profile that is not there, for
// IDs with which the store is not even asked.
var noProfile = problem.New(problem.NotFound, "profile_not_found", "id", "There is no profile with this ID in your organization. Search for the name, or check the number.")

var errCursor = problem.New(problem.Invalid, "cursor_invalid", "cursor", "This cursor is not one of ours. Send it exactly as the last page gave it, or leave it out to begin again.")

// find reads a profile; what cannot be an ID is not there.
func (s *Service) find(ctx context.Context, org string, id profile.ID) (*profile.Profile, error) {
	if !id.Valid() {
		return nil, noProfile
	}
	return s.Store.Profile(ctx, org, id)
}

// now is the time as it is stored.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

func (s *Service) budget() time.Duration {
	if s.Budget > 0 {
		return s.Budget
	}
	return defaultBudget
}

// profiles reads any number of profiles, a hundred at a time.
func (s *Service) profiles(ctx context.Context, org string, ids []profile.ID) (map[profile.ID]*profile.Profile, error) {
	all := make(map[profile.ID]*profile.Profile, len(ids))
	var mu sync.Mutex
	pages := (len(ids) + readTogether - 1) / readTogether
	err := each(ctx, pages, func(ctx context.Context, i int) error {
		page := ids[i*readTogether : min((i+1)*readTogether, len(ids))]
		found, err := s.Store.Profiles(ctx, org, page)
		mu.Lock()
		defer mu.Unlock()
		for id, p := range found {
			all[id] = p
		}
		return err
	})
	return all, err
}

// inOrder reads the profiles of a page of IDs and keeps its order; whoever is
// gone meanwhile is left out.
func (s *Service) inOrder(ctx context.Context, org string, ids []profile.ID) ([]*profile.Profile, error) {
	found, err := s.profiles(ctx, org, ids)
	if err != nil {
		return nil, err
	}
	page := make([]*profile.Profile, 0, len(ids))
	for _, id := range ids {
		if p := found[id]; p != nil {
			page = append(page, p)
		}
	}
	return page, nil
}

// related reads all who state a relation to id.
func (s *Service) related(ctx context.Context, org string, id profile.ID) ([]*profile.Profile, error) {
	var all []*profile.Profile
	for after, more := profile.ID(""), true; more; {
		var ids []profile.ID
		var err error
		if ids, more, err = s.Store.Related(ctx, org, id, after, walkPage); err != nil {
			return nil, err
		}
		page, err := s.inOrder(ctx, org, ids)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(ids) > 0 {
			after = ids[len(ids)-1]
		}
	}
	return all, nil
}

// each runs fn for 0 to n-1, a few at a time, until one fails.
func each(ctx context.Context, n int, fn func(ctx context.Context, i int) error) error {
	if n == 1 {
		return fn(ctx, 0)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	work := make(chan int)
	for range min(readers, n) {
		wg.Go(func() {
			for i := range work {
				if err := fn(ctx, i); err != nil {
					cancel(err) // the first one counts
				}
			}
		})
	}
feed:
	for i := range n {
		select {
		case work <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

// ring tells that mail is waiting. What is not heard the sweep rings again, so
// a failure is no reason to fail what was done.
func (s *Service) ring(ctx context.Context, batches []*mailing.Batch) {
	if len(batches) == 0 {
		return
	}
	bells := make([]mailing.Bell, len(batches))
	for i, b := range batches {
		bells[i] = b.Bell()
	}
	if err := s.Bells.Ring(ctx, bells...); err != nil {
		s.Log.WarnContext(ctx, "ringing for a notice", "error", err)
	}
}

// note begins a line of the trail.
func (s *Service) note(p *profile.Profile, by activity.Actor, now time.Time, kind activity.Kind, detail map[string]string) activity.Entry {
	return activity.Entry{Organization: p.Organization, ID: s.NewID(now), At: now, Actor: by, Kind: kind, Profile: string(p.ID), Detail: detail}
}

// place checks a sort key that a caller sent: words, one separator, a
// profile's ID. It may name nobody, but it is nothing that a store refuses.
func place(key string) error {
	at := strings.LastIndexFunc(key, func(r rune) bool { return r < ' ' })
	if key == "" || at >= 0 && len(key) <= maxPlace && utf8.ValidString(key) && profile.ID(key[at+1:]).Valid() &&
		!strings.ContainsFunc(key[:at], func(r rune) bool { return r < ' ' }) {
		return nil
	}
	return errCursor
}

func absent(err error) bool {
	p, ok := errors.AsType[*problem.Problem](err)
	return ok && p.Kind == problem.NotFound
}

// page refuses a length of page that is not offered; 0 is the usual one.
func pageLength(limit, most int) (int, error) {
	switch {
	case limit == 0:
		return min(25, most), nil
	case limit < 0 || limit > most:
		return 0, problem.Newf(problem.Invalid, "limit_invalid", "limit", "A page can have 1 to %d entries.", most)
	}
	return limit, nil
}
