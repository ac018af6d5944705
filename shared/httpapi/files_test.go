package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/httpapi"
)

var script = []byte("let a = 1;" + strings.Repeat(" // and so on", 100))

// site is a small client, below "/console/".
func site(t *testing.T, change ...func(fstest.MapFS)) *httpapi.Files {
	t.Helper()
	fsys := fstest.MapFS{
		"index.html": {Data: []byte(`<!doctype html><script src="/console/VERSION/app.js"></script>`)}, "app.js": {Data: script}, "kit/tiny.mjs": {Data: []byte("let b")},
		"a/logo.png": {Data: append([]byte{0x89, 'P', 0xff}, make([]byte, 2000)...)}, "icon.svg": {Data: []byte("<svg/>")}, "vendor/x/LICENSE": {Data: []byte("may")},
	}
	for _, c := range change {
		c(fsys)
	}
	files, err := httpapi.NewFiles(fsys, func(name string, content []byte) string {
		return "policy of " + name + " with " + string(content[:min(len(content), 5)])
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func get(t *testing.T, files *httpapi.Files, path string, change ...func(*request)) reply {
	t.Helper()
	e := staffRequest("GET /console/{file+}", change...)
	e.RawPath = path
	out, _ := serve(t, files.Below("/console/"), httpapi.Config{}, e)
	return out
}

func TestFiles(t *testing.T) {
	files := site(t)
	if v := files.Version(); len(v) != 12 || strings.Trim(v, "0123456789abcdef") != "" {
		t.Fatalf("version %q", v)
	}
	const lasting = "public, max-age=31536000, immutable"
	for name, want := range map[string]struct {
		kind, cache string
		binary      bool
	}{
		"index.html":       {"text/html; charset=utf-8", "no-cache", false},
		"app.js":           {"text/javascript; charset=utf-8", lasting, false},
		"kit/tiny.mjs":     {"text/javascript; charset=utf-8", lasting, false},
		"a/logo.png":       {"image/png", lasting, true},
		"icon.svg":         {"image/svg+xml", lasting, false},
		"vendor/x/LICENSE": {"text/plain; charset=utf-8", lasting, false},
	} {
		for path, cache := range map[string]string{
			"/console/" + files.Version() + "/" + name: want.cache,
			"/console/" + name:                         "no-cache",
			"/console/0123456789ab/" + name:            "no-cache", // an open page of another version
		} {
			out := get(t, files, path)
			if out.StatusCode != 200 || out.Headers["Content-Type"] != want.kind || out.Headers["Cache-Control"] != cache || out.IsBase64Encoded != want.binary {
				t.Errorf("%s: %d %v %v", path, out.StatusCode, out.Headers, out.IsBase64Encoded)
			}
			for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex",
				"Cross-Origin-Opener-Policy": "same-origin", "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()"} {
				if out.Headers[header] != want {
					t.Errorf("%s: %s %q", path, header, out.Headers[header])
				}
			}
			if got := out.Headers["Content-Security-Policy"]; !strings.HasPrefix(got, "policy of "+name+" with ") {
				t.Errorf("%s: %s", path, got)
			}
		}
	}
	if out := get(t, files, "/console/a/logo.png"); !strings.HasPrefix(out.Body, base64.StdEncoding.EncodeToString([]byte{0x89, 'P', 0xff})) {
		t.Errorf("body %q", out.Body)
	}
	want := `<!doctype html><script src="/console/` + files.Version() + `/app.js"></script>`
	for _, path := range []string{"/console/", "/console/index.html"} {
		if out := get(t, files, path); out.Body != want {
			t.Errorf("%s: %s", path, out.Body)
		}
	}
	for _, path := range []string{"/console/none", "/console/a", "/console/a/", "/console//index.html", "/console/../index.html", "/console/a/../app.js", "/console/./app.js",
		"", "app.js", "/app.js", "/console", "/console/\x00", "/console/" + files.Version(), "/console/" + files.Version() + "/", "/console/0123456789AB/app.js",
		"/console/0123456789ab/0123456789ab/app.js"} {
		if out := get(t, files, path); out.StatusCode != 404 || out.Headers["Cache-Control"] != "no-store" {
			t.Errorf("%q: %d %v", path, out.StatusCode, out.Headers)
		}
	}
}

// The version is the same wherever the same files are served, and another one
// when a file has changed, its name or its place.
func TestFilesVersion(t *testing.T) {
	seen := map[string]string{}
	for name, change := range map[string]func(fstest.MapFS){
		"nothing": func(fstest.MapFS) {},
		"content": func(f fstest.MapFS) { f["app.js"] = &fstest.MapFile{Data: script[1:]} },
		"name":    func(f fstest.MapFS) { f["apt.js"] = f["app.js"]; delete(f, "app.js") },
		"new":     func(f fstest.MapFS) { f["new"] = &fstest.MapFile{} },
		"swapped": func(f fstest.MapFS) { f["app.js"], f["icon.svg"] = f["icon.svg"], f["app.js"] },
	} {
		v := site(t, change).Version()
		if other := seen[v]; other != "" {
			t.Errorf("%s and %s have the same version", name, other)
		}
		seen[v] = name
	}
	if a, b := site(t).Version(), site(t).Version(); a != b {
		t.Errorf("the same files are %s and %s", a, b)
	}
}

func TestFilesZipped(t *testing.T) {
	files := site(t)
	path := "/console/" + files.Version() + "/app.js"
	plain := get(t, files, path)
	if plain.Body != string(script) || plain.Headers["Vary"] != "Accept-Encoding" || plain.Headers["Content-Encoding"] != "" {
		t.Errorf("%v %s", plain.Headers, plain.Body)
	}
	for accepted, want := range map[string]bool{
		"gzip": true, "gzip, deflate, br, zstd": true, "br;q=1.0, gzip;q=0.8, *;q=0.1": true, "GZIP": true, " deflate ,\tgzip ; Q=0.001": true, "*": true, "*;q=0.5": true,
		"gzip;q=1": true, "identity;q=0, gzip": true, "identity;q=0.5, gzip;q=0.5": true,
		"": false, "br": false, "gzip;q=0": false, "gzip;q=0.000, *": false, "*;q=0": false, "identity": false, "identity, gzip;q=0.5": false, "gzip;q=x": false, "gzip;level=9": false,
		"gzip;q": false, "gzip;q=NaN": false, "xgzip": false, ",;,": false,
	} {
		out := get(t, files, path, header("accept-encoding", accepted))
		if got := out.Headers["Content-Encoding"] == "gzip"; got != want || out.StatusCode != 200 || out.Headers["Vary"] != "Accept-Encoding" {
			t.Errorf("%q: %v", accepted, out.Headers)
		}
		if !want {
			if out.Body != plain.Body || out.Headers["ETag"] != plain.Headers["ETag"] || out.Headers["Content-Encoding"] != "" {
				t.Errorf("%q: %v", accepted, out.Headers)
			}
			continue
		}
		zipped, err := base64.StdEncoding.DecodeString(out.Body)
		if err != nil || !out.IsBase64Encoded || len(zipped) >= len(script) || out.Headers["ETag"] == plain.Headers["ETag"] || out.Headers["Content-Type"] != plain.Headers["Content-Type"] {
			t.Fatalf("%q: %v, %v, %d bytes", accepted, err, out.Headers, len(zipped))
		}
		r, err := gzip.NewReader(bytes.NewReader(zipped))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, script) {
			t.Errorf("%q: %v %s", accepted, err, got)
		}
	}
	// What is small or packed already goes as it is.
	for _, path := range []string{"/console/kit/tiny.mjs", "/console/a/logo.png"} {
		if out := get(t, files, path, header("accept-encoding", "gzip")); out.Headers["Content-Encoding"] != "" || out.Headers["Vary"] != "" {
			t.Errorf("%s: %v", path, out.Headers)
		}
	}
}

func TestFilesNotModified(t *testing.T) {
	files := site(t)
	for _, accepted := range []string{"", "gzip"} {
		get := func(known string) reply {
			return get(t, files, "/console/app.js", header("accept-encoding", accepted), header("if-none-match", known))
		}
		full := get("")
		tag := full.Headers["ETag"]
		if full.StatusCode != 200 || len(tag) < 34 {
			t.Fatalf("%d %v", full.StatusCode, full.Headers)
		}
		for _, known := range []string{tag, "W/" + tag, `"other", ` + tag, `W/"other",` + tag + ` , "third"`, "*"} {
			out := get(known)
			if out.StatusCode != 304 || out.Body != "" || out.IsBase64Encoded || out.Headers["Content-Encoding"] != "" {
				t.Errorf("%s: %d %v", known, out.StatusCode, out.Headers)
			}
			for _, name := range []string{"ETag", "Cache-Control", "Vary", "Content-Security-Policy"} { // RFC 9110 §15.4.5
				if out.Headers[name] == "" || out.Headers[name] != full.Headers[name] {
					t.Errorf("%s: %s is %q, was %q", known, name, out.Headers[name], full.Headers[name])
				}
			}
		}
		for _, known := range []string{`"other"`, strings.Trim(tag, `"`), "", ",", tag[:len(tag)-1]} {
			if out := get(known); out.StatusCode != 200 || out.Body != full.Body {
				t.Errorf("%s: %d", known, out.StatusCode)
			}
		}
	}
	// Bytes of one form do not stand for those of the other.
	plain := get(t, files, "/console/app.js").Headers["ETag"]
	if out := get(t, files, "/console/app.js", header("accept-encoding", "gzip"), header("if-none-match", plain)); out.StatusCode != 200 {
		t.Errorf("the plain file's tag: %d", out.StatusCode)
	}
}

// A page under another policy is another page.
func TestFilesPolicyChanges(t *testing.T) {
	tag := func(policy string) string {
		files, err := httpapi.NewFiles(fstest.MapFS{"index.html": {Data: []byte("x")}}, func(string, []byte) string { return policy })
		if err != nil {
			t.Fatal(err)
		}
		return get(t, files, "/console/").Headers["ETag"]
	}
	if a, b, again := tag("connect-src 'self'"), tag("connect-src 'none'"), tag("connect-src 'self'"); a == b || a != again {
		t.Errorf("%s, %s, %s", a, b, again)
	}
}

// HEAD has the headers of GET, and nothing else.
func TestFilesHEAD(t *testing.T) {
	files := site(t)
	routes := httpapi.Routes{"GET /console/{file+}": files.Below("/console/")}
	for _, accepted := range []string{"", "gzip"} {
		e := staffRequest("HEAD /console/{file+}", header("accept-encoding", accepted))
		e.RawPath = "/console/app.js"
		out, err := routes.Handler(httpapi.Config{})(t.Context(), e)
		want := get(t, files, "/console/app.js", header("accept-encoding", accepted))
		if err != nil || out.StatusCode != 200 || out.Body != "" || out.IsBase64Encoded {
			t.Errorf("%v %d %q", err, out.StatusCode, out.Body)
		}
		if diff := cmp.Diff(want.Headers, out.Headers); diff != "" {
			t.Error(diff)
		}
	}
}

// What is served at once from many goroutines is zipped once.
func TestFilesAtOnce(t *testing.T) {
	files := site(t)
	done := make(chan string)
	for range 8 {
		go func() { done <- get(t, files, "/console/app.js", header("accept-encoding", "gzip")).Body }()
	}
	first := <-done
	for range 7 {
		if other := <-done; other != first || first == "" {
			t.Error("two answers differ")
		}
	}
}
