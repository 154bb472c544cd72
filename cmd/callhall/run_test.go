package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"callhall/call"
	"callhall/sqldb"
)

// readiness is the fault of the check that /readyz makes under that name.
func (n *node) readiness(name string) error {
	for _, check := range n.checks() {
		if check.Name == name {
			return check.Check(n.ctx())
		}
	}
	return errors.New("there is no such check")
}

// isUp waits until the node serves: what is dialled or broken before would meet nothing.
func (n *node) isUp() *node {
	n.t.Helper()
	n.stage(n.t).agent("aspen-6", ignores())
	must(n.t, n.readiness("draining"))
	return n
}

// TestDrainWaitsForACallThatBegins: a call whose caller's number is still being sealed is a call in progress.
func TestDrainWaitsForACallThatBegins(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.DrainTimeout = soon
	cfg.placeStores()
	n := openNode(t, cfg, nil).run().isUp()
	held, let, committed := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		committed <- n.sealed.Commit(n.ctx(), func(context.Context, *sqldb.Tx) error {
			close(held)
			<-let
			return nil
		})
	}()
	<-held
	caller := n.stage(t).dial("311")
	within(t, soon, func() error {
		if n.sip.Legs() == 0 {
			return errors.New("no call has come")
		}
		return nil
	})
	n.quit()
	within(t, soon, func() error {
		if n.readiness("draining") == nil {
			return errors.New("the node does not drain")
		}
		return nil
	})
	<-time.After(3 * drainPoll) // time enough to end too early
	close(let)
	must(t, <-committed)
	caller.answered().hangUp()
	n.stop()
	wantEnds(t, n.records("aspen"), []call.End{call.EndAbandoned})
}

// TestCallsOutliveTheAPI: a lost listener of the API ends the node, but not the calls in progress.
func TestCallsOutliveTheAPI(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.DrainTimeout = soon
	cfg.placeStores()
	n := openNode(t, cfg, nil).run()
	s := n.stage(t)
	s.agent("aspen-1", answers())
	talking := s.dial("311")
	talking.served()
	must(t, n.http.Close())
	within(t, soon, func() error {
		if n.readiness("draining") == nil {
			return errors.New("the loss was not seen")
		}
		return nil
	})
	talking.hears(880).hangUp()
	n.stopped = true
	select {
	case err := <-n.ended:
		if err == nil || !strings.Contains(err.Error(), "serve http") {
			t.Errorf("the node ended with %v", err)
		}
	case <-time.After(soon):
		t.Error("the node goes on without its API")
	}
	wantEnds(t, n.records("aspen"), []call.End{call.EndCallerHungUp})
	if n.said.faults() == 0 {
		t.Error("nobody was told")
	}
}

// TestADevelopmentServerEndsByItself: the phones beside a server end with it, also when nobody asked it to stop.
func TestADevelopmentServerEndsByItself(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.Cities[0].Agents[0].BuiltIn = true
	cfg.DrainTimeout = time.Second
	cfg.placeStores()
	n := openNode(t, cfg, nil)
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := serveCmd{SelfTest: "off"}.serve(n.ctx(), n.app, w)
		w.Close()
		ended <- err
	}()
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if lines.Text() == "ready" {
			must(t, n.admin.Close())
		}
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it ended without a reason")
		}
	case <-time.After(soon):
		t.Errorf("it hangs\n%s", n.stacks())
	}
}
