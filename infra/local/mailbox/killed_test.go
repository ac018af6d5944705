package mailbox_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/shared/mailing"
)

// childFolder makes this test binary a mail service in the folder it names,
// that takes calls and publishes events until it is killed.
const childFolder = "MAILBOX_TEST_CHILD_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		fmt.Println(takeUntilKilled(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func takeUntilKilled(dir string) error {
	s, err := mailbox.Open(dir, mailbox.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx := context.Background()
	var out sync.Mutex
	say := func(lines string) {
		out.Lock()
		defer out.Unlock()
		_, _ = os.Stdout.WriteString(lines) // one write: a line is told whole or not at all
	}
	go func() {
		_ = s.Publish(ctx, func(_ context.Context, batch [][]byte) error {
			var b strings.Builder
			for _, raw := range batch {
				_, rest, _ := strings.Cut(string(raw), `"messageId":"`)
				id, _, _ := strings.Cut(rest, `"`)
				fmt.Fprintf(&b, "event %s\n", id)
			}
			say(b.String())
			return nil
		})
	}()
	failed := make(chan error)
	for range 3 {
		go func() {
			for {
				call := callTo("x", many(1+rand.IntN(50))...)
				for i := range call.Mails {
					call.Mails[i].Data = data("s", strings.Repeat("h", rand.IntN(9000)), call.Mails[i].Tag)
				}
				var b strings.Builder
				for _, r := range s.Send(ctx, call) {
					if r.Fault != mailing.Taken {
						failed <- fmt.Errorf("%+v", r)
						return
					}
					fmt.Fprintf(&b, "taken %s\n", r.MessageID)
				}
				say(b.String())
			}
		}()
	}
	return <-failed
}

