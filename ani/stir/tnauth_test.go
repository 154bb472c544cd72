package stir

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"pgregory.net/rapid"
)

// TestScope: which numbers a list speaks for (RFC 8226 §9).
func TestScope(t *testing.T) {
	for name, row := range map[string]struct {
		list    pkix.Extension
		covered []string
		not     []string
	}{
		"provider":          {tnAuthList(spc("709J")), []string{caller, other, "911"}, []string{"", "ana"}},
		"one":               {tnAuthList(one(caller)), []string{caller}, []string{other, caller[:10], "1" + caller}},
		"two":               {tnAuthList(one(caller), one(other)), []string{caller, other}, []string{dialled}},
		"range":             {tnAuthList(span("12125550140", 3)), []string{"12125550140", caller}, []string{"12125550139", "12125550143", "012125550141", "2125550141"}},
		"range and one":     {tnAuthList(span("12125550100", 2), one(caller)), []string{caller, "12125550101"}, []string{"12125550102"}},
		"end of a length":   {tnAuthList(span("98", 5)), []string{"98", "99"}, []string{"100", "101"}},
		"star":              {tnAuthList(span("10", 9), one("*11")), []string{"*11"}, []string{"*12", "1*1"}},
		"provider beside":   {tnAuthList(one(other), spc("709J")), []string{caller}, nil},
		"broken":            {tnAuthList(spc("709J"), []byte{0xa0}), nil, []string{caller}},
		"nothing":           {tnAuthList(), nil, []string{caller}},
		"empty code":        {tnAuthList(spc("")), nil, []string{caller}},
		"count of one":      {tnAuthList(span(caller, 1)), nil, []string{caller}},
		"negative count":    {tnAuthList(span(caller, -5)), nil, []string{caller}},
		"letters":           {tnAuthList(one("ana")), nil, []string{caller}},
		"long":              {tnAuthList(one(caller + "00000")), nil, []string{caller + "00000"}},
		"implicit tag":      {tnAuthList(wrap(asn1.ClassContextSpecific, 0, false, []byte("709J"))), nil, []string{caller}},
		"unknown tag":       {tnAuthList(wrap(asn1.ClassContextSpecific, 3, true, ia5("709J"))), nil, []string{caller}},
		"two in one":        {tnAuthList(wrap(asn1.ClassContextSpecific, 0, true, ia5("709J"), ia5("1"))), nil, []string{caller}},
		"behind the list":   {pkix.Extension{Id: oidTNAuthList, Value: append(tnAuthList(spc("709J")).Value, 0)}, nil, []string{caller}},
		"UTF-8 code":        {tnAuthList(wrap(asn1.ClassContextSpecific, 0, true, wrap(asn1.ClassUniversal, asn1.TagUTF8String, false, []byte("709J")))), nil, []string{caller}},
		"largest of counts": {tnAuthList(span("12125550140", 1<<62)), []string{caller, "99999999999"}, []string{"12125550139", "100000000000"}},
	} {
		s, ok := parseScope(row.list.Value)
		if !ok {
			s = scope{}
		}
		if ok != (len(row.covered) > 0) {
			t.Errorf("%s: read %v", name, ok)
		}
		for _, tn := range row.covered {
			if !s.covers(tn) {
				t.Errorf("%s: not %s", name, tn)
			}
		}
		for _, tn := range row.not {
			if s.covers(tn) {
				t.Errorf("%s: %q", name, tn)
			}
		}
	}
}

// TestRangeIsCounting: a number is in a range exactly when counting from its start meets it.
func TestRangeIsCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.StringMatching(`[0-9]{1,4}`).Draw(t, "start")
		count := rapid.IntRange(2, 300).Draw(t, "count")
		tn := rapid.StringMatching(`[0-9]{1,4}`).Draw(t, "tn")
		s, ok := parseScope(tnAuthList(span(start, count)).Value)
		if !ok {
			t.Fatal("not read")
		}
		counted, at := false, []byte(start)
		for range count {
			counted = counted || string(at) == tn
			i := len(at) - 1
			for ; i >= 0 && at[i] == '9'; i-- {
				at[i] = '0'
			}
			if i < 0 {
				break
			}
			at[i]++
		}
		if s.covers(tn) != counted {
			t.Fatalf("%s is in %d from %s: %v", tn, count, start, counted)
		}
	})
}

// FuzzScope: no input makes it fail, and what is read speaks for what it says.
func FuzzScope(f *testing.F) {
	for _, e := range []pkix.Extension{tnAuthList(spc("709J")), tnAuthList(one(caller), span("12125550100", 100)), tnAuthList()} {
		f.Add(e.Value, caller)
	}
	f.Fuzz(func(t *testing.T, der []byte, tn string) {
		s, ok := parseScope(der)
		if !ok {
			return
		}
		if s.covers(tn) && !plainNumber(tn) {
			t.Errorf("covers %q", tn)
		}
		for _, one := range s.ones {
			if !s.covers(one) {
				t.Errorf("does not cover %q", one)
			}
		}
	})
}
