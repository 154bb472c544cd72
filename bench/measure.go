package main

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"time"

	"callhall/bench/load"
)

// bench makes the measurements, one at a time, each against a server started for it alone.
type bench struct {
	options
	report *report
}

func (b *bench) all(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "callhall-bench")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	p50, p99, err := fsyncOf(dir)
	if err != nil {
		return err
	}
	err = b.report.add(row{"disk", "this machine", 200, []value{{"fsync p50", "ms", millis(p50)}, {"fsync p99", "ms", millis(p99)}}})
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		run  func(context.Context, string) error
	}{{"floor", b.floors}, {"media", b.media}, {"rate", b.callRates}, {"peers", b.others}} {
		if b.only != "" && b.only != part.name {
			continue
		}
		if err := part.run(ctx, dir); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// floors measures the bare relay of floor_linux.go at each number of calls.
func (b *bench) floors(ctx context.Context, _ string) error {
	for _, n := range b.calls {
		if err := b.floorAt(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) floorAt(ctx context.Context, calls int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, err := load.Start(ctx, load.Config{Server: netip.MustParseAddrPort("127.0.0.1:9"), Media: true})
	if err != nil {
		return err
	}
	defer g.Close()
	callers, agents := g.MediaPorts()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "floor", "-calls", strconv.Itoa(calls), "-callers", strconv.Itoa(int(callers)), "-agents", strconv.Itoa(int(agents)))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start the floor: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the floor: %w", err)
	}
	defer cmd.Wait()
	defer cancel()
	ports, err := readPorts(bufio.NewScanner(out))
	if err != nil {
		return err
	}
	for i, p := range ports {
		g.Stream(strconv.Itoa(i), p[0], p[1])
	}
	s := &server{name: "floor", pids: []int{cmd.Process.Pid}}
	values, err := b.window(ctx, g, s, calls)
	if err != nil {
		return err
	}
	return b.report.add(row{"media", "floor", calls, values})
}

// readPorts reads the pairs that the floor prints.
func readPorts(lines *bufio.Scanner) ([][2]uint16, error) {
	var ports [][2]uint16
	for lines.Scan() {
		if lines.Text() == "ready" {
			return ports, nil
		}
		var a, b uint16
		if _, err := fmt.Sscan(lines.Text(), &a, &b); err != nil {
			return nil, fmt.Errorf("read the floor's ports: %w", err)
		}
		ports = append(ports, [2]uint16{a, b})
	}
	return nil, fmt.Errorf("the floor ended early: %w", lines.Err())
}

// settle is how long a server is left alone before a window begins.
const settle = 3 * time.Second

// window measures CPU, loss and delay while calls are held.
func (b *bench) window(ctx context.Context, g *load.Generator, s *server, calls int) ([]value, error) {
	if err := sleep(ctx, settle); err != nil {
		return nil, err
	}
	g.Measure()
	before, err := s.cpu()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := sleep(ctx, time.Duration(b.options.window)*time.Second); err != nil {
		return nil, err
	}
	after, err := s.cpu()
	if err != nil {
		return nil, err
	}
	took, r := time.Since(begin), g.Result()
	if r.Heard == 0 {
		return nil, fmt.Errorf("no packet of %d came through", r.Sent)
	}
	used := after - before
	return []value{
		{"cores", "", used.Seconds() / took.Seconds()},
		{"per packet", "us", micros(used) / float64(r.Heard)},
		{"lost", "%", 100 * float64(r.Lost) / float64(r.Heard+r.Lost)},
		{"delay p50", "ms", millis(r.Delay.P50)},
		{"p99", "ms", millis(r.Delay.P99)},
		{"p99.9", "ms", millis(r.Delay.P999)},
	}, nil
}

// media measures held calls, relayed and recorded.
func (b *bench) media(ctx context.Context, dir string) error {
	for _, n := range b.calls {
		s, err := b.fresh(ctx, dir, fmt.Sprintf("media-%d", n), n+10)
		if err != nil {
			return err
		}
		err = b.held(ctx, s, n)
		s.stop()
		if err != nil {
			return fmt.Errorf("%d calls: %w", n, err)
		}
	}
	return nil
}

// fresh starts Callhall with its data in a folder of its own.
func (b *bench) fresh(ctx context.Context, dir, name string, agents int) (*server, error) {
	sub := dir + "/" + name
	if err := os.Mkdir(sub, 0o700); err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	return startCallhall(ctx, b.binary, sub, agents)
}

// rampRate is how fast held calls are set up.
const rampRate = 40

// held sets up calls with sound, measures them and hangs them up.
func (b *bench) held(ctx context.Context, s *server, calls int) error {
	g, err := load.Start(ctx, load.Config{Server: s.sip, Domain: "callhall", To: s.to, From: "+12125550142", Calls: calls, Rate: rampRate,
		Media: true, Agents: s.agents})
	if err != nil {
		return err
	}
	defer g.Close()
	empty, err := s.memory()
	if err != nil {
		return err
	}
	if err := g.Place(ctx); err != nil {
		return err
	}
	up, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := g.WaitConnected(up, calls); err != nil {
		return err
	}
	values, err := b.window(ctx, g, s, calls)
	if err != nil {
		return err
	}
	full, err := s.memory()
	if err != nil {
		return err
	}
	r := g.Result()
	g.HangUpAll()
	over, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	if err := g.WaitOver(over); err != nil {
		return err
	}
	values = append(values, value{"memory", "KiB/call", float64(full-empty) / 1024 / float64(calls)},
		value{"post-dial p50", "ms", millis(percentile(r.PostDial, 0.50))}, value{"p99", "ms", millis(percentile(r.PostDial, 0.99))},
		value{"first sound p50", "ms", millis(percentile(r.FirstSound, 0.50))}, value{"p99", "ms", millis(percentile(r.FirstSound, 0.99))})
	return b.report.add(row{"media", s.name, calls, values})
}

// callRates measures calls a second without sound: queued, offered, answered, recorded, ended after a second.
func (b *bench) callRates(ctx context.Context, dir string) error {
	for _, rate := range b.rates {
		s, err := b.fresh(ctx, dir, fmt.Sprintf("rate-%d", rate), 3*rate+50)
		if err != nil {
			return err
		}
		held, err := b.rate(ctx, s, rate)
		s.stop()
		if err != nil {
			return fmt.Errorf("%d calls a second: %w", rate, err)
		}
		if !held {
			return nil // a rate that is not held ends the search
		}
	}
	return nil
}

// rate offers calls at a rate and tells whether they were held: fewer than one in a thousand failed, post-dial delay
// under a second at p99.
func (b *bench) rate(ctx context.Context, s *server, rate int) (held bool, err error) {
	calls := rate * b.options.window
	g, err := load.Start(ctx, load.Config{Server: s.sip, Domain: "callhall", To: s.to, From: "+12125550142", Calls: calls,
		Rate: float64(rate), Hold: time.Second, Agents: s.agents})
	if err != nil {
		return false, err
	}
	defer g.Close()
	before, err := s.cpu()
	if err != nil {
		return false, err
	}
	if err := g.Place(ctx); err != nil {
		return false, err
	}
	over, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	overErr := g.WaitOver(over)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	after, err := s.cpu()
	if err != nil {
		return false, err
	}
	r := g.Result()
	p99 := percentile(r.PostDial, 0.99)
	failed := float64(r.Placed-r.Connected) / float64(r.Placed)
	held = overErr == nil && failed < 0.001 && p99 < time.Second
	return held, b.report.add(row{"rate", s.name, rate, []value{
		{"failed", "%", 100 * failed}, {"CPU", "ms/call", millis(after-before) / float64(r.Placed)},
		{"post-dial p50", "ms", millis(percentile(r.PostDial, 0.50))}, {"p99", "ms", millis(p99)},
		{"sent again", "", float64(r.Resent)}}})
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