// After a kill at any moment every mail whose receipt came is there, whole,
// and has its events; and none is there in part.
func TestKilledProcess(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	taken, told := map[string]bool{}, map[string]bool{}
	for range 5 {
		child := exec.Command(executable)
		child.Env = append(os.Environ(), childFolder+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var killer sync.Once
		var odd []string // a last line may be cut off by the kill
		for lines := bufio.NewScanner(out); lines.Scan(); {
			switch kind, id, _ := strings.Cut(lines.Text(), " "); {
			case len(id) != 40:
				odd = append(odd, lines.Text())
			case kind == "taken":
				taken[id] = true
			case kind == "event":
				told[id] = true
			}
			killer.Do(func() {
				time.AfterFunc(time.Duration(rand.IntN(80_000))*time.Microsecond, func() { _ = child.Process.Kill() })
			})
		}
		if err := child.Wait(); err == nil || child.ProcessState.Exited() {
			t.Fatalf("the child was not killed: %v; it said %q", err, odd)
		}
		if len(odd) > 1 {
			t.Fatalf("the child says %q", odd)
		}
	}
	s := open(t, dir, mailbox.Options{})
	kept := map[string]bool{}
	for before := ""; ; {
		page := mails(t, s, mailbox.Filter{Before: before, Limit: 1000})
		for _, m := range page {
			kept[m.ID] = true
			if m.Lost || m.Text != m.Tag {
				t.Fatalf("%+v", m)
			}
		}
		if len(page) == 0 {
			break
		}
		before = page[len(page)-1].ID
	}
	for id := range taken {
		if !kept[id] {
			t.Errorf("%s was taken, and is not there", id)
		}
	}
	for _, e := range collect(t, s) {
		told[e.Mail.MessageID] = true
	}
	for id := range kept {
		if !told[id] {
			t.Errorf("%s has no event", id)
		}
	}
	if len(taken) < 100 {
		t.Errorf("only %d mails were taken before the kills", len(taken))
	}
}

// copyFolder is what a kill would leave, were it at this moment.
func copyFolder(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func only(t *testing.T, dir, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(paths) != 1 {
		t.Fatalf("%v, %v", paths, err)
	}
	return paths[0]
}

func TestTornTails(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, mailbox.Options{})
	take(t, s, callTo("one", "a@example.com", "b@example.com"))
	whole, err := os.Stat(only(t, dir, "ledger-*"))
	if err != nil {
		t.Fatal(err)
	}
	bodies, err := os.Stat(only(t, dir, "bodies-*"))
	if err != nil {
		t.Fatal(err)
	}
	take(t, s, callTo("two", "c@example.com"))
	shut(t, s)
	ledger, err := os.ReadFile(only(t, dir, "ledger-*"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, torn string, want ...string) {
		t.Helper()
		s := open(t, torn, mailbox.Options{})
		if diff := cmp.Diff(want, tags(mails(t, s, mailbox.Filter{}))); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", name, diff)
		}
		// It goes on, and over what was cut off.
		take(t, s, callTo("three", "d@example.com"))
		shut(t, s)
		s = open(t, torn, mailbox.Options{})
		all := mails(t, s, mailbox.Filter{})
		if diff := cmp.Diff(append([]string{"m_three_1_0_0_0"}, want...), tags(all)); diff != "" {
			t.Fatalf("%s, then (-want +got):\n%s", name, diff)
		}
		for _, m := range all {
			if m.Lost || m.Text != "To "+m.Tag {
				t.Fatalf("%s: %+v", name, m)
			}
		}
		if n := len(collect(t, s)); n != 2*len(all) {
			t.Fatalf("%s: %d events of %d mails", name, n, len(all))
		}
		shut(t, s)
	}
	first := []string{"m_one_1_0_0_1", "m_one_1_0_0_0"}
	both := append([]string{"m_two_1_0_0_0"}, first...)
	check("whole", copyFolder(t, dir), both...)
	for size := whole.Size(); size < int64(len(ledger)); size += 7 {
		torn := copyFolder(t, dir)
		if err := os.Truncate(only(t, torn, "ledger-*"), size); err != nil {
			t.Fatal(err)
		}
		check(fmt.Sprintf("the ledger ends at byte %d of %d", size, len(ledger)), torn, first...)
	}
	for at := int(whole.Size()); at < len(ledger); at += 11 {
		torn := copyFolder(t, dir)
		changed := append([]byte(nil), ledger...)
		changed[at] ^= 0x40
		if err := os.WriteFile(only(t, torn, "ledger-*"), changed, 0o600); err != nil {
			t.Fatal(err)
		}
		check(fmt.Sprintf("byte %d of the ledger is another", at), torn, first...)
	}
	// Killed between the two writes: content without a record.
	between := copyFolder(t, dir)
	if err := os.Truncate(only(t, between, "ledger-*"), whole.Size()); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(only(t, between, "bodies-*"), bodies.Size()+10); err != nil {
		t.Fatal(err)
	}
	check("the content ends early", between, first...)
	// Killed after a file was made and before it was written to.
	fresh := copyFolder(t, dir)
	for _, name := range []string{"ledger-00000000000000ff.log", "bodies-00000000000000ff.dat"} {
		if err := os.WriteFile(filepath.Join(fresh, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check("empty files", fresh, both...)
	// The cursor and the suppression list.
	for _, name := range []string{"cursor", "suppressed.log"} {
		torn := copyFolder(t, dir)
		if err := os.WriteFile(filepath.Join(torn, name), []byte("torn"), 0o600); err != nil {
			t.Fatal(err)
		}
		check(name+" is torn", torn, both...)
	}
}

// A machine that stops may lose content that the ledger still names.
func TestLostContent(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, mailbox.Options{})
	take(t, s, callTo("x", "a@example.com", "b@example.com"))
	shut(t, s)
	path := only(t, dir, "bodies-*")
	if err := os.Truncate(path, 20); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, mailbox.Options{})
	take(t, s, callTo("y", "c@example.com"))
	var lost []bool
	for _, m := range mails(t, s, mailbox.Filter{}) {
		lost = append(lost, m.Lost)
	}
	if diff := cmp.Diff([]bool{false, true, true}, lost); diff != "" {
		t.Error(diff)
	}
}

func TestFilesOfAnotherVersionAreRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ledger-0000000000000001.log"), []byte(strings.Repeat("other", 20)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := mailbox.Open(dir, mailbox.Options{Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("they were opened")
	}
}
