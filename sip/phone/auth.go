package phone

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"callhall/sip/digest"
)

// errRefused says that a server wants a password that we do not have, or does not take ours.
var errRefused = errors.New("the password was refused")

// authorize puts into req the answer to the challenge in res, with the best algorithm that is offered (RFC 8760 §2.4),
// and makes it a new request: number, branch. Within a dialog the password is given to nobody but the realm that had it
// before, so that a far side cannot fish for it by challenging our BYE (CVE-2021-41158).
func (p *Phone) authorize(req *sip.Request, res *sip.Response, inDialog bool) error {
	asks, says := "WWW-Authenticate", "Authorization"
	if res.StatusCode == 407 {
		asks, says = "Proxy-Authenticate", "Proxy-Authorization"
	}
	challenge, algorithm, ok := best(res.GetHeaders(asks))
	if !ok || p.cfg.Password == "" || !p.trusts(challenge.Realm, inDialog) {
		return fmt.Errorf("%d %s: %w", res.StatusCode, res.Reason, errRefused)
	}
	if req.GetHeader(says) != nil && !challenge.Stale {
		return fmt.Errorf("%d %s: %w", res.StatusCode, res.Reason, errRefused)
	}
	c := digest.Credentials{
		Username: p.cfg.User, Realm: challenge.Realm, Nonce: challenge.Nonce, URI: req.Recipient.String(),
		Algorithm: challenge.Algorithm, Opaque: challenge.Opaque,
	}
	if slices.Contains(challenge.QOP, "auth") {
		c.QOP, c.NC, c.CNonce = "auth", "00000001", rand.Text()
	}
	c.Response = algorithm.Response(c, string(req.Method), p.cfg.Password)
	req.RemoveHeader(says)
	req.AppendHeader(sip.NewHeader(says, c.String()))
	req.RemoveHeader("Via")
	req.CSeq().SeqNo++
	return nil
}

// best picks the challenge that we answer.
func best(headers []sip.Header) (digest.Challenge, digest.Algorithm, bool) {
	for _, a := range digest.Algorithms() {
		for _, h := range headers {
			c, ok := digest.ParseChallenge(h.Value())
			named, known := digest.Named(c.Algorithm)
			if ok && known && named.Name == a.Name {
				return c, a, true
			}
		}
	}
	return digest.Challenge{}, digest.Algorithm{}, false
}

// trusts tells whether that realm may have the password, and remembers the first outside a dialog.
func (p *Phone) trusts(realm string, inDialog bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.realm == "" && !inDialog {
		p.realm = realm
	}
	return p.realm == realm && realm != ""
}

// do sends a request other than INVITE, answers a challenge, and returns the final response.
func (p *Phone) do(ctx context.Context, req *sip.Request, inDialog bool) (*sip.Response, error) {
	for range 3 { // asked, with the password, and once more when the nonce was too old
		res, err := p.client.Do(ctx, req, build)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", req.Method, err)
		}
		if res.StatusCode != 401 && res.StatusCode != 407 {
			return res, nil
		}
		if err := p.authorize(req, res, inDialog); err != nil {
			return res, err
		}
	}
	return nil, fmt.Errorf("%s: %w", req.Method, errRefused)
}

// build adds to a request what is missing: Via, Max-Forwards, Content-Length.
var build = sipgo.ClientRequestBuild
