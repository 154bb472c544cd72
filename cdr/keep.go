package cdr

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// openQueue opens the file where writes wait.
func (s *Service) openQueue() error {
	aead, err := sealer(s.cfg.Key, "callhall cdr queue 1")
	if err != nil {
		return err
	}
	if s.queue, err = openQueue(s.cfg.QueuePath, s.cfg.Node, aead); err != nil {
		return err
	}
	if s.queue.cut > 0 {
		s.cfg.Log.Warn("an unfinished write was cut off the queue of records", "bytes", s.queue.cut)
	}
	s.figures.queued.Set(float64(s.queue.waiting()))
	return nil
}

// keep brings w to the database or, when that refuses or is behind, to the queue. Either way w is on disk on return.
func (s *Service) keep(ctx context.Context, w waiting) error {
	if w.Record.ID == "" || w.Record.City == "" {
		return ErrInvalid
	}
	if s.queue.waiting() == 0 {
		err := s.write(ctx, w)
		if err == nil || errors.Is(err, ErrClosed) {
			return err
		}
		s.cfg.Log.Warn("the database refused a record; it waits on disk", "call", w.Record.ID, "err", err)
	}
	if err := s.queue.append(w); err != nil {
		return fmt.Errorf("cdr: keep the record of call %s: %w", w.Record.ID, err)
	}
	s.figures.queued.Set(float64(s.queue.waiting()))
	s.stir()
	return nil
}

// write brings w to the database. A call that is over does not take its record with it: the caller's ctx cannot cut
// this short, only our own limit can.
func (s *Service) write(ctx context.Context, w waiting) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Wait)
	defer cancel()
	if w.Kind == waitsClose {
		return s.store.Put(ctx, normal(w.Record))
	}
	e, err := s.seal(w)
	if err != nil {
		return err
	}
	return s.store.PutOpen(ctx, e)
}

// stir tells Run that something waits.
func (s *Service) stir() {
	select {
	case s.stirred <- struct{}{}:
	default: // told already
	}
}

// Run brings what waits in the queue to the database until ctx ends.
func (s *Service) Run(ctx context.Context) {
	s.stir()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.stirred:
		}
		for s.Replay(ctx) != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(s.cfg.Retry):
			}
		}
	}
}

// Replay brings what waits in the queue to the database, in order, until one is refused. Doing one twice does no harm:
// the store takes the same record again and ignores the entry of a call that is closed.
func (s *Service) Replay(ctx context.Context) error {
	s.replaying.Lock()
	defer s.replaying.Unlock()
	defer func() { s.figures.queued.Set(float64(s.queue.waiting())) }()
	for {
		w, more, err := s.queue.next()
		if !more {
			return nil
		}
		if err == nil {
			err = s.write(ctx, w)
		}
		if err != nil && !s.lostFor(w, err) {
			return fmt.Errorf("cdr: replay call %s: %w", w.Record.ID, err)
		}
		if err := s.queue.take(); err != nil {
			return fmt.Errorf("cdr: replay: %w", err)
		}
	}
}

// lostFor tells whether err means that w can never be written, and says so to the operator.
func (s *Service) lostFor(w waiting, err error) bool {
	if !errors.Is(err, ErrClosed) && !errors.Is(err, errDamaged) {
		return false
	}
	s.cfg.Log.Error("a queued record was given up", "call", w.Record.ID, "err", err)
	return true
}
