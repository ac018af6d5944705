package runbooks_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/memberkey/memberkey/functions"
	"github.com/memberkey/memberkey/functions/delivery"
	"github.com/memberkey/memberkey/functions/fanout"
	"github.com/memberkey/memberkey/functions/feedback"
	"github.com/memberkey/memberkey/functions/mailings"
	"github.com/memberkey/memberkey/functions/profiles"
	"github.com/memberkey/memberkey/functions/resets"
	"github.com/memberkey/memberkey/functions/signin"
	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/session"
	"github.com/memberkey/memberkey/shared/store"
)

// use is what operations ask of DynamoDB: requests, and the units that are
// billed. It follows the driver (shared/dynamo) and the "Read/write capacity
// mode" chapter of the DynamoDB developer guide: strongly consistent reads take
// a unit per 4 KB of an item, or of a whole query; writes one per KB; an item
// of a transaction, checked or written, twice that; the index of due items one
// to put in or take out, two to move.
type use struct{ requests, reads, writes float64 }

// meter counts on its way to the local store.
type meter struct {
	store.DB
	mu  sync.Mutex
	use use
}

func (m *meter) add(u use) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.use.requests += u.requests
	m.use.reads += u.reads
	m.use.writes += u.writes
}

// size is that of an item as the driver encodes it, at most: names and values
// of p, s, v, r, expires, due and shard.
func size(i *store.Item) float64 {
	n := len(i.Partition) + len(i.Sort) + len(i.Value) + 3 + 1 + 11
	if i.Expires != 0 {
		n += len("expires") + 7
	}
	if i.Due != 0 {
		n += len("dueshard") + 10
	}
	return float64(n)
}

func units(bytes, per float64) float64 { return max(1, math.Ceil(bytes/per)) }

func readUnits(i *store.Item) float64 {
	if i == nil {
		return 1
	}
	return units(size(i), 4096)
}

func (m *meter) Get(ctx context.Context, key store.Key) (*store.Item, error) {
	item, err := m.DB.Get(ctx, key)
	m.add(use{1, readUnits(item), 0})
	return item, err
}

func (m *meter) GetMany(ctx context.Context, keys []store.Key) ([]*store.Item, error) {
	items, err := m.DB.GetMany(ctx, keys)
	u := use{requests: math.Ceil(float64(len(keys)) / 100)}
	for _, item := range items {
		u.reads += readUnits(item)
	}
	m.add(u)
	return items, err
}

func (m *meter) Query(ctx context.Context, r store.Range) ([]store.Item, bool, error) {
	items, more, err := m.DB.Query(ctx, r)
	bytes := 0.0
	for i := range items {
		bytes += size(&items[i])
	}
	m.add(use{max(1, math.Ceil(bytes/(1<<20))), units(bytes, 4096), 0})
	return items, more, err
}

func (m *meter) Due(ctx context.Context, table store.Table, until int64, limit int) ([]store.Item, error) {
	items, err := m.DB.Due(ctx, table, until, limit)
	u := use{requests: 8, reads: 4} // a query of each part, eventually consistent
	if len(items) > 0 {
		u.requests += math.Ceil(float64(len(items)) / 100)
		for i := range items {
			u.reads += readUnits(&items[i])
		}
	}
	m.add(u)
	return items, err
}

