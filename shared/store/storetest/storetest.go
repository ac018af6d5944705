// Package storetest is the contract of [store.DB] as tests. A driver's test is
// one line:
//
//	storetest.Run(t, func(t *testing.T) store.DB { return openMine(t) })
//
// Every test works in partitions of its own with random names and removes what
// it wrote, so the suite may run on a database that others use. What a driver
// may do and need not (a lagging Due, an expired item that is still returned)
// is allowed for here and tested, if at all, by the driver.
package storetest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/memberkey/memberkey/shared/store"
)

// Run runs the suite. open is called once for each test; it may return the
// same database each time, and closes what it opens by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) store.DB) {
	RunSmall(t, open)
	run(t, open, []test{
		{"pages without a limit", pages},
		{"a race for one new key", raceToCreate},
		{"a race for one revision", raceToChange},
		{"racing transfers", transfers},
	})
}

// RunSmall runs the tests that write little, and one commit after the other:
// what there is to prove on a stand-in that copies whole tables and does not
// isolate those who write at once.
func RunSmall(t *testing.T, open func(t *testing.T) store.DB) {
	run(t, open, []test{
		{"what is not there", absence},
		{"what was put comes back", roundTrip},
		{"values are copies", copies},
		{"keys of all kinds", keys},
		{"partitions and tables are apart", apart},
		{"order is that of bytes", order},
		{"prefix", prefix},
		{"after", after},
		{"limit and more", limit},
		{"many at once", many},
		{"checks", checks},
		{"checks without writes", checksAlone},
		{"all or nothing", allOrNothing},
		{"revisions", revisions},
		{"due items", due},
		{"due items in order", dueOrder},
		{"expires", expires},
		{"limits of a commit", limitsOfCommit},
		{"what is refused", refused},
		{"an ended context", endedContext},
	})
}

type test struct {
	name string
	run  func(*suite)
}

func run(t *testing.T, open func(t *testing.T) store.DB, tests []test) {
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.run(&suite{T: t, db: open(t), ctx: t.Context()})
		})
	}
}

// suite is one test on one database.
type suite struct {
	*testing.T
	db  store.DB
	ctx context.Context
}

// partition makes a partition that nobody else uses, and empties it when the
// test ends.
func (s *suite) partition(table store.Table) place {
	s.Helper()
	p := place{table: table, partition: "storetest#" + rand.Text()}
	s.empty(p)
	return p
}

func (s *suite) empty(p place) {
	s.Cleanup(func() {
		ctx := context.WithoutCancel(s.ctx)
		for more := true; more; {
			var items []store.Item
			var err error
			items, more, err = s.db.Query(ctx, store.Range{Table: p.table, Partition: p.partition, Limit: 100})
			if err != nil {
				s.Errorf("cleaning up: Query: %v", err)
				return
			}
			var gone []store.Write
			for _, item := range items {
				gone = append(gone, store.Write{Item: store.Item{Key: item.Key}, Delete: true})
			}
			if err := s.db.Commit(ctx, nil, gone); err != nil {
				s.Errorf("cleaning up: Commit: %v", err)
				return
			}
		}
	})
}

// place is a partition of a table.
type place struct {
	table     store.Table
	partition string
}

func (p place) key(sort string) store.Key {
	return store.Key{Table: p.table, Partition: p.partition, Sort: sort}
}

func (p place) put(sort, value string) store.Write {
	return store.Write{Item: store.Item{Key: p.key(sort), Value: []byte(value)}}
}

func (p place) delete(sort string) store.Write {
	return store.Write{Item: store.Item{Key: p.key(sort)}, Delete: true}
}

func (p place) all() store.Range {
	return store.Range{Table: p.table, Partition: p.partition}
}

func (s *suite) commit(checks []store.Check, writes ...store.Write) {
	s.Helper()
	if err := s.db.Commit(s.ctx, checks, writes); err != nil {
		s.Fatalf("Commit: %v", err)
	}
}

