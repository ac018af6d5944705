package profile

import (
	"fmt"
	"log/slog"
	"strings"
)

// People are referred to by profile ID in logs and errors. What carries their
// names and addresses prints only that, however it gets there; JSON, which
// stores and answers are made of, has it all.

// String names the profile without saying who it is.
func (p Profile) String() string { return "profile " + string(p.ID) + " of " + p.Organization }

// GoString is String.
func (p Profile) GoString() string { return p.String() }

// LogValue is String.
func (p Profile) LogValue() slog.Value { return slog.StringValue(p.String()) }

// String names the profile without saying who it is.
func (h Hit) String() string { return "profile " + string(h.ID) }

// GoString is String.
func (h Hit) GoString() string { return h.String() }

// LogValue is String.
func (h Hit) LogValue() slog.Value { return slog.StringValue(h.String()) }

// String tells which field changed, not what it says.
func (c FieldChange) String() string { return c.Field }

// GoString is String.
func (c FieldChange) GoString() string { return c.String() }

// String tells which fields changed, not what they say.
func (c Change) String() string {
	names := make([]string, len(c.Fields))
	for i, f := range c.Fields {
		names[i] = f.Field
	}
	return "changed: " + strings.Join(names, ", ")
}

// GoString is String.
func (c Change) GoString() string { return c.String() }

// LogValue is String.
func (c Change) LogValue() slog.Value { return slog.StringValue(c.String()) }

// String names the profile whose address changes.
func (e AddressEffect) String() string { return "address of profile " + string(e.Profile) }

// GoString is String.
func (e AddressEffect) GoString() string { return e.String() }

// String names the profile whose right changes.
func (e AccessEffect) String() string { return fmt.Sprintf("profile %s: %s", e.Profile, e.Reason) }

// GoString is String.
func (e AccessEffect) GoString() string { return e.String() }

// String tells nothing of what was searched for.
func (q Query) String() string { return fmt.Sprintf("query of %d words", len(q.words)) }

// GoString is String.
func (q Query) GoString() string { return q.String() }
