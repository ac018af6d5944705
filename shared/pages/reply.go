package pages

import (
	"context"
	"errors"
	"slices"

	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
)

// Different is the reason when a new password was typed in two ways.
var Different = problem.Item{Field: "again", Code: "password_mismatch", Detail: "The two passwords are not the same. Please type the new password into both fields once more."}

// Reply is a page as the answer to a request; status 0 is 200.
func Reply(settings *organization.Settings, status int, p Page) httpapi.PageReply {
	return httpapi.PageReply{Status: status, HTML: Render(settings, p), Logo: Logo(settings, p)}
}

// Organizations reads settings.
type Organizations interface {
	// Organization answers a not-found problem where there is none.
	Organization(ctx context.Context, id string) (*organization.Settings, error)
}

// Configure gives the routes of a function what pages need: the policy's
// hashes, the organization's configured origin, and error pages in its name.
func Configure(c httpapi.Config, from Organizations) httpapi.Config {
	c.InlineStyles, c.InlineScripts = Styles(), Scripts()
	c.Origin = func(ctx context.Context, id string) (string, error) {
		settings, err := from.Organization(ctx, id)
		if err != nil {
			return "", err
		}
		return settings.PortalAddress, nil
	}
	c.ErrorPage = func(ctx context.Context, e httpapi.ErrorPage) []byte {
		var settings *organization.Settings
		if e.Organization != "" {
			// A store that fails here has failed before: the page does without.
			settings, _ = from.Organization(ctx, e.Organization)
		}
		return Render(settings, &Error{Status: e.Status, Code: e.Code, Detail: e.Detail, RequestID: e.RequestID})
	}
	return c
}

// Reasons are the faults that a form can show beside its inputs; nil where err
// is of another kind, or of a field that the form has not.
func Reasons(err error, fields ...string) []problem.Item {
	p, ok := errors.AsType[*problem.Problem](err)
	if !ok {
		return nil
	}
	items := p.Problems
	if len(items) == 0 {
		items = []problem.Item{{Field: p.Field, Code: p.Code, Detail: p.Detail}}
	}
	for _, item := range items {
		if !slices.Contains(fields, item.Field) {
			return nil
		}
	}
	return items
}
