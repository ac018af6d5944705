// Package mailings is the function with which staff compose a mailing, count
// its audience, look at it, send it and follow it. It is thin: mailing.Desk
// does the work; counting and sending happen behind the queue (fanout,
// delivery).
//
// Composing, sending and revoking are permissions of their own.
package mailings

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/memberkey/memberkey/functions"
	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message/sanitizer"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// Function answers the routes of mailings.
type Function struct {
	Desk *mailing.Desk
}

// New makes the function.
func New(b functions.Base) *Function {
	return &Function{Desk: &mailing.Desk{
		Store: b.Mail(), Bells: b.Bells, Now: b.Now, NewID: b.NewID, Sanitize: sanitizer.HTML, Timing: b.Timing, Log: b.Log,
	}}
}

// Routes are the function's routes.
func (f *Function) Routes() httpapi.Routes {
	compose, send, revoke := organization.ComposeMailings, organization.SendMailings, organization.RevokeLinks
	return httpapi.Routes{
		"GET /api/mailings":         httpapi.Staff(compose, f.list),
		"POST /api/mailings":        httpapi.Staff(compose, f.create),
		"GET /api/mailings/{id}":    httpapi.Staff(compose, f.read),
		"PUT /api/mailings/{id}":    httpapi.Staff(compose, f.edit),
		"DELETE /api/mailings/{id}": httpapi.Staff(compose, f.delete),

		"POST /api/mailings/{id}/copy":          httpapi.Staff(compose, f.copy),
		"POST /api/mailings/{id}/audience":      httpapi.Staff(compose, f.freeze),
		"GET /api/mailings/{id}/audience":       httpapi.Staff(compose, f.audience),
		"POST /api/mailings/{id}/preview":       httpapi.Staff(compose, f.preview),
		"POST /api/mailings/{id}/test":          httpapi.Staff(compose, f.test),
		"POST /api/mailings/{id}/send":          httpapi.Staff(send, f.send),
		"POST /api/mailings/{id}/pause":         httpapi.Staff(send, f.state((*mailing.Desk).Pause)),
		"POST /api/mailings/{id}/resume":        httpapi.Staff(send, f.state((*mailing.Desk).Resume)),
		"POST /api/mailings/{id}/cancel":        httpapi.Staff(send, f.state((*mailing.Desk).Cancel)),
		"POST /api/mailings/{id}/revoke-links":  httpapi.Staff(revoke, f.state((*mailing.Desk).RevokeLinks)),
		"POST /api/mailings/{id}/resend-failed": httpapi.Staff(send, f.resendFailed),
		"POST /api/mailings/{id}/reminders":     httpapi.Staff(compose, f.reminders),
		"GET /api/mailings/{id}/recipients":     httpapi.Staff(compose, f.recipients),

		"GET /api/templates":         httpapi.Staff(compose, f.templates),
		"POST /api/templates":        httpapi.Staff(compose, f.createTemplate),
		"GET /api/templates/{id}":    httpapi.Staff(compose, f.template),
		"PUT /api/templates/{id}":    httpapi.Staff(compose, f.editTemplate),
		"DELETE /api/templates/{id}": httpapi.Staff(compose, f.deleteTemplate),
		"GET /api/audiences":         httpapi.Staff(compose, f.audiences),
		"POST /api/audiences":        httpapi.Staff(compose, f.createAudience),
		"GET /api/audiences/{id}":    httpapi.Staff(compose, f.savedAudience),
		"PUT /api/audiences/{id}":    httpapi.Staff(compose, f.editAudience),
		"DELETE /api/audiences/{id}": httpapi.Staff(compose, f.deleteAudience),
		"GET /api/special-fields":    httpapi.Staff(compose, f.fields),
	}
}

// by is the caller as the audit trail names one.
func by(c httpapi.Caller) activity.Actor {
	return activity.Actor{Kind: activity.Staff, ID: c.Subject, Name: c.Name, From: c.IP}
}

