package mailing

import (
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/message"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
)

// NewSingle makes a mail with links for the profiles that share one mailbox:
// a reset email, an answer to forgot login, or a renewal. Whoever calls puts
// it in the transaction of what it answers, and rings [Batch.Bell] after.
func NewSingle(kind Kind, id string, s *organization.Settings, by activity.Actor, now time.Time, taken bool, to ...profile.ID) *Batch {
	e := Entry{Taken: taken}
	for _, p := range to {
		e.Recipients = append(e.Recipients, Recipient{Profile: p})
	}
	return &Batch{
		Organization: s.ID, ID: id, Kind: kind, Entries: []Entry{e},
		Single: &Single{RequestedAt: now, RequestedBy: by, Ends: now.Add(s.SingleLinkLife())},
	}
}

// NewNotice makes the mail that tells a profile what changed on its login
// (H5b). address is empty for the address on file when it is sent; a changed
// email gives the old one.
func NewNotice(id string, p *profile.Profile, changes []message.Change, how message.Actor, by activity.Actor, now time.Time, address string) *Batch {
	n := &message.Notice{
		Name: p.Name(), ProfileID: string(p.ID), Username: p.Username, Changes: changes, By: how, ToOldAddress: address != "",
	}
	if p.OrganizationName != n.Name {
		n.OrganizationName = p.OrganizationName
	}
	return &Batch{
		Organization: p.Organization, ID: id, Kind: KindNotice,
		Entries: []Entry{{Recipients: []Recipient{{Profile: p.ID}}, Address: address}},
		Single:  &Single{RequestedAt: now, RequestedBy: by, Notice: n},
	}
}

// Bell is what to ring for a single batch.
func (b *Batch) Bell() Bell {
	return Bell{V: 1, Kind: RingSingle, Organization: b.Organization, ID: b.ID, Behind: b.Single.Behind}
}
