package ani

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"callhall/call"
)

// Tokens of one number are the same under the same city, use and period, and under no others.
func TestTokensAreUnlinkable(t *testing.T) {
	f := newInside(t, nil)
	start := f.now
	seen := map[string]string{} // token → what made it
	rapid.Check(t, func(rt *rapid.T) {
		city := rapid.SampledFrom([]call.CityID{"a", "b", "c"}).Draw(rt, "city")
		use := rapid.SampledFrom([]tokenUse{"screening", "routing", "lookup", "completion-redial", useAccounting, "network-performance"}).Draw(rt, "use")
		number := rapid.SampledFrom([]string{"12125550142", "12125550143", "13035550199", "442079460123"}).Draw(rt, "number")
		f.now = start.Add(time.Duration(rapid.Int64Range(0, int64(900*day)).Draw(rt, "at")))
		token, key, err := f.token(t.Context(), city, use, seal(number))
		if err != nil || len(token) != 16 {
			rt.Fatalf("%x, %v", token, err)
		}
		made := fmt.Sprint(city, " ", key, " ", number)
		if before, ok := seen[string(token)]; ok && before != made {
			rt.Fatalf("%s and %s have one token", before, made)
		}
		seen[string(token)] = made
		again, _, err := f.token(t.Context(), city, use, seal(number))
		if err != nil || !bytes.Equal(again, token) {
			rt.Fatalf("not stable: %x, %x, %v", token, again, err)
		}
		known, _ := f.knownToken(city, use, seal(number))
		if !bytes.Equal(known, token) {
			rt.Fatalf("from memory %x, want %x", known, token)
		}
	})
}

// A token is matched for as long as it may be wanted, across the change of keys, and not longer.
func TestTokensMatchOverTheBoundary(t *testing.T) {
	f := newInside(t, nil)
	for use, life := range map[tokenUse]struct{ min, max time.Duration }{
		tokenUse(PurposeScreening): {29 * day, 30 * day}, tokenUse(PurposeRedial): {30 * time.Minute, time.Hour},
		useAccounting: {366 * day, 426 * day}, tokenUse(PurposeRouting): {0, day}, tokenUse(PurposeNetwork): {0, day},
	} {
		made := f.now
		token, _, err := f.token(t.Context(), "a", use, seal("12125550142"))
		if err != nil {
			t.Fatal(err)
		}
		matches := func(after time.Duration, number string) bool {
			f.now = made.Add(after)
			defer func() { f.now = made }()
			alive, err := f.tokensAlive(t.Context(), "a", use, seal(number))
			if err != nil {
				t.Fatal(err)
			}
			for _, other := range alive {
				if bytes.Equal(other, token) {
					return true
				}
			}
			return false
		}
		if !matches(0, "12125550142") || !matches(life.min, "12125550142") || matches(0, "12125550143") {
			t.Errorf("%s: no match within %v", use, life.min)
		}
		if matches(life.max, "12125550142") {
			t.Errorf("%s: still matched after %v", use, life.max)
		}
	}
}

// Keys outlive a restart, are shared by two nodes, and are gone when they are due.
func TestTokenKeysAreKeptSealedAndErased(t *testing.T) {
	f := newInside(t, nil)
	use := tokenUse(PurposeScreening)
	first, key, err := f.token(t.Context(), "a", use, seal("12125550142"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.mem.entries); n != 1 {
		t.Fatalf("%d entries", n)
	}
	for k, e := range f.mem.entries {
		if k.kind != kindTokenKey || e.DueAt.Sub(e.At) != 30*day || e.ID != key || bytes.Contains(e.Sealed, []byte(`"key"`)) {
			t.Errorf("%+v", e)
		}
	}
	f.open(t, nil)
	if again, _, err := f.token(t.Context(), "a", use, seal("12125550142")); err != nil || !bytes.Equal(first, again) {
		t.Errorf("after a restart %x, was %x, %v", again, first, err)
	}
	f.now = f.now.Truncate(day).Add(30 * day)
	if _, err := f.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(f.mem.entries) != 0 || len(f.tokens.known) != 0 || len(f.book.take("a")) != 0 {
		t.Errorf("left: %d in the store, %d in memory", len(f.mem.entries), len(f.tokens.known))
	}
}

// lateStore is a store in which another node is always first.
type lateStore struct {
	Store
	ours bool
}

func (s *lateStore) Add(ctx context.Context, e Entry) error {
	if s.ours {
		return s.Store.Add(ctx, e)
	}
	s.ours = true
	if err := s.Store.Add(ctx, e); err != nil {
		return err
	}
	return ErrExists
}

func TestTwoNodesUseOneTokenKey(t *testing.T) {
	f := newInside(t, nil)
	f.store = &lateStore{Store: f.mem}
	token, _, err := f.token(t.Context(), "a", "routing", seal("12125550142"))
	if err != nil {
		t.Fatal(err)
	}
	f.open(t, nil)
	if again, _, err := f.token(t.Context(), "a", "routing", seal("12125550142")); err != nil || !bytes.Equal(token, again) {
		t.Errorf("%x and %x, %v", token, again, err)
	}
}

// Once a key is known the database is not asked, not even for keys that never were; without it nothing is guessed.
func TestTokensReadNoDatabaseTwice(t *testing.T) {
	f := newInside(t, nil)
	use := tokenUse(PurposeScreening)
	if token, _ := f.knownToken("a", use, seal("12125550142")); token != nil {
		t.Errorf("a token from an unread key: %x", token)
	}
	if _, err := f.tokensAlive(t.Context(), "a", use, seal("12125550142")); err != nil {
		t.Fatal(err)
	}
	f.mem.reads, f.mem.broken = 0, errTestDisk
	if tokens, err := f.tokensAlive(t.Context(), "a", use, seal("12125550142")); err != nil || len(tokens) != 1 || f.mem.reads != 0 {
		t.Errorf("%d tokens, %d reads, %v", len(tokens), f.mem.reads, err)
	}
	if _, _, err := f.token(t.Context(), "a", "lookup", seal("12125550142")); !errors.Is(err, errTestDisk) {
		t.Errorf("without the store: %v", err)
	}
	if token, key, err := f.token(t.Context(), "a", use, Number{}); err != nil || token != nil || key == "" {
		t.Errorf("of no number: %s, %v", hex.EncodeToString(token), err)
	}
}
