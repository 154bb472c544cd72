package ani

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestThePageIsTheTable: docs/ani-terms.md says what the table says.
func TestThePageIsTheTable(t *testing.T) {
	intro, err := os.ReadFile("testdata/terms-intro.md")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "../docs/ani-terms.md", string(intro)+page())
}

func page() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## The table, version %s\n\n", PolicyVersion)
	b.WriteString("| row | for what | purpose | recipient | when | decision | duties | expires | from |\n|---|---|---|---|---|---|---|---|---|\n")
	for i := range terms {
		row := &terms[i]
		if row.Lines == nil {
			fmt.Fprintf(&b, "| %s | %s | any | any person | nobody vouches for the number | as the row | | | %s |\n", row.ID, row.What, row.Citation)
		}
		for j := range row.Lines {
			b.WriteString(pageLine(row, &row.Lines[j], j == 0))
		}
	}
	b.WriteString("\n## The duties\n\n| | |\n|---|---|\n")
	for _, o := range Obligations() {
		fmt.Fprintf(&b, "| %s | %s |\n", o, o.says())
	}
	return b.String()
}

// pageLine prints one line of a row; what all lines share stands in the first.
func pageLine(row *Row, line *Line, first bool) string {
	r := Ruling{Decision: line.Decision, Row: row}
	expires := ""
	if line.Decision != Deny {
		expires = row.expires()
	}
	decision := string(line.Decision)
	if row.Handle && line.Decision != Deny && line.Decision != Handle {
		decision += " and a handle"
	}
	when := cmp.Or(strings.Join(line.words(), "; "), "always")
	shared := []string{row.ID, row.What, purposesOf(row), orAny(asWords(row.Recipients)), row.Citation}
	if !first {
		shared = []string{"", "otherwise", "", "", ""}
		when = strings.TrimPrefix(when, "always")
	}
	return "| " + strings.Join([]string{shared[0], shared[1], shared[2], shared[3], when, decision,
		strings.ReplaceAll(joined(r.Obligations()), ",", " "), expires, shared[4]}, " | ") + " |\n"
}

func purposesOf(row *Row) string {
	if len(row.Except) > 0 {
		return "any but " + strings.Join(asWords(row.Except), ", ")
	}
	return orAny(asWords(row.Purposes))
}

func orAny(words []string) string {
	if len(words) == 0 {
		return "any"
	}
	return strings.Join(words, ", ")
}
