package ani

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"strings"
	"sync"
)

// maxDigits is the longest number of ITU-T E.164 §6, country code included.
const maxDigits = 15

// Number is a caller's number, sealed under a random key of this process that only this package can use: printed,
// compared, dumped or read by reflection, from inside whatever struct, it is noise. Two Numbers of the same caller
// differ. The zero Number is none.
type Number struct {
	discreet
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
	n.sealed[16] = byte(len(digits))
	copy(n.sealed[17:], digits)
	hide(n.sealed[:])
	return n
}

// open returns the digits, or "" for none.
func (n Number) open() string {
	if n.IsZero() {
		return ""
	}
	turn(n.sealed[:])
	plain := n.sealed[16:]
	return string(plain[1 : 1+min(plain[0], maxDigits)])
}

// IsZero tells whether there is no number.
func (n Number) IsZero() bool { return n.sealed == [32]byte{} }

// hide seals in place what stands behind the first 16 bytes, which it makes random.
func hide(box []byte) {
	rand.Read(box[:aes.BlockSize])
	turn(box)
}

// turn seals or opens in place what stands behind the first 16 bytes, in blocks of 16: AES-CTR, with those as the
// counter. The two are the same act.
func turn(box []byte) {
	key := processKey()
	buf := make([]byte, 2*aes.BlockSize)
	counter, mask := buf[:aes.BlockSize], buf[aes.BlockSize:]
	copy(counter, box)
	for text := box[aes.BlockSize:]; len(text) >= aes.BlockSize; text = text[aes.BlockSize:] {
		key.Encrypt(mask, counter)
		subtle.XORBytes(text, text[:aes.BlockSize], mask)
		counter[aes.BlockSize-1]++
	}
}

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
