package recording

import (
	"context"
	"time"
)

// flushEvery is how long sound waits in memory: what a killed process loses at most, and the time of one sync.
const flushEvery = 250 * time.Millisecond

// mostSpare is the largest buffer that is kept for the next recording: one that grew while the disk stood still is let go.
const mostSpare = 32 << 10

// written is one chunk in the batch.
type written struct {
	live   *live
	offset uint32 // of its record in the batch
	opener uint32 // of its recording's opening record, when opens
	opens  bool
	last   bool
}

// flushLoop flushes four times a second until ctx ends, and once more then.
func (s *Service) flushLoop(ctx context.Context) {
	defer close(s.stopped)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-tick.C:
			failing = s.tellFlush(s.flush(), failing)
		case <-ctx.Done():
			s.tellFlush(s.flush(), failing)
			return
		}
	}
}

// tellFlush logs when flushing begins to fail and when it works again.
func (s *Service) tellFlush(err error, failing bool) bool {
	switch {
	case err != nil:
		s.meters.flushFailures.Inc()
		if !failing {
			s.log.Error("recordings cannot be written and wait in memory: look at the disk", "err", err)
		}
	case failing:
		s.log.Info("recordings are written again")
	}
	return err != nil
}

// flush seals what every recording has waiting and makes it durable with one write and one sync. A batch that could not
// be written is written again, byte for byte, before anything new: a chunk is sealed once.
func (s *Service) flush() error {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	if len(s.batch) == 0 {
		s.collect()
	}
	if len(s.batch) == 0 {
		return nil
	}
	began := time.Now()
	at, err := s.spool.append(s.batch)
	if err != nil {
		return err
	}
	s.meters.flushSeconds.Observe(time.Since(began).Seconds())
	s.meters.bytes.Add(float64(len(s.batch)))
	for _, w := range s.written {
		s.landed(w, at)
	}
	clear(s.written)
	s.batch, s.written = s.batch[:0], s.written[:0]
	return nil
}

// collect fills the batch.
func (s *Service) collect() {
	s.mu.Lock()
	s.round = s.round[:0]
	for _, l := range s.active {
		s.round = append(s.round, l)
	}
	s.mu.Unlock()
	for _, l := range s.round {
		if err := s.add(l); err != nil {
			s.log.Error("recording cannot be sealed", "call", l.entry.Call, "recording", l.entry.ID, "err", err)
		}
	}
	clear(s.round)
}

// add seals one recording's items into the batch.
func (s *Service) add(l *live) error {
	if cap(s.spare) == 0 {
		s.spare = make([]byte, 0, usualPending)
	}
	items, last, wanted := l.take(s.spare)
	if !wanted {
		return nil
	}
	s.spare = nil
	if cap(items) <= mostSpare {
		defer func() { clear(items); s.spare = items[:0] }()
	}
	w := written{live: l, last: last, opens: !l.opened}
	if w.opens {
		w.opener = uint32(len(s.batch))
		var err error
		if s.batch, err = l.opener.append(s.batch); err != nil {
			return err
		}
	}
	w.offset = uint32(len(s.batch))
	s.batch = l.seal(s.batch, items, last, &s.aad)
	s.written = append(s.written, w)
	return nil
}

// seal appends a chunk record with these items to b.
func (l *live) seal(b, items []byte, last bool, aad *[]byte) []byte {
	b, start := beginRecord(b)
	c := chunk{id: l.raw, number: l.chunks, last: last, prev: l.tail}
	b = c.appendHead(b)
	iv := nonce(kindSound, c.number)
	*aad = bind((*aad)[:0], useSpool, l.entry.City, l.raw, c.number, last)
	return endRecord(l.aead.Seal(b, iv[:], items, *aad), start)
}

// landed notes that a chunk is on the disk. The last one ends the recording's time among the active.
func (s *Service) landed(w written, at place) {
	l := w.live
	l.tail = place{at.segment, at.offset + w.offset}
	l.chunks++
	if w.opens {
		l.opened, l.openedAt = true, place{at.segment, at.offset + w.opener}
	}
	if !w.last {
		return
	}
	k := l.over()
	s.mu.Lock()
	delete(s.active, l.raw)
	if !k.empty() {
		s.kept[l.raw] = k
	}
	s.mu.Unlock()
	l.kept = k
	close(l.done)
	if !k.empty() {
		s.enqueue(k)
	}
}
