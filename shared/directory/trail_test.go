package directory_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/directory"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

// history writes an entry for each of the last hours, by turns of staff, a
// member and the system, and gives their IDs, newest first.
func (h *house) history(t *testing.T, hours int) (ids []string) {
	t.Helper()
	for from := 0; from < hours; from += 90 {
		h.update(t, func(tx *store.Tx) error {
			for i := from; i < min(from+90, hours); i++ {
				at := noon.Add(-time.Duration(i) * time.Hour)
				e := activity.Entry{Organization: "acme", ID: fmt.Sprintf("%011x%05d", at.UnixMilli(), i), At: at, Kind: activity.ProfileEdited}
				switch i % 3 {
				case 0:
					e.Actor = eve
				case 1:
					e.Actor, e.Kind = activity.Actor{Kind: activity.Member, ID: "1"}, activity.SignedIn
				case 2:
					e.Actor = activity.Actor{Kind: activity.System, ID: "feedback"}
				}
				tx.AddActivity(e)
				ids = append(ids, e.ID)
			}
			return nil
		})
	}
	return ids
}

func TestActivity(t *testing.T) {
	h := quick(t)
	all := h.history(t, 1500) // 62 and a half days
	if _, err := h.EditSettings(t.Context(), eve, "acme", 1, organization.Edit{TimeZone: ptr("America/New_York")}); err != nil {
		t.Fatal(err)
	}
	settings := h.day(t)[0].ID
	every := func(n int, from, to int) (ids []string) {
		for i := from; i < to; i++ {
			if n < 0 || i%3 == n {
				ids = append(ids, all[i])
			}
		}
		return ids
	}
	for _, x := range []struct {
		what string
		q    directory.TrailQuery
		want []string
	}{
		{"an instant to an instant", directory.TrailQuery{From: "2026-11-20T00:00:00Z", To: "2026-11-23T12:00:00Z"}, every(-1, 1, 85)},
		{"a day in the organization's zone", directory.TrailQuery{From: "2026-11-22", To: "2026-11-22"}, every(-1, 8, 32)},
		{"staff", directory.TrailQuery{Actor: "staff", From: "2026-09-01", Kind: activity.ProfileEdited}, every(0, 0, 1500)},
		{"a member", directory.TrailQuery{Actor: "1", From: "2026-09-01"}, every(1, 0, 1500)},
		{"a kind", directory.TrailQuery{Kind: activity.SignedIn, From: "2026-11-23T00:00:00Z"}, every(1, 0, 13)},
		{"the usual span", directory.TrailQuery{Kind: activity.SignedIn}, every(1, 0, 720)},
		{"settings", directory.TrailQuery{Kind: activity.SettingsChanged}, []string{settings}},
		{"a long time ago", directory.TrailQuery{From: "2003-01-01", To: "2026-01-01"}, nil},
	} {
		for _, limit := range []int{7, 200} {
			var got []string
			for cursor, calls := "", 0; calls == 0 || cursor != ""; calls++ {
				page, err := h.Activity(t.Context(), "acme", x.q, cursor, limit)
				if err != nil {
					t.Fatalf("%s: %v", x.what, err)
				}
				if len(page.Entries) > limit || calls > 300 {
					t.Fatalf("%s: a page of %d after %d calls", x.what, len(page.Entries), calls)
				}
				for _, e := range page.Entries {
					got = append(got, e.ID)
				}
				cursor = page.Cursor
			}
			if diff := cmp.Diff(x.want, got); diff != "" {
				t.Errorf("%s, pages of %d (-want +got):\n%s", x.what, limit, diff)
			}
		}
	}
	for _, x := range []struct {
		q            directory.TrailQuery
		cursor, code string
		limit        int
	}{
		{directory.TrailQuery{From: "yesterday"}, "", "time_invalid", 0},
		{directory.TrailQuery{To: "9999-01-01"}, "", "time_invalid", 0},
		{directory.TrailQuery{From: "2026-11-23", To: "2026-11-22"}, "", "range_invalid", 0},
		{directory.TrailQuery{Kind: "Signed In"}, "", "kind_invalid", 0},
		{directory.TrailQuery{Kind: "zzz"}, "", "kind_invalid", 0},
		{directory.TrailQuery{}, "2026-11-23", "cursor_invalid", 0},
		{directory.TrailQuery{}, "2030-11-23.", "cursor_invalid", 0},
		{directory.TrailQuery{}, "2026-11-23.a#b", "cursor_invalid", 0},
		{directory.TrailQuery{}, "2026-02-31.", "cursor_invalid", 0},
		{directory.TrailQuery{}, "", "limit_invalid", 1001},
	} {
		_, err := h.Activity(t.Context(), "acme", x.q, x.cursor, x.limit)
		wantCode(t, err, x.code)
	}
	if page, err := h.Activity(t.Context(), "other", directory.TrailQuery{}, "", 0); err != nil || len(page.Entries) != 0 {
		t.Errorf("another organization sees %d entries, %v", len(page.Entries), err)
	}
}