// Mailing is a mailing as it is shown. Who did something is told by name alone.
type Mailing struct {
	ID        string         `json:"id"`
	Version   int            `json:"version"`
	Subject   string         `json:"subject"`
	Audience  profile.Filter `json:"audience"`
	RemindsOf string         `json:"remindsOf,omitempty"`
	State     mailing.State  `json:"state"`
	// PauseReason tells why it paused by itself, waits, or lost its schedule.
	PauseReason string `json:"pauseReason,omitempty"`
	// Actions are what its state permits, by the last word of their route.
	Actions []mailing.Action `json:"actions"`

	CreatedAt      time.Time `json:"createdAt"`
	UpdatedAt      time.Time `json:"updatedAt"`
	SendAt         time.Time `json:"sendAt,omitzero"`
	SentAt         time.Time `json:"sentAt,omitzero"`
	DoneAt         time.Time `json:"doneAt,omitzero"`
	LinksRevokedAt time.Time `json:"linksRevokedAt,omitzero"`
	CreatedBy      string    `json:"createdBy"`
	SentBy         string    `json:"sentBy,omitempty"`

	// Mails and Profiles are those of the counted audience, 0 before.
	Mails    int `json:"mails"`
	Profiles int `json:"profiles"`
}

func shown(m *mailing.Mailing) Mailing {
	v := Mailing{
		ID: m.ID, Version: m.Version, Subject: m.Subject, Audience: m.Audience, RemindsOf: m.RemindsOf,
		State: m.State, PauseReason: m.PauseReason, Actions: m.Actions(),
		CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt, SendAt: m.SendAt, SentAt: m.SentAt, DoneAt: m.DoneAt, LinksRevokedAt: m.LinksRevokedAt,
		CreatedBy: m.CreatedBy.Name, SentBy: m.SentBy.Name,
	}
	if m.Freeze != nil {
		v.Mails, v.Profiles = m.Freeze.Mails, m.Freeze.Profiles
	}
	return v
}

// Whole is one mailing with its message and, once it was sent, its report.
type Whole struct {
	Mailing
	HTML string `json:"html"`
	// Complete says that it has a subject and a text, so that it can be frozen.
	Complete bool `json:"complete"`
	// Removed names what was taken out of the HTML by this very save.
	Removed []string        `json:"removed,omitempty"`
	Report  *mailing.Report `json:"report,omitempty"`
}

// whole sends a mailing with the version that an edit of it must name.
func (f *Function) whole(ctx context.Context, v *mailing.View, err error) (httpapi.Reply[*Whole], error) {
	if err != nil {
		return httpapi.Reply[*Whole]{}, err
	}
	w := &Whole{Mailing: shown(v.Mailing), HTML: v.HTML, Complete: v.Complete, Removed: v.Removed}
	if !v.SentAt.IsZero() {
		if w.Report, err = f.Desk.Report(ctx, v.Mailing); err != nil {
			return httpapi.Reply[*Whole]{}, err
		}
	}
	return httpapi.Reply[*Whole]{Body: w, ETag: httpapi.ETag(v.Version)}, nil
}

func (f *Function) made(ctx context.Context, v *mailing.View, err error) (httpapi.Reply[*Whole], error) {
	reply, err := f.whole(ctx, v, err)
	if err == nil {
		reply.Status, reply.Location = http.StatusCreated, "/api/mailings/"+url.PathEscape(reply.Body.ID)
	}
	return reply, err
}

type one struct {
	ID string `path:"id"`
}

const (
	listed = 50
	most   = 200
)

// size reads a limit: how many are listed where none was sent, and at most how
// many may be asked for.
func size(limit *int, usual, most int) (int, error) {
	switch {
	case limit == nil:
		return usual, nil
	case *limit < 1 || *limit > most:
		return 0, problem.Newf(problem.Invalid, "limit_invalid", "limit", "The limit must be 1 to %d.", most)
	}
	return *limit, nil
}

