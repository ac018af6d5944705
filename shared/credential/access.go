package credential

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
)

// Check is one part of the answer to "can they sign in?" (N7). Codes:
//
//	may_enter            status, relations and the access level let them in
//	login_enabled        staff have not disabled the login
//	username_set         there is a username
//	username_is_email    it is the email, so that people need to remember one thing
//	password_set         there is a password
//	password_works       it is none that staff typed and that has run out
//	password_own         it need not be changed at the next sign-in
//	not_waiting          no wait, and no lock, after repeated failures
//	email_set            there is an email for links and notices
//	email_own            nobody else has the mailbox
//	email_deliverable    mail to it has not come back
//	email_wanted         no do-not-email mark
//	link_works           the last link sent still works; ok where none is needed
type Check struct {
	Code   string `json:"code"`
	OK     bool   `json:"ok"`
	Blocks bool   `json:"blocks"` // not ok, and alone enough to keep them out
	Detail string `json:"detail"`
	Fix    *Fix   `json:"fix,omitempty"`
}

// Fix is what staff can do about a check that is not ok. Actions: edit_profile,
// enable, set_username, set_password, send_reset, send_to_main_contact, unlock,
// release_address. Profile is whom to act on where it is another one.
type Fix struct {
	Action  string     `json:"action"`
	Detail  string     `json:"detail"`
	Profile profile.ID `json:"profile,omitempty"`
}

// Access goes through everything that decides whether a profile can sign in.
func (s *Service) Access(ctx context.Context, org string, id profile.ID) ([]Check, error) {
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	p, err := s.profile(ctx, org, id)
	if err != nil {
		return nil, err
	}
	targets, err := s.Store.Targets(ctx, org, p)
	if err != nil {
		return nil, err
	}
	v, err := s.view(ctx, p)
	if err != nil {
		return nil, err
	}
	a := answer{settings: settings, p: p, v: v, now: s.now()}
	a.entry(targets)
	a.login()
	if err := s.waits(ctx, &a); err != nil {
		return nil, err
	}
	if err := s.mailbox(ctx, &a); err != nil {
		return nil, err
	}
	a.mail()
	return a.checks, nil
}

// answer gathers the checks.
type answer struct {
	settings *organization.Settings
	p        *profile.Profile
	v        *View
	now      time.Time
	checks   []Check
}

func (a *answer) ok(code, format string, args ...any) {
	a.checks = append(a.checks, Check{Code: code, OK: true, Detail: fmt.Sprintf(format, args...)})
}

// no adds a check that failed; fix may be nil.
func (a *answer) no(code string, blocks bool, fix *Fix, format string, args ...any) {
	a.checks = append(a.checks, Check{Code: code, Blocks: blocks, Fix: fix, Detail: fmt.Sprintf(format, args...)})
}

func (a *answer) moment(t time.Time) string { return message.Moment(t, a.settings.Zone()) }

// entry tells of the right to enter, apart from the disabling of the login.
func (a *answer) entry(targets profile.Targets) {
	p := *a.p
	p.Disabled = false
	right := a.settings.Access.MayEnter(&p, targets)
	level := strings.ReplaceAll(string(a.settings.Access.Level), "_", " ")
	own := &Fix{Action: "edit_profile", Detail: "Correct the status or the relations, if they are not right."}
	switch right.Reason {
	case "member":
		a.ok("may_enter", "The status %s is one of a member.", p.Status)
	case "main_contact":
		a.ok("may_enter", "Main contact of profile %s, which is a member.", right.Via)
	case "primary_relation", "related":
		a.ok("may_enter", "Related to profile %s, which is a member.", right.Via)
	case "any_active":
		a.ok("may_enter", "The access level lets in every status but dropped.")
	case "dropped":
		a.no("may_enter", true, own, "The status is dropped.")
	case "relation_ended":
		a.no("may_enter", true, own, "The status %s is none of a member, and the relation to profile %s is over.", p.Status, right.Via)
	case "member_lapsed":
		a.no("may_enter", true, &Fix{Action: "edit_profile", Detail: "Correct the status of that profile, if it is not right.", Profile: right.Via},
			"The status %s is none of a member, and profile %s, to which there is a relation, is no member now.", p.Status, right.Via)
	case "relation_not_enough":
		a.no("may_enter", true, own, "The relation to member %s is not enough for the access level “%s”.", right.Via, level)
	default:
		a.no("may_enter", true, own, "The status %s is none of a member, and there is no relation to a member.", p.Status)
	}
	if a.p.Disabled {
		a.no("login_enabled", true, &Fix{Action: "enable", Detail: "Enable the login."}, "The login is disabled.")
	} else {
		a.ok("login_enabled", "The login is enabled.")
	}
}

