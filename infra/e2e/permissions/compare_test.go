package permissions_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/e2e/permissions"
	"github.com/memberkey/memberkey/infra/template"
)

var stack = permissions.Stack{Partition: "aws", Region: "eu-west-1", Account: "123456789012", Name: "test-7"}

func TestExpand(t *testing.T) {
	const (
		db    = "arn:aws:dynamodb:eu-west-1:123456789012:table/"
		queue = "arn:aws:sqs:eu-west-1:123456789012:bulk"
		from  = "arn:aws:ses:eu-west-1:123456789012:identity/example.org"
		set   = "arn:aws:ses:eu-west-1:123456789012:configuration-set/set"
	)
	tests := []struct {
		name string
		call permissions.Call
		want []string // action and resource
		err  string
	}{
		{name: "a table", call: permissions.Call{Request: request("f", permissions.DynamoDB, "GetItem"), Table: "t"},
			want: []string{"dynamodb:GetItem " + db + "t"}},
		{name: "a table that has another name there", call: permissions.Call{Request: request("f", permissions.DynamoDB, "GetItem"), Table: "test-7-T"},
			want: []string{"dynamodb:GetItem " + db + template.StackName + "-T"}},
		{name: "an index", call: permissions.Call{Request: request("f", permissions.DynamoDB, "Query"), Table: "t", Index: "due"},
			want: []string{"dynamodb:Query " + db + "t/index/due"}},
		{name: "a member that writes", call: permissions.Call{Request: request("f", permissions.DynamoDB, "TransactWriteItems"), Member: "Put", Table: "t"},
			want: []string{"dynamodb:PutItem " + db + "t"}},
		{name: "a member that checks", call: permissions.Call{Request: request("f", permissions.DynamoDB, "TransactWriteItems"), Member: "ConditionCheck", Table: "t"},
			want: []string{"dynamodb:ConditionCheckItem " + db + "t"}},
		{name: "a batch of messages", call: permissions.Call{Request: request("f", permissions.SQS, "SendMessageBatch"), Queue: "bulk"},
			want: []string{"sqs:SendMessage " + queue}},
		{name: "a mail", call: permissions.Call{Request: request("f", permissions.SES, "SendEmail"), Member: "Inline", Identity: "example.org", ConfigurationSet: "set"},
			want: []string{"ses:SendEmail " + from, "ses:SendEmail " + set, "ses:SendTemplatedEmail " + from, "ses:SendTemplatedEmail " + set}},
		{name: "a batch of mails", call: permissions.Call{Request: request("f", permissions.SES, "SendBulkEmail"), Member: "Inline", Identity: "example.org", ConfigurationSet: "set"},
			want: []string{"ses:SendBulkEmail " + from, "ses:SendBulkEmail " + set, "ses:SendBulkTemplatedEmail " + from, "ses:SendBulkTemplatedEmail " + set}},
		{name: "the account", call: permissions.Call{Request: request("f", permissions.SES, "GetAccount")},
			want: []string{"ses:GetAccount *"}},
		{name: "a release", call: permissions.Call{Request: request("f", permissions.SES, "DeleteSuppressedDestination")},
			want: []string{"ses:DeleteSuppressedDestination *"}},

		{name: "an operation that nobody listed", call: permissions.Call{Request: request("f", permissions.DynamoDB, "Scan"), Table: "t"},
			err: "f dynamodb:Scan"},
		{name: "a member that nobody listed", call: permissions.Call{Request: request("f", permissions.DynamoDB, "TransactWriteItems"), Member: "Drop", Table: "t"},
			err: "f dynamodb:TransactWriteItems Drop"},
		{name: "no table", call: permissions.Call{Request: request("f", permissions.DynamoDB, "GetItem")}, err: "f dynamodb:GetItem"},
		{name: "no queue", call: permissions.Call{Request: request("f", permissions.SQS, "SendMessage")}, err: "f sqs:SendMessage"},
		{name: "no From", call: permissions.Call{Request: request("f", permissions.SES, "SendEmail"), Member: "Inline", ConfigurationSet: "set"},
			err: "f ses:SendEmail"},
		{name: "no configuration set", call: permissions.Call{Request: request("f", permissions.SES, "SendEmail"), Member: "Inline", Identity: "example.org"},
			err: "f ses:SendEmail"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			needs, err := permissions.Expand(test.call, stack)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("the error is %v, want one that names %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range needs {
				got = append(got, n.Action+" "+n.Resource)
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("needs (-want +got):\n%s", d)
			}
		})
	}
}

