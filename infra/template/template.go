// Package template reads template.yaml as CloudFormation and SAM would: with
// parameters filled in, conditions decided and intrinsic functions resolved.
// So a program can ask what AWS will have: a function's environment, what its
// role allows on which ARN, what rings it, which queue's failures go where.
//
//	text, err := os.ReadFile("template.yaml")
//	t, err := template.Read(text, template.Example())
//	delivery := t.Functions["DeliveryFunction"]
//	delivery.Environment["MAILINGS_TABLE"] // "memberkey-MailingsTable"
//	delivery.Statements                    // of its role, ARNs written out
//	t.Queues["SingleQueue"].URL            // what SINGLE_QUEUE holds
//
// Account, region and the stack's name are constants. A name that CloudFormation
// would make up is {stack}-{logical id}, so stand-ins can be made under the names
// that the functions' environments hold.
//
// It resolves what template.yaml uses and refuses the rest, so nothing is
// silently taken for something else.
package template

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Where the stack stands, for everything resolved here.
const (
	AccountID = "123456789012"
	Region    = "eu-central-1"
	Partition = "aws"
	URLSuffix = "amazonaws.com"
	StackName = "memberkey"
)

// Parameters are a deployment's values; a parameter that is not among them has
// its default.
type Parameters map[string]string

// Example is one complete set: an association of its own in the development
// environment, with the staff's user pool made by the template.
func Example() Parameters {
	return Parameters{"Environment": "dev", "Senders": "example.org"}
}

// Template is the stack as it would stand.
type Template struct {
	Functions map[string]Function // by logical id
	Tables    map[string]Table
	Queues    map[string]Queue
	Outputs   map[string]any // by name
	// Resources has everything that exists under the parameters, by logical id,
	// resolved; functions with the Globals merged in.
	Resources  map[string]Resource
	Parameters map[string]Parameter // as declared, by name
}

// Resource is one resource.
type Resource struct {
	Type                string
	DeletionPolicy      string
	UpdateReplacePolicy string
	Metadata            map[string]any
	Properties          map[string]any
}

// Function is one AWS::Serverless::Function with its role.
type Function struct {
	LogicalID   string            // "ProfilesFunction"
	Folder      string            // under functions/: "profiles"
	Name        string            // "memberkey-profiles"
	ARN         string            // of the function, without an alias
	Timeout     time.Duration     // 1 s to 15 min
	Memory      int               // MB
	Environment map[string]string // exactly what the template sets
	Statements  []Statement       // of the policies of its own role
	Managed     []string          // ARNs of managed policies, of which there should be none
	Events      []Event           // in order of name
}

// Statement is one statement of a role's policy.
type Statement struct {
	Sid        string
	Effect     string
	Actions    []string // "dynamodb:GetItem"
	Resources  []string // ARNs, or "*"
	Conditions map[string]any
}

// Event is something that starts a function.
type Event struct {
	Name string // in the template
	Type string // "HttpApi", "SQS", "ScheduleV2"

	// Of an HttpApi event.
	Method, Path string
	Public       bool // no authorizer

	// Of an SQS event.
	Queue              string // the queue's logical id
	BatchSize          int
	BatchingWindow     time.Duration
	MaximumConcurrency int // 0 is no limit of its own
	PartialFailures    bool

	// Of a ScheduleV2 event.
	Schedule string // "rate(1 minute)"
	Input    string // what the function gets
}

// Table is one AWS::DynamoDB::Table. Its Properties are in Resources, in the
// shape of CreateTable.
type Table struct {
	LogicalID string
	Name, ARN string
}

// Queue is one AWS::SQS::Queue.
type Queue struct {
	LogicalID       string
	Name, URL, ARN  string
	Visibility      time.Duration
	Retention       time.Duration
	DeadLetters     string // logical id of the queue that takes what failed; empty for a dead-letter queue
	MaxReceiveCount int
}

// Parameter is a parameter as declared.
type Parameter struct {
	Name        string
	Type        string
	Description string
	Default     *string
	Pattern     *regexp.Regexp // AllowedPattern, of the whole value
	Allowed     []string
	Constraint  string // ConstraintDescription
	MaxLength   int    // 0 is none
}

// Refuses says why a value would be refused.
func (p Parameter) Refuses(value string) error {
	values := []string{value}
	if p.Type == "CommaDelimitedList" { // each by itself, says CloudFormation
		values = strings.Split(value, ",")
	}
	for _, v := range values {
		switch {
		case p.Pattern != nil && !p.Pattern.MatchString(v),
			len(p.Allowed) > 0 && !slices.Contains(p.Allowed, v),
			p.MaxLength > 0 && len(v) > p.MaxLength:
			return fmt.Errorf("parameter %s: %q: %s", p.Name, v, p.Constraint)
		}
	}
	if p.Type == "Number" {
		var f float64
		if _, err := fmt.Sscan(value, &f); err != nil {
			return fmt.Errorf("parameter %s: %q is no number", p.Name, value)
		}
	}
	return nil
}

