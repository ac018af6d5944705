package directory

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/username"
)

// Create makes a profile and returns it as staff read it. Where key is not
// empty, a profile without an ID of its own gets one that is derived from the
// key, and a repeat with the same fields answers with the profile that the
// first request made.
//
// Problems: those of [profile.Fields.Apply] and [profile.CheckRelations],
// id_taken, idempotency_key_reused.
func (s *Service) Create(ctx context.Context, by activity.Actor, org, key string, f profile.Fields) (*View, error) {
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	now := s.now()
	derived := f.ID == nil && key != ""
	if derived {
		id := derivedID(org, key)
		f.ID = &id
	}
	taken := func(id profile.ID) (bool, error) {
		_, err := s.Store.Profile(ctx, org, id)
		if absent(err) {
			return false, nil
		}
		return true, err
	}
	p, err := profile.Create(org, f, now, s.Rand, taken)
	if err != nil {
		return nil, err
	}
	if err := s.checkRelations(ctx, p); err != nil {
		return nil, err
	}
	var repeated *profile.Profile
	err = s.Store.Update(ctx, func(tx Tx) error {
		repeated = nil
		switch there, err := tx.Profile(org, p.ID); {
		case err == nil && key != "" && sameContent(there, p):
			repeated = there
			return nil
		case err == nil && derived:
			return problem.Newf(problem.Conflict, "idempotency_key_reused", "Idempotency-Key",
				"A request with this key made profile %s, with other content. Look at that profile, or send a new key for a new one.", p.ID).With("id", p.ID)
		case err == nil:
			return problem.Newf(problem.Conflict, "id_taken", "id", "There is a profile %s already. Please choose another profile ID, or leave it out to get a free one.", p.ID)
		case !absent(err):
			return err
		}
		tx.AddActivity(s.note(p, by, now, activity.ProfileCreated, map[string]string{"type": string(p.Type), "status": string(p.Status)}))
		return tx.PutProfile(p)
	})
	if err != nil {
		return nil, err
	}
	if repeated != nil {
		p = repeated
	}
	return s.view(ctx, settings, p)
}

// derivedID is a number of nine digits that a key always gives again. Drawn
// IDs have six digits, so the two are rarely the same; where they are, the
// content differs and the caller is told.
func derivedID(org, key string) profile.ID {
	sum := sha256.Sum256([]byte("memberkey profile\x00" + org + "\x00" + key))
	return profile.ID(fmt.Sprint(100_000_000 + binary.BigEndian.Uint64(sum[:])%900_000_000))
}

// sameContent says whether two profiles hold the same of what staff type.
func sameContent(a, b *profile.Profile) bool {
	typed := func(p *profile.Profile) []byte {
		content, _ := json.Marshal([]any{p.Type, p.FirstName, p.LastName, p.OrganizationName, p.Email, p.Status, p.MemberSince, p.Relations, p.DoNotEmail})
		return content
	}
	return bytes.Equal(typed(a), typed(b))
}

// checkRelations checks the profile's relations against what is stored now.
func (s *Service) checkRelations(ctx context.Context, p *profile.Profile) error {
	if len(p.Relations) == 0 {
		return nil
	}
	targets, err := s.Store.Targets(ctx, p.Organization, p)
	if err != nil {
		return err
	}
	var members []profile.ID
	for _, r := range p.Relations {
		if r.IsMainContact() && targets[r.To] != nil && !slices.Contains(members, r.To) {
			members = append(members, r.To)
		}
	}
	contacts, err := s.mainContacts(ctx, p.Organization, members)
	if err != nil {
		return err
	}
	return profile.CheckRelations(p,
		func(id profile.ID) (*profile.Profile, bool) { return targets[id], targets[id] != nil },
		func(member profile.ID) int {
			return len(slices.DeleteFunc(contacts[member], func(id profile.ID) bool { return id == p.ID }))
		})
}

// mainContacts gives the main contacts of each of the members.
func (s *Service) mainContacts(ctx context.Context, org string, members []profile.ID) (map[profile.ID][]profile.ID, error) {
	held := make([][]profile.ID, len(members))
	err := each(ctx, len(members), func(ctx context.Context, i int) error {
		related, err := s.related(ctx, org, members[i])
		for _, p := range related {
			if p.IsMainContactOf(members[i]) {
				held[i] = append(held[i], p.ID)
			}
		}
		return err
	})
	contacts := make(map[profile.ID][]profile.ID, len(members))
	for i, member := range members {
		contacts[member] = held[i]
	}
	return contacts, err
}

