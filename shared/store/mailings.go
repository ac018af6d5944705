package store

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// Kept is how long batches, which hold addresses, are kept after they were worked.
const Kept = 90 * 24 * time.Hour

// NoMailing is what another organization's mailing looks like, too (H21).
var NoMailing = problem.New(problem.NotFound, "mailing_not_found", "id", "There is no such mailing in your organization.")

// maxID is longer than every id of ours. A longer one, as an address may have
// it, names nothing, and no driver could look it up.
const maxID = 64

// Mailing reads a mailing; NoMailing where there is none.
func (s *Store) Mailing(ctx context.Context, org, id string) (*mailing.Mailing, error) {
	if len(id) > maxID {
		return nil, NoMailing
	}
	item, err := s.DB.Get(ctx, mailingKey(org, id))
	if err != nil {
		return nil, err
	}
	return orNoMailing(read[mailing.Mailing](item))
}

// Mailings lists mailings, newest first; cursor is the ID of the last one seen.
func (s *Store) Mailings(ctx context.Context, org, cursor string, limit int) ([]*mailing.Mailing, string, error) {
	items, more, err := s.DB.Query(ctx, Range{Table: Mailings, Partition: mailingKey(org, "").Partition, After: cursor, Limit: limit, Backwards: true})
	if err != nil {
		return nil, "", err
	}
	all, err := readAll[mailing.Mailing](items)
	if err != nil || !more {
		return all, "", err
	}
	return all, items[len(items)-1].Sort, nil
}

// Mailing reads a mailing to change it; NoMailing where there is none.
func (tx *Tx) Mailing(org, id string) (*mailing.Mailing, error) {
	if len(id) > maxID {
		return nil, NoMailing
	}
	item, err := tx.get(mailingKey(org, id))
	if err != nil {
		return nil, err
	}
	return orNoMailing(read[mailing.Mailing](item))
}

// PutMailing stores a mailing; due is when the sweep should look at it, zero for never.
func (tx *Tx) PutMailing(m *mailing.Mailing, due time.Time) {
	tx.put(Item{Key: mailingKey(m.Organization, m.ID), Value: encode(m), Due: unixMilli(due)})
}

// DeleteMailing removes a draft and its content.
func (tx *Tx) DeleteMailing(org, id string) {
	tx.delete(mailingKey(org, id))
	tx.delete(contentKey(org, id))
}

// Content reads a mailing's body as edited; empty where nothing was written yet.
func (s *Store) Content(ctx context.Context, org, id string) (*mailing.Content, error) {
	return s.content(ctx, contentKey(org, id))
}

// Frozen reads a mailing's body as it was frozen.
func (s *Store) Frozen(ctx context.Context, org, id string, generation int) (*mailing.Content, error) {
	return s.content(ctx, frozenKey(org, id, generation))
}

func (s *Store) content(ctx context.Context, key Key) (*mailing.Content, error) {
	item, err := s.DB.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	c, err := read[mailing.Content](item)
	if c == nil && err == nil {
		c = &mailing.Content{}
	}
	return c, err
}

// PutContent stores the body as edited.
func (tx *Tx) PutContent(org, id string, c *mailing.Content) {
	tx.put(Item{Key: contentKey(org, id), Value: encode(c)})
}

// PutFrozen stores the body as it will be sent.
func (tx *Tx) PutFrozen(org, id string, generation int, c *mailing.Content) {
	tx.put(Item{Key: frozenKey(org, id, generation), Value: encode(c)})
}

// Lanes reads all lanes of a freeze.
func (s *Store) Lanes(ctx context.Context, org, id string, generation int) ([]*mailing.Lane, error) {
	keys := make([]Key, mailing.MaxLanes)
	for n := range keys {
		keys[n] = laneKey(org, id, generation, n)
	}
	items, err := s.DB.GetMany(ctx, keys)
	if err != nil {
		return nil, err
	}
	var lanes []*mailing.Lane
	for n, item := range items {
		l, err := named(item, nameLane(org, id, generation, n))
		if err != nil {
			return nil, err
		}
		if l != nil {
			lanes = append(lanes, l)
		}
	}
	return lanes, nil
}

