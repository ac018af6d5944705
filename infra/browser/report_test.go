package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/infra/local/system"
)

// What stands behind a mailing's list and live page.

// sent is a mailing that a test follows.
type sent struct {
	*world
	id string
}

func (s sent) path() string { return "/api/mailings/" + s.id }
func (s sent) hash() string { return "#/mailings/" + s.id }

// draft composes a credentials mailing.
func (w *world) draft(subject string, audience doc) sent {
	w.Helper()
	made := w.api("POST", "/api/mailings", doc{"subject": subject, "html": "<p>Dear [[NAME]],</p><p>[[PORTALLOGINLINK]]</p>", "audience": audience})
	return sent{w, made["id"].(string)}
}

// to composes one for some profiles.
func (w *world) to(subject string, profiles ...string) sent {
	w.Helper()
	return w.draft(subject, doc{"profiles": profiles})
}

// count freezes the audience and gives the body that sends it.
func (s sent) count() doc {
	s.Helper()
	s.api("POST", s.path()+"/audience", nil)
	var audience doc
	s.until("the audience to be counted", func() bool {
		audience = s.api("GET", s.path()+"/audience", nil)
		return audience["state"] == "ready"
	})
	return doc{"version": audience["version"]}
}

func (s sent) send() sent {
	s.Helper()
	s.api("POST", s.path()+"/send", s.count())
	return s
}

// number is a figure of its report: an outcome, or "profiles".
func (s sent) number(name string) int {
	s.Helper()
	report, _ := s.api("GET", s.path(), nil)["report"].(map[string]any)
	n, ok := report[name].(float64)
	if !ok {
		n, _ = report["outcomes"].(map[string]any)[name].(float64)
	}
	return int(n)
}

func (s sent) state() string { s.Helper(); return s.api("GET", s.path(), nil)["state"].(string) }

func (s sent) done() sent {
	s.Helper()
	s.until("the mailing to be done", func() bool { return s.state() == "done" && s.number("sent") == 0 })
	return s
}

func (w *world) until(what string, ok func() bool) {
	w.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("waited in vain for %s", what)
		}
	}
}

// imported stores members from a generated CSV, as staff would.
func (w *world) imported(n int) {
	w.Helper()
	file := &strings.Builder{}
	file.WriteString("Profile ID,Profile Type,First Name,Last Name,Email,Membership Status\n")
	for i := range n {
		fmt.Fprintf(file, "r%05d,Individual,Row,Member%05d,row.%d@example.com,Active\n", i, i, i)
	}
	for {
		if w.api("POST", "/api/profile-imports", file.String())["complete"] == true {
			return
		}
	}
}

// everyone is the audience of all who may sign in and have no password.
var everyone = doc{"mayEnter": true, "login": "no_password"}

// slow starts a system whose mail service keeps people waiting, once its rate
// and quota are known.
func slow(t testing.TB, mails mailbox.Options) *world {
	t.Helper()
	w := start(t, func(c *system.Config) {
		c.Mail = mails
		c.Mail.Log = c.Log
	})
	w.until("the rate to be known", func() bool {
		pace, err := w.own.Store.Pace(context.Background())
		return err == nil && !pace.ReadAt.IsZero()
	})
	return w
}

// outcome is the number beside an outcome on the live page.
func outcome(p *page, name string) int {
	p.Helper()
	return value[int](p, fmt.Sprintf(`Number(document.querySelector(".outcomes tr.%s td").textContent.replaceAll(",", ""))`, name))
}

// grows is an expression: an outcome has more than n profiles on the live page.
func grows(name string, n int) string {
	return fmt.Sprintf(`Number(document.querySelector(".outcomes tr.%s td")?.textContent.replaceAll(",", "") ?? 0) > %d`, name, n)
}

// dialog waits for a window with this title.
func (p *page) dialog(title string) {
	p.Helper()
	p.waitFor("the window "+title, fmt.Sprintf(`document.querySelector("dialog[open] h2")?.textContent === %s`, quoted(title)))
}

