package media

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what an engine counts for its operator. Streams add to them at their visits and when they close, not for
// each packet. A nil *metrics counts nothing.
type metrics struct {
	registry prometheus.Registerer // nil: counted, but not shown
	packets  *prometheus.CounterVec
	lost     prometheus.Counter
	rejected prometheus.Counter
	oneWay   prometheus.Counter
	jitter   prometheus.Histogram
	free     prometheus.GaugeFunc
}

func newMetrics(r prometheus.Registerer, portsFree func() int) (*metrics, error) {
	m := &metrics{
		packets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callhall_rtp_packets_total", Help: "RTP packets taken from parties and sent to them.",
		}, []string{"direction"}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "callhall_rtp_lost_packets_total", Help: "RTP packets of parties that never came.",
		}),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "callhall_rtp_rejected_packets_total", Help: "Datagrams dropped: from a stranger, or not RTP.",
		}),
		oneWay: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "callhall_rtp_oneway_streams_total", Help: "Streams that ended having sent RTP and received none.",
		}),
		jitter: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "callhall_rtp_jitter_seconds", Help: "Interarrival jitter of streams at their end (RFC 3550 A.8).",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1},
		}),
		free: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "callhall_rtp_ports_free", Help: "RTP port pairs that could be leased now.",
		}, func() float64 { return float64(portsFree()) }),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range m.all() {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	m.registry = r
	return m, nil
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.packets, m.lost, m.rejected, m.oneWay, m.jitter, m.free}
}

// unregister lets another engine use the registry.
func (m *metrics) unregister() {
	if m == nil || m.registry == nil {
		return
	}
	for _, c := range m.all() {
		m.registry.Unregister(c)
	}
}

// tally is what a stream has counted so far.
type tally struct{ received, sent, lost, rejected uint64 }

// add counts what a stream has counted since it was here last.
func (m *metrics) add(before, now tally) {
	m.packets.WithLabelValues("in").Add(float64(now.received - before.received))
	m.packets.WithLabelValues("out").Add(float64(now.sent - before.sent))
	if now.lost > before.lost { // a late packet makes it smaller again: what was told stays told
		m.lost.Add(float64(now.lost - before.lost))
	}
	m.rejected.Add(float64(now.rejected - before.rejected))
}

// ended counts a stream that is over.
func (m *metrics) ended(jitter time.Duration, total tally) {
	if total.received > 0 {
		m.jitter.Observe(jitter.Seconds())
	} else if total.sent > 0 {
		m.oneWay.Inc()
	}
}
