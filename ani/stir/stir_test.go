package stir

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"callhall/call"
)

// TestShaken: the good call, and what may differ from it.
func TestShaken(t *testing.T) {
	for name, change := range map[string]func(*vector){
		"as it is":              func(v *vector) {},
		"59 s old":              func(v *vector) { v.swap(fmt.Sprint(callTime.Unix()-3), fmt.Sprint(callTime.Unix()-59)) },
		"60 s old":              func(v *vector) { v.swap(fmt.Sprint(callTime.Unix()-3), fmt.Sprint(callTime.Unix()-60)) },
		"10 s ahead":            func(v *vector) { v.swap(fmt.Sprint(callTime.Unix()-3), fmt.Sprint(callTime.Unix()+10)) },
		"fresh Date":            func(v *vector) { v.claim.Date = callTime.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT") },
		"unreadable Date":       func(v *vector) { v.claim.Date = "yesterday" },
		"quoted, spaced":        func(v *vector) { v.params = ` ; info = <` + v.url + `> ; alg="ES256" ;PPT="shaken";x=y;z` },
		"no alg, no ppt":        func(v *vector) { v.params = ";info=<" + v.url + ">" },
		"other member order":    func(v *vector) { v.head = `{"x5u":"` + v.url + `", "typ":"passport","ppt":"shaken","alg":"ES256"}` },
		"more claims":           func(v *vector) { v.swap(`"attest"`, `"rcd":{"nam":"x"},"attest"`) },
		"plus in tn":            func(v *vector) { v.swap(`"`+caller, `"+`+caller) },
		"one of several called": func(v *vector) { v.swap(`["`, `["`+other+`","`) },
		"311":                   func(v *vector) { v.swap(`"`+dialled+`"`, `"311"`) },
		"service urn": func(v *vector) {
			v.swap(`{"tn":["`+dialled+`"]}`, `{"uri":["URN:service:sos"]}`)
			v.claim.Dialled = []string{"urn:service:sos"}
		},
		"range holds the caller": func(v *vector) { v.leaf(numbers(span("12125550100", 100))) },
		"one number":             func(v *vector) { v.leaf(numbers(one(other), one(caller))) },
		"critical list": func(v *vector) {
			v.leaf(func(c *x509.Certificate) { c.ExtraExtensions[0].Critical = true })
		},
		"DER, leaf below the root": func(v *vector) {
			a := issue(leafTemplate(), pki().root)
			v.key = a.key
			v.h.page("/der", a.cert.Raw)
			v.swap("/cert.pem", "/der")
		},
		"root served too": func(v *vector) {
			v.certs(pki().leaf.key, pki().leaf.cert, pki().middle.cert, pki().root.cert)
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newHall(t).shaken()
			change(v)
			want := Result{Verstat: call.VerstatPassed, Attest: "A", OrigID: origID, Why: OK}
			if name == "311" {
				want.Dialled = 1
			}
			if got := v.verify(); got != want {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// numbers gives a certificate another TNAuthList.
func numbers(entries ...[]byte) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{tnAuthList(entries...)} }
}

// TestNotBelieved: each check, with a call that fails it alone.
func TestNotBelieved(t *testing.T) {
	for name, row := range map[string]struct {
		want   Reason
		change func(*vector)
	}{
		"no header":         {None, func(v *vector) { v.claim.Identity = []string{} }},
		"too many headers":  {TooLarge, func(v *vector) { v.claim.Identity = slices.Repeat([]string{v.header()}, 9) }},
		"oversize":          {TooLarge, func(v *vector) { v.swap(`"attest"`, `"x":"`+strings.Repeat("x", 7000)+`","attest"`) }},
		"empty":             {Malformed, func(v *vector) { v.claim.Identity = []string{""} }},
		"garbage":           {Malformed, func(v *vector) { v.claim.Identity = []string{"\x00;info=<x>"} }},
		"no info":           {Malformed, func(v *vector) { v.params = ";alg=ES256" }},
		"info without <>":   {Malformed, func(v *vector) { v.params = ";info=" + v.url }},
		"info twice":        {Malformed, func(v *vector) { v.params = ";info=<" + v.url + ">;info=<" + v.url + ">" }},
		"info is not x5u":   {Malformed, func(v *vector) { v.params = ";info=<" + v.url + "x>" }},
		"ppt is not ppt":    {Malformed, func(v *vector) { v.params = ";info=<" + v.url + ">;ppt=div" }},
		"two parts":         {Malformed, func(v *vector) { v.signed = func(s string) string { return s[:strings.LastIndex(s, ".")] } }},
		"four parts":        {Malformed, func(v *vector) { v.signed = func(s string) string { return s + ".x" } }},
		"half compact":      {Malformed, func(v *vector) { v.signed = func(s string) string { return s[strings.Index(s, "."):] } }},
		"short signature":   {Malformed, func(v *vector) { v.signed = func(s string) string { return s[:len(s)-4] } }},
		"padded":            {Malformed, func(v *vector) { v.signed = func(s string) string { return s + "==" } }},
		"base64 bits over":  {Malformed, func(v *vector) { v.signed = looseBits }},
		"standard base64":   {Malformed, func(v *vector) { v.signed = func(s string) string { return strings.Repeat("+", 1) + s[1:] } }},
		"member twice":      {Malformed, func(v *vector) { v.swap(`"attest":"A"`, `"attest":"C","attest":"A"`) }},
		"header twice":      {Malformed, func(v *vector) { v.swap(`"typ"`, `"alg":"ES256","typ"`) }},
		"orig twice":        {Malformed, func(v *vector) { v.swap(`"orig":{`, `"orig":{"tn":"`+other+`",`) }},
		"escaped twice":     {Malformed, func(v *vector) { v.swap(`"attest":"A"`, `"\u0061ttest":"C","attest":"A"`) }},
		"other case":        {Malformed, func(v *vector) { v.swap(`"iat"`, `"IAT"`) }},
		"behind the object": {Malformed, func(v *vector) { v.claims += "{}" }},
		"not UTF-8":         {Malformed, func(v *vector) { v.swap(`"attest"`, "\"x\":\"\xff\",\"attest\"") }},
		"array":             {Malformed, func(v *vector) { v.claims = "[" + v.claims + "]" }},
		"typ":               {Malformed, func(v *vector) { v.swap(`"typ":"passport"`, `"typ":"JWT"`) }},
		"no typ":            {Malformed, func(v *vector) { v.swap(`,"typ":"passport"`, ``) }},
		"no x5u":            {Malformed, func(v *vector) { v.head = `{"alg":"ES256","ppt":"shaken","typ":"passport"}` }},
		"alg":               {Unsupported, func(v *vector) { v.swap(`"alg":"ES256"`, `"alg":"ES384"`) }},
		"alg none":          {Unsupported, func(v *vector) { v.swap(`"alg":"ES256"`, `"alg":"none"`) }},
		"alg in header":     {Unsupported, func(v *vector) { v.params = ";info=<" + v.url + ">;alg=HS256" }},
		"crit":              {Unsupported, func(v *vector) { v.swap(`"typ"`, `"crit":["b64"],"typ"`) }},
		"kind":              {Unsupported, func(v *vector) { v.swap(`shaken`, `rph`).params = ";info=<" + v.url + ">" }},
		"attest":            {Malformed, func(v *vector) { v.swap(`"attest":"A"`, `"attest":"D"`) }},
		"no attest":         {Malformed, func(v *vector) { v.swap(`"attest":"A",`, ``) }},
		"no origid":         {Malformed, func(v *vector) { v.swap(`,"origid":"`+origID+`"`, ``) }},
		"iat is text":       {Malformed, func(v *vector) { v.swap(fmt.Sprint(callTime.Unix()-3), `"`+fmt.Sprint(callTime.Unix()-3)+`"`) }},
		"iat is a fraction": {Malformed, func(v *vector) { v.swap(fmt.Sprint(callTime.Unix()-3), fmt.Sprint(callTime.Unix()-3)+".5") }},
		"no dest":           {Malformed, func(v *vector) { v.swap(`{"tn":["`+dialled+`"]}`, `{}`) }},
		"dest no array":     {Malformed, func(v *vector) { v.swap(`["`+dialled+`"]`, `"`+dialled+`"`) }},
		"orig no number":    {Malformed, func(v *vector) { v.swap(`"`+caller+`"`, `"ana"`) }},
		"orig too long":     {Malformed, func(v *vector) { v.swap(`"`+caller+`"`, `"`+caller+`00000"`) }},
		"stale":             {Stale, func(v *vector) { v.swap(fmt.Sprint(callTime.Unix()-3), fmt.Sprint(callTime.Unix()-61)) }},
		"future":            {Stale, func(v *vector) { v.swap(fmt.Sprint(callTime.Unix()-3), fmt.Sprint(callTime.Unix()+11)) }},
		"stale Date": {Stale, func(v *vector) {
			v.claim.Date = callTime.Add(-2 * time.Minute).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
		}},
		"wrong orig":    {OrigMismatch, func(v *vector) { v.swap(`"`+caller+`"`, `"`+other+`"`) }},
		"orig is a URI": {OrigMismatch, func(v *vector) { v.swap(`"orig":{"tn":"`+caller+`"`, `"orig":{"uri":"sip:ana@example.com"`) }},
		"anything compares": {OrigMismatch, func(v *vector) {
			v.swap(`"orig":{"tn":"`+caller+`"`, `"orig":{"uri":"sip:ana@example.com"`)
			v.claim.Caller = func(string) bool { return true }
		}},
		"nobody compares": {OrigMismatch, func(v *vector) { v.claim.Caller = nil }},
		"wrong dest":      {DestMismatch, func(v *vector) { v.swap(dialled, other) }},
		"nothing dialled": {DestMismatch, func(v *vector) { v.claim.Dialled = []string{""} }},
		"wrong key":       {BadSignature, func(v *vector) { v.key = pki().stranger.key }},
		"zero signature":  {BadSignature, func(v *vector) { v.signed = zeroSignature }},
		"claims changed": {BadSignature, func(v *vector) {
			v.signed = func(s string) string {
				return strings.Replace(s, b64(v.claims), b64(strings.Replace(v.claims, `"A"`, `"B"`, 1)), 1)
			}
		}},
		"garbage PEM": {BadCertificate, func(v *vector) {
			v.h.page("/x", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
			v.swap("/cert.pem", "/x")
		}},
		"no certificate": {BadCertificate, func(v *vector) { v.h.page("/x", []byte("<html>")); v.swap("/cert.pem", "/x") }},
		"a key": {BadCertificate, func(v *vector) {
			v.h.page("/x", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pki().leaf.cert.Raw}))
			v.swap("/cert.pem", "/x")
		}},
		"too many certificates": {BadCertificate, func(v *vector) {
			v.certs(v.key, slices.Repeat([]*x509.Certificate{pki().leaf.cert}, 9)...)
		}},
		"oversize certificate": {BadCertificate, func(v *vector) {
			v.h.page("/x", append(pemOf(pki().leaf.cert, pki().middle.cert), make([]byte, 64<<10)...))
			v.swap("/cert.pem", "/x")
		}},
		"expired":       {CertificateExpired, func(v *vector) { v.leaf(func(c *x509.Certificate) { c.NotAfter = callTime.Add(-time.Second) }) }},
		"not yet valid": {CertificateExpired, func(v *vector) { v.leaf(func(c *x509.Certificate) { c.NotBefore = callTime.Add(time.Second) }) }},
		"authority expired": {CertificateExpired, func(v *vector) {
			m := newAuthority("Old", pki().root, func(c *x509.Certificate) { c.NotAfter = callTime.Add(-time.Second) })
			a := issue(leafTemplate(), m)
			v.certs(a.key, a.cert, m.cert)
		}},
		"untrusted root": {Untrusted, func(v *vector) {
			a := issue(leafTemplate(), pki().stranger)
			v.certs(a.key, a.cert, pki().stranger.cert)
		}},
		"self-signed":       {Untrusted, func(v *vector) { a := issue(leafTemplate(), nil); v.certs(a.key, a.cert) }},
		"no authority sent": {Untrusted, func(v *vector) { v.certs(pki().leaf.key, pki().leaf.cert) }},
		"below a leaf": {Untrusted, func(v *vector) {
			a := issue(leafTemplate(), pki().leaf)
			v.certs(a.key, a.cert, pki().leaf.cert, pki().middle.cert)
		}},
		"P-384 authority": {Untrusted, func(v *vector) {
			m := template("Big")
			m.IsCA, m.KeyUsage = true, x509.KeyUsageCertSign
			key := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
			big := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, m, pki().root.cert, &key.PublicKey, pki().root.key))))
			a := issue(leafTemplate(), &authority{big, key})
			v.certs(a.key, a.cert, big)
		}},
		"P-384 leaf": {BadCertificate, func(v *vector) {
			key := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
			leaf := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, leafTemplate(), pki().middle.cert, &key.PublicKey, pki().middle.key))))
			v.certs(v.key, leaf, pki().middle.cert)
		}},
		"an authority signs calls": {BadCertificate, func(v *vector) {
			v.leaf(func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, c.KeyUsage|x509.KeyUsageCertSign })
		}},
		"key usage": {BadCertificate, func(v *vector) { v.leaf(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }) }},
		"unknown critical extension": {Untrusted, func(v *vector) {
			v.leaf(func(c *x509.Certificate) {
				c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}})
			})
		}},
		"claim constraints": {Unsupported, func(v *vector) {
			v.leaf(func(c *x509.Certificate) {
				c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oidConstraints, Value: []byte{0x30, 0}})
			})
		}},
		"no TNAuthList": {NotAuthorised, func(v *vector) { v.leaf(func(c *x509.Certificate) { c.ExtraExtensions = nil }) }},
		"empty list":    {NotAuthorised, func(v *vector) { v.leaf(numbers()) }},
		"outside range": {NotAuthorised, func(v *vector) { v.leaf(numbers(span("12125550143", 10), span("12125550100", 42))) }},
		"other number":  {NotAuthorised, func(v *vector) { v.leaf(numbers(one(other))) }},
		"broken list":   {NotAuthorised, func(v *vector) { v.leaf(numbers(spc("709J"), []byte{0x83, 0})) }},
		"above it fewer": {NotAuthorised, func(v *vector) {
			m := newAuthority("Delegating", pki().middle, numbers(span("12125550100", 10)))
			a := issue(leafTemplate(), m)
			v.certs(a.key, a.cert, m.cert, pki().middle.cert)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			v := newHall(t).shaken()
			row.change(v)
			got := v.verify()
			if want := (Result{Verstat: row.want.Verstat(), Why: row.want}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// looseBits sets a bit of the last character that belongs to no byte.
func looseBits(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + string(alphabet[last|1])
}

func zeroSignature(s string) string {
	return s[:strings.LastIndex(s, ".")+1] + base64.RawURLEncoding.EncodeToString(make([]byte, 64))
}

// TestNothingIsFetchedForAnotherCall: a token that cannot be this call's leads nowhere.
func TestNothingIsFetchedForAnotherCall(t *testing.T) {
	h := newHall(t)
	h.shaken().swap(fmt.Sprint(callTime.Unix()-3), "1").verify()
	h.shaken().swap(caller, other).verify()
	h.shaken().swap(dialled, other).verify()
	if n := h.asked("/cert.pem"); n != 0 {
		t.Errorf("the certificate was fetched %d times", n)
	}
}

// TestOrigID: what is kept of an origid is a UUID and no number in disguise.
func TestOrigID(t *testing.T) {
	for id, want := range map[string]string{
		origID:                                 origID,
		strings.ToUpper(origID):                origID,
		"12125550-142e-89b1-2d3a-456426655440": "",
		"00000000-0000-4000-8000-0" + dialled:  "",
		"operator 7":                           "",
		"123e4567xe89b-12d3-a456-426655440000": "",
		"123e4567-e89b-12d3-a456-42665544000g": "",
	} {
		v := newHall(t).shaken().swap(origID, id)
		if got := v.verify(); got.OrigID != want || got.Why != OK {
			t.Errorf("%s: %+v", id, got)
		}
	}
}

// TestBase: a token of the base kind vouches for the number and attests nothing (RFC 8225).
func TestBase(t *testing.T) {
	v := newHall(t).shaken()
	v.head = strings.Replace(v.head, `"ppt":"shaken",`, "", 1)
	v.params = ";info=<" + v.url + ">;alg=ES256"
	if got := v.verify(); got != (Result{Verstat: call.VerstatPassed, Why: OK}) {
		t.Errorf("got %+v", got)
	}
}

// compact is a call whose token leaves header and payload out.
func (h *hall) compact() *vector {
	v := h.shaken()
	v.head = `{"alg":"ES256","typ":"passport","x5u":"` + v.url + `"}`
	v.claims = `{"dest":{"tn":["` + dialled + `"]},"iat":` + fmt.Sprint(callTime.Unix()-3) + `,"orig":{"tn":"` + caller + `"}}`
	v.claim.Date = callTime.Add(-3 * time.Second).Format("Mon, 02 Jan 2006 15:04:05 GMT")
	v.claim.Lend = func(use func(string)) { use(caller) }
	v.params = ";info=<" + v.url + ">;alg=ES256"
	v.signed = func(s string) string { return ".." + s[strings.LastIndex(s, ".")+1:] }
	return v
}

// TestCompact: header and payload are rebuilt from the request (RFC 8224 §4.1).
func TestCompact(t *testing.T) {
	for name, row := range map[string]struct {
		want   Reason
		change func(*vector)
	}{
		"good":                   {OK, func(v *vector) {}},
		"another number of ours": {OK, func(v *vector) { v.claims = strings.Replace(v.claims, dialled, "311", 1) }},
		"ppt":                    {Unsupported, func(v *vector) { v.params += ";ppt=shaken" }},
		"no date":                {Unsupported, func(v *vector) { v.claim.Date = "" }},
		"no lender":              {Unsupported, func(v *vector) { v.claim.Lend = nil }},
		"nothing lent":           {OrigMismatch, func(v *vector) { v.claim.Lend = func(func(string)) {} }},
		"no number lent":         {OrigMismatch, func(v *vector) { v.claim.Lend = func(use func(string)) { use("") } }},
		"another caller":         {BadSignature, func(v *vector) { v.claim.Lend = func(use func(string)) { use(other) } }},
		"another dialled":        {BadSignature, func(v *vector) { v.claim.Dialled = []string{other} }},
		"another second":         {BadSignature, func(v *vector) { v.claim.Date = callTime.Format("Mon, 02 Jan 2006 15:04:05 GMT") }},
		"stale":                  {Stale, func(v *vector) { v.claim.At = callTime.Add(time.Minute) }},
		"not covered":            {NotAuthorised, func(v *vector) { v.leaf(numbers(one(other))).params = ";info=<" + v.url + ">" }},
		"wrong key":              {BadSignature, func(v *vector) { v.key = pki().stranger.key }},
		"other address":          {BadSignature, func(v *vector) { v.params = ";info=<" + v.url + "?x>" }},
	} {
		t.Run(name, func(t *testing.T) {
			v := newHall(t).compact()
			row.change(v)
			want := Result{Verstat: row.want.Verstat(), Why: row.want}
			if name == "another number of ours" {
				want.Dialled = 1
			}
			if got := v.verify(); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// TestWhichNumberWasDialled: of several numbers that the call may have dialled, the one that is signed for is told.
func TestWhichNumberWasDialled(t *testing.T) {
	h := newHall(t)
	v := h.shaken()
	v.claim.Dialled = []string{"311", "", "+" + other, "+1 (212) 555-0199"}
	if got := v.verify(); got.Why != OK || got.Dialled != 3 {
		t.Errorf("got %+v", got)
	}
	o := order()
	o.Div, o.Dest = dialled, []string{other}
	v.claim.Identity = []string{h.shaken().header(), must(newSigner(h).Sign(o))}
	v.claim.Dialled = []string{"311", "+" + other}
	if got := v.verify(); got.Why != OK || got.Dialled != 1 || !got.Diverted {
		t.Errorf("sent on: got %+v", got)
	}
}

// TestAnyChangeIsFound: no character of a token can be another.
func TestAnyChangeIsFound(t *testing.T) {
	h := newHall(t)
	v := h.shaken()
	good := v.header()
	token := good[:strings.Index(good, ";")]
	rapid.Check(t, func(rt *rapid.T) {
		at := rapid.IntRange(0, len(token)-1).Draw(rt, "at")
		with := rapid.SampledFrom([]byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_. =+/")).Draw(rt, "with")
		if token[at] == with {
			return
		}
		v.claim.Identity = []string{good[:at] + string(with) + good[at+1:]}
		if res := h.verify(v.claim); res.Why == OK {
			rt.Fatalf("believed with %q at %d", with, at)
		}
	})
}

// TestReasons: every reason has a name, a status but OK, and what it makes of the number.
func TestReasons(t *testing.T) {
	names := map[string]bool{}
	for _, r := range Reasons() {
		if r.String() == "" || names[r.String()] || r.Verstat() == "" || (r.Status() == 0) != (r == OK) || (r.Verstat() == call.VerstatPassed) != (r == OK) {
			t.Errorf("%d: %q %d %q", r, r, r.Status(), r.Verstat())
		}
		names[r.String()] = true
	}
	if r := reasons; r.String() != "unknown" || r.Status() != 0 || r.Verstat() != call.VerstatNone {
		t.Error("a reason that is none")
	}
}

// TestClaimShowsNothing: its headers hold the caller.
func TestClaimShowsNothing(t *testing.T) {
	c := newHall(t).shaken().claim
	c.Identity = []string{caller}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "claim", c)
	body, err := json.Marshal(struct{ C Claim }{c})
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s %d %q", c, c, c, c, c, c), fmt.Sprintf("%+v", struct{ C Claim }{c}), log.String(), string(body)} {
		if err != nil || strings.Contains(s, caller) {
			t.Errorf("shows: %s %v", s, err)
		}
	}
}

// TestNewRefuses: a verifier that could believe nobody is a fault of the configuration.
func TestNewRefuses(t *testing.T) {
	roots := []*x509.Certificate{pki().root.cert}
	for name, conf := range map[string]Config{
		"no roots":     {},
		"http list":    {Roots: roots, CRL: CRL{URLs: []string{"http://example.com/list"}}},
		"no such file": {Roots: roots, CRL: CRL{Files: []string{t.TempDir() + "/none"}}},
	} {
		if _, err := New(conf); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// BenchmarkVerify is one call with its certificate at hand.
func BenchmarkVerify(b *testing.B) {
	b.Run("full", func(b *testing.B) { benchmark(b, (*hall).shaken) })
	b.Run("compact", func(b *testing.B) { benchmark(b, (*hall).compact) })
}

func benchmark(b *testing.B, make func(*hall) *vector) {
	h := newHall(b)
	v := make(h)
	v.claim.Identity = []string{v.header()}
	if res := h.v.Verify(b.Context(), v.claim); res.Why != OK {
		b.Fatal(res)
	}
	for b.Loop() {
		h.v.Verify(b.Context(), v.claim)
	}
}

// TestDocumented: docs/stir.md has a line for each reason, with its verstat and status.
func TestDocumented(t *testing.T) {
	doc := string(must(os.ReadFile("../../docs/stir.md")))
	for _, r := range Reasons() {
		status := fmt.Sprint(r.Status())
		if r == OK {
			status = ""
		}
		want := strings.Join(strings.Fields(fmt.Sprintf("| `%s` | %s | %s |", r, r.Verstat(), status)), " ")
		if !strings.Contains(doc, want) {
			t.Errorf("docs/stir.md lacks %q", want)
		}
	}
}
