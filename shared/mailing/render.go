package mailing

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/username"
)

// Association is what mails show of an organization.
func Association(s *organization.Settings) message.Association {
	return message.Association{
		Name: s.Name, LogoURL: s.LogoURL, Website: s.Website, Phone: s.HelpPhone, Email: s.HelpEmail, Hours: s.HelpHours,
		SignInURL: s.Portal("/sign-in"),
	}
}

// render makes the mail of one entry.
func (r *run) render(ctx context.Context, b *Batch, i int, going []*profile.Profile, page *link.Page) (Mail, error) {
	e := &b.Entries[i]
	mail := Mail{To: e.Address, Tag: Tag(b, i)}
	var url func(*profile.Profile) (string, error)
	if page != nil {
		url = func(p *profile.Profile) (string, error) {
			token, err := page.Mint(r.Rand, p.ID, p.Epoch)
			return r.settings.Portal("/set-password/" + token.Reveal()), err
		}
	}
	all, err := r.together(ctx, b, e, going, url)
	if err != nil {
		return Mail{}, err
	}
	if r.compiled != nil && b.Kind == KindMailing {
		v := message.Join(all...)
		begin := len(r.data)
		r.data = r.compiled.AppendTemplateData(r.data, &v)
		mail.Data = r.data[begin:len(r.data):len(r.data)]
		return mail, nil
	}
	rendered, err := r.standard(ctx, b, all)
	if err != nil {
		return Mail{}, err
	}
	mail.Data = rendered.AppendTemplateData(nil)
	return mail, nil
}

// together says what a mail tells of each of those who share it; delivery and
// preview both ask it (H16). url makes the links, nil for a mail without.
//
// The mailbox becomes the username of a profile without one unless somebody
// has it already, or two of this mail would have to share it (H13).
func (r *run) together(ctx context.Context, b *Batch, e *Entry, going []*profile.Profile, url func(*profile.Profile) (string, error)) ([]message.Values, error) {
	taken, without, ask := e.Taken, 0, b.Kind != KindMailing
	for _, p := range going {
		if p.Username == "" {
			without++
		}
		ask = ask || p.EpochAt.After(r.mailing.Freeze.At) // no more as the freeze saw it
	}
	if mailbox := going[0].Mailbox; ask && without > 0 && mailbox != "" {
		id, err := r.Store.Claim(ctx, b.Organization, mailbox)
		if err != nil {
			return nil, err
		}
		taken = id != ""
	}
	all := make([]message.Values, len(going))
	for n, p := range going {
		all[n] = r.values(p)
		if url == nil {
			continue
		}
		l := &all[n].Logins[0]
		var err error
		if l.URL, err = url(p); err != nil {
			return nil, err
		}
		l.Ends = r.ends
		switch {
		case p.Username != "":
		case taken:
			l.Username, l.UsernameNote = "", message.ChooseUsername
		case without > 1:
			l.Username, l.UsernameNote = "", message.EmailOrChosen
		}
	}
	return all, nil
}

// standard renders a single mail.
func (r *run) standard(ctx context.Context, b *Batch, all []message.Values) (message.Rendered, error) {
	var logins []message.Login
	for _, v := range all {
		logins = append(logins, v.Logins...)
	}
	switch b.Kind {
	case KindReset:
		return message.Reset(r.about, logins[0], message.StaffSent), nil
	case KindRenewal:
		return message.Reset(r.about, logins[0], message.Renewed), nil
	case KindForgot:
		return message.ForgotLogin(r.about, logins), nil
	case KindNotice:
		notice := *b.Single.Notice
		notice.At = message.Moment(b.Single.RequestedAt, r.zone)
		return message.NoticeOf(r.about, notice), nil
	case KindTest:
		return r.test(ctx, b)
	}
	return message.Rendered{}, fmt.Errorf("mailing: no mail of kind %q", b.Kind)
}

// date writes the day as a mail shows it, where the organization is.
func (r *run) date(t time.Time) string { return t.In(r.zone).Format("2 January 2006") }

// values are what a mail says of one profile.
func (r *run) values(p *profile.Profile) message.Values {
	l := message.Login{Name: p.Name(), OrganizationName: p.OrganizationName, ProfileID: string(p.ID), Username: p.Username}
	if l.Username == "" {
		if name, ok := username.FromEmail(username.Mailbox(p.Mailbox)); ok {
			l.Username = string(name)
		} else {
			l.UsernameNote = message.ChooseUsername
		}
	}
	if l.OrganizationName == l.Name {
		l.OrganizationName = ""
	}
	return message.Values{
		// A company, which has no first name, is greeted by its name.
		FirstName: cmp.Or(p.FirstName, p.Name()), LastName: p.LastName, Name: p.Name(), OrganizationName: p.OrganizationName,
		ProfileID: string(p.ID), Association: r.about, Today: r.today, Logins: []message.Login{l},
	}
}
