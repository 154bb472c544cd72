package sip

import (
	"net/netip"
	"sync"
	"time"
)

// maxSources is how many sources are remembered at once, whatever a flood from forged addresses does.
const maxSources = 65536

// A sourceRate is a token bucket for each source address. When there are too many sources the oldest generation is
// forgotten as a whole, which forgives rather than refuses.
type sourceRate struct {
	perSecond, burst float64
	now              func() time.Time

	mu       sync.Mutex
	young    map[netip.Addr]*bucket
	old      map[netip.Addr]*bucket
	rotateAt time.Time
}

type bucket struct {
	tokens float64
	at     time.Time
}

func newSourceRate(perSecond, burst float64, now func() time.Time) *sourceRate {
	return &sourceRate{perSecond: perSecond, burst: burst, now: now, young: map[netip.Addr]*bucket{}}
}

// allow takes one token of src and reports whether there was one. An IPv6 source is its /64, which is one site.
func (s *sourceRate) allow(src netip.Addr) bool {
	if src.Is6() {
		p, _ := src.WithZone("").Prefix(64)
		src = p.Addr()
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bucket(src, now)
	b.tokens = min(s.burst, b.tokens+now.Sub(b.at).Seconds()*s.perSecond)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// bucket returns the bucket of src, a full one for a source that is new.
func (s *sourceRate) bucket(src netip.Addr, now time.Time) *bucket {
	if len(s.young) >= maxSources/2 || now.After(s.rotateAt) {
		s.old, s.young = s.young, map[netip.Addr]*bucket{}
		s.rotateAt = now.Add(time.Minute)
	}
	b := s.young[src]
	if b == nil {
		if b = s.old[src]; b == nil {
			b = &bucket{tokens: s.burst, at: now}
		}
		s.young[src] = b
	}
	return b
}
