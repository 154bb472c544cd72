package main

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"callhall/media"
)

// check finds what is wrong with a configuration whose single values can all be read: what is missing, out of bounds,
// named but not there, there twice, or not safe.
func check(d *decoder, cfg Config) {
	c := checker{d}
	c.node(cfg)
	c.http(cfg.HTTP)
	c.admin(cfg.Admin)
	c.sip(cfg.SIP)
	c.rtp(cfg)
	c.listeners(cfg)
	if len(cfg.Cities) == 0 {
		c.fault("cities", "is missing; callhall needs at least one city")
	}
	c.trunks(cfg.Cities)
	c.unique(cfg.Cities)
	for i, city := range cfg.Cities {
		c.city(cfg, fmt.Sprintf("cities[%d]", i), city)
	}
	c.batchPlaces(cfg.Cities)
	c.notices(cfg)
	c.stir(cfg.STIR)
	c.ledger(cfg)
}

// notices checks that each caller can be told of the recording in the language of the number they dialled.
func (c checker) notices(cfg Config) {
	sounds, err := media.OpenLibrary(string(cfg.Prompts))
	if err != nil {
		if _, told := c.at["prompts"]; told {
			c.fault("prompts", "%v", err)
		}
		return
	}
	for i, city := range cfg.Cities {
		if city.Recording.Mode != RecordAlways {
			continue
		}
		for j, n := range city.Numbers {
			if n.Language != "" && !sounds.Has(n.Language, city.Recording.Notice) {
				c.fault(fmt.Sprintf("cities[%d].numbers[%d].language", i, j), "has no notice of the recording: there is no %s/%s.wav under prompts",
					n.Language, city.Recording.Notice)
			}
		}
	}
}

type checker struct{ *decoder }

