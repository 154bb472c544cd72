package main

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A decoder fills a Config and keeps every fault on the way, and where each key was written, so that what is found
// wrong later is told with its line too.
type decoder struct {
	file   string // as given, for faults
	dir    string // where relative paths start; empty is the working directory
	at     map[string]place
	faults []Fault
	faulty map[string]bool // paths that have a fault: the first one is the one to mend
}

// place is where a key stands: in the file, or in a variable or flag.
type place struct {
	origin       string // empty is the file
	line, column int
}

func newDecoder(file string) *decoder {
	d := &decoder{file: file, at: map[string]place{}, faulty: map[string]bool{}}
	if file != "" {
		d.dir = filepath.Dir(file)
	}
	return d
}

// fault keeps what is wrong with the key at path, unless something is known to be wrong with it, or with a key around
// it, already: one mistake is told once.
func (d *decoder) fault(path, format string, args ...any) {
	if d.isFaulty(path) {
		return
	}
	d.faulty[path] = true
	d.add(d.placeOf(path), path, fmt.Sprintf(format, args...))
}

// isFaulty tells whether path or a key around it has a fault.
func (d *decoder) isFaulty(path string) bool {
	for {
		if d.faulty[path] {
			return true
		}
		if path == "" {
			return false
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
}

// add keeps a fault found at where.
func (d *decoder) add(where place, path, sentence string) {
	file := d.file
	if where.origin != "" {
		file = where.origin
	}
	if file == "" {
		file = "defaults"
	}
	d.faults = append(d.faults, Fault{File: file, Line: where.line, Column: where.column, Path: path, Sentence: sentence})
}

// placeOf is where path is written, or the nearest key around it that is.
func (d *decoder) placeOf(path string) place {
	for {
		if p, ok := d.at[path]; ok {
			return p
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return d.at[""]
		}
		path = path[:cut]
	}
}

// sorted is the faults in the order of the file; those of variables and flags come after.
func (d *decoder) sorted() []Fault {
	slices.SortStableFunc(d.faults, func(a, b Fault) int {
		if (a.Line == 0) != (b.Line == 0) {
			return b.Line - a.Line
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return d.faults
}

// yamlLine finds the line in the message of a syntax error.
var yamlLine = regexp.MustCompile(`^yaml: line (\d+): (.*)`)

// decodeText decodes the one document in text over cfg.
func (d *decoder) decodeText(text []byte, cfg *Config) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		d.syntax(err)
		return
	}
	if len(doc.Content) == 0 {
		d.at[""] = place{line: 1, column: 1}
		d.fault("", "is empty; callhall needs at least one city")
		return
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		d.add(place{line: second.Line, column: second.Column}, "", "a second document begins here; a configuration is one document")
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err)
	}
	d.decode(doc.Content[0], reflect.ValueOf(cfg).Elem(), "")
}

// syntax keeps a fault for text that is not YAML.
func (d *decoder) syntax(err error) {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ := strconv.Atoi(m[1])
		d.at[""] = place{line: line, column: 1}
		d.fault("", "this is not YAML: %s", m[2])
		return
	}
	d.fault("", "this is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
}

// decode fills v from n, which stands at path.
func (d *decoder) decode(n *yaml.Node, v reflect.Value, path string) {
	d.at[path] = place{line: n.Line, column: n.Column}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case isScalar(v.Type()):
		d.scalar(n, v, path)
	case n.ShortTag() == "!!null":
		d.fault(path, "is empty; give it a value or leave the key out")
	case v.Kind() == reflect.Struct:
		d.mapping(n, v, path)
	case v.Kind() == reflect.Slice:
		d.sequence(n, v, path)
	case v.Kind() == reflect.Map:
		d.table(n, v, path)
	}
}

// mapping fills a struct, key by key.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fault(path, "wants keys (%s), not %s", strings.Join(keysOf(v.Type()), ", "), describe(n))
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		at := join(path, key.Value)
		if line, twice := first[key.Value]; twice {
			d.add(place{line: key.Line, column: key.Column}, at, fmt.Sprintf("is written twice; it stands on line %d already", line))
			continue
		}
		first[key.Value] = key.Line
		field, known := fieldOf(v, key.Value)
		if !known {
			d.at[at] = place{line: key.Line, column: key.Column}
			sentence, meant := hint(v.Type(), at, key.Value)
			d.fault(at, "unknown key%s", sentence)
			d.faulty[join(path, meant)] = d.faulty[join(path, meant)] || meant != ""
			continue
		}
		d.decode(n.Content[i+1], field, at)
	}
}

