package template_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/memberkey/memberkey/infra/template"
	"github.com/memberkey/memberkey/shared/mailing"
)

// One stem from the folder to the runbook. Alarms and their pages are
// checkAlarms' matter.
func TestNaming(t *testing.T) {
	holds(t, checkNaming)
	s := readStack(t, readText(t), template.Example())
	want := map[string]bool{}
	for _, folder := range folders(t) {
		want[stemOf(folder)+"Function"] = true
	}
	for id := range s.Functions {
		if !want[id] {
			t.Errorf("%s has no functions/%s/lambda", id, template.Folder(id))
		}
		delete(want, id)
	}
	for id := range want {
		t.Errorf("functions/%s/lambda is no function of template.yaml; want %s", template.Folder(id), id)
	}
}

func checkNaming(s *stack, wrong func(string, ...any)) {
	roles := map[string]string{}
	for id, f := range s.Functions {
		stem := strings.TrimSuffix(id, "Function")
		if stemOf(f.Folder) != stem {
			wrong("%s stands for the folder %s, which would be %sFunction", id, f.Folder, stemOf(f.Folder))
		}
		if want := template.StackName + "-" + f.Folder; f.Name != want {
			wrong("%s is named %s; want %s", id, f.Name, want)
		}
		if got, want := s.text(stem+"Logs", "LogGroupName"), "/aws/lambda/"+f.Name; got != want {
			wrong("the log group %sLogs is named %q; want %s", stem, got, want)
		}
		if got, want := s.text(id, "Role"), s.roleARN(stem+"Role"); got != want {
			wrong("%s has the role %s; want %s", id, got, want)
		}
		if other := roles[s.text(id, "Role")]; other != "" {
			wrong("%s and %s share a role", id, other)
		}
		roles[s.text(id, "Role")] = id
		if s.Resources[id].Metadata["BuildMethod"] != "makefile" {
			wrong("%s is not built by make", id)
		}
	}
	for id, q := range s.Queues {
		if want := template.StackName + "-" + template.Stem(id); q.Name != want {
			wrong("%s is named %s; want %s", id, q.Name, want)
		}
	}
	for _, id := range s.of("AWS::DynamoDB::Table") {
		if !strings.HasSuffix(id, "Table") || s.at(id, "TableName") != nil {
			wrong("%s: a table is named after what it holds, and by CloudFormation, so that it can be replaced", id)
		}
	}
}

func (s *stack) roleARN(id string) string {
	if _, ok := s.Resources[id]; !ok {
		return "no " + id
	}
	return fmt.Sprintf("arn:%s:iam::%s:role/%s-%s", template.Partition, template.AccountID, template.StackName, id)
}

// What a function says is kept for as long as the environment asks, in a group
// that ends with the stack.
func TestLogs(t *testing.T) { holds(t, checkLogs) }

func checkLogs(s *stack, wrong func(string, ...any)) {
	for _, id := range s.of("AWS::Logs::LogGroup") {
		if days, ok := s.at(id, "RetentionInDays").(int); !ok || days < 14 || days > 365 {
			wrong("%s keeps its lines for %v days; want what the environment says", id, s.at(id, "RetentionInDays"))
		}
	}
	for id := range s.Functions {
		logs := strings.TrimSuffix(id, "Function") + "Logs"
		if group := s.text(id, "LoggingConfig", "LogGroup"); group == "" || group != s.text(logs, "LogGroupName") {
			wrong("%s writes to %q, not to %s", id, group, logs)
		}
		if s.text(id, "LoggingConfig", "LogFormat") != "JSON" || s.text(id, "LoggingConfig", "ApplicationLogLevel") != "INFO" {
			wrong("%s does not log as JSON from INFO on: its figures would be lost", id)
		}
		if tracing := s.text(id, "Tracing"); tracing != "" {
			wrong("%s: tracing is %s; it is off, and the reason stands in the template", id, tracing)
		}
	}
}

// The access log tells the route and never the path or the query, which hold
// tokens and names.
func TestAccessLogHoldsNoPath(t *testing.T) { holds(t, checkAccessLog) }

func checkAccessLog(s *stack, wrong func(string, ...any)) {
	harmless := []string{
		"requestTimeEpoch", "requestId", "routeKey", "status", "responseLength", "responseLatency", "integrationLatency",
		"integrationStatus", "identity.sourceIp", "error.responseType", "authorizer.error",
	}
	format := s.text("Api", "AccessLogSettings", "Format")
	if !json.Valid([]byte(format)) {
		wrong("the access log is no JSON: %s", format)
	}
	for _, m := range regexp.MustCompile(`\$([A-Za-z]+)\.([A-Za-z.]+)`).FindAllStringSubmatch(format, -1) {
		if m[1] != "context" || !slices.Contains(harmless, m[2]) {
			wrong("the access log holds %s", m[0])
		}
	}
	if !strings.Contains(format, `"$context.routeKey"`) {
		wrong("the access log does not tell the route")
	}
	if s.text("Api", "AccessLogSettings", "DestinationArn") == "" {
		wrong("there is no access log")
	}
}

// At rest with a key, on the way with TLS.
func TestEncryption(t *testing.T) { holds(t, checkEncryption) }

