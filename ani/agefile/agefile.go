// Package agefile is the way of a billing batch to one carrier: a directory of files sealed with age
// (age-encryption.org/v1) to the carrier's X25519 key. Only the carrier can open them, whoever carries them.
package agefile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
)

var (
	// ErrRecipient says that a text is no public key of a carrier.
	ErrRecipient = errors.New("agefile: this is no public key of age: it begins with age1 and has 62 characters")
	// ErrIdentity says that a text is a private key: it belongs to the carrier alone.
	ErrIdentity = errors.New("agefile: this is a private key, which nobody but the carrier may have: the carrier makes a new pair " +
		"and sends the line that begins with age1")

	errName = errors.New("agefile: a batch has a plain name")
)

// Carrier delivers to one carrier. It is an ani.Carrier.
type Carrier struct {
	recipient *age.X25519Recipient
	dir       string
}

// New returns the way to a carrier with this public key. The directory is made, for this user alone, with the first batch.
// Errors: ErrRecipient, ErrIdentity.
func New(recipient, dir string) (*Carrier, error) {
	r, err := parse(recipient)
	if err != nil {
		return nil, err
	}
	return &Carrier{r, dir}, nil
}

// Check tells what is wrong with a public key. Errors: ErrRecipient, ErrIdentity.
func Check(recipient string) error {
	_, err := parse(recipient)
	return err
}

// parse says nothing of the text in its errors: it may be a secret.
func parse(text string) (*age.X25519Recipient, error) {
	if strings.Contains(strings.ToUpper(text), "AGE-SECRET-KEY") {
		return nil, ErrIdentity
	}
	r, err := age.ParseX25519Recipient(text)
	if err != nil {
		return nil, ErrRecipient
	}
	return r, nil
}

// Key implements ani.Carrier.
func (c *Carrier) Key() string {
	sum := sha256.Sum256([]byte(c.recipient.String()))
	return hex.EncodeToString(sum[:])
}

// Deliver implements ani.Carrier. The file is for this user alone; nothing of the batch is ever on the disk unsealed. A
// file that the carrier has fetched away is written again if a batch is delivered again.
func (c *Carrier) Deliver(_ context.Context, name string, batch []byte) error {
	if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return errName
	}
	if err := errors.Join(os.MkdirAll(c.dir, 0o700), syncDir(filepath.Dir(c.dir))); err != nil {
		return fmt.Errorf("deliver %s: %w", name, err)
	}
	final, part := filepath.Join(c.dir, name), filepath.Join(c.dir, "."+name+".part")
	switch _, err := os.Lstat(final); {
	case err == nil:
		return syncDir(c.dir)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("deliver %s: %w", name, err)
	}
	if err := c.write(part, batch); err != nil {
		return fmt.Errorf("deliver %s: %w", name, err) // what there is of it is sealed, and the next try writes over it
	}
	if err := os.Rename(part, final); err != nil {
		return fmt.Errorf("deliver %s: %w", name, err)
	}
	return syncDir(c.dir)
}

// write seals a batch into a file and returns when it is on the disk.
func (c *Carrier) write(path string, batch []byte) error {
	sealed, err := c.seal(batch)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(sealed)
	return errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close())
}

func (c *Carrier) seal(batch []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, c.recipient)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if _, err := w.Write(batch); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return out.Bytes(), nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
