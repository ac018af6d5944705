// Package mailbox is the mail service of one laptop: it takes mails as SES
// would, keeps them to look at, and tells by events what became of them.
//
//	service, err := mailbox.Open(folder, mailbox.Options{Faults: faults})
//	go service.Publish(ctx, handle)       // events, at least once
//	mux.Handle("/local/mailbox", service.Handler()) // and below it
//	mux.Handle("/local/ses/", http.StripPrefix("/local/ses", ses.New(service)))
//
// Package infra/local/ses puts SES's own HTTP before it, which the system
// sends by. [Service.Send] is what that calls in the end; benchmarks that
// measure something else call it directly.
//
// It is a service apart: what it keeps lies in files of its own, and nothing
// of Memberkey's database. A process that is killed after a call was taken and
// before the outcome was stored therefore finds, when it starts again, that
// the mails are here and the outcomes are not; just as with SES.
//
// # Addresses
//
// Mail to most addresses is delivered. As with SES's mailbox simulator, the
// local part (up to a "+", which may be followed by anything) of an address
// at simulator.example decides what happens to it:
//
//	success          delivered
//	bounce           bounces for good
//	mailboxfull      bounces, transiently
//	complaint        delivered, and the person complains
//	suppressionlist  bounces, because SES's own list has the address
//	delay            delivered, after a delay that is told
//	reject           not sent, for what is in it
//
// An address that bounced for good or complained stands on the suppression
// list from then on: mails to it bounce unsent until [Service.Release]. The
// addresses at simulator.amazonses.com do the same, but never go on the list;
// SES leaves them off it, too.
package mailbox

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net/mail"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memberkey/memberkey/shared/mailing"
)

const (
	// maxRequest is SES's limit of one SendBulkEmail request.
	maxRequest = 1 << 20
	// entryOverhead is what an entry of a request has besides address, tag and
	// data: names of members, brackets, the tag of the organization.
	entryOverhead = 220
	// Sandbox figures of a new SES account.
	sandboxRate  = 1
	sandboxQuota = 200
)

// Options are what the account grants and how much is kept.
type Options struct {
	Rate       float64 // mails a second; 0 is no limit
	DailyQuota float64 // mails in any 24 hours; 0 is no limit
	// Sandbox is an account without production access: 1 mail a second and 200
	// a day, unless Rate or DailyQuota say otherwise, and only to Verified
	// addresses or domains and the simulator's.
	Sandbox  bool
	Verified []string

	// ConfigurationSet is the name under which events are published; "" is "local".
	ConfigurationSet string

	Faults Faults
	// Events are the types that are published, by the names in SES's JSON
	// ("Delivery", "Rendering Failure"), as an event destination selects them.
	// nil is all of them.
	Events []string

	Keep       int   // mails kept to look at, the newest; 0 is 200,000
	KeepBytes  int64 // bytes of their content; 0 is 1 GiB
	KeepLedger int   // mails of which address, tag and fate are kept; 0 is 2,000,000
	// Discard counts the mails and keeps nothing: no content, no ledger, no
	// events. It is for measuring everything else.
	Discard bool

	Log  *slog.Logger     // nil is slog.Default()
	Now  func() time.Time // nil is time.Now
	Rand io.Reader        // names a new folder's message ids; nil is crypto/rand
}

// Service is the mail service. It is safe for concurrent use; one process at a
// time may have a folder open.
type Service struct {
	opts     Options
	faults   atomic.Pointer[Faults]
	calls    atomic.Uint64 // numbers the calls, for the faults' dice
	accepted atomic.Int64
	suffix   string // of message ids
	events   eventSet

	gate gate

	mu       sync.Mutex // guards what follows
	next     uint64     // the sequence number of the next mail
	ledger   ledger
	bodies   bodies
	cursor   cursor
	blocked  suppression
	mailings recent
	failed   error // os.ErrClosed once it is closed

	// reading is held by readers of files and, exclusively, while a file is
	// let go. It is taken after mu.
	reading sync.RWMutex
	bell    chan struct{} // there may be something to publish
}

var (
	_ mailing.Mailer   = (*Service)(nil)
	_ mailing.Accounts = (*Service)(nil)
)