func (m *meter) Commit(ctx context.Context, checks []store.Check, writes []store.Write) error {
	before := map[store.Key]*store.Item{}
	for _, key := range keysOf(checks, writes) {
		item, err := m.DB.Get(ctx, key)
		if err != nil {
			return err
		}
		before[key] = item
	}
	u, factor := use{requests: 1}, 2.0
	if len(writes) == 1 && len(checks) == 1 && writes[0].Key == checks[0].Key && !writes[0].Delete {
		factor = 1
	}
	written := map[store.Key]bool{}
	for i := range writes {
		w := &writes[i]
		written[w.Key] = true
		was, bytes := before[w.Key], size(&w.Item)
		if was != nil {
			bytes = max(bytes, size(was))
		}
		u.writes += factor * units(bytes, 1024)
		old, now := int64(0), w.Due
		if was != nil {
			old = was.Due
		}
		if w.Delete {
			now = 0
		}
		switch {
		case old == now:
		case old == 0 || now == 0:
			u.writes++
		default:
			u.writes += 2
		}
	}
	for _, c := range checks {
		if !written[c.Key] {
			bytes := 0.0
			if was := before[c.Key]; was != nil {
				bytes = size(was)
			}
			u.writes += factor * units(bytes, 1024)
		}
	}
	m.add(u)
	return m.DB.Commit(ctx, checks, writes)
}

func keysOf(checks []store.Check, writes []store.Write) []store.Key {
	var keys []store.Key
	for _, c := range checks {
		keys = append(keys, c.Key)
	}
	for _, w := range writes {
		keys = append(keys, w.Key)
	}
	return keys
}

// office is an association of five thousand people with a mail service that takes
// everything, at a clock that moves by waiting alone.
type office struct {
	*testing.T
	meter *meter
	base  functions.Base
	now   time.Time

	rung  []mailing.Bell
	bells int // requests to SQS to send
	calls int // to SES
	tags  []string
}

const (
	org     = "harbour-chamber"
	members = 5000
	// granted is the rate of the account: a common one in production.
	granted = 200
)

var staff = activity.Actor{Kind: activity.Staff, ID: "a3c5e1f0-1b2c-4d5e-8f90-123456789abc", Name: "Eve Desk", From: "192.0.2.7"}

func (o *office) Ring(_ context.Context, bells ...mailing.Bell) error {
	o.rung = append(o.rung, bells...)
	queues := map[mailing.Queue]int{}
	for _, b := range bells {
		queues[b.Queue()]++
	}
	for _, n := range queues {
		o.bells += (n + 9) / 10
	}
	return nil
}

func (o *office) Send(_ context.Context, call mailing.Call) []mailing.Receipt {
	o.calls++
	receipts := make([]mailing.Receipt, len(call.Mails))
	for i := range receipts {
		receipts[i].MessageID = "0100019ab1c2d3e4-" + strings.Repeat("0", 36) + "-000000"
		o.tags = append(o.tags, call.Mails[i].Tag)
	}
	return receipts
}

func (o *office) Account(context.Context) (mailing.Account, error) {
	return mailing.Account{Rate: granted, DailyQuota: 500_000, Enabled: true}, nil
}

// letter is one as an association writes it first.
const letter = `<div>Dear [[NAME]],</div><div>our new members' pages are open. There you find the directory, the minutes of our
meetings and the terms that we have agreed with suppliers. Please choose a password; it takes a minute:</div>
<div>[[PORTALLOGINLINK]]</div><div>If anything does not work, call us: [[HELPLINE]].</div>`

