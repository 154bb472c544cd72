package ani

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"callhall/call"
)

// mustHold are the invariants of every identity, whatever came.
func mustHold(t interface{ Errorf(string, ...any) }, h Headers, trust Trust, id Identity) {
	d := id.Number.open()
	switch {
	case id.Status == call.CallerPresent && (d == "" || id.Private):
		t.Errorf("present without a number, or though it is private: %+v", read(id))
	case d != "" && !callable(d):
		t.Errorf("%q was taken for a number", d)
	case (d != "") != (id.Source != SourceNone):
		t.Errorf("a number without source, or the reverse: %+v", read(id))
	case trust.Identity && id.Private != (id.Status == call.CallerWithheld) && !(d == "" && !id.Private):
		t.Errorf("a wish for privacy was lost: %+v", read(id))
	case id.Privacy.Restricts() && !id.Private:
		t.Errorf("Privacy was lost: %+v", read(id))
	case id.Verstat == call.VerstatPassed && d == "", id.Attest != call.AttestNone && id.Verstat != call.VerstatPassed:
		t.Errorf("verified, and nobody knows what: %+v", read(id))
	case id.Source == SourceFrom && len(h.Asserted) > 0, id.Source == SourceRemoteParty && (len(h.Asserted) > 0 || !trust.RemoteParty):
		t.Errorf("guessed from another header: %+v", read(id))
	case !id.Charge.IsZero() && !trust.Charge, len(id.Redirected) > 0 && !trust.Retarget:
		t.Errorf("taken from a trunk that is not trusted with it: %+v", read(id))
	}
	if !trust.Identity {
		noStranger(t, id)
	}
}

// noStranger: what comes from outside the trust domain yields nothing but its wish for privacy.
func noStranger(t interface{ Errorf(string, ...any) }, id Identity) {
	got := read(id)
	got.Private, got.Privacy = false, ""
	if got != (reading{Status: call.CallerUnavailable}) {
		t.Errorf("a stranger was believed: %+v", got)
	}
}

func trustOf(bits uint8) Trust {
	return Trust{Identity: bits&1 != 0, RemoteParty: bits&2 != 0, Charge: bits&4 != 0, Retarget: bits&8 != 0}
}

// lists are the headers as pointers, so that a test can change any of them.
func lists(h *Headers) []*[]string {
	return []*[]string{&h.Asserted, &h.From, &h.RemoteParty, &h.Privacy, &h.ChargeInfo, &h.Diversion, &h.HistoryInfo, &h.Identity}
}

// drawHeaders draws headers from what carriers send and from pieces that nobody should.
func drawHeaders(t *rapid.T) Headers {
	pieces := slices.Concat(numberForms, anonymousForms, []string{"none", "id", "", ",", ";", "garbage", "<tel:911>", "<sip:unavailable@unknown.invalid>",
		"<tel:+12125550143>;screen=yes", "<tel:+12125550144>;screen=yes;privacy=full", "<tel:+12125550145;verstat=TN-Validation-Passed-C>", "<tel:+12125550146;verstat=TN-Validation-Failed>",
		"<tel:+12125550147>;index=1", "<tel:+12125550148?Privacy=history>;index=1.1", "<tel:+12125550149>;privacy=full", strings.Repeat("x", maxHeader+1)})
	for p := range privacyForms {
		pieces = append(pieces, p)
	}
	slices.Sort(pieces)
	value := rapid.OneOf(rapid.SampledFrom(pieces), rapid.SampledFrom(pieces), rapid.StringMatching(`["<>,;:=@?%a-z0-9+ -]{0,40}`))
	var h Headers
	for _, list := range lists(&h) {
		if values := rapid.SliceOfN(value, 0, 3).Draw(t, "values"); len(values) > 0 {
			*list = values
		}
	}
	h.Verstat = rapid.SampledFrom([]string{"", "", "TN-Validation-Passed", "TN-Validation-Passed-B", "TN-Validation-Failed", "x"}).Draw(t, "verstat")
	return h
}

func TestIdentityInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, trust := drawHeaders(t), trustOf(rapid.Uint8().Draw(t, "trust"))
		mustHold(t, h, trust, ParseIdentity(h, trust))
	})
}

// TestAddingHeadersNeverOpens: once somebody wants to stay unknown, nothing that is added takes it back; nor does more
// trust in the trunk.
func TestAddingHeadersNeverOpens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, bits := drawHeaders(t), rapid.Uint8Range(0, 15).Draw(t, "trust")
		before := ParseIdentity(h, trustOf(bits))
		more := drawHeaders(t)
		for i, list := range lists(&h) {
			added := *lists(&more)[i]
			if rapid.Bool().Draw(t, "first") {
				*list = slices.Concat(added, *list)
			} else {
				*list = slices.Concat(*list, added)
			}
		}
		after := ParseIdentity(h, trustOf(bits|rapid.Uint8Range(0, 15).Draw(t, "more trust")))
		if before.Private && !after.Private || after.Privacy&before.Privacy != before.Privacy {
			t.Fatalf("opened: %+v became %+v", read(before), read(after))
		}
	})
}

func FuzzIdentity(f *testing.F) {
	for i, form := range numberForms {
		f.Add(form, "<sip:+12125550199@c.invalid>;tag=1", "", "id", form, "", "", "", uint8(1))
		f.Add("", form, form+";screen=yes", "", "", form, form+";index=1", "TN-Validation-Passed-B", uint8(15))
		f.Add(form, anonymousForms[i%len(anonymousForms)], "", "none", "", "", "", "", uint8(i))
	}
	f.Add(`"unclosed <tel:+1`, `"\`, `"`, ";;", "<", ">,<", "<sip:@?&=>;index=..", "-", uint8(15))
	f.Add("<sip:@;?>", "tel:;=;%", "<sip:[>;screen=yes", "none,id", "%", "%%;;", "<tel:?Privacy>;index=1.1.1", "TN-Validation-Passed-", uint8(15))
	f.Fuzz(func(t *testing.T, asserted, from, remote, privacy, charge, diversion, history, verstat string, bits uint8) {
		var h Headers
		for i, v := range []string{asserted, from, remote, privacy, charge, diversion, history} {
			if v != "" {
				*lists(&h)[i] = strings.Split(v, "|")
			}
		}
		h.Verstat = verstat
		id := ParseIdentity(h, trustOf(bits))
		mustHold(t, h, trustOf(bits), id)
		if got := DialledFirst(h, trustOf(bits), []string{"311", "+12125550142"}); got != "" && (got != "311" && got != "+12125550142" || !trustOf(bits).within().Retarget) {
			t.Errorf("%q was dialled first", got)
		}
		for _, list := range lists(&h) { // each header twice, and a wish for privacy beside it
			*list = slices.Concat(*list, *list)
			more := h
			more.Privacy = append(slices.Clone(more.Privacy), "none")
			if id.Private && !ParseIdentity(more, trustOf(bits)).Private {
				t.Error("opened by adding headers")
			}
		}
	})
}
