package storetest

import (
	"fmt"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/memberkey/memberkey/shared/store"
)

// Due may lag (DynamoDB's indexes do): what is wanted of it must come true
// within this.
const dueLag = 10 * time.Second

// dueLimit is room for the due items of others who use the database; those of
// this suite are due in 1970 and so before them.
const dueLimit = 500

// dues wants the due items of a place to become these, in their order.
func (s *suite) dues(p place, until int64, want ...store.Write) {
	s.Helper()
	wanted := []store.Item{}
	for _, w := range want {
		wanted = append(wanted, w.Item)
	}
	s.eventually(func() string {
		items, err := s.db.Due(s.ctx, p.table, until, dueLimit)
		if err != nil {
			s.Fatalf("Due: %v", err)
		}
		got := []store.Item{}
		for _, item := range items {
			if item.Partition == p.partition {
				got = append(got, item)
			}
		}
		return gocmp.Diff(wanted, got, asWritten)
	})
}

func (s *suite) eventually(diff func() string) {
	s.Helper()
	var wrong string
	for end := time.Now().Add(dueLag); ; time.Sleep(20 * time.Millisecond) {
		if wrong = diff(); wrong == "" {
			return
		}
		if time.Now().After(end) {
			s.Fatalf("Due (-want +got):\n%s", wrong)
		}
	}
}

func (p place) due(sort string, at int64) store.Write {
	w := p.put(sort, "due "+sort)
	w.Due = at
	return w
}

func due(s *suite) {
	p := s.partition(store.DueTable)
	a, b := p.due("a", 2000), p.due("b", 3000)
	s.commit(nil, a, b, p.put("never", ""))
	s.dues(p, 1999)
	s.dues(p, 2000, a)
	s.dues(p, 2999, a)
	s.dues(p, 3000, a, b)
	s.dues(p, time.Now().UnixMilli(), a, b)

	a.Value = []byte("written again, due as before")
	s.commit(nil, a)
	s.dues(p, 3000, a, b)

	a.Due = 4000 // later
	s.commit(nil, a)
	s.dues(p, 3000, b)
	s.dues(p, 4000, b, a)

	a.Due = 1000 // earlier
	s.commit(nil, a)
	s.dues(p, 1000, a)

	a.Due = 0 // out
	s.commit(nil, a)
	s.dues(p, 5000, b)

	a.Due = 2500 // in again
	s.commit(nil, a)
	s.dues(p, 5000, a, b)

	s.commit(nil, p.delete("b"))
	s.dues(p, 5000, a)

	b.Due = 1500 // made again, under another time
	s.commit([]store.Check{{Key: b.Key}}, b)
	s.dues(p, 5000, b, a)

	moved := a
	moved.Due = 100
	s.conflict([]store.Check{{Key: a.Key}}, moved, p.delete("b"))
	s.dues(p, 5000, b, a)

	// The revision is the item's: a sweep can commit on what Due returned.
	items, err := s.db.Due(s.ctx, p.table, 5000, dueLimit)
	if err != nil {
		s.Fatalf("Due: %v", err)
	}
	i := slices.IndexFunc(items, func(item store.Item) bool { return item.Key == b.Key })
	s.commit([]store.Check{{Key: b.Key, Rev: items[i].Rev}}, p.delete("b"))
	s.dues(p, 5000, a)
}

func dueOrder(s *suite) {
	p, q := s.partition(store.DueTable), s.partition(store.DueTable)
	var want, writes []store.Write
	for i := range 20 {
		in := p
		if i%2 == 1 {
			in = q
		}
		// Sorted by name they stand the other way round, and the times need
		// different numbers of digits.
		want = append(want, in.due(fmt.Sprintf("%02d", 99-i), int64(i+1)*int64(i+1)*977))
	}
	for i := range want {
		writes = append(writes, want[i*7%len(want)])
	}
	s.commit(nil, writes...)
	ours := func(in place) (of []store.Write) {
		for _, w := range want {
			if w.Partition == in.partition {
				of = append(of, w)
			}
		}
		return of
	}
	s.dues(p, 1_000_000, ours(p)...)
	s.dues(q, 1_000_000, ours(q)...)
	for n := 1; n <= len(want); n++ {
		items, err := s.db.Due(s.ctx, p.table, 1_000_000, n)
		if err != nil {
			s.Fatalf("Due: %v", err)
		}
		var got, first []int64
		for i, item := range items {
			got, first = append(got, item.Due), append(first, want[i].Due)
		}
		if diff := gocmp.Diff(first, got); diff != "" || len(items) != n {
			s.Errorf("limit %d: %d items, not the first (-want +got):\n%s", n, len(items), diff)
		}
	}
}

func expires(s *suite) {
	p := s.partition(store.Sessions)
	later := p.put("a", "1")
	later.Expires = time.Now().Add(time.Hour).Unix()
	s.commit(nil, later)
	s.holds(p, later)

	later.Expires += 3600
	s.commit([]store.Check{s.check(later.Key)}, later)
	s.holds(p, later)

	later.Expires = 0
	s.commit(nil, later)
	s.holds(p, later)
}
