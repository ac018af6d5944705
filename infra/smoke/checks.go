package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// person is one of the smoke test's, with the simulator's mailbox that decides
// what becomes of their mail.
type person struct {
	id      string
	mailbox string
	outcome string // of a mail
}

var (
	member  = person{"smoke-member", "success", "delivered"}
	resets  = []person{{"smoke-reset", "success", "delivered"}, {"smoke-reset-bounce", "bounce", "bounced"}}
	mailed  = []person{{"smoke-success", "success", "delivered"}, {"smoke-bounce", "bounce", "bounced"}, {"smoke-complaint", "complaint", "complained"}, {"smoke-suppressed", "suppressionlist", "bounced"}}
	bounced = mailed[1]
)

func everybody() []person { return slices.Concat([]person{member}, resets, mailed) }

// address is where mail to a person goes in this run. A new one each time
// clears what the run before noted about the old one; the member's stays, for
// every change of it would send two notices.
func (s *smoke) address(p person) string {
	label := s.label
	if p == member {
		label = "member"
	}
	return p.mailbox + "+" + label + "@simulator.amazonses.com"
}

func path(p person, rest string) string { return "/api/profiles/" + p.id + rest }

var ok = []int{http.StatusOK}

func (s *smoke) answers(ctx context.Context) (string, error) {
	a, err := do(ctx, client, "GET", s.api+"/api/sign-in", nil)
	if err != nil {
		return "", err
	}
	var told struct {
		Issuer string `json:"issuer"`
	}
	if err := a.wanted(http.StatusOK); err != nil {
		return "", err
	}
	if json.Unmarshal(a.body, &told) != nil || told.Issuer == "" {
		return "", fmt.Errorf("%s names no issuer: is this Memberkey?", a.what)
	}
	return "staff sign in at " + told.Issuer, nil
}

// authorizer wants the gateway to refuse whoever has no token, and one that
// somebody made up.
func (s *smoke) authorizer(ctx context.Context) (string, error) {
	signature := strings.LastIndexByte(s.token, '.')
	for what, headers := range map[string][]string{
		"no token":          nil,
		"a made-up token":   {"Authorization", "Bearer " + s.token[:signature+1] + "c21va2U"},
		"a word as a token": {"Authorization", "Bearer smoke"},
	} {
		for _, route := range []string{"/api/me", "/api/profiles", "/api/mailings", "/api/profiles/1/credentials"} {
			a, err := do(ctx, client, "GET", s.api+route, nil, headers...)
			if err != nil {
				return "", err
			}
			if a.status != http.StatusUnauthorized {
				return "", fmt.Errorf("with %s %s answered %d, not 401", what, a.what, a.status)
			}
		}
	}
	return "401 without a token and with a wrong one", nil
}

func (s *smoke) unknownRoute(ctx context.Context) (string, error) {
	for _, route := range []string{"/api/nothing", "/local/token?role=administrator&organization=smoke"} {
		a, err := do(ctx, client, "GET", s.api+route, nil)
		if err != nil {
			return "", err
		}
		if local(s.api) && strings.HasPrefix(route, "/local/") {
			continue
		}
		if a.status != http.StatusNotFound {
			return "", fmt.Errorf("%s answered %d, not 404", a.what, a.status)
		}
	}
	return "404", nil
}

func local(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1")
}

// organization founds the smoke test's organization the first time, and makes
// its settings fit this deployment.
func (s *smoke) organization(ctx context.Context) (string, error) {
	a, err := s.staff(ctx, "GET", "/api/organization", nil, nil, []int{http.StatusOK, http.StatusNotFound})
	if err != nil {
		return "", err
	}
	version, said := a.header.Get("ETag"), "is there"
	if a.status == http.StatusNotFound {
		version, said = `"0"`, "founded"
	}
	settings := map[string]any{
		"name": "Smoke test", "senderName": "Smoke test", "senderAddress": s.sender, "portalAddress": s.portal,
		"staffMayTypePasswords": true, "mustChangeTyped": true,
	}
	if _, err := s.staff(ctx, "PUT", "/api/organization", settings, nil, ok, "If-Match", version); err != nil {
		return "", err
	}
	var me struct {
		Role         string `json:"role"`
		Organization struct {
			ID     string `json:"id"`
			Portal string `json:"portal"`
		} `json:"organization"`
	}
	if _, err := s.staff(ctx, "GET", "/api/me", nil, &me, ok); err != nil {
		return "", err
	}
	if me.Organization.ID != organization || me.Role != "administrator" {
		return "", fmt.Errorf("the token is taken for %s:%s", me.Organization.ID, me.Role)
	}
	return said + ", its pages are at " + me.Organization.Portal, nil
}

