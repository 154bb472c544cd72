package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"callhall/bench/load"
)

// clockTick is the unit of CPU times in /proc on Linux (USER_HZ).
const clockTick = 10 * time.Millisecond

// usage is CPU time: of the server's processes, of this one and of everything on the machine.
type usage struct {
	at                    time.Time
	server, self, machine time.Duration
	took                  time.Duration // of a difference
}

// usageOf reads the clocks. s may be nil.
func usageOf(s *server) (usage, error) {
	u := usage{at: time.Now()}
	var err error
	if s != nil {
		if u.server, err = s.cpu(); err != nil {
			return u, err
		}
	}
	if u.self, err = cpuOf(os.Getpid()); err != nil {
		return u, err
	}
	u.machine, err = cpuOfMachine()
	return u, err
}

func (u usage) since(before usage) usage {
	return usage{at: u.at, took: u.at.Sub(before.at), server: u.server - before.server, self: u.self - before.self, machine: u.machine - before.machine}
}

// others is what neither the server nor this process has taken. A process that ended in between makes it too small.
func (u usage) others() time.Duration { return max(0, u.machine-u.server-u.self) }

// cores is how many cores a part of it took.
func (u usage) cores(part time.Duration) float64 { return part.Seconds() / u.took.Seconds() }

// cpuOf is the user and system time that a process has taken.
func cpuOf(pid int) (time.Duration, error) {
	fields, err := statOf(pid)
	if err != nil {
		return 0, err
	}
	return ticks(fields[11], fields[12])
}

// statOf is /proc/PID/stat from the third field on: the name before may hold spaces.
func statOf(pid int) ([]string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, fmt.Errorf("read CPU time: %w", err)
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return nil, fmt.Errorf("read CPU time of %d: unexpected format", pid)
	}
	return fields, nil
}

// cpuOfMachine is the time that all processes and the kernel's threads have taken that are there now.
func cpuOfMachine() (time.Duration, error) {
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	var sum time.Duration
	for _, path := range all {
		pid, _ := strconv.Atoi(filepath.Base(path))
		if d, err := cpuOf(pid); err == nil { // else it has just ended
			sum += d
		}
	}
	return sum, nil
}

func ticks(words ...string) (time.Duration, error) {
	var sum int64
	for _, w := range words {
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read CPU time: %w", err)
		}
		sum += n
	}
	return time.Duration(sum) * clockTick, nil
}

// familyOf is a process and all below it.
func familyOf(pid int) []int {
	family := []int{pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for i := 0; i < len(family); i++ {
		for _, path := range stats {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if f, err := statOf(child); err == nil && f[1] == strconv.Itoa(family[i]) {
				family = append(family, child)
			}
		}
	}
	return family
}

// memoryOf is a process's proportional set size, in bytes.
func memoryOf(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("read memory of %d: no Pss", pid)
}

// fsyncs is how often the disk is asked.
const fsyncs = 500

// fsyncOf measures how long a write of 4 KiB and its fsync take in dir.
func fsyncOf(dir string) (p50, p99 time.Duration, err error) {
	f, err := os.CreateTemp(dir, "fsync")
	if err != nil {
		return 0, 0, fmt.Errorf("measure fsync: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var took []time.Duration
	block := make([]byte, 4096)
	for range fsyncs {
		begin := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, 0, fmt.Errorf("measure fsync: %w", err)
		}
		if err := f.Sync(); err != nil {
			return 0, 0, fmt.Errorf("measure fsync: %w", err)
		}
		took = append(took, time.Since(begin))
	}
	return load.Percentile(took, 0.50), load.Percentile(took, 0.99), nil
}
