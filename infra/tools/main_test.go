package tools_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/memberkey/memberkey/infra/tools"
)

// What a second process does, that a test starts: see child.
var children = map[string]func(args []string){
	// asks for a tool as a test does, and says what became of the test.
	"ask": func(args []string) {
		fmt.Println(ask(func(t testing.TB) string {
			switch args[0] {
			case "DynamoDBLocal":
				return tools.DynamoDBLocal(t)
			case "Moto":
				return tools.Moto(t)
			case "Queues":
				return tools.Queues(t)
			case "SAM":
				return tools.SAM(t).SAM()
			case "Axe":
				return tools.Axe(t)
			case "Chromium":
				return tools.Chromium(t)
			}
			panic(args[0])
		}))
	},
	// asks the npm registry, or what stands for npm, for a newer release.
	"newest": func(args []string) {
		version, integrity, err := tools.NewestPackage(context.Background(), args[0], args[1])
		fmt.Println(version, integrity, err)
	},
	// answers on a port.
	"answer": func(args []string) {
		panic(http.ListenAndServe("127.0.0.1:"+args[0], nil))
	},
	// starts all servers and waits to be killed.
	"serve": func([]string) {
		for _, server := range []func(testing.TB) string{tools.DynamoDBLocal, tools.Moto, tools.Queues} {
			fmt.Println(ask(server))
		}
		select {}
	},
	// installs the tiny package when it is told to.
	"install": func(args []string) {
		fmt.Println("ready")
		bufio.NewReader(os.Stdin).ReadString('\n')
		folder, err := tiny("1", fillTiny).Install(context.Background(), args[0])
		fmt.Println(folder, err)
	},
	// gets as far as the middle of an installation.
	"stuck": func(args []string) {
		tiny("1", func(_ context.Context, folder string) error {
			if err := os.WriteFile(filepath.Join(folder, "half"), nil, 0o644); err != nil {
				return err
			}
			fmt.Println("stuck")
			select {}
		}).Install(context.Background(), args[0])
	},
}

func TestMain(m *testing.M) {
	if name := os.Getenv("TOOLS_TEST_CHILD"); name != "" {
		children[name](os.Args[1:])
		return
	}
	os.Exit(m.Run())
}

// child prepares this test program as another process.
func child(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	// A program with the race detector waits a second before it ends.
	cmd.Env = append(os.Environ(), "TOOLS_TEST_CHILD="+name, "GORACE=atexit_sleep_ms=0")
	cmd.WaitDelay = time.Second
	return cmd
}

// test stands for a test that asks for a tool.
type test struct {
	testing.TB
	verdict string
}

func (t *test) Helper()        {}
func (t *test) Cleanup(func()) {}
func (t *test) Skip(args ...any) {
	t.verdict = "skip: " + fmt.Sprint(args...)
	runtime.Goexit()
}
func (t *test) Fatal(args ...any) {
	t.verdict = "fatal: " + fmt.Sprint(args...)
	runtime.Goexit()
}

// ask runs a test and gives its verdict, or what it was given.
func ask(tool func(testing.TB) string) string {
	t := &test{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.verdict = tool(t)
	}()
	<-done
	return t.verdict
}

const tinyFiles = 20

// tiny is an installation without anything from outside.
func tiny(pins string, fill func(context.Context, string) error) interface {
	Install(context.Context, string) (string, error)
} {
	return tools.Installation("tiny", pins, fill)
}

// fillTiny fills slowly and writes down, beside the folder, that it did.
func fillTiny(_ context.Context, folder string) error {
	for i := range tinyFiles {
		name := filepath.Join(folder, "sub", fmt.Sprint(i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte("content"), 0o644); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	f, err := os.OpenFile(filepath.Join(filepath.Dir(folder), "fills"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString("filled\n")
	return err
}

// fills is how often the tiny package was filled.
func fills(t *testing.T, home string) int {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(home, "fills"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(content), "\n")
}
