package contract_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/functions/completion"
	"github.com/memberkey/memberkey/functions/console"
	"github.com/memberkey/memberkey/functions/credentials"
	"github.com/memberkey/memberkey/functions/mailings"
	"github.com/memberkey/memberkey/functions/profiles"
	"github.com/memberkey/memberkey/functions/resets"
	"github.com/memberkey/memberkey/functions/signin"
	"github.com/memberkey/memberkey/shared/httpapi"
)

// registered are the routes of every function that answers HTTP. Making them
// asks nothing of what a function depends on.
var registered = map[string]httpapi.Routes{
	"completion":  (&completion.Function{}).Routes(),
	"console":     console.Routes(),
	"credentials": (&credentials.Function{}).Routes(),
	"mailings":    (&mailings.Function{}).Routes(),
	"profiles":    (&profiles.Function{}).Routes(),
	"resets":      (&resets.Function{}).Routes(),
	"signin":      (&signin.Function{}).Routes(),
}

func TestFunctionsServeTheTemplatesRoutes(t *testing.T) {
	want := map[string]map[string]bool{}
	for _, r := range readTemplate(t).Routes {
		if want[r.Function] == nil {
			want[r.Function] = map[string]bool{}
		}
		want[r.Function][r.Key()] = true
	}
	for name := range want {
		if registered[name] == nil {
			t.Errorf("template.yaml gives routes to functions/%s, which this test does not know", name)
		}
	}
	for name, routes := range registered {
		got := map[string]bool{}
		for key := range routes {
			got[key] = true
			// A GET answers the HEAD beside it without an entry.
			if path, ok := strings.CutPrefix(key, "GET "); ok && want[name]["HEAD "+path] {
				got["HEAD "+path] = true
			}
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want[name])), slices.Sorted(maps.Keys(got))); diff != "" {
			t.Errorf("functions/%s: routes of template.yaml (-) and of the function (+):\n%s", name, diff)
		}
	}
}
