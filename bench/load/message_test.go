package load

import (
	"crypto/md5"
	"crypto/sha256"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const invite = "INVITE sip:a00001@127.0.0.1:4000 SIP/2.0\r\nv: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK7;rport\r\n" +
	"Record-Route: <sip:127.0.0.1:5060;lr>, <sip:127.0.0.2;lr>\r\nf: <sip:x@callhall>;tag=1\r\nTo: <sip:a00001@callhall>\r\ni: one\r\n" +
	"CSeq: 7 INVITE\r\nm: \"Q\" <sip:127.0.0.1:5060>;x=y\r\n\r\n" +
	"v=0\r\nc=IN IP4 127.0.0.3\r\nm=audio 20000 RTP/AVP 0\r\na=sendrecv\r\nm=video 30000 RTP/AVP 99\r\nc=IN IP4 127.0.0.9\r\n"

func TestParse(t *testing.T) {
	t.Parallel()
	m, ok := parse([]byte(invite))
	if !ok {
		t.Fatal("not parsed")
	}
	got := []any{m.status(), m.method(), m.uri(), m.branch(), m.contact(), m.audio().String(), m.callID(), userOf(m.uri())}
	want := []any{0, "INVITE", "sip:a00001@127.0.0.1:4000", "z9hG4bK7", "sip:127.0.0.1:5060", "127.0.0.3:20000", "one", "a00001"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := routes(m, callerSide); got != "Route: <sip:127.0.0.2;lr>\r\nRoute: <sip:127.0.0.1:5060;lr>\r\n" {
		t.Errorf("a caller's routes:\n%s", got)
	}
	if got := routes(m, agentSide); !strings.HasPrefix(got, "Route: <sip:127.0.0.1:5060;lr>\r\n") {
		t.Errorf("an agent's routes:\n%s", got)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "\r\n\r\n", "OPTIONS sip:x SIP/2.0\r\nVia: x\r\n\r\n", "INVITE sip:x SIP/2.0\r\nCall-ID: 1\r\n"} {
		if _, ok := parse([]byte(raw)); ok {
			t.Errorf("took %q", raw)
		}
	}
}

func TestAudio(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ sdp, want string }{
		{"", "invalid AddrPort"},
		{"c=IN IP4 127.0.0.1\r\nm=audio 0 RTP/AVP 0\r\n", "invalid AddrPort"},
		{"c=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 127.0.0.2\r\n", "127.0.0.2:4000"},
		{"m=video 5000 RTP/AVP 99\nc=IN IP4 127.0.0.8\nm=audio 4000 RTP/AVP 0\nc=IN IP4 127.0.0.2\n", "127.0.0.2:4000"},
	} {
		if got := (message{body: []byte(test.sdp)}).audio().String(); got != test.want {
			t.Errorf("audio of %q: %s, not %s", test.sdp, got, test.want)
		}
	}
}

// TestAnswer: an answer copies what RFC 3261 §8.2.6.2 asks for, and ours is readable to us.
func TestAnswer(t *testing.T) {
	t.Parallel()
	m, _ := parse([]byte(invite))
	a, ok := parse(m.answer(200, "OK", "tag", "Contact: <sip:me>\r\n", sdp(netip.MustParseAddrPort("127.0.0.1:7000"))))
	if !ok {
		t.Fatal("not parsed")
	}
	got := []any{a.status(), a.method(), a.branch(), a.first("to"), a.contact(), a.audio().String(), a.headers["record-route"]}
	want := []any{200, "INVITE", "z9hG4bK7", "<sip:a00001@callhall>;tag=tag", "sip:me", "127.0.0.1:7000", m.headers["record-route"]}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestDigest is the example of RFC 7616 §3.9.1.
func TestDigest(t *testing.T) {
	t.Parallel()
	d := digest{user: "Mufasa", realm: "http-auth@example.org", password: "Circle of Life", method: "GET", uri: "/dir/index.html",
		nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop: true}
	d.newHash = md5.New
	if got := d.response(); got != "8ca523f5e9506fed4657c9700eebdbec" {
		t.Errorf("MD5: %s", got)
	}
	d.newHash = sha256.New
	if got := d.response(); got != "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1" {
		t.Errorf("SHA-256: %s", got)
	}
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	challenges := []string{`Digest realm="a, b", nonce="n1", algorithm=SHA-512-256, qop="auth"`,
		`Digest realm="a, b", nonce="n2", opaque="o", algorithm=SHA-256, qop="auth-int, auth"`}
	got, err := authorization(challenges, "REGISTER", "sip:callhall", Agent{"a", "secret"})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`realm="a, b"`, `nonce="n2"`, `opaque="o"`, "algorithm=SHA-256", "qop=auth,", "nc=00000001"} {
		if !strings.Contains(got, part) {
			t.Errorf("%s is not in %s", part, got)
		}
	}
	if _, err := authorization(challenges[:1], "REGISTER", "sip:callhall", Agent{"a", "secret"}); err == nil {
		t.Error("answered an algorithm that is not known")
	}
	old, err := authorization([]string{`Digest realm="r", nonce="n"`}, "REGISTER", "sip:callhall", Agent{"a", "secret"})
	if err != nil || strings.Contains(old, "qop") {
		t.Errorf("without qop: %s, %v", old, err)
	}
}
