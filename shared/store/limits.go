package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// What a DB accepts. These are DynamoDB's limits ("Quotas in Amazon DynamoDB"),
// and every driver keeps them by the functions below, so that what passes on a
// laptop passes on AWS. No error repeats a key: it may hold a username.
const (
	// MaxKeys is how many distinct keys a commit may have.
	MaxKeys = 100
	// MaxCommitBytes is how large all that it names and writes may be.
	MaxCommitBytes = 4 << 20
	// MaxItemBytes is how large one item may be, its key included.
	MaxItemBytes = 400 << 10
	// MaxKeyBytes is how long each part of a key may be.
	MaxKeyBytes = 1024

	// itemOverhead is room for what DynamoDB counts beside key and value: the
	// names of our seven attributes (19 bytes) and four numbers (at most 12 each).
	itemOverhead = 100
)

// DueTable is the one table that has an index of due items. Every index is
// paid for at each write, so no other has one.
const DueTable = Mailings

// ValidateTable refuses what is none of our tables.
func ValidateTable(table Table) error {
	if !slices.Contains(Tables, table) {
		return fmt.Errorf("store: there is no table %q", string(table))
	}
	return nil
}

// ValidateKey refuses a key that no item can have.
func ValidateKey(key Key) error {
	if err := ValidateTable(key.Table); err != nil {
		return err
	}
	if err := validatePartition(key.Partition); err != nil {
		return err
	}
	if key.Sort == "" {
		return errors.New("store: an empty sort key")
	}
	return validatePart("sort key", key.Sort)
}

// ValidateRange refuses a range that no driver can walk.
func ValidateRange(r Range) error {
	if err := ValidateTable(r.Table); err != nil {
		return err
	}
	if r.Limit < 0 {
		return fmt.Errorf("store: a limit of %d is below 0", r.Limit)
	}
	if err := validatePartition(r.Partition); err != nil {
		return err
	}
	if err := validatePart("prefix", r.Prefix); err != nil {
		return err
	}
	return validatePart("start", r.After)
}

// ValidateDue refuses a call of Due that could find nothing.
func ValidateDue(table Table, until int64, limit int) error {
	if err := ValidateTable(table); err != nil {
		return err
	}
	switch {
	case table != DueTable:
		return fmt.Errorf("store: table %s has no due items", table)
	case until < 0:
		return fmt.Errorf("store: due until %d, which is below 0", until)
	case limit < 1:
		return fmt.Errorf("store: at most %d due items asked for: ask for one or more", limit)
	}
	return nil
}

// ValidateCommit refuses a commit over a limit, or one that names a key twice;
// size is what it comes to in bytes, at least.
func ValidateCommit(checks []Check, writes []Write) (size int, err error) {
	const checked, written = 1, 2
	seen := make(map[Key]uint8, len(checks)+len(writes))
	see := func(key Key, as uint8, among string) error {
		if err := ValidateKey(key); err != nil {
			return err
		}
		if seen[key]&as != 0 {
			return fmt.Errorf("store: a key of table %s stands twice among the %s", key.Table, among)
		}
		seen[key] |= as
		return nil
	}
	for i := range checks {
		if err := see(checks[i].Key, checked, "checks"); err != nil {
			return 0, err
		}
		size += keySize(checks[i].Key)
	}
	for i := range writes {
		if err := see(writes[i].Key, written, "writes"); err != nil {
			return 0, err
		}
		bytes, err := validateWrite(&writes[i])
		if err != nil {
			return 0, err
		}
		size += bytes
	}
	if len(seen) > MaxKeys {
		return 0, fmt.Errorf("store: a commit of %d keys; at most %d are allowed", len(seen), MaxKeys)
	}
	if size > MaxCommitBytes {
		return 0, fmt.Errorf("store: a commit of %d bytes; at most %d are allowed", size, MaxCommitBytes)
	}
	return size, nil
}

func validateWrite(w *Write) (size int, err error) {
	size = keySize(w.Key)
	if w.Delete {
		return size, nil
	}
	size += len(w.Value)
	switch {
	case w.Expires < 0 || w.Due < 0:
		return 0, fmt.Errorf("store: an item of table %s with a time below 0", w.Table)
	case w.Due != 0 && w.Table != DueTable:
		return 0, fmt.Errorf("store: an item of table %s that is due, where there is no index for it", w.Table)
	case size > MaxItemBytes:
		return 0, fmt.Errorf("store: an item of table %s of %d bytes; at most %d are allowed", w.Table, size, MaxItemBytes)
	}
	return size, nil
}

func keySize(key Key) int { return len(key.Partition) + len(key.Sort) + itemOverhead }

func validatePartition(s string) error {
	switch {
	case s == "":
		return errors.New("store: an empty partition")
	case strings.IndexByte(s, 0) >= 0:
		return errors.New("store: a partition with a NUL in it")
	}
	return validatePart("partition", s)
}

func validatePart(name, s string) error {
	switch {
	case len(s) > MaxKeyBytes:
		return fmt.Errorf("store: a %s of %d bytes; at most %d are allowed", name, len(s), MaxKeyBytes)
	case !utf8.ValidString(s):
		return fmt.Errorf("store: a %s that is not UTF-8", name)
	}
	return nil
}
