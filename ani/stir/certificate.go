package stir

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"time"
)

// maxChain is how many certificates one address may serve.
const maxChain = 8

// ReadCertificates reads a file of PEM certificates, such as STI-PA's list of roots. It is an error if there is none, or
// anything but certificates.
func ReadCertificates(path string) ([]*x509.Certificate, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	certs, err := parsePEM(body)
	if err != nil {
		return nil, fmt.Errorf("read certificates of %s: %w", path, err)
	}
	return certs, nil
}

func parsePEM(body []byte) (certs []*x509.Certificate, err error) {
	for {
		block, rest := pem.Decode(body)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("there is something else than certificates in it")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
		}
		certs, body = append(certs, cert), rest
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in it")
	}
	return certs, nil
}

// parseServed reads what a repository serves: a PEM chain, leaf first (ATIS-1000080), or one certificate in DER (RFC 8226).
func parseServed(body []byte) ([]*x509.Certificate, error) {
	if cert, err := x509.ParseCertificate(body); err == nil {
		return []*x509.Certificate{cert}, nil
	}
	certs, err := parsePEM(body)
	if err == nil && len(certs) > maxChain {
		return nil, errors.New("too many certificates")
	}
	return certs, err
}

// bundle is a certificate that was fetched: its key, and the ways from it to the roots, whose signatures have been checked
// so that a call need not. It is not changed once made.
type bundle struct {
	key    *ecdsa.PublicKey
	chains []chain // one at least
}

// chain is one way from the leaf to a root.
type chain struct {
	from, until time.Time // when all of its certificates are valid
	scopes      []scope   // the leaf's list of numbers, and those of the authorities above it that have one
	ids         []certID  // without the root
	unfit       Reason    // OK where all of it is what we can check
}

// newBundle takes what a repository served, if a call could be believed by it at that time.
func newBundle(body []byte, roots *x509.CertPool, at time.Time) (*bundle, Reason) {
	certs, err := parseServed(body)
	if err != nil {
		return nil, BadCertificate
	}
	for _, c := range certs { // x509 does not know the list and would refuse it where it is critical
		c.UnhandledCriticalExtensions = slices.DeleteFunc(c.UnhandledCriticalExtensions, oidTNAuthList.Equal)
	}
	key, why := checkLeaf(certs[0])
	if why != OK {
		return nil, why
	}
	chains, why := build(certs, roots, at)
	return &bundle{key: key, chains: chains}, why
}

// checkLeaf wants what ATIS-1000080 and RFC 8226 say of a certificate that signs calls: P-256, digital signature, no
// authority of its own, and a TNAuthList.
func checkLeaf(leaf *x509.Certificate) (*ecdsa.PublicKey, Reason) {
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() || leaf.IsCA || leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, BadCertificate
	}
	if _, found := scopeOf(leaf); !found {
		return nil, NotAuthorised
	}
	return key, OK
}

// build finds the chains from the first of certs to the roots that are valid at a time.
func build(certs []*x509.Certificate, roots *x509.CertPool, at time.Time) ([]chain, Reason) {
	middle := x509.NewCertPool()
	for _, c := range certs[1:] {
		middle.AddCert(c)
	}
	found, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: middle, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
			return nil, CertificateExpired
		}
		return nil, Untrusted
	}
	chains := make([]chain, len(found))
	for i, certs := range found {
		chains[i] = newChain(certs)
	}
	return chains, OK
}

func newChain(certs []*x509.Certificate) chain {
	c := chain{from: certs[0].NotBefore, until: certs[0].NotAfter}
	for i, cert := range certs {
		if cert.NotBefore.After(c.from) {
			c.from = cert.NotBefore
		}
		if cert.NotAfter.Before(c.until) {
			c.until = cert.NotAfter
		}
		if i == len(certs)-1 && i > 0 { // the root is the operator's own choice
			break
		}
		if s, found := scopeOf(cert); found {
			c.scopes = append(c.scopes, s)
		}
		key, ok := cert.PublicKey.(*ecdsa.PublicKey)
		switch {
		case !ok || key.Curve != elliptic.P256() || cert.SignatureAlgorithm != x509.ECDSAWithSHA256:
			c.unfit = Untrusted
		case constrained(cert):
			c.unfit = Unsupported
		}
		c.ids = append(c.ids, idOf(cert.RawIssuer, cert.SerialNumber))
	}
	return c
}

// until is when the last of its chains ends.
func (b *bundle) until() (last time.Time) {
	for _, c := range b.chains {
		if c.until.After(last) {
			last = c.until
		}
	}
	return last
}

// check tells whether the certificate may speak for tn at that time, by any of its chains.
func (b *bundle) check(at time.Time, tn string, lists *revocations) Reason {
	worst := None
	for _, c := range b.chains {
		why := c.check(at, tn, lists)
		if why == OK {
			return OK
		}
		worst = max(worst, why)
	}
	return worst
}

func (c chain) check(at time.Time, tn string, lists *revocations) Reason {
	if at.Before(c.from) || at.After(c.until) {
		return CertificateExpired
	}
	if c.unfit != OK {
		return c.unfit
	}
	for _, s := range c.scopes {
		if !s.covers(tn) {
			return NotAuthorised
		}
	}
	return lists.check(at, c.ids)
}

// verify checks an ES256 signature (RFC 7518 §3.4): r and s, 32 bytes each.
func verify(key *ecdsa.PublicKey, digest [32]byte, signature [64]byte) bool {
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return ecdsa.Verify(key, digest[:], r, s)
}

// certID names a certificate by its issuer and serial number.
type certID struct {
	issuer nameID
	serial [sha256.Size]byte
}

// nameID is a distinguished name, the same for all its spellings (RFC 5280 §7.1).
type nameID [sha256.Size]byte

func idOf(issuer []byte, serial *big.Int) certID {
	return certID{nameOf(issuer), sha256.Sum256(serial.Bytes())}
}

// nameOf compares names without regard to string type, case and outer space, so that a list and a certificate written by
// different programs still meet.
func nameOf(der []byte) nameID {
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &name); err != nil || len(rest) > 0 {
		return sha256.Sum256(der)
	}
	var b bytes.Buffer
	for _, set := range name {
		var parts []string
		for _, a := range set {
			value := strings.Join(strings.Fields(strings.ToLower(fmt.Sprint(a.Value))), " ")
			parts = append(parts, fmt.Sprintf("%s=%q", a.Type, value))
		}
		slices.Sort(parts)
		fmt.Fprintf(&b, "%q;", parts)
	}
	return sha256.Sum256(b.Bytes())
}
