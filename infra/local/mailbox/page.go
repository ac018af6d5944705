package mailbox

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed pages
var files embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"count": count, "words": words, "unhurt": unhurt,
}).ParseFS(files, "pages/*.html"))

// The pages have no script and fetch nothing. The policy also binds the mail
// shown in the frame, for a srcdoc document inherits it: a mail's inline
// styles work, its pictures from elsewhere are not fetched.
const policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Handler answers GET /local/mailbox.json (the mails, newest first), GET
// /local/mailbox (an inbox to look at) and GET /local/mailbox/{id} (one mail).
//
// The JSON's mails have id, at, organization, mailing (null for single mails),
// tag, from, replyTo, to, subject, html, text and outcome (see [Mail]). Query:
// to (a whole address), search (a part of one), mailing (an id, or "single"),
// before (an id) and limit (100; at most 1,000).
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /local/mailbox.json", s.serveJSON)
	mux.HandleFunc("GET /local/mailbox", s.serveList)
	mux.HandleFunc("GET /local/mailbox/{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/local/mailbox", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /local/mailbox/{id}", s.serveMail)
	return mux
}

// single stands in a query for mails of no mailing.
const single = "single"

func filter(q url.Values) (Filter, error) {
	f := Filter{
		To: strings.TrimSpace(q.Get("to")), Search: strings.TrimSpace(q.Get("search")),
		Mailing: strings.TrimSpace(q.Get("mailing")), Before: q.Get("before"),
	}
	if f.Mailing == single {
		f.Mailing, f.Single = "", true
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			return f, fmt.Errorf("limit must be a number from 1 to %d", maxLimit)
		}
		f.Limit = n
	}
	return f, nil
}

type jsonMail struct {
	ID           string    `json:"id"`
	At           time.Time `json:"at"`
	Organization string    `json:"organization"`
	Mailing      *string   `json:"mailing"`
	Tag          string    `json:"tag"`
	From         string    `json:"from"`
	ReplyTo      string    `json:"replyTo"`
	To           string    `json:"to"`
	Subject      string    `json:"subject"`
	HTML         string    `json:"html"`
	Text         string    `json:"text"`
	Outcome      string    `json:"outcome"`
}

