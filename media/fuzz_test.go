package media

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// FuzzRTP brings any datagram to a joined, tapped stream: nothing panics, and whatever is sent on is plain RTP of ours.
func FuzzRTP(f *testing.F) {
	for _, seed := range [][]byte{
		append([]byte{0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1}, frame(0x55)...),
		append([]byte{0x80, 0x88, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1}, frame(0xD5)...),
		{0x80, 13, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 40},
		{0x80, 101, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 5, 0x8A, 3, 0x20},
		{0xB1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0x11, 0x22, 0, 2},
		{0x90, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xBE, 0xDE, 0, 1, 0x1F, 1, 2, 3},
		{0xA0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xFF, 9},
		{0x81, 201, 0, 1, 0, 0, 0, 1},
		{},
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		e, c := memoryEngine(t, nil)
		a, b := newParty(t, e, c, "127.0.0.5:4000", PCMU), newParty(t, e, c, "127.0.0.6:4000", PCMA)
		a.stream.Tap(tapped{&a.told})
		Join(a.stream, b.stream)
		b.stream.Play(clipOf(1), false)
		b.stream.Stop()
		a.deliver(a.addr, first)
		a.deliver(a.addr, second)
		a.deliver(a.addr, bytes.Clone(first))
		for _, s := range c.take() {
			var p rtp.Packet
			if err := p.Unmarshal(s.b); err != nil {
				t.Fatalf("sent %x: %v", s.b, err)
			}
			if s.to != b.addr || p.Version != 2 || p.SSRC != b.stream.out.ssrc || len(p.Payload) == 0 || p.Extension || p.Padding || len(p.CSRC) > 0 {
				t.Fatalf("sent %+v to %v", p, s.to)
			}
		}
		if q := a.stream.Quality(); q.Received+q.Rejected > 3 || uint64(len(a.told.all().packets)) > q.Received {
			t.Fatalf("three datagrams: %+v, %d tapped", q, len(a.told.all().packets))
		}
	})
}

// FuzzRTCP brings any datagram to the report port: nothing panics, and no nonsense is believed.
func FuzzRTCP(f *testing.F) {
	whole, err := rtcp.Marshal([]rtcp.Packet{
		&rtcp.SenderReport{SSRC: 1, NTPTime: 1 << 40, Reports: []rtcp.ReceptionReport{{SSRC: 2, TotalLost: 1<<24 - 1, LastSenderReport: 3, Delay: 4}}},
		rtcp.NewCNAMESourceDescription(1, "someone"), &rtcp.Goodbye{Sources: []uint32{1}, Reason: "gone"},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add([]byte{0x81, 201, 0, 1, 0, 0, 0, 1})
	f.Add([]byte{0x81, 207, 0, 2, 0, 0, 0, 1, 4, 0, 0, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, c := memoryEngine(t, nil)
		p := newParty(t, e, c, "127.0.0.5:4000", PCMU)
		p.stream.out.ssrc = 2
		p.report(netip.MustParseAddrPort("127.0.0.5:4001"), b)
		if q := p.stream.Quality(); q.LostFar > 1<<23 || q.RoundTrip < 0 || q.RoundTrip > maxRoundTrip {
			t.Fatalf("believed %+v", q)
		}
		p.stream.mu.Lock()
		defer p.stream.mu.Unlock()
		p.stream.sendReport(p.stream.now(), true)
	})
}

// FuzzDTMF brings any run of event packets to a keyIn: each packet tells one key at most, and only real ones.
func FuzzDTMF(f *testing.F) {
	f.Add([]byte{5, 0, 0, 160, 5, 0x80, 1, 0x40, 5, 0x80, 1, 0x40}, uint32(160))
	f.Add([]byte{16, 0x80, 0, 160, 255, 0x80, 0, 0}, uint32(1<<31))
	f.Add([]byte{9, 0, 0xFF, 0xFF, 9, 0x80, 0, 160}, uint32(maxEvent))
	f.Fuzz(func(t *testing.T, b []byte, step uint32) {
		var k keyIn
		told, ts := 0, uint32(0)
		for n := 0; len(b) >= eventSize; n++ {
			key := k.take(&arrival{at: time.Duration(n) * Ptime, ts: ts, payload: b[:eventSize]})
			if key != 0 {
				told++
				if !bytes.ContainsRune([]byte(keyNames), key) {
					t.Fatalf("told of %q", key)
				}
			}
			if told > n+1 {
				t.Fatalf("%d keys of %d packets", told, n+1)
			}
			b = b[eventSize:]
			ts += step
		}
		k.expire(time.Hour)
		if k.active {
			t.Fatal("a key is pressed for ever")
		}
	})
}

// FuzzWAV parses anything: what is accepted can be played.
func FuzzWAV(f *testing.F) {
	whole := wavFile(wavULaw8())
	f.Add(whole)
	f.Add(wavFile(wavePCM, 1, 8000, 16, []byte{1, 2, 3}))
	f.Add(whole[:40])
	f.Add([]byte("RIFF\xFF\xFF\xFF\xFFWAVEfmt \xFF\xFF\xFF\xFF"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseWAV(bytes.NewReader(b))
		if err != nil {
			return
		}
		if len(c.ulaw) != len(c.alaw) || len(c.ulaw) > len(b) {
			t.Fatalf("%d bytes give %d and %d samples", len(b), len(c.ulaw), len(c.alaw))
		}
		c.frame(make([]byte, frameSize), PCMU, 0, true)
	})
}
