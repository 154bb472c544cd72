// Package cdrtest is the contract that every cdr.Store passes unchanged.
package cdrtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"callhall/call"
	"callhall/cdr"

	"github.com/google/go-cmp/cmp"
)

// TestStore runs the contract. open returns an empty store that the test's end closes.
func TestStore(t *testing.T, open func(*testing.T) cdr.Store) {
	for name, test := range map[string]func(*testing.T, cdr.Store){
		"every field comes back":             everyField,
		"a record is written once":           writtenOnce,
		"a record takes its entry's place":   entryReplaced,
		"entries are by node and run":        entriesByNode,
		"one city never sees another's":      twoCities,
		"a list matches its filter":          listMatches,
		"a list holds while calls are added": listHolds,
		"many writers":                       manyWriters,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// noon is when the calls of these tests arrive, give or take.
var noon = time.Date(2026, 3, 8, 12, 0, 0, 123456000, time.UTC)

// Record is a made-up record of a call that arrived n seconds after noon, for tests of stores and of what stands on them.
func Record(city call.CityID, n int) call.Record {
	at := noon.Add(time.Duration(n) * time.Second)
	return call.Record{ID: call.NewID(), City: city, Node: "node-a", Trunk: "carrier-a", Entry: "311", Queue: "general",
		Language: "en", Caller: call.CallerPresent, Verstat: call.VerstatPassed, ArrivedAt: at,
		AnsweredAt: at.Add(time.Second), EndedAt: at.Add(time.Minute), End: call.EndAbandoned, EndedBy: "caller", Q850: 16,
		Waiting: time.Minute, Timeline: []call.Moment{{At: at, What: call.WhatArrived}},
		Recording: call.RecordingSummary{State: call.RecordingNone}}
}

// Filled is a record with something else than zero in every field, found by reflection, so that a new field is in it
// without anybody thinking of it.
func Filled(city call.CityID) call.Record {
	var r call.Record
	seed := int64(0)
	fill(reflect.ValueOf(&r).Elem(), &seed)
	r.ID, r.City = call.NewID(), city
	return r
}

// fill puts a different value into every field below v.
func fill(v reflect.Value, seed *int64) {
	*seed++
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(noon.Add(time.Duration(*seed) * time.Second)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), seed)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), seed)
		fill(v.Index(1), seed)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, seed)
		fill(value, seed)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString(fmt.Sprintf("text-%d", *seed))
	case reflect.Int, reflect.Int64:
		v.SetInt(*seed * 1e6)
	case reflect.Uint64:
		v.SetUint(uint64(*seed))
	case reflect.Float64:
		v.SetFloat(float64(*seed) / 4)
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic("cdrtest: teach fill the kind of a new field: " + v.Type().String())
	}
}

func everyField(t *testing.T, s cdr.Store) {
	r := Filled("demo")
	put(t, s, r)
	if diff := cmp.Diff(r, get(t, s, "demo", r.ID)); diff != "" {
		t.Error(diff)
	}
}

func writtenOnce(t *testing.T, s cdr.Store) {
	r := Record("demo", 0)
	put(t, s, r)
	put(t, s, r) // the same again is no error
	other := r
	other.End = call.EndFailed
	if err := s.Put(t.Context(), other); !errors.Is(err, cdr.ErrClosed) {
		t.Errorf("a different record: %v, want ErrClosed", err)
	}
	if got := get(t, s, "demo", r.ID); got.End != r.End {
		t.Errorf("the record was changed to %s", got.End)
	}
	if got := list(t, s, "demo", cdr.Filter{}); len(got) != 1 {
		t.Errorf("%d records of one call", len(got))
	}
}

func entryReplaced(t *testing.T, s cdr.Store) {
	r := Record("demo", 0)
	e := entry(r, "node-a", "run-1")
	putOpen(t, s, e)
	e.Sealed = []byte("more is known")
	putOpen(t, s, e)
	if got := opens(t, s, "node-a", "run-2"); len(got) != 1 || string(got[0].Sealed) != "more is known" {
		t.Fatalf("open entries %+v", got)
	}
	put(t, s, r)
	putOpen(t, s, e) // too late: the call has its record
	if got := opens(t, s, "node-a", "run-2"); len(got) != 0 {
		t.Errorf("a closed call has an open entry: %+v", got)
	}
}

func entriesByNode(t *testing.T, s cdr.Store) {
	first, second := entry(Record("demo", 1), "node-a", "run-1"), entry(Record("demo", 2), "node-a", "run-1")
	putOpen(t, s, second)
	putOpen(t, s, first)
	putOpen(t, s, entry(Record("demo", 3), "node-b", "run-1"))
	if diff := cmp.Diff([]cdr.OpenEntry{first, second}, opens(t, s, "node-a", "run-2")); diff != "" {
		t.Error(diff)
	}
	if got := opens(t, s, "node-a", "run-1"); len(got) != 0 {
		t.Errorf("a run was given its own entries: %+v", got)
	}
}

