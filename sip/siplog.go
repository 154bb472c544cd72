package sip

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// A logHandler stands between sipgo and our log. sipgo logs what it cannot parse whole, at ERROR, the caller's number
// with it; through here go a constant phrase, addresses and byte counts, and nothing that came in a message. What
// strangers can cause is a warning at most, and a few lines a second.
type logHandler struct {
	next       slog.Handler
	limit      *rate.Limiter
	suppressed *atomic.Int64
}

// How many lines above debug sipgo may write.
const (
	sipgoLinesPerSecond = 5
	sipgoLinesBurst     = 20
)

func newLogHandler(next slog.Handler) slog.Handler {
	return &logHandler{next: next, limit: rate.NewLimiter(sipgoLinesPerSecond, sipgoLinesBurst), suppressed: new(atomic.Int64)}
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, min(level, slog.LevelWarn))
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, min(r.Level, slog.LevelWarn), phrase(r.Message), 0)
	if r.Level > slog.LevelDebug {
		if !h.limit.AllowN(r.Time, 1) {
			h.suppressed.Add(1)
			return nil
		}
		if n := h.suppressed.Swap(0); n > 0 {
			clean.AddAttrs(slog.Int64("suppressed", n))
		}
	}
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(cleanAttrs([]slog.Attr{a})...)
		return true
	})
	return h.next.Handle(ctx, clean)
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{next: h.next.WithAttrs(cleanAttrs(attrs)), limit: h.limit, suppressed: h.suppressed}
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{next: h.next.WithGroup(name), limit: h.limit, suppressed: h.suppressed}
}

// cleanAttrs keeps what cannot hold a number: addresses that are addresses, the name of sipgo's part, and of a
// message its length.
func cleanAttrs(attrs []slog.Attr) (kept []slog.Attr) {
	for _, a := range attrs {
		value := a.Value.Resolve()
		switch a.Key {
		case "caller":
			kept = append(kept, slog.String("part", phrase(value.String())))
		case "laddr", "raddr", "addr":
			if at, err := netip.ParseAddrPort(value.String()); err == nil {
				kept = append(kept, slog.String(a.Key, at.String()))
			}
		case "data", "req", "msg":
			kept = append(kept, slog.Int(a.Key+"_bytes", len(value.String())))
		}
	}
	return kept
}

// phrase lets through the constant phrases of sipgo's source and no text with an address or a number in it.
func phrase(s string) string {
	digits := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c < ' ' || c > '~' || strings.IndexByte("@+=;\\", c) >= 0:
			return "withheld"
		}
	}
	if digits > 3 || len(s) > 100 {
		return "withheld"
	}
	return s
}
