package ani

import (
	"fmt"
	"strings"
	"testing"
)

func TestDiversion(t *testing.T) {
	for form, want := range map[string]string{ // header fields apart by "|"
		"<tel:+12125550147>": "12125550147", "<sip:+12125550147@c.invalid>;reason=unconditional;counter=1;limit=5": "12125550147",
		"<tel:+12125550148>|<tel:+12125550147>": "12125550147 12125550148", "<tel:+12125550148>, <tel:+12125550147>": "12125550147 12125550148",
		"<tel:+12125550149>,<tel:+12125550148>|<tel:+12125550147>": "12125550147 12125550148 12125550149",
		`"Ana" <tel:+12125550147>;privacy=off`:                     "12125550147", "<tel:+12125550147>;privacy=full": "12125550147!",
		"<tel:+12125550147>;privacy=name": "12125550147!", "<tel:+12125550147>;privacy=uri": "12125550147!", `<tel:+12125550147>;Privacy="full"`: "12125550147!",
		"<tel:+12125550147>;privacy": "12125550147!", "<tel:+12125550147>;privacy=off;privacy=full": "12125550147!", "<tel:+12125550147>;privacy=full;privacy=off": "12125550147!", "<tel:+12125550147>;privacy=whatever": "12125550147!",
		"<tel:+12125550147>;privacy=off,<tel:+12125550148>;privacy=full": "12125550148! 12125550147",
		`"Private" <tel:+12125550147>`:                                   "12125550147!", "<sip:311@city.invalid>": "311", "<tel:311;phone-context=+1>": "311", "<sip:+1-212-555-0147@c.invalid>": "12125550147",
		"<sip:anonymous@anonymous.invalid>": "", "<sip:unknown@c.invalid>;reason=unknown": "", "": "", ",,": "", "garbage": "", "<sip:ana@c.invalid>": "",
		"garbage, <tel:+12125550147>, <sip:ana@c.invalid>": "12125550147", "<tel:+123>": "", "<tel:+311>": "", "<tel:+12125550147" + strings.Repeat(" ", maxHeader) + ">": "",
		"<tel:+12125550148>|garbage|<tel:+12125550147>": "12125550147 12125550148",
	} {
		if got := read(ParseIdentity(Headers{Diversion: strings.Split(form, "|")}, everything)).Redirected; got != want {
			t.Errorf("%.60s: %q, want %q", form, got, want)
		}
	}
}

func TestHistory(t *testing.T) {
	const a, b, c = "<sip:+12125550147@c.invalid", "<sip:+12125550148@c.invalid", "<sip:+12125550149@c.invalid"
	for form, want := range map[string]string{
		a + ">;index=1": "12125550147", a + ">;index=1, " + b + ">;index=1.1": "12125550147 12125550148",
		b + ">;index=1.1|" + a + ">;index=1": "12125550147 12125550148", c + ">;index=1.2," + b + ">;index=1.1.1," + a + ">;index=1": "12125550147 12125550148 12125550149",
		b + ">;index=1.10," + a + ">;index=1.2":                   "12125550147 12125550148",
		a + ">;index=1;foo=bar," + b + ";cause=302>;index=2;mp=1": "12125550147 12125550148",
		b + ">, " + a + ">;index=1":                               "12125550148 12125550147", // no index: as it stands
		b + ">;index=x," + a + ">;index=1":                        "12125550148 12125550147", b + ">;index=1..2," + a + ">;index=1": "12125550148 12125550147",
		b + ">;index=99999999999999999999," + a + ">;index=1": "12125550148 12125550147", b + ">;index=-1," + a + ">;index=1": "12125550148 12125550147",
		a + ">;index=1," + b + ">": "12125550147 12125550148", a + ">": "12125550147", a + "?Reason=SIP%3Bcause%3D302>;index=1": "12125550147",
		a + "?Privacy=history>;index=1": "12125550147!", a + "?privacy=History>;index=1": "12125550147!", a + "?Privacy=none>;index=1": "12125550147",
		a + "?Privacy=none%3Bhistory>;index=1": "12125550147!", a + "?Reason=SIP%3Bcause%3D302&Privacy=history>;index=1": "12125550147!",
		a + "?Privacy=none&Privacy=history>;index=1": "12125550147!", a + "?Privacy>;index=1": "12125550147!", a + "?Privacy=>;index=1": "12125550147!",
		a + "?Privacy=history>;index=1," + b + ">;index=1.1": "12125550147! 12125550148",
		"<tel:+12125550147>;index=1":                         "12125550147", "<tel:+12125550147?Privacy=history>;index=1": "12125550147!", "<sip:311@city.invalid>;index=1," + b + ">;index=1.1;rc=1": "311 12125550148",
		"<sip:anonymous@anonymous.invalid>;index=1," + b + ">;index=1.1": "12125550148", "": "", ",": "", "garbage;index=1": "", "<sip:ana@c.invalid>;index=1": "",
		a + ">;index=1, <sip:gap@c.invalid>;index=1.3, " + b + ">;index=1.5.1": "12125550147 12125550148",
		a + ">;index=1" + strings.Repeat(" ", maxHeader):                       "",
	} {
		if got := read(ParseIdentity(Headers{HistoryInfo: strings.Split(form, "|")}, everything)).Redirected; got != want {
			t.Errorf("%.60s: %q, want %q", form, got, want)
		}
	}
}

