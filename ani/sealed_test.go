package ani

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

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

// headersOf has d wherever a header can have it.
func headersOf(d string) Headers {
	uri := "<tel:+" + d + ">"
	named := []string{`"` + d + `" <tel:+` + d + ";isub=" + d + ">"}
	return Headers{Asserted: named, From: named, RemoteParty: named, ChargeInfo: []string{uri}, Diversion: []string{uri}, HistoryInfo: []string{uri},
		Identity: []string{uri}, Privacy: []string{"id", d}}
}

// sealedThings are one value of every type of this package that has d in it, sealed.
func sealedThings(d string) map[string]any {
	n := seal(d)
	who := ParseIdentity(headersOf(d), everything)
	return map[string]any{"Number": n, "Text": sealText(d), "Value": valueOf(n, Full), "Entered": Entered{number: n}, "Redirect": Redirect{Number: n},
		"IdentityHeader": SealIdentityHeader(d),
		"Identity":       who, "Grant": Grant{Value: valueOf(n, Full)}, "[]Number": []Number{n, n}, "map": map[string]Number{"n": n}}
}

// A holder has something sealed where fmt, JSON and slog cannot call its methods.
type holder struct {
	Name  string
	value any
	inner struct{ values []any }
}

func hold(x any) holder {
	h := holder{Name: "x", value: x}
	h.inner.values = []any{x}
	return h
}

// A typedHolder has every sealed type in a field of its own, unexported.
type typedHolder struct {
	number   Number
	text     Text
	value    Value
	entered  Entered
	redirect [1]Redirect
	identity Identity
	header   IdentityHeader
}

func newTypedHolder(d string) typedHolder {
	n := seal(d)
	return typedHolder{n, sealText(d), valueOf(n, Full), Entered{number: n}, [1]Redirect{{Number: n}}, ParseIdentity(headersOf(d), everything), SealIdentityHeader(d)}
}

// TestTheTestsSee is about the tests below: that what is in a sealed thing would be found if it were not sealed.
func TestTheTestsSee(t *testing.T) {
	who := newTypedHolder(digits).identity
	if who.Number.open() != digits || who.Name.open() != digits || who.ISUB.open() != digits || who.Charge.open() != digits || who.Redirected[0].Number.open() != digits {
		t.Errorf("not all of it is there: %+v", read(who))
	}
	if !strings.Contains(walk(reflect.ValueOf(struct{ b [11]byte }{[11]byte([]byte(digits))})), spellings(digits)[6]) {
		t.Error("walk sees nothing")
	}
}

func TestSealedIsNoiseHoweverPrinted(t *testing.T) {
	things := sealedThings(digits)
	things["typed holder"], things["Headers"] = newTypedHolder(digits), headersOf(digits)
	for name, x := range things {
		address := reflect.New(reflect.TypeOf(x))
		address.Elem().Set(reflect.ValueOf(x))
		ways := []any{x, address.Interface(), []any{x}, map[string]any{"x": x}}
		if name != "Headers" { // which holds clear text, and may stand in nobody's field
			ways = append(ways, hold(x))
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%T", "%c", "%U", "%e", "%t", "%p", "%z", "% x", "%#x", "%10.3s"} {
			if verb == "%p" && name == "Headers" {
				continue // fmt asks no methods where a verb does not fit; vet refuses to build such a line
			}
			for _, way := range ways {
				shows(t, name+" under "+verb, fmt.Sprintf(verb, way))
			}
		}
		for _, way := range ways {
			shows(t, name+" printed", fmt.Sprint(way)+fmt.Sprintln(way)+fmt.Errorf("%v", way).Error())
		}
	}
}

func TestSealedIsNoiseHoweverEncoded(t *testing.T) {
	things := sealedThings(digits)
	things["typed holder"], things["Headers"] = newTypedHolder(digits), headersOf(digits)
	for name, x := range things {
		j, err := json.Marshal(x)
		shows(t, name+" as json", string(j))
		if err != nil {
			t.Errorf("%s as json: %v", name, err)
		}
		key, err := json.Marshal(map[string]any{"x": []any{x}, "h": hold(x)})
		shows(t, name+" as json within", string(key))
		if err != nil {
			t.Errorf("%s as json within: %v", name, err)
		}
		text, _ := xml.Marshal(x) // a map has no XML
		shows(t, name+" as xml", string(text))
		var coded bytes.Buffer
		if err := gob.NewEncoder(&coded).Encode(x); err != nil && name != "typed holder" { // which has nothing to encode
			t.Errorf("%s as gob: %v", name, err)
		}
		shows(t, name+" as gob", coded.String())
		y, err := yaml.Marshal(x)
		shows(t, name+" as yaml", string(y))
		if err != nil {
			t.Errorf("%s as yaml: %v", name, err)
		}
		var lines bytes.Buffer
		log := slog.New(slog.NewMultiHandler(slog.NewTextHandler(&lines, nil), slog.NewJSONHandler(&lines, nil)))
		log.With("with", x).WithGroup("g").Info("a call", "x", x, "all", []any{x})
		shows(t, name+" in slog", lines.String())
		if v := slog.AnyValue(x).Resolve(); strings.Contains("Number Text Value Entered Headers", name) && v.Kind() != slog.KindString {
			t.Errorf("%s is handed to a log's handler as %s", name, v.Kind())
		}
		if name != "Headers" {
			shows(t, name+" by reflection", walk(reflect.ValueOf(x)))
		}
	}
}

