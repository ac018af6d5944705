// Package profiles is the function with which staff find, read, create, edit
// and import profiles, look into the audit trail and settle how the
// organization works. It is thin: shared/directory does the work, and
// shared/credential ends and restores logins without any access to hashes.
package profiles

import (
	"context"
	"net/url"

	"github.com/memberkey/memberkey/functions"
	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/directory"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

// Function answers the routes of profiles.
type Function struct {
	Directory *directory.Service
	Logins    *credential.Logins
	// SignIn is what the console needs to sign staff in.
	SignIn SignIn
}

// New makes the function; unsuppress takes an address off the mail service's
// list of those that it no longer mails.
func New(b functions.Base, signIn SignIn, unsuppress func(ctx context.Context, address string) error) *Function {
	return &Function{
		Directory: &directory.Service{
			Store: store.For[directory.Tx](b.Store), Mailings: b.Mail(), Bells: b.Bells,
			Now: b.Now, Rand: b.Rand, NewID: b.NewID, Again: b.Timing.Again, Unsuppress: unsuppress, Log: b.Log,
		},
		Logins: &credential.Logins{
			Store: store.For[credential.LoginTx](b.Store), Bells: b.Bells,
			Now: b.Now, Rand: b.Rand, NewID: b.NewID, Again: b.Timing.Again, Log: b.Log,
		},
		SignIn: signIn,
	}
}

// SignIn tells the console where staff sign in. Nothing of it is secret.
type SignIn struct {
	Issuer   string `json:"issuer"` // of the access tokens (OpenID Connect Discovery 1.0)
	ClientID string `json:"clientId"`
}

// Routes are the function's routes.
func (f *Function) Routes() httpapi.Routes {
	view, edit, control := organization.ViewProfiles, organization.EditProfiles, organization.ControlLogins
	return httpapi.Routes{
		"GET /api/me":      httpapi.Staff("", f.me),
		"GET /api/sign-in": httpapi.Public(f.signIn),

		"GET /api/profiles":                       httpapi.Staff(view, f.list),
		"POST /api/profiles":                      httpapi.Staff(edit, f.create),
		"GET /api/profiles/{id}":                  httpapi.Staff(view, f.read),
		"PATCH /api/profiles/{id}":                httpapi.Staff(edit, f.edit),
		"GET /api/profiles/{id}/related":          httpapi.Staff(view, f.related),
		"GET /api/profiles/{id}/activity":         httpapi.Staff(view, f.profileActivity),
		"POST /api/profiles/{id}/disable":         httpapi.Staff(control, f.login((*credential.Logins).Disable)),
		"POST /api/profiles/{id}/enable":          httpapi.Staff(control, f.login((*credential.Logins).Enable)),
		"POST /api/profiles/{id}/sign-out":        httpapi.Staff(control, f.login((*credential.Logins).SignOutEverywhere)),
		"POST /api/profiles/{id}/unlock":          httpapi.Staff(control, f.login((*credential.Logins).Unlock)),
		"POST /api/profiles/{id}/release-address": httpapi.Staff(edit, f.release),

		"POST /api/profile-imports": httpapi.Staff(edit, f.load).Limit(httpapi.ImportLimit),
		"GET /api/activity":         httpapi.Staff(view, f.activity),
		"GET /api/organization":     httpapi.Staff(view, f.settings),
		"PUT /api/organization":     httpapi.Staff(organization.EditSettings, f.editSettings),
	}
}

// by is the caller as the audit trail names one.
func by(c httpapi.Caller) activity.Actor {
	return activity.Actor{Kind: activity.Staff, ID: c.Subject, Name: c.Name, From: c.IP}
}

// Me is who is signed in, and what they may do.
type Me struct {
	Subject      string                    `json:"subject"`
	Name         string                    `json:"name"`
	Organization Organization              `json:"organization"`
	Role         string                    `json:"role"`
	Permissions  []organization.Permission `json:"permissions"`
}

// Organization is the organization as the console's header shows it.
type Organization struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	LogoURL  string `json:"logoUrl"`
	TimeZone string `json:"timeZone"`
	Portal   string `json:"portal"` // address of the member pages
}

func (f *Function) me(ctx context.Context, c httpapi.Caller, _ struct{}) (Me, error) {
	s, err := f.Directory.Settings(ctx, c.Organization)
	if err != nil {
		return Me{}, err
	}
	return Me{
		Subject: c.Subject, Name: c.Name, Role: c.Role, Permissions: organization.Roles[c.Role],
		Organization: Organization{ID: s.ID, Name: s.Name, LogoURL: s.LogoURL, TimeZone: s.TimeZone, Portal: s.Portal("")},
	}, nil
}

