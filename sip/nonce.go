package sip

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"
)

// nonceLife is how long a challenge may be answered.
const nonceLife = 2 * time.Minute

// A nonceBook makes nonces (RFC 7616 §3.3) and remembers those that were used. A nonce carries its own time and seal,
// bound to the address that it was given to, so that a stranger who asks for many costs no memory; only a right
// answer is remembered, with the highest count seen (nc), so that no answer is good twice.
type nonceBook struct {
	now func() time.Time
	key [32]byte

	mu   sync.Mutex
	used map[string]*usedNonce
}

type usedNonce struct {
	count  uint32
	expiry time.Time
}

// A freshness says what a nonce is still good for.
type freshness int

const (
	nonceForged freshness = iota // not ours, or given to somebody else
	nonceStale                   // ours, and too old
	nonceFresh
)

const nonceSize = 8 + 12 + 16 // time, randomness, seal

func newNonceBook(now func() time.Time) *nonceBook {
	b := &nonceBook{now: now, used: map[string]*usedNonce{}}
	rand.Read(b.key[:])
	return b
}

// issue returns a new nonce for whoever is at src.
func (b *nonceBook) issue(src netip.Addr) string {
	raw := make([]byte, 8+12, nonceSize)
	binary.BigEndian.PutUint64(raw, uint64(b.now().UnixMilli()))
	rand.Read(raw[8:20])
	return base64.RawURLEncoding.EncodeToString(append(raw, b.seal(raw, src)...))
}

func (b *nonceBook) seal(raw []byte, src netip.Addr) []byte {
	mac := hmac.New(sha256.New, b.key[:])
	mac.Write(raw[:20])
	at := src.As16()
	mac.Write(at[:])
	return mac.Sum(nil)[:16]
}

// judge says whether nonce may still be answered from src.
func (b *nonceBook) judge(nonce string, src netip.Addr) freshness {
	raw, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(raw) != nonceSize || !hmac.Equal(raw[20:], b.seal(raw, src)) {
		return nonceForged
	}
	issued := time.UnixMilli(int64(binary.BigEndian.Uint64(raw)))
	if age := b.now().Sub(issued); age < 0 || age > nonceLife {
		return nonceStale
	}
	return nonceFresh
}

// spend marks count as used and reports false when it, or a later one, has been used before. It is called for a fresh
// nonce with a right answer only.
func (b *nonceBook) spend(nonce string, count uint32) bool {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.used[nonce]
	if u == nil {
		u = &usedNonce{expiry: now.Add(nonceLife + time.Second)}
		b.used[nonce] = u
	}
	if count <= u.count {
		return false
	}
	u.count = count
	return true
}

// sweep forgets nonces that are stale by now.
func (b *nonceBook) sweep() {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for nonce, u := range b.used {
		if now.After(u.expiry) {
			delete(b.used, nonce)
		}
	}
}
