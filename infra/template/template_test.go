package template_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/infra/template"
)

// small has one of everything that Read resolves.
const small = `
Parameters:
  Size: {Type: Number, Default: 3}
  Names: {Type: CommaDelimitedList, Default: "a,b"}
  Flag: {Type: String, Default: "", AllowedValues: ["", yes]}
Mappings:
  Sizes: {few: {Days: 14}}
Conditions:
  Flagged: !Not [!Equals [!Ref Flag, ""]]
  Both: !And [!Condition Flagged, !Or [!Equals [!Ref Size, "3"], !Equals [1, 2]]]
Globals:
  Function:
    Timeout: 5
    Environment: {Variables: {EVERY: "1"}}
Resources:
  JobsQueue:
    Type: AWS::SQS::Queue
    Properties: {QueueName: !Sub "${AWS::StackName}-jobs", VisibilityTimeout: 90, RedrivePolicy: {deadLetterTargetArn: !GetAtt Letters.Arn, maxReceiveCount: 5}}
  Letters: {Type: AWS::SQS::Queue}
  Things: {Type: AWS::DynamoDB::Table}
  DoWorkRole:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyName: p
          PolicyDocument:
            Statement:
              - {Sid: One, Effect: Allow, Action: "dynamodb:Get*", Resource: [!GetAtt Things.Arn, !Sub "${Things.Arn}/index/x"]}
              - Sid: Two
                Effect: Allow
                Action: [a:b]
                Resource: !Split [",", !Sub ["x${list}", {list: !Join [",x", !Ref Names]}]]
                Condition: {StringEquals: {"aws:RequestedRegion": !Ref AWS::Region}}
  DoWorkFunction:
    Type: AWS::Serverless::Function
    Properties:
      Role: !GetAtt DoWorkRole.Arn
      MemorySize: !Select [1, [128, 256]]
      Environment:
        Variables:
          QUEUE: !Ref JobsQueue
          DAYS: !FindInMap [Sizes, few, Days]
          NONE: !If [Both, !Ref Flag, !Ref AWS::NoValue]
          LITERAL: !Sub "${!x}"
      Events:
        Jobs: {Type: SQS, Properties: {Queue: !GetAtt JobsQueue.Arn, BatchSize: 10, MaximumBatchingWindowInSeconds: 2, ScalingConfig: {MaximumConcurrency: 4}, FunctionResponseTypes: [ReportBatchItemFailures]}}
        Clock: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 minute), Input: "{}"}}
        Get: {Type: HttpApi, Properties: {Method: GET, Path: /x, Auth: {Authorizer: NONE}}}
  Extra: {Type: AWS::SNS::Topic, Condition: Flagged}
Outputs:
  Extra: {Condition: Flagged, Value: !Ref Extra}
  Live: {Value: !Ref DoWorkFunction.Alias}
`

