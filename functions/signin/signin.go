// Package signin is the member portal but for the pages of links: sign in and
// out, ask for a link, change the password, the front page, and acting for a
// related profile.
//
// No page here has a form token that could run out: a POST from another site
// is refused by where it comes from (httpapi.Page), by the organization's
// configured address. No page takes an address to go on to, so none can be led
// elsewhere (A19).
package signin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/memberkey/memberkey/functions"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/pages"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/session"
	"github.com/memberkey/memberkey/shared/store"
)

// Function answers the routes below /portal/{org} but set-password.
type Function struct {
	Sessions      *session.Service
	Organizations pages.Organizations
	Rand          io.Reader // of the passphrase that is offered
}

// New makes the function.
func New(b functions.Base, h *password.Hasher) *Function {
	return &Function{
		Sessions: &session.Service{
			Store: store.For[session.Tx](b.Store), Passwords: b.Credentials(h), Bells: b.Bells,
			Now: b.Now, Rand: b.Rand, NewID: b.NewID, Again: b.Timing.Again, Log: b.Log,
		},
		Organizations: b.Store, Rand: b.Rand,
	}
}

// Routes are the function's, with HEAD beside every GET.
func (f *Function) Routes() httpapi.Routes {
	routes := httpapi.Routes{
		"GET /portal/{org}":               httpapi.Page(f.front),
		"GET /portal/{org}/sign-in":       httpapi.Page(f.signInPage),
		"POST /portal/{org}/sign-in":      httpapi.Page(f.signIn),
		"POST /portal/{org}/sign-out":     httpapi.Page(f.signOut),
		"POST /portal/{org}/switch":       httpapi.Page(f.switchTo),
		"GET /portal/{org}/forgot-login":  httpapi.Page(f.forgotPage),
		"POST /portal/{org}/forgot-login": httpapi.Page(f.forgot),
		"GET /portal/{org}/password":      httpapi.Page(f.passwordPage),
		"POST /portal/{org}/password":     httpapi.Page(f.changePassword),
	}
	for _, page := range []string{"", "/sign-in", "/forgot-login", "/password"} {
		routes["HEAD /portal/{org}"+page] = routes["GET /portal/{org}"+page]
	}
	return routes
}

// Handler makes one handler of the routes; c needs no more than a log.
func (f *Function) Handler(c httpapi.Config) httpapi.Handler {
	return f.Routes().Handler(pages.Configure(c, f.Organizations))
}

// Places of the portal.
func front(org string) string      { return "/portal/" + org }
func signInAt(org string) string   { return front(org) + "/sign-in" }
func passwordAt(org string) string { return front(org) + "/password" }

func (f *Function) signInPage(ctx context.Context, r httpapi.PageRequest) (httpapi.PageReply, error) {
	who, err := f.who(ctx, r)
	if err == nil {
		return httpapi.PageReply{Location: home(who)}, nil
	}
	if !errors.Is(err, session.SignedOut) {
		return httpapi.PageReply{}, err
	}
	settings, err := f.Organizations.Organization(ctx, r.Organization)
	if err != nil {
		return httpapi.PageReply{}, err
	}
	return pages.Reply(settings, 0, &pages.SignIn{KeepDays: settings.KeepSignedInDays, SignedOut: r.Query["signed-out"] != ""}), nil
}

// home is where a member begins.
func home(who *session.Who) string {
	if who.Session.MustChange {
		return passwordAt(who.Organization.ID)
	}
	return front(who.Organization.ID)
}

func (f *Function) signIn(ctx context.Context, r httpapi.PageRequest) (httpapi.PageReply, error) {
	settings, err := f.Organizations.Organization(ctx, r.Organization)
	if err != nil {
		return httpapi.PageReply{}, err
	}
	in, err := f.Sessions.SignIn(ctx, r.Organization, session.Attempt{
		Name: r.Form["username"], Password: password.NewPlain(r.Form["password"]), Keep: r.Form["keep"] != "",
		Device: cookie(r, settings, deviceCookie), Previous: cookie(r, settings, sessionCookie), From: r.IP,
	})
	if err == nil {
		reply := httpapi.PageReply{Location: front(r.Organization), Cookies: cookies(settings, in)}
		if in.MustChange {
			reply.Location = passwordAt(r.Organization)
		}
		return reply, nil
	}
	page := &pages.SignIn{Username: r.Form["username"], KeepDays: settings.KeepSignedInDays}
	status := http.StatusTooManyRequests
	switch {
	case errors.Is(err, session.Refused):
		page.Refused, status = true, http.StatusUnprocessableEntity
	case errors.Is(err, session.Waiting):
		page.Until, _ = problem.As(err).Extra["until"].(time.Time)
	case errors.Is(err, session.Locked):
		page.Locked = true
	default:
		return httpapi.PageReply{}, err
	}
	return pages.Reply(settings, status, page), nil
}

