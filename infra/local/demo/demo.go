// Package demo is the small association that the first start of the local
// system loads: companies with employees, people who share a mailbox, somebody
// without an email, a lapsed member. All of them are invented.
package demo

import (
	"context"
	_ "embed"
	"fmt"
	"net/url"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/directory"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/store"
)

// Organization is the demo association's id.
const Organization = "demo"

//go:embed demo.csv
var people []byte

// Settings are the demo association's, for a system at address.
func Settings(address string) (organization.Settings, error) {
	s := organization.Defaults(Organization, "Harbour Chamber of Commerce")
	u, err := url.Parse(address)
	if err != nil {
		return s, err
	}
	s.PortalAddress = u.Scheme + "://" + u.Host
	s.Website = "https://www.harbour-chamber.example.org"
	s.HelpPhone, s.HelpEmail, s.HelpHours = "+44 20 7946 0123", "office@harbour-chamber.example.org", "Monday to Friday, 9 to 5"
	s.SenderName, s.SenderAddress = "Harbour Chamber", "office@harbour-chamber.example.org"
	s.TestAddresses = []string{"office@harbour-chamber.example.org"}
	s.TimeZone = "Europe/London"
	s.KeepSignedInDays = 30
	return s, nil
}

// local says whether an address is this machine's, as the first start sets it.
// One that somebody has settled since is left alone.
func local(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Hostname() == "localhost"
}

// Load stores the association, unless it is there already. A portal address on
// this machine follows the address of the system, so that links lead where it
// listens.
func Load(ctx context.Context, s *store.Store, d *directory.Service, address string) (loaded bool, err error) {
	settings, err := Settings(address)
	if err != nil {
		return false, err
	}
	err = s.Update(ctx, func(tx *store.Tx) error {
		stored, err := tx.Organization(Organization)
		if err != nil {
			return err
		}
		if loaded = stored == nil; loaded {
			settings.Version = 1
			tx.PutOrganization(&settings)
		} else if local(stored.PortalAddress) && stored.PortalAddress != settings.PortalAddress {
			stored.PortalAddress = settings.PortalAddress
			tx.PutOrganization(stored)
		}
		return nil
	})
	if err != nil || !loaded {
		return false, err
	}
	result, err := d.Import(ctx, activity.Actor{Kind: activity.System, ID: "demo", Name: "first start"}, Organization, people, false)
	if err != nil {
		return false, err
	}
	if result.Refused > 0 || !result.Complete {
		return false, fmt.Errorf("demo: %d people refused", result.Refused)
	}
	return true, nil
}
