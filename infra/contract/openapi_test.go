package contract_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/memberkey/memberkey/infra/local/gateway"
	"github.com/memberkey/memberkey/shared/httpapi"
)

// walk visits every object of the document with its place.
func walk(v any, at string, visit func(m map[string]any, at string)) {
	switch v := v.(type) {
	case map[string]any:
		visit(v, at)
		for name, inner := range v {
			walk(inner, at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name), visit)
		}
	case []any:
		for i, inner := range v {
			walk(inner, fmt.Sprintf("%s/%d", at, i), visit)
		}
	}
}

func TestEveryReferenceResolves(t *testing.T) {
	c := readContract(t)
	used := map[string]bool{}
	walk(c.document, "#", func(m map[string]any, at string) {
		ref, ok := m["$ref"].(string)
		if !ok {
			return
		}
		used[ref] = true
		if _, err := c.resolve(m); err != nil {
			t.Errorf("%s: %v", at, err)
		}
		if len(m) > 1 && !strings.Contains(at, "/schema") {
			t.Errorf("%s: what stands beside $ref is ignored there", at)
		}
	})
	for kind, all := range object(c.document["components"]) {
		if strings.HasPrefix(kind, "x-") || kind == "securitySchemes" {
			continue
		}
		for name := range object(all) {
			if !used["#/components/"+kind+"/"+name] {
				t.Errorf("nothing uses components/%s/%s", kind, name)
			}
		}
	}
}

// examples gives the examples of a media type, a parameter or a header.
func (c *contract) examples(m map[string]any) (all []any) {
	if one, ok := m["example"]; ok {
		all = append(all, one)
	}
	for _, named := range object(m["examples"]) {
		if resolved, err := c.resolve(named); err == nil { // TestEveryReferenceResolves says what is wrong
			all = append(all, resolved["value"])
		}
	}
	return all
}

func TestExamplesFitTheirSchemas(t *testing.T) {
	c := readContract(t)
	checked := 0
	walk(c.document, "#", func(m map[string]any, at string) {
		schema, ok := m["schema"]
		if ok && object(schema) != nil {
			for _, example := range c.examples(m) {
				checked++
				for _, fault := range c.validate(schema, example, at) {
					t.Error(fault)
				}
			}
		}
		// A schema's own examples are a list; those above are an object.
		for _, example := range array(m["examples"]) {
			checked++
			for _, fault := range c.validate(m, example, at) {
				t.Error(fault)
			}
		}
		if value, ok := m["default"]; ok && m["type"] != nil {
			for _, fault := range c.validate(m, value, at+"/default") {
				t.Error(fault)
			}
		}
	})
	if checked < 100 {
		t.Errorf("only %d examples checked", checked)
	}
}

func TestEveryBodyHasAnExample(t *testing.T) {
	c := readContract(t)
	for key, o := range c.operations {
		bodies := []any{o.fields["requestBody"]}
		for _, response := range object(o.fields["responses"]) {
			bodies = append(bodies, response)
		}
		for _, body := range bodies {
			if body == nil {
				continue
			}
			resolved, err := c.resolve(body)
			if err != nil {
				t.Errorf("%s: %v", key, err)
				continue
			}
			for kind, media := range object(resolved["content"]) {
				if kind != "text/html" && len(c.examples(object(media))) == 0 {
					t.Errorf("%s: a body as %s without an example", key, kind)
				}
			}
		}
	}
}

// What somebody sends is closed; what we answer may grow.
func TestRequestsAreClosed(t *testing.T) {
	c := readContract(t)
	for key, o := range c.operations {
		body, ok := o.fields["requestBody"]
		if !ok {
			continue
		}
		resolved, err := c.resolve(body)
		if err != nil {
			t.Errorf("%s: %v", key, err)
			continue
		}
		for kind, media := range object(resolved["content"]) {
			if kind == "application/json" || kind == "application/x-www-form-urlencoded" {
				c.closed(t, object(media)["schema"], key)
			}
		}
	}
}

