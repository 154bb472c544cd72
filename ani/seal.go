package ani

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strconv"
)

// What is sealed begins with a byte for its form, then the id of the key (4 bytes) and the nonce (12); AES-256-GCM of
// the rest follows.
const (
	formRow1  = 1 // a vault's row as the first version wrote it: the number alone
	formRow2  = 2 // a vault's row: rowblock.go
	formEntry = 3 // what a register's entry says
	formLeaf  = 4 // a leaf in the emergency spool
	formLine  = 5 // a line of an accounting there
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

// opened is the reverse of sealed. Errors: ErrDamaged, ErrNoKey.
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
	return nil, fmt.Errorf("%w %08x", ErrNoKey, keyID(s))
}

// keyID is the key that s was sealed with; s has a head.
func keyID(s []byte) uint32 { return binary.BigEndian.Uint32(s[1:]) }

// sealRow fills in row.Sealed: under the city's key one block of a fixed size with all that is personal, so that the size
// says nothing of it. The rest of the row is bound in.
func sealRow(k Key, row *VaultRow, h held) {
	block := h.block()
	row.Sealed = sealed(formRow2, k, block, bound(2, *row))
	clear(block)
}

// openRow gives back what the row holds, in either form. Errors: ErrDamaged, ErrNoKey.
func openRow(keys []Key, row VaultRow) (held, error) {
	if len(row.Sealed) > 0 && row.Sealed[0] == formRow1 {
		return openRow1(keys, row)
	}
	block, err := opened(formRow2, keys, row.Sealed, bound(2, row))
	if err != nil {
		return held{}, err
	}
	defer clear(block)
	h := held{Identity: Identity{Status: row.Status, Verstat: row.Verstat, Private: row.Private}}
	return h, h.read(block)
}

// openRow1 reads a row of the first version: a length and the digits, in 16 bytes.
func openRow1(keys []Key, row VaultRow) (held, error) {
	block, err := opened(formRow1, keys, row.Sealed, bound(1, row))
	if err != nil {
		return held{}, err
	}
	defer clear(block)
	if len(block) != 16 || block[0] > maxDigits {
		return held{}, ErrDamaged
	}
	h := held{Identity: Identity{Number: seal(string(block[1 : 1+block[0]])), Status: row.Status, Verstat: row.Verstat,
		Source: row.Source, Private: row.Private}}
	if h.Private {
		h.Privacy = PrivacyID // those rows did not keep which values there were
	}
	return h, nil
}

// bound is everything in a row but the seal itself.
func bound(version int, row VaultRow) []byte {
	b := strconv.AppendInt(append(make([]byte, 0, 256), "callhall vault row v"...), int64(version), 10)
	for _, word := range [...]string{string(row.City), string(row.Call), string(row.Status), string(row.Verstat), string(row.Source)} {
		b = strconv.AppendQuote(append(b, ' '), word)
	}
	b = strconv.AppendBool(append(b, ' '), row.Private)
	b = strconv.AppendInt(append(b, ' '), row.CapturedAt.UnixNano(), 10)
	return strconv.AppendInt(append(b, ' '), row.DueAt.UnixNano(), 10)
}
