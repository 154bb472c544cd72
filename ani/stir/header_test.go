package stir

import (
	"strings"
	"testing"
	"time"

	"callhall/call"
)

// TestParameters: what stands behind the token.
func TestParameters(t *testing.T) {
	good := header{digest: "a.b.c", info: "https://x/y;z", alg: "ES256", ppt: "shaken"}
	for s, want := range map[string]header{
		`a.b.c;info=<https://x/y;z>;alg=ES256;ppt=shaken`:             good,
		"a.b.c ;\tppt=\"shaken\" ; INFO = <https://x/y;z>;alg=ES256 ": good,
		`a.b.c;info=<https://x/y;z>;alg=ES256;ppt=shaken;new;q="a;b"`: good,
	} {
		want.more = strings.Contains(s, "new")
		if got, why := parseHeader(s); why != OK || got != want {
			t.Errorf("%s: %+v %v", s, got, why)
		}
	}
	for _, s := range []string{"", ";", "a.b.c", "a.b.c;", "a.b.c;info", "a.b.c;info=", "a.b.c;info=<>", "a.b.c;info=<x", "a.b.c;info=<x>y",
		"a.b.c;info=x", `a.b.c;info="x"`, "a.b.c;info=<x>;", "a.b.c;info=<x>;;", "a.b.c;info=<x>;=y", "a.b.c;info=<x>;alg=", `a.b.c;info=<x>;ppt=""`,
		`a.b.c;info=<x>;ppt="shaken`, "a.b.c;info=<x>;alg=ES256;ALG=ES256", "a.b;info=<x>", "a.b.c.d;info=<x>", "a. b.c;info=<x>", "a.b.c;info=<\x7f>", "a.b.c;info=<é>"} {
		if got, why := parseHeader(s); why != Malformed {
			t.Errorf("%s: %+v %v", s, got, why)
		}
	}
	if _, why := parseHeader(strings.Repeat("a", maxHeader+1)); why != TooLarge {
		t.Error(why)
	}
}

// TestCanonical: RFC 8224 §8.3.
func TestCanonical(t *testing.T) {
	for s, want := range map[string]string{caller: caller, "+" + caller: caller, "+1 (212) 555-0142": caller, "1.212.555.0142": caller, "311": "311", "*82": "*82", "#31#": "#31#"} {
		if got, ok := canonical(s); !ok || got != want {
			t.Errorf("%s: %s %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "+", "++1", "ana", "1 212 555 0142 x7", "1234567890123456", "١٢٣", "tel:+" + caller} {
		if got, ok := canonical(s); ok {
			t.Errorf("%s: %s", s, got)
		}
	}
}

// FuzzHeader: no header makes reading it fail, what is read is within its bounds, and reading it again finds the same.
func FuzzHeader(f *testing.F) {
	h := &hall{TB: f, port: "443"}
	f.Add(h.shaken().header())
	f.Add(h.div(first, dialled).header())
	f.Add(h.compact().header())
	f.Add(h.shaken().swap(`"attest":"A"`, `"attest":"C","attest":"A"`).header())
	f.Add(`a.b.c ; ppt="x;y" ; info=<https://x/;> ; q`)
	f.Add("..;info=<x>")
	f.Fuzz(func(t *testing.T, s string) {
		parsed, why := parseHeader(s)
		if why != OK {
			return
		}
		if len(s) > maxHeader || parsed.info == "" || strings.Count(parsed.digest, ".") != 2 {
			t.Fatalf("taken: %+v", parsed)
		}
		token, why := parseToken(parsed)
		if why != OK {
			return
		}
		again, _ := parseToken(parsed)
		switch {
		case token.signature != again.signature || token.orig != again.orig:
			t.Fatal("read differently")
		case token.compact():
			return
		case len(token.dest) == 0 || token.iat.Before(time.Unix(1, 0)) || !strings.HasPrefix(parsed.digest, token.signed+"."):
			t.Fatalf("taken: %+v", token)
		case token.kind == kindShaken && token.attest == call.AttestNone:
			t.Fatal("shaken without attestation")
		}
	})
}
