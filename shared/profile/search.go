package profile

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/memberkey/memberkey/shared/problem"
)

// The ranges in which search rows live, apart from each other so that a
// prefix of one never reads past rows of another.
const (
	RangeName     = "name"
	RangeEmail    = "email"
	RangeUsername = "username"
	RangeID       = "id"
)

const (
	// maxNameRows bounds what one profile costs to write: a name is found by
	// its first words, and the company's words share what is left.
	maxNameRows = 8
	// minPersonRows of them belong to the name itself, however long the
	// company's is.
	minPersonRows = 5
	// maxKeyText bounds a key's text in bytes; both a row and a query are cut
	// there.
	maxKeyText = 200
	// maxQuery bounds what is typed into the search field, in characters.
	maxQuery = 200
	// MaxSearchReads bounds the rows that one call of [Query.Run] reads. A store
	// reads one more each time it is asked, to know whether more follow; with
	// those it stays below 200.
	MaxSearchReads = 195
	// MaxSearchPage is the longest page of hits.
	MaxSearchPage = 100
)

// SearchKey is one row under which a profile is found. Stores keep the rows of
// an organization by (Range, Partition, Key), ordered by Key within a
// partition, each with the profile's [Hit] as its content.
type SearchKey struct {
	Range     string
	Partition string
	Key       string // folded text, NUL, profile ID: unique within its range
}

// SearchKeys are the rows of p: one per name *rotated* to begin at each of its
// words ("ana garcia", "garcia ana"), the same for the company's name, at
// most 8 of these; the email; the username unless it is the email; the
// profile ID. Of a name with more words than rows the later words are found
// only together with an earlier one.
func SearchKeys(p *Profile) []SearchKey {
	h := HitOf(p)
	return h.keys()
}

// Hit is what the list of found profiles shows, and what every search row
// carries, so that an answer needs no second read.
type Hit struct {
	ID            ID     `json:"id"`
	Type          Type   `json:"type"`
	Status        Status `json:"status"`
	Name          string `json:"name"`
	Company       string `json:"company,omitempty"` // where a person works
	Contact       string `json:"contact,omitempty"` // a person's name on a company's profile
	Email         string `json:"email,omitempty"`
	Mailbox       string `json:"mailbox,omitempty"` // only where it is not the folded Email
	Username      string `json:"username,omitempty"`
	HasPassword   bool   `json:"hasPassword,omitempty"`
	Disabled      bool   `json:"disabled,omitempty"`
	Undeliverable bool   `json:"undeliverable,omitempty"`
	DoNotEmail    bool   `json:"doNotEmail,omitempty"`
	RelatedTo     ID     `json:"relatedTo,omitempty"` // of the first relation that is not over, else of the first
	Relationship  string `json:"relationship,omitempty"`
}

// HitOf is the list's view of p.
func HitOf(p *Profile) Hit {
	h := Hit{
		ID: p.ID, Type: p.Type, Status: p.Status, Name: p.Name(),
		Email: p.Email, Username: p.Username, HasPassword: p.HasPassword,
		Disabled: p.Disabled, Undeliverable: p.Undeliverable != nil, DoNotEmail: p.DoNotEmail,
	}
	person := strings.TrimSpace(p.FirstName + " " + p.LastName)
	if p.OrganizationName != h.Name {
		h.Company = p.OrganizationName
	}
	if person != h.Name {
		h.Contact = person
	}
	if p.Mailbox != fold(p.Email) {
		h.Mailbox = p.Mailbox
	}
	if len(p.Relations) > 0 {
		at := max(0, slices.IndexFunc(p.Relations, func(r Relation) bool { return !r.Former() }))
		h.RelatedTo, h.Relationship = p.Relations[at].To, p.Relations[at].Kind
	}
	return h
}

// names are the folded words of the profile's two names, and how many of each
// begin a row.
func (h *Hit) names() (names [2][]string, rows [2]int) {
	if h.Name != string(h.ID) {
		names[0] = words(h.Name)
	}
	names[1] = words(h.Company + " " + h.Contact)
	forName := max(minPersonRows, maxNameRows-len(names[1]))
	if len(names[1]) == 0 {
		forName = maxNameRows
	}
	rows[0] = min(len(names[0]), forName)
	rows[1] = min(len(names[1]), maxNameRows-rows[0])
	return names, rows
}

// logins are the texts of the ranges that hold one or two rows of a profile.
func (h *Hit) logins(rng string) []string {
	switch rng {
	case RangeID:
		return []string{fold(string(h.ID))}
	case RangeEmail:
		if h.Mailbox != "" {
			return []string{fold(h.Email), h.Mailbox}
		}
		return []string{fold(h.Email)}
	case RangeUsername:
		if h.Username != h.Mailbox && h.Username != fold(h.Email) {
			return []string{fold(h.Username)}
		}
	}
	return nil
}

