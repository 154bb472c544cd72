package sip

import (
	"context"
	"crypto/rand"
	"strings"

	"github.com/emiago/sipgo/sip"

	"callhall/ani"
	"callhall/call"
)

// Everything that says who is calling in what we send is built in this file, from a decision made for the one who will
// read it. A header that nobody decided on is not sent, and none is ever copied from the other side of a call.

// Egress decides what of a caller's number may leave by a leg of ours. ani.Vault does.
type Egress interface {
	// Destination is the number behind a handle, for the Request-URI of a call back and for nothing else. Errors: the
	// handle is over, is not this city's, or may not be dialled.
	Destination(ctx context.Context, city call.CityID, handle string, newCall call.ID, by string) (ani.Value, error)
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

// ofCity is a city that calls under a number of its own.
func ofCity(number, host string) address { return address{uri: numberURI(number, host)} }

// face is who is calling, for those behind w.
func (s *Server) face(o call.Outward, w way, from *listener) address {
	own := w.kind == "" || w.kind == call.PartnerInterpreter
	switch {
	case own && w.number != "":
		return ofCity(w.number, from.shown.Addr().String())
	case own:
		return opaque(o.City, "311")
	default:
		return anonymous()
	}
}
