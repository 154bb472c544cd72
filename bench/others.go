package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// kamailioName is Kamailio with rtpengine in user space, as it stands in the tables.
const kamailioName = "kamailio+rtpengine"

// others runs the same held calls through Kamailio with rtpengine, recording on, where both are installed, and calls
// without sound at the first two of the rates.
func (b *bench) others(ctx context.Context, dir string) error {
	var missing []string
	for _, p := range []struct{ program, pkg string }{{"kamailio", "kamailio"}, {"rtpengine", "rtpengine-daemon"}} {
		if _, err := exec.LookPath(p.program); err != nil {
			missing = append(missing, p.pkg)
		}
	}
	if len(missing) > 0 {
		fmt.Printf("not compared with %s: missing here; apt-get install --no-install-recommends %s, then systemctl disable --now the services that it starts\n",
			kamailioName, strings.Join(missing, " "))
		return nil
	}
	who := subject{name: kamailioName, start: func(ctx context.Context, at place) (*server, error) { return startKamailio(ctx, b.peers, at) }}
	if err := b.eachHeld(ctx, dir, who); err != nil {
		return err
	}
	for _, rate := range b.rates[:min(2, len(b.rates))] {
		if _, err := b.rate(ctx, who, dir, rate); err != nil {
			return err
		}
	}
	return nil
}

// startKamailio starts rtpengine and then Kamailio, with the configurations of a folder.
func startKamailio(ctx context.Context, configs string, at place) (*server, error) {
	ng, err := freePort()
	if err != nil {
		return nil, err
	}
	fill := strings.NewReplacer("@SIP@", at.sip.String(), "@AGENTS@", at.agents.String(), "@NG@", ng.String(),
		"@HOST@", at.sip.Addr().String(), "@DIR@", at.dir, "@THREADS@", strconv.Itoa(runtime.NumCPU()))
	for _, name := range []string{"kamailio.cfg", "rtpengine.conf"} {
		b, err := os.ReadFile(filepath.Join(configs, name))
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		if err := write(filepath.Join(at.dir, name), []byte(fill.Replace(string(b)))); err != nil {
			return nil, err
		}
	}
	var both started
	if err := both.begin(ctx, at, ng, "12345_1 d7:command4:pinge", "rtpengine", "--config-file="+filepath.Join(at.dir, "rtpengine.conf")); err != nil {
		return nil, errors.Join(err, both.end())
	}
	if err := both.begin(ctx, at, at.sip, optionsRequest(at), "kamailio", "-f", filepath.Join(at.dir, "kamailio.cfg"), "-DD", "-E",
		"-m", "512", "-M", "16", "-w", at.dir, "-Y", at.dir); err != nil {
		return nil, errors.Join(err, both.end())
	}
	s := &server{stop: both.end}
	for _, p := range both.processes {
		s.pids = append(s.pids, familyOf(p.Process.Pid)...)
	}
	return s, nil
}

// started is programs that make up one server.
type started struct {
	processes []*process
	reading   sync.WaitGroup
}

// begin starts one and waits until it answers a question at its UDP port.
func (s *started) begin(ctx context.Context, at place, port netip.AddrPort, question, name string, args ...string) error {
	p, err := launch(at, name, args...)
	if err != nil {
		return err
	}
	s.processes = append(s.processes, p)
	s.reading.Go(func() { io.Copy(io.Discard, p.out) })
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := ask(ctx, port, question); err != nil {
		return fmt.Errorf("start %s: %w\n%s", name, err, p.lastWords())
	}
	return nil
}

// end stops them, the last first.
func (s *started) end() error {
	var err error
	for i := len(s.processes) - 1; i >= 0; i-- {
		var none sync.WaitGroup
		err = errors.Join(err, s.processes[i].end(&none))
	}
	s.reading.Wait()
	return err
}

// ask sends a question by UDP until something answers.
func ask(ctx context.Context, to netip.AddrPort, question string) error {
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return err
	}
	defer c.Close()
	answer := make([]byte, 2048)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		local := c.LocalAddr().String()
		c.Write([]byte(strings.ReplaceAll(question, "@LOCAL@", local))) // until it listens, an error of the answer before
		c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if n, err := c.Read(answer); err == nil && n > 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("no answer at %s: %w", to, ctx.Err())
		}
	}
}

// optionsRequest is an OPTIONS request for ask.
func optionsRequest(at place) string {
	return fmt.Sprintf("OPTIONS sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP @LOCAL@;branch=z9hG4bKup;rport\r\nMax-Forwards: 70\r\n"+
		"From: <sip:bench@localhost>;tag=1\r\nTo: <sip:%s>\r\nCall-ID: up\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", at.sip, at.sip)
}
