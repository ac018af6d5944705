package contract_test

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/directory"
	"github.com/memberkey/memberkey/shared/link"
	"github.com/memberkey/memberkey/shared/mailing"
	"github.com/memberkey/memberkey/shared/organization"
	"github.com/memberkey/memberkey/shared/password"
	"github.com/memberkey/memberkey/shared/profile"
	"github.com/memberkey/memberkey/shared/username"
)

// at finds a place of the document by its path, "schemas/Filter/properties".
func (c *contract) at(t *testing.T, path string) any {
	t.Helper()
	var v any = c.document["components"]
	for name := range strings.SplitSeq(path, "/") {
		next, ok := object(v)[name]
		if !ok {
			t.Fatalf("openapi.yaml has no components/%s", path)
		}
		v = next
	}
	return v
}

func TestLimitsAreTheSources(t *testing.T) {
	c := readContract(t)
	settings := "schemas/SettingsEdit/properties/"
	for path, want := range map[string]any{
		settings + "linkHours/minimum":                             organization.MinLinkHours,
		settings + "linkHours/maximum":                             organization.MaxLinkHours,
		settings + "minimumPassword/minimum":                       organization.MinPassword,
		settings + "minimumPassword/maximum":                       organization.MaxPassword,
		settings + "sessionHours/minimum":                          organization.MinSessionHours,
		settings + "sessionHours/maximum":                          organization.MaxSessionHours,
		settings + "keepSignedInDays/maximum":                      organization.MaxKeepSignedInDays,
		settings + "testAddresses/maxItems":                        organization.MaxTestAddresses,
		settings + "primaryKinds/maxItems":                         organization.MaxPrimaryKinds,
		settings + "name/maxLength":                                organization.MaxName,
		"schemas/Filter/properties/profiles/maxItems":              profile.MaxPicked,
		"schemas/CredentialsChange/properties/username/maxLength":  username.MaxLength,
		"schemas/CredentialsChange/properties/password/maxLength":  password.MaxLength,
		"schemas/PasswordTrial/properties/password/maxLength":      password.MaxLength,
		"schemas/SetPasswordForm/properties/password/maxLength":    password.MaxLength,
		"schemas/ChangePasswordForm/properties/password/maxLength": password.MaxLength,
		"schemas/Credentials/properties/passwordPlaceholder/const": password.Placeholder,
	} {
		if got := c.at(t, path); got != want {
			t.Errorf("%s is %v; the source says %v", path, got, want)
		}
	}
	for key, most := range map[string]int{
		"GET /api/profiles":                 directory.MaxListPage,
		"GET /api/mailings/{id}/recipients": mailing.MaxRows,
	} {
		for _, p := range c.operations[key].parameters {
			if p["name"] == "limit" && object(p["schema"])["maximum"] != most {
				t.Errorf("%s: limit %v; the source says %d", key, p["schema"], most)
			}
		}
	}
	token, _ := c.at(t, "parameters/Token/example").(string)
	if _, _, ok := link.Parse(token); !ok {
		t.Errorf("the example of a token is none: %d characters; want %d", len(token), link.TokenLength)
	}
}

func TestRoles(t *testing.T) {
	c := readContract(t)
	got := map[string][]organization.Permission{}
	for role, list := range object(c.at(t, "securitySchemes/staff/x-roles")) {
		for _, permission := range words(list) {
			got[role] = append(got[role], organization.Permission(permission))
		}
	}
	if diff := cmp.Diff(organization.Roles, got); diff != "" {
		t.Errorf("roles of the source (-) and of openapi.yaml (+):\n%s", diff)
	}
	roles := words(c.at(t, "schemas/Me/properties/role/enum"))
	for role := range organization.Roles {
		if !slices.Contains(roles, role) || len(roles) != len(organization.Roles) {
			t.Errorf("Me.role is one of %v; the source has %s", roles, role)
		}
	}
}

// Some stable words are plain strings in Go; their enums are what the source
// ever puts there.
func TestEnumsAreTheSources(t *testing.T) {
	p, c := readSource(t), readContract(t)
	for _, tt := range []struct{ path, of, field, enum string }{
		{"shared/profile", "Right", "Reason", "schemas/RightReason/enum"},
		{"shared/credential", "Check", "Code", "schemas/AccessCheck/properties/code/enum"},
		{"shared/credential", "Fix", "Action", "schemas/Fix/properties/action/enum"},
		{"shared/mailing", "Audience", "State", "schemas/MailingAudience/properties/state/enum"},
	} {
		fields := p.lookup(t, tt.path, tt.of).Type().Underlying().(*types.Struct)
		found := map[string]bool{}
		for i := range fields.NumFields() {
			if fields.Field(i).Name() != tt.field {
				continue
			}
			for _, value := range append(p.fields[fields.Field(i)], p.assigned[fields.Field(i)]...) {
				all, err := p.values(value)
				if err != nil {
					t.Errorf("%s.%s: %v", tt.of, tt.field, err)
				}
				for _, v := range all {
					found[constant.StringVal(v)] = true
				}
			}
		}
		delete(found, "") // a reason that is no reason
		sameWords(t, tt.enum, found, c.at(t, tt.enum))
	}
}

func TestSkipReasonsAreTheSources(t *testing.T) {
	p, c := readSource(t), readContract(t)
	first := p.lookup(t, "shared/mailing", "NoEmail")
	found := map[string]bool{}
	p.each(func(n ast.Node) {
		block, ok := n.(*ast.GenDecl)
		if !ok || block.Tok != token.CONST || first.Pos() < block.Pos() || first.Pos() > block.End() {
			return
		}
		for _, spec := range block.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				found[constant.StringVal(p.info.Defs[name].(*types.Const).Val())] = true
			}
		}
	})
	sameWords(t, "skip reasons", found, c.at(t, "schemas/SkipReason/enum"))
}

func sameWords(t *testing.T, what string, source map[string]bool, enum any) {
	t.Helper()
	got := map[string]bool{}
	for _, word := range words(enum) {
		got[word] = true
	}
	if diff := cmp.Diff(source, got); diff != "" || len(source) == 0 {
		t.Errorf("%s: the source (-) and openapi.yaml (+):\n%s", what, diff)
	}
}

// What the contract offers as a filter is taken, and nothing else is.
func TestFilters(t *testing.T) {
	c := readContract(t)
	properties := object(c.at(t, "schemas/Filter/properties"))
	for name, make := range map[string]func(string) profile.Filter{
		"email": func(s string) profile.Filter { return profile.Filter{Email: s} },
		"login": func(s string) profile.Filter { return profile.Filter{Login: s} },
		"scope": func(s string) profile.Filter { return profile.Filter{Scope: s} },
	} {
		enum := words(object(properties[name])["enum"])
		for _, word := range enum {
			if err := make(word).Validate(); err != nil {
				t.Errorf("the filter %s=%s is refused: %v", name, word, err)
			}
		}
		if len(enum) == 0 || make("nonsense").Validate() == nil {
			t.Errorf("the filter %s is not checked", name)
		}
		for _, p := range c.operations["GET /api/profiles"].parameters {
			if p["name"] == name {
				if diff := cmp.Diff(enum, words(object(p["schema"])["enum"])); diff != "" {
					t.Errorf("%s of an audience (-) and of the list (+):\n%s", name, diff)
				}
			}
		}
	}
}
