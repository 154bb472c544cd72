package stir

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callhall/call"
)

// publisher signs STI-PA's list. It is no authority.
var publisher = sync.OnceValue(func() *authority {
	t := template("STI-PA CRL")
	t.KeyUsage = x509.KeyUsageCRLSign
	return issue(t, nil)
})

// entry is one revoked certificate of an indirect list: of the authority named, or of the one of the entry before.
func entry(serial *big.Int, authority *x509.Certificate) x509.RevocationListEntry {
	e := x509.RevocationListEntry{SerialNumber: serial, RevocationTime: callTime.Add(-time.Hour)}
	if authority != nil {
		name := wrap(asn1.ClassContextSpecific, 4, true, authority.RawSubject)
		e.ExtraExtensions = []pkix.Extension{{Id: oidCertificateIssuer, Critical: true, Value: wrap(asn1.ClassUniversal, asn1.TagSequence, true, name)}}
	}
	return e
}

// scopeExtension is an issuing distribution point with one flag set.
func scopeExtension(tag int) pkix.Extension {
	flag := wrap(asn1.ClassContextSpecific, tag, false, []byte{0xff})
	point := wrap(asn1.ClassContextSpecific, 0, true, wrap(asn1.ClassContextSpecific, 0, true, wrap(asn1.ClassContextSpecific, 6, false, []byte("https://x"))))
	return pkix.Extension{Id: oidDistribution, Critical: true, Value: wrap(asn1.ClassUniversal, asn1.TagSequence, true, point, flag)}
}

// revoke makes a list, an hour old and good for a day.
func revoke(by *authority, change func(*x509.RevocationList), entries ...x509.RevocationListEntry) []byte {
	t := &x509.RevocationList{Number: big.NewInt(7), ThisUpdate: callTime.Add(-time.Hour), NextUpdate: callTime.Add(23 * time.Hour),
		RevokedCertificateEntries: entries}
	if change != nil {
		change(t)
	}
	issuer := *by.cert
	issuer.KeyUsage |= x509.KeyUsageCRLSign
	if issuer.SubjectKeyId == nil {
		issuer.SubjectKeyId = []byte("x")
	}
	return must(x509.CreateRevocationList(rand.Reader, t, &issuer, by.key))
}

func indirect(l *x509.RevocationList) {
	l.ExtraExtensions = append(l.ExtraExtensions, scopeExtension(4))
}

// TestRevocation: what a list says of the carrier's certificate.
func TestRevocation(t *testing.T) {
	leaf, middle, stranger := pki().leaf.cert, pki().middle.cert, pki().stranger.cert
	for name, row := range map[string]struct {
		want Reason
		list []byte
	}{
		"indirect, empty":            {OK, revoke(publisher(), indirect)},
		"indirect, revoked":          {Revoked, revoke(publisher(), indirect, entry(leaf.SerialNumber, middle))},
		"indirect, authority before": {Revoked, revoke(publisher(), indirect, entry(big.NewInt(5), middle), entry(leaf.SerialNumber, nil))},
		"indirect, another's serial": {OK, revoke(publisher(), indirect, entry(leaf.SerialNumber, stranger))},
		"indirect, its own serial":   {OK, revoke(publisher(), indirect, entry(leaf.SerialNumber, nil))},
		"indirect, authority":        {Revoked, revoke(publisher(), indirect, entry(middle.SerialNumber, pki().root.cert))},
		"direct, empty":              {OK, revoke(pki().middle, nil)},
		"direct, revoked":            {Revoked, revoke(pki().middle, nil, entry(leaf.SerialNumber, nil))},
		"of the root alone":          {RevocationUnknown, revoke(pki().root, nil)},
		"of authorities only": {RevocationUnknown, revoke(pki().middle, func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{scopeExtension(2)}
		})},
		"of users only": {OK, revoke(pki().middle, func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{scopeExtension(1)}
		})},
		"a day late": {OK, revoke(publisher(), func(l *x509.RevocationList) {
			indirect(l)
			l.NextUpdate = callTime.Add(-24*time.Hour + time.Second)
			l.ThisUpdate = callTime.Add(-48 * time.Hour)
		})},
		"too late": {RevocationUnknown, revoke(publisher(), func(l *x509.RevocationList) {
			indirect(l)
			l.NextUpdate = callTime.Add(-24 * time.Hour)
			l.ThisUpdate = callTime.Add(-48 * time.Hour)
		})},
		"too late, revoked": {Revoked, revoke(publisher(), func(l *x509.RevocationList) {
			indirect(l)
			l.NextUpdate = callTime.Add(-24 * time.Hour)
			l.ThisUpdate = callTime.Add(-48 * time.Hour)
		},
			entry(leaf.SerialNumber, middle))},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "list")
			body := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: row.list})
			if err := os.WriteFile(path, body, 0o600); err != nil {
				t.Fatal(err)
			}
			h := newHall(t, func(c *Config) {
				c.CRL = CRL{Files: []string{path}, Signers: []*x509.Certificate{publisher().cert, middle}}
			})
			if got := h.shaken().verify(); got.Why != row.want || got.Verstat != row.want.Verstat() {
				t.Errorf("got %+v, want %v", got, row.want)
			}
		})
	}
}

