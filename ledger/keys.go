package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Key signs one log's checkpoints.
type Key struct {
	Signer   note.Signer
	Verifier string // the public half, to be given to everybody
}

// Keys has the signing key of each log, and the next one while it is being changed (Rotate). What follows what is in
// the log itself: Keys need not remember old ones.
type Keys interface {
	// Key returns the log's key; if there is none it makes one when make is true and fails otherwise. Errors: ErrNoKey.
	Key(log LogID, make bool) (Key, error)
	// Next makes the key that is to follow and keeps it beside the present one, durable when it returns. One that was
	// made before and never promoted is forgotten.
	Next(log LogID) (Key, error)
	// Promote puts the next key in the place of the present one, which is destroyed. Errors: ErrNoKey, when the next key
	// is not the one with this public half.
	Promote(log LogID, verifier string) error
}

// ErrNoKey says that a ledger with leaves has lost its signing key.
var ErrNoKey = errors.New("ledger: the signing key is missing; put the key file back from its backup")

// KeyDir keeps each log's Ed25519 key in a file of its own for this user alone: CITY.ledger-key, and while the key is
// being changed CITY.ledger-key.next; of a city's n-th log CITY@n.ledger-key.
type KeyDir string

// Key implements Keys.
func (dir KeyDir) Key(log LogID, create bool) (Key, error) {
	if _, err := ParseLogID(string(log)); err != nil {
		return Key{}, err
	}
	path := dir.file(log)
	k, err := loadKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return Key{}, fmt.Errorf("%w: %s", ErrNoKey, path)
		}
		return dir.make(log, path)
	}
	return k, keyError(log, err)
}

// Next implements Keys.
func (dir KeyDir) Next(log LogID) (Key, error) { return dir.make(log, dir.file(log)+nextSuffix) }

// Promote implements Keys. Either key is whole at any moment.
func (dir KeyDir) Promote(log LogID, verifier string) error {
	path := dir.file(log)
	k, err := loadKey(path + nextSuffix)
	if errors.Is(err, fs.ErrNotExist) || err == nil && k.Verifier != verifier {
		return fmt.Errorf("%w: the log goes on with another than %s has", ErrNoKey, path)
	}
	if err == nil {
		err = os.Rename(path+nextSuffix, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	return keyError(log, err)
}

const nextSuffix = ".next"

func (dir KeyDir) file(log LogID) string {
	return filepath.Join(string(dir), log.FileName()+".ledger-key")
}

func (dir KeyDir) make(log LogID, path string) (Key, error) {
	if err := makeKey(path, log.Origin()); err != nil {
		return Key{}, keyError(log, err)
	}
	k, err := loadKey(path)
	return k, keyError(log, err)
}

func keyError(log LogID, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ledger key of %s: %w", log, err)
}

func loadKey(path string) (Key, error) {
	text, err := readKeyFile(path)
	if err != nil {
		return Key{}, err
	}
	k, err := parseKey(strings.TrimSpace(string(text)))
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
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

func makeKey(path, name string) error {
	private, _, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return writeFile(path, []byte(private+"\n"), 0o600)
}

// parseKey reads "PRIVATE+KEY+name+hash+seed" (golang.org/x/mod/sumdb/note) and derives the public half.
func parseKey(private string) (Key, error) {
	signer, err := note.NewSigner(private)
	if err != nil {
		return Key{}, errors.New("not a signing key") // note's own error may quote the key
	}
	parts := strings.SplitN(private, "+", 5) // the name has no "+", the base64 of the seed may
	seed, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return Key{}, errors.New("not a signing key")
	}
	public, ok := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return Key{}, errors.New("not an Ed25519 key")
	}
	verifier, err := note.NewEd25519VerifierKey(signer.Name(), public)
	return Key{Signer: signer, Verifier: verifier}, err
}

// verifier reads a public key and takes nothing but its one spelling: the hexadecimal digits of its hash have two.
func verifier(key string) (note.Verifier, error) {
	v, err := note.NewVerifier(key)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", key, err)
	}
	raw, err := base64.StdEncoding.DecodeString(key[strings.Index(key, "+")+10:])
	if err != nil || fmt.Sprintf("%s+%08x+%s", v.Name(), v.KeyHash(), base64.StdEncoding.EncodeToString(raw)) != key {
		return nil, fmt.Errorf("key %q is not spelled as it should be", key)
	}
	return v, nil
}
