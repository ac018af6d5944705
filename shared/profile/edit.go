package profile

import (
	"crypto/rand"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/username"
)

// Limits of what staff may type, in characters.
const (
	maxID        = 40
	maxName      = 100
	maxKind      = 60
	maxRelations = 20
)

// Valid says whether id can be a profile ID: 1 to 40 letters, digits, dots,
// hyphens or underscores, in ASCII because it stands in addresses.
func (id ID) Valid() bool {
	if len(id) == 0 || len(id) > maxID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	// "." and ".." are steps in a path, whoever builds one.
	return id != "." && id != ".."
}

// Fields are what staff may edit of a profile; nil leaves a field as it is.
// The JSON names are those of the API, for POST and PATCH alike.
type Fields struct {
	ID               *ID         `json:"id,omitempty"` // when creating only
	Type             *Type       `json:"type,omitempty"`
	FirstName        *string     `json:"firstName,omitempty"`
	LastName         *string     `json:"lastName,omitempty"`
	OrganizationName *string     `json:"organizationName,omitempty"`
	Email            *string     `json:"email,omitempty"` // "" removes it
	Status           *Status     `json:"status,omitempty"`
	MemberSince      *string     `json:"memberSince,omitempty"` // 2006-01-02, "" removes it
	Relations        *[]Relation `json:"relations,omitempty"`   // all of them; Imported is kept, never set, by the caller
	DoNotEmail       *bool       `json:"doNotEmail,omitempty"`
	// UsernameToo asks that a changed email becomes the username where the old
	// one was. It is for the caller, who owns credentials; Apply ignores it.
	UsernameToo *bool `json:"usernameToo,omitempty"`

	// imported says that Relations come with their Imported marks.
	imported bool
}

// FieldChange tells one change in words, for the audit trail. Field is its
// JSON name; Old and New are as staff read them.
type FieldChange struct {
	Field string `json:"field"`
	Old   string `json:"old"`
	New   string `json:"new"`
}

// Change is what an edit did. The zero value is no change.
type Change struct {
	Fields []FieldChange `json:"fields"`
	// EmailChanged asks the caller for a new epoch (H5) and for notices to the
	// old and the new address (H5b).
	EmailChanged bool   `json:"emailChanged"`
	OldEmail     string `json:"-"`
	OldMailbox   string `json:"-"`
}

// Any says whether anything changed.
func (c Change) Any() bool { return len(c.Fields) > 0 }

// Has says whether the field, by its JSON name, changed.
func (c Change) Has(field string) bool {
	return slices.ContainsFunc(c.Fields, func(f FieldChange) bool { return f.Field == field })
}

// Create makes a new profile. Where the fields bring no ID it draws a numeric
// one of six digits, of more when those are crowded; taken says whether an ID
// is in use, and is not asked about an ID that the fields bring: the store's
// condition decides there. random also makes the first epoch.
func Create(organization string, f Fields, now time.Time, random io.Reader, taken func(ID) (bool, error)) (*Profile, error) {
	p := &Profile{Organization: organization, CreatedAt: now}
	if f.ID != nil {
		p.ID = ID(strings.TrimSpace(string(*f.ID)))
		f.ID = &p.ID
	}
	if _, err := f.Apply(p, now); err != nil {
		return nil, err
	}
	if p.ID == "" {
		id, err := drawID(random, taken)
		if err != nil {
			return nil, err
		}
		p.ID = id
	}
	return p, p.EndLogins(random, now)
}

// drawID draws numbers until one is free: from 100000 on, with one more digit
// after every ten that were taken.
func drawID(random io.Reader, taken func(ID) (bool, error)) (ID, error) {
	low := int64(100_000)
	for tries := range 60 {
		if tries > 0 && tries%10 == 0 {
			low *= 10
		}
		n, err := rand.Int(random, big.NewInt(9*low))
		if err != nil {
			return "", fmt.Errorf("profile id: %w", err)
		}
		id := ID(strconv.FormatInt(low+n.Int64(), 10))
		used, err := taken(id)
		if err != nil {
			return "", err
		}
		if !used {
			return id, nil
		}
	}
	return "", problem.New(problem.Busy, "busy", "id", "No free profile ID was found. Please try again, or give one yourself.")
}

