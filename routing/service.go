package routing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callhall/call"
)

// Config is what a Service is told besides its cities.
type Config struct {
	Node        string                // this node's name, unlike that of any other which shares the Store
	MissedLimit int                   // offers not answered in a row before an agent is paused; 0 is 2
	Log         *slog.Logger          // nil: silent
	Registry    prometheus.Registerer // nil: nothing is counted
	Now         func() time.Time      // nil: time.Now
}

// Times of the matcher. A lease is renewed three times before it runs out.
const (
	lease          = 15 * time.Second
	renewEvery     = 5 * time.Second
	leadLease      = 2 * time.Second // another node takes a city over within this
	leadEvery      = 600 * time.Millisecond
	reconcileEvery = 10 * time.Second
	retryAfter     = time.Second            // after the Store failed, or refused what looked free
	settleTime     = 250 * time.Millisecond // for a call whose offer was taken back, until it is offered again
	newsEvery      = time.Second            // a call hears of its place at most this often
	storeTimeout   = 2 * time.Second        // one step of the Store
	forgiveSoon    = 5 * time.Second        // a call is offered again to who turned it down: when nobody else is on duty
	forgiveLate    = time.Minute            // and otherwise
)

// Service matches calls to agents. It implements call.Queues, and hears from the registrar whose phones can be reached.
type Service struct {
	store   Store
	cfg     Config
	entries map[dialled]Destination
	cities  map[call.CityID]*city
	metrics *metrics
}

// New returns a Service for these cities, or every fault of the configuration joined. Run makes it work.
func New(cities []City, store Store, cfg Config) (*Service, error) {
	entries, err := check(cities)
	if cfg.Node == "" {
		err = errors.Join(err, errors.New("routing: no node name"))
	}
	if err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MissedLimit == 0 {
		cfg.MissedLimit = 2
	}
	s := &Service{store: store, cfg: cfg, entries: entries, cities: map[call.CityID]*city{}, metrics: newMetrics()}
	for _, c := range cities {
		s.cities[c.ID] = newCity(c, store, cfg, s.metrics)
	}
	if err := s.metrics.register(cfg.Registry, s); err != nil {
		return nil, fmt.Errorf("routing: register metrics: %w", err)
	}
	return s, nil
}

// Run matches until ctx ends. When it returns, every goroutine of the Service has ended, Enqueue refuses with
// call.ErrUnavailable and the places of this node are given up. Settle goes on working, for conversations that end
// later. Run may be called once.
func (s *Service) Run(ctx context.Context) {
	var cities sync.WaitGroup
	for _, c := range s.cities {
		cities.Go(func() { c.run(ctx) })
	}
	cities.Wait()
}

// city finds a city by its id.
func (s *Service) city(id call.CityID) (*city, error) {
	c := s.cities[id]
	if c == nil {
		return nil, fmt.Errorf("city %q: %w", id, ErrUnknownCity)
	}
	return c, nil
}
