package template_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/memberkey/memberkey/infra/template"
)

// Every parameter says what it is, refuses what it cannot be with words that
// help, and stands in a group.
func TestParametersExplainThemselves(t *testing.T) {
	text := readText(t)
	s := readStack(t, text, template.Example())
	for name, p := range s.Parameters {
		if len(p.Description) < 20 || !strings.HasSuffix(p.Description, ".") {
			t.Errorf("%s does not say what it is: %q", name, p.Description)
		}
		if p.Pattern == nil && p.Allowed == nil {
			t.Errorf("%s takes anything", name)
		}
		if !strings.HasPrefix(p.Constraint, "must be ") {
			t.Errorf("%s does not say what it must be: %q", name, p.Constraint)
		}
		if p.Default != nil {
			if err := p.Refuses(*p.Default); err != nil {
				t.Errorf("its own default: %v", err)
			}
		}
	}
	_, groups, _ := strings.Cut(text, "ParameterGroups:")
	groups, _, _ = strings.Cut(groups, "\nParameters:")
	listed := regexp.MustCompile(`Parameters: \[([^]]*)\]`).FindAllStringSubmatch(groups, -1)
	var all []string
	for _, l := range listed {
		all = append(all, strings.Split(l[1], ", ")...)
	}
	slices.Sort(all)
	if want := slices.Sorted(maps.Keys(s.Parameters)); !slices.Equal(all, want) {
		t.Errorf("the groups have %v; want %v", all, want)
	}
}

func TestParameterValues(t *testing.T) {
	s := readStack(t, readText(t), template.Example())
	values := map[string]struct{ good, bad []string }{
		"Environment": {[]string{"dev", "staging", "prod"}, []string{"", "Prod", "production", "dev "}},
		"Senders": {
			[]string{"example.org", "mail.example.org", "example.org,example.com", "xn--bcher-kva.example", "a.b.c.d.example.org", "a.org,b.org,c.org,d.org,e.org", "example.xn--p1ai"},
			[]string{"", "example", "Example.org", "example.org, example.com", "example.org,", ",example.org", "office@example.org", "-a.example.org", "a-.example.org", "example.org.", "exam ple.org", "a.org,b.org,c.org,d.org,e.org,f.org", "*.example.org", "example.org/x"},
		},
		"DomainName":     {[]string{"", "login.example.org"}, []string{"https://login.example.org", "login.example.org/", "LOGIN.example.org", "login", "*.example.org"}},
		"CertificateArn": {[]string{"", "arn:aws:acm:eu-central-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"}, []string{"arn:aws:iam::123456789012:server-certificate/x", "00000000-0000-0000-0000-000000000000", "arn:aws:acm:eu-central-1:12345:certificate/00000000-0000-0000-0000-000000000000"}},
		"ConsoleAddress": {[]string{"", "https://abc123.execute-api.eu-central-1.amazonaws.com", "https://example.org:8443"}, []string{"http://example.org", "https://example.org/", "https://example.org/console", "example.org"}},
		"Issuer":         {[]string{"", "https://issuer.example.org", "https://example.org/realms/staff"}, []string{"http://issuer.example.org", "https://issuer.example.org/", "issuer.example.org", "https://", "https://issuer.example.org/?a=b", "https://issuer.example.org/a b"}},
		"Audience":       {[]string{"", "console", "api://memberkey", "3f4v9example"}, []string{"two words", "a,b", strings.Repeat("a", 201)}},
		"GroupClaim":     {[]string{"cognito:groups", "groups", "https://example.org/groups"}, []string{"", "my groups", "a,b"}},
		"IssuerOrigins": {
			[]string{"", "https://login.example.org", "https://login.example.org:8443,https://keys.example.com"},
			[]string{"http://login.example.org", "https://login.example.org/", "https://login.example.org/token", "https://a.org, https://b.org", "https://a.org https://b.org", "https://a.org,", "login.example.org", "https://*.example.org", "https://a.org;b", "https://a.org,https://b.org,https://c.org,https://d.org,https://e.org,https://f.org"},
		},
		"AlarmEmail":    {[]string{"", "alarms@example.org"}, []string{"alarms", "alarms@example", "a@example.org,b@example.org", "a b@example.org"}},
		"AlarmTopicArn": {[]string{"", "arn:aws:sns:eu-central-1:123456789012:on-duty"}, []string{"on-duty", "arn:aws:sqs:eu-central-1:123456789012:on-duty", "arn:aws:sns:eu-central-1:1234:on-duty"}},
		"MemberConcurrency": {
			[]string{"", "0", "40", "1000"}, []string{"-1", "ten", "1.5", "10000", " "},
		},
		"PermissionsBoundary": {[]string{"", "arn:aws:iam::123456789012:policy/boundary", "arn:aws:iam::123456789012:policy/team/boundary", "arn:aws:iam::aws:policy/PowerUserAccess"}, []string{"boundary", "arn:aws:iam::123456789012:role/boundary"}},
	}
	for name, p := range s.Parameters {
		v, ok := values[name]
		if !ok {
			t.Errorf("%s: give this test good and bad values", name)
			continue
		}
		for _, good := range v.good {
			if err := p.Refuses(good); err != nil {
				t.Errorf("%s refuses %q: %v", name, good, err)
			}
		}
		for _, bad := range v.bad {
			if p.Refuses(bad) == nil {
				t.Errorf("%s takes %q", name, bad)
			}
		}
	}
}

