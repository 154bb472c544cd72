package sip

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/emiago/sipgo/sip"

	"callhall/call"
)

// A Partner is somebody outside whom calls of a city may be carried on to.
type Partner struct {
	City call.CityID
	ID   call.PartnerID
	Kind call.PartnerKind
	// URI is whom to ask for at the trunk: "sip:desk@agency.example", "tel:+12125550100", or for 911
	// "urn:service:sos" (RFC 5031). A tel URI is sent as a SIP URI at the trunk (RFC 3261 §19.1.6).
	URI   string
	Trunk call.TrunkID // it needs a Proxy
}

// A City is how a city shows itself to those it calls.
type City struct {
	ID call.CityID
	// Number is the city's own, "+12125550100". Callers who are called back and interpreters see it; 47 CFR 64.1604
	// allows no number but one of the city's. Empty: they see none.
	Number string
	// Callbacks is the trunk over which callers are called back. It needs a Proxy. Empty: they cannot be.
	Callbacks call.TrunkID
}

// sosURN asks for emergency services (RFC 5031 §4.2).
const sosURN = "urn:service:sos"

// A way is how somebody outside is reached, and what the city calls itself there.
type way struct {
	kind   call.PartnerKind // empty: a caller, who is called back
	trunk  Trunk
	proxy  proxy
	uri    sip.Uri // the Request-URI; of a caller it is not known before ani has been asked
	to     sip.Uri
	number string // the city's own, or empty
}

// A directory knows everybody outside who may be called.
type directory struct {
	partners  map[partnerKey]way
	callbacks map[call.CityID]way
}

type partnerKey struct {
	city call.CityID
	id   call.PartnerID
}

// newDirectory checks the partners and cities of a configuration and returns them, or every fault at once.
func newDirectory(cfg Config, ts *trunks) (*directory, error) {
	d := &directory{partners: map[partnerKey]way{}, callbacks: map[call.CityID]way{}}
	numbers := map[call.CityID]string{}
	var faults []error
	for _, c := range cfg.Cities {
		if c.Number != "" && !isE164(c.Number) {
			faults = append(faults, fmt.Errorf("city %s: its own number is not of the form +12125550100", c.ID))
		}
		if _, twice := numbers[c.ID]; twice {
			faults = append(faults, fmt.Errorf("city %s: there are two of that name", c.ID))
		}
		numbers[c.ID] = c.Number
		if c.Callbacks == "" {
			continue
		}
		w, err := ts.way(c.Callbacks)
		if err != nil {
			faults = append(faults, fmt.Errorf("city %s: call-backs: %w", c.ID, err))
			continue
		}
		w.number = c.Number
		d.callbacks[c.ID] = w
	}
	for _, p := range cfg.Partners {
		w, err := p.way(ts)
		if _, twice := d.partners[partnerKey{p.City, p.ID}]; twice {
			err = errors.Join(err, errors.New("there are two of that name"))
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("city %s: partner %s: %w", p.City, p.ID, err))
			continue
		}
		w.number = numbers[p.City]
		d.partners[partnerKey{p.City, p.ID}] = w
	}
	return d, errors.Join(faults...)
}

// way is how p is reached.
func (p Partner) way(ts *trunks) (way, error) {
	switch p.Kind {
	case call.PartnerCity, call.PartnerPrivate, call.PartnerPSAP, call.PartnerInterpreter:
	default:
		return way{}, errors.New("it is of no known kind")
	}
	w, err := ts.way(p.Trunk)
	if err != nil {
		return way{}, err
	}
	w.kind = p.Kind
	if w.uri, err = partnerURI(p, w.proxy); err != nil {
		return way{}, err
	}
	w.to = w.uri
	if p.Kind == call.PartnerPSAP {
		w.to, err = readURI(sosURN) // whatever this trunk calls it, 911 is meant
	}
	return w, err
}

