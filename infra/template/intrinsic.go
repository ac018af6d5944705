package template

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// noValue is AWS::NoValue: the property or the list's element is not there.
type noValue struct{}

// evaluator resolves intrinsic functions. Names of resources that CloudFormation
// makes up are {stack}-{logical id} here.
//
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
type evaluator struct {
	values     map[string]any // parameters and pseudo parameters
	mappings   map[string]any
	conditions map[string]any    // as written
	decided    map[string]bool   // conditions found so far
	resources  map[string]any    // as written
	named      map[string]string // logical ids by what AWS calls the resource
}

// tree makes plain maps, lists and scalars of a node; !Ref X becomes
// {Ref: X}, !Sub X {Fn::Sub: X}, as in CloudFormation's JSON.
func tree(n *yaml.Node) (any, error) {
	tag := n.ShortTag()
	if strings.HasPrefix(tag, "!") && !strings.HasPrefix(tag, "!!") {
		plain := *n
		plain.Tag = ""
		if n.Kind == yaml.ScalarNode {
			plain.Tag = "!!str"
		}
		v, err := tree(&plain)
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(tag, "!")
		switch name {
		case "Ref", "Condition":
		case "GetAtt":
			if s, ok := v.(string); ok {
				id, attribute, _ := strings.Cut(s, ".")
				v = []any{id, attribute}
			}
			name = "Fn::GetAtt"
		default:
			name = "Fn::" + name
		}
		return map[string]any{name: v}, nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if _, twice := m[key]; twice {
				return nil, fmt.Errorf("line %d: %s stands twice", n.Content[i].Line, key)
			}
			v, err := tree(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			m[key] = v
		}
		return m, nil
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			v, err := tree(c)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.ScalarNode:
		if tag == "!!timestamp" { // "2012-10-17" without quotes
			return n.Value, nil
		}
		var v any
		err := n.Decode(&v)
		return v, err
	}
	return nil, fmt.Errorf("line %d: aliases are not for CloudFormation", n.Line)
}

// value resolves everything below v.
func (e *evaluator) value(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if name, argument, ok := intrinsic(v); ok {
			out, err := e.call(name, argument)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			return out, nil
		}
		m := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out, err := e.value(v[key])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			if out != (any)(noValue{}) {
				m[key] = out
			}
		}
		return m, nil
	case []any:
		list := make([]any, 0, len(v))
		for _, element := range v {
			out, err := e.value(element)
			if err != nil {
				return nil, err
			}
			if _, none := out.(noValue); !none {
				list = append(list, out)
			}
		}
		return list, nil
	}
	return v, nil
}

// intrinsic says whether a map is a call. {Condition: X} is one only where it
// stands alone; a policy's Condition is a map, a resource's has neighbours.
func intrinsic(m map[string]any) (name string, argument any, ok bool) {
	if len(m) != 1 {
		return "", nil, false
	}
	for name, argument = range m {
	}
	_, text := argument.(string)
	return name, argument, name == "Ref" || name == "Condition" && text || strings.HasPrefix(name, "Fn::")
}

