package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/sumdb/tlog"

	"callhall/call"
)

// maxBatch bounds one commit of one city, in leaves.
const maxBatch = 512

// A request is one leaf that waits to be written.
type request struct {
	entry
	taken atomic.Bool // by the sequencer, to write it, or by its ctx, to give it up
	done  chan error  // one slot
}

// cityLog is one city's log. Its one sequencer goroutine (run) gives leaves their places.
type cityLog struct {
	ledger *Ledger
	name   call.CityID
	key    Key
	frozen error // set once, before anybody else sees the log

	mu     sync.Mutex
	queue  []*request
	closed bool
	wake   chan struct{} // one slot

	edge edge  // owned by run
	kept int64 // leaves that are durable for sure; owned by run
	lost bool  // the last commit failed: edge is read again first

	signing sync.Mutex // guards signed
	signed  signedHead
}

// openCity reads the head of a city's log and compares it with the last checkpoint that the witness has.
func (l *Ledger) openCity(ctx context.Context, city call.CityID) (*cityLog, error) {
	c := &cityLog{ledger: l, name: city, wake: make(chan struct{}, 1)}
	size, err := l.store.Size(ctx, city)
	if err != nil {
		return nil, err
	}
	last, err := l.witness.Last(ctx, city)
	if err != nil {
		return nil, fmt.Errorf("ask the witness for its last checkpoint: %w", err)
	}
	if c.key, err = l.keys.Key(city, size == 0 && last == nil); err != nil {
		return nil, err
	}
	if c.edge, err = readEdge(ctx, l.store, city, size); err != nil {
		return c, err
	}
	c.kept = size
	if last == nil {
		if size > 0 {
			l.cfg.Log.Warn("ledger has leaves but the witness has no checkpoint: nothing to compare with", "city", city)
		}
		return c, nil
	}
	return c, c.compare(ctx, last)
}

// compare holds the log against an earlier checkpoint of ours. Errors: ErrForked.
func (c *cityLog) compare(ctx context.Context, checkpoint []byte) error {
	old, err := openCheckpoint(checkpoint, c.name, c.key.Verifier)
	if err != nil {
		return fmt.Errorf("%w: the witness's checkpoint cannot be read: %w", ErrForked, err)
	}
	if old.size > c.edge.size {
		return fmt.Errorf("%w: it covered %d leaves, now there are %d", ErrForked, old.size, c.edge.size)
	}
	root, err := tlog.TreeHash(old.size, c.reader(ctx))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if root != old.root {
		return fmt.Errorf("%w: the first %d leaves are not those that it covered", ErrForked, old.size)
	}
	c.signed = signedHead{size: old.size, text: checkpoint}
	return nil
}

// add hands an entry to the sequencer and waits for its commit.
func (c *cityLog) add(ctx context.Context, e entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{entry: e, done: make(chan error, 1)}
	if !c.push(r) {
		return ErrClosed
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		return <-r.done
	}
}

func (c *cityLog) push(r *request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.queue = append(c.queue, r)
	c.signal()
	return true
}

func (c *cityLog) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// close takes no more leaves; run ends when the queue is empty.
func (c *cityLog) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.signal()
}

// run is the sequencer: it alone gives leaves their places.
func (c *cityLog) run() {
	for range c.wake {
		for {
			batch, closed := c.take()
			if len(batch) == 0 {
				if closed {
					return
				}
				break
			}
			err := c.write(batch)
			for _, r := range batch {
				r.done <- err
			}
		}
	}
}

func (c *cityLog) take() (batch []*request, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(c.queue) && len(batch) < maxBatch {
		if r := c.queue[n]; r.taken.CompareAndSwap(false, true) {
			batch = append(batch, r)
		}
		n++
	}
	c.queue = append(c.queue[:0], c.queue[n:]...)
	clear(c.queue[len(c.queue):cap(c.queue)])
	return batch, c.closed
}

// write commits a batch. After a commit that failed nobody knows what the store kept, so the edge is read again before
// the next.
func (c *cityLog) write(batch []*request) error {
	ctx := context.Background()
	if err := c.recover(ctx); err != nil {
		return err
	}
	b := Batch{From: c.edge.size, Bodies: make([]Body, len(batch))}
	for i, r := range batch {
		b.Bodies[i] = Body{Index: c.edge.size, Salt: r.salt, Text: r.body}
		c.edge.add(r.hash)
	}
	b.Tiles = c.edge.changed()
	if err := c.ledger.store.Append(ctx, c.name, b); err != nil {
		c.lost = true
		return err
	}
	c.edge.settle()
	c.kept = c.edge.size
	return nil
}

// recover reads the edge again after a commit that failed.
func (c *cityLog) recover(ctx context.Context) error {
	if !c.lost {
		return nil
	}
	size, err := c.ledger.store.Size(ctx, c.name)
	if err != nil {
		return err
	}
	if size < c.kept {
		return fmt.Errorf("%w: there were %d leaves, now there are %d", ErrForked, c.kept, size)
	}
	e, err := readEdge(ctx, c.ledger.store, c.name, size)
	if err != nil {
		return err
	}
	c.edge, c.kept, c.lost = e, size, false
	return nil
}

// reader reads any hash of the stored tree.
func (c *cityLog) reader(ctx context.Context) tlog.HashReader {
	return hashReader(func(level int, n int64) ([]byte, error) {
		return c.ledger.store.Tile(ctx, c.name, level, n)
	})
}

// readEdge reads the right-hand edge of a tree. Errors: ErrDamaged, when a tile is missing or short.
func readEdge(ctx context.Context, store Store, city call.CityID, size int64) (edge, error) {
	e := edge{size: size}
	for level, count := 0, size; count > 0; level, count = level+1, count/tileWidth {
		width := count % tileWidth
		if width == 0 {
			e.tails = append(e.tails, nil)
			continue
		}
		data, err := store.Tile(ctx, city, level, count/tileWidth)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return edge{}, err
		}
		if int64(len(data)) != width*tlog.HashSize {
			return edge{}, fmt.Errorf("%w: tile %d/%d has %d bytes, want %d", ErrDamaged, level, count/tileWidth,
				len(data), width*tlog.HashSize)
		}
		e.tails = append(e.tails, data)
	}
	return e, nil
}