// TestNothingSealedIsReadFromText: a type that could be decoded would take a number from anywhere.
func TestNothingSealedIsReadFromText(t *testing.T) {
	for _, x := range []any{&Number{}, &Text{}, &Headers{}} {
		if json.Unmarshal([]byte(`"+12125550142"`), x) == nil || x.(encoding.TextUnmarshaler).UnmarshalText([]byte("1")) == nil || x.(gob.GobDecoder).GobDecode([]byte("1")) == nil {
			t.Errorf("%T was read from text", x)
		}
	}
}

// TestIdentityHasNoPlainText: whoever adds a field to Identity that is text seals it, or gives it a type of fixed words.
func TestIdentityHasNoPlainText(t *testing.T) {
	var visit func(reflect.Type, string)
	visit = func(typ reflect.Type, path string) {
		switch {
		case typ == reflect.TypeFor[string](), typ == reflect.TypeFor[[]byte](), typ.Kind() == reflect.Interface, typ.Kind() == reflect.Map:
			t.Errorf("%s is a %s", path, typ)
		case typ == reflect.TypeFor[Number](), typ == reflect.TypeFor[Text]():
		case typ.Kind() == reflect.Slice, typ.Kind() == reflect.Pointer, typ.Kind() == reflect.Array:
			visit(typ.Elem(), path+"[]")
		case typ.Kind() == reflect.Struct:
			for f := range typ.Fields() {
				visit(f.Type, path+"."+f.Name)
			}
		}
	}
	visit(reflect.TypeFor[Identity](), "Identity")
}

// walk prints every byte that reflection reaches, unexported fields too.
func walk(v reflect.Value) string {
	var all strings.Builder
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			all.WriteString(walk(v.Elem()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			all.WriteString(walk(v.Field(i)) + " ")
		}
	case reflect.Array, reflect.Slice:
		for i := range v.Len() {
			all.WriteString(walk(v.Index(i)) + " ")
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			all.WriteString(walk(key) + " " + walk(v.MapIndex(key)) + " ")
		}
	case reflect.Uint8:
		fmt.Fprint(&all, v.Uint())
	default:
		all.WriteString(v.String())
	}
	return all.String()
}

func TestComparingShowsNothing(t *testing.T) {
	open := cmp.Exporter(func(reflect.Type) bool { return true })
	a, b := newTypedHolder(digits), newTypedHolder("12125550199")
	diff := cmp.Diff(a, b, open)
	if diff == "" {
		t.Error("go-cmp sees no difference")
	}
	shows(t, "go-cmp", diff)
	if cmp.Equal(a, newTypedHolder(digits), open) {
		t.Error("one caller's two identities are equal: they can be told from others without being opened")
	}
}

func TestPanicShowsNothing(t *testing.T) {
	if os.Getenv("ANI_CHILD") != "" {
		h := newTypedHolder(digits)
		fall(h, h.number, h.text, h.identity)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestPanicShowsNothing$")
	cmd.Env = append(os.Environ(), "ANI_CHILD=1", "GOTRACEBACK=all")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "goroutine ") {
		t.Fatalf("no panic: %v %s", err, out)
	}
	shows(t, "a panic", string(out))
}

//go:noinline
func fall(h typedHolder, n Number, x Text, who Identity) {
	panic(fmt.Sprintf("%+v %v %#v %v %+v", h, n, h, x, who))
}

func TestWipeLetsGoOfEveryCopy(t *testing.T) {
	h := headersOf(digits)
	h.Verstat, h.Date = "TN-Validation-Passed", "today"
	kept := h
	if h.Wipe(); !reflect.DeepEqual(h, Headers{}) {
		t.Error("wiped headers are not empty")
	}
	if left := walk(reflect.ValueOf(kept)); strings.Contains(left, digits) {
		t.Errorf("a copy has still %s", left)
	}
}

// TestHeadersStandInNoField: they hold clear text, which fmt would print from inside somebody's unexported field. Only
// what is handed to Capture may have them.
func TestHeadersStandInNoField(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files++
		inspectFields(t, path, file)
		return nil
	})
	if err != nil || files < 100 {
		t.Errorf("%d files read: %v", files, err)
	}
}

// inspectFields looks through every struct that a file declares.
func inspectFields(t *testing.T, path string, file *ast.File) {
	ours := file.Name.Name == "ani"
	clear := func(typ ast.Node) (found bool) {
		ast.Inspect(typ, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				found = found || ours && n.Name == "Headers"
			case *ast.SelectorExpr:
				pkg, _ := n.X.(*ast.Ident)
				found = found || pkg != nil && pkg.Name == "ani" && n.Sel.Name == "Headers"
			}
			return true
		})
		return found
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || ours && spec.Name.Name == "Incoming" {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range s.Fields.List {
				if clear(f.Type) {
					t.Errorf("%s: %s has a field with a caller's headers", path, spec.Name.Name)
				}
			}
		}
		return true
	})
}
