package tools_test

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/memberkey/memberkey/infra/tools"
)

// Both stand-ins for DynamoDB keep an item, and refuse it the second time with
// the item that is there.
func TestTables(t *testing.T) {
	t.Parallel()
	for name, tool := range map[string]func(testing.TB) string{"DynamoDBLocal": tools.DynamoDBLocal, "Moto": tools.Moto} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := dynamodb.New(dynamodb.Options{
				Region:       "eu-central-1",
				BaseEndpoint: aws.String(tool(t)),
				Credentials:  credentials.NewStaticCredentialsProvider("stand", "in", ""),
			})
			table := aws.String("tools-tables")
			_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
				TableName:            table,
				BillingMode:          types.BillingModePayPerRequest,
				AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("p"), AttributeType: types.ScalarAttributeTypeS}},
				KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("p"), KeyType: types.KeyTypeHash}},
			})
			if err != nil {
				t.Fatal(err)
			}
			item := map[string]types.AttributeValue{
				"p": &types.AttributeValueMemberS{Value: "key"},
				"v": &types.AttributeValueMemberB{Value: []byte("value")},
			}
			put := &dynamodb.PutItemInput{TableName: table, Item: item, ConditionExpression: aws.String("attribute_not_exists(p)")}
			if _, err := client.PutItem(t.Context(), put); err != nil {
				t.Fatal(err)
			}
			if _, err := client.PutItem(t.Context(), put); err == nil {
				t.Error("an item was put twice against its condition")
			}
			got, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: table, Key: map[string]types.AttributeValue{"p": item["p"]}})
			if err != nil {
				t.Fatal(err)
			}
			if v, ok := got.Item["v"].(*types.AttributeValueMemberB); !ok || string(v.Value) != "value" {
				t.Errorf("got %v", got.Item)
			}
			if _, err := client.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: table}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	python := tools.SAM(t)
	for program, want := range map[string]string{python.SAM(): "SAM CLI, version 1.170.0\n", python.CFNLint(): "cfn-lint 1.58.0\n"} {
		t.Run(filepath.Base(program), func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), program, "--version")
			person := t.TempDir()
			cmd.Env = append(os.Environ(), "HOME="+person)
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != want {
				t.Errorf("got %q, %v, want %q", out, err, want)
			}
			if files, err := os.ReadDir(person); err != nil || len(files) > 0 {
				t.Errorf("it left %v in the person's home, %v", files, err)
			}
		})
	}
}

func TestAxe(t *testing.T) {
	t.Parallel()
	if script := tools.Axe(t); !strings.HasPrefix(script, "/*! axe v4.14.1\n") {
		t.Errorf("got %.40q", script)
	}
}

func TestChromium(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), tools.Chromium(t), "--version").Output()
	if err != nil || !strings.Contains(string(out), "Chrom") {
		t.Errorf("got %q, %v", out, err)
	}
}

// A system may have the browser under another name.
func TestChromiumByItsOtherNames(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	write(t, path, "google-chrome", "#!/bin/sh\n")
	cmd := child(t, "ask", "Chromium")
	cmd.Env = append(cmd.Env, "PATH="+path)
	out, err := cmd.Output()
	if want := filepath.Join(path, "google-chrome") + "\n"; err != nil || string(out) != want {
		t.Errorf("got %q, %v", out, err)
	}
}

// A server on every interface would also have its port on 127.0.0.2.
func TestServersListenOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	everywhere, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer everywhere.Close()
	elsewhere := func(address string) error {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp4", "127.0.0.2:"+port)
		if err == nil {
			l.Close()
		}
		return err
	}
	if elsewhere(everywhere.Addr().String()) == nil {
		t.Fatal("this test does not notice a server on every interface")
	}
	for name, tool := range map[string]func(testing.TB) string{"DynamoDBLocal": tools.DynamoDBLocal, "Moto": tools.Moto, "Queues": tools.Queues} {
		endpoint := tool(t)
		address, ok := strings.CutPrefix(endpoint, "http://")
		if host, _, err := net.SplitHostPort(address); !ok || err != nil || host != "127.0.0.1" {
			t.Errorf("%s is %s", name, endpoint)
		} else if err := elsewhere(address); err != nil {
			t.Errorf("%s listens on more than the loopback interface: %v", name, err)
		}
	}
}

func TestServersAreShared(t *testing.T) {
	t.Parallel()
	if a, b := tools.Queues(t), tools.Queues(t); a != b {
		t.Errorf("two servers: %s and %s", a, b)
	}
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(context.Context) (string, func(), error){
		"DynamoDBLocal": tools.StartDynamoDBLocal, "Moto": tools.StartMoto, "Queues": tools.StartQueues,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endpoint, stop, err := start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !answers(endpoint) {
				t.Errorf("%s does not answer", endpoint)
			}
			stop()
			if answers(endpoint) {
				t.Errorf("%s answers after its end", endpoint)
			}
			stop() // does no harm
		})
	}
}

