package mailbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/shared/mailing"
)

var morning = time.Date(2026, 5, 4, 9, 30, 0, 0, time.UTC)

// clock is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: morning} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func open(t testing.TB, dir string, opts mailbox.Options) *mailbox.Service {
	t.Helper()
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s, err := mailbox.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func shut(t testing.TB, s *mailbox.Service) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func data(subject, html, text string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(map[string]string{"subject": subject, "html": html, "text": text}); err != nil {
		panic(err)
	}
	// Ordered as Memberkey writes it.
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b.Bytes(), &m); err != nil {
		panic(err)
	}
	return fmt.Appendf(nil, `{"subject":%s,"html":%s,"text":%s}`, m["subject"], m["html"], m["text"])
}

func mailTo(address, tag string) mailing.Mail {
	return mailing.Mail{To: address, Tag: tag, Data: data("Hello "+tag, `<p class="x">To "`+tag+`" \ </p>`, "To "+tag)}
}

func callTo(name string, addresses ...string) mailing.Call {
	c := mailing.Call{Organization: "demo", From: `"The Club" <club@example.org>`, ReplyTo: "office@example.org", Mailing: name}
	for i, a := range addresses {
		c.Mails = append(c.Mails, mailTo(a, fmt.Sprintf("m_%s_1_0_0_%d", name, i)))
	}
	return c
}

func many(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("p%d@example.com", i)
	}
	return all
}

func faultsOf(receipts []mailing.Receipt) []mailing.Fault {
	all := make([]mailing.Fault, len(receipts))
	for i, r := range receipts {
		all[i] = r.Fault
	}
	return all
}

// take sends and expects every mail to be taken.
func take(t testing.TB, s *mailbox.Service, call mailing.Call) []mailing.Receipt {
	t.Helper()
	receipts := s.Send(t.Context(), call)
	for i, r := range receipts {
		if r.Fault != mailing.Taken || r.MessageID == "" || r.Reason != "" {
			t.Fatalf("mail %d: %+v", i, r)
		}
	}
	return receipts
}