// TestBadList: a list that is not one, or not one that we can read whole, is refused.
func TestBadList(t *testing.T) {
	signers := []*x509.Certificate{publisher().cert, pki().root.cert, pki().leaf.cert}
	good := revoke(publisher(), indirect)
	spoiled := append([]byte{}, good...)
	spoiled[len(spoiled)-1] ^= 1
	old := template("Old")
	old.KeyUsage, old.NotAfter = x509.KeyUsageCRLSign, callTime.Add(-time.Second)
	expired := issue(old, nil)
	with := func(e pkix.Extension) []byte {
		return revoke(publisher(), func(l *x509.RevocationList) { l.ExtraExtensions = append(l.ExtraExtensions, e) })
	}
	unknown := entry(big.NewInt(5), nil)
	unknown.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
	nameless := entry(big.NewInt(5), nil)
	nameless.ExtraExtensions = []pkix.Extension{{Id: oidCertificateIssuer, Critical: true, Value: []byte{0x30, 0}}}
	for name, body := range map[string][]byte{
		"garbage":            []byte("x"),
		"a certificate":      pemOf(pki().root.cert),
		"spoiled":            spoiled,
		"a stranger's":       revoke(pki().stranger, nil),
		"not for lists":      revoke(pki().leaf, nil),
		"expired signer":     revoke(expired, nil),
		"from the future":    revoke(publisher(), func(l *x509.RevocationList) { l.ThisUpdate = callTime.Add(2 * time.Hour) }),
		"delta":              with(pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}),
		"some reasons":       with(scopeExtension(3)),
		"attributes":         with(scopeExtension(5)),
		"bad point":          with(pkix.Extension{Id: oidDistribution, Critical: true, Value: []byte{0x30, 2, 0x84, 9}}),
		"unknown entry":      revoke(publisher(), indirect, unknown),
		"nameless authority": revoke(publisher(), indirect, nameless),
		"named in a direct":  revoke(publisher(), nil, entry(big.NewInt(5), pki().middle.cert)),
	} {
		if _, err := parseCRL(body, append(signers, expired.cert), callTime); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := parseCRL(good, signers, callTime); err != nil {
		t.Error(err)
	}
}

