package sip

import (
	"errors"
	"fmt"
	"net/netip"

	"callhall/ani"
	"callhall/call"
)

// A Trunk is a carrier's connection. A call belongs to the trunk from whose addresses it came; nothing that a message
// says of itself makes it a trunk's.
type Trunk struct {
	ID    call.TrunkID
	Allow []netip.Prefix // source addresses; of two trunks the longer prefix wins
	// Trust says which of this carrier's headers are believed, and only those are read (RFC 3325 §2.3).
	Trust ani.Trust
	// Progress sends news of the call in INFO (RFC 6086) to callers that ask for it: test callers, not carriers.
	Progress bool
	// Proxy is where the carrier takes the calls that we send it: "udp://192.0.2.1:5060". Empty: it takes none.
	Proxy string
	// TrustOut says that Proxy belongs to our trust domain (RFC 3325 §2.3): it will keep to itself what a caller wants
	// withheld. Without it no identity is sent there but a city's own number.
	TrustOut bool
	// Secured is the operator's word that the way to Proxy is encrypted or private. A way that does not leave this
	// machine is.
	Secured bool
	// NATLearn takes a caller's RTP address from its first packet, and only from the address that signals.
	NATLearn bool
}

// trunks finds the trunk of a source address.
type trunks struct {
	all []Trunk
}

// newTrunks checks the trunks of a configuration and returns them, or every fault at once.
func newTrunks(all []Trunk) (*trunks, error) {
	var faults []error
	owner := map[netip.Prefix]call.TrunkID{}
	named := map[call.TrunkID]bool{}
	for _, t := range all {
		if t.ID == "" {
			faults = append(faults, errors.New("a trunk has no id"))
		}
		if named[t.ID] {
			faults = append(faults, fmt.Errorf("trunk %s: there are two of that name", t.ID))
		}
		named[t.ID] = true
		if len(t.Allow) == 0 {
			faults = append(faults, fmt.Errorf("trunk %s: no source address is allowed, so no call can come from it", t.ID))
		}
		if t.Proxy != "" {
			if _, err := parseProxy(t.Proxy); err != nil {
				faults = append(faults, fmt.Errorf("trunk %s: %w", t.ID, err))
			}
		}
		for _, p := range t.Allow {
			if !p.IsValid() {
				faults = append(faults, fmt.Errorf("trunk %s: not an address range", t.ID))
				continue
			}
			p = plainPrefix(p)
			if other, taken := owner[p]; taken {
				faults = append(faults, fmt.Errorf("trunk %s: %s is already allowed for trunk %s", t.ID, p, other))
			}
			owner[p] = t.ID
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("trunks: %w", errors.Join(faults...))
	}
	return &trunks{all: all}, nil
}

// find returns the trunk that src belongs to: of all prefixes that hold it, the longest.
func (ts *trunks) find(src netip.Addr) (Trunk, bool) {
	src = src.Unmap().WithZone("")
	best, bits := Trunk{}, -1
	for _, t := range ts.all {
		for _, p := range t.Allow {
			if p = plainPrefix(p); p.Contains(src) && p.Bits() > bits {
				best, bits = t, p.Bits()
			}
		}
	}
	return best, bits >= 0
}

// plainPrefix is p with host bits cleared and, where it is an IPv4 range written as IPv6, as IPv4.
func plainPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}
