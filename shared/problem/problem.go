// Package problem is the one error type that people see.
//
// Domain packages return *Problem for everything a caller can mend; the HTTP
// adapter alone turns a Kind into a status (shared/httpapi). Any other error
// is an internal one: it is logged, and the caller learns only that it
// happened. A Problem never carries a secret: Detail and Field are shown to
// the caller and written to logs as they are.
package problem

import (
	"errors"
	"fmt"
)

// Kind is what went wrong, as far as a caller can act on it.
type Kind int

const (
	// Internal is everything that is our fault; its cause stays in the log.
	Internal Kind = iota
	// Invalid is input that can never be accepted as it is.
	Invalid
	// Unauthenticated is a caller whom we cannot name.
	Unauthenticated
	// Forbidden is a caller who may not do this.
	Forbidden
	// NotFound is a thing that does not exist, or is another organization's
	// (H21: the two look the same).
	NotFound
	// Conflict is input that is fine but collides with what is stored.
	Conflict
	// Stale is an edit of a version that is no longer the current one (H3).
	Stale
	// VersionMissing is an edit that does not say which version it saw (H3).
	VersionMissing
	// Refused is a well-formed request that a rule of the domain forbids.
	Refused
	// TooLarge is a body or a field over its limit.
	TooLarge
	// Throttled is a caller who must wait.
	Throttled
	// Busy is a passing fault: the same request may succeed later.
	Busy
)

// Problem is an error for people and programs (RFC 9457). Code is stable:
// changing one breaks clients; all of them are listed in infra/openapi.yaml.
type Problem struct {
	Kind   Kind
	Code   string // lower_snake, stable
	Detail string // for people: what happened and what to do next
	Field  string // the input at fault, in the caller's own notation; may be empty
	// Problems lists further faults of the same input, so that all of them
	// can be mended at once.
	Problems []Item
	// Extra is rendered beside the standard members, for example the fields
	// that differ in a stale edit. It must hold nothing secret.
	Extra map[string]any

	cause error
}

// Item is one of several faults in the same input.
type Item struct {
	Field  string `json:"field,omitempty"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// New makes a Problem; field may be empty.
func New(kind Kind, code, field, detail string) *Problem {
	return &Problem{Kind: kind, Code: code, Field: field, Detail: detail}
}

// Newf is New with a formatted detail.
func Newf(kind Kind, code, field, format string, args ...any) *Problem {
	return New(kind, code, field, fmt.Sprintf(format, args...))
}

// Because returns a copy of p that carries cause for the log.
func (p *Problem) Because(cause error) *Problem {
	q := *p
	q.cause = cause
	return &q
}

// With returns a copy of p with one more extra member.
func (p *Problem) With(name string, value any) *Problem {
	q := *p
	q.Extra = make(map[string]any, len(p.Extra)+1)
	for k, v := range p.Extra {
		q.Extra[k] = v
	}
	q.Extra[name] = value
	return &q
}

// Several makes one Problem of the faults of one input; nil when there are
// none. The first fault gives the code, the field and the detail.
func Several(kind Kind, items []Item) error {
	if len(items) == 0 {
		return nil
	}
	p := New(kind, items[0].Code, items[0].Field, items[0].Detail)
	if len(items) > 1 {
		p.Problems = items
	}
	return p
}

// VersionStale refuses an edit of a version that is no longer the current one
// (H3). differs names the fields that the edit would have overwritten.
func VersionStale(version int, differs []string) *Problem {
	if differs == nil {
		differs = []string{}
	}
	return New(Stale, "version_stale", "If-Match",
		"Somebody else has changed this since you opened it. Nothing was saved. Read it again, and repeat what you want to change.").
		With("version", version).With("differs", differs)
}

// Error is for the log; people are shown Detail.
func (p *Problem) Error() string {
	s := p.Code
	if p.Field != "" {
		s += " (" + p.Field + ")"
	}
	s += ": " + p.Detail
	if p.cause != nil {
		s += ": " + p.cause.Error()
	}
	return s
}

// Unwrap gives the cause.
func (p *Problem) Unwrap() error { return p.cause }

// Is makes errors.Is match on Kind and Code, so that a Problem can serve as a
// sentinel whatever detail it carries.
func (p *Problem) Is(target error) bool {
	q, ok := target.(*Problem)
	return ok && q.Kind == p.Kind && q.Code == p.Code
}

// As finds the Problem in err; any other error is Internal.
func As(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	return New(Internal, "internal", "", "Something went wrong on our side. Please try again; if it happens again, tell us the request id.").Because(err)
}

// CodeOf is the stable code of err, "" when err is nil.
func CodeOf(err error) string {
	if err == nil {
		return ""
	}
	return As(err).Code
}
