package dirstore

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"callhall/call"
	"callhall/recording"
	"callhall/recording/recordingtest"
)

func TestContract(t *testing.T) {
	recordingtest.TestObjects(t, func(t *testing.T) recording.Objects { return open(t, t.TempDir()) })
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// However a directory is written, it is one place.
func TestPlaceIsCanonical(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(dir))
	for _, way := range []string{dir, dir + "/", filepath.Join(dir, "x", ".."), link, "./" + filepath.Base(dir)} {
		if got := open(t, way).Place(); got != "dir:"+dir {
			t.Errorf("%s: %s", way, got)
		}
	}
}

func TestNamesStayInside(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "in"))
	for _, name := range []string{"", ".", "../out", "rec/../../out", "/etc/passwd", "rec/aa/.new-rec_x-1"} {
		if err := s.Put(t.Context(), name, 1, bytes.NewReader([]byte("x"))); err == nil {
			t.Errorf("%q was taken", name)
		}
		if _, err := s.Erase(t.Context(), name); err == nil {
			t.Errorf("%q was erased", name)
		}
	}
}

// What a crash in the middle of a Put leaves is listed under the object's name and goes with it.
func TestUnfinishedFileIsFoundAndErased(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	name := recording.ObjectName(call.NewRecordingID())
	path := filepath.Join(dir, filepath.FromSlash(name))
	left := filepath.Join(filepath.Dir(path), unfinished+filepath.Base(path)+"-123")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	listed := 0
	for o, err := range s.List(t.Context()) {
		if err != nil || o.Name != name {
			t.Errorf("%+v, %v", o, err)
		}
		listed++
	}
	e, err := s.Erase(t.Context(), name)
	if err != nil || e != (recording.Erased{Uploads: 1}) || listed != 1 {
		t.Errorf("%+v, %v, listed %d times", e, err, listed)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
}

func TestFilesAreForThisUserAlone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	name := recording.ObjectName(call.NewRecordingID())
	if err := s.Put(t.Context(), name, 1, bytes.NewReader([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
