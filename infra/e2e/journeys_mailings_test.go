package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/infra/local/system"
)

// This file follows mailings through the rows beyond the seed article, and
// what must hold of them.

// H16: "What is previewed is what is sent, from the same code; previews and
// tests carry a link that opens only the sample page." P19: "Preview/test as a
// chosen recipient." N2: "Test send, preview never hold a live link."
func TestH16PreviewEqualsTheSentMail(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p := w.person(doc{"firstName": "{{.}} <b>Bold</b> [[NAME]]", "organizationName": "Sons & \"Daughters\""})
	q := w.person(doc{"type": "organization", "organizationName": "Plain " + unique()})
	c := w.compose(doc{
		"subject":  "[[FIRSTNAME]] at [[ASSOCIATION]] " + unique(),
		"html":     `<h2>Dear [[NAME]]</h2><p style="color:red" onclick="x()">From [[ORGANIZATIONNAME]] <script>alert(1)</script><a href="javascript:x()">here</a></p><p>[[PORTALLOGINLINK]]</p><p>[[HELPLINE]]</p>`,
		"audience": doc{"profiles": []string{p.ID, q.ID}},
	})
	if removed := c.edit(doc{"subject": "[[FIRSTNAME]] at [[ASSOCIATION]] " + unique()}).words("removed"); len(removed) == 0 {
		t.Error("staff are not told what was taken out of their HTML")
	}
	previews := map[string]mail{p.ID: c.preview(p.ID), q.ID: c.preview(q.ID)}
	office := w.get("/api/organization").words("testAddresses")[0]
	w.api("POST", c.path("/test"), doc{"profile": p.ID, "addresses": []string{"anybody@example.com"}}).refused(http.StatusUnprocessableEntity, "test_address_unknown")
	w.api("POST", c.path("/test"), doc{"profile": p.ID, "addresses": []string{office}}).want(http.StatusAccepted)
	var test mail
	w.until("the test", func() bool { // others test to the office, too
		for _, m := range w.mails(office) {
			if m.Subject == "[Test] "+previews[p.ID].Subject {
				test = m
			}
		}
		return test.ID != ""
	})
	c.send()
	for to, shown := range map[person]mail{p: previews[p.ID], q: previews[q.ID]} {
		sent := w.next(to.Email)
		sent.link()
		if sent.Subject != shown.Subject || anonymous(sent.HTML) != anonymous(shown.HTML) || anonymous(sent.Text) != anonymous(shown.Text) {
			t.Errorf("sent is not what was previewed:\n%s\n%s", anonymous(sent.Text), anonymous(shown.Text))
		}
		if strings.Contains(sent.HTML, "<script") || strings.Contains(sent.HTML, "onclick") || strings.Contains(sent.HTML, "javascript:") || strings.Contains(sent.HTML, "<b>Bold") {
			t.Errorf("markup got through: %s", sent.HTML)
		}
	}
	for what, m := range map[string]mail{"preview": previews[p.ID], "test": test} {
		for _, l := range m.links() {
			if l != w.portal("/set-password/sample") {
				t.Errorf("the %s has a live link: %s", what, l)
			}
		}
		m.says("{{.}} <b>Bold</b> [[NAME]]") // names stay text
	}
	if test.HTML != previews[p.ID].HTML || test.Text != previews[p.ID].Text {
		t.Error("the test is not what was previewed")
	}
	// The sample page is inert.
	b := w.browser().open(test.links()[0]).shows("This is a sample.", "Nothing can be changed here.")
	if button := b.button("Set password"); button == nil || !disabled(button) {
		t.Errorf("the sample's button can be pressed: %s", b.Body)
	}
	w.do("POST", test.links()[0], url.Values{"password": {phrase}, "again": {phrase}}).want(http.StatusOK)
}

var (
	anyLink = regexp.MustCompile(`/set-password/[0-9A-Za-z]+`)
	anyEnd  = regexp.MustCompile(`works\s+until\s+[^.]*\.`)
)

