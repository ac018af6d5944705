package mailing_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message/sanitizer"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
	"github.com/memberkey/memberkey/shared/username"
)

const org = "river"

var (
	staff = activity.Actor{Kind: activity.Staff, ID: "s-1", Name: "Kim"}
	begin = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	// timing is that of a laptop and a Lambda alike, but for its size.
	timing = mailing.Timing{Lease: 150 * time.Second, Grace: 10 * time.Minute, Budget: 110 * time.Second, Again: time.Minute}
)

// world is a whole system in one goroutine: a store that can die at any commit,
// a mail service with faults, a queue that loses and repeats, and a clock.
type world struct {
	t     testing.TB
	rng   *rand.Rand
	clock time.Time
	ids   int

	db     *mortalDB
	store  mailing.Store
	office *office
	queue  []mailing.Bell
	lose   float64 // of bells

	desk     *mailing.Desk
	freezing *mailing.Freezing
	delivery *mailing.Delivery
	feedback *mailing.Feedback
	sweep    *mailing.Sweep
	forgot   *mailing.Forgot
}

func newWorld(t testing.TB, seed uint64) *world {
	t.Helper()
	db, err := embedded.Open(filepath.Join(t.TempDir(), "x.db"), embedded.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return newWorldOn(t, seed, db)
}

func newWorldOn(t testing.TB, seed uint64, db store.DB) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), clock: begin, db: &mortalDB{DB: db}}
	w.store = store.For[mailing.Tx](&store.Store{DB: w.db})
	w.office = &office{world: w, account: mailing.Account{Enabled: true}, taken: map[profile.ID]int{}, unclear: map[profile.ID]int{}}
	w.db.stored = func() { w.office.last = nil }
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	now := func() time.Time { return w.clock }
	newID := func(at time.Time) string {
		w.ids++
		return fmt.Sprintf("%011x%06d", at.UnixMilli(), w.ids)
	}
	random := rngReader{w.rng}
	w.desk = &mailing.Desk{Store: w.store, Bells: w, Now: now, NewID: newID, Sanitize: sanitizer.HTML, Timing: timing, Log: log}
	w.freezing = &mailing.Freezing{Store: w.store, Bells: w, Now: now, Rand: random, Timing: timing, Log: log}
	w.delivery = &mailing.Delivery{
		Store: w.store, Mailer: w.office, Bells: w, Now: now, Rand: random, Timing: timing, Log: log,
		Sleep: func(_ context.Context, d time.Duration) { w.clock = w.clock.Add(d) },
	}
	w.feedback = &mailing.Feedback{Store: w.store, Now: now, Log: log}
	w.sweep = &mailing.Sweep{Store: w.store, Accounts: w.office, Bells: w, Now: now, Timing: timing, Log: log}
	w.forgot = &mailing.Forgot{Store: w.store, Bells: w, Now: now, NewID: newID, Timing: timing, Log: log}
	settings := organization.Defaults(org, "Riverside Association")
	settings.SenderAddress, settings.PortalAddress = "members@example.org", "https://members.example.org"
	settings.HelpPhone, settings.TestAddresses = "555 0100", []string{"Staff@example.org", "second@example.org"}
	w.update(func(tx *store.Tx) error { tx.PutOrganization(&settings); return nil })
	return w
}

type rngReader struct{ *rand.Rand }

func (r rngReader) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r.Uint64())
	}
	return len(b), nil
}

// Ring is the queue's.
func (w *world) Ring(_ context.Context, bells ...mailing.Bell) error {
	for _, b := range bells {
		if w.rng.Float64() < w.lose {
			continue
		}
		w.queue = append(w.queue, b)
		if w.rng.Float64() < w.lose {
			w.queue = append(w.queue, b)
		}
	}
	if w.lose > 0 && w.rng.Float64() < w.lose {
		return errors.New("queue: throttled")
	}
	return nil
}

// killed is the death of a process at some step.
type killed struct{}

// mortalDB dies before or after a commit.
type mortalDB struct {
	store.DB
	commits int // all there were
	dieAt   int // of the next commits, this one; 0 is none
	after   bool
	stored  func() // after a batch was written
	meddle  func() // what others do between the reads of a transaction and its commit
}

