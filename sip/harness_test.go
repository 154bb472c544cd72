package sip

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"callhall/ani"
	"callhall/call"
	"callhall/media"
)

// patienceOfTests is how long a test waits for something that is to happen.
const patienceOfTests = 5 * time.Second

// A stage is a server with everything around it that a test needs: real sockets, real media, and in place of the
// call a script.
type stage struct {
	*Server
	t     *testing.T
	media *media.Engine
	board *scriptedBoard
	stop  func() // ends Run and waits for it
}

// scriptedBoard hands each call to the test, or to script where there is one.
type scriptedBoard struct {
	script atomic.Pointer[script]
	calls  chan *liveCall
}

// A script runs a call in the test's stead.
type script func(ctx context.Context, a call.Arrival) call.End

// play gives all calls from here on to f.
func (b *scriptedBoard) play(f script) { b.script.Store(&f) }

// A liveCall is a call that the test runs: the test stands where the call's goroutine would.
type liveCall struct {
	call.Arrival
	t    *testing.T
	in   *call.Inbox
	over chan struct{}
	once sync.Once
}

func (b *scriptedBoard) Take(ctx context.Context, a call.Arrival) call.End {
	if play := b.script.Load(); play != nil {
		return (*play)(ctx, a)
	}
	c := &liveCall{Arrival: a, in: call.NewInbox(), over: make(chan struct{})}
	a.Leg.Attach(c.in)
	b.calls <- c
	<-c.over
	c.in.Close()
	return call.EndCallerHungUp
}

// end lets Take return.
func (c *liveCall) end() { c.once.Do(func() { close(c.over) }) }

type oneEntry struct{}

func (oneEntry) Entry(_ call.TrunkID, dialled string) (Entry, error) {
	if dialled != "311" {
		return Entry{}, ErrUnknownEntry
	}
	return Entry{City: "demo", Number: "311", Queue: "general", Language: "en"}, nil
}

func (oneEntry) Own(call.TrunkID) []string { return []string{"311"} }

type noIdentity struct{}

func (noIdentity) Over(call.CityID, call.ID) {}

func (noIdentity) Capture(_ context.Context, in ani.Incoming) (ani.Caller, error) {
	return ani.Caller{Call: in.Call, Status: call.CallerPresent, Verstat: call.VerstatNone}, nil
}

type noAgents struct{}

func (noAgents) Credentials(string) (Agent, bool) { return Agent{}, false }

type noPresence struct{}

func (noPresence) Registered(context.Context, call.CityID, call.AgentID, time.Time) {}
func (noPresence) Unregistered(context.Context, call.CityID, call.AgentID, string)  {}

// wireTimers are those of RFC 3261, for peers that know no others.
var wireTimers = timers{t1: 500 * time.Millisecond, t2: 4 * time.Second, stray: 200 * time.Millisecond}

// testTimers make a lost ACK a matter of two seconds.
var testTimers = timers{t1: 30 * time.Millisecond, t2: 240 * time.Millisecond, stray: 200 * time.Millisecond}

func testLog(t *testing.T) *slog.Logger {
	if os.Getenv("SIP_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("test", t.Name())
}

// raise starts a server on free ports of loopback. adjust may change its configuration.
func raise(t *testing.T, adjust ...func(*Config, *Deps)) *stage {
	t.Helper()
	return raiseWith(t, testTimers, adjust...)
}

// raiseWith is raise with timers of the test's choice.
func raiseWith(t *testing.T, timers timers, adjust ...func(*Config, *Deps)) *stage {
	t.Helper()
	log := testLog(t)
	engine, err := media.Open(media.Config{Addr: netip.MustParseAddr("127.0.0.1"), PortMin: 30000, PortMax: 39998,
		Deaf: time.Millisecond, SilenceLimit: 50 * time.Millisecond, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	library, err := media.OpenLibrary("")
	if err != nil {
		t.Fatal(err)
	}
	board := &scriptedBoard{calls: make(chan *liveCall, 16)}
	cfg := Config{Listen: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"},
		Trunks: []Trunk{{ID: "carrier", Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Progress: true}}}
	deps := Deps{Log: log, Media: engine, Prompts: library, Entries: oneEntry{}, Identities: noIdentity{},
		Switchboard: board, Agents: noAgents{}, Presence: noPresence{}}
	for _, f := range adjust {
		f(&cfg, &deps)
	}
	s, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	s.timers = timers
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	st := &stage{Server: s, t: t, media: engine, board: board}
	st.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := engine.Close(); err != nil {
			t.Errorf("close media: %v", err)
		}
	})
	t.Cleanup(st.stop)
	eventually(t, func() string { // a listener that does not read yet cannot be called from
		conn, err := s.ua.TransportLayer().GetConnection("udp", st.addr("udp"))
		if err != nil {
			return "not listening"
		}
		conn.TryClose()
		return ""
	})
	return st
}

// addr is where the server listens on that network.
func (st *stage) addr(network string) string {
	for _, a := range st.Addrs() {
		if rest, ok := strings.CutPrefix(a, network+"://"); ok {
			return rest
		}
	}
	st.t.Fatalf("no %s listener", network)
	return ""
}

// call waits for the next call to reach the switchboard.
func (st *stage) call() *liveCall {
	st.t.Helper()
	select {
	case c := <-st.board.calls:
		c.t = st.t
		st.t.Cleanup(c.end)
		return c
	case <-time.After(patienceOfTests):
		st.t.Fatal("no call came")
		return nil
	}
}

// empty waits until the server has no leg and media no port.
func (st *stage) empty() {
	st.t.Helper()
	eventually(st.t, func() string {
		if legs, ports := st.Legs(), st.media.PortsLeased(); legs+ports > 0 {
			return fmt.Sprintf("%d legs and %d ports are left", legs, ports)
		}
		return ""
	})
}

// eventually waits until wrong finds nothing wrong.
func eventually(t *testing.T, wrong func() string) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patienceOfTests)
	for {
		last := wrong()
		if last == "" {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal(last)
		}
	}
}

// event waits for the call's next event, which must be of that type.
func event[E call.Event](c *liveCall) E {
	c.t.Helper()
	select {
	case ev := <-c.in.Events():
		e, ok := ev.(E)
		if !ok {
			c.t.Fatalf("event %T%+v, want %T", ev, ev, e)
		}
		return e
	case <-time.After(patienceOfTests):
		var e E
		c.t.Fatalf("no %T came", e)
		return e
	}
}

// quietNow fails when an event is waiting.
func (c *liveCall) quietNow() {
	c.t.Helper()
	select {
	case ev := <-c.in.Events():
		c.t.Fatalf("unexpected event %T%+v", ev, ev)
	default:
	}
}

// talk places a call and has it answered: the caller's dialog and the call.
func (st *stage) talk(w *wire) (*wireDialog, *liveCall) {
	st.t.Helper()
	d := w.ready()
	d.invite(pcmuOffer)
	c := st.call()
	if err := c.Leg.Answer(st.t.Context()); err != nil {
		st.t.Fatal(err)
	}
	d.accept(d.expect("SIP/2.0 200"), "")
	return d, c
}
