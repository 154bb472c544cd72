package stir

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

var (
	oidDistribution      = asn1.ObjectIdentifier{2, 5, 29, 28} // RFC 5280 §5.2.5
	oidCertificateIssuer = asn1.ObjectIdentifier{2, 5, 29, 29} // RFC 5280 §5.3.3
)

// crl is one revocation list that has been checked. It is not changed once made.
type crl struct {
	issuer     nameID
	everybody  bool // an indirect list, as STI-PA's is: it speaks for the certificates of every authority
	leaves     bool // it speaks for certificates that are no authorities
	thisUpdate time.Time
	nextUpdate time.Time
	revoked    map[certID]struct{}
}

// covers tells whether the list would say so if the certificate were revoked.
func (l *crl) covers(id certID) bool {
	return l.leaves && (l.everybody || l.issuer == id.issuer)
}

// parseCRL reads a list, PEM or DER, and checks that one of the signers has signed it. Errors say what is wrong with it.
func parseCRL(body []byte, signers []*x509.Certificate, at time.Time) (*crl, error) {
	if block, _ := pem.Decode(body); block != nil {
		if block.Type != "X509 CRL" {
			return nil, fmt.Errorf("it is a %q, not a revocation list", block.Type)
		}
		body = block.Bytes
	}
	raw, err := x509.ParseRevocationList(body)
	if err != nil {
		return nil, err
	}
	if err := checkSigner(raw, signers, at); err != nil {
		return nil, err
	}
	if raw.NextUpdate.IsZero() || raw.ThisUpdate.After(at.Add(time.Hour)) {
		return nil, errors.New("it does not say when the next one comes, or comes from the future")
	}
	l := &crl{issuer: nameOf(raw.RawIssuer), leaves: true, thisUpdate: raw.ThisUpdate, nextUpdate: raw.NextUpdate}
	for _, e := range raw.Extensions {
		switch {
		case e.Id.Equal(oidDistribution):
			err = l.scope(e.Value)
		case e.Critical:
			err = fmt.Errorf("it has a critical extension %s that is not known here", e.Id)
		}
		if err != nil {
			return nil, err
		}
	}
	return l, l.enter(raw)
}

// checkSigner wants a list signed by one of the signers by name, valid now and, where its certificate says what its key
// is for, for lists (RFC 5280 §6.3.3). An indirect list's signer need not be an authority.
func checkSigner(raw *x509.RevocationList, signers []*x509.Certificate, at time.Time) error {
	if alg := raw.SignatureAlgorithm; alg != x509.ECDSAWithSHA256 && alg != x509.ECDSAWithSHA384 {
		return fmt.Errorf("it is signed by %s", alg)
	}
	for _, s := range signers {
		if !bytes.Equal(s.RawSubject, raw.RawIssuer) || s.KeyUsage != 0 && s.KeyUsage&x509.KeyUsageCRLSign == 0 {
			continue
		}
		if at.Before(s.NotBefore) || at.After(s.NotAfter) {
			continue
		}
		if s.CheckSignature(raw.SignatureAlgorithm, raw.RawTBSRevocationList, raw.Signature) == nil {
			return nil
		}
	}
	return errors.New("nobody who may sign it has signed it")
}

// scope reads the issuing distribution point (RFC 5280 §5.2.5): what the list is about.
func (l *crl) scope(der []byte) error {
	body, ok := inside(der, asn1.ClassUniversal, asn1.TagSequence)
	for ok && len(body) > 0 {
		var field asn1.RawValue
		rest, err := asn1.Unmarshal(body, &field)
		if err != nil || field.Class != asn1.ClassContextSpecific {
			ok = false
			break
		}
		body = rest
		switch field.Tag {
		case 2: // authorities only
			l.leaves = !truth(field.Bytes)
		case 3:
			return errors.New("it is about some reasons only")
		case 4:
			l.everybody = truth(field.Bytes)
		case 5:
			if truth(field.Bytes) {
				return errors.New("it is about attribute certificates")
			}
		}
	}
	if !ok {
		return errors.New("its distribution point cannot be read")
	}
	return nil
}

func truth(b []byte) bool { return len(b) == 1 && b[0] != 0 }

// enter takes the entries. In an indirect list an entry may name the authority that it and those behind it are about
// (RFC 5280 §5.3.3); the first ones are about the list's own issuer.
func (l *crl) enter(raw *x509.RevocationList) error {
	l.revoked = make(map[certID]struct{}, len(raw.RevokedCertificateEntries))
	issuer := raw.RawIssuer
	for _, entry := range raw.RevokedCertificateEntries {
		for _, e := range entry.Extensions {
			switch {
			case e.Id.Equal(oidCertificateIssuer):
				name, ok := directoryName(e.Value)
				if !ok || !l.everybody {
					return errors.New("an entry names an authority in a way that is not known here")
				}
				issuer = name
			case e.Critical:
				return fmt.Errorf("an entry has a critical extension %s that is not known here", e.Id)
			}
		}
		l.revoked[idOf(issuer, entry.SerialNumber)] = struct{}{}
	}
	return nil
}

// directoryName finds the distinguished name among general names (RFC 5280 §4.2.1.6: tag 4).
func directoryName(der []byte) ([]byte, bool) {
	names, ok := inside(der, asn1.ClassUniversal, asn1.TagSequence)
	for ok && len(names) > 0 {
		var name asn1.RawValue
		rest, err := asn1.Unmarshal(names, &name)
		if err != nil {
			return nil, false
		}
		if name.Class == asn1.ClassContextSpecific && name.Tag == 4 {
			return name.Bytes, true
		}
		names = rest
	}
	return nil, false
}

// readFile reads a list from a file, up to limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, errTooLarge
	}
	return os.ReadFile(path)
}
