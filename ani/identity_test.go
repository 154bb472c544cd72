package ani

import (
	"fmt"
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
}

func TestNumberForms(t *testing.T) {
	for _, form := range numberForms {
		id := ParseIdentity(Headers{Asserted: []string{form}}, Trust{Identity: true})
		if got := id.Number.open(); got != "12125550142" || id.Status != call.CallerPresent || id.Source != SourceAsserted || id.Private {
			t.Errorf("%s: %s, %+v", form, got, id)
		}
	}
}

func TestNotNumbers(t *testing.T) {
	for _, form := range []string{
		"<sip:ana@carrier.invalid>", "<tel:911>", "<tel:+0123456789>", "<tel:+1 212 155 0142>", "<tel:+1112125550142>", "<tel:5550142>",
		"<sip:+1212555014x@carrier.invalid>", "<tel:+1234567890123456>", "<mailto:+12125550142@x.invalid>", "garbage", "<tel:+>", "<sip:%zz@x>",
		`"+12125550142" <sip:ana@carrier.invalid>`, "<tel:+1212%0055550142>",
	} {
		id := ParseIdentity(Headers{Asserted: []string{form}}, Trust{Identity: true})
		if !id.Number.IsZero() || id.Status != call.CallerInvalid {
			t.Errorf("%.40s: %+v", form, id)
		}
	}
}

func TestParseIdentity(t *testing.T) {
	const pai, other, from = "<tel:+12125550142>", "<sip:+12125550143@c.invalid>", `"x" <sip:+12125550199@c.invalid>;tag=1`
	const anonymous = `"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1`
	for name, c := range map[string]struct {
		h       Headers
		trusted bool
		digits  string
		status  call.CallerStatus
		source  Source
		private bool
		verstat call.Verstat
	}{
		"asserted":            {Headers{Asserted: []string{pai}, From: []string{from}}, true, "12125550142", call.CallerPresent, SourceAsserted, false, call.VerstatNone},
		"asserted, stranger":  {Headers{Asserted: []string{pai}, From: []string{from}}, false, "", call.CallerUnavailable, SourceNone, false, call.VerstatNone},
		"privacy, stranger":   {Headers{Asserted: []string{pai}, Privacy: []string{"id"}}, false, "", call.CallerUnavailable, SourceNone, true, call.VerstatNone},
		"verstat, stranger":   {Headers{Asserted: []string{"<tel:+12125550142;verstat=TN-Validation-Passed>"}, Verstat: "TN-Validation-Passed"}, false, "", call.CallerUnavailable, SourceNone, false, call.VerstatNone},
		"too long to be read": {Headers{Asserted: []string{"<tel:+12125550142" + strings.Repeat(" ", maxHeader)}}, true, "", call.CallerWithheld, SourceNone, true, call.VerstatNone},
		"tel before sip":      {Headers{Asserted: []string{other + ", " + pai}}, true, "12125550142", call.CallerPresent, SourceAsserted, false, call.VerstatNone},
		"two header fields":   {Headers{Asserted: []string{other, pai}}, true, "12125550142", call.CallerPresent, SourceAsserted, false, call.VerstatNone},
		"second sip ignored":  {Headers{Asserted: []string{"<sip:ana@c.invalid>", other}}, true, "", call.CallerInvalid, SourceNone, false, call.VerstatNone},
		"sip where tel bad":   {Headers{Asserted: []string{"<tel:911>", other}}, true, "12125550143", call.CallerPresent, SourceAsserted, false, call.VerstatNone},
		"from only":           {Headers{From: []string{from}}, true, "12125550199", call.CallerPresent, SourceFrom, false, call.VerstatNone},
		"bad asserted":        {Headers{Asserted: []string{"garbage"}, From: []string{from}}, true, "", call.CallerInvalid, SourceNone, false, call.VerstatNone},
		"empty asserted":      {Headers{Asserted: []string{""}, From: []string{from}}, true, "", call.CallerInvalid, SourceNone, false, call.VerstatNone},
		"nothing":             {Headers{}, true, "", call.CallerUnavailable, SourceNone, false, call.VerstatNone},
		"privacy id":          {Headers{Asserted: []string{pai}, Privacy: []string{"id"}}, true, "12125550142", call.CallerWithheld, SourceAsserted, true, call.VerstatNone},
		"privacy user;header": {Headers{Asserted: []string{pai}, Privacy: []string{"user;header"}}, true, "12125550142", call.CallerWithheld, SourceAsserted, true, call.VerstatNone},
		"privacy critical":    {Headers{Asserted: []string{pai}, Privacy: []string{"critical"}}, true, "12125550142", call.CallerWithheld, SourceAsserted, true, call.VerstatNone},
		"privacy unknown":     {Headers{Asserted: []string{pai}, Privacy: []string{"none", "whatever"}}, true, "12125550142", call.CallerWithheld, SourceAsserted, true, call.VerstatNone},
		"privacy empty":       {Headers{Asserted: []string{pai}, Privacy: []string{""}}, true, "12125550142", call.CallerWithheld, SourceAsserted, true, call.VerstatNone},
		"privacy none":        {Headers{Asserted: []string{pai}, Privacy: []string{"None"}}, true, "12125550142", call.CallerPresent, SourceAsserted, false, call.VerstatNone},
		"privacy none;id":     {Headers{Asserted: []string{pai}, Privacy: []string{"none;id"}}, true, "12125550142", call.CallerWithheld, SourceAsserted, true, call.VerstatNone},
		"anonymous from":      {Headers{Asserted: []string{pai}, From: []string{anonymous}}, true, "12125550142", call.CallerWithheld, SourceAsserted, true, call.VerstatNone},
		"anonymous only":      {Headers{From: []string{anonymous}}, true, "", call.CallerWithheld, SourceNone, true, call.VerstatNone},
		"anonymous asserted":  {Headers{Asserted: []string{"<sip:anonymous@anonymous.invalid>"}}, true, "", call.CallerWithheld, SourceNone, true, call.VerstatNone},
		"unavailable":         {Headers{Asserted: []string{"<sip:unavailable@unknown.invalid>"}}, true, "", call.CallerUnavailable, SourceNone, false, call.VerstatNone},
		"verstat passed":      {Headers{Asserted: []string{"<tel:+12125550142;verstat=TN-Validation-Passed-B>"}}, true, "12125550142", call.CallerPresent, SourceAsserted, false, call.VerstatPassed},
		"verstat failed":      {Headers{Asserted: []string{pai}, From: []string{"<sip:+12125550142;verstat=tn-validation-failed@c.invalid>"}}, true, "12125550142", call.CallerPresent, SourceAsserted, false, call.VerstatFailed},
		"verstat none":        {Headers{Asserted: []string{pai}, Verstat: "No-TN-Validation"}, true, "12125550142", call.CallerPresent, SourceAsserted, false, call.VerstatNone},
	} {
		got := ParseIdentity(c.h, Trust{Identity: c.trusted})
		if d := got.Number.open(); d != c.digits || got.Status != c.status || got.Source != c.source || got.Private != c.private || got.Verstat != c.verstat {
			t.Errorf("%s: %s %+v", name, d, got)
		}
	}
}

