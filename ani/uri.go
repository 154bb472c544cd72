package ani

import (
	"net/url"
	"strings"
)

// minDigits is the shortest number taken for a caller's: shorter ones are extensions or service codes.
const minDigits = 7

// maxHeader bounds what is read of one header value, in bytes. The longest honest one we know is under 300.
const maxHeader = 1024

// An address is what matters of one name-addr or addr-spec (RFC 3261 §20.10). Display names are left behind: a number
// written in one is text, and nobody vouches for it.
type address struct {
	tel    bool
	user   string            // of a sip URI, or the number of a tel URI; percent-decoded
	host   string            // of a sip URI, lower case
	params map[string]string // of a tel URI or of a sip URI's user part (RFC 3966 §3, RFC 3261 §19.1.6); names in lower case
}

// addresses reads every address in the values of one header.
func addresses(values []string) []address {
	var all []address
	for _, v := range values {
		if len(v) > maxHeader {
			continue
		}
		for _, part := range splitList(v) {
			if a, ok := parseURI(innerURI(part)); ok {
				all = append(all, a)
			}
		}
	}
	return all
}

// splitList splits at commas that stand outside quotes and angle brackets.
func splitList(v string) []string {
	var parts []string
	var quoted, angled bool
	start := 0
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case quoted && c == '\\':
			i++
		case c == '"' && !angled:
			quoted = !quoted
		case quoted:
		case c == '<':
			angled = true
		case c == '>':
			angled = false
		case c == ',' && !angled:
			parts = append(parts, v[start:i])
			start = i + 1
		}
	}
	return append(parts, v[start:])
}

// innerURI is the URI of `"Name" <uri>;params`, or the whole where there are no brackets.
func innerURI(s string) string {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, `"`) {
		s = afterQuoted(s)
	}
	if _, rest, found := strings.Cut(s, "<"); found {
		uri, _, _ := strings.Cut(rest, ">")
		return strings.TrimSpace(uri)
	}
	return s
}

// afterQuoted drops a leading quoted string.
func afterQuoted(s string) string {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[i+1:]
		}
	}
	return ""
}

func parseURI(uri string) (address, bool) {
	scheme, rest, found := strings.Cut(uri, ":")
	if !found {
		return address{}, false
	}
	switch strings.ToLower(scheme) {
	case "tel":
		user, params := splitParams(rest)
		return address{tel: true, user: user, params: params}, true
	case "sip", "sips":
		return parseSIP(rest)
	default:
		return address{}, false
	}
}

// parseSIP reads user@host of a sip URI. Parameters after the host do not matter here.
func parseSIP(rest string) (address, bool) {
	userinfo, host, found := strings.Cut(rest, "@")
	if !found {
		userinfo, host = "", rest
	}
	if i := strings.IndexAny(host, ";?"); i >= 0 {
		host = host[:i]
	}
	user, params := splitParams(userinfo)
	user, _, _ = strings.Cut(user, ":") // a password, long deprecated
	return address{user: user, host: strings.ToLower(host), params: params}, true
}

func splitParams(s string) (string, map[string]string) {
	head, rest, found := strings.Cut(s, ";")
	params := map[string]string{}
	for found {
		var p string
		p, rest, found = strings.Cut(rest, ";")
		name, value, _ := strings.Cut(p, "=")
		params[strings.ToLower(strings.TrimSpace(name))] = strings.Trim(unescape(value), ` "`)
	}
	return unescape(head), params
}

func unescape(s string) string {
	u, err := url.PathUnescape(s)
	if err != nil {
		return s // a broken escape keeps its "%" and is then no number
	}
	return strings.TrimSpace(u)
}

// number returns the digits of a in E.164 order without "+", or "" when it is no number that can be called.
func (a address) number() string {
	digits, global, ok := strip(a.user)
	if !ok {
		return ""
	}
	if !global {
		digits = complete(digits, a.params["phone-context"])
	}
	if len(digits) < minDigits || len(digits) > maxDigits || digits[0] == '0' {
		return ""
	}
	if digits[0] == '1' && !northAmerican(digits) {
		return ""
	}
	return digits
}

// strip drops the visual separators of RFC 3966 §5.1.1, and spaces, which some carriers send.
func strip(s string) (digits string, global, ok bool) {
	s, global = strings.CutPrefix(s, "+")
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		case strings.ContainsRune("-.() ", r):
		default:
			return "", false, false
		}
	}
	return b.String(), global, b.Len() > 0
}

// complete makes a local number global: by its phone-context when that is a country code or prefix (RFC 3966 §5.1.5),
// otherwise as a national number of the North American plan, with or without its leading 1.
func complete(digits, context string) string {
	if prefix, global, ok := strip(context); ok && global {
		if prefix == "1" && len(digits) == 11 {
			return digits
		}
		return prefix + digits
	}
	if len(digits) == 10 {
		return "1" + digits
	}
	if len(digits) == 11 && digits[0] == '1' {
		return digits
	}
	return ""
}

// northAmerican tells whether digits are 1, an area code and an exchange code of the North American plan, neither of
// which begins with 0 or 1, and four more.
func northAmerican(digits string) bool {
	return len(digits) == 11 && digits[0] == '1' && digits[1] >= '2' && digits[4] >= '2'
}

// anonymous tells whether a is how RFC 3323 §4.1.1.3 and carriers write "no identity".
func (a address) anonymous() bool {
	if a.tel {
		return false
	}
	if a.host == "anonymous.invalid" || strings.HasSuffix(a.host, ".anonymous.invalid") {
		return true
	}
	switch strings.ToLower(a.user) {
	case "anonymous", "restricted", "private", "withheld":
		return true
	default:
		return false
	}
}

// unavailable tells whether a is how carriers write "not known".
func (a address) unavailable() bool {
	switch strings.ToLower(a.user) {
	case "", "unavailable", "unknown":
		return true
	default:
		return strings.HasPrefix(a.host, "unknown.invalid") || strings.HasPrefix(a.host, "unavailable.invalid")
	}
}
