package ledger_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"callhall/ledger"
)

// A checkpoint over no leaves was kept earlier, and nothing can be held against it.
func TestCheckpointOverNothingProvesNothing(t *testing.T) {
	l, _ := newPlace(t).open(t, ledger.Config{})
	nothing := checkpoint(t, l, city)
	fill(t, l, city, 2)
	two := checkpoint(t, l, city)
	fill(t, l, city, 1)
	text := export(t, l, city)
	r := verify(t, text, ledger.Options{Since: nothing})
	if r.Held() || r.Anchored || !strings.Contains(r.String(), "self-consistent only (the earlier checkpoint covers none") {
		t.Errorf("held against nothing: %s", r)
	}
	r = verify(t, text, ledger.Options{Since: two})
	entries, _, err := l.List(t.Context(), city, 0, 3)
	if err != nil || !r.Held() || !r.Newest.Equal(entries[2].Leaf.At) || !r.SinceNewest.Equal(entries[1].Leaf.At) {
		t.Errorf("held against two: %+v, %v", r, err)
	}
	if r := verify(t, text, ledger.Options{}); r.Held() || !r.SinceNewest.IsZero() {
		t.Errorf("held against no checkpoint: %+v", r)
	}
}

// A file that was changed on its way is damaged, whatever checkpoint it is held against: only one that agrees with itself
// can say that the ledger was rewritten.
func TestDamagedFileIsNoRewrittenLedger(t *testing.T) {
	l, _ := newPlace(t).open(t, ledger.Config{})
	fill(t, l, city, 4)
	since := checkpoint(t, l, city)
	fill(t, l, city, 4)
	text := export(t, l, city)
	lines := bytes.SplitAfter(text, []byte("\n"))
	lines[2] = bytes.Replace(lines[2], []byte("agent:ana"), []byte("agent:bob"), 1)
	changed := bytes.Join(lines, nil)
	if bytes.Equal(changed, text) {
		t.Fatal("nothing was changed")
	}
	_, err := ledger.Verify(bytes.NewReader(changed), ledger.Options{Since: since})
	if !errors.Is(err, ledger.ErrInvalid) || !strings.Contains(err.Error(), "damaged after it was exported") || strings.Contains(err.Error(), "rewritten") {
		t.Errorf("said %v", err)
	}
}