// login tells of username and password.
func (a *answer) login() {
	p, v := a.p, a.v
	reset := &Fix{Action: "send_reset", Detail: "Send a password reset email."}
	if p.Email == "" {
		reset = &Fix{Action: "set_password", Detail: "Set a password, or enter an email address and send a password reset email."}
	}
	email, usable := p.EmailName()
	switch {
	case p.Username != "":
		a.ok("username_set", "The username is %s.", p.Username)
	case usable:
		a.no("username_set", true, reset, "There is no username yet; the email becomes it with the first password, or another is chosen where that is taken.")
	default:
		a.no("username_set", true, &Fix{Action: "set_username", Detail: "Enter a username."}, "There is no username yet, and no email that could become it.")
	}
	if p.Username != "" && p.Username != email {
		a.no("username_is_email", false, nil, "The username is not the email address. The member may try to sign in with the other.")
	} else if p.Username != "" {
		a.ok("username_is_email", "The username is the email address.")
	}
	if !v.PasswordSet {
		a.no("password_set", true, reset, "No password has been set.")
		return
	}
	a.ok("password_set", "A password was set on %s.", a.moment(v.PasswordChangedAt))
	switch {
	case v.Stopped:
		a.no("password_works", true, reset, "The password was typed by staff and stopped working on %s.", a.moment(v.StopsAt))
	case !v.StopsAt.IsZero():
		a.ok("password_works", "The password was typed by staff and works until %s unless it is changed.", a.moment(v.StopsAt))
	default:
		a.ok("password_works", "The password does not run out.")
	}
	if v.MustChange {
		a.no("password_own", false, nil, "The password must be changed at the next sign-in.")
	} else {
		a.ok("password_own", "The password need not be changed.")
	}
}

// waits tells of the wait, or the lock, after repeated failures.
func (s *Service) waits(ctx context.Context, a *answer) error {
	var wait Wait
	for _, name := range []string{a.p.Username, a.p.Mailbox} {
		if name == "" {
			continue
		}
		w, err := s.Store.Wait(ctx, a.p.Organization, AttemptsKey(a.p.Organization, name))
		if err != nil {
			return err
		}
		if w.Until.After(wait.Until) { // a lock outlasts every wait
			wait = w
		}
	}
	switch {
	case !wait.Until.After(a.now):
		a.ok("not_waiting", "There is no wait after failures.")
	case wait.Locked:
		a.no("not_waiting", true, &Fix{Action: "unlock", Detail: "Unlock the login, or send a password reset email."},
			"After very many failures no password is taken any more. Waiting does not help; a password set with a link does, or unlocking the login.")
	default:
		a.no("not_waiting", true, &Fix{Action: "unlock", Detail: "End the wait."}, "After repeated failures signing in has to wait until %s.", a.moment(wait.Until))
	}
	return nil
}

// mailbox tells of the email address and who else has it.
func (s *Service) mailbox(ctx context.Context, a *answer) error {
	p := a.p
	if p.Email == "" {
		contacts, err := mainContacts(ctx, s.Store, p)
		if err != nil {
			return err
		}
		for _, c := range contacts {
			if c.Email != "" && !c.Disabled {
				a.no("email_set", false, &Fix{Action: "send_to_main_contact", Detail: "Send the password reset email to the main contact; it names whose login it is.", Profile: c.ID},
					"There is no email; its main contact is %s (profile %s).", c.Name(), c.ID)
				return nil
			}
		}
		a.no("email_set", false, &Fix{Action: "edit_profile", Detail: "Enter an email address."}, "There is no email, so no link can be sent.")
		return nil
	}
	a.ok("email_set", "The email is %s.", p.Email)
	others, err := sharing(ctx, s.Store, p)
	if err != nil {
		return err
	}
	if len(others) == 0 {
		a.ok("email_own", "Nobody else has this mailbox.")
		return nil
	}
	names := make([]string, len(others))
	for i, o := range others {
		names[i] = fmt.Sprintf("%s (profile %s)", o.Name(), o.ID)
	}
	a.no("email_own", false, nil, "The mailbox is shared with %s. Each signs in with a username of its own.", strings.Join(names, ", "))
	return nil
}

