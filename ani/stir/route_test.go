package stir

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"callhall/call"
)

// div is a token by which one who was called sends the call on (RFC 8946 §3).
func (h *hall) div(from, to string) *vector {
	v := h.shaken()
	v.head = strings.Replace(v.head, "shaken", "div", 1)
	v.claims = `{"dest":{"tn":["` + to + `"]},"div":{"tn":"` + from + `"},"iat":` + fmt.Sprint(callTime.Unix()-2) + `,"orig":{"tn":"` + caller + `"}}`
	v.params = ";info=<" + v.url + ">;alg=ES256;ppt=div"
	return v
}

// TestSeveralHeaders: one way from the caller to us is enough, and every token on it must verify.
func TestSeveralHeaders(t *testing.T) {
	passed := func(a call.Attestation, diverted bool) Result {
		return Result{Verstat: call.VerstatPassed, Attest: a, OrigID: origID, Diverted: diverted}
	}
	failed := func(why Reason) Result { return Result{Verstat: why.Verstat(), Why: why} }
	toFirst := func(h *hall) *vector { return h.shaken().swap(dialled, first) }
	for name, row := range map[string]struct {
		want Result
		call func(h *hall) []*vector
	}{
		"good and bad": {passed("A", false), func(h *hall) []*vector {
			return []*vector{h.shaken().swap(caller, other), h.shaken()}
		}},
		"bad signature first": {passed("B", false), func(h *hall) []*vector {
			bad := h.shaken()
			bad.key = pki().stranger.key
			return []*vector{bad, h.shaken().swap(`"A"`, `"B"`)}
		}},
		"the strongest counts": {passed("A", false), func(h *hall) []*vector {
			return []*vector{h.shaken().swap(`"A"`, `"C"`), h.shaken(), h.shaken().swap(`"A"`, `"B"`)}
		}},
		"the furthest is the reason": {failed(BadSignature), func(h *hall) []*vector {
			bad := h.shaken()
			bad.key = pki().stranger.key
			return []*vector{h.shaken().swap(caller, other), bad, h.shaken().swap(`"A"`, `"D"`)}
		}},
		"the furthest, of several ways": {failed(BadSignature), func(h *hall) []*vector {
			bad := h.shaken()
			bad.key = pki().stranger.key
			return []*vector{bad, h.shaken().swap(`"A"`, `"B"`).swap("/cert.pem", "/none.pem")}
		}},
		"unknown kind beside": {passed("A", false), func(h *hall) []*vector {
			return []*vector{h.shaken().swap("shaken", "rcd"), h.shaken()}
		}},
		"sent on":              {passed("A", true), func(h *hall) []*vector { return []*vector{toFirst(h), h.div(first, dialled)} }},
		"sent on, other order": {passed("A", true), func(h *hall) []*vector { return []*vector{h.div(first, "311"), toFirst(h)} }},
		"sent on twice": {passed("A", true), func(h *hall) []*vector {
			return []*vector{toFirst(h), h.div(first, other), h.div(other, dialled)}
		}},
		"sent on, div for nobody beside": {passed("A", true), func(h *hall) []*vector {
			return []*vector{toFirst(h), h.div(other, dialled), h.div(first, dialled)}
		}},
		"a circle": {failed(DestMismatch), func(h *hall) []*vector {
			return []*vector{toFirst(h), h.div(first, other), h.div(other, first)}
		}},
		"called us, div beside": {passed("A", false), func(h *hall) []*vector { return []*vector{h.shaken(), h.div(first, other)} }},
		"a link is missing":     {failed(DestMismatch), func(h *hall) []*vector { return []*vector{toFirst(h), h.div(other, dialled)} }},
		"sent on to another":    {failed(DestMismatch), func(h *hall) []*vector { return []*vector{toFirst(h), h.div(first, other)} }},
		"div alone":             {failed(Unsupported), func(h *hall) []*vector { return []*vector{h.div(first, dialled)} }},
		"div for another caller": {failed(DestMismatch), func(h *hall) []*vector {
			return []*vector{toFirst(h), h.div(first, dialled).swap(caller, other)}
		}},
		"div stale": {failed(DestMismatch), func(h *hall) []*vector {
			return []*vector{toFirst(h), h.div(first, dialled).swap(fmt.Sprint(callTime.Unix()-2), "1")}
		}},
		"div without div": {failed(DestMismatch), func(h *hall) []*vector {
			return []*vector{toFirst(h), h.div(first, dialled).swap(`"div":{"tn":"`+first+`"},`, ``)}
		}},
		"div by the wrong key": {failed(BadSignature), func(h *hall) []*vector {
			d := h.div(first, dialled)
			d.key = pki().stranger.key
			return []*vector{toFirst(h), d}
		}},
		"shaken by the wrong key": {failed(BadSignature), func(h *hall) []*vector {
			s := toFirst(h)
			s.key = pki().stranger.key
			return []*vector{s, h.div(first, dialled)}
		}},
		"div covers who sent it on": {passed("A", true), func(h *hall) []*vector {
			return []*vector{toFirst(h), h.div(first, dialled).leaf(numbers(one(first))).info("div")}
		}},
		"div covers the caller": {failed(NotAuthorised), func(h *hall) []*vector {
			return []*vector{toFirst(h), h.div(first, dialled).leaf(numbers(one(caller))).info("div")}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHall(t)
			c := h.shaken().claim
			for _, v := range row.call(h) {
				c.Identity = append(c.Identity, v.header())
			}
			if name == "sent on, other order" {
				row.want.Dialled = 1 // 311
			}
			if got := h.verify(c); got != row.want {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
		})
	}
}

// TestWhatMayGoOn: of all that a call brings, at most the one token goes on that was verified, and not one that names
// somebody else or says more than its kind does.
func TestWhatMayGoOn(t *testing.T) {
	toBoth := func(v *vector) *vector { return v.swap(`["`+dialled+`"]`, `["`+dialled+`","`+other+`"]`) }
	for name, row := range map[string]struct {
		want int // of the headers, from 1
		call func(h *hall) []*vector
	}{
		"the only one": {1, func(h *hall) []*vector { return []*vector{h.shaken()} }},
		"without parameters that may be left out": {1, func(h *hall) []*vector {
			v := h.shaken()
			v.params = ";info=<" + v.url + ">"
			return []*vector{v}
		}},
		"for two numbers of ours": {1, func(h *hall) []*vector {
			return []*vector{h.shaken().swap(`["`+dialled+`"]`, `["`+dialled+`","311"]`)}
		}},
		"behind others that nobody checked": {3, func(h *hall) []*vector {
			return []*vector{h.shaken().swap("shaken", "rcd"), h.div(other, first), h.shaken(), h.shaken().swap(caller, other)}
		}},
		"the other kind": {1, func(h *hall) []*vector { return []*vector{h.base()} }},
		"compact form":   {0, func(h *hall) []*vector { return []*vector{h.compact()} }},
		"sent on to us":  {0, func(h *hall) []*vector { return []*vector{h.shaken().swap(dialled, first), h.div(first, dialled)} }},
		"for others too": {0, func(h *hall) []*vector { return []*vector{toBoth(h.shaken())} }},
		"not believed":   {0, func(h *hall) []*vector { return []*vector{h.shaken().swap(caller, other)} }},
		"with a name in its claims": {0, func(h *hall) []*vector {
			return []*vector{h.shaken().swap(`"origid"`, `"rcd":{"nam":"Ana Gray"},"origid"`)}
		}},
		"with a name beside the number": {0, func(h *hall) []*vector {
			return []*vector{h.shaken().swap(`"orig":{`, `"orig":{"nam":"Ana Gray",`)}
		}},
		"with a name in its head": {0, func(h *hall) []*vector {
			return []*vector{h.shaken().swap(`"alg":"ES256"`, `"alg":"ES256","nam":"Ana Gray"`)}
		}},
		"with a name in the header": {0, func(h *hall) []*vector {
			v := h.shaken().info("shaken")
			v.params += `;nam="Ana Gray"`
			return []*vector{v}
		}},
		"the other kind, with a name": {0, func(h *hall) []*vector {
			return []*vector{h.base().swap(`"iat"`, `"nam":"Ana Gray","iat"`)}
		}},
		"an origid that is none": {0, func(h *hall) []*vector { return []*vector{h.shaken().swap(origID, "Ana Gray")} }},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHall(t)
			vectors := row.call(h)
			c := vectors[0].claim
			for _, v := range vectors {
				c.Identity = append(c.Identity, v.header())
			}
			got, want := h.v.Verify(t.Context(), c), Onward{}
			if row.want > 0 {
				want = Onward{row.want, time.Unix(callTime.Unix()-3, 0)}
			}
			if got.Onward != want || (got.Why == OK) == (name == "not believed") {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// base is a call whose token is of the base kind, in full form.
func (h *hall) base() *vector {
	v := h.compact()
	v.signed = nil
	return v
}

// info writes the parameters again, for another address.
func (v *vector) info(kind string) *vector {
	v.params = ";info=<" + v.url + ">;alg=ES256;ppt=" + kind
	return v
}
