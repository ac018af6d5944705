// Package console serves the staff web client's files. It reads nothing and
// knows nobody: whatever the client shows, it asks the API for.
package console

import (
	"embed"
	"io/fs"

	"github.com/memberkey/memberkey/shared/httpapi"
)

//go:embed files
var embedded embed.FS

// Routes are the front page at "/" and the client's files below "/console/".
func Routes() httpapi.Routes {
	files, err := fs.Sub(embedded, "files")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	return httpapi.Routes{
		"GET /":                 httpapi.Files(files, "/"),
		"HEAD /":                httpapi.Files(files, "/"),
		"GET /console/{file+}":  httpapi.Files(files, "/console/"),
		"HEAD /console/{file+}": httpapi.Files(files, "/console/"),
	}
}
