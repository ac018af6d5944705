package e2e_test

// The built program, killed. What is proven here is H15 and the promise of
// imports: after a kill at any moment the same data, started again, ends where
// it would have ended.

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	mailservice "github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

// program is the built local system.
type program struct{ path string }

// build builds it as `make run` does. It is not built with the race detector:
// it is timing that kills are about.
func build(t *testing.T) program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "memberkey")
	if out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", path, "../local").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program{path}
}

// process is a running program, seen from outside as any world is.
type process struct {
	*world
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{}
	state *os.ProcessState // once ended

	mu     sync.Mutex
	output bytes.Buffer
}

// Write takes what the process prints.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.Write(b)
}

// printed is everything that the process wrote to its two outputs.
func (p *process) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// spawn starts the program on a folder without waiting for it.
func (b program) spawn(t *testing.T, data string, flags ...string) *process {
	t.Helper()
	template, err := filepath.Abs("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, ended: make(chan struct{})}
	p.cmd = exec.Command(b.path, append([]string{"-addr", "localhost:0", "-data", data, "-template", template}, flags...)...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		p.state = p.cmd.ProcessState
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	return p
}

var isAt = regexp.MustCompile(`(?m)^Memberkey is at (http://localhost:\d+)$`)

// run starts the program and waits until it answers.
func (b program) run(t *testing.T, data string, flags ...string) *process {
	t.Helper()
	p := b.spawn(t, data, flags...)
	eventually(t, 20*time.Second, "the program answers", func() bool {
		select {
		case <-p.ended:
			t.Fatalf("it ended with %v and said:\n%s", p.state, p.printed())
		default:
		}
		found := isAt.FindStringSubmatch(p.printed())
		if found != nil {
			p.world = see(t, found[1], nil)
		}
		return found != nil
	})
	return p
}

// kill ends it as a failing machine would: there is no signal to answer.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// interrupt is Ctrl-C; it answers how long the end took.
func (p *process) interrupt() time.Duration {
	p.t.Helper()
	begun := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		p.t.Fatalf("it does not stop; it said:\n%s", p.printed())
	}
	if !p.state.Success() {
		p.t.Fatalf("it ended with %v and said:\n%s", p.state, p.printed())
	}
	return time.Since(begun)
}

// post sends CSV that may have no answer, because the process is killed
// meanwhile.
func (p *process) post(path string, file table) (status int, answer []byte, err error) {
	request, err := http.NewRequest("POST", p.base+path, strings.NewReader(string(file)))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+p.token())
	request.Header.Set("Content-Type", "text/csv")
	reply, err := plain.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer reply.Body.Close()
	answer, err = io.ReadAll(reply.Body)
	return reply.StatusCode, answer, err
}

// eventually asks again and again, and ends the test when it never holds.
func eventually(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %v it is still not so that %s", limit, what)
		}
	}
}

// moment draws one.
func moment(least, most time.Duration) time.Duration { return least + rand.N(most-least) }

// folder is an opened data folder, of which no process is running.
type folder struct {
	*store.Store
	mail *mailservice.Service
}

func openFolder(t *testing.T, data string) *folder {
	t.Helper()
	db, err := embedded.Open(filepath.Join(data, "memberkey.db"), embedded.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	mail, err := mailservice.Open(filepath.Join(data, "mail"), mailservice.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mail.Close() })
	return &folder{&store.Store{DB: db}, mail}
}

// fiveThousand is members.csv with as many further members as make at least
// 5,000 recipients, who come in threes to a mailbox now and then.
func fiveThousand(t *testing.T) (file table, rows int) {
	t.Helper()
	all := members(t)
	for n := range 800 {
		id := 900_001 + n
		box := fmt.Sprintf("further%d@example.org", n)
		if n%40 < 3 {
			box = fmt.Sprintf("family%d@example.org", n/40)
		}
		all = append(all, []string{strconv.Itoa(id), "Individual", "Further", "Member " + strconv.Itoa(n), "", box, "Active", "2020-01-01", "", "", "", "", ""})
	}
	var b strings.Builder
	if err := csv.NewWriter(&b).WriteAll(all); err != nil {
		t.Fatal(err)
	}
	return table(b.String()), len(all) - 1
}

