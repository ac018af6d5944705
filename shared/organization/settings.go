package organization

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a time zone is judged alike on every machine; Lambda has no zone files
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/username"
)

// Bounds of the settings.
const (
	MaxName          = 100 // characters, of every line of text
	MaxTestAddresses = 5
	MaxPrimaryKinds  = 20
	maxKind          = 60 // characters, as in a relation

	MinLinkHours, MaxLinkHours             = 1, 336
	MinPassword, MaxPassword               = password.MinimumLowest, password.MinimumHighest
	MinSessionHours, MaxSessionHours       = 1, 24
	MaxKeepSignedInDays                    = 30 // NIST SP 800-63B-4 §2.1.3
	recommendedPassword, recommendedLifeOf = password.MinimumDefault, 24
)

// Edit is what staff may change of the settings; nil leaves a field as it is.
// The JSON names are those of [Settings]. ID and Version are no part of it.
type Edit struct {
	Name    *string `json:"name,omitempty"`
	LogoURL *string `json:"logoUrl,omitempty"` // "" removes it, as with every optional text
	Website *string `json:"website,omitempty"`

	HelpPhone *string `json:"helpPhone,omitempty"`
	HelpEmail *string `json:"helpEmail,omitempty"`
	HelpHours *string `json:"helpHours,omitempty"`

	SenderName    *string   `json:"senderName,omitempty"`
	SenderAddress *string   `json:"senderAddress,omitempty"`
	ReplyTo       *string   `json:"replyTo,omitempty"`
	TestAddresses *[]string `json:"testAddresses,omitempty"`

	PortalAddress *string `json:"portalAddress,omitempty"`
	TimeZone      *string `json:"timeZone,omitempty"`

	AccessLevel    *profile.AccessLevel `json:"accessLevel,omitempty"`
	MemberStatuses *[]profile.Status    `json:"memberStatuses,omitempty"`
	PrimaryKinds   *[]string            `json:"primaryKinds,omitempty"`

	LinkHours             *int  `json:"linkHours,omitempty"`
	MinimumPassword       *int  `json:"minimumPassword,omitempty"`
	StaffMayTypePasswords *bool `json:"staffMayTypePasswords,omitempty"`
	MustChangeTyped       *bool `json:"mustChangeTyped,omitempty"`
	SessionHours          *int  `json:"sessionHours,omitempty"`
	KeepSignedInDays      *int  `json:"keepSignedInDays,omitempty"`
}

// Apply checks the edit and writes it into s, and names the fields that
// changed. All faults are reported at once (a *problem.Problem of kind
// Invalid), and then s is as it was. Version moves when anything changed.
func (e Edit) Apply(s *Settings) (changed []string, err error) {
	next := *s
	c := checker{}
	text := func(field, what string, to, from *string, read func(string, string, string) string) {
		if from == nil {
			return
		}
		if value := read(field, what, *from); *to != value {
			*to, changed = value, append(changed, field)
		}
	}
	text("name", "name", &next.Name, e.Name, c.required(c.line))
	text("logoUrl", "logo", &next.LogoURL, e.LogoURL, c.web)
	text("website", "website", &next.Website, e.Website, c.web)
	text("helpPhone", "phone number of the help line", &next.HelpPhone, e.HelpPhone, c.phone)
	text("helpEmail", "email of the help line", &next.HelpEmail, e.HelpEmail, c.address)
	text("helpHours", "text with the hours of the help line", &next.HelpHours, e.HelpHours, c.line)
	text("senderName", "sender name", &next.SenderName, e.SenderName, c.required(c.line))
	text("senderAddress", "sender address", &next.SenderAddress, e.SenderAddress, c.required(c.address))
	text("replyTo", "reply-to address", &next.ReplyTo, e.ReplyTo, c.address)
	text("portalAddress", "portal address", &next.PortalAddress, e.PortalAddress, c.required(c.origin))
	text("timeZone", "time zone", &next.TimeZone, e.TimeZone, c.required(c.zone))

	if e.TestAddresses != nil {
		setList(&changed, "testAddresses", &next.TestAddresses, c.testAddresses(*e.TestAddresses))
	}
	if e.AccessLevel != nil {
		if !slices.Contains(profile.AccessLevels, *e.AccessLevel) {
			c.fault("accessLevel", "access_level_unknown", "The access level must be one of: "+join(profile.AccessLevels)+".")
		} else if next.Level != *e.AccessLevel {
			next.Level, changed = *e.AccessLevel, append(changed, "accessLevel")
		}
	}
	if e.MemberStatuses != nil {
		setList(&changed, "memberStatuses", &next.MemberStatuses, c.statuses(*e.MemberStatuses))
	}
	if e.PrimaryKinds != nil {
		setList(&changed, "primaryKinds", &next.PrimaryKinds, c.kinds(*e.PrimaryKinds))
	}

	number := func(field, what string, to, from *int, low, high int) {
		if from == nil {
			return
		}
		if *from < low || *from > high {
			c.fault(field, "number_out_of_range", fmt.Sprintf("The %s must be from %d to %d.", what, low, high))
		} else if *to != *from {
			*to, changed = *from, append(changed, field)
		}
	}
	number("linkHours", "life of a mailing's link, in hours,", &next.LinkHours, e.LinkHours, MinLinkHours, MaxLinkHours)
	number("minimumPassword", "minimum length of a password", &next.MinimumPassword, e.MinimumPassword, MinPassword, MaxPassword)
	number("sessionHours", "length of a session, in hours,", &next.SessionHours, e.SessionHours, MinSessionHours, MaxSessionHours)
	number("keepSignedInDays", "number of days for “keep me signed in”", &next.KeepSignedInDays, e.KeepSignedInDays, 0, MaxKeepSignedInDays)
	yes := func(field string, to, from *bool) {
		if from != nil && *to != *from {
			*to, changed = *from, append(changed, field)
		}
	}
	yes("staffMayTypePasswords", &next.StaffMayTypePasswords, e.StaffMayTypePasswords)
	yes("mustChangeTyped", &next.MustChangeTyped, e.MustChangeTyped)

	if len(c.faults) > 0 {
		return nil, problem.Several(problem.Invalid, c.faults)
	}
	if len(changed) > 0 {
		next.Version++
		*s = next
	}
	return changed, nil
}