func TestNeedsNamesEveryUnknownCall(t *testing.T) {
	_, err := permissions.Needs([]permissions.Call{
		{Request: request("fanout", permissions.DynamoDB, "Scan"), Table: "t"},
		{Request: request("fanout", permissions.DynamoDB, "GetItem"), Table: "t"},
		{Request: request("resets", permissions.SES, "POST /v2/email/contacts")},
	}, stack)
	for _, name := range []string{"fanout dynamodb:Scan", "resets ses:POST /v2/email/contacts"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error is %v, want it to name %q", err, name)
		}
	}
	if err != nil && strings.Contains(err.Error(), "GetItem") {
		t.Errorf("the error names a known call: %v", err)
	}
}

func TestCompare(t *testing.T) {
	const (
		profiles = "arn:aws:dynamodb:eu-west-1:123456789012:table/profiles"
		links    = "arn:aws:dynamodb:eu-west-1:123456789012:table/links"
		queue    = "arn:aws:sqs:eu-west-1:123456789012:bulk"
	)
	needs := []permissions.Need{
		{Function: "signin", Action: "dynamodb:GetItem", Resource: profiles},
		{Function: "signin", Action: "dynamodb:PutItem", Resource: profiles},
		{Function: "signin", Action: "ses:GetAccount", Resource: "*"},
		{Function: "signin", Action: "sqs:ReceiveMessage", Resource: queue},
	}
	// exact is the policy that is right; each test spoils one thing of it.
	exact := func() []template.Statement {
		return []template.Statement{
			{Sid: "Profiles", Effect: "Allow", Actions: []string{"dynamodb:GetItem", "dynamodb:PutItem"}, Resources: []string{profiles}},
			{Sid: "Account", Effect: "Allow", Actions: []string{"ses:GetAccount"}, Resources: []string{"*"}},
			{Sid: "Poll", Effect: "Allow", Actions: []string{"sqs:ReceiveMessage"}, Resources: []string{queue}},
		}
	}
	tests := []struct {
		name    string
		spoil   func(p []template.Statement) []template.Statement
		refused []string
		unused  []string
	}{
		{name: "exact", spoil: func(p []template.Statement) []template.Statement { return p }},
		{name: "an action removed",
			spoil:   func(p []template.Statement) []template.Statement { p[0].Actions = p[0].Actions[:1]; return p },
			refused: []string{"signin dynamodb:PutItem on " + profiles}},
		{name: "a statement removed",
			spoil:   func(p []template.Statement) []template.Statement { return p[:2] },
			refused: []string{"signin sqs:ReceiveMessage on " + queue}},
		{name: "a policy removed",
			spoil: func([]template.Statement) []template.Statement { return nil },
			refused: []string{"signin dynamodb:GetItem on " + profiles, "signin dynamodb:PutItem on " + profiles,
				"signin ses:GetAccount on *", "signin sqs:ReceiveMessage on " + queue}},
		{name: "an action that nothing uses",
			spoil: func(p []template.Statement) []template.Statement {
				p[0].Actions = append(p[0].Actions, "dynamodb:DeleteItem")
				return p
			},
			unused: []string{"signin Profiles: dynamodb:DeleteItem on " + profiles}},
		{name: "a resource that nothing uses",
			spoil: func(p []template.Statement) []template.Statement {
				p[0].Resources = append(p[0].Resources, links)
				return p
			},
			unused: []string{"signin Profiles: dynamodb:GetItem on " + links, "signin Profiles: dynamodb:PutItem on " + links}},
		{name: "an action widened",
			spoil: func(p []template.Statement) []template.Statement {
				p[0].Actions = []string{"dynamodb:*"}
				return p
			},
			unused: []string{"signin Profiles: dynamodb:* on " + profiles}},
		{name: "a resource widened",
			spoil: func(p []template.Statement) []template.Statement {
				p[0].Resources[0] = strings.Replace(profiles, "table/profiles", "table/*", 1)
				return p
			},
			unused: []string{
				"signin Profiles: dynamodb:GetItem on arn:aws:dynamodb:eu-west-1:123456789012:table/*",
				"signin Profiles: dynamodb:PutItem on arn:aws:dynamodb:eu-west-1:123456789012:table/*"}},
		{name: "another account",
			spoil: func(p []template.Statement) []template.Statement {
				p[0].Resources[0] = strings.Replace(profiles, "123456789012", "210987654321", 1)
				return p
			},
			refused: []string{"signin dynamodb:GetItem on " + profiles, "signin dynamodb:PutItem on " + profiles},
			unused: []string{
				"signin Profiles: dynamodb:GetItem on arn:aws:dynamodb:eu-west-1:210987654321:table/profiles",
				"signin Profiles: dynamodb:PutItem on arn:aws:dynamodb:eu-west-1:210987654321:table/profiles"}},
		{name: "a condition",
			spoil: func(p []template.Statement) []template.Statement {
				p[1].Conditions = map[string]any{"StringEquals": map[string]any{"ses:FromAddress": "office@example.org"}}
				return p
			},
			refused: []string{"signin ses:GetAccount on *"}},
		{name: "a denial",
			spoil: func(p []template.Statement) []template.Statement {
				return append(p, template.Statement{Sid: "Never", Effect: "Deny", Actions: []string{"dynamodb:Put*"}, Resources: []string{"*"}})
			},
			refused: []string{"signin dynamodb:PutItem on " + profiles}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			refused, unused := permissions.Compare(needs, role("signin", test.spoil(exact())...))
			if d := cmp.Diff(test.refused, texts(refused)); d != "" {
				t.Errorf("refused (-want +got):\n%s", d)
			}
			if d := cmp.Diff(test.unused, texts(unused)); d != "" {
				t.Errorf("unused (-want +got):\n%s", d)
			}
		})
	}
}

