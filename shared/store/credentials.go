package store

import (
	"context"
	"encoding/json"

	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/session"
)

// storedCredential adds the hash, which credential.Credential never shows.
type storedCredential struct {
	credential.Credential
	PHC string `json:"phc,omitempty"`
}

func decodeCredential(item *Item) (*credential.Credential, error) {
	stored, err := read[storedCredential](item)
	if stored == nil || err != nil {
		return nil, err
	}
	c := stored.Credential
	if stored.PHC != "" {
		if c.Hash, _, err = password.ParsePHC(stored.PHC); err != nil {
			return nil, err
		}
	}
	return &c, nil
}

// Credential reads a profile's credential; nil where no password was ever set.
func (s *Store) Credential(ctx context.Context, org string, id profile.ID) (*credential.Credential, error) {
	item, err := s.DB.Get(ctx, credentialKey(org, id))
	if err != nil {
		return nil, err
	}
	return decodeCredential(item)
}

// Credential reads a credential to change it; nil where there is none.
func (tx *Tx) Credential(org string, id profile.ID) (*credential.Credential, error) {
	item, err := tx.get(credentialKey(org, id))
	if err != nil {
		return nil, err
	}
	return decodeCredential(item)
}

// PutCredential stores a credential.
func (tx *Tx) PutCredential(c *credential.Credential) {
	tx.put(Item{Key: credentialKey(c.Organization, c.Profile), Value: encode(storedCredential{*c, c.Hash.PHC()})})
}

// DeleteCredential erases a credential, its hash with it.
func (tx *Tx) DeleteCredential(org string, id profile.ID) { tx.delete(credentialKey(org, id)) }

// Session reads a session; nil where there is none.
func (s *Store) Session(ctx context.Context, org, hash string) (*session.Session, error) {
	item, err := s.DB.Get(ctx, sessionKey(org, hash))
	if err != nil {
		return nil, err
	}
	return named(item, func(v *session.Session) { v.Organization, v.Hash = org, hash })
}

// Session reads a session to change it; nil where there is none.
func (tx *Tx) Session(org, hash string) (*session.Session, error) {
	item, err := tx.get(sessionKey(org, hash))
	if err != nil {
		return nil, err
	}
	return named(item, func(v *session.Session) { v.Organization, v.Hash = org, hash })
}

// PutSession stores a session.
func (tx *Tx) PutSession(v *session.Session) {
	tx.put(Item{Key: sessionKey(v.Organization, v.Hash), Value: encode(v), Expires: v.Ends.Unix()})
}

// DeleteSession ends a session.
func (tx *Tx) DeleteSession(org, hash string) { tx.delete(sessionKey(org, hash)) }

// Attempts reads a counter; nil where nothing was counted.
func (tx *Tx) Attempts(org, key string) (*session.Attempts, error) {
	item, err := tx.get(attemptsKey(org, key))
	if err != nil {
		return nil, err
	}
	return named(item, func(v *session.Attempts) { v.Organization, v.Key = org, key })
}

// PutAttempts stores a counter.
func (tx *Tx) PutAttempts(v *session.Attempts) {
	tx.put(Item{Key: attemptsKey(v.Organization, v.Key), Value: encode(v), Expires: v.Expires.Unix()})
}

// DeleteAttempts forgets a counter.
func (tx *Tx) DeleteAttempts(org, key string) { tx.delete(attemptsKey(org, key)) }

// Attempts reads a counter without changing it; nil where nothing was counted.
func (s *Store) Attempts(ctx context.Context, org, key string) (*session.Attempts, error) {
	item, err := s.DB.Get(ctx, attemptsKey(org, key))
	if err != nil {
		return nil, err
	}
	return named(item, func(v *session.Attempts) { v.Organization, v.Key = org, key })
}

// Wait tells how a counter holds its name back, for whoever must not know more
// of it; zero where nothing was counted.
func (s *Store) Wait(ctx context.Context, org, key string) (credential.Wait, error) {
	a, err := s.Attempts(ctx, org, key)
	return a.Wait(), err
}

// Wait tells how a counter holds its name back, to end that; zero where nothing
// was counted.
func (tx *Tx) Wait(org, key string) (credential.Wait, error) {
	a, err := tx.Attempts(org, key)
	return a.Wait(), err
}

// Device reads a device; nil where it is unknown.
func (s *Store) Device(ctx context.Context, org, hash string) (*session.Device, error) {
	item, err := s.DB.Get(ctx, deviceKey(org, hash))
	if err != nil {
		return nil, err
	}
	return named(item, func(v *session.Device) { v.Organization, v.Hash = org, hash })
}

// PutDevice remembers a device.
func (tx *Tx) PutDevice(v *session.Device) {
	tx.put(Item{Key: deviceKey(v.Organization, v.Hash), Value: encode(v), Expires: v.Expires.Unix()})
}

// Page reads a link page; nil where there is none.
func (s *Store) Page(ctx context.Context, org, id string) (*link.Page, error) {
	item, err := s.DB.Get(ctx, pageKey(org, id))
	if err != nil {
		return nil, err
	}
	return decodePage(item, org, id)
}

// PutPage stores a link page, once.
func (tx *Tx) PutPage(p *link.Page) {
	tx.put(Item{Key: pageKey(p.Organization, p.ID), Value: encodePage(p), Expires: p.Ends.Add(link.Remembered).Unix()})
}

// named decodes an item whose name stands in its key alone.
func named[T any](item *Item, name func(*T)) (*T, error) {
	v, err := read[T](item)
	if v != nil {
		name(v)
	}
	return v, err
}

var _ json.Marshaler = password.Hash{} // a hash that is encoded by accident says "[redacted]"