// Open opens the folder, which is made where there is none. Whatever a killed
// process left half-written is cut off: such a call had no answer yet.
//
// Nothing is ever synced to the device. Written pages belong to the operating
// system, so they survive the death of the process at any moment, which is
// what this service is there to stand; only a machine that stops may lose the
// last seconds.
func Open(dir string, opts Options) (*Service, error) {
	opts.defaults()
	s := &Service{opts: opts, bell: make(chan struct{}, 1)}
	var err error
	if s.events, err = parseEvents(opts.Events); err != nil {
		return nil, err
	}
	s.SetFaults(opts.Faults)
	s.gate.verified = opts.Verified
	if opts.Discard {
		s.next = 1
		return s, s.name(nil)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mailbox: %w", err)
	}
	if err := s.open(dir); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Service) open(dir string) error {
	s.bodies = bodies{dir: dir, maxMails: s.opts.Keep, maxBytes: s.opts.KeepBytes}
	if err := s.bodies.open(); err != nil {
		return err
	}
	s.ledger = ledger{dir: dir, max: s.opts.KeepLedger}
	yesterday := s.opts.Now().Add(-24 * time.Hour)
	err := s.ledger.open(s.opts.Log, func(r *record) {
		s.bodies.found(r)
		s.mailings.add(r.organization, r.mailing, len(r.entries), r.at)
		if r.at.After(yesterday) {
			s.gate.day.add(r.at, len(r.entries))
		}
	})
	if err != nil {
		return err
	}
	if err := s.bodies.opened(); err != nil {
		return err
	}
	if err := s.name(s.ledger.nonce); err != nil {
		return err
	}
	s.ledger.nonce = s.nonce()
	s.next = s.ledger.next()
	s.calls.Store(s.next) // other dice than after the last start
	if err := s.blocked.open(filepath.Join(dir, "suppressed.log"), s.opts.Log); err != nil {
		return err
	}
	return s.cursor.open(filepath.Join(dir, "cursor"), s.ledger.first(), s.next)
}

// name makes the suffix that tells this folder's message ids from another's.
func (s *Service) name(nonce []byte) error {
	if nonce == nil {
		nonce = make([]byte, nonceSize)
		if _, err := io.ReadFull(s.opts.Rand, nonce); err != nil {
			return fmt.Errorf("mailbox: %w", err)
		}
	}
	s.suffix = "-" + hex.EncodeToString(nonce) + "-000000"
	return nil
}

func (s *Service) nonce() []byte {
	nonce, _ := hex.DecodeString(s.suffix[1 : 1+2*nonceSize])
	return nonce
}

func (o *Options) defaults() {
	if o.Sandbox && o.Rate == 0 {
		o.Rate = sandboxRate
	}
	if o.Sandbox && o.DailyQuota == 0 {
		o.DailyQuota = sandboxQuota
	}
	if o.ConfigurationSet == "" {
		o.ConfigurationSet = "local"
	}
	if o.Keep <= 0 {
		o.Keep = 200_000
	}
	if o.KeepBytes <= 0 {
		o.KeepBytes = 1 << 30
	}
	if o.KeepLedger <= 0 {
		o.KeepLedger = 2_000_000
	}
	// The ledger says where the content lies.
	o.KeepLedger = max(o.KeepLedger, o.Keep)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
}

// Close lets the files go. Calls that come later are refused.
func (s *Service) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.failed != nil {
		return nil
	}
	s.failed = os.ErrClosed
	s.ring()
	return errors.Join(s.ledger.close(), s.bodies.close(), s.cursor.close(), s.blocked.close())
}

// SetFaults exchanges the faults from the next call on.
func (s *Service) SetFaults(f Faults) {
	s.faults.Store(&f)
	rate, quota := s.opts.Rate, s.opts.DailyQuota
	if f.Rate > 0 {
		rate = f.Rate
	}
	if f.Quota > 0 {
		quota = f.Quota
	}
	s.gate.grant(rate, quota)
}

// Account tells what is granted and how much of the day's quota is used.
func (s *Service) Account(context.Context) (mailing.Account, error) {
	a := mailing.Account{Enabled: true}
	a.Rate, a.DailyQuota, a.SentLastDay = s.gate.account(s.opts.Now())
	if s.faults.Load().Pause {
		a.Enabled, a.Reason = false, SendingPaused
	}
	return a, nil
}

// Sandbox says whether the account has no production access.
func (s *Service) Sandbox() bool { return s.opts.Sandbox }

// ConfigurationSet is the one that publishes events.
func (s *Service) ConfigurationSet() string { return s.opts.ConfigurationSet }

// MayFrom says whether mail may come from the address: in a sandbox only from
// those that are verified; elsewhere every sender counts as verified.
func (s *Service) MayFrom(address string) bool {
	_, domain, _ := strings.Cut(address, "@")
	return !s.opts.Sandbox || s.gate.isVerified(address, domain)
}

// Accepted is how many mails were taken since Open.
func (s *Service) Accepted() int64 { return s.accepted.Load() }

