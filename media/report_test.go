package media

import (
	"bytes"
	"math"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
)

func TestReceptionFollowsA1(t *testing.T) {
	type step struct {
		seq  int
		okay bool
	}
	for name, c := range map[string]struct {
		steps           []step
		received, lost  uint64
		extendedHighest uint32
	}{
		"in order over the wrap": {[]step{{65534, true}, {65535, true}, {0, true}, {1, true}}, 4, 0, 1<<16 + 1},
		"two lost":               {[]step{{10, true}, {13, true}}, 2, 2, 13},
		"late":                   {[]step{{10, true}, {12, true}, {11, true}}, 3, 0, 12},
		"doubled":                {[]step{{10, true}, {10, true}, {11, true}}, 3, 0, 11},
		"late over the wrap":     {[]step{{65535, true}, {1, true}, {0, true}}, 3, 0, 1<<16 + 1},
		"one wild number":        {[]step{{10, true}, {30000, false}, {11, true}}, 2, 0, 11},
		"a new beginning":        {[]step{{10, true}, {12, true}, {30000, false}, {30001, true}, {30003, true}}, 4, 2, 30003},
	} {
		var r reception
		for _, s := range c.steps {
			if got := r.count(1, uint16(s.seq)); got != s.okay {
				t.Errorf("%s: %d counts as %v", name, s.seq, got)
			}
		}
		if r.total() != c.received || r.lost() != c.lost || r.highest() != c.extendedHighest {
			t.Errorf("%s: received %d, lost %d, highest %d", name, r.total(), r.lost(), r.highest())
		}
	}
}

// A.3: the fraction is of the packets expected since the last report, in 256ths.
func TestFractionLost(t *testing.T) {
	var r reception
	for seq := range 100 {
		if seq%4 != 3 {
			r.count(1, uint16(seq))
		}
	}
	r.count(1, 100)
	if got := r.fraction(); got != 25*256/101 {
		t.Errorf("a quarter lost is %d/256", got)
	}
	r.count(1, 101)
	if got := r.fraction(); got != 0 {
		t.Errorf("nothing lost since is %d/256", got)
	}
	if got := r.fraction(); got != 0 {
		t.Errorf("nothing sent since is %d/256", got)
	}
}

// A.8 by hand: J += (|D| - J)/16, D in samples.
func TestJitterFollowsA8(t *testing.T) {
	var r reception
	want := 0.0
	for i, late := range []time.Duration{0, 0, 4, 0, 10, 10} { // milliseconds behind the clock
		before := r.jitter
		r.time(time.Duration(i)*Ptime+late*time.Millisecond, uint32(1<<32-160+i*160))
		if i > 0 {
			d := []float64{0, 0, 32, 32, 80, 0}[i]
			want = before + (d-before)/16
		}
		if math.Abs(r.jitter-want) > 1e-9 {
			t.Errorf("after packet %d jitter is %v samples, want %v", i, r.jitter, want)
		}
	}
	if r.jitterTime() < 500*time.Microsecond || r.jitterTime() > 2*time.Millisecond {
		t.Errorf("jitter is %v", r.jitterTime())
	}
}

func TestMOS(t *testing.T) {
	for _, c := range []struct {
		loss  float64
		delay time.Duration
		want  float64
	}{{0, 0, 4.41}, {0, 150 * time.Millisecond, 4.34}, {1, 50 * time.Millisecond, 4.30}, {5, 50 * time.Millisecond, 3.87}, {100, 0, 1.18}, {0, 2 * time.Second, 1}} {
		if got := mos(c.loss, c.delay); math.Abs(got-c.want) > 0.02 {
			t.Errorf("%v%% lost, %v late: %.2f, want %.2f", c.loss, c.delay, got, c.want)
		}
	}
}

// reportsTo takes apart the RTCP that was sent to an address.
func reportsTo(t *testing.T, sent []sentPacket, to netip.AddrPort) (out []rtcp.CompoundPacket, raw []sentPacket) {
	t.Helper()
	for _, s := range sent {
		if s.to != to || s.b[1] < 192 {
			continue
		}
		packets, err := rtcp.Unmarshal(s.b)
		if err != nil {
			t.Fatal(err)
		}
		compound := rtcp.CompoundPacket(packets)
		if err := compound.Validate(); err != nil {
			t.Errorf("not a valid compound: %v", err)
		}
		out, raw = append(out, compound), append(raw, s)
	}
	return out, raw
}

