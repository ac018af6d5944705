package credential_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/activity"
	"github.com/memberkey/memberkey/shared/credential"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

// reset sends a reset email that must go.
func (w *world) reset(id profile.ID) *credential.Reset {
	w.Helper()
	sent, err := w.resets.Send(w.ctx, desk, org, id, "", "")
	if err != nil {
		w.Fatal(err)
	}
	return sent
}

// outbox takes every mail.
type outbox struct{ mails []mailing.Mail }

func (o *outbox) Send(_ context.Context, call mailing.Call) []mailing.Receipt {
	o.mails = append(o.mails, call.Mails...)
	receipts := make([]mailing.Receipt, len(call.Mails))
	for i := range receipts {
		receipts[i] = mailing.Receipt{Fault: mailing.Taken, MessageID: "m"}
	}
	return receipts
}

// deliver works every bell that was rung and gives the mails.
func (w *world) deliver() []mailing.Mail {
	w.Helper()
	o := &outbox{}
	d := &mailing.Delivery{
		Store: store.For[mailing.Tx](w.store), Mailer: o, Bells: w, Now: w.now, Rand: rand.Reader, Sleep: func(context.Context, time.Duration) {},
		Timing: mailing.Timing{Lease: time.Minute, Grace: time.Minute, Budget: time.Minute, Again: time.Minute}, Log: slog.New(slog.NewJSONHandler(w.log, nil)),
	}
	w.mu.Lock()
	bells := w.rung
	w.rung = nil
	w.mu.Unlock()
	for _, bell := range bells {
		if err := d.Ring(w.ctx, bell); err != nil {
			w.Fatal(err)
		}
	}
	return o.mails
}

var inMail = regexp.MustCompile(`/set-password/([0-9A-Za-z]+)`)

func tokenOf(t *testing.T, m mailing.Mail) string {
	t.Helper()
	var data struct{ Text string }
	if err := json.Unmarshal(m.Data, &data); err != nil {
		t.Fatal(err)
	}
	found := inMail.FindStringSubmatch(data.Text)
	if found == nil {
		t.Fatalf("no link in %s", data.Text)
	}
	return found[1]
}