// document is the file's top level.
type document struct {
	Parameters map[string]struct {
		Type                  string   `yaml:"Type"`
		Description           string   `yaml:"Description"`
		Default               *string  `yaml:"Default"`
		AllowedPattern        string   `yaml:"AllowedPattern"`
		AllowedValues         []string `yaml:"AllowedValues"`
		ConstraintDescription string   `yaml:"ConstraintDescription"`
		MaxLength             int      `yaml:"MaxLength"`
	} `yaml:"Parameters"`
}

// Read resolves the template for these parameters. A parameter that is
// missing, unknown or refused by its pattern or by one of the template's Rules
// is an error that names it; all of them are named at once.
func Read(text []byte, parameters Parameters) (*Template, error) {
	var d document
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	if len(root.Content) != 1 {
		return nil, errors.New("template: it is empty")
	}
	if err := root.Decode(&d); err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	written, err := tree(root.Content[0])
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	top := object(written)
	e := &evaluator{
		values: map[string]any{
			"AWS::AccountId": AccountID, "AWS::Region": Region, "AWS::Partition": Partition, "AWS::URLSuffix": URLSuffix,
			"AWS::StackName": StackName, "AWS::StackId": "arn:" + Partition + ":cloudformation:" + Region + ":" + AccountID + ":stack/" + StackName + "/51af3dc0-da77-11e4-872e-1234567db123",
			"AWS::NoValue": noValue{},
		},
		mappings:   object(top["Mappings"]),
		conditions: object(top["Conditions"]),
		decided:    map[string]bool{},
		resources:  object(top["Resources"]),
		named:      map[string]string{},
	}
	t := &Template{
		Functions: map[string]Function{}, Tables: map[string]Table{}, Queues: map[string]Queue{},
		Outputs: map[string]any{}, Resources: map[string]Resource{}, Parameters: map[string]Parameter{},
	}
	if err := t.readParameters(e, &d, parameters); err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	if err := obey(e, object(top["Rules"])); err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	if err := t.readResources(e, object(object(top["Globals"])["Function"])); err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	for name, output := range object(top["Outputs"]) {
		if exists, err := e.exists(output); err != nil || !exists {
			if err != nil {
				return nil, fmt.Errorf("template: output %s: %w", name, err)
			}
			continue
		}
		v, err := e.value(object(output)["Value"])
		if err != nil {
			return nil, fmt.Errorf("template: output %s: %w", name, err)
		}
		t.Outputs[name] = v
	}
	return t, nil
}

func (t *Template) readParameters(e *evaluator, d *document, given Parameters) error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(d.Parameters)) {
		w := d.Parameters[name]
		p := Parameter{
			Name: name, Type: w.Type, Description: w.Description, Default: w.Default,
			Allowed: w.AllowedValues, Constraint: w.ConstraintDescription, MaxLength: w.MaxLength,
		}
		if w.AllowedPattern != "" {
			pattern, err := regexp.Compile(`^(?:` + w.AllowedPattern + `)$`)
			if err != nil {
				faults = append(faults, fmt.Errorf("parameter %s: %w", name, err))
				continue
			}
			p.Pattern = pattern
		}
		t.Parameters[name] = p
		value, ok := given[name]
		if !ok {
			if p.Default == nil {
				faults = append(faults, fmt.Errorf("parameter %s is missing", name))
				continue
			}
			value = *p.Default
		}
		if err := p.Refuses(value); err != nil {
			faults = append(faults, err)
		}
		e.values[name] = value
		if p.Type == "CommaDelimitedList" {
			var list []any
			for s := range strings.SplitSeq(value, ",") {
				list = append(list, strings.TrimSpace(s))
			}
			e.values[name] = list
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, ok := d.Parameters[name]; !ok {
			faults = append(faults, fmt.Errorf("there is no parameter %s", name))
		}
	}
	return errors.Join(faults...)
}

// obey checks the template's Rules.
func obey(e *evaluator, rules map[string]any) error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		rule := object(rules[name])
		if when, ok := rule["RuleCondition"]; ok {
			applies, err := e.value(when)
			if err != nil {
				return fmt.Errorf("rule %s: %w", name, err)
			}
			if applies != true {
				continue
			}
		}
		for _, a := range array(rule["Assertions"]) {
			holds, err := e.value(object(a)["Assert"])
			if err != nil {
				return fmt.Errorf("rule %s: %w", name, err)
			}
			if holds != true {
				faults = append(faults, fmt.Errorf("rule %s: %v", name, object(a)["AssertDescription"]))
			}
		}
	}
	return errors.Join(faults...)
}

