package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/infra/local/system"
	"github.com/memberkey/memberkey/shared/password"
)

// start runs the local system for a test, with a token of the smoke test's
// administrator.
func start(t *testing.T, faults mailbox.Faults) (address, token string) {
	t.Helper()
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s, err := system.Start(system.Config{
		Address: "localhost:0", Data: t.TempDir(), Template: template, Passwords: password.Fast, Log: log,
		Mail: mailbox.Options{Faults: faults, Log: log},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("the system did not stop cleanly: %v", err)
		}
	})
	return s.Address, tokenOf(t, s.Address, organization)
}

func tokenOf(t *testing.T, address, org string) string {
	t.Helper()
	var v struct{ Token string }
	read(t, address+"/local/token?role=administrator&organization="+org, "", &v)
	return v.Token
}

// read gets JSON, with a token where there is one.
func read(t *testing.T, address, token string, v any) {
	t.Helper()
	a, err := do(t.Context(), client, "GET", address, nil, "Authorization", "Bearer "+token)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.wanted(http.StatusOK); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatal(err)
	}
}

// smokes runs the command as somebody types it, but quicker than a second a look.
func smokes(t *testing.T, address, token string, wait time.Duration) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := config{api: address, portal: address, sender: "smoke@example.org", token: token, wait: wait, poll: 20 * time.Millisecond}
	err := run(t.Context(), c, &out)
	return out.String(), err
}

func TestAllIsWell(t *testing.T) {
	t.Parallel()
	address, token := start(t, mailbox.Faults{})
	for n := range 2 { // what a run leaves is no trouble for the next one
		out, err := smokes(t, address, token, time.Minute)
		if err != nil || strings.Contains(out, "FAIL") || strings.Contains(out, "not run") {
			t.Fatalf("run %d: %v\n%s", n, err, out)
		}
		for _, k := range checks {
			if !strings.Contains(out, k.name) {
				t.Errorf("nothing is said of %q", k.name)
			}
		}
	}
	// Nobody but the simulator was mailed, and nobody can sign in any more.
	var mails []struct{ To string }
	read(t, address+"/local/mailbox.json?limit=1000", "", &mails)
	if len(mails) < 12 {
		t.Errorf("only %d mails were sent", len(mails))
	}
	for _, m := range mails {
		if !strings.HasSuffix(m.To, "@simulator.amazonses.com") {
			t.Errorf("a mail to %s", m.To)
		}
	}
	for _, p := range everybody() {
		var login credentials
		read(t, address+path(p, "/credentials"), token, &login)
		if login.PasswordSet || login.Username != "" {
			t.Errorf("%s still has a login", p.id)
		}
	}
	var settings struct{ Version int }
	if read(t, address+"/api/organization", tokenOf(t, address, "demo"), &settings); settings.Version != 1 {
		t.Errorf("the settings of another organization were touched")
	}
}

// The command line does the same as run.
func TestCommand(t *testing.T) {
	t.Parallel()
	address, token := start(t, mailbox.Faults{})
	none := func(string) string { return "" }
	for _, test := range []struct{ args, says string }{
		{"", "-stack or -url"},
		{"-url " + address + " -sender smoke@example.org", "MEMBERKEY_TOKEN"},
		{"-url " + address + " -token a.b.c", "-sender"},
		{"-url " + address + " -sender smoke@example.org -token no-jwt", "no JWT"},
		{"-url " + address + " -sender smoke@example.org extra", "unexpected"},
	} {
		if err := command(t.Context(), strings.Fields(test.args), none, nil, io.Discard); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q: %v", test.args, err)
		}
	}
	var out bytes.Buffer
	given := func(name string) string { return map[string]string{"MEMBERKEY_TOKEN": token}[name] }
	if err := command(t.Context(), []string{"-url", address + "/", "-sender", "smoke@example.org"}, given, nil, &out); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	if strings.Contains(out.String(), token) {
		t.Error("the token is printed")
	}
}