func (e *evaluator) call(name string, argument any) (any, error) {
	switch name {
	case "Ref":
		id, _ := argument.(string)
		if v, ok := e.values[id]; ok {
			return v, nil
		}
		return e.identity(id, "")
	case "Condition":
		id, _ := argument.(string)
		return e.condition(id)
	case "Fn::Sub":
		return e.substitute(argument)
	case "Fn::If":
		parts, ok := argument.([]any)
		if !ok || len(parts) != 3 {
			return nil, errors.New("wants a condition and two values")
		}
		id, _ := parts[0].(string)
		yes, err := e.condition(id)
		if err != nil {
			return nil, err
		}
		if yes {
			return e.value(parts[1])
		}
		return e.value(parts[2])
	}
	resolved, err := e.value(argument)
	if err != nil {
		return nil, err
	}
	parts, _ := resolved.([]any)
	switch name {
	case "Fn::GetAtt":
		if len(parts) == 2 {
			id, attribute := fmt.Sprint(parts[0]), fmt.Sprint(parts[1])
			return e.identity(id, attribute)
		}
	case "Fn::Join":
		if len(parts) == 2 {
			if list, ok := texts(parts[1]); ok {
				return strings.Join(list, fmt.Sprint(parts[0])), nil
			}
		}
	case "Fn::Split":
		if len(parts) == 2 {
			var list []any
			for s := range strings.SplitSeq(fmt.Sprint(parts[1]), fmt.Sprint(parts[0])) {
				list = append(list, s)
			}
			return list, nil
		}
	case "Fn::Select":
		if len(parts) == 2 {
			var index int
			list, ok := parts[1].([]any)
			if _, err := fmt.Sscan(fmt.Sprint(parts[0]), &index); err == nil && ok && index >= 0 && index < len(list) {
				return list[index], nil
			}
		}
	case "Fn::FindInMap":
		if len(parts) == 3 {
			top, _ := e.mappings[fmt.Sprint(parts[0])].(map[string]any)
			row, _ := top[fmt.Sprint(parts[1])].(map[string]any)
			if v, ok := row[fmt.Sprint(parts[2])]; ok {
				return v, nil
			}
		}
	case "Fn::Equals":
		if len(parts) == 2 {
			return fmt.Sprint(parts[0]) == fmt.Sprint(parts[1]), nil
		}
	case "Fn::Not":
		if len(parts) == 1 {
			if b, ok := parts[0].(bool); ok {
				return !b, nil
			}
		}
	case "Fn::And", "Fn::Or":
		all, any := true, false
		for _, p := range parts {
			b, ok := p.(bool)
			if !ok {
				return nil, fmt.Errorf("%v is no condition", p)
			}
			all, any = all && b, any || b
		}
		if name == "Fn::And" {
			return all, nil
		}
		return any, nil
	case "Fn::Contains":
		if len(parts) == 2 {
			if list, ok := texts(parts[0]); ok {
				return slices.Contains(list, fmt.Sprint(parts[1])), nil
			}
		}
	}
	return nil, fmt.Errorf("cannot resolve %v", argument)
}