func (c *contract) closed(t *testing.T, schema any, at string) {
	s, err := c.resolve(schema)
	if err != nil {
		t.Errorf("%s: %v", at, err)
		return
	}
	if s["type"] == "object" && s["additionalProperties"] != false {
		t.Errorf("%s: the object is not closed", at)
	}
	for name, inner := range object(s["properties"]) {
		c.closed(t, inner, at+"."+name)
	}
	if items, ok := s["items"]; ok {
		c.closed(t, items, at+"[]")
	}
	for _, one := range array(s["oneOf"]) {
		c.closed(t, one, at)
	}
}

func TestAddressesAreExamples(t *testing.T) {
	allowed := []string{"example.com", "example.org", "example.net", "localhost"}
	walk(readContract(t).document, "#", func(m map[string]any, at string) {
		for name, v := range m {
			text, _ := v.(string)
			for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" <>\"'`,;()", r) }) {
				_, domain, ok := strings.Cut(strings.TrimRight(word, "."), "@")
				if ok && domain != "" && !slices.ContainsFunc(allowed, func(one string) bool { return domain == one || strings.HasSuffix(domain, "."+one) }) {
					t.Errorf("%s/%s names %s", at, name, word)
				}
			}
		}
	})
}

// What API Gateway itself answers is documented with the bytes that the local
// gateway, which copies it, really sends.
func TestGatewaysOwnAnswers(t *testing.T) {
	table, err := gateway.Read([]byte(`
Resources:
  Api: {Type: AWS::Serverless::HttpApi, Properties: {Auth: {DefaultAuthorizer: Staff}}}
  SlowFunction:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Private: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: GET, Path: /private}}
        Public: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: POST, Path: /public, Auth: {Authorizer: NONE}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	slow := func(ctx context.Context, _ events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		<-ctx.Done()
		return events.APIGatewayV2HTTPResponse{}, ctx.Err()
	}
	failing := func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		return events.APIGatewayV2HTTPResponse{}, errors.New("broken")
	}
	c := readContract(t)
	for _, tt := range []struct {
		response, method, path string
		body                   int
		throttle               *gateway.Throttle
		function               httpapi.Handler
		status                 int
	}{
		{"GatewayUnauthorized", "GET", "/private", 0, nil, slow, http.StatusUnauthorized},
		{"GatewayNotFound", "GET", "/nowhere", 0, nil, slow, http.StatusNotFound},
		{"GatewayTooLarge", "POST", "/public", 10<<20 + 1, nil, slow, http.StatusRequestEntityTooLarge},
		{"GatewayThrottled", "POST", "/public", 0, &gateway.Throttle{}, slow, http.StatusTooManyRequests},
		{"GatewayUnavailable", "POST", "/public", 0, nil, slow, http.StatusServiceUnavailable},
		{"GatewayFailed", "POST", "/public", 0, nil, failing, http.StatusInternalServerError},
	} {
		h, err := gateway.New(gateway.Config{
			Table: table, Functions: map[string]httpapi.Handler{"slow": tt.function}, Authorizer: nobody{},
			Throttle: tt.throttle, TimeLimit: time.Millisecond, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, io.LimitReader(zeros{}, int64(tt.body))))
		example, ok := object(object(c.document["components"])["x-gateway-answers"])[tt.response]
		if !ok {
			t.Errorf("openapi.yaml has no %s", tt.response)
			continue
		}
		want := fmt.Sprintf(`{"message":"%v"}`, object(example)["message"])
		if w.Code != tt.status || object(example)["status"] != tt.status || w.Body.String() != want {
			t.Errorf("%s: documented %v, answered %d %s", tt.response, example, w.Code, w.Body)
		}
	}
}

type nobody struct{}

func (nobody) Authorize(string) (gateway.Identity, error) {
	return gateway.Identity{}, errors.New("no such token")
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