// pageHeaders are what every page must send, by the part that decides.
var pageHeaders = map[string]string{
	"Content-Security-Policy":   "default-src 'none'",
	"Cache-Control":             "no-store",
	"X-Content-Type-Options":    "nosniff",
	"Strict-Transport-Security": "max-age=",
	"X-Robots-Tag":              "noindex",
	"Content-Type":              "text/html",
}

// page opens a member page with GET and HEAD and looks at its headers.
func (s *smoke) page(ctx context.Context, address string, status int, referrer string) error {
	want := maps.Clone(pageHeaders)
	want["Referrer-Policy"] = referrer
	for _, method := range []string{"GET", "HEAD"} {
		a, err := do(ctx, client, method, address, nil)
		if err != nil {
			return err
		}
		what := method + " " + strings.TrimPrefix(address, s.portal)
		if a.status != status {
			return fmt.Errorf("%s answered %d, not %d", what, a.status, status)
		}
		for name, part := range want {
			if got := a.header.Get(name); !strings.Contains(got, part) {
				return fmt.Errorf("%s: the header %s is %q, without %q", what, name, got, part)
			}
		}
		if method == "GET" && !strings.Contains(string(a.body), "Smoke test") {
			return fmt.Errorf("%s is not the organization's page", what)
		}
	}
	return nil
}

func (s *smoke) portalOf(rest string) string { return s.portal + "/portal/" + organization + rest }

func (s *smoke) pages(ctx context.Context) (string, error) {
	// A link of the right shape that nobody has.
	unknown := strings.Repeat("0", 65)
	return "sign-in, forgot login and an unknown link, with their security headers", errors.Join(
		s.page(ctx, s.portalOf("/sign-in"), http.StatusOK, "same-origin"),
		s.page(ctx, s.portalOf("/forgot-login"), http.StatusOK, "same-origin"),
		s.page(ctx, s.portalOf("/set-password/"+unknown), http.StatusNotFound, "no-referrer"),
	)
}

