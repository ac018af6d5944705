//go:build unix

package bench_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/memberkey/memberkey/infra/e2e/deployed"
	"github.com/memberkey/memberkey/infra/e2e/permissions"
	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/infra/template"
	"github.com/memberkey/memberkey/infra/tools"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/password"
)

// granted is the account's rate, a common one in production.
const granted = 200

// onAWS is how many profiles stand in the tables whose requests are counted.
const onAWS = 20_000

// bootstraps is the folder of the built functions, made once.
var bootstraps = sync.OnceValues(func() (string, error) {
	at := filepath.Join(folder, "build")
	return at, deployed.Build(context.Background(), "../..", at)
})

// templateText is the template that is deployed.
func templateText(b *testing.B) []byte {
	text, err := os.ReadFile("../../template.yaml")
	if err != nil {
		b.Fatal(err)
	}
	return text
}

// AWS counts on the wire what the deployed system asks of AWS: the built
// functions on DynamoDB Local, a queue server and the SES server, the clock
// beating each minute as it does there.
func BenchmarkAWSRequests(b *testing.B) {
	build, err := bootstraps()
	if err != nil {
		b.Fatal(err)
	}
	s, err := deployed.Start(context.Background(), deployed.Config{
		Template: templateText(b), Build: build, Stack: "bench", DynamoDB: tools.DynamoDBLocal(b), SQS: tools.Queues(b), Data: b.TempDir(),
		Mail: mailbox.Options{Discard: true, Rate: granted, DailyQuota: 1_000_000}, Beat: time.Minute,
		Timing: mailing.Timing{Lease: 150 * time.Second, Grace: 15 * time.Minute, Budget: 110 * time.Second, Again: time.Minute},
		Log:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	}()
	if err := fill(s.Store, onAWS, 4); err != nil {
		b.Fatal(err)
	}
	d := &desk{B: b, System: s, token: staffToken(b, s.Address)}
	for b.Loop() {
		d.countLogins()
		d.countSearch()
		d.countMailing()
	}
}

// desk is staff and members of the deployed system, who count what they cause.
type desk struct {
	*testing.B
	*deployed.System
	token string
}

func staffToken(b *testing.B, address string) string {
	r, err := http.Get(address + "/local/token?role=administrator&organization=" + org)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Body.Close()
	var answer struct{ Token string }
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil || answer.Token == "" {
		b.Fatalf("no token: %v", err)
	}
	return answer.Token
}

// ask makes one request and wants one status.
func (d *desk) ask(want int, method, path, body string, header ...string) []byte {
	d.Helper()
	r, err := http.NewRequest(method, d.Address+path, strings.NewReader(body))
	if err != nil {
		d.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+d.token)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	reply, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
	if err != nil {
		d.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode != want {
		d.Fatalf("%s %s: %d, want %d, %v: %s", method, path, reply.StatusCode, want, err, text)
	}
	return text
}

// counted is what the functions ask of AWS while do is done, receiving from an
// empty queue left out: a poller receives as often as there is anything, and
// each time deletes.
func (d *desk) counted(do func(), functions ...string) (all permissions.Tallies) {
	before := d.Recorder.Tallies()
	do()
	all = d.Recorder.Tallies().Since(before)
	for kind, n := range all {
		switch {
		case !slices.Contains(functions, kind.Function):
			delete(all, kind)
		case kind.Operation == "ReceiveMessage":
			n.Requests = all[permissions.Request{Function: kind.Function, Service: kind.Service, Operation: "DeleteMessage"}].Requests +
				all[permissions.Request{Function: kind.Function, Service: kind.Service, Operation: "DeleteMessageBatch"}].Requests
			all[kind] = n
		}
	}
	return all
}

// kinds are tallies as a line: "12 GetItem, 3 Query", per of them.
func kinds(all permissions.Tallies, per float64) string {
	sums := map[string]int{}
	for kind, n := range all {
		sums[kind.Operation] += n.Requests
	}
	var parts []string
	for operation, n := range sums {
		parts = append(parts, fmt.Sprintf("%s %.3g", operation, float64(n)/per))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func (d *desk) countLogins() {
	const times = 20
	hash, err := password.NewHasher(password.Production, 1, rand.Reader).Hash(context.Background(), password.NewPlain(secret))
	if err != nil {
		d.Fatal(err)
	}
	for n := range times {
		if err := withPassword(d.Store, n, hash); err != nil {
			d.Fatal(err)
		}
	}
	tell := func(what string, all permissions.Tallies) {
		tell(d.B, "AWS requests: "+what, fmt.Sprintf("%.3g (%s)", float64(all.Sum(nil).Requests)/times, kinds(all, times)))
	}
	tell("a sign-in", d.counted(func() {
		for n := range times {
			form := url.Values{"username": {string(member(n, time.Time{}).Email)}, "password": {secret}}
			d.ask(http.StatusSeeOther, "POST", "/portal/"+org+"/sign-in", form.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
		}
	}, "signin"))
	tell("a look at a credential", d.counted(func() {
		for n := range times {
			d.ask(http.StatusOK, "GET", fmt.Sprintf("/api/profiles/%d/credentials", 1_000_000+n), "")
		}
	}, "credentials"))
	tell("a reset email, asked for and delivered", d.counted(func() {
		taken := d.Mailbox.Accepted()
		for n := range times {
			d.ask(http.StatusAccepted, "POST", fmt.Sprintf("/api/profiles/%d/reset-emails", 1_000_100+n), "")
		}
		d.wait("reset emails", func() bool { return d.Mailbox.Accepted() == taken+times && d.quiet() })
	}, "resets", "delivery"))
}

func (d *desk) countSearch() {
	r := mathrand.New(mathrand.NewPCG(1, 1))
	normal, prefixes := asked(r, onAWS)
	look := func(queries []string) (ratios []float64, most int, all permissions.Tallies) {
		all = d.counted(func() {
			for _, q := range queries {
				var found struct{ Profiles []json.RawMessage }
				one := d.counted(func() {
					text := d.ask(http.StatusOK, "GET", "/api/profiles?"+url.Values{"search": {q}, "limit": {fmt.Sprint(page)}}.Encode(), "")
					if err := json.Unmarshal(text, &found); err != nil {
						d.Fatal(err)
					}
				}, "profiles").Sum(nil)
				ratios = append(ratios, float64(one.Scanned)/float64(len(found.Profiles)+1))
				most = max(most, one.Scanned)
			}
		}, "profiles")
		slices.Sort(ratios)
		return ratios, most, all
	}
	normal, prefixes = normal[:300], prefixes[:60]
	ratios, _, all := look(normal)
	limit(d.B, fmt.Sprintf("AWS search: ScannedCount per shown among %s, 99 %% of queries", thousands(onAWS)), at(ratios, 99), 2, "x", atMost)
	_, most, _ := look(prefixes)
	limit(d.B, "AWS search: most items scanned, two mere prefixes", float64(most), 200, "items", atMost)
	tell(d.B, "AWS requests: a search", fmt.Sprintf("%.3g (%s)", float64(all.Sum(nil).Requests)/float64(len(normal)), kinds(all, float64(len(normal)))))
}

func (d *desk) countMailing() {
	begun := time.Now()
	all := d.counted(func() {
		text := d.ask(http.StatusCreated, "POST", "/api/mailings", encoded(d.B, map[string]any{
			"subject": "Your login for [[ASSOCIATION]]", "html": letter, "audience": map[string]any{"login": "no_password"},
		}))
		var made struct{ ID string }
		if err := json.Unmarshal(text, &made); err != nil {
			d.Fatal(err)
		}
		at := "/api/mailings/" + made.ID
		d.ask(http.StatusAccepted, "POST", at+"/audience", "")
		var audience struct {
			State             string
			Version, Profiles int
		}
		d.wait("freeze", func() bool {
			if err := json.Unmarshal(d.ask(http.StatusOK, "GET", at+"/audience", ""), &audience); err != nil {
				d.Fatal(err)
			}
			return audience.State == "ready"
		})
		taken := d.Mailbox.Accepted()
		d.ask(http.StatusOK, "POST", at+"/send", fmt.Sprintf(`{"version":%d}`, audience.Version))
		d.wait("mails", func() bool { return d.Mailbox.Accepted() == taken+int64(audience.Profiles) })
		d.wait("done", func() bool {
			m, err := d.Store.Mailing(context.Background(), org, made.ID)
			if err != nil {
				d.Fatal(err)
			}
			return m.State == mailing.Done
		})
	}, "fanout", "delivery")
	recipients := float64(onAWS-20) / 1000 // all but those who have a password
	limit(d.B, fmt.Sprintf("AWS requests per 1,000 recipients at %d/s, from freeze to done", granted), float64(all.Sum(nil).Requests)/recipients, 120, "requests", atMost)
	for _, f := range []string{"fanout", "delivery"} {
		own := permissions.Tallies{}
		for kind, n := range all {
			if kind.Function == f {
				own[kind] = n
			}
		}
		tell(d.B, "AWS requests per 1,000 recipients: "+f, fmt.Sprintf("%.3g (%s)", float64(own.Sum(nil).Requests)/recipients, kinds(own, recipients)))
	}
	tell(d.B, "AWS mailing: how long the stand-ins took", time.Since(begun).Round(time.Second).String())
}

func encoded(b *testing.B, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

func (d *desk) quiet() bool {
	waiting, err := d.Waiting(context.Background())
	if err != nil {
		d.Fatal(err)
	}
	for _, n := range waiting {
		if n > 0 {
			return false
		}
	}
	return true
}

func (d *desk) wait(what string, ok func() bool) {
	d.Helper()
	for until := time.Now().Add(10 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			d.Fatalf("%s: not after 10 minutes", what)
		}
	}
}

// BenchmarkFunctionStart measures each function's program, and how long it
// takes from its start until it asks for the first event, in turns with a
// function that does nothing.
func BenchmarkFunctionStart(b *testing.B) {
	const turns = 31
	build, err := bootstraps()
	if err != nil {
		b.Fatal(err)
	}
	stack, err := template.Read(templateText(b), template.Example())
	if err != nil {
		b.Fatal(err)
	}
	nothing := filepath.Join(folder, "nothing")
	compile := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", nothing, "./nothing")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := compile.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, text)
	}
	asked := make(chan struct{}, 1)
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/invocation/next") {
			asked <- struct{}{}
			<-r.Context().Done()
		}
	}))
	defer api.Close()
	start := func(program string, environment map[string]string) time.Duration {
		cmd := exec.Command(program)
		cmd.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"), "AWS_REGION=" + template.Region,
			"AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench", "AWS_SESSION_TOKEN=bench"}
		for name, value := range environment {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		begun := time.Now()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		select {
		case <-asked:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			b.Fatalf("%s asks for nothing: %s", program, &out)
		}
		took := time.Since(begun)
		if err := cmd.Process.Kill(); err != nil {
			b.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		return took
	}
	for b.Loop() {
		for _, id := range slices.Sorted(maps.Keys(stack.Functions)) {
			program := filepath.Join(build, id, "bootstrap")
			info, err := os.Stat(program)
			if err != nil {
				b.Fatal(err)
			}
			f := stack.Functions[id]
			var ours, theirs []time.Duration
			for range turns {
				ours, theirs = append(ours, start(program, f.Environment)), append(theirs, start(nothing, nil))
			}
			limit(b, "binary of "+f.Folder, float64(info.Size())/1e6, 12, "MB", atMost)
			limit(b, "start to ready of "+f.Folder+" against a function that does nothing", float64(median(ours))/float64(median(theirs)), 3, "x", atMost)
			tell(b, "start to ready of "+f.Folder+"; of the function that does nothing", fmt.Sprintf("%v; %v", median(ours).Round(10*time.Microsecond), median(theirs).Round(10*time.Microsecond)))
		}
	}
}
