package main

import (
	"errors"
	"testing"
	"time"

	"callhall/routing"
	"callhall/routing/memstore"
	"callhall/sip"
)

// TestEntryInItsContext: tel:311;phone-context=+1 is the city's 311; the same code in a context that nobody knows is not.
func TestEntryInItsContext(t *testing.T) {
	cfg := development()
	r, err := routing.New(routingCities(cfg), memstore.New(time.Now), routing.Config{Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	for dialled, known := range map[string]bool{"311": true, "311;phone-context=+1": true, "311;phone-context=+44": false,
		"311;phone-context=example.gov": false, "411;phone-context=+1": false} {
		e, err := newEntries(cfg, r).Entry("loopback", dialled)
		if known && (err != nil || e.City != "demo" || e.Number != "311") || !known && !errors.Is(err, sip.ErrUnknownEntry) {
			t.Errorf("%s: %+v, %v", dialled, e, err)
		}
	}
}
