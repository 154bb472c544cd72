package digest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RFC 7616 §3.9.1: both algorithms, one request.
func TestResponse(t *testing.T) {
	c := Credentials{
		Username: "Mufasa", Realm: "http-auth@example.org", URI: "/dir/index.html",
		Nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", NC: "00000001",
		CNonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", QOP: "auth",
	}
	for name, want := range map[string]string{
		"md5":     "8ca523f5e9506fed4657c9700eebdbec",
		"":        "8ca523f5e9506fed4657c9700eebdbec",
		"SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
	} {
		a, ok := Named(name)
		if !ok {
			t.Fatal(name)
		}
		if got := a.Response(c, "GET", "Circle of Life"); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if _, ok := Named("SHA-512-256"); ok {
		t.Error("an algorithm that is not there was found")
	}
	if Algorithms()[0].Name != "SHA-256" {
		t.Error("the best algorithm does not stand first (RFC 8760 §2.4)")
	}
}

// RFC 2069 §2.4, with the corrected answer of its erratum 749: no qop.
func TestResponseWithoutQOP(t *testing.T) {
	c := Credentials{Username: "Mufasa", Realm: "testrealm@host.com", Nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", URI: "/dir/index.html"}
	md5, _ := Named("MD5")
	if got := md5.Response(c, "GET", "CircleOfLife"); got != "1949323746fe6a43ef61f9606e7febea" {
		t.Error(got)
	}
}

func TestParseCredentials(t *testing.T) {
	got, ok := ParseCredentials(`Digest username="a\"b, c", realm = "r",nonce="n" , uri="sip:x;y=\"z\"", response="0a", algorithm=SHA-256, cnonce="c",qop=auth, nc=00000001, userhash=false, opaque="o\\"`)
	want := Credentials{Username: `a"b, c`, Realm: "r", Nonce: "n", URI: `sip:x;y="z"`, Response: "0a", Algorithm: "SHA-256", CNonce: "c", QOP: "auth", NC: "00000001", Opaque: `o\`}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Error(ok, diff)
	}
	if again, ok := ParseCredentials(got.String()); !ok || again != got {
		t.Errorf("written and read again: %+v", again)
	}
	for _, text := range []string{
		"", "Digest", "Basic YTpi", "NoOneKnowsThisScheme opaque-data=here", `Digest nonce="n"`, `Digest nonce="n, response="r"`,
		`Digest nonce="n" response="r"`, `Digest nonce="n", nonce="n", response="r"`, `Digest nonce="n", response="r\`, `Digest ,,,`,
	} {
		if got, ok := ParseCredentials(text); ok {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}

func TestParseChallenge(t *testing.T) {
	got, ok := ParseChallenge(`digest realm="r", nonce="n", algorithm=SHA-256, qop="auth, auth-int", opaque="o", stale=TRUE`)
	want := Challenge{Realm: "r", Nonce: "n", Algorithm: "SHA-256", Opaque: "o", QOP: []string{"auth", "auth-int"}, Stale: true}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Error(ok, diff)
	}
	if again, ok := ParseChallenge(got.String()); !ok || cmp.Diff(got, again) != "" {
		t.Errorf("written and read again: %+v", again)
	}
	if got, ok := ParseChallenge(`Digest realm="r"`); ok {
		t.Errorf("without a nonce: %+v", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`Digest username="a", realm="r", nonce="n", uri="sip:x", response="0"`)
	f.Add(`Digest a="\`)
	f.Add(`digest =,="`)
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := ParseCredentials(text)
		if !ok {
			return
		}
		c.UserHash = false // never written
		if _, plain := Named(c.Algorithm); !plain || c.QOP != "auth" || c.NC != "00000001" {
			return // what we would not write as it stands
		}
		if again, ok := ParseCredentials(c.String()); !ok || again != c {
			t.Fatalf("%q: %+v, written and read again %+v", text, c, again)
		}
	})
}
