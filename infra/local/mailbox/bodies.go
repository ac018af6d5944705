package mailbox

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// bodies are the contents of the newest mails, one after another in chunks;
// the ledger says where each lies.
type bodies struct {
	dir      string
	maxMails int
	maxBytes int64
	chunks   []*chunk
	mails    int
	bytes    int64
	last     uint64 // the highest number that a chunk ever had
}

// chunk is one file.
type chunk struct {
	number uint64 // from 1
	file   *os.File
	first  uint64 // number of the first mail in it
	size   int64
	mails  int
}

// chunkParts is how many chunks there are at least when the bounds are
// reached, so that letting one go takes at most that part of the mails.
const chunkParts = 16

func (b *bodies) open() error {
	paths, err := filepath.Glob(filepath.Join(b.dir, "bodies-*.dat"))
	if err != nil {
		return err
	}
	slices.Sort(paths)
	for _, path := range paths {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "bodies-"), ".dat")
		number, err := strconv.ParseUint(name, 16, 64)
		if err != nil {
			continue
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("mailbox: %w", err)
		}
		b.chunks = append(b.chunks, &chunk{number: number, file: file})
	}
	return nil
}

// found takes in a call that the ledger has.
func (b *bodies) found(r *record) {
	b.last = max(b.last, r.chunk)
	c := b.chunk(r.chunk)
	if c == nil {
		return // let go
	}
	if c.mails == 0 {
		c.first = r.first
	}
	size := int64(0)
	for i := range r.entries {
		size += int64(r.entries[i].size)
	}
	b.add(c, r.offset+size-c.size, len(r.entries))
}

func (b *bodies) add(c *chunk, size int64, mails int) {
	c.size += size
	c.mails += mails
	b.bytes += size
	b.mails += mails
}

// opened cuts off content that no call stands for.
func (b *bodies) opened() error {
	var all error
	b.chunks = slices.DeleteFunc(b.chunks, func(c *chunk) bool {
		if c.mails > 0 {
			return false
		}
		all = errors.Join(all, c.file.Close(), os.Remove(c.file.Name()))
		return true
	})
	if n := len(b.chunks); n > 0 {
		all = errors.Join(all, b.chunks[n-1].file.Truncate(b.chunks[n-1].size))
	}
	if all != nil {
		return fmt.Errorf("mailbox: %w", all)
	}
	return nil
}

func (b *bodies) chunk(number uint64) *chunk {
	i, ok := slices.BinarySearchFunc(b.chunks, number, func(c *chunk, n uint64) int {
		switch {
		case c.number < n:
			return -1
		case c.number > n:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return b.chunks[i]
}

// write appends the content of a call.
func (b *bodies) write(content []byte, mails int, first uint64) (number uint64, offset int64, err error) {
	n := len(b.chunks)
	if n == 0 || b.chunks[n-1].size >= b.maxBytes/chunkParts || b.chunks[n-1].mails >= max(1, b.maxMails/chunkParts) {
		if err := b.begin(first); err != nil {
			return 0, 0, err
		}
	}
	c := b.chunks[len(b.chunks)-1]
	if _, err := c.file.WriteAt(content, c.size); err != nil {
		return 0, 0, fmt.Errorf("mailbox: %w", err)
	}
	offset = c.size
	b.add(c, int64(len(content)), mails)
	return c.number, offset, nil
}

// unwrite takes back the last write: its call was not taken.
func (b *bodies) unwrite(size, mails int) { b.add(b.chunks[len(b.chunks)-1], -int64(size), -mails) }

func (b *bodies) begin(first uint64) error {
	// A chunk that was let go never comes back under its number: the ledger
	// may still name it.
	number := b.last + 1
	path := filepath.Join(b.dir, fmt.Sprintf("bodies-%016x.dat", number))
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	b.chunks = append(b.chunks, &chunk{number: number, file: file, first: first})
	b.last = number
	return nil
}

func (b *bodies) full() bool {
	return len(b.chunks) > 1 && (b.mails > b.maxMails || b.bytes > b.maxBytes)
}

func (b *bodies) drop() error {
	var all error
	for b.full() {
		c := b.chunks[0]
		b.chunks = b.chunks[1:]
		b.mails -= c.mails
		b.bytes -= c.size
		all = errors.Join(all, c.file.Close(), os.Remove(c.file.Name()))
	}
	return all
}

func (b *bodies) close() error {
	var all error
	for _, c := range b.chunks {
		all = errors.Join(all, c.file.Close())
	}
	return all
}

// shelf is the bodies at one moment, read while their files stay.
type shelf []*chunk

// first is the number of the oldest mail whose content is there.
func (s shelf) first(none uint64) uint64 {
	if len(s) == 0 {
		return none
	}
	return s[0].first
}

// read gets one mail's content; false means that it is not there or not whole,
// as after the machine itself stopped.
func (s shelf) read(number uint64, offset int64, e *entry) ([]byte, bool) {
	c := (&bodies{chunks: s}).chunk(number)
	if c == nil {
		return nil, false
	}
	data := make([]byte, e.size)
	if _, err := c.file.ReadAt(data, offset); err != nil {
		return nil, false
	}
	return data, crc32.Checksum(data, castagnoli) == e.sum
}
