package ani

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"callhall/call"
)

// spool keeps what the ledger or a register cannot take now and that must not be waited for, on this node's disk: a file
// for each city and sort, so that one city's trouble is not another's. A record is JSON, sealed under its city's key with
// city and sort bound in. What does not read or does not open is set aside, in a file of its own beside the others, for
// somebody to look at, and the rest goes on.
type spool struct {
	dir  string
	sort spoolSort
	keys func(city call.CityID, open func([]Key) error) error
	log  *slog.Logger

	asides  atomic.Int64 // files that were set aside and are there
	opening sync.Mutex   // held while a file is made

	mu     sync.Mutex // never held while the disk is waited for
	cities map[call.CityID]*spoolFile
}

// A spoolSort is what a spool's records are.
type spoolSort struct {
	ext   string
	form  byte
	bound string
}

var (
	spoolOfLeaves = spoolSort{".leaves", formLeaf, "callhall spooled leaf v1"}
	spoolOfLines  = spoolSort{".lines", formLine, "callhall spooled line v1"}
)

func (s spoolSort) boundTo(city call.CityID) []byte { return fmt.Appendf(nil, "%s %q", s.bound, city) }

// openSpool opens what the directory has of one sort.
func openSpool(dir string, sort spoolSort, keys func(call.CityID, func([]Key) error) error, log *slog.Logger) (*spool, error) {
	s := &spool{dir: dir, sort: sort, keys: keys, log: log, cities: map[call.CityID]*spoolFile{}}
	all, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if strings.Contains(e.Name(), sort.ext+".aside-") {
			s.asides.Add(1)
		}
		name, ours := strings.CutSuffix(e.Name(), sort.ext)
		if !ours {
			continue
		}
		city, err := url.PathUnescape(name)
		if err == nil {
			_, err = s.file(call.CityID(city))
		}
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

// file is the city's, which is made where there is none.
func (s *spool) file(city call.CityID) (*spoolFile, error) {
	if f := s.known(city); f != nil {
		return f, nil
	}
	s.opening.Lock()
	defer s.opening.Unlock()
	if f := s.known(city); f != nil {
		return f, nil
	}
	f, err := openSpoolFile(filepath.Join(s.dir, url.PathEscape(string(city))+s.sort.ext), s.setAside)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cities[city] = f
	return f, nil
}

// known is the city's file, or nil.
func (s *spool) known(city call.CityID) *spoolFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cities[city]
}

// setAside is told of every file that holds what could not be used.
func (s *spool) setAside(path string, cause error) {
	s.asides.Add(1)
	s.log.Error("records of the spool cannot be used and are set aside; keep the file", "file", path, "err", cause)
}

// all lists the cities that something waits of.
func (s *spool) all() []call.CityID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.cities))
}

// waiting is how many records wait, and the bytes of the files.
func (s *spool) waiting() (records int, bytes int64) {
	for _, city := range s.all() {
		n, size := s.known(city).state()
		records, bytes = records+n, bytes+size
	}
	return records, bytes
}

// addTo writes records to a city's spool and returns when they are on the disk.
func addTo[T any](s *spool, city call.CityID, all ...T) error {
	f, err := s.file(city)
	if err != nil {
		return fmt.Errorf("spool for %s: %w", city, err)
	}
	var frames []byte
	for _, one := range all {
		record, err := s.seal(city, one)
		if err != nil {
			return fmt.Errorf("spool for %s: %w", city, err)
		}
		frames = frame(frames, record)
	}
	if err := f.add(frames, len(all)); err != nil {
		return fmt.Errorf("spool for %s: %w", city, err)
	}
	return nil
}

func (s *spool) seal(city call.CityID, one any) (record []byte, err error) {
	text, err := json.Marshal(one)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	err = s.keys(city, func(keys []Key) error {
		record = sealed(s.sort.form, keys[len(keys)-1], text, s.sort.boundTo(city))
		return nil
	})
	if err == nil && len(record) > maxRecord {
		err = errors.New("the record is too large")
	}
	return record, err
}

// open reads what a record says. Errors: ErrDamaged, and those of the keys.
func (s *spool) open(city call.CityID, record []byte, into any) error {
	return s.keys(city, func(keys []Key) error {
		text, err := opened(s.sort.form, keys, record, s.sort.boundTo(city))
		if err != nil {
			return err
		}
		defer clear(text)
		if json.Unmarshal(text, into) != nil {
			return ErrDamaged // without the cause, which may quote the text
		}
		return nil
	})
}

// maxReplay is how many records are moved at a time.
const maxReplay = 512

// drain moves what waits of a city, page by page. move says how many of a page's first records are where they belong: all
// of them, or those before the first that cannot go now. What does not open is set aside.
func drain[T any](s *spool, city call.CityID, move func([]T) (int, error)) error {
	f := s.known(city)
	if f == nil {
		return nil
	}
	for {
		frames, err := f.next(maxReplay)
		if err != nil || len(frames) == 0 {
			return err
		}
		run, n, err := openRun[T](s, city, frames)
		done := n
		switch {
		case errors.Is(err, ErrDamaged):
			err = f.setAside(frames[:n], err)
		case err == nil:
			done, err = move(run)
		}
		if done > 0 && (err == nil || done < n) {
			err = errors.Join(err, f.finish(frames[done-1].end, done))
		}
		if err != nil || done < n {
			return err
		}
	}
}

// openRun opens the first frames, as many as open, or finds how many do not. Errors: ErrDamaged, of the first n; those of
// the keys, of the first.
func openRun[T any](s *spool, city call.CityID, frames []spooledFrame) (run []T, n int, err error) {
	var damage error
	for i, frame := range frames {
		var one T
		err := s.open(city, frame.record(), &one)
		damaged := errors.Is(err, ErrDamaged)
		switch {
		case i > 0 && (damaged != (damage != nil) || err != nil && !damaged):
			return run, i, damage
		case err != nil && !damaged:
			return nil, 0, fmt.Errorf("open the spool of %s: %w", city, err)
		case damaged:
			damage = err
		default:
			run = append(run, one)
		}
	}
	return run, len(frames), damage
}

func (s *spool) close() error {
	var errs []error
	for _, city := range s.all() {
		errs = append(errs, s.known(city).close())
	}
	return errors.Join(errs...)
}

// readySpool makes the directory. Where the first version's one file stands in its place, that is put beside it.
func readySpool(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && info.Mode().IsRegular() {
		err = os.Rename(dir, oldSpool(dir))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}
