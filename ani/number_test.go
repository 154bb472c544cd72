package ani

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const digits = "12125550142"

func TestSealedNumberOpensAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.StringMatching(`[0-9]{1,15}`).Draw(t, "digits")
		if got := seal(want).open(); got != want {
			t.Fatalf("sealed %s, opened %s", want, got)
		}
	})
	if !seal("").IsZero() || !seal(strings.Repeat("1", 16)).IsZero() || (Number{}).open() != "" {
		t.Error("what is not a number was sealed")
	}
	if a, b := seal(digits), seal(digits); a == b {
		t.Error("equal numbers are equal when sealed: they can be told apart from others without being opened")
	}
}

func TestMaskShowsAreaCodeAndLastTwo(t *testing.T) {
	for number, want := range map[string]string{digits: "+1 212 ***-**42", "440000000023": "+44 ***-**23", "35300000078": "+353 ***-**78",
		"70000000067": "+7 ***-**67", "12": "", "": ""} {
		if got := valueOf(seal(number), Mask).Reveal(); got != want {
			t.Errorf("mask of %s is %q, want %q", number, got, want)
		}
	}
	if got := valueOf(seal(digits), Full).Reveal(); got != "+"+digits {
		t.Errorf("full is %q", got)
	}
	for _, d := range []Decision{Deny, Token, "", "full"} {
		if got := valueOf(seal(digits), d).Reveal(); got != "" {
			t.Errorf("%q shows %q", d, got)
		}
	}
	if shown := valueOf(seal(digits), Mask).shown.open(); shown != "21242" {
		t.Errorf("a masked value holds %s", shown)
	}
}
