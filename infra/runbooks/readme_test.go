package runbooks_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/memberkey/memberkey/infra/local/system"
	"github.com/memberkey/memberkey/shared/password"
)

// aws stands in for the AWS CLI where the README's last steps need it: a stack
// whose address is the local system's, and a user pool that lets Ana in.
const aws = `#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
*"=='ApiAddress'"*) echo "$ADDRESS" ;;
*"=='UserPoolId'"*) echo pool ;;
*"=='UserPoolClientId'"*) echo client ;;
*"=='StaffSignIn'"*) echo https://memberkey-x.auth.eu-central-1.amazoncognito.com ;;
*describe-user-pool-client*) echo http://localhost:8080/ ;;
*admin-initiate-auth*) cat > /dev/null && echo session ;;
*admin-respond-to-auth-challenge*) echo "$TOKEN" ;;
esac
`

// TestReadmeIsFollowed types what the README says from the first administrator
// to the first mailing, in a real shell, against the local system.
func TestReadmeIsFollowed(t *testing.T) {
	_, text, ok := strings.Cut(read(t, "README.md"), "**7. The first administrator.**")
	if !ok {
		t.Fatal("the README has no step 7")
	}
	text, _, _ = strings.Cut(text, "\n## ")
	var script strings.Builder
	script.WriteString(". infra/runbooks/tools.sh dev\n")
	steps := 0
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
		script.WriteString(m[1])
		steps++
	}
	typed := strings.Replace(script.String(), `api GET /api/mailings/$ID/audience      # until "state":"ready"`,
		`until api GET /api/mailings/$ID/audience | tee /dev/stderr | grep -q '"state":"ready"'; do sleep 0.2; done`, 1)
	if steps != 4 || typed == script.String() {
		t.Fatalf("the README's steps have changed: %d of them", steps)
	}

	template, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := system.Start(system.Config{Address: "localhost:0", Data: t.TempDir(), Template: template, Passwords: password.Fast, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	}()
	var token struct{ Token string }
	get(t, s.Address+"/local/token?role=administrator&organization=harbour", "", &token)

	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "aws"), []byte(aws), 0o755); err != nil {
		t.Fatal(err)
	}
	calls := filepath.Join(folder, "calls")
	c := exec.Command("bash", "-c", typed)
	c.Dir = root
	c.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"), "ADDRESS="+s.Address, "TOKEN="+token.Token, "CALLS="+calls)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, says := range []string{
		"https://memberkey-x.auth.eu-central-1.amazoncognito.com/login?client_id=client&response_type=code&scope=openid&redirect_uri=http://localhost:8080/",
		`"organization":{"id":"harbour","name":"Harbour Chamber of Commerce"`, `"accepted":5000`, `"state":"ready"`, `"state":"sending"`,
	} {
		if !strings.Contains(string(out), says) {
			t.Errorf("nothing says %s", says)
		}
	}
	if strings.Contains(string(out), `"status":4`) || t.Failed() {
		t.Fatalf("something was refused:\n%s", out)
	}
	made, err := os.ReadFile(calls)
	if err != nil || !strings.Contains(string(made), "create-group --user-pool-id pool --group-name harbour:administrator") {
		t.Errorf("%v: %s", err, made)
	}
	// The mailing ends, and the test went to Ana.
	var all struct {
		Mailings []struct {
			State string
			Mails int
		}
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		get(t, s.Address+"/api/mailings", token.Token, &all)
		if len(all.Mailings) == 1 && all.Mailings[0].State == "done" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the mailing does not end: %+v", all)
		}
	}
	var mails []struct{ To string }
	get(t, s.Address+"/local/mailbox.json?to=ana@example.org", "", &mails)
	if len(mails) != 1 || all.Mailings[0].Mails < 2900 {
		t.Errorf("%d tests, %+v", len(mails), all)
	}
}

func get(t *testing.T, address, token string, v any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(v); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", address, res.StatusCode, err)
	}
}
