// Command lambda is the signin function on AWS.
package main

import (
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/memberkey/memberkey/functions"
	"github.com/memberkey/memberkey/functions/signin"
	"github.com/memberkey/memberkey/shared/bootstrap"
	"github.com/memberkey/memberkey/shared/dynamo"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/sqs"
	"github.com/memberkey/memberkey/shared/store"
)

type environment struct {
	Profiles    string        `env:"PROFILES_TABLE"`
	Credentials string        `env:"CREDENTIALS_TABLE"`
	Sessions    string        `env:"SESSIONS_TABLE"`
	Mailings    string        `env:"MAILINGS_TABLE"`
	Activity    string        `env:"ACTIVITY_TABLE"`
	Fanout      string        `env:"FANOUT_QUEUE,url"`
	Single      string        `env:"SINGLE_QUEUE,url"`
	Again       time.Duration `env:"AGAIN"`
}

func main() {
	bootstrap.Start(func(e environment, cfg aws.Config, log *slog.Logger) any {
		db := dynamo.Open(dynamo.NewClient(cfg), map[store.Table]string{
			store.Profiles:    e.Profiles,
			store.Credentials: e.Credentials,
			store.Sessions:    e.Sessions,
			store.Mailings:    e.Mailings,
			store.Activity:    e.Activity,
		})
		bells := sqs.NewBells(cfg, sqs.Queues{mailing.FanoutQueue: e.Fanout, mailing.SingleQueue: e.Single})
		base := functions.NewBase(db, bells, mailing.Timing{Again: e.Again}, log)
		return signin.New(base, password.NewHasher(password.Production, 1, base.Rand)).Handler(httpapi.Config{Log: log})
	})
}
