package sip

import (
	"errors"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

func dial(t testing.TB, text string) (string, error) {
	t.Helper()
	var uri sip.Uri
	if err := sip.ParseUri(text, &uri); err != nil {
		return "", errDialled
	}
	return parseDialled(&uri)
}

func TestDialled(t *testing.T) {
	for text, want := range map[string]string{
		"sip:311@city.example":                               "311",
		"sip:311@city.example:5070;user=phone;transport=udp": "311",
		"sip:311@city.example;user=phone":                    "311",
		"sip:+12125550100@city.example;user=phone":           "+12125550100",
		"sip:+1-212-555-0100@city.example":                   "+12125550100",
		"sip:+1(212)555.0100@city.example":                   "+12125550100",
		"sip:+12125550100;npdi;rn=+12125550199@city.example": "+12125550100",
		"sip:%2B12125550100@city.example":                    "+12125550100",
		"sip:%33%31%31@city.example":                         "311",
		"sip:311;phone-context=+1@city.example;user=phone":   "311;phone-context=+1",
		"sip:311;phone-context=NYC.Example@city.example":     "311;phone-context=nyc.example",
		"sip:311:secret@city.example":                        "311",
		"sip:*311@city.example":                              "*311",
		"sip:reception@city.example":                         "reception",
		"sip:dad@city.example":                               "dad",
		"sip:city.example":                                   "",
		"tel:+1-212-555-0100":                                "+12125550100",
		"tel:+1(212)555.0100;ext=1234;isub=9":                "+12125550100",
		"tel:+12125550100;phone-context=+44":                 "+12125550100", // a global number needs none
		"tel:311;phone-context=+1":                           "311;phone-context=+1",
		"tel:311;PHONE-CONTEXT=+1-212":                       "311;phone-context=+1212",
		"tel:3-1-1;isub=1;phone-context=city.example.;ext=2": "311;phone-context=city.example",
		"tel:31a;phone-context=city.example":                 "31A;phone-context=city.example",
		"TEL:311;phone-context=%2B1":                         "311;phone-context=+1",
	} {
		if got, err := dial(t, text); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestDialledMalformed(t *testing.T) {
	for _, text := range []string{
		"tel:311", "tel:311;ext=5", "tel:", "tel:+", "tel:---;phone-context=+1", "tel:reception;phone-context=+1",
		"tel:311;phone-context=", "tel:311;phone-context=+", "tel:311;phone-context=-x.example",
		"tel:311;phone-context=a..b", "tel:311;phone-context=192.0.2.1", "tel:311;phone-context=+1;phone-context=+1",
		"tel:+1212a550100", "tel:+*311", "tel:1+1;phone-context=+1", "tel:311;phone-context=%0d%0aX",
		"sip:3%0d%0a11@city.example", "sip:null-%00-null@city.example", "sip:%zz@city.example",
		"sip:311;phone-context=_@city.example", "sip:a%3Bb@city.example", "sip:a%40b@city.example",
		"sip:" + strings.Repeat("3", 1000) + "@city.example", "tel:+" + strings.Repeat("1", 129),
	} {
		if got, err := dial(t, text); !errors.Is(err, errDialled) {
			t.Errorf("%s: %q, %v; want errDialled", text, got, err)
		}
	}
}

func TestDialledErrorsHaveNoDigits(t *testing.T) {
	for _, text := range []string{"tel:2125550142", "tel:2125550142;phone-context=2125550142", "sip:%002125550142@city.example"} {
		if _, err := dial(t, text); err == nil || strings.ContainsAny(err.Error(), "0123456789") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzDialled(f *testing.F) {
	for _, seed := range []string{
		"sip:311@a", "sip:+1-212-555-0100@a;user=phone", "tel:311;phone-context=+1", "tel:+1(212)5550100;ext=1",
		"sip:311;phone-context=a.b@a", "sip:%2B1@a", "tel:*#a-f;phone-context=x", "sip:;@a", "sip:%@a", "tel:;;=;",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := dial(t, text)
		if err != nil {
			return
		}
		if hasControl(got) || len(got) > 3*maxDialled {
			t.Fatalf("%q: %q", text, got)
		}
		again := "sip:" + got + "@a.invalid"
		if strings.Contains(got, ";phone-context=") {
			again = "tel:" + got
		}
		if strings.ContainsAny(got, "[:/?") || got == "" {
			return // a name that a URI would have to escape
		}
		if twice, err := dial(t, again); err != nil || twice != got {
			t.Fatalf("%q: %q, read again %q, %v", text, got, twice, err)
		}
	})
}