// A real organization's token ends it before anything is done there.
func TestOnlyItsOwnOrganization(t *testing.T) {
	t.Parallel()
	token := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	calls := 0
	h := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ }))
	defer h.Close()
	for name, bad := range map[string]string{
		"another organization":  token(`{"cognito:groups":["chamber:administrator"]}`),
		"both":                  token(`{"cognito:groups":["smoke:administrator","chamber:administrator"]}`),
		"another role":          token(`{"cognito:groups":["smoke:viewer"]}`),
		"no group":              token(`{"sub":"x"}`),
		"no token":              "",
		"a name that begins so": token(`{"cognito:groups":["smoke:administrators"]}`),
	} {
		if out, err := smokes(t, h.URL, bad, time.Second); err == nil || out != "" || calls > 0 {
			t.Errorf("%s: %v after %d calls\n%s", name, err, calls, out)
		}
	}
	for name, good := range map[string]string{
		"Cognito":     token(`{"cognito:groups":["smoke:administrator"]}`),
		"a string":    token(`{"group":"smoke:administrator"}`),
		"other claim": token(`{"https://example.org/groups":["smoke:administrator"],"scope":"openid"}`),
	} {
		if err := ours(good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each fault makes the check red that is there for it, and nothing green hides it.
func TestRed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		faults mailbox.Faults
		front  func(http.ResponseWriter, *http.Request, http.Handler) // stands before the system
		want   string                                                 // the line that must be there
		wait   time.Duration                                          // a minute where not said
	}{
		{name: "the account is paused", faults: mailbox.Faults{Pause: true}, want: "FAIL  reset emails", wait: time.Second},
		{name: "all mails are refused", faults: mailbox.Faults{Reject: 1}, want: "FAIL  outcomes"},
		{name: "events do not come back", faults: mailbox.Faults{Late: time.Hour}, want: "FAIL  reset emails", wait: time.Second},
		{name: "nothing answers", want: "FAIL  api answers", front: func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			http.Error(w, `{"message":"Service Unavailable"}`, http.StatusServiceUnavailable)
		}},
		{name: "no authorizer", want: "FAIL  authorizer", front: func(w http.ResponseWriter, r *http.Request, to http.Handler) {
			if strings.HasSuffix(r.URL.Path, "/credentials") && !genuine(r) {
				fmt.Fprint(w, `{"username":"ana"}`)
				return
			}
			to.ServeHTTP(w, r)
		}},
		{name: "a header is lost", want: "FAIL  member pages", front: func(w http.ResponseWriter, r *http.Request, to http.Handler) {
			to.ServeHTTP(without{w, "Content-Security-Policy"}, r)
		}},
		{name: "pages lost their policy of referrers", want: "FAIL  set-password page", front: func(w http.ResponseWriter, r *http.Request, to http.Handler) {
			if strings.Contains(r.URL.Path, "/set-password/") {
				w = without{w, "Referrer-Policy"}
			}
			to.ServeHTTP(w, r)
		}},
		{name: "signing in is broken", want: "FAIL  sign-in", front: func(w http.ResponseWriter, r *http.Request, to http.Handler) {
			if r.Method == "POST" && strings.HasSuffix(r.URL.Path, "/sign-in") {
				http.Error(w, "", http.StatusInternalServerError)
				return
			}
			to.ServeHTTP(w, r)
		}},
		{name: "no release", want: "FAIL  undeliverable", front: func(w http.ResponseWriter, r *http.Request, to http.Handler) {
			if strings.HasSuffix(r.URL.Path, "/release-address") {
				http.Error(w, "", http.StatusInternalServerError)
				return
			}
			to.ServeHTTP(w, r)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			address, token := start(t, test.faults)
			if test.front != nil {
				address = before(t, address, test.front)
			}
			out, err := smokes(t, address, token, cmp.Or(test.wait, time.Minute))
			if err == nil || !strings.Contains(out, test.want) || strings.Contains(out, "All is well") {
				t.Errorf("%v; want %q in\n%s", err, test.want, out)
			}
		})
	}
}

// genuine says whether the request carries the run's own token.
func genuine(r *http.Request) bool {
	t := r.Header.Get("Authorization")
	return len(t) > 100 && !strings.HasSuffix(t, ".c21va2U")
}

// before puts a handler before the system at address.
func before(t *testing.T, address string, front func(http.ResponseWriter, *http.Request, http.Handler)) string {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { front(w, r, proxy) }))
	t.Cleanup(h.Close)
	return h.URL
}

// without drops a header from the answer.
type without struct {
	http.ResponseWriter
	name string
}

func (w without) WriteHeader(status int) {
	w.Header().Del(w.name)
	w.ResponseWriter.WriteHeader(status)
}

// aws stands in for the AWS CLI: a stack with a user pool, whose issuer is the
// local system's.
type aws struct {
	t       *testing.T
	address string
	token   string
	fails   string // the command that fails
	said    []string
	users   map[string]bool
}

