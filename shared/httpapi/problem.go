package httpapi

import (
	"context"
	"net/http"
	"strconv"

	"github.com/memberkey/memberkey/shared/problem"
)

// statuses is the only table from kind to status.
var statuses = map[problem.Kind]int{
	problem.Internal:        http.StatusInternalServerError,
	problem.Invalid:         http.StatusBadRequest,
	problem.Unauthenticated: http.StatusUnauthorized,
	problem.Forbidden:       http.StatusForbidden,
	problem.NotFound:        http.StatusNotFound,
	problem.Conflict:        http.StatusConflict,
	problem.Stale:           http.StatusPreconditionFailed,
	problem.VersionMissing:  http.StatusPreconditionRequired,
	problem.Refused:         http.StatusUnprocessableEntity,
	problem.TooLarge:        http.StatusRequestEntityTooLarge,
	problem.Throttled:       http.StatusTooManyRequests,
	problem.Busy:            http.StatusServiceUnavailable,
}

// Status is the status that answers a kind.
func Status(kind problem.Kind) int {
	if s, ok := statuses[kind]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// jsonProblem renders p as problem JSON (RFC 9457 §3.2). There is no "type":
// it would be "about:blank", and "code" says more.
func jsonProblem(_ context.Context, k *call, p *problem.Problem) response {
	status := Status(p.Kind)
	doc := map[string]any{}
	for name, value := range p.Extra { // first, so that no extra hides a standard member
		doc[name] = value
	}
	doc["title"], doc["status"] = http.StatusText(status), status
	doc["code"], doc["detail"] = p.Code, p.Detail
	delete(doc, "field")
	delete(doc, "problems")
	delete(doc, "requestId")
	if p.Field != "" {
		doc["field"] = p.Field
	}
	if len(p.Problems) > 0 {
		doc["problems"] = p.Problems
	}
	if status >= 500 {
		doc["requestId"] = k.event.RequestContext.RequestID
	}
	body, err := marshal(doc)
	if err != nil { // an extra that is no JSON; what matters is still told
		for name := range p.Extra {
			delete(doc, name)
		}
		body, _ = marshal(doc)
	}
	header := secured(http.Header{"Content-Type": {"application/problem+json"}})
	retryAfter(header, p)
	if status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer")
	}
	return response{status: status, header: header, body: body}
}

// retryAfter says when to come back. The extra "retryAfter" holds whole seconds.
func retryAfter(h http.Header, p *problem.Problem) {
	switch p.Kind {
	case problem.Busy:
		h.Set("Retry-After", "1")
	case problem.Throttled:
		if seconds, ok := p.Extra["retryAfter"].(int); ok && seconds > 0 {
			h.Set("Retry-After", strconv.Itoa(seconds))
		}
	}
}
