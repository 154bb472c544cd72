package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"callhall/bench/load"
)

// bench makes the measurements, one at a time, each against a server started for it alone.
type bench struct {
	options
	report *report
}

func (b *bench) all(ctx context.Context) error {
	dir, err := os.MkdirTemp(b.dir, "callhall-bench")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := b.machine(ctx, dir); err != nil {
		return err
	}
	var failed error // of the parts: one does not keep the others from being measured
	for _, part := range []struct {
		name string
		run  func(context.Context, string) error
	}{{"floor", b.floors}, {"direct", b.direct}, {"media", b.media}, {"rate", b.rateSearch}, {"peers", b.others}, {"ani", b.callerNumbers}} {
		if b.only != "" && !slices.Contains(strings.Split(b.only, ","), part.name) {
			continue
		}
		if err := part.run(ctx, dir); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", part.name, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(failed, b.report.furtherCalls(), b.report.ratios())
}

// callhall is the server that is ours.
func (b *bench) callhall() subject {
	return subject{name: "callhall", registers: true, start: func(ctx context.Context, at place) (*server, error) {
		return startCallhall(ctx, b.binary, at)
	}}
}

// open starts a server in a folder of its own and a load toward it. The caller closes both with the last result.
func (b *bench) open(ctx context.Context, who subject, dir string, cfg load.Config, agents int) (*server, *load.Generator, func() error, error) {
	at, err := newPlace(dir)
	if err != nil {
		return nil, nil, nil, err
	}
	if who.registers {
		at.accounts = accounts(agents)
	}
	cfg.Server, cfg.Domain, cfg.To, cfg.From, cfg.Agents = at.sip, "callhall", "311", "+12125550142", at.accounts
	g, err := load.Open(cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	at.agents = g.AgentAddr()
	s, err := who.start(ctx, at)
	if err != nil {
		return nil, nil, nil, errors.Join(err, g.Close())
	}
	s.name = who.name
	end := func() error { return errors.Join(g.Close(), s.stop(), os.RemoveAll(dir)) }
	up, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := g.Register(up); err != nil {
		return nil, nil, nil, errors.Join(err, end())
	}
	return s, g, end, nil
}

// How long calls are held before a window begins, with a server that has just set them up and without.
const (
	settle     = 3 * time.Second
	settleBare = time.Second
)

// window measures CPU, loss and delay while calls are held. s is nil where there is no server.
func (b *bench) window(ctx context.Context, g *load.Generator, s *server, settle time.Duration) ([]value, error) {
	if err := sleep(ctx, settle); err != nil {
		return nil, err
	}
	before, err := usageOf(s)
	if err != nil {
		return nil, err
	}
	g.Measure()
	if err := sleep(ctx, time.Duration(b.seconds)*time.Second); err != nil {
		return nil, err
	}
	r := g.Result()
	after, err := usageOf(s)
	if err != nil {
		return nil, err
	}
	if r.Heard == 0 {
		return nil, fmt.Errorf("no packet of %d came through", r.Sent)
	}
	u := after.since(before)
	var values []value
	if s != nil {
		values = append(values, number("CPU per packet", "us", micros(u.server)/float64(r.Heard)), number("cores", "", u.cores(u.server)))
	}
	return append(values,
		number("lost", "%", 100*float64(r.Lost)/float64(r.Heard+r.Lost)),
		number("silent streams", "", float64(r.Silent)),
		number("delay p50", "ms", millis(r.Delay.P50)), number("delay p99", "ms", millis(r.Delay.P99)), number("delay p99.9", "ms", millis(r.Delay.P999)),
		number("generator cores", "", u.cores(u.self)), number("other cores", "", u.cores(u.others()))), nil
}

// media measures held calls, relayed and recorded.
func (b *bench) media(ctx context.Context, dir string) error {
	return b.eachHeld(ctx, dir, b.callhall())
}

func (b *bench) eachHeld(ctx context.Context, dir string, who subject) error {
	var failed error
	for _, n := range b.calls {
		if err := b.held(ctx, who, filepath.Join(dir, "held"), n); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%d calls: %w", n, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return failed
}

// rampRate is how many held calls are set up a second.
const rampRate = 40

// held sets up calls with sound, measures them and hangs them up.
func (b *bench) held(ctx context.Context, who subject, dir string, calls int) (err error) {
	s, g, end, err := b.open(ctx, who, dir, load.Config{Calls: calls, Rate: rampRate, Media: true}, calls+10)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
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
	values, err := b.window(ctx, g, s, settle)
	if err != nil {
		return err
	}
	full, err := s.memory()
	if err != nil {
		return err
	}
	g.HangUpAll()
	over, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	if err := g.WaitOver(over); err != nil {
		return err
	}
	r := g.Result()
	values = append(values, number("memory", "KiB/call", float64(full-empty)/1024/float64(calls)), number(memoryInAll, "KiB", float64(full)/1024))
	if err := b.report.add(row{"held calls", s.name, calls, values}); err != nil {
		return err
	}
	return b.report.add(row{"set-up of held calls", s.name, calls, slices.Concat(spread("post-dial", r.PostDial),
		spread("first sound", r.FirstSound), spread("agent invited", r.Offered), spread("agent's voice", r.AgentSound))})
}

// spread is the p50 and p99 of some delays; nothing of none.
func spread(name string, ds []time.Duration) []value {
	if len(ds) == 0 {
		return nil
	}
	return []value{number(name+" p50", "ms", millis(load.Percentile(ds, 0.50))), number(name+" p99", "ms", millis(load.Percentile(ds, 0.99)))}
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
