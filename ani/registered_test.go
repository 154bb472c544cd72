package ani

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"callhall/call"
)

type note struct {
	Text string     `json:"text"`
	Of   bodyNumber `json:"of"`
}

func noted(f *insideFixture, city call.CityID, id string) kept[note] {
	return kept[note]{Entry: Entry{City: city, ID: id, Call: "cl_1", Token: []byte("token"), State: "open", At: f.now, DueAt: f.now.Add(time.Hour)},
		Body: note{Text: "Ana Gray asks", Of: bodyNumber{seal("12125550142")}}}
}

func TestRegisterKeepsWhatItWasGiven(t *testing.T) {
	f := newInside(t, nil)
	notes := register[note]{f.Vault, "note"}
	k, err := notes.add(t.Context(), noted(f, "a", "note_1"))
	if err != nil || k.Version != 1 || k.Kind != "note" {
		t.Fatalf("%+v, %v", k.Entry, err)
	}
	if _, err := notes.add(t.Context(), noted(f, "a", "note_1")); !errors.Is(err, ErrExists) {
		t.Errorf("added twice: %v", err)
	}
	changed := k
	changed.State, changed.Body.Text = "closed", "Ana Gray has it"
	if changed, err = notes.replace(t.Context(), changed); err != nil || changed.Version != 2 {
		t.Fatalf("%+v, %v", changed.Entry, err)
	}
	if _, err := notes.replace(t.Context(), k); !errors.Is(err, ErrConflict) {
		t.Errorf("changed an old version: %v", err)
	}
	got, err := notes.get(t.Context(), "a", "note_1")
	if err != nil || got.Body.Text != "Ana Gray has it" || got.Body.Of.open() != "12125550142" || got.State != "closed" {
		t.Errorf("%+v, %v", got.Entry, err)
	}
	for name, read := range map[string]func() ([]kept[note], error){
		"list": func() ([]kept[note], error) { return notes.list(t.Context(), "a", "", 9) },
		"of":   func() ([]kept[note], error) { return notes.of(t.Context(), "a", "cl_1") },
		"with": func() ([]kept[note], error) { return notes.with(t.Context(), "a", []byte("x"), []byte("token")) },
	} {
		if all, err := read(); err != nil || len(all) != 1 || all[0].Body.Text != "Ana Gray has it" {
			t.Errorf("%s: %+v, %v", name, all, err)
		}
	}
	if _, err := notes.get(t.Context(), "b", "note_1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("through another city: %v", err)
	}
	if err := notes.erase(t.Context(), "a", "note_1"); err != nil {
		t.Error(err)
	}
	if _, err := notes.get(t.Context(), "a", "note_1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("erased: %v", err)
	}
}

func TestRegisterWantsADueTime(t *testing.T) {
	f := newInside(t, nil)
	for _, spoil := range []func(*kept[note]){
		func(k *kept[note]) { k.DueAt = time.Time{} }, func(k *kept[note]) { k.At = time.Time{} },
		func(k *kept[note]) { k.City = "" }, func(k *kept[note]) { k.ID = "" },
	} {
		k := noted(f, "a", "note_1")
		spoil(&k)
		if _, err := (register[note]{f.Vault, "note"}).add(t.Context(), k); !errors.Is(err, errNoDueTime) {
			t.Errorf("%+v: %v", k.Entry, err)
		}
	}
}

// Every clear field is under the seal, and an entry opens nowhere else.
func TestAChangedEntryDoesNotOpen(t *testing.T) {
	f := newInside(t, nil)
	notes := register[note]{f.Vault, "note"}
	if _, err := f.Keys(t, "b"); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Entry){
		"city": func(e *Entry) { e.City = "b" }, "id": func(e *Entry) { e.ID = "note_2" }, "version": func(e *Entry) { e.Version++ },
		"call": func(e *Entry) { e.Call = "cl_2" }, "token": func(e *Entry) { e.Token = nil }, "state": func(e *Entry) { e.State = "granted" },
		"at": func(e *Entry) { e.At = e.At.Add(1) }, "due": func(e *Entry) { e.DueAt = e.DueAt.Add(1) },
		"kind": func(e *Entry) { e.Kind = "other" }, "sealed": func(e *Entry) { e.Sealed = e.Sealed[:len(e.Sealed)-1] },
		"empty": func(e *Entry) { e.Sealed = nil }, "form": func(e *Entry) { e.Sealed = append([]byte{formRow1}, e.Sealed[1:]...) },
		"key": func(e *Entry) { e.Sealed = append([]byte{formEntry, 1, 2, 3, 4}, e.Sealed[5:]...) },
	} {
		f.mem.entries = map[entryKey]Entry{}
		if _, err := notes.add(t.Context(), noted(f, "a", "note_1")); err != nil {
			t.Fatal(err)
		}
		e := f.mem.entries[entryKey{"a", "note", "note_1"}]
		e.Sealed = bytes.Clone(e.Sealed)
		spoil(&e)
		f.mem.entries = map[entryKey]Entry{{e.City, e.Kind, e.ID}: e}
		if got, err := (register[note]{f.Vault, e.Kind}).get(t.Context(), e.City, e.ID); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %+v, %v", name, got.Entry, err)
		}
	}
}

// Keys makes the city's key.
func (f *insideFixture) Keys(t *testing.T, city call.CityID) ([]Key, error) {
	t.Helper()
	return f.keys.Keys(city)
}

func TestEntriesSayNothingByTheirBytesOrSize(t *testing.T) {
	f := newInside(t, nil)
	sizes := map[int]bool{}
	for i, text := range []string{"", "Ana Gray", strings.Repeat("x", 100)} {
		k := noted(f, "a", fmt.Sprint("note_", i))
		k.Body.Text = text
		if _, err := (register[note]{f.Vault, "note"}).add(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range f.mem.entries {
		sizes[len(e.Sealed)] = true
		if bytes.Contains(e.Sealed, []byte("5550142")) || bytes.Contains(e.Sealed, []byte("Ana")) {
			t.Error("plain text in a sealed entry")
		}
	}
	if len(sizes) != 1 {
		t.Errorf("sizes %v", sizes)
	}
}

// An entry goes at its due time, with its leaf before it; a store that fails loses nothing.
func TestExpireErasesEntries(t *testing.T) {
	f := newInside(t, nil)
	notes := register[note]{f.Vault, "note"}
	for i := range maxErasing + 6 {
		if _, err := notes.add(t.Context(), noted(f, "a", fmt.Sprint("note_", i))); err != nil {
			t.Fatal(err)
		}
	}
	young := noted(f, "a", "note_young")
	young.DueAt = young.DueAt.Add(time.Minute)
	if _, err := notes.add(t.Context(), young); err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(time.Hour - 1)
	if n, err := f.Expire(t.Context()); n != 0 || err != nil {
		t.Fatalf("early: %d, %v", n, err)
	}
	f.now = f.now.Add(1)
	if n, err := f.Expire(t.Context()); n != maxErasing+6 || err != nil {
		t.Fatalf("erased %d, %v", n, err)
	}
	leaves := f.book.take("a")
	if len(leaves) != maxErasing+6 || leaves[0].Kind != KindEntryErased || leaves[0].Facts["register"] != "note" || leaves[0].Call != "cl_1" {
		t.Errorf("%d leaves, %+v", len(leaves), leaves[0])
	}
	if _, err := notes.get(t.Context(), "a", "note_young"); err != nil {
		t.Error("a younger entry went too")
	}
}
