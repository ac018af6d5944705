package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
)

// Composing a mailing: Message, Profiles, Send.

// compose opens an address of the mass communicator as a manager, up to the
// message's editor.
func (w *world) compose(hash string) *page {
	w.Helper()
	p := w.signInAt("Manager", hash)
	p.editor()
	return p
}

// editor waits for the message's editor.
func (p *page) editor() {
	p.Helper()
	p.waitFor("the editor", `Boolean(document.querySelector("trix-editor[connected]")) && !document.querySelector(".toolbar button[disabled]")`)
}

// saved waits until everything that was typed is stored.
func (p *page) saved() {
	p.Helper()
	p.waitFor("the draft to be saved", `/Saved \d/.test(document.querySelector(".save-state.saved")?.innerText ?? "")`)
}

// mailing is the mailing of the address, as the API has it.
func (p *page) mailing() doc {
	p.Helper()
	return p.w.api("GET", "/api/mailings/"+strings.FieldsFunc(p.hash(), func(r rune) bool { return r == '/' || r == '?' })[2], nil)
}

// stored wants the message to be stored so.
func (p *page) stored(subject, html string) {
	p.Helper()
	p.saved()
	m := p.mailing()
	if diff := cmp.Diff([]any{subject, html}, []any{m["subject"], m["html"]}); diff != "" {
		p.Errorf("the message is stored otherwise (-want +got):\n%s", diff)
	}
}

// special puts a special field into the message.
func (p *page) special(label string) {
	p.Helper()
	p.click("Special Field")
	p.click(label)
}

// write types into the message, at the end of it.
func (p *page) write(text string) {
	p.Helper()
	value[bool](p, `(() => { const el = document.querySelector("trix-editor"); const end = el.editor.getDocument().getLength() - 1; el.focus(); el.editor.setSelectedRange([end, end]); return true; })()`)
	p.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: text})
		return err
	}))
}

// text is what the message reads.
func (p *page) text() string {
	p.Helper()
	return value[string](p, `document.querySelector("trix-editor").innerText.replace(/[\s\u00a0\ufeff]+/g, " ").trim()`)
}

// chips are the labels of the special fields in the message.
func (p *page) chips() string {
	p.Helper()
	return value[string](p, `[...document.querySelectorAll("trix-editor figure .special-field")].map((el) => el.textContent).join(", ")`)
}

// again loads the page anew, as after a crash of the browser.
func (p *page) again() {
	p.Helper()
	p.do(chromedp.Reload())
	p.waitFor("the console", `Boolean(document.querySelector("header.top"))`)
}

// pasted gives the editor something of the clipboard, by its type.
func (p *page) pasted(kind, text string) {
	p.Helper()
	value[bool](p, fmt.Sprintf(`(() => {
		const el = document.querySelector("trix-editor");
		const data = new DataTransfer();
		data.setData(%s, %s);
		data.setData("text/plain", "plain");
		const end = el.editor.getDocument().getLength() - 1;
		el.focus();
		el.editor.setSelectedRange([end, end]);
		return el.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true})), true;
	})()`, quoted(kind), quoted(text)))
}

// counted counts the recipients on the tab that is open.
func (p *page) counted(button string) {
	p.Helper()
	p.click(button)
	p.see("Counted ")
}

// S14 and S15: Communication > Send Email, HTML editor, Special Field, the
// credentials link anywhere in the text.
func TestS14SendEmail(t *testing.T) {
	w := begin(t)
	p := w.signIn("Manager")
	p.click("Communication")
	p.click("Send Email")
	p.editor()
	p.see("Draft")
	if got := value[string](p, `[...document.querySelectorAll("nav.tabs a")].map((el) => el.textContent.trim()).join(", ")`); got != "Message, Profiles, Send" {
		t.Errorf("the tabs are %s", got)
	}
	p.fill("Subject", "The spring meeting")
	p.saved()
	id := p.hash()
	p.click("Communication")
	p.see("The spring meeting")
	p.click("The spring meeting")
	p.editor()
	if !strings.HasPrefix(id, p.hash()) {
		t.Errorf("the draft is at %s, and was at %s", p.hash(), id)
	}
	if got := p.field("Subject"); got != "The spring meeting" {
		t.Errorf("the subject is %q", got)
	}

	// A draft that is not needed goes, after a question.
	p.click("Delete draft")
	p.see("“The spring meeting” will be gone for good.")
	p.axe()
	p.click("Delete it")
	p.said("The draft is deleted.")
	p.waitFor("the list", `location.hash === "#/mailings"`)
	p.gone("The spring meeting")
	p.open(id)
	p.see("mailing")
	p.see("There is no such")

	desk := w.signInAt("Front desk", "#/mailings/new")
	desk.see("Your role does not include this")
	if desk.has("Communication") {
		t.Error("the front desk is offered what it may not do")
	}
}

func TestS15SpecialFieldChips(t *testing.T) {
	w := begin(t)
	p := w.compose("#/mailings/new")
	p.fill("Subject", "Hello ")
	p.click("Special Field for the subject")
	if p.has("Portal Login Credentials Link") {
		t.Error("the credentials link is offered for the subject")
	}
	p.click("First name")
	p.see("Reads, for example: Hello Ana")
	p.clickCSS("trix-editor")
	p.keys("Dear ")
	p.click("Special Field")
	p.both()
	p.shot("compose-special-field")
	p.click("Full name")
	p.keys(",")
	p.press(kb.Enter)
	p.special("Portal Login Credentials Link")
	p.both()
	p.shot("compose-message")
	p.stored("Hello [[FIRSTNAME]]", "<p>Dear [[NAME]],</p><p>[[PORTALLOGINLINK]]</p>")

	// After a reload they are chips as before, and nothing has changed.
	before := p.mailing()["version"]
	p.again()
	p.editor()
	if got := p.chips(); got != "Full name, Portal Login Credentials Link" {
		t.Errorf("after a reload the chips are %q", got)
	}
	if after := p.mailing()["version"]; after != before {
		t.Errorf("opening a draft has made version %v of version %v", after, before)
	}

	// A chip is taken as a whole by the first press, and goes with the second.
	p.write("")
	p.press(kb.Backspace)
	p.see("Remove")
	p.axe()
	p.shot("compose-chip-taken")
	p.press(kb.Backspace)
	p.waitFor("the chip to go", `document.querySelectorAll("trix-editor figure").length === 1`)
	p.stored("Hello [[FIRSTNAME]]", "<p>Dear [[NAME]],</p><p><br></p>")
	p.click("Undo")
	p.waitFor("the chip to come back", `document.querySelectorAll("trix-editor figure").length === 2`)

	// Typed as the vendor writes it, it is one, too; what is none is refused with
	// its place, and stays to be mended.
	p.write(" [[today]] [[FOO]]")
	p.see("Not saved: There is no special field [[FOO]]")
	p.axe()
	p.write("")
	for range "[[FOO]]" {
		p.press(kb.Backspace)
	}
	p.stored("Hello [[FIRSTNAME]]", "<p>Dear [[NAME]],</p><p>[[PORTALLOGINLINK]] [[today]]&nbsp;</p>")
	p.again()
	p.editor()
	if got := p.chips(); got != "Full name, Portal Login Credentials Link, Today's date" {
		t.Errorf("the chips are %q", got)
	}

	p.fill("Subject", "[[PORTALLOGINLINK]]")
	p.see("The credentials link cannot stand in the subject")
	p.axe()
	p.fill("Subject", "Hello")
	p.saved()
}