func (f *Function) signOut(ctx context.Context, r httpapi.PageRequest) (httpapi.PageReply, error) {
	settings, err := f.Organizations.Organization(ctx, r.Organization)
	if err != nil {
		return httpapi.PageReply{}, err
	}
	if err := f.Sessions.SignOut(ctx, r.Organization, cookie(r, settings, sessionCookie), r.IP); err != nil {
		return httpapi.PageReply{}, err
	}
	gone := set(settings, sessionCookie, "", time.Time{})
	gone.MaxAge = -1
	return httpapi.PageReply{Location: signInAt(r.Organization) + "?signed-out=1", Cookies: []*http.Cookie{gone}}, nil
}

func (f *Function) front(ctx context.Context, r httpapi.PageRequest) (httpapi.PageReply, error) {
	return f.signedIn(ctx, r, func(who *session.Who) (httpapi.PageReply, error) {
		others, err := f.Sessions.Switchable(ctx, who)
		if err != nil {
			return httpapi.PageReply{}, err
		}
		p := who.Profile
		page := &pages.Front{Name: p.Name(), Company: p.Company(), Username: p.Username, ProfileID: p.ID, LastSignIn: who.Session.Before}
		if who.ActingFor != nil {
			page.ActingFor = who.ActingFor.Name()
		}
		for _, other := range others {
			if who.ActingFor == nil || other.ID != who.ActingFor.ID {
				page.Others = append(page.Others, pages.Other{ID: other.ID, Name: other.Name()})
			}
		}
		return pages.Reply(who.Organization, 0, page), nil
	})
}

func (f *Function) switchTo(ctx context.Context, r httpapi.PageRequest) (httpapi.PageReply, error) {
	return f.signedIn(ctx, r, func(who *session.Who) (httpapi.PageReply, error) {
		if err := f.Sessions.Switch(ctx, who, profile.ID(r.Form["to"]), r.IP); err != nil {
			return httpapi.PageReply{}, err
		}
		return httpapi.PageReply{Location: front(r.Organization)}, nil
	})
}

func (f *Function) forgotPage(ctx context.Context, r httpapi.PageRequest) (httpapi.PageReply, error) {
	return f.forgotForm(ctx, r, 0)
}

func (f *Function) forgotForm(ctx context.Context, r httpapi.PageRequest, status int, reasons ...problem.Item) (httpapi.PageReply, error) {
	settings, err := f.Organizations.Organization(ctx, r.Organization)
	if err != nil {
		return httpapi.PageReply{}, err
	}
	return pages.Reply(settings, status, &pages.ForgotLogin{Reasons: reasons}), nil
}

// nothingTyped is the one refusal of forgot login; it is the form's, not the
// name's.
var nothingTyped = problem.Item{Field: "login", Code: "login_missing", Detail: "The field is empty. Please type your email address."}

func (f *Function) forgot(ctx context.Context, r httpapi.PageRequest) (httpapi.PageReply, error) {
	if strings.TrimSpace(r.Form["login"]) == "" {
		return f.forgotForm(ctx, r, http.StatusUnprocessableEntity, nothingTyped)
	}
	settings, err := f.Organizations.Organization(ctx, r.Organization)
	if err != nil {
		return httpapi.PageReply{}, err
	}
	if err := f.Sessions.Forgot(ctx, r.Organization, r.Form["login"], r.IP); err != nil {
		return httpapi.PageReply{}, err
	}
	return pages.Reply(settings, 0, &pages.ForgotAnswer{}), nil
}

func (f *Function) passwordPage(ctx context.Context, r httpapi.PageRequest) (httpapi.PageReply, error) {
	return f.reach(ctx, r, func(who *session.Who) (httpapi.PageReply, error) {
		return f.passwordForm(who, password.Plain{}, nil)
	})
}