// anonymous is a mail but for its link and its end; lines are folded, because
// the text is wrapped by the length of the link.
func anonymous(s string) string {
	return squeeze(anyEnd.ReplaceAllString(anyLink.ReplaceAllString(s, "/set-password/…"), "works until …."))
}

// N3: "Pre-flight for a credentials mailing: per recipient ok / no email /
// do-not-email / suppressed / not allowed; numbers before Send." H14: who no
// longer fits when the batch is claimed is skipped with the reason.
func TestN3PreflightAndH14SkippedLater(t *testing.T) {
	t.Parallel()
	w := begin(t)
	fine, later, corrected := w.person(nil), w.person(nil), w.person(nil)
	none := w.person(doc{"email": nil})
	unwanted := w.person(doc{"doNotEmail": true})
	stranger := w.person(doc{"status": "prospect"})
	off := w.person(nil)
	w.api("POST", off.path("/disable"), nil).want(http.StatusOK)
	all := []person{fine, later, corrected, none, unwanted, stranger, off}
	ids := make([]string, len(all))
	for i, p := range all {
		ids[i] = p.ID
	}
	c := w.compose(doc{"subject": "Your login", "html": "[[PORTALLOGINLINK]]", "audience": doc{"profiles": ids, "login": "no_password"}})
	w.api("POST", c.path("/send"), doc{"version": 1}).refused(http.StatusConflict, "audience_not_frozen")
	counted := c.count().is("mails", 3).is("profiles", 7).
		is("skipped.no_email", 1).is("skipped.do_not_email", 1).is("skipped.not_allowed", 1).is("skipped.disabled", 1)
	// An edit discards the count; what is sent is what was looked at.
	c.edit(doc{"subject": "Your login, again"})
	w.api("POST", c.path("/send"), doc{"version": counted.number("version")}).want(http.StatusConflict)
	counted = c.count()

	// Between the count and the sending one sets a password, and one moves.
	w.browser().open(later.link()).sets(phrase).shows("Your password is set")
	moved := "moved." + unique() + "@example.org"
	corrected.edit(doc{"email": moved}).want(http.StatusOK)
	w.api("POST", c.path("/send"), doc{"version": counted.number("version")}).want(http.StatusOK)
	w.browser().open(w.nextOf(moved, c.ID).link()).shows("profile " + corrected.ID)
	done := c.done().is("report.outcomes.delivered", 2).is("report.outcomes.skipped", 5).is("report.skippedLater", 1)
	if mails := w.mails(corrected.Email); len(mails) != 0 {
		t.Errorf("%d mails went to the old address", len(mails))
	}
	got := c.recipients()
	for p, want := range map[person]recipient{
		fine: {fine.Email, "delivered", ""}, corrected: {moved, "delivered", ""}, later: {got[later.ID].Address, "skipped", "has_password"},
		none: {"", "skipped", "no_email"}, unwanted: {unwanted.Email, "skipped", "do_not_email"},
		stranger: {stranger.Email, "skipped", "not_allowed"}, off: {off.Email, "skipped", "disabled"},
	} {
		if got[p.ID] != want {
			t.Errorf("%s: %+v, want %+v", p.ID, got[p.ID], want)
		}
	}
	if done.number("report.profiles") != len(got) {
		t.Errorf("%d rows, %d profiles", len(got), done.number("report.profiles"))
	}
	// Nobody who can be mailed: refused, with what to look at.
	empty := w.credentialsFor(none, unwanted)
	w.api("POST", empty.path("/send"), doc{"version": empty.count().number("version")}).refused(http.StatusUnprocessableEntity, "audience_empty")
}

