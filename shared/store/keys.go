package store

import (
	"fmt"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/profile"
)

// The key schema, all of it. Every partition but that of the account's pace
// begins with the organization, so another tenant's items cannot be named by
// mistake (H21).
//
//	table        partition                      sort                    holds
//	profiles     {org}                          settings                organization.Settings
//	profiles     {org}#{profile}                profile                 profile.Profile
//	profiles     {org}#{profile}                related#{other}         reverse relation: other is related to profile
//	profiles     {org}#by#name                  {name}\0{profile}        all in order of name
//	profiles     {org}#by#mailbox               {mailbox}#{profile}     all in order of mailbox; who shares one stands together
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
//	mailings     {org}#mailing#{id}#{gen}       stretch#{first}         mailing.Stretch
//	mailings     {org}#mailing#{id}#{gen}#{nn}  lane                    mailing.Lane
//	mailings     {org}#mailing#{id}#{gen}#{nn}  batch#{index}           mailing.Batch
//	mailings     {org}#single#{id}              batch                   mailing.Batch of one
//	mailings     {org}#last#{profile}           single                  the profile's last link mail of its own
//	mailings     {org}#request#{id}             request                 mailing.Request
//	mailings     {org}#asked#{hash}             asked                   mailing.Asked: forgot logins of a mailbox
//	mailings     {org}#{templates|audiences}    {id}                    saved messages, saved filters
//	mailings     {org}#once                     {hash}                  what an idempotency key made
//	mailings     pace                           pace                    mailing.Pace, of the whole account
//	activity     {org}#profile#{profile}        {id}                    activity.Entry
//	activity     {org}#day#{yyyy-mm-dd}         {id}                    activity.Entry
//
// # Access patterns
//
// Every one is a Get (G), a Get of several (B), a Query of one partition (Q), or
// the index of due items (D); none is a Scan.
//
//	who                      asks                                              by
//	every request            the organization's settings                       G {org} settings
//	staff, members           a profile, several of them, whom they relate to   G, B {org}#{profile} profile
//	staff                    who is related to a profile                       Q {org}#{profile} related#
//	staff                    all in order of name, with filters                Q {org}#by#name, then B of the profiles
//	fanout                   all in order of mailbox, 1,000 at a time          Q {org}#by#mailbox, then B
//	fanout, staff            who shares a mailbox                              Q {org}#by#mailbox, prefix {mailbox}#
//	staff                    quick search: one range for each thing it may be  Q {org}#find#{range}#{begin}, prefix of words
//	signin, credentials      who has a username                                G {org}#username#{name}
//	signin                   who has an email                                  Q {org}#by#mailbox, prefix {mailbox}#
//	signin, completion       the credential, at each attempt and change        G {org}#{profile} credential
//	signin                   session, attempts of a name, a known device       G by hash
//	completion               the page that a token names                       G {org}#{page}
//	staff, fanout, delivery  a mailing; all of them, newest first              G, Q backwards {org}#mailings
//	staff, delivery          a message as edited, as frozen                    G {org}#mailing#{id}
//	staff, sweep             a mailing's lanes, all of them                    B of 16 lanes
//	delivery                 a lane's next batches                             Q lane's partition, batch# after the last
//	delivery, feedback       one batch and its lane                            B
//	staff, completion        where a profile stands in a mailing               Q {org}#mailing#{id}#{gen}, stretch# backwards, 1
//	credentials, signin      the last link mail of a profile's own             G last, then G single
//	delivery, sweep          the pace                                          G
//	sweep                    what is due                                       D
//	staff                    saved messages and filters                        Q
//	staff                    a profile's trail; a day's trail, newest first    Q backwards
//
// # Hot keys
//
// One partition of DynamoDB takes 1,000 write and 3,000 read units a second
// ("Designing partition keys to distribute your workload"). A write unit is
// 1 KB, and a transaction takes two; a consistent read unit is 4 KB. What comes
// together in one partition, at the most:
//
//   - settings: a read a request, 1 or 2 units. 1,500 requests a second of one
//     organization; the throttles of all member pages together are below that.
//   - names, mailboxes: every profile has a row in each, of less than 1 KB. An
//     import writes both with each new row: 2 units in either partition, so
//     500 rows a second of one organization. Its 16 writers, each with a
//     transaction of about 8 rows in 30 to 60 ms, can ask for four times that: then
//     DynamoDB throttles, the driver waits and tries again, and the import
//     goes at the partition's pace, until the partition is split: its rows are
//     spread over the alphabet, so DynamoDB divides them under load. A freeze
//     reads 1,000 rows of mailboxes with 25 units, some 5 times a second.
//   - search rows: at 500 imported rows a second and 3 name rows each, the most
//     frequent two letters (about 4 % of words) get 60 rows, 120 units. Every
//     company's "info@" (a third of all, say) 170 rows, 340 units. IDs counted
//     upwards stand together in their first two digits: 500 rows, 1,000 units,
//     which is again the pace of names and mailboxes. A search reads 2 units:
//     1,500 a second of the same two letters.
//   - a lane: at most 50 mails a second up to an account of 800 a second, as
//     MaxLanes grow with the rate. A batch of 50: the lane (2 units), outcomes
//     of the last batch (6 KB, 12 units), intent of the next (3 KB, 6 units): 20
//     a second. Events come in at worst one by one: batch and lane, 14 units
//     for each of 50 mails: 700. 720 of 1,000. With lanes and batches of a mailing
//     in one partition, as they first stood, 16 lanes would have made 11,500.
//     Above 800 mails a second events must come in groups, which the queue's
//     batching gives: 10 at a time are 70 units a lane.
//   - a freeze: a step has 64 batches (below 1 KB each, 2 units: 128, in one
//     lane's partition at the worst) and a stretch (3 to 60 KB, 6 to 120 units,
//     in another); some 2 steps a second make 260 units.
//   - mailings of an organization: a read a second and lane, a write of some
//     2 units a step: below 50.
//   - pace, one item of the account: each lane reserves about once a second, and
//     reservations together never exceed the rate, so 16 writes a second
//     however many mailings there are; beside them one a second from each
//     instance that sends single mails, some tens.
//   - a day's trail: an entry is below 1 KB, 2 units: 500 entries a second of one
//     organization, imports excepted, whose entries are Quiet. 100,000 members
//     who all set a password within an hour are 28 a second.
//   - due items: see shared/dynamo/due.go.
//
// All others have a partition for each profile, page, session or mail.
func settingsKey(org string) Key { return Key{Profiles, org, "settings"} }

