package ledger

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what a ledger counts. No label has a city's name: there may be many.
type metrics struct {
	appends  prometheus.Gauge
	frozen   prometheus.GaugeFunc
	failures *prometheus.CounterVec
}

func newMetrics(l *Ledger) metrics {
	return metrics{
		appends: prometheus.NewGauge(prometheus.GaugeOpts{Name: "callhall_ledger_last_append_timestamp_seconds",
			Help: "When a leaf last became durable, Unix time."}),
		frozen: prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "callhall_ledger_frozen",
			Help: "Cities whose ledger is frozen and takes no leaves: somebody must act."},
			func() float64 { return float64(len(l.Frozen())) }),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callhall_ledger_witness_failures_total",
			Help: "Tries to leave a checkpoint with a witness, or to ask it for its last, that failed, by the witness's kind."},
			[]string{"kind"}),
	}
}

func (m metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	return errors.Join(r.Register(m.appends), r.Register(m.frozen), r.Register(m.failures))
}

func (m metrics) unregister(r prometheus.Registerer) {
	if r == nil {
		return
	}
	r.Unregister(m.frozen) // it alone would still ask a closed ledger
}
