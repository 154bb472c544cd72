package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// fieldOf is v's field for key.
func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("yaml"); tag == key && tag != "-" && tag != "" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// keysOf is the keys of the struct type t, in its order.
func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("yaml"); tag != "-" && tag != "" {
			keys = append(keys, tag)
		}
	}
	return keys
}

// A Key is one key of the configuration, for variables, hints and the documentation's test.
type Key struct {
	Path    string // lists without their numbers: "cities[].trunks[].allow"
	Type    reflect.Type
	Default reflect.Value // of lists' entries too
}

// Keys lists every key that holds a value or a list of values, in the order of the file.
func Keys() []Key { return keysUnder(reflect.ValueOf(defaults()), "") }

// keysUnder lists the keys of v, a struct that stands at path.
func keysUnder(v reflect.Value, path string) []Key {
	var keys []Key
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag.Get("yaml")
		if tag == "-" || tag == "" {
			continue
		}
		at, field := join(path, tag), v.Field(i)
		switch {
		case isScalar(field.Type()) || field.Kind() == reflect.Map || field.Kind() == reflect.Slice && isScalar(field.Type().Elem()):
			keys = append(keys, Key{Path: at, Type: field.Type(), Default: field})
		case field.Kind() == reflect.Slice:
			item := reflect.New(field.Type().Elem())
			if e, ok := item.Interface().(interface{ setDefaults() }); ok {
				e.setDefaults()
			}
			keys = append(keys, keysUnder(item.Elem(), at+"[]")...)
		default:
			keys = append(keys, keysUnder(field, at)...)
		}
	}
	return keys
}

// variables is how the names of our environment variables begin.
const variables = "CALLHALL_"

// variable is the environment variable that stands above the key at path: CALLHALL_HTTP_LISTEN for http.listen.
func variable(path string) string {
	return variables + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// otherVariables are read by the program, but not into the configuration.
var otherVariables = []string{"CALLHALL_CONFIG", "CALLHALL_TOKEN_FILE", "CALLHALL_URL"}

// fromEnvironment finds the settings in env. A variable that looks like one of ours mistyped is a fault; others, such
// as those that Kubernetes makes for a service named callhall, are none of our business.
func (d *decoder) fromEnvironment(env []string) []Setting {
	paths := map[string]string{}
	names := slices.Clone(otherVariables)
	for _, key := range Keys() {
		if !strings.Contains(key.Path, "[]") {
			paths[variable(key.Path)] = key.Path
			names = append(names, variable(key.Path))
		}
	}
	var found []Setting
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if path, ok := paths[name]; ok {
			found = append(found, Setting{Key: path, Value: value, Origin: name})
		} else if strings.HasPrefix(name, variables) && !slices.Contains(names, name) {
			d.refuseMistyped(name, names)
		}
	}
	return found
}

// refuseMistyped keeps a fault when name is nearly one of names.
func (d *decoder) refuseMistyped(name string, names []string) {
	var ends []string
	for _, n := range names {
		ends = append(ends, strings.TrimPrefix(n, variables))
	}
	if likely := nearest(strings.TrimPrefix(name, variables), ends); likely != "" {
		d.add(place{origin: "environment"}, name, fmt.Sprintf("unknown variable (did you mean %q?)", variables+likely))
	}
}

// apply puts settings over cfg, in their order. Paths in them start at the working directory.
func (d *decoder) apply(cfg *Config, settings []Setting) {
	outside := &decoder{}
	for _, s := range settings {
		d.at[s.Key] = place{origin: s.Origin}
		delete(d.faulty, s.Key)
		v, ok := find(reflect.ValueOf(cfg).Elem(), s.Key)
		if !ok {
			d.fault(s.Key, "unknown key")
			continue
		}
		if err := outside.setAll(v, s.Value); err != nil {
			d.fault(s.Key, "%v", err)
		}
	}
}

// setAll fills v, a scalar or a list of scalars, from text.
func (d *decoder) setAll(v reflect.Value, text string) error {
	if v.Kind() != reflect.Slice {
		return d.set(v, text)
	}
	parts := strings.Split(text, ",")
	list := reflect.MakeSlice(v.Type(), len(parts), len(parts))
	for i, part := range parts {
		if err := d.set(list.Index(i), strings.TrimSpace(part)); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

// find is the value at a path without lists.
func find(v reflect.Value, path string) (reflect.Value, bool) {
	for _, key := range strings.Split(path, ".") {
		if v.Kind() != reflect.Struct || isScalar(v.Type()) {
			return v, false
		}
		field, ok := fieldOf(v, key)
		if !ok {
			return v, false
		}
		v = field
	}
	return v, isScalar(v.Type()) || v.Kind() == reflect.Slice && isScalar(v.Type().Elem())
}

// noSuchKey answers keys that people look for and that do not exist, by the end of their path.
var noSuchKey = []struct{ end, sentence string }{
	{"recording.retention", "; recordings are erased fourteen days after they ended, and no setting changes that"},
	{"<<", "; merge keys are not supported, write the keys out"},
}

// hint says what may have been meant by an unknown key of t that stands at path. When it is another key of t, meant is
// that key: it is not to be missed as well.
func hint(t reflect.Type, path, key string) (sentence, meant string) {
	for _, h := range noSuchKey {
		if strings.HasSuffix(path, h.end) {
			return h.sentence, ""
		}
	}
	if slices.Contains(keysOf(t), key+"_file") {
		return "; secrets are not written here but read from a file: use " + key + "_file", key + "_file"
	}
	if likely := nearest(key, keysOf(t)); likely != "" {
		return didYouMean(key, keysOf(t)), likely
	}
	if home := homeOf(key); home != "" {
		return "; it belongs under " + home, ""
	}
	return "; the keys here are " + strings.Join(keysOf(t), ", "), ""
}

// homeOf is the first place in the configuration where key stands: "cities[]" for trunks.
func homeOf(key string) string {
	for _, k := range Keys() {
		parts := strings.Split(k.Path, ".")
		for i, part := range parts[1:] {
			if strings.TrimSuffix(part, "[]") == key {
				return strings.Join(parts[:i+1], ".")
			}
		}
	}
	return ""
}

// didYouMean names the word most like got, if one is like it at all.
func didYouMean(got string, words []string) string {
	if likely := nearest(got, words); likely != "" {
		return ` (did you mean "` + likely + `"?)`
	}
	return ""
}

// longestWord bounds the words that are compared: no key, id or variable of ours is near it.
const longestWord = 64

// nearest is the word most like got, or nothing when none is like it.
func nearest(got string, words []string) string {
	best, least := "", max(1, len(got)/3)+1
	if len(got) > longestWord {
		return ""
	}
	for _, word := range words {
		if n := distance(got, word); n < least {
			best, least = word, n
		}
	}
	return best
}

// distance is how many letters must be put in, taken out, replaced or swapped with a neighbour to make a into b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