func (s *Service) serveJSON(w http.ResponseWriter, r *http.Request) {
	f, err := filter(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	all := f.Limit == 0 // no limit was asked for: every mail that is kept, a page at a time
	if all {
		f.Limit = maxLimit
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false) // links stay readable for scripts that cut them out
	separator := "["
	for {
		mails, err := s.Mails(f)
		if err != nil {
			if separator == "[" {
				s.fail(w, r, err)
				return
			}
			panic(http.ErrAbortHandler) // half an array must not look like a whole one
		}
		for i := range mails {
			m := &mails[i]
			out := jsonMail{m.ID, m.At, m.Organization, nil, m.Tag, m.From, m.ReplyTo, m.To, m.Subject, m.HTML, m.Text, m.Outcome}
			if m.Mailing != "" {
				out.Mailing = &m.Mailing
			}
			if _, err := io.WriteString(w, separator); err != nil {
				return // the client went away
			}
			if err := encoder.Encode(out); err != nil { // a line each
				return
			}
			separator = ","
		}
		if !all || len(mails) < maxLimit {
			break
		}
		f.Before = mails[len(mails)-1].ID
	}
	if separator == "[" {
		_, _ = io.WriteString(w, separator)
	}
	_, _ = io.WriteString(w, "]\n")
}

// listing is what the inbox shows.
type listing struct {
	Filter   Filter
	Mailing  string // as chosen
	Mails    []Mail
	Mailings []Mailing
	Kept     int
	Now      time.Time
	Older    string // query of the next page
	Newest   string // query of the first one, on later ones
}

// perPage is how many mails the inbox shows at once.
const perPage = 50

func (s *Service) serveList(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f, err := filter(q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.Limit = perPage + 1 // one more, to know whether there are older ones
	page := listing{Filter: f, Mailing: q.Get("mailing"), Mailings: s.Mailings(), Kept: s.Kept(), Now: s.opts.Now()}
	if page.Mails, err = s.Mails(f); err != nil {
		s.fail(w, r, err)
		return
	}
	if len(page.Mails) > perPage {
		page.Mails = page.Mails[:perPage]
		page.Older = page.query(page.Mails[perPage-1].ID)
	}
	if f.Before != "" {
		page.Newest = page.query("")
	}
	s.show(w, r, http.StatusOK, "list.html", page)
}

// Known says whether the chosen mailing is among those to choose from.
func (l listing) Known() bool {
	if l.Mailing == "" || l.Mailing == single {
		return true
	}
	for _, m := range l.Mailings {
		if m.ID == l.Mailing {
			return true
		}
	}
	return false
}

func (l listing) query(before string) string {
	q := url.Values{}
	for name, value := range map[string]string{"to": l.Filter.To, "search": l.Filter.Search, "mailing": l.Mailing, "before": before} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return "/local/mailbox?" + q.Encode()
}

// Ago is a time as one looks at a mailbox: how long ago while that says more.
func (l listing) Ago(at time.Time) string {
	switch d := l.Now.Sub(at); {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 24*time.Hour:
		return at.Local().Format("15:04")
	case at.Local().Year() == l.Now.Local().Year():
		return at.Local().Format("2 Jan, 15:04")
	}
	return at.Local().Format("2 Jan 2006")
}

// reading is what the page of one mail shows.
type reading struct {
	Mail
	Part     string // html or text
	Frame    string // the HTML part, as a document of its own
	Pictures bool   // it has some that are not fetched
	Lines    template.HTML
}

func (s *Service) serveMail(w http.ResponseWriter, r *http.Request) {
	m, found, err := s.Mail(r.PathValue("id"))
	switch {
	case err != nil:
		s.fail(w, r, err)
		return
	case !found:
		s.show(w, r, http.StatusNotFound, "gone.html", nil)
		return
	}
	page := reading{Mail: m, Part: "html", Lines: linked(m.Text)}
	if r.URL.Query().Get("part") == "text" || m.HTML == "" {
		page.Part = "text"
	}
	// Links open in the whole window, as they would from a mail. The second
	// doctype, where the mail has one, is ignored by every parser; its html,
	// head and body continue these.
	page.Frame = `<!doctype html><base target="_top">` + m.HTML
	page.Pictures = strings.Contains(strings.ToLower(m.HTML), `src="http`)
	s.show(w, r, http.StatusOK, "mail.html", page)
}

// Moment is the mail's time in full.
func (r reading) Moment() string { return r.At.Local().Format("Monday 2 January 2006, 15:04:05 MST") }

var address = regexp.MustCompile(`https?://[^\s<>"]+`)

// linked is the text part with its addresses as links.
func linked(text string) template.HTML {
	var b strings.Builder
	rest := 0
	for _, at := range address.FindAllStringIndex(text, -1) {
		link := strings.TrimRight(text[at[0]:at[1]], ".,;:!?)")
		b.WriteString(html.EscapeString(text[rest:at[0]]))
		b.WriteString(`<a href="` + html.EscapeString(link) + `" rel="noreferrer">` + html.EscapeString(link) + `</a>`)
		rest = at[0] + len(link)
	}
	b.WriteString(html.EscapeString(text[rest:]))
	return template.HTML(b.String())
}

func (s *Service) show(w http.ResponseWriter, r *http.Request, status int, name string, page any) {
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, name, page); err != nil {
		s.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // a mail's id is nobody's business
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}

func (s *Service) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.opts.Log.ErrorContext(r.Context(), "the mailbox was not read", "error", err)
	http.Error(w, "The mailbox could not be read. The log of Memberkey says why.", http.StatusInternalServerError)
}

// count writes a number with its thousands apart.
func count(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// words are an outcome as people read it.
func words(outcome string) string { return strings.ReplaceAll(outcome, "_", " ") }

// unhurt says that an outcome needs no mention.
func unhurt(outcome string) bool { return outcome == "delivered" }
