// Command lambda is the delivery function on AWS.
package main

import (
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/memberkey/memberkey/functions"
	"github.com/memberkey/memberkey/functions/delivery"
	"github.com/memberkey/memberkey/shared/bootstrap"
	"github.com/memberkey/memberkey/shared/dynamo"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/ses"
	"github.com/memberkey/memberkey/shared/sqs"
	"github.com/memberkey/memberkey/shared/store"
)

type environment struct {
	Profiles         string        `env:"PROFILES_TABLE"`
	Links            string        `env:"LINKS_TABLE"`
	Mailings         string        `env:"MAILINGS_TABLE"`
	Bulk             string        `env:"BULK_QUEUE,url"`
	ConfigurationSet string        `env:"CONFIGURATION_SET"`
	Lease            time.Duration `env:"LEASE"`
	Grace            time.Duration `env:"GRACE"`
	Budget           time.Duration `env:"BUDGET"`
	Again            time.Duration `env:"AGAIN"`
}

func main() {
	bootstrap.Start(func(e environment, cfg aws.Config, log *slog.Logger) any {
		db := dynamo.Open(dynamo.NewClient(cfg), map[store.Table]string{
			store.Profiles: e.Profiles,
			store.Links:    e.Links,
			store.Mailings: e.Mailings,
		})
		// It rings lanes only: for a single mail that must wait, the sweep rings.
		bells := sqs.NewBells(cfg, sqs.Queues{mailing.BulkQueue: e.Bulk})
		base := functions.NewBase(db, bells, mailing.Timing{Lease: e.Lease, Grace: e.Grace, Budget: e.Budget, Again: e.Again}, log)
		return delivery.New(base, ses.New(cfg, e.ConfigurationSet)).Handle
	})
}
