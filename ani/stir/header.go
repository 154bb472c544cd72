package stir

import "strings"

// maxHeader bounds one Identity header, in bytes. A shaken token with its parameters is below 1 KiB.
const maxHeader = 8 << 10

// header is an Identity header taken apart (RFC 8224 §4). Of its parameters the three known ones are kept.
type header struct {
	digest string // the token: three parts, of which compact form leaves the first two empty
	info   string // where the certificate is
	alg    string // "" where not said
	ppt    string // "" where not said
	more   bool   // it has other parameters too
}

// parseHeader reads one header field's value, unfolded. Quotes around alg and ppt are taken, as deployed systems send
// them; a parameter written twice, white space inside the token and any character outside printable ASCII are not.
func parseHeader(s string) (header, Reason) {
	if len(s) > maxHeader {
		return header{}, TooLarge
	}
	if !printable(s) {
		return header{}, Malformed
	}
	digest, rest, found := strings.Cut(s, ";")
	h := header{digest: strings.Trim(digest, " \t")}
	seen := map[string]bool{}
	for found {
		var name, value string
		var ok bool
		if name, value, rest, found, ok = parameter(rest); !ok || seen[name] || !h.set(name, value) {
			return header{}, Malformed
		}
		seen[name] = true
	}
	if !seen["info"] || strings.Count(h.digest, ".") != 2 || strings.ContainsAny(h.digest, " \t") {
		return header{}, Malformed
	}
	return h, OK
}

func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < ' ' && c != '\t') || c >= 0x7f {
			return false
		}
	}
	return true
}

// parameter reads one parameter of s up to the semicolon behind it; more tells whether there was one.
func parameter(s string) (name, value, rest string, more, ok bool) {
	end := strings.IndexAny(s, "=;")
	if end < 0 || s[end] == ';' { // a parameter without value: none that we know
		name, rest, more = strings.Cut(s, ";")
		name = strings.ToLower(strings.Trim(name, " \t"))
		return name, "", rest, more, name != ""
	}
	name = strings.ToLower(strings.Trim(s[:end], " \t"))
	s = strings.TrimLeft(s[end+1:], " \t")
	if closing := closer(s); closing != 0 {
		end := strings.IndexByte(s[1:], closing)
		if end < 0 {
			return "", "", "", false, false
		}
		value, s = s[:end+2], s[end+2:]
		s, rest, more = strings.Cut(s, ";")
		return name, value, rest, more, name != "" && strings.Trim(s, " \t") == ""
	}
	value, rest, more = strings.Cut(s, ";")
	value = strings.Trim(value, " \t")
	return name, value, rest, more, name != "" && value != ""
}

// closer is what ends a value that begins as s does, 0 for one that a semicolon ends.
func closer(s string) byte {
	switch {
	case strings.HasPrefix(s, "<"):
		return '>'
	case strings.HasPrefix(s, `"`):
		return '"'
	default:
		return 0
	}
}

// set keeps a known parameter; an unknown one is allowed and not kept.
func (h *header) set(name, value string) bool {
	switch name {
	case "info":
		inside, ok := strings.CutPrefix(value, "<")
		h.info = strings.TrimSuffix(inside, ">")
		return ok && h.info != ""
	case "alg":
		h.alg = unquoted(value)
		return h.alg != ""
	case "ppt":
		h.ppt = unquoted(value)
		return h.ppt != ""
	default:
		h.more = true
		return true
	}
}

func unquoted(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
