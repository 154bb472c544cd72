package ani

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestParseNumber(t *testing.T) {
	for form, want := range map[string]string{
		"+12125550142": "12125550142", "12125550142": "12125550142", "2125550142": "12125550142", "212-555-0142": "12125550142", "(212) 555-0142": "12125550142",
		"(212)555-0142": "12125550142", "212.555.0142": "12125550142", "212 555 0142": "12125550142", "1-212-555-0142": "12125550142", "1 (212) 555-0142": "12125550142",
		"+1 (212) 555-0142": "12125550142", "+1.212.555.0142": "12125550142", "+1-212-555-0142": "12125550142", " +12125550142 ": "12125550142", "\t2125550142\n": "12125550142",
		"tel:+12125550142": "12125550142", "TEL:+1-212-555-0142": "12125550142", "tel: 212 555 0142": "12125550142", "212\u00a0555\u00a00142": "12125550142", "212\u2011555\u20110142": "12125550142",
		"212\u2013555\u20130142": "12125550142", "212\u2212555\u22120142": "12125550142", "\u202a+12125550142\u202c": "12125550142", "\u200e212-555-0142": "12125550142",
		"２１２５５５０１４２": "12125550142", "＋12125550142": "12125550142", "+ 1 212 555 0142": "12125550142", "212\u3000555\u20090142": "12125550142",
		"+44 20 7946 0123": "442079460123", "011 44 20 7946 0123": "442079460123", "011-1-212-555-0142": "12125550142", "+353 1 555 0142": "35315550142",
		"2 1 2 5 5 5 0 1 4 2": "12125550142", "((212))5550142": "12125550142", "+1212555 0142.": "12125550142",
	} {
		if n, err := ParseNumber(form); err != nil || n.open() != want {
			t.Errorf("%q: %s, %v; want %s", form, n.open(), err, want)
		}
	}
	for _, form := range []string{"", " ", "+", "tel:", "5550142", "555-0142", "311", "911", "*67", "+1", "+1212555014", "+121255501422", "1112125550142", "442079460123", "0044 20 7946 0123",
		"+0123456789", "212-555-0142 x5", "212-555-0142 ext. 5", "2125550142;ext=5", "212-555-CITY", "2125550142/3", "+12125550142,+12125550143", "2125550142 2125550143", "sip:+12125550142@c.invalid",
		"<tel:+12125550142>", "++12125550142", "12125550142+", "1.2125550142E+10", "12125550142.0", "2125550142\x00", "212\u0660550142", "anonymous", "+1 212 155 0142", "+1 112 555 0142", "+1234567890123456",
		"011", "011911", "+01112125550142", strings.Repeat(" ", maxEntered) + "2125550142", "212_555_0142", "#2125550142", "null", "redacted"} {
		if n, err := ParseNumber(form); !errors.Is(err, ErrNotNumber) || !n.IsZero() {
			t.Errorf("%q was taken for %s, %v", form, n.open(), err)
		}
	}
}

type form struct {
	Caller Entered `json:"caller" yaml:"caller"`
	Other  Entered `json:"other,omitzero" yaml:"other"`
}

func TestEnteredIsSealedWhileItIsRead(t *testing.T) {
	for _, in := range []string{`{"caller": "+1 (212) 555-0142"}`, `{"caller": "\u002b12125550142", "other": null}`, `{"caller":"212-555-0142","other":""}`} {
		var f form
		if err := json.Unmarshal([]byte(in), &f); err != nil || f.Caller.Number().open() != "12125550142" || !f.Other.IsZero() {
			t.Errorf("%s: %s, %v", in, f.Caller.Number().open(), err)
		}
		out, err := json.Marshal(f)
		if string(out) != `{"caller":"redacted"}` {
			t.Errorf("written back as %s, %v", out, err)
		}
	}
	for _, in := range []string{"caller: +1 212 555 0142", "caller: 12125550142", "caller: '212-555-0142'\nother: ''", "caller: 2125550142\nother: null"} {
		var f form
		if err := yaml.Unmarshal([]byte(in), &f); err != nil || f.Caller.Number().open() != "12125550142" || !f.Other.IsZero() {
			t.Errorf("%s: %s, %v", in, f.Caller.Number().open(), err)
		}
		var out bytes.Buffer
		if err := yaml.NewEncoder(&out).Encode(f); err != nil || !strings.Contains(out.String(), "caller: redacted") {
			t.Errorf("written back as %s, %v", out.String(), err)
		}
		shows(t, "yaml", out.String())
	}
}

// TestEnteredTellsNothingOfWhatIsWrong: the error of a decoder ends in a log and in an answer.
func TestEnteredTellsNothingOfWhatIsWrong(t *testing.T) {
	for _, in := range []string{`12125550142`, `"12125550142x"`, `["12125550142"]`, `{"n":"12125550142"}`, `true`, `1.2125550142e10`, `"\ud80012125550142"`, `"+1 212 555 0142 ext 3"`} {
		var f form
		err := json.Unmarshal([]byte(`{"caller": `+in+`}`), &f)
		if !errors.Is(err, ErrNotNumber) || !f.Caller.IsZero() {
			t.Errorf("%s: %v", in, err)
		}
		shows(t, "json", fmt.Sprint(err))
	}
	for _, in := range []string{"caller: 12125550142x", "caller: 0x12125550142", "caller: 12125550142.5"} {
		var f form
		err := yaml.Unmarshal([]byte(in), &f)
		if err == nil || !f.Caller.IsZero() {
			t.Errorf("%s was taken", in)
		}
		shows(t, "yaml", fmt.Sprint(err))
	}
	for _, text := range []string{"12125550142x", ""} {
		e := Entered{number: seal("12125550142")}
		if err := e.UnmarshalText([]byte(text)); (err == nil) != (text == "") || !e.IsZero() {
			t.Errorf("%q left an earlier number standing", text)
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"+1 (212) 555-0142", "011442079460123", "tel:２", "\u202a+1", "+", "tel:tel:", "()"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseNumber(s)
		d := n.open()
		if (err == nil) != (d != "") || d != "" && !callable(d) {
			t.Errorf("%q: %q, %v", s, d, err)
		}
		if again, err := ParseNumber("+" + d); d != "" && (err != nil || again.open() != d) {
			t.Errorf("%q: read again %q, %v", d, again.open(), err)
		}
		if err != nil && err != ErrNotNumber {
			t.Error(err)
		}
	})
}