func (s *suite) conflict(checks []store.Check, writes ...store.Write) {
	s.Helper()
	if err := s.db.Commit(s.ctx, checks, writes); !errors.Is(err, store.ErrConflict) {
		s.Fatalf("Commit: %v, want ErrConflict", err)
	}
}

func (s *suite) refuse(what string, checks []store.Check, writes ...store.Write) {
	s.Helper()
	err := s.db.Commit(s.ctx, checks, writes)
	if err == nil {
		s.Errorf("Commit with %s passed", what)
	}
	if errors.Is(err, store.ErrConflict) {
		s.Errorf("Commit with %s: ErrConflict, want an error that trying again does not mend", what)
	}
}

func (s *suite) get(key store.Key) *store.Item {
	s.Helper()
	item, err := s.db.Get(s.ctx, key)
	if err != nil {
		s.Fatalf("Get: %v", err)
	}
	if item != nil && item.Rev == 0 {
		s.Fatalf("Get: %v exists and has revision 0", item.Key)
	}
	return item
}

// rev is 0 where there is no item: what a check wants.
func (s *suite) rev(key store.Key) uint64 {
	s.Helper()
	if item := s.get(key); item != nil {
		return item.Rev
	}
	return 0
}

func (s *suite) check(key store.Key) store.Check {
	s.Helper()
	return store.Check{Key: key, Rev: s.rev(key)}
}

func (s *suite) query(r store.Range) (items []store.Item, more bool) {
	s.Helper()
	items, more, err := s.db.Query(s.ctx, r)
	if err != nil {
		s.Fatalf("Query(%+v): %v", r, err)
	}
	return items, more
}

// sorts wants a range to hold just these, and to be complete.
func (s *suite) sorts(r store.Range, want ...string) {
	s.Helper()
	items, more := s.query(r)
	var got []string
	for _, item := range items {
		got = append(got, item.Sort)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		s.Errorf("Query(%+v) (-want +got):\n%s", r, diff)
	}
	if more {
		s.Errorf("Query(%+v): more, where all were returned", r)
	}
}

// holds wants a partition to hold just these, whatever their revisions.
func (s *suite) holds(p place, want ...store.Write) {
	s.Helper()
	wanted := []store.Item{}
	for _, w := range want {
		wanted = append(wanted, w.Item)
	}
	items, _ := s.query(p.all())
	if diff := gocmp.Diff(wanted, append([]store.Item{}, items...), asWritten); diff != "" {
		s.Errorf("the partition holds (-want +got):\n%s", diff)
	}
}

// asWritten compares items but for the revision, which the driver gives; nil
// and empty values are the same.
var asWritten = gocmp.Options{
	cmpopts.IgnoreFields(store.Item{}, "Rev"),
	gocmp.Comparer(bytes.Equal),
}

func absence(s *suite) {
	p := s.partition(store.Profiles)
	if item := s.get(p.key("a")); item != nil {
		s.Errorf("Get: %v, want nil", item)
	}
	items, err := s.db.GetMany(s.ctx, []store.Key{p.key("a"), p.key("b")})
	if err != nil || len(items) != 2 || items[0] != nil || items[1] != nil {
		s.Errorf("GetMany: %v, %v, want two nils", items, err)
	}
	if items, err := s.db.GetMany(s.ctx, nil); err != nil || len(items) != 0 {
		s.Errorf("GetMany of no keys: %v, %v", items, err)
	}
	s.sorts(p.all())
	s.commit(nil, p.delete("a"))
	s.commit([]store.Check{{Key: p.key("a")}}, p.delete("a"))
	s.sorts(p.all())
	s.commit(nil, p.put("a", "1"))
	s.commit(nil, p.delete("a"))
	if item := s.get(p.key("a")); item != nil {
		s.Errorf("Get of what was deleted: %v, want nil", item)
	}
	s.sorts(p.all())
}

