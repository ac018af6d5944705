// Package bootstrap starts a function on AWS Lambda. A function's main gives
// the variables that it reads and makes its handler of them; what goes wrong
// here is a deployment that must not take traffic, so it ends the process, and
// with it the deployment.
package bootstrap

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/memberkey/memberkey/shared/config"
	"github.com/memberkey/memberkey/shared/telemetry"
)

// Start reads E from the environment (see package config), makes the handler
// once and serves events until Lambda ends the process. No call leaves the
// machine before the first event.
func Start[E any](make func(e E, cfg aws.Config, log *slog.Logger) (handler any)) {
	ctx, log := context.Background(), telemetry.NewLogger()
	settings, err := config.Read[E](os.Getenv)
	if err != nil {
		fail(log, err)
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		fail(log, err)
	}
	lambda.Start(make(settings, cfg, log))
}

func fail(log *slog.Logger, err error) {
	log.Error("not started", "error", err)
	os.Exit(1)
}
