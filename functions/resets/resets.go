// Package resets is the function with which staff send one password reset
// email (H11):
//
//	POST /api/profiles/{id}/reset-emails   202 with the address and the link's end
//
// The mail is the standard one and takes no text. It can read no hash (H24).
package resets

import (
	"context"
	"net/http"

	"github.com/memberkey/memberkey/functions"
	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
)

// Function answers the route.
type Function struct {
	Resets *credential.Resets
}

// New makes the function.
func New(b functions.Base) *Function {
	return &Function{Resets: &credential.Resets{
		Store: b.Mail(), Bells: b.Bells, Now: b.Now, NewID: b.NewID, Again: b.Timing.Again, Log: b.Log,
	}}
}

// Routes lists it.
func (f *Function) Routes() httpapi.Routes {
	return httpapi.Routes{
		"POST /api/profiles/{id}/reset-emails": httpapi.Staff(organization.SendResets, f.send).Limit(httpapi.FormLimit),
	}
}

type request struct {
	ID   string                 `path:"id"`
	Key  httpapi.IdempotencyKey `header:"idempotency-key"`
	Body *struct {
		// ToMainContact is the main contact to whom the mail of an organization
		// without an email goes.
		ToMainContact *string `json:"toMainContact"`
	} `body:"json"`
}

func (f *Function) send(ctx context.Context, c httpapi.Caller, in request) (httpapi.Reply[*credential.Reset], error) {
	var contact profile.ID
	if in.Body != nil && in.Body.ToMainContact != nil {
		contact = profile.ID(*in.Body.ToMainContact)
	}
	by := activity.Actor{Kind: activity.Staff, ID: c.Subject, Name: c.Name, From: c.IP}
	sent, err := f.Resets.Send(ctx, by, c.Organization, profile.ID(in.ID), contact, string(in.Key))
	return httpapi.Reply[*credential.Reset]{Status: http.StatusAccepted, Body: sent}, err
}
