// Command lambda is the feedback function on AWS.
package main

import (
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/memberkey/memberkey/functions"
	"github.com/memberkey/memberkey/functions/feedback"
	"github.com/memberkey/memberkey/shared/bootstrap"
	"github.com/memberkey/memberkey/shared/dynamo"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/store"
)

type environment struct {
	Profiles string `env:"PROFILES_TABLE"`
	Mailings string `env:"MAILINGS_TABLE"`
	Activity string `env:"ACTIVITY_TABLE"`
}

func main() {
	bootstrap.Start(func(e environment, cfg aws.Config, log *slog.Logger) any {
		db := dynamo.Open(dynamo.NewClient(cfg), map[store.Table]string{
			store.Profiles: e.Profiles,
			store.Mailings: e.Mailings,
			store.Activity: e.Activity,
		})
		base := functions.NewBase(db, nil, mailing.Timing{}, log)
		return feedback.New(base).Handle
	})
}
