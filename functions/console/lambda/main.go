// Command lambda is the console function on AWS. It reads no variable and
// makes no client.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/memberkey/memberkey/functions/console"
	"github.com/memberkey/memberkey/shared/httpapi"
	"github.com/memberkey/memberkey/shared/telemetry"
)

func main() {
	lambda.Start(console.Routes().Handler(httpapi.Config{Log: telemetry.NewLogger()}))
}
