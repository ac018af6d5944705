// Package completion is the page of a link: a member sets the password with
// it, or asks for a fresh link from a dead one.
//
// Opening the page changes nothing, whoever opens it and however often; only a
// POST with an acceptable new password uses the link (H7). There is no form
// token that could run out: a POST from another site is refused by where it
// comes from (httpapi.Page), and whoever knows the address needs nobody's
// browser.
package completion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/memberkey/memberkey/functions"
	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/pages"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// Links opens and uses links; *credential.Service does.
type Links interface {
	OpenLink(ctx context.Context, org, token string) (*credential.Opened, error)
	SetByLink(ctx context.Context, org, token, username string, plain password.Plain, from activity.Actor) (*credential.Done, error)
	Renew(ctx context.Context, org, token string, from activity.Actor) error
}

// Function answers the routes below /portal/{org}/set-password.
type Function struct {
	Links         Links
	Organizations pages.Organizations
	Rand          io.Reader // of the passphrase that the page offers
}

// New makes the function.
func New(b functions.Base, h *password.Hasher) *Function {
	return &Function{Links: b.Credentials(h), Organizations: b.Store, Rand: b.Rand}
}

// Routes are the function's; HEAD is beside every GET, for mail scanners ask
// with it.
func (f *Function) Routes() httpapi.Routes {
	show := httpapi.Page(f.show)
	return httpapi.Routes{
		// An address that was cut off before its token is a cut-off link, too (H8).
		"GET /portal/{org}/set-password":                show,
		"HEAD /portal/{org}/set-password":               show,
		"GET /portal/{org}/set-password/{token}":        show,
		"HEAD /portal/{org}/set-password/{token}":       show,
		"POST /portal/{org}/set-password/{token}":       httpapi.Page(f.set),
		"POST /portal/{org}/set-password/{token}/renew": httpapi.Page(f.renew),
	}
}

// Handler makes one handler of the routes; c needs no more than a log.
func (f *Function) Handler(c httpapi.Config) httpapi.Handler {
	return f.Routes().Handler(pages.Configure(c, f.Organizations))
}

func (f *Function) show(ctx context.Context, r httpapi.PageRequest) (httpapi.PageReply, error) {
	return f.page(ctx, r, form{})
}

// form is what comes back to the page from a form that was refused.
type form struct {
	username  string
	suggested password.Plain
	reasons   []problem.Item
}

func (f *Function) set(ctx context.Context, r httpapi.PageRequest) (httpapi.PageReply, error) {
	typed := form{username: r.Form["username"], suggested: password.NewPlain(r.Form["suggested"])}
	plain, again := password.NewPlain(r.Form["password"]), password.NewPlain(r.Form["again"])
	if plain.IsZero() && !typed.suggested.IsZero() {
		return f.page(ctx, r, typed) // "Use this one", without JavaScript
	}
	if !plain.Equal(again) {
		typed.reasons = []problem.Item{pages.Different}
		return f.page(ctx, r, typed)
	}
	done, err := f.Links.SetByLink(ctx, r.Organization, r.Path["token"], typed.username, plain, from(r))
	if err == nil {
		settings, err := f.Organizations.Organization(ctx, r.Organization)
		if err != nil {
			return httpapi.PageReply{}, err
		}
		return pages.Reply(settings, 0, &pages.PasswordSet{Username: done.Username}), nil
	}
	if credential.LinkState(err) != "" {
		return f.page(ctx, r, form{}) // the state has a page of its own
	}
	if typed.reasons = pages.Reasons(err, "username", "password"); typed.reasons == nil {
		return httpapi.PageReply{}, err
	}
	return f.page(ctx, r, typed)
}

func (f *Function) renew(ctx context.Context, r httpapi.PageRequest) (httpapi.PageReply, error) {
	settings, err := f.Organizations.Organization(ctx, r.Organization)
	if err != nil {
		return httpapi.PageReply{}, err
	}
	if err := f.Links.Renew(ctx, r.Organization, r.Path["token"], from(r)); err != nil {
		return httpapi.PageReply{}, err
	}
	return pages.Reply(settings, 0, &pages.LinkRenewed{}), nil
}

// page shows a link as it is now, and the form with what was typed into it.
func (f *Function) page(ctx context.Context, r httpapi.PageRequest, typed form) (httpapi.PageReply, error) {
	o, err := f.Links.OpenLink(ctx, r.Organization, r.Path["token"])
	if err != nil {
		return httpapi.PageReply{}, err
	}
	token, _, _ := link.Parse(r.Path["token"])
	switch o.State {
	case link.Used:
		return pages.Reply(o.Settings, http.StatusGone, &pages.LinkUsed{At: o.UsedAt}), nil
	case link.Ended:
		return pages.Reply(o.Settings, http.StatusGone, &pages.LinkEnded{Token: token}), nil
	case link.NotAllowed:
		return pages.Reply(o.Settings, http.StatusForbidden, &pages.LinkNotAllowed{}), nil
	case link.Unknown:
		return pages.Reply(o.Settings, http.StatusNotFound, &pages.LinkUnknown{}), nil
	case link.Live, credential.Sample:
	default:
		return httpapi.PageReply{}, errors.New("completion: a link in no known state")
	}
	sample := o.State == credential.Sample
	if sample {
		typed = form{}
	}
	p := &pages.SetPassword{
		Token: token, Sample: sample, Name: o.Name, Company: o.OrganizationName, ProfileID: profile.ID(o.ProfileID), Ends: o.Ends,
		Username: o.Username, FromEmail: strings.Contains(o.Username, "@"), Choose: o.ChooseUsername, Names: o.Suggestions, NewPassword: pages.NewPassword{Policy: o.Policy, Reasons: typed.reasons},
	}
	if p.Choose {
		switch {
		case typed.username != "":
			p.Username = typed.username
		case len(p.Names) > 0:
			p.Username = p.Names[0]
		}
	}
	if p.Filled = !typed.suggested.IsZero(); p.Filled {
		p.Suggestion = typed.suggested
	} else if p.Suggestion, err = password.Generate(f.Rand, o.Policy.Minimum); err != nil {
		return httpapi.PageReply{}, fmt.Errorf("completion: %w", err)
	}
	status := 0
	if len(typed.reasons) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return pages.Reply(o.Settings, status, p), nil
}

func from(r httpapi.PageRequest) activity.Actor {
	return activity.Actor{Kind: activity.Member, From: r.IP}
}
