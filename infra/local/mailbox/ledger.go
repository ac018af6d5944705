package mailbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"
)

// The ledger says who got which mail and what became of it; the bodies (see
// bodies.go) say what was in it. They are two logs because their lives differ:
// content is large and only worth looking at, so the newest is kept; the
// ledger is some 100 bytes a mail, and both the events still to be told and
// the count of second copies are read from it long after.
//
// A record of the ledger is one call, framed as length, CRC-32C and payload.
// Its content is written before it, so a record that is whole says that the
// call was taken, and one that is not says that it never was.
//
// The events are not kept as such: they follow from the record, and a cursor
// says up to which mail they were handled. So taking a mail and queueing its
// events is one and the same write.

const (
	ledgerMagic   = "mkledg1\n"
	nonceSize     = 8
	ledgerHeader  = len(ledgerMagic) + nonceSize
	frameSize     = 8
	maxRecord     = 1 << 20 // far above 50 mails' addresses and tags
	ledgerSegment = 8 << 20
	ledgerParts   = 16 // segments at most, by number of mails
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is one call as the ledger has it.
type record struct {
	first                                uint64 // number of its first mail
	at                                   time.Time
	organization, from, replyTo, mailing string
	chunk                                uint64 // of the bodies, where its content lies
	offset                               int64
	entries                              []entry
}

type entry struct {
	to, tag string
	fate    fate
	size    uint32 // of the content
	sum     uint32 // CRC-32C of the content
}

// append frames the record.
func (r *record) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, frameSize)...)
	dst = binary.AppendUvarint(dst, r.first)
	dst = binary.AppendUvarint(dst, uint64(r.at.UnixMilli()))
	for _, s := range []string{r.organization, r.from, r.replyTo, r.mailing} {
		dst = appendString(dst, s)
	}
	dst = binary.AppendUvarint(dst, r.chunk)
	dst = binary.AppendUvarint(dst, uint64(r.offset))
	dst = binary.AppendUvarint(dst, uint64(len(r.entries)))
	for i := range r.entries {
		e := &r.entries[i]
		dst = appendString(dst, e.to)
		dst = appendString(dst, e.tag)
		dst = append(dst, byte(e.fate))
		dst = binary.AppendUvarint(dst, uint64(e.size))
		dst = binary.LittleEndian.AppendUint32(dst, e.sum)
	}
	return frame(dst, start)
}

// frame fills in the frame that stands at start.
func frame(dst []byte, start int) []byte {
	payload := dst[start+frameSize:]
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(dst[start+4:], crc32.Checksum(payload, castagnoli))
	return dst
}

