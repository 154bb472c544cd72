package ringstore

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"callhall/call"
)

// KeyFiles keeps cities' keys in a directory, one file each, 32 bytes, readable by this user alone. Removing a city's
// file makes all its recordings unreadable at the next start.
type KeyFiles struct {
	dir string
	mu  sync.Mutex // one file is made at a time
}

// OpenKeyFiles uses dir, making it if need be.
func OpenKeyFiles(dir string) (*KeyFiles, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("city keys: %w", err)
	}
	return &KeyFiles{dir: dir}, nil
}

// Key implements Keys. Errors: a file that others may read, or that is not a key, is refused.
func (k *KeyFiles) Key(city call.CityID) ([]byte, error) {
	if !cityName.MatchString(string(city)) {
		return nil, fmt.Errorf("city key: %q is not a city's name", city)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	path := filepath.Join(k.dir, string(city)+".key")
	key, err := readKey(path)
	if errors.Is(err, os.ErrNotExist) {
		key, err = k.create(path)
	}
	if err != nil {
		return nil, fmt.Errorf("key of city %s: %w", city, err)
	}
	return key, nil
}

func readKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s may be read by others (mode %04o): chmod 600 it", path, info.Mode().Perm())
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(key) != keySize {
		return nil, fmt.Errorf("%s has %d bytes, a key has %d", path, len(key), keySize)
	}
	return key, nil
}

// create makes a key. It has its name only when it is whole and on the disk.
func (k *KeyFiles) create(path string) ([]byte, error) {
	key := make([]byte, keySize)
	rand.Read(key)
	f, err := os.CreateTemp(k.dir, "new-*") // 0600
	if err != nil {
		return nil, err
	}
	_, err = f.Write(key)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return nil, err
	}
	return key, syncDir(k.dir)
}
