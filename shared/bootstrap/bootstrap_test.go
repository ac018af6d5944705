package bootstrap_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/memberkey/memberkey/shared/bootstrap"
)

type environment struct {
	Table string        `env:"PROFILES_TABLE"`
	Queue string        `env:"SINGLE_QUEUE,url"`
	Again time.Duration `env:"AGAIN"`
}

// TestMain is a function on Lambda where a test starts it as one.
func TestMain(m *testing.M) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") == "" && os.Getenv("STARTED_AS") != "function" {
		os.Exit(m.Run())
	}
	bootstrap.Start(func(e environment, cfg aws.Config, log *slog.Logger) any {
		return func(ctx context.Context) (string, error) {
			log.InfoContext(ctx, "worked")
			given, err := cfg.Credentials.Retrieve(ctx)
			return fmt.Sprintf("%s %s %s %s %s %s %s", e.Table, e.Queue, e.Again, cfg.Region, given.AccessKeyID, given.SessionToken,
				aws.ToString(sqs.NewFromConfig(cfg).Options().BaseEndpoint)), err
		}
	})
}

func function(variables ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(variables, "STARTED_AS=function", "AWS_LAMBDA_LOG_FORMAT=JSON")
	return cmd
}

var lambdas = []string{"AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=planted", "AWS_SESSION_TOKEN=session"}

func TestStartServes(t *testing.T) {
	for name, test := range map[string]struct{ variable, want string }{
		"another service": {"AWS_ENDPOINT_URL_DYNAMODB=http://localhost:2", ""},
		"another address": {"AWS_ENDPOINT_URL_SQS=http://localhost:3", "http://localhost:3"},
	} {
		t.Run(name, func(t *testing.T) {
			answered := make(chan string, 1)
			asked := false
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/next") && !asked:
					asked = true
					w.Header().Set("Lambda-Runtime-Aws-Request-Id", "request-1")
					w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()))
					_, _ = io.WriteString(w, `{}`)
				case strings.HasSuffix(r.URL.Path, "/next"):
					<-r.Context().Done()
				default:
					body, _ := io.ReadAll(r.Body)
					answered <- r.URL.Path + " " + string(body)
					w.WriteHeader(http.StatusAccepted)
				}
			}))
			defer api.Close()
			cmd := function(append(lambdas, test.variable, "PROFILES_TABLE=t", "SINGLE_QUEUE=https://sqs.example.com/q", "AGAIN=1m",
				"AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(api.URL, "http://"))...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			got := <-answered
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			want := `/2018-06-01/runtime/invocation/request-1/response "` + "t https://sqs.example.com/q 1m0s eu-central-1 key session " + test.want + `"`
			if got != want {
				t.Errorf("answered\n%s, want\n%s", got, want)
			}
			if !strings.Contains(out.String(), `"requestId":"request-1"`) {
				t.Errorf("no log line of the request: %s", &out)
			}
		})
	}
}

func TestStartRefusesAnIncompleteEnvironment(t *testing.T) {
	for name, test := range map[string]struct {
		variables []string
		named     []string
	}{
		"ours":     {append([]string{"AGAIN=planted"}, lambdas...), []string{"PROFILES_TABLE", "SINGLE_QUEUE", "AGAIN (a duration"}},
		"Lambda's": {[]string{"PROFILES_TABLE=t", "SINGLE_QUEUE=https://sqs.example.com/q", "AGAIN=1m"}, []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := function(test.variables...).CombinedOutput()
			if err == nil {
				t.Error("it started")
			}
			for _, name := range test.named {
				if !strings.Contains(string(out), name) {
					t.Errorf("%s is not named: %s", name, out)
				}
			}
			if strings.Contains(string(out), "planted") {
				t.Errorf("a value is repeated: %s", out)
			}
		})
	}
}
