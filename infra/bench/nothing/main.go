// Command nothing is a Lambda function that does nothing: what the start of
// each of ours is compared with.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() { lambda.Start(func(context.Context) error { return nil }) }
