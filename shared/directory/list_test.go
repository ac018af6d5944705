package directory_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/directory"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/store"
)

// crowd stores n people, Garcia0000 and on: every third one lapsed, every
// fourth at one mailbox, every fifth with a password, all related to company 9.
func (h *house) crowd(t testing.TB, n int) {
	t.Helper()
	h.create(t, company("9", "Zebra"))
	for from := 0; from < n; from += 8 {
		h.update(t, func(tx *store.Tx) error {
			for i := from; i < min(from+8, n); i++ {
				p := &profile.Profile{
					Organization: "acme", ID: profile.ID(fmt.Sprint(10_000 + i)), Type: profile.Individual, FirstName: "Ana",
					LastName: fmt.Sprintf("Garcia%04d", i), Status: profile.Active, Version: 1, Epoch: "e",
					Relations: []profile.Relation{{To: "9", Kind: "Employee"}},
				}
				if i%3 == 0 {
					p.Status = profile.Lapsed
				}
				if i%4 == 0 {
					p.Email, p.Mailbox = "all@example.com", "all@example.com"
				}
				p.HasPassword = i%5 == 0
				if err := tx.PrefetchProfiles("acme", []profile.ID{p.ID}); err != nil {
					return err
				}
				if err := tx.PutProfile(p); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// walk lists all pages and checks what every page must keep to.
func (h *house) walk(t *testing.T, f profile.Filter, limit int) (ids []profile.ID, read, pages int) {
	t.Helper()
	for cursor := ""; ; {
		page, err := h.List(t.Context(), "acme", f, cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		if page.Read > directory.MaxListReads || len(page.Profiles) > limit || page.Found != len(page.Profiles) {
			t.Fatalf("a page of %d (found %d), read %d", len(page.Profiles), page.Found, page.Read)
		}
		for _, hit := range page.Profiles {
			ids = append(ids, hit.ID)
		}
		read += page.Read
		pages++
		if cursor = page.Cursor; cursor == "" {
			return ids, read, pages
		}
	}
}

func TestList(t *testing.T) {
	const people = 2300
	h := quick(t)
	h.crowd(t, people)
	all := h.all(t)
	settings := settingsOf(t, h)
	for _, x := range []struct {
		what string
		f    profile.Filter
		want func(i int) bool // of the people; the company is 9
		nine bool
	}{
		{"everybody", profile.Filter{}, func(int) bool { return true }, true},
		{"lapsed", profile.Filter{Status: []profile.Status{profile.Lapsed}}, func(i int) bool { return i%3 == 0 }, false},
		{"companies", profile.Filter{Type: profile.Organization}, func(int) bool { return false }, true},
		{"without email", profile.Filter{Email: profile.EmailNone}, func(i int) bool { return i%4 != 0 }, true},
		{"with email", profile.Filter{Email: profile.EmailAny}, func(i int) bool { return i%4 == 0 }, false},
		{"shared", profile.Filter{Email: profile.EmailShared}, func(i int) bool { return i%4 == 0 }, false},
		{"members", profile.Filter{Scope: profile.ScopeMembers}, func(i int) bool { return i%3 != 0 }, true},
		{"members and related", profile.Filter{Scope: profile.ScopeMembersAndRelated}, func(int) bool { return true }, true},
		{"with a password, lapsed", profile.Filter{Login: "active", Status: []profile.Status{profile.Lapsed}}, func(i int) bool { return i%15 == 0 }, false},
		{"never invited", profile.Filter{Login: "none"}, func(i int) bool { return i%5 != 0 }, true},
		{"may not enter", profile.Filter{MayEnter: ptr(false)}, func(int) bool { return false }, false},
		{"owners", profile.Filter{Relationship: "owner"}, func(int) bool { return false }, false},
		{"picked", profile.Filter{Profiles: []profile.ID{"12299", "10007", "nobody", "12299"}}, func(i int) bool { return i == 7 || i == 2299 }, false},
		{"picked, lapsed", profile.Filter{Profiles: picks(0, 300), Status: []profile.Status{profile.Lapsed}}, func(i int) bool { return i < 300 && i%3 == 0 }, false},
	} {
		var want []profile.ID
		for i := range people {
			if x.want(i) {
				want = append(want, profile.ID(fmt.Sprint(10_000+i)))
			}
		}
		if x.nine {
			want = append(want, "9") // Zebra comes last
		}
		for _, limit := range []int{37, 1000} {
			got, read, _ := h.walk(t, x.f, limit)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s in pages of %d: %d, want %d", x.what, limit, len(got), len(want))
			}
			// Whoever is picked is read without a walk.
			if picked := len(x.f.Profiles); picked == 0 && read != people+1 || picked > 0 && read > picked {
				t.Errorf("%s in pages of %d: %d read", x.what, limit, read)
			}
		}
		found, read, calls := 0, 0, 0
		for cursor := ""; calls == 0 || cursor != ""; calls++ {
			page, err := h.Count(t.Context(), "acme", x.f, cursor)
			if err != nil || len(page.Profiles) != 0 || page.Read > directory.MaxListReads {
				t.Fatalf("counting %s: %+v, %v", x.what, page, err)
			}
			found, read, cursor = found+page.Found, read+page.Read, page.Cursor
		}
		if found != len(want) || calls > 3 || len(x.f.Profiles) == 0 && read != people+1 {
			t.Errorf("%s: counted %d of %d in %d calls, %d read", x.what, found, len(want), calls, read)
		}
	}
	// An empty page is not the last one, and a walk reads a thousand a call.
	if _, _, pages := h.walk(t, profile.Filter{Relationship: "owner"}, 25); pages != 3 {
		t.Errorf("%d pages for a filter that fits nobody", pages)
	}
	if !settings.Access.MayEnter(all["10000"], profile.Targets(all)).Allowed {
		t.Error("the lapsed are let in by their relation")
	}
}

func TestListRefuses(t *testing.T) {
	h := quick(t)
	h.crowd(t, 3)
	for _, x := range []struct {
		what, cursor, code string
		f                  profile.Filter
		limit              int
	}{
		{"no key", "garcia", "cursor_invalid", profile.Filter{}, 1},
		{"no ID", "garcia\x00a b", "cursor_invalid", profile.Filter{}, 1},
		{"two separators", "garcia\x00x\x001", "cursor_invalid", profile.Filter{}, 1},
		{"not UTF-8", "\xff\x001", "cursor_invalid", profile.Filter{}, 1},
		{"too long", strings.Repeat("x", 2000) + "\x001", "cursor_invalid", profile.Filter{}, 1},
		{"a long page", "", "limit_invalid", profile.Filter{}, 1001},
		{"a negative page", "", "limit_invalid", profile.Filter{}, -1},
		{"a filter that never fits", "", "filter_invalid", profile.Filter{Status: []profile.Status{"gone"}}, 1},
	} {
		_, err := h.List(t.Context(), "acme", x.f, x.cursor, x.limit)
		if code := problemCode(err); code != x.code {
			t.Errorf("%s: %v", x.what, err)
		}
		if x.code == "limit_invalid" {
			continue // counting has no page
		}
		if _, err := h.Count(t.Context(), "acme", x.f, x.cursor); problemCode(err) != x.code {
			t.Errorf("counting, %s: %v", x.what, err)
		}
	}
}

// picks are the IDs of a part of the crowd.
func picks(from, to int) (ids []profile.ID) {
	for i := from; i < to; i++ {
		ids = append(ids, profile.ID(fmt.Sprint(10_000+i)))
	}
	return ids
}

func TestSearch(t *testing.T) {
	h := quick(t)
	h.crowd(t, 60)
	var got []profile.ID
	for cursor := ""; ; {
		page, err := h.Search(t.Context(), "acme", "garcia ana", cursor, 25)
		if err != nil {
			t.Fatal(err)
		}
		for _, hit := range page.Hits {
			got = append(got, hit.ID)
		}
		if cursor = page.Cursor; cursor == "" {
			break
		}
	}
	slices.Sort(got)
	if len(got) != 60 || len(slices.Compact(got)) != 60 {
		t.Errorf("found %d of 60", len(got))
	}
	encoded := func(key string) string { return "0." + base64.RawURLEncoding.EncodeToString([]byte(key)) }
	for _, x := range []struct{ what, typed, cursor, code string }{
		{"one letter", "g", "", "search_too_short"},
		{"too long", strings.Repeat("g", 201), "", "search_too_long"},
		{"no cursor of ours", "garcia", "zzz", "cursor_invalid"},
		{"of another range", "garcia", "99.", "cursor_invalid"},
		{"no key", "garcia", encoded("garcia"), "cursor_invalid"},
		{"not UTF-8", "garcia", encoded("garcia\xff\x001"), "cursor_invalid"},
		{"endless", "garcia", encoded("garcia" + strings.Repeat("a", 1100) + "\x001"), "cursor_invalid"},
		{"not base64", "garcia", "0.###", "cursor_invalid"},
	} {
		if _, err := h.Search(t.Context(), "acme", x.typed, x.cursor, 0); problemCode(err) != x.code {
			t.Errorf("%s: %v", x.what, err)
		}
	}
	if _, err := h.Search(t.Context(), "acme", "garcia", "", 101); problemCode(err) != "limit_invalid" {
		t.Errorf("a page of 101: %v", err)
	}
	if page, err := h.Search(t.Context(), "other", "garcia", "", 0); err != nil || len(page.Hits) != 0 {
		t.Errorf("another organization finds %d", len(page.Hits))
	}
}

func TestGet(t *testing.T) {
	h := quick(t)
	h.create(t, company("9", "Company"))
	for i := range 23 {
		h.create(t, person(fmt.Sprint(100+i), "Garcia", "office@example.com"))
	}
	f := person("1", "Lopez", "Office@Example.com")
	f.Relations = &[]profile.Relation{{To: "9", Kind: "Former Owner"}}
	f.Status = ptr(profile.Prospect)
	h.create(t, f)
	v, err := h.Get(t.Context(), "acme", "1")
	if err != nil {
		t.Fatal(err)
	}
	if len(v.SharedWith) != 20 || !v.SharedMore || v.SharedWith[0].Name != "Ana Garcia" {
		t.Errorf("shared with %v, more %t", v.SharedWith, v.SharedMore)
	}
	want := []directory.Relation{{Relation: profile.Relation{To: "9", Kind: "Former Owner"}, Name: "Company", Status: profile.Active, Former: true}}
	if diff := cmp.Diff(want, v.Relations); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(profile.Right{Reason: "relation_ended", Via: "9"}, v.Access); diff != "" {
		t.Error(diff)
	}
}

func TestRelated(t *testing.T) {
	h := quick(t)
	h.crowd(t, 130)
	var got []profile.ID
	for cursor := profile.ID(""); ; {
		page, err := h.Related(t.Context(), "acme", "9", cursor, 50)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Profiles {
			got = append(got, r.ID)
			status := profile.LoginNone
			if r.HasPassword {
				status = profile.LoginActive
			}
			if r.Kind != "Employee" || !r.Access.Allowed || r.LoginStatus != status {
				t.Errorf("%+v", r)
			}
		}
		if cursor = page.Cursor; cursor == "" {
			break
		}
	}
	if len(got) != 130 || !slices.IsSorted(got) {
		t.Errorf("%d related, in order %t", len(got), slices.IsSorted(got))
	}
	_, err := h.Related(t.Context(), "acme", "9", "a b", 0)
	wantCode(t, err, "cursor_invalid")
}

// Nothing is read by more than the hundred profiles that BatchGetItem takes.
func TestReadsAreBounded(t *testing.T) {
	h := quick(t)
	h.crowd(t, 350)
	s := &measuring{Store: h.Service.Store, t: t}
	measured := *h.Service
	measured.Store = s
	if _, err := measured.List(t.Context(), "acme", profile.Filter{}, "", 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := measured.Import(t.Context(), eve, "acme", members(t)[:100_000], true); err != nil {
		t.Fatal(err)
	}
	if _, err := measured.Edit(t.Context(), eve, "acme", "9", 1, profile.Fields{Status: ptr(profile.Dropped)}); err != nil {
		t.Fatal(err)
	}
}

type measuring struct {
	directory.Store
	t *testing.T
}

func (m *measuring) Profiles(ctx context.Context, org string, ids []profile.ID) (map[profile.ID]*profile.Profile, error) {
	if len(ids) > 100 {
		m.t.Errorf("%d profiles read at once", len(ids))
	}
	return m.Store.Profiles(ctx, org, ids)
}

func (m *measuring) Targets(ctx context.Context, org string, of ...*profile.Profile) (profile.Targets, error) {
	if len(of) > 100 {
		m.t.Errorf("the targets of %d profiles read at once", len(of))
	}
	return m.Store.Targets(ctx, org, of...)
}

func BenchmarkList(b *testing.B) {
	h := quick(b)
	h.crowd(b, 2000)
	for b.Loop() {
		if _, err := h.List(b.Context(), "acme", profile.Filter{MayEnter: ptr(false)}, "", 25); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed()/time.Duration(b.N))/1000, "ns/profile")
}
