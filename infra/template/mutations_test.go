package template_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/memberkey/memberkey/infra/template"
)

// Each line is a way to harm the installation by an edit of template.yaml; the
// check beside it must notice.
func TestEveryCheckCanFail(t *testing.T) {
	text := readText(t)
	for _, m := range []struct {
		harm     string
		check    check
		old, new string // old is a pattern; its first match is replaced
	}{
		{"a role that two functions share", checkNaming, `Role: !GetAtt ResetsRole.Arn`, `Role: !GetAtt MailingsRole.Arn`},
		{"a log group of another name", checkNaming, `/aws/lambda/\$\{AWS::StackName\}-signin`, `/aws/lambda/$${AWS::StackName}-members`},
		{"a function that SAM builds its own way", checkNaming, `Metadata: \{BuildMethod: makefile\}`, `Metadata: {BuildMethod: go1.x}`},

		{"logs kept for ever", checkLogs, `(-profiles\n)      RetentionInDays: .*\n`, `$1`},
		{"a function that writes where Lambda wants", checkLogs, `LoggingConfig: \{LogGroup: !Ref FanoutLogs\}`, `LoggingConfig: {LogGroup: /elsewhere}`},
		{"tracing on", checkLogs, `      Timeout: 5\n`, "      Timeout: 5\n      Tracing: Active\n"},

		{"the path in the access log", checkAccessLog, `\$context.routeKey`, `$$context.path`},
		{"the query in the access log", checkAccessLog, `"from":"`, `"query":"$$context.queryString","from":"`},
		{"an access log that is no JSON", checkAccessLog, `"\$context.requestId",`, `$$context.requestId,`},

		{"a table without a key", checkEncryption, `SSESpecification: \{SSEEnabled: true\}`, `SSESpecification: {SSEEnabled: false}`},
		{"a queue in the clear", checkEncryption, `SqsManagedSseEnabled: true`, `SqsManagedSseEnabled: false`},
		{"a queue without TLS", checkEncryption, `!Ref BulkDeadLetters, !Ref SweepDeadLetters\]`, `!Ref BulkDeadLetters]`},
		{"a policy that denies nothing", checkEncryption, `(?s)(QueuesPolicy:.*?)aws:SecureTransport: "false"`, `${1}aws:SecureTransport: "true"`},
		{"a topic in the clear", checkEncryption, `KmsMasterKeyId: .*`, `DisplayName: mail`},
		{"mail without TLS", checkEncryption, `TlsPolicy: REQUIRE`, `TlsPolicy: OPTIONAL`},

		{"a table that cannot be restored", checkTables, `PointInTimeRecoveryEnabled: true`, `PointInTimeRecoveryEnabled: false`},
		{"links that can be restored", checkTables, `(?s)(  LinksTable:.*?BillingMode: PAY_PER_REQUEST\n)`, "$1      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}\n"},
		{"a table that goes with the stack", checkTables, `(  ProfilesTable: .*\n.*\n    DeletionPolicy: )Retain`, `${1}Delete`},
		{"a user pool that goes with the stack", checkTables, `DeletionPolicy: Retain`, `DeletionPolicy: Delete`},
		{"sessions for ever", checkTables, `(?s)(  SessionsTable:.*?)      TimeToLive[^\n]*\n`, `$1`},

		{"a queue without dead letters", checkDeadLetters, `      RedrivePolicy: .*SingleDeadLetters.*\n`, ``},
		{"dead letters that any queue fills", checkDeadLetters, `redrivePermission: denyAll`, `redrivePermission: allowAll`},
		{"a message that comes back too soon", checkDeadLetters, `VisibilityTimeout: 900`, `VisibilityTimeout: 300`},
		{"a whole batch repeated for one message", checkDeadLetters, `            FunctionResponseTypes: \[ReportBatchItemFailures\]\n`, ``},
		{"a schedule that leaves no trace", checkDeadLetters, `            DeadLetterConfig: .*\n`, ``},
		{"sweeps that pile up", checkDeadLetters, `      EventInvokeConfig: .*\n`, ``},
		{"mail events that are lost", checkDeadLetters, `      RedrivePolicy: \{deadLetterTargetArn: !GetAtt EventsDeadLetters.Arn\}\n`, ``},

		{"pages that read one item too often", checkAPI, `"GET /portal/\{org\}/sign-in": \{[^}]*\}\n`, "\"GET /portal/{org}/sign-in\": {ThrottlingRateLimit: 2000, ThrottlingBurstLimit: 2000}\n"},
		{"a removed alarm", checkAlarms, `(?s)  DeliveryThrottles:\n.*?\n\n`, ``},
		{"a removed alarm of dead letters", checkAlarms, `(?s)  EventsQueueDeadLetters:\n.*?\n\n`, ``},
		{"an alarm that nobody asked for", checkAlarms, `  BounceRate:\n`, "  BouncedRate:\n"},
		{"an alarm that looks elsewhere", checkAlarms, `(?s)(  SigninDuration:.*?Value: !Ref )SigninFunction`, `${1}ResetsFunction`},
		{"an alarm that rings too late", checkAlarms, `Threshold: 0.02`, `Threshold: 0.2`},
		{"a queue in which members may wait for a day", checkAlarms, `Threshold: 300\n`, "Threshold: 86400\n"},
		{"an alarm that rings tomorrow", checkAlarms, `EvaluationPeriods: 6\n`, "EvaluationPeriods: 288\n"},
		{"an alarm that waits for other words", checkAlarms, `nobody can be mailed`, `no one can be mailed`},
		{"an alarm without a page", checkAlarms, ` Runbook: infra/runbooks/api.md#server-errors`, ``},
		{"an alarm that tells nobody", checkAlarms, `      AlarmActions: .*\n`, ``},
		{"an alarm that rings at night for nothing", checkAlarms, `TreatMissingData: notBreaching`, `TreatMissingData: breaching`},
		{"5xx answers that nobody counts", checkAlarms, `status >= 500`, `status >= 600`},
		{"a limit of time whose alarm stayed", checkAlarms, `Timeout: 29\n`, "Timeout: 20\n"},

		{"every action", checkWildcards, `Action: \[dynamodb:GetItem,`, `Action: ["dynamodb:*",`},
		{"every table", checkWildcards, `Resource: !GetAtt LinksTable.Arn`, `Resource: "*"`},
		{"a table and its likes", checkWildcards, `Resource: !GetAtt LinksTable.Arn`, `Resource: !Sub "$${LinksTable.Arn}*"`},
		{"a wildcard whose reason went", checkWildcards, `# reason: quota and pause`, `# quota and pause`},
		{"all but one", checkWildcards, `(Sid: Ring, Effect: Allow, )Action:`, `${1}NotAction:`},

		{"anybody's role", checkRoles, `(?s)(  ConsoleRole:.*?Service: )lambda.amazonaws.com`, `${1}ec2.amazonaws.com`},
		{"a policy that is not written here", checkRoles, `(?s)(  ConsoleRole:.*?    Properties:\n)`, "$1      ManagedPolicyArns: [arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess]\n"},
		{"a role out of bounds", checkRoles, `      PermissionsBoundary: .*\n`, ``},
		{"a policy beside the role", checkRoles, `      Timeout: 5\n`, "      Timeout: 5\n      Policies: [AWSLambdaBasicExecutionRole]\n"},

		{"delivery reads hashes", checkTablesOfFunctions, `(Sid: Links, Effect: Allow, Action: \[dynamodb:PutItem\], Resource: )!GetAtt LinksTable.Arn`, `$1[!GetAtt LinksTable.Arn, !GetAtt CredentialsTable.Arn]`},
		{"profiles writes hashes", checkTablesOfFunctions, `(?s)(ProfilesRole:.*?Sid: Activity, .*?Resource: )!GetAtt ActivityTable.Arn`, `$1[!GetAtt ActivityTable.Arn, !GetAtt CredentialsTable.Arn]`},
		{"a removed permission", checkTablesOfFunctions, `(?s)(SigninRole:.*?) *- \{Sid: Sessions, [^\n]*\n`, `$1`},
		{"a function that reads all", checkTablesOfFunctions, `dynamodb:GetItem,`, `dynamodb:GetItem, dynamodb:Scan,`},
		{"a queue that cannot be rung", checkTablesOfFunctions, `Resource: \[!GetAtt FanoutQueue.Arn, !GetAtt SingleQueue.Arn\]`, `Resource: [!GetAtt SingleQueue.Arn]`},
		{"a bell for a stranger", checkTablesOfFunctions, `(?s)(ResetsRole:.*?Sid: Ring, .*?Resource: )\[`, `$1[!GetAtt BulkQueue.Arn, `},

		{"everybody mails", checkMail, `(Sid: Account, Effect: Allow, Action: \[ses:GetAccount)\]`, `$1, ses:SendEmail]`},
		{"mail as anybody", checkMail, `identity/\$\{domain\}`, `identity/*`},
		{"mail without a configuration set", checkMail, ` *- !Sub arn:[^\n]*configuration-set/\$\{ConfigurationSet\}\n`, ``},
		{"a further Sender that cannot mail", checkMail, ` *- !Sub \[[^\n]*!Select \[1, [^\n]*\n( *- [^\n]*\n){3}`, ``},

		{"opens are followed", checkMailEvents, `MatchingEventTypes: \[send,`, `MatchingEventTypes: [send, open,`},
		{"bounces are not told", checkMailEvents, `bounce, complaint, reject`, `complaint, reject`},
		{"links are rewritten", checkMailEvents, `SendingOptions: .*`, `TrackingOptions: {CustomRedirectDomain: click.example.org}`},
		{"events in an envelope", checkMailEvents, `RawMessageDelivery: true`, `RawMessageDelivery: false`},
		{"events of anybody", checkMailEvents, `ArnEquals: \{aws:SourceArn: !Ref MailEventsTopic\}`, `StringEquals: {aws:SourceAccount: !Ref AWS::AccountId}`},

		{"staff's routes for everybody", checkAPI, `DefaultAuthorizer: Staff`, `EnableIamAuthorizer: false`},
		{"tokens of another issuer", checkAPI, `issuer: !If .*`, `issuer: https://other.example.org`},
		{"a flood of hashes", checkAPI, ` *"POST /portal/\{org\}/sign-in": .*\n`, ``},
		{"a console that may not ask the pool's sign-in", checkAPI, `\.ProviderURL\} https://\$\{StaffDomain\}[^"]*`, `.ProviderURL}`},
		{"a console that may ask others", checkAPI, `\$\{Issuer\} \$\{IssuerOrigins\}`, `https:`},
		{"a limit above the limit", checkAPI, `ThrottlingRateLimit: 20,`, `ThrottlingRateLimit: 2000,`},

		{"parameters that never arrive", checkDeployment, `      AutoPublishAliasAllProperties: true\n`, ``},
		{"no way back", checkDeployment, `DeploymentPreference: \{Alarms: \[!Ref SigninErrors, !Ref SigninThrottles\]\}`, `DeploymentPreference: {Alarms: [!Ref SigninErrors]}`},
		{"all at once everywhere", checkDeployment, `!FindInMap \[Environments, !Ref Environment, Deployment\]`, `Linear10PercentEvery1Minute`},

		{"a hash on half a core", checkSizes, `MemorySize: 1769`, `MemorySize: 896`},
		{"a function that outlives its lease", checkSizes, `Timeout: 145`, `Timeout: 160`},
		{"a bell's work beyond the alarm", checkSizes, `BUDGET: 110s`, `BUDGET: 130s`},
		{"a function that API Gateway does not wait for", checkSizes, `Timeout: 29\n`, "Timeout: 60\n"},

		{"a dashboard that nobody can open", checkDashboard, `"periodOverride": "inherit",`, `"periodOverride": "inherit"`},
	} {
		t.Run(m.harm, func(t *testing.T) {
			once := false
			broken := regexp.MustCompile(m.old).ReplaceAllStringFunc(text, func(match string) string {
				if once {
					return match
				}
				once = true
				return regexp.MustCompile(m.old).ReplaceAllString(match, m.new)
			})
			if broken == text {
				t.Fatalf("nothing in template.yaml is %s", m.old)
			}
			var complaints []string
			wrong := func(format string, args ...any) { complaints = append(complaints, fmt.Sprintf(format, args...)) }
			for _, parameters := range []template.Parameters{template.Example(), prod()} {
				read, err := template.Read([]byte(broken), parameters)
				if err != nil {
					wrong("%v", err) // a reference that leads nowhere is noticed by every test
					break
				}
				if m.check(&stack{read, broken}, wrong); len(complaints) > 0 {
					break
				}
			}
			if len(complaints) == 0 {
				t.Error("nobody noticed")
			}
			t.Log(strings.Join(complaints, "\n"))
		})
	}
}

// A variable more or less than the function reads, and one that is empty.
func TestEnvironmentCheckCanFail(t *testing.T) {
	reads := map[string][]string{}
	whole := readStack(t, readText(t), template.Example())
	for _, f := range whole.Functions {
		for name := range f.Environment {
			if name != "GOMEMLIMIT" {
				reads[f.Folder] = append(reads[f.Folder], name)
			}
		}
	}
	if faults := environmentFaults(whole, reads); len(faults) > 0 {
		t.Fatal(faults)
	}
	for harm, edit := range map[string][2]string{
		"one is missing":  {"          GROUP_CLAIM: !Ref GroupClaim\n", ""},
		"one too many":    {"          GRACE: 15m\n", "          GRACE: 15m\n          SENDER: example.org\n"},
		"one is empty":    {"BUDGET: 110s", `BUDGET: ""`},
		"one is misspelt": {"LINKS_TABLE:", "LINK_TABLE:"},
	} {
		broken := strings.Replace(readText(t), edit[0], edit[1], 1)
		if faults := environmentFaults(readStack(t, broken, template.Example()), reads); len(faults) != 1 {
			t.Errorf("%s: %q", harm, faults)
		}
	}
}