func roundTrip(s *suite) {
	in := time.Now().Add(24 * time.Hour)
	for _, table := range store.Tables {
		p := s.partition(table)
		for _, value := range []string{"", "\x00", "value", strings.Repeat("x", 300_000), "\xff\xfe not UTF-8"} {
			w := p.put("a", value)
			w.Expires = in.Unix()
			if table == store.DueTable {
				w.Due = in.UnixMilli()
			}
			w.Rev = 7 // ignored
			s.commit(nil, w)
			s.holds(p, w)
			if diff := gocmp.Diff(&w.Item, s.get(p.key("a")), asWritten); diff != "" {
				s.Errorf("Get (-want +got):\n%s", diff)
			}
		}
		// A later put replaces all of it.
		s.commit(nil, p.put("a", "bare"))
		s.holds(p, p.put("a", "bare"))
	}
}

func copies(s *suite) {
	p := s.partition(store.Links)
	w := p.put("a", "before")
	s.commit(nil, w)
	copy(w.Value, "caller")
	copy(s.get(p.key("a")).Value, "reader")
	items, _ := s.query(p.all())
	copy(items[0].Value, "walker")
	s.holds(p, p.put("a", "before"))
}

func keys(s *suite) {
	long := strings.Repeat("k", 1024)
	sorts := []string{
		" ", "#", "a#b", "a/b\\c", "\"quoted\"", "\x01", "\x7f", "\t\r\n", "%00", "ä", "a\u0308", "ß", "İ",
		"日本語", "\U0001F511", "e\u200dmoji", "\uFEFF", "\uFFFD", long, long[:1022] + "é",
	}
	p := s.partition(store.Profiles)
	var writes []store.Write
	for _, sort := range sorts {
		writes = append(writes, p.put(sort, "value of "+sort))
	}
	s.commit(nil, writes...)
	for _, w := range writes {
		if diff := gocmp.Diff(&w.Item, s.get(w.Key), asWritten); diff != "" {
			s.Errorf("Get (-want +got):\n%s", diff)
		}
		s.sorts(store.Range{Table: p.table, Partition: p.partition, Prefix: w.Sort, Limit: 1}, w.Sort)
	}
	slices.SortFunc(writes, func(a, b store.Write) int { return cmp.Compare(a.Sort, b.Sort) })
	s.holds(p, writes...)

	odd := place{p.table, p.partition + "\x01 ü#\U0001F511"}
	odd.partition += strings.Repeat("p", 1024-len(odd.partition))
	s.empty(odd)
	s.commit(nil, odd.put("a", "1"))
	s.holds(odd, odd.put("a", "1"))
}

func apart(s *suite) {
	p := s.partition(store.Profiles)
	places := []place{p, {store.Credentials, p.partition}}
	for _, more := range []string{"a", "\x01", " ", "#", "\U0010FFFF"} {
		places = append(places, place{p.table, p.partition + more})
	}
	for i, q := range places {
		if i > 0 {
			s.empty(q)
		}
		s.commit(nil, q.put("a", fmt.Sprint(i)), q.put("b", fmt.Sprint(i)))
	}
	for i, q := range places {
		s.holds(q, q.put("a", fmt.Sprint(i)), q.put("b", fmt.Sprint(i)))
		back := q.all()
		back.Backwards = true
		s.sorts(back, "b", "a")
	}
	s.commit(nil, p.delete("a"), p.delete("b"))
	s.sorts(p.all())
	s.holds(places[1], places[1].put("a", "1"), places[1].put("b", "1"))
}

func order(s *suite) {
	p := s.partition(store.Profiles)
	// The last two stand the other way round in UTF-16.
	sorts := []string{"\x01", " ", "#", "0", "1", "10", "2", "A", "AA", "Z", "a", "a\x01", "a ", "aa", "b", "z", "\x7f", "\u0080", "é", "\uFFFD", "\U00010000"}
	var writes []store.Write
	for _, sort := range sorts {
		writes = append(writes, p.put(sort, sort))
	}
	for i, j := range []int{7, 3, 12, 0, 9} { // any order of writing
		writes[i], writes[j] = writes[j], writes[i]
	}
	s.commit(nil, writes...)
	s.sorts(p.all(), sorts...)
	back := p.all()
	back.Backwards = true
	slices.Reverse(sorts)
	s.sorts(back, sorts...)
}

