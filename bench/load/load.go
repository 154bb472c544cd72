// Package load drives a SIP server with many calls from one process: callers and agents, their signalling on one UDP
// socket a side, their RTP on one UDP socket a side in batches, so that the generator costs little beside what it
// measures. It knows nothing of Callhall but what any SIP registrar and queue would show it.
package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Config says what to drive and how hard.
type Config struct {
	Server  netip.AddrPort // SIP over UDP
	Domain  string         // of the agents' addresses; the server's address if empty
	To      string         // number to dial, "311"
	From    string         // user part of the callers' From
	Calls   int            // how many calls to place in all
	Rate    float64        // calls a second
	Hold    time.Duration  // from an agent's ACK until that agent hangs up; 0 holds until ctx ends
	Media   bool           // send and measure RTP, 50 packets a second each way
	Agents  []Agent        // registered before the first call; none where agents are elsewhere
	Expires time.Duration  // of the registrations; an hour if zero
}

// Agent is one account to register and to answer with.
type Agent struct{ User, Password string }

// Result is what the two sides saw. Times are from the callers' view unless said otherwise.
type Result struct {
	Placed      int
	Answered    int
	Connected   int // agents who answered and got their ACK
	Failed      int // refused, or no final answer within Timer B
	Ended       int // BYE answered or received
	Resent      int // requests we had to send again
	PostDial    []time.Duration
	Answer      []time.Duration // INVITE to 200
	FirstSound  []time.Duration // 200 to the first RTP packet heard
	Sent, Heard uint64          // RTP packets of ours sent, and heard at the far side
	Lost        uint64          // missing between a stream's first and last heard packet
	Foreign     uint64          // packets heard that were not ours: prompts and music
	Delay       Delays
}

// Generator is a load in progress.
type Generator struct {
	cfg     Config
	callers *side
	agents  *side
	media   *media
	dialogs calls

	mu     sync.Mutex // guards what follows
	result Result
}

// Start opens the sockets and registers the agents. The caller must Close it.
func Start(ctx context.Context, cfg Config) (*Generator, error) {
	if cfg.Expires == 0 {
		cfg.Expires = time.Hour
	}
	if cfg.Domain == "" {
		cfg.Domain = cfg.Server.Addr().String()
	}
	g := &Generator{cfg: cfg}
	var err error
	if g.media, err = openMedia(cfg.Server.Addr()); err != nil {
		return nil, err
	}
	if g.callers, err = openSide(cfg.Server, g.callerHears); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	if g.agents, err = openSide(cfg.Server, g.agentHears); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	if err := g.register(ctx); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// Close stops everything and gives the sockets back.
func (g *Generator) Close() error {
	var err error
	for _, s := range []*side{g.callers, g.agents} {
		if s != nil {
			err = errors.Join(err, s.close())
		}
	}
	return errors.Join(err, g.media.close())
}

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

// Result is what has been seen so far.
func (g *Generator) Result() Result {
	g.mu.Lock()
	r := g.result
	r.PostDial = append([]time.Duration(nil), r.PostDial...)
	r.Answer = append([]time.Duration(nil), r.Answer...)
	r.FirstSound = append([]time.Duration(nil), r.FirstSound...)
	g.mu.Unlock()
	r.Resent = int(g.callers.resent.Load() + g.agents.resent.Load())
	g.media.report(&r)
	return r
}

// Measure forgets what the packets were like until now: a window begins.
func (g *Generator) Measure() { g.media.reset() }

// WaitConnected waits until n agents are connected, or ctx ends.
func (g *Generator) WaitConnected(ctx context.Context, n int) error {
	return g.waitFor(ctx, fmt.Sprintf("%d connected calls", n), func(r *Result) bool { return r.Connected >= n })
}

// WaitOver waits until every call placed has ended or failed, or ctx ends.
func (g *Generator) WaitOver(ctx context.Context) error {
	return g.waitFor(ctx, "the end of all calls", func(r *Result) bool { return r.Ended+r.Failed >= r.Placed })
}

func (g *Generator) waitFor(ctx context.Context, what string, done func(*Result) bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		g.mu.Lock()
		ok := done(&g.result)
		r := g.result
		g.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (placed %d, answered %d, connected %d, ended %d, failed %d)", what, ctx.Err(),
				r.Placed, r.Answered, r.Connected, r.Ended, r.Failed)
		}
	}
}

// count changes the result under its lock.
func (g *Generator) count(f func(r *Result)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(&g.result)
}

// Stream sends and measures the RTP of one call whose ports on the server are known, without any signalling.
func (g *Generator) Stream(callID string, callerPort, agentPort uint16) {
	g.media.add(callerSide, callerPort, callID+"/caller", nil)
	g.media.add(agentSide, agentPort, callID+"/agent", nil)
}

// MediaPorts are the ports at which the callers and the agents hear.
func (g *Generator) MediaPorts() (callers, agents uint16) {
	return g.media.callerPort(), g.media.agentPort()
}
