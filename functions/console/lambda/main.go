// Command lambda is the console function on AWS. It makes no client.
package main

import (
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/memberkey/memberkey/functions/console"
	"github.com/memberkey/memberkey/shared/bootstrap"
	"github.com/memberkey/memberkey/shared/httpapi"
)

type environment struct {
	Connect []string `env:"CONNECT,origins"` // where the staff's issuer answers
}

func main() {
	bootstrap.Start(func(e environment, _ aws.Config, log *slog.Logger) any {
		return console.Routes(e.Connect...).Handler(httpapi.Config{Log: log})
	})
}
