package pages

import (
	"context"

	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/organization"
)

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
		return Render(settings, &Error{Status: e.Status, Detail: e.Detail, RequestID: e.RequestID})
	}
	return c
}