// keys are the search rows of the hit's profile.
func (h *Hit) keys() []SearchKey {
	names, rows := h.names()
	keys := make([]SearchKey, 0, rows[0]+rows[1]+3)
	add := func(rng, text string) {
		key := SearchKey{Range: rng, Partition: partition(text), Key: h.key(text)}
		if text != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	for n, words := range names {
		for i := range rows[n] {
			add(RangeName, rotated(words, i))
		}
	}
	for _, rng := range []string{RangeEmail, RangeUsername, RangeID} {
		for _, text := range h.logins(rng) {
			add(rng, text)
		}
	}
	return keys
}

func (h *Hit) key(text string) string { return cut(text, maxKeyText) + "\x00" + string(h.ID) }

// firstKey is the smallest key of the hit's rows in r, "" for none. It makes
// only the keys that can be there, because every row read is asked for it.
func (h *Hit) firstKey(r SearchRange) string {
	first := ""
	see := func(text string) {
		if !strings.HasPrefix(text, r.Prefix) {
			return
		}
		if key := h.key(text); first == "" || key < first {
			first = key
		}
	}
	if r.Range != RangeName {
		for _, text := range h.logins(r.Range) {
			see(text)
		}
		return first
	}
	names, rows := h.names()
	for n, words := range names {
		for i, w := range words[:rows[n]] {
			if strings.HasPrefix(w, r.Prefix) || strings.HasPrefix(r.Prefix, w) {
				see(rotated(words, i))
			}
		}
	}
	return first
}

// rotated is the words from the i-th on, then those before it.
func rotated(words []string, i int) string {
	if i == 0 {
		return strings.Join(words, " ")
	}
	return strings.Join(words[i:], " ") + " " + strings.Join(words[:i], " ")
}

// OrderKey orders the list of all profiles by name: a person's by last name, a
// company by its own; unique through the ID.
func OrderKey(p *Profile) string {
	name := p.LastName + " " + p.FirstName
	if p.Type == Organization && p.OrganizationName != "" || strings.TrimSpace(name) == "" {
		name = p.OrganizationName
	}
	return cut(strings.Join(words(name), " "), maxKeyText) + "\x00" + string(p.ID)
}

// Query is a search as typed, ready to be read. Make one with [ParseQuery].
type Query struct {
	text   string   // folded, for email, username and ID; no blanks around it
	words  []string // folded, for names; none when an address was typed
	ranges []SearchRange
}

// SearchRange is one read: the rows of a partition whose key begins with
// Prefix. Wider marks the read of a single word of several, whose rows are
// filtered by the others; it is made only when the narrow ones found nothing,
// or when its cursor asks for it.
type SearchRange struct {
	Range     string
	Partition string
	Prefix    string
	Wider     bool
}

// ParseQuery reads what was typed into the search field. It needs two
// characters, or one that is ideographic, after folding; else the problem is
// search_too_short. Of several words that are one letter each, only names that
// begin so are found.
func ParseQuery(s string) (Query, error) {
	if utf8.RuneCountInString(s) > maxQuery {
		return Query{}, problem.Newf(problem.Invalid, "search_too_long", "search", "The search is too long. Please type at most %d characters.", maxQuery)
	}
	q := Query{text: strings.Join(strings.Fields(fold(s)), " "), words: words(s)}
	if q.address() {
		q.words = nil
	}
	if q.ranges = q.plan(); len(q.ranges) == 0 {
		return Query{}, problem.New(problem.Invalid, "search_too_short", "search", "Please type at least two characters of a name, company, email, username or profile ID.")
	}
	return q, nil
}

// plan lists the reads in the order in which they are made. What was typed
// decides which comes first, because the first usually fills the page.
func (q Query) plan() []SearchRange {
	var plan []SearchRange
	add := func(rng, prefix string, wider bool) {
		prefix = cut(prefix, maxKeyText)
		r := SearchRange{Range: rng, Partition: partition(prefix), Prefix: prefix, Wider: wider}
		if searchable(prefix) && !slices.Contains(plan, r) {
			plan = append(plan, r)
		}
	}
	first, _ := utf8.DecodeRuneInString(q.text)
	if q.oneWord() && unicode.IsDigit(first) {
		add(RangeID, q.text, false)
	}
	add(RangeName, strings.Join(q.words, " "), false)
	if n := len(q.words); n > 1 {
		// "ana garcia" is Ana Maria García too: garcia ana maria.
		add(RangeName, rotated(q.words, n-1), false)
	}
	if q.oneWord() {
		add(RangeEmail, q.text, false)
		add(RangeUsername, q.text, false)
		add(RangeID, q.text, false)
	}
	if len(q.words) > 1 {
		// The longest word is likely to be the rarest prefix; bytes count a
		// letter of a large script for more, as they should.
		longest := ""
		for _, w := range q.words {
			if searchable(w) && len(w) > len(longest) {
				longest = w
			}
		}
		add(RangeName, longest, true)
	}
	return plan
}

// oneWord says whether an email, username or ID can have been meant: none has
// a blank in it.
func (q Query) oneWord() bool { return !strings.Contains(q.text, " ") }

func (q Query) address() bool { return q.oneWord() && strings.Contains(q.text, "@") }

// Ranges are the reads to make, in order.
func (q Query) Ranges() []SearchRange { return slices.Clone(q.ranges) }

// Matches says whether each word of the query begins a different word of the
// profile's names, or whether the query as a whole begins its email, username
// or ID.
func (q Query) Matches(h *Hit) bool {
	if q.matchesName(h) {
		return true
	}
	return slices.ContainsFunc(q.ranges, func(r SearchRange) bool { return r.Range != RangeName && h.firstKey(r) != "" })
}

func (q Query) matchesName(h *Hit) bool {
	if len(q.words) == 0 {
		return false
	}
	names, _ := h.names()
	left := slices.Concat(names[0], names[1])
	// Longest first: "mar mariana" must not spend Mariana on "mar".
	wanted := slices.SortedFunc(slices.Values(q.words), func(a, b string) int { return len(b) - len(a) })
	for _, w := range wanted {
		at := slices.IndexFunc(left, func(have string) bool { return strings.HasPrefix(have, w) })
		if at < 0 {
			return false
		}
		left = slices.Delete(left, at, at+1)
	}
	return true
}

// accepts decides without any memory of other rows whether the row of range i
// with this key shows its profile: exactly one row of each profile does, the
// smallest of the first range that holds it. So pages never repeat a profile.
func (q Query) accepts(i int, key string, h *Hit) bool {
	if q.ranges[i].Wider && !q.matchesName(h) {
		return false
	}
	for _, r := range q.ranges[:i] {
		if h.firstKey(r) != "" {
			return false
		}
	}
	return h.firstKey(q.ranges[i]) == key
}

// SearchRow is a row as read.
type SearchRow struct {
	Key string
	Hit Hit
}

// ReadRows reads at most limit rows of r in order of key, those after the key
// after ("" for the first); fewer than limit mean that there are no more.
type ReadRows func(r SearchRange, after string, limit int) ([]SearchRow, error)

// Found is one page of hits. Cursor is "" when nothing is left. Wider says
// that what is left are only profiles that hold the words apart or as mere
// beginnings.
type Found struct {
	Hits   []Hit
	Cursor string
	Wider  bool
	Read   int // rows read, for measuring
}

// Run answers the query: at most limit hits (1 to [MaxSearchPage]) from at
// most [MaxSearchReads] rows. cursor is "" or what the page before gave; one
// that does not belong to the query is refused with cursor_invalid.
func (q Query) Run(cursor string, limit int, read ReadRows) (Found, error) {
	found := Found{Hits: []Hit{}}
	limit = min(max(limit, 1), MaxSearchPage)
	at, after, err := q.resume(cursor)
	if err != nil {
		return found, err
	}
	for ; at < len(q.ranges); at, after = at+1, "" {
		r := q.ranges[at]
		if len(found.Hits) == limit || r.Wider && len(found.Hits) > 0 {
			return q.leave(found, at, ""), nil
		}
		for {
			want := limit - len(found.Hits) + 1
			if r.Wider {
				want = MaxSearchPage
			}
			want = min(want, MaxSearchReads-found.Read)
			if want == 0 {
				return q.leave(found, at, after), nil
			}
			rows, err := read(r, after, want)
			if err != nil {
				return Found{}, err
			}
			found.Read += len(rows)
			for i := range rows {
				if len(found.Hits) == limit {
					return q.leave(found, at, after), nil
				}
				after = rows[i].Key
				if q.accepts(at, after, &rows[i].Hit) {
					found.Hits = append(found.Hits, rows[i].Hit)
				}
			}
			if len(rows) < want {
				break
			}
		}
	}
	return found, nil
}

// leave notes where the next page goes on.
func (q Query) leave(found Found, at int, after string) Found {
	found.Cursor = strconv.Itoa(at) + "." + base64.RawURLEncoding.EncodeToString([]byte(after))
	found.Wider = q.ranges[at].Wider
	return found
}

func (q Query) resume(cursor string) (at int, after string, err error) {
	if cursor == "" {
		return 0, "", nil
	}
	index, key, _ := strings.Cut(cursor, ".")
	at, errIndex := strconv.Atoi(index)
	raw, errKey := base64.RawURLEncoding.DecodeString(key)
	if errIndex != nil || errKey != nil || at < 0 || at >= len(q.ranges) ||
		len(raw) > 0 && !strings.HasPrefix(string(raw), q.ranges[at].Prefix) {
		return 0, "", problem.New(problem.Invalid, "cursor_invalid", "cursor", "This list has moved on. Please search again from the beginning.")
	}
	return at, string(raw), nil
}
