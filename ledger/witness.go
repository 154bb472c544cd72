package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"callhall/call"
)

// WitnessDir is a Witness that keeps checkpoints in a directory, best one that the owner of the store cannot write to
// later: a mount of another machine, or a drop that is swept away. CITY.checkpoint is the newest; CITY.checkpoints has
// all of them, each followed by an empty line.
type WitnessDir string

// Drop implements Witness. What it wrote is on disk when it returns.
func (dir WitnessDir) Drop(_ context.Context, city call.CityID, checkpoint []byte) error {
	if !cityName.MatchString(string(city)) {
		return fmt.Errorf("%w: %q is not a city's name", ErrRefused, city)
	}
	if err := os.MkdirAll(string(dir), 0o700); err != nil {
		return err
	}
	if err := appendFile(dir.file(city, ".checkpoints"), append(checkpoint[:len(checkpoint):len(checkpoint)], '\n')); err != nil {
		return err
	}
	return writeFile(dir.file(city, ".checkpoint"), checkpoint, 0o600)
}

// Last implements Witness.
func (dir WitnessDir) Last(_ context.Context, city call.CityID) ([]byte, error) {
	text, err := os.ReadFile(dir.file(city, ".checkpoint"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

func (dir WitnessDir) file(city call.CityID, suffix string) string {
	return filepath.Join(string(dir), string(city)+suffix)
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
