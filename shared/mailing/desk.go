package mailing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/username"
)

const (
	maxTests  = 5                    // addresses of one test
	furthest  = 366 * 24 * time.Hour // how far ahead a mailing may be scheduled
	onceKept  = 7 * 24 * time.Hour   // how long an idempotency key is remembered
	editQuiet = 10 * time.Minute     // further edits by the same person are one line of the trail
)

// Desk is what staff do with mailings. Every method is one decision on one
// mailing; the work itself is done behind the queue.
type Desk struct {
	Store Store
	Bells Bells
	Now   func() time.Time
	NewID func(time.Time) string
	// Sanitize cleans the HTML that staff compose: sanitizer.HTML.
	Sanitize func(html string) string
	Timing
	Log *slog.Logger
}

// Problems of a mailing; those of a message are message.Compile's.
var (
	errNoTemplate  = problem.New(problem.NotFound, "template_not_found", "id", "There is no such template in your organization.")
	errNoAudience  = problem.New(problem.NotFound, "audience_not_found", "id", "There is no such saved audience in your organization.")
	errReadOnly    = problem.New(problem.Refused, "read_only", "id", "This one comes with Memberkey and cannot be changed. Save a copy under a name of your own.")
	errIncomplete  = problem.New(problem.Refused, "message_incomplete", "", "The message is not complete yet: it needs a subject and a text.")
	errNotFrozen   = problem.New(problem.Conflict, "audience_not_frozen", "", "The recipients have not been counted yet. Count them, look at the numbers, and send then.")
	errOtherFreeze = problem.New(problem.Conflict, "audience_stale", "version", "The message or the recipients were changed, or counted anew, since you looked. Please look at the numbers again.")
	errEmpty       = problem.New(problem.Refused, "audience_empty", "", "Nobody of these recipients can be mailed. Look at who is skipped and why, or choose other recipients.")
	errSent        = problem.New(problem.Conflict, "already_sent", "", "This mailing was sent already. To send the same message once more, make a copy.")
	errNoSender    = problem.New(problem.Refused, "sender_missing", "", "The organization's settings name no sender address and portal address yet. Ask an administrator to fill them in.")
	errNoLink      = problem.New(problem.Refused, "no_credentials_link", "", "This mailing carries no credentials link, so there is nothing to remind of.")
)

// Action is what staff can do with a mailing that its state may forbid.
type Action string

const (
	DoEdit         Action = "edit"
	DoDelete       Action = "delete"
	DoFreeze       Action = "freeze"
	DoSend         Action = "send"
	DoPause        Action = "pause"
	DoResume       Action = "resume"
	DoCancel       Action = "cancel"
	DoRevoke       Action = "revoke-links"
	DoResendFailed Action = "resend-failed"
	DoRemind       Action = "reminders"
)

// permitted says in which states an action may be done; copy, preview and test
// may always. Doing once more what was done is in the table, and changes nothing.
var permitted = map[Action][]State{
	DoEdit:         {Draft, Scheduled},
	DoDelete:       {Draft},
	DoFreeze:       {Draft, Scheduled},
	DoSend:         {Draft, Scheduled},
	DoPause:        {Sending, WaitingQuota, Paused},
	DoResume:       {Paused, Sending},
	DoCancel:       {Scheduled, Sending, Paused, WaitingQuota, Cancelled},
	DoRevoke:       {Sending, Paused, WaitingQuota, Cancelled, Done},
	DoResendFailed: {Sending, Done},
	DoRemind:       {Sending, Paused, WaitingQuota, Cancelled, Done},
}

// Can says whether the state of a mailing lets staff do something; the console
// shows the buttons that can be pressed.
func (m *Mailing) Can(do Action) bool { return slices.Contains(permitted[do], m.State) }

// Actions are those that the state permits.
func (m *Mailing) Actions() (all []Action) {
	for _, do := range slices.Sorted(maps.Keys(permitted)) {
		if m.Can(do) {
			all = append(all, do)
		}
	}
	return all
}

func (m *Mailing) check(do Action) error {
	switch {
	case m.Can(do):
		return nil
	case do == DoSend:
		return errSent
	}
	return problem.Newf(problem.Conflict, "mailing_state", "", "This cannot be done now: the mailing is %s.", strings.ReplaceAll(string(m.State), "_", " ")).
		With("state", m.State)
}

