//go:build unix

package lambdahost

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// sandbox is one process and its Runtime API, which ends with it.
type sandbox struct {
	f      *Function
	cmd    *exec.Cmd
	server *http.Server
	begun  time.Time
	gone   chan struct{}
	work   chan *invocation // of capacity 1: at most one is in work

	// Guarded by f.mu.
	ready   bool // it has asked for an event
	frozen  bool
	killed  bool // no event is for it any more
	current *invocation
	answer  *result // to current; given out when the process asks for the next event, or ends
	initial *Error  // what it said of its failed start
	limit   *time.Timer
}

// spawn starts a process. f.mu is held.
func (f *Function) spawn() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &sandbox{f: f, begun: time.Now(), gone: make(chan struct{}), work: make(chan *invocation, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", s.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", s.response)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", s.failure)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", s.initFailure)
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: initTime}
	s.cmd = exec.Command(f.o.Bootstrap)
	s.cmd.Dir = filepath.Dir(f.o.Bootstrap)
	s.cmd.Env = f.environment(listener.Addr().String())
	out := &lines{f: f}
	s.cmd.Stdout, s.cmd.Stderr = out, out
	// In a group of its own, because a frozen process whose parent has died is
	// ended by the kernel only then (POSIX: SIGHUP to orphaned process groups).
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		_ = listener.Close()
		return err
	}
	f.all[s] = true
	f.starting++
	f.stats.Started++
	s.limit = time.AfterFunc(initTime, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !s.ready {
			s.initial = &Error{Type: "Runtime.InitError", Message: fmt.Sprintf("no event was asked for in %v", initTime), Init: true}
			s.kill()
		}
	})
	go func() { _ = s.server.Serve(listener) }()
	f.work.Go(func() {
		_ = s.cmd.Wait()
		out.flush()
		f.mu.Lock()
		defer f.mu.Unlock()
		s.ended()
	})
	return nil
}

// next is the process's question for an event: it is done with the last one.
func (s *sandbox) next(w http.ResponseWriter, r *http.Request) {
	s.done()
	select {
	case inv := <-s.work:
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(s.f.o.Timeout).UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", s.f.ARN())
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-00000000-"+inv.id[:8]+inv.id[9:13]+inv.id[14:18]+inv.id[19:23]+inv.id[24:28]+";Sampled=0")
		_, _ = w.Write(inv.payload)
	case <-s.gone:
	case <-r.Context().Done():
	}
}

// done ends the event in work, if there is one, and takes the next.
func (s *sandbox) done() {
	f := s.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if !s.ready {
		s.ready = true
		f.starting--
		f.stats.Ready = append(f.stats.Ready, time.Since(s.begun))
	}
	s.limit.Stop()
	if s.current != nil {
		if s.answer == nil {
			s.answer = &result{err: &Error{Type: "Runtime.NoResponse", Message: "the process asked for another event without an answer"}}
		}
		f.end(s.current, *s.answer)
		s.current, s.answer = nil, nil
	}
	switch {
	case s.killed:
	case len(f.waiting) > 0:
		inv := f.waiting[0]
		f.waiting = f.waiting[1:]
		s.begin(inv)
	default:
		f.idle = append(f.idle, s)
		s.signal(syscall.SIGSTOP)
		s.frozen = true
	}
}

