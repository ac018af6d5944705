package message

// kind is what a node of a message is.
type kind uint8

const (
	kText    kind = iota // text, unescaped
	kField               // a value
	kElement             // an HTML element of the list in styles
	kWhen                // its children, if the field has a value
	kUnless              // its children, if it has none
	kLogins              // its children once for each login
	kButton              // a link that stands out, with its address below
)

// node is a part of a message. Standard mails are built from the
// constructors below, staff's from their HTML; from here on there is no
// difference between the two.
type node struct {
	kind  kind
	text  string  // kText: the text; kElement: the tag; kButton: the words
	field fieldID // kField, kWhen, kUnless; kButton: the address
	link  address // of an <a>
	kids  []node
}

// address is where an <a> leads: scheme, then either a literal or a field.
type address struct {
	scheme  string // "mailto:" and "tel:" before a field, or ""
	literal string
	field   fieldID
}

func text(s string) node                      { return node{kind: kText, text: s} }
func field(id fieldID) node                   { return node{kind: kField, field: id} }
func when(id fieldID, kids ...node) node      { return node{kind: kWhen, field: id, kids: kids} }
func unless(id fieldID, kids ...node) node    { return node{kind: kUnless, field: id, kids: kids} }
func element(tag string, kids ...node) node   { return node{kind: kElement, text: tag, kids: kids} }
func paragraph(kids ...node) node             { return element("p", kids...) }
func strong(kids ...node) node                { return element("strong", kids...) }
func logins(kids ...node) node                { return node{kind: kLogins, kids: kids} }
func button(words string, where fieldID) node { return node{kind: kButton, text: words, field: where} }

// link shows a field as a link to itself.
func link(scheme string, where, shown fieldID) node {
	return node{kind: kElement, text: "a", link: address{scheme: scheme, field: where}, kids: []node{field(shown)}}
}

// block reports whether a node starts on a line of its own. A condition does
// if its first child does: the two are never mixed in one.
func (n *node) block() bool {
	switch n.kind {
	case kLogins, kButton:
		return true
	case kElement:
		return blockTags[n.text]
	case kWhen, kUnless:
		return len(n.kids) > 0 && n.kids[0].block()
	}
	return false
}

var blockTags = map[string]bool{
	"p": true, "div": true, "h1": true, "h2": true, "ul": true, "ol": true, "li": true,
	"blockquote": true, "pre": true, "hr": true, "header": true, "footer": true,
}
