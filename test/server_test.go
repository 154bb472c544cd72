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
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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
	dir := t.TempDir()
	s := &server{t: t, dir: dir, sip: freeAddr(t), http: "http://" + freeAddr(t), admin: "http://" + freeAddr(t)}
	must(t, os.Mkdir(filepath.Join(dir, "secrets"), 0o700))
	var agents strings.Builder
	for _, a := range testAgents {
		must(t, os.WriteFile(filepath.Join(dir, "secrets", a), []byte("secret-"+a+"\n"), 0o600))
		fmt.Fprintf(&agents, "      - {id: %q, password_file: secrets/%s, queues: [general]}\n", a, a)
	}
	must(t, os.WriteFile(filepath.Join(dir, "callhall.yaml"), fmt.Appendf(nil, `
data_dir: data
http: {listen: %q}
admin: {listen: %q}
sip: {listen: ["udp://%s", "tcp://%s"], realm: callhall, silence: 10s%s}
rtp: {listen: 127.0.0.1, ports: %s, deaf: 1s}
log: {level: debug, format: json}
drain_timeout: 2s
cities:
  - id: demo
    name: Demo City
    ani: {owner: Privacy Officer}
    trunks: [{id: carrier, allow: [127.0.0.0/8], trust_identity: true, progress: true}]
    numbers: [{number: "311", queue: general, language: en}, {number: "+12125550100", queue: general, language: es}]
    queues: [{id: general, ring: 4s, wrap_up: 1s}]
    agents:
%s`, strings.TrimPrefix(s.http, "http://"), strings.TrimPrefix(s.admin, "http://"), s.sip, s.sip, strings.Join(append([]string{""}, settings...), ", "), freePorts(t), agents.String()), 0o600))
	s.start()
	return s
}

// start runs the server until the test ends, and waits until it says that it is ready.
func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command(built(s.t), "serve", "--config", filepath.Join(s.dir, "callhall.yaml"), "--self-test=off")
	s.cmd.Stderr = &s.logged
	s.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1 exitcode=66")
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

// token is an API token of that role, made when it is first asked for.
func (s *server) token(role string) string {
	s.t.Helper()
	if secret, ok := s.tokens[role]; ok {
		return secret
	}
	out, err := s.run(s.t.Context(), "--config", "callhall.yaml", "--json", "user", "add", "test-"+role, "--role", role, "--city", "demo")
	must(s.t, err)
	var user struct{ Token string }
	must(s.t, json.Unmarshal([]byte(out), &user))
	if s.tokens == nil {
		s.tokens = map[string]string{}
	}
	s.tokens[role] = user.Token
	return user.Token
}

// get reads one path of the API.
func (s *server) get(token, path string, header ...string) (int, http.Header, []byte) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), "GET", s.http+path, nil)
	must(s.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	must(s.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(s.t, err)
	return resp.StatusCode, resp.Header, body
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

// freePorts is a range of 200 ports for sound, of which the first is free.
func freePorts(t *testing.T) string {
	t.Helper()
	for first := 20000; first < 60000; first += 200 {
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