var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`)

// substitute is Fn::Sub; ${!x} stays ${x}.
func (e *evaluator) substitute(argument any) (any, error) {
	text, own := argument, map[string]any{}
	if parts, ok := argument.([]any); ok && len(parts) == 2 {
		text = parts[0]
		resolved, err := e.value(parts[1])
		if err != nil {
			return nil, err
		}
		own, _ = resolved.(map[string]any)
	}
	s, ok := text.(string)
	if !ok {
		return nil, errors.New("wants a text")
	}
	var fault error
	out := placeholder.ReplaceAllStringFunc(s, func(m string) string {
		name := m[2 : len(m)-1]
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			return "${" + literal + "}"
		}
		v, ok := own[name]
		if !ok {
			v, ok = e.values[name]
		}
		if !ok {
			id, attribute, _ := strings.Cut(name, ".")
			var err error
			if v, err = e.identity(id, attribute); err != nil {
				fault = errors.Join(fault, err)
			}
		}
		if _, list := v.([]any); list {
			fault = errors.Join(fault, fmt.Errorf("${%s} is a list", name))
		}
		return fmt.Sprint(v)
	})
	return out, fault
}

func (e *evaluator) condition(id string) (bool, error) {
	if b, ok := e.decided[id]; ok {
		return b, nil
	}
	written, ok := e.conditions[id]
	if !ok {
		return false, fmt.Errorf("there is no condition %q", id)
	}
	v, err := e.value(written)
	if err != nil {
		return false, fmt.Errorf("condition %s: %w", id, err)
	}
	b, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("condition %s is %v", id, v)
	}
	e.decided[id] = b
	return b, nil
}

// identity is what a resource gives for Ref (no attribute) or GetAtt. A
// reference to a resource that its condition leaves out is an error, as it is
// in CloudFormation.
func (e *evaluator) identity(id, attribute string) (any, error) {
	if of, made, ok := strings.Cut(id, "."); ok { // SAM's own: !Ref ProfilesFunction.Alias
		id, attribute = of, made
	}
	r, ok := e.resources[id].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("there is no parameter or resource %q", id)
	}
	if condition, ok := r["Condition"].(string); ok {
		exists, err := e.condition(condition)
		if err != nil {
			return nil, err
		}
		if !exists {
			return nil, fmt.Errorf("%s is referred to, but condition %s leaves it out", id, condition)
		}
	}
	kind, _ := r["Type"].(string)
	name, err := e.name(id, kind, object(r["Properties"]))
	if err != nil {
		return nil, err
	}
	arn := func(service, rest string) string {
		return fmt.Sprintf("arn:%s:%s:%s:%s:%s", Partition, service, Region, AccountID, rest)
	}
	switch kind + " " + attribute {
	case "AWS::DynamoDB::Table Arn":
		return arn("dynamodb", "table/"+name), nil
	case "AWS::SQS::Queue ", "AWS::SQS::Queue QueueUrl":
		return fmt.Sprintf("https://sqs.%s.%s/%s/%s", Region, URLSuffix, AccountID, name), nil
	case "AWS::SQS::Queue Arn":
		return arn("sqs", name), nil
	case "AWS::SNS::Topic ", "AWS::SNS::Topic TopicArn":
		return arn("sns", name), nil
	case "AWS::Serverless::Function Arn":
		return arn("lambda", "function:"+name), nil
	case "AWS::SQS::Queue QueueName":
		return name, nil
	case "AWS::Cognito::UserPool ProviderURL":
		return fmt.Sprintf("https://cognito-idp.%s.%s/%s_%s", Region, URLSuffix, Region, id), nil
	case "AWS::Serverless::HttpApi Stage":
		return "$default", nil
	case "AWS::Serverless::Function Alias":
		return arn("lambda", "function:"+name+":live"), nil
	case "AWS::Logs::LogGroup Arn":
		return arn("logs", "log-group:"+name+":*"), nil
	case "AWS::IAM::Role Arn":
		return fmt.Sprintf("arn:%s:iam::%s:role/%s", Partition, AccountID, name), nil
	case "AWS::Cognito::UserPool ":
		return Region + "_" + id, nil
	case "AWS::KMS::Key Arn":
		return arn("kms", "key/"+name), nil
	case "AWS::CloudWatch::Alarm Arn":
		return arn("cloudwatch", "alarm:"+name), nil
	}
	if attribute == "Arn" {
		return nil, fmt.Errorf("how the ARN of a %s looks is not known here: add it", kind)
	}
	if attribute != "" {
		return name + "." + attribute, nil
	}
	return name, nil
}

// ownName is the property by which the template may name a resource of a kind.
var ownName = map[string]string{
	"AWS::DynamoDB::Table": "TableName", "AWS::SQS::Queue": "QueueName", "AWS::SNS::Topic": "TopicName",
	"AWS::Serverless::Function": "FunctionName", "AWS::Logs::LogGroup": "LogGroupName", "AWS::IAM::Role": "RoleName",
	"AWS::SES::ConfigurationSet": "Name", "AWS::CloudWatch::Alarm": "AlarmName", "AWS::Cognito::UserPoolDomain": "Domain",
}

// name is what AWS calls a resource.
func (e *evaluator) name(id, kind string, properties map[string]any) (string, error) {
	name := StackName + "-" + id
	if written, ok := properties[ownName[kind]]; ok {
		v, err := e.value(written)
		if err != nil {
			return "", fmt.Errorf("%s: its name: %w", id, err)
		}
		name = fmt.Sprint(v)
	}
	e.named[name] = id
	return name, nil
}

// texts takes a list of scalars.
func texts(v any) ([]string, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, 0, len(list))
	for _, element := range list {
		switch element.(type) {
		case map[string]any, []any, nil:
			return nil, false
		}
		out = append(out, fmt.Sprint(element))
	}
	return out, true
}
