//go:build unix

package e2e_test

// What is deployed to AWS: the built binaries, each in a process of its own,
// with what template.yaml gives them. The journeys here are those of the local
// system, unchanged; what a system from outside cannot show (a killed function,
// a variable that is missing, what is in a log) stands below them.

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/e2e/deployed"
	"github.com/memberkey/memberkey/infra/e2e/lambdahost"
	"github.com/memberkey/memberkey/infra/e2e/permissions"
	mailservice "github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/infra/local/system"
	"github.com/memberkey/memberkey/infra/template"
	"github.com/memberkey/memberkey/infra/tools"
	"github.com/memberkey/memberkey/shared/mailing"
)

// journeys are all of them, in the order of their files.
var journeys = []func(*testing.T){
	TestP1LoginStatusAndP2RemindThoseWithoutPassword, TestN1RenewalFromADeadLink, TestP8P9ForgotLogin, TestP6P7LinksLiveUntilOneIsUsed,
	TestP11MustChangeAndP26SessionsEnd, TestSuggestedPassphraseWithoutJavaScript, TestP14DisableEnableUnlock, TestN7WhyCanThisPersonNotSignIn,
	TestN11EmailChangeGuard, TestN12LapseBlocksTheLinkWithoutUsingItUp, TestV6SwitchProfile, TestV8SignInByEmailUnlessShared,
	TestP13TrailTellsMembersAndStaff,

	TestH16PreviewEqualsTheSentMail, TestN3PreflightAndH14SkippedLater, TestN4SharedMailboxGetsOneMail, TestN5RevokeLinks, TestN6Funnel,
	TestH19BouncesComeBack, TestV13ScheduledMailing, TestH18PauseResumeCancel, TestN14ResendOnlyToFailed,

	TestImportOfMembers, TestMailingToEveryoneWithoutAPassword,

	TestS1QuickSearchFindsByNameOrID, TestS2ProfileSelectorFiltersAndPicksForAMailing, TestS3OneSaveWritesAllTabs, TestS4CredentialsTabShowsTheUsername,
	TestS5PlaceholderExactlyWhenThereIsAPassword, TestS6ABlankPasswordBoxKeepsThePassword, TestS7CancelChangesNothing, TestS8StaffSetUsernameAndPassword,
	TestS9ResetEmailNeedsAnAddressAndNoUsername, TestS10NothingIsSentBeforeTheConfirmation, TestS11ResetEmailIsTheStandardMail,
	TestS12LinkSetsThePasswordTypedTwice, TestS13EmailBecomesTheUsernameUnlessThereIsOne, TestS14ComposeAndSend, TestS15SpecialFieldsStandAnywhere,
	TestS16EachCopyHasItsOwnUsernameAndLink, TestS17MembersAndRelatedHoldSeparateCredentials,

	TestH3TwoEditors, TestH4TwoWantOneUsername, TestH5bNotices, TestN17Roles, TestN16LinksOnly, TestP24PasswordRules,
	TestN18DryRunAndV5AccessLevels, TestGracePeriod, TestKeepMeSignedIn,

	TestAWeekAtTheDesk,
}

// name is a test's.
func name(test func(*testing.T)) string {
	whole := runtime.FuncForPC(reflect.ValueOf(test).Pointer()).Name()
	return whole[strings.LastIndexByte(whole, '.')+1:]
}

// written are the tests that the journeys' files have.
func written(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("journeys_*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}

// built is the folder of the built functions, made once.
var built = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "memberkey-build")
	if err != nil {
		return "", err
	}
	ends = append(ends, func() error { return os.RemoveAll(folder) })
	return folder, deployed.Build(context.Background(), "../..", folder)
})

