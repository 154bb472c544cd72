package recording

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func openTestSpool(t *testing.T, dir string) *spool {
	t.Helper()
	s, err := openSpool(dir, 1100)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close() })
	return s
}

// note is a record of some length.
func note(id rawID) []byte {
	c := chunk{id: id, sealed: make([]byte, 300)}
	b, start := beginRecord(nil)
	return endRecord(append(c.appendHead(b), c.sealed...), start)
}

func write(t *testing.T, s *spool, id rawID) place {
	t.Helper()
	p, err := s.append(note(id))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A segment goes when nobody needs it any more, not before: neither while a recording in it waits, nor before an earlier
// run's segments have been read.
func TestSegmentsGoWhenTheyMay(t *testing.T) {
	dir := t.TempDir()
	s := openTestSpool(t, dir)
	early, late := rawID{1}, rawID{2}
	s.hold(early, 1)
	for range 6 { // three to a segment
		write(t, s, early)
	}
	s.hold(late, 3)
	for range 3 {
		write(t, s, late)
	}
	if got := s.numbers(0); !slices.Equal(got, []uint32{1, 2, 3}) {
		t.Errorf("segments %v", got)
	}
	s.close()

	s = openTestSpool(t, dir)
	s.hold(late, 3)
	write(t, s, late) // a new segment: nothing old is touched
	if got := s.numbers(0); !slices.Equal(got, []uint32{1, 2, 3, 4}) {
		t.Errorf("segments %v before they were read", got)
	}
	if err := s.release(unread); err != nil {
		t.Fatal(err)
	}
	if got := s.numbers(0); !slices.Equal(got, []uint32{3, 4}) {
		t.Errorf("segments %v", got)
	}
	if err := s.release(late); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("%d files, %v", len(files), err)
	}
}

// A disk that refuses a write costs nothing: the same bytes go to the next segment.
func TestAppendAfterAnError(t *testing.T) {
	dir := t.TempDir()
	s := openTestSpool(t, dir)
	id := rawID{1}
	o := &opener{ID: id, City: "aspen"}
	if err := s.begin(o, make([]byte, keySize)); err != nil {
		t.Fatal(err)
	}
	s.current.file.Close() // every write fails from here on
	if _, err := s.append(note(id)); err == nil {
		t.Fatal("written to a closed file")
	}
	p := write(t, s, id)
	if p.segment != 2 {
		t.Errorf("at %+v", p)
	}
	if body, err := s.read(p, nil); err != nil || body[0] != recordChunk {
		t.Errorf("read back: %v", err)
	}
	if key, err := s.key(o); err != nil || len(key) != keySize {
		t.Errorf("its key: %v", err)
	}
}

// When a segment goes its key is overwritten before it is unlinked: a hard link shows what is left on the disk.
func TestSegmentKeyIsOverwritten(t *testing.T) {
	dir := t.TempDir()
	s := openTestSpool(t, dir)
	id := rawID{1}
	if err := s.begin(&opener{ID: id}, make([]byte, keySize)); err != nil {
		t.Fatal(err)
	}
	write(t, s, id)
	path, link := filepath.Join(dir, "00000001.key"), filepath.Join(t.TempDir(), "link")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path, link); err != nil {
		t.Skip("no hard links here: ", err)
	}
	if err := errors.Join(s.release(unread), s.release(id)); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(link)
	if err != nil || string(after) == string(before) || len(after) != keySize {
		t.Errorf("the key is still on the disk (%v)", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestSpoolFilesAreForThisUserAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := openTestSpool(t, dir)
	s.hold(rawID{1}, 1)
	write(t, s, rawID{1})
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Fatal(len(files), err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 || !strings.HasSuffix(dir, "spool") {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
