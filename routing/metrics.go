package routing

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callhall/call"
)

// metrics are what is counted of agents and lines. What is counted of calls is counted from their records, by cdr. Gauges are read from the boards when they are asked for.
type metrics struct {
	offers, reaped *prometheus.CounterVec
	wraps          *prometheus.HistogramVec
	cities         map[call.CityID]*city

	waiting, longest, agents *prometheus.Desc
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"city"}, labels...))
	}
	seconds := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help,
			Buckets: []float64{1, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600}}, append([]string{"city"}, labels...))
	}
	gauge := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"city"}, labels...), nil)
	}
	return &metrics{
		offers:  counter("callhall_agent_offers_total", "Offers by what became of them.", "result"),
		reaped:  counter("callhall_agent_reaped_total", "Differences between claims and calls that were mended.", "from_state"),
		wraps:   seconds("callhall_wrap_up_seconds", "Agents' time after a call.", "queue"),
		waiting: gauge("callhall_queue_waiting", "Calls in line.", "queue"),
		longest: gauge("callhall_queue_longest_wait_seconds", "The longest wait of a call in line.", "queue"),
		agents:  gauge("callhall_agents", "Agents who serve the queue, by state.", "queue", "state"),
	}
}

// register makes everything known to r, which may be nil.
func (m *metrics) register(r prometheus.Registerer, s *Service) error {
	m.cities = s.cities
	if r == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{m.offers, m.reaped, m.wraps, m} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// Describe is prometheus.Collector's.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.waiting
	ch <- m.longest
	ch <- m.agents
}

// Collect is prometheus.Collector's.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for id, c := range m.cities {
		for _, q := range c.queueStates() {
			labels := []string{string(id), string(q.ID)}
			ch <- prometheus.MustNewConstMetric(m.waiting, prometheus.GaugeValue, float64(q.Waiting), labels...)
			ch <- prometheus.MustNewConstMetric(m.longest, prometheus.GaugeValue, q.Longest.Seconds(), labels...)
			for _, s := range States() {
				n := float64(q.Agents[s])
				ch <- prometheus.MustNewConstMetric(m.agents, prometheus.GaugeValue, n, string(id), string(q.ID), string(s))
			}
		}
	}
}

// count counts an offer by its outcome.
func (c *city) count(outcome call.OfferOutcome) {
	c.metrics.offers.WithLabelValues(string(c.conf.ID), string(outcome)).Inc()
}

// wrapped counts a wrap-up that is over.
func (c *city) wrapped(w Wrap, at time.Time) {
	c.metrics.wraps.WithLabelValues(string(c.conf.ID), string(w.Queue)).Observe(at.Sub(w.From).Seconds())
}
