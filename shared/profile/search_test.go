package profile_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

// index is a store of search rows: by range and partition, in order of key.
type index map[[2]string][]profile.SearchRow

func indexOf(profiles ...*profile.Profile) index {
	x := index{}
	for _, p := range profiles {
		for _, k := range profile.SearchKeys(p) {
			at := [2]string{k.Range, k.Partition}
			x[at] = append(x[at], profile.SearchRow{Key: k.Key, Hit: profile.HitOf(p)})
		}
	}
	for _, rows := range x {
		slices.SortFunc(rows, func(a, b profile.SearchRow) int { return cmp.Compare(a.Key, b.Key) })
	}
	return x
}

func (x index) read(r profile.SearchRange, after string, limit int) ([]profile.SearchRow, error) {
	rows := x[[2]string{r.Range, r.Partition}]
	from, _ := slices.BinarySearchFunc(rows, max(after, r.Prefix), func(row profile.SearchRow, key string) int { return cmp.Compare(row.Key, key) })
	var found []profile.SearchRow
	for _, row := range rows[from:] {
		if !strings.HasPrefix(row.Key, r.Prefix) || len(found) == limit {
			break
		}
		if row.Key > after {
			found = append(found, row)
		}
	}
	return found, nil
}

// search reads all pages of the query, or only the narrow ones.
func (x index) search(t testing.TB, text string, limit int, wider bool) (ids []profile.ID, read int) {
	t.Helper()
	q, err := profile.ParseQuery(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	for cursor, pages := "", 0; ; pages++ {
		found, err := q.Run(cursor, limit, x.read)
		if err != nil || pages > 10_000 {
			t.Fatalf("%q, page %d: %v", text, pages, err)
		}
		if len(found.Hits) > limit || found.Read > profile.MaxSearchReads {
			t.Fatalf("%q: %d hits, %d read", text, len(found.Hits), found.Read)
		}
		read += found.Read
		for _, h := range found.Hits {
			if slices.Contains(ids, h.ID) {
				t.Fatalf("%q: %s comes twice", text, h.ID)
			}
			ids = append(ids, h.ID)
		}
		if cursor = found.Cursor; cursor == "" || found.Wider && !wider {
			return ids, read
		}
	}
}

func person(id profile.ID, first, last, company, email string) *profile.Profile {
	return &profile.Profile{ID: id, Type: profile.Individual, FirstName: first, LastName: last, OrganizationName: company, Email: email, Mailbox: strings.ToLower(email), Status: profile.Active}
}

func company(id profile.ID, name, email string) *profile.Profile {
	return &profile.Profile{ID: id, Type: profile.Organization, OrganizationName: name, Email: email, Mailbox: strings.ToLower(email), Status: profile.Active}
}

func TestSearchFinds(t *testing.T) {
	unusual := person("M-1", "Ｊａｎｅ", "Ｄｏｅ", "", "")
	unusual.Username = "frontdesk.jane"
	idn := company("12", "Bücher & Söhne", "info@bücher.example.org")
	idn.Mailbox = "info@xn--bcher-kva.example.org"
	sameName := person("13", "Ana", "García", "", "ana.garcia@example.org")
	sameName.Username = "ana.garcia@example.org"
	x := indexOf(
		person("1", "Ana", "García", "Đorđević Roofing & Sons", "ana@example.org"),
		person("2", "Ana Maria", "García López", "", "sales.ana@example.com"),
		person("3", "Søren", "Œuvrard", "", ""),
		person("4", "İpek", "Đorđević", "", ""),
		person("5", "Thị", "Nguyễn", "", ""),
		person("6", "Jürgen", "Weiß", "", ""),
		person("7", "D'Arcy", "O’Brien", "", ""),
		person("8", "Anne-Marie", "De-la-Cruz", "", ""),
		person("9", "美咲", "田中", "", ""),
		person("10", "Δημήτρης", "Þórsson", "", ""),
		person("11", "Мария", "Королёва", "", ""),
		idn, sameName, unusual,
		person("14", "وليد", "حداد", "", ""),
		person("15", "민준", "김", "", ""),
		company("1042", "St.-James Hardware Ω Holdings", "INFO@example.net"),
		company("16", `Castillo S.A. <b>"The Original"</b>`, ""),
		person("17", "Marina", "Gardner", "", ""),
		person("18", "さくら", "ガルシア", "", ""),
		person("19", "Mar", "Garrido", "", ""),
	)
	tests := map[string][]profile.ID{
		"ana":    {"1", "2", "13"},
		"ANA GA": {"1", "13", "2"}, "garcia ana": {"1", "2", "13"}, "garcía a": {"1", "2", "13"},
		"ana garcia": {"1", "2", "13"}, "ana lopez": {"2"}, "lopez ana": {"2"}, "maria ana": {"2"},
		"soren": {"3"}, "SØREN o": {"3"}, "oeuv": {"3"}, "œuvrard": {"3"},
		"ipek": {"4"}, "İPEK": {"4"}, "IPEK": {"4"}, "ıpek": {"4"}, "dor": {"1", "4"}, "đorđević": {"1", "4"}, "dordevic i": {"4"},
		"nguyen thi": {"5"}, "weiss": {"6"}, "WEISS": {"6"}, "weiß": {"6"}, "jurgen": {"6"}, "ju\u0308rgen": {"6"},
		"obrien": {"7"}, "o'brien": {"7"}, "O’Brien d": {"7"}, "darcy": {"7"},
		"marie": {"8"}, "cruz": {"8"}, "de la cruz": {"8"}, "de-la": {"8"}, "anne marie de": {"8"}, "la cruz": {"8"},
		"美": {"9"}, "美咲": {"9"}, "田中": {"9"}, "田": {"9"}, "美咲田": nil,
		"δημητρησ": {"10"}, "ΔΗΜΉΤΡΗΣ": {"10"}, "thors": {"10"}, "þórs": {"10"},
		"мария": {"11"}, "КОРОЛЕВА М": {"11"}, "وليد": {"14"}, "ولـيد": {"14"}, "김": {"15"}, "민": {"15"}, "민준": {"15"},
		"bucher": {"12"}, "info@büch": {"12"}, "info@xn--bcher": {"12"}, "info@": {"12", "1042"}, "INFO@EXAMPLE": {"1042"},
		"sales.ana": {"2"}, "frontdesk": {"M-1"}, "jane doe": {"M-1"}, "m-1": {"M-1"},
		"1042": {"1042"}, "104": {"1042"}, "12": {"12"}, "james": {"1042"}, "holdings st": {"1042"}, "hardware ω": {"1042"},
		"castillo s": {"16"}, "s.a.": {"16"}, "the original": {"16"}, "<b>": nil,
		"roofing": {"1"}, "ana roofing": {"1"}, "roofing ana": {"1"},
		"mar gar": {"19", "17", "2"}, "gardn mar": {"17"}, "mari gard": {"17"},
		"さ": {"18"}, "ガル": {"18"}, "ｶﾞﾙ": {"18"}, "zz": nil, "ana zz": nil,
	}
	for text, want := range tests {
		for _, limit := range []int{1, 2, 25} {
			got, _ := x.search(t, text, limit, true)
			slices.Sort(got)
			want := slices.Sorted(slices.Values(want))
			if !slices.Equal(got, want) {
				t.Errorf("%q in pages of %d: %v, want %v", text, limit, got, want)
			}
		}
	}
}

func TestParseQueryRefuses(t *testing.T) {
	for text, code := range map[string]string{
		"": "search_too_short", " ": "search_too_short", "a": "search_too_short", " á ": "search_too_short", "a\u0301": "search_too_short", "\u200b\u200da": "search_too_short",
		"\xff\xfe": "search_too_short", "- a": "search_too_short", "a b": "", "ab": "", "ß": "", "美": "", "が": "", strings.Repeat("a", 200): "", strings.Repeat("a", 201): "search_too_long",
	} {
		if _, err := profile.ParseQuery(text); problem.CodeOf(err) != code {
			t.Errorf("%q: %v, want %q", text, err, code)
		}
	}
}

func TestSearchKeysAreBounded(t *testing.T) {
	long := "ﷺa ﷺb ﷺc ﷺd ﷺe ﷺf ﷺg ﷺh ﷺi ﷺj ﷺk ﷺl"
	p := person("1", long, "Ana", "Alpha Beta Gamma Delta Epsilon", "ana@example.org")
	p.Username = "someone"
	count := map[string]int{}
	for _, k := range profile.SearchKeys(p) {
		count[k.Range]++
		if len(k.Key) > 250 || !utf8.ValidString(k.Key) || !strings.HasPrefix(k.Key, k.Partition) || !strings.HasSuffix(k.Key, "\x00"+string(p.ID)) {
			t.Errorf("%+v", k)
		}
	}
	if diff := gocmp.Diff(map[string]int{"name": 8, "email": 1, "username": 1, "id": 1}, count); diff != "" {
		t.Error(diff)
	}
}

func TestSearchKeysOfOne(t *testing.T) {
	p := person("M-7", "Ana", "García", "Adams Roofing", " Ana@example.org"[1:])
	p.Username = "ana@example.org" // is the email: no row of its own
	want := []profile.SearchKey{
		{Range: "name", Partition: "an", Key: "ana garcia\x00M-7"}, {Range: "name", Partition: "ga", Key: "garcia ana\x00M-7"},
		{Range: "name", Partition: "ad", Key: "adams roofing\x00M-7"}, {Range: "name", Partition: "ro", Key: "roofing adams\x00M-7"},
		{Range: "email", Partition: "an", Key: "ana@example.org\x00M-7"}, {Range: "id", Partition: "m-", Key: "m-7\x00M-7"},
	}
	if diff := gocmp.Diff(want, profile.SearchKeys(p)); diff != "" {
		t.Error(diff)
	}
	// What the list shows must not be enough to lose a row: rows are kept by
	// what they carry.
	h := profile.HitOf(p)
	body, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"id":"M-7","type":"individual","status":"active","name":"Ana García","company":"Adams Roofing","email":"Ana@example.org","username":"ana@example.org"}`; string(body) != want {
		t.Errorf("%s", body)
	}
}

// Every profile of members.csv is found by the beginning of each of its words,
// by email and by ID, and the narrow reads cost at most twice what they show.
func TestSearchOverMembers(t *testing.T) {
	m := importMembers(t)
	all := make([]*profile.Profile, 0, len(m))
	for _, p := range m {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *profile.Profile) int { return cmp.Compare(a.ID, b.ID) })
	x := indexOf(all...)
	rows, names := 0, 0
	for at, r := range x {
		rows += len(r)
		if at[0] == profile.RangeName {
			names += len(r)
		}
	}
	t.Logf("%d rows for %d profiles, %.1f each, %.1f of them of names", rows, len(all), float64(rows)/float64(len(all)), float64(names)/float64(len(all)))

	rnd := rand.New(rand.NewPCG(3, 4))
	dear, narrow := 0, 0
	for range 400 {
		p := all[rnd.IntN(len(all))]
		var texts []string
		if p.Type == profile.Individual {
			texts = []string{p.LastName, p.FirstName, p.FirstName + " " + p.LastName, p.LastName + ", " + p.FirstName, p.FirstName + " " + string([]rune(p.LastName)[:2])}
		} else {
			texts = []string{p.OrganizationName, strings.Fields(p.OrganizationName)[0]}
		}
		if p.Email != "" {
			texts = append(texts, p.Email, p.Email[:strings.Index(p.Email, "@")+3])
		}
		texts = append(texts, string(p.ID), string(p.ID)[:3])
		text := texts[rnd.IntN(len(texts))]
		ids, _ := x.search(t, text, 100, false)
		if !slices.Contains(ids, p.ID) {
			t.Errorf("%q does not find %s", text, p.ID)
		}
		q, err := profile.ParseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		found, err := q.Run("", 25, x.read)
		if err != nil {
			t.Fatal(err)
		}
		narrow++
		if found.Read > 2*len(found.Hits) {
			dear++
			t.Logf("%q reads %d for %d", text, found.Read, len(found.Hits))
		}
		for _, h := range found.Hits {
			if !q.Matches(&h) {
				t.Errorf("%q shows %s, which does not match", text, h.Name)
			}
		}
	}
	if dear*100 > narrow {
		t.Errorf("%d of %d queries read more than twice what they show", dear, narrow)
	}
}

// The answer is that of looking at every profile.
func TestSearchIsComplete(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	word := func() string {
		return []string{"ana", "an", "anna", "mar", "mara", "gar", "gara", "美", "美咲", "b"}[rnd.IntN(10)]
	}
	for range 60 {
		var all []*profile.Profile
		for i := range 30 {
			p := person(profile.ID(fmt.Sprint("an", i)), word()+" "+word(), word(), word()+" "+word(), word()+"@"+word()+".example.org")
			if rnd.IntN(2) == 0 {
				p.Username = word() + "." + word()
			}
			all = append(all, p)
		}
		x := indexOf(all...)
		for range 10 {
			text := []string{word(), word() + " " + word(), word() + "@", word() + " " + word() + " " + word()}[rnd.IntN(4)]
			q, err := profile.ParseQuery(text)
			if err != nil || strings.Trim(text, "b ") == "" {
				continue // one letter, or several
			}
			var want []profile.ID
			for _, p := range all {
				if h := profile.HitOf(p); q.Matches(&h) {
					want = append(want, p.ID)
				}
			}
			got, _ := x.search(t, text, 1+rnd.IntN(7), true)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("%q: %v, want %v", text, got, want)
			}
		}
	}
}

func TestTwoMerePrefixesAreBounded(t *testing.T) {
	var all []*profile.Profile
	for i := range 2000 {
		all = append(all, person(profile.ID(fmt.Sprint(i)), "Maria", fmt.Sprintf("Garnet%d", i), "", ""))
	}
	all = append(all, person("x", "Mariana", "Garx", "", ""))
	x := indexOf(all...)
	q, err := profile.ParseQuery("mariana gar")
	if err != nil {
		t.Fatal(err)
	}
	found, err := q.Run("", 25, x.read)
	if err != nil || len(found.Hits) != 1 || found.Read != 1 {
		t.Errorf("%+v %v", found, err)
	}
	q, err = profile.ParseQuery("marian garn")
	if err != nil {
		t.Fatal(err)
	}
	if found, err = q.Run("", 25, x.read); err != nil || len(found.Hits) != 0 || found.Read != 1 || found.Cursor != "" {
		t.Errorf("%+v %v", found, err)
	}
	// The longer word is the rarer one here only by chance; when it is not,
	// the reads are bounded and the answer says that there is more.
	if q, err = profile.ParseQuery("zz garnet"); err != nil {
		t.Fatal(err)
	}
	if found, err = q.Run("", 25, x.read); err != nil || len(found.Hits) != 0 || found.Read != profile.MaxSearchReads || found.Cursor == "" || !found.Wider {
		t.Errorf("%d read, %+v %v", found.Read, found, err)
	}
}

func TestCursors(t *testing.T) {
	x := indexOf(person("1", "Ana", "A", "", ""), person("2", "Ana", "B", "", ""))
	q, err := profile.ParseQuery("ana")
	if err != nil {
		t.Fatal(err)
	}
	for _, cursor := range []string{"x", "9.", "-1.", "0.%", "0.YmVu", "."} {
		if _, err := q.Run(cursor, 1, x.read); problem.CodeOf(err) != "cursor_invalid" {
			t.Errorf("%q: %v", cursor, err)
		}
	}
	broken := func(profile.SearchRange, string, int) ([]profile.SearchRow, error) {
		return nil, fmt.Errorf("no store")
	}
	if _, err := q.Run("", 1, broken); err == nil {
		t.Error("a broken store was taken for an empty one")
	}
}

func TestHitOf(t *testing.T) {
	p := company("7", "Adams", "Info@example.org")
	p.FirstName, p.LastName = "Ana", "García"
	p.Undeliverable, p.Disabled, p.HasPassword = &profile.Undeliverable{Reason: "bounced"}, true, true
	p.Relations = []profile.Relation{{To: "8", Kind: "Former Subsidiary"}, {To: "9", Kind: "Subsidiary"}}
	want := profile.Hit{ID: "7", Type: profile.Organization, Status: profile.Active, Name: "Adams", Contact: "Ana García", Email: "Info@example.org", HasPassword: true, Disabled: true, Undeliverable: true, RelatedTo: "9", Relationship: "Subsidiary"}
	if diff := gocmp.Diff(want, profile.HitOf(p)); diff != "" {
		t.Error(diff)
	}
	p.Relations = p.Relations[:1]
	if h := profile.HitOf(p); h.RelatedTo != "8" {
		t.Errorf("%+v", h)
	}
}

func TestOrderKey(t *testing.T) {
	ordered := []*profile.Profile{
		company("2", "Ádams & Sons", ""), person("9", "Ana", "Ádams-Zed", "", ""), person("3", "Ana", "Brown", "Zed", ""), company("4", "brown bakery", ""), person("10", "Ben", "Brown", "", ""), person("5", "Zoë", "", "Acme", ""),
	}
	keys := make([]string, len(ordered))
	for i, p := range ordered {
		keys[i] = profile.OrderKey(p)
	}
	if !slices.IsSorted(keys) {
		t.Errorf("%q", keys)
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, s := range []string{"ana garcia", "O’Brien", "ﷺ ﷺ", "김 민", "İı", "info@bücher", "\xff\x00a", "a\u0300\u0301 b", "Ǆ ŉ ẞ"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		p := person("1", name, name, name, "ana@example.org")
		for _, k := range profile.SearchKeys(p) {
			if !strings.HasPrefix(k.Key, k.Partition) || k.Partition == "" || len(k.Key) > 250 {
				t.Fatalf("%q gives %+v", name, k)
			}
		}
		q, err := profile.ParseQuery(text)
		if err != nil {
			return
		}
		for _, r := range q.Ranges() {
			if !strings.HasPrefix(r.Prefix, r.Partition) {
				t.Fatalf("%q reads %+v", text, r)
			}
		}
		if _, err := q.Run("", 25, indexOf(p).read); err != nil {
			t.Fatal(err)
		}
		// A name that can be searched for finds itself.
		self, err := profile.ParseQuery(name)
		if err != nil || len(name) > 60 || strings.Contains(name, "@") || len(strings.Fields(name)) == 0 {
			return
		}
		h := profile.HitOf(p)
		for _, r := range self.Ranges() {
			if r.Range == profile.RangeName && !self.Matches(&h) {
				t.Fatalf("%q does not match itself", name)
			}
		}
	})
}

func BenchmarkSearchKeys(b *testing.B) {
	p := person("1291", "İpek", "Brown", "Mac-Donald Printing <Ltd>", "ipek.brown@macdonaldprintingltd1290.example.org")
	b.ReportAllocs()
	for b.Loop() {
		if len(profile.SearchKeys(p)) != 8 {
			b.Fatal("rows")
		}
	}
}

func BenchmarkQuery(b *testing.B) {
	m := importMembers(b)
	all := make([]*profile.Profile, 0, len(m))
	for _, p := range m {
		all = append(all, p)
	}
	x := indexOf(all...)
	for _, text := range []string{"garcia", "ana garcia", "ga an", "1042", "info@"} {
		b.Run(strings.ReplaceAll(text, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				q, err := profile.ParseQuery(text)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := q.Run("", 25, x.read); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
