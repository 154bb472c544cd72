package ani

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"callhall/ani/stir"
	"callhall/call"
)

// freeStore takes a row without doing anything with it, and freeLedger a leaf: what is measured is the rest.
type freeStore struct{ *memStore }

func (freeStore) Put(context.Context, VaultRow) error { return nil }

type freeLedger struct{ *memLedger }

func (freeLedger) Append(context.Context, call.CityID, call.Leaf) error { return nil }

// carriersHeaders are those of a mobile caller's INVITE.
func carriersHeaders() Headers {
	return Headers{Asserted: []string{`"Ana Gray" <sip:+12125550142@carrier.example;user=phone;verstat=TN-Validation-Passed>`, "<tel:+12125550142>"},
		From: []string{`"Ana Gray" <sip:+12125550142@carrier.example;user=phone>;tag=8f3a`}, Privacy: []string{"none"}, Date: "Sun, 01 Mar 2026 12:00:00 GMT"}
}

// captures measures Capture to where the row and the leaf would be written, and Over.
func captures(b *testing.B, v Verifier, h Headers) {
	f := newInside(b, func(c *Config) { c.Verifier = v })
	var err error
	if f.Vault, err = NewVault(freeStore{f.mem}, freeLedger{f.book}, f.keys, f.cfg); err != nil {
		b.Fatal(err)
	}
	in := f.incoming("a", h)
	in.Dialled = []string{"311"}
	c, err := f.Capture(b.Context(), in)
	if err != nil || c.Status != call.CallerPresent || v != nil && c.Attest != call.AttestFull {
		b.Fatalf("%+v, %v", c, err)
	}
	f.Over("a", in.Call)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Capture(b.Context(), in); err != nil {
			b.Fatal(err)
		}
		f.Over("a", in.Call)
	}
}

// BenchmarkCaptureInMemory is what the vault adds to an INVITE without a signature: read, normalise, decide, seal. Goal:
// under 20 µs of CPU.
func BenchmarkCaptureInMemory(b *testing.B) { captures(b, nil, carriersHeaders()) }

// BenchmarkCaptureSigned is the same with a signature whose certificate is at hand. Goal: under 250 µs.
func BenchmarkCaptureSigned(b *testing.B) {
	v, header := signedOnce(b, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	h := carriersHeaders()
	h.Identity = []string{header}
	captures(b, v, h)
}

// checker is a Verifier as the program has it.
type checker struct{ *stir.Verifier }

func (c checker) Verify(ctx context.Context, s Signed) Verified {
	r := c.Verifier.Verify(ctx, stir.Claim{Identity: s.Identity, Date: s.Date, At: s.At, Caller: s.Caller, Lend: s.Lend, Dialled: s.Dialled})
	return Verified{Verstat: r.Verstat, Attest: r.Attest, Why: r.Why.String(), Diverted: r.Diverted, Dialled: r.Dialled,
		Onward: r.Onward.Header, SignedAt: r.Onward.At}
}

// published is where the certificate of these tests is served, at the port that carriers use.
const published = "127.0.0.33"

// resolver says that everything is there.
type resolver struct{}

func (resolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr(published)}, nil
}

// signedOnce returns a header signed at that time for a call to 311, and who believes it: its clock stands.
func signedOnce(b *testing.B, at time.Time) (Verifier, string) {
	b.Helper()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	issue := func(c, parent *x509.Certificate) *x509.Certificate {
		c.SerialNumber, c.NotBefore, c.NotAfter, c.BasicConstraintsValid = big.NewInt(1), at.Add(-time.Hour), at.Add(time.Hour), true
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, key)
		must(err)
		made, err := x509.ParseCertificate(der)
		must(err)
		return made
	}
	authority := &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: []byte{1}}
	root := issue(authority, authority)
	leaf := issue(&x509.Certificate{Subject: pkix.Name{CommonName: "carrier"}, KeyUsage: x509.KeyUsageDigitalSignature, ExtraExtensions: []pkix.Extension{
		{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 26}, Value: []byte("\x30\x08\xa0\x06\x16\x04709J")}}}, root) // RFC 8226 §9: a provider code
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
	credential := stir.Credential{URL: "https://example.com:8443/c.pem", ChainFile: filepath.Join(b.TempDir(), "c.pem"), KeyFile: filepath.Join(b.TempDir(), "c.key")}
	must(os.WriteFile(credential.ChainFile, chain, 0o600))
	must(os.WriteFile(credential.KeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	s, err := stir.NewSigner(credential)
	must(err)
	header, err := s.Sign(stir.Order{At: at, Lend: func(use func(string)) { use("12125550142") }, Dest: []string{"311"}, Attest: call.AttestFull, OrigID: originID("a", "t")})
	must(err)
	v, err := stir.New(stir.Config{Roots: []*x509.Certificate{root}, Now: func() time.Time { return at }, Fetch: serve(b, chain)})
	must(err)
	b.Cleanup(v.Close)
	return checker{v}, header
}

// serve serves a certificate until the end, and says how it is fetched.
func serve(b *testing.B, chain []byte) stir.Fetch {
	b.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(chain) }))
	if err := server.Listener.Close(); err != nil {
		b.Fatal(err)
	}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(published), Port: 8443})
	if err != nil {
		b.Fatal(err)
	}
	server.Listener, server.Config.ErrorLog = l, log.New(io.Discard, "", 0)
	server.StartTLS()
	b.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return stir.Fetch{TLSRoots: pool, Resolver: resolver{}, Allow: []netip.Prefix{netip.MustParsePrefix(published + "/32")}}
}