// Narrowed to a profile it is that profile's own trail, quiet entries included.
func TestActivityOfProfile(t *testing.T) {
	h := quick(t)
	h.create(t, person("1", "Garcia", ""))
	h.create(t, person("2", "Lopez", ""))
	var all []string
	for from := 0; from < 1400; from += 40 {
		h.update(t, func(tx *store.Tx) error {
			for i := from; i < from+40; i++ {
				at := noon.Add(-time.Duration(i) * time.Hour)
				e := activity.Entry{Organization: "acme", ID: fmt.Sprintf("%011x%05d", at.UnixMilli()-1, i), At: at, Kind: activity.SignedIn, Profile: "1", Actor: activity.Actor{Kind: activity.Member, ID: "1"}, Quiet: i%2 == 0}
				if i%4 == 0 {
					e.Kind, e.Actor = activity.ProfileEdited, eve
				}
				if all = append(all, e.ID); i%10 == 0 {
					e.Profile = "2"
				}
				tx.AddActivity(e)
			}
			return nil
		})
	}
	every := func(to int, fits func(i int) bool) (ids []string) {
		for i := range to {
			if i%10 != 0 && fits(i) {
				ids = append(ids, all[i])
			}
		}
		return ids
	}
	for _, x := range []struct {
		what string
		q    directory.TrailQuery
		want []string
	}{
		{"edited", directory.TrailQuery{Kind: activity.ProfileEdited, From: "2026-09-01"}, every(1400, func(i int) bool { return i%4 == 0 })},
		{"by the member, the usual span", directory.TrailQuery{Actor: "member"}, every(720, func(i int) bool { return i%4 != 0 })},
		{"by somebody else", directory.TrailQuery{Actor: "s-9", From: "2026-09-01"}, nil},
		{"some hours", directory.TrailQuery{Actor: "member", From: "2026-11-23T00:00:00Z", To: "2026-11-23T12:00:00Z"}, every(13, func(i int) bool { return i%4 != 0 })},
	} {
		x.q.Profile = "1"
		for _, limit := range []int{7, 1000} {
			var got []string
			for cursor, calls := "", 0; calls == 0 || cursor != ""; calls++ {
				page, err := h.Activity(t.Context(), "acme", x.q, cursor, limit)
				if err != nil || len(page.Entries) > limit || calls > 300 {
					t.Fatalf("%s: a page of %d after %d calls: %v", x.what, len(page.Entries), calls, err)
				}
				for _, e := range page.Entries {
					got = append(got, e.ID)
				}
				cursor = page.Cursor
			}
			if diff := cmp.Diff(x.want, got); diff != "" {
				t.Errorf("%s, pages of %d (-want +got):\n%s", x.what, limit, diff)
			}
		}
	}
	for _, x := range []struct{ org, profile, cursor, code string }{
		{"acme", "77", "", "profile_not_found"}, {"other", "1", "", "profile_not_found"}, {"acme", "a b", "", "profile_not_found"},
		{"acme", "1", "2026-11-23.", "cursor_invalid"}, {"acme", "1", "a#b", "cursor_invalid"},
	} {
		_, err := h.Activity(t.Context(), x.org, directory.TrailQuery{Profile: profile.ID(x.profile)}, x.cursor, 0)
		wantCode(t, err, x.code)
	}
}

// A profile's trail tells its mails of recent mailings, too.
func TestProfileActivity(t *testing.T) {
	h := quick(t)
	for _, id := range []string{"1", "2", "3"} {
		h.create(t, person(id, "Garcia", "a"+id+"@example.com"))
	}
	h.update(t, func(tx *store.Tx) error {
		m := &mailing.Mailing{
			Organization: "acme", ID: "m1", Subject: "Your login", State: mailing.Done, SentAt: noon, Generation: 1,
			Freeze: &mailing.Freeze{Generation: 1, Ready: true, Lanes: 1, Batches: 1, HasLogin: true},
		}
		tx.PutMailing(m, time.Time{})
		tx.PutMailing(&mailing.Mailing{Organization: "acme", ID: "m2", Subject: "A draft"}, time.Time{})
		place := mailing.Place(h.profile(t, "1"))
		tx.PutStretch(&mailing.Stretch{
			Organization: "acme", Mailing: "m1", Generation: 1, First: place, Last: mailing.Place(h.profile(t, "2")), Starts: []string{place},
			SkippedNow: []mailing.Skip{{Profile: "2", Reason: mailing.DoNotEmail}}, At: noon,
		})
		tx.PutBatch(&mailing.Batch{
			Organization: "acme", Mailing: "m1", Generation: 1, State: mailing.BatchFinished, At: noon.Add(time.Minute),
			Entries: []mailing.Entry{{Address: "a1@example.com", Recipients: []mailing.Recipient{{Profile: "1", Outcome: mailing.Delivered}}}},
		}, time.Time{})
		return nil
	})
	for id, want := range map[profile.ID][]directory.Mail{
		"1": {{Mailing: "m1", Subject: "Your login", Outcome: mailing.Delivered, Address: "a1@example.com", At: noon.Add(time.Minute)}},
		"2": {{Mailing: "m1", Subject: "Your login", Outcome: mailing.Skipped, Reason: mailing.DoNotEmail, At: noon}},
		"3": {},
	} {
		h.pass(time.Second)
		h.edit(t, string(id), 1, profile.Fields{LastName: ptr("Lopez")})
		page, err := h.ProfileActivity(t.Context(), "acme", id, "", 1)
		if err != nil || len(page.Entries) != 1 || page.Entries[0].Kind != activity.ProfileEdited || page.Cursor == "" {
			t.Fatalf("first page of %s: %+v, %v", id, page, err)
		}
		if diff := cmp.Diff(want, page.Mails); diff != "" {
			t.Errorf("mails of %s:\n%s", id, diff)
		}
		page, err = h.ProfileActivity(t.Context(), "acme", id, page.Cursor, 1)
		if err != nil || len(page.Entries) != 1 || page.Entries[0].Kind != activity.ProfileCreated || page.Cursor != "" || len(page.Mails) != 0 {
			t.Errorf("second page of %s: %+v, %v", id, page, err)
		}
	}
	for _, cursor := range []string{"a#b", "\xff", fmt.Sprintf("%0100d", 1)} {
		_, err := h.ProfileActivity(t.Context(), "acme", "1", cursor, 0)
		wantCode(t, err, "cursor_invalid")
	}
}
