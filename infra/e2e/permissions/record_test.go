package permissions_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	key "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	mail "github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	message "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/e2e/permissions"
)

// secret stands wherever a request has a value: none may be kept.
const secret = "ada@example.com"

// bench is a recorder in front of a stand-in that answers all requests alike.
type bench struct {
	testing.TB
	recorder permissions.Recorder
	target   *url.URL
	got      []string // bodies that the stand-in saw
}

func newBench(t testing.TB, answer string) *bench {
	b := &bench{TB: t}
	standIn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		b.got = append(b.got, string(body))
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(standIn.Close)
	b.target, _ = url.Parse(standIn.URL)
	return b
}

// through gives the clients' settings of one function and service.
func (b *bench) through(function string, service permissions.Service) aws.Config {
	proxy := httptest.NewServer(b.recorder.Proxy(function, service, b.target))
	b.Cleanup(proxy.Close)
	return aws.Config{
		Region: "eu-west-1", BaseEndpoint: &proxy.URL, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""),
	}
}

// recorded wants exactly these calls.
func (b *bench) recorded(want ...permissions.Call) {
	b.Helper()
	byText := func(a, b permissions.Call) int { return strings.Compare(a.String(), b.String()) }
	got := b.recorder.Calls()
	slices.SortFunc(got, byText)
	slices.SortFunc(want, byText)
	if d := cmp.Diff(want, got); d != "" {
		b.Errorf("calls (-want +got):\n%s", d)
	}
	if strings.Contains(fmt.Sprint(got), secret) {
		b.Errorf("a value was kept: %v", got)
	}
}

func request(function string, service permissions.Service, operation string) permissions.Request {
	return permissions.Request{Function: function, Service: service, Operation: operation}
}

func item() map[string]key.AttributeValue {
	return map[string]key.AttributeValue{
		"p": &key.AttributeValueMemberS{Value: secret}, "s": &key.AttributeValueMemberS{Value: secret},
	}
}

func TestCallsOfDynamoDB(t *testing.T) {
	b := newBench(t, `{"Count": 2, "ScannedCount": 7, "Items": []}`)
	db := dynamodb.NewFromConfig(b.through("signin", permissions.DynamoDB))
	ctx := context.Background()
	profiles, mailings, condition := aws.String("profiles-1"), aws.String("mailings-1"), aws.String("attribute_not_exists(p)")

	for _, err := range []error{
		second(db.GetItem(ctx, &dynamodb.GetItemInput{TableName: profiles, Key: item()})),
		second(db.GetItem(ctx, &dynamodb.GetItemInput{TableName: profiles, Key: item()})),
		second(db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]key.KeysAndAttributes{
			*profiles: {Keys: []map[string]key.AttributeValue{item()}}, *mailings: {Keys: []map[string]key.AttributeValue{item()}}}})),
		second(db.Query(ctx, &dynamodb.QueryInput{TableName: profiles, KeyConditionExpression: condition})),
		second(db.Query(ctx, &dynamodb.QueryInput{TableName: mailings, IndexName: aws.String("due"), KeyConditionExpression: condition})),
		second(db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []key.TransactWriteItem{
			{Put: &key.Put{TableName: profiles, Item: item()}},
			{Put: &key.Put{TableName: profiles, Item: item()}},
			{Delete: &key.Delete{TableName: mailings, Key: item()}},
			{ConditionCheck: &key.ConditionCheck{TableName: aws.String("arn:aws:dynamodb:eu-west-1:1:table/links-1"), Key: item(), ConditionExpression: condition}},
		}})),
		second(db.Scan(ctx, &dynamodb.ScanInput{TableName: profiles})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}

	of := func(operation string) permissions.Request { return request("signin", permissions.DynamoDB, operation) }
	b.recorded(
		permissions.Call{Request: of("GetItem"), Table: "profiles-1"},
		permissions.Call{Request: of("BatchGetItem"), Table: "profiles-1"},
		permissions.Call{Request: of("BatchGetItem"), Table: "mailings-1"},
		permissions.Call{Request: of("Query"), Table: "profiles-1"},
		permissions.Call{Request: of("Query"), Table: "mailings-1", Index: "due"},
		permissions.Call{Request: of("TransactWriteItems"), Member: "Put", Table: "profiles-1"},
		permissions.Call{Request: of("TransactWriteItems"), Member: "Delete", Table: "mailings-1"},
		permissions.Call{Request: of("TransactWriteItems"), Member: "ConditionCheck", Table: "links-1"},
		permissions.Call{Request: of("Scan"), Table: "profiles-1"},
	)
	want := permissions.Tallies{
		of("GetItem"): {Requests: 2}, of("BatchGetItem"): {Requests: 1}, of("Query"): {Requests: 2, Scanned: 14},
		of("TransactWriteItems"): {Requests: 1}, of("Scan"): {Requests: 1},
	}
	if d := cmp.Diff(want, b.recorder.Tallies()); d != "" {
		t.Errorf("tallies (-want +got):\n%s", d)
	}
	if !strings.Contains(b.got[0], secret) {
		t.Errorf("the stand-in got another body than was sent: %s", b.got[0])
	}
}