// List is a page of mailings, newest first.
type List struct {
	Mailings []Mailing      `json:"mailings"`
	Cursor   httpapi.Cursor `json:"cursor,omitempty"`
}

func (f *Function) list(ctx context.Context, c httpapi.Caller, in struct {
	Cursor httpapi.Cursor `query:"cursor"`
	Limit  *int           `query:"limit"`
}) (List, error) {
	limit, err := size(in.Limit, listed, most)
	if err != nil {
		return List{}, err
	}
	all, next, err := f.Desk.List(ctx, c.Organization, string(in.Cursor), limit)
	if err != nil {
		return List{}, err
	}
	page := List{Mailings: make([]Mailing, len(all)), Cursor: httpapi.Cursor(next)}
	for i, m := range all {
		page.Mailings[i] = shown(m)
	}
	return page, nil
}

// composed is what staff write. HTML may be large, and JSON escapes it.
type composed struct {
	Subject  *string         `json:"subject"`
	HTML     *string         `json:"html"`
	Audience *profile.Filter `json:"audience"`
}

func (c composed) edit() mailing.Edit { return mailing.Edit(c) }

func (f *Function) create(ctx context.Context, c httpapi.Caller, in struct {
	Key  httpapi.IdempotencyKey `header:"idempotency-key"`
	Body composed               `body:"json"`
}) (httpapi.Reply[*Whole], error) {
	v, err := f.Desk.Create(ctx, c.Organization, by(c), string(in.Key), in.Body.edit())
	return f.made(ctx, v, err)
}

func (f *Function) read(ctx context.Context, c httpapi.Caller, in one) (httpapi.Reply[*Whole], error) {
	v, err := f.Desk.Get(ctx, c.Organization, in.ID)
	return f.whole(ctx, v, err)
}

func (f *Function) edit(ctx context.Context, c httpapi.Caller, in struct {
	ID      string          `path:"id"`
	Version httpapi.Version `header:"if-match"`
	Body    composed        `body:"json"`
}) (httpapi.Reply[*Whole], error) {
	v, err := f.Desk.Edit(ctx, c.Organization, by(c), in.ID, int(in.Version), in.Body.edit())
	return f.whole(ctx, v, err)
}

func (f *Function) delete(ctx context.Context, c httpapi.Caller, in struct {
	ID      string          `path:"id"`
	Version httpapi.Version `header:"if-match"`
}) (struct{}, error) {
	return struct{}{}, f.Desk.Delete(ctx, c.Organization, by(c), in.ID, int(in.Version))
}

type keyed struct {
	ID  string                 `path:"id"`
	Key httpapi.IdempotencyKey `header:"idempotency-key"`
}

func (f *Function) copy(ctx context.Context, c httpapi.Caller, in keyed) (httpapi.Reply[*Whole], error) {
	v, err := f.Desk.Copy(ctx, c.Organization, by(c), string(in.Key), in.ID)
	return f.made(ctx, v, err)
}

func (f *Function) reminders(ctx context.Context, c httpapi.Caller, in keyed) (httpapi.Reply[*Whole], error) {
	v, err := f.Desk.Reminders(ctx, c.Organization, by(c), string(in.Key), in.ID)
	return f.made(ctx, v, err)
}

func (f *Function) freeze(ctx context.Context, c httpapi.Caller, in one) (httpapi.Reply[*mailing.Audience], error) {
	a, err := f.Desk.Freeze(ctx, c.Organization, by(c), in.ID)
	return httpapi.Reply[*mailing.Audience]{Status: http.StatusAccepted, Body: a}, err
}

func (f *Function) audience(ctx context.Context, c httpapi.Caller, in one) (*mailing.Audience, error) {
	return f.Desk.Audience(ctx, c.Organization, in.ID)
}