func (f *Function) changePassword(ctx context.Context, r httpapi.PageRequest) (httpapi.PageReply, error) {
	return f.reach(ctx, r, func(who *session.Who) (httpapi.PageReply, error) {
		fresh, again := password.NewPlain(r.Form["password"]), password.NewPlain(r.Form["again"])
		if suggested := password.NewPlain(r.Form["suggested"]); fresh.IsZero() && !suggested.IsZero() {
			return f.passwordForm(who, suggested, nil) // "Use this one", without JavaScript
		}
		if !fresh.Equal(again) {
			return f.passwordForm(who, password.Plain{}, []problem.Item{pages.Different})
		}
		settings := who.Organization
		in, err := f.Sessions.ChangePassword(ctx, who, cookie(r, settings, sessionCookie), cookie(r, settings, deviceCookie), password.NewPlain(r.Form["current"]), fresh, r.IP)
		if err == nil {
			reply := pages.Reply(settings, 0, &pages.PasswordChanged{})
			reply.Cookies = cookies(settings, in)
			return reply, nil
		}
		switch {
		case errors.Is(err, session.Waiting), errors.Is(err, session.Locked):
			return f.passwordForm(who, password.Plain{}, []problem.Item{{Field: "current", Code: problem.CodeOf(err), Detail: problem.As(err).Detail}})
		case errors.Is(err, session.Refused), errors.Is(err, credential.LoginChanged), errors.Is(err, credential.LoginDisabled):
			return httpapi.PageReply{Location: signInAt(r.Organization)}, nil // the login has changed meanwhile
		}
		reasons := pages.Reasons(err, "current", "password")
		if reasons == nil {
			return httpapi.PageReply{}, err
		}
		return f.passwordForm(who, password.Plain{}, reasons)
	})
}

// passwordForm is the page to change the password; suggested is filled in.
func (f *Function) passwordForm(who *session.Who, suggested password.Plain, reasons []problem.Item) (httpapi.PageReply, error) {
	page := &pages.ChangePassword{
		Username: who.Profile.Username, Must: who.Session.MustChange,
		NewPassword: pages.NewPassword{
			Policy:     credential.PolicyOf(who.Organization, who.Profile, who.Profile.Username),
			Suggestion: suggested, Filled: !suggested.IsZero(), Reasons: reasons,
		},
	}
	var err error
	if !page.Filled {
		if page.Suggestion, err = password.Generate(f.Rand, who.Organization.MinimumPassword); err != nil {
			return httpapi.PageReply{}, fmt.Errorf("signin: %w", err)
		}
	}
	status := 0
	if len(reasons) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return pages.Reply(who.Organization, status, page), nil
}

// who tells who is signed in.
func (f *Function) who(ctx context.Context, r httpapi.PageRequest) (*session.Who, error) {
	settings, err := f.Organizations.Organization(ctx, r.Organization)
	if err != nil {
		return nil, err
	}
	return f.Sessions.Resolve(ctx, r.Organization, cookie(r, settings, sessionCookie))
}

// signedIn runs do for a member who is signed in and has a password of their
// own; others are sent where they get there.
func (f *Function) signedIn(ctx context.Context, r httpapi.PageRequest, do func(*session.Who) (httpapi.PageReply, error)) (httpapi.PageReply, error) {
	return f.reach(ctx, r, func(who *session.Who) (httpapi.PageReply, error) {
		if who.Session.MustChange {
			return httpapi.PageReply{Location: passwordAt(r.Organization)}, nil
		}
		return do(who)
	})
}

// reach is signedIn for the one page that a password given by staff opens.
func (f *Function) reach(ctx context.Context, r httpapi.PageRequest, do func(*session.Who) (httpapi.PageReply, error)) (httpapi.PageReply, error) {
	who, err := f.who(ctx, r)
	if err == nil {
		var reply httpapi.PageReply
		if reply, err = do(who); err == nil {
			return reply, nil
		}
	}
	if errors.Is(err, session.SignedOut) {
		return httpapi.PageReply{Location: signInAt(r.Organization)}, nil
	}
	return httpapi.PageReply{}, err
}

// Cookies by what they hold.
const (
	sessionCookie = "session"
	deviceCookie  = "device"
)

// name is the cookie's: over https one that browsers take from https alone
// (RFC 6265bis §4.1.3.1).
func name(settings *organization.Settings, cookie string) string {
	if secure(settings) {
		return "__Secure-" + cookie
	}
	return cookie
}

// secure is decided by the configured address, never by a header (A2).
func secure(settings *organization.Settings) bool {
	return strings.HasPrefix(settings.PortalAddress, "https://")
}

func cookie(r httpapi.PageRequest, settings *organization.Settings, cookie string) session.Token {
	return session.NewToken(r.Cookies[name(settings, cookie)])
}

// set makes a cookie of one organization's portal; zero ends is with the browser.
func set(settings *organization.Settings, cookie, value string, ends time.Time) *http.Cookie {
	return &http.Cookie{
		Name: name(settings, cookie), Value: value, Path: front(settings.ID), Expires: ends,
		Secure: secure(settings), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

func cookies(settings *organization.Settings, in *session.SignedIn) []*http.Cookie {
	ends := time.Time{}
	if in.Kept {
		ends = in.Ends
	}
	return []*http.Cookie{
		set(settings, sessionCookie, in.Token.Reveal(), ends),
		set(settings, deviceCookie, in.Device.Reveal(), in.DeviceEnds),
	}
}
