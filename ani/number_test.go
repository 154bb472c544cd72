package ani

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const digits = "12125550142"

// spellings are what a dump might show of digits: as text, national, reversed, as hexadecimal and as byte values.
func spellings(of string) []string {
	reversed := []byte(of)
	slices.Reverse(reversed)
	all := []string{of, of[1:], of[4:], string(reversed), fmt.Sprintf("%x", of[4:]), fmt.Sprintf("%X", of[4:])}
	for _, sep := range []string{" ", ", ", ",", ",0x"} {
		var parts, hex []string
		for _, c := range []byte(of[4:]) {
			parts, hex = append(parts, fmt.Sprint(c)), append(hex, fmt.Sprintf("%x", c))
		}
		all = append(all, strings.Join(parts, sep), strings.Join(hex, sep))
	}
	return all
}

func shows(t *testing.T, how, text string) {
	t.Helper()
	for _, s := range spellings(digits) {
		if strings.Contains(text, s) {
			t.Errorf("%s shows %q: %s", how, s, text)
		}
	}
}

// holder has a number where fmt cannot call its methods.
type holder struct {
	Name   string
	number Number
	value  Value
	inner  struct{ numbers []Number }
}

func newHolder(d string) *holder {
	n := seal(d)
	h := &holder{Name: "x", number: n, value: valueOf(n, Full)}
	h.inner.numbers = []Number{n}
	return h
}

func TestNumberIsNoiseHoweverPrinted(t *testing.T) {
	h := newHolder(digits)
	who := ParseIdentity(Headers{Asserted: []string{"<tel:+" + digits + ">"}}, Trust{Identity: true})
	headers := Headers{Asserted: []string{"<tel:+" + digits + ">"}, From: []string{digits}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%T", "%c", "%U"} {
		for _, x := range []any{h.number, &h.number, h, *h, h.value, &h.value, who, &who, headers, &headers, []any{h, who}, map[string]any{"n": h.number, "h": *h}} {
			shows(t, verb, fmt.Sprintf(verb, x))
		}
	}
	for _, x := range []any{h.number, h, who, headers, h.value, Grant{Value: h.value}} {
		b, err := json.Marshal(x)
		shows(t, "json", string(b))
		if err != nil {
			t.Errorf("json: %v", err)
		}
		var text bytes.Buffer
		log := slog.New(slog.NewMultiHandler(slog.NewTextHandler(&text, nil), slog.NewJSONHandler(&text, nil)))
		log.Info("a call", "x", x)
		shows(t, "slog", text.String())
		shows(t, "reflect", walk(reflect.ValueOf(x)))
	}
	b, err := xml.Marshal(who.Number)
	shows(t, "xml", string(b))
	var coded bytes.Buffer
	if err2 := gob.NewEncoder(&coded).Encode(who); err != nil || err2 != nil {
		t.Errorf("xml: %v, gob: %v", err, err2)
	}
	shows(t, "gob", coded.String())
}

// walk prints every byte that reflection reaches, unexported fields too.
func walk(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return ""
		}
		return walk(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Headers]() {
			return "" // plain on purpose; only printing them is guarded
		}
		var all string
		for i := range v.NumField() {
			all += walk(v.Field(i)) + " "
		}
		return all
	case reflect.Array, reflect.Slice:
		var all string
		for i := range v.Len() {
			all += walk(v.Index(i)) + " "
		}
		return all
	case reflect.Uint8:
		return fmt.Sprint(v.Uint())
	default:
		return v.String()
	}
}

func TestTwoNumbersOfOneCallerDiffer(t *testing.T) {
	a, b := seal(digits), seal(digits)
	if a == b {
		t.Error("equal numbers are equal when sealed: they can be told apart from others without being opened")
	}
	diff := cmp.Diff(newHolder(digits), newHolder("12125550199"), cmp.AllowUnexported(holder{}, Number{}, Value{}, struct{ numbers []Number }{}))
	if diff == "" {
		t.Error("go-cmp sees no difference")
	}
	shows(t, "go-cmp", diff)
}

func TestPanicShowsNoNumber(t *testing.T) {
	if os.Getenv("ANI_CHILD") != "" {
		fall(*newHolder(digits), seal(digits))
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestPanicShowsNoNumber$")
	cmd.Env = append(os.Environ(), "ANI_CHILD=1", "GOTRACEBACK=all")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "goroutine ") {
		t.Fatalf("no panic: %v %s", err, out)
	}
	shows(t, "a panic", string(out))
}

//go:noinline
func fall(h holder, n Number) { panic(fmt.Sprintf("%+v %v %#v", h, n, h)) }

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
	var n Number
	if json.Unmarshal([]byte(`"+12125550142"`), &n) == nil {
		t.Error("a number was read from text")
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
