// Package reports shows the mailings of the local system as pages: how far each
// is, and what became of everybody. Staff have the API (and its client) for
// that; these pages are for whoever runs Memberkey on a laptop.
package reports

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/store"
)

//go:embed *.html
var files embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"percent": func(n, of int) int { return n * 100 / max(of, 1) },
	"count":   count,
}).ParseFS(files, "*.html"))

// Pages serves GET /local/mailings and GET /local/mailings/{organization}/{id}.
type Pages struct {
	Store         *store.Store
	Organizations []string // whose mailings are listed
	Now           func() time.Time
	Log           *slog.Logger
}

// view is one mailing as shown.
type view struct {
	Organization, ID, Subject string
	State, Why                string
	Mails, Profiles           int
	Settled                   int // profiles of which the outcome is known
	Rows                      []row
	Skipped                   []row
	Running                   bool
	Created, Sent, Ended      string
	Rate                      int
}

type row struct {
	Name  string
	Count int
}

// Handler serves both pages.
func (p *Pages) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /local/mailings", p.list)
	mux.HandleFunc("GET /local/mailings/{organization}/{id}", p.one)
	return mux
}

func (p *Pages) list(w http.ResponseWriter, r *http.Request) {
	var all []view
	for _, org := range p.Organizations {
		mailings, _, err := p.Store.Mailings(r.Context(), org, "", 100)
		if err != nil {
			p.fail(w, r, err)
			return
		}
		for _, m := range mailings {
			v, err := p.view(r.Context(), m)
			if err != nil {
				p.fail(w, r, err)
				return
			}
			all = append(all, v)
		}
	}
	p.show(w, r, "list.html", all)
}

func (p *Pages) one(w http.ResponseWriter, r *http.Request) {
	m, err := p.Store.Mailing(r.Context(), r.PathValue("organization"), r.PathValue("id"))
	if err != nil {
		p.fail(w, r, err)
		return
	}
	v, err := p.view(r.Context(), m)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	p.show(w, r, "mailing.html", v)
}

// view adds the lanes up.
func (p *Pages) view(ctx context.Context, m *mailing.Mailing) (view, error) {
	v := view{Organization: m.Organization, ID: m.ID, Subject: m.Subject, State: words[m.State], Why: m.PauseReason}
	settings, err := p.Store.Organization(ctx, m.Organization)
	if err != nil {
		return v, err
	}
	moment := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return message.Moment(t, settings.Zone())
	}
	v.Created, v.Sent, v.Ended = moment(m.CreatedAt), moment(m.SentAt), moment(m.DoneAt)
	if m.Freeze == nil {
		return v, nil
	}
	lanes, err := p.Store.Lanes(ctx, m.Organization, m.ID, m.Generation)
	if err != nil {
		return v, err
	}
	tally := mailing.Sum(lanes)
	v.Mails, v.Profiles = m.Freeze.Mails, m.Freeze.Profiles
	skipped := 0
	for _, reason := range slices.Sorted(maps.Keys(m.Freeze.Skipped)) {
		n := m.Freeze.Skipped[reason]
		skipped += n
		v.Skipped = append(v.Skipped, row{strings.ReplaceAll(reason, "_", " "), n})
	}
	tally.Add(mailing.Tally{mailing.Skipped: skipped})
	for _, o := range mailing.Outcomes {
		if tally[o] > 0 {
			v.Rows = append(v.Rows, row{string(o), tally[o]})
		}
	}
	v.Settled = v.Profiles - tally[mailing.Pending] - tally[mailing.Uncertain]
	if !m.Freeze.Ready || m.SentAt.IsZero() {
		v.Settled = 0
	}
	v.Running = !m.Freeze.Ready || m.State == mailing.Sending || m.State == mailing.WaitingQuota || m.State == mailing.Cancelled && m.DoneAt.IsZero()
	if end := m.DoneAt; !m.SentAt.IsZero() {
		if end.IsZero() {
			end = p.Now()
		}
		v.Rate = int(float64(v.Settled-skipped) / max(end.Sub(m.SentAt).Seconds(), 0.001))
	}
	if !m.Freeze.Ready {
		v.State = fmt.Sprintf("counting: %s so far", count(v.Profiles))
	} else if m.State == mailing.Draft {
		v.State = "frozen, not sent"
	}
	return v, nil
}

var words = map[mailing.State]string{
	mailing.Draft: "draft", mailing.Scheduled: "scheduled", mailing.Sending: "sending", mailing.Paused: "paused",
	mailing.WaitingQuota: "waiting for tomorrow's quota", mailing.Cancelled: "cancelled", mailing.Done: "done",
}

// count writes 12,345.
func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func (p *Pages) show(w http.ResponseWriter, r *http.Request, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		p.Log.WarnContext(r.Context(), "report not shown", "error", err)
	}
}

func (p *Pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, store.NoMailing) || problem.As(err).Kind == problem.NotFound {
		http.NotFound(w, r)
		return
	}
	p.Log.ErrorContext(r.Context(), "report failed", "error", err)
	http.Error(w, "Something went wrong; the log says what.", http.StatusInternalServerError)
}