func checkEncryption(s *stack, wrong func(string, ...any)) {
	for _, id := range s.of("AWS::DynamoDB::Table") {
		if s.at(id, "SSESpecification", "SSEEnabled") != true {
			wrong("%s is not encrypted with a key of the account", id)
		}
	}
	covered := map[string]int{}
	for _, id := range s.of("AWS::SQS::QueuePolicy") {
		if !onlyTLS(s, id, "sqs:*") {
			wrong("%s does not refuse what comes without TLS", id)
		}
		for _, url := range s.list(id, "Queues") {
			covered[url]++
		}
	}
	for id, q := range s.Queues {
		if s.at(id, "SqsManagedSseEnabled") != true {
			wrong("%s is not encrypted", id)
		}
		if covered[q.URL] != 1 { // of two policies the queue would have the later one
			wrong("%s has %d policies; want one", id, covered[q.URL])
		}
	}
	for _, id := range s.of("AWS::SNS::TopicPolicy") {
		if !onlyTLS(s, id, "sns:Publish") {
			wrong("%s does not refuse what comes without TLS", id)
		}
		for _, topic := range s.list(id, "Topics") {
			covered[topic]++
		}
	}
	for _, id := range s.of("AWS::SNS::Topic") {
		if !strings.HasSuffix(s.text(id, "KmsMasterKeyId"), "-TopicsKey") {
			wrong("%s is not encrypted with TopicsKey", id)
		}
		if arn := "arn:aws:sns:" + template.Region + ":" + template.AccountID + ":" + template.StackName + "-" + id; covered[arn] != 1 {
			wrong("%s has %d policies; want one", id, covered[arn])
		}
	}
	for _, id := range s.of("AWS::KMS::Key") {
		if s.at(id, "EnableKeyRotation") != true {
			wrong("%s never changes", id)
		}
	}
	if got := s.text("ConfigurationSet", "DeliveryOptions", "TlsPolicy"); got != "REQUIRE" {
		wrong("mail may go without TLS: %s", got)
	}
	for _, id := range s.of("AWS::ApiGatewayV2::DomainName") {
		configurations, _ := s.at(id, "DomainNameConfigurations").([]any)
		for _, c := range configurations {
			if c.(map[string]any)["SecurityPolicy"] != "TLS_1_2" {
				wrong("%s speaks an old TLS", id)
			}
		}
	}
}

// onlyTLS says whether a resource's policy denies an action to everybody
// without TLS.
func onlyTLS(s *stack, id, action string) bool {
	statements, err := template.Policy(s.at(id, "PolicyDocument"))
	return err == nil && slices.ContainsFunc(statements, func(one template.Statement) bool {
		secure, _ := one.Conditions["Bool"].(map[string]any)
		return one.Effect == "Deny" && slices.Equal(one.Actions, []string{action}) && secure["aws:SecureTransport"] == "false" && len(one.Conditions) == 1
	})
}

// What must live can be restored and outlives the stack; what may go expires.
func TestTables(t *testing.T) { holds(t, checkTables) }

func checkTables(s *stack, wrong func(string, ...any)) {
	lives := map[string]bool{"ProfilesTable": true, "CredentialsTable": true, "MailingsTable": true, "ActivityTable": true, "SessionsTable": false, "LinksTable": false}
	expires := map[string]bool{"MailingsTable": true, "SessionsTable": true, "LinksTable": true}
	for _, id := range s.of("AWS::DynamoDB::Table") {
		must, known := lives[id]
		if !known {
			wrong("%s: say in this test whether it must live", id)
		}
		restorable := s.at(id, "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") == true
		policy := "Delete"
		if must {
			policy = "Retain"
		}
		if restorable != must {
			wrong("%s can be restored: %t; want %t", id, restorable, must)
		}
		if r := s.Resources[id]; r.DeletionPolicy != policy || r.UpdateReplacePolicy != policy {
			wrong("%s: DeletionPolicy %s, UpdateReplacePolicy %s; want %s", id, r.DeletionPolicy, r.UpdateReplacePolicy, policy)
		}
		if protected, want := s.at(id, "DeletionProtectionEnabled") == true, must && s.inProd(); protected != want {
			wrong("%s is protected from deletion: %t; want %t", id, protected, want)
		}
		if got := s.at(id, "TimeToLiveSpecification", "Enabled") == true && s.text(id, "TimeToLiveSpecification", "AttributeName") == "expires"; got != expires[id] {
			wrong("%s removes what has expired: %t; want %t", id, got, expires[id])
		}
		if s.text(id, "BillingMode") != "PAY_PER_REQUEST" {
			wrong("%s is not paid by request", id)
		}
		if keys := fmt.Sprint(s.at(id, "KeySchema")); keys != "[map[AttributeName:p KeyType:HASH] map[AttributeName:s KeyType:RANGE]]" {
			wrong("%s has the keys %s", id, keys)
		}
		indexes, _ := s.at(id, "GlobalSecondaryIndexes").([]any)
		if want := 0; id == "MailingsTable" && len(indexes) != 1 || id != "MailingsTable" && len(indexes) != want {
			wrong("%s has %d indexes", id, len(indexes))
		}
	}
	for _, id := range s.of("AWS::Cognito::UserPool") {
		if r := s.Resources[id]; r.DeletionPolicy != "Retain" || r.UpdateReplacePolicy != "Retain" {
			wrong("%s, with all the staff, goes with the stack", id)
		}
	}
	if len(s.Tables) != len(lives) {
		wrong("%d tables; want %d", len(s.Tables), len(lives))
	}
}

