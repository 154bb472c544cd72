package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"callhall/bench/load"
)

// server is a program under measurement and how to reach it.
type server struct {
	name string
	sip  netip.AddrPort
	to   string // number to dial
	pids []int
	stop func()
	// agents are the accounts to register; none for a proxy that sends calls to a fixed address.
	agents []load.Agent
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

// startCallhall starts the binary with a city of that many agents, its data in dir, and waits until it is ready. The
// notice is a fifth of a second long, so that a call's cost is the call's and not the prompt's.
func startCallhall(ctx context.Context, binary, dir string, agents int) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &server{name: "callhall", to: "311", sip: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)}
	config, err := writeConfig(dir, s, agents)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "serve", "--config", config, "--self-test=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	if cmd.Stderr, err = os.Create(filepath.Join(dir, "callhall.log")); err != nil {
		return nil, fmt.Errorf("keep the server's log: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	s.pids = []int{cmd.Process.Pid}
	s.stop = func() { cmd.Cancel(); cmd.Wait() }
	if err := waitReady(out); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w (see %s)", binary, err, filepath.Join(dir, "callhall.log"))
	}
	go io.Copy(io.Discard, out) // ends with the process
	return s, nil
}

// waitReady reads lines until one says "ready".
func waitReady(r io.Reader) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "ready" {
			return nil
		}
	}
	return fmt.Errorf("ended before it was ready: %w", lines.Err())
}

// freePort finds a UDP port that is free now.
func freePort() (uint16, error) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer c.Close()
	return uint16(c.LocalAddr().(*net.UDPAddr).Port), nil
}

// writeConfig writes the configuration, the agents' passwords and the short notice.
func writeConfig(dir string, s *server, agents int) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, `data_dir: data
prompts: prompts
http: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0"}
sip: {listen: ["udp://%s"], realm: callhall, silence: 5m}
rtp: {listen: 127.0.0.1, ports: 20000-29999, deaf: 1s}
log: {level: warn, format: json}
drain_timeout: 1s
cities:
  - id: bench
    name: Bench City
    trunks: [{id: load, allow: [127.0.0.0/8], trust_identity: true}]
    numbers: [{number: "311", queue: general, language: en}]
    queues: [{id: general, ring: 15s, wrap_up: 0s}]
    agents:
`, s.sip)
	if err := os.MkdirAll(filepath.Join(dir, "secrets"), 0o700); err != nil {
		return "", fmt.Errorf("write configuration: %w", err)
	}
	for i := range agents {
		a := load.Agent{User: fmt.Sprintf("a%05d", i), Password: fmt.Sprintf("bench-%d-%d", os.Getpid(), i)}
		s.agents = append(s.agents, a)
		fmt.Fprintf(&b, "      - {id: %s, password_file: secrets/%s, queues: [general]}\n", a.User, a.User)
		if err := os.WriteFile(filepath.Join(dir, "secrets", a.User), []byte(a.Password), 0o600); err != nil {
			return "", fmt.Errorf("write configuration: %w", err)
		}
	}
	if err := writeNotice(filepath.Join(dir, "prompts", "en")); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "callhall.yaml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		return "", fmt.Errorf("write configuration: %w", err)
	}
	return path, nil
}

// writeNotice writes 200 ms of mu-law silence as a WAV file (format tag 7).
func writeNotice(dir string) error {
	const samples = 1600
	wav := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x12\x00\x00\x00\x07\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00\x00\x00data")
	wav = append(wav, samples&0xFF, samples>>8, 0, 0)
	for range samples {
		wav = append(wav, 0xFF)
	}
	size := len(wav) - 8
	wav[4], wav[5] = byte(size), byte(size>>8)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write notice: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notice.wav"), wav, 0o600); err != nil {
		return fmt.Errorf("write notice: %w", err)
	}
	return nil
}
