package stir

import "callhall/call"

// Reason says why a call's Identity headers were believed or not. It carries nothing of what they held.
type Reason uint8

// The reasons, in the order in which a token meets the checks: of several tokens that fail, the one that came furthest
// gives the reason.
const (
	OK                 Reason = iota
	None                      // there is no Identity header
	Unsupported               // another algorithm, kind of token or form than we can check, or no token that vouches for a caller
	TooLarge                  // too many headers, or one above 8 KiB
	Malformed                 // not an Identity header or not a PASSporT (RFC 8224 §4, RFC 8225 §§4–5)
	Stale                     // signed too long ago, or in the future (RFC 8224 §6.2)
	OrigMismatch              // signed for another caller
	DestMismatch              // signed for a call to somebody else
	Forbidden                 // the certificate's address is not one that we fetch from
	Unreachable               // the certificate could not be had in time
	BadCertificate            // what was fetched is no certificate of the profile, or too large
	CertificateExpired        // a certificate of the chain is out of its validity at the time of the call
	Untrusted                 // no chain to the configured roots
	NotAuthorised             // the certificate does not cover the number (RFC 8226 §9)
	Revoked                   // a certificate of the chain is on a revocation list
	RevocationUnknown         // revocation lists are configured, and none that is recent enough covers the chain
	BadSignature              // the signature is not that of the certificate's key over these claims
	reasons                   // how many there are
)

// said is what each reason is called, the SIP status by which RFC 8224 §6.2.2 would refuse the call, and what it makes of
// the caller's number. We never refuse; the status is for operators who compare with a carrier's traces.
var said = [reasons]struct {
	name    string
	status  int
	verstat call.Verstat
}{
	OK:                 {"ok", 0, call.VerstatPassed},
	None:               {"none", 428, call.VerstatNone},
	Unsupported:        {"unsupported", 437, call.VerstatNone},
	TooLarge:           {"too-large", 438, call.VerstatFailed},
	Malformed:          {"malformed", 438, call.VerstatFailed},
	Stale:              {"stale", 403, call.VerstatFailed},
	OrigMismatch:       {"orig-mismatch", 438, call.VerstatFailed},
	DestMismatch:       {"dest-mismatch", 438, call.VerstatFailed},
	Forbidden:          {"certificate-forbidden", 436, call.VerstatFailed},
	Unreachable:        {"certificate-unreachable", 436, call.VerstatNone},
	BadCertificate:     {"certificate-malformed", 437, call.VerstatFailed},
	CertificateExpired: {"certificate-expired", 437, call.VerstatFailed},
	Untrusted:          {"untrusted", 437, call.VerstatFailed},
	NotAuthorised:      {"not-authorised", 437, call.VerstatFailed},
	Revoked:            {"revoked", 437, call.VerstatFailed},
	RevocationUnknown:  {"revocation-unknown", 437, call.VerstatNone},
	BadSignature:       {"bad-signature", 438, call.VerstatFailed},
}

// Reasons lists every Reason.
func Reasons() []Reason {
	all := make([]Reason, reasons)
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}

// String is the reason's name: lower case, words joined by "-".
func (r Reason) String() string {
	if r >= reasons {
		return "unknown"
	}
	return said[r].name
}

// Status is the SIP status of RFC 8224 §6.2.2 that belongs to the reason, 0 for OK. Callhall sends none of them.
func (r Reason) Status() int {
	if r >= reasons {
		return 0
	}
	return said[r].status
}

// Verstat is what the reason makes of the caller's number: failed where something was wrong, none where nobody could tell.
func (r Reason) Verstat() call.Verstat {
	if r >= reasons {
		return call.VerstatNone
	}
	return said[r].verstat
}