// Apply checks the fields and writes them into p, and tells what changed. All
// faults are reported at once (a *problem.Problem of kind Invalid), and then p
// is as it was. An email that reaches the same mailbox as the stored one is no
// change; one that does not clears Undeliverable (H19).
//
// When anything changed, Version and UpdatedAt move. Apply leaves Epoch alone:
// the caller replaces it when EmailChanged. Whether relations point to anyone
// is for [CheckRelations].
func (f Fields) Apply(p *Profile, now time.Time) (Change, error) {
	next, change := *p, Change{}
	var faults []problem.Item
	fault := func(field, code, detail string) {
		faults = append(faults, problem.Item{Field: field, Code: code, Detail: detail})
	}
	set := func(field string, to *string, value string) {
		if *to != value {
			change.Fields = append(change.Fields, FieldChange{Field: field, Old: *to, New: value})
			*to = value
		}
	}
	text := func(field, what string, to, from *string) {
		if from == nil {
			return
		}
		value, item := checkText(field, what, *from, maxName)
		if item != nil {
			faults = append(faults, *item)
			return
		}
		set(field, to, value)
	}

	if f.ID != nil && p.Version > 0 && *f.ID != p.ID {
		fault("id", "id_fixed", "A profile ID cannot be changed. Please create a new profile instead.")
	} else if f.ID != nil && !f.ID.Valid() {
		fault("id", "id_invalid", "A profile ID is 1 to 40 letters, digits, dots, hyphens or underscores.")
	}
	if f.Type != nil && *f.Type != Individual && *f.Type != Organization {
		fault("type", "type_unknown", "The profile type must be individual or organization.")
	} else if f.Type != nil {
		set("type", (*string)(&next.Type), string(*f.Type))
	} else if p.Type == "" {
		fault("type", "type_unknown", "The profile type is missing. It must be individual or organization.")
	}
	if f.Status != nil && !slices.Contains(Statuses, *f.Status) {
		fault("status", "status_unknown", "The membership status must be active, lapsed, prospect, non-member or dropped.")
	} else if f.Status != nil {
		set("status", (*string)(&next.Status), string(*f.Status))
	} else if p.Status == "" {
		fault("status", "status_unknown", "The membership status is missing. It must be active, lapsed, prospect, non-member or dropped.")
	}

	named := len(faults)
	text("firstName", "first name", &next.FirstName, f.FirstName)
	text("lastName", "last name", &next.LastName, f.LastName)
	text("organizationName", "organization name", &next.OrganizationName, f.OrganizationName)
	if len(faults) == named {
		switch {
		case next.Type == Individual && next.FirstName == "" && next.LastName == "":
			fault("lastName", "name_missing", "A person needs a first or a last name. Please enter one of them.")
		case next.Type == Organization && next.OrganizationName == "":
			fault("organizationName", "name_missing", "An organization profile needs the organization's name. Please enter it.")
		}
	}

	if f.Email != nil {
		if err := next.setEmail(*f.Email, &change); err != nil {
			fault("email", problem.CodeOf(err), problem.As(err).Detail)
		}
	}
	if f.MemberSince != nil {
		since := strings.TrimSpace(*f.MemberSince)
		if _, err := time.Parse(time.DateOnly, since); since != "" && (err != nil || since < "0001") {
			fault("memberSince", "date_invalid", "“Member since” is not a date of the calendar. Please write it as year-month-day, such as 2026-11-23.")
		} else {
			set("memberSince", &next.MemberSince, since)
		}
	}
	if f.Relations != nil {
		relations, items := checkRelations(p.ID, *f.Relations)
		faults = append(faults, items...)
		if !f.imported {
			keepMarks(relations, p.Relations)
		}
		if len(items) == 0 && !slices.Equal(relations, p.Relations) {
			change.Fields = append(change.Fields, FieldChange{Field: "relations", Old: describeRelations(p.Relations), New: describeRelations(relations)})
			next.Relations = relations
		}
	}
	if f.DoNotEmail != nil && *f.DoNotEmail != p.DoNotEmail {
		next.DoNotEmail = *f.DoNotEmail
		change.Fields = append(change.Fields, FieldChange{Field: "doNotEmail", Old: strconv.FormatBool(p.DoNotEmail), New: strconv.FormatBool(next.DoNotEmail)})
	}

	if len(faults) > 0 {
		return Change{}, problem.Several(problem.Invalid, faults)
	}
	if change.Any() {
		next.Version++
		next.UpdatedAt = now
		*p = next
	}
	return change, nil
}

// setEmail changes the address unless it reaches the same mailbox.
func (p *Profile) setEmail(typed string, change *Change) error {
	var display string
	var box username.Mailbox
	if strings.TrimSpace(typed) != "" {
		var err error
		if display, box, err = username.ParseEmail(typed); err != nil {
			return err
		}
	}
	if string(box) == p.Mailbox {
		return nil
	}
	change.EmailChanged, change.OldEmail, change.OldMailbox = true, p.Email, p.Mailbox
	change.Fields = append(change.Fields, FieldChange{Field: "email", Old: p.Email, New: display})
	p.Email, p.Mailbox, p.Undeliverable = display, string(box), nil
	return nil
}

