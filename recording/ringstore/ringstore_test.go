package ringstore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"callhall/call"
	"callhall/recording"
	"callhall/recording/recordingtest"
)

func TestContract(t *testing.T) {
	recordingtest.TestRing(t, func(t *testing.T) func() recording.Ring {
		dir := t.TempDir()
		var last *Ring
		t.Cleanup(func() { last.Close() })
		return func() recording.Ring {
			if last != nil {
				last.Close()
			}
			last = open(t, dir)
			return last
		}
	})
}

func open(t *testing.T, dir string) *Ring {
	t.Helper()
	keys, err := OpenKeyFiles(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(filepath.Join(dir, "ring"), keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const minute = int64(29_000_000)

// Destroying overwrites the slot in place: its bytes are in the file before and not after, and the file does not grow.
func TestSlotIsOverwrittenInPlace(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	defer r.Close()
	if _, err := r.Wrap(t.Context(), "aspen", minute, make([]byte, 32), nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ring", "aspen.ring")
	before := read(t, path)
	slot := bytes.Clone(before[offset(minute)+8:][:sealedTo-8])
	if _, err := r.Destroy(t.Context(), minute+1); err != nil {
		t.Fatal(err)
	}
	after := read(t, path)
	if bytes.Contains(after, slot[:16]) || bytes.Contains(after, slot[20:36]) || len(after) != len(before) {
		t.Error("the sealed key is still in the file")
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Whoever revokes a city's key makes all that city's audio unreadable, and no other's.
func TestCityKeyRevoked(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	aspen, err := r.Wrap(t.Context(), "aspen", minute, make([]byte, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	helena, err := r.Wrap(t.Context(), "helena", minute, make([]byte, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if err := os.Remove(filepath.Join(dir, "keys", "aspen.key")); err != nil {
		t.Fatal(err)
	}
	r = open(t, dir)
	defer r.Close()
	if _, err := r.Unwrap(t.Context(), "aspen", minute, aspen, nil); !errors.Is(err, recording.ErrNoKey) {
		t.Errorf("revoked: %v", err)
	}
	if _, err := r.Unwrap(t.Context(), "helena", minute, helena, nil); err != nil {
		t.Errorf("the other city: %v", err)
	}
}

func TestDamagedSlotOpensNothing(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	defer r.Close()
	w, err := r.Wrap(t.Context(), "aspen", minute, make([]byte, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ring", "aspen.ring")
	b := read(t, path)
	b[offset(minute)+30] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Unwrap(t.Context(), "aspen", minute, w, nil); !errors.Is(err, recording.ErrNoKey) {
		t.Errorf("%v", err)
	}
}

// A slot whose old key was never destroyed is not overwritten in silence.
func TestSlotInUseIsRefused(t *testing.T) {
	r := open(t, t.TempDir())
	defer r.Close()
	if _, err := r.Wrap(t.Context(), "aspen", minute, make([]byte, 32), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Wrap(t.Context(), "aspen", minute+slots, make([]byte, 32), nil); err == nil {
		t.Error("overwritten")
	}
}

func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	keys, err := OpenKeyFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	first, err := keys.Key("aspen")
	if err != nil || len(first) != keySize {
		t.Fatal(len(first), err)
	}
	if again, err := keys.Key("aspen"); err != nil || !bytes.Equal(first, again) {
		t.Error("another key", err)
	}
	path := filepath.Join(dir, "aspen.key")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Key("aspen"); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("readable by others: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "short.key"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, city := range []string{"short", "../aspen", "", "a/b"} {
		if _, err := keys.Key(call.CityID(city)); err == nil {
			t.Errorf("%q was taken", city)
		}
	}
}
