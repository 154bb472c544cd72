package load

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// clientNonce is the same in every answer: one of ours need not surprise anybody.
const clientNonce = "6c6f6164"

// authorization answers the first digest challenge that we know the algorithm of (RFC 7616, RFC 8760).
func authorization(challenges []string, method, uri string, a Agent) (string, error) {
	for _, c := range challenges {
		p := digestParams(c)
		newHash := digestHash(p["algorithm"])
		if newHash == nil {
			continue
		}
		q := digest{newHash, a.User, p["realm"], a.Password, method, uri, p["nonce"], clientNonce, hasAuth(p["qop"])}
		var b strings.Builder
		fmt.Fprintf(&b, `Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s"`, a.User, q.realm, q.nonce, uri, q.response())
		if q.qop {
			fmt.Fprintf(&b, `, qop=auth, nc=00000001, cnonce="%s"`, clientNonce)
		}
		for _, echo := range []struct{ name, format string }{{"algorithm", ", algorithm=%s"}, {"opaque", `, opaque="%s"`}} {
			if v, given := p[echo.name]; given {
				fmt.Fprintf(&b, echo.format, v)
			}
		}
		return b.String(), nil
	}
	return "", errors.New("no challenge with SHA-256 or MD5")
}

func digestHash(algorithm string) func() hash.Hash {
	switch strings.ToUpper(algorithm) {
	case "SHA-256":
		return sha256.New
	case "MD5", "":
		return md5.New
	default:
		return nil
	}
}

func hasAuth(qop string) bool {
	return slices.ContainsFunc(strings.Split(qop, ","), func(word string) bool { return strings.TrimSpace(word) == "auth" })
}

// digest is what a response is computed of.
type digest struct {
	newHash                                           func() hash.Hash
	user, realm, password, method, uri, nonce, cnonce string
	qop                                               bool // qop=auth; without it the old form of RFC 2069
}

// response is the digest of RFC 7616 §3.4.1, for the first use of a nonce.
func (d digest) response() string {
	h := func(parts ...string) string {
		sum := d.newHash()
		sum.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(sum.Sum(nil))
	}
	secret, what := h(d.user, d.realm, d.password), h(d.method, d.uri)
	if !d.qop {
		return h(secret, d.nonce, what)
	}
	return h(secret, d.nonce, "00000001", d.cnonce, "auth", what)
}

// digestParams reads the parameters of a challenge. Quoted values may hold commas.
func digestParams(s string) map[string]string {
	s = strings.TrimPrefix(s, "Digest ")
	out := map[string]string{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		rest = strings.TrimLeft(rest, " ")
		var value string
		if quoted, isQuoted := strings.CutPrefix(rest, `"`); isQuoted {
			value, s, _ = strings.Cut(quoted, `"`)
		} else {
			value, s, _ = strings.Cut(rest, ",")
		}
		out[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
		s = strings.TrimLeft(s, ", ")
	}
	return out
}
