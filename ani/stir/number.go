package stir

import "strings"

// maxNumber is the longest number of a certificate's list and of ITU-T E.164 (RFC 8226 §9).
const maxNumber = 15

// canonical brings a telephone number into the form of RFC 8224 §8.3: digits, "*" and "#", without "+" and visual
// separators. A number of ours that is short, such as 311, stays short.
func canonical(tn string) (string, bool) {
	if plainNumber(tn) {
		return tn, true
	}
	tn = strings.TrimPrefix(tn, "+")
	tn = strings.NewReplacer("-", "", ".", "", " ", "", "(", "", ")", "").Replace(tn)
	return tn, plainNumber(tn)
}

// plainNumber tells whether tn is in canonical form.
func plainNumber(tn string) bool {
	for i := range len(tn) {
		if c := tn[i]; (c < '0' || c > '9') && c != '*' && c != '#' {
			return false
		}
	}
	return tn != "" && len(tn) <= maxNumber
}

// address brings one destination, a telephone number or a URI, into the form in which two of them are compared. A URI is
// compared as written, except for the case of a urn ("urn:service:sos", RFC 5031).
func address(s string) string {
	if tn, ok := canonical(s); ok {
		return tn
	}
	if len(s) >= 4 && strings.EqualFold(s[:4], "urn:") {
		return strings.ToLower(s)
	}
	return s
}

// addresses is address for each.
func addresses(list []string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		if s != "" {
			out = append(out, address(s))
		}
	}
	return out
}
