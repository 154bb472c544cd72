package media

import (
	"time"

	"callhall/call"
)

// mos estimates the mean opinion score of G.711 with packet loss concealment by the E-model, simplified: all of ITU-T
// G.107's defaults make R0 93.2 (its 2003 edition); delay costs Id = 0.024·d + 0.11·(d-177.3) beyond 177.3 ms, the fit
// of Cole and Rosenbluth ("Voice over IP performance monitoring", 2001); loss costs Ie = 95·p/(p+25.1), which is
// G.107's equation 7-29 with G.113 Appendix I's Ie 0 and Bpl 25.1 for random loss in percent; and annex B of G.107
// turns R into a score from 1 to 4.5.
func mos(lossPercent float64, oneWay time.Duration) float64 {
	d := oneWay.Seconds() * 1000
	r := 93.2 - 0.024*d - 95*lossPercent/(lossPercent+25.1)
	if d > 177.3 {
		r -= 0.11 * (d - 177.3)
	}
	r = max(0, min(100, r))
	return 1 + 0.035*r + r*(r-60)*(100-r)*7e-6
}

// Quality is what the stream's sound has been so far. Its MOS is the estimate for what was heard from this party; the
// delay in it is half the round trip, one packet, and a jitter buffer of twice the jitter.
func (s *Stream) Quality() call.Quality {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := call.Quality{
		Codec:        s.params.Codec.String(),
		Received:     s.in.total(),
		Sent:         s.out.packets,
		Lost:         s.in.lost(),
		LostFar:      s.lostFar,
		Rejected:     s.rejected,
		Jitter:       s.in.jitterTime(),
		RoundTrip:    s.roundTrip,
		LongestQuiet: max(s.longestQuiet, s.quietFor(s.now())),
	}
	if q.Received > 0 {
		loss := 100 * float64(q.Lost) / float64(q.Lost+q.Received)
		q.MOS = mos(loss, q.RoundTrip/2+Ptime+2*q.Jitter)
	}
	return q
}
