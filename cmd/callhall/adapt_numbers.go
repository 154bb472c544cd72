package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"callhall/ani"
	"callhall/ani/stir"
	"callhall/call"
)

// What stands here is the configuration in the words of package ani and of those it asks.

// vaultConfig is what the cities have chosen for callers' numbers.
func vaultConfig(cfg Config) ani.Config {
	c := ani.Config{Keep: map[call.CityID]time.Duration{}, Profiles: map[call.CityID]ani.Profile{},
		Narrow: map[call.CityID]ani.Narrowing{}, Areas: map[call.CityID]map[string]string{}}
	for _, city := range cfg.Cities {
		c.Cities = append(c.Cities, city.ID)
		c.Keep[city.ID] = city.ANI.Retention
		c.Areas[city.ID] = city.ANI.Areas
		c.Narrow[city.ID] = ani.Narrowing{Purposes: city.ANI.Narrow.Purposes, Recipients: city.ANI.Narrow.Recipients}
		if p := city.ANI.Profile; p != "" {
			c.Profiles[city.ID] = ani.Profile(p)
		}
	}
	return c
}

// capsOf is what the cities have chosen for reveals.
func capsOf(cfg Config) map[call.CityID]ani.Caps {
	caps := map[call.CityID]ani.Caps{}
	for _, city := range cfg.Cities {
		caps[city.ID] = ani.Caps{PerActor: city.ANI.Caps.AgentReveals, PerCity: city.ANI.Caps.CityReveals}
	}
	return caps
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
	return c, nil
}

// signatures checks a call's signatures for the vault.
type signatures struct{ stir *stir.Verifier }

// Verify implements ani.Verifier. The number in a signature of the compact form is not in it, and the vault lends none:
// such a signature counts as none.
func (s signatures) Verify(ctx context.Context, c ani.Signed) (call.Verstat, call.Attestation) {
	r := s.stir.Verify(ctx, stir.Claim{Identity: c.Identity, Date: c.Date, At: c.At, Caller: c.Caller, Dialled: c.Dialled})
	return r.Verstat, r.Attest
}

// directory is whom the cities' calls may be carried on to. It is a call.Partners.
type directory map[call.CityID][]call.Partner

func partnersOf(cfg Config) directory {
	d := directory{}
	for _, city := range cfg.Cities {
		for _, p := range city.Partners {
			d[city.ID] = append(d[city.ID], call.Partner{ID: p.ID, Kind: call.PartnerKind(p.Kind), Name: p.Name})
		}
	}
	return d
}

func (d directory) list(city call.CityID) []call.Partner { return d[city] }

// Partner implements call.Partners.
func (d directory) Partner(city call.CityID, id call.PartnerID) (call.Partner, error) {
	for _, p := range d[city] {
		if p.ID == id {
			return p, nil
		}
	}
	return call.Partner{}, fmt.Errorf("%s of %s: %w", id, city, call.ErrUnknownPartner)
}
