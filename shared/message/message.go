// Package message makes everything Memberkey mails: the mailings that staff
// compose and the standard mails alike.
//
// A message is a small tree of paragraphs, links, special fields and
// conditions (tree.go). Two writers (write.go) turn the same tree into the
// HTML and the text part, so the two always say the same. What a writer
// leaves is a flat program of segments (program.go): literals, already escaped for
// where they stand, and fields between them. Rendering is running that
// program: values are cleaned, escaped and spliced between the literals, and
// nothing is ever parsed again. Names with markup, braces or line breaks in
// them therefore stay text (H16, attack A18).
//
//	Draft ──Compile──> Compiled ──Render / AppendTemplateData──> one mail
//	standard.go (the wording) ─────────^
//
// Compile turns staff's HTML into the tree: chips leave it as nodes first,
// then package sanitizer cleans the rest (bluemonday). A Compiled is what a mailing freezes
// (H14); it is stored as JSON and gives the same mail in preview, test and
// run. Association, names and links come in as Values with every mail.
//
// The package knows no store, no AWS and no HTTP: nothing here takes a host
// or a header, so no request can change where a link leads (H10, attack A2).
package message

import (
	"log/slog"
	"strings"
	"time"
)

// The inline template that goes with every SES call: three plain
// substitutions and nothing else, so no template engine ever parses what
// staff or members typed. Every entry carries all three variables.
const (
	TemplateSubject = "{{subject}}"
	TemplateHTML    = "{{html}}"
	TemplateText    = "{{text}}"
)

// Draft is what staff compose. Subject is plain text with typed fields
// ([[FIRSTNAME]]); HTML is what the editor saves, with fields as chips or
// typed.
type Draft struct {
	Subject, HTML string
}

// Values is what one mail says about its recipients. Where several profiles
// share a mailbox, make the Values of each and Join them. Every string is
// plain text: it is cleaned and escaped where it is spliced, and clipped to
// MaxName characters.
type Values struct {
	FirstName, LastName string
	Name                string // in full, as the mail addresses the person
	OrganizationName    string // the profile's company
	ProfileID           string
	Association         Association
	Today               string  // a date, formatted for people
	Logins              []Login // one for each profile; PORTALLOGINLINK shows them all

	joined int // how many were joined; 0 for one
}

// Association is what header and footer of every mail show. What is empty is
// left out. URLs must be absolute http or https of at most MaxURL bytes;
// others are left out as well.
type Association struct {
	Name      string
	LogoURL   string
	Website   string
	Phone     string
	Email     string
	Hours     string // when the help line answers, in words
	SignInURL string // of the member pages, from the organization's settings (H10)
}

// Login is one profile's way in.
type Login struct {
	Name, OrganizationName, ProfileID string // whose it is
	Username                          string // or the email that will become it (H9)
	// UsernameNote says more about the username, or stands in its place, for
	// example ChooseUsername.
	UsernameNote string
	URL          string // the link, at most MaxURL bytes: a secret
	Ends         string // absolute and with zone, as Moment writes it (N10)
}

// ChooseUsername is the UsernameNote of a login whose email cannot become
// the username (H13).
const ChooseUsername = "you choose one when you open the link"

// EmailOrChosen is the UsernameNote of people who share a mailbox while none of
// them has a username: whoever is first gets the address.
const EmailOrChosen = "this email address, or, if it is taken by then, one that you choose when you open the link"

// String keeps the link out of logs and errors.
func (l Login) String() string { return "login of profile " + l.ProfileID + " (link redacted)" }

// GoString is String, for %#v.
func (l Login) GoString() string { return l.String() }

// LogValue is String, for logs.
func (l Login) LogValue() slog.Value { return slog.StringValue(l.String()) }

// Rendered is one finished mail.
type Rendered struct {
	Subject, HTML, Text string
}

// String keeps mails, which carry links, out of logs and errors.
func (r Rendered) String() string { return "mail (redacted)" }

// GoString is String, for %#v.
func (r Rendered) GoString() string { return r.String() }

// LogValue is String, for logs.
func (r Rendered) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Join makes one mail's Values of those of several profiles that share a
// mailbox: first names read "Ana, Ben and Chloé", profile IDs "1042, 1043",
// what is equal stands once, and all logins are kept in order. Association
// and Today are those of the first.
func Join(all ...Values) Values {
	if len(all) == 0 {
		return Values{}
	}
	if len(all) == 1 {
		return all[0]
	}
	v := Values{Association: all[0].Association, Today: all[0].Today}
	pick := func(last string, get func(*Values) string) string {
		var words []string
	next:
		for i := range all {
			s := clip(get(&all[i]), MaxName)
			if s == "" {
				continue
			}
			for _, w := range words {
				if w == s {
					continue next
				}
			}
			words = append(words, s)
		}
		return list(words, last)
	}
	v.FirstName = pick(" and ", func(v *Values) string { return v.FirstName })
	v.LastName = pick(" and ", func(v *Values) string { return v.LastName })
	v.Name = pick(" and ", func(v *Values) string { return v.Name })
	v.OrganizationName = pick(" and ", func(v *Values) string { return v.OrganizationName })
	v.ProfileID = pick(", ", func(v *Values) string { return v.ProfileID })
	for i := range all {
		v.Logins = append(v.Logins, all[i].Logins...)
		v.joined += max(1, all[i].joined)
	}
	return v
}

// list joins words with commas and last between the last two.
func list(words []string, last string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + last + words[n-1]
	}
	return strings.Join(words, "")
}

// Moment writes an instant as every mail and page shows it: absolute, with
// its zone, no figure that reads differently in another country (N10).
// Example: "Monday, 23 November 2026, 3:28 pm EST".
func Moment(t time.Time, zone *time.Location) string {
	t = t.In(zone)
	name := t.Format("MST")
	if name == "" || name[0] == '+' || name[0] == '-' {
		name = "UTC" + t.Format("-07:00") // zones without an abbreviation of their own
	}
	return t.Format("Monday, 2 January 2006, 3:04 pm ") + name
}
