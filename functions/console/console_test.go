package console_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/functions/console"
	"github.com/memberkey/memberkey/infra/local/gateway"
	"github.com/memberkey/memberkey/infra/tools"
	"github.com/memberkey/memberkey/shared/httpapi"
)

// files are the client's, by path.
func files(t *testing.T) fstest.MapFS {
	t.Helper()
	all := fstest.MapFS{}
	folder, err := fs.Sub(console.Embedded, "files")
	if err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(folder, name)
		all[name] = &fstest.MapFile{Data: content}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// start serves routes as `make run` does and gives the address.
func start(t *testing.T, routes httpapi.Routes) string {
	t.Helper()
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	table, err := gateway.Read(template)
	if err != nil {
		t.Fatal(err)
	}
	table.Routes = slices.DeleteFunc(table.Routes, func(r gateway.Route) bool { return r.Function != "console" })
	silent := slog.New(slog.DiscardHandler)
	handler, err := gateway.New(gateway.Config{Table: table, Log: silent,
		Functions: map[string]httpapi.Handler{"console": routes.Handler(httpapi.Config{Log: silent})}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// ask sends a GET with headers, names and values in turn, and takes the answer
// as it is on the wire.
func ask(t *testing.T, address string, headers ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, body
}

// library is an entry of vendored.json.
type library struct {
	Name, Version, Licence, Integrity string
	Files                             []struct{ Name, From, SHA256 string }
}

func vendored(t *testing.T) []library {
	t.Helper()
	text, err := os.ReadFile("vendored.json")
	if err != nil {
		t.Fatal(err)
	}
	var record []library
	if err := json.Unmarshal(text, &record); err != nil {
		t.Fatal(err)
	}
	return record
}

// What others made is here as they released it, with their licence: see
// infra/vendored.
func TestVendored(t *testing.T) {
	want, got := map[string]string{}, map[string]string{}
	for _, l := range vendored(t) {
		if l.Version == "" || l.Licence == "" || !strings.HasPrefix(l.Integrity, "sha512-") {
			t.Errorf("%s: version %q, licence %q, integrity %q", l.Name, l.Version, l.Licence, l.Integrity)
		}
		licensed := false
		for _, f := range l.Files {
			want["vendor/"+l.Name+"/"+f.Name] = f.SHA256
			licensed = licensed || f.Name == "LICENSE"
		}
		if !licensed {
			t.Errorf("%s is here without its licence", l.Name)
		}
	}
	for name, f := range files(t) {
		if strings.HasPrefix(name, "vendor/") {
			sum := sha256.Sum256(f.Data)
			got[name] = hex.EncodeToString(sum[:])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("vendored.json (-) and files/vendor (+); `make vendor` fetches what is recorded:\n%s", diff)
	}
	if len(want) < 14 {
		t.Errorf("only %d files", len(want))
	}
}

var (
	// address is one that leads into the client's own files.
	address = regexp.MustCompile(`["'(](/console/[^"'()\s]*)["')]`)
	// imported is the address of a module in an import, at the begin of a line
	// where it is a statement.
	imported = regexp.MustCompile(`(?m)(?:^(?:import|export)\s*(?:[\w*{}\s,$]+\sfrom\s*)?|\bimport\()["']([^"']+)["']`)
	// beside is an address that a module makes of its own.
	beside = regexp.MustCompile(`new URL\(\s*["']([^"']+)["'],\s*import\.meta\.url`)
)

// An address in a page names the version; one in a module or style sheet is
// relative, so that it stays in the version. All lead to a file.
func TestAddresses(t *testing.T) {
	all := files(t)
	routes := console.Routes()
	version := ""
	if m := regexp.MustCompile(`/console/([0-9a-f]{12})/`).FindStringSubmatch(front(t, routes)); m != nil {
		version = m[1]
	}
	if version == "" {
		t.Fatal("the front page names no version")
	}
	var maps struct{ Imports map[string]string }
	if m := regexp.MustCompile(`(?s)<script type="importmap">(.*?)</script>`).FindSubmatch(all["index.html"].Data); m == nil {
		t.Fatal("the front page has no import map")
	} else if err := json.Unmarshal(m[1], &maps); err != nil {
		t.Fatal(err)
	}
	for name, f := range all {
		text := string(f.Data)
		switch path.Ext(name) {
		case ".html":
			for _, m := range address.FindAllStringSubmatch(text, -1) {
				rest, ok := strings.CutPrefix(m[1], "/console/VERSION/")
				if !ok || all[rest] == nil {
					t.Errorf("%s: %s leads nowhere; an address is /console/VERSION/ and the file", name, m[1])
				}
			}
		case ".js", ".mjs", ".css":
			if strings.HasPrefix(name, "vendor/") {
				continue
			}
			if m := address.FindString(text); m != "" || strings.Contains(text, "/VERSION/") {
				t.Errorf("%s: %s does not stay in its version; make it relative", name, m)
			}
			for _, m := range slices.Concat(imported.FindAllStringSubmatch(text, -1), beside.FindAllStringSubmatch(text, -1)) {
				to := m[1]
				if in, ok := maps.Imports[to]; ok {
					to = strings.TrimPrefix(in, "/console/VERSION/")
				} else if strings.HasPrefix(to, "./") || strings.HasPrefix(to, "../") {
					to = path.Join(path.Dir(name), to)
				}
				if all[to] == nil {
					t.Errorf("%s: %q leads nowhere", name, m[1])
				}
			}
		}
	}
}

// front is the front page.
func front(t *testing.T, routes httpapi.Routes) string {
	t.Helper()
	_, body := ask(t, start(t, routes)+"/")
	return string(body)
}

// directives takes a policy apart.
func directives(policy string) map[string]string {
	all := map[string]string{}
	for d := range strings.SplitSeq(policy, ";") {
		name, sources, _ := strings.Cut(strings.TrimSpace(d), " ")
		all[name] = sources
	}
	return all
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func TestPolicies(t *testing.T) {
	scripts := `<script src="/console/VERSION/a.js"></script><SCRIPT type="module" src="/console/VERSION/a.js"></SCRIPT>` + "\n<script\ntype=importmap>{\"a\": \"/console/VERSION/a.js\"}</script><script>\nlet a\n</script>"
	fsys := fstest.MapFS{"index.html": {Data: []byte(scripts)}, "preview.html": {Data: []byte("<script>let b</script>")}, "a.js": {Data: []byte("let a")}}
	base := start(t, console.RoutesOf(fsys, []string{"https://issuer.example.org", "https://login.example.org:8443"}))
	answer, body := ask(t, base+"/")
	version := string(regexp.MustCompile(`[0-9a-f]{12}`).Find(body))
	if version == "" {
		t.Fatalf("no version in %s", body)
	}
	want := map[string]string{
		"default-src": "'none'",
		"script-src":  "'self' " + hash(`{"a": "/console/`+version+`/a.js"}`) + " " + hash("\nlet a\n"),
		"style-src":   "'self' " + strings.Join(console.TrixStyles, " "), "img-src": "'self' data: blob:", "font-src": "'self'",
		"connect-src": "'self' https://issuer.example.org https://login.example.org:8443", "frame-src": "'self'",
		"form-action": "'self'", "base-uri": "'none'", "frame-ancestors": "'none'",
	}
	if diff := cmp.Diff(want, directives(answer.Header.Get("Content-Security-Policy"))); diff != "" {
		t.Error(diff)
	}
	answer, _ = ask(t, base+"/console/"+version+"/preview.html")
	want = map[string]string{
		"default-src": "'none'", "script-src": hash("let b"), "style-src": "'unsafe-inline'", "img-src": "data:",
		"form-action": "'none'", "base-uri": "'none'", "frame-ancestors": "'self'", "sandbox": "allow-scripts",
	}
	if diff := cmp.Diff(want, directives(answer.Header.Get("Content-Security-Policy"))); diff != "" {
		t.Error(diff)
	}
	answer, _ = ask(t, base+"/console/"+version+"/a.js")
	if got := answer.Header.Get("Content-Security-Policy"); got != "default-src 'none'; frame-ancestors 'none'" {
		t.Error(got)
	}
	answer, _ = ask(t, start(t, console.RoutesOf(fsys, nil))+"/")
	if got := directives(answer.Header.Get("Content-Security-Policy"))["connect-src"]; got != "'self'" {
		t.Error(got)
	}
	// No page of ours says that its policy allows what is not ours.
	for name, f := range files(t) {
		if path.Ext(name) == ".html" && name != "preview.html" && regexp.MustCompile(`(?i)<style|\sstyle=|\son\w+=|http-equiv`).Match(f.Data) {
			t.Errorf("%s has an inline style or handler, which the policy forbids", name)
		}
	}
}

// Through the gateway, a file arrives byte for byte, zipped or not.
func TestFilesArriveWhole(t *testing.T) {
	base := start(t, console.Routes())
	for name, f := range files(t) {
		if path.Ext(name) == ".html" {
			continue
		}
		answer, body := ask(t, base+"/console/"+name)
		if answer.StatusCode != 200 || !bytes.Equal(body, f.Data) {
			t.Errorf("%s: %d, %d bytes of %d", name, answer.StatusCode, len(body), len(f.Data))
		}
		answer, body = ask(t, base+"/console/"+name, "Accept-Encoding", "gzip, deflate, br, zstd")
		if answer.Header.Get("Content-Encoding") == "gzip" {
			r, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(r); err != nil {
				t.Error(err)
			}
		}
		if !bytes.Equal(body, f.Data) {
			t.Errorf("%s, zipped: %d bytes of %d", name, len(body), len(f.Data))
		}
	}
}

// run loads a page in a browser and gives what its script puts into
// window.result in the end.
func run[T any](t *testing.T, address string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	alloc, stop := chromedp.NewExecAllocator(ctx, chromedp.ExecPath(tools.Chromium(t)), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun)
	defer stop()
	tab, end := chromedp.NewContext(alloc)
	defer end()
	if err := chromedp.Do(tab, chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	for {
		ready, err := chromedp.Run(tab, chromedp.Evaluate[bool](`"result" in window`))
		if err != nil {
			t.Fatal(err)
		}
		if ready {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	result, err := chromedp.Run(tab, chromedp.Evaluate[T](`window.result`))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// Trix puts style elements into the page. The policy names exactly those.
func TestTrixStyles(t *testing.T) {
	fsys := files(t)
	fsys["index.html"] = &fstest.MapFile{Data: []byte(`<!doctype html><title>x</title><script type="module" src="/console/VERSION/test.js"></script><p>x`)}
	fsys["test.js"] = &fstest.MapFile{Data: []byte(`
		const refused = [];
		document.addEventListener("securitypolicyviolation", (e) => refused.push(e.effectiveDirective + ": " + e.sample));
		await import("./vendor/trix/trix.esm.min.js");
		const editor = document.createElement("trix-editor");
		document.body.append(editor);
		await new Promise((done) => editor.addEventListener("trix-initialize", done));
		editor.editor.loadHTML("<h1>a</h1><ul><li><strong>b</strong></li></ul>");
		await new Promise((done) => setTimeout(done, 100));
		window.result = {
			refused, styles: [...document.querySelectorAll("style")].map((s) => s.textContent),
			rules: [...document.styleSheets].reduce((n, s) => n + s.cssRules.length, 0), text: editor.editor.getDocument().toString(),
		};`)}
	got := run[struct {
		Refused, Styles []string
		Rules           int
		Text            string
	}](t, start(t, console.RoutesOf(fsys, nil))+"/")
	want := map[string]bool{hash(""): true}
	for _, s := range got.Styles {
		want[hash(s)] = true
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(slices.Values(console.TrixStyles))); diff != "" || len(want) != 3 {
		t.Errorf("Trix's styles (-) and trixStyles (+):\n%s", diff)
	}
	if len(got.Refused) > 0 || got.Rules < 10 || got.Text != "a\nb\n" {
		t.Errorf("refused %q; %d rules, text %q", got.Refused, got.Rules, got.Text)
	}
}

// The preview's own script runs, and nothing that a mail brings along does.
func TestPreviewIsClosed(t *testing.T) {
	fsys := fstest.MapFS{
		"index.html": {Data: []byte(`<!doctype html><title>x</title><script type="module" src="/console/VERSION/test.js"></script>`)},
		"secret.txt": {Data: []byte("secret")}, "mail.js": {Data: []byte(`parent.postMessage("a script ran", "*")`)},
		"preview.html": {Data: []byte(`<!doctype html><title>x</title><body><script>
			addEventListener("message", (e) => {
				if (e.source !== parent) return;
				const refused = [];
				document.addEventListener("securitypolicyviolation", (e) => refused.push(e.effectiveDirective + " " + e.blockedURI.replace(/^https?:..[^/]+/, "").split("/").pop()));
				document.body.innerHTML = e.data;
				for (const s of [...document.querySelectorAll("script")]) { // innerHTML alone would not run them
					const copy = document.createElement("script");
					if (s.src) copy.src = s.src; else copy.textContent = s.textContent;
					s.replaceWith(copy);
				}
				setTimeout(() => parent.postMessage({refused, origin: self.origin, color: getComputedStyle(document.querySelector("b")).color}, "*"), 300);
			});
		</script>`)},
		"test.js": {Data: []byte(`
			const frame = document.createElement("iframe");
			frame.src = new URL("./preview.html", import.meta.url).href;
			const heard = [];
			addEventListener("message", (e) => {
				heard.push(e.data);
				if (e.data.refused) window.result = {origin: e.data.origin, from: e.origin, refused: e.data.refused, color: e.data.color, heard: heard.length};
			});
			document.body.append(frame);
			await new Promise((done) => frame.addEventListener("load", done));
			const there = new URL(".", import.meta.url).href;
			frame.contentWindow.postMessage("<b style='color: rgb(1, 2, 3)'>x</b><img src='" + there + "icon.png'><script src='" + there + "mail.js'></" + "script>"
				+ "<script>parent.postMessage('an inline script ran', '*')</" + "script><img src='data:,' onerror=\"parent.postMessage('a handler ran', '*')\">"
				+ "<iframe src='" + there + "secret.txt'></iframe><link rel='stylesheet' href='" + there + "mail.css'>", "*");`)},
	}
	type result struct {
		Origin, From, Color string
		Refused             []string
		Heard               int
	}
	got := run[result](t, start(t, console.RoutesOf(fsys, nil))+"/")
	slices.Sort(got.Refused)
	want := result{Origin: "null", From: "null", Color: "rgb(1, 2, 3)", Heard: 1,
		Refused: []string{"frame-src ", "img-src icon.png", "script-src-attr inline", "script-src-elem inline", "script-src-elem mail.js", "style-src-elem mail.css"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Every module that the first view needs is named in index.html, so that a
// browser fetches them side by side and not one level of imports after another.
func TestPreloads(t *testing.T) {
	all := files(t)
	needed := map[string]bool{}
	var walk func(name string)
	walk = func(name string) {
		if needed[name] {
			return
		}
		needed[name] = true
		for _, m := range regexp.MustCompile(`(?m)^(?:import|export)\s[^"';]*["'](\.[^"']+)["']`).FindAllSubmatch(all[name].Data, -1) {
			walk(path.Join(path.Dir(name), string(m[1])))
		}
	}
	walk("app.js")
	for _, library := range []string{"preact/preact.mjs", "preact/hooks.mjs", "htm/htm.module.js", "oidc-client-ts/oidc-client-ts.js", "jwt-decode/index.js"} {
		needed["vendor/"+library] = true
	}
	walk("find/selector.js") // where staff begin
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`<link rel="modulepreload" href="/console/VERSION/([^"]+)">`).FindAllSubmatch(all["index.html"].Data, -1) {
		named[string(m[1])] = true
	}
	for name := range needed {
		if !named[name] {
			t.Errorf("index.html lacks <link rel=\"modulepreload\" href=\"/console/VERSION/%s\">", name)
		}
	}
	for name := range named {
		if !needed[name] {
			t.Errorf("index.html names %s, which the first view does not need", name)
		}
	}
}
