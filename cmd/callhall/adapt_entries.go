package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"callhall/call"
	"callhall/routing"
	"callhall/sip"
)

// entries finds dialled numbers for the SIP edge.
type entries struct {
	routing *routing.Service
	own     map[call.TrunkID][]string // the numbers that may be dialled over a trunk, as configured
}

func newEntries(cfg Config, r *routing.Service) entries {
	e := entries{r, map[call.TrunkID][]string{}}
	for _, city := range cfg.Cities {
		for _, n := range city.Numbers {
			for _, trunk := range n.Over(city) {
				e.own[trunk] = append(e.own[trunk], n.Number)
			}
		}
	}
	return e
}

// Own implements sip.Entries.
func (e entries) Own(trunk call.TrunkID) []string { return slices.Clone(e.own[trunk]) }

// Entry implements sip.Entries.
func (e entries) Entry(trunk call.TrunkID, dialled string) (sip.Entry, error) {
	d, err := e.routing.Find(trunk, dialled)
	if short, local := strings.CutSuffix(dialled, ";phone-context=+1"); local && errors.Is(err, routing.ErrUnknownEntry) {
		d, err = e.routing.Find(trunk, short) // in the context of +1 an N11 code is what it is when dialled (RFC 3966 §5.1.5)
	}
	if errors.Is(err, routing.ErrUnknownEntry) {
		return sip.Entry{}, fmt.Errorf("%w: %w", sip.ErrUnknownEntry, err)
	}
	if err != nil {
		return sip.Entry{}, err
	}
	return sip.Entry{City: d.City, Number: d.Number, Queue: d.Queue, Language: d.Language}, nil
}