func newOffice(t *testing.T) *office {
	t.Helper()
	db, err := embedded.Open(filepath.Join(t.TempDir(), "x.db"), embedded.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	o := &office{T: t, meter: &meter{DB: db}, now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	o.base = functions.Base{
		Store: &store.Store{DB: o.meter}, Bells: o, Log: slog.New(slog.DiscardHandler), Rand: rand.Reader, NewID: store.NewID,
		Now:    func() time.Time { return o.now },
		Timing: mailing.Timing{Lease: 150 * time.Second, Grace: 15 * time.Minute, Budget: 110 * time.Second, Again: time.Minute},
	}
	settings := organization.Defaults(org, "Harbour Chamber of Commerce")
	settings.PortalAddress, settings.SenderAddress, settings.Version = "https://members.harbour-chamber.example.org", "office@harbour-chamber.example.org", 1
	o.must(o.base.Store.Update(t.Context(), func(tx *store.Tx) error { tx.PutOrganization(&settings); return nil }))
	var file strings.Builder
	file.WriteString("Profile ID,Profile Type,First Name,Last Name,Organization Name,Email,Membership Status,Member Since,Related To,Relationship,Main Contact,Can Edit,Do Not Email\n")
	for i := range members {
		fmt.Fprintf(&file, "%d,Individual,Catherine,Montgomery-%d,,catherine.montgomery.%d@example.com,Active,2015-01-01,,,,,\n", 1000+i, i, i)
	}
	d := profiles.New(o.base, profiles.SignIn{}, nil).Directory
	d.Budget = time.Hour
	loaded, err := d.Import(t.Context(), staff, org, []byte(file.String()), false)
	o.must(err)
	if loaded.Created != members {
		t.Fatalf("%+v", loaded)
	}
	o.must(fanout.New(o.base, o, nil).Sweep(t.Context())) // so that the rate is known
	return o
}

func (o *office) must(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

// ring works bells until none is left; each is one message and one invocation.
func (o *office) ring(fan *fanout.Function, deliver *delivery.Function) (worked int) {
	o.Helper()
	for ; len(o.rung) > 0; worked++ {
		b := o.rung[0]
		o.rung = o.rung[1:]
		switch {
		case b.Queue() != mailing.FanoutQueue:
			o.must(deliver.Delivery.Ring(o.Context(), b))
		case b.Kind == mailing.RingFreeze:
			o.must(fan.Freezing.Ring(o.Context(), b))
		default:
			o.must(fan.Forgot.Ring(o.Context(), b))
		}
	}
	return worked
}

// counted is what something asked of AWS beside the API's own call.
type counted struct {
	use
	ses, sqs, invocations int
}

// of runs something and counts.
func (o *office) of(do func()) counted {
	o.Helper()
	o.meter.use, o.bells, o.calls = use{}, 0, 0
	fan, deliver := fanout.New(o.base, o, nil), delivery.New(o.base, o)
	deliver.Delivery.Sleep = func(_ context.Context, d time.Duration) { o.now = o.now.Add(d) }
	do()
	worked := o.ring(fan, deliver)
	// A message is sent, received and deleted.
	return counted{o.meter.use, o.calls, o.bells + 2*worked, worked}
}

// TestCosts holds the counts of infra/costs.md against the code: each of its
// rows is what the operation asks for here.
func TestCosts(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	desk := mailings.New(o.base).Desk
	hasher := password.NewHasher(password.Fast, 1, rand.Reader)
	sign := signin.New(o.base, hasher).Sessions
	rows := map[string]counted{}

	subject, html := "Your login for our members' pages", letter
	view, err := desk.Create(ctx, org, staff, "", mailing.Edit{Subject: &subject, HTML: &html, Audience: &profile.Filter{Status: []profile.Status{profile.Active}}})
	o.must(err)
	rows["freeze"] = o.of(func() { _, err := desk.Freeze(ctx, org, staff, view.ID); o.must(err) })
	frozen, err := desk.Audience(ctx, org, view.ID)
	o.must(err)
	if frozen.State != "ready" || frozen.Mails != members {
		t.Fatalf("%+v", frozen)
	}
	rows["deliver"] = o.of(func() { _, err := desk.Send(ctx, org, staff, view.ID, frozen.Version, time.Time{}); o.must(err) })
	if rows["deliver"].ses != members/mailing.MaxBatch {
		t.Errorf("%d calls to SES", rows["deliver"].ses)
	}
	o.now = o.now.Add(time.Minute)
	rows["sweep"] = o.of(func() { o.must(fanout.New(o.base, o, nil).Sweep(ctx)) })
	if done, err := desk.Get(ctx, org, view.ID); err != nil || done.State != mailing.Done {
		t.Fatalf("%v, %v", done.State, err)
	}
	rows["events"] = o.of(func() {
		var all []mailing.Event
		for _, tag := range o.tags {
			all = append(all, mailing.Event{Organization: org, Tag: tag, Type: mailing.EventDelivered})
		}
		for _, err := range feedback.New(o.base).Feedback.RecordAll(ctx, all) {
			o.must(err)
		}
	})

	o.tags = nil
	rows["reset"] = o.of(func() {
		_, err := resets.New(o.base).Resets.Send(ctx, staff, org, "1007", "", "")
		o.must(err)
	})
	rows["reset's event"] = o.of(func() {
		for _, err := range feedback.New(o.base).Feedback.RecordAll(ctx, []mailing.Event{{Organization: org, Tag: o.tags[0], Type: mailing.EventDelivered}}) {
			o.must(err)
		}
	})
	credentials := o.base.Credentials(hasher)
	rows["credential view"] = o.of(func() { _, err := credentials.Read(ctx, org, "1007"); o.must(err) })
	rows["set password"] = o.of(func() {
		username, plain := "catherine", password.NewPlain("four plain words for the phone")
		_, err := credentials.Change(ctx, staff, org, "1008", 0, credential.Change{Username: &username, Password: &plain})
		o.must(err)
	})
	rows["sign-in"] = o.of(func() {
		in, err := sign.SignIn(ctx, org, session.Attempt{Name: "catherine", Password: password.NewPlain("four plain words for the phone"), From: "198.51.100.4"})
		o.must(err)
		_, err = sign.Resolve(ctx, org, in.Token) // the page that follows
		o.must(err)
	})
	rows["search"] = o.of(func() {
		found, err := profiles.New(o.base, profiles.SignIn{}, nil).Directory.Search(ctx, org, "montgomery-7", "", 0)
		o.must(err)
		if len(found.Hits) == 0 {
			t.Fatal("nothing found")
		}
	})
	rows["idle sweep"] = o.of(func() {
		o.now = o.now.Add(time.Hour)
		o.must(fanout.New(o.base, o, nil).Sweep(ctx))
	})
	for _, name := range []string{"freeze", "deliver", "events"} {
		rows[name] = rows[name].per(members / 1000)
	}
	compare(t, rows)
}

// per is the share of one of n.
func (c counted) per(n int) counted {
	round := func(all int) int { return int(math.Round(float64(all) / float64(n))) }
	return counted{
		use{math.Round(c.requests / float64(n)), math.Round(c.reads / float64(n)), math.Round(c.writes / float64(n))},
		round(c.ses), round(c.sqs), round(c.invocations),
	}
}

var row = regexp.MustCompile(`(?m)^\| ([a-z' -]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|`)

// compare wants the table of infra/costs.md to say the same, within a tenth
// and one: pages of a query, lengths of names and seconds vary a little.
func compare(t *testing.T, rows map[string]counted) {
	t.Helper()
	text, err := os.ReadFile("../costs.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string][]float64{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		for _, cell := range m[2:] {
			n, err := strconv.ParseFloat(strings.ReplaceAll(cell, ",", ""), 64)
			if err != nil {
				t.Fatal(err)
			}
			told[m[1]] = append(told[m[1]], n)
		}
	}
	for name, c := range rows {
		got := []float64{c.requests, c.reads, c.writes, float64(c.ses), float64(c.sqs), float64(c.invocations)}
		want := told[name]
		wrong := len(want) != len(got)
		for i := 0; !wrong && i < len(got); i++ {
			wrong = math.Abs(got[i]-want[i]) > 1+want[i]/10
		}
		if wrong {
			t.Errorf("infra/costs.md says of %q %v, but it is\n| %s | %s |", name, want, name, strings.Join(cells(got), " | "))
		}
		delete(told, name)
	}
	for name := range told {
		t.Errorf("nobody counts %q of infra/costs.md", name)
	}
}

func cells(all []float64) (text []string) {
	for _, n := range all {
		s := strconv.Itoa(int(cmp.Or(n, 0)))
		if len(s) > 3 {
			s = s[:len(s)-3] + "," + s[len(s)-3:]
		}
		text = append(text, s)
	}
	return text
}