// mail tells what became of mail to the profile.
func (a *answer) mail() {
	p := a.p
	if p.Email != "" {
		if u := p.Undeliverable; u != nil {
			a.no("email_deliverable", false, &Fix{Action: "release_address", Detail: "Correct the address, or release it if it works again."},
				"Mail to the address came back on %s (%s).", a.moment(u.At), u.Reason)
		} else {
			a.ok("email_deliverable", "No mail to the address has come back.")
		}
		if p.DoNotEmail {
			a.no("email_wanted", false, nil, "The profile is marked do-not-email: mailings leave it out; a single password reset email is still sent.")
		} else {
			a.ok("email_wanted", "The profile is not marked do-not-email.")
		}
	}
	fix := &Fix{Action: "send_reset", Detail: "Send a password reset email."}
	if p.Email == "" {
		fix = nil
	}
	switch l := a.v.LastLink; {
	case l == nil && a.v.PasswordSet:
		a.ok("link_works", "No link was sent lately, and none is needed.")
	case l == nil:
		a.no("link_works", false, fix, "No link was sent yet.")
	case failed(l.State):
		a.no("link_works", false, fix, "The last link, of %s, did not arrive (%s).", a.moment(l.SentAt), l.State)
	case a.now.Before(l.EndsAt):
		a.ok("link_works", "A link was sent on %s; it works until %s.", a.moment(l.SentAt), a.moment(l.EndsAt))
	case a.v.PasswordSet:
		a.ok("link_works", "The last link, of %s, ended on %s; none is needed.", a.moment(l.SentAt), a.moment(l.EndsAt))
	default:
		a.no("link_works", false, fix, "The last link, of %s, ended on %s.", a.moment(l.SentAt), a.moment(l.EndsAt))
	}
}

// failed says whether a mail with a link surely did not arrive.
func failed(o mailing.Outcome) bool {
	return o == mailing.Bounced || o == mailing.Failed || o == mailing.Skipped
}

// around is what is read of the profiles around one.
type around interface {
	Profiles(ctx context.Context, org string, ids []profile.ID) (map[profile.ID]*profile.Profile, error)
	Related(ctx context.Context, org string, id, after profile.ID, limit int) (ids []profile.ID, more bool, err error)
	AtMailbox(ctx context.Context, org, mailbox string, limit int) ([]profile.ID, error)
}

// maxSharing is how many people who share a mailbox are told.
const maxSharing = 10

// sharing finds who else has the mailbox of p.
func sharing(ctx context.Context, store around, p *profile.Profile) ([]*profile.Profile, error) {
	ids, err := store.AtMailbox(ctx, p.Organization, p.Mailbox, maxSharing+1)
	if err != nil {
		return nil, err
	}
	return inOrder(ctx, store, p, ids, func(o *profile.Profile) bool { return o.ID != p.ID && o.Mailbox == p.Mailbox })
}

// maxRelated bounds the search for the main contacts of a company.
const maxRelated = 1000

// mainContacts finds the main contacts of an organization profile.
func mainContacts(ctx context.Context, store around, p *profile.Profile) ([]*profile.Profile, error) {
	if p.Type != profile.Organization {
		return nil, nil
	}
	var contacts []*profile.Profile
	var after profile.ID
	for read := 0; read < maxRelated && len(contacts) < profile.MaxMainContacts; {
		ids, more, err := store.Related(ctx, p.Organization, p.ID, after, 100)
		if err != nil {
			return nil, err
		}
		found, err := inOrder(ctx, store, p, ids, func(o *profile.Profile) bool { return o.IsMainContactOf(p.ID) })
		if err != nil {
			return nil, err
		}
		contacts = append(contacts, found...)
		if !more || len(ids) == 0 {
			break
		}
		after = ids[len(ids)-1]
		read += len(ids)
	}
	return contacts, nil
}

func inOrder(ctx context.Context, store around, p *profile.Profile, ids []profile.ID, want func(*profile.Profile) bool) ([]*profile.Profile, error) {
	all, err := store.Profiles(ctx, p.Organization, ids)
	if err != nil {
		return nil, err
	}
	var found []*profile.Profile
	for _, id := range ids {
		if o := all[id]; o != nil && want(o) {
			found = append(found, o)
		}
	}
	return found, nil
}
