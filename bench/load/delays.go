package load

import "time"

// binWidth is the resolution of a delay, and bins how many there are: up to 500 ms; what is later counts as that.
const (
	binWidth = 5 * time.Microsecond
	bins     = 100_000
)

// histogram counts delays in bins, so that a long run takes no more memory than a short one.
type histogram struct {
	count [bins]uint32
	n     uint64
}

func (h *histogram) add(d time.Duration) {
	i := min(max(int(d/binWidth), 0), bins-1)
	h.count[i]++
	h.n++
}

// Delays are percentiles of the time from our sending a packet to its arrival at the far side.
type Delays struct{ P50, P99, P999 time.Duration }

func (h *histogram) delays() Delays {
	return Delays{h.at(0.50), h.at(0.99), h.at(0.999)}
}

func (h *histogram) at(q float64) time.Duration {
	left := uint64(q * float64(h.n))
	for i, c := range h.count {
		if uint64(c) > left {
			return time.Duration(i) * binWidth
		}
		left -= uint64(c)
	}
	return 0
}
