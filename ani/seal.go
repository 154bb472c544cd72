package ani

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
)

// What is sealed begins with a byte for its form, then the id of the key (4 bytes) and the nonce (12); AES-256-GCM of
// the rest follows.
const (
	formRow1  = 1 // a vault's row as the first version wrote it: the number alone
	formEntry = 3 // what a register's entry says
)

// sealHead is the length of form and key id.
const sealHead = 5

// sealed returns plain sealed under k; bound is what the seal covers without hiding it.
func sealed(form byte, k Key, plain, bound []byte) []byte {
	size := k.AEAD.NonceSize()
	out := make([]byte, sealHead+size, sealHead+size+len(plain)+k.AEAD.Overhead())
	out[0] = form
	binary.BigEndian.PutUint32(out[1:], k.ID)
	rand.Read(out[sealHead:])
	return k.AEAD.Seal(out, out[sealHead:], plain, bound)
}

// opened is the reverse of sealed. Errors: ErrDamaged.
func opened(form byte, keys []Key, s, bound []byte) ([]byte, error) {
	if len(s) < sealHead || s[0] != form {
		return nil, ErrDamaged
	}
	for _, k := range keys {
		if k.ID != keyID(s) {
			continue
		}
		head := sealHead + k.AEAD.NonceSize()
		if len(s) < head {
			return nil, ErrDamaged
		}
		plain, err := k.AEAD.Open(nil, s[sealHead:head], s[head:], bound)
		if err != nil {
			return nil, ErrDamaged // without the cause, which says no more
		}
		return plain, nil
	}
	return nil, fmt.Errorf("%w: no key %08x in the key file", ErrDamaged, keyID(s))
}

// keyID is the key that s was sealed with; s has a head.
func keyID(s []byte) uint32 { return binary.BigEndian.Uint32(s[1:]) }

// sealRow fills in row.Sealed: under the city's key one block with the length and the digits of the number, so that the
// size says nothing of it. The rest of the row is bound in.
func sealRow(k Key, row *VaultRow, n Number) {
	var block [16]byte
	block[0] = byte(copy(block[1:], n.open()))
	row.Sealed = sealed(formRow1, k, block[:], bound(*row))
	clear(block[:])
}

// openRow gives the number back, zero where the row has none. Errors: ErrDamaged.
func openRow(keys []Key, row VaultRow) (Number, error) {
	block, err := opened(formRow1, keys, row.Sealed, bound(row))
	if err != nil {
		return Number{}, err
	}
	if len(block) != 16 || block[0] > maxDigits {
		return Number{}, ErrDamaged
	}
	n := seal(string(block[1 : 1+block[0]]))
	clear(block)
	return n, nil
}

// bound is everything in a row but the seal itself.
func bound(row VaultRow) []byte {
	return fmt.Appendf(nil, "callhall vault row v1 %q %q %q %q %q %t %d %d", row.City, row.Call, row.Status, row.Verstat,
		row.Source, row.Private, row.CapturedAt.UnixNano(), row.DueAt.UnixNano())
}
