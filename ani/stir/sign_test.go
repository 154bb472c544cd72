package stir

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"callhall/call"
)

func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func write(t testing.TB, name string, mode os.FileMode, body []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, body, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func keyPEM(key *ecdsa.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))})
}

// credential is the carrier's, whose certificate is served at the hall's /cert.pem.
func credential(t testing.TB) Credential {
	return Credential{URL: "https://example.com/cert.pem", KeyFile: write(t, "key.pem", 0o600, keyPEM(pki().leaf.key)),
		ChainFile: write(t, "chain.pem", 0o644, pemOf(pki().leaf.cert, pki().middle.cert))}
}

// newSigner signs for the hall, on its port.
func newSigner(h *hall) *Signer {
	s := must(NewSigner(credential(h)))
	s.url = h.url("/cert.pem")
	return s
}

func order() Order {
	return Order{At: callTime, Lend: func(use func(string)) { use(caller) }, Dest: []string{"+1 (212) 555-0199"}, Attest: call.AttestGateway, OrigID: origID}
}

// TestSign: what we sign, we believe; header and claims are in the one canonical order (RFC 8225 §9, RFC 8588 §8).
func TestSign(t *testing.T) {
	h := newHall(t)
	s := newSigner(h)
	header := must(s.Sign(order()))
	v := h.shaken()
	v.claim.Identity = []string{header}
	if got := v.verify(); got != (Result{Verstat: call.VerstatPassed, Attest: "C", OrigID: origID}) {
		t.Errorf("got %+v", got)
	}
	parts := strings.Split(header, ".")
	claims := fmt.Sprintf(`{"attest":"C","dest":{"tn":["%s"]},"iat":%d,"orig":{"tn":"%s"},"origid":"%s"}`, dialled, callTime.Unix(), caller, origID)
	if parts[0] != b64(v.head) || parts[1] != b64(claims) || !strings.HasSuffix(header, ";info=<"+v.url+">;alg=ES256;ppt=shaken") {
		t.Errorf("not canonical: %s", header)
	}
}

// TestSignDiverted: a call that came to us and goes on, with what it brought and our word behind it (RFC 8946 §4).
func TestSignDiverted(t *testing.T) {
	h := newHall(t)
	brought := h.shaken().header()
	o := order()
	o.Div, o.Dest, o.Attest, o.OrigID = "+"+dialled, []string{other, "sip:line@example.com"}, "", ""
	header := must(newSigner(h).Sign(o))
	claims := fmt.Sprintf(`{"dest":{"tn":["%s"],"uri":["sip:line@example.com"]},"div":{"tn":"%s"},"iat":%d,"orig":{"tn":"%s"}}`, other, dialled, callTime.Unix(), caller)
	if strings.Split(header, ".")[1] != b64(claims) {
		t.Errorf("not canonical: %s", header)
	}
	c := h.shaken().claim
	c.Identity, c.Dialled = []string{brought, header}, []string{other}
	if got := h.verify(c); got != (Result{Verstat: call.VerstatPassed, Attest: "A", OrigID: origID, Diverted: true}) {
		t.Errorf("got %+v", got)
	}
}

// TestSignRefuses: what cannot be signed, and that the error shows nobody.
func TestSignRefuses(t *testing.T) {
	h := newHall(t)
	for name, row := range map[string]struct {
		want   error
		change func(*Order)
	}{
		"nobody lends":  {ErrOrder, func(o *Order) { o.Lend = nil }},
		"nothing lent":  {ErrOrder, func(o *Order) { o.Lend = func(func(string)) {} }},
		"no number":     {ErrOrder, func(o *Order) { o.Lend = func(use func(string)) { use("anonymous") } }},
		"nobody called": {ErrOrder, func(o *Order) { o.Dest = nil }},
		"empty called":  {ErrOrder, func(o *Order) { o.Dest = []string{""} }},
		"no attest":     {ErrOrder, func(o *Order) { o.Attest = "" }},
		"no origid":     {ErrOrder, func(o *Order) { o.OrigID = "" }},
		"origid":        {ErrOrder, func(o *Order) { o.OrigID = "00000000-0000-4000-8000-0" + caller }},
		"origid, dest":  {ErrOrder, func(o *Order) { o.OrigID = "00000000-0000-4000-8000-0" + dialled }},
		"div":           {ErrOrder, func(o *Order) { o.Div = "desk" }},
		"later":         {ErrExpired, func(o *Order) { o.At = pki().leaf.cert.NotAfter.Add(1) }},
		"earlier":       {ErrExpired, func(o *Order) { o.At = pki().leaf.cert.NotBefore.Add(-1) }},
	} {
		o := order()
		row.change(&o)
		header, err := newSigner(h).Sign(o)
		if !errors.Is(err, row.want) || header != "" || strings.Contains(err.Error(), caller[4:]) {
			t.Errorf("%s: %q %v", name, header, err)
		}
	}
	s := newSigner(h)
	s.scope = scope{ones: []string{dialled}}
	if _, err := s.Sign(order()); !errors.Is(err, ErrNotAuthorised) {
		t.Error("not our number", err)
	}
	o := order()
	o.Div = dialled
	if _, err := s.Sign(o); err != nil {
		t.Error("it is our number that the call came to", err)
	}
}

// TestNewSignerRefuses: each part of a credential, and that no error shows the key.
func TestNewSignerRefuses(t *testing.T) {
	large := must(x509.MarshalPKCS8PrivateKey(must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))))
	plain := issue(template("plain"), pki().middle)
	for name, change := range map[string]func(*Credential){
		"http":          func(c *Credential) { c.URL = "http://example.com/cert.pem" },
		"other port":    func(c *Credential) { c.URL = "https://example.com:444/cert.pem" },
		"breaks out":    func(c *Credential) { c.URL = "https://example.com/a>;ppt=x" },
		"no chain":      func(c *Credential) { c.ChainFile = "none" },
		"no key":        func(c *Credential) { c.KeyFile = "none" },
		"another key":   func(c *Credential) { c.KeyFile = write(t, "k", 0o600, keyPEM(pki().stranger.key)) },
		"readable":      func(c *Credential) { c.KeyFile = write(t, "k", 0o604, keyPEM(pki().leaf.key)) },
		"not PEM":       func(c *Credential) { c.KeyFile = write(t, "k", 0o600, []byte("x")) },
		"a certificate": func(c *Credential) { c.KeyFile = write(t, "k", 0o600, pemOf(pki().leaf.cert)) },
		"P-384": func(c *Credential) {
			c.KeyFile = write(t, "k", 0o600, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: large}))
		},
		"no TNAuthList": func(c *Credential) {
			c.ChainFile, c.KeyFile = write(t, "c", 0o600, pemOf(plain.cert)), write(t, "k", 0o600, keyPEM(plain.key))
		},
		"key, not chain": func(c *Credential) { c.ChainFile = c.KeyFile },
	} {
		c := credential(t)
		change(&c)
		s, err := NewSigner(c)
		if err == nil || s != nil {
			t.Errorf("%s: taken", name)
		}
	}
	c := credential(t)
	params := []byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n")
	c.KeyFile = write(t, "k", 0o640, append(params, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: must(x509.MarshalECPrivateKey(pki().leaf.key))})...))
	if _, err := NewSigner(c); err != nil {
		t.Error("as openssl writes it:", err)
	}
}