func (a *aws) run(_ context.Context, command string, input map[string]any, out any) error {
	a.said = append(a.said, command)
	if command == a.fails {
		return errors.New("AccessDeniedException")
	}
	user, _ := input["Username"].(string)
	answer := ""
	switch command {
	case "cloudformation describe-stacks":
		if input["StackName"] != "memberkey-dev" {
			a.t.Errorf("asked for %v", input)
		}
		answer = fmt.Sprintf(`{"Stacks":[{"Outputs":[{"OutputKey":%q,"OutputValue":%q},{"OutputKey":%q,"OutputValue":"example.org"},
			{"OutputKey":%q,"OutputValue":"pool"},{"OutputKey":%q,"OutputValue":"client"}]}]}`,
			apiAddress, a.address, senderIdentity, userPool, userClient)
	case "cognito-idp create-group":
		return errors.New("An error occurred (GroupExistsException)")
	case "cognito-idp admin-create-user":
		if input["MessageAction"] != "SUPPRESS" {
			a.t.Error("the user would be mailed an invitation")
		}
		a.users[user] = true
	case "cognito-idp admin-set-user-password", "cognito-idp admin-add-user-to-group":
		if !a.users[user] {
			a.t.Errorf("%s of nobody", command)
		}
	case "cognito-idp admin-initiate-auth":
		answer = `{"ChallengeName":"MFA_SETUP","Session":"one","ChallengeParameters":{"USER_ID_FOR_SRP":"sub"}}`
	case "cognito-idp associate-software-token":
		answer = `{"SecretCode":"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ","Session":"two"}`
	case "cognito-idp verify-software-token":
		if code, err := oneTime("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", time.Now()); err != nil || len(code) != 6 || input["Session"] != "two" {
			a.t.Errorf("%v, %v", input, err)
		}
		answer = `{"Status":"SUCCESS","Session":"three"}`
	case "cognito-idp admin-respond-to-auth-challenge":
		if input["Session"] != "three" {
			a.t.Errorf("%v", input)
		}
		answer = fmt.Sprintf(`{"AuthenticationResult":{"AccessToken":%q}}`, a.token)
	case "cognito-idp admin-delete-user":
		delete(a.users, user)
	case "sesv2 get-account":
		answer = `{"ProductionAccessEnabled":true,"SendingEnabled":true,"EnforcementStatus":"HEALTHY","SendQuota":{"Max24HourSend":50000,"MaxSendRate":14,"SentLast24Hours":8}}`
	default:
		a.t.Errorf("aws %s?", command)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal([]byte(answer), out)
}

// With -stack everything is asked of AWS, and nothing stays behind there,
// whatever fails.
func TestStack(t *testing.T) {
	t.Parallel()
	address, token := start(t, mailbox.Faults{Rate: 14})
	none := func(string) string { return "" }
	var out bytes.Buffer
	a := &aws{t: t, address: address, token: token, users: map[string]bool{}}
	if err := command(t.Context(), []string{"-stack", "memberkey-dev"}, none, a.run, &out); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	for _, says := range []string{"14 mails a second, 8 of 50000 sent in 24 h, healthy", "SendEmail and SendBulkEmail are allowed"} {
		if !strings.Contains(out.String(), says) {
			t.Errorf("it does not say %q:\n%s", says, &out)
		}
	}
	if len(a.users) > 0 || strings.Contains(out.String(), token) {
		t.Errorf("left behind: %v", a.users)
	}
	for _, fails := range a.said {
		if fails == "sesv2 get-account" {
			continue
		}
		t.Run("without "+fails, func(t *testing.T) {
			b := &aws{t: t, address: "http://127.0.0.1:1", token: token, fails: fails, users: map[string]bool{}}
			err := command(t.Context(), []string{"-stack", "memberkey-dev", "-wait", "1s"}, none, b.run, io.Discard)
			if err == nil {
				t.Error("it is green")
			}
			if len(b.users) > 0 && fails != "cognito-idp admin-delete-user" {
				t.Errorf("left behind: %v", b.users)
			}
		})
	}
}

// What the smoke test asks a stack for is what template.yaml puts out.
func TestOutputs(t *testing.T) {
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, outputs, _ := strings.Cut(string(template), "\nOutputs:\n")
	for _, name := range []string{apiAddress, senderIdentity, userPool, userClient} {
		if !strings.Contains("\n"+outputs, "\n  "+name+":") {
			t.Errorf("there is no output %s", name)
		}
	}
	if !strings.Contains(string(template), "ALLOW_ADMIN_USER_PASSWORD_AUTH") {
		t.Error("the user pool's client lets no administrator of the account sign a user in")
	}
}

// The vectors of RFC 6238, appendix B, without their first two digits.
func TestOneTime(t *testing.T) {
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037"} {
		if got, err := oneTime("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", time.Unix(at, 0)); err != nil || got != want {
			t.Errorf("at %d: %s, %v; want %s", at, got, err, want)
		}
	}
	if _, err := oneTime("not base 32!", time.Now()); err == nil {
		t.Error("no secret is taken")
	}
}

// In the sandbox mailings go one by one; that SendBulkEmail was not seen is said.
func TestSandbox(t *testing.T) {
	t.Parallel()
	address, token := start(t, mailbox.Faults{Rate: 4})
	out, err := smokes(t, address, token, time.Minute)
	if err != nil || !strings.Contains(out, "note  ses calls          not shown: SendBulkEmail") {
		t.Errorf("%v\n%s", err, out)
	}
}
