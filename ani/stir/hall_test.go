package stir

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The parties of the tests: nobody's numbers.
const (
	caller  = "12125550142"
	dialled = "12125550199"
	first   = "12125550111" // dialled first, and sent on to us
	other   = "16465550163"
	origID  = "123e4567-e89b-12d3-a456-426655440000"
)

// callTime is when every call of the tests comes.
var callTime = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// authority is a certificate with its key.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var serials atomic.Int64

// template is a certificate valid for a day around the call.
func template(name string) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(serials.Add(1) + 1000), Subject: pkix.Name{CommonName: name, Organization: []string{"Test"}},
		NotBefore: callTime.Add(-12 * time.Hour), NotAfter: callTime.Add(12 * time.Hour), BasicConstraintsValid: true}
}

// issue signs a template; nil signs itself.
func issue(t *x509.Certificate, by *authority) *authority {
	a := &authority{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	parent, signer := t, a.key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der := must(x509.CreateCertificate(rand.Reader, t, parent, &a.key.PublicKey, signer))
	a.cert = must(x509.ParseCertificate(der))
	return a
}

func newAuthority(name string, by *authority, change ...func(*x509.Certificate)) *authority {
	t := template(name)
	t.IsCA, t.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	t.SubjectKeyId = []byte(name)
	for _, c := range change {
		c(t)
	}
	return issue(t, by)
}

// tnAuthList builds a TNAuthList from entries.
func tnAuthList(entries ...[]byte) pkix.Extension {
	return pkix.Extension{Id: oidTNAuthList, Value: wrap(asn1.ClassUniversal, asn1.TagSequence, true, entries...)}
}

func wrap(class, tag int, compound bool, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	return must(asn1.Marshal(asn1.RawValue{Class: class, Tag: tag, IsCompound: compound, Bytes: body}))
}

func ia5(s string) []byte { return wrap(asn1.ClassUniversal, asn1.TagIA5String, false, []byte(s)) }

func spc(code string) []byte { return wrap(asn1.ClassContextSpecific, 0, true, ia5(code)) }
func one(tn string) []byte   { return wrap(asn1.ClassContextSpecific, 2, true, ia5(tn)) }
func span(start string, count int) []byte {
	return wrap(asn1.ClassContextSpecific, 1, true, wrap(asn1.ClassUniversal, asn1.TagSequence, true, ia5(start), must(asn1.Marshal(count))))
}

// leafTemplate is a carrier's certificate as ATIS-1000080 wants it, with a provider code.
func leafTemplate() *x509.Certificate {
	t := template("SHAKEN 709J")
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtraExtensions = []pkix.Extension{tnAuthList(spc("709J"))}
	return t
}

func pemOf(certs ...*x509.Certificate) []byte {
	var b []byte
	for _, c := range certs {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}

// The authorities of all tests: making keys is slow.
var pki = sync.OnceValue(func() (p struct{ root, middle, leaf, stranger *authority }) {
	p.root = newAuthority("Root", nil)
	p.middle = newAuthority("Authority", p.root)
	p.leaf = issue(leafTemplate(), p.middle)
	p.stranger = newAuthority("Stranger", nil)
	return p
})

// hall is a verifier with a repository of certificates on loopback. Its clock stands at callTime until it is moved.
type hall struct {
	testing.TB
	v      *Verifier
	server *httptest.Server
	port   string

	mu       sync.Mutex
	clock    time.Time
	pages    map[string]http.HandlerFunc
	requests map[string]int
	names    map[string][][]netip.Addr // one answer after the other; the last one stays
	registry *prometheus.Registry
}

func newHall(t testing.TB, change ...func(*Config)) *hall {
	h := &hall{TB: t, clock: callTime, pages: map[string]http.HandlerFunc{}, requests: map[string]int{},
		names: map[string][][]netip.Addr{"example.com": {{netip.MustParseAddr("127.0.0.1")}}}, registry: prometheus.NewRegistry()}
	h.server = httptest.NewUnstartedServer(http.HandlerFunc(h.serve))
	h.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	h.server.StartTLS()
	t.Cleanup(h.server.Close)
	h.port = must(url.Parse(h.server.URL)).Port()
	pool := x509.NewCertPool()
	pool.AddCert(h.server.Certificate())
	conf := Config{Roots: []*x509.Certificate{pki().root.cert}, Now: h.now, Registry: h.registry, Wait: 5 * time.Second,
		Fetch: Fetch{Timeout: 5 * time.Second, Ports: []uint16{uint16(must(strconv.Atoi(h.port)))}, TLSRoots: pool,
			Resolver: h, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}}
	for _, c := range change {
		c(&conf)
	}
	var err error
	if h.v, err = New(conf); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.v.Close)
	h.page("/cert.pem", pemOf(pki().leaf.cert, pki().middle.cert))
	return h
}

func (h *hall) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock
}