func twoCities(t *testing.T, s cdr.Store) {
	ours, theirs := Record("demo", 0), Record("other", 1)
	put(t, s, ours)
	put(t, s, theirs)
	if _, err := s.Get(t.Context(), "demo", theirs.ID); !errors.Is(err, cdr.ErrNotFound) {
		t.Errorf("another city's call: %v, want ErrNotFound", err)
	}
	if got := list(t, s, "demo", cdr.Filter{}); !slices.Equal(ids(got), []call.ID{ours.ID}) {
		t.Errorf("demo lists %v", ids(got))
	}
	same := Record("other", 5)
	same.ID = ours.ID // an id says nothing of the city: both may have it, and neither can tell
	put(t, s, same)
	if got := get(t, s, "demo", ours.ID); got.City != "demo" || !got.ArrivedAt.Equal(ours.ArrivedAt) {
		t.Errorf("another city wrote over our call: %+v", got)
	}
}

func listMatches(t *testing.T, s cdr.Store) {
	var all []call.Record
	for n := range 24 {
		r := Record("demo", n)
		r.Queue = []call.QueueID{"general", "water"}[n%2]
		r.Agent = []call.AgentID{"", "ana", "ben"}[n%3]
		r.End = []call.End{call.EndAbandoned, call.EndCallerHungUp}[n/12]
		r.Recording.State = []call.RecordingState{call.RecordingNone, call.RecordingKept}[n/6%2]
		r.Waiting, r.Talking = time.Duration(n)*time.Second, time.Duration(24-n)*time.Second
		put(t, s, r)
		all = append(all, r)
	}
	for _, f := range []cdr.Filter{{}, {Queue: "water"}, {Agent: "ana"}, {End: call.EndCallerHungUp}, {Queue: "none"},
		{Recording: call.RecordingKept}, {MinWaiting: 5 * time.Second}, {MinTalking: 5 * time.Second},
		{From: noon.Add(5 * time.Second)}, {To: noon.Add(5 * time.Second)},
		{From: noon.Add(3 * time.Second), To: noon.Add(20 * time.Second), Queue: "water", Agent: "ben",
			End: call.EndAbandoned, MinTalking: time.Second, MinWaiting: time.Second}} {
		if diff := cmp.Diff(ids(slow(all, f)), ids(list(t, s, "demo", f))); diff != "" {
			t.Errorf("%+v: %s", f, diff)
		}
	}
}

// slow is the obvious filter, newest first.
func slow(all []call.Record, f cdr.Filter) (match []call.Record) {
	for _, r := range slices.Backward(all) {
		if (f.From.IsZero() || !r.ArrivedAt.Before(f.From)) && (f.To.IsZero() || r.ArrivedAt.Before(f.To)) &&
			(f.Queue == "" || r.Queue == f.Queue) && (f.Agent == "" || r.Agent == f.Agent) &&
			(f.End == "" || r.End == f.End) && (f.Recording == "" || r.Recording.State == f.Recording) &&
			r.Waiting >= f.MinWaiting && r.Talking >= f.MinTalking {
			match = append(match, r)
		}
	}
	return match
}

func listHolds(t *testing.T, s cdr.Store) {
	var want []call.ID
	for n := range 10 {
		r := Record("demo", n/3) // several arrive in the same microsecond
		put(t, s, r)
		want = append(want, r.ID)
	}
	var got []call.ID
	var p cdr.Position
	for page := 0; ; page++ {
		records, err := s.List(t.Context(), "demo", cdr.Filter{}, p, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 {
			break
		}
		got = append(got, ids(records)...)
		last := records[len(records)-1]
		p = cdr.Position{At: last.ArrivedAt, ID: last.ID}
		put(t, s, Record("demo", 100+page)) // newer than all that were listed
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func manyWriters(t *testing.T, s cdr.Store) {
	const writers = 40
	done := make(chan error, writers)
	for n := range writers {
		go func() { done <- s.Put(context.WithoutCancel(t.Context()), Record("demo", n)) }()
	}
	for range writers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := list(t, s, "demo", cdr.Filter{}); len(got) != writers {
		t.Errorf("%d of %d records", len(got), writers)
	}
}

func entry(r call.Record, node, run string) cdr.OpenEntry {
	return cdr.OpenEntry{City: r.City, ID: r.ID, Node: node, Run: run, At: r.ArrivedAt, Sealed: []byte{0, 1, 255}}
}

func put(t *testing.T, s cdr.Store, r call.Record) {
	t.Helper()
	if err := s.Put(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func putOpen(t *testing.T, s cdr.Store, e cdr.OpenEntry) {
	t.Helper()
	if err := s.PutOpen(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s cdr.Store, city call.CityID, id call.ID) call.Record {
	t.Helper()
	r, err := s.Get(t.Context(), city, id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func list(t *testing.T, s cdr.Store, city call.CityID, f cdr.Filter) []call.Record {
	t.Helper()
	records, err := s.List(t.Context(), city, f, cdr.Position{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func opens(t *testing.T, s cdr.Store, node, run string) []cdr.OpenEntry {
	t.Helper()
	entries, err := s.Opens(t.Context(), node, run)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func ids(records []call.Record) []call.ID {
	out := []call.ID{}
	for _, r := range records {
		out = append(out, r.ID)
	}
	return out
}
