package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"callhall/call"
)

// kept is a recording that is over and whose bytes are in the spool until they are stored.
type kept struct {
	raw      rawID
	key      []byte
	openedAt place
	tail     place   // of its newest chunk
	chunks   uint32  // how many there are
	places   []place // of each, by number, after a restart; nil: they are found from tail backwards
	totals   totals
	found    bool        // finished after a crash
	gone     atomic.Bool // erased while it waited here

	mu     sync.Mutex // guards what follows
	entry  Entry
	sealed bool            // the catalogue has it
	bad    map[uint32]bool // chunks that cannot be read back
}

// over makes what the service keeps of a recording whose last chunk is on the disk.
func (l *live) over() *kept {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := &kept{raw: l.raw, key: l.key, openedAt: l.openedAt, tail: l.tail, chunks: l.chunks, totals: l.totals,
		entry: l.entry, bad: map[uint32]bool{}}
	l.pending = nil
	k.settle()
	return k
}

// settle fixes the end and with it the due time, once: to the arrival of the last kept frame, whenever that is known.
func (k *kept) settle() {
	k.entry.State = StateSealed
	k.entry.EndedAt = k.entry.StartedAt.Add(length(int64(k.totals.heard))).Truncate(time.Microsecond)
	k.entry.DueAt = k.entry.EndedAt.Add(Retention)
	k.entry.Samples = int64(k.totals.end)
	if k.totals.dropped > 0 {
		k.entry.Why = fmt.Sprintf("%d frames were lost because the disk stood still", k.totals.dropped)
	}
}

// snapshot is the entry as it stands.
func (k *kept) snapshot() Entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.entry
}

// closeTimeout is how long a call's end waits for a disk or catalogue that does not answer.
const closeTimeout = 10 * time.Second

// finish waits until the last chunk is on the disk and enters the end in the catalogue. A catalogue that cannot be
// reached is tried again before the upload: the recording is kept all the same.
func (s *Service) finish(ctx context.Context, l *live) (call.RecordingSummary, error) {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	select {
	case <-l.done:
	case <-s.stopped:
		if err := s.flush(); err != nil {
			return l.entry.failed(err), fmt.Errorf("recording %s: %w", l.entry.ID, err)
		}
		<-l.done
	case <-ctx.Done():
		return l.entry.failed(ctx.Err()), fmt.Errorf("recording %s: not yet on the disk: %w", l.entry.ID, ctx.Err())
	}
	if l.kept.empty() {
		return s.discard(l.kept), nil
	}
	if err := s.seal(ctx, l.kept); err != nil {
		s.log.Warn("recording is kept but not yet catalogued", "call", l.entry.Call, "recording", l.entry.ID, "err", err)
	}
	e := l.kept.snapshot()
	return e.summary(), nil
}

// empty tells whether nothing was kept: nobody was heard, or the call never came to a conversation.
func (k *kept) empty() bool { return k.totals.end == 0 && k.totals.dropped == 0 }

// discard leaves nothing of a recording in which nothing was kept.
func (s *Service) discard(k *kept) call.RecordingSummary {
	s.forget(k.raw)
	return call.RecordingSummary{State: call.RecordingNone, Why: "nothing was heard"}
}

// seal wraps the key for the minute in which the recording falls due and enters both in the catalogue, once.
func (s *Service) seal(ctx context.Context, k *kept) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sealed {
		return nil
	}
	e := &k.entry
	wrapped, err := s.ring.Wrap(ctx, e.City, dueMinute(e.DueAt), k.key, keyBinding(e.City, k.raw))
	if err != nil {
		return fmt.Errorf("seal %s: wrap its key: %w", e.ID, err)
	}
	e.Wrapped = wrapped
	if err := s.catalogue.Seal(ctx, *e); err != nil && !errors.Is(err, ErrErased) {
		return fmt.Errorf("seal %s: %w", e.ID, err)
	}
	k.sealed = true
	return nil
}

