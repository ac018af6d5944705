// Package tables makes the tables of template.yaml on a stand-in of DynamoDB:
// their keys and indexes are read from the template itself, so what passes a
// test lies as it will lie on AWS. Time to live stays off, streams too: the
// stand-ins remove what expired within a second, where AWS takes days, and that
// would hide whoever trusts an item to be gone.
package tables

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"go.yaml.in/yaml/v3"

	"github.com/memberkey/memberkey/shared/store"
)

// Client is what Create uses of *dynamodb.Client.
type Client interface {
	CreateTable(context.Context, *dynamodb.CreateTableInput, ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error)
}

// Create makes every table of the template, ProfilesTable as prefix and
// "profiles", and returns their names. The stand-ins' tables are ready at once.
// Give each test a prefix of its own: a table that is removed and made again
// makes DynamoDB Local slow.
func Create(ctx context.Context, client Client, template []byte, prefix string) (map[store.Table]string, error) {
	all, err := read(template)
	if err != nil {
		return nil, err
	}
	names := make(map[store.Table]string, len(all))
	for table, properties := range all {
		in := properties.input(prefix + string(table))
		var there *types.ResourceInUseException // by an earlier attempt of the client, whose answer was lost
		if _, err := client.CreateTable(ctx, in); err != nil && !errors.As(err, &there) {
			return nil, fmt.Errorf("tables: making %s: %w", *in.TableName, err)
		}
		names[table] = *in.TableName
	}
	return names, nil
}

// properties are those of AWS::DynamoDB::Table that a stand-in knows.
type properties struct {
	BillingMode types.BillingMode `yaml:"BillingMode"`
	Attributes  []struct {
		Name string                    `yaml:"AttributeName"`
		Type types.ScalarAttributeType `yaml:"AttributeType"`
	} `yaml:"AttributeDefinitions"`
	Keys    []key `yaml:"KeySchema"`
	Indexes []struct {
		Name       string `yaml:"IndexName"`
		Keys       []key  `yaml:"KeySchema"`
		Projection struct {
			Type       types.ProjectionType `yaml:"ProjectionType"`
			Attributes []string             `yaml:"NonKeyAttributes"`
		} `yaml:"Projection"`
	} `yaml:"GlobalSecondaryIndexes"`
}

type key struct {
	Name string        `yaml:"AttributeName"`
	Type types.KeyType `yaml:"KeyType"`
}

func (p *properties) input(name string) *dynamodb.CreateTableInput {
	in := &dynamodb.CreateTableInput{TableName: &name, BillingMode: p.BillingMode, KeySchema: schema(p.Keys)}
	for _, a := range p.Attributes {
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: aws.String(a.Name), AttributeType: a.Type})
	}
	for _, i := range p.Indexes {
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: aws.String(i.Name), KeySchema: schema(i.Keys),
			Projection: &types.Projection{ProjectionType: i.Projection.Type, NonKeyAttributes: i.Projection.Attributes},
		})
	}
	return in
}

func schema(keys []key) (all []types.KeySchemaElement) {
	for _, k := range keys {
		all = append(all, types.KeySchemaElement{AttributeName: aws.String(k.Name), KeyType: k.Type})
	}
	return all
}

var errNoTables = errors.New("tables: the template has no table")

// read finds the tables of the template by the names of their resources.
func read(template []byte) (map[store.Table]*properties, error) {
	var t struct {
		Resources map[string]struct {
			Type       string    `yaml:"Type"`
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(template, &t); err != nil {
		return nil, fmt.Errorf("tables: the template: %w", err)
	}
	all := make(map[store.Table]*properties)
	for id, resource := range t.Resources {
		if resource.Type != "AWS::DynamoDB::Table" {
			continue
		}
		table := store.Table(strings.ToLower(strings.TrimSuffix(id, "Table")))
		if err := store.ValidateTable(table); err != nil {
			return nil, fmt.Errorf("tables: resource %s: %w", id, err)
		}
		p := &properties{}
		if err := resource.Properties.Decode(p); err != nil {
			return nil, fmt.Errorf("tables: resource %s: %w", id, err)
		}
		all[table] = p
	}
	if len(all) == 0 {
		return nil, errNoTables
	}
	return all, nil
}
