package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"callhall/call"
)

// Open opens a recording for reading. ctx holds for as long as it is read; the caller closes it. Errors: ErrNotFound,
// ErrErased, ErrInProgress, ErrDamaged, ErrElsewhere.
func (s *Service) Open(ctx context.Context, city call.CityID, id call.RecordingID) (*Playback, error) {
	e, k, err := s.lookup(ctx, city, id)
	if err != nil {
		return nil, err
	}
	if err := s.playable(e); err != nil {
		return nil, fmt.Errorf("recording %s: %w", id, err)
	}
	var p *Playback
	if k != nil {
		p, err = s.openKept(ctx, k)
		if !s.isKept(k) { // stored meanwhile: its chunks may have gone from the spool while they were read
			if err == nil {
				err = p.Close()
			}
			return s.openAgain(ctx, city, id, err)
		}
	} else {
		p, err = s.openStored(ctx, e)
	}
	if err != nil {
		return nil, fmt.Errorf("recording %s: %w", id, err)
	}
	return p, nil
}

// isKept tells whether the spool still has all of k.
func (s *Service) isKept(k *kept) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[k.raw] == k
}

// openAgain opens from the object store what was in the spool a moment ago. why is what reading it there came to, told
// only where there is nothing stored either: the recording was erased meanwhile.
func (s *Service) openAgain(ctx context.Context, city call.CityID, id call.RecordingID, why error) (*Playback, error) {
	e, k, err := s.lookup(ctx, city, id)
	if err == nil {
		err = s.playable(e)
	}
	if err != nil || k != nil {
		return nil, fmt.Errorf("recording %s: %w", id, errors.Join(err, why))
	}
	p, err := s.openStored(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("recording %s: %w", id, err)
	}
	return p, nil
}

// Play is Open for a person: the ledger has who listened and why before the first byte leaves. Errors: also the
// ledger's.
func (s *Service) Play(ctx context.Context, city call.CityID, id call.RecordingID, actor, reason string) (*Playback, error) {
	p, err := s.Open(ctx, city, id)
	if err != nil {
		return nil, err
	}
	m := p.Manifest()
	leaf := call.Leaf{Kind: "recording.played/1", At: s.clock.Now(), Call: m.Call, Actor: actor, Facts: map[string]string{
		"recording": string(id), "reason": reason, "due_at": stamp(p.due)}}
	if err := s.ledger.Append(ctx, city, leaf); err != nil {
		return nil, errors.Join(fmt.Errorf("recording %s: not played, for the ledger did not take it: %w", id, err), p.Close())
	}
	return p, nil
}

// openStored opens what is in the object store.
func (s *Service) openStored(ctx context.Context, e Entry) (*Playback, error) {
	objects, err := s.homeOf(e)
	if err != nil {
		return nil, err
	}
	raw, err := parseID(e.ID)
	if err != nil {
		return nil, err
	}
	key, err := s.ring.Unwrap(ctx, e.City, dueMinute(e.DueAt), e.Wrapped, keyBinding(e.City, raw))
	if errors.Is(err, ErrNoKey) {
		return nil, fmt.Errorf("its key does not open: %w: %w", ErrDamaged, err)
	}
	if err != nil {
		return nil, err
	}
	name := ObjectName(e.ID)
	p, err := openPlayback(ctx, e.City, raw, key, func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
		r, err := objects.Get(ctx, name, off, n)
		if errors.Is(err, ErrNoObject) {
			return nil, fmt.Errorf("the store has lost it: %w: %w", ErrDamaged, err)
		}
		return r, err
	})
	if err != nil {
		return nil, err
	}
	p.due, p.clock = e.DueAt, s.clock
	return p, nil
}

// openKept gathers a recording that is still in the spool into a file without a name: sealed, as it will be stored.
func (s *Service) openKept(ctx context.Context, k *kept) (*Playback, error) {
	f, err := s.gatherFile(k)
	if err != nil {
		return nil, err
	}
	e := k.snapshot()
	p, err := openPlayback(ctx, e.City, k.raw, k.key, func(_ context.Context, off, n int64) (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(f, off, n)), nil
	})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	p.due, p.clock, p.close = e.DueAt, s.clock, f.Close
	return p, nil
}

// gatherFile writes the object of k to a file that is gone when it is closed. Chunks that turn out to be bad while it
// is written are left out at the next try.
func (s *Service) gatherFile(k *kept) (*os.File, error) {
	f, err := os.CreateTemp(filepath.Join(s.cfg.Dir, "spool"), "play-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	for tries := uint32(0); ; tries++ {
		err := s.gatherInto(f, k)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, ErrDamaged) || tries > k.chunks {
			return nil, errors.Join(err, f.Close())
		}
	}
}

func (s *Service) gatherInto(f *os.File, k *kept) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	g, err := s.gather(k)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.NewOffsetWriter(f, 0), g)
	return err
}

// stamp is a time as leaves write it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
