package main

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
	"strings"
	"testing"
	"time"

	"callhall/ani/stir"
	"callhall/call"
	"callhall/sip/phone"
)

// notary is an authority of these tests, a carrier's and a city's certificate below it, and where they are published.
type notary struct {
	t    *testing.T
	dir  string
	root *x509.Certificate
	key  *ecdsa.PrivateKey
	slow chan struct{} // closed when somebody has asked for the certificate that never comes
}

// published is where the notary's server is; example.com is what its own certificate is for.
const (
	published     = "127.0.0.31"
	publishedPort = 8443
	publishedAt   = "https://example.com:8443/"
)

func openNotary(t *testing.T) *notary {
	t.Helper()
	n := &notary{t: t, dir: t.TempDir(), slow: make(chan struct{}, 16)}
	n.root, n.key = n.issue("root", &x509.Certificate{IsCA: true, KeyUsage: x509.KeyUsageCertSign})
	for _, name := range []string{"carrier", "city"} {
		n.issue(name, &x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature, ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 26}, Value: []byte("\x30\x08\xa0\x06\x16\x04709J")}}}) // RFC 8226 §9: a provider code
	}
	return n
}

// issue writes NAME.pem and NAME.key, signed by the root, or by itself when there is none yet.
func (n *notary) issue(name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	n.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(n.t, err)
	c.SerialNumber, c.Subject, c.BasicConstraintsValid = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}, true
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, by := n.root, n.key
	if parent == nil {
		parent, by = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	must(n.t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(n.t, err)
	must(n.t, os.WriteFile(n.file(name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(n.t, os.WriteFile(n.file(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	made, err := x509.ParseCertificate(der)
	must(n.t, err)
	return made, key
}

func (n *notary) file(name string) string { return filepath.Join(n.dir, name) }

// publish serves the certificates until the end of the test, and says how they are fetched from here.
func (n *notary) publish() stir.Fetch {
	n.t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow.pem" {
			n.slow <- struct{}{}
			<-r.Context().Done()
			return
		}
		http.ServeFile(w, r, n.file(filepath.Base(r.URL.Path)))
	}))
	must(n.t, server.Listener.Close())
	var err error
	server.Listener, err = net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(published), Port: publishedPort})
	must(n.t, err)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	n.t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return stir.Fetch{TLSRoots: pool, Resolver: n}
}

// LookupNetIP implements stir.Resolver.
func (n *notary) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr(published)}, nil
}

// signs is what the carrier writes into the Identity header of a call from that number to 311.
func (n *notary) signs(number, certificate string) string {
	n.t.Helper()
	s, err := stir.NewSigner(stir.Credential{URL: publishedAt + certificate, ChainFile: n.file("carrier.pem"), KeyFile: n.file("carrier.key")})
	must(n.t, err)
	header, err := s.Sign(stir.Order{At: time.Now(), Lend: func(use func(string)) { use(number) }, Dest: []string{"311"}, Attest: call.AttestFull,
		OrigID: "123e4567-e89b-12d3-a456-426655440000"})
	must(n.t, err)
	return header
}

// openSignedTown is openTown with a city that believes the notary and signs by it.
func openSignedTown(t *testing.T) (*node, *outside, *notary, stir.Fetch) {
	t.Helper()
	notary, o := openNotary(t), openOutside(t, "127.0.0.32")
	fetch := notary.publish()
	cfg := testConfig(t, t.TempDir())
	cfg.STIR = STIRConfig{RootsFile: Path(notary.file("root.pem")), MaxAge: time.Minute, Wait: time.Second, Fetch: fetch,
		FetchAllow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	cfg.Cities[0].reaches(o)
	cfg.Cities[0].ANI.Sign = SignConfig{URL: publishedAt + "city.pem", ChainFile: Path(notary.file("city.pem")), KeyFile: SecretFile(notary.file("city.key"))}
	cfg.placeStores()
	return openNode(t, cfg, nil).run(), o, notary, fetch
}

// signedBy is a caller whose call has that Identity header, or none.
func signedBy(header string) phone.Options {
	o := presentCaller()
	if header != "" {
		o.Headers = map[string]string{"Identity": header}
	}
	return o
}

// TestSignedCallers: what the signature on a call comes to, in record and ledger. Whatever it is, the call is served.
func TestSignedCallers(t *testing.T) {
	t.Parallel()
	n, beyond, notary, fetch := openSignedTown(t)
	for _, test := range []struct {
		name, identity string
		verstat        call.Verstat
		attest         call.Attestation
		stir           string
	}{
		{"right", notary.signs("12125550142", "carrier.pem"), call.VerstatPassed, call.AttestFull, "ok"},
		{"for another caller", notary.signs("16465550163", "carrier.pem"), call.VerstatFailed, call.AttestNone, "orig-mismatch"},
		{"by another's certificate", notary.signs("12125550142", "city.pem"), call.VerstatFailed, call.AttestNone, "bad-signature"},
		{"by one that does not come", notary.signs("12125550142", "slow.pem"), call.VerstatNone, call.AttestNone, "certificate-unreachable"},
		{"not signed", "", call.VerstatNone, call.AttestNone, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := len(n.records("aspen"))
			s := n.stage(t)
			s.agent("aspen-1", answers())
			caller := s.dialFrom("127.0.0.1", "311", signedBy(test.identity))
			caller.served()
			caller.hangUp()
			r := n.recordsAfter("aspen", before, 1)[0]
			if r.Verstat != test.verstat || r.Attest != test.attest {
				t.Errorf("record has %q and %q, want %q and %q", r.Verstat, r.Attest, test.verstat, test.attest)
			}
			if why := n.routingFact(t, r.ID, "stir"); why != test.stir {
				t.Errorf("the ledger says %q, want %q", why, test.stir)
			}
		})
	}
	t.Run("the order is that of the calls", func(t *testing.T) { sameOrder(t, n, notary) })
	t.Run("sent on", func(t *testing.T) { sentOn(t, n, beyond, notary, fetch) })
	if len(notary.slow) != 1 {
		t.Errorf("%d fetches of the certificate that does not come, want 1", len(notary.slow))
	}
}

