//go:build unix

// Package deployed is Memberkey as `sam deploy` makes it, on one machine and
// without an account: the built bootstraps, each event in a process of its own
// under a Lambda Runtime API, with the environment that template.yaml gives
// them, on the template's tables in DynamoDB Local, its queues on a server that
// speaks SQS, and the SES server of infra/local.
//
//	err := deployed.Build(ctx, root, folder)
//	s, err := deployed.Start(ctx, deployed.Config{Template: text, Build: folder, DynamoDB: url, SQS: url, Data: t.TempDir()})
//	s.Address // answers as the local system does
//
// Routes, timeouts, event sources, redrive, schedules, names and variables are
// read from the template; what differs is said in [Config], and is little: times
// are short, as on a laptop. What a laptop has under /local stands here, too.
package deployed

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/memberkey/memberkey/functions"
	"github.com/memberkey/memberkey/functions/profiles"
	"github.com/memberkey/memberkey/infra/e2e/lambdahost"
	"github.com/memberkey/memberkey/infra/e2e/permissions"
	"github.com/memberkey/memberkey/infra/local/demo"
	"github.com/memberkey/memberkey/infra/local/gateway"
	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/infra/local/ses"
	"github.com/memberkey/memberkey/infra/local/system"
	"github.com/memberkey/memberkey/infra/template"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/store"
)

// Config is what a system is made of.
type Config struct {
	Template []byte // of template.yaml
	Build    string // folder that [Build] filled
	// DynamoDB and SQS are the stand-ins' endpoints. Several systems may share
	// them, each under a Stack of its own; "" is the template's.
	DynamoDB, SQS string
	Stack         string
	Data          string // folder of the mail service
	Mail          mailbox.Options
	// Timing stands in for LEASE, GRACE, BUDGET and AGAIN; zero is that of the
	// local system, with Beat for the schedules, zero being a second.
	Timing mailing.Timing
	Beat   time.Duration
	// Visibility stands in for how long a message stays hidden whose function
	// failed; zero is the template's.
	Visibility time.Duration
	Disorder   Disorder
	Log        *slog.Logger // nil is slog.Default()
}

// Disorder is what an SQS standard queue may do at any time, made often.
type Disorder struct {
	Twice float64       // chance of an event to be delivered a second time, too
	Late  time.Duration // how long it may be held, so that others overtake it
}

// System is running from Start until Stop.
type System struct {
	Address   string // "http://localhost:41234"
	Template  *template.Template
	Store     *store.Store
	Mailbox   *mailbox.Service
	Functions map[string]*lambdahost.Function // by folder: "profiles"
	Recorder  *permissions.Recorder           // of all that the functions ask of AWS

	c       Config
	queues  map[string]template.Queue // by logical id, as they are on the stand-in
	sqs     *sqs.Client
	logs    map[string]*journal
	front   *http.Server
	servers []*http.Server // of the functions' calls
	stop    context.CancelFunc
	events  sync.WaitGroup // what rings the functions
	work    sync.WaitGroup // everything else
}

// Build makes the bootstrap of every function as `sam build` does, in
// {folder}/{logical id}. root is the folder of template.yaml.
func Build(ctx context.Context, root, folder string) error {
	text, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		return err
	}
	table, err := gateway.Read(text)
	if err != nil {
		return err
	}
	for _, f := range table.Functions {
		out := filepath.Join(folder, f.LogicalID)
		if err := os.MkdirAll(out, 0o755); err != nil {
			return err
		}
		text, err := exec.CommandContext(ctx, "make", "-s", "-C", root, "build-"+f.LogicalID, "ARTIFACTS_DIR="+out).CombinedOutput()
		if err != nil {
			return fmt.Errorf("make build-%s: %w\n%s", f.LogicalID, err, text)
		}
	}
	return nil
}

// Start makes tables and queues, loads the demo association, and serves.
func Start(ctx context.Context, c Config) (_ *System, err error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Mail.Log == nil {
		c.Mail.Log = c.Log
	}
	if c.Timing == (mailing.Timing{}) {
		c.Timing = system.Timing
	}
	c.Stack, c.Beat = cmp.Or(c.Stack, template.StackName), cmp.Or(c.Beat, time.Second)
	parameters := template.Example()
	parameters["Senders"] = "harbour-chamber.example.org" // of the demo association
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &System{
		c: c, Functions: map[string]*lambdahost.Function{}, Recorder: &permissions.Recorder{},
		queues: map[string]template.Queue{}, logs: map[string]*journal{}, stop: stop,
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop(ctx))
		}
	}()
	if s.Template, err = template.Read(c.Template, parameters); err != nil {
		return nil, err
	}
	s.sqs = sqs.NewFromConfig(s.aws(c.SQS))
	db, err := s.tables(ctx)
	if err != nil {
		return nil, err
	}
	s.Store = &store.Store{DB: db}
	if err := s.makeQueues(ctx); err != nil {
		return nil, err
	}
	if c.Mail.ConfigurationSet, c.Mail.Events, err = s.publishes(); err != nil {
		return nil, err
	}
	if s.Mailbox, err = mailbox.Open(filepath.Join(c.Data, "mail"), c.Mail); err != nil {
		return nil, err
	}
	mailService, err := s.serve(ses.New(s.Mailbox))
	if err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(s.Template.Functions)) {
		if err := s.function(s.Template.Functions[id], mailService); err != nil {
			return nil, err
		}
	}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	if err := s.ring(ctx, running); err != nil {
		return nil, err
	}
	return s, nil
}

