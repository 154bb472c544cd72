//go:build !linux

package main

import "golang.org/x/sys/unix"

// noCores makes sure that no core file of this process is written: it could hold callers' numbers.
func noCores() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
