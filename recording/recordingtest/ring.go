package recordingtest

import (
	"bytes"
	"errors"
	"testing"

	"callhall/recording"
)

// TestRing runs the contract of recording.Ring. open gives the same ring again each time it is called in one test, as
// after a restart; the first time an empty one.
func TestRing(t *testing.T, open func(*testing.T) func() recording.Ring) {
	t.Run("wrap and unwrap", func(t *testing.T) { wrap(t, open(t)) })
	t.Run("destroyed is destroyed", func(t *testing.T) { destroy(t, open(t)) })
}

const minute = int64(29_000_000) // in the year 2025

var dataKey = bytes.Repeat([]byte("k"), 32)

func wrap(t *testing.T, open func() recording.Ring) {
	ctx, r := t.Context(), open()
	w, err := r.Wrap(ctx, "aspen", minute, dataKey, []byte("aad"))
	must(t, err)
	again, err := r.Wrap(ctx, "aspen", minute, dataKey, []byte("aad"))
	must(t, err)
	if bytes.Equal(w, again) {
		t.Error("the same key twice gives the same bytes")
	}
	for range 2 {
		key, err := r.Unwrap(ctx, "aspen", minute, w, []byte("aad"))
		if err != nil || !bytes.Equal(key, dataKey) {
			t.Errorf("unwrap: %v", err)
		}
		r = open() // once more after a restart
	}
	_, err = r.Wrap(ctx, "helena", minute, dataKey, nil)
	must(t, err)
	flipped := bytes.Clone(w)
	flipped[20] ^= 1
	for what, f := range map[string]func() ([]byte, error){
		"another city's":   func() ([]byte, error) { return r.Unwrap(ctx, "helena", minute, w, []byte("aad")) },
		"another minute's": func() ([]byte, error) { return r.Unwrap(ctx, "aspen", minute+1, w, []byte("aad")) },
		"another binding":  func() ([]byte, error) { return r.Unwrap(ctx, "aspen", minute, w, []byte("axd")) },
		"a flipped bit":    func() ([]byte, error) { return r.Unwrap(ctx, "aspen", minute, flipped, []byte("aad")) },
		"nothing":          func() ([]byte, error) { return r.Unwrap(ctx, "aspen", minute, nil, []byte("aad")) },
	} {
		if _, err := f(); !errors.Is(err, recording.ErrNoKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func destroy(t *testing.T, open func() recording.Ring) {
	ctx, r := t.Context(), open()
	wrapped := map[int64][]byte{}
	for m := minute; m < minute+4; m++ {
		w, err := r.Wrap(ctx, "aspen", m, dataKey, nil)
		must(t, err)
		wrapped[m] = w
	}
	if n, err := r.Destroy(ctx, minute+2); n != 2 || err != nil {
		t.Errorf("destroyed %d, %v", n, err)
	}
	for range 2 {
		for m := minute; m < minute+4; m++ {
			_, err := r.Unwrap(ctx, "aspen", m, wrapped[m], nil)
			if gone := m < minute+2; gone && !errors.Is(err, recording.ErrNoKey) || !gone && err != nil {
				t.Errorf("minute %d: %v", m-minute, err)
			}
		}
		r = open()
	}
	if n, err := r.Destroy(ctx, minute+2); n != 0 || err != nil {
		t.Errorf("destroyed %d once more, %v", n, err)
	}
	_, err := r.Wrap(ctx, "aspen", minute, dataKey, nil) // a new key for the old minute opens nothing old
	must(t, err)
	if _, err := r.Unwrap(ctx, "aspen", minute, wrapped[minute], nil); !errors.Is(err, recording.ErrNoKey) {
		t.Errorf("an old key came back: %v", err)
	}
}