// manifest says what the object of k will hold.
func (k *kept) manifest() Manifest {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, t := &k.entry, &k.totals
	return Manifest{Version: 1, Call: e.Call, Node: e.Node, StartedAt: e.StartedAt, EndedAt: e.EndedAt, DueAt: e.DueAt,
		Notice: e.Notice, Samples: e.Samples, Gaps: t.gaps, Dropped: t.dropped, Damaged: uint32(len(k.bad)), Recovered: k.found,
		Channels: [2]Channel{newChannel("caller", t.sides[left]), newChannel("agent", t.sides[right])}}
}

// gather begins the object of k, read from the spool as it is asked for.
func (s *Service) gather(k *kept) (*gatherer, error) {
	next, err := s.chunks(k)
	if err != nil {
		return nil, err
	}
	e := k.snapshot()
	return newGatherer(e.City, k.raw, k.key, k.manifest(), next)
}

// chunks reads back the chunks of k in order, leaving out those that are known to be bad. One that turns out to be bad is
// noted and ends the reading with ErrDamaged: whoever begins again gets the rest, and the manifest says what is missing.
func (s *Service) chunks(k *kept) (chunkSource, error) {
	places, err := s.places(k)
	if err != nil {
		return nil, err
	}
	aead, err := derive(k.key, nil, useSpool)
	if err != nil {
		return nil, err
	}
	city := k.snapshot().City
	var body, plain []byte
	n := uint32(0)
	return func() ([]byte, error) {
		for n < k.chunks && k.isBad(n) {
			n++
		}
		if n == k.chunks {
			return nil, io.EOF
		}
		var c chunk
		body, c, err = s.chunkAt(places[n], k.raw, n, body)
		if err == nil {
			plain, err = openSpooled(aead, city, c, plain)
		}
		if errors.Is(err, ErrDamaged) {
			k.setBad(n)
		}
		n++
		return plain, err
	}, nil
}

// chunkAt reads the chunk that should stand at p.
func (s *Service) chunkAt(p place, id rawID, n uint32, buf []byte) ([]byte, chunk, error) {
	body, err := s.spool.read(p, buf)
	if err != nil {
		return buf, chunk{}, err
	}
	c, err := readChunk(body)
	if err == nil && (c.id != id || c.number != n) {
		err = fmt.Errorf("spool: another chunk stands in the place of %d: %w", n, ErrDamaged)
	}
	return body, c, err
}

// places finds the chunks of k: from its newest backwards, or where that chain is broken, by reading the segments.
func (s *Service) places(k *kept) ([]place, error) {
	if k.places != nil {
		return k.places, nil
	}
	places := make([]place, k.chunks)
	at := k.tail
	var buf []byte
	for n := int64(k.chunks) - 1; n >= 0; n-- {
		places[n] = at
		body, c, err := s.chunkAt(at, k.raw, uint32(n), buf)
		if errors.Is(err, ErrDamaged) {
			return s.search(k)
		}
		if err != nil {
			return nil, err
		}
		at, buf = c.prev, body
	}
	return places, nil
}

// search reads all segments that may hold chunks of k. Those it does not find are bad.
func (s *Service) search(k *kept) ([]place, error) {
	places := make([]place, k.chunks)
	for _, n := range s.spool.numbers(k.openedAt.segment) {
		_, err := s.spool.scan(n, func(p place, body []byte) error {
			if c, err := readChunk(body); err == nil && c.id == k.raw && c.number < k.chunks {
				places[c.number] = p
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrDamaged) {
			return nil, err
		}
	}
	for n, p := range places {
		if p == (place{}) {
			k.setBad(uint32(n))
		}
	}
	return places, nil
}

func (k *kept) isBad(n uint32) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.bad[n]
}

func (k *kept) setBad(n uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.bad[n] = true
	k.entry.Why = fmt.Sprintf("%d quarter seconds could not be read back from the spool", len(k.bad))
}
