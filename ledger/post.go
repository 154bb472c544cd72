package ledger

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// meeting is how long Open waits for the witnesses besides the first one.
	meeting = 3 * time.Second
	// patience is how long one of them may take for one request.
	patience = 10 * time.Second
	// longestRetry bounds the pause after a failure, which begins at a second and doubles.
	longestRetry = time.Minute
)

// A post brings checkpoints to one witness besides the first. It brings the newest there is: one that is slow misses some
// in between, and has what they covered with the next.
type post struct {
	ledger  *Ledger
	witness Witness
	wake    chan struct{} // one slot

	met  map[LogID]bool  // its last checkpoint is compared; owned by run
	sent map[LogID]int64 // sizes that it has; owned by run
}

// meet asks each further witness for its last checkpoints, so that a fork is found before leaves are taken. One that does
// not answer in time is asked again by its post.
func (l *Ledger) meet(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, meeting)
	defer cancel()
	var all sync.WaitGroup
	for _, w := range l.cfg.Witnesses {
		p := &post{ledger: l, witness: w, wake: make(chan struct{}, 1), met: map[LogID]bool{}, sent: map[LogID]int64{}}
		l.posts = append(l.posts, p)
		all.Go(func() {
			if !p.round(ctx) {
				p.signal()
			}
		})
	}
	all.Wait()
}

// tell wakes every post: there is a new checkpoint.
func (l *Ledger) tell() {
	for _, p := range l.posts {
		p.signal()
	}
}

func (p *post) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run delivers until ctx ends.
func (p *post) run(ctx context.Context) {
	pause := time.Second
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		if p.round(ctx) {
			pause = time.Second
			continue
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		pause = min(2*pause, longestRetry)
		p.signal()
	}
}

// last brings what is left when the ledger closes.
func (p *post) last(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, meeting)
	defer cancel()
	p.round(ctx)
}

// round brings every log's newest checkpoint and reports whether the witness has them all.
func (p *post) round(ctx context.Context) bool {
	all := true
	for _, c := range p.ledger.current() {
		if c.why() != nil {
			continue
		}
		err := p.deliver(ctx, c)
		if err == nil {
			continue
		}
		if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return false
		}
		p.ledger.metrics.failures.WithLabelValues(p.witness.Kind()).Inc()
		if frozen(err) {
			c.freeze(err)
			continue
		}
		all = false
		p.ledger.cfg.Log.Error("checkpoint not left with a witness; it is tried again", "log", c.id, "witness", p.witness.Kind(), "err", err)
	}
	return all
}

// deliver compares the log with what the witness has, the first time, and brings what it has not.
func (p *post) deliver(ctx context.Context, c *cityLog) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := p.compare(ctx, c); err != nil {
		return err
	}
	s := c.published.Load()
	if s == nil || s.size <= p.sent[c.id] {
		return nil
	}
	if err := p.witness.Drop(ctx, c.dropped(*s)); err != nil {
		return err
	}
	p.sent[c.id] = s.size
	return nil
}

func (p *post) compare(ctx context.Context, c *cityLog) error {
	if p.met[c.id] {
		return nil
	}
	last, err := p.witness.Last(ctx, c.id)
	if err != nil {
		return err
	}
	if last != nil {
		h, err := c.contains(ctx, last, c.verifiers())
		if err != nil {
			return err
		}
		p.sent[c.id] = h.size
	}
	p.met[c.id] = true
	return nil
}
