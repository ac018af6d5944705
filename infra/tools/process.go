package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// watched runs a program that must not outlive this process. A shell holds the
// reading end of a pipe, whose writing end the system closes when this process
// ends, even when it is killed; then the shell kills the program.
const watched = `
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
{ read -r _ <&3; kill -9 $program; } >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait $program
result=$?
kill -9 $watch 2>/dev/null
exit $result`

// command prepares a program that ends with this process or with ctx. It must
// be started.
func command(ctx context.Context, program string, args ...string) (*exec.Cmd, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", watched, "sh", path}, args...)...)
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	cmd.Cancel = pipe.Close
	cmd.WaitDelay = 10 * time.Second
	return cmd, nil
}

// run runs a program to its end. The error tells what it said last.
func run(ctx context.Context, folder, program string, args ...string) error {
	_, err := output(ctx, folder, program, args...)
	return err
}

// output is what a program says on its standard output.
func output(ctx context.Context, folder, program string, args ...string) (string, error) {
	cmd, err := command(ctx, program, args...)
	if err != nil {
		return "", err
	}
	var out, complaints bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, &out, &complaints
	if err := cmd.Run(); err != nil {
		return "", &failure{program: filepath.Base(program), err: err, output: out.String() + complaints.String()}
	}
	return out.String(), nil
}

// failure is a program that ended with an error.
type failure struct {
	program string
	err     error
	output  string
}

func (f *failure) Error() string {
	return fmt.Sprintf("%s: %v: %s", f.program, f.err, tail(f.output, 12))
}

// complaint is the one line that tells most.
func (f *failure) complaint() string {
	lines := strings.Split(strings.TrimSpace(f.output), "\n")
	for _, line := range lines {
		if strings.Contains(strings.ToLower(line), "error") {
			return strings.TrimSpace(line)
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}

// server is a third-party server that runs on the loopback interface.
type server struct {
	name    string // for people
	file    string // of its log
	health  string // path that it answers when it is ready
	prepare func(ctx context.Context, home string, port string) (*exec.Cmd, error)
}

// running is a started server.
type running struct {
	endpoint string
	log      string // file
	stop     func()
}

// portTaken is what all of them say when another program has their port.
const portTaken = "ddress already in use"

// start gives the server when it answers. A port that was free may be taken
// before the server has it, so another one is tried.
func (s server) start(ctx context.Context) (*running, error) {
	home, err := home()
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		r, err := s.startOn(ctx, home)
		if err == nil || try == 3 || !strings.Contains(err.Error(), portTaken) {
			return r, err
		}
	}
}

func (s server) startOn(ctx context.Context, home string) (*running, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	// Until it has started, the caller's context ends it; afterwards only stop.
	live, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, stop)()
	cmd, err := s.prepare(live, home, port)
	if err != nil {
		stop()
		return nil, err
	}
	out, err := openLog(home, s.file)
	if err != nil {
		stop()
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		stop()
		out.Close()
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer out.Close()
		_ = cmd.Wait() // it is always killed; what it said is in its log
	}()
	r := &running{endpoint: "http://127.0.0.1:" + port, log: out.Name(), stop: func() { stop(); <-ended }}
	if err := s.wait(ctx, r, ended); err != nil {
		r.stop()
		return nil, fmt.Errorf("start %s: %w\n%s", s.name, err, r.lastWords())
	}
	return r, nil
}

// freePort gives a port that nobody else will be given before the server has
// it: systems hand out others, from 32768 on, to those who leave them the choice.
func freePort() (string, error) {
	var err error
	for range 100 {
		port := strconv.Itoa(20_000 + rand.IntN(10_000))
		var listener net.Listener
		if listener, err = net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			return port, listener.Close()
		}
	}
	return "", err
}

// wait asks until the server answers, ends, or has had a minute.
func (s server) wait(ctx context.Context, r *running, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.endpoint+s.health, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err == nil {
			response.Body.Close()
			return nil
		}
		select {
		case <-ended:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
		if strings.Contains(r.lastWords(), portTaken) { // DynamoDB Local lives on without its port
			return errors.New(portTaken)
		}
	}
}

// lastWords is the end of the server's log.
func (r *running) lastWords() string {
	content, err := os.ReadFile(r.log)
	if err != nil {
		return err.Error()
	}
	return r.log + ":\n" + tail(string(content), 30)
}

// openLog makes a new log file and removes those of former days.
func openLog(home, name string) (*os.File, error) {
	folder := filepath.Join(home, "logs")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	old, err := filepath.Glob(filepath.Join(folder, "*.log"))
	if err != nil {
		return nil, err
	}
	for _, o := range old {
		if info, err := os.Stat(o); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			os.Remove(o)
		}
	}
	return os.CreateTemp(folder, name+"-*.log")
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
