package test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// A spelling is one way in which a number might hide. Bytes are compared as they are.
type spelling struct {
	name  string
	bytes []byte
	alone bool // counts only where no letter or digit touches it: so short a run of digits is in every log by chance
}

// spellings are the ways in which a number is looked for. It is one of ten digits, "2125550142".
func spellings(d string) (all []spelling) {
	add := func(name string, forms ...string) {
		for _, f := range forms {
			all = append(all, spelling{name: name, bytes: []byte(f)})
		}
	}
	npa, nxx, line, e164 := d[:3], d[3:6], d[6:], "+1"+d
	add("plain, E.164, tel and sip URI, escaped plus", d) // each has the ten digits in it
	add("dashes", npa+"-"+nxx+"-"+line)
	add("dots", npa+"."+nxx+"."+line)
	add("spaces", npa+" "+nxx+" "+line)
	add("slashes", npa+"/"+nxx+"/"+line)
	add("underscores", npa+"_"+nxx+"_"+line)
	add("brackets", "("+npa+") "+nxx+"-"+line, "("+npa+")"+nxx+line, "("+npa+")"+nxx+"-"+line, "("+npa+") "+nxx+line, "("+npa+") "+nxx+" "+line)
	add("half a dash", npa+"-"+nxx+line, npa+nxx+"-"+line, npa+" "+nxx+line, npa+" "+nxx+"-"+line)
	add("without area code", nxx+"-"+line, nxx+"."+line, nxx+" "+line)
	all = append(all, spelling{"without area code, plain", []byte(nxx + line), true})
	for _, sep := range []string{" ", "-", ".", ",", ", ", "_"} {
		add("digit by digit", strings.Join(strings.Split(d, ""), sep))
	}
	add("reversed", reversed(d), reversed(e164))
	add("reversed domain (ENUM)", strings.Join(strings.Split(reversed(d), ""), "."))
	zero, oh := inWords(d, "zero"), inWords(d, "oh")
	for _, words := range [][]string{zero, oh} {
		for _, sep := range []string{" ", "-", "", "_"} {
			s := strings.Join(words, sep)
			add("words", s, strings.ToUpper(s))
		}
	}
	for _, s := range []string{d, e164, "tel:" + e164, npa + "-" + nxx + "-" + line} {
		add("base64", inner(s, base64.StdEncoding, 3, 4)...)
		add("base64 of a URL", inner(s, base64.URLEncoding, 3, 4)...)
	}
	add("base32", inner32(d)...)
	add("hex of ASCII", hex.EncodeToString([]byte(d)), strings.ToUpper(hex.EncodeToString([]byte(d))), spacedHex(d, " "), spacedHex(d, ":"))
	add("URL escapes", escaped(d, "%%%02X"))
	add("quoted-printable", escaped(d, "=%02X"))
	add("JSON escapes", escaped(d, `\u%04x`), escaped(d, `\u%04X`))
	add("byte escapes", escaped(d, `\x%02x`), escaped(d, `\%03o`))
	add("HTML references", escaped(d, "&#%d;"), escaped(d, "&#x%x;"))
	add("decimal bytes", strings.TrimSuffix(escaped(d, "%d "), " "), strings.TrimSuffix(escaped(d, "%d,"), ","))
	add("UTF-16", wide(d, binary.LittleEndian), wide(d, binary.BigEndian))
	add("full-width and Arabic digits", moved(d, '０'), moved(d, '٠'))
	bcd, _ := hex.DecodeString(d)
	odd, _ := hex.DecodeString("1" + d + "f")
	add("BCD", string(bcd), string(swapped(bcd)), string(odd), string(swapped(odd)))
	add("rot47", rot47(d))
	var n uint64
	fmt.Sscan("1"+d, &n)
	add("binary", string(binary.BigEndian.AppendUint64(nil, n)[2:]), string(binary.LittleEndian.AppendUint64(nil, n)))
	add("hexadecimal value", fmt.Sprintf("%x", n), fmt.Sprintf("%X", n))
	for _, s := range []string{d, "1" + d, e164, "tel:" + e164} { // a hash without a key is no secret: there are ten thousand million numbers
		h256, h1, h5 := sha256.Sum256([]byte(s)), sha1.Sum([]byte(s)), md5.Sum([]byte(s))
		for _, h := range [][]byte{h256[:], h1[:], h5[:]} {
			add("hash", string(h[:16]), hex.EncodeToString(h[:16]), base64.StdEncoding.EncodeToString(h)[:20])
		}
	}
	return all
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

func inWords(d, zero string) (words []string) {
	for _, c := range d {
		words = append(words, []string{zero, "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}[c-'0'])
	}
	return words
}

// inner is what of a text's encoding does not depend on what stands before and after it, for each place where it can
// begin: in bytes become out characters.
func inner(s string, enc interface{ EncodeToString([]byte) string }, in, out int) (forms []string) {
	for before := range in {
		text := enc.EncodeToString([]byte(strings.Repeat("\x00", before) + s))
		first, last := (before*out+in-1)/in, (before+len(s))*out/in
		forms = append(forms, text[first:last])
	}
	return forms
}

func inner32(s string) (forms []string) {
	for _, enc := range []*base32.Encoding{base32.StdEncoding, base32.HexEncoding} {
		for _, f := range inner(s, enc, 5, 8) {
			forms = append(forms, f, strings.ToLower(f))
		}
	}
	return forms
}

func escaped(d, format string) string {
	var b strings.Builder
	for i := range len(d) {
		fmt.Fprintf(&b, format, d[i])
	}
	return b.String()
}

func spacedHex(d, sep string) string { return strings.TrimSuffix(escaped(d, "%02x"+sep), sep) }

func wide(d string, order binary.AppendByteOrder) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(d)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

func moved(d string, zero rune) string {
	return strings.Map(func(c rune) rune { return c - '0' + zero }, d)
}

func rot47(d string) string {
	return strings.Map(func(c rune) rune { return 33 + (c-33+47)%94 }, d)
}

func swapped(b []byte) []byte {
	out := slices.Clone(b)
	for i, c := range out {
		out[i] = c<<4 | c>>4
	}
	return out
}

// A hit is a number that was found.
type hit struct {
	Number string // as the finder was told it
	How    string // the spelling
	Near   string // what stands around it
}

// A finder looks for many numbers in many spellings in one pass.
type finder struct {
	by    map[[4]byte][]candidate
	first [1 << 16]bool
	least int // bytes of the shortest form
}

type candidate struct {
	number string
	spelling
}

func newFinder(numbers ...string) *finder {
	f := &finder{by: map[[4]byte][]candidate{}, least: 4}
	for _, number := range numbers {
		for _, s := range spellings(number) {
			if len(s.bytes) < f.least {
				panic(s.name + " is too short to be looked for")
			}
			f.by[[4]byte(s.bytes)] = append(f.by[[4]byte(s.bytes)], candidate{number, s})
			f.first[binary.BigEndian.Uint16(s.bytes)] = true
		}
	}
	return f
}

// find returns each number that is in content once for each spelling.
func (f *finder) find(content []byte) (hits []hit) {
	type what struct{ number, name string }
	seen := map[what]bool{}
	for i := 0; i+f.least <= len(content); i++ {
		if !f.first[binary.BigEndian.Uint16(content[i:])] {
			continue
		}
		for _, c := range f.by[[4]byte(content[i:])] {
			key := what{c.number, c.name}
			if seen[key] || !bytes.HasPrefix(content[i:], c.bytes) || c.alone && touched(content, i, len(c.bytes)) {
				continue
			}
			seen[key] = true
			hits = append(hits, hit{c.number, c.name, fmt.Sprintf("%q", content[max(0, i-80):min(len(content), i+80)])})
		}
	}
	return hits
}

// touched tells whether a letter or a digit stands right before or after content[at:at+n].
func touched(content []byte, at, n int) bool {
	word := func(i int) bool {
		if i < 0 || i >= len(content) {
			return false
		}
		c := content[i]
		return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80 || c < ' ' && c != '\n' && c != '\r'
	}
	return word(at-1) || word(at+n)
}

// wantNone fails for each number that is found in content.
func (f *finder) wantNone(t testing.TB, where string, content []byte) {
	t.Helper()
	for _, h := range f.find(content) {
		t.Errorf("%s has %s (%s): %s", where, h.Number, h.How, h.Near)
	}
}

// wantNoneBelow searches every byte and every name below dir, and returns how many bytes that were.
func (f *finder) wantNoneBelow(t testing.TB, dir string) (searched int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f.wantNone(t, "the name of "+path, []byte(strings.TrimPrefix(path, dir)))
		if !d.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		searched += len(content)
		f.wantNone(t, path, content)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return searched
}

// complaints is a testing.TB that only counts what a search complains of.
type complaints struct {
	testing.TB
	said []string
}

func (c *complaints) Helper()                      {}
func (c *complaints) Errorf(form string, a ...any) { c.said = append(c.said, fmt.Sprintf(form, a...)) }

// TestTheSearchFindsEverySpelling plants each spelling of a number in a file of noise and wants it found there, at
// every place in a word of an encoding, and nothing found in the noise alone.
func TestTheSearchFindsEverySpelling(t *testing.T) {
	const number = "2125550142"
	f := newFinder(number, "6465550163")
	kinds := map[string]bool{}
	for _, s := range spellings(number) {
		kinds[s.name] = true
		dir := t.TempDir()
		planted := slices.Concat(bytes.Repeat([]byte("noise\x00\xff "), 500), s.bytes, []byte(" noise"))
		must(t, os.WriteFile(filepath.Join(dir, "planted"), planted, 0o600))
		c := &complaints{TB: t}
		f.wantNoneBelow(c, dir)
		if len(c.said) == 0 {
			t.Errorf("%s is not found: %q", s.name, s.bytes)
		}
	}
	if len(kinds) < 30 {
		t.Errorf("only %d spellings are looked for: %v", len(kinds), kinds)
	}
	for before := range 6 { // whatever stands around it
		text := strings.Repeat("x", before) + "tel:+1" + number + ";x"
		for name, s := range map[string]string{"base64": base64.StdEncoding.EncodeToString([]byte(text)), "base64 of a URL": base64.RawURLEncoding.EncodeToString([]byte(text)),
			"base32": base32.StdEncoding.EncodeToString([]byte(text)), "hex of ASCII": hex.EncodeToString([]byte(text))} {
			if len(f.find([]byte(s))) == 0 {
				t.Errorf("%s of %q is not found in %s", name, text, s)
			}
		}
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "call-"+number), nil, 0o600))
	c := &complaints{TB: t}
	if f.wantNoneBelow(c, dir); len(c.said) != 1 {
		t.Errorf("in a file's name it is found %d times", len(c.said))
	}
	f.wantNone(t, "noise", []byte("5550142337 x5550142 +1 212 ***-**42 2125550143 212-555-0143 cl_2125550"))
}
