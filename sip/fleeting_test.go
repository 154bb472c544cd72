package sip

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// TestInvitesForgetWhoIsCalling reads what sipgo holds of the INVITE once ani has had it, and wants the call to go on.
func TestInvitesForgetWhoIsCalling(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		st := raise(t)
		w := st.dial(network, "127.0.0.1:0")
		d := w.ready()
		d.invite(pcmuOffer, tellAll(0)...)
		c := st.call()
		req := c.Leg.(*callerLeg).asked().req
		seen := 0
		for _, h := range req.Headers() {
			if _, ok := h.(*fleeting); !ok {
				continue
			}
			if seen++; h.Value() != "" || strings.Contains(h.String(), "555") {
				t.Errorf("%s: %s still has %q", network, h.Name(), h.Value())
			}
		}
		if seen < 20 {
			t.Errorf("%s: only %d header fields can be let go", network, seen)
		}
		if err := c.Leg.Answer(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.accept(d.expect("SIP/2.0 200"), "")
		d.do("BYE", "")
		c.end()
		st.empty()
	}
}

// TestFleetingHeadersAreReadOnce wants each value there for ani, in every spelling of the name, and in no copy.
func TestFleetingHeadersAreReadOnce(t *testing.T) {
	req := parseRequest(t, strings.Replace(identityInvite, "Privacy: id", "y: token\r\nDiversion : <tel:+12125550147>\r\nPrivacy: id", 1))
	values := map[string]string{}
	for _, h := range req.Headers() {
		if f, ok := h.(*fleeting); ok {
			values[h.Name()] = h.Value()
			if copied := sip.HeaderClone(h); strings.Contains(copied.String(), "555") || strings.Contains(copied.Value(), "token") {
				t.Errorf("a copy of %s has its value", h.Name())
			}
			f.forget()
			if h.Value() != "" {
				t.Errorf("%s is not forgotten", h.Name())
			}
		}
	}
	if values["P-Asserted-Identity"] != "<tel:+12125550142>" || values["Identity"] != "token" || values["Diversion"] != "<tel:+12125550147>" {
		t.Errorf("read %q", values)
	}
}