func TestRead(t *testing.T) {
	got, err := template.Read([]byte(small), nil)
	if err != nil {
		t.Fatal(err)
	}
	const sqs = "https://sqs.eu-central-1.amazonaws.com/123456789012/"
	want := template.Function{
		LogicalID: "DoWorkFunction", Folder: "do-work", Name: "memberkey-DoWorkFunction",
		ARN: "arn:aws:lambda:eu-central-1:123456789012:function:memberkey-DoWorkFunction", Timeout: 5 * time.Second, Memory: 256,
		Environment: map[string]string{"EVERY": "1", "QUEUE": sqs + "memberkey-jobs", "DAYS": "14", "LITERAL": "${x}"},
		Statements: []template.Statement{
			{Sid: "One", Effect: "Allow", Actions: []string{"dynamodb:Get*"}, Resources: []string{
				"arn:aws:dynamodb:eu-central-1:123456789012:table/memberkey-Things", "arn:aws:dynamodb:eu-central-1:123456789012:table/memberkey-Things/index/x",
			}},
			{Sid: "Two", Effect: "Allow", Actions: []string{"a:b"}, Resources: []string{"xa", "xb"}, Conditions: map[string]any{"StringEquals": map[string]any{"aws:RequestedRegion": "eu-central-1"}}},
		},
		Events: []template.Event{
			{Name: "Clock", Type: "ScheduleV2", Schedule: "rate(1 minute)", Input: "{}"},
			{Name: "Get", Type: "HttpApi", Method: "GET", Path: "/x", Public: true},
			{Name: "Jobs", Type: "SQS", Queue: "JobsQueue", BatchSize: 10, BatchingWindow: 2 * time.Second, MaximumConcurrency: 4, PartialFailures: true},
		},
	}
	if diff := cmp.Diff(want, got.Functions["DoWorkFunction"]); diff != "" {
		t.Errorf("the function (-want +got):\n%s", diff)
	}
	queue := template.Queue{
		LogicalID: "JobsQueue", Name: "memberkey-jobs", URL: sqs + "memberkey-jobs", ARN: "arn:aws:sqs:eu-central-1:123456789012:memberkey-jobs",
		Visibility: 90 * time.Second, DeadLetters: "Letters", MaxReceiveCount: 5,
	}
	if diff := cmp.Diff(queue, got.Queues["JobsQueue"]); diff != "" {
		t.Errorf("the queue (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"Live": "arn:aws:lambda:eu-central-1:123456789012:function:memberkey-DoWorkFunction:live"}, got.Outputs); diff != "" {
		t.Errorf("the outputs (-want +got):\n%s", diff)
	}
	flagged, err := template.Read([]byte(small), template.Parameters{"Flag": "yes"})
	if err != nil {
		t.Fatal(err)
	}
	if flagged.Functions["DoWorkFunction"].Environment["NONE"] != "yes" || flagged.Outputs["Extra"] != "arn:aws:sns:eu-central-1:123456789012:memberkey-Extra" {
		t.Errorf("conditions: %v, %v", flagged.Functions["DoWorkFunction"].Environment, flagged.Outputs)
	}
}

// What cannot be resolved is an error that tells where, never a guess.
func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"an unknown name":               {"QUEUE: !Ref JobsQueue", "QUEUE: !Ref JobQueue", `DoWorkFunction: Environment: Variables: QUEUE: Ref: there is no parameter or resource "JobQueue"`},
		"an unknown function":           {`!Ref JobsQueue`, `!ImportValue x`, "Fn::ImportValue: cannot resolve x"},
		"an unknown condition":          {"[Both,", "[Neither,", `there is no condition "Neither"`},
		"an unknown place in a mapping": {"few, Days", "many, Days", "cannot resolve"},
		"what its condition leaves out": {"{Value: !Ref DoWorkFunction.Alias}", "{Value: !Ref Extra}", "output Live: Ref: Extra is referred to, but condition Flagged leaves it out"},
		"an ARN of an unknown kind":     {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "how the ARN of a AWS::S3::Bucket looks is not known here"},
		"an unknown event":              {"Type: ScheduleV2", "Type: S3", `event Clock is a "S3"`},
		"no role":                       {"!GetAtt DoWorkRole.Arn", "arn:aws:iam::123456789012:role/other", "DoWorkFunction has no role in the template"},
		"no actions":                    {"Action: [a:b]", "NotAction: [a:b]", `statement "Two": its actions are <nil>`},
		"a list in a text":              {`"${!x}"`, `"${Names}"`, "${Names} is a list"},
		"a name twice":                  {"  Letters: {Type: AWS::SQS::Queue}", "  Letters: {Type: AWS::SQS::Queue}\n  Letters: {Type: AWS::SQS::Queue}", "line 20: Letters stands twice"},
		"no YAML":                       {"Parameters:", "Parameters: [", "yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(small, c.old, c.new, 1)
			if text == small {
				t.Fatal("nothing was replaced")
			}
			if _, err := template.Read([]byte(text), nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %s", err, c.want)
			}
		})
	}
	for _, parameters := range []template.Parameters{{"Flag": "no"}, {"Size": "many"}, {"Sise": "3"}} {
		if _, err := template.Read([]byte(small), parameters); err == nil {
			t.Errorf("%v is taken", parameters)
		}
	}
	if _, err := template.Read(nil, nil); err == nil {
		t.Error("nothing at all is taken")
	}
}

func TestStatementAllows(t *testing.T) {
	s := template.Statement{Effect: "Allow", Actions: []string{"dynamodb:Get*"}, Resources: []string{"arn:aws:x:::a.b", "arn:aws:x:::c?/*"}}
	for _, c := range []struct {
		action, resource string
		want             bool
	}{
		{"dynamodb:GetItem", "arn:aws:x:::a.b", true},
		{"DynamoDB:getitem", "arn:aws:x:::a.b", true},
		{"dynamodb:PutItem", "arn:aws:x:::a.b", false},
		{"dynamodb:GetItem", "arn:aws:x:::a-b", false},
		{"dynamodb:GetItem", "arn:aws:x:::A.b", false},
		{"dynamodb:GetItem", "arn:aws:x:::a.bc", false},
		{"dynamodb:GetItem", "arn:aws:x:::cd/e/f", true},
		{"dynamodb:GetItem", "arn:aws:x:::c/e", false},
	} {
		if got := s.Allows(c.action, c.resource); got != c.want {
			t.Errorf("%s on %s: %t", c.action, c.resource, got)
		}
	}
	if s.Effect = "Deny"; s.Allows("dynamodb:GetItem", "arn:aws:x:::a.b") {
		t.Error("a denial allows")
	}
}
