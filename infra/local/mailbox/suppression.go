package mailbox

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// suppression is the account's list of addresses that are not sent to: in
// memory, and as a log of additions and removals.
type suppression struct {
	file      *os.File
	size      int64
	addresses map[string]bool
}

// open reads the log and writes it anew, without what cancels out.
func (s *suppression) open(path string, log *slog.Logger) error {
	s.addresses = map[string]bool{}
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
	for address := range s.addresses {
		whole = appendLine(whole, "+"+address)
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

// note takes in "+address" or "-address".
func (s *suppression) note(line string) {
	if line[0] == '+' {
		s.addresses[line[1:]] = true
	} else {
		delete(s.addresses, line[1:])
	}
}

func (s *suppression) has(address string) bool {
	return len(s.addresses) > 0 && s.addresses[lower(address)]
}

// set puts an address on the list or takes it off.
func (s *suppression) set(address string, on bool) error {
	address = lower(address)
	if s.addresses[address] == on {
		return nil
	}
	line := "-" + address
	if on {
		line = "+" + address
	}
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