// Reasons in the receipts of [Service.Send]: SES's words for an entry, in lower
// case. infra/local/ses writes them as SES does.
const (
	SendingPaused    = "account_sending_paused"
	Throttled        = "account_throttled"
	QuotaExceeded    = "account_daily_quota_exceeded"
	TransientFailure = "transient_failure"
	UnclearFailure   = "failed"
	MessageRejected  = "message_rejected"
	NotVerified      = "address_not_verified" // MESSAGE_REJECTED of a sandbox
	InvalidAddress   = "invalid_address"      // INVALID_PARAMETER
	InvalidData      = "invalid_template_data"
	SenderInvalid    = "mail_from_domain_not_verified"
	TooManyMails     = "too_many_destinations"
	RequestTooLarge  = "request_too_large"
	AnswerLost       = "answer_lost"
)

// parcel is a mail of a call on its way in.
type parcel struct {
	index int // in the call
	entry
}

// Send takes a call as SES takes a SendBulkEmail request: whole or, for what
// its limits are, in parts. What its receipt calls [mailing.Taken] is kept and
// will have its events.
func (s *Service) Send(ctx context.Context, call mailing.Call) []mailing.Receipt {
	receipts := make([]mailing.Receipt, len(call.Mails))
	if len(receipts) == 0 {
		return receipts
	}
	faults := s.faults.Load()
	dice := faults.dice(s.calls.Add(1))
	if reason := refusal(&call); reason != "" {
		// A request that is refused as a whole says little about a mail of many.
		fault := mailing.Unclear
		switch {
		case reason == SenderInvalid:
			fault = mailing.Misconfigured
		case len(receipts) == 1:
			fault = mailing.Rejected
		}
		return fill(receipts, fault, reason)
	}
	if faults.Pause {
		return fill(receipts, mailing.Misconfigured, SendingPaused)
	}
	if dice.hit(faults.Lose) {
		wait(ctx, faults.Slow)
		return fill(receipts, mailing.Unknown, AnswerLost)
	}
	drop := dice.hit(faults.Drop)

	parcels := make([]parcel, 0, len(receipts))
	for i := range call.Mails {
		p, receipt := s.look(&call.Mails[i], faults, dice)
		if receipts[i] = receipt; receipt.Reason == "" {
			p.index = i
			parcels = append(parcels, p)
		}
	}
	parcels = s.admit(parcels, receipts)
	if len(parcels) > 0 {
		if first, err := s.keep(&call, parcels); err != nil {
			s.gate.giveBack(s.opts.Now(), len(parcels))
			s.opts.Log.ErrorContext(ctx, "a call was not kept", "error", err)
			for _, p := range parcels {
				receipts[p.index] = mailing.Receipt{Fault: mailing.Transient, Reason: TransientFailure}
			}
		} else {
			s.accepted.Add(int64(len(parcels)))
			s.number(receipts, parcels, first)
		}
	}
	// Slow is the time between taking the mails and saying so.
	if !wait(ctx, faults.Slow) || drop {
		return fill(receipts, mailing.Unknown, AnswerLost)
	}
	return receipts
}

// look judges one mail by itself. A receipt with a reason refuses it.
func (s *Service) look(m *mailing.Mail, faults *Faults, dice *dice) (parcel, mailing.Receipt) {
	refuse := func(fault mailing.Fault, reason string) (parcel, mailing.Receipt) {
		return parcel{}, mailing.Receipt{Fault: fault, Reason: reason}
	}
	local, domain, ok := splitAddress(m.To)
	if !ok {
		return refuse(mailing.Rejected, InvalidAddress)
	}
	if s.opts.Sandbox && !s.gate.mayReceive(m.To, domain) {
		return refuse(mailing.Rejected, NotVerified)
	}
	switch {
	case dice.hit(faults.Throttle):
		return refuse(mailing.Throttled, Throttled)
	case dice.hit(faults.Transient):
		return refuse(mailing.Transient, TransientFailure)
	case dice.hit(faults.Fail):
		return refuse(mailing.Unclear, UnclearFailure)
	case dice.hit(faults.Reject):
		return refuse(mailing.Rejected, MessageRejected)
	}
	p := parcel{entry: entry{to: m.To, tag: m.Tag}}
	if s.opts.Discard {
		return p, mailing.Receipt{}
	}
	whole, valid := variables(m.Data)
	if !valid {
		return refuse(mailing.Rejected, InvalidData)
	}
	switch {
	case !whole:
		// SES answers SUCCESS, and tells by an event that it made no mail.
		p.fate = notRendered
	case dice.hit(faults.Bounce):
		p.fate = bounced
	case dice.hit(faults.Complaint):
		p.fate = complained
	default:
		p.fate = simulated(local, domain)
	}
	p.size, p.sum = uint32(len(m.Data)), crc32.Checksum(m.Data, castagnoli)
	return p, mailing.Receipt{}
}

