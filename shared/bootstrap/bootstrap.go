// Package bootstrap starts a function on AWS Lambda. A function's main gives
// the variables that it reads and makes its handler of them; what goes wrong
// here is a deployment that must not take traffic, so it ends the process, and
// with it the deployment.
package bootstrap

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/memberkey/memberkey/shared/config"
	"github.com/memberkey/memberkey/shared/telemetry"
)

// lambdaGives is what Lambda itself puts into the environment of a function
// ("Using Lambda environment variables").
type lambdaGives struct {
	Region  string `env:"AWS_REGION"`
	Key     string `env:"AWS_ACCESS_KEY_ID"`
	Secret  string `env:"AWS_SECRET_ACCESS_KEY"`
	Session string `env:"AWS_SESSION_TOKEN"`
}

// Start reads E from the environment (see package config), makes the handler
// once and serves events until Lambda ends the process. No call leaves the
// machine before the first event.
//
// It does not use the SDK's own package config: that one knows profiles, SSO
// and roles, of which Lambda has none, and they would be a sixth of each binary
// and a third of its start.
func Start[E any](handler func(e E, cfg aws.Config, log *slog.Logger) any) {
	log := telemetry.NewLogger()
	settings, err := config.Read[E](os.Getenv)
	if err != nil {
		fail(log, err)
	}
	given, err := config.Read[lambdaGives](os.Getenv)
	if err != nil {
		fail(log, err)
	}
	lambda.Start(handler(settings, aws.Config{
		Region:        given.Region,
		Credentials:   credentials.NewStaticCredentialsProvider(given.Key, given.Secret, given.Session),
		ConfigSources: []any{endpoints{}},
	}, log))
}

func fail(log *slog.Logger, err error) {
	log.Error("not started", "error", err)
	os.Exit(1)
}

// endpoints reads where a service answers, if not at AWS's own address, from
// the variables that all SDKs know ("Service-specific endpoints" of the AWS
// SDKs and Tools Reference Guide). The clients ask for it.
type endpoints struct{}

func (endpoints) GetServiceBaseEndpoint(_ context.Context, sdkID string) (address string, found bool, err error) {
	address = os.Getenv("AWS_ENDPOINT_URL_" + strings.ToUpper(strings.ReplaceAll(sdkID, " ", "_")))
	return address, address != "", nil
}
