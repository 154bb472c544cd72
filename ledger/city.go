package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/sumdb/tlog"
)

// maxBatch bounds one commit of one city, in leaves.
const maxBatch = 512

// A request is one leaf that waits to be written.
type request struct {
	entry
	taken atomic.Bool // by the sequencer, to write it, or by its ctx, to give it up
	done  chan error  // one slot
}

// cityLog is one log. Its one sequencer goroutine (run) gives leaves their places.
type cityLog struct {
	ledger *Ledger
	id     LogID

	mu     sync.Mutex // guards these
	queue  []*request
	closed bool
	frozen error
	wake   chan struct{} // one slot

	edge edge  // owned by run
	kept int64 // leaves that are durable for sure; owned by run
	lost bool  // the last commit failed: edge is read again first

	signing   sync.Mutex // guards these
	ring      ring
	signed    signedHead
	witnessed []byte // what the first witness had when the log was opened

	published atomic.Pointer[signedHead] // the last one that the first witness has
}

// read reads the head of a log and its keys and compares them with the last checkpoint that the first witness has.
func (l *Ledger) read(ctx context.Context, id LogID) (*cityLog, error) {
	c := &cityLog{ledger: l, id: id, wake: make(chan struct{}, 1)}
	size, err := l.store.Size(ctx, id)
	if err != nil {
		return nil, err
	}
	c.edge.size, c.kept = size, size
	if c.witnessed, err = l.witness.Last(ctx, id); err != nil {
		return nil, fmt.Errorf("ask the witness for its last checkpoint: %w", err)
	}
	marks, err := l.store.Marked(ctx, id)
	if err != nil {
		return nil, err
	}
	chain, _ := readChain(id, marks)
	if c.ring, err = openRing(l.keys, id, chain, size == 0 && c.witnessed == nil); err != nil {
		return nil, err
	}
	if err := l.lostSuccessor(ctx, id); err != nil {
		return c, err
	}
	if c.edge, err = readEdge(ctx, l.store, id, size); err != nil {
		return c, err
	}
	if c.witnessed == nil && size > 0 { // begin left one before the first leaf
		return c, fmt.Errorf("%w: there are %d leaves, and the witness's checkpoints are gone", ErrForked, size)
	}
	if err := c.compare(ctx, c.witnessed); err != nil {
		return c, err
	}
	return c, c.ring.whole()
}

// lostSuccessor looks for checkpoints of a log that should have taken this one's place. One over no leaves is of a
// succession that did not come to its end. Errors: ErrForked.
func (l *Ledger) lostSuccessor(ctx context.Context, id LogID) error {
	last, err := l.witness.Last(ctx, id.next())
	if err != nil {
		return fmt.Errorf("ask the witness for its last checkpoint of %s: %w", id.next(), err)
	}
	if h, err := unsigned(last); last != nil && (err != nil || h.size > 0) {
		return fmt.Errorf("%w: the witness has one of %s, which took its place and is not in the store", ErrForked, id.next())
	}
	return nil
}

// compare holds the log against the checkpoint that the first witness has, or nil. Errors: ErrForked, ErrDamaged.
func (c *cityLog) compare(ctx context.Context, checkpoint []byte) error {
	if checkpoint == nil {
		return nil
	}
	old, err := c.contains(ctx, checkpoint, c.ring.verifiers())
	if err != nil {
		return err
	}
	s := signedHead{head: old, text: checkpoint}
	c.signed = s
	c.published.Store(&s)
	return nil
}

// contains checks that the log is a continuation of one that a checkpoint covers. Errors: ErrForked, ErrDamaged.
func (c *cityLog) contains(ctx context.Context, checkpoint []byte, keys []string) (head, error) {
	old, err := openCheckpoint(checkpoint, c.id, keys...)
	if err != nil {
		return head{}, fmt.Errorf("%w: the witness's checkpoint cannot be read: %w", ErrForked, err)
	}
	size, err := c.ledger.store.Size(ctx, c.id)
	if err != nil {
		return head{}, err
	}
	if old.size > size {
		return head{}, fmt.Errorf("%w: it covered %d leaves, now there are %d", ErrForked, old.size, size)
	}
	root, err := tlog.TreeHash(old.size, c.reader(ctx))
	if err != nil {
		return head{}, err
	}
	if root != old.root {
		return head{}, fmt.Errorf("%w: the first %d leaves are not those that it covered", ErrForked, old.size)
	}
	return old, nil
}

// freeze stops the log: it takes no leaves and signs nothing any more.
func (c *cityLog) freeze(err error) {
	c.mu.Lock()
	first := c.frozen == nil
	if first {
		c.frozen = err
	}
	c.mu.Unlock()
	if first {
		c.ledger.cfg.Log.Error("ledger frozen: keep the store and the checkpoints as they are and find out who changed which",
			"city", c.id.City(), "log", c.id, "err", err)
	}
}

// why says why the log is frozen, or nil.
func (c *cityLog) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frozen
}

// add hands an entry to the sequencer and waits for its commit.
func (c *cityLog) add(ctx context.Context, e entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{entry: e, done: make(chan error, 1)}
	if err := c.push(r); err != nil {
		return err
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

func (c *cityLog) push(r *request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.frozen != nil {
		return c.frozen
	}
	if c.closed {
		return ErrClosed
	}
	c.queue = append(c.queue, r)
	c.signal()
	return nil
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
	if err := c.why(); err != nil {
		return err
	}
	if err := c.recover(ctx); err != nil {
		return err
	}
	b := Batch{From: c.edge.size, Bodies: make([]Body, len(batch))}
	for i, r := range batch {
		b.Bodies[i] = Body{Index: c.edge.size, Salt: r.salt, Text: r.body}
		if r.mark {
			b.Marks = append(b.Marks, c.edge.size)
		}
		c.edge.add(r.hash)
	}
	b.Tiles = c.edge.changed()
	if err := c.ledger.store.Append(ctx, c.id, b); err != nil {
		c.lost = true
		return err
	}
	c.edge.settle()
	c.kept = c.edge.size
	c.ledger.grew()
	return nil
}

// recover reads the edge again after a commit that failed.
func (c *cityLog) recover(ctx context.Context) error {
	if !c.lost {
		return nil
	}
	size, err := c.ledger.store.Size(ctx, c.id)
	if err != nil {
		return err
	}
	if size < c.kept {
		err := fmt.Errorf("%w: there were %d leaves, now there are %d", ErrForked, c.kept, size)
		c.freeze(err)
		return err
	}
	e, err := readEdge(ctx, c.ledger.store, c.id, size)
	if err != nil {
		return err
	}
	c.edge, c.kept, c.lost = e, size, false
	return nil
}

// reader reads any hash of the stored tree.
func (c *cityLog) reader(ctx context.Context) tlog.HashReader {
	return hashReader(func(level int, n int64) ([]byte, error) {
		return c.ledger.store.Tile(ctx, c.id, level, n)
	})
}

// readEdge reads the right-hand edge of a tree. Errors: ErrDamaged, when a tile is missing or short.
func readEdge(ctx context.Context, store Store, log LogID, size int64) (edge, error) {
	e := edge{size: size}
	for level, count := 0, size; count > 0; level, count = level+1, count/tileWidth {
		width := count % tileWidth
		if width == 0 {
			e.tails = append(e.tails, nil)
			continue
		}
		data, err := store.Tile(ctx, log, level, count/tileWidth)
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
