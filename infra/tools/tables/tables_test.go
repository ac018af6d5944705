package tables_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/tools/tables"
	"github.com/memberkey/memberkey/shared/store"
)

// asked keeps what was asked of DynamoDB; a name that ends in fail is refused.
type asked struct {
	tables map[string]*dynamodb.CreateTableInput
	fail   string
}

func (a *asked) CreateTable(_ context.Context, in *dynamodb.CreateTableInput, _ ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error) {
	if a.fail != "" && strings.HasSuffix(*in.TableName, a.fail) {
		return nil, errors.New("no room")
	}
	a.tables[*in.TableName] = in
	return &dynamodb.CreateTableOutput{}, nil
}

func TestCreate(t *testing.T) {
	template, err := os.ReadFile("../../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	client := &asked{tables: map[string]*dynamodb.CreateTableInput{}}
	names, err := tables.Create(t.Context(), client, template, "t1-")
	if err != nil {
		t.Fatal(err)
	}
	want := map[store.Table]string{}
	for _, table := range store.Tables {
		want[table] = "t1-" + string(table)
		in := client.tables[want[table]]
		if in == nil || in.BillingMode != types.BillingModePayPerRequest || in.StreamSpecification != nil {
			t.Fatalf("%s: %+v", table, in)
		}
		keys := ""
		for _, k := range in.KeySchema {
			keys += *k.AttributeName + " " + string(k.KeyType) + " "
		}
		index := ""
		for _, i := range in.GlobalSecondaryIndexes {
			index += *i.IndexName + " " + string(i.Projection.ProjectionType)
			for _, k := range i.KeySchema {
				index += " " + *k.AttributeName + " " + string(k.KeyType)
			}
		}
		wantIndex := ""
		if table == store.DueTable {
			wantIndex = "due KEYS_ONLY shard HASH due RANGE"
		}
		if diff := cmp.Diff([]string{"p HASH s RANGE ", wantIndex}, []string{keys, index}); diff != "" {
			t.Errorf("%s: %s", table, diff)
		}
		attributes := map[string]types.ScalarAttributeType{}
		for _, a := range in.AttributeDefinitions {
			attributes[*a.AttributeName] = a.AttributeType
		}
		wantAttributes := map[string]types.ScalarAttributeType{"p": "S", "s": "S"}
		if table == store.DueTable {
			wantAttributes["shard"], wantAttributes["due"] = "N", "N"
		}
		if diff := cmp.Diff(wantAttributes, attributes); diff != "" {
			t.Errorf("%s: %s", table, diff)
		}
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	client.fail = "activity"
	if _, err := tables.Create(t.Context(), client, template, "t2-"); err == nil || !strings.Contains(err.Error(), "t2-activity") {
		t.Errorf("%v", err)
	}
}

func TestTemplatesThatAreNone(t *testing.T) {
	for template, want := range map[string]string{
		"":              "no table",
		"a: [":          "template",
		"Resources: 3":  "template",
		"Resources: {}": "no table",
		"Resources: {VisitorsTable: {Type: AWS::DynamoDB::Table}}":                                 `no table "visitors"`,
		"Resources: {LinksTable: {Type: AWS::DynamoDB::Table, Properties: {KeySchema: sideways}}}": "LinksTable",
	} {
		client := &asked{tables: map[string]*dynamodb.CreateTableInput{}}
		if _, err := tables.Create(t.Context(), client, []byte(template), "t-"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", template, err, want)
		}
		if len(client.tables) != 0 {
			t.Errorf("%s: tables were made", template)
		}
	}
}
