package httpapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/memberkey/memberkey/shared/problem"
)

// Files are the files of a folder as they were when [NewFiles] read them, with
// one name for all of them together, their version: 12 hex digits, that change
// when any of the files does.
//
// A page names what it needs as "/console/VERSION/app.js". VERSION stands for
// the version, which NewFiles puts there in every .html file; modules and style
// sheets name each other by relative addresses, so that the version carries
// over. Therefore whatever is asked for below the version of today may be kept
// for ever, and a page of forty modules costs one request on the second visit.
// Pages themselves are always asked for again, and answered 304 while they are
// the same, for it is them that name the version, and their policy can change
// without them.
//
// Below another version, or none, there are the files of today, to be asked for
// again each time. A page that was opened before a deployment gets a module that
// it loads late from the version after it; most deployments leave the two
// fitting, and where they do not, the import fails and the page can say so.
// Answering 404 instead would fail always, and for as long as a deployment shifts
// requests from one version to the other, it would fail for every new visitor.
type Files struct {
	version string
	files   map[string]*file // by path, such as "kit/view.js"
}

// file is one file, ready to be sent.
type file struct {
	page   bool   // .html
	text   bool   // travels to API Gateway as it is, unless it is zipped
	kind   string // Content-Type
	policy string
	hash   [sha256.Size]byte
	body   []byte
	// zipped is the body under gzip; nil for what would not get smaller. It is
	// made when it is first asked for: to zip all of them would be most of a
	// function's start.
	zipped func() []byte
}

// A text of fewer bytes fits one packet anyway.
const leastZipped = 512

// NewFiles reads all files of fsys. policy says under which
// Content-Security-Policy a file is sent, by its path and its content as sent.
func NewFiles(fsys fs.FS, policy func(name string, content []byte) string) (*Files, error) {
	f := &Files{files: map[string]*file{}}
	all := sha256.New()
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		file := &file{page: path.Ext(name) == ".html", body: body}
		file.hash = sha256.Sum256(body)
		fmt.Fprintf(all, "%q %x\n", name, file.hash)
		f.files[name] = file
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("httpapi: files: %w", err)
	}
	f.version = hex.EncodeToString(all.Sum(nil)[:6])
	for name, file := range f.files {
		if file.page {
			file.body = bytes.ReplaceAll(file.body, []byte("/VERSION/"), []byte("/"+f.version+"/"))
		}
		file.policy = policy(name, file.body)
		if file.page { // "not modified" must not leave a browser with a former policy
			file.hash = sha256.Sum256(append([]byte(file.policy+"\n"), file.body...))
		}
		if file.kind, file.text = contentType(name); file.text && len(file.body) >= leastZipped {
			file.zipped = sync.OnceValue(func() []byte { return zip(file.body) })
		}
	}
	return f, nil
}

// Version is the name of all files together.
func (f *Files) Version() string { return f.version }

// Below makes a route that serves the files below prefix, such as "/console/",
// and index.html for the prefix itself.
func (f *Files) Below(prefix string) Route {
	return Route{limit: FormLimit, fail: jsonProblem, serve: func(_ context.Context, k *call) (response, error) {
		name, ok := strings.CutPrefix(k.event.RawPath, prefix)
		file, lasting := f.find(name)
		if !ok || file == nil {
			return response{}, problem.New(problem.NotFound, "not_found", "", "There is nothing at this address.")
		}
		header := secured(http.Header{
			"Content-Security-Policy":    {file.policy},
			"Referrer-Policy":            {"no-referrer"},
			"X-Robots-Tag":               {"noindex"},
			"Cross-Origin-Opener-Policy": {"same-origin"},
			"Permissions-Policy":         {permissions},
		})
		header.Set("Cache-Control", "no-cache")
		if lasting {
			header.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		tag := hex.EncodeToString(file.hash[:16])
		zipped := false
		if file.zipped != nil {
			header.Set("Vary", "Accept-Encoding")
			if accepted, _ := k.header("accept-encoding"); takesGzip(accepted) {
				// Other bytes than those of the plain file, so another tag.
				zipped, tag = true, tag+"-gzip"
			}
		}
		tag = `"` + tag + `"`
		header["ETag"] = []string{tag} // as RFC 9110 spells it, not as Go would
		if known, _ := k.header("if-none-match"); names(known, tag) {
			return response{status: http.StatusNotModified, header: header}, nil
		}
		header.Set("Content-Type", file.kind)
		out := response{status: http.StatusOK, header: header, body: file.body}
		if zipped {
			header.Set("Content-Encoding", "gzip")
			out.body = file.zipped()
		}
		out.binary = zipped || !file.text
		return out, nil
	}}
}

var versionName = regexp.MustCompile(`^[0-9a-f]{12}$`)

// find gives the file that a path stands for, nil for none, and whether the same
// path will always stand for the same bytes.
func (f *Files) find(name string) (found *file, lasting bool) {
	if name == "" {
		name = "index.html"
	}
	if version, rest, ok := strings.Cut(name, "/"); ok && versionName.MatchString(version) {
		name, lasting = rest, version == f.version
	}
	if found = f.files[name]; found == nil {
		return nil, false
	}
	return found, lasting && !found.page
}

func zip(body []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(body) // a buffer takes everything
	w.Close()
	return out.Bytes()
}

// takesGzip reads an Accept-Encoding header (RFC 9110 §12.5.3): is gzip allowed,
// and does the client like it as well as the plain file?
func takesGzip(header string) bool {
	weights := map[string]float64{}
	for item := range strings.SplitSeq(header, ",") {
		coding, weight, weighted := strings.Cut(item, ";")
		q := 1.0
		if weighted {
			name, value, _ := strings.Cut(weight, "=")
			var err error
			if q, err = strconv.ParseFloat(strings.TrimSpace(value), 64); err != nil || !strings.EqualFold(strings.TrimSpace(name), "q") {
				q = 0
			}
		}
		weights[strings.ToLower(strings.TrimSpace(coding))] = q
	}
	q, named := weights["gzip"]
	if !named {
		q = weights["*"]
	}
	return q > 0 && q >= weights["identity"]
}

// names says whether an If-None-Match header (RFC 9110 §13.1.2) names tag. A
// proxy that changed the bytes may have made it a weak one.
func names(header, tag string) bool {
	for known := range strings.SplitSeq(header, ",") {
		known = strings.TrimSpace(known)
		if known == "*" || strings.TrimPrefix(known, "W/") == tag {
			return true
		}
	}
	return false
}

// contentType goes by the name alone; text may travel as it is. The kinds are
// written down because mime.TypeByExtension also reads the machine's own tables.
func contentType(name string) (kind string, text bool) {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8", true
	case ".css":
		return "text/css; charset=utf-8", true
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8", true
	case ".json", ".webmanifest":
		return "application/json", true
	case ".svg":
		return "image/svg+xml", true
	case ".txt", "": // LICENSE
		return "text/plain; charset=utf-8", true
	case ".png":
		return "image/png", false
	case ".ico":
		return "image/x-icon", false
	case ".woff2":
		return "font/woff2", false
	}
	return "application/octet-stream", false
}