// inProd tells the two environments of [holds] apart: only the fullest has a
// domain of its own.
func (s *stack) inProd() bool { return len(s.of("AWS::ApiGatewayV2::DomainName")) > 0 }

// Whatever works behind the scenes and fails has a place where it can be found.
func TestWhatFailsIsKept(t *testing.T) { holds(t, checkDeadLetters) }

func checkDeadLetters(s *stack, wrong func(string, ...any)) {
	receives := map[string]string{} // dead-letter queues, and whose
	for id, q := range s.Queues {
		if q.DeadLetters == "" {
			if !strings.HasSuffix(id, "DeadLetters") {
				wrong("%s has no dead letters", id)
			}
			continue
		}
		receives[q.DeadLetters] = id
		if want := strings.TrimSuffix(id, "Queue") + "DeadLetters"; q.DeadLetters != want {
			wrong("%s sends what failed to %s; want %s", id, q.DeadLetters, want)
		}
		if q.MaxReceiveCount < 5 {
			wrong("%s gives up after %d attempts; want 5 at least", id, q.MaxReceiveCount)
		}
	}
	for id, q := range s.Queues {
		if q.Retention != 14*24*time.Hour {
			wrong("%s keeps messages for %s; want 14 days", id, q.Retention)
		}
		if !strings.HasSuffix(id, "DeadLetters") {
			continue
		}
		permission, sources := s.text(id, "RedriveAllowPolicy", "redrivePermission"), s.list(id, "RedriveAllowPolicy", "sourceQueueArns")
		if from, ok := receives[id]; ok && (permission != "byQueue" || !slices.Equal(sources, []string{s.Queues[from].ARN})) {
			wrong("%s takes from %s %v; want %s alone", id, permission, sources, from)
		} else if !ok && permission != "denyAll" {
			wrong("%s takes from any queue", id)
		}
	}
	fed := map[string]string{}
	for id, f := range s.Functions {
		for _, e := range f.Events {
			switch e.Type {
			case "SQS":
				q := s.Queues[e.Queue]
				if fed[e.Queue] != "" {
					wrong("%s feeds %s and %s", e.Queue, fed[e.Queue], id)
				}
				fed[e.Queue] = id
				if q.DeadLetters == "" {
					wrong("%s.%s: its queue has no dead letters", id, e.Name)
				}
				if least := 6*f.Timeout + e.BatchingWindow; q.Visibility < least {
					wrong("%s hides a message for %s; want %s at least, six times what %s may take", e.Queue, q.Visibility, least, id)
				}
				if !e.PartialFailures {
					wrong("%s.%s: one failed message would repeat its whole batch", id, e.Name)
				}
				if e.MaximumConcurrency < 2 {
					wrong("%s.%s: no limit of concurrency", id, e.Name)
				}
			case "ScheduleV2":
				properties, _ := s.at(id, "Events", e.Name, "Properties").(map[string]any)
				letters, _ := properties["DeadLetterConfig"].(map[string]any)
				if arn, _ := letters["Arn"].(string); !slices.ContainsFunc(slices.Collect(maps.Values(s.Queues)), func(q template.Queue) bool { return q.ARN == arn }) {
					wrong("%s.%s: a beat of the clock that does not arrive leaves no trace", id, e.Name)
				}
				if fmt.Sprint(properties["RetryPolicy"]) != "map[MaximumEventAgeInSeconds:60 MaximumRetryAttempts:0]" {
					wrong("%s.%s: beats of the clock pile up: %v", id, e.Name, properties["RetryPolicy"])
				}
				if fmt.Sprint(s.at(id, "EventInvokeConfig")) != "map[MaximumEventAgeInSeconds:60 MaximumRetryAttempts:0]" {
					wrong("%s: failed sweeps are repeated beside the next one: %v", id, s.at(id, "EventInvokeConfig"))
				}
				if role, _ := properties["RoleArn"].(string); role != s.roleARN("SweepRole") {
					wrong("%s.%s runs with %s", id, e.Name, role)
				}
			}
		}
	}
	for id, q := range s.Queues {
		if q.DeadLetters != "" && fed[id] == "" {
			wrong("nobody takes from %s", id)
		}
	}
	for _, id := range s.of("AWS::SNS::Subscription") {
		if s.text(id, "Protocol") == "sqs" && s.text(id, "RedrivePolicy", "deadLetterTargetArn") == "" {
			wrong("%s: what does not arrive is lost", id)
		}
	}
}

// Each thing that can go wrong has its alarm, each alarm a page that says what
// to do, and there is no alarm beside.
func TestAlarms(t *testing.T) { holds(t, checkAlarms) }

