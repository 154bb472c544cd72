package sip

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"callhall/ani"
	"callhall/call"
)

// Everything that says who is calling in what we send is built in this file, from a decision made for the one who will
// read it. A header that nobody decided on is not sent. Of the other side's, one may be sent on as it came: the Identity
// header in which a carrier signs the caller's number, where it was verified and names no third party (docs/stir.md).

// Egress decides what of a caller's number may leave by a leg of ours. ani.Vault does.
type Egress interface {
	// Egress decides for one leg before its INVITE is sent. With an error nothing is shown, unless the leg is to 911.
	Egress(ctx context.Context, o ani.Outgoing) (ani.Shown, error)
	// Destination is the number behind a handle, for the Request-URI of a call back over a trunk and for nothing else. Errors: the
	// handle is over, is not this city's, or may not be dialled.
	Destination(ctx context.Context, city call.CityID, handle string, newCall call.ID, actor string, by call.TrunkID) (ani.Value, error)
}

// An address is one end of a dialog, as From, To and the Request-URI write it. Where it is a caller's number it stays
// sealed until a message is built.
type address struct {
	name   string // display name; never one of a caller's
	uri    sip.Uri
	number ani.Value // in place of uri where it is not empty
	host   string    // of number's URI
}

// header is the URI that goes into a header field.
func (a address) header() sip.Uri {
	if number := a.number.Reveal(); number != "" {
		return numberURI(number, a.host)
	}
	return *a.uri.Clone()
}

// numberURI is a telephone number as a SIP URI (RFC 3261 §19.1.6).
func numberURI(number, host string) sip.Uri {
	return sip.Uri{Scheme: "sip", User: number, Host: host, UriParams: sip.HeaderParams{{K: "user", V: "phone"}}}
}

// opaque is a caller of whom nothing is shown: a name that is made for one dialog.
func opaque(city call.CityID, name string) address {
	return address{name: name, uri: sip.Uri{Scheme: "sip", User: "call-" + strings.ToLower(rand.Text()), Host: string(city) + ".invalid"}}
}

// anonymous is a caller who wants not to be known (RFC 3323 §4.1.1.3).
func anonymous() address {
	return address{name: "Anonymous", uri: sip.Uri{Scheme: "sip", User: "anonymous", Host: "anonymous.invalid"}}
}

// egressPatience is how long a leg waits to learn what it may show. The decision waits for the ledger's disk, which takes
// milliseconds; a caller must not wait for a ledger that is away.
const egressPatience = time.Second

// nothing is what a leg shows that nobody has decided on: the strictest of all.
var nothing = ani.Shown{Anonymous: true, Privacy: []string{"id"}, Status: call.CallerUnavailable}

// decide asks what a leg may carry. Whatever goes wrong, the leg is placed: with nothing shown, but for an emergency's,
// which keeps what came with the fault.
func (s *Server) decide(ctx context.Context, o ani.Outgoing) ani.Shown {
	if s.deps.Egress == nil {
		return nothing
	}
	ctx, cancel := context.WithTimeout(ctx, egressPatience)
	defer cancel()
	shown, err := s.deps.Egress.Egress(ctx, o)
	if err == nil {
		return shown
	}
	s.log.Error("no decision on what a leg may show of its caller", "call", o.Call, "to", o.To, "err", err)
	if o.To == ani.PartyPSAP {
		return shown
	}
	return nothing
}

// A presentation is what the INVITE of a leg says of who is calling.
type presentation struct {
	from    address
	headers []sip.Header
}

// toAgent is what an agent's phone is told of the caller (docs/agent-headers.md). From stays opaque.
func toAgent(o call.Offer, shown ani.Shown) presentation {
	return presentation{opaque(o.City, "311 "+string(o.Queue)), []sip.Header{
		sip.NewHeader("X-Callhall-Caller", callerWord(shown)),
		sip.NewHeader("X-Callhall-Verified", yesNo(shown.Verified)),
	}}
}