// TestRedirectsKeepTheFirst: of an endless chain the beginning says whom the caller meant.
func TestRedirectsKeepTheFirst(t *testing.T) {
	var diversion, history []string
	for i := range 20 {
		history = append(history, fmt.Sprintf("<tel:+12125550%d>;index=1.%d", 100+i, i))
		diversion = append([]string{fmt.Sprintf("<tel:+12125550%d>", 100+i)}, diversion...)
	}
	for _, h := range []Headers{{Diversion: diversion}, {HistoryInfo: history}} {
		id := ParseIdentity(h, everything)
		if len(id.Redirected) != maxRedirects || id.Redirected[0].Number.open() != "12125550100" {
			t.Errorf("%d kept, first %s", len(id.Redirected), id.Redirected[0].Number.open())
		}
	}
}

// TestPrivacyOfRedirects: the caller's own wish covers everybody who stands in the chain (RFC 7044 §10.1).
func TestPrivacyOfRedirects(t *testing.T) {
	for value, want := range map[string]string{"history": "12125550147!", "header": "12125550147!", "session": "12125550147!", "id": "12125550147!",
		"whatever": "12125550147!", "none": "12125550147"} {
		for _, h := range []Headers{{Diversion: []string{"<tel:+12125550147>"}}, {HistoryInfo: []string{"<tel:+12125550147>;index=1"}}} {
			h.Privacy = []string{value}
			if got := read(ParseIdentity(h, everything)).Redirected; got != want {
				t.Errorf("%s: %s", value, got)
			}
		}
	}
}

func TestDialledFirst(t *testing.T) {
	own := []string{"311", "+12125550100", "+1 212 555 0101", "water", ""}
	chain := func(numbers ...string) Headers {
		var h Headers
		for i, n := range numbers {
			h.HistoryInfo = append(h.HistoryInfo, fmt.Sprintf("<sip:%s@c.invalid>;index=%d", n, i+1))
		}
		return h
	}
	for name, c := range map[string]struct {
		h     Headers
		trust Trust
		want  string
	}{
		"one of ours":                     {chain("+12125550100", "311"), everything, "+12125550100"},
		"as it stands in our list":        {chain("12125550101", "311"), everything, "+1 212 555 0101"},
		"a short code":                    {chain("311"), everything, "311"},
		"a third party's first":           {chain("+12125550147", "+12125550100", "311"), everything, "+12125550100"},
		"nobody of ours":                  {chain("+12125550147", "ana"), everything, ""},
		"no such headers":                 {Headers{}, everything, ""},
		"diversion":                       {Headers{Diversion: []string{"<tel:311>, <tel:+12125550100>"}}, everything, "+12125550100"},
		"though they ask for privacy":     {Headers{Diversion: []string{"<tel:+12125550100>;privacy=full"}, Privacy: []string{"history"}}, everything, "+12125550100"},
		"a trunk not trusted with them":   {chain("+12125550100"), believed, ""},
		"a trunk outside the domain":      {chain("+12125550100"), Trust{Retarget: true}, ""},
		"a name is nobody's number":       {chain("water"), everything, ""},
		"where the caller says they call": {Headers{From: []string{"<tel:+12125550100>"}, Asserted: []string{"<tel:+12125550100>"}}, everything, ""},
	} {
		if got := DialledFirst(c.h, c.trust, own); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