// unframe is the payload that data begins with; false means that it is torn.
func unframe(data []byte) (payload []byte, ok bool) {
	if len(data) < frameSize {
		return nil, false
	}
	n := binary.LittleEndian.Uint32(data)
	if n == 0 || n > maxRecord || int(n) > len(data)-frameSize {
		return nil, false
	}
	payload = data[frameSize : frameSize+int(n)]
	return payload, crc32.Checksum(payload, castagnoli) == binary.LittleEndian.Uint32(data[4:])
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// fields reads a payload; after a fault everything reads as zero.
type fields struct {
	data []byte
	text string // the same, so that all strings share one copy
	bad  bool
}

func (f *fields) number() uint64 {
	n, size := binary.Uvarint(f.data)
	if size <= 0 {
		f.bad, f.data = true, nil
		return 0
	}
	f.skip(size)
	return n
}

func (f *fields) skip(n int) { f.data, f.text = f.data[n:], f.text[n:] }

func (f *fields) string() string {
	n := f.number()
	if n > uint64(len(f.data)) {
		f.bad, f.data = true, nil
		return ""
	}
	s := f.text[:n]
	f.skip(int(n))
	return s
}

func parseRecord(payload []byte) (*record, bool) {
	f := fields{data: payload, text: string(payload)}
	r := &record{first: f.number(), at: time.UnixMilli(int64(f.number())).UTC()}
	r.organization, r.from, r.replyTo, r.mailing = f.string(), f.string(), f.string(), f.string()
	r.chunk, r.offset = f.number(), int64(f.number())
	n := f.number()
	if f.bad || n == 0 || n > uint64(len(f.data)) {
		return nil, false
	}
	r.entries = make([]entry, n)
	for i := range r.entries {
		e := &r.entries[i]
		e.to, e.tag = f.string(), f.string()
		if f.bad || len(f.data) < 1 {
			return nil, false
		}
		e.fate = fate(f.data[0])
		f.skip(1)
		e.size = uint32(f.number())
		if f.bad || len(f.data) < 4 || e.fate >= fates {
			return nil, false
		}
		e.sum = binary.LittleEndian.Uint32(f.data)
		f.skip(4)
	}
	return r, len(f.data) == 0
}

// ledger is the log of calls, in segments.
type ledger struct {
	dir      string
	max      int // mails
	nonce    []byte
	segments []*segment
	mails    int
}

// segment is one file. Of each call only its place is in memory, 8 bytes.
type segment struct {
	file  *os.File
	start uint64 // number of its first mail
	end   uint64 // and of the first after it
	size  int64
	calls []place
}

type place struct {
	offset uint32 // in the file
	first  uint32 // number of its first mail, less start
}

func (s *segment) mails() int { return int(s.end - s.start) }

func (l *ledger) first() uint64 {
	if len(l.segments) == 0 {
		return 1
	}
	return l.segments[0].start
}

func (l *ledger) next() uint64 {
	if len(l.segments) == 0 {
		return 1
	}
	return l.segments[len(l.segments)-1].end
}

// open reads the ledger, tells each record and cuts off what is torn.
func (l *ledger) open(log *slog.Logger, found func(*record)) error {
	paths, err := filepath.Glob(filepath.Join(l.dir, "ledger-*.log"))
	if err != nil {
		return err
	}
	slices.Sort(paths)
	for _, path := range paths {
		s, nonce, err := openSegment(path, log, found)
		if err != nil {
			return err
		}
		if s == nil {
			continue // made, and never written to
		}
		if n := len(l.segments); n > 0 && l.segments[n-1].end > s.start {
			return fmt.Errorf("mailbox: %s does not follow the file before it", path)
		}
		l.nonce = nonce
		l.segments = append(l.segments, s)
		l.mails += s.mails()
	}
	return nil
}

func openSegment(path string, log *slog.Logger, found func(*record)) (*segment, []byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("mailbox: %w", err)
	}
	s := &segment{size: int64(ledgerHeader)}
	if len(data) >= ledgerHeader {
		if string(data[:len(ledgerMagic)]) != ledgerMagic {
			return nil, nil, fmt.Errorf("mailbox: %s is no ledger of this version", path)
		}
		for rest := data[ledgerHeader:]; ; {
			payload, ok := unframe(rest)
			if !ok {
				break
			}
			r, ok := parseRecord(payload)
			if !ok || len(s.calls) > 0 && r.first != s.end {
				break
			}
			if len(s.calls) == 0 {
				s.start = r.first
			}
			s.add(r, int64(frameSize+len(payload)))
			found(r)
			rest = rest[frameSize+len(payload):]
		}
	}
	if len(s.calls) == 0 {
		return nil, nil, os.Remove(path)
	}
	if torn := int64(len(data)) - s.size; torn > 0 {
		log.Warn("the torn end of the ledger is cut off", "file", filepath.Base(path), "bytes", torn)
		if err := os.Truncate(path, s.size); err != nil {
			return nil, nil, fmt.Errorf("mailbox: %w", err)
		}
	}
	if s.file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		return nil, nil, fmt.Errorf("mailbox: %w", err)
	}
	return s, data[len(ledgerMagic):ledgerHeader], nil
}

func (s *segment) add(r *record, size int64) {
	s.calls = append(s.calls, place{uint32(s.size), uint32(r.first - s.start)})
	s.size += size
	s.end = r.first + uint64(len(r.entries))
}

// write appends a framed record.
func (l *ledger) write(framed []byte, r *record) error {
	n := len(l.segments)
	if n == 0 || l.segments[n-1].size >= ledgerSegment || l.segments[n-1].mails() >= max(1, l.max/ledgerParts) {
		if err := l.begin(r.first); err != nil {
			return err
		}
	}
	s := l.segments[len(l.segments)-1]
	// At its place and not at the end of the file: what a failed write left
	// there is overwritten.
	if _, err := s.file.WriteAt(framed, s.size); err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	s.add(r, int64(len(framed)))
	l.mails += len(r.entries)
	return nil
}