// Lane reads a lane to change it; nil where there is none.
func (tx *Tx) Lane(org, id string, generation, number int) (*mailing.Lane, error) {
	item, err := tx.get(laneKey(org, id, generation, number))
	if err != nil {
		return nil, err
	}
	return named(item, nameLane(org, id, generation, number))
}

func nameLane(org, id string, generation, number int) func(*mailing.Lane) {
	return func(l *mailing.Lane) {
		l.Organization, l.Mailing, l.Generation, l.Number = org, id, generation, number
	}
}

// PutLane stores a lane; due is when it should be rung unless its holder finishes.
func (tx *Tx) PutLane(l *mailing.Lane, due time.Time) {
	tx.put(Item{Key: laneKey(l.Organization, l.Mailing, l.Generation, l.Number), Value: encode(l), Due: unixMilli(due)})
}

// PutTally stores a lane whose tally alone changed: when it is due stays.
func (tx *Tx) PutTally(l *mailing.Lane) error {
	key := laneKey(l.Organization, l.Mailing, l.Generation, l.Number)
	item, err := tx.get(key)
	if err != nil || item == nil {
		return err
	}
	tx.put(Item{Key: key, Value: encode(l), Due: item.Due})
	return nil
}

// Batches reads a lane's batches in order, from index on, at most limit.
func (s *Store) Batches(ctx context.Context, org, id string, generation, lane, from, limit int) (batches []*mailing.Batch, more bool, err error) {
	r := Range{Table: Mailings, Partition: lanePartition(org, id, generation, lane), Prefix: batchPrefix, Limit: limit}
	if from > 0 {
		r.After = batchSort(from - 1)
	}
	items, more, err := s.DB.Query(ctx, r)
	if err != nil {
		return nil, false, err
	}
	name := mailing.Batch{Organization: org, Mailing: id, Generation: generation, Lane: lane}
	for i := range items {
		name.Index, _ = strconv.Atoi(items[i].Sort[strings.LastIndexByte(items[i].Sort, '#')+1:])
		b, err := decodeBatch(&items[i], name)
		if err != nil {
			return nil, false, err
		}
		batches = append(batches, b)
	}
	return batches, more, nil
}

// Batch reads a batch that its names tell: a mailing's, or a single one by ID;
// nil where there is none.
func (s *Store) Batch(ctx context.Context, name mailing.Batch) (*mailing.Batch, error) {
	item, err := s.DB.Get(ctx, batchKey(&name))
	if err != nil {
		return nil, err
	}
	return decodeBatch(item, name)
}

// Batch reads a batch to change it; nil where there is none.
func (tx *Tx) Batch(name mailing.Batch) (*mailing.Batch, error) {
	item, err := tx.get(batchKey(&name))
	if err != nil {
		return nil, err
	}
	return decodeBatch(item, name)
}

// PrefetchBatch reads a batch and its lane, if it is a mailing's, at once.
func (tx *Tx) PrefetchBatch(name mailing.Batch) error {
	keys := []Key{batchKey(&name)}
	if name.Mailing != "" {
		keys = append(keys, laneKey(name.Organization, name.Mailing, name.Generation, name.Lane))
	}
	return tx.prefetch(keys)
}

// PrefetchBatchOf is PrefetchBatch for a batch of a mailing, and brings the
// mailing along in the same request: to be looked at, for nothing that is
// written may hang on an item which all lanes share. It is nil where there is none.
func (tx *Tx) PrefetchBatchOf(name mailing.Batch) (*mailing.Mailing, error) {
	keys := []Key{batchKey(&name), laneKey(name.Organization, name.Mailing, name.Generation, name.Lane), mailingKey(name.Organization, name.Mailing)}
	items, err := tx.db.GetMany(tx.ctx, keys)
	if err != nil {
		return nil, err
	}
	for i, key := range keys[:2] {
		if _, seen := tx.reads[key]; !seen {
			tx.reads[key] = items[i]
		}
	}
	return read[mailing.Mailing](items[2])
}

