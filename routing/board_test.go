package routing

import (
	"log/slog"
	"testing"
	"time"
	"unsafe"

	"callhall/call"
)

// setBack is t as a machine reads it whose wall clock was set back by d meanwhile: its monotonic reading has gone on. The
// time package gives no way to make one, so this reaches into it and checks what it got.
func setBack(t *testing.T, at time.Time, d time.Duration) time.Time {
	t.Helper()
	back := at.Add(-d)
	// A Time with a monotonic reading keeps it in its second word, in nanoseconds.
	*(*int64)(unsafe.Add(unsafe.Pointer(&back), 8)) += int64(d)
	if back.Sub(at) != 0 || at.UnixNano()-back.UnixNano() != int64(d) {
		t.Fatalf("%v is not %v with its clock set back by %v", back, at, d)
	}
	return back
}

// A wrap-up ends when its time has passed, whatever becomes of the wall clock.
func TestWallClockSetBack(t *testing.T) {
	now := time.Now()
	conf := newCity(City{ID: "north", Queues: []Queue{{ID: "general"}}, Agents: []Agent{{ID: "ana", Queues: []call.QueueID{"general"}}}},
		nil, Config{Node: "n1", Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}, nil)
	b := conf.board
	until := now.Add(30 * time.Second)
	b.setRow(Row{City: "north", Agent: "ana", Rev: 1, Facts: Facts{Duty: Duty{On: true}, Phone: Phone{Home: "n1", Until: now.Add(time.Hour)},
		Wrap: Wrap{Until: until}}}, now)
	now = setBack(t, now.Add(20*time.Second), time.Hour)
	conf.leadAt, conf.renewAt, conf.reconcileAt = now.Add(time.Hour), now.Add(time.Hour), now.Add(time.Hour)
	if wait := conf.nextStep(time.Time{}).Sub(now); wait != 10*time.Second {
		t.Errorf("looks again in %v", wait)
	}
	if desks, _ := b.due(now); len(desks) != 0 {
		t.Error("due before its time")
	}
	now = setBack(t, until, time.Hour)
	desks, _ := b.due(now)
	if len(desks) != 1 {
		t.Fatalf("%d agents are due", len(desks))
	}
	if b.seeAgent(desks[0], now); desks[0].state != StateReady {
		t.Errorf("the agent is %s", desks[0].state)
	}
}
