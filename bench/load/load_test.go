package load

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// exchange stands in for a server: it hands what the callers say to the agents and back, and may lose some of it.
type exchange struct {
	t    *testing.T
	conn *net.UDPConn
	lose func(m message) bool // asked from one goroutine

	mu     sync.Mutex
	agents netip.AddrPort
	caller netip.AddrPort
}

func openExchange(t *testing.T, lose func(m message) bool) *exchange {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	x := &exchange{t: t, conn: conn, lose: lose}
	var loop sync.WaitGroup
	loop.Go(x.run)
	t.Cleanup(func() { conn.Close(); loop.Wait() })
	return x
}

func (x *exchange) addr() netip.AddrPort {
	return unmapped(x.conn.LocalAddr().(*net.UDPAddr).AddrPort())
}

func (x *exchange) run() {
	buf := make([]byte, 65535)
	for {
		n, from, err := x.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		m, ok := parse(buf[:n])
		if !ok {
			x.t.Errorf("unreadable message:\n%s", buf[:n])
			continue
		}
		if x.lose != nil && x.lose(m) {
			continue
		}
		x.mu.Lock()
		to := x.agents
		if from == x.agents {
			to = x.caller
		} else {
			x.caller = from
		}
		x.mu.Unlock()
		x.conn.WriteToUDPAddrPort(buf[:n], to)
	}
}

// start opens a generator toward the exchange; it is closed at the end of the test, and nothing of it is left.
func (x *exchange) start(cfg Config) *Generator {
	x.t.Helper()
	cfg.Server, cfg.To, cfg.From = x.addr(), "311", "+12125550142"
	g, err := Open(cfg)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() {
		if err := g.Close(); err != nil {
			x.t.Error(err)
		}
	})
	x.mu.Lock()
	x.agents = g.AgentAddr()
	x.mu.Unlock()
	return g
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCallsWithSound(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("calls", func(t *testing.T) {
		x := openExchange(t, nil)
		g := x.start(Config{Calls: 5, Rate: 100, Media: true})
		ctx := within(t, 20*time.Second)
		check(t, g.Place(ctx))
		check(t, g.WaitConnected(ctx, 5))
		g.Measure()
		check(t, g.wait(ctx, "sound", func(Result) bool { return g.Result().Heard >= 100 }))
		r := g.Result()
		if r.Lost != 0 || r.Silent != 0 || r.Foreign != 0 || r.Delay.P50 <= 0 || r.Delay.P50 > 100*time.Millisecond {
			t.Errorf("lost %d, silent %d, foreign %d, delay %v", r.Lost, r.Silent, r.Foreign, r.Delay)
		}
		if len(r.FirstSound) == 0 || len(r.AgentSound) == 0 || len(r.Offered) == 0 {
			t.Errorf("times: first sound %v, agent's %v, offered %v", r.FirstSound, r.AgentSound, r.Offered)
		}
		g.HangUpAll()
		check(t, g.WaitOver(ctx))
		if r := g.Result(); r.Ended != 5 || r.Failed != 0 || len(r.PostDial) != 5 || len(r.Joined) != 5 || r.Resent != 0 {
			t.Errorf("result %v, %d post-dial delays, %d joined, %d sent again", r, len(r.PostDial), len(r.Joined), r.Resent)
		}
	})
}

// TestEveryMessageLostOnce: each message of a call is sent again until it arrives, and the call is counted once.
func TestEveryMessageLostOnce(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	x := openExchange(t, func(m message) bool {
		id := m.callID() + " " + m.start[:min(11, len(m.start))] + " " + m.method()
		again := seen[id]
		seen[id] = true
		return !again
	})
	g := x.start(Config{Calls: 3, Rate: 100, Ring: 10 * time.Millisecond, Hold: 20 * time.Millisecond})
	ctx := within(t, 30*time.Second)
	check(t, g.Place(ctx))
	check(t, g.WaitOver(ctx))
	if r := g.Result(); r.Connected != 3 || r.Ended != 3 || r.Failed != 0 || r.NoACK != 0 || r.Resent < 9 {
		t.Errorf("result %v, %d not acknowledged, %d sent again", r, r.NoACK, r.Resent)
	}
}

