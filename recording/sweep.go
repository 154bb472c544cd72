package recording

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// Sweep searches the object stores for what should not be there. An object that came back, or came late, after its
// recording was erased is erased again and the ledger says so.
func (s *Service) Sweep(ctx context.Context) (Swept, error) {
	var swept Swept
	var errs []error
	searched := map[Objects]bool{} // cities may share a store
	for _, city := range slices.Sorted(maps.Keys(s.stores)) {
		objects := s.stores[city]
		if searched[objects] {
			continue
		}
		searched[objects] = true
		if err := s.sweepStore(ctx, objects, &swept); err != nil {
			errs = append(errs, fmt.Errorf("sweep the store of %s: %w", city, err)) // the others are searched all the same
		}
	}
	s.meters.orphans.Set(float64(swept.Orphans))
	return swept, errors.Join(errs...)
}

func (s *Service) sweepStore(ctx context.Context, objects Objects, swept *Swept) error {
	for object, err := range objects.List(ctx) {
		if err != nil {
			return err
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
			return err
		case e.State == StateErased:
			if err := s.eraseAgain(ctx, objects, e); err != nil {
				return err
			}
			swept.Returned++
		}
	}
	return nil
}

// eraseAgain removes what came back after its recording was buried.
func (s *Service) eraseAgain(ctx context.Context, objects Objects, e Entry) error {
	name := ObjectName(e.ID)
	gone, err := objects.Erase(ctx, name)
	if err != nil || gone == (Erased{}) {
		return err
	}
	if err := readBack(ctx, objects, name); err != nil {
		return fmt.Errorf("erase %s again: read back: %w", e.ID, err)
	}
	s.log.Warn("an erased recording had come back and was erased again", "recording", e.ID, "versions", gone.Versions)
	return s.ledger.Append(ctx, e.City, s.certificate(e, objects, gone, s.clock.Now(), "returned after erasure"))
}
