// Package recordingtest is the contract that every store behind recording passes unchanged.
package recordingtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"callhall/call"
	"callhall/recording"
)

// TestObjects runs the contract of recording.Objects. open gives an empty store.
func TestObjects(t *testing.T, open func(*testing.T) recording.Objects) {
	t.Run("what is put is got, whole and by ranges", func(t *testing.T) { ranges(t, open(t)) })
	t.Run("a place has one name", func(t *testing.T) { place(t, open(t), open(t)) })
	t.Run("a second put replaces", func(t *testing.T) { replace(t, open(t)) })
	t.Run("absence has a name", func(t *testing.T) { absence(t, open(t)) })
	t.Run("a put that fails leaves nothing to see", func(t *testing.T) { failedPut(t, open(t)) })
	t.Run("an ended context ends a put", func(t *testing.T) { ended(t, open(t)) })
	t.Run("erase erases this name and no other", func(t *testing.T) { erase(t, open(t)) })
	t.Run("list gives every name", func(t *testing.T) { list(t, open(t)) })
	t.Run("large objects", func(t *testing.T) { large(t, open(t)) })
}

// newName is a name as recordings have it.
func newName() string { return recording.ObjectName(call.NewRecordingID()) }

// noise is n bytes that do not repeat, the same for a seed.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	random.Read(b)
	return b
}

func put(t *testing.T, s recording.Objects, name string, b []byte) {
	t.Helper()
	if err := s.Put(t.Context(), name, int64(len(b)), bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s recording.Objects, name string, off, n int64) []byte {
	t.Helper()
	r, err := s.Get(t.Context(), name, off, n)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

func ranges(t *testing.T, s recording.Objects) {
	name, b := newName(), noise(100_000, 1)
	put(t, s, name, b)
	for _, c := range []struct{ off, n, want int64 }{
		{0, 100_000, 100_000}, {0, 1, 1}, {99_999, 1, 1}, {64, 16_020, 16_020}, {50_000, 0, 0},
		{99_000, 5_000, 1_000}, {100_000, 10, 0}, // a short object gives fewer
	} {
		if got := get(t, s, name, c.off, c.n); !bytes.Equal(got, b[c.off:c.off+c.want]) {
			t.Errorf("%d bytes from %d: %d bytes, not the %d that stand there", c.n, c.off, len(got), c.want)
		}
	}
	info, err := s.Stat(t.Context(), name)
	if err != nil || info.Size != 100_000 || info.Name != name {
		t.Errorf("stat: %+v, %v", info, err)
	}
}

func place(t *testing.T, one, other recording.Objects) {
	if p := one.Place(); !strings.HasPrefix(p, one.Kind()+":") || p == one.Kind()+":" || p == other.Place() {
		t.Errorf("place %q, another one's %q", p, other.Place())
	}
}

func replace(t *testing.T, s recording.Objects) {
	name := newName()
	put(t, s, name, noise(5_000, 1))
	put(t, s, name, noise(3_000, 2))
	if got := get(t, s, name, 0, 10_000); !bytes.Equal(got, noise(3_000, 2)) {
		t.Errorf("%d bytes, not the second put's", len(got))
	}
}

func absence(t *testing.T, s recording.Objects) {
	name := newName()
	if _, err := s.Stat(t.Context(), name); !errors.Is(err, recording.ErrNoObject) {
		t.Errorf("stat: %v", err)
	}
	if _, err := s.Get(t.Context(), name, 0, 10); !errors.Is(err, recording.ErrNoObject) {
		t.Errorf("get: %v", err)
	}
	if e, err := s.Erase(t.Context(), name); err != nil || e != (recording.Erased{}) {
		t.Errorf("erase: %+v, %v", e, err)
	}
}

var errSource = errors.New("the source broke")

func failedPut(t *testing.T, s recording.Objects) {
	broken := io.MultiReader(bytes.NewReader(noise(2_000, 1)), errReader{errSource})
	short := bytes.NewReader(noise(2_000, 1))
	for what, r := range map[string]io.Reader{"broken": broken, "short": short} {
		name := newName()
		if err := s.Put(t.Context(), name, 3_000, r); err == nil {
			t.Errorf("%s source: put succeeded", what)
		}
		if _, err := s.Stat(t.Context(), name); !errors.Is(err, recording.ErrNoObject) {
			t.Errorf("%s source: something is there: %v", what, err)
		}
		if _, err := s.Erase(t.Context(), name); err != nil {
			t.Errorf("%s source: erase: %v", what, err)
		}
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

func ended(t *testing.T, s recording.Objects) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	name := newName()
	if err := s.Put(ctx, name, 1_000, bytes.NewReader(noise(1_000, 1))); err == nil {
		t.Error("put succeeded")
	}
	if _, err := s.Stat(t.Context(), name); !errors.Is(err, recording.ErrNoObject) {
		t.Errorf("something is there: %v", err)
	}
}

func erase(t *testing.T, s recording.Objects) {
	name, near := newName(), newName()
	longer := name + "x" // begins with the same letters
	for i, n := range []string{name, name, near, longer} {
		put(t, s, n, noise(1_000, uint64(i)))
	}
	e, err := s.Erase(t.Context(), name)
	if err != nil || e.Versions < 1 {
		t.Fatalf("erase: %+v, %v", e, err)
	}
	if _, err := s.Stat(t.Context(), name); !errors.Is(err, recording.ErrNoObject) {
		t.Errorf("still there: %v", err)
	}
	if e, err := s.Erase(t.Context(), name); err != nil || e != (recording.Erased{}) {
		t.Errorf("something was left: %+v, %v", e, err)
	}
	get(t, s, near, 0, 1_000)
	get(t, s, longer, 0, 1_000)
	put(t, s, name, noise(500, 9)) // a name may be used again: a late upload does
	if got := get(t, s, name, 0, 500); !bytes.Equal(got, noise(500, 9)) {
		t.Error("not what was put after erasing")
	}
}

func list(t *testing.T, s recording.Objects) {
	want := map[string]bool{}
	for i := range 20 {
		name := newName()
		want[name] = true
		put(t, s, name, noise(100+i, uint64(i)))
	}
	for o, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if o.Since.IsZero() || o.Size < 100 {
			t.Errorf("%+v", o)
		}
		delete(want, o.Name)
	}
	if len(want) > 0 {
		t.Errorf("%d of 20 names are missing", len(want))
	}
	for range s.List(t.Context()) {
		break // a reader may leave early
	}
}

// large is more than one part of an S3 upload, read from something that cannot seek.
func large(t *testing.T, s recording.Objects) {
	name, b := newName(), noise(33<<20+17, 3)
	if err := s.Put(t.Context(), name, int64(len(b)), io.MultiReader(bytes.NewReader(b))); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, name, 32<<20, 2<<20); !bytes.Equal(got, b[32<<20:]) {
		t.Errorf("the end: %d bytes, not the %d that were put", len(got), 1<<20+17)
	}
	if e, err := s.Erase(t.Context(), name); err != nil || e.Versions != 1 {
		t.Errorf("erase: %+v, %v", e, err)
	}
}
