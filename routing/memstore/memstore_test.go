package memstore_test

import (
	"sync"
	"testing"
	"time"

	"callhall/routing"
	"callhall/routing/memstore"
	"callhall/routing/routingtest"
)

// moved is a store whose clock stands still until the contract moves it.
type moved struct {
	*memstore.Store
	mu sync.Mutex
	at time.Time
}

func (m *moved) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at
}

func (m *moved) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = m.at.Add(d)
}

func TestContract(t *testing.T) {
	routingtest.TestStore(t, func(*testing.T) routing.Store {
		m := &moved{at: time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)}
		m.Store = memstore.New(m.now)
		return m
	})
}

// TestContractWaits runs the contract as a store with a clock of its own would: by waiting.
func TestContractWaits(t *testing.T) {
	routingtest.TestStore(t, func(*testing.T) routing.Store { return memstore.New(time.Now) })
}
