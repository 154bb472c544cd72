package cdr_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"callhall/call"
	"callhall/cdr"
	"callhall/cdr/cdrtest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func TestACallLeavesOneRecord(t *testing.T) {
	o := newOffice(t)
	r := cdrtest.Record("demo", 0)
	o.open(r)
	r.Offers = 3
	o.close(r)
	o.close(r) // the same again is no error
	if diff := cmp.Diff(r, o.get(r.ID)); diff != "" {
		t.Error(diff)
	}
	r.End = call.EndFailed
	if err := o.Close(t.Context(), r); !errors.Is(err, cdr.ErrClosed) {
		t.Errorf("another record: %v, want ErrClosed", err)
	}
	left, err := o.store.Opens(t.Context(), "node-a", "")
	if err != nil || len(left) != 0 {
		t.Errorf("open entries %v, %v", left, err)
	}
}

func TestARecordNeedsIDAndCity(t *testing.T) {
	o := newOffice(t)
	for _, r := range []call.Record{{ID: call.NewID()}, {City: "demo"}} {
		if err := o.Close(t.Context(), r); !errors.Is(err, cdr.ErrInvalid) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// A call may end because its ctx did. Its record is written all the same.
func TestAnEndedContextLosesNoRecord(t *testing.T) {
	o := newOffice(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := cdrtest.Record("demo", 0)
	if err := o.Close(ctx, r); err != nil {
		t.Fatal(err)
	}
	o.get(r.ID)
}

func TestAnOpenEntryIsSealed(t *testing.T) {
	o := newOffice(t)
	r := cdrtest.Record("demo", 0)
	r.Timeline[0].Detail = "a word to look for"
	o.open(r)
	left, err := o.store.Opens(t.Context(), "node-a", "")
	if err != nil || len(left) != 1 {
		t.Fatalf("%v, %v", left, err)
	}
	for _, plain := range []string{"a word to look for", "general", string(r.ID)} {
		if bytes.Contains(left[0].Sealed, []byte(plain)) {
			t.Errorf("%q stands in the sealed entry", plain)
		}
	}
}

// What is encoded has every time in UTC and without a monotonic reading, whatever field it is in.
func TestEncodeMakesEveryTimeUTC(t *testing.T) {
	r := cdrtest.Filled("demo")
	zone := time.FixedZone("here", -5*3600)
	eachTime(reflect.ValueOf(&r).Elem(), func(at *time.Time) { *at = at.In(zone) })
	data, err := cdr.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	back, err := cdr.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	eachTime(reflect.ValueOf(&back).Elem(), func(at *time.Time) {
		n++
		if at.Location() != time.UTC {
			t.Errorf("%v is not in UTC", at)
		}
	})
	if n < 9 {
		t.Errorf("only %d times seen", n)
	}
	if diff := cmp.Diff(r, back); diff != "" { // compares times as moments
		t.Error(diff)
	}
	if r.Timeline[0].At.Location() != zone {
		t.Error("Encode changed its argument")
	}
}

// eachTime calls f on every time.Time that can be reached without a map.
func eachTime(v reflect.Value, f func(*time.Time)) {
	if at, ok := v.Addr().Interface().(*time.Time); ok {
		f(at)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			eachTime(v.Field(i), f)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachTime(v.Index(i), f)
		}
	}
}

// A figure that JSON cannot hold must not cost the record.
func TestAStrangeFigureLosesNoRecord(t *testing.T) {
	o := newOffice(t)
	r := cdrtest.Record("demo", 0)
	r.Quality = map[call.LegID]call.Quality{"caller": {MOS: math.NaN(), Received: 5}}
	o.close(r)
	if got := o.get(r.ID).Quality["caller"]; got.Received != 5 || got.MOS != 0 {
		t.Errorf("%+v", got)
	}
	if !math.IsNaN(r.Quality["caller"].MOS) {
		t.Error("Close changed its argument")
	}
}

func TestConfigIsChecked(t *testing.T) {
	path, key, log := filepath.Join(t.TempDir(), "q"), make([]byte, 32), slog.New(slog.DiscardHandler)
	for name, cfg := range map[string]cdr.Config{
		"no node":      {Key: key, QueuePath: path, Log: log},
		"no queue":     {Node: "a", Key: key, Log: log},
		"no log":       {Node: "a", Key: key, QueuePath: path},
		"short key":    {Node: "a", Key: key[:16], QueuePath: path, Log: log},
		"no directory": {Node: "a", Key: key, QueuePath: filepath.Join(path, "x", "q"), Log: log},
	} {
		if _, err := cdr.New(nil, cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A caller who left unanswered never counts as answered, however long the wait.
func TestCallsAreCountedByOutcome(t *testing.T) {
	o := newOffice(t)
	registry := prometheus.NewRegistry()
	s, err := cdr.New(o.store, cdr.Config{Node: "node-b", Key: o.key, QueuePath: o.queuePath() + "2",
		Log: slog.New(slog.DiscardHandler), Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shut()
	for n, c := range []struct {
		end     call.End
		waiting time.Duration
		talked  bool
	}{{call.EndCallerHungUp, time.Second, true}, {call.EndNodeLost, time.Hour, true}, {call.EndAbandoned, time.Second, false},
		{call.EndCancelled, time.Minute, false}, {call.EndMaxWait, time.Minute, false}, {call.EndQueueFull, 0, false},
		{call.EndCallerLost, time.Minute, false}, {call.EndShutdown, 0, false}, {call.EndNodeLost, 0, false},
		{call.EndNoAck, 0, false}, {call.EndNoMedia, 0, false}, {call.EndFailed, 0, false}} {
		r := cdrtest.Record("demo", n)
		if r.End, r.Waiting = c.end, c.waiting; c.talked {
			r.ConnectedAt = r.ArrivedAt
		}
		if err := s.Close(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	page := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for outcome, n := range map[string]int{"answered": 2, "abandoned": 1, "short_abandoned": 1, "max_wait": 1,
		"refused": 1, "lost": 1, "shutdown": 1, "failed": 4} {
		want := fmt.Sprintf("callhall_calls_total{outcome=%q,queue=\"general\"} %d\n", outcome, n)
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("%s is not in\n%s", want, page.Body)
		}
	}
}
