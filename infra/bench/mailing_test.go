package bench_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/memberkey/memberkey/functions/delivery"
	"github.com/memberkey/memberkey/functions/fanout"
	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/infra/local/queue"
	"github.com/memberkey/memberkey/infra/local/system"
	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message/sanitizer"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

// letter is what an association writes first; rendered it comes to about 4 kB
// of template data.
const letter = `<div>Dear [[NAME]],</div><div><br></div>
<div>our new members' pages are open. There you find the directory, the minutes of our meetings and the terms that we
have agreed with suppliers for members of [[ASSOCIATION]]. We moved them away from the old pages because many of you
told us how hard those were to use on a phone, and because every member should have a login of their own.</div>
<div>Please choose a password; it takes a minute:</div><div>[[PORTALLOGINLINK]]</div>
<ul><li>The directory shows only what you agree to.</li><li>Your invoices are there, back to 2015.</li>
<li>Whoever handles your membership can be given a login, too.</li></ul>
<div>If anything does not work, call us: [[HELPLINE]]. We are glad to help.</div><div>Your office, [[TODAY]]</div>`

// run is a mailing, in a process of its own, to everybody in a store: what was
// built before must not count as its memory. It goes the way of the local
// system: queues, functions, sweep, a mail service that takes and forgets.
type run struct {
	File     string
	NoSync   bool
	Profiles int
	Times    int // how often the same association is mailed, one after the other
}

// ran is what became of it.
type ran struct {
	Freezing, Sending []time.Duration // of each time
	Work              []time.Duration // of all cores, of each time
	Bytes             int             // of template data, of one mail
	Anonymous         int64           // most memory during any of them, in bytes; 0 where the system does not tell
	Resident          int64
}

func (r ran) took(i int) time.Duration { return r.Freezing[i] + r.Sending[i] }

// perRecipient is the median.
func (r ran) perRecipient(profiles int) time.Duration {
	var all []time.Duration
	for i := range r.Freezing {
		all = append(all, r.took(i)/time.Duration(profiles))
	}
	return median(all)
}

// errandVariable tells a test binary that it is to run an errand, and which.
const errandVariable = "MEMBERKEY_BENCH_ERRAND"

// mail runs a mailing on a copy of the store with n profiles.
func mail(b *testing.B, n, times int, fsync bool) ran {
	b.Helper()
	path := duplicate(b, n)
	defer os.Remove(path)
	errand, err := json.Marshal(run{File: path, NoSync: !fsync, Profiles: n, Times: times})
	if err != nil {
		b.Fatal(err)
	}
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), errandVariable+"="+string(errand), "GOMAXPROCS=2")
	process.Stderr = os.Stderr
	answer, err := process.Output()
	var r ran
	if err = errors.Join(err, json.Unmarshal(answer, &r)); err != nil {
		b.Fatalf("mailing to %d: %v", n, err)
	}
	return r
}

// runErrand is the other process.
func runErrand(errand string) (code int) {
	var e run
	err := json.Unmarshal([]byte(errand), &e)
	if err == nil {
		var r *ran
		if r, err = e.do(); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(r)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (e run) do() (*ran, error) {
	db, err := embedded.Open(e.File, embedded.Options{NoSync: e.NoSync})
	if err != nil {
		return nil, err
	}
	o, err := newOffice(&store.Store{DB: db})
	if err != nil {
		return nil, err
	}
	r := &ran{}
	for range e.Times {
		if err := o.mailEverybody(r, e.Profiles); err != nil {
			return nil, err
		}
	}
	return r, errors.Join(o.close(), db.Close())
}

// office is the part of the local system that mails.
type office struct {
	store  *store.Store
	desk   *mailing.Desk
	queues [2]*queue.Queue // fan-out, bulk
	out    *outbox
	stop   context.CancelFunc
	work   sync.WaitGroup
}

// Ring sends bells to where they belong (mailing.Bells).
func (o *office) Ring(_ context.Context, bells ...mailing.Bell) error {
	for _, bell := range bells {
		body, err := bell.Message()
		if err != nil {
			return err
		}
		to := o.queues[1]
		if bell.Kind == mailing.RingFreeze {
			to = o.queues[0]
		}
		to.Send(body)
	}
	return nil
}

func newOffice(s *store.Store) (*office, error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	service, err := mailbox.Open("", mailbox.Options{Discard: true, Log: log})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	o := &office{store: s, out: &outbox{Service: service}, stop: stop}
	for i, at := range []int{2, 16} {
		o.queues[i] = queue.New(queue.Options{
			Visibility: 10 * time.Second, MaxReceives: 5, BatchSize: 1, Concurrency: at, Timeout: 10 * time.Second, Log: log,
		})
	}
	records := store.For[mailing.Tx](s)
	o.desk = &mailing.Desk{Store: records, Bells: o, Now: time.Now, NewID: store.NewID, Sanitize: sanitizer.HTML, Timing: system.Timing, Log: log}
	fan := &fanout.Function{
		Freezing: &mailing.Freezing{Store: records, Bells: o, Now: time.Now, Rand: rand.Reader, Timing: system.Timing, Log: log},
		Sweeping: &mailing.Sweep{Store: records, Accounts: service, Bells: o, Now: time.Now, Timing: system.Timing, Log: log},
		Log:      log,
	}
	deliver := &delivery.Function{Log: log, Delivery: &mailing.Delivery{
		Store: records, Mailer: o.out, Bells: o, Now: time.Now, Rand: rand.Reader, Timing: system.Timing, Log: log,
		Sleep: func(_ context.Context, d time.Duration) { time.Sleep(d) },
	}}
	o.work.Go(func() { o.queues[0].Run(ctx, fan.Handle) })
	o.work.Go(func() { o.queues[1].Run(ctx, deliver.Handle) })
	o.work.Go(func() {
		for tick := time.NewTicker(time.Second); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := fan.Sweep(ctx); err != nil && ctx.Err() == nil {
					log.Warn("sweep failed", "error", err)
				}
			}
		}
	})
	return o, nil
}

