package ledger

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"callhall/call"
)

func TestMayBeTelephone(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"x", "+12125550142", true}, {"x", "12125550142", true}, {"x", "212-555-0142", true}, {"x", "(212) 555-0142", true},
		{"x", "212.555.0142", true}, {"x", "212 555 0142", true}, {"x", "+1 (212) - 555 / 0142", true}, {"x", "5550142", true},
		{"x", "tel:+12125550142;verstat=x", true}, {"x", "sip:2125550142@example.invalid", true}, {"x", "2410555212", true},
		{"x", "２１２５５５０１４２", true}, {"x", "212\u200b555\u200b0142", true}, {"x", "2-1-2-5-5-5-0-1-4-2", true},
		{"case", "2026-0042", true}, {"case", "+20260042", true}, {"case", "20260042", false}, {"x", "wrapped for minute 29552345", false},
		{"x", "v0.0.0-20261122063000-0123456789ab", false}, {"x", "s3 http://192.168.100.25:9000: nothing found", false},
		{"x", "data key of rec_aaaaaaaaaaaaa2345672345672, wrapped", false}, {"x", "212.555.014.2", true}, {"x", "2125-55-01 42", true},
		{"x", "at 2026-03-15T12:00:00Z and 2026-03-15", false}, {"bytes", "1234567", false}, {"x", "1234567", true}, {"x", "+1 212 ***-**42", false},
		{"x_bytes", "+12125550142", true}, {"x_bytes", "212-555-0142", true},
		{"x", "", false}, {"x", "D08", false}, {"x", "O1,O2,O3,O4,O5,O7,O8,O9", false}, {"x", "555-014", false},
		{"due_at", "2026-03-15T12:00:00.123456789Z", false}, {"x", "2026-03-15", false}, {"x_bytes", "12345678", false},
		{"length_seconds", "1209600", false}, {"recording", "rec_aaaaaaaaaaaaa2345672345672", false},
		{"sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b78526666", false},
		{"x", "rec_aaaaaaaaaaaaa23456723456", true}, // one short of an id
	} {
		if got := mayBeTelephone(c.name, c.value); got != c.want {
			t.Errorf("mayBeTelephone(%q, %q) = %v", c.name, c.value, got)
		}
	}
	for range 1000 {
		if id := string(call.NewID()); mayBeTelephone("x", id) {
			t.Errorf("id %s is taken for a telephone number", id)
		}
	}
}

// TestTreeIsThatOfTlog compares our incremental trees with the library's own, at any size.
func TestTreeIsThatOfTlog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 1500).Draw(t, "size")
		tiles := map[[2]int64][]byte{}
		var e edge
		var f frontier
		var stored []tlog.Hash
		plain := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
			out := make([]tlog.Hash, len(indexes))
			for i, x := range indexes {
				out[i] = stored[x]
			}
			return out, nil
		})
		for i := range n {
			h := tlog.RecordHash([]byte{byte(i), byte(i >> 8)})
			more, err := tlog.StoredHashesForRecordHash(int64(i), h, plain)
			if err != nil {
				t.Fatal(err)
			}
			stored = append(stored, more...)
			f.add(h)
			e.add(h)
			if i%97 == 0 || i == n-1 {
				for _, tile := range e.changed() {
					tiles[[2]int64{int64(tile.Level), tile.N}] = slices.Clone(tile.Hashes)
				}
				e.settle()
			}
		}
		want, err := tlog.TreeHash(int64(n), plain)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tlog.TreeHash(int64(n), hashReader(func(level int, n int64) ([]byte, error) {
			return tiles[[2]int64{int64(level), n}], nil
		}))
		if err != nil || got != want || f.root() != want {
			t.Fatalf("at %d leaves: tiles %v (%v), frontier %v, tlog %v", n, got, err, f.root(), want)
		}
	})
}

// TestBodyIsWhatFormatMdSays holds the bytes fixed: a change here breaks every ledger there is.
func TestBodyIsWhatFormatMdSays(t *testing.T) {
	leaf := call.Leaf{Kind: "ani.release/1", At: time.Date(2026, 3, 1, 7, 30, 0, 120_000_000, time.FixedZone("", -5*3600)),
		Call: "cl_aaaaaaaaaaaaaaaaaaaaaaaaaa", Actor: "agent:ana", Facts: map[string]string{"row": "D08", "note": "a<b> \"é\"\n\x01\u2028"}}
	got, err := encode("springfield", leaf)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"actor":"agent:ana","at":"2026-03-01T12:30:00.12Z","call":"cl_aaaaaaaaaaaaaaaaaaaaaaaaaa","city":"springfield",` +
		`"facts":{"note":"a<b> \"é\"\n\u0001` + "\u2028" + `","row":"D08"},"kind":"ani.release/1","v":1}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	const hash = "+H1Ea6uqZ5tc7a7w/kCWwYVFTL33QnzTBSVNXhIRSJA=" // computed by a program of another language
	if h := leafHash(make([]byte, saltSize), got).String(); h != hash {
		t.Errorf("leaf hash %s, want %s", h, hash)
	}
}

// TestDecodeReadsWhatEncodeWrites holds the quick reader against encoding/json, on bodies that are true and on ones that
// were changed.
func TestDecodeReadsWhatEncodeWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaf := call.Leaf{Kind: "x.y/1", At: time.Unix(0, rapid.Int64Range(0, 1<<62).Draw(t, "at")).UTC(),
			Call: call.ID(rapid.String().Draw(t, "call")), Actor: rapid.String().Draw(t, "actor"),
			Facts: rapid.MapOf(rapid.StringMatching("[a-z][a-z0-9_]{0,5}"), rapid.String()).Draw(t, "facts")}
		text, err := encode("a", leaf)
		if err != nil {
			t.Skip(err)
		}
		city, got, err := decode(text)
		if err != nil || city != "a" || !got.At.Equal(leaf.At) || got.Call != leaf.Call || got.Actor != leaf.Actor || !maps.Equal(got.Facts, leaf.Facts) {
			t.Fatalf("%s: %+v, %v", text, got, err)
		}
		changed := slices.Clone(text)
		changed[rapid.IntRange(0, len(text)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		city, got, err = decode(changed)
		if err != nil {
			return
		}
		var form struct {
			Actor, Call, City, Kind string
			Facts                   map[string]string
		}
		if err := json.Unmarshal(changed, &form); err != nil || form.City != string(city) || form.Actor != got.Actor ||
			form.Call != string(got.Call) || form.Kind != got.Kind || !maps.Equal(form.Facts, got.Facts) {
			t.Fatalf("%s is read as %+v, by encoding/json as %+v, %v", changed, got, form, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, text := range []string{`{"actor":"a","at":"2026-03-01T12:30:00.12Z","call":"","city":"a","facts":{"b":"\\\"\n\u0001","c":""},"kind":"x.y/1","v":1}`,
		`{"actor":"`, `{"actor":"\`, `{"actor":"\u00`, `{"actor":"a","at":"","call":"","city":"","facts":{`, ``} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		city, leaf, err := decode(text)
		if err != nil {
			return
		}
		if again, err := encode(city, leaf); err != nil || !slices.Equal(again, text) {
			t.Errorf("%q was taken and is written as %q, %v", text, again, err)
		}
	})
}
