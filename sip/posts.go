package sip

import (
	"context"
	"fmt"
	"sync"
	"time"

	"callhall/call"
)

// posts sees that no agent is rung for two calls at once, whatever routing believes: a claim that lapsed unnoticed must
// not reach a phone.
type posts struct {
	mu  sync.Mutex
	all map[owner]post // one for each agent that was ever rung
}

// A post is what is known of one agent's claims.
type post struct {
	newest call.Fence
	busy   chan struct{} // closed when the agent's leg has ended; nil when there is none
}

func newPosts() *posts { return &posts{all: map[owner]post{}} }

// take gives the agent's post to o until release is called, which may be twice. Where another offer's leg is still there,
// it waits that long for it to go, for routing may be quicker than our hang-up. Errors: call.ErrStale, or ctx's.
func (p *posts) take(ctx context.Context, o call.Offer, wait time.Duration) (release func(), err error) {
	limit := time.NewTimer(wait)
	defer limit.Stop()
	for {
		release, busy, err := p.try(o)
		if busy == nil {
			return release, err
		}
		select {
		case <-busy:
		case <-limit.C:
			return nil, fmt.Errorf("the agent has a call: %w", call.ErrStale)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// try is take without waiting; busy is what to wait for.
func (p *posts) try(o call.Offer) (release func(), busy <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	who := owner{o.City, o.Agent}
	at := p.all[who]
	if o.Fence.Less(at.newest) {
		return nil, nil, fmt.Errorf("a newer offer came before: %w", call.ErrStale)
	}
	at.newest = o.Fence
	if at.busy != nil {
		p.all[who] = at
		return nil, at.busy, nil
	}
	at.busy = make(chan struct{})
	p.all[who] = at
	return sync.OnceFunc(func() { p.leave(who) }), nil, nil
}

func (p *posts) leave(who owner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.all[who]
	close(at.busy)
	at.busy = nil
	p.all[who] = at
}
