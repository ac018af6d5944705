package mailing

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// Kinds of saved things, as the store names them.
const (
	SavedTemplates = "templates"
	SavedFilters   = "audiences"
)

const (
	maxSaved = 200 // of a kind, in an organization
	maxTitle = 100 // characters
)

// Template is a saved message. Using one copies it: later edits of the
// template change no mailing.
type Template struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
	Name    string `json:"name"`
	Subject string `json:"subject"`
	HTML    string `json:"html"`
	// ReadOnly marks those that come with Memberkey.
	ReadOnly  bool           `json:"readOnly,omitempty"`
	UpdatedAt time.Time      `json:"updatedAt,omitzero"`
	UpdatedBy activity.Actor `json:"updatedBy,omitzero"`
}

// SavedAudience is a saved filter; it is evaluated when an audience is frozen.
type SavedAudience struct {
	ID        string         `json:"id"`
	Version   int            `json:"version"`
	Name      string         `json:"name"`
	Filter    profile.Filter `json:"filter"`
	ReadOnly  bool           `json:"readOnly,omitempty"`
	UpdatedAt time.Time      `json:"updatedAt,omitzero"`
	UpdatedBy activity.Actor `json:"updatedBy,omitzero"`
}

var mayEnter = true

// shipped come with Memberkey: the mail that most organizations send first
// (P22), and whom they send it to (N8).
var (
	shippedTemplates = []*Template{{
		ID: "create-your-login", Version: 1, ReadOnly: true, Name: "Create your login",
		Subject: "Your login for the [[ASSOCIATION]] members' area",
		HTML: `<p>Dear [[NAME]],</p>` +
			`<p>[[ASSOCIATION]] has a members' area, and you can now create your own login for it. ` +
			`Your username stands below; please choose a password that only you know.</p>` +
			`<p>[[PORTALLOGINLINK]]</p>` +
			`<p>Did you not expect this mail? Then you need do nothing: nothing has changed.</p>` +
			`<p>Kind regards,<br>[[ASSOCIATION]]</p>`,
	}}
	shippedAudiences = []*SavedAudience{{
		ID: "may-sign-in-without-password", Version: 1, ReadOnly: true, Name: "Everyone who may sign in and has no password",
		Filter: profile.Filter{Login: profile.LoginNoPassword, MayEnter: &mayEnter},
	}}
)

// Templates lists the saved messages, those that come with Memberkey first.
func (d *Desk) Templates(ctx context.Context, org string) ([]*Template, error) {
	own, err := d.Store.Templates(ctx, org)
	return append(append([]*Template{}, shippedTemplates...), own...), err
}

// Template reads one.
func (d *Desk) Template(ctx context.Context, org, id string) (*Template, error) {
	for _, t := range shippedTemplates {
		if t.ID == id {
			return t, nil
		}
	}
	var t Template
	found, err := d.Store.Saved(ctx, org, SavedTemplates, id, &t)
	if err == nil && !found {
		err = errNoTemplate
	}
	return &t, err
}

// SaveTemplate makes a template where id is empty, or changes one of which the
// caller saw version.
func (d *Desk) SaveTemplate(ctx context.Context, org string, by activity.Actor, id string, version int, t Template) (*Template, error) {
	var faults []problem.Item
	t.Name = checkTitle(t.Name, &faults)
	if _, err := d.compile(t.Subject, t.HTML); err != nil {
		faults = append(faults, itemsOf(err)...)
	}
	if err := problem.Several(problem.Invalid, faults); err != nil {
		return nil, err
	}
	for _, s := range shippedTemplates {
		if s.ID == id {
			return nil, errReadOnly
		}
	}
	room := func() (int, error) {
		all, err := d.Store.Templates(ctx, org)
		return len(all), err
	}
	save := func(tx Tx, newID string, now time.Time) error {
		t.ID, t.Version, t.ReadOnly, t.UpdatedAt, t.UpdatedBy = newID, 1, false, now, by
		if id != "" {
			var old Template
			if found, err := tx.Saved(org, SavedTemplates, id, &old); err != nil || !found {
				return orMissing(err, errNoTemplate)
			}
			if old.Version != version {
				return problem.VersionStale(old.Version, changedFields(map[string]bool{"name": old.Name != t.Name, "subject": old.Subject != t.Subject, "html": old.HTML != t.HTML}))
			}
			t.Version = old.Version + 1
		}
		tx.PutSaved(org, SavedTemplates, t.ID, &t)
		return nil
	}
	return &t, d.save(ctx, id, room, save)
}

