package cdr

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"callhall/call"
)

// openKeys makes the ciphers of this service out of its one key, so that nothing sealed for one use opens in another.
func (s *Service) openKeys() (err error) {
	if s.entries, err = sealer(s.cfg.Key, "callhall cdr open entry 1"); err != nil {
		return err
	}
	s.cursors, err = sealer(s.cfg.Key, "callhall cdr cursor 1")
	return err
}

// sealer is AES-256-GCM under a key derived from key for one use. It puts its random nonce in front of what it seals.
func sealer(key []byte, use string) (cipher.AEAD, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("the key has %d bytes, not 32", len(key))
	}
	derived, err := hkdf.Key(sha256.New, key, nil, use, 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key for %q: %w", use, err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal makes the open entry of r.
func (s *Service) seal(w waiting) (OpenEntry, error) {
	r := w.Record
	data, err := Encode(r)
	if err != nil {
		return OpenEntry{}, err
	}
	e := OpenEntry{City: r.City, ID: r.ID, Node: s.cfg.Node, Run: w.Run, At: w.At}
	e.Sealed = s.entries.Seal(nil, nil, data, bound(e.City, e.ID, e.Node))
	return e, nil
}

// unseal opens e: it must be of this key, and of the call, city and node that it says.
func (s *Service) unseal(e OpenEntry) (call.Record, error) {
	data, err := s.entries.Open(nil, nil, e.Sealed, bound(e.City, e.ID, e.Node))
	if err != nil {
		return call.Record{}, fmt.Errorf("unseal the open entry of call %s: %w", e.ID, err)
	}
	return Decode(data)
}

// bound is what a sealed entry belongs to: its city, call and node, each ended so that none can run into the next.
func bound(city call.CityID, id call.ID, node string) []byte {
	b, _ := json.Marshal([]string{string(city), string(id), node}) // strings always encode
	return b
}
