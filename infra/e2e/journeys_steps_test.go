package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// This file has the steps that several journeys take.

// unique is a number that no other journey has.
func unique() string { return fmt.Sprint(serial.Add(1)) }

func escape(s string) string { return url.QueryEscape(s) }

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// listed walks all pages of the list of profiles with these filters.
func (w *world) listed(filters string) (ids []string) {
	w.Helper()
	for cursor := ""; ; {
		page := w.get("/api/profiles?limit=100&" + filters + "&cursor=" + escape(cursor))
		for _, p := range page.list("profiles") {
			ids = append(ids, p.text("id"))
		}
		if cursor = page.text("cursor"); cursor == "" {
			return ids
		}
	}
}

// trail is the audit trail of a profile as kinds of activity, newest first.
func (p person) trail() (kinds []string) {
	p.w.Helper()
	for _, e := range p.w.get(p.path("/activity")).list("entries") {
		kinds = append(kinds, e.text("kind"))
	}
	return kinds
}

// imports posts a file as staff do: once more while the answer says that time
// ran out. It gives the last answer, with what all of them wrote.
func (w *world) imports(file table) response {
	w.Helper()
	wrote := map[string]int{}
	for range 10 {
		r := w.api("POST", "/api/profile-imports", file).want(http.StatusOK)
		var sums doc
		r.into(&sums)
		sums["unchanged"] = r.number("unchanged") - wrote["created"] - wrote["updated"]
		for _, name := range []string{"created", "updated", "accepted"} {
			wrote[name] += r.number(name)
			sums[name] = wrote[name]
		}
		if r.yes("complete") {
			r.Body, _ = json.Marshal(sums)
			return r
		}
	}
	w.Fatal("an import that is posted again and again is never complete")
	return response{}
}

// campaign is a mailing under test.
type campaign struct {
	w  *world
	ID string
}

// compose makes a draft.
func (w *world) compose(fields doc) campaign {
	w.Helper()
	return campaign{w, w.api("POST", "/api/mailings", fields).want(http.StatusCreated).text("id")}
}

// credentialsFor is a draft with the Portal Login Credentials Link to these
// people.
func (w *world) credentialsFor(people ...person) campaign {
	w.Helper()
	ids := make([]string, len(people))
	for i, p := range people {
		ids[i] = p.ID
	}
	return w.compose(doc{"subject": "Your login", "html": "<p>Dear [[NAME]],</p><p>[[PORTALLOGINLINK]]</p>", "audience": doc{"profiles": ids}})
}

func (c campaign) path(rest string) string { return "/api/mailings/" + c.ID + rest }

// whole is the mailing with its message and report.
func (c campaign) whole() response { c.w.Helper(); return c.w.get(c.path("")) }

// edit changes message or audience as they are now.
func (c campaign) edit(fields doc) response {
	c.w.Helper()
	return c.w.api("PUT", c.path(""), fields, "If-Match", c.whole().etag()).want(http.StatusOK)
}

// preview is the mail as one profile would get it.
func (c campaign) preview(id string) mail {
	c.w.Helper()
	m := mail{w: c.w, To: "preview"}
	c.w.api("POST", c.path("/preview"), doc{"profile": id}).want(http.StatusOK).into(&m)
	return m
}

// count counts the audience and waits for the numbers.
func (c campaign) count() (counted response) {
	c.w.Helper()
	c.w.api("POST", c.path("/audience"), nil).want(http.StatusAccepted)
	c.w.until("the audience to be counted", func() bool {
		counted = c.w.get(c.path("/audience"))
		return counted.text("state") == "ready"
	})
	return counted
}

// send counts and sends.
func (c campaign) send() response {
	c.w.Helper()
	counted := c.count()
	return c.w.api("POST", c.path("/send"), doc{"version": counted.number("version")}).want(http.StatusOK)
}

// do is one of the actions without content: pause, resume, cancel, revoke-links.
func (c campaign) do(action string) response {
	c.w.Helper()
	return c.w.api("POST", c.path("/"+action), nil).want(http.StatusOK)
}

