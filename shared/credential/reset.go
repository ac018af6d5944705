package credential

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/username"
)

// ResetStore is what [Resets] need: mails and profiles, and no hash (H24).
type ResetStore interface {
	mailing.Store
	Related(ctx context.Context, org string, id, after profile.ID, limit int) (ids []profile.ID, more bool, err error)
}

// Resets send single reset emails (H11).
type Resets struct {
	Store ResetStore
	Bells mailing.Bells
	Now   func() time.Time
	NewID func(time.Time) string
	Again time.Duration
	Log   *slog.Logger
}

// Reset is a reset email that is on its way, as staff are told.
type Reset struct {
	Address string    `json:"address"` // where it goes
	EndsAt  time.Time `json:"endsAt"`  // of its link: request time plus lifetime, kept by every repeat
	// MainContact is to whom it goes instead, for an organization without an email.
	MainContact *Contact `json:"mainContact,omitempty"`
	SharedWith  []string `json:"sharedWith"` // names of others who have the mailbox
	// EarlierLink is the latest one before, where it still works. The first of
	// them that is used ends the others.
	EarlierLink   *EarlierLink `json:"earlierLink,omitempty"`
	DoNotEmail    bool         `json:"doNotEmail,omitempty"`
	Undeliverable string       `json:"undeliverable,omitempty"` // why earlier mail came back
}

// EarlierLink is a link that was sent before.
type EarlierLink struct {
	SentAt time.Time `json:"sentAt"`
	EndsAt time.Time `json:"endsAt"`
}

// Contact is a main contact to whom a mail may go.
type Contact struct {
	ID   profile.ID `json:"id"`
	Name string     `json:"name"`
}

// Problems of a reset email.
var (
	// noEmail carries "mainContacts" where an organization has some.
	noEmail = problem.New(problem.Refused, "no_email", "", "This profile has no email address, so there is nowhere to send a link. Please enter one first.")
	// notAllowed carries "reason", and "via" for whose membership it hangs on.
	notAllowed            = problem.New(problem.Refused, "not_allowed", "", "This person may not sign in at present, so a link would not work. “Can they sign in?” tells why.")
	mainContactInvalid    = problem.New(problem.Invalid, "main_contact_invalid", "toMainContact", "This profile is no main contact with an email address of the organization. Please choose one that is.")
	mainContactNotNeeded  = problem.New(problem.Refused, "main_contact_not_needed", "toMainContact", "Only the mail of an organization without an email address can go to its main contact.")
	errResetKeyMismatched = problem.New(problem.Conflict, "idempotency_key_reused", "Idempotency-Key", "This Idempotency-Key was used for another request. Please take a new one.")
)

// Send writes one reset email and rings for it. contact is the main contact to
// whom it goes instead, "" for the profile itself. With the same key, unless it
// is empty, it is sent once and the answer is the same.
func (r *Resets) Send(ctx context.Context, by activity.Actor, org string, id, contact profile.ID, key string) (*Reset, error) {
	if !id.Valid() {
		return nil, noProfile
	}
	settings, err := r.Store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	p, err := r.Store.Profile(ctx, org, id)
	if err != nil {
		return nil, err
	}
	now := instant(r.Now)
	name := r.NewID(now)
	if key != "" {
		name = keyedID(org, id, key)
		sent, err := r.Store.Batch(ctx, mailing.Batch{Organization: org, ID: name})
		if err != nil {
			return nil, err
		}
		if sent != nil {
			return r.repeated(ctx, p, sent, contact)
		}
	}
	targets, err := r.Store.Targets(ctx, org, p)
	if err != nil {
		return nil, err
	}
	right := settings.Access.MayEnter(p, targets)
	switch {
	case p.Disabled:
		return nil, LoginDisabled
	case !right.Allowed && right.Via != "":
		return nil, notAllowed.With("reason", right.Reason).With("via", right.Via)
	case !right.Allowed:
		return nil, notAllowed.With("reason", right.Reason)
	}
	to, err := r.addressee(ctx, p, contact)
	if err != nil {
		return nil, err
	}
	b := mailing.NewSingle(mailing.KindReset, name, settings, by, now, false, id)
	if to.ID != p.ID {
		if b.Entries[0].Address, err = username.Deliverable(to.Email); err != nil {
			return nil, err
		}
		b.Single.ToContact = to.ID
	}
	if b.Single.Earlier, err = r.earlier(ctx, p, now); err != nil {
		return nil, err
	}
	sent := b
	if err := r.Store.Update(ctx, func(tx mailing.Tx) error {
		sent = b
		stored, err := tx.Batch(mailing.Batch{Organization: org, ID: name})
		if err != nil {
			return err
		}
		if stored != nil { // the same request at the same moment
			sent = stored
			return nil
		}
		tx.PutBatch(b, now.Add(r.Again))
		tx.PutLast(org, id, b.ID, now)
		detail := map[string]string{}
		if to.ID != p.ID {
			detail["toMainContact"] = string(to.ID)
		}
		tx.AddActivity(activity.Entry{
			Organization: org, ID: r.NewID(now), At: now, Actor: by, Kind: activity.ResetRequested, Profile: string(id), Detail: detail,
		})
		return nil
	}); err != nil {
		return nil, err
	}
	if sent != b {
		return r.repeated(ctx, p, sent, contact)
	}
	means{bells: r.Bells, log: r.Log}.ring(ctx, b)
	return r.answer(ctx, p, to, b)
}

