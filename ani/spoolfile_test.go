package ani

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"callhall/call"
)

func numbered(i int) call.Leaf {
	return call.Leaf{Kind: KindErased, Facts: map[string]string{"erasure": fmt.Sprint(i)}}
}

// openTestSpool opens the leaves' spool of a directory; alarms has what it logs.
func openTestSpool(t testing.TB, f *insideFixture, dir string) (s *spool, alarms *bytes.Buffer) {
	t.Helper()
	alarms = &bytes.Buffer{}
	if err := readySpool(dir); err != nil {
		t.Fatal(err)
	}
	s, err := openSpool(dir, spoolOfLeaves, f.withKeys, slog.New(slog.NewTextHandler(alarms, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s, alarms
}

// drained is the ids of what a city's spool has.
func drained(t testing.TB, s *spool, city call.CityID) (ids []string) {
	t.Helper()
	err := drain(s, city, func(page []call.Leaf) (int, error) {
		for _, leaf := range page {
			ids = append(ids, leafID(leaf))
		}
		return len(page), nil
	})
	if err != nil {
		t.Error(err)
	}
	return ids
}

// spoolOf writes n leaves of city a and returns the file and where each ends.
func spoolOf(t testing.TB, f *insideFixture, dir string, n int) (path string, ends []int64) {
	t.Helper()
	s, _ := openTestSpool(t, f, dir)
	defer s.close()
	ends = []int64{0}
	for i := range n {
		if err := addTo(s, "a", numbered(i)); err != nil {
			t.Fatal(err)
		}
		_, size := s.waiting()
		ends = append(ends, size)
	}
	return filepath.Join(dir, "a.leaves"), ends
}

func asides(t testing.TB, dir string) (files []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.aside-*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A file that a crash cut off anywhere holds exactly the leaves that were whole, and takes new ones. Nothing is set aside:
// what was cut off nobody was answered for.
func TestACutSpoolKeepsWholeLeaves(t *testing.T) {
	f := newInside(t, nil)
	rapid.Check(t, func(rt *rapid.T) {
		dir := filepath.Join(t.TempDir(), "ani.spool")
		path, ends := spoolOf(t, f, dir, rapid.IntRange(1, 5).Draw(rt, "leaves"))
		cut := rapid.Int64Range(0, ends[len(ends)-1]).Draw(rt, "cut")
		if err := os.Truncate(path, cut); err != nil {
			rt.Fatal(err)
		}
		s, alarms := openTestSpool(t, f, dir)
		defer s.close()
		var want []string
		for i, end := range ends[1:] {
			if end <= cut {
				want = append(want, fmt.Sprint(i))
			}
		}
		if err := addTo(s, "a", numbered(99)); err != nil {
			rt.Fatal(err)
		}
		if n, _ := s.waiting(); n != len(want)+1 {
			rt.Fatalf("%d wait", n)
		}
		if got := drained(t, s, "a"); !slices.Equal(got, append(want, "99")) {
			rt.Fatalf("%v, want %v and 99", got, want)
		}
		if alarms.Len() > 0 || len(asides(t, dir)) > 0 {
			rt.Fatalf("%s", alarms)
		}
	})
}

// Whatever bit of the file is wrong, every other leaf is there, before it and behind it, and the file as it was is kept.
func TestADamagedSpoolLosesNoOtherLeaf(t *testing.T) {
	f := newInside(t, nil)
	rapid.Check(t, func(rt *rapid.T) {
		dir := filepath.Join(t.TempDir(), "ani.spool")
		path, ends := spoolOf(t, f, dir, rapid.IntRange(2, 5).Draw(rt, "leaves"))
		before, err := os.ReadFile(path)
		if err != nil {
			rt.Fatal(err)
		}
		at := rapid.IntRange(0, len(before)-1).Draw(rt, "at")
		before[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		if err := os.WriteFile(path, before, 0o600); err != nil {
			rt.Fatal(err)
		}
		var want []string
		for i := range len(ends) - 1 {
			if at < int(ends[i]) || at >= int(ends[i+1]) {
				want = append(want, fmt.Sprint(i))
			}
		}
		s, alarms := openTestSpool(t, f, dir)
		defer s.close()
		if got := drained(t, s, "a"); !slices.Equal(got, want) {
			rt.Fatalf("byte %d: %v, want %v", at, got, want)
		}
		kept := asides(t, dir)
		if len(kept) != 1 || s.asides.Load() != 1 || !strings.Contains(alarms.String(), "level=ERROR") {
			rt.Fatalf("%v set aside; %s", kept, alarms)
		}
		if text, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(text, before) {
			rt.Fatalf("what was set aside is not what was there, %v", err)
		}
		again, _ := openTestSpool(t, f, dir)
		defer again.close()
		if again.asides.Load() != 1 {
			rt.Fatal("after a restart nobody is told")
		}
	})
}

// Damage that comes while the process runs is found too, a file that somebody cut short as well.
func TestDamageWhileRunning(t *testing.T) {
	f := newInside(t, nil)
	dir := filepath.Join(t.TempDir(), "ani.spool")
	s, alarms := openTestSpool(t, f, dir)
	defer s.close()
	for i := range 3 {
		if err := addTo(s, "a", numbered(i)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "a.leaves")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[5] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := drained(t, s, "a"); !slices.Equal(got, []string{"1", "2"}) || len(asides(t, dir)) != 1 {
		t.Errorf("%v; %s", got, alarms)
	}
	if err := addTo(s, "a", numbered(3), numbered(4)); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 7); err != nil {
		t.Fatal(err)
	}
	if got := drained(t, s, "a"); got != nil || s.asides.Load() != 2 {
		t.Errorf("%v; %s", got, alarms)
	}
}

// Records that do not open are set aside, in frames that can be put back when the key is there again.
func TestRecordsThatDoNotOpenAreSetAside(t *testing.T) {
	f := newInside(t, nil)
	dir := filepath.Join(t.TempDir(), "ani.spool")
	path, _ := spoolOf(t, f, dir, 2)
	ours, err := os.ReadFile(f.keys.path("a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.keys.path("a"), freshKey(), 0o600); err != nil {
		t.Fatal(err)
	}
	f.open(t, nil)
	s, alarms := openTestSpool(t, f, dir)
	if err := addTo(s, "a", numbered(2)); err != nil {
		t.Fatal(err)
	}
	if got := drained(t, s, "a"); !slices.Equal(got, []string{"2"}) || !strings.Contains(alarms.String(), "level=ERROR") {
		t.Errorf("%v; %s", got, alarms)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.keys.path("a"), ours, 0o600); err != nil {
		t.Fatal(err)
	}
	kept := asides(t, dir)
	if len(kept) != 1 {
		t.Fatal(kept)
	}
	if err := os.Rename(kept[0], path); err != nil {
		t.Fatal(err)
	}
	f.open(t, nil)
	s, _ = openTestSpool(t, f, dir)
	defer s.close()
	if got := drained(t, s, "a"); !slices.Equal(got, []string{"0", "1"}) {
		t.Error(got)
	}
}

// A key that cannot be read now is no reason to set anything aside.
func TestAKeyThatCannotBeReadIsWaitedFor(t *testing.T) {
	f := newInside(t, nil)
	dir := filepath.Join(t.TempDir(), "ani.spool")
	spoolOf(t, f, dir, 2)
	s, _ := openTestSpool(t, f, dir)
	defer s.close()
	s.keys = func(call.CityID, func([]Key) error) error { return errTestDisk }
	if err := drain(s, "a", func([]call.Leaf) (int, error) { return 0, nil }); !errors.Is(err, errTestDisk) {
		t.Error(err)
	}
	s.keys = f.withKeys
	if got := drained(t, s, "a"); !slices.Equal(got, []string{"0", "1"}) {
		t.Error(got)
	}
}

// A leaf that was moved to another city does not open there.
func TestSpooledLeavesAreBoundToTheirCity(t *testing.T) {
	f := newInside(t, nil)
	dir := filepath.Join(t.TempDir(), "ani.spool")
	path, _ := spoolOf(t, f, dir, 1)
	if err := os.Rename(path, filepath.Join(dir, "b.leaves")); err != nil {
		t.Fatal(err)
	}
	s, _ := openTestSpool(t, f, dir)
	defer s.close()
	if got := drained(t, s, "b"); got != nil || s.asides.Load() != 1 {
		t.Error(got)
	}
}

// oldRecord is a leaf as the first version had it.
func oldRecord(t testing.TB, f *insideFixture, city call.CityID, leaf call.Leaf) []byte {
	t.Helper()
	s := &spool{sort: spoolOfLeaves, keys: f.withKeys}
	record, err := s.seal(city, leaf)
	if err != nil {
		t.Fatal(err)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(5+len(city)+len(record)))
	return append(append(append(b, byte(len(city))), city...), record...)
}

// The one file of the first version is moved over, each leaf to its city; what does not read of it is kept.
func TestTheFirstSpoolIsMovedOver(t *testing.T) {
	for name, rest := range map[string][]byte{"whole": nil, "damaged": {0xff, 1, 2, 3, 4, 5, 6, 7}} {
		t.Run(name, func(t *testing.T) {
			f := newInside(t, nil)
			dir := filepath.Join(t.TempDir(), "ani.spool")
			old := slices.Concat(oldRecord(t, f, "a", numbered(1)), oldRecord(t, f, "b", numbered(2)), oldRecord(t, f, "a", numbered(3)), rest)
			if err := os.WriteFile(dir, old, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second finds it done
				f.open(t, func(c *Config) { c.Spool = dir })
				if f.waiting() != 3 {
					t.Errorf("%d wait", f.waiting())
				}
				if _, _, asides := f.spooled(); (asides == 1) != (rest != nil) {
					t.Errorf("%d set aside", asides)
				}
			}
			if a, b := drained(t, f.spool, "a"), drained(t, f.spool, "b"); !slices.Equal(a, []string{"1", "3"}) || !slices.Equal(b, []string{"2"}) {
				t.Errorf("%v and %v", a, b)
			}
			if _, err := os.Stat(oldSpool(dir)); !errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
		})
	}
}

// FuzzFrames gives the reader of the spool anything at all: what it makes of it reads again without a fault.
func FuzzFrames(f *testing.F) {
	whole := frame(frame(nil, []byte("one")), []byte("two"))
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append([]byte("CHS2"), whole...))
	f.Fuzz(func(t *testing.T, b []byte) {
		out, n, _ := wholeFrames(b)
		again, m, err := wholeFrames(out)
		if err != nil || n != m || !bytes.Equal(out, again) {
			t.Errorf("%d frames, then %d: %v", n, m, err)
		}
	})
}