// members are the rows of members.csv, its header first.
func members(t *testing.T) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../shared/profile/testdata/members.csv")
	if err != nil {
		t.Fatal(err)
	}
	all, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

type audience struct {
	State    string
	Version  int
	Mails    int
	Profiles int
	Skipped  map[string]int
}

// numbers are what two freezes of the same audience must agree in.
func (a audience) numbers() audience {
	a.Version = 0
	return a
}

// counted asks until the audience is counted; false means that nobody counts.
func (p *process) counted(id string) (a audience, ok bool) {
	p.t.Helper()
	eventually(p.t, 30*time.Second, "the audience is counted", func() bool {
		p.get("/api/mailings/" + id + "/audience").into(&a)
		return a.State != "counting"
	})
	return a, a.State == "ready"
}

// H15, and the issue's own words: killed at 20 random points of a mailing of
// 5,000 recipients and each time started again, the mailing ends done, everyone
// has their mail, and nobody has it twice outside the batches whose intent was
// written and whose outcome was not.
//
// The freeze before it is killed, too: whoever counts goes on where the dead
// one stood, and comes to the same batches.
func TestKilledDuringAMailing(t *testing.T) {
	t.Parallel()
	const kills, freezes = 20, 5
	program, data := build(t), t.TempDir()
	// The account's rate makes it last; every answer comes late, so that many a
	// kill falls between what the mail service took and what was noted of it.
	flags := []string{"-fail", "rate=400,slow=120ms"}
	p := program.run(t, data, flags...)
	file, rows := fiveThousand(t)
	p.api("PUT", "/api/organization", doc{"accessLevel": "any_active_profile"}, "If-Match", p.get("/api/organization").etag()).want(http.StatusOK)
	var imported struct {
		Complete         bool
		Created, Refused int
	}
	p.api("POST", "/api/profile-imports", file).want(http.StatusOK).into(&imported)
	if !imported.Complete || imported.Created < rows-10 {
		t.Fatalf("imported %+v of %d rows", imported, rows)
	}
	id := p.api("POST", "/api/mailings", doc{
		"subject": "Your login, [[FIRSTNAME]]", "html": "<p>Dear [[FIRSTNAME]], set your password: [[PORTALLOGINLINK]]</p>",
	}).want(http.StatusCreated).text("id")
	at := "/api/mailings/" + id

	p.api("POST", at+"/audience", nil).want(http.StatusAccepted)
	undisturbed, ok := p.counted(id)
	if !ok || undisturbed.Mails < 4_000 {
		t.Fatalf("%+v", undisturbed)
	}
	last, cut := undisturbed, 0
	for n := range freezes {
		p.api("POST", at+"/audience", nil).want(http.StatusAccepted)
		time.Sleep(moment(0, 100*time.Millisecond))
		p.kill()
		p = program.run(t, data, flags...)
		if p.get(at+"/audience").text("state") == "counting" {
			cut++
		}
		if last, ok = p.counted(id); !ok {
			t.Fatalf("after kill %d nobody counts: %+v", n+1, last)
		}
		if diff := cmp.Diff(undisturbed.numbers(), last.numbers()); diff != "" {
			t.Fatalf("after kill %d of the freeze (-undisturbed +killed):\n%s", n+1, diff)
		}
	}
	if cut == 0 {
		t.Errorf("none of %d kills fell into the freeze", freezes)
	}

	state := func() (m struct {
		State  string
		Report struct{ Outcomes map[string]int }
	}) {
		p.get(at).into(&m)
		return m
	}
	p.api("POST", at+"/send", doc{"version": last.Version}).want(http.StatusOK)
	begun := time.Now()
	for n := range kills {
		time.Sleep(moment(50*time.Millisecond, 2200*time.Millisecond))
		if m := state(); m.State != "sending" {
			t.Fatalf("before kill %d the mailing is %s: it must last longer", n+1, m.State)
		}
		p.kill()
		p = program.run(t, data, flags...)
	}
	killed, open := time.Since(begun), state().Report.Outcomes["pending"]
	eventually(t, 60*time.Second, "the mailing is done", func() bool { return state().State == "done" })
	t.Logf("%d mails; %d of %d kills of the freeze fell into it; killed %d times in %.0f s of sending, when %d people were still pending; done after %.0f s",
		undisturbed.Mails, cut, freezes, kills, killed.Seconds(), open, time.Since(begun).Seconds())
	eventually(t, 20*time.Second, "all events are recorded", func() bool {
		m := state()
		return m.Report.Outcomes["sent"] == 0
	})
	p.interrupt()

	verifyMailing(t, openFolder(t, data), id, undisturbed, 5_000, kills)
}

