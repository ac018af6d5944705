package mailbox

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Suppressed is an address on the suppression list.
type Suppressed struct {
	Address string // in lower case, as SES compares them
	Reason  string // BOUNCE or COMPLAINT
	At      time.Time
}

// suppression is the account's list of addresses that are not sent to: in
// memory, and as a log of additions and removals.
type suppression struct {
	file      *os.File
	size      int64
	addresses map[string]Suppressed
}

// open reads the log and writes it anew, without what cancels out.
func (s *suppression) open(path string, log *slog.Logger) error {
	s.addresses = map[string]Suppressed{}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("mailbox: %w", err)
	}
	for len(data) > 0 {
		payload, ok := unframe(data)
		if !ok {
			log.Warn("the end of the suppression list is cut off", "bytes", len(data))
			break
		}
		s.note(string(payload))
		data = data[frameSize+len(payload):]
	}
	var whole []byte
	for _, entry := range s.addresses {
		whole = appendLine(whole, entry.line())
	}
	if err := os.WriteFile(path+".new", whole, 0o600); err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	s.size = int64(len(whole))
	if s.file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	return nil
}

func appendLine(dst []byte, line string) []byte {
	start := len(dst)
	return frame(append(append(dst, make([]byte, frameSize)...), line...), start)
}

func (e Suppressed) line() string {
	return fmt.Sprintf("+%s %s %d", e.Address, e.Reason, e.At.UnixMilli())
}

// note takes in a line of the log: "+address reason time" or "-address".
func (s *suppression) note(line string) {
	address, rest, _ := strings.Cut(line[1:], " ")
	if line[0] != '+' {
		delete(s.addresses, address)
		return
	}
	entry := Suppressed{Address: address, Reason: "BOUNCE"} // lines had no more before
	if reason, at, found := strings.Cut(rest, " "); found {
		entry.Reason = reason
		if ms, err := strconv.ParseInt(at, 10, 64); err == nil {
			entry.At = time.UnixMilli(ms).UTC()
		}
	}
	s.addresses[address] = entry
}

func (s *suppression) has(address string) bool {
	_, on := s.find(address)
	return on
}

func (s *suppression) find(address string) (Suppressed, bool) {
	if len(s.addresses) == 0 {
		return Suppressed{}, false
	}
	entry, on := s.addresses[lower(address)]
	return entry, on
}

func (s *suppression) add(e Suppressed) error {
	e.Address = lower(e.Address)
	return s.write(e.line())
}

func (s *suppression) remove(address string) error {
	if !s.has(address) {
		return nil
	}
	return s.write("-" + lower(address))
}

func (s *suppression) write(line string) error {
	framed := appendLine(nil, line)
	if _, err := s.file.WriteAt(framed, s.size); err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	s.size += int64(len(framed))
	s.note(line)
	return nil
}

// lower is how SES compares addresses on its list.
func lower(address string) string { return strings.ToLower(address) }

func (s *suppression) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// Suppressed says whether mail to the address bounces unsent.
func (s *Service) Suppressed(address string) bool {
	_, on := s.Suppression(address)
	return on
}

// Suppression is an address's entry on the list.
func (s *Service) Suppression(address string) (entry Suppressed, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blocked.find(address)
}

// Suppressions are the entries of the list in order of address, from the first
// after one; at most limit.
func (s *Service) Suppressions(after string, limit int) []Suppressed {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Suppressed
	for address, entry := range s.blocked.addresses {
		if address > after {
			all = append(all, entry)
		}
	}
	slices.SortFunc(all, func(a, b Suppressed) int { return strings.Compare(a.Address, b.Address) })
	return all[:min(limit, len(all))]
}

// Suppress puts an address on the list, as PutSuppressedDestination does.
func (s *Service) Suppress(address, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	return s.blocked.add(Suppressed{Address: address, Reason: reason, At: s.opts.Now()})
}

// Release takes an address off the list; one that is not on it is no error.
func (s *Service) Release(address string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	return s.blocked.remove(address)
}