// Edit is what staff change of a mailing; nil leaves it as it is.
type Edit struct {
	Subject  *string         `json:"subject"`
	HTML     *string         `json:"html"`
	Audience *profile.Filter `json:"audience"`
}

// View is a mailing with its message.
type View struct {
	*Mailing
	HTML string
	// Complete says that the message can be frozen: it has a subject and a text.
	Complete bool
	// Removed is what was taken out of the HTML when it was saved just now.
	Removed []string
}

// Create makes a draft. With the same key again it returns the first one.
func (d *Desk) Create(ctx context.Context, org string, by activity.Actor, key string, e Edit) (*View, error) {
	m := &Mailing{}
	content, err := d.apply(e, m, &Content{})
	if err != nil {
		return nil, err
	}
	return d.create(ctx, org, by, "create", key, m, content, nil)
}

// create stores a new draft, once per key.
func (d *Desk) create(ctx context.Context, org string, by activity.Actor, what, key string, m *Mailing, content *Content, detail map[string]string) (*View, error) {
	now := d.now()
	id := d.NewID(now)
	made := id
	err := d.Store.Update(ctx, func(tx Tx) error {
		made = id
		if key != "" {
			sum := sha256.Sum256([]byte("memberkey " + what + "\x00" + key))
			hash := hex.EncodeToString(sum[:])
			before, err := tx.Once(org, hash)
			if err != nil {
				return err
			}
			if before != "" {
				made = before
				return nil
			}
			tx.PutOnce(org, hash, id, now.Add(onceKept))
		}
		draft := Mailing{
			Organization: org, ID: id, Version: 1, Subject: m.Subject, Audience: m.Audience, RemindsOf: m.RemindsOf,
			State: Draft, CreatedAt: now, UpdatedAt: now, CreatedBy: by,
		}
		tx.PutMailing(&draft, time.Time{})
		tx.PutContent(org, id, content)
		d.note(tx, &draft, by, activity.MailingCreated, now, detail)
		return nil
	})
	if err != nil {
		return nil, err
	}
	v, err := d.Get(ctx, org, made)
	if err == nil && content.Compiled != nil {
		v.Removed = content.Compiled.Removed
	}
	return v, err
}

// Get reads a mailing with its message.
func (d *Desk) Get(ctx context.Context, org, id string) (*View, error) {
	m, err := d.Store.Mailing(ctx, org, id)
	if err != nil {
		return nil, err
	}
	c, err := d.Store.Content(ctx, org, id)
	if err != nil {
		return nil, err
	}
	return &View{Mailing: m, HTML: c.HTML, Complete: c.Compiled != nil}, nil
}

// List lists mailings, newest first.
func (d *Desk) List(ctx context.Context, org, cursor string, limit int) ([]*Mailing, string, error) {
	if len(cursor) > maxCursor {
		return nil, "", errCursor
	}
	return d.Store.Mailings(ctx, org, cursor, limit)
}

// apply makes an edit of m and returns its new content. A draft may be saved without
// subject or text, for drafts are saved while people write; everything else
// that is wrong is refused with its place (H16).
func (d *Desk) apply(e Edit, m *Mailing, c *Content) (*Content, error) {
	subject, html := m.Subject, c.HTML
	if e.Subject != nil {
		subject = *e.Subject
	}
	if e.HTML != nil {
		html = *e.HTML
	}
	compiled, err := d.compile(subject, html)
	var faults []problem.Item
	if err != nil {
		faults = itemsOf(err)
	}
	if e.Audience != nil {
		if err := e.Audience.Validate(); err != nil {
			faults = append(faults, within("audience", err)...)
		}
		m.Audience = *e.Audience
	}
	if err := problem.Several(problem.Invalid, faults); err != nil {
		return nil, err
	}
	m.Subject = subject
	return &Content{HTML: html, Compiled: compiled}, nil
}

