package embedded

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/memberkey/memberkey/shared/store"
)

// The limits of a store.DB, which are DynamoDB's ("Quotas in Amazon DynamoDB":
// 100 items and 4 MB a transaction, 400 KB an item, 1,024 bytes a sort key).
const (
	maxKeys        = 100
	maxCommitBytes = 4 << 20
	maxItemBytes   = 400 << 10
	maxKeyBytes    = 1024
	// DynamoDB counts the names of attributes and the numbers too.
	itemOverhead = 100
)

// checkKey returns the number of the key's table. No error repeats a key: it
// may hold a username.
func checkKey(key store.Key) (table int, err error) {
	table, err = tableNumber(key.Table)
	if err != nil {
		return 0, err
	}
	if err := checkPart("partition", key.Partition, false); err != nil {
		return 0, err
	}
	return table, checkPart("sort key", key.Sort, false)
}

func checkRange(r store.Range) (table int, err error) {
	table, err = tableNumber(r.Table)
	if err != nil {
		return 0, err
	}
	if r.Limit < 0 {
		return 0, fmt.Errorf("embedded: a limit of %d is below 0", r.Limit)
	}
	if err := checkPart("partition", r.Partition, false); err != nil {
		return 0, err
	}
	if err := checkPart("prefix", r.Prefix, true); err != nil {
		return 0, err
	}
	return table, checkPart("start", r.After, true)
}

func checkPart(name, s string, mayBeEmpty bool) error {
	switch {
	case s == "" && !mayBeEmpty:
		return fmt.Errorf("embedded: an empty %s", name)
	case len(s) > maxKeyBytes:
		return fmt.Errorf("embedded: a %s of %d bytes; at most %d are allowed", name, len(s), maxKeyBytes)
	case name == "partition" && strings.IndexByte(s, 0) >= 0:
		return fmt.Errorf("embedded: a partition with a NUL in it")
	case !utf8.ValidString(s):
		return fmt.Errorf("embedded: a %s that is not UTF-8", name)
	}
	return nil
}

// newRequest checks a commit against the limits and makes it ready for the
// committer, on the caller's time.
func newRequest(checks []store.Check, writes []store.Write) (*request, error) {
	r := &request{
		checks: make([]check, 0, len(checks)),
		writes: make([]write, 0, len(writes)),
		answer: make(chan error, 1),
	}
	const checked, written = 1, 2
	seen := make(map[string]int, len(checks)+len(writes))
	for _, c := range checks {
		slot, err := slotOf(c.Key)
		if err != nil {
			return nil, err
		}
		if seen[string(slot)]&checked != 0 {
			return nil, fmt.Errorf("embedded: a key of table %s stands twice among the checks", c.Table)
		}
		seen[string(slot)] |= checked
		r.checks = append(r.checks, check{slot: slot, rev: c.Rev})
		r.size += len(slot) + itemOverhead
	}
	for _, w := range writes {
		slot, err := slotOf(w.Key)
		if err != nil {
			return nil, err
		}
		if seen[string(slot)]&written != 0 {
			return nil, fmt.Errorf("embedded: a key of table %s stands twice among the writes", w.Table)
		}
		seen[string(slot)] |= written
		if w.Delete {
			r.writes = append(r.writes, write{slot: slot})
			r.size += len(slot) + itemOverhead
			continue
		}
		if w.Expires < 0 || w.Due < 0 {
			return nil, fmt.Errorf("embedded: an item of table %s with a time below 0", w.Table)
		}
		size := len(slot) + len(w.Value) + itemOverhead
		if size > maxItemBytes {
			return nil, fmt.Errorf("embedded: an item of table %s of %d bytes; at most %d are allowed", w.Table, size, maxItemBytes)
		}
		r.writes = append(r.writes, write{slot: slot, value: encode(w.Item), due: w.Due})
		r.size += size
	}
	if len(seen) > maxKeys {
		return nil, fmt.Errorf("embedded: a commit of %d keys; at most %d are allowed", len(seen), maxKeys)
	}
	if r.size > maxCommitBytes {
		return nil, fmt.Errorf("embedded: a commit of %d bytes; at most %d are allowed", r.size, maxCommitBytes)
	}
	return r, nil
}
