package sip

import (
	"strings"

	"github.com/emiago/sipgo/sip"

	"callhall/ani"
)

// identityHeaders takes from an INVITE what says who is calling, for ani.Vault alone. Names are compared after
// parsing, so that "P-Asserted-Identity :" is no other header than "P-Asserted-Identity" (CVE-2020-28361).
//
// From a trunk that is not trusted, and from anybody else, only From and Privacy are taken: what they assert is not
// read at all (RFC 3325 §8), and their wish for privacy is (RFC 3323 §4). P-Charge-Info, Remote-Party-ID, Diversion,
// History-Info and Identity are read by nobody yet; like every header they go no further, because a leg to an agent is
// built from nothing.
func identityHeaders(req *sip.Request, trusted bool) ani.Headers {
	h := ani.Headers{From: fields(req, "From"), Privacy: fields(req, "Privacy")}
	if !trusted {
		return h
	}
	h.Asserted = fields(req, "P-Asserted-Identity")
	h.Preferred = fields(req, "P-Preferred-Identity")
	if own := fields(req, "Verstat"); len(own) == 1 {
		h.Verstat = own[0]
	}
	return h
}

// fields returns the values of every header field of that name, as received.
func fields(req *sip.Request, name string) (values []string) {
	for _, h := range req.Headers() {
		if strings.EqualFold(canonicalName(h.Name()), name) {
			values = append(values, h.Value())
		}
	}
	return values
}
