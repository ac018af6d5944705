// Package sanitizer takes out of a draft's HTML what a mail must not hold. It
// is a package of its own because one function composes and ten would link it:
// bluemonday prepares its tables when a program starts, which takes as long as
// a function that does nothing needs to start at all.
package sanitizer

import (
	"sync"

	"github.com/microcosm-cc/bluemonday"
)

// policy is what is let through: the editor's own tags without any style, and
// links that a mail may hold. Images are not among them: they would be fetched
// from elsewhere on opening, in a mail that carries a credential.
var policy = sync.OnceValue(func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("div", "p", "br", "h1", "h2", "strong", "em", "u", "del", "ul", "ol", "li", "blockquote", "pre", "hr")
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("https", "mailto", "tel")
	p.RequireParseableURLs(true)
	return p
})

// HTML is s without anything else; it is the sanitizer of message.Compile.
func HTML(s string) string { return policy().Sanitize(s) }