// checkText trims and normalises (NFC) one line of text. Markup is fine, it
// stays text wherever it is shown; line breaks, control characters and those
// that turn the direction of the text around them are not.
func checkText(field, what, s string, limit int) (string, *problem.Item) {
	refuse := func(code, detail string) (string, *problem.Item) {
		return "", &problem.Item{Field: field, Code: code, Detail: detail}
	}
	// Bounds the work on what is refused anyway.
	if len(s) > 64*limit {
		return refuse("name_too_long", fmt.Sprintf("The %s is longer than %d characters. Please shorten it.", what, limit))
	}
	if !utf8.ValidString(s) {
		return refuse("text_invalid", fmt.Sprintf("The %s holds characters that could not be read. Please type it again.", what))
	}
	s = norm.NFC.String(strings.TrimSpace(s))
	visible := false
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return refuse("text_invalid", fmt.Sprintf("The %s holds a line break or an invisible control character (U+%04X). Please type it again.", what, r))
		}
		visible = visible || !unicode.In(r, unicode.Z, unicode.Cf, unicode.Mn)
	}
	if n := utf8.RuneCountInString(s); n > limit {
		return refuse("name_too_long", fmt.Sprintf("The %s has %d characters; at most %d are possible. Please shorten it.", what, n, limit))
	}
	if !visible {
		return "", nil
	}
	return s, nil
}

// checkRelations checks what can be said of relations without reading anyone.
func checkRelations(self ID, typed []Relation) ([]Relation, []problem.Item) {
	if len(typed) > maxRelations {
		return nil, []problem.Item{{Field: "relations", Code: "relations_too_many", Detail: fmt.Sprintf("A profile can have at most %d relations. Please take some out.", maxRelations)}}
	}
	var faults []problem.Item
	relations := make([]Relation, 0, len(typed))
	for i, r := range typed {
		fault := func(part, code, detail string) {
			faults = append(faults, problem.Item{Field: fmt.Sprintf("relations[%d].%s", i, part), Code: code, Detail: detail})
		}
		kind, item := checkText("kind", "relationship", r.Kind, maxKind)
		switch {
		case item != nil:
			fault("kind", item.Code, item.Detail)
		case kind == "":
			fault("kind", "relationship_missing", "Please say what the relationship is, such as Employee.")
		}
		switch {
		case r.To == "":
			fault("to", "related_to_missing", "Please say which profile the relation points to.")
		case !r.To.Valid():
			fault("to", "relation_unknown", "The profile that the relation points to does not exist. Please check its profile ID.")
		case r.To == self:
			fault("to", "relation_self", "A profile cannot be related to itself.")
		}
		r.Kind = kind
		if slices.ContainsFunc(relations, func(s Relation) bool { return s.To == r.To && SameKind(s.Kind, r.Kind) }) {
			fault("to", "relation_twice", "The same relation is listed twice. Please take one of them out.")
		}
		relations = append(relations, r)
	}
	return relations, faults
}

// keepMarks lets Imported survive an edit by staff: it stays with the relation
// to the same profile, whatever the caller sent.
func keepMarks(relations, stored []Relation) {
	for i := range relations {
		relations[i].Imported = false
	}
	for _, s := range stored {
		if !s.Imported {
			continue
		}
		at := slices.IndexFunc(relations, func(r Relation) bool { return r.To == s.To && SameKind(r.Kind, s.Kind) })
		if at < 0 {
			at = slices.IndexFunc(relations, func(r Relation) bool { return r.To == s.To })
		}
		if at >= 0 {
			relations[at].Imported = true
		}
	}
}

// describeRelations tells relations in words, for the audit trail.
func describeRelations(relations []Relation) string {
	var told []string
	for _, r := range relations {
		s := r.Kind + " of " + string(r.To)
		if r.MainContact {
			s += ", main contact"
		}
		if r.CanEdit {
			s += ", can edit"
		}
		if r.Imported {
			s += ", from the import"
		}
		told = append(told, s)
	}
	return strings.Join(told, "; ")
}

// CheckRelations checks what only the store knows: that every relation points
// to a profile of the organization, and that no member gets more than
// [MaxMainContacts] main contacts. target finds a profile; mainContacts counts
// a member's main contacts other than p, former ones left out.
func CheckRelations(p *Profile, target func(ID) (*Profile, bool), mainContacts func(ID) int) error {
	var faults []problem.Item
	for i, r := range p.Relations {
		if _, ok := target(r.To); !ok {
			faults = append(faults, problem.Item{Field: fmt.Sprintf("relations[%d].to", i), Code: "relation_unknown",
				Detail: fmt.Sprintf("There is no profile %s. Please check the profile ID.", r.To)})
			continue
		}
		if r.IsMainContact() && mainContacts(r.To) >= MaxMainContacts {
			faults = append(faults, problem.Item{Field: fmt.Sprintf("relations[%d].mainContact", i), Code: "main_contacts_full",
				Detail: fmt.Sprintf("Profile %s has %d main contacts already. Please take the mark from one of them first.", r.To, MaxMainContacts)})
		}
	}
	return problem.Several(problem.Invalid, faults)
}