// N4: "Shared address inside a mass mailing: one message per mailbox with a
// labelled username and link per profile." V3: the profile picked decides whose
// credentials appear.
func TestN4SharedMailboxGetsOneMail(t *testing.T) {
	t.Parallel()
	w := begin(t)
	company := w.person(doc{"type": "organization", "organizationName": "One Desk " + unique()})
	owner := w.person(doc{"firstName": "Oz", "email": strings.ToUpper(company.Email), "status": "non-member", "relations": []doc{{"to": company.ID, "kind": "Owner"}}})
	left := w.person(doc{"firstName": "Pat", "email": company.Email}) // shares it, and was not picked
	c := w.credentialsFor(company, owner)
	c.count().is("mails", 1).is("profiles", 2)
	c.send()
	m := w.next(company.Email).says(company.Name, "profile "+company.ID, owner.Name, "profile "+owner.ID)
	if strings.Contains(m.HTML, left.Name) || len(m.links()) != 2 {
		t.Errorf("the mail has %d links, and Pat: %v", len(m.links()), strings.Contains(m.HTML, left.Name))
	}
	found := map[string]bool{}
	for _, l := range m.links() {
		if match := whose.FindStringSubmatch(w.browser().open(l).Text()); match != nil {
			found[match[1]] = true
		}
	}
	if !found[company.ID] || !found[owner.ID] {
		t.Errorf("the links open for %v", keys(found))
	}
	c.done().is("report.mails", 1).is("report.outcomes.delivered", 2)
}

// N5: "Kill switch per mailing: revoke every unused link of one send."
func TestN5RevokeLinks(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p, q, other := w.person(nil), w.person(nil), w.person(nil)
	c := w.credentialsFor(p, q)
	c.send()
	used, unused := w.next(p.Email).link(), w.next(q.Email).link()
	w.browser().open(used).sets(phrase).shows("Your password is set")
	elsewhere := other.link()
	c.done()
	w.as("frontdesk").api("POST", c.path("/revoke-links"), nil).refused(http.StatusForbidden, "forbidden")
	form := w.browser().open(unused)
	if c.do("revoke-links").text("linksRevokedAt") == "" {
		t.Error("staff do not see when the links were revoked")
	}
	form.sets(phrase).shows("This link has ended")
	w.browser().open(unused).shows("This link has ended")
	w.browser().open(used).shows("This link has been used")
	w.browser().open(elsewhere).shows("Set your password")
	w.browser().signIn(p.Email, phrase).shows("Welcome")
	q.credentials().is("passwordSet", false).is("loginStatus", "expired")
	// A copy sends further links, which work.
	again := campaign{w, w.api("POST", c.path("/copy"), nil).want(http.StatusCreated).text("id")}
	again.send()
	w.browser().open(w.nextOf(q.Email, again.ID).link()).sets(phrase).shows("Your password is set")
}

// N6: "Outcome funnel per mailing: sent, delivered/bounced, password set."
func TestN6Funnel(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p, q := w.person(nil), w.person(nil)
	bounce := w.person(doc{"email": "bounce+" + unique() + "@simulator.example"})
	c := w.credentialsFor(p, q, bounce)
	c.send()
	w.browser().open(w.next(p.Email).link()).sets(phrase)
	w.browser().open(w.next(q.Email).link()) // opening is not counted
	c.done().is("report.outcomes.delivered", 2).is("report.outcomes.bounced", 1)
	page := w.get(c.path("/recipients")).is("passwordSet", 1)
	for _, r := range page.list("recipients") {
		if r.yes("passwordSet") != (r.text("profile") == p.ID) {
			t.Errorf("%s", r.Body)
		}
	}
	if rows := w.get(c.path("/recipients?outcome=bounced")).list("recipients"); len(rows) != 1 || rows[0].text("profile") != bounce.ID {
		t.Errorf("bounced are %v", rows)
	}
	csv := string(w.get(c.path("/recipients?format=csv")).Body)
	if lines := strings.Count(strings.TrimSpace(csv), "\n"); lines != 3 {
		t.Errorf("the table has %d rows: %s", lines, csv)
	}
}