func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		p := newParty(t, e, c, "127.0.0.5:4000", PCMU)
		to := netip.MustParseAddrPort("127.0.0.5:4001")
		p.stream.Play(clipOf(10), true)
		for i := range 60 * 50 {
			if i%10 == 9 { // a tenth is lost
				p.next.SequenceNumber++
				p.next.Timestamp += frameSize
			} else {
				p.send(frame(1))
			}
			time.Sleep(Ptime)
		}
		p.stream.Stop()
		time.Sleep(20 * time.Second)
		p.stream.Close()
		synctest.Wait()

		reports, raw := reportsTo(t, c.take(), to)
		if n := len(reports); n < 12 || n > 30 {
			t.Errorf("sent %d reports in 80 s", n)
		}
		gaps := map[time.Duration]bool{}
		for i, r := range reports {
			if i > 0 {
				gaps[raw[i].at.Sub(raw[i-1].at)] = true
			}
			if cname, err := r.CNAME(); err != nil || len(cname) != 16 || strings.Contains(cname, "127.0.0") {
				t.Errorf("report %d has the name %q, %v", i, cname, err)
			}
		}
		if len(gaps) < 4 {
			t.Errorf("reports are not at random times: %v", gaps)
		}
		first, isSR := reports[1][0].(*rtcp.SenderReport)
		if !isSR || len(first.Reports) != 1 {
			t.Fatalf("while it plays it reports %v", reports[1])
		}
		if block := first.Reports[0]; block.SSRC != p.next.SSRC || block.FractionLost < 20 || block.FractionLost > 30 || block.TotalLost == 0 {
			t.Errorf("a tenth lost is reported as %+v", block)
		}
		if d := float64(first.OctetCount) / float64(first.PacketCount); d != frameSize {
			t.Errorf("packets of %v octets", d)
		}
		last := reports[len(reports)-1]
		if _, isRR := last[0].(*rtcp.ReceiverReport); !isRR {
			t.Errorf("long after it played it reports %v", last[0])
		}
		bye, isBye := last[len(last)-1].(*rtcp.Goodbye)
		if !isBye || bye.Sources[0] != first.SSRC {
			t.Errorf("ends with %v", last[len(last)-1])
		}
	})
}

func TestSenderReportClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		p := newParty(t, e, c, "127.0.0.5:4000", PCMU)
		p.stream.Play(clipOf(10), true)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		sent := c.take()
		reports, raw := reportsTo(t, sent, netip.MustParseAddrPort("127.0.0.5:4001"))
		sound := rtpTo(t, sent, p.addr)[0]
		for i, r := range reports {
			sr := r[0].(*rtcp.SenderReport)
			if wall := time.Unix(int64(sr.NTPTime>>32)-2208988800, int64(sr.NTPTime&0xFFFFFFFF)*1e9>>32); raw[i].at.Sub(wall).Abs() > time.Millisecond {
				t.Errorf("report %d says it is %v, it is %v", i, wall, raw[i].at)
			}
			said, real := time.Duration(sr.RTPTime-sound.Timestamp)*time.Second/rate, raw[i].at.Sub(sound.at)
			if (said - real).Abs() > time.Millisecond {
				t.Errorf("report %d: %v of sound in %v", i, said, real)
			}
		}
	})
}

func TestReportsOfTheParty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		p := newParty(t, e, c, "127.0.0.5:4000", PCMU)
		to := netip.MustParseAddrPort("127.0.0.5:4001")
		p.stream.Play(clipOf(10), true)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		reports, raw := reportsTo(t, c.take(), to)
		sr := reports[len(reports)-1][0].(*rtcp.SenderReport)
		at := raw[len(raw)-1].at
		time.Sleep(10*time.Second - time.Since(at))
		block := rtcp.ReceptionReport{SSRC: sr.SSRC, TotalLost: 17, LastSenderReport: uint32(sr.NTPTime >> 16), Delay: 9900 * 65536 / 1000}
		theirs, err := rtcp.Marshal([]rtcp.Packet{&rtcp.SenderReport{SSRC: p.next.SSRC, NTPTime: 0x1234_5678_9ABC_0000, Reports: []rtcp.ReceptionReport{{SSRC: 1, TotalLost: 99}, block}}})
		if err != nil {
			t.Fatal(err)
		}
		p.report(to, theirs)
		if q := p.stream.Quality(); q.LostFar != 17 || (q.RoundTrip-100*time.Millisecond).Abs() > time.Millisecond {
			t.Errorf("quality %+v", q)
		}
		p.send(frame(1))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		reports, raw = reportsTo(t, c.take(), to)
		for i, r := range reports {
			sr := r[0].(*rtcp.SenderReport)
			if len(sr.Reports) == 0 {
				continue
			}
			held := raw[i].at.Sub(at.Add(10 * time.Second))
			if b := sr.Reports[0]; b.LastSenderReport != 0x5678_9ABC || (time.Duration(b.Delay)*time.Second/65536-held).Abs() > time.Millisecond {
				t.Errorf("their report is answered with %+v after %v", b, held)
			}
			return
		}
		t.Error("the party was never reported on")
	})
}

func TestRTCPMux(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		p := newParty(t, e, c, "127.0.0.5:4000", PCMU)
		params := p.params(PCMU)
		params.RemoteRTCP = params.Remote
		p.stream.Set(params)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		sent := c.take()
		if reports, raw := reportsTo(t, sent, p.addr); len(reports) == 0 || raw[0].from != p.stream.Local().Port() || len(raw) != len(sent) {
			t.Errorf("%d reports of %d packets go to the RTP port", len(reports), len(sent))
		}
		rr, err := (&rtcp.ReceiverReport{SSRC: 5}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		p.deliver(p.addr, rr)
		p.deliver(netip.MustParseAddrPort("127.0.0.5:4001"), rr)
		p.deliver(p.addr, bytes.Repeat([]byte{0xFF}, 40)[:3])
		p.deliver(p.addr, append(rr[:len(rr):len(rr)], 0x80))
		if q := p.stream.Quality(); q.Rejected != 3 || q.Received != 0 {
			t.Errorf("quality %+v", q)
		}
	})
}
