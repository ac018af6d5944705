package organization_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/profile"
)

func ptr[T any](v T) *T { return &v }

func defaults() organization.Settings {
	s := organization.Defaults("acme", "Acme Association")
	s.Version, s.SenderAddress, s.PortalAddress = 1, "office@example.org", "https://members.example.org"
	return s
}

func TestApply(t *testing.T) {
	s := defaults()
	e := organization.Edit{
		Name: ptr(" Acme Guild "), LogoURL: ptr("https://example.org/logo.png?size=2"), Website: ptr("https://example.org"),
		HelpPhone: ptr("+1 555 0100"), HelpEmail: ptr("Help@Example.org"), HelpHours: ptr("Mo–Fr, 9 to 5"),
		SenderName: ptr("Ácme"), SenderAddress: ptr("mail@example.org"), ReplyTo: ptr("reply@example.org"),
		TestAddresses: &[]string{"a@example.org", " b@example.org"}, PortalAddress: ptr("https://Portal.Example.org/"),
		TimeZone: ptr("America/New_York"), AccessLevel: ptr(profile.MembersOnly),
		MemberStatuses: &[]profile.Status{profile.Active, profile.Lapsed}, PrimaryKinds: &[]string{" Partner "},
		LinkHours: ptr(336), MinimumPassword: ptr(8), StaffMayTypePasswords: ptr(false), MustChangeTyped: ptr(false),
		SessionHours: ptr(24), KeepSignedInDays: ptr(30),
	}
	changed, err := e.Apply(&s)
	if err != nil {
		t.Fatal(err)
	}
	want := organization.Settings{
		ID: "acme", Version: 2, Name: "Acme Guild", LogoURL: "https://example.org/logo.png?size=2", Website: "https://example.org",
		HelpPhone: "+1 555 0100", HelpEmail: "Help@Example.org", HelpHours: "Mo–Fr, 9 to 5",
		SenderName: "Ácme", SenderAddress: "mail@example.org", ReplyTo: "reply@example.org",
		TestAddresses: []string{"a@example.org", "b@example.org"}, PortalAddress: "https://portal.example.org", TimeZone: "America/New_York",
		Access:    profile.Access{Level: profile.MembersOnly, MemberStatuses: []profile.Status{profile.Active, profile.Lapsed}, PrimaryKinds: []string{"Partner"}},
		LinkHours: 336, MinimumPassword: 8, SessionHours: 24, KeepSignedInDays: 30,
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if len(changed) != 21 {
		t.Errorf("changed %v", changed)
	}
	if changed, err = e.Apply(&s); err != nil || len(changed) != 0 || s.Version != 2 {
		t.Errorf("applying again: %v, version %d, %v", changed, s.Version, err)
	}
	if changed, err = (organization.Edit{}).Apply(&s); err != nil || len(changed) != 0 {
		t.Errorf("an empty edit: %v, %v", changed, err)
	}
	if changed, err = (organization.Edit{LogoURL: ptr(""), ReplyTo: ptr(" "), TestAddresses: &[]string{}}).Apply(&s); err != nil || s.LogoURL+s.ReplyTo != "" || len(changed) != 3 {
		t.Errorf("removing: %v, %v", changed, err)
	}
}

func TestApplyRefuses(t *testing.T) {
	long := strings.Repeat("x", 101)
	for _, x := range []struct {
		what, code string
		e          organization.Edit
	}{
		{"no name", "text_missing", organization.Edit{Name: ptr(" ")}},
		{"a long name", "text_too_long", organization.Edit{Name: &long}},
		{"a line break in a name", "text_invalid", organization.Edit{Name: ptr("Acme\nGuild")}},
		{"no sender name", "text_missing", organization.Edit{SenderName: ptr("")}},
		{"another header in the sender name", "text_invalid", organization.Edit{SenderName: ptr("Acme\r\nBcc: eve@example.com")}},
		{"a name that runs backwards", "text_invalid", organization.Edit{SenderName: ptr("Acme\u202egnp")}},
		{"a sender name not in UTF-8", "text_invalid", organization.Edit{SenderName: ptr("Acme\xff")}},
		{"no sender address", "text_missing", organization.Edit{SenderAddress: ptr("")}},
		{"two sender addresses", "email_invalid", organization.Edit{SenderAddress: ptr("a@example.org, b@example.org")}},
		{"a reply-to with a line break", "email_invalid", organization.Edit{ReplyTo: ptr("a@example.org\r\nBcc: eve@example.com")}},
		{"a help email that is none", "email_invalid", organization.Edit{HelpEmail: ptr("office")}},
		{"a phone without digits", "phone_invalid", organization.Edit{HelpPhone: ptr("call us")}},
		{"a logo over http", "url_invalid", organization.Edit{LogoURL: ptr("http://example.org/logo.png")}},
		{"a logo that is a script", "url_invalid", organization.Edit{LogoURL: ptr("javascript:alert(1)")}},
		{"a logo with a quote", "url_invalid", organization.Edit{LogoURL: ptr(`https://example.org/"onload="x`)}},
		{"a logo that is data", "url_invalid", organization.Edit{LogoURL: ptr("data:image/png;base64,xx")}},
		{"a website without host", "url_invalid", organization.Edit{Website: ptr("https:///path")}},
		{"a website with a user", "url_invalid", organization.Edit{Website: ptr("https://acme@example.com")}},
		{"a long website", "url_invalid", organization.Edit{Website: ptr("https://example.org/" + strings.Repeat("x", 300))}},
		{"no portal", "text_missing", organization.Edit{PortalAddress: ptr("")}},
		{"a portal over http", "origin_invalid", organization.Edit{PortalAddress: ptr("http://members.example.org")}},
		{"a portal that only looks local", "origin_invalid", organization.Edit{PortalAddress: ptr("http://localhost.example.org")}},
		{"a portal with a path", "origin_invalid", organization.Edit{PortalAddress: ptr("https://example.org/members")}},
		{"a portal with a query", "origin_invalid", organization.Edit{PortalAddress: ptr("https://example.org/?x")}},
		{"a portal with a fragment", "origin_invalid", organization.Edit{PortalAddress: ptr("https://example.org#x")}},
		{"a portal with a user", "origin_invalid", organization.Edit{PortalAddress: ptr("https://members@example.org")}},
		{"a portal without scheme", "origin_invalid", organization.Edit{PortalAddress: ptr("members.example.org")}},
		{"no time zone", "text_missing", organization.Edit{TimeZone: ptr("")}},
		{"a time zone of this machine", "time_zone_unknown", organization.Edit{TimeZone: ptr("Local")}},
		{"a time zone that is a file", "time_zone_unknown", organization.Edit{TimeZone: ptr("../etc/localtime")}},
		{"six test addresses", "addresses_too_many", organization.Edit{TestAddresses: ptr(slices.Repeat([]string{"a@example.org"}, 6))}},
		{"a test address twice", "address_twice", organization.Edit{TestAddresses: &[]string{"a@example.org", "A@EXAMPLE.org"}}},
		{"a test address that is none", "email_invalid", organization.Edit{TestAddresses: &[]string{"a"}}},
		{"an unknown access level", "access_level_unknown", organization.Edit{AccessLevel: ptr(profile.AccessLevel("everybody"))}},
		{"no statuses", "statuses_missing", organization.Edit{MemberStatuses: &[]profile.Status{}}},
		{"an unknown status", "status_unknown", organization.Edit{MemberStatuses: &[]profile.Status{"gone"}}},
		{"a status twice", "status_twice", organization.Edit{MemberStatuses: &[]profile.Status{profile.Active, profile.Active}}},
		{"a former kind", "relationship_former", organization.Edit{PrimaryKinds: &[]string{"Former Employee"}}},
		{"a kind twice", "relationship_twice", organization.Edit{PrimaryKinds: &[]string{"Owner", "OWNER "}}},
		{"an empty kind", "text_missing", organization.Edit{PrimaryKinds: &[]string{""}}},
		{"a long kind", "text_too_long", organization.Edit{PrimaryKinds: &[]string{long[:61]}}},
		{"21 kinds", "kinds_too_many", organization.Edit{PrimaryKinds: ptr(slices.Repeat([]string{"Owner"}, 21))}},
		{"links of no time", "number_out_of_range", organization.Edit{LinkHours: ptr(0)}},
		{"links of 15 days", "number_out_of_range", organization.Edit{LinkHours: ptr(337)}},
		{"short passwords", "number_out_of_range", organization.Edit{MinimumPassword: ptr(7)}},
		{"long passwords", "number_out_of_range", organization.Edit{MinimumPassword: ptr(65)}},
		{"endless sessions", "number_out_of_range", organization.Edit{SessionHours: ptr(25)}},
		{"kept for 31 days", "number_out_of_range", organization.Edit{KeepSignedInDays: ptr(31)}},
		{"kept for -1 days", "number_out_of_range", organization.Edit{KeepSignedInDays: ptr(-1)}},
	} {
		s := defaults()
		changed, err := x.e.Apply(&s)
		p := problem.As(err)
		if err == nil || p.Kind != problem.Invalid || p.Code != x.code || p.Field == "" || p.Detail == "" {
			t.Errorf("%s: %v, want %s", x.what, err, x.code)
		}
		if diff := cmp.Diff(defaults(), s); diff != "" || len(changed) != 0 {
			t.Errorf("%s: refused and changed:\n%s", x.what, diff)
		}
	}
	s := defaults()
	_, err := organization.Edit{Name: ptr(""), LinkHours: ptr(0), TestAddresses: &[]string{"a", "b"}}.Apply(&s)
	if n := len(problem.As(err).Problems); n != 4 {
		t.Errorf("%d of 4 faults told", n)
	}
}

func TestPortalOnLocalhost(t *testing.T) {
	for _, address := range []string{"http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080", "https://members.example.org:8443"} {
		s := defaults()
		if _, err := (organization.Edit{PortalAddress: &address}).Apply(&s); err != nil || s.PortalAddress != address {
			t.Errorf("%s: %q, %v", address, s.PortalAddress, err)
		}
	}
}

func TestDeviations(t *testing.T) {
	s := defaults()
	if notes := s.Deviations(); notes == nil || len(notes) != 0 {
		t.Errorf("the defaults deviate: %v", notes)
	}
	s.MinimumPassword, s.LinkHours = 14, 25
	notes := s.Deviations()
	if len(notes) != 2 || !strings.HasPrefix(notes[0], "minimumPassword: 14") || !strings.HasPrefix(notes[1], "linkHours: ") {
		t.Errorf("deviations %v", notes)
	}
}