// aws is the configuration of a client of a stand-in, which checks no signature.
func (s *System) aws(endpoint string) aws.Config {
	return aws.Config{
		Region: template.Region, BaseEndpoint: aws.String(endpoint),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDLOCAL", "local", ""),
	}
}

// named gives a name of the template as it is in this system's stack.
func (s *System) named(text string) string {
	return strings.ReplaceAll(text, template.StackName+"-", s.c.Stack+"-")
}

// makeQueues makes the template's queues, those that take what failed first.
func (s *System) makeQueues(ctx context.Context) error {
	all := slices.SortedFunc(maps.Values(s.Template.Queues), func(a, b template.Queue) int {
		return cmp.Or(cmp.Compare(a.DeadLetters, b.DeadLetters), cmp.Compare(a.LogicalID, b.LogicalID))
	})
	for _, q := range all {
		attributes := map[string]string{}
		set := func(name string, d time.Duration) {
			if d > 0 {
				attributes[name] = strconv.Itoa(int(d / time.Second))
			}
		}
		set("VisibilityTimeout", cmp.Or(s.c.Visibility, q.Visibility))
		set("MessageRetentionPeriod", q.Retention)
		if q.DeadLetters != "" {
			policy, err := json.Marshal(map[string]string{"deadLetterTargetArn": s.queues[q.DeadLetters].ARN, "maxReceiveCount": strconv.Itoa(q.MaxReceiveCount)})
			if err != nil {
				return err
			}
			attributes["RedrivePolicy"] = string(policy)
		}
		made, err := s.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(s.named(q.Name)), Attributes: attributes})
		if err != nil {
			return fmt.Errorf("%s: %w", q.LogicalID, err)
		}
		found, err := s.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
		if err != nil {
			return fmt.Errorf("%s: %w", q.LogicalID, err)
		}
		q.Name, q.URL, q.ARN = s.named(q.Name), *made.QueueUrl, found.Attributes["QueueArn"]
		s.queues[q.LogicalID] = q
	}
	return nil
}

// publishes are the template's configuration set and the events that it sends
// on, by the names that they have in the events: "deliveryDelay" is
// "DeliveryDelay".
func (s *System) publishes() (set string, events []string, err error) {
	names := map[string]string{}
	for _, name := range []string{"Send", "Delivery", "Bounce", "Complaint", "Reject", "Rendering Failure", "DeliveryDelay"} {
		names[strings.ToLower(strings.ReplaceAll(name, " ", ""))] = name
	}
	for id, r := range s.Template.Resources {
		if r.Type != "AWS::SES::ConfigurationSetEventDestination" {
			continue
		}
		set = s.named(fmt.Sprint(r.Properties["ConfigurationSetName"]))
		destination, _ := r.Properties["EventDestination"].(map[string]any)
		types, _ := destination["MatchingEventTypes"].([]any)
		for _, t := range types {
			name, known := names[strings.ToLower(strings.ReplaceAll(fmt.Sprint(t), "_", ""))]
			if !known {
				return "", nil, fmt.Errorf("%s: there is no event type %v", id, t)
			}
			events = append(events, name)
		}
	}
	if len(events) == 0 {
		return "", nil, errors.New("the template sends no mail events on")
	}
	return set, events, nil
}

