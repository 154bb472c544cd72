package ani

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"callhall/call"
)

var update = flag.Bool("update", false, "write the golden files and docs/ani-terms.md anew from the table")

// TestWholeTable decides everything that can be asked and compares it with a text that a lawyer can read and diff.
func TestWholeTable(t *testing.T) {
	for _, c := range []struct {
		policy *policy
		file   string
	}{{current, "testdata/terms-2.golden"}, {policy1, "testdata/terms-1.golden"}} {
		compare(t, c.file, wholeTable(c.policy))
	}
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	old, now := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range now {
		if i >= len(old) || old[i] != now[i] {
			t.Fatalf("%s:%d is not what the table says, which is %q (go test ./ani -update writes it anew)", file, i+1, now[i])
		}
	}
	t.Fatalf("%s has lines that the table has not (go test ./ani -update writes it anew)", file)
}

// A dimension is one thing that a decision depends on, with all its values.
type dimension struct {
	name   string
	values []string
	set    func(x *Tuple, i int)
}

// dimensions has them in the order in which the text asks for them. The circumstances stand one by one: that no number
// comes before a law and a law before the city is in TestPrecedence.
var dimensions = []dimension{
	{"circumstance", []string{"ordinary", "no number", "protected by law", "forbidden by the city"}, func(x *Tuple, i int) {
		x.Held, x.Protected, x.Narrowed = i != 1, i == 2, i == 3
	}},
	over("profile", Profiles(), func(x *Tuple, v Profile) { x.Profile = v }),
	over("privacy", []Wish{Unrestricted, Restricted}, func(x *Tuple, v Wish) { x.Open = v == Unrestricted }),
	over("tariff", []string{"no", "yes"}, func(x *Tuple, v string) { x.Tariff = v == "yes" }),
	over("relation", Relations(), func(x *Tuple, v Relation) { x.Relation = v }),
	over("consent", Consents(), func(x *Tuple, v Consent) { x.Consent = v }),
	over("process", Processes(), func(x *Tuple, v Process) { x.Process = v }),
}

func over[T ~string](name string, values []T, set func(*Tuple, T)) dimension {
	return dimension{name, asWords(values), func(x *Tuple, i int) { set(x, values[i]) }}
}

// wholeTable has a part for each purpose, in it one for each group of recipients who are treated alike, and in it one line
// for each set of conditions that come to the same row.
func wholeTable(p *policy) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Everything that the terms, version %s, decide. A condition that is not named does not matter.\n", p.version)
	for _, purpose := range Purposes() {
		fmt.Fprintf(&b, "\n%s\n", strings.ToUpper(string(purpose)))
		var groups [][]byte
		var who [][]string
		for _, recipient := range Recipients() {
			all := decideAll(p, &Tuple{Purpose: purpose, Recipient: recipient, Verstat: call.VerstatPassed}, dimensions, nil)
			i := slices.IndexFunc(groups, func(g []byte) bool { return bytes.Equal(g, all) })
			if i < 0 {
				i, groups, who = len(groups), append(groups, all), append(who, nil)
			}
			who[i] = append(who[i], string(recipient))
		}
		for i, group := range groups {
			fmt.Fprintf(&b, "  %s\n", strings.Join(who[i], ", "))
			printAll(&b, p, group, dimensions, nil)
		}
	}
	return b.String()
}

var rowNumbers, decisionNumbers = numbersOf(rowIDs()), numbersOf(Decisions())

func rowIDs() []string {
	var ids []string
	for _, row := range terms {
		ids = append(ids, row.ID)
	}
	return ids
}

func numbersOf[T comparable](of []T) map[T]byte {
	numbers := map[T]byte{}
	for i, v := range of {
		numbers[v] = byte(i)
	}
	return numbers
}

// decideAll appends the rulings of all tuples that the dimensions make of x, two bytes each: row and decision.
func decideAll(p *policy, x *Tuple, dims []dimension, all []byte) []byte {
	if len(dims) == 0 {
		r := p.decide(*x)
		return append(all, rowNumbers[r.Row.ID], decisionNumbers[r.Decision])
	}
	for i := range dims[0].values {
		dims[0].set(x, i)
		all = decideAll(p, x, dims[1:], all)
	}
	return all
}

// printAll writes one line for each set of values that share their rulings.
func printAll(b *strings.Builder, p *policy, all []byte, dims []dimension, path []string) {
	if len(dims) == 0 {
		conditions := strings.Join(path, "; ")
		if conditions == "" {
			conditions = "always"
		}
		fmt.Fprintf(b, "    %s: %s %s\n", conditions, terms[all[0]].ID, Decisions()[all[1]])
		return
	}
	size := len(all) / len(dims[0].values)
	var parts [][]byte
	var labels [][]string
	for i, value := range dims[0].values {
		part := all[i*size : (i+1)*size]
		j := slices.IndexFunc(parts, func(q []byte) bool { return bytes.Equal(q, part) })
		if j < 0 {
			j, parts, labels = len(parts), append(parts, part), append(labels, nil)
		}
		labels[j] = append(labels[j], value)
	}
	for j, part := range parts {
		printAll(b, p, part, dims[1:], label(path, dims[0], labels[j]))
	}
}

// label appends a condition to the path: nothing where every value is alike, and "other than" where that is shorter.
func label(path []string, d dimension, values []string) []string {
	if len(values) == len(d.values) {
		return path
	}
	words := strings.Join(values, " or ")
	if len(values) > (len(d.values)+1)/2 {
		var others []string
		for _, v := range d.values {
			if !slices.Contains(values, v) {
				others = append(others, v)
			}
		}
		words = "other than " + strings.Join(others, " or ")
	}
	if d.name != "circumstance" {
		words = d.name + " " + words
	}
	return append(slices.Clone(path), words)
}
