package console

import (
	"bytes"
	_ "embed"
	"html/template"
	"strings"
)

//go:embed page/front.html
var frontText string

// frontPage is the page at /: what this is, in English and Spanish, and the addresses of the API out of the table.
func frontPage() ([]byte, error) {
	t, err := template.New("front").Parse(frontText)
	if err != nil {
		return nil, err
	}
	type line struct{ Method, Path, Roles string }
	var lines []line
	for _, r := range table {
		method, path, _ := strings.Cut(r.route, " ")
		if r.permission == public {
			continue
		}
		var roles []string
		for i, role := range Roles() {
			if r.reach[i] != none {
				roles = append(roles, string(role))
			}
		}
		lines = append(lines, line{method, path, strings.Join(roles, ", ")})
	}
	var page bytes.Buffer
	err = t.Execute(&page, lines)
	return page.Bytes(), err
}
