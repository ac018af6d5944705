package ses

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/memberkey/memberkey/infra/local/mailbox"
)

// template is a message with variables, inline; there are no stored ones.
type template struct {
	TemplateName    string
	TemplateArn     string
	TemplateContent *struct{ Subject, Html, Text *string }
	TemplateData    string
	Attachments     []json.RawMessage
}

// program is a template that was understood: for each part of a message, text
// and names of variables in turn.
type program struct {
	subject, html, text []string
	// plain is the template whose variables are the parts themselves. Its data
	// is the message, and need not be taken apart.
	plain bool
}

// variable is what an inline template may hold: simple substitution, with
// nothing but letters and digits in a name.
var variable = regexp.MustCompile(`\{\{\s*([A-Za-z][A-Za-z0-9]*)\s*\}\}`)

func compile(t *template) (*program, error) {
	switch c := t.TemplateContent; {
	case t.TemplateName != "" || t.TemplateArn != "":
		return nil, &refusal{http.StatusNotFound, "NotFoundException", "The template does not exist."}
	case t.Attachments != nil:
		return nil, badRequest("This stand-in takes no attachments.")
	case c == nil || c.Subject == nil || c.Html == nil && c.Text == nil:
		return nil, badRequest("A template has a subject, and a part for HTML or text.")
	case len(t.TemplateData) > maxData:
		return nil, badRequest("The template data is longer than %d characters.", maxData)
	}
	p := &program{}
	for _, part := range []struct {
		source *string
		into   *[]string
	}{{t.TemplateContent.Subject, &p.subject}, {t.TemplateContent.Html, &p.html}, {t.TemplateContent.Text, &p.text}} {
		if part.source == nil {
			*part.into = []string{""}
			continue
		}
		rest := 0
		for _, at := range variable.FindAllStringSubmatchIndex(*part.source, -1) {
			*part.into = append(*part.into, (*part.source)[rest:at[0]], (*part.source)[at[2]:at[3]])
			rest = at[1]
		}
		*part.into = append(*part.into, (*part.source)[rest:])
		for i := 0; i < len(*part.into); i += 2 {
			text := (*part.into)[i]
			begins, ends := i > 0, i < len(*part.into)-1 // beside a variable, one brace more is three
			if strings.Contains(text, "{{") || strings.Contains(text, "}}") || ends && strings.HasSuffix(text, "{") || begins && strings.HasPrefix(text, "}") {
				return nil, badRequest("Template contains unsupported operations")
			}
		}
	}
	is := func(part []string, name string) bool {
		return len(part) == 3 && part[0]+part[2] == "" && part[1] == name
	}
	p.plain = is(p.subject, "subject") && is(p.html, "html") && is(p.text, "text")
	return p, nil
}

// render makes a mail's data as the mail service keeps it: the three parts, or
// an object without them where a variable is missing, for then SES takes the
// mail, makes none of it, and says so by an event alone. Data that is no JSON
// object stays as it is, and is refused. Values are not escaped: SES does not.
func (p *program) render(defaults, data string) []byte {
	if data == "" {
		data = "{}"
	}
	if p.plain && (defaults == "" || defaults == "{}") {
		return []byte(data)
	}
	var all map[string]mailbox.Value
	if defaults != "" && json.Unmarshal([]byte(defaults), &all) != nil {
		return []byte(defaults)
	}
	if json.Unmarshal([]byte(data), &all) != nil {
		return []byte(data)
	}
	parts := map[string]string{}
	for name, part := range map[string][]string{"subject": p.subject, "html": p.html, "text": p.text} {
		var b strings.Builder
		for i, piece := range part {
			if i%2 == 0 {
				b.WriteString(piece)
				continue
			}
			v, found := all[piece]
			if !found {
				return []byte("{}")
			}
			b.WriteString(string(v))
		}
		parts[name] = b.String()
	}
	return encode(parts)
}
