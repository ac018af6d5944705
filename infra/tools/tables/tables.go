// Package tables makes the tables of template.yaml on a stand-in of DynamoDB:
// their keys and indexes are the template's own, so what passes a test lies as
// it will lie on AWS. Time to live stays off, streams too: the stand-ins remove
// what expired within a second, where AWS takes days, and that would hide
// whoever trusts an item to be gone.
package tables

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/memberkey/memberkey/infra/template"
	"github.com/memberkey/memberkey/shared/store"
)

// Client is what Create uses of *dynamodb.Client.
type Client interface {
	CreateTable(context.Context, *dynamodb.CreateTableInput, ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error)
}

// Create makes every table of the template under the name that named gives it,
// and returns the names. The stand-ins' tables are ready at once. Give each test
// names of its own: a table that is removed and made again makes DynamoDB Local
// slow.
func Create(ctx context.Context, client Client, t *template.Template, named func(template.Table) string) (map[store.Table]string, error) {
	names := make(map[store.Table]string, len(t.Tables))
	for id, table := range t.Tables {
		kind := store.Table(strings.ToLower(strings.TrimSuffix(id, "Table")))
		if err := store.ValidateTable(kind); err != nil {
			return nil, fmt.Errorf("tables: resource %s: %w", id, err)
		}
		// CloudFormation names the properties as CreateTable does.
		text, err := json.Marshal(t.Resources[id].Properties)
		if err != nil {
			return nil, fmt.Errorf("tables: resource %s: %w", id, err)
		}
		var in dynamodb.CreateTableInput
		if err := json.Unmarshal(text, &in); err != nil {
			return nil, fmt.Errorf("tables: resource %s: %w", id, err)
		}
		name := named(table)
		in.TableName, in.DeletionProtectionEnabled, in.SSESpecification, in.StreamSpecification = &name, nil, nil, nil
		var there *types.ResourceInUseException // by an earlier attempt of the client, whose answer was lost
		if _, err := client.CreateTable(ctx, &in); err != nil && !errors.As(err, &there) {
			return nil, fmt.Errorf("tables: making %s: %w", name, err)
		}
		names[kind] = name
	}
	return names, nil
}
