//go:build unix

package deployed

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/memberkey/memberkey/infra/template"
	"github.com/memberkey/memberkey/infra/tools/tables"
	"github.com/memberkey/memberkey/shared/dynamo"
	"github.com/memberkey/memberkey/shared/store"
)

// tables makes the template's tables, by a client of its own: that of the
// functions gives up early and asks again.
func (s *System) tables(ctx context.Context) (store.DB, error) {
	maker := dynamodb.NewFromConfig(s.aws(s.c.DynamoDB), func(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} })
	names, err := tables.Create(ctx, maker, s.Template, func(t template.Table) string { return s.named(t.Name) })
	if err != nil {
		return nil, err
	}
	return dynamo.Open(dynamo.NewClient(s.aws(s.c.DynamoDB)), names), nil
}
