package ani

import (
	"strings"
	"testing"

	"callhall/call"
)

// numberForms are spellings of +1 212 555 0142 as carriers send them.
var numberForms = []string{
	"<tel:+12125550142>", "tel:+1-212-555-0142", `"Ana Gray" <sip:+12125550142@carrier.invalid;user=phone>`,
	"<sips:+1.212.555.0142@carrier.invalid>", "<tel:2125550142;phone-context=+1>", "<tel:5550142;phone-context=+1212>",
	"<sip:12125550142@carrier.invalid>", "<sip:2125550142@[2001:db8::1]:5060;transport=tcp>", "<TEL:+1(212)555-0142;isub=99>",
	"<sip:%2B12125550142@carrier.invalid>", `"a, b <x> \" y" <tel:+12125550142;cpc=payphone>;tag=1`,
	"<sip:+12125550142;verstat=TN-Validation-Passed:secret@carrier.invalid>", "<tel:212 555 0142;phone-context=carrier.invalid>",
	"sip:+12125550142@carrier.invalid", "SIP:+12125550142@CARRIER.INVALID", "<SiPs:+12125550142@carrier.invalid:5061>",
	"  <tel:+12125550142>  ", "<  tel:+12125550142  >", "Ana <tel:+12125550142>", "<tel:+12125550142>;tag=a;x=y",
	"<sip:+12125550142:secret@carrier.invalid>", "<sip:+1-212-555-0142@192.0.2.1:5060;lr?Subject=x>", "<sip:+12125550142@carrier.invalid?Privacy=none>",
	"<tel:+12125550142;ext=7;isub=8;verstat=No-TN-Validation>", "<tel:12125550142;phone-context=+1>", "<tel:555-0142;phone-context=+1-212>",
	"<sip:5550142;phone-context=+1212@carrier.invalid>", "<sip:5550142@carrier.invalid;phone-context=+1212;user=phone>",
	`<sip:5550142;phone-context="+1212"@carrier.invalid>`, "<tel:5550142;Phone-Context=%2B1212>", "<sip:+12125550142;npdi;rn=+12125550100@carrier.invalid>",
	"<sip:+12125550142@carrier.invalid;user=phone;cpc=ordinary;isup-oli=0>", "<sip:1%32125550142@carrier.invalid>", "<tel:+1%20212%20555%200142>",
	`"unclosed\" name" <tel:+12125550142>`, `"<tel:+12125550199>" <tel:+12125550142>`, "<tel:+12125550142", "<tel:+12125550142>>", "<sip:2125550142@carrier.invalid>",
	"<tel:+12125550142;>", "<tel:+12125550142;=;;x>", "<sip:+12125550142@>", "\t<tel:+12125550142>\t", "<tel:(212)5550142>",
}

func TestNumberForms(t *testing.T) {
	for _, form := range numberForms {
		for _, h := range []Headers{{Asserted: []string{form}}, {From: []string{form}}} {
			if id := ParseIdentity(h, believed); id.Number.open() != "12125550142" || id.Status != call.CallerPresent || id.Private {
				t.Errorf("%s: %+v", form, read(id))
			}
		}
		if got := read(ParseIdentity(Headers{ChargeInfo: []string{form}, Diversion: []string{form}}, everything)); got.Charge != "12125550142" || got.Redirected != "12125550142" {
			t.Errorf("%s: %+v", form, got)
		}
	}
}

func TestNotNumbers(t *testing.T) {
	for _, form := range []string{
		"<sip:ana@carrier.invalid>", "<tel:911>", "<tel:+0123456789>", "<tel:+1 212 155 0142>", "<tel:+1112125550142>", "<tel:5550142>",
		"<sip:+1212555014x@carrier.invalid>", "<tel:+1234567890123456>", "<mailto:+12125550142@x.invalid>", "garbage", "<tel:+>", "<sip:%zz@x>",
		`"+12125550142" <sip:ana@carrier.invalid>`, "<tel:+1212%0055550142>", "", ",", "<>", "<:>", ":", "+12125550142", "<+12125550142>",
		"<http://+12125550142@x.invalid>", "<tel:++12125550142>", "<tel:+1212555014２>", "<sip:+12125550142%3Bverstat=x@c.invalid>",
		"<sip:+12125550142%40c.invalid@c.invalid>", "<tel:+12125550142%>", "<tel:+12125550142,5>", "<tel:*67>", "<tel:12125550142#>",
		"<sip:dad@c.invalid>", "<sip:0142@c.invalid>", "<sip:+1012555014@c.invalid>", "<tel:12125550142p5>", "<tel:+1212555014>", "<tel:+121255501422>",
		"<tel:442079460123>", "<tel:5550142;phone-context=+1>", "<tel:0142;phone-context=+>", "<sip:c.invalid;+12125550142>", "<sip: @c.invalid/+12125550142>",
		"<urn:service:sos>", `"<tel:+12125550142>"`, `"unclosed <tel:+12125550142>`,
	} {
		id := ParseIdentity(Headers{Asserted: []string{form}}, believed)
		if !id.Number.IsZero() || id.Status == call.CallerPresent || id.Source != SourceNone || id.Private {
			t.Errorf("%.40s: %+v", form, read(id))
		}
	}
}

