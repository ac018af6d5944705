// Package permissions proves that the policies of template.yaml are exactly
// what the functions need, and counts what they ask of AWS.
//
// A [Recorder] stands on the wire between each function and each service, and
// notes every call as IAM sees it: operation, tables, indexes, queue, identity;
// never a key or a value. [Expand] turns a call into what IAM asks for it by
// one table, and [Compare] holds that against the policies, both ways: a call
// that a policy refuses is found, and a permission that no call used is found
// too. Who removes a permission, widens one or leaves one behind sees it named.
//
// The counts of the same wire are the AWS requests of make bench.
package permissions

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Service is one of the services that functions call.
type Service string

const (
	DynamoDB Service = "dynamodb"
	SQS      Service = "sqs"
	SES      Service = "ses" // its API of version 2
)

// Request is a kind of request: what a tally is kept by.
type Request struct {
	Function  string
	Service   Service
	Operation string // as AWS names it: GetItem, SendMessageBatch, SendBulkEmail
}

func (r Request) String() string {
	return r.Function + " " + string(r.Service) + ":" + r.Operation
}

// Call is one thing that a request touches. A transaction is as many calls as
// it has different members, because IAM asks for each by itself.
type Call struct {
	Request
	// Member is the kind of a transaction's member (Put, Delete, Update,
	// ConditionCheck, Get), and of a mail's content (Simple, Raw, Template,
	// Inline).
	Member string

	Table, Index     string // DynamoDB: names
	Queue            string // SQS: name
	Identity         string // SES: domain of the From address
	ConfigurationSet string // SES: name
	Template         string // SES: name of a stored template
}

func (c Call) String() string {
	text := c.Request.String()
	for _, part := range []string{c.Member, c.Table, c.Index, c.Queue, c.Identity, c.ConfigurationSet, c.Template} {
		if part != "" {
			text += " " + part
		}
	}
	return text
}

// Tally counts the requests of one kind.
type Tally struct {
	Requests int
	// Scanned is the sum of ScannedCount over the answers that carry it: items
	// that DynamoDB read, shown or not.
	Scanned int
}

// Tallies are a Recorder's counts at one moment.
type Tallies map[Request]Tally

// Since takes away what had been counted before.
func (t Tallies) Since(before Tallies) Tallies {
	rest := Tallies{}
	for kind, now := range t {
		now.Requests -= before[kind].Requests
		now.Scanned -= before[kind].Scanned
		if now != (Tally{}) {
			rest[kind] = now
		}
	}
	return rest
}

// Sum adds up the kinds for which want is true; nil adds up all.
func (t Tallies) Sum(want func(Request) bool) (sum Tally) {
	for kind, n := range t {
		if want == nil || want(kind) {
			sum.Requests += n.Requests
			sum.Scanned += n.Scanned
		}
	}
	return sum
}

// Recorder notes what passes through its proxies. Its zero value is ready; all
// methods may be called at any time.
type Recorder struct {
	mu           sync.Mutex
	calls        map[Call]bool
	tallies      Tallies
	interceptors map[*interceptor]bool
}

type interceptor struct {
	see func(Request, []byte) *Fault
}

// Fault is an error that a service answers.
type Fault struct {
	Status  int    // 400, 500
	Type    string // "ProvisionedThroughputExceededException"
	Message string
}

// Calls are all different calls so far, in no order.
func (r *Recorder) Calls() []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Call, 0, len(r.calls))
	for c := range r.calls {
		all = append(all, c)
	}
	return all
}

// Tallies are the counts so far.
func (r *Recorder) Tallies() Tallies {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.tallies)
}

// Intercept shows all further requests to see, which must not keep or change the
// body and may be called concurrently. Where it returns a fault, the function
// gets that, and the service does not hear of the request. stop ends it.
func (r *Recorder) Intercept(see func(kind Request, body []byte) *Fault) (stop func()) {
	i := &interceptor{see}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.interceptors == nil {
		r.interceptors = map[*interceptor]bool{}
	}
	r.interceptors[i] = true
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.interceptors, i)
	}
}

// transport holds connections open: a mailing is thousands of requests.
var transport = &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}

// Proxy is the way from one function, named by its folder, to one service,
// whose stand-in is at target. What polls a queue for a function goes through
// that function's proxy: on AWS it has the function's permissions.
func (r *Recorder) Proxy(function string, service Service, target *url.URL) http.Handler {
	forward := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Header.Del("Accept-Encoding") // the answer is read here
		},
		Transport: transport,
		ModifyResponse: func(answer *http.Response) error {
			if operation := operationOf(service, answer.Request); operation == "Query" {
				return r.scanned(Request{function, service, operation}, answer)
			}
			return nil
		},
		// A stand-in that is gone, or a function that was killed amid a call,
		// is no fault of the recorder's: the caller sees 502.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if fault := r.note(Request{function, service, operationOf(service, q)}, body); fault != nil {
			fault.answer(w)
			return
		}
		q.Body = io.NopCloser(bytes.NewReader(body))
		q.ContentLength = int64(len(body))
		forward.ServeHTTP(w, q)
	})
}

