package stir

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics count calls and fetches by reason. Nothing of a call is in a label.
type metrics struct {
	calls, fetches *prometheus.CounterVec
	lists          prometheus.Collector // nil: no lists
}

func newMetrics(lists *revocations) *metrics {
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callhall_stir_calls_total",
			Help: "Calls by what their Identity headers were worth."}, []string{"reason"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callhall_stir_fetches_total",
			Help: "Certificates fetched, by what came of it."}, []string{"reason"}),
	}
	if lists != nil {
		m.lists = prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "callhall_stir_revocations_until_seconds",
			Help: "Unix time at which the oldest revocation list should be followed by another; 0 while one is missing."},
			func() float64 {
				if t := lists.oldest(); !t.IsZero() {
					return float64(t.Unix())
				}
				return 0
			})
	}
	return m
}

func (m *metrics) verified(why Reason) { m.calls.WithLabelValues(why.String()).Inc() }
func (m *metrics) fetched(why Reason)  { m.fetches.WithLabelValues(why.String()).Inc() }

// register makes everything known to r, which may be nil.
func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	all := []prometheus.Collector{m.calls, m.fetches}
	if m.lists != nil {
		all = append(all, m.lists)
	}
	for _, c := range all {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}