func (l *ledger) begin(first uint64) error {
	path := filepath.Join(l.dir, fmt.Sprintf("ledger-%016x.log", first))
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	if _, err := file.Write(append([]byte(ledgerMagic), l.nonce...)); err != nil {
		return fmt.Errorf("mailbox: %w", errors.Join(err, file.Close()))
	}
	l.segments = append(l.segments, &segment{file: file, start: first, end: first, size: int64(ledgerHeader)})
	return nil
}

func (l *ledger) full() bool { return l.mails > l.max && len(l.segments) > 1 }

func (l *ledger) drop() error {
	var all error
	for l.full() {
		s := l.segments[0]
		l.segments = l.segments[1:]
		l.mails -= s.mails()
		all = errors.Join(all, s.file.Close(), os.Remove(s.file.Name()))
	}
	return all
}

func (l *ledger) close() error {
	var all error
	for _, s := range l.segments {
		all = errors.Join(all, s.file.Close())
	}
	return all
}

// readBlock is about how much of the ledger is read at once.
const readBlock = 256 << 10

// view is the ledger at one moment. Its files stay while reading is held.
type view []segment

func (l *ledger) view() view {
	v := make(view, len(l.segments))
	for i, s := range l.segments {
		v[i] = *s
	}
	return v
}

// records reads the calls lo to hi of a segment.
func (s *segment) records(lo, hi int) ([]*record, error) {
	end := s.size
	if hi < len(s.calls) {
		end = int64(s.calls[hi].offset)
	}
	start := int64(s.calls[lo].offset)
	data := make([]byte, end-start)
	if _, err := s.file.ReadAt(data, start); err != nil && !(errors.Is(err, io.EOF)) {
		return nil, fmt.Errorf("mailbox: %w", err)
	}
	records := make([]*record, 0, hi-lo)
	for len(records) < hi-lo {
		payload, ok := unframe(data)
		if !ok {
			return nil, fmt.Errorf("mailbox: %s is damaged", filepath.Base(s.file.Name()))
		}
		r, ok := parseRecord(payload)
		if !ok {
			return nil, fmt.Errorf("mailbox: %s is damaged", filepath.Base(s.file.Name()))
		}
		records = append(records, r)
		data = data[frameSize+len(payload):]
	}
	return records, nil
}

// forward gives the calls from mail number on, until yield says false.
func (v view) forward(number uint64, yield func(*record) bool) error {
	for i := range v {
		s := &v[i]
		if s.end <= number || len(s.calls) == 0 {
			continue
		}
		lo := s.callOf(max(number, s.start))
		for lo < len(s.calls) {
			hi := lo + 1
			for hi < len(s.calls) && s.calls[hi].offset-s.calls[lo].offset < readBlock {
				hi++
			}
			records, err := s.records(lo, hi)
			if err != nil {
				return err
			}
			for _, r := range records {
				if !yield(r) {
					return nil
				}
			}
			lo = hi
		}
	}
	return nil
}

// backward gives the calls that have mails before number, newest first.
func (v view) backward(number uint64, yield func(*record) bool) error {
	for i := len(v) - 1; i >= 0; i-- {
		s := &v[i]
		if s.start >= number || len(s.calls) == 0 {
			continue
		}
		hi := s.callOf(min(number, s.end)-1) + 1
		// The first reads are small: a page of mails is often in them.
		for block := uint32(16 << 10); hi > 0; block = min(2*block, readBlock) {
			lo := hi - 1
			for lo > 0 && s.calls[hi-1].offset-s.calls[lo-1].offset < block {
				lo--
			}
			records, err := s.records(lo, hi)
			if err != nil {
				return err
			}
			for _, r := range slices.Backward(records) {
				if !yield(r) {
					return nil
				}
			}
			hi = lo
		}
	}
	return nil
}

// callOf is the index of the call that has mail number.
func (s *segment) callOf(number uint64) int {
	rel := uint32(min(number-s.start, math.MaxUint32))
	return sort.Search(len(s.calls), func(i int) bool { return s.calls[i].first > rel }) - 1
}
