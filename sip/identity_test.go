package sip

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"callhall/ani"
)

const identityInvite = "INVITE sip:311@city.example SIP/2.0\r\n" +
	"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n" +
	"f: \"Ana\" <sip:+12125550142@carrier.example>;tag=1\r\n" +
	"To: <sip:311@city.example>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:+12125550199@192.0.2.1>\r\n" +
	"P-Asserted-Identity : <sip:+12125550142@carrier.example>\r\n" +
	"p-asserted-identity: <tel:+12125550142>\r\n" +
	"P-Preferred-Identity: <sip:+12125550199@carrier.example>\r\n" +
	"P-Charge-Info: <tel:+12125550144>\r\n" +
	"REMOTE-PARTY-ID: <sip:+12125550145@x>;party=calling;screen=yes\r\n" +
	"Diversion: <sip:+12125550146@x>;reason=unconditional\r\nDiversion: <sip:+12125550147@x>\r\n" +
	"History-Info: <sip:+12125550148@x>;index=1, <sip:311@city.example>;index=1.1\r\n" +
	"Identity: e30.e30.c2ln;info=<https://cr.example/1.pem>\r\ny: e30.e30.c2ln\r\nDate: Sun, 22 Nov 2026 09:00:00 GMT\r\n" +
	"Privacy: id;critical\r\nPRIVACY:\r\n user\r\nVerstat: TN-Validation-Passed\r\n" +
	"Referred-By: <sip:+12125550199@x>\r\nCall-Info: <tel:+12125550199>;purpose=card\r\nUser-to-User: 12125550199\r\n" +
	"P-Access-Network-Info: IEEE-802.11;x=12125550199\r\nGeolocation: <cid:12125550199@x>\r\nX-Caller: 12125550199\r\n" +
	"P-Asserted-Identity-X: <tel:+12125550199>\r\nSubject: 12125550199\r\nReply-To: <tel:+12125550199>\r\n" +
	"Content-Length: 0\r\n\r\n"

var (
	fromAnyone = ani.Headers{
		From:     []string{`"Ana" <sip:+12125550142@carrier.example>;tag=1`},
		Privacy:  []string{"id;critical", "user"},
		Identity: []string{"e30.e30.c2ln;info=<https://cr.example/1.pem>", "e30.e30.c2ln"},
		Date:     "Sun, 22 Nov 2026 09:00:00 GMT",
	}
	asserted     = []string{"<sip:+12125550142@carrier.example>", "<tel:+12125550142>"}
	remoteParty  = []string{"<sip:+12125550145@x>;party=calling;screen=yes"}
	chargeInfo   = []string{"<tel:+12125550144>"}
	diversion    = []string{"<sip:+12125550146@x>;reason=unconditional", "<sip:+12125550147@x>"}
	historyInfo  = []string{"<sip:+12125550148@x>;index=1, <sip:311@city.example>;index=1.1"}
	wholeTrust   = ani.Trust{Identity: true, RemoteParty: true, Charge: true, Retarget: true}
	trustNothing = ani.Trust{RemoteParty: true, Charge: true, Retarget: true} // without Identity the rest is worth nothing
)

// TestIdentityHeadersByTrust has a line for each kind of trust: what it takes besides what is taken from anyone, and by
// that nothing else.
func TestIdentityHeadersByTrust(t *testing.T) {
	for name, c := range map[string]struct {
		trust ani.Trust
		adds  func(*ani.Headers)
	}{
		"anyone":           {ani.Trust{}, func(*ani.Headers) {}},
		"no trust domain":  {trustNothing, func(*ani.Headers) {}},
		"identity":         {ani.Trust{Identity: true}, func(*ani.Headers) {}},
		"remote party too": {ani.Trust{Identity: true, RemoteParty: true}, func(h *ani.Headers) { h.RemoteParty = remoteParty }},
		"charge too":       {ani.Trust{Identity: true, Charge: true}, func(h *ani.Headers) { h.ChargeInfo = chargeInfo }},
		"retarget too":     {ani.Trust{Identity: true, Retarget: true}, func(h *ani.Headers) { h.Diversion, h.HistoryInfo = diversion, historyInfo }},
		"everything": {wholeTrust, func(h *ani.Headers) {
			h.RemoteParty, h.ChargeInfo, h.Diversion, h.HistoryInfo = remoteParty, chargeInfo, diversion, historyInfo
		}},
	} {
		want := fromAnyone
		if c.trust.Identity {
			want.Asserted, want.Verstat = asserted, "TN-Validation-Passed"
		}
		c.adds(&want)
		got := identityHeaders(parseRequest(t, identityInvite), c.trust)
		if diff := cmp.Diff(plain(want), plain(got)); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

// plain gives every field of the headers to a comparison, which would otherwise see "redacted" and no difference.
func plain(h ani.Headers) map[string]string {
	all := map[string]string{}
	for v, i := reflect.ValueOf(h), 0; i < v.NumField(); i++ {
		if f := v.Type().Field(i); f.IsExported() {
			all[f.Name] = fmt.Sprintf("%q", v.Field(i).Interface())
		}
	}
	return all
}

// TestUnlistedHeadersAreNotTaken looks for a number that stands in headers which nobody may take from anyone.
func TestUnlistedHeadersAreNotTaken(t *testing.T) {
	if all := fmt.Sprint(plain(identityHeaders(parseRequest(t, identityInvite), wholeTrust))); strings.Contains(all, "5550199") {
		t.Error(all)
	}
}

func TestContradictingHeadersAreNotTaken(t *testing.T) {
	twice := strings.Replace(identityInvite, "Content-Length", "verstat: TN-Validation-Failed\r\nDATE: today\r\nContent-Length", 1)
	if h := identityHeaders(parseRequest(t, twice), wholeTrust); h.Verstat != "" || h.Date != "" {
		t.Errorf("verstat %q, date %q", h.Verstat, h.Date)
	}
}
