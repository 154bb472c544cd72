package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// WitnessDir is a Witness that keeps checkpoints in a directory, best one that the owner of the store cannot write to
// later: a mount of another machine, or a drop that is swept away. CITY.checkpoint is the newest; CITY.checkpoints.DATE
// has all of one day (UTC), each followed by an empty line. Those of a city's n-th log have the name CITY@n.
type WitnessDir string

const (
	newestSuffix = ".checkpoint"
	daySuffix    = ".checkpoints"
)

// Kind implements Witness.
func (dir WitnessDir) Kind() string { return "file" }

// Drop implements Witness. What it wrote is on disk when it returns. It takes nothing but what is proven to continue the
// newest that it has.
func (dir WitnessDir) Drop(ctx context.Context, s Signed) error {
	if err := dir.refuse(ctx, s); err != nil {
		return err
	}
	if err := os.MkdirAll(string(dir), 0o700); err != nil {
		return err
	}
	at := s.At
	if at.IsZero() {
		at = time.Now()
	}
	day := dir.file(s.Log, daySuffix) + "." + at.UTC().Format(time.DateOnly)
	if err := appendFile(day, append(bytes.Clone(s.Text), '\n')); err != nil {
		return err
	}
	return writeFile(dir.file(s.Log, newestSuffix), s.Text, 0o600)
}

// refuse holds a checkpoint against the newest that is here. Errors: ErrForked.
func (dir WitnessDir) refuse(ctx context.Context, s Signed) error {
	if _, err := ParseLogID(string(s.Log)); err != nil {
		return err
	}
	last, err := dir.Last(ctx, s.Log)
	if last == nil || err != nil {
		return err
	}
	old, err := unsigned(last)
	if err != nil {
		return fmt.Errorf("%w: the newest checkpoint in %s cannot be read: %w", ErrForked, dir, err)
	}
	h, err := unsigned(s.Text)
	if err != nil {
		return err
	}
	var path tlog.TreeProof
	if old.size < h.size {
		if path, err = s.path(ctx, old.size); err != nil {
			return err
		}
	}
	if old.log != h.log || !h.follows(old.head, path) || old.size > h.size {
		return fmt.Errorf("%w: %d leaves do not follow from the %d that %s has a checkpoint of", ErrForked, h.size, old.size, dir)
	}
	return nil
}

// path is Prove in the words of tlog.
func (s Signed) path(ctx context.Context, from int64) (path tlog.TreeProof, err error) {
	hashes, err := s.Prove(ctx, from)
	for _, h := range hashes {
		path = append(path, h)
	}
	return path, err
}

// Last implements Witness. Where the file of the newest is gone, the newest is found among those of the days.
func (dir WitnessDir) Last(_ context.Context, log LogID) ([]byte, error) {
	text, err := os.ReadFile(dir.file(log, newestSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return dir.lastOfDays(log)
	}
	return text, err
}

func (dir WitnessDir) lastOfDays(log LogID) ([]byte, error) {
	files, err := os.ReadDir(string(dir)) // sorted by name: the newest day last
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for i := len(files) - 1; i >= 0; i-- {
		day, ours := strings.CutPrefix(files[i].Name(), log.FileName()+daySuffix)
		if !ours || day != "" && !isDay(day) { // CITY.checkpoints is of a time when there was one file
			continue
		}
		text, err := os.ReadFile(filepath.Join(string(dir), files[i].Name()))
		if err != nil {
			return nil, err
		}
		if last := lastOf(log, string(text)); last != "" {
			return []byte(last), nil
		}
	}
	return nil, nil
}

func isDay(suffix string) bool {
	_, err := time.Parse("."+time.DateOnly, suffix)
	return err == nil
}

// lastOf is the last whole checkpoint of a log in a file of many, or empty. The power may have failed during the last one.
func lastOf(log LogID, text string) string {
	for {
		at := strings.LastIndex("\n"+text, "\n"+log.Origin()+"\n")
		if at < 0 {
			return ""
		}
		record, whole := strings.CutSuffix(text[at:], "\n\n")
		if _, err := unsigned([]byte(record)); whole && err == nil {
			return record + "\n"
		}
		text = text[:at]
	}
}

func (dir WitnessDir) file(log LogID, suffix string) string {
	return filepath.Join(string(dir), log.FileName()+suffix)
}

func appendFile(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// writeFile puts a whole new file in the place of path, or leaves path as it was.
func writeFile(path string, text []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
