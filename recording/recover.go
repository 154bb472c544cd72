package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"callhall/call"
)

// Recovered is a recording that a crash had left open, finished now: its call's record can be told.
type Recovered struct {
	City    call.CityID
	Call    call.ID
	Summary call.RecordingSummary
}

// remains is what the segments hold of one recording.
type remains struct {
	opener   *opener
	openedAt place
	places   []place
	last     bool
}

// Recover reads the spool of an earlier run. Recordings that were open are finished as of their last kept frame, and
// everything that was not yet stored is in line for its upload when Run begins. It is called once, before Start and Run.
// Errors: the disk's and the catalogue's; the service must then not be used.
func (s *Service) Recover(ctx context.Context) ([]Recovered, error) {
	if err := s.clearPlays(); err != nil {
		return nil, fmt.Errorf("recover: %w", err)
	}
	found, err := s.survey()
	if err != nil {
		return nil, fmt.Errorf("recover: read the spool: %w", err)
	}
	var done []Recovered
	for _, id := range slices.SortedFunc(maps.Keys(found), func(a, b rawID) int { return slices.Compare(a[:], b[:]) }) {
		k, open, err := s.revive(ctx, id, found[id])
		if err != nil {
			return done, fmt.Errorf("recover %s: %w", id.ID(), err)
		}
		if k == nil {
			continue
		}
		s.readopt(k)
		if err := s.seal(ctx, k); err != nil {
			return done, fmt.Errorf("recover: %w", err)
		}
		if open {
			done = append(done, Recovered{City: k.entry.City, Call: k.entry.Call, Summary: k.entry.summary()})
		}
	}
	if err := s.tellLost(ctx); err != nil {
		return done, fmt.Errorf("recover: %w", err)
	}
	return done, s.spool.release(unread)
}

// clearPlays removes what a listener's file may have left in the moment before it lost its name.
func (s *Service) clearPlays() error {
	plays, err := filepath.Glob(filepath.Join(s.cfg.Dir, "spool", "play-*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range plays {
		errs = append(errs, os.Remove(p))
	}
	return errors.Join(errs...)
}

// survey reads every segment and says what there is of whom.
func (s *Service) survey() (map[rawID]*remains, error) {
	found := map[rawID]*remains{}
	of := func(id rawID) *remains {
		if found[id] == nil {
			found[id] = &remains{}
		}
		return found[id]
	}
	for _, n := range s.spool.numbers(0) {
		damaged, err := s.spool.scan(n, func(p place, body []byte) error {
			switch body[0] {
			case recordOpener:
				if o, err := readOpener(body); err == nil {
					r := of(o.ID)
					r.opener, r.openedAt = &o, p
				}
			case recordChunk:
				if c, err := readChunk(body); err == nil {
					of(c.id).note(c, p)
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrDamaged) {
			return nil, err
		}
		if damaged > 0 || err != nil {
			s.log.Error("spool segment is damaged; what it held is missing from its recordings", "segment", n, "records", damaged, "err", err)
		}
	}
	return found, nil
}

// mostChunks bounds a chunk's number: a day of quarter seconds, and room.
const mostChunks = 24 * 3600 * 5

func (r *remains) note(c chunk, p place) {
	if c.number >= mostChunks {
		return
	}
	for uint32(len(r.places)) <= c.number {
		r.places = append(r.places, place{})
	}
	r.places[c.number] = p
	r.last = r.last || c.last
}

// revive makes of what the spool holds a recording that waits for its upload. nil: it needs none. open tells whether the
// crash had left it open.
func (s *Service) revive(ctx context.Context, id rawID, r *remains) (k *kept, open bool, err error) {
	if r.opener == nil {
		s.log.Error("the spool holds sound without the record that opens it", "recording", id.ID(), "chunks", len(r.places))
		return nil, false, nil
	}
	e, err := s.catalogue.Get(ctx, r.opener.City, id.ID())
	if errors.Is(err, ErrNotFound) {
		e, err = Entry{State: StateOpen}, nil
	}
	if err != nil || e.State >= StateStored || !e.KeyDestroyedAt.IsZero() {
		return nil, false, err
	}
	key, err := s.spool.key(r.opener)
	if errors.Is(err, ErrErased) {
		s.log.Error("the spool holds sound whose key is gone", "recording", id.ID(), "err", err)
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	k = r.keep(id, key)
	if err := s.retell(k); err != nil {
		return nil, false, err
	}
	if k.empty() && len(k.bad) == 0 && e.State == StateOpen {
		return nil, false, nil // nothing was heard
	}
	k.settle()
	if e.State == StateSealed { // the due time is fixed once
		k.entry, k.sealed = e, true
	}
	return k, e.State == StateOpen, nil
}

func (r *remains) keep(id rawID, key []byte) *kept {
	o := r.opener
	k := &kept{raw: id, key: key, openedAt: r.openedAt, chunks: uint32(len(r.places)), places: r.places, found: !r.last,
		bad: map[uint32]bool{}}
	if k.places == nil {
		k.places = []place{}
	}
	k.entry = Entry{City: o.City, ID: id.ID(), Call: o.Call, Node: o.Node, StartedAt: o.Started, Notice: o.Notice}
	for n, p := range r.places {
		if p == (place{}) {
			k.bad[uint32(n)] = true
		}
	}
	return k
}

// retell reads all chunks of k for what they tell of it besides sound.
func (s *Service) retell(k *kept) error {
	next, err := s.chunks(k)
	if err != nil {
		return err
	}
	for {
		items, err := next()
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, ErrDamaged):
			continue // noted as bad; what follows is still good
		case err != nil:
			return err
		}
		if err := k.totals.fold(items, nil); err != nil {
			return err
		}
	}
}

// readopt puts k where its live recording would have put it.
func (s *Service) readopt(k *kept) {
	s.spool.hold(k.raw, k.openedAt.segment)
	s.mu.Lock()
	s.kept[k.raw] = k
	s.mu.Unlock()
	s.enqueue(k)
}

// tellLost tells of what the catalogue believes to be in the spool and is not.
func (s *Service) tellLost(ctx context.Context) error {
	entries, err := s.catalogue.Unfinished(ctx, s.cfg.Node)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if raw, err := parseID(e.ID); err == nil && s.kept[raw] == nil {
			s.log.Error("a sealed recording is not in the spool: its sound is lost", "recording", e.ID, "call", e.Call)
		}
	}
	return nil
}