// binaries is the folder of the built functions, for a test that starts them.
func binaries(t testing.TB) string {
	t.Helper()
	if here := runtime.GOOS + "/" + runtime.GOARCH; here != "linux/amd64" {
		const needs = "the functions are built for Linux on x86_64: run this there, in a container say"
		if os.Getenv("CI") == "true" {
			t.Fatal(needs)
		}
		t.Skip(needs)
	}
	folder, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// deploy starts a deployed system under a name of its own, which stops at the
// end of the test.
func deploy(t testing.TB, stack string, edit func(*deployed.Config)) *deployed.System {
	t.Helper()
	c := deployed.Config{
		Stack: stack, DynamoDB: tools.DynamoDBLocal(t), SQS: tools.Queues(t), Data: t.TempDir(),
		// What goes wrong there belongs into the output of a failed run.
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	c.Build = binaries(t)
	var err error
	if c.Template, err = os.ReadFile("../../template.yaml"); err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(&c)
	}
	s, err := deployed.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		allowed(t, s)
		if t.Failed() {
			t.Log("what the functions said of it last:\n", lastWords(s))
		}
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("the system did not stop cleanly: %v", err)
		}
	})
	return s
}

// lastWords are the last lines that are no mere report of a request.
func lastWords(s *deployed.System) string {
	var lines []string
	for line := range strings.Lines(s.Log("")) {
		if !strings.Contains(line, `"level":"INFO"`) && !strings.Contains(line, `"_aws":`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-40):], "")
}

// All journeys pass on what is deployed. Not parallel: it has the machine for
// itself, and so do its measurements.
func TestDeployed(t *testing.T) {
	begun := time.Now()
	s := deploy(t, "", nil)
	contend(s)
	t.Logf("built and started in %.1f s", time.Since(begun).Seconds())

	var mu sync.Mutex
	ran, systems := map[string]bool{}, []*deployed.System{s}
	homes.Store(t.Name(), home(func(j testing.TB, edit func(*system.Config)) string {
		mu.Lock()
		ran[j.Name()] = true
		mu.Unlock()
		if edit == nil {
			return s.Address
		}
		var local system.Config
		edit(&local)
		mail := local.Mail
		if local.Mail = (mailservice.Options{}); !reflect.DeepEqual(local, system.Config{}) {
			j.Fatalf("a journey asks for a system that cannot be deployed: %+v", local)
		}
		other := deploy(j, "memberkey"+unique(), func(c *deployed.Config) { c.Mail = mail })
		mu.Lock()
		defer mu.Unlock()
		systems = append(systems, other)
		return other.Address
	}))
	defer homes.Delete(t.Name())
	begun = time.Now()
	t.Run("journeys", func(t *testing.T) {
		for _, journey := range journeys {
			t.Run(name(journey), journey)
		}
	})
	t.Logf("%d journeys in %.1f s", len(ran), time.Since(begun).Seconds())
	var listed, expected []string
	for _, journey := range journeys {
		listed = append(listed, name(journey))
		expected = append(expected, t.Name()+"/journeys/"+name(journey))
	}
	if diff := cmp.Diff(written(t), listed); diff != "" {
		t.Errorf("journeys that are not run here (-written +listed):\n%s", diff)
	}
	// Whoever asks for one journey by -run gets one.
	if diff := cmp.Diff(sorted(expected), keys(ran)); diff != "" && !strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		t.Errorf("journeys that did not run here (-listed +ran):\n%s", diff)
	}

	t.Run("permissions", func(t *testing.T) { permitted(t, systems...) })

	events, processes, failed := 0, 0, 0
	for _, f := range s.Functions {
		stats := f.Stats()
		events, processes, failed = events+stats.Events, processes+stats.Started, failed+stats.Failed
	}
	requests := 0
	for _, n := range s.Recorder.Tallies() {
		requests += n.Requests
	}
	t.Logf("%d events in %d processes, %d failed; %d requests to AWS", events, processes, failed, requests)
}