// S15: what the editor offers is what a mail carries, by mouse and by keyboard.
func TestS15Formatting(t *testing.T) {
	w := begin(t)
	p := w.compose("#/mailings/new")
	p.clickCSS("trix-editor")
	p.click("Heading")
	p.keys("News")
	p.press(kb.Enter)
	p.press(kb.Control, "b")
	p.keys("Bold")
	p.press(kb.Control, "b")
	p.keys(" and ")
	p.press(kb.Control, "i")
	p.keys("italic")
	p.press(kb.Control, "i")
	p.press(kb.Enter)
	p.click("List")
	p.keys("one")
	p.press(kb.Enter)
	p.keys("two")
	p.press(kb.Enter)
	p.press(kb.Enter)
	p.press(kb.Control, "k")
	p.dialog("Link")
	p.axe()
	p.fill("Where does it lead?", "javascript:alert(1)")
	p.press(kb.Enter)
	p.see("This cannot be linked to.")
	p.fill("Where does it lead?", "www.example.org/spring")
	p.fill("Text", "Read more")
	p.click("Set link")
	p.noDialog()
	p.waitFor("the link", `document.querySelector("trix-editor a")?.textContent === "Read more"`)
	p.hasFocus("Message")
	p.keys(".")
	p.saved()
	p.stored("", `<h2>News</h2><p><strong>Bold</strong> and <em>italic</em></p><ul><li>one</li><li>two</li></ul><p><a href="https://www.example.org/spring">Read more</a>.</p>`)
	p.axe()

	// From elsewhere comes the text with its bold and its links, and nothing that runs, loads or styles.
	before := p.mailing()["html"].(string)
	p.pasted("text/html", `<html><head><style>p{color:red}</style></head><body><p style="font-weight:bold" onclick="alert(1)">Pasted <span style="font-weight:700">loud</span> <img src="https://example.com/x.png" onerror="alert(2)"><script>alert(3)</script>[[FIRSTNAME]] <a href="https://example.org/" style="color:red">there</a></p></body></html>`)
	p.waitFor("the pasted field to be a chip", `document.querySelectorAll("trix-editor figure").length === 1`)
	p.stored("", strings.TrimSuffix(before, "</p>")+`Pasted <strong>loud</strong> [[FIRSTNAME]] <a href="https://example.org/">there</a></p>`)
	p.pasted("text/html", `<p><a href="http://example.org/">unsafe</a></p>`)
	p.fill("Subject", "Formatting")
	p.see("Taken out of the message: link that is not https, mailto or tel.")
	p.axe()
	value[bool](p, `(() => {
		const data = new DataTransfer();
		data.items.add(new File(["x"], "members.pdf", {type: "application/pdf"}));
		const el = document.querySelector("trix-editor");
		return el.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true})), true;
	})()`)
	p.said("Mails carry no files or pictures.")
	if got := value[int](p, `document.querySelectorAll("trix-editor img, trix-editor [data-trix-content-type]:not([data-trix-content-type='application/x-merge-field'])").length`); got != 0 {
		t.Errorf("%d files or pictures are in the message", got)
	}
	p.again()
	p.editor()
	if got := p.text(); got != "News Bold and italic one two Read more.Pasted loud First name thereunsafe" {
		t.Errorf("the message reads %q", got)
	}
}