// anonymousForms are ways to write that the caller keeps back who they are.
var anonymousForms = []string{
	"<sip:anonymous@anonymous.invalid>", `"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1`, "sip:anonymous@anonymous.invalid",
	"<SIP:ANONYMOUS@ANONYMOUS.INVALID>", "<sips:anonymous@anonymous.invalid:5061>", "<sip:x@anonymous.invalid:5060>", "<sip:anonymous@anonymous.invalid.>",
	"<sip:x@anonymous.invalid.;user=phone>", "<sip:anonymous@192.0.2.1>", "<sip:Restricted@c.invalid>", "<sip:private@c.invalid>", "<sip:withheld@c.invalid>",
	"<sip:%61nonymous@c.invalid>", "<sip:anonymous;phone-context=x@c.invalid>", "<sip:anonymous:pw@c.invalid>", "<sip:Coin%20line@anonymous.invalid>",
	"<sip:4ad3@abcd.anonymous.invalid>", `"Private" <sip:+12125550142@c.invalid>`, `"anonymous caller" <tel:+12125550142>`, "Anonymous <tel:+12125550142>",
	`" ANONYMOUS " <tel:+12125550142>`, `"PRIVATE NUMBER"<sip:+12125550142@c.invalid>`, `"Caller ID Blocked" <sip:+12125550142@c.invalid>`,
	"<sip:anonymous.invalid>;tag=2", "<sip:anonymous.invalid>", `"\A\nonymous" <tel:+12125550142>`, "<sip:+12125550142@anonymous.invalid>",
	"<sip:blocked@c.invalid>", "Restricted<sip:x@c.invalid>", "<sip:anonymous@anonymous.invalid?Subject=x>", "<sip:anonymous@anonymous.invalid;x=y>",
}

func TestAnonymousForms(t *testing.T) {
	for _, form := range anonymousForms {
		for _, h := range []Headers{{Asserted: []string{form}}, {From: []string{form}}, {Asserted: []string{"<tel:+12125550142>"}, From: []string{form}},
			{RemoteParty: []string{form + ";screen=yes"}}, {Asserted: []string{"<tel:+12125550142>"}, RemoteParty: []string{form}}} {
			if id := ParseIdentity(h, everything); !id.Private || id.Status != call.CallerWithheld || !id.Name.IsZero() {
				t.Errorf("%s: %+v", form, read(id))
			}
			if id := ParseIdentity(Headers{From: []string{form}}, Trust{}); !id.Private || id.Status != call.CallerUnavailable {
				t.Errorf("%s from anyone: %+v", form, read(id))
			}
		}
	}
	for _, form := range []string{"<sip:ana@notanonymous.invalid>", "<sip:anonymously@c.invalid>", `"Ms Private" <tel:+12125550142>`, "<sip:unavailable@unknown.invalid>", "<tel:anonymous>"} {
		if id := ParseIdentity(Headers{From: []string{form}}, believed); id.Private {
			t.Errorf("%s was taken for anonymous", form)
		}
	}
}

func TestUnavailableForms(t *testing.T) {
	for _, form := range []string{"<sip:unavailable@unknown.invalid>", "<sip:unknown@c.invalid>", "<sip:Unavailable@c.invalid>", "<sip:c.invalid>", "<sip:@c.invalid>",
		"<sip:x@unknown.invalid:5060>", "<sip:x@unavailable.invalid>", `"UNAVAILABLE" <sip:unavailable@c.invalid>`, "<tel:>", "<tel:;phone-context=+1>", "<sip::pw@c.invalid>", "<sip:%20@c.invalid>"} {
		if id := ParseIdentity(Headers{Asserted: []string{form}}, believed); id.Status != call.CallerUnavailable || id.Private || !id.Number.IsZero() {
			t.Errorf("%s: %+v", form, read(id))
		}
	}
}

func TestNamesAndSubaddresses(t *testing.T) {
	for form, want := range map[string][2]string{
		`"Ana Gray" <tel:+12125550142>`: {"Ana Gray", ""}, "Ana Gray <tel:+12125550142>": {"Ana Gray", ""}, `"" <tel:+12125550142>`: {"", ""},
		`"Gray, \"Ana\" \\ " <tel:+12125550142>`: {`Gray, "Ana" \`, ""}, `"María" <tel:+12125550142>`: {"María", ""}, "tel:+12125550142;isub=12%2034": {"", "12 34"},
		"<tel:+12125550142;ext=99>": {"", "99"}, "<tel:+12125550142;ext=99;ISUB=7>": {"", "7"}, "<sip:+12125550142;isub=7@c.invalid>": {"", "7"},
		"<sip:+12125550142@c.invalid;isub=7>": {"", ""}, "<tel:+12125550142>;isub=7": {"", ""}, `"a\` + "\x00" + `b" <tel:+12125550142>`: {"ab", ""},
		`"` + strings.Repeat("n", 100) + `" <tel:+12125550142>`: {strings.Repeat("n", maxText), ""},
	} {
		if got := read(ParseIdentity(Headers{Asserted: []string{form}}, believed)); got.Name != want[0] || got.ISUB != want[1] {
			t.Errorf("%s: name %q, subaddress %q, want %q", form, got.Name, got.ISUB, want)
		}
	}
}
