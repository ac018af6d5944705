// Package pages is what members see: the HTML of every page under
// /portal/{org}, for a person of 74 on an old phone, for one with a screen
// reader and for one with a password manager.
//
// Each page is a struct that says what it shows, and a template of the same
// name in the folder en, which has all of its words; another language is
// another folder. [Render] puts the two together:
//
//	html := pages.Render(settings, &pages.SignIn{Refused: true})
//
// Pages work without JavaScript. The style sheet and the script stand inline,
// because the portal has no route for files; the policy lets them in by their
// hashes ([Styles], [Scripts]). Nothing comes from another host but the
// organization's logo. A link's token stands in the action of a form and
// nowhere else (H10).
//
// There is no form token: a POST from another site is refused by where it
// comes from (httpapi.Page), so no page can be left open for too long.
package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"strings"
	"sync"
	"time"

	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// Page is what one page shows.
type Page interface{ file() string }

// NewPassword is the part of a page in which a password is chosen.
type NewPassword struct {
	Policy password.Policy
	// Suggestion is one to choose; the zero Plain offers none.
	Suggestion password.Plain
	// Filled puts the suggestion into the fields, for browsers without
	// JavaScript after "Use this one".
	Filled bool
	// Reasons are why the form was refused; Field names one of its inputs.
	Reasons []problem.Item
}

// Rule is the policy in words; PasswordRules is it for password managers.
func (n NewPassword) Rule() string          { return n.Policy.Rule() }
func (n NewPassword) PasswordRules() string { return n.Policy.PasswordRules() }

// Offers says whether there is a suggestion to choose.
func (n NewPassword) Offers() bool { return !n.Filled && !n.Suggestion.IsZero() }

// SetPassword is the page of a live link, or its inert sample.
type SetPassword struct {
	NewPassword
	Token  link.Token
	Sample bool
	// Name, Company and ProfileID say whose login it is.
	Name, Company string
	ProfileID     profile.ID
	Ends          time.Time
	// Username is the present one or what the email becomes (FromEmail); with
	// Choose it is what was typed, or the first of the free Names.
	Username  string
	FromEmail bool
	Choose    bool
	Names     []string
}

// PasswordSet is the page after a link was used.
type PasswordSet struct{ Username string }

// LinkUsed is the page of a link with which a password was set at At.
type LinkUsed struct{ At time.Time }

// LinkEnded is the page of a link that can be renewed.
type LinkEnded struct{ Token link.Token }

// LinkRenewed answers everyone who asks for a renewal, in the same words.
type LinkRenewed struct{}

// LinkUnknown is the page of an address that is no link, or was cut off.
type LinkUnknown struct{}

// LinkNotAllowed is the page of a live link whose owner may not sign in now.
type LinkNotAllowed struct{}

// ForgotLogin asks for an address.
type ForgotLogin struct{ Reasons []problem.Item }

// ForgotAnswer answers everyone who asked, in the same words (H12).
type ForgotAnswer struct{}

// SignIn is the page to sign in; at most one of the states is set.
type SignIn struct {
	Username  string // as typed, kept after a refusal
	KeepDays  int    // 0 does not offer "keep me signed in"
	SignedOut bool
	Refused   bool
	Until     time.Time // no password is taken before
	Locked    bool      // no password is taken at all
}

// ChangePassword is the page of a member who is signed in.
type ChangePassword struct {
	NewPassword
	Username string
	Must     bool // staff typed the present one
}

// PasswordChanged is the page after that.
type PasswordChanged struct{}

// Front is the portal's first page.
type Front struct {
	Name, Company string
	Username      string
	ProfileID     profile.ID
	LastSignIn    time.Time // the one before this
	ActingFor     string    // name; "" for oneself
	Others        []Other
}

// Other is a profile that the member may act for.
type Other struct {
	ID   profile.ID
	Name string
}

// Error is the page of a fault.
type Error struct {
	Status    int
	Code      string // of the problem
	Detail    string
	RequestID string
}

func (*SetPassword) file() string     { return "set-password" }
func (*PasswordSet) file() string     { return "password-set" }
func (*LinkUsed) file() string        { return "link-used" }
func (*LinkEnded) file() string       { return "link-ended" }
func (*LinkRenewed) file() string     { return "link-renewed" }
func (*LinkUnknown) file() string     { return "link-unknown" }
func (*LinkNotAllowed) file() string  { return "link-not-allowed" }
func (*ForgotLogin) file() string     { return "forgot-login" }
func (*ForgotAnswer) file() string    { return "forgot-answer" }
func (*SignIn) file() string          { return "sign-in" }
func (*ChangePassword) file() string  { return "change-password" }
func (*PasswordChanged) file() string { return "password-changed" }
func (*Front) file() string           { return "front" }
func (*Error) file() string           { return "error" }

// maxLength is the true limit of a password field: browsers count UTF-16
// units, of which a character takes up to two. A smaller figure would cut a
// pasted password off without a word.
const maxLength = 2 * password.MaxLength

var (
	//go:embed page.css
	style string
	//go:embed page.js
	script string
	//go:embed en
	words embed.FS
)

// Styles and Scripts are the policy's hashes of what pages carry inline, such
// as "sha256-…".
func Styles() []string  { return []string{hash(style)} }
func Scripts() []string { return []string{hash(script)} }

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// parsed are the templates of the pages shown so far (file -> templates): a
// function that starts for one page should not wait for all.
var parsed sync.Map

func load(file string) templates {
	if t, ok := parsed.Load(file); ok {
		return t.(templates)
	}
	t, _ := parsed.LoadOrStore(file, read(file))
	return t.(templates)
}

// view is what templates see.
type view struct {
	Org  *organization.Settings
	Base string // path of the organization's portal, "" where there is none
	Logo string
	P    Page
}

// Moment writes an instant in the organization's zone, as the mails do.
func (v view) Moment(t time.Time) string { return message.Moment(t, v.Org.Zone()) }

// After writes the end of a wait, rounded up to the minute: who comes back at
// that time must find that the wait is over.
func (v view) After(t time.Time) string {
	if up := t.Truncate(time.Minute); up.Before(t) {
		t = up.Add(time.Minute)
	}
	return v.Moment(t)
}

// Render makes the page. settings is nil where there is no such organization:
// then the page names none.
func Render(settings *organization.Settings, p Page) []byte {
	var page bytes.Buffer
	load(p.file()).call(&page, "layout", newView(settings, p))
	return page.Bytes()
}

func newView(settings *organization.Settings, p Page) view {
	if settings == nil {
		return view{Org: &organization.Settings{}, P: p}
	}
	return view{Org: settings, Base: "/portal/" + settings.ID, Logo: Logo(settings, p), P: p}
}

// Logo is the image on a page, "" where there is none. Error pages have none:
// they are made where the policy for images is not known.
func Logo(settings *organization.Settings, p Page) string {
	if _, fault := p.(*Error); fault || !strings.HasPrefix(settings.LogoURL, "https://") {
		return ""
	}
	return settings.LogoURL
}

// faults are those of one input.
func faults(all []problem.Item, field string) (of []problem.Item) {
	for _, item := range all {
		if item.Field == field {
			of = append(of, item)
		}
	}
	return of
}

// dial is a phone number as telephones want it (RFC 3966), "+1 (555) 010-9"
// becoming "+15550109".
func dial(number string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' || r == '+' {
			return r
		}
		return -1
	}, number)
}