func (o *office) close() error {
	o.stop()
	o.work.Wait()
	return o.out.Close()
}

// mailEverybody freezes and sends one mailing and checks what became of it.
func (o *office) mailEverybody(r *ran, profiles int) error {
	ctx, staff := context.Background(), activity.Actor{Kind: activity.Staff, ID: "bench", Name: "Bench"}
	o.out.begin()
	subject, html := "Your login for [[ASSOCIATION]]", letter
	everybody := profile.Filter{Login: profile.LoginNoPassword}
	made, err := o.desk.Create(ctx, org, staff, "", mailing.Edit{Subject: &subject, HTML: &html, Audience: &everybody})
	if err != nil {
		return err
	}
	start, worked, seen := time.Now(), work(), watch()
	if _, err := o.desk.Freeze(ctx, org, staff, made.ID); err != nil {
		return err
	}
	audience, err := o.desk.Audience(ctx, org, made.ID)
	for err == nil && audience.State != "ready" {
		time.Sleep(time.Millisecond)
		audience, err = o.desk.Audience(ctx, org, made.ID)
	}
	if err != nil {
		return err
	}
	r.Freezing = append(r.Freezing, time.Since(start))
	start = time.Now()
	if _, err := o.desk.Send(ctx, org, staff, made.ID, audience.Version, time.Time{}); err != nil {
		return err
	}
	tally := mailing.Tally{}
	for tally[mailing.Sent] < profiles && time.Since(start) < 10*time.Minute {
		time.Sleep(time.Millisecond)
		if o.out.count() < profiles {
			continue // what is not taken is not recorded as sent
		}
		lanes, err := o.store.Lanes(ctx, org, made.ID, audience.Version)
		if err != nil {
			return err
		}
		tally = mailing.Sum(lanes)
	}
	r.Sending, r.Work = append(r.Sending, time.Since(start)), append(r.Work, work()-worked)
	if audience.Profiles != profiles || tally[mailing.Sent] != profiles || tally.Total() != profiles {
		return fmt.Errorf("%d frozen, outcomes %v: not everybody", audience.Profiles, tally)
	}
	for m := made.Mailing; m.State != mailing.Done; {
		if time.Since(start) > 11*time.Minute {
			return fmt.Errorf("everybody was mailed, and the mailing is %s", m.State)
		}
		time.Sleep(10 * time.Millisecond)
		if m, err = o.store.Mailing(ctx, org, made.ID); err != nil {
			return err
		}
	}
	anonymous, resident := seen() // what follows looks at everything that was written
	r.Anonymous, r.Resident = max(r.Anonymous, anonymous), max(r.Resident, resident)
	if r.Bytes, err = o.out.check(ctx, o.store, profiles); err != nil {
		return err
	}
	return o.batches(ctx, made.ID, audience.Version, profiles)
}

// batches counts what the batches themselves say; the tallies are their sums.
func (o *office) batches(ctx context.Context, id string, generation, profiles int) error {
	outcomes := mailing.Tally{}
	lanes, err := o.store.Lanes(ctx, org, id, generation)
	if err != nil {
		return err
	}
	for _, lane := range lanes {
		for from, more := 0, true; more; from++ {
			var all []*mailing.Batch
			if all, more, err = o.store.Batches(ctx, org, id, generation, lane.Number, from, 16); err != nil {
				return err
			}
			for _, b := range all {
				outcomes.Add(b.Tally())
				from = b.Index
			}
		}
	}
	if outcomes[mailing.Sent] != profiles || outcomes.Total() != profiles {
		return fmt.Errorf("the batches say %v, of %d", outcomes, profiles)
	}
	return nil
}

// outbox looks at every mail on its way to the mail service: each must carry a
// link, and another one than the mail before it. Of some it keeps the link.
type outbox struct {
	*mailbox.Service

	mu    sync.Mutex
	mails int
	bytes int64
	bad   int
	kept  map[string]string // token, by address
}

