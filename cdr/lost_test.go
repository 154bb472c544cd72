package cdr_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"callhall/call"
	"callhall/cdr"
	"callhall/cdr/cdrtest"

	"github.com/google/go-cmp/cmp"
)

// answered is what is known of a call at its answer.
func answered(n int) call.Record {
	r := cdrtest.Record("demo", n)
	r.End, r.EndedBy, r.Q850, r.EndedAt, r.Waiting = "", "", 0, time.Time{}, 0
	r.Recording = call.RecordingSummary{}
	return r
}

func nothingKept(context.Context, call.Record) (call.RecordingSummary, error) {
	return call.RecordingSummary{State: call.RecordingNone}, nil
}

func TestLostCallsAreClosed(t *testing.T) {
	o := newOffice(t)
	waiting, talking, over := answered(0), answered(1), answered(2)
	for _, r := range []call.Record{waiting, talking, over} {
		o.open(r)
	}
	o.close(over)
	o.restart()

	alive := waiting.ArrivedAt.Add(40 * time.Second)
	kept := call.RecordingSummary{ID: "rec_x", State: call.RecordingKept, Length: 20 * time.Second,
		EndedAt: talking.ArrivedAt.Add(50 * time.Second), DueAt: talking.ArrivedAt.Add(14 * 24 * time.Hour)}
	closed, err := o.CloseLost(t.Context(), "node-a", func(call.Record) time.Time { return alive },
		func(_ context.Context, r call.Record) (call.RecordingSummary, error) {
			if r.ID == talking.ID {
				return kept, nil
			}
			return nothingKept(t.Context(), r)
		})
	if err != nil || len(closed) != 2 {
		t.Fatalf("%d records, %v", len(closed), err)
	}

	want := waiting
	want.End, want.Q850, want.EndedAt, want.Waiting = call.EndNodeLost, 41, alive, 40*time.Second
	want.Recording.State = call.RecordingNone
	end := call.Moment{At: alive, What: call.WhatEnded, Detail: "the node that carried the call was lost"}
	want.Timeline = append(want.Timeline, end)
	if diff := cmp.Diff(want, o.get(waiting.ID)); diff != "" {
		t.Errorf("the caller who waited: %s", diff)
	}

	want = talking
	want.End, want.Q850, want.EndedAt, want.Recording = call.EndNodeLost, 41, kept.EndedAt, kept
	want.ConnectedAt = talking.ArrivedAt.Add(30 * time.Second) // where the recording begins
	want.Waiting, want.Talking = 30*time.Second, 20*time.Second
	end.At = kept.EndedAt
	want.Timeline = append(want.Timeline, end)
	if diff := cmp.Diff(want, o.get(talking.ID)); diff != "" {
		t.Errorf("the caller who talked: %s", diff)
	}
	if got := o.get(over.ID); got.End == call.EndNodeLost {
		t.Error("a call that was over became a lost one")
	}
	if again, err := o.CloseLost(t.Context(), "node-a", nil, nil); err != nil || len(again) != 0 {
		t.Errorf("again: %d, %v", len(again), err)
	}
}

// TestALostCallWithAPartner: what was spoken with a partner is not counted as the agent's.
func TestALostCallWithAPartner(t *testing.T) {
	o := newOffice(t)
	r := answered(0)
	r.ConnectedAt, r.TransferredAt, r.Partner = r.ArrivedAt.Add(10*time.Second), r.ArrivedAt.Add(time.Minute), "parks"
	o.open(r)
	o.restart()
	closed, err := o.CloseLost(t.Context(), "node-a", func(call.Record) time.Time { return r.ArrivedAt.Add(time.Hour) }, nothingKept)
	if err != nil || len(closed) != 1 {
		t.Fatalf("%d records, %v", len(closed), err)
	}
	if got := o.get(r.ID); got.Talking != 50*time.Second || got.Partner != "parks" || !got.TransferredAt.Equal(r.TransferredAt) {
		t.Errorf("talked %v: %+v", got.Talking, got)
	}
}