// sequence fills a list, in place of what it held.
func (d *decoder) sequence(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.fault(path, "wants a list, not %s; write it as [a, b] or with one \"- \" line each", describe(n))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		if e, ok := list.Index(i).Addr().Interface().(interface{ setDefaults() }); ok {
			e.setDefaults()
		}
		d.decode(item, list.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(list)
}

// table fills a map of words whose keys are the operator's own.
func (d *decoder) table(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fault(path, "wants keys with a word each, not %s", describe(n))
		return
	}
	words := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, at := n.Content[i], join(path, n.Content[i].Value)
		if words.MapIndex(reflect.ValueOf(key.Value)).IsValid() {
			d.add(place{line: key.Line, column: key.Column}, at, "is written twice")
			continue
		}
		word := reflect.New(v.Type().Elem()).Elem()
		d.decode(n.Content[i+1], word, at)
		words.SetMapIndex(reflect.ValueOf(key.Value), word)
	}
	v.Set(words)
}

// scalar fills a single value. Numbers without quotes are taken as they are written where text is wanted, so that
// 311 and 1001 need none.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode {
		d.fault(path, "wants %s, not %s", typeName(v.Type()), describe(n))
		return
	}
	tag := n.ShortTag()
	switch {
	case tag == "!!null":
		d.fault(path, "is empty; give it a value or leave the key out")
		return
	case v.Kind() == reflect.Bool && tag != "!!bool":
		d.fault(path, "wants true or false, not %q", n.Value)
		return
	case v.Kind() == reflect.String && tag == "!!bool":
		d.fault(path, "wants text; put %s in quotes if that is meant", n.Value)
		return
	}
	if err := d.set(v, n.Value); err != nil {
		d.fault(path, "%v", err)
	}
}

// Types that are read in a way of their own.
var (
	durationType = reflect.TypeFor[time.Duration]()
	addrType     = reflect.TypeFor[netip.Addr]()
	addrPortType = reflect.TypeFor[netip.AddrPort]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
	pathType     = reflect.TypeFor[Path]()
	secretType   = reflect.TypeFor[SecretFile]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isScalar tells whether values of t are written as one word.
func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64:
		return true
	default:
		return reflect.PointerTo(t).Implements(textType)
	}
}

// set fills the scalar v from text. Its errors are sentences for the operator.
func (d *decoder) set(v reflect.Value, text string) error {
	switch v.Type() {
	case durationType:
		return store(v, text, parseDuration)
	case addrType:
		return store(v, text, parseAddr)
	case addrPortType:
		return store(v, text, parseAddrPort)
	case prefixType:
		return store(v, text, parsePrefix)
	case pathType, secretType:
		resolved, err := resolve(d.dir, text)
		v.SetString(resolved)
		return err
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	return setPlain(v, text)
}

// store sets v to what parse makes of text.
func store[T any](v reflect.Value, text string, parse func(string) (T, error)) error {
	parsed, err := parse(text)
	if err != nil {
		return err
	}
	v.Set(reflect.ValueOf(parsed))
	return nil
}

// setPlain fills text, a choice, a number or a truth value.
func setPlain(v reflect.Value, text string) error {
	switch v.Kind() {
	case reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("wants true or false, not %q", text)
		}
		v.SetBool(text == "true")
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return fmt.Errorf("wants a whole number, not %q", text)
		}
		v.SetInt(n)
	default:
		if c, ok := v.Interface().(choice); ok && !slices.Contains(c.choices(), text) {
			return fmt.Errorf("%q is not supported; it is one of %s%s", text, strings.Join(c.choices(), ", "),
				didYouMean(text, c.choices()))
		}
		v.SetString(text)
	}
	return nil
}

// typeName says what a value of t looks like.
func typeName(t reflect.Type) string {
	switch t {
	case durationType:
		return "a length of time such as 30s or 14d"
	case addrType:
		return "an IP address"
	case addrPortType:
		return "an address and port"
	case prefixType:
		return "a range of addresses"
	case pathType, secretType:
		return "a path"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	default:
		return "one value"
	}
}

// describe says what n is.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys"
	case yaml.SequenceNode:
		return "a list"
	default:
		return strconv.Quote(n.Value)
	}
}

// join puts key under path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
