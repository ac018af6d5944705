package dynamo_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/dynamo"
	"github.com/memberkey/memberkey/shared/store"
)

func TestNewClient(t *testing.T) {
	o := dynamo.NewClient(aws.Config{Region: "eu-central-1"}).Options()
	if n := o.Retryer.MaxAttempts(); n != 8 {
		t.Errorf("%d attempts", n)
	}
	for attempt := 1; attempt < 12; attempt++ {
		if d, err := o.Retryer.RetryDelay(attempt, errors.New("x")); err != nil || d > time.Second || attempt == 1 && d > 25*time.Millisecond {
			t.Errorf("wait %d is %v, %v", attempt, d, err)
		}
	}
	// Nothing else bounds an attempt whose answer never comes.
	if client, ok := o.HTTPClient.(*awshttp.BuildableClient); !ok || client.GetTimeout() != 5*time.Second {
		t.Errorf("%T", o.HTTPClient)
	}
}

// canonical is a request as JSON with sorted keys, without what is drawn at
// random.
func canonical(t *testing.T, v any) string {
	t.Helper()
	var tidy func(any) any
	tidy = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			out := map[string]any{}
			for k, w := range v {
				out[k] = tidy(w)
			}
			if item, ok := out["Item"].(map[string]any); ok {
				n := item["r"].(map[string]any)["N"].(string)
				if len(n) < 15 {
					t.Errorf("revision %s", n)
				}
				item["r"] = "random"
			}
			delete(out, "ClientRequestToken")
			return out
		case []any:
			out := make([]any, len(v))
			for i := range v {
				out[i] = tidy(v[i])
			}
			return out
		}
		return v
	}
	b, err := json.Marshal(tidy(v))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What a commit asks for: one put where that is enough, each item once, and a