// function starts one function, its calls going through the recorder.
func (s *System) function(f template.Function, mailService string) error {
	env := map[string]string{}
	for name, value := range f.Environment {
		env[name] = s.named(value)
		for id, q := range s.Template.Queues {
			if value == q.URL {
				env[name] = s.queues[id].URL
			}
		}
	}
	for name, d := range map[string]time.Duration{"LEASE": s.c.Timing.Lease, "GRACE": s.c.Timing.Grace, "BUDGET": s.c.Timing.Budget, "AGAIN": s.c.Timing.Again} {
		if env[name] != "" {
			env[name] = d.String()
		}
	}
	for service, to := range map[permissions.Service]string{permissions.DynamoDB: s.c.DynamoDB, permissions.SQS: s.c.SQS, permissions.SES: mailService} {
		target, err := url.Parse(to)
		if err != nil {
			return err
		}
		at, err := s.serve(s.Recorder.Proxy(f.Folder, service, target))
		if err != nil {
			return err
		}
		env[endpoints[service]] = at
	}
	processes := 8 // of a function behind the API
	for _, e := range f.Events {
		if e.Type == "SQS" {
			processes += 2 * max(e.MaximumConcurrency, unbounded) // twice, for what is delivered twice
		}
	}
	s.logs[f.Folder] = &journal{}
	logging, _ := s.Template.Resources[f.LogicalID].Properties["LoggingConfig"].(map[string]any)
	format, _ := logging["LogFormat"].(string)
	level, _ := logging["ApplicationLogLevel"].(string)
	host, err := lambdahost.Start(lambdahost.Options{
		Name: f.Name, Bootstrap: filepath.Join(s.c.Build, f.LogicalID, "bootstrap"), Env: env,
		Region: template.Region, Account: template.AccountID, Memory: f.Memory, Timeout: f.Timeout, Processes: processes,
		LogFormat: format, LogLevel: level, Output: s.logs[f.Folder],
	})
	if err != nil {
		return err
	}
	s.Functions[f.Folder] = host
	return nil
}

// endpoints are the SDK's own variables.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
var endpoints = map[permissions.Service]string{
	permissions.DynamoDB: "AWS_ENDPOINT_URL_DYNAMODB", permissions.SQS: "AWS_ENDPOINT_URL_SQS", permissions.SES: "AWS_ENDPOINT_URL_SESV2",
}

// open puts API Gateway before the functions, and what only a laptop has.
func (s *System) open(ctx context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Address = fmt.Sprintf("http://localhost:%d", listener.Addr().(*net.TCPAddr).Port)
	handler, err := s.handler(ctx)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s.front = s.on(listener, handler)
	return nil
}

func (s *System) handler(ctx context.Context) (http.Handler, error) {
	base := functions.NewBase(s.Store.DB, nil, s.c.Timing, s.c.Log)
	// An import rings no bell, and nothing is released while it loads.
	if _, err := demo.Load(ctx, s.Store, profiles.New(base, profiles.SignIn{}, nil).Directory, s.Address); err != nil {
		return nil, err
	}
	issuer, err := gateway.NewIssuer(s.c.Data, s.Address)
	if err != nil {
		return nil, err
	}
	issuer.Organization = demo.Organization
	table, err := gateway.Read(s.c.Template)
	if err != nil {
		return nil, err
	}
	handlers := map[string]httpapi.Handler{}
	for name, f := range s.Functions {
		handlers[name] = behind(f)
	}
	api, err := gateway.New(gateway.Config{Table: table, Functions: handlers, Authorizer: issuer.Verifier(), Log: s.c.Log})
	if err != nil {
		return nil, err
	}
	return system.Around(api, issuer, s.Mailbox, s.Store, s.c.Log), nil
}

// behind hands API Gateway's events to a function.
func behind(f *lambdahost.Function) httpapi.Handler {
	return func(ctx context.Context, request events.APIGatewayV2HTTPRequest) (reply events.APIGatewayV2HTTPResponse, err error) {
		payload, err := json.Marshal(request)
		if err != nil {
			return reply, err
		}
		text, err := f.Invoke(ctx, payload)
		if err != nil {
			return reply, err
		}
		return reply, json.Unmarshal(text, &reply)
	}
}

// ring starts what rings the functions: queues, schedules, and the mail
// service, whose events stand on the events queue as SNS puts them there with
// raw message delivery.
func (s *System) ring(ctx, running context.Context) error {
	for id, f := range s.Template.Functions {
		for _, e := range f.Events {
			switch e.Type {
			case "SQS":
				source := &source{
					function: s.Functions[f.Folder], event: e, queue: s.queues[e.Queue], disorder: s.c.Disorder,
					log: func(what string, err error) {
						s.c.Log.Warn(what, "function", f.Folder, "queue", e.Queue, "error", err)
					},
				}
				at, err := s.serve(s.Recorder.Proxy(f.Folder, permissions.SQS, must(url.Parse(s.c.SQS))))
				if err != nil {
					return err
				}
				source.client = sqs.NewFromConfig(s.aws(at))
				if s.c.Visibility == 0 {
					if err := source.validate(ctx, f.Timeout); err != nil {
						return fmt.Errorf("%s: %w", id, err)
					}
				}
				s.events.Go(func() { source.run(running) })
			case "ScheduleV2":
				s.events.Go(func() { s.tick(running, f, e) })
			}
		}
	}
	s.events.Go(func() {
		if err := s.Mailbox.Publish(running, s.publish); err != nil && running.Err() == nil {
			s.c.Log.Error("mail events ended", "error", err)
		}
	})
	return nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // it was parsed before
	}
	return v
}