// begin gives the process an event. f.mu is held.
func (s *sandbox) begin(inv *invocation) {
	s.current = inv
	s.f.stats.Events++
	s.limit = time.AfterFunc(s.f.o.Timeout, func() {
		s.f.mu.Lock()
		defer s.f.mu.Unlock()
		if s.current != inv {
			return
		}
		if s.answer == nil {
			s.answer = &result{err: &Error{Type: "Sandbox.Timedout",
				Message: fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds", inv.id, s.f.o.Timeout.Seconds())}}
		}
		s.kill()
	})
	if s.frozen {
		s.frozen = false
		s.signal(syscall.SIGCONT)
	}
	s.work <- inv
}

// response takes the function's answer.
func (s *sandbox) response(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	if err != nil {
		s.settle(w, r, result{err: &Error{Type: "Function.ResponseSizeTooLarge",
			Message: fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", maxPayload)}}, http.StatusRequestEntityTooLarge)
		return
	}
	// An error while the answer was written comes behind it.
	if kind := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); kind != "" {
		s.settle(w, r, result{err: &Error{Type: kind, Message: "the answer broke off"}}, http.StatusAccepted)
		return
	}
	s.settle(w, r, result{payload: body}, http.StatusAccepted)
}

// failure takes the function's error.
func (s *sandbox) failure(w http.ResponseWriter, r *http.Request) {
	s.settle(w, r, result{err: told(r)}, http.StatusAccepted)
}

func (s *sandbox) initFailure(w http.ResponseWriter, r *http.Request) {
	e := told(r)
	e.Init = true
	s.f.mu.Lock()
	s.initial = e
	s.f.mu.Unlock()
	reply(w, http.StatusAccepted, `{"status":"OK"}`)
}

func told(r *http.Request) *Error {
	var body struct{ ErrorType, ErrorMessage string }
	if err := json.NewDecoder(io.LimitReader(r.Body, maxPayload)).Decode(&body); err != nil || body.ErrorType == "" {
		body.ErrorType = "Runtime.UnknownError"
	}
	return &Error{Type: body.ErrorType, Message: body.ErrorMessage}
}

// settle notes the answer to the event in work; whoever invoked gets it when
// the process is done with it.
func (s *sandbox) settle(w http.ResponseWriter, r *http.Request, answer result, status int) {
	s.f.mu.Lock()
	known := s.current != nil && s.current.id == r.PathValue("id") && s.answer == nil
	if known {
		s.answer = &answer
	}
	s.f.mu.Unlock()
	if !known {
		reply(w, http.StatusBadRequest, `{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}`)
		return
	}
	reply(w, status, `{"status":"OK"}`)
}

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// kill ends the process without a word. f.mu is held.
func (s *sandbox) kill() {
	s.killed = true
	s.f.idle = slices.DeleteFunc(s.f.idle, func(other *sandbox) bool { return other == s })
	s.signal(syscall.SIGKILL)
}

// signal is to a process that may have ended this moment, which is no error.
func (s *sandbox) signal(sig syscall.Signal) { _ = s.cmd.Process.Signal(sig) }

// ended takes the process off the list. f.mu is held.
func (s *sandbox) ended() {
	f := s.f
	s.limit.Stop()
	delete(f.all, s)
	s.killed = true // or ended by itself
	f.idle = slices.DeleteFunc(f.idle, func(other *sandbox) bool { return other == s })
	close(s.gone)
	go func() { _ = s.server.Close() }()
	exit := &Error{Type: "Runtime.ExitError", Message: fmt.Sprintf("Runtime exited with error: %v", s.cmd.ProcessState), Init: !s.ready}
	switch {
	case !s.ready:
		f.starting--
		if s.initial != nil {
			exit = s.initial
		}
		f.fail(exit)
	case s.current != nil:
		if s.answer == nil {
			exit.Message = "RequestId: " + s.current.id + " Error: " + exit.Message
			s.answer = &result{err: exit}
		}
		f.end(s.current, *s.answer)
		s.current = nil
	}
	f.staff()
}

// lines keeps the lines of several processes whole.
type lines struct {
	f    *Function
	rest []byte
}

func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	if end := bytes.LastIndexByte(l.rest, '\n') + 1; end > 0 {
		l.write(l.rest[:end])
		l.rest = append(l.rest[:0], l.rest[end:]...)
	}
	return len(b), nil
}

func (l *lines) write(b []byte) {
	l.f.output.Lock()
	defer l.f.output.Unlock()
	_, _ = l.f.o.Output.Write(b)
}

func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.write(append(l.rest, '\n'))
		l.rest = nil
	}
}