// PutBatch stores a batch; due is when the sweep should look at it, zero for
// never. Once worked it is kept for [Kept].
func (tx *Tx) PutBatch(b *mailing.Batch, due time.Time) {
	item := Item{Key: batchKey(b), Value: encodeBatch(b), Due: unixMilli(due)}
	if !b.At.IsZero() {
		item.Expires = b.At.Add(Kept).Unix()
	}
	tx.put(item)
}

// PutOutcome stores a batch of which events changed outcomes alone.
func (tx *Tx) PutOutcome(b *mailing.Batch) error {
	item, err := tx.get(batchKey(b))
	if err != nil || item == nil {
		return err
	}
	changed := Item{Key: item.Key, Value: encodeBatch(b), Expires: item.Expires, Due: item.Due}
	if b.State == mailing.BatchFinished {
		changed.Due = 0
	}
	tx.put(changed)
	return nil
}

// Asked reads when a mailbox asked for forgot login lately.
func (tx *Tx) Asked(org, mailboxHash string) (*mailing.Asked, error) {
	item, err := tx.get(askedKey(org, mailboxHash))
	if err != nil {
		return nil, err
	}
	return orZero(read[mailing.Asked](item))
}

// PutAsked stores that.
func (tx *Tx) PutAsked(org, mailboxHash string, a *mailing.Asked, expires time.Time) {
	tx.put(Item{Key: askedKey(org, mailboxHash), Value: encode(a), Expires: expires.Unix()})
}

// lastSingle points to the latest link mail of a profile's own.
type lastSingle struct {
	ID string `json:"id"`
}

// PutLast notes a single batch as the latest link mail of a profile.
func (tx *Tx) PutLast(org string, id profile.ID, batch string, at time.Time) {
	tx.put(Item{Key: lastKey(org, id), Value: encode(lastSingle{batch}), Expires: at.Add(Kept).Unix()})
}

// LastSingle reads the latest link mail of a profile's own; nil where there is none.
func (s *Store) LastSingle(ctx context.Context, org string, id profile.ID) (*mailing.Batch, error) {
	item, err := s.DB.Get(ctx, lastKey(org, id))
	if err != nil {
		return nil, err
	}
	last, err := read[lastSingle](item)
	if last == nil || err != nil {
		return nil, err
	}
	return s.Batch(ctx, mailing.Batch{Organization: org, ID: last.ID})
}

// PutStretch stores one step of a freeze.
func (tx *Tx) PutStretch(st *mailing.Stretch) {
	tx.put(Item{
		Key:   Key{Mailings, runPartition(st.Organization, st.Mailing, st.Generation), "stretch#" + st.First},
		Value: encodeStretch(st), Expires: st.At.Add(2 * Kept).Unix(),
	})
}

// Stretches lists a freeze's steps in mailbox order; cursor is the place of
// the last one seen.
func (s *Store) Stretches(ctx context.Context, org, id string, generation int, cursor string, limit int) (all []*mailing.Stretch, next string, err error) {
	r := Range{Table: Mailings, Partition: runPartition(org, id, generation), Prefix: "stretch#", Limit: limit}
	if cursor != "" {
		r.After = "stretch#" + cursor
	}
	items, more, err := s.DB.Query(ctx, r)
	if err != nil {
		return nil, "", err
	}
	all, err = s.stretches(items, org, id, generation)
	if more && len(all) > 0 {
		next = all[len(all)-1].First
	}
	return all, next, err
}

