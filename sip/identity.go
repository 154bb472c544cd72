package sip

import (
	"strings"

	"github.com/emiago/sipgo/sip"

	"callhall/ani"
)

// identityHeaders takes from an INVITE what says who is calling, for ani alone, and from each trunk only what it is
// trusted with. Names are compared after parsing, so that "P-Asserted-Identity :" is no other header than
// "P-Asserted-Identity" (CVE-2020-28361).
//
// From anybody it takes From and Privacy, whose wish for privacy holds (RFC 3323 §4), and Identity with Date, which prove
// themselves (RFC 8224). What a stranger asserts is not read at all (RFC 3325 §8). Every other header that could name
// somebody is taken from nobody: P-Preferred-Identity, which only a proxy that knows its user may weigh (RFC 3325 §6),
// Referred-By, Call-Info, User-to-User, P-Access-Network-Info, Geolocation, Contact. They go no further, because every
// message of ours is built from nothing.
//
// The text is the message's own, in the clear: Wipe what this returns as soon as it has been read.
func identityHeaders(req *sip.Request, trust ani.Trust) (h ani.Headers) {
	var date, verstat []string
	for _, field := range req.Headers() {
		if values := identityField(&h, trust, &date, &verstat, field.Name()); values != nil {
			*values = append(*values, field.Value())
		}
	}
	h.Date, h.Verstat = sole(date), sole(verstat)
	return h
}

// identityField tells where the values of a header field belong, nil where they are not wanted.
func identityField(h *ani.Headers, trust ani.Trust, date, verstat *[]string, name string) *[]string {
	name = strings.TrimSpace(name)
	is := func(known string) bool { return strings.EqualFold(name, known) }
	switch {
	case is("From"), is("f"):
		return &h.From
	case is("Privacy"):
		return &h.Privacy
	case is("Identity"), is("y"): // RFC 8224 §4
		return &h.Identity
	case is("Date"):
		return date
	case !trust.Identity:
		return nil
	case is("P-Asserted-Identity"):
		return &h.Asserted
	case is("Verstat"):
		return verstat
	case is("Remote-Party-ID") && trust.RemoteParty:
		return &h.RemoteParty
	case is("P-Charge-Info") && trust.Charge:
		return &h.ChargeInfo
	case is("Diversion") && trust.Retarget:
		return &h.Diversion
	case is("History-Info") && trust.Retarget:
		return &h.HistoryInfo
	default:
		return nil
	}
}

// sole is the value of a header field that may stand once. Two of them contradict each other, and neither is taken.
func sole(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}