func prefix(s *suite) {
	p := s.partition(store.Profiles)
	for _, sort := range []string{"a", "ab", "ab\x01", "ab#1", "ab#2", "ab\U0010FFFF", "ac", "b", "é", "éa"} {
		s.commit(nil, p.put(sort, ""))
	}
	for _, test := range []struct {
		prefix string
		want   []string
	}{
		{"ab", []string{"ab", "ab\x01", "ab#1", "ab#2", "ab\U0010FFFF"}},
		{"ab#", []string{"ab#1", "ab#2"}},
		{"ab#2", []string{"ab#2"}},
		{"ab#3", nil},
		{"é", []string{"é", "éa"}},
		{"A", nil},
		{"\U0010FFFF", nil},
		{strings.Repeat("z", 1024), nil},
	} {
		r := p.all()
		r.Prefix = test.prefix
		s.sorts(r, test.want...)
		r.Backwards = true
		slices.Reverse(test.want)
		s.sorts(r, test.want...)
	}
}

func after(s *suite) {
	p := s.partition(store.Mailings)
	s.commit(nil, p.put("a", ""), p.put("b1", ""), p.put("b2", ""), p.put("b3", ""), p.put("c", ""))
	for _, test := range []struct {
		prefix, after     string
		forward, backward []string
	}{
		{"", "", []string{"a", "b1", "b2", "b3", "c"}, []string{"c", "b3", "b2", "b1", "a"}},
		{"", "b2", []string{"b3", "c"}, []string{"b1", "a"}},
		{"", "b22", []string{"b3", "c"}, []string{"b2", "b1", "a"}}, // not there
		{"", "a", []string{"b1", "b2", "b3", "c"}, nil},
		{"", "c", nil, []string{"b3", "b2", "b1", "a"}},
		{"", "Z", []string{"a", "b1", "b2", "b3", "c"}, nil},
		{"", "d", nil, []string{"c", "b3", "b2", "b1", "a"}},
		{"b", "b2", []string{"b3"}, []string{"b1"}},
		{"b", "b", []string{"b1", "b2", "b3"}, nil},
		{"b", "b3", nil, []string{"b2", "b1"}},
		{"b", "a", []string{"b1", "b2", "b3"}, nil}, // outside the prefix
		{"b", "c", nil, []string{"b3", "b2", "b1"}},
		{"b", "b\U0010FFFF", nil, []string{"b3", "b2", "b1"}},
		{"b", "Z", []string{"b1", "b2", "b3"}, nil}, // and with others between
		{"b", "d", nil, []string{"b3", "b2", "b1"}},
		{"x", "b", nil, nil},
	} {
		r := p.all()
		r.Prefix, r.After = test.prefix, test.after
		s.sorts(r, test.forward...)
		r.Backwards = true
		s.sorts(r, test.backward...)
	}
}

func limit(s *suite) {
	p := s.partition(store.Activity)
	var sorts []string
	var writes []store.Write
	for i := range 10 {
		sorts = append(sorts, fmt.Sprintf("in#%02d", i))
		writes = append(writes, p.put(sorts[i], ""))
	}
	s.commit(nil, append(writes, p.put("a before", ""), p.put("z behind", ""))...)
	for _, backwards := range []bool{false, true} {
		want := slices.Clone(sorts)
		if backwards {
			slices.Reverse(want)
		}
		for n := 1; n <= len(want)+1; n++ {
			r := store.Range{Table: p.table, Partition: p.partition, Prefix: "in#", Limit: n, Backwards: backwards}
			var got []string
			for {
				items, more := s.query(r)
				if left := len(want) - len(got); len(items) != min(n, left) || more != (left > n) {
					s.Fatalf("limit %d, %d left: %d items, more %t", n, left, len(items), more)
				}
				for _, item := range items {
					got = append(got, item.Sort)
				}
				if !more {
					break
				}
				r.After = got[len(got)-1]
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				s.Errorf("limit %d, backwards %t (-want +got):\n%s", n, backwards, diff)
			}
		}
	}
}