// What names look like. A city's is a DNS label, because it stands in SIP addresses.
var (
	labelForm    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	agentForm    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$`)
	numberForm   = regexp.MustCompile(`^([0-9]{2,8}(;phone-context=[A-Za-z0-9.+-]+)?|\+[1-9][0-9]{6,14})$`)
	languageForm = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)
	promptForm   = regexp.MustCompile(`^[a-z0-9]([a-z0-9_-]{0,62})$`)
	bucketForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	endpointForm = regexp.MustCompile(`^[A-Za-z0-9.\[\]:-]+$`)
)

// node checks what concerns the whole process.
func (c checker) node(cfg Config) {
	c.name("node", cfg.Node, agentForm)
	c.between("drain_timeout", cfg.DrainTimeout, 0, 24*time.Hour)
	if cfg.Prompts == "" {
		return
	}
	if info, err := os.Stat(string(cfg.Prompts)); err != nil {
		c.fault("prompts", "directory %q: %v", string(cfg.Prompts), reason(err))
	} else if !info.IsDir() {
		c.fault("prompts", "%q is not a directory", string(cfg.Prompts))
	}
}

// http refuses to carry tokens and sound over a network in the clear.
func (c checker) http(h HTTPConfig) {
	c.certificate(h.TLS)
	if h.Listen.Addr().IsLoopback() || h.BehindProxy || h.TLS.CertFile != "" {
		return
	}
	c.fault("http.listen", "%s can be reached from other machines, and without TLS tokens and recordings would cross "+
		"the network in the clear; add \"tls: {cert_file: PATH, key_file: PATH}\" under http, or \"behind_proxy: true\" "+
		"when a proxy in front of it does TLS, or listen on 127.0.0.1", h.Listen)
}

// certificate checks that both halves are there and fit.
func (c checker) certificate(t TLSConfig) {
	switch {
	case t.CertFile == "" && t.KeyFile == "":
		return
	case t.CertFile == "":
		c.fault("http.tls.cert_file", "is missing; a key needs its certificate")
		return
	case t.KeyFile == "":
		c.fault("http.tls.key_file", "is missing; a certificate needs its key")
		return
	}
	c.secret("http.tls.key_file", t.KeyFile)
	if c.faulty["http.tls.key_file"] {
		return
	}
	if _, err := t.Load(); err != nil {
		c.fault("http.tls.cert_file", "%v", err)
	}
}

// admin asks for a plain word before metrics, which need no token, are shown to other machines.
func (c checker) admin(a AdminConfig) {
	if a.Listen.Addr().IsLoopback() || a.Exposed {
		return
	}
	c.fault("admin.listen", "%s can be reached from other machines, and this listener asks for no token; "+
		"add \"exposed: true\" under admin when a firewall keeps strangers out, or listen on 127.0.0.1", a.Listen)
}

// sip checks the SIP listeners and the address that others are told.
func (c checker) sip(s SIPConfig) {
	if len(s.Listen) == 0 {
		c.fault("sip.listen", "is empty; calls come in over SIP")
	}
	if s.Realm == "" || strings.ContainsAny(s.Realm, "\"\\\r\n") {
		c.fault("sip.realm", "%q cannot be a realm; it is plain text without quotes", s.Realm)
	}
	c.between("sip.silence", s.Silence, 5*time.Second, time.Hour)
	if s.Advertise.IsUnspecified() || s.Advertise.IsMulticast() {
		c.fault("sip.advertise", "%s is no address that others can send to", s.Advertise)
	}
	for i, l := range s.Listen {
		if l.Addr.Addr().IsUnspecified() && !s.Advertise.IsValid() {
			c.fault(fmt.Sprintf("sip.listen[%d]", i), "%s is every address of this machine, and Via, Contact and SDP can "+
				"name only one; add \"advertise: ADDRESS\" under sip", l)
		}
	}
}

// rtp checks that sound can reach the address that SDP will name.
func (c checker) rtp(cfg Config) {
	c.between("rtp.deaf", cfg.RTP.Deaf, 0, 10*time.Minute)
	if !cfg.RTP.Listen.IsValid() {
		return
	}
	if cfg.RTP.Listen.IsUnspecified() {
		c.fault("rtp.listen", "%s is every address of this machine; name the one that sound is to come to", cfg.RTP.Listen)
	}
	for _, l := range cfg.SIP.Listen {
		if cfg.RTP.Listen.IsLoopback() && l.Addr.IsValid() && !l.Addr.Addr().IsLoopback() {
			c.fault("rtp.listen", "%s takes sound from this machine only, while sip listens on %s; "+
				"callers from elsewhere would hear nothing", cfg.RTP.Listen, l)
			return
		}
	}
}

// listeners refuses two listeners on one port.
func (c checker) listeners(cfg Config) {
	type listener struct {
		path, transport string
		addr            netip.AddrPort
	}
	all := []listener{{"http.listen", "tcp", cfg.HTTP.Listen}, {"admin.listen", "tcp", cfg.Admin.Listen}}
	for i, l := range cfg.SIP.Listen {
		path := fmt.Sprintf("sip.listen[%d]", i)
		all = append(all, listener{path, l.Transport, l.Addr})
		if l.Transport == "udp" && cfg.RTP.Ports.Holds(int(l.Addr.Port())) && overlap(l.Addr.Addr(), cfg.RTP.Listen) {
			c.fault(path, "port %d lies among the ports of rtp, %s", l.Addr.Port(), cfg.RTP.Ports)
		}
	}
	for i, a := range all {
		for _, b := range all[:i] {
			if a.transport == b.transport && a.addr.Port() == b.addr.Port() && a.addr.Port() != 0 &&
				overlap(a.addr.Addr(), b.addr.Addr()) {
				c.fault(a.path, "%s port %d is taken by %s", a.transport, a.addr.Port(), b.path)
			}
		}
	}
}

// overlap tells whether listeners on a and b would meet.
func overlap(a, b netip.Addr) bool { return a == b || a.IsUnspecified() || b.IsUnspecified() }

// trunks checks that a source address belongs to one trunk. Ranges of different length may lie within each other: the
// longer prefix wins. The same range twice leaves nothing to choose by.
func (c checker) trunks(cities []CityConfig) {
	owner := map[netip.Prefix]string{}
	for i, city := range cities {
		for j, trunk := range city.Trunks {
			for k, prefix := range trunk.Allow {
				path := fmt.Sprintf("cities[%d].trunks[%d].allow[%d]", i, j, k)
				if prefix.IsValid() && prefix.Bits() == 0 {
					c.fault(path, "%s is everybody; name the addresses that the carrier sends from", prefix)
				}
				if other, twice := owner[prefix]; twice && prefix.IsValid() {
					c.fault(path, "%s is allowed by %s already; a call from there could belong to either", prefix, other)
					continue
				}
				owner[prefix] = fmt.Sprintf("trunk %q of city %q", trunk.ID, city.ID)
			}
		}
	}
}

// unique checks the ids that are unique among all cities.
func (c checker) unique(cities []CityConfig) {
	ids, trunks, agents := map[string]string{}, map[string]string{}, map[string]string{}
	for i, city := range cities {
		path := fmt.Sprintf("cities[%d]", i)
		c.once(ids, path+".id", string(city.ID), "a city")
		for j, t := range city.Trunks {
			c.once(trunks, fmt.Sprintf("%s.trunks[%d].id", path, j), string(t.ID), "a trunk")
		}
		for j, a := range city.Agents {
			c.once(agents, fmt.Sprintf("%s.agents[%d].id", path, j), strings.ToLower(string(a.ID)), "an agent")
		}
	}
}

// once checks that id is not in seen and puts it there.
func (c checker) once(seen map[string]string, path, id, what string) {
	if first, twice := seen[id]; twice && id != "" {
		c.fault(path, "%q is %s already, at %s", id, what, first)
		return
	}
	seen[id] = path
}

// name checks that value is there and of that form.
func (c checker) name(path, value string, form *regexp.Regexp) {
	switch {
	case value == "":
		c.fault(path, "is missing")
	case form.MatchString(value):
	case form == labelForm:
		c.fault(path, "%q cannot be a name; it takes small letters, digits and hyphens, 63 at most", value)
	case form == numberForm:
		c.fault(path, "%q is not a number to dial; write 2 to 8 digits (311) or + and 7 to 15 digits", value)
	case form == languageForm:
		c.fault(path, "%q is not a language; write en or es", value)
	case form == endpointForm && strings.Contains(value, "://"):
		c.fault(path, "%q is a URL; write its host and port only, and tls: true or false beside it", value)
	case form == bucketForm:
		c.fault(path, "%q cannot be a bucket; it takes 3 to 63 small letters, digits, dots and hyphens", value)
	default:
		c.fault(path, "%q has a letter that cannot stand there", value)
	}
}

// between checks that a length of time lies within bounds, both included.
func (c checker) between(path string, d, low, high time.Duration) {
	if d < low || d > high {
		c.fault(path, "%s is out of bounds; it is %s to %s", formatDuration(d), formatDuration(low), formatDuration(high))
	}
}

// secret checks that a secret's file is named, readable and closed to strangers.
func (c checker) secret(path string, f SecretFile) {
	if f == "" {
		c.fault(path, "is missing")
		return
	}
	if err := f.Check(); err != nil {
		c.fault(path, "%v", err)
	}
}

// known checks that id is among ids, which stand in the list at home. A list that could not be read tells nothing.
func (c checker) known(path, home, id string, ids []string) {
	if id == "" {
		c.fault(path, "is missing")
		return
	}
	if !slices.Contains(ids, id) && !c.isFaulty(home) {
		c.fault(path, "%q is none of %s%s", id, home, didYouMean(id, ids))
	}
}
