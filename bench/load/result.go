package load

import (
	"fmt"
	"slices"
	"time"
)

// Result is what the two sides saw. Times are from the callers' view unless said otherwise.
type Result struct {
	Placed    int
	Answered  int // callers who got a 200
	Connected int // agents who answered and got their ACK
	Failed    int // refused, or no final answer
	GivenUp   int // taken back by HangUpAll before an answer
	Ended     int // callers' calls that were up and are over
	NoACK     int // agents' answers that nobody acknowledged
	NoBye     int // BYEs that nobody answered
	Resent    int // messages that we had to send again

	PostDial   []time.Duration // INVITE to the first ringing or answer
	Answer     []time.Duration // INVITE to 200
	Joined     []time.Duration // an agent's 200 to the server's ACK
	FirstSound []time.Duration // 200 to the first RTP packet heard, whoever's
	Offered    []time.Duration // a caller's INVITE to the INVITE of the agent who was joined with it; with Media only
	AgentSound []time.Duration // a caller's INVITE to the first packet of an agent's voice; with Media only

	// Packets since Measure. Lost is what is missing between a stream's first and last heard packet; Silent counts the
	// streams of which nothing was heard at all. Foreign packets are not from the far side: prompts, music, echoes.
	Sent, Heard, Lost, Foreign uint64
	Silent                     int
	Delay                      Delays // from our send call to the kernel's receive stamp at the far side
}

// String is the state of the calls in a line.
func (r Result) String() string {
	return fmt.Sprintf("placed %d, answered %d, connected %d, ended %d, given up %d, failed %d", r.Placed, r.Answered, r.Connected,
		r.Ended, r.GivenUp, r.Failed)
}

// Result is what has been seen so far.
func (g *Generator) Result() Result {
	g.mu.Lock()
	r := g.result
	r.PostDial, r.Answer, r.Joined = slices.Clone(r.PostDial), slices.Clone(r.Answer), slices.Clone(r.Joined)
	g.mu.Unlock()
	r.Resent = int(g.callers.resent.Load() + g.agents.resent.Load())
	g.media.report(&r)
	return r
}

// Measure forgets what the packets were like until now: a window begins.
func (g *Generator) Measure() { g.media.reset() }

// Percentile is the q-th part of ds, 0 of none. It leaves ds as it is.
func Percentile(ds []time.Duration, q float64) time.Duration {
	if len(ds) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(ds))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
