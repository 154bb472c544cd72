package main

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"callhall/ani/stir"
)

// STIRConfig says whose signatures on callers' numbers are believed (docs/stir.md). Without roots none is checked.
type STIRConfig struct {
	RootsFile      Path           `yaml:"roots_file"` // PEM
	CRLFiles       []Path         `yaml:"crl_files"`
	CRLURLs        []string       `yaml:"crl_urls"`
	CRLSignersFile Path           `yaml:"crl_signers_file"` // PEM: who may sign lists, besides the roots
	MaxAge         time.Duration  `yaml:"max_age"`          // of a signature when the call comes
	Wait           time.Duration  `yaml:"wait"`             // of one call, for a certificate
	FetchAllow     []netip.Prefix `yaml:"fetch_allow"`      // addresses that are fetched from although they are not public

	// Fetch has what no file sets: ports and roots other than those of the public network, for tests.
	Fetch stir.Fetch `yaml:"-"`
}

// SignConfig is what a city signs with, when it sends a call on. All empty is nothing.
type SignConfig struct {
	URL       string     `yaml:"url"`        // where others fetch the certificate
	ChainFile Path       `yaml:"chain_file"` // PEM, the certificate first
	KeyFile   SecretFile `yaml:"key_file"`
}

// stir checks that the certificates are there. Lists at URLs are fetched once the server runs.
func (c checker) stir(s STIRConfig) {
	if s.RootsFile == "" {
		for _, k := range []struct {
			key string
			set bool
		}{{"crl_files", s.CRLFiles != nil}, {"crl_urls", s.CRLURLs != nil}, {"crl_signers_file", s.CRLSignersFile != ""}, {"fetch_allow", s.FetchAllow != nil}} {
			if k.set {
				c.fault("stir."+k.key, "has no effect without roots_file: no signature is checked")
			}
		}
		return
	}
	c.certificates("stir.roots_file", s.RootsFile)
	if s.CRLSignersFile != "" {
		c.certificates("stir.crl_signers_file", s.CRLSignersFile)
	}
	for i, u := range s.CRLURLs {
		if !strings.HasPrefix(u, "https://") {
			c.fault(fmt.Sprintf("stir.crl_urls[%d]", i), "%q does not begin with https://", u)
		}
	}
	for i, p := range s.FetchAllow {
		if p.IsValid() && p.Bits() == 0 {
			c.fault(fmt.Sprintf("stir.fetch_allow[%d]", i), "%s is everybody; a stranger names the address that is fetched from", p)
		}
	}
	c.between("stir.max_age", s.MaxAge, 10*time.Second, 5*time.Minute)
	c.between("stir.wait", s.Wait, 100*time.Millisecond, 5*time.Second)
}

func (c checker) certificates(path string, file Path) {
	if _, err := stir.ReadCertificates(string(file)); err != nil {
		c.fault(path, "%v", err)
	}
}

// sign checks that a city which wants to sign can.
func (c checker) sign(path string, s SignConfig) {
	if s == (SignConfig{}) {
		return
	}
	for _, k := range []struct {
		key string
		set bool
	}{{"url", s.URL != ""}, {"chain_file", s.ChainFile != ""}, {"key_file", s.KeyFile != ""}} {
		if !k.set {
			c.fault(path+"."+k.key, "is missing; url, chain_file and key_file go together")
			return
		}
	}
	c.secret(path+".key_file", s.KeyFile)
	if c.isFaulty(path + ".key_file") {
		return
	}
	if _, err := s.signer(); err != nil {
		c.fault(path, "%v", err)
	}
}

// signer is what signs with it.
func (s SignConfig) signer() (*stir.Signer, error) {
	return stir.NewSigner(stir.Credential{URL: s.URL, ChainFile: string(s.ChainFile), KeyFile: string(s.KeyFile)})
}