// TestListFromURL: until the list is there nobody can tell; then it is kept, whatever the server does later.
func TestListFromURL(t *testing.T) {
	leaf, middle := pki().leaf.cert, pki().middle.cert
	h := newHall(t, func(c *Config) {
		c.CRL = CRL{URLs: []string{"https://example.com:" + h0port(c) + "/list"}, Signers: []*x509.Certificate{publisher().cert}}
	})
	want := func(why Reason) {
		t.Helper()
		if got := h.shaken().verify(); got.Why != why {
			t.Errorf("got %+v, want %v", got, why)
		}
	}
	refresh := func(ok bool) {
		t.Helper()
		if err := h.v.Refresh(t.Context()); (err == nil) != ok {
			t.Errorf("refresh: %v", err)
		}
	}
	want(RevocationUnknown)
	refresh(false)
	want(RevocationUnknown)
	h.page("/list", revoke(publisher(), indirect))
	refresh(true)
	want(OK)
	h.page("/list", []byte("down for maintenance"))
	refresh(false)
	want(OK)
	h.page("/list", revoke(publisher(), func(l *x509.RevocationList) { indirect(l); l.ThisUpdate = callTime }, entry(leaf.SerialNumber, middle)))
	refresh(true)
	want(Revoked)
	h.page("/list", revoke(publisher(), indirect)) // an old one, played again
	refresh(false)
	want(Revoked)
	h.handle("/list", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, h.url("/cert.pem"), http.StatusFound)
	})
	refresh(false)
	h.page("/list", make([]byte, 9<<20))
	refresh(false)
}

// h0port is the port that newHall has just permitted.
func h0port(c *Config) string { return big.NewInt(int64(c.Fetch.Ports[0])).String() }

// TestRun: lists are read at once, every hour, and every minute while one cannot be had.
func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	write := func(body []byte) {
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Error(err)
		}
	}
	write(revoke(publisher(), indirect))
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		v, err := New(Config{Roots: []*x509.Certificate{pki().root.cert}, Now: func() time.Time { return callTime }, Log: logTo(&log),
			CRL: CRL{Files: []string{path}, Signers: []*x509.Certificate{publisher().cert}}})
		if err != nil {
			t.Fatal(err)
		}
		revoked := []certID{idOf(pki().middle.cert.RawSubject, pki().leaf.cert.SerialNumber)}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { v.Run(ctx) })
		synctest.Wait()
		write([]byte("x"))
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		if v.lists.check(callTime, revoked) != OK || !strings.Contains(log.String(), "not refreshed") {
			t.Error("the last good list should stand in", log.String())
		}
		write(revoke(publisher(), indirect, entry(pki().leaf.cert.SerialNumber, pki().middle.cert)))
		time.Sleep(time.Minute)
		synctest.Wait()
		if why := v.lists.check(callTime, revoked); why != Revoked || v.lists.oldest() != callTime.Add(23*time.Hour) {
			t.Error("a minute later", why, v.lists.oldest())
		}
		cancel()
		running.Wait()
	})
}

// TestUnknownIsNotFailed: a verifier without its list says that nobody could tell.
func TestUnknownIsNotFailed(t *testing.T) {
	if RevocationUnknown.Verstat() != call.VerstatNone || Revoked.Verstat() != call.VerstatFailed {
		t.Error("lists away must not make honest callers look false")
	}
}

// TestNames: one name has several spellings.
func TestNames(t *testing.T) {
	spell := func(tag int, s string) []byte {
		oid := must(asn1.Marshal(asn1.ObjectIdentifier{2, 5, 4, 3}))
		pair := wrap(asn1.ClassUniversal, asn1.TagSequence, true, oid, wrap(asn1.ClassUniversal, tag, false, []byte(s)))
		return wrap(asn1.ClassUniversal, asn1.TagSequence, true, wrap(asn1.ClassUniversal, asn1.TagSet, true, pair))
	}
	a := nameOf(spell(asn1.TagUTF8String, "Some  Authority "))
	if a != nameOf(spell(asn1.TagPrintableString, "SOME Authority")) || a == nameOf(spell(asn1.TagUTF8String, "SomeAuthority")) {
		t.Error("names")
	}
	if nameOf([]byte("x")) == nameOf([]byte("y")) {
		t.Error("what is no name is compared as it is")
	}
}
