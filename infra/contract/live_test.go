package contract_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/memberkey/memberkey/infra/local/gateway"
	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/infra/local/system"
	"github.com/memberkey/memberkey/shared/password"
)

// live is a running system whose every answer is held against the contract.
type live struct {
	*testing.T
	contract *contract
	codes    map[string]listedCode
	table    *gateway.Table
	address  string
	token    string
	cookies  []*http.Cookie
	answered map[string]bool // operations that answered below 400
}

func begin(t *testing.T) *live {
	t.Helper()
	template, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := system.Start(system.Config{
		Address: "127.0.0.1:0", Data: t.TempDir(), Template: template, Passwords: password.Fast, Log: slog.New(slog.DiscardHandler),
		// So slow that a mailing to everybody can be paused, and that reports
		// tell how long the rest takes.
		Mail: mailbox.Options{Rate: 10, DailyQuota: 1000},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	c := readContract(t)
	l := &live{T: t, contract: c, codes: c.codes(t), table: readTemplate(t), address: s.Address, answered: map[string]bool{}}
	response, err := http.Get(s.Address + "/local/token?role=administrator")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var issued struct{ Token string }
	if err := json.NewDecoder(response.Body).Decode(&issued); err != nil {
		t.Fatal(err)
	}
	l.token = issued.Token
	return l
}

// answer is what came back.
type answer struct {
	header http.Header
	body   map[string]any // of JSON
}

func (a answer) text(name string) string { s, _ := a.body[name].(string); return s }

// call makes a request and holds the answer against the contract; want is the
// status, and the code where that is a problem's ("409 id_taken").
func (l *live) call(want, method, path, body string, headers ...string) answer {
	l.Helper()
	request, err := http.NewRequest(method, l.address+path, strings.NewReader(body))
	if err != nil {
		l.Fatal(err)
	}
	portal := strings.HasPrefix(path, "/portal/")
	switch {
	case portal && method == http.MethodPost:
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	case body != "":
		request.Header.Set("Content-Type", "application/json")
	}
	if !portal {
		request.Header.Set("Authorization", "Bearer "+l.token)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	for _, cookie := range l.cookies {
		request.AddCookie(cookie)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		l.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		l.Fatal(err)
	}
	if set := response.Cookies(); len(set) > 0 {
		l.cookies = set
	}
	at := method + " " + path
	decoded := l.hold(at, request, response, raw)
	got := strconv.Itoa(response.StatusCode)
	if code, ok := object(decoded)["code"].(string); ok && response.StatusCode >= 400 {
		got += " " + code
	}
	if got != want {
		l.Fatalf("%s answered %s; want %s\n%s", at, got, want, raw)
	}
	return answer{response.Header, object(decoded)}
}

// hold compares an answer with what is documented for it.
func (l *live) hold(at string, request *http.Request, response *http.Response, raw []byte) (decoded any) {
	l.Helper()
	route, _, ok := l.table.Match(request.Method, request.URL.Path)
	o := l.contract.operations[route.Key()]
	if !ok || o == nil {
		l.Errorf("%s is no operation", at)
		return nil
	}
	if response.StatusCode < 400 {
		l.answered[route.Key()] = true
	}
	all := object(o.fields["responses"])
	documented, ok := all[strconv.Itoa(response.StatusCode)]
	if !ok {
		documented = all["default"]
	}
	expected, err := l.contract.resolve(documented)
	if err != nil {
		l.Errorf("%s answers %d, which is not documented: %s", at, response.StatusCode, raw)
		return nil
	}
	for _, name := range []string{"ETag", "Location"} {
		if request.Method == http.MethodHead {
			break // the headers are those of the GET
		}
		_, ok := object(expected["headers"])[name]
		// A check tells what is stored nowhere, so it has no version.
		if has := response.Header.Get(name) != ""; has != ok && !(name == "ETag" && request.URL.Query().Has("check")) {
			l.Errorf("%s: header %s sent: %t, documented: %t", at, name, has, ok)
		}
	}
	if len(raw) == 0 {
		return nil
	}
	kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	media, ok := object(expected["content"])[kind]
	if err != nil || !ok {
		l.Errorf("%s: %d as %q is not documented", at, response.StatusCode, response.Header.Get("Content-Type"))
		return nil
	}
	if !strings.HasSuffix(kind, "json") {
		return nil
	}
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&decoded); err != nil {
		l.Errorf("%s: %v", at, err)
		return nil
	}
	for _, fault := range l.contract.validate(object(media)["schema"], decoded, at) {
		l.Errorf("%s\n%s", fault, raw)
	}
	for _, name := range l.contract.undocumented(object(media)["schema"], decoded, at) {
		l.Errorf("%s is not documented\n%s", name, raw)
	}
	if kind == "application/problem+json" {
		l.holdProblem(at, o, object(decoded), response.StatusCode)
	}
	return decoded
}

// undocumented names the members of a value that its schema does not know.
// Answers may grow, so validate says nothing of them; but not unseen.
func (c *contract) undocumented(schema, value any, at string) (names []string) {
	s, err := c.merged(schema)
	if err != nil {
		return []string{err.Error()}
	}
	for _, one := range array(s["oneOf"]) {
		if len(c.validate(one, value, at)) == 0 {
			return c.undocumented(one, value, at)
		}
	}
	for i, item := range array(value) {
		names = append(names, c.undocumented(s["items"], item, fmt.Sprintf("%s[%d]", at, i))...)
	}
	for name, member := range object(value) {
		switch inner := object(s["properties"])[name]; {
		case inner != nil:
			names = append(names, c.undocumented(inner, member, at+"."+name)...)
		case s["additionalProperties"] == nil:
			names = append(names, at+"."+name)
		}
	}
	return names
}

func (l *live) holdProblem(at string, o *operation, p map[string]any, status int) {
	l.Helper()
	code, _ := p["code"].(string)
	if !slices.Contains(words(o.fields["x-problem-codes"]), code) || !slices.Contains(l.codes[code].Status, status) {
		l.Errorf("%s answers %d %s, which is not documented", at, status, code)
	}
}

func TestAnswersOfTheRunningSystem(t *testing.T) {
	l := begin(t)
	l.profiles()
	id := l.credentials()
	l.organization()
	l.mailings(id)
	l.saved()
	l.portal(id)
	for key := range l.contract.operations {
		// The page of a link that lost its token has no better answer than 404.
		if !l.answered[key] && !strings.HasSuffix(key, "/set-password") {
			t.Errorf("%s was never answered well", key)
		}
	}
}

func (l *live) profiles() {
	l.call("200", "GET", "/api/sign-in", "", "Authorization", "")
	l.call("200", "GET", "/api/me", "")
	l.call("401", "GET", "/api/me", "", "Authorization", "Bearer nonsense")
	l.call("200", "GET", "/api/profiles?limit=3&status=active,lapsed&mayEnter=true", "")
	l.call("200", "GET", "/api/profiles?profiles=1001,1002&scope=members&email=any", "")
	l.call("200", "GET", "/api/profiles?count=true&login=no_password", "")
	l.call("200", "GET", "/api/profiles?search=an&limit=2", "")
	l.call("400 search_too_short", "GET", "/api/profiles?search=a", "")
	l.call("400 search_with_filter", "GET", "/api/profiles?search=ana&type=individual", "")
	l.call("400 filter_invalid", "GET", "/api/profiles?email=nonsense", "")
	l.call("400 limit_invalid", "GET", "/api/profiles?limit=0", "")
	l.call("400 query_unknown", "GET", "/api/profiles?nonsense=1", "")
	l.call("400 cursor_invalid", "GET", "/api/profiles?cursor=!", "")

	company := `{"type":"organization","organizationName":"Sample Catering","status":"active","id":"c-1"}`
	l.call("201", "POST", "/api/profiles", company)
	l.call("409 id_taken", "POST", "/api/profiles", company)
	l.call("400 email_invalid", "POST", "/api/profiles", `{"type":"individual","lastName":"Sample","status":"prospect","email":"ben@"}`)
	l.call("400 field_unknown", "POST", "/api/profiles", `{"kind":"individual"}`)
	l.call("400 field_type", "POST", "/api/profiles", `{"type":7}`)
	l.call("400 body_invalid", "POST", "/api/profiles", `{`)
	l.call("413 body_too_large", "POST", "/api/profiles", strings.Repeat(" ", 300_000))
	person := `{"type":"individual","firstName":"Ben","lastName":"Sample","status":"prospect","email":"ben.sample@example.com","relations":[{"to":"c-1","kind":"Employee","mainContact":true}]}`
	made := l.call("201", "POST", "/api/profiles", person, "Idempotency-Key", "contract-1")
	l.call("201", "POST", "/api/profiles", person, "Idempotency-Key", "contract-1")
	l.call("409 idempotency_key_reused", "POST", "/api/profiles", `{"type":"individual","lastName":"Other","status":"active"}`, "Idempotency-Key", "contract-1")

	at := "/api/profiles/" + made.text("id")
	read := l.call("200", "GET", at, "")
	l.call("404 profile_not_found", "GET", "/api/profiles/nobody", "")
	l.call("428 version_missing", "PATCH", at, `{}`)
	l.call("400 version_invalid", "PATCH", at, `{}`, "If-Match", "*")
	l.call("200", "PATCH", at+"?check=true", `{"status":"active","email":"ben.other@example.com"}`, "If-Match", read.header.Get("ETag"))
	l.call("200", "PATCH", at, `{"status":"active"}`, "If-Match", read.header.Get("ETag"))
	l.call("412 version_stale", "PATCH", at, `{"status":"lapsed"}`, "If-Match", read.header.Get("ETag"))
	for _, action := range []string{"disable", "enable", "sign-out", "unlock", "release-address"} {
		l.call("200", "POST", at+"/"+action, "")
		l.call("404 profile_not_found", "POST", "/api/profiles/nobody/"+action, "")
	}
	l.call("200", "GET", "/api/profiles/c-1/related", "")
	l.call("200", "GET", at+"/activity?limit=2", "")
	l.call("200", "GET", "/api/activity?limit=2", "")
	l.call("200", "GET", "/api/activity?profile=c-1", "")
	l.call("404 profile_not_found", "GET", "/api/activity?profile=nobody", "")
	l.call("200", "GET", "/api/activity?format=csv&actor=staff", "")
	l.call("400 time_invalid", "GET", "/api/activity?from=yesterday", "")

	file := "Profile ID,Profile Type,Last Name,Email,Membership Status,Related To,Relationship\n" +
		"i-1,Individual,Example,i.one@example.com,Active,c-1,Employee\ni-2,Individual,Example,i.two@,Active,nobody,Owner\ni-3,Individual,Example,i.three@,Active,,\n"
	l.call("200", "POST", "/api/profile-imports?check=true", file, "Content-Type", "text/csv")
	l.call("200", "POST", "/api/profile-imports", file, "Content-Type", "text/csv")
	l.call("400 csv_column_missing", "POST", "/api/profile-imports", "Last Name\nExample\n", "Content-Type", "text/csv")
	l.call("400 content_type", "POST", "/api/profile-imports", file)
}

// credentials leaves a member who has a password, and returns the profile ID.
func (l *live) credentials() string {
	made := l.call("201", "POST", "/api/profiles", `{"type":"individual","firstName":"Ana","lastName":"Example","status":"active","email":"ana.example@example.com"}`)
	id := made.text("id")
	at := "/api/profiles/" + id
	read := l.call("200", "GET", at+"/credentials", "")
	l.call("200", "GET", at+"/access", "")
	passphrase := l.call("200", "POST", "/api/passwords/generate", "").text("password")
	l.call("200", "POST", "/api/passwords/check", `{"password":"aaaaaaaa","profileId":"`+id+`"}`)
	l.call("400 password_too_short", "PUT", at+"/credentials", `{"password":"short"}`, "If-Match", read.header.Get("ETag"))
	l.call("200", "PUT", at+"/credentials", `{"password":"`+passphrase+`"}`, "If-Match", read.header.Get("ETag"))
	l.call("200", "PATCH", at+"?check=true", `{"email":"ana.new@example.com"}`, "If-Match", l.call("200", "GET", at, "").header.Get("ETag"))
	l.call("412 version_stale", "PUT", at+"/credentials", `{"username":"ana.other"}`, "If-Match", read.header.Get("ETag"))
	l.call("200", "GET", at+"/credentials", "")
	other := l.call("200", "GET", "/api/profiles/i-1/credentials", "")
	l.call("400 username_not_own_address", "PUT", "/api/profiles/i-1/credentials", `{"username":"ana.example@example.com"}`, "If-Match", other.header.Get("ETag"))
	l.call("200", "PUT", "/api/profiles/i-1/credentials", `{"username":"i.one"}`, "If-Match", other.header.Get("ETag"))
	third := l.call("200", "GET", "/api/profiles/i-3/credentials", "")
	l.call("409 username_taken", "PUT", "/api/profiles/i-3/credentials", `{"username":"i.one"}`, "If-Match", third.header.Get("ETag"))
	l.call("400 username_required", "PUT", "/api/profiles/i-3/credentials", `{"password":"`+passphrase+`"}`, "If-Match", third.header.Get("ETag"))
	l.call("202", "POST", at+"/reset-emails", "", "Idempotency-Key", "contract-2")
	l.call("202", "POST", at+"/reset-emails", "", "Idempotency-Key", "contract-2")
	l.call("422 no_email", "POST", "/api/profiles/c-1/reset-emails", "")
	l.call("202", "POST", "/api/profiles/c-1/reset-emails", `{"toMainContact":"`+l.contact()+`"}`)
	l.call("200", "GET", "/api/profiles/c-1/credentials", "")
	l.call("200", "DELETE", "/api/profiles/i-1/credentials", "", "If-Match", l.call("200", "GET", "/api/profiles/i-1/credentials", "").header.Get("ETag"))
	l.call("422 login_disabled", "POST", "/api/profiles/i-1/reset-emails", "")
	return id
}

// contact is the main contact of the company.
func (l *live) contact() string {
	for _, one := range array(l.call("200", "GET", "/api/profiles/c-1/related", "").body["profiles"]) {
		if object(one)["mainContact"] == true {
			id, _ := object(one)["id"].(string)
			return id
		}
	}
	l.Fatal("the company has no main contact")
	return ""
}

func (l *live) organization() {
	tag := l.call("200", "GET", "/api/organization", "").header.Get("ETag")
	l.call("200", "PUT", "/api/organization?check=true", `{"accessLevel":"members_only"}`, "If-Match", tag)
	l.call("400 number_out_of_range", "PUT", "/api/organization", `{"linkHours":0}`, "If-Match", tag)
	l.call("200", "PUT", "/api/organization", `{"testAddresses":["webmaster@example.org"],"linkHours":48}`, "If-Match", tag)
	l.call("412 version_stale", "PUT", "/api/organization", `{"linkHours":49}`, "If-Match", tag)
}

func (l *live) mailings(member string) {
	l.call("400 special_field_not_in_subject", "POST", "/api/mailings", `{"subject":"[[PORTALLOGINLINK]]"}`)
	made := l.call("201", "POST", "/api/mailings", `{"subject":"Hello [[FIRSTNAME]]","html":"<p onclick=\"x\">[[PORTALLOGINLINK]]</p>","audience":{"profiles":["`+member+`","i-3","c-1"]}}`, "Idempotency-Key", "contract-3")
	at := "/api/mailings/" + made.text("id")
	l.call("200", "GET", at, "")
	l.call("404 mailing_not_found", "GET", "/api/mailings/nothing", "")
	l.call("200", "GET", "/api/mailings?limit=1", "")
	l.call("200", "PUT", at, `{"subject":"Hello"}`, "If-Match", made.header.Get("ETag"))
	l.call("412 version_stale", "PUT", at, `{"subject":"Hallo"}`, "If-Match", made.header.Get("ETag"))
	l.call("200", "GET", at+"/audience", "")
	l.call("409 audience_not_frozen", "GET", at+"/recipients", "")
	l.call("409 audience_not_frozen", "POST", at+"/send", `{"version":1}`)
	l.call("200", "POST", at+"/preview", `{"profile":"`+member+`"}`)
	l.call("404 profile_not_found", "POST", at+"/preview", `{"profile":"nobody"}`)
	l.call("202", "POST", at+"/test", `{"profile":"`+member+`","addresses":["webmaster@example.org"]}`)
	l.call("422 test_address_unknown", "POST", at+"/test", `{"profile":"`+member+`","addresses":["ana@example.com"]}`)
	copied := l.call("201", "POST", at+"/copy", "")
	l.call("204", "DELETE", "/api/mailings/"+copied.text("id"), "", "If-Match", copied.header.Get("ETag"))

	version := l.call("202", "POST", at+"/audience", "").body["version"]
	l.until(func() bool { return l.call("200", "GET", at+"/audience", "").text("state") == "ready" })
	l.call("409 audience_stale", "POST", at+"/send", `{"version":99}`)
	later := fmt.Sprintf(`{"version":%v,"at":%q}`, version, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	l.call("200", "POST", at+"/send", later)
	l.call("409 mailing_state", "POST", at+"/pause", "")
	l.call("200", "POST", at+"/cancel", "")
	l.call("400 schedule_past", "POST", at+"/send", fmt.Sprintf(`{"version":%v,"at":"2020-01-01T00:00:00Z"}`, version))
	l.call("200", "POST", at+"/send", fmt.Sprintf(`{"version":%v}`, version))
	l.call("409 already_sent", "POST", at+"/send", fmt.Sprintf(`{"version":%v}`, version))
	l.until(func() bool { return l.call("200", "GET", at, "").text("state") == "done" })
	l.call("200", "GET", at+"/recipients?limit=1", "")
	l.call("200", "GET", at+"/recipients?outcome=skipped", "")
	l.call("200", "GET", at+"/recipients?format=csv", "")
	l.call("400 outcome_unknown", "GET", at+"/recipients?outcome=lost", "")
	l.call("400 format_invalid", "GET", at+"/recipients?format=xls", "")
	l.call("400 limit_invalid", "GET", at+"/recipients?limit=1001", "")
	l.call("400 limit_invalid", "GET", "/api/mailings?limit=0", "")
	l.call("200", "POST", at+"/resend-failed", "")
	l.call("200", "POST", at+"/revoke-links", "")
	l.call("201", "POST", at+"/reminders", "", "Idempotency-Key", "contract-4")
	l.call("409 mailing_state", "DELETE", at, "", "If-Match", l.call("200", "GET", at, "").header.Get("ETag"))
	l.call("200", "GET", "/api/profiles/"+member+"/activity", "")

	// Pausing needs one that is under way: to everybody, at 10 mails a second.
	big := l.call("201", "POST", "/api/mailings", `{"subject":"Hello","html":"<p>[[NAME]]</p>"}`)
	at = "/api/mailings/" + big.text("id")
	version = l.call("202", "POST", at+"/audience", "").body["version"]
	l.until(func() bool { return l.call("200", "GET", at+"/audience", "").text("state") == "ready" })
	l.call("200", "POST", at+"/send", fmt.Sprintf(`{"version":%v}`, version))
	l.call("200", "GET", at, "")
	l.call("200", "POST", at+"/pause", "")
	l.call("200", "POST", at+"/resume", "")
}

// until waits for what happens behind the queues.
func (l *live) until(done func() bool) {
	l.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.Fatal("it never happened")
		}
	}
}

func (l *live) saved() {
	l.call("200", "GET", "/api/special-fields", "")
	for _, tt := range []struct{ at, body, wrong string }{
		{"/api/templates", `{"name":"Letter","subject":"Hello","html":"<p>x</p>"}`, `{"name":""}`},
		{"/api/audiences", `{"name":"All","filter":{"status":["active"],"scope":"members"}}`, `{"name":"","filter":{"email":"nonsense"}}`},
	} {
		made := l.call("201", "POST", tt.at, tt.body)
		l.call("400 name_invalid", "POST", tt.at, tt.wrong)
		l.call("200", "GET", tt.at, "")
		one := made.header.Get("Location")
		l.call("200", "GET", one, "")
		edited := l.call("200", "PUT", one, tt.body, "If-Match", made.header.Get("ETag"))
		l.call("412 version_stale", "PUT", one, tt.body, "If-Match", `"77"`)
		l.call("204", "DELETE", one, "", "If-Match", edited.header.Get("ETag"))
	}
	l.call("404 template_not_found", "GET", "/api/templates/nothing", "")
	l.call("404 audience_not_found", "GET", "/api/audiences/nothing", "")
	l.call("422 read_only", "PUT", "/api/templates/create-your-login", `{"name":"x"}`, "If-Match", `"1"`)
}

func (l *live) portal(member string) {
	at := "/portal/demo"
	passphrase := "walnut ferry garden lamp"
	credentials := "/api/profiles/" + member + "/credentials"
	l.call("200", "PUT", credentials, `{"password":"`+passphrase+`"}`, "If-Match", l.call("200", "GET", credentials, "").header.Get("ETag"))
	for _, page := range []string{"", "/sign-in", "/forgot-login", "/password", "/set-password", "/set-password/nonsense"} {
		want := map[string]string{"": "303", "/password": "303", "/set-password": "404", "/set-password/nonsense": "404"}[page]
		if want == "" {
			want = "200"
		}
		l.call(want, "GET", at+page, "")
		l.call(want, "HEAD", at+page, "")
	}
	sample := l.sample(member)
	l.call("200", "GET", sample, "")
	l.call("200", "HEAD", sample, "")
	l.call("200", "POST", sample, "password=x&again=x")
	l.call("404", "POST", at+"/set-password/nonsense", "password=x&again=x")
	l.call("200", "POST", at+"/set-password/nonsense/renew", "")
	l.call("404", "GET", "/portal/nobody", "")
	l.call("403", "POST", at+"/sign-out", "", "Sec-Fetch-Site", "cross-site")
	l.call("400", "POST", at+"/sign-in", "username=a&username=b")
	l.call("200", "POST", at+"/forgot-login", "login=nobody%40example.com")
	l.call("422", "POST", at+"/forgot-login", "login=")
	l.call("422", "POST", at+"/sign-in", "username=nobody&password=wrong")
	l.call("303", "POST", at+"/sign-in", "username=ana.example%40example.com&password="+strings.ReplaceAll(passphrase, " ", "+"))
	l.call("422", "POST", at+"/password", "current=wrong&password=x&again=y")
	fresh := "violet+anchor+pepper+canoe"
	l.call("200", "POST", at+"/password", "current="+strings.ReplaceAll(passphrase, " ", "+")+"&password="+fresh+"&again="+fresh)
	l.call("200", "GET", at, "")
	l.call("200", "HEAD", at, "")
	l.call("200", "GET", at+"/password", "")
	l.call("200", "HEAD", at+"/password", "")
	l.call("303", "POST", at+"/switch", "to="+member)
	l.call("403", "POST", at+"/switch", "to=c-1")
	l.call("303", "POST", at+"/sign-out", "")
}

// sample is the path of the link that a preview carries.
func (l *live) sample(member string) string {
	made := l.call("201", "POST", "/api/mailings", `{"subject":"Hello","html":"<p>[[PORTALLOGINLINK]]</p>"}`)
	text := l.call("200", "POST", "/api/mailings/"+made.text("id")+"/preview", `{"profile":"`+member+`"}`).text("text")
	_, link, ok := strings.Cut(text, l.address)
	if !ok {
		l.Fatalf("the preview carries no link:\n%s", text)
	}
	return strings.Fields(link)[0]
}
