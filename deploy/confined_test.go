package deploy

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// confine starts its arguments with what the unit leaves them: nobody's user and no groups, no capability and no way to
// one, a file system that can be read only, but for $STATE, no core, the unit's mask. Seccomp and the kernel's own
// protections are systemd's part: TestUnitIsTight asks it for those.
const confine = `set -e
mount --make-rprivate /
mount --bind "$STATE" "$STATE"
mount -o remount,bind,ro /
umask 0077
cd "$STATE"
exec prlimit --core=0 setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
`

// confined prepares a command to run in the unit's restrictions, with a directory of its own to write to.
func confined(t *testing.T, args ...string) (*exec.Cmd, string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: running under the unit's restrictions needs root")
	}
	for _, tool := range []string{"unshare", "setpriv", "prlimit"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: running under the unit's restrictions needs %s", tool)
		}
	}
	if out, err := exec.Command("unshare", "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: running under the unit's restrictions needs mount namespaces: %s", out)
	}
	state, err := os.MkdirTemp("", "callhall-state")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	if err := os.Chown(state, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(callhall(t)), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"--mount", "sh", "-c", confine, "sh"}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "STATE=" + state, "CALLHALL_DATA_DIR=" + state + "/data"}
	return cmd, state
}

// TestConfinementHolds: what the next test runs in is what it says.
func TestConfinementHolds(t *testing.T) {
	cmd, _ := confined(t, "sh", "-c", `id -u; ulimit -c; umask; grep CapBnd /proc/self/status; touch mine && echo wrote; touch /etc/callhall-test 2>/dev/null || echo kept out`)
	out, err := cmd.CombinedOutput()
	want := "65534\n0\n0077\nCapBnd:\t0000000000000000\nwrote\nkept out\n"
	if err != nil || string(out) != want {
		t.Errorf("%v; got\n%swant\n%s", err, out, want)
	}
}

// TestServesConfined starts the server as the unit does, waits until it says that it is ready, and stops it as systemd
// would.
func TestServesConfined(t *testing.T) {
	cmd, state := confined(t, callhall(t), "serve")
	cmd.Env = append(cmd.Env, "CALLHALL_HTTP_LISTEN=127.0.0.1:0", "CALLHALL_ADMIN_LISTEN=127.0.0.1:0",
		"CALLHALL_SIP_LISTEN=udp://127.0.0.1:0,tcp://127.0.0.1:0")
	var errs strings.Builder
	cmd.Stderr = &errs
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer late.Stop()
	ready := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if strings.TrimSpace(lines.Text()) == "ready" {
			ready = true
			cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	if err := cmd.Wait(); err != nil || !ready {
		t.Fatalf("serve: %v, ready: %v\n%s", err, ready, errs.String())
	}
	if info, err := os.Stat(filepath.Join(state, "data")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data directory is %v, %v; want mode 0700", info, err)
	}
}