// What only fits together is refused together, before anything is made.
func TestRules(t *testing.T) {
	text := []byte(readText(t))
	for name, c := range map[string]struct {
		change template.Parameters
		want   string // part of the error; "" is none
	}{
		"all":                         {nil, ""},
		"issuer without audience":     {template.Parameters{"Audience": ""}, "Issuer and Audience belong together"},
		"audience without issuer":     {template.Parameters{"Issuer": ""}, "Issuer and Audience belong together"},
		"origins without issuer":      {template.Parameters{"Issuer": "", "Audience": "", "IssuerOrigins": "https://login.example.org"}, "IssuerOrigins are those of an Issuer"},
		"origins with issuer":         {template.Parameters{"IssuerOrigins": "https://login.example.org"}, ""},
		"neither":                     {template.Parameters{"Issuer": "", "Audience": "", "IssuerOrigins": ""}, ""},
		"domain without certificate":  {template.Parameters{"CertificateArn": ""}, "DomainName and CertificateArn belong together"},
		"certificate without domain":  {template.Parameters{"DomainName": ""}, "DomainName and CertificateArn belong together"},
		"nobody hears the alarms":     {template.Parameters{"AlarmEmail": ""}, "somebody must be told of alarms"},
		"a topic hears them":          {template.Parameters{"AlarmEmail": "", "AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:on-duty"}, ""},
		"nobody need hear them":       {template.Parameters{"AlarmEmail": "", "Environment": "dev"}, ""},
		"two faults are told at once": {template.Parameters{"Issuer": "", "DomainName": ""}, "DomainName and CertificateArn belong together. Give both, or neither.\nrule IssuerAndAudience"},
		"a bad value":                 {template.Parameters{"Senders": "Example.org"}, `parameter Senders: "Example.org": must be one to five domains`},
		"an unknown parameter":        {template.Parameters{"Sender": "example.org"}, "there is no parameter Sender"},
	} {
		t.Run(name, func(t *testing.T) {
			parameters := prod()
			maps.Copy(parameters, c.change)
			_, err := template.Read(text, parameters)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v; want %s", err, c.want)
			}
		})
	}
	parameters := prod()
	delete(parameters, "Senders")
	if _, err := template.Read(text, parameters); err == nil || !strings.Contains(err.Error(), "parameter Senders is missing") {
		t.Errorf("without Senders: %v", err)
	}
}

// samconfig.toml gives each environment what the template takes, asks before it
// touches production, and grants no more than it must.
func TestSamconfig(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "samconfig.toml"))
	if err != nil {
		t.Fatal(err)
	}
	s := readText(t)
	seen := []string{}
	for section := range strings.SplitSeq(string(text), "\n[") {
		name, body, _ := strings.Cut(section, "]")
		environment, rest, _ := strings.Cut(name, ".")
		if rest != "deploy.parameters" {
			continue
		}
		seen = append(seen, environment)
		_, overrides, _ := strings.Cut(body, "parameter_overrides = [")
		overrides, _, _ = strings.Cut(overrides, "]")
		parameters := template.Parameters{}
		for _, m := range regexp.MustCompile(`"([^"=]+)=([^"]*)"`).FindAllStringSubmatch(overrides, -1) {
			parameters[m[1]] = m[2]
		}
		if _, err := template.Read([]byte(s), parameters); err != nil {
			t.Errorf("%s: %v", environment, err)
		}
		if parameters["Environment"] != environment {
			t.Errorf("%s deploys the environment %q", environment, parameters["Environment"])
		}
		for _, line := range []string{
			`stack_name = "memberkey-` + environment + `"`, `capabilities = "CAPABILITY_IAM"`, "resolve_s3 = true",
			`tags = ["service=memberkey", "environment=` + environment + `"]`,
		} {
			if !strings.Contains(body, "\n"+line+"\n") {
				t.Errorf("%s has no %s", environment, line)
			}
		}
		if asks := strings.Contains(body, "\nconfirm_changeset = true\n"); asks != (environment == "prod") {
			t.Errorf("%s asks before it changes anything: %t", environment, asks)
		}
	}
	if want := []string{"dev", "staging", "prod"}; !slices.Equal(seen, want) {
		t.Errorf("environments %v; want %v, and no default that is deployed by mistake", seen, want)
	}
}
