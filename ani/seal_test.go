package ani

import (
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"callhall/call"
)

func testKey(t testing.TB, id string) Key {
	t.Helper()
	key, err := parseKey(id + " " + strings.Repeat("A", 43) + "=")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestSealBindsTheRow has one key for every city, so that nothing but the seal tells their rows apart.
func TestSealBindsTheRow(t *testing.T) {
	key := testKey(t, "00000001")
	row := VaultRow{City: "springfield", Call: "cl_1", Status: call.CallerWithheld, Private: true, CapturedAt: time.Unix(1, 0), DueAt: time.Unix(2, 0)}
	sealRow(key, &row, held{Identity: Identity{Number: seal(digits)}})
	if h, err := openRow([]Key{key}, row); err != nil || h.Number.open() != digits {
		t.Fatalf("%q, %v", h.Number.open(), err)
	}
	for name, change := range map[string]func(*VaultRow){
		"city": func(r *VaultRow) { r.City = "shelbyville" }, "call": func(r *VaultRow) { r.Call = "cl_2" },
		"status": func(r *VaultRow) { r.Status = call.CallerPresent }, "private": func(r *VaultRow) { r.Private = false },
		"verstat": func(r *VaultRow) { r.Verstat = call.VerstatPassed }, "source": func(r *VaultRow) { r.Source = SourceFrom },
		"captured": func(r *VaultRow) { r.CapturedAt = time.Unix(3, 0) }, "due": func(r *VaultRow) { r.DueAt = time.Unix(3, 0) },
		"seal":  func(r *VaultRow) { r.Sealed = append(slices.Clone(r.Sealed[:20]), make([]byte, len(r.Sealed)-20)...) },
		"short": func(r *VaultRow) { r.Sealed = r.Sealed[:6] }, "empty": func(r *VaultRow) { r.Sealed = nil },
		"form": func(r *VaultRow) { r.Sealed = append([]byte{formRow1}, r.Sealed[1:]...) },
	} {
		changed := row
		change(&changed)
		if h, err := openRow([]Key{key}, changed); !errors.Is(err, ErrDamaged) || !h.Number.IsZero() {
			t.Errorf("%s changed: %q, %v", name, h.Number.open(), err)
		}
	}
}

// TestWhatARowBinds: the words in quotes, the times in nanoseconds, as rows that are on disks have it.
func TestWhatARowBinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.String()
		row := VaultRow{City: call.CityID(word.Draw(t, "city")), Call: call.ID(word.Draw(t, "call")), Status: call.CallerStatus(word.Draw(t, "status")),
			Verstat: call.Verstat(word.Draw(t, "verstat")), Source: Source(word.Draw(t, "source")), Private: rapid.Bool().Draw(t, "private"),
			CapturedAt: time.Unix(0, rapid.Int64().Draw(t, "captured")), DueAt: time.Unix(0, rapid.Int64().Draw(t, "due"))}
		want := fmt.Sprintf("callhall vault row v2 %q %q %q %q %q %t %d %d", row.City, row.Call, row.Status, row.Verstat, row.Source, row.Private,
			row.CapturedAt.UnixNano(), row.DueAt.UnixNano())
		if got := string(bound(2, row)); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

// A row that the first version wrote, byte for byte.
func TestRowsOfTheFirstVersionOpen(t *testing.T) {
	row := VaultRow{City: "springfield", Call: "cl_1", Status: call.CallerWithheld, Verstat: call.VerstatPassed, Source: SourceAsserted,
		Private: true, CapturedAt: time.Unix(1, 0), DueAt: time.Unix(2, 0)}
	var err error
	if row.Sealed, err = base64.StdEncoding.DecodeString(firstRow); err != nil {
		t.Fatal(err)
	}
	h, err := openRow([]Key{testKey(t, "00000001")}, row)
	if err != nil || h.Number.open() != digits || h.Source != SourceAsserted || !h.Private || h.Privacy != PrivacyID || h.Verstat != call.VerstatPassed {
		t.Errorf("%q, %v, %v", h.Number.open(), h.Source, err)
	}
	row.Source = SourceFrom
	if _, err := openRow([]Key{testKey(t, "00000001")}, row); !errors.Is(err, ErrDamaged) {
		t.Errorf("changed: %v", err)
	}
}

const firstRow = "AQAAAAFE+xpIEsnmDAehtF0mdQiQui6AWnxOqXsJOV1jRjQ4l1BgoWW1LADQRgBzjw=="

// Whatever is known of a caller comes back as it was, and its size says nothing of it.
func TestRowsKeepAllAndShowNoSize(t *testing.T) {
	key, sizes := testKey(t, "00000001"), map[int]bool{}
	digit := rapid.StringMatching(`[2-9][0-9]{0,14}`)
	number := rapid.Custom(func(rt *rapid.T) string {
		if rapid.Bool().Draw(rt, "none") {
			return ""
		}
		return digit.Draw(rt, "digits")
	})
	rapid.Check(t, func(rt *rapid.T) {
		text := func(name string) string { return trim(rapid.StringN(0, 80, 90).Draw(rt, name)) }
		numbers := [2]string{number.Draw(rt, "number"), number.Draw(rt, "charge")}
		texts := [2]string{text("name"), text("isub")}
		flags := rapid.SliceOfN(rapid.Bool(), 5, 5).Draw(rt, "flags")
		before := rapid.SliceOfN(digit, 0, maxRedirects).Draw(rt, "redirected")
		h := held{Identity: Identity{Number: seal(numbers[0]), Charge: seal(numbers[1]), Name: sealText(texts[0]), ISUB: sealText(texts[1]),
			Privacy: Privacy(rapid.Byte().Draw(rt, "privacy")), Category: rapid.SampledFrom([]Category{"", CategoryPrison}).Draw(rt, "category"),
			Attest: rapid.SampledFrom([]call.Attestation{"", "A", "C"}).Draw(rt, "attest"), Source: SourceRemoteParty},
			trust: Trust{flags[0], flags[1], flags[2], flags[3]}}
		for i, digits := range before {
			h.Redirected = append(h.Redirected, Redirect{Number: seal(digits), Private: flags[i%5]})
		}
		row := VaultRow{City: "a", Call: "cl_1", Private: flags[4]}
		sealRow(key, &row, h)
		sizes[len(row.Sealed)] = true
		got, err := openRow([]Key{key}, row)
		if err != nil {
			rt.Fatal(err)
		}
		if got.Number.open() != numbers[0] || got.Charge.open() != numbers[1] || got.Name.open() != texts[0] || got.ISUB.open() != texts[1] {
			rt.Errorf("numbers and texts differ")
		}
		var again []string
		for i, r := range got.Redirected {
			again = append(again, r.Number.open())
			if r.Private != flags[i%5] {
				rt.Errorf("flag of redirect %d", i)
			}
		}
		if !slices.Equal(again, before) {
			rt.Errorf("redirected %v, was %v", again, before)
		}
		if got.Privacy != h.Privacy || got.Category != h.Category || got.Attest != h.Attest || got.Source != h.Source || got.Private != flags[4] ||
			!reflect.DeepEqual(got.trust, h.trust) {
			rt.Errorf("%v, was %v", got.trust, h.trust)
		}
	})
	if len(sizes) != 1 {
		t.Errorf("sizes %v", sizes)
	}
}
