package store

import (
	"fmt"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/profile"
)

// The key schema, all of it. Every partition begins with the organization, so
// another tenant's items cannot be named by mistake (H21).
//
//	table        partition                      sort                    holds
//	profiles     {org}                          settings                organization.Settings
//	profiles     {org}#{profile}                profile                 profile.Profile
//	profiles     {org}#{profile}                related#{other}         reverse relation: other is related to profile
//	profiles     {org}#names                    {name}\0{profile}        all in order of name
//	profiles     {org}#mailboxes                {mailbox}#{profile}     all in order of mailbox; who shares one stands together
//	profiles     {org}#find#{range}#{begin}     {words}\0{profile}       profile.Hit
//	profiles     {org}#username#{name}          claim                   who has a username
//	credentials  {org}#{profile}                credential              credential.Credential with its hash
//	sessions     {org}#session#{hash}           session                 session.Session
//	sessions     {org}#attempts#{hash}          attempts                session.Attempts
//	sessions     {org}#device#{hash}            device                  session.Device
//	links        {org}#{page}                   page                    link.Page
//	mailings     {org}#mailings                 {mailing}               mailing.Mailing
//	mailings     {org}#mailing#{id}             content                 mailing.Content, as edited
//	mailings     {org}#mailing#{id}             frozen#{gen}            mailing.Content, as frozen
//	mailings     {org}#mailing#{id}#{gen}       lane#{nn}               mailing.Lane
//	mailings     {org}#mailing#{id}#{gen}       batch#{nn}#{index}      mailing.Batch
//	mailings     {org}#mailing#{id}#{gen}       stretch#{first}         mailing.Stretch
//	mailings     {org}#single#{id}              batch                   mailing.Batch of one
//	mailings     {org}#last#{profile}           single                  the profile's last link mail of its own
//	mailings     {org}#request#{id}             request                 mailing.Request
//	mailings     {org}#asked#{hash}             asked                   mailing.Asked: forgot logins of a mailbox
//	mailings     {org}#{templates|audiences}    {id}                    saved messages, saved filters
//	mailings     {org}#once                     {hash}                  what an idempotency key made
//	mailings     pace                           pace                    mailing.Pace, of the whole account
//	activity     {org}#profile#{profile}        {id}                    activity.Entry
//	activity     {org}#day#{yyyy-mm-dd}         {id}                    activity.Entry
func settingsKey(org string) Key { return Key{Profiles, org, "settings"} }

func profileKey(org string, id profile.ID) Key {
	return Key{Profiles, org + "#" + string(id), "profile"}
}

func relatedKey(org string, to, from profile.ID) Key {
	return Key{Profiles, org + "#" + string(to), "related#" + string(from)}
}

func nameKey(p *profile.Profile) Key {
	return Key{Profiles, p.Organization + "#names", profile.OrderKey(p)}
}

func mailboxKey(p *profile.Profile) Key {
	return Key{Profiles, p.Organization + "#mailboxes", mailing.Place(p)}
}

// idOfPlace is the profile ID at the end of a name's or mailbox's sort key.
func idOfPlace(sort string) profile.ID {
	return profile.ID(sort[strings.LastIndexAny(sort, "#\x00")+1:])
}

func searchPartition(org, kind, begin string) string { return org + "#find#" + kind + "#" + begin }

func claimKey(org, username string) Key {
	return Key{Profiles, org + "#username#" + username, "claim"}
}

func credentialKey(org string, id profile.ID) Key {
	return Key{Credentials, org + "#" + string(id), "credential"}
}

func sessionKey(org, hash string) Key  { return Key{Sessions, org + "#session#" + hash, "session"} }
func attemptsKey(org, hash string) Key { return Key{Sessions, org + "#attempts#" + hash, "attempts"} }
func deviceKey(org, hash string) Key   { return Key{Sessions, org + "#device#" + hash, "device"} }

func pageKey(org, page string) Key { return Key{Links, org + "#" + page, "page"} }

func mailingKey(org, id string) Key { return Key{Mailings, org + "#mailings", id} }
func contentKey(org, id string) Key { return Key{Mailings, org + "#mailing#" + id, "content"} }
func frozenKey(org, id string, generation int) Key {
	return Key{Mailings, org + "#mailing#" + id, fmt.Sprintf("frozen#%d", generation)}
}

func runPartition(org, id string, generation int) string {
	return fmt.Sprintf("%s#mailing#%s#%d", org, id, generation)
}

func laneKey(org, id string, generation, lane int) Key {
	return Key{Mailings, runPartition(org, id, generation), fmt.Sprintf("lane#%02d", lane)}
}

func batchSort(lane, index int) string { return fmt.Sprintf("batch#%02d#%08d", lane, index) }

func batchKey(b *mailing.Batch) Key {
	if b.Mailing == "" {
		return singleKey(b.Organization, b.ID)
	}
	return Key{Mailings, runPartition(b.Organization, b.Mailing, b.Generation), batchSort(b.Lane, b.Index)}
}

func singleKey(org, id string) Key { return Key{Mailings, org + "#single#" + id, "batch"} }
func lastKey(org string, id profile.ID) Key {
	return Key{Mailings, org + "#last#" + string(id), "single"}
}
func requestKey(org, id string) Key     { return Key{Mailings, org + "#request#" + id, "request"} }
func askedKey(org, hash string) Key     { return Key{Mailings, org + "#asked#" + hash, "asked"} }
func savedKey(org, kind, id string) Key { return Key{Mailings, org + "#" + kind, id} }
func onceKey(org, key string) Key       { return Key{Mailings, org + "#once", key} }
func paceKey() Key                      { return Key{Mailings, "pace", "pace"} }
func dayPartition(org string, t time.Time) string {
	return org + "#day#" + t.UTC().Format(time.DateOnly)
}
