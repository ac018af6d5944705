package telemetry_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/memberkey/memberkey/shared/telemetry"
)

func TestCount(t *testing.T) {
	var out bytes.Buffer
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f := &telemetry.Figures{Function: "fanout", Out: &out, Now: func() time.Time { return at }}
	f.Count("UncertainEntries", 3)
	f.Count("UncertainEntries", 0)

	lines := bytes.SplitAfter(out.Bytes(), []byte("\n"))
	if len(lines) != 3 || len(lines[2]) != 0 {
		t.Fatalf("not two lines: %q", out.String())
	}
	var got any
	if err := json.Unmarshal(lines[0], &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"_aws": map[string]any{
			"Timestamp": float64(at.UnixMilli()),
			"CloudWatchMetrics": []any{map[string]any{
				"Namespace": "Memberkey", "Dimensions": []any{[]any{"function"}},
				"Metrics": []any{map[string]any{"Name": "UncertainEntries", "Unit": "Count"}},
			}},
		},
		"function": "fanout", "UncertainEntries": 3.0,
	}
	if d := cmp.Diff(any(want), got); d != "" {
		t.Error(d)
	}
}