func (f *Function) signIn(context.Context, struct{}) (SignIn, error) { return f.SignIn, nil }

// paging is the part of the input that all lists share.
type paging struct {
	Cursor httpapi.Cursor `query:"cursor"`
	Limit  *int           `query:"limit"`
}

// limit is 0 where none was sent; a limit of 0 that was sent is refused with
// the other impossible ones.
func (p paging) limit() int {
	switch {
	case p.Limit == nil:
		return 0
	case *p.Limit == 0:
		return -1
	}
	return *p.Limit
}

// one names the profile that a route is about.
type one struct {
	ID profile.ID `path:"id"`
}

func (f *Function) read(ctx context.Context, c httpapi.Caller, in one) (httpapi.Reply[*directory.View], error) {
	return versioned(f.Directory.Get(ctx, c.Organization, in.ID))
}

// versioned sends a profile with the version that an edit of it must name.
func versioned(v *directory.View, err error) (httpapi.Reply[*directory.View], error) {
	if err != nil {
		return httpapi.Reply[*directory.View]{}, err
	}
	return httpapi.Reply[*directory.View]{Body: v, ETag: httpapi.ETag(v.Version)}, nil
}

type creation struct {
	Key  httpapi.IdempotencyKey `header:"idempotency-key"`
	Body profile.Fields         `body:"json"`
}

func (f *Function) create(ctx context.Context, c httpapi.Caller, in creation) (httpapi.Reply[*directory.View], error) {
	reply, err := versioned(f.Directory.Create(ctx, by(c), c.Organization, string(in.Key), in.Body))
	if err == nil {
		reply.Status = 201
		reply.Location = "/api/profiles/" + url.PathEscape(string(reply.Body.ID))
	}
	return reply, err
}

// edition is an edit of a profile: what the body leaves out stays. With check
// nothing is changed, and the reply tells what the edit would do.
type edition struct {
	one
	Version httpapi.Version `header:"if-match"`
	Check   bool            `query:"check"`
	Body    profile.Fields  `body:"json"`
}

func (f *Function) edit(ctx context.Context, c httpapi.Caller, in edition) (httpapi.Reply[*directory.Edited], error) {
	if in.Check {
		// Without an ETag: what it shows is stored nowhere.
		edited, err := f.Directory.CheckEdit(ctx, by(c), c.Organization, in.ID, int(in.Version), in.Body)
		return httpapi.Reply[*directory.Edited]{Body: edited}, err
	}
	edited, err := f.Directory.Edit(ctx, by(c), c.Organization, in.ID, int(in.Version), in.Body)
	if err != nil {
		return httpapi.Reply[*directory.Edited]{}, err
	}
	return httpapi.Reply[*directory.Edited]{Body: edited, ETag: httpapi.ETag(edited.Version)}, nil
}

// login makes a route of one way to end or restore a login; the reply is the
// profile as it is then.
func (f *Function) login(do func(*credential.Logins, context.Context, activity.Actor, string, profile.ID) (*profile.Profile, error)) func(context.Context, httpapi.Caller, one) (httpapi.Reply[*directory.View], error) {
	return func(ctx context.Context, c httpapi.Caller, in one) (httpapi.Reply[*directory.View], error) {
		// What is no ID is refused before a key is made of it.
		if _, err := f.Directory.Get(ctx, c.Organization, in.ID); err != nil {
			return httpapi.Reply[*directory.View]{}, err
		}
		if _, err := do(f.Logins, ctx, by(c), c.Organization, in.ID); err != nil {
			return httpapi.Reply[*directory.View]{}, err
		}
		return f.read(ctx, c, in)
	}
}

func (f *Function) release(ctx context.Context, c httpapi.Caller, in one) (httpapi.Reply[*directory.View], error) {
	return versioned(f.Directory.ReleaseAddress(ctx, by(c), c.Organization, in.ID))
}

type upload struct {
	Check bool   `query:"check"`
	Body  []byte `body:"csv"`
}

func (f *Function) load(ctx context.Context, c httpapi.Caller, in upload) (*directory.Imported, error) {
	return f.Directory.Import(ctx, by(c), c.Organization, in.Body, in.Check)
}
