package recording

import (
	"context"
	"errors"
	"fmt"
)

// sweepLoop sweeps at once and then at intervals until ctx ends.
func (s *Service) sweepLoop(ctx context.Context) {
	for {
		if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("object store could not be searched for remains", "err", err)
		}
		if !pause(ctx, s.cfg.SweepEvery) {
			return
		}
	}
}

// Swept says what a sweep found.
type Swept struct {
	Returned int // objects of erased recordings, erased again
	Orphans  int // objects that no recording is known for: left alone, and counted
}

// Sweep searches the object store for what should not be there. An object that came back, or came late, after its
// recording was erased is erased again and the ledger says so.
func (s *Service) Sweep(ctx context.Context) (swept Swept, err error) {
	for object, err := range s.objects.List(ctx) {
		if err != nil {
			return swept, fmt.Errorf("sweep: %w", err)
		}
		id, ours := IDOfObject(object.Name)
		if !ours {
			swept.Orphans++
			continue
		}
		e, err := s.catalogue.Find(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
			swept.Orphans++
		case err != nil:
			return swept, fmt.Errorf("sweep: %w", err)
		case e.State == StateErased:
			if err := s.eraseAgain(ctx, e); err != nil {
				return swept, fmt.Errorf("sweep: %w", err)
			}
			swept.Returned++
		}
	}
	s.meters.orphans.Set(float64(swept.Orphans))
	return swept, nil
}

// eraseAgain removes what came back after its recording was buried.
func (s *Service) eraseAgain(ctx context.Context, e Entry) error {
	name := ObjectName(e.ID)
	gone, err := s.objects.Erase(ctx, name)
	if err != nil || gone == (Erased{}) {
		return err
	}
	if err := s.readBack(ctx, name); err != nil {
		return fmt.Errorf("erase %s again: read back: %w", e.ID, err)
	}
	s.log.Warn("an erased recording had come back and was erased again", "recording", e.ID, "versions", gone.Versions)
	return s.ledger.Append(ctx, e.City, s.certificate(e, gone, s.clock.Now(), "returned after erasure"))
}
