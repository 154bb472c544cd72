package call

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestRedial: a caller whom we cut off keeps the place, and the record says whose call it goes on from.
func TestRedial(t *testing.T) {
	for name, tc := range map[string]struct {
		class func(now time.Time) CallerClass
		keeps time.Duration
	}{
		"cut off":               {func(now time.Time) CallerClass { return CallerClass{Redial: "cl_0", Since: now.Add(-time.Minute)} }, time.Minute},
		"from a clock ahead":    {func(now time.Time) CallerClass { return CallerClass{Redial: "cl_0", Since: now.Add(time.Minute)} }, 0},
		"not known how long":    {func(time.Time) CallerClass { return CallerClass{Redial: "cl_0"} }, 0},
		"a time without a call": {func(now time.Time) CallerClass { return CallerClass{Since: now.Add(-time.Minute)} }, 0},
		"on the screening list": {func(time.Time) CallerClass { return CallerClass{Screened: true, Area: "212555"} }, 0},
	} {
		story(t, name, func(b *bench) {
			now := time.Now()
			b.class = tc.class(now)
			b.inLine()
			if got := now.Sub(b.queues.places[0].Since); got != tc.keeps {
				b.Errorf("waits since %v before the call, want %v", got, tc.keeps)
			}
			b.caller.ends(CauseNormal)
			rec := b.wants(EndAbandoned)
			if rec.Redial != b.class.Redial || rec.Attest != AttestFull || rec.Direction != DirectionIn || !rec.ArrivedAt.Equal(now) {
				b.Errorf("record %+v", rec)
			}
			if tc.keeps > 0 {
				b.told(rec, WhatRedial, "cl_0")
			}
			if text := fmt.Sprintf("%+v", rec); strings.Contains(text, "212555") || strings.Contains(text, "creen") {
				b.Errorf("the record tells the caller's class: %s", text)
			}
		})
	}
}