// callerWord is the caller's masked number, or why there is none.
func callerWord(shown ani.Shown) string {
	mask := shown.Mask.Reveal()
	switch {
	case strings.Contains(mask, "***"): // a whole number is no mask, whoever calls it one
		return mask
	case shown.Status == call.CallerUnavailable, shown.Status == call.CallerInvalid:
		return string(call.CallerUnavailable)
	default:
		return string(call.CallerWithheld)
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// present is what a leg over a trunk says of who is calling; host is ours, for numbers.
func (w way) present(city call.CityID, shown ani.Shown, host string) presentation {
	if w.kind == "" || w.kind == call.PartnerInterpreter { // they speak with the city (RULES D44, D49)
		return w.presentCity(city, host)
	}
	number := shown.Number
	if !w.mayCarry() || !isE164(number.Reveal()) {
		number = ani.Value{}
	}
	has := number.Reveal() != ""
	p := presentation{from: opaque(city, "311")}
	switch {
	case shown.Anonymous:
		p.from = anonymous()
	case has:
		p.from = address{number: number, host: host}
	}
	if has {
		p.headers = append(p.headers, assertion(address{number: number, host: host}))
	}
	if privacy := privacyField(shown, has); privacy != "" {
		p.headers = append(p.headers, sip.NewHeader("Privacy", privacy))
	}
	if has && !shown.Anonymous { // a signature names whom it is for
		p.headers = append(p.headers, signature(shown)...)
	}
	return p
}

// presentCity shows the city in the caller's stead, and nothing of the caller.
func (w way) presentCity(city call.CityID, host string) presentation {
	if w.number == "" {
		return presentation{from: opaque(city, "311")}
	}
	own := address{uri: numberURI(w.number, host)}
	p := presentation{from: own}
	if w.trunk.TrustOut {
		p.headers = append(p.headers, assertion(own))
	}
	return p
}

// mayCarry tells whether a caller's number may go this way at all: to 911 always (47 CFR 64.1601(d)), else only where
// the next hop keeps to itself what is withheld (RFC 3325 §7) and nobody listens on the way.
func (w way) mayCarry() bool {
	return w.kind == call.PartnerPSAP || w.trunk.TrustOut && w.secured()
}

// assertion is P-Asserted-Identity (RFC 3325 §9.1).
func assertion(a address) sip.Header {
	uri := a.header()
	return sip.NewHeader("P-Asserted-Identity", "<"+uri.String()+">")
}

// privacyValues are those that may stand in Privacy (RFC 3323 §4.2, RFC 3325 §9.3, RFC 7044 §10.1), as they are written.
var privacyValues = []string{"id", "header", "session", "user", "history", "critical", "none"}

// privacyField is what the caller asked for, as it goes on. An identity that must not be shown goes with "id" in any
// case, and "none" only stands alone.
func privacyField(shown ani.Shown, identity bool) string {
	asked := func(value string) bool {
		if value == "id" && identity && shown.Anonymous {
			return true
		}
		return slices.ContainsFunc(shown.Privacy, func(v string) bool { return strings.EqualFold(v, value) })
	}
	kept := slices.DeleteFunc(slices.Clone(privacyValues), func(value string) bool { return !asked(value) })
	if len(kept) > 1 || shown.Anonymous {
		kept = slices.DeleteFunc(kept, func(value string) bool { return value == "none" })
	}
	return strings.Join(kept, ";")
}

// signature is Identity (RFC 8224 §4), as often as there are tokens, with the Date that they want. They belong together:
// where one of them cannot be sent, none is.
func signature(shown ani.Shown) []sip.Header {
	if len(shown.Identity) == 0 {
		return nil
	}
	fields := []sip.Header{sip.NewHeader("Date", shown.SignedAt.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))}
	for _, sealed := range shown.Identity {
		value := sealed.Reveal()
		if value == "" || hasControl(value) {
			return nil
		}
		fields = append(fields, sip.NewHeader("Identity", value))
	}
	return fields
}
