package profiles

import (
	"bytes"
	"context"
	"encoding/csv"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/directory"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// find is a quick search, or the list with its filters.
type find struct {
	paging
	Search       string   `query:"search"`
	Status       []string `query:"status"`
	Type         string   `query:"type"`
	Relationship string   `query:"relationship"`
	Email        string   `query:"email"`
	Login        string   `query:"login"`
	MayEnter     *bool    `query:"mayEnter"`
	Scope        string   `query:"scope"`
	Profiles     []string `query:"profiles"`
	Count        bool     `query:"count"`
}

func (in find) filter() profile.Filter {
	f := profile.Filter{
		Type: profile.Type(in.Type), Relationship: in.Relationship, Email: in.Email, Login: in.Login, MayEnter: in.MayEnter, Scope: in.Scope,
	}
	for _, s := range in.Status {
		f.Status = append(f.Status, profile.Status(s))
	}
	for _, id := range in.Profiles {
		f.Profiles = append(f.Profiles, profile.ID(id))
	}
	return f
}

// hits is a page of profiles. Without a search, read and found count this
// page; their sums are totals "so far" until there is no cursor.
type hits struct {
	Profiles []profile.Hit  `json:"profiles"`
	Cursor   httpapi.Cursor `json:"cursor,omitempty"`
	// Wider: what is left of a search are only profiles that hold the words
	// apart, or as mere beginnings.
	Wider bool `json:"wider,omitempty"`
	Read  *int `json:"read,omitempty"`
	Found *int `json:"found,omitempty"`
}

func (f *Function) list(ctx context.Context, c httpapi.Caller, in find) (hits, error) {
	if strings.TrimSpace(in.Search) == "" {
		page, err := f.page(ctx, c.Organization, in)
		return hits{Profiles: page.Profiles, Cursor: httpapi.Cursor(page.Cursor), Read: &page.Read, Found: &page.Found}, err
	}
	if !in.filter().Empty() || in.Count {
		return hits{}, problem.New(problem.Invalid, "search_with_filter", "search", "A quick search cannot be narrowed by a filter, or counted. Please leave one of them out.")
	}
	page, err := f.Directory.Search(ctx, c.Organization, in.Search, string(in.Cursor), in.limit())
	return hits{Profiles: page.Hits, Cursor: httpapi.Cursor(page.Cursor), Wider: page.Wider}, err
}

func (f *Function) page(ctx context.Context, org string, in find) (directory.Listed, error) {
	if in.Count {
		return f.Directory.Count(ctx, org, in.filter(), string(in.Cursor))
	}
	return f.Directory.List(ctx, org, in.filter(), string(in.Cursor), in.limit())
}

type oneList struct {
	one
	paging
}

type related struct {
	Profiles []directory.RelatedProfile `json:"profiles"`
	Cursor   httpapi.Cursor             `json:"cursor,omitempty"`
}

func (f *Function) related(ctx context.Context, c httpapi.Caller, in oneList) (related, error) {
	page, err := f.Directory.Related(ctx, c.Organization, in.ID, profile.ID(in.Cursor), in.limit())
	return related{Profiles: page.Profiles, Cursor: httpapi.Cursor(page.Cursor)}, err
}

type profileTrail struct {
	Entries []activity.Entry `json:"entries"`
	Mails   []directory.Mail `json:"mails"`
	Cursor  httpapi.Cursor   `json:"cursor,omitempty"`
}

func (f *Function) profileActivity(ctx context.Context, c httpapi.Caller, in oneList) (profileTrail, error) {
	page, err := f.Directory.ProfileActivity(ctx, c.Organization, in.ID, string(in.Cursor), in.limit())
	return profileTrail{Entries: page.Entries, Mails: page.Mails, Cursor: httpapi.Cursor(page.Cursor)}, err
}

type trailList struct {
	paging
	Profile profile.ID `query:"profile"`
	Actor   string     `query:"actor"`
	Kind    string     `query:"kind"`
	From    string     `query:"from"`
	To      string     `query:"to"`
	Format  string     `query:"format"`
}

type trail struct {
	Entries []activity.Entry `json:"entries"`
	Cursor  httpapi.Cursor   `json:"cursor,omitempty"`
}

// activity answers with JSON, or with a table where format=csv asks for one.
func (f *Function) activity(ctx context.Context, c httpapi.Caller, in trailList) (any, error) {
	if in.Format != "" && in.Format != "json" && in.Format != "csv" {
		return nil, problem.New(problem.Invalid, "format_invalid", "format", "The format must be json or csv.")
	}
	q := directory.TrailQuery{Profile: in.Profile, Actor: in.Actor, Kind: activity.Kind(in.Kind), From: in.From, To: in.To}
	page, err := f.Directory.Activity(ctx, c.Organization, q, string(in.Cursor), in.limit())
	if err != nil {
		return nil, err
	}
	if in.Format != "csv" {
		return trail{Entries: page.Entries, Cursor: httpapi.Cursor(page.Cursor)}, nil
	}
	body, err := table(page.Entries)
	return httpapi.CSV{Name: "activity.csv", Body: body, Next: httpapi.EncodeCursor(page.Cursor)}, err
}

// table writes entries as CSV whose cells a spreadsheet takes for text.
func table(entries []activity.Entry) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.Write([]string{"time", "actor kind", "actor", "actor name", "from", "kind", "profile", "acting for", "mailing", "detail"}); err != nil {
		return nil, err
	}
	for _, e := range entries {
		row := []string{
			e.At.UTC().Format(time.RFC3339Nano), string(e.Actor.Kind), e.Actor.ID, e.Actor.Name, e.Actor.From,
			string(e.Kind), e.Profile, e.ActingFor, e.Mailing, inWords(e.Detail),
		}
		for i := range row {
			row[i] = profile.SafeCell(row[i])
		}
		if err := w.Write(row); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// inWords tells a detail in one cell, always in the same order.
func inWords(detail map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(detail)) {
		parts = append(parts, name+": "+detail[name])
	}
	return strings.Join(parts, "; ")
}
