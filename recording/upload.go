package recording

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"callhall/call"
)

// maxRetry is the longest wait between two tries of an upload.
const maxRetry = time.Minute

// line is the recordings of one city that wait for their upload. Each city has its own, and its own uploaders, so that a
// store that is away or slow holds up nobody else's.
type line struct {
	wake chan struct{} // one slot: there is something in waiting

	mu      sync.Mutex // guards what follows
	waiting []*kept    // longest first
}

func newLine() *line { return &line{wake: make(chan struct{}, 1)} }

// noStore is the line of the cities that have no store.
const noStore = call.CityID("")

// enqueue puts k in line for its upload.
func (s *Service) enqueue(k *kept) {
	l := s.lines[k.snapshot().City]
	if l == nil {
		l = s.lines[noStore]
	}
	l.mu.Lock()
	l.waiting = append(l.waiting, k)
	l.mu.Unlock()
	l.signal()
}

func (l *line) signal() {
	select {
	case l.wake <- struct{}{}:
	default: // somebody is about to look anyway
	}
}

// next waits for the next in line. nil: ctx has ended.
func (l *line) next(ctx context.Context) *kept {
	for {
		if k := l.first(); k != nil {
			return k
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

func (l *line) first() *kept {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		return nil
	}
	k := l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	if len(l.waiting) > 0 {
		l.signal()
	}
	return k
}

// uploadLoop stores one recording of a line after another until ctx ends. One that fails goes to the back of the line, and
// the longer nothing succeeds the longer the loop waits.
func (s *Service) uploadLoop(ctx context.Context, l *line) {
	wait := s.cfg.Retry
	for {
		k := l.next(ctx)
		if k == nil {
			return
		}
		err := s.store(ctx, k)
		if err == nil {
			wait = s.cfg.Retry
			continue
		}
		s.enqueue(k)
		if ctx.Err() != nil {
			return
		}
		s.meters.uploadFailures.Inc()
		e := k.snapshot()
		s.log.Warn("recording waits in the spool", "city", e.City, "recording", e.ID, "retry_in", wait, "err", err)
		if !pause(ctx, wait) {
			return
		}
		wait = min(2*wait, maxRetry)
	}
}

// pause waits for d, or reports false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// store brings one recording from the spool to the object store. The spool gives it up only when the store has shown
// that what it holds opens with the key that the catalogue has.
func (s *Service) store(ctx context.Context, k *kept) error {
	if err := s.seal(ctx, k); err != nil {
		return err
	}
	e := k.snapshot()
	if k.gone.Load() {
		return s.eraseLate(ctx, e)
	}
	if err := s.playable(e); err != nil { // by one of the clocks: the eraser decides, until then it waits here
		return fmt.Errorf("store %s: %w", e.ID, err)
	}
	g, err := s.gather(k)
	if err != nil {
		return fmt.Errorf("store %s: %w", e.ID, err)
	}
	objects, err := s.storeOf(e.City)
	if err != nil {
		return fmt.Errorf("store %s: %w", e.ID, err)
	}
	if err := objects.Put(ctx, ObjectName(e.ID), g.size, g); err != nil {
		return fmt.Errorf("store %s: %w", e.ID, err)
	}
	err = s.verify(ctx, objects, e, g.size)
	if err == nil {
		err = s.catalogue.Store(ctx, e.City, e.ID, objects.Place(), g.size)
	}
	switch {
	case err == nil:
		s.forget(k.raw)
		return nil
	case k.gone.Load():
		return s.eraseLate(ctx, e)
	}
	return fmt.Errorf("store %s: what the store holds: %w", e.ID, err)
}

// eraseLate removes what an upload may have left of a recording that was erased while it was on its way.
func (s *Service) eraseLate(ctx context.Context, e Entry) error {
	objects, err := s.storeOf(e.City)
	if err == nil {
		_, err = objects.Erase(ctx, ObjectName(e.ID))
	}
	if err != nil {
		return fmt.Errorf("store %s: erased meanwhile, and not removed: %w", e.ID, err)
	}
	return nil
}

// verify looks at the stored object on the road that a listener takes: its length, then, with the key as the ring opens
// it, header, manifest and last second.
func (s *Service) verify(ctx context.Context, objects Objects, e Entry, size int64) error {
	info, err := objects.Stat(ctx, ObjectName(e.ID))
	if err != nil {
		return err
	}
	if info.Size != size {
		return fmt.Errorf("%d bytes instead of %d: %w", info.Size, size, ErrDamaged)
	}
	p, err := s.openStored(ctx, e)
	if err != nil {
		return err
	}
	defer p.Close()
	if p.Size() == wavHeader {
		return nil
	}
	if _, err := p.Seek(-1, io.SeekEnd); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, p)
	return err
}

// forget lets go of what is stored or erased: the spool's segments may go.
func (s *Service) forget(id rawID) {
	s.mu.Lock()
	delete(s.kept, id)
	s.mu.Unlock()
	if err := s.spool.release(id); err != nil {
		s.log.Warn("a segment of the spool could not be removed", "err", err)
	}
}
