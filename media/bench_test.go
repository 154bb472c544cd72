//go:build unix

package media

import (
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"callhall/call"
)

// A copyTap does what the least recorder does: it copies the payload. It says so after every burst.
type copyTap struct {
	kept  [frameSize]byte
	n     atomic.Int64 // the portable carrier has a goroutine for each socket
	burst int64
	done  chan struct{}
}

func (c *copyTap) Heard(p call.Packet) {
	copy(c.kept[:], p.Payload)
	if c.burst > 0 && c.n.Add(1)%c.burst == 0 {
		c.done <- struct{}{}
	}
}

// wait returns when a burst has been heard.
func (c *copyTap) wait(b *testing.B) {
	select {
	case <-c.done:
	case <-time.After(5 * time.Second):
		b.Fatal("a packet was lost on loopback")
	}
}

// A sinkSocket sends nowhere.
type sinkSocket struct{ memorySocket }

func (*sinkSocket) send([]byte, netip.AddrPort) error { return nil }

// BenchmarkRelay is one packet from the buffer it came in to the moment before it is sent: source check, parsing,
// measuring, tap, rewriting. No sockets.
func BenchmarkRelay(b *testing.B) {
	e, c := memoryEngine(b, nil)
	x, y := newParty(b, e, c, "127.0.0.5:4000", PCMU), newParty(b, e, c, "127.0.0.6:4000", PCMU)
	y.stream.pair.rtp = &sinkSocket{}
	x.stream.Tap(&copyTap{})
	Join(x.stream, y.stream)
	packet := make([]byte, headerSize+frameSize)
	at := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.next.MarshalTo(packet); err != nil {
			b.Fatal(err)
		}
		x.next.SequenceNumber++
		x.next.Timestamp += frameSize
		at = at.Add(Ptime)
		x.stream.receive(at, x.addr, packet)
	}
	if lost := int64(b.N) - int64(y.stream.Quality().Sent); lost > 1 || lost < -1 {
		b.Errorf("%d packets were not relayed", lost)
	}
}

// BenchmarkRelayLoopback is the same over real sockets, with bursts of many calls. The generator's own system calls are
// in ns/op; cpu-ns/packet is the CPU of the whole process for one packet: made, received, relayed, received again.
func BenchmarkRelayLoopback(b *testing.B) {
	for name, carry := range map[string]func(*loop) (carrier, error){"best": newCarrier, "sockets": newSocketCarrier} {
		b.Run(name, func(b *testing.B) { benchLoopback(b, openReal(b, carry, 1)) })
	}
}

func benchLoopback(b *testing.B, e *Engine) {
	defer closeEngine(b, e)
	const calls = 50
	tap := copyTap{burst: calls, done: make(chan struct{}, 1)}
	var callers []*phone
	sink := udp(b, "127.0.0.7") // never read: the kernel drops what does not fit
	for range calls {
		p := newPhone(b, e, nil, "127.0.0.5", PCMU)
		far, err := e.Lease(p.stream)
		if err != nil {
			b.Fatal(err)
		}
		far.Set(Params{Remote: address(sink), Send: true, Receive: true})
		p.stream.Tap(&tap)
		Join(p.stream, far)
		callers = append(callers, p)
	}
	payload := make([]byte, frameSize)
	before := processCPU(b)
	b.ReportAllocs()
	b.ResetTimer()
	for n := range b.N {
		p := callers[n%calls]
		p.write(p.rtp, p.stream.Local(), payload)
		p.next.SequenceNumber++
		p.next.Timestamp += frameSize
		if n%calls == calls-1 {
			tap.wait(b)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(processCPU(b)-before)/float64(b.N), "cpu-ns/packet")
}

// processCPU is the CPU time that this process has used.
func processCPU(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
