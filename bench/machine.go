package main

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// machineRow is the kind of the row that says what was measured on.
const machineRow = "machine"

// machine names what is measured on, and its disk.
func (b *bench) machine(ctx context.Context, dir string) error {
	p50, p99, err := fsyncOf(dir)
	if err != nil {
		return err
	}
	return b.report.add(row{machineRow, "", 0, []value{
		text("measured", time.Now().UTC().Format("2006-01-02 15:04 UTC")),
		text("cores", strconv.Itoa(runtime.NumCPU())), text("processor", lineOf("/proc/cpuinfo", "model name")),
		text("memory", lineOf("/proc/meminfo", "MemTotal")), text("kernel", kernel()),
		text("go", runtime.Version()), text("callhall", says(ctx, b.binary, "version")),
		text("kamailio", says(ctx, "kamailio", "-v")), text("rtpengine", says(ctx, "rtpengine", "--version")),
		text("window", strconv.Itoa(b.seconds)+" s"),
		number("fsync p50", "ms", millis(p50)), number("fsync p99", "ms", millis(p99))}})
}

// kernel is its version, without what a builder has added to it.
func kernel() string {
	version, _, _ := strings.Cut(firstLine(os.ReadFile("/proc/sys/kernel/osrelease")), "-")
	return runtime.GOOS + " " + version
}

// says is the first line of what a program says, or that it is not there.
func says(ctx context.Context, name string, args ...string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		return "not installed"
	}
	return firstLine(exec.CommandContext(ctx, path, args...).CombinedOutput())
}

func firstLine(b []byte, err error) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	if line == "" && err != nil {
		return "unknown"
	}
	return line
}

// lineOf is the value of the first line "name: value" of a file.
func lineOf(path, name string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
