package ani

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"callhall/call"
)

// vaultKeySize is that of AES-256, in bytes.
const vaultKeySize = 32

// Key seals one city's numbers. The secret is inside AEAD and nowhere else.
type Key struct {
	ID   uint32 // written beside what it sealed
	AEAD cipher.AEAD
}

// Keys has the vault keys of each city.
type Keys interface {
	// Keys returns all keys of the city, the newest last, making the first one if there is none.
	Keys(city call.CityID) ([]Key, error)
}

// KeyDir keeps each city's vault keys in a file of its own, CITY.vault-key, for this user alone: a line for each key, its
// id as eight hexadecimal digits and 32 bytes in base64. The last line is the key in use.
type KeyDir string

var cityName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// Keys implements Keys.
func (dir KeyDir) Keys(city call.CityID) ([]Key, error) {
	if !cityName.MatchString(string(city)) {
		return nil, fmt.Errorf("vault key: %q is not a city's name", city)
	}
	path := dir.path(city)
	text, err := readKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeKeyFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("vault key of %s: %w", city, err)
	}
	var keys []Key
	for line := range strings.Lines(string(text)) {
		k, err := parseKey(strings.TrimSpace(line))
		if err != nil {
			return nil, fmt.Errorf("vault key of %s: line %d of %s: %w", city, len(keys)+1, path, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("vault key of %s: %s is empty", city, path)
	}
	return keys, nil
}

// readKeyFile reads a key file and refuses one that every user of the machine can open.
func readKeyFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%s is open to every user of this machine (mode %04o); run: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	return os.ReadFile(path)
}

// makeKeyFile puts a file with one fresh key in place, whole or not at all. Where another process was faster, that one's
// counts.
func makeKeyFile(path string) ([]byte, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".first-*") // for this user alone
	if err != nil {
		return nil, err
	}
	_, err = f.Write(freshKey())
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Link(f.Name(), path)
	}
	if rerr := os.Remove(f.Name()); rerr != nil || err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, errors.Join(err, rerr)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return readKeyFile(path)
}

// freshKey is a line with a new key. Ids are random, so that a key made anew by mistake is told from the lost one.
func freshKey() []byte {
	var raw [4 + vaultKeySize]byte
	rand.Read(raw[:])
	return []byte(hex.EncodeToString(raw[:4]) + " " + base64.StdEncoding.EncodeToString(raw[4:]) + "\n")
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Add implements Rotator.
func (dir KeyDir) Add(city call.CityID) error {
	return dir.change(city, func(lines []string) ([]string, error) { return append(lines, string(freshKey())), nil })
}

// newKeyAge is how old the newest key must be before another can be dropped: every process has seen it by then.
const newKeyAge = time.Minute

// Drop implements Rotator.
func (dir KeyDir) Drop(city call.CityID, ids []uint32) error {
	return dir.change(city, func(lines []string) ([]string, error) {
		info, err := os.Stat(dir.path(city))
		if err != nil {
			return nil, err
		}
		if time.Since(info.ModTime()) < newKeyAge {
			return nil, ErrTooSoon
		}
		last := len(lines) - 1
		return append(slices.DeleteFunc(lines[:last:last], func(line string) bool {
			k, err := parseKey(strings.TrimSpace(line))
			return err == nil && slices.Contains(ids, k.ID)
		}), lines[last]), nil
	})
}

// change replaces the file as a whole: after a crash there is the old one or the new one. A file beside it is the lock of
// whoever is at it, and is taken before anything is read: what is put in place was made from what it takes the place of.
func (dir KeyDir) change(city call.CityID, change func(lines []string) ([]string, error)) error {
	path := dir.path(city)
	lock, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("somebody else is changing it, or was cut off; in that case remove %s.new: %w", path, err)
	}
	if err := errors.Join(dir.fill(lock, path, change), lock.Close()); err != nil {
		return errors.Join(err, os.Remove(lock.Name()))
	}
	return errors.Join(os.Rename(lock.Name(), path), syncDir(string(dir)))
}

// fill writes into the lock what is to take the file's place.
func (dir KeyDir) fill(lock *os.File, path string, change func(lines []string) ([]string, error)) error {
	text, err := readKeyFile(path)
	if err != nil {
		return err
	}
	lines, err := change(slices.Collect(strings.Lines(string(text))))
	if err != nil {
		return err
	}
	_, err = lock.WriteString(strings.Join(lines, ""))
	return errors.Join(err, lock.Sync())
}

func (dir KeyDir) path(city call.CityID) string {
	return filepath.Join(string(dir), string(city)+".vault-key")
}

func parseKey(line string) (Key, error) {
	id, secret, _ := strings.Cut(line, " ")
	rawID, err1 := hex.DecodeString(id)
	raw, err2 := base64.StdEncoding.DecodeString(secret)
	if err1 != nil || err2 != nil || len(rawID) != 4 || len(raw) != vaultKeySize {
		return Key{}, errors.New("not a vault key") // without the text, which may be one nearly
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return Key{}, err
	}
	aead, err := cipher.NewGCM(block)
	return Key{ID: binary.BigEndian.Uint32(rawID), AEAD: aead}, err
}