// exists decides the condition of a resource or an output.
func (e *evaluator) exists(v any) (bool, error) {
	condition, ok := object(v)["Condition"].(string)
	if !ok {
		return true, nil
	}
	return e.condition(condition)
}

func (t *Template) readResources(e *evaluator, globals map[string]any) error {
	for _, id := range slices.Sorted(maps.Keys(e.resources)) {
		w := object(e.resources[id])
		exists, err := e.exists(w)
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		if !exists {
			continue
		}
		r := Resource{Metadata: object(w["Metadata"])}
		r.Type, _ = w["Type"].(string)
		properties := w["Properties"]
		if r.Type == "AWS::Serverless::Function" {
			properties = merge(globals, object(properties))
		}
		resolved, err := e.value(properties)
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		r.Properties = object(resolved)
		for name, to := range map[string]*string{"DeletionPolicy": &r.DeletionPolicy, "UpdateReplacePolicy": &r.UpdateReplacePolicy} {
			v, err := e.value(w[name])
			if err != nil {
				return fmt.Errorf("%s: %s: %w", id, name, err)
			}
			*to, _ = v.(string)
		}
		t.Resources[id] = r
		ref, arn := e.mustIdentity(id, ""), ""
		switch r.Type {
		case "AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::Serverless::Function":
			arn = e.mustIdentity(id, "Arn")
		}
		switch r.Type {
		case "AWS::DynamoDB::Table":
			t.Tables[id] = Table{LogicalID: id, Name: ref, ARN: arn}
		case "AWS::SQS::Queue":
			redrive := object(r.Properties["RedrivePolicy"])
			q := Queue{
				LogicalID: id, Name: e.mustIdentity(id, "QueueName"), URL: ref, ARN: arn,
				Visibility: seconds(r.Properties["VisibilityTimeout"]), Retention: seconds(r.Properties["MessageRetentionPeriod"]),
				DeadLetters: e.logicalID(redrive["deadLetterTargetArn"]),
			}
			q.MaxReceiveCount, _ = redrive["maxReceiveCount"].(int)
			t.Queues[id] = q
		case "AWS::Serverless::Function":
			f := Function{LogicalID: id, Folder: Folder(id), Name: ref, ARN: arn, Timeout: seconds(r.Properties["Timeout"]), Environment: map[string]string{}}
			f.Memory, _ = r.Properties["MemorySize"].(int)
			for name, v := range object(object(r.Properties["Environment"])["Variables"]) {
				f.Environment[name] = fmt.Sprint(v)
			}
			if f.Events, err = e.events(object(r.Properties["Events"])); err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
			t.Functions[id] = f
		}
	}
	for id, f := range t.Functions {
		role := e.logicalID(t.Resources[id].Properties["Role"])
		r, ok := t.Resources[role]
		if !ok {
			return fmt.Errorf("%s has no role in the template", id)
		}
		for _, p := range array(r.Properties["Policies"]) {
			for _, s := range array(object(object(p)["PolicyDocument"])["Statement"]) {
				statement, err := readStatement(object(s))
				if err != nil {
					return fmt.Errorf("%s: %w", role, err)
				}
				f.Statements = append(f.Statements, statement)
			}
		}
		f.Managed, _ = texts(r.Properties["ManagedPolicyArns"])
		t.Functions[id] = f
	}
	return nil
}

// Policy reads the statements of a policy document as found in Resources.
func Policy(document any) ([]Statement, error) {
	var list []Statement
	for _, s := range array(object(document)["Statement"]) {
		statement, err := readStatement(object(s))
		if err != nil {
			return nil, err
		}
		list = append(list, statement)
	}
	return list, nil
}

// Allows says whether the statement allows an action on a resource, given as an
// ARN. "*" and "?" in the statement stand for anything and any one character.
// Its conditions are not looked at.
func (s Statement) Allows(action, resource string) bool {
	return s.Effect == "Allow" &&
		slices.ContainsFunc(s.Actions, func(a string) bool { return glob(strings.ToLower(a), strings.ToLower(action)) }) &&
		slices.ContainsFunc(s.Resources, func(r string) bool { return glob(r, resource) })
}

