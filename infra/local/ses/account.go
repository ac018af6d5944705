package ses

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/memberkey/memberkey/infra/local/mailbox"
)

func (s *Server) getAccount(r *http.Request) (any, error) {
	a, err := s.mailbox.Account(r.Context())
	if err != nil {
		return nil, err
	}
	limit := func(n float64) float64 {
		if n <= 0 {
			return -1 // SES writes "no limit" so
		}
		return n
	}
	return map[string]any{
		"SendQuota":               map[string]float64{"MaxSendRate": limit(a.Rate), "Max24HourSend": limit(a.DailyQuota), "SentLast24Hours": a.SentLastDay},
		"SendingEnabled":          a.Enabled,
		"ProductionAccessEnabled": !s.mailbox.Sandbox(),
		"EnforcementStatus":       "HEALTHY",
		"SuppressionAttributes":   map[string][]string{"SuppressedReasons": reasons},
	}, nil
}

// reasons for which an address goes on the suppression list.
var reasons = []string{"BOUNCE", "COMPLAINT"}

// suppressed is an address as the API shows it.
type suppressed struct {
	EmailAddress   string
	Reason         string
	LastUpdateTime float64 // seconds since 1970
}

func shown(e mailbox.Suppressed) suppressed {
	seconds := 0.0
	if !e.At.IsZero() {
		seconds = float64(e.At.UnixMilli()) / float64(time.Second/time.Millisecond)
	}
	return suppressed{e.Address, e.Reason, seconds}
}

var errNotListed = &refusal{http.StatusNotFound, "NotFoundException", "The address is not on the suppression list of your account."}

func (s *Server) getSuppressed(r *http.Request) (any, error) {
	entry, on := s.mailbox.Suppression(r.PathValue("EmailAddress"))
	if !on {
		return nil, errNotListed
	}
	return map[string]any{"SuppressedDestination": shown(entry)}, nil
}

func (s *Server) deleteSuppressed(r *http.Request) (any, error) {
	address := r.PathValue("EmailAddress")
	if !s.mailbox.Suppressed(address) {
		return nil, errNotListed
	}
	return struct{}{}, s.mailbox.Release(address)
}

func (s *Server) putSuppressed(r *http.Request) (any, error) {
	var in struct{ EmailAddress, Reason string }
	if err := read(r, &in); err != nil {
		return nil, err
	}
	if addressOf(in.EmailAddress) != in.EmailAddress || in.EmailAddress == "" || !slices.Contains(reasons, in.Reason) {
		return nil, badRequest("An address is put on the list for BOUNCE or COMPLAINT.")
	}
	return struct{}{}, s.mailbox.Suppress(in.EmailAddress, in.Reason)
}

// listSuppressed gives pages in order of address; a token is the last one.
func (s *Server) listSuppressed(r *http.Request) (any, error) {
	q := r.URL.Query()
	size := 1000
	if text := q.Get("PageSize"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > size {
			return nil, badRequest("PageSize is 1 to %d.", size)
		}
		size = n
	}
	out := struct {
		SuppressedDestinationSummaries []suppressed
		NextToken                      string `json:",omitempty"`
	}{SuppressedDestinationSummaries: []suppressed{}}
	all := s.mailbox.Suppressions(q.Get("NextToken"), size)
	for _, e := range all {
		if wanted := q["Reason"]; wanted == nil || slices.Contains(wanted, e.Reason) {
			out.SuppressedDestinationSummaries = append(out.SuppressedDestinationSummaries, shown(e))
		}
	}
	if len(all) == size {
		out.NextToken = all[size-1].Address
	}
	return out, nil
}
