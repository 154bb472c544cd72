package media

import (
	"crypto/rand"
	"encoding/base64"
	mrand "math/rand/v2"
	"net/netip"
	"time"

	"github.com/pion/rtcp"
)

// A report is what a stream keeps for RTCP, and what the far side's reports said.
type report struct {
	reportAt   time.Duration // when the next one is due
	sentBefore uint64        // packets sent by the last one
	rtcpFixed  bool          // rtcpTo was learned

	lastSR   uint32        // the middle of the NTP time of the party's last sender report
	lastSRAt time.Duration // when that came; 0: never

	lostFar   uint64
	roundTrip time.Duration
}

// maxRoundTrip is the longest round trip that is believed.
const maxRoundTrip = 10 * time.Second

// newCNAME is 96 random bits (RFC 7022 §4.2): it names no host and no person.
func newCNAME() string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	return base64.RawStdEncoding.EncodeToString(b[:])
}

// reportInterval is the time to the next report: its mean, from half to one and a half times as long, and shortened by
// e-3/2 to make up for timer reconsideration (RFC 3550 §6.3.1).
func (s *Stream) reportInterval() time.Duration {
	return time.Duration(float64(s.engine.cfg.ReportInterval) * (0.5 + mrand.Float64()) / 1.21828)
}

// visit is the stream's turn, every 200 ms, to notice silence and to send its report.
func (s *Stream) visit(at time.Time) {
	n := s.visitLocked(at)
	n.tell()
}

func (s *Stream) visitLocked(at time.Time) news {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return news{}
	}
	s.tell()
	now := s.clock(at)
	if now >= s.reportAt {
		s.sendReport(now, false)
		s.reportAt = now + s.reportInterval()
	}
	n := news{handler: s.handler}
	if d := now - s.alive; s.params.Receive && !s.wasQuiet && d >= s.engine.cfg.SilenceLimit {
		s.wasQuiet, s.heard, n.quiet = true, false, d
	}
	return n
}

// sendReport sends a sender or receiver report with our CNAME (RFC 3550 §6.4, §6.5), and BYE when it is the last. It is
// sent to the party only.
func (s *Stream) sendReport(now time.Duration, bye bool) {
	if !s.rtcpTo.IsValid() {
		return
	}
	packets := []rtcp.Packet{s.reportPacket(now), rtcp.NewCNAMESourceDescription(s.out.ssrc, s.cname)}
	if bye {
		packets = append(packets, &rtcp.Goodbye{Sources: []uint32{s.out.ssrc}})
	}
	b, err := rtcp.Marshal(packets)
	if err != nil {
		s.engine.cfg.Log.Error("report not built", "err", err)
		return
	}
	from := s.pair.rtcp
	if s.muxed() {
		from = s.pair.rtp
	}
	_ = from.send(b, s.rtcpTo) // lost like any datagram: the next report says the same
}

// muxed tells whether RTCP shares the RTP port.
func (s *Stream) muxed() bool {
	return s.params.RemoteRTCP.IsValid() && s.params.RemoteRTCP == s.params.Remote
}

// reportPacket is a sender report when anything was sent since the last one, else a receiver report.
func (s *Stream) reportPacket(now time.Duration) rtcp.Packet {
	blocks := s.receptionReports(now)
	if s.out.packets == s.sentBefore {
		return &rtcp.ReceiverReport{SSRC: s.out.ssrc, Reports: blocks}
	}
	s.sentBefore = s.out.packets
	return &rtcp.SenderReport{
		SSRC: s.out.ssrc, NTPTime: s.ntp(now), RTPTime: s.out.ts + samples(now-s.out.at),
		PacketCount: uint32(s.out.packets), OctetCount: s.out.octets, Reports: blocks,
	}
}

// receptionReports is the one block about the party, if it has been heard since the last report.
func (s *Stream) receptionReports(now time.Duration) []rtcp.ReceptionReport {
	if !s.in.begun || s.in.received == s.in.receivedPrior {
		return nil
	}
	block := rtcp.ReceptionReport{
		SSRC: s.in.ssrc, FractionLost: s.in.fraction(), TotalLost: uint32(min(s.in.lost()-s.in.lostBefore, 1<<23-1)),
		LastSequenceNumber: s.in.highest(), Jitter: uint32(s.in.jitter),
	}
	if s.lastSRAt > 0 {
		block.LastSenderReport = s.lastSR
		block.Delay = uint32((now - s.lastSRAt) * 65536 / time.Second)
	}
	return []rtcp.ReceptionReport{block}
}

// ntp is a time of ours in NTP's format: seconds since 1900, in 32.32 bits. It follows the monotonic clock.
func (s *Stream) ntp(now time.Duration) uint64 {
	const from1900to1970 = 2208988800
	at := s.loop.epoch.Add(now)
	return uint64(at.Unix()+from1900to1970)<<32 | uint64(at.Nanosecond())<<32/uint64(time.Second)
}

// receiveReport is the receiver of the RTCP socket.
func (s *Stream) receiveReport(at time.Time, from netip.AddrPort, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if !s.mayReport(from) {
		s.rejected++
		return
	}
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		s.rejected++
		return
	}
	now := s.clock(at)
	s.alive = now
	if s.remote != s.params.Remote && !s.rtcpFixed && !s.muxed() { // behind a NAT: reports go back the way they came, once
		s.rtcpTo, s.rtcpFixed = from, true
	}
	for _, p := range packets {
		s.takeReport(now, p)
	}
}

// mayReport is the source check of RTCP: with rtcp-mux the address of RTP, else the one that was named for RTCP or any
// port of the party's host.
func (s *Stream) mayReport(from netip.AddrPort) bool {
	if !s.remote.IsValid() {
		return false
	}
	if s.muxed() {
		return from == s.remote
	}
	return from.Addr() == s.remote.Addr() || from == s.params.RemoteRTCP
}

// takeReport learns what one RTCP packet has to say about us and about the party's clock.
func (s *Stream) takeReport(now time.Duration, p rtcp.Packet) {
	switch p := p.(type) {
	case *rtcp.SenderReport:
		s.lastSR, s.lastSRAt = uint32(p.NTPTime>>16), now
		s.takeBlocks(now, p.Reports)
	case *rtcp.ReceiverReport:
		s.takeBlocks(now, p.Reports)
	}
}

// takeBlocks reads the block about us: how much was lost (24 bits, signed), and the round trip (RFC 3550 §6.4.1).
func (s *Stream) takeBlocks(now time.Duration, blocks []rtcp.ReceptionReport) {
	for _, b := range blocks {
		if b.SSRC != s.out.ssrc {
			continue
		}
		s.lostFar = uint64(max(int32(b.TotalLost<<8)>>8, 0))
		if b.LastSenderReport == 0 {
			continue
		}
		ticks := uint32(s.ntp(now)>>16) - b.LastSenderReport - b.Delay // of 1/65536 s
		if trip := time.Duration(int32(ticks)) * time.Second / 65536; trip >= 0 && trip <= maxRoundTrip {
			s.roundTrip = trip
		}
	}
}