// TestReset goes the whole way: staff send, the mail arrives, its link works.
func TestReset(t *testing.T) {
	w := newWorld(t)
	w.add("1", "Ana@Example.com")
	got := w.reset("1")
	want := &credential.Reset{Address: "Ana@Example.com", EndsAt: epoch.Add(24 * time.Hour), SharedWith: []string{}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if e := w.trail("1"); len(e) != 1 || e[0].Kind != activity.ResetRequested || e[0].Actor != desk {
		t.Errorf("%+v", e)
	}
	w.pass(time.Hour) // the queue was slow: the end stays
	mails := w.deliver()
	if len(mails) != 1 || mails[0].To != "Ana@example.com" {
		t.Fatalf("%+v", mails)
	}
	token := tokenOf(t, mails[0])
	if o := w.opened(token); o.State != link.Live || !o.Ends.Equal(got.EndsAt) {
		t.Errorf("%+v", o)
	}
	done, err := w.use(token, "", first)
	if err != nil || done.Username != "ana@example.com" {
		t.Errorf("%+v, %v", done, err)
	}
	v, err := w.service.Read(w.ctx, org, "1")
	if err != nil || v.LastLink.State != mailing.Sent || v.LastLink.Address != "Ana@example.com" {
		t.Errorf("%+v, %v", v.LastLink, err)
	}
}

func TestResetTells(t *testing.T) {
	w := newWorld(t)
	w.add("1", "ana@example.com", func(p *profile.Profile) {
		p.DoNotEmail, p.Undeliverable = true, &profile.Undeliverable{Reason: "bounced", At: epoch}
	})
	w.add("4", "ana@example.com", company("Harbour Ltd"))
	w.reset("1")
	w.pass(time.Hour)
	got := w.reset("1")
	want := &credential.Reset{
		Address: "ana@example.com", EndsAt: epoch.Add(25 * time.Hour), SharedWith: []string{"Harbour Ltd"},
		EarlierLink: &credential.EarlierLink{SentAt: epoch, EndsAt: epoch.Add(24 * time.Hour)}, DoNotEmail: true, Undeliverable: "bounced",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if mails := w.deliver(); len(mails) != 2 {
		t.Errorf("%d mails: both go despite the marks", len(mails))
	}
	w.pass(time.Minute)
	w.mustSet("1", "ana", "") // ends both
	if got := w.reset("1"); got.EarlierLink != nil {
		t.Errorf("an ended link is told as working: %+v", got.EarlierLink)
	}
}

func TestResetRefusals(t *testing.T) {
	contact := profile.Relation{To: "9", Kind: "Employee", MainContact: true}
	tests := map[string]struct {
		id, to profile.ID
		change func(*world)
		code   string
		extra  map[string]any
	}{
		"no profile":                   {id: "99", code: "profile_not_found"},
		"no profile ID":                {id: "1#x", code: "profile_not_found"},
		"no email":                     {id: "3", code: "no_email"},
		"no email, a main contact":     {id: "9", code: "no_email", extra: map[string]any{"mainContacts": []credential.Contact{{ID: "5", Name: "Ana Garcia"}}}},
		"main contact has no email":    {id: "9", change: func(w *world) { w.move("5", "") }, code: "no_email"},
		"main contact is disabled":     {id: "9", to: "5", change: func(w *world) { w.logins.Disable(w.ctx, desk, org, "5") }, code: "main_contact_invalid"},
		"disabled":                     {id: "1", change: func(w *world) { w.logins.Disable(w.ctx, desk, org, "1") }, code: "login_disabled"},
		"lapsed":                       {id: "1", change: func(w *world) { w.edit("1", with(profile.Lapsed)) }, code: "not_allowed", extra: map[string]any{"reason": "not_a_member"}},
		"of a lapsed firm":             {id: "5", change: func(w *world) { w.edit("9", with(profile.Lapsed)) }, code: "not_allowed", extra: map[string]any{"reason": "member_lapsed", "via": profile.ID("9")}},
		"to somebody":                  {id: "9", to: "1", code: "main_contact_invalid"},
		"to nobody":                    {id: "9", to: "99", code: "main_contact_invalid"},
		"to a former contact":          {id: "9", to: "6", code: "main_contact_invalid"},
		"a person's, to somebody":      {id: "3", to: "5", code: "main_contact_not_needed"},
		"has an email, to its contact": {id: "9", to: "5", change: func(w *world) { w.move("9", "firm@example.com") }, code: "main_contact_not_needed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add("1", "ana@example.com")
			w.add("3", "")
			w.add("9", "", company("Harbour Ltd"))
			w.add("5", "eva@example.com", with(profile.NonMember, contact))
			former := contact
			former.Kind = "Former Employee"
			w.add("6", "fay@example.com", with(profile.Active, former))
			if test.change != nil {
				test.change(w)
			}
			var before []activity.Kind
			if test.id.Valid() {
				before = w.kinds(test.id)
			}
			_, err := w.resets.Send(w.ctx, desk, org, test.id, test.to, "")
			w.wantCode(err, test.code)
			if diff := cmp.Diff(test.extra, problem.As(err).Extra); diff != "" {
				t.Error(diff)
			}
			if len(w.batches(mailing.KindReset)) > 0 || test.id.Valid() && len(w.kinds(test.id)) != len(before) {
				t.Error("a refusal left a mail or a line in the trail")
			}
		})
	}
}

// TestResetToMainContact is U9: the organization's link in its contact's mailbox.
func TestResetToMainContact(t *testing.T) {
	w := newWorld(t)
	w.add("9", "", company("Harbour Ltd"))
	w.add("5", "eva@example.com", with(profile.NonMember, profile.Relation{To: "9", Kind: "Employee", MainContact: true}))
	got, err := w.resets.Send(w.ctx, desk, org, "9", "5", "")
	if err != nil {
		t.Fatal(err)
	}
	want := &credential.Reset{Address: "eva@example.com", EndsAt: epoch.Add(24 * time.Hour), SharedWith: []string{}, MainContact: &credential.Contact{ID: "5", Name: "Ana Garcia"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if e := w.trail("9"); len(e) != 1 || e[0].Detail["toMainContact"] != "5" {
		t.Errorf("%+v", e)
	}
	mails := w.deliver()
	if len(mails) != 1 || mails[0].To != "eva@example.com" || !strings.Contains(string(mails[0].Data), "Harbour Ltd (profile 9)") {
		t.Fatalf("%+v", mails)
	}
	token := tokenOf(t, mails[0])
	if o := w.opened(token); o.ProfileID != "9" || o.Name != "Harbour Ltd" || !o.ChooseUsername {
		t.Errorf("%+v", o)
	}
	if done, err := w.use(token, "harbour", first); err != nil || done.Profile != "9" {
		t.Errorf("%+v, %v", done, err)
	}
	if w.profile("5").HasPassword {
		t.Error("the contact has a password now")
	}
	// An own mail still goes where the profile's address is when it is sent.
	w.reset("5")
	w.move("5", "new@example.com")
	if mails := w.deliver(); len(mails) != 1 || mails[0].To != "new@example.com" {
		t.Errorf("%+v", mails)
	}
}

// TestMainContactAmongMany: the contact of a large company is found.
func TestMainContactAmongMany(t *testing.T) {
	w := newWorld(t)
	w.add("9", "", company("Harbour Ltd"))
	for i := range 230 {
		id := profile.ID(fmt.Sprintf("e%03d", i))
		w.add(id, fmt.Sprintf("e%d@example.com", i), with(profile.NonMember, profile.Relation{To: "9", Kind: "Employee", MainContact: i == 215}))
	}
	_, err := w.resets.Send(w.ctx, desk, org, "9", "", "")
	w.wantCode(err, "no_email")
	want := map[string]any{"mainContacts": []credential.Contact{{ID: "e215", Name: "Ana Garcia"}}}
	if diff := cmp.Diff(want, problem.As(err).Extra); diff != "" {
		t.Error(diff)
	}
}

func TestResetTwiceWithOneKey(t *testing.T) {
	w := newWorld(t)
	w.add("1", "ana@example.com")
	w.add("2", "ben@example.com")
	w.reset("1")
	w.pass(time.Minute)
	var wg sync.WaitGroup
	answers := make([]*credential.Reset, 8)
	for i := range answers {
		wg.Go(func() {
			var err error
			if answers[i], err = w.resets.Send(w.ctx, desk, org, "1", "", "key-1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.deliver()
	w.pass(time.Hour)
	again, err := w.resets.Send(w.ctx, desk, org, "1", "", "key-1")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		if diff := cmp.Diff(again, a); diff != "" {
			t.Errorf("another answer: %s", diff)
		}
	}
	if again.EarlierLink == nil || !again.EarlierLink.SentAt.Equal(epoch) {
		t.Errorf("earlier: %+v", again.EarlierLink)
	}
	if n := len(w.kinds("1")); n != 2 {
		t.Errorf("%d mails were asked for, want 2", n)
	}
	// The key is the profile's: it stops nobody else's mail.
	if _, err := w.resets.Send(w.ctx, desk, org, "2", "", "key-1"); err != nil {
		t.Error(err)
	}
	if _, err := w.resets.Send(w.ctx, desk, org, "1", "2", "key-1"); problem.CodeOf(err) != "idempotency_key_reused" {
		t.Errorf("another request under the key: %v", err)
	}
	// The address it went to is told, not the one of today.
	w.move("1", "new@example.com")
	if later, err := w.resets.Send(w.ctx, desk, org, "1", "", "key-1"); err != nil || later.Address != "ana@example.com" {
		t.Errorf("%+v, %v", later, err)
	}
}
