package sip

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const identityInvite = "INVITE sip:311@city.example SIP/2.0\r\n" +
	"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n" +
	"f: \"Ana\" <sip:+12125550142@carrier.example>;tag=1\r\n" +
	"To: <sip:311@city.example>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:192.0.2.1>\r\n" +
	"P-Asserted-Identity : <sip:+12125550142@carrier.example>\r\n" +
	"p-asserted-identity: <tel:+12125550142>\r\n" +
	"P-Preferred-Identity: <sip:+12125550143@carrier.example>\r\n" +
	"P-Charge-Info: <tel:+12125550144>\r\nRemote-Party-ID: <sip:+12125550145@x>\r\n" +
	"Privacy: id;critical\r\nPRIVACY:\r\n user\r\nVerstat: TN-Validation-Passed\r\nContent-Length: 0\r\n\r\n"

func TestIdentityFromATrustedTrunk(t *testing.T) {
	h := identityHeaders(parseRequest(t, identityInvite), true)
	if diff := cmp.Diff([]string{"<sip:+12125550142@carrier.example>", "<tel:+12125550142>"}, h.Asserted); diff != "" {
		t.Error("asserted", diff)
	}
	if diff := cmp.Diff([]string{"<sip:+12125550143@carrier.example>"}, h.Preferred); diff != "" {
		t.Error("preferred", diff)
	}
	if diff := cmp.Diff([]string{`"Ana" <sip:+12125550142@carrier.example>;tag=1`}, h.From); diff != "" {
		t.Error("from", diff)
	}
	if diff := cmp.Diff([]string{"id;critical", "user"}, h.Privacy); diff != "" {
		t.Error("privacy", diff)
	}
	if h.Verstat != "TN-Validation-Passed" {
		t.Error("verstat", h.Verstat)
	}
}

func TestIdentityFromAnyoneElse(t *testing.T) {
	h := identityHeaders(parseRequest(t, identityInvite), false)
	if h.Asserted != nil || h.Preferred != nil || h.Verstat != "" {
		t.Errorf("taken from a stranger: %q %q %q", h.Asserted, h.Preferred, h.Verstat)
	}
	if len(h.From) != 1 || len(h.Privacy) != 2 {
		t.Errorf("From %d, Privacy %d; want 1 and 2", len(h.From), len(h.Privacy))
	}
}
