package ani

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestTextIsKeptWhole(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "  ": "", "\x00\x07": "", "Ana Gray": "Ana Gray", " Ana\tGray\n": "AnaGray", "María Núñez": "María Núñez",
		"Ana \u202eyarG": "Ana yarG", "\xff\xfe": "", strings.Repeat("a", 63): strings.Repeat("a", 63),
		strings.Repeat("a", 64): strings.Repeat("a", 63), strings.Repeat("é", 40): strings.Repeat("é", 31),
		strings.Repeat("a", 62) + "é": strings.Repeat("a", 62), strings.Repeat("a", 62) + " b": strings.Repeat("a", 62),
	} {
		text := sealText(in)
		if got := text.open(); got != want || text.IsZero() != (want == "") {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestSealedTextOpensAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.String().Draw(t, "text")
		got := sealText(in).open()
		if len(got) > maxText || !utf8.ValidString(got) || got != sealText(got).open() {
			t.Fatalf("%q became %q", in, got)
		}
	})
	if a, b := sealText("Ana"), sealText("Ana"); a == b {
		t.Error("equal texts are equal when sealed")
	}
}
