package credential_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/profile"
)

// TestAccess goes through what keeps people out (N7). Each case starts from a
// member who can sign in and for whom nothing is to be said, unless it says so.
func TestAccess(t *testing.T) {
	tests := map[string]struct {
		id     profile.ID
		change func(*world)
		want   map[string]string // code of each check that is not ok -> its fix, "" for none, "!" in front where it blocks
		told   string            // stands in one of the details
	}{
		"all well": {id: "1", told: "The status active is one of a member."},
		"disabled": {id: "1", change: func(w *world) { w.edit("1", func(p *profile.Profile) { p.Disabled = true }) }, want: map[string]string{"login_enabled": "!enable"}},
		"lapsed":   {id: "1", change: func(w *world) { w.edit("1", with(profile.Lapsed)) }, want: map[string]string{"may_enter": "!edit_profile"}, told: "no relation to a member"},
		"dropped": {id: "1", change: func(w *world) {
			w.settle(org, func(s *organization.Settings) { s.Access.Level = profile.AnyActiveProfile })
			w.edit("1", with(profile.Dropped))
		}, want: map[string]string{"may_enter": "!edit_profile"}, told: "status is dropped"},
		"former": {id: "1", change: func(w *world) { w.edit("1", with(profile.NonMember, profile.Relation{To: "9", Kind: "Former Owner"})) }, want: map[string]string{"may_enter": "!edit_profile"}, told: "is over"},
		"billing": {id: "1", change: func(w *world) {
			w.edit("1", with(profile.NonMember, profile.Relation{To: "9", Kind: "Billing Contact"}))
		}, want: map[string]string{"may_enter": "!edit_profile"}, told: "members and primary relations"},
		"its firm lapsed": {id: "1", change: func(w *world) {
			w.edit("9", with(profile.Lapsed))
			w.edit("1", with(profile.NonMember, profile.Relation{To: "9", Kind: "Owner"}))
		}, want: map[string]string{"may_enter": "!edit_profile 9"}},
		"owner of a member": {id: "1", change: func(w *world) { w.edit("1", with(profile.NonMember, profile.Relation{To: "9", Kind: "Owner"})) }, told: "Related to profile 9"},
		"typed password":    {id: "1", change: func(w *world) { w.mustSet("1", "", second) }, want: map[string]string{"password_own": ""}, told: "works until"},
		"stopped": {id: "1", change: func(w *world) { w.mustSet("1", "", second); w.pass(credential.TypedLife) }, want: map[string]string{"password_works": "!send_reset", "password_own": ""},
			told: "stopped working on Monday, 7 December 2026"},
		"waiting": {id: "1", change: func(w *world) { w.fail("ana@example.com") }, want: map[string]string{"not_waiting": "!unlock"}, told: "4:00 pm UTC"},
		"locked":  {id: "1", change: func(w *world) { w.lock("ana@example.com") }, want: map[string]string{"not_waiting": "!unlock"}, told: "Waiting does not help"},
		"unlocked": {id: "1", change: func(w *world) {
			w.lock("ana@example.com")
			if _, err := w.logins.Unlock(w.ctx, desk, org, "1"); err != nil {
				w.Fatal(err)
			}
		}, told: "no wait after failures"},
		"locked, then a link": {id: "1", change: func(w *world) {
			w.lock("ana@example.com")
			if _, err := w.use(w.mint("1"), "", second); err != nil {
				w.Fatal(err)
			}
		}, told: "no wait after failures"},
		"own username": {id: "1", change: func(w *world) { w.mustSet("1", "ana", "") }, want: map[string]string{"username_is_email": ""}},
		"came back": {id: "1", change: func(w *world) {
			w.edit("1", func(p *profile.Profile) { p.Undeliverable = &profile.Undeliverable{Reason: "bounced", At: epoch} })
		}, want: map[string]string{"email_deliverable": "release_address"}},
		"do not email":    {id: "1", change: func(w *world) { w.edit("1", func(p *profile.Profile) { p.DoNotEmail = true }) }, want: map[string]string{"email_wanted": ""}},
		"shared mailbox":  {id: "1", change: func(w *world) { w.add("4", "Ana@example.com") }, want: map[string]string{"email_own": ""}, told: "Ana Garcia (profile 4)"},
		"never set up":    {id: "2", want: map[string]string{"username_set": "!send_reset", "password_set": "!send_reset", "link_works": "send_reset"}},
		"invited":         {id: "2", change: func(w *world) { w.reset("2") }, want: map[string]string{"username_set": "!send_reset", "password_set": "!send_reset"}, told: "it works until"},
		"invitation over": {id: "2", change: func(w *world) { w.reset("2"); w.pass(25 * time.Hour) }, want: map[string]string{"username_set": "!send_reset", "password_set": "!send_reset", "link_works": "send_reset"}},
		"no email":        {id: "3", want: map[string]string{"username_set": "!set_username", "password_set": "!set_password", "email_set": "edit_profile", "link_works": ""}},
		"firm, main contact": {id: "9", change: func(w *world) {
			w.add("5", "eva@example.com", with(profile.NonMember, profile.Relation{To: "9", Kind: "Employee", MainContact: true}))
		}, want: map[string]string{"username_set": "!set_username", "password_set": "!set_password", "email_set": "send_to_main_contact 5", "link_works": ""}, told: "its main contact is Ana Garcia (profile 5)"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add("9", "", company("Harbour Ltd"))
			w.add("1", "ana@example.com")
			w.add("2", "ben@example.com")
			w.add("3", "")
			if _, err := w.use(w.mint("1"), "", first); err != nil {
				t.Fatal(err)
			}
			if test.change != nil {
				test.change(w)
			}
			checks, err := w.service.Access(w.ctx, org, test.id)
			if err != nil {
				t.Fatal(err)
			}
			got, details := map[string]string{}, ""
			seen := map[string]bool{}
			for _, c := range checks {
				if seen[c.Code] || c.Detail == "" || c.OK && (c.Blocks || c.Fix != nil) {
					t.Errorf("%+v", c)
				}
				seen[c.Code] = true
				details += c.Detail + "\n"
				if c.OK {
					continue
				}
				fix := ""
				if c.Blocks {
					fix = "!"
				}
				if c.Fix != nil {
					fix += strings.TrimSpace(c.Fix.Action + " " + string(c.Fix.Profile))
				}
				got[c.Code] = fix
			}
			if test.want == nil {
				test.want = map[string]string{}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if !strings.Contains(details, test.told) {
				t.Errorf("nobody is told %q:\n%s", test.told, details)
			}
		})
	}
	w := newWorld(t)
	_, err := w.service.Access(w.ctx, org, "99")
	w.wantCode(err, "profile_not_found")
}
