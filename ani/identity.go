package ani

import (
	"strings"

	"callhall/call"
)

// ParseIdentity reads a caller's identity from the headers of an INVITE. It is pure and takes any input.
//
// From a trunk outside our trust domain nothing is taken for an identity (RFC 3325 §8); only its wish for privacy is
// kept. From a trusted one P-Asserted-Identity is the number; where it asserts none, From is, at the lowest trust. No
// other header is asked: a withheld or missing number is never guessed. Privacy is read restrictively: any value but
// "none", an unreadable one and an anonymous From count as asking for it.
func ParseIdentity(h Headers, trusted bool) Identity {
	from := addresses(h.From)
	id := Identity{Verstat: call.VerstatNone, Source: SourceNone, Private: restricted(h.Privacy) || anyAnonymous(from)}
	if !trusted {
		id.Status = call.CallerUnavailable
		return id
	}
	asserted := atMostTwo(addresses(h.Asserted))
	id.Private = id.Private || anyAnonymous(asserted)
	id.Verstat = verstat(h.Verstat, asserted, from)
	switch {
	case len(asserted) > 0:
		id.take(asserted, SourceAsserted)
	case len(h.Asserted) > 0:
		id.Status = call.CallerInvalid // something was asserted, and nobody can read it
	default:
		id.take(from, SourceFrom)
	}
	if id.Private {
		id.Status = call.CallerWithheld
	}
	return id
}

// take fills in the number and the status from the addresses of one header.
func (id *Identity) take(list []address, source Source) {
	id.Status = call.CallerUnavailable
	for _, a := range list {
		if digits := a.number(); digits != "" {
			id.Number, id.Status, id.Source = seal(digits), call.CallerPresent, source
			return
		}
		switch {
		case a.anonymous():
			id.Status = call.CallerWithheld
		case !a.unavailable() && id.Status == call.CallerUnavailable:
			id.Status = call.CallerInvalid
		}
	}
}

// atMostTwo keeps what RFC 3325 §9.1 allows, one tel and one sip value, tel first; more are ignored.
func atMostTwo(list []address) []address {
	var tel, sip []address
	for _, a := range list {
		if a.tel {
			tel = append(tel, a)
		} else {
			sip = append(sip, a)
		}
	}
	return append(tel[:min(len(tel), 1)], sip[:min(len(sip), 1)]...)
}

// restricted tells whether a Privacy header asks for anything (RFC 3323 §4.2, RFC 3325 §9.3, RFC 7044). We do not weigh
// one value against another: "none" alone asks for nothing.
func restricted(values []string) bool {
	for _, v := range values {
		for p := range strings.FieldsFuncSeq(v+" ", func(r rune) bool { return r == ';' || r == ',' }) {
			if !strings.EqualFold(strings.TrimSpace(p), "none") {
				return true
			}
		}
	}
	return false
}

func anyAnonymous(list []address) bool {
	for _, a := range list {
		if a.anonymous() {
			return true
		}
	}
	return false
}

// verstat reads the carrier's word from where it stands: a header of its own, or a parameter of the asserted identity
// or of From (3GPP TS 24.229 §7.2A.20).
func verstat(own string, asserted, from []address) call.Verstat {
	if own != "" {
		return verstatOf(own)
	}
	for _, list := range [][]address{asserted, from} {
		for _, a := range list {
			if v, ok := a.params["verstat"]; ok {
				return verstatOf(v)
			}
		}
	}
	return call.VerstatNone
}

// verstatOf allows the suffixes that some carriers add: "TN-Validation-Passed-B".
func verstatOf(s string) call.Verstat {
	s = strings.ToLower(strings.TrimSpace(s))
	switch {
	case strings.HasPrefix(s, "tn-validation-passed"):
		return call.VerstatPassed
	case strings.HasPrefix(s, "tn-validation-failed"):
		return call.VerstatFailed
	default:
		return call.VerstatNone
	}
}
