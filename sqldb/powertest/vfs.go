//go:build linux && (amd64 || arm64)

package powertest

import (
	"slices"
	"sync"
	"testing"
	"unsafe"

	"modernc.org/libc"
	_ "modernc.org/sqlite" // sets SQLite up before anything is registered with it
	sqlite3 "modernc.org/sqlite/lib"
)

// watched is the one disk that SQLite's callbacks write to: a C interface has no other way to reach it.
var watched struct {
	sync.Mutex
	disk  *Disk
	below uintptr             // the VFS that everything is passed on to (sqlite3_vfs)
	ours  map[uintptr]uintptr // by the methods of a kind of file (sqlite3_io_methods): a copy with ours in place
	open  map[uintptr]opened  // by sqlite3_file
}

// opened is a file that is watched, and the methods below ours.
type opened struct {
	name string
	io   uintptr
}

// install puts our VFS in the place of the default one and returns what puts that back.
func install(t testing.TB, d *Disk) (remove func()) {
	t.Helper()
	tls := libc.NewTLS()
	below := sqlite3.Xsqlite3_vfs_find(tls, 0)
	name, err := libc.CString("powertest")
	if below == 0 || err != nil {
		t.Fatal("no VFS to stand before", err)
	}
	watched.Lock()
	defer watched.Unlock()
	if watched.disk != nil {
		t.Fatal("another test watches already")
	}
	ours := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_vfs{})))
	v := at[sqlite3.Tsqlite3_vfs](ours)
	*v = *at[sqlite3.Tsqlite3_vfs](below)
	v.FpNext, v.FzName, v.FxOpen, v.FxDelete = 0, name, pointer(xOpen), pointer(xDelete)
	if rc := sqlite3.Xsqlite3_vfs_register(tls, ours, 1); rc != sqlite3.SQLITE_OK {
		t.Fatal("SQLite does not take the VFS:", rc)
	}
	watched.disk, watched.below, watched.open = d, below, map[uintptr]opened{}
	if watched.ours == nil {
		watched.ours = map[uintptr]uintptr{}
	}
	return func() {
		watched.Lock()
		defer watched.Unlock()
		if len(watched.open) > 0 {
			t.Error("databases are still open; close them before the test ends")
			return
		}
		sqlite3.Xsqlite3_vfs_register(tls, below, 1)
		sqlite3.Xsqlite3_vfs_unregister(tls, ours)
		libc.Xfree(tls, ours)
		libc.Xfree(tls, name)
		tls.Close()
		watched.disk = nil
	}
}

// at is the Go view of a C struct. SQLite's memory is not Go's: the collector neither moves nor frees it.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// pointer is a top-level function as C code translated to Go holds it; function is one such pointer as a Go function.
func pointer[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }

func xOpen(tls *libc.TLS, _, name, f uintptr, flags int32, out uintptr) int32 {
	watched.Lock()
	defer watched.Unlock()
	mine := name != 0 && watched.disk != nil && watched.disk.mine(libc.GoString(name))
	if mine && watched.disk.opening(libc.GoString(name)) != nil {
		return sqlite3.SQLITE_CANTOPEN
	}
	below := at[sqlite3.Tsqlite3_vfs](watched.below)
	rc := function[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](below.FxOpen)(tls, watched.below, name, f, flags, out)
	if rc != sqlite3.SQLITE_OK || !mine {
		return rc
	}
	watched.open[f] = opened{libc.GoString(name), intercept(tls, f)}
	return rc
}

// intercept puts our methods in the place of an open file's and returns those.
func intercept(tls *libc.TLS, f uintptr) (below uintptr) {
	file := at[sqlite3.Tsqlite3_file](f)
	below = file.FpMethods
	if watched.ours[below] == 0 { // kept as long as the process
		watched.ours[below] = libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_io_methods{})))
		m := at[sqlite3.Tsqlite3_io_methods](watched.ours[below])
		*m = *at[sqlite3.Tsqlite3_io_methods](below)
		m.FxClose, m.FxWrite, m.FxTruncate, m.FxSync = pointer(xClose), pointer(xWrite), pointer(xTruncate), pointer(xSync)
	}
	file.FpMethods = watched.ours[below]
	return below
}

// passOn finds the file's name and the methods below ours.
func passOn(f uintptr) (d *Disk, name string, io sqlite3.Tsqlite3_io_methods) {
	watched.Lock()
	defer watched.Unlock()
	o := watched.open[f]
	return watched.disk, o.name, *at[sqlite3.Tsqlite3_io_methods](o.io)
}

func xWrite(tls *libc.TLS, f, data uintptr, n int32, offset int64) int32 {
	d, name, io := passOn(f)
	d.changed(name, write{at: offset, data: slices.Clone(libc.GoBytes(data, int(n)))})
	return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](io.FxWrite)(tls, f, data, n, offset)
}

func xTruncate(tls *libc.TLS, f uintptr, size int64) int32 {
	d, name, io := passOn(f)
	d.changed(name, write{at: size, truncate: true})
	return function[func(*libc.TLS, uintptr, int64) int32](io.FxTruncate)(tls, f, size)
}

func xSync(tls *libc.TLS, f uintptr, flags int32) int32 {
	d, name, io := passOn(f)
	waited := d.waiting(name)
	rc := function[func(*libc.TLS, uintptr, int32) int32](io.FxSync)(tls, f, flags)
	if rc == sqlite3.SQLITE_OK {
		d.sync(name, waited)
	}
	return rc
}

func xClose(tls *libc.TLS, f uintptr) int32 {
	_, _, io := passOn(f)
	watched.Lock()
	delete(watched.open, f)
	watched.Unlock()
	return function[func(*libc.TLS, uintptr) int32](io.FxClose)(tls, f)
}

func xDelete(tls *libc.TLS, _, name uintptr, syncDir int32) int32 {
	watched.Lock()
	d, below := watched.disk, watched.below
	watched.Unlock()
	if path := libc.GoString(name); d != nil && d.mine(path) {
		d.removed(path, syncDir != 0)
	}
	return function[func(*libc.TLS, uintptr, uintptr, int32) int32](at[sqlite3.Tsqlite3_vfs](below).FxDelete)(tls, below, name, syncDir)
}
