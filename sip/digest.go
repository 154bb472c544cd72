package sip

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Secret is a password. Printed, logged or marshalled it is the word "secret".
type Secret string

// Format keeps a password out of every fmt verb.
func (Secret) Format(w fmt.State, _ rune) { io.WriteString(w, "secret") }

// LogValue keeps a password out of logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("secret") }

// MarshalText keeps a password out of JSON, YAML and the like.
func (Secret) MarshalText() ([]byte, error) { return []byte("secret"), nil }

// algorithms are what we offer, best first (RFC 8760 §2.3). MD5 is for phones that know nothing else.
var algorithms = []algorithm{{"SHA-256", sha256.New}, {"MD5", md5.New}}

type algorithm struct {
	name string
	hash func() hash.Hash
}

func algorithmNamed(name string) (algorithm, bool) {
	if name == "" {
		name = "MD5" // RFC 7616 §3.3: what is meant when nothing is said
	}
	for _, a := range algorithms {
		if strings.EqualFold(a.name, name) {
			return a, true
		}
	}
	return algorithm{}, false
}

// sum is H() of RFC 7616 §3.3: the hash of s in lower-case hexadecimal.
func (a algorithm) sum(s string) string {
	h := a.hash()
	io.WriteString(h, s)
	return hex.EncodeToString(h.Sum(nil))
}

// credentials are what a phone says to a challenge: the parameters of an Authorization header field (RFC 7616 §3.4).
type credentials struct {
	username, realm, nonce, uri, response, algorithm, cnonce, qop, nc string
	userhash                                                          bool
}

// response is the right answer for that password to a request of that method (RFC 7616 §3.4.1).
func (a algorithm) response(ans credentials, method, password string) string {
	ha1 := a.sum(ans.username + ":" + ans.realm + ":" + password)
	ha2 := a.sum(method + ":" + ans.uri)
	return a.sum(strings.Join([]string{ha1, ans.nonce, ans.nc, ans.cnonce, ans.qop, ha2}, ":"))
}

// readAnswer reads a Digest Authorization value. It reports false for another scheme or text that is none.
func readAnswer(value string) (ans credentials, ok bool) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	if !strings.EqualFold(scheme, "Digest") {
		return credentials{}, false
	}
	fields := map[string]*string{
		"username": &ans.username, "realm": &ans.realm, "nonce": &ans.nonce, "uri": &ans.uri, "response": &ans.response,
		"algorithm": &ans.algorithm, "cnonce": &ans.cnonce, "qop": &ans.qop, "nc": &ans.nc,
	}
	seen := map[string]bool{}
	for rest = strings.TrimSpace(rest); rest != ""; {
		var name, text string
		if name, text, rest, ok = nextParam(rest); !ok || seen[name] {
			return credentials{}, false
		}
		seen[name] = true
		if field := fields[name]; field != nil {
			*field = text
		}
		ans.userhash = ans.userhash || name == "userhash" && strings.EqualFold(text, "true")
	}
	return ans, ans.nonce != "" && ans.response != ""
}

// nextParam takes one name=value, the value a token or a quoted string, off a comma separated list.
func nextParam(s string) (name, value, rest string, ok bool) {
	name, s, ok = strings.Cut(s, "=")
	name, s = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(s)
	if !ok || !isToken(name) {
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

// A doorkeeper checks passwords by digest (RFC 7616, RFC 8760). It does the same work and gives the same answer for a
// user that does not exist.
type doorkeeper struct {
	realm   string
	agents  Agents
	nonces  *nonceBook
	guesses *guesses
	dummy   Secret // the password of nobody
}

// maxUser is the longest user name that is looked up, in bytes.
const maxUser = 128

func newDoorkeeper(realm string, agents Agents, now func() time.Time) *doorkeeper {
	return &doorkeeper{realm: realm, agents: agents, nonces: newNonceBook(now), guesses: newGuesses(now), dummy: Secret(rand.Text())}
}

// check returns the agent that req proves to be from, under the user name that it used, or what to answer.
func (d *doorkeeper) check(req *sip.Request, src netip.Addr) (agent Agent, user string, r *refusal) {
	ans, ok := d.answerFor(req)
	if !ok {
		return Agent{}, "", d.challenge(src, false)
	}
	if len(ans.username) > maxUser {
		return Agent{}, "", d.challenge(src, false)
	}
	if wait := d.guesses.wait(src, ans.username); wait > 0 {
		return Agent{}, "", tooMany(wait)
	}
	alg, known := algorithmNamed(ans.algorithm)
	count, err := strconv.ParseUint(ans.nc, 16, 32)
	if !known || err != nil || len(ans.nc) != 8 || ans.cnonce == "" || !strings.EqualFold(ans.qop, "auth") || ans.userhash {
		return Agent{}, "", d.challenge(src, false) // nothing that we offered
	}
	if d.nonces.judge(ans.nonce, src) != nonceFresh {
		return Agent{}, "", d.challenge(src, true)
	}
	agent, exists := d.agents.Credentials(ans.username)
	if !exists {
		agent.Password = d.dummy
	}
	want := alg.response(ans, string(req.Method), string(agent.Password))
	right := subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(ans.response))) == 1
	switch {
	case !right || !exists || !sameTarget(ans.uri, &req.Recipient):
		d.guesses.wrong(src, ans.username)
		return Agent{}, "", d.challenge(src, false)
	case !d.nonces.spend(ans.nonce, uint32(count)):
		return Agent{}, "", d.challenge(src, true) // seen before: a replay, or a phone that lost count
	default:
		d.guesses.right(src, ans.username)
		return agent, ans.username, nil
	}
}

// answerFor returns the credentials that req has for our realm (RFC 3261 §22.1 allows several).
func (d *doorkeeper) answerFor(req *sip.Request) (credentials, bool) {
	for _, h := range req.GetHeaders("Authorization") {
		if ans, ok := readAnswer(h.Value()); ok && ans.realm == d.realm {
			return ans, true
		}
	}
	return credentials{}, false
}

// sameTarget tells whether the digest was made for this Request-URI (RFC 7616 §3.4.6), so that it cannot be moved to
// another. Ports and parameters are left aside, as phones differ in writing them.
func sameTarget(digestURI string, target *sip.Uri) bool {
	var uri sip.Uri
	return sip.ParseUri(digestURI, &uri) == nil && uri.User == target.User && strings.EqualFold(uri.Host, target.Host)
}

// challenge is 401 with one challenge for each algorithm, best first (RFC 8760 §2.4).
func (d *doorkeeper) challenge(src netip.Addr, stale bool) *refusal {
	r := &refusal{code: 401, reason: "Unauthorized"}
	nonce := d.nonces.issue(src)
	for _, a := range algorithms {
		value := fmt.Sprintf(`Digest realm="%s", nonce="%s", algorithm=%s, qop="auth"`, d.realm, nonce, a.name)
		if stale {
			value += ", stale=true"
		}
		r.headers = append(r.headers, sip.NewHeader("WWW-Authenticate", value))
	}
	return r
}

func tooMany(wait time.Duration) *refusal {
	seconds := int((wait + time.Second - 1) / time.Second)
	return &refusal{code: 403, reason: "Forbidden", headers: []sip.Header{sip.NewHeader("Retry-After", strconv.Itoa(seconds))}}
}
