package ani

import "strings"

// Privacy is the set of values that a Privacy header had (RFC 3323 §4.2).
type Privacy uint8

// The values. PrivacyOther stands for any that we do not know and for one that cannot be read.
const (
	PrivacyHeader Privacy = 1 << iota
	PrivacySession
	PrivacyUser
	PrivacyNone
	PrivacyCritical
	PrivacyID      // RFC 3325 §9.3
	PrivacyHistory // RFC 7044 §10.1
	PrivacyOther
)

// privacyNames has the values in the order of their bits.
var privacyNames = [...]string{"header", "session", "user", "none", "critical", "id", "history"}

// parsePrivacy reads a Privacy header. Values are separated by ";", and in some carriers' by ",".
func parsePrivacy(values []string) (p Privacy) {
	for _, v := range values {
		for more := true; more; {
			var word string
			if i := strings.IndexAny(v, ";,"); i >= 0 {
				word, v = v[:i], v[i+1:]
			} else {
				word, more = v, false
			}
			p |= privacyOf(strings.TrimSpace(word))
		}
	}
	return p
}

func privacyOf(word string) Privacy {
	for i, name := range privacyNames {
		if strings.EqualFold(word, name) {
			return 1 << i
		}
	}
	return PrivacyOther
}

// Restricts tells whether anything was asked for. We do not weigh one value against another: "none" alone asks for
// nothing, and every other value, an unknown one too, is a wish that the caller stay unknown.
func (p Privacy) Restricts() bool { return p&^PrivacyNone != 0 }

// Values has the set as a Privacy header carries it on. A value that we do not know goes on as "id", which is what we took
// it for, and never as it was written.
func (p Privacy) Values() []string {
	var values []string
	for i, name := range privacyNames {
		if p&(1<<i) != 0 {
			values = append(values, name)
		}
	}
	if p&PrivacyOther != 0 && p&PrivacyID == 0 {
		values = append(values, "id")
	}
	return values
}
