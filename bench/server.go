package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"callhall/bench/load"
)

// subject is a kind of server to measure.
type subject struct {
	name      string
	registers bool // the agents register with it; else it sends calls to their address by itself
	start     func(ctx context.Context, at place) (*server, error)
}

// place is what a server is started with.
type place struct {
	dir      string // a new folder for all that it writes
	sip      netip.AddrPort
	agents   netip.AddrPort
	accounts []load.Agent
}

// server is a program under measurement.
type server struct {
	name    string
	pids    []int
	stop    func() error // it has ended, and all of its processes, when stop returns
	metrics string       // URL; empty where there are none
}

// cpu is the time that all of the server's processes have taken.
func (s *server) cpu() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range s.pids {
		d, err := cpuOf(pid)
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

// memory is the proportional set size of all of the server's processes.
func (s *server) memory() (int64, error) {
	var sum int64
	for _, pid := range s.pids {
		n, err := memoryOf(pid)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// newPlace makes the folder and finds a port for SIP that is free now.
func newPlace(dir string) (place, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return place{}, fmt.Errorf("make a directory: %w", err)
	}
	sip, err := freePort()
	return place{dir: dir, sip: sip}, err
}

// freePort finds a UDP port on loopback that is free now.
func freePort() (netip.AddrPort, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("find a free port: %w", err)
	}
	defer c.Close()
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(c.LocalAddr().(*net.UDPAddr).Port)), nil
}

// accounts makes up agents and their passwords.
func accounts(n int) []load.Agent {
	var all []load.Agent
	for i := range n {
		all = append(all, load.Agent{User: fmt.Sprintf("a%05d", i), Password: fmt.Sprintf("bench-%d-%d", os.Getpid(), i)})
	}
	return all
}

// process is a program of ours that is running. What it says on standard error is kept in a file.
type process struct {
	*exec.Cmd
	log string
	out io.ReadCloser
}

// killAfter is how long a program has to end once it was asked to.
const killAfter = 20 * time.Second

func launch(at place, name string, args ...string) (*process, error) {
	p := &process{Cmd: exec.Command(name, args...), log: filepath.Join(at.dir, filepath.Base(name)+".log")}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("keep the log of %s: %w", name, err)
	}
	defer log.Close()
	p.Stderr = log
	if p.out, err = p.StdoutPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := p.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// end asks the program to end, waits for it and kills what is left of its family.
func (p *process) end(reading *sync.WaitGroup) error {
	family := familyOf(p.Process.Pid)
	p.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(killAfter, func() { p.Process.Kill() })
	reading.Wait()
	err := p.Wait()
	if !timer.Stop() {
		err = errors.Join(errors.New("it did not end when asked to"), err)
	}
	for _, pid := range family[1:] {
		if now, ferr := statOf(pid); ferr == nil && now[0] != "Z" {
			syscall.Kill(pid, syscall.SIGKILL) // an orphan of the one we started
		}
	}
	var status *exec.ExitError
	if errors.As(err, &status) && status.Sys().(syscall.WaitStatus).Signal() == syscall.SIGTERM {
		return nil // as asked
	}
	if err != nil {
		return fmt.Errorf("stop %s: %w\n%s", p.Path, err, p.lastWords())
	}
	return nil
}

// lastWords is the end of its log, for a message: the folder is removed.
func (p *process) lastWords() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	return string(b[max(0, len(b)-2000):])
}

// startTime bounds how long a server takes to be ready.
const startTime = 30 * time.Second

// startCallhall starts the binary and waits until it is ready.
func startCallhall(ctx context.Context, program string, at place) (*server, error) {
	config, err := writeConfig(at)
	if err != nil {
		return nil, err
	}
	p, err := launch(at, program, "serve", "--config", config, "--self-test=off")
	if err != nil {
		return nil, err
	}
	var reading sync.WaitGroup
	told := make(chan string, 1)
	reading.Go(func() { readStart(p.out, told) })
	s := &server{pids: []int{p.Process.Pid}, stop: func() error { return p.end(&reading) }}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	select {
	case s.metrics = <-told:
	case <-ctx.Done():
		err = fmt.Errorf("not ready: %w", ctx.Err())
	}
	if err == nil && s.metrics == "" {
		err = errors.New("ended before it was ready")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w\n%s", program, err, p.lastWords()), s.stop())
	}
	return s, nil
}

// readStart reads what the server prints, tells the address of its metrics when it says "ready", or nothing where it
// ends before, and reads on until it ends.
func readStart(r io.Reader, told chan<- string) {
	lines := bufio.NewScanner(r)
	metrics := ""
	for lines.Scan() {
		for word := range strings.FieldsSeq(lines.Text()) {
			if strings.HasPrefix(word, "http://") && strings.HasSuffix(word, "/metrics") {
				metrics = word
			}
		}
		if strings.TrimSpace(lines.Text()) == "ready" {
			told <- metrics
			io.Copy(io.Discard, r)
			return
		}
	}
	told <- ""
}

// writeConfig writes the configuration, the agents' passwords and the notice. The notice is a fifth of a second long, so
// that a call's cost is the call's and not the prompt's.
func writeConfig(at place) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, `data_dir: data
prompts: prompts
http: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0"}
sip: {listen: ["udp://%s"], realm: callhall, silence: 5m}
rtp: {listen: 127.0.0.1, ports: 10000-31999, deaf: 1s}
log: {level: warn, format: json}
drain_timeout: 1s
cities:
  - id: bench
    name: Bench City
    ani: {owner: Privacy Officer}
    trunks: [{id: load, allow: [127.0.0.0/8], trust_identity: true}]
    numbers: [{number: "311", queue: general, language: en}]
    queues: [{id: general, ring: 15s, wrap_up: 0s}]
    agents:
`, at.sip)
	for _, a := range at.accounts {
		fmt.Fprintf(&b, "      - {id: %s, password_file: secrets/%s, queues: [general]}\n", a.User, a.User)
		if err := write(filepath.Join(at.dir, "secrets", a.User), []byte(a.Password)); err != nil {
			return "", err
		}
	}
	if err := write(filepath.Join(at.dir, "prompts", "en", "notice.wav"), silence(200*time.Millisecond)); err != nil {
		return "", err
	}
	path := filepath.Join(at.dir, "callhall.yaml")
	return path, write(path, []byte(b.String()))
}

// write writes a file of its own folder, for nobody else to read.
func write(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// silence is mu-law silence as a WAV file: format tag 7, 8000 one-byte samples a second.
func silence(d time.Duration) []byte {
	samples := uint32(d / (time.Second / 8000))
	wav := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x12\x00\x00\x00\x07\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00\x00\x00data")
	wav = binary.LittleEndian.AppendUint32(wav, samples)
	wav = append(wav, bytes.Repeat([]byte{0xFF}, int(samples))...)
	binary.LittleEndian.PutUint32(wav[4:], uint32(len(wav)-8))
	return wav
}
