package httpapi

import (
	"encoding/json"
	"strings"

	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
)

// Caller is the member of staff who makes a request. It is built from the
// claims that API Gateway's JWT authorizer has verified and from nothing that
// a client can set (H21).
type Caller struct {
	Organization string
	Role         string // a key of organization.Roles
	Subject      string // the issuer's id of the person
	Name         string // for the activity: name, else username, else subject
	IP           string
	RequestID    string
}

// May says whether the caller has a permission.
func (c Caller) May(p organization.Permission) bool { return organization.May(c.Role, p) }

// caller names who is calling, or refuses.
func (k *call) caller() (Caller, error) {
	a := k.event.RequestContext.Authorizer
	if a == nil || a.JWT == nil || a.JWT.Claims["sub"] == "" {
		return Caller{}, problem.New(problem.Unauthenticated, "unauthenticated", "", "Sign in and send the access token.")
	}
	claims := a.JWT.Claims
	// API Gateway takes an ID token of the same client for an access token: the
	// audience of the one is the client of the other. An ID token is for the
	// client alone and gets about more freely, so it opens nothing (ASVS 9.2.2).
	// Cognito says in token_use which one it is, Keycloak in typ; at_hash is in
	// no access token (OpenID Connect Core 1.0 §2).
	if use := claims["token_use"]; use != "" && use != "access" || claims["typ"] == "ID" || claims["at_hash"] != "" {
		return Caller{}, problem.New(problem.Unauthenticated, "unauthenticated", "", "Sign in and send the access token, not the ID token.")
	}
	c := Caller{
		Subject:   claims["sub"],
		IP:        k.event.RequestContext.HTTP.SourceIP,
		RequestID: k.event.RequestContext.RequestID,
	}
	for _, name := range []string{"name", "username", "cognito:username", "sub"} {
		if c.Name = claims[name]; c.Name != "" {
			break
		}
	}
	found := 0
	for _, group := range groups(claims[k.config.GroupClaim]) {
		if org, role, ok := strings.Cut(group, ":"); ok {
			c.Organization, c.Role = org, role
			found++
		}
	}
	switch {
	case found > 1:
		return Caller{}, problem.New(problem.Forbidden, "organization_ambiguous", "",
			"This account belongs to more than one organization or role. Ask an administrator to leave it in exactly one group.")
	case found == 0 || !slug(c.Organization) || organization.Roles[c.Role] == nil:
		return Caller{}, problem.New(problem.Forbidden, "not_staff", "",
			"This account is in no staff group. Ask an administrator to put it in one.")
	}
	k.organization = c.Organization
	return c, nil
}

// groups splits a claim as API Gateway hands it over: every claim is a string
// there, and an array became "[a b]". An issuer may also send one plain
// string, or a JSON array as text. A group whose name holds a space cannot be
// told from two groups, so an issuer must not let people name groups freely.
func groups(claim string) []string {
	claim = strings.TrimSpace(claim)
	var list []string
	if strings.HasPrefix(claim, "[") && json.Unmarshal([]byte(claim), &list) == nil {
		return list
	}
	if strings.HasPrefix(claim, "[") && strings.HasSuffix(claim, "]") {
		claim = claim[1 : len(claim)-1]
	}
	return strings.Fields(claim)
}
