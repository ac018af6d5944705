package mailing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/username"
)

// Forgot answers requests for a forgot-login mail, behind the queue: what the
// member sees was the same for everybody, before anything was looked up (H12).
type Forgot struct {
	Store Store
	Bells Bells
	Now   func() time.Time
	NewID func(time.Time) string
	Timing
	Log *slog.Logger
}

// Asked is when a mailbox asked lately; it bounds how much mail strangers can
// make somebody get (A12). The mailbox itself is not stored.
type Asked struct {
	At []time.Time `json:"at"`
}

// How much mail a mailbox can be made to get.
const (
	askedApart  = time.Minute // from one to the next
	askedInHour = 5
	askedInDay  = 10
)

// allow counts one more, unless it is too many.
func (a *Asked) allow(now time.Time) bool {
	var kept []time.Time
	hour := 0
	for _, t := range a.At {
		if now.Sub(t) < 24*time.Hour {
			kept = append(kept, t)
		}
		if now.Sub(t) < time.Hour {
			hour++
		}
	}
	a.At = kept
	if len(kept) >= askedInDay || hour >= askedInHour || len(kept) > 0 && now.Sub(kept[len(kept)-1]) < askedApart {
		return false
	}
	a.At = append(a.At, now)
	return true
}

// Ring works one request.
func (f *Forgot) Ring(ctx context.Context, bell Bell) error {
	req, err := f.Store.Request(ctx, bell.Organization, bell.ID)
	if req == nil || err != nil {
		return err
	}
	settings, err := f.Store.Organization(ctx, req.Organization)
	if err != nil {
		return ignoreMissing(err)
	}
	ids, err := f.meant(ctx, req)
	if err != nil {
		return err
	}
	all, err := f.Store.Profiles(ctx, req.Organization, ids)
	if err != nil {
		return err
	}
	var known []*profile.Profile
	for _, id := range ids {
		if p := all[id]; p != nil && p.Email != "" {
			known = append(known, p)
		}
	}
	targets, err := f.Store.Targets(ctx, req.Organization, known...)
	if err != nil {
		return err
	}
	groups := map[string][]*profile.Profile{}
	var order []string
	var refused []*profile.Profile
	for _, p := range known {
		if !settings.Access.MayEnter(p, targets).Allowed {
			refused = append(refused, p)
			continue
		}
		if groups[p.Mailbox] == nil {
			order = append(order, p.Mailbox)
		}
		if len(groups[p.Mailbox]) < MaxPerMail {
			groups[p.Mailbox] = append(groups[p.Mailbox], p)
		}
	}
	var bells []Bell
	err = f.Store.Update(ctx, func(tx Tx) error {
		bells = nil
		if req, err := tx.Request(bell.Organization, bell.ID); req == nil || err != nil {
			return err // another bell was quicker
		}
		now := f.Now().Truncate(time.Millisecond)
		tx.DeleteRequest(bell.Organization, bell.ID)
		for _, p := range refused {
			f.note(tx, req, p, activity.LinkRefused, now)
		}
		for _, mailbox := range order {
			b, err := f.answer(tx, settings, req, mailbox, groups[mailbox], now)
			if err != nil {
				return err
			}
			if b != nil {
				bells = append(bells, b.Bell())
			}
		}
		return nil
	})
	if err != nil || len(bells) == 0 {
		return err
	}
	return f.Bells.Ring(ctx, bells...)
}

// answer writes the mail to one mailbox, unless it was asked for too often.
func (f *Forgot) answer(tx Tx, settings *organization.Settings, req *Request, mailbox string, who []*profile.Profile, now time.Time) (*Batch, error) {
	sum := sha256.Sum256([]byte("memberkey asked\x00" + mailbox))
	asked, err := tx.Asked(settings.ID, hex.EncodeToString(sum[:]))
	if err != nil {
		return nil, err
	}
	if !asked.allow(now) {
		return nil, nil
	}
	tx.PutAsked(settings.ID, hex.EncodeToString(sum[:]), asked, now.Add(24*time.Hour))
	ids := make([]profile.ID, len(who))
	for i, p := range who {
		ids[i] = p.ID
	}
	kind, did := KindForgot, activity.ForgotRequested
	if req.RenewFor != "" {
		kind, did = KindRenewal, activity.LinkRenewed
	}
	b := NewSingle(kind, f.NewID(now), settings, req.Actor, now, false, ids...)
	tx.PutBatch(b, now.Add(f.Again))
	for _, p := range who {
		tx.PutLast(settings.ID, p.ID, b.ID, now)
		f.note(tx, req, p, did, now)
	}
	return b, nil
}

func (f *Forgot) note(tx Tx, req *Request, p *profile.Profile, did activity.Kind, now time.Time) {
	actor := req.Actor
	actor.Kind = activity.Member
	tx.AddActivity(activity.Entry{Organization: req.Organization, ID: f.NewID(now), At: now, Actor: actor, Kind: did, Profile: string(p.ID)})
}

// meant finds the profiles that a request is about.
func (f *Forgot) meant(ctx context.Context, req *Request) (ids []profile.ID, err error) {
	if req.RenewFor != "" {
		return []profile.ID{req.RenewFor}, nil
	}
	entered := strings.TrimSpace(req.Entered)
	if _, box, err := username.ParseEmail(entered); err == nil {
		if ids, err = f.Store.AtMailbox(ctx, req.Organization, string(box), 2*MaxPerMail); err != nil {
			return nil, err
		}
	}
	name, err := username.Normalise(entered)
	if err != nil {
		if problem.As(err).Kind == problem.Invalid {
			return ids, nil // nobody can have that name
		}
		return nil, err
	}
	id, err := f.Store.Claim(ctx, req.Organization, string(name))
	if err != nil {
		return nil, err
	}
	if id != "" && !slices.Contains(ids, id) {
		ids = append(ids, id)
	}
	return ids, nil
}