const keepEvery = 499 // mails of which one's link is followed afterwards

var linkBegins = []byte("/set-password/")

func (o *outbox) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mails, o.bytes, o.bad, o.kept = 0, 0, 0, map[string]string{}
}

func (o *outbox) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.mails
}

func (o *outbox) Send(ctx context.Context, call mailing.Call) []mailing.Receipt {
	receipts := o.Service.Send(ctx, call)
	bad, size := 0, 0
	var before []byte
	for i := range call.Mails {
		token := tokenOf(call.Mails[i].Data)
		if token == nil || bytes.Equal(token, before) || receipts[i].Fault != mailing.Taken {
			bad++
		}
		before, size = token, size+len(call.Mails[i].Data)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mails/keepEvery != (o.mails+len(call.Mails))/keepEvery {
		last := call.Mails[len(call.Mails)-1]
		o.kept[last.To] = string(tokenOf(last.Data))
	}
	o.mails += len(call.Mails)
	o.bytes += int64(size)
	o.bad += bad
	return receipts
}

// tokenOf finds the link of a mail; nil where there is none.
func tokenOf(data []byte) []byte {
	_, rest, found := bytes.Cut(data, linkBegins)
	if !found || len(rest) < link.TokenLength {
		return nil
	}
	return rest[:link.TokenLength]
}

// check follows the kept links to the profiles of their addresses.
func (o *outbox) check(ctx context.Context, s *store.Store, profiles int) (bytes int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mails != profiles || o.bad > 0 || len(o.kept) == 0 {
		return 0, fmt.Errorf("%d mails to %d people, %d of them without a link of their own, %d links kept", o.mails, profiles, o.bad, len(o.kept))
	}
	for address, text := range o.kept {
		token, name, ok := link.Parse(text)
		if !ok {
			return 0, fmt.Errorf("the link to %s is none", address)
		}
		page, err := s.Page(ctx, org, name)
		if page == nil || err != nil {
			return 0, fmt.Errorf("the link to %s has no page: %w", address, err)
		}
		entry, ok := page.Find(token)
		if !ok {
			return 0, fmt.Errorf("the link to %s is not on its page", address)
		}
		p, err := s.Profile(ctx, org, entry.Profile)
		if err != nil {
			return 0, err
		}
		if p.Email != address || p.Epoch != entry.Epoch {
			return 0, fmt.Errorf("the link to %s is somebody else's, or dead", address)
		}
	}
	return int(o.bytes / int64(o.mails)), nil
}

func BenchmarkMailing(b *testing.B) {
	const few, pairs = 10_000, 3
	n := million()
	mail(b, few, 1, true) // brings the program into memory
	for b.Loop() {
		var synced, unsynced, growth, rate []float64
		var perFew, perMany []time.Duration
		var anonymous, resident int64
		var last ran
		for range pairs {
			small := mail(b, few, 7, true)
			large := mail(b, n, 1, true)
			without := mail(b, n, 1, false)
			s, u := float64(n)/large.took(0).Seconds(), float64(n)/without.took(0).Seconds()
			synced, unsynced, rate = append(synced, s), append(unsynced, u), append(rate, s/u)
			perFew, perMany = append(perFew, small.perRecipient(few)), append(perMany, large.perRecipient(n))
			growth = append(growth, float64(large.perRecipient(n))/float64(small.perRecipient(few)))
			anonymous, resident = max(anonymous, large.Anonymous), max(resident, large.Resident)
			last = large
		}
		to := "mailing to " + thousands(n) + ": "
		limit(b, to+"recipients, fsync on, two cores", median(synced), 50_000, "a second", atLeast)
		limit(b, to+"against the same without fsync", median(rate), 0.5, "x", atLeast)
		limit(b, "mailing: time per recipient, "+thousands(n)+" against "+thousands(few), median(growth), 1.2, "x", atMost)
		if anonymous > 0 {
			limit(b, to+"most anonymous memory", float64(anonymous)/(1<<20), 64, "MiB", atMost)
			limit(b, to+"most resident memory", float64(resident)/(1<<20), 256, "MiB", atMost)
		} else {
			tell(b, to+"memory", "this system does not tell it apart (Linux does)")
		}
		tell(b, to+"freezing, sending (last run); template data of a mail",
			fmt.Sprintf("%.1f s, %.1f s; %s bytes", last.Freezing[0].Seconds(), last.Sending[0].Seconds(), thousands(last.Bytes)))
		tell(b, to+"recipients a second with and without fsync", list(synced)+" and "+list(unsynced))
		tell(b, "mailing: time per recipient, few and many", fmt.Sprint(perFew, perMany))
	}
}

// list writes figures from least to most.
func list(figures []float64) string {
	var all []string
	for _, f := range slices.Sorted(slices.Values(figures)) {
		all = append(all, number(f))
	}
	return strings.Join(all, " ")
}
