package sip

import (
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
	"github.com/prometheus/client_golang/prometheus"

	"callhall/call"
)

// counts is what the server counts. Its labels have few values, none of them from a message.
type counts struct {
	requests  *prometheus.CounterVec
	responses *prometheus.CounterVec
	refused   *prometheus.CounterVec

	identitiesLost prometheus.Counter
}

// Reasons for which a call from outside is refused before there is a call.
const (
	refusedSource    = "unknown-source"
	refusedEntry     = "unknown-entry"
	refusedOverload  = "overload"
	refusedDraining  = "draining"
	refusedMalformed = "malformed"
)

// newCounts registers the counters with r, which may be nil.
func newCounts(r prometheus.Registerer) (*counts, error) {
	c := &counts{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callhall_sip_requests_total", Help: "SIP requests, by method, direction and transport.",
		}, []string{"method", "direction", "transport"}),
		responses: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callhall_sip_responses_total", Help: "Final answers to calls that trunks sent, by the hundred.",
		}, []string{"method", "code_class", "trunk"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callhall_sip_calls_refused_total", Help: "INVITEs that did not become a call, by reason.",
		}, []string{"reason"}),
		identitiesLost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "callhall_sip_identities_lost_total", Help: "Calls that were served though the caller's number could not be kept.",
		}),
	}
	if r == nil {
		return c, nil
	}
	for _, collector := range []prometheus.Collector{c.requests, c.responses, c.refused, c.identitiesLost} {
		if err := r.Register(collector); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *counts) received(req *sip.Request) {
	c.requests.WithLabelValues(methodLabel(req), "in", strings.ToLower(req.Transport())).Inc()
}

func (c *counts) sent(req *sip.Request) {
	c.requests.WithLabelValues(methodLabel(req), "out", strings.ToLower(req.Transport())).Inc()
}

func (c *counts) answered(code int, trunk call.TrunkID) {
	c.responses.WithLabelValues("INVITE", strconv.Itoa(code/100)+"xx", string(trunk)).Inc()
}

func (c *counts) refuse(reason string) { c.refused.WithLabelValues(reason).Inc() }

func methodLabel(req *sip.Request) string {
	if m := knownMethod(req.Method); m != "" {
		return m
	}
	return "other"
}
