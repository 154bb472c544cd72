package stir

import (
	"crypto/x509"
	"encoding/asn1"
	"strconv"
)

var (
	oidTNAuthList     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 26} // RFC 8226 §9
	oidConstraints    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 27} // RFC 8226 §8
	oidConstraintsNew = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 33} // RFC 9118
)

// scope is a certificate's TNAuthList: for which telephone numbers it speaks.
type scope struct {
	provider bool // a service provider code: any number, as SHAKEN has it
	ranges   []numberRange
	ones     []string
}

// numberRange is count numbers of the same length as start.
type numberRange struct {
	start  uint64
	count  uint64
	length int
}

// covers tells whether the list speaks for tn, which is canonical.
func (s scope) covers(tn string) bool {
	if s.provider {
		return plainNumber(tn)
	}
	for _, one := range s.ones {
		if one == tn {
			return true
		}
	}
	n, err := strconv.ParseUint(tn, 10, 64)
	if err != nil || len(tn) > maxNumber { // one with "*" or "#" is in no range
		return false
	}
	for _, r := range s.ranges {
		if len(tn) == r.length && n >= r.start && n-r.start < r.count {
			return true
		}
	}
	return false
}

// scopeOf finds the TNAuthList of a certificate. A list that cannot be read speaks for nobody.
func scopeOf(cert *x509.Certificate) (s scope, found bool) {
	for _, e := range cert.Extensions {
		if e.Id.Equal(oidTNAuthList) {
			s, ok := parseScope(e.Value)
			if !ok {
				s = scope{}
			}
			return s, true
		}
	}
	return scope{}, false
}

// constrained tells whether the certificate limits what the claims of its tokens may be. We do not check such limits, so
// we do not believe such certificates.
func constrained(cert *x509.Certificate) bool {
	for _, e := range cert.Extensions {
		if e.Id.Equal(oidConstraints) || e.Id.Equal(oidConstraintsNew) {
			return true
		}
	}
	return false
}

// parseScope reads the ASN.1 of RFC 8226 §9: a sequence of entries, each explicitly tagged [0] provider code, [1] range
// or [2] one number.
func parseScope(der []byte) (s scope, ok bool) {
	list, ok := inside(der, asn1.ClassUniversal, asn1.TagSequence)
	if !ok || len(list) == 0 {
		return scope{}, false
	}
	for len(list) > 0 {
		var entry asn1.RawValue
		rest, err := asn1.Unmarshal(list, &entry)
		if err != nil || entry.Class != asn1.ClassContextSpecific || !entry.IsCompound || !s.add(entry) {
			return scope{}, false
		}
		list = rest
	}
	return s, true
}

// inside returns the content of der, which must be one element of that class and tag with nothing behind it.
func inside(der []byte, class, tag int) ([]byte, bool) {
	var v asn1.RawValue
	rest, err := asn1.Unmarshal(der, &v)
	return v.Bytes, err == nil && len(rest) == 0 && v.Class == class && v.Tag == tag
}

func (s *scope) add(entry asn1.RawValue) bool {
	switch entry.Tag {
	case 0:
		code, ok := inside(entry.Bytes, asn1.ClassUniversal, asn1.TagIA5String)
		s.provider = s.provider || len(code) > 0
		return ok && len(code) > 0
	case 1:
		return s.addRange(entry.Bytes)
	case 2:
		tn, ok := inside(entry.Bytes, asn1.ClassUniversal, asn1.TagIA5String)
		s.ones = append(s.ones, string(tn))
		return ok && plainNumber(string(tn))
	default:
		return false
	}
}

// addRange takes a start and a count of 2 or more. The numbers beyond the last of that length are nobody's.
func (s *scope) addRange(der []byte) bool {
	body, ok := inside(der, asn1.ClassUniversal, asn1.TagSequence)
	if !ok {
		return false
	}
	var start asn1.RawValue
	rest, err := asn1.Unmarshal(body, &start)
	if err != nil || start.Class != asn1.ClassUniversal || start.Tag != asn1.TagIA5String {
		return false
	}
	var count int64
	if _, err := asn1.Unmarshal(rest, &count); err != nil || count < 2 { // what a later version puts behind it is allowed
		return false
	}
	first, err := strconv.ParseUint(string(start.Bytes), 10, 64)
	if err != nil || len(start.Bytes) > maxNumber {
		return false
	}
	s.ranges = append(s.ranges, numberRange{start: first, count: uint64(count), length: len(start.Bytes)})
	return true
}