func checkAlarms(s *stack, wrong func(string, ...any)) {
	type alarm struct {
		metric, dimension, of string
		threshold             any
		page                  string
	}
	want := map[string]alarm{
		"BounceRate":         {"AWS/SES Reputation.BounceRate", "", "", 0.02, "mail-reputation.md#bounce-rate"},
		"ComplaintRate":      {"AWS/SES Reputation.ComplaintRate", "", "", 0.0005, "mail-reputation.md#complaint-rate"},
		"UncertainEntries":   {"Memberkey UncertainEntries", "function", template.StackName + "-fanout", 0, "uncertain-entries.md#uncertain"},
		"ApiServerErrors":    {"AWS/ApiGateway 5xx", "ApiId", template.StackName + "-Api", 1, "api.md#server-errors"},
		"DeliveryStopped":    {"Memberkey " + template.StackName + "-delivery-refusals", "", "", 0, "delivery.md#stopped"},
		"FanoutMissedSweeps": {"AWS/SQS ApproximateNumberOfMessagesVisible", "QueueName", s.Queues["SweepDeadLetters"].Name, 0, "fanout.md#missed-sweeps"},
	}
	if s.text("DeliveryRefusals", "LogGroupName") != s.text("DeliveryLogs", "LogGroupName") ||
		!strings.Contains(s.text("DeliveryRefusals", "FilterPattern"), `"`+mailing.NobodyCanBeMailed+`"`) ||
		!strings.Contains(fmt.Sprint(s.at("DeliveryRefusals", "MetricTransformations")), "MetricName:"+template.StackName+"-delivery-refusals ") {
		wrong("DeliveryRefusals does not count what delivery writes when SES refuses everybody")
	}
	for id, f := range s.Functions {
		stem, page := strings.TrimSuffix(id, "Function"), f.Folder+".md#"
		behindQueue := slices.ContainsFunc(f.Events, func(e template.Event) bool { return e.Type == "SQS" })
		threshold := 1 // %
		if behindQueue {
			threshold = 0
		}
		want[stem+"Errors"] = alarm{"AWS/Lambda Errors", "FunctionName", f.Name, threshold, page + "errors"}
		want[stem+"Throttles"] = alarm{"AWS/Lambda Throttles", "FunctionName", f.Name, 0, page + "throttles"}
		want[stem+"Duration"] = alarm{"AWS/Lambda Duration", "FunctionName", f.Name, int(f.Timeout.Milliseconds()) * 8 / 10, page + "duration"}
		if behindQueue {
			continue
		}
		// An answer of 5xx is no error to Lambda, but one to us.
		filter := stem + "ServerErrors"
		if s.text(filter, "LogGroupName") != s.text(stem+"Logs", "LogGroupName") || s.text(filter, "FilterPattern") != "{ $.status >= 500 }" {
			wrong("%s does not count the 5xx answers of %s", filter, id)
		}
		if metrics := fmt.Sprint(s.at(stem+"Errors", "Metrics")); !strings.Contains(metrics, "MetricName:"+f.Name+"-server-errors") ||
			!strings.Contains(fmt.Sprint(s.at(filter, "MetricTransformations")), "MetricName:"+f.Name+"-server-errors ") {
			wrong("%sErrors does not look at the 5xx answers", stem)
		}
	}
	// Seconds: a member waits for the first two, staff for the others.
	ages := map[string]int{"SingleQueue": 300, "FanoutQueue": 600, "EventsQueue": 900, "BulkQueue": 3600}
	for id, q := range s.Queues {
		if q.DeadLetters == "" {
			continue
		}
		page := template.Stem(id) + ".md#"
		want[id+"Age"] = alarm{"AWS/SQS ApproximateAgeOfOldestMessage", "QueueName", q.Name, ages[id], page + "age"}
		want[id+"DeadLetters"] = alarm{"AWS/SQS ApproximateNumberOfMessagesVisible", "QueueName", s.Queues[q.DeadLetters].Name, 0, page + "dead-letters"}
	}
	for _, id := range s.of("AWS::CloudWatch::Alarm") {
		w, ok := want[id]
		if !ok {
			wrong("%s: no rule asks for this alarm", id)
			continue
		}
		delete(want, id)
		watches := w.metric
		if w.dimension != "" {
			watches += " " + w.dimension + "=" + w.of
		}
		if got := s.metric(id); got != watches {
			wrong("%s watches %s; want %s", id, got, watches)
		}
		if got := fmt.Sprint(s.at(id, "Threshold")); got != fmt.Sprint(w.threshold) {
			wrong("%s rings from %s on; want %v", id, got, w.threshold)
		}
		if above := s.text(id, "ComparisonOperator"); above != "GreaterThanThreshold" && above != "GreaterThanOrEqualToThreshold" {
			wrong("%s: %s", id, above)
		}
		if periods, ok := s.at(id, "EvaluationPeriods").(int); !ok || periods < 1 || periods > 6 {
			wrong("%s rings after %v periods; want 1 to 6", id, s.at(id, "EvaluationPeriods"))
		}
		if s.text(id, "TreatMissingData") != "notBreaching" {
			wrong("%s rings where nothing is measured", id)
		}
		if actions := s.list(id, "AlarmActions"); len(actions) != 1 || actions[0] != fmt.Sprint(s.Outputs["AlarmTopic"]) {
			wrong("%s tells %v", id, actions)
		}
		description := s.text(id, "AlarmDescription")
		if !strings.HasSuffix(description, " Runbook: infra/runbooks/"+w.page) {
			wrong("%s does not end with the page infra/runbooks/%s: %q", id, w.page, description)
		}
		if len(description) > 1024 {
			wrong("%s: its description is too long", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		wrong("there is no alarm %s", id)
	}
}

// metric tells what an alarm watches: namespace, metric and dimensions. Of
// several it is the one that makes the rate.
func (s *stack) metric(id string) string {
	of := s.Resources[id].Properties
	if several, ok := of["Metrics"].([]any); ok {
		for _, m := range several {
			one := m.(map[string]any)
			if name := one["Id"]; name == "errors" || name == "failed" {
				of = one["MetricStat"].(map[string]any)["Metric"].(map[string]any)
			}
		}
	}
	text := fmt.Sprintf("%v %v", of["Namespace"], of["MetricName"])
	dimensions, _ := of["Dimensions"].([]any)
	for _, d := range dimensions {
		text += fmt.Sprintf(" %v=%v", d.(map[string]any)["Name"], d.(map[string]any)["Value"])
	}
	return text
}

// The pages to which alarms send people are there, with the section.
func TestRunbooksOfAlarms(t *testing.T) {
	s := readStack(t, readText(t), template.Example())
	headings := map[string][]string{}
	for _, id := range s.of("AWS::CloudWatch::Alarm") {
		_, link, _ := strings.Cut(s.text(id, "AlarmDescription"), "Runbook: ")
		file, section, _ := strings.Cut(link, "#")
		if _, read := headings[file]; !read {
			text, err := os.ReadFile(filepath.Join(root, file))
			if err != nil {
				t.Errorf("%s: %v", id, err)
			}
			headings[file] = []string{}
			for line := range strings.Lines(string(text)) {
				if level, title, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.Trim(level, "#") == "" {
					headings[file] = append(headings[file], anchor(title))
				}
			}
		}
		if len(headings[file]) > 0 && !slices.Contains(headings[file], section) {
			t.Errorf("%s: %s has no section %q, only %q", id, file, section, headings[file])
		}
	}
}

// anchor is a heading's, as GitHub and most others make it.
func anchor(title string) string {
	title = regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(title), "")
	return strings.ReplaceAll(strings.TrimSpace(title), " ", "-")
}

// Nobody is allowed everything, or everywhere, unless the file says why.
func TestWildcardsHaveReasons(t *testing.T) { holds(t, checkWildcards) }

func checkWildcards(s *stack, wrong func(string, ...any)) {
	statements := 0
	var walk func(n *yaml.Node, above string)
	walk = func(n *yaml.Node, above string) {
		if n.Kind == yaml.MappingNode {
			fields := map[string]*yaml.Node{}
			for i := 0; i+1 < len(n.Content); i += 2 {
				fields[n.Content[i].Value] = n.Content[i+1]
			}
			if effect := fields["Effect"]; effect != nil {
				statements++
				for _, never := range []string{"NotAction", "NotResource", "NotPrincipal"} {
					if fields[never] != nil {
						wrong("line %d: %s allows what nobody named", n.Line, never)
					}
				}
				comment := n.HeadComment + above
				if len(n.Content) > 0 {
					comment += n.Content[0].HeadComment
				}
				for _, name := range []string{"Action", "Resource", "Principal"} {
					if effect.Value == "Allow" && wild(fields[name]) && !strings.Contains(comment, "# reason: ") {
						wrong("line %d: %s has a wildcard, and no comment beginning with \"# reason: \" says why", n.Line, name)
					}
				}
			}
		}
		for i, c := range n.Content {
			comment := ""
			if n.Kind == yaml.MappingNode && i%2 == 1 {
				comment = n.Content[i-1].HeadComment
			}
			walk(c, comment)
		}
	}
	var written yaml.Node
	if err := yaml.Unmarshal([]byte(s.source), &written); err != nil {
		wrong("%v", err)
	}
	walk(&written, "")
	if statements < 60 {
		wrong("only %d statements found: the search is broken", statements)
	}
}

func wild(n *yaml.Node) bool {
	if n == nil {
		return false
	}
	return n.Kind == yaml.ScalarNode && strings.ContainsAny(n.Value, "*?") || slices.ContainsFunc(n.Content, wild)
}

// A role is what is written here: no managed policy beside, within the boundary
// where there is one, taken on by one service alone.
func TestRoles(t *testing.T) { holds(t, checkRoles) }

func checkRoles(s *stack, wrong func(string, ...any)) {
	services := map[string]string{"SweepRole": "scheduler.amazonaws.com", "DeploymentRole": "codedeploy.amazonaws.com"}
	for _, id := range s.of("AWS::IAM::Role") {
		service, ok := services[id]
		if !ok {
			service = "lambda.amazonaws.com"
			if _, ok := s.Functions[strings.TrimSuffix(id, "Role")+"Function"]; !ok {
				wrong("%s is nobody's", id)
			}
		}
		trust, _ := s.at(id, "AssumeRolePolicyDocument", "Statement").([]any)
		if len(trust) != 1 || fmt.Sprint(trust[0].(map[string]any)["Principal"]) != "map[Service:"+service+"]" {
			wrong("%s can be taken on by %v; want %s alone", id, trust, service)
		}
		if s.at(id, "ManagedPolicyArns") != nil {
			wrong("%s has policies that are not written here: %v", id, s.at(id, "ManagedPolicyArns"))
		}
		if bounded := s.at(id, "PermissionsBoundary") != nil; bounded != s.inProd() {
			wrong("%s: the permissions boundary is not as the parameter says", id)
		}
		policies, _ := s.at(id, "Policies").([]any)
		sids := map[string]bool{}
		for _, p := range policies {
			statements, err := template.Policy(p.(map[string]any)["PolicyDocument"])
			if err != nil {
				wrong("%s: %v", id, err)
			}
			for _, one := range statements {
				if one.Sid == "" || sids[one.Sid] {
					wrong("%s: two statements named %q, or one without a name", id, one.Sid)
				}
				sids[one.Sid] = true
			}
		}
	}
	for id := range s.Functions {
		if s.at(id, "Policies") != nil || s.at(id, "Connectors") != nil || s.at(id, "VpcConfig") != nil {
			wrong("%s: what it may do stands in its role alone", id)
		}
	}
}

// Only credentials, completion and signin can touch hashes; what sends mail
// cannot read them (H24). A function that a table's name is given to may use
// the table, and no other.
func TestOnlyThreeFunctionsTouchHashes(t *testing.T) { holds(t, checkTablesOfFunctions) }

func checkTablesOfFunctions(s *stack, wrong func(string, ...any)) {
	verbs := []string{"GetItem", "BatchGetItem", "Query", "Scan", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "ConditionCheckItem", "DescribeTable", "PartiQLSelect"}
	for id, f := range s.Functions {
		for table, of := range s.Tables {
			var may []string
			for _, verb := range verbs {
				for _, arn := range []string{of.ARN, of.ARN + "/index/due"} {
					if slices.ContainsFunc(f.Statements, func(one template.Statement) bool { return one.Allows("dynamodb:"+verb, arn) }) {
						may = append(may, verb)
					}
				}
			}
			given := f.Environment[strings.ToUpper(strings.TrimSuffix(table, "Table"))+"_TABLE"] == of.Name
			if given != (len(may) > 0) {
				wrong("%s may %v on %s, and is given its name: %t", id, may, table, given)
			}
			if slices.Contains(may, "Scan") {
				wrong("%s may read all of %s", id, table)
			}
			if touches := slices.Contains([]string{"credentials", "completion", "signin"}, f.Folder); table == "CredentialsTable" && (len(may) > 0) != touches {
				wrong("%s may %v on the hashes", id, may)
			}
		}
		for queue, of := range s.Queues {
			rings := slices.ContainsFunc(f.Statements, func(one template.Statement) bool { return one.Allows("sqs:SendMessage", of.ARN) })
			name := strings.ToUpper(strings.ReplaceAll(template.Stem(queue), "-", "_"))
			if given := f.Environment[name] == of.URL; rings != given {
				wrong("%s may ring %s: %t, and is given its address: %t", id, queue, rings, given)
			}
			takes := slices.ContainsFunc(f.Statements, func(one template.Statement) bool { return one.Allows("sqs:ReceiveMessage", of.ARN) })
			if feeds := slices.ContainsFunc(f.Events, func(e template.Event) bool { return e.Queue == queue }); takes != feeds {
				wrong("%s may take from %s: %t, and is fed by it: %t", id, queue, takes, feeds)
			}
		}
	}
}

// SES is asked by whom, for what: delivery sends, and only as the Senders with
// our configuration set; profiles releases an address; fanout reads the quota.
func TestWhoMayMail(t *testing.T) { holds(t, checkMail) }

func checkMail(s *stack, wrong func(string, ...any)) {
	sends := []string{"ses:SendEmail", "ses:SendTemplatedEmail", "ses:SendBulkEmail", "ses:SendBulkTemplatedEmail"}
	want := map[string][]string{"delivery": sends, "profiles": {"ses:DeleteSuppressedDestination"}, "fanout": {"ses:GetAccount"}}
	for id, f := range s.Functions {
		var may, on []string
		for _, one := range f.Statements {
			for _, action := range one.Actions {
				if strings.HasPrefix(strings.ToLower(action), "ses:") {
					may, on = append(may, action), one.Resources
				}
			}
		}
		if !slices.Equal(may, want[f.Folder]) {
			wrong("%s may %v; want %v", id, may, want[f.Folder])
		}
		if f.Folder != "delivery" {
			continue
		}
		domains := []string{"example.org"}
		if s.inProd() {
			domains = []string{"example.com", "example.org"}
		}
		ses := "arn:aws:ses:" + template.Region + ":" + template.AccountID + ":"
		resources := []string{ses + "configuration-set/" + f.Environment["CONFIGURATION_SET"]}
		for _, domain := range domains {
			resources = append(resources, ses+"identity/"+domain)
		}
		slices.Sort(on)
		if on = slices.Compact(on); !slices.Equal(on, resources) {
			wrong("delivery may send as %v; want %v", on, resources)
		}
	}
}

// SES tells what became of a mail, and nobody follows what people open.
func TestMailEvents(t *testing.T) { holds(t, checkMailEvents) }

func checkMailEvents(s *stack, wrong func(string, ...any)) {
	types := s.list("MailEvents", "EventDestination", "MatchingEventTypes")
	slices.Sort(types)
	if want := []string{"bounce", "complaint", "delivery", "deliveryDelay", "reject", "renderingFailure", "send"}; !slices.Equal(types, want) {
		wrong("events %v; want %v", types, want)
	}
	if s.at("ConfigurationSet", "TrackingOptions") != nil || s.at("ConfigurationSet", "VdmOptions") != nil {
		wrong("links would be rewritten: %v", s.Resources["ConfigurationSet"].Properties)
	}
	if got := s.list("ConfigurationSet", "SuppressionOptions", "SuppressedReasons"); !slices.Equal(got, []string{"BOUNCE", "COMPLAINT"}) {
		wrong("suppressed for %v", got)
	}
	if s.at("ConfigurationSet", "ReputationOptions", "ReputationMetricsEnabled") != true {
		wrong("bounces and complaints are not counted")
	}
	if s.at("MailEvents", "EventDestination", "Enabled") != true {
		wrong("no events")
	}
	topic := s.text("MailEvents", "EventDestination", "SnsDestination", "TopicARN")
	if topic == "" || s.text("MailEventsSubscription", "TopicArn") != topic || s.text("MailEventsSubscription", "Endpoint") != s.Queues["EventsQueue"].ARN {
		wrong("the events do not reach EventsQueue")
	}
	if s.at("MailEventsSubscription", "RawMessageDelivery") != true {
		wrong("the events come in an envelope that feedback does not open")
	}
	set := "arn:aws:ses:" + template.Region + ":" + template.AccountID + ":configuration-set/" + s.Functions["DeliveryFunction"].Environment["CONFIGURATION_SET"]
	if from := fmt.Sprint(s.at("MailEventsTopicPolicy", "PolicyDocument")); !strings.Contains(from, "AWS:SourceArn:"+set) {
		wrong("the topic takes events of other configuration sets than delivery's")
	}
	if from := fmt.Sprint(s.at("EventsPolicy", "PolicyDocument")); !strings.Contains(from, "aws:SourceArn:"+topic) {
		wrong("the queue takes messages of other topics")
	}
}

// The API: staff by default, throttled everywhere, tighter where anybody makes
// us hash or mail.
func TestAPI(t *testing.T) { holds(t, checkAPI) }

func checkAPI(s *stack, wrong func(string, ...any)) {
	if s.text("Api", "Auth", "DefaultAuthorizer") != "Staff" || s.at("Api", "CorsConfiguration") != nil || s.at("Api", "FailOnWarnings") != true {
		wrong("a route without a word is not staff's alone: %v", s.at("Api", "Auth"))
	}
	jwt, _ := s.at("Api", "Auth", "Authorizers", "Staff", "JwtConfiguration").(map[string]any)
	profiles := s.Functions["ProfilesFunction"].Environment
	if jwt["issuer"] != profiles["ISSUER"] || fmt.Sprint(jwt["audience"]) != "["+profiles["AUDIENCE"]+"]" {
		wrong("the authorizer takes tokens of %v for %v, the console is told %s and %s", jwt["issuer"], jwt["audience"], profiles["ISSUER"], profiles["AUDIENCE"])
	}
	// The console may ask that issuer, and where a user pool has its sign-in. That
	// page calls other endpoints than the issuer's own address has.
	connect := []string{profiles["ISSUER"]}
	if s.Outputs["StaffSignIn"] != nil {
		connect = append(connect, fmt.Sprint(s.Outputs["StaffSignIn"]))
	} else {
		connect = append(connect, "https://login.example.org,https://keys.example.org")
	}
	if got := strings.Fields(s.Functions["ConsoleFunction"].Environment["CONNECT"]); !slices.Equal(got, connect) {
		wrong("the console may connect to %q; want %q", got, connect)
	}
	if off := s.at("Api", "DisableExecuteApiEndpoint") == true; off != s.inProd() {
		wrong("with a domain of its own the API still answers at its first address, or the reverse")
	}
	limit := func(v any) (rate, burst int) {
		m, _ := v.(map[string]any)
		rate, _ = m["ThrottlingRateLimit"].(int)
		burst, _ = m["ThrottlingBurstLimit"].(int)
		return rate, burst
	}
	rate, burst := limit(s.at("Api", "DefaultRouteSettings"))
	if rate == 0 || burst == 0 {
		wrong("routes are not throttled")
	}
	settings, _ := s.at("Api", "RouteSettings").(map[string]any)
	settings = maps.Clone(settings)
	// Each member page reads its organization's settings: up to 8 KB, and one
	// item of DynamoDB gives 3,000 consistent reads of 4 KB a second.
	const readsOfOneItem = 1500
	pages := 0
	for _, f := range s.Functions {
		for _, e := range f.Events {
			if e.Type != "HttpApi" || !e.Public || !strings.HasPrefix(e.Path, "/portal/") {
				continue
			}
			key := e.Method + " " + e.Path
			r, _ := limit(settings[key])
			if r == 0 {
				r = rate
			}
			if pages += r; e.Method != "POST" {
				delete(settings, key)
			}
		}
	}
	if pages >= readsOfOneItem {
		wrong("the member pages together may read one organization's settings %d times a second", pages)
	}
	for id, f := range s.Functions {
		for _, e := range f.Events {
			key := e.Method + " " + e.Path
			if e.Type != "HttpApi" || !e.Public || e.Method != "POST" {
				continue
			}
			if r, b := limit(settings[key]); r == 0 || b == 0 || r >= rate || b >= burst {
				wrong("%s of %s, which anybody may call, is not throttled more tightly", key, id)
			}
			delete(settings, key)
		}
	}
	for key := range settings {
		wrong("a limit for %s, which is no page of members", key)
	}
}

// A deployment takes over as the environment says, and goes back by itself.
func TestDeployment(t *testing.T) { holds(t, checkDeployment) }

func checkDeployment(s *stack, wrong func(string, ...any)) {
	want := "AllAtOnce"
	if s.inProd() {
		want = "Canary10Percent5Minutes"
	}
	for id := range s.Functions {
		stem := strings.TrimSuffix(id, "Function")
		if s.text(id, "AutoPublishAlias") != "live" || s.at(id, "AutoPublishAliasAllProperties") != true || s.text(id, "Tags", "configuration") != "unstamped" {
			wrong("%s: a change of its settings would not be published", id)
		}
		way := want
		if id == "ConsoleFunction" {
			way = "AllAtOnce" // see template.yaml
		}
		if got := s.text(id, "DeploymentPreference", "Type"); got != way {
			wrong("%s is deployed %s; want %s", id, got, way)
		}
		if s.text(id, "DeploymentPreference", "Role") != s.roleARN("DeploymentRole") {
			wrong("%s is deployed with a role that SAM makes", id)
		}
		alarms := s.list(id, "DeploymentPreference", "Alarms")
		if !slices.Equal(alarms, []string{template.StackName + "-" + stem + "Errors", template.StackName + "-" + stem + "Throttles"}) {
			wrong("%s goes back for %v; want its errors and throttles", id, alarms)
		}
		if s.text(id, "Runtime") != "provided.al2023" || s.text(id, "Handler") != "bootstrap" || fmt.Sprint(s.at(id, "Architectures")) != "[x86_64]" {
			wrong("%s does not run what make builds", id)
		}
	}
}

// A function gets the memory of one core where it hashes. Times fit into each
// other: the work of a bell ends before the alarm, the lease outlives the
// function.
func TestSizes(t *testing.T) { holds(t, checkSizes) }

func checkSizes(s *stack, wrong func(string, ...any)) {
	for id, f := range s.Functions {
		hashes := f.Environment["CREDENTIALS_TABLE"] != ""
		if hashes != (f.Memory == 1769) || hashes != (f.Environment["GOMEMLIMIT"] != "") {
			wrong("%s has %d MB and GOMEMLIMIT %q, and hashes: %t", id, f.Memory, f.Environment["GOMEMLIMIT"], hashes)
		}
		limited := s.at(id, "ReservedConcurrentExecutions")
		if forAnybody := hashes && f.Folder != "credentials"; forAnybody && s.inProd() != (limited != nil) || !forAnybody && limited != nil {
			wrong("%s: limit of concurrency %v", id, limited)
		}
		http := slices.ContainsFunc(f.Events, func(e template.Event) bool { return e.Type == "HttpApi" })
		if f.Timeout == 0 || http && f.Timeout >= 30*time.Second {
			wrong("%s may take %s; API Gateway waits for 30 s", id, f.Timeout)
		}
		durations := map[string]time.Duration{}
		for _, name := range []string{"LEASE", "GRACE", "BUDGET", "AGAIN"} {
			if text, ok := f.Environment[name]; ok {
				d, err := time.ParseDuration(text)
				if err != nil || d <= 0 {
					wrong("%s: %s is %q", id, name, text)
				}
				durations[name] = d
			}
		}
		if budget, ok := durations["BUDGET"]; ok && (budget > f.Timeout*8/10 || durations["LEASE"] < f.Timeout) {
			wrong("%s: BUDGET %s, time limit %s, LEASE %s do not fit into each other", id, budget, f.Timeout, durations["LEASE"])
		}
	}
}

// The dashboard is JSON, and its figures are of this stack.
func TestDashboard(t *testing.T) { holds(t, checkDashboard) }

func checkDashboard(s *stack, wrong func(string, ...any)) {
	var body struct {
		Widgets []struct {
			Properties struct{ Title, Region string }
		}
	}
	if err := json.Unmarshal([]byte(s.text("Dashboard", "DashboardBody")), &body); err != nil {
		wrong("the dashboard: %v", err)
	}
	if len(body.Widgets) < 10 {
		wrong("the dashboard shows only %d figures", len(body.Widgets))
	}
	for _, w := range body.Widgets {
		if w.Properties.Title == "" || w.Properties.Region != template.Region {
			wrong("a figure without title or region: %+v", w)
		}
	}
}