func pages(s *suite) {
	for _, test := range []struct{ items, size, atMost int }{
		{1030, 10, 1000},
		{13, 200_000, 13},
	} {
		p := s.partition(store.Profiles)
		value := bytes.Repeat([]byte("x"), test.size)
		var writes []store.Write
		for i := range test.items {
			w := p.put(fmt.Sprintf("%04d", i), "")
			w.Value = value
			writes = append(writes, w)
		}
		for part := range slices.Chunk(writes, min(100, 3_000_000/test.size)) {
			s.commit(nil, part...)
		}
		seen := 0
		r := p.all()
		for more := true; more; {
			var items []store.Item
			items, more = s.query(r)
			if len(items) > test.atMost || (more && len(items) == 0) {
				s.Fatalf("a page of %d items, more %t", len(items), more)
			}
			for _, item := range items {
				if item.Sort != writes[seen].Sort || len(item.Value) != test.size {
					s.Fatalf("item %d is %s with %d bytes", seen, item.Sort, len(item.Value))
				}
				r.After = item.Sort
				seen++
			}
		}
		if seen != test.items {
			s.Errorf("%d items in all pages, want %d", seen, test.items)
		}
		// An explicit limit is kept, however large the items are.
		if items, more := s.query(store.Range{Table: p.table, Partition: p.partition, Limit: 12}); len(items) != 12 || !more {
			s.Errorf("limit 12: %d items, more %t", len(items), more)
		}
	}
}

func many(s *suite) {
	p, q := s.partition(store.Profiles), s.partition(store.Credentials)
	var keys []store.Key
	var want []*store.Item
	var writes []store.Write
	for i := range 150 {
		in := p
		if i%2 == 1 {
			in = q
		}
		w := in.put(fmt.Sprintf("%03d", (i*67)%150), fmt.Sprint(i)) // any order
		keys = append(keys, w.Key)
		if i%3 == 0 {
			want = append(want, nil)
			continue
		}
		want = append(want, &w.Item)
		writes = append(writes, w)
	}
	s.commit(nil, writes...)
	keys, want = append(keys, keys[1], keys[0]), append(want, want[1], want[0]) // twice is allowed
	got, err := s.db.GetMany(s.ctx, keys)
	if err != nil {
		s.Fatalf("GetMany: %v", err)
	}
	if diff := gocmp.Diff(want, got, asWritten); diff != "" {
		s.Errorf("GetMany (-want +got):\n%s", diff)
	}
	for i, item := range got {
		if item != nil && item.Rev != s.rev(keys[i]) {
			s.Errorf("GetMany and Get differ in the revision of %v", keys[i])
		}
	}
}

func checks(s *suite) {
	p := s.partition(store.Credentials)
	a, b := p.key("a"), p.key("b")

	s.conflict([]store.Check{{Key: a, Rev: 1}}, p.put("a", "1")) // no such item
	s.sorts(p.all())
	s.commit([]store.Check{{Key: a}}, p.put("a", "1"))
	s.conflict([]store.Check{{Key: a}}, p.put("a", "2")) // exists by now
	s.holds(p, p.put("a", "1"))

	first := s.check(a)
	s.conflict([]store.Check{{Key: a, Rev: first.Rev + 1}}, p.put("a", "2"))
	s.conflict([]store.Check{{Key: a, Rev: first.Rev - 1}}, p.put("a", "2"))
	s.commit([]store.Check{first}, p.put("a", "2"))
	s.conflict([]store.Check{first}, p.put("a", "3")) // one write too old
	s.conflict([]store.Check{first}, p.delete("a"))
	s.holds(p, p.put("a", "2"))

	// A condition on an item that is not written.
	s.commit([]store.Check{s.check(a), {Key: b}}, p.put("c", "1"))
	s.conflict([]store.Check{first}, p.put("c", "2"))
	s.conflict([]store.Check{{Key: b, Rev: first.Rev}}, p.put("c", "2"))
	s.holds(p, p.put("a", "2"), p.put("c", "1"))

	// One of several fails, wherever it stands.
	good := []store.Check{s.check(a), s.check(p.key("c")), {Key: b}}
	for i := range good {
		bad := slices.Clone(good)
		bad[i].Rev++
		s.conflict(bad, p.put("a", "3"), p.put("b", "3"), p.put("c", "3"))
	}
	s.holds(p, p.put("a", "2"), p.put("c", "1"))
	s.commit(good, p.put("a", "3"), p.put("b", "3"), p.delete("c"))
	s.holds(p, p.put("a", "3"), p.put("b", "3"))

	s.commit([]store.Check{s.check(b)}, p.delete("b"))
	s.commit([]store.Check{{Key: b}}, p.put("b", "4"))
	s.holds(p, p.put("a", "3"), p.put("b", "4"))
}

