package call

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// A Switchboard takes calls and runs each to its end. It is safe for use by many goroutines.
type Switchboard struct {
	Node     string // this process, as its records name it
	Queues   Queues
	Phones   Phones
	Recorder Recorder
	Records  Records
	Prompts  Prompts
	Partners Partners // nil: there are none
	Terms    func(CityID, QueueID) Terms
	Log      *slog.Logger

	active atomic.Int64
	live   liveCalls
}

// Take runs a call on the goroutine that brings it and returns how it ended. When it returns, the call holds no port,
// queue place, claim or goroutine, and its one record has been handed to Records. ctx ends calls when the node stops.
func (s *Switchboard) Take(ctx context.Context, a Arrival) End {
	return newCall(s, a).run(ctx, arriving)
}

// Active is how many calls are being run now.
func (s *Switchboard) Active() int { return int(s.active.Load()) }

// run is the call's one goroutine.
func (c *Call) run(ctx context.Context, first phase) (end End) {
	c.active.Add(1)
	defer c.active.Add(-1)
	c.live.add(c)
	defer c.live.remove(c)
	ctx, c.stop = context.WithCancelCause(ctx)
	c.startLimit(c.arrival.At)
	defer c.stopLimit()
	after := context.WithoutCancel(ctx)
	defer func() { end = c.record.End }() // also where the call broke
	defer c.writeRecord(after)            // whatever giving back has come to
	defer c.giveBack(after)
	defer func() {
		if fault := recover(); fault != nil { // one broken call must not end the others
			c.broke(fault)
			c.over(EndFailed, "", CauseInternal)
		}
	}()
	for p := first; p != nil; {
		p = p(ctx, c)
	}
	return c.record.End
}

// releaseTime bounds what a call does after its end: sealing its recording and writing its record.
const releaseTime = 30 * time.Second

// giveBack gives back everything the call took, in reverse order. ctx outlives the call.
func (c *Call) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	c.stop(nil) // ends the queue place and whatever runs beside the call
	c.inbox.Close()
	c.dropTransfer()
	c.dropGuests()
	c.dropAgent(ctx)
	c.dropCaller()
	c.beside.Wait()
	c.drainInbox(ctx)
	c.closeRecording(ctx)
}

// writeRecord hands over the call's one record.
func (c *Call) writeRecord(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	c.log.Info("call over", "queue", c.record.Queue, "end", c.record.End, "waiting", c.record.Waiting.Round(time.Millisecond),
		"talking", c.record.Talking.Round(time.Millisecond))
	if err := c.Records.Close(ctx, c.record); err != nil {
		c.log.Error("record not written", "err", err)
	}
}

// drainInbox settles what arrived after nobody was reading: an agent's leg that answered too late is hung up, and a
// recording that opened too late is closed by closeRecording.
func (c *Call) drainInbox(ctx context.Context) {
	for {
		select {
		case ev := <-c.inbox.Events():
			c.discard(ctx, ev)
		default:
			return
		}
	}
}
