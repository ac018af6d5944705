package mailings

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/profile"
)

// Template is a saved message.
type Template struct {
	ID        string    `json:"id"`
	Version   int       `json:"version"`
	Name      string    `json:"name"`
	Subject   string    `json:"subject"`
	HTML      string    `json:"html"`
	ReadOnly  bool      `json:"readOnly"` // comes with Memberkey
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
	UpdatedBy string    `json:"updatedBy,omitempty"`
}

func shownTemplate(t *mailing.Template) Template {
	return Template{ID: t.ID, Version: t.Version, Name: t.Name, Subject: t.Subject, HTML: t.HTML, ReadOnly: t.ReadOnly, UpdatedAt: t.UpdatedAt, UpdatedBy: t.UpdatedBy.Name}
}

// Audience is a saved filter.
type Audience struct {
	ID        string         `json:"id"`
	Version   int            `json:"version"`
	Name      string         `json:"name"`
	Filter    profile.Filter `json:"filter"`
	ReadOnly  bool           `json:"readOnly"`
	UpdatedAt time.Time      `json:"updatedAt,omitzero"`
	UpdatedBy string         `json:"updatedBy,omitempty"`
}

func shownAudience(a *mailing.SavedAudience) Audience {
	return Audience{ID: a.ID, Version: a.Version, Name: a.Name, Filter: a.Filter, ReadOnly: a.ReadOnly, UpdatedAt: a.UpdatedAt, UpdatedBy: a.UpdatedBy.Name}
}

// saved sends a saved thing with its version, and with its place if it is new.
func saved[T any](body T, id string, version int, at string, isNew bool) httpapi.Reply[T] {
	reply := httpapi.Reply[T]{Body: body, ETag: httpapi.ETag(version)}
	if isNew {
		reply.Status, reply.Location = http.StatusCreated, at+url.PathEscape(id)
	}
	return reply
}

type versioned struct {
	ID      string          `path:"id"`
	Version httpapi.Version `header:"if-match"`
}

type templateBody struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	HTML    string `json:"html"`
}

type templateList struct {
	Templates []Template `json:"templates"`
}

func (f *Function) templates(ctx context.Context, c httpapi.Caller, _ struct{}) (templateList, error) {
	all, err := f.Desk.Templates(ctx, c.Organization)
	list := templateList{Templates: make([]Template, len(all))}
	for i, t := range all {
		list.Templates[i] = shownTemplate(t)
	}
	return list, err
}

func (f *Function) template(ctx context.Context, c httpapi.Caller, in one) (httpapi.Reply[Template], error) {
	t, err := f.Desk.Template(ctx, c.Organization, in.ID)
	if err != nil {
		return httpapi.Reply[Template]{}, err
	}
	return saved(shownTemplate(t), t.ID, t.Version, "", false), nil
}

func (f *Function) saveTemplate(ctx context.Context, c httpapi.Caller, id string, version int, b templateBody) (httpapi.Reply[Template], error) {
	t, err := f.Desk.SaveTemplate(ctx, c.Organization, by(c), id, version, mailing.Template{Name: b.Name, Subject: b.Subject, HTML: b.HTML})
	if err != nil {
		return httpapi.Reply[Template]{}, err
	}
	return saved(shownTemplate(t), t.ID, t.Version, "/api/templates/", id == ""), nil
}

func (f *Function) createTemplate(ctx context.Context, c httpapi.Caller, in struct {
	Body templateBody `body:"json"`
}) (httpapi.Reply[Template], error) {
	return f.saveTemplate(ctx, c, "", 0, in.Body)
}

func (f *Function) editTemplate(ctx context.Context, c httpapi.Caller, in struct {
	versioned
	Body templateBody `body:"json"`
}) (httpapi.Reply[Template], error) {
	return f.saveTemplate(ctx, c, in.ID, int(in.Version), in.Body)
}

func (f *Function) deleteTemplate(ctx context.Context, c httpapi.Caller, in versioned) (struct{}, error) {
	return struct{}{}, f.Desk.DeleteTemplate(ctx, c.Organization, in.ID, int(in.Version))
}

type audienceBody struct {
	Name   string         `json:"name"`
	Filter profile.Filter `json:"filter"`
}

type audienceList struct {
	Audiences []Audience `json:"audiences"`
}

func (f *Function) audiences(ctx context.Context, c httpapi.Caller, _ struct{}) (audienceList, error) {
	all, err := f.Desk.SavedAudiences(ctx, c.Organization)
	list := audienceList{Audiences: make([]Audience, len(all))}
	for i, a := range all {
		list.Audiences[i] = shownAudience(a)
	}
	return list, err
}

func (f *Function) savedAudience(ctx context.Context, c httpapi.Caller, in one) (httpapi.Reply[Audience], error) {
	a, err := f.Desk.SavedAudience(ctx, c.Organization, in.ID)
	if err != nil {
		return httpapi.Reply[Audience]{}, err
	}
	return saved(shownAudience(a), a.ID, a.Version, "", false), nil
}

func (f *Function) saveAudience(ctx context.Context, c httpapi.Caller, id string, version int, b audienceBody) (httpapi.Reply[Audience], error) {
	a, err := f.Desk.SaveAudience(ctx, c.Organization, by(c), id, version, mailing.SavedAudience{Name: b.Name, Filter: b.Filter})
	if err != nil {
		return httpapi.Reply[Audience]{}, err
	}
	return saved(shownAudience(a), a.ID, a.Version, "/api/audiences/", id == ""), nil
}

func (f *Function) createAudience(ctx context.Context, c httpapi.Caller, in struct {
	Body audienceBody `body:"json"`
}) (httpapi.Reply[Audience], error) {
	return f.saveAudience(ctx, c, "", 0, in.Body)
}

func (f *Function) editAudience(ctx context.Context, c httpapi.Caller, in struct {
	versioned
	Body audienceBody `body:"json"`
}) (httpapi.Reply[Audience], error) {
	return f.saveAudience(ctx, c, in.ID, int(in.Version), in.Body)
}

func (f *Function) deleteAudience(ctx context.Context, c httpapi.Caller, in versioned) (struct{}, error) {
	return struct{}{}, f.Desk.DeleteAudience(ctx, c.Organization, in.ID, int(in.Version))
}

type fieldList struct {
	Fields []message.Field `json:"fields"`
}

func (f *Function) fields(context.Context, httpapi.Caller, struct{}) (fieldList, error) {
	return fieldList{Fields: f.Desk.Fields()}, nil
}
