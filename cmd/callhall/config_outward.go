package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"callhall/ani"
	"callhall/call"
)

// What else names look like.
var (
	areaForm  = regexp.MustCompile(`^[2-9][0-9]{2}$`)
	ownForm   = regexp.MustCompile(`^\+[1-9][0-9]{7,14}$`)
	outForm   = regexp.MustCompile(`^(sip:[A-Za-z0-9._~+-]+@[A-Za-z0-9.-]+(:[0-9]{1,5})?|tel:\+[1-9][0-9]{7,14})$`)
	httpsForm = regexp.MustCompile(`^(https://|http://(127\.|localhost[:/]|\[::1\]))\S+$`)
)

// sosURN asks a trunk for 911 (RFC 5031).
const sosURN = "urn:service:sos"

// ani checks what becomes of the city's callers' numbers, and refuses whatever would widen the terms.
func (c checker) ani(cfg Config, path string, city CityConfig) {
	at := path + ".ani"
	c.between(at+".retention", city.ANI.Retention, time.Minute, keepFor)
	if city.ANI.Owner == "" && !cfg.Development {
		c.fault(at+".owner", "is missing; a city serves callers only when somebody answers for what becomes of their numbers")
	}
	for code, name := range city.ANI.Areas {
		if !areaForm.MatchString(code) {
			c.fault(at+".areas."+code, "is not an area code; write its three digits, \"212\"")
			continue
		}
		c.name(at+".areas."+code, name, labelForm)
	}
	for i, p := range city.ANI.Narrow.Purposes {
		c.narrows(fmt.Sprintf("%s.narrow.purposes[%d]", at, i), ani.Narrowing{Purposes: []ani.Purpose{p}})
	}
	for i, r := range city.ANI.Narrow.Recipients {
		c.narrows(fmt.Sprintf("%s.narrow.recipients[%d]", at, i), ani.Narrowing{Recipients: []ani.Recipient{r}})
	}
	c.sign(at+".sign", city.ANI.Sign)
	c.cap(at+".caps.agent_reveals", city.ANI.Caps.AgentReveals, ani.DefaultCaps.PerActor)
	c.cap(at+".caps.city_reveals", city.ANI.Caps.CityReveals, ani.DefaultCaps.PerCity)
	if q := city.ANI.ScreeningQueue; q != "" {
		c.known(at+".screening_queue", path+".queues", string(q), asWords(city.queueIDs()))
	}
}

// narrows refuses what a city cannot forbid.
func (c checker) narrows(path string, n ani.Narrowing) {
	if err := n.Check(); err != nil {
		c.fault(path, "%s", strings.TrimPrefix(err.Error(), "narrow the terms: "))
	}
}

// cap refuses one above the terms' own. 0 would be taken for the terms' own too, and is not what it says.
func (c checker) cap(path string, n, most int) {
	if n < 1 || n > most {
		c.fault(path, "%d is out of bounds; it is 1 to %d, for a city may lower what the terms allow and not raise it", n, most)
	}
}

// trunkTrust refuses trust that would have no effect.
func (c checker) trunkTrust(at string, t TrunkConfig) {
	for _, k := range []struct {
		key string
		set bool
	}{{"trust_remote_party_id", t.TrustRemotePartyID}, {"trust_charge_info", t.TrustChargeInfo}, {"trust_retarget", t.TrustRetarget}} {
		if k.set && !t.TrustIdentity {
			c.fault(at+"."+k.key, "has no effect without \"trust_identity: true\": outside the trust domain nothing is believed (RFC 3325)")
		}
	}
}

// trunkProxy checks where a trunk takes our calls.
func (c checker) trunkProxy(at string, t TrunkConfig) {
	switch {
	case t.hasProxy() && (t.Proxy.Addr.Port() == 0 || t.Proxy.Addr.Addr().IsUnspecified()):
		c.fault(at+".proxy", "%s is no address to send to", t.Proxy)
	case !t.hasProxy() && t.TrustOut:
		c.fault(at+".trust_out", "has no effect without proxy: nothing is sent over this trunk")
	case !t.hasProxy() && t.Secured:
		c.fault(at+".secured", "has no effect without proxy: nothing is sent over this trunk")
	}
}