func FuzzIdentity(f *testing.F) {
	for _, form := range numberForms {
		f.Add(form, "<sip:+12125550199@c.invalid>;tag=1", "id", true)
		f.Add("", form, "", true)
		f.Add(form, form, "none", false)
	}
	f.Add(`"unclosed <tel:+1`, `"\`, ";;", true)
	f.Add("<sip:@;?>", "tel:;=;%", "none,id", true)
	f.Fuzz(func(t *testing.T, asserted, from, privacy string, trusted bool) {
		h := Headers{Asserted: []string{asserted}, From: []string{from}, Privacy: []string{privacy}}
		if asserted == "" {
			h.Asserted = nil
		}
		id := ParseIdentity(h, Trust{Identity: trusted})
		d := id.Number.open()
		switch {
		case !trusted && (d != "" || id.Status != call.CallerUnavailable || id.Verstat != call.VerstatNone):
			t.Errorf("a stranger was believed: %+v", id)
		case d != "" && (len(d) < minDigits || len(d) > maxDigits || strings.Trim(d, "0123456789") != ""):
			t.Errorf("%q was taken for a number", d)
		case d == "" && (id.Status == call.CallerPresent || id.Source != SourceNone):
			t.Errorf("present without a number: %+v", id)
		case id.Private && trusted && id.Status != call.CallerWithheld, id.Status == call.CallerPresent && id.Private:
			t.Errorf("a wish for privacy was lost: %+v", id)
		case strings.TrimSpace(strings.ToLower(privacy)) == "id" && !id.Private:
			t.Errorf("Privacy: id was lost: %+v", id)
		case len(d) >= minDigits && strings.Contains(fmt.Sprintf("%v %+v %#v", id, id, id), d):
			t.Error("an identity was printed with its number")
		}
	})
}

func BenchmarkParseIdentity(b *testing.B) {
	h := Headers{Asserted: []string{numberForms[2], numberForms[0]}, From: []string{numberForms[2]}, Privacy: []string{"none"}}
	b.ReportAllocs()
	for b.Loop() {
		ParseIdentity(h, Trust{Identity: true})
	}
}
