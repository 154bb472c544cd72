package main

import (
	"context"
	"crypto/x509"
	"fmt"

	"callhall/ani"
	"callhall/ani/stir"
	"callhall/call"
)

// What stands here is the signatures on callers' numbers, in the words of the vault.

// openVerifier opens what checks the signatures on callers' numbers; nil where no roots are configured.
func (a *app) openVerifier() (ani.Verifier, error) {
	cfg, err := a.cfg.STIR.verifier()
	if err != nil || cfg.Roots == nil {
		return nil, err
	}
	cfg.Now, cfg.Log, cfg.Registry = a.clock.Now, a.log, a.registry
	v, err := stir.New(cfg)
	if err != nil {
		return nil, err
	}
	a.onClose(func() error { v.Close(); return nil })
	a.beside(v.Run)
	return signatures{v}, nil
}

// verifier is the configuration of what checks signatures; without roots there is nothing to check them by.
func (s STIRConfig) verifier() (c stir.Config, err error) {
	if s.RootsFile == "" {
		return stir.Config{}, nil
	}
	if c.Roots, err = stir.ReadCertificates(string(s.RootsFile)); err != nil {
		return stir.Config{}, err
	}
	var signers []*x509.Certificate
	if s.CRLSignersFile != "" {
		if signers, err = stir.ReadCertificates(string(s.CRLSignersFile)); err != nil {
			return stir.Config{}, err
		}
	}
	c.CRL = stir.CRL{Files: asWords(s.CRLFiles), URLs: s.CRLURLs, Signers: signers}
	c.MaxAge, c.Wait, c.Fetch = s.MaxAge, s.Wait, s.Fetch
	c.Fetch.Timeout, c.Fetch.Allow = s.Wait, s.FetchAllow
	return c, nil
}

// signatures checks a call's signatures for the vault.
type signatures struct{ stir *stir.Verifier }

// Verify implements ani.Verifier.
func (s signatures) Verify(ctx context.Context, c ani.Signed) ani.Verified {
	r := s.stir.Verify(ctx, stir.Claim{Identity: c.Identity, Date: c.Date, At: c.At, Caller: c.Caller, Lend: c.Lend, Dialled: c.Dialled})
	return ani.Verified{Verstat: r.Verstat, Attest: r.Attest, Why: r.Why.String(), Diverted: r.Diverted, Dialled: r.Dialled,
		Onward: r.Onward.Header, SignedAt: r.Onward.At}
}

// signersOf are the cities that sign the calls they send on.
func signersOf(cfg Config) (map[call.CityID]ani.Signer, error) {
	all := map[call.CityID]ani.Signer{}
	for _, city := range cfg.Cities {
		if city.ANI.Sign == (SignConfig{}) {
			continue
		}
		s, err := city.ANI.Sign.signer()
		if err != nil {
			return nil, fmt.Errorf("city %s: sign: %w", city.ID, err)
		}
		all[city.ID] = signer{s}
	}
	return all, nil
}

// signer signs for the vault.
type signer struct{ stir *stir.Signer }

// Sign implements ani.Signer.
func (s signer) Sign(o ani.Onward) (string, error) {
	return s.stir.Sign(stir.Order{At: o.At, Lend: o.Lend, Dest: []string{o.Dest}, Div: o.Div, Attest: o.Attest, OrigID: o.OrigID})
}
