package message

import "strings"

// The longest values that a mail shows, in characters (bytes for URLs and
// addresses). Longer ones are clipped with an ellipsis, so that MaxEncoded is
// a bound and not a hope; URLs are never clipped, for half a link is none.
const (
	MaxName     = 100
	MaxUsername = 254
	MaxURL      = 300
	maxMoment   = 80
	maxSentence = 200
)

// Field is one entry of the editor's dropdown.
type Field struct {
	Code      string `json:"code"`  // as in [[FIRSTNAME]] and in the chip's attachment
	Label     string `json:"label"` // for people
	Group     string `json:"group"`
	Sample    string `json:"sample"`    // what a preview without a profile shows
	InSubject bool   `json:"inSubject"` // may stand in the subject
}

// CredentialsLink is the code of the field that becomes each recipient's
// username and link.
const CredentialsLink = "PORTALLOGINLINK"

// Fields lists the special fields in the order of the dropdown.
func Fields() []Field {
	return []Field{
		{"FIRSTNAME", "First name", "Recipient", "Ana", true},
		{"LASTNAME", "Last name", "Recipient", "García", true},
		{"NAME", "Full name", "Recipient", "Ana García", true},
		{"ORGANIZATIONNAME", "Organization name", "Recipient", "García & Sons", true},
		{"PROFILEID", "Profile ID", "Recipient", "1042", true},
		{"ASSOCIATION", "Association", "Association", "Riverside Association", true},
		{"WEBSITE", "Website", "Association", "https://www.example.org", true},
		{"HELPLINE", "Help line", "Association", "555 0100, help@example.org (Monday to Friday, 9 to 5)", true},
		{"TODAY", "Today's date", "Date", "23 November 2026", true},
		{CredentialsLink, "Portal Login Credentials Link", "Login", "Username and a Set Password button", false},
	}
}

// fieldID names a value that a program splices in, or asks for.
type fieldID uint8

const (
	fNone fieldID = iota
	fFirstName
	fLastName
	fName
	fOrganizationName
	fProfileID
	fToday
	fAssociation
	fWebsite
	fLogo
	fSignIn
	fPhone
	fTel // the phone number's digits, for a tel: address
	fEmail
	fHours
	fContact // only asked for: is there a phone number or an email?
	fSeveral // only asked for: is there more than one login?
	fLoginName
	fLoginOrganization
	fLoginProfileID
	fLoginUsername
	fLoginNote
	fLoginURL
	fLoginEnds
	fieldCount
)

// fieldTable: code is what frozen messages store and never changes; width is
// what the text writer reckons with when it wraps.
var fieldTable = [fieldCount]struct {
	code    string
	limit   int  // characters
	perMail bool // grows with the profiles that were joined
	width   int
}{
	fNone:              {},
	fFirstName:         {"FIRSTNAME", MaxName, true, 8},
	fLastName:          {"LASTNAME", MaxName, true, 8},
	fName:              {"NAME", MaxName, true, 14},
	fOrganizationName:  {"ORGANIZATIONNAME", MaxName, true, 16},
	fProfileID:         {"PROFILEID", MaxName, true, 5},
	fToday:             {"TODAY", maxMoment, false, 16},
	fAssociation:       {"ASSOCIATION", MaxName, false, 20},
	fWebsite:           {"WEBSITE", MaxURL, false, 24},
	fLogo:              {"LOGO", MaxURL, false, 24},
	fSignIn:            {"SIGNIN", MaxURL, false, 40},
	fPhone:             {"PHONE", MaxName, false, 12},
	fTel:               {"TEL", MaxName, false, 12},
	fEmail:             {"EMAIL", MaxUsername, false, 20},
	fHours:             {"HOURS", maxSentence, false, 24},
	fContact:           {"CONTACT", 0, false, 0},
	fSeveral:           {"SEVERAL", 0, false, 0},
	fLoginName:         {"LOGIN.NAME", MaxName, false, 14},
	fLoginOrganization: {"LOGIN.ORGANIZATIONNAME", MaxName, false, 16},
	fLoginProfileID:    {"LOGIN.PROFILEID", MaxName, false, 5},
	fLoginUsername:     {"LOGIN.USERNAME", MaxUsername, false, 20},
	fLoginNote:         {"LOGIN.NOTE", MaxName, false, 38},
	fLoginURL:          {"LOGIN.URL", MaxURL, false, 80},
	fLoginEnds:         {"LOGIN.ENDS", maxMoment, false, 38},
}

// fieldByCode finds what a frozen program names.
var fieldByCode = func() map[string]fieldID {
	m := make(map[string]fieldID, fieldCount)
	for id := fNone + 1; id < fieldCount; id++ {
		m[fieldTable[id].code] = id
	}
	return m
}()

// ofLogin reports whether id has a value only within a login.
func (id fieldID) ofLogin() bool { return id >= fLoginName && id <= fLoginEnds }

// ofAssociation reports whether id depends on the association alone.
func (id fieldID) ofAssociation() bool { return id >= fAssociation && id <= fContact }

// value looks a field up. It allocates nothing.
func value(id fieldID, v *Values, l *Login) string {
	switch id {
	case fFirstName:
		return v.FirstName
	case fLastName:
		return v.LastName
	case fName:
		return v.Name
	case fOrganizationName:
		return v.OrganizationName
	case fProfileID:
		return v.ProfileID
	case fToday:
		return v.Today
	case fAssociation:
		return v.Association.Name
	case fWebsite:
		return webAddress(v.Association.Website)
	case fLogo:
		return webAddress(v.Association.LogoURL)
	case fSignIn:
		return webAddress(v.Association.SignInURL)
	case fPhone, fTel:
		return v.Association.Phone
	case fEmail:
		return mailAddress(v.Association.Email)
	case fHours:
		return v.Association.Hours
	case fLoginName:
		return l.Name
	case fLoginOrganization:
		return l.OrganizationName
	case fLoginProfileID:
		return l.ProfileID
	case fLoginUsername:
		return l.Username
	case fLoginNote:
		return l.UsernameNote
	case fLoginURL:
		if !isWeb(l.URL) {
			return ""
		}
		return l.URL
	case fLoginEnds:
		return l.Ends
	}
	return ""
}

// present answers a condition.
func present(id fieldID, v *Values, l *Login) bool {
	switch id {
	case fContact:
		return v.Association.Phone != "" || mailAddress(v.Association.Email) != ""
	case fSeveral:
		return len(v.Logins) > 1
	}
	return value(id, v, l) != ""
}

// isWeb keeps javascript:, data: and relative addresses out of every href,
// whatever the settings hold.
func isWeb(s string) bool {
	return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")
}

func webAddress(s string) string {
	if len(s) > MaxURL || !isWeb(s) {
		return ""
	}
	return s
}

// mailAddress refuses what would be more than an address in a mailto: link.
func mailAddress(s string) string {
	if len(s) > MaxUsername {
		return ""
	}
	at := 0
	for i := 0; i < len(s); i++ {
		if !addressByte[s[i]] {
			return ""
		}
		if s[i] == '@' {
			at = i
		}
	}
	if at == 0 {
		return ""
	}
	return s
}

var addressByte = func() (t [256]bool) {
	for b := range t {
		t[b] = b > ' ' && b != 0x7f && strings.IndexByte(`?&%#,;:<>()[]"\`, byte(b)) < 0
	}
	return t
}()