// StretchAt finds the step of the freeze in which a place of the mailbox order
// was walked; nil where it lies before the first.
func (s *Store) StretchAt(ctx context.Context, org, id string, generation int, place string) (*mailing.Stretch, error) {
	// "\x01" behind the place makes the exclusive start include the place itself.
	items, _, err := s.DB.Query(ctx, Range{
		Table: Mailings, Partition: runPartition(org, id, generation), Prefix: "stretch#",
		After: "stretch#" + place + "\x01", Limit: 1, Backwards: true,
	})
	if err != nil || len(items) == 0 {
		return nil, err
	}
	all, err := s.stretches(items, org, id, generation)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func (s *Store) stretches(items []Item, org, id string, generation int) ([]*mailing.Stretch, error) {
	all := make([]*mailing.Stretch, len(items))
	for i := range items {
		st, err := decodeStretch(&items[i])
		if err != nil {
			return nil, err
		}
		st.Organization, st.Mailing, st.Generation, st.First = org, id, generation, strings.TrimPrefix(items[i].Sort, "stretch#")
		all[i] = st
	}
	return all, nil
}

// Request reads a forgot-login request; nil where there is none.
func (s *Store) Request(ctx context.Context, org, id string) (*mailing.Request, error) {
	item, err := s.DB.Get(ctx, requestKey(org, id))
	if err != nil {
		return nil, err
	}
	return named(item, func(r *mailing.Request) { r.Organization, r.ID = org, id })
}

// Request reads a request to work it; nil where it was worked already.
func (tx *Tx) Request(org, id string) (*mailing.Request, error) {
	item, err := tx.get(requestKey(org, id))
	if err != nil {
		return nil, err
	}
	return named(item, func(r *mailing.Request) { r.Organization, r.ID = org, id })
}

// PutRequest stores a request; due is when the sweep should ring for it.
func (tx *Tx) PutRequest(r *mailing.Request, due time.Time) {
	tx.put(Item{Key: requestKey(r.Organization, r.ID), Value: encode(r), Due: unixMilli(due), Expires: r.At.Add(Kept).Unix()})
}

// DeleteRequest forgets a request that was worked.
func (tx *Tx) DeleteRequest(org, id string) { tx.delete(requestKey(org, id)) }

// Pace reads the account's pace; the zero Pace where none was kept yet.
func (s *Store) Pace(ctx context.Context) (*mailing.Pace, error) {
	item, err := s.DB.Get(ctx, paceKey())
	if err != nil {
		return nil, err
	}
	return orZero(read[mailing.Pace](item))
}

// Pace reads the pace to change it.
func (tx *Tx) Pace() (*mailing.Pace, error) {
	item, err := tx.get(paceKey())
	if err != nil {
		return nil, err
	}
	return orZero(read[mailing.Pace](item))
}

// PutPace stores the pace.
func (tx *Tx) PutPace(p *mailing.Pace) { tx.put(Item{Key: paceKey(), Value: encode(p)}) }

// Saved reads a saved message or filter into v; false where there is none.
func (s *Store) Saved(ctx context.Context, org, kind, id string, v any) (bool, error) {
	if len(id) > maxID {
		return false, nil
	}
	item, err := s.DB.Get(ctx, savedKey(org, kind, id))
	if err != nil || item == nil {
		return false, err
	}
	return true, json.Unmarshal(item.Value, v)
}

// AllSaved lists saved messages or filters in order of ID.
func AllSaved[T any](ctx context.Context, s *Store, org, kind string) ([]*T, error) {
	items, _, err := s.DB.Query(ctx, Range{Table: Mailings, Partition: savedKey(org, kind, "").Partition})
	if err != nil {
		return nil, err
	}
	return readAll[T](items)
}

// Templates lists the saved messages in order of ID.
func (s *Store) Templates(ctx context.Context, org string) ([]*mailing.Template, error) {
	return AllSaved[mailing.Template](ctx, s, org, mailing.SavedTemplates)
}

// SavedAudiences lists the saved filters in order of ID.
func (s *Store) SavedAudiences(ctx context.Context, org string) ([]*mailing.SavedAudience, error) {
	return AllSaved[mailing.SavedAudience](ctx, s, org, mailing.SavedFilters)
}

// once is what a request with an idempotency key made.
type once struct {
	ID string `json:"id"`
}

// Once reads what a request with this idempotency key made before; "" where
// the key is new. IDs of mailings are in order of time, so they are remembered
// for a key and not derived from it.
func (tx *Tx) Once(org, key string) (string, error) {
	item, err := tx.get(onceKey(org, key))
	if err != nil {
		return "", err
	}
	made, err := orZero(read[once](item))
	if err != nil {
		return "", err
	}
	return made.ID, nil
}

// PutOnce remembers what it made.
func (tx *Tx) PutOnce(org, key, id string, expires time.Time) {
	tx.put(Item{Key: onceKey(org, key), Value: encode(once{id}), Expires: expires.Unix()})
}

// Saved reads a saved message or filter to change it; false where there is none.
func (tx *Tx) Saved(org, kind, id string, v any) (bool, error) {
	if len(id) > maxID {
		return false, nil
	}
	item, err := tx.get(savedKey(org, kind, id))
	if err != nil || item == nil {
		return false, err
	}
	return true, json.Unmarshal(item.Value, v)
}

// PutSaved stores a saved message or filter.
func (tx *Tx) PutSaved(org, kind, id string, v any) {
	tx.put(Item{Key: savedKey(org, kind, id), Value: encode(v)})
}

// DeleteSaved removes one.
func (tx *Tx) DeleteSaved(org, kind, id string) { tx.delete(savedKey(org, kind, id)) }

// Due lists what the sweep should look at: lanes, single batches, batches with
// uncertain entries, requests, and mailings themselves (as RingFreeze). What
// it names may have moved on since: whoever acts on it reads it again.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) ([]mailing.Bell, error) {
	items, err := s.DB.Due(ctx, Mailings, now.UnixMilli(), limit)
	if err != nil {
		return nil, err
	}
	bells := make([]mailing.Bell, 0, len(items))
	for i := range items {
		if bell, ok := bellOf(items[i].Key); ok {
			bells = append(bells, bell)
		}
	}
	return bells, nil
}

