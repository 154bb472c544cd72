package cdr_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"callhall/call"
	"callhall/cdr"
	"callhall/cdr/cdrtest"

	"github.com/google/go-cmp/cmp"
)

func TestRecordsWaitWhileTheDatabaseIsAway(t *testing.T) {
	o := newOffice(t)
	first, second := cdrtest.Record("demo", 0), cdrtest.Record("demo", 1)
	first.Timeline[0].Detail = "a word to look for"
	o.store.away(true)
	o.open(first)
	o.close(second)
	o.close(first)
	onDisk, err := os.ReadFile(o.queuePath())
	if err != nil || len(onDisk) == 0 || bytes.Contains(onDisk, []byte("a word to look for")) {
		t.Fatalf("%d bytes on disk, %v", len(onDisk), err)
	}
	if err := o.Replay(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("replay to a database that is away: %v", err)
	}
	o.restart() // the queue outlives the process
	o.store.away(false)
	if err := o.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"open " + string(first.ID), "close " + string(second.ID), "close " + string(first.ID)}
	if diff := cmp.Diff(want, o.store.given); diff != "" {
		t.Error(diff)
	}
	o.get(first.ID)
	if info, err := os.Stat(o.queuePath()); err != nil || info.Size() != 0 {
		t.Errorf("the queue file is not empty: %v, %v", info, err)
	}
}

// What comes while something waits gets in line behind it, so that a call's entry never follows its record.
func TestOrderIsKeptAfterTheDatabaseIsBack(t *testing.T) {
	o := newOffice(t)
	r := cdrtest.Record("demo", 0)
	o.store.away(true)
	o.open(r)
	o.store.away(false)
	o.close(r)
	if len(o.store.given) != 0 {
		t.Fatalf("went past the queue: %v", o.store.given)
	}
	if err := o.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"open " + string(r.ID), "close " + string(r.ID)}, o.store.given); diff != "" {
		t.Error(diff)
	}
}

func TestRunBringsInWhatWaits(t *testing.T) {
	o := newOffice(t)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { defer close(over); o.Run(ctx) }()
	r := cdrtest.Record("demo", 0)
	o.store.away(true)
	o.close(r)
	o.store.away(false)
	<-o.store.wrote
	cancel()
	<-over
	o.get(r.ID)
}

// A call whose record waits in the queue was not lost, though its open entry is still in the database.
func TestAQueuedRecordComesBeforeALostOne(t *testing.T) {
	o := newOffice(t)
	r := answered(0)
	o.open(r)
	o.store.away(true)
	r.End = call.EndCallerHungUp
	o.close(r)
	o.restart()
	if closed, err := o.CloseLost(t.Context(), "node-a", nil, nothingKept); !errors.Is(err, errDown) || len(closed) != 0 {
		t.Errorf("while the database is away: %d, %v", len(closed), err)
	}
	o.store.away(false)
	if closed, err := o.CloseLost(t.Context(), "node-a", nil, nothingKept); err != nil || len(closed) != 0 {
		t.Errorf("%d, %v", len(closed), err)
	}
	if got := o.get(r.ID); got.End != call.EndCallerHungUp {
		t.Errorf("ended as %s", got.End)
	}
}

// The power may fail in the middle of a write: the whole frames before it count, and writing goes on behind them.
func TestAnUnfinishedFrameIsCutOff(t *testing.T) {
	o := newOffice(t)
	first, second, third := cdrtest.Record("demo", 0), cdrtest.Record("demo", 1), cdrtest.Record("demo", 2)
	o.store.away(true)
	o.close(first)
	whole := o.queueSize()
	o.close(second)
	for _, size := range []int64{whole + 2, whole + 4, o.queueSize() - 1} {
		frames, err := os.ReadFile(o.queuePath())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(o.queuePath(), size); err != nil {
			t.Fatal(err)
		}
		o.restart()
		if got := o.queueSize(); got != whole {
			t.Fatalf("cut at %d: %d bytes left, want %d", size, got, whole)
		}
		if err := os.WriteFile(o.queuePath(), frames, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(o.queuePath(), whole+9); err != nil {
		t.Fatal(err)
	}
	o.restart()
	o.close(third)
	o.store.away(false)
	if err := o.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"close " + string(first.ID), "close " + string(third.ID)}, o.store.given); diff != "" {
		t.Error(diff)
	}
}

func (o *office) queueSize() int64 {
	o.t.Helper()
	info, err := os.Stat(o.queuePath())
	if err != nil {
		o.t.Fatal(err)
	}
	return info.Size()
}

// One frame that cannot be read holds up no other, and the operator hears of it.
func TestADamagedFrameHoldsUpNoOther(t *testing.T) {
	o := newOffice(t)
	o.store.away(true)
	bad, good := cdrtest.Record("demo", 0), cdrtest.Record("demo", 1)
	o.close(bad)
	at := o.queueSize() - 3
	o.close(good)
	file, err := os.OpenFile(o.queuePath(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteAt([]byte{0xff, 0xff}, at)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	o.store.away(false)
	if err := o.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.get(good.ID)
	if !strings.Contains(o.log.String(), "level=ERROR") {
		t.Errorf("no error in the log: %s", o.log.String())
	}
}

// A queued record that differs from the one already written gives way to it, and holds up no other.
func TestAQueuedSecondRecordGivesWay(t *testing.T) {
	o := newOffice(t)
	r, next := cdrtest.Record("demo", 0), cdrtest.Record("demo", 1)
	o.close(r)
	o.store.away(true)
	other := r
	other.End = call.EndFailed
	o.close(other)
	o.close(next)
	o.store.away(false)
	if err := o.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := o.get(r.ID); got.End != r.End {
		t.Errorf("ended as %s", got.End)
	}
	o.get(next.ID)
	if !strings.Contains(o.log.String(), cdr.ErrClosed.Error()) {
		t.Error("the log does not say why it was given up")
	}
}
