package store

import (
	"bytes"
	"context"
	"strings"

	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// NoProfile is what another organization's profile looks like, too (H21).
var NoProfile = problem.New(problem.NotFound, "profile_not_found", "id", "There is no profile with this ID in your organization. Search for the name, or check the number.")

// NoOrganization is an organization that is not there.
var NoOrganization = problem.New(problem.NotFound, "organization_not_found", "organization", "There is no such organization here.")

// Organization reads an organization's settings; NoOrganization where there is none.
func (s *Store) Organization(ctx context.Context, id string) (*organization.Settings, error) {
	item, err := s.DB.Get(ctx, settingsKey(id))
	if err != nil {
		return nil, err
	}
	settings, err := read[organization.Settings](item)
	if err == nil && settings == nil {
		return nil, NoOrganization
	}
	return settings, err
}

// Organization reads the settings to change them; nil where there are none.
// Settings are shared by all members: no other transaction reads them.
func (tx *Tx) Organization(id string) (*organization.Settings, error) {
	item, err := tx.get(settingsKey(id))
	if err != nil {
		return nil, err
	}
	return read[organization.Settings](item)
}

// PutOrganization stores settings.
func (tx *Tx) PutOrganization(s *organization.Settings) {
	tx.put(Item{Key: settingsKey(s.ID), Value: encode(s)})
}

// Profile reads one profile; NoProfile where there is none.
func (s *Store) Profile(ctx context.Context, org string, id profile.ID) (*profile.Profile, error) {
	item, err := s.DB.Get(ctx, profileKey(org, id))
	if err != nil {
		return nil, err
	}
	return orNoProfile(decodeProfile(item))
}

// Profiles reads several; those that do not exist are missing from the map.
func (s *Store) Profiles(ctx context.Context, org string, ids []profile.ID) (map[profile.ID]*profile.Profile, error) {
	keys := make([]Key, len(ids))
	for i, id := range ids {
		keys[i] = profileKey(org, id)
	}
	items, err := s.DB.GetMany(ctx, keys)
	if err != nil {
		return nil, err
	}
	found := make(map[profile.ID]*profile.Profile, len(ids))
	for i, item := range items {
		p, err := decodeProfile(item)
		if err != nil {
			return nil, err
		}
		if p != nil {
			found[ids[i]] = p
		}
	}
	return found, nil
}

// Targets reads the profiles that several are related to, beside those already known.
func (s *Store) Targets(ctx context.Context, org string, of ...*profile.Profile) (profile.Targets, error) {
	var ids []profile.ID
	seen := map[profile.ID]bool{}
	for _, p := range of {
		for _, r := range p.Relations {
			if !seen[r.To] {
				seen[r.To] = true
				ids = append(ids, r.To)
			}
		}
	}
	if len(ids) == 0 {
		return profile.Targets{}, nil
	}
	found, err := s.Profiles(ctx, org, ids)
	return profile.Targets(found), err
}

// Related lists the profiles that are related to id, in order of their IDs;
// after is the last one seen, "" for the beginning.
func (s *Store) Related(ctx context.Context, org string, id, after profile.ID, limit int) (ids []profile.ID, more bool, err error) {
	key := relatedKey(org, id, "")
	items, more, err := s.DB.Query(ctx, Range{Table: Profiles, Partition: key.Partition, Prefix: key.Sort, After: key.Sort + string(after), Limit: limit})
	for _, item := range items {
		ids = append(ids, profile.ID(strings.TrimPrefix(item.Sort, key.Sort)))
	}
	return ids, more, err
}

// ProfilesByName walks all profiles in order of name. cursor is the sort key of
// the last one seen, "" for the beginning; the next cursor is "" at the end.
func (s *Store) ProfilesByName(ctx context.Context, org, cursor string, limit int) (ids []profile.ID, next string, err error) {
	return s.walk(ctx, byName(org), cursor, limit)
}

// ProfilesByMailbox walks all profiles in order of mailbox; those without an
// address come first. Places are what [mailing.Place] gives.
func (s *Store) ProfilesByMailbox(ctx context.Context, org, cursor string, limit int) (ids []profile.ID, next string, err error) {
	return s.walk(ctx, byMailbox(org), cursor, limit)
}

func (s *Store) walk(ctx context.Context, partition, cursor string, limit int) (ids []profile.ID, next string, err error) {
	items, more, err := s.DB.Query(ctx, Range{Table: Profiles, Partition: partition, After: cursor, Limit: limit})
	if err != nil {
		return nil, "", err
	}
	ids = make([]profile.ID, len(items))
	for i := range items {
		ids[i] = idOfPlace(items[i].Sort)
	}
	if more {
		next = items[len(items)-1].Sort
	}
	return ids, next, nil
}

// AtMailbox lists the profiles that share a mailbox, at most limit.
func (s *Store) AtMailbox(ctx context.Context, org, mailbox string, limit int) ([]profile.ID, error) {
	if mailbox == "" {
		return nil, nil
	}
	items, _, err := s.DB.Query(ctx, Range{Table: Profiles, Partition: byMailbox(org), Prefix: mailbox + "#", Limit: limit})
	ids := make([]profile.ID, len(items))
	for i := range items {
		ids[i] = idOfPlace(items[i].Sort)
	}
	return ids, err
}

// Profile reads a profile to change it; NoProfile where there is none.
func (tx *Tx) Profile(org string, id profile.ID) (*profile.Profile, error) {
	item, err := tx.get(profileKey(org, id))
	if err != nil {
		return nil, err
	}
	return orNoProfile(decodeProfile(item))
}

// PrefetchProfiles reads several profiles at once that will be asked for.
func (tx *Tx) PrefetchProfiles(org string, ids []profile.ID) error {
	keys := make([]Key, len(ids))
	for i, id := range ids {
		keys[i] = profileKey(org, id)
	}
	return tx.prefetch(keys)
}

// PutProfile stores a profile that this transaction has read, or read the
// absence of, and brings every row by which it is found in line with it.
func (tx *Tx) PutProfile(p *profile.Profile) error {
	key := profileKey(p.Organization, p.ID)
	item, err := tx.get(key)
	if err != nil {
		return err
	}
	old, err := decodeProfile(item)
	if err != nil {
		return err
	}
	value := encodeProfile(p)
	if item != nil && bytes.Equal(item.Value, value) {
		return nil
	}
	tx.put(Item{Key: key, Value: value})
	before, after := indexRows(old), indexRows(p)
	for k := range before {
		if _, stays := after[k]; !stays {
			tx.delete(k)
		}
	}
	for k, v := range after {
		if was, there := before[k]; !there || !bytes.Equal(was, v) {
			tx.put(Item{Key: k, Value: v})
		}
	}
	return nil
}

// Touches counts the distinct keys with which a transaction turns one profile
// into another, at most, and tells how many it may have in all. before is nil
// for a new profile.
func (s *Store) Touches(before, after *profile.Profile) (keys, most int) {
	rows := indexRows(before)
	for key := range indexRows(after) {
		rows[key] = nil
	}
	return 1 + len(rows), MaxKeys
}

// indexRows are the rows by which a profile is found.
func indexRows(p *profile.Profile) map[Key][]byte {
	rows := map[Key][]byte{}
	if p == nil {
		return rows
	}
	rows[nameKey(p)] = nil
	rows[mailboxKey(p)] = nil
	for _, r := range p.Relations {
		rows[relatedKey(p.Organization, r.To, p.ID)] = nil
	}
	found := profile.HitOf(p)
	hit := encodeHit(&found)
	for _, k := range profile.SearchKeys(p) {
		rows[Key{Profiles, searchPartition(p.Organization, k.Range, k.Partition), k.Key}] = hit
	}
	return rows
}

// Search answers a quick search; see [profile.Query.Run].
func (s *Store) Search(ctx context.Context, org string, q profile.Query, cursor string, limit int) (profile.Found, error) {
	return q.Run(cursor, limit, func(r profile.SearchRange, after string, limit int) ([]profile.SearchRow, error) {
		items, _, err := s.DB.Query(ctx, Range{
			Table: Profiles, Partition: searchPartition(org, r.Range, r.Partition), Prefix: r.Prefix, After: after, Limit: limit,
		})
		if err != nil {
			return nil, err
		}
		rows := make([]profile.SearchRow, len(items))
		for i := range items {
			hit, err := decodeHit(&items[i])
			if err != nil {
				return nil, err
			}
			rows[i] = profile.SearchRow{Key: items[i].Sort, Hit: *hit}
		}
		return rows, nil
	})
}

// Claim tells who has a username; "" where it is free. Claims stand apart from
// the hashes, so that whoever finds people by username, or changes one, needs
// no access to those.
func (s *Store) Claim(ctx context.Context, org, username string) (profile.ID, error) {
	return claimed(s.DB.Get(ctx, claimKey(org, username)))
}

// Claim tells who has a username, to change that; "" where it is free.
func (tx *Tx) Claim(org, username string) (profile.ID, error) {
	return claimed(tx.get(claimKey(org, username)))
}

// PutClaim gives a username to a profile. The transaction must have read that
// it is free, so that of two claims one wins (H4).
func (tx *Tx) PutClaim(org, username string, id profile.ID) {
	tx.put(Item{Key: claimKey(org, username), Value: encode(claim{id})})
}

// DeleteClaim frees a username.
func (tx *Tx) DeleteClaim(org, username string) { tx.delete(claimKey(org, username)) }

type claim struct {
	Profile profile.ID `json:"profile"`
}

func claimed(item *Item, err error) (profile.ID, error) {
	if err != nil {
		return "", err
	}
	c, err := read[claim](item)
	if c == nil || err != nil {
		return "", err
	}
	return c.Profile, nil
}

func orNoProfile(p *profile.Profile, err error) (*profile.Profile, error) {
	if err == nil && p == nil {
		return nil, NoProfile
	}
	return p, err
}
