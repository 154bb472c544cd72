package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// program is what is tested, built once with the race detector.
var program struct {
	once sync.Once
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if program.path != "" {
		os.RemoveAll(filepath.Dir(program.path))
	}
	os.Exit(code)
}

// built builds the program under test.
func built(t *testing.T) string {
	t.Helper()
	program.once.Do(func() {
		dir, err := os.MkdirTemp("", "callhall-test")
		if err != nil {
			program.err = err
			return
		}
		program.path = filepath.Join(dir, "callhall")
		out, err := exec.Command("go", "build", "-race", "-o", program.path, "../cmd/callhall").CombinedOutput()
		if err != nil {
			program.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if program.err != nil {
		t.Fatalf("build callhall: %v", program.err)
	}
	return program.path
}

// peer finds a program of somebody else's. Under `make test` a missing one fails; under a bare `go test` it is named
// and skipped.
func peer(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CALLHALL_TEST_PEERS") == "required" {
		t.Fatalf("%s is not installed (Debian's %s); make test installs it", name, debian)
	}
	t.Skipf("%s is not installed (Debian's %s): run make test, which installs it", name, debian)
	return ""
}

// server is one running callhall.
type server struct {
	t       *testing.T
	dir     string // configuration, secrets, data, log
	sip     string // host:port, UDP and TCP
	http    string // http://host:port
	admin   string
	as      []string // makes serve run as another user
	env     []string // of serve, besides the test's own
	cmd     *exec.Cmd
	exited  chan error
	tokens  map[string]string
	printed syncBuffer // standard output
	logged  syncBuffer // standard error: the log at debug level
}

// syncBuffer is a buffer that a process writes while a test reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// agents of every test server; each has the password "secret-" and its name.
var testAgents = []string{"1001", "1002", "1003"}

// newServer writes the configuration of a city, with further settings of sip, and starts callhall on it.
func newServer(t *testing.T, settings ...string) *server {
	t.Helper()
	s := prepare(t, testAgents...)
	s.configure(oneCity(), append([]string{"silence: 10s"}, settings...)...)
	s.start()
	return s
}

// oneCity is a city whose agents all take from one queue.
func oneCity() string {
	var agents strings.Builder
	for _, a := range testAgents {
		fmt.Fprintf(&agents, "      - {id: %q, password_file: secrets/%s, queues: [general]}\n", a, a)
	}
	return `cities:
  - id: demo
    name: Demo City
    ani: {owner: Privacy Officer}
    trunks: [{id: carrier, allow: [127.0.0.0/8], trust_identity: true, progress: true}]
    numbers: [{number: "311", queue: general, language: en}, {number: "+12125550100", queue: general, language: es}]
    queues: [{id: general, ring: 4s, wrap_up: 1s}]
    agents:
` + agents.String()
}

// prepare makes the directory of a server, with its agents' passwords, and finds its addresses.
func prepare(t *testing.T, agents ...string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), sip: freeAddr(t), http: "http://" + freeAddr(t), admin: "http://" + freeAddr(t)}
	must(t, os.Mkdir(filepath.Join(s.dir, "secrets"), 0o700))
	for _, a := range agents {
		s.secret(a, "secret-"+a)
	}
	return s
}

// secret writes a secret's file.
func (s *server) secret(name, value string) {
	s.t.Helper()
	must(s.t, os.WriteFile(filepath.Join(s.dir, "secrets", name), []byte(value+"\n"), 0o600))
}

// configure writes the configuration of these cities, with further settings of sip.
func (s *server) configure(cities string, settings ...string) {
	s.t.Helper()
	must(s.t, os.WriteFile(filepath.Join(s.dir, "callhall.yaml"), fmt.Appendf(nil, `
data_dir: data
http: {listen: %q}
admin: {listen: %q}
sip: {listen: ["udp://%s", "tcp://%s"], realm: callhall%s}
rtp: {listen: 127.0.0.1, ports: %s, deaf: 1s}
log: {level: debug, format: json}
drain_timeout: 2s
%s`, strings.TrimPrefix(s.http, "http://"), strings.TrimPrefix(s.admin, "http://"), s.sip, s.sip, strings.Join(append([]string{""}, settings...), ", "), freePorts(s.t), cities), 0o600))
}