// done waits until the mailing is done, or cancelled and settled, and all
// events of its mails have come back, and wants the outcomes to add up.
func (c campaign) done() (r response) {
	c.w.Helper()
	c.w.until("the mailing to be done", func() bool {
		r = c.whole()
		c.addsUp(r)
		open := r.number("report.outcomes.pending") + r.number("report.outcomes.uncertain") + r.number("report.outcomes.sent")
		return (r.text("state") == "done" || r.text("state") == "cancelled") && open == 0
	})
	return r
}

// addsUp wants every profile of the audience in exactly one outcome (H15).
func (c campaign) addsUp(r response) {
	c.w.Helper()
	if sum, all := r.outcomes(), r.number("report.profiles"); sum != all || all == 0 {
		c.w.Fatalf("the outcomes come to %d, the audience is %d: %s", sum, all, clip(r.Body))
	}
}

// outcomes is the sum over all outcomes of a report.
func (r response) outcomes() (sum int) {
	all, _ := r.at("report.outcomes").(map[string]any)
	for _, n := range all {
		sum += int(n.(float64))
	}
	return sum
}

// recipient is a row of a mailing's report.
type recipient struct{ Address, Outcome, Reason string }

// recipients are all of them by profile ID; each stands there once.
func (c campaign) recipients() map[string]recipient {
	c.w.Helper()
	all := map[string]recipient{}
	for cursor := ""; ; {
		page := c.w.get(c.path("/recipients?limit=1000&cursor=" + escape(cursor)))
		var rows struct {
			Recipients []struct {
				Profile string
				recipient
			}
		}
		page.into(&rows)
		for _, row := range rows.Recipients {
			if _, twice := all[row.Profile]; twice {
				c.w.Errorf("profile %s is listed twice", row.Profile)
			}
			all[row.Profile] = row.recipient
		}
		if cursor = page.text("cursor"); cursor == "" {
			return all
		}
	}
}

// nextOf waits for the next mail of one mailing; others before it are passed over.
func (w *world) nextOf(to, mailing string) mail {
	w.Helper()
	for {
		if m := w.next(to); m.Mailing != nil && *m.Mailing == mailing {
			return m
		}
	}
}

// settings changes the organization's settings until the test ends.
func (w *world) settings(change doc) {
	w.Helper()
	before := w.get("/api/organization")
	var all doc
	before.into(&all)
	back := doc{}
	for name := range change {
		back[name] = all[name]
	}
	w.api("PUT", "/api/organization", change, "If-Match", before.etag()).want(http.StatusOK)
	w.Cleanup(func() {
		if w.own == nil || w.own == common.own { // others end with the test
			w.api("PUT", "/api/organization", back, "If-Match", w.get("/api/organization").etag()).want(http.StatusOK)
		}
	})
}

// sets fills the page of a link, typing the password twice.
func (b *browser) sets(secret string) *browser {
	b.w.Helper()
	return b.press("Set password", fill{"password": secret, "again": secret})
}

// words is a list of texts of the JSON.
func (r response) words(path string) (all []string) {
	r.w.Helper()
	for _, e := range r.list(path) {
		var s string
		e.into(&s)
		all = append(all, s)
	}
	return all
}

// digits is a number of the JSON in digits.
func (r response) digits(path string) string { r.w.Helper(); return strconv.Itoa(r.number(path)) }

// check is one of the answers to "can they sign in?".
func (p person) check(code string) (found response) {
	p.w.Helper()
	for _, c := range p.w.get(p.path("/access")).list("checks") {
		if c.text("code") == code {
			return c
		}
	}
	p.w.Fatalf("profile %s: there is no check %s", p.ID, code)
	return found
}

// settled waits until n mails have come to an address, and gives their number.
func (w *world) settled(to string, n int) int {
	w.Helper()
	w.until("mails to "+to, func() bool { return len(w.mails(to)) >= n })
	return n
}