// Found makes the settings of a new association: the defaults, and what the
// edit says. Name, sender address and portal address have no default and must
// be said; the sender's name is the association's, unless another one is said.
// Problems are those of [Edit.Apply].
func (e Edit) Found(id string) (s *Settings, changed []string, err error) {
	var unsaid string
	for _, required := range []**string{&e.Name, &e.SenderAddress, &e.PortalAddress} {
		if *required == nil {
			*required = &unsaid
		}
	}
	fresh := Defaults(id, "")
	if changed, err = e.Apply(&fresh); err != nil {
		return nil, nil, err
	}
	if fresh.SenderName == "" {
		fresh.SenderName = fresh.Name
	}
	return &fresh, changed, nil
}

// Deviations says in words where the settings deviate from NIST SP 800-63B-4,
// for the settings page to show beside the field.
func (s *Settings) Deviations() []string {
	notes := []string{}
	if s.MinimumPassword < recommendedPassword {
		notes = append(notes, fmt.Sprintf("minimumPassword: %d characters are fewer than the %d that NIST SP 800-63B-4 §3.1.1.2 requires of a password used alone.", s.MinimumPassword, recommendedPassword))
	}
	if s.LinkHours > recommendedLifeOf {
		notes = append(notes, fmt.Sprintf("linkHours: a mailing's link that works for %d hours outlives the %d hours that NIST SP 800-63B-4 §4.2.1.2 allows for a recovery code sent by email. Single links never live longer than 24 hours.", s.LinkHours, recommendedLifeOf))
	}
	return notes
}

// checker gathers the faults of one edit.
type checker struct{ faults []problem.Item }

func (c *checker) fault(field, code, detail string) {
	c.faults = append(c.faults, problem.Item{Field: field, Code: code, Detail: detail})
}

// required refuses an empty text, then reads it with another check.
func (c *checker) required(read func(field, what, s string) string) func(field, what, s string) string {
	return func(field, what, s string) string {
		if strings.TrimSpace(s) == "" {
			c.fault(field, "text_missing", fmt.Sprintf("The %s must not be empty.", what))
			return ""
		}
		return read(field, what, s)
	}
}

// line takes one line of text that may stand in a mail header (attack A18).
func (c *checker) line(field, what, s string) string {
	if len(s) > 8*MaxName || utf8.RuneCountInString(s) > MaxName {
		c.fault(field, "text_too_long", fmt.Sprintf("The %s may have at most %d characters. Please shorten it.", what, MaxName))
		return ""
	}
	s, err := message.HeaderSafe(strings.TrimSpace(s))
	if err != nil || strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }) {
		c.fault(field, "text_invalid", fmt.Sprintf("The %s must be one line of plain text. Please take out line breaks and invisible control characters.", what))
		return ""
	}
	return norm.NFC.String(s)
}

func (c *checker) phone(field, what, s string) string {
	if s = c.line(field, what, s); s != "" && !strings.ContainsAny(s, "0123456789") {
		c.fault(field, "phone_invalid", fmt.Sprintf("The %s has no digits in it. Please check it.", what))
		return ""
	}
	return s
}

func (c *checker) address(field, what, s string) string {
	if strings.TrimSpace(s) == "" {
		return ""
	}
	display, _, err := username.ParseEmail(s)
	if err != nil {
		c.fault(field, problem.CodeOf(err), fmt.Sprintf("The %s is not an email address. %s", what, problem.As(err).Detail))
	}
	return display
}