func profileKey(org string, id profile.ID) Key {
	return Key{Profiles, org + "#" + string(id), "profile"}
}

func relatedKey(org string, to, from profile.ID) Key {
	return Key{Profiles, org + "#" + string(to), "related#" + string(from)}
}

func nameKey(p *profile.Profile) Key {
	return Key{Profiles, byName(p.Organization), profile.OrderKey(p)}
}

func mailboxKey(p *profile.Profile) Key {
	return Key{Profiles, byMailbox(p.Organization), mailing.Place(p)}
}

// No profile ID has a # in it, so nobody's own partition is one of these two,
// whatever ID they were given.
func byName(org string) string    { return org + "#by#name" }
func byMailbox(org string) string { return org + "#by#mailbox" }

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

// lanePartition is a lane's own: see the hot keys above.
func lanePartition(org, id string, generation, lane int) string {
	return fmt.Sprintf("%s#%02d", runPartition(org, id, generation), lane)
}

func laneKey(org, id string, generation, lane int) Key {
	return Key{Mailings, lanePartition(org, id, generation, lane), "lane"}
}

const batchPrefix = "batch#"

func batchSort(index int) string { return fmt.Sprintf(batchPrefix+"%08d", index) }

func batchKey(b *mailing.Batch) Key {
	if b.Mailing == "" {
		return singleKey(b.Organization, b.ID)
	}
	return Key{Mailings, lanePartition(b.Organization, b.Mailing, b.Generation, b.Lane), batchSort(b.Index)}
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
