package stir

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"callhall/call"
)

// Verifier checks Identity headers. It is safe for use by many calls at once.
type Verifier struct {
	conf    Config
	certs   *repository
	lists   *revocations // nil: nothing is checked for revocation
	metrics *metrics
}

// New checks the configuration and reads the files it names. Lists at URLs are fetched by Run; until then certificates
// count as RevocationUnknown. Close, or Run's return, ends what New makes.
func New(conf Config) (*Verifier, error) {
	if len(conf.Roots) == 0 {
		return nil, errors.New("stir: no roots: nobody could be believed")
	}
	conf = conf.withDefaults()
	f := newFetcher(conf.Fetch)
	lists, err := newRevocations(conf.CRL, f, conf.Fetch.Ports, conf.Now)
	if err != nil {
		return nil, fmt.Errorf("stir: %w", err)
	}
	roots := x509.NewCertPool()
	for _, c := range conf.Roots {
		roots.AddCert(c)
	}
	v := &Verifier{conf: conf, lists: lists, metrics: newMetrics(lists)}
	v.certs = newRepository(conf.Fetch, f, roots, conf.Now, v.metrics.fetched)
	return v, v.metrics.register(conf.Registry)
}

// Run keeps the revocation lists fresh until ctx ends, and then waits for the fetches under way, a second or so.
func (v *Verifier) Run(ctx context.Context) {
	defer v.Close()
	for wait := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = v.conf.CRL.Every
		if err := v.Refresh(ctx); err != nil && ctx.Err() == nil {
			wait = min(retry, wait)
			v.conf.Log.Warn("revocation lists not refreshed", "err", err)
		}
	}
}

// Refresh reads the revocation lists now. Those that cannot be had stay as they were; the error says which and why.
func (v *Verifier) Refresh(ctx context.Context) error {
	if v.lists == nil {
		return nil
	}
	return v.lists.refresh(ctx)
}

// Close waits for the fetches under way and begins no more. Certificates at hand are still used.
func (v *Verifier) Close() { v.certs.close() }

// Claim is what one call says of its caller.
type Claim struct {
	// Identity are the values of the call's Identity headers, unfolded, in order.
	Identity []string
	// Date is the value of its Date header, "" for none.
	Date string
	// At is when the call came.
	At time.Time
	// Caller tells whether tn, in the canonical form of RFC 8224 §8.3 ("12125550142"), is the caller that the call
	// asserts. Whoever keeps the number compares; it is not handed over. nil counts as nobody.
	Caller func(tn string) bool
	// Lend runs use once with the caller's number in canonical form, or not at all where there is none, and returns
	// when use has. It is called for compact form alone, in which the number is not in the token; nil leaves that
	// form unsupported. use keeps nothing of the number.
	Lend func(use func(tn string))
	// Dialled are the numbers of ours that this call may have dialled, in any spelling ("+12125550199", "311"), and
	// URIs such as "urn:service:sos".
	Dialled []string
}

// Format prints nothing of a claim, under any verb: its headers hold the caller's number.
func (Claim) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, "redacted") }

// LogValue logs nothing of a claim.
func (Claim) LogValue() slog.Value { return slog.StringValue("redacted") }

// MarshalJSON writes nothing of a claim.
func (Claim) MarshalJSON() ([]byte, error) { return []byte(`"redacted"`), nil }

// Result is what came of it. It holds no number, and never refuses a call.
type Result struct {
	Verstat  call.Verstat
	Attest   call.Attestation // only of a shaken token that has been verified
	OrigID   string           // the same token's origid, where it is a UUID and no number in disguise
	Why      Reason
	Diverted bool // the call was sent on to us, and each who did so has signed for it (RFC 8946)
	Dialled  int  // which of Claim.Dialled it was signed for
	Onward   Onward
}

// Onward is the one header that may go on with the call, to somebody else. It has been verified, names nobody but the
// caller and numbers of Claim.Dialled, and says nothing that we could not read. The others of a call may name those by
// whom it was sent on, or the caller's name, or be anybody's invention.
type Onward struct {
	Header int       // of Claim.Identity, counted from 1; 0: none may
	At     time.Time // when it was signed
}

// maxHeaders bounds the Identity headers of one call: a token, and one for each time that it was sent on.
const maxHeaders = 8

// Verify checks a call's Identity headers (RFC 8224 §6.2, ATIS-1000074 §5.3). With several, one token that names the
// caller and verifies is enough, with the div tokens it needs; the strongest attestation counts, and of failures the one
// that came furthest is the reason. It fetches certificates that are not at hand and waits Config.Wait for them at most.
func (v *Verifier) Verify(ctx context.Context, c Claim) Result {
	ctx, cancel := context.WithTimeout(ctx, v.conf.Wait)
	defer cancel()
	way, why := v.believe(ctx, c)
	v.metrics.verified(why)
	res := Result{Verstat: why.Verstat(), Why: why}
	if why == OK {
		res.Attest, res.OrigID, res.Diverted = way[0].attest, way[0].origID, len(way) > 1
		res.Dialled = max(0, slices.IndexFunc(c.Dialled, func(d string) bool { return slices.Contains(way[len(way)-1].dest, address(d)) }))
		res.Onward = way.onward(addresses(c.Dialled))
	}
	return res
}