// H19: "Bounces and complaints come back to the outcome and the profile.
// Undeliverable profiles are skipped, counted and listed to work through. A new
// address, or staff's release, clears the mark." P20: "Bounce list with
// fix-address-then-resend."
func TestH19BouncesComeBack(t *testing.T) {
	t.Parallel()
	w := begin(t)
	for _, x := range []struct{ local, outcome, mark, skip string }{
		{"bounce", "bounced", "bounced", "undeliverable"}, {"complaint", "complained", "complained", "suppressed"},
		{"suppressionlist", "bounced", "suppressed", "suppressed"},
	} {
		p := w.person(doc{"email": x.local + "+" + unique() + "@simulator.example"})
		c := w.credentialsFor(p)
		c.send()
		c.done().is("report.outcomes."+x.outcome, 1)
		w.until("the mark", func() bool { return p.profile().text("undeliverable.reason") == x.mark })
		if !slices.Contains(w.listed("email=undeliverable"), p.ID) {
			t.Errorf("%s: not on the list to work through", x.local)
		}
		if check := p.check("email_deliverable"); check.yes("ok") || check.text("fix.action") != "release_address" {
			t.Errorf("%s: %s", x.local, check.Body)
		}
		w.credentialsFor(p).count().is("mails", 0).is("skipped."+x.skip, 1)
		if x.local == "complaint" {
			// Staff know better, and release the address.
			w.api("POST", p.path("/release-address"), nil).want(http.StatusOK).is("undeliverable", nil)
			w.credentialsFor(p).count().is("mails", 1)
			continue
		}
		// The address is corrected, and the same message goes again.
		right := "right." + unique() + "@example.com"
		p.edit(doc{"email": right}).want(http.StatusOK).is("undeliverable", nil)
		again := campaign{w, w.api("POST", c.path("/reminders"), nil).want(http.StatusCreated).text("id")}
		again.count().is("mails", 1)
		again.send()
		w.browser().open(w.nextOf(right, again.ID).link()).shows("profile " + p.ID)
	}
}

// V13: "Send: now, once later." A scheduled mailing freezes anew at its start,
// and becomes a draft again when it is cancelled.
func TestV13ScheduledMailing(t *testing.T) {
	t.Parallel()
	w := begin(t)
	p, q := w.person(nil), w.person(doc{"status": "prospect"})
	c := w.credentialsFor(p, q)
	version := c.count().is("mails", 1).number("version")
	schedule := func(at time.Time) response {
		return w.api("POST", c.path("/send"), doc{"version": version, "at": at.UTC().Format(time.RFC3339Nano)})
	}
	schedule(time.Now().Add(-time.Minute)).refused(http.StatusBadRequest, "schedule_past")
	schedule(time.Now().Add(time.Hour)).want(http.StatusOK).is("state", "scheduled")
	c.do("cancel").is("state", "draft")
	version = c.count().number("version")
	schedule(time.Now().Add(1500*time.Millisecond)).want(http.StatusOK).is("state", "scheduled")
	q.edit(doc{"status": "active"}).want(http.StatusOK) // joins before it starts
	w.next(p.Email)
	w.browser().open(w.next(q.Email).link()).shows("profile " + q.ID)
	c.done().is("report.mails", 2).is("report.outcomes.delivered", 2)
}

