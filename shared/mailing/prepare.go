package mailing

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/username"
)

// outgoing is a batch on its way: what will be stored before the call, and the
// call.
type outgoing struct {
	batch *Batch
	which []int // the entry of each mail of the call
	call  Call
	page  *link.Page // nil where no link was minted
}

// change is what storing a prepared batch does to the tally.
func (o *outgoing) change() Tally {
	t := o.batch.Tally()
	t[Pending] -= t.Total() // all of them were pending before
	return t
}

// prepare reads who the entries are for, now (H14), skips who no longer fits,
// mints links and renders the mails. The batch given is left as it is.
func (r *run) prepare(ctx context.Context, b *Batch, which []int) (*outgoing, error) {
	now := r.Now().Truncate(time.Millisecond)
	out := &outgoing{batch: b.clone()}
	b = out.batch
	again := len(which) > 0 && len(open(b, Pending)) == 0 // an uncertain entry goes once more
	if !again {
		b.At = now
	}
	var ids []profile.ID
	for _, i := range which {
		for _, rcpt := range b.Entries[i].Recipients {
			ids = append(ids, rcpt.Profile)
		}
	}
	profiles, err := r.Store.Profiles(ctx, b.Organization, ids)
	if err != nil {
		return nil, err
	}
	targets, err := r.targets(ctx, b, profiles)
	if err != nil {
		return nil, err
	}
	if purpose, ends, links := r.purpose(b, now); links {
		if out.page, err = link.NewPage(r.Rand, b.Organization, purpose, b.Mailing, now, ends); err != nil {
			return nil, err
		}
		r.ends = message.Moment(out.page.Ends, r.zone)
	}
	r.today = r.date(now)
	r.data = r.data[:0] // the call before has ended
	out.call = Call{Organization: b.Organization, From: sender(r.settings), ReplyTo: r.settings.ReplyTo, Mailing: b.Mailing}
	size := 0
	for n := 0; n < len(which) && len(out.call.Mails) < MaxBatch; n++ {
		i := which[n]
		going, split, err := r.fit(ctx, b, i, profiles, targets)
		if err != nil {
			return nil, err
		}
		if split >= 0 {
			which = append(which, split)
		}
		if len(going) == 0 {
			continue
		}
		mail, err := r.render(ctx, b, i, going, out.page)
		if errors.Is(err, errNoMessage) {
			for k := range b.Entries[i].Recipients {
				b.Entries[i].Recipients[k].Outcome, b.Entries[i].Recipients[k].Reason = Failed, NotRendered
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		// The data stands as a JSON string in the request, where every quote
		// and backslash of it takes one byte more.
		if size += len(mail.Data) + bytes.Count(mail.Data, quote) + bytes.Count(mail.Data, backslash) + 512; size > MaxCall && len(out.call.Mails) > 0 {
			break // the rest of the batch goes with the next call
		}
		b.Entries[i].Attempts++
		if again {
			b.Entries[i].At = now
		}
		out.which = append(out.which, i)
		out.call.Mails = append(out.call.Mails, mail)
	}
	if out.page != nil {
		if len(out.page.Entries) == 0 {
			out.page = nil
		} else {
			b.Page, b.Ends = out.page.ID, out.page.Ends
		}
	}
	if out.page == nil {
		b.Page = ""
	}
	return out, nil
}

// targets reads the relations of those who may sign in by them alone; nobody
// else's are needed.
func (r *run) targets(ctx context.Context, b *Batch, profiles map[profile.ID]*profile.Profile) (profile.Targets, error) {
	if !r.asksRight(b) {
		return nil, nil
	}
	var related []*profile.Profile
	for _, p := range profiles {
		if len(p.Relations) > 0 && !r.settings.Access.IsMember(p) {
			related = append(related, p)
		}
	}
	return r.Store.Targets(ctx, b.Organization, related...)
}

// asksRight says whether only those who may sign in are mailed.
func (r *run) asksRight(b *Batch) bool {
	switch b.Kind {
	case KindMailing:
		return r.mailing.Freeze.HasLogin
	case KindReset, KindForgot, KindRenewal:
		return true
	}
	return false
}

// purpose says what links a batch carries, and when they end.
func (r *run) purpose(b *Batch, now time.Time) (purpose link.Purpose, ends time.Time, links bool) {
	switch b.Kind {
	case KindMailing:
		return link.Mailing, now.Add(r.settings.MailingLinkLife()), r.mailing.Freeze.HasLogin
	case KindReset:
		return link.Reset, b.Single.Ends, true
	case KindForgot:
		return link.Forgot, b.Single.Ends, true
	case KindRenewal:
		return link.Renewal, b.Single.Ends, true
	}
	return "", time.Time{}, false
}

// fit marks who of an entry is skipped and returns who is mailed. People whose
// address changed since the freeze no longer share this mail: they move to an
// entry of their own, whose index is returned, -1 for none.
func (r *run) fit(ctx context.Context, b *Batch, i int, profiles map[profile.ID]*profile.Profile, targets profile.Targets) (going []*profile.Profile, split int, err error) {
	split = -1
	e := &b.Entries[i]
	address := ""
	var stay, leave, doubted []Recipient
	mailbox := ""
	for _, rcpt := range e.Recipients {
		if !rcpt.open() && rcpt.Outcome != Uncertain {
			stay = append(stay, rcpt)
			continue
		}
		p := profiles[rcpt.Profile]
		reason := r.skip(b, e, p, targets)
		if reason == "" {
			if reason, err = r.listedTwice(ctx, b, p); err != nil {
				return nil, -1, err
			}
		}
		var to string
		if reason == "" && !e.fixedAddress(b) {
			if to, err = username.Deliverable(p.Email); err != nil {
				reason = BadAddress // stored under rules that were laxer
			}
		}
		if reason != "" {
			if rcpt.Outcome == Uncertain || e.inDoubt() {
				// A mail may have arrived: that was not skipped, and an event can
				// still tell.
				rcpt.Outcome, rcpt.Reason = Failed, NotConfirmed
				doubted = append(doubted, rcpt)
				continue
			}
			rcpt.Outcome, rcpt.Reason = Skipped, reason
			stay = append(stay, rcpt)
			continue
		}
		if len(going) > 0 && p.Mailbox != mailbox && b.Kind != KindNotice {
			leave = append(leave, rcpt)
			continue
		}
		if len(going) == 0 {
			mailbox, address = p.Mailbox, to
		}
		going = append(going, p)
		stay = append(stay, rcpt)
	}
	// Events of the mail that goes now must not speak for those it leaves out.
	apart := Entry{Recipients: doubted, Address: e.Address, MessageID: e.MessageID, Attempts: e.Attempts, At: e.At}
	if len(going) == 0 {
		stay, apart.Recipients = append(stay, doubted...), nil
	}
	e.Recipients = stay
	if len(going) > 0 && !e.fixedAddress(b) {
		e.Address = address
	}
	if len(leave) > 0 {
		split = len(b.Entries)
		b.Entries = append(b.Entries, Entry{Recipients: leave, Taken: e.Taken})
	}
	if len(apart.Recipients) > 0 {
		b.Entries = append(b.Entries, apart)
	}
	return going, split, nil
}

// inDoubt says that an earlier call may have taken the mail.
func (e *Entry) inDoubt() bool { return !e.At.IsZero() }

// fixedAddress says that an entry goes to the address it was made with: a
// notice to the old one, a test, a reset that goes to a main contact. Any other
// address is only where the latest try went.
func (e *Entry) fixedAddress(b *Batch) bool {
	return e.Address != "" && (b.Kind == KindNotice || b.Kind == KindTest || b.Single != nil && b.Single.ToContact != "")
}

// listedTwice finds out who moved to another mailbox during the freeze, so
// that the walk met them in both places: the mail at their present one stands.
func (r *run) listedTwice(ctx context.Context, b *Batch, p *profile.Profile) (string, error) {
	if b.Kind != KindMailing || !p.EpochAt.After(r.mailing.Freeze.At) {
		return "", nil // their address is what it was when the walk began
	}
	found, err := NewFinder(r.Store, b.Organization).In(ctx, r.mailing, p)
	if err != nil || found == nil || found.Batch == nil || found.Batch.Lane == b.Lane && found.Batch.Index == b.Index {
		return "", err
	}
	return TwiceListed, nil
}

// skip says why a profile is not mailed, "" where it is.
func (r *run) skip(b *Batch, e *Entry, p *profile.Profile, targets profile.Targets) string {
	if p == nil {
		return Gone
	}
	if b.Kind == KindNotice || b.Kind == KindTest {
		if r.Now().Sub(b.Single.RequestedAt) > stale {
			return TooLate
		}
		if e.Address == "" && p.Email == "" {
			return NoEmail
		}
		return ""
	}
	single := b.Kind != KindMailing
	if single && !r.Now().Before(b.Single.Ends) {
		return TooLate // a link must not end before it is sent (H11)
	}
	return Unmailable(p, r.settings.Access, targets, Rules{
		Single: single, Login: single || r.mailing.Freeze.HasLogin, WithoutPassword: !single && r.mailing.Freeze.WithoutPassword,
		Addressed: e.fixedAddress(b),
	})
}

// Rules say what is asked of a recipient beside an address.
type Rules struct {
	Single          bool // one person's own mail: it may go despite do-not-email and earlier bounces (H19)
	Login           bool // the mail carries a link: the right to sign in is asked
	WithoutPassword bool // the audience was those without
	Addressed       bool // the entry has an address of its own
}

// Unmailable is the one rule of who is not mailed and why, "" for who is; the
// freeze, the preview of numbers and the delivery ask it.
func Unmailable(p *profile.Profile, access profile.Access, targets profile.Targets, rules Rules) string {
	switch {
	case p.Email == "" && !rules.Addressed:
		return NoEmail
	case rules.WithoutPassword && p.HasPassword:
		return HasPassword
	case rules.Login && p.Disabled:
		return LoginDisabled
	case rules.Login && !access.MayEnter(p, targets).Allowed:
		return NotAllowed
	case rules.Single:
		return ""
	case p.Undeliverable != nil && p.Undeliverable.Reason == BouncedForGood:
		return BouncedBefore
	case p.Undeliverable != nil:
		return OnSuppression
	case p.DoNotEmail:
		return DoNotEmail
	}
	return ""
}

// open lists the entries that have a recipient of that outcome.
func open(b *Batch, outcome Outcome) []int {
	var which []int
	for i := range b.Entries {
		if slices.ContainsFunc(b.Entries[i].Recipients, func(r Recipient) bool {
			return r.Known() == outcome
		}) {
			which = append(which, i)
		}
	}
	return which
}