// DeleteTemplate removes one; mailings made of it stay as they are.
func (d *Desk) DeleteTemplate(ctx context.Context, org, id string, version int) error {
	if _, shipped := find(shippedTemplates, func(t *Template) bool { return t.ID == id }); shipped {
		return errReadOnly
	}
	return d.Store.Update(ctx, func(tx Tx) error {
		var old Template
		if found, err := tx.Saved(org, SavedTemplates, id, &old); err != nil || !found {
			return orMissing(err, errNoTemplate)
		}
		if old.Version != version {
			return problem.VersionStale(old.Version, nil)
		}
		tx.DeleteSaved(org, SavedTemplates, id)
		return nil
	})
}

// SavedAudiences lists the saved filters, those that come with Memberkey first.
func (d *Desk) SavedAudiences(ctx context.Context, org string) ([]*SavedAudience, error) {
	own, err := d.Store.SavedAudiences(ctx, org)
	return append(append([]*SavedAudience{}, shippedAudiences...), own...), err
}

// SavedAudience reads one.
func (d *Desk) SavedAudience(ctx context.Context, org, id string) (*SavedAudience, error) {
	if a, shipped := find(shippedAudiences, func(a *SavedAudience) bool { return a.ID == id }); shipped {
		return a, nil
	}
	var a SavedAudience
	found, err := d.Store.Saved(ctx, org, SavedFilters, id, &a)
	if err == nil && !found {
		err = errNoAudience
	}
	return &a, err
}

// SaveAudience makes a saved filter where id is empty, or changes one of which
// the caller saw version.
func (d *Desk) SaveAudience(ctx context.Context, org string, by activity.Actor, id string, version int, a SavedAudience) (*SavedAudience, error) {
	var faults []problem.Item
	a.Name = checkTitle(a.Name, &faults)
	if err := a.Filter.Validate(); err != nil {
		faults = append(faults, within("filter", err)...)
	}
	if err := problem.Several(problem.Invalid, faults); err != nil {
		return nil, err
	}
	if _, shipped := find(shippedAudiences, func(s *SavedAudience) bool { return s.ID == id }); shipped {
		return nil, errReadOnly
	}
	room := func() (int, error) {
		all, err := d.Store.SavedAudiences(ctx, org)
		return len(all), err
	}
	save := func(tx Tx, newID string, now time.Time) error {
		a.ID, a.Version, a.ReadOnly, a.UpdatedAt, a.UpdatedBy = newID, 1, false, now, by
		if id != "" {
			var old SavedAudience
			if found, err := tx.Saved(org, SavedFilters, id, &old); err != nil || !found {
				return orMissing(err, errNoAudience)
			}
			if old.Version != version {
				return problem.VersionStale(old.Version, changedFields(map[string]bool{"name": old.Name != a.Name, "filter": !sameFilter(old.Filter, a.Filter)}))
			}
			a.Version = old.Version + 1
		}
		tx.PutSaved(org, SavedFilters, a.ID, &a)
		return nil
	}
	return &a, d.save(ctx, id, room, save)
}

// DeleteAudience removes a saved filter; mailings made with it stay as they are.
func (d *Desk) DeleteAudience(ctx context.Context, org, id string, version int) error {
	if _, shipped := find(shippedAudiences, func(a *SavedAudience) bool { return a.ID == id }); shipped {
		return errReadOnly
	}
	return d.Store.Update(ctx, func(tx Tx) error {
		var old SavedAudience
		if found, err := tx.Saved(org, SavedFilters, id, &old); err != nil || !found {
			return orMissing(err, errNoAudience)
		}
		if old.Version != version {
			return problem.VersionStale(old.Version, nil)
		}
		tx.DeleteSaved(org, SavedFilters, id)
		return nil
	})
}

// save stores a saved thing: under id, or as a new one where that is empty and
// there is room.
func (d *Desk) save(ctx context.Context, id string, count func() (int, error), put func(tx Tx, id string, now time.Time) error) error {
	now := d.now()
	if id == "" {
		n, err := count()
		if err != nil {
			return err
		}
		if n >= maxSaved {
			return problem.Newf(problem.Refused, "saved_too_many", "", "There are %d of these already, which is the most. Please delete one that nobody needs.", maxSaved)
		}
		id = d.NewID(now)
	}
	return d.Store.Update(ctx, func(tx Tx) error { return put(tx, id, now) })
}

// Fields lists the special fields of the editor's dropdown.
func (d *Desk) Fields() []message.Field { return message.Fields() }

func checkTitle(name string, faults *[]problem.Item) string {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n == 0 || n > maxTitle || strings.ContainsAny(name, "\x00\r\n\t") {
		*faults = append(*faults, problem.Item{Field: "name", Code: "name_invalid", Detail: fmt.Sprintf("The name must be one line of 1 to %d characters.", maxTitle)})
	}
	return name
}

func find[T any](all []T, is func(T) bool) (one T, found bool) {
	for _, v := range all {
		if is(v) {
			return v, true
		}
	}
	return one, false
}

func orMissing(err, missing error) error {
	if err != nil {
		return err
	}
	return missing
}
