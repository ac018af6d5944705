package mailbox

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

// cursor is how far the events have been handled: the number of the first
// mail that they have not. It is one small write in place, guarded by a
// checksum; where that fails, events are told again from the ledger's start.
type cursor struct {
	file *os.File
	next uint64
}

func (c *cursor) open(path string, first, next uint64) (err error) {
	if c.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(c.file, 64))
	if err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	if payload, ok := unframe(data); ok && len(payload) == 8 {
		c.next = binary.LittleEndian.Uint64(payload)
	}
	c.next = min(max(c.next, first), next)
	return nil
}

func (c *cursor) set(next uint64) error {
	data := binary.LittleEndian.AppendUint64(make([]byte, frameSize, frameSize+8), next)
	if _, err := c.file.WriteAt(frame(data, 0), 0); err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	c.next = next
	return nil
}

func (c *cursor) close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}
