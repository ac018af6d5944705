// Package credentials is the function with which staff read and change a
// profile's username and password, and find out why somebody cannot sign in.
//
//	GET    /api/profiles/{id}/credentials   what is to be seen (H2); its version as ETag
//	PUT    /api/profiles/{id}/credentials   username, password or both (H3), with If-Match
//	DELETE /api/profiles/{id}/credentials   remove the login (H5c), with If-Match
//	GET    /api/profiles/{id}/access        "can they sign in?": every check, and what helps
//	POST   /api/passwords/generate          a password of plain words to hand over
//	POST   /api/passwords/check             the reasons against a password
//
// It is one of the three functions that can touch hashes (H24).
package credentials

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/memberkey/memberkey/functions"
	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// Function answers the routes.
type Function struct {
	Credentials *credential.Service
}

// New makes the function.
func New(b functions.Base, h *password.Hasher) *Function {
	return &Function{Credentials: b.Credentials(h)}
}

// Routes lists them.
func (f *Function) Routes() httpapi.Routes {
	return httpapi.Routes{
		"GET /api/profiles/{id}/credentials":    httpapi.Staff(organization.ViewCredentials, f.read),
		"PUT /api/profiles/{id}/credentials":    httpapi.Staff(organization.SetPasswords, f.change).Limit(httpapi.FormLimit),
		"DELETE /api/profiles/{id}/credentials": httpapi.Staff(organization.ControlLogins, f.remove),
		"GET /api/profiles/{id}/access":         httpapi.Staff(organization.ViewCredentials, f.access),
		"POST /api/passwords/generate":          httpapi.Staff(organization.SetPasswords, f.generate),
		"POST /api/passwords/check":             httpapi.Staff(organization.SetPasswords, f.check).Limit(httpapi.FormLimit),
	}
}

type one struct {
	ID string `path:"id"`
}

type edit struct {
	ID      string            `path:"id"`
	Version httpapi.Version   `header:"if-match"`
	Body    credential.Change `body:"json"`
}

type removal struct {
	ID      string          `path:"id"`
	Version httpapi.Version `header:"if-match"`
}

func (f *Function) read(ctx context.Context, c httpapi.Caller, in one) (httpapi.Reply[*credential.View], error) {
	return tagged(f.Credentials.Read(ctx, c.Organization, profile.ID(in.ID)))
}

func (f *Function) change(ctx context.Context, c httpapi.Caller, in edit) (httpapi.Reply[*credential.View], error) {
	return tagged(f.Credentials.Change(ctx, staff(c), c.Organization, profile.ID(in.ID), int(in.Version), in.Body))
}

func (f *Function) remove(ctx context.Context, c httpapi.Caller, in removal) (httpapi.Reply[*credential.View], error) {
	return tagged(f.Credentials.Remove(ctx, staff(c), c.Organization, profile.ID(in.ID), int(in.Version)))
}

func tagged(v *credential.View, err error) (httpapi.Reply[*credential.View], error) {
	if err != nil {
		return httpapi.Reply[*credential.View]{}, err
	}
	return httpapi.Reply[*credential.View]{Body: v, ETag: httpapi.ETag(v.Version)}, nil
}

func staff(c httpapi.Caller) activity.Actor {
	return activity.Actor{Kind: activity.Staff, ID: c.Subject, Name: c.Name, From: c.IP}
}

// answer is what is told about "can they sign in?".
type answer struct {
	CanSignIn bool               `json:"canSignIn"` // nothing blocks
	Checks    []credential.Check `json:"checks"`
}

func (f *Function) access(ctx context.Context, c httpapi.Caller, in one) (answer, error) {
	checks, err := f.Credentials.Access(ctx, c.Organization, profile.ID(in.ID))
	if err != nil {
		return answer{}, err
	}
	blocked := slices.ContainsFunc(checks, func(c credential.Check) bool { return c.Blocks })
	return answer{CanSignIn: !blocked, Checks: checks}, nil
}

// generated shows a password on the one screen that is meant to; everywhere
// else it prints as redacted.
type generated struct {
	plain password.Plain
}

// MarshalJSON reveals the password.
func (g generated) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Password string `json:"password"`
	}{g.plain.Reveal()})
}

func (f *Function) generate(ctx context.Context, c httpapi.Caller, _ struct{}) (*generated, error) {
	plain, err := f.Credentials.Generate(ctx, c.Organization)
	if err != nil {
		return nil, err
	}
	return &generated{plain}, nil
}

type trial struct {
	Body struct {
		Password  password.Plain `json:"password"`
		ProfileID string         `json:"profileId"` // whose names count as well; may be left out
	} `body:"json"`
}

// verdict is what the policy says.
type verdict struct {
	OK      bool           `json:"ok"`
	Reasons []problem.Item `json:"reasons"`
	Rule    string         `json:"rule"`
}

func (f *Function) check(ctx context.Context, c httpapi.Caller, in trial) (verdict, error) {
	reasons, rule, err := f.Credentials.CheckPassword(ctx, c.Organization, profile.ID(in.Body.ProfileID), in.Body.Password)
	if err != nil {
		return verdict{}, err
	}
	if reasons == nil {
		reasons = []problem.Item{}
	}
	return verdict{OK: len(reasons) == 0, Reasons: reasons, Rule: rule}, nil
}
