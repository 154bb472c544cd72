package ani

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// spoolFile is the spool of one city: frames, written one behind the other and synced before add returns.
type spoolFile struct {
	path  string
	aside func(path string, cause error) // is told of what was set aside

	writing sync.Mutex // held while the disk is waited for; it guards file
	file    *os.File

	mu    sync.Mutex // never held while the disk is waited for; it guards these
	size  int64
	done  int64 // up to here the frames are where they belong
	count int   // of the frames behind that
}

// openSpoolFile opens the file, or makes it for this user alone, and counts what is in it.
func openSpoolFile(path string, aside func(string, error)) (*spoolFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	s := &spoolFile{path: path, aside: aside, file: f}
	if err := errors.Join(s.mend(), syncDir(filepath.Dir(path))); err != nil {
		return nil, errors.Join(fmt.Errorf("spool %s: %w", path, err), s.file.Close())
	}
	return s, nil
}

// mend cuts off a last frame that was never synced. Where more is wrong, the file as it was is set aside and what can be
// read of it takes its place.
func (s *spoolFile) mend() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	b, err := os.ReadFile(s.path)
	if err != nil {
		return err
	}
	from := s.done
	if from > int64(len(b)) {
		from = 0 // somebody cut it
	}
	whole, frames, damage := wholeFrames(b[from:])
	if errors.Is(damage, ErrDamaged) {
		if err := s.replace(whole, damage); err != nil {
			return err
		}
		s.moved(0, int64(len(whole)), frames)
		return nil
	}
	if lost := s.count - frames; lost > 0 {
		s.aside(s.path, fmt.Errorf("%w: somebody cut off %d records", ErrDamaged, lost))
	}
	end := from + int64(len(whole))
	s.moved(from, end, frames)
	if end == int64(len(b)) {
		return nil
	}
	return errors.Join(s.file.Truncate(end), s.file.Sync())
}

func (s *spoolFile) moved(done, size int64, count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done, s.size, s.count = done, size, count
}

// replace sets the file aside and puts another with these frames in its place. After a crash in between there is the one
// or the other.
func (s *spoolFile) replace(frames []byte, cause error) error {
	kept := asidePath(s.path)
	f, err := writeNew(s.path+".new", frames)
	if err != nil {
		return err
	}
	if err := os.Link(s.path, kept); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := os.Rename(s.path+".new", s.path); err != nil {
		return errors.Join(err, f.Close())
	}
	old := s.file
	s.file = f
	s.aside(kept, cause)
	return errors.Join(old.Close(), syncDir(filepath.Dir(s.path)))
}

// asidePath is where a damaged file is set aside.
func asidePath(path string) string { return fmt.Sprintf("%s.aside-%d", path, time.Now().UnixNano()) }

// writeNew writes a file and leaves it open.
func writeNew(path string, frames []byte) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(frames)
	if err = errors.Join(err, f.Sync()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// setAside writes frames that cannot be used into a file of their own, for somebody to look at.
func (s *spoolFile) setAside(frames []spooledFrame, cause error) error {
	f, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".aside-*")
	if err != nil {
		return err
	}
	for _, one := range frames {
		_, werr := f.Write(one.frame)
		err = errors.Join(err, werr)
	}
	if err := errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(s.path))); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	s.aside(f.Name(), cause)
	return nil
}

// state is how many frames wait, and the bytes of the file.
func (s *spoolFile) state() (count int, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count, s.size
}

// add writes frames and returns when they are on the disk.
func (s *spoolFile) add(frames []byte, n int) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	_, at := s.state()
	_, err := s.file.WriteAt(frames, at)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil { // what was written of it is overwritten by the next, or cut off
		return errors.Join(err, s.file.Truncate(at))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size += int64(len(frames))
	s.count += n
	return nil
}

// spooledFrame is a frame and where it ends in the file.
type spooledFrame struct {
	frame []byte
	end   int64
}

func (f spooledFrame) record() []byte { return f.frame[frameHead:] }

// maxSpoolRead bounds what is read at a time, in bytes.
const maxSpoolRead = 4 << 20

// next returns up to limit frames that are not marked as done, in order. A file that was damaged since it was opened is
// mended first.
func (s *spoolFile) next(limit int) ([]spooledFrame, error) {
	page, err := s.page(limit)
	if !errors.Is(err, ErrDamaged) {
		return page, err
	}
	if err := s.mend(); err != nil {
		return nil, fmt.Errorf("mend the spool: %w", err)
	}
	return s.page(limit)
}

func (s *spoolFile) page(limit int) (page []spooledFrame, err error) {
	s.mu.Lock()
	at, size := s.done, s.size
	s.mu.Unlock()
	b := make([]byte, min(size-at, maxSpoolRead))
	s.writing.Lock()
	_, err = s.file.ReadAt(b, at)
	s.writing.Unlock()
	if errors.Is(err, io.EOF) {
		return nil, ErrDamaged // it was longer
	}
	if err != nil {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	whole := int64(len(b)) == size-at
	for len(page) < limit {
		_, n, err := readFrame(b)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, errTorn) && !whole && len(page) > 0:
			return page, nil
		case err != nil:
			return nil, ErrDamaged
		}
		at += int64(n)
		page = append(page, spooledFrame{b[:n], at})
		b = b[n:]
	}
	return page, nil
}

// finish marks frames as done. When none is left the file is emptied.
func (s *spoolFile) finish(end int64, frames int) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	s.done, s.count = end, s.count-frames
	empty := s.done == s.size
	s.mu.Unlock()
	if !empty {
		return nil
	}
	if err := s.file.Truncate(0); err != nil {
		return err
	}
	s.moved(0, 0, 0)
	return s.file.Sync()
}

func (s *spoolFile) close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.file.Close()
}
