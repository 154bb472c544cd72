package ani

import (
	"slices"
	"strings"

	"callhall/call"
)

// ParseIdentity reads a caller's identity from the headers of an INVITE. It is pure and takes any input.
//
// From a trunk outside our trust domain nothing is taken for an identity (RFC 3325 §8); only the wish for privacy is
// kept. From a trusted one P-Asserted-Identity is the number; where there is none, a Remote-Party-ID that the network has
// screened, if this trunk may send it; where there is none either, From, at the lowest trust. A header that is there and
// gives no number settles it: a withheld, missing or broken number is never made up from another header, and never from
// the number that is billed.
//
// Privacy is read restrictively: any value but "none", one that cannot be read, an anonymous or hidden address in any
// header that says who calls, and a header too long to be read count as asking for it. Nothing that is added takes it back.
func ParseIdentity(h Headers, t Trust) Identity {
	from := readParty(h.From, SourceFrom)
	id := Identity{Status: call.CallerUnavailable, Verstat: call.VerstatNone, Source: SourceNone, Privacy: parsePrivacy(h.Privacy)}
	id.Private = id.Privacy.Restricts() || from.private
	if !t.Identity {
		return id
	}
	who := [...]party{readParty(h.Asserted, SourceAsserted), {}, from}
	if t.RemoteParty {
		who[1] = readRemote(h.RemoteParty)
	}
	id.Extra = who[0].extra
	id.Private = id.Private || who[0].private || who[1].private
	id.take(who[:])
	id.Verstat, id.Attest = verification(h.Verstat, who[:], id.Number.open())
	if t.Charge {
		id.Charge = charged(h.ChargeInfo)
	}
	id.Redirected = redirects(h, t)
	if id.Private {
		id.Status = call.CallerWithheld
	}
	return id
}

// take fills in everything that the addresses say. The first party that was sent gives the number and the status.
func (id *Identity) take(who []party) {
	for i := range who {
		if who[i].sent {
			id.settle(&who[i])
			break
		}
	}
	for i := range who {
		for _, a := range who[i].addresses() {
			if id.Name.IsZero() && !a.anonymous() {
				id.Name = sealText(a.label())
			}
			if id.Category == "" {
				id.Category = a.category()
			}
		}
	}
}

// settle takes number, source and status from one party.
func (id *Identity) settle(p *party) {
	id.Status = call.CallerInvalid // something was sent, and nobody can read it
	unknown := 0
	for _, a := range p.addresses() {
		if digits := a.digits(); digits != "" {
			id.Number, id.ISUB, id.Status, id.Source = seal(digits), sealText(a.isub()), call.CallerPresent, p.source
			return
		}
		switch {
		case a.anonymous():
			id.Status = call.CallerWithheld
		case a.unavailable():
			unknown++
		}
	}
	if unknown > 0 && unknown == len(p.addresses()) {
		id.Status = call.CallerUnavailable
	}
}

// charged is the number that is billed (RFC 8496 §4), the first that can be read.
func charged(values []string) Number {
	for a := range each(values) {
		if digits := a.digits(); digits != "" {
			return seal(digits)
		}
	}
	return Number{}
}

// A party is what the values of one header say of the caller.
type party struct {
	source   Source
	sent     bool       // the header was there
	list     [2]address // at most one tel and one sip value, tel first
	tel, sip bool       // which of them there are
	extra    int        // values beyond those, ignored
	private  bool       // any value, the ignored ones too, asks for privacy
}

// readParty keeps what RFC 3325 §9.1 allows, one tel and one sip value.
func readParty(values []string, source Source) party {
	p := party{source: source, sent: len(values) > 0, private: anyTooLong(values)}
	for a, ok := range each(values) {
		p.add(a, ok)
	}
	return p
}

func anyTooLong(values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return len(v) > maxHeader })
}

func (p *party) add(a address, ok bool) {
	switch {
	case !ok:
	case a.tel && !p.tel:
		p.list[0], p.tel = a, true
	case !a.tel && !p.sip:
		p.list[1], p.sip = a, true
	default:
		p.extra++
	}
	p.private = p.private || a.anonymous()
}

// addresses returns the values that are kept.
func (p *party) addresses() []address {
	switch {
	case p.tel && p.sip:
		return p.list[:]
	case p.tel:
		return p.list[:1]
	case p.sip:
		return p.list[1:]
	default:
		return nil
	}
}

// readRemote reads Remote-Party-ID (draft-ietf-sip-privacy-04 §7.1): the values that are of the calling party. Its number
// is used only where the network says that it has screened it; its wish for privacy holds in any case.
func readRemote(values []string) party {
	p := party{source: SourceRemoteParty, private: anyTooLong(values)}
	for a, ok := range each(values) {
		if role, given := lookup(a.field, ";", "party"); given && !strings.EqualFold(role, "calling") {
			continue
		}
		asked, off := settled(a.field, ";", "privacy", "off")
		p.private = p.private || asked && !off || a.anonymous()
		if _, screened := settled(a.field, ";", "screen", "yes"); screened {
			p.sent = true
			p.add(a, ok)
		}
	}
	return p
}

// verification is the carrier's word on the number: a header of its own, or a parameter of an address (3GPP TS 24.229
// §7.2A.20), with the attestation where a suffix says it. Doubt wins: one "failed" is enough, and of two attestations the
// lower counts. "Passed" counts only for a number that we hold, and not where it stands with another number.
func verification(own string, who []party, digits string) (v call.Verstat, attest call.Attestation) {
	v, attest = call.VerstatNone, call.AttestNone
	hear := func(word string, ours bool) {
		said, level := verstatOf(word)
		switch {
		case said == call.VerstatFailed:
			v, attest = call.VerstatFailed, call.AttestNone
		case said == call.VerstatPassed && v != call.VerstatFailed && ours && digits != "":
			v, attest = call.VerstatPassed, max(attest, level) // A, B, C: the later letter vouches for less
		}
	}
	hear(own, true)
	for i := range who {
		for _, a := range who[i].addresses() {
			if word, ok := a.param("verstat"); ok {
				other := a.digits()
				hear(word, other == "" || other == digits)
			}
		}
	}
	return v, attest
}

// verstatOf reads "TN-Validation-Passed" and its like, with the suffix -A, -B or -C that some carriers add.
func verstatOf(s string) (call.Verstat, call.Attestation) {
	s = strings.TrimSpace(s)
	if rest, ok := cutFold(s, "TN-Validation-Failed"); ok && (rest == "" || rest[0] == '-') {
		return call.VerstatFailed, call.AttestNone
	}
	rest, ok := cutFold(s, "TN-Validation-Passed")
	switch {
	case !ok:
		return call.VerstatNone, call.AttestNone
	case rest == "":
		return call.VerstatPassed, call.AttestNone
	case strings.EqualFold(rest, "-A"):
		return call.VerstatPassed, call.AttestFull
	case strings.EqualFold(rest, "-B"):
		return call.VerstatPassed, call.AttestPartial
	case strings.EqualFold(rest, "-C"):
		return call.VerstatPassed, call.AttestGateway
	default:
		return call.VerstatNone, call.AttestNone
	}
}

// cutFold cuts a prefix off, whatever its case.
func cutFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