// hasFocus waits until the keyboard is at what has this name.
func (p *page) hasFocus(name string) {
	p.Helper()
	for end := time.Now().Add(patience / 4); p.focused() != name; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("the keyboard is at %q, not at %q", p.focused(), name)
		}
	}
}

func (p *page) noDialog() {
	p.Helper()
	p.waitFor("the window to close", `document.querySelector("dialog[open]") === null`)
}

// before evaluates a script in every page before its own.
func (p *page) before(script string) {
	p.Helper()
	p.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return err
	}))
}

// watching notes, ten times a second, what the live page shows and where.
const watching = `(() => {
	const n = (text) => Number((text ?? "").replaceAll(",", ""));
	window.seen = [];
	const look = () => {
		const rows = [...document.querySelectorAll(".outcomes tbody tr")];
		if (rows.length === 0) return;
		const [done, all] = document.querySelector(".running .share span").textContent.match(/[\d,]+/g).map(n);
		const tops = ["h1", ".running progress", ".outcomes", "#recipients"].map((at) => Math.round(document.querySelector(at).getBoundingClientRect().top + scrollY));
		const of = Object.fromEntries(rows.map((row) => [row.className.split(" ")[0], n(row.querySelector("td").textContent)]));
		seen.push({done, all, of, sum: Object.values(of).reduce((a, b) => a + b, 0), total: n(document.querySelector(".outcomes tfoot td").textContent), tops: tops.join(" ")});
	};
	window.watch = setInterval(look, 100);
})(), true`