// glob is IAM's match.
func glob(pattern, s string) bool {
	for i := range len(pattern) {
		switch c := pattern[i]; {
		case c == '*':
			for k := i; k <= len(s); k++ {
				if glob(pattern[i+1:], s[k:]) {
					return true
				}
			}
			return false
		case i >= len(s) || c != '?' && c != s[i]:
			return false
		}
	}
	return len(pattern) == len(s)
}

func readStatement(s map[string]any) (Statement, error) {
	out := Statement{Conditions: object(s["Condition"])}
	out.Sid, _ = s["Sid"].(string)
	out.Effect, _ = s["Effect"].(string)
	var ok bool
	if out.Actions, ok = oneOrMore(s["Action"]); !ok {
		return out, fmt.Errorf("statement %q: its actions are %v", out.Sid, s["Action"])
	}
	if out.Resources, ok = oneOrMore(s["Resource"]); !ok {
		return out, fmt.Errorf("statement %q: its resources are %v", out.Sid, s["Resource"])
	}
	return out, nil
}

// oneOrMore takes a text or a list, in which one list may stand (a split).
func oneOrMore(v any) (list []string, ok bool) {
	switch v := v.(type) {
	case string:
		return []string{v}, true
	case []any:
		for _, element := range v {
			inner, ok := oneOrMore(element)
			if !ok {
				return nil, false
			}
			list = append(list, inner...)
		}
		return list, len(list) > 0
	}
	return nil, false
}

func (e *evaluator) events(written map[string]any) ([]Event, error) {
	var list []Event
	for _, name := range slices.Sorted(maps.Keys(written)) {
		w := object(written[name])
		p := object(w["Properties"])
		out := Event{Name: name}
		out.Type, _ = w["Type"].(string)
		switch out.Type {
		case "HttpApi":
			out.Method, _ = p["Method"].(string)
			out.Path, _ = p["Path"].(string)
			out.Public = object(p["Auth"])["Authorizer"] == "NONE"
		case "SQS":
			out.Queue = e.logicalID(p["Queue"])
			out.BatchSize, _ = p["BatchSize"].(int)
			out.BatchingWindow = seconds(p["MaximumBatchingWindowInSeconds"])
			out.MaximumConcurrency, _ = object(p["ScalingConfig"])["MaximumConcurrency"].(int)
			types, _ := texts(p["FunctionResponseTypes"])
			out.PartialFailures = slices.Contains(types, "ReportBatchItemFailures")
		case "ScheduleV2":
			out.Schedule, _ = p["ScheduleExpression"].(string)
			out.Input, _ = p["Input"].(string)
		default:
			return nil, fmt.Errorf("event %s is a %q, which is not known here", name, out.Type)
		}
		list = append(list, out)
	}
	return list, nil
}

var capital = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// Folder gives the folder under functions/ of a function's logical id:
// ProfilesFunction is in profiles, ProfileImportsFunction in profile-imports.
func Folder(logicalID string) string {
	return Stem(strings.TrimSuffix(logicalID, "Function"))
}

// Stem writes a logical id as files and metrics do: FanoutQueue is
// fanout-queue.
func Stem(logicalID string) string {
	return strings.ToLower(capital.ReplaceAllString(logicalID, "$1-$2"))
}

func (e *evaluator) mustIdentity(id, attribute string) string {
	v, err := e.identity(id, attribute)
	if err != nil {
		panic(err) // it exists, and its kind was asked for
	}
	return fmt.Sprint(v)
}

// logicalID finds the logical id of a resource by its resolved name, URL or
// ARN; empty for anything else.
func (e *evaluator) logicalID(v any) string {
	s, _ := v.(string)
	if i := strings.LastIndexAny(s, "/:"); i >= 0 {
		s = s[i+1:]
	}
	return e.named[s]
}

// merge lays a function's own properties over the Globals: maps are merged,
// lists joined, all else replaced.
//
// https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html
func merge(globals, own map[string]any) map[string]any {
	out := maps.Clone(globals)
	if out == nil {
		out = map[string]any{}
	}
	for name, v := range own {
		switch v := v.(type) {
		case map[string]any:
			_, _, call := intrinsic(v)
			if below, ok := out[name].(map[string]any); ok && !call {
				out[name] = merge(below, v)
				continue
			}
			out[name] = v
		case []any:
			below, _ := out[name].([]any)
			out[name] = append(slices.Clone(below), v...)
		default:
			out[name] = v
		}
	}
	return out
}

func seconds(v any) time.Duration {
	n, _ := v.(int)
	return time.Duration(n) * time.Second
}

// object and array take a value for what it should be; another is nil, which
// holds nothing.
func object(v any) map[string]any { m, _ := v.(map[string]any); return m }
func array(v any) []any           { a, _ := v.([]any); return a }