// condition for each check.
func TestCommitRequests(t *testing.T) {
	key := func(k store.Key) string { return fmt.Sprintf(`{"p":{"S":%q},"s":{"S":%q}}`, k.Partition, k.Sort) }
	item := func(k store.Key) string {
		return fmt.Sprintf(`"Item":{"p":{"S":%q},"r":"random","s":{"S":%q},"v":{"B":"dg=="}}`, k.Partition, k.Sort)
	}
	const is7 = `"ConditionExpression":"r = :r","ExpressionAttributeValues":{":r":{"N":"7"}}`
	const absent = `"ConditionExpression":"attribute_not_exists(p)"`
	transaction := func(items ...string) string { return `{"TransactItems":[` + strings.Join(items, ",") + `]}` }
	full := write(store.Key{Table: store.Mailings, Partition: "acme#single#1", Sort: "batch"})
	full.Value, full.Expires, full.Due, full.Rev = nil, 1_900_000_000, 1_800_000_000_123, 99
	for what, test := range map[string]struct {
		checks []store.Check
		writes []store.Write
		op     string
		want   string
	}{
		"a change": {
			[]store.Check{{Key: ana, Rev: 7}}, []store.Write{write(ana)}, "PutItem",
			`{` + is7 + `,` + item(ana) + `,"ReturnValuesOnConditionCheckFailure":"ALL_OLD","TableName":"P"}`,
		},
		"a new one": {
			[]store.Check{{Key: ana}}, []store.Write{write(ana)}, "PutItem",
			`{` + absent + `,` + item(ana) + `,"ReturnValuesOnConditionCheckFailure":"ALL_OLD","TableName":"P"}`,
		},
		"unchecked": {nil, []store.Write{write(ana)}, "TransactWriteItems", transaction(`{"Put":{` + item(ana) + `,"TableName":"P"}}`)},
		"all attributes": {
			nil, []store.Write{full}, "TransactWriteItems",
			transaction(`{"Put":{"Item":{"due":{"N":"1800000000123"},"expires":{"N":"1900000000"},"p":{"S":"acme#single#1"},"r":"random","s":{"S":"batch"},"shard":{"N":"1"},"v":{"B":""}},"TableName":"M"}}`),
		},
		"a delete": {
			[]store.Check{{Key: ana, Rev: 7}}, []store.Write{deletion(ana)}, "TransactWriteItems",
			transaction(`{"Delete":{` + is7 + `,"Key":` + key(ana) + `,"TableName":"P"}}`),
		},
		"checked and written once, checked alone": {
			[]store.Check{{Key: ana, Rev: 7}, {Key: bert}}, []store.Write{write(ana)}, "TransactWriteItems",
			transaction(`{"Put":{`+is7+`,`+item(ana)+`,"TableName":"P"}}`, `{"ConditionCheck":{`+absent+`,"Key":`+key(bert)+`,"TableName":"P"}}`),
		},
		"two": {
			[]store.Check{{Key: bert, Rev: 7}}, []store.Write{write(ana), deletion(bert)}, "TransactWriteItems",
			transaction(`{"Put":{`+item(ana)+`,"TableName":"P"}}`, `{"Delete":{`+is7+`,"Key":`+key(bert)+`,"TableName":"P"}}`),
		},
		"checks alone": {
			[]store.Check{{Key: bert, Rev: 7}}, nil, "TransactWriteItems",
			transaction(`{"ConditionCheck":{` + is7 + `,"Key":` + key(bert) + `,"TableName":"P"}}`),
		},
	} {
		t.Run(what, func(t *testing.T) {
			db, w := scripted(t, inOrder(reply{body: `{}`}))
			if err := db.Commit(t.Context(), test.checks, test.writes); err != nil {
				t.Fatal(err)
			}
			if len(w.asked) != 1 || w.asked[0].op != test.op {
				t.Fatalf("asked %q", w.ops())
			}
			if diff := cmp.Diff(test.want, canonical(t, w.asked[0].body)); diff != "" {
				t.Error(diff)
			}
		})
	}
	db, w := scripted(t, inOrder(reply{body: `{}`}))
	if err := db.Commit(t.Context(), nil, nil); err != nil || len(w.asked) != 0 {
		t.Errorf("nothing to commit: %v, asked %q", err, w.ops())
	}
	revs := map[string]bool{}
	for range 100 {
		if err := calls["put"].run(t.Context(), db); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range w.asked {
		revs[drawn(r)] = true
	}
	if len(revs) != 100 {
		t.Errorf("%d revisions of 100 writes", len(revs))
	}
}

// A range is one condition on the sort key, and everything outside of it that
// the condition lets through is dropped.
func TestQueryRequests(t *testing.T) {
	sorts := func(names ...string) string {
		var items []string
		for _, s := range names {
			items = append(items, stored(store.Key{Table: store.Profiles, Partition: "acme", Sort: s}, 1, ""))
		}
		return strings.Join(items, ",")
	}
	const all, begins, between = "p = :p", "p = :p AND begins_with(s, :a)", "p = :p AND s BETWEEN :a AND :b"
	for what, test := range map[string]struct {
		r         store.Range
		condition string // "" asks nothing
		a, b      string
		limit     float64
		answer    []string
		want      []string
		more      bool
	}{
		"all":                       {r: store.Range{Limit: 2}, condition: all, limit: 3, answer: []string{"a", "b", "c"}, want: []string{"a", "b"}, more: true},
		"just as many":              {r: store.Range{Limit: 3}, condition: all, limit: 4, answer: []string{"a", "b", "c"}, want: []string{"a", "b", "c"}},
		"a page":                    {condition: all, limit: 1001},
		"a page after":              {r: store.Range{After: "b"}, condition: "p = :p AND s > :a", a: "b", limit: 1002},
		"more than a page":          {r: store.Range{Limit: 5000}, condition: all, limit: 1001},
		"backwards":                 {r: store.Range{After: "b", Limit: 1, Backwards: true}, condition: "p = :p AND s < :a", a: "b", limit: 3},
		"prefix":                    {r: store.Range{Prefix: "b", Limit: 1}, condition: begins, a: "b", limit: 2},
		"prefix, after":             {r: store.Range{Prefix: "b", After: "b2", Limit: 2}, condition: between, a: "b2", b: "c", limit: 4, answer: []string{"b2", "b3", "c"}, want: []string{"b3"}},
		"after is not there":        {r: store.Range{Prefix: "b", After: "b2", Limit: 2}, condition: between, a: "b2", b: "c", limit: 4, answer: []string{"b3", "b4", "b5", "c"}, want: []string{"b3", "b4"}, more: true},
		"prefix, after it":          {r: store.Range{Prefix: "b", After: "c"}},
		"prefix, after all before":  {r: store.Range{Prefix: "b", After: "a", Limit: 1}, condition: begins, a: "b", limit: 3},
		"backwards, prefix":         {r: store.Range{Prefix: "b", After: "b2", Limit: 2, Backwards: true}, condition: between, a: "b", b: "b2", limit: 4, answer: []string{"b2", "b1"}, want: []string{"b1"}},
		"backwards, from above":     {r: store.Range{Prefix: "b", After: "c", Limit: 1, Backwards: true}, condition: begins, a: "b", limit: 3},
		"backwards, before all":     {r: store.Range{Prefix: "b", After: "a", Backwards: true}},
		"no text above a prefix":    {r: store.Range{Prefix: "\U0010FFFF", After: "\U0010FFFFx", Limit: 1}, condition: "p = :p AND s > :a", a: "\U0010FFFFx", limit: 3},
		"a prefix at the last rune": {r: store.Range{Prefix: "a\U0010FFFF", After: "a\U0010FFFFx", Limit: 1}, condition: between, a: "a\U0010FFFFx", b: "b", limit: 3},
		"no surrogates":             {r: store.Range{Prefix: "\uD7FF", After: "\uD7FFx", Limit: 1}, condition: between, a: "\uD7FFx", b: "\uE000", limit: 3},
	} {
		t.Run(what, func(t *testing.T) {
			db, w := scripted(t, inOrder(reply{body: `{"Items":[` + sorts(test.answer...) + `]}`}))
			test.r.Table, test.r.Partition = store.Profiles, "acme"
			items, more, err := db.Query(t.Context(), test.r)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, item := range items {
				got = append(got, item.Sort)
			}
			if diff := cmp.Diff(test.want, got); diff != "" || more != test.more {
				t.Errorf("more %t: %s", more, diff)
			}
			if test.condition == "" {
				if len(w.asked) != 0 {
					t.Errorf("asked %q", w.ops())
				}
				return
			}
			values := map[string]any{":p": map[string]any{"S": "acme"}}
			for name, v := range map[string]string{":a": test.a, ":b": test.b} {
				if v != "" {
					values[name] = map[string]any{"S": v}
				}
			}
			want := map[string]any{
				"TableName": "P", "ConsistentRead": true, "ScanIndexForward": !test.r.Backwards, "Limit": test.limit,
				"KeyConditionExpression": test.condition, "ExpressionAttributeValues": values,
			}
			if diff := cmp.Diff(want, w.asked[0].body); diff != "" || len(w.asked) != 1 {
				t.Errorf("%d requests: %s", len(w.asked), diff)
			}
		})
	}
}

// DynamoDB ends a page at 1 MB and says that there may be more; whether there
// is, one more item tells.
func TestQueryPages(t *testing.T) {
	page := func(n int, from string, last bool) string {
		var items []string
		for i := range n {
			items = append(items, stored(store.Key{Table: store.Profiles, Partition: "acme", Sort: fmt.Sprintf("%s%04d", from, i)}, 1, ""))
		}
		key := ""
		if !last {
			key = `,"LastEvaluatedKey":{"p":{"S":"acme"},"s":{"S":"` + from + `"}}`
		}
		return `{"Items":[` + strings.Join(items, ",") + `]` + key + `}`
	}
	for what, test := range map[string]struct {
		limit  int
		pages  []string
		limits []float64
		items  int
		more   bool
	}{
		"by size, and more":         {0, []string{page(4, "a", false), page(1, "b", false)}, []float64{1001, 1}, 4, true},
		"by size, and no more":      {0, []string{page(4, "a", false), page(0, "b", true)}, []float64{1001, 1}, 4, false},
		"by size, an empty one":     {0, []string{page(0, "a", false), page(2, "b", true)}, []float64{1001, 1001}, 2, false},
		"by number":                 {0, []string{page(1001, "a", false)}, []float64{1001}, 1000, true},
		"a limit over pages":        {6, []string{page(4, "a", false), page(2, "b", false), page(1, "c", true)}, []float64{7, 3, 1}, 6, true},
		"a limit over pages, ended": {6, []string{page(4, "a", false), page(2, "b", false), page(0, "c", true)}, []float64{7, 3, 1}, 6, false},
	} {
		t.Run(what, func(t *testing.T) {
			db, w := scripted(t, func(n int, _ request) reply { return reply{body: test.pages[n]} })
			items, more, err := db.Query(t.Context(), store.Range{Table: store.Profiles, Partition: "acme", Limit: test.limit})
			if err != nil || len(items) != test.items || more != test.more {
				t.Errorf("%d items, more %t, %v", len(items), more, err)
			}
			var limits []float64
			for i, r := range w.asked {
				limits = append(limits, r.body["Limit"].(float64))
				if _, from := r.body["ExclusiveStartKey"]; from != (i > 0) {
					t.Errorf("request %d begins at %v", i, r.body["ExclusiveStartKey"])
				}
			}
			if diff := cmp.Diff(test.limits, limits); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The index lags: it names what is gone, what was put off and what moved
// meanwhile, and something twice while it moves.
func TestDueBehindItsIndex(t *testing.T) {
	key := func(name string) store.Key {
		return store.Key{Table: store.Mailings, Partition: "acme#single#" + name, Sort: "batch"}
	}
	index := map[string][]string{ // by part
		"0": {"gone 10", "moved 20", "twice 30"},
		"1": {"late 90"},
		"3": {"off 5", "out 6", "twice 12", "last 60"},
		"7": {"first 7"},
	}
	now := map[string]int64{"moved": 70, "late": 90, "twice": 30, "off": 1000, "out": 0, "first": 7, "last": 60}
	answer := func(_ int, r request) reply {
		if r.op == "BatchGetItem" {
			var items []string
			for _, k := range r.body["RequestItems"].(map[string]any)["M"].(map[string]any)["Keys"].([]any) {
				name := strings.TrimPrefix(k.(map[string]any)["p"].(map[string]any)["S"].(string), "acme#single#")
				if due, there := now[name]; there && due != 0 {
					items = append(items, stored(key(name), 3, fmt.Sprintf(`,"due":{"N":"%d"}`, due)))
				} else if there {
					items = append(items, stored(key(name), 3, ""))
				}
			}
			return reply{body: `{"Responses":{"M":[` + strings.Join(items, ",") + `]}}`}
		}
		values := r.body["ExpressionAttributeValues"].(map[string]any)
		shard := values[":shard"].(map[string]any)["N"].(string)
		limit := int(r.body["Limit"].(float64))
		from := 0
		if start, ok := r.body["ExclusiveStartKey"].(map[string]any); ok {
			if _, err := fmt.Sscan(start["s"].(map[string]any)["S"].(string), &from); err != nil {
				t.Error(err)
			}
		}
		// One entry a page: DynamoDB may end a page anywhere.
		entries := index[shard][min(from, len(index[shard])):]
		if limit < 1 || limit > 100 {
			t.Errorf("limit %d", limit)
		}
		if len(entries) == 0 {
			return reply{body: `{"Items":[]}`}
		}
		name, due, _ := strings.Cut(entries[0], " ")
		next := ""
		if len(entries) > 1 {
			next = fmt.Sprintf(`,"LastEvaluatedKey":{"s":{"S":"%d"}}`, from+1)
		}
		return reply{body: fmt.Sprintf(`{"Items":[{"p":{"S":%q},"s":{"S":"batch"},"due":{"N":%q},"shard":{"N":%q}}]%s}`, key(name).Partition, due, shard, next)}
	}
	for limit, want := range map[int][]string{
		100: {"first 7", "twice 30", "last 60", "moved 70", "late 90"},
		3:   {"first 7", "twice 30", "moved 70"},
		2:   {"first 7", "moved 70"}, // what is stale stands in the way of "twice"
		1:   {"first 7"},
	} {
		db, w := scripted(t, answer)
		items, err := db.Due(t.Context(), store.DueTable, 100, limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, item := range items {
			got = append(got, fmt.Sprintf("%s %d", strings.TrimPrefix(item.Partition, "acme#single#"), item.Due))
			if item.Rev != 3 {
				t.Errorf("revision %d", item.Rev)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d: %s", limit, diff)
		}
		parts := map[string]bool{}
		for _, r := range w.asked {
			if r.op != "Query" {
				continue
			}
			values := r.body["ExpressionAttributeValues"].(map[string]any)
			parts[values[":shard"].(map[string]any)["N"].(string)] = true
			if r.body["ConsistentRead"] != nil || r.body["IndexName"] != "due" || values[":until"].(map[string]any)["N"] != "100" || r.body["ScanIndexForward"] != true {
				t.Errorf("%v", r.body)
			}
		}
		if diff := cmp.Diff([]string{"0", "1", "2", "3", "4", "5", "6", "7"}, slices.Sorted(maps.Keys(parts))); diff != "" {
			t.Error(diff)
		}
	}
}

// Each part of the index gets its share of what is due, and of the lanes of one
// mailing too, which are moved the most.
func TestPartsOfTheIndexAreEven(t *testing.T) {
	db, w := scripted(t, inOrder(reply{body: `{}`}))
	const n = 4000
	for i := range n / 100 {
		var writes []store.Write
		for k := range 100 {
			key := store.Key{Table: store.Mailings, Partition: "acme#single#" + store.NewID(time.Unix(1_800_000_000+int64(i), 0)), Sort: "batch"}
			if i == 0 && k < 16 {
				key = store.Key{Table: store.Mailings, Partition: fmt.Sprintf("acme#mailing#019abcdef00XYZ#1#%02d", k), Sort: "lane"}
			}
			due := write(key)
			due.Due = 5
			writes = append(writes, due)
		}
		if err := db.Commit(t.Context(), nil, writes); err != nil {
			t.Fatal(err)
		}
	}
	all, lanes := map[string]int{}, map[string]int{}
	for i, r := range w.asked {
		for k, put := range r.body["TransactItems"].([]any) {
			item := put.(map[string]any)["Put"].(map[string]any)["Item"].(map[string]any)
			shard := item["shard"].(map[string]any)["N"].(string)
			all[shard]++
			if i == 0 && k < 16 {
				lanes[shard]++
			}
		}
	}
	for shard, count := range all {
		if count < n/8*8/10 || count > n/8*12/10 || lanes[shard] > 4 {
			t.Errorf("part %s has %d of %d, and %d lanes of 16", shard, count, n, lanes[shard])
		}
	}
	if len(all) != 8 {
		t.Errorf("%d parts", len(all))
	}
}

// A function has the tables that it was given, and asks AWS nothing of others.
func TestTables(t *testing.T) {
	db, w := scripted(t, inOrder(reply{body: `{}`}))
	k := store.Key{Table: store.Credentials, Partition: "acme#1", Sort: "credential"}
	for what, err := range map[string]error{
		"Get":     func() error { _, err := db.Get(t.Context(), k); return err }(),
		"GetMany": func() error { _, err := db.GetMany(t.Context(), []store.Key{ana, k}); return err }(),
		"Query": func() error {
			_, _, err := db.Query(t.Context(), store.Range{Table: k.Table, Partition: k.Partition})
			return err
		}(),
		"a check": db.Commit(t.Context(), []store.Check{{Key: k}}, []store.Write{write(ana)}),
		"a write": db.Commit(t.Context(), nil, []store.Write{write(k), write(ana)}),
		"Due":     func() error { _, err := dynamo.Open(nil, nil).Due(t.Context(), store.DueTable, 1, 1); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "is not among those") || strings.Contains(err.Error(), "acme") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(w.asked) != 0 {
		t.Errorf("asked %q", w.ops())
	}
	defer func() {
		if recover() == nil {
			t.Error("two tables of one name passed")
		}
	}()
	dynamo.Open(nil, map[store.Table]string{store.Profiles: "same", store.Links: "same"})
}

func TestGetRequest(t *testing.T) {
	db, w := scripted(t, inOrder(reply{body: `{"Item":` + stored(ana, 3, `,"expires":{"N":"4"}`) + `}`}))
	item, err := db.Get(t.Context(), ana)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&store.Item{Key: ana, Value: []byte("v"), Rev: 3, Expires: 4}, item); diff != "" {
		t.Error(diff)
	}
	want := map[string]any{
		"TableName": "P", "ConsistentRead": true,
		"Key": map[string]any{"p": map[string]any{"S": ana.Partition}, "s": map[string]any{"S": ana.Sort}},
	}
	if diff := cmp.Diff(want, w.asked[0].body); diff != "" {
		t.Error(diff)
	}
}