// H18: "Pause, resume and cancel act within seconds." H17: "single mails are
// never stuck behind a mailing." The mail service is given a low rate, so that
// there is something to pause.
func TestH18PauseResumeCancel(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *system.Config) { c.Mail = mailbox.Options{Rate: 60, Log: c.Log} })
	const people = 300
	time.Sleep(1500 * time.Millisecond) // the sweep reads the account's rate each second
	file := &strings.Builder{}
	file.WriteString("Profile ID,Profile Type,Last Name,Email,Membership Status\n")
	for i := range people {
		fmt.Fprintf(file, "h%d,Individual,Slow%d,slow.%d@example.com,Active\n", i, i, i)
	}
	w.api("POST", "/api/profile-imports", table(file.String())).want(http.StatusOK).is("created", people)
	c := w.compose(doc{"subject": "Slowly", "html": "[[PORTALLOGINLINK]]", "audience": doc{"mayEnter": true, "login": "no_password"}})
	total := c.send().number("report.profiles")
	went := func(r response) int {
		return total - r.number("report.outcomes.pending") - r.number("report.outcomes.skipped")
	}
	w.until("the first mails", func() bool { return went(c.whole()) > 0 })

	c.do("pause").is("state", "paused")
	// Meanwhile a single mail goes at once.
	p := w.person(nil)
	asked := time.Now()
	p.reset().want(http.StatusAccepted)
	w.next(p.Email)
	if took := time.Since(asked); took > 5*time.Second {
		t.Errorf("a single mail took %v beside a mailing", took)
	}
	// What was being handed over when it was paused may end; then nothing moves.
	before := -1
	w.until("the mailing to stand still", func() bool {
		before = went(c.whole())
		time.Sleep(1200 * time.Millisecond) // lanes look once a second whether they may go on
		return went(c.whole()) == before
	})
	if took := time.Since(asked); took > 8*time.Second || before >= total {
		t.Errorf("paused for %v, %d of %d went", took, before, total)
	}

	c.do("resume").is("state", "sending")
	w.until("it to go on", func() bool { return went(c.whole()) > before })
	if c.whole().at("report.secondsLeft") == nil {
		t.Error("staff do not see how long it takes")
	}
	c.do("cancel").is("state", "cancelled")
	done := c.done()
	skipped := map[string]int{}
	for _, r := range c.recipients() {
		if r.Outcome == "skipped" {
			skipped[r.Reason]++
		}
	}
	if skipped["cancelled"] == 0 || done.number("report.outcomes.delivered")+done.number("report.outcomes.skipped") != total {
		t.Errorf("after cancelling: %s, skipped %v", done.Body, skipped)
	}
	mails := w.mailsOf(url.Values{"mailing": {c.ID}})
	links := 0
	for _, m := range mails {
		links += len(m.links())
	}
	if links != done.number("report.outcomes.delivered") {
		t.Errorf("%d links came out, %d profiles are told to be mailed", links, done.number("report.outcomes.delivered"))
	}
	// What went out before can be revoked.
	c.do("revoke-links")
	w.browser().open(mails[0].links()[0]).shows("This link has ended")
	w.api("POST", c.path("/resume"), nil).refused(http.StatusConflict, "mailing_state")
}

// N14: "Resume, and resend only to failed, with the reason per recipient."
func TestN14ResendOnlyToFailed(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *system.Config) {
		c.Mail = mailbox.Options{Faults: mailbox.Faults{Reject: 0.4, Seed: 8}, Log: c.Log}
	})
	var people []person
	for range 12 {
		people = append(people, w.person(nil))
	}
	c := w.credentialsFor(people...)
	c.send()
	failed := c.done().number("report.outcomes.failed")
	if failed == 0 || failed == len(people) {
		t.Fatalf("%d of %d failed: the fault shows nothing", failed, len(people))
	}
	for id, r := range c.recipients() {
		if r.Outcome == "failed" && r.Reason == "" {
			t.Errorf("%s failed without a reason", id)
		}
	}
	for failed > 0 {
		w.api("POST", c.path("/resend-failed"), nil).want(http.StatusOK).is("profiles", failed).is("complete", true)
		left := c.done().number("report.outcomes.failed")
		if left > failed {
			t.Fatalf("%d failed, and then %d", failed, left)
		}
		failed = left
	}
	c.whole().is("report.outcomes.delivered", len(people)).is("report.profiles", len(people))
	for _, p := range people { // one arrived for each, however often it was tried
		arrived := 0
		for _, m := range w.mails(p.Email) {
			if m.Outcome == "delivered" {
				arrived++
				w.browser().open(m.link()).shows("profile " + p.ID)
			}
		}
		if arrived != 1 {
			t.Errorf("%s got %d mails", p.Email, arrived)
		}
	}
}
