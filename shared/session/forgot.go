package session

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/mailing"
)

// maxEntered is how much of what was typed is kept, in bytes: no address is
// longer (RFC 5321 §4.5.3.1).
const maxEntered = 254

// Forgot takes a request for a link. It looks nothing up: one record, one
// bell, whatever was typed (H12); mailing.Forgot finds out behind the queue
// who is meant, and how often a mailbox may ask.
func (s *Service) Forgot(ctx context.Context, org, entered, from string) error {
	if _, err := s.Store.Organization(ctx, org); err != nil {
		return err
	}
	now := s.now()
	r := &mailing.Request{
		Organization: org, ID: s.NewID(now), Entered: cut(strings.TrimSpace(entered), maxEntered), At: now,
		Actor: activity.Actor{Kind: activity.Member, From: from},
	}
	err := s.Store.Update(ctx, func(tx Tx) error {
		tx.PutRequest(r, now.Add(s.Again))
		return nil
	})
	if err != nil {
		return err
	}
	bell := mailing.Bell{V: 1, Kind: mailing.RingRequest, Organization: org, ID: r.ID}
	if err := s.Bells.Ring(ctx, bell); err != nil {
		s.Log.WarnContext(ctx, "bell not rung, the sweep will", "kind", bell.Kind, "organization", org, "id", r.ID, "error", err)
	}
	return nil
}

// cut shortens s to at most n bytes of whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
