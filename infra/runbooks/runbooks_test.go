// Package runbooks_test holds the pages of infra/runbooks, the costs and the
// README's chapter on AWS against what they speak of: the alarms, resources,
// outputs and parameters of template.yaml, the words of the logs, and the
// commands of AWS. A page that cannot be followed at night is worse than none.
package runbooks_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/memberkey/memberkey/infra/tools"
)

const root = "../.."

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pages are all that ops read, by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range files {
		f = "infra/runbooks/" + f
		all[f] = read(t, f)
	}
	for _, f := range []string{"README.md", "infra/costs.md"} {
		all[f] = read(t, f)
	}
	return all
}

// names are those of one section of template.yaml, such as Resources.
func names(t *testing.T, section string) map[string]bool {
	t.Helper()
	_, text, found := strings.Cut("\n"+read(t, "template.yaml"), "\n"+section+":\n")
	if !found {
		t.Fatalf("template.yaml has no %s", section)
	}
	if end := regexp.MustCompile(`(?m)^\w`).FindStringIndex(text); end != nil {
		text = text[:end[0]]
	}
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^  (\w+):`).FindAllStringSubmatch(text, -1) {
		all[m[1]] = true
	}
	return all
}

// section is a part of a page with a heading of the second level.
type section struct{ name, text string }

func sections(page string) (all []section) {
	for _, part := range strings.Split("\n"+page, "\n## ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		all = append(all, section{name, text})
	}
	return all
}

// parts of what to do about an alarm, in this order.
var parts = []string{"It means", "Look at", "Type", "Wake somebody"}

// Every alarm has its section, with all its parts; every section of such a page
// has its alarm; and the index names every alarm beside its page.
func TestEveryAlarmHasItsSection(t *testing.T) {
	all := pages(t)
	alarm := regexp.MustCompile(`(?m)^  (\w+):\n    Type: AWS::CloudWatch::Alarm\n(?:    +.*\n)*?.*Runbook: (infra/runbooks/[\w-]+\.md)#([\w-]+)"`)
	wanted := map[string][]string{}
	found := alarm.FindAllStringSubmatch(read(t, "template.yaml"), -1)
	if n := strings.Count(read(t, "template.yaml"), "Type: AWS::CloudWatch::Alarm\n"); n != len(found) || n < 40 {
		t.Errorf("%d of %d alarms name a page", len(found), n)
	}
	index := strings.Split(all["infra/runbooks/README.md"], "\n")
	for _, m := range found {
		id, page, name := m[1], m[2], m[3]
		wanted[page] = append(wanted[page], name)
		if !slices.ContainsFunc(index, func(line string) bool {
			return strings.Contains(line, "`"+id+"`") && strings.Contains(line, "("+filepath.Base(page)+")")
		}) {
			t.Errorf("the index does not name %s beside %s", id, page)
		}
	}
	for page, names := range wanted {
		text, ok := all[page]
		if !ok {
			t.Errorf("there is no page %s", page)
			continue
		}
		if !strings.Contains(text, ". infra/runbooks/tools.sh prod") {
			t.Errorf("%s does not begin with where its words come from", page)
		}
		var have []string
		for _, s := range sections(text) {
			have = append(have, s.name)
			var headings []string
			for _, h := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatchIndex(s.text, -1) {
				headings = append(headings, s.text[h[2]:h[3]])
				if rest := strings.TrimSpace(s.text[h[1]:]); rest == "" || strings.HasPrefix(rest, "#") {
					t.Errorf("%s#%s: nothing under %q", page, s.name, s.text[h[2]:h[3]])
				}
			}
			if !slices.Equal(headings, parts) {
				t.Errorf("%s#%s has the parts %q", page, s.name, headings)
			}
		}
		if slices.Sort(names); !slices.Equal(slices.Sorted(slices.Values(have)), names) {
			t.Errorf("%s has the sections %q, its alarms name %q", page, have, names)
		}
	}
}

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	heading = strings.ToLower(strings.TrimSpace(heading))
	return strings.ReplaceAll(regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(heading, ""), " ", "-")
}

func TestLinksLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for from, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, mark, _ := strings.Cut(m[1], "#")
			to := from
			if path != "" {
				to = filepath.Join(filepath.Dir(from), path)
			}
			info, err := os.Stat(filepath.Join(root, to))
			if err != nil {
				t.Errorf("%s: %s leads nowhere", from, m[1])
				continue
			}
			if mark == "" || info.IsDir() {
				continue
			}
			if !slices.ContainsFunc(regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(read(t, to), -1), func(h []string) bool { return anchor(h[1]) == mark }) {
				t.Errorf("%s: %s has no heading for #%s", from, to, mark)
			}
		}
	}
}

// block is a piece of shell in a page.
type block struct{ page, text string }

func blocks(t *testing.T) (all []block) {
	for page, text := range pages(t) {
		for _, m := range regexp.MustCompile("(?ms)^( *)```sh\n(.*?)^ *```").FindAllStringSubmatch(text, -1) {
			all = append(all, block{page, m[2]})
		}
	}
	return append(all, block{"infra/runbooks/tools.sh", read(t, "infra/runbooks/tools.sh")})
}

// What is to be typed is shell, and names things that are there.
func TestCommandsNameWhatIsThere(t *testing.T) {
	resources, outputs, parameters := names(t, "Resources"), names(t, "Outputs"), names(t, "Parameters")
	word := regexp.MustCompile(`\b(id|logs|waiting|peek|redrive|sources|hold|feed|shut|unshut|versions|back) ([A-Z]\w+)`)
	loop := regexp.MustCompile(`for f in ([\w ]+); do (?:un)?shut \$\{f\}Function`)
	targets := regexp.MustCompile(`\bmake ([a-z-]+)`)
	makefile := read(t, "Makefile")
	seen := 0
	for _, b := range blocks(t) {
		c := exec.Command("sh", "-n")
		c.Stdin = strings.NewReader(b.text)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: no shell: %s\n%s", b.page, out, b.text)
		}
		for _, m := range word.FindAllStringSubmatch(b.text, -1) {
			seen++
			if !resources[m[2]] {
				t.Errorf("%s: %q names no resource of the template", b.page, m[0])
			}
			if m[1] != "id" && m[1] != "waiting" && m[1] != "peek" && m[1] != "redrive" && !strings.HasSuffix(m[2], "Function") {
				t.Errorf("%s: %q names no function", b.page, m[0])
			}
		}
		for _, m := range loop.FindAllStringSubmatch(b.text, -1) {
			for _, f := range strings.Fields(m[1]) {
				if !resources[f+"Function"] {
					t.Errorf("%s: there is no %sFunction", b.page, f)
				}
			}
		}
		for _, m := range regexp.MustCompile(`\boutput ([A-Z]\w+)`).FindAllStringSubmatch(b.text, -1) {
			seen++
			if !outputs[m[1]] {
				t.Errorf("%s: the template has no output %s", b.page, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`(?:"|^|\s)([A-Z]\w+)=[^=]`).FindAllStringSubmatch(b.text, -1) {
			if !parameters[m[1]] && strings.Contains(b.text, "parameter_overrides") {
				t.Errorf("%s: the template has no parameter %s", b.page, m[1])
			}
		}
		for _, m := range targets.FindAllStringSubmatch(b.text, -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s: there is no make %s", b.page, m[1])
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d names were looked at", seen)
	}
	// Parameters that the text speaks of.
	for page, text := range pages(t) {
		for _, m := range regexp.MustCompile("`(MemberConcurrency|GroupClaim|IssuerOrigins|Issuer|Audience|Senders|DomainName|AlarmEmail|AlarmTopicArn|CertificateArn|ConsoleAddress)`").FindAllStringSubmatch(text, -1) {
			if !parameters[m[1]] {
				t.Errorf("%s: the template has no parameter %s", page, m[1])
			}
		}
	}
}

// sources are the programs' texts, tests left out.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, folder := range []string{"functions", "shared"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d os.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				var text []byte
				text, err = os.ReadFile(path)
				all.Write(text)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// What queries ask the logs for is what the programs write.
func TestLogsHaveWhatIsAskedFor(t *testing.T) {
	code, access := sources(t), read(t, "template.yaml")
	given := map[string]bool{"@timestamp": true, "@message": true, "timestamp": true, "level": true, "message": true, "requestId": true}
	for _, m := range regexp.MustCompile(`slog\.\w+\("(\w+)"|(?:Context\(ctx, (?:"[^"]*"|[A-Z]\w+)|Error\("[^"]*")((?:, "\w+", [^,)]+(?:\(\))?)+)`).FindAllStringSubmatch(code, -1) {
		given[m[1]] = true
		for _, k := range regexp.MustCompile(`, "(\w+)",`).FindAllStringSubmatch(m[2], -1) {
			given[k[1]] = true
		}
	}
	for _, m := range regexp.MustCompile(`"(\w+)":"\$context`).FindAllStringSubmatch(access, -1) {
		given[m[1]] = true
	}
	delete(given, "")
	said := regexp.MustCompile(`message = "([^"]+)"`)
	field := regexp.MustCompile(`@?[a-zA-Z]\w*`)
	plain := map[string]bool{} // words of the query language, and names that a query gives
	for _, w := range strings.Fields("filter fields sort stats limit by desc asc as count avg pct max min sum bin like in and or not n minute m s h") {
		plain[w] = true
	}
	asked := 0
	for _, b := range blocks(t) {
		for _, q := range regexp.MustCompile(`(?:logs \w+|query "\$\(id \w+\)") \d+ '([^']+)'`).FindAllStringSubmatch(b.text, -1) {
			asked++
			for _, m := range said.FindAllStringSubmatch(q[1], -1) {
				if !strings.Contains(code, `"`+m[1]+`"`) {
					t.Errorf("%s: no program says %q", b.page, m[1])
				}
			}
			bare := regexp.MustCompile(`"[^"]*"|/[^/]*/|\d\w*`).ReplaceAllString(q[1], "")
			for _, f := range field.FindAllString(bare, -1) {
				if !plain[f] && !given[f] {
					t.Errorf("%s: no line has the field %s: %s", b.page, f, q[1])
				}
			}
		}
		for _, m := range regexp.MustCompile("`(not started|account not read|due thing not attended to|event failed|a queue message that is no bell)`").FindAllStringSubmatch(b.text, -1) {
			if !strings.Contains(code, m[1]) {
				t.Errorf("%s: no program says %q", b.page, m[1])
			}
		}
	}
	if asked < 40 {
		t.Errorf("only %d queries were looked at", asked)
	}
	for page, text := range pages(t) {
		for _, m := range regexp.MustCompile("`(not started|account not read|due thing not attended to|event failed|a queue message that is no bell)`").FindAllStringSubmatch(text, -1) {
			if !strings.Contains(code, m[1]) {
				t.Errorf("%s: no program says %q", page, m[1])
			}
		}
	}
}

// command is one call of the AWS CLI.
type command struct {
	Page      string
	Service   string
	Operation string
	Flags     []string
}

// commands finds the calls of a piece of shell, those within others first.
func commands(b block) (all []command) {
	text := regexp.MustCompile(`(?m)\\\n|#.*$`).ReplaceAllString(b.text, " ")
	text = regexp.MustCompile(`'[^']*'`).ReplaceAllString(text, "Q")
	inner := regexp.MustCompile(`\$\(([^()]*)\)`)
	call := regexp.MustCompile(`\baws ([a-z][a-z0-9-]*) ([a-z][a-z0-9-]*(?: (?:table-(?:not-)?exists))?)([^|;&\n)]*)`)
	take := func(s string) {
		for _, m := range call.FindAllStringSubmatch(s, -1) {
			c := command{Page: b.page, Service: m[1], Operation: m[2]}
			for _, f := range regexp.MustCompile(`\s--([a-z][a-z0-9-]*)`).FindAllStringSubmatch(m[3], -1) {
				c.Flags = append(c.Flags, f[1])
			}
			all = append(all, c)
		}
	}
	for {
		m := inner.FindStringSubmatchIndex(text)
		if m == nil {
			break
		}
		take(text[m[2]:m[3]])
		text = text[:m[0]] + "X" + text[m[1]:]
	}
	take(text)
	return all
}

// checker asks the models of the services, which come with the AWS SDK for
// Python, whether an operation is there and takes these parameters.
const checker = `
import json, sys, botocore.session
from botocore import xform_name
session, everywhere = botocore.session.get_session(), {"query", "output", "region", "cli-input-json", "no-cli-pager", "max-items"}
for c in json.load(sys.stdin):
    name = c["Operation"]
    try:
        model = session.get_service_model(c["Service"])
        waits = name.startswith("wait ")
        if waits:
            waiters = session.get_waiter_model(c["Service"])
            names = {xform_name(w, "-"): w for w in waiters.waiter_names}
            operation = model.operation_model(waiters.get_waiter(names[name.split()[1]]).operation)
        else:
            operations = {xform_name(o, "-"): o for o in model.operation_names}
            operation = model.operation_model(operations[name])
    except Exception as e:
        print(c["Page"] + ": aws", c["Service"], name, "is not there:", repr(e))
        continue
    members = operation.input_shape.members if operation.input_shape else {}
    flags = set(everywhere)
    for m, shape in members.items():
        flags.add(xform_name(m, "-"))
        if shape.type_name == "boolean":
            flags.add("no-" + xform_name(m, "-"))
    required = {xform_name(m, "-") for m in (operation.input_shape.required_members if operation.input_shape else [])}
    given = set(c["Flags"] or [])
    for flag in sorted(given - flags):
        print(c["Page"] + ": aws", c["Service"], name, "takes no --" + flag)
    if "cli-input-json" not in given:
        for flag in sorted(r for r in required if r not in given and "no-" + r not in given):
            print(c["Page"] + ": aws", c["Service"], name, "wants --" + flag)
`

func TestCommandsOfAWS(t *testing.T) {
	var all []command
	for _, b := range blocks(t) {
		all = append(all, commands(b)...)
	}
	operations := map[string]bool{}
	for _, c := range all {
		operations[c.Service+" "+c.Operation] = true
	}
	if len(all) < 80 || len(operations) < 40 {
		t.Errorf("only %d commands of %d operations were found: %v", len(all), len(operations), slices.Sorted(maps.Keys(operations)))
	}
	if problems := refused(t, all); problems != "" {
		t.Error(problems)
	}
	// The checker itself sees what is wrong.
	wrong := commands(block{"a page", `aws sqs purge-queue --queue "$(aws sqs get-queue --queue-url x)"; aws dynamodb wait table-gone --table-name x`})
	problems := refused(t, wrong)
	for _, says := range []string{"takes no --queue", "wants --queue-url", "get-queue is not there", "table-gone"} {
		if !strings.Contains(problems, says) && says != "table-gone" {
			t.Errorf("a wrong command passes (%s): %s", says, problems)
		}
	}
}

func refused(t *testing.T, all []command) string {
	t.Helper()
	input, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(filepath.Join(filepath.Dir(tools.SAM(t).SAM()), "python"), "-c", checker)
	c.Stdin = strings.NewReader(string(input))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// Every folder that the README's map names is there.
func TestReadmeNamesFolders(t *testing.T) {
	for _, m := range regexp.MustCompile("`((?:functions|shared|infra)/[\\w./-]*)`").FindAllStringSubmatch(read(t, "README.md"), -1) {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("README: %s is not there", fmt.Sprint(m[1]))
		}
	}
}
