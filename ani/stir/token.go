package stir

import (
	"encoding/json"
	"strings"
	"time"

	"callhall/call"
)

// The kinds of token that we check.
const (
	kindBase   = ""       // RFC 8225: who calls whom
	kindShaken = "shaken" // RFC 8588: and how far the carrier vouches for it
	kindDiv    = "div"    // RFC 8946: who sent the call on, and to whom
)

// token is a PASSporT that has been read and not been believed yet. It lives as long as one Verify.
type token struct {
	signed    string // header and payload as they were signed; "" in compact form
	signature [64]byte
	url       string // where the certificate is
	kind      string
	iat       time.Time
	orig      string   // canonical
	dest      []string // canonical numbers, and URIs
	div       string   // canonical; whoever sent the call on
	attest    call.Attestation
	origID    string
	place     int  // of its header among the call's, from 1
	bare      bool // header and token say what their kind must say and nothing else; never in compact form
}

// compact tells whether header and payload were left out (RFC 8225 §7) and must be rebuilt from the call.
func (t *token) compact() bool { return t.signed == "" }

// holder is whose number the certificate must cover: the caller's, or of a div token that of whoever sent the call on
// (RFC 8946 §4.1).
func (t *token) holder() string {
	if t.kind == kindDiv {
		return t.div
	}
	return t.orig
}

// parseToken reads the token of one Identity header. It checks form alone: nothing is fetched and nothing believed.
func parseToken(h header) (*token, Reason) {
	if h.alg != "" && h.alg != "ES256" {
		return nil, Unsupported
	}
	head, rest, _ := strings.Cut(h.digest, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	t := &token{url: h.info}
	raw, ok := unbase64(signature)
	if !ok || len(raw) != len(t.signature) || (head == "") != (payload == "") {
		return nil, Malformed
	}
	copy(t.signature[:], raw)
	if head == "" {
		if h.ppt != "" { // the extra claims of shaken and div are not in the rest of the request
			return nil, Unsupported
		}
		return t, OK
	}
	t.signed, t.bare = h.digest[:len(head)+1+len(payload)], !h.more
	if why := t.readHead(head, h); why != OK {
		return nil, why
	}
	return t, t.readClaims(payload)
}

// readHead reads the token's own header (RFC 8225 §4), which must say what the Identity header says.
func (t *token) readHead(part string, h header) Reason {
	raw, ok := unbase64(part)
	m, isObject := members(raw)
	if !ok || !isObject {
		return Malformed
	}
	alg, okAlg := text(m["alg"])
	typ, okTyp := text(m["typ"])
	x5u, okURL := text(m["x5u"])
	ppt, okKind := text(m["ppt"])
	_, hasKind := m["ppt"]
	switch {
	case !okAlg || !okTyp || !okURL || hasKind && !okKind || typ != "passport":
		return Malformed
	case alg != "ES256" || m["crit"] != nil: // crit: the signer insists on something that we do not know
		return Unsupported
	case ppt != kindBase && ppt != kindShaken && ppt != kindDiv:
		return Unsupported
	case x5u != h.info || h.ppt != "" && h.ppt != ppt:
		return Malformed
	}
	t.kind = ppt
	t.bare = t.bare && only(m, "alg", "typ", "x5u", "ppt")
	return OK
}

// readClaims reads the payload (RFC 8225 §5, RFC 8588 §§4–5, RFC 8946 §3). Claims that we do not know were signed and are left alone.
func (t *token) readClaims(part string) Reason {
	raw, ok := unbase64(part)
	m, isObject := members(raw)
	if !ok || !isObject {
		return Malformed
	}
	seconds, okTime := integer(m["iat"])
	t.iat = time.Unix(seconds, 0)
	var okOrig, okDest bool
	t.orig, okOrig = party(m["orig"])
	t.dest, okDest = parties(m["dest"])
	if !okTime || !okOrig || !okDest {
		return Malformed
	}
	orig, _ := members(m["orig"])
	t.bare = t.bare && only(orig, "tn")
	switch t.kind {
	case kindBase:
		t.bare = t.bare && only(m, "dest", "iat", "orig")
	case kindShaken:
		return t.readShaken(m)
	case kindDiv:
		if t.div, ok = party(m["div"]); !ok {
			return Malformed
		}
	}
	return OK
}

// readShaken reads the two claims of RFC 8588.
func (t *token) readShaken(m map[string]json.RawMessage) Reason {
	attest, okAttest := text(m["attest"])
	origID, okID := text(m["origid"])
	t.attest = call.Attestation(attest)
	switch t.attest {
	case call.AttestFull, call.AttestPartial, call.AttestGateway:
	default:
		return Malformed
	}
	if !okAttest || !okID || origID == "" {
		return Malformed
	}
	t.origID = presentable(origID, t.orig, t.dest)
	t.bare = t.bare && t.origID != "" && only(m, "attest", "dest", "iat", "orig", "origid")
	return OK
}

// presentable is the origid as it may be kept beside a call: a UUID (RFC 8588 §5) in lower case, and "" for anything
// else. A carrier could put a number where the UUID should be, so one with the last seven digits of a party is dropped.
func presentable(id, orig string, dest []string) string {
	if len(id) != 36 {
		return ""
	}
	digits := make([]byte, 0, 36)
	for i := range len(id) {
		switch c := id[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return ""
			}
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
			digits = append(digits, c)
		default:
			return ""
		}
	}
	for _, tn := range append([]string{orig}, dest...) {
		if len(tn) >= 7 && strings.Contains(string(digits), tn[len(tn)-7:]) {
			return ""
		}
	}
	return strings.ToLower(id)
}

// party reads {"tn": "…"}. Somebody known by URI alone is no telephone's number, which is all that we compare.
func party(raw json.RawMessage) (string, bool) {
	m, ok := members(raw)
	if !ok || len(m) == 0 {
		return "", false
	}
	if uri, ok := text(m["uri"]); ok && m["tn"] == nil {
		return uri, uri != ""
	}
	tn, ok := text(m["tn"])
	if !ok {
		return "", false
	}
	return canonical(tn)
}

// parties reads {"tn": ["…"], "uri": ["…"]}, of which one must be there.
func parties(raw json.RawMessage) (all []string, ok bool) {
	m, ok := members(raw)
	if !ok {
		return nil, false
	}
	if tns := m["tn"]; tns != nil {
		list, ok := texts(tns)
		if !ok {
			return nil, false
		}
		for _, tn := range list {
			c, ok := canonical(tn)
			if !ok {
				return nil, false
			}
			all = append(all, c)
		}
	}
	if uris := m["uri"]; uris != nil {
		list, ok := texts(uris)
		if !ok {
			return nil, false
		}
		all = append(all, addresses(list)...)
	}
	return all, len(all) > 0
}