// Preview is a mail as one profile would get it; its link opens only the sample page.
type Preview struct {
	Subject string `json:"subject"`
	HTML    string `json:"html"`
	Text    string `json:"text"`
}

func (f *Function) preview(ctx context.Context, c httpapi.Caller, in struct {
	ID   string `path:"id"`
	Body struct {
		Profile profile.ID `json:"profile"`
	} `body:"json"`
}) (Preview, error) {
	mail, err := f.Desk.Preview(ctx, c.Organization, in.ID, in.Body.Profile)
	return Preview(mail), err
}

func (f *Function) test(ctx context.Context, c httpapi.Caller, in struct {
	ID   string `path:"id"`
	Body struct {
		Profile   profile.ID `json:"profile"`
		Addresses []string   `json:"addresses"`
	} `body:"json"`
}) (httpapi.Reply[struct{}], error) {
	err := f.Desk.Test(ctx, c.Organization, by(c), in.ID, in.Body.Profile, in.Body.Addresses)
	return httpapi.Reply[struct{}]{Status: http.StatusAccepted}, err
}

func (f *Function) send(ctx context.Context, c httpapi.Caller, in struct {
	ID   string `path:"id"`
	Body struct {
		// Version is that of the audience whose numbers were seen.
		Version int        `json:"version"`
		At      *time.Time `json:"at"`
	} `body:"json"`
}) (httpapi.Reply[*Whole], error) {
	var at time.Time
	if in.Body.At != nil {
		at = *in.Body.At
	}
	v, err := f.Desk.Send(ctx, c.Organization, by(c), in.ID, in.Body.Version, at)
	return f.whole(ctx, v, err)
}

// state makes the handler of an action that changes the state alone.
func (f *Function) state(do func(*mailing.Desk, context.Context, string, activity.Actor, string) (*mailing.View, error)) func(context.Context, httpapi.Caller, one) (httpapi.Reply[*Whole], error) {
	return func(ctx context.Context, c httpapi.Caller, in one) (httpapi.Reply[*Whole], error) {
		v, err := do(f.Desk, ctx, c.Organization, by(c), in.ID)
		return f.whole(ctx, v, err)
	}
}

func (f *Function) resendFailed(ctx context.Context, c httpapi.Caller, in one) (*mailing.Resent, error) {
	return f.Desk.ResendFailed(ctx, c.Organization, by(c), in.ID)
}

// recipientPage is a page of recipients with its cursor.
type recipientPage struct {
	*mailing.Rows
	Cursor httpapi.Cursor `json:"cursor,omitempty"`
}

const (
	rowsListed = 100
	rowsMost   = 1000
)

// recipients lists who was mailed and what became of it, as JSON or, with
// format=csv, as a table whose next page the header Next-Cursor names.
func (f *Function) recipients(ctx context.Context, c httpapi.Caller, in struct {
	ID      string         `path:"id"`
	Outcome string         `query:"outcome"`
	Format  string         `query:"format"`
	Cursor  httpapi.Cursor `query:"cursor"`
	Limit   *int           `query:"limit"`
}) (any, error) {
	usual, most := rowsListed, rowsMost
	switch in.Format {
	case "", "json":
	case "csv":
		usual, most = mailing.MaxRows, mailing.MaxRows
	default:
		return nil, problem.New(problem.Invalid, "format_invalid", "format", "The format must be json or csv.")
	}
	limit, err := size(in.Limit, usual, most)
	if err != nil {
		return nil, err
	}
	rows, err := f.Desk.Recipients(ctx, c.Organization, in.ID, mailing.Outcome(in.Outcome), string(in.Cursor), limit)
	if err != nil {
		return nil, err
	}
	if in.Format != "csv" {
		return recipientPage{rows, httpapi.Cursor(rows.Cursor)}, nil
	}
	body, err := rows.CSV()
	return httpapi.CSV{Name: "recipients.csv", Body: body, Next: httpapi.EncodeCursor(rows.Cursor)}, err
}
