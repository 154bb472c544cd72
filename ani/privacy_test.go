package ani

import (
	"slices"
	"strings"
	"testing"

	"callhall/call"
)

// privacyForms are Privacy headers, fields apart by "|", and the values they ask for. An empty answer asks for nothing.
var privacyForms = map[string]string{
	"none": "none", "None": "none", " none ": "none", "none;none": "none", "none|none": "none", "NONE ; none": "none", "none,none": "none",
	"id": "id", "ID": "id", " id": "id", "id;critical": "critical;id", "critical;id": "critical;id", "id ; critical": "critical;id", "id,critical": "critical;id",
	"id|critical": "critical;id", "header": "header", "session": "session", "user": "user", "critical": "critical", "history": "history",
	"user;header;session;critical;id;history": "header;session;user;critical;id;history", "Header;Session": "header;session",
	"none;id": "none;id", "id;none": "none;id", "none|id": "none;id", "none;critical": "none;critical", "none, id": "none;id",
	"": "id", " ": "id", ";": "id", ",": "id", "none;": "none;id", ";none": "none;id", "none|": "none;id", "whatever": "id", "none;whatever": "none;id",
	"id;whatever": "id", "full": "id", "off": "id", "no": "id", "none\x00": "id", "nonee": "id", "non": "id", `"none"`: "id", "none=1": "id", "none none": "id",
	"id;12125550142": "id", "user\tid": "id",
}

func TestPrivacyForms(t *testing.T) {
	for form, want := range privacyForms {
		fields := strings.Split(form, "|")
		p := parsePrivacy(fields)
		if got := strings.Join(p.Values(), ";"); got != want || p.Restricts() == (want == "none") {
			t.Errorf("%q: %q, restricts: %t; want %q", form, got, p.Restricts(), want)
		}
		id := ParseIdentity(Headers{Asserted: []string{"<tel:+12125550142>"}, Privacy: fields}, believed)
		if withheld := id.Status == call.CallerWithheld; withheld != p.Restricts() || id.Private != withheld || id.Number.IsZero() {
			t.Errorf("%q: %+v", form, read(id))
		}
		if stranger := ParseIdentity(Headers{Privacy: fields}, Trust{}); stranger.Private != p.Restricts() || stranger.Status != call.CallerUnavailable {
			t.Errorf("%q from anyone: %+v", form, read(stranger))
		}
	}
	if p := parsePrivacy(nil); p.Restricts() || p.Values() != nil {
		t.Error("no header asks for something")
	}
}

// TestPrivacyCarriesNothingOn: what goes on is one of the seven values, whatever came.
func TestPrivacyCarriesNothingOn(t *testing.T) {
	for p := range 256 {
		for _, v := range Privacy(p).Values() {
			if !slices.Contains(privacyNames[:], v) {
				t.Errorf("%08b carries %q", p, v)
			}
		}
		if again := parsePrivacy(Privacy(p).Values()); p != 0 && again.Restricts() != Privacy(p).Restricts() {
			t.Errorf("%08b goes on as %08b", p, again)
		}
	}
}
