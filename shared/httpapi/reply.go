package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// Reply is a returned value with more to say than 200 and a body.
type Reply[Body any] struct {
	Status   int // 0 means 200, or 204 where Body is an empty struct
	Body     Body
	ETag     string // see [ETag]; empty means none
	Location string // of what was created, beginning with "/"
	Header   http.Header
}

// CSV is a table for download.
type CSV struct {
	Name string // file name, such as "recipients.csv"
	Body []byte // UTF-8
	Next string // cursor of the next page, sent as Next-Cursor; empty at the end
}

// replier is a returned value that renders itself.
type replier interface{ reply() (response, error) }

func (r Reply[Body]) reply() (response, error) {
	out, err := renderJSON(r.Body)
	if err != nil {
		return response{}, err
	}
	if r.Status != 0 {
		out.status = r.Status
	}
	for name, values := range r.Header {
		out.header[http.CanonicalHeaderKey(name)] = values
	}
	if r.ETag != "" {
		out.header["ETag"] = []string{r.ETag} // as RFC 9110 spells it, not as Go would
	}
	if r.Location != "" {
		if !ownPath(r.Location) {
			return response{}, fmt.Errorf("httpapi: Location is no path of ours")
		}
		out.header.Set("Location", r.Location)
	}
	return out, nil
}

func (c CSV) reply() (response, error) {
	header := http.Header{
		"Content-Type":        {"text/csv; charset=utf-8"},
		"Content-Disposition": {mime.FormatMediaType("attachment", map[string]string{"filename": c.Name})},
	}
	if c.Next != "" {
		header.Set("Next-Cursor", c.Next)
	}
	return response{status: http.StatusOK, header: secured(header), body: c.Body}, nil
}

// render turns what a route returned into a response.
func render(out any) (response, error) {
	if r, ok := out.(replier); ok {
		return r.reply()
	}
	return renderJSON(out)
}

func renderJSON(body any) (response, error) {
	if t := reflect.TypeOf(body); t != nil && t.Kind() == reflect.Struct && t.NumField() == 0 {
		return response{status: http.StatusNoContent, header: secured(http.Header{})}, nil
	}
	b, err := marshal(body)
	if err != nil {
		return response{}, err
	}
	return response{status: http.StatusOK, header: secured(http.Header{"Content-Type": {"application/json"}}), body: b}, nil
}

// marshal is json.Marshal without the escaping of <, > and &: nothing is ever
// sniffed as HTML (nosniff), and people read these replies.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'}), nil
}

// secured adds the headers of every reply that is no page.
func secured(h http.Header) http.Header {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Strict-Transport-Security", hsts)
	return h
}

// ownPath says whether a Location stays on this origin: a path that begins
// with exactly one slash and holds nothing that a browser would drop or read
// as a slash (A19).
func ownPath(s string) bool {
	if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c == '\\' || c >= 0x7f {
			return false
		}
	}
	return true
}

// event gives the response API Gateway's form.
func (r response) event() events.APIGatewayV2HTTPResponse {
	out := events.APIGatewayV2HTTPResponse{StatusCode: r.status, Headers: make(map[string]string, len(r.header))}
	for name, values := range r.header {
		out.Headers[name] = strings.Join(values, ", ")
	}
	for _, c := range r.cookies {
		out.Cookies = append(out.Cookies, c.String())
	}
	if r.binary {
		out.Body, out.IsBase64Encoded = base64.StdEncoding.EncodeToString(r.body), true
	} else {
		out.Body = string(r.body)
	}
	return out
}
