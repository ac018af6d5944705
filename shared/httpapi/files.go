package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/memberkey/memberkey/shared/problem"
)

// Files makes a route that serves the files of fsys below prefix (such as
// "/"), index.html for the prefix itself. A file whose name holds the first 8
// hex digits of its SHA-256 may be kept for ever; any other is asked for again
// and answered 304 while it is the same. The pages may connect to themselves
// and to the origins in connect, such as the staff issuer's.
func Files(fsys fs.FS, prefix string, connect ...string) Route {
	policy := strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "font-src 'self'",
		"connect-src " + strings.Join(append([]string{"'self'"}, connect...), " "),
		"form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
	}, "; ")
	return Route{limit: FormLimit, fail: jsonProblem, serve: func(_ context.Context, k *call) (response, error) {
		name, ok := strings.CutPrefix(k.event.RawPath, prefix)
		if name == "" {
			name = "index.html"
		}
		body, err := fs.ReadFile(fsys, name) // refuses "..", "//" and the like
		if !ok || err != nil {
			return response{}, problem.New(problem.NotFound, "not_found", "", "There is nothing at this address.").Because(err)
		}
		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:])
		cache := "no-cache"
		if strings.Contains(path.Base(name), hash[:8]) {
			cache = "public, max-age=31536000, immutable"
		}
		header := secured(http.Header{
			"Content-Security-Policy":    {policy},
			"Referrer-Policy":            {"no-referrer"},
			"X-Robots-Tag":               {"noindex"},
			"Cross-Origin-Opener-Policy": {"same-origin"},
		})
		header.Set("Cache-Control", cache)
		tag := `"` + hash[:32] + `"`
		header["ETag"] = []string{tag}
		if seen, _ := k.header("if-none-match"); seen == tag || seen == "W/"+tag {
			return response{status: http.StatusNotModified, header: header}, nil
		}
		kind := contentType(name)
		header.Set("Content-Type", kind)
		text := strings.HasPrefix(kind, "text/") || strings.Contains(kind, "javascript") || strings.Contains(kind, "json") || kind == "image/svg+xml"
		return response{status: http.StatusOK, header: header, body: body, binary: !text}, nil
	}}
}

// contentType goes by the name alone. The kinds are written down because
// mime.TypeByExtension also reads the machine's own tables.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".json", ".webmanifest":
		return "application/json"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".ico":
		return "image/x-icon"
	case ".woff2":
		return "font/woff2"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}