// keyedID names the mail of an idempotency key: letters and digits, as every ID.
func keyedID(org string, id profile.ID, key string) string {
	sum := sha256.Sum256([]byte("memberkey reset\x00" + org + "\x00" + string(id) + "\x00" + key))
	return "k" + hex.EncodeToString(sum[:15])
}

// addressee is whose address the mail goes to.
func (r *Resets) addressee(ctx context.Context, p *profile.Profile, contact profile.ID) (*profile.Profile, error) {
	if contact == "" && p.Email != "" {
		return p, nil
	}
	if contact != "" && (p.Type != profile.Organization || p.Email != "") {
		return nil, mainContactNotNeeded
	}
	all, err := mainContacts(ctx, r.Store, p)
	if err != nil {
		return nil, err
	}
	contacts := []Contact{}
	for _, c := range all {
		if c.Email == "" || c.Disabled {
			continue // whose own login was taken away gets nobody else's
		}
		if c.ID == contact {
			return c, nil
		}
		contacts = append(contacts, Contact{c.ID, c.Name()})
	}
	switch {
	case contact != "":
		return nil, mainContactInvalid
	case len(contacts) > 0:
		return nil, noEmail.With("mainContacts", contacts)
	}
	return nil, noEmail
}

// earlier is the last link of p, where it still works; nil where it does not.
func (r *Resets) earlier(ctx context.Context, p *profile.Profile, now time.Time) (*mailing.LastLink, error) {
	last, err := mailing.NewFinder(r.Store, p.Organization).LastLink(ctx, p)
	if err != nil || last == nil || failed(last.State) || !now.Before(last.EndsAt) {
		return nil, err
	}
	return last, nil
}

// repeated answers a request that was made before under the same key.
func (r *Resets) repeated(ctx context.Context, p *profile.Profile, b *mailing.Batch, contact profile.ID) (*Reset, error) {
	if b.Kind != mailing.KindReset || b.Single.ToContact != contact {
		return nil, errResetKeyMismatched
	}
	to := p
	if contact != "" {
		var err error
		if to, err = r.Store.Profile(ctx, p.Organization, contact); err != nil {
			return nil, err
		}
	}
	return r.answer(ctx, p, to, b)
}

// answer tells staff where the mail goes and what to know about it.
func (r *Resets) answer(ctx context.Context, p, to *profile.Profile, b *mailing.Batch) (*Reset, error) {
	reset := &Reset{Address: to.Email, EndsAt: b.Single.Ends.UTC(), SharedWith: []string{}, DoNotEmail: to.DoNotEmail}
	// An address that has changed since is not where an earlier request went.
	if went := b.Entries[0].Address; went != "" {
		if deliverable, err := username.Deliverable(to.Email); err != nil || deliverable != went {
			reset.Address = went
		}
	}
	if to.ID != p.ID {
		reset.MainContact = &Contact{to.ID, to.Name()}
	}
	if to.Undeliverable != nil {
		reset.Undeliverable = to.Undeliverable.Reason
	}
	if e := b.Single.Earlier; e != nil {
		reset.EarlierLink = &EarlierLink{SentAt: e.SentAt.UTC(), EndsAt: e.EndsAt.UTC()}
	}
	others, err := sharing(ctx, r.Store, to)
	if err != nil {
		return nil, err
	}
	for _, o := range others {
		reset.SharedWith = append(reset.SharedWith, o.Name())
	}
	return reset, nil
}
