//go:build !linux

package recording

import (
	"crypto/rand"
	"math"
	"os"
	"time"
)

// processStart carries the monotonic clock that stands in for boot time.
var processStart = time.Now()

// processID stands in for the boot's id.
var processID = rand.Text() + rand.Text()

// datasync writes a file to the disk.
func datasync(f *os.File) error { return f.Sync() }

// freeBytes is not known here: the disk floor has no effect.
func freeBytes(string) (uint64, error) { return math.MaxUint64, nil }

// bootElapsed is the time since this process started.
func bootElapsed() (int64, error) { return int64(time.Since(processStart)), nil }

// bootID is another value in each process.
func bootID() (id [bootIDSize]byte) {
	copy(id[:], processID)
	return id
}

// clockSynced is not known here.
func clockSynced() bool { return false }