// Edited is a profile after an edit, and what the edit did to logins; of a
// check, as both would be.
type Edited struct {
	View
	Changed []string `json:"changed"` // the fields that changed; none is no change at all
	// UsernameStays: the email changed, and the old one is still the username.
	UsernameStays bool `json:"usernameStays,omitempty"`
	// UsernameChoice is there where the email changes and the old one is the
	// username, and of a check alone: staff are asked before they save.
	UsernameChoice *UsernameChoice `json:"usernameChoice,omitempty"`
	// LoginsEnded: links and sessions from before are dead (N11).
	LoginsEnded bool `json:"loginsEnded,omitempty"`
	// Notices are the addresses that are told of it (H5b), the old one first.
	Notices []string `json:"notices,omitempty"`
	// AccessChange tells who may sign in now and could not before, or the
	// other way round (N12); nil when that is as it was. The right is never
	// stored: whoever lost it is refused at the next request.
	AccessChange *AccessChange `json:"accessChange,omitempty"`
}

// UsernameChoice tells what usernameToo would do.
type UsernameChoice struct {
	Possible bool   `json:"possible"`
	Username string `json:"username,omitempty"` // what it would become
	// Code and Detail are those of the problem with which usernameToo would be
	// refused: username_taken, username_invalid.
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// AccessChange is what an edit did to the right to sign in.
type AccessChange struct {
	Before profile.Right `json:"before"`
	After  profile.Right `json:"after"`
	// RelatedGain and RelatedLose count those who are related to the profile.
	RelatedGain int `json:"relatedGain"`
	RelatedLose int `json:"relatedLose"`
}

// Edit changes a profile on behalf of staff who saw its version. One
// transaction holds the profile, its new epoch when the email changed, the
// moved username where usernameToo asks for it, the activity and the notices
// to the old and the new address of a profile that has or had a password.
// What changes nothing moves no version and leaves no trace.
//
// Problems: those of [profile.Fields.Apply] and [profile.CheckRelations],
// version_stale (with "version" and "differs": the fields that the edit would
// overwrite), username_taken, username_invalid.
func (s *Service) Edit(ctx context.Context, by activity.Actor, org string, id profile.ID, version int, f profile.Fields) (*Edited, error) {
	return s.edit(ctx, by, org, id, version, f, false)
}

// CheckEdit tells what [Service.Edit] would do or be refused for, and changes
// nothing: the profile and the effects are those after the edit, Version and
// UpdatedAt those that are stored, so that nobody edits a version unseen.
func (s *Service) CheckEdit(ctx context.Context, by activity.Actor, org string, id profile.ID, version int, f profile.Fields) (*Edited, error) {
	return s.edit(ctx, by, org, id, version, f, true)
}

// errChecked ends the transaction of a check, in which everything was done as
// for an edit, without a write.
var errChecked = errors.New("directory: only checked")

func (s *Service) edit(ctx context.Context, by activity.Actor, org string, id profile.ID, version int, f profile.Fields, check bool) (*Edited, error) {
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	now := s.now()
	trial, err := s.find(ctx, org, id)
	if err != nil {
		return nil, err
	}
	if change, err := f.Apply(trial, now); err != nil {
		return nil, err
	} else if change.Has("relations") {
		if err := s.checkRelations(ctx, trial); err != nil {
			return nil, err
		}
	}

	var before, after *profile.Profile
	var change profile.Change
	var moved bool
	var choice *UsernameChoice
	var notices []*mailing.Batch
	err = s.Store.Update(ctx, func(tx Tx) error {
		moved, choice, notices = false, nil, nil
		p, err := tx.Profile(org, id)
		if err != nil {
			return err
		}
		was := *p
		before, after = &was, p
		if change, err = f.Apply(p, now); err != nil {
			return err
		}
		if was.Version != version {
			return stale(was.Version, change)
		}
		if !change.Any() {
			return nil
		}
		if change.EmailChanged {
			if err := p.EndLogins(s.Rand, now); err != nil {
				return err
			}
			if f.UsernameToo != nil && *f.UsernameToo {
				if moved, err = moveUsername(tx, p, was.Mailbox); err != nil {
					return err
				}
			}
			notices = s.notices(&was, p, moved, by, now)
		}
		for _, b := range notices {
			tx.PutBatch(b, now.Add(s.Again))
		}
		for _, e := range s.trace(&was, p, change, by, now) {
			tx.AddActivity(e)
		}
		if err := tx.PutProfile(p); err != nil || !check {
			return err
		}
		if usernameStays(&was, change) {
			if choice, err = tryUsername(tx, p, &was); err != nil {
				return err
			}
		}
		return errChecked
	})
	if err != nil && !errors.Is(err, errChecked) {
		return nil, err
	}
	if !check {
		s.ring(ctx, notices)
	}

	view, err := s.view(ctx, settings, after)
	if err != nil {
		return nil, err
	}
	edited := &Edited{
		View: *view, Changed: []string{}, LoginsEnded: change.EmailChanged,
		UsernameStays: usernameStays(before, change) && !moved, UsernameChoice: choice,
	}
	if check {
		edited.Version, edited.UpdatedAt = before.Version, before.UpdatedAt
	}
	for _, c := range change.Fields {
		edited.Changed = append(edited.Changed, c.Field)
	}
	for _, b := range notices {
		edited.Notices = append(edited.Notices, cmp.Or(b.Entries[0].Address, after.Email))
	}
	edited.AccessChange, err = s.accessChange(ctx, settings, before, after)
	return edited, err
}

// stale tells an editor what the edit would have overwritten.
func stale(version int, change profile.Change) error {
	var differs []string
	for _, c := range change.Fields {
		differs = append(differs, c.Field)
	}
	return problem.VersionStale(version, differs)
}

// usernameStays says whether the old email is the username of a profile whose
// email changed.
func usernameStays(before *profile.Profile, change profile.Change) bool {
	return change.EmailChanged && before.Username != "" && before.Username == before.Mailbox
}

// moveUsername makes the new email the username where the old one was; the
// claim moves in the same transaction, so of two who want it one gets it (H4).
func moveUsername(tx Tx, p *profile.Profile, oldMailbox string) (bool, error) {
	if p.Username == "" || p.Username != oldMailbox {
		return false, nil
	}
	name, ok := p.EmailName()
	if !ok {
		return false, problem.New(problem.Invalid, "username_invalid", "usernameToo",
			"The new email cannot be the username: it is empty or too long for one. Save without changing the username, or choose another one under credentials.")
	}
	switch err := credential.Rename(tx, p, name); {
	case errors.Is(err, credential.UsernameTaken):
		return false, problem.New(problem.Conflict, "username_taken", "email",
			"Another profile has this email as its username. Save without changing the username, or choose another one under credentials.")
	case err != nil:
		return false, err
	}
	p.CredentialVersion++
	return true, nil
}

// tryUsername moves the username of a profile whose email changed within a
// transaction that will not be kept, and tells how that goes.
func tryUsername(tx Tx, after, before *profile.Profile) (*UsernameChoice, error) {
	trial := *after
	trial.Username = before.Username
	if _, err := moveUsername(tx, &trial, before.Mailbox); err != nil {
		p := problem.As(err)
		if p.Kind != problem.Conflict && p.Kind != problem.Invalid {
			return nil, err
		}
		return &UsernameChoice{Code: p.Code, Detail: p.Detail}, nil
	}
	return &UsernameChoice{Possible: true, Username: trial.Username}, nil
}

// notices tell the old and the new address of a changed email (H5b). Neither
// names the other, and the old one stands in its own batch alone.
func (s *Service) notices(before, after *profile.Profile, moved bool, by activity.Actor, now time.Time) (all []*mailing.Batch) {
	if !before.HasPassword && !before.HadPassword {
		return nil
	}
	changes := []message.Change{message.EmailChanged}
	if moved {
		changes = append(changes, message.UsernameChanged)
	}
	if before.Email != "" {
		all = append(all, mailing.NewNotice(s.NewID(now), after, changes, message.ByStaff, by, now, before.Email))
	}
	if after.Email != "" {
		all = append(all, mailing.NewNotice(s.NewID(now), after, changes, message.ByStaff, by, now, ""))
	}
	return all
}

// trace is what an edit leaves in the trail: names of fields, with their old
// and new content only where that says nothing of the person; addresses
// masked; usernames whole, because the trail must tell whose login was whose.
func (s *Service) trace(before, after *profile.Profile, change profile.Change, by activity.Actor, now time.Time) (all []activity.Entry) {
	var fields []string
	detail := map[string]string{}
	for _, c := range change.Fields {
		if c.Field == "email" {
			continue
		}
		fields = append(fields, c.Field)
		switch c.Field {
		case "type", "status", "memberSince", "relations", "doNotEmail":
			detail["old."+c.Field], detail["new."+c.Field] = clip(c.Old), clip(c.New)
		}
	}
	if change.EmailChanged {
		all = append(all, s.note(after, by, now, activity.EmailChanged, map[string]string{"old": mask(before.Email), "new": mask(after.Email)}))
	}
	if before.Username != after.Username {
		all = append(all, s.note(after, by, now, activity.UsernameChanged, map[string]string{"old": before.Username, "new": after.Username}))
	}
	if len(fields) > 0 {
		detail["fields"] = strings.Join(fields, ", ")
		all = append(all, s.note(after, by, now, activity.ProfileEdited, detail))
	}
	return all
}

// clip bounds what twenty relations come to in words.
func clip(s string) string {
	const most = 2000
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// mask shows of an address what lets staff recognise it.
func mask(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 1 {
		return ""
	}
	_, n := utf8.DecodeRuneInString(address)
	return address[:n] + "***" + address[at:]
}

// accessChange compares the right to sign in before and after, of the profile
// and, where its own membership began or ended, of those related to it.
func (s *Service) accessChange(ctx context.Context, settings *organization.Settings, before, after *profile.Profile) (*AccessChange, error) {
	a := settings.Access
	then, err := s.Store.Targets(ctx, settings.ID, before, after)
	if err != nil {
		return nil, err
	}
	c := AccessChange{Before: a.MayEnter(before, then), After: a.MayEnter(after, then)}
	if a.IsMember(before) != a.IsMember(after) {
		if err := s.countRelated(ctx, settings, before, after, &c); err != nil {
			return nil, err
		}
	}
	if c.Before.Allowed == c.After.Allowed && c.RelatedGain == 0 && c.RelatedLose == 0 {
		return nil, nil
	}
	return &c, nil
}

func (s *Service) countRelated(ctx context.Context, settings *organization.Settings, before, after *profile.Profile, c *AccessChange) error {
	related, err := s.related(ctx, settings.ID, after.ID)
	if err != nil {
		return err
	}
	for page := range slices.Chunk(related, readTogether) {
		now, err := s.Store.Targets(ctx, settings.ID, page...)
		if err != nil {
			return err
		}
		then := make(profile.Targets, len(now))
		for id, target := range now {
			then[id] = target
		}
		then[after.ID], now[after.ID] = before, after
		for _, p := range page {
			switch right, changed := settings.Access.AccessChange(p, then, p, now); {
			case changed && right.Allowed:
				c.RelatedGain++
			case changed:
				c.RelatedLose++
			}
		}
	}
	return nil
}

// ReleaseAddress takes the mark off an address to which mail could not be
// delivered, and off the mail service's own list (H19): staff know better. It
// moves no version; without a mark nothing happens.
func (s *Service) ReleaseAddress(ctx context.Context, by activity.Actor, org string, id profile.ID) (*View, error) {
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	p, err := s.find(ctx, org, id)
	if err != nil {
		return nil, err
	}
	if p.Undeliverable == nil {
		return s.view(ctx, settings, p)
	}
	if s.Unsuppress != nil && p.Email != "" {
		address, err := username.Deliverable(p.Email)
		if err != nil {
			return nil, err
		}
		if err := s.Unsuppress(ctx, address); err != nil {
			return nil, err
		}
	}
	now := s.now()
	err = s.Store.Update(ctx, func(tx Tx) error {
		if p, err = tx.Profile(org, id); err != nil || p.Undeliverable == nil {
			return err
		}
		tx.AddActivity(s.note(p, by, now, activity.AddressReleased, map[string]string{"reason": p.Undeliverable.Reason}))
		p.Undeliverable = nil
		return tx.PutProfile(p)
	})
	if err != nil {
		return nil, err
	}
	return s.view(ctx, settings, p)
}
