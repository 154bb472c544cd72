package test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMemoryIsNobodyElses: another process of the service's own user can neither take a core of the server nor read its
// memory, and the server writes no core of itself. Beside it runs a program that does not protect itself: there all of
// that works, so that it fails for what the server did and not for what this machine forbids anyway.
func TestMemoryIsNobodyElses(t *testing.T) {
	t.Parallel()
	gcore := peer(t, "gcore", "gdb")
	self, err := user.Current()
	must(t, err)
	var run []string // makes a command run as the service's user
	s := prepare(t, testAgents...)
	if self.Uid == "0" { // root reads everything: the service's user is another one
		run = []string{peer(t, "setpriv", "util-linux"), "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"}
	}
	s.as = run
	s.configure(oneCity())
	if run != nil {
		s.giveTo(t, "nobody")
	}
	s.start()
	open := s.startUnprotected(run)
	pid := s.cmd.Process.Pid

	if err := takeCore(t, run, gcore, open); err != nil {
		t.Fatalf("gcore takes no core of any program here, so that this test could not fail: %v", err)
	}
	if err := takeCore(t, run, gcore, pid); err == nil {
		t.Error("gcore takes a core of the server")
	}
	for _, file := range []string{"mem", "maps", "environ", "auxv", "stack"} {
		if file != "stack" && readAs(run, open, file) != nil {
			t.Errorf("/proc/PID/%s is closed for every program, so that this test could not fail", file)
		}
		if err := readAs(run, pid, file); err == nil {
			t.Errorf("/proc/PID/%s of the server can be read", file)
		}
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	must(t, err)
	if !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
		t.Errorf("the server may write a core:\n%s", limits)
	}
}

// giveTo gives the server's directory to another user, who must be able to come there.
func (s *server) giveTo(t *testing.T, name string) {
	t.Helper()
	u, err := user.Lookup(name)
	must(t, err)
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	must(t, filepath.WalkDir(s.dir, func(path string, _ os.DirEntry, err error) error { return errors.Join(err, os.Chown(path, uid, gid)) }))
	for dir := filepath.Dir(s.dir); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
	must(t, os.Chmod(filepath.Dir(built(t)), 0o755))
}

// startUnprotected starts a program that lies open to its own user: a shell that waits.
func (s *server) startUnprotected(run []string) (pid int) {
	cmd := command(run, "sleep", "60")
	must(s.t, cmd.Start())
	s.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	within(s.t, 10*time.Second, func() error { // until it is that program, as that user
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cmd.Process.Pid))
		if err == nil && strings.TrimSpace(string(name)) != "sleep" {
			err = fmt.Errorf("it is %s", name)
		}
		return err
	})
	return cmd.Process.Pid
}

func command(run []string, args ...string) *exec.Cmd {
	args = append(append([]string{}, run...), args...)
	return exec.Command(args[0], args[1:]...)
}

// takeCore has gcore take one, into a directory that its user may write to.
func takeCore(t *testing.T, run []string, gcore string, pid int) error {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("callhall-core-%d-%d", os.Getpid(), pid))
	must(t, os.Mkdir(dir, 0o777))
	must(t, os.Chmod(dir, 0o777))
	defer os.RemoveAll(dir)
	cmd := command(run, gcore, "-o", filepath.Join(dir, "core"), strconv.Itoa(pid))
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if files, _ := os.ReadDir(dir); len(files) == 0 {
		return errors.Join(err, fmt.Errorf("no file: %s", out))
	}
	return nil
}

// readAs reads the beginning of a file of /proc/PID, as that user; of mem, what lies where maps says that something does.
func readAs(run []string, pid int, file string) error {
	path := fmt.Sprintf("/proc/%d/%s", pid, file)
	if file != "mem" {
		return command(run, "head", "-c", "1", path).Run()
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid)) // the test may look where it is
	if err != nil {
		return err
	}
	at, err := strconv.ParseUint(strings.SplitN(string(maps), "-", 2)[0], 16, 64)
	if err != nil {
		return err
	}
	out, err := command(run, "dd", "if="+path, "bs=4096", "skip="+strconv.FormatUint(at/4096, 10), "count=1", "status=none").Output()
	if err == nil && len(out) == 0 {
		return syscall.EIO
	}
	return err
}
