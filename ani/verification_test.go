package ani

import (
	"strings"
	"testing"

	"callhall/call"
)

func TestVerstatForms(t *testing.T) {
	for form, want := range map[string]string{ // what the carrier wrote: what we understand, with the attestation
		"TN-Validation-Passed": "passed", "tn-validation-passed": "passed", "TN-VALIDATION-PASSED": "passed", " TN-Validation-Passed ": "passed",
		"TN-Validation-Passed-A": "passedA", "TN-Validation-Passed-B": "passedB", "TN-Validation-Passed-C": "passedC", "tn-validation-passed-b": "passedB",
		"TN-Validation-Failed": "failed", "TN-Validation-Failed-A": "failed", "TN-Validation-Failed-C": "failed", "tn-validation-failed": "failed", "TN-Validation-Failed ": "failed",
		"No-TN-Validation": "none", "no-tn-validation": "none", "": "none", " ": "none", "TN-Validation-Passed-D": "none", "TN-Validation-Passed-": "none",
		"TN-Validation-PassedB": "none", "TN-Validation-Passed-BB": "none", "TN-Validation-Failedx": "none", "TN-Validation": "none", "Passed": "none", "true": "none",
		"TN-Validation-Passed;x": "none", "xTN-Validation-Passed": "none", "TN Validation Passed": "none", "TN-Validation-Passed\x00": "none", "TN-Validation-Passed-b-a": "none",
		"12125550142": "none", "Passed-A": "none", "A": "none",
	} {
		where := map[string]Headers{"header": {Asserted: []string{"<tel:+12125550142>"}, Verstat: form}}
		if !strings.ContainsAny(form, ";") {
			where["tel"] = Headers{Asserted: []string{"<tel:+12125550142;verstat=" + form + ">"}}
			where["user part"] = Headers{Asserted: []string{"<sip:+12125550142;verstat=" + form + "@c.invalid;user=phone>"}}
			where["uri"] = Headers{Asserted: []string{"<sip:+12125550142@c.invalid;user=phone;Verstat=" + form + ">"}}
			where["field"] = Headers{Asserted: []string{"<sip:+12125550142@c.invalid>;verstat=" + form}}
			where["from"] = Headers{Asserted: []string{"<tel:+12125550142>"}, From: []string{"<sip:+12125550142;verstat=" + form + "@c.invalid>;tag=1"}}
			where["anonymous from"] = Headers{Asserted: []string{"<tel:+12125550142>"}, From: []string{"<sip:anonymous@anonymous.invalid;verstat=" + form + ">"}}
		}
		for place, h := range where {
			id := ParseIdentity(h, believed)
			if got := string(id.Verstat) + string(id.Attest); got != want {
				t.Errorf("%s in %s: %s, want %s", form, place, got, want)
			}
			if id := ParseIdentity(h, Trust{}); id.Verstat != call.VerstatNone || id.Attest != call.AttestNone {
				t.Errorf("%s in %s, from anyone: %s%s", form, place, id.Verstat, id.Attest)
			}
		}
	}
}