func checksAlone(s *suite) {
	p := s.partition(store.Sessions)
	s.commit(nil)
	s.commit([]store.Check{{Key: p.key("a")}})
	s.commit(nil, p.put("a", "1"))
	s.conflict([]store.Check{{Key: p.key("a")}})
	s.commit([]store.Check{s.check(p.key("a")), {Key: p.key("b")}})
	s.conflict([]store.Check{s.check(p.key("a")), {Key: p.key("b"), Rev: 5}})
	before := s.rev(p.key("a"))
	s.commit([]store.Check{s.check(p.key("a"))})
	if s.rev(p.key("a")) != before {
		s.Error("a check changed the revision of its item")
	}
}

func allOrNothing(s *suite) {
	p, q := s.partition(store.Profiles), s.partition(store.Mailings)
	at := time.Now().Add(time.Hour).UnixMilli()
	stays, alters := p.put("stays", "1"), q.put("alters", "1")
	alters.Due, alters.Expires = at, at/1000
	s.commit(nil, stays, alters)
	before := []uint64{s.rev(stays.Key), s.rev(alters.Key)}

	wrong := store.Check{Key: p.key("none"), Rev: 1}
	altered := q.put("alters", "2")
	altered.Due = at + 1
	s.conflict([]store.Check{wrong}, p.delete("stays"), p.put("new", "1"), altered, q.put("new", "1"))
	// What is refused for its limits writes nothing either.
	s.refuse("an empty sort key", nil, p.delete("stays"), altered, q.put("", ""))

	s.holds(p, stays)
	s.holds(q, alters)
	if diff := gocmp.Diff(before, []uint64{s.rev(stays.Key), s.rev(alters.Key)}); diff != "" {
		s.Errorf("revisions moved (-before +after):\n%s", diff)
	}
	s.commit(nil, p.delete("stays"), p.put("new", "1"), altered, q.put("new", "1"))
	s.holds(p, p.put("new", "1"))
	s.holds(q, altered, q.put("new", "1"))
}

func revisions(s *suite) {
	p := s.partition(store.Profiles)
	a := p.key("a")
	seen := map[uint64]bool{0: true}
	for round := range 12 {
		w := p.put("a", "the same") // unchanged bytes are a write too
		if round%3 == 2 {
			s.commit(nil, p.delete("a"))
			if s.rev(a) != 0 {
				s.Fatal("a deleted item has a revision")
			}
		}
		s.commit(nil, w, p.put("b", fmt.Sprint(round)))
		rev := s.rev(a)
		if seen[rev] {
			s.Fatalf("round %d: revision %d comes twice", round, rev)
		}
		seen[rev] = true
		items, _ := s.query(p.all())
		if items[0].Rev != rev {
			s.Fatalf("Query says revision %d, Get %d", items[0].Rev, rev)
		}
	}
	before := s.rev(a)
	s.commit(nil, p.put("b", "alone"))
	if s.rev(a) != before {
		s.Error("a write of one item changed the revision of another")
	}
}
