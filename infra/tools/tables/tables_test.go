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

	"github.com/memberkey/memberkey/infra/template"
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

func read(t *testing.T) *template.Template {
	t.Helper()
	text, err := os.ReadFile("../../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	stack, err := template.Read(text, template.Example())
	if err != nil {
		t.Fatal(err)
	}
	return stack
}

func prefixed(prefix string) func(template.Table) string {
	return func(t template.Table) string { return prefix + t.LogicalID }
}

func TestCreate(t *testing.T) {
	client := &asked{tables: map[string]*dynamodb.CreateTableInput{}}
	names, err := tables.Create(t.Context(), client, read(t), prefixed("t1-"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[store.Table]string{}
	for _, table := range store.Tables {
		want[table] = "t1-" + strings.ToUpper(string(table[:1])) + string(table[1:]) + "Table"
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
	client.fail = "ActivityTable"
	if _, err := tables.Create(t.Context(), client, read(t), prefixed("t2-")); err == nil || !strings.Contains(err.Error(), "t2-ActivityTable") {
		t.Errorf("%v", err)
	}
}

func TestTablesThatAreNone(t *testing.T) {
	for name, change := range map[string]func(*template.Template){
		`no table "visitors"`: func(t *template.Template) {
			t.Tables["VisitorsTable"] = template.Table{LogicalID: "VisitorsTable", Name: "visitors"}
		},
		"LinksTable": func(t *template.Template) { t.Resources["LinksTable"].Properties["KeySchema"] = "sideways" },
	} {
		broken := read(t)
		change(broken)
		if _, err := tables.Create(t.Context(), &asked{tables: map[string]*dynamodb.CreateTableInput{}}, broken, prefixed("t-")); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %s", err, name)
		}
	}
}
