//go:build unix

package deployed

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/memberkey/memberkey/shared/dynamo"
	"github.com/memberkey/memberkey/shared/store"
)

// tables makes the template's tables. Their time to live stays off: the
// stand-in removes what has expired within a second, AWS within days, and
// nothing may rest on it.
func (s *System) tables(ctx context.Context) (store.DB, error) {
	// A client of its own: that of the functions gives up early and asks again,
	// and a table that is made twice is an error.
	maker := dynamodb.NewFromConfig(s.aws(s.c.DynamoDB), func(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} })
	names := map[store.Table]string{}
	for id, t := range s.Template.Tables {
		// CloudFormation names the properties as CreateTable does.
		text, err := json.Marshal(s.Template.Resources[id].Properties)
		if err != nil {
			return nil, err
		}
		var in dynamodb.CreateTableInput
		if err := json.Unmarshal(text, &in); err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		in.TableName, in.DeletionProtectionEnabled, in.SSESpecification = aws.String(s.named(t.Name)), nil, nil
		if _, err := maker.CreateTable(ctx, &in); err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		names[store.Table(strings.ToLower(strings.TrimSuffix(id, "Table")))] = *in.TableName
	}
	return dynamo.Open(dynamo.NewClient(s.aws(s.c.DynamoDB)), names), nil
}