// start runs the server until the test ends, and waits until it says that it is ready.
func (s *server) start() {
	s.t.Helper()
	s.cmd = command(s.as, built(s.t), "serve", "--config", filepath.Join(s.dir, "callhall.yaml"), "--self-test=off")
	s.cmd.Stderr = &s.logged
	s.cmd.Env = append(append(os.Environ(), "GORACE=halt_on_error=1 exitcode=66"), s.env...)
	out, err := s.cmd.StdoutPipe()
	must(s.t, err)
	must(s.t, s.cmd.Start())
	ready := make(chan bool, 1)
	s.exited = make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(io.TeeReader(out, &s.printed))
		for lines.Scan() {
			if strings.TrimSpace(lines.Text()) == "ready" {
				ready <- true
			}
		}
		s.exited <- s.cmd.Wait()
	}()
	s.t.Cleanup(s.stop)
	select {
	case <-ready:
	case err := <-s.exited:
		s.exited <- err
		s.t.Fatalf("callhall ended before it was ready: %v\n%s\n%s", err, s.printed.String(), s.logged.String())
	case <-time.After(20 * time.Second):
		s.t.Fatalf("callhall is not ready after 20 s\n%s\n%s", s.printed.String(), s.logged.String())
	}
}

// stop ends the server as an operator would and checks that it went willingly.
func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.exited:
		if err != nil {
			s.t.Errorf("callhall ended with %v\n%s", err, tail(s.logged.String()))
		}
	case <-time.After(30 * time.Second):
		s.cmd.Process.Kill()
		<-s.exited
		s.t.Errorf("callhall did not end within 30 s of SIGTERM\n%s", tail(s.logged.String()))
	}
	s.cmd = nil
	if s.t.Failed() {
		s.t.Logf("the server's log ends:\n%s", tail(s.logged.String()))
	}
}

// kill ends the server as a power cut would.
func (s *server) kill() {
	must(s.t, s.cmd.Process.Kill())
	<-s.exited
	s.cmd = nil
}

// run runs a verb of callhall and returns what it printed.
func (s *server) run(ctx context.Context, args ...string) (stdout string, err error) {
	cmd := exec.CommandContext(ctx, built(s.t), args...)
	cmd.Dir = s.dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if err != nil {
		err = fmt.Errorf("callhall %s: %w\n%s\n%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), err
}

// record is what these tests read of a call record.
type record struct {
	ID        string
	End       string
	Agent     string
	Caller    string
	Offers    int
	Recording struct{ ID, State string }
	Timeline  []struct{ What, Detail string }
}

// records waits until the city has n records and returns them, newest first.
func (s *server) records(token string, n int) []record {
	s.t.Helper()
	var page struct{ Data []record }
	within(s.t, 15*time.Second, func() error {
		code, _, body := s.get(token, "/api/v1/calls?limit=200")
		if code != 200 {
			return fmt.Errorf("list calls: %d %s", code, body)
		}
		page.Data = nil
		if err := json.Unmarshal(body, &page); err != nil {
			return err
		}
		if len(page.Data) < n {
			return fmt.Errorf("%d records, want %d", len(page.Data), n)
		}
		return nil
	})
	if len(page.Data) != n {
		s.t.Fatalf("%d records, want exactly %d: %+v", len(page.Data), n, page.Data)
	}
	return page.Data
}

// within tries until try succeeds.
func within(t *testing.T, limit time.Duration, try func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %v", limit, err)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(errors.Join(err, t.Context().Err()))
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// freeAddr is a loopback address with a port that is free for UDP and TCP now.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		addr := l.Addr().String()
		c, err := net.ListenPacket("udp", addr)
		l.Close()
		if err == nil {
			c.Close()
			return addr
		}
	}
	t.Fatal("no port is free for both UDP and TCP")
	return ""
}

// portRanges counts the ranges given away, so that servers side by side get different ones.
var portRanges atomic.Int32

// freePorts is a range of 200 ports for sound, of which the first is free.
func freePorts(t *testing.T) string {
	t.Helper()
	for first := 20000 + 200*int(portRanges.Add(1)); first < 60000; first = 20000 + 200*int(portRanges.Add(1)) {
		c, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", first))
		if err == nil {
			c.Close()
			return fmt.Sprintf("%d-%d", first, first+199)
		}
	}
	t.Fatal("no range of ports is free")
	return ""
}

// tail is the end of a long text.
func tail(s string) string {
	const most = 6000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

// stopProcess ends a process that a test started and shows what it said if the test failed.
func stopProcess(t *testing.T, name string, cmd *exec.Cmd, said *syncBuffer) {
	cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }() // how it ended is no matter: it was told to
	select {
	case <-done:
	case <-time.After(8 * time.Second):
		cmd.Process.Kill()
		<-done
	}
	if t.Failed() {
		t.Logf("%s said:\n%s", name, tail(said.String()))
	}
}
