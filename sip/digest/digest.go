// Package digest is SIP's password scheme, for both sides: reading and writing the header fields and computing the
// answer (RFC 7616, RFC 8760). What nonces are good for and who may try how often is the server's business.
package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
)

// An Algorithm is one hash that passwords are proved with.
type Algorithm struct {
	Name string // as it stands in header fields
	hash func() hash.Hash
}

// Algorithms returns what there is, best first (RFC 8760 §2.3). MD5 is for those that know nothing else.
func Algorithms() []Algorithm { return []Algorithm{{"SHA-256", sha256.New}, {"MD5", md5.New}} }

// Named finds an algorithm by its name in any case; no name means MD5 (RFC 7616 §3.3).
func Named(name string) (Algorithm, bool) {
	if name == "" {
		name = "MD5"
	}
	for _, a := range Algorithms() {
		if strings.EqualFold(a.Name, name) {
			return a, true
		}
	}
	return Algorithm{}, false
}

// sum is H() of RFC 7616 §3.3: the hash of s in lower-case hexadecimal.
func (a Algorithm) sum(s string) string {
	h := a.hash()
	io.WriteString(h, s)
	return hex.EncodeToString(h.Sum(nil))
}

// Response is the right answer for that password to a request of that method (RFC 7616 §3.4.1); without qop, the older
// one of RFC 2617 §3.2.2.1.
func (a Algorithm) Response(c Credentials, method, password string) string {
	ha1 := a.sum(c.Username + ":" + c.Realm + ":" + password)
	ha2 := a.sum(method + ":" + c.URI)
	if c.QOP == "" {
		return a.sum(ha1 + ":" + c.Nonce + ":" + ha2)
	}
	return a.sum(strings.Join([]string{ha1, c.Nonce, c.NC, c.CNonce, c.QOP, ha2}, ":"))
}

// Credentials are what a phone says to a challenge: the parameters of an Authorization header field (RFC 7616 §3.4).
type Credentials struct {
	Username, Realm, Nonce, URI, Response, Algorithm, CNonce, QOP, NC, Opaque string

	UserHash bool
}

// ParseCredentials reads the value of an Authorization header field. It reports false for another scheme or text that
// is none.
func ParseCredentials(value string) (Credentials, bool) {
	p, ok := params(value)
	if !ok {
		return Credentials{}, false
	}
	c := Credentials{
		Username: p["username"], Realm: p["realm"], Nonce: p["nonce"], URI: p["uri"], Response: p["response"],
		Algorithm: p["algorithm"], CNonce: p["cnonce"], QOP: p["qop"], NC: p["nc"], Opaque: p["opaque"],
		UserHash: strings.EqualFold(p["userhash"], "true"),
	}
	return c, c.Nonce != "" && c.Response != ""
}

// String is the value of an Authorization header field.
func (c Credentials) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, `Digest username=%s, realm=%s, nonce=%s, uri=%s, response=%s`,
		quote(c.Username), quote(c.Realm), quote(c.Nonce), quote(c.URI), quote(c.Response))
	if c.Algorithm != "" {
		b.WriteString(", algorithm=" + c.Algorithm)
	}
	if c.QOP != "" {
		fmt.Fprintf(&b, ", cnonce=%s, qop=%s, nc=%s", quote(c.CNonce), c.QOP, c.NC)
	}
	if c.Opaque != "" {
		b.WriteString(", opaque=" + quote(c.Opaque))
	}
	return b.String()
}

// A Challenge is what a server asks: the parameters of a WWW-Authenticate or Proxy-Authenticate header field
// (RFC 7616 §3.3).
type Challenge struct {
	Realm, Nonce, Algorithm, Opaque string

	QOP   []string
	Stale bool // the password was right and the nonce too old
}

// ParseChallenge reads the value of a WWW-Authenticate header field, one challenge to a field.
func ParseChallenge(value string) (Challenge, bool) {
	p, ok := params(value)
	if !ok {
		return Challenge{}, false
	}
	c := Challenge{Realm: p["realm"], Nonce: p["nonce"], Algorithm: p["algorithm"], Opaque: p["opaque"], Stale: strings.EqualFold(p["stale"], "true")}
	for q := range strings.SplitSeq(p["qop"], ",") {
		if q = strings.TrimSpace(q); q != "" {
			c.QOP = append(c.QOP, q)
		}
	}
	return c, c.Nonce != ""
}

// String is the value of a WWW-Authenticate header field.
func (c Challenge) String() string {
	s := fmt.Sprintf("Digest realm=%s, nonce=%s, algorithm=%s, qop=%s", quote(c.Realm), quote(c.Nonce), c.Algorithm, quote(strings.Join(c.QOP, ",")))
	if c.Opaque != "" {
		s += ", opaque=" + quote(c.Opaque)
	}
	if c.Stale {
		s += ", stale=true"
	}
	return s
}

// params reads "Digest" and a list of name=value. It reports false for another scheme, text that is no such list, or a
// name that comes twice.
func params(value string) (map[string]string, bool) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	if !strings.EqualFold(scheme, "Digest") {
		return nil, false
	}
	found := map[string]string{}
	for rest = strings.TrimSpace(rest); rest != ""; {
		name, text, after, ok := next(rest)
		if _, twice := found[name]; !ok || twice {
			return nil, false
		}
		found[name], rest = text, after
	}
	return found, true
}

// next takes one name=value, the value a token or a quoted string, off a comma separated list.
func next(s string) (name, value, rest string, ok bool) {
	name, s, ok = strings.Cut(s, "=")
	name, s = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(s)
	if !ok || name == "" || strings.ContainsAny(name, "\" ,;\t") {
		return "", "", "", false
	}
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ",")
		return name, strings.TrimSpace(value), strings.TrimSpace(rest), true
	}
	value, rest, ok = unquote(s[1:])
	rest = strings.TrimSpace(rest)
	if !ok || rest != "" && rest[0] != ',' {
		return "", "", "", false
	}
	return name, value, strings.TrimSpace(strings.TrimPrefix(rest, ",")), true
}

// unquote reads up to the closing quote, undoing quoted pairs (RFC 3261 §25.1).
func unquote(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