// "5,000 imported rows and a mailing to them followed to its end": V15 (what
// became of everybody), H15 (nobody is lost at any moment), N6 (the funnel).
func TestH15FiveThousandFollowedToTheEnd(t *testing.T) {
	const rows = 5000
	w := slow(t, mailbox.Options{Rate: 700, Faults: mailbox.Faults{Reject: .01, Bounce: .02, Seed: 3}})
	w.imported(rows)
	s := w.draft("Your login for [[ASSOCIATION]]", everyone)
	send := s.count()
	p := w.signInAt("Manager", "#/mailings")
	p.see("Your login for [[ASSOCIATION]]")

	s.api("POST", s.path()+"/send", send)
	p.open("#/profiles")
	p.open("#/mailings")
	total := s.number("profiles")
	if total < rows {
		t.Fatalf("%d profiles in the audience", total)
	}
	p.waitFor("progress in the list", `document.querySelector(".mailings progress")?.value > 0`)
	p.click("Your login for [[ASSOCIATION]]")
	p.see("It is being sent.")
	p.waitFor("the rate", `/about [\d,.]+ a second/.test(document.body.innerText)`)
	p.shot("mailing-sending")
	value[bool](p, watching)
	p.see("Everything is settled: nothing is waiting, nothing is uncertain.")
	s.done()
	p.waitFor("the last outcomes", fmt.Sprintf(`!(%s)`, grows("sent", 0)))
	value[bool](p, `(clearInterval(watch), true)`)

	// At every moment the numbers came to the audience, and none went back.
	type glance struct {
		Done, All, Sum, Total int
		Of                    map[string]int
		Tops                  string
	}
	seen := value[[]glance](p, "seen")
	states := map[int]bool{}
	for i, g := range seen {
		states[g.Done] = true
		if g.Sum != total || g.Total != total || g.All != total || g.Done != total-g.Of["pending"]-g.Of["uncertain"] {
			t.Fatalf("the numbers do not add up to %d: %+v", total, g)
		}
		if i > 0 && g.Done < seen[i-1].Done {
			t.Errorf("it went back: %+v, then %+v", seen[i-1], g)
		}
		if i > 0 && g.Tops != seen[i-1].Tops {
			t.Errorf("something moved: %s, then %s (%+v)", seen[i-1].Tops, g.Tops, g)
		}
	}
	if len(states) < 3 {
		t.Errorf("the page showed %d steps on the way: %v", len(states), states)
	}
	for _, name := range []string{"delivered", "bounced", "failed", "skipped", "sent", "pending", "uncertain", "complained"} {
		if got, want := outcome(p, name), s.number(name); got != want {
			t.Errorf("%s: the page says %d, the API %d", name, got, want)
		}
	}
	if outcome(p, "failed") == 0 || outcome(p, "bounced") == 0 {
		t.Fatal("the faults show nothing")
	}
	p.see("The same as the audience when it was counted")

	// The funnel says how far it has counted, and then is exact.
	p.see("counted so far: 2,000 of")
	p.click("Count the rest")
	p.see("all counted")
	p.both()
	p.shot("mailing-done")

	// Who failed, and why.
	failed := outcome(p, "failed")
	p.see(fmt.Sprintf("%d of %d profiles, as of", failed, failed))
	p.see("The mail service refused the message")

	// All of them, to the last: only those in sight are in the page.
	p.choose("Show", fmt.Sprintf("Everyone (%s)", thousands(total)))
	p.see("200 of " + thousands(total) + " profiles, as of")
	last := fmt.Sprintf("tr[aria-rowindex='%d']", total+1)
	value[bool](p, fmt.Sprintf(`new Promise((done, failed) => {
		const until = Date.now() + %d;
		let most = 0;
		const down = () => {
			scrollTo(0, document.documentElement.scrollHeight);
			most = Math.max(most, document.querySelectorAll("table.rows tr").length);
			if (document.querySelector(%s)) done(most < 120);
			else if (Date.now() > until) failed("the end does not come: " + document.querySelector(".recipients .line").textContent);
			else setTimeout(down, 30);
		};
		down();
	})`, patience.Milliseconds()-2000, quoted(last)))
	p.see(thousands(total) + " of " + thousands(total) + " profiles, as of")

	// The file holds every one of them, under one header.
	const header = "profile,name,address,outcome,reason,sent_at,password_set"
	text := p.download(func() { p.click("Download: Everyone") }, header, ",delivered,", ",skipped,no_email,")
	lines := strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n")
	if lines[0] != header || strings.Count(text, header) != 1 || len(lines) != total+1 {
		t.Errorf("the file has %d lines and begins with %q", len(lines), lines[0])
	}
	if n := strings.Count(text, ",failed,message_rejected,"); n != failed {
		t.Errorf("%d failed in the file, %d on the page", n, failed)
	}
	p.said("Downloaded: " + thousands(total) + " rows.")
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// H18: "Pause, resume and cancel act within seconds. A mailing's unused links
// can be revoked at once." N5. Two colleagues look at one mailing.
func TestH18PauseResumeCancelByTwo(t *testing.T) {
	w := slow(t, mailbox.Options{Rate: 25})
	w.imported(900)
	s := w.draft("Slowly", everyone).send()
	ana, ben := w.signInAt("Administrator", s.hash()), w.signInAt("Manager", s.hash())
	ben.see("It is being sent.")
	ana.waitFor("the first mails", grows("delivered", 0))
	ana.see("at most 20.5 mails a second")

	// Ana looks at the question, and leaves it; the keyboard is where it was.
	ana.click("Pause")
	ana.dialog("Pause this mailing?")
	ana.see("It stops within seconds")
	ana.axe()
	ana.click("Keep sending")
	ana.noDialog()
	if s.state() != "sending" {
		t.Fatal("asking has paused it")
	}
	ana.hasFocus("Pause")
	ana.keys("\r")
	ana.dialog("Pause this mailing?")
	ana.tab("Pause")
	ana.keys("\r")
	ana.noDialog()
	ana.see("Paused by local administrator")
	ana.hasFocus("Resume")

	// Ben sees it without doing anything, and goes on.
	ben.see("Paused by local administrator")
	ben.see("Nothing more goes out until somebody presses Resume.")
	ben.both()
	ben.shot("mailing-paused")
	still := outcome(ben, "pending")
	ben.click("Resume")
	ben.dialog("Go on sending?")
	ben.click("Resume")
	ben.see("It is being sent.")
	ana.see("It is being sent.")
	ana.waitFor("it to go on", fmt.Sprintf(`!(%s)`, grows("pending", still-1)))

	// Ana has a window open while Ben is quicker.
	ana.click("Pause")
	ana.dialog("Pause this mailing?")
	ben.click("Cancel mailing")
	ben.dialog("Cancel this mailing for good?")
	ben.see("that have not been tried will be skipped. This cannot be undone")
	ben.axe()
	ben.shot("mailing-cancel")
	ben.click("Cancel mailing")
	ben.noDialog()
	ben.see("Cancelled by local manager")
	ana.see("Meanwhile the mailing is: Cancelled. There is nothing left to do here.")
	ana.axe()
	ana.click("Close")
	s.until("everything to be settled", func() bool { return s.number("pending")+s.number("sent")+s.number("uncertain") == 0 })
	ana.see("What had not been tried was skipped.")
	ana.waitFor("the skipped", grows("skipped", 0))
	if ana.has("Pause") || ana.has("Resume") || ana.has("Cancel mailing") || ana.has("Resend to the failed") {
		t.Error("a cancelled mailing offers what cannot be done")
	}
	ana.choose("Show", fmt.Sprintf("Skipped (%d)", s.number("skipped")))
	ana.see("The mailing was cancelled")
	ana.axe()
	ana.shot("mailing-cancelled")

	// The links that went out are ended.
	link := s.link()
	member := w.visit(strings.TrimPrefix(link, w.base))
	member.see("Set your password")
	ana.click("Revoke links")
	ana.dialog("Revoke this mailing’s links?")
	ana.see("stops working at once")
	ana.axe()
	ana.click("Revoke links")
	ana.noDialog()
	ana.see("are dead.")
	if ana.has("Revoke links") {
		t.Error("links that are dead can be revoked once more")
	}
	ben.see("are dead.")
	member.do(chromedp.Navigate(link))
	member.see("This link has ended")
}

var setLink = regexp.MustCompile(`http://localhost:\d+/portal/demo/set-password/[0-9A-Za-z]{65}`)

// link is one that the mailing has sent.
func (s sent) link() string {
	s.Helper()
	text, _ := s.world.send("GET", "/local/mailbox.json?mailing="+s.id, nil)
	var mails []mail
	if err := json.Unmarshal(text, &mails); err != nil || len(mails) == 0 {
		s.Fatalf("no mail of the mailing: %v", err)
	}
	found := setLink.FindString(mails[0].Text)
	if found == "" {
		s.Fatalf("no link in %s", mails[0].Text)
	}
	return found
}

// "A dropped connection on the live page": the numbers stay and say from when
// they are, it goes on by itself, and an answer that was lost is found out.
func TestH18DroppedConnectionOnTheLivePage(t *testing.T) {
	w := slow(t, mailbox.Options{Rate: 30})
	w.imported(400)
	s := w.draft("Slowly", everyone).send()
	p := w.signInAt("Manager", s.hash())
	p.waitFor("the first mails", grows("delivered", 0))

	p.offline(true)
	p.see("No answer at the moment. The numbers are from ")
	p.see("trying again.")
	if alert := value[string](p, `document.querySelector("[role=alert]:not(.recipients *)")?.textContent ?? ""`); alert != "" || outcome(p, "delivered") == 0 {
		t.Errorf("an error stands over good numbers: %s", alert)
	}
	p.axe()
	p.shot("mailing-offline")
	before := outcome(p, "delivered")
	// What is done now is not done, and says so.
	p.click("Pause")
	p.dialog("Pause this mailing?")
	p.click("Pause")
	p.see("There was no answer.")
	p.see("It may have been done all the same.")
	p.axe()
	p.click("Keep sending")
	p.offline(false)
	p.see("Numbers of ")
	p.gone("No answer at the moment")
	p.waitFor("the numbers to go on", grows("delivered", before))

	// The pause arrives, and its answer is lost.
	lost := p.lose("POST", "/pause")
	p.click("Pause")
	p.dialog("Pause this mailing?")
	p.click("Pause")
	lost()
	p.see("There was no answer.")
	p.see("Meanwhile the mailing is: Paused. There is nothing left to do here.")
	p.click("Close")
	p.see("Paused by local manager")

	// A mail service that does not come back in time is no news either.
	p.click("Resume")
	p.dialog("Go on sending?")
	p.click("Resume")
	p.noDialog()
	value[bool](p, `(() => {
		const send = window.fetch;
		window.restore = () => { window.fetch = send; };
		window.fetch = async (to, init) => new Response("", {status: 503});
	})(), true`)
	p.see("This took too long.")
	p.see("trying again.")
	value[bool](p, `(restore(), true)`)
	p.see("Numbers of ")
	s.api("POST", s.path()+"/cancel", nil)
	p.see("Cancelled by local administrator")
}

// N14: "Resume, and resend only to failed, with the reason per recipient."
func TestN14ResendToTheFailed(t *testing.T) {
	const people = 12
	w := start(t, func(c *system.Config) {
		c.Mail = mailbox.Options{Faults: mailbox.Faults{Reject: .4, Seed: 8}, Log: c.Log}
	})
	var ids []string
	for range people {
		ids = append(ids, w.person(nil))
	}
	s := w.to("Your login", ids...).send().done()
	p := w.signInAt("Manager", s.hash())
	p.see("Everything is settled")
	failed := outcome(p, "failed")
	if failed == 0 || failed == people {
		t.Fatalf("%d of %d failed: the fault shows nothing", failed, people)
	}
	p.see("The mail service refused the message")
	p.see(fmt.Sprintf("%d of %s, as of", failed, profiles(failed)))
	p.both()
	for round := 0; failed > 0; round++ {
		p.click("Resend to the failed")
		p.dialog("Send again to those whose mail failed?")
		p.see(profiles(failed) + " will be tried again")
		if round == 0 {
			p.both()
		}
		p.click("Resend")
		p.noDialog()
		p.see(map[bool]string{true: "1 profile is tried again.", false: fmt.Sprintf("%d profiles are tried again.", failed)}[failed == 1])
		s.done()
		p.see("Everything is settled")
		p.waitFor("the numbers of the second try", fmt.Sprintf("Number(document.querySelector('.outcomes tr.failed td').textContent) === %d", s.number("failed")))
		left := outcome(p, "failed")
		if left > failed {
			t.Fatalf("%d failed, and then %d", failed, left)
		}
		failed = left
	}
	p.see("Nobody failed")
	if n := outcome(p, "delivered"); n != people || p.has("Resend to the failed") {
		t.Errorf("%d of %d delivered", n, people)
	}
	p.see("The same as the audience when it was counted: 12 profiles, nobody lost.")

	// What they got can be looked at.
	p.click("View as a recipient")
	p.waitFor("the mail", `document.querySelector("dialog[open] iframe") !== null`)
	p.see("Your login")
	p.keys(kb.Escape)
	p.noDialog()
	p.hasFocus("View as a recipient")
}

func profiles(n int) string {
	if n == 1 {
		return "1 profile"
	}
	return fmt.Sprintf("%d profiles", n)
}

// P20: "Bounce list with fix-address-then-resend." H19, N6: "remind the rest".
func TestP20FixBouncesAndRemind(t *testing.T) {
	w := begin(t)
	bounced := w.person(doc{"firstName": "Bo", "email": "bounce+" + time.Now().Format("150405.000") + "@simulator.example"})
	set, unset := w.person(nil), w.person(nil)
	s := w.to("Your login, please", bounced, set, unset).send().done()
	w.api("PUT", "/api/profiles/"+set+"/credentials", doc{"password": "correct horse battery staple twice"}, "If-Match", `"0"`)

	p := w.signInAt("Manager", s.hash())
	p.see("all counted")
	p.waitFor("the funnel", `[...document.querySelectorAll(".funnel tr")].map((row) => row.innerText.replace(/\s+/g, " ").trim()).join("; ") === "Mailed 3 100 %; Delivered 2 66 %; Have a password now 1 33 %"`)
	p.click("Bounced")
	p.hasFocus("Who, and why")
	p.see("There is no such mailbox")
	p.see("Open the profile and correct the email. A reminder then goes to the new address.")
	if !strings.HasSuffix(p.hash(), "?outcome=bounced") {
		t.Errorf("the address is %s", p.hash())
	}
	p.both()
	p.shot("mailing-bounced")
	p.waitFor("the wide table", `document.querySelectorAll(".recipients th").length === 7`)
	p.click("/^Bo Number")
	p.waitFor("the profile", fmt.Sprintf(`location.hash === "#/profiles/%s"`, bounced))
	version := fmt.Sprintf("%q", fmt.Sprint(w.api("GET", "/api/profiles/"+bounced, nil)["version"]))
	w.api("PATCH", "/api/profiles/"+bounced, doc{"email": "bo." + bounced + "@example.com"}, "If-Match", version)

	p.open(s.hash())
	p.click("Reminder")
	p.dialog("Make a reminder?")
	p.see("Nothing is sent now")
	p.both()
	p.click("Make the draft")
	p.waitFor("the draft", fmt.Sprintf(`/^#\/mailings\/[^/?]+/.test(location.hash) && !location.hash.startsWith(%q)`, s.hash()))
	made := sent{w, strings.TrimPrefix(strings.Split(p.hash(), "?")[0], "#/mailings/")}
	if d := w.api("GET", made.path(), nil); d["remindsOf"] != s.id || d["state"] != "draft" {
		t.Errorf("the reminder is %v", d)
	}
	made.count()
	if a := w.api("GET", made.path()+"/audience", nil); a["mails"] != 2.0 {
		t.Errorf("the reminder goes to %v", a)
	}
}

// N6, H25: what staff and members typed stands in the page as text.
func TestV15ReportShowsTextAsText(t *testing.T) {
	w := begin(t)
	const nasty = `<img src=x onerror="document.title='owned'"> {{7*7}} [[NAME]]`
	id := w.person(doc{"firstName": "<script>document.title='owned'</script>", "lastName": `"><b>${1+1}</b>`})
	w.draft(nasty, doc{"profiles": []string{id}}).send().done()
	p := w.signInAt("Manager", "#/mailings")
	p.see(nasty)
	p.click(nasty)
	p.see("Everything is settled")
	p.see(nasty)
	p.click("Delivered")
	p.see(`<script>document.title='owned'</script> "><b>${1+1}</b>`)
	p.axe()
	if value[string](p, "document.title") == "owned" || value[bool](p, `Boolean(document.querySelector("main img, main b"))`) {
		t.Error("markup came to life")
	}
}

// H17, H18: a mailing that waits for the quota says so and goes on by itself;
// one whose account was paused says why, in words, and what to do.
func TestH17QuotaAndPausedAccount(t *testing.T) {
	w := slow(t, mailbox.Options{DailyQuota: 25})
	w.imported(60)
	s := w.draft("Over the quota", everyone).send()
	p := w.signInAt("Manager", s.hash())
	p.see("Waiting for tomorrow's quota")
	p.see("What is left of today’s quota is too little for mailings.")
	p.see("Left of today’s quota")
	p.both()
	p.shot("mailing-quota")
	if !p.has("Pause") || !p.has("Cancel mailing") || p.has("Resume") {
		t.Error("a mailing that waits can be paused and cancelled, and goes on by itself")
	}

	v := start(t, func(c *system.Config) { c.Mail = mailbox.Options{Faults: mailbox.Faults{Pause: true}, Log: c.Log} })
	s = v.to("Nobody can be mailed", v.person(nil)).send()
	q := v.signInAt("Manager", s.hash())
	q.see("It has paused by itself")
	q.see("The mail service has paused sending for the whole account.")
	q.both()
	if !q.has("Resume") {
		t.Error("a paused mailing cannot be resumed")
	}
}

// V14: "Message Admin: drafts, scheduled, sent; sent ones are read-only; copy."
// S14: Communication > Send Email.
func TestV14ListOfMailings(t *testing.T) {
	w := start(t, nil)
	p := w.signInAt("Manager", "#/profiles")
	p.click("Communication")
	p.see("No mailings yet")
	p.both()
	p.shot("mailings-empty")
	if value[string](p, find("control", "Send Email", 0)+".getAttribute('href')") != "#/mailings/new" {
		t.Error("Send Email leads elsewhere")
	}

	one := w.person(nil)
	old := w.to("The first one", one)
	for i := range 52 {
		w.to(fmt.Sprintf("Draft %02d", i), one)
	}
	done := w.to("A finished one", one).send().done()
	later := w.to("A later one", one)
	body := later.count()
	body["at"] = time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339)
	w.api("POST", later.path()+"/send", body)

	p.open("#/profiles")
	p.open("#/mailings")
	p.see("A later one")
	p.see("goes out ")
	p.see("1 profile, 1 mail")
	order := value[[]string](p, `[...document.querySelectorAll(".mailings .subject")].slice(0, 3).map((el) => el.textContent)`)
	if fmt.Sprint(order) != "[A later one A finished one Draft 51]" {
		t.Errorf("the list begins with %v", order)
	}
	p.gone("The first one")
	p.click("Show more")
	p.see("The first one")
	if p.has("Show more") {
		t.Error("there is more after the end")
	}
	p.both()
	p.shot("mailings")

	// Copy leads to the new draft.
	p.click("Copy: A finished one")
	p.waitFor("the copy", `/^#\/mailings\/[0-9a-zA-Z]+/.test(location.hash)`)
	copied := sent{w, strings.TrimPrefix(p.hash(), "#/mailings/")}
	if d := w.api("GET", copied.path(), nil); copied.id == done.id || d["state"] != "draft" || d["subject"] != "A finished one" {
		t.Errorf("the copy is %v", d)
	}

	// Delete asks first; what somebody has changed meanwhile is not lost unseen.
	p.open("#/mailings")
	p.click("Show more")
	p.click("Delete: The first one")
	p.dialog("Delete this draft?")
	p.axe()
	p.click("Keep it")
	p.noDialog()
	p.hasFocus("Delete: The first one")
	w.api("PUT", old.path(), doc{"subject": "The first one, better"}, "If-Match", `"1"`)
	p.click("Delete: The first one")
	p.dialog("Delete this draft?")
	p.click("Delete")
	p.see("Its subject is now “The first one, better”.")
	p.axe()
	p.click("Delete")
	p.noDialog()
	p.see("The draft is deleted.")
	p.gone("The first one")
	if _, status := w.send("GET", old.path(), nil); status != 404 {
		t.Errorf("the draft is still there: %d", status)
	}
	if p.has("Delete: A later one") || value[int](p, `[...document.querySelectorAll("button")].filter((el) => el.getAttribute("aria-label") === "Delete: A finished one").length`) != 1 {
		t.Error("what was sent can be deleted, or its copy cannot")
	}

	p.offline(true)
	p.see("No answer at the moment. The list is from")
	p.see("A finished one")
	p.offline(false)
	p.gone("No answer at the moment")
}

