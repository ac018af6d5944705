// Package system is the whole of Memberkey in one process: the functions behind
// the routes of template.yaml, the queues, the sweep, the store on one file, and
// a mail service with a mailbox to look at. The handlers are those that run on
// AWS; only what stands around them is different here.
package system

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/memberkey/memberkey/functions"
	"github.com/memberkey/memberkey/functions/completion"
	"github.com/memberkey/memberkey/functions/console"
	"github.com/memberkey/memberkey/functions/credentials"
	"github.com/memberkey/memberkey/functions/delivery"
	"github.com/memberkey/memberkey/functions/fanout"
	"github.com/memberkey/memberkey/functions/feedback"
	"github.com/memberkey/memberkey/functions/mailings"
	"github.com/memberkey/memberkey/functions/profiles"
	"github.com/memberkey/memberkey/functions/resets"
	"github.com/memberkey/memberkey/functions/signin"
	"github.com/memberkey/memberkey/infra/local/demo"
	"github.com/memberkey/memberkey/infra/local/gateway"
	"github.com/memberkey/memberkey/infra/local/mailbox"
	"github.com/memberkey/memberkey/infra/local/queue"
	"github.com/memberkey/memberkey/shared/embedded"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/ses"
	"github.com/memberkey/memberkey/shared/store"
)

// Timing of the local system: short, because a laptop is watched. AWS has its
// own in template.yaml.
var Timing = mailing.Timing{Lease: 3 * time.Second, Grace: 5 * time.Second, Budget: 2 * time.Second, Again: 2 * time.Second}

// Config is what a system is made of.
type Config struct {
	Address  string // host and port to listen on; loopback only
	Data     string // folder that keeps everything
	Template []byte // of template.yaml
	Mail     mailbox.Options
	// Passwords are the parameters of new hashes; zero means password.Production.
	Passwords password.Params
	TokenLife time.Duration // of staff's tokens, by gateway.Issuer.Life; zero means its default
	Log       *slog.Logger
	// Say prints what people should see: progress, and where to look.
	Say func(format string, args ...any)
}

// System is running from Start until Stop.
type System struct {
	Address string // where it answers: "http://localhost:8080"
	Store   *store.Store
	Mailbox *mailbox.Service

	config Config
	db     *embedded.DB
	mail   *ses.Mailer // Mailbox, by the client that sends on AWS
	server *http.Server
	served sync.WaitGroup
	queues queues
	stop   context.CancelFunc
	work   sync.WaitGroup
	told   map[string]bool // mailings whose progress was printed; the sweep's alone
}

// queues are the three of template.yaml that carry bells; mail events have a
// queue of their own in the mail service, which keeps them on disk.
type queues struct{ fanout, single, bulk *queue.Queue }

// Ring sends bells to where they belong (mailing.Bells).
func (q queues) Ring(_ context.Context, bells ...mailing.Bell) error {
	for _, bell := range bells {
		body, err := bell.Message()
		if err != nil {
			return err
		}
		switch bell.Queue() {
		case mailing.FanoutQueue:
			q.fanout.Send(body)
		case mailing.SingleQueue:
			q.single.Send(body)
		default:
			q.bulk.Send(body)
		}
	}
	return nil
}