func (h *hall) advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock = h.clock.Add(d)
}

func (h *hall) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.requests[r.URL.Path]++
	page := h.pages[r.URL.Path]
	h.mu.Unlock()
	if page == nil {
		http.NotFound(w, r)
		return
	}
	page(w, r)
}

// page serves a body at a path.
func (h *hall) page(path string, body []byte) {
	h.handle(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
}

func (h *hall) handle(path string, f http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pages[path] = f
}

func (h *hall) asked(path string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.requests[path]
}

// LookupNetIP is Resolver's.
func (h *hall) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	answers := h.names[host]
	if len(answers) == 0 {
		return nil, fmt.Errorf("no such host %s", host)
	}
	if len(answers) > 1 {
		h.names[host] = answers[1:]
	}
	return answers[0], nil
}

func (h *hall) url(path string) string { return "https://example.com:" + h.port + path }

// vector is one token before it is signed, and the call that brings it.
type vector struct {
	h            *hall
	head, claims string
	url          string
	params       string // "" for those that belong to the token
	key          *ecdsa.PrivateKey
	claim        Claim
	signed       func(string) string // may spoil the token after it has been signed
}

// shaken is a call that verifies with attestation A, after the example of RFC 8588 §6.
func (h *hall) shaken() *vector {
	v := &vector{h: h, url: h.url("/cert.pem"), key: pki().leaf.key}
	v.head = `{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"` + v.url + `"}`
	v.claims = `{"attest":"A","dest":{"tn":["` + dialled + `"]},"iat":` + fmt.Sprint(callTime.Unix()-3) + `,"orig":{"tn":"` + caller +
		`"},"origid":"` + origID + `"}`
	v.claim = Claim{At: callTime, Caller: func(tn string) bool { return tn == caller }, Dialled: []string{"+" + dialled, "311"}}
	return v
}

// swap replaces in header, claims and address.
func (v *vector) swap(old, with string) *vector {
	if !strings.Contains(v.head+v.claims, old) {
		v.h.Fatalf("%q is not in the token", old)
	}
	v.head, v.claims, v.url = strings.ReplaceAll(v.head, old, with), strings.ReplaceAll(v.claims, old, with), strings.ReplaceAll(v.url, old, with)
	return v
}

// certs serves other certificates at another path and signs with that key.
func (v *vector) certs(key *ecdsa.PrivateKey, certs ...*x509.Certificate) *vector {
	v.h.page("/other.pem", pemOf(certs...))
	v.key = key
	return v.swap("/cert.pem", "/other.pem")
}

// leaf is certs with a new leaf below the authority.
func (v *vector) leaf(change func(*x509.Certificate)) *vector {
	t := leafTemplate()
	change(t)
	a := issue(t, pki().middle)
	return v.certs(a.key, a.cert, pki().middle.cert)
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func sign(key *ecdsa.PrivateKey, signed string) string {
	digest := sha256.Sum256([]byte(signed))
	r, s := must2(ecdsa.Sign(rand.Reader, key, digest[:]))
	var b [64]byte
	r.FillBytes(b[:32])
	s.FillBytes(b[32:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

// header is the Identity header's value.
func (v *vector) header() string {
	token := b64(v.head) + "." + b64(v.claims)
	token += "." + sign(v.key, token)
	if v.signed != nil {
		token = v.signed(token)
	}
	params := v.params
	if params == "" {
		params = ";info=<" + v.url + ">;alg=ES256;ppt=shaken"
	}
	return token + params
}

// verify sends the call, and fails where anything of the result or the metrics has a party's number.
func (v *vector) verify() Result {
	if v.claim.Identity == nil {
		v.claim.Identity = []string{v.header()}
	}
	return v.h.verify(v.claim)
}

// verify leaves out what may go on, which TestWhatMayGoOn is about.
func (h *hall) verify(c Claim) Result {
	h.Helper()
	res := h.v.Verify(h.Context(), c)
	seen := fmt.Sprintf("%+v %+v %+v", res, c, must(h.registry.Gather()))
	for _, tn := range []string{caller, dialled, first, other} {
		if strings.Contains(seen, tn[4:]) {
			h.Errorf("a number shows: %s", seen)
		}
	}
	res.Onward = Onward{}
	return res
}
