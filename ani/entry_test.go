package ani

import (
	"testing"

	"pgregory.net/rapid"
)

func TestWithoutNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "",
		"desk 4, 2nd floor":                "desk 4, 2nd floor",
		"call +1 (212) 555-0142 back":      "call +[number]back",
		"2125550142":                       "[number]",
		"٢١٢٥٥٥٠١٤٢":                       "[number]",
		"212.555.0142 and 212/555/0143 ok": "[number]and [number]ok",
		"order 42 of 7":                    "order 42 of 7",
	} {
		if got := withoutNumbers(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

// Whatever stands around and between its digits, no number is shown.
func TestWithoutNumbersShowsNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z ]{0,5}`).Draw(t, "before")
		for _, digit := range "2125550142" {
			text += string(digit) + rapid.StringMatching(`[-. ()/+_*]{0,3}`).Draw(t, "between")
		}
		text += rapid.StringMatching(`[a-z ]{0,5}`).Draw(t, "after")
		digits := 0
		for _, r := range withoutNumbers(text) {
			if r >= '0' && r <= '9' {
				digits++
			}
		}
		if digits > 0 {
			t.Fatalf("%q is shown as %q", text, withoutNumbers(text))
		}
	})
}

// Two keys, people, cities or registers never make the same id, and one request always does.
func TestEntryIDs(t *testing.T) {
	dana, paul := Person{Actor: "token:dana"}, Person{Actor: "token:paul"}
	same := entryID("cns", "a", dana, "k")
	if same != entryID("cns", "a", dana, "k") {
		t.Error("a retry has another id")
	}
	for _, id := range []string{entryID("cns", "b", dana, "k"), entryID("prc", "a", dana, "k"), entryID("cns", "a", paul, "k"),
		entryID("cns", "a", dana, "l"), entryID("cns", "a", dana, ""), entryID("cns", "a", dana, "")} {
		if id == same {
			t.Errorf("%s twice", id)
		}
	}
}