// TestVerstatContradictions: doubt wins.
func TestVerstatContradictions(t *testing.T) {
	const passed, failed, tel = ";verstat=TN-Validation-Passed", ";verstat=TN-Validation-Failed", "<tel:+12125550142"
	for name, c := range map[string]struct {
		h    Headers
		want string
	}{
		"failed in one of two":         {Headers{Asserted: []string{tel + passed + ">", "<sip:+12125550142" + failed + "@c.invalid>"}}, "failed"},
		"failed first":                 {Headers{Asserted: []string{tel + failed + ">"}, From: []string{tel + passed + ">"}}, "failed"},
		"failed in from":               {Headers{Asserted: []string{tel + passed + ">"}, From: []string{"<tel:+12125550199" + failed + ">"}}, "failed"},
		"failed in the header":         {Headers{Asserted: []string{tel + passed + "-A>"}, Verstat: "TN-Validation-Failed"}, "failed"},
		"header passed, number failed": {Headers{Asserted: []string{tel + failed + ">"}, Verstat: "TN-Validation-Passed-A"}, "failed"},
		"the lower attestation":        {Headers{Asserted: []string{tel + passed + "-A>", "<sip:+12125550142" + passed + "-B@c.invalid>"}, Verstat: "TN-Validation-Passed-C"}, "passedC"},
		"another number passed":        {Headers{Asserted: []string{tel + ">"}, From: []string{"<tel:+12125550199" + passed + ">"}}, "none"},
		"an ignored value passed":      {Headers{Asserted: []string{tel + ">", "<tel:+12125550142" + passed + ">"}}, "none"},
		"passed, and no number":        {Headers{Asserted: []string{"<sip:anonymous@anonymous.invalid" + passed + ">"}, Verstat: "TN-Validation-Passed"}, "none"},
		"failed, and no number":        {Headers{Asserted: []string{"<sip:anonymous@anonymous.invalid" + failed + ">"}}, "failed"},
		"withheld and passed":          {Headers{Asserted: []string{tel + passed + ">"}, Privacy: []string{"id"}}, "passed"},
	} {
		if id := ParseIdentity(c.h, believed); string(id.Verstat)+string(id.Attest) != c.want {
			t.Errorf("%s: %s%s, want %s", name, id.Verstat, id.Attest, c.want)
		}
	}
}

func TestCategoryForms(t *testing.T) {
	for params, want := range map[string]Category{
		"cpc=ordinary": CategoryOrdinary, "cpc=payphone": CategoryPayphone, "CPC=Payphone": CategoryPayphone, "cpc=prison": CategoryPrison, "cpc=hospital": CategoryHospital,
		"cpc=cellular": CategoryMobile, "cpc=mobile-hplmn": CategoryMobile, "cpc=mobile-vplmn": CategoryMobile, "cpc=operator": CategoryOperator, "cpc=police": CategoryPolice, "cpc=test": CategoryTest,
		"cpc=unknown": "", "cpc=": "", "cpc": "", "cpc=12125550142": "", "cpc=payphone2": "", `cpc="payphone"`: CategoryPayphone,
		"isup-oli=0": CategoryOrdinary, "isup-oli=00": CategoryOrdinary, "isup-oli=06": CategoryHotel, "isup-oli=6": CategoryHotel, "isup-oli=10": CategoryTest, "isup-oli=23": CategoryPayphone,
		"isup-oli=25": CategoryPayphone, "isup-oli=27": CategoryPayphone, "isup-oli=29": CategoryPrison, "isup-oli=34": CategoryOperator, "isup-oli=60": CategoryRelay, "isup-oli=66": CategoryRelay,
		"isup-oli=67": CategoryRelay, "isup-oli=61": CategoryMobile, "isup-oli=62": CategoryMobile, "isup-oli=63": CategoryMobile, "isup-oli=68": CategoryHotel, "isup-oli=70": CategoryPayphone,
		"oli=27": CategoryPayphone, "OLI=29": CategoryPrison, "oli=1": "", "oli=02": "", "oli=7": "", "oli=99": "", "oli=": "", "oli=270": "", "oli=x7": "", "isup-oli=-1": "",
		"cpc=unknown;isup-oli=29": CategoryPrison, "cpc=payphone;isup-oli=29": CategoryPayphone, "isup-oli=99;oli=29": "", "x=1;oli=60;y=2": CategoryRelay,
	} {
		for place, h := range map[string]Headers{
			"tel": {Asserted: []string{"<tel:+12125550142;" + params + ">"}}, "user part": {Asserted: []string{"<sip:+12125550142;" + params + "@c.invalid>"}},
			"uri":            {Asserted: []string{"<sip:+12125550142@c.invalid;" + params + ">"}},
			"from":           {Asserted: []string{"<tel:+12125550142>"}, From: []string{`"A" <sip:+12125550142@c.invalid;` + params + `>;tag=1`}},
			"anonymous from": {From: []string{"<sip:anonymous@anonymous.invalid;" + params + ">"}},
		} {
			if got := ParseIdentity(h, believed).Category; got != want {
				t.Errorf("%s in %s: %q, want %q", params, place, got, want)
			}
			if got := ParseIdentity(h, Trust{}).Category; got != "" {
				t.Errorf("%s in %s, from anyone: %q", params, place, got)
			}
		}
	}
}
