package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/profile"
)

// NewID names a new thing: in order of time, unguessable enough never to be
// drawn twice, letters and digits only.
func NewID(at time.Time) string { return fmt.Sprintf("%011x", at.UnixMilli()) + rand.Text()[:10] }

// AddActivity writes a line of the trail, in the trail of the profile and in
// that of the day.
func (tx *Tx) AddActivity(e activity.Entry) {
	if e.ID == "" {
		e.ID = NewID(e.At)
	}
	value := encode(&e)
	if e.Profile != "" {
		tx.put(Item{Key: Key{Activity, e.Organization + "#profile#" + e.Profile, e.ID}, Value: value})
	}
	if !e.Quiet {
		tx.put(Item{Key: Key{Activity, dayPartition(e.Organization, e.At), e.ID}, Value: value})
	}
}

// ProfileActivity lists a profile's trail, newest first. cursor is the ID of
// the last entry seen.
func (s *Store) ProfileActivity(ctx context.Context, org string, id profile.ID, cursor string, limit int) ([]activity.Entry, string, error) {
	return s.trail(ctx, org+"#profile#"+string(id), cursor, limit)
}

// DayActivity lists the trail of one day (UTC), newest first.
func (s *Store) DayActivity(ctx context.Context, org string, day time.Time, cursor string, limit int) ([]activity.Entry, string, error) {
	return s.trail(ctx, dayPartition(org, day), cursor, limit)
}

func (s *Store) trail(ctx context.Context, partition, cursor string, limit int) ([]activity.Entry, string, error) {
	items, more, err := s.DB.Query(ctx, Range{Table: Activity, Partition: partition, After: cursor, Limit: limit, Backwards: true})
	if err != nil {
		return nil, "", err
	}
	entries := make([]activity.Entry, 0, len(items))
	for i := range items {
		e, err := read[activity.Entry](&items[i])
		if err != nil {
			return nil, "", err
		}
		entries = append(entries, *e)
	}
	next := ""
	if more {
		next = items[len(items)-1].Sort
	}
	return entries, next, nil
}
