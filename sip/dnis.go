package sip

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// errDialled says that a Request-URI is no number at all: 400, where a number that is nobody's is 404.
var errDialled = errors.New("the dialled number is malformed")

// maxDialled is the longest number or name that may be dialled, in bytes.
const maxDialled = 128

// parseDialled reads the number dialled (DNIS) from a Request-URI in any form that carriers use:
//
//	sip:311@host                        311
//	sip:+12125550100@host;user=phone    +12125550100
//	tel:+1-212-555-0100                 +12125550100
//	tel:311;phone-context=+1            311;phone-context=+1
//	sip:311;phone-context=+1@host       311;phone-context=+1
//
// Visual separators go (RFC 3966 §5.1.1) and so do parameters other than phone-context, which makes a local number
// unique (§5.1.5). A SIP user that is no number is returned as it stands, for it may be an entry's name. The result
// read again is the same. Errors: errDialled.
func parseDialled(uri *sip.Uri) (string, error) {
	text, tel := uri.User, false
	if uri.Scheme == "tel" {
		text, tel = uri.Raw(), true
	}
	if len(text) > 2*maxDialled {
		return "", fmt.Errorf("%w: too long", errDialled)
	}
	subscriber, params, _ := strings.Cut(text, ";")
	subscriber, err := unescape(subscriber)
	if err != nil {
		return "", err
	}
	number, isNumber := plainNumber(subscriber, tel)
	switch {
	case tel && !isNumber:
		return "", fmt.Errorf("%w: not a telephone number", errDialled)
	case !isNumber:
		return dialledName(subscriber)
	case strings.HasPrefix(number, "+"):
		return number, nil
	}
	area, err := phoneContext(params)
	if err != nil {
		return "", err
	}
	if area == "" {
		if tel {
			return "", fmt.Errorf("%w: a local number without phone-context", errDialled)
		}
		return number, nil
	}
	return number + ";phone-context=" + area, nil
}

// dialledName is a SIP user that is no number.
func dialledName(user string) (string, error) {
	if len(user) > maxDialled || strings.ContainsAny(user, ";%@ \t") {
		return "", fmt.Errorf("%w: not a name either", errDialled)
	}
	return user, nil
}

// unescape undoes %-escapes (RFC 3261 §25.1). A control character has no place in a number.
func unescape(s string) (string, error) {
	plain, err := url.PathUnescape(s)
	if err != nil || hasControl(plain) || strings.Contains(plain, "\t") {
		return "", fmt.Errorf("%w: bad escape", errDialled)
	}
	return plain, nil
}

// plainNumber is s without visual separators, if s is a number (RFC 3966 §3): "+" and digits, or locally digits, "*"
// and "#". The hexadecimal digits of a tel URI are numbers only there: as a SIP user "dad" is somebody's name.
func plainNumber(s string, tel bool) (number string, ok bool) {
	var b strings.Builder
	global := strings.HasPrefix(s, "+")
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9', c == '+' && i == 0, (c == '*' || c == '#') && !global:
			b.WriteByte(c)
		case tel && !global && (c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'):
			b.WriteByte(c &^ 0x20) // upper case: they compare without regard to it (RFC 3966 §4)
		case strings.IndexByte("-.()", c) >= 0:
		default:
			return "", false
		}
	}
	number = b.String()
	return number, strings.TrimPrefix(number, "+") != "" && len(number) <= maxDialled
}

// phoneContext is the area in which a local number holds: the digits of a global prefix, or a domain in lower case
// (RFC 3966 §5.1.5). It is empty where there is none.
func phoneContext(params string) (area string, err error) {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(name, "phone-context") {
			continue
		}
		if area != "" {
			return "", fmt.Errorf("%w: phone-context given twice", errDialled)
		}
		if area, err = unescape(value); err != nil {
			return "", err
		}
		if number, ok := plainNumber(area, false); ok && strings.HasPrefix(number, "+") {
			area = number
		} else if area = strings.ToLower(strings.TrimSuffix(area, ".")); !isDomain(area) {
			return "", fmt.Errorf("%w: phone-context is neither a prefix nor a domain", errDialled)
		}
	}
	return area, nil
}

// isDomain tells whether s could be a domain name: labels of letters, digits and hyphens, the last one beginning with
// a letter.
func isDomain(s string) bool {
	if len(s) > maxDialled {
		return false
	}
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
				return false
			}
		}
	}
	first := labels[len(labels)-1][0]
	return first >= 'a' && first <= 'z'
}