// TestCompareWhoNeedsNothing: a function without calls may have no permission.
func TestCompareWhoNeedsNothing(t *testing.T) {
	console := role("console", template.Statement{Sid: "Mail", Effect: "Allow", Actions: []string{"ses:SendEmail"}, Resources: []string{"*"}})
	_, unused := permissions.Compare(nil, console)
	if d := cmp.Diff([]string{"console Mail: ses:SendEmail on *"}, texts(unused)); d != "" {
		t.Errorf("unused (-want +got):\n%s", d)
	}
}

func TestPatterns(t *testing.T) {
	tests := []struct {
		pattern, resource string
		want              bool
	}{
		{"*", "arn:x", true},
		{"arn:x", "arn:x", true},
		{"arn:x", "arn:xy", false},
		{"arn:x", "arn:X", false},
		{"arn:*", "arn:", true},
		{"arn:*:t", "arn:a:b:t", true},
		{"arn:*:t", "arn:a:b:tt", false},
		{"arn:?", "arn:x", true},
		{"arn:?", "arn:", false},
		{"*a*b*", "xaybz", true},
		{"*a*b", "xaybz", false},
		{"", "arn:x", false},
	}
	for _, test := range tests {
		refused, _ := permissions.Compare(
			[]permissions.Need{{Function: "f", Action: "s3:GetObject", Resource: test.resource}},
			role("f", template.Statement{Effect: "Allow", Actions: []string{"S3:Get*"}, Resources: []string{test.pattern}}))
		if got := len(refused) == 0; got != test.want {
			t.Errorf("%q allows %q: %v, want %v", test.pattern, test.resource, got, test.want)
		}
	}
}