func TestCallsOfQueuesAndMail(t *testing.T) {
	b := newBench(t, `{}`)
	ctx := context.Background()
	queue := sqs.NewFromConfig(b.through("delivery", permissions.SQS))
	post := sesv2.NewFromConfig(b.through("delivery", permissions.SES))
	address := aws.String("http://localhost:4566/000000000000/bulk")
	from, set := aws.String(`"Ada, of the board" <Office@Example.ORG>`), aws.String("memberkey-dev")

	for _, err := range []error{
		second(queue.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: address,
			Entries: []message.SendMessageBatchRequestEntry{{Id: aws.String("1"), MessageBody: aws.String(secret)}}})),
		second(queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: address})),
		second(post.SendEmail(ctx, &sesv2.SendEmailInput{FromEmailAddress: from, ConfigurationSetName: set,
			Destination: &mail.Destination{ToAddresses: []string{secret}},
			Content: &mail.EmailContent{Simple: &mail.Message{Subject: &mail.Content{Data: aws.String(secret)},
				Body: &mail.Body{Text: &mail.Content{Data: aws.String(secret)}}}}})),
		second(post.SendBulkEmail(ctx, &sesv2.SendBulkEmailInput{FromEmailAddress: from, ConfigurationSetName: set,
			DefaultContent:   &mail.BulkEmailContent{Template: &mail.Template{TemplateContent: &mail.EmailTemplateContent{Subject: aws.String(secret)}}},
			BulkEmailEntries: []mail.BulkEmailEntry{{Destination: &mail.Destination{ToAddresses: []string{secret}}}}})),
		second(post.SendEmail(ctx, &sesv2.SendEmailInput{FromEmailAddress: from,
			Content: &mail.EmailContent{Template: &mail.Template{TemplateName: aws.String("welcome")}}})),
		second(post.GetAccount(ctx, &sesv2.GetAccountInput{})),
		second(post.DeleteSuppressedDestination(ctx, &sesv2.DeleteSuppressedDestinationInput{EmailAddress: aws.String(secret)})),
		second(post.GetEmailIdentity(ctx, &sesv2.GetEmailIdentityInput{EmailIdentity: aws.String(secret)})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}

	sqsOf := func(operation string) permissions.Request { return request("delivery", permissions.SQS, operation) }
	sesOf := func(operation string) permissions.Request { return request("delivery", permissions.SES, operation) }
	b.recorded(
		permissions.Call{Request: sqsOf("SendMessageBatch"), Queue: "bulk"},
		permissions.Call{Request: sqsOf("ReceiveMessage"), Queue: "bulk"},
		permissions.Call{Request: sesOf("SendEmail"), Member: "Simple", Identity: "example.org", ConfigurationSet: "memberkey-dev"},
		permissions.Call{Request: sesOf("SendBulkEmail"), Member: "Inline", Identity: "example.org", ConfigurationSet: "memberkey-dev"},
		permissions.Call{Request: sesOf("SendEmail"), Member: "Template", Identity: "example.org", Template: "welcome"},
		permissions.Call{Request: sesOf("GetAccount")},
		permissions.Call{Request: sesOf("DeleteSuppressedDestination")},
		permissions.Call{Request: sesOf("GET /v2/email/identities")},
	)
}