// people makes or mends the smoke test's people, as the run before may have
// left them.
func (s *smoke) people(ctx context.Context) (string, error) {
	made := 0
	for _, p := range everybody() {
		fields := map[string]any{
			"type": "individual", "firstName": "Smoke", "lastName": strings.TrimPrefix(p.id, "smoke-"), "status": "active",
			"email": s.address(p), "doNotEmail": false,
		}
		a, err := s.staff(ctx, "GET", path(p, ""), nil, nil, []int{http.StatusOK, http.StatusNotFound})
		if err != nil {
			return "", err
		}
		if a.status == http.StatusNotFound {
			made++
			fields["id"] = p.id
			_, err = s.staff(ctx, "POST", "/api/profiles", fields, nil, []int{http.StatusCreated})
		} else {
			_, err = s.staff(ctx, "PATCH", path(p, ""), fields, nil, ok, "If-Match", a.header.Get("ETag"))
		}
		if err != nil {
			return "", err
		}
		if err := s.removeLogin(ctx, p); err != nil {
			return "", err
		}
		if _, err := s.staff(ctx, "POST", path(p, "/enable"), nil, nil, ok); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d made, %d mended, all at the mail simulator", made, len(everybody())-made), nil
}

// removeLogin removes username and password, if there are any.
func (s *smoke) removeLogin(ctx context.Context, p person) error {
	var login credentials
	a, err := s.staff(ctx, "GET", path(p, "/credentials"), nil, &login, ok)
	if err != nil || login.Username == "" && !login.PasswordSet {
		return err
	}
	_, err = s.staff(ctx, "DELETE", path(p, "/credentials"), nil, nil, []int{http.StatusOK, http.StatusNoContent}, "If-Match", a.header.Get("ETag"))
	return err
}

type credentials struct {
	Username            string `json:"username"`
	PasswordSet         bool   `json:"passwordSet"`
	PasswordPlaceholder string `json:"passwordPlaceholder"`
	LastLink            *struct {
		State  string `json:"state"`
		Reason string `json:"reason"`
	} `json:"lastLink"`
}

func (s *smoke) search(ctx context.Context) (string, error) {
	var found struct {
		Profiles []struct {
			ID string `json:"id"`
		} `json:"profiles"`
	}
	if _, err := s.staff(ctx, "GET", "/api/profiles?search=smoke+suppr", nil, &found, ok); err != nil {
		return "", err
	}
	if len(found.Profiles) != 1 || found.Profiles[0].ID != "smoke-suppressed" {
		return "", fmt.Errorf("“smoke suppr” finds %+v", found.Profiles)
	}
	return "finds who it should", nil
}

// signIn gives the member a password and signs in with it; so one hash is made
// and two are verified.
func (s *smoke) signIn(ctx context.Context) (string, error) {
	const username = "smoke-member"
	password := rand.Text()
	a, err := s.staff(ctx, "GET", path(member, "/credentials"), nil, nil, ok)
	if err != nil {
		return "", err
	}
	var login credentials
	set := map[string]any{"username": username, "password": password}
	if _, err := s.staff(ctx, "PUT", path(member, "/credentials"), set, &login, ok, "If-Match", a.header.Get("ETag")); err != nil {
		return "", err
	}
	if !login.PasswordSet || strings.Trim(login.PasswordPlaceholder, "*") != "" || login.PasswordPlaceholder == "" {
		return "", errors.New("the password was set, and no placeholder is shown for it")
	}
	b := browser()
	form := func(password string) string {
		return url.Values{"username": {username}, "password": {password}}.Encode()
	}
	origin := []string{"Origin", s.portal}
	refused, err := do(ctx, b, "POST", s.portalOf("/sign-in"), form("not "+password), origin...)
	if err != nil {
		return "", err
	}
	if refused.status != http.StatusUnprocessableEntity {
		return "", fmt.Errorf("a wrong password was answered %d, not 422", refused.status)
	}
	in, err := do(ctx, b, "POST", s.portalOf("/sign-in"), form(password), origin...)
	if err != nil {
		return "", err
	}
	if to := in.header.Get("Location"); in.status != http.StatusSeeOther || !strings.HasSuffix(to, "/password") {
		return "", fmt.Errorf("the right password was answered %d, to %q", in.status, to)
	}
	page, err := do(ctx, b, "GET", s.portalOf("/password"), nil)
	if err != nil {
		return "", err
	}
	if page.status != http.StatusOK {
		return "", fmt.Errorf("the session opens no page: %d", page.status)
	}
	foreign, err := do(ctx, b, "POST", s.portalOf("/sign-out"), "", "Origin", "https://elsewhere.example")
	if err != nil {
		return "", err
	}
	if foreign.status != http.StatusForbidden {
		return "", fmt.Errorf("a form of another site was answered %d, not 403", foreign.status)
	}
	out, err := do(ctx, b, "POST", s.portalOf("/sign-out"), "", origin...)
	if err != nil {
		return "", err
	}
	if out.status != http.StatusSeeOther {
		return "", fmt.Errorf("signing out was answered %d", out.status)
	}
	return "password set, wrong one refused, right one let in, signed out", nil
}

// resets sends two single mails, which go by SendEmail, and waits for the
// events about them.
func (s *smoke) resets(ctx context.Context) (string, error) {
	for _, p := range resets {
		if _, err := s.staff(ctx, "POST", path(p, "/reset-emails"), nil, nil, []int{http.StatusAccepted}); err != nil {
			return "", err
		}
	}
	for _, p := range resets {
		var login credentials
		err := s.until(ctx, "the event about a reset email", func() (bool, error) {
			_, err := s.staff(ctx, "GET", path(p, "/credentials"), nil, &login, ok)
			if err != nil || login.LastLink == nil {
				return false, err
			}
			switch login.LastLink.State {
			case p.outcome:
				return true, nil
			case "failed", "skipped", "bounced":
				return false, fmt.Errorf("the mail to %s@ was %s (%s)", p.mailbox, login.LastLink.State, login.LastLink.Reason)
			}
			return false, nil
		})
		if err != nil {
			if login.LastLink != nil {
				err = fmt.Errorf("%w; the mail to %s@ is %s (%s)", err, p.mailbox, login.LastLink.State, login.LastLink.Reason)
			}
			return "", err
		}
	}
	return "one delivered, one bounced", nil
}

// send composes a mailing to four people, counts them and sends it.
func (s *smoke) send(ctx context.Context) (string, error) {
	var ids []string
	for _, p := range mailed {
		ids = append(ids, p.id)
	}
	draft := map[string]any{
		"subject": "Smoke test", "html": "<div>Dear [[FIRSTNAME]],</div><div>[[PORTALLOGINLINK]]</div>",
		"audience": map[string]any{"profiles": ids},
	}
	var m mailing
	if _, err := s.staff(ctx, "POST", "/api/mailings", draft, &m, []int{http.StatusCreated}, "Idempotency-Key", "smoke-"+s.label); err != nil {
		return "", err
	}
	s.mailing = m.ID
	at := "/api/mailings/" + m.ID
	if _, err := s.staff(ctx, "POST", at+"/audience", nil, nil, []int{http.StatusAccepted}); err != nil {
		return "", err
	}
	var audience struct {
		State   string         `json:"state"`
		Version int            `json:"version"`
		Mails   int            `json:"mails"`
		Skipped map[string]int `json:"skipped"`
	}
	err := s.until(ctx, "the audience to be counted", func() (bool, error) {
		_, err := s.staff(ctx, "GET", at+"/audience", nil, &audience, ok)
		return audience.State == "ready", err
	})
	if err != nil {
		return "", err
	}
	if audience.Mails != len(mailed) {
		return "", fmt.Errorf("the audience has %d mails and skips %v; want %d", audience.Mails, audience.Skipped, len(mailed))
	}
	_, err = s.staff(ctx, "POST", at+"/send", map[string]any{"version": audience.Version}, nil, ok)
	return fmt.Sprintf("%s: %d people counted, sending", m.ID, audience.Mails), err
}

type mailing struct {
	ID          string `json:"id"`
	State       string `json:"state"`
	PauseReason string `json:"pauseReason"`
	Report      *struct {
		Outcomes map[string]int `json:"outcomes"`
		Rate     float64        `json:"rate"`
	} `json:"report"`
}

var sampleLink = regexp.MustCompile(`https?://\S+/set-password/[0-9A-Za-z]+`)

// samplePage opens the page of a link, by the sample that a preview has.
func (s *smoke) samplePage(ctx context.Context) (string, error) {
	var preview struct {
		Text string `json:"text"`
	}
	if _, err := s.staff(ctx, "POST", "/api/mailings/"+s.mailing+"/preview", map[string]any{"profile": mailed[0].id}, &preview, ok); err != nil {
		return "", err
	}
	link := sampleLink.FindString(preview.Text)
	if !strings.HasPrefix(link, s.portalOf("/set-password/")) {
		return "", errors.New("the preview has no link to the organization's own address")
	}
	return "opens by a preview's sample link (nobody can read the simulator's mail)", s.page(ctx, link, http.StatusOK, "no-referrer")
}

// outcomes waits until every mail of the mailing came to what the simulator
// does with it.
func (s *smoke) outcomes(ctx context.Context) (string, error) {
	want := map[string]int{}
	for _, p := range mailed {
		want[p.outcome]++
	}
	var m mailing
	got := map[string]int{}
	err := s.until(ctx, "the events about the mailing", func() (bool, error) {
		if _, err := s.staff(ctx, "GET", "/api/mailings/"+s.mailing, nil, &m, ok); err != nil {
			return false, err
		}
		if m.State == "paused" || m.State == "waiting_quota" || m.State == "cancelled" {
			return false, fmt.Errorf("the mailing is %s: %s", m.State, m.PauseReason)
		}
		if m.Report == nil {
			return false, nil
		}
		s.bulkRate = m.Report.Rate
		clear(got)
		for outcome, n := range m.Report.Outcomes {
			if n > 0 {
				got[outcome] = n
			}
		}
		if got["failed"]+got["skipped"] > 0 {
			return false, fmt.Errorf("the outcomes are %v", got)
		}
		return m.State == "done" && maps.Equal(got, want), nil
	})
	if err != nil {
		return "", fmt.Errorf("%w (the mailing is %q: %v)", err, m.State, got)
	}
	for _, p := range mailed {
		var rows struct {
			Recipients []struct {
				Profile string `json:"profile"`
			} `json:"recipients"`
		}
		if _, err := s.staff(ctx, "GET", "/api/mailings/"+s.mailing+"/recipients?outcome="+p.outcome, nil, &rows, ok); err != nil {
			return "", err
		}
		if !slices.ContainsFunc(rows.Recipients, func(r struct {
			Profile string `json:"profile"`
		}) bool {
			return r.Profile == p.id
		}) {
			return "", fmt.Errorf("%s is not among those %s", p.id, p.outcome)
		}
	}
	return fmt.Sprintf("done: %v", got), nil
}

// undeliverable wants the bounce on the profile, and releases the address, for
// which SES's own list is asked.
func (s *smoke) undeliverable(ctx context.Context) (string, error) {
	marked := func() (bool, error) {
		var p struct {
			Undeliverable *struct {
				Reason string `json:"reason"`
			} `json:"undeliverable"`
		}
		_, err := s.staff(ctx, "GET", path(bounced, ""), nil, &p, ok)
		return p.Undeliverable != nil, err
	}
	if err := s.until(ctx, "the bounce on the profile", marked); err != nil {
		return "", err
	}
	if _, err := s.staff(ctx, "POST", path(bounced, "/release-address"), nil, nil, ok); err != nil {
		return "", err
	}
	if still, err := marked(); err != nil || still {
		return "", errors.Join(err, errors.New("the address was released, and is marked all the same"))
	}
	return "the bounce stands on the profile, and staff can release it", nil
}

// calls says which of SES's two calls this run has shown to be allowed. A
// mailing in batches of more than one goes by SendBulkEmail; single mails go by
// SendEmail, and so does everything where the account may send only one mail a
// second.
func (s *smoke) calls(context.Context) (string, error) {
	if s.bulkRate > 0 && s.bulkRate < 2 {
		return "", skipped(fmt.Sprintf("SendBulkEmail, for at %.1f mails a second mailings go one by one (is the account in the sandbox?); SendEmail is allowed", s.bulkRate))
	}
	return "SendEmail and SendBulkEmail are allowed, and their events come back", nil
}

// shown shows the account as SES tells it, and that the sweep has read it.
func (s *smoke) shown(ctx context.Context) (string, error) {
	if s.account == nil {
		return "", skipped("GetAccount is asked with -stack alone")
	}
	if s.bulkRate == 0 {
		return "", errors.New("mailings know of no rate: the sweep (fanout) has not read GetAccount")
	}
	said, err := s.account(ctx)
	return fmt.Sprintf("%s; mailings take %.1f a second", said, s.bulkRate), err
}

// cleanUp ends what the run began. What it cannot find it has not made.
func (s *smoke) cleanUp(ctx context.Context) error {
	var errs []error
	try := func(_ *answer, err error) { errs = append(errs, err) }
	if s.mailing != "" {
		at := "/api/mailings/" + s.mailing
		var m mailing
		a, err := s.staff(ctx, "GET", at, nil, &m, ok)
		try(a, err)
		switch {
		case err != nil:
		case m.State == "draft":
			try(s.staff(ctx, "DELETE", at, nil, nil, []int{http.StatusNoContent}, "If-Match", a.header.Get("ETag")))
		case m.State == "done":
			try(s.staff(ctx, "POST", at+"/revoke-links", nil, nil, ok))
		default:
			try(s.staff(ctx, "POST", at+"/cancel", nil, nil, ok))
			try(s.staff(ctx, "POST", at+"/revoke-links", nil, nil, ok))
		}
	}
	for _, p := range everybody() {
		a, err := s.staff(ctx, "POST", path(p, "/sign-out"), nil, nil, []int{http.StatusOK, http.StatusNotFound})
		try(a, err)
		if err == nil && a.status == http.StatusOK {
			errs = append(errs, s.removeLogin(ctx, p))
		}
	}
	return errors.Join(errs...)
}
