//go:build linux && (amd64 || arm64)

// Package powertest cuts the power under SQLite. It stands between SQLite and its usual way to the disk (a VFS), passes
// everything on, and remembers what was written since the last sync of each file. A cut makes a copy of the files as a
// disk may have them afterwards: all that was synced, and of the rest a random part, in any order, torn at sectors of 512
// bytes. It is for tests only.
package powertest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// sector is what a disk writes whole or not at all, in bytes.
const sector = 512

// Disk watches the databases in one directory.
type Disk struct {
	dir string

	mu    sync.Mutex
	lies  bool
	files map[string]*file // by path; those that SQLite has deleted for good are gone
}

// file is one file as it is on the disk and what waits to get there.
type file struct {
	exists  bool // its name is on the disk for sure
	synced  []byte
	pending []write
}

// write is one change since the last sync.
type write struct {
	at       int64
	data     []byte
	truncate bool // to at bytes
	remove   bool // the file itself
}

// Watch lets every SQLite database that this process opens in dir from now on go through the disk, until the test ends.
// They must be closed by then. Only one test of a process can watch at a time.
func Watch(t testing.TB, dir string) *Disk {
	t.Helper()
	d := &Disk{dir: dir, files: map[string]*file{}}
	t.Cleanup(install(t, d))
	return d
}

// Lie lets syncs do nothing from now on, as disks with a false cache do: what is lost then shows that a test can fail.
func (d *Disk) Lie() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lies = true
}

// Cut copies the files into the directory to, which it makes, as the disk may have them if the power fails at this
// moment. What goes on writing is not disturbed. It returns how many sectors were lost.
func (d *Disk) Cut(t testing.TB, random *rand.Rand, to string) (lost int) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range slices.Sorted(maps.Keys(d.files)) { // in order, so that a seed gives the same cut again
		f := d.files[path]
		if !f.exists && random.IntN(2) == 0 {
			lost++
			continue
		}
		left, gone, n := f.cut(random)
		lost += n
		if gone {
			continue
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(path)), left, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return lost
}

// cut applies a random part of what waits: each sector of each write by itself.
func (f *file) cut(random *rand.Rand) (left []byte, gone bool, lost int) {
	left = slices.Clone(f.synced)
	share := random.IntN(5) // of four: how much reaches the disk
	for _, w := range f.pending {
		for from := 0; from < max(len(w.data), 1); {
			n := min(sector-int((w.at+int64(from))%sector), len(w.data)-from)
			if random.IntN(4) < share {
				left = write{at: w.at + int64(from), data: w.data[from : from+n], truncate: w.truncate}.apply(left)
				gone = gone || w.remove
			} else {
				lost++
			}
			from += max(n, 1)
		}
	}
	return left, gone, lost
}

func (w write) apply(to []byte) []byte {
	if w.truncate {
		return append(to[:min(w.at, int64(len(to)))], make([]byte, max(0, w.at-int64(len(to))))...)
	}
	end := w.at + int64(len(w.data))
	if end > int64(len(to)) && len(w.data) > 0 {
		to = append(to, make([]byte, end-int64(len(to)))...)
	}
	copy(to[min(w.at, int64(len(to))):], w.data)
	return to
}

// mine tells whether the disk watches a file. What SQLite shares between processes (-shm) is memory and dies with them.
func (d *Disk) mine(path string) bool {
	return filepath.Dir(path) == d.dir && !strings.HasSuffix(path, "-shm")
}

// opening notes a file that SQLite is about to open. What it has in it when it is first seen is on the disk. It is read
// before SQLite has it open: closing a file a second time in one process would drop SQLite's locks on it.
func (d *Disk) opening(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f, ok := d.files[path]; ok && !f.removed() {
		return nil
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		d.files[path] = &file{}
		return nil
	}
	if err != nil {
		return fmt.Errorf("watch %s: %w", path, err)
	}
	d.files[path] = &file{exists: true, synced: content}
	return nil
}

func (f *file) removed() bool { return len(f.pending) > 0 && f.pending[len(f.pending)-1].remove }

// changed remembers a write.
func (d *Disk) changed(path string, w write) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f, ok := d.files[path]; ok {
		f.pending = append(f.pending, w)
	}
}

// waiting is how much waits when a sync begins.
func (d *Disk) waiting(path string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f, ok := d.files[path]; ok {
		return len(f.pending)
	}
	return 0
}

// sync puts on the disk what waited when the sync began. With a new journal or log SQLite syncs the directory too.
func (d *Disk) sync(path string, waited int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.files[path]
	if !ok || d.lies {
		return
	}
	if !f.exists {
		d.syncNames()
	}
	waited = min(waited, len(f.pending))
	for _, w := range f.pending[:waited] {
		f.synced = w.apply(f.synced)
	}
	f.pending = slices.Clone(f.pending[waited:])
}

// syncNames makes durable which files there are.
func (d *Disk) syncNames() {
	for path, f := range d.files {
		f.exists = true
		if f.removed() {
			delete(d.files, path)
		}
	}
}

// removed takes a file away: for good when the directory was synced with it.
func (d *Disk) removed(path string, synced bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f, ok := d.files[path]; ok && synced && !d.lies {
		delete(d.files, path)
	} else if ok {
		f.pending = append(f.pending, write{remove: true})
	}
}