func mails(t testing.TB, s *mailbox.Service, f mailbox.Filter) []mailbox.Mail {
	t.Helper()
	all, err := s.Mails(f)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func tags(all []mailbox.Mail) []string {
	list := make([]string, len(all))
	for i, m := range all {
		list[i] = m.Tag
	}
	return list
}

func TestAMailIsKeptAsItWasTaken(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	s := open(t, dir, mailbox.Options{Now: c.Now})
	call := callTo("summer", "ana@example.com", "bob@example.com")
	call.Mails[1].Data = data("Grüße {{x}}", "<p>\"quoted\" \\ </p>\n", "line\nline \u2028")
	receipts := take(t, s, call)
	c.pass(time.Minute)
	single := callTo("", "ana@example.com")
	single.Mails[0].Tag = "s_x_0"
	singleReceipts := take(t, s, single)

	want := []mailbox.Mail{
		{ID: singleReceipts[0].MessageID, At: morning.Add(time.Minute), Organization: "demo", Tag: "s_x_0", To: "ana@example.com",
			Subject: "Hello m__1_0_0_0", HTML: `<p class="x">To "m__1_0_0_0" \ </p>`, Text: "To m__1_0_0_0"},
		{ID: receipts[1].MessageID, At: morning, Organization: "demo", Mailing: "summer", Tag: "m_summer_1_0_0_1", To: "bob@example.com",
			Subject: "Grüße {{x}}", HTML: "<p>\"quoted\" \\ </p>\n", Text: "line\nline \u2028"},
		{ID: receipts[0].MessageID, At: morning, Organization: "demo", Mailing: "summer", Tag: "m_summer_1_0_0_0", To: "ana@example.com",
			Subject: "Hello m_summer_1_0_0_0", HTML: `<p class="x">To "m_summer_1_0_0_0" \ </p>`, Text: "To m_summer_1_0_0_0"},
	}
	for i := range want {
		want[i].From, want[i].ReplyTo, want[i].Outcome = call.From, call.ReplyTo, "delivered"
	}
	for _, when := range []string{"at once", "after a restart"} {
		if diff := cmp.Diff(want, mails(t, s, mailbox.Filter{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
		for _, m := range want {
			got, found, err := s.Mail(m.ID)
			if err != nil || !found {
				t.Fatalf("%s: Mail: %v, found %v", when, err, found)
			}
			if diff := cmp.Diff(m, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
		}
		shut(t, s)
		s = open(t, dir, mailbox.Options{Now: c.Now})
	}
	for _, id := range []string{"", "x", strings.Replace(want[0].ID, "0000000003", "0000000009", 1), "ffffffffffffffff" + want[0].ID[16:]} {
		if _, found, err := s.Mail(id); found || err != nil {
			t.Errorf("Mail(%q): found %v, %v", id, found, err)
		}
	}
	for _, test := range []struct {
		name   string
		filter mailbox.Filter
		want   []int
	}{
		{"to", mailbox.Filter{To: "ANA@example.com"}, []int{0, 2}},
		{"to is whole", mailbox.Filter{To: "na@example.com"}, nil},
		{"search", mailbox.Filter{Search: "B@EX"}, []int{1}},
		{"mailing", mailbox.Filter{Mailing: "summer"}, []int{1, 2}},
		{"single", mailbox.Filter{Single: true}, []int{0}},
		{"limit", mailbox.Filter{Limit: 2}, []int{0, 1}},
		{"before", mailbox.Filter{Before: want[1].ID}, []int{2}},
		{"before within", mailbox.Filter{Before: want[0].ID, Limit: 1}, []int{1}},
		{"before nothing", mailbox.Filter{Before: "x"}, nil},
	} {
		var expected []mailbox.Mail
		for _, i := range test.want {
			expected = append(expected, want[i])
		}
		if diff := cmp.Diff(expected, mails(t, s, test.filter)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	whole := data("s", "h", "t")
	big := data("s", strings.Repeat(`"`, 3<<17), "t")
	for _, test := range []struct {
		name   string
		change func(*mailing.Call)
		want   mailing.Receipt
	}{
		{"no domain", func(c *mailing.Call) { c.Mails[0].To = "ana" }, mailing.Receipt{Fault: mailing.Rejected, Reason: "invalid_address"}},
		{"empty local part", func(c *mailing.Call) { c.Mails[0].To = "@example.com" }, mailing.Receipt{Fault: mailing.Rejected, Reason: "invalid_address"}},
		{"local part not ASCII", func(c *mailing.Call) { c.Mails[0].To = "añá@example.com" }, mailing.Receipt{Fault: mailing.Rejected, Reason: "invalid_address"}},
		{"domain not in A-labels", func(c *mailing.Call) { c.Mails[0].To = "ana@exámple.com" }, mailing.Receipt{Fault: mailing.Rejected, Reason: "invalid_address"}},
		{"two addresses", func(c *mailing.Call) { c.Mails[0].To = "a@example.com,b@example.com" }, mailing.Receipt{Fault: mailing.Rejected, Reason: "invalid_address"}},
		{"dots", func(c *mailing.Call) { c.Mails[0].To = "a..b@example.com" }, mailing.Receipt{Fault: mailing.Rejected, Reason: "invalid_address"}},
		{"empty label", func(c *mailing.Call) { c.Mails[0].To = "a@example..com" }, mailing.Receipt{Fault: mailing.Rejected, Reason: "invalid_address"}},
		{"label ends in a hyphen", func(c *mailing.Call) { c.Mails[0].To = "a@example-.com" }, mailing.Receipt{Fault: mailing.Rejected, Reason: "invalid_address"}},
		{"data is no object", func(c *mailing.Call) { c.Mails[0].Data = []byte(`["x"]`) }, mailing.Receipt{Fault: mailing.Rejected, Reason: "invalid_template_data"}},
		{"data is null", func(c *mailing.Call) { c.Mails[0].Data = []byte(`null`) }, mailing.Receipt{Fault: mailing.Rejected, Reason: "invalid_template_data"}},
		{"data is cut off", func(c *mailing.Call) { c.Mails[0].Data = whole[:len(whole)-1] }, mailing.Receipt{Fault: mailing.Rejected, Reason: "invalid_template_data"}},
		{"no sender", func(c *mailing.Call) { c.From = "The Club" }, mailing.Receipt{Fault: mailing.Misconfigured, Reason: "mail_from_domain_not_verified"}},
		{"more than 50", func(c *mailing.Call) { *c = callTo("x", many(51)...) }, mailing.Receipt{Fault: mailing.Unclear, Reason: "too_many_destinations"}},
		{"one above 1 MB", func(c *mailing.Call) { c.Mails[0].Data = append(big, bytes.Repeat([]byte(" "), 1<<20)...) }, mailing.Receipt{Fault: mailing.Rejected, Reason: "request_too_large"}},
		// Data of 786 kB whose quotes and backslashes are escaped once more.
		{"one above 1 MB once encoded", func(c *mailing.Call) { c.Mails[0].Data = big }, mailing.Receipt{Fault: mailing.Rejected, Reason: "request_too_large"}},
		{"some above 1 MB", func(c *mailing.Call) {
			c.Mails = []mailing.Mail{mailTo("a@example.com", "a"), {To: "b@example.com", Data: big}}
		}, mailing.Receipt{Fault: mailing.Unclear, Reason: "request_too_large"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t, t.TempDir(), mailbox.Options{})
			call := callTo("x", "ana@example.com")
			test.change(&call)
			for i, r := range s.Send(t.Context(), call) {
				if r != test.want {
					t.Errorf("mail %d: %+v", i, r)
				}
			}
			if n := len(mails(t, s, mailbox.Filter{})); n != 0 || s.Accepted() != 0 {
				t.Errorf("%d mails were taken", n)
			}
		})
	}

	t.Run("one bad mail does not hinder the others", func(t *testing.T) {
		s := open(t, t.TempDir(), mailbox.Options{})
		got := faultsOf(s.Send(t.Context(), callTo("x", "a@example.com", "nobody", "b@example.com")))
		if diff := cmp.Diff([]mailing.Fault{mailing.Taken, mailing.Rejected, mailing.Taken}, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"m_x_1_0_0_2", "m_x_1_0_0_0"}, tags(mails(t, s, mailbox.Filter{}))); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("50 mails of almost 1 MB are taken", func(t *testing.T) {
		s := open(t, t.TempDir(), mailbox.Options{})
		call := callTo("x", many(50)...)
		for i := range call.Mails {
			call.Mails[i].Data = data("s", strings.Repeat("h", 20_000), "t")
		}
		take(t, s, call)
	})
}

func TestMailIsTakenAlthoughAVariableIsMissing(t *testing.T) {
	for _, d := range []string{`{"subject":"s","html":"h"}`, `{}`, `{"Subject":"s","html":"h","text":"t"}`} {
		s := open(t, t.TempDir(), mailbox.Options{})
		call := callTo("x", "ana@example.com")
		call.Mails[0].Data = []byte(d)
		take(t, s, call)
		if got := mails(t, s, mailbox.Filter{})[0]; got.Outcome != "not_rendered" || got.HTML != "" {
			t.Errorf("%s: %+v", d, got)
		}
		if diff := cmp.Diff([]string{"Rendering Failure"}, types(collect(t, s))); diff != "" {
			t.Errorf("%s: %s", d, diff)
		}
	}
	// Other orders and more variables do no harm.
	for _, d := range []string{`{"text":"t","html":"h","subject":"s"}`, ` {"subject" : "s\"", "html":"h", "text":"t", "n":1}`, `{"subject":"\\","html":"\\\"","text":""}`} {
		s := open(t, t.TempDir(), mailbox.Options{})
		call := callTo("x", "ana@example.com")
		call.Mails[0].Data = []byte(d)
		take(t, s, call)
		if got := mails(t, s, mailbox.Filter{})[0]; got.Outcome != "delivered" {
			t.Errorf("%s: %+v", d, got)
		}
	}
}

func TestRateAndQuota(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	opts := mailbox.Options{Now: c.Now, Rate: 10, DailyQuota: 40}
	s := open(t, dir, opts)
	count := func(call mailing.Call) map[mailing.Fault]int {
		n := map[mailing.Fault]int{}
		for _, f := range faultsOf(s.Send(t.Context(), call)) {
			n[f]++
		}
		return n
	}
	account := func() mailing.Account {
		a, err := s.Account(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	// Two seconds' worth pass at once.
	if diff := cmp.Diff(map[mailing.Fault]int{mailing.Taken: 20, mailing.Throttled: 5}, count(callTo("x", many(25)...))); diff != "" {
		t.Error(diff)
	}
	c.pass(500 * time.Millisecond)
	if diff := cmp.Diff(map[mailing.Fault]int{mailing.Taken: 5, mailing.Throttled: 5}, count(callTo("x", many(10)...))); diff != "" {
		t.Error(diff)
	}
	c.pass(time.Hour)
	if diff := cmp.Diff(map[mailing.Fault]int{mailing.Taken: 15, mailing.QuotaUsed: 5}, count(callTo("x", many(20)...))); diff != "" {
		t.Error(diff)
	}
	want := mailing.Account{Rate: 10, DailyQuota: 40, SentLastDay: 40, Enabled: true}
	if diff := cmp.Diff(want, account()); diff != "" {
		t.Error(diff)
	}
	shut(t, s)
	s = open(t, dir, opts)
	if diff := cmp.Diff(want, account()); diff != "" {
		t.Errorf("after a restart: %s", diff)
	}
	c.pass(23*time.Hour + time.Minute) // the first 25 are a day ago
	if got := account().SentLastDay; got != 15 {
		t.Errorf("sent in the last day: %v, want 15", got)
	}
	if diff := cmp.Diff(map[mailing.Fault]int{mailing.Taken: 3}, count(callTo("x", many(3)...))); diff != "" {
		t.Error(diff)
	}
	c.pass(90 * 24 * time.Hour)
	if got := account().SentLastDay; got != 0 {
		t.Errorf("sent in the last day: %v, want 0", got)
	}
}

func TestSandbox(t *testing.T) {
	s := open(t, t.TempDir(), mailbox.Options{Sandbox: true, Verified: []string{"ana@example.com", "example.org"}, Rate: 100})
	got := s.Send(t.Context(), callTo("x", "Ana@example.com", "bob@example.com", "bob@example.org", "success@simulator.example"))
	if diff := cmp.Diff([]mailing.Fault{mailing.Taken, mailing.Rejected, mailing.Taken, mailing.Taken}, faultsOf(got)); diff != "" {
		t.Error(diff)
	}
	a, err := s.Account(t.Context())
	if err != nil || a.DailyQuota != 200 || a.Rate != 100 {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestBoundsOnDisk(t *testing.T) {
	for _, test := range []struct {
		name string
		opts mailbox.Options
		kept func(n int) bool
		size int64
	}{
		{"by number", mailbox.Options{Keep: 320, KeepLedger: 640}, func(n int) bool { return n <= 320 && n >= 300 }, 0},
		{"by bytes", mailbox.Options{KeepBytes: 100_000}, func(n int) bool { return n > 0 }, 100_000},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, test.opts)
			var last []mailing.Receipt
			for i := range 500 {
				last = take(t, s, callTo(fmt.Sprintf("c%d", i), many(10)...))
			}
			for _, when := range []string{"at once", "after a restart"} {
				var all []mailbox.Mail
				for before := ""; ; {
					page := mails(t, s, mailbox.Filter{Before: before, Limit: 70})
					all = append(all, page...)
					if len(page) < 70 {
						break
					}
					before = page[len(page)-1].ID
				}
				if !test.kept(len(all)) || s.Kept() != len(all) {
					t.Errorf("%s: %d mails are there, %d are said to be kept", when, len(all), s.Kept())
				}
				for i, m := range all {
					if want := fmt.Sprintf("m_c%d_1_0_0_%d", 499-i/10, 9-i%10); m.Tag != want || m.Text != "To "+want || m.Lost {
						t.Fatalf("%s: mail %d is %+v, want %s", when, i, m, want)
					}
				}
				if all[0].ID != last[9].MessageID {
					t.Errorf("%s: the newest is %s", when, all[0].ID)
				}
				if size := sizeOf(t, dir, "bodies-*"); test.size > 0 && size > test.size {
					t.Errorf("%s: content of %d bytes is kept", when, size)
				}
				copies, err := s.Copies("c0")
				if err != nil || test.opts.KeepLedger > 0 && len(copies) != 0 || test.opts.KeepLedger == 0 && len(copies) != 10 {
					t.Errorf("%s: the ledger has %d mails of the first call, %v", when, len(copies), err)
				}
				shut(t, s)
				s = open(t, dir, test.opts)
			}
		})
	}
}

func sizeOf(t *testing.T, dir, pattern string) (size int64) {
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	return size
}

func TestCopies(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, mailbox.Options{})
	take(t, s, callTo("x", "a@example.com", "b@example.com"))
	again := callTo("x", "a@example.com", "b@example.com")
	again.Mails = again.Mails[1:]
	take(t, s, again)
	take(t, s, callTo("y", "a@example.com"))
	want := map[mailbox.Copy]int{
		{Organization: "demo", Tag: "m_x_1_0_0_0", To: "a@example.com"}: 1,
		{Organization: "demo", Tag: "m_x_1_0_0_1", To: "b@example.com"}: 2,
	}
	shut(t, s)
	got, err := open(t, dir, mailbox.Options{}).Copies("x")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDiscardOnlyCounts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	s := open(t, dir, mailbox.Options{Discard: true, DailyQuota: 15})
	first, second := take(t, s, callTo("x", many(10)...)), s.Send(t.Context(), callTo("x", many(10)...))
	ids := map[string]bool{}
	for _, r := range append(first, second[:5]...) {
		ids[r.MessageID] = true
	}
	if len(ids) != 15 || second[5].Fault != mailing.QuotaUsed || s.Accepted() != 15 {
		t.Errorf("%d ids, then %+v; %d accepted", len(ids), second[5], s.Accepted())
	}
	if len(mails(t, s, mailbox.Filter{})) != 0 || s.Unpublished() != 0 {
		t.Error("something was kept")
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder was made: %v", err)
	}
}

// Everything at once, with bounds so small that files go all the time.
func TestConcurrentUse(t *testing.T) {
	s := open(t, t.TempDir(), mailbox.Options{Keep: 64, KeepLedger: 1 << 20, KeepBytes: 20_000})
	ctx, cancel := context.WithCancel(t.Context())
	events := make(chan int, 1)
	go func() {
		n := 0
		_ = s.Publish(ctx, func(_ context.Context, batch [][]byte) error { n += len(batch); return nil })
		events <- n
	}()
	var senders, readers sync.WaitGroup
	for i := range 4 {
		senders.Go(func() {
			for k := range 100 {
				s.Send(ctx, callTo(fmt.Sprintf("%d-%d", i, k), many(7)...))
			}
		})
	}
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				all, err := s.Mails(mailbox.Filter{Search: "p3@"})
				if err != nil {
					t.Error(err)
				}
				for _, m := range all {
					if m.Lost || m.Text != "To "+m.Tag {
						t.Errorf("%+v", m)
					}
				}
				s.Mailings()
			}
		})
	}
	senders.Wait()
	close(done)
	readers.Wait()
	waitFor(t, func() bool { return s.Unpublished() == 0 })
	cancel()
	if n := <-events; n != 4*100*7*2 {
		t.Errorf("%d events, want %d", n, 4*100*7*2)
	}
	if n := s.Accepted(); n != 4*100*7 {
		t.Errorf("%d accepted", n)
	}
}

func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("it did not happen in 10 s")
}
