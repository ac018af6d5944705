package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/memberkey/memberkey/shared/problem"
)

// log writes the one line of a request. Path, query, headers and body are
// left out on purpose: each of them can hold a token, a password or an
// address. The text of an error is there for faults of ours alone.
func (k *call) log(ctx context.Context, status int, p *problem.Problem, took time.Duration) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("route", k.event.RouteKey),
		slog.Int("status", status),
		slog.Float64("milliseconds", float64(took.Microseconds())/1000),
		slog.String("organization", k.organization),
		slog.String("request", k.event.RequestContext.RequestID),
	}
	if p != nil {
		attrs = append(attrs, slog.String("code", p.Code))
		if status >= 500 {
			level = slog.LevelError
			attrs = append(attrs, slog.String("error", p.Error()))
			if v, ok := errors.AsType[*panicked](error(p)); ok {
				attrs = append(attrs, slog.String("stack", string(v.stack)))
			}
		}
	}
	k.config.Log.LogAttrs(ctx, level, "request", attrs...)
}