// Chips and codes: fields.js by itself.
func TestFieldsModule(t *testing.T) {
	w := begin(t)
	p := w.signInAt("Manager", "#/mailings")
	p.see("Send Email")
	const load = `(async () => {
		const base = document.querySelector('script[type=module]').src;
		const {toChips, toCodes, plain, holds, sample} = await import(new URL("mailings/fields.js", base).href);
		const fields = [{code: "NAME", label: "Full name <b>&\"", sample: "Ana"}, {code: "TODAY", label: "Today", sample: "1 May"}];
		return %s;
	})()`
	ask := func(expression string) string { p.Helper(); return value[string](p, fmt.Sprintf(load, expression)) }
	for name, html := range map[string]string{
		"empty":               "",
		"text":                "<p>Dear all,</p>",
		"a field":             "<p>Dear [[NAME]],</p>",
		"two beside":          "<p>[[NAME]][[TODAY]]</p>",
		"alone":               "<p>[[NAME]]</p>",
		"in formatting":       "<ul><li><strong>a [[NAME]] b</strong></li></ul>",
		"unknown stays":       "<p>[[FOO]] [[NAME]]</p>",
		"markup as text":      "<p>&lt;b&gt;[[NAME]]&lt;script&gt; &amp;amp; {{x}}</p>",
		"a link":              `<p><a href="https://example.org/?a=1&amp;b=2">x</a></p>`,
		"several paragraphs":  "<p>a</p><p><br></p><p>[[NAME]]</p><h1>t</h1><blockquote>q</blockquote>",
		"brackets":            "<p>[[ [[NAME]] ]] [NAME] [[]]</p>",
		"what is kept unseen": "<h2>t</h2><p><u>u</u></p><pre>x</pre>",
	} {
		if got := ask("toCodes(toChips(" + quoted(html) + ", fields))"); got != html {
			t.Errorf("%s: %q became %q", name, html, got)
		}
	}
	for name, c := range map[string]struct{ expression, want string }{
		"spaces in a code":        {`toCodes(toChips("<p>[[ name ]]</p>", fields))`, "<p>[[NAME]]</p>"},
		"the editor's own spaces": {`toCodes("<p>Dear\u00a0[[NAME]]\u00a0x</p>")`, "<p>Dear [[NAME]] x</p>"},
		"a label is text":         {`JSON.parse(new DOMParser().parseFromString(toChips("[[NAME]]", fields), "text/html").querySelector("[data-trix-attachment]").dataset.trixAttachment).content`, `<span class="special-field">Full name &lt;b&gt;&amp;"</span>`},
		"scripts, styles, images": {`toChips("<style>p{}</style><p style='color:red' onclick='x()' class='y'>a<script>b</script><img src=x onerror=y><svg><script>c</script></svg>d</p><iframe src=x></iframe>", fields)`, "<p>ad</p>"},
		"bold of a style":         {`toCodes("<p><span style=\"font-weight: 700\">a</span> <b style='font-weight:normal'>b</b></p>")`, "<p><span><strong>a</strong></span> b</p>"},
		"attachments of others":   {`toCodes("<p>a<figure data-trix-attachment='{&quot;contentType&quot;:&quot;image&quot;}'><img src=x></figure>b<figure data-trix-attachment='no json'>x</figure></p>")`, "<p>ab</p>"},
		"a quoted angle":          {`toCodes("<p><a title='a>b' href='https://example.org/' style='x:y'>c</a></p>")`, `<p><a href="https://example.org/">c</a></p>`},
		"plain text":              {`plain("<p>Dear [[NAME]],<br>a</p><ul><li>b</li></ul><script>c</script>")`, "Dear [[NAME]],\na\nb"},
		"holds":                   {`String([holds("<p>[[name]]</p>", "NAME"), holds("[[NAMES]]", "NAME"), holds(undefined, "NAME")])`, "true,false,false"},
		"a sample":                {`sample("Hi [[name]] [[FOO]]", fields)`, "Hi Ana [[FOO]]"},
	} {
		if got := ask(c.expression); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// V12 and P22: templates are chosen, asked about over existing text, saved and
// deleted; those that come with Memberkey only chosen.
func TestV12Templates(t *testing.T) {
	w := begin(t)
	p := w.compose("#/mailings/new")
	name := "Spring letter " + w.person(nil)
	p.click("Use a template")
	p.see("Comes with Memberkey")
	p.both()
	p.shot("compose-templates")
	if p.has("Delete Create your login") {
		t.Error("a template of ours is offered to be deleted")
	}
	p.click("Use Create your login")
	p.noDialog()
	p.waitFor("the template's chips", `document.querySelectorAll("trix-editor figure").length === 4`)
	p.saved()
	m := p.mailing()
	if m["subject"] != "Your login for the [[ASSOCIATION]] members' area" || m["complete"] != true {
		t.Errorf("of the template came %q, complete %v", m["subject"], m["complete"])
	}

	p.click("Save as template")
	p.hasFocus("Name of the template (required)")
	p.press(kb.Enter)
	p.see("Give it a name.")
	p.axe()
	p.keys(name)
	p.press(kb.Enter)
	p.said("is saved")

	// Over existing text it asks.
	p.fill("Subject", "Mine")
	p.clickCSS("trix-editor")
	p.press(kb.Control, "a")
	p.keys("My own words.")
	p.saved()
	p.click("Use a template")
	p.click("Use " + name)
	p.see("There is text already")
	p.axe()
	p.click("Put it after the text")
	p.waitFor("both texts", `document.querySelector("trix-editor").innerText.includes("My own words.") && document.querySelectorAll("trix-editor figure").length === 4`)
	p.saved()
	if got := p.field("Subject"); got != "Mine" {
		t.Errorf("the subject became %q", got)
	}
	p.click("Use a template")
	p.click("Use " + name)
	p.click("Replace the text")
	p.waitFor("the template alone", `!document.querySelector("trix-editor").innerText.includes("My own words.")`)
	p.noDialog()
	p.click("Undo")
	p.waitFor("the text to come back", `document.querySelector("trix-editor").innerText.includes("My own words.")`)

	p.click("Use a template")
	p.click("Delete " + name)
	p.click("Delete it")
	p.said("is deleted")
	p.waitFor("the template to be gone", fmt.Sprintf(`![...document.querySelectorAll("dialog strong")].some((el) => el.textContent === %s)`, quoted(name)))
	p.press(kb.Escape)
	p.noDialog()
}

// Drafts save themselves, survive a reload, and are not left with unsaved text.
func TestV12DraftAutosaves(t *testing.T) {
	w := begin(t)
	p := w.compose("#/mailings/new")
	p.fill("Subject", "Autosaved")
	p.write("First thoughts")
	p.saved()
	p.again()
	p.editor()
	if p.field("Subject") != "Autosaved" || p.text() != "First thoughts" {
		t.Errorf("after a reload it reads %q, %q", p.field("Subject"), p.text())
	}

	// Leaving at once saves what was typed last.
	p.write(" and a second")
	p.click("Activity")
	p.waitFor("the activity", `location.hash === "#/activity" && document.querySelector("h1")?.textContent === "Activity"`)
	p.do(chromedp.NavigateBack())
	p.editor()
	if got := p.text(); got != "First thoughts and a second" {
		t.Errorf("after leaving at once it reads %q", got)
	}
	p.reads("First thoughts and a second")

	// What is refused is not left without a question.
	p.write(" [[NOSUCH]]")
	p.see("Not saved: There is no special field [[NOSUCH]]")
	p.click("Activity")
	p.dialog("Leave without saving?")
	p.axe()
	p.click("Stay here")
	p.noDialog()
	if got := p.text(); got != "First thoughts and a second [[NOSUCH]]" {
		t.Errorf("after staying it reads %q", got)
	}
	p.click("Activity")
	p.click("Leave and lose it")
	p.waitFor("the activity", `location.hash === "#/activity" && document.querySelector("h1")?.textContent === "Activity"`)

	// The copy is a draft of its own.
	p.do(chromedp.NavigateBack())
	p.editor()
	first := p.hash()
	p.click("Copy")
	p.said("This is the copy.")
	p.waitFor("the copy", fmt.Sprintf(`location.hash !== %s`, quoted(first)))
	p.editor()
	if p.field("Subject") != "Autosaved" || p.text() != "First thoughts and a second" {
		t.Errorf("the copy reads %q, %q", p.field("Subject"), p.text())
	}
}

// reads wants the message as it is stored to read so.
func (p *page) reads(text string) {
	p.Helper()
	if got := p.mailing()["html"]; got != "<p>"+text+"</p>" {
		p.Errorf("the message is stored as %q", got)
	}
}

// Two browsers on one draft: what differs is shown, and nothing is lost.
func TestTwoPeopleOnOneDraft(t *testing.T) {
	w := begin(t)
	s := w.to("Ours", w.person(nil))
	ana := w.compose(s.hash())
	ben := w.signInAt("Administrator", s.hash())
	ben.editor()

	// Different parts go together by themselves.
	ana.fill("Subject", "Ana's subject")
	ana.saved()
	ben.write(" From Ben.")
	ben.saved()
	ben.see("Somebody else has changed this draft.")
	if got := ben.field("Subject"); got != "Ana's subject" {
		t.Errorf("Ben's subject is %q", got)
	}
	ben.stored("Ana's subject", "<p>Dear [[NAME]],</p><p>[[PORTALLOGINLINK]] From Ben.</p>")

	// The same part: each sees both, and chooses.
	ana.write(" From Ana.")
	ana.see("Somebody else changed this draft at the same time")
	ana.see("Dear [[NAME]], [[PORTALLOGINLINK]] From Ben.")
	ana.see("Dear [[NAME]], [[PORTALLOGINLINK]] From Ana.")
	ana.both()
	ana.shot("compose-conflict")
	ana.click("Keep yours: Message")
	ana.gone("Somebody else changed this draft at the same time")
	ana.stored("Ana's subject", "<p>Dear [[NAME]],</p><p>[[PORTALLOGINLINK]] From Ana.</p>")

	ben.fill("Subject", "Ben's subject")
	ben.write(" Once more.")
	ben.see("Somebody else changed this draft at the same time")
	ben.click("Take theirs: Message")
	ben.stored("Ben's subject", "<p>Dear [[NAME]],</p><p>[[PORTALLOGINLINK]] From Ana.</p>")
	if got := ben.text(); got != "Dear Full name , Portal Login Credentials Link From Ana." {
		t.Errorf("Ben reads %q", got)
	}

	// Sent by the one while the other writes: the text can be kept.
	s.send()
	ana.write(" Too late.")
	ana.see("Somebody else has sent this email while you were writing.")
	ana.axe()
	ana.click("Keep mine as a new draft")
	ana.waitFor("the new draft", fmt.Sprintf(`!location.hash.includes(%s)`, quoted(s.id)))
	ana.editor()
	if got := ana.text(); !strings.HasSuffix(got, "From Ana. Too late.") {
		t.Errorf("the new draft reads %q", got)
	}

	// Deleted by the one while the other writes: the same.
	id := strings.Split(ana.hash(), "/")[2]
	w.api("DELETE", "/api/mailings/"+id, nil, "If-Match", w.version("/api/mailings/"+id))
	ana.write(" Still here.")
	ana.see("Somebody else has deleted this draft.")
	ana.click("Keep mine as a new draft")
	ana.waitFor("the new draft", fmt.Sprintf(`!location.hash.includes(%s)`, quoted(id)))
	ana.editor()
	if got := ana.text(); !strings.HasSuffix(got, "Too late. Still here.") {
		t.Errorf("the new draft reads %q", got)
	}
}

// A dropped connection while a draft saves itself: nothing typed is lost, and
// what was stored without an answer is not taken for somebody else's.
func TestDraftWithoutConnection(t *testing.T) {
	w := begin(t)
	p := w.compose("#/mailings/new")
	p.fill("Subject", "Before")
	p.saved()

	lost := p.lose("PUT", "/api/mailings/")
	p.fill("Subject", "Stored without an answer")
	lost()
	p.write("Typed on.")
	p.saved()
	p.gone("Not saved")
	p.stored("Stored without an answer", "<p>Typed on.</p>")
	if value[bool](p, `document.body.innerText.includes("Somebody else")`) {
		t.Error("one's own save is taken for somebody else's")
	}

	p.offline(true)
	p.write(" In a tunnel.")
	p.see("Not saved: There was no answer.")
	p.see("What you typed is still here.")
	p.axe()
	p.shot("compose-offline")
	p.click("Activity")
	p.dialog("Leave without saving?")
	p.click("Stay here")
	p.noDialog()
	p.offline(false)
	p.gone("Not saved")
	p.stored("Stored without an answer", "<p>Typed on. In a tunnel.</p>")
}

// N8, V11 and N3: everybody without a password in one click, filters, a list by
// hand, and the numbers with the reasons before anything is sent.
func TestN8Audience(t *testing.T) {
	w := begin(t)
	ok := w.person(doc{"firstName": "Olga", "lastName": "Okay"})
	none := w.person(doc{"firstName": "Nora", "lastName": "Nomail", "email": ""})
	not := w.person(doc{"firstName": "Dora", "lastName": "Donot", "doNotEmail": true})
	company := w.api("POST", "/api/profiles", doc{"type": "organization", "status": "active", "organizationName": "Mailless Works"})["id"].(string)
	w.person(doc{"firstName": "Mona", "lastName": "Main", "status": "non-member", "relations": []doc{{"to": company, "kind": "Owner", "mainContact": true}}})
	p := w.compose("#/mailings/new")
	p.fill("Subject", "Audience")
	p.write("Hello.")
	p.saved()
	if diff := cmp.Diff(map[string]any{"login": "no_password", "mayEnter": true}, p.mailing()["audience"]); diff != "" {
		t.Errorf("a new draft goes to (-want +got):\n%s", diff)
	}
	p.clickCSS("nav.tabs li:nth-child(2) a")
	p.see("Who gets this email?")
	p.both()
	p.shot("compose-profiles")

	// A filter, saved and used again.
	p.tick("Everybody who fits a filter")
	p.tick("Lapsed")
	p.choose("Members or related profiles", "Members and their related profiles")
	p.choose("Person or company", "Person")
	p.choose("Login", "No login yet")
	p.choose("Email address", "Shared with others")
	p.choose("May sign in", "No")
	p.fill("Has this relationship", "Employee")
	p.saved()
	p.both()
	p.shot("compose-filter")
	want := map[string]any{"status": []any{"lapsed"}, "type": "individual", "relationship": "Employee", "email": "shared", "login": "none", "mayEnter": false, "scope": "members_and_related"}
	p.w.until("the filter to be stored", func() bool { return cmp.Equal(want, p.mailing()["audience"]) })
	name := "Lapsed employees " + ok
	p.click("Save this filter")
	p.hasFocus("Name of the filter (required)")
	p.keys(name)
	p.press(kb.Enter)
	p.said("is saved")
	p.tick("Everyone who may sign in and has no password")
	p.w.until("the usual audience", func() bool {
		return cmp.Equal(map[string]any{"login": "no_password", "mayEnter": true}, p.mailing()["audience"])
	})
	p.tick("Everybody who fits a filter")
	p.click("Use " + name)
	p.w.until("the saved filter", func() bool { return cmp.Equal(want, p.mailing()["audience"]) })
	p.click("Delete " + name)
	p.click("Delete it")
	p.said("is deleted")

	// By hand: found by name, no address can be typed.
	p.tick("A list of profiles, picked by hand")
	p.see("Nobody is on the list yet.")
	for _, of := range []struct{ id, name string }{{ok, "Olga Okay"}, {none, "Nora Nomail"}, {not, "Dora Donot"}, {company, "Mailless Works"}} {
		p.fill("Add a profile", of.id)
		p.waitFor(of.name, fmt.Sprintf(`[...document.querySelectorAll("[role=option]")].some((el) => el.innerText.includes(%s) && el.checkVisibility())`, quoted(of.name)))
		p.press(kb.Enter)
		p.see(of.name)
	}
	p.see("4 of at most 1,000")
	p.click("Remove Mailless Works")
	p.see("3 of at most 1,000")
	p.fill("Add a profile", company)
	p.waitFor("the company", `[...document.querySelectorAll("[role=option]")].some((el) => el.innerText.includes("Mailless Works") && el.checkVisibility())`)
	p.press(kb.Enter)
	p.see("4 of at most 1,000")
	p.saved()

	// The numbers, and who is left out and why.
	p.counted("Count recipients")
	p.see("Emails 1 People who are mailed 1 Left out 3")
	p.click("No email: 2")
	p.see("Nora Nomail")
	p.see("Its main contact is Mona Main.")
	p.click("Do not email: 1")
	p.see("They asked not to be mailed.")
	p.both()
	p.shot("compose-counted")
	fix := value[string](p, `[...document.querySelectorAll("details a")].find((el) => el.textContent === "Nora Nomail").hash`)
	if fix != "#/profiles/"+none+"/general" {
		t.Errorf("Nora is mended at %s", fix)
	}

	// A change makes them untrue, and says so.
	p.click("Remove Dora Donot")
	p.see("so the numbers are not true any more")
	p.axe()
	p.saved()
	p.counted("Count again")
	p.see("Emails 1 People who are mailed 1 Left out 2")
	p.again()
	p.see("Emails 1 People who are mailed 1 Left out 2")
	p.see("Olga Okay")

	// Other views pass on a list, or what they filter by.
	p.open("#/mailings/new?profiles=" + ok + "," + none)
	p.editor()
	if diff := cmp.Diff(map[string]any{"profiles": []any{ok, none}}, p.mailing()["audience"]); diff != "" {
		t.Errorf("a list became (-want +got):\n%s", diff)
	}
	p.open("#/mailings/new?status=active,lapsed&login=none&mayEnter=false&scope=members&template=create-your-login")
	p.editor()
	m := p.mailing()
	if diff := cmp.Diff(map[string]any{"status": []any{"active", "lapsed"}, "login": "none", "mayEnter": false, "scope": "members"}, m["audience"]); diff != "" {
		t.Errorf("a filter became (-want +got):\n%s", diff)
	}
	if m["subject"] != "Your login for the [[ASSOCIATION]] members' area" {
		t.Errorf("of the template came %q", m["subject"])
	}
}

// mailedLink finds the link to set a password.
var mailedLink = regexp.MustCompile(`https?://\S+/set-password/([A-Za-z0-9]+)`)

// S16: each recipient's copy carries their own username or email and their own
// link; what is previewed is what is sent, and the number is named before.
func TestS16EachTheirOwn(t *testing.T) {
	w := begin(t)
	ana := w.person(doc{"firstName": "Ana", "lastName": "Sixteen", "email": "ana.sixteen@example.com"})
	ben := w.person(doc{"firstName": "Ben", "lastName": "Sixteen", "email": "ben.sixteen@example.com"})
	w.api("PUT", "/api/profiles/"+ben+"/credentials", doc{"username": "ben16", "password": "lively granite orchard pencil"}, "If-Match", w.version("/api/profiles/"+ben+"/credentials"))
	p := w.compose("#/mailings/new?profiles=" + ana + "," + ben)
	p.clickCSS("nav.tabs li:nth-child(3) a")
	p.see("Before it goes out")
	p.see("There is no text yet.")
	if !value[bool](p, `document.querySelector("form button[type=submit]").disabled`) {
		t.Error("a mailing without a message can be sent")
	}
	p.both()
	p.clickCSS("nav.tabs li:nth-child(1) a")
	p.editor()
	p.fill("Subject", "Your login, [[FIRSTNAME]]")
	p.clickCSS("trix-editor")
	p.keys("Dear ")
	p.special("First name")
	p.keys(",")
	p.press(kb.Enter)
	p.special("Portal Login Credentials Link")
	p.saved()

	// Preview as anybody, in HTML and text, wide and narrow.
	p.click("Preview and test")
	p.see("As Ana Sixteen gets it")
	p.frame("Dear Ana,", "ana.sixteen@example.com", "Set")
	p.both()
	p.shot("compose-preview")
	p.click("Next recipient")
	p.see("As Ben Sixteen gets it")
	p.frame("Dear Ben,", "ben16")
	p.click("Phone")
	p.waitFor("a narrow mail", `document.querySelector("iframe").getBoundingClientRect().width <= 375`)
	p.axe()
	p.click("Text")
	p.see("Username: ben16")
	p.see("/set-password/sample")
	p.axe()
	p.fill("Preview as somebody else", ana)
	p.waitFor("Ana", `[...document.querySelectorAll("[role=option]")].some((el) => el.innerText.includes("Ana Sixteen") && el.checkVisibility())`)
	p.press(kb.Enter)
	p.see("As Ana Sixteen gets it")

	// A test to the office, with the sample link alone.
	p.tick("office@harbour-chamber.example.org")
	p.click("Send the test")
	p.see("Tick an address first.")
	p.tick("office@harbour-chamber.example.org")
	p.click("Send the test")
	p.see("The test is on its way to office@harbour-chamber.example.org.")
	p.axe()
	test := w.mailTo("office@harbour-chamber.example.org")
	if test.Subject != "[Test] Your login, Ana" || !strings.Contains(test.Text, "/set-password/sample") {
		t.Errorf("the test is %q: %s", test.Subject, test.Text)
	}
	p.press(kb.Escape)
	p.noDialog()

	p.clickCSS("nav.tabs li:nth-child(3) a")
	p.see("Is in the message. Each person gets their own.")
	p.see("Harbour Chamber <office@harbour-chamber.example.org>")
	p.counted("Count recipients")
	p.see("2 emails to 2 people")
	p.both()
	p.shot("compose-send")
	p.click("Send to 2 people")
	p.dialog("Send to 2 people?")
	p.see("“Your login, [[FIRSTNAME]]” goes to 2 people in 2 emails.")
	p.both()
	p.shot("compose-confirm")
	p.click("Back")
	p.noDialog()
	if p.mailing()["state"] != "draft" {
		t.Error("the window has sent without being asked to")
	}
	p.click("Send to 2 people")
	p.clickNth("Send to 2 people", 0)
	p.said("Sending has begun.")
	p.waitFor("the report", `/^#\/mailings\/[^/]+$/.test(location.hash)`)

	mails := map[string]mail{"ana.sixteen@example.com": w.mailTo("ana.sixteen@example.com"), "ben.sixteen@example.com": w.mailTo("ben.sixteen@example.com")}
	a, b := mailedLink.FindStringSubmatch(mails["ana.sixteen@example.com"].Text), mailedLink.FindStringSubmatch(mails["ben.sixteen@example.com"].Text)
	if a == nil || b == nil || a[1] == b[1] || a[1] == "sample" {
		t.Errorf("the links are %v and %v", a, b)
	}
	for address, want := range map[string][]string{"ana.sixteen@example.com": {"Dear Ana,", "ana.sixteen@example.com"}, "ben.sixteen@example.com": {"Dear Ben,", "ben16"}} {
		for _, part := range want {
			if !strings.Contains(mails[address].Text, part) {
				t.Errorf("the mail to %s lacks %q: %s", address, part, mails[address].Text)
			}
		}
	}
}

// frame waits until the previewed mail holds the texts.
func (p *page) frame(texts ...string) {
	p.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(40 * time.Millisecond) {
		got := p.inFrame(`document.body.innerText`)
		missing := ""
		for _, text := range texts {
			if !strings.Contains(got, text) {
				missing = text
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			p.Fatalf("the preview lacks %q: %s", missing, got)
		}
	}
}

// inFrame is what an expression gives in the page of the preview, which the page
// around it cannot reach.
func (p *page) inFrame(expression string) string {
	p.Helper()
	all, err := chromedp.Targets(p.ctx)
	if err != nil {
		p.Fatal(err)
	}
	own := chromedp.FromContext(p.ctx).Target.TargetID
	for _, one := range all {
		if one.Type != "iframe" || one.ParentID != own {
			continue
		}
		// It is a process of its own. To leave it would close it, so that is left to
		// the end of the page.
		ctx, _ := chromedp.NewContext(p.ctx, chromedp.WithTargetID(one.TargetID))
		text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+expression+")"))
		return text // nothing, while it is being loaded
	}
	return ""
}

// H16 and issue 5's "HTML, script and template text typed into every field shown
// as text": in the subject, in the message, and in a name.
func TestH16MarkupStaysText(t *testing.T) {
	w := begin(t)
	const evil = `<img src=x onerror=document.title='owned'><script>document.title='owned'</script>{{subject}} ${7*7} &amp; [[`
	id := w.person(doc{"firstName": "<b>Bold</b>", "lastName": "{{x}} <i>", "email": "markup@example.com"})
	p := w.compose("#/mailings/new?profiles=" + id)
	p.fill("Subject", evil+" [[FIRSTNAME]]")
	p.write(evil + " ")
	p.special("Full name")
	p.saved()
	p.see("Reads, for example: " + evil + " Ana")
	if got := p.text(); got != evil+" Full name" {
		t.Errorf("the message reads %q", got)
	}
	p.again()
	p.editor()
	if got := p.text(); got != evil+" Full name" || p.field("Subject") != evil+" [[FIRSTNAME]]" {
		t.Errorf("after a reload it reads %q, %q", p.field("Subject"), got)
	}
	p.click("Preview and test")
	p.see("As <b>Bold</b> {{x}} <i> gets it")
	p.frame(evil + " <b>Bold</b> {{x}} <i>")
	p.see(evil + " <b>Bold</b>")
	p.axe()
	p.press(kb.Escape)
	p.noDialog()
	p.clickCSS("nav.tabs li:nth-child(2) a")
	p.see("<b>Bold</b> {{x}} <i>")
	p.axe()
	if title := value[string](p, "document.title"); strings.HasPrefix(title, "owned") {
		t.Error("something that was typed has run")
	}
}

// N2 and A18: what a mail could load, run or open does nothing in the preview;
// its pictures are boxes.
func TestN2PreviewIsInert(t *testing.T) {
	w := start(t, nil)
	w.api("PUT", "/api/organization", doc{"logoUrl": "https://logo.example.org/l.png"}, "If-Match", w.version("/api/organization"))
	s := w.to("Inert", w.person(nil))
	p := w.compose(s.hash())
	p.click("Preview and test")
	p.frame("Picture", "Set")
	for what, expression := range map[string]string{
		"pictures":           `document.querySelectorAll("img").length`,
		"links":              `document.querySelectorAll("a[href]").length`,
		"access to the page": `(() => { try { return parent.document.title.length; } catch { return 0; } })()`,
		"an origin":          `Number(origin !== "null")`,
		"storage":            `(() => { try { localStorage.x = 1; return 1; } catch { return 0; } })()`,
	} {
		if got := p.inFrame(expression); got != "0" {
			t.Errorf("the previewed mail has %s: %s", what, got)
		}
	}
	// Whatever mail would come: the page takes it apart.
	const evil = `<html><head><style>@import "https://css.example.com/a.css"; p{color:red}</style><style>p{color:green}</style><link rel=stylesheet href="https://css.example.com/b.css"><meta http-equiv=refresh content="0;url=https://example.com/"></head>
		<body style="background:url(https://bg.example.com/1.png);margin:3px" onload="document.title='owned'"><p style="background:url(https://bg.example.com/2.png)" id=x>Text <a href="https://example.com/" target=_blank ping="https://example.com/">link</a></p>
		<img src="https://img.example.com/1.png" alt="Our house"><img src=x onerror="document.title='owned'"><script>document.title='owned'</script>
		<iframe src="https://example.com/"></iframe><video src="https://example.com/v"></video><svg onload="document.title='owned'"><image href="https://example.com/i"/></svg><form action="https://example.com/"><input name=a></form>
		<table background="https://bg.example.com/3.png"><tr><td style="background-image:u\72l(https://bg.example.com/4.png)">cell</td></tr></table></body></html>`
	value[bool](p, fmt.Sprintf(`(document.querySelector("iframe").contentWindow.postMessage({html: %s}, "*"), true)`, quoted(evil)))
	p.frame("Text link", "Picture: Our house", "cell")
	if got := p.inFrame(`[document.title, document.querySelectorAll("script, img, link, meta[http-equiv], iframe, video, svg, form, input, [href], [src], [background], [id], [onload]").length,
		document.querySelectorAll("style").length, getComputedStyle(document.querySelector("p")).backgroundImage, getComputedStyle(document.querySelector("p")).color, document.querySelector("a").title].join("|")`); got != "A mail|0|1|none|rgb(0, 128, 0)|https://example.com/" {
		t.Errorf("of the mail there is left: %s", got)
	}
	// Words from elsewhere than the console are not listened to.
	p.inFrame(`(postMessage({html: "<p>from itself</p>"}, "*"), 1)`)
	if got := p.inFrame(`new Promise((done) => setTimeout(() => done(document.body.innerText.includes("from itself")), 50))`); got == "true" {
		t.Error("the page shows what somebody else sent")
	}
}

// V13: at a time, in the association's zone, and back to a draft.
func TestV13Schedule(t *testing.T) {
	w := begin(t)
	s := w.to("Tomorrow", w.person(nil))
	s.count()
	p := w.signInAt("Manager", s.hash()+"/send")
	p.see("1 email to 1 person")
	p.tick("At a time")
	p.see("Time of Europe/London, the zone of your association.")
	p.click("Schedule for 1 person")
	p.see("Choose a day and a time.")
	p.axe()
	at := func(when time.Time) string {
		zone, err := time.LoadLocation("Europe/London")
		if err != nil {
			t.Fatal(err)
		}
		return when.In(zone).Format("2006-01-02T15:04")
	}
	set := func(when time.Time) {
		value[bool](p, fmt.Sprintf(`(() => { const el = document.querySelector("input[type=datetime-local]"); Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(el, %s); return el.dispatchEvent(new Event("input", {bubbles: true})); })()`, quoted(at(when))))
	}
	set(time.Now().Add(-2 * time.Hour))
	p.click("Schedule for 1 person")
	p.dialog("Schedule for 1 person?")
	p.click("Schedule for 1 person")
	p.see("This time has passed.")
	p.axe()
	p.click("Back")
	p.noDialog()
	p.see("This time has passed.")

	tomorrow := time.Now().Add(24 * time.Hour).Truncate(time.Minute)
	set(tomorrow)
	p.click("Schedule for 1 person")
	p.see("Until then you can cancel it.")
	p.shot("compose-schedule")
	p.click("Schedule for 1 person")
	p.said("Scheduled for ")
	p.see("Goes out on ")
	p.both()
	p.shot("compose-scheduled")
	m := w.api("GET", s.path(), nil)
	if m["state"] != "scheduled" || m["sendAt"] != tomorrow.UTC().Format(time.RFC3339) {
		t.Errorf("it is %v at %v, not at %v", m["state"], m["sendAt"], tomorrow.UTC())
	}
	p.click("Preview and test")
	p.frame("Dear Pat")
	p.press(kb.Escape)
	p.noDialog()
	p.click("Cancel schedule")
	p.dialog("Cancel the schedule?")
	p.axe()
	p.clickNth("Cancel the schedule", 0)
	p.said("The schedule is cancelled.")
	p.editor()
	if w.api("GET", s.path(), nil)["state"] != "draft" {
		t.Error("it is no draft again")
	}
}

// Why a mailing cannot go out, in words, with the way on; and an answer that is
// lost in the middle of sending.
func TestSendRefusals(t *testing.T) {
	w := begin(t)
	id := w.person(nil)
	s := w.to("Refusals", id)
	s.count()
	p := w.signInAt("Manager", s.hash()+"/send")
	p.see("1 email to 1 person")

	// Counted anew by somebody else meanwhile.
	p.click("Send to 1 person")
	p.dialog("Send to 1 person?")
	s.count()
	p.click("Send to 1 person")
	p.see("were changed, or counted anew, since you looked")
	p.axe()
	p.click("Back")
	p.noDialog()
	p.waitFor("the new numbers", `!document.querySelector("form button[type=submit]").disabled`)

	// Nobody can be mailed.
	empty := w.to("Nobody", w.person(doc{"email": ""}))
	empty.count()
	p.open(empty.hash() + "/send")
	p.see("Nobody of them can be mailed.")
	if !value[bool](p, `document.querySelector("form button[type=submit]").disabled`) {
		t.Error("a mailing to nobody can be sent")
	}
	p.axe()

	// Without a sender in the settings nothing goes out. (The settings do not let
	// go of theirs; an association's first hour has none.)
	p.open(s.hash() + "/send")
	p.see("1 email to 1 person")
	p.answers("POST", "/send", 422, `{"status": 422, "code": "sender_missing", "detail": "The organization's settings name no sender address and portal address yet."}`)
	p.click("Send to 1 person")
	p.dialog("Send to 1 person?")
	p.click("Send to 1 person")
	p.see("name no sender address")
	p.see("To the settings")
	p.axe()
	p.click("Back")
	p.noDialog()
	p.open(empty.hash() + "/send")
	p.see("Nobody of them can be mailed.")

	// The answer is lost: it says so, looks, and does not send twice.
	p.open(s.hash() + "/send")
	p.see("1 email to 1 person")
	p.click("Send to 1 person")
	p.dialog("Send to 1 person?")
	lost := p.lose("POST", "/send")
	p.click("Send to 1 person")
	lost()
	p.see("so it may have begun")
	p.axe()
	p.click("Look whether it was sent")
	p.said("Sending has begun.")
	p.noDialog()
	s.done()
	if n := s.number("profiles"); n != 1 {
		t.Errorf("%d profiles", n)
	}
	p.open(s.hash() + "/message")
	p.waitFor("the report of what was sent", `document.querySelector("h1")?.textContent === "Refusals" && !document.querySelector("trix-editor")`)
}

// answers has the page's next requests of a method, whose address contains part,
// answered with these texts, one after the other.
func (p *page) answers(method, part string, status int, texts ...string) {
	p.Helper()
	all, _ := json.Marshal(texts)
	value[bool](p, fmt.Sprintf(`(() => {
		const ask = window.fetch;
		const texts = %s;
		window.fetch = (url, options) => {
			if (texts.length === 0 || (options?.method ?? "GET") !== %s || !String(url).includes(%s)) return ask(url, options);
			return Promise.resolve(new Response(texts.shift(), {status: %d, headers: {"Content-Type": "application/json"}}));
		};
		return true;
	})()`, all, quoted(method), quoted(part), status))
}

// N3: the numbers grow while it is counted.
func TestN3NumbersGrow(t *testing.T) {
	w := begin(t)
	s := w.to("Counted slowly", w.person(nil))
	p := w.signInAt("Manager", s.hash()+"/profiles")
	p.see("Not counted yet.")
	early := `{"state": "counting", "version": 1, "mails": 900, "profiles": 1200, "skipped": {"no_email": 200}, "at": "2026-11-23T15:04:05Z"}`
	late := `{"state": "counting", "version": 1, "mails": 3000, "profiles": 3400, "skipped": {"no_email": 250}, "at": "2026-11-23T15:04:05Z"}`
	p.answers("GET", "/audience", 200, early, early, early, late, late, late)
	p.click("Count recipients")
	p.see("Counting… 1,200 profiles so far")
	p.see("Emails 900 People who are mailed 1,000 Left out 200")
	p.see("Counting… 3,400 profiles so far")
	p.axe()
	p.see("Counted ")
	p.see("Emails 1 People who are mailed 1 Left out 0")
}

// A role that may compose and not send sees why. (No role of ours is so; the
// permissions are those of /api/me.)
func TestComposeWithoutSending(t *testing.T) {
	w := begin(t)
	s := w.to("Only written", w.person(nil))
	s.count()
	p := w.visit("/")
	p.before(`(() => { const ask = fetch; window.fetch = async (...given) => {
		const answer = await ask(...given);
		if (!String(given[0]).endsWith("/api/me")) return answer;
		const me = await answer.json();
		return new Response(JSON.stringify({...me, permissions: me.permissions.filter((one) => one !== "send_mailings")}), {headers: {"Content-Type": "application/json"}});
	}; })()`)
	p.click("Manager")
	p.waitFor("the console", `Boolean(document.querySelector("header.top"))`)
	p.open(s.hash() + "/send")
	p.see("Your role may write emails, but not send them.")
	p.see("1 email to 1 person")
	if value[bool](p, `Boolean(document.querySelector("form button[type=submit]"))`) {
		t.Error("sending is offered")
	}
	p.axe()
}

// The keyboard alone: compose, put the field in, choose the audience, count, send.
func TestComposeByKeyboard(t *testing.T) {
	w := begin(t)
	id := w.person(doc{"firstName": "Kay", "lastName": "Board", "email": "kay.board@example.com"})
	p := w.signInAt("Manager", "#/mailings")
	p.see("Communication")
	p.tab("Send Email")
	p.press(kb.Enter)
	p.editor()
	p.tab("Subject")
	p.keys("By keyboard")
	p.tab("Special Field")
	p.press(kb.Enter)
	p.hasFocus("Portal Login Credentials Link Username and a Set Password button")
	p.keys("f")
	p.hasFocus("First name Ana")
	p.press(kb.Escape)
	p.hasFocus("Special Field")
	p.tab("Bold")
	p.press(kb.ArrowRight)
	p.hasFocus("Italic")
	p.tab("Message")
	p.keys("Dear ")
	p.shiftTab("Special Field")
	p.press(kb.Enter)
	p.keys("f")
	p.press(kb.Enter)
	p.hasFocus("Message")
	p.press(kb.Enter)
	p.shiftTab("Special Field")
	p.press(kb.ArrowDown)
	p.press(kb.Enter)
	p.hasFocus("Message")
	p.stored("By keyboard", "<p>Dear [[FIRSTNAME]]</p><p>[[PORTALLOGINLINK]]</p>")

	p.shiftTab("Profiles")
	p.press(kb.Enter)
	p.see("Who gets this email?")
	p.tab("Everyone who may sign in and has no password")
	p.press(kb.ArrowDown)
	p.press(kb.ArrowDown)
	p.tab("Add a profile")
	p.keys(id)
	p.waitFor("Kay", `[...document.querySelectorAll("[role=option]")].some((el) => el.innerText.includes("Kay Board") && el.checkVisibility())`)
	p.press(kb.Enter)
	p.see("1 of at most 1,000")
	p.saved()
	p.tab("Count recipients")
	p.press(kb.Enter)
	p.see("Counted ")
	p.shiftTab("Send")
	p.press(kb.Enter)
	p.see("Before it goes out")
	p.see("1 email to 1 person")
	p.tab("Send to 1 person")
	p.press(kb.Enter)
	p.dialog("Send to 1 person?")
	p.tab("Send to 1 person")
	p.press(kb.Enter)
	p.said("Sending has begun.")
	if m := w.mailTo("kay.board@example.com"); !strings.Contains(m.Text, "Dear Kay") || mailedLink.FindString(m.Text) == "" {
		t.Errorf("the mail reads %s", m.Text)
	}
}

// shiftTab moves the keyboard back to what has this name.
func (p *page) shiftTab(name string) {
	p.Helper()
	for range 120 {
		p.press(kb.Shift, kb.Tab)
		if p.focused() == name {
			return
		}
	}
	p.Fatalf("the keyboard does not get back to %q\n%s", name, p.looks())
}
