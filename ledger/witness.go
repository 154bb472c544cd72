package ledger

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Witness is another place: it keeps checkpoints where the owner of the store cannot change them.
type Witness interface {
	// Kind is what sort of place it is, in a word: "file", "s3", "http". It is the label of a metric.
	Kind() string
	// Drop leaves a checkpoint there. It returns when the checkpoint is kept. Errors: ErrForked, when the witness has one
	// that this log cannot have come from.
	Drop(ctx context.Context, s Signed) error
	// Last is the newest checkpoint dropped for the log, or nil. Errors: ErrForked, as with Drop.
	Last(ctx context.Context, log LogID) ([]byte, error)
}

// Signed is a checkpoint on its way to a witness.
type Signed struct {
	Log  LogID
	Size int64
	Text []byte // the note; the witness must not change it
	// Prove returns the hashes that prove this tree to be a continuation of the tree over the first from leaves (RFC 6962
	// §2.1.2): none when from is 0 or Size.
	Prove func(ctx context.Context, from int64) ([][32]byte, error)
}

// dropped is a checkpoint as witnesses get it.
func (c *cityLog) dropped(s signedHead) Signed {
	return Signed{Log: c.id, Size: s.size, Text: bytes.Clone(s.text), Prove: func(ctx context.Context, from int64) ([][32]byte, error) {
		path, err := proveTree(s.size, from, c.reader(ctx))
		out := make([][32]byte, len(path))
		for i, h := range path {
			out[i] = h
		}
		return out, err
	}}
}

// WitnessDir is a Witness that keeps checkpoints in a directory, best one that the owner of the store cannot write to
// later: a mount of another machine, or a drop that is swept away. CITY.checkpoint is the newest; CITY.checkpoints has
// all of them, each followed by an empty line. Those of a city's n-th log have the name CITY@n.
type WitnessDir string

// Kind implements Witness.
func (dir WitnessDir) Kind() string { return "file" }

// Drop implements Witness. What it wrote is on disk when it returns.
func (dir WitnessDir) Drop(_ context.Context, s Signed) error {
	if _, err := ParseLogID(string(s.Log)); err != nil {
		return err
	}
	if err := os.MkdirAll(string(dir), 0o700); err != nil {
		return err
	}
	if err := appendFile(dir.file(s.Log, ".checkpoints"), append(bytes.Clone(s.Text), '\n')); err != nil {
		return err
	}
	return writeFile(dir.file(s.Log, ".checkpoint"), s.Text, 0o600)
}

// Last implements Witness.
func (dir WitnessDir) Last(_ context.Context, log LogID) ([]byte, error) {
	text, err := os.ReadFile(dir.file(log, ".checkpoint"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
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
