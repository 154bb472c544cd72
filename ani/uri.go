package ani

import (
	"iter"
	"net/url"
	"strings"
)

// minDigits is the shortest number taken for a caller's: shorter ones are extensions or service codes.
const minDigits = 7

// maxHeader bounds what is read of one header field, in bytes. The longest honest one we know is a History-Info of
// about 1500.
const maxHeader = 4096

// An address is one name-addr or addr-spec (RFC 3261 §20.10), in parts.
type address struct {
	name  string // display name as written, quotes and all; a number in it is text, and nobody vouches for it
	tel   bool   // a tel URI, else sip or sips
	user  string // of a sip URI, or the number of a tel URI; percent-decoded
	host  string // of a sip URI, lower case, without port
	query string // headers of the URI, as written (RFC 3261 §19.1.1)
	// Parameters as written: of the number (RFC 3966 §3, RFC 3261 §19.1.6), of the sip URI, of the header field.
	number, uri, field string
}

// each reads the addresses in the values of one header. Of one that is none, or too long to be read, it says false.
func each(values []string) iter.Seq2[address, bool] {
	return func(yield func(address, bool) bool) {
		for _, v := range values {
			if len(v) > maxHeader {
				if !yield(address{}, false) {
					return
				}
				continue
			}
			for more := true; more; {
				var part string
				part, v, more = cutList(v)
				if !yield(parseAddress(part)) {
					return
				}
			}
		}
	}
}

// cutList cuts at the first comma that stands outside quotes and angle brackets.
func cutList(v string) (part, rest string, more bool) {
	var quoted, angled bool
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
			return v[:i], v[i+1:], true
		}
	}
	return v, "", false
}

// parseAddress reads `"Name" <uri>;params`, or a URI without brackets, whose parameters are then taken for its own:
// carriers write them so.
func parseAddress(s string) (a address, ok bool) {
	s = strings.TrimSpace(s)
	name, rest := cutQuoted(s)
	before, rest, bracketed := strings.Cut(rest, "<")
	if !bracketed {
		return parseURI(strings.TrimSpace(before))
	}
	uri, field, _ := strings.Cut(rest, ">")
	a, ok = parseURI(strings.TrimSpace(uri))
	if a.name = name; name == "" {
		a.name = strings.TrimSpace(before)
	}
	a.field = field
	return a, ok
}

// cutQuoted cuts a leading quoted string off, with its quotes. One that is not closed is all there is.
func cutQuoted(s string) (quoted, rest string) {
	if !strings.HasPrefix(s, `"`) {
		return "", s
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[:i+1], s[i+1:]
		}
	}
	return s, ""
}

func parseURI(uri string) (a address, ok bool) {
	scheme, rest, _ := strings.Cut(uri, ":")
	switch {
	case strings.EqualFold(scheme, "tel"):
		rest, a.query, _ = strings.Cut(rest, "?")
		user, params, _ := strings.Cut(rest, ";")
		a.tel, a.user, a.number = true, unescape(user), params
		return a, true
	case strings.EqualFold(scheme, "sip"), strings.EqualFold(scheme, "sips"):
		return parseSIP(rest), true
	default:
		return address{}, false
	}
}

// parseSIP reads user@host of a sip URI.
func parseSIP(rest string) (a address) {
	userinfo, host, found := strings.Cut(rest, "@")
	if !found {
		userinfo, host = "", rest
	}
	userinfo, _, _ = strings.Cut(userinfo, ":") // a password, long deprecated
	user, number, _ := strings.Cut(userinfo, ";")
	host, a.query, _ = strings.Cut(host, "?")
	host, a.uri, _ = strings.Cut(host, ";")
	if !strings.HasSuffix(host, "]") { // an IPv6 address without a port
		if i := strings.LastIndexByte(host, ':'); i >= 0 {
			host = host[:i]
		}
	}
	a.user, a.number, a.host = unescape(user), number, strings.ToLower(strings.TrimRight(strings.TrimSpace(host), "."))
	return a
}

// param returns a parameter by its name, wherever carriers put it: with the number, the URI or the header field.
func (a address) param(name string) (value string, ok bool) {
	for _, list := range [...]string{a.number, a.uri, a.field} {
		if value, ok = lookup(list, ";", name); ok {
			return value, true
		}
	}
	return "", false
}

// lookup finds name in a list of name=value pairs. Values are decoded and without quotes.
func lookup(list, separator, name string) (value string, ok bool) {
	for len(list) > 0 {
		var pair string
		pair, list, _ = strings.Cut(list, separator)
		key, value, _ := strings.Cut(pair, "=")
		if strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.Trim(unescape(value), ` "`), true
		}
	}
	return "", false
}

// settled tells whether a parameter is given and, however often, never as anything but want: doubt is for the caller of it
// to read the strict way.
func settled(list, separator, name, want string) (given, settled bool) {
	settled = true
	for len(list) > 0 {
		var pair string
		pair, list, _ = strings.Cut(list, separator)
		key, value, _ := strings.Cut(pair, "=")
		if strings.EqualFold(strings.TrimSpace(key), name) {
			given, settled = true, settled && strings.EqualFold(strings.Trim(unescape(value), ` "`), want)
		}
	}
	return given, given && settled
}

func unescape(s string) string {
	u, err := url.PathUnescape(s)
	if err != nil {
		return s // a broken escape keeps its "%" and is then no number
	}
	return strings.TrimSpace(u)
}

// digits returns the number of a in E.164 order without "+", or "" when it is none that can be called.
func (a address) digits() string {
	context, ok := lookup(a.number, ";", "phone-context")
	if !ok {
		context, _ = lookup(a.uri, ";", "phone-context") // where it stood before RFC 3966
	}
	return canonical(a.user, context)
}

// isub is the subaddress or extension behind the number (RFC 3966 §5.3, §5.2), empty where there is none.
func (a address) isub() string {
	if value, ok := lookup(a.number, ";", "isub"); ok {
		return value
	}
	value, _ := lookup(a.number, ";", "ext")
	return value
}

// label is the display name without its quotes.
func (a address) label() string {
	inner, quoted := strings.CutPrefix(a.name, `"`)
	if !quoted {
		return a.name
	}
	inner = strings.TrimSpace(strings.TrimSuffix(inner, `"`))
	if !strings.Contains(inner, `\`) {
		return inner
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) {
			i++
		}
		b.WriteByte(inner[i])
	}
	return b.String()
}

// anonymous tells whether a is how RFC 3323 §4.1.1.3 and carriers write "no identity". A number whose display name says
// so counts: only its owner can have wanted that.
func (a address) anonymous() bool {
	if hidden(a.label()) {
		return true
	}
	if a.tel {
		return false
	}
	return a.host == "anonymous.invalid" || strings.HasSuffix(a.host, ".anonymous.invalid") || hidden(a.user)
}

// hiddenNames are what stands in place of a name or a number that its owner keeps back.
var hiddenNames = [...]string{"anonymous", "restricted", "private", "withheld", "blocked", "anonymous caller", "private caller",
	"private number", "private name", "number withheld", "caller id blocked"}

// hidden tells whether a word stands for a caller who does not want to be known.
func hidden(word string) bool {
	for _, name := range hiddenNames {
		if strings.EqualFold(word, name) {
			return true
		}
	}
	return false
}

// unavailable tells whether a is how carriers write "not known".
func (a address) unavailable() bool {
	if a.user == "" || strings.EqualFold(a.user, "unavailable") || strings.EqualFold(a.user, "unknown") {
		return true
	}
	return a.host == "unknown.invalid" || a.host == "unavailable.invalid"
}
