package mailing

import (
	"context"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
)

// Store is what this package needs to read, strongly consistent, and its
// transactions. Absent things are nil, except where a method says otherwise.
type Store interface {
	// Organization answers a not-found problem where there is none.
	Organization(ctx context.Context, id string) (*organization.Settings, error)
	// Profile answers a not-found problem where there is none.
	Profile(ctx context.Context, org string, id profile.ID) (*profile.Profile, error)
	// Profiles leaves out those that do not exist.
	Profiles(ctx context.Context, org string, ids []profile.ID) (map[profile.ID]*profile.Profile, error)
	Targets(ctx context.Context, org string, of ...*profile.Profile) (profile.Targets, error)
	// ProfilesByMailbox walks all profiles in order of mailbox.
	ProfilesByMailbox(ctx context.Context, org, cursor string, limit int) (ids []profile.ID, next string, err error)
	// Claim tells who has a username; "" where it is free.
	Claim(ctx context.Context, org, username string) (profile.ID, error)
	AtMailbox(ctx context.Context, org, mailbox string, limit int) ([]profile.ID, error)
	// Related lists who has a relation to a profile.
	Related(ctx context.Context, org string, id, after profile.ID, limit int) (ids []profile.ID, more bool, err error)

	// Mailing answers a not-found problem where there is none.
	Mailing(ctx context.Context, org, id string) (*Mailing, error)
	Mailings(ctx context.Context, org, cursor string, limit int) ([]*Mailing, string, error)
	Content(ctx context.Context, org, id string) (*Content, error)
	Frozen(ctx context.Context, org, id string, generation int) (*Content, error)
	Lanes(ctx context.Context, org, id string, generation int) ([]*Lane, error)
	Batches(ctx context.Context, org, id string, generation, lane, from, limit int) ([]*Batch, bool, error)
	Batch(ctx context.Context, name Batch) (*Batch, error)
	LastSingle(ctx context.Context, org string, id profile.ID) (*Batch, error)
	Stretches(ctx context.Context, org, id string, generation int, cursor string, limit int) ([]*Stretch, string, error)
	StretchAt(ctx context.Context, org, id string, generation int, place string) (*Stretch, error)
	Request(ctx context.Context, org, id string) (*Request, error)
	Pace(ctx context.Context) (*Pace, error)
	Due(ctx context.Context, now time.Time, limit int) ([]Bell, error)

	// Saved reads a saved message or filter into v; false where there is none.
	Saved(ctx context.Context, org, kind, id string, v any) (bool, error)
	Templates(ctx context.Context, org string) ([]*Template, error)
	SavedAudiences(ctx context.Context, org string) ([]*SavedAudience, error)

	// Update runs fn and stores what it put, all or nothing; it runs fn again
	// when something that fn read has changed meanwhile.
	Update(ctx context.Context, fn func(Tx) error) error
}

// Tx is a transaction.
type Tx interface {
	Profile(org string, id profile.ID) (*profile.Profile, error)
	PutProfile(*profile.Profile) error
	Mailing(org, id string) (*Mailing, error)
	PutMailing(m *Mailing, due time.Time)
	DeleteMailing(org, id string)
	PutContent(org, id string, c *Content)
	PutFrozen(org, id string, generation int, c *Content)
	Lane(org, id string, generation, number int) (*Lane, error)
	PutLane(l *Lane, due time.Time)
	// PutTally stores a lane whose tally alone changed.
	PutTally(l *Lane) error
	Batch(name Batch) (*Batch, error)
	// PrefetchBatch reads a batch and its lane at once; both will be asked for.
	PrefetchBatch(name Batch) error
	// PrefetchBatchOf is the same for a batch of a mailing, and looks at that
	// mailing on the way, nil where there is none: nothing that is written hangs
	// on it.
	PrefetchBatchOf(name Batch) (*Mailing, error)
	PutBatch(b *Batch, due time.Time)
	// PutOutcome stores a batch of which events changed outcomes alone: when
	// it is due stays, unless it is finished.
	PutOutcome(b *Batch) error
	// Asked is the zero Asked for a mailbox that did not ask lately.
	Asked(org, mailboxHash string) (*Asked, error)
	PutAsked(org, mailboxHash string, a *Asked, expires time.Time)
	PutLast(org string, id profile.ID, batch string, at time.Time)
	PutStretch(*Stretch)
	Request(org, id string) (*Request, error)
	PutRequest(r *Request, due time.Time)
	DeleteRequest(org, id string)
	Pace() (*Pace, error)
	PutPace(*Pace)
	PutPage(*link.Page)
	AddActivity(activity.Entry)
	Saved(org, kind, id string, v any) (bool, error)
	PutSaved(org, kind, id string, v any)
	DeleteSaved(org, kind, id string)
	// Once answers what an idempotency key made before, "" where it is new.
	Once(org, key string) (id string, err error)
	PutOnce(org, key, id string, expires time.Time)
	// Postpone moves the due time of whatever a bell names, if it is still there.
	Postpone(b Bell, due time.Time) error
}

// Place is a profile's place in the order of mailboxes, in which audiences are
// walked: people who share a mailbox stand together.
func Place(p *profile.Profile) string { return p.Mailbox + "#" + string(p.ID) }
