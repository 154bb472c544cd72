package ani

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"callhall/call"
)

// A token stands for a number where the number may not: HMAC-SHA-256 of the digits, cut to 128 bits, under a random key
// that belongs to one city, one use and one period. Without that key nothing tells that two tokens are of one number,
// and the key is erased when its time is over: what is left of the token is then noise.

// tokenSize is the length of a token, in bytes.
const tokenSize = 16

// tokenUse is what a token is for. No two uses share a key.
type tokenUse string

// The uses that are no purpose of the terms; every other use is named as its purpose.
const (
	useAccounting tokenUse = "accounting" // which releases were of one subject's number
	useConsent    tokenUse = "consent"    // which consents are of one number
)

// tokenLife says for how long a key makes tokens, and for how long after that it can still match them.
type tokenLife struct{ period, keep time.Duration }

const day = 24 * time.Hour

// tokenLives has the uses whose keys do not live for one day.
var tokenLives = map[tokenUse]tokenLife{
	tokenUse(PurposeScreening): {day, maxScreening - day},            // D15: a token can be matched for at most 30 days
	tokenUse(PurposeNetwork):   {day, 0},                             // D17
	tokenUse(PurposeRedial):    {30 * time.Minute, 30 * time.Minute}, // D48
	useAccounting:              {30 * day, 396 * day},                // O8: twelve months back, and the month it is asked in
	useConsent:                 {366 * day, maxConsent},              // as long as a consent can be given for
}

func (u tokenUse) life() tokenLife {
	if l, ok := tokenLives[u]; ok {
		return l
	}
	return tokenLife{period: day}
}

// kindTokenKey is the register of token keys.
const kindTokenKey Kind = "token-key"

// tokenSecret is the body of a token key's entry.
type tokenSecret struct {
	Key []byte `json:"key"`
}

// tokenKeyID names a key. It may stand in a leaf.
func tokenKeyID(u tokenUse, from time.Time) string {
	return string(u) + "@" + from.Format(time.RFC3339)
}

// tokensEnd is when a token that is made now can no longer be matched.
func (v *Vault) tokensEnd(u tokenUse) time.Time {
	life := u.life()
	return v.cfg.Now().UTC().Truncate(life.period).Add(life.period + life.keep)
}

// tokenKeys has the keys that this process knows, so that making or matching a token reads no database.
type tokenKeys struct {
	mu    sync.RWMutex
	known map[tokenPeriod]*tokenKey
}

// tokenPeriod is what a key is for: one city, one use, and the period that began at from (Unix seconds).
type tokenPeriod struct {
	city call.CityID
	use  tokenUse
	from int64
}

// tokenKey is one key, or the knowledge that there is none.
type tokenKey struct {
	id      string
	dueAt   time.Time
	reading sync.Mutex             // held while it is read or made
	secret  atomic.Pointer[[]byte] // nil: not read yet; to nil: the store had none when we looked
}

// tokenKeyAt returns the city's key of the period that began at from.
func (v *Vault) tokenKeyAt(city call.CityID, u tokenUse, from time.Time) *tokenKey {
	t, at := &v.tokens, tokenPeriod{city, u, from.Unix()}
	t.mu.RLock()
	k := t.known[at]
	t.mu.RUnlock()
	if k != nil {
		return k
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = map[tokenPeriod]*tokenKey{}
	}
	if t.known[at] == nil {
		life := u.life()
		t.known[at] = &tokenKey{id: tokenKeyID(u, from), dueAt: from.Add(life.period + life.keep)}
	}
	return t.known[at]
}

// forgetTokenKeys drops what is due from memory.
func (v *Vault) forgetTokenKeys(now time.Time) {
	v.tokens.mu.Lock()
	defer v.tokens.mu.Unlock()
	for at, k := range v.tokens.known {
		if !now.Before(k.dueAt) {
			delete(v.tokens.known, at)
		}
	}
}

// token makes the city's token of a number for one use, and names the key it was made with.
func (v *Vault) token(ctx context.Context, city call.CityID, u tokenUse, n Number) (token []byte, key string, err error) {
	from := v.cfg.Now().UTC().Truncate(u.life().period)
	k := v.tokenKeyAt(city, u, from)
	secret, err := v.tokenKey(ctx, city, k, from, true)
	if err != nil {
		return nil, "", fmt.Errorf("token of a number for %s: %w", u, err)
	}
	return tokenOf(secret, n), k.id, nil
}

