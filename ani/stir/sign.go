package stir

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"callhall/call"
)

// Credential is what a city signs with.
type Credential struct {
	URL       string // where others fetch the certificate: HTTPS, port 443 or 8443
	ChainFile string // the same certificate, PEM, leaf first, to check the key against
	KeyFile   string // its P-256 key, PEM (PKCS #8 or SEC 1); closed to other users
}

// Signer signs calls that the city sends on. It is safe for use by many calls at once.
type Signer struct {
	url   string
	key   *ecdsa.PrivateKey
	leaf  *x509.Certificate
	scope scope
}

// NewSigner reads the credential and checks that its parts belong together. Errors name the file and never its content.
func NewSigner(c Credential) (*Signer, error) {
	if _, ok := location(c.URL, []uint16{443, 8443}); !ok || strings.ContainsAny(c.URL, `"\<>;`) {
		return nil, errors.New("stir: the certificate's URL is not https on port 443 or 8443")
	}
	certs, err := ReadCertificates(c.ChainFile)
	if err != nil {
		return nil, fmt.Errorf("stir: %w", err)
	}
	key, err := readKey(c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("stir: key %s: %w", c.KeyFile, err)
	}
	if !key.PublicKey.Equal(certs[0].PublicKey) {
		return nil, fmt.Errorf("stir: key %s is not that of the first certificate in %s", c.KeyFile, c.ChainFile)
	}
	s, found := scopeOf(certs[0])
	if !found {
		return nil, fmt.Errorf("stir: the first certificate in %s has no TNAuthList", c.ChainFile)
	}
	return &Signer{url: c.URL, key: key, leaf: certs[0], scope: s}, nil
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o037 != 0 {
		return nil, fmt.Errorf("it may be read by others (mode %04o): chmod 600 it", info.Mode().Perm())
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(body)
	block, rest := pem.Decode(body)
	if block != nil && block.Type == "EC PARAMETERS" { // openssl writes them in front
		block, _ = pem.Decode(rest)
	}
	if block == nil {
		return nil, errors.New("not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		parsed, err = x509.ParseECPrivateKey(block.Bytes)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || key == nil || key.Curve != elliptic.P256() {
		return nil, errors.New("not a P-256 key")
	}
	return key, nil
}

// Order says what is to be signed.
type Order struct {
	At time.Time // iat; the request's Date header must say the same second
	// Lend runs use once with the caller's number in canonical form and returns when use has.
	Lend func(use func(tn string))
	Dest []string // who is called: numbers in any spelling, or URIs
	// Div is our number that the call came to, for a call that we send on (RFC 8946): the token then says who sent it on
	// and nothing of how the caller is known, and the Identity headers that the call brought go out before it.
	Div    string
	Attest call.Attestation // without Div: A, B or C (RFC 8588 §4)
	OrigID string           // without Div: a UUID (RFC 8588 §5)
}

// Errors of Sign.
var (
	ErrExpired       = errors.New("the certificate is not valid now")
	ErrNotAuthorised = errors.New("the certificate does not cover the number")
	ErrOrder         = errors.New("the order cannot be signed")
)

// Sign returns the value of an Identity header in full form (RFC 8224 §4). It holds the caller's number: seal it until it
// stands in the request. Errors: ErrExpired, ErrNotAuthorised, and ErrOrder for an order that lacks something.
func (s *Signer) Sign(o Order) (header string, err error) {
	if o.At.Before(s.leaf.NotBefore) || o.At.After(s.leaf.NotAfter) {
		return "", ErrExpired
	}
	if o.Lend == nil {
		return "", ErrOrder
	}
	err = ErrOrder // for nobody having lent a number
	o.Lend(func(tn string) {
		var kind, claims string
		if kind, claims, err = s.claims(o, tn); err == nil {
			header, err = s.seal(kind, claims)
		}
	})
	return header, err
}

// claims writes the payload in canonical form (RFC 8225 §9): members in order, no white space.
func (s *Signer) claims(o Order, orig string) (kind, claims string, err error) {
	if !plainNumber(orig) || len(o.Dest) == 0 || slices.Contains(o.Dest, "") {
		return "", "", ErrOrder
	}
	dest := `"dest":` + destination(addresses(o.Dest))
	tail := `"iat":` + strconv.FormatInt(o.At.Unix(), 10) + `,"orig":{"tn":` + quoted(orig) + `}`
	if o.Div != "" {
		div, ok := canonical(o.Div)
		if !ok {
			return "", "", ErrOrder
		}
		return kindDiv, `{` + dest + `,"div":{"tn":` + quoted(div) + `},` + tail + `}`, s.permit(div)
	}
	if strength(o.Attest) == 0 || presentable(o.OrigID, orig, addresses(o.Dest)) == "" {
		return "", "", ErrOrder
	}
	return kindShaken, `{"attest":` + quoted(string(o.Attest)) + `,` + dest + `,` + tail + `,"origid":` + quoted(o.OrigID) + `}`, s.permit(orig)
}

func (s *Signer) permit(tn string) error {
	if !s.scope.covers(tn) {
		return ErrNotAuthorised
	}
	return nil
}

// seal signs header and claims and adds what the Identity header says besides.
func (s *Signer) seal(kind, claims string) (string, error) {
	signed := encode(`{"alg":"ES256","ppt":`+quoted(kind)+`,"typ":"passport","x5u":`+quoted(s.url)+`}`, claims)
	digest := sha256.Sum256(signed)
	r, sum, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		return "", fmt.Errorf("stir: sign: %w", err)
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	sum.FillBytes(signature[32:])
	return string(signed) + "." + base64.RawURLEncoding.EncodeToString(signature[:]) +
		";info=<" + s.url + ">;alg=ES256;ppt=" + kind, nil
}

// encode joins header and claims as they are signed (RFC 7515 §7.1).
func encode(head, claims string) []byte {
	b := base64.RawURLEncoding.AppendEncode(nil, []byte(head))
	return base64.RawURLEncoding.AppendEncode(append(b, '.'), []byte(claims))
}

// destination writes the dest claim (RFC 8225 §5.2.1): numbers, and URIs behind them.
func destination(list []string) string {
	var numbers, uris []string
	for _, d := range list {
		if plainNumber(d) {
			numbers = append(numbers, quoted(d))
		} else {
			uris = append(uris, quoted(d))
		}
	}
	var parts []string
	if len(numbers) > 0 {
		parts = append(parts, `"tn":[`+strings.Join(numbers, ",")+`]`)
	}
	if len(uris) > 0 {
		parts = append(parts, `"uri":[`+strings.Join(uris, ",")+`]`)
	}
	return `{` + strings.Join(parts, ",") + `}`
}

// quoted writes a JSON string as RFC 8225 §9 wants it, with no more escapes than JSON needs.
func quoted(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // a string can always be written
	}
	return strings.TrimSuffix(b.String(), "\n")
}
