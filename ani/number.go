package ani

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// redacted is what a sealed thing prints as.
const redacted = "redacted"

// maxDigits is the longest number of ITU-T E.164 §6, country code included.
const maxDigits = 15

// Number is a caller's number, sealed under a random key of this process that only this package can use: printed,
// compared, dumped or read by reflection, from inside whatever struct, it is noise. Two Numbers of the same caller
// differ. The zero Number is none.
type Number struct {
	sealed [32]byte // 16 random bytes, then the length and the digits under AES-CTR with those as counter block
}

// processKey lives as long as the process and is written nowhere.
var processKey = sync.OnceValue(func() cipher.Block {
	var key [32]byte
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // a 32-byte key is always valid
	}
	return block
})

// seal takes 1 to 15 digits, without "+".
func seal(digits string) (n Number) {
	if len(digits) == 0 || len(digits) > maxDigits {
		return Number{}
	}
	var plain [16]byte
	plain[0] = byte(len(digits))
	copy(plain[1:], digits)
	rand.Read(n.sealed[:16])
	n.turn(&plain)
	copy(n.sealed[16:], plain[:])
	return n
}

// open returns the digits, or "" for none.
func (n Number) open() string {
	if n.IsZero() {
		return ""
	}
	var plain [16]byte
	copy(plain[:], n.sealed[16:])
	n.turn(&plain)
	return string(plain[1 : 1+min(plain[0], maxDigits)])
}

// turn seals or opens one block in place: the two are the same act.
func (n *Number) turn(block *[16]byte) {
	var mask [16]byte
	processKey().Encrypt(mask[:], n.sealed[:16])
	subtle.XORBytes(block[:], block[:], mask[:])
}

// IsZero tells whether there is no number.
func (n Number) IsZero() bool { return n.sealed == [32]byte{} }

// Format prints nothing of the number, under any verb.
func (Number) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, redacted) }

// LogValue logs nothing of the number.
func (Number) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes nothing of the number; JSON, XML and YAML use it.
func (Number) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText refuses: a Number is made from headers or from the vault alone.
func (*Number) UnmarshalText([]byte) error { return errSealed }

// GobEncode writes nothing of the number.
func (Number) GobEncode() ([]byte, error) { return []byte(redacted), nil }

// GobDecode refuses, as UnmarshalText.
func (*Number) GobDecode([]byte) error { return errSealed }

var errSealed = errors.New("ani: a number cannot be read from text")

// countryCodeLength is 1, 2 or 3 by the zones of ITU-T E.164: 1 and 7 stand alone, and these pairs are whole codes.
func countryCodeLength(digits string) int {
	if digits[0] == '1' || digits[0] == '7' {
		return 1
	}
	const pairs = "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 " +
		"60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98"
	if strings.Contains(pairs, digits[:2]) {
		return 2
	}
	return 3
}