// knownToken is token without the database: nil when this process has not used the key yet.
func (v *Vault) knownToken(city call.CityID, u tokenUse, n Number) (token []byte, key string) {
	k := v.tokenKeyAt(city, u, v.cfg.Now().UTC().Truncate(u.life().period))
	secret := k.secret.Load()
	if secret == nil || *secret == nil {
		return nil, ""
	}
	return tokenOf(*secret, n), k.id
}

// prepareEmergencies has the key in memory with which the leaf of an emergency names its number.
func (v *Vault) prepareEmergencies(ctx context.Context) error {
	use := tokenUse(PurposeEmergency)
	from := v.cfg.Now().UTC().Truncate(use.life().period)
	var errs []error
	for _, city := range v.cfg.Cities {
		if _, err := v.tokenKey(ctx, city, v.tokenKeyAt(city, use, from), from, true); err != nil {
			errs = append(errs, fmt.Errorf("token key of emergencies in %s: %w", city, err))
		}
	}
	return errors.Join(errs...)
}

// tokensAlive returns the tokens of a number for one use under every key that still lives, the newest first: a token made
// before the last change of keys is matched too.
func (v *Vault) tokensAlive(ctx context.Context, city call.CityID, u tokenUse, n Number) (tokens [][]byte, err error) {
	now, life := v.cfg.Now().UTC(), u.life()
	present := now.Truncate(life.period)
	for from := present; now.Before(from.Add(life.period + life.keep)); from = from.Add(-life.period) {
		secret, err := v.tokenKey(ctx, city, v.tokenKeyAt(city, u, from), from, from.Equal(present))
		if err != nil {
			return nil, fmt.Errorf("tokens of a number for %s: %w", u, err)
		}
		if secret != nil {
			tokens = append(tokens, tokenOf(secret, n))
		}
	}
	return tokens, nil
}

// tokenKey returns the secret of k, reading it at its first use. The key of the present period is made where there is
// none; that there is none of a past one is remembered, since nobody makes it any more.
func (v *Vault) tokenKey(ctx context.Context, city call.CityID, k *tokenKey, from time.Time, present bool) ([]byte, error) {
	if secret := k.secret.Load(); secret != nil {
		return *secret, nil
	}
	k.reading.Lock()
	defer k.reading.Unlock()
	if secret := k.secret.Load(); secret != nil {
		return *secret, nil
	}
	keys := register[tokenSecret]{v, kindTokenKey}
	entry, err := keys.get(ctx, city, k.id)
	if errors.Is(err, ErrNotFound) && !present {
		k.secret.Store(new([]byte))
		return nil, nil
	}
	if errors.Is(err, ErrNotFound) {
		entry, err = v.makeTokenKey(ctx, city, k, from)
	}
	if err != nil {
		return nil, err
	}
	k.secret.Store(&entry.Body.Key)
	return entry.Body.Key, nil
}

// makeTokenKey writes a fresh key. Of two nodes that do so at once one is first, and both use its key.
func (v *Vault) makeTokenKey(ctx context.Context, city call.CityID, k *tokenKey, from time.Time) (kept[tokenSecret], error) {
	keys := register[tokenSecret]{v, kindTokenKey}
	secret := make([]byte, sha256.Size)
	rand.Read(secret)
	entry, err := keys.add(ctx, kept[tokenSecret]{Entry: Entry{City: city, ID: k.id, At: from, DueAt: k.dueAt}, Body: tokenSecret{secret}})
	if errors.Is(err, ErrExists) {
		return keys.get(ctx, city, k.id)
	}
	return entry, err
}

func tokenOf(secret []byte, n Number) []byte {
	if n.IsZero() {
		return nil
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(n.open()))
	return mac.Sum(nil)[:tokenSize]
}

// tokenFacts is a token as it stands in a leaf.
func tokenFacts(facts map[string]string, token []byte, key string) {
	if len(token) > 0 {
		facts["token"], facts["token_key"] = hex.EncodeToString(token), key
	}
}