// Functions that are killed at random moments, all at once, while SQS delivers
// twice and in any order and mail events come before the outcomes they tell of:
// the mailing ends done, its sums are right, everybody has a mail, and nobody
// has it twice outside the batches whose intent was written and whose outcome
// was not (H15).
func TestDeployedKilled(t *testing.T) {
	const kills, freezes, people = 12, 2, 400
	s := deploy(t, "memberkeykilled", func(c *deployed.Config) {
		// The account's rate makes it last; every answer comes late, and the
		// events of what it answers for come before it. Who was killed is soon
		// taken for dead.
		c.Mail.Rate, c.Mail.Faults = 24, mailservice.Faults{Slow: 150 * time.Millisecond}
		c.Timing = mailing.Timing{Lease: 1500 * time.Millisecond, Grace: 3 * time.Second, Budget: time.Second, Again: time.Second}
		c.Disorder = deployed.Disorder{Twice: 0.3, Late: 200 * time.Millisecond}
		c.Visibility = 3 * time.Second
		c.Beat = 500 * time.Millisecond
	})
	w := see(t, s.Address, nil)
	// What can never be worked ends where somebody sees it, and holds nothing up.
	const nonsense = `{"v":1,"kind":"nonsense"}`
	if err := s.Send(t.Context(), "BulkQueue", nonsense); err != nil {
		t.Fatal(err)
	}
	file := &strings.Builder{}
	file.WriteString("Profile ID,Profile Type,Last Name,Email,Membership Status\n")
	for i := range people {
		fmt.Fprintf(file, "k%d,Individual,Killed%d,killed.%d@example.com,Active\n", i, i, i-i%40/39) // one mailbox in 40 is shared
	}
	w.api("POST", "/api/profile-imports", table(file.String())).want(http.StatusOK).is("created", people)
	w.until("the account's rate to be read", func() bool {
		pace, err := s.Store.Pace(t.Context())
		return err == nil && pace.Rate > 0
	})
	// strike kills all processes of a function late after the so-many-th further
	// request that it makes to a service.
	strike := func(function string, service permissions.Service, requests int, late time.Duration) (working int) {
		t.Helper()
		var left atomic.Int64
		left.Store(int64(requests))
		come := make(chan struct{})
		defer s.Recorder.Intercept(func(kind permissions.Request, _ []byte) *permissions.Fault {
			if kind.Function == function && kind.Service == service && left.Add(-1) == 0 {
				close(come)
			}
			return nil
		})()
		select {
		case <-come:
		case <-time.After(patience):
			t.Fatalf("%s makes no request to %s", function, service)
		}
		time.Sleep(late)
		return s.Functions[function].Kill()
	}
	c := w.compose(doc{"subject": "Your login", "html": "<p>[[FIRSTNAME]]: [[PORTALLOGINLINK]]</p>", "audience": doc{"status": []string{"active"}, "type": "individual"}})
	hit := map[string]int{}
	for range freezes {
		w.api("POST", c.path("/audience"), nil).want(http.StatusAccepted)
		hit["freeze"] += strike("fanout", permissions.DynamoDB, 1+rand.IntN(10), 0)
	}
	var counted audience
	w.until("the audience to be counted", func() bool {
		w.get(c.path("/audience")).into(&counted)
		return counted.State == "ready"
	})
	w.api("POST", c.path("/send"), doc{"version": counted.Version}).want(http.StatusOK)
	begun := time.Now()
	for n := range kills {
		if n == kills/2 { // from now on events come so late that uncertain mails go again
			s.Mailbox.SetFaults(mailservice.Faults{Slow: 150 * time.Millisecond, Late: 6 * time.Second})
		}
		if n%2 == 0 { // at any step
			hit["delivery"] += strike("delivery", permissions.DynamoDB, 1+rand.IntN(20), 0)
		} else { // at the one that matters most: while SES answers
			hit["delivery"] += strike("delivery", permissions.SES, 1, moment(0, 150*time.Millisecond))
		}
		hit["fanout"] += s.Functions["fanout"].Kill()
		hit["feedback"] += s.Functions["feedback"].Kill()
		if state := c.whole().text("state"); state != "sending" {
			t.Fatalf("after kill %d the mailing is %s: it must last longer", n+1, state)
		}
	}
	killed, open := time.Since(begun), c.whole().number("report.outcomes.pending")
	eventually(t, 90*time.Second, "the mailing is done", func() bool { return c.whole().text("state") == "done" })
	done := time.Since(begun)
	eventually(t, 30*time.Second, "all events are recorded", func() bool { return c.whole().number("report.outcomes.sent") == 0 })
	t.Logf("%d kills in %.0f s of sending; events that were in work: %v; %d people were still pending; done after %.0f s",
		kills, killed.Seconds(), hit, open, done.Seconds())
	if hit["delivery"] < kills*3/4 {
		t.Errorf("only %d events were in work at %d kills", hit["delivery"], kills)
	}
	verifyMailing(t, &folder{s.Store, s.Mailbox}, c.ID, counted, people, 2*kills)
	eventually(t, 30*time.Second, "the message that is none is a dead letter", func() bool {
		dead, err := s.DeadLetters(t.Context(), "BulkDeadLetters")
		return err == nil && len(dead) == 1 && dead[0] == nonsense
	})
}

