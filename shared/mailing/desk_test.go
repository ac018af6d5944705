package mailing_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

// TestStates is the whole table of what may be done when, and what it leads to.
func TestStates(t *testing.T) {
	states := []mailing.State{mailing.Draft, mailing.Scheduled, mailing.Sending, mailing.Paused, mailing.WaitingQuota, mailing.Cancelled, mailing.Done}
	const no = mailing.State("")
	table := map[mailing.Action][7]mailing.State{
		//                      draft              scheduled          sending            paused             waiting            cancelled          done
		mailing.DoEdit:         {mailing.Draft, mailing.Scheduled, no, no, no, no, no},
		mailing.DoDelete:       {"gone", no, no, no, no, no, no},
		mailing.DoFreeze:       {mailing.Draft, mailing.Scheduled, no, no, no, no, no},
		mailing.DoSend:         {mailing.Sending, mailing.Sending, no, no, no, no, no},
		mailing.DoPause:        {no, no, mailing.Paused, mailing.Paused, mailing.Paused, no, no},
		mailing.DoResume:       {no, no, mailing.Sending, mailing.Sending, no, no, no},
		mailing.DoCancel:       {no, mailing.Draft, mailing.Cancelled, mailing.Cancelled, mailing.Cancelled, mailing.Cancelled, no},
		mailing.DoRevoke:       {no, no, mailing.Sending, mailing.Paused, mailing.WaitingQuota, mailing.Cancelled, mailing.Done},
		mailing.DoResendFailed: {no, no, mailing.Sending, no, no, no, mailing.Done},
		mailing.DoRemind:       {no, no, mailing.Sending, mailing.Paused, mailing.WaitingQuota, mailing.Cancelled, mailing.Done},
	}
	w := newWorld(t, 1)
	w.put(person("1", "a@example.org"))
	ctx := context.Background()
	for action, row := range table {
		for i, from := range states {
			t.Run(fmt.Sprintf("%s when %s", action, from), func(t *testing.T) {
				id := w.compose(profile.Filter{}).ID
				w.freeze(id)
				w.update(func(tx *store.Tx) error {
					m, err := tx.Mailing(org, id)
					if err != nil {
						return err
					}
					m.State = from
					if from != mailing.Draft && from != mailing.Scheduled {
						m.SentAt = w.clock
					}
					tx.PutMailing(m, time.Time{})
					return nil
				})
				version := w.mailing(id).Freeze.Generation
				var err error
				switch action {
				case mailing.DoEdit:
					subject := "Another subject"
					_, err = w.desk.Edit(ctx, org, staff, id, 1, mailing.Edit{Subject: &subject})
				case mailing.DoDelete:
					err = w.desk.Delete(ctx, org, staff, id, 1)
				case mailing.DoFreeze:
					_, err = w.desk.Freeze(ctx, org, staff, id)
				case mailing.DoSend:
					_, err = w.desk.Send(ctx, org, staff, id, version, time.Time{})
				case mailing.DoPause:
					_, err = w.desk.Pause(ctx, org, staff, id)
				case mailing.DoResume:
					_, err = w.desk.Resume(ctx, org, staff, id)
				case mailing.DoCancel:
					_, err = w.desk.Cancel(ctx, org, staff, id)
				case mailing.DoRevoke:
					_, err = w.desk.RevokeLinks(ctx, org, staff, id)
				case mailing.DoResendFailed:
					_, err = w.desk.ResendFailed(ctx, org, staff, id)
				case mailing.DoRemind:
					_, err = w.desk.Reminders(ctx, org, staff, "", id)
				}
				want := row[i]
				if want == no {
					code := "mailing_state"
					if action == mailing.DoSend {
						code = "already_sent"
					}
					if problem.CodeOf(err) != code || w.mailing(id).State != from || w.mailing(id).Can(action) {
						t.Fatalf("got %v, state %s", err, w.mailing(id).State)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				m, err := w.store.Mailing(ctx, org, id)
				if want == "gone" {
					if problem.CodeOf(err) != "mailing_not_found" {
						t.Fatalf("still there: %v", err)
					}
				} else if m.State != want {
					t.Fatalf("state %s, want %s", m.State, want)
				}
			})
		}
	}
}

func text(s string) *string { return &s }

func TestDraftsAreSavedWhilePeopleWrite(t *testing.T) {
	w := newWorld(t, 1)
	ctx := context.Background()
	v, err := w.desk.Create(ctx, org, staff, "key-1", mailing.Edit{})
	if err != nil || v.Complete || v.State != mailing.Draft || v.Version != 1 {
		t.Fatalf("%+v, %v", v, err)
	}
	again, err := w.desk.Create(ctx, org, staff, "key-1", mailing.Edit{Subject: text("Twice")})
	if err != nil || again.ID != v.ID || again.Subject != "" {
		t.Fatalf("the same key made %+v, %v", again, err)
	}
	if other, err := w.desk.Create(ctx, org, staff, "key-2", mailing.Edit{}); err != nil || other.ID == v.ID {
		t.Fatalf("another key made %v, %v", other, err)
	}
	if _, err := w.desk.Freeze(ctx, org, staff, v.ID); problem.CodeOf(err) != "message_incomplete" {
		t.Fatalf("froze an empty message: %v", err)
	}
	for name, test := range map[string]struct {
		edit  mailing.Edit
		codes []string
	}{
		"unknown field":       {mailing.Edit{HTML: text("<p>[[NICKNAME]]</p>")}, []string{"html special_field_unknown"}},
		"link in the subject": {mailing.Edit{Subject: text("Hi [[PORTALLOGINLINK]]")}, []string{"subject special_field_not_in_subject"}},
		"all at once": {
			mailing.Edit{Subject: text("[[NICKNAME]]"), HTML: text("<p>[[OTHER]]</p>"), Audience: &profile.Filter{Type: "alien"}},
			[]string{"audience.type filter_invalid", "html special_field_unknown", "subject special_field_unknown"},
		},
	} {
		_, err := w.desk.Edit(ctx, org, staff, v.ID, 1, test.edit)
		var codes []string
		p := problem.As(err)
		for _, i := range p.Problems {
			codes = append(codes, i.Field+" "+i.Code)
		}
		if len(p.Problems) == 0 {
			codes = []string{p.Field + " " + p.Code}
		}
		slices.Sort(codes)
		if diff := cmp.Diff(test.codes, codes); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if got, err := w.desk.Get(ctx, org, v.ID); err != nil || got.Version != 1 || got.HTML != "" {
		t.Fatalf("a refused edit changed something: %+v, %v", got, err)
	}
	v, err = w.desk.Edit(ctx, org, staff, v.ID, 1, mailing.Edit{HTML: text("<p onclick=x()>Hello</p>")})
	if err != nil || v.Version != 2 || v.Complete || v.HTML == "" {
		t.Fatalf("%+v, %v", v, err)
	}
	v, err = w.desk.Edit(ctx, org, staff, v.ID, 2, mailing.Edit{Subject: text("News")})
	if err != nil || v.Version != 3 || !v.Complete || len(v.Removed) == 0 {
		t.Fatalf("%+v, %v", v, err)
	}
	_, err = w.desk.Edit(ctx, org, staff, v.ID, 2, mailing.Edit{Subject: text("Old news"), HTML: text(v.HTML)})
	if p := problem.As(err); p.Kind != problem.Stale || !cmp.Equal(p.Extra["differs"], []string{"subject"}) {
		t.Fatalf("a stale edit: %v %v", err, p.Extra)
	}
	if err := w.desk.Delete(ctx, org, staff, v.ID, 1); problem.As(err).Kind != problem.Stale {
		t.Fatalf("a stale delete: %v", err)
	}
	if _, err := w.desk.Get(ctx, "lake", v.ID); problem.CodeOf(err) != "mailing_not_found" {
		t.Fatalf("another organization sees it: %v", err)
	}
}

func TestSendNeedsTheNumbersThatWereSeen(t *testing.T) {
	w := newWorld(t, 1)
	ctx := context.Background()
	w.put(person("1", "a@example.org"), person("2", ""))
	id := w.compose(profile.Filter{}).ID
	send := func(version int, at time.Time) string {
		_, err := w.desk.Send(ctx, org, staff, id, version, at)
		return problem.CodeOf(err)
	}
	if code := send(1, time.Time{}); code != "audience_not_frozen" {
		t.Fatal(code)
	}
	if _, err := w.desk.Freeze(ctx, org, staff, id); err != nil {
		t.Fatal(err)
	}
	if a, err := w.desk.Audience(ctx, org, id); err != nil || a.State != "counting" {
		t.Fatalf("%+v %v", a, err)
	}
	if code := send(1, time.Time{}); code != "audience_not_frozen" {
		t.Fatal(code)
	}
	w.drain()
	a, err := w.desk.Audience(ctx, org, id)
	want := &mailing.Audience{State: "ready", Version: 1, Mails: 1, Profiles: 2, Skipped: map[string]int{"no_email": 1}, At: w.clock}
	if diff := cmp.Diff(want, a); diff != "" || err != nil {
		t.Fatal(diff, err)
	}
	if _, err := w.desk.Edit(ctx, org, staff, id, 1, mailing.Edit{Subject: text("Changed")}); err != nil {
		t.Fatal(err)
	}
	if code := send(1, time.Time{}); code != "audience_not_frozen" {
		t.Fatal(code) // the edit discarded the freeze
	}
	a = w.freeze(id)
	if code := send(1, time.Time{}); code != "audience_stale" || a.Version != 2 {
		t.Fatal(code, a.Version)
	}
	for at, code := range map[time.Duration]string{-time.Hour: "schedule_past", 400 * 24 * time.Hour: "schedule_far"} {
		if got := send(2, w.clock.Add(at)); got != code {
			t.Errorf("in %v: %s", at, got)
		}
	}
	if code := send(2, time.Time{}); code != "" {
		t.Fatal(code)
	}
	if code := send(2, time.Time{}); code != "already_sent" {
		t.Fatal(code)
	}
	nobody := w.compose(profile.Filter{Email: profile.EmailNone}).ID
	a = w.freeze(nobody)
	if _, err := w.desk.Send(ctx, org, staff, nobody, a.Version, time.Time{}); problem.CodeOf(err) != "audience_empty" {
		t.Fatal(err)
	}
}

func TestTestsGoOnlyToNamedAddressesAndOpenNothing(t *testing.T) {
	w := newWorld(t, 1)
	ctx := context.Background()
	w.put(person("1", "a@example.org"))
	id := w.compose(profile.Filter{}).ID
	for code, to := range map[string][]string{
		"test_addresses": {}, "test_address_unknown": {"staff@example.org", "a@example.org"},
	} {
		if err := w.desk.Test(ctx, org, staff, id, "1", to); problem.CodeOf(err) != code {
			t.Errorf("%v: %v", to, err)
		}
	}
	if err := w.desk.Test(ctx, org, staff, id, "77", []string{"staff@example.org"}); problem.CodeOf(err) != "profile_not_found" {
		t.Error(err)
	}
	if err := w.desk.Test(ctx, org, staff, id, "1", []string{"staff@EXAMPLE.org", "STAFF@example.org", "second@example.org"}); err != nil {
		t.Fatal(err)
	}
	w.drain()
	if len(w.office.sent) != 2 {
		t.Fatalf("%d tests sent", len(w.office.sent))
	}
	preview, err := w.desk.Preview(ctx, org, id, "1")
	if err != nil {
		t.Fatal(err)
	}
	for _, mail := range w.office.sent {
		if mail.HTML != preview.HTML || mail.Text != preview.Text || mail.Subject != "[Test] "+preview.Subject {
			t.Error("the test is not what the preview shows")
		}
		if len(mail.Tokens) != 0 || !strings.Contains(mail.Text, "/set-password/"+mailing.SampleToken) {
			t.Error("the test carries something else than the sample link")
		}
	}
	// A test of a message that is emptied before it goes is no poison.
	if err := w.desk.Test(ctx, org, staff, id, "1", []string{"second@example.org"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk.Edit(ctx, org, staff, id, 1, mailing.Edit{Subject: text("")}); err != nil {
		t.Fatal(err)
	}
	bell := w.queue[0]
	w.drain()
	b, err := w.store.Batch(ctx, mailing.Batch{Organization: org, ID: bell.ID})
	if err != nil || b.State != mailing.BatchFinished || b.Entries[0].Recipients[0].Reason != mailing.NotRendered {
		t.Fatalf("%+v %v", b, err)
	}
}

// TestPreviewIsWhatIsSent compares the two but for the link itself (H16).
func TestPreviewIsWhatIsSent(t *testing.T) {
	w := newWorld(t, 1)
	hostile := person("1", "a@example.org")
	hostile.FirstName, hostile.LastName = "<b>{{x}}</b>", "\"O'Hara\" [[NAME]]\r\nBcc: x@example.org"
	shared := person("2", "b@example.org")
	taken := person("3", "b@example.org")
	taken.Username = "b@example.org"
	w.put(hostile, shared, taken)
	id := w.send(profile.Filter{Profiles: []profile.ID{"1"}})
	preview, err := w.desk.Preview(context.Background(), org, id, "1")
	if err != nil {
		t.Fatal(err)
	}
	w.drain()
	mail := w.office.sent[0]
	plain := func(s string) string { return linkInMail.ReplaceAllString(s, "LINK") }
	if plain(mail.HTML) != plain(preview.HTML) || plain(mail.Text) != plain(preview.Text) || mail.Subject != preview.Subject {
		t.Errorf("previewed\n%s\nsent\n%s", preview.Text, mail.Text)
	}
	if strings.ContainsAny(mail.Subject, "\r\n") || strings.Contains(mail.HTML, "<b>{{") {
		t.Error("a name did not stay text")
	}
	preview, err = w.desk.Preview(context.Background(), org, id, "2")
	if err != nil || !strings.Contains(preview.Text, "choose one") {
		t.Errorf("whose address is somebody's username must be told so: %v\n%s", err, preview.Text)
	}
}

// TestPreviewOfASharedMailbox: whoever of a mailbox is chosen, the preview is
// the one mail that all of them get, before counting, after it, and once sent
// (H13, H16).
func TestPreviewOfASharedMailbox(t *testing.T) {
	bakery := &profile.Profile{ID: "5", Type: profile.Organization, OrganizationName: "Harbour Bakery", Email: "bakery@example.org", Status: profile.Active}
	named := person("3", "both@example.org")
	named.Username = "both@example.org"
	never := person("4", "both@example.org")
	never.DoNotEmail = true
	late := person("6", "both@example.org")
	late.Status = profile.Lapsed
	for name, all := range map[string][]*profile.Profile{
		"two without usernames":             {person("1", "pair@example.org"), person("2", "pair@example.org")},
		"whose mailbox is a username":       {person("1", "both@example.org"), named, never, late},
		"one of two":                        {person("1", "both@example.org"), never, late},
		"a company is greeted by its name":  {bakery},
		"one whose name stands for another": {person("1", "both@example.org"), func() *profile.Profile { p := *named; p.Email = "away@example.org"; return &p }()},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			ctx := context.Background()
			w.put(all...)
			w.clock = w.clock.Add(time.Minute)
			subject, html := "For [[FIRSTNAME]]", "<p>Dear [[FIRSTNAME]],</p><p>[[PORTALLOGINLINK]]</p>"
			v, err := w.desk.Create(ctx, org, staff, "", mailing.Edit{Subject: &subject, HTML: &html, Audience: &profile.Filter{Status: []profile.Status{profile.Active}}})
			if err != nil {
				t.Fatal(err)
			}
			plain := func(s string) string {
				return linkInMail.ReplaceAllString(ends.ReplaceAllString(s, "END"), "LINK")
			}
			type seen struct{ when, text, html, subject string }
			var previews []seen
			look := func(when string) {
				for _, p := range all {
					if p.DoNotEmail || p.Status != profile.Active || p.Email == "away@example.org" {
						continue
					}
					shown, err := w.desk.Preview(ctx, org, v.ID, p.ID)
					if err != nil {
						t.Fatal(err)
					}
					previews = append(previews, seen{when + " as " + string(p.ID), plain(shown.Text), plain(shown.HTML), shown.Subject})
				}
			}
			look("draft")
			a := w.freeze(v.ID)
			look("counted")
			if err := w.desk.Test(ctx, org, staff, v.ID, all[0].ID, []string{"staff@example.org"}); err != nil {
				t.Fatal(err)
			}
			w.drain()
			test := w.office.sent[0]
			previews = append(previews, seen{"test", plain(test.Text), plain(test.HTML), strings.TrimPrefix(test.Subject, "[Test] ")})
			if _, err := w.desk.Send(ctx, org, staff, v.ID, a.Version, time.Time{}); err != nil {
				t.Fatal(err)
			}
			w.drain()
			look("sent")
			mail := w.office.sent[1]
			want := seen{text: plain(mail.Text), html: plain(mail.HTML), subject: mail.Subject}
			for _, p := range previews {
				if want.when = p.when; p != want {
					t.Errorf("%s: previewed %q\n%s\nsent %q\n%s", p.when, p.subject, p.text, want.subject, want.text)
				}
			}
			if name == "a company is greeted by its name" && (!strings.Contains(mail.Text, "Dear Harbour Bakery,") || mail.Subject != "For Harbour Bakery") {
				t.Errorf("%s\n%s", mail.Subject, mail.Text)
			}
		})
	}
}

// ends is the moment at which a link ends, as mails tell it.
var ends = regexp.MustCompile(`\d+ [A-Z][a-z]+ 2026[^<.\n]*`)

func TestReportAndRecipients(t *testing.T) {
	w := newWorld(t, 5)
	w.crowd(80)
	w.office.account.Rate = 12
	if err := w.sweep.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	id := w.send(profile.Filter{})
	ctx := context.Background()
	report, err := w.desk.Report(ctx, w.mailing(id))
	if err != nil || report.Outcomes[mailing.Pending] == 0 || report.SecondsLeft == nil || *report.SecondsLeft != int(float64(report.Mails)/report.Rate)+1 {
		t.Fatalf("%+v %v", report, err)
	}
	w.settle(id)
	report, err = w.desk.Report(ctx, w.mailing(id))
	if err != nil || report.SecondsLeft != nil {
		t.Fatalf("%+v %v", report, err)
	}
	all := w.recipients(id)
	if len(all) != report.Profiles {
		t.Fatalf("%d listed of %d", len(all), report.Profiles)
	}
	for _, o := range mailing.Outcomes {
		n := 0
		for cursor := ""; ; {
			page, err := w.desk.Recipients(ctx, org, id, o, cursor, 9)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Recipients {
				if r.Outcome != o || !slices.ContainsFunc(all, func(a mailing.Row) bool { return a == r }) {
					t.Fatalf("among %s: %+v", o, r)
				}
			}
			n += len(page.Recipients)
			if cursor = page.Cursor; cursor == "" {
				break
			}
		}
		if n != report.Outcomes[o] {
			t.Errorf("%d of %s listed, %d reported", n, o, report.Outcomes[o])
		}
	}
	for _, bad := range []string{"x", "s/", "s/2/0/a", "b/1/2", "b/1/0/0/-1", "b/1/0/0/99999999999", "s/1/x/a"} {
		if _, err := w.desk.Recipients(ctx, org, id, "", bad, 9); problem.CodeOf(err) != "cursor_invalid" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := w.desk.Recipients(ctx, org, id, "lost", "", 9); problem.CodeOf(err) != "outcome_unknown" {
		t.Error(err)
	}
	w.edit(all[len(all)-1].Profile, func(p *profile.Profile) { p.FirstName, p.HasPassword = "=1+1", true })
	page, err := w.desk.Recipients(ctx, org, id, "", "", mailing.MaxRows)
	if err != nil || page.Cursor != "" || page.PasswordSet == 0 || page.PasswordSet > page.Mailed {
		t.Fatalf("%d mailed, %d with a password, %v", page.Mailed, page.PasswordSet, err)
	}
	body, err := page.CSV()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
	if err != nil || len(rows) != 1+report.Profiles {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	last := rows[len(rows)-1]
	if !strings.HasPrefix(last[1], "'=1+1") || last[6] != "Y" {
		t.Errorf("last row %q", last)
	}
}

// TestWhomToAskInstead: an organization that is skipped for want of an email
// names its main contact, if that one can be mailed (U9).
func TestWhomToAskInstead(t *testing.T) {
	w := newWorld(t, 1)
	company := func(id string) *profile.Profile {
		return &profile.Profile{ID: profile.ID(id), Type: profile.Organization, OrganizationName: "Company " + id, Status: profile.Active}
	}
	works := func(p *profile.Profile, at profile.ID, main bool) *profile.Profile {
		p.Relations = append(p.Relations, profile.Relation{To: at, Kind: "Employee", MainContact: main})
		return p
	}
	w.put(company("c1"), company("c2"), company("c3"), person("9", ""))
	w.put(works(person("1", "a@example.org"), "c1", false), works(works(person("2", "b@example.org"), "c1", true), "c2", false), works(person("3", ""), "c2", true))
	id := w.compose(profile.Filter{}).ID
	w.freeze(id)
	got := map[profile.ID]mailing.Contact{}
	for _, r := range w.recipients(id) {
		if r.Reason == mailing.NoEmail {
			got[r.Profile] = r.MainContact
		}
	}
	want := map[profile.ID]mailing.Contact{"c1": {ID: "2", Name: "Ana García 2"}, "c2": {}, "c3": {}, "9": {}, "3": {}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestResendFailed(t *testing.T) {
	w := newWorld(t, 3)
	w.crowd(60)
	w.office.fails, w.office.faults = 0.9, []mailing.Fault{mailing.Rejected}
	id := w.send(profile.Filter{})
	w.settle(id)
	report, _ := w.desk.Report(context.Background(), w.mailing(id))
	failed := report.Outcomes[mailing.Failed]
	if failed == 0 {
		t.Fatal("nothing failed")
	}
	w.office.fails, w.office.faults = 0, nil
	resent, err := w.desk.ResendFailed(context.Background(), org, staff, id)
	if err != nil || resent.Profiles != failed || !resent.Complete || w.mailing(id).State != mailing.Sending {
		t.Fatalf("%+v, %v, %s", resent, err, w.mailing(id).State)
	}
	w.check(id)
	if again, err := w.desk.ResendFailed(context.Background(), org, staff, id); err != nil || again.Profiles != 0 {
		t.Fatalf("twice: %+v %v", again, err)
	}
	m := w.settle(id)
	report, _ = w.desk.Report(context.Background(), m)
	if m.State != mailing.Done || report.Outcomes[mailing.Failed] != 0 {
		t.Fatalf("%s %v", m.State, report.Outcomes)
	}
	w.reckon(m)
}

func TestReminders(t *testing.T) {
	w := newWorld(t, 2)
	skipped := person("4", "d@example.org")
	skipped.DoNotEmail = true
	w.put(person("1", "a@example.org"), person("2", "b@example.org"), person("3", "c@example.org"), skipped)
	w.clock = w.clock.Add(time.Hour)
	id := w.send(profile.Filter{})
	w.office.silent = true
	w.settle(id)
	clear(w.office.taken) // it counts per mailing
	w.clock = w.clock.Add(time.Hour)
	w.put(person("9", "new@example.org")) // was never invited
	w.edit("1", func(p *profile.Profile) { p.HasPassword = true })
	w.edit("2", func(p *profile.Profile) { p.Email = "b2@example.org" }) // moved, and must not be forgotten
	w.edit("4", func(p *profile.Profile) { p.DoNotEmail = false })       // may be mailed now, but was not: there is nothing to remind of
	v, err := w.desk.Reminders(context.Background(), org, staff, "k", id)
	if err != nil || v.RemindsOf != id || v.Audience.Login != profile.LoginNoPassword || !v.Complete {
		t.Fatalf("%+v %v", v, err)
	}
	a := w.freeze(v.ID)
	if _, err := w.desk.Send(context.Background(), org, staff, v.ID, a.Version, time.Time{}); err != nil {
		t.Fatal(err)
	}
	w.settle(v.ID)
	var who []string
	for _, r := range w.recipients(v.ID) {
		who = append(who, string(r.Profile))
	}
	slices.Sort(who)
	if diff := cmp.Diff([]string{"2", "3"}, who); diff != "" {
		t.Error(diff)
	}
	plain, err := w.desk.Create(context.Background(), org, staff, "", mailing.Edit{Subject: text("News"), HTML: text("<p>No link</p>")})
	if err != nil {
		t.Fatal(err)
	}
	a = w.freeze(plain.ID)
	if _, err := w.desk.Send(context.Background(), org, staff, plain.ID, a.Version, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk.Reminders(context.Background(), org, staff, "", plain.ID); problem.CodeOf(err) != "no_credentials_link" {
		t.Error(err)
	}
}

func TestSavedTemplatesAndAudiences(t *testing.T) {
	w := newWorld(t, 1)
	ctx := context.Background()
	all, err := w.desk.Templates(ctx, org)
	if err != nil || len(all) != 1 || !all[0].ReadOnly {
		t.Fatalf("%+v %v", all, err)
	}
	// What comes with Memberkey can be sent as it is.
	v, err := w.desk.Create(ctx, org, staff, "", mailing.Edit{Subject: &all[0].Subject, HTML: &all[0].HTML})
	if err != nil || !v.Complete || len(v.Removed) != 0 {
		t.Fatalf("%+v %v", v, err)
	}
	made, err := w.desk.SaveTemplate(ctx, org, staff, "", 0, mailing.Template{Name: " Welcome ", Subject: "Hi", HTML: "<p>[[NAME]]</p>", ReadOnly: true})
	if err != nil || made.Name != "Welcome" || made.Version != 1 || made.ReadOnly {
		t.Fatalf("%+v %v", made, err)
	}
	if _, err := w.desk.SaveTemplate(ctx, org, staff, "", 0, mailing.Template{HTML: "<p>[[X]]</p>"}); problem.CodeOf(err) != "name_invalid" || len(problem.As(err).Problems) != 2 {
		t.Error(err)
	}
	if _, err := w.desk.SaveTemplate(ctx, org, staff, made.ID, 7, *made); problem.As(err).Kind != problem.Stale {
		t.Error(err)
	}
	if again, err := w.desk.SaveTemplate(ctx, org, staff, made.ID, 1, mailing.Template{Name: "Welcome", Subject: "Hello"}); err != nil || again.Version != 2 {
		t.Errorf("%+v %v", again, err)
	}
	for _, id := range []string{all[0].ID, "nowhere"} {
		want := map[bool]string{true: "read_only", false: "template_not_found"}[id != "nowhere"]
		if _, err := w.desk.SaveTemplate(ctx, org, staff, id, 1, mailing.Template{Name: "X"}); problem.CodeOf(err) != want {
			t.Error(err)
		}
		if err := w.desk.DeleteTemplate(ctx, org, id, 1); problem.CodeOf(err) != want {
			t.Error(err)
		}
	}
	if err := w.desk.DeleteTemplate(ctx, org, made.ID, 2); err != nil {
		t.Error(err)
	}
	if _, err := w.desk.Template(ctx, org, made.ID); problem.CodeOf(err) != "template_not_found" {
		t.Error(err)
	}

	filter, err := w.desk.SaveAudience(ctx, org, staff, "", 0, mailing.SavedAudience{Name: "Lapsed", Filter: profile.Filter{Status: []profile.Status{profile.Lapsed}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk.SaveAudience(ctx, org, staff, "", 0, mailing.SavedAudience{Name: "Bad", Filter: profile.Filter{Type: "alien"}}); problem.As(err).Field != "filter.type" {
		t.Error(err)
	}
	if again, err := w.desk.SaveAudience(ctx, org, staff, filter.ID, 1, *filter); err != nil || again.Version != 2 {
		t.Errorf("%+v %v", again, err)
	}
	list, err := w.desk.SavedAudiences(ctx, org)
	if err != nil || len(list) != 2 || !list[0].ReadOnly || list[0].Filter.Validate() != nil {
		t.Fatalf("%+v %v", list, err)
	}
	if err := w.desk.DeleteAudience(ctx, org, list[0].ID, 1); problem.CodeOf(err) != "read_only" {
		t.Error(err)
	}
	if err := w.desk.DeleteAudience(ctx, org, filter.ID, 2); err != nil {
		t.Error(err)
	}
	if _, err := w.desk.SavedAudience(ctx, org, filter.ID); problem.CodeOf(err) != "audience_not_found" {
		t.Error(err)
	}
}

// TestTrail makes sure that whatever staff did to a mailing can be read up.
func TestTrail(t *testing.T) {
	w := newWorld(t, 1)
	ctx := context.Background()
	w.put(person("1", "a@example.org"))
	id := w.send(profile.Filter{})
	do := func(_ *mailing.View, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(w.desk.Pause(ctx, org, staff, id))
	do(w.desk.Pause(ctx, org, staff, id)) // pressed twice: one line
	do(w.desk.Resume(ctx, org, staff, id))
	do(w.desk.RevokeLinks(ctx, org, staff, id))
	do(w.desk.Cancel(ctx, org, staff, id))
	do(w.desk.Copy(ctx, org, staff, "", id))
	entries, _, err := (&store.Store{DB: w.db}).DayActivity(ctx, org, w.clock, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[activity.Kind]int{}
	for _, e := range entries {
		counts[e.Kind]++
		if e.Actor != staff || e.Mailing == "" {
			t.Errorf("%+v", e)
		}
	}
	want := map[activity.Kind]int{
		activity.MailingCreated: 2, activity.MailingSent: 1, activity.MailingPaused: 1, activity.MailingResumed: 1,
		activity.MailingCancelled: 1, activity.LinksRevoked: 1,
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Error(diff)
	}
}
