package permissions

import (
	"fmt"
	"slices"
	"strings"

	"github.com/memberkey/memberkey/infra/template"
)

// Need is what IAM asks for a call.
type Need struct {
	Function string
	Action   string // dynamodb:GetItem
	Resource string // its ARN, or * where the action knows no resource
}

func (n Need) String() string { return n.Function + " " + n.Action + " on " + n.Resource }

// Stack says where resources are, to make their ARNs of their names.
type Stack struct {
	Partition, Region, Account string
	// Name begins the names of tables, queues and configuration sets on the
	// stand-ins. Where several stacks share those, it is another one than
	// [template.StackName], which stands in the ARNs.
	Name string
}

// StackNamed is the stack that the template is read for, under the name that it
// has on the stand-ins.
func StackNamed(name string) Stack {
	return Stack{Partition: template.Partition, Region: template.Region, Account: template.AccountID, Name: name}
}

func (s Stack) arn(service, resource string) string {
	return "arn:" + s.Partition + ":" + service + ":" + s.Region + ":" + s.Account + ":" + resource
}

// named gives the name that the template has for a stand-in's.
func (s Stack) named(name string) string {
	if rest, found := strings.CutPrefix(name, s.Name+"-"); found {
		return template.StackName + "-" + rest
	}
	return name
}

// form is what decides the actions of a call.
type form struct {
	service   Service
	operation string
	member    string
}

// actions says what IAM asks for each form of a call, by the Service
// Authorization Reference of each service. An operation that is not here is
// refused by name: it comes in with its source.
var actions = map[form][]string{
	{DynamoDB, "GetItem", ""}:      {"dynamodb:GetItem"},
	{DynamoDB, "BatchGetItem", ""}: {"dynamodb:BatchGetItem"},
	{DynamoDB, "Query", ""}:        {"dynamodb:Query"},
	{DynamoDB, "PutItem", ""}:      {"dynamodb:PutItem"},
	{DynamoDB, "DeleteItem", ""}:   {"dynamodb:DeleteItem"},
	{DynamoDB, "UpdateItem", ""}:   {"dynamodb:UpdateItem"},
	// There is no action for a transaction: each member asks for its own.
	{DynamoDB, "TransactWriteItems", "Put"}:            {"dynamodb:PutItem"},
	{DynamoDB, "TransactWriteItems", "Delete"}:         {"dynamodb:DeleteItem"},
	{DynamoDB, "TransactWriteItems", "Update"}:         {"dynamodb:UpdateItem"},
	{DynamoDB, "TransactWriteItems", "ConditionCheck"}: {"dynamodb:ConditionCheckItem"},
	{DynamoDB, "TransactGetItems", "Get"}:              {"dynamodb:GetItem"},

	{SQS, "SendMessage", ""}:        {"sqs:SendMessage"},
	{SQS, "SendMessageBatch", ""}:   {"sqs:SendMessage"},
	{SQS, "ReceiveMessage", ""}:     {"sqs:ReceiveMessage"},
	{SQS, "DeleteMessage", ""}:      {"sqs:DeleteMessage"},
	{SQS, "DeleteMessageBatch", ""}: {"sqs:DeleteMessage"},
	{SQS, "GetQueueAttributes", ""}: {"sqs:GetQueueAttributes"},

	// The reference names one action for each of these. Of those who granted only
	// that one, some were refused: SES asks also for the action of its version 1
	// that has such content (anymail/django-anymail#384, and the note "Confusing
	// IAM error messages" of its documentation). make smoke asks AWS itself.
	{SES, "SendEmail", "Inline"}:             {"ses:SendEmail", "ses:SendTemplatedEmail"},
	{SES, "SendBulkEmail", "Inline"}:         {"ses:SendBulkEmail", "ses:SendBulkTemplatedEmail"},
	{SES, "GetAccount", ""}:                  {"ses:GetAccount"},
	{SES, "DeleteSuppressedDestination", ""}: {"ses:DeleteSuppressedDestination"},
}

// Expand says what IAM asks for a call. Its error names a call that [actions]
// does not have, or that lacks what its ARN is made of.
func Expand(c Call, at Stack) ([]Need, error) {
	asked, known := actions[form{c.Service, c.Operation, c.Member}]
	if !known {
		return nil, fmt.Errorf("permissions: %s: not in the table of actions", c)
	}
	resources, err := at.resources(c)
	if err != nil {
		return nil, err
	}
	var needs []Need
	for _, action := range asked {
		for _, resource := range resources {
			needs = append(needs, Need{c.Function, action, resource})
		}
	}
	return needs, nil
}

// withoutResource are operations whose actions know no resource: a policy can
// only name all of them.
var withoutResource = []string{"GetAccount", "DeleteSuppressedDestination"}

func (s Stack) resources(c Call) ([]string, error) {
	table, queue, set := s.named(c.Table), s.named(c.Queue), s.named(c.ConfigurationSet)
	switch {
	case slices.Contains(withoutResource, c.Operation):
		return []string{"*"}, nil
	case c.Service == DynamoDB && c.Index != "":
		return []string{s.arn("dynamodb", "table/"+table+"/index/"+c.Index)}, nil
	case c.Service == DynamoDB && c.Table != "":
		return []string{s.arn("dynamodb", "table/"+table)}, nil
	case c.Service == SQS && c.Queue != "":
		return []string{s.arn("sqs", queue)}, nil
	case c.Service == SES && c.Identity != "" && c.ConfigurationSet != "":
		return []string{s.arn("ses", "identity/"+c.Identity), s.arn("ses", "configuration-set/"+set)}, nil
	}
	return nil, fmt.Errorf("permissions: %s: names too little for an ARN", c)
}
