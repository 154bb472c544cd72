package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// An edge is one of the ways in.
type edge string

const (
	edgeSIP   edge = "sip"
	edgeHTTP  edge = "http"
	edgeAdmin edge = "admin"
)

// edges is how many there are.
const edges = 3

// edgeEnd says that an edge has ended, and why; nil when it was told to.
type edgeEnd struct {
	edge edge
	err  error
}

// Run serves until ctx ends, then stops in order: no new calls, the calls in progress, the edges, and last what runs
// beside them. It ends in the same way by itself when an edge is lost, and returns what edges failed by.
func (a *app) Run(ctx context.Context) error {
	besideCtx, stopBeside := context.WithCancel(context.WithoutCancel(ctx))
	var beside sync.WaitGroup
	for _, loop := range a.loops {
		beside.Go(func() { loop(besideCtx) })
	}
	edgeCtx, stopEdges := context.WithCancel(context.WithoutCancel(ctx))
	ends := make(chan edgeEnd, edges)
	go func() { ends <- edgeEnd{edgeSIP, a.sip.Run(edgeCtx)} }()
	go func() { ends <- edgeEnd{edgeHTTP, a.console.Serve(edgeCtx, a.http)} }()
	go func() { ends <- edgeEnd{edgeAdmin, a.console.ServeAdmin(edgeCtx, a.admin)} }()

	placed, stopPlaced := context.WithCancel(context.WithoutCancel(ctx))
	var ours sync.WaitGroup
	ours.Go(func() { a.board.Run(placed) }) // the calls that we place

	ended, err := a.untilOver(ctx, ends)
	stopPlaced()
	ours.Wait()
	if a.drained != nil {
		a.drained()
	}
	stopEdges()
	for range edges - ended {
		err = errors.Join(err, (<-ends).err)
	}
	stopBeside()
	beside.Wait()
	return err
}

// untilOver returns when the edges may be stopped: when the last call is over, or none can go on. It tells how many
// edges have ended already, and what they failed by. Calls outlive the API's listeners and do not outlive SIP.
func (a *app) untilOver(ctx context.Context, ends <-chan edgeEnd) (ended int, err error) {
	select {
	case <-ctx.Done():
	case e := <-ends:
		ended, err = 1, e.err
		if e.edge == edgeSIP {
			return ended, err
		}
		a.log.Error("a listener is lost: calls in progress go on, then this node ends", "edge", e.edge, "err", e.err)
	}
	more, drainErr := a.drain(ends)
	return ended + more, errors.Join(err, drainErr)
}

// drainPoll is how often a draining node looks whether its last call has ended.
const drainPoll = 100 * time.Millisecond

// drain refuses new calls and lets those in progress end by themselves, for as long as the configuration allows and SIP
// is there. It tells how many edges have ended meanwhile.
func (a *app) drain(ends <-chan edgeEnd) (ended int, err error) {
	a.draining.Store(true)
	a.sip.Drain()
	if a.busy() {
		a.log.Info("draining: no new calls", "calls", a.board.Active(), "longest", a.cfg.DrainTimeout)
	}
	deadline := time.After(a.cfg.DrainTimeout)
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for a.busy() {
		select {
		case <-tick.C:
		case e := <-ends:
			ended, err = ended+1, errors.Join(err, e.err)
			if e.edge == edgeSIP {
				return ended, err
			}
		case <-deadline:
			a.log.Warn("drain deadline passed: calls are ended", "calls", a.board.Active())
			return ended, err
		}
	}
	return ended, err
}

// busy tells whether a call is in progress: one that runs, or whose caller's number is being sealed before it does.
func (a *app) busy() bool { return a.board.Active() > 0 || a.sip.Legs() > 0 }
