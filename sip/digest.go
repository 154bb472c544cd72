package sip

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"callhall/sip/digest"
)

// Secret is a password. Printed, logged or marshalled it is the word "secret".
type Secret string

// Format keeps a password out of every fmt verb.
func (Secret) Format(w fmt.State, _ rune) { io.WriteString(w, "secret") }

// LogValue keeps a password out of logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("secret") }

// MarshalText keeps a password out of JSON, YAML and the like.
func (Secret) MarshalText() ([]byte, error) { return []byte("secret"), nil }

// A doorkeeper checks passwords by digest (RFC 7616, RFC 8760). It does the same work and gives the same answer for a
// user that does not exist.
type doorkeeper struct {
	realm   string
	offers  []digest.Algorithm // best first
	agents  Agents
	nonces  *nonceBook
	guesses *guesses
	dummy   Secret // the password of nobody
}

// maxUser is the longest user name that is looked up, in bytes.
const maxUser = 128

func newDoorkeeper(realm string, offers []digest.Algorithm, agents Agents, now func() time.Time) *doorkeeper {
	return &doorkeeper{realm: realm, offers: offers, agents: agents, nonces: newNonceBook(now), guesses: newGuesses(now), dummy: Secret(rand.Text())}
}

// check returns the agent that req proves to be from, under the user name that it used, or what to answer.
func (d *doorkeeper) check(req *sip.Request, src netip.Addr) (agent Agent, user string, r *refusal) {
	ans, ok := d.answerFor(req)
	if !ok {
		return Agent{}, "", d.challenge(src, false)
	}
	if len(ans.Username) > maxUser {
		return Agent{}, "", d.challenge(src, false)
	}
	if wait := d.guesses.wait(src, ans.Username); wait > 0 {
		return Agent{}, "", tooMany(wait)
	}
	alg, known := d.offered(ans.Algorithm)
	count, err := strconv.ParseUint(ans.NC, 16, 32)
	if !known || err != nil || len(ans.NC) != 8 || ans.CNonce == "" || !strings.EqualFold(ans.QOP, "auth") || ans.UserHash {
		return Agent{}, "", d.challenge(src, false) // nothing that we offered
	}
	if d.nonces.judge(ans.Nonce, src) != nonceFresh {
		return Agent{}, "", d.challenge(src, true)
	}
	agent, exists := d.agents.Credentials(ans.Username)
	if exists = exists && agent.Password != ""; !exists { // nobody enters with an empty password
		agent.Password = d.dummy
	}
	want := alg.Response(ans, string(req.Method), string(agent.Password))
	right := subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(ans.Response))) == 1
	switch {
	case !right || !exists || !sameTarget(ans.URI, &req.Recipient):
		d.guesses.wrong(src, ans.Username)
		return Agent{}, "", d.challenge(src, false)
	case !d.nonces.spend(ans.Nonce, uint32(count)):
		return Agent{}, "", d.challenge(src, true) // seen before: a replay, or a phone that lost count
	default:
		d.guesses.right(src, ans.Username)
		return agent, ans.Username, nil
	}
}

// answerFor returns the digest.Credentials that req has for our realm (RFC 3261 §22.1 allows several).
func (d *doorkeeper) answerFor(req *sip.Request) (digest.Credentials, bool) {
	for _, h := range req.GetHeaders("Authorization") {
		if ans, ok := digest.ParseCredentials(h.Value()); ok && ans.Realm == d.realm {
			return ans, true
		}
	}
	return digest.Credentials{}, false
}

// offered returns the algorithm of that name, if it is one that we offer.
func (d *doorkeeper) offered(name string) (digest.Algorithm, bool) {
	alg, known := digest.Named(name)
	return alg, known && slices.ContainsFunc(d.offers, func(a digest.Algorithm) bool { return a.Name == alg.Name })
}

// algorithms turns names into what they stand for. No names stand for all that we know, best first. Errors: a name that
// we do not know.
func algorithms(names []string) ([]digest.Algorithm, error) {
	if len(names) == 0 {
		return digest.Algorithms(), nil
	}
	var all []digest.Algorithm
	for _, name := range names {
		alg, known := digest.Named(name)
		if !known {
			return nil, fmt.Errorf("no digest algorithm %q; SHA-256 and MD5 are", name)
		}
		all = append(all, alg)
	}
	return all, nil
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
	for _, a := range d.offers {
		c := digest.Challenge{Realm: d.realm, Nonce: nonce, Algorithm: a.Name, QOP: []string{"auth"}, Stale: stale}
		r.headers = append(r.headers, sip.NewHeader("WWW-Authenticate", c.String()))
	}
	return r
}

func tooMany(wait time.Duration) *refusal {
	seconds := int((wait + time.Second - 1) / time.Second)
	return &refusal{code: 403, reason: "Forbidden", headers: []sip.Header{sip.NewHeader("Retry-After", strconv.Itoa(seconds))}}
}