// compile compiles a message; nil without an error where it is merely
// not complete.
func (d *Desk) compile(subject, html string) (*message.Compiled, error) {
	compiled, err := message.Compile(message.Draft{Subject: subject, HTML: html}, d.Sanitize)
	if err == nil {
		return compiled, nil
	}
	faults := slices.DeleteFunc(itemsOf(err), func(i problem.Item) bool { return i.Code == "subject_missing" || i.Code == "message_missing" })
	return nil, problem.Several(problem.Invalid, faults)
}

// itemsOf lists all faults of a problem.
func itemsOf(err error) []problem.Item {
	p := problem.As(err)
	if len(p.Problems) > 0 {
		return slices.Clone(p.Problems)
	}
	return []problem.Item{{Field: p.Field, Code: p.Code, Detail: p.Detail}}
}

// within puts the place of a part before the fields of its faults.
func within(part string, err error) []problem.Item {
	items := itemsOf(err)
	for i := range items {
		items[i].Field = strings.TrimSuffix(part+"."+items[i].Field, ".")
	}
	return items
}

// Edit changes message, audience or both, if version is still the current one.
// It discards what was frozen: staff look at the numbers anew.
func (d *Desk) Edit(ctx context.Context, org string, by activity.Actor, id string, version int, e Edit) (*View, error) {
	read, err := d.Store.Mailing(ctx, org, id)
	if err != nil {
		return nil, err
	}
	before, err := d.Store.Content(ctx, org, id)
	if err != nil {
		return nil, err
	}
	var content *Content
	err = d.Store.Update(ctx, func(tx Tx) error {
		m, err := tx.Mailing(org, id)
		if err != nil {
			return err
		}
		if err := m.check(DoEdit); err != nil {
			return err
		}
		if m.Version != version || m.Version != read.Version {
			return problem.VersionStale(m.Version, e.differs(m, before))
		}
		if content, err = d.apply(e, m, before); err != nil {
			return err
		}
		if m.State == Scheduled && content.Compiled == nil {
			return errIncomplete // it would go out by itself
		}
		now := d.now()
		m.Version++
		m.Freeze, m.PauseReason = nil, ""
		if version == 1 || now.Sub(m.UpdatedAt) > editQuiet || m.State == Scheduled {
			d.note(tx, m, by, activity.MailingEdited, now, nil)
		}
		m.UpdatedAt = now
		tx.PutMailing(m, d.nextLook(m, now))
		tx.PutContent(org, id, content)
		return nil
	})
	if err != nil {
		return nil, err
	}
	v, err := d.Get(ctx, org, id)
	if err == nil && content.Compiled != nil {
		v.Removed = content.Compiled.Removed
	}
	return v, err
}

// differs names what an edit asks for that is not what is stored.
func (e Edit) differs(m *Mailing, c *Content) []string {
	return changedFields(map[string]bool{
		"subject":  e.Subject != nil && *e.Subject != m.Subject,
		"html":     e.HTML != nil && *e.HTML != c.HTML,
		"audience": e.Audience != nil && !sameFilter(*e.Audience, m.Audience),
	})
}

func changedFields(changed map[string]bool) (fields []string) {
	for _, f := range slices.Sorted(maps.Keys(changed)) {
		if changed[f] {
			fields = append(fields, f)
		}
	}
	return fields
}