// web takes an absolute https address; it is shown in every mail and page.
func (c *checker) web(field, what, s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	u, ok := parseURL(s)
	if !ok || u.Scheme != "https" || len(s) > message.MaxURL {
		c.fault(field, "url_invalid", fmt.Sprintf("The address of the %s must begin with https:// and have at most %d characters.", what, message.MaxURL))
		return ""
	}
	return s
}

// origin takes scheme and host alone, because every link is built from it (H10).
func (c *checker) origin(field, what, s string) string {
	u, ok := parseURL(strings.TrimSpace(s))
	if ok && (u.Path == "" || u.Path == "/") && u.RawQuery == "" && !u.ForceQuery && u.Fragment == "" && len(s) <= message.MaxURL {
		host := strings.ToLower(u.Host)
		name := strings.ToLower(u.Hostname())
		if u.Scheme == "https" || u.Scheme == "http" && (name == "localhost" || name == "127.0.0.1" || name == "::1") {
			return u.Scheme + "://" + host
		}
	}
	c.fault(field, "origin_invalid", fmt.Sprintf("The %s must be https:// and a host name, such as https://members.example.org, with nothing after it. (http:// is for localhost alone.)", what))
	return ""
}

// parseURL parses an absolute address of plain ASCII without a user in it.
func parseURL(s string) (*url.URL, bool) {
	for _, r := range []byte(s) {
		if r <= ' ' || r >= 0x7f || strings.IndexByte("\"'<>\\^`{|}", r) >= 0 {
			return nil, false
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Opaque != "" {
		return nil, false
	}
	u.Scheme = strings.ToLower(u.Scheme)
	return u, true
}

func (c *checker) zone(field, what, s string) string {
	s = strings.TrimSpace(s)
	// "Local" is whatever the machine has, and no name of IANA's.
	if _, err := time.LoadLocation(s); err != nil || s == "Local" || len(s) > 64 {
		c.fault(field, "time_zone_unknown", fmt.Sprintf("The %s is not known. Please choose a name of the IANA list, such as America/New_York.", what))
		return ""
	}
	return s
}

func (c *checker) testAddresses(typed []string) []string {
	if len(typed) > MaxTestAddresses {
		c.fault("testAddresses", "addresses_too_many", fmt.Sprintf("At most %d test addresses can be kept. Please take some out.", MaxTestAddresses))
		return nil
	}
	var list []string
	boxes := map[username.Mailbox]bool{}
	for i, s := range typed {
		field := fmt.Sprintf("testAddresses[%d]", i)
		display, box, err := username.ParseEmail(s)
		switch {
		case err != nil:
			c.fault(field, problem.CodeOf(err), "This test address is not an email address. "+problem.As(err).Detail)
		case boxes[box]:
			c.fault(field, "address_twice", "The same test address is listed twice. Please take one of them out.")
		}
		boxes[box] = true
		list = append(list, display)
	}
	return list
}

func (c *checker) statuses(typed []profile.Status) []profile.Status {
	if len(typed) == 0 {
		c.fault("memberStatuses", "statuses_missing", "Please name at least one membership status whose people are members; otherwise nobody could sign in.")
	}
	for i, s := range typed {
		field := fmt.Sprintf("memberStatuses[%d]", i)
		if !slices.Contains(profile.Statuses, s) {
			c.fault(field, "status_unknown", "The membership status must be one of: "+join(profile.Statuses)+".")
		} else if slices.Contains(typed[:i], s) {
			c.fault(field, "status_twice", "The same membership status is listed twice. Please take one of them out.")
		}
	}
	return typed
}

func (c *checker) kinds(typed []string) []string {
	if len(typed) > MaxPrimaryKinds {
		c.fault("primaryKinds", "kinds_too_many", fmt.Sprintf("At most %d primary relationships can be named. Please take some out.", MaxPrimaryKinds))
		return nil
	}
	list := []string{}
	for i, s := range typed {
		field := fmt.Sprintf("primaryKinds[%d]", i)
		if utf8.RuneCountInString(s) > maxKind {
			c.fault(field, "text_too_long", fmt.Sprintf("A relationship may have at most %d characters. Please shorten it.", maxKind))
			continue
		}
		kind := c.required(c.line)(field, "relationship", s)
		switch {
		case kind == "":
		case profile.Relation{Kind: kind}.Former():
			c.fault(field, "relationship_former", "A relationship that begins with “Former” never gives a right to sign in. Please take it out.")
		case slices.ContainsFunc(list, func(k string) bool { return profile.SameKind(k, kind) }):
			c.fault(field, "relationship_twice", "The same relationship is listed twice. Please take one of them out.")
		}
		list = append(list, kind)
	}
	return list
}

// setList replaces a list where it differs.
func setList[T comparable](changed *[]string, field string, to *[]T, value []T) {
	if !slices.Equal(*to, value) {
		*to, *changed = value, append(*changed, field)
	}
}

func join[T ~string](all []T) string {
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}
