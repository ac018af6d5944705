package directory_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

func problemCode(err error) string { return problem.CodeOf(err) }

func TestEditSettings(t *testing.T) {
	h := quick(t)
	e := organization.Edit{Name: ptr("Acme Guild"), MinimumPassword: ptr(12), LinkHours: ptr(72), AccessLevel: ptr(profile.MembersOnly)}
	s, err := h.EditSettings(t.Context(), eve, "acme", 1, e)
	if err != nil || s.Version != 2 || s.Name != "Acme Guild" || len(s.Deviations) != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	read, err := h.Settings(t.Context(), "acme")
	if diff := cmp.Diff(s, read); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if s, err = h.EditSettings(t.Context(), eve, "acme", 2, e); err != nil || s.Version != 2 {
		t.Errorf("the same again: version %d, %v", s.Version, err)
	}
	day := h.day(t)
	want := map[string]string{"fields": "name, accessLevel, linkHours, minimumPassword", "old.accessLevel": "members_and_primary_relations", "new.accessLevel": "members_only"}
	if len(day) != 1 || day[0].Kind != activity.SettingsChanged || cmp.Diff(want, day[0].Detail) != "" {
		t.Errorf("activity %+v", day)
	}
	_, err = h.EditSettings(t.Context(), eve, "acme", 1, organization.Edit{Name: ptr("Other"), LinkHours: ptr(24), MustChangeTyped: ptr(false)})
	if p := wantCode(t, err, "version_stale"); fmt.Sprint(p.Extra["version"], p.Extra["differs"]) != "2 [name linkHours mustChangeTyped]" {
		t.Errorf("%v", p.Extra)
	}
	_, err = h.EditSettings(t.Context(), eve, "acme", 2, organization.Edit{LinkHours: ptr(0), TimeZone: ptr("Mars/Olympus")})
	if p := wantCode(t, err, "time_zone_unknown"); len(p.Problems) != 2 {
		t.Errorf("%+v", p.Problems)
	}
	_, err = h.EditSettings(t.Context(), eve, "nobody", 1, e)
	wantCode(t, err, "organization_not_found")
}

// The first administrator of a new group founds its organization; nothing of
// another one is touched, and of several who try at once one wins.
func TestFoundOrganization(t *testing.T) {
	h := quick(t)
	_, err := h.EditSettings(t.Context(), eve, "guild", 0, organization.Edit{LinkHours: ptr(48)})
	if p := wantCode(t, err, "text_missing"); len(p.Problems) != 3 {
		t.Errorf("%+v", p.Problems)
	}
	e := organization.Edit{
		Name: ptr("The Guild"), SenderAddress: ptr("office@guild.example.org"), PortalAddress: ptr("https://members.guild.example.org"), LinkHours: ptr(48),
	}
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = h.EditSettings(t.Context(), eve, "guild", 0, e) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if problemCode(err) != "version_stale" {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d founded it", won, len(errs))
	}
	want := organization.Defaults("guild", "The Guild")
	want.SenderAddress, want.PortalAddress, want.LinkHours, want.Version = *e.SenderAddress, *e.PortalAddress, 48, 1
	got, err := h.Settings(t.Context(), "guild")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Settings); diff != "" {
		t.Error(diff)
	}
	if s, err := h.Settings(t.Context(), "acme"); err != nil || s.Version != 1 {
		t.Errorf("the other organization: %+v, %v", s, err)
	}
	_, err = h.EditSettings(t.Context(), eve, "acme", 0, e)
	wantCode(t, err, "version_stale")
}

func TestTwoEditorsOfSettings(t *testing.T) {
	h := quick(t)
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = h.EditSettings(t.Context(), eve, "acme", 1, organization.Edit{Name: ptr(fmt.Sprint("Name ", i))})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if problemCode(err) != "version_stale" {
			t.Error(err)
		}
	}
	if won != 1 || settingsOf(t, h).Version != 2 {
		t.Errorf("%d editors won", won)
	}
}

// N18: the dry run tells what the edit then does, in as many calls as it takes.
func TestCheckSettings(t *testing.T) {
	h := quick(t)
	one, _ := files()
	h.load(t, one, false)
	h.crowd(t, 1200)
	before := settingsOf(t, h).Access
	all := profile.Targets(h.all(t))
	for _, e := range []organization.Edit{
		{AccessLevel: ptr(profile.MembersOnly)},
		{AccessLevel: ptr(profile.MembersAndMainContact)},
		{AccessLevel: ptr(profile.AnyActiveProfile)},
		{MemberStatuses: &[]profile.Status{profile.Prospect, profile.Lapsed}},
		{PrimaryKinds: &[]string{"Owner"}},
		{Name: ptr("Acme Guild")},
	} {
		after := *settingsOf(t, h)
		if _, err := e.Apply(&after); err != nil {
			t.Fatal(err)
		}
		gain, lose := 0, 0
		for _, p := range all {
			had, has := before.MayEnter(p, all).Allowed, after.MayEnter(p, all).Allowed
			if has && !had {
				gain++
			}
			if had && !has {
				lose++
			}
		}
		for _, budget := range []time.Duration{0, time.Nanosecond} {
			h.Budget = budget
			clock := h.Now
			h.Now = func() time.Time { h.pass(time.Millisecond); return clock() }
			gained, lost, calls := 0, 0, 0
			for cursor := ""; calls == 0 || cursor != ""; calls++ {
				run, err := h.CheckSettings(t.Context(), "acme", 1, e, cursor)
				if err != nil {
					t.Fatal(err)
				}
				gained, lost, cursor = gained+run.Gain, lost+run.Lose, run.Cursor
			}
			h.Now = clock
			if gained != gain || lost != lose || budget > 0 && e.Name == nil && calls != 2 || budget == 0 && calls != 1 {
				t.Errorf("told %d gain, %d lose in %d calls; want %d and %d", gained, lost, calls, gain, lose)
			}
		}
	}
	if s := settingsOf(t, h); s.Version != 1 || cmp.Diff(before, s.Access) != "" {
		t.Error("a dry run changed the settings")
	}
	_, err := h.CheckSettings(t.Context(), "acme", 7, organization.Edit{Name: ptr("x")}, "")
	wantCode(t, err, "version_stale")
	_, err = h.CheckSettings(t.Context(), "acme", 1, organization.Edit{Name: ptr("x")}, "garcia")
	wantCode(t, err, "cursor_invalid")
	_, err = h.CheckSettings(t.Context(), "acme", 1, organization.Edit{Name: ptr("")}, "")
	wantCode(t, err, "text_missing")
}
