package mailing

import (
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
	first := going[0]
	taken := e.Taken
	if first.Username == "" && first.Mailbox != "" && (b.Kind != KindMailing || first.EpochAt.After(r.mailing.Freeze.At)) {
		var err error
		if taken, err = r.mailboxTaken(ctx, b.Organization, first.Mailbox); err != nil {
			return Mail{}, err
		}
	}
	without := 0
	for _, p := range going {
		if p.Username == "" {
			without++
		}
	}
	all := make([]message.Values, len(going))
	for n, p := range going {
		all[n] = r.values(p)
		if page == nil {
			continue
		}
		token, err := page.Mint(r.Rand, p.ID, p.Epoch)
		if err != nil {
			return Mail{}, err
		}
		l := &all[n].Logins[0]
		l.URL = r.settings.Portal("/set-password/" + token.Reveal())
		l.Ends = r.ends
		if p.Username == "" && (taken || without > 1) {
			l.Username, l.UsernameNote = "", message.ChooseUsername
		}
	}
	mail := Mail{To: e.Address, Tag: Tag(b, i)}
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

// test renders a mailing as a test: as the chosen profile, with the sample link.
func (r *run) test(ctx context.Context, b *Batch) (message.Rendered, error) {
	content, err := r.Store.Content(ctx, b.Organization, b.Single.TestOf)
	if err != nil {
		return message.Rendered{}, err
	}
	if content.Compiled == nil {
		return message.Rendered{}, errNoMessage
	}
	rendered, err := Preview(ctx, r.Store, r.settings, content.Compiled, b.Single.As, r.Now())
	rendered.Subject = "[Test] " + rendered.Subject
	return rendered, err
}

// SampleToken stands in links of previews and tests; it opens the sample page
// and nothing else (N2).
const SampleToken = "sample"

// Preview renders a message as one profile would get it, by the code that
// sends it, with a link that opens only the sample page (H16).
func Preview(ctx context.Context, store Store, settings *organization.Settings, compiled *message.Compiled, as profile.ID, now time.Time) (message.Rendered, error) {
	p, err := store.Profile(ctx, settings.ID, as)
	if err != nil {
		return message.Rendered{}, err
	}
	r := &run{Delivery: &Delivery{Store: store, Now: func() time.Time { return now }}, settings: settings, about: Association(settings), zone: settings.Zone()}
	r.today = r.date(now)
	v := r.values(p)
	l := &v.Logins[0]
	l.URL = settings.Portal("/set-password/" + SampleToken)
	l.Ends = message.Moment(now.Add(settings.MailingLinkLife()), r.zone)
	if p.Username == "" {
		taken, err := r.mailboxTaken(ctx, settings.ID, p.Mailbox)
		if err != nil {
			return message.Rendered{}, err
		}
		if taken {
			l.Username, l.UsernameNote = "", message.ChooseUsername
		}
	}
	return compiled.Render(&v), nil
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
		FirstName: p.FirstName, LastName: p.LastName, Name: p.Name(), OrganizationName: p.OrganizationName, ProfileID: string(p.ID),
		Association: r.about, Today: r.today, Logins: []message.Login{l},
	}
}

// mailboxTaken says whether somebody has the mailbox as username.
func (r *run) mailboxTaken(ctx context.Context, org, mailbox string) (bool, error) {
	if mailbox == "" {
		return false, nil
	}
	id, err := r.Store.Claim(ctx, org, mailbox)
	return id != "", err
}