// A server may lose its port to another program, and may end or live on then.
func TestStartTriesAnotherPort(t *testing.T) {
	t.Parallel()
	answer := child(t, "answer")
	var ports []string
	endpoint, stop, err := tools.Start(t.Context(), func(port string) (string, []string) {
		ports = append(ports, port)
		switch len(ports) {
		case 1:
			return "sh", []string{"-c", "echo Address already in use; exit 1"}
		case 2:
			return "sh", []string{"-c", "echo BindException: Address already in use; exec sleep 1000"}
		}
		return "env", append(answer.Env[len(answer.Env)-2:], answer.Path, port)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if len(ports) != 3 || endpoint != "http://127.0.0.1:"+ports[2] || !answers(endpoint) {
		t.Errorf("tried %q, got %s", ports, endpoint)
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	_, _, err := tools.Start(t.Context(), func(string) (string, []string) {
		return "sh", []string{"-c", "echo out of luck >&2; exit 1"}
	})
	if err == nil || !strings.Contains(err.Error(), "ended at once") || !strings.Contains(err.Error(), "out of luck") {
		t.Errorf("a server that ends: %v, want its last words", err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, _, err = tools.Start(ctx, func(string) (string, []string) { return "sleep", []string{"1000"} })
	if err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("nobody waits any more: %v after %v", err, time.Since(began))
	}
}

// A killed test process takes its servers with it.
func TestServersEndWithTheProcess(t *testing.T) {
	t.Parallel()
	cmd := child(t, "serve")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var endpoints []string
	for lines := bufio.NewScanner(out); len(endpoints) < 3 && lines.Scan(); {
		endpoints = append(endpoints, lines.Text())
	}
	for _, endpoint := range endpoints {
		if !answers(endpoint) {
			t.Fatalf("%s does not answer", endpoint)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	for _, endpoint := range endpoints {
		for end := time.Now().Add(20 * time.Second); answers(endpoint); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%s outlives its process", endpoint)
				break
			}
		}
	}
}

func answers(endpoint string) bool {
	conn, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "http://"))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// On a machine where something is missing a test is skipped with one line that
// says what to install, and only a test that needs it. Where CI=true the same
// line is its failure. What is wrong and not missing is always a failure.
func TestMissing(t *testing.T) {
	t.Parallel()
	const (
		ok      = "#!/bin/sh\nexit 0\n"
		fails   = "#!/bin/sh\nexit 1\n"
		offline = "#!/bin/sh\necho 'npm error code ECONNREFUSED' >&2\nexit 1\n"
		evil    = "#!/bin/sh\necho evil > amplify-dynamodb-simulator-2.9.30.tgz\n"
		venv    = "#!/bin/sh\n[ \"$2\" != venv ] || { /bin/mkdir bin && echo \"$PIP\" > bin/python && /bin/chmod +x bin/python; }\n"
		noIndex = "#!/bin/sh\necho 'ERROR: No matching distribution found for arrow==1.4.0' >&2\nexit 1\n"
		badHash = "#!/bin/sh\necho 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES' >&2\nexit 1\n"
	)
	tests := map[string]struct {
		tool     string
		programs map[string]string // all that the machine has
		pip      string
		want     string // begin of the verdict
	}{
		"no java":              {"DynamoDBLocal", nil, "", "skip: java is needed for DynamoDB Local: install a Java runtime"},
		"java without Java":    {"DynamoDBLocal", map[string]string{"java": fails}, "", "skip: java is needed for DynamoDB Local: install a Java runtime"},
		"no npm for the jar":   {"DynamoDBLocal", map[string]string{"java": ok}, "", "skip: npm is needed for DynamoDB Local: install Node.js"},
		"npm registry":         {"DynamoDBLocal", map[string]string{"java": ok, "npm": offline}, "", "skip: the npm registry is needed for DynamoDB Local: npm says: npm error code ECONNREFUSED"},
		"another jar":          {"DynamoDBLocal", map[string]string{"java": ok, "npm": evil}, "", "fatal: install dynamodb-local: amplify-dynamodb-simulator@2.9.30 is not the pinned archive"},
		"no node":              {"Queues", nil, "", "skip: node is needed for fauxqs (SQS): install Node.js, 20 or newer"},
		"old node":             {"Queues", map[string]string{"node": fails}, "", "skip: node is needed for fauxqs (SQS): install Node.js, 20 or newer"},
		"no npm for the queue": {"Queues", map[string]string{"node": ok}, "", "skip: npm is needed for fauxqs (SQS): install Node.js"},
		"no python":            {"Moto", nil, "", "skip: python3 with venv is needed for SAM CLI, cfn-lint and moto: install Python 3.11"},
		"old python":           {"SAM", map[string]string{"python3": fails}, "", "skip: python3 with venv is needed for SAM CLI, cfn-lint and moto: install Python 3.11"},
		"PyPI":                 {"SAM", map[string]string{"python3": venv}, noIndex, "skip: PyPI is needed for SAM CLI, cfn-lint and moto: pip says: ERROR: No matching distribution"},
		"no npm for axe-core":  {"Axe", nil, "", "skip: npm is needed for axe-core: install Node.js"},
		"no browser":           {"Chromium", nil, "", "skip: chromium is needed for the browser tests: install Chromium"},
		"another wheel":        {"SAM", map[string]string{"python3": venv}, badHash, "fatal: install python: python: exit status 1: ERROR: THESE PACKAGES DO NOT MATCH THE HASHES"},
	}
	for name, test := range tests {
		for _, ci := range []string{"", "true"} {
			t.Run(name+" CI="+ci, func(t *testing.T) {
				t.Parallel()
				checkout, path := t.TempDir(), t.TempDir()
				write(t, checkout, "go.mod", "module github.com/memberkey/memberkey\n")
				for program, script := range test.programs {
					write(t, path, program, script)
				}
				cmd := child(t, "ask", test.tool)
				cmd.Dir = checkout
				cmd.Env = append(cmd.Env, "PATH="+path, "CI="+ci, "PIP="+test.pip)
				out, err := cmd.Output()
				if err != nil {
					t.Fatal(err)
				}
				want := test.want
				if ci != "" {
					want = "fatal: " + strings.TrimPrefix(strings.TrimPrefix(want, "skip: "), "fatal: ")
				}
				got := strings.TrimSpace(string(out))
				if !strings.HasPrefix(got, want) {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				if strings.HasPrefix(got, "skip: ") && strings.Contains(got, "\n") {
					t.Errorf("more than one line: %s", got)
				}
			})
		}
	}
}
