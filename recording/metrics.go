package recording

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// meters are what the service counts. Labels are bounded: no id of anything.
type meters struct {
	registry       prometheus.Registerer
	all            []prometheus.Collector
	bytes          prometheus.Counter
	flushSeconds   prometheus.Histogram
	flushFailures  prometheus.Counter
	uploadFailures prometheus.Counter
	dueNow         prometheus.Gauge
	overdue        prometheus.Gauge
	passed         prometheus.Gauge
	erasures       *prometheus.CounterVec
	orphans        prometheus.Gauge
}

// newMeters registers the meters of s, unless registry is nil.
func newMeters(registry prometheus.Registerer, s *Service) (meters, error) {
	m := meters{
		registry:       registry,
		bytes:          counter("callhall_recording_bytes_total", "Sealed bytes written to the spool."),
		flushFailures:  counter("callhall_recording_flush_failures_total", "Writes to the spool that failed and were tried again."),
		uploadFailures: counter("callhall_recording_upload_failures_total", "Uploads that failed and were tried again."),
		flushSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "callhall_recording_flush_seconds",
			Help: "Time to write and sync what all recordings had waiting.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 12)}),
		dueNow:   gauge("callhall_erasure_due", "Recordings past their due time and not yet proved erased."),
		overdue:  gauge("callhall_erasure_oldest_overdue_seconds", "How long the oldest recording is past the hour after its due time in which its bytes must go."),
		passed:   gauge("callhall_erasure_last_pass_timestamp_seconds", "When the eraser last looked at all that was due, Unix time; it does so each second."),
		orphans:  gauge("callhall_erasure_orphans", "Objects in the store that no recording is known for, at the last sweep."),
		erasures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callhall_erasure_total", Help: "Erasures by result."}, []string{"result"}),
	}
	for _, result := range []string{"erased", "late", "failed"} {
		m.erasures.WithLabelValues(result)
	}
	m.all = []prometheus.Collector{m.bytes, m.flushSeconds, m.flushFailures, m.uploadFailures, m.dueNow, m.overdue, m.passed, m.erasures, m.orphans,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "callhall_recordings_active", Help: "Recordings whose call goes on."}, s.countActive),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "callhall_recordings_waiting", Help: "Recordings in the spool that are not stored yet."}, s.countKept),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "callhall_erasure_clock_confirmed", Help: "1 while the clocks agree; 0: nothing is erased until they do."}, s.clockConfirmed)}
	if registry == nil {
		return m, nil
	}
	var errs []error
	for _, c := range m.all {
		errs = append(errs, registry.Register(c))
	}
	return m, errors.Join(errs...)
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func (m *meters) unregister() {
	if m.registry == nil {
		return
	}
	for _, c := range m.all {
		m.registry.Unregister(c)
	}
}

// due notes what was found due.
func (m *meters) due(counts []DueCount, now time.Time) {
	var oldest time.Duration
	n := 0
	for _, c := range counts {
		oldest = max(oldest, now.Sub(c.Oldest)-bytesLimit)
		n += c.Count
	}
	m.dueNow.Set(float64(n))
	m.overdue.Set(oldest.Seconds())
}

// erased notes how one erasure ended, so long after its due time.
func (m *meters) erased(err error, after time.Duration) {
	switch {
	case err != nil:
		m.erasures.WithLabelValues("failed").Inc()
	case after > bytesLimit:
		m.erasures.WithLabelValues("late").Inc()
	default:
		m.erasures.WithLabelValues("erased").Inc()
	}
}

func (s *Service) countActive() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return float64(len(s.active))
}

func (s *Service) clockConfirmed() float64 {
	if confirmed(s.clock) {
		return 1
	}
	return 0
}

func (s *Service) countKept() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return float64(len(s.kept))
}
