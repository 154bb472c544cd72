package recording

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// heardObject is an object of three seconds, and its sound.
func heardObject(t *testing.T) (s session, object, wav []byte) {
	t.Helper()
	s, caller := newSession(), talker{freq: 440}
	for i := range 140 {
		s.hears(left, caller.packet(i), float64(i*20))
	}
	object = s.object(t)
	wav, err := readAll(object, s.key)
	if err != nil {
		t.Fatal(err)
	}
	return s, object, wav
}

func readAll(object, key []byte) ([]byte, error) {
	p, err := listen(object, key)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return io.ReadAll(p)
}

// Every bit of the header is bound: its length, its salt, whose it is.
func TestEveryBitOfTheHeader(t *testing.T) {
	s, object, _ := heardObject(t)
	for bit := range objectHeader * 8 {
		changed := bytes.Clone(object)
		changed[bit/8] ^= 1 << (bit % 8)
		if _, err := readAll(changed, s.key); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d, bit %d: %v", bit/8, bit%8, err)
		}
	}
}

// Seconds cannot change places, be left out, come twice, or be taken from another try of the same recording.
func TestSecondsStayInTheirPlaces(t *testing.T) {
	s, object, _ := heardObject(t)
	first := len(object) - 3*chunkSealed
	second := func(b []byte, n int) []byte { return b[first+n*chunkSealed:][:chunkSealed] }
	other := s.object(t)
	for what, change := range map[string]func(b []byte){
		"exchanged":       func(b []byte) { copy(second(b, 0), second(object, 1)); copy(second(b, 1), second(object, 0)) },
		"twice":           func(b []byte) { copy(second(b, 1), second(object, 0)) },
		"last elsewhere":  func(b []byte) { copy(second(b, 0), second(object, 2)) },
		"of another try":  func(b []byte) { copy(second(b, 1), second(other, 1)) },
		"another's front": func(b []byte) { copy(b[:first], other[:first]) },
	} {
		changed := bytes.Clone(object)
		change(changed)
		if _, err := readAll(changed, s.key); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestObjectOfAnotherCityOrKey(t *testing.T) {
	s, object, _ := heardObject(t)
	key := bytes.Clone(s.key)
	key[0] ^= 1
	if _, err := readAll(object, key); !errors.Is(err, ErrDamaged) {
		t.Errorf("another key: %v", err)
	}
	s.entry.City = "helena"
	if _, _, err := readHeader(object, s.entry.City, s.raw, s.key); err != nil {
		t.Fatal(err) // the header alone proves nothing
	}
	o, sealed, err := readHeader(object, "helena", s.raw, s.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.openManifest(object[objectHeader : objectHeader+sealed]); !errors.Is(err, ErrDamaged) {
		t.Errorf("another city: %v", err)
	}
}

// A bare recording, of no sound at all, is an object too.
func TestObjectWithoutSound(t *testing.T) {
	s := newSession()
	wav, err := readAll(s.object(t), s.key)
	if err != nil || len(wav) != wavHeader {
		t.Errorf("%d bytes, %v", len(wav), err)
	}
}

func TestNames(t *testing.T) {
	id := rawID{0xFF, 1, 2}.ID()
	if name := ObjectName(id); name != "rec/74/"+string(id) {
		t.Error(name)
	}
	if back, ok := IDOfObject(ObjectName(id)); !ok || back != id {
		t.Errorf("%v, %v", back, ok)
	}
	if raw, err := parseID(id); err != nil || raw != (rawID{0xFF, 1, 2}) {
		t.Errorf("%v, %v", raw, err)
	}
	for _, name := range []string{"", "rec/", "rec/xx/" + string(id), "rec/74/rec_", string(id), "other/74/" + string(id)} {
		if _, ok := IDOfObject(name); ok {
			t.Errorf("%q is taken for a recording", name)
		}
	}
}
