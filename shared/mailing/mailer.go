package mailing

import "context"

// Mail is one rendered mail.
type Mail struct {
	To string // deliverable address
	// Data is the template data: {"subject":…,"html":…,"text":…} as JSON.
	Data []byte
	// Tag names batch and entry (see [Tag]); events come back with it.
	Tag string
}

// Call is one hand-over to the mail service: up to 50 mails of one organization.
type Call struct {
	Organization string
	From         string // formatted sender
	ReplyTo      string
	Mailing      string // "" for single mails
	Mails        []Mail
}

// Fault is what became of one mail at hand-over.
type Fault int

const (
	// Taken: the service will send it.
	Taken Fault = iota
	// Throttled: surely not taken, and no fault of the recipient's.
	Throttled
	// Transient: surely not taken; may be tried a few times.
	Transient
	// Unclear: refused with a text that tells nothing; tried once more.
	Unclear
	// Rejected: this mail can never be sent.
	Rejected
	// Misconfigured: nobody can be mailed until the set-up is mended.
	Misconfigured
	// QuotaUsed: nobody can be mailed until the day's quota has room.
	QuotaUsed
	// Unknown: it may or may not have been taken.
	Unknown
)

// Receipt answers for one mail of a call.
type Receipt struct {
	Fault     Fault
	MessageID string // when Taken
	Reason    string // a stable code or the service's words, without addresses
}

// Account is what the mail service grants.
type Account struct {
	Rate        float64 // mails a second; 0 is no limit
	DailyQuota  float64 // mails in 24 hours; 0 or less is no limit
	SentLastDay float64
	Enabled     bool
	Reason      string // why not enabled, or a stable word on what is limited ("sandbox")
}

// Mailer is the mail service. Send answers for every mail, in order; it never
// sends a mail twice by itself, and keeps no part of the call once it has
// answered: the next one is made in the same memory.
type Mailer interface {
	Send(ctx context.Context, call Call) []Receipt
}

// Accounts tells what the mail service grants now.
type Accounts interface {
	Account(ctx context.Context) (Account, error)
}

// Bells are the queues. A bell that cannot be rung is no loss: the sweep rings again.
type Bells interface {
	Ring(ctx context.Context, bells ...Bell) error
}