// believe finds the first route whose every token verifies.
func (v *Verifier) believe(ctx context.Context, c Claim) (route, Reason) {
	if len(c.Identity) > maxHeaders {
		return nil, TooLarge
	}
	dialled := addresses(c.Dialled)
	tokens, worst := v.read(c)
	ways := routes(tokens, dialled)
	if len(ways) == 0 && len(tokens) > 0 {
		worst = max(worst, missing(tokens))
	}
	for _, way := range ways {
		why := v.prove(ctx, c, way, dialled)
		if why == OK {
			return way, OK
		}
		worst = max(worst, why)
	}
	return nil, worst
}

// missing says why tokens that can be read make no route: none names the caller, or none leads to us.
func missing(tokens []*token) Reason {
	for _, t := range tokens {
		if t.kind != kindDiv {
			return DestMismatch
		}
	}
	return Unsupported
}

// read takes each header apart and checks what needs no certificate, so that a token that cannot be this call's makes us
// fetch nothing.
func (v *Verifier) read(c Claim) (tokens []*token, worst Reason) {
	worst = None
	for i, s := range c.Identity {
		h, why := parseHeader(s)
		var t *token
		if why == OK {
			t, why = parseToken(h)
		}
		if why == OK {
			why = v.fits(t, c)
		}
		if why != OK {
			worst = max(worst, why)
			continue
		}
		t.place = i + 1
		tokens = append(tokens, t)
	}
	return tokens, worst
}

// fits checks time and caller. In compact form both are the call's own: the time is that of its Date header (RFC 8224 §6.2).
func (v *Verifier) fits(t *token, c Claim) Reason {
	date, err := http.ParseTime(c.Date)
	if t.compact() {
		if err != nil || c.Lend == nil {
			return Unsupported
		}
		t.iat = date
	}
	switch {
	case !v.fresh(t.iat, c.At), err == nil && !v.fresh(date, c.At):
		return Stale
	case t.compact():
		return OK
	case c.Caller == nil || !plainNumber(t.orig) || !c.Caller(t.orig):
		return OrigMismatch
	}
	return OK
}

func (v *Verifier) fresh(signed, at time.Time) bool {
	return !signed.Before(at.Add(-v.conf.MaxAge).Truncate(time.Second)) && !signed.After(at.Add(v.conf.Ahead))
}

// prove checks certificate, authority and signature of each token on the way.
func (v *Verifier) prove(ctx context.Context, c Claim, way route, dialled []string) Reason {
	for _, t := range way {
		b, why := v.certs.get(ctx, t.url)
		if why == OK && t.compact() {
			why = v.proveCompact(b, t, c, dialled)
		} else if why == OK {
			why = v.proveFull(b, t, c.At)
		}
		if why != OK {
			return why
		}
	}
	return OK
}

func (v *Verifier) proveFull(b *bundle, t *token, at time.Time) Reason {
	if why := b.check(at, t.holder(), v.lists); why != OK {
		return why
	}
	if !verify(b.key, sha256.Sum256([]byte(t.signed)), t.signature) {
		return BadSignature
	}
	return OK
}

// proveCompact rebuilds the token from the call (RFC 8224 §4.1, RFC 8225 §7): its caller, lent for as long as that takes, and
// each of the numbers it may have dialled.
func (v *Verifier) proveCompact(b *bundle, t *token, c Claim, dialled []string) Reason {
	why := OrigMismatch // nobody lent a number
	c.Lend(func(tn string) {
		if !plainNumber(tn) {
			return
		}
		if why = b.check(c.At, tn, v.lists); why != OK {
			return
		}
		why = BadSignature
		for _, dest := range dialled {
			signed := rebuild(t, tn, dest)
			if verify(b.key, sha256.Sum256(signed), t.signature) {
				why, t.dest = OK, []string{dest}
			}
			clear(signed)
		}
	})
	return why
}

// rebuild writes the base token in its one canonical form (RFC 8225 §9): members in order, no white space.
func rebuild(t *token, orig, dest string) []byte {
	head := `{"alg":"ES256","typ":"passport","x5u":` + quoted(t.url) + `}`
	claims := `{"dest":` + destination([]string{dest}) + `,"iat":` + strconv.FormatInt(t.iat.Unix(), 10) +
		`,"orig":{"tn":` + quoted(orig) + `}}`
	return encode(head, claims)
}
