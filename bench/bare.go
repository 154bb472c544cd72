package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"

	"callhall/bench/load"
)

// nobody is an address at which no signalling server listens: streams need none.
var nobody = netip.MustParseAddrPort("127.0.0.1:9")

// direct measures the generator alone: the callers' socket sends to the agents' and back.
func (b *bench) direct(ctx context.Context, _ string) error {
	for _, n := range b.calls {
		if err := b.directAt(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) directAt(ctx context.Context, calls int) (err error) {
	g, err := load.Open(load.Config{Server: nobody, Media: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	for range calls {
		g.Direct()
	}
	values, err := b.window(ctx, g, nil, settleBare)
	if err != nil {
		return err
	}
	return b.report.add(row{"held calls", "no server", calls, values})
}

// floors measures the bare relay of floor_linux.go at each number of calls.
func (b *bench) floors(ctx context.Context, _ string) error {
	for _, n := range b.calls {
		if err := b.floorAt(ctx, n); err != nil {
			return fmt.Errorf("%d calls: %w", n, err)
		}
	}
	return nil
}

func (b *bench) floorAt(ctx context.Context, calls int) (err error) {
	g, err := load.Open(load.Config{Server: nobody, Media: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	callers, agents := g.MediaPorts()
	cmd := exec.CommandContext(ctx, self, "floor", "-calls", strconv.Itoa(calls), "-callers", strconv.Itoa(int(callers)), "-agents", strconv.Itoa(int(agents)))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start the floor: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the floor: %w", err)
	}
	defer cmd.Wait() // it is killed: how it ends says nothing
	defer cmd.Process.Kill()
	ports, err := readPorts(bufio.NewScanner(out))
	if err != nil {
		return err
	}
	for _, p := range ports {
		g.Stream(p[0], p[1])
	}
	values, err := b.window(ctx, g, &server{pids: []int{cmd.Process.Pid}}, settleBare)
	if err != nil {
		return err
	}
	return b.report.add(row{"held calls", "floor", calls, values})
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
	return nil, errors.Join(errors.New("the floor ended early"), lines.Err())
}