// verifyMailing holds what is stored against what the mail service took, of a
// mailing to at least so many people.
func verifyMailing(t *testing.T, f *folder, id string, counted audience, people, kills int) {
	t.Helper()
	ctx := context.Background()
	const org = "demo"
	m, err := f.Mailing(ctx, org, id)
	if err != nil {
		t.Fatal(err)
	}
	lanes, err := f.Lanes(ctx, org, id, m.Generation)
	if err != nil {
		t.Fatal(err)
	}
	copies, err := f.mail.Copies(id)
	if err != nil {
		t.Fatal(err)
	}
	taken := map[string]int{} // by tag, wherever it went
	for c, n := range copies {
		taken[c.Tag] += n
	}
	entries := map[string]*mailing.Entry{}
	found, sums := map[profile.ID]string{}, mailing.Tally{}
	second, uncertain, doubled := 0, map[string]bool{}, map[string]bool{}
	for _, lane := range lanes {
		if !lane.Finished {
			t.Errorf("lane %d is not finished", lane.Number)
		}
		for from := 0; ; {
			batches, more, err := f.Batches(ctx, org, id, m.Generation, lane.Number, from, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range batches {
				from = b.Index + 1
				sums.Add(b.Tally())
				if b.State != mailing.BatchFinished {
					t.Errorf("batch %d/%d is %q", b.Lane, b.Index, b.State)
				}
				for i := range b.Entries {
					e, tag := &b.Entries[i], mailing.Tag(b, i)
					entries[tag] = e
					name := fmt.Sprintf("%d/%d", b.Lane, b.Index)
					if e.Attempts > 1 {
						uncertain[name] = true
					}
					for _, r := range e.Recipients {
						if other := found[r.Profile]; other != "" {
							t.Errorf("profile %s stands in %s and %s", r.Profile, other, tag)
						}
						found[r.Profile] = tag
						if r.Known() != mailing.Delivered {
							t.Errorf("%s of %s: %s (%s)", r.Profile, tag, r.Known(), r.Reason)
						}
					}
					switch n := taken[tag]; {
					case n == 0:
						t.Errorf("%s was never taken by the mail service", tag)
					case n > 1 && e.Attempts < 2:
						t.Errorf("%s went %d times, and its intent was written once", tag, n)
					case n > 1:
						second += n - 1
						doubled[name] = true
					}
				}
			}
			if !more {
				break
			}
		}
	}
	for tag := range taken {
		if entries[tag] == nil {
			t.Errorf("the mail service took %s, of which nobody knows", tag)
		}
	}
	if diff := cmp.Diff(mailing.Sum(lanes), sums, cmp.Transformer("told", told)); diff != "" {
		t.Errorf("lanes and batches (-lanes +batches):\n%s", diff)
	}
	skipped := 0
	for _, n := range counted.Skipped {
		skipped += n
	}
	if got, want := sums.Total(), counted.Profiles-skipped; got != want || len(found) != want {
		t.Errorf("%d outcomes of %d profiles; %d were frozen", got, len(found), want)
	}
	if len(entries) != counted.Mails || len(found) < people {
		t.Errorf("%d entries for %d mails to %d profiles", len(entries), counted.Mails, len(found))
	}
	if most := kills * len(lanes); len(uncertain) > most {
		t.Errorf("%d batches were tried again; %d kills in %d lanes can have cut off %d", len(uncertain), kills, len(lanes), most)
	}
	links := verifyLinks(t, f, id, entries)
	t.Logf("second copies: %d, all in %d of the %d batches whose intent was written and whose outcome was not; outcomes %v; %d links", second, len(doubled), len(uncertain), sums, links)
}

// told leaves out what counts nobody.
func told(t mailing.Tally) map[mailing.Outcome]int {
	m := map[mailing.Outcome]int{}
	for k, n := range t {
		if n != 0 {
			m[k] = n
		}
	}
	return m
}

var linkIn = regexp.MustCompile(`http://localhost:\d+/portal/demo/set-password/([0-9A-Za-z]+)`)

// verifyLinks opens every link of every mail that was taken: the mail of an
// entry has one for each of its profiles, and no other.
func verifyLinks(t *testing.T, f *folder, id string, entries map[string]*mailing.Entry) (links int) {
	t.Helper()
	ctx := context.Background()
	pages := map[string]*link.Page{}
	for before, read := "", 0; ; {
		mails, err := f.mail.Mails(mailservice.Filter{Mailing: id, Before: before, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if len(mails) == 0 {
			if read < len(entries) {
				t.Errorf("%d mails of %d entries are there to read", read, len(entries))
			}
			return links
		}
		read += len(mails)
		for _, m := range mails {
			before = m.ID
			e := entries[m.Tag]
			if e == nil || m.Lost {
				t.Errorf("%s: lost %v", m.Tag, m.Lost)
				continue
			}
			var want, got []profile.ID
			for _, r := range e.Recipients {
				want = append(want, r.Profile)
			}
			for _, text := range linkIn.FindAllStringSubmatch(m.Text, -1) {
				token, name, ok := link.Parse(text[1])
				if !ok {
					t.Errorf("%s: a link is none", m.Tag)
					continue
				}
				page := pages[name]
				if page == nil {
					if page, err = f.Page(ctx, "demo", name); err != nil || page == nil {
						t.Fatalf("%s: no link page, %v", m.Tag, err)
					}
					pages[name] = page
				}
				l, ok := page.Find(token)
				if !ok {
					t.Errorf("%s: the link opens nothing", m.Tag)
				}
				got = append(got, l.Profile)
				links++
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				t.Errorf("%s: links of %v in the mail for %v", m.Tag, got, want)
			}
		}
	}
}

// What the mail service tells after a kill settles what was not noted before
// it, and is told once: the cursor of its events is on disk, too.
func TestSettledByEventsAfterAKill(t *testing.T) {
	t.Parallel()
	program, data := build(t), t.TempDir()
	p := program.run(t, data, "-fail", "late=2s")
	var hits struct {
		Profiles []struct{ ID, Email string }
	}
	p.get("/api/profiles?limit=100").into(&hits)
	var people []string
	for _, h := range hits.Profiles {
		if p.api("POST", "/api/profiles/"+h.ID+"/reset-emails", nil).Status == http.StatusAccepted {
			people = append(people, h.ID)
		}
		if len(people) == 3 {
			break
		}
	}
	if len(people) < 3 {
		t.Fatalf("resets to %v of %d people", people, len(hits.Profiles))
	}
	last := func(id string) string {
		var c struct{ LastLink *struct{ State string } }
		p.get("/api/profiles/" + id + "/credentials").into(&c)
		if c.LastLink == nil {
			return ""
		}
		return c.LastLink.State
	}
	eventually(t, 10*time.Second, "the mail service has taken them", func() bool { return len(p.mails("")) == len(people) })
	for _, id := range people {
		if state := last(id); state != "sent" {
			t.Errorf("before its event the mail to %s is %q", id, state)
		}
	}
	p.kill()
	p = program.run(t, data)
	for _, id := range people {
		eventually(t, 10*time.Second, id+"'s mail is delivered", func() bool { return last(id) == "delivered" })
	}
	p.kill()
	p = program.run(t, data)
	if n := len(p.mails("")); n != len(people) {
		t.Errorf("%d mails to %d people", n, len(people))
	}
	p.interrupt()
	if n := openFolder(t, data).mail.Unpublished(); n != 0 {
		t.Errorf("%d events are told again after two kills and a stop", n)
	}
}

// An import that is killed and posted again, wherever it was killed, ends in
// the same store as one that nobody disturbed.
func TestKilledDuringAnImport(t *testing.T) {
	t.Parallel()
	program, data, whole := build(t), t.TempDir(), t.TempDir()
	text, err := os.ReadFile("../../shared/profile/testdata/members.csv")
	if err != nil {
		t.Fatal(err)
	}
	file := table(text)
	type answer struct {
		Complete                             bool
		Created, Updated, Unchanged, Refused int
		Accepted, ErrorsTotal, WarningsTotal int
		MissingTotal                         int
		Errors, Warnings                     []json.RawMessage
	}
	p := program.run(t, whole)
	var undisturbed answer
	begun := time.Now()
	p.api("POST", "/api/profile-imports", file).want(http.StatusOK).into(&undisturbed)
	took := time.Since(begun)
	p.interrupt()
	if !undisturbed.Complete || undisturbed.Created < 4_900 {
		t.Fatalf("%+v", undisturbed)
	}

	const kills = 10
	p = program.run(t, data)
	var last answer
	var stood []int // how many rows were there when each try began
	for {
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			last = answer{}
			if status, body, err := p.post("/api/profile-imports", file); err == nil && status == http.StatusOK {
				_ = json.Unmarshal(body, &last)
			}
		}()
		var left []string
		eventually(t, 20*time.Second, "rows are being written", func() bool {
			left = rowsLeft.FindStringSubmatch(p.printed())
			return left != nil
		})
		n, err := strconv.Atoi(left[1])
		if err != nil {
			t.Fatal(err)
		}
		if stood = append(stood, undisturbed.Created-n); len(stood) > kills {
			<-sent
			break
		}
		time.Sleep(moment(0, took/15))
		p.kill()
		<-sent
		p = program.run(t, data)
	}
	p.interrupt()
	if !last.Complete || last.Created+last.Unchanged != undisturbed.Created+undisturbed.Unchanged || last.Refused != undisturbed.Refused {
		t.Errorf("the last post answered %+v, the undisturbed one %+v", last, undisturbed)
	}
	t.Logf("an import of %v; each try found %v of %d rows", took.Round(time.Millisecond), stood, undisturbed.Created)
	if diff := cmp.Diff(dump(t, whole), dump(t, data)); diff != "" {
		t.Errorf("(-undisturbed +killed):\n%.4000s", diff)
	}
}

var rowsLeft = regexp.MustCompile(`Import: \d+ of (\d+) rows`)

// dump reads every table of a folder into lines that two stores of the same
// people must agree in. What may differ, and why:
//
//   - revisions, of which the driver gives every write another one;
//   - a profile's epoch, which is random, and its times, which are of the
//     moment at which its row was written;
//   - the ids and times of activity entries, for the same reason. That there is
//     one entry of each kind for each profile is compared;
//   - the entry that sums up an import: a killed one has none, and each that
//     was posted again has one. It stands in the day's list alone;
//   - the partition of a day, if midnight falls between the two;
//   - the portal address in the settings, which follows the free port;
//   - the pace record, which tells when the account was last read, and the due
//     times of what the sweep looks at.
func dump(t *testing.T, data string) []string {
	t.Helper()
	s := openFolder(t, data)
	ctx := context.Background()
	var lines []string
	for key, value := range items(t, data) {
		line := fmt.Sprintf("%s %q", key.Table, key.Partition)
		switch {
		case key.Table == store.Mailings && key.Partition == "pace":
			continue
		case key.Table == store.Activity:
			var e struct {
				Kind, Profile string
				Actor         struct{ Kind, ID string }
				Detail        map[string]string
			}
			if err := json.Unmarshal(value, &e); err != nil {
				t.Fatal(err)
			}
			if e.Kind == "import_run" {
				continue
			}
			line = fmt.Sprintf("activity %s %+v", strings.SplitN(key.Partition, "#", 3)[1], e)
		case key.Table == store.Profiles && key.Sort == "profile":
			org, id, _ := strings.Cut(key.Partition, "#")
			p, err := s.Profile(ctx, org, profile.ID(id))
			if err != nil {
				t.Fatal(err)
			}
			if p.Epoch == "" || p.EpochAt.IsZero() || p.CreatedAt.IsZero() || p.UpdatedAt.IsZero() {
				t.Errorf("%s lacks an epoch or a time: %+v", id, p)
			}
			p.Epoch, p.EpochAt, p.CreatedAt, p.UpdatedAt = "", time.Time{}, time.Time{}, time.Time{}
			line += fmt.Sprintf(" %+v", *p)
		case key.Table == store.Profiles && key.Sort == "settings":
			var settings map[string]any
			if err := json.Unmarshal(value, &settings); err != nil {
				t.Fatal(err)
			}
			delete(settings, "portalAddress")
			line += fmt.Sprintf(" %v", settings)
		default:
			line += fmt.Sprintf(" %q %q", key.Sort, value)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// items are all that a folder holds, read from the file itself, so that
// nothing can be left out.
func items(t testing.TB, data string) map[store.Key][]byte {
	t.Helper()
	const header = 24 // revision, expires, due: see shared/embedded
	copied := filepath.Join(t.TempDir(), "copy.db")
	text, err := os.ReadFile(filepath.Join(data, "memberkey.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, text, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(copied, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := map[store.Key][]byte{}
	err = db.View(func(tx *bolt.Tx) error {
		for _, table := range store.Tables {
			err := tx.Bucket([]byte(table)).ForEach(func(k, v []byte) error {
				partition, sort, _ := strings.Cut(string(k), "\x00")
				if rev := binary.BigEndian.Uint64(v); rev == 0 {
					return fmt.Errorf("%q has no revision", k)
				}
				all[store.Key{Table: table, Partition: partition, Sort: sort}] = bytes.Clone(v[header:])
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Ctrl-C ends it in order, also while it sends; what was done is there after
// the next start, what was begun goes on, and a second process on the same
// folder is told what is wrong.
func TestCleanStop(t *testing.T) {
	t.Parallel()
	program, data := build(t), t.TempDir()
	p := program.run(t, data, "-fail", "rate=60,slow=200ms")
	made := p.person(doc{"firstName": "Stays", "email": "stays@example.org"})

	second := program.spawn(t, data)
	select {
	case <-second.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("a second process runs on the same folder")
	}
	if said := second.printed(); second.state.ExitCode() != 1 || !strings.Contains(said, "is another Memberkey running on this folder?") || strings.Contains(said, "goroutine") {
		t.Errorf("the second process ended with %v and said %q", second.state, said)
	}

	file := "Profile ID,Profile Type,First Name,Last Name,Email,Membership Status\n"
	for n := range 400 {
		file += fmt.Sprintf("k%d,Individual,Kay,Stop%d,kay%d@example.com,Active\n", n, n, n)
	}
	p.api("POST", "/api/profile-imports", table(file)).want(http.StatusOK).is("created", 400)
	c := p.compose(doc{"subject": "Your login", "html": "<p>[[PORTALLOGINLINK]]</p>", "audience": doc{"status": []string{"active"}, "type": "individual"}})
	c.send()
	p.api("POST", made.path("/reset-emails"), nil).want(http.StatusAccepted)
	p.until("the first mails", func() bool { return len(p.mails("")) > 10 })
	if took := p.interrupt(); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}

	p = program.run(t, data)
	p.get("/api/profiles/"+made.ID).is("firstName", "Stays").is("email", "stays@example.org")
	c.w = p.world
	if state := c.whole().text("state"); state != "sending" {
		t.Errorf("after the next start the mailing is %s", state)
	}
	if r := c.done(); r.number("report.outcomes.delivered") < 400 || r.number("report.outcomes.failed") != 0 {
		t.Errorf("it ends with %s", r.Body)
	}
	if n := len(p.mails("stays@example.org")); n != 2 {
		t.Errorf("%d mails for a reset and a mailing", n)
	}
	if took := p.interrupt(); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
}
