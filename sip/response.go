package sip

import "github.com/emiago/sipgo/sip"

// usable tells whether a 2xx to an INVITE of ours can make a dialog (RFC 3261 §12.1.2): the mandatory header fields are
// there and readable, To has a tag, and addresses that we would send to are addresses. It is the one judge of answers;
// of all others we read the status code alone.
func usable(res *sip.Response) bool {
	if res.Via() == nil || res.From() == nil || res.To() == nil || res.CallID() == nil || res.CSeq() == nil {
		return false
	}
	if !isToken(tagOf(res.To().Params)) {
		return false
	}
	if c := res.Contact(); c != nil && !isURI(&c.Address) {
		return false
	}
	for _, h := range res.Headers() {
		switch name := canonicalName(h.Name()); name {
		case "Via", "From", "To", "Call-ID", "CSeq", "Contact", "Record-Route":
			if !isRead(name, h) || hasControl(textOf(h)) {
				return false
			}
		}
		if rr, ok := h.(*sip.RecordRouteHeader); ok && !isURI(&rr.Address) {
			return false
		}
	}
	return true
}
