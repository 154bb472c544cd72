package recording

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"callhall/call"
)

// keySize is the length of every key here: AES-256.
const keySize = 32

// wrappedSize is the length of a data key sealed by sealKey: nonce, key, tag.
const wrappedSize = 12 + keySize + 16

// tagSize is what AES-GCM adds to what it seals.
const tagSize = 16

// Names under which keys are derived from a recording's data key, so that no two uses ever share a nonce.
const (
	useSpool  = "callhall recording spool 1"
	useObject = "callhall recording object 1"
)

// newKey returns a random key.
func newKey() []byte {
	key := make([]byte, keySize)
	rand.Read(key)
	return key
}

// derive makes the cipher of one use of a recording's data key (HKDF-SHA256, RFC 5869; AES-256-GCM).
func derive(key, salt []byte, use string) (cipher.AEAD, error) {
	sub, err := hkdf.Key(sha256.New, key, salt, use, keySize)
	if err != nil {
		return nil, fmt.Errorf("derive %s key: %w", use, err)
	}
	return newAEAD(sub)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// nonce numbers what is sealed under one derived key: kind tells the manifest from the sound.
func nonce(kind byte, n uint32) (b [12]byte) {
	b[0] = kind
	binary.BigEndian.PutUint32(b[8:], n)
	return b
}

// bind appends the associated data of one sealed piece to dst: what it is, whose it is, its number and whether it is
// the last. A piece moved to another city, recording, place or end does not open.
func bind(dst []byte, use string, city call.CityID, id rawID, n uint32, last bool) []byte {
	dst = append(dst, use...)
	dst = append(dst, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(city)))
	dst = append(dst, city...)
	dst = append(dst, id[:]...)
	dst = binary.BigEndian.AppendUint32(dst, n)
	if last {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// sealKey wraps key under a, bound to aad: nonce, ciphertext, tag (wrappedSize bytes).
func sealKey(a cipher.AEAD, key, aad []byte) []byte {
	out := make([]byte, 12, wrappedSize)
	rand.Read(out)
	return a.Seal(out, out[:12], key, aad)
}

// openKey is the inverse of sealKey. Errors: when wrapped was not made under a with this aad.
func openKey(a cipher.AEAD, wrapped, aad []byte) ([]byte, error) {
	if len(wrapped) != wrappedSize {
		return nil, fmt.Errorf("wrapped key has %d bytes, not %d", len(wrapped), wrappedSize)
	}
	return a.Open(nil, wrapped[:12], wrapped[12:], aad)
}

// keyBinding is the associated data of a data key wrapped for its due minute.
func keyBinding(city call.CityID, id rawID) []byte {
	return bind(nil, "callhall recording key 1", city, id, 0, false)
}

// openSpooled opens a chunk of the spool into dst.
func openSpooled(a cipher.AEAD, city call.CityID, c chunk, dst []byte) ([]byte, error) {
	iv := nonce(kindSound, c.number)
	plain, err := a.Open(dst[:0], iv[:], c.sealed, bind(nil, useSpool, city, c.id, c.number, c.last))
	if err != nil {
		return nil, fmt.Errorf("spool: chunk %d: %w", c.number, ErrDamaged)
	}
	return plain, nil
}