func (db *mortalDB) Commit(ctx context.Context, checks []store.Check, writes []store.Write) error {
	if db.meddle != nil {
		db.meddle()
	}
	db.commits++
	die := false
	if db.dieAt > 0 {
		db.dieAt--
		die = db.dieAt == 0
	}
	if die && !db.after {
		panic(killed{})
	}
	err := db.DB.Commit(ctx, checks, writes)
	if die {
		panic(killed{})
	}
	if err == nil && db.stored != nil && slices.ContainsFunc(writes, func(w store.Write) bool { return strings.HasPrefix(w.Sort, "batch") }) {
		db.stored()
	}
	return err
}

// process runs fn as a process of its own, which may be killed.
func (w *world) process(fn func() error) (err error, died bool) {
	defer func() {
		w.db.dieAt, w.office.dieAt = 0, 0
		last := w.office.last
		w.office.last = nil
		if v := recover(); v != nil {
			if _, ok := v.(killed); !ok {
				panic(v)
			}
			died = true
			for _, m := range last { // its outcomes may not be stored
				w.office.doubt(m)
			}
		}
	}()
	return fn(), false
}

// ring works one bell.
func (w *world) work(b mailing.Bell) error {
	switch b.Kind {
	case mailing.RingFreeze:
		return w.freezing.Ring(context.Background(), b)
	case mailing.RingRequest:
		return w.forgot.Ring(context.Background(), b)
	}
	return w.delivery.Ring(context.Background(), b)
}

// drain works all bells, and those that they ring.
func (w *world) drain() {
	w.t.Helper()
	for n := 0; len(w.queue) > 0; n++ {
		if n > 10_000 {
			w.t.Fatal("the queue never empties")
		}
		b := w.queue[0]
		w.queue = w.queue[1:]
		if err := w.work(b); err != nil {
			w.t.Fatalf("%+v: %v", b, err)
		}
	}
}

// meddle does, now and then, what another process would do at this moment: it
// works a bell, sweeps, or records events.
func (w *world) meddle() {
	if w.rng.IntN(12) > 0 {
		return
	}
	dieAt, last, meddle, office := w.db.dieAt, w.office.last, w.db.meddle, w.office.dieAt
	w.db.dieAt, w.office.last, w.db.meddle, w.office.dieAt = 0, nil, nil, 0
	defer func() { w.db.dieAt, w.office.last, w.db.meddle, w.office.dieAt = dieAt, last, meddle, office }()
	switch dice := w.rng.IntN(4); {
	case dice == 0 && len(w.queue) > 0:
		if err := w.work(w.queue[w.rng.IntN(len(w.queue))]); err != nil && w.lose == 0 {
			w.t.Fatal(err)
		}
	case dice == 1:
		if err := w.sweep.Run(context.Background()); err != nil {
			w.t.Fatal(err)
		}
	default:
		w.office.post(false)
	}
}

// settle lets sweeps and deliveries go on until a mailing is done.
func (w *world) settle(id string) *mailing.Mailing {
	w.t.Helper()
	for range 2000 {
		if err := w.sweep.Run(context.Background()); err != nil {
			w.t.Fatal(err)
		}
		w.drain()
		w.office.post(false)
		w.check(id)
		if m := w.mailing(id); !m.DoneAt.IsZero() {
			w.office.post(true)
			w.check(id)
			return w.mailing(id)
		}
		w.clock = w.clock.Add(30 * time.Second)
	}
	w.t.Fatalf("the mailing never ends: %+v", w.mailing(id))
	return nil
}