func TestALostCallWithoutItsRecordingSaysSo(t *testing.T) {
	o := newOffice(t)
	r := answered(0)
	r.ConnectedAt = r.ArrivedAt.Add(5 * time.Second)
	r.Timeline = append(r.Timeline, call.Moment{At: r.ArrivedAt.Add(9 * time.Second), What: call.WhatHeld})
	o.open(r)
	o.restart()
	if _, err := o.CloseLost(t.Context(), "node-a", nil, func(context.Context, call.Record) (call.RecordingSummary, error) {
		return call.RecordingSummary{}, errors.New("the spool cannot be read")
	}); err != nil {
		t.Fatal(err)
	}
	got := o.get(r.ID)
	if got.Recording.State != call.RecordingFailed || !strings.Contains(got.Recording.Why, "the spool cannot be read") {
		t.Errorf("recording %+v", got.Recording)
	}
	if got.Waiting != 5*time.Second || got.Talking != 4*time.Second {
		t.Errorf("waited %v, talked %v", got.Waiting, got.Talking)
	}
}

// Where it is known when the agent joined, the length of the recording says nothing of it: a recording has gaps.
func TestALostCallKeepsWhatIsKnown(t *testing.T) {
	o := newOffice(t)
	r := answered(0)
	r.ConnectedAt = r.ArrivedAt.Add(5 * time.Second)
	o.open(r)
	o.restart()
	if _, err := o.CloseLost(t.Context(), "node-a", nil, func(context.Context, call.Record) (call.RecordingSummary, error) {
		return call.RecordingSummary{State: call.RecordingKept, Length: time.Second, EndedAt: r.ArrivedAt.Add(20 * time.Second)}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := o.get(r.ID); !got.ConnectedAt.Equal(r.ConnectedAt) || got.Waiting != 5*time.Second || got.Talking != 15*time.Second {
		t.Errorf("connected %v, waited %v, talked %v", got.ConnectedAt, got.Waiting, got.Talking)
	}
}

// A run never takes its own calls for lost, nor those of another node.
func TestOnlyDeadRunsOfTheNodeAreClosed(t *testing.T) {
	o := newOffice(t)
	o.open(answered(0))
	if closed, err := o.CloseLost(t.Context(), "node-a", nil, nothingKept); err != nil || len(closed) != 0 {
		t.Errorf("own calls: %d, %v", len(closed), err)
	}
	o.restart()
	if closed, err := o.CloseLost(t.Context(), "node-b", nil, nothingKept); err != nil || len(closed) != 0 {
		t.Errorf("another node's calls: %d, %v", len(closed), err)
	}
}

// An entry that is not of the call, city and node it says cannot be opened. It stays where it is and holds up no other.
func TestAChangedEntryStaysShut(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*cdr.OpenEntry)
		closed int // the copy under another city or id leaves the true entry beside it
	}{
		"city":  {func(e *cdr.OpenEntry) { e.City = "other" }, 2},
		"call":  {func(e *cdr.OpenEntry) { e.ID = call.NewID() }, 2},
		"bytes": {func(e *cdr.OpenEntry) { e.Sealed[len(e.Sealed)/2] ^= 1 }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			o.open(answered(0))
			entries, err := o.store.Opens(t.Context(), "node-a", "")
			if err != nil {
				t.Fatal(err)
			}
			c.change(&entries[0])
			if err := o.store.PutOpen(t.Context(), entries[0]); err != nil {
				t.Fatal(err)
			}
			o.open(answered(1))
			o.restart()
			closed, err := o.CloseLost(t.Context(), "node-a", nil, nothingKept)
			if err == nil || len(closed) != c.closed {
				t.Errorf("closed %d, %v; want %d and an error", len(closed), err, c.closed)
			}
			left, err := o.store.Opens(t.Context(), "node-a", "")
			if err != nil || len(left) != 1 {
				t.Errorf("%d entries left, %v", len(left), err)
			}
		})
	}
}
