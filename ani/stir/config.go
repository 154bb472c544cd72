package stir

import (
	"crypto/x509"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a Verifier needs. Roots alone have no default.
type Config struct {
	Roots    []*x509.Certificate   // the authorities on STI-PA's list; see ReadCertificates
	MaxAge   time.Duration         // how old a token may be; 0: 60 s (RFC 8224 §6.2)
	Ahead    time.Duration         // how far the signer's clock may be ahead of ours; 0: 10 s
	Wait     time.Duration         // how long one call waits for certificates; 0: 1 s
	Fetch    Fetch                 // how certificates are fetched
	CRL      CRL                   // where revocation lists come from
	Now      func() time.Time      // for what is kept and for lists; nil: time.Now
	Log      *slog.Logger          // nil: nothing is logged. What is logged is about lists, never about a call.
	Registry prometheus.Registerer // nil: nothing is counted
}

func (c Config) withDefaults() Config {
	c.MaxAge = or(c.MaxAge, time.Minute)
	c.Ahead = or(c.Ahead, 10*time.Second)
	c.Wait = or(c.Wait, time.Second)
	c.Fetch = c.Fetch.withDefaults()
	c.CRL = c.CRL.withDefaults()
	c.CRL.Signers = append(c.CRL.Signers[:len(c.CRL.Signers):len(c.CRL.Signers)], c.Roots...)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