// A variable that is missing or wrong ends the function at its start, and one
// line names all of them, without their values.
func TestDeployedEnvironment(t *testing.T) {
	folder := binaries(t)
	text, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	stack, err := template.Read(text, template.Example())
	if err != nil {
		t.Fatal(err)
	}
	start := func(f template.Function, env map[string]string) (said string, failed *lambdahost.Error) {
		var out journal
		host, err := lambdahost.Start(lambdahost.Options{
			Name: f.Name, Bootstrap: filepath.Join(folder, f.LogicalID, "bootstrap"), Env: env, Timeout: f.Timeout, Processes: 1, Output: &out,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer host.Close()
		_, err = host.Invoke(t.Context(), []byte(`{}`))
		errors.As(err, &failed)
		return out.String(), failed
	}
	words := regexp.MustCompile(`[A-Z][A-Z_]{2,}`)
	for id, f := range stack.Functions {
		var read []string // by its own code; Go's runtime reads the other itself
		for variable := range f.Environment {
			if variable != "GOMEMLIMIT" {
				read = append(read, variable)
			}
		}
		slices.Sort(read)
		said, failed := start(f, nil)
		if len(read) == 0 {
			if failed != nil && failed.Init {
				t.Errorf("%s reads nothing, and does not start: %v", id, failed)
			}
			continue
		}
		if failed == nil || !failed.Init || failed.Type != "Runtime.ExitError" {
			t.Errorf("%s starts without any variable: %v", id, failed)
		}
		if strings.Count(said, "\n") != 1 {
			t.Errorf("%s says more than one line:\n%s", id, said)
		}
		named := words.FindAllString(said[strings.Index(said, "missing:"):], -1)
		slices.Sort(named)
		if diff := cmp.Diff(read, named); diff != "" {
			t.Errorf("%s: the template sets, and it says that it misses (-sets +misses):\n%s", id, diff)
		}

		// Wrong ones: an empty table, and what is no time or address.
		env, wrong := map[string]string{}, []string{}
		for variable, value := range f.Environment {
			env[variable] = value
			switch {
			case strings.HasSuffix(variable, "_QUEUE"), strings.HasSuffix(variable, "_TABLE") && variable != "PROFILES_TABLE",
				variable == "ISSUER", variable == "CONNECT", variable == "AGAIN", variable == "LEASE", variable == "BUDGET", variable == "GRACE":
				wrong = append(wrong, variable)
				if env[variable] = "planted nonsense"; strings.HasSuffix(variable, "_TABLE") {
					env[variable] = " "
				}
			}
		}
		if said, failed = start(f, env); failed == nil || !failed.Init {
			t.Errorf("%s starts with wrong variables: %v", id, failed)
		}
		for _, variable := range wrong {
			if !strings.Contains(said, variable) {
				t.Errorf("%s does not name %s: %s", id, variable, said)
			}
		}
		if strings.Contains(said, "PROFILES_TABLE") || strings.Contains(said, "planted") {
			t.Errorf("%s names what is right, or repeats a value: %s", id, said)
		}
	}
}