// TestOpenARNs: region and account may stand open where a condition closes the
// region, and there alone.
func TestOpenARNs(t *testing.T) {
	arn := "arn:aws:ses:" + template.Region + ":" + template.AccountID + ":identity/example.org"
	needs := []permissions.Need{{Function: "delivery", Action: "ses:SendEmail", Resource: arn}}
	region := func(name string) map[string]any {
		return map[string]any{"StringEquals": map[string]any{"aws:RequestedRegion": name}}
	}
	for _, test := range []struct {
		name            string
		resource        string
		conditions      map[string]any
		refused, unused int
	}{
		{"closed", "arn:aws:ses:*:*:identity/example.org", region(template.Region), 0, 0},
		{"written out, under the condition", arn, region(template.Region), 0, 0},
		{"open", "arn:aws:ses:*:*:identity/example.org", nil, 0, 1},
		{"another region", "arn:aws:ses:*:*:identity/example.org", region("us-west-2"), 1, 1},
		{"another identity", "arn:aws:ses:*:*:identity/example.com", region(template.Region), 1, 1},
		{"all identities", "arn:aws:ses:*:*:identity/*", region(template.Region), 0, 1},
		{"everything", "*", region(template.Region), 0, 1},
		{"account alone open", "arn:aws:ses:" + template.Region + ":*:identity/example.org", region(template.Region), 0, 1},
		{"a further condition", arn, map[string]any{"StringEquals": map[string]any{"aws:RequestedRegion": template.Region, "ses:FromAddress": "x"}}, 1, 0},
	} {
		refused, unused := permissions.Compare(needs, role("delivery", template.Statement{
			Effect: "Allow", Actions: []string{"ses:SendEmail"}, Resources: []string{test.resource}, Conditions: test.conditions}))
		if len(refused) != test.refused || len(unused) != test.unused {
			t.Errorf("%s: refused %v, unused %v", test.name, refused, unused)
		}
	}
}

// TestManagedPolicies: nobody can see in the template what one allows.
func TestManagedPolicies(t *testing.T) {
	console := role("console")
	f := console.Functions["function"]
	f.Managed = []string{"arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}
	console.Functions["function"] = f
	_, unused := permissions.Compare(nil, console)
	if d := cmp.Diff([]string{"console " + f.Managed[0] + ": * on *"}, texts(unused)); d != "" {
		t.Errorf("unused (-want +got):\n%s", d)
	}
}

func TestWhatLambdaDoesItself(t *testing.T) {
	console := role("console")
	console.Resources = map[string]template.Resource{"function": {Properties: map[string]any{
		"Tracing": "Active", "LoggingConfig": map[string]any{"LogGroup": "memberkey-ConsoleLog"}}}}
	group := " on arn:aws:logs:" + template.Region + ":" + template.AccountID + ":log-group:memberkey-ConsoleLog:*"
	want := []string{"console logs:CreateLogStream" + group, "console logs:PutLogEvents" + group,
		"console xray:PutTraceSegments on *", "console xray:PutTelemetryRecords on *"}
	if d := cmp.Diff(want, texts(permissions.Lambda(console))); d != "" {
		t.Errorf("needs (-want +got):\n%s", d)
	}
	console.Resources = nil
	if d := cmp.Diff([]string(nil), texts(permissions.Lambda(console))); d != "" {
		t.Errorf("without log group and traces (-want +got):\n%s", d)
	}
}

// role is a template of one function.
func role(folder string, statements ...template.Statement) *template.Template {
	return &template.Template{Functions: map[string]template.Function{"function": {Folder: folder, Statements: statements}}}
}

func texts[T interface{ String() string }](all []T) (out []string) {
	for _, v := range all {
		out = append(out, v.String())
	}
	return out
}
