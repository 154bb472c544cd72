package recording

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync writes a file's bytes to the disk, and of its inode only what is needed to find them.
func datasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }

// freeBytes is how much an ordinary user may still write to the file system of dir.
func freeBytes(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// bootElapsed is the time since the machine started, time asleep included, on a clock that nobody can set.
func bootElapsed() (int64, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return ts.Nano(), err
}

// bootID is another value after each start of the machine; zeros where the kernel does not tell.
func bootID() (id [bootIDSize]byte) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err == nil {
		copy(id[:], b)
	}
	return id
}

// clockSynced tells whether the kernel holds its wall clock to be disciplined by NTP: a clock set by hand is not.
func clockSynced() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}
