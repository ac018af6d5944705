package username_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/username"
)

func TestSuggest(t *testing.T) {
	for _, tt := range []struct {
		first, last, id string
		taken           string
		want            []username.Name
	}{
		{"Ana", "García", "1042", "", []username.Name{"ana.garcia", "ana.garcia.1042", "member.1042"}},
		{"Ana", "García", "1042", "ana.garcia", []username.Name{"ana.garcia.1042", "member.1042", "garcia.ana"}},
		{"Ana", "García", "1042", "ana.garcia ana.garcia.1042 member.1042", []username.Name{"garcia.ana", "a.garcia", "garcia.ana.1042"}},
		{"Søren", "Œuvrard", "1001", "", []username.Name{"soren.oeuvrard", "soren.oeuvrard.1001", "member.1001"}},
		{"Ana", "Đorđević", "1002", "", []username.Name{"ana.dordevic", "ana.dordevic.1002", "member.1002"}},
		{"Łukasz", "Groß", "7", "", []username.Name{"lukasz.gross", "lukasz.gross.7", "member.7"}},
		{"İlkay", "Işık", "8", "", []username.Name{"ilkay.isik", "ilkay.isik.8", "member.8"}},
		{"Ｊｏｅ", "ﬁnn", "9", "", []username.Name{"joe.finn", "joe.finn.9", "member.9"}},
		{"Jean-Pierre", "van der Berg", "12", "", []username.Name{"jean-pierre.van-der-berg", "jean-pierre.van-der-berg.12", "member.12"}},
		{"Siobhán", "O’Brien-O'Neil", "12", "", []username.Name{"siobhan.obrien-oneil", "siobhan.obrien-oneil.12", "member.12"}},
		{"Nguyễn", "Thị Phương", "13", "", []username.Name{"nguyen.thi-phuong", "nguyen.thi-phuong.13", "member.13"}},
		{"", "Quinn Catering GmbH & Co.", "4002", "", []username.Name{"quinn-catering-gmbh-co", "quinn-catering-gmbh-co.4002", "member.4002"}},
		{"Αθηνά", "Παπαδοπούλου", "1042", "", []username.Name{"member.1042", "member.1042.2", "member.1042.3"}},
		{"美玲", "王", "M/7 a", "member.m-7-a", []username.Name{"member.m-7-a.2", "member.m-7-a.3", "member.m-7-a.4"}},
		{"Ana", "", "", "ana", []username.Name{"ana.2", "ana.3", "ana.4"}},
		{"", "", "", "", nil},
	} {
		got, err := username.Suggest(tt.first, tt.last, tt.id, func(n username.Name) (bool, error) {
			return strings.Contains(" "+tt.taken+" ", " "+string(n)+" "), nil
		})
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("Suggest(%q, %q, %q), %v (-want +got):\n%s", tt.first, tt.last, tt.id, err, diff)
		}
	}
}

func TestSuggestReportsAFailingLookup(t *testing.T) {
	broken := errors.New("store is away")
	got, err := username.Suggest("Ana", "García", "1042", func(username.Name) (bool, error) { return false, broken })
	if !errors.Is(err, broken) || got != nil {
		t.Errorf("Suggest = %q, %v", got, err)
	}
}

func TestSuggestEndsWhereEverythingIsTaken(t *testing.T) {
	asked := 0
	got, err := username.Suggest("Ana", "García", "1042", func(username.Name) (bool, error) { asked++; return true, nil })
	if err != nil || got != nil || asked > 20 {
		t.Errorf("Suggest = %q, %v after %d questions", got, err, asked)
	}
}

func FuzzSuggest(f *testing.F) {
	f.Add("Ana", "García", "1042")
	f.Add("", "\u202eevil\x00", "#1")
	f.Add(strings.Repeat("ßﷺ", 600), strings.Repeat("- ", 40), strings.Repeat("9", 300))
	f.Add("@", "a@b.example", "@")
	f.Fuzz(func(t *testing.T, first, last, id string) {
		got, err := username.Suggest(first, last, id, func(username.Name) (bool, error) { return false, nil })
		if err != nil || len(got) > 3 {
			t.Fatalf("Suggest(%q, %q, %q) = %q, %v", first, last, id, got, err)
		}
		seen := map[username.Name]bool{}
		for _, name := range got {
			if again, err := username.Normalise(string(name)); err != nil || again != name || seen[name] || strings.Contains(string(name), "@") {
				t.Fatalf("Suggest(%q, %q, %q) offers %q: %q, %v", first, last, id, name, again, err)
			}
			seen[name] = true
		}
	})
}