func TestIntercept(t *testing.T) {
	b := newBench(t, `{}`)
	queue := sqs.NewFromConfig(b.through("fanout", permissions.SQS))
	send := func(body string) error {
		return second(queue.SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: aws.String("http://h/1/q"), MessageBody: &body}))
	}
	var seen []string
	stop := b.recorder.Intercept(func(kind permissions.Request, body []byte) *permissions.Fault {
		seen = append(seen, kind.Operation+" "+string(body))
		if strings.Contains(string(body), "second") {
			return &permissions.Fault{Status: 400, Type: "OverLimit", Message: "too many"}
		}
		return nil
	})
	if err := send("first"); err != nil {
		t.Error(err)
	}
	var limit *message.OverLimit
	if err := send("second"); !errors.As(err, &limit) || limit.ErrorMessage() != "too many" {
		t.Errorf("the fault came as %v", err)
	}
	stop()
	if err := send("second, again"); err != nil {
		t.Error(err)
	}
	if len(seen) != 2 || !strings.HasPrefix(seen[0], "SendMessage {") || !strings.Contains(seen[0], "first") {
		t.Errorf("seen were %q, want the first two messages", seen)
	}
	if len(b.got) != 2 || !strings.Contains(b.got[1], "second, again") {
		t.Errorf("the service got %q, want the first and the last", b.got)
	}
}

// TestFaultsOfEachService holds the answers against the services' clients.
func TestFaultsOfEachService(t *testing.T) {
	b := newBench(t, `{}`)
	b.recorder.Intercept(func(kind permissions.Request, _ []byte) *permissions.Fault {
		name := map[permissions.Service]string{permissions.DynamoDB: "ResourceNotFoundException", permissions.SES: "TooManyRequestsException"}
		return &permissions.Fault{Status: 400, Type: name[kind.Service], Message: "as told"}
	})
	var missing *key.ResourceNotFoundException
	_, err := dynamodb.NewFromConfig(b.through("f", permissions.DynamoDB)).GetItem(context.Background(), &dynamodb.GetItemInput{TableName: aws.String("t"), Key: item()})
	if !errors.As(err, &missing) || missing.ErrorMessage() != "as told" {
		t.Errorf("DynamoDB's fault came as %v", err)
	}
	var many *mail.TooManyRequestsException
	_, err = sesv2.NewFromConfig(b.through("f", permissions.SES)).GetAccount(context.Background(), &sesv2.GetAccountInput{})
	if !errors.As(err, &many) || many.ErrorMessage() != "as told" {
		t.Errorf("the mail service's fault came as %v", err)
	}
}

// TestConcurrentCalls is for the race detector, and for the sum.
func TestConcurrentCalls(t *testing.T) {
	var recorder permissions.Recorder
	standIn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"ScannedCount":3}`) }))
	defer standIn.Close()
	target, _ := url.Parse(standIn.URL)
	before := recorder.Tallies()
	var all sync.WaitGroup
	for _, function := range []string{"profiles", "signin"} {
		proxy := recorder.Proxy(function, permissions.DynamoDB, target)
		for range 20 {
			all.Go(func() {
				q := httptest.NewRequest("POST", "/", strings.NewReader(`{"TableName":"t"}`))
				q.Header.Set("X-Amz-Target", "DynamoDB_20120810.Query")
				proxy.ServeHTTP(httptest.NewRecorder(), q)
				recorder.Calls()
			})
		}
	}
	all.Wait()
	counted := recorder.Tallies().Since(before)
	if got, want := counted.Sum(nil), (permissions.Tally{Requests: 40, Scanned: 120}); got != want {
		t.Errorf("all: %+v, want %+v", got, want)
	}
	ofSignin := func(r permissions.Request) bool { return r.Function == "signin" }
	if got, want := counted.Sum(ofSignin), (permissions.Tally{Requests: 20, Scanned: 60}); got != want {
		t.Errorf("signin: %+v, want %+v", got, want)
	}
	if rest := recorder.Tallies().Since(recorder.Tallies()); len(rest) != 0 {
		t.Errorf("nothing happened, and yet %v", rest)
	}
}

func TestStandInIsGone(t *testing.T) {
	b := newBench(t, `{}`)
	b.target = &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	db := dynamodb.NewFromConfig(b.through("signin", permissions.DynamoDB))
	if _, err := db.GetItem(context.Background(), &dynamodb.GetItemInput{TableName: aws.String("t"), Key: item()}); err == nil {
		t.Error("a call without a stand-in succeeded")
	}
	b.recorded(permissions.Call{Request: request("signin", permissions.DynamoDB, "GetItem"), Table: "t"})
}

func second[T any](_ T, err error) error { return err }