// Postpone moves the due time of whatever a bell names, if it is still there.
func (tx *Tx) Postpone(b mailing.Bell, due time.Time) error {
	key, ok := keyOf(b)
	if !ok {
		return nil
	}
	item, err := tx.get(key)
	if err != nil || item == nil || item.Due == 0 {
		return err
	}
	moved := *item
	moved.Due = unixMilli(due)
	tx.put(moved)
	return nil
}

// keyOf is the item that a bell names.
func keyOf(b mailing.Bell) (Key, bool) {
	switch b.Kind {
	case mailing.RingLane:
		return laneKey(b.Organization, b.Mailing, b.Generation, b.Lane), true
	case mailing.RingBatch:
		return batchKey(&mailing.Batch{Organization: b.Organization, Mailing: b.Mailing, Generation: b.Generation, Lane: b.Lane, Index: b.Index}), true
	case mailing.RingSingle:
		return singleKey(b.Organization, b.ID), true
	case mailing.RingRequest:
		return requestKey(b.Organization, b.ID), true
	case mailing.RingFreeze:
		return mailingKey(b.Organization, b.Mailing), true
	}
	return Key{}, false
}

// bellOf reads the schema backwards.
func bellOf(key Key) (mailing.Bell, bool) {
	p, sort := strings.Split(key.Partition, "#"), strings.Split(key.Sort, "#")
	bell := mailing.Bell{V: 1, Organization: p[0]}
	switch {
	case len(p) == 2 && p[1] == "mailings":
		bell.Kind, bell.Mailing = mailing.RingFreeze, key.Sort
	case len(p) == 3 && p[1] == "single":
		bell.Kind, bell.ID = mailing.RingSingle, p[2]
	case len(p) == 3 && p[1] == "request":
		bell.Kind, bell.ID = mailing.RingRequest, p[2]
	case len(p) == 5 && p[1] == "mailing" && (sort[0] == "lane" || sort[0] == "batch"):
		bell.Kind, bell.Mailing = mailing.RingLane, p[2]
		bell.Generation, _ = strconv.Atoi(p[3])
		bell.Lane, _ = strconv.Atoi(p[4])
		if sort[0] == "batch" {
			bell.Kind = mailing.RingBatch
			bell.Index, _ = strconv.Atoi(sort[1])
		}
	default:
		return bell, false
	}
	return bell, true
}

func readAll[T any](items []Item) ([]*T, error) {
	all := make([]*T, len(items))
	for i := range items {
		v, err := read[T](&items[i])
		if err != nil {
			return nil, err
		}
		all[i] = v
	}
	return all, nil
}

func orZero[T any](v *T, err error) (*T, error) {
	if v == nil && err == nil {
		v = new(T)
	}
	return v, err
}

func orNoMailing(m *mailing.Mailing, err error) (*mailing.Mailing, error) {
	if err == nil && m == nil {
		return nil, NoMailing
	}
	return m, err
}