func (w *world) update(fn func(*store.Tx) error) {
	w.t.Helper()
	if err := (&store.Store{DB: w.db.DB}).Update(context.Background(), fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) mailing(id string) *mailing.Mailing {
	w.t.Helper()
	m, err := w.store.Mailing(context.Background(), org, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) profile(id profile.ID) *profile.Profile {
	w.t.Helper()
	p, err := w.store.Profile(context.Background(), org, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// put stores profiles, each with the epoch of the present moment.
func (w *world) put(all ...*profile.Profile) {
	w.t.Helper()
	for part := range slices.Chunk(all, 4) {
		w.update(func(tx *store.Tx) error {
			for _, p := range part {
				p.Organization = org
				if p.Type == "" {
					p.Type, p.Status = profile.Individual, cmpOr(p.Status, profile.Active)
				}
				if p.Email != "" {
					_, box, err := username.ParseEmail(p.Email)
					if err != nil {
						return err
					}
					p.Mailbox = string(box)
				}
				if p.Epoch == "" {
					p.CreatedAt = w.clock
					if err := p.EndLogins(rngReader{w.rng}, w.clock); err != nil {
						return err
					}
				}
				if _, err := tx.Profile(org, p.ID); err != nil && !errors.Is(err, store.NoProfile) {
					return err
				}
				if err := tx.PutProfile(p); err != nil {
					return err
				}
				if p.Username != "" {
					if _, err := tx.Claim(org, p.Username); err != nil {
						return err
					}
					tx.PutClaim(org, p.Username, p.ID)
				}
			}
			return nil
		})
	}
}

func cmpOr(a, b profile.Status) profile.Status {
	if a != "" {
		return a
	}
	return b
}

// edit changes a stored profile as staff or the member would: with a new epoch.
func (w *world) edit(id profile.ID, fn func(*profile.Profile)) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		p, err := tx.Profile(org, id)
		if err != nil {
			return err
		}
		fn(p)
		p.Mailbox = ""
		if p.Email != "" {
			_, box, err := username.ParseEmail(p.Email)
			if err != nil {
				return err
			}
			p.Mailbox = string(box)
		}
		if err := p.EndLogins(rngReader{w.rng}, w.clock); err != nil {
			return err
		}
		return tx.PutProfile(p)
	})
}

// remove takes a profile out of the store, as an erasure would.
func (w *world) remove(id profile.ID) {
	w.t.Helper()
	key := store.Key{Table: store.Profiles, Partition: org + "#" + string(id), Sort: "profile"}
	if err := w.db.DB.Commit(context.Background(), nil, []store.Write{{Item: store.Item{Key: key}, Delete: true}}); err != nil {
		w.t.Fatal(err)
	}
}

func person(id, email string) *profile.Profile {
	return &profile.Profile{ID: profile.ID(id), FirstName: "Ana", LastName: "García " + id, Email: email, Status: profile.Active}
}

// compose makes a draft with the credentials link in it.
func (w *world) compose(f profile.Filter) *mailing.View {
	w.t.Helper()
	subject, html := "Your login, [[FIRSTNAME]]", "<p>Dear [[NAME]],</p><p>[[PORTALLOGINLINK]]</p>"
	v, err := w.desk.Create(context.Background(), org, staff, "", mailing.Edit{Subject: &subject, HTML: &html, Audience: &f})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// freeze counts an audience to the end.
func (w *world) freeze(id string) *mailing.Audience {
	w.t.Helper()
	if _, err := w.desk.Freeze(context.Background(), org, staff, id); err != nil {
		w.t.Fatal(err)
	}
	w.drain()
	a, err := w.desk.Audience(context.Background(), org, id)
	if err != nil || a.State != "ready" {
		w.t.Fatalf("audience %+v, %v", a, err)
	}
	return a
}

// send sends a mailing to everyone of a filter and returns its ID, with the
// lanes rung and nothing delivered yet.
func (w *world) send(f profile.Filter) string {
	w.t.Helper()
	m := w.compose(f)
	a := w.freeze(m.ID)
	if _, err := w.desk.Send(context.Background(), org, staff, m.ID, a.Version, time.Time{}); err != nil {
		w.t.Fatal(err)
	}
	return m.ID
}

// outcome finds what became of a profile.
func (w *world) outcome(id string, p profile.ID) (o mailing.Outcome, reason string) {
	w.t.Helper()
	for _, r := range w.recipients(id) {
		if r.Profile == p {
			return r.Outcome, r.Reason
		}
	}
	return "", ""
}

// recipients lists all, by pages of an awkward size.
func (w *world) recipients(id string) (all []mailing.Row) {
	w.t.Helper()
	for cursor := ""; ; {
		page, err := w.desk.Recipients(context.Background(), org, id, "", cursor, 7)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, page.Recipients...)
		if cursor = page.Cursor; cursor == "" {
			return all
		}
	}
}

// check holds a mailing against what must be true at every moment (H15).
func (w *world) check(id string) {
	w.t.Helper()
	ctx := context.Background()
	m := w.mailing(id)
	f := m.Freeze
	if f == nil {
		return
	}
	skipped, waiting := 0, 0
	for _, n := range f.Skipped {
		skipped += n
	}
	for _, n := range f.PerLane {
		waiting += n
	}
	if skipped+waiting != f.Profiles {
		w.t.Fatalf("frozen: %d skipped and %d waiting are not %d profiles", skipped, waiting, f.Profiles)
	}
	if !f.Ready {
		return
	}
	lanes, err := w.store.Lanes(ctx, org, id, m.Generation)
	if err != nil || len(lanes) != f.Lanes {
		w.t.Fatalf("%d lanes of %d: %v", len(lanes), f.Lanes, err)
	}
	for _, l := range lanes {
		sum := mailing.Tally{}
		batches, _, err := w.store.Batches(ctx, org, id, m.Generation, l.Number, 0, 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, b := range batches {
			sum.Add(b.Tally())
			w.checkBatch(b)
		}
		for _, o := range mailing.Outcomes {
			if sum[o] != l.Tally[o] {
				w.t.Fatalf("lane %d tells %v, its batches come to %v", l.Number, l.Tally, sum)
			}
		}
	}
	report, err := w.desk.Report(ctx, m)
	if err != nil {
		w.t.Fatal(err)
	}
	total := 0
	for _, n := range report.Outcomes {
		total += n
	}
	if total != f.Profiles {
		w.t.Fatalf("outcomes %v do not add up to %d", report.Outcomes, f.Profiles)
	}
	if !m.DoneAt.IsZero() && (report.Outcomes[mailing.Pending] > 0 || report.Outcomes[mailing.Uncertain] > 0) {
		w.t.Fatalf("done with %v", report.Outcomes)
	}
	for id, n := range w.office.taken {
		if n > 1+w.office.unclear[id] {
			w.t.Fatalf("profile %s was mailed %d times, and only %d were unclear", id, n, w.office.unclear[id])
		}
	}
}

func (w *world) checkBatch(b *mailing.Batch) {
	w.t.Helper()
	pending, uncertain := false, false
	for _, e := range b.Entries {
		for _, r := range e.Recipients {
			pending = pending || r.Known() == mailing.Pending
			uncertain = uncertain || r.Known() == mailing.Uncertain
		}
	}
	if b.State == mailing.BatchFinished && (pending || uncertain) {
		w.t.Fatalf("batch %d/%d is finished with open recipients", b.Lane, b.Index)
	}
	if b.State == mailing.BatchUncertain && !uncertain || b.State == mailing.BatchRetry && !pending {
		w.t.Fatalf("batch %d/%d is %s for nobody", b.Lane, b.Index, b.State)
	}
}

// office is the mail service: it takes mails, refuses them for every reason
// there is, forgets to answer, and tells what became of them, late, twice and
// in any order.
type office struct {
	*world
	account mailing.Account
	fails   float64         // of mails and calls
	silent  bool            // no events
	dieAt   int             // the call at which the caller dies; 0 is none
	after   bool            // after the mails were taken
	faults  []mailing.Fault // these and no others; nil for every sort

	calls   int
	last    []sentMail // handed over by this process, its outcomes not stored yet
	sent    []sentMail
	events  []postedEvent
	taken   map[profile.ID]int
	unclear map[profile.ID]int // times that nobody could know whether a mail was taken
}

type sentMail struct {
	mailing.Mail
	At                  time.Time
	Mailing             string
	Subject, HTML, Text string
	Profiles            []profile.ID // whose links it holds
	Tokens              []string
}

type postedEvent struct {
	mailing.Event
	at time.Time
}

var everyFault = []mailing.Fault{
	mailing.Throttled, mailing.Transient, mailing.Unclear, mailing.Rejected, mailing.Unknown, mailing.Unknown,
}

func (o *office) Account(context.Context) (mailing.Account, error) {
	if o.rng.Float64() < o.fails/2 {
		return mailing.Account{}, errors.New("account: not answered")
	}
	return o.account, nil
}

// Send checks every mail as it is handed over, then does with it what the dice say.
func (o *office) Send(_ context.Context, call mailing.Call) []mailing.Receipt {
	o.calls++
	if len(call.Mails) == 0 || len(call.Mails) > mailing.MaxBatch {
		o.t.Fatalf("a call of %d mails", len(call.Mails))
	}
	opened := make([]sentMail, len(call.Mails))
	for i, m := range call.Mails {
		opened[i] = o.open(call, m)
	}
	o.last = append(o.last, opened...)
	if o.dieAt > 0 {
		if o.dieAt--; o.dieAt == 0 {
			if o.after {
				for i := range opened {
					o.take(opened[i])
				}
			}
			panic(killed{})
		}
	}
	if len(o.faults) == 0 && o.rng.Float64() < o.fails/4 { // the answer is lost, or makes no sense
		for i := range opened {
			o.doubt(opened[i])
			if o.rng.IntN(2) == 0 {
				o.take(opened[i])
			}
		}
		if o.rng.IntN(2) == 0 {
			return nil
		}
		receipts := make([]mailing.Receipt, len(opened))
		for i := range receipts {
			receipts[i] = mailing.Receipt{Fault: mailing.Unknown, Reason: "timeout"}
		}
		return receipts
	}
	if len(o.faults) == 0 && o.rng.Float64() < o.fails/20 {
		fault := []mailing.Fault{mailing.Misconfigured, mailing.QuotaUsed}[o.rng.IntN(2)]
		receipts := make([]mailing.Receipt, len(opened))
		for i := range receipts {
			receipts[i] = mailing.Receipt{Fault: fault, Reason: "account_paused"}
		}
		return receipts
	}
	receipts := make([]mailing.Receipt, len(opened))
	for i := range opened {
		if o.rng.Float64() >= o.fails {
			receipts[i] = mailing.Receipt{MessageID: o.take(opened[i])}
			continue
		}
		fault := everyFault[o.rng.IntN(len(everyFault))]
		if len(o.faults) > 0 {
			fault = o.faults[o.rng.IntN(len(o.faults))]
		}
		receipts[i] = mailing.Receipt{Fault: fault, Reason: "some_reason"}
		if fault == mailing.Unknown {
			o.doubt(opened[i])
			if o.rng.IntN(2) == 0 {
				o.take(opened[i])
			}
		}
	}
	return receipts
}

var linkInMail = regexp.MustCompile(`https://members\.example\.org/portal/river/set-password/([0-9A-Za-z]+)`)

// open reads a mail as its recipient would, and makes sure that every link in
// it is that recipient's own (A23).
func (o *office) open(call mailing.Call, m mailing.Mail) sentMail {
	o.t.Helper()
	s := sentMail{Mail: m, At: o.clock, Mailing: call.Mailing}
	var data struct{ Subject, HTML, Text string }
	if err := json.Unmarshal(m.Data, &data); err != nil {
		o.t.Fatalf("template data: %v", err)
	}
	s.Subject, s.HTML, s.Text = data.Subject, data.HTML, data.Text
	name, entry, ok := mailing.ParseTag(call.Organization, m.Tag)
	if !ok {
		o.t.Fatalf("tag %q", m.Tag)
	}
	b, err := o.store.Batch(context.Background(), name)
	if err != nil || b == nil || entry >= len(b.Entries) {
		o.t.Fatalf("tag %q names no stored entry: %v", m.Tag, err)
	}
	inText, inHTML := linkInMail.FindAllStringSubmatch(s.Text, -1), linkInMail.FindAllStringSubmatch(s.HTML, -1)
	for i, found := range inText {
		if found[1] == mailing.SampleToken {
			continue
		}
		if !slices.ContainsFunc(inHTML, func(h []string) bool { return h[1] == found[1] }) {
			o.t.Fatalf("link %d of the text is not in the HTML", i)
		}
		token, page, ok := link.Parse(found[1])
		if !ok {
			o.t.Fatal("a link that is none")
		}
		p, err := (&store.Store{DB: o.db.DB}).Page(context.Background(), org, page)
		if err != nil || p == nil {
			o.t.Fatalf("a link to no page: %v", err)
		}
		l, ok := p.Find(token)
		if !ok {
			o.t.Fatal("a link that is not on its page")
		}
		if !slices.ContainsFunc(b.Entries[entry].Recipients, func(r mailing.Recipient) bool { return r.Profile == l.Profile }) {
			o.t.Fatalf("a link of profile %s in a mail of another entry", l.Profile)
		}
		who := o.profile(l.Profile)
		_, to, err := username.ParseEmail(m.To)
		if err != nil || string(to) != who.Mailbox || who.Epoch != l.Epoch {
			o.t.Fatalf("profile %s: its link went to an address that is not its own, or was dead: %v", l.Profile, err)
		}
		s.Profiles, s.Tokens = append(s.Profiles, l.Profile), append(s.Tokens, found[1])
	}
	if len(s.Profiles) == 0 && b.Kind == mailing.KindMailing {
		for _, r := range b.Entries[entry].Recipients {
			s.Profiles = append(s.Profiles, r.Profile)
		}
	}
	return s
}

func (o *office) doubt(m sentMail) {
	for _, p := range m.Profiles {
		o.unclear[p]++
	}
}

// take accepts a mail for delivery and plans what will be told of it.
func (o *office) take(m sentMail) (id string) {
	o.sent = append(o.sent, m)
	o.account.SentLastDay++
	for _, p := range m.Profiles {
		if m.Mailing != "" {
			o.taken[p]++
		}
	}
	if o.silent {
		return fmt.Sprintf("ses-%d", len(o.sent))
	}
	tell := func(e mailing.Event) {
		e.Organization, e.Tag = org, m.Tag
		for range 1 + o.rng.IntN(2) {
			// Sooner than Grace, and often later than a retry would come.
			o.events = append(o.events, postedEvent{e, o.clock.Add(time.Duration(o.rng.Int64N(int64(5 * time.Minute))))})
		}
	}
	tell(mailing.Event{Type: mailing.EventAccepted})
	switch o.rng.IntN(12) {
	case 0:
		tell(mailing.Event{Type: mailing.EventBounced, Permanent: true})
	case 1:
		tell(mailing.Event{Type: mailing.EventBounced})
	case 2:
		tell(mailing.Event{Type: mailing.EventBounced, OnList: true})
	case 3:
		tell(mailing.Event{Type: mailing.EventDelivered})
		tell(mailing.Event{Type: mailing.EventComplaint})
	case 4:
		tell(mailing.Event{Type: mailing.EventDelayed})
	default:
		tell(mailing.Event{Type: mailing.EventDelivered})
	}
	return fmt.Sprintf("ses-%d", len(o.sent))
}

// record takes in one event.
func (w *world) record(e mailing.Event) error {
	return w.feedback.RecordAll(context.Background(), []mailing.Event{e})[0]
}

// post tells the events whose time has come, or all, in no order. A killed
// feedback function is given the same events again.
func (o *office) post(all bool) {
	o.t.Helper()
	o.rng.Shuffle(len(o.events), func(i, j int) { o.events[i], o.events[j] = o.events[j], o.events[i] })
	events := o.events
	o.events = nil // what others post meanwhile is added
	for _, e := range events {
		if !all && e.at.After(o.clock) {
			o.events = append(o.events, e)
			continue
		}
		err, died := o.process(func() error {
			if o.fails > 0 && o.rng.IntN(40) == 0 {
				o.db.dieAt, o.db.after = 1+o.rng.IntN(2), o.rng.IntN(2) == 0
			}
			return o.record(e.Event)
		})
		if died {
			o.events = append(o.events, e)
		} else if err != nil {
			o.t.Fatal(err)
		}
	}
}