func sameFilter(a, b profile.Filter) bool {
	x, _ := json.Marshal(a) // plain words and lists: they always encode
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// Delete removes a draft, if version is still the current one.
func (d *Desk) Delete(ctx context.Context, org string, by activity.Actor, id string, version int) error {
	return d.change(ctx, org, id, DoDelete, func(tx Tx, m *Mailing, now time.Time) error {
		if m.Version != version {
			return problem.VersionStale(m.Version, nil)
		}
		tx.DeleteMailing(org, id)
		d.note(tx, m, by, activity.MailingDeleted, now, nil)
		return nil
	})
}

// change is the frame of what staff do with one mailing.
func (d *Desk) change(ctx context.Context, org, id string, do Action, fn func(tx Tx, m *Mailing, now time.Time) error) error {
	return d.Store.Update(ctx, func(tx Tx) error {
		m, err := tx.Mailing(org, id)
		if err != nil {
			return err
		}
		if err := m.check(do); err != nil {
			return err
		}
		return fn(tx, m, d.now())
	})
}

// Copy makes a draft with the same message and audience.
func (d *Desk) Copy(ctx context.Context, org string, by activity.Actor, key, id string) (*View, error) {
	m, err := d.Store.Mailing(ctx, org, id)
	if err != nil {
		return nil, err
	}
	c, err := d.Store.Content(ctx, org, id)
	if err != nil {
		return nil, err
	}
	copied := &Mailing{Subject: m.Subject, Audience: m.Audience, RemindsOf: m.RemindsOf}
	return d.create(ctx, org, by, "copy "+id, key, copied, c, map[string]string{"copyOf": id})
}

// Reminders makes a draft for those who were mailed and have not set a
// password: the same message, and each gets a further link (N6).
func (d *Desk) Reminders(ctx context.Context, org string, by activity.Actor, key, id string) (*View, error) {
	m, err := d.Store.Mailing(ctx, org, id)
	if err != nil {
		return nil, err
	}
	if err := m.check(DoRemind); err != nil {
		return nil, err
	}
	if m.Freeze == nil || !m.Freeze.HasLogin {
		return nil, errNoLink
	}
	c, err := d.Store.Content(ctx, org, id)
	if err != nil {
		return nil, err
	}
	reminder := &Mailing{Subject: m.Subject, Audience: m.Audience, RemindsOf: id}
	reminder.Audience.Login = profile.LoginNoPassword
	return d.create(ctx, org, by, "remind "+id, key, reminder, c, map[string]string{"remindsOf": id})
}

// Freeze begins to write the audience down; Audience tells how far it is.
func (d *Desk) Freeze(ctx context.Context, org string, by activity.Actor, id string) (*Audience, error) {
	settings, err := d.Store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	pace, err := d.Store.Pace(ctx)
	if err != nil {
		return nil, err
	}
	read, err := d.Store.Mailing(ctx, org, id)
	if err != nil {
		return nil, err
	}
	content, err := d.Store.Content(ctx, org, id)
	if err != nil {
		return nil, err
	}
	var frozen *Mailing
	err = d.change(ctx, org, id, DoFreeze, func(tx Tx, m *Mailing, now time.Time) error {
		if m.Version != read.Version {
			return errOtherFreeze // edited in between: the message read is not the one stored
		}
		if content.Compiled == nil {
			return errIncomplete
		}
		d.begin(tx, m, content, settings, pace, now)
		frozen = m
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.ring(ctx, freezeBell(frozen))
	return frozen.audience(), nil
}

// Audience is how far the freeze is.
type Audience struct {
	State string `json:"state"` // none, counting, ready
	// Version names this freeze; Send asks for it, so that what is sent is what
	// was looked at.
	Version  int            `json:"version"`
	Mails    int            `json:"mails"`
	Profiles int            `json:"profiles"` // all that match: mailed and skipped
	Skipped  map[string]int `json:"skipped"`  // by reason
	At       time.Time      `json:"at,omitzero"`
}

// Audience tells who will be mailed, as far as it is counted.
func (d *Desk) Audience(ctx context.Context, org, id string) (*Audience, error) {
	m, err := d.Store.Mailing(ctx, org, id)
	if err != nil {
		return nil, err
	}
	return m.audience(), nil
}

func (m *Mailing) audience() *Audience {
	f := m.Freeze
	if f == nil {
		return &Audience{State: "none", Skipped: map[string]int{}}
	}
	a := &Audience{State: "counting", Version: f.Generation, Mails: f.Mails, Profiles: f.Profiles, Skipped: f.Skipped, At: f.At}
	if f.Ready {
		a.State = "ready"
	}
	return a
}

// Preview renders the mail that one profile would get, together with whoever
// shares it, with links that open only the sample page (H16, N2). What was sent is shown as it was frozen.
func (d *Desk) Preview(ctx context.Context, org, id string, as profile.ID) (message.Rendered, error) {
	settings, err := d.Store.Organization(ctx, org)
	if err != nil {
		return message.Rendered{}, err
	}
	m, err := d.Store.Mailing(ctx, org, id)
	if err != nil {
		return message.Rendered{}, err
	}
	content, err := d.Store.Content(ctx, org, id)
	if err == nil && !m.SentAt.IsZero() {
		content, err = d.Store.Frozen(ctx, org, id, m.Generation)
	}
	if err != nil {
		return message.Rendered{}, err
	}
	if content.Compiled == nil {
		return message.Rendered{}, errIncomplete
	}
	return preview(ctx, d.Store, settings, m, content.Compiled, as, d.Now())
}

// Test mails the message as one profile would get it to addresses that the
// settings name, with a link that opens only the sample page (N2).
func (d *Desk) Test(ctx context.Context, org string, by activity.Actor, id string, as profile.ID, addresses []string) error {
	settings, err := d.Store.Organization(ctx, org)
	if err != nil {
		return err
	}
	to, err := testAddresses(settings, addresses)
	if err != nil {
		return err
	}
	if _, err := d.Preview(ctx, org, id, as); err != nil {
		return err
	}
	now := d.now()
	var bells []Bell
	batches := make([]*Batch, len(to))
	for i, address := range to {
		batches[i] = &Batch{
			Organization: org, ID: d.NewID(now), Kind: KindTest,
			Entries: []Entry{{Recipients: []Recipient{{Profile: as}}, Address: address}},
			Single:  &Single{RequestedAt: now, RequestedBy: by, TestOf: id, As: as},
		}
		bells = append(bells, batches[i].Bell())
	}
	err = d.Store.Update(ctx, func(tx Tx) error {
		for _, b := range batches {
			tx.PutBatch(b, now.Add(d.Again))
		}
		tx.AddActivity(activity.Entry{
			Organization: org, At: now, Actor: by, Kind: activity.MailingTested, Mailing: id,
			Detail: map[string]string{"as": string(as), "mails": fmt.Sprint(len(batches))},
		})
		return nil
	})
	if err != nil {
		return err
	}
	d.ring(ctx, bells...)
	return nil
}

// testAddresses checks where a test goes: to 1 to 5 of the addresses in the
// settings, each once.
func testAddresses(s *organization.Settings, asked []string) ([]string, error) {
	if len(asked) == 0 || len(asked) > maxTests {
		return nil, problem.Newf(problem.Invalid, "test_addresses", "addresses", "A test goes to 1 to %d addresses.", maxTests)
	}
	var to []string
	for _, a := range asked {
		known, ok := find(s.TestAddresses, func(t string) bool { return sameAddress(t, a) })
		if !ok {
			return nil, problem.New(problem.Refused, "test_address_unknown", "addresses",
				"Tests go only to the test addresses in the organization's settings. Choose one of those, or ask an administrator to add this one.")
		}
		address, err := username.Deliverable(known)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(to, address) {
			to = append(to, address)
		}
	}
	return to, nil
}

func sameAddress(a, b string) bool {
	_, x, errA := username.ParseEmail(a)
	_, y, errB := username.ParseEmail(b)
	return errA == nil && errB == nil && x == y
}

// Send lets a frozen mailing go, now or at a later time. version is that of
// the freeze whose numbers staff saw.
func (d *Desk) Send(ctx context.Context, org string, by activity.Actor, id string, version int, at time.Time) (*View, error) {
	settings, err := d.Store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	if settings.SenderAddress == "" || settings.PortalAddress == "" {
		return nil, errNoSender
	}
	var bells []Bell
	err = d.change(ctx, org, id, DoSend, func(tx Tx, m *Mailing, now time.Time) error {
		bells = nil
		switch f := m.Freeze; {
		case f == nil || !f.Ready && f.Generation == version:
			return errNotFrozen
		case f.Generation != version:
			return errOtherFreeze
		case f.Mails == 0:
			return errEmpty
		}
		m.SentBy = by
		if at.IsZero() {
			m.SendAt = time.Time{}
			d.note(tx, m, by, activity.MailingSent, now, map[string]string{"mails": fmt.Sprint(m.Freeze.Mails), "profiles": fmt.Sprint(m.Freeze.Profiles)})
			var err error
			bells, err = d.start(tx, m, now)
			return err
		}
		switch {
		case !at.After(now):
			return problem.New(problem.Invalid, "schedule_past", "at", "This time has passed. Choose a later one, or send now.")
		case at.Sub(now) > furthest:
			return problem.New(problem.Invalid, "schedule_far", "at", "A mailing can be scheduled at most a year ahead.")
		}
		m.State, m.SendAt, m.PauseReason, m.UpdatedAt = Scheduled, at.UTC().Truncate(time.Millisecond), "", now
		d.note(tx, m, by, activity.MailingSent, now, map[string]string{"at": m.SendAt.Format(time.RFC3339)})
		tx.PutMailing(m, d.nextLook(m, now))
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.ring(ctx, bells...)
	return d.Get(ctx, org, id)
}

// Pause stops a mailing at its next batch.
func (d *Desk) Pause(ctx context.Context, org string, by activity.Actor, id string) (*View, error) {
	return d.flip(ctx, org, by, id, DoPause, activity.MailingPaused, func(tx Tx, m *Mailing, now time.Time) ([]Bell, bool, error) {
		if m.State == Paused {
			return nil, false, nil
		}
		m.State, m.PauseReason = Paused, ""
		return nil, true, nil
	})
}

// Resume lets a paused mailing go on.
func (d *Desk) Resume(ctx context.Context, org string, by activity.Actor, id string) (*View, error) {
	return d.flip(ctx, org, by, id, DoResume, activity.MailingResumed, func(tx Tx, m *Mailing, now time.Time) ([]Bell, bool, error) {
		if m.State == Sending {
			return nil, false, nil
		}
		m.State, m.PauseReason = Sending, ""
		bells, err := d.wake(tx, m, now)
		return bells, true, err
	})
}

// Cancel ends a mailing: what was not tried is skipped. A scheduled one becomes
// a draft again.
func (d *Desk) Cancel(ctx context.Context, org string, by activity.Actor, id string) (*View, error) {
	return d.flip(ctx, org, by, id, DoCancel, activity.MailingCancelled, func(tx Tx, m *Mailing, now time.Time) ([]Bell, bool, error) {
		switch m.State {
		case Cancelled:
			return nil, false, nil
		case Scheduled:
			m.State, m.SendAt, m.SentBy = Draft, time.Time{}, activity.Actor{}
			return nil, true, nil
		}
		m.State, m.PauseReason = Cancelled, ""
		bells, err := d.wake(tx, m, now)
		return bells, true, err
	})
}

// flip changes the state of a mailing and rings what follows from it.
func (d *Desk) flip(ctx context.Context, org string, by activity.Actor, id string, do Action, did activity.Kind, fn func(tx Tx, m *Mailing, now time.Time) ([]Bell, bool, error)) (*View, error) {
	var bells []Bell
	err := d.change(ctx, org, id, do, func(tx Tx, m *Mailing, now time.Time) error {
		var changed bool
		var err error
		if bells, changed, err = fn(tx, m, now); err != nil || !changed {
			return err
		}
		m.UpdatedAt = now
		tx.PutMailing(m, d.nextLook(m, now))
		d.note(tx, m, by, did, now, nil)
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.ring(ctx, bells...)
	return d.Get(ctx, org, id)
}

// RevokeLinks ends every unused link that the mailing has sent so far (H18).
func (d *Desk) RevokeLinks(ctx context.Context, org string, by activity.Actor, id string) (*View, error) {
	return d.flip(ctx, org, by, id, DoRevoke, activity.LinksRevoked, func(_ Tx, m *Mailing, now time.Time) ([]Bell, bool, error) {
		m.LinksRevokedAt = now
		return nil, true, nil
	})
}

// Resent tells how far ResendFailed came.
type Resent struct {
	Profiles int  `json:"profiles"` // that go again
	Complete bool `json:"complete"` // false: asking again goes on with the rest
}

// resending is how long one call of ResendFailed begins further batches: API
// Gateway gives no request more than 30 seconds.
const resending = 20 * time.Second

// ResendFailed lets those whose mail failed go again, in their own batches, so
// that every profile is still counted once (N14).
func (d *Desk) ResendFailed(ctx context.Context, org string, by activity.Actor, id string) (*Resent, error) {
	stopAt := d.Now().Add(resending)
	m, err := d.Store.Mailing(ctx, org, id)
	if err != nil {
		return nil, err
	}
	if err := m.check(DoResendFailed); err != nil {
		return nil, err
	}
	lanes, err := d.Store.Lanes(ctx, org, id, m.Generation)
	if err != nil {
		return nil, err
	}
	resent := &Resent{Complete: true}
	for _, lane := range lanes {
		for from, more := 0, lane.Tally[Failed] > 0; more; {
			var batches []*Batch
			if batches, more, err = d.Store.Batches(ctx, org, id, m.Generation, lane.Number, from, 100); err != nil {
				return nil, err
			}
			for part := range slices.Chunk(slices.DeleteFunc(slices.Clone(batches), func(b *Batch) bool { return b.Tally()[Failed] == 0 }), 16) {
				n, err := d.resend(ctx, m, lane.Number, part, by, resent.Profiles == 0)
				if err != nil {
					return nil, err
				}
				resent.Profiles += n
			}
			if len(batches) > 0 {
				from = batches[len(batches)-1].Index + 1
			}
			if d.Now().After(stopAt) {
				resent.Complete = false
				return resent, nil
			}
		}
	}
	return resent, nil
}

// resend puts the failed recipients of some batches of a lane back to pending.
// The sweep rings for such batches; the lane itself has done its work.
func (d *Desk) resend(ctx context.Context, read *Mailing, lane int, names []*Batch, by activity.Actor, first bool) (n int, err error) {
	var bells []Bell
	err = d.change(ctx, read.Organization, read.ID, DoResendFailed, func(tx Tx, m *Mailing, now time.Time) error {
		n, bells = 0, nil
		if m.Generation != read.Generation {
			return errOtherFreeze
		}
		l, err := tx.Lane(m.Organization, m.ID, m.Generation, lane)
		if l == nil || err != nil {
			return err
		}
		for _, name := range names {
			b, err := tx.Batch(*name)
			if err != nil {
				return err
			}
			if b == nil || b.State == BatchIntent {
				continue
			}
			again := 0
			for i := range b.Entries {
				e := &b.Entries[i]
				for k := range e.Recipients {
					if r := &e.Recipients[k]; r.Outcome == Failed {
						if r.Reason == NotConfirmed && !e.inDoubt() {
							e.At = b.At
						}
						r.Outcome, r.Reason = "", ""
						e.Attempts = 0
						again++
					}
				}
			}
			if again == 0 {
				continue
			}
			n += again
			b.State = settledState(b)
			l.Tally.Add(Tally{Pending: again, Failed: -again})
			tx.PutBatch(b, now)
			bells = append(bells, Bell{V: 1, Kind: RingBatch, Organization: b.Organization, Mailing: b.Mailing, Generation: b.Generation, Lane: b.Lane, Index: b.Index})
		}
		if n == 0 {
			return nil
		}
		if err := tx.PutTally(l); err != nil {
			return err
		}
		if m.State == Done {
			m.State, m.DoneAt, m.UpdatedAt = Sending, time.Time{}, now
		}
		tx.PutMailing(m, d.nextLook(m, now))
		if first {
			d.note(tx, m, by, activity.MailingSent, now, map[string]string{"again": "failed"})
		}
		return nil
	})
	if err == nil && len(bells) > 0 {
		d.ring(ctx, bells...)
	}
	return n, err
}

// ring rings; a bell that is lost is rung again by the sweep.
func (d *Desk) ring(ctx context.Context, bells ...Bell) {
	if len(bells) == 0 {
		return
	}
	if err := d.Bells.Ring(ctx, bells...); err != nil {
		d.Log.WarnContext(ctx, "bells not rung; the sweep will", "kind", bells[0].Kind, "mailing", bells[0].Mailing, "error", err)
	}
}

func (d *Desk) note(tx Tx, m *Mailing, by activity.Actor, did activity.Kind, now time.Time, detail map[string]string) {
	tx.AddActivity(activity.Entry{
		Organization: m.Organization, At: now, Actor: by, Kind: did, Mailing: m.ID, Detail: detail,
	})
}

func (d *Desk) now() time.Time { return d.Now().Truncate(time.Millisecond) }