// Start opens the data, loads the demo association the first time, and serves.
func Start(c Config) (_ *System, err error) {
	if c.Passwords == (password.Params{}) {
		c.Passwords = password.Production
	}
	if c.Say == nil {
		c.Say = func(string, ...any) {}
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, err
	}
	listener, err := listen(c.Address)
	if err != nil {
		return nil, err
	}
	s := &System{config: c, told: map[string]bool{}, Address: fmt.Sprintf("http://localhost:%d", listener.Addr().(*net.TCPAddr).Port)}
	defer func() {
		if err != nil {
			err = errors.Join(err, listener.Close(), s.close())
		}
	}()
	if s.db, err = embedded.Open(filepath.Join(c.Data, "memberkey.db"), embedded.Options{}); err != nil {
		return nil, err
	}
	s.Store = &store.Store{DB: s.db}
	if c.Mail.Log == nil {
		c.Mail.Log = c.Log
	}
	if s.Mailbox, err = mailbox.Open(filepath.Join(c.Data, "mail"), c.Mail); err != nil {
		return nil, err
	}
	s.mail = ses.New(aws.Config{
		Region: "local", BaseEndpoint: aws.String("http://" + listener.Addr().String() + sesPath),
		Credentials: awscredentials.NewStaticCredentialsProvider("local", "local", ""),
	}, s.Mailbox.ConfigurationSet())
	s.queues = queues{fanout: s.queue("fanout", 2), single: s.queue("single", 4), bulk: s.queue("bulk", 16)}

	if loaded, err := demo.Load(context.Background(), s.Store, profiles.New(s.base(), profiles.SignIn{}, s.mail.Release).Directory, s.Address); err != nil {
		return nil, err
	} else if loaded {
		c.Say("Loaded the demo association, %q.", demo.Organization)
	}
	handler, err := s.handler()
	if err != nil {
		return nil, err
	}
	s.server = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}

	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.consume(ctx)
	s.served.Go(func() {
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			c.Log.Error("server ended", "error", err)
		}
	})
	return s, nil
}

// listen binds to loopback and nothing else.
func listen(address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", address, err)
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("address %q: the local system listens on this machine only; say localhost", address)
	}
	return net.Listen("tcp", net.JoinHostPort(host, port))
}

func (s *System) queue(name string, concurrency int) *queue.Queue {
	return queue.New(queue.Options{
		Name: name, Visibility: 10 * time.Second, MaxReceives: 5, BatchSize: 1, Concurrency: concurrency,
		Timeout: 10 * time.Second, Log: s.config.Log,
	})
}

// base is what the functions are made of here.
func (s *System) base() functions.Base {
	return functions.NewBase(s.db, s.queues, Timing, s.config.Log)
}

// handler puts the functions behind the routes of template.yaml, and what only
// a laptop has under /local.
func (s *System) handler() (http.Handler, error) {
	log := s.config.Log
	issuer, err := gateway.NewIssuer(s.config.Data, s.Address)
	if err != nil {
		return nil, err
	}
	issuer.Organization, issuer.Life = demo.Organization, s.config.TokenLife
	table, err := gateway.Read(s.config.Template)
	if err != nil {
		return nil, err
	}
	base, hasher := s.base(), password.NewHasher(s.config.Passwords, runtime.NumCPU(), rand.Reader)
	people := profiles.New(base, profiles.SignIn{Issuer: issuer.URL, ClientID: "console"}, s.mail.Release)
	people.Directory.Progress = s.progress()
	config := httpapi.Config{Log: log}
	behind := map[string]httpapi.Handler{
		"profiles":    people.Routes().Handler(config),
		"credentials": credentials.New(base, hasher).Routes().Handler(config),
		"resets":      resets.New(base).Routes().Handler(config),
		"mailings":    mailings.New(base).Routes().Handler(config),
		"completion":  completion.New(base, hasher).Handler(config),
		"signin":      signin.New(base, hasher).Handler(config),
		"console":     console.Routes().Handler(config),
	}
	api, err := gateway.New(gateway.Config{Table: table, Functions: behind, Authorizer: issuer.Verifier(), Log: log})
	if err != nil {
		return nil, err
	}
	return Around(api, issuer, s.Mailbox, s.Store, log), nil
}