// tick is EventBridge Scheduler, in a hurry.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html
func (s *System) tick(ctx context.Context, f template.Function, e template.Event) {
	clock := time.NewTicker(s.c.Beat)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-clock.C:
			event, err := json.Marshal(map[string]any{
				"version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event", "source": "aws.scheduler", "account": template.AccountID,
				"time": now.UTC().Format(time.RFC3339), "region": template.Region, "detail": "{}",
				"resources": []string{fmt.Sprintf("arn:aws:scheduler:%s:%s:schedule/default/%s%s", template.Region, template.AccountID, f.Name, e.Name)},
			})
			if err == nil {
				_, err = s.Functions[f.Folder].Invoke(ctx, event)
			}
			if err != nil && ctx.Err() == nil {
				s.c.Log.Warn("schedule failed", "function", f.Folder, "error", err)
			}
		}
	}
}

// publish puts mail events on their queue.
func (s *System) publish(ctx context.Context, all [][]byte) error {
	const maxBatch = 200 << 10 // of one call; SQS takes 256 KiB and more
	to := s.queues["EventsQueue"].URL
	for len(all) > 0 {
		var entries []types.SendMessageBatchRequestEntry
		for size := 0; len(all) > 0 && len(entries) < perReceive && size+len(all[0]) < maxBatch; all = all[1:] {
			size += len(all[0])
			entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(len(entries))), MessageBody: aws.String(string(all[0]))})
		}
		out, err := s.sqs.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &to, Entries: entries})
		if err != nil {
			return err
		}
		if len(out.Failed) > 0 {
			return fmt.Errorf("%d of %d mail events not taken", len(out.Failed), len(entries))
		}
	}
	return nil
}

// serve listens on a free port of this machine.
func (s *System) serve(h http.Handler) (address string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s.servers = append(s.servers, s.on(listener, h))
	return "http://" + listener.Addr().String(), nil
}

func (s *System) on(listener net.Listener, h http.Handler) *http.Server {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(s.c.Log.Handler(), slog.LevelDebug)}
	s.work.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.c.Log.Error("server ended", "error", err)
		}
	})
	return server
}

// Log is what the processes of a function printed so far; "" is all functions'.
func (s *System) Log(function string) string {
	if j := s.logs[function]; j != nil {
		return j.String()
	}
	var b strings.Builder
	if function == "" {
		for _, name := range slices.Sorted(maps.Keys(s.logs)) {
			b.WriteString(s.logs[name].String())
		}
	}
	return b.String()
}

// Stack is what the names of its tables and queues begin with.
func (s *System) Stack() string { return s.c.Stack }

// Waiting is how many messages each queue holds, received ones included, by
// its logical id.
func (s *System) Waiting(ctx context.Context) (map[string]int, error) {
	all := map[string]int{}
	for id, q := range s.queues {
		out, err := s.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.URL, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"} {
			n, err := strconv.Atoi(out.Attributes[name])
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", id, name, err)
			}
			all[id] += n
		}
	}
	return all, nil
}

// DeadLetters are what lies in a dead-letter queue, at most ten of them.
func (s *System) DeadLetters(ctx context.Context, queue string) (bodies []string, err error) {
	q, ok := s.queues[queue]
	if !ok {
		return nil, fmt.Errorf("there is no queue %s", queue)
	}
	out, err := s.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &q.URL, MaxNumberOfMessages: perReceive, VisibilityTimeout: 1})
	if err != nil {
		return nil, err
	}
	for _, m := range out.Messages {
		bodies = append(bodies, aws.ToString(m.Body))
	}
	return bodies, nil
}

// Send puts a message on a queue, as anybody could who may write to it.
func (s *System) Send(ctx context.Context, queue, body string) error {
	q, ok := s.queues[queue]
	if !ok {
		return fmt.Errorf("there is no queue %s", queue)
	}
	_, err := s.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &q.URL, MessageBody: &body})
	return err
}

// Stop ends the front, lets what is in work end while ctx lasts, and then ends
// everything else.
func (s *System) Stop(ctx context.Context) error {
	var errs []error
	if s.front != nil {
		errs = append(errs, s.front.Shutdown(ctx))
	}
	s.stop()
	worked := make(chan struct{})
	go func() {
		s.events.Wait()
		close(worked)
	}()
	select {
	case <-worked:
	case <-ctx.Done():
		errs = append(errs, ctx.Err())
	}
	for _, f := range s.Functions {
		f.Close()
	}
	<-worked
	for _, server := range s.servers {
		errs = append(errs, server.Close())
	}
	s.work.Wait()
	if s.Mailbox != nil {
		errs = append(errs, s.Mailbox.Close())
	}
	return errors.Join(errs...)
}

// journal keeps what was printed.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}
