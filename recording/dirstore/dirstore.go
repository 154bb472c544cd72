// Package dirstore keeps recordings as files in a directory. A file has its name only when it is whole and on the disk.
package dirstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"callhall/recording"
)

// unfinished is how the names of files begin that are still being written.
const unfinished = ".new-"

var _ recording.Objects = (*Store)(nil)

// Store is a directory of recordings. It implements recording.Objects.
type Store struct {
	dir  string
	real string // dir without links, from the root
}

// Open uses dir, making it if need be.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	return &Store{dir: dir, real: real}, nil
}

// Kind implements recording.Objects.
func (s *Store) Kind() string { return "dir" }

// Place implements recording.Objects. A directory is the same by whatever link it is reached.
func (s *Store) Place() string { return "dir:" + s.real }

// path is where name lies. Errors: a name that leads out of the directory, or to an unfinished file.
func (s *Store) path(name string) (string, error) {
	local, err := filepath.Localize(name)
	if err != nil || strings.HasPrefix(filepath.Base(local), unfinished) || name == "." {
		return "", fmt.Errorf("recordings: %q is not a name", name)
	}
	return filepath.Join(s.dir, local), nil
}

// Put implements recording.Objects.
func (s *Store) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	path, err := s.path(name)
	if err != nil {
		return err
	}
	if err := s.mkdir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	// The temporary name begins with the object's own, so that Erase finds what a crash leaves.
	f, err := os.CreateTemp(filepath.Dir(path), unfinished+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	err = fill(ctx, f, size, r)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", name, errors.Join(err, os.Remove(f.Name())))
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return nil
}

// fill writes exactly size bytes of r to f and syncs them.
func fill(ctx context.Context, f *os.File, size int64, r io.Reader) error {
	n, err := io.Copy(f, io.LimitReader(&whileReader{ctx, r}, size+1))
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("%d bytes came instead of %d", n, size)
	}
	return f.Sync()
}

// whileReader reads until ctx ends.
type whileReader struct {
	ctx context.Context // of one Put
	r   io.Reader
}

func (w *whileReader) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.Read(p)
}

// mkdir makes dir and makes its name durable.
func (s *Store) mkdir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for dir != s.dir {
		dir = filepath.Dir(dir)
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// Get implements recording.Objects.
func (s *Store) Get(_ context.Context, name string, off, n int64) (io.ReadCloser, error) {
	path, err := s.path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", name, absent(err))
	}
	return &part{SectionReader: io.NewSectionReader(f, off, n), Closer: f}, nil
}

// part is a stretch of a file.
type part struct {
	*io.SectionReader
	io.Closer
}

// Stat implements recording.Objects.
func (s *Store) Stat(_ context.Context, name string) (recording.Object, error) {
	path, err := s.path(name)
	if err != nil {
		return recording.Object{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return recording.Object{}, fmt.Errorf("stat %s: %w", name, absent(err))
	}
	return recording.Object{Name: name, Size: info.Size(), Since: info.ModTime()}, nil
}

// absent turns a missing file into ErrNoObject.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return recording.ErrNoObject
	}
	return err
}

// Erase implements recording.Objects.
func (s *Store) Erase(_ context.Context, name string) (e recording.Erased, err error) {
	path, err := s.path(name)
	if err != nil {
		return e, err
	}
	dir, base := filepath.Split(path)
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		return e, fmt.Errorf("erase %s: %w", name, err)
	}
	for _, f := range files {
		count := &e.Versions
		if f.Name() != base {
			if !strings.HasPrefix(f.Name(), unfinished+base+"-") {
				continue
			}
			count = &e.Uploads
		}
		if err := os.Remove(filepath.Join(dir, f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return e, fmt.Errorf("erase %s: %w", name, err)
		}
		*count++
	}
	if e == (recording.Erased{}) {
		return e, nil
	}
	if err := syncDir(dir); err != nil {
		return e, fmt.Errorf("erase %s: %w", name, err)
	}
	return e, nil
}

// List implements recording.Objects.
func (s *Store) List(ctx context.Context) iter.Seq2[recording.Object, error] {
	return func(yield func(recording.Object, error) bool) {
		err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && d.IsDir() {
				return ctx.Err() // gone between reading its name and looking at it, or nothing to tell
			}
			if err != nil {
				return err
			}
			if !yield(s.object(path, d), nil) {
				return filepath.SkipAll
			}
			return ctx.Err()
		})
		if err != nil {
			yield(recording.Object{}, fmt.Errorf("list recordings: %w", err))
		}
	}
}

// object describes a file; an unfinished one under the name it is meant for.
func (s *Store) object(path string, d fs.DirEntry) recording.Object {
	rel, err := filepath.Rel(s.dir, path)
	if err != nil {
		rel = path
	}
	dir, base := filepath.Split(rel)
	if meant, ok := strings.CutPrefix(base, unfinished); ok {
		base = meant[:max(0, strings.LastIndexByte(meant, '-'))]
	}
	o := recording.Object{Name: filepath.ToSlash(filepath.Join(dir, base))}
	if info, err := d.Info(); err == nil {
		o.Size, o.Since = info.Size(), info.ModTime()
	}
	return o
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
