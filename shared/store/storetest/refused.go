package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/memberkey/memberkey/shared/store"
)

func limitsOfCommit(s *suite) {
	p := s.partition(store.Mailings)
	writes := make([]store.Write, 101)
	checks := make([]store.Check, 101)
	for i := range writes {
		writes[i] = p.put(fmt.Sprintf("%03d", i), "")
		checks[i] = store.Check{Key: writes[i].Key}
	}
	s.refuse("101 writes", nil, writes...)
	s.refuse("101 checks", checks)
	s.refuse("50 checks and 51 writes of other keys", checks[:50], writes[50:]...)
	s.sorts(p.all())
	s.commit(checks[:100], writes[:100]...) // 100 keys, each in both

	big := make([]store.Write, 11)
	for i := range big {
		big[i] = p.put(fmt.Sprintf("%03d", i), "")
		big[i].Value = bytes.Repeat([]byte("x"), 390_000)
	}
	s.refuse("4.29 MB", nil, big...)
	s.commit(nil, big[:10]...)
	for i, w := range big[:10] {
		if item := s.get(w.Key); item == nil || !bytes.Equal(item.Value, w.Value) {
			s.Errorf("item %d of a commit of 3.9 MB is not as written", i)
		}
	}
}

func refused(s *suite) {
	p := s.partition(store.Profiles)
	for what, key := range map[string]store.Key{
		"an unknown table":          {Table: "nowhere", Partition: p.partition, Sort: "a"},
		"no table":                  {Partition: p.partition, Sort: "a"},
		"an empty partition":        {Table: p.table, Sort: "a"},
		"an empty sort key":         p.key(""),
		"a NUL in the partition":    {Table: p.table, Partition: p.partition + "\x00", Sort: "a"},
		"a partition not in UTF-8":  {Table: p.table, Partition: p.partition + "\xff", Sort: "a"},
		"a sort key not in UTF-8":   p.key("\xc3"),
		"a partition of 1025 bytes": {Table: p.table, Partition: strings.Repeat("p", 1025), Sort: "a"},
		"a sort key of 1025 bytes":  p.key(strings.Repeat("s", 1025)),
	} {
		s.refuse("a write with "+what, nil, p.put("fine", ""), store.Write{Item: store.Item{Key: key}})
		s.refuse("a delete with "+what, nil, p.put("fine", ""), store.Write{Item: store.Item{Key: key}, Delete: true})
		s.refuse("a check with "+what, []store.Check{{Key: key}}, p.put("fine", ""))
		if _, err := s.db.Get(s.ctx, key); err == nil {
			s.Errorf("Get with %s passed", what)
		}
		if _, err := s.db.GetMany(s.ctx, []store.Key{p.key("fine"), key}); err == nil {
			s.Errorf("GetMany with %s passed", what)
		}
	}

	one := p.put("one", "1")
	s.refuse("a key twice among the writes", nil, one, p.put("two", ""), one)
	s.refuse("a key written and deleted", nil, one, p.delete("one"))
	s.refuse("a key twice among the checks", []store.Check{{Key: one.Key}, {Key: one.Key}}, one)
	for what, change := range map[string]func(*store.Write){
		"an item of 410,000 bytes":    func(w *store.Write) { w.Value = make([]byte, 410_000) },
		"a due time without an index": func(w *store.Write) { w.Due = 1 },
		"an end below 0":              func(w *store.Write) { w.Expires = -1 },
	} {
		w := p.put("two", "")
		change(&w)
		s.refuse(what, nil, one, w)
	}
	s.sorts(p.all())
	d := s.partition(store.DueTable)
	early := d.put("two", "")
	early.Due = -1
	s.refuse("a due time below 0", nil, d.put("one", ""), early)
	s.sorts(d.all())

	for what, r := range map[string]store.Range{
		"an unknown table":      {Table: "nowhere", Partition: p.partition},
		"an empty partition":    {Table: p.table},
		"a prefix not in UTF-8": {Table: p.table, Partition: p.partition, Prefix: "\xff"},
		"a start not in UTF-8":  {Table: p.table, Partition: p.partition, After: "\xff"},
		"a limit below 0":       {Table: p.table, Partition: p.partition, Limit: -1},
	} {
		if _, _, err := s.db.Query(s.ctx, r); err == nil {
			s.Errorf("Query with %s passed", what)
		}
	}
	if _, err := s.db.Due(s.ctx, "nowhere", 1, 1); err == nil {
		s.Error("Due of an unknown table passed")
	}
	if _, err := s.db.Due(s.ctx, p.table, 1, 1); err == nil {
		s.Error("Due of a table without an index passed")
	}
	if _, err := s.db.Due(s.ctx, store.DueTable, 1, 0); err == nil {
		s.Error("Due of at most 0 items passed")
	}
	if _, err := s.db.Due(s.ctx, store.DueTable, -1, 1); err == nil {
		s.Error("Due until a time below 0 passed")
	}
}

func endedContext(s *suite) {
	p := s.partition(store.Profiles)
	s.commit(nil, p.put("a", "1"))
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	for what, call := range map[string]func() error{
		"Get":     func() error { _, err := s.db.Get(ctx, p.key("a")); return err },
		"GetMany": func() error { _, err := s.db.GetMany(ctx, []store.Key{p.key("a")}); return err },
		"Query":   func() error { _, _, err := s.db.Query(ctx, p.all()); return err },
		"Due":     func() error { _, err := s.db.Due(ctx, store.DueTable, 1, 1); return err },
		"Commit":  func() error { return s.db.Commit(ctx, nil, []store.Write{p.put("a", "2")}) },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			s.Errorf("%s: %v, want context.Canceled", what, err)
		}
	}
	s.holds(p, p.put("a", "1"))
}
