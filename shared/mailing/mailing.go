// Package mailing gets mail out: to one person or to a hundred thousand, none
// lost, none sent twice blindly, and every one accounted for.
//
// Every mail is an [Entry] of a [Batch] that is written in the same transaction
// as what it announces; a [Bell] only says that there is work. A mailing goes
// through these steps:
//
//  1. Staff compose: message and audience ([Mailing], state draft).
//  2. Freeze (freeze.go): the audience is walked in order of mailbox and written
//     down as batches, in lanes; who cannot be mailed is skipped with the reason.
//  3. Send: the state flips and the lanes are rung.
//  4. Deliver (lane.go, deliver.go; who is mailed, prepare.go; what, render.go
//     and, for staff to look at, preview.go):
//     whoever holds a [Lane] works its batches in order:
//     read who, mint links, write the intent, call SES once, write the outcomes.
//  5. Settle (sweep.go): what SES may or may not have taken is uncertain, waits
//     for events, and only then is sent again, with a further link.
//  6. The mailing is done when every lane has finished and nothing is pending
//     or uncertain.
//
// At every moment the outcomes add up to the frozen audience (H15).
package mailing

import (
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/profile"
)

// State is where a mailing stands.
type State string

const (
	Draft        State = "draft"
	Scheduled    State = "scheduled" // will freeze anew and send at SendAt
	Sending      State = "sending"
	Paused       State = "paused"        // by staff, or by a set-up fault: PauseReason tells
	WaitingQuota State = "waiting_quota" // the day's quota is used up; goes on by itself
	Cancelled    State = "cancelled"
	Done         State = "done"
)