// consume starts what works behind the queues, the sweep, and the clearing of
// what has expired.
func (s *System) consume(ctx context.Context) {
	log := s.config.Log
	base := s.base()
	fan, deliver, feed := fanout.New(base, s.mail, nil), delivery.New(base, s.mail), feedback.New(base)
	s.work.Go(func() { s.queues.fanout.Run(ctx, fan.Handle) })
	s.work.Go(func() { s.queues.single.Run(ctx, deliver.Handle) })
	s.work.Go(func() { s.queues.bulk.Run(ctx, deliver.Handle) })
	s.work.Go(func() {
		err := s.Mailbox.Publish(ctx, func(ctx context.Context, all [][]byte) error { return publish(ctx, feed, all) })
		if err != nil && ctx.Err() == nil {
			log.Error("mail events ended", "error", err)
		}
	})
	s.work.Go(func() { every(ctx, time.Second, func() { s.sweep(ctx, fan) }) })
	s.work.Go(func() {
		every(ctx, time.Hour, func() {
			if _, err := s.db.Purge(ctx, time.Now()); err != nil && ctx.Err() == nil {
				log.Warn("expired records not cleared", "error", err)
			}
		})
	})
}

// publish is the queue between the mail service and feedback; what fails comes
// again, because the service keeps it.
func publish(ctx context.Context, feed *feedback.Function, all [][]byte) error {
	event := events.SQSEvent{Records: make([]events.SQSMessage, len(all))}
	for i, body := range all {
		event.Records[i] = events.SQSMessage{MessageId: fmt.Sprint(i), Body: string(body), EventSource: "aws:sqs"}
	}
	response, err := feed.Handle(ctx, event)
	if err == nil && len(response.BatchItemFailures) > 0 {
		err = fmt.Errorf("%d of %d mail events not recorded", len(response.BatchItemFailures), len(all))
	}
	return err
}

func (s *System) sweep(ctx context.Context, fan *fanout.Function) {
	if err := fan.Sweep(ctx); err != nil && ctx.Err() == nil {
		s.config.Log.Warn("sweep failed", "error", err)
	}
	s.tellMailings(ctx)
}

// tellMailings prints how far the running mailings are.
func (s *System) tellMailings(ctx context.Context) {
	all, _, err := s.Store.Mailings(ctx, demo.Organization, "", 5)
	if err != nil {
		return
	}
	for _, m := range all {
		running := m.State == mailing.Sending && m.Freeze != nil
		if !running && !s.told[m.ID] {
			continue
		}
		s.told[m.ID] = running // once more when it has ended
		lanes, err := s.Store.Lanes(ctx, m.Organization, m.ID, m.Generation)
		if err != nil {
			return
		}
		t := mailing.Sum(lanes)
		for _, n := range m.Freeze.Skipped {
			t[mailing.Skipped] += n
		}
		s.config.Say("Mailing %q, %s: %d of %d people settled (%s/local/mailings/%s/%s)", m.Subject, m.State,
			t.Total()-t[mailing.Pending]-t[mailing.Uncertain], t.Total(), s.Address, m.Organization, m.ID)
	}
}

// progress prints an import about twice a second.
func (s *System) progress() func(done, total int) {
	var mu sync.Mutex
	var last time.Time
	return func(done, total int) {
		mu.Lock()
		defer mu.Unlock()
		if done < total && time.Since(last) < 500*time.Millisecond {
			return
		}
		last = time.Now()
		s.config.Say("Import: %d of %d rows", done, total)
	}
}

func every(ctx context.Context, period time.Duration, do func()) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

// Quiet says that nothing waits in the queues and no mail event is on its way.
func (s *System) Quiet() bool {
	return s.queues.fanout.Waiting()+s.queues.single.Waiting()+s.queues.bulk.Waiting()+s.Mailbox.Unpublished() == 0
}

// Stop lets what was begun end, ends the server, by which that sends its mails,
// and closes the data.
func (s *System) Stop(ctx context.Context) error {
	s.stop()
	s.work.Wait()
	err := s.server.Shutdown(ctx)
	s.served.Wait()
	return errors.Join(err, s.close())
}

func (s *System) close() error {
	var errs []error
	if s.Mailbox != nil {
		errs = append(errs, s.Mailbox.Close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(errs...)
}