// TestCancel: a call given up while the agent rings is answered with 487, acknowledged and counted as given up; the
// agent does not answer it any more.
func TestCancel(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var said []string
	x := openExchange(t, func(m message) bool {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, m.method()+" "+strings.Join(strings.Fields(m.start)[1:2], ""))
		return false
	})
	g := x.start(Config{Calls: 1, Rate: 1, Ring: time.Hour})
	ctx := within(t, 20*time.Second)
	check(t, g.Place(ctx))
	check(t, g.wait(ctx, "ringing", func(Result) bool { return len(g.Result().PostDial) == 1 }))
	g.HangUpAll()
	check(t, g.WaitOver(ctx))
	if r := g.Result(); r.GivenUp != 1 || r.Failed+r.Ended+r.Connected != 0 {
		t.Errorf("result %v", r)
	}
	mu.Lock()
	defer mu.Unlock()
	all := strings.Join(said, ", ")
	if !strings.Contains(all, "INVITE 487") || !strings.Contains(all, "CANCEL 200") {
		t.Errorf("said: %s", all)
	}
}

// TestCancelCrossesAnswer: a CANCEL that comes after the 200 changes nothing, and the call is ended with BYE.
func TestCancelCrossesAnswer(t *testing.T) {
	t.Parallel()
	var held sync.Once
	answers := 0
	gone := make(chan struct{})
	x := openExchange(t, func(m message) bool {
		if m.method() == "INVITE" && m.status() == 200 {
			answers++
			return answers == 1 // the first is lost, so that the CANCEL comes before the second
		}
		if m.status() == 180 {
			held.Do(func() { close(gone) })
		}
		return false
	})
	g := x.start(Config{Calls: 1, Rate: 1, Ring: 50 * time.Millisecond})
	ctx := within(t, 20*time.Second)
	check(t, g.Place(ctx))
	select {
	case <-gone:
	case <-ctx.Done():
		t.Fatal("never rang")
	}
	check(t, g.wait(ctx, "agent's answer", func(Result) bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, d := range g.dialogs[agentSide] {
			return d.phase == answered
		}
		return false
	}))
	g.HangUpAll()
	check(t, g.WaitOver(ctx))
	if r := g.Result(); r.Ended != 1 || r.GivenUp != 0 || r.Failed != 0 {
		t.Errorf("result %v", r)
	}
}

// TestCloseInTheMiddle: nothing runs on after Close, whatever the calls were at.
func TestCloseInTheMiddle(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("calls", func(t *testing.T) {
		x := openExchange(t, nil)
		g := x.start(Config{Calls: 3, Rate: 100, Hold: time.Hour, Media: true})
		ctx := within(t, 20*time.Second)
		check(t, g.Place(ctx))
		check(t, g.WaitConnected(ctx, 1))
		check(t, g.Close())
		check(t, g.Close())
	})
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	g, err := Open(Config{Server: netip.MustParseAddrPort("127.0.0.1:9"), Agents: []Agent{{User: "a", Password: "b"}}})
	check(t, err)
	defer g.Close()
	if err := g.Register(within(t, 100*time.Millisecond)); err == nil {
		t.Error("registered where nobody listens")
	}
}

func TestDirect(t *testing.T) {
	t.Parallel()
	g, err := Open(Config{Server: netip.MustParseAddrPort("127.0.0.1:9"), Media: true})
	check(t, err)
	defer g.Close()
	for range 10 {
		g.Direct()
	}
	ctx := within(t, 20*time.Second)
	check(t, g.wait(ctx, "sound", func(Result) bool { return g.Result().Heard >= 200 }))
	if r := g.Result(); r.Silent != 0 || r.Lost != 0 || r.Heard > r.Sent+2*sendBatch { // a batch may be heard before it is counted
		t.Errorf("sent %d, heard %d, lost %d, silent %d", r.Sent, r.Heard, r.Lost, r.Silent)
	}
}