// Mailing is a message that staff compose and send to an audience.
type Mailing struct {
	Organization string `json:"organization"`
	ID           string `json:"id"`
	Version      int    `json:"version"` // moves by what staff edit: message, audience

	Subject  string         `json:"subject"`
	Audience profile.Filter `json:"audience"`
	// RemindsOf is the mailing whose recipients without a password this one reminds.
	RemindsOf string `json:"remindsOf,omitempty"`

	State       State   `json:"state"`
	PauseReason string  `json:"pauseReason,omitempty"`
	Freeze      *Freeze `json:"freeze,omitempty"`
	// Generation counts freezes; batches of an earlier one are never looked at again.
	Generation int `json:"generation"`

	SendAt    time.Time `json:"sendAt,omitzero"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	SentAt    time.Time `json:"sentAt,omitzero"` // staff pressed Send, or the schedule did
	DoneAt    time.Time `json:"doneAt,omitzero"`
	// LinksRevokedAt ends all links minted before (H18).
	LinksRevokedAt time.Time      `json:"linksRevokedAt,omitzero"`
	CreatedBy      activity.Actor `json:"createdBy"`
	SentBy         activity.Actor `json:"sentBy,omitzero"`
}

// Content is the body of a mailing. It stands apart from the mailing, because
// the mailing is read for every batch.
type Content struct {
	HTML     string            `json:"html"` // as the editor gave it
	Compiled *message.Compiled `json:"compiled"`
}

// Freeze is the audience, written down.
type Freeze struct {
	Generation int  `json:"generation"`
	Ready      bool `json:"ready"`
	// Cursor is the sort key of the last profile walked; the walk goes on from there.
	Cursor   string         `json:"cursor,omitempty"`
	Mails    int            `json:"mails"`
	Profiles int            `json:"profiles"` // walked and matched: mailed and skipped
	Skipped  map[string]int `json:"skipped"`  // by reason
	Lanes    int            `json:"lanes"`
	Batches  int            `json:"batches"`
	PerLane  []int          `json:"perLane"` // profiles waiting in each lane, until the lanes are written
	PerBatch int            `json:"perBatch"`
	At       time.Time      `json:"at"`
	// WithoutPassword: the audience was those without one, so who has one by
	// the time the batch is claimed is skipped (H14).
	WithoutPassword bool `json:"withoutPassword"`
	HasLogin        bool `json:"hasLogin"` // the message carries the credentials link
}

// Outcome is what became of one profile in a mailing.
type Outcome string

const (
	Pending    Outcome = "pending"
	Sent       Outcome = "sent"
	Delivered  Outcome = "delivered"
	Bounced    Outcome = "bounced"
	Complained Outcome = "complained"
	Failed     Outcome = "failed"
	Skipped    Outcome = "skipped"
	Uncertain  Outcome = "uncertain"
)

// Outcomes are all of them, in the order in which they are shown.
var Outcomes = []Outcome{Pending, Sent, Delivered, Bounced, Complained, Failed, Skipped, Uncertain}

// Reasons of skipping. They are stable codes, listed in infra/openapi.yaml.
const (
	NoEmail       = "no_email"
	BouncedBefore = "undeliverable" // an earlier mail came back
	OnSuppression = "suppressed"
	DoNotEmail    = "do_not_email"
	NotAllowed    = "not_allowed" // may not sign in
	LoginDisabled = "disabled"
	HasPassword   = "has_password" // and the audience was those without
	Gone          = "gone"         // no such profile any more
	BadAddress    = "invalid_address"
	TwiceListed   = "listed_twice" // moved to another mailbox during the freeze, and stands there, too
	TooLate       = "too_late"     // its link would have ended before it was sent
	WasCancelled  = "cancelled"
)

// Reasons of failing beside what the mail service says.
const (
	NotConfirmed = "not_confirmed" // nobody ever heard of it again
	NotRendered  = "not_rendered"  // the message is not there any more, or the service could not make the mail
)

// What the mail service tells of a mail that it took. An address that bounced
// for good, was complained about, or is OnSuppression, is bad from then on.
const (
	BouncedForGood = "bounced"
	BouncedForNow  = "bounced_for_now"
	ComplainedOf   = "complained"
	RefusedLater   = "rejected"
)

// Recipient is one profile of an entry.
type Recipient struct {
	Profile profile.ID `json:"p"`
	Outcome Outcome    `json:"o,omitempty"` // "" is pending
	Reason  string     `json:"r,omitempty"` // why skipped, failed or bounced
}

// Entry is one mail to one address for one or more profiles.
type Entry struct {
	Recipients []Recipient `json:"r"`
	// Address is written with the intent: where this mail goes. Notices of a
	// changed address carry it from the start.
	Address   string `json:"a,omitempty"`
	MessageID string `json:"m,omitempty"` // SES's
	// Attempts counts the calls that took it, or may have.
	Attempts int `json:"n,omitempty"`
	// At is when an uncertain entry went once more by itself; it stays, for
	// it also says that an earlier call may have taken the mail.
	At time.Time `json:"t,omitzero"`
	// Taken: somebody already has the mailbox as username, so a profile
	// without one chooses another on opening the link (H13).
	Taken bool `json:"u,omitempty"`
}

// BatchState is where a batch stands.
type BatchState string

const (
	BatchPending   BatchState = ""          // nothing has been tried
	BatchIntent    BatchState = "intent"    // a send was about to start; only its holder may go on
	BatchUncertain BatchState = "uncertain" // some entries may or may not have been taken
	BatchRetry     BatchState = "retry"     // some entries were surely not taken and go again
	BatchFinished  BatchState = "finished"
)

// Kind is what a batch announces.
type Kind string

const (
	KindMailing Kind = ""
	KindReset   Kind = "reset"
	KindForgot  Kind = "forgot"
	KindRenewal Kind = "renewal"
	KindNotice  Kind = "notice"
	KindTest    Kind = "test"
)

// Batch is the unit of sending, recording and recovery: up to 50 entries that
// go to SES in one call. A single mail is a batch of one.
type Batch struct {
	Organization string `json:"-"`
	// A mailing's batch is named by mailing, generation, lane and index; a
	// single one by ID alone.
	Mailing    string `json:"-"`
	Generation int    `json:"-"`
	Lane       int    `json:"-"`
	Index      int    `json:"-"`
	ID         string `json:"-"`

	Kind    Kind       `json:"k,omitempty"`
	State   BatchState `json:"s,omitempty"`
	Entries []Entry    `json:"e"`
	// Fence is that of the holder who wrote the intent.
	Fence int       `json:"f,omitempty"`
	Page  string    `json:"g,omitempty"` // link page of the latest intent
	At    time.Time `json:"t,omitzero"`  // of the latest intent
	Ends  time.Time `json:"d,omitzero"`  // of the links of that page

	Single *Single `json:"x,omitempty"`
}

// Single is what a batch of one carries beside its entry.
type Single struct {
	RequestedAt time.Time      `json:"requestedAt"`
	RequestedBy activity.Actor `json:"requestedBy"`
	// Ends is when the link ends: request time plus lifetime, kept by every repeat (H11).
	Ends time.Time `json:"ends,omitzero"`
	// Behind marks one of many that nobody waits for, such as the notices of an
	// import: it goes at the pace of mailings, behind the mails of one person.
	Behind bool `json:"behind,omitempty"`
	// Notice tells what changed (H5b).
	Notice *message.Notice `json:"notice,omitempty"`
	// Test is a test of a mailing: the mailing and whom it is shown as.
	TestOf string     `json:"testOf,omitempty"`
	As     profile.ID `json:"as,omitempty"`
	// ToContact is the main contact to whose address, given with the entry, a
	// reset of an organization without an email goes (U9).
	ToContact profile.ID `json:"toContact,omitempty"`
	// Earlier is the link that still worked when a reset was asked for.
	Earlier *LastLink `json:"earlier,omitempty"`
	// LastReason tells why the latest try did not succeed.
	LastReason string `json:"lastReason,omitempty"`
}

// Tally counts outcomes.
type Tally map[Outcome]int

// Lane is one of the few parallel lines in which a mailing's batches are
// delivered. Whoever raises its fence under an unexpired lease holds it.
type Lane struct {
	Organization string `json:"-"`
	Mailing      string `json:"-"`
	Generation   int    `json:"-"`
	Number       int    `json:"-"`

	Fence      int       `json:"fence"`
	LeaseUntil time.Time `json:"leaseUntil,omitzero"`
	Next       int       `json:"next"` // index below which every batch of the lane has been worked
	Finished   bool      `json:"finished"`
	// Tally sums the outcomes of the lane's batches; it changes only in the
	// transaction that changes a batch, so it is their sum at every moment.
	Tally Tally `json:"tally"`
}

// Stretch is one step of the freeze: which batches it wrote, and whom it
// skipped. It finds the batch of a profile by its place in mailbox order.
type Stretch struct {
	Organization string
	Mailing      string
	Generation   int
	First        string // sort key of the first profile walked
	Last         string // and of the last
	FirstBatch   int
	Starts       []string // sort key of the first profile of each batch
	SkippedNow   []Skip
	At           time.Time
}

// Skip is a profile of the audience that cannot be mailed.
type Skip struct {
	Profile profile.ID
	Reason  string
}

// Timing is how long things take; the laptop and AWS differ in it alone.
type Timing struct {
	Lease  time.Duration // a lane's holder that was not heard of for so long is dead; longer than Budget and one call
	Grace  time.Duration // how long uncertain mails wait for events before they go again
	Budget time.Duration // no new step is begun after so long
	Again  time.Duration // how long a bell may take before the sweep rings once more
}

// BellKind says what is to be done.
type BellKind string

const (
	RingLane    BellKind = "lane"    // work a lane's batches
	RingSingle  BellKind = "single"  // send a batch of one
	RingBatch   BellKind = "batch"   // go on with a batch that was uncertain
	RingFreeze  BellKind = "freeze"  // walk an audience
	RingRequest BellKind = "request" // a member asked for forgot login
)

// Bell is a queue message: it names a lane, a batch of one or a request, and
// nothing else, so no queue, log or dead letter ever holds a token or an address.
type Bell struct {
	V            int      `json:"v"`
	Kind         BellKind `json:"kind"`
	Organization string   `json:"organization"`
	Mailing      string   `json:"mailing,omitempty"`
	Generation   int      `json:"generation,omitempty"`
	Lane         int      `json:"lane,omitempty"`
	Index        int      `json:"index,omitempty"`
	ID           string   `json:"id,omitempty"`
	// Behind says that a single batch belongs on the bulk queue ([Single.Behind]).
	Behind bool `json:"behind,omitempty"`
}

// Request is a forgot-login request, worked behind the queue (H12).
type Request struct {
	Organization string         `json:"-"`
	ID           string         `json:"-"`
	Entered      string         `json:"entered"` // address or username as entered, at most 254 bytes
	At           time.Time      `json:"at"`
	Actor        activity.Actor `json:"actor"`
	// RenewFor is whose dead link asked for a new one ("send me a new one").
	RenewFor profile.ID `json:"renewFor,omitempty"`
}

// LastLink is the latest link mail of a profile, as staff are shown it (H2).
type LastLink struct {
	State   Outcome   `json:"state"`
	Address string    `json:"address,omitempty"`
	SentAt  time.Time `json:"sentAt"`
	EndsAt  time.Time `json:"endsAt"`
	Mailing string    `json:"mailing,omitempty"`
	Reason  string    `json:"reason,omitempty"`
}
