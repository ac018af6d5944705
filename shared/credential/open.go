package credential

import (
	"context"
	"errors"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// Sample is the state of the link in previews and tests: the real page, inert
// (H8). It stands beside the states of package link.
const Sample link.State = "sample"

// Opened is what the page of a link shows.
type Opened struct {
	State    link.State
	Settings *organization.Settings

	// Whose login it is. Empty for an unknown link; of the sample they are
	// made up.
	Name, OrganizationName, ProfileID string

	// Username is the one that the person has, or will have by setting a
	// password. It is told for a live link alone: a dead one may lie in a
	// mailbox that is no longer the person's.
	Username string
	// ChooseUsername: there is none, and the email cannot become one (H9).
	ChooseUsername bool
	Suggestions    []string // free ones, if ChooseUsername

	Ends   time.Time     // of the link; zero where it is unknown
	UsedAt time.Time     // if State is link.Used
	Right  profile.Right // why not, if State is link.NotAllowed

	Policy password.Policy // its Rule and PasswordRules stand on the page
}

// CanRenew says whether the page offers "send me a new one".
func (o *Opened) CanRenew() bool { return renewable(o.State) }

func renewable(s link.State) bool { return s == link.Ended || s == link.NotAllowed }

// found is a link with everything that decides what it can do.
type found struct {
	settings *organization.Settings
	page     *link.Page
	entry    link.Entry
	profile  *profile.Profile
	targets  profile.Targets
	right    profile.Right
	used     *Credential
	state    link.State
}

// find looks a token up, as it came in an address. It changes nothing.
func (s *Service) find(ctx context.Context, org, text string) (*found, error) {
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	f := &found{settings: settings, state: link.Unknown}
	token, id, ok := link.Parse(text)
	if !ok {
		return f, nil
	}
	page, err := s.Store.Page(ctx, org, id)
	if page == nil || err != nil {
		return f, err
	}
	entry, ok := page.Find(token)
	if !ok {
		return f, nil
	}
	p, err := s.Store.Profile(ctx, org, entry.Profile)
	if problem.As(err).Kind == problem.NotFound {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	f.page, f.entry, f.profile = page, entry, p
	if f.used, err = s.Store.Credential(ctx, org, p.ID); err != nil {
		return nil, err
	}
	if f.targets, err = s.Store.Targets(ctx, org, p); err != nil {
		return nil, err
	}
	revoked, err := s.revoked(ctx, page)
	if err != nil {
		return nil, err
	}
	f.right = settings.Access.MayEnter(p, f.targets)
	f.state = f.stateOf(p, f.used, f.right, revoked, s.now())
	return f, nil
}

func (f *found) stateOf(p *profile.Profile, c *Credential, right profile.Right, revoked bool, now time.Time) link.State {
	condition := link.Condition{Now: now, Epoch: p.Epoch, Right: right, Revoked: revoked}
	if c != nil {
		condition.UsedBy = c.UsedLink
	}
	return f.page.State(f.entry, condition)
}

// revoked says whether the links of the page's mailing were revoked after they
// were minted (H18).
func (s *Service) revoked(ctx context.Context, page *link.Page) (bool, error) {
	if page.Mailing == "" {
		return false, nil
	}
	m, err := s.Store.Mailing(ctx, page.Organization, page.Mailing)
	if err != nil {
		if problem.As(err).Kind == problem.NotFound {
			return false, nil // what is gone was never revoked
		}
		return false, err
	}
	return !m.LinksRevokedAt.IsZero() && !page.Minted.After(m.LinksRevokedAt), nil
}

// OpenLink tells what the page of a link shows. It changes nothing, whoever
// opens it and how often (H7).
func (s *Service) OpenLink(ctx context.Context, org, token string) (*Opened, error) {
	if token == mailing.SampleToken {
		return s.openSample(ctx, org)
	}
	f, err := s.find(ctx, org, token)
	if err != nil {
		return nil, err
	}
	o := &Opened{State: f.state, Settings: f.settings, Policy: PolicyOf(f.settings, nil, "")}
	if f.state == link.Unknown {
		return o, nil
	}
	p := f.profile
	o.Name, o.OrganizationName, o.ProfileID, o.Ends = p.Name(), p.Company(), string(p.ID), f.page.Ends
	switch f.state {
	case link.Used:
		o.UsedAt = f.used.UsedAt
	case link.NotAllowed:
		o.Right = f.right
	case link.Live:
		if o.Username, err = s.nameToBe(ctx, p); err != nil {
			return nil, err
		}
		if o.Username == "" {
			o.ChooseUsername = true
			if o.Suggestions, err = s.suggest(ctx, p); err != nil {
				return nil, err
			}
		}
		o.Policy = PolicyOf(f.settings, p, o.Username)
	}
	return o, nil
}

// openSample is the page as a live link of somebody made up shows it.
func (s *Service) openSample(ctx context.Context, org string) (*Opened, error) {
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	return &Opened{
		State: Sample, Settings: settings, Name: "Sample Person", ProfileID: "1000", Username: "sample.person@example.com",
		Ends: s.now().Add(settings.SingleLinkLife()), Policy: PolicyOf(settings, nil, ""),
	}, nil
}

// nameToBe is the username that p has, or gets with its first password; ""
// where one must be chosen (H9).
func (s *Service) nameToBe(ctx context.Context, p *profile.Profile) (string, error) {
	if p.Username != "" {
		return p.Username, nil
	}
	name, ok := p.EmailName()
	if !ok {
		return "", nil
	}
	holder, err := s.Store.Claim(ctx, p.Organization, name)
	if err != nil || holder != "" && holder != p.ID {
		return "", err
	}
	return name, nil
}

// Renew is "send me a new one" on a dead link's page (H8). Whatever becomes of
// it the answer is the same; the mail goes to the address on file, by way of a
// request that is worked behind the queue like forgot login.
func (s *Service) Renew(ctx context.Context, org, token string, from activity.Actor) error {
	f, err := s.find(ctx, org, token)
	if err != nil {
		return err
	}
	if !renewable(f.state) {
		return nil
	}
	now := s.now()
	r := &mailing.Request{
		Organization: org, ID: s.NewID(now), At: now, Actor: member(f.profile, from), RenewFor: f.profile.ID,
	}
	if err := s.Store.Update(ctx, func(tx Tx) error {
		tx.PutRequest(r, now.Add(s.Again))
		return nil
	}); err != nil {
		return err
	}
	s.means().ringBell(ctx, mailing.Bell{V: 1, Kind: mailing.RingRequest, Organization: org, ID: r.ID})
	return nil
}

// What a link that cannot be used is refused with. Its page, opened again with
// [Service.OpenLink], helps.
var (
	linkUnknown    = problem.New(problem.NotFound, "link_unknown", "", "This address is incomplete or unknown. Please open the link in the mail again, or have a new link sent to you.")
	linkUsed       = problem.New(problem.Conflict, "link_used", "", "A password was set with this link already. Please sign in.")
	linkEnded      = problem.New(problem.Conflict, "link_ended", "", "This link no longer works. Please ask for a new one.")
	linkNotAllowed = problem.New(problem.Refused, "link_not_allowed", "", "This login cannot be used at present. Please ask our help line.")
	linkSample     = problem.New(problem.Refused, "link_sample", "", "This is a sample: nothing was changed.")
)

var linkRefusals = map[link.State]*problem.Problem{
	link.Unknown: linkUnknown, link.Used: linkUsed, link.Ended: linkEnded, link.NotAllowed: linkNotAllowed,
}

// LinkState tells which state of a link an error of [Service.SetByLink] speaks
// of; "" where it is another error.
func LinkState(err error) link.State {
	if errors.Is(err, linkSample) {
		return Sample
	}
	for state, refusal := range linkRefusals {
		if errors.Is(err, refusal) {
			return state
		}
	}
	return ""
}
