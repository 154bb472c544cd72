package ani

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"callhall/call"
)

// age makes a city's key file look old enough for its keys to be dropped.
func (f *insideFixture) age(t *testing.T, city call.CityID) {
	t.Helper()
	old := time.Now().Add(-2 * newKeyAge)
	if err := os.Chtimes(f.keys.path(city), old, old); err != nil {
		t.Fatal(err)
	}
}

// keyCount is how many keys the city's file has.
func (f *insideFixture) keyCount(t *testing.T, city call.CityID) int {
	t.Helper()
	keys, err := f.keys.Keys(city)
	if err != nil {
		t.Fatal(err)
	}
	return len(keys)
}

// Whatever was sealed under an old key opens; the old key goes when nothing needs it, entries having been sealed anew.
func TestRotation(t *testing.T) {
	f := newInside(t, nil)
	notes := register[note]{f.Vault, "note"}
	k := noted(f, "a", "note_1")
	k.DueAt = f.now.Add(400 * day)
	if _, err := notes.add(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	old := f.arrive(t, "a", presentHeaders).Call
	f.Over("a", old)
	other := f.arrive(t, "b", presentHeaders).Call
	f.Over("b", other)
	f.book.take("a")
	node, err := NewVault(f.mem, f.book, f.keys, Config{Now: func() time.Time { return f.now }, Cities: []call.CityID{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Rotate(t.Context(), "a", "operator:olga"); err != nil {
		t.Fatal(err)
	}
	if leaves := f.book.take("a"); len(leaves) != 1 || leaves[0].Kind != KindKey || leaves[0].Actor != "operator:olga" {
		t.Errorf("%+v", leaves)
	}
	fresh := f.arrive(t, "a", presentHeaders).Call
	f.Over("a", fresh)
	if a, b := f.mem.rows[rowKey{"a", old}], f.mem.rows[rowKey{"a", fresh}]; keyID(a.Sealed) == keyID(b.Sealed) {
		t.Error("the new key is not in use")
	}
	opens := func(v *Vault, city call.CityID, id call.ID) {
		t.Helper()
		g, err := v.Release(t.Context(), Request{City: city, Call: id, Purpose: PurposeRouting, Recipient: RecipientEngine, Actor: "engine"})
		if err != nil || g.Value.Reveal() != "+12125550142" {
			t.Errorf("%s of %s: %v", id, city, err)
		}
	}
	opens(f.Vault, "a", old)
	opens(f.Vault, "a", fresh)
	opens(node, "a", fresh) // a process that read the keys before

	if _, err := f.DropKeys(t.Context(), "a", "operator:olga"); err != nil {
		t.Fatal(err)
	}
	if n := f.keyCount(t, "a"); n != 2 {
		t.Errorf("%d keys: a row needs the old one", n)
	}
	f.now = f.now.Add(KeepFor)
	if _, err := f.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.DropKeys(t.Context(), "a", "operator:olga"); !errors.Is(err, ErrTooSoon) {
		t.Errorf("a minute has not passed: %v", err)
	}
	f.age(t, "a")
	if n, err := f.DropKeys(t.Context(), "a", "operator:olga"); n != 1 || err != nil || f.keyCount(t, "a") != 1 {
		t.Errorf("dropped %d, %v", n, err)
	}
	if got, err := notes.get(t.Context(), "a", "note_1"); err != nil || got.Body.Of.open() != "12125550142" || got.Version != 2 {
		t.Errorf("an entry was lost with its key: %+v, %v", got.Entry, err)
	}
	if n := f.keyCount(t, "b"); n != 1 {
		t.Errorf("another city has %d keys", n)
	}
}

func TestKeysStayWhileALeafWaitsInTheSpool(t *testing.T) {
	f, _, _ := newSpooling(t)
	f.arrive(t, "a", presentHeaders)
	if err := f.spoolLeaves("a", call.Leaf{Kind: KindErased}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.DropKeys(t.Context(), "a", "operator:olga"); !errors.Is(err, ErrSpooled) {
		t.Error(err)
	}
}

// A key file is never half written, and never changed by two at once; the newest key is never dropped.
func TestKeyFileIsReplacedAsAWhole(t *testing.T) {
	dir := KeyDir(t.TempDir())
	if _, err := dir.Keys("a"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir.path("a")+".new", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := dir.Add("a"); err == nil || !strings.Contains(err.Error(), "remove") {
		t.Errorf("changed by two at once: %v", err)
	}
	if err := os.Remove(dir.path("a") + ".new"); err != nil {
		t.Fatal(err)
	}
	if err := dir.Add("a"); err != nil {
		t.Fatal(err)
	}
	keys, err := dir.Keys("a")
	if err != nil || len(keys) != 2 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	(&insideFixture{keys: dir}).age(t, "a")
	if err := dir.Drop("a", []uint32{keys[0].ID, keys[1].ID}); err != nil {
		t.Fatal(err)
	}
	left, err := dir.Keys("a")
	if err != nil || len(left) != 1 || left[0].ID != keys[1].ID {
		t.Errorf("%d keys, %v", len(left), err)
	}
	info, err := os.Stat(dir.path("a"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestRotationWantsItsLeaf(t *testing.T) {
	f := newInside(t, nil)
	f.arrive(t, "a", presentHeaders)
	f.book.broken = errTestDisk
	if err := f.Rotate(t.Context(), "a", "operator:olga"); !errors.Is(err, errTestDisk) || f.keyCount(t, "a") != 1 {
		t.Errorf("%d keys, %v", f.keyCount(t, "a"), err)
	}
}
