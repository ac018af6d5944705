package dynamo_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/memberkey/memberkey/infra/template"
	"github.com/memberkey/memberkey/infra/tools"
	"github.com/memberkey/memberkey/infra/tools/tables"
	"github.com/memberkey/memberkey/shared/dynamo"
	"github.com/memberkey/memberkey/shared/store"
	"github.com/memberkey/memberkey/shared/store/storetest"
)

// connections are kept for all racers. No attempt is given up, as those of
// [dynamo.NewClient]'s own client are after some seconds: a stand-in may be that
// slow on a machine that does much else.
var connections = &http.Transport{MaxIdleConnsPerHost: 64}

// clientOf speaks to a stand-in; those check no signatures.
func clientOf(endpoint string) *dynamodb.Client { return clientBy(connections, endpoint) }

func clientBy(transport http.RoundTripper, endpoint string) *dynamodb.Client {
	return dynamo.NewClient(aws.Config{
		Region: "eu-central-1", BaseEndpoint: &endpoint, HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
	})
}

// tablesOf makes new tables, as template.yaml describes them.
func tablesOf(t testing.TB, client *dynamodb.Client) map[store.Table]string {
	t.Helper()
	text, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	stack, err := template.Read(text, template.Example())
	if err != nil {
		t.Fatal(err)
	}
	prefix := rand.Text()
	names, err := tables.Create(context.Background(), client, stack, func(t template.Table) string { return prefix + "-" + t.LogicalID })
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// fresh opens the store on new tables.
func fresh(t testing.TB, endpoint string) *dynamo.DB {
	t.Helper()
	client := clientOf(endpoint)
	return dynamo.Open(client, tablesOf(t, client))
}

// TestContract is the contract of a driver on Amazon's DynamoDB Local.
func TestContract(t *testing.T) {
	db := fresh(t, tools.DynamoDBLocal(t))
	storetest.Run(t, func(*testing.T) store.DB { return db })
}

// TestRaces is H3, H4, H6 and H7 on DynamoDB's conditions.
func TestRaces(t *testing.T) {
	db := fresh(t, tools.DynamoDBLocal(t))
	storetest.Races(t, func(*testing.T) store.DB { return db })
}

// TestContractOnMoto is the same on another stand-in, written by other people
// after the same documentation. Its transactions copy their tables, so each
// test gets small ones; and it does not isolate those who write at once, so
// races are left to DynamoDB Local.
func TestContractOnMoto(t *testing.T) {
	endpoint := tools.Moto(t)
	storetest.RunSmall(t, func(t *testing.T) store.DB { return fresh(t, endpoint) })
}
