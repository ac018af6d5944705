// Command lambda is the profiles function on AWS.
package main

import (
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/memberkey/memberkey/functions"
	"github.com/memberkey/memberkey/functions/profiles"
	"github.com/memberkey/memberkey/shared/bootstrap"
	"github.com/memberkey/memberkey/shared/dynamo"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/ses"
	"github.com/memberkey/memberkey/shared/sqs"
	"github.com/memberkey/memberkey/shared/store"
)

type environment struct {
	Profiles   string        `env:"PROFILES_TABLE"`
	Sessions   string        `env:"SESSIONS_TABLE"`
	Mailings   string        `env:"MAILINGS_TABLE"`
	Activity   string        `env:"ACTIVITY_TABLE"`
	Single     string        `env:"SINGLE_QUEUE,url"`
	GroupClaim string        `env:"GROUP_CLAIM"`
	Issuer     string        `env:"ISSUER,url"`
	Audience   string        `env:"AUDIENCE"`
	Again      time.Duration `env:"AGAIN"`
}

func main() {
	bootstrap.Start(func(e environment, cfg aws.Config, log *slog.Logger) any {
		db := dynamo.Open(dynamo.NewClient(cfg), map[store.Table]string{
			store.Profiles: e.Profiles,
			store.Sessions: e.Sessions,
			store.Mailings: e.Mailings,
			store.Activity: e.Activity,
		})
		bells := sqs.NewBells(cfg, sqs.Queues{mailing.SingleQueue: e.Single})
		base := functions.NewBase(db, bells, mailing.Timing{Again: e.Again}, log)
		return profiles.New(base, profiles.SignIn{Issuer: e.Issuer, ClientID: e.Audience}, ses.New(cfg, "").Release).Routes().Handler(httpapi.Config{Log: log, GroupClaim: e.GroupClaim})
	})
}
