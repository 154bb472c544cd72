package main

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// docRow finds a key's row in docs/configuration.md: | `http.listen` | `127.0.0.1:8311` | what it does |
var docRow = regexp.MustCompile("(?m)^\\| `([a-z0-9_.\\[\\]]+)` \\| (.*?) \\| (.+?) \\|$")

// TestEveryKeyIsDocumented holds the page against the struct: each key once, with its default and its values, and none
// that is not there.
func TestEveryKeyIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for _, row := range docRow.FindAllStringSubmatch(string(page), -1) {
		if rows[row[1]] != nil {
			t.Errorf("%s is documented twice", row[1])
		}
		rows[row[1]] = row
	}
	want := map[string]string{}
	for _, key := range Keys() {
		want[key.Path] = defaultText(key.Default)
		for _, value := range choicesOf(key) {
			if row := rows[key.Path]; row != nil && !strings.Contains(row[3], "`"+value+"`") {
				t.Errorf("%s: the page does not name %s", key.Path, value)
			}
		}
	}
	got := map[string]string{}
	for path, row := range rows {
		got[path] = strings.Trim(row[2], "`")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys and defaults (-struct +page):\n%s\nkeys in the struct: %v", diff, slices.Sorted(maps.Keys(want)))
	}
}

// choicesOf is the values of a key that has a few.
func choicesOf(k Key) []string {
	if c, ok := reflect.Zero(k.Type).Interface().(choice); ok {
		return c.choices()
	}
	return nil
}

// defaultText is a default as an operator would write it; empty for none.
func defaultText(v reflect.Value) string {
	switch {
	case v.Type() == durationType:
		return formatDuration(time.Duration(v.Int()))
	case v.Kind() == reflect.Slice:
		var parts []string
		for i := range v.Len() {
			parts = append(parts, fmt.Sprint(v.Index(i)))
		}
		return strings.Join(parts, ", ")
	case v.IsZero() && v.Kind() != reflect.Bool && v.Kind() != reflect.Int:
		return ""
	default:
		return fmt.Sprint(v)
	}
}
