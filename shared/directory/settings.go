package directory

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// Settings are an organization's settings as staff read them.
type Settings struct {
	organization.Settings
	// Deviations say where the settings deviate from NIST SP 800-63B-4, each
	// beginning with the field's name.
	Deviations []string `json:"deviations"`
}

// Settings reads the settings.
func (s *Service) Settings(ctx context.Context, org string) (*Settings, error) {
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	return &Settings{*settings, settings.Deviations()}, nil
}

// EditSettings changes the settings on behalf of staff who saw their version.
// Version 0 is that of an organization which is not there yet: the edit founds
// it, so an administrator whom the issuer put into a new group needs nobody
// else's help. Problems: those of [organization.Edit.Apply], and version_stale
// as [Service.Edit] tells it.
func (s *Service) EditSettings(ctx context.Context, by activity.Actor, org string, version int, e organization.Edit) (*Settings, error) {
	if _, err := s.Store.Organization(ctx, org); err != nil && !(version == 0 && absent(err)) {
		return nil, err
	}
	var after *organization.Settings
	now := s.now()
	err := s.Store.Update(ctx, func(tx Tx) error {
		settings, err := tx.Organization(org)
		if err != nil {
			return err
		}
		if settings == nil {
			if version != 0 {
				return errors.New("directory: the settings have gone since they were read")
			}
			founded, changed, err := e.Found(org)
			if err != nil {
				return err
			}
			after = founded
			tx.PutOrganization(founded)
			s.settled(tx, by, org, now, changed, map[string]string{})
			return nil
		}
		before := *settings
		changed, err := e.Apply(settings)
		if err != nil {
			return err
		}
		if before.Version != version {
			return problem.VersionStale(before.Version, changed)
		}
		if after = settings; len(changed) == 0 {
			return nil
		}
		detail := map[string]string{}
		if before.Level != settings.Level {
			detail["old.accessLevel"], detail["new.accessLevel"] = string(before.Level), string(settings.Level)
		}
		tx.PutOrganization(settings)
		s.settled(tx, by, org, now, changed, detail)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &Settings{*after, after.Deviations()}, nil
}

// settled writes a line of the trail about changed settings.
func (s *Service) settled(tx Tx, by activity.Actor, org string, now time.Time, changed []string, detail map[string]string) {
	detail["fields"] = strings.Join(changed, ", ")
	tx.AddActivity(activity.Entry{Organization: org, ID: s.NewID(now), At: now, Actor: by, Kind: activity.SettingsChanged, Detail: detail})
}

// DryRun is what an edit of the settings would do to who may sign in (N18).
// Gain, Lose and Read count one call's part of a walk over everybody: the sums
// over all calls are the answer, "so far" until Cursor is "".
type DryRun struct {
	Gain   int
	Lose   int
	Read   int
	Cursor string // the sort key of the last profile read
}

// CheckSettings tells what an edit would do, and changes nothing.
func (s *Service) CheckSettings(ctx context.Context, org string, version int, e organization.Edit, cursor string) (DryRun, error) {
	until := s.Now().Add(s.budget())
	run := DryRun{}
	if err := place(cursor); err != nil {
		return run, err
	}
	settings, err := s.Store.Organization(ctx, org)
	if err != nil {
		return run, err
	}
	before := *settings
	changed, err := e.Apply(settings)
	if err != nil {
		return run, err
	}
	if before.Version != version {
		return run, problem.VersionStale(before.Version, changed)
	}
	if !accessChanges(changed) {
		return run, nil
	}
	for {
		ids, next, err := s.Store.ProfilesByName(ctx, org, cursor, walkPage)
		if err != nil {
			return run, err
		}
		page, err := s.inOrder(ctx, org, ids)
		if err != nil {
			return run, err
		}
		if err := s.compare(ctx, org, page, before.Access, settings.Access, &run); err != nil {
			return run, err
		}
		run.Read += len(ids)
		run.Cursor, cursor = next, next
		if next == "" || s.Now().After(until) {
			return run, nil
		}
	}
}

func accessChanges(changed []string) bool {
	for _, field := range changed {
		switch field {
		case "accessLevel", "memberStatuses", "primaryKinds":
			return true
		}
	}
	return false
}

// compare counts those of a page whose right differs between two rules.
func (s *Service) compare(ctx context.Context, org string, page []*profile.Profile, before, after profile.Access, run *DryRun) error {
	var ids []profile.ID
	seen := map[profile.ID]bool{}
	for _, p := range page {
		for _, r := range p.Relations {
			// A member of both rules enters whatever it is related to.
			if !seen[r.To] && !(before.IsMember(p) && after.IsMember(p)) {
				seen[r.To] = true
				ids = append(ids, r.To)
			}
		}
	}
	targets, err := s.profiles(ctx, org, ids)
	if err != nil {
		return err
	}
	for _, p := range page {
		switch had, has := before.MayEnter(p, targets).Allowed, after.MayEnter(p, targets).Allowed; {
		case has && !had:
			run.Gain++
		case had && !has:
			run.Lose++
		}
	}
	return nil
}