// admit lets through what quota and rate have room for, in order.
func (s *Service) admit(parcels []parcel, receipts []mailing.Receipt) []parcel {
	quota, rate := s.gate.admit(s.opts.Now(), len(parcels))
	for n, p := range parcels {
		switch {
		case n >= quota:
			receipts[p.index] = mailing.Receipt{Fault: mailing.QuotaUsed, Reason: QuotaExceeded}
		case n >= rate:
			receipts[p.index] = mailing.Receipt{Fault: mailing.Throttled, Reason: Throttled}
		}
	}
	return parcels[:min(quota, rate)]
}

// buffers are for the content of a call and its record.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 512<<10); return &b }}

// keep writes the parcels and returns the first's number. They are taken from
// the moment that their record stands in the ledger.
func (s *Service) keep(call *mailing.Call, parcels []parcel) (uint64, error) {
	if s.opts.Discard {
		s.mu.Lock()
		defer s.mu.Unlock()
		first := s.next
		s.next += uint64(len(parcels))
		return first, s.failed
	}
	content := buffers.Get().(*[]byte)
	defer buffers.Put(content)
	*content = (*content)[:0]
	for _, p := range parcels {
		*content = append(*content, call.Mails[p.index].Data...)
	}
	r := record{
		organization: call.Organization, from: call.From, replyTo: call.ReplyTo, mailing: call.Mailing,
		at: s.opts.Now().Truncate(time.Millisecond), entries: make([]entry, len(parcels)),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return 0, s.failed
	}
	for i, p := range parcels {
		if p.fate != notRendered && s.blocked.has(p.to) {
			p.fate = onAccountList
		}
		r.entries[i] = p.entry
	}
	r.first = s.next
	var err error
	if r.chunk, r.offset, err = s.bodies.write(*content, len(parcels), r.first); err != nil {
		return 0, err
	}
	encoded := buffers.Get().(*[]byte)
	defer buffers.Put(encoded)
	*encoded = r.append((*encoded)[:0])
	if err := s.ledger.write(*encoded, &r); err != nil {
		s.bodies.unwrite(len(*content), len(parcels))
		return 0, err
	}
	s.next += uint64(len(parcels))
	s.mailings.add(r.organization, r.mailing, len(parcels), r.at)
	for _, e := range r.entries {
		if reason := e.fate.suppresses(); reason != "" && listed(e.to) {
			if err := s.blocked.add(Suppressed{Address: e.to, Reason: reason, At: r.at}); err != nil {
				s.opts.Log.Error("the suppression list was not written", "error", err)
			}
		}
	}
	s.letGo()
	s.ring()
	return r.first, nil
}

func (s *Service) ring() {
	select {
	case s.bell <- struct{}{}:
	default:
	}
}

// letGo drops the oldest files beyond the bounds.
func (s *Service) letGo() {
	if !s.bodies.full() && !s.ledger.full() {
		return
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	if err := errors.Join(s.bodies.drop(), s.ledger.drop()); err != nil {
		s.opts.Log.Error("old mails were not removed", "error", err)
	}
}

// number writes the receipts of what was taken; their ids share one string.
func (s *Service) number(receipts []mailing.Receipt, parcels []parcel, first uint64) {
	size := 16 + len(s.suffix)
	ids := make([]byte, 0, size*len(parcels))
	for i := range parcels {
		ids = s.appendID(ids, first+uint64(i))
	}
	all := string(ids)
	for i, p := range parcels {
		receipts[p.index].MessageID = all[i*size : (i+1)*size]
	}
}

// A message id is the mail's number and the folder's name, shaped as SES's are.
func (s *Service) appendID(dst []byte, number uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], number)
	return append(hex.AppendEncode(dst, b[:]), s.suffix...)
}

// parseID is the reverse of appendID.
func (s *Service) parseID(id string) (uint64, bool) {
	digits, ok := strings.CutSuffix(id, s.suffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 64)
	return n, err == nil
}

// refusal is why SES would refuse the request as a whole.
func refusal(call *mailing.Call) string {
	if len(call.Mails) > mailing.MaxBatch {
		return TooManyMails
	}
	if _, err := mail.ParseAddress(call.From); err != nil {
		return SenderInvalid
	}
	least, most := 0, 0
	for i := range call.Mails {
		m := &call.Mails[i]
		n := len(m.To) + len(m.Tag) + entryOverhead
		least, most = least+n+len(m.Data), most+n+2*len(m.Data)
	}
	if most <= maxRequest {
		return "" // even if every byte of the data had to be escaped
	}
	for i := range call.Mails {
		least += escapes(call.Mails[i].Data)
	}
	if least > maxRequest {
		return RequestTooLarge
	}
	return ""
}

func fill(receipts []mailing.Receipt, fault mailing.Fault, reason string) []mailing.Receipt {
	for i := range receipts {
		receipts[i] = mailing.Receipt{Fault: fault, Reason: reason}
	}
	return receipts
}

// wait is false when the caller has gone before the answer.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