// routingFact is a fact of the leaf by which a call was routed.
func (n *node) routingFact(t *testing.T, id call.ID, name string) string {
	t.Helper()
	for _, leaf := range n.leaves(t, "aspen", id) {
		if leaf.Facts["row"] == "D01" {
			return leaf.Facts[name]
		}
	}
	t.Errorf("no leaf about routing %s", id)
	return ""
}

// sameOrder has a caller with a wrong signature before one with a right one: they are served in that order.
func sameOrder(t *testing.T, n *node, notary *notary) {
	before := len(n.records("aspen"))
	s := n.stage(t)
	wrong := s.dialFrom("127.0.0.1", "311", signedBy(notary.signs("16465550163", "carrier.pem"))).queued()
	right := s.dialFrom("127.0.0.1", "311", signedBy(notary.signs("12125550142", "carrier.pem"))).queued()
	s.agent("aspen-1", answers())
	wrong.served()
	wrong.hangUp()
	right.served()
	right.hangUp()
	r := n.recordsAfter("aspen", before, 2)
	if r[0].Verstat != call.VerstatFailed || r[1].Verstat != call.VerstatPassed {
		t.Errorf("first %s, then %s", asJSON(r[0]), asJSON(r[1]))
	}
}

// sentOn carries a signed call on: whoever gets it can check the carrier's signature and the city's behind it, and that
// the carrier's alone is not for them.
func sentOn(t *testing.T, n *node, beyond *outside, notary *notary, fetch stir.Fetch) {
	s := n.stage(t)
	there := s.answering(beyond, answers())
	s.agent("aspen-1", answers())
	theirs := notary.signs("12125550142", "carrier.pem")
	caller := s.dialFrom("127.0.0.1", "311", signedBy(theirs))
	caller.served()
	n.agrees(t, caller.id)
	must(t, n.board.Transfer(n.ctx(), call.TransferOrder{City: "aspen", Call: caller.id, By: "agent:aspen-1", Agent: "aspen-1", Partner: "power", Spoken: true}))
	partner := there.ring()
	claim := stir.Claim{Date: partner.Header("Date"), At: time.Now(), Caller: func(tn string) bool { return tn == "12125550142" }, Dialled: []string{"+12125550111"}}
	for line := range strings.SplitSeq(partner.Invite(), "\r\n") {
		if value, ok := strings.CutPrefix(line, "Identity: "); ok {
			claim.Identity = append(claim.Identity, value)
		}
	}
	if len(claim.Identity) != 2 || claim.Identity[0] != theirs {
		t.Fatalf("Identity headers: %d", len(claim.Identity))
	}
	fetch.Allow = []netip.Prefix{netip.MustParsePrefix(published + "/32")}
	next, err := stir.New(stir.Config{Roots: []*x509.Certificate{notary.root}, Fetch: fetch})
	must(t, err)
	defer next.Close()
	if got := next.Verify(t.Context(), claim); got.Verstat != call.VerstatPassed || got.Attest != call.AttestFull || !got.Diverted {
		t.Errorf("the next finds %+v", got)
	}
	claim.Identity = claim.Identity[:1]
	if got := next.Verify(t.Context(), claim); got.Why != stir.DestMismatch {
		t.Errorf("without the city's signature the next finds %+v", got)
	}
	caller.hangUp()
	partner.over()
}