// partnerURI is the Request-URI for p.
func partnerURI(p Partner, at proxy) (sip.Uri, error) {
	uri, err := readURI(p.URI)
	switch {
	case err != nil:
		return sip.Uri{}, err
	case uri.Scheme == "sip" && isURI(&uri) && uri.Headers == nil && uri.Password == "":
		return uri, nil
	case uri.Scheme == "tel" && isE164(uri.Raw()):
		return numberURI(uri.Raw(), at.addr.Addr().String()), nil
	case p.Kind == call.PartnerPSAP && strings.EqualFold(p.URI, sosURN):
		return uri, nil
	default:
		return sip.Uri{}, fmt.Errorf("want sip:name@host, tel:+12125550100 or, for 911, %s", sosURN)
	}
}

func readURI(s string) (uri sip.Uri, err error) {
	if err := sip.ParseUri(s, &uri); err != nil {
		return sip.Uri{}, errors.New("its address is not a URI")
	}
	return uri, nil
}

// isE164 tells whether s is "+" and 8 to 15 digits (ITU-T E.164 §6).
func isE164(s string) bool {
	digits, global := strings.CutPrefix(s, "+")
	return global && len(digits) >= 8 && len(digits) <= 15 && strings.Trim(digits, "0123456789") == ""
}

// find is the way to whom o is for. Errors: call.ErrUnreachable.
func (d *directory) find(o call.Outward) (way, error) {
	if o.Partner != "" {
		w, known := d.partners[partnerKey{o.City, o.Partner}]
		if !known {
			return way{}, fmt.Errorf("the city has no such partner: %w", call.ErrUnreachable)
		}
		return w, nil
	}
	w, known := d.callbacks[o.City]
	if !known {
		return way{}, fmt.Errorf("the city has no trunk for call-backs: %w", call.ErrUnreachable)
	}
	return w, nil
}

// A proxy is where a trunk takes what we send.
type proxy struct {
	network string // "udp" or "tcp"
	addr    netip.AddrPort
}

// parseProxy reads Trunk.Proxy.
func parseProxy(s string) (proxy, error) {
	network, where, _ := strings.Cut(s, "://")
	addr, err := netip.ParseAddrPort(where)
	if err != nil || network != "udp" && network != "tcp" || addr.Port() == 0 || addr.Addr().IsUnspecified() {
		return proxy{}, errors.New("its proxy is not of the form udp://192.0.2.1:5060 or tcp://192.0.2.1:5060")
	}
	return proxy{network, plainAddrPort(addr)}, nil
}

// uri is the proxy itself.
func (p proxy) uri() sip.Uri {
	return sip.Uri{Scheme: "sip", Host: p.addr.Addr().String(), Port: int(p.addr.Port()),
		UriParams: sip.HeaderParams{{K: "transport", V: p.network}}}
}

// way is the way out over a trunk.
func (ts *trunks) way(id call.TrunkID) (way, error) {
	for _, t := range ts.all {
		if t.ID != id {
			continue
		}
		if t.Proxy == "" {
			return way{}, fmt.Errorf("trunk %s has no proxy to send to", id)
		}
		at, err := parseProxy(t.Proxy)
		return way{trunk: t, proxy: at}, err
	}
	return way{}, fmt.Errorf("there is no trunk %q", id)
}

// secured tells whether what goes this way is safe from strangers' eyes: the operator says so, or it never leaves the
// machine.
func (w way) secured() bool { return w.trunk.Secured || w.proxy.addr.Addr().IsLoopback() }

// dialled is whom a call that goes this way is for, as a signature names them: a number, or a URI without parameters
// (RFC 8224 §8.3, §8.5).
func (w way) dialled() string {
	switch {
	case w.kind == call.PartnerPSAP:
		return sosURN
	case isE164(w.uri.User):
		return w.uri.User
	default:
		return "sip:" + w.uri.User + "@" + w.uri.Host
	}
}
