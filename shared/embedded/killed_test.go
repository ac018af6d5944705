package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/store"
)

// childFile makes this test binary a process that commits to the file it names
// until it is killed.
const childFile = "EMBEDDED_TEST_CHILD_FILE"

const childWriters = 4

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		fmt.Println(commitUntilKilled(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// The pair of a writer: the same number in two tables, one of them due then.
func pairOf(writer int) (a, b store.Key) {
	sort := strconv.Itoa(writer)
	return store.Key{Table: store.Credentials, Partition: "pair", Sort: sort},
		store.Key{Table: store.Mailings, Partition: "pair", Sort: sort}
}

func commitUntilKilled(path string) error {
	db, err := embedded.Open(path, embedded.Options{Timeout: 10 * time.Second})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for writer := range childWriters {
		go func() {
			a, b := pairOf(writer)
			item, err := db.Get(context.Background(), a)
			if err != nil {
				failed <- err
			}
			n := 0
			if item != nil {
				n, _, _ = parsePair(item.Value)
			}
			for {
				n++
				// Of changing length, so that pages split and are freed.
				value := fmt.Appendf(nil, "%d %s", n, strings.Repeat("x", n*997%20_000))
				err := db.Commit(context.Background(), nil, []store.Write{
					{Item: store.Item{Key: a, Value: value}},
					{Item: store.Item{Key: b, Value: value, Due: int64(n)}},
				})
				if err != nil {
					failed <- err
				}
				fmt.Printf("%d %d\n", writer, n)
			}
		}()
	}
	return <-failed
}

func parsePair(value []byte) (n int, rest string, err error) {
	number, rest, _ := strings.Cut(string(value), " ")
	n, err = strconv.Atoi(number)
	return n, rest, err
}

func TestKilledProcessLeavesWholePairs(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := file(t)
	random := rand.New(rand.NewPCG(1, 2))
	var told [childWriters]int // the last number each writer was answered
	for round := range 6 {
		child := exec.Command(executable)
		child.Env = append(os.Environ(), childFile+"="+path)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		var killer sync.Once
		for lines.Scan() {
			var writer, n int
			if _, err := fmt.Sscanf(lines.Text(), "%d %d", &writer, &n); err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
			told[writer] = n
			// Counted from its first commit; what it says meanwhile is read on.
			killer.Do(func() {
				time.AfterFunc(time.Duration(random.IntN(60_000))*time.Microsecond, func() { _ = child.Process.Kill() })
			})
		}
		if err := child.Wait(); err == nil || child.ProcessState.Exited() {
			t.Fatalf("the child was not killed: %v", err)
		}
		checkPairs(t, path, round, &told)
	}
}

func checkPairs(t *testing.T, path string, round int, told *[childWriters]int) {
	db := open(t, path, embedded.Options{Timeout: 10 * time.Second})
	defer shut(t, db)
	due, err := db.Due(t.Context(), store.Mailings, 1<<62, 100)
	if err != nil {
		t.Fatal(err)
	}
	pairs := 0
	for writer := range childWriters {
		a, b := pairOf(writer)
		first, second := get(t, db, a), get(t, db, b)
		if first == nil && second == nil && told[writer] == 0 {
			continue // killed before its first commit
		}
		pairs++
		if first == nil || second == nil || string(first.Value) != string(second.Value) {
			t.Fatalf("round %d, writer %d: half a pair", round, writer)
		}
		n, rest, err := parsePair(first.Value)
		if err != nil || len(rest) != n*997%20_000 {
			t.Fatalf("round %d, writer %d: pair %d has %d bytes, %v", round, writer, n, len(rest), err)
		}
		if n < told[writer] {
			t.Errorf("round %d, writer %d: pair %d is in the file, %d was answered", round, writer, n, told[writer])
		}
		if second.Due != int64(n) {
			t.Errorf("round %d, writer %d: pair %d is due %d", round, writer, n, second.Due)
		}
	}
	if len(due) != pairs {
		t.Errorf("round %d: %d due, %d pairs", round, len(due), pairs)
	}
}
