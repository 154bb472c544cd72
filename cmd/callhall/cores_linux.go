package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// noCores makes sure that no core file of this process is written and that no other process of the same user may read
// its memory: both could hold callers' numbers.
func noCores() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("set the core file limit: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("make the process unreadable to others: %w", err)
	}
	return nil
}
