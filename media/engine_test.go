package media

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestPortsAreLeasedDeafAndFreeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, func(cfg *Config) { cfg.PortMin, cfg.PortMax = 20001, 20006 })
		count := func(free, leased int) {
			t.Helper()
			if e.PortsFree() != free || e.PortsLeased() != leased {
				t.Errorf("%d free and %d leased, want %d and %d", e.PortsFree(), e.PortsLeased(), free, leased)
			}
		}
		count(2, 0)
		a, b := newParty(t, e, c, "127.0.0.5:4000", PCMU), newParty(t, e, c, "127.0.0.6:4000", PCMU)
		if p := a.stream.Local().Port(); p%2 != 0 || p < 20002 || p > 20004 || p == b.stream.Local().Port() {
			t.Errorf("leased %d and %d", p, b.stream.Local().Port())
		}
		if _, err := e.Lease(a.stream); !errors.Is(err, ErrNoPort) {
			t.Errorf("a third of two: %v", err)
		}
		count(0, 2)
		a.stream.Close()
		a.stream.Close()
		count(0, 1)
		a.send(frame(1))
		if q := a.stream.Quality(); q.Received+q.Rejected != 0 {
			t.Error("a closed port hears")
		}
		time.Sleep(29 * time.Second)
		if _, err := e.Lease(nil); !errors.Is(err, ErrNoPort) {
			t.Errorf("a deaf port was leased: %v", err)
		}
		time.Sleep(2 * time.Second)
		again, err := e.Lease(nil)
		if err != nil || again.Local() != a.stream.Local() {
			t.Errorf("after 31 s: %v, %v", again, err)
		}
		count(0, 2)
	})
}

func TestClosedStreamIsInert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		a, b := newParty(t, e, c, "127.0.0.5:4000", PCMU), newParty(t, e, c, "127.0.0.6:4000", PCMU)
		Join(a.stream, b.stream)
		a.stream.Play(clipOf(10), true)
		a.stream.SendDigit('1', time.Second)
		a.stream.Close()
		c.take()
		a.stream.Play(clipOf(10), true)
		a.stream.SendDigit('1', time.Second)
		a.stream.Set(a.params(PCMU))
		Join(a.stream, b.stream)
		b.send(frame(1))
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, s := range c.take() {
			if s.to.Addr() == a.addr.Addr() {
				t.Fatalf("a closed stream sends to %v", s.to)
			}
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if _, err := e.Lease(nil); !errors.Is(err, ErrClosed) {
			t.Errorf("lease of a closed engine: %v", err)
		}
		if e.PortsLeased() != 0 {
			t.Errorf("%d ports leased after Close", e.PortsLeased())
		}
	})
}

func TestConfigFaultsAreAllTold(t *testing.T) {
	_, err := Open(Config{Addr: netip.MustParseAddr("192.0.2.1"), PortMin: 80, PortMax: 70000})
	if err == nil || !strings.Contains(err.Error(), "70000") || !strings.Contains(err.Error(), "192.0.2.1") {
		t.Errorf("got %v", err)
	}
	if _, err := Open(Config{PortMin: 20001, PortMax: 20002}); err == nil {
		t.Error("a range without a pair, on no address, is accepted")
	}
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		e, c := memoryEngine(t, func(cfg *Config) { cfg.Registry = registry })
		a, b := newParty(t, e, c, "127.0.0.5:4000", PCMU), newParty(t, e, c, "127.0.0.6:4000", PCMU)
		Join(a.stream, b.stream)
		relayFor(a, 5)
		a.next.SequenceNumber++
		relayFor(a, 5)
		b.deliver(a.addr, frame(1))
		time.Sleep(time.Second)
		a.stream.Close()
		b.stream.Close()
		got := map[string]float64{}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					name += "/" + l.GetValue()
				}
				got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
		for name, want := range map[string]float64{
			"callhall_rtp_packets_total/in": 10, "callhall_rtp_packets_total/out": 10, "callhall_rtp_lost_packets_total": 1,
			"callhall_rtp_rejected_packets_total": 1, "callhall_rtp_oneway_streams_total": 1,
			"callhall_rtp_jitter_seconds": 1, "callhall_rtp_ports_free": 48,
		} {
			if got[name] != want {
				t.Errorf("%s is %v, want %v", name, got[name], want)
			}
		}
	})
}
