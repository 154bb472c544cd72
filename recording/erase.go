package recording

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"callhall/call"
)

const (
	eraseEvery  = time.Second
	tellAgain   = 15 * time.Minute // while erasure fails
	eraseBatch  = 512              // entries read from the catalogue at once
	eraseAtOnce = 8                // of these, worked on at the same time
	// bytesPatience bounds one pass's work with stores: the keys of the next pass have a minute after their due time.
	bytesPatience = 30 * time.Second
)

// Limits after the due time (RULES 3.1): bytes an hour.
const bytesLimit = time.Hour

// eraseLoop erases what falls due, second by second, until ctx ends. What fails is told at once and then at intervals:
// it is tried each second.
func (s *Service) eraseLoop(ctx context.Context) {
	tick := time.NewTicker(eraseEvery)
	defer tick.Stop()
	var told time.Time
	for {
		_, err := s.EraseDue(ctx)
		switch {
		case err == nil:
			told = time.Time{}
		case ctx.Err() == nil && time.Since(told) >= tellAgain:
			s.log.Error("erasure fails and is tried each second", "err", err)
			told = time.Now()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// ErrUnconfirmed says that the clocks disagree: nothing past due is played, but no key is destroyed on a doubtful time. It
// is what a machine without time synchronisation meets after it was off.
var ErrUnconfirmed = errors.New("the wall clock and the trusted time disagree and nothing bears either out, so nothing is erased: " +
	"let the machine's clock be synchronised (timedatectl shows it); where it cannot be, put it right by hand, stop the server, " +
	"remove the file \"clock\" from its data directory and start again")

// unconfirmed is ErrUnconfirmed with what the clocks say.
func unconfirmed(c Clock) error {
	return fmt.Errorf("trusted time %s, latest %s: %w", stamp(c.Now()), stamp(latest(c)), ErrUnconfirmed)
}

// EraseDue erases every recording that is due: keys first, all of them, then bytes, each city's beside the others'. It
// returns how many were erased and proved so. What fails stays due and is tried again by the next call. Errors:
// ErrUnconfirmed, ErrElsewhere, and the stores'.
func (s *Service) EraseDue(ctx context.Context) (int, error) {
	s.erasing.Lock()
	defer s.erasing.Unlock()
	due, lookErr := s.lookDue(ctx)
	if !confirmed(s.clock) {
		return 0, errors.Join(unconfirmed(s.clock), lookErr)
	}
	if err := s.destroyMinutes(ctx, s.clock.Now()); err != nil { // needs no catalogue
		return 0, errors.Join(err, lookErr)
	}
	if lookErr != nil {
		return 0, lookErr
	}
	keysErr := s.eraseKeys(ctx, due)
	erased, bytesErr := s.eraseAll(ctx, due)
	if len(due) > 0 {
		_, lookErr = s.lookDue(ctx)
	}
	if ctx.Err() == nil {
		s.meters.passed.Set(float64(s.clock.Now().Unix()))
	}
	return erased, errors.Join(keysErr, bytesErr, lookErr)
}

// lookDue says which cities and places have something due, and shows how much. What only the later of two clocks takes to
// be due is shown too, for it cannot be played.
func (s *Service) lookDue(ctx context.Context) ([]DueCount, error) {
	now := latest(s.clock)
	counts, err := s.catalogue.DueCounts(ctx, now)
	if err != nil {
		return nil, fmt.Errorf("erase: what is due: %w", err)
	}
	s.meters.due(counts, now)
	return counts, nil
}

// eraseKeys destroys the keys of all that is due, in every city, before any store is asked for anything.
func (s *Service) eraseKeys(ctx context.Context, due []DueCount) error {
	var errs []error
	for i, d := range due {
		if i == 0 || d.City != due[i-1].City {
			errs = append(errs, s.eraseCityKeys(ctx, d.City))
		}
	}
	s.scrubCatalogue(ctx, len(due) > 0)
	return errors.Join(errs...)
}

func (s *Service) eraseCityKeys(ctx context.Context, city call.CityID) error {
	for {
		due, err := s.catalogue.DueKeys(ctx, city, s.clock.Now(), eraseBatch)
		if err != nil {
			return fmt.Errorf("erase: %w", err)
		}
		errs := s.each(due, func(e Entry) error { return s.destroyKey(ctx, e) })
		if len(due) < eraseBatch || countFailed(errs) == len(due) {
			return firstOf(errs)
		}
	}
}

// eraseAll erases the bytes of what is due, each city's beside the others': a store that hangs holds up its own city, and
// the next pass no longer than bytesPatience.
func (s *Service) eraseAll(ctx context.Context, due []DueCount) (erased int, err error) {
	ctx, cancel := context.WithTimeout(ctx, bytesPatience)
	defer cancel()
	counts, errs := make([]int, len(due)), make([]error, len(due))
	var all sync.WaitGroup
	for i, d := range due {
		all.Go(func() { counts[i], errs[i] = s.erasePlace(ctx, d) })
	}
	all.Wait()
	for _, n := range counts {
		erased += n
	}
	return erased, errors.Join(errs...)
}

// erasePlace erases a city's bytes in one place, unless that is another store than the city has.
func (s *Service) erasePlace(ctx context.Context, d DueCount) (erased int, err error) {
	if _, err := s.homeOf(Entry{City: d.City, State: StateStored, Place: d.Place}); err != nil {
		return 0, fmt.Errorf("erase %d recordings: their keys are destroyed, their bytes stay: %w", d.Count, err)
	}
	for {
		due, err := s.catalogue.DueBytes(ctx, d.City, d.Place, s.clock.Now(), eraseBatch)
		if err != nil {
			return erased, fmt.Errorf("erase: %w", err)
		}
		errs := s.each(due, func(e Entry) error { return s.eraseBytes(ctx, e) })
		n := len(due) - countFailed(errs)
		erased += n
		if n == 0 || len(due) < eraseBatch {
			return erased, firstOf(errs)
		}
	}
}

// each does f for all entries, a few at a time, and gives the errors by entry.
func (s *Service) each(entries []Entry, f func(Entry) error) []error {
	errs := make([]error, len(entries))
	room := make(chan struct{}, eraseAtOnce)
	var all sync.WaitGroup
	for i := range entries {
		room <- struct{}{}
		all.Go(func() {
			errs[i] = f(entries[i])
			<-room
		})
	}
	all.Wait()
	return errs
}

// firstOf is the first error there is: one says enough, the entries are still due.
func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func countFailed(errs []error) (n int) {
	for _, err := range errs {
		if err != nil {
			n++
		}
	}
	return n
}

// destroyKey makes a recording unreadable wherever copies of its bytes are: the wrapped key goes from the catalogue, and
// where it waits for its upload, from the spool.
func (s *Service) destroyKey(ctx context.Context, e Entry) error {
	if err := s.catalogue.DestroyKey(ctx, e.City, e.ID, s.clock.Now()); err != nil {
		return fmt.Errorf("erase %s: its key: %w", e.ID, err)
	}
	return s.destroySpooled(e)
}

// destroySpooled destroys the key of a recording that waits for its upload. Done before, it does nothing.
func (s *Service) destroySpooled(e Entry) error {
	raw, err := parseID(e.ID)
	if err != nil {
		return err
	}
	s.mu.Lock()
	k := s.kept[raw]
	s.mu.Unlock()
	if k == nil {
		return nil
	}
	k.gone.Store(true)
	if err := s.spool.scrub(k.openedAt); err != nil {
		return fmt.Errorf("erase %s: its key in the spool: %w", e.ID, err)
	}
	s.forget(raw)
	return nil
}

// scrubCatalogue rids the catalogue's files of copies of destroyed keys. Where a reader is in the way it is done the next
// time; at the end of its minute such a copy opens nothing any more.
func (s *Service) scrubCatalogue(ctx context.Context, destroyed bool) {
	s.scrub = s.scrub || destroyed
	if !s.scrub {
		return
	}
	if err := s.catalogue.Scrub(ctx); err != nil {
		s.log.Debug("catalogue not scrubbed yet", "err", err)
		return
	}
	s.scrub = false
}

// destroyMinutes destroys the keys of the minutes that are over, once a minute.
func (s *Service) destroyMinutes(ctx context.Context, now time.Time) error {
	minute := dueMinute(now)
	if s.minute == minute {
		return nil
	}
	if _, err := s.ring.Destroy(ctx, minute); err != nil {
		return fmt.Errorf("erase: minute keys: %w", err)
	}
	s.minute = minute
	return nil
}

// eraseBytes removes a recording's object, looks again, and leaves certificate and tombstone.
func (s *Service) eraseBytes(ctx context.Context, e Entry) (err error) {
	defer func() { s.meters.erased(err, s.clock.Now().Sub(e.DueAt)) }()
	if e.KeyDestroyedAt.IsZero() {
		return fmt.Errorf("erase %s: its key comes first", e.ID)
	}
	if err := s.destroySpooled(e); err != nil { // did not go with the key
		return err
	}
	objects, err := s.homeOf(e) // another store would say truly that it has nothing
	if err != nil {
		return fmt.Errorf("erase %s: its key is destroyed, its bytes stay: %w", e.ID, err)
	}
	name := ObjectName(e.ID)
	gone, err := objects.Erase(ctx, name)
	if err != nil {
		return fmt.Errorf("erase %s: %w", e.ID, err)
	}
	erasedAt := s.clock.Now()
	if err := readBack(ctx, objects, name); err != nil {
		return fmt.Errorf("erase %s: read back: %w", e.ID, err)
	}
	leaf := s.certificate(e, objects, gone, erasedAt, "due")
	if e.State == StateStored && gone == (Erased{}) {
		leaf.Facts["found"] = "nothing" // removed by others, or by us before a crash
	}
	if err := s.ledger.Append(ctx, e.City, leaf); err != nil {
		return fmt.Errorf("erase %s: certificate: %w", e.ID, err)
	}
	if err := s.catalogue.Bury(ctx, e.City, e.ID, erasedAt, leaf.Facts["certificate"]); err != nil {
		return fmt.Errorf("erase %s: tombstone: %w", e.ID, err)
	}
	return nil
}

// errStillThere says that the store shows something of an object that it said to have removed.
var errStillThere = errors.New("the store still has it")

// readBack proves that nothing is left: no object, and nothing of it to remove.
func readBack(ctx context.Context, objects Objects, name string) error {
	if _, err := objects.Stat(ctx, name); !errors.Is(err, ErrNoObject) {
		return errors.Join(errStillThere, err)
	}
	again, err := objects.Erase(ctx, name)
	if err != nil {
		return err
	}
	if again != (Erased{}) {
		return errStillThere
	}
	return nil
}

// certificate is the leaf that says what was destroyed, how and when (RULES 3.5). The ledger signs it and binds it to
// the one before. A recording has one certificate id, so that a leaf written twice, after a crash, is seen to be one.
func (s *Service) certificate(e Entry, objects Objects, gone Erased, erasedAt time.Time, reason string) call.Leaf {
	late := max(0, erasedAt.Sub(e.DueAt))
	return call.Leaf{Kind: "recording.erased/1", At: s.clock.Now(), Call: e.Call, Actor: "engine", Facts: map[string]string{
		"certificate":      "cert_" + string(e.ID)[len("rec_"):],
		"recording":        string(e.ID),
		"class":            "voice",
		"policy":           "voice-14d/1",
		"reason":           reason,
		"method":           "crypto-erase, version-delete",
		"ended_at":         stamp(e.EndedAt),
		"due_at":           stamp(e.DueAt),
		"key_destroyed_at": stamp(e.KeyDestroyedAt),
		"bytes_erased_at":  stamp(erasedAt),
		"verified_at":      stamp(s.clock.Now()),
		"late_seconds":     strconv.FormatInt(int64(late/time.Second), 10),
		"keys":             "data key of " + string(e.ID) + ", wrapped for minute " + strconv.FormatInt(dueMinute(e.DueAt), 10),
		"minute_key_until": stamp(time.Unix((dueMinute(e.DueAt)+1)*60, 0)),
		"versions":         strconv.Itoa(gone.Versions),
		"markers":          strconv.Itoa(gone.Markers),
		"uploads":          strconv.Itoa(gone.Uploads),
		"derivatives":      "0",
		"probed":           objects.Kind() + ": nothing found",
		"build":            build(),
	}}
}

// build names the program that erased, as far as it knows itself.
func build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, kv := range info.Settings {
		if kv.Key == "vcs.revision" {
			return kv.Value
		}
	}
	return info.Main.Version
}