// outward checks how the city shows itself to those it calls, and whom it may carry calls on to.
func (c checker) outward(path string, city CityConfig) {
	if id := city.CallerID; id != "" && !ownForm.MatchString(id) {
		c.fault(path+".caller_id", "%q is not a number to show; write + and 8 to 15 digits", id)
	} else if id != "" && !slices.ContainsFunc(city.Numbers, func(n NumberConfig) bool { return n.Number == id }) {
		c.fault(path+".caller_id", "%q is none of %s.numbers; a caller is shown no number that is not the city's (47 CFR 64.1604)", id, path)
	}
	if city.CallbackTrunk != "" {
		c.sends(path+".callback_trunk", path, city, city.CallbackTrunk)
		if city.CallerID == "" {
			c.fault(path+".caller_id", "is missing; whoever is called back over callback_trunk must see one of the city's numbers")
		}
	}
	seen := map[string]string{}
	for i, p := range city.Partners {
		at := fmt.Sprintf("%s.partners[%d]", path, i)
		c.name(at+".id", string(p.ID), labelForm)
		c.once(seen, at+".id", string(p.ID), "a partner")
		c.partner(at, p)
		c.sends(at+".trunk", path, city, p.Trunk)
	}
}

// partner checks one of them by itself.
func (c checker) partner(at string, p PartnerConfig) {
	if p.Name == "" {
		c.fault(at+".name", "is missing; it is how agents know whom they hand a caller to")
	}
	sos := p.Kind == PartnerKind(call.PartnerPSAP) && p.URI == sosURN
	switch {
	case p.Kind == "":
		c.fault(at+".kind", "is missing; it is one of %s, and decides what of a caller's number goes with a call", strings.Join(p.Kind.choices(), ", "))
	case p.URI == "":
		c.fault(at+".uri", "is missing")
	case !sos && !outForm.MatchString(p.URI):
		c.fault(at+".uri", "%q is nobody to call; write sip:name@host, tel:+ and 8 to 15 digits or, for a psap, %s", p.URI, sosURN)
	}
}

// sends checks that calls can be sent over the trunk named at path.
func (c checker) sends(path, home string, city CityConfig, id call.TrunkID) {
	c.known(path, home+".trunks", string(id), asWords(city.TrunkIDs()))
	for _, t := range city.Trunks {
		if t.ID == id && !t.hasProxy() {
			c.fault(path, "trunk %q has no proxy, so that no call can be sent over it", id)
		}
	}
}

// ledger checks that each witness is one place, and another place.
func (c checker) ledger(cfg Config) {
	for i, w := range cfg.Ledger.Witnesses {
		at := fmt.Sprintf("ledger.witnesses[%d]", i)
		_, bucket := c.at[at+".s3"]
		switch {
		case btoi(w.Dir != "")+btoi(bucket)+btoi(w.URL != "") != 1:
			c.fault(at, "wants one of dir, s3 and url: a witness is one place")
		case w.Dir != "" && inside(string(cfg.DataDir), string(w.Dir)):
			c.fault(at+".dir", "%q lies in the data directory; a witness is a place that whoever changes the ledger cannot change", string(w.Dir))
		case bucket:
			c.s3(at+".s3", w.S3)
			if !w.S3.TLS && !httpsForm.MatchString("http://"+w.S3.Endpoint+"/-") {
				c.fault(at+".s3.tls", "is false, and %s is not this machine", w.S3.Endpoint)
			}
		case w.URL != "" && !httpsForm.MatchString(w.URL):
			c.fault(at+".url", "%q does not begin with https://; http is for this machine only", w.URL)
		}
		if (w.URL == "") != (w.Key == "") {
			c.fault(at+".key", "goes with url, and url with key: what a witness has signed is checked")
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// inside tells whether path is dir or lies in it.
func inside(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