// N17: what a role may not do is not offered.
func TestN17MailingsByRole(t *testing.T) {
	w := begin(t)
	s := w.to("Only for managers", w.person(nil)).send().done()
	desk := w.signInAt("Front desk", s.hash())
	desk.see("Your role does not include this")
	desk.see("Compose mailings")
	desk.axe()
	if desk.has("Communication") {
		t.Error("the front desk is offered Communication")
	}

	// Somebody who composes and may neither send nor revoke.
	p := w.visit("/")
	p.before(`(() => {
		const send = window.fetch;
		window.fetch = async (to, init) => {
			const answer = await send(to, init);
			if (!String(to).endsWith("/api/me")) return answer;
			const me = await answer.json();
			me.permissions = me.permissions.filter((one) => !["send_mailings", "revoke_links"].includes(one));
			return Response.json(me);
		};
	})()`)
	p.click("Manager")
	p.waitFor("the console", `Boolean(document.querySelector("header.top"))`)
	p.open(s.hash())
	p.see("Everything is settled")
	for _, name := range []string{"Pause", "Resume", "Cancel mailing", "Resend to the failed", "Revoke links"} {
		if p.has(name) {
			t.Errorf("%s is offered to who may not", name)
		}
	}
	if !p.has("Copy") || !p.has("Reminder") {
		t.Error("copy and reminder need no more than composing")
	}
	p.axe()
}
