package mailing

import (
	"fmt"
	"log/slog"
)

// A mail carries links and an address: neither stands in any log or error.

func (m Mail) String() string       { return "mail " + m.Tag }
func (m Mail) GoString() string     { return m.String() }
func (m Mail) LogValue() slog.Value { return slog.StringValue(m.String()) }
func (c Call) String() string       { return fmt.Sprintf("call of %d mails", len(c.Mails)) }
func (c Call) GoString() string     { return c.String() }
func (c Call) LogValue() slog.Value { return slog.StringValue(c.String()) }
