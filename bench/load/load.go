// Package load drives a SIP server with many calls from one process: callers and agents, their signalling on one UDP
// socket a side, their RTP on one UDP socket a side in batches, so that the generator costs little beside what it
// measures. It knows nothing of Callhall but what any SIP registrar and queue would show it.
//
// It is a load, not a phone: it takes the first 200 of a forked call, does not follow a change of the server's RTP port
// during a call, and registers once (see Config.Expires).
package load

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Config says what to drive and how hard.
type Config struct {
	Server  netip.AddrPort // SIP over UDP, IPv4
	Domain  string         // of the agents' addresses; the server's address if empty
	To      string         // number to dial, "311"
	From    string         // user part of the callers' From
	Calls   int            // how many calls to place in all
	Rate    float64        // calls a second
	Ring    time.Duration  // how long an agent rings before answering; 0 answers at once, without ringing
	Hold    time.Duration  // from an agent's ACK until that agent hangs up; 0 holds until HangUpAll
	Callers time.Duration  // from the 200 until the caller hangs up, where the agents are not ours; 0 leaves it to the agents
	Media   bool           // send and measure RTP, 50 packets a second each way
	Agents  []Agent        // for Register; none where the server sends calls to AgentAddr by itself
	Expires time.Duration  // of the registrations, which are not refreshed; an hour if zero
}

// Agent is one account to register and to answer with.
type Agent struct{ User, Password string }

// Generator is a load in progress.
type Generator struct {
	cfg      Config
	run      string // in every Call-ID and branch: no two runs have the same
	callers  *side
	agents   *side
	media    *media
	ring     *line // agents' calls to answer
	hold     *line // agents' calls to hang up
	patience *line // callers' calls to hang up

	mu      sync.Mutex            // guards what follows, and what is in a dialog
	dialogs [2]map[string]*dialog // of each party, by Call-ID: a proxy gives both the same
	result  Result
	closed  bool
}

// Open opens the sockets; the load can be called from then on. The caller must Close it.
func Open(cfg Config) (*Generator, error) {
	if cfg.Expires == 0 {
		cfg.Expires = time.Hour
	}
	if cfg.Domain == "" {
		cfg.Domain = cfg.Server.Addr().String()
	}
	g := &Generator{cfg: cfg, run: rand.Text()[:8], dialogs: [2]map[string]*dialog{{}, {}}}
	g.ring = newLine(cfg.Ring, g.answerRinging)
	g.hold = newLine(cfg.Hold, func(callID string) { g.hangUp(agentSide, callID) })
	g.patience = newLine(cfg.Callers, func(callID string) { g.hangUp(callerSide, callID) })
	var err error
	if g.media, err = openMedia(cfg.Server.Addr()); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	if g.callers, err = openSide(cfg.Server, g.run, g.callerHears); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	if g.agents, err = openSide(cfg.Server, g.run, g.agentHears); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// Close stops everything and gives the sockets back. It hangs nothing up: see HangUpAll and Unregister. A second Close
// does nothing.
func (g *Generator) Close() error {
	g.mu.Lock()
	closed := g.closed
	g.closed = true
	g.mu.Unlock()
	if closed {
		return nil
	}
	for _, l := range []*line{g.ring, g.hold, g.patience} {
		l.close()
	}
	var err error
	for _, s := range []*side{g.callers, g.agents} {
		if s != nil {
			err = errors.Join(err, s.close())
		}
	}
	if g.media != nil {
		err = errors.Join(err, g.media.close())
	}
	return err
}

// AgentAddr is where the agents hear SIP.
func (g *Generator) AgentAddr() netip.AddrPort { return g.agents.addr() }

// Place places the calls at the rate and returns when the last INVITE is out or ctx ends.
func (g *Generator) Place(ctx context.Context) error {
	start := time.Now()
	for i := range g.cfg.Calls {
		due := start.Add(time.Duration(float64(i) / g.cfg.Rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		g.invite(i)
	}
	return nil
}

// HangUpAll ends every call from the callers' side, and gives up those that were not answered.
func (g *Generator) HangUpAll() {
	g.mu.Lock()
	ids := slices.Collect(maps.Keys(g.dialogs[callerSide]))
	g.mu.Unlock()
	for _, id := range ids {
		g.hangUp(callerSide, id)
	}
}

// Stream sends and measures the RTP of one call whose ports on the server are known, without any signalling.
func (g *Generator) Stream(callerPort, agentPort uint16) {
	host := g.cfg.Server.Addr()
	g.media.add(&stream{who: callerSide, to: netip.AddrPortFrom(host, callerPort)})
	g.media.add(&stream{who: agentSide, to: netip.AddrPortFrom(host, agentPort)})
}

// Direct is Stream without a server: the callers' socket sends to the agents' and back. What it measures is the
// generator's own delay.
func (g *Generator) Direct() {
	g.media.add(&stream{who: callerSide, to: g.media.addr(agentSide)})
	g.media.add(&stream{who: agentSide, to: g.media.addr(callerSide)})
}

// MediaPorts are the ports at which the callers and the agents hear.
func (g *Generator) MediaPorts() (callers, agents uint16) {
	return g.media.addr(callerSide).Port(), g.media.addr(agentSide).Port()
}

// wait waits until done says so of the result, or ctx ends.
func (g *Generator) wait(ctx context.Context, what string, done func(r Result) bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		g.mu.Lock()
		r := g.result
		g.mu.Unlock()
		if done(r) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (%s)", what, ctx.Err(), r)
		}
	}
}

// WaitConnected waits until n agents are connected, or ctx ends.
func (g *Generator) WaitConnected(ctx context.Context, n int) error {
	return g.wait(ctx, fmt.Sprintf("%d connected calls", n), func(r Result) bool { return r.Connected >= n })
}

// WaitOver waits until every call placed has ended, failed or been given up, or ctx ends.
func (g *Generator) WaitOver(ctx context.Context) error {
	return g.wait(ctx, "the end of all calls", func(r Result) bool { return r.Ended+r.Failed+r.GivenUp >= r.Placed })
}
