package cdr

import (
	"errors"
	"time"

	"callhall/call"

	"github.com/prometheus/client_golang/prometheus"
)

// shortAbandon is how soon a caller may leave without counting as one who waited: they may have misdialled.
const shortAbandon = 5 * time.Second

// figures counts calls as their records are written. Queues come from the configuration, so the labels are bounded.
type figures struct {
	calls  *prometheus.CounterVec
	waits  *prometheus.HistogramVec
	talks  *prometheus.HistogramVec
	queued prometheus.Gauge
}

// register makes the figures and gives them to r, which may be nil.
func (f *figures) register(r prometheus.Registerer) error {
	f.calls = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callhall_calls_total",
		Help: "Calls that have ended, by queue and outcome."}, []string{"queue", "outcome"})
	f.waits = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "callhall_queue_wait_seconds",
		Help:    "Time from arrival to an agent, or to the end without one.",
		Buckets: []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800}}, []string{"queue", "outcome"})
	f.talks = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "callhall_talk_seconds",
		Help:    "Time that callers and agents were joined, holds included.",
		Buckets: []float64{10, 30, 60, 120, 180, 300, 600, 1200, 3600}}, []string{"queue"})
	f.queued = prometheus.NewGauge(prometheus.GaugeOpts{Name: "callhall_records_queued",
		Help: "Records and open entries that wait on disk because the database refused them."})
	if r == nil {
		return nil
	}
	return errors.Join(r.Register(f.calls), r.Register(f.waits), r.Register(f.talks), r.Register(f.queued))
}

// count counts one ended call.
func (f *figures) count(r call.Record) {
	queue, outcome := string(r.Queue), outcome(r)
	f.calls.WithLabelValues(queue, outcome).Inc()
	f.waits.WithLabelValues(queue, outcome).Observe(r.Waiting.Seconds())
	if !r.ConnectedAt.IsZero() {
		f.talks.WithLabelValues(queue).Observe(r.Talking.Seconds())
	}
}

// outcome is the label for how a call went. A caller who left unanswered never counts as answered, and what is no fault
// of ours never as failed.
func outcome(r call.Record) string {
	if !r.ConnectedAt.IsZero() {
		return "answered"
	}
	switch r.End {
	case call.EndAbandoned, call.EndCancelled:
		if r.Waiting < shortAbandon {
			return "short_abandoned"
		}
		return "abandoned"
	case call.EndQueueFull:
		return "refused"
	case call.EndMaxWait:
		return "max_wait"
	case call.EndCallerLost:
		return "lost"
	case call.EndShutdown:
		return "shutdown"
	default:
		return "failed"
	}
}
