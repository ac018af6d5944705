// Package console serves the staff web client's files. It reads nothing and
// knows nobody: whatever the client shows, it asks the API for.
//
// # The files
//
// They are in files/, as the browser gets them: no step makes them. An .html
// file names others as "/console/VERSION/app.js" (see [httpapi.Files]); modules
// and style sheets name each other by relative addresses only, with
// import.meta.url where an address is needed. So all of a page comes from one
// version and is kept for ever by the browser. files/vendor/ has the released
// files of others, each library with its licence; vendored.json says which, and
// `make vendor` fetches them.
//
// # What a page may do
//
// Its Content-Security-Policy lets it load from here alone and connect to here
// and the staff's issuer. Every inline script of an .html file has its hash in
// the policy of that file, which is for the import map; an inline style or a
// style attribute has no effect.
package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"regexp"
	"strings"

	"github.com/memberkey/memberkey/shared/httpapi"
)

//go:embed files
var embedded embed.FS

// Routes are the front page at "/" and the client's files below "/console/".
// The client may connect to the origins in connect, those at which the staff's
// issuer answers, such as "https://issuer.example.org".
func Routes(connect ...string) httpapi.Routes {
	folder, err := fs.Sub(embedded, "files")
	if err != nil {
		panic(err) // it is compiled in
	}
	return routes(folder, connect)
}

func routes(folder fs.FS, connect []string) httpapi.Routes {
	files, err := httpapi.NewFiles(folder, func(name string, content []byte) string {
		switch {
		case name == "preview.html":
			return preview(content)
		case strings.HasSuffix(name, ".html"):
			return page(content, connect)
		}
		return "default-src 'none'; frame-ancestors 'none'" // shown by itself, it does nothing
	})
	if err != nil {
		panic(err)
	}
	return httpapi.Routes{
		"GET /":                files.Below("/"),
		"GET /console/{file+}": files.Below("/console/"),
	}
}

// page is the policy of the client.
func page(content []byte, connect []string) string {
	return strings.Join([]string{
		"default-src 'none'",
		"script-src " + strings.Join(append([]string{"'self'"}, inlineScripts(content)...), " "),
		"style-src " + strings.Join(append([]string{"'self'"}, trixStyles...), " "),
		"img-src 'self' data: blob:",
		"font-src 'self'",
		"connect-src " + strings.Join(append([]string{"'self'"}, connect...), " "),
		"frame-src 'self'", // the preview
		"form-action 'self'",
		"base-uri 'none'",
		"frame-ancestors 'none'",
	}, "; ")
}

// preview is the policy of the page that shows a mail. A mail has styles of its
// own and is not ours to trust, so it is shown in a document of no origin: it
// reaches neither the client around it nor anything else, and of scripts it has
// the page's own one alone. That one is inline because a document of no origin
// has no 'self' either, in some browsers.
func preview(content []byte) string {
	return strings.Join([]string{
		"default-src 'none'",
		"script-src " + strings.Join(inlineScripts(content), " "),
		"style-src 'unsafe-inline'",
		"img-src data:",
		"form-action 'none'",
		"base-uri 'none'",
		"frame-ancestors 'self'",
		"sandbox allow-scripts",
	}, "; ")
}

// trixStyles are the hashes of the two style elements that Trix puts into the
// page when it is loaded, for <trix-toolbar> and <trix-editor>, and of the empty
// element that each one is at first. TestTrixStyles has them from Trix itself.
var trixStyles = []string{
	"'sha256-c5Z9aB2t69CSpeI1aC8dDLr7LZYZlynV8iY/8Uc9ZFk='",
	"'sha256-jAP18ioNeNaQBBU5RJvT96kjJnVxHvZs+s8WUNiLnvA='",
	"'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
}

var scriptElement = regexp.MustCompile(`(?is)<script((?:\s[^>]*)?)>(.*?)</script>`)

// inlineScripts are the hashes of the inline scripts of a page of ours, import
// maps included, as a policy names them.
func inlineScripts(page []byte) []string {
	var hashes []string
	for _, m := range scriptElement.FindAllSubmatch(page, -1) {
		if bytes.Contains(bytes.ToLower(m[1]), []byte(" src=")) {
			continue
		}
		sum := sha256.Sum256(m[2])
		hashes = append(hashes, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	return hashes
}