// answer is understood by all three services' clients.
func (f *Fault) answer(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amzn-ErrorType", f.Type)
	w.WriteHeader(f.Status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": f.Type, "message": f.Message}) // the caller may be gone
}

func (r *Recorder) note(kind Request, body []byte) (fault *Fault) {
	calls := read(kind, body)
	r.mu.Lock()
	if r.calls == nil {
		r.calls, r.tallies = map[Call]bool{}, Tallies{}
	}
	for _, c := range calls {
		r.calls[c] = true
	}
	t := r.tallies[kind]
	t.Requests++
	r.tallies[kind] = t
	interceptors := slices.Collect(maps.Keys(r.interceptors))
	r.mu.Unlock()
	for _, i := range interceptors {
		if f := i.see(kind, body); f != nil {
			fault = f
		}
	}
	return fault
}

func (r *Recorder) scanned(kind Request, answer *http.Response) error {
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	answer.Body.Close()
	answer.Body = io.NopCloser(bytes.NewReader(body))
	var found struct{ ScannedCount int }
	if json.Unmarshal(body, &found) != nil {
		return nil // an error's answer, or none of ours: the function judges it
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tallies[kind]
	t.Scanned += found.ScannedCount
	r.tallies[kind] = t
	return nil
}

// mailOperations are the operations of SES by method and path without its
// parameters, which may be addresses.
var mailOperations = map[string]string{
	"POST /v2/email/outbound-emails":         "SendEmail",
	"POST /v2/email/outbound-bulk-emails":    "SendBulkEmail",
	"GET /v2/email/account":                  "GetAccount",
	"DELETE /v2/email/suppression/addresses": "DeleteSuppressedDestination",
}

// operationOf reads the operation's name. What is not known keeps the name that
// it came with, so that [Expand] can refuse it by name.
func operationOf(service Service, q *http.Request) string {
	if service != SES {
		_, operation, _ := strings.Cut(q.Header.Get("X-Amz-Target"), ".")
		if operation == "" {
			return q.Method + " without X-Amz-Target"
		}
		return operation
	}
	for route, operation := range mailOperations {
		method, path, _ := strings.Cut(route, " ")
		if rest, found := strings.CutPrefix(q.URL.Path, path); found && method == q.Method && (rest == "" || rest[0] == '/') {
			return operation
		}
	}
	segments := strings.Split(strings.Trim(q.URL.Path, "/"), "/")
	return q.Method + " /" + strings.Join(segments[:min(3, len(segments))], "/")
}

// body is all that is read of a request.
type body struct {
	TableName, IndexName string
	RequestItems         map[string]json.RawMessage
	TransactItems        []map[string]struct{ TableName string }

	QueueUrl string

	FromEmailAddress     string
	ConfigurationSetName string
	Content              struct{ Simple, Raw, Template *mailTemplate }
	DefaultContent       struct{ Template *mailTemplate }
}

type mailTemplate struct {
	TemplateName    string
	TemplateContent json.RawMessage
}

func (t *mailTemplate) kind() string {
	if t.TemplateContent != nil {
		return "Inline"
	}
	return "Template"
}

// read lists the calls of one request. One that cannot be read is a call
// without a resource, which [Expand] refuses.
func read(kind Request, text []byte) []Call {
	var b body
	if len(text) > 0 && json.Unmarshal(text, &b) != nil {
		return []Call{{Request: kind}}
	}
	switch {
	case len(b.TransactItems) > 0:
		seen := map[Call]bool{}
		for _, item := range b.TransactItems {
			for member, on := range item {
				seen[Call{Request: kind, Member: member, Table: tableName(on.TableName)}] = true
			}
		}
		return slices.Collect(maps.Keys(seen))
	case len(b.RequestItems) > 0:
		seen := map[Call]bool{}
		for table := range b.RequestItems {
			seen[Call{Request: kind, Table: tableName(table)}] = true
		}
		return slices.Collect(maps.Keys(seen))
	}
	c := Call{Request: kind, Table: tableName(b.TableName), Index: b.IndexName, Queue: lastSegment(b.QueueUrl),
		ConfigurationSet: b.ConfigurationSetName}
	if from, err := mail.ParseAddress(b.FromEmailAddress); err == nil {
		c.Identity = strings.ToLower(from.Address[strings.LastIndexByte(from.Address, '@')+1:])
	}
	t := b.DefaultContent.Template
	if t == nil {
		t = b.Content.Template
	}
	switch {
	case t != nil:
		c.Member, c.Template = t.kind(), t.TemplateName
	case b.Content.Simple != nil:
		c.Member = "Simple"
	case b.Content.Raw != nil:
		c.Member = "Raw"
	}
	return []Call{c}
}

// tableName is the name also where the call names the table by its ARN.
func tableName(name string) string {
	if _, after, found := strings.Cut(name, ":table/"); found {
		return after
	}
	return name
}

func lastSegment(address string) string { return address[strings.LastIndexByte(address, '/')+1:] }
