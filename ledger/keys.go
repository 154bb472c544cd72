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

	"callhall/call"
)

// Key signs one city's checkpoints.
type Key struct {
	Signer   note.Signer
	Verifier string // the public half, to be given to everybody
}

// Keys has the signing key of each city.
type Keys interface {
	// Key returns the city's key; if there is none it makes one when make is true and fails otherwise.
	Key(city call.CityID, make bool) (Key, error)
}

// ErrNoKey says that a ledger with leaves has lost its signing key.
var ErrNoKey = errors.New("ledger: the signing key is missing; put the key file back from its backup")

// KeyDir keeps each city's Ed25519 key in a file of its own, CITY.ledger-key, for this user alone.
type KeyDir string

// Key implements Keys.
func (dir KeyDir) Key(city call.CityID, create bool) (Key, error) {
	if !cityName.MatchString(string(city)) {
		return Key{}, fmt.Errorf("%w: %q is not a city's name", ErrRefused, city)
	}
	path := filepath.Join(string(dir), string(city)+".ledger-key")
	text, err := readKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return Key{}, fmt.Errorf("%w: %s", ErrNoKey, path)
		}
		text, err = makeKey(path, Origin(city))
	}
	if err != nil {
		return Key{}, fmt.Errorf("ledger key of %s: %w", city, err)
	}
	k, err := parseKey(strings.TrimSpace(string(text)))
	if err != nil {
		return Key{}, fmt.Errorf("ledger key of %s in %s: %w", city, path, err)
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

func makeKey(path, name string) ([]byte, error) {
	private, _, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	text := []byte(private + "\n")
	return text, writeFile(path, text, 0o600)
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
